//! What has broken other payment channels, and what an attacker would try here, on the compiled contract.
//!
//! Ann, Bob, Cleo and Dan have channels with 4 UNIT on each side. Eve is in none, and brings whatever somebody has
//! signed: anyone may.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod atomicity;
mod clocks;
mod leftovers;
mod parts;
mod payments;
mod replays;
mod signers;
mod states;

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

/// Closes channels at what the contract holds.
fn close_all<const N: usize>(w: &mut World, channels: [Entry; N]) {
    for state in w.state(channels) {
        let close = w.close(next(state, [4, 4]));
        w.bring(&close).unwrap();
    }
}
