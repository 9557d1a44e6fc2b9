//! Random sequences of good and hostile calls against the compiled contract, beside a plain model of it.
//!
//! `PROPTEST_CASES` and `PROPTEST_RNG_SEED` ask for more sequences, or for others.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod model;
mod steps;

use braid::{
    chain::{Chain, ChainError, ContractCall, Failure, Weight},
    costs::Bench,
    keys::{Keys, Native},
};
use devchain::{Devchain, BLOCK_TIME, EXISTENTIAL_DEPOSIT, UNIT};
use model::{Call, Model, Sent};
use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestRunner},
};
use protocol::{
    abi::{DisputeMpc, DisputeTpc, GetMpc, GetTpc, LedgerBalance, NextNonce, SettleMpc, SettleTpc},
    AccountId, Error, Owners, Timestamp, TpcId,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use steps::{step, Flaw, Kind, Step};

const USERS: usize = 5;
/// The user whose account does not exist, the last.
const NOBODY: usize = 4;
const PAIRS: [[usize; 2]; 8] = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3], [0, 4], [1, 4]];

/// More than any call here weighs.
const GAS: Weight = Weight { ref_time: 500_000_000_000, proof_size: 10_000_000 };

/// How often calls were accepted and refused.
type Tally = BTreeMap<(&'static str, Flaw), [u64; 2]>;

struct Run {
    bench: Bench<Devchain>,
    model: Model,
    /// Whose each channel is that ever existed, and each of a few that never will.
    known: BTreeMap<TpcId, Owners>,
    /// Every channel that ever existed.
    ever: BTreeSet<TpcId>,
    /// What was sent or withheld, to be sent later.
    drawer: Vec<Sent>,
    /// What succeeded and can by its signatures succeed only once.
    done: Vec<Sent>,
    /// How much later than its time the next block is made, in ms.
    pending: u64,
    tally: Tally,
}

impl Run {
    /// A deployment with funded ledgers and a few channels.
    fn prepared() -> Self {
        let mut bench = Bench::embedded(NOBODY);
        let nobodies = (0..).map(|index| Keys::from_suri(&format!("//nobody{index}")).unwrap());
        let last = bench.users.last().unwrap().account();
        bench.users.extend(nobodies.into_iter().find(|keys| keys.account() > last));
        let mut model = Model::new(bench.domain);
        model.missing.insert(bench.users[NOBODY].account());
        let parties = |pair: [usize; 2]| pair.map(|user| bench.users[user].account());
        let never = PAIRS.map(|pair| Owners { parties: parties(pair), nonce: 1_000, part: None });
        let known = never.iter().map(|owners| (owners.tpc(&Native), *owners)).collect();
        let mut run = Self {
            bench,
            model,
            known,
            ever: BTreeSet::new(),
            drawer: vec![],
            done: vec![],
            pending: 0,
            tally: Tally::new(),
        };
        for user in 0..NOBODY {
            run.apply(&Step { amounts: [20 * UNIT, 0], mask: user as u8, ..Step::good(Kind::Deposit) });
        }
        for pair in [[0, 1], [0, 2], [1, 2], [2, 3], [1, NOBODY]] {
            assert!(run.create(pair), "{pair:?}");
        }
        run.check();
        run
    }

    fn fork(&mut self) -> Self {
        let Self { bench, model, known, ever, pending, .. } = self;
        let (model, known, ever, pending) = (model.clone(), known.clone(), ever.clone(), *pending);
        let (drawer, done, tally) = (vec![], vec![], Tally::new());
        Self { bench: bench.fork(), model, known, ever, drawer, done, pending, tally }
    }

    fn account(&self, user: usize) -> AccountId {
        self.bench.users[user].account()
    }

    /// The clock of the next block.
    fn now(&self) -> Timestamp {
        self.bench.chain.time() + BLOCK_TIME + self.pending
    }

    fn wait(&mut self, ms: u64) {
        self.bench.chain.advance(ms);
        self.pending += ms;
    }

    fn apply(&mut self, step: &Step) {
        match step.kind {
            Kind::Wait => self.wait(step.time),
            Kind::WaitForDeadline => {
                let tpcs = self.model.tpcs.values().filter_map(|tpc| tpc.deadline);
                let deadlines: Vec<_> = tpcs.chain(self.model.mpcs.values().filter_map(|mpc| mpc.deadline)).collect();
                self.wait_for(step.pick(&deadlines), step);
            }
            Kind::Bring => {
                if let Some(mut sent) = step.pick(&self.drawer) {
                    if let Call::UpdateMpc(call) = &mut sent.call {
                        // Nobody signs the proofs: whoever brings an update shows what is gone by then.
                        call.gone = self.proofs(&call.update.entries, step.flaw);
                    }
                    self.count(&sent, step.flaw);
                }
            }
            _ => {
                if let Some(sent) = self.build(step) {
                    self.drawer.push(sent.clone());
                    if !step.withheld {
                        self.count(&sent, step.flaw);
                    }
                }
            }
        }
    }

    fn count(&mut self, sent: &Sent, flaw: Flaw) {
        let accepted = self.send(sent);
        self.tally.entry((sent.call.name(), flaw)).or_default()[usize::from(!accepted)] += 1;
    }

    /// Sends a call, which must succeed exactly if the model says so, and answers whether it did.
    fn send(&mut self, sent: &Sent) -> bool {
        let now = self.now();
        let mut next = self.model.clone();
        let good = next.take(sent, self.account(sent.by), now).is_some();
        if !good {
            next = self.model.clone();
        }
        let others: Vec<_> = (0..USERS).filter(|user| *user != sent.by).map(|user| self.account(user)).collect();
        let before: Vec<_> = others.iter().map(|account| self.free(*account)).collect();

        let keys = self.bench.users[sent.by].clone();
        let (contract, data) = (self.bench.contract.account, sent.call.data());
        let call = ContractCall { contract, value: sent.value, gas_limit: GAS, deposit_limit: None, data };
        let outcome = Chain::call(&mut self.bench.chain, &keys, call);
        self.pending = 0;
        assert_eq!(self.bench.chain.time(), now);
        match outcome {
            Ok(receipt) => {
                assert!(good, "the contract accepts what it should refuse: {sent:?}");
                let mut events = receipt.events.iter().map(|event| self.bench.contract.event(event));
                assert!(events.next().flatten().is_some(), "a change without an event");
            }
            Err(ChainError::Failed(Failure::Reverted)) => {
                assert!(!good, "the contract refuses what it should accept ({:?}): {sent:?}", self.refusal(sent));
            }
            Err(other) => panic!("the contract must refuse by itself: {other}"),
        }

        let model = std::mem::replace(&mut self.model, next);
        for (account, before) in others.iter().zip(before) {
            let paid = |model: &Model| model.paid.get(account).copied().unwrap_or_default();
            assert_eq!(self.free(*account) - before, paid(&self.model) - paid(&model), "paid to {account:?}");
        }
        if good {
            self.check_order(&model, sent);
            self.check_changes(&model);
            if sent.call.action().is_some() {
                self.done.push(sent.clone());
            }
        }
        self.check_totals();
        good
    }

    fn free(&mut self, account: AccountId) -> u128 {
        self.bench.chain.free_balance(*account.as_ref())
    }

    /// Why the contract would refuse now, if it would.
    fn refusal(&mut self, sent: &Sent) -> Option<Error> {
        let (by, contract) = (self.account(sent.by), self.bench.contract.account);
        let run = Chain::dry_run(&mut self.bench.chain, by, contract, sent.value, sent.call.data()).unwrap();
        // Every call answers a result in a result, and the first bytes of a refusal do not depend on the answer's type.
        match run.answer.as_slice() {
            [0, 1, error @ ..] => Some(codec::Decode::decode(&mut &*error).unwrap()),
            answer => {
                assert!(answer.starts_with(&[0, 0]), "{answer:?}");
                None
            }
        }
    }

    /// Nothing goes back to an older state, nothing that is gone comes back, and no clock starts anew.
    fn check_order(&mut self, before: &Model, sent: &Sent) {
        for (id, tpc) in &self.model.tpcs {
            let Some(old) = before.tpcs.get(id) else {
                assert!(self.ever.insert(*id), "{id} came back");
                continue;
            };
            assert!((tpc.epoch, tpc.version) >= (old.epoch, old.version), "{id} fell back");
            match (old.deadline, tpc.deadline) {
                (Some(old), Some(new)) => assert_eq!(old, new, "the deadline of {id} moved"),
                (Some(_), None) => assert!(matches!(sent.call, Call::LeaveMpc(_)), "the dispute of {id} is forgotten"),
                (None, _) => {}
            }
        }
        for (id, mpc) in &self.model.mpcs {
            let old = before.mpcs.get(id).and_then(|mpc| mpc.deadline);
            assert!(old.is_none() || old == mpc.deadline, "the deadline of {id} moved");
        }
        match &sent.call {
            Call::CreateTpc(call) => {
                let owners = Owners { parties: call.creation.parties, nonce: call.creation.nonce, part: None };
                self.known.insert(owners.tpc(&Native), owners);
            }
            Call::SplitTpc(call) => {
                let split = &call.split;
                for index in 1..split.parts.len() as u8 {
                    let part = Some((split.epoch, index));
                    let id = split.tpc.part(&Native, split.epoch, index);
                    self.known.insert(id, Owners { part, ..self.known[&split.tpc] });
                }
            }
            _ => {}
        }
    }

    /// What should have changed is in the contract as in the model.
    fn check_changes(&mut self, before: &Model) {
        let Self { bench, model, .. } = self;
        for id in changed(&before.tpcs, &model.tpcs) {
            let tpc = bench.contract.query(&mut bench.chain, &GetTpc { id });
            assert_eq!(tpc, Ok(model.visible(id, bench.chain.time())));
        }
        for id in changed(&before.mpcs, &model.mpcs) {
            let mpc = bench.contract.query(&mut bench.chain, &GetMpc { id });
            assert_eq!(mpc, Ok(model.mpcs.get(&id).copied()));
        }
        for account in changed(&before.ledger, &model.ledger) {
            let held = bench.contract.query(&mut bench.chain, &LedgerBalance { account });
            assert_eq!(held, Ok(model.ledger.get(&account).copied().unwrap_or_default()));
        }
        for parties in changed(&before.nonces, &model.nonces) {
            let nonce = bench.contract.query(&mut bench.chain, &NextNonce { parties });
            assert_eq!(nonce, Ok(model.nonces.get(&parties).copied().unwrap_or_default()));
        }
    }

    /// The contract's account has what the contract owes, and its storage what is not finished.
    fn check_totals(&mut self) {
        let account = self.bench.contract.account;
        assert_eq!(self.free(account), self.model.owed() + EXISTENTIAL_DEPOSIT, "the contract has what it owes");
        let usage = self.bench.chain.storage_usage(*account.as_ref()).unwrap();
        assert_eq!(usage.items as usize, self.model.items(), "nothing is stored for what is finished");
    }

    /// The contract holds what the model holds, also where no call was to change anything.
    fn check(&mut self) {
        let nothing = Model { nonces: self.model.nonces.clone(), ..Model::new(self.bench.domain) };
        self.check_changes(&nothing);
    }

    /// Tries everything again that was signed and succeeded: none of it may succeed twice.
    fn replay(&mut self) {
        for mut sent in self.done.clone() {
            if let Call::UpdateMpc(call) = &mut sent.call {
                call.gone = self.proofs(&call.update.entries, Flaw::None);
            }
            assert!(self.refusal(&sent).is_some(), "a call is good twice: {sent:?}");
        }
    }

    /// Lets every deadline pass: whatever is under dispute can then be settled by anyone.
    fn settle(&mut self) {
        let tpcs = self.model.tpcs.values().filter_map(|tpc| tpc.deadline);
        let last = tpcs.chain(self.model.mpcs.values().filter_map(|mpc| mpc.deadline)).max().unwrap_or_default();
        self.wait((last + 1).saturating_sub(self.now()));
        for (id, mpc) in self.model.mpcs.clone() {
            if mpc.deadline.is_some() {
                self.must(NOBODY - 1, Call::SettleMpc(SettleMpc { id }));
            }
        }
        for (id, tpc) in self.model.tpcs.clone() {
            if tpc.deadline.is_some() {
                self.must(NOBODY - 1, Call::SettleTpc(SettleTpc { id }));
            }
        }
    }

    /// Ends everything there is, each group and each channel by one of its owners alone.
    fn finish(&mut self) {
        for (id, mpc) in self.model.mpcs.clone() {
            if mpc.deadline.is_none() {
                let mut members = self.model.tpcs.iter().filter(|(_, tpc)| tpc.mpc == Some(id));
                let member = *members.next().unwrap().0;
                self.must(self.owner_of(member), Call::DisputeMpc(DisputeMpc { id, member, exits: vec![member] }));
            }
        }
        self.settle();
        for id in self.model.tpcs.clone().into_keys() {
            self.must(self.owner_of(id), Call::DisputeTpc(DisputeTpc { id }));
        }
        self.settle();
        assert!(self.model.tpcs.is_empty() && self.model.mpcs.is_empty());
    }

    fn owner_of(&self, id: TpcId) -> usize {
        (0..NOBODY).find(|user| self.model.tpcs[&id].parties.contains(&self.account(*user))).unwrap()
    }

    fn must(&mut self, by: usize, call: Call) {
        assert!(self.send(&Sent { by, value: 0, call, sound: true }));
    }

    fn create(&mut self, pair: [usize; 2]) -> bool {
        let parties = pair.map(|user| self.account(user));
        let nonce = self.model.nonces.get(&parties).copied().unwrap_or_default();
        let call = self.bench.creation(pair, nonce, [UNIT, if pair[1] == NOBODY { 0 } else { UNIT }]).unwrap();
        self.send(&Sent { by: 0, value: 0, call: Call::CreateTpc(call), sound: true })
    }
}

/// The keys of what differs.
fn changed<K: Ord + Copy, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> BTreeSet<K> {
    before.keys().chain(after.keys()).filter(|key| before.get(key) != after.get(key)).copied().collect()
}

/// Runs `cases` sequences, each from a fork of the same deployment.
fn sequences(cases: u32, seed: u64) -> Tally {
    let origin = RefCell::new(Run::prepared());
    let tally = RefCell::new(Tally::new());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    // To end what nobody disputes takes more calls than the rest: a few sequences will do.
    let to_the_end = proptest::bool::weighted(0.05);
    let outcome = runner.run(&(proptest::collection::vec(step(), 1..28), to_the_end), |(steps, to_the_end)| {
        let mut run = origin.borrow_mut().fork();
        steps.iter().for_each(|step| run.apply(step));
        run.check();
        run.settle();
        if to_the_end {
            run.finish();
        }
        run.replay();
        for (key, counts) in run.tally {
            let mut tally = tally.borrow_mut();
            let sum = tally.entry(key).or_default();
            *sum = [sum[0] + counts[0], sum[1] + counts[1]];
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("seed {seed}: {error}");
    }
    tally.into_inner()
}

#[test]
fn the_contract_does_what_its_model_does() {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { 5_000 };
    let seed = if let RngSeed::Fixed(seed) = asked.rng_seed { seed } else { 1 };
    let tallies = std::thread::scope(|scope| {
        let threads = [0, 1].map(|index| scope.spawn(move || sequences(cases.div_ceil(2), seed.wrapping_add(index))));
        threads.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    for name in Call::NAMES {
        let counts = |index: usize| -> u64 {
            let calls = tallies.iter().flatten().filter(|((call, _), _)| call == name);
            calls.map(|(_, counts)| counts[index]).sum()
        };
        let (accepted, refused) = (counts(0), counts(1));
        println!("{name}: {accepted} accepted, {refused} refused");
        assert!(accepted > 0 && refused > 0, "{name} is not put to the test");
    }
}

#[test]
fn a_creation_cannot_be_replayed_after_its_channel_closed() {
    let mut run = Run::prepared();
    let pair = [0, 3];
    assert!(run.create(pair));
    let created = run.done.last().unwrap().clone();
    run.finish();
    assert_eq!(run.refusal(&created), Some(Error::WrongNonce { expected: 1 }));
    let before = run.ever.clone();
    run.wait(1);
    assert!(run.create(pair));
    assert_eq!(run.ever.len(), before.len() + 1, "a channel id never comes back");
    let parties = pair.map(|user| run.account(user));
    assert_eq!(run.bench.contract.query(&mut run.bench.chain, &NextNonce { parties }), Ok(2));
}
