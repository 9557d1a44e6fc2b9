//! Random sequences of good and hostile calls against the compiled contract, beside a plain model of it, with accounts
//! among the hostile ones that follow the honest party's rules.
//!
//! `PROPTEST_CASES` and `PROPTEST_RNG_SEED` ask for more sequences, or for others.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod honest;
mod model;
mod steps;
#[path = "../token/mod.rs"]
mod token;

use chain::{block_on, contract::Contract, costs::Bench, keys::Keys, Chain, ChainError, ContractCall, Failure, Weight};
use codec::Decode;
use devchain::{Devchain, BLOCK_TIME, EXISTENTIAL_DEPOSIT, GENESIS_TIME, UNIT};
use engine::Native;
use honest::{Honest, Lapse};
use model::{is_due, Call, Lack, Model, Sent};
use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestRunner},
};
use protocol::{
    abi::{
        CreateTpc, Deposit, DepositPsp22, DisputeChannels, GetEnded, GetMpc, GetTpc, LedgerBalance, NextNonce,
        SettleChannels, UpdateAll,
    },
    state::MIN_WINDOW,
    AccountId, Action, Asset, Balance, Domain, Error, Origin, Owners, Resolution, SignedUpdate, Timestamp, TpcCreation,
    TpcId,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use steps::{step, Flaw, Kind, Step};
use token::{Approve, BalanceOf, Token, Transfer};

const USERS: usize = 5;
/// The user whose account does not exist, the last.
const NOBODY: usize = 4;
const PAIRS: [[usize; 2]; 8] = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3], [0, 4], [1, 4]];
const OPEN: [[usize; 2]; 6] = [[0, 1], [0, 2], [0, 2], [1, 2], [2, 3], [1, NOBODY]];
const OPEN_WITH_TOKENS: [[usize; 2]; 2] = [[0, 1], [1, 3]];

/// What each user has of the token at first.
const WALLET: Balance = 100 * UNIT;

/// More than any call here weighs.
const GAS: Weight = Weight { ref_time: 1_000_000_000_000, proof_size: 20_000_000 };

/// How often something happened.
#[derive(Clone, Default)]
struct Tally {
    /// How often calls were accepted and refused.
    calls: BTreeMap<(&'static str, Flaw), [u64; 2]>,
    /// How often honest accounts answered a dispute.
    answers: u64,
    /// How many updates over several channels of an honest account counted in all of them, and how many in none.
    audits: [u64; 2],
    sequences: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (key, counts) in other.calls {
            let sum = self.calls.entry(key).or_default();
            *sum = [sum[0] + counts[0], sum[1] + counts[1]];
        }
        self.answers += other.answers;
        self.audits = [self.audits[0] + other.audits[0], self.audits[1] + other.audits[1]];
        self.sequences += other.sequences;
    }
}

/// The contract on a chain.
struct Deployment {
    chain: Devchain,
    contract: Contract,
    token: Token,
}

struct Run {
    users: Vec<Keys>,
    /// Without one, the model stands for the contract.
    deployed: Option<Deployment>,
    /// The clock of the last block.
    time: Timestamp,
    model: Model,
    honest: Vec<Honest>,
    /// Whether honest accounts answer disputes at once, or in the last moment.
    eager: bool,
    /// Whose each channel is that ever existed, and each of a few that never will, or not yet.
    known: BTreeMap<TpcId, Owners>,
    /// Every channel that ever existed.
    ever: BTreeSet<TpcId>,
    /// What was sent or withheld, to be sent later.
    drawer: Vec<Sent>,
    /// The updates that all owners have signed.
    pool: Vec<SignedUpdate>,
    /// What succeeded and can by its signatures succeed only once.
    done: Vec<Sent>,
    /// How much later than its time the next block is made, in ms.
    pending: u64,
    /// Whether everything that a call should have changed is read back, which takes longer than the call.
    reads_back: bool,
    calls: usize,
    tally: Tally,
}

impl Run {
    /// Funded ledgers and a few channels, in the contract on a chain or in the model alone.
    fn prepared(on_chain: bool) -> Self {
        let user = |index: usize| Keys::from_suri(&format!("//user{index}")).unwrap();
        let mut users: Vec<_> = (0..NOBODY).map(user).collect();
        users.sort_by_key(Keys::account);
        let nobodies = (0..).map(|index| Keys::from_suri(&format!("//nobody{index}")).unwrap());
        let last = users[NOBODY - 1].account();
        users.extend(nobodies.into_iter().find(|keys| keys.account() > last));
        let (mut domain, mut time) = (Domain { genesis_hash: [0; 32], contract: [0; 32].into() }, GENESIS_TIME);
        let mut token_account: AccountId = [1; 32].into();
        let deployed = on_chain.then(|| {
            let bench = Bench::embedded(NOBODY);
            assert!(bench.users.iter().map(Keys::account).eq(users[..NOBODY].iter().map(Keys::account)));
            let Bench { mut chain, contract, .. } = bench;
            let token = token_of(&mut chain, contract.account, &users[..NOBODY]);
            (domain, time, token_account) = (bench.domain, chain.time(), token.account);
            Deployment { chain, contract, token }
        });
        let mut model = Model::new(domain, token_account);
        model.wallets = users[..NOBODY].iter().map(|keys| (keys.account(), WALLET)).collect();
        model.missing.insert(users[NOBODY].account());
        let (window, asset, origin) = (MIN_WINDOW, Asset::Native, Origin::Creation(1_000));
        let never = PAIRS.map(|pair| pair.map(|user| users[user].account()));
        let never = never.map(|parties| Owners { parties, window, asset, origin });
        let mut run = Self {
            users,
            deployed,
            time,
            model,
            honest: vec![],
            eager: false,
            known: never.iter().map(|owners| (owners.tpc(&Native), *owners)).collect(),
            ever: BTreeSet::new(),
            drawer: vec![],
            pool: vec![],
            done: vec![],
            pending: 0,
            reads_back: true,
            calls: 0,
            tally: Tally::default(),
        };
        for user in 0..NOBODY {
            let (token, amount) = (token_account, 20 * UNIT);
            let deposits = [Call::Deposit(Deposit {}), Call::DepositPsp22(DepositPsp22 { token, amount })];
            for (value, call) in [amount, 0].into_iter().zip(deposits) {
                assert!(run.send(&Sent { by: user, value, call, sound: vec![true] }));
            }
        }
        for pair in OPEN {
            assert!(run.create(pair, Asset::Native), "{pair:?}");
        }
        for pair in OPEN_WITH_TOKENS {
            assert!(run.create(pair, Asset::Psp22(token_account)), "{pair:?}");
        }
        run.check();
        run
    }

    fn fork(&mut self, setup: Setup, honest: &[usize], eager: bool) -> Self {
        let honest = honest.iter().map(|user| Honest::new(self.account(*user), setup.lapse));
        let honest = honest.collect();
        let Self { users, deployed, time, model, known, ever, pending, .. } = self;
        let fork = |Deployment { chain, contract, token }: &mut Deployment| {
            let (chain, contract, token) = (chain.fork(), contract.clone(), *token);
            Deployment { chain, contract, token }
        };
        Self {
            users: users.clone(),
            deployed: deployed.as_mut().map(fork),
            time: *time,
            model: Model { lack: setup.lack, ..model.clone() },
            honest,
            eager,
            known: known.clone(),
            ever: ever.clone(),
            drawer: vec![],
            pool: vec![],
            done: vec![],
            pending: *pending,
            reads_back: true,
            calls: 0,
            tally: Tally::default(),
        }
    }

    fn account(&self, user: usize) -> AccountId {
        self.users[user].account()
    }

    fn user(&self, account: AccountId) -> usize {
        (0..USERS).find(|user| self.account(*user) == account).unwrap()
    }

    /// The clock of the next block.
    fn now(&self) -> Timestamp {
        self.time + BLOCK_TIME + self.pending
    }

    /// What is on chain at that clock, if nothing is called before.
    fn view(&self) -> Model {
        let mut view = self.model.clone();
        view.pass(self.now());
        view
    }

    fn wait(&mut self, ms: u64) {
        self.pending += ms;
        self.attend();
    }

    fn apply(&mut self, step: &Step) {
        match step.kind {
            Kind::Wait => self.wait(step.time),
            Kind::WaitForDeadline => {
                let disputes = self.model.tpcs.values().filter_map(|tpc| Some((tpc.dispute?, tpc.owners.window)));
                let deadlines = disputes.flat_map(|(dispute, window)| [dispute.deadline, dispute.deadline + window]);
                self.wait_for(step.pick(&deadlines.collect::<Vec<_>>()), step);
            }
            Kind::Deliver => {
                if let Some(signed) = step.pick(&self.pool) {
                    self.deliver(&signed, |_| true);
                }
            }
            Kind::Bring => {
                if let Some(sent) = step.pick(&self.drawer) {
                    self.count(&sent, step.flaw);
                }
            }
            _ => {
                if let Some(sent) = self.build(step) {
                    if let Call::CreateTpc(call) = &sent.call {
                        self.known.entry(call.creation.id(&Native)).or_insert(call.creation.owners());
                    }
                    self.drawer.push(sent.clone());
                    if !step.withheld {
                        self.count(&sent, step.flaw);
                    }
                }
            }
        }
        self.attend();
    }

    fn count(&mut self, sent: &Sent, flaw: Flaw) {
        let accepted = self.send(sent);
        self.tally.calls.entry((sent.call.name(), flaw)).or_default()[usize::from(!accepted)] += 1;
    }

    /// All signatures of an update reach some of the honest accounts that signed it.
    fn deliver(&mut self, signed: &SignedUpdate, reached: impl Fn(usize) -> bool) {
        for (_, honest) in self.honest.iter_mut().enumerate().filter(|(index, _)| reached(*index)) {
            honest.receive(signed);
        }
        self.attend();
    }

    /// The honest accounts look at what they hold, and answer every dispute that cannot wait.
    fn attend(&mut self) {
        while !self.honest.is_empty() {
            let (view, now) = (self.view(), self.now());
            // One block for each of them.
            let others = (self.honest.len() as u64 - 1) * BLOCK_TIME;
            let kept = self.honest.iter_mut().map(|honest| {
                honest.decide(&view, now, now + others);
                honest.check_kept(&view, now)
            });
            let kept: Result<(), String> = kept.collect();
            // Whoever waits for the last moment has not answered yet.
            let answers = self.honest.iter().map(|honest| honest.answers(&self.model));
            let urgent: Vec<Vec<_>> = answers
                .map(|answers| {
                    let may = answers.into_iter().filter(|(deadline, ..)| self.time + BLOCK_TIME <= *deadline);
                    let must = may.filter(|(deadline, ..)| self.eager || *deadline < now + BLOCK_TIME + others);
                    must.map(|(deadline, entry, signed)| (deadline, entry, signed.clone())).collect()
                })
                .collect();
            let Some(index) = urgent.iter().position(|answers| !answers.is_empty()) else {
                assert_eq!(kept, Ok(()));
                return;
            };
            let first = urgent.iter().flatten().map(|(deadline, ..)| *deadline).min().unwrap();
            let earliest = self.time + BLOCK_TIME;
            let at = if self.eager { earliest } else { now.min(first - others).max(earliest) };
            let mut updates: Vec<SignedUpdate> = vec![];
            for (_, _, signed) in &urgent[index] {
                if !updates.contains(signed) {
                    updates.push(signed.clone());
                }
            }
            let (by, sound) = (self.user(self.honest[index].account), vec![true; updates.len()]);
            self.pending = at - earliest;
            let accepted = self.execute(&Sent { by, value: 0, call: Call::UpdateAll(UpdateAll { updates }), sound });
            self.pending = now.saturating_sub(self.time + BLOCK_TIME);
            self.tally.answers += 1;
            for (_, entry, _) in &urgent[index] {
                let answered = self
                    .model
                    .tpcs
                    .get(&entry.tpc)
                    .is_some_and(|tpc| (tpc.epoch, tpc.version) >= (entry.epoch, entry.version));
                assert!(accepted && answered, "an honest account's answer comes to nothing: {entry:?}");
            }
        }
    }

    /// Sends a call, which must succeed exactly if the model says so, and answers whether it did.
    fn send(&mut self, sent: &Sent) -> bool {
        self.attend();
        self.execute(sent)
    }

    fn execute(&mut self, sent: &Sent) -> bool {
        let (caller, now) = (self.account(sent.by), self.now());
        self.calls += 1;
        if self.calls.is_multiple_of(4) {
            self.try_out(sent);
        }
        let passed = self.view();
        let mut next = passed.clone();
        let good = next.take(sent, caller, now).is_some();
        if !good {
            next = passed.clone();
        }
        self.execute_on_chain(sent, &next, good);
        for honest in &mut self.honest {
            honest.watch(&self.model, None, &passed);
            honest.watch(&passed, Some(&sent.call).filter(|_| good), &next);
        }
        (self.time, self.pending) = (now, 0);
        let before = std::mem::replace(&mut self.model, next);
        for (id, tpc) in self.model.tpcs.iter().filter(|(id, _)| !before.tpcs.contains_key(id)) {
            assert!(self.ever.insert(*id), "{id} came back");
            self.known.insert(*id, tpc.owners);
        }
        // Whoever lacks a rule and stands for the contract is to be found out by what an honest account loses.
        if self.deployed.is_some() || self.model.lack.is_none() {
            self.check_order(&before);
        }
        if self.reads_back {
            self.check_changes(&before);
        }
        self.check_totals();
        if good && sent.call.is_good_once() {
            self.done.push(sent.clone());
        }
        good
    }

    fn execute_on_chain(&mut self, sent: &Sent, next: &Model, good: bool) {
        let others: Vec<_> = (0..USERS).filter(|user| *user != sent.by).map(|user| self.account(user)).collect();
        let before: Vec<_> = others.iter().map(|account| self.free_balance(*account)).collect();
        let (keys, now) = (self.users[sent.by].clone(), self.now());
        let Some(Deployment { chain, contract, .. }) = &mut self.deployed else { return };
        chain.advance(self.pending);
        let data = sent.call.data();
        let call = ContractCall {
            contract: contract.account,
            value: sent.value,
            gas_limit: GAS,
            deposit_limit: None,
            tip: 0,
            data,
        };
        let outcome = block_on(Chain::call(chain, &keys, call));
        assert_eq!(Devchain::time(chain), now);
        match outcome {
            Ok(receipt) => {
                assert!(good, "the contract accepts what it should refuse: {sent:?}");
                let told = receipt.events.iter().any(|event| contract.event(event).is_some());
                assert!(told, "a change without an event");
            }
            Err(ChainError::Failed(Failure::Reverted)) => {
                assert!(!good, "the contract refuses what it should accept ({:?}): {sent:?}", self.refusal(sent));
            }
            Err(other) => panic!("the contract must refuse by itself: {other}"),
        }
        for (account, before) in others.iter().zip(before) {
            let paid = |model: &Model| model.paid.get(account).copied().unwrap_or_default();
            let paid = paid(next) - paid(&self.model);
            assert_eq!(self.free_balance(*account) - before, paid, "paid to {account:?}");
        }
    }

    fn free_balance(&mut self, account: AccountId) -> u128 {
        self.deployed.as_mut().map_or(0, |deployed| deployed.chain.free_balance(*account.as_ref()))
    }

    /// At the clock of the last block, the contract would answer as the model does.
    fn try_out(&mut self, sent: &Sent) {
        let by = self.account(sent.by);
        let Some(Deployment { chain, contract, .. }) = &mut self.deployed else { return };
        let expected = self.model.clone().take(sent, by, self.time);
        let run = block_on(Chain::dry_run(chain, by, contract.account, sent.value, sent.call.data())).unwrap();
        // Every call answers a result in a result.
        match (run.answer.as_slice(), expected) {
            ([0, 0, answer @ ..], Some(expected)) => assert_eq!(answer, expected, "{sent:?}"),
            ([0, 1, ..], None) => {}
            (answer, expected) => {
                let error = answer.get(2..).and_then(|mut error| Error::decode(&mut error).ok());
                panic!("in a trial the contract answers {answer:?} ({error:?}), not {expected:?}: {sent:?}")
            }
        }
    }

    /// Why the contract would refuse now, if it would.
    fn refusal(&mut self, sent: &Sent) -> Option<Error> {
        let by = self.account(sent.by);
        let Deployment { chain, contract, .. } = self.deployed.as_mut()?;
        let run = block_on(Chain::dry_run(chain, by, contract.account, sent.value, sent.call.data())).unwrap();
        match run.answer.as_slice() {
            [0, 1, error @ ..] => Some(Decode::decode(&mut &*error).unwrap()),
            answer => {
                assert!(answer.starts_with(&[0, 0]), "{answer:?}");
                None
            }
        }
    }

    /// Nothing goes back to an older state, no end is forgotten, and no clock starts anew.
    fn check_order(&self, before: &Model) {
        for (key, last) in &before.ended {
            assert_eq!(self.model.ended.get(key), Some(last), "the end of {key:?}");
        }
        for (id, tpc) in &self.model.tpcs {
            let Some(old) = before.tpcs.get(id) else { continue };
            assert_eq!(tpc.owners, old.owners);
            assert!((tpc.epoch, tpc.version) >= (old.epoch, old.version), "{id} fell back");
            let anew = Some(self.time + tpc.owners.window);
            match (old.dispute, tpc.dispute) {
                (Some(old_one), Some(new_one)) if tpc.epoch == old.epoch => {
                    assert_eq!(old_one.deadline, new_one.deadline, "the deadline of {id} moved");
                    let kept = old_one.then == new_one.then || old_one.then == Resolution::Renew;
                    assert!(kept, "the dispute of {id} went back to renewal");
                }
                (Some(dispute), now) => {
                    let over = dispute.then == Resolution::Renew && self.time > dispute.deadline;
                    assert!(over, "the dispute of {id} is forgotten");
                    assert!(tpc.epoch > old.epoch, "{id} is not in its next epoch");
                    assert!(self.model.ended.contains_key(&(*id, old.epoch)), "the end of {id} is not recorded");
                    assert!(now.is_none() || now.map(|now| now.deadline) == anew);
                }
                (None, Some(dispute)) => assert_eq!(Some(dispute.deadline), anew, "the window of {id}"),
                (None, None) => {}
            }
        }
        for (id, mpc) in &self.model.mpcs {
            let members = self.model.tpcs.values().filter(|tpc| tpc.mpc == Some(*id)).count();
            assert!(members > 0 && members == mpc.channels as usize, "group {id} has {members} channels");
        }
    }

    /// What should have changed is in the contract as in the model.
    fn check_changes(&mut self, before: &Model) {
        let Self { deployed: Some(Deployment { chain, contract, token }), model, .. } = self else { return };
        let moved: BTreeSet<_> = changed(&before.wallets, &model.wallets);
        for owner in moved.iter().copied() {
            assert_eq!(token.query(chain, &BalanceOf { owner }), Ok(model.wallets[&owner]));
        }
        if !moved.is_empty() {
            // Only a deposit or a withdrawal moves tokens, and all that moved is the contract's or a user's.
            let held = token.query(chain, &BalanceOf { owner: contract.account });
            assert_eq!(held, Ok(model.owed(Asset::Psp22(model.token))), "the contract has the tokens that it owes");
        }
        let owed = |model: &Model| model.owed(Asset::Psp22(model.token)) + model.wallets.values().sum::<Balance>();
        assert!(before.wallets.is_empty() || owed(before) == owed(model), "tokens come from nowhere, or are gone");
        for id in changed(&before.tpcs, &model.tpcs) {
            assert_eq!(block_on(contract.query(chain, &GetTpc { id })), Ok(model.tpcs.get(&id).copied()));
        }
        for (id, epoch) in changed(&before.ended, &model.ended) {
            assert_eq!(
                block_on(contract.query(chain, &GetEnded { id, epoch })),
                Ok(model.ended.get(&(id, epoch)).copied())
            );
        }
        for id in changed(&before.mpcs, &model.mpcs) {
            assert_eq!(block_on(contract.query(chain, &GetMpc { id })), Ok(model.mpcs.get(&id).copied()));
        }
        for (account, asset) in changed(&before.ledger, &model.ledger) {
            let held = model.ledger.get(&(account, asset)).copied().unwrap_or_default();
            assert_eq!(block_on(contract.query(chain, &LedgerBalance { account, asset })), Ok(held));
        }
        for parties in changed(&before.nonces, &model.nonces) {
            let nonce = model.nonces.get(&parties).copied().unwrap_or_default();
            let [first, second] = parties;
            for parties in [[first, second], [second, first]] {
                assert_eq!(block_on(contract.query(chain, &NextNonce { parties })), Ok(nonce));
            }
        }
    }

    /// The contract's account has what the contract owes, and its storage what is not finished.
    fn check_totals(&mut self) {
        let owed = self.model.owed(Asset::Native);
        let Some(Deployment { chain, contract, .. }) = &mut self.deployed else { return };
        let account = contract.account;
        assert_eq!(chain.free_balance(*account.as_ref()), owed + EXISTENTIAL_DEPOSIT, "the contract has what it owes");
        let usage = chain.storage_usage(*account.as_ref()).unwrap();
        assert_eq!(usage.items as usize, self.model.items(), "nothing is stored for what is finished");
    }

    /// The contract holds what the model holds, also where no call was to change anything.
    fn check(&mut self) {
        let nothing = Model { nonces: self.model.nonces.clone(), ..Model::new(self.model.domain, self.model.token) };
        self.check_changes(&nothing);
        // No epoch has a record that does not say how a dispute ended it: neither those that owners ended, nor those of
        // disputes that are not over.
        let Self { deployed: Some(Deployment { chain, contract, .. }), model, .. } = self else { return };
        for id in &self.ever {
            let highest = model.ended.keys().filter(|(of, _)| of == id).map(|(_, epoch)| *epoch).max();
            let highest = model.tpcs.get(id).map(|tpc| tpc.epoch).max(highest).unwrap_or_default();
            for epoch in (0..=highest).filter(|epoch| !model.ended.contains_key(&(*id, *epoch))) {
                let ended = model.ended(*id, epoch, self.time);
                assert_eq!(
                    block_on(contract.query(chain, &GetEnded { id: *id, epoch })),
                    Ok(ended),
                    "{id}, epoch {epoch}"
                );
            }
        }
    }

    /// Tries everything again that was signed and succeeded: none of it may succeed twice.
    fn replay(&mut self) {
        for sent in self.done.clone() {
            assert!(self.deployed.is_none() || self.refusal(&sent).is_some(), "a call is good twice: {sent:?}");
        }
    }

    /// Everybody leaves: the honest accounts first, who answer what the others still bring.
    fn finish(&mut self, ending: Ending) {
        let honest: Vec<_> = self.honest.iter().map(|honest| self.user(honest.account)).collect();
        let others: Vec<_> = (0..NOBODY).filter(|user| !honest.contains(user)).collect();
        for by in honest.into_iter().chain(others) {
            let account = self.account(by);
            self.attend();
            let (view, now) = (self.view(), self.now());
            let open = view.tpcs.iter().filter(|(_, tpc)| {
                let settles = tpc.dispute.is_some_and(|dispute| dispute.then == Resolution::Settle);
                tpc.owners.parties.contains(&account) && !settles && !is_due(tpc, now)
            });
            let channels: Vec<_> = open.map(|(id, _)| *id).collect();
            if !channels.is_empty() {
                self.must(by, Call::DisputeChannels(DisputeChannels { channels, then: Resolution::Settle }));
            }
        }
        if ending.brings {
            self.bring_all();
        }
        let disputes = self.model.tpcs.values().filter_map(|tpc| Some((tpc.dispute?.deadline, tpc.owners.window)));
        let over = disputes.map(|(deadline, window)| if ending.strangers { deadline + window } else { deadline }).max();
        self.wait((over.unwrap_or_default() + 1).saturating_sub(self.now()));
        for by in 0..NOBODY {
            let account = self.account(by);
            let own =
                self.model.tpcs.iter().filter(|(_, tpc)| tpc.owners.parties.contains(&account) || ending.strangers);
            let channels: Vec<_> = own.map(|(id, _)| *id).collect();
            if !channels.is_empty() {
                self.must(by, Call::SettleChannels(SettleChannels { channels }));
            }
        }
        assert!(self.model.tpcs.is_empty() && self.model.mpcs.is_empty());
        self.bring_all();
        for honest in &self.honest {
            let [all, none] = honest.audit(&self.model).unwrap_or_else(|violation| panic!("{violation}"));
            self.tally.audits = [self.tally.audits[0] + all, self.tally.audits[1] + none];
        }
    }

    /// Sends everything that all owners have signed.
    fn bring_all(&mut self) {
        let updates = self.pool.clone();
        if !updates.is_empty() {
            let sound = vec![true; updates.len()];
            self.send(&Sent { by: NOBODY - 1, value: 0, call: Call::UpdateAll(UpdateAll { updates }), sound });
        }
    }

    fn must(&mut self, by: usize, call: Call) {
        let sent = Sent { by, value: 0, call, sound: vec![true] };
        assert!(self.send(&sent), "{sent:?}");
    }

    /// Opens a channel as its owners agree.
    fn create(&mut self, pair: [usize; 2], asset: Asset) -> bool {
        let parties = pair.map(|user| self.account(user));
        let nonce = self.model.nonces.get(&parties).copied().unwrap_or_default();
        let balances = [UNIT, if pair[1] == NOBODY { 0 } else { UNIT }];
        let (window, valid_until) = (MIN_WINDOW, Timestamp::MAX);
        let creation = TpcCreation { parties, nonce, asset, balances, window, valid_until };
        let payload = Action::CreateTpc(&creation).payload(&Native, &self.model.domain);
        let signatures = pair.map(|user| self.users[user].sign(&payload));
        let call = Call::CreateTpc(CreateTpc { creation, signatures });
        self.send(&Sent { by: pair[0], value: 0, call, sound: vec![true] })
    }
}

/// A token of which each user has the same, and which the contract may take all of.
fn token_of(chain: &mut Devchain, contract: AccountId, users: &[Keys]) -> Token {
    let alice = Keys::from_suri("//Alice").unwrap();
    let token = Token::deploy(chain, &alice, users.len() as Balance * WALLET, 0).unwrap();
    for keys in users {
        token.call(chain, &alice, &Transfer { to: keys.account(), value: WALLET, data: vec![] }).unwrap();
        token.call(chain, keys, &Approve { spender: contract, value: Balance::MAX }).unwrap();
    }
    token
}

/// The keys of what differs.
fn changed<K: Ord + Copy, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> BTreeSet<K> {
    before.keys().chain(after.keys()).filter(|key| before.get(key) != after.get(key)).copied().collect()
}

/// What the sequences are to run against.
#[derive(Clone, Copy)]
struct Setup {
    /// Whether there is a chain with the contract, or the model alone.
    on_chain: bool,
    lack: Option<Lack>,
    lapse: Option<Lapse>,
}

/// How a sequence ends.
#[derive(Clone, Copy, Debug)]
struct Ending {
    /// Whether everything that was signed is brought once more before the deadlines.
    brings: bool,
    /// Whether strangers settle.
    strangers: bool,
    /// Whether everything is read back.
    thorough: bool,
}

fn ending() -> impl Strategy<Value = Ending> {
    let rarely = proptest::bool::weighted(0.1);
    (any::<bool>(), any::<bool>(), rarely).prop_map(|(brings, strangers, thorough)| Ending {
        brings,
        strangers,
        thorough,
    })
}

/// Runs `cases` sequences, each from a fork of the same deployment; answers the first violation.
fn sequences(cases: u32, seed: u64, setup: Setup) -> Result<Tally, String> {
    let origin = RefCell::new(Run::prepared(setup.on_chain));
    let tally = RefCell::new(Tally::default());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: if setup.lack.is_none() && setup.lapse.is_none() { 2_000 } else { 0 },
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let honest = prop_oneof![2 => Just(vec![]), 5 => Just(vec![0]), 2 => Just(vec![0, 1]), 1 => Just(vec![2, 0])];
    let steps = proptest::collection::vec(step(), 1..28);
    let outcome = runner.run(&(steps, honest, any::<bool>(), ending()), |(steps, honest, eager, ending)| {
        let mut run = origin.borrow_mut().fork(setup, &honest, eager);
        steps.iter().for_each(|step| run.apply(step));
        run.reads_back = ending.thorough;
        if ending.thorough {
            run.check();
        }
        run.finish(ending);
        run.replay();
        run.tally.sequences = 1;
        tally.borrow_mut().add(run.tally);
        Ok(())
    });
    outcome.map(|()| tally.into_inner()).map_err(|error| format!("seed {seed}: {error}"))
}

#[test]
fn the_contract_does_what_its_model_does_and_honest_accounts_lose_nothing() {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { 5_000 };
    let seed = if let RngSeed::Fixed(seed) = asked.rng_seed { seed } else { 1 };
    let setup = Setup { on_chain: true, lack: None, lapse: None };
    let tallies = std::thread::scope(|scope| {
        let run = |index: u64| move || sequences(cases.div_ceil(2), seed.wrapping_add(index), setup);
        let threads = [0, 1].map(|index| scope.spawn(run(index)));
        threads.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let mut tally = Tally::default();
    tallies.into_iter().for_each(|one| tally.add(one.unwrap_or_else(|violation| panic!("{violation}"))));
    // By the thousand sequences.
    let per_mille = |count: u64| count * 1_000 / tally.sequences;
    let few = tally.sequences < 1_000;
    for name in Call::NAMES {
        let calls = tally.calls.iter().filter(|((call, _), _)| call == name);
        let [accepted, refused] = calls.fold([0, 0], |sum, (_, more)| [sum[0] + more[0], sum[1] + more[1]]);
        println!("{name}: {accepted} accepted, {refused} refused");
        assert!(few || per_mille(accepted) >= 5, "{name} is hardly ever accepted");
        assert!(few || per_mille(refused) >= 3, "{name} is hardly ever refused");
    }
    for flaw in steps::FLAWS {
        let calls = tally.calls.iter().filter(|((_, of), _)| of == flaw);
        let [accepted, refused] = calls.fold([0, 0], |sum, (_, more)| [sum[0] + more[0], sum[1] + more[1]]);
        println!("{flaw:?}: {accepted} accepted, {refused} refused");
        assert!(few || per_mille(refused) >= 3, "{flaw:?} is hardly ever refused");
    }
    let Tally { answers, audits: [all, none], sequences, .. } = tally;
    println!("{sequences} sequences; honest accounts answered {answers} times");
    println!("updates over several of their channels counted {all} times in all and {none} times in none");
    assert!(few || per_mille(answers) >= 20 && per_mille(all) >= 20 && per_mille(none) >= 20);
}

#[test]
fn a_rule_that_the_model_lacks_is_noticed() {
    use Lack::*;
    let rules = [
        DueRefuses,
        EndRefuses,
        SettleRecords,
        RenewalRecords,
        RenewalEndsEpoch,
        ClosePasses,
        OneDispute,
        NoWayBack,
        Sums,
        SumPasses,
        Newer,
        Epochs,
        Registrations,
        Busy,
        StrangersWait,
        OwnersCall,
        ElementsAlone,
        DisputedStays,
    ];
    for rule in rules {
        let noticed = sequences(1_000, 1, Setup { on_chain: true, lack: Some(rule), lapse: None });
        assert!(noticed.is_err(), "{rule:?} is not noticed");
    }
}

#[test]
fn a_rule_that_the_contract_lacks_costs_an_honest_account() {
    use Lack::*;
    let rules = [DueRefuses, EndRefuses, SettleRecords, RenewalRecords, ClosePasses];
    let unnoticed =
        |rule: &Lack| sequences(20_000, 1, Setup { on_chain: false, lack: Some(*rule), lapse: None }).is_ok();
    let unnoticed: Vec<_> = rules.into_iter().filter(unnoticed).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} are not noticed");
}

#[test]
fn a_rule_that_an_honest_account_breaks_costs_it() {
    use Lapse::*;
    let rules = [
        NotOnChain,
        NoReplacement,
        Overlap,
        AgreedIsGone,
        NoHaste,
        DisputedIsVoid,
        Silent,
        OwnOnly,
        NewestOnly,
        OldContent,
    ];
    let unbroken = sequences(2_000, 1, Setup { on_chain: false, lack: None, lapse: None });
    assert_eq!(unbroken.map(|tally| tally.sequences), Ok(2_000));
    let unnoticed =
        |rule: &Lapse| sequences(20_000, 1, Setup { on_chain: false, lack: None, lapse: Some(*rule) }).is_ok();
    let unnoticed: Vec<_> = rules.into_iter().filter(unnoticed).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} are not noticed");
}

#[test]
fn a_creation_cannot_be_replayed_after_its_channel_is_gone() {
    let mut run = Run::prepared(true);
    let pair = [0, 3];
    assert!(run.create(pair, Asset::Native));
    let created = run.done.last().unwrap().clone();
    run.finish(Ending { brings: false, strangers: false, thorough: true });
    assert_eq!(run.refusal(&created), Some(Error::WrongNonce { expected: 1 }));
    let before = run.ever.clone();
    run.wait(1);
    assert!(run.create(pair, Asset::Native));
    assert_eq!(run.ever.len(), before.len() + 1, "a channel id never comes back");
    assert_eq!(run.model.nonces[&pair.map(|user| run.account(user))], 2);
}
