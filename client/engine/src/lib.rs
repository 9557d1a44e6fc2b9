//! What Braid's parties, coordinators and watchers decide. No socket, file, clock or key is in here: an input goes in, and
//! effects and changed records come out ([`Engine::apply`]).
//!
//! One [`Engine`] is one account. It owns channels, leads rounds over them, may coordinate groups, and watches what its
//! states rest on. The rules are numbered in docs/protocol.md.
//!
//! - [`message`], what accounts say to each other
//! - [`channel`], what an account knows of a channel, and the updates that it holds
//! - [`payment`], payments and permissions
//! - [`record`], what is stored, and [`journal`], how steps and commits go together
//! - [`call`], calls of the contract
//! - [`crypto`], signatures, and the seam behind which keys live
//! - [`watcher`], what answers disputes while a user is away
//! - `chain`, what blocks tell; `pay`, payments on their way; `round`, the leader's side of a round; `sign`, the side of those
//!   who are asked; `agree`, what two owners agree on beside payments; `group`, members and coordinators; `plan`, which
//!   channels carry what a group wants; `outbox`, calls until they are on chain; `time`, sending again

mod agree;
pub mod call;
mod chain;
pub mod channel;
pub mod crypto;
mod group;
pub mod journal;
pub mod message;
mod outbox;
mod pay;
pub mod payment;
mod plan;
pub mod record;
mod round;
mod sign;
mod time;
pub mod watcher;

pub use agree::Agreeing;
pub use call::{Call, CallId};
pub use chain::{Block, HeadDispute, Reading, Stored};
pub use channel::{Channel, Held};
pub use crypto::{Native, Signer};
pub use group::{Led, Membership};
pub use message::Message;
pub use payment::{Hop, Outcome, Over, Payment, PaymentId, Payments, Permission, Scope, Transfer};
pub use round::Round;

use channel::Foreign;
use codec::{Decode, Encode};
use message::{Agreement, AgreementId, Reason, RoundId, Term, UpdateId};
use payment::{Grantee, Pending, Purpose};
use plan::Planners;
use protocol::{AccountId, Asset, Balance, Domain, MpcId, Nonce, Owners, Resolution, Timestamp, TpcId, Window};
use record::{BadRecord, Change, Record, Table};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a party lets others do without asking its application, and how long it waits for them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Policy {
    /// The shortest window, in ms, of any channel that an update may name: long enough to see a dispute and to answer it
    /// (rule S1).
    pub min_window: Window,
    /// How much time before a deadline, in ms, suffices to bring an update to the chain (rule S4).
    pub reaction: Timestamp,
    /// How far ahead, in ms of block time, an agreement may stay good.
    pub max_validity: Timestamp,
    /// Whether agreements that take nothing from this party are signed without asking: closing, withdrawing and splitting at
    /// the newest state, opening and topping up at the other's expense, joining and leaving a group.
    pub agree: bool,
    /// Whether groups that others form are entered without asking.
    pub enter_groups: bool,
    /// Whether anybody may have this account coordinate a group.
    pub coordinate: bool,
    /// How long to wait for an answer before asking again, in ms of real time. Doubles with each time, up to 64 times.
    pub resend_after: u64,
    /// How long channels stay reserved for a round that was consented to, in ms of real time.
    pub reserve_for: u64,
    /// How long an update may hang before one of its channels is disputed to renew it, in ms of real time (rule S8). `None`
    /// leaves that to the application.
    pub free_after: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_window: protocol::state::MIN_WINDOW,
            reaction: 5_000,
            max_validity: 7 * 24 * 3_600_000,
            agree: true,
            enter_groups: false,
            coordinate: false,
            resend_after: 1_000,
            reserve_for: 10_000,
            free_after: None,
        }
    }
}

/// What an application asks of its account.
#[derive(Clone, Debug)]
pub enum Command {
    /// Open a channel.
    Open {
        /// With whom.
        peer: AccountId,
        /// How many channels the pair has created: the contract's `next_nonce`.
        nonce: Nonce,
        /// What the channel holds.
        asset: Asset,
        /// What this party puts in.
        own: Balance,
        /// What the peer puts in.
        theirs: Balance,
        /// What this party sends along into its ledger with the creation, in planck.
        value: Balance,
        /// How long a dispute over it may be answered.
        window: Window,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Close a channel and pay it out. Like every agreement that ends an epoch, it stops payments over the channel until it is
    /// on chain or has expired, whether or not the peer answers (rule S3): so it should not stay good for long.
    Close {
        /// The channel.
        tpc: TpcId,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Put more of both owners' ledger funds into a channel.
    TopUp {
        /// The channel.
        tpc: TpcId,
        /// What this party puts in.
        own: Balance,
        /// What the peer puts in.
        theirs: Balance,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Pay a part of a channel out.
    Withdraw {
        /// The channel.
        tpc: TpcId,
        /// What this party gets.
        own: Balance,
        /// What the peer gets.
        theirs: Balance,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Turn channels with the same peer into others with the same sum: one into several, or several into one.
    Split {
        /// The channels. The first goes on as the first part; the others are gone.
        channels: Vec<TpcId>,
        /// What this party and the peer hold in each part.
        parts: Vec<(Balance, Balance)>,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Bring a channel into a group that this party or its peer is in.
    Join {
        /// The group.
        mpc: MpcId,
        /// A channel that is in it and that one of the two owners owns too.
        host: TpcId,
        /// The channel.
        tpc: TpcId,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Take a channel out of its registered group.
    Leave {
        /// The channel.
        tpc: TpcId,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Form a group.
    CreateMpc {
        /// All its channels, in any order, each with its count of registrations.
        channels: Vec<(Owners, u32)>,
        /// Who leads its rounds.
        coordinator: AccountId,
        /// Whether it is registered on chain, as in the paper.
        registered: bool,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Release all channels of a group.
    CloseMpc {
        /// The group.
        mpc: MpcId,
        /// All its channels, each with its count of registrations.
        channels: Vec<(TpcId, u32)>,
        /// When the agreement becomes void.
        valid_until: Timestamp,
    },
    /// Have another account lead a group's rounds from now on, and sign for no other any more.
    SetCoordinator {
        /// The group.
        mpc: MpcId,
        /// The new coordinator.
        coordinator: AccountId,
        /// Its term, above all before.
        term: Term,
    },
    /// Pay.
    Pay {
        /// What goes from whom to whom; settled together or not at all.
        transfers: Vec<Transfer>,
        /// Over which channels.
        over: Over,
    },
    /// Take back a payment that is not decided.
    Cancel(u64),
    /// Let somebody move funds without asking again.
    Permit(Permission),
    /// Take a permission back.
    Revoke(u64),
    /// Answer a request.
    Answer {
        /// Which.
        request: u64,
        /// Whether this party does it.
        accept: bool,
    },
    /// Put the newest complete states of channels on chain.
    Checkpoint(Vec<TpcId>),
    /// Put the newest complete states of channels on chain and start their clocks, or decide that disputed ones will be
    /// settled, not renewed. Channels that are to be settled are settled after their deadlines.
    Dispute {
        /// The channels.
        channels: Vec<TpcId>,
        /// What happens to them after their deadlines.
        then: Resolution,
    },
    /// Other bounds.
    SetPolicy(Policy),
}

/// What happens to an account.
#[derive(Clone, Debug)]
pub enum Input {
    /// Its application wants something.
    Command(Command),
    /// A peer, known by the transport, says something.
    Message {
        /// Who.
        from: AccountId,
        /// What.
        message: Message,
    },
    /// There is a connection to a peer again.
    Connected(AccountId),
    /// A block is final.
    Block(Block),
    /// What the contract's storage holds of channels that were asked for by [`Effect::Read`].
    Read(Reading),
    /// Which channels are disputed at the best head, whether that block becomes final or not: all of them, each time. They are
    /// stored: after a restart those that were given last count until others are.
    Head(Vec<HeadDispute>),
    /// A call failed: it is not on chain, and what it was for may still be wanted.
    CallFailed(CallId),
    /// Real time, in ms. It decides nothing; what was not answered is sent again.
    Tick(u64),
}

/// What a step asks the world to do, once its records are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a message.
    Send(AccountId, Message),
    /// Call the contract.
    Call {
        /// Names the call in [`Input::CallFailed`].
        id: CallId,
        /// The call.
        call: Call,
        /// What is sent along into the caller's ledger, in planck.
        value: Balance,
        /// Block time in ms after which it is of no use: calls with the earliest deadlines come first.
        deadline: Option<Timestamp>,
    },
    /// Read the contract's storage of these channels, and the end of each epoch that is named, at a final block.
    Read(Vec<(TpcId, u32)>),
    /// Tell the application.
    Tell(Notice),
}

/// What an application hears about. It may hear something twice: each names what it is about.
///
/// What is told may be lost if the process dies right after the commit. [`Notice::Decided`] and [`Notice::Received`] can be
/// recovered: each leaves a numbered record ([`past_key`]), so an application that remembers how far it has read goes on
/// from there. All else can be asked of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A payment that this party asked for is decided.
    Decided {
        /// Its number.
        payment: u64,
        /// How.
        outcome: Outcome,
        /// Why it will never count.
        reason: Option<Reason>,
    },
    /// Somebody else's payment to or from this party counts.
    Received(Payment),
    /// Newer states are complete.
    Updated(UpdateId),
    /// A channel is on chain.
    Opened(TpcId),
    /// A channel is in its next epoch.
    EpochBegan(TpcId),
    /// A channel is gone.
    Ended(TpcId),
    /// A channel is disputed.
    Disputed(TpcId),
    /// A group exists.
    MpcCreated(MpcId),
    /// A group was not formed.
    MpcCreateFailed(MpcId, Reason),
    /// All members agreed to release all channels of a group.
    MpcClosed(MpcId),
    /// They did not.
    MpcCloseFailed(MpcId, Reason),
    /// An agreement that this party proposed was refused. It stays in flight until it expires: the peer may still use it.
    AgreementRejected(AgreementId, Reason),
    /// Somebody wants what nothing permits.
    Requested {
        /// Its number, for [`Command::Answer`].
        request: u64,
        /// Who wants it.
        from: AccountId,
        /// What.
        wants: Wants,
    },
    /// An update has hung for as long as the policy says; a channel of it was disputed to renew it if that says so too.
    Hangs(UpdateId),
    /// A complete update can never count: it was not brought in time.
    Lost(UpdateId),
    /// A message was ignored because it fits nothing.
    Ignored(&'static str),
}

/// What somebody else wants of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// An agreement that takes something from it.
    Agreement(Agreement),
    /// That it enters a group.
    Group(MpcId),
    /// That it pays, or passes money on.
    Payments(Vec<Payment>),
}

/// Why a command is not done. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum Refusal {
    #[error("there is no channel {0} of this party")]
    UnknownChannel(TpcId),
    #[error("there is no group {0} that this party is in")]
    UnknownGroup(MpcId),
    #[error("there is no such payment, permission or request")]
    Unknown,
    #[error("the party can pay only {available} of the asset's smallest unit over it now: lower the amount")]
    Insufficient { available: Balance },
    #[error("the payment moves nothing, has too many transfers, or is not this party's: name what it pays or is paid")]
    BadPayment,
    #[error("the term is not above {0}, the highest that this party has accepted")]
    OldTerm(Term),
    #[error("{0}")]
    Reason(#[from] Reason),
}

impl From<protocol::Error> for Refusal {
    fn from(error: protocol::Error) -> Self {
        Self::Reason(error.into())
    }
}

/// What a command gives back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is on its way, or done.
    Done,
    /// The payment's, the permission's or the group's name.
    Payment(u64),
    /// See [`Command::Permit`].
    Permission(u64),
    /// See [`Command::CreateMpc`].
    Mpc(MpcId),
    /// The channel that will be.
    Tpc(TpcId),
}

/// What a step gives.
#[derive(Clone, Debug)]
#[must_use = "the records must be stored before the effects may happen"]
pub struct Output {
    /// The records that have changed.
    pub changes: Vec<Change>,
    /// What follows once they are stored.
    pub effects: Vec<Effect>,
    /// What the command gives back; [`Answer::Done`] for other inputs.
    pub answer: Result<Answer, Refusal>,
}

/// What is counted, and how far the account is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Counters {
    /// How many payments it has asked for.
    payments: u64,
    /// How many rounds it has led.
    rounds: u64,
    /// How many permissions it has given.
    permissions: u64,
    /// How many calls it has made.
    calls: u64,
    /// How many payments it has seen decided.
    past: u64,
    /// How many signatures it has made.
    signatures: u64,
}

impl Record for Counters {
    const KIND: u8 = 10;
    type Key = ();
}

/// The last final block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Cursor {
    /// Its number.
    pub block: u32,
    /// Its time, in ms.
    pub now: Timestamp,
}

impl Record for Cursor {
    const KIND: u8 = 11;
    type Key = ();
}

impl Record for Policy {
    const KIND: u8 = 12;
    type Key = ();
}

/// The first byte of the keys of payments that are decided. They are history: the engine never reads them.
pub const PAST: u8 = 20;

/// The key of the record of a decided payment ([`payment::Past`]). They are numbered from 0 in the order in which they were
/// decided, and keys ascend with the numbers: whoever reads the store from `past_key(number)` on gets all that came since.
/// [`Engine::decided`] is the next number.
pub fn past_key(number: u64) -> Vec<u8> {
    (PAST, number.to_be_bytes()).encode()
}

/// An account: its channels, groups, payments and rounds.
#[derive(Clone, Debug)]
pub struct Engine {
    account: AccountId,
    domain: Domain,
    channels: Table<Channel>,
    foreign: Table<Foreign>,
    held: Table<Held>,
    pending: Table<Pending>,
    permissions: Table<Permission>,
    agreements: Table<Agreeing>,
    memberships: Table<Membership>,
    led: Table<Led>,
    rounds: Table<Round>,
    served: Table<pay::Served>,
    calls: Table<outbox::Waiting>,
    counters: Table<Counters>,
    cursor: Table<Cursor>,
    policy: Table<Policy>,
    /// Which channels are disputed at the best head, and until when. Stored, so that nothing is signed after a restart as if
    /// nothing were disputed.
    head: Table<HeadDispute>,
    // What follows from the records, or may be forgotten.
    /// Real time, in ms.
    clock: u64,
    /// The updates that name a channel.
    naming: BTreeMap<TpcId, BTreeSet<UpdateId>>,
    /// The round that leads to an update.
    leads: BTreeMap<UpdateId, u64>,
    /// The rounds of this leader that a channel takes part in.
    in_round: BTreeMap<TpcId, BTreeSet<u64>>,
    /// The payments that wait for a round of this party's own, by their channel.
    waiting: BTreeMap<TpcId, BTreeSet<PaymentId>>,
    /// When disputes end.
    deadlines: BTreeSet<(Timestamp, TpcId)>,
    /// The channels of groups that this account coordinates.
    seats: BTreeMap<MpcId, BTreeSet<TpcId>>,
    /// What waits in groups that this account coordinates, in its order.
    queues: BTreeMap<MpcId, VecDeque<plan::Queued>>,
    planners: Planners,
    /// What payments that are not decided take from this party, by their channel.
    owed: BTreeMap<TpcId, Balance>,
    /// The permissions by whom they are given to.
    granted: BTreeMap<(Grantee, Purpose), BTreeSet<u64>>,
    /// The payments that take from this party or were asked for by it, with the updates in flight that they are in.
    signed_in: BTreeSet<(PaymentId, UpdateId)>,
    /// What was consented to.
    reservations: BTreeMap<RoundId, sign::Reservation>,
    /// Questions to the chain whose answers messages wait for.
    parked: VecDeque<sign::Parked>,
    /// Requests to the application.
    requests: BTreeMap<u64, sign::Request>,
    /// The payments of others that the application has approved, each once and as it was asked for.
    approved: BTreeMap<PaymentId, Payment>,
    /// The payments of others that the application has declined: it is not asked again.
    declined: BTreeSet<PaymentId>,
    /// What the application lets pass through its channels, once and as it was asked for.
    approved_moves: Vec<(Payments, Vec<message::Move>)>,
    next_request: u64,
    /// What is sent again unless it is answered.
    timers: time::Timers,
}

/// A step under way.
struct Step<'a> {
    engine: &'a mut Engine,
    signer: &'a dyn Signer,
    effects: Vec<Effect>,
    past: Vec<Change>,
    /// Messages to itself.
    own: VecDeque<Message>,
}

impl Engine {
    /// An account without channels.
    pub fn new(account: AccountId, domain: Domain, policy: Policy) -> Self {
        let mut engine = Self::empty(account, domain);
        engine.policy.insert((), policy);
        engine
    }

    fn empty(account: AccountId, domain: Domain) -> Self {
        let mut engine = Self {
            account,
            domain,
            channels: Table::default(),
            foreign: Table::default(),
            held: Table::default(),
            pending: Table::default(),
            permissions: Table::default(),
            agreements: Table::default(),
            memberships: Table::default(),
            led: Table::default(),
            rounds: Table::default(),
            served: Table::default(),
            calls: Table::default(),
            counters: Table::default(),
            cursor: Table::default(),
            policy: Table::default(),
            head: Table::default(),
            clock: 0,
            naming: BTreeMap::new(),
            leads: BTreeMap::new(),
            in_round: BTreeMap::new(),
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            seats: BTreeMap::new(),
            queues: BTreeMap::new(),
            planners: Planners::default(),
            owed: BTreeMap::new(),
            granted: BTreeMap::new(),
            signed_in: BTreeSet::new(),
            reservations: BTreeMap::new(),
            parked: VecDeque::new(),
            requests: BTreeMap::new(),
            approved: BTreeMap::new(),
            declined: BTreeSet::new(),
            approved_moves: vec![],
            next_request: 0,
            timers: time::Timers::default(),
        };
        let counters = Counters { payments: 0, rounds: 0, permissions: 0, calls: 0, past: 0, signatures: 0 };
        engine.counters.insert((), counters);
        engine.cursor.insert((), Cursor::default());
        engine
    }

    /// The account from the records that its steps have stored. [`Engine::resume`] is its first step.
    ///
    /// # Errors
    /// [`BadRecord`].
    pub fn load<'a>(
        account: AccountId,
        domain: Domain,
        records: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, BadRecord> {
        let mut engine = Self::empty(account, domain);
        engine.policy.insert((), Policy::default());
        for (key, value) in records {
            let known = key.first() == Some(&PAST)
                || engine.channels.load(key, value)?
                || engine.foreign.load(key, value)?
                || engine.held.load(key, value)?
                || engine.pending.load(key, value)?
                || engine.permissions.load(key, value)?
                || engine.agreements.load(key, value)?
                || engine.memberships.load(key, value)?
                || engine.led.load(key, value)?
                || engine.rounds.load(key, value)?
                || engine.served.load(key, value)?
                || engine.calls.load(key, value)?
                || engine.counters.load(key, value)?
                || engine.cursor.load(key, value)?
                || engine.policy.load(key, value)?
                || engine.head.load(key, value)?;
            if !known {
                return Err(BadRecord::Malformed(key.to_vec()));
            }
        }
        engine.index();
        Ok(engine)
    }

    /// Builds what follows from the records.
    fn index(&mut self) {
        for (id, held) in self.held.iter() {
            for entry in &held.update.entries {
                self.naming.entry(entry.tpc).or_default().insert(*id);
            }
        }
        for (number, round) in self.rounds.iter() {
            if let Some(id) = round.update_id() {
                self.leads.insert(id, *number);
            }
            for tpc in round.tpcs() {
                self.in_round.entry(tpc).or_default().insert(*number);
            }
        }
        for (tpc, channel) in self.channels.iter() {
            if let Some(dispute) = channel.on_chain.dispute {
                self.deadlines.insert((dispute.deadline, *tpc));
            }
            if let Some(mpc) = channel.mpc.filter(|mpc| self.led.contains(mpc)) {
                self.seats.entry(mpc).or_default().insert(*tpc);
            }
        }
        for (tpc, foreign) in self.foreign.iter() {
            if let Some(dispute) = foreign.on_chain.dispute {
                self.deadlines.insert((dispute.deadline, *tpc));
            }
        }
        for (id, held) in self.held.iter() {
            let own = held.payments.iter().filter(|payment| payment.binds(self.account));
            self.signed_in.extend(own.map(|payment| (payment.id, *id)));
        }
        self.index_pending();
        for (id, permission) in self.permissions.iter() {
            self.granted.entry((permission.grantee, permission.purpose)).or_default().insert(*id);
        }
        for (payment, pending) in self.pending.iter() {
            let leads = self.leads_payment(pending) == Some(self.account);
            if let (Over::Channel(tpc), true, false) = (&pending.over, leads, self.is_signed(payment)) {
                self.waiting.entry(*tpc).or_default().insert(*payment);
            }
        }
    }

    /// What follows when `input` happens. The records that have changed must be stored before any effect happens; if they
    /// cannot be, the engine is lost and has to be loaded again.
    pub fn apply(&mut self, signer: &dyn Signer, input: Input) -> Output {
        let mut step = Step { engine: self, signer, effects: vec![], past: vec![], own: VecDeque::new() };
        let answer = step.input(input);
        step.drain();
        let Step { effects, past, .. } = step;
        let mut changes = past;
        self.take_changes(&mut changes);
        Output { changes, effects, answer }
    }

    /// The first step after [`Engine::load`]: makes the calls and sends the messages that may have been lost with the process.
    pub fn resume(&mut self, signer: &dyn Signer) -> Output {
        let mut step = Step { engine: self, signer, effects: vec![], past: vec![], own: VecDeque::new() };
        step.resume();
        step.drain();
        let Step { effects, past, .. } = step;
        let mut changes = past;
        self.take_changes(&mut changes);
        Output { changes, effects, answer: Ok(Answer::Done) }
    }

    fn take_changes(&mut self, into: &mut Vec<Change>) {
        self.channels.take_changes(into);
        self.foreign.take_changes(into);
        self.held.take_changes(into);
        self.pending.take_changes(into);
        self.permissions.take_changes(into);
        self.agreements.take_changes(into);
        self.memberships.take_changes(into);
        self.led.take_changes(into);
        self.rounds.take_changes(into);
        self.served.take_changes(into);
        self.calls.take_changes(into);
        self.counters.take_changes(into);
        self.cursor.take_changes(into);
        self.policy.take_changes(into);
        self.head.take_changes(into);
    }

    /// Whose engine it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Where its signatures are good.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The last final block that it has seen.
    pub fn cursor(&self) -> Cursor {
        self.cursor.get(&()).copied().unwrap_or_default()
    }

    /// The earliest deadline of a dispute that it follows, in ms of block time.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Its bounds.
    pub fn policy(&self) -> Policy {
        self.policy.get(&()).cloned().unwrap_or_default()
    }

    /// A channel that it owns or coordinates.
    pub fn channel(&self, tpc: &TpcId) -> Option<&Channel> {
        self.channels.get(tpc)
    }

    /// The channels that it owns.
    pub fn channels(&self) -> impl Iterator<Item = (&TpcId, &Channel)> {
        self.channels.iter().filter(|(_, channel)| self.owns(&channel.owners))
    }

    /// The groups that it is in.
    pub fn memberships(&self) -> impl Iterator<Item = (&MpcId, &Membership)> {
        self.memberships.iter()
    }

    /// The groups that it coordinates.
    pub fn led(&self) -> impl Iterator<Item = (&MpcId, &Led)> {
        self.led.iter()
    }

    /// The channels of a group that it coordinates, as far as it knows them.
    pub fn seats(&self, mpc: &MpcId) -> impl Iterator<Item = &TpcId> {
        self.seats.get(mpc).into_iter().flatten()
    }

    /// What waits for the application's word, each with its number and who wants it: what was told by
    /// [`Notice::Requested`] and is not answered.
    pub fn requests(&self) -> impl Iterator<Item = (u64, AccountId, Wants)> + '_ {
        let all = self.requests.iter();
        all.filter_map(|(number, request)| Some((*number, request.from, request.wants(&self.domain)?)))
    }

    /// The updates that it holds.
    pub fn held(&self) -> impl Iterator<Item = (&UpdateId, &Held)> {
        self.held.iter()
    }

    /// The payments that it has asked for and that are not decided.
    pub fn pending(&self) -> impl Iterator<Item = &Payment> {
        self.pending.iter().map(|(_, pending)| &pending.payment)
    }

    /// How many payments it has seen decided: the number of the next record of that kind ([`past_key`]).
    pub fn decided(&self) -> u64 {
        self.counters.get(&()).map_or(0, |counters| counters.past)
    }

    /// What it holds of an asset in all its channels, at their newest states.
    pub fn holdings(&self, asset: Asset) -> Balance {
        let own = self.channels().filter(|(_, channel)| channel.owners.asset == asset && !channel.on_chain.gone);
        own.fold(0, |sum: Balance, (_, channel)| sum.saturating_add(channel.balance_of(self.account)))
    }

    /// How many signatures it has made.
    pub fn signatures(&self) -> u64 {
        self.counters.get(&()).map_or(0, |counters| counters.signatures)
    }

    /// Whether something that it has signed or asked for is neither complete nor void, or settles payments that are not
    /// told yet, because something else that was signed may take its place.
    pub fn is_waiting(&self) -> bool {
        let open = |held: &Held| held.in_flight || !held.payments.is_empty();
        self.held.iter().any(|(_, held)| open(held)) || self.pending.len() > 0 || self.rounds.len() > 0
    }

    /// The channels whose chain state it follows, or that agreements which it has signed bring into being, each with an epoch that it holds updates for: what has to be read again
    /// if blocks were missed.
    pub fn followed(&self) -> Vec<(TpcId, u32)> {
        let own = self.channels.iter().map(|(tpc, channel)| (*tpc, channel.latest.epoch));
        let foreign = self.foreign.iter().map(|(tpc, _)| (*tpc, self.named_epoch(tpc)));
        let agreed = self.agreements.iter().flat_map(|(_, agreeing)| self.begun_by(agreeing)).map(|tpc| (tpc, 0));
        own.chain(foreign).chain(agreed).collect()
    }

    /// The newest epoch of a channel that an update which it holds names.
    fn named_epoch(&self, tpc: &TpcId) -> u32 {
        let updates = self.naming.get(tpc).into_iter().flatten().filter_map(|id| self.held.get(id));
        let entries = updates.flat_map(|held| &held.update.entries).filter(|entry| entry.tpc == *tpc);
        entries.map(|entry| entry.epoch).max().unwrap_or_default()
    }

    fn owns(&self, owners: &Owners) -> bool {
        owners.parties.contains(&self.account)
    }

    fn now(&self) -> Timestamp {
        self.cursor().now
    }

    /// How a channel stands on chain, as far as the account follows it.
    fn on_chain(&self, tpc: &TpcId) -> Option<&channel::OnChain> {
        let own = self.channels.get(tpc).map(|channel| &channel.on_chain);
        own.or_else(|| self.foreign.get(tpc).map(|foreign| &foreign.on_chain))
    }

    /// The updates over a channel that are in flight.
    fn in_flight_on(&self, tpc: &TpcId) -> impl Iterator<Item = (&UpdateId, &Held)> {
        let named = self.naming.get(tpc).into_iter().flatten();
        named.filter_map(|id| Some((id, self.held.get(id)?))).filter(|(_, held)| held.in_flight && held.own.is_some())
    }
}

impl Step<'_> {
    fn input(&mut self, input: Input) -> Result<Answer, Refusal> {
        match input {
            Input::Command(command) => return self.command(command),
            Input::Message { from, message } => self.message(from, message),
            Input::Connected(peer) => self.connected(peer),
            Input::Block(block) => self.block(block)?,
            Input::Read(reading) => self.read(reading),
            Input::Head(disputes) => self.head(disputes),
            Input::CallFailed(call) => self.call_failed(call),
            Input::Tick(clock) => self.tick(clock),
        }
        Ok(Answer::Done)
    }

    fn command(&mut self, command: Command) -> Result<Answer, Refusal> {
        match command {
            Command::Open { peer, nonce, asset, own, theirs, value, window, valid_until } => {
                self.open(peer, nonce, asset, [own, theirs], value, window, valid_until)
            }
            Command::Close { tpc, valid_until } => self.propose_close(tpc, valid_until),
            Command::TopUp { tpc, own, theirs, valid_until } => self.propose_top_up(tpc, [own, theirs], valid_until),
            Command::Withdraw { tpc, own, theirs, valid_until } => {
                self.propose_withdrawal(tpc, [own, theirs], valid_until)
            }
            Command::Split { channels, parts, valid_until } => self.propose_split(&channels, &parts, valid_until),
            Command::Join { mpc, host, tpc, valid_until } => self.propose_join(mpc, host, tpc, valid_until),
            Command::Leave { tpc, valid_until } => self.propose_leave(tpc, valid_until),
            Command::CreateMpc { channels, coordinator, registered, valid_until } => {
                self.propose_mpc(channels, coordinator, registered, valid_until)
            }
            Command::CloseMpc { mpc, channels, valid_until } => self.propose_mpc_close(mpc, channels, valid_until),
            Command::SetCoordinator { mpc, coordinator, term } => self.set_coordinator(mpc, coordinator, term),
            Command::Pay { transfers, over } => self.pay(transfers, over),
            Command::Cancel(payment) => self.cancel(payment),
            Command::Permit(permission) => Ok(self.permit(permission)),
            Command::Revoke(id) => {
                let permission = self.engine.permissions.remove(&id).ok_or(Refusal::Unknown)?;
                if let Some(granted) = self.engine.granted.get_mut(&(permission.grantee, permission.purpose)) {
                    granted.remove(&id);
                }
                Ok(Answer::Done)
            }
            Command::Answer { request, accept } => self.answer(request, accept),
            Command::Checkpoint(channels) => self.checkpoint(&channels),
            Command::Dispute { channels, then } => self.dispute(&channels, then),
            Command::SetPolicy(policy) => {
                self.engine.policy.insert((), policy);
                Ok(Answer::Done)
            }
        }
    }

    fn message(&mut self, from: AccountId, message: Message) {
        match message {
            Message::Pay { payment, over } => self.asked_to_pay(from, payment, over),
            Message::PayReject { payment, reason } => self.pay_rejected(from, payment, reason),
            Message::Propose { .. } | Message::Update { .. } => self.asked(from, message),
            Message::Consent { round, standings } => self.consented(from, round, standings),
            Message::ProposeReject { round, reason } => self.propose_rejected(from, round, reason),
            Message::GiveUp { round } => self.given_up(from, round),
            Message::UpdateAgree { update, signature } => self.signed_by(from, update, signature),
            Message::UpdateReject { update, reason } => self.update_rejected(from, update, reason),
            Message::Updated { update, signatures } => self.updated(update, signatures),
            Message::Missed { updates } => self.missed(updates),
            Message::Agree { agreement, signature, led } => self.asked_to_agree(from, agreement, signature, led, false),
            Message::Agreed { agreement, signature } => self.agreed(from, agreement, signature),
            Message::AgreeReject { agreement, reason } => self.agree_rejected(from, agreement, reason),
            Message::MpcCreate { .. } => self.mpc_create(from, message, false),
            Message::MpcCreateAgree { mpc, signature, standings } => {
                self.mpc_create_agreed(from, mpc, signature, standings)
            }
            Message::MpcCreateReject { mpc, reason } => self.mpc_create_rejected(from, mpc, reason),
            Message::MpcCreated { mpc, signatures } => self.mpc_created(from, mpc, signatures),
            Message::MpcCreateFailed { mpc, reason } => self.mpc_create_failed(from, mpc, reason),
            Message::MpcClose { close, by } => self.mpc_close(from, close, by),
            Message::MpcCloseAgree { mpc, signature } => self.mpc_close_agreed(from, mpc, signature),
            Message::MpcCloseReject { mpc, reason } => self.mpc_close_rejected(from, mpc, reason),
            Message::MpcClosed { mpc, signatures } => self.mpc_closed(from, mpc, signatures),
            Message::MpcCloseFailed { mpc, reason } => self.mpc_close_failed(from, mpc, reason),
            Message::Introduce { mpc, term, registered, channels, held } => {
                self.introduced(from, mpc, term, registered, channels, held)
            }
            Message::Welcome { mpc, term, channels } => self.welcomed(from, mpc, term, &channels),
            Message::Left { mpc, tpc } => self.left(from, mpc, tpc),
            Message::WhoAreYou { mpc } => self.asked_who(from, mpc),
        }
    }

    /// Delivers what the account says to itself, as leader and as one who is asked.
    fn drain(&mut self) {
        while let Some(message) = self.own.pop_front() {
            let account = self.engine.account;
            self.message(account, message);
        }
    }

    fn send(&mut self, to: AccountId, message: Message) {
        if to == self.engine.account {
            self.own.push_back(message);
        } else {
            self.effects.push(Effect::Send(to, message));
        }
    }

    fn tell(&mut self, notice: Notice) {
        self.effects.push(Effect::Tell(notice));
    }

    fn ignore(&mut self, why: &'static str) {
        self.tell(Notice::Ignored(why));
    }

    /// Signs. The caller has made sure that the record which remembers it is among the step's changes.
    fn sign(&mut self, payload: &[u8; 32]) -> protocol::Signature {
        if let Some(counters) = self.engine.counters.change(&()) {
            counters.signatures = counters.signatures.saturating_add(1);
        }
        self.signer.sign(payload)
    }

    /// The next number of a counter.
    fn count(&mut self, counter: fn(&mut Counters) -> &mut u64) -> u64 {
        let Some(counters) = self.engine.counters.change(&()) else { return 0 };
        let counter = counter(counters);
        let number = *counter;
        *counter = counter.saturating_add(1);
        number
    }

    /// Keeps what is left of a payment.
    fn keep(&mut self, payment: &Payment, outcome: Outcome) {
        let number = self.count(|counters| &mut counters.past);
        let value = Some((record::RECORD_VERSION, payment::Kept { payment, outcome, at: self.engine.now() }).encode());
        self.past.push(Change { key: past_key(number), value });
    }
}

/// A round's number as its leader counts them, if that is this account.
fn own_round(account: AccountId, round: RoundId) -> Option<u64> {
    (round.leader == account).then_some(round.number)
}
