//! Multi-party channels, through the coordinator. It is trusted with nothing but answering.

use super::*;
use crate::planning::{net_positions, pays_exactly};
use protocol::{
    abi::{CloseMpc, CreateMpc, UpdateMpc},
    rules,
};

impl Turn<'_> {
    pub(super) fn propose_mpc(
        &mut self,
        now: Timestamp,
        mut channels: Vec<(Owners, Entry)>,
        valid_until: Timestamp,
    ) -> Option<()> {
        channels.sort_by_key(|(_, entry)| entry.tpc);
        let (owners, latest): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
        let entered = latest.into_iter().map(|entry| entering(&entry));
        let creation = MpcCreation { entries: entered.collect::<Option<_>>()?, valid_until };
        self.check_creation(now, &creation, &owners).ok()?;
        let by = self.join(creation.clone(), owners.clone(), true);
        self.send(Peer::Coordinator, Message::MpcCreate { creation, owners, by });
        Some(())
    }

    pub(super) fn checkpoint(&mut self, mpc: MpcId) -> Option<()> {
        let group = self.party.groups.get(&mpc)?;
        let unseen = group.complete.iter().filter(|(update, _)| {
            update.entries.iter().any(|entry| group.on_chain.get(&entry.tpc).is_none_or(|seen| *seen < entry.order()))
        });
        let submissions: Vec<_> = unseen.cloned().collect();
        for (update, signatures) in submissions {
            self.submit(Submission::UpdateMpc(UpdateMpc { update, signatures }));
        }
        Some(())
    }

    pub(super) fn propose_mpc_close(&mut self, mpc: MpcId, valid_until: Timestamp) -> Option<()> {
        let group = self.party.groups.get(&mpc).filter(|group| group.open)?;
        let close = MpcClose { mpc, entries: group.entries.values().copied().collect(), valid_until };
        self.check_closing(valid_until, &close).ok()?;
        let by = self.leave(close.clone(), true);
        self.send(Peer::Coordinator, Message::MpcClose { close, by });
        Some(())
    }

    pub(super) fn mpc_message(&mut self, now: Timestamp, message: Message) {
        match message {
            Message::MpcCreate { creation, owners, by } => {
                let mpc = creation.id(&Native, &self.party.domain);
                let checked = self.check_creation(now, &creation, &owners).and_then(|()| {
                    let known = owners.iter().any(|owners| owners.parties.contains(&by.party));
                    if !known || !self.verify(Action::CreateMpc(&creation), by.party, &by.signature) {
                        return Err(protocol::Error::BadSignature(by.party).into());
                    }
                    Ok(())
                });
                let answer = match checked {
                    Ok(()) => Message::MpcCreateAgree { mpc, signature: self.join(creation, owners, false).signature },
                    Err(reason) => Message::MpcCreateReject { mpc, reason },
                };
                self.send(Peer::Coordinator, answer);
            }
            Message::MpcCreated { mpc, signatures } => self.created_mpc(mpc, signatures),
            Message::MpcPropose { payment, update } => {
                let id = self.update_id(&update);
                let answer = match self.check_update(&payment, &update) {
                    Ok(()) => Message::MpcConsent { update: id },
                    Err(reason) => Message::MpcUpdateReject { update: id, reason },
                };
                self.send(Peer::Coordinator, answer);
            }
            Message::MpcUpdate { payment, update } => {
                let id = self.update_id(&update);
                let answer = match self.check_update(&payment, &update) {
                    Ok(()) => Message::MpcUpdateAgree { update: id, signature: self.sign_update(id, update) },
                    Err(reason) => Message::MpcUpdateReject { update: id, reason },
                };
                self.send(Peer::Coordinator, answer);
            }
            Message::MpcUpdated { update, signatures } => self.updated_mpc(update, signatures),
            Message::MpcClose { close, by } => {
                let mpc = close.mpc;
                let checked = self.check_closing(now, &close).and_then(|()| {
                    if !self.verify(Action::CloseMpc(&close), by.party, &by.signature) {
                        return Err(protocol::Error::BadSignature(by.party).into());
                    }
                    Ok(())
                });
                let answer = match checked {
                    Ok(()) => Message::MpcCloseAgree { mpc, signature: self.leave(close, false).signature },
                    Err(reason) => Message::MpcCloseReject { mpc, reason },
                };
                self.send(Peer::Coordinator, answer);
            }
            Message::MpcClosed { mpc, signatures } => self.closed_mpc(mpc, signatures),
            Message::MpcCloseFailed { mpc, reason } => {
                self.learn(mpc, &reason);
                self.tell(Notice::MpcFailed(mpc, reason));
            }
            Message::MpcCreateFailed { mpc, reason } | Message::MpcUpdateFailed { mpc, reason, .. } => {
                // What was signed stays in flight: somebody may still complete it.
                self.tell(Notice::MpcFailed(mpc, reason));
            }
            _ => self.ignore("the message is not one from a coordinator"),
        }
    }

    /// The chain has the group: its channels are busy, at the states that they entered with.
    pub(super) fn mpc_opened(&mut self, mpc: MpcId) {
        let Some(group) = self.party.groups.get_mut(&mpc) else { return };
        group.open = true;
        for entry in &group.creation.entries {
            group.on_chain.insert(entry.tpc, entry.order());
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                *channel = Channel { mpc: Some(mpc), ..Channel::new(channel.parties, *entry) };
            }
        }
    }

    /// The chain holds newer states: an update that this member signed is complete even if nobody told it.
    pub(super) fn completed_by_chain(&mut self, mpc: MpcId) {
        let Some(group) = self.party.groups.get(&mpc) else { return };
        let decided = group.signed.iter().find(|(_, update)| {
            update.entries.iter().all(|entry| group.on_chain.get(&entry.tpc) == Some(&entry.order()))
        });
        if let Some((id, _)) = decided {
            let id = *id;
            self.apply(mpc, id, vec![]);
        }
    }

    /// The chain has released the group's channels at the states that all their owners signed.
    pub(super) fn mpc_gone(&mut self, mpc: MpcId) {
        self.party.groups.remove(&mpc);
        for channel in self.party.channels.values_mut().filter(|channel| channel.mpc == Some(mpc)) {
            (channel.mpc, channel.proof, channel.in_flight) = (None, None, None);
        }
    }

    fn check_creation(&self, now: Timestamp, creation: &MpcCreation, owners: &[Owners]) -> Result<(), Reason> {
        rules::check_valid(now, creation.valid_until)?;
        rules::check_entries(&creation.entries)?;
        let belongs = |(entry, owners): (&Entry, &Owners)| {
            owners.parties[0] < owners.parties[1] && entry.tpc == TpcId::of(&Native, &owners.parties, owners.nonce)
        };
        if creation.entries.len() != owners.len() || !creation.entries.iter().zip(owners).all(belongs) {
            return Err(Reason::WrongOwners);
        }
        let mut member = false;
        let mut outdated = vec![];
        for (entry, _) in creation.entries.iter().zip(owners).filter(|(_, owners)| self.owns(owners)) {
            member = true;
            let channel = self.party.channels.get(&entry.tpc).ok_or(protocol::Error::UnknownTpc(entry.tpc))?;
            if channel.mpc.is_some() {
                return Err(protocol::Error::TpcBusy(entry.tpc).into());
            }
            if channel.in_flight.is_some() {
                return Err(Reason::InFlight);
            }
            if entering(&channel.latest) != Some(*entry) {
                outdated.push(channel.latest);
            }
        }
        match (member, outdated.is_empty()) {
            (false, _) => Err(Reason::WrongOwners),
            (true, false) => Err(Reason::Outdated(outdated)),
            (true, true) => Ok(()),
        }
    }

    fn join(&mut self, creation: MpcCreation, owners: Vec<Owners>, initiator: bool) -> PartySignature {
        let mpc = creation.id(&Native, &self.party.domain);
        let signature = self.sign(Action::CreateMpc(&creation));
        for entry in &creation.entries {
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                channel.in_flight = Some(InFlight::MpcCreate(mpc));
            }
        }
        let group = Group {
            entries: creation.entries.iter().map(|entry| (entry.tpc, *entry)).collect(),
            creation,
            owners,
            initiator,
            open: false,
            signed: BTreeMap::new(),
            complete: vec![],
            on_chain: BTreeMap::new(),
            closing: None,
        };
        self.party.groups.insert(mpc, group);
        PartySignature { party: self.party.account, signature }
    }

    fn created_mpc(&mut self, mpc: MpcId, signatures: Vec<PartySignature>) {
        // The chain may have told first.
        let Some(group) = self.party.groups.get(&mpc).filter(|group| !group.open) else { return };
        let owners = group.owners.iter().map(|owners| &owners.parties);
        if rules::check_all(&Native, &mpc.0, owners, &signatures).is_err() {
            return self.ignore("the creation is not signed by every owner");
        }
        if group.initiator {
            let creation = group.creation.clone();
            self.submit(Submission::CreateMpc(CreateMpc { creation, signatures }));
        }
    }

    /// What a member checks before it consents or signs, whoever planned the update.
    fn check_update(&self, payment: &Payment, update: &MpcUpdate) -> Result<(), Reason> {
        let account = self.party.account;
        let group = self.party.groups.get(&update.mpc).filter(|group| group.open).ok_or(Reason::UnknownMpc)?;
        if payment.mpc != update.mpc {
            return Err(Reason::WrongPosition);
        }
        rules::check_entries(&update.entries)?;
        let mut changes = vec![];
        for entry in &update.entries {
            if !group.entries.contains_key(&entry.tpc) {
                return Err(protocol::Error::NotMember(entry.tpc).into());
            }
            let Some(channel) = self.party.channels.get(&entry.tpc) else { continue };
            rules::advance(&channel.tpc(), entry)?;
            let furthest = channel.signed.saturating_add(MAX_VERSION_STEP);
            if entry.version <= channel.signed || entry.version > furthest {
                return Err(Reason::Outdated(vec![channel.latest]));
            }
            match &channel.in_flight {
                None => {}
                Some(InFlight::MpcUpdate(earlier)) if replaces(update, earlier) => {}
                Some(_) => return Err(Reason::InFlight),
            }
            let after = Channel { latest: *entry, ..channel.clone() };
            changes.push((channel.own(account), after.own(account)));
        }
        if changes.is_empty() || !pays_exactly(account, &payment.transfers, changes) {
            return Err(Reason::WrongPosition);
        }
        let positions = net_positions(&payment.transfers).map_err(Reason::NoPlan)?;
        let position = positions.get(&account).copied().unwrap_or_default();
        check_spend(self.party.spend, position.min(0).unsigned_abs(), 0)
    }

    fn sign_update(&mut self, id: UpdateId, update: MpcUpdate) -> Signature {
        let signature = self.sign(Action::UpdateMpc(&update));
        for entry in &update.entries {
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                channel.signed = entry.version;
                channel.in_flight = Some(InFlight::MpcUpdate(update.clone()));
            }
        }
        if let Some(group) = self.party.groups.get_mut(&update.mpc) {
            group.signed.insert(id, update);
        }
        signature
    }

    fn updated_mpc(&mut self, id: UpdateId, signatures: Vec<PartySignature>) {
        let found = self.party.groups.iter().find_map(|(mpc, group)| Some((*mpc, group, group.signed.get(&id)?)));
        let Some((mpc, group, update)) = found else {
            return self.ignore("the update is not one that this party has signed");
        };
        let touched = |owners: &&Owners| {
            let tpc = TpcId::of(&Native, &owners.parties, owners.nonce);
            update.entries.iter().any(|entry| entry.tpc == tpc)
        };
        let owners = group.owners.iter().filter(touched).map(|owners| &owners.parties);
        if rules::check_all(&Native, &id, owners, &signatures).is_err() {
            return self.ignore("the update is not signed by every owner of the channels that it touches");
        }
        self.apply(mpc, id, signatures);
        self.tell(Notice::MpcUpdated(mpc));
    }

    fn apply(&mut self, mpc: MpcId, id: UpdateId, signatures: Vec<PartySignature>) {
        let Some(group) = self.party.groups.get_mut(&mpc) else { return };
        let Some(update) = group.signed.remove(&id) else { return };
        for entry in &update.entries {
            group.entries.entry(entry.tpc).and_modify(|known| {
                if known.order() < entry.order() {
                    *known = *entry;
                }
            });
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                if channel.latest.order() < entry.order() {
                    channel.latest = *entry;
                }
                channel.in_flight.take_if(|flight| matches!(flight, InFlight::MpcUpdate(own) if *own == update));
            }
        }
        group.complete.push((update, signatures));
        let Group { complete, entries, signed, .. } = group;
        complete.retain(|(update, signatures)| {
            !signatures.is_empty() && update.entries.iter().any(|entry| entries.get(&entry.tpc) == Some(entry))
        });
        // An update that a complete one has overtaken in every channel can decide nothing any more.
        signed.retain(|_, update| {
            update.entries.iter().any(|entry| entries.get(&entry.tpc).is_some_and(|at| at.order() < entry.order()))
        });
    }

    fn check_closing(&self, now: Timestamp, close: &MpcClose) -> Result<(), Reason> {
        rules::check_valid(now, close.valid_until)?;
        rules::check_entries(&close.entries)?;
        let group = self.party.groups.get(&close.mpc).filter(|group| group.open).ok_or(Reason::UnknownMpc)?;
        if !close.entries.iter().map(|entry| &entry.tpc).eq(group.entries.keys()) {
            return Err(protocol::Error::ChannelsMissing { expected: group.entries.len() as u32 }.into());
        }
        let own = close.entries.iter().filter_map(|entry| Some((entry, self.party.channels.get(&entry.tpc)?)));
        let mut outdated = vec![];
        for (entry, channel) in own {
            if channel.in_flight.is_some() {
                return Err(Reason::InFlight);
            }
            if channel.latest != *entry {
                outdated.push(channel.latest);
            }
        }
        if outdated.is_empty() {
            Ok(())
        } else {
            Err(Reason::Outdated(outdated))
        }
    }

    fn leave(&mut self, close: MpcClose, initiator: bool) -> PartySignature {
        let signature = self.sign(Action::CloseMpc(&close));
        for entry in &close.entries {
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                channel.in_flight = Some(InFlight::MpcClose(close.mpc));
            }
        }
        if let Some(group) = self.party.groups.get_mut(&close.mpc) {
            group.closing = Some(close);
            group.initiator = initiator;
        }
        PartySignature { party: self.party.account, signature }
    }

    fn closed_mpc(&mut self, mpc: MpcId, signatures: Vec<PartySignature>) {
        let closing = self.party.groups.get(&mpc).and_then(|group| Some((group, group.closing.clone()?)));
        // The chain may have told first.
        let Some((group, close)) = closing else { return };
        let payload = Action::CloseMpc(&close).payload(&Native, &self.party.domain);
        let owners = group.owners.iter().map(|owners| &owners.parties);
        if rules::check_all(&Native, &payload, owners, &signatures).is_err() {
            return self.ignore("the closing is not signed by every owner");
        }
        if group.initiator {
            self.submit(Submission::CloseMpc(CloseMpc { close, signatures }));
        }
    }

    /// Takes over newer states of others' channels, to start the next request from. They bind nobody but their owners.
    fn learn(&mut self, mpc: MpcId, reason: &Reason) {
        let (Reason::Outdated(newer), Some(group)) = (reason, self.party.groups.get_mut(&mpc)) else { return };
        for entry in newer.iter().filter(|entry| !self.party.channels.contains_key(&entry.tpc)) {
            group.entries.entry(entry.tpc).and_modify(|known| *known = *entry);
        }
    }

    fn owns(&self, owners: &Owners) -> bool {
        owners.parties.contains(&self.party.account)
    }

    fn update_id(&self, update: &MpcUpdate) -> UpdateId {
        Action::UpdateMpc(update).payload(&Native, &self.party.domain)
    }
}

/// The state in which a channel enters a group: the first of its next epoch, with the same balances.
pub(super) fn entering(latest: &Entry) -> Option<Entry> {
    Some(Entry { epoch: latest.epoch.checked_add(1)?, version: 0, ..*latest })
}

/// Whether `update` moves every channel of `earlier` further, so that `earlier` can no longer decide any of them alone.
fn replaces(update: &MpcUpdate, earlier: &MpcUpdate) -> bool {
    earlier.entries.iter().all(|old| update.entries.iter().any(|new| new.tpc == old.tpc && new.version > old.version))
}
