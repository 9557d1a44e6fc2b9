//! What two owners agree on beside payments: one proposes and signs, the other checks, signs and answers. Two messages
//! each. All but splits then go on chain.

use super::*;
use crate::engine::message::Agreement;
use protocol::{
    abi::{JoinMpc, LeaveMpc, SplitTpc, TopUpTpc, WithdrawTpc},
    rules, Epoch, MpcJoin, MpcLeave, TpcTopUp, TpcWithdrawal,
};

/// The furthest that a peer may push a channel's epoch in one split, so that no peer can use them up.
const MAX_EPOCH_STEP: Epoch = 1 << 8;

impl Turn<'_> {
    pub(super) fn propose_top_up(
        &mut self,
        id: TpcId,
        own: Balance,
        theirs: Balance,
        valid_until: Timestamp,
    ) -> Option<()> {
        let channel = self.party.channels.get(&id)?;
        let added = in_order(self.index(&channel.owners.parties)?, own, theirs);
        let snapshot = shifted(&channel.latest, added, Balance::checked_add)?;
        self.propose(Agreement::TopUp(TpcTopUp { snapshot, added, valid_until }))
    }

    pub(super) fn propose_withdrawal(
        &mut self,
        id: TpcId,
        own: Balance,
        theirs: Balance,
        valid_until: Timestamp,
    ) -> Option<()> {
        let channel = self.party.channels.get(&id)?;
        let amounts = in_order(self.index(&channel.owners.parties)?, own, theirs);
        let snapshot = shifted(&channel.latest, amounts, Balance::checked_sub)?;
        self.propose(Agreement::Withdraw(TpcWithdrawal { snapshot, amounts, valid_until }))
    }

    pub(super) fn propose_split(&mut self, tpc: TpcId, parts: &[(Balance, Balance)]) -> Option<()> {
        let channel = self.party.channels.get(&tpc)?;
        let index = self.index(&channel.owners.parties)?;
        let parts = parts.iter().map(|(own, theirs)| in_order(index, *own, *theirs)).collect();
        let proposed = channel.split_in_flight().unwrap_or_default();
        let next = next_turn(index, self.latest_epoch(tpc)?.max(proposed).into())?;
        let epoch = Epoch::try_from(next).ok()?;
        self.propose(Agreement::Split(TpcSplit { tpc, epoch, parts }))
    }

    pub(super) fn propose_join(&mut self, mpc: MpcId, member: TpcId, tpc: TpcId, valid_until: Timestamp) -> Option<()> {
        let entries = vec![mpc::entering(&self.party.channels.get(&tpc)?.latest)?];
        self.propose(Agreement::Join(MpcJoin { mpc, member, entries, valid_until }))
    }

    pub(super) fn propose_leave(&mut self, tpc: TpcId, valid_until: Timestamp) -> Option<()> {
        let channel = self.party.channels.get(&tpc)?;
        let (mpc, entries) = (channel.mpc?, vec![channel.latest]);
        self.propose(Agreement::Leave(MpcLeave { mpc, entries, valid_until }))
    }

    fn propose(&mut self, agreement: Agreement) -> Option<()> {
        let id = agreement.tpc()?;
        self.check_agreement(&agreement).ok()?;
        let signature = self.sign(agreement.action());
        let channel = self.party.channels.get_mut(&id)?;
        channel.in_flight = Some(InFlight::Agreement(Box::new(agreement.clone()), signature));
        let peer = channel.peer(self.party.account);
        self.send(Peer::Party(peer), Message::TpcAgreement { agreement, signature });
        Some(())
    }

    pub(super) fn agreement_message(&mut self, now: Timestamp, peer: AccountId, message: Message) {
        match message {
            Message::TpcAgreement { agreement, signature } => {
                let Some(tpc) = agreement.tpc() else {
                    return self.ignore("the agreement is about more than one channel");
                };
                let answer = match self.agree(now, peer, agreement, signature) {
                    Ok(signature) => Message::TpcAgreementAgree { tpc, signature },
                    Err(reason) => Message::TpcAgreementReject { tpc, reason },
                };
                self.send(Peer::Party(peer), answer);
            }
            Message::TpcAgreementAgree { tpc, signature } => self.agreed(peer, tpc, signature),
            Message::TpcAgreementReject { tpc, reason } => {
                // What this party signed stays in flight: the peer may still use it.
                self.tell(Notice::TpcRejected(tpc, reason));
            }
            _ => self.ignore("the message is not one between two parties"),
        }
    }

    fn agree(
        &mut self,
        now: Timestamp,
        peer: AccountId,
        agreement: Agreement,
        signature: Signature,
    ) -> Result<Signature, Reason> {
        if let Some(valid_until) = agreement.valid_until() {
            rules::check_valid(now, valid_until)?;
        }
        self.check_agreement(&agreement)?;
        let id = agreement.tpc().ok_or(Reason::WrongOwners)?;
        let account = self.party.account;
        let channel = self.party.channels.get(&id).ok_or(protocol::Error::UnknownTpc(id))?;
        if channel.peer(account) != peer {
            return Err(Reason::WrongOwners);
        }
        if let Agreement::Split(TpcSplit { epoch, .. }) = &agreement {
            let own = self.index(&channel.owners.parties).ok_or(Reason::WrongOwners)?;
            if is_turn(own, (*epoch).into()) {
                return Err(Reason::Outdated(vec![channel.latest]));
            }
        }
        if let Agreement::TopUp(top_up) = &agreement {
            let index = self.index(&channel.owners.parties).ok_or(Reason::WrongOwners)?;
            let [own, _] = in_order(index, top_up.added[0], top_up.added[1]);
            check_spend(self.party.spend, own, 0)?;
        }
        if !self.verify(agreement.action(), peer, &signature) {
            return Err(protocol::Error::BadSignature(peer).into());
        }
        let own = self.sign(agreement.action());
        if let Some(channel) = self.party.channels.get_mut(&id) {
            channel.in_flight = Some(InFlight::Agreement(Box::new(agreement.clone()), own));
        }
        if let Agreement::Split(split) = agreement {
            self.complete_split(split, own, signature);
        }
        Ok(own)
    }

    fn agreed(&mut self, peer: AccountId, tpc: TpcId, signature: Signature) {
        let agreement = |flight: &InFlight| match flight {
            InFlight::Agreement(agreement, own) => Some((agreement.clone(), *own)),
            _ => None,
        };
        let Some(((agreement, own), index, other)) = self.in_flight(tpc, agreement) else {
            return self.ignore("the agreement fits none of this party's");
        };
        if other != peer || !self.verify(agreement.action(), peer, &signature) {
            return self.ignore("the agreement is not signed by the peer");
        }
        let both = in_order(index, own, signature);
        let listed = || {
            let parties = in_order(index, self.party.account, peer);
            let [first, second] = [0, 1].map(|side| PartySignature { party: parties[side], signature: both[side] });
            vec![first, second]
        };
        match *agreement {
            Agreement::Split(split) => self.complete_split(split, own, signature),
            Agreement::TopUp(top_up) => {
                self.submit_whole(tpc, Submission::TopUpTpc(TopUpTpc { top_up, signatures: both }))
            }
            Agreement::Withdraw(withdrawal) => {
                self.submit_whole(tpc, Submission::WithdrawTpc(WithdrawTpc { withdrawal, signatures: both }));
            }
            Agreement::Join(join) => {
                let signatures = listed();
                self.submit_whole(tpc, Submission::JoinMpc(JoinMpc { join, signatures }));
            }
            Agreement::Leave(leave) => {
                let signatures = listed();
                self.submit(Submission::LeaveMpc(LeaveMpc { leave, signatures }));
            }
        }
    }

    /// Submits what the contract accepts only when it knows the newest division of the channel.
    pub(super) fn submit_whole(&mut self, tpc: TpcId, submission: Submission) {
        self.submit_split(tpc);
        self.submit(submission);
    }

    /// Puts the newest division of the channel that `tpc` is a part of on chain, if the contract may need it.
    pub(super) fn submit_split(&mut self, tpc: TpcId) {
        let whole = self.party.channels.get(&tpc).map(Channel::whole);
        let Some(channel) = whole.and_then(|whole| self.party.channels.get(&whole)) else { return };
        match &channel.split {
            Some((split, Some(signatures)))
                if split.epoch > channel.on_chain.epoch && (channel.is_divided() || channel.divided_on_chain) =>
            {
                let (split, signatures) = (split.clone(), *signatures);
                self.submit(Submission::SplitTpc(SplitTpc { split, signatures }));
            }
            _ => {}
        }
    }

    /// What both owners check before they sign.
    fn check_agreement(&self, agreement: &Agreement) -> Result<(), Reason> {
        let id = agreement.tpc().ok_or(Reason::WrongOwners)?;
        let channel = self.party.channels.get(&id).ok_or(protocol::Error::UnknownTpc(id))?;
        let outdated = || Err(Reason::Outdated(vec![channel.latest]));
        match agreement {
            Agreement::TopUp(TpcTopUp { snapshot, added, .. }) => {
                channel.check_free()?;
                channel.check_undivided()?;
                if shifted(&channel.latest, *added, Balance::checked_add) != Some(*snapshot) {
                    return outdated();
                }
            }
            Agreement::Withdraw(TpcWithdrawal { snapshot, amounts, .. }) => {
                channel.check_free()?;
                channel.check_undivided()?;
                if shifted(&channel.latest, *amounts, Balance::checked_sub) != Some(*snapshot) {
                    return outdated();
                }
            }
            Agreement::Split(split) => self.check_split(channel, split)?,
            Agreement::Join(MpcJoin { entries, .. }) => {
                channel.check_free()?;
                if mpc::entering(&channel.latest).as_ref() != entries.first() {
                    return outdated();
                }
            }
            Agreement::Leave(MpcLeave { mpc, entries, .. }) => {
                if channel.mpc != Some(*mpc) {
                    return Err(protocol::Error::NotMember(id).into());
                }
                channel.check_decided()?;
                if entries.first() != Some(&channel.latest) {
                    return outdated();
                }
            }
        }
        Ok(())
    }

    /// A split moves nothing between the owners, and takes every part as it is now.
    fn check_split(&self, channel: &Channel, split: &TpcSplit) -> Result<(), Reason> {
        let family = self.family(split.tpc);
        for part in &family {
            part.check_alone()?;
            part.check_undisputed()?;
            match part.split_in_flight() {
                // A later split voids one that is in flight, whoever completes that.
                Some(proposed) if split.epoch > proposed => {}
                Some(_) => return Err(Reason::Superseded),
                None => part.check_decided()?,
            }
        }
        let latest = self.latest_epoch(split.tpc).ok_or(Reason::WrongOwners)?;
        let furthest = latest.saturating_add(MAX_EPOCH_STEP);
        if channel.owners.part.is_some() || split.epoch <= latest || split.epoch > furthest {
            return Err(Reason::Outdated(vec![channel.latest]));
        }
        let others: Vec<_> = family.iter().filter(|part| part.latest.tpc != split.tpc).map(|part| part.tpc()).collect();
        rules::split(&channel.tpc(), &others, split)?;
        let before = sum(family.iter().map(|part| part.latest.balances[0]));
        if before != sum(split.parts.iter().map(|part| part[0])) {
            return Err(Reason::WrongPosition);
        }
        Ok(())
    }

    /// The parts of a channel, itself among them.
    fn family(&self, whole: TpcId) -> Vec<&Channel> {
        self.party.channels.values().filter(|channel| channel.whole() == whole).collect()
    }

    /// The latest epoch that any part of a channel is in.
    pub(super) fn latest_epoch(&self, whole: TpcId) -> Option<Epoch> {
        self.family(whole).iter().map(|part| part.latest.epoch).max()
    }

    fn complete_split(&mut self, split: TpcSplit, own: Signature, theirs: Signature) {
        let id = split.tpc;
        let owners = self.party.channels.get(&id).map(|channel| channel.owners.parties);
        let Some(index) = owners.and_then(|owners| self.index(&owners)) else { return };
        self.divide(split, Some(in_order(index, own, theirs)));
        self.tell(Notice::TpcAgreed(id));
    }

    /// The channel and what is left of its parts give way to the parts of `split`.
    pub(super) fn divide(&mut self, split: TpcSplit, signatures: Option<[Signature; 2]>) {
        let id = split.tpc;
        let Some(channel) = self.party.channels.get(&id) else { return };
        let Channel { owners, window, on_chain, divided_on_chain, deadline, .. } = *channel;
        self.party.channels.retain(|part, channel| *part == id || channel.whole() != id);
        for (number, balances) in (0..=u8::MAX).zip(&split.parts) {
            let tpc = id.part(&Native, split.epoch, number);
            let latest = Entry { tpc, epoch: split.epoch, version: 0, balances: *balances };
            let part = (number > 0).then_some((split.epoch, number));
            let mut channel = Channel::new(Owners { part, ..owners }, window, latest);
            if number == 0 {
                (channel.on_chain, channel.divided_on_chain, channel.deadline) = (on_chain, divided_on_chain, deadline);
                channel.split = Some((split.clone(), signatures));
            }
            self.party.channels.insert(tpc, channel);
        }
    }
}

impl Channel {
    /// The epoch of the split that this party has signed and not seen decided.
    fn split_in_flight(&self) -> Option<Epoch> {
        match &self.in_flight {
            Some(InFlight::Agreement(agreement, _)) => match &**agreement {
                Agreement::Split(split) => Some(split.epoch),
                _ => None,
            },
            _ => None,
        }
    }
}

fn sum(mut amounts: impl Iterator<Item = Balance>) -> Option<Balance> {
    amounts.try_fold(0, Balance::checked_add)
}

/// The first state of the next epoch, in which each owner's balance is shifted by its amount.
fn shifted(
    latest: &Entry,
    amounts: [Balance; 2],
    shift: impl Fn(Balance, Balance) -> Option<Balance>,
) -> Option<Entry> {
    let [first, second] = latest.balances;
    let balances = [shift(first, amounts[0])?, shift(second, amounts[1])?];
    Some(Entry { epoch: latest.epoch.checked_add(1)?, version: 0, balances, ..*latest })
}
