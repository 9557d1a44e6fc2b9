//! What two owners agree on beside payments: one proposes and signs, the other checks, signs and answers. Two messages
//! each. Whoever proposed brings it to the chain.

use super::*;
use protocol::{
    abi::{JoinMpc, LeaveMpc, SplitTpc, TopUpTpc, WithdrawTpc},
    rules, Member, MpcJoin, MpcLeave, TpcSplit, TpcTopUp, TpcWithdrawal,
};

impl Turn<'_> {
    pub(super) fn propose_top_up(
        &mut self,
        id: TpcId,
        own: Balance,
        theirs: Balance,
        valid_until: Timestamp,
    ) -> Option<()> {
        let (last, index) = self.last(id)?;
        self.propose(Agreement::TopUp(TpcTopUp { last, added: in_order(index, own, theirs), valid_until }))
    }

    pub(super) fn propose_withdrawal(
        &mut self,
        id: TpcId,
        own: Balance,
        theirs: Balance,
        valid_until: Timestamp,
    ) -> Option<()> {
        let (last, index) = self.last(id)?;
        self.propose(Agreement::Withdraw(TpcWithdrawal { last, amounts: in_order(index, own, theirs), valid_until }))
    }

    pub(super) fn propose_split(
        &mut self,
        channels: &[TpcId],
        parts: &[(Balance, Balance)],
        valid_until: Timestamp,
    ) -> Option<()> {
        let last = channels.iter().map(|tpc| self.last(*tpc)).collect::<Option<Vec<_>>>()?;
        let (_, index) = *last.first()?;
        let last = last.into_iter().map(|(last, _)| last).collect();
        let parts = parts.iter().map(|(own, theirs)| in_order(index, *own, *theirs)).collect();
        self.propose(Agreement::Split(TpcSplit { last, parts, valid_until }))
    }

    pub(super) fn propose_join(&mut self, mpc: MpcId, host: TpcId, tpc: TpcId, valid_until: Timestamp) -> Option<()> {
        let members = vec![self.member(tpc)?];
        self.propose(Agreement::Join(MpcJoin { mpc, host, members, valid_until }))
    }

    pub(super) fn propose_leave(&mut self, tpc: TpcId, valid_until: Timestamp) -> Option<()> {
        let mpc = self.party.channels.get(&tpc)?.on_chain.mpc?;
        let members = vec![self.member(tpc)?];
        self.propose(Agreement::Leave(MpcLeave { mpc, members, valid_until }))
    }

    /// The state that ends a channel's epoch if this party proposes it, and its index there.
    fn last(&self, id: TpcId) -> Option<(Entry, usize)> {
        let channel = self.party.channels.get(&id)?;
        let index = self.index(&channel.owners.parties)?;
        Some((channel.next(index)?, index))
    }

    fn member(&self, tpc: TpcId) -> Option<Member> {
        let registrations = self.party.channels.get(&tpc)?.on_chain.registrations;
        Some(Member { tpc, registrations })
    }

    fn propose(&mut self, agreement: Agreement) -> Option<()> {
        let peer = self.check_agreement(&agreement).ok()?;
        let signature = self.sign_agreement(&agreement);
        self.send(Peer::Party(peer), Message::TpcAgreement { agreement, signature });
        Some(())
    }

    fn sign_agreement(&mut self, agreement: &Agreement) -> Signature {
        let own = self.sign(agreement.action());
        for tpc in agreement.tpcs() {
            if let Some(channel) = self.party.channels.get_mut(&tpc) {
                channel.agreement = Some(Agreed::Both(Box::new(agreement.clone()), own));
            }
        }
        for last in agreement.last() {
            if let Some(channel) = self.party.channels.get_mut(&last.tpc) {
                channel.signed = channel.signed.max(last.version);
            }
        }
        own
    }

    pub(super) fn agreement_message(&mut self, now: Timestamp, peer: AccountId, message: Message) {
        match message {
            Message::TpcAgreement { agreement, signature } => {
                let Some(tpc) = agreement.tpc() else {
                    return self.ignore("the agreement names no channel");
                };
                let answer = match self.agree(now, peer, &agreement, signature) {
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
        agreement: &Agreement,
        signature: Signature,
    ) -> Result<Signature, Reason> {
        rules::check_valid(now, agreement.valid_until())?;
        if self.check_agreement(agreement)? != peer {
            return Err(Reason::WrongOwners);
        }
        for last in agreement.last() {
            let channel = self.party.channels.get(&last.tpc).ok_or(protocol::Error::UnknownTpc(last.tpc))?;
            let index = self.index(&channel.owners.parties).ok_or(Reason::WrongOwners)?;
            channel.check_last(index, last)?;
            if let Agreement::TopUp(top_up) = agreement {
                let [own, _] = in_order(index, top_up.added[0], top_up.added[1]);
                check_spend(self.party.spend, own, 0)?;
            }
        }
        if !self.verify(agreement.action(), peer, &signature) {
            return Err(protocol::Error::BadSignature(peer).into());
        }
        Ok(self.sign_agreement(agreement))
    }

    fn agreed(&mut self, peer: AccountId, tpc: TpcId, signature: Signature) {
        let agreement = |agreed: &Agreed| match agreed {
            Agreed::Both(agreement, own) => Some((agreement.clone(), *own)),
            _ => None,
        };
        let Some(((agreement, own), index, other)) = self.agreed_on(tpc, agreement) else {
            return self.ignore("the agreement fits none of this party's");
        };
        if other != peer || !self.verify(agreement.action(), peer, &signature) {
            return self.ignore("the agreement is not signed by the peer");
        }
        let both = in_order(index, own, signature);
        let signatures = listed(in_order(index, self.party.account, peer), both);
        self.submit(match *agreement {
            Agreement::TopUp(top_up) => Submission::TopUpTpc(TopUpTpc { top_up, signatures: both }),
            Agreement::Withdraw(withdrawal) => Submission::WithdrawTpc(WithdrawTpc { withdrawal, signatures: both }),
            Agreement::Split(split) => Submission::SplitTpc(SplitTpc { split, signatures: both }),
            Agreement::Join(join) => Submission::JoinMpc(JoinMpc { join, signatures }),
            Agreement::Leave(leave) => Submission::LeaveMpc(LeaveMpc { leave, signatures }),
        });
    }

    /// What both owners check before they sign. Answers who the other one is.
    fn check_agreement(&self, agreement: &Agreement) -> Result<AccountId, Reason> {
        let mut channels = vec![];
        for tpc in agreement.tpcs() {
            let channel = self.party.channels.get(&tpc).ok_or(protocol::Error::UnknownTpc(tpc))?;
            match agreement {
                Agreement::Leave(leave) => {
                    if channel.on_chain.mpc != Some(leave.mpc) {
                        return Err(protocol::Error::NotMember(tpc).into());
                    }
                    self.party.check_decided(channel)?;
                }
                Agreement::TopUp(_) | Agreement::Withdraw(_) | Agreement::Split(_) | Agreement::Join(_) => {
                    self.party.check_free(channel)?;
                }
            }
            channels.push(channel);
        }
        let first = channels.first().ok_or(protocol::Error::NoChannels)?;
        match agreement {
            Agreement::TopUp(top_up) => drop(rules::top_up(&first.tpc(), top_up)?),
            Agreement::Withdraw(withdrawal) => drop(rules::withdraw(&first.tpc(), withdrawal)?),
            Agreement::Split(split) => {
                let tpcs: Vec<_> = channels.iter().map(|channel| channel.tpc()).collect();
                rules::split(&Native, &tpcs, split)?;
                // It moves nothing from one owner to the other.
                let before = sum(channels.iter().map(|channel| channel.latest.balances[0]));
                if before != sum(split.parts.iter().map(|part| part[0])) {
                    return Err(Reason::WrongPosition);
                }
            }
            Agreement::Join(MpcJoin { mpc, members, .. }) => check_members(&channels, members, Some(*mpc))?,
            Agreement::Leave(MpcLeave { members, .. }) => check_members(&channels, members, None)?,
        }
        Ok(first.peer(self.party.account))
    }
}

/// Refuses a registration of other counts than the contract has, or of channels of different owners: who signs is one pair.
fn check_members(channels: &[&Channel], members: &[Member], mpc: Option<MpcId>) -> Result<(), Reason> {
    rules::check_ascending(members.iter().map(|member| &member.tpc))?;
    for (channel, member) in channels.iter().zip(members) {
        rules::register(&channel.tpc(), member, mpc)?;
        if channels.first().is_some_and(|first| first.owners.parties != channel.owners.parties) {
            return Err(Reason::WrongOwners);
        }
    }
    Ok(())
}

fn sum(mut amounts: impl Iterator<Item = Balance>) -> Option<Balance> {
    amounts.try_fold(0, Balance::checked_add)
}
