//! What two owners agree on beside payments: one proposes and signs, the other checks, signs and answers. Whoever proposed
//! brings it to the chain; the other does if that does not happen.

use crate::{
    channel::is_turn,
    message::{Agreement, AgreementId, Leadership, Message, Reason, Standing, UpdateId},
    outbox::Purpose,
    record::Record,
    time::Waits,
    Answer, Engine, Native, Notice, Refusal, Step, Wants,
};
use codec::{Decode, Encode};
use protocol::{
    rules, AccountId, Asset, Balance, Entry, Member, MpcId, MpcJoin, MpcLeave, Nonce, Signature, Timestamp, TpcClose,
    TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal, Window,
};

/// After how many attempts the one who did not propose brings an agreement to the chain itself.
const PATIENCE: u32 = 3;

/// The most agreements in flight that others have proposed.
const MAX_AGREEMENTS: usize = 1_024;

/// An agreement that this account has signed: in flight until it is on chain or expired (rule S3).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Agreeing {
    /// What is agreed.
    pub agreement: Agreement,
    parties: [AccountId; 2],
    own: Signature,
    theirs: Option<Signature>,
    /// Whether this account has proposed it.
    proposed: bool,
    /// What it sends along with the call, in planck.
    value: Balance,
    led: Option<Leadership>,
    /// The updates that were in flight over its channels, and that it does not build on.
    pub(crate) ignores: Vec<UpdateId>,
    /// The complete updates, not settled yet, that it builds on.
    pub(crate) builds_on: Vec<UpdateId>,
}

impl Record for Agreeing {
    const KIND: u8 = 6;
    type Key = AgreementId;
}

impl Agreeing {
    /// Whether an epoch or a channel ends with it, so that no update may be signed beside it. Registrations end none.
    pub(crate) fn ends_epoch(&self) -> bool {
        !self.agreement.last().is_empty()
    }

    pub(crate) fn peer(&self, account: AccountId) -> AccountId {
        let [first, second] = self.parties;
        if first == account {
            second
        } else {
            first
        }
    }

    fn names(&self, tpc: &TpcId) -> bool {
        self.agreement.tpcs().contains(tpc)
    }
}

impl Step<'_> {
    #[allow(clippy::too_many_arguments)] // The command's fields.
    pub(crate) fn open(
        &mut self,
        peer: AccountId,
        nonce: Nonce,
        asset: Asset,
        [own, theirs]: [Balance; 2],
        value: Balance,
        window: Window,
        valid_until: Timestamp,
    ) -> Result<Answer, Refusal> {
        let account = self.engine.account;
        let (parties, balances) = match account < peer {
            true => ([account, peer], [own, theirs]),
            false => ([peer, account], [theirs, own]),
        };
        let creation = TpcCreation { parties, nonce, asset, balances, window, valid_until };
        let tpc = creation.id(&Native);
        self.offer(Agreement::Open(creation), value, None)?;
        Ok(Answer::Tpc(tpc))
    }

    pub(crate) fn propose_close(&mut self, tpc: TpcId, valid_until: Timestamp) -> Result<Answer, Refusal> {
        let (last, _) = self.last(tpc)?;
        self.offer(Agreement::Close(TpcClose { last, valid_until }), 0, None)
    }

    pub(crate) fn propose_top_up(
        &mut self,
        tpc: TpcId,
        amounts: [Balance; 2],
        valid_until: Timestamp,
    ) -> Result<Answer, Refusal> {
        let (last, index) = self.last(tpc)?;
        let added = in_order(index, amounts);
        self.offer(Agreement::TopUp(TpcTopUp { last, added, valid_until }), 0, None)
    }

    pub(crate) fn propose_withdrawal(
        &mut self,
        tpc: TpcId,
        amounts: [Balance; 2],
        valid_until: Timestamp,
    ) -> Result<Answer, Refusal> {
        let (last, index) = self.last(tpc)?;
        let amounts = in_order(index, amounts);
        self.offer(Agreement::Withdraw(TpcWithdrawal { last, amounts, valid_until }), 0, None)
    }

    pub(crate) fn propose_split(
        &mut self,
        channels: &[TpcId],
        parts: &[(Balance, Balance)],
        valid_until: Timestamp,
    ) -> Result<Answer, Refusal> {
        let last = channels.iter().map(|tpc| self.last(*tpc)).collect::<Result<Vec<_>, _>>()?;
        let (_, index) = *last.first().ok_or(protocol::Error::NoChannels)?;
        let last = last.into_iter().map(|(last, _)| last).collect();
        let parts = parts.iter().map(|(own, theirs)| in_order(index, [*own, *theirs])).collect();
        self.offer(Agreement::Split(TpcSplit { last, parts, valid_until }), 0, None)
    }

    pub(crate) fn propose_join(
        &mut self,
        mpc: MpcId,
        host: TpcId,
        tpc: TpcId,
        valid_until: Timestamp,
    ) -> Result<Answer, Refusal> {
        let member = self.engine.memberships.get(&mpc).ok_or(Refusal::UnknownGroup(mpc))?;
        let led = Some(member.leadership());
        let members = vec![self.member(tpc)?];
        self.offer(Agreement::Join(MpcJoin { mpc, host, members, valid_until }), 0, led)
    }

    pub(crate) fn propose_leave(&mut self, tpc: TpcId, valid_until: Timestamp) -> Result<Answer, Refusal> {
        let channel = self.engine.own_channel(&tpc)?;
        let Some(mpc) = channel.on_chain.mpc else { return self.leave_off_chain(tpc) };
        let members = vec![self.member(tpc)?];
        self.offer(Agreement::Leave(MpcLeave { mpc, members, valid_until }), 0, None)
    }

    /// The state that ends a channel's epoch if this party proposes it, and its index there.
    fn last(&self, tpc: TpcId) -> Result<(Entry, usize), Refusal> {
        let channel = self.engine.own_channel(&tpc)?;
        let index = channel.index(self.engine.account).ok_or(Refusal::UnknownChannel(tpc))?;
        let version = channel.next_turn(index).ok_or(protocol::Error::Overflow)?;
        Ok((Entry { version, ..channel.latest }, index))
    }

    fn member(&self, tpc: TpcId) -> Result<Member, Refusal> {
        Ok(Member { tpc, registrations: self.engine.own_channel(&tpc)?.on_chain.registrations })
    }

    fn offer(&mut self, agreement: Agreement, value: Balance, led: Option<Leadership>) -> Result<Answer, Refusal> {
        let parties = self.check_agreement(&agreement)?;
        let id = self.sign_agreement(agreement, parties, value, true, led);
        self.propose_again(id, 0);
        Ok(Answer::Done)
    }

    fn sign_agreement(
        &mut self,
        agreement: Agreement,
        parties: [AccountId; 2],
        value: Balance,
        proposed: bool,
        led: Option<Leadership>,
    ) -> AgreementId {
        let id = agreement.id_under(led.as_ref(), &Native, &self.engine.domain);
        let own = self.sign(&id);
        let (ignores, builds_on) = self.engine.beside(agreement.last().iter().map(|last| &last.tpc));
        for last in agreement.last() {
            if let Some(channel) = self.engine.channels.change(&last.tpc) {
                channel.signed = channel.signed.max(last.version);
                channel.seen = channel.seen.max(last.version);
            }
        }
        for tpc in agreement.tpcs() {
            if let Some(channel) = self.engine.channels.change(&tpc) {
                channel.agreement = Some(id);
            }
        }
        self.engine
            .agreements
            .insert(id, Agreeing { agreement, parties, own, theirs: None, proposed, value, led, ignores, builds_on });
        self.wait_for(Waits::Agreement(id));
        id
    }

    /// Proposes again, or brings to the chain what the other should have brought.
    pub(crate) fn propose_again(&mut self, id: AgreementId, tries: u32) {
        let Some(agreeing) = self.engine.agreements.get(&id) else {
            return self.stop_waiting(&Waits::Agreement(id));
        };
        match (agreeing.proposed, agreeing.theirs) {
            (true, None) => {
                let peer = agreeing.peer(self.engine.account);
                let Agreeing { agreement, own, led, .. } = agreeing.clone();
                self.send(peer, Message::Agree { agreement, signature: own, led });
            }
            (true, Some(_)) => self.bring_agreement(id),
            // What costs this account a deposit and ends nothing of its own is left to the one who wanted it.
            (false, Some(_)) if tries >= PATIENCE && agreeing.ends_epoch() => self.bring_agreement(id),
            _ => {}
        }
    }

    pub(crate) fn asked_to_agree(
        &mut self,
        from: AccountId,
        agreement: Agreement,
        signature: Signature,
        led: Option<Leadership>,
        approved: bool,
    ) {
        let id = agreement.id_under(led.as_ref(), &Native, &self.engine.domain);
        if let Some(known) = self.engine.agreements.get(&id) {
            if !known.proposed {
                let signature = known.own;
                self.send(from, Message::Agreed { agreement: id, signature });
            }
            return;
        }
        let message = Message::Agree { agreement: agreement.clone(), signature, led };
        let parties = match self.consider_agreement(from, &agreement, &id, &signature) {
            Ok(parties) => parties,
            Err(reason) => return self.reject(from, &message, reason),
        };
        if !approved && (self.takes(&agreement) || !self.engine.policy().agree) {
            return self.request(from, message, Wants::Agreement(agreement));
        }
        let id = self.sign_agreement(agreement, parties, 0, false, led);
        let Some(agreeing) = self.engine.agreements.change(&id) else { return };
        agreeing.theirs = Some(signature);
        let own = agreeing.own;
        self.send(from, Message::Agreed { agreement: id, signature: own });
        self.settle_off_chain(id);
    }

    fn consider_agreement(
        &self,
        from: AccountId,
        agreement: &Agreement,
        id: &AgreementId,
        signature: &Signature,
    ) -> Result<[AccountId; 2], Reason> {
        if self.engine.agreements.len() >= MAX_AGREEMENTS {
            return Err(Reason::Full);
        }
        let parties = self.check_agreement(agreement)?;
        let account = self.engine.account;
        if !parties.contains(&from) || from == account {
            return Err(Reason::WrongOwners);
        }
        for last in agreement.last() {
            let channel = self.engine.channels.get(&last.tpc).ok_or(protocol::Error::UnknownTpc(last.tpc))?;
            let theirs = channel.index(from).is_some_and(|index| is_turn(index, last.version));
            let newer = last.version > channel.latest.version.max(channel.signed) && last.version <= channel.furthest();
            if last.epoch != channel.latest.epoch || !theirs || !newer || last.balances != channel.latest.balances {
                return Err(Reason::Outdated(vec![channel.standing()]));
            }
        }
        if !self.signer.verify(id, &from, signature) {
            return Err(protocol::Error::BadSignature(from).into());
        }
        Ok(parties)
    }

    /// Whether an agreement takes something from this party that is not in the channel yet.
    fn takes(&self, agreement: &Agreement) -> bool {
        let account = self.engine.account;
        let own = |tpc: TpcId, amounts: [Balance; 2]| {
            self.engine
                .channels
                .get(&tpc)
                .and_then(|channel| channel.index(account))
                .is_none_or(|index| amounts[index] > 0)
        };
        match agreement {
            Agreement::Open(creation) => {
                let index = creation.parties.iter().position(|party| *party == account);
                index.is_none_or(|index| creation.balances[index] > 0)
            }
            Agreement::TopUp(top_up) => own(top_up.last.tpc, top_up.added),
            Agreement::Close(_)
            | Agreement::Withdraw(_)
            | Agreement::Split(_)
            | Agreement::Join(_)
            | Agreement::Leave(_) => false,
        }
    }

    pub(crate) fn agreed(&mut self, from: AccountId, id: AgreementId, signature: Signature) {
        let Some(agreeing) = self.engine.agreements.get(&id).filter(|agreeing| agreeing.theirs.is_none()) else {
            return;
        };
        if agreeing.peer(self.engine.account) != from || !self.signer.verify(&id, &from, &signature) {
            return self.ignore("the agreement is not signed by the other owner");
        }
        if let Some(agreeing) = self.engine.agreements.change(&id) {
            agreeing.theirs = Some(signature);
        }
        if !self.settle_off_chain(id) {
            self.bring_agreement(id);
        }
    }

    fn bring_agreement(&mut self, id: AgreementId) {
        let Some(agreeing) = self.engine.agreements.get(&id) else { return };
        let Some(theirs) = agreeing.theirs else { return };
        let Agreeing { agreement, parties, own, value, .. } = agreeing.clone();
        let index = parties.iter().position(|party| *party == self.engine.account).unwrap_or_default();
        let purpose = match &agreement {
            Agreement::Open(creation) => Purpose::Open(creation.id(&Native)),
            Agreement::Join(MpcJoin { members, .. }) | Agreement::Leave(MpcLeave { members, .. }) => {
                let Some(member) = members.first() else { return };
                Purpose::Register(member.tpc, member.registrations)
            }
            _ => {
                let Some(last) = agreement.last().first() else { return };
                Purpose::EndEpoch(last.tpc, last.epoch)
            }
        };
        let call = agreement.call(parties, in_order(index, [own, theirs]));
        self.call(call, value, purpose, Some(agreement.valid_until()));
    }

    /// Joining a group that is not registered takes no call. Answers whether that is so.
    fn settle_off_chain(&mut self, id: AgreementId) -> bool {
        let Some(agreeing) = self.engine.agreements.get(&id) else { return false };
        let (Agreement::Join(join), Some(led)) = (agreeing.agreement.clone(), agreeing.led) else { return false };
        self.lead_by_group(join.mpc, led);
        if led.registered {
            return false;
        }
        self.forget_agreement(&id);
        join.members.iter().for_each(|member| self.entered(join.mpc, &member.tpc));
        true
    }

    pub(crate) fn agree_rejected(&mut self, from: AccountId, id: AgreementId, reason: Reason) {
        let Some(agreeing) = self.engine.agreements.get(&id).filter(|agreeing| agreeing.proposed).cloned() else {
            return;
        };
        if agreeing.peer(self.engine.account) != from || agreeing.theirs.is_some() {
            return;
        }
        match &reason {
            Reason::InFlight(_) | Reason::Reserved(_) | Reason::Disputed(_) | Reason::Full => {}
            Reason::Outdated(standings) => {
                self.learn(from, standings);
                self.propose_newer(&agreeing, standings);
            }
            _ => self.tell(Notice::AgreementRejected(id, reason)),
        }
    }

    /// Proposes the same from newer states: what was signed before stays in flight beside it (rule S3).
    fn propose_newer(&mut self, agreeing: &Agreeing, standings: &[Standing]) {
        let Agreeing { agreement, value, .. } = agreeing;
        let behind: Vec<_> = standings
            .iter()
            .filter(|standing| {
                let channel = self.engine.channels.get(&standing.latest.tpc);
                channel.is_some_and(|channel| channel.latest.order() > standing.latest.order())
            })
            .map(|standing| standing.latest.tpc)
            .collect();
        let peer = agreeing.peer(self.engine.account);
        if !behind.is_empty() {
            // The clock proposes again, when what the other owner has missed is there.
            return self.show(peer, behind);
        }
        let ahead = standings.iter().any(|standing| {
            let channel = self.engine.channels.get(&standing.latest.tpc);
            channel.is_some_and(|channel| channel.latest.order() < standing.latest.order())
        });
        if ahead {
            // What the other owner has completed is on its way here; the proposal is made again then.
            return;
        }
        let newer = |last: &Entry| self.last(last.tpc).map(|(entry, _)| entry);
        let again = match agreement.clone() {
            Agreement::Close(close) => newer(&close.last).map(|last| Agreement::Close(TpcClose { last, ..close })),
            Agreement::TopUp(top_up) => newer(&top_up.last).map(|last| Agreement::TopUp(TpcTopUp { last, ..top_up })),
            Agreement::Withdraw(withdrawal) => {
                newer(&withdrawal.last).map(|last| Agreement::Withdraw(TpcWithdrawal { last, ..withdrawal }))
            }
            Agreement::Split(split) => {
                let last = split.last.iter().map(newer).collect::<Result<Vec<_>, _>>();
                last.map(|last| Agreement::Split(TpcSplit { last, ..split }))
            }
            Agreement::Open(_) | Agreement::Join(_) | Agreement::Leave(_) => return,
        };
        let Ok(again) = again else { return };
        if self.check_agreement(&again).is_ok() {
            let id = self.sign_agreement(again, agreeing.parties, *value, true, agreeing.led);
            // The old proposal is not repeated; the new one is.
            self.stop_waiting(&Waits::Agreement(agreeing.agreement.id(&Native, &self.engine.domain)));
            self.propose_again(id, 0);
        }
    }

    /// What both owners check before they sign. Answers who they are.
    fn check_agreement(&self, agreement: &Agreement) -> Result<[AccountId; 2], Reason> {
        let now = self.engine.now();
        let valid_until = agreement.valid_until();
        if now > valid_until || valid_until > now.saturating_add(self.engine.policy().max_validity) {
            return Err(Reason::BadTime);
        }
        if let Agreement::Open(creation) = agreement {
            return self.check_creation(creation);
        }
        let tpcs = agreement.tpcs();
        let mut channels = vec![];
        for tpc in &tpcs {
            let channel = self.engine.channels.get(tpc).filter(|channel| self.engine.owns(&channel.owners));
            let channel = channel.filter(|channel| !channel.on_chain.gone).ok_or(protocol::Error::UnknownTpc(*tpc))?;
            self.check_free(*tpc, channel, agreement)?;
            channels.push(channel);
        }
        let first = channels.first().ok_or(protocol::Error::NoChannels)?;
        match agreement {
            Agreement::TopUp(top_up) => drop(rules::top_up(&first.tpc(), top_up)?),
            Agreement::Withdraw(withdrawal) => drop(rules::withdraw(&first.tpc(), withdrawal)?),
            Agreement::Close(close) => rules::check_last(&first.tpc(), &close.last)?,
            Agreement::Split(split) => {
                let tpcs: Vec<_> = channels.iter().map(|channel| channel.tpc()).collect();
                rules::split(&Native, &tpcs, split)?;
                // It moves nothing from one owner to the other.
                let before = sum(channels.iter().map(|channel| channel.latest.balances[0]));
                if before != sum(split.parts.iter().map(|part| part[0])) {
                    return Err(Reason::WrongPosition);
                }
            }
            Agreement::Join(MpcJoin { members, mpc, .. }) => self.check_members(members, Some(*mpc))?,
            Agreement::Leave(MpcLeave { members, .. }) => self.check_members(members, None)?,
            Agreement::Open(_) => {}
        }
        if channels.iter().any(|channel| channel.owners.parties != first.owners.parties) {
            return Err(Reason::WrongOwners);
        }
        Ok(first.owners.parties)
    }

    fn check_creation(&self, creation: &TpcCreation) -> Result<[AccountId; 2], Reason> {
        let owners = creation.owners();
        if !self.engine.owns(&owners) {
            return Err(Reason::WrongOwners);
        }
        if creation.window < self.engine.policy().min_window {
            return Err(Reason::ShortWindow(creation.id(&Native)));
        }
        rules::create_tpc(creation, creation.nonce)?;
        Ok(owners.parties)
    }

    /// Refuses what has to wait until something else that this party has signed over a channel is decided (rules S2, S3).
    fn check_free(&self, tpc: TpcId, channel: &crate::Channel, agreement: &Agreement) -> Result<(), Reason> {
        let registration = matches!(agreement, Agreement::Join(_) | Agreement::Leave(_));
        let leaves = matches!(agreement, Agreement::Leave(_));
        if channel.on_chain.mpc.is_some() && !leaves {
            return Err(protocol::Error::TpcBusy(tpc).into());
        }
        let disputed = channel.on_chain.dispute.is_some() || self.engine.head.contains(&tpc);
        if disputed && !(leaves || matches!(agreement, Agreement::Close(_))) || channel.on_chain.is_due() {
            return Err(Reason::Disputed(tpc));
        }
        if let Some(other) = channel.agreement.and_then(|id| self.engine.agreements.get(&id)) {
            if !agreement.replaces(&other.agreement) {
                return Err(Reason::InFlight(tpc));
            }
        }
        if matches!(agreement, Agreement::Join(_)) && self.engine.is_forming(&tpc, None) {
            return Err(Reason::InFlight(tpc));
        }
        if registration {
            return Ok(());
        }
        if channel.reserved.is_some() {
            return Err(Reason::Reserved(tpc));
        }
        let tpcs = agreement.tpcs();
        for (_, held) in self.engine.in_flight_on(&tpc) {
            let mut own = held.update.entries.iter().filter(|entry| self.engine.is_above(entry));
            if !own.all(|entry| tpcs.contains(&entry.tpc)) {
                return Err(Reason::InFlight(tpc));
            }
        }
        Ok(())
    }

    fn check_members(&self, members: &[Member], mpc: Option<MpcId>) -> Result<(), Reason> {
        rules::check_ascending(members.iter().map(|member| &member.tpc))?;
        for member in members {
            let channel = self.engine.channels.get(&member.tpc).ok_or(protocol::Error::UnknownTpc(member.tpc))?;
            rules::register(&channel.tpc(), member, mpc)?;
        }
        Ok(())
    }

    /// Forgets agreements that are on chain, expired, or over because an epoch has ended.
    pub(crate) fn expire(&mut self) {
        let now = self.engine.now();
        let over = |agreeing: &Agreeing| {
            let gone = |tpc: &TpcId| self.engine.channels.get(tpc).is_none_or(|channel| channel.on_chain.gone);
            let done = match &agreeing.agreement {
                Agreement::Open(creation) => self.engine.channels.contains(&creation.id(&Native)),
                Agreement::Join(MpcJoin { members, .. }) | Agreement::Leave(MpcLeave { members, .. }) => {
                    members.iter().any(|member| {
                        let channel = self.engine.channels.get(&member.tpc);
                        channel.is_none_or(|channel| channel.on_chain.registrations != member.registrations)
                    })
                }
                _ => agreeing.agreement.last().iter().any(|last| {
                    let channel = self.engine.channels.get(&last.tpc);
                    gone(&last.tpc) || channel.is_some_and(|channel| channel.on_chain.order.0 != last.epoch)
                }),
            };
            done || now > agreeing.agreement.valid_until()
        };
        let over: Vec<_> =
            self.engine.agreements.iter().filter(|(_, agreeing)| over(agreeing)).map(|(id, _)| *id).collect();
        over.into_iter().for_each(|id| self.forget_agreement(&id));
        self.expire_groups(now);
    }

    /// Ends the agreements that named the epoch of a channel which is over.
    pub(crate) fn fail_agreement(&mut self, tpc: &TpcId) {
        let over: Vec<_> = self
            .engine
            .agreements
            .iter()
            .filter(|(_, agreeing)| agreeing.ends_epoch() && agreeing.names(tpc))
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            // What the one that was executed does not build on counts no longer.
            let executed = self.engine.agreements.get(&id).filter(|agreeing| self.engine.was_executed(agreeing, tpc));
            let beside = executed.map(|agreeing| (agreeing.ignores.clone(), agreeing.builds_on.clone()));
            if let Some((ignores, builds_on)) = beside {
                self.took_effect(&ignores, &builds_on);
            }
            self.forget_agreement(&id);
        }
    }

    fn forget_agreement(&mut self, id: &AgreementId) {
        let Some(agreeing) = self.engine.agreements.remove(id) else { return };
        self.stop_waiting(&Waits::Agreement(*id));
        for tpc in agreeing.agreement.tpcs() {
            // An older one that has not expired is in flight still.
            let other = self.engine.agreements.iter().find(|(_, other)| other.names(&tpc)).map(|(id, _)| *id);
            if let Some(channel) = self.engine.channels.change(&tpc).filter(|channel| channel.agreement == Some(*id)) {
                channel.agreement = other;
            }
        }
        let beside: Vec<_> = agreeing.ignores.into_iter().chain(agreeing.builds_on).collect();
        self.reconsider(&beside);
        let tpcs = agreeing.agreement.tpcs().into_iter().collect();
        self.start_rounds(&tpcs);
    }
}

impl Engine {
    /// The channels that an agreement brings into being.
    pub(crate) fn begun_by(&self, agreeing: &Agreeing) -> Vec<TpcId> {
        match &agreeing.agreement {
            Agreement::Open(creation) => vec![creation.id(&Native)],
            Agreement::Split(split) => {
                let first = split.last.first().and_then(|first| Some((first, self.channels.get(&first.tpc)?.owners)));
                let part = |index| {
                    let (first, owners) = first?;
                    Some(owners.part(first.tpc, first.epoch, index).tpc(&Native))
                };
                (1..=u8::MAX).take(split.parts.len().saturating_sub(1)).filter_map(part).collect()
            }
            _ => vec![],
        }
    }

    /// Whether an agreement is what has ended a channel's epoch: the chain holds what it leads to, and no dispute ended it.
    fn was_executed(&self, agreeing: &Agreeing, tpc: &TpcId) -> bool {
        let Some(chain) = self.on_chain(tpc) else { return false };
        let Some(last) = agreeing.agreement.last().iter().find(|last| last.tpc == *tpc) else { return false };
        let shift = |amounts: [Balance; 2], by: fn(Balance, Balance) -> Option<Balance>| {
            Some([by(last.balances[0], amounts[0])?, by(last.balances[1], amounts[1])?])
        };
        let after = match &agreeing.agreement {
            Agreement::Close(_) => Some(last.balances),
            Agreement::TopUp(top_up) => shift(top_up.added, Balance::checked_add),
            Agreement::Withdraw(withdrawal) => shift(withdrawal.amounts, Balance::checked_sub),
            // The others than the first are gone, and the first tells.
            Agreement::Split(split) => {
                let first = split.last.first().is_some_and(|first| first.tpc == *tpc);
                if first {
                    split.parts.first().copied()
                } else {
                    Some(chain.balances)
                }
            }
            Agreement::Open(_) | Agreement::Join(_) | Agreement::Leave(_) => None,
        };
        after == Some(chain.balances) && !chain.ended.iter().any(|(epoch, _)| *epoch == last.epoch)
    }

    pub(crate) fn own_channel(&self, tpc: &TpcId) -> Result<&crate::Channel, Refusal> {
        let own = self.channels.get(tpc).filter(|channel| self.owns(&channel.owners) && !channel.on_chain.gone);
        own.ok_or(Refusal::UnknownChannel(*tpc))
    }
}

/// Two things in their owners' order, given this owner's index and the two as (own, other).
fn in_order<T>(index: usize, [own, other]: [T; 2]) -> [T; 2] {
    if index == 0 {
        [own, other]
    } else {
        [other, own]
    }
}

fn sum(mut amounts: impl Iterator<Item = Balance>) -> Option<Balance> {
    amounts.try_fold(0, Balance::checked_add)
}
