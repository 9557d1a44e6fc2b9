//! Random sequences of good and hostile calls against the compiled contract, beside a plain model of it.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use braid::{
    contract::{CallError, Event},
    costs::Bench,
};
use devchain::{Devchain, UNIT};
use proptest::{prelude::*, sample::Index};
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, GetMpc, GetTpc, LedgerBalance, NextNonce, UpdateMpc,
        UpdateTpc, Withdraw,
    },
    AccountId, Action, Balance, Domain, Entry, Error, Mpc, MpcClose, MpcCreation, MpcId, MpcUpdate, PartySignature,
    Signature, Tpc, TpcClose, TpcCreation, TpcId,
};
use std::collections::{BTreeMap, BTreeSet};

const USERS: usize = 4;
const PAIRS: [[usize; 2]; 6] = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]];

/// What is wrong with a call, if anything. Some do not apply to some calls, which are then good ones.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    WrongSigner,
    MissingSigner,
    ForeignParty,
    OtherDomain,
    OtherAction,
    StaleVersion,
    WrongEpoch,
    BrokenSum,
    Overflow,
    DuplicateTpc,
    DuplicateParty,
    NoEntries,
    UnknownTpc,
    Expired,
    Replay,
}

use Flaw::*;

const FLAWS: [Flaw; 15] = [
    WrongSigner,
    MissingSigner,
    ForeignParty,
    OtherDomain,
    OtherAction,
    StaleVersion,
    WrongEpoch,
    BrokenSum,
    Overflow,
    DuplicateTpc,
    DuplicateParty,
    NoEntries,
    UnknownTpc,
    Expired,
    Replay,
];

#[derive(Clone, Debug)]
enum Step {
    Deposit { user: usize, amount: Balance },
    Withdraw { user: usize, amount: Balance },
    Create { pair: usize, balances: [Balance; 2], flaw: Flaw },
    Update { at: Index, shift: Balance, flaw: Flaw },
    Close { at: Index, flaw: Flaw },
    Braid { mask: u8, flaw: Flaw },
    Pay { at: Index, mask: u8, shift: Balance, flaw: Flaw },
    Unbraid { at: Index, shift: Balance, flaw: Flaw },
}

fn flaw() -> impl Strategy<Value = Flaw> {
    prop_oneof![3 => Just(None), 2 => proptest::sample::select(FLAWS.to_vec())]
}

fn step() -> impl Strategy<Value = Step> {
    let amount = prop_oneof![9 => 0..20 * UNIT, 1 => Just(Balance::MAX)];
    let part = 0..6 * UNIT;
    prop_oneof![
        1 => (0..USERS, 0..20 * UNIT).prop_map(|(user, amount)| Step::Deposit { user, amount }),
        1 => (0..USERS, amount).prop_map(|(user, amount)| Step::Withdraw { user, amount }),
        4 => (0..PAIRS.len(), [part.clone(), part.clone()], flaw())
            .prop_map(|(pair, balances, flaw)| Step::Create { pair, balances, flaw }),
        2 => (any::<Index>(), part.clone(), flaw()).prop_map(|(at, shift, flaw)| Step::Update { at, shift, flaw }),
        2 => (any::<Index>(), flaw()).prop_map(|(at, flaw)| Step::Close { at, flaw }),
        3 => (any::<u8>(), flaw()).prop_map(|(mask, flaw)| Step::Braid { mask, flaw }),
        3 => (any::<Index>(), any::<u8>(), part.clone(), flaw())
            .prop_map(|(at, mask, shift, flaw)| Step::Pay { at, mask, shift, flaw }),
        2 => (any::<Index>(), part, flaw()).prop_map(|(at, shift, flaw)| Step::Unbraid { at, shift, flaw }),
    ]
}

/// A channel with its pair of users and its state.
type Known = (TpcId, usize, Tpc);

/// The contract as a few maps and a few lines for each call, written apart from its rules.
#[derive(Clone, Default)]
struct Model {
    ledger: BTreeMap<usize, Balance>,
    nonces: BTreeMap<[usize; 2], u64>,
    tpcs: BTreeMap<TpcId, (usize, Tpc)>,
    mpcs: BTreeMap<MpcId, BTreeSet<TpcId>>,
}

struct Run {
    bench: Bench<Devchain>,
    model: Model,
    /// Everything that ever succeeded, to be tried again.
    history: Vec<Sent>,
}

#[derive(Clone)]
enum Sent {
    CreateTpc(CreateTpc),
    UpdateTpc(UpdateTpc),
    CloseTpc(CloseTpc),
    CreateMpc(CreateMpc),
    UpdateMpc(UpdateMpc),
    CloseMpc(CloseMpc),
}

type Outcome = Result<(), Error>;

impl Run {
    fn new(bench: Bench<Devchain>) -> Self {
        Self { bench, model: Model::default(), history: vec![] }
    }

    fn send(&mut self, sent: &Sent) -> Outcome {
        let by = 0;
        let bench = &mut self.bench;
        let outcome = match sent {
            Sent::CreateTpc(message) => bench.call(by, 0, message).map(|called| called.events),
            Sent::UpdateTpc(message) => bench.call(by, 0, message).map(|called| called.events),
            Sent::CloseTpc(message) => bench.call(by, 0, message).map(|called| called.events),
            Sent::CreateMpc(message) => bench.call(by, 0, message).map(|called| called.events),
            Sent::UpdateMpc(message) => bench.call(by, 0, message).map(|called| called.events),
            Sent::CloseMpc(message) => bench.call(by, 0, message).map(|called| called.events),
        };
        refused(outcome)
    }

    /// Sends a call, which must succeed exactly if `good`, and be refused the second time.
    fn expect(&mut self, sent: Sent, good: bool) {
        let outcome = self.send(&sent);
        assert_eq!(outcome.is_ok(), good, "{outcome:?}");
        if good {
            self.history.push(sent);
        }
    }

    /// Tries everything that ever succeeded again: none of it may succeed twice.
    fn replay(&mut self) {
        for sent in self.history.clone() {
            assert!(self.send(&sent).is_err(), "a call was good twice");
        }
    }

    fn account(&self, user: usize) -> AccountId {
        self.bench.users[user].account()
    }

    fn domain(&self, flaw: Flaw) -> Domain {
        let domain = self.bench.domain;
        if flaw == OtherDomain {
            Domain { contract: self.account(0), ..domain }
        } else {
            domain
        }
    }

    /// The users' signatures of an action, with the flaw.
    fn signatures(&self, users: &BTreeSet<usize>, action: Action, flaw: Flaw) -> Vec<PartySignature> {
        let action = if flaw == OtherAction { Action::UpdateTpc(&NOTHING) } else { action };
        let payload = action.payload(&braid::keys::Native, &self.domain(flaw));
        let mut users = users.clone();
        match flaw {
            MissingSigner => {
                users.pop_first();
            }
            ForeignParty => {
                let outsider = (0..USERS).find(|user| !users.contains(user));
                users.extend(outsider);
            }
            _ => {}
        }
        let sign = |(index, user): (usize, usize)| {
            let signer = if flaw == WrongSigner && index == 0 { (user + 1) % USERS } else { user };
            PartySignature { party: self.account(user), signature: self.bench.users[signer].sign(&payload) }
        };
        let mut signed: Vec<_> = users.into_iter().enumerate().map(sign).collect();
        if flaw == DuplicateParty {
            signed.extend(signed.last().copied());
        }
        signed
    }

    fn both(&self, pair: [usize; 2], action: Action, flaw: Flaw) -> [Signature; 2] {
        let flaw = if matches!(flaw, MissingSigner | ForeignParty) { WrongSigner } else { flaw };
        let signed = self.signatures(&pair.into(), action, flaw);
        [signed[0].signature, signed[1].signature]
    }

    fn tpc(&self, at: Index) -> Option<Known> {
        let all: Vec<_> = self.model.tpcs.iter().collect();
        let (id, (pair, tpc)) = all.get(at.index(all.len().max(1)))?;
        Some((**id, *pair, tpc.clone()))
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Deposit { user, amount } => {
                let outcome = refused(self.bench.call(user, amount, &Deposit {}).map(|called| called.events));
                assert_eq!(outcome.is_ok(), amount > 0, "{outcome:?}");
                *self.model.ledger.entry(user).or_default() += amount;
            }
            Step::Withdraw { user, amount } => {
                let held = self.model.ledger.entry(user).or_default();
                let outcome = refused(self.bench.call(user, 0, &Withdraw { amount }).map(|called| called.events));
                assert_eq!(outcome.is_ok(), amount > 0 && amount <= *held, "{outcome:?}");
                if outcome.is_ok() {
                    *held -= amount;
                }
            }
            Step::Create { pair, balances, flaw } => self.create(pair, balances, flaw),
            Step::Update { at, shift, flaw } => self.update(at, shift, flaw),
            Step::Close { at, flaw } => self.close(at, flaw),
            Step::Braid { mask, flaw } => self.braid(mask, flaw),
            Step::Pay { at, mask, shift, flaw } => self.pay(at, mask, shift, flaw),
            Step::Unbraid { at, shift, flaw } => self.unbraid(at, shift, flaw),
        }
    }

    fn create(&mut self, pair: usize, balances: [Balance; 2], flaw: Flaw) {
        let users = PAIRS[pair];
        let mut parties = users.map(|user| self.account(user));
        let created = self.model.nonces.get(&users).copied().unwrap_or_default();
        let mut balances = balances;
        let mut nonce = created;
        let mut valid_until = self.bench.later().unwrap();
        match flaw {
            DuplicateParty => parties[1] = parties[0],
            Overflow => balances = [Balance::MAX, 1],
            Replay => nonce = created.wrapping_sub(1),
            WrongEpoch => nonce += 1,
            UnknownTpc => parties.reverse(),
            Expired => valid_until = self.bench.chain.time() - 1,
            _ => {}
        }
        let creation = TpcCreation { parties, nonce, balances, valid_until };
        let signatures = self.both(users, Action::CreateTpc(&creation), flaw);
        let ledgers = users.map(|user| self.model.ledger.get(&user).copied().unwrap_or_default());
        let afford = (0..2).all(|side| balances[side] <= ledgers[side]);
        let harmless = matches!(flaw, None | StaleVersion | BrokenSum | DuplicateTpc | NoEntries);
        let good = harmless && afford && balances != [0, 0];
        self.expect(Sent::CreateTpc(CreateTpc { creation, signatures }), good);
        if good {
            for side in 0..2 {
                *self.model.ledger.entry(users[side]).or_default() -= balances[side];
            }
            self.model.nonces.insert(users, created + 1);
            let tpc = Tpc { parties, balances, epoch: 0, version: 0, mpc: Option::None };
            self.model.tpcs.insert(creation.id(&braid::keys::Native), (pair, tpc));
        }
    }

    fn update(&mut self, at: Index, shift: Balance, flaw: Flaw) {
        let Some((id, pair, tpc)) = self.tpc(at) else { return };
        let entry = flawed(next(id, &tpc, shift), &tpc, flaw);
        let signatures = self.both(PAIRS[pair], Action::UpdateTpc(&entry), flaw);
        let good = tpc.mpc.is_none() && !spoils_entry(flaw) && !spoils_signatures(flaw);
        self.expect(Sent::UpdateTpc(UpdateTpc { entry, signatures }), good);
        if good {
            self.move_to(&entry);
        }
    }

    fn close(&mut self, at: Index, flaw: Flaw) {
        let Some((id, pair, tpc)) = self.tpc(at) else { return };
        let last = flawed(next(id, &tpc, 0), &tpc, flaw);
        let valid_until = if flaw == Expired { self.bench.chain.time() - 1 } else { self.bench.later().unwrap() };
        let close = TpcClose { last, valid_until };
        let signatures = self.both(PAIRS[pair], Action::CloseTpc(&close), flaw);
        let good = tpc.mpc.is_none() && !spoils_entry(flaw) && !spoils_signatures(flaw) && flaw != Expired;
        self.expect(Sent::CloseTpc(CloseTpc { close, signatures }), good);
        if good {
            self.model.tpcs.remove(&id);
            // What is too little for an account would be in the ledger; these accounts all exist.
        }
    }

    fn braid(&mut self, mask: u8, flaw: Flaw) {
        let chosen = self.model.tpcs.iter().enumerate().filter(|(index, _)| mask >> (index % 8) & 1 == 1);
        let chosen: Vec<_> = chosen.map(|(_, (id, (pair, tpc)))| (*id, *pair, tpc.clone())).collect();
        let enter = |(id, _, tpc): &Known| {
            let entry = Entry { tpc: *id, epoch: tpc.epoch + 1, version: 0, balances: tpc.balances };
            match flaw {
                WrongEpoch | StaleVersion => Entry { epoch: tpc.epoch, ..entry },
                _ => flawed(entry, tpc, flaw),
            }
        };
        let mut entries: Vec<_> = chosen.iter().map(enter).collect();
        list_flaw(&mut entries, flaw);
        let valid_until = if flaw == Expired { self.bench.chain.time() - 1 } else { self.bench.later().unwrap() };
        let users: BTreeSet<_> = chosen.iter().flat_map(|(_, pair, _)| PAIRS[*pair]).collect();
        let creation = MpcCreation { entries, valid_until };
        let signatures = self.signatures(&users, Action::CreateMpc(&creation), flaw);
        let free = chosen.iter().all(|(_, _, tpc)| tpc.mpc.is_none());
        let bad = spoils_entry(flaw) || spoils_group(flaw, users.len());
        let good = !chosen.is_empty() && free && !bad && flaw != Expired;
        let mpc = creation.id(&braid::keys::Native, &self.bench.domain);
        self.expect(Sent::CreateMpc(CreateMpc { creation, signatures }), good);
        if good {
            for (id, _, _) in &chosen {
                let (_, tpc) = self.model.tpcs.get_mut(id).unwrap();
                *tpc = Tpc { epoch: tpc.epoch + 1, version: 0, mpc: Some(mpc), ..tpc.clone() };
            }
            self.model.mpcs.insert(mpc, chosen.iter().map(|(id, _, _)| *id).collect());
        }
    }

    fn members(&self, at: Index) -> Option<(MpcId, Vec<Known>)> {
        let all: Vec<_> = self.model.mpcs.iter().collect();
        let (mpc, members) = all.get(at.index(all.len().max(1)))?;
        let members = members.iter().map(|id| {
            let (pair, tpc) = &self.model.tpcs[id];
            (*id, *pair, tpc.clone())
        });
        Some((**mpc, members.collect()))
    }

    fn pay(&mut self, at: Index, mask: u8, shift: Balance, flaw: Flaw) {
        let Some((mpc, members)) = self.members(at) else { return };
        let touched: Vec<_> = members
            .into_iter()
            .enumerate()
            .filter(|(index, _)| mask >> index & 1 == 1)
            .map(|(_, member)| member)
            .collect();
        let mut entries: Vec<_> = touched.iter().map(|(id, _, tpc)| flawed(next(*id, tpc, shift), tpc, flaw)).collect();
        list_flaw(&mut entries, flaw);
        let users: BTreeSet<_> = touched.iter().flat_map(|(_, pair, _)| PAIRS[*pair]).collect();
        let update = MpcUpdate { mpc, entries };
        let signatures = self.signatures(&users, Action::UpdateMpc(&update), flaw);
        let bad = spoils_entry(flaw) || spoils_group(flaw, users.len());
        let good = !touched.is_empty() && !bad;
        let moved = update.entries.clone();
        self.expect(Sent::UpdateMpc(UpdateMpc { update, signatures }), good);
        if good {
            moved.iter().for_each(|entry| self.move_to(entry));
        }
    }

    fn unbraid(&mut self, at: Index, shift: Balance, flaw: Flaw) {
        let Some((mpc, members)) = self.members(at) else { return };
        let mut entries: Vec<_> = members.iter().map(|(id, _, tpc)| flawed(next(*id, tpc, shift), tpc, flaw)).collect();
        if flaw == StaleVersion {
            // The state that the contract already has is a good last state.
            entries = members.iter().map(|(id, _, tpc)| tpc.entry(*id)).collect();
        }
        if flaw == Replay {
            entries.pop();
        }
        list_flaw(&mut entries, flaw);
        let users: BTreeSet<_> = members.iter().flat_map(|(_, pair, _)| PAIRS[*pair]).collect();
        let valid_until = if flaw == Expired { self.bench.chain.time() - 1 } else { self.bench.later().unwrap() };
        let close = MpcClose { mpc, entries, valid_until };
        let signatures = self.signatures(&users, Action::CloseMpc(&close), flaw);
        let bad = (spoils_entry(flaw) && flaw != StaleVersion) || spoils_group(flaw, users.len());
        let good = !bad && !matches!(flaw, Expired | Replay);
        let last = close.entries.clone();
        self.expect(Sent::CloseMpc(CloseMpc { close, signatures }), good);
        if good {
            last.iter().for_each(|entry| self.move_to(entry));
            for id in self.model.mpcs.remove(&mpc).unwrap() {
                self.model.tpcs.get_mut(&id).unwrap().1.mpc = Option::None;
            }
        }
    }

    fn move_to(&mut self, entry: &Entry) {
        let (_, tpc) = self.model.tpcs.get_mut(&entry.tpc).unwrap();
        (tpc.version, tpc.balances) = (entry.version, entry.balances);
    }

    /// The contract holds what the model holds, owes exactly that, and its account has it.
    fn check(&mut self) {
        let Self { bench, model, .. } = self;
        let mut owed = 0;
        for user in 0..USERS {
            let held = model.ledger.get(&user).copied().unwrap_or_default();
            let ledger = LedgerBalance { account: bench.users[user].account() };
            assert_eq!(bench.contract.query(&mut bench.chain, &ledger), Ok(held));
            owed += held;
        }
        for (id, (_, tpc)) in &model.tpcs {
            assert_eq!(bench.contract.query(&mut bench.chain, &GetTpc { id: *id }), Ok(Some(tpc.clone())));
            owed += tpc.balances[0] + tpc.balances[1];
        }
        for (id, members) in &model.mpcs {
            let stored = Mpc { channels: members.len() as u32 };
            assert_eq!(bench.contract.query(&mut bench.chain, &GetMpc { id: *id }), Ok(Some(stored)));
        }
        let account = *bench.contract.account.as_ref();
        let existential = devchain::EXISTENTIAL_DEPOSIT;
        assert_eq!(bench.chain.free_balance(account), owed + existential, "the contract has what it owes");
        let held = model.ledger.values().filter(|held| **held > 0).count();
        let items = 1 + held + model.nonces.len() + model.tpcs.len() + model.mpcs.len();
        let usage = bench.chain.storage_usage(account).unwrap();
        assert_eq!(usage.items as usize, items, "nothing is stored for what is finished");
    }
}

const NOTHING: Entry = Entry { tpc: TpcId([0; 32]), epoch: 0, version: 0, balances: [0, 0] };

fn refused(outcome: Result<Vec<Event>, CallError>) -> Outcome {
    match outcome {
        Ok(events) => {
            assert!(!events.is_empty(), "a change without an event");
            Ok(())
        }
        Err(CallError::Contract(error)) => Err(error),
        // An amount that the chain itself cannot move.
        Err(other) => panic!("the contract must refuse by itself: {other}"),
    }
}

fn next(id: TpcId, tpc: &Tpc, shift: Balance) -> Entry {
    let moved = shift.min(tpc.balances[0]);
    let balances = [tpc.balances[0] - moved, tpc.balances[1] + moved];
    Entry { tpc: id, epoch: tpc.epoch, version: tpc.version + 1, balances }
}

fn flawed(entry: Entry, tpc: &Tpc, flaw: Flaw) -> Entry {
    let [first, second] = entry.balances;
    match flaw {
        StaleVersion => Entry { version: tpc.version, ..entry },
        WrongEpoch => Entry { epoch: tpc.epoch + 1, ..entry },
        BrokenSum => Entry { balances: [first + 1, second], ..entry },
        Overflow => Entry { balances: [Balance::MAX, first + second + 1], ..entry },
        UnknownTpc => Entry { tpc: TpcId([entry.tpc.0[0]; 32]), ..entry },
        _ => entry,
    }
}

fn spoils_entry(flaw: Flaw) -> bool {
    matches!(flaw, StaleVersion | WrongEpoch | BrokenSum | Overflow | UnknownTpc)
}

fn spoils_signatures(flaw: Flaw) -> bool {
    matches!(flaw, WrongSigner | MissingSigner | ForeignParty | OtherDomain | OtherAction)
}

/// Whether a group's call must fail. A foreign signer needs somebody who is not in the group.
fn spoils_group(flaw: Flaw, users: usize) -> bool {
    match flaw {
        ForeignParty => users < USERS,
        DuplicateParty | DuplicateTpc | NoEntries => true,
        _ => spoils_signatures(flaw),
    }
}

fn list_flaw(entries: &mut Vec<Entry>, flaw: Flaw) {
    match flaw {
        DuplicateTpc => entries.extend(entries.last().copied()),
        NoEntries => entries.clear(),
        _ => {}
    }
}

/// A deployment with funded ledgers, made once: every sequence starts from a fork of it.
fn prepared() -> Run {
    let mut run = Run::new(Bench::embedded(USERS));
    for user in 0..USERS {
        run.apply(Step::Deposit { user, amount: 20 * UNIT });
    }
    run
}

#[test]
fn the_contract_does_what_its_model_does() {
    let origin = std::cell::RefCell::new(prepared());
    let sequences = proptest::collection::vec(step(), 1..16);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1_000,
        max_shrink_iters: 200,
        failure_persistence: Option::None,
        ..ProptestConfig::default()
    });
    runner
        .run(&sequences, |steps| {
            let mut run = {
                let origin = &mut *origin.borrow_mut();
                Run { bench: origin.bench.fork(), model: origin.model.clone(), history: vec![] }
            };
            for step in steps {
                run.apply(step);
                run.check();
            }
            run.replay();
            run.check();
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_creation_cannot_be_replayed_after_its_channel_closed() {
    let mut run = prepared();
    run.create(0, [UNIT, UNIT], None);
    let (id, ..) = run.tpc(first()).unwrap();
    run.close(first(), None);
    run.check();
    let again = run.history[0].clone();
    assert_eq!(run.send(&again), Err(Error::WrongNonce { expected: 1 }));
    run.create(0, [UNIT, UNIT], None);
    assert_ne!(run.tpc(first()).unwrap().0, id, "a channel id never comes back");
    let parties = [0, 1].map(|user| run.account(user));
    assert_eq!(run.bench.contract.query(&mut run.bench.chain, &NextNonce { parties }), Ok(2));
}

/// Where there is one channel, any index names it.
fn first() -> Index {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    any::<Index>().new_tree(&mut runner).unwrap().current()
}
