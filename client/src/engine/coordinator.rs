//! The server of multi-party channels: it plans and relays. It holds no funds and no keys, so it can forge nothing;
//! the worst that it can do is stop.

use super::{
    message::{Message, Payment, Reason, Scope, UpdateId},
    step::{Effect, Notice, Peer, Step},
};
use crate::{
    contract::Event,
    keys::Native,
    planning::{plan, planner::Strategy, Edge},
};
use codec::{Decode, Encode};
use protocol::{
    rules::{self, next_version},
    AccountId, Action, Crypto, Domain, Entry, MpcClose, MpcCreation, MpcId, MpcUpdate, Owners, PartySignature,
    Signature, TpcId, Version,
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
    /// Channels of an update that somebody signed and that was not completed: the next update covers them all.
    unfinished: BTreeSet<TpcId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Channel {
    owners: Owners,
    latest: Entry,
    /// The highest version that was ever proposed.
    proposed: Version,
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
    update: MpcUpdate,
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
    fn plan(&self, payment: &Payment) -> Result<MpcUpdate, Reason> {
        let edges = self.channels.iter().map(|(tpc, channel)| Edge {
            tpc: *tpc,
            parties: channel.owners.parties,
            balances: channel.latest.balances,
        });
        let moved = plan(&edges.collect::<Vec<_>>(), &payment.transfers, Strategy::Flow).map_err(Reason::NoPlan)?;
        let named = self
            .channels
            .iter()
            .filter(|(tpc, _)| payment.scope == Scope::All || moved.contains_key(tpc) || self.unfinished.contains(tpc));
        let entries = named.map(|(tpc, channel)| {
            let version = next_version(channel.latest.version.max(channel.proposed))?;
            let balances = moved.get(tpc).copied().unwrap_or(channel.latest.balances);
            Ok(Entry { version, balances, ..channel.latest })
        });
        let entries = entries.collect::<Result<Vec<_>, protocol::Error>>()?;
        rules::check_entries(&entries)?;
        Ok(MpcUpdate { mpc: payment.mpc, entries })
    }
}

impl Turn {
    fn message(&mut self, from: AccountId, message: Message) {
        match message {
            Message::MpcCreate { creation, owners, by } => self.create(from, creation, owners, by),
            Message::MpcCreateAgree { mpc, signature } => self.agree_to_create(from, mpc, signature),
            Message::MpcJoined { mpc, owners, entry } => self.joined(from, mpc, owners, entry),
            Message::MpcPay { payment } => self.enqueue(from, payment),
            Message::MpcConsent { update } => self.consent(from, update),
            Message::MpcUpdateAgree { update, signature } => self.sign(from, update, signature),
            Message::MpcUpdateReject { update, reason } => match self.round(update) {
                Some(mpc) if self.is_asked(mpc, from) => self.fail(mpc, reason),
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
            Event::MpcEntered(event) => {
                if let Some(group) = self.coordinator.groups.get_mut(&event.mpc) {
                    let joined = event.tpcs.into_iter().filter(|tpc| !group.channels.contains_key(tpc));
                    group.joined.extend(joined);
                }
            }
            Event::MpcLeft(event) => {
                if let Some(group) = self.coordinator.groups.get_mut(&event.mpc) {
                    for tpc in &event.tpcs {
                        group.channels.remove(tpc);
                        group.joined.remove(tpc);
                        group.unfinished.remove(tpc);
                    }
                }
            }
            // A disputed group signs nothing any more, so there is nothing left to do for it.
            Event::MpcDisputed(protocol::event::MpcDisputed { mpc, .. })
            | Event::MpcClosed(protocol::event::MpcClosed { mpc })
            | Event::MpcSettled(protocol::event::MpcSettled { mpc }) => {
                self.coordinator.groups.remove(&mpc);
            }
            _ => {}
        }
    }

    fn create(&mut self, from: AccountId, creation: MpcCreation, owners: Vec<Owners>, by: PartySignature) {
        let mpc = creation.id(&Native, &self.coordinator.domain);
        let belongs = |(entry, owners): (&Entry, &Owners)| entry.tpc == owners.tpc(&Native);
        let fits = creation.entries.len() == owners.len() && creation.entries.iter().zip(&owners).all(belongs);
        let known = owners.iter().any(|owners| owners.parties.contains(&from));
        if !fits || !known || by.party != from || rules::check_entries(&creation.entries).is_err() {
            let reason = Reason::WrongOwners;
            return self.send(from, Message::MpcCreateFailed { mpc, reason });
        }
        if self.coordinator.groups.contains_key(&mpc) {
            return self.ignore();
        }
        let channels =
            creation.entries.iter().zip(&owners).map(|(entry, owners)| {
                (entry.tpc, Channel { owners: *owners, latest: *entry, proposed: entry.version })
            });
        let group = Group {
            channels: channels.collect(),
            stage: Stage::Creating(creation.clone(), Signatures::from([(from, by.signature)])),
            queue: VecDeque::new(),
            joined: BTreeSet::new(),
            unfinished: BTreeSet::new(),
        };
        let others: Vec<_> = group.members().into_iter().filter(|member| *member != from).collect();
        self.coordinator.groups.insert(mpc, group);
        for member in others {
            let (creation, owners) = (creation.clone(), owners.clone());
            self.send(member, Message::MpcCreate { creation, owners, by });
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

    /// Learns who owns a channel that the chain says has joined. Should the state be wrong, its owners will say so.
    fn joined(&mut self, from: AccountId, mpc: MpcId, owners: Owners, entry: Entry) {
        let proven = owners.parties.contains(&from) && owners.tpc(&Native) == entry.tpc;
        let Some(group) = self.coordinator.groups.get_mut(&mpc).filter(|_| proven) else { return self.ignore() };
        if !group.joined.remove(&entry.tpc) {
            return self.ignore();
        }
        group.channels.insert(entry.tpc, Channel { owners, latest: entry, proposed: entry.version });
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
            let id = Action::UpdateMpc(&update).payload(&Native, &self.coordinator.domain);
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
            group.unfinished.remove(&entry.tpc);
        }
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
        let latest: Vec<_> = group.channels.values().map(|channel| channel.latest).collect();
        let refusal = if latest != close.entries {
            Some(Reason::Outdated(latest))
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
                group.unfinished.extend(round.update.entries.iter().map(|entry| entry.tpc));
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
