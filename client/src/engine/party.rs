//! One user: what it holds, what it has signed, and what it agrees to.
//!
//! - this file: the state and the entrance
//! - `tpc`: two-party channels
//! - `agreement`: what two owners agree on beside payments: top-ups, withdrawals, parts, entering and leaving a group
//! - `mpc`: multi-party channels
//! - `dispute`: what the chain decides, and what proves this user's states to it

mod agreement;
mod dispute;
mod mpc;
mod tpc;

use super::{
    message::{Agreement, Message, Payment, Reason, UpdateId},
    step::{Effect, Notice, Peer, Step, Submission},
};
use crate::{
    contract::Event,
    keys::{Keys, Native},
    watcher::MpcEvidence,
};
use codec::{Decode, Encode};
use protocol::{
    abi::UpdateTpc, AccountId, Action, Balance, Crypto, Domain, Entry, MpcClose, MpcCreation, MpcId, MpcUpdate, Nonce,
    Owners, PartySignature, Signature, Timestamp, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit, Version, Window,
};
use std::collections::{BTreeMap, BTreeSet};

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
    /// The owners, ascending, and what else the channel's id is made of.
    pub owners: Owners,
    /// The newest state that both sides have signed, or that the chain holds.
    pub latest: Entry,
    /// How long a dispute over it may be answered.
    pub window: Window,
    /// The group that the channel is in.
    pub mpc: Option<MpcId>,
    /// The end of the dispute over it, if there is one.
    pub deadline: Option<Timestamp>,
    /// The state that the contract holds.
    on_chain: Entry,
    /// What proves `latest`, if it was signed outside of a group and the chain may not have it.
    proof: Option<[Signature; 2]>,
    /// The newest division into parts, if the channel was ever divided, and what proves it, unless only the chain has told.
    split: Option<(TpcSplit, Option<[Signature; 2]>)>,
    /// Whether the contract holds a division into several parts.
    divided_on_chain: bool,
    /// The highest version of this epoch that this owner has signed: none is signed twice.
    signed: Version,
    /// What it has signed and not seen decided.
    in_flight: Option<InFlight>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum InFlight {
    TpcUpdate(Entry, Signature),
    TpcClose(TpcClose, Signature),
    Agreement(Box<Agreement>, Signature),
    MpcCreate(MpcId),
    MpcUpdate(MpcUpdate),
    MpcClose(MpcId),
}

/// A multi-party channel as a member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Group {
    /// What this member has signed to form it, and who owns its channels, until the chain has it.
    forming: Option<(MpcCreation, Vec<Owners>)>,
    /// Whether this member brings the group's actions to the chain.
    initiator: bool,
    /// The end of the dispute over it, if there is one.
    deadline: Option<Timestamp>,
    /// The newest complete state known of each channel known.
    entries: BTreeMap<TpcId, Entry>,
    /// Updates that this member signed and has not seen complete, with the owners of their channels.
    signed: BTreeMap<UpdateId, (MpcUpdate, Vec<Owners>)>,
    /// The complete updates that `entries` came from.
    complete: Vec<MpcEvidence>,
    /// Channels that were in it and that the contract no longer stores.
    gone: BTreeSet<TpcId>,
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
        /// How long a dispute over it may be answered.
        window: Window,
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
    /// Put the newest state of a channel that stands alone, and of its parts, on chain.
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
        /// How long a dispute over it may be answered.
        window: Window,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Put more of both owners' ledger funds into a channel that stands alone.
    TopUpTpc {
        /// The channel.
        tpc: TpcId,
        /// What this party puts in, in planck.
        own: Balance,
        /// What the peer puts in, in planck.
        theirs: Balance,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Pay a part of a channel that stands alone out to the accounts.
    WithdrawTpc {
        /// The channel.
        tpc: TpcId,
        /// What this party gets, in planck.
        own: Balance,
        /// What the peer gets, in planck.
        theirs: Balance,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Divide a channel, with the parts that it may have, into parts that are paid with independently. One part makes it
    /// whole again.
    SplitTpc {
        /// The channel that was created.
        tpc: TpcId,
        /// What this party and the peer hold in each part, in planck. The channel itself is the first.
        parts: Vec<(Balance, Balance)>,
    },
    /// Bring a channel that stands alone into a group that exists.
    JoinMpc {
        /// The group.
        mpc: MpcId,
        /// A channel that is in it and that one of the two owners owns too.
        member: TpcId,
        /// The channel.
        tpc: TpcId,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Take a channel out of its group.
    LeaveMpc {
        /// The channel.
        tpc: TpcId,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Put what proves a channel's newest state on chain and start its clock.
    DisputeTpc(TpcId),
    /// Put what proves a group's newest states on chain and start its clock.
    DisputeMpc {
        /// The group.
        mpc: MpcId,
        /// This party's channels in it that are to be settled to the accounts after the same deadline.
        exits: Vec<TpcId>,
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
    /// Time has passed.
    Clock,
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
        self.groups.iter().filter(|(_, group)| group.is_open()).map(|(id, _)| *id)
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
            Input::Clock => {}
        }
        Step::new(turn.party, turn.effects)
    }
}

impl Channel {
    /// What `account` holds in it, in planck.
    pub fn own(&self, account: AccountId) -> Balance {
        let [first, second] = self.latest.balances;
        if self.owners.parties[0] == account {
            first
        } else {
            second
        }
    }

    /// A channel that the chain holds at `state`.
    fn new(owners: Owners, window: Window, state: Entry) -> Self {
        Self {
            owners,
            window,
            signed: state.version,
            latest: state,
            on_chain: state,
            mpc: None,
            deadline: None,
            proof: None,
            split: None,
            divided_on_chain: false,
            in_flight: None,
        }
    }

    /// The channel in `mpc`, which the chain holds at `state`. What it is divided into does not change by that.
    fn entered(&self, mpc: MpcId, state: Entry) -> Self {
        let (split, divided_on_chain) = (self.split.clone(), self.divided_on_chain);
        Self { mpc: Some(mpc), split, divided_on_chain, ..Self::new(self.owners, self.window, state) }
    }

    fn peer(&self, account: AccountId) -> AccountId {
        let [first, second] = self.owners.parties;
        if first == account {
            second
        } else {
            first
        }
    }

    /// The channel as the rules see it, at its newest state.
    fn tpc(&self) -> Tpc {
        let Entry { balances, epoch, version, .. } = self.latest;
        let (parties, window, mpc, deadline) = (self.owners.parties, self.window, self.mpc, self.deadline);
        Tpc { parties, balances, epoch, version, window, mpc, deadline, split: None }
    }

    /// The id of the channel that was created, of which this one is a part.
    fn whole(&self) -> TpcId {
        Owners { part: None, ..self.owners }.tpc(&Native)
    }

    /// Whether the newest division leaves more than one part.
    fn is_divided(&self) -> bool {
        self.split.as_ref().is_some_and(|(split, _)| split.parts.len() > 1)
    }

    /// Refuses what a channel that is busy in a group cannot do.
    fn check_alone(&self) -> Result<(), Reason> {
        match self.mpc {
            Some(_) => Err(protocol::Error::TpcBusy(self.latest.tpc).into()),
            None => Ok(()),
        }
    }

    fn check_undisputed(&self) -> Result<(), Reason> {
        match self.deadline {
            Some(_) => Err(Reason::Disputed),
            None => Ok(()),
        }
    }

    /// Refuses what has to wait until another agreement is decided.
    fn check_decided(&self) -> Result<(), Reason> {
        match self.in_flight {
            Some(_) => Err(Reason::InFlight),
            None => Ok(()),
        }
    }

    fn check_undivided(&self) -> Result<(), Reason> {
        if self.is_divided() {
            return Err(Reason::Divided);
        }
        Ok(())
    }

    /// Refuses what a channel that is busy, in dispute, or in the middle of another agreement cannot do.
    fn check_free(&self) -> Result<(), Reason> {
        self.check_alone()?;
        self.check_undisputed()?;
        self.check_decided()
    }

    /// The channel has come out of its group at `state`.
    fn stand_alone(&mut self, state: Entry) {
        (self.latest, self.on_chain) = (state, state);
        (self.mpc, self.proof, self.in_flight) = (None, None, None);
    }

    /// The next version that the owner at `index` may propose.
    fn next_version(&self, index: usize) -> Option<Version> {
        next_turn(index, self.latest.version.max(self.signed))
    }
}

/// Whether the owner at `index` may propose the state with this version, or the split with this epoch: the owners take
/// turns, so that two proposals at once never share one.
fn is_turn(index: usize, number: u64) -> bool {
    number % 2 == index as u64 % 2
}

/// The first number after `last` whose turn is that of the owner at `index`.
fn next_turn(index: usize, last: u64) -> Option<u64> {
    let next = last.checked_add(1)?;
    if is_turn(index, next) {
        Some(next)
    } else {
        next.checked_add(1)
    }
}

impl Group {
    /// A group that is being formed, or exists.
    fn new(forming: Option<(MpcCreation, Vec<Owners>)>) -> Self {
        Self {
            forming,
            initiator: false,
            deadline: None,
            entries: BTreeMap::new(),
            signed: BTreeMap::new(),
            complete: vec![],
            gone: BTreeSet::new(),
            closing: None,
        }
    }

    fn is_open(&self) -> bool {
        self.forming.is_none()
    }

    /// Every update that is known to be complete or that this member has signed, and that may yet count.
    fn updates(&self) -> impl Iterator<Item = &MpcUpdate> {
        let complete = self.complete.iter().map(|complete| &complete.update);
        complete.chain(self.signed.values().map(|(update, _)| update))
    }
}

impl Turn<'_> {
    fn command(&mut self, now: Timestamp, command: Command) {
        let done = match command {
            Command::OpenTpc { peer, nonce, own, theirs, window, valid_until } => {
                self.open_tpc(peer, nonce, [own, theirs], window, valid_until)
            }
            Command::PayTpc { tpc, amount } => self.pay_tpc(tpc, amount),
            Command::CheckpointTpc(tpc) => self.checkpoint_tpc(tpc),
            Command::CloseTpc { tpc, valid_until } => self.propose_close(tpc, valid_until),
            Command::TopUpTpc { tpc, own, theirs, valid_until } => self.propose_top_up(tpc, own, theirs, valid_until),
            Command::WithdrawTpc { tpc, own, theirs, valid_until } => {
                self.propose_withdrawal(tpc, own, theirs, valid_until)
            }
            Command::SplitTpc { tpc, parts } => self.propose_split(tpc, &parts),
            Command::JoinMpc { mpc, member, tpc, valid_until } => self.propose_join(mpc, member, tpc, valid_until),
            Command::LeaveMpc { tpc, valid_until } => self.propose_leave(tpc, valid_until),
            Command::DisputeTpc(tpc) => self.dispute_tpc(tpc),
            Command::CreateMpc { channels, window, valid_until } => {
                self.propose_mpc(now, channels, window, valid_until)
            }
            Command::Pay(payment) => {
                self.send(Peer::Coordinator, Message::MpcPay { payment });
                Some(())
            }
            Command::Checkpoint(mpc) => self.checkpoint(mpc),
            Command::CloseMpc { mpc, valid_until } => self.propose_mpc_close(mpc, valid_until),
            Command::DisputeMpc { mpc, exits } => self.dispute_mpc(mpc, exits),
        };
        if done.is_none() {
            self.tell(Notice::Ignored("the command does not fit the state of its channels"));
        }
    }

    /// Forgets agreements that the contract no longer accepts, and groups that no longer stand.
    fn expire(&mut self, now: Timestamp) {
        let due = |group: &Group| group.deadline.is_some_and(|deadline| now > deadline);
        let gone: Vec<_> = self.party.groups.iter().filter(|(_, group)| due(group)).map(|(mpc, _)| *mpc).collect();
        gone.into_iter().for_each(|mpc| self.dissolve(mpc));
        let Party { opening, channels, groups, .. } = &mut self.party;
        opening.retain(|_, (creation, _)| now <= creation.valid_until);
        for group in groups.values_mut() {
            group.closing.take_if(|close| now > close.valid_until);
        }
        groups.retain(|_, group| group.forming.as_ref().is_none_or(|(creation, _)| now <= creation.valid_until));
        for channel in channels.values_mut() {
            channel.in_flight.take_if(|in_flight| match in_flight {
                InFlight::TpcClose(close, _) => now > close.valid_until,
                InFlight::Agreement(agreement, _) => agreement.valid_until().is_some_and(|until| now > until),
                InFlight::MpcCreate(mpc) => !groups.contains_key(mpc),
                InFlight::MpcClose(mpc) => groups.get(mpc).is_none_or(|group| group.closing.is_none()),
                InFlight::TpcUpdate(..) | InFlight::MpcUpdate(_) => false,
            });
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

    /// What this party has in flight on a channel, if it is what `wanted` looks for, with its index and the peer.
    fn in_flight<T>(&self, tpc: TpcId, wanted: impl Fn(&InFlight) -> Option<T>) -> Option<(T, usize, AccountId)> {
        let channel = self.party.channels.get(&tpc)?;
        let found = wanted(channel.in_flight.as_ref()?)?;
        Some((found, self.index(&channel.owners.parties)?, channel.peer(self.party.account)))
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
