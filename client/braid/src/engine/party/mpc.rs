//! Multi-party channels, through the coordinator. It is trusted with nothing but answering.

use super::*;
use planning::{net_positions, pays_exactly};
use protocol::{
    abi::{CloseMpc, CreateMpc},
    rules, Member,
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
        let members = latest.iter().map(|entry| self.party.member(&entry.tpc)).collect();
        let creation = MpcCreation { members, valid_until };
        self.check_creation(now, &creation, &owners, &latest).ok()?;
        let by = self.sign_creation(creation.clone(), owners.clone(), true);
        self.send(Peer::Coordinator, Message::MpcCreate { creation, owners, latest, by });
        Some(())
    }

    pub(super) fn propose_mpc_close(&mut self, mpc: MpcId, valid_until: Timestamp) -> Option<()> {
        let close = MpcClose { mpc, members: self.party.members(mpc), valid_until };
        self.check_closing(valid_until, &close).ok()?;
        let by = self.sign_closing(close.clone(), true);
        self.send(Peer::Coordinator, Message::MpcClose { close, by });
        Some(())
    }

    pub(super) fn mpc_message(&mut self, now: Timestamp, message: Message) {
        match message {
            Message::MpcCreate { creation, owners, latest, by } => {
                let mpc = creation.id(&Native, &self.party.domain);
                let checked = self.check_creation(now, &creation, &owners, &latest).and_then(|()| {
                    let known = owners.iter().any(|owners| owners.parties.contains(&by.party));
                    if !known || !self.verify(Action::CreateMpc(&creation), by.party, &by.signature) {
                        return Err(protocol::Error::BadSignature(by.party).into());
                    }
                    Ok(())
                });
                let answer = match checked {
                    Ok(()) => {
                        let signature = self.sign_creation(creation, owners, false).signature;
                        Message::MpcCreateAgree { mpc, signature }
                    }
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
                let answer = match self.check_update(&payment, &update, &owners) {
                    Ok(()) => {
                        let (update, signature) = self.sign_update(update, owners, Some(payment.mpc));
                        Message::MpcUpdateAgree { update, signature }
                    }
                    Err(reason) => Message::MpcUpdateReject { update: self.update_id(&update), reason },
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
                    Ok(()) => Message::MpcCloseAgree { mpc, signature: self.sign_closing(close, false).signature },
                    Err(reason) => Message::MpcCloseReject { mpc, reason },
                };
                self.send(Peer::Coordinator, answer);
            }
            Message::MpcClosed { mpc, signatures } => self.closed_mpc(mpc, signatures),
            Message::MpcCreateFailed { mpc, reason }
            | Message::MpcUpdateFailed { mpc, reason, .. }
            | Message::MpcCloseFailed { mpc, reason } => {
                // What was signed stays in flight: somebody may still complete it.
                self.tell(Notice::MpcFailed(mpc, reason));
            }
            _ => self.ignore("the message is not one from a coordinator"),
        }
    }

    fn check_creation(
        &self,
        now: Timestamp,
        creation: &MpcCreation,
        owners: &[Owners],
        latest: &[Entry],
    ) -> Result<(), Reason> {
        rules::check_valid(now, creation.valid_until)?;
        rules::check_ascending(creation.members.iter().map(|member| &member.tpc))?;
        check_owners(creation.members.iter().map(|member| member.tpc), owners)?;
        if !latest.iter().map(|entry| entry.tpc).eq(creation.members.iter().map(|member| member.tpc)) {
            return Err(Reason::WrongOwners);
        }
        let mut is_member = false;
        let mut outdated = vec![];
        for ((member, owners), entry) in creation.members.iter().zip(owners).zip(latest) {
            if *member != self.party.member(&member.tpc) {
                let stored = self.party.member(&member.tpc).registrations;
                return Err(protocol::Error::WrongRegistrations { tpc: member.tpc, stored }.into());
            }
            if self.party.owns(owners) {
                is_member = true;
                let channel = self.party.channels.get(&member.tpc).ok_or(protocol::Error::UnknownTpc(member.tpc))?;
                self.party.check_free(channel)?;
                if channel.latest != *entry {
                    outdated.push(channel.latest);
                }
            }
        }
        match (is_member, outdated.is_empty()) {
            (false, _) => Err(Reason::WrongOwners),
            (true, false) => Err(Reason::Outdated(outdated)),
            (true, true) => Ok(()),
        }
    }

    fn sign_creation(&mut self, creation: MpcCreation, owners: Vec<Owners>, initiator: bool) -> PartySignature {
        let mpc = creation.id(&Native, &self.party.domain);
        let signature = self.sign(Action::CreateMpc(&creation));
        for member in &creation.members {
            if let Some(channel) = self.party.channels.get_mut(&member.tpc) {
                channel.agreement = Some(Agreed::MpcCreate(mpc));
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

    /// What a member checks before it consents or signs, whoever planned the update (rule S1).
    fn check_update(&self, payment: &Payment, update: &Update, owners: &[Owners]) -> Result<(), Reason> {
        let account = self.party.account;
        self.party.groups.get(&payment.mpc).filter(|group| group.is_open()).ok_or(Reason::UnknownMpc)?;
        rules::check_ascending(update.entries.iter().map(|entry| &entry.tpc))?;
        check_owners(update.entries.iter().map(|entry| entry.tpc), owners)?;
        let mut changes = vec![];
        for (entry, owners) in update.entries.iter().zip(owners) {
            let tpc = entry.tpc;
            let OnChain { order: (epoch, _), mpc, dispute, .. } = self.party.on_chain(&tpc);
            if mpc != Some(payment.mpc) {
                return Err(protocol::Error::NotMember(tpc).into());
            }
            if dispute.is_some() {
                return Err(Reason::Disputed);
            }
            if entry.epoch != epoch {
                return Err(protocol::Error::WrongEpoch { tpc, stored: epoch }.into());
            }
            if !self.party.owns(owners) {
                continue;
            }
            let channel = self.party.channels.get(&tpc).ok_or(protocol::Error::UnknownTpc(tpc))?;
            tpc::check_total(channel, entry)?;
            let furthest = channel.signed.saturating_add(MAX_VERSION_STEP);
            if entry.version <= channel.signed || entry.version > furthest {
                // Versions that were signed and not completed are used up as well.
                return Err(Reason::Outdated(vec![Entry { version: channel.signed, ..channel.latest }]));
            }
            if channel.agreement.is_some()
                || !self.party.in_flight_on(tpc).all(|(_, earlier)| replaces(update, earlier))
            {
                return Err(Reason::InFlight);
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

    fn updated_mpc(&mut self, id: UpdateId, signatures: Vec<PartySignature>) {
        let Some(flight) = self.party.in_flight.get(&id) else {
            return self.ignore("the update is not one that this party has in flight");
        };
        let owners = flight.owners.iter().map(|owners| &owners.parties);
        if rules::check_all(&Native, &id, owners, &signatures).is_err() {
            return self.ignore("the update is not signed by every owner of the channels that it touches");
        }
        self.complete(id, signatures);
    }

    fn check_closing(&self, now: Timestamp, close: &MpcClose) -> Result<(), Reason> {
        rules::check_valid(now, close.valid_until)?;
        rules::check_ascending(close.members.iter().map(|member| &member.tpc))?;
        self.party.groups.get(&close.mpc).filter(|group| group.is_open()).ok_or(Reason::UnknownMpc)?;
        let members = self.party.members(close.mpc);
        if members != close.members {
            let expected = u32::try_from(members.len()).unwrap_or(u32::MAX);
            return Err(protocol::Error::ChannelsMissing { expected }.into());
        }
        let mut own = self.party.channels.values().filter(|channel| channel.on_chain.mpc == Some(close.mpc));
        own.try_for_each(|channel| self.party.check_decided(channel))
    }

    fn sign_closing(&mut self, close: MpcClose, initiator: bool) -> PartySignature {
        let signature = self.sign(Action::CloseMpc(&close));
        for member in &close.members {
            if let Some(channel) = self.party.channels.get_mut(&member.tpc) {
                channel.agreement = Some(Agreed::MpcClose(close.mpc));
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
}

impl Party {
    /// A channel as a registration names it.
    fn member(&self, tpc: &TpcId) -> Member {
        Member { tpc: *tpc, registrations: self.on_chain(tpc).registrations }
    }

    /// The channels of a group, ascending.
    fn members(&self, mpc: MpcId) -> Vec<Member> {
        let own = self.channels.iter().map(|(tpc, channel)| (tpc, &channel.on_chain));
        let all = own.chain(&self.others).filter(|(_, on_chain)| on_chain.mpc == Some(mpc));
        let mut members: Vec<_> =
            all.map(|(tpc, on_chain)| Member { tpc: *tpc, registrations: on_chain.registrations }).collect();
        members.sort_by_key(|member| member.tpc);
        members
    }
}

/// Refuses channels whose owners are not those that come with them.
fn check_owners(tpcs: impl ExactSizeIterator<Item = TpcId>, owners: &[Owners]) -> Result<(), Reason> {
    let belongs = |(tpc, owners): (TpcId, &Owners)| {
        owners.parties[0] < owners.parties[1]
            && rules::check_window(owners.window).is_ok()
            && tpc == owners.tpc(&Native)
    };
    if tpcs.len() != owners.len() || !tpcs.zip(owners).all(belongs) {
        return Err(Reason::WrongOwners);
    }
    Ok(())
}

/// Whether `update` moves every channel of `earlier` further, so that `earlier` can no longer decide any of them alone.
fn replaces(update: &Update, earlier: &InFlight) -> bool {
    let covers = |old: &Entry| update.entries.iter().any(|new| new.tpc == old.tpc && new.order() > old.order());
    earlier.update.entries.iter().all(covers)
}
