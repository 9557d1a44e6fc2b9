//! A chain in memory, and calls to the contract on it.
#![allow(dead_code)] // Each test binary uses a part.

use protocol::{
    event::{Event, Told},
    state::{MAX_WINDOW, MIN_WINDOW},
    AccountId, Action, Asset, Balance, Crypto, Domain, Entry, Epoch, Error, Host, Mpc, MpcId, Nonce, PartySignature,
    Signature, Timestamp, Tpc, TpcId, Version,
};
use std::borrow::Cow;

pub const DOMAIN: Domain = Domain { genesis_hash: [7; 32], contract: AccountId([8; 32]) };

/// A map as a sorted list: it is small, and is copied often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<K, V>(Vec<(K, V)>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Copy, V: Copy> Map<K, V> {
    pub fn get(&self, key: K) -> Option<V> {
        self.find(key).copied()
    }

    pub fn find(&self, key: K) -> Option<&V> {
        self.0.binary_search_by(|(other, _)| other.cmp(&key)).ok().map(|index| &self.0[index].1)
    }

    /// Stores a value, or deletes it.
    pub fn set(&mut self, key: K, value: Option<V>) {
        match (self.0.binary_search_by(|(other, _)| other.cmp(&key)), value) {
            (Ok(index), Some(value)) => self.0[index].1 = value,
            (Ok(index), None) => drop(self.0.remove(index)),
            (Err(index), Some(value)) => self.0.insert(index, (key, value)),
            (Err(_), None) => {}
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        self.0.iter().copied()
    }

    pub fn pairs(&self) -> impl Iterator<Item = &(K, V)> + '_ {
        self.0.iter()
    }

    pub fn values(&self) -> impl Iterator<Item = &V> + '_ {
        self.0.iter().map(|(_, value)| value)
    }

    pub fn keys(&self) -> Vec<K> {
        self.iter().map(|(key, _)| key).collect()
    }
}

/// What a PSP22 token does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Honest,
    /// It keeps this much of every transfer.
    KeepsFee(Balance),
    /// It says that it moved what it did not.
    MovesNothing,
    /// It says that the contract's balance has fallen.
    SaysLess,
    /// It says that the contract holds this much more than it does.
    SaysMore(Balance),
    /// It does not say what the contract holds before a transfer.
    Silent,
    /// It does not say what the contract holds after a transfer.
    SilentAfter,
    /// It refuses to move anything.
    Refuses,
}

/// The chain: what the contract stores, and who has what outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    pub now: Timestamp,
    pub ledger: Map<(AccountId, Asset), Balance>,
    pub nonces: Map<[AccountId; 2], Nonce>,
    pub tpcs: Map<TpcId, Tpc>,
    pub ended: Map<(TpcId, Epoch), Version>,
    pub mpcs: Map<MpcId, Mpc>,
    /// What the contract has paid, in planck.
    pub paid: Map<AccountId, Balance>,
    /// Who cannot receive the native token.
    pub closed_accounts: Vec<AccountId>,
    pub tokens: Map<AccountId, (Token, Balance)>,
    /// How many transfers a token has been asked for.
    pub transfers: u32,
}

impl Chain {
    /// A call of the contract. What a refused one has written is gone.
    pub fn call<T>(
        &mut self,
        caller: AccountId,
        call: impl FnOnce(&mut Call<'_>) -> Result<T, Error>,
    ) -> Result<(T, Vec<Event>), Error> {
        let mut host = Call::new(self, caller);
        let answer = call(&mut host)?;
        let Call { chain, told, .. } = host;
        // An unwritten chain is the one that it was.
        if let Cow::Owned(chain) = chain {
            *self = chain;
        }
        Ok((answer, told))
    }

    /// The stored items, by kind: what deposits are paid for.
    pub fn items(&self) -> Items {
        let count = |count: usize| u32::try_from(count).unwrap();
        Items {
            ledger: count(self.ledger.0.len()),
            nonces: count(self.nonces.0.len()),
            tpcs: count(self.tpcs.0.len()),
            ended: count(self.ended.0.len()),
            mpcs: count(self.mpcs.0.len()),
        }
    }

    /// Everything that the contract owes of an asset.
    pub fn owed(&self, asset: Asset) -> Balance {
        let ledger = self.ledger.iter().filter(|((_, of), _)| *of == asset).map(|(_, balance)| balance);
        let tpcs = self.tpcs.values().filter(|tpc| tpc.owners.asset == asset).map(|tpc| tpc.total().unwrap());
        ledger.chain(tpcs).sum()
    }
}

/// How many items of each kind are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Items {
    pub ledger: u32,
    pub nonces: u32,
    pub tpcs: u32,
    pub ended: u32,
    pub mpcs: u32,
}

/// One call. It copies the chain before its first write, so a refused call costs nothing and leaves nothing.
pub struct Call<'a> {
    pub chain: Cow<'a, Chain>,
    pub caller: AccountId,
    pub told: Vec<Event>,
}

impl<'a> Call<'a> {
    pub fn new(chain: &'a Chain, caller: AccountId) -> Self {
        Self { chain: Cow::Borrowed(chain), caller, told: Vec::new() }
    }
}

/// Signatures as symbols: one is its payload beside its signer. Who makes one stands for that signer.
pub fn signature(payload: [u8; 32], signer: AccountId) -> Signature {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&payload);
    signature[32..].copy_from_slice(signer.as_ref());
    Signature(signature)
}

pub fn verify(signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
    signature[..32] == *message && signature[32..] == *signer
}

impl Crypto for Call<'_> {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        sp_crypto_hashing::blake2_256(data)
    }

    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
        verify(signature, message, signer)
    }
}

impl Host for Call<'_> {
    fn domain(&self) -> Domain {
        DOMAIN
    }

    fn caller(&self) -> AccountId {
        self.caller
    }

    fn now(&self) -> Timestamp {
        self.chain.now
    }

    fn ledger(&self, account: AccountId, asset: Asset) -> Balance {
        self.chain.ledger.get((account, asset)).unwrap_or(0)
    }

    fn set_ledger(&mut self, account: AccountId, asset: Asset, balance: Balance) {
        self.chain.to_mut().ledger.set((account, asset), (balance > 0).then_some(balance));
    }

    fn nonce(&self, parties: [AccountId; 2]) -> Nonce {
        self.chain.nonces.get(parties).unwrap_or(0)
    }

    fn set_nonce(&mut self, parties: [AccountId; 2], nonce: Nonce) {
        self.chain.to_mut().nonces.set(parties, Some(nonce));
    }

    fn tpc(&self, id: TpcId) -> Option<Tpc> {
        self.chain.tpcs.get(id)
    }

    fn set_tpc(&mut self, id: TpcId, tpc: Option<&Tpc>) {
        self.chain.to_mut().tpcs.set(id, tpc.copied());
    }

    fn ended(&self, id: TpcId, epoch: Epoch) -> Option<Version> {
        self.chain.ended.get((id, epoch))
    }

    fn set_ended(&mut self, id: TpcId, epoch: Epoch, version: Option<Version>) {
        self.chain.to_mut().ended.set((id, epoch), version);
    }

    fn mpc(&self, id: MpcId) -> Option<Mpc> {
        self.chain.mpcs.get(id)
    }

    fn set_mpc(&mut self, id: MpcId, mpc: Option<Mpc>) {
        self.chain.to_mut().mpcs.set(id, mpc);
    }

    fn pay(&mut self, account: AccountId, amount: Balance) -> bool {
        let can_receive = !self.chain.closed_accounts.contains(&account);
        if can_receive {
            let paid = self.chain.paid.get(account).unwrap_or(0) + amount;
            self.chain.to_mut().paid.set(account, Some(paid));
        }
        can_receive
    }

    fn token_balance(&mut self, token: AccountId) -> Option<Balance> {
        let (behaviour, held) = self.chain.tokens.get(token)?;
        let asked = self.chain.transfers > 0;
        match behaviour {
            Token::Silent => None,
            Token::SilentAfter if asked => None,
            Token::SaysLess if asked => Some(held - 1),
            Token::SaysMore(more) if asked => Some(held + more),
            _ => Some(held),
        }
    }

    fn pull_token(&mut self, token: AccountId, _from: AccountId, amount: Balance) -> bool {
        let chain = self.chain.to_mut();
        chain.transfers += 1;
        let (behaviour, held) = chain.tokens.get(token).unwrap_or((Token::Refuses, 0));
        let moved = match behaviour {
            Token::Refuses => return false,
            Token::KeepsFee(fee) => amount - fee,
            Token::Honest | Token::Silent | Token::SilentAfter => amount,
            Token::MovesNothing | Token::SaysLess | Token::SaysMore(_) => 0,
        };
        chain.tokens.set(token, Some((behaviour, held + moved)));
        true
    }

    fn push_token(&mut self, token: AccountId, _to: AccountId, amount: Balance) -> bool {
        let chain = self.chain.to_mut();
        let (behaviour, held) = chain.tokens.get(token).unwrap_or((Token::Refuses, 0));
        if behaviour == Token::Refuses || held < amount {
            return false;
        }
        chain.tokens.set(token, Some((behaviour, held - amount)));
        true
    }

    fn tell(&mut self, event: impl Told) {
        self.told.push(event.into());
    }
}

/// An account by its letter.
pub const fn account(letter: char) -> AccountId {
    AccountId([letter as u8; 32])
}

/// The signatures of an action, in the order of the list.
pub fn signed_by(crypto: &impl Crypto, action: Action, signers: &[AccountId]) -> Vec<PartySignature> {
    let payload = action.payload(crypto, &DOMAIN);
    signers.iter().map(|party| PartySignature { party: *party, signature: signature(payload, *party) }).collect()
}

/// The signatures of the two owners.
pub fn both(crypto: &impl Crypto, action: Action, parties: [AccountId; 2]) -> [Signature; 2] {
    let payload = action.payload(crypto, &DOMAIN);
    parties.map(|party| signature(payload, party))
}

/// A state of a channel.
pub fn entry(tpc: TpcId, epoch: Epoch, version: Version, balances: [Balance; 2]) -> Entry {
    Entry { tpc, epoch, version, balances }
}

pub const SHORTEST: Timestamp = MIN_WINDOW;
pub const LONGEST: Timestamp = MAX_WINDOW;
