//! Calls of the greatest size, at their worst: they execute, in a block and in the contract's memory (rule U1), and a
//! channel more is refused by name.

use super::*;
use crate::token::{Behave, Conduct};
use chain::{
    contract::Event,
    costs::{members, users, Channel},
};
use devchain::Weight;
use protocol::abi::DepositPsp22;

/// What a call for one channel may weigh: a block takes calls by their limits.
const SMALL: Weight = Weight { ref_time: 6_000_000_000, proof_size: 1 << 20 };

/// Users, two a channel, none of whom owns another one.
const USERS: usize = 2 * MAX_CHANNELS;

/// Channels of a bench's users.
struct Crowd {
    bench: Bench<Devchain>,
    /// Ascending.
    channels: Vec<Channel>,
}

fn many(number: usize) -> Vec<Keys> {
    let mut users: Vec<_> = (0..number).map(|index| Keys::from_suri(&format!("//user{index}")).unwrap()).collect();
    users.sort_by_key(Keys::account);
    users
}

impl Crowd {
    fn new(users: usize) -> Self {
        let users = many(users);
        let endowed: Vec<_> = users.iter().map(|keys| (*keys.account().as_ref(), 1_000 * UNIT)).collect();
        let bench = Bench::with_users(Devchain::with_accounts(&endowed), users).unwrap();
        Self { bench, channels: vec![] }
    }

    /// As many channels of a token as a call names, all parts of splits, whose owners are all different: none has a longer
    /// proof. Who they are is told last: the token, and the channel that the first of them is a part of.
    fn of_strangers() -> (Self, Channel) {
        let mut crowd = Self::new(USERS);
        let alice = Keys::from_suri("//Alice").unwrap();
        // It gives everybody something without a transfer and an approval each.
        let token = Token::deploy(&mut crowd.bench.chain, &alice, 1, 0).unwrap();
        let lies = Behave { conduct: Conduct::Lies(1_000), when_asked: false };
        token.call(&mut crowd.bench.chain, &alice, &lies).unwrap();
        let asset = Asset::Psp22(token.account);
        let deposit = DepositPsp22 { token: token.account, amount: 1 }.call_data(&Native);
        let pairs: Vec<_> = (0..MAX_CHANNELS).map(|index| [2 * index, 2 * index + 1]).collect();
        crowd.call_all(&pairs.iter().map(|pair| (pair[0], deposit.clone())).collect::<Vec<_>>());
        let valid_until = u64::MAX;
        let (mut creations, mut splits, mut wholes) = (vec![], vec![], vec![]);
        for pair in pairs {
            let parties = pair.map(|user| crowd.bench.users[user].account());
            let creation =
                TpcCreation { parties, nonce: 0, asset, balances: [1_000, 0], window: MIN_WINDOW, valid_until };
            let signatures = pair.map(|user| crowd.bench.sign(user, Action::CreateTpc(&creation)));
            creations.push((pair[0], CreateTpc { creation, signatures }.call_data(&Native)));
            let whole = Entry { tpc: creation.id(&Native), epoch: 0, version: 1, balances: [1_000, 0] };
            let split = TpcSplit { last: vec![whole], parts: vec![[1, 0], [999, 0]], valid_until };
            let signatures = pair.map(|user| crowd.bench.sign(user, Action::SplitTpc(&split)));
            splits.push((pair[0], SplitTpc { split, signatures }.call_data(&Native)));
            let owners = creation.owners();
            let part = owners.part(whole.tpc, 0, 1);
            let entry = Entry { tpc: part.tpc(&Native), epoch: 0, version: 0, balances: [999, 0] };
            crowd.channels.push(Channel { users: pair, owners: part, entry, registrations: 0 });
            let entry = Entry { epoch: 1, version: 0, balances: [1, 0], ..whole };
            wholes.push(Channel { users: pair, owners, entry, registrations: 0 });
        }
        crowd.call_all(&creations);
        crowd.call_all(&splits);
        crowd.channels.sort_by_key(|channel| channel.entry.tpc);
        (crowd, wholes[0])
    }

    /// As many channels of two users as a call names.
    fn of_a_pair() -> Self {
        let mut crowd = Self::new(2);
        let total = MAX_CHANNELS as Balance;
        let create = crowd.bench.creation([0, 1], 0, [total * UNIT, 0]).unwrap();
        crowd.bench.call(0, total * UNIT, &create).unwrap();
        let entry = Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: [total * UNIT, 0] };
        crowd.channels = vec![Channel { users: [0, 1], owners: create.creation.owners(), entry, registrations: 0 }];
        while crowd.channels.len() < MAX_CHANNELS {
            let mut splits = vec![];
            for whole in std::mem::take(&mut crowd.channels) {
                let part = [whole.entry.balances[0] / MAX_PARTS as Balance, 0];
                let last = whole.next().entry;
                let split = TpcSplit { last: vec![last], parts: vec![part; MAX_PARTS], valid_until: u64::MAX };
                let signatures = [0, 1].map(|user| crowd.bench.sign(user, Action::SplitTpc(&split)));
                splits.push((0, SplitTpc { split, signatures }.call_data(&Native)));
                let first = Entry { balances: part, ..later(last) };
                crowd.channels.push(Channel { entry: first, ..whole });
                for index in 1..MAX_PARTS as u8 {
                    let owners = whole.owners.part(last.tpc, last.epoch, index);
                    let entry = Entry { tpc: owners.tpc(&Native), epoch: 0, version: 0, balances: part };
                    crowd.channels.push(Channel { owners, entry, ..whole });
                }
            }
            crowd.call_all(&splits);
        }
        crowd.channels.sort_by_key(|channel| channel.entry.tpc);
        crowd
    }

    fn fork(&mut self) -> Self {
        Self { bench: self.bench.fork(), channels: self.channels.clone() }
    }

    /// Makes small calls, each of which is accepted, in as few blocks as take them.
    fn call_all(&mut self, calls: &[(usize, Vec<u8>)]) {
        let Bench { chain, contract, users, .. } = &mut self.bench;
        let contract = *contract.account.as_ref();
        let mut next = 0;
        while next < calls.len() {
            let transactions = calls[next..].iter().map(|(user, data)| {
                let data = data.clone();
                (&users[*user], Call::Call { contract, value: 0, gas_limit: SMALL, storage_deposit_limit: None, data })
            });
            let receipts: Vec<_> = chain.submit_all(transactions).into_iter().map_while(Result::ok).collect();
            assert!(!receipts.is_empty(), "a block takes one call at least");
            for receipt in &receipts {
                assert_eq!(receipt.result, Ok(()));
            }
            next += receipts.len();
        }
    }

    /// Makes a call of the greatest size, with the gas that it needs, and says what it weighs.
    fn call<T: Decode + PartialEq + std::fmt::Debug, M: Message<Output = Result<T, Error>>>(
        &mut self,
        case: &str,
        by: usize,
        message: &M,
        answer: T,
    ) -> Vec<Event> {
        let data = message.call_data(&Native);
        let (bytes, called) = (data.len(), self.bench.call(by, 0, message));
        let called = called.unwrap_or_else(|error| panic!("{} {case}: {error}", M::NAME));
        assert_eq!(called.answer, answer, "{} {case}", M::NAME);
        let Receipt { weight, storage_deposit, .. } = called.receipt;
        println!(
            "{:<11} {case:<44} {bytes:>6} B, ref_time {:>15}, proof_size {:>9}, deposit {storage_deposit}",
            M::NAME,
            weight.ref_time,
            weight.proof_size
        );
        called.events
    }

    fn refusal<T: Decode, M: Message<Output = Result<T, Error>>>(&mut self, by: usize, message: &M) -> Error {
        match self.bench.call(by, 0, message).map(drop) {
            Err(CallError::Contract(error)) => error,
            other => panic!("the contract must refuse by itself: {other:?}"),
        }
    }

    /// The update that moves all channels to their next states.
    fn update(&mut self) -> UpdateChannels {
        self.channels.iter_mut().for_each(|channel| *channel = channel.next());
        let SignedUpdate { update, owners, signatures } = self.bench.signed(&self.channels);
        UpdateChannels { update, owners, signatures }
    }

    /// Lets each channel be disputed by its first owner.
    fn dispute_all(&mut self, then: Resolution) {
        let dispute = |channel: &Channel| {
            let message = DisputeChannels { channels: vec![channel.entry.tpc], then };
            (channel.users[0], message.call_data(&Native))
        };
        let calls: Vec<_> = self.channels.iter().map(dispute).collect();
        self.call_all(&calls);
    }

    /// The time at which the last of the channels' windows is over, and so many more.
    fn wait(&mut self, windows: Window) {
        self.bench.chain.advance(windows * MIN_WINDOW);
        self.bench.chain.submit(&self.bench.users[0], Call::Remark).unwrap();
        let ids = self.channels.iter().map(|channel| channel.entry.tpc);
        for id in ids {
            let tpc = self.bench.query(&GetTpc { id }).unwrap().unwrap();
            assert!(tpc.dispute.is_none_or(|dispute| tpc.is_due(dispute.deadline + 1)));
        }
    }

    /// The channels after they were renewed.
    fn renew(&mut self) {
        self.channels.iter_mut().for_each(|channel| channel.entry = later(channel.entry));
    }
}

#[test]
fn an_update_of_the_most_channels_executes_when_all_owners_differ_and_nothing_of_a_renewal_is_written() {
    let (mut crowd, _) = Crowd::of_strangers();
    let own = |channel: &Channel| (channel.users[0], vec![*channel]);
    // Each channel in a group of its own, so that it is as long as it can be.
    let groups: Vec<_> = crowd.channels.iter().map(own).collect();
    let mut registrations = vec![];
    for (user, channels) in groups {
        let creation = MpcCreation { members: members(&channels), valid_until: u64::MAX };
        let signatures = crowd.bench.sign_all(users(&channels), Action::CreateMpc(&creation));
        registrations.push((user, CreateMpc { creation, signatures }.call_data(&Native)));
    }
    crowd.call_all(&registrations);
    let count = MAX_CHANNELS as u32;
    let update = crowd.update();
    crowd.call("of strangers", 0, &update, count);
    crowd.dispute_all(Renew);
    let update = crowd.update();
    crowd.call("of strangers, disputed", 0, &update, count);
    crowd.wait(1);
    crowd.renew();

    let mut one_by_one = crowd.fork();
    one_by_one.channels.iter_mut().for_each(|channel| *channel = channel.next());
    let updates = one_by_one.channels.chunks(1).map(|channel| one_by_one.bench.signed(channel)).collect();
    one_by_one.call("of strangers, each renewed, unwritten", 0, &UpdateAll { updates }, count);

    let update = crowd.update();
    let events = crowd.call("of strangers, each renewed, unwritten", 0, &update, count);
    // An event holds fewer channels than that: it takes two to tell of them all.
    let told: Vec<_> = events
        .iter()
        .flat_map(|event| match event {
            Event::Updated(updated) => updated.entries.clone(),
            other => panic!("an update tells of nothing else: {other:?}"),
        })
        .collect();
    assert_eq!((events.len(), told), (2, update.update.entries));
    for channel in &crowd.channels {
        let Entry { tpc: id, epoch, version, .. } = channel.entry;
        let (chain, contract) = (&mut crowd.bench.chain, &crowd.bench.contract);
        assert_eq!(block_on(contract.query(chain, &GetTpc { id })).unwrap().unwrap().order(), (epoch, version));
        assert_eq!(block_on(contract.query(chain, &GetEnded { id, epoch: 0 })).unwrap(), Some(2));
    }

    // A stranger settles them all: each ends another group and pays two ledgers.
    crowd.dispute_all(Settle);
    let update = crowd.update();
    crowd.call("of strangers, disputed again", 0, &update, count);
    crowd.wait(2);
    let stranger = crowd.bench.users.len();
    crowd.bench.users.push(Keys::from_suri("//Bob").unwrap());
    let settle = SettleChannels { channels: crowd.channels.iter().map(|channel| channel.entry.tpc).collect() };
    crowd.call("by a stranger, each the last of its group", stranger, &settle, count);
}

#[test]
fn registrations_of_the_most_channels_execute_when_all_owners_differ() {
    let (mut crowd, host) = Crowd::of_strangers();
    let valid_until = u64::MAX;
    let everybody = || 0..USERS;

    let creation = MpcCreation { members: members(&crowd.channels), valid_until };
    let mpc = creation.id(&Native, &crowd.bench.domain);
    let signatures = crowd.bench.sign_all(everybody(), Action::CreateMpc(&creation));
    crowd.call("of strangers", 0, &CreateMpc { creation, signatures }, mpc);
    crowd.channels.iter_mut().for_each(|channel| channel.registrations += 1);

    let close = MpcClose { mpc, members: members(&crowd.channels), valid_until };
    let signatures = crowd.bench.sign_all(everybody(), Action::CloseMpc(&close));
    crowd.call("of strangers", 0, &CloseMpc { close, signatures }, ());
    crowd.channels.iter_mut().for_each(|channel| channel.registrations += 1);

    let creation = MpcCreation { members: members(&[host]), valid_until };
    let mpc = creation.id(&Native, &crowd.bench.domain);
    let signatures = crowd.bench.sign_all(host.users, Action::CreateMpc(&creation));
    crowd.bench.call(0, 0, &CreateMpc { creation, signatures }).unwrap();
    let join = MpcJoin { mpc, host: host.entry.tpc, members: members(&crowd.channels), valid_until };
    let signatures = crowd.bench.sign_all(everybody(), Action::JoinMpc(&join));
    crowd.call("of strangers", 0, &JoinMpc { join, signatures }, ());
    crowd.channels.iter_mut().for_each(|channel| channel.registrations += 1);

    // A group may be larger than a call: it parts in several.
    let all = sorted_channels([&crowd.channels[..], &[Channel { registrations: 1, ..host }]].concat());
    let close = MpcClose { mpc, members: members(&all), valid_until };
    let signatures = crowd.bench.sign_all(everybody(), Action::CloseMpc(&close));
    assert_eq!(crowd.refusal(0, &CloseMpc { close, signatures }), Error::TooManyChannels);

    let leave = MpcLeave { mpc, members: members(&crowd.channels), valid_until };
    let signatures = crowd.bench.sign_all(everybody(), Action::LeaveMpc(&leave));
    crowd.call("of strangers", 0, &LeaveMpc { leave, signatures }, ());
    let left = crowd.bench.query(&GetMpc { id: mpc }).unwrap();
    assert_eq!(left.map(|mpc| mpc.channels), Some(1));
}

fn sorted_channels(mut channels: Vec<Channel>) -> Vec<Channel> {
    channels.sort_by_key(|channel| channel.entry.tpc);
    channels
}

#[test]
fn an_owner_disputes_and_settles_the_most_channels_at_once() {
    let mut crowd = Crowd::of_a_pair();
    let count = MAX_CHANNELS as u32;
    let mut channels = crowd.channels.clone();
    crowd.bench.register(&mut channels).unwrap();
    crowd.channels = channels;
    let all: Vec<_> = crowd.channels.iter().map(|channel| channel.entry.tpc).collect();
    let dispute = |then| DisputeChannels { channels: all.clone(), then };
    crowd.call("to renew", 0, &dispute(Renew), count);
    let update = crowd.update();
    crowd.call("of a pair, disputed", 0, &update, count);
    crowd.wait(1);
    crowd.renew();
    crowd.call("to settle, each renewed, unwritten", 1, &dispute(Settle), count);
    crowd.channels.iter_mut().for_each(|channel| *channel = channel.next());
    let updates = crowd.channels.chunks(1).map(|channel| crowd.bench.signed(channel)).collect();
    crowd.call("of a pair, disputed", 0, &UpdateAll { updates }, count);
    crowd.wait(1);
    let before = crowd.bench.chain.free_balance(*crowd.bench.users[0].account().as_ref());
    crowd.call("by an owner", 1, &SettleChannels { channels: all }, count);
    let after = crowd.bench.chain.free_balance(*crowd.bench.users[0].account().as_ref());
    assert_eq!(after - before, MAX_CHANNELS as Balance * UNIT);
}

#[test]
fn a_call_that_names_one_channel_too_many_is_refused() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let number = |index: usize| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(index as u64).to_be_bytes());
        TpcId(id)
    };
    let channels: Vec<_> = (0..=MAX_CHANNELS).map(number).collect();
    let too_many = Err(Error::TooManyChannels);
    assert_eq!(w.send(ANN, &DisputeChannels { channels: channels.clone(), then: Settle }), too_many);
    assert_eq!(w.send(ANN, &SettleChannels { channels: channels.clone() }), too_many);
    let entries: Vec<_> = channels.iter().map(|tpc| Entry { tpc: *tpc, ..next(ab, [4, 4]) }).collect();
    let owners = vec![w.owners(ab); entries.len()];
    let update = Update { entries: entries.clone() };
    assert_eq!(w.bring(&UpdateChannels { update, owners, signatures: vec![] }), too_many);
    let one = w.signed(&[next(ab, [3, 5])]);
    assert_eq!(w.bring(&UpdateAll { updates: vec![one.clone(); MAX_CHANNELS + 1] }), too_many);
    let members: Vec<_> = channels.iter().map(|tpc| Member { tpc: *tpc, registrations: 0 }).collect();
    let (mpc, host, valid_until) = (MpcId([0; 32]), ab.tpc, w.later());
    let creation = MpcCreation { members: members.clone(), valid_until };
    assert_eq!(w.bring(&CreateMpc { creation, signatures: vec![] }), too_many);
    let join = MpcJoin { mpc, host, members: members.clone(), valid_until };
    assert_eq!(w.bring(&JoinMpc { join, signatures: vec![] }), too_many);
    let leave = MpcLeave { mpc, members, valid_until };
    assert_eq!(w.send(ANN, &LeaveMpc { leave, signatures: vec![] }), too_many);
    // As many as are allowed are looked at one by one: so many copies of one update are one that counts.
    assert_eq!(w.call(EVE, 0, &UpdateAll { updates: vec![one; MAX_CHANNELS] }).unwrap().answer, 1);
}
