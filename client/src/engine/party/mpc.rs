//! Multi-party channels, through the coordinator. It is trusted with nothing but answering.

use super::*;
use crate::planning::{net_positions, pays_exactly};
use protocol::{
    abi::{CloseMpc, CreateMpc},
    rules,
};

impl Turn<'_> {
    pub(super) fn propose_mpc(
        &mut self,
        now: Timestamp,
        mut channels: Vec<(Owners, Entry)>,
        window: Window,
        valid_until: Timestamp,
    ) -> Option<()> {
        channels.sort_by_key(|(_, entry)| entry.tpc);
        let (owners, latest): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
        let entered = latest.into_iter().map(|entry| entering(&entry));
        let creation = MpcCreation { entries: entered.collect::<Option<_>>()?, window, valid_until };
        self.check_creation(now, &creation, &owners).ok()?;
        let by = self.join(creation.clone(), owners.clone(), true);
        self.send(Peer::Coordinator, Message::MpcCreate { creation, owners, by });
        Some(())
    }

    pub(super) fn checkpoint(&mut self, mpc: MpcId) -> Option<()> {
        let group = self.party.groups.get(&mpc)?;
        let unseen = |entry: &Entry| {
            self.party.channels.get(&entry.tpc).is_some_and(|channel| channel.on_chain.order() < entry.order())
        };
        let complete = group.complete.iter().filter(|complete| complete.update.entries.iter().any(unseen));
        let gone = |tpc: &TpcId| group.gone.contains(tpc);
        let submissions: Vec<_> = complete.map(|complete| complete.message(gone)).collect();
        for submission in submissions {
            self.submit(Submission::UpdateMpc(submission));
        }
        Some(())
    }

    pub(super) fn propose_mpc_close(&mut self, mpc: MpcId, valid_until: Timestamp) -> Option<()> {
        let group = self.party.groups.get(&mpc).filter(|group| group.is_open())?;
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
            Message::MpcPropose { payment, update, owners } => {
                let id = self.update_id(&update);
                let answer = match self.check_update(&payment, &update, &owners) {
                    Ok(()) => Message::MpcConsent { update: id },
                    Err(reason) => Message::MpcUpdateReject { update: id, reason },
                };
                self.send(Peer::Coordinator, answer);
            }
            Message::MpcUpdate { payment, update, owners } => {
                let id = self.update_id(&update);
                let answer = match self.check_update(&payment, &update, &owners) {
                    Ok(()) => Message::MpcUpdateAgree { update: id, signature: self.sign_update(id, update, owners) },
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
        let Some((creation, _)) = group.forming.take() else { return };
        for entry in creation.entries {
            group.entries.insert(entry.tpc, entry);
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                *channel = channel.entered(mpc, entry);
            }
        }
    }

    /// The chain holds newer states: an update that this member signed is complete even if nobody told it.
    pub(super) fn completed_by_chain(&mut self, mpc: MpcId) {
        let Some(group) = self.party.groups.get(&mpc) else { return };
        let shown = |entry: &Entry| {
            self.party.channels.get(&entry.tpc).is_some_and(|channel| channel.on_chain.order() == entry.order())
        };
        let decided = group.signed.iter().filter(|(_, (update, _))| update.entries.iter().any(shown));
        let decided: Vec<_> = decided.map(|(id, _)| *id).collect();
        decided.into_iter().for_each(|id| self.apply(mpc, id, vec![]));
    }

    fn check_creation(&self, now: Timestamp, creation: &MpcCreation, owners: &[Owners]) -> Result<(), Reason> {
        rules::check_valid(now, creation.valid_until)?;
        rules::check_entries(&creation.entries)?;
        let belongs = |(entry, owners): (&Entry, &Owners)| {
            owners.parties[0] < owners.parties[1] && entry.tpc == owners.tpc(&Native)
        };
        if creation.entries.len() != owners.len() || !creation.entries.iter().zip(owners).all(belongs) {
            return Err(Reason::WrongOwners);
        }
        let mut member = false;
        let mut outdated = vec![];
        for (entry, _) in creation.entries.iter().zip(owners).filter(|(_, owners)| self.owns(owners)) {
            member = true;
            let channel = self.party.channels.get(&entry.tpc).ok_or(protocol::Error::UnknownTpc(entry.tpc))?;
            channel.check_free()?;
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
        self.party.groups.insert(mpc, Group { initiator, ..Group::new(Some((creation, owners))) });
        PartySignature { party: self.party.account, signature }
    }

    fn created_mpc(&mut self, mpc: MpcId, signatures: Vec<PartySignature>) {
        // The chain may have told first.
        let Some(group) = self.party.groups.get(&mpc) else { return };
        let Some((creation, owners)) = &group.forming else { return };
        if rules::check_all(&Native, &mpc.0, owners.iter().map(|owners| &owners.parties), &signatures).is_err() {
            return self.ignore("the creation is not signed by every owner");
        }
        if group.initiator {
            let creation = creation.clone();
            self.submit(Submission::CreateMpc(CreateMpc { creation, signatures }));
        }
    }

    /// What a member checks before it consents or signs, whoever planned the update.
    ///
    /// It needs to know nothing of others' channels: their owners are proven by the ids, so that the update can be
    /// completed and brought to the chain, and what happens in them is no loss of its own.
    fn check_update(&self, payment: &Payment, update: &MpcUpdate, owners: &[Owners]) -> Result<(), Reason> {
        let account = self.party.account;
        let group = self.party.groups.get(&update.mpc).filter(|group| group.is_open()).ok_or(Reason::UnknownMpc)?;
        if group.deadline.is_some() {
            return Err(Reason::Disputed);
        }
        if payment.mpc != update.mpc {
            return Err(Reason::WrongPosition);
        }
        rules::check_entries(&update.entries)?;
        let proven = |(entry, owners): (&Entry, &Owners)| entry.tpc == owners.tpc(&Native);
        if update.entries.len() != owners.len() || !update.entries.iter().zip(owners).all(proven) {
            return Err(Reason::WrongOwners);
        }
        let mut changes = vec![];
        for (entry, _) in update.entries.iter().zip(owners).filter(|(_, owners)| self.owns(owners)) {
            let channel = self.party.channels.get(&entry.tpc).ok_or(protocol::Error::UnknownTpc(entry.tpc))?;
            if channel.mpc != Some(update.mpc) {
                return Err(protocol::Error::NotMember(entry.tpc).into());
            }
            if rules::release(&channel.tpc(), entry)?.is_none() {
                return Err(Reason::Outdated(vec![channel.latest]));
            }
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

    fn sign_update(&mut self, id: UpdateId, update: MpcUpdate, owners: Vec<Owners>) -> Signature {
        let signature = self.sign(Action::UpdateMpc(&update));
        for entry in &update.entries {
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                channel.signed = entry.version;
                channel.in_flight = Some(InFlight::MpcUpdate(update.clone()));
            }
        }
        if let Some(group) = self.party.groups.get_mut(&update.mpc) {
            group.signed.insert(id, (update, owners));
        }
        signature
    }

    fn updated_mpc(&mut self, id: UpdateId, signatures: Vec<PartySignature>) {
        let found = self.party.groups.iter().find_map(|(mpc, group)| Some((*mpc, group.signed.get(&id)?)));
        let Some((mpc, (_, owners))) = found else {
            return self.ignore("the update is not one that this party has signed");
        };
        if rules::check_all(&Native, &id, owners.iter().map(|owners| &owners.parties), &signatures).is_err() {
            return self.ignore("the update is not signed by every owner of the channels that it touches");
        }
        self.apply(mpc, id, signatures);
        self.tell(Notice::MpcUpdated(mpc));
    }

    fn apply(&mut self, mpc: MpcId, id: UpdateId, signatures: Vec<PartySignature>) {
        let Some(group) = self.party.groups.get_mut(&mpc) else { return };
        let Some((update, owners)) = group.signed.remove(&id) else { return };
        for entry in &update.entries {
            let known = group.entries.entry(entry.tpc).or_insert(*entry);
            if known.order() < entry.order() {
                *known = *entry;
            }
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                if channel.latest.order() < entry.order() {
                    channel.latest = *entry;
                }
                channel.in_flight.take_if(|flight| matches!(flight, InFlight::MpcUpdate(own) if *own == update));
            }
        }
        group.complete.push(MpcEvidence { update, signatures, owners });
        let Group { complete, entries, signed, .. } = group;
        complete.retain(|MpcEvidence { update, signatures, .. }| {
            !signatures.is_empty() && update.entries.iter().any(|entry| entries.get(&entry.tpc) == Some(entry))
        });
        // An update that a complete one has overtaken in every channel can decide nothing any more.
        signed.retain(|_, (update, _)| {
            update.entries.iter().any(|entry| entries.get(&entry.tpc).is_some_and(|at| at.order() < entry.order()))
        });
    }

    fn check_closing(&self, now: Timestamp, close: &MpcClose) -> Result<(), Reason> {
        rules::check_valid(now, close.valid_until)?;
        rules::check_entries(&close.entries)?;
        self.party.groups.get(&close.mpc).filter(|group| group.is_open()).ok_or(Reason::UnknownMpc)?;
        let own = self.party.channels.iter().filter(|(_, channel)| channel.mpc == Some(close.mpc));
        let mut outdated = vec![];
        for (tpc, channel) in own {
            if channel.in_flight.is_some() {
                return Err(Reason::InFlight);
            }
            match close.entries.binary_search_by_key(tpc, |entry| entry.tpc) {
                Ok(index) if close.entries.get(index) == Some(&channel.latest) => {}
                _ => outdated.push(channel.latest),
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
        let Some(group) = self.party.groups.get(&mpc).filter(|group| group.initiator) else { return };
        // The chain may have told first. Whether everybody has signed is the contract's to say, before anything is paid.
        let Some(close) = group.closing.clone() else { return };
        self.submit(Submission::CloseMpc(CloseMpc { close, signatures }));
    }

    /// Takes over newer states of others' channels, to start the next request from. They bind nobody but their owners.
    fn learn(&mut self, mpc: MpcId, reason: &Reason) {
        let (Reason::Outdated(newer), Some(group)) = (reason, self.party.groups.get_mut(&mpc)) else { return };
        for entry in newer.iter().filter(|entry| !self.party.channels.contains_key(&entry.tpc)) {
            group.entries.insert(entry.tpc, *entry);
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
    earlier.entries.iter().all(|old| update.entries.iter().any(|new| new.tpc == old.tpc && new.order() > old.order()))
}
