//! Everything that a search meets, each once: parties, states of the contract, calls, what blocks tell. Worlds name them by
//! number, and what a party or the contract makes of an input is worked out once.

use crate::common::HERE;
use codec::Encode;
use engine::{
    record::{Change, MemoryStore, Store},
    Call, Effect, Engine, Input, Output, Reading, PAST,
};
use protocol::{event::Event, AccountId, Tpc, TpcId};
use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    rc::Rc,
};
use testkit::{
    ledger::Ledger,
    signers::{Key, Scheme},
};

pub type Digest = [u8; 16];

fn digest_of(bytes: &[u8]) -> Digest {
    sp_crypto_hashing::blake2_128(bytes)
}

/// What tells things of one kind apart.
pub trait Distinct {
    fn digest(&self) -> Digest;
}

impl Distinct for Ledger {
    fn digest(&self) -> Digest {
        digest_of(format!("{self:?}").as_bytes())
    }
}

impl Distinct for Call {
    fn digest(&self) -> Digest {
        digest_of(&self.encode())
    }
}

impl Distinct for Vec<Event> {
    fn digest(&self) -> Digest {
        digest_of(format!("{self:?}").as_bytes())
    }
}

impl Distinct for Input {
    fn digest(&self) -> Digest {
        match self {
            Self::Message { from, message } => digest_of(&(from, message).encode()),
            _ => digest_of(format!("{self:?}").as_bytes()),
        }
    }
}

/// Records, and what is not stored of channels and rounds. What else is not stored follows from the records, but for the
/// disputes at the head, which the world remembers, and when things are sent again, which is with every block. How many calls
/// and signatures were made tells nothing apart.
impl Distinct for Party {
    fn digest(&self) -> Digest {
        let mut bytes = vec![];
        for (key, value) in [&self.memory, &self.store].into_iter().flat_map(|store| &store.0) {
            let counts = key.first() == Some(&COUNTERS);
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(if counts { &value[..NAMING.min(value.len())] } else { value });
        }
        for (_, channel) in self.engine.channels() {
            (channel.seen, channel.reserved).encode_to(&mut bytes);
        }
        bytes.extend_from_slice(self.engine.describe_rounds().as_bytes());
        digest_of(&bytes)
    }
}

/// Things of one kind by their numbers.
#[derive(Debug)]
pub struct Numbered<T> {
    all: Vec<T>,
    numbers: HashMap<Digest, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { all: vec![], numbers: HashMap::new() }
    }
}

impl<T: Distinct> Numbered<T> {
    pub fn number(&mut self, one: T) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap();
        let number = *self.numbers.entry(one.digest()).or_insert(next);
        if number == next {
            self.all.push(one);
        }
        number
    }

    pub fn get(&self, number: u32) -> &T {
        &self.all[number as usize]
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }
}

/// The kind of the records that count.
const COUNTERS: u8 = 10;

/// How much of it names payments and rounds: a version, and two numbers.
const NAMING: usize = 17;

/// The honest party's process and its disk.
#[derive(Clone, Debug)]
pub struct Party {
    pub engine: Engine,
    /// What the engine has told the host to store.
    memory: MemoryStore,
    /// What a host that forgets has stored. Empty for the others.
    store: MemoryStore,
}

/// What the disk of a dishonest host leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgets {
    Nothing,
    /// Records of this kind.
    Kind(u8),
    /// Whatever changes by a message.
    Messages,
}

impl Party {
    pub fn new(engine: Engine, mut store: MemoryStore, forgets: Forgets) -> Self {
        store.0.retain(|key, _| key.first() != Some(&PAST));
        let kept = if forgets == Forgets::Nothing { MemoryStore::default() } else { store.clone() };
        Self { engine, memory: store, store: kept }
    }

    /// A step and its commit. History is not kept: the engine never reads it.
    fn step(&mut self, key: &Key, forgets: Forgets, input: Input) -> Vec<Effect> {
        let by_message = matches!(input, Input::Message { .. });
        let output = self.engine.apply(key, input);
        self.commit(forgets, by_message, output)
    }

    fn commit(&mut self, forgets: Forgets, by_message: bool, output: Output) -> Vec<Effect> {
        let Output { mut changes, effects, .. } = output;
        let forgotten = |change: &Change| match forgets {
            Forgets::Nothing => false,
            Forgets::Kind(kind) => change.key.first() == Some(&kind),
            Forgets::Messages => by_message,
        };
        changes.retain(|change| change.key.first() != Some(&PAST));
        let _ = self.memory.commit(changes.clone());
        if forgets != Forgets::Nothing {
            changes.retain(|change| !forgotten(change));
            let _ = self.store.commit(changes);
        }
        effects
    }

    /// A step, with the storage read at once where the engine asks for it: what waits for an answer is not in its records.
    fn step_and_read(
        &mut self,
        key: &Key,
        forgets: Forgets,
        input: Input,
        (number, made): (u32, &mut Ledger),
    ) -> Vec<Effect> {
        let mut waiting = VecDeque::from(self.step(key, forgets, input));
        let mut effects = vec![];
        while let Some(effect) = waiting.pop_front() {
            let Effect::Read(channels) = effect else {
                effects.push(effect);
                continue;
            };
            let channels = channels.iter().map(|(tpc, epoch)| made.read(*tpc, *epoch)).collect();
            waiting.extend(self.step(key, forgets, Input::Read(Reading { block: number, channels })));
        }
        effects
    }

    /// The process dies and starts again from the disk.
    pub fn restart(&mut self, key: &Key, forgets: Forgets) -> Vec<Effect> {
        if forgets != Forgets::Nothing {
            self.memory = self.store.clone();
        }
        let records = self.memory.0.clone();
        let records = records.iter().map(|(key, value)| (&key[..], &value[..]));
        self.engine = Engine::load(self.engine.account(), HERE, records).unwrap();
        let output = self.engine.resume(key);
        self.commit(forgets, false, output)
    }
}

type Stepped = (u32, Rc<Vec<Effect>>);
type Called = Option<(u32, u32)>;

/// What a search has met.
pub struct Arena {
    pub key: Key,
    pub forgets: Forgets,
    pub parties: Numbered<Party>,
    pub ledgers: Numbered<Ledger>,
    pub calls: Numbered<Call>,
    pub told: Numbered<Vec<Event>>,
    steps: HashMap<(u32, u32, Digest), Stepped>,
    /// The party whose steps are not worth remembering. It stands for whichever number is named.
    pub aside: Option<Box<Party>>,
    called: HashMap<(u32, AccountId, u32), Called>,
    joined: HashMap<(u32, u32), u32>,
    later: HashMap<u32, u32>,
    /// The channels that a search is about, as each ledger says that they count.
    channels: Vec<TpcId>,
    views: Vec<Vec<Option<Tpc>>>,
}

/// The name of the step that no input makes.
const RESTART: Digest = [0; 16];

fn remembered<K: Hash + Eq, V: Clone>(map: &HashMap<K, V>, key: &K) -> Option<V> {
    map.get(key).cloned()
}

impl Arena {
    pub fn new(forgets: Forgets, number: u32, channels: Vec<TpcId>) -> Self {
        Self {
            key: Key::new(Scheme::Symbols, number),
            forgets,
            parties: Numbered::default(),
            ledgers: Numbered::default(),
            calls: Numbered::default(),
            told: Numbered::default(),
            steps: HashMap::new(),
            aside: None,
            called: HashMap::new(),
            joined: HashMap::new(),
            later: HashMap::new(),
            channels,
            views: vec![],
        }
    }

    /// What a party becomes by an input after a block, and what it does.
    pub fn step(&mut self, party: u32, input: &Input, (number, made): (u32, u32)) -> Stepped {
        let name = (party, made, input.digest());
        if self.aside.is_none() {
            if let Some(known) = remembered(&self.steps, &name) {
                return known;
            }
        }
        let mut after = self.ledgers.get(made).clone();
        let block = (number, &mut after);
        if let Some(aside) = &mut self.aside {
            return (party, Rc::new(aside.step_and_read(&self.key, self.forgets, input.clone(), block)));
        }
        let mut next = self.parties.get(party).clone();
        let effects = next.step_and_read(&self.key, self.forgets, input.clone(), block);
        self.remember(name, next, effects)
    }

    pub fn restart(&mut self, party: u32) -> Stepped {
        let name = (party, 0, RESTART);
        if let Some(known) = remembered(&self.steps, &name) {
            return known;
        }
        let mut next = self.parties.get(party).clone();
        let effects = next.restart(&self.key, self.forgets);
        self.remember(name, next, effects)
    }

    fn remember(&mut self, name: (u32, u32, Digest), next: Party, effects: Vec<Effect>) -> Stepped {
        let stepped = (self.parties.number(next), Rc::new(effects));
        self.steps.insert(name, stepped.clone());
        stepped
    }

    pub fn ledger(&mut self, mut ledger: Ledger) -> u32 {
        let views = self.channels.iter().map(|tpc| ledger.read(*tpc, 0).stored).collect();
        let number = self.ledgers.number(ledger);
        if number as usize == self.views.len() {
            self.views.push(views);
        }
        number
    }

    /// A channel as the contract says that it counts.
    pub fn view(&self, ledger: u32, channel: usize) -> Option<&Tpc> {
        self.views[ledger as usize][channel].as_ref()
    }

    /// The contract when `ms` have passed.
    pub fn later(&mut self, ledger: u32, ms: u64) -> u32 {
        if let Some(known) = self.later.get(&ledger) {
            return *known;
        }
        let mut next = self.ledgers.get(ledger).clone();
        next.now += ms;
        let next = self.ledger(next);
        self.later.insert(ledger, next);
        next
    }

    /// What was told, and what is told then.
    pub fn join(&mut self, told: u32, then: u32) -> u32 {
        if let Some(known) = self.joined.get(&(told, then)) {
            return *known;
        }
        let all = self.told.get(told).iter().chain(self.told.get(then)).cloned().collect();
        let number = self.told.number(all);
        self.joined.insert((told, then), number);
        number
    }

    /// What the contract becomes by a call, and what it tells. `None` if it refuses.
    pub fn call(&mut self, ledger: u32, caller: AccountId, call: u32) -> Called {
        let name = (ledger, caller, call);
        if let Some(known) = remembered(&self.called, &name) {
            return known;
        }
        let mut next = self.ledgers.get(ledger).clone();
        let told = next.call(caller, self.calls.get(call), 0).ok();
        let called = told.map(|told| (self.ledger(next), self.told.number(told)));
        self.called.insert(name, called);
        called
    }
}
