//! One user: what it holds, what it has signed, and what it agrees to.
//!
//! - this file: the state and the entrance
//! - `tpc`: two-party channels
//! - `agreement`: what two owners agree on beside payments: top-ups, withdrawals, splits, joining and leaving a group
//! - `mpc`: multi-party channels
//! - `dispute`: what the chain decides, and what proves this user's states to it

mod agreement;
mod dispute;
mod mpc;
mod tpc;

use super::{
    message::{Agreement, Message, Payment, Reason, UpdateId},
    step::{Effect, Notice, Peer, Step},
};
use chain::{
    keys::{Keys, Native},
    submission::Submission,
};
use codec::{Decode, Encode};
use protocol::{
    event::Event, AccountId, Action, Asset, Balance, Crypto, Dispute, Domain, Entry, Epoch, MpcClose, MpcCreation,
    MpcId, Nonce, Owners, PartySignature, Resolution, Signature, SignedUpdate, Timestamp, Tpc, TpcClose, TpcCreation,
    TpcId, Update, Version, Window,
};
use std::collections::BTreeMap;

/// The furthest that a peer may push a channel's version in one update, so that no peer can use them up.
pub(super) const MAX_VERSION_STEP: Version = 1 << 16;

/// A user's whole state. Its key is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Party {
    account: AccountId,
    domain: Domain,
    /// The most that it lets an agreement take from it without being asked, in planck.
    spend: Balance,
    /// How many signatures it has made.
    signatures: u64,
    /// Creations that it signed and that are not on chain yet.
    opening: BTreeMap<TpcId, Opening>,
    channels: BTreeMap<TpcId, Channel>,
    groups: BTreeMap<MpcId, Group>,
    /// Updates that it has signed and that are neither complete nor void (rule S2).
    in_flight: BTreeMap<UpdateId, InFlight>,
    /// The complete updates that the newest states of its channels rest on, as far as the contract does not hold them.
    complete: Vec<SignedUpdate>,
    /// What the contract's events have told of others' channels. One that is not listed is in epoch 0 and in no group, or
    /// does not exist.
    others: BTreeMap<TpcId, OnChain>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Opening {
    creation: TpcCreation,
    own: Signature,
    /// What this party sends along if it makes the call, in planck.
    value: Balance,
}

/// A channel as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Channel {
    /// The owners, ascending, and what else the channel's id is made of.
    pub owners: Owners,
    /// The newest state that is complete, or that the chain holds.
    pub latest: Entry,
    /// How it stands on chain.
    pub on_chain: OnChain,
    /// The balances that the contract holds.
    stored: [Balance; 2],
    /// The highest version of this epoch that this owner has signed: none is signed twice.
    signed: Version,
    /// What it has signed beside updates and not seen decided: in flight until it is on chain or void (rule S3).
    agreement: Option<Agreed>,
}

/// How a channel stands on chain, own or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct OnChain {
    /// Its epoch, and the version that the contract was last seen to hold.
    pub order: (Epoch, Version),
    /// The registered group that it is in.
    pub mpc: Option<MpcId>,
    /// How often it has been registered or released.
    pub registrations: u32,
    /// The dispute over it, if there is one.
    pub dispute: Option<Dispute>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct InFlight {
    update: Update,
    owners: Vec<Owners>,
    own: Signature,
    /// The group whose coordinator leads it.
    mpc: Option<MpcId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Agreed {
    Close(TpcClose, Signature),
    /// It stands at every channel that it names.
    Both(Box<Agreement>, Signature),
    MpcCreate(MpcId),
    MpcClose(MpcId),
}

/// A multi-party channel as a member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Group {
    /// What this member has signed to form it, and who owns its channels, until the chain has it.
    forming: Option<(MpcCreation, Vec<Owners>)>,
    /// Whether this member brings the group's actions to the chain.
    initiator: bool,
    closing: Option<MpcClose>,
}

/// What an application asks of its party.
#[derive(Clone, Debug)]
pub enum Command {
    /// Open a channel of the native token.
    OpenTpc {
        /// With whom.
        peer: AccountId,
        /// How many channels the pair has created: the contract's `next_nonce`.
        nonce: Nonce,
        /// What this party puts in, in planck.
        own: Balance,
        /// What the peer puts in, in planck.
        theirs: Balance,
        /// What this party sends along into its ledger with the creation, in planck.
        value: Balance,
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
    /// Put the newest complete state of a channel on chain.
    CheckpointTpc(TpcId),
    /// Close a channel that stands alone.
    CloseTpc {
        /// The channel.
        tpc: TpcId,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Register channels, each given by its owners and its newest state, as a multi-party channel.
    CreateMpc {
        /// The channels in any order.
        channels: Vec<(Owners, Entry)>,
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
    /// Turn channels with the same peer into others with the same sum: one into several, or several into one.
    SplitTpc {
        /// The channels, which stand alone. The first goes on as the first part; the others are gone.
        channels: Vec<TpcId>,
        /// What this party and the peer hold in each part, in planck.
        parts: Vec<(Balance, Balance)>,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Bring a channel that stands alone into a group that exists.
    JoinMpc {
        /// The group.
        mpc: MpcId,
        /// A channel that is in it and that one of the two owners owns too.
        host: TpcId,
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
    /// Put the newest complete states of this party's channels on chain and start their clocks, or decide that disputed ones
    /// will be settled, not renewed.
    Dispute {
        /// The channels.
        channels: Vec<TpcId>,
        /// What happens to them after their deadlines.
        then: Resolution,
    },
    /// Settle a multi-party transaction.
    Pay(Payment),
    /// Put the newest complete states of this party's channels in a group on chain.
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
            in_flight: BTreeMap::new(),
            complete: vec![],
            others: BTreeMap::new(),
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

    /// The multi-party channels that it has channels in.
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

    fn owns(&self, owners: &Owners) -> bool {
        owners.parties.contains(&self.account)
    }

    /// How a channel stands on chain, as far as events have told.
    fn on_chain(&self, tpc: &TpcId) -> OnChain {
        let own = self.channels.get(tpc).map(|channel| channel.on_chain);
        own.or_else(|| self.others.get(tpc).copied()).unwrap_or_default()
    }

    /// Refuses what has to wait until something that this party has signed is decided.
    fn check_decided(&self, channel: &Channel) -> Result<(), Reason> {
        match channel.agreement.is_some() || self.in_flight_on(channel.latest.tpc).next().is_some() {
            true => Err(Reason::InFlight),
            false => Ok(()),
        }
    }

    /// Refuses what a channel that is busy, disputed, or in the middle of another agreement cannot do.
    fn check_free(&self, channel: &Channel) -> Result<(), Reason> {
        channel.check_alone()?;
        channel.check_undisputed()?;
        self.check_decided(channel)
    }

    /// What is in flight on a channel.
    fn in_flight_on(&self, tpc: TpcId) -> impl Iterator<Item = (&UpdateId, &InFlight)> {
        self.in_flight.iter().filter(move |(_, flight)| flight.update.entries.iter().any(|entry| entry.tpc == tpc))
    }

    /// Forgets the updates that nothing rests on any more (rule S7).
    fn forget(&mut self) {
        let Self { channels, complete, in_flight, .. } = self;
        complete.retain(|complete| {
            complete.update.entries.iter().any(|entry| {
                let channel = channels.get(&entry.tpc);
                channel.is_some_and(|channel| channel.latest == *entry && channel.on_chain.order < entry.order())
            })
        });
        in_flight.retain(|_, flight| {
            let newer =
                |entry: &Entry| channels.get(&entry.tpc).is_some_and(|channel| channel.latest.order() < entry.order());
            flight.update.entries.iter().any(newer)
        });
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
    fn new(owners: Owners, state: Entry) -> Self {
        Self {
            owners,
            latest: state,
            on_chain: OnChain { order: state.order(), ..OnChain::default() },
            stored: state.balances,
            signed: state.version,
            agreement: None,
        }
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
        let OnChain { mpc, registrations, dispute, .. } = self.on_chain;
        Tpc { owners: self.owners, balances, epoch, version, dispute, mpc, registrations }
    }

    /// The state that the contract holds.
    fn stored(&self) -> Entry {
        let (epoch, version) = self.on_chain.order;
        Entry { tpc: self.latest.tpc, epoch, version, balances: self.stored }
    }

    /// The chain has put the channel into its next epoch, which voids what was signed for the one before.
    fn begin_epoch(&mut self, state: Entry) {
        self.on_chain.order = state.order();
        (self.latest, self.stored, self.signed) = (state, state.balances, state.version);
        self.agreement.take_if(|agreed| agreed.names_epoch());
    }

    /// Refuses what a channel that is busy in a group cannot do.
    fn check_alone(&self) -> Result<(), Reason> {
        match self.on_chain.mpc {
            Some(_) => Err(protocol::Error::TpcBusy(self.latest.tpc).into()),
            None => Ok(()),
        }
    }

    fn check_undisputed(&self) -> Result<(), Reason> {
        match self.on_chain.dispute {
            Some(_) => Err(Reason::Disputed),
            None => Ok(()),
        }
    }

    /// Refuses a state that ends its epoch, or closes it, unless it is its newest state in the peer's turn.
    fn check_last(&self, index: usize, last: &Entry) -> Result<(), Reason> {
        self.check_turn(index, last)?;
        if last.balances != self.latest.balances {
            return Err(Reason::Outdated(vec![self.latest]));
        }
        Ok(())
    }

    /// Refuses a state that is not the turn of the peer of the owner at `index`, that is not newer, or that uses up too many
    /// versions or an epoch.
    fn check_turn(&self, index: usize, entry: &Entry) -> Result<(), Reason> {
        let Entry { epoch, version, .. } = self.latest;
        let furthest = self.signed.max(version).saturating_add(MAX_VERSION_STEP);
        if entry.epoch != epoch || entry.version <= version || entry.version > furthest || is_turn(index, entry.version)
        {
            return Err(Reason::Outdated(vec![self.latest]));
        }
        Ok(())
    }

    /// The newest state under the next version that the owner at `index` may propose.
    fn next(&self, index: usize) -> Option<Entry> {
        Some(Entry { version: next_turn(index, self.latest.version.max(self.signed))?, ..self.latest })
    }
}

impl Agreed {
    /// Whether it is good in one epoch only. Registrations are not.
    fn names_epoch(&self) -> bool {
        match self {
            Self::Close(..) => true,
            Self::Both(agreement, _) => !matches!(**agreement, Agreement::Join(_) | Agreement::Leave(_)),
            Self::MpcCreate(_) | Self::MpcClose(_) => false,
        }
    }
}

/// Whether the owner at `index` may propose the state with this version: the owners take turns, so that two proposals at
/// once never share one.
fn is_turn(index: usize, version: Version) -> bool {
    version % 2 == index as u64 % 2
}

/// The first version after `last` whose turn is that of the owner at `index`.
fn next_turn(index: usize, last: Version) -> Option<Version> {
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
        Self { forming, initiator: false, closing: None }
    }

    fn is_open(&self) -> bool {
        self.forming.is_none()
    }
}

impl Turn<'_> {
    fn command(&mut self, now: Timestamp, command: Command) {
        let done = match command {
            Command::OpenTpc { peer, nonce, own, theirs, value, window, valid_until } => {
                self.open_tpc(peer, nonce, [own, theirs], value, window, valid_until)
            }
            Command::PayTpc { tpc, amount } => self.pay_tpc(tpc, amount),
            Command::CheckpointTpc(tpc) => self.checkpoint_tpc(tpc),
            Command::CloseTpc { tpc, valid_until } => self.propose_close(tpc, valid_until),
            Command::TopUpTpc { tpc, own, theirs, valid_until } => self.propose_top_up(tpc, own, theirs, valid_until),
            Command::WithdrawTpc { tpc, own, theirs, valid_until } => {
                self.propose_withdrawal(tpc, own, theirs, valid_until)
            }
            Command::SplitTpc { channels, parts, valid_until } => self.propose_split(&channels, &parts, valid_until),
            Command::JoinMpc { mpc, host, tpc, valid_until } => self.propose_join(mpc, host, tpc, valid_until),
            Command::LeaveMpc { tpc, valid_until } => self.propose_leave(tpc, valid_until),
            Command::Dispute { channels, then } => self.dispute(&channels, then),
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

    /// Forgets agreements that the contract no longer accepts, and takes over what deadlines have decided.
    fn expire(&mut self, now: Timestamp) {
        self.end_disputes(now);
        let Party { opening, channels, groups, .. } = &mut self.party;
        opening.retain(|_, opening| now <= opening.creation.valid_until);
        for group in groups.values_mut() {
            group.closing.take_if(|close| now > close.valid_until);
        }
        groups.retain(|_, group| group.forming.as_ref().is_none_or(|(creation, _)| now <= creation.valid_until));
        for channel in channels.values_mut() {
            channel.agreement.take_if(|agreed| match agreed {
                Agreed::Close(close, _) => now > close.valid_until,
                Agreed::Both(agreement, _) => now > agreement.valid_until(),
                Agreed::MpcCreate(mpc) => !groups.contains_key(mpc),
                Agreed::MpcClose(mpc) => groups.get(mpc).is_none_or(|group| group.closing.is_none()),
            });
        }
    }

    fn sign(&mut self, action: Action) -> Signature {
        self.party.signatures = self.party.signatures.saturating_add(1);
        self.keys.sign(&action.payload(&Native, &self.party.domain))
    }

    /// Signs an update of this party's channels, which it has checked, and has it in flight.
    fn sign_update(&mut self, update: Update, owners: Vec<Owners>, mpc: Option<MpcId>) -> (UpdateId, Signature) {
        let id = self.update_id(&update);
        let own = self.sign(Action::Update(&update));
        for entry in &update.entries {
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                channel.signed = channel.signed.max(entry.version);
            }
        }
        self.party.in_flight.insert(id, InFlight { update, owners, own, mpc });
        (id, own)
    }

    /// Everybody has signed an update that is in flight.
    fn complete(&mut self, id: UpdateId, signatures: Vec<PartySignature>) {
        let Some(InFlight { update, owners, mpc, .. }) = self.party.in_flight.get(&id).cloned() else { return };
        let is_disputed = |entry: &Entry| {
            let OnChain { order, dispute, .. } = self.party.on_chain(&entry.tpc);
            dispute.is_some() && order < entry.order()
        };
        let too_late = update.entries.iter().any(is_disputed);
        let signed = SignedUpdate { update, owners, signatures };
        if too_late {
            // It counts once it is on chain, and may yet become void (rule S4).
            return self.bring(vec![signed]);
        }
        for entry in &signed.update.entries {
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                if channel.latest.order() < entry.order() {
                    channel.latest = *entry;
                }
            }
        }
        self.tell_updated(mpc, &signed.update);
        self.party.complete.push(signed);
        self.party.forget();
    }

    fn tell_updated(&mut self, mpc: Option<MpcId>, update: &Update) {
        match (mpc, update.entries.first()) {
            (Some(mpc), _) => self.tell(Notice::MpcUpdated(mpc)),
            (None, Some(entry)) => self.tell(Notice::TpcUpdated(entry.tpc)),
            (None, None) => {}
        }
    }

    fn verify(&self, action: Action, signer: AccountId, signature: &Signature) -> bool {
        let payload = action.payload(&Native, &self.party.domain);
        Native.sr25519_verify(&signature.0, &payload, signer.as_ref())
    }

    fn update_id(&self, update: &Update) -> UpdateId {
        Action::Update(update).payload(&Native, &self.party.domain)
    }

    fn send(&mut self, to: Peer, message: Message) {
        self.effects.push(Effect::Send(to, message));
    }

    fn submit(&mut self, submission: Submission) {
        self.effects.push(Effect::Submit { submission, value: 0 });
    }

    /// Puts complete updates on chain.
    fn bring(&mut self, updates: Vec<SignedUpdate>) {
        Submission::of_updates(updates).into_iter().for_each(|submission| self.submit(submission));
    }

    fn tell(&mut self, notice: Notice) {
        self.effects.push(Effect::Tell(notice));
    }

    fn ignore(&mut self, why: &'static str) {
        self.tell(Notice::Ignored(why));
    }

    /// What this party has agreed to on a channel, if it is what `wanted` looks for, with its index and the peer.
    fn agreed_on<T>(&self, tpc: TpcId, wanted: impl Fn(&Agreed) -> Option<T>) -> Option<(T, usize, AccountId)> {
        let channel = self.party.channels.get(&tpc)?;
        let found = wanted(channel.agreement.as_ref()?)?;
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

/// Both owners' signatures beside their signers.
fn listed(parties: [AccountId; 2], signatures: [Signature; 2]) -> Vec<PartySignature> {
    parties.into_iter().zip(signatures).map(|(party, signature)| PartySignature { party, signature }).collect()
}

/// The refusal of an update that would take more from a party than it lets go.
fn check_spend(spend: Balance, before: Balance, after: Balance) -> Result<(), Reason> {
    if before.saturating_sub(after) > spend {
        return Err(Reason::Declined);
    }
    Ok(())
}
