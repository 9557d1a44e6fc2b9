//! What each of the contract's messages costs on a chain, beside the floor: the host functions that the work cannot
//! avoid (signatures, storage, transfers) at pallet-contracts' published weights.

use crate::{
    chain::{Chain, ChainError, Receipt, UNIT},
    contract::{Bundle, CallError, Called, Contract},
    keys::{Keys, Native},
};
use codec::Decode;
use devchain::{prices, Devchain};
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DisputeMpc, DisputeTpc, GetDomain, GetMpc, GetTpc, JoinMpc,
        LeaveMpc, Message, SettleMpc, SettleTpc, SplitTpc, TopUpTpc, UpdateMpc, UpdateTpc, Withdraw, WithdrawTpc,
    },
    state::MIN_WINDOW,
    AccountId, Action, Balance, Domain, Entry, Error, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, MpcUpdate,
    PartySignature, Signature, Timestamp, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal,
};
use std::fmt::Write;

/// The group sizes that the table shows.
pub const SIZES: [usize; 6] = [2, 3, 10, 50, 100, 256];

/// Encoded sizes in the contract's storage, in bytes.
const LEDGER: u32 = 16;
const NONCE: u32 = 8;
const TPC_ALONE: u32 = 119;
const TPC_BUSY: u32 = 151;
/// A part of a split channel.
const TPC_PART: u32 = 124;
const TPC_DISPUTED: u32 = 127;
const MPC: u32 = 13;
const MPC_DISPUTED: u32 = 21;
/// A signature is over a 32-byte payload.
const PAYLOAD: u32 = 32;

/// One message at one group size.
#[derive(Clone, Debug)]
pub struct Row {
    /// The contract's message.
    pub message: &'static str,
    /// How many users the group has.
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

/// A deployment with funded users, who sign what they are told to.
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
            chain.transfer(&alice, user.account(), 700 * UNIT)?;
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
        let (contract, _) = Contract::deploy(&mut chain, &alice, &bundle)?;
        let domain = contract.query(&mut chain, &GetDomain {})?;
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
        self.contract.call(&mut self.chain, &keys, value, message)
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
        Ok(self.chain.time()?.saturating_add(1_000_000_000))
    }

    /// Waits until a deadline has passed; //Alice pays for the blocks.
    fn wait_until(&mut self, deadline: Option<Timestamp>) -> Result<(), ChainError> {
        let alice = Keys::from_suri("//Alice").expect("a derivation path is a valid seed; qed");
        deadline.map_or(Ok(()), |deadline| self.chain.wait_until(&alice, deadline))
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
        let creation = TpcCreation { parties, nonce, balances, window: MIN_WINDOW, valid_until: self.later()? };
        let signatures = [a, b].map(|index| self.sign(index, Action::CreateTpc(&creation)));
        Ok(CreateTpc { creation, signatures })
    }

    /// Opens the channels between the users at `pairs`, with 1 UNIT on each side, and answers them in ascending order.
    ///
    /// # Errors
    /// If the contract refuses.
    pub fn open(&mut self, pairs: &[[usize; 2]]) -> Result<(Vec<Entry>, Vec<Receipt>), CallError> {
        let mut entries = vec![];
        let mut receipts = vec![];
        for index in 0..self.users.len() {
            let sides = pairs.iter().filter(|pair| pair.contains(&index)).count();
            receipts.push(self.call(index, sides as Balance * UNIT + 2 * UNIT, &Deposit {})?.receipt);
        }
        for pair in pairs {
            let create = self.creation(*pair, 0, [UNIT, UNIT])?;
            let called = self.call(pair[0], 0, &create)?;
            entries.push(Entry { tpc: called.answer, epoch: 0, version: 0, balances: [UNIT, UNIT] });
            receipts.push(called.receipt);
        }
        entries.sort_by_key(|entry| entry.tpc);
        Ok((entries, receipts))
    }

    /// Braids channels into a multi-party channel of all users.
    ///
    /// # Errors
    /// If the contract refuses.
    pub fn braid(&mut self, entries: &[Entry]) -> Result<Called<MpcId>, CallError> {
        let entries = entries.iter().map(|entry| Entry { epoch: entry.epoch + 1, version: 0, ..*entry }).collect();
        let creation = MpcCreation { entries, window: MIN_WINDOW, valid_until: self.later()? };
        let signatures = self.sign_all(0..self.users.len(), Action::CreateMpc(&creation));
        self.call(0, 0, &CreateMpc { creation, signatures })
    }
}

/// `parties` users in a ring of as many channels (two users share one).
pub fn ring(parties: usize) -> Vec<[usize; 2]> {
    let next = (0..parties).map(|index| (index, (index + 1) % parties));
    let mut pairs: Vec<_> = next.map(|(a, b)| [a.min(b), a.max(b)]).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Measures every message: those about one channel once, those about a group at each of `sizes`. Each group has a
/// `bench` of its own, for as many parties as it is asked for.
///
/// # Errors
/// If the contract refuses.
pub fn measure<C: Chain>(
    sizes: &[usize],
    mut bench: impl FnMut(usize) -> Result<Bench<C>, CallError>,
) -> Result<Vec<Row>, CallError> {
    let mut pair = bench(2)?;
    let (mut rows, disputed) = measure_tpc(&mut pair)?;
    let mut groups = vec![];
    for parties in sizes {
        let mut bench = bench(*parties)?;
        let (rows, mpc) = measure_mpc(&mut bench)?;
        groups.push((bench, rows, mpc));
    }
    // All disputes are over at about the same time, so that a chain whose clock is real is waited for once.
    rows.push(settle_tpc(&mut pair, disputed)?);
    for (mut bench, of_group, mpc) in groups {
        rows.extend(of_group);
        rows.push(settle_mpc(&mut bench, mpc)?);
    }
    Ok(rows)
}

/// The rows of a channel, and the channel that they leave in a dispute.
fn measure_tpc(bench: &mut Bench<impl Chain>) -> Result<(Vec<Row>, TpcId), CallError> {
    let (entries, receipts) = bench.open(&[[0, 1]])?;
    let verify = 2 * verify();
    let mut rows = vec![
        row("deposit", 2, 0, receipts[0].clone(), get(0) + set(LEDGER, 0)),
        row(
            "create_tpc",
            2,
            1,
            receipts[2].clone(),
            verify + 2 * (get(LEDGER) + set(LEDGER, LEDGER)) + get(0) + set(NONCE, 0) + set(TPC_ALONE, 0),
        ),
    ];
    let entry = Entry { version: 1, ..entries[0] };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::UpdateTpc(&entry)));
    let updated = bench.call(0, 0, &UpdateTpc { entry, signatures })?;
    rows.push(row("update_tpc", 2, 1, updated.receipt, verify + get(TPC_ALONE) + set(TPC_ALONE, TPC_ALONE)));
    let close = TpcClose { last: Entry { version: 2, ..entry }, valid_until: bench.later()? };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::CloseTpc(&close)));
    let closed = bench.call(0, 0, &CloseTpc { close, signatures })?;
    let floor = verify + get(TPC_ALONE) + clear(TPC_ALONE) + 2 * prices::transfer().ref_time;
    rows.push(row("close_tpc", 2, 1, closed.receipt, floor));
    let withdrawn = bench.call(0, 0, &Withdraw { amount: 2 * UNIT })?;
    let floor = get(LEDGER) + clear(LEDGER) + prices::transfer().ref_time;
    rows.push(row("withdraw", 2, 0, withdrawn.receipt, floor));

    for user in [0, 1] {
        bench.call(user, 3 * UNIT, &Deposit {})?;
    }
    let create = bench.creation([0, 1], 1, [UNIT, UNIT])?;
    let tpc = bench.call(0, 0, &create)?.answer;
    let valid_until = bench.later()?;
    let snapshot = Entry { tpc, epoch: 1, version: 0, balances: [2 * UNIT, UNIT] };
    let top_up = TpcTopUp { snapshot, added: [UNIT, 0], valid_until };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::TopUpTpc(&top_up)));
    let topped_up = bench.call(0, 0, &TopUpTpc { top_up, signatures })?;
    let moved = verify + get(TPC_ALONE) + set(TPC_ALONE, TPC_ALONE);
    rows.push(row("top_up_tpc", 2, 1, topped_up.receipt, moved + get(LEDGER) + set(LEDGER, LEDGER)));

    let snapshot = Entry { epoch: 2, balances: [UNIT, UNIT], ..snapshot };
    let withdrawal = TpcWithdrawal { snapshot, amounts: [UNIT, 0], valid_until };
    let signatures = [0, 1].map(|index| bench.sign(index, Action::WithdrawTpc(&withdrawal)));
    let withdrawn = bench.call(0, 0, &WithdrawTpc { withdrawal, signatures })?;
    rows.push(row("withdraw_tpc", 2, 1, withdrawn.receipt, moved + prices::transfer().ref_time));

    let half = [UNIT / 2, UNIT / 2];
    let divide = |bench: &mut Bench<_>, epoch, parts| {
        let split = TpcSplit { tpc, epoch, parts };
        let signatures = [0, 1].map(|index| bench.sign(index, Action::SplitTpc(&split)));
        bench.call(0, 0, &SplitTpc { split, signatures })
    };
    let divided = divide(bench, 3, vec![half, half])?;
    let floor = verify + get(TPC_ALONE) + set(TPC_PART, TPC_ALONE) + set(TPC_PART, 0);
    rows.push(row("split_tpc", 2, 2, divided.receipt, floor));
    divide(bench, 4, vec![[UNIT, UNIT]])?;

    let disputed = bench.call(0, 0, &DisputeTpc { id: tpc })?;
    rows.push(row("dispute_tpc", 2, 1, disputed.receipt, get(TPC_ALONE) + set(TPC_DISPUTED, TPC_ALONE)));
    Ok((rows, tpc))
}

fn settle_tpc(bench: &mut Bench<impl Chain>, id: TpcId) -> Result<Row, CallError> {
    let tpc = bench.contract.query(&mut bench.chain, &GetTpc { id })?;
    bench.wait_until(tpc.and_then(|tpc| tpc.deadline))?;
    let settled = bench.call(0, 0, &SettleTpc { id })?;
    let floor = get(TPC_DISPUTED) + clear(TPC_DISPUTED) + 2 * prices::transfer().ref_time;
    Ok(row("settle_tpc", 2, 1, settled.receipt, floor))
}

fn settle_mpc(bench: &mut Bench<impl Chain>, id: MpcId) -> Result<Row, CallError> {
    let mpc = bench.contract.query(&mut bench.chain, &GetMpc { id })?;
    bench.wait_until(mpc.and_then(|mpc| mpc.deadline))?;
    let settled = bench.call(0, 0, &SettleMpc { id })?;
    Ok(row("settle_mpc", bench.users.len(), 0, settled.receipt, get(MPC_DISPUTED) + clear(MPC_DISPUTED)))
}

/// The rows of a group, and the group that they leave in a dispute.
fn measure_mpc(bench: &mut Bench<impl Chain>) -> Result<(Vec<Row>, MpcId), CallError> {
    let parties = bench.users.len();
    let pairs = ring(parties);
    let (entries, _) = bench.open(&pairs)?;
    let (all, channels) = (verify() * parties as u64, entries.len());
    let each = |floor: u64| floor * channels as u64;

    let created = bench.braid(&entries)?;
    let mpc = created.answer;
    let floor = all + each(get(TPC_ALONE) + set(TPC_BUSY, TPC_ALONE)) + set(MPC, 0);
    let mut rows = vec![row("create_mpc", parties, channels, created.receipt, floor)];

    let entries: Vec<_> = entries.iter().map(|entry| Entry { epoch: 1, version: 1, ..*entry }).collect();
    let update = MpcUpdate { mpc, entries };
    let signatures = bench.sign_all(0..parties, Action::UpdateMpc(&update));
    let updated = bench.call(0, 0, &UpdateMpc { update: update.clone(), signatures, gone: vec![] })?;
    let floor = all + get(MPC) + each(get(TPC_BUSY) + set(TPC_BUSY, TPC_BUSY));
    rows.push(row("update_mpc", parties, channels, updated.receipt, floor));

    let entry = Entry { version: 2, ..update.entries[0] };
    let one = MpcUpdate { mpc, entries: vec![entry] };
    let id = |pair: &[usize; 2]| TpcId::of(&Native, &pair.map(|index| bench.users[index].account()), 0);
    let owners = pairs.iter().find(|pair| id(pair) == entry.tpc).copied().unwrap_or_default();
    let beside = pairs.iter().find(|pair| id(pair) != entry.tpc && pair.iter().any(|user| owners.contains(user)));
    let beside = beside.map(id);
    let signatures = bench.sign_all(owners, Action::UpdateMpc(&one));
    let updated = bench.call(0, 0, &UpdateMpc { update: one, signatures, gone: vec![] })?;
    let floor = 2 * verify() + get(MPC) + get(TPC_BUSY) + set(TPC_BUSY, TPC_BUSY);
    rows.push(row("update_mpc", parties, 1, updated.receipt, floor));

    let mut last: Vec<_> = update.entries.iter().map(|entry| Entry { version: entry.version + 2, ..*entry }).collect();
    // Where there is another channel that stays, and through which it comes back.
    if let Some(member) = beside {
        let leave = MpcLeave { mpc, entries: vec![entry], valid_until: bench.later()? };
        let signatures = bench.sign_all(owners, Action::LeaveMpc(&leave));
        let left = bench.call(0, 0, &LeaveMpc { leave, signatures })?;
        let counted = get(MPC) + set(MPC, MPC);
        let floor = 2 * verify() + counted + get(TPC_BUSY) + set(TPC_ALONE, TPC_BUSY);
        rows.push(row("leave_mpc", parties, 1, left.receipt, floor));

        let entries = vec![Entry { epoch: 2, version: 0, ..entry }];
        last[0] = Entry { version: 1, ..entries[0] };
        let join = MpcJoin { mpc, member, entries, valid_until: bench.later()? };
        let signatures = bench.sign_all(owners, Action::JoinMpc(&join));
        let joined = bench.call(0, 0, &JoinMpc { join, signatures })?;
        let floor = 2 * verify() + counted + get(TPC_BUSY) + get(TPC_ALONE) + set(TPC_BUSY, TPC_ALONE);
        rows.push(row("join_mpc", parties, 1, joined.receipt, floor));
    }

    let close = MpcClose { mpc, entries: last.clone(), valid_until: bench.later()? };
    let signatures = bench.sign_all(0..parties, Action::CloseMpc(&close));
    let closed = bench.call(0, 0, &CloseMpc { close, signatures })?;
    let floor = all + get(MPC) + clear(MPC) + each(get(TPC_BUSY) + set(TPC_BUSY, TPC_BUSY));
    rows.push(row("close_mpc", parties, channels, closed.receipt, floor));

    let mpc = bench.braid(&last)?.answer;
    let dispute = DisputeMpc { id: mpc, member: entry.tpc, exits: vec![] };
    let disputed = bench.call(owners[0], 0, &dispute)?;
    let floor = get(MPC) + get(TPC_BUSY) + set(MPC_DISPUTED, MPC);
    rows.push(row("dispute_mpc", parties, 0, disputed.receipt, floor));
    Ok((rows, mpc))
}

fn row(message: &'static str, parties: usize, channels: usize, receipt: Receipt, host_functions: u64) -> Row {
    Row { message, parties, channels, receipt, floor: prices::call().ref_time + host_functions }
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

/// The rows as a Markdown table.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| Message | Parties | Channels | ref_time (ps) | proof_size (B) | Storage deposit (planck) | Floor (ps) | Ratio |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let Row { message, parties, channels, receipt, floor } = row;
        let (weight, deposit, ratio) = (receipt.weight, receipt.storage_deposit, row.ratio());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{message}` | {parties} | {channels} | {} | {} | {deposit} | {floor} | {ratio:.2} |",
            weight.ref_time, weight.proof_size
        );
    }
    text
}
