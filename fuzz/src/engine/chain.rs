//! A chain in memory. The contract's own code answers the calls.

use chain::{contract::Event, keys::Native, submission::Submission};
use protocol::{
    abi,
    contract::{self, dispute, ledger, mpc, tpc, update},
    event::Told,
    AccountId, Asset, Balance, Crypto, Domain, Entry, Epoch, Error, Host, Mpc, MpcId, Nonce, Timestamp, Tpc, TpcId,
    Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// The chain.
#[derive(Clone)]
pub struct Chain {
    domain: Domain,
    stored: Stored,
    history: History,
}

/// What the contract stores, and who has what outside of it.
#[derive(Clone, Default)]
struct Stored {
    ledger: BTreeMap<(AccountId, Asset), Balance>,
    nonces: BTreeMap<[AccountId; 2], Nonce>,
    tpcs: BTreeMap<TpcId, Tpc>,
    ended: BTreeMap<(TpcId, Epoch), Version>,
    mpcs: BTreeMap<MpcId, Mpc>,
    /// What the contract's account holds, in planck.
    held: Balance,
    /// What the users' accounts hold, in planck.
    accounts: BTreeMap<AccountId, Balance>,
    /// Accounts that cannot receive the native token.
    closed: BTreeSet<AccountId>,
}

/// What the contract did.
#[derive(Clone, Default)]
pub struct History {
    /// The highest version that each epoch of each channel has reached.
    pub reached: BTreeMap<(TpcId, Epoch), Version>,
    /// The entries of updates that moved their channels.
    pub moved: BTreeSet<(TpcId, Epoch, Version)>,
}

/// One call. It works on a copy, which a refused call leaves behind.
struct Call {
    domain: Domain,
    caller: AccountId,
    now: Timestamp,
    stored: Stored,
    told: Vec<Event>,
}

impl Chain {
    /// A chain where each of `accounts` holds `endowment` planck, and as much in the contract's ledger.
    pub fn new(domain: Domain, accounts: &[AccountId], endowment: Balance, closed: AccountId) -> Self {
        let mut chain = Self { domain, stored: Stored::default(), history: History::default() };
        for account in accounts {
            chain.stored.accounts.insert(*account, 2 * endowment);
            chain
                .run(*account, endowment, 0, |call| ledger::deposit(call, endowment))
                .expect("an account deposits what it holds");
        }
        chain.stored.closed.insert(closed);
        chain
    }

    /// The registered groups.
    pub fn mpcs(&self) -> impl Iterator<Item = MpcId> + '_ {
        self.stored.mpcs.keys().copied()
    }

    /// An account's channels at block time `now`.
    pub fn channels_of(&self, account: AccountId, now: Timestamp) -> BTreeMap<TpcId, Tpc> {
        let host = self.host(account, now);
        let own = self.stored.tpcs.iter().filter(|(_, tpc)| tpc.owners.parties.contains(&account));
        own.filter_map(|(id, _)| Some((*id, contract::tpc(&host, *id)?))).collect()
    }

    /// What an account has outside of channels.
    pub fn wealth(&self, account: &AccountId) -> Balance {
        let in_ledger = self.stored.ledger.get(&(*account, Asset::Native)).copied().unwrap_or_default();
        in_ledger + self.stored.accounts[account]
    }

    /// How many channels a pair has created.
    pub fn next_nonce(&self, parties: &[AccountId; 2]) -> Nonce {
        self.stored.nonces.get(parties).copied().unwrap_or_default()
    }

    /// What the contract did.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Calls the contract and answers what it tells. A refused call changes nothing.
    pub fn call(
        &mut self,
        caller: AccountId,
        submission: &Submission,
        value: Balance,
        now: Timestamp,
    ) -> Result<Vec<Event>, Error> {
        // Only a creation takes a value.
        if value > 0 && !matches!(submission, Submission::CreateTpc(_)) {
            return Err(Error::TransferFailed);
        }
        let told = self.run(caller, value, now, |call| execute(call, submission, value))?;
        for last in lasts(submission) {
            self.history.reached.insert((last.tpc, last.epoch), last.version);
        }
        Ok(told)
    }

    fn host(&self, caller: AccountId, now: Timestamp) -> Call {
        Call { domain: self.domain, caller, now, stored: self.stored.clone(), told: vec![] }
    }

    fn run<T>(
        &mut self,
        caller: AccountId,
        value: Balance,
        now: Timestamp,
        call: impl FnOnce(&mut Call) -> Result<T, Error>,
    ) -> Result<Vec<Event>, Error> {
        let mut host = self.host(caller, now);
        let account = host.stored.accounts.get_mut(&caller).ok_or(Error::TransferFailed)?;
        *account = account.checked_sub(value).ok_or(Error::TransferFailed)?;
        host.stored.held += value;
        call(&mut host)?;
        let Call { stored, told, .. } = host;
        assert!(!told.is_empty(), "the contract does something and tells nothing");
        stored.check();
        self.stored = stored;
        for (id, tpc) in &self.stored.tpcs {
            self.history.reached.insert((*id, tpc.epoch), tpc.version);
        }
        for event in &told {
            if let Event::Updated(event) = event {
                let moved = event.entries.iter().map(|entry| (entry.tpc, entry.epoch, entry.version));
                self.history.moved.extend(moved);
            }
        }
        Ok(told)
    }
}

impl Stored {
    /// The contract holds exactly what it owes, and every group counts its channels.
    fn check(&self) {
        let in_channels = self.tpcs.values().map(|tpc| tpc.total().expect("what a channel holds fits"));
        assert_eq!(
            self.ledger.values().copied().chain(in_channels).sum::<Balance>(),
            self.held,
            "funds are made or lost"
        );
        let mut counted = BTreeMap::new();
        for mpc in self.tpcs.values().filter_map(|tpc| tpc.mpc) {
            *counted.entry(mpc).or_insert(0) += 1;
        }
        let counts: BTreeMap<_, _> = self.mpcs.iter().map(|(id, mpc)| (*id, mpc.channels)).collect();
        assert_eq!(counts, counted, "a group does not count its channels");
    }
}

fn execute(call: &mut Call, submission: &Submission, value: Balance) -> Result<(), Error> {
    match submission {
        Submission::CreateTpc(abi::CreateTpc { creation, signatures }) => {
            tpc::create_tpc(call, creation, signatures, value).map(drop)
        }
        Submission::UpdateChannels(abi::UpdateChannels { update, owners, signatures }) => {
            update::update(call, update, owners, signatures).map(drop)
        }
        Submission::UpdateAll(abi::UpdateAll { updates }) => update::update_all(call, updates).map(drop),
        Submission::CloseTpc(abi::CloseTpc { close, signatures }) => tpc::close_tpc(call, close, signatures),
        Submission::TopUpTpc(abi::TopUpTpc { top_up, signatures }) => tpc::top_up_tpc(call, top_up, signatures),
        Submission::WithdrawTpc(abi::WithdrawTpc { withdrawal, signatures }) => {
            tpc::withdraw_tpc(call, withdrawal, signatures)
        }
        Submission::SplitTpc(abi::SplitTpc { split, signatures }) => tpc::split_tpc(call, split, signatures).map(drop),
        Submission::DisputeChannels(abi::DisputeChannels { channels, then }) => {
            dispute::dispute(call, channels, *then).map(drop)
        }
        Submission::SettleChannels(abi::SettleChannels { channels }) => dispute::settle(call, channels).map(drop),
        Submission::CreateMpc(abi::CreateMpc { creation, signatures }) => {
            mpc::create_mpc(call, creation, signatures).map(drop)
        }
        Submission::JoinMpc(abi::JoinMpc { join, signatures }) => mpc::join_mpc(call, join, signatures),
        Submission::LeaveMpc(abi::LeaveMpc { leave, signatures }) => mpc::leave_mpc(call, leave, signatures),
        Submission::CloseMpc(abi::CloseMpc { close, signatures }) => mpc::close_mpc(call, close, signatures),
    }
}

/// The states with which a call ends epochs.
fn lasts(submission: &Submission) -> &[Entry] {
    match submission {
        Submission::CloseTpc(abi::CloseTpc { close, .. }) => std::slice::from_ref(&close.last),
        Submission::TopUpTpc(abi::TopUpTpc { top_up, .. }) => std::slice::from_ref(&top_up.last),
        Submission::WithdrawTpc(abi::WithdrawTpc { withdrawal, .. }) => std::slice::from_ref(&withdrawal.last),
        Submission::SplitTpc(abi::SplitTpc { split, .. }) => &split.last,
        _ => &[],
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

impl Crypto for Call {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        Native.blake2_256(data)
    }

    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
        Native.sr25519_verify(signature, message, signer)
    }
}

impl Host for Call {
    fn domain(&self) -> Domain {
        self.domain
    }

    fn caller(&self) -> AccountId {
        self.caller
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn ledger(&self, account: AccountId, asset: Asset) -> Balance {
        self.stored.ledger.get(&(account, asset)).copied().unwrap_or_default()
    }

    fn set_ledger(&mut self, account: AccountId, asset: Asset, balance: Balance) {
        put(&mut self.stored.ledger, (account, asset), (balance > 0).then_some(balance));
    }

    fn nonce(&self, parties: [AccountId; 2]) -> Nonce {
        self.stored.nonces.get(&parties).copied().unwrap_or_default()
    }

    fn set_nonce(&mut self, parties: [AccountId; 2], nonce: Nonce) {
        self.stored.nonces.insert(parties, nonce);
    }

    fn tpc(&self, id: TpcId) -> Option<Tpc> {
        self.stored.tpcs.get(&id).copied()
    }

    fn set_tpc(&mut self, id: TpcId, tpc: Option<&Tpc>) {
        put(&mut self.stored.tpcs, id, tpc.copied());
    }

    fn ended(&self, id: TpcId, epoch: Epoch) -> Option<Version> {
        self.stored.ended.get(&(id, epoch)).copied()
    }

    fn set_ended(&mut self, id: TpcId, epoch: Epoch, version: Option<Version>) {
        put(&mut self.stored.ended, (id, epoch), version);
    }

    fn mpc(&self, id: MpcId) -> Option<Mpc> {
        self.stored.mpcs.get(&id).copied()
    }

    fn set_mpc(&mut self, id: MpcId, mpc: Option<Mpc>) {
        put(&mut self.stored.mpcs, id, mpc);
    }

    fn pay(&mut self, account: AccountId, amount: Balance) -> bool {
        let Stored { held, accounts, closed, .. } = &mut self.stored;
        if closed.contains(&account) {
            return false;
        }
        *held = held.checked_sub(amount).expect("the contract pays what it holds");
        *accounts.entry(account).or_default() += amount;
        true
    }

    // There is no token here.
    fn token_balance(&mut self, _: AccountId) -> Option<Balance> {
        None
    }

    fn pull_token(&mut self, _: AccountId, _: AccountId, _: Balance) -> bool {
        false
    }

    fn push_token(&mut self, _: AccountId, _: AccountId, _: Balance) -> bool {
        false
    }

    fn tell(&mut self, event: impl Told) {
        self.told.push(event.into());
    }
}
