//! What each of the contract's messages costs on a chain, beside the floor: the host functions that the work cannot
//! avoid (signatures, storage, transfers) at pallet-contracts' published weights.

use crate::{
    block_on,
    contract::{Bundle, CallError, Called, Contract},
    keys::Keys,
    Chain, ChainError, Receipt, UNIT,
};
use codec::{Decode, MaxEncodedLen};
use devchain::{prices, Devchain};
use engine::Native;
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DisputeChannels, GetDomain, GetTpc, JoinMpc, LeaveMpc,
        LedgerBalance, Message, SettleChannels, SplitTpc, TopUpTpc, UpdateAll, UpdateChannels, Withdraw, WithdrawTpc,
    },
    event::{ChannelDisputed, ChannelSettled, CHANNELS_PER_EVENT},
    state::MIN_WINDOW,
    AccountId, Action, Asset, Balance, Domain, Entry, Error, Member, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave,
    Origin, Owners, PartySignature, Resolution, Signature, SignedUpdate, Timestamp, TpcClose, TpcCreation, TpcSplit,
    TpcTopUp, TpcWithdrawal, Update,
};
use std::fmt::Write;

/// The sizes that the table shows: parties of a group in a ring of as many channels, and channels of lists.
pub const SIZES: [usize; 6] = [2, 3, 10, 50, 100, 256];

/// Encoded sizes in the contract's storage, in bytes.
const LEDGER: u32 = 16;
const NONCE: u32 = 8;
const TPC: u32 = 132;
const TPC_BUSY: u32 = TPC + 32;
const TPC_DISPUTED: u32 = TPC + 17;
/// A part of a split names the first channel, its epoch and an index instead of a nonce.
const TPC_PART: u32 = TPC + 29;
const ENDED: u32 = 8;
const MPC: u32 = 4;
/// The domain, which every message reads with the root cell.
const ROOT: u32 = 64;
/// A signature is over a 32-byte payload.
const PAYLOAD: u32 = 32;
/// Encoded sizes of what events tell of a channel, in bytes.
const ID: u32 = 32;
const ENTRY: u32 = 76;

/// One message at one group size.
#[derive(Clone, Debug)]
pub struct Row {
    /// The contract's message.
    pub message: &'static str,
    /// What is particular about the call, if anything is.
    pub case: &'static str,
    /// How many users sign, or would have to.
    pub parties: usize,
    /// How many channels the message names.
    pub channels: usize,
    /// What the chain says.
    pub receipt: Receipt,
    /// The least ref_time that the work can take, in ps.
    pub floor: u64,
}

impl Row {
    /// How many times the floor the message takes.
    pub fn ratio(&self) -> f64 {
        self.receipt.weight.ref_time as f64 / self.floor as f64
    }
}

/// A deployment with funded users, who sign what they are told to. It waits for the chain on its thread.
pub struct Bench<C> {
    /// The chain.
    pub chain: C,
    /// The contract.
    pub contract: Contract,
    /// The domain of the users' signatures.
    pub domain: Domain,
    /// The users, ascending by account.
    pub users: Vec<Keys>,
}

impl Bench<Devchain> {
    /// `parties` users on an embedded chain.
    ///
    /// # Panics
    /// If the built-in bundle does not deploy.
    pub fn embedded(parties: usize) -> Self {
        Self::new(Devchain::new(), parties).expect("the committed bundle deploys on the embedded chain; qed")
    }

    /// The same on a chain where a contract's instructions cost `times` what they cost on the node.
    ///
    /// # Panics
    /// As [`Bench::embedded`].
    pub fn with_instruction_price(parties: usize, times: u32) -> Self {
        let mut bench = Self::embedded(parties);
        bench.chain.set_instruction_price(times);
        bench
    }

    /// A second bench that starts where this one stands.
    pub fn fork(&mut self) -> Self {
        let Self { chain, contract, domain, users } = self;
        Self { chain: chain.fork(), contract: contract.clone(), domain: *domain, users: users.clone() }
    }
}

impl<C: Chain> Bench<C> {
    /// A new deployment for `parties` users, each with 700 UNIT more on the chain, from //Alice, and nothing in the
    /// contract.
    ///
    /// # Errors
    /// If the chain refuses.
    ///
    /// # Panics
    /// As [`Bench::with_users`].
    pub fn new(mut chain: C, parties: usize) -> Result<Self, CallError> {
        let user = |index| Keys::from_suri(&format!("//user{index}")).expect("a derivation path is a valid seed; qed");
        let mut users: Vec<_> = (0..parties).map(user).collect();
        users.sort_by_key(Keys::account);
        let alice = Keys::from_suri("//Alice").expect("a derivation path is a valid seed; qed");
        for user in &users {
            block_on(chain.transfer(&alice, user.account(), 700 * UNIT))?;
        }
        Self::with_users(chain, users)
    }

    /// A new deployment for users, ascending by account, who have what they need on the chain. //Alice pays for it.
    ///
    /// # Errors
    /// If the chain refuses.
    ///
    /// # Panics
    /// If the built-in bundle is broken.
    pub fn with_users(mut chain: C, users: Vec<Keys>) -> Result<Self, CallError> {
        let alice = Keys::from_suri("//Alice").expect("a derivation path is a valid seed; qed");
        let bundle = Bundle::built_in().expect("the committed bundle is checked by the build; qed");
        let (contract, _) = block_on(Contract::deploy(&mut chain, &alice, &bundle))?;
        let domain = block_on(contract.query(&mut chain, &GetDomain {}))?;
        Ok(Self { chain, contract, domain, users })
    }

    /// Calls the contract for the user at `index`.
    ///
    /// # Errors
    /// If it refuses.
    pub fn call<T: Decode, M: Message<Output = Result<T, Error>>>(
        &mut self,
        index: usize,
        value: Balance,
        message: &M,
    ) -> Result<Called<T>, CallError> {
        let keys = self.users[index].clone();
        block_on(self.contract.call(&mut self.chain, &keys, value, message))
    }

    /// Asks the contract without a transaction.
    ///
    /// # Errors
    /// If the chain or the contract cannot answer.
    pub fn query<M: Message>(&mut self, message: &M) -> Result<M::Output, CallError> {
        block_on(self.contract.query(&mut self.chain, message))
    }

    /// The signature of the user at `index`.
    pub fn sign(&self, index: usize, action: Action) -> Signature {
        self.users[index].sign(&action.payload(&Native, &self.domain))
    }

    /// The signatures of the users at `indices`, which must ascend.
    pub fn sign_all(&self, indices: impl IntoIterator<Item = usize>, action: Action) -> Vec<PartySignature> {
        let signed = indices
            .into_iter()
            .map(|index| PartySignature { party: self.users[index].account(), signature: self.sign(index, action) });
        signed.collect()
    }

    /// A time at which agreements made now are still good.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub fn later(&mut self) -> Result<Timestamp, ChainError> {
        Ok(block_on(self.chain.time())?.saturating_add(1_000_000_000))
    }

    /// Waits until a deadline has passed; //Alice pays for the blocks.
    fn wait_until(&mut self, deadline: Option<Timestamp>) -> Result<(), ChainError> {
        let alice = Keys::from_suri("//Alice").expect("a derivation path is a valid seed; qed");
        deadline.map_or(Ok(()), |deadline| block_on(self.chain.wait_until(&alice, deadline)))
    }

    /// The agreement of the users at `a` < `b` to open a channel with `balances`.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub fn creation(
        &mut self,
        [a, b]: [usize; 2],
        nonce: u64,
        balances: [Balance; 2],
    ) -> Result<CreateTpc, ChainError> {
        let parties: [AccountId; 2] = [self.users[a].account(), self.users[b].account()];
        let (asset, valid_until) = (Asset::Native, self.later()?);
        let creation = TpcCreation { parties, nonce, asset, balances, window: MIN_WINDOW, valid_until };
        let signatures = [a, b].map(|index| self.sign(index, Action::CreateTpc(&creation)));
        Ok(CreateTpc { creation, signatures })
    }

    /// What proves the owners of the channel that the users at `a` < `b` created as their `nonce`-th.
    pub fn owners(&self, pair: [usize; 2], nonce: u64) -> Owners {
        let parties = pair.map(|index| self.users[index].account());
        Owners { parties, window: MIN_WINDOW, asset: Asset::Native, origin: Origin::Creation(nonce) }
    }

    /// Opens a channel for each of `channels`, given by the pair of its users and its nonce, with 1 UNIT on each side, and
    /// answers them in ascending order.
    ///
    /// # Errors
    /// If the contract refuses.
    pub fn open(&mut self, channels: &[([usize; 2], u64)]) -> Result<(Vec<Channel>, Vec<Receipt>), CallError> {
        let mut opened = vec![];
        let mut receipts = vec![];
        for index in 0..self.users.len() {
            let sides = channels.iter().filter(|(pair, _)| pair.contains(&index)).count();
            receipts.push(self.call(index, sides as Balance * UNIT + 2 * UNIT, &Deposit {})?.receipt);
        }
        for (pair, nonce) in channels {
            let create = self.creation(*pair, *nonce, [UNIT, UNIT])?;
            let called = self.call(pair[0], 0, &create)?;
            let entry = Entry { tpc: called.answer, epoch: 0, version: 0, balances: [UNIT, UNIT] };
            opened.push(Channel { users: *pair, owners: create.creation.owners(), entry, registrations: 0 });
            receipts.push(called.receipt);
        }
        opened.sort_by_key(|channel| channel.entry.tpc);
        Ok((opened, receipts))
    }

    /// The update that moves channels, ascending, to the states of their entries, signed by all their owners.
    pub fn signed(&self, channels: &[Channel]) -> SignedUpdate {
        let update = Update { entries: channels.iter().map(|channel| channel.entry).collect() };
        let signatures = self.sign_all(users(channels), Action::Update(&update));
        SignedUpdate { update, owners: channels.iter().map(|channel| channel.owners).collect(), signatures }
    }

    /// Registers channels, ascending, as a group.
    ///
    /// # Errors
    /// If the contract refuses.
    pub fn register(&mut self, channels: &mut [Channel]) -> Result<Called<MpcId>, CallError> {
        let creation = MpcCreation { members: members(channels), valid_until: self.later()? };
        let signatures = self.sign_all(users(channels), Action::CreateMpc(&creation));
        channels.iter_mut().for_each(|channel| channel.registrations += 1);
        self.call(channels[0].users[0], 0, &CreateMpc { creation, signatures })
    }
}

/// A channel of a bench's users.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// Its owners, by their indices.
    pub users: [usize; 2],
    /// What its id is the hash of.
    pub owners: Owners,
    /// Its latest state.
    pub entry: Entry,
    /// How often it was registered or released.
    pub registrations: u32,
}

impl Channel {
    /// The channel at its next state, which has the same balances.
    pub fn next(self) -> Self {
        Self { entry: Entry { version: self.entry.version + 1, ..self.entry }, ..self }
    }
}

/// Channels as a registration names them.
pub fn members(channels: &[Channel]) -> Vec<Member> {
    let member = |channel: &Channel| Member { tpc: channel.entry.tpc, registrations: channel.registrations };
    channels.iter().map(member).collect()
}

/// All owners of channels, by their indices, ascending.
pub fn users(channels: &[Channel]) -> Vec<usize> {
    let mut users: Vec<_> = channels.iter().flat_map(|channel| channel.users).collect();
    users.sort_unstable();
    users.dedup();
    users
}

/// `parties` users in a ring of as many channels (two users share one).
pub fn ring(parties: usize) -> Vec<[usize; 2]> {
    let next = (0..parties).map(|index| (index, (index + 1) % parties));
    let mut pairs: Vec<_> = next.map(|(a, b)| [a.min(b), a.max(b)]).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Measures every message: those about one channel once, those about many at each of `sizes`. Each size has `bench`es of
/// its own, for as many parties as they are asked for.
///
/// # Errors
/// If the contract refuses.
pub fn measure<C: Chain>(
    sizes: &[usize],
    mut bench: impl FnMut(usize) -> Result<Bench<C>, CallError>,
) -> Result<Vec<Row>, CallError> {
    let mut rows = measure_one(&mut bench(2)?)?;
    for parties in sizes {
        rows.extend(measure_many(&mut bench(*parties)?)?);
    }
    // All disputes are over at about the same time, so that a chain whose clock is real is waited for once.
    let mut disputes = vec![];
    for channels in [1].iter().chain(sizes) {
        let mut bench = bench(2)?;
        disputes.push((measure_answers(&mut bench, *channels, &mut rows)?, bench));
    }
    for (dispute, mut bench) in disputes {
        measure_ends(&mut bench, dispute, &mut rows)?;
    }
    Ok(rows)
}

/// The rows of a channel.
fn measure_one(bench: &mut Bench<impl Chain>) -> Result<Vec<Row>, CallError> {
    let (opened, receipts) = bench.open(&[([0, 1], 0)])?;
    let [mut channel] = opened[..] else { return Ok(vec![]) };
    let tpc = channel.entry.tpc;
    let verify = 2 * verify();
    let deposited = event(33 + 16);
    let created = event(32 + 82 + 32 + 32 + 16);
    let mut rows = vec![
        row("deposit", "", 1, 0, &receipts[0], get(0) + set(LEDGER, 0) + deposited),
        row(
            "create_tpc",
            "from two ledgers",
            2,
            1,
            &receipts[2],
            verify + 2 * (get(LEDGER) + set(LEDGER, LEDGER)) + get(0) + set(NONCE, 0) + set(TPC, 0) + created,
        ),
    ];
    channel = channel.next();
    let SignedUpdate { update, owners, signatures } = bench.signed(&[channel]);
    let updated = bench.call(0, 0, &UpdateChannels { update, owners, signatures })?;
    rows.push(row("update", "", 2, 1, &updated.receipt, verify + get(TPC) + set(TPC, TPC) + event(1 + ENTRY)));

    let valid_until = bench.later()?;
    let last = |entry: Entry| Entry { version: entry.version + 1, ..entry };
    let top_up = TpcTopUp { last: last(channel.entry), added: [UNIT, 0], valid_until };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::TopUpTpc(&top_up)));
    let topped_up = bench.call(0, 0, &TopUpTpc { top_up, signatures })?;
    let moved = verify + get(TPC) + set(TPC, TPC);
    let floor = moved + get(LEDGER) + set(LEDGER, LEDGER) + event(ID + 4 + 32 + 32);
    rows.push(row("top_up_tpc", "by one owner", 2, 1, &topped_up.receipt, floor));

    let entry = Entry { tpc, epoch: 1, version: 1, balances: [2 * UNIT, UNIT] };
    let withdrawal = TpcWithdrawal { last: entry, amounts: [UNIT, 0], valid_until };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::WithdrawTpc(&withdrawal)));
    let withdrawn = bench.call(0, 0, &WithdrawTpc { withdrawal, signatures })?;
    let floor = moved + prices::transfer().ref_time + event(ID + 4 + 32 + 32 + 2);
    rows.push(row("withdraw_tpc", "to one owner", 2, 1, &withdrawn.receipt, floor));

    let half = [UNIT / 2, UNIT / 2];
    let entry = Entry { tpc, epoch: 2, version: 1, balances: [UNIT, UNIT] };
    let split = TpcSplit { last: vec![entry], parts: vec![half, half], valid_until };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::SplitTpc(&split)));
    let called = bench.call(0, 0, &SplitTpc { split, signatures })?;
    let floor = moved + set(TPC_PART, 0) + event(1 + ID + 4 + 1 + 2 * (ID + 32));
    rows.push(row("split_tpc", "into two", 2, 1, &called.receipt, floor));
    let [first, second] = called.answer[..] else { return Ok(rows) };

    let parts = [(first, 3), (second, 0)];
    let parts = parts.map(|(tpc, epoch)| Entry { tpc, epoch, version: 1, balances: half });
    let split = TpcSplit { last: parts.to_vec(), parts: vec![[UNIT, UNIT]], valid_until };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::SplitTpc(&split)));
    let merged = bench.call(0, 0, &SplitTpc { split, signatures })?;
    let floor = moved + get(TPC_PART) + clear(TPC_PART) + event(1 + 2 * ID + 4 + 1 + ID + 32);
    rows.push(row("split_tpc", "two into one", 2, 2, &merged.receipt, floor));

    let close = TpcClose { last: Entry { tpc, epoch: 4, version: 1, balances: [UNIT, UNIT] }, valid_until };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::CloseTpc(&close)));
    let closed = bench.call(0, 0, &CloseTpc { close, signatures })?;
    let floor = verify + get(TPC) + clear(TPC) + 2 * prices::transfer().ref_time + event(ID + 32 + 2);
    rows.push(row("close_tpc", "", 2, 1, &closed.receipt, floor));

    let account = bench.users[0].account();
    let left = bench.query(&LedgerBalance { account, asset: Asset::Native })?;
    let withdrawn = bench.call(0, 0, &Withdraw { amount: left })?;
    let floor = get(LEDGER) + clear(LEDGER) + prices::transfer().ref_time + deposited;
    rows.push(row("withdraw", "everything", 1, 0, &withdrawn.receipt, floor));

    let create = bench.creation([0, 1], 1, [UNIT, 2 * UNIT])?;
    let called = bench.call(0, UNIT, &create)?;
    // The caller's ledger does not change, and the other's is empty afterwards.
    let floor = verify + get(LEDGER) + set(LEDGER, LEDGER) + get(NONCE) + set(NONCE, NONCE) + set(TPC, 0) + created;
    rows.push(row("create_tpc", "value sent along", 2, 1, &called.receipt, floor));
    Ok(rows)
}

/// The rows of updates of many channels, and of groups.
fn measure_many(bench: &mut Bench<impl Chain>) -> Result<Vec<Row>, CallError> {
    let parties = bench.users.len();
    let (mut channels, _) = bench.open(&ring(parties).into_iter().map(|pair| (pair, 0)).collect::<Vec<_>>())?;
    let count = channels.len();
    let all = verify() * parties as u64;
    let each = |floor: u64| floor * count as u64;
    let ids = |count: usize| event(ID + 2 + ID * count as u32);

    channels.iter_mut().for_each(|channel| *channel = channel.next());
    let SignedUpdate { update, owners, signatures } = bench.signed(&channels);
    let updated = bench.call(0, 0, &UpdateChannels { update, owners, signatures })?;
    let told: u64 = channels.chunks(CHANNELS_PER_EVENT).map(|chunk| event(2 + ENTRY * chunk.len() as u32)).sum();
    let mut rows =
        vec![row("update", "", parties, count, &updated.receipt, all + each(get(TPC) + set(TPC, TPC)) + told)];

    let created = bench.register(&mut channels)?;
    let mpc = created.answer;
    let floor = all + each(get(TPC) + set(TPC_BUSY, TPC)) + set(MPC, 0) + ids(count);
    rows.push(row("create_mpc", "", parties, count, &created.receipt, floor));

    // Where there is another channel that stays, and through which it comes back.
    let one = channels[0];
    let beside = channels.iter().skip(1).find(|other| other.users.iter().any(|user| one.users.contains(user)));
    if let Some(host) = beside.map(|channel| channel.entry.tpc) {
        let counted = get(MPC) + set(MPC, MPC);
        let leave = MpcLeave { mpc, members: members(&channels[..1]), valid_until: bench.later()? };
        let signatures = bench.sign_all(one.users, Action::LeaveMpc(&leave));
        let left = bench.call(one.users[0], 0, &LeaveMpc { leave, signatures })?;
        let floor = 2 * verify() + counted + get(TPC_BUSY) + set(TPC, TPC_BUSY) + ids(1);
        rows.push(row("leave_mpc", "", 2, 1, &left.receipt, floor));

        channels[0].registrations += 1;
        let join = MpcJoin { mpc, host, members: members(&channels[..1]), valid_until: bench.later()? };
        let signatures = bench.sign_all(one.users, Action::JoinMpc(&join));
        let joined = bench.call(0, 0, &JoinMpc { join, signatures })?;
        let floor = 2 * verify() + counted + get(TPC_BUSY) + get(TPC) + set(TPC_BUSY, TPC) + ids(1);
        rows.push(row("join_mpc", "", 2, 1, &joined.receipt, floor));
        channels[0].registrations += 1;
    }

    let close = MpcClose { mpc, members: members(&channels), valid_until: bench.later()? };
    let signatures = bench.sign_all(0..parties, Action::CloseMpc(&close));
    let closed = bench.call(0, 0, &CloseMpc { close, signatures })?;
    let floor = all + get(MPC) + clear(MPC) + each(get(TPC_BUSY) + set(TPC, TPC_BUSY)) + ids(count);
    rows.push(row("close_mpc", "", parties, count, &closed.receipt, floor));
    Ok(rows)
}

/// Channels of one pair that are disputed, ascending: the first half to be settled, the rest to be renewed.
struct Disputes {
    settling: Vec<Channel>,
    renewing: Vec<Channel>,
}

/// The rows of disputes over `count` channels and of their answers, and what they leave.
fn measure_answers(bench: &mut Bench<impl Chain>, count: usize, rows: &mut Vec<Row>) -> Result<Disputes, CallError> {
    let (opened, _) = bench.open(&(0..2 * count as u64).map(|nonce| ([0, 1], nonce)).collect::<Vec<_>>())?;
    let (settling, renewing) = opened.split_at(count);
    let ids = |channels: &[Channel]| channels.iter().map(|channel| channel.entry.tpc).collect::<Vec<_>>();
    let each = |floor: u64| floor * count as u64;
    let told = |bytes: u32| -> u64 {
        settling.chunks(CHANNELS_PER_EVENT).map(|chunk| event(2 + bytes * chunk.len() as u32)).sum()
    };

    for (channels, then, case) in
        [(settling, Resolution::Settle, "to settle"), (renewing, Resolution::Renew, "to renew")]
    {
        let disputed = bench.call(0, 0, &DisputeChannels { channels: ids(channels), then })?;
        let floor =
            each(get(TPC) + set(TPC_DISPUTED, TPC) + set(ENDED, 0)) + told(ChannelDisputed::max_encoded_len() as u32);
        rows.push(row("dispute", case, 1, count, &disputed.receipt, floor));
    }
    let next: Vec<_> = renewing.iter().map(|channel| channel.next()).collect();
    let updates: Vec<_> = next.chunks(1).map(|channel| bench.signed(channel)).collect();
    let answered = bench.call(0, 0, &UpdateAll { updates })?;
    let floor = each(2 * verify() + get(TPC_DISPUTED) + set(TPC_DISPUTED, TPC_DISPUTED)) + told(ENTRY);
    rows.push(row("update_all", "an update each", 2, count, &answered.receipt, floor));
    Ok(Disputes { settling: settling.to_vec(), renewing: next })
}

/// The rows of what is done after the deadlines.
fn measure_ends(bench: &mut Bench<impl Chain>, disputes: Disputes, rows: &mut Vec<Row>) -> Result<(), CallError> {
    let Disputes { settling, renewing } = disputes;
    let count = settling.len();
    let each = |floor: u64| floor * count as u64;
    let told = |bytes: u32| -> u64 {
        settling.chunks(CHANNELS_PER_EVENT).map(|chunk| event(2 + bytes * chunk.len() as u32)).sum()
    };
    let last = renewing.last().map(|channel| channel.entry.tpc);
    if let Some(id) = last {
        // As it is stored: the channel is not renewed before the deadline.
        let tpc = bench.query(&GetTpc { id })?;
        bench.wait_until(tpc.and_then(|tpc| tpc.dispute).map(|dispute| dispute.deadline))?;
    }
    let channels = settling.iter().map(|channel| channel.entry.tpc).collect();
    let settled = bench.call(0, 0, &SettleChannels { channels })?;
    let floor = each(get(TPC_DISPUTED) + clear(TPC_DISPUTED) + 2 * prices::transfer().ref_time)
        + told(ChannelSettled::max_encoded_len() as u32);
    rows.push(row("settle", "", 1, count, &settled.receipt, floor));

    let renewed: Vec<_> = renewing
        .iter()
        .map(|channel| Channel { entry: Entry { epoch: 1, version: 1, ..channel.entry }, ..*channel })
        .collect();
    let SignedUpdate { update, owners, signatures } = bench.signed(&renewed);
    let updated = bench.call(0, 0, &UpdateChannels { update, owners, signatures })?;
    let floor = 2 * verify() + each(get(TPC_DISPUTED) + set(TPC, TPC_DISPUTED) + set(ENDED, ENDED)) + told(ENTRY);
    rows.push(row("update", "of renewed channels", 2, count, &updated.receipt, floor));
    Ok(())
}

fn row(
    message: &'static str,
    case: &'static str,
    parties: usize,
    channels: usize,
    receipt: &Receipt,
    host_functions: u64,
) -> Row {
    let floor = prices::extrinsic().ref_time + prices::call().ref_time + host_functions;
    Row { message, case, parties, channels, receipt: receipt.clone(), floor }
}

fn event(bytes: u32) -> u64 {
    prices::event(bytes).ref_time
}

fn verify() -> u64 {
    prices::sr25519_verify(PAYLOAD).ref_time
}

fn get(bytes: u32) -> u64 {
    prices::get_storage(bytes).ref_time
}

fn set(new: u32, old: u32) -> u64 {
    prices::set_storage(new, old).ref_time
}

fn clear(bytes: u32) -> u64 {
    prices::clear_storage(bytes).ref_time
}

/// Where the weight of each row goes, as a Markdown table in shares of it. `dearer` are the same rows where instructions cost
/// twice as much, and `code` the bytes of the contract's code.
pub fn shares(rows: &[Row], dearer: &[Row], code: u32) -> String {
    let mut text = String::from(
        "| Message | Case | Channels | Floor | Root cell | Code | Instructions | Everything else |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for (row, dearer) in rows.iter().zip(dearer) {
        let total = row.receipt.weight.ref_time;
        let instructions = dearer.receipt.weight.ref_time.saturating_sub(total);
        let parts = [row.floor, get(ROOT), prices::code(code).ref_time, instructions];
        let rest = parts.iter().fold(total, |rest, part| rest.saturating_sub(*part));
        let [floor, root, code, instructions] = parts.map(|part| share(part, total));
        let Row { message, case, channels, .. } = row;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{message}` | {case} | {channels} | {floor} | {root} | {code} | {instructions} | {} |",
            share(rest, total)
        );
    }
    text
}

fn share(part: u64, total: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / total as f64)
}

/// The rows as a Markdown table.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| Message | Case | Parties | Channels | ref_time (ps) | proof_size (B) | Storage deposit (planck) | Floor (ps) | Ratio |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let Row { message, case, parties, channels, receipt, floor } = row;
        let (weight, deposit, ratio) = (receipt.weight, receipt.storage_deposit, row.ratio());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{message}` | {case} | {parties} | {channels} | {} | {} | {deposit} | {floor} | {ratio:.2} |",
            weight.ref_time, weight.proof_size
        );
    }
    text
}
