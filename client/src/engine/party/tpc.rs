//! Two-party channels: two messages and two signatures for each stage.

use super::*;
use protocol::{
    abi::{CloseTpc, CreateTpc},
    rules,
};

impl Turn<'_> {
    pub(super) fn open_tpc(
        &mut self,
        peer: AccountId,
        nonce: Nonce,
        [own, theirs]: [Balance; 2],
        window: Window,
        valid_until: Timestamp,
    ) -> Option<()> {
        let index = usize::from(self.party.account > peer);
        let parties = in_order(index, self.party.account, peer);
        let creation = TpcCreation { parties, nonce, balances: in_order(index, own, theirs), window, valid_until };
        rules::create_tpc(&creation, nonce).ok()?;
        let id = creation.id(&Native);
        // The peer may still bring another one, of which this party would then not know what is in it.
        if self.party.opening.get(&id).is_some_and(|(signed, _)| *signed != creation) {
            return None;
        }
        let signature = self.sign(Action::CreateTpc(&creation));
        self.party.opening.insert(id, (creation, signature));
        self.send(Peer::Party(peer), Message::TpcCreate { creation, signature });
        Some(())
    }

    pub(super) fn pay_tpc(&mut self, id: TpcId, amount: Balance) -> Option<()> {
        let account = self.party.account;
        let channel = self.party.channels.get(&id)?;
        let index = self.index(&channel.owners.parties)?;
        channel.check_free().ok()?;
        let [own, other] = in_order(index, channel.latest.balances[0], channel.latest.balances[1]);
        let shifted = in_order(index, own.checked_sub(amount)?, other.checked_add(amount)?);
        let entry = Entry { version: channel.next_version(index)?, balances: shifted, ..channel.latest };
        let peer = channel.peer(account);
        let signature = self.sign(Action::UpdateTpc(&entry));
        let channel = self.party.channels.get_mut(&id)?;
        channel.signed = entry.version;
        channel.in_flight = Some(InFlight::TpcUpdate(entry, signature));
        self.send(Peer::Party(peer), Message::TpcUpdate { entry, signature });
        Some(())
    }

    pub(super) fn propose_close(&mut self, id: TpcId, valid_until: Timestamp) -> Option<()> {
        let account = self.party.account;
        let channel = self.party.channels.get(&id)?;
        check_closable(channel).ok()?;
        let version = channel.next_version(self.index(&channel.owners.parties)?)?;
        let close = TpcClose { last: Entry { version, ..channel.latest }, valid_until };
        let peer = channel.peer(account);
        let signature = self.sign(Action::CloseTpc(&close));
        let channel = self.party.channels.get_mut(&id)?;
        channel.signed = version;
        channel.in_flight = Some(InFlight::TpcClose(close, signature));
        self.send(Peer::Party(peer), Message::TpcClose { close, signature });
        Some(())
    }

    pub(super) fn tpc_message(&mut self, now: Timestamp, peer: AccountId, message: Message) {
        match message {
            Message::TpcCreate { creation, signature } => {
                let tpc = creation.id(&Native);
                let answer = match self.agree_to_create(now, peer, &creation, &signature) {
                    Ok(signature) => Message::TpcCreateAgree { tpc, signature },
                    Err(reason) => Message::TpcCreateReject { tpc, reason },
                };
                self.send(Peer::Party(peer), answer);
            }
            Message::TpcCreateAgree { tpc, signature } => self.created(peer, tpc, signature),
            Message::TpcUpdate { entry, signature } => {
                let Entry { tpc, version, .. } = entry;
                let answer = match self.agree_to_update(peer, entry, signature) {
                    Ok(signature) => Message::TpcUpdateAgree { tpc, version, signature },
                    Err(reason) => Message::TpcUpdateReject { tpc, version, reason },
                };
                self.send(Peer::Party(peer), answer);
            }
            Message::TpcUpdateAgree { tpc, version, signature } => self.updated(peer, tpc, version, signature),
            Message::TpcClose { close, signature } => {
                let tpc = close.last.tpc;
                let answer = match self.agree_to_close(now, peer, close, signature) {
                    Ok(signature) => Message::TpcCloseAgree { tpc, signature },
                    Err(reason) => Message::TpcCloseReject { tpc, reason },
                };
                self.send(Peer::Party(peer), answer);
            }
            Message::TpcCloseAgree { tpc, signature } => self.closed(peer, tpc, signature),
            Message::TpcCreateReject { tpc, reason } | Message::TpcCloseReject { tpc, reason } => {
                // The peer may still bring what this party signed to the chain, so it stays in flight until it is void.
                self.tell(Notice::TpcRejected(tpc, reason));
            }
            Message::TpcUpdateReject { tpc, version, reason } => {
                // A later update, signed by the same two owners, replaces this one whatever the peer does with it.
                if let Some(channel) = self.party.channels.get_mut(&tpc) {
                    channel
                        .in_flight
                        .take_if(|flight| matches!(flight, InFlight::TpcUpdate(entry, _) if entry.version == version));
                }
                self.tell(Notice::TpcRejected(tpc, reason));
            }
            message => self.agreement_message(now, peer, message),
        }
    }

    fn agree_to_create(
        &mut self,
        now: Timestamp,
        peer: AccountId,
        creation: &TpcCreation,
        signature: &Signature,
    ) -> Result<Signature, Reason> {
        rules::check_valid(now, creation.valid_until)?;
        rules::create_tpc(creation, creation.nonce)?;
        let index = self.index(&creation.parties).ok_or(Reason::WrongOwners)?;
        if !creation.parties.contains(&peer) || peer == self.party.account {
            return Err(Reason::WrongOwners);
        }
        if !self.verify(Action::CreateTpc(creation), peer, signature) {
            return Err(protocol::Error::BadSignature(peer).into());
        }
        let [own, _] = in_order(index, creation.balances[0], creation.balances[1]);
        check_spend(self.party.spend, own, 0)?;
        if self.party.opening.contains_key(&creation.id(&Native)) {
            return Err(Reason::InFlight);
        }
        let own = self.sign(Action::CreateTpc(creation));
        self.party.opening.insert(creation.id(&Native), (*creation, own));
        Ok(own)
    }

    fn created(&mut self, peer: AccountId, tpc: TpcId, signature: Signature) {
        let Some((creation, own)) = self.party.opening.get(&tpc).copied() else {
            return self.ignore("no channel with this id is being created");
        };
        let Some(index) = self.index(&creation.parties) else { return };
        if !creation.parties.contains(&peer) || !self.verify(Action::CreateTpc(&creation), peer, &signature) {
            return self.ignore("the agreement to create is not signed by the peer");
        }
        self.submit(Submission::CreateTpc(CreateTpc { creation, signatures: in_order(index, own, signature) }));
    }

    fn agree_to_update(&mut self, peer: AccountId, entry: Entry, signature: Signature) -> Result<Signature, Reason> {
        let account = self.party.account;
        let channel = self.party.channels.get(&entry.tpc).ok_or(protocol::Error::UnknownTpc(entry.tpc))?;
        let index = self.index(&channel.owners.parties).ok_or(Reason::WrongOwners)?;
        if channel.peer(account) != peer {
            return Err(Reason::WrongOwners);
        }
        channel.check_alone()?;
        channel.check_undisputed()?;
        let superseded = match &channel.in_flight {
            None => false,
            Some(InFlight::TpcUpdate(own, _)) if own.version < entry.version => true,
            Some(InFlight::TpcUpdate(..)) => return Err(Reason::Superseded),
            Some(_) => return Err(Reason::InFlight),
        };
        rules::advance(&channel.tpc(), &entry)?;
        check_turn(channel, index, &entry)?;
        let after = Channel { latest: entry, ..channel.clone() }.own(account);
        check_spend(0, channel.own(account), after)?;
        if !self.verify(Action::UpdateTpc(&entry), peer, &signature) {
            return Err(protocol::Error::BadSignature(peer).into());
        }
        let own = self.sign(Action::UpdateTpc(&entry));
        self.complete_tpc(entry, in_order(index, own, signature));
        if superseded {
            self.tell(Notice::TpcRejected(entry.tpc, Reason::Superseded));
        }
        Ok(own)
    }

    fn updated(&mut self, peer: AccountId, tpc: TpcId, version: Version, signature: Signature) {
        let update = |flight: &InFlight| match flight {
            InFlight::TpcUpdate(entry, own) => Some((*entry, *own)),
            _ => None,
        };
        match self.in_flight(tpc, update) {
            Some(((entry, own), index, other))
                if other == peer
                    && entry.version == version
                    && self.verify(Action::UpdateTpc(&entry), peer, &signature) =>
            {
                self.complete_tpc(entry, in_order(index, own, signature));
            }
            _ => self.ignore("the agreement fits no update of this party"),
        }
    }

    fn complete_tpc(&mut self, entry: Entry, signatures: [Signature; 2]) {
        if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
            channel.latest = entry;
            channel.signed = channel.signed.max(entry.version);
            channel.proof = Some(signatures);
            channel.in_flight = None;
        }
        self.tell(Notice::TpcUpdated(entry.tpc));
    }

    fn agree_to_close(
        &mut self,
        now: Timestamp,
        peer: AccountId,
        close: TpcClose,
        signature: Signature,
    ) -> Result<Signature, Reason> {
        let id = close.last.tpc;
        rules::check_valid(now, close.valid_until)?;
        let channel = self.party.channels.get(&id).ok_or(protocol::Error::UnknownTpc(id))?;
        if channel.peer(self.party.account) != peer {
            return Err(Reason::WrongOwners);
        }
        check_closable(channel)?;
        rules::advance(&channel.tpc(), &close.last)?;
        check_turn(channel, self.index(&channel.owners.parties).ok_or(Reason::WrongOwners)?, &close.last)?;
        if close.last.balances != channel.latest.balances {
            return Err(Reason::Outdated(vec![channel.latest]));
        }
        if !self.verify(Action::CloseTpc(&close), peer, &signature) {
            return Err(protocol::Error::BadSignature(peer).into());
        }
        let own = self.sign(Action::CloseTpc(&close));
        if let Some(channel) = self.party.channels.get_mut(&id) {
            channel.signed = channel.signed.max(close.last.version);
            channel.in_flight = Some(InFlight::TpcClose(close, own));
        }
        Ok(own)
    }

    fn closed(&mut self, peer: AccountId, tpc: TpcId, signature: Signature) {
        let closing = |flight: &InFlight| match flight {
            InFlight::TpcClose(close, own) => Some((*close, *own)),
            _ => None,
        };
        match self.in_flight(tpc, closing) {
            Some(((close, own), index, other))
                if other == peer && self.verify(Action::CloseTpc(&close), peer, &signature) =>
            {
                let signatures = in_order(index, own, signature);
                self.submit_whole(tpc, Submission::CloseTpc(CloseTpc { close, signatures }));
            }
            _ => self.ignore("the agreement fits no closing of this party"),
        }
    }
}

/// Refuses to close a channel that is busy, waits for another agreement, or is not whole. In a dispute it may close.
fn check_closable(channel: &Channel) -> Result<(), Reason> {
    channel.check_alone()?;
    channel.check_decided()?;
    channel.check_undivided()
}

/// Refuses a state that is not the turn of the peer of the owner at `index`, or that uses up too many versions or an
/// epoch.
fn check_turn(channel: &Channel, index: usize, entry: &Entry) -> Result<(), Reason> {
    let Entry { epoch, version, .. } = channel.latest;
    let furthest = channel.signed.max(version).saturating_add(MAX_VERSION_STEP);
    if entry.epoch != epoch || is_turn(index, entry.version) || entry.version > furthest {
        return Err(Reason::Outdated(vec![channel.latest]));
    }
    Ok(())
}
