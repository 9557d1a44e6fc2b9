//! A contract in memory, its users, and calls with the signatures that they take.

use crate::common::{account, both, signed_by, Call, Chain, LONGEST};
use protocol::{
    contract::{dispute, mpc, tpc, update},
    event::Event,
    AccountId, Action, Asset, Balance, Entry, Epoch, Error, Member, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave,
    Origin, Owners, PartySignature, Resolution, Signature, SignedUpdate, Timestamp, Tpc, TpcClose, TpcCreation, TpcId,
    TpcSplit, TpcTopUp, TpcWithdrawal, Update, Version, Window,
};
use std::collections::BTreeMap;

pub const A: AccountId = account('A');
pub const B: AccountId = account('B');
pub const C: AccountId = account('C');
pub const D: AccountId = account('D');
/// Owns no channel.
pub const S: AccountId = account('S');
pub const TOKEN: AccountId = account('T');

pub const START: Timestamp = 1_000_000;
pub const WINDOW: Window = 20_000;
/// Until when what is signed here is good.
pub const UNTIL: Timestamp = START + 5_000;

pub type Answer<T> = Result<(T, Vec<Event>), Error>;

/// The chain, and whose each channel is.
pub struct Bench {
    pub chain: Chain,
    pub owners: BTreeMap<TpcId, Owners>,
}

impl Bench {
    pub fn new() -> Self {
        let mut chain = Chain { now: START, ..Chain::default() };
        for party in [A, B, C, D] {
            chain.ledger.set((party, Asset::Native), Some(1_000));
            chain.ledger.set((party, Asset::Psp22(TOKEN)), Some(1_000));
        }
        Self { chain, owners: BTreeMap::new() }
    }

    /// A channel that was there before, without the call that creates it.
    pub fn stored(&mut self, owners: Owners, balances: [Balance; 2]) -> TpcId {
        let id = owners.tpc(&Call::new(&Chain::default(), S));
        let tpc = Tpc { owners, balances, epoch: 0, version: 0, dispute: None, mpc: None, registrations: 0 };
        self.chain.tpcs.set(id, Some(tpc));
        self.owners.insert(id, owners);
        id
    }

    /// The channel number `nonce` of a pair, with 60 and 40 of the native token.
    pub fn open(&mut self, parties: [AccountId; 2], nonce: u64) -> TpcId {
        self.open_with(parties, nonce, Asset::Native)
    }

    pub fn open_with(&mut self, parties: [AccountId; 2], nonce: u64, asset: Asset) -> TpcId {
        self.stored(Owners { parties, window: WINDOW, asset, origin: Origin::Creation(nonce) }, [60, 40])
    }

    pub fn tpc(&self, id: TpcId) -> Option<Tpc> {
        tpc_of(&self.chain, id)
    }

    pub fn order(&self, id: TpcId) -> (Epoch, Version) {
        self.tpc(id).unwrap().order()
    }

    pub fn ended(&self, id: TpcId, epoch: Epoch) -> Option<Version> {
        protocol::contract::ended(&Call::new(&self.chain, S), id, epoch)
    }

    pub fn parties(&self, id: TpcId) -> [AccountId; 2] {
        self.owners[&id].parties
    }

    /// The owners of channels, ascending.
    pub fn all_owners(&self, ids: impl IntoIterator<Item = TpcId>) -> Vec<AccountId> {
        let mut owners: Vec<_> = ids.into_iter().flat_map(|id| self.parties(id)).collect();
        owners.sort();
        owners.dedup();
        owners
    }

    pub fn sign(&self, action: Action, signers: &[AccountId]) -> Vec<PartySignature> {
        signed_by(&Call::new(&self.chain, S), action, signers)
    }

    pub fn both(&self, action: Action, parties: [AccountId; 2]) -> [Signature; 2] {
        both(&Call::new(&self.chain, S), action, parties)
    }

    pub fn create(&mut self, caller: AccountId, creation: TpcCreation, value: Balance) -> Answer<TpcId> {
        let signatures = self.both(Action::CreateTpc(&creation), creation.parties);
        let answer = self.chain.call(caller, |host| tpc::create_tpc(host, &creation, &signatures, value));
        if let Ok((id, _)) = answer {
            self.owners.insert(id, creation.owners());
        }
        answer
    }

    /// An update as all its owners signed it.
    pub fn signed(&self, entries: &[Entry]) -> SignedUpdate {
        let mut entries = entries.to_vec();
        entries.sort_by_key(|entry| entry.tpc);
        let owners = entries.iter().map(|entry| self.owners[&entry.tpc]).collect();
        let signers = self.all_owners(entries.iter().map(|entry| entry.tpc));
        let update = Update { entries };
        let signatures = self.sign(Action::Update(&update), &signers);
        SignedUpdate { update, owners, signatures }
    }

    pub fn update(&mut self, entries: &[Entry]) -> Answer<u32> {
        let signed = self.signed(entries);
        self.publish(&signed)
    }

    /// A stranger brings an update.
    pub fn publish(&mut self, signed: &SignedUpdate) -> Answer<u32> {
        let SignedUpdate { update, owners, signatures } = signed;
        self.chain.call(S, |host| update::update(host, update, owners, signatures))
    }

    pub fn publish_all(&mut self, updates: &[SignedUpdate]) -> Answer<u32> {
        self.chain.call(S, |host| update::update_all(host, updates))
    }

    pub fn dispute(&mut self, caller: AccountId, ids: &[TpcId], then: Resolution) -> Answer<u32> {
        self.chain.call(caller, |host| dispute::dispute(host, ids, then))
    }

    pub fn settle(&mut self, caller: AccountId, ids: &[TpcId]) -> Answer<u32> {
        self.chain.call(caller, |host| dispute::settle(host, ids))
    }

    pub fn close(&mut self, caller: AccountId, last: Entry) -> Answer<()> {
        self.close_until(caller, last, UNTIL)
    }

    pub fn close_until(&mut self, caller: AccountId, last: Entry, valid_until: Timestamp) -> Answer<()> {
        let close = TpcClose { last, valid_until };
        let signatures = self.both(Action::CloseTpc(&close), self.parties(last.tpc));
        self.chain.call(caller, |host| tpc::close_tpc(host, &close, &signatures))
    }

    pub fn top_up(&mut self, caller: AccountId, last: Entry, added: [Balance; 2]) -> Answer<()> {
        let top_up = TpcTopUp { last, added, valid_until: UNTIL };
        let signatures = self.both(Action::TopUpTpc(&top_up), self.parties(last.tpc));
        self.chain.call(caller, |host| tpc::top_up_tpc(host, &top_up, &signatures))
    }

    pub fn withdraw(&mut self, caller: AccountId, last: Entry, amounts: [Balance; 2]) -> Answer<()> {
        let withdrawal = TpcWithdrawal { last, amounts, valid_until: UNTIL };
        let signatures = self.both(Action::WithdrawTpc(&withdrawal), self.parties(last.tpc));
        self.chain.call(caller, |host| tpc::withdraw_tpc(host, &withdrawal, &signatures))
    }

    pub fn split(&mut self, caller: AccountId, last: &[Entry], parts: &[[Balance; 2]]) -> Answer<Vec<TpcId>> {
        let split = TpcSplit { last: last.to_vec(), parts: parts.to_vec(), valid_until: UNTIL };
        let parties = last.first().map_or([A, B], |last| self.parties(last.tpc));
        let signatures = self.both(Action::SplitTpc(&split), parties);
        self.chain.call(caller, |host| tpc::split_tpc(host, &split, &signatures))
    }

    pub fn members(&self, ids: &[TpcId]) -> Vec<Member> {
        let registrations = |id| self.tpc(id).map_or(0, |tpc| tpc.registrations);
        let mut members: Vec<_> =
            ids.iter().map(|tpc| Member { tpc: *tpc, registrations: registrations(*tpc) }).collect();
        members.sort_by_key(|member| member.tpc);
        members
    }

    /// All owners register channels, with the counts that are stored.
    pub fn register(&mut self, ids: &[TpcId]) -> Answer<MpcId> {
        let creation = MpcCreation { members: self.members(ids), valid_until: UNTIL };
        let signatures = self.sign(Action::CreateMpc(&creation), &self.all_owners(ids.iter().copied()));
        self.chain.call(S, |host| mpc::create_mpc(host, &creation, &signatures))
    }

    pub fn join(&mut self, mpc: MpcId, through: TpcId, ids: &[TpcId]) -> Answer<()> {
        let join = MpcJoin { mpc, host: through, members: self.members(ids), valid_until: UNTIL };
        let signatures = self.sign(Action::JoinMpc(&join), &self.all_owners(ids.iter().copied()));
        self.chain.call(S, |host| mpc::join_mpc(host, &join, &signatures))
    }

    pub fn leave(&mut self, caller: AccountId, mpc: MpcId, ids: &[TpcId]) -> Answer<()> {
        let leave = MpcLeave { mpc, members: self.members(ids), valid_until: UNTIL };
        let signatures = self.sign(Action::LeaveMpc(&leave), &self.all_owners(ids.iter().copied()));
        self.chain.call(caller, |host| mpc::leave_mpc(host, &leave, &signatures))
    }

    pub fn disband(&mut self, caller: AccountId, mpc: MpcId, ids: &[TpcId]) -> Answer<()> {
        let close = MpcClose { mpc, members: self.members(ids), valid_until: UNTIL };
        let signatures = self.sign(Action::CloseMpc(&close), &self.all_owners(ids.iter().copied()));
        self.chain.call(caller, |host| mpc::close_mpc(host, &close, &signatures))
    }

    pub fn paid(&self, party: AccountId) -> Balance {
        self.chain.paid.get(party).unwrap_or(0)
    }

    pub fn ledger(&self, party: AccountId, asset: Asset) -> Balance {
        self.chain.ledger.get((party, asset)).unwrap_or(0)
    }
}

pub fn tpc_of(chain: &Chain, id: TpcId) -> Option<Tpc> {
    protocol::contract::tpc(&Call::new(chain, S), id)
}

/// A creation that is good: the first channel of A and B.
pub fn creation() -> TpcCreation {
    TpcCreation {
        parties: [A, B],
        nonce: 0,
        asset: Asset::Native,
        balances: [60, 40],
        window: WINDOW,
        valid_until: UNTIL,
    }
}

/// The last moment of any dispute.
pub const FAR: Timestamp = START + 2 * LONGEST;
