//! What has broken other payment channels, and what an attacker would try here, on the compiled contract.
//!
//! Ann, Bob, Cleo and Dan have channels with 4 UNIT on each side. Eve is in few, and brings whatever somebody has signed:
//! anyone may. Rules are cited by their numbers in docs/protocol.md.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod atomicity;
mod clocks;
mod creations;
mod deposits;
mod groups;
mod leftovers;
mod limits;
mod lists;
mod parts;
mod paths;
mod payments;
mod replays;
mod signers;
mod states;
#[path = "../token/mod.rs"]
mod token;
mod tokens;

use chain::{
    block_on,
    contract::{Bundle, CallError, Called, Contract},
    costs::Bench,
    keys::Keys,
    Receipt,
};
use codec::Decode;
use devchain::{Call, Devchain, StorageUsage, BLOCK_TIME, EXISTENTIAL_DEPOSIT, UNIT};
use engine::Native;
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DisputeChannels, GetDomain, GetEnded, GetMpc, GetTpc,
        JoinMpc, LeaveMpc, LedgerBalance, Message, NextNonce, SettleChannels, SplitTpc, TopUpTpc, UpdateAll,
        UpdateChannels, Withdraw, WithdrawTpc,
    },
    state::{MAX_CHANNELS, MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    AccountId, Action, Asset, Balance, Domain, Entry, Epoch, Error, Member, MpcClose, MpcCreation, MpcId, MpcJoin,
    MpcLeave, Origin, Owners, PartySignature, Resolution, Signature, SignedUpdate, Timestamp, Tpc, TpcClose,
    TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal, Update, Version, Window,
};
use std::collections::BTreeMap;
use token::Token;
use Resolution::{Renew, Settle};

const ANN: usize = 0;
const BOB: usize = 1;
const CLEO: usize = 2;
const DAN: usize = 3;
const EVE: usize = 4;

/// What each has in the ledger at first.
const SAVINGS: Balance = 40 * UNIT;

/// Too little for an account.
const CRUMB: Balance = EXISTENTIAL_DEPOSIT - 1;

struct World {
    bench: Bench<Devchain>,
    /// Every channel that was ever signed, with its users.
    channels: BTreeMap<TpcId, (Owners, [usize; 2])>,
    /// Whose signatures Eve makes in their place.
    forged: Option<usize>,
    /// What each user has spent for its calls, in planck: fees, storage deposits, and value sent along.
    spent: Vec<i128>,
    /// Honest tokens: of each, too, the contract must have what it owes.
    tokens: Vec<Token>,
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

fn ids(entries: &[Entry]) -> Vec<TpcId> {
    entries.iter().map(|entry| entry.tpc).collect()
}

impl World {
    fn on(chain: Devchain) -> Self {
        let mut bench = Bench::new(chain, 5).unwrap();
        for user in ANN..=EVE {
            bench.call(user, SAVINGS, &Deposit {}).unwrap();
        }
        Self { bench, channels: BTreeMap::new(), forged: None, spent: vec![0; 5], tokens: vec![] }
    }

    fn fork(&mut self) -> Self {
        let (channels, spent, tokens) = (self.channels.clone(), self.spent.clone(), self.tokens.clone());
        Self { bench: self.bench.fork(), channels, forged: self.forged, spent, tokens }
    }

    fn account(&self, user: usize) -> AccountId {
        self.bench.users[user].account()
    }

    /// Makes a call, after which the contract must still have exactly what it owes.
    fn call<T: Decode, M: Message<Output = Result<T, Error>>>(
        &mut self,
        by: usize,
        value: Balance,
        message: &M,
    ) -> Result<Called<T>, Error> {
        let outcome = match self.bench.call(by, value, message) {
            Ok(called) => {
                let Receipt { fee, storage_deposit, .. } = called.receipt;
                self.spent[by] += fee as i128 + storage_deposit + value as i128;
                Ok(called)
            }
            Err(CallError::Contract(error)) => Err(error),
            Err(other) => panic!("the contract must refuse by itself: {other}"),
        };
        self.check_books();
        outcome
    }

    /// Of each asset the contract has what it owes.
    fn check_books(&mut self) {
        let assets = self.tokens.iter().map(|token| Asset::Psp22(token.account)).chain([Asset::Native]);
        for asset in assets.collect::<Vec<_>>() {
            let users = 0..self.bench.users.len();
            let mut owed: Balance = users.map(|user| self.holds(user, asset)).sum();
            for (tpc, (owners, _)) in self.channels.clone() {
                if owners.asset == asset {
                    owed += self.stored(tpc).map_or(0, |tpc| tpc.total().unwrap());
                }
            }
            let contract = self.bench.contract.account;
            let has = match asset {
                Asset::Native => self.bench.chain.free_balance(*contract.as_ref()) - EXISTENTIAL_DEPOSIT,
                Asset::Psp22(account) => {
                    Token { account }.query(&mut self.bench.chain, &token::BalanceOf { owner: contract }).unwrap()
                }
            };
            assert_eq!(has, owed, "the contract has what it owes");
        }
    }

    fn send<T: Decode, M: Message<Output = Result<T, Error>>>(&mut self, by: usize, message: &M) -> Result<(), Error> {
        self.call(by, 0, message).map(drop)
    }

    /// Eve makes a call.
    fn bring<T: Decode, M: Message<Output = Result<T, Error>>>(&mut self, message: &M) -> Result<(), Error> {
        self.send(EVE, message)
    }

    fn ask<M: Message>(&mut self, message: &M) -> M::Output {
        self.bench.query(message).unwrap()
    }

    fn holds(&mut self, user: usize, asset: Asset) -> Balance {
        let account = self.account(user);
        self.ask(&LedgerBalance { account, asset })
    }

    fn ledger(&mut self, user: usize) -> Balance {
        self.holds(user, Asset::Native)
    }

    fn stored(&mut self, id: TpcId) -> Option<Tpc> {
        self.ask(&GetTpc { id })
    }

    /// What the contract holds of each channel.
    fn state<const N: usize>(&mut self, channels: [Entry; N]) -> [Entry; N] {
        channels.map(|Entry { tpc, .. }| self.stored(tpc).unwrap().entry(tpc))
    }

    /// At which version a dispute ended the epoch of `of`.
    fn ended(&mut self, of: Entry) -> Option<Version> {
        self.ask(&GetEnded { id: of.tpc, epoch: of.epoch })
    }

    fn size(&mut self, id: MpcId) -> Option<u32> {
        self.ask(&GetMpc { id }).map(|mpc| mpc.channels)
    }

    fn usage(&mut self) -> StorageUsage {
        self.bench.chain.storage_usage(*self.bench.contract.account.as_ref()).unwrap()
    }

    /// Whom `act` paid how much, in planck, what users spent for their calls aside.
    fn paid(&mut self, act: impl FnOnce(&mut Self)) -> Vec<(usize, Balance)> {
        let users = 0..self.bench.users.len();
        let wealth = |world: &mut Self| -> Vec<_> {
            let free = users.clone().map(|user| world.bench.chain.free_balance(*world.account(user).as_ref()) as i128);
            let free: Vec<_> = free.collect();
            free.iter().zip(&world.spent).map(|(free, spent)| free + spent).collect()
        };
        let before = wealth(self);
        act(self);
        let gains =
            wealth(self).into_iter().zip(before).map(|(after, before)| Balance::try_from(after - before).unwrap());
        gains.enumerate().filter(|(_, gain)| *gain > 0).collect()
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

    fn creation_of(&mut self, asset: Asset, users: [usize; 2], balances: [Balance; 2], window: Window) -> CreateTpc {
        let parties = users.map(|user| self.account(user));
        let (nonce, valid_until) = (self.ask(&NextNonce { parties }), self.later());
        let creation = TpcCreation { parties, nonce, asset, balances, window, valid_until };
        self.channels.insert(creation.id(&Native), (creation.owners(), users));
        CreateTpc { creation, signatures: users.map(|user| self.signature(user, Action::CreateTpc(&creation))) }
    }

    fn creation(&mut self, users: [usize; 2], balances: [Balance; 2], window: Window) -> CreateTpc {
        self.creation_of(Asset::Native, users, balances, window)
    }

    fn signed(&self, entries: &[Entry]) -> SignedUpdate {
        let update = Update { entries: sorted(entries) };
        let owners = update.entries.iter().map(|entry| self.owners(*entry)).collect();
        let signatures = self.all(entries, Action::Update(&update));
        SignedUpdate { update, owners, signatures }
    }

    fn update(&self, entries: &[Entry]) -> UpdateChannels {
        let SignedUpdate { update, owners, signatures } = self.signed(entries);
        UpdateChannels { update, owners, signatures }
    }

    fn close(&mut self, last: Entry) -> CloseTpc {
        let close = TpcClose { last, valid_until: self.later() };
        CloseTpc { close, signatures: self.both(last.tpc, Action::CloseTpc(&close)) }
    }

    /// A top-up in UNIT on a last state.
    fn top_up(&mut self, last: Entry, added: [Balance; 2]) -> TopUpTpc {
        let top_up = TpcTopUp { last, added: units(added), valid_until: self.later() };
        TopUpTpc { top_up, signatures: self.both(last.tpc, Action::TopUpTpc(&top_up)) }
    }

    /// A withdrawal in planck from a last state.
    fn withdrawal(&mut self, last: Entry, amounts: [Balance; 2]) -> WithdrawTpc {
        let withdrawal = TpcWithdrawal { last, amounts, valid_until: self.later() };
        WithdrawTpc { withdrawal, signatures: self.both(last.tpc, Action::WithdrawTpc(&withdrawal)) }
    }

    /// A split of last states into parts, in UNIT, and the parts' first states.
    fn split<const N: usize>(&mut self, last: &[Entry], parts: [[Balance; 2]; N]) -> (SplitTpc, [Entry; N]) {
        let (parts, first) = (parts.map(units), last[0]);
        let (owners, users) = self.channels[&first.tpc];
        let mut index = 0;
        let entries = parts.map(|balances| {
            let entry = match index {
                0 => Entry { balances, ..later(first) },
                _ => {
                    let owners = owners.part(first.tpc, first.epoch, index);
                    let tpc = owners.tpc(&Native);
                    self.channels.insert(tpc, (owners, users));
                    Entry { tpc, epoch: 0, version: 0, balances }
                }
            };
            index += 1;
            entry
        });
        let split = TpcSplit { last: last.to_vec(), parts: parts.to_vec(), valid_until: self.later() };
        let signatures = self.both(first.tpc, Action::SplitTpc(&split));
        (SplitTpc { split, signatures }, entries)
    }

    /// Channels as a registration that is made now names them.
    fn members(&mut self, channels: &[Entry]) -> Vec<Member> {
        let mut member = |entry: Entry| Member {
            tpc: entry.tpc,
            registrations: self.stored(entry.tpc).map_or(0, |tpc| tpc.registrations),
        };
        sorted(channels).into_iter().map(&mut member).collect()
    }

    fn registration(&mut self, channels: &[Entry]) -> CreateMpc {
        let creation = MpcCreation { members: self.members(channels), valid_until: self.later() };
        CreateMpc { signatures: self.all(channels, Action::CreateMpc(&creation)), creation }
    }

    fn unregistration(&mut self, mpc: MpcId, channels: &[Entry]) -> CloseMpc {
        let close = MpcClose { mpc, members: self.members(channels), valid_until: self.later() };
        CloseMpc { signatures: self.all(channels, Action::CloseMpc(&close)), close }
    }

    fn join(&mut self, mpc: MpcId, host: Entry, channels: &[Entry]) -> JoinMpc {
        let join = MpcJoin { mpc, host: host.tpc, members: self.members(channels), valid_until: self.later() };
        JoinMpc { signatures: self.all(channels, Action::JoinMpc(&join)), join }
    }

    fn leave(&mut self, mpc: MpcId, channels: &[Entry]) -> LeaveMpc {
        let leave = MpcLeave { mpc, members: self.members(channels), valid_until: self.later() };
        LeaveMpc { signatures: self.all(channels, Action::LeaveMpc(&leave)), leave }
    }

    fn owners(&self, of: Entry) -> Owners {
        self.channels[&of.tpc].0
    }

    /// A channel of an asset with 4 of its units on each side. The first owner makes the call.
    fn open_of(&mut self, asset: Asset, users: [usize; 2]) -> Entry {
        let create = self.creation_of(asset, users, units([4, 4]), MIN_WINDOW);
        self.send(users[0], &create).unwrap();
        Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: units([4, 4]) }
    }

    fn open(&mut self, users: [usize; 2]) -> Entry {
        self.open_of(Asset::Native, users)
    }

    /// Ann-Bob, Bob-Cleo and Ann-Cleo.
    fn trio(&mut self) -> [Entry; 3] {
        [[ANN, BOB], [BOB, CLEO], [ANN, CLEO]].map(|users| self.open(users))
    }

    /// Registers channels as a group.
    fn group(&mut self, channels: &[Entry]) -> MpcId {
        let create = self.registration(channels);
        self.bring(&create).unwrap();
        create.creation.id(&Native, &self.bench.domain)
    }

    /// Starts a channel's clock, or has it settled in the end, and tells its deadline.
    fn dispute(&mut self, by: usize, of: Entry, then: Resolution) -> Result<Timestamp, Error> {
        self.send(by, &DisputeChannels { channels: vec![of.tpc], then })?;
        Ok(self.stored(of.tpc).unwrap().dispute.unwrap().deadline)
    }

    fn settle(&mut self, by: usize, of: Entry) -> Result<(), Error> {
        self.send(by, &SettleChannels { channels: vec![of.tpc] })
    }

    /// Has a channel disputed by its first owner until it is at its end.
    fn end(&mut self, of: Entry, then: Resolution) {
        let [by, _] = self.channels[&of.tpc].1;
        let deadline = self.dispute(by, of, then).unwrap();
        self.pass(deadline);
        if then == Settle {
            self.settle(by, of).unwrap();
        }
    }

    /// Closes channels at what the contract holds.
    fn close_all<const N: usize>(&mut self, channels: [Entry; N]) {
        for state in self.state(channels) {
            let close = self.close(Entry { version: state.version + 1, ..state });
            self.send(self.channels[&state.tpc].1[0], &close).unwrap();
        }
    }

    /// Somebody who has nothing, not even an account, and a channel with Ann in which only she has put something.
    fn newcomer(&mut self) -> (usize, Entry) {
        let last = self.account(EVE);
        let mut keys = (0..).map(|index| Keys::from_suri(&format!("//newcomer{index}")).unwrap());
        self.bench.users.push(keys.find(|keys| keys.account() > last).unwrap());
        self.spent.push(0);
        let newcomer = self.bench.users.len() - 1;
        let create = self.creation([ANN, newcomer], [4 * UNIT, 0], MIN_WINDOW);
        self.send(ANN, &create).unwrap();
        (newcomer, Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: [4 * UNIT, 0] })
    }
}

fn wrong_epoch(of: Entry, stored: Epoch) -> Result<(), Error> {
    Err(Error::WrongEpoch { tpc: of.tpc, stored })
}

fn stale(of: Entry, stored: Version) -> Result<(), Error> {
    Err(Error::StaleVersion { tpc: of.tpc, stored })
}

/// The refusal of an update: a dispute has ended the epoch of `of` at this version.
fn void(of: Entry, version: Version) -> Result<(), Error> {
    Err(Error::Void { tpc: of.tpc, epoch: of.epoch, version })
}

fn due(of: Entry) -> Result<(), Error> {
    Err(Error::TpcDue(of.tpc))
}

fn not_owner(of: Entry) -> Result<(), Error> {
    Err(Error::NotOwner(of.tpc))
}
