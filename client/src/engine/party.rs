//! One user: what it holds, what it has signed, and what it agrees to.
//!
//! - this file: the state and the entrance
//! - `tpc`: two-party channels
//! - `mpc`: multi-party channels

mod mpc;
mod tpc;

use super::{
    message::{Message, Owners, Payment, Reason, UpdateId},
    step::{Effect, Notice, Peer, Step, Submission},
};
use crate::{
    contract::Event,
    keys::{Keys, Native},
};
use codec::{Decode, Encode};
use protocol::{
    abi::UpdateTpc, AccountId, Action, Balance, Crypto, Domain, Entry, Epoch, MpcClose, MpcCreation, MpcId, MpcUpdate,
    Nonce, PartySignature, Signature, Timestamp, Tpc, TpcClose, TpcCreation, TpcId, Version,
};
use std::collections::BTreeMap;

/// The furthest that a peer may push a channel's version in one update, so that no peer can use them up.
const MAX_VERSION_STEP: Version = 1 << 16;

/// A user's whole state. Its key is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Party {
    account: AccountId,
    domain: Domain,
    /// The most that it lets an agreement take from it without being asked, in planck.
    spend: Balance,
    /// How many signatures it has made.
    signatures: u64,
    /// Creations that it signed, with its signature, and that are not on chain yet.
    opening: BTreeMap<TpcId, (TpcCreation, Signature)>,
    channels: BTreeMap<TpcId, Channel>,
    groups: BTreeMap<MpcId, Group>,
}

/// A channel as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Channel {
    /// The owners, ascending.
    pub parties: [AccountId; 2],
    /// The newest state that both sides have signed, or that the chain holds.
    pub latest: Entry,
    /// The group that the channel is in.
    pub mpc: Option<MpcId>,
    /// What proves `latest`, if it was signed outside of a group and the chain may not have it.
    proof: Option<[Signature; 2]>,
    /// The highest version of this epoch that this owner has signed: none is signed twice.
    signed: Version,
    /// What it has signed and not seen decided.
    in_flight: Option<InFlight>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum InFlight {
    TpcUpdate(Entry, Signature),
    TpcClose(TpcClose, Signature),
    MpcCreate(MpcId),
    MpcUpdate(MpcUpdate),
    MpcClose(MpcId),
}

/// A multi-party channel as a member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Group {
    creation: MpcCreation,
    owners: Vec<Owners>,
    /// Whether this member brings the group's actions to the chain.
    initiator: bool,
    /// Whether the chain has it.
    open: bool,
    /// The newest complete state known of each channel.
    entries: BTreeMap<TpcId, Entry>,
    /// Updates that this member signed and has not seen complete.
    signed: BTreeMap<UpdateId, MpcUpdate>,
    /// The complete updates that `entries` came from.
    complete: Vec<(MpcUpdate, Vec<PartySignature>)>,
    /// The (epoch, version) that the chain is known to hold.
    on_chain: BTreeMap<TpcId, (Epoch, Version)>,
    closing: Option<MpcClose>,
}

/// What an application asks of its party.
#[derive(Clone, Debug)]
pub enum Command {
    /// Open a channel.
    OpenTpc {
        /// With whom.
        peer: AccountId,
        /// How many channels the pair has created: the contract's `next_nonce`.
        nonce: Nonce,
        /// What this party puts in, in planck.
        own: Balance,
        /// What the peer puts in, in planck.
        theirs: Balance,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Pay the other owner of a channel that stands alone.
    PayTpc {
        /// The channel.
        tpc: TpcId,
        /// How much, in planck.
        amount: Balance,
    },
    /// Put the newest state of a channel that stands alone on chain.
    CheckpointTpc(TpcId),
    /// Close a channel that stands alone.
    CloseTpc {
        /// The channel.
        tpc: TpcId,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Braid channels, each given by its owners and its newest state, into a multi-party channel.
    CreateMpc {
        /// The channels in any order.
        channels: Vec<(Owners, Entry)>,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Settle a multi-party transaction.
    Pay(Payment),
    /// Put the newest complete updates of a group on chain.
    Checkpoint(MpcId),
    /// Close a multi-party channel.
    CloseMpc {
        /// The group.
        mpc: MpcId,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
}

/// What happens to a party.
#[derive(Clone, Debug)]
pub enum Input {
    /// Its application wants something.
    Command(Command),
    /// A peer, known by the transport, says something.
    Message(Peer, Message),
    /// The contract did something.
    Chain(Event),
}

/// A step under way: the next state and its effects so far.
struct Turn<'a> {
    party: Party,
    keys: &'a Keys,
    effects: Vec<Effect>,
}

impl Party {
    /// A user without channels, who lets an agreement take at most `spend` planck from it without being asked.
    pub fn new(account: AccountId, domain: Domain, spend: Balance) -> Self {
        Self {
            account,
            domain,
            spend,
            signatures: 0,
            opening: BTreeMap::new(),
            channels: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Who it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// How many signatures it has made.
    pub fn signatures(&self) -> u64 {
        self.signatures
    }

    /// Its channels.
    pub fn channels(&self) -> &BTreeMap<TpcId, Channel> {
        &self.channels
    }

    /// The multi-party channels that it is in.
    pub fn groups(&self) -> impl Iterator<Item = MpcId> + '_ {
        self.groups.iter().filter(|(_, group)| group.open).map(|(id, _)| *id)
    }

    /// What it holds in all its channels, in planck.
    pub fn holdings(&self) -> Balance {
        let own = self.channels.values().map(|channel| channel.own(self.account));
        own.fold(0, Balance::saturating_add)
    }

    /// What follows when `input` happens at block time `now`. `keys` are this party's.
    pub fn step(&self, keys: &Keys, now: Timestamp, input: Input) -> Step<Self> {
        let mut turn = Turn { party: self.clone(), keys, effects: vec![] };
        turn.expire(now);
        match input {
            Input::Command(command) => turn.command(now, command),
            Input::Message(Peer::Party(peer), message) => turn.tpc_message(now, peer, message),
            Input::Message(Peer::Coordinator, message) => turn.mpc_message(now, message),
            Input::Chain(event) => turn.chain(event),
        }
        Step::new(turn.party, turn.effects)
    }
}

impl Channel {
    /// What `account` holds in it, in planck.
    pub fn own(&self, account: AccountId) -> Balance {
        let [first, second] = self.latest.balances;
        if self.parties[0] == account {
            first
        } else {
            second
        }
    }

    fn new(parties: [AccountId; 2], latest: Entry) -> Self {
        Self { parties, signed: latest.version, latest, mpc: None, proof: None, in_flight: None }
    }

    fn peer(&self, account: AccountId) -> AccountId {
        let [first, second] = self.parties;
        if first == account {
            second
        } else {
            first
        }
    }

    /// The channel as the rules see it, at its newest state.
    fn tpc(&self) -> Tpc {
        let Entry { balances, epoch, version, .. } = self.latest;
        Tpc { parties: self.parties, balances, epoch, version, mpc: self.mpc }
    }

    /// The next version that the owner at `index` may propose: the owners take turns, so two proposals never share one.
    fn next_version(&self, index: usize) -> Option<Version> {
        let next = self.latest.version.max(self.signed).checked_add(1)?;
        let aligned = next % 2 == index as Version % 2;
        if aligned {
            Some(next)
        } else {
            next.checked_add(1)
        }
    }
}

impl Turn<'_> {
    fn command(&mut self, now: Timestamp, command: Command) {
        let done = match command {
            Command::OpenTpc { peer, nonce, own, theirs, valid_until } => {
                self.open_tpc(peer, nonce, own, theirs, valid_until)
            }
            Command::PayTpc { tpc, amount } => self.pay_tpc(tpc, amount),
            Command::CheckpointTpc(tpc) => self.checkpoint_tpc(tpc),
            Command::CloseTpc { tpc, valid_until } => self.propose_close(tpc, valid_until),
            Command::CreateMpc { channels, valid_until } => self.propose_mpc(now, channels, valid_until),
            Command::Pay(payment) => {
                self.send(Peer::Coordinator, Message::MpcPay { payment });
                Some(())
            }
            Command::Checkpoint(mpc) => self.checkpoint(mpc),
            Command::CloseMpc { mpc, valid_until } => self.propose_mpc_close(mpc, valid_until),
        };
        if done.is_none() {
            self.tell(Notice::Ignored("the command does not fit the state of its channels"));
        }
    }

    fn checkpoint_tpc(&mut self, id: TpcId) -> Option<()> {
        let channel = self.party.channels.get(&id)?;
        let update = UpdateTpc { entry: channel.latest, signatures: channel.proof? };
        self.submit(Submission::UpdateTpc(update));
        Some(())
    }

    /// Forgets agreements that the contract no longer accepts.
    fn expire(&mut self, now: Timestamp) {
        let Party { opening, channels, groups, .. } = &mut self.party;
        opening.retain(|_, (creation, _)| now <= creation.valid_until);
        for group in groups.values_mut() {
            group.closing.take_if(|close| now > close.valid_until);
        }
        groups.retain(|_, group| group.open || now <= group.creation.valid_until);
        for channel in channels.values_mut() {
            channel.in_flight.take_if(|in_flight| match in_flight {
                InFlight::TpcClose(close, _) => now > close.valid_until,
                InFlight::MpcCreate(mpc) => !groups.contains_key(mpc),
                InFlight::MpcClose(mpc) => groups.get(mpc).is_none_or(|group| group.closing.is_none()),
                InFlight::TpcUpdate(..) | InFlight::MpcUpdate(_) => false,
            });
        }
    }

    fn chain(&mut self, event: Event) {
        match event {
            Event::TpcCreated(event) => {
                if let Some((creation, _)) = self.party.opening.remove(&event.tpc) {
                    let latest = Entry { tpc: event.tpc, epoch: 0, version: 0, balances: creation.balances };
                    self.party.channels.insert(event.tpc, Channel::new(creation.parties, latest));
                }
            }
            Event::TpcUpdated(event) => {
                if let Some(channel) = self.party.channels.get_mut(&event.tpc) {
                    if (channel.latest.epoch, channel.latest.version) < (event.epoch, event.version) {
                        let entry = Entry {
                            tpc: event.tpc,
                            epoch: event.epoch,
                            version: event.version,
                            balances: event.balances,
                        };
                        channel.latest = entry;
                        channel.signed = channel.signed.max(event.version);
                        channel.proof = None;
                    }
                }
            }
            Event::TpcClosed(event) => {
                self.party.channels.remove(&event.tpc);
            }
            Event::MpcCreated(event) => self.mpc_opened(event.mpc),
            Event::MpcUpdated(event) => {
                if let Some(group) = self.party.groups.get_mut(&event.mpc) {
                    group.on_chain.extend(event.states.iter().map(|(tpc, epoch, version)| (*tpc, (*epoch, *version))));
                }
                self.completed_by_chain(event.mpc);
            }
            Event::MpcClosed(event) => self.mpc_gone(event.mpc),
            Event::Deposited(_) | Event::Withdrawn(_) | Event::MpcEntered(_) => {}
        }
    }

    fn sign(&mut self, action: Action) -> Signature {
        self.party.signatures = self.party.signatures.saturating_add(1);
        self.keys.sign(&action.payload(&Native, &self.party.domain))
    }

    fn verify(&self, action: Action, signer: AccountId, signature: &Signature) -> bool {
        let payload = action.payload(&Native, &self.party.domain);
        Native.sr25519_verify(&signature.0, &payload, signer.as_ref())
    }

    fn send(&mut self, to: Peer, message: Message) {
        self.effects.push(Effect::Send(to, message));
    }

    fn submit(&mut self, submission: Submission) {
        self.effects.push(Effect::Submit(submission));
    }

    fn tell(&mut self, notice: Notice) {
        self.effects.push(Effect::Tell(notice));
    }

    fn ignore(&mut self, why: &'static str) {
        self.tell(Notice::Ignored(why));
    }

    fn index(&self, parties: &[AccountId; 2]) -> Option<usize> {
        parties.iter().position(|party| *party == self.party.account)
    }
}

/// Two things in their owners' order, given this owner's index and the two as (own, other).
fn in_order<T>(index: usize, own: T, other: T) -> [T; 2] {
    if index == 0 {
        [own, other]
    } else {
        [other, own]
    }
}

/// The refusal of an update that would take more from a party than it lets go.
fn check_spend(spend: Balance, before: Balance, after: Balance) -> Result<(), Reason> {
    if before.saturating_sub(after) > spend {
        return Err(Reason::Declined);
    }
    Ok(())
}
