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
        value: Balance,
        window: Window,
        valid_until: Timestamp,
    ) -> Option<()> {
        let index = usize::from(self.party.account > peer);
        let parties = in_order(index, self.party.account, peer);
        let (asset, balances) = (Asset::Native, in_order(index, own, theirs));
        let creation = TpcCreation { parties, nonce, asset, balances, window, valid_until };
        rules::create_tpc(&creation, nonce).ok()?;
        let id = creation.id(&Native);
        // The peer may still bring another one, of which this party would then not know what is in it.
        if self.party.opening.get(&id).is_some_and(|opening| opening.creation != creation) {
            return None;
        }
        let signature = self.sign(Action::CreateTpc(&creation));
        self.party.opening.insert(id, Opening { creation, own: signature, value });
        self.send(Peer::Party(peer), Message::TpcCreate { creation, signature });
        Some(())
    }

    pub(super) fn pay_tpc(&mut self, id: TpcId, amount: Balance) -> Option<()> {
        let channel = self.party.channels.get(&id)?;
        let index = self.index(&channel.owners.parties)?;
        self.party.check_free(channel).ok()?;
        let [own, other] = in_order(index, channel.latest.balances[0], channel.latest.balances[1]);
        let shifted = in_order(index, own.checked_sub(amount)?, other.checked_add(amount)?);
        let entry = Entry { balances: shifted, ..channel.next(index)? };
        let (owners, peer) = (channel.owners, channel.peer(self.party.account));
        let (_, signature) = self.sign_update(Update { entries: vec![entry] }, vec![owners], None);
        self.send(Peer::Party(peer), Message::TpcUpdate { entry, signature });
        Some(())
    }

    pub(super) fn propose_close(&mut self, id: TpcId, valid_until: Timestamp) -> Option<()> {
        let channel = self.party.channels.get(&id)?;
        self.check_closable(channel).ok()?;
        let last = channel.next(self.index(&channel.owners.parties)?)?;
        let close = TpcClose { last, valid_until };
        let peer = channel.peer(self.party.account);
        let signature = self.sign_close(close);
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
                // Nothing else is bound to it: whatever the peer does with it, the next state of the channel replaces it.
                if let Some((id, _)) = self.lone_update(tpc, version).filter(|(_, flight)| flight.is_with(peer)) {
                    self.party.in_flight.remove(&id);
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
        // What it lets go without being asked is said in planck.
        if creation.asset != Asset::Native {
            return Err(Reason::Declined);
        }
        let [own, _] = in_order(index, creation.balances[0], creation.balances[1]);
        check_spend(self.party.spend, own, 0)?;
        if self.party.opening.contains_key(&creation.id(&Native)) {
            return Err(Reason::InFlight);
        }
        let own = self.sign(Action::CreateTpc(creation));
        self.party.opening.insert(creation.id(&Native), Opening { creation: *creation, own, value: 0 });
        Ok(own)
    }

    fn created(&mut self, peer: AccountId, tpc: TpcId, signature: Signature) {
        let Some(Opening { creation, own, value }) = self.party.opening.get(&tpc).cloned() else {
            return self.ignore("no channel with this id is being created");
        };
        let Some(index) = self.index(&creation.parties) else { return };
        if !creation.parties.contains(&peer) || !self.verify(Action::CreateTpc(&creation), peer, &signature) {
            return self.ignore("the agreement to create is not signed by the peer");
        }
        let signatures = in_order(index, own, signature);
        let submission = Submission::CreateTpc(CreateTpc { creation, signatures });
        self.effects.push(Effect::Submit { submission, value });
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
        if channel.agreement.is_some() {
            return Err(Reason::InFlight);
        }
        let mut superseded = false;
        for (_, flight) in self.party.in_flight_on(entry.tpc) {
            match flight.update.entries[..] {
                [own] if own.version < entry.version => superseded = true,
                [_] => return Err(Reason::Superseded),
                _ => return Err(Reason::InFlight),
            }
        }
        channel.check_turn(index, &entry)?;
        check_total(channel, &entry)?;
        let after = Channel { latest: entry, ..channel.clone() }.own(account);
        check_spend(0, channel.own(account), after)?;
        let owners = channel.owners;
        let update = Update { entries: vec![entry] };
        if !self.verify(Action::Update(&update), peer, &signature) {
            return Err(protocol::Error::BadSignature(peer).into());
        }
        let (id, own) = self.sign_update(update, vec![owners], None);
        self.complete(id, listed(owners.parties, in_order(index, own, signature)));
        if superseded {
            self.tell(Notice::TpcRejected(entry.tpc, Reason::Superseded));
        }
        Ok(own)
    }

    fn updated(&mut self, peer: AccountId, tpc: TpcId, version: Version, signature: Signature) {
        let complete = self.lone_update(tpc, version).and_then(|(id, flight)| {
            let owners = flight.owners.first().filter(|_| flight.is_with(peer))?;
            let index = self.index(&owners.parties)?;
            let signed = self.verify(Action::Update(&flight.update), peer, &signature);
            signed.then(|| (id, listed(owners.parties, in_order(index, flight.own, signature))))
        });
        match complete {
            Some((id, signatures)) => self.complete(id, signatures),
            None => self.ignore("the agreement fits no update of this party"),
        }
    }

    /// The update of one channel, outside of groups, to this version that is in flight.
    fn lone_update(&self, tpc: TpcId, version: Version) -> Option<(UpdateId, InFlight)> {
        let is_it = |flight: &InFlight| {
            flight.mpc.is_none() && flight.update.entries.iter().all(|entry| entry.version == version)
        };
        self.party.in_flight_on(tpc).find(|(_, flight)| is_it(flight)).map(|(id, flight)| (*id, flight.clone()))
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
        self.check_closable(channel)?;
        let index = self.index(&channel.owners.parties).ok_or(Reason::WrongOwners)?;
        channel.check_last(index, &close.last)?;
        if !self.verify(Action::CloseTpc(&close), peer, &signature) {
            return Err(protocol::Error::BadSignature(peer).into());
        }
        Ok(self.sign_close(close))
    }

    fn sign_close(&mut self, close: TpcClose) -> Signature {
        let own = self.sign(Action::CloseTpc(&close));
        if let Some(channel) = self.party.channels.get_mut(&close.last.tpc) {
            channel.signed = channel.signed.max(close.last.version);
            channel.agreement = Some(Agreed::Close(close, own));
        }
        own
    }

    fn closed(&mut self, peer: AccountId, tpc: TpcId, signature: Signature) {
        let closing = |agreed: &Agreed| match agreed {
            Agreed::Close(close, own) => Some((*close, *own)),
            _ => None,
        };
        match self.agreed_on(tpc, closing) {
            Some(((close, own), index, other))
                if other == peer && self.verify(Action::CloseTpc(&close), peer, &signature) =>
            {
                let signatures = in_order(index, own, signature);
                self.submit(Submission::CloseTpc(CloseTpc { close, signatures }));
            }
            _ => self.ignore("the agreement fits no closing of this party"),
        }
    }

    /// Refuses to close a channel that is busy or waits for something else. In a dispute it may close.
    fn check_closable(&self, channel: &Channel) -> Result<(), Reason> {
        channel.check_alone()?;
        self.party.check_decided(channel)
    }
}

impl InFlight {
    /// Whether it is between two owners of whom `peer` is one.
    fn is_with(&self, peer: AccountId) -> bool {
        matches!(self.owners[..], [owners] if owners.parties.contains(&peer))
    }
}

/// Refuses a state that distributes something else than its channel holds.
pub(super) fn check_total(channel: &Channel, entry: &Entry) -> Result<(), Reason> {
    let total = channel.latest.total().ok_or(protocol::Error::Overflow)?;
    if entry.total() != Some(total) {
        return Err(protocol::Error::SumMismatch { tpc: entry.tpc, total }.into());
    }
    Ok(())
}
