//! Three users, their coordinator, what is under way between them, and a chain.

use super::{
    chain::Chain,
    holds::{check_evidence, check_step, Signed},
};
use braid::{
    chain::UNIT,
    contract::Event,
    engine::{
        coordinator::{self, Coordinator},
        message::{Message, Payment, Scope},
        party::{self, Command, Party},
        step::{Effect, MemoryStore, Peer, Step, Submission},
    },
    keys::Keys,
    planning::Transfer,
    watcher::Watcher,
};
use codec::{DecodeAll, Encode};
use protocol::{
    state::{MAX_WINDOW, MIN_WINDOW},
    AccountId, Balance, Domain, Entry, Owners, Timestamp,
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Debug,
    sync::{Arc, LazyLock},
};

/// How many users there are.
pub const USERS: usize = 3;

/// The user whose key signs whatever the input says. The others are honest.
pub const ADVERSARY: usize = 2;

/// What each side puts into each channel at first, in planck.
pub const STAKE: Balance = 100 * UNIT;

/// How long a dispute may be answered, in ms.
pub const WINDOW: Timestamp = MIN_WINDOW;

/// The clock at first, in ms.
const START: Timestamp = 1_000_000;

/// How long agreements are good at first, in ms.
const VALID_FOR: Timestamp = 1_000_000;

/// The most messages under way, and of calls that are kept; the oldest are lost.
const MAX_KEPT: usize = 64;

/// Where signatures are good.
pub const DOMAIN: Domain = Domain { genesis_hash: [1; 32], contract: AccountId([2; 32]) };

static KEYS: LazyLock<Vec<Keys>> = LazyLock::new(|| {
    let keys = |user| Keys::from_suri(&format!("//user{user}")).expect("a derivation path is a valid seed");
    let mut users: Vec<_> = (0..USERS).map(keys).collect();
    users.sort_by_key(Keys::account);
    users
});

/// A world without channels, one with a channel between every two users, and one where these are braided.
static STAGES: LazyLock<[World; 3]> = LazyLock::new(|| {
    let empty = World::new();
    let mut open = empty.clone();
    for (own, peer) in [(0, 1), (0, 2), (1, 2)] {
        let (peer, valid_until) = (account(peer), open.now + VALID_FOR);
        let (own_part, theirs) = (STAKE, STAKE);
        open.command(own, Command::OpenTpc { peer, nonce: 0, own: own_part, theirs, window: WINDOW, valid_until });
        open.calm();
    }
    let mut braided = open.clone();
    let channels = braided.channels();
    braided.command(0, Command::CreateMpc { channels, window: WINDOW, valid_until: open.now + VALID_FOR });
    braided.calm();
    let mpc = braided.chain.mpcs().next().expect("the group is open");
    let transfers = vec![Transfer { from: account(0), to: account(1), amount: UNIT }];
    braided.command(0, Command::Pay(Payment { mpc, transfers, scope: Scope::Touched, confirm: true }));
    braided.calm();
    [empty, open, braided]
});

/// A user's key.
pub fn keys(user: usize) -> &'static Keys {
    &KEYS[user]
}

/// A user's account.
pub fn account(user: usize) -> AccountId {
    keys(user).account()
}

/// What becomes of a user's next step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is saved, and has its effects.
    Done,
    /// The process dies before it is saved.
    Unsaved,
    /// The process dies as soon as it is saved.
    Silent,
}

/// A message under way.
#[derive(Clone)]
pub struct Letter {
    /// Who sent it, as the transport says.
    pub from: Peer,
    /// Who gets it.
    pub to: Peer,
    /// What is in it.
    pub frame: Vec<u8>,
}

/// One user.
#[derive(Clone)]
pub struct User {
    /// What it holds.
    pub party: Party,
    /// What becomes of its next step.
    pub fate: Fate,
    /// The clock of the last block that the user has heard of.
    now: Timestamp,
    watcher: Watcher,
    signed: Signed,
    /// What the chain tells, each with its block's clock, and the user has not heard yet. A block may tell nothing.
    news: VecDeque<(Timestamp, Option<Arc<Event>>)>,
}

/// The world.
#[derive(Clone)]
pub struct World {
    /// The chain's clock.
    pub now: Timestamp,
    /// The contract.
    pub chain: Chain,
    /// The users, ascending by account.
    pub users: Vec<User>,
    /// The coordinator.
    pub coordinator: Coordinator,
    /// Messages under way.
    pub wire: VecDeque<Letter>,
    /// Calls that were made, and may be made again.
    pub calls: VecDeque<Submission>,
    /// What the chain tells, and the coordinator has not heard yet.
    coordinator_news: VecDeque<Arc<Event>>,
}

impl World {
    fn new() -> Self {
        let user = |keys: &Keys| User {
            party: Party::new(keys.account(), DOMAIN, STAKE),
            fate: Fate::Done,
            now: START,
            watcher: Watcher::default(),
            signed: Signed::default(),
            news: VecDeque::new(),
        };
        let accounts: Vec<_> = KEYS.iter().map(Keys::account).collect();
        Self {
            now: START,
            chain: Chain::new(DOMAIN, &accounts, 10 * STAKE),
            users: KEYS.iter().map(user).collect(),
            coordinator: Coordinator::new(DOMAIN),
            wire: VecDeque::new(),
            calls: VecDeque::new(),
            coordinator_news: VecDeque::new(),
        }
    }

    /// A world that has come some way already.
    pub fn at(stage: u8) -> Self {
        STAGES[usize::from(stage) % STAGES.len()].clone()
    }

    /// Every channel at its newest state, as one of its owners knows it.
    pub fn channels(&self) -> Vec<(Owners, Entry)> {
        let known = self.users.iter().rev().flat_map(|user| user.party.channels());
        let known: BTreeMap<_, _> = known.collect();
        known.into_values().map(|channel| (channel.owners, channel.latest)).collect()
    }

    /// Lets a user's application ask for something.
    pub fn command(&mut self, user: usize, command: Command) {
        self.step(user, party::Input::Command(command));
    }

    /// Lets a user take a step, and wakes it from what it has saved.
    pub fn step(&mut self, index: usize, input: party::Input) {
        let user = &mut self.users[index];
        let fate = std::mem::replace(&mut user.fate, Fate::Done);
        let step = user.party.step(keys(index), user.now, input.clone());
        if fate == Fate::Unsaved {
            return;
        }
        let (woken, effects) = saved(step);
        if index != ADVERSARY {
            check_step(&user.party, &input, &woken);
            user.signed.add(&DOMAIN, user.now, &user.party, &input, &effects);
        }
        user.party = woken;
        if fate == Fate::Done {
            self.perform(Some(index), effects);
        }
    }

    /// Lets the coordinator take a step, and wakes it from what it has saved.
    pub fn step_coordinator(&mut self, input: coordinator::Input) {
        let (woken, effects) = saved(self.coordinator.step(input));
        self.coordinator = woken;
        self.perform(None, effects);
    }

    fn perform(&mut self, user: Option<usize>, effects: Vec<Effect>) {
        let from = user.map_or(Peer::Coordinator, |user| Peer::Party(account(user)));
        for effect in effects {
            match (effect, user) {
                (Effect::Send(to, message), _) => keep(&mut self.wire, Letter { from, to, frame: message.frame() }),
                (Effect::Submit(submission), Some(user)) => self.call(user, submission),
                (Effect::Submit(_), None) => panic!("the coordinator has nothing to bring to the chain"),
                (Effect::Tell(_), _) => {}
            }
        }
    }

    /// Calls the contract.
    pub fn call(&mut self, user: usize, submission: Submission) {
        for event in self.chain.call(account(user), &submission, self.now) {
            let event = Arc::new(event);
            self.users.iter_mut().for_each(|user| user.news.push_back((self.now, Some(event.clone()))));
            self.coordinator_news.push_back(event);
        }
        keep(&mut self.calls, submission);
    }

    /// Delivers a message that is under way, if it is one.
    pub fn deliver(&mut self, Letter { from, to, frame }: Letter) {
        let Ok(message) = Message::from_frame(&frame) else { return };
        match (from, to) {
            (from, Peer::Party(to)) => {
                if let Some(user) = (0..USERS).find(|user| account(*user) == to) {
                    self.step(user, party::Input::Message(from, message));
                }
            }
            (Peer::Party(from), Peer::Coordinator) => {
                self.step_coordinator(coordinator::Input::Message(from, message));
            }
            (Peer::Coordinator, Peer::Coordinator) => {}
        }
    }

    /// Moves the clock. Nobody who is honest sleeps while it does: what was told is heard and answered first.
    pub fn pass(&mut self, time: Timestamp) {
        for user in (0..USERS).filter(|user| *user != ADVERSARY) {
            self.wake(user);
        }
        self.now += time;
        self.users.iter_mut().for_each(|user| user.news.push_back((self.now, None)));
    }

    /// Lets a user hear everything, and its watcher do what is to be done.
    fn wake(&mut self, user: usize) {
        while self.hear(user) {}
        self.watch(user);
        while self.hear(user) {}
    }

    /// Lets a user, or the coordinator, hear the next thing that the chain tells. Its watcher hears it too.
    pub fn hear(&mut self, index: usize) -> bool {
        if index >= USERS {
            let Some(event) = self.coordinator_news.pop_front() else { return false };
            self.step_coordinator(coordinator::Input::Chain(Event::clone(&event)));
            return true;
        }
        let user = &mut self.users[index];
        // What was not saved is heard again.
        if user.fate == Fate::Unsaved {
            user.fate = Fate::Done;
        }
        let Some((now, event)) = user.news.pop_front() else { return false };
        user.now = now;
        match event {
            Some(event) => {
                user.watcher.follow(&user.party.evidence(), &event);
                self.step(index, party::Input::Chain(Event::clone(&event)));
            }
            None => self.step(index, party::Input::Clock),
        }
        true
    }

    /// Lets a user's watcher do what is to be done.
    pub fn watch(&mut self, index: usize) {
        let user = &mut self.users[index];
        let tasks = user.watcher.tasks(&user.party.evidence(), user.now);
        tasks.into_iter().for_each(|task| self.call(index, task.submission));
    }

    /// Lets everybody hear and answer until all is quiet, or the longest conversation is over.
    pub fn calm(&mut self) {
        for _ in 0..4 * MAX_KEPT {
            let heard = (0..=USERS).filter(|index| self.hear(*index)).count();
            match self.wire.pop_front() {
                Some(letter) => self.deliver(letter),
                None if heard == 0 => return,
                None => {}
            }
        }
    }

    /// Checks what the honest users would leave with their watchers, and that each gets everything back alone.
    pub fn check(&mut self) {
        for user in (0..USERS).filter(|user| *user != ADVERSARY) {
            self.wake(user);
            check_evidence(&DOMAIN, &self.users[user].party);
            self.clone().check_recovery(user);
        }
    }

    /// While everybody else is silent, a user disputes what it is in, waits, and has what it held.
    fn check_recovery(&mut self, user: usize) {
        let before = (self.users[user].party.holdings(), self.chain.wealth(&account(user)));
        for _ in 0..3 {
            let party = self.users[user].party.clone();
            for mpc in party.groups() {
                let own = party.channels().iter().filter(|(_, channel)| channel.mpc == Some(mpc));
                let exits = own.map(|(tpc, _)| *tpc).collect();
                self.command(user, Command::DisputeMpc { mpc, exits });
                self.wake(user);
            }
            let alone = party.channels().iter().filter(|(_, channel)| channel.mpc.is_none());
            for (tpc, _) in alone {
                self.command(user, Command::DisputeTpc(*tpc));
                self.wake(user);
            }
            self.now += MAX_WINDOW + 1;
            self.users[user].news.push_back((self.now, None));
            self.wake(user);
        }
        let after = (self.users[user].party.holdings(), self.chain.wealth(&account(user)));
        assert_eq!(after, (0, before.0 + before.1), "user {user} does not get back what it held: {before:?}");
    }
}

/// A step's state as it is read again after it was saved, and its effects.
pub fn saved<S: Encode + DecodeAll + PartialEq + Debug>(step: Step<S>) -> (S, Vec<Effect>) {
    let mut store = MemoryStore::default();
    let (after, effects) = step.save(&mut store).expect("memory keeps everything");
    let woken = S::decode_all(&mut &store.0[..]).expect("what was saved can be read");
    assert_eq!(woken, after);
    (woken, effects)
}

fn keep<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == MAX_KEPT {
        kept.pop_front();
    }
    kept.push_back(new);
}
