//! What has broken other payment channels, and what an attacker would try here, on the compiled contract.
//!
//! Ann, Bob, Cleo and Dan have channels with 4 UNIT on each side. Eve is in none, and brings whatever somebody has
//! signed: anyone may.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use braid::{
    contract::{Bundle, CallError, Contract},
    costs::Bench,
    keys::{Keys, Native},
};
use codec::Decode;
use devchain::{Call, Devchain, StorageUsage, BLOCK_TIME, EXISTENTIAL_DEPOSIT, UNIT};
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DisputeMpc, DisputeTpc, GetDomain, GetMpc, GetTpc, JoinMpc,
        LeaveMpc, LedgerBalance, Message, NextNonce, SettleMpc, SettleTpc, SplitTpc, TopUpTpc, UpdateMpc, UpdateTpc,
        Withdraw, WithdrawTpc,
    },
    state::{MAX_WINDOW, MIN_WINDOW},
    AccountId, Action, Balance, Domain, Entry, Epoch, Error, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave,
    MpcUpdate, Owners, PartySignature, Signature, Timestamp, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp,
    TpcWithdrawal, Window,
};
use std::collections::BTreeMap;

const ANN: usize = 0;
const BOB: usize = 1;
const CLEO: usize = 2;
const DAN: usize = 3;
const EVE: usize = 4;

/// What each has in the ledger at first.
const SAVINGS: Balance = 20 * UNIT;

struct World {
    bench: Bench<Devchain>,
    /// Every channel that was ever signed, with its users.
    channels: BTreeMap<TpcId, (Owners, [usize; 2])>,
    /// Whose signatures Eve makes in their place.
    forged: Option<usize>,
}

fn world() -> World {
    World::on(Devchain::new())
}

fn units(balances: [Balance; 2]) -> [Balance; 2] {
    balances.map(|balance| balance * UNIT)
}

/// The state after `of`, in UNIT.
fn next(of: Entry, balances: [Balance; 2]) -> Entry {
    Entry { version: of.version + 1, balances: units(balances), ..of }
}

/// The first state of the epoch after that of `of`.
fn later(of: Entry) -> Entry {
    Entry { epoch: of.epoch + 1, version: 0, ..of }
}

fn sorted(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    entries.sort_by_key(|entry| entry.tpc);
    entries
}

impl World {
    fn on(chain: Devchain) -> Self {
        let mut bench = Bench::new(chain, 5).unwrap();
        for user in ANN..=EVE {
            bench.call(user, SAVINGS, &Deposit {}).unwrap();
        }
        Self { bench, channels: BTreeMap::new(), forged: None }
    }

    fn fork(&mut self) -> Self {
        Self { bench: self.bench.fork(), channels: self.channels.clone(), forged: self.forged }
    }

    fn account(&self, user: usize) -> AccountId {
        self.bench.users[user].account()
    }

    /// Sends a call, after which the contract must still have exactly what it owes.
    fn send<T: Decode, M: Message<Output = Result<T, Error>>>(&mut self, by: usize, message: &M) -> Result<(), Error> {
        let outcome = match self.bench.call(by, 0, message) {
            Ok(_) => Ok(()),
            Err(CallError::Contract(error)) => Err(error),
            Err(other) => panic!("the contract must refuse by itself: {other}"),
        };
        let mut owed = EXISTENTIAL_DEPOSIT;
        for user in 0..self.bench.users.len() {
            owed += self.ledger(user);
        }
        let channels: Vec<_> = self.channels.keys().copied().collect();
        owed += channels.into_iter().filter_map(|tpc| self.stored(tpc)?.total()).sum::<Balance>();
        let account = *self.bench.contract.account.as_ref();
        assert_eq!(self.bench.chain.free_balance(account), owed, "the contract has what it owes");
        outcome
    }

    fn bring<T: Decode, M: Message<Output = Result<T, Error>>>(&mut self, message: &M) -> Result<(), Error> {
        self.send(EVE, message)
    }

    fn ask<M: Message>(&mut self, message: &M) -> M::Output {
        self.bench.contract.query(&mut self.bench.chain, message).unwrap()
    }

    fn ledger(&mut self, user: usize) -> Balance {
        let account = self.account(user);
        self.ask(&LedgerBalance { account })
    }

    fn stored(&mut self, id: TpcId) -> Option<Tpc> {
        self.ask(&GetTpc { id })
    }

    /// What the contract holds of each channel.
    fn state<const N: usize>(&mut self, channels: [Entry; N]) -> [Entry; N] {
        channels.map(|Entry { tpc, .. }| self.stored(tpc).unwrap().entry(tpc))
    }

    fn usage(&mut self) -> StorageUsage {
        self.bench.chain.storage_usage(*self.bench.contract.account.as_ref()).unwrap()
    }

    /// What Ann, Bob, Cleo and everybody else but Eve received by what Eve did, in planck.
    fn gains(&mut self, act: impl FnOnce(&mut Self)) -> Vec<Balance> {
        let users: Vec<_> = (0..self.bench.users.len()).filter(|user| *user != EVE).collect();
        let free = |world: &mut Self| -> Vec<_> {
            let free = users.iter().map(|user| world.bench.chain.free_balance(*world.account(*user).as_ref()));
            free.collect()
        };
        let before = free(self);
        act(self);
        free(self).iter().zip(before).map(|(after, before)| after - before).collect()
    }

    /// The next transaction is in a block of this time.
    fn at(&mut self, time: Timestamp) {
        let next = self.bench.chain.time() + BLOCK_TIME;
        self.bench.chain.advance(time.checked_sub(next).expect("the time is yet to come"));
    }

    /// A block in the first millisecond after a deadline, or as soon after it as the last block allows.
    fn pass(&mut self, deadline: Timestamp) {
        self.at((deadline + 1).max(self.bench.chain.time() + BLOCK_TIME));
        self.bench.chain.submit(&self.bench.users[EVE], Call::Remark).unwrap();
    }

    fn later(&mut self) -> Timestamp {
        self.bench.later().unwrap()
    }

    fn signature(&self, user: usize, action: Action) -> Signature {
        self.bench.sign(if self.forged == Some(user) { EVE } else { user }, action)
    }

    fn both(&self, tpc: TpcId, action: Action) -> [Signature; 2] {
        self.channels[&tpc].1.map(|user| self.signature(user, action))
    }

    fn all(&self, entries: &[Entry], action: Action) -> Vec<PartySignature> {
        let mut users: Vec<_> = entries.iter().flat_map(|entry| self.channels[&entry.tpc].1).collect();
        users.sort_unstable();
        users.dedup();
        let sign = |user| PartySignature { party: self.account(user), signature: self.signature(user, action) };
        users.into_iter().map(sign).collect()
    }

    fn creation(&mut self, users: [usize; 2], balances: [Balance; 2], window: Window) -> CreateTpc {
        let parties = users.map(|user| self.account(user));
        let (nonce, valid_until) = (self.ask(&NextNonce { parties }), self.later());
        let creation = TpcCreation { parties, nonce, balances, window, valid_until };
        self.channels.insert(creation.id(&Native), (Owners { parties, nonce, part: None }, users));
        CreateTpc { creation, signatures: users.map(|user| self.signature(user, Action::CreateTpc(&creation))) }
    }

    fn update(&self, entry: Entry) -> UpdateTpc {
        UpdateTpc { entry, signatures: self.both(entry.tpc, Action::UpdateTpc(&entry)) }
    }

    fn close(&mut self, last: Entry) -> CloseTpc {
        let close = TpcClose { last, valid_until: self.later() };
        CloseTpc { close, signatures: self.both(last.tpc, Action::CloseTpc(&close)) }
    }

    fn top_up(&mut self, snapshot: Entry, added: [Balance; 2]) -> TopUpTpc {
        let top_up = TpcTopUp { snapshot, added, valid_until: self.later() };
        TopUpTpc { top_up, signatures: self.both(snapshot.tpc, Action::TopUpTpc(&top_up)) }
    }

    fn withdrawal(&mut self, snapshot: Entry, amounts: [Balance; 2]) -> WithdrawTpc {
        let withdrawal = TpcWithdrawal { snapshot, amounts, valid_until: self.later() };
        WithdrawTpc { withdrawal, signatures: self.both(snapshot.tpc, Action::WithdrawTpc(&withdrawal)) }
    }

    /// A division into parts, in UNIT, and their first states.
    fn split<const N: usize>(&mut self, tpc: TpcId, epoch: Epoch, parts: [[Balance; 2]; N]) -> (SplitTpc, [Entry; N]) {
        let parts = parts.map(units);
        let (owners, users) = self.channels[&tpc];
        let mut index = 0;
        let entries = parts.map(|balances| {
            let part = tpc.part(&Native, epoch, index);
            if index > 0 {
                self.channels.insert(part, (Owners { part: Some((epoch, index)), ..owners }, users));
            }
            index += 1;
            Entry { tpc: part, epoch, version: 0, balances }
        });
        let split = TpcSplit { tpc, epoch, parts: parts.to_vec() };
        let signatures = self.both(tpc, Action::SplitTpc(&split));
        (SplitTpc { split, signatures }, entries)
    }

    fn braid(&mut self, entries: &[Entry], window: Window) -> CreateMpc {
        let creation = MpcCreation { entries: sorted(entries), window, valid_until: self.later() };
        let signatures = self.all(entries, Action::CreateMpc(&creation));
        CreateMpc { creation, signatures }
    }

    fn pay(&self, mpc: MpcId, entries: &[Entry]) -> UpdateMpc {
        let update = MpcUpdate { mpc, entries: sorted(entries) };
        let signatures = self.all(entries, Action::UpdateMpc(&update));
        UpdateMpc { update, signatures, gone: vec![] }
    }

    fn unbraid(&mut self, mpc: MpcId, entries: &[Entry]) -> CloseMpc {
        let close = MpcClose { mpc, entries: sorted(entries), valid_until: self.later() };
        let signatures = self.all(entries, Action::CloseMpc(&close));
        CloseMpc { close, signatures }
    }

    fn join(&mut self, mpc: MpcId, member: Entry, entries: &[Entry]) -> JoinMpc {
        let join = MpcJoin { mpc, member: member.tpc, entries: sorted(entries), valid_until: self.later() };
        let signatures = self.all(entries, Action::JoinMpc(&join));
        JoinMpc { join, signatures }
    }

    fn leave(&mut self, mpc: MpcId, entries: &[Entry]) -> LeaveMpc {
        let leave = MpcLeave { mpc, entries: sorted(entries), valid_until: self.later() };
        let signatures = self.all(entries, Action::LeaveMpc(&leave));
        LeaveMpc { leave, signatures }
    }

    fn owners(&self, of: Entry) -> Owners {
        self.channels[&of.tpc].0
    }

    fn open(&mut self, users: [usize; 2]) -> Entry {
        let create = self.creation(users, units([4, 4]), MIN_WINDOW);
        self.bring(&create).unwrap();
        Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: units([4, 4]) }
    }

    fn group<const N: usize>(&mut self, channels: [Entry; N]) -> (MpcId, [Entry; N]) {
        let channels = channels.map(later);
        let create = self.braid(&channels, MIN_WINDOW);
        self.bring(&create).unwrap();
        (create.creation.id(&Native, &self.bench.domain), channels)
    }

    /// Ann-Bob, Bob-Cleo and Ann-Cleo in one group.
    fn trio(&mut self) -> (MpcId, [Entry; 3]) {
        let channels = [[ANN, BOB], [BOB, CLEO], [ANN, CLEO]].map(|users| self.open(users));
        self.group(channels)
    }

    /// Starts a channel's clock and tells its deadline.
    fn dispute(&mut self, by: usize, of: Entry) -> Result<Timestamp, Error> {
        self.send(by, &DisputeTpc { id: of.tpc })?;
        Ok(self.stored(of.tpc).unwrap().deadline.unwrap())
    }

    /// Starts a group's clock and tells its deadline.
    fn dispute_mpc(&mut self, by: usize, id: MpcId, member: Entry, exits: &[Entry]) -> Result<Timestamp, Error> {
        let exits = exits.iter().map(|entry| entry.tpc).collect();
        self.send(by, &DisputeMpc { id, member: member.tpc, exits })?;
        Ok(self.ask(&GetMpc { id }).unwrap().deadline.unwrap())
    }

    fn settle(&mut self, of: Entry) -> Result<(), Error> {
        self.bring(&SettleTpc { id: of.tpc })
    }

    /// Somebody who has nothing, not even an account, and a channel with Ann in which only she has put something.
    fn newcomer(&mut self) -> (usize, Entry) {
        let last = self.account(EVE);
        let mut keys = (0..).map(|index| Keys::from_suri(&format!("//newcomer{index}")).unwrap());
        self.bench.users.push(keys.find(|keys| keys.account() > last).unwrap());
        let newcomer = self.bench.users.len() - 1;
        let create = self.creation([ANN, newcomer], [4 * UNIT, 0], MIN_WINDOW);
        self.bring(&create).unwrap();
        (newcomer, Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: [4 * UNIT, 0] })
    }
}

/// Too little for an account.
const CRUMB: Balance = EXISTENTIAL_DEPOSIT - 1;

fn wrong_epoch(of: Entry, stored: Epoch) -> Result<(), Error> {
    Err(Error::WrongEpoch { tpc: of.tpc, stored })
}

fn stale(of: Entry, stored: u64) -> Result<(), Error> {
    Err(Error::StaleVersion { tpc: of.tpc, stored })
}

// Replays.

#[test]
fn a_withdrawal_replayed_pays_nothing_even_when_the_sum_fits_again() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let one = Entry { balances: units([3, 3]), ..later(ab) };
    let withdrawal = w.withdrawal(one, units([1, 1]));
    assert_eq!(w.gains(|w| w.bring(&withdrawal).unwrap()), [UNIT, UNIT, 0, 0]);
    assert_eq!(w.bring(&withdrawal), wrong_epoch(ab, 1));
    let refill = w.top_up(Entry { balances: units([4, 4]), ..later(one) }, units([1, 1]));
    w.bring(&refill).unwrap();
    assert_eq!(w.gains(|w| assert_eq!(w.bring(&withdrawal), wrong_epoch(ab, 2))), [0; 4]);
}

#[test]
fn a_close_signed_before_a_withdrawal_is_void_after_it() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old_close, old_state) = (w.close(next(ab, [0, 8])), w.update(next(ab, [0, 8])));
    let rest = Entry { balances: units([3, 3]), ..later(ab) };
    let withdrawal = w.withdrawal(rest, units([1, 1]));
    w.bring(&withdrawal).unwrap();
    assert_eq!(w.bring(&old_close), wrong_epoch(ab, 1));
    assert_eq!(w.bring(&old_state), wrong_epoch(ab, 1));
    let close = w.close(next(rest, [2, 4]));
    assert_eq!(w.gains(|w| w.bring(&close).unwrap()), [2 * UNIT, 4 * UNIT, 0, 0]);
    assert_eq!(w.bring(&withdrawal), Err(Error::UnknownTpc(ab.tpc)));
    assert_eq!(w.bring(&close), Err(Error::UnknownTpc(ab.tpc)));
}

#[test]
fn a_top_up_replayed_takes_nothing_from_the_ledgers() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let top_up = w.top_up(Entry { balances: units([5, 6]), ..later(ab) }, units([1, 2]));
    w.bring(&top_up).unwrap();
    let ledgers = [w.ledger(ANN), w.ledger(BOB)];
    assert_eq!(ledgers, [SAVINGS - 5 * UNIT, SAVINGS - 6 * UNIT]);
    assert_eq!(w.bring(&top_up), wrong_epoch(ab, 1));
    let back = w.withdrawal(Entry { epoch: 2, ..ab }, units([1, 2]));
    w.bring(&back).unwrap();
    assert_eq!(w.bring(&top_up), wrong_epoch(ab, 2));
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], ledgers);
}

#[test]
fn a_creation_replayed_after_settlement_locks_nothing() {
    let mut w = world();
    let create = w.creation([ANN, BOB], units([4, 4]), MIN_WINDOW);
    w.bring(&create).unwrap();
    let ab = Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: units([4, 4]) };
    let old_state = w.update(next(ab, [0, 8]));
    let deadline = w.dispute(ANN, ab).unwrap();
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
    assert_eq!(w.bring(&create), Err(Error::WrongNonce { expected: 1 }));
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS - 4 * UNIT; 2]);
    let again = w.open([ANN, BOB]);
    assert_ne!(again.tpc, ab.tpc);
    assert_eq!(w.bring(&old_state), Err(Error::UnknownTpc(ab.tpc)));
}

#[test]
fn an_answer_of_one_channel_is_no_answer_in_another_of_the_same_pair() {
    let mut w = world();
    let (first, second) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let answer = w.update(next(first, [0, 8]));
    w.dispute(ANN, second).unwrap();
    let replayed = UpdateTpc { entry: next(second, [0, 8]), ..answer };
    let bad = Err(Error::BadSignature(w.account(ANN)));
    assert_eq!(w.bring(&replayed), bad);
    let part_of_group = w.pay(MpcId([0; 32]), &[next(second, [0, 8])]);
    let [ann, bob] = &part_of_group.signatures[..] else { panic!("two signed") };
    assert_eq!(w.bring(&UpdateTpc { signatures: [ann.signature, bob.signature], ..replayed }), bad);
    assert_eq!(w.state([second]), [second]);
}

#[test]
fn an_answer_on_one_chain_is_no_answer_on_another() {
    let mut here = world();
    let mut there = World::on(Devchain::with_accounts(&[([7; 32], UNIT)]));
    assert_ne!(here.bench.domain.genesis_hash, there.bench.domain.genesis_hash);
    let (ours, theirs) = (here.open([ANN, BOB]), there.open([ANN, BOB]));
    assert_eq!(ours, theirs, "nothing but the domain tells these two channels apart");
    there.dispute(ANN, theirs).unwrap();
    let bad = Err(Error::BadSignature(here.account(ANN)));
    assert_eq!(there.bring(&here.update(next(ours, [0, 8]))), bad);
    // Where even the contract's account is the same, the chain alone must make the difference.
    let genesis_hash = here.bench.domain.genesis_hash;
    let good = there.update(next(theirs, [0, 8]));
    there.bench.domain = Domain { genesis_hash, ..there.bench.domain };
    let other_genesis = there.update(next(theirs, [0, 8]));
    assert_eq!(there.bring(&other_genesis), bad);
    assert_eq!(there.bring(&good), Ok(()));
}

#[test]
fn an_answer_in_one_deployment_is_no_answer_in_another_on_the_same_chain() {
    let mut here = world();
    let mut there = here.fork();
    let alice = Keys::from_suri("//Alice").unwrap();
    let (contract, _) = Contract::deploy(&mut there.bench.chain, &alice, &Bundle::built_in().unwrap()).unwrap();
    there.bench.contract = contract;
    there.bench.domain = there.ask(&GetDomain {});
    assert_eq!(here.bench.domain.genesis_hash, there.bench.domain.genesis_hash);
    for user in [ANN, BOB] {
        there.bench.call(user, SAVINGS, &Deposit {}).unwrap();
    }
    let (ours, theirs) = (here.open([ANN, BOB]), there.open([ANN, BOB]));
    assert_eq!(ours, theirs);
    there.dispute(ANN, theirs).unwrap();
    let bad = Err(Error::BadSignature(here.account(ANN)));
    assert_eq!(there.bring(&here.update(next(ours, [0, 8]))), bad);
    assert_eq!(there.bring(&here.close(next(ours, [0, 8]))), bad);
    assert_eq!(there.state([theirs]), [theirs]);
}

// Signers.

#[test]
fn eve_signs_in_bobs_place_for_a_channel_and_nothing_moves() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    w.forged = Some(BOB);
    let bad = Err(Error::BadSignature(w.account(BOB)));
    let create = w.creation([ANN, BOB], units([1, 1]), MIN_WINDOW);
    assert_eq!(w.bring(&create), bad);
    assert_eq!(w.bring(&w.update(next(ab, [8, 0]))), bad);
    let close = w.close(next(ab, [8, 0]));
    assert_eq!(w.bring(&close), bad);
    let top_up = w.top_up(Entry { balances: units([12, 4]), ..later(ab) }, units([4, 4]));
    assert_eq!(w.bring(&top_up), bad);
    let withdrawal = w.withdrawal(Entry { balances: units([2, 4]), ..later(ab) }, units([2, 0]));
    assert_eq!(w.bring(&withdrawal), bad);
    let (split, _) = w.split(ab.tpc, 1, [[4, 0], [4, 0]]);
    assert_eq!(w.bring(&split), bad);
    w.forged = None;
    let UpdateTpc { entry, signatures: [ann, bob] } = w.update(next(ab, [8, 0]));
    let swapped = UpdateTpc { entry, signatures: [bob, ann] };
    assert_eq!(w.bring(&swapped), Err(Error::BadSignature(w.account(ANN))));
    assert_eq!(w.state([ab]), [ab]);
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS - 4 * UNIT; 2]);
}

#[test]
fn eve_signs_in_bobs_place_for_a_group_and_nothing_moves() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, _] = trio;
    let outside = w.open([ANN, BOB]);
    w.forged = Some(BOB);
    let bad = Err(Error::BadSignature(w.account(BOB)));
    let braid = w.braid(&[later(outside)], MIN_WINDOW);
    assert_eq!(w.bring(&braid), bad);
    let join = w.join(mpc, ab, &[later(outside)]);
    assert_eq!(w.bring(&join), bad);
    assert_eq!(w.bring(&w.pay(mpc, &[next(ab, [8, 0]), next(bc, [0, 8])])), bad);
    let close = w.unbraid(mpc, &trio);
    assert_eq!(w.bring(&close), bad);
    let leave = w.leave(mpc, &[ab, bc]);
    assert_eq!(w.bring(&leave), bad);
    assert_eq!(w.state(trio), trio);
    assert_eq!(w.state([outside]), [outside]);
}

#[test]
fn a_groups_update_needs_exactly_the_owners_it_touches() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, _] = trio;
    let update = w.pay(mpc, &[next(ab, [3, 5])]);
    let without_bob = UpdateMpc { signatures: update.signatures[..1].to_vec(), ..update.clone() };
    assert_eq!(w.bring(&without_bob), Err(Error::MissingSignature(w.account(BOB))));
    let signatures = w.bench.sign_all([ANN, BOB, EVE], Action::UpdateMpc(&update.update));
    let with_eve = UpdateMpc { signatures, ..update.clone() };
    assert_eq!(w.bring(&with_eve), Err(Error::ForeignSignature(w.account(EVE))));
    let twice = UpdateMpc { signatures: vec![update.signatures[0]; 2], ..update.clone() };
    assert_eq!(w.bring(&twice), Err(Error::SignaturesNotSorted));
    let mut entries = update.update.entries.clone();
    entries.push(next(bc, [0, 8]));
    let stretched = UpdateMpc { update: MpcUpdate { mpc, entries: sorted(&entries) }, ..update };
    assert_eq!(w.bring(&stretched), Err(Error::MissingSignature(w.account(CLEO))));
    assert_eq!(w.state(trio), trio);
}

#[test]
fn a_stranger_with_a_stolen_state_starts_no_clock() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let stolen = w.update(next(ab, [8, 0]));
    w.send(EVE, &stolen).unwrap();
    assert_eq!(w.dispute(EVE, ab), Err(Error::NotOwner(ab.tpc)));
    assert_eq!(w.settle(ab), Err(Error::TpcNotDisputed(ab.tpc)));
    assert_eq!(w.bring(&w.update(next(stolen.entry, [3, 5]))), Ok(()), "and the newer state still counts");
}

#[test]
fn a_stranger_starts_no_groups_clock_and_a_member_ends_only_channels_of_its_own() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let outside = w.open([DAN, EVE]);
    let (own_mpc, [in_own]) = w.group([outside]);
    assert_eq!(w.dispute_mpc(EVE, mpc, ab, &[]), Err(Error::NotOwner(ab.tpc)));
    assert_eq!(w.dispute_mpc(EVE, mpc, in_own, &[]), Err(Error::NotMember(in_own.tpc)));
    assert_eq!(w.dispute_mpc(ANN, mpc, ab, &[ac, bc]), Err(Error::NotOwner(bc.tpc)));
    assert_eq!(w.dispute_mpc(ANN, mpc, ab, &[in_own]), Err(Error::NotMember(in_own.tpc)));
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Err(Error::MpcNotDisputed(mpc)));
    assert_eq!(w.ask(&GetMpc { id: mpc }).unwrap().deadline, None);
    assert_eq!(w.ask(&GetMpc { id: own_mpc }).unwrap().deadline, None);
    assert_eq!(w.stored(ac.tpc).unwrap().deadline, None);
}

#[test]
fn a_stranger_joins_no_group_uninvited() {
    let mut w = world();
    let (mpc, [ab, _, _]) = w.trio();
    let (first, second) = (w.open([DAN, EVE]), w.open([DAN, EVE]));
    let (_, [in_own]) = w.group([first]);
    let join = w.join(mpc, ab, &[later(second)]);
    assert_eq!(w.bring(&join), Err(Error::Uninvited(ab.tpc)));
    let by_own = w.join(mpc, in_own, &[later(second)]);
    assert_eq!(w.bring(&by_own), Err(Error::Uninvited(in_own.tpc)));
    let by_itself = w.join(mpc, second, &[later(second)]);
    assert_eq!(w.bring(&by_itself), Err(Error::Uninvited(second.tpc)));
    // A member's name among the signers is no invitation where the member owns nothing that enters.
    let ann = PartySignature { party: w.account(ANN), signature: w.bench.sign(EVE, Action::JoinMpc(&join.join)) };
    let mut signatures = join.signatures.clone();
    signatures.insert(0, ann);
    assert_eq!(w.bring(&JoinMpc { signatures, ..join }), Err(Error::ForeignSignature(w.account(ANN))));
    assert_eq!(w.ask(&GetMpc { id: mpc }).unwrap().channels, 3);
    let guest = w.open([ANN, DAN]);
    let invited = w.join(mpc, ab, &[later(guest)]);
    assert_eq!(w.bring(&invited), Ok(()));
}

// Clocks.

#[test]
fn neither_an_equal_version_nor_a_second_dispute_restarts_a_channels_clock() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let first = next(ab, [3, 5]);
    w.bring(&w.update(first)).unwrap();
    let deadline = w.dispute(ANN, ab).unwrap();
    assert_eq!(w.bring(&w.update(first)), stale(ab, 1));
    assert_eq!(w.bring(&w.update(Entry { balances: units([8, 0]), ..first })), stale(ab, 1));
    for by in [ANN, BOB] {
        assert_eq!(w.dispute(by, ab), Err(Error::TpcDisputed(ab.tpc)));
    }
    w.bring(&w.update(next(first, [2, 6]))).unwrap();
    assert_eq!(w.dispute(ANN, ab), Err(Error::TpcDisputed(ab.tpc)));
    assert_eq!(w.stored(ab.tpc).unwrap().deadline, Some(deadline));
    assert_eq!(w.settle(ab), Err(Error::TooEarly { deadline }));
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [2 * UNIT, 6 * UNIT, 0, 0]);
}

#[test]
fn neither_an_equal_version_nor_a_second_dispute_restarts_a_groups_clock() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let update = w.pay(mpc, &[next(ab, [3, 5])]);
    w.bring(&update).unwrap();
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    assert_eq!(w.bring(&update), Err(Error::NothingNewer));
    assert_eq!(w.dispute_mpc(CLEO, mpc, bc, &[]), Err(Error::MpcDisputed(mpc)));
    assert_eq!(w.dispute_mpc(ANN, mpc, ac, &[ac]), Err(Error::MpcDisputed(mpc)));
    assert_eq!(w.dispute(BOB, ab), Err(Error::TpcBusy(ab.tpc)));
    w.bring(&w.pay(mpc, &[next(update.update.entries[0], [2, 6]), next(bc, [5, 3])])).unwrap();
    let leave = w.leave(mpc, &[ac]);
    w.bring(&leave).unwrap();
    assert_eq!(w.ask(&GetMpc { id: mpc }).unwrap().deadline, Some(deadline));
    assert_eq!(w.stored(ab.tpc).unwrap().deadline, Some(deadline));
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Err(Error::TooEarly { deadline }));
}

#[test]
fn nothing_but_the_settlement_is_accepted_of_a_channel_after_its_deadline() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let bc = w.open([BOB, CLEO]);
    let (mpc, [bc]) = w.group([bc]);
    let deadline = w.dispute(ANN, ab).unwrap();
    w.pass(deadline);
    let due = Err(Error::TpcDue(ab.tpc));
    assert_eq!(w.bring(&w.update(next(ab, [0, 8]))), due);
    let (split, _) = w.split(ab.tpc, 1, [[0, 4], [0, 4]]);
    assert_eq!(w.bring(&split), due);
    let close = w.close(next(ab, [0, 8]));
    assert_eq!(w.bring(&close), due);
    let top_up = w.top_up(Entry { balances: units([5, 4]), ..later(ab) }, units([1, 0]));
    assert_eq!(w.bring(&top_up), due);
    let withdrawal = w.withdrawal(Entry { balances: units([3, 4]), ..later(ab) }, units([1, 0]));
    assert_eq!(w.bring(&withdrawal), due);
    let braid = w.braid(&[later(ab)], MIN_WINDOW);
    assert_eq!(w.bring(&braid), due);
    let join = w.join(mpc, bc, &[later(ab)]);
    assert_eq!(w.bring(&join), due);
    assert_eq!(w.dispute(BOB, ab).map(drop), due);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
}

#[test]
fn nothing_but_the_settlement_is_accepted_of_a_group_after_its_deadline() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let guest = w.open([ANN, DAN]);
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[]).unwrap();
    w.pass(deadline);
    let due = Err(Error::MpcDue(mpc));
    assert_eq!(w.bring(&w.pay(mpc, &[next(ab, [0, 8]), next(bc, [0, 8])])), due);
    let close = w.unbraid(mpc, &trio);
    assert_eq!(w.bring(&close), due);
    let leave = w.leave(mpc, &[ac]);
    assert_eq!(w.bring(&leave), due);
    let join = w.join(mpc, ab, &[later(guest)]);
    assert_eq!(w.bring(&join), due);
    assert_eq!(w.dispute_mpc(BOB, mpc, bc, &[]).map(drop), due);
    assert_eq!(w.state(trio), trio);
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Ok(()));
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Err(Error::UnknownMpc(mpc)));
}

#[test]
fn a_window_too_short_to_answer_in_or_too_long_to_wait_for_is_refused() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    for window in [0, MIN_WINDOW - 1, MAX_WINDOW + 1, Window::MAX] {
        let create = w.creation([ANN, BOB], units([1, 1]), window);
        assert_eq!(w.bring(&create), Err(Error::BadWindow));
        let braid = w.braid(&[later(ab)], window);
        assert_eq!(w.bring(&braid), Err(Error::BadWindow));
    }
    for window in [MIN_WINDOW, MAX_WINDOW] {
        let create = w.creation([ANN, BOB], units([1, 1]), window);
        assert_eq!(w.bring(&create), Ok(()));
        let braid = w.braid(&[later(ab)], window);
        assert_eq!(w.fork().bring(&braid), Ok(()));
    }
}

#[test]
fn a_disputed_channel_enters_no_group() {
    let mut w = world();
    let (ab, bc) = (w.open([ANN, BOB]), w.open([BOB, CLEO]));
    let (mpc, [bc]) = w.group([bc]);
    let signed_before = w.braid(&[later(ab)], MIN_WINDOW);
    let deadline = w.dispute(ANN, ab).unwrap();
    assert_eq!(w.bring(&signed_before), Err(Error::TpcDisputed(ab.tpc)));
    let join = w.join(mpc, bc, &[later(ab)]);
    assert_eq!(w.bring(&join), Err(Error::TpcDisputed(ab.tpc)));
    let top_up = w.top_up(Entry { balances: units([5, 4]), ..later(ab) }, units([1, 0]));
    assert_eq!(w.bring(&top_up), Err(Error::TpcDisputed(ab.tpc)));
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
}

#[test]
fn a_channel_closes_together_while_it_is_disputed() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    w.dispute(ANN, ab).unwrap();
    let close = w.close(next(ab, [1, 7]));
    assert_eq!(w.gains(|w| w.bring(&close).unwrap()), [UNIT, 7 * UNIT, 0, 0]);
    assert_eq!(w.stored(ab.tpc), None);
}

#[test]
fn a_group_closes_together_while_it_is_disputed() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[]).unwrap();
    let last = [next(ab, [3, 5]), next(bc, [3, 5]), ac];
    let close = w.unbraid(mpc, &last);
    w.bring(&close).unwrap();
    assert_eq!(w.ask(&GetMpc { id: mpc }), None);
    assert_eq!(w.state(trio), last);
    assert_eq!(w.bring(&w.update(next(ac, [5, 3]))), Ok(()));
    w.pass(deadline);
    assert_eq!(w.settle(ac), Err(Error::TpcNotDisputed(ac.tpc)), "the group's clock is gone with it");
}

// Payees who cannot be paid.

#[test]
fn a_payee_who_cannot_receive_blocks_no_settlement() {
    let mut w = world();
    let (newcomer, channel) = w.newcomer();
    let last = Entry { version: 1, balances: [4 * UNIT - CRUMB, CRUMB], ..channel };
    w.bring(&w.update(last)).unwrap();
    let deadline = w.dispute(ANN, channel).unwrap();
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(channel).unwrap()), [4 * UNIT - CRUMB, 0, 0, 0, 0]);
    assert_eq!(w.ledger(newcomer), CRUMB);
    assert_eq!(w.stored(channel.tpc), None);
}

#[test]
fn a_payee_who_cannot_receive_blocks_no_withdrawal_and_loses_nothing() {
    let mut w = world();
    let (newcomer, channel) = w.newcomer();
    let snapshot = Entry { balances: [2 * UNIT, UNIT - CRUMB], ..later(channel) };
    let withdrawal = w.withdrawal(snapshot, [UNIT, CRUMB]);
    assert_eq!(w.gains(|w| w.bring(&withdrawal).unwrap()), [UNIT, 0, 0, 0, 0]);
    assert_eq!(w.ledger(newcomer), CRUMB);
    let (ann, account) = (w.bench.users[ANN].clone(), *w.account(newcomer).as_ref());
    w.bench.chain.submit(&ann, Call::Transfer { to: account, amount: UNIT }).unwrap();
    w.send(newcomer, &Withdraw { amount: CRUMB }).unwrap();
    assert_eq!(w.ledger(newcomer), 0);
}

#[test]
fn a_payee_who_cannot_receive_blocks_no_closing() {
    let mut w = world();
    let (newcomer, channel) = w.newcomer();
    let mut enough = w.fork();
    let close = w.close(Entry { version: 1, balances: [4 * UNIT - CRUMB, CRUMB], ..channel });
    assert_eq!(w.gains(|w| w.bring(&close).unwrap()), [4 * UNIT - CRUMB, 0, 0, 0, 0]);
    assert_eq!(w.ledger(newcomer), CRUMB);
    let least = EXISTENTIAL_DEPOSIT;
    let close = enough.close(Entry { version: 1, balances: [4 * UNIT - least, least], ..channel });
    assert_eq!(enough.gains(|w| w.bring(&close).unwrap()), [4 * UNIT - least, 0, 0, 0, least]);
    assert_eq!(enough.ledger(newcomer), 0);
}

// Old states.

/// The states of Ann-Bob and Bob-Cleo from before they were in a group, and the group.
fn with_old_states(w: &mut World) -> ([UpdateTpc; 2], [CloseTpc; 2], MpcId, [Entry; 2]) {
    let channels = [w.open([ANN, BOB]), w.open([BOB, CLEO])];
    // Far newer than anything that will happen in the group.
    let old = channels.map(|channel| Entry { version: 99, balances: units([8, 0]), ..channel });
    let (updates, closes) = (old.map(|old| w.update(old)), old.map(|old| w.close(old)));
    let (mpc, members) = w.group(channels);
    (updates, closes, mpc, members)
}

fn check_old_states_are_void(w: &mut World, (updates, closes): ([UpdateTpc; 2], [CloseTpc; 2])) {
    for (update, close) in updates.iter().zip(&closes) {
        assert_eq!(w.bring(update), wrong_epoch(update.entry, 1));
        assert_eq!(w.bring(close), wrong_epoch(update.entry, 1));
    }
}

#[test]
fn a_state_from_before_a_group_is_void_in_it_and_after_it_closed() {
    let mut w = world();
    let (updates, closes, mpc, members) = with_old_states(&mut w);
    let [ab, bc] = members;
    assert_eq!(w.bring(&updates[0]), Err(Error::TpcBusy(ab.tpc)));
    assert_eq!(w.bring(&closes[1]), Err(Error::TpcBusy(bc.tpc)));
    let last = [next(ab, [3, 5]), next(bc, [3, 5])];
    let close = w.unbraid(mpc, &last);
    w.bring(&close).unwrap();
    check_old_states_are_void(&mut w, (updates, closes));
    assert_eq!(w.state(members), last);
}

#[test]
fn a_state_from_before_a_group_is_void_after_a_dispute_dissolved_it() {
    let mut w = world();
    let (updates, closes, mpc, members) = with_old_states(&mut w);
    let [ab, bc] = members;
    let update = w.pay(mpc, &[next(ab, [3, 5]), next(bc, [3, 5])]);
    let withheld = w.pay(mpc, &[next(next(ab, [0, 8]), [0, 8])]);
    w.bring(&update).unwrap();
    let deadline = w.dispute_mpc(CLEO, mpc, bc, &[]).unwrap();
    w.pass(deadline);
    check_old_states_are_void(&mut w, (updates, closes));
    assert_eq!(w.bring(&withheld), Err(Error::MpcDue(mpc)));
    w.bring(&SettleMpc { id: mpc }).unwrap();
    assert_eq!(w.bring(&withheld), Err(Error::UnknownMpc(mpc)));
    assert_eq!(w.state(members), [next(ab, [3, 5]), next(bc, [3, 5])]);
}

#[test]
fn a_state_from_before_a_group_is_void_after_its_channel_left() {
    let mut w = world();
    let (updates, closes, mpc, members) = with_old_states(&mut w);
    let [ab, bc] = members;
    let in_group = w.pay(mpc, &[Entry { version: 50, ..ab }]);
    let last = [next(ab, [3, 5]), next(bc, [3, 5])];
    let leave = w.leave(mpc, &last);
    w.bring(&leave).unwrap();
    assert_eq!(w.ask(&GetMpc { id: mpc }), None, "nobody is left in it");
    check_old_states_are_void(&mut w, (updates, closes));
    assert_eq!(w.bring(&in_group), Err(Error::UnknownMpc(mpc)));
    let entry = in_group.update.entries[0];
    let [ann, bob] = &in_group.signatures[..] else { panic!("two signed") };
    let as_its_own = UpdateTpc { entry, signatures: [ann.signature, bob.signature] };
    assert_eq!(w.bring(&as_its_own), Err(Error::BadSignature(w.account(ANN))));
    assert_eq!(w.bring(&leave), Err(Error::UnknownMpc(mpc)));
    assert_eq!(w.state(members), last);
}

#[test]
fn of_two_states_of_one_version_the_first_on_chain_counts() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (one, other) = (w.update(next(ab, [8, 0])), w.update(next(ab, [0, 8])));
    for (first, second) in [(&one, &other), (&other, &one)] {
        let mut w = w.fork();
        w.bring(first).unwrap();
        assert_eq!(w.bring(second), stale(ab, 1));
        assert_eq!(w.state([ab]), [first.entry]);
    }
    let (one, other) = (w.split(ab.tpc, 1, [[8, 0]]).0, w.split(ab.tpc, 1, [[0, 8]]).0);
    w.bring(&one).unwrap();
    assert_eq!(w.bring(&other), wrong_epoch(ab, 1));
}

#[test]
fn of_two_updates_with_the_same_versions_the_first_on_chain_counts_for_all_channels() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let one = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let other = [next(ab, [5, 3]), next(bc, [5, 3]), next(ac, [3, 5])];
    for (first, second) in [(one, other), (other, one)] {
        let mut w = w.fork();
        w.bring(&w.pay(mpc, &first)).unwrap();
        assert_eq!(w.bring(&w.pay(mpc, &second)), Err(Error::NothingNewer));
        assert_eq!(w.state(trio), first);
        let close = w.unbraid(mpc, &second);
        assert_eq!(w.bring(&close), Ok(()));
        assert_eq!(w.state(trio), first, "not even by closing");
    }
}

#[test]
fn a_pair_that_signs_a_version_twice_spoils_no_channel_but_its_own() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let paid = w.pay(mpc, &[next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])]);
    let overwritten = Entry { version: u64::MAX, balances: units([8, 0]), ..ab };
    w.bring(&w.pay(mpc, &[overwritten])).unwrap();
    w.bring(&paid).unwrap();
    assert_eq!(w.state(trio), [overwritten, next(bc, [3, 5]), next(ac, [5, 3])]);
}

// What is left behind.

/// A world in which every pair of the trio has a nonce, which stays.
fn used_world() -> (World, StorageUsage) {
    let mut w = world();
    for users in [[ANN, BOB], [BOB, CLEO], [ANN, CLEO]] {
        let channel = w.open(users);
        let close = w.close(next(channel, [4, 4]));
        w.bring(&close).unwrap();
    }
    let usage = w.usage();
    (w, usage)
}

fn close_all<const N: usize>(w: &mut World, channels: [Entry; N]) {
    for state in w.state(channels) {
        let close = w.close(next(state, [4, 4]));
        w.bring(&close).unwrap();
    }
}

#[test]
fn a_closed_channel_leaves_nothing_but_its_nonce() {
    let mut w = world();
    let before = w.usage();
    let ab = w.open([ANN, BOB]);
    w.bring(&w.update(next(ab, [3, 5]))).unwrap();
    let close = w.close(next(next(ab, [3, 5]), [2, 6]));
    w.bring(&close).unwrap();
    let nonce = w.usage();
    assert_eq!(nonce.items, before.items + 1);
    let ab = w.open([ANN, BOB]);
    close_all(&mut w, [ab]);
    assert_eq!(w.usage(), nonce, "a pair has one nonce however many channels it had");
}

#[test]
fn a_settled_channel_and_its_parts_leave_nothing() {
    let (mut w, before) = used_world();
    let ab = w.open([ANN, BOB]);
    let (split, parts) = w.split(ab.tpc, 1, [[1, 1], [2, 1], [1, 2]]);
    w.bring(&split).unwrap();
    for part in parts {
        let deadline = w.dispute(BOB, part).unwrap();
        w.pass(deadline);
        w.settle(part).unwrap();
    }
    assert_eq!(w.usage(), before);
}

#[test]
fn a_group_that_all_channels_left_leaves_nothing() {
    let (mut w, before) = used_world();
    let channels = [[ANN, BOB], [BOB, CLEO], [ANN, CLEO]].map(|users| w.open(users));
    let alone = w.usage();
    let (mpc, trio) = w.group(channels);
    let [ab, bc, ac] = trio;
    for leaving in [vec![bc], vec![ab, ac]] {
        let leave = w.leave(mpc, &leaving);
        w.bring(&leave).unwrap();
    }
    assert_eq!(w.usage(), alone);
    close_all(&mut w, trio);
    assert_eq!(w.usage(), before);
}

#[test]
fn a_closed_group_leaves_nothing_that_its_channels_do_not_take_with_them() {
    let (mut w, before) = used_world();
    let (mpc, trio) = w.trio();
    let items = w.usage().items;
    let close = w.unbraid(mpc, &trio);
    w.bring(&close).unwrap();
    assert_eq!(w.usage().items, items - 1);
    close_all(&mut w, trio);
    assert_eq!(w.usage(), before);
}

#[test]
fn a_settled_group_leaves_nothing_that_its_channels_do_not_take_with_them() {
    let (mut w, before) = used_world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let items = w.usage().items;
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab, ac]).unwrap();
    w.pass(deadline);
    w.bring(&SettleMpc { id: mpc }).unwrap();
    assert_eq!(w.usage().items, items - 1);
    w.settle(ab).unwrap();
    w.settle(ac).unwrap();
    close_all(&mut w, [bc]);
    assert_eq!(w.usage(), before);
}

// Parts.

#[test]
fn an_old_split_is_answered_by_the_newest_one() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old, [_, old_part]) = w.split(ab.tpc, 1, [[4, 0], [4, 0]]);
    let (newest, [first, second]) = w.split(ab.tpc, 3, [[0, 2], [1, 5]]);
    let paid = next(second, [0, 6]);
    w.bring(&old).unwrap();
    let deadline = w.dispute(ANN, ab).unwrap();
    w.dispute(ANN, old_part).unwrap();
    w.bring(&newest).unwrap();
    w.bring(&w.update(paid)).unwrap();
    assert_eq!(w.bring(&old), wrong_epoch(ab, 3));
    assert_eq!(w.settle(old_part), Err(Error::UnknownTpc(old_part.tpc)));
    assert_eq!(w.state([first, second]), [first, paid]);
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(first).unwrap()), [0, 2 * UNIT, 0, 0], "the channel's clock has run on");
    let deadline = w.dispute(BOB, second).unwrap();
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(second).unwrap()), [0, 6 * UNIT, 0, 0]);
}

#[test]
fn an_old_split_is_answered_by_a_merge() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old, [_, old_part]) = w.split(ab.tpc, 1, [[4, 0], [4, 0]]);
    let (merge, [whole]) = w.split(ab.tpc, 2, [[2, 6]]);
    let newest = w.update(next(whole, [1, 7]));
    w.bring(&old).unwrap();
    let deadline = w.dispute(ANN, ab).unwrap();
    w.dispute(ANN, old_part).unwrap();
    assert_eq!(w.bring(&newest), wrong_epoch(ab, 1), "the parts must be merged first");
    w.bring(&merge).unwrap();
    w.bring(&newest).unwrap();
    assert_eq!(w.stored(old_part.tpc), None);
    assert_eq!(w.bring(&old), wrong_epoch(ab, 2));
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [UNIT, 7 * UNIT, 0, 0]);
}

#[test]
fn an_old_split_comes_too_late_once_the_newest_state_is_on_chain() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old, [old_first, _]) = w.split(ab.tpc, 1, [[4, 0], [4, 0]]);
    let old_state = w.update(next(old_first, [4, 0]));
    // The merge at epoch 2 was never on chain: the whole goes on in its epoch.
    let newest = Entry { epoch: 2, version: 1, balances: units([1, 7]), ..ab };
    let deadline = w.dispute(ANN, ab).unwrap();
    let too_small = Error::SumMismatch { tpc: ab.tpc, total: 8 * UNIT };
    assert_eq!(w.bring(&old_state), Err(too_small), "a part's state does not pass for the whole's");
    w.bring(&w.update(newest)).unwrap();
    w.at(deadline);
    assert_eq!(w.bring(&old), wrong_epoch(ab, 2));
    assert_eq!(w.stored(ab.tpc).unwrap().deadline, Some(deadline));
}

#[test]
fn a_part_is_not_paid_out_twice() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let whole_close = w.close(next(ab, [8, 0]));
    let (split, [first, second]) = w.split(ab.tpc, 1, [[2, 2], [3, 1]]);
    let (merge, _) = w.split(ab.tpc, 2, [[8, 0]]);
    w.bring(&split).unwrap();
    let close = w.close(next(second, [3, 1]));
    assert_eq!(w.gains(|w| w.bring(&close).unwrap()), [3 * UNIT, UNIT, 0, 0]);
    let gone = Err(Error::UnknownTpc(second.tpc));
    assert_eq!(w.bring(&close), gone);
    assert_eq!(w.dispute(ANN, second).map(drop), gone);
    assert_eq!(w.bring(&split), wrong_epoch(ab, 1));
    assert_eq!(w.bring(&merge), Err(Error::SumMismatch { tpc: ab.tpc, total: 4 * UNIT }));
    assert_eq!(w.bring(&whole_close), wrong_epoch(ab, 1));
    let rest = w.close(next(first, [2, 2]));
    assert_eq!(w.gains(|w| w.bring(&rest).unwrap()), [2 * UNIT, 2 * UNIT, 0, 0]);
    assert_eq!(w.bring(&merge), Err(Error::UnknownTpc(ab.tpc)));
}

#[test]
fn a_split_makes_no_money() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let sum = Err(Error::SumMismatch { tpc: ab.tpc, total: 8 * UNIT });
    let (more, _) = w.split(ab.tpc, 1, [[4, 4], [1, 0]]);
    assert_eq!(w.bring(&more), sum);
    let (fewer, _) = w.split(ab.tpc, 1, [[4, 3]]);
    assert_eq!(w.bring(&fewer), sum);
    let (empty, _) = w.split(ab.tpc, 1, [[4, 4], [0, 0]]);
    assert_eq!(w.bring(&empty), Err(Error::ZeroAmount));
    let (none, _) = w.split::<0>(ab.tpc, 1, []);
    assert_eq!(w.bring(&none), Err(Error::BadParts));
    assert_eq!(w.state([ab]), [ab]);
}

#[test]
fn a_part_in_a_group_is_not_divided_under_its_feet() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (split, [_, part]) = w.split(ab.tpc, 1, [[2, 2], [2, 2]]);
    let (merge, _) = w.split(ab.tpc, 9, [[8, 0]]);
    w.bring(&split).unwrap();
    let (mpc, [part]) = w.group([part]);
    assert_eq!(w.bring(&merge), Err(Error::TpcBusy(part.tpc)));
    let leave = w.leave(mpc, &[part]);
    w.bring(&leave).unwrap();
    assert_eq!(w.bring(&merge), Ok(()));
}

#[test]
fn a_merge_signed_before_a_part_was_in_a_group_is_void_after_it() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (split, [_, part]) = w.split(ab.tpc, 1, [[2, 2], [2, 2]]);
    w.bring(&split).unwrap();
    let (merge, _) = w.split(ab.tpc, 2, [[8, 0]]);
    let (mpc, [part]) = w.group([Entry { epoch: 2, ..part }]);
    let leave = w.leave(mpc, &[next(part, [0, 4])]);
    w.bring(&leave).unwrap();
    assert_eq!(w.bring(&merge), wrong_epoch(ab, 3));
    assert_eq!(w.state([part]), [next(part, [0, 4])]);
}

#[test]
fn a_part_that_was_split_again_does_not_keep_the_newest_division_out() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (split, [_, part]) = w.split(ab.tpc, 1, [[2, 2], [2, 2]]);
    let (split_again, _) = w.split(part.tpc, 2, [[1, 1], [1, 1]]);
    let (merge, [whole]) = w.split(ab.tpc, 3, [[0, 8]]);
    w.bring(&split).unwrap();
    let _ = w.bring(&split_again);
    assert_eq!(w.bring(&merge), Ok(()));
    assert_eq!(w.state([ab]), [whole]);
}

#[test]
fn no_old_split_stops_the_clock_of_a_part_of_the_newest_one() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let old = [1, 2].map(|epoch| w.split(ab.tpc, epoch, [[1, 1], [4, 2]]).0);
    let (newest, [_, part]) = w.split(ab.tpc, 3, [[1, 1], [3, 3]]);
    w.bring(&old[0]).unwrap();
    w.bring(&newest).unwrap();
    let deadline = w.dispute(BOB, part).unwrap();
    for split in [&old[0], &old[1], &newest] {
        assert_eq!(w.bring(split), wrong_epoch(ab, 3));
    }
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(part).unwrap()), [3 * UNIT, 3 * UNIT, 0, 0]);
}

#[test]
fn a_state_in_an_epoch_that_never_was_on_chain_is_void_after_a_later_snapshot() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    // A split and a merge off chain have brought the channel to epoch 2, of which the chain knows nothing.
    let (merge, [whole]) = w.split(ab.tpc, 2, [[4, 4]]);
    let old = w.update(next(whole, [8, 0]));
    let (mpc, [member]) = w.group([whole]);
    let close = w.unbraid(mpc, &[next(member, [0, 8])]);
    w.bring(&close).unwrap();
    assert_eq!(w.bring(&merge), wrong_epoch(ab, 3));
    assert_eq!(w.bring(&old), wrong_epoch(ab, 3));
    assert_eq!(w.state([ab]), [next(member, [0, 8])]);
}

// Atomicity.

#[test]
fn an_update_withheld_until_the_last_millisecond_counts_for_all_channels() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let paid = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let withheld = w.pay(mpc, &paid);
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab, ac]).unwrap();
    w.at(deadline);
    w.bring(&withheld).unwrap();
    assert_eq!(w.bench.chain.time(), deadline);
    assert_eq!(w.state(trio), paid);
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [3 * UNIT, 5 * UNIT, 0, 0]);
    assert_eq!(w.gains(|w| w.settle(ac).unwrap()), [5 * UNIT, 0, 3 * UNIT, 0]);
}

#[test]
fn an_update_withheld_one_millisecond_longer_counts_for_none() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let withheld = w.pay(mpc, &[next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])]);
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    w.pass(deadline);
    assert_eq!(w.bench.chain.time(), deadline + 1);
    assert_eq!(w.bring(&withheld), Err(Error::MpcDue(mpc)));
    assert_eq!(w.state(trio), trio);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
    assert_eq!(w.bring(&withheld), Err(Error::MpcDue(mpc)));
}

#[test]
fn no_channel_slips_out_of_a_group_while_it_stands() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let busy = Err(Error::TpcBusy(ab.tpc));
    for disputed in [false, true] {
        if disputed {
            w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
        }
        assert_eq!(w.dispute(ANN, ab).map(drop), busy);
        assert_eq!(w.settle(ab), busy);
        assert_eq!(w.bring(&w.update(next(ab, [8, 0]))), busy);
        let close = w.close(next(ab, [8, 0]));
        assert_eq!(w.bring(&close), busy);
        let withdrawal = w.withdrawal(Entry { balances: units([3, 4]), ..later(ab) }, units([1, 0]));
        assert_eq!(w.bring(&withdrawal), busy);
        let (split, _) = w.split(ab.tpc, 2, [[4, 0], [4, 0]]);
        assert_eq!(w.bring(&split), busy);
        let elsewhere = w.braid(&[later(ab)], MIN_WINDOW);
        assert_eq!(w.bring(&elsewhere), busy);
        let without_one = w.unbraid(mpc, &[ab, bc]);
        assert_eq!(w.bring(&without_one), Err(Error::ChannelsMissing { expected: 3 }));
    }
    assert_eq!(w.state([ab, bc, ac]), [ab, bc, ac]);
}

#[test]
fn an_update_in_flight_passes_over_a_channel_that_left_but_not_over_its_owners() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let paid = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let in_flight = w.pay(mpc, &paid);
    let leave = w.leave(mpc, &[bc]);
    w.bring(&leave).unwrap();
    let without_cleo = w.pay(mpc, &[paid[0], paid[1]]);
    let signatures = without_cleo.signatures[..2].to_vec();
    let cleo = w.account(CLEO);
    assert_eq!(w.bring(&UpdateMpc { signatures, ..without_cleo }), Err(Error::MissingSignature(cleo)));
    w.bring(&in_flight).unwrap();
    assert_eq!(w.state(trio), [paid[0], bc, paid[2]]);
    assert_eq!(w.bring(&in_flight), Err(Error::NothingNewer));
}

/// A group whose channel Bob-Cleo has left, closed and been deleted while an update of all three was in flight.
fn with_one_gone(w: &mut World) -> (UpdateMpc, [Entry; 3], [Entry; 3]) {
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let paid = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let in_flight = w.pay(mpc, &paid);
    let leave = w.leave(mpc, &[bc]);
    w.bring(&leave).unwrap();
    close_all(w, [bc]);
    (in_flight, trio, paid)
}

#[test]
fn an_update_whose_channel_is_gone_applies_to_the_rest_with_the_proof_of_its_owners() {
    let mut w = world();
    let (in_flight, [ab, bc, ac], paid) = with_one_gone(&mut w);
    let [first, gone, third] = [ab, bc, ac].map(|channel| w.owners(channel));
    let mut all = vec![(ab.tpc, first), (bc.tpc, gone), (ac.tpc, third)];
    all.sort_by_key(|(tpc, _)| *tpc);
    // Whoever fears that more channels go meanwhile may prove them all.
    let all = all.into_iter().map(|(_, owners)| owners).collect();
    for gone in [vec![gone], all] {
        let mut w = w.fork();
        w.bring(&UpdateMpc { gone, ..in_flight.clone() }).unwrap();
        assert_eq!(w.state([ab, ac]), [paid[0], paid[2]]);
        assert_eq!(w.stored(bc.tpc), None);
    }
}

#[test]
fn an_update_whose_channel_is_gone_is_refused_with_no_proof_or_a_wrong_one() {
    let mut w = world();
    let (in_flight, [ab, bc, ac], _) = with_one_gone(&mut w);
    let owners = w.owners(bc);
    let wrong = [
        vec![],
        vec![w.owners(ab)],
        vec![Owners { nonce: 1, ..owners }],
        vec![Owners { part: Some((1, 1)), ..owners }],
        vec![Owners { parties: [w.account(ANN), w.account(BOB)], ..owners }],
        vec![Owners { parties: [owners.parties[1], owners.parties[0]], ..owners }],
    ];
    for gone in wrong {
        assert_eq!(w.bring(&UpdateMpc { gone, ..in_flight.clone() }), Err(Error::UnknownTpc(bc.tpc)));
    }
    assert_eq!(w.state([ab, ac]), [ab, ac]);
}

#[test]
fn an_update_whose_channel_is_gone_still_needs_its_owners() {
    let mut w = world();
    let (in_flight, [ab, bc, ac], paid) = with_one_gone(&mut w);
    let mpc = in_flight.update.mpc;
    // Ann and Bob would be enough for what is left of it.
    let update = w.pay(mpc, &[paid[0], paid[1]]);
    let gone = vec![w.owners(bc)];
    let signatures = w.bench.sign_all([ANN, BOB], Action::UpdateMpc(&update.update));
    let without_cleo = UpdateMpc { signatures, gone, ..update };
    assert_eq!(w.bring(&without_cleo), Err(Error::MissingSignature(w.account(CLEO))));
    w.forged = Some(CLEO);
    let forged = UpdateMpc { gone: vec![w.owners(bc)], ..w.pay(mpc, &paid) };
    assert_eq!(w.bring(&forged), Err(Error::BadSignature(w.account(CLEO))));
    assert_eq!(w.state([ab, ac]), [ab, ac]);
}

#[test]
fn a_snapshot_older_than_a_signed_state_needs_both_and_ends_the_epoch_of_both() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let newer = w.update(Entry { version: 7, balances: units([1, 7]), ..ab });
    let older = w.update(next(ab, [3, 5]));
    let enter = w.braid(&[later(ab)], MIN_WINDOW);
    let ann_alone = CreateMpc { signatures: enter.signatures[..1].to_vec(), ..enter.clone() };
    assert_eq!(w.bring(&ann_alone), Err(Error::MissingSignature(w.account(BOB))));
    let same_epoch = w.braid(&[Entry { version: 9, ..ab }], MIN_WINDOW);
    assert_eq!(w.bring(&same_epoch), wrong_epoch(ab, 0));
    w.bring(&enter).unwrap();
    let mpc = enter.creation.id(&Native, &w.bench.domain);
    for old in [&newer, &older] {
        assert_eq!(w.bring(old), Err(Error::TpcBusy(ab.tpc)));
    }
    let former = w.pay(mpc, &[newer.entry]);
    assert_eq!(w.bring(&former), Err(Error::NothingNewer), "nor does it count inside, whatever its version");
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[]).unwrap();
    w.pass(deadline);
    for old in [&newer, &older] {
        assert_eq!(w.bring(old), wrong_epoch(ab, 1));
    }
    assert_eq!(w.state([ab]), [later(ab)]);
}

#[test]
fn old_updates_of_a_channel_that_left_and_came_back_are_passed_over() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let old = Entry { version: 50, balances: units([8, 0]), ..ab };
    let (old_alone, old_with_another) = (w.pay(mpc, &[old]), w.pay(mpc, &[old, next(bc, [3, 5])]));
    let (old_leave, old_close) = (w.leave(mpc, &[old]), w.unbraid(mpc, &[old, bc, ac]));
    let leave = w.leave(mpc, &[next(ab, [3, 5])]);
    w.bring(&leave).unwrap();
    assert_eq!(w.bring(&old_leave), Err(Error::NotMember(ab.tpc)));
    let back = later(next(ab, [2, 6]));
    let join = w.join(mpc, ac, &[back]);
    w.bring(&join).unwrap();
    assert_eq!(w.bring(&old_alone), Err(Error::NothingNewer));
    assert_eq!(w.bring(&old_with_another), Ok(()));
    assert_eq!(w.bring(&old_leave), wrong_epoch(ab, 2));
    assert_eq!(w.bring(&old_close), wrong_epoch(ab, 2));
    assert_eq!(w.bring(&join), Err(Error::TpcBusy(ab.tpc)));
    assert_eq!(w.state(trio), [back, next(bc, [3, 5]), ac]);
}

#[test]
fn a_closing_signed_for_fewer_channels_is_void_once_another_has_joined() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let close = w.unbraid(mpc, &trio);
    let guest = w.open([CLEO, DAN]);
    let join = w.join(mpc, trio[1], &[later(guest)]);
    w.bring(&join).unwrap();
    assert_eq!(w.bring(&close), Err(Error::ChannelsMissing { expected: 4 }));
    let in_its_place = w.unbraid(mpc, &[trio[0], trio[1], later(guest)]);
    assert_eq!(w.bring(&in_its_place), Err(Error::ChannelsMissing { expected: 4 }));
}

#[test]
fn a_channel_of_another_group_is_neither_moved_nor_released_by_this_one() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let other = w.open([ANN, BOB]);
    let (_, [other]) = w.group([other]);
    let update = w.pay(mpc, &[next(ab, [3, 5]), next(other, [8, 0])]);
    w.bring(&update).unwrap();
    let alone = w.pay(mpc, &[next(other, [8, 0])]);
    assert_eq!(w.bring(&alone), Err(Error::NothingNewer));
    let close = w.unbraid(mpc, &[next(ab, [3, 5]), bc, other]);
    assert_eq!(w.bring(&close), Err(Error::NotMember(other.tpc)));
    let leave = w.leave(mpc, &[other]);
    assert_eq!(w.bring(&leave), Err(Error::NotMember(other.tpc)));
    assert_eq!(w.state([ab, bc, ac, other]), [next(ab, [3, 5]), bc, ac, other]);
}

// Exits.

#[test]
fn a_member_that_exits_waits_one_window_and_the_others_carry_on() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let before = w.bench.chain.time();
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab, ac]).unwrap();
    assert_eq!(deadline, before + BLOCK_TIME + MIN_WINDOW);
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
    assert_eq!(w.gains(|w| w.settle(ac).unwrap()), [4 * UNIT, 0, 4 * UNIT, 0]);
    let carried_on = next(bc, [3, 5]);
    w.bring(&w.update(carried_on)).unwrap();
    assert_eq!(w.settle(bc), Err(Error::TpcNotDisputed(bc.tpc)));
    let (_, [again]) = w.group([carried_on]);
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Ok(()));
    assert_eq!(w.dispute(BOB, bc), Err(Error::TpcBusy(again.tpc)), "the new group stands apart from the old one");
}

#[test]
fn a_payment_while_a_member_is_exiting_counts() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    w.bring(&w.pay(mpc, &[next(ab, [1, 7]), next(ac, [7, 1])])).unwrap();
    assert_eq!(w.stored(ab.tpc).unwrap().deadline, Some(deadline));
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [UNIT, 7 * UNIT, 0, 0]);
    assert_eq!(w.state([bc, ac]), [bc, next(ac, [7, 1])]);
}

#[test]
fn closing_a_group_keeps_the_clock_of_a_channel_that_is_exiting() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    let last = [next(ab, [3, 5]), bc, ac];
    let close = w.unbraid(mpc, &last);
    w.bring(&close).unwrap();
    assert_eq!(w.settle(ab), Err(Error::TooEarly { deadline }));
    assert_eq!(w.dispute(BOB, ab), Err(Error::TpcDisputed(ab.tpc)));
    let answer = next(last[0], [2, 6]);
    w.bring(&w.update(answer)).unwrap();
    w.pass(deadline);
    assert_eq!(w.bring(&w.update(next(answer, [8, 0]))), Err(Error::TpcDue(ab.tpc)));
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [2 * UNIT, 6 * UNIT, 0, 0]);
    assert_eq!(w.bring(&w.update(next(bc, [3, 5]))), Ok(()), "the others have no clock");
}

#[test]
fn leaving_a_group_together_stops_the_clock_of_a_channel_that_is_exiting() {
    let mut w = world();
    let (mpc, [ab, bc, _]) = w.trio();
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    let ann_alone = LeaveMpc { signatures: w.leave(mpc, &[ab]).signatures[..1].to_vec(), ..w.leave(mpc, &[ab]) };
    assert_eq!(w.bring(&ann_alone), Err(Error::MissingSignature(w.account(BOB))));
    let leave = w.leave(mpc, &[next(ab, [3, 5])]);
    w.bring(&leave).unwrap();
    w.pass(deadline);
    assert_eq!(w.settle(ab), Err(Error::TpcNotDisputed(ab.tpc)));
    assert_eq!(w.bring(&w.update(next(next(ab, [3, 5]), [2, 6]))), Ok(()));
    assert_eq!(w.bring(&w.update(next(bc, [3, 5]))), Ok(()));
}
