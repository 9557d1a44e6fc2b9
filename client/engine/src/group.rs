//! Groups: how they are formed and closed, who leads them, and how a coordinator gets to know them, also one that has lost
//! its disk or takes over from another.
//!
//! A group is an agreement among its members and a coordinator. It may be registered on chain as well.

use crate::{
    channel::{are_well_formed, Channel, Held},
    message::{Introduced, Leadership, Message, Reason, Right, Shown, Standing, Term, OFF_CHAIN},
    outbox::Purpose,
    record::Record,
    time::Waits,
    Answer, Engine, Native, Notice, Refusal, Step, Wants,
};
use codec::{Decode, Encode};
use protocol::{
    abi, rules, AccountId, Action, Crypto, Member, MpcClose, MpcCreation, MpcId, Owners, PartySignature, Signature,
    SignedUpdate, Timestamp, TpcId,
};
use std::collections::{BTreeMap, BTreeSet};

/// The most groups that a coordinator has in the making.
const MAX_FORMING: usize = 256;

/// The most bytes of updates that one introduction shows; more are shown in further ones.
const MAX_SHOWN: usize = 256 << 10;

/// A group that this account has channels in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Membership {
    /// Who leads its rounds.
    pub coordinator: AccountId,
    /// In which term: it signs for no other.
    pub term: Term,
    /// Whether it is on chain.
    pub registered: bool,
    /// What it has signed to form it, until all have.
    pub(crate) forming: Option<Forming>,
    /// What it has signed to close it.
    pub(crate) closing: Option<Closing>,
    /// Whether the coordinator knows this member's channels.
    pub(crate) welcomed: bool,
    /// Whether it is known by a peer's word alone, with which a channel has joined.
    pub(crate) heard: bool,
}

/// A group in the making, as a member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Forming {
    creation: MpcCreation,
    owners: Vec<Owners>,
    own: Signature,
    /// Whether this member brings it to the chain.
    initiator: bool,
}

/// The closing of a group, as a member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Closing {
    close: MpcClose,
    own: Signature,
    initiator: bool,
}

impl Record for Membership {
    const KIND: u8 = 9;
    type Key = MpcId;
}

impl Membership {
    /// Whether it has signed something for the group that is not decided.
    pub(crate) fn is_waiting(&self) -> bool {
        self.forming.is_some() || self.closing.is_some()
    }

    /// Whether the group exists.
    pub fn is_open(&self) -> bool {
        self.forming.is_none()
    }

    pub(crate) fn leadership(&self) -> Leadership {
        Leadership { coordinator: self.coordinator, term: self.term, registered: self.registered }
    }
}

/// A group that this account coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Led {
    term: Term,
    registered: bool,
    stage: Stage,
    /// What has formed it, until that has expired: for members that have not heard.
    formed: Option<(Timestamp, Answers)>,
    /// Whether this account has not seen it formed, and knows it by its members' word.
    heard: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Stage {
    Forming {
        creation: MpcCreation,
        owners: Vec<Owners>,
        initiator: AccountId,
        answers: Answers,
        standings: Vec<Standing>,
    },
    Open,
    Closing {
        close: MpcClose,
        initiator: AccountId,
        answers: Answers,
    },
    /// All have signed the closing.
    Closed {
        close: MpcClose,
        answers: Answers,
    },
}

type Answers = BTreeMap<AccountId, Signature>;

impl Record for Led {
    const KIND: u8 = 14;
    type Key = MpcId;
}

impl Led {
    /// Whether it is on chain.
    pub fn is_registered(&self) -> bool {
        self.registered
    }

    /// Whether the group exists, and is not being closed.
    pub fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Forming { .. })
    }

    pub(crate) fn term(&self) -> Term {
        self.term
    }
}

impl Step<'_> {
    fn creation_payload(&self, creation: &MpcCreation, registered: bool) -> [u8; 32] {
        let payload = Action::CreateMpc(creation).payload(&Native, &self.engine.domain);
        match registered {
            true => payload,
            false => Native.blake2_256(&(OFF_CHAIN, payload).encode()),
        }
    }

    fn close_payload(&self, close: &MpcClose, registered: bool) -> [u8; 32] {
        let payload = Action::CloseMpc(close).payload(&Native, &self.engine.domain);
        match registered {
            true => payload,
            false => Native.blake2_256(&(OFF_CHAIN, payload).encode()),
        }
    }

    pub(crate) fn propose_mpc(
        &mut self,
        mut channels: Vec<(Owners, u32)>,
        coordinator: AccountId,
        registered: bool,
        valid_until: Timestamp,
    ) -> Result<Answer, Refusal> {
        channels.sort_by_key(|(owners, _)| owners.tpc(&Native));
        let members = channels.iter().map(|(owners, count)| Member { tpc: owners.tpc(&Native), registrations: *count });
        let creation = MpcCreation { members: members.collect(), valid_until };
        let owners: Vec<_> = channels.into_iter().map(|(owners, _)| owners).collect();
        let mpc = creation.id(&Native, &self.engine.domain);
        self.check_mpc(mpc, &creation, &owners)?;
        let own = self.sign_mpc(&creation, registered);
        let forming = Some(Forming { creation, owners, own, initiator: true });
        let membership =
            Membership { coordinator, term: 0, registered, forming, closing: None, welcomed: false, heard: false };
        self.engine.memberships.insert(mpc, membership);
        self.wait_for(Waits::Forming(mpc));
        self.form_again(mpc);
        Ok(Answer::Mpc(mpc))
    }

    fn sign_mpc(&mut self, creation: &MpcCreation, registered: bool) -> Signature {
        let payload = self.creation_payload(creation, registered);
        self.sign(&payload)
    }

    /// What each member checks before it signs a group.
    fn check_mpc(&self, mpc: MpcId, creation: &MpcCreation, owners: &[Owners]) -> Result<(), Reason> {
        let (now, policy) = (self.engine.now(), self.engine.policy());
        if now > creation.valid_until || creation.valid_until > now.saturating_add(policy.max_validity) {
            return Err(Reason::BadTime);
        }
        let tpcs = creation.members.iter().map(|member| &member.tpc);
        if !are_well_formed(tpcs, owners, |tpc, owners| owners.tpc(&Native) == *tpc) {
            return Err(Reason::WrongOwners);
        }
        let mut own = creation.members.iter().zip(owners).filter(|(_, owners)| self.engine.owns(owners)).peekable();
        if own.peek().is_none() {
            return Err(Reason::WrongOwners);
        }
        for (member, owners) in own {
            if owners.window < policy.min_window {
                return Err(Reason::ShortWindow(member.tpc));
            }
            let channel = self.engine.channels.get(&member.tpc).ok_or(Reason::NotOnChain(member.tpc))?;
            rules::register(&channel.tpc(), member, Some(mpc))?;
            let forming = self.engine.is_forming(&member.tpc, Some(&mpc));
            if channel.mpc.is_some() || channel.agreement.is_some() || forming {
                return Err(Reason::InFlight(member.tpc));
            }
            if channel.on_chain.dispute.is_some() {
                return Err(Reason::Disputed(member.tpc));
            }
        }
        Ok(())
    }

    /// Sends again what forms or closes a group.
    pub(crate) fn form_again(&mut self, mpc: MpcId) {
        let Some(member) = self.engine.memberships.get(&mpc).filter(|member| member.is_waiting()).cloned() else {
            return self.stop_waiting(&Waits::Forming(mpc));
        };
        let party = self.engine.account;
        let coordinator = member.coordinator;
        if let Some(Forming { creation, owners, own, initiator }) = member.forming {
            let standings = self.standings(creation.members.iter().map(|member| &member.tpc));
            if initiator {
                let by = PartySignature { party, signature: own };
                let registered = member.registered;
                let message = Message::MpcCreate { creation, coordinator, registered, owners, by, standings };
                self.send(coordinator, message);
            } else {
                self.send(coordinator, Message::MpcCreateAgree { mpc, signature: own, standings });
            }
        }
        if let Some(Closing { close, own, initiator }) = member.closing {
            if initiator {
                let by = PartySignature { party, signature: own };
                self.send(coordinator, Message::MpcClose { close, by });
            } else {
                self.send(coordinator, Message::MpcCloseAgree { mpc, signature: own });
            }
        }
    }

    fn standings<'a>(&self, tpcs: impl Iterator<Item = &'a TpcId>) -> Vec<Standing> {
        let own = tpcs.filter(|tpc| self.engine.is_own(tpc)).filter_map(|tpc| self.engine.channels.get(tpc));
        own.map(Channel::standing).collect()
    }

    /// A group is to be formed: as its coordinator, this account asks the members; as a member, it signs.
    pub(crate) fn mpc_create(&mut self, from: AccountId, message: Message, approved: bool) {
        let Message::MpcCreate { creation, coordinator, by, .. } = &message else { return };
        let mpc = creation.id(&Native, &self.engine.domain);
        if by.party == from && *coordinator == self.engine.account {
            return self.form(from, mpc, message, approved);
        }
        if *coordinator != from {
            return self.ignore("a group that its sender does not coordinate");
        }
        self.enter(from, mpc, message, approved);
    }

    fn form(&mut self, from: AccountId, mpc: MpcId, message: Message, approved: bool) {
        let Message::MpcCreate { creation, registered, owners, by, standings, .. } = message.clone() else {
            return;
        };
        if let Some(led) = self.engine.led.get(&mpc) {
            // Those who have not answered are asked again; the initiator hears again how it ended.
            match &led.stage {
                Stage::Forming { answers, .. } => {
                    let answered: BTreeSet<_> = answers.keys().copied().collect();
                    self.ask_members(&message, &answered);
                }
                _ => self.tell_formed(from, mpc),
            }
            return;
        }
        let forming = self.engine.led.iter().filter(|(_, led)| !led.is_open()).count();
        let allowed = self.engine.policy().coordinate || from == self.engine.account;
        let known = owners.iter().any(|owners| owners.parties.contains(&from));
        let tpcs = creation.members.iter().map(|member| &member.tpc);
        let well_formed = are_well_formed(tpcs, &owners, |tpc, owners| owners.tpc(&Native) == *tpc);
        let (now, policy) = (self.engine.now(), self.engine.policy());
        let valid = (now..=now.saturating_add(policy.max_validity)).contains(&creation.valid_until);
        // The signature comes last: it is what costs.
        let refusal = if !allowed {
            Some(Reason::Declined)
        } else if forming >= MAX_FORMING {
            Some(Reason::Full)
        } else if !known || !well_formed {
            Some(Reason::WrongOwners)
        } else if !valid {
            Some(Reason::BadTime)
        } else if !self.signer.verify(&self.creation_payload(&creation, registered), &from, &by.signature) {
            Some(protocol::Error::BadSignature(from).into())
        } else {
            None
        };
        if let Some(reason) = refusal {
            return self.send(from, Message::MpcCreateFailed { mpc, reason });
        }
        let unknown: Vec<_> = creation
            .members
            .iter()
            .filter(|member| self.engine.on_chain(&member.tpc).is_none())
            .map(|member| (member.tpc, 0))
            .collect();
        if !unknown.is_empty() {
            return self.park(from, message, approved, unknown);
        }
        let wrong = creation.members.iter().find(|member| {
            let chain = self.engine.on_chain(&member.tpc);
            chain.is_none_or(|chain| chain.gone || chain.registrations != member.registrations || chain.mpc.is_some())
                || self.engine.channels.get(&member.tpc).is_some_and(|channel| channel.mpc.is_some())
        });
        if let Some(member) = wrong {
            let reason = Reason::NotOnChain(member.tpc);
            return self.send(from, Message::MpcCreateFailed { mpc, reason });
        }
        let answers = Answers::from([(from, by.signature)]);
        let standings = own_standings(&creation, &owners, from, standings);
        let stage = Stage::Forming { creation, owners, initiator: from, answers, standings };
        self.engine.led.insert(mpc, Led { term: 0, registered, stage, formed: None, heard: false });
        self.ask_members(&message, &BTreeSet::from([from]));
        self.formed(mpc);
    }

    fn ask_members(&mut self, message: &Message, answered: &BTreeSet<AccountId>) {
        let Message::MpcCreate { creation, coordinator, registered, owners, by, .. } = message else { return };
        let members: BTreeSet<_> = owners.iter().flat_map(|owners| owners.parties).collect();
        for member in members.difference(answered) {
            let message = Message::MpcCreate {
                creation: creation.clone(),
                coordinator: *coordinator,
                registered: *registered,
                owners: owners.clone(),
                by: *by,
                standings: vec![],
            };
            self.send(*member, message);
        }
    }

    fn enter(&mut self, from: AccountId, mpc: MpcId, message: Message, approved: bool) {
        let Message::MpcCreate { creation, coordinator, registered, owners, by, .. } = message.clone() else { return };
        if let Some(member) = self.engine.memberships.get(&mpc).filter(|member| !member.heard) {
            if member.coordinator == from {
                self.form_again(mpc);
            }
            return;
        }
        if let Err(reason) = self.check_mpc(mpc, &creation, &owners) {
            return self.reject(from, &message, reason);
        }
        let known = owners.iter().any(|owners| owners.parties.contains(&by.party));
        if !known || !self.signer.verify(&self.creation_payload(&creation, registered), &by.party, &by.signature) {
            return self.reject(from, &message, protocol::Error::BadSignature(by.party).into());
        }
        if !approved && !self.engine.policy().enter_groups {
            return self.request(from, message, Wants::Group(mpc));
        }
        // What a peer has called by this group's name is another: this one is only being formed.
        let named: Vec<_> = self.engine.channels().filter(|(_, channel)| channel.mpc == Some(mpc)).collect();
        let named: Vec<_> = named.into_iter().map(|(tpc, _)| *tpc).collect();
        named.iter().for_each(|tpc| self.out_of_group(mpc, tpc));
        self.stop_waiting(&Waits::Welcome(mpc));
        let own = self.sign_mpc(&creation, registered);
        let forming = Some(Forming { creation, owners, own, initiator: false });
        let membership =
            Membership { coordinator, term: 0, registered, forming, closing: None, welcomed: false, heard: false };
        self.engine.memberships.insert(mpc, membership);
        self.wait_for(Waits::Forming(mpc));
        self.form_again(mpc);
    }

    pub(crate) fn mpc_create_agreed(
        &mut self,
        from: AccountId,
        mpc: MpcId,
        signature: Signature,
        new_standings: Vec<Standing>,
    ) {
        let Some(led) = self.engine.led.get(&mpc).cloned() else {
            return self.send(from, Message::MpcCreateFailed { mpc, reason: Reason::UnknownGroup });
        };
        let Stage::Forming { creation, owners, .. } = &led.stage else {
            return self.tell_formed(from, mpc);
        };
        let named = owners.iter().any(|owners| owners.parties.contains(&from));
        let payload = self.creation_payload(creation, led.registered);
        if !named || !self.signer.verify(&payload, &from, &signature) {
            return self.ignore("a signature for a group that is not its sender's");
        }
        let Some(Led { stage: Stage::Forming { answers, standings, owners, creation, .. }, .. }) =
            self.engine.led.change(&mpc)
        else {
            return;
        };
        if answers.insert(from, signature).is_none() {
            standings.extend(own_standings(creation, owners, from, new_standings));
        }
        self.formed(mpc);
    }

    /// Tells a member again that all have signed.
    fn tell_formed(&mut self, to: AccountId, mpc: MpcId) {
        if let Some((_, answers)) = self.engine.led.get(&mpc).and_then(|led| led.formed.as_ref()) {
            let signatures = listed(answers);
            self.send(to, Message::MpcCreated { mpc, signatures });
        }
    }

    /// All members have signed: the group exists.
    fn formed(&mut self, mpc: MpcId) {
        let Some(Led { stage: Stage::Forming { creation, owners, answers, standings, .. }, .. }) =
            self.engine.led.get(&mpc)
        else {
            return;
        };
        let members: BTreeSet<_> = owners.iter().flat_map(|owners| owners.parties).collect();
        if answers.len() < members.len() {
            return;
        }
        let signatures: Vec<_> =
            answers.iter().map(|(party, signature)| PartySignature { party: *party, signature: *signature }).collect();
        let (creation, owners, standings) = (creation.clone(), owners.clone(), standings.clone());
        if let Some(led) = self.engine.led.change(&mpc) {
            if let Stage::Forming { creation, answers, .. } = std::mem::replace(&mut led.stage, Stage::Open) {
                led.formed = Some((creation.valid_until, answers));
            }
        }
        for (member, owners) in creation.members.iter().zip(owners) {
            self.seat(mpc, member.tpc, owners, [true; 2], &standings);
        }
        for member in members {
            self.send(member, Message::MpcCreated { mpc, signatures: signatures.clone() });
        }
    }

    /// A channel takes part in the rounds of a group that this account coordinates.
    fn seat(&mut self, mpc: MpcId, tpc: TpcId, owners: Owners, introduced: [bool; 2], standings: &[Standing]) {
        if !self.engine.channels.contains(&tpc) {
            let Some(foreign) = self.engine.foreign.remove(&tpc) else { return };
            self.engine.channels.insert(tpc, Channel::new(tpc, owners, foreign.on_chain));
        }
        let own = self.engine.is_own(&tpc);
        if let Some(channel) = self.engine.channels.change(&tpc) {
            channel.mpc = Some(mpc);
            channel.introduced = introduced;
            let told = || standings.iter().filter(|standing| standing.latest.tpc == tpc);
            // Of two words about the newest state the lower one is known to both.
            let lowest = told().map(|standing| standing.latest).min_by_key(|latest| latest.order());
            if let Some(latest) = lowest.filter(|latest| !own && latest.total() == channel.latest.total()) {
                if introduced == [true; 2] {
                    channel.reach(&latest, None);
                }
            }
            for standing in told() {
                channel.learn(standing.latest.epoch, standing.signed.max(standing.latest.version));
            }
        }
        self.engine.seats.entry(mpc).or_default().insert(tpc);
        self.engine.planners.forget(&mpc);
    }

    pub(crate) fn mpc_create_rejected(&mut self, from: AccountId, mpc: MpcId, reason: Reason) {
        let Some(Led { stage: Stage::Forming { owners, .. }, .. }) = self.engine.led.get(&mpc) else { return };
        if !owners.iter().any(|owners| owners.parties.contains(&from)) || matches!(reason, Reason::Reserved(_)) {
            return;
        }
        self.fail_forming(mpc, reason);
    }

    fn fail_forming(&mut self, mpc: MpcId, reason: Reason) {
        let Some(Led { stage: Stage::Forming { owners, .. }, .. }) = self.engine.led.get(&mpc).cloned() else { return };
        self.engine.led.remove(&mpc);
        let members: BTreeSet<_> = owners.iter().flat_map(|owners| owners.parties).collect();
        for member in members {
            self.send(member, Message::MpcCreateFailed { mpc, reason: reason.clone() });
        }
    }

    pub(crate) fn mpc_created(&mut self, from: AccountId, mpc: MpcId, signatures: Vec<PartySignature>) {
        let Some(member) = self.engine.memberships.get(&mpc).filter(|member| member.coordinator == from).cloned()
        else {
            return self.ignore("a group that this party has not signed");
        };
        let Some(Forming { creation, owners, own, initiator }) = member.forming else { return };
        let payload = self.creation_payload(&creation, member.registered);
        if !self.are_all(&payload, &owners, Some(own), &signatures) {
            return self.ignore("the signatures are not those of all owners");
        }
        let tpcs: Vec<_> = creation.members.iter().map(|member| member.tpc).collect();
        self.opened(mpc, &tpcs, true);
        if initiator && member.registered {
            if let Some(first) = creation.members.first().copied() {
                let purpose = Purpose::Register(first.tpc, first.registrations);
                let deadline = Some(creation.valid_until);
                self.call(abi::CreateMpc { creation, signatures }.into(), 0, purpose, deadline);
            }
        }
    }

    /// The group exists, and its coordinator leads this account's channels in it.
    fn opened(&mut self, mpc: MpcId, tpcs: &[TpcId], welcomed: bool) {
        self.stop_waiting(&Waits::Forming(mpc));
        if let Some(member) = self.engine.memberships.change(&mpc) {
            member.forming = None;
            member.welcomed = welcomed;
        }
        for tpc in tpcs {
            if self.engine.is_own(tpc) {
                if let Some(channel) = self.engine.channels.change(tpc) {
                    channel.mpc = Some(mpc);
                }
                self.ask_coordinator(tpc);
            }
        }
        self.tell(Notice::MpcCreated(mpc));
    }

    pub(crate) fn mpc_create_failed(&mut self, from: AccountId, mpc: MpcId, reason: Reason) {
        let member = self.engine.memberships.get(&mpc).filter(|member| member.coordinator == from);
        if member.is_some_and(|member| member.forming.is_some()) {
            self.not_formed(mpc);
            self.stop_waiting(&Waits::Forming(mpc));
            self.tell(Notice::MpcCreateFailed(mpc, reason));
        }
    }

    /// Forgets a group in the making. Others may take it for formed, and are told that this account's channels are not in it.
    fn not_formed(&mut self, mpc: MpcId) {
        let Some(Membership { coordinator, forming, .. }) = self.engine.memberships.remove(&mpc) else { return };
        for Member { tpc, .. } in forming.into_iter().flat_map(|forming| forming.creation.members) {
            if self.engine.is_own(&tpc) {
                if let Some(channel) = self.engine.channels.change(&tpc).filter(|channel| channel.mpc.is_none()) {
                    (channel.left, channel.led_by) = (Some(mpc), Some(coordinator));
                }
            }
        }
    }

    pub(crate) fn propose_mpc_close(
        &mut self,
        mpc: MpcId,
        channels: Vec<(TpcId, u32)>,
        valid_until: Timestamp,
    ) -> Result<Answer, Refusal> {
        let registered = self.engine.memberships.get(&mpc).ok_or(Refusal::UnknownGroup(mpc))?.registered;
        let mut members: Vec<_> =
            channels.into_iter().map(|(tpc, registrations)| Member { tpc, registrations }).collect();
        members.sort_by_key(|member| member.tpc);
        let close = MpcClose { mpc, members, valid_until };
        self.check_close(&close)?;
        self.sign_close(close, registered, true);
        Ok(Answer::Done)
    }

    fn sign_close(&mut self, close: MpcClose, registered: bool, initiator: bool) {
        let mpc = close.mpc;
        let payload = self.close_payload(&close, registered);
        let own = self.sign(&payload);
        if let Some(member) = self.engine.memberships.change(&mpc) {
            member.closing = Some(Closing { close, own, initiator });
        }
        self.wait_for(Waits::Forming(mpc));
        self.form_again(mpc);
    }

    fn check_close(&self, close: &MpcClose) -> Result<(), Reason> {
        let (now, policy) = (self.engine.now(), self.engine.policy());
        if now > close.valid_until || close.valid_until > now.saturating_add(policy.max_validity) {
            return Err(Reason::BadTime);
        }
        rules::check_ascending(close.members.iter().map(|member| &member.tpc))?;
        let own = self.engine.channels().filter(|(_, channel)| channel.mpc == Some(close.mpc));
        for (tpc, channel) in own {
            let named = close.members.iter().find(|member| member.tpc == *tpc);
            if named.is_none_or(|member| member.registrations != channel.on_chain.registrations) {
                return Err(Reason::NotOnChain(*tpc));
            }
        }
        Ok(())
    }

    /// A group is to be closed: as its coordinator, this account asks the members; as a member, it signs.
    pub(crate) fn mpc_close(&mut self, from: AccountId, close: MpcClose, by: PartySignature) {
        let mpc = close.mpc;
        let member = self.engine.memberships.get(&mpc);
        let asked = member.filter(|member| member.coordinator == from && by.party != self.engine.account).cloned();
        match (asked, self.engine.led.contains(&mpc)) {
            (_, true) if by.party == from => self.collect_close(from, close, by),
            (Some(member), _) => self.enter_close(from, &member, close, by),
            _ => self.send(from, Message::MpcCloseFailed { mpc, reason: Reason::UnknownGroup }),
        }
    }

    fn collect_close(&mut self, from: AccountId, close: MpcClose, by: PartySignature) {
        let mpc = close.mpc;
        let Some(led) = self.engine.led.get(&mpc).cloned() else { return };
        match &led.stage {
            Stage::Closing { close: known, answers, .. } if *known == close => {
                let answered: BTreeSet<_> = answers.keys().copied().collect();
                self.ask_to_close(&close, by, &answered);
                return self.closed_by_all(mpc);
            }
            Stage::Closed { close: known, answers } if *known == close => {
                let signatures = listed(answers);
                return self.send(from, Message::MpcClosed { mpc, signatures });
            }
            _ => {}
        }
        let seats = self.engine.seats.get(&mpc).cloned().unwrap_or_default();
        let members = self.engine.members(&mpc);
        let payload = self.close_payload(&close, led.registered);
        let reason = if !members.contains(&from) || !self.signer.verify(&payload, &from, &by.signature) {
            Some(protocol::Error::BadSignature(from).into())
        } else if !seats.iter().eq(close.members.iter().map(|member| &member.tpc)) {
            let expected = u32::try_from(seats.len()).unwrap_or(u32::MAX);
            Some(protocol::Error::ChannelsMissing { expected }.into())
        } else if let Some(tpc) = seats.iter().find(|tpc| self.engine.is_in_round(tpc)) {
            Some(Reason::InFlight(*tpc))
        } else if led.stage != Stage::Open {
            Some(Reason::Full)
        } else {
            None
        };
        if let Some(reason) = reason {
            return self.send(from, Message::MpcCloseFailed { mpc, reason });
        }
        let answers = Answers::from([(from, by.signature)]);
        if let Some(led) = self.engine.led.change(&mpc) {
            led.stage = Stage::Closing { close: close.clone(), initiator: from, answers };
        }
        self.ask_to_close(&close, by, &BTreeSet::from([from]));
        self.closed_by_all(mpc);
    }

    fn ask_to_close(&mut self, close: &MpcClose, by: PartySignature, answered: &BTreeSet<AccountId>) {
        for member in self.engine.members(&close.mpc).difference(answered) {
            self.send(*member, Message::MpcClose { close: close.clone(), by });
        }
    }

    fn enter_close(&mut self, from: AccountId, member: &Membership, close: MpcClose, by: PartySignature) {
        let mpc = close.mpc;
        if member.closing.as_ref().is_some_and(|closing| closing.close == close) {
            return self.form_again(mpc);
        }
        let payload = self.close_payload(&close, member.registered);
        let checked =
            self.check_close(&close).and_then(|()| match self.signer.verify(&payload, &by.party, &by.signature) {
                true => Ok(()),
                false => Err(protocol::Error::BadSignature(by.party).into()),
            });
        match checked {
            Ok(()) => self.sign_close(close, member.registered, false),
            Err(reason) => self.send(from, Message::MpcCloseReject { mpc, reason }),
        }
    }

    pub(crate) fn mpc_close_agreed(&mut self, from: AccountId, mpc: MpcId, signature: Signature) {
        let Some(led) = self.engine.led.get(&mpc).cloned() else {
            return self.send(from, Message::MpcCloseFailed { mpc, reason: Reason::UnknownGroup });
        };
        match &led.stage {
            Stage::Closed { answers, .. } => {
                let signatures = listed(answers);
                return self.send(from, Message::MpcClosed { mpc, signatures });
            }
            Stage::Closing { close, .. } => {
                let payload = self.close_payload(close, led.registered);
                if !self.engine.members(&mpc).contains(&from) || !self.signer.verify(&payload, &from, &signature) {
                    return self.ignore("a signature for a closing that is not its sender's");
                }
            }
            _ => return self.send(from, Message::MpcCloseFailed { mpc, reason: Reason::UnknownGroup }),
        }
        if let Some(Led { stage: Stage::Closing { answers, .. }, .. }) = self.engine.led.change(&mpc) {
            answers.insert(from, signature);
        }
        self.closed_by_all(mpc);
    }

    fn closed_by_all(&mut self, mpc: MpcId) {
        let members = self.engine.members(&mpc);
        let Some(Led { stage: Stage::Closing { close, answers, .. }, .. }) = self.engine.led.get(&mpc) else { return };
        let seats = self.engine.seats.get(&mpc);
        if answers.len() < members.len() || seats.into_iter().flatten().any(|tpc| self.engine.is_in_round(tpc)) {
            // Rounds that are on their way come to an end first; the members go on asking.
            return;
        }
        let (close, answers) = (close.clone(), answers.clone());
        let signatures = listed(&answers);
        for member in members {
            self.send(member, Message::MpcClosed { mpc, signatures: signatures.clone() });
        }
        let tpcs: Vec<_> = close.members.iter().map(|member| member.tpc).collect();
        if let Some(led) = self.engine.led.change(&mpc) {
            led.stage = Stage::Closed { close, answers };
        }
        tpcs.iter().for_each(|tpc| self.leave_seat(mpc, tpc));
    }

    pub(crate) fn mpc_close_rejected(&mut self, from: AccountId, mpc: MpcId, reason: Reason) {
        let members = self.engine.members(&mpc);
        let Some(led) = self.engine.led.change(&mpc).filter(|led| matches!(led.stage, Stage::Closing { .. })) else {
            return;
        };
        if !members.contains(&from) {
            return;
        }
        led.stage = Stage::Open;
        for member in members {
            self.send(member, Message::MpcCloseFailed { mpc, reason: reason.clone() });
        }
        self.start_group_rounds(mpc);
    }

    pub(crate) fn mpc_closed(&mut self, from: AccountId, mpc: MpcId, signatures: Vec<PartySignature>) {
        let Some(member) = self.engine.memberships.get(&mpc).filter(|member| member.coordinator == from).cloned()
        else {
            return;
        };
        let Some(Closing { close, own, initiator }) = member.closing else { return };
        let payload = self.close_payload(&close, member.registered);
        let others: Vec<_> = signatures.iter().filter(|signed| signed.signature != own).copied().collect();
        // Who else is in the group only the coordinator knows; the contract checks that all have signed.
        if !self.signer.verify_all(&payload, &others) {
            return self.ignore("a signature of the closing is not its signer's");
        }
        let own: Vec<TpcId> =
            close.members.iter().map(|member| member.tpc).filter(|tpc| self.engine.is_own(tpc)).collect();
        own.iter().for_each(|tpc| self.out_of_group(mpc, tpc));
        self.engine.memberships.remove(&mpc);
        self.stop_waiting(&Waits::Forming(mpc));
        self.stop_waiting(&Waits::Welcome(mpc));
        self.tell(Notice::MpcClosed(mpc));
        if initiator && member.registered {
            if let Some(first) = close.members.first().copied() {
                // The count of a channel that somebody else's is not known here: one of its own tells.
                let counted = close.members.iter().find(|member| own.contains(&member.tpc)).copied().unwrap_or(first);
                let purpose = Purpose::Register(counted.tpc, counted.registrations);
                let deadline = Some(close.valid_until);
                self.call(abi::CloseMpc { close, signatures }.into(), 0, purpose, deadline);
            }
        }
        self.start_rounds(&own.into_iter().collect());
    }

    pub(crate) fn mpc_close_failed(&mut self, from: AccountId, mpc: MpcId, reason: Reason) {
        let Some(member) = self.engine.memberships.change(&mpc).filter(|member| member.coordinator == from) else {
            return;
        };
        if member.closing.take().is_some() {
            self.stop_waiting(&Waits::Forming(mpc));
            self.tell(Notice::MpcCloseFailed(mpc, reason));
        }
    }

    /// Forgets what has expired before all have signed it.
    pub(crate) fn expire_groups(&mut self, now: Timestamp) {
        let expired = |member: &Membership| {
            member.forming.as_ref().is_some_and(|forming| now > forming.creation.valid_until)
                || member.closing.as_ref().is_some_and(|closing| now > closing.close.valid_until)
        };
        let over: Vec<_> =
            self.engine.memberships.iter().filter(|(_, member)| expired(member)).map(|(mpc, _)| *mpc).collect();
        for mpc in over {
            let Some(member) = self.engine.memberships.change(&mpc) else { continue };
            member.closing = None;
            if member.forming.is_some() {
                self.not_formed(mpc);
                self.tell(Notice::MpcCreateFailed(mpc, Reason::BadTime));
            }
            self.stop_waiting(&Waits::Forming(mpc));
        }
        let over = |led: &Led| led.formed.as_ref().is_some_and(|(valid_until, _)| now > *valid_until);
        let heard: Vec<_> = self.engine.led.iter().filter(|(_, led)| over(led)).map(|(mpc, _)| *mpc).collect();
        for mpc in heard {
            if let Some(led) = self.engine.led.change(&mpc) {
                led.formed = None;
            }
        }
        let expired = |led: &Led| match &led.stage {
            Stage::Forming { creation, .. } => now > creation.valid_until,
            Stage::Closing { close, .. } | Stage::Closed { close, .. } => now > close.valid_until,
            Stage::Open => false,
        };
        let over: Vec<_> = self.engine.led.iter().filter(|(_, led)| expired(led)).map(|(mpc, _)| *mpc).collect();
        for mpc in over {
            let Some(led) = self.engine.led.change(&mpc) else { continue };
            match led.stage {
                Stage::Closing { .. } => led.stage = Stage::Open,
                _ => drop(self.engine.led.remove(&mpc)),
            }
        }
    }

    pub(crate) fn set_coordinator(
        &mut self,
        mpc: MpcId,
        coordinator: AccountId,
        term: Term,
    ) -> Result<Answer, Refusal> {
        let member = self.engine.memberships.change(&mpc).ok_or(Refusal::UnknownGroup(mpc))?;
        if term <= member.term {
            return Err(Refusal::OldTerm(member.term));
        }
        (member.coordinator, member.term, member.welcomed) = (coordinator, term, false);
        self.wait_for(Waits::Welcome(mpc));
        self.introduce(coordinator, mpc);
        Ok(Answer::Done)
    }

    /// A coordinator asks for this account's channels in a group.
    pub(crate) fn asked_who(&mut self, from: AccountId, mpc: MpcId) {
        if self.engine.memberships.contains(&mpc) {
            return self.introduce(from, mpc);
        }
        let left = |(_, channel): &(&TpcId, &Channel)| channel.mpc.is_none() && channel.left == Some(mpc);
        let left: Vec<_> = self.engine.channels().filter(left).map(|(tpc, _)| *tpc).collect();
        left.into_iter().for_each(|tpc| self.send(from, Message::Left { mpc, tpc }));
    }

    /// Tells the coordinator which channels of this account are in its group, and what this account holds over them.
    pub(crate) fn introduce(&mut self, to: AccountId, mpc: MpcId) {
        let Some(member) =
            self.engine.memberships.get(&mpc).filter(|member| member.coordinator == to && member.is_open())
        else {
            return;
        };
        let (term, registered) = (member.term, member.registered);
        let own: Vec<_> = self.engine.channels().filter(|(_, channel)| channel.mpc == Some(mpc)).collect();
        let channels: Vec<_> = own
            .iter()
            .map(|(_, channel)| Introduced { owners: channel.owners, standing: channel.standing() })
            .collect();
        let ids: BTreeSet<_> = own.iter().filter_map(|(tpc, _)| self.engine.naming.get(tpc)).flatten().collect();
        let held = ids.into_iter().filter_map(|id| self.engine.held.get(id)).map(|held| self.engine.show_held(held));
        let mut messages = vec![(channels, vec![])];
        let mut size = 0;
        for shown in held {
            size += shown.encoded_size();
            if size > MAX_SHOWN {
                size = shown.encoded_size();
                messages.push((vec![], vec![]));
            }
            if let Some((_, held)) = messages.last_mut() {
                held.push(shown);
            }
        }
        for (channels, held) in messages.into_iter().rev() {
            self.send(to, Message::Introduce { mpc, term, registered, channels, held });
        }
    }

    pub(crate) fn introduced(
        &mut self,
        from: AccountId,
        mpc: MpcId,
        term: Term,
        registered: bool,
        channels: Vec<Introduced>,
        held: Vec<Shown>,
    ) {
        let proves = |channel: &Introduced| {
            channel.owners.parties.contains(&from) && channel.owners.tpc(&Native) == channel.standing.latest.tpc
        };
        let fits = channels.len() <= protocol::state::MAX_CHANNELS * 64 && channels.iter().all(proves);
        let known = self.engine.led.get(&mpc);
        let allowed = self.engine.policy().coordinate || from == self.engine.account || known.is_some();
        if !fits || !allowed || known.is_some_and(|led| led.term > term || !led.is_open()) {
            return self.ignore("an introduction to a group that this account does not coordinate");
        }
        let unknown: Vec<_> = channels
            .iter()
            .map(|channel| channel.standing.latest)
            .filter(|latest| self.engine.on_chain(&latest.tpc).is_none())
            .map(|latest| (latest.tpc, latest.epoch))
            .collect();
        if !unknown.is_empty() {
            let message = Message::Introduce { mpc, term, registered, channels, held };
            return self.park(from, message, false, unknown);
        }
        let seats = self.engine.seats.get(&mpc).into_iter().flatten().filter_map(|tpc| self.engine.channels.get(tpc));
        let seated = seats.into_iter().any(|channel| channel.owners.parties.contains(&from));
        let live = channels.iter().any(|channel| {
            let tpc = channel.standing.latest.tpc;
            let elsewhere =
                self.engine.channels.get(&tpc).and_then(|channel| channel.mpc).is_some_and(|other| other != mpc);
            !elsewhere && self.engine.on_chain(&tpc).is_some_and(|chain| !chain.gone)
        });
        match self.engine.led.change(&mpc) {
            Some(led) if led.term < term && seated => led.term = term,
            Some(led) if led.term < term => return,
            Some(_) => {}
            None if !live => return,
            None => {
                self.engine.led.insert(mpc, Led { term, registered, stage: Stage::Open, formed: None, heard: true })
            }
        }
        let mut welcome = vec![];
        let mut silent = BTreeSet::new();
        let heard = self.engine.led.get(&mpc).is_some_and(|led| led.heard);
        let mut members = self.engine.members(&mpc);
        for Introduced { owners, standing } in channels {
            let tpc = standing.latest.tpc;
            let seated = self.engine.seats.get(&mpc).is_some_and(|seats| seats.contains(&tpc));
            let registered = self.engine.on_chain(&tpc).is_some_and(|chain| chain.mpc == Some(mpc));
            // Whoever brings a further channel into a group is in it already, unless nobody is.
            if !heard
                && !members.is_empty()
                && !seated
                && !registered
                && !owners.parties.iter().any(|party| members.contains(party))
            {
                continue;
            }
            members.extend(owners.parties);
            let elsewhere =
                self.engine.channels.get(&tpc).and_then(|channel| channel.mpc).is_some_and(|other| other != mpc);
            if elsewhere || self.engine.on_chain(&tpc).is_none_or(|chain| chain.gone) {
                continue;
            }
            let Some(index) = owners.parties.iter().position(|party| *party == from) else { continue };
            let mut introduced = match self.engine.channels.get(&tpc).filter(|channel| channel.mpc == Some(mpc)) {
                Some(channel) => channel.introduced,
                None => [false; 2],
            };
            let first = introduced == [false; 2];
            introduced[index] = true;
            let before = self.engine.channels.get(&tpc).map(|channel| channel.introduced);
            if before != Some(introduced) || self.engine.channels.get(&tpc).and_then(|channel| channel.mpc) != Some(mpc)
            {
                self.seat(mpc, tpc, owners, introduced, &[]);
                if !self.engine.is_own(&tpc) {
                    self.heard(&tpc, &standing, first);
                }
            }
            self.learn(from, &[standing]);
            welcome.push(tpc);
            if !introduced[1 - index] {
                silent.insert(owners.parties[1 - index]);
            }
        }
        for shown in held {
            self.learn_shown(from, mpc, shown);
        }
        // The other owners have to introduce their channels too.
        silent.into_iter().for_each(|owner| self.send(owner, Message::WhoAreYou { mpc }));
        if !welcome.is_empty() {
            self.send(from, Message::Welcome { mpc, term, channels: welcome.clone() });
        }
        self.start_rounds(&welcome.into_iter().collect());
    }

    /// One owner's word about the newest state of a channel: of both owners' the lower counts, unless a complete update shows
    /// the higher.
    fn heard(&mut self, tpc: &TpcId, standing: &Standing, first: bool) {
        let Some(channel) = self.engine.channels.change(tpc) else { return };
        let latest = standing.latest;
        if latest.epoch != channel.latest.epoch
            || latest.total() != channel.latest.total()
            || channel.rests_on.is_some()
        {
            return;
        }
        let on_chain = channel.on_chain.order;
        let lower = latest.version < channel.latest.version && latest.order() >= on_chain;
        let far = latest.version > channel.on_chain.order.1.saturating_add(crate::channel::MAX_VERSION_STEP);
        if ((first && latest.order() >= on_chain) || lower) && !far {
            channel.latest = latest;
        }
    }

    /// An update that a member holds over channels of a group.
    fn learn_shown(&mut self, from: AccountId, mpc: MpcId, shown: Shown) {
        let Shown { update, owners, signatures } = shown;
        let id = Action::Update(&update).payload(&Native, &self.engine.domain);
        let tpcs = update.entries.iter().map(|entry| &entry.tpc);
        let expected: BTreeSet<_> = owners.iter().flat_map(|owners| owners.parties).collect();
        if !are_well_formed(tpcs, &owners, |tpc, owners| owners.tpc(&Native) == *tpc) {
            return;
        }
        if signatures.len() == expected.len() {
            return self.missed(vec![SignedUpdate { update, owners, signatures }]);
        }
        if let Some(signed) = self.engine.held.get(&id).and_then(Held::signed) {
            // It has not heard that the update is complete.
            return self.send(from, Message::Missed { updates: vec![signed] });
        }
        let known = |tpc: &TpcId| self.engine.channels.get(tpc).is_some_and(|channel| channel.mpc == Some(mpc));
        let above = update.entries.iter().any(|entry| {
            let channel = self.engine.channels.get(&entry.tpc);
            channel.is_some_and(|channel| channel.latest.epoch == entry.epoch && channel.latest.version < entry.version)
        });
        if self.engine.leads.contains_key(&id) || !above || !update.entries.iter().all(|entry| known(&entry.tpc)) {
            return;
        }
        let good: Vec<_> = signatures
            .into_iter()
            .filter(|signed| {
                expected.contains(&signed.party) && self.signer.verify(&id, &signed.party, &signed.signature)
            })
            .collect();
        let bounded = update.entries.iter().all(|entry| {
            let channel = self.engine.channels.get(&entry.tpc);
            channel
                .is_some_and(|channel| entry.version <= channel.furthest() && entry.total() == channel.latest.total())
                && self.engine.hanging_on(&entry.tpc).len() < crate::round::MAX_HANGING
        });
        if bounded && good.iter().any(|signed| signed.party == from) {
            let term = self.engine.led.get(&mpc).map_or(0, Led::term);
            self.take_over(mpc, Right::Coordinator(mpc, term), id, update, owners, good);
        }
    }

    pub(crate) fn welcomed(&mut self, from: AccountId, mpc: MpcId, term: Term, channels: &[TpcId]) {
        let own: Vec<_> =
            self.engine.channels().filter(|(_, channel)| channel.mpc == Some(mpc)).map(|(tpc, _)| *tpc).collect();
        let Some(member) = self.engine.memberships.change(&mpc) else { return };
        if member.is_open()
            && member.coordinator == from
            && member.term == term
            && own.iter().all(|tpc| channels.contains(tpc))
        {
            member.welcomed = true;
            self.stop_waiting(&Waits::Welcome(mpc));
        }
    }

    /// This account's channels are led by a group from now on.
    pub(crate) fn lead_by_group(&mut self, mpc: MpcId, led: Leadership) {
        if !self.engine.memberships.contains(&mpc) {
            let Leadership { coordinator, term, registered } = led;
            let membership = Membership {
                coordinator,
                term,
                registered,
                forming: None,
                closing: None,
                welcomed: false,
                heard: true,
            };
            self.engine.memberships.insert(mpc, membership);
        }
    }

    /// A channel is in a group: its owners introduce it to the coordinator.
    pub(crate) fn entered(&mut self, mpc: MpcId, tpc: &TpcId) {
        let own = self.engine.own_channel(tpc).is_ok_and(|channel| channel.mpc != Some(mpc));
        let Some(member) = self.engine.memberships.get(&mpc).filter(|member| own && member.is_open()) else { return };
        let coordinator = member.coordinator;
        if let Some(member) = self.engine.memberships.change(&mpc) {
            member.welcomed = false;
        }
        if let Some(channel) = self.engine.channels.change(tpc) {
            channel.mpc = Some(mpc);
        }
        self.ask_coordinator(tpc);
        self.wait_for(Waits::Welcome(mpc));
        self.introduce(coordinator, mpc);
    }

    /// A channel has left a registered group.
    pub(crate) fn released(&mut self, mpc: MpcId, tpc: &TpcId) {
        self.leave_seat(mpc, tpc);
        self.out_of_group(mpc, tpc);
        self.forget_empty(mpc);
    }

    /// No group leads a channel of this account any more.
    fn out_of_group(&mut self, mpc: MpcId, tpc: &TpcId) {
        let coordinator = self.engine.memberships.get(&mpc).map(|member| member.coordinator);
        if let Some(channel) = self.engine.channels.change(tpc).filter(|channel| channel.mpc == Some(mpc)) {
            (channel.mpc, channel.led_by) = (None, coordinator.or(channel.led_by));
        }
    }

    /// Forgets a group that none of this account's channels is in any more.
    pub(crate) fn forget_empty(&mut self, mpc: MpcId) {
        let empty = !self.engine.channels().any(|(_, channel)| channel.mpc == Some(mpc));
        if empty && self.engine.memberships.get(&mpc).is_some_and(|member| !member.is_waiting()) {
            self.engine.memberships.remove(&mpc);
            self.stop_waiting(&Waits::Welcome(mpc));
        }
    }

    /// Takes a channel out of a group that is not on chain.
    pub(crate) fn leave_off_chain(&mut self, tpc: TpcId) -> Result<Answer, Refusal> {
        let channel = self.engine.own_channel(&tpc)?;
        let mpc = channel.mpc.ok_or(Reason::UnknownGroup)?;
        let peer = channel.peer(self.engine.account);
        let coordinator = self.engine.memberships.get(&mpc).map(|member| member.coordinator);
        self.send(peer, Message::Left { mpc, tpc });
        coordinator.into_iter().for_each(|coordinator| self.send(coordinator, Message::Left { mpc, tpc }));
        self.out_of_group(mpc, &tpc);
        if let Some(channel) = self.engine.channels.change(&tpc) {
            channel.left = Some(mpc);
        }
        self.forget_empty(mpc);
        Ok(Answer::Done)
    }

    pub(crate) fn left(&mut self, from: AccountId, mpc: MpcId, tpc: TpcId) {
        let Some(channel) = self.engine.channels.get(&tpc).filter(|channel| channel.mpc == Some(mpc)) else { return };
        let parties = channel.owners.parties;
        let coordinator = self.engine.memberships.get(&mpc).map(|member| member.coordinator);
        if !(parties.contains(&from) || coordinator == Some(from)) || channel.on_chain.mpc.is_some() {
            return;
        }
        // Whoever has left has told both, and one of them may not have heard.
        let owners = if self.engine.led.contains(&mpc) { &parties[..] } else { &[] };
        for other in owners.iter().copied().chain(coordinator) {
            if other != from && other != self.engine.account {
                self.send(other, Message::Left { mpc, tpc });
            }
        }
        self.leave_seat(mpc, &tpc);
        self.out_of_group(mpc, &tpc);
        if let Some(channel) = self.engine.channels.change(&tpc) {
            channel.left = Some(mpc);
        }
        self.forget_empty(mpc);
        self.start_rounds_on(tpc);
    }

    /// Tells somebody who does not know it that a channel is no longer in a group.
    pub(crate) fn tell_left(&mut self, to: AccountId, tpc: TpcId) {
        let left =
            self.engine.channels.get(&tpc).filter(|channel| channel.mpc.is_none()).and_then(|channel| channel.left);
        if let Some(mpc) = left {
            self.send(to, Message::Left { mpc, tpc });
        }
    }

    /// A channel no longer takes part in the rounds of a group that this account coordinates.
    pub(crate) fn leave_seat(&mut self, mpc: MpcId, tpc: &TpcId) {
        let Some(seats) = self.engine.seats.get_mut(&mpc) else { return };
        if !seats.remove(tpc) {
            return;
        }
        let empty = seats.is_empty();
        if empty {
            self.engine.seats.remove(&mpc);
        }
        self.engine.planners.forget(&mpc);
        if self.engine.is_own(tpc) {
            return;
        }
        let Some(channel) = self.engine.channels.remove(tpc) else { return };
        let foreign = crate::channel::Foreign { owners: channel.owners, on_chain: channel.on_chain };
        self.engine.foreign.insert(*tpc, foreign);
        // Updates that name it, and rounds over it, may be over.
        self.prune(&BTreeSet::from([*tpc]));
    }
}

impl Engine {
    /// Whether a channel is in a group in the making, beside the one that is named.
    pub(crate) fn is_forming(&self, tpc: &TpcId, beside: Option<&MpcId>) -> bool {
        self.memberships.iter().filter(|(mpc, _)| Some(*mpc) != beside).any(|(_, member)| {
            let forming = member.forming.iter().flat_map(|forming| &forming.creation.members);
            forming.into_iter().any(|member| member.tpc == *tpc)
        })
    }

    /// Whether all members of a group have signed its closing: no round starts in it any more.
    pub(crate) fn is_signed_off(&self, mpc: &MpcId, led: &Led) -> bool {
        match &led.stage {
            Stage::Closing { answers, .. } => answers.len() >= self.members(mpc).len(),
            Stage::Closed { .. } => true,
            Stage::Forming { .. } | Stage::Open => false,
        }
    }

    /// Who owns the channels of a group that this account coordinates.
    fn members(&self, mpc: &MpcId) -> BTreeSet<AccountId> {
        let seats = self.seats.get(mpc).into_iter().flatten();
        seats.filter_map(|tpc| self.channels.get(tpc)).flat_map(|channel| channel.owners.parties).collect()
    }

    fn show_held(&self, held: &Held) -> Shown {
        let own = held.own.map(|signature| PartySignature { party: self.account, signature });
        let signatures = held.signatures.clone().unwrap_or_else(|| own.into_iter().collect());
        Shown { update: held.update.clone(), owners: held.owners.clone(), signatures }
    }
}

/// What a member says about its own channels in a group, once for each.
fn own_standings(
    creation: &MpcCreation,
    owners: &[Owners],
    from: AccountId,
    standings: Vec<Standing>,
) -> Vec<Standing> {
    let own: BTreeSet<_> = creation
        .members
        .iter()
        .zip(owners)
        .filter(|(_, owners)| owners.parties.contains(&from))
        .map(|(member, _)| member.tpc)
        .collect();
    let mut once: BTreeMap<TpcId, Standing> = BTreeMap::new();
    for standing in standings.into_iter().filter(|standing| own.contains(&standing.latest.tpc)) {
        once.entry(standing.latest.tpc).or_insert(standing);
    }
    once.into_values().collect()
}

fn listed(answers: &Answers) -> Vec<PartySignature> {
    answers.iter().map(|(party, signature)| PartySignature { party: *party, signature: *signature }).collect()
}
