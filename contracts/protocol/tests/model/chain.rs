//! The contract in small: its storage of channels and groups, and its messages over the real types and rules.

use crate::world::Mutation;
use codec::Encode;
use protocol::{
    phase::{mpc_admits, tpc_admits, ActionKind, MpcPhase, TpcPhase, Verdict},
    rules, AccountId, Action, Crypto, Domain, Entry, Error, Mpc, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave,
    MpcUpdate, Owners, PartySignature, Signature, Timestamp, Tpc, TpcClose, TpcId,
};
use std::collections::BTreeMap;

const DOMAIN: Domain = Domain { genesis_hash: [0; 32], contract: AccountId([0; 32]) };

/// Signatures as symbols: one is its payload beside its signer, and the model hands it out only when that one signs.
pub struct Symbolic;

impl Crypto for Symbolic {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        sp_crypto_hashing::blake2_256(data)
    }

    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
        signature[..32] == *message && signature[32..] == *signer
    }
}

/// Something signed, as the parties pass it around.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub enum Agreement {
    UpdateTpc(Entry),
    CloseTpc(TpcClose),
    CreateMpc(MpcCreation),
    UpdateMpc(MpcUpdate),
    CloseMpc(MpcClose),
    JoinMpc(MpcJoin),
    LeaveMpc(MpcLeave),
}

impl Agreement {
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::UpdateTpc(entry) => std::slice::from_ref(entry),
            Self::CloseTpc(close) => std::slice::from_ref(&close.last),
            Self::CreateMpc(creation) => &creation.entries,
            Self::UpdateMpc(update) => &update.entries,
            Self::CloseMpc(close) => &close.entries,
            Self::JoinMpc(join) => &join.entries,
            Self::LeaveMpc(leave) => &leave.entries,
        }
    }

    /// The entry for a channel, if the agreement touches it.
    pub fn entry(&self, tpc: TpcId) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.tpc == tpc)
    }

    /// When it becomes void by itself; an update never does.
    pub fn valid_until(&self) -> Option<Timestamp> {
        match self {
            Self::UpdateTpc(_) | Self::UpdateMpc(_) => None,
            Self::CloseTpc(close) => Some(close.valid_until),
            Self::CreateMpc(creation) => Some(creation.valid_until),
            Self::CloseMpc(close) => Some(close.valid_until),
            Self::JoinMpc(join) => Some(join.valid_until),
            Self::LeaveMpc(leave) => Some(leave.valid_until),
        }
    }

    /// The same with another such time.
    pub fn valid(mut self, until: Timestamp) -> Self {
        match &mut self {
            Self::UpdateTpc(_) | Self::UpdateMpc(_) => {}
            Self::CloseTpc(close) => close.valid_until = until,
            Self::CreateMpc(creation) => creation.valid_until = until,
            Self::CloseMpc(close) => close.valid_until = until,
            Self::JoinMpc(join) => join.valid_until = until,
            Self::LeaveMpc(leave) => leave.valid_until = until,
        }
        self
    }

    pub fn is_update(&self) -> bool {
        matches!(self, Self::UpdateTpc(_) | Self::UpdateMpc(_))
    }

    pub fn payload(&self) -> [u8; 32] {
        let action = match self {
            Self::UpdateTpc(entry) => Action::UpdateTpc(entry),
            Self::CloseTpc(close) => Action::CloseTpc(close),
            Self::CreateMpc(creation) => Action::CreateMpc(creation),
            Self::UpdateMpc(update) => Action::UpdateMpc(update),
            Self::CloseMpc(close) => Action::CloseMpc(close),
            Self::JoinMpc(join) => Action::JoinMpc(join),
            Self::LeaveMpc(leave) => Action::LeaveMpc(leave),
        };
        action.payload(&Symbolic, &DOMAIN)
    }

    /// What the given parties (ascending) have signed it with.
    pub fn signatures(&self, parties: impl Iterator<Item = AccountId>) -> Vec<PartySignature> {
        let payload = self.payload();
        let sign = |party: AccountId| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&payload);
            signature[32..].copy_from_slice(party.as_ref());
            PartySignature { party, signature: Signature(signature) }
        };
        parties.map(sign).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub now: Timestamp,
    pub tpcs: BTreeMap<TpcId, Tpc>,
    pub mpcs: BTreeMap<MpcId, Mpc>,
    /// The state that each closed channel was paid out at.
    pub paid: BTreeMap<TpcId, Entry>,
    /// The deadlines as they were told when their clocks started.
    pub told: BTreeMap<[u8; 32], Timestamp>,
    pub mutation: Option<Mutation>,
}

impl Chain {
    pub fn stands(&self, mpc: MpcId) -> bool {
        self.mutation != Some(Mutation::MembersActAlone) && self.mpcs.get(&mpc).is_some_and(|mpc| mpc.stands(self.now))
    }

    /// The group that a channel is in.
    pub fn group_of(&self, tpc: &Tpc) -> Option<MpcId> {
        tpc.mpc.filter(|mpc| self.mpcs.get(mpc).is_some_and(|mpc| mpc.stands(self.now)))
    }

    /// Whether an update is in time, whatever it says.
    pub fn accepts_update(&self, agreement: &Agreement) -> bool {
        match agreement {
            Agreement::UpdateTpc(entry) => self.alone(entry.tpc, ActionKind::UpdateTpc).is_ok(),
            Agreement::UpdateMpc(update) => self.group(update.mpc, ActionKind::UpdateMpc).is_ok(),
            _ => false,
        }
    }

    /// When the clock that bounds an update runs out.
    pub fn deadline(&self, agreement: &Agreement) -> Option<Timestamp> {
        match agreement {
            Agreement::UpdateTpc(entry) => self.tpcs.get(&entry.tpc)?.deadline,
            Agreement::UpdateMpc(update) => self.mpcs.get(&update.mpc)?.deadline,
            _ => None,
        }
    }

    /// Anyone brings a signed agreement. `owners` prove whose channels are no longer stored.
    pub fn publish(&mut self, signed: &Agreement, by: &[PartySignature], owners: &[Owners]) -> Result<(), Error> {
        if let Some(valid_until) = signed.valid_until() {
            rules::check_valid(self.now, valid_until)?;
        }
        let payload = signed.payload();
        match signed {
            Agreement::UpdateTpc(entry) => {
                let tpc = rules::advance(&self.alone(entry.tpc, ActionKind::UpdateTpc)?, entry)?;
                check_both(&payload, &tpc, by)?;
                self.tpcs.insert(entry.tpc, tpc);
            }
            Agreement::CloseTpc(close) => {
                let id = close.last.tpc;
                let tpc = rules::advance(&self.alone(id, ActionKind::CloseTpc)?, &close.last)?;
                check_both(&payload, &tpc, by)?;
                self.pay_out(id, &tpc);
            }
            Agreement::CreateMpc(creation) => {
                rules::check_window(creation.window)?;
                let id = MpcId(payload);
                let channels = self.enter(id, &creation.entries, ActionKind::CreateMpc, &payload, by)?;
                self.mpcs.insert(id, Mpc { channels, window: creation.window, deadline: None });
            }
            Agreement::JoinMpc(join) => {
                let mpc = self.group(join.mpc, ActionKind::JoinMpc)?;
                let member = self.tpcs.get(&join.member).ok_or(Error::UnknownTpc(join.member))?;
                rules::check_invited(join.mpc, join.member, member, by)?;
                let joined = self.enter(join.mpc, &join.entries, ActionKind::JoinMpc, &payload, by)?;
                let channels = mpc.channels.checked_add(joined).ok_or(Error::Overflow)?;
                self.mpcs.insert(join.mpc, Mpc { channels, ..mpc });
            }
            Agreement::UpdateMpc(update) => self.update_mpc(update, &payload, by, owners)?,
            Agreement::LeaveMpc(leave) => {
                let mpc = self.group(leave.mpc, ActionKind::LeaveMpc)?;
                let members = self.members(leave.mpc, &leave.entries, ActionKind::LeaveMpc)?;
                rules::check_all(&Symbolic, &payload, members.iter().map(|tpc| &tpc.parties), by)?;
                for (entry, tpc) in leave.entries.iter().zip(&members) {
                    self.tpcs.insert(entry.tpc, rules::leave(tpc, entry)?);
                    self.told.remove(&entry.tpc.0);
                }
                match mpc.channels.checked_sub(members.len() as u32).ok_or(Error::Overflow)? {
                    0 => self.remove_mpc(leave.mpc),
                    channels => {
                        self.mpcs.insert(leave.mpc, Mpc { channels, ..mpc });
                    }
                }
            }
            Agreement::CloseMpc(close) => {
                let Mpc { channels, .. } = self.group(close.mpc, ActionKind::CloseMpc)?;
                if channels as usize != close.entries.len() {
                    return Err(Error::ChannelsMissing { expected: channels });
                }
                let members = self.members(close.mpc, &close.entries, ActionKind::CloseMpc)?;
                rules::check_all(&Symbolic, &payload, members.iter().map(|tpc| &tpc.parties), by)?;
                for (entry, tpc) in close.entries.iter().zip(&members) {
                    if let Some(tpc) = rules::release(tpc, entry)? {
                        self.tpcs.insert(entry.tpc, tpc);
                    }
                }
                self.remove_mpc(close.mpc);
            }
        }
        Ok(())
    }

    pub fn dispute_tpc(&mut self, caller: &AccountId, id: TpcId) -> Result<(), Error> {
        let tpc = self.alone(id, ActionKind::DisputeTpc)?;
        rules::check_owner(id, &tpc, caller)?;
        let deadline = rules::deadline(self.now, tpc.window)?;
        self.put_disputed(id, tpc, deadline);
        Ok(())
    }

    pub fn settle_tpc(&mut self, id: TpcId) -> Result<(), Error> {
        let tpc = self.alone(id, ActionKind::SettleTpc)?;
        self.pay_out(id, &tpc);
        Ok(())
    }

    pub fn dispute_mpc(&mut self, caller: &AccountId, id: MpcId, member: TpcId, exits: &[TpcId]) -> Result<(), Error> {
        let mpc = self.group(id, ActionKind::DisputeMpc)?;
        let deadline = rules::deadline(self.now, mpc.window)?;
        let mut disputed = vec![];
        for tpc in std::iter::once(&member).chain(exits) {
            let stored = self.tpcs.get(tpc);
            tpc_admits(TpcPhase::of(stored, Some(id), self.now, |_| true), ActionKind::DisputeMpc, *tpc)?;
            let stored = stored.ok_or(Error::UnknownTpc(*tpc))?;
            rules::check_owner(*tpc, stored, caller)?;
            disputed.push((*tpc, stored.clone()));
        }
        self.mpcs.insert(id, Mpc { deadline: Some(deadline), ..mpc });
        self.told.insert(id.0, deadline);
        for (tpc, stored) in disputed.into_iter().skip(1) {
            self.put_disputed(tpc, stored, deadline);
        }
        Ok(())
    }

    pub fn settle_mpc(&mut self, id: MpcId) -> Result<(), Error> {
        self.group(id, ActionKind::SettleMpc)?;
        self.remove_mpc(id);
        Ok(())
    }

    fn update_mpc(
        &mut self,
        update: &MpcUpdate,
        payload: &[u8; 32],
        by: &[PartySignature],
        owners: &[Owners],
    ) -> Result<(), Error> {
        let mpc = self.group(update.mpc, ActionKind::UpdateMpc)?;
        rules::check_entries(&update.entries)?;
        let mut parties = vec![];
        let mut moved = vec![];
        for entry in &update.entries {
            let tpc = self.tpcs.get(&entry.tpc);
            let phase = TpcPhase::of(tpc, Some(update.mpc), self.now, |_| true);
            let verdict = tpc_admits(phase, ActionKind::UpdateMpc, entry.tpc)?;
            let Some(tpc) = tpc else {
                let proof = owners.iter().find(|owners| owners.tpc(&Symbolic) == entry.tpc);
                parties.push(proof.ok_or(Error::UnknownTpc(entry.tpc))?.parties);
                continue;
            };
            parties.push(tpc.parties);
            if verdict == Verdict::Admit && self.mutation == Some(Mutation::UnfitRefusesAll) {
                rules::release(tpc, entry)?;
            }
            if let (Verdict::Admit, Some(tpc)) = (verdict, rules::advance_in_mpc(tpc, entry)) {
                moved.push((entry.tpc, tpc));
            }
        }
        if moved.is_empty() {
            return Err(Error::NothingNewer);
        }
        rules::check_all(&Symbolic, payload, parties.iter(), by)?;
        self.tpcs.extend(moved);
        if self.mutation == Some(Mutation::AnswerRestartsClock) && mpc.deadline.is_some() {
            self.mpcs.insert(update.mpc, Mpc { deadline: Some(rules::deadline(self.now, mpc.window)?), ..mpc });
        }
        Ok(())
    }

    fn alone(&self, id: TpcId, action: ActionKind) -> Result<Tpc, Error> {
        let tpc = self.tpcs.get(&id);
        tpc_admits(TpcPhase::of(tpc, None, self.now, |mpc| self.stands(mpc)), action, id)?;
        tpc.cloned().ok_or(Error::UnknownTpc(id))
    }

    fn group(&self, id: MpcId, action: ActionKind) -> Result<Mpc, Error> {
        let mpc = self.mpcs.get(&id);
        let phase = match MpcPhase::of(mpc, self.now) {
            MpcPhase::Due
                if self.mutation == Some(Mutation::AnswerAfterDeadline) && action == ActionKind::UpdateMpc =>
            {
                MpcPhase::Open
            }
            phase => phase,
        };
        mpc_admits(phase, action, id)?;
        mpc.copied().ok_or(Error::UnknownMpc(id))
    }

    fn members(&self, mpc: MpcId, entries: &[Entry], action: ActionKind) -> Result<Vec<Tpc>, Error> {
        rules::check_entries(entries)?;
        let member = |entry: &Entry| {
            let tpc = self.tpcs.get(&entry.tpc);
            tpc_admits(TpcPhase::of(tpc, Some(mpc), self.now, |_| true), action, entry.tpc)?;
            tpc.cloned().ok_or(Error::UnknownTpc(entry.tpc))
        };
        entries.iter().map(member).collect()
    }

    fn enter(
        &mut self,
        mpc: MpcId,
        entries: &[Entry],
        action: ActionKind,
        payload: &[u8; 32],
        by: &[PartySignature],
    ) -> Result<u32, Error> {
        rules::check_entries(entries)?;
        let mut entered = vec![];
        for entry in entries {
            let mut tpc = self.alone(entry.tpc, action)?;
            if self.mutation == Some(Mutation::EnteringKeepsEpoch) {
                tpc.epoch = tpc.epoch.saturating_sub(1);
            }
            entered.push(rules::enter(&tpc, entry, mpc)?);
        }
        rules::check_all(&Symbolic, payload, entered.iter().map(|tpc| &tpc.parties), by)?;
        self.tpcs.extend(entries.iter().map(|entry| entry.tpc).zip(entered));
        Ok(entries.len() as u32)
    }

    fn put_disputed(&mut self, id: TpcId, tpc: Tpc, deadline: Timestamp) {
        self.tpcs.insert(id, Tpc { deadline: Some(deadline), ..tpc });
        self.told.insert(id.0, deadline);
    }

    fn pay_out(&mut self, id: TpcId, tpc: &Tpc) {
        self.tpcs.remove(&id);
        self.told.remove(&id.0);
        self.paid.insert(id, tpc.entry(id));
    }

    fn remove_mpc(&mut self, id: MpcId) {
        self.mpcs.remove(&id);
        self.told.remove(&id.0);
    }
}

fn check_both(payload: &[u8; 32], tpc: &Tpc, by: &[PartySignature]) -> Result<(), Error> {
    let of = |party: AccountId| {
        let signed = by.iter().find(|signed| signed.party == party);
        signed.map_or(Signature([0; 64]), |signed| signed.signature)
    };
    rules::check_both(&Symbolic, payload, &tpc.parties, &tpc.parties.map(of))
}
