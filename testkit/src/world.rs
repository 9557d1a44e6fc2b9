//! Engines, a network and a chain under one clock. Everything that goes wrong in it follows from a seed.

use crate::{
    ledger::{Ledger, DOMAIN},
    liars::Liar,
    signers::{Key, Scheme},
};
use codec::Decode;
use engine::{
    journal::Journal, message::Message, payment::Past, record::MemoryStore, watcher::Watcher, Answer, Block, Call,
    CallId, Command, Effect, Engine, Input, Notice, Outcome, Output, Policy, Reading, Refusal,
};
use fastrand::Rng;
use protocol::{abi, event::Event, state::MAX_CHANNELS, AccountId, Asset, Balance, Timestamp, TpcId};
use std::collections::{BTreeMap, BTreeSet};

/// The most steps of engines in a world. A world of sixty wishes takes about ten thousand.
const MAX_STEPS: u64 = 1_000_000;

/// The first block's time, in ms.
const GENESIS: Timestamp = 1_700_000_000_000;

/// How a world treats those in it.
#[derive(Clone, Debug)]
pub struct Weather {
    /// How many of a thousand messages are lost.
    pub loss: u32,
    /// How many of a thousand arrive twice.
    pub repeated: u32,
    /// The longest that a message takes, in ms. The shortest is 1: so they overtake each other.
    pub delay: u64,
    /// How many of a thousand steps end with the death of the process, in one of three places.
    pub crashes: u32,
    /// How many of a thousand calls are lost before they reach the chain.
    pub lost_calls: u32,
    /// How many of a thousand blocks are told again.
    pub repeated_blocks: u32,
    /// How many of a thousand links are cut for a while, each second.
    pub cuts: u32,
    /// The longest that a dead process stays dead, in ms.
    pub rest: u64,
}

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Self =
        Self { loss: 0, repeated: 0, delay: 1, crashes: 0, lost_calls: 0, repeated_blocks: 0, cuts: 0, rest: 9_999 };

    /// Everything goes wrong now and then.
    pub const STORM: Self = Self {
        loss: 100,
        repeated: 100,
        delay: 400,
        crashes: 8,
        lost_calls: 150,
        repeated_blocks: 100,
        cuts: 30,
        rest: 9_999,
    };
}

/// How long the world takes for what it does, in ms.
#[derive(Clone, Debug)]
pub struct Times {
    /// From a block to the next.
    pub block: u64,
    /// How many blocks are not final yet.
    pub finality: usize,
    /// From a tick to the next.
    pub tick: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { block: 1_000, finality: 2, tick: 250 }
    }
}

/// How a process dies at the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Before anything is stored.
    Unstored,
    /// When the step is stored and some of its effects, or none or all, have left.
    Stored,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Who has sent it.
    pub from: usize,
    /// Who gets it.
    pub to: usize,
    /// What it says.
    pub message: Message,
}

/// Somebody in the world: a user, or a coordinator.
#[derive(Clone)]
pub struct Node {
    /// Its key.
    pub key: Key,
    /// Its engine, while its process runs.
    pub engine: Option<Engine>,
    /// Its disk.
    pub store: MemoryStore,
    /// What its application was told.
    pub notices: Vec<Notice>,
    /// If it lies, how.
    pub liar: Option<Liar>,
    /// Whether its application says yes to every request, or no.
    pub accepts: bool,
    /// How its process dies at the end of its next step, if it does.
    pub fate: Option<Fate>,
    /// Whether its process, once dead, never starts again.
    pub gone: bool,
    /// Who answers disputes while its process is dead.
    watcher: Option<Watcher>,
    journal: Journal,
    /// When a dead process starts again.
    back: u64,
    /// The block at whose head it has been told the disputes.
    told_head: u32,
}

/// What happens at a time.
#[derive(Clone)]
enum Pending {
    Message(Box<Letter>),
    Call { node: usize, id: CallId, call: Box<Call>, value: Balance },
    CallFailed { node: usize, id: CallId },
    Read { node: usize, channels: Vec<(TpcId, u32)> },
}

/// A block, and the contract's state after it.
#[derive(Clone)]
struct Made {
    number: u32,
    time: Timestamp,
    events: Vec<Event>,
    after: Ledger,
}

/// The world.
#[derive(Clone)]
pub struct World {
    /// Where everything that goes wrong comes from.
    pub rng: Rng,
    /// How much goes wrong.
    pub weather: Weather,
    /// Everybody.
    pub nodes: Vec<Node>,
    /// The contract at the best block, with the calls of the next one.
    pub ledger: Ledger,
    /// Whether everything that happens is printed: for whoever replays a seed.
    pub trace: bool,
    /// How many messages were sent.
    pub messages: u64,
    /// The messages that the network holds back until somebody delivers them. `None` if it delivers them itself.
    pub held_back: Option<Vec<Letter>>,
    /// How long things take.
    pub times: Times,
    steps: u64,
    clock: u64,
    pending: BTreeMap<(u64, u64), Pending>,
    sent: u64,
    blocks: Vec<Made>,
    number: u32,
    next_block: u64,
    next_tick: u64,
    events: Vec<Event>,
    cut: BTreeSet<(usize, usize)>,
    places: BTreeMap<AccountId, usize>,
    /// Which update each honest user has let out a signature for, by channel and order.
    signed: BTreeMap<(usize, TpcId, (u32, u64)), [u8; 32]>,
    orders: BTreeMap<TpcId, (u32, u64)>,
    total: BTreeMap<Asset, Balance>,
    audited: BTreeMap<(usize, Asset), i128>,
}

impl Made {
    /// As engines and watchers are told of it.
    fn told(&self) -> Block {
        Block { number: self.number, time: self.time, events: self.events.clone(), reading: None }
    }
}

impl World {
    /// A world of `nodes`, each with a policy.
    pub fn new(seed: u64, scheme: Scheme, policies: Vec<Policy>) -> Self {
        let mut nodes: Vec<_> = (0..)
            .zip(policies)
            .map(|(number, policy)| {
                let key = Key::new(scheme, number + 1);
                let engine = Engine::new(engine::Signer::account(&key), DOMAIN, policy);
                Node {
                    key,
                    engine: Some(engine),
                    store: MemoryStore::default(),
                    notices: vec![],
                    liar: None,
                    accepts: true,
                    fate: None,
                    gone: false,
                    watcher: None,
                    journal: Journal::default(),
                    back: 0,
                    told_head: 0,
                }
            })
            .collect();
        nodes.sort_by_key(|node| engine::Signer::account(&node.key));
        let places = nodes.iter().map(|node| engine::Signer::account(&node.key)).zip(0..).collect();
        Self {
            rng: Rng::with_seed(seed),
            weather: Weather::CALM,
            nodes,
            ledger: Ledger::new(scheme, GENESIS),
            trace: false,
            messages: 0,
            held_back: None,
            steps: 0,
            times: Times::default(),
            clock: 0,
            pending: BTreeMap::new(),
            sent: 0,
            blocks: vec![],
            number: 0,
            next_block: 0,
            next_tick: 0,
            events: vec![],
            cut: BTreeSet::new(),
            places,
            signed: BTreeMap::new(),
            orders: BTreeMap::new(),
            total: BTreeMap::new(),
            audited: BTreeMap::new(),
        }
    }

    /// A node's account.
    pub fn account(&self, node: usize) -> AccountId {
        engine::Signer::account(&self.nodes[node].key)
    }

    /// Which node has an account.
    pub fn place(&self, account: &AccountId) -> Option<usize> {
        self.places.get(account).copied()
    }

    /// A node's engine, if its process runs.
    pub fn engine(&self, node: usize) -> Option<&Engine> {
        self.nodes[node].engine.as_ref()
    }

    /// Simulated time, in ms.
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// Block time, in ms, as calls meet it.
    pub fn now(&self) -> Timestamp {
        self.ledger.now
    }

    /// Gives an account funds, before anything happens.
    pub fn fund(&mut self, node: usize, asset: Asset, amount: Balance) {
        self.ledger.fund(self.account(node), asset, amount);
        self.total.insert(asset, self.ledger.total(asset));
    }

    /// What a node has outside of channels, at the best head.
    pub fn free(&self, node: usize, asset: Asset) -> Balance {
        self.ledger.free(self.account(node), asset)
    }

    /// Whether a node keeps to the rules.
    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes[node].liar.is_none()
    }

    /// Lets a node's application ask for something. `None` if its process is dead.
    pub fn command(&mut self, node: usize, command: Command) -> Option<Result<Answer, Refusal>> {
        self.step(node, Input::Command(command))
    }

    /// Lets something happen to a node, and what follows from it. `None` if its process is dead, or dies of it.
    pub fn step(&mut self, node: usize, input: Input) -> Option<Result<Answer, Refusal>> {
        if self.trace && self.nodes[node].engine.is_some() {
            match &input {
                Input::Tick(_) | Input::Head(_) => {}
                Input::Block(block) if block.events.is_empty() => {}
                _ => println!("{} node {node} <- {input:?}", self.clock),
            }
        }
        let Node { engine, key, .. } = &mut self.nodes[node];
        let output = engine.as_mut()?.apply(&*key, input);
        self.steps += 1;
        assert!(self.steps <= MAX_STEPS, "the world goes round in circles");
        self.accept(node, output)
    }

    /// Stores what a step has changed, and lets its effects out; or the process dies on the way.
    fn accept(&mut self, node: usize, output: Output) -> Option<Result<Answer, Refusal>> {
        let fate = self.nodes[node].fate.take().or_else(|| self.misfortune());
        if fate == Some(Fate::Unstored) {
            self.die(node);
            return None;
        }
        let Node { journal, store, .. } = &mut self.nodes[node];
        let answer = journal.accept(output);
        let mut effects = match journal.commit(store) {
            Ok(effects) => effects,
            Err(never) => match never {},
        };
        if fate.is_some() {
            let left = self.rng.usize(0..=effects.len());
            effects.truncate(left);
        }
        if self.trace && self.is_honest(node) {
            self.audit(node);
        }
        for effect in effects {
            if self.trace {
                println!("{} node {node} -> {effect:?}", self.clock);
            }
            self.perform(node, effect);
        }
        if fate.is_some() {
            self.die(node);
            return None;
        }
        Some(answer)
    }

    /// Whether and how a process dies in this weather.
    fn misfortune(&mut self) -> Option<Fate> {
        let dies = self.rng.u32(0..1_000) < self.weather.crashes;
        dies.then(|| if self.rng.bool() { Fate::Unstored } else { Fate::Stored })
    }

    /// Prints when a node's books and its funds part, for whoever replays a seed.
    fn audit(&mut self, node: usize) {
        let Some(engine) = &self.nodes[node].engine else { return };
        let cursor = engine.cursor().block;
        let Some(made) = self.blocks.iter().find(|made| made.number == cursor) else { return };
        for asset in self.total.keys() {
            let has = made.after.free(engine.account(), *asset) + engine.holdings(*asset);
            let difference = has as i128 - self.gained(node, *asset);
            let last = self.audited.insert((node, *asset), difference);
            if last.is_some_and(|last| last != difference) {
                println!("{} node {node} AUDIT {asset:?}: {last:?} -> {difference}", self.clock);
            }
        }
    }

    fn die(&mut self, node: usize) {
        if self.trace {
            println!("{} node {node} dies", self.clock);
        }
        let back = self.clock + self.rng.u64(0..=self.weather.rest);
        let node = &mut self.nodes[node];
        node.engine = None;
        node.journal = Journal::default();
        node.back = back;
    }

    /// Starts a dead process from its disk.
    fn revive(&mut self, node: usize) {
        let account = self.account(node);
        let records = self.nodes[node].store.0.clone();
        let loaded = Engine::load(account, DOMAIN, records.iter().map(|(key, value)| (&key[..], &value[..])));
        let mut engine = loaded.unwrap_or_else(|error| panic!("node {node}: {error}"));
        let output = engine.resume(&self.nodes[node].key);
        self.nodes[node].engine = Some(engine);
        self.nodes[node].watcher = None;
        self.nodes[node].told_head = 0;
        let _ = self.accept(node, output);
        self.catch_up(node);
    }

    /// Ends a node's process for `time` ms, and has a watcher answer disputes until it is back.
    pub fn leave(&mut self, node: usize, time: u64) {
        let Some(engine) = self.nodes[node].engine.take() else { return };
        let mut watcher = Watcher::new(DOMAIN);
        watcher.hold(engine.evidence());
        self.die(node);
        let back = self.clock + time;
        let left = &mut self.nodes[node];
        (left.watcher, left.back) = (Some(watcher), back);
        self.watch(node);
    }

    /// Lets a node's watcher, if it has one, follow the chain and bring what is to be brought.
    fn watch(&mut self, node: usize) {
        let Some(mut watcher) = self.nodes[node].watcher.take() else { return };
        if watcher.cursor().block == 0 {
            let unread = watcher.unread(false);
            if let (Some(reading), Some(made)) = (self.reading(&unread), self.last_final()) {
                watcher.read(made.number, made.time, &reading.channels);
            }
        }
        let finals = self.blocks.len().saturating_sub(self.times.finality);
        let seen = watcher.cursor().block;
        for made in self.blocks[..finals].iter().filter(|made| made.number > seen) {
            watcher.block(&made.told());
        }
        watcher.head(self.blocks.last().map(|made| made.after.disputes()).unwrap_or_default());
        let settled = watcher.settlements(&self.account(node));
        let settled = settled.chunks(MAX_CHANNELS).map(|channels| channels.to_vec());
        let settled = settled.map(|channels| Call::from(abi::SettleChannels { channels }));
        let calls: Vec<_> = watcher.rescues().into_iter().map(|rescue| rescue.call).chain(settled).collect();
        for call in calls {
            let call = Box::new(call);
            // No engine has made it, so none is told if it fails.
            self.at(self.clock, Pending::Call { node, id: CallId::MAX, call, value: 0 });
        }
        self.nodes[node].watcher = Some(watcher);
    }

    /// Makes a call at once, by a node's own hand. Answers whether the contract takes it.
    pub fn call(&mut self, node: usize, call: &Call, value: Balance) -> bool {
        let events = self.ledger.call(self.account(node), call, value);
        let taken = events.is_ok();
        self.events.extend(events.unwrap_or_default());
        taken
    }

    /// Loses the calls of a node that are on their way. If `told`, it is told that they have failed. Answers how many.
    pub fn lose_calls(&mut self, node: usize, told: bool) -> usize {
        let lost = |pending: &Pending| matches!(pending, Pending::Call { node: by, .. } if *by == node);
        let times: Vec<_> = self.pending.iter().filter(|(_, pending)| lost(pending)).map(|(time, _)| *time).collect();
        for time in &times {
            if let (Some(Pending::Call { node, id, .. }), true) = (self.pending.remove(time), told) {
                self.at(self.clock, Pending::CallFailed { node, id });
            }
        }
        times.len()
    }

    fn at(&mut self, time: u64, pending: Pending) {
        self.pending.insert((time, self.sent), pending);
        self.sent += 1;
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send(to, message) => {
                let Some(to) = self.place(&to) else { return };
                self.note_signature(node, &message);
                match self.nodes[node].liar.take() {
                    None => self.transmit(node, to, message),
                    Some(mut liar) => {
                        let out = liar.send(&mut self.rng, &self.nodes[node].key, to, message);
                        self.nodes[node].liar = Some(liar);
                        out.into_iter().for_each(|(to, message)| self.transmit(node, to, message));
                    }
                }
            }
            Effect::Call { id, call, value, .. } => {
                if self.rng.u32(0..1_000) < self.weather.lost_calls {
                    return;
                }
                let time = self.clock + self.rng.u64(0..=self.weather.delay);
                self.at(time, Pending::Call { node, id, call: Box::new(call), value });
            }
            Effect::Read(channels) => {
                let time = self.clock + self.rng.u64(0..=self.weather.delay);
                self.at(time, Pending::Read { node, channels });
            }
            Effect::Tell(notice) => {
                if let Notice::Requested { request, .. } = &notice {
                    let (request, accept) = (*request, self.nodes[node].accepts);
                    let _ = self.command(node, Command::Answer { request, accept });
                }
                self.nodes[node].notices.push(notice);
            }
        }
    }

    /// Sends a message through the network.
    pub fn transmit(&mut self, from: usize, to: usize, message: Message) {
        self.messages += 1;
        if let Some(held_back) = &mut self.held_back {
            held_back.push(Letter { from, to, message });
            return;
        }
        if self.rng.u32(0..1_000) < self.weather.loss || self.cut.contains(&(from.min(to), from.max(to))) {
            return;
        }
        let times = if self.rng.u32(0..1_000) < self.weather.repeated { 2 } else { 1 };
        for _ in 0..times {
            let time = self.clock + self.rng.u64(1..=self.weather.delay.max(1));
            self.at(time, Pending::Message(Box::new(Letter { from, to, message: message.clone() })));
        }
    }

    /// Remembers what an honest user lets out a signature for: never two contents for one order of a channel.
    fn note_signature(&mut self, node: usize, message: &Message) {
        if !self.is_honest(node) {
            return;
        }
        let id = match message {
            Message::UpdateAgree { update, .. } => *update,
            Message::Update { update, signature: Some(_), .. } => {
                protocol::Action::Update(update).payload(&engine::Native, &DOMAIN)
            }
            _ => return,
        };
        let account = self.account(node);
        let Some(engine) = &self.nodes[node].engine else { return };
        let Some(update) = engine.held().find(|(held, _)| **held == id).map(|(_, held)| held.update.clone()) else {
            return;
        };
        let own: Vec<_> = update
            .entries
            .iter()
            .filter(|entry| engine.channel(&entry.tpc).is_some_and(|channel| channel.owners.parties.contains(&account)))
            .collect();
        for entry in own {
            let known = *self.signed.entry((node, entry.tpc, entry.order())).or_insert(id);
            assert_eq!(known, id, "node {node} has signed two updates for one order of {}", entry.tpc);
        }
    }

    /// Lets time pass until `time`, in ms on the simulated clock.
    pub fn run_until(&mut self, time: u64) {
        while let Some(next) = self.next_time().filter(|next| *next <= time) {
            self.clock = self.clock.max(next);
            if self.next_block <= self.clock {
                self.make_block();
            } else if self.next_tick <= self.clock {
                self.tick();
            } else if let Some((_, pending)) = self.pending.pop_first() {
                self.happen(pending);
            }
        }
        self.clock = self.clock.max(time);
    }

    /// Lets `time` ms pass.
    pub fn run(&mut self, time: u64) {
        self.run_until(self.clock + time);
    }

    fn next_time(&self) -> Option<u64> {
        let pending = self.pending.first_key_value().map(|((time, _), _)| *time);
        [pending, Some(self.next_block), Some(self.next_tick)].into_iter().flatten().min()
    }

    /// Delivers a message at once, whoever made it.
    pub fn deliver(&mut self, Letter { from, to, message }: Letter) {
        if let Some(mut liar) = self.nodes[to].liar.take() {
            let answers = liar.receive(&mut self.rng, &self.nodes[to].key, from, &message);
            self.nodes[to].liar = Some(liar);
            answers.into_iter().for_each(|(receiver, answer)| self.transmit(to, receiver, answer));
        }
        let from = self.account(from);
        let _ = self.step(to, Input::Message { from, message });
    }

    fn happen(&mut self, pending: Pending) {
        match pending {
            Pending::Message(letter) => self.deliver(*letter),
            Pending::Call { node, id, call, value } => {
                let caller = self.account(node);
                match self.ledger.call(caller, &call, value) {
                    Ok(events) => self.events.extend(events),
                    Err(_) => {
                        let time = self.clock + self.rng.u64(0..=self.weather.delay);
                        self.at(time, Pending::CallFailed { node, id });
                    }
                }
            }
            Pending::CallFailed { node, id } => {
                let _ = self.step(node, Input::CallFailed(id));
            }
            Pending::Read { node, channels } => {
                if let Some(reading) = self.reading(&channels) {
                    let _ = self.step(node, Input::Read(reading));
                }
            }
        }
    }

    /// What the storage holds at the last final block. `None` before there is one.
    pub fn reading(&mut self, channels: &[(TpcId, u32)]) -> Option<Reading> {
        let made = self.last_final()?;
        let (block, ledger) = (made.number, &mut made.after);
        let channels = channels.iter().map(|(tpc, epoch)| ledger.read(*tpc, *epoch)).collect();
        Some(Reading { block, channels })
    }

    fn last_final(&mut self) -> Option<&mut Made> {
        let last = self.blocks.len().checked_sub(1 + self.times.finality)?;
        self.blocks.get_mut(last)
    }

    fn make_block(&mut self) {
        let events = std::mem::take(&mut self.events);
        self.number += 1;
        let (number, time) = (self.number, self.ledger.now);
        self.check_chain();
        self.blocks.push(Made { number, time, events, after: self.ledger.clone() });
        // Blocks are kept while somebody may need them; after that the storage is read.
        if self.blocks.len() > 24 {
            self.blocks.remove(0);
        }
        self.next_block += self.times.block;
        self.ledger.now += self.times.block;
        for node in 0..self.nodes.len() {
            self.catch_up(node);
            self.watch(node);
        }
        let liars: Vec<_> = (0..self.nodes.len()).filter(|node| !self.is_honest(*node)).collect();
        for node in liars {
            let account = self.account(node);
            let Some(mut liar) = self.nodes[node].liar.take() else { continue };
            let calls = liar.block(&mut self.rng, account, &self.ledger);
            self.nodes[node].liar = Some(liar);
            for call in calls {
                if let Ok(events) = self.ledger.call(account, &call, 0) {
                    self.events.extend(events);
                }
            }
        }
    }

    /// Tells a node the blocks that have become final, and the disputes at the head.
    fn catch_up(&mut self, node: usize) {
        let finals = self.blocks.len().saturating_sub(self.times.finality);
        loop {
            let Some(engine) = &self.nodes[node].engine else { return };
            let cursor = engine.cursor().block;
            let repeats = self.rng.u32(0..1_000) < self.weather.repeated_blocks;
            let wanted = if repeats { cursor } else { cursor + 1 };
            let oldest = self.blocks.first().map_or(0, |made| made.number);
            let Some(made) = self.blocks[..finals].iter().find(|made| made.number == wanted) else {
                if wanted < oldest && cursor + 1 < oldest {
                    // The blocks are pruned.
                    let channels = engine.followed();
                    let Some(reading) = self.reading(&channels) else { return };
                    let Some(made) = self.last_final() else { return };
                    let (number, time) = (made.number, made.time);
                    let reading = Some(reading.channels);
                    let _ = self.step(node, Input::Block(Block { number, time, events: vec![], reading }));
                    continue;
                }
                break;
            };
            let block = made.told();
            let _ = self.step(node, Input::Block(block));
        }
        if self.nodes[node].told_head < self.number {
            self.nodes[node].told_head = self.number;
            let disputes = self.blocks.last().map(|made| made.after.disputes()).unwrap_or_default();
            let _ = self.step(node, Input::Head(disputes));
        }
    }

    fn tick(&mut self) {
        self.next_tick += self.times.tick;
        if self.clock % 1_000 < self.times.tick {
            self.cut.clear();
            let n = self.nodes.len();
            for from in 0..n {
                for to in from + 1..n {
                    if self.rng.u32(0..1_000) < self.weather.cuts {
                        self.cut.insert((from, to));
                    }
                }
            }
        }
        for node in 0..self.nodes.len() {
            let dead = &self.nodes[node];
            if dead.engine.is_none() && !dead.gone && dead.back <= self.clock {
                self.revive(node);
            }
            let clock = self.clock;
            let _ = self.step(node, Input::Tick(clock));
        }
    }

    /// What must hold on chain after each block: nothing comes from nowhere or goes there, and no order falls.
    fn check_chain(&mut self) {
        for (asset, total) in &self.total {
            assert_eq!(self.ledger.total(*asset), *total, "funds are not conserved");
        }
        for (tpc, stored) in self.ledger.tpcs() {
            let last = self.orders.insert(*tpc, stored.order());
            assert!(last.is_none_or(|last| last <= stored.order()), "the order of {tpc} has fallen");
        }
    }

    /// Whether nothing is on its way for any honest node.
    pub fn is_quiet(&self) -> bool {
        let waits = |node: &Node| node.liar.is_none() && node.engine.as_ref().is_none_or(Engine::is_waiting);
        !self.nodes.iter().any(waits)
    }

    /// The payments of a node that are decided, in their order.
    pub fn past(&self, node: usize) -> Vec<Past> {
        let records = &self.nodes[node].store.0;
        let past = records.iter().filter(|(key, _)| key.first() == Some(&engine::PAST));
        past.filter_map(|(_, value)| Past::decode(&mut &value[1..]).ok()).collect()
    }

    /// What a node's books say that it has gained by payments, in an asset.
    pub fn gained(&self, node: usize, asset: Asset) -> i128 {
        let account = self.account(node);
        let settled = self.past(node).into_iter().filter(|past| past.outcome == Outcome::Settled);
        settled.filter_map(|past| past.payment.sums(account, asset)).fold(0, |sum, (out, back)| {
            sum + i128::try_from(back).unwrap_or(i128::MAX) - i128::try_from(out).unwrap_or(i128::MAX)
        })
    }

    /// Lets the weather clear up and everybody come back, and waits until nothing is on its way, at most `time` ms.
    pub fn heal(&mut self, time: u64) -> bool {
        self.weather = Weather::CALM;
        self.cut.clear();
        for node in &mut self.nodes {
            node.back = 0;
        }
        let end = self.clock + time;
        self.run(1_000);
        while !self.is_quiet() && self.clock < end {
            self.run(1_000);
        }
        self.is_quiet()
    }
}
