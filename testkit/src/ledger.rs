//! The contract's own code over storage in memory.

use crate::signers::{symbol, Scheme};
use engine::{Call, HeadDispute, Stored};
use protocol::{
    contract,
    event::{Event, Told},
    AccountId, Asset, Balance, Crypto, Domain, Epoch, Error, Host, Mpc, MpcId, Nonce, Signature, Timestamp, Tpc, TpcId,
    Version,
};
use std::collections::BTreeMap;

/// The deployment that worlds run.
pub const DOMAIN: Domain = Domain { genesis_hash: [7; 32], contract: AccountId([8; 32]) };

/// What the contract stores, and what it has paid out.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The block's time, in ms.
    pub now: Timestamp,
    /// How signatures are checked.
    pub scheme: Scheme,
    ledger: BTreeMap<(AccountId, Asset), Balance>,
    nonces: BTreeMap<[AccountId; 2], Nonce>,
    tpcs: BTreeMap<TpcId, Tpc>,
    ended: BTreeMap<(TpcId, Epoch), Version>,
    mpcs: BTreeMap<MpcId, Mpc>,
    paid: BTreeMap<AccountId, Balance>,
}

impl Ledger {
    /// Nothing but a clock.
    pub fn new(scheme: Scheme, now: Timestamp) -> Self {
        Self {
            now,
            scheme,
            ledger: BTreeMap::new(),
            nonces: BTreeMap::new(),
            tpcs: BTreeMap::new(),
            ended: BTreeMap::new(),
            mpcs: BTreeMap::new(),
            paid: BTreeMap::new(),
        }
    }

    /// Gives an account funds in its ledger. Tokens come from nowhere.
    pub fn fund(&mut self, account: AccountId, asset: Asset, amount: Balance) {
        *self.ledger.entry((account, asset)).or_default() += amount;
    }

    /// What an account has outside of channels, paid out or in its ledger.
    pub fn free(&self, account: AccountId, asset: Asset) -> Balance {
        let paid = if asset == Asset::Native { self.paid.get(&account).copied().unwrap_or(0) } else { 0 };
        self.ledger.get(&(account, asset)).copied().unwrap_or(0) + paid
    }

    /// Everything that there is of an asset.
    pub fn total(&self, asset: Asset) -> Balance {
        let ledger = self.ledger.iter().filter(|((_, of), _)| *of == asset).map(|(_, balance)| *balance);
        let tpcs =
            self.tpcs.values().filter(|tpc| tpc.owners.asset == asset).map(|tpc| tpc.balances[0] + tpc.balances[1]);
        let paid = self.paid.values().copied().filter(|_| asset == Asset::Native);
        ledger.chain(tpcs).chain(paid).sum()
    }

    /// The stored channels.
    pub fn tpcs(&self) -> impl Iterator<Item = (&TpcId, &Tpc)> {
        self.tpcs.iter()
    }

    /// How many channels a pair has created.
    pub fn next_nonce(&self, parties: [AccountId; 2]) -> Nonce {
        self.nonces.get(&parties).copied().unwrap_or(0)
    }

    /// What queries answer about a channel.
    pub fn read(&mut self, tpc: TpcId, epoch: Epoch) -> Stored {
        let call = Running { ledger: self, caller: AccountId([0; 32]), undo: vec![], told: vec![] };
        Stored { tpc, stored: contract::tpc(&call, tpc), ended: (epoch, contract::ended(&call, tpc, epoch)) }
    }

    /// The disputes whose deadlines are not over.
    pub fn disputes(&self) -> Vec<HeadDispute> {
        let disputed = |(id, tpc): (&TpcId, &Tpc)| {
            let deadline = tpc.dispute.filter(|dispute| self.now <= dispute.deadline)?.deadline;
            Some(HeadDispute { tpc: *id, order: tpc.order(), deadline })
        };
        self.tpcs.iter().filter_map(disputed).collect()
    }

    /// Makes a call. What a refused one has written is gone.
    ///
    /// # Errors
    /// The contract's.
    pub fn call(&mut self, caller: AccountId, call: &Call, value: Balance) -> Result<Vec<Event>, Error> {
        let mut running = Running { ledger: self, caller, undo: vec![], told: vec![] };
        let done = run(&mut running, call, value);
        let Running { undo, told, .. } = running;
        match done {
            Ok(()) => Ok(told),
            Err(error) => {
                undo.into_iter().rev().for_each(|undo| self.undo(undo));
                Err(error)
            }
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Ledger(key, before) => put(&mut self.ledger, key, before),
            Undo::Nonce(key, before) => put(&mut self.nonces, key, before),
            Undo::Tpc(key, before) => put(&mut self.tpcs, key, *before),
            Undo::Ended(key, before) => put(&mut self.ended, key, before),
            Undo::Mpc(key, before) => put(&mut self.mpcs, key, before),
            Undo::Paid(key, before) => put(&mut self.paid, key, before),
        }
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

/// What a refused call takes back.
enum Undo {
    Ledger((AccountId, Asset), Option<Balance>),
    Nonce([AccountId; 2], Option<Nonce>),
    Tpc(TpcId, Box<Option<Tpc>>),
    Ended((TpcId, Epoch), Option<Version>),
    Mpc(MpcId, Option<Mpc>),
    Paid(AccountId, Option<Balance>),
}

struct Running<'a> {
    ledger: &'a mut Ledger,
    caller: AccountId,
    undo: Vec<Undo>,
    told: Vec<Event>,
}

fn run(host: &mut Running, call: &Call, value: Balance) -> Result<(), Error> {
    use contract::{dispute, mpc, tpc, update};
    match call {
        Call::CreateTpc(call) => tpc::create_tpc(host, &call.creation, &call.signatures, value).map(drop),
        Call::UpdateChannels(call) => update::update(host, &call.update, &call.owners, &call.signatures).map(drop),
        Call::UpdateAll(call) => update::update_all(host, &call.updates).map(drop),
        Call::CloseTpc(call) => tpc::close_tpc(host, &call.close, &call.signatures),
        Call::TopUpTpc(call) => tpc::top_up_tpc(host, &call.top_up, &call.signatures),
        Call::WithdrawTpc(call) => tpc::withdraw_tpc(host, &call.withdrawal, &call.signatures),
        Call::SplitTpc(call) => tpc::split_tpc(host, &call.split, &call.signatures).map(drop),
        Call::DisputeChannels(call) => dispute::dispute(host, &call.channels, call.then).map(drop),
        Call::SettleChannels(call) => dispute::settle(host, &call.channels).map(drop),
        Call::CreateMpc(call) => mpc::create_mpc(host, &call.creation, &call.signatures).map(drop),
        Call::JoinMpc(call) => mpc::join_mpc(host, &call.join, &call.signatures),
        Call::LeaveMpc(call) => mpc::leave_mpc(host, &call.leave, &call.signatures),
        Call::CloseMpc(call) => mpc::close_mpc(host, &call.close, &call.signatures),
    }
}

impl Crypto for Running<'_> {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        sp_crypto_hashing::blake2_256(data)
    }

    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
        match (self.ledger.scheme, <[u8; 32]>::try_from(message)) {
            (Scheme::Symbols, Ok(payload)) => symbol(&payload, &AccountId::from(*signer)) == Signature(*signature),
            (Scheme::Symbols, Err(_)) => false,
            (Scheme::Sr25519, _) => engine::Native.sr25519_verify(signature, message, signer),
        }
    }
}

impl Host for Running<'_> {
    fn domain(&self) -> Domain {
        DOMAIN
    }

    fn caller(&self) -> AccountId {
        self.caller
    }

    fn now(&self) -> Timestamp {
        self.ledger.now
    }

    fn ledger(&self, account: AccountId, asset: Asset) -> Balance {
        self.ledger.ledger.get(&(account, asset)).copied().unwrap_or(0)
    }

    fn set_ledger(&mut self, account: AccountId, asset: Asset, balance: Balance) {
        let key = (account, asset);
        self.undo.push(Undo::Ledger(key, self.ledger.ledger.get(&key).copied()));
        put(&mut self.ledger.ledger, key, (balance > 0).then_some(balance));
    }

    fn nonce(&self, parties: [AccountId; 2]) -> Nonce {
        self.ledger.next_nonce(parties)
    }

    fn set_nonce(&mut self, parties: [AccountId; 2], nonce: Nonce) {
        self.undo.push(Undo::Nonce(parties, self.ledger.nonces.get(&parties).copied()));
        self.ledger.nonces.insert(parties, nonce);
    }

    fn tpc(&self, id: TpcId) -> Option<Tpc> {
        self.ledger.tpcs.get(&id).copied()
    }

    fn set_tpc(&mut self, id: TpcId, tpc: Option<&Tpc>) {
        self.undo.push(Undo::Tpc(id, Box::new(self.ledger.tpcs.get(&id).copied())));
        put(&mut self.ledger.tpcs, id, tpc.copied());
    }

    fn ended(&self, id: TpcId, epoch: Epoch) -> Option<Version> {
        self.ledger.ended.get(&(id, epoch)).copied()
    }

    fn set_ended(&mut self, id: TpcId, epoch: Epoch, version: Option<Version>) {
        self.undo.push(Undo::Ended((id, epoch), self.ledger.ended.get(&(id, epoch)).copied()));
        put(&mut self.ledger.ended, (id, epoch), version);
    }

    fn mpc(&self, id: MpcId) -> Option<Mpc> {
        self.ledger.mpcs.get(&id).copied()
    }

    fn set_mpc(&mut self, id: MpcId, mpc: Option<Mpc>) {
        self.undo.push(Undo::Mpc(id, self.ledger.mpcs.get(&id).copied()));
        put(&mut self.ledger.mpcs, id, mpc);
    }

    fn pay(&mut self, account: AccountId, amount: Balance) -> bool {
        self.undo.push(Undo::Paid(account, self.ledger.paid.get(&account).copied()));
        *self.ledger.paid.entry(account).or_default() += amount;
        true
    }

    fn token_balance(&mut self, _token: AccountId) -> Option<Balance> {
        None
    }

    fn pull_token(&mut self, _token: AccountId, _from: AccountId, _amount: Balance) -> bool {
        false
    }

    fn push_token(&mut self, _token: AccountId, _to: AccountId, _amount: Balance) -> bool {
        false
    }

    fn tell(&mut self, event: impl Told) {
        self.told.push(event.into());
    }
}
