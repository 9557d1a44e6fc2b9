//! The server of multi-party channels: it plans and relays. It holds no funds and no keys, so it can forge nothing;
//! the worst that it can do is stop.

use super::{
    message::{Message, Payment, Reason, Scope, UpdateId},
    party::MAX_VERSION_STEP,
    step::{Effect, Notice, Peer, Step},
};
use chain::keys::Native;
use codec::{Decode, Encode};
use planning::{plan, planner::Strategy, Edge};
use protocol::{
    event::{ChannelSettled, Event},
    rules::{self, next_version},
    AccountId, Action, Crypto, Domain, Entry, MpcClose, MpcCreation, MpcId, Owners, PartySignature, Signature, TpcId,
    Update, Version,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The requests that may wait in one group. Further ones are refused.
const MAX_QUEUE: usize = 1024;

/// The coordinator's whole state.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Coordinator {
    domain: Domain,
    groups: BTreeMap<MpcId, Group>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Group {
    channels: BTreeMap<TpcId, Channel>,
    stage: Stage,
    queue: VecDeque<(AccountId, Payment)>,
    /// Channels that joined and whose owners nobody has told yet.
    joined: BTreeSet<TpcId>,
    /// Updates that somebody may have signed and that were not completed: the next update covers all their channels.
    unfinished: Vec<Update>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Channel {
    owners: Owners,
    latest: Entry,
    /// The highest version that was ever proposed, or that an owner says it has signed.
    proposed: Version,
    /// Nothing is proposed on it until it is settled, or its owners say that it was renewed.
    disputed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Stage {
    Creating(MpcCreation, Signatures),
    /// Everybody has signed; the chain does not have it yet.
    Created,
    Idle,
    Consenting(Round, BTreeSet<AccountId>),
    Signing(Round, Signatures),
    Closing(MpcClose, Signatures),
}

type Signatures = BTreeMap<AccountId, Signature>;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Round {
    id: UpdateId,
    requester: AccountId,
    payment: Payment,
    update: Update,
    asked: BTreeSet<AccountId>,
}

/// What happens to a coordinator.
#[derive(Clone, Debug)]
pub enum Input {
    /// A party, known by the transport, says something.
    Message(AccountId, Message),
    /// The contract did something.
    Chain(Event),
    /// The members asked have had their time: whatever waits in the group fails.
    Timeout(MpcId),
}

struct Turn {
    coordinator: Coordinator,
    effects: Vec<Effect>,
}

impl Coordinator {
    /// A server without groups, for one contract.
    pub fn new(domain: Domain) -> Self {
        Self { domain, groups: BTreeMap::new() }
    }

    /// What follows when `input` happens.
    pub fn step(&self, input: Input) -> Step<Self> {
        let mut turn = Turn { coordinator: self.clone(), effects: vec![] };
        match input {
            Input::Message(from, message) => turn.message(from, message),
            Input::Chain(event) => turn.chain(event),
            Input::Timeout(mpc) => turn.fail(mpc, Reason::InFlight),
        }
        Step::new(turn.coordinator, turn.effects)
    }
}

impl Channel {
    fn new(owners: Owners, latest: Entry) -> Self {
        Self { owners, latest, proposed: latest.version, disputed: false }
    }
}

impl Group {
    fn members(&self) -> BTreeSet<AccountId> {
        self.channels.values().flat_map(|channel| channel.owners.parties).collect()
    }

    fn owners<'a>(&'a self, entries: &'a [Entry]) -> impl Iterator<Item = AccountId> + 'a {
        entries.iter().filter_map(|entry| self.channels.get(&entry.tpc)).flat_map(|channel| channel.owners.parties)
    }

    /// Who owns the channels of `entries`.
    fn proofs(&self, entries: &[Entry]) -> Vec<Owners> {
        entries.iter().filter_map(|entry| self.channels.get(&entry.tpc)).map(|channel| channel.owners).collect()
    }

    /// The update that settles `payment`, covering every channel that an earlier one has left in flight.
    ///
    /// What is in flight beside a disputed channel is decided by that dispute: its channels wait.
    fn plan(&self, payment: &Payment) -> Result<Update, Reason> {
        let is_disputed = |entry: &Entry| self.channels.get(&entry.tpc).is_some_and(|channel| channel.disputed);
        let (waiting, unfinished): (Vec<_>, Vec<_>) =
            self.unfinished.iter().partition(|update| update.entries.iter().any(is_disputed));
        let named = |updates: Vec<&Update>| -> BTreeSet<TpcId> {
            updates.into_iter().flat_map(|update| &update.entries).map(|entry| entry.tpc).collect()
        };
        let (waiting, unfinished) = (named(waiting), named(unfinished));
        let open = || self.channels.iter().filter(|(tpc, channel)| !channel.disputed && !waiting.contains(*tpc));
        let edges = open().map(|(tpc, channel)| Edge {
            tpc: *tpc,
            parties: channel.owners.parties,
            balances: channel.latest.balances,
        });
        let moved = plan(&edges.collect::<Vec<_>>(), &payment.transfers, Strategy::Flow).map_err(Reason::NoPlan)?;
        let named = open()
            .filter(|(tpc, _)| payment.scope == Scope::All || moved.contains_key(tpc) || unfinished.contains(*tpc));
        let entries = named.map(|(tpc, channel)| {
            let version = next_version(channel.latest.version.max(channel.proposed))?;
            let balances = moved.get(tpc).copied().unwrap_or(channel.latest.balances);
            Ok(Entry { version, balances, ..channel.latest })
        });
        let entries = entries.collect::<Result<Vec<_>, protocol::Error>>()?;
        rules::check_ascending(entries.iter().map(|entry| &entry.tpc))?;
        Ok(Update { entries })
    }

    /// Forgets what was left in flight, as far as every channel is beyond it.
    fn forget(&mut self) {
        let Self { channels, unfinished, .. } = self;
        let is_beyond =
            |entry: &Entry| channels.get(&entry.tpc).is_none_or(|channel| channel.latest.order() >= entry.order());
        unfinished.retain(|update| !update.entries.iter().all(is_beyond));
    }

    /// A dispute has ended an epoch of a channel before `latest`, the state that it goes on from if it is still there. What
    /// was left in flight on it is on chain or void.
    fn end_epoch(&mut self, tpc: TpcId, latest: Option<Entry>) {
        let is_over = |entry: &Entry| entry.tpc == tpc && latest.is_none_or(|latest| entry.epoch < latest.epoch);
        self.unfinished.retain(|update| !update.entries.iter().any(is_over));
        match (latest, self.channels.get_mut(&tpc)) {
            (Some(latest), Some(channel)) => *channel = Channel::new(channel.owners, latest),
            _ => drop(self.channels.remove(&tpc)),
        }
    }
}

impl Turn {
    fn message(&mut self, from: AccountId, message: Message) {
        match message {
            Message::MpcCreate { creation, owners, latest, by } => self.create(from, creation, owners, latest, by),
            Message::MpcCreateAgree { mpc, signature } => self.agree_to_create(from, mpc, signature),
            Message::MpcJoined { mpc, owners, entry } => self.joined(from, mpc, owners, entry),
            Message::MpcPay { payment } => self.enqueue(from, payment),
            Message::MpcConsent { update } => self.consent(from, update),
            Message::MpcUpdateAgree { update, signature } => self.sign(from, update, signature),
            Message::MpcUpdateReject { update, reason } => match self.round(update) {
                Some(mpc) if self.is_asked(mpc, from) => {
                    self.learn(mpc, from, &reason);
                    self.fail(mpc, reason);
                }
                _ => self.ignore(),
            },
            Message::MpcClose { close, by } => self.close(from, close, by),
            Message::MpcCloseAgree { mpc, signature } => self.agree_to_close(from, mpc, signature),
            Message::MpcCreateReject { mpc, reason } | Message::MpcCloseReject { mpc, reason } => {
                let group = self.coordinator.groups.get(&mpc);
                let waits = matches!(
                    group.map(|group| &group.stage),
                    Some(Stage::Creating(_, signed) | Stage::Closing(_, signed)) if !signed.contains_key(&from)
                );
                if waits && group.is_some_and(|group| group.members().contains(&from)) {
                    self.fail(mpc, reason);
                } else {
                    self.ignore();
                }
            }
            _ => self.ignore(),
        }
    }

    fn chain(&mut self, event: Event) {
        match event {
            Event::MpcCreated(event) => {
                if let Some(group) = self.coordinator.groups.get_mut(&event.mpc) {
                    group.stage = Stage::Idle;
                }
            }
            Event::MpcJoined(event) => {
                if let Some(group) = self.coordinator.groups.get_mut(&event.mpc) {
                    let joined = event.tpcs.into_iter().filter(|tpc| !group.channels.contains_key(tpc));
                    group.joined.extend(joined);
                }
            }
            Event::MpcLeft(event) => {
                self.stop(&event.tpcs, Reason::Protocol(protocol::Error::UnknownMpc(event.mpc)));
                if let Some(group) = self.coordinator.groups.get_mut(&event.mpc) {
                    for tpc in &event.tpcs {
                        group.channels.remove(tpc);
                        group.joined.remove(tpc);
                    }
                    group.forget();
                }
            }
            Event::MpcClosed(event) => drop(self.coordinator.groups.remove(&event.mpc)),
            Event::Updated(event) => {
                for group in self.coordinator.groups.values_mut() {
                    for entry in &event.entries {
                        group.channels.entry(entry.tpc).and_modify(|channel| {
                            if channel.latest.order() < entry.order() {
                                channel.latest = *entry;
                            }
                        });
                    }
                    group.forget();
                }
            }
            Event::Disputed(event) => {
                let tpcs: Vec<_> = event.channels.iter().map(|channel| channel.tpc).collect();
                self.stop(&tpcs, Reason::Disputed);
                for group in self.coordinator.groups.values_mut() {
                    for tpc in &tpcs {
                        group.channels.entry(*tpc).and_modify(|channel| channel.disputed = true);
                    }
                }
            }
            Event::Settled(event) => {
                let tpcs: Vec<_> = event.channels.iter().map(|channel| channel.tpc).collect();
                self.stop(&tpcs, Reason::Disputed);
                for group in self.coordinator.groups.values_mut() {
                    event.channels.iter().for_each(|ChannelSettled { tpc, .. }| group.end_epoch(*tpc, None));
                }
                self.coordinator.groups.retain(|_, group| !group.channels.is_empty());
            }
            _ => {}
        }
    }

    /// Fails what is under way on channels: it will not be signed any more.
    fn stop(&mut self, tpcs: &[TpcId], reason: Reason) {
        let named = |group: &Group| match &group.stage {
            Stage::Consenting(round, _) | Stage::Signing(round, _) => {
                round.update.entries.iter().any(|entry| tpcs.contains(&entry.tpc))
            }
            Stage::Closing(close, _) => close.members.iter().any(|member| tpcs.contains(&member.tpc)),
            Stage::Creating(..) | Stage::Created | Stage::Idle => false,
        };
        let groups: Vec<_> =
            self.coordinator.groups.iter().filter(|(_, group)| named(group)).map(|(mpc, _)| *mpc).collect();
        groups.into_iter().for_each(|mpc| self.fail(mpc, reason.clone()));
    }

    fn create(
        &mut self,
        from: AccountId,
        creation: MpcCreation,
        owners: Vec<Owners>,
        latest: Vec<Entry>,
        by: PartySignature,
    ) {
        let mpc = creation.id(&Native, &self.coordinator.domain);
        let tpcs = || creation.members.iter().map(|member| member.tpc);
        let fits = latest.iter().map(|entry| entry.tpc).eq(tpcs())
            && owners.iter().map(|owners| owners.tpc(&Native)).eq(tpcs());
        let known = owners.iter().any(|owners| owners.parties.contains(&from));
        let ascending = rules::check_ascending(creation.members.iter().map(|member| &member.tpc));
        if !fits || !known || by.party != from || ascending.is_err() {
            let reason = Reason::WrongOwners;
            return self.send(from, Message::MpcCreateFailed { mpc, reason });
        }
        if self.coordinator.groups.contains_key(&mpc) {
            return self.ignore();
        }
        let channels = latest.iter().zip(&owners).map(|(entry, owners)| (entry.tpc, Channel::new(*owners, *entry)));
        let group = Group {
            channels: channels.collect(),
            stage: Stage::Creating(creation.clone(), Signatures::from([(from, by.signature)])),
            queue: VecDeque::new(),
            joined: BTreeSet::new(),
            unfinished: vec![],
        };
        let others: Vec<_> = group.members().into_iter().filter(|member| *member != from).collect();
        self.coordinator.groups.insert(mpc, group);
        for member in others {
            let (creation, owners, latest) = (creation.clone(), owners.clone(), latest.clone());
            self.send(member, Message::MpcCreate { creation, owners, latest, by });
        }
    }

    fn agree_to_create(&mut self, from: AccountId, mpc: MpcId, signature: Signature) {
        let good = self.verifies(&mpc.0, from, &signature);
        let Some(group) = self.coordinator.groups.get_mut(&mpc).filter(|group| good && group.members().contains(&from))
        else {
            return self.ignore();
        };
        let members = group.members();
        let Stage::Creating(_, signatures) = &mut group.stage else { return self.ignore() };
        signatures.insert(from, signature);
        if signatures.len() == members.len() {
            let signatures = listed(signatures);
            group.stage = Stage::Created;
            self.send_all(members, || Message::MpcCreated { mpc, signatures: signatures.clone() });
        }
    }

    /// Learns who owns a channel that the chain says has joined, or the state from which a disputed one goes on. Should it
    /// be wrong, its owners will say so.
    fn joined(&mut self, from: AccountId, mpc: MpcId, owners: Owners, entry: Entry) {
        let proven = owners.parties.contains(&from) && owners.tpc(&Native) == entry.tpc;
        let Some(group) = self.coordinator.groups.get_mut(&mpc).filter(|_| proven) else { return self.ignore() };
        if group.joined.remove(&entry.tpc) {
            group.channels.insert(entry.tpc, Channel::new(owners, entry));
            return;
        }
        match group.channels.get(&entry.tpc) {
            Some(channel) if channel.disputed && channel.latest.epoch < entry.epoch => {
                group.end_epoch(entry.tpc, Some(entry));
                self.next(mpc);
            }
            // Both owners say so.
            Some(channel) if channel.latest.epoch == entry.epoch => {}
            _ => self.ignore(),
        }
    }

    /// Learns which versions of an owner's channels are used up.
    fn learn(&mut self, mpc: MpcId, from: AccountId, reason: &Reason) {
        let (Reason::Outdated(entries), Some(group)) = (reason, self.coordinator.groups.get_mut(&mpc)) else { return };
        for entry in entries {
            if let Some(channel) = group.channels.get_mut(&entry.tpc) {
                if channel.owners.parties.contains(&from) {
                    let furthest = channel.latest.version.saturating_add(MAX_VERSION_STEP);
                    channel.proposed = channel.proposed.max(entry.version.min(furthest));
                }
            }
        }
    }

    fn enqueue(&mut self, from: AccountId, payment: Payment) {
        let mpc = payment.mpc;
        let failed = |reason| Message::MpcUpdateFailed { mpc, update: None, reason };
        match self.coordinator.groups.get_mut(&mpc) {
            Some(group) if !group.members().contains(&from) => self.send(from, failed(Reason::UnknownMpc)),
            Some(group) if group.queue.len() >= MAX_QUEUE => self.send(from, failed(Reason::InFlight)),
            Some(group) => {
                group.queue.push_back((from, payment));
                self.next(mpc);
            }
            None => self.send(from, failed(Reason::UnknownMpc)),
        }
    }

    /// Starts on the next payment that can be planned, if the group is idle.
    fn next(&mut self, mpc: MpcId) {
        while let Some(group) = self.coordinator.groups.get_mut(&mpc) {
            if group.stage != Stage::Idle {
                return;
            }
            let Some((requester, payment)) = group.queue.pop_front() else { return };
            let update = match group.plan(&payment) {
                Ok(update) => update,
                Err(reason) => {
                    self.send(requester, Message::MpcUpdateFailed { mpc, update: None, reason });
                    continue;
                }
            };
            for entry in &update.entries {
                group.channels.entry(entry.tpc).and_modify(|channel| channel.proposed = entry.version);
            }
            let asked: BTreeSet<_> = group.owners(&update.entries).collect();
            let id = Action::Update(&update).payload(&Native, &self.coordinator.domain);
            let round = Round { id, requester, payment, update, asked };
            if round.payment.confirm {
                let owners = group.proofs(&round.update.entries);
                group.stage = Stage::Consenting(round.clone(), BTreeSet::new());
                self.send_all(round.asked.clone(), || Message::MpcPropose {
                    payment: round.payment.clone(),
                    update: round.update.clone(),
                    owners: owners.clone(),
                });
            } else {
                self.ask_to_sign(mpc, round);
            }
        }
    }

    fn ask_to_sign(&mut self, mpc: MpcId, round: Round) {
        let Some(group) = self.coordinator.groups.get_mut(&mpc) else { return };
        let owners = group.proofs(&round.update.entries);
        group.stage = Stage::Signing(round.clone(), Signatures::new());
        self.send_all(round.asked.clone(), || Message::MpcUpdate {
            payment: round.payment.clone(),
            update: round.update.clone(),
            owners: owners.clone(),
        });
    }

    fn consent(&mut self, from: AccountId, update: UpdateId) {
        let Some(mpc) = self.round(update) else { return self.ignore() };
        let Some(group) = self.coordinator.groups.get_mut(&mpc) else { return };
        let Stage::Consenting(round, consents) = &mut group.stage else { return self.ignore() };
        if !round.asked.contains(&from) {
            return self.ignore();
        }
        consents.insert(from);
        if consents.len() == round.asked.len() {
            let round = round.clone();
            self.ask_to_sign(mpc, round);
        }
    }

    fn sign(&mut self, from: AccountId, update: UpdateId, signature: Signature) {
        let good = self.verifies(&update, from, &signature);
        let Some(mpc) = self.round(update).filter(|_| good) else { return self.ignore() };
        let Some(group) = self.coordinator.groups.get_mut(&mpc) else { return };
        let Stage::Signing(round, signatures) = &mut group.stage else { return self.ignore() };
        if !round.asked.contains(&from) {
            return self.ignore();
        }
        signatures.insert(from, signature);
        if signatures.len() < round.asked.len() {
            return;
        }
        let (round, signatures) = (round.clone(), listed(signatures));
        for entry in &round.update.entries {
            group.channels.entry(entry.tpc).and_modify(|channel| channel.latest = *entry);
        }
        group.forget();
        group.stage = Stage::Idle;
        let id = round.id;
        self.send_all(round.asked, || Message::MpcUpdated { update: id, signatures: signatures.clone() });
        self.next(mpc);
    }

    fn close(&mut self, from: AccountId, close: MpcClose, by: PartySignature) {
        let mpc = close.mpc;
        let payload = Action::CloseMpc(&close).payload(&Native, &self.coordinator.domain);
        let good = by.party == from && self.verifies(&payload, from, &by.signature);
        let Some(group) = self.coordinator.groups.get_mut(&mpc) else {
            return self.send(from, Message::MpcCloseFailed { mpc, reason: Reason::UnknownMpc });
        };
        let members = group.members();
        if !good || !members.contains(&from) {
            return self.ignore();
        }
        let named = close.members.iter().map(|member| &member.tpc);
        let refusal = if !group.channels.keys().eq(named) {
            let expected = u32::try_from(group.channels.len()).unwrap_or(u32::MAX);
            Some(protocol::Error::ChannelsMissing { expected }.into())
        } else if group.stage != Stage::Idle {
            Some(Reason::InFlight)
        } else {
            None
        };
        if let Some(reason) = refusal {
            return self.send(from, Message::MpcCloseFailed { mpc, reason });
        }
        group.stage = Stage::Closing(close.clone(), Signatures::from([(from, by.signature)]));
        let others = members.into_iter().filter(|member| *member != from).collect();
        self.send_all(others, || Message::MpcClose { close: close.clone(), by });
    }

    fn agree_to_close(&mut self, from: AccountId, mpc: MpcId, signature: Signature) {
        let Some(Stage::Closing(close, _)) = self.coordinator.groups.get(&mpc).map(|group| &group.stage) else {
            return self.ignore();
        };
        let payload = Action::CloseMpc(close).payload(&Native, &self.coordinator.domain);
        let good = self.verifies(&payload, from, &signature);
        let Some(group) = self.coordinator.groups.get_mut(&mpc).filter(|group| good && group.members().contains(&from))
        else {
            return self.ignore();
        };
        let members = group.members();
        let Stage::Closing(_, signatures) = &mut group.stage else { return };
        signatures.insert(from, signature);
        if signatures.len() == members.len() {
            let signatures = listed(signatures);
            self.send_all(members, || Message::MpcClosed { mpc, signatures: signatures.clone() });
        }
    }

    /// Ends what is under way in a group and tells those who were asked.
    fn fail(&mut self, mpc: MpcId, reason: Reason) {
        let Some(group) = self.coordinator.groups.get_mut(&mpc) else { return self.ignore() };
        let members = group.members();
        match std::mem::replace(&mut group.stage, Stage::Idle) {
            Stage::Creating(..) => {
                self.coordinator.groups.remove(&mpc);
                self.send_all(members, || Message::MpcCreateFailed { mpc, reason: reason.clone() });
            }
            Stage::Closing(..) => {
                self.send_all(members, || Message::MpcCloseFailed { mpc, reason: reason.clone() });
                self.next(mpc);
            }
            Stage::Consenting(round, _) => {
                self.fail_round(mpc, round, reason);
            }
            Stage::Signing(round, _) => {
                // Any of those asked may have signed, whether or not the answer has arrived.
                group.unfinished.push(round.update.clone());
                self.fail_round(mpc, round, reason);
            }
            stage @ (Stage::Created | Stage::Idle) => group.stage = stage,
        }
    }

    fn fail_round(&mut self, mpc: MpcId, round: Round, reason: Reason) {
        let mut told = round.asked;
        told.insert(round.requester);
        let update = Some(round.id);
        self.send_all(told, || Message::MpcUpdateFailed { mpc, update, reason: reason.clone() });
        self.next(mpc);
    }

    /// The group in which `update` is under way.
    fn round(&self, update: UpdateId) -> Option<MpcId> {
        let under_way = |group: &Group| matches!(&group.stage, Stage::Consenting(round, _) | Stage::Signing(round, _) if round.id == update);
        self.coordinator.groups.iter().find(|(_, group)| under_way(group)).map(|(mpc, _)| *mpc)
    }

    fn is_asked(&self, mpc: MpcId, account: AccountId) -> bool {
        let stage = self.coordinator.groups.get(&mpc).map(|group| &group.stage);
        matches!(stage, Some(Stage::Consenting(round, _) | Stage::Signing(round, _)) if round.asked.contains(&account))
    }

    fn verifies(&self, payload: &[u8; 32], signer: AccountId, signature: &Signature) -> bool {
        Native.sr25519_verify(&signature.0, payload, signer.as_ref())
    }

    fn send(&mut self, to: AccountId, message: Message) {
        self.effects.push(Effect::Send(Peer::Party(to), message));
    }

    fn send_all(&mut self, to: BTreeSet<AccountId>, message: impl Fn() -> Message) {
        for account in to {
            self.send(account, message());
        }
    }

    fn ignore(&mut self) {
        self.effects.push(Effect::Tell(Notice::Ignored("the message fits nothing that is under way")));
    }
}

fn listed(signatures: &Signatures) -> Vec<PartySignature> {
    signatures.iter().map(|(party, signature)| PartySignature { party: *party, signature: *signature }).collect()
}
