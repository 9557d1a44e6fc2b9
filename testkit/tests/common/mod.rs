//! A bench of engines over the contract in memory. The test decides which message is delivered, lost, kept or repeated, when
//! a block is made, and who dies.
#![allow(dead_code, clippy::unwrap_used)] // Each file of tests uses a part of it, and a failure here fails the test.

use codec::{Decode, Encode};
use engine::{
    message::{Agreement, Message, Right, RoundId, MAX_FRAME},
    payment::{Grantee, Past, PaymentId, Purpose},
    record::{MemoryStore, Store},
    Answer, Block, Call, CallId, Command, Effect, Engine, Hop, Input, Native, Notice, Outcome, Output, Over, Payment,
    Permission, Policy, Reading, Refusal, Scope, Signer, Transfer, Wants,
};
use protocol::{
    AccountId, Action, Asset, Balance, Domain, Entry, MpcId, Owners, PartySignature, Signature, SignedUpdate, TpcId,
    Update,
};
use std::collections::{BTreeMap, VecDeque};
use testkit::{
    ledger::{Ledger, DOMAIN},
    signers::{Key, Scheme},
};

/// What everybody has at first, outside of channels.
pub const FUNDS: Balance = 1_000_000_000;

/// The window of all channels, in ms.
pub const WINDOW: u64 = 20_000;

/// From a block to the next, in ms.
pub const BLOCK: u64 = 1_000;

/// The domain in which everybody signs.
pub const HERE: Domain = DOMAIN;

/// A second asset.
pub const TOKEN: Asset = Asset::Psp22(AccountId([9; 32]));

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Letter {
    pub from: usize,
    pub to: usize,
    pub message: Message,
}

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is lost.
    Lose,
    /// It is delivered twice.
    Twice,
    /// It waits in [`Bench::kept`] until the test delivers it.
    Keep,
}

struct Rule {
    from: Option<usize>,
    to: Option<usize>,
    kind: &'static str,
    fate: Fate,
    times: usize,
}

/// Somebody.
pub struct Node {
    pub key: Key,
    pub engine: Engine,
    pub store: MemoryStore,
    pub notices: Vec<Notice>,
    /// It neither hears messages nor sees blocks, and its clock stands.
    pub away: bool,
    /// Its application says yes to every request.
    pub accepts: bool,
    /// It dies after the commit of the step that sends this, and nothing of that step leaves.
    pub dies_before: Option<&'static str>,
    /// How many records its steps have changed.
    pub written: usize,
    dead: bool,
}

/// The bench.
pub struct Bench {
    pub nodes: Vec<Node>,
    pub ledger: Ledger,
    /// Messages in the order in which they will be delivered.
    pub mail: VecDeque<Letter>,
    /// Messages that a rule keeps.
    pub kept: Vec<Letter>,
    /// Everything that was sent.
    pub sent: Vec<Letter>,
    /// Calls that the next block includes.
    pub calls: Vec<(usize, CallId, Call, Balance)>,
    /// All blocks.
    pub made: Vec<Block>,
    pub clock: u64,
    rules: Vec<Rule>,
    reads: VecDeque<(usize, Vec<(TpcId, u32)>)>,
    answers: VecDeque<(usize, u64)>,
    number: u32,
    signed: BTreeMap<(usize, TpcId, (u32, u64)), [u8; 32]>,
    agreements: BTreeMap<[u8; 32], Agreement>,
}

/// A policy that lets others do what takes nothing.
pub fn policy() -> Policy {
    Policy { enter_groups: true, coordinate: true, ..Policy::default() }
}

/// A transfer of the native asset between accounts.
pub fn transfer(from: AccountId, to: AccountId, amount: Balance) -> Transfer {
    Transfer { from, to, asset: Asset::Native, amount }
}

/// A payment over a group that names the channels which carry it.
pub fn over(mpc: MpcId) -> Over {
    Over::Group { mpc, scope: Scope::Touched, confirm: false }
}

/// An update's name.
pub fn id_of(update: &Update) -> [u8; 32] {
    Action::Update(update).payload(&Native, &HERE)
}

impl Bench {
    /// A bench of `n` users whose accounts ascend.
    pub fn new(n: usize) -> Self {
        Self::with(Scheme::Symbols, vec![policy(); n])
    }

    /// A bench of users with these policies.
    pub fn with(scheme: Scheme, policies: Vec<Policy>) -> Self {
        let mut ledger = Ledger::new(scheme, 1_700_000_000_000);
        let mut nodes: Vec<_> = (1..)
            .zip(policies)
            .map(|(number, policy)| {
                let key = Key::new(scheme, number);
                let engine = Engine::new(key.account(), HERE, policy.clone());
                let mut store = MemoryStore::default();
                ledger.fund(key.account(), Asset::Native, FUNDS);
                ledger.fund(key.account(), TOKEN, FUNDS);
                let mut node = Node {
                    key,
                    engine,
                    notices: vec![],
                    away: false,
                    accepts: false,
                    dies_before: None,
                    written: 0,
                    dead: false,
                    store: MemoryStore::default(),
                };
                let output = node.engine.apply(&node.key, Input::Command(Command::SetPolicy(policy)));
                let _ = store.commit(output.changes);
                node.store = store;
                node
            })
            .collect();
        nodes.sort_by_key(|node| node.key.account());
        let mut bench = Self {
            nodes,
            ledger,
            mail: VecDeque::new(),
            kept: vec![],
            sent: vec![],
            calls: vec![],
            made: vec![],
            clock: 0,
            rules: vec![],
            reads: VecDeque::new(),
            answers: VecDeque::new(),
            number: 0,
            signed: BTreeMap::new(),
            agreements: BTreeMap::new(),
        };
        bench.block();
        bench
    }

    // Who is who.

    pub fn account(&self, node: usize) -> AccountId {
        self.nodes[node].key.account()
    }

    pub fn place(&self, account: &AccountId) -> Option<usize> {
        self.nodes.iter().position(|node| node.key.account() == *account)
    }

    pub fn engine(&self, node: usize) -> &Engine {
        &self.nodes[node].engine
    }

    pub fn owners(&mut self, tpc: TpcId) -> Owners {
        self.ledger.read(tpc, 0).stored.unwrap().owners
    }

    pub fn sign(&self, node: usize, payload: &[u8; 32]) -> PartySignature {
        PartySignature { party: self.account(node), signature: self.nodes[node].key.sign(payload) }
    }

    // What happens.

    /// A step of somebody, its commit, and what follows.
    pub fn step(&mut self, node: usize, input: Input) -> Result<Answer, Refusal> {
        let Node { engine, key, .. } = &mut self.nodes[node];
        let output = engine.apply(&*key, input);
        self.accept(node, output)
    }

    fn accept(&mut self, node: usize, output: Output) -> Result<Answer, Refusal> {
        let Output { changes, effects, answer } = output;
        let at = &mut self.nodes[node];
        at.written += changes.len();
        let _ = at.store.commit(changes);
        let sends = |kind: &str| {
            effects.iter().any(|effect| matches!(effect, Effect::Send(_, message) if kind_of(message) == kind))
        };
        if at.dies_before.is_some_and(sends) {
            (at.dies_before, at.dead) = (None, true);
            return answer;
        }
        for effect in effects {
            self.perform(node, effect);
        }
        answer
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send(to, message) => {
                self.note_signature(node, &message);
                let Some(to) = self.place(&to) else { return };
                self.post(Letter { from: node, to, message });
            }
            Effect::Call { id, call, value, .. } => self.calls.push((node, id, call, value)),
            Effect::Read(channels) => self.reads.push_back((node, channels)),
            Effect::Tell(notice) => {
                if let (Notice::Requested { request, .. }, true) = (&notice, self.nodes[node].accepts) {
                    self.answers.push_back((node, *request));
                }
                trace(|| {
                    format!(
                        "{} {node} is told {}",
                        self.clock,
                        format!("{notice:?}").chars().take(160).collect::<String>()
                    )
                });
                self.nodes[node].notices.push(notice);
            }
        }
    }

    fn post(&mut self, letter: Letter) {
        assert!(letter.message.frame().len() <= MAX_FRAME, "a message is too long: {}", kind_of(&letter.message));
        self.sent.push(letter.clone());
        let fits = |rule: &&mut Rule| {
            rule.times > 0
                && rule.from.is_none_or(|from| from == letter.from)
                && rule.to.is_none_or(|to| to == letter.to)
                && (rule.kind.is_empty() || rule.kind == kind_of(&letter.message))
        };
        let fate = self.rules.iter_mut().find(fits).map(|rule| {
            rule.times -= 1;
            rule.fate
        });
        match fate {
            None => self.mail.push_back(letter),
            Some(Fate::Lose) => {}
            Some(Fate::Twice) => self.mail.extend([letter.clone(), letter]),
            Some(Fate::Keep) => self.kept.push(letter),
        }
    }

    /// What is to happen to the next `times` messages of a kind; of all kinds if that is empty.
    pub fn rule(
        &mut self,
        from: impl Into<Option<usize>>,
        to: impl Into<Option<usize>>,
        kind: &'static str,
        fate: Fate,
        times: usize,
    ) {
        self.rules.push(Rule { from: from.into(), to: to.into(), kind, fate, times });
    }

    /// Ends all rules.
    pub fn no_rules(&mut self) {
        self.rules.clear();
    }

    /// Delivers a message at once, whoever made it.
    pub fn say(&mut self, from: usize, to: usize, message: Message) {
        if let Message::Agree { agreement, .. } = &message {
            self.agreements.insert(agreement.id(&Native, &HERE), agreement.clone());
        }
        if self.nodes[to].away || self.nodes[to].dead {
            return;
        }
        trace(|| format!("{} {from} -> {to} {}", self.clock, brief(&message)));
        let from = self.account(from);
        let _ = self.step(to, Input::Message { from, message });
    }

    /// Delivers what waits on the way, and what follows from it, until nothing does.
    pub fn run(&mut self) {
        for _ in 0..200_000 {
            if let Some((node, channels)) = self.reads.pop_front() {
                if !self.nodes[node].dead {
                    let reading = self.reading(&channels);
                    let _ = self.step(node, Input::Read(reading));
                }
            } else if let Some((node, request)) = self.answers.pop_front() {
                let _ = self.step(node, Input::Command(Command::Answer { request, accept: true }));
            } else if let Some(Letter { from, to, message }) = self.mail.pop_front() {
                self.say(from, to, message);
            } else {
                return;
            }
        }
        panic!("messages go round in circles: {:?}", self.mail.front());
    }

    /// Takes the next message of a kind from the mail, without delivering it.
    pub fn take(&mut self, from: usize, to: usize, kind: &str) -> Option<Message> {
        let found = |letter: &Letter| letter.from == from && letter.to == to && kind_of(&letter.message) == kind;
        let place = self.mail.iter().position(found)?;
        self.mail.remove(place).map(|letter| letter.message)
    }

    /// Takes the next message of a kind from what is kept.
    pub fn take_kept(&mut self, from: usize, to: usize, kind: &str) -> Option<Message> {
        let found = |letter: &Letter| letter.from == from && letter.to == to && kind_of(&letter.message) == kind;
        let place = self.kept.iter().position(found)?;
        Some(self.kept.remove(place).message)
    }

    /// The last message of a kind that was sent.
    pub fn last_sent(&self, from: usize, to: usize, kind: &str) -> Option<Message> {
        let found = |letter: &&Letter| letter.from == from && letter.to == to && kind_of(&letter.message) == kind;
        self.sent.iter().rev().find(found).map(|letter| letter.message.clone())
    }

    /// What the storage holds of channels after the last block.
    pub fn reading(&mut self, channels: &[(TpcId, u32)]) -> Reading {
        let channels = channels.iter().map(|(tpc, epoch)| self.ledger.read(*tpc, *epoch)).collect();
        Reading { block: self.number, channels }
    }

    /// Makes a block of the calls that wait, and delivers it and what follows.
    pub fn block(&mut self) {
        let failed = self.make_block();
        let block = self.made.last().unwrap().clone();
        for node in 0..self.nodes.len() {
            self.show_block(node, &block);
        }
        for (node, id) in failed {
            let _ = self.step(node, Input::CallFailed(id));
        }
        self.run();
    }

    /// Makes a block that nobody is told of yet. Answers which calls failed.
    pub fn make_block(&mut self) -> Vec<(usize, CallId)> {
        self.ledger.now += BLOCK;
        self.number += 1;
        let (mut events, mut failed) = (vec![], vec![]);
        for (node, id, call, value) in std::mem::take(&mut self.calls) {
            let caller = self.account(node);
            match self.ledger.call(caller, &call, value) {
                Ok(told) => events.extend(told),
                Err(_) => failed.push((node, id)),
            }
        }
        self.made.push(Block { number: self.number, time: self.ledger.now, events, reading: None });
        failed
    }

    /// Tells somebody a block, and the disputes at the head.
    pub fn show_block(&mut self, node: usize, block: &Block) {
        if self.nodes[node].away || self.nodes[node].dead {
            return;
        }
        let answer = self.step(node, Input::Block(block.clone()));
        assert!(answer.is_ok(), "{answer:?}");
        let disputes = self.ledger.disputes();
        let _ = self.step(node, Input::Head(disputes));
    }

    /// A call by somebody's own hand, in the next block.
    pub fn call(&mut self, node: usize, call: impl Into<Call>) {
        self.calls.push((node, u64::MAX, call.into(), 0));
    }

    /// Lets real time pass.
    pub fn tick(&mut self, ms: u64) {
        self.clock += ms;
        for node in 0..self.nodes.len() {
            if !self.nodes[node].dead && !self.nodes[node].away {
                let _ = self.step(node, Input::Tick(self.clock));
            }
        }
        self.run();
    }

    /// Lets seconds pass, with a block in each.
    pub fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.tick(1_000);
            self.block();
        }
    }

    /// Lets time pass until nothing is on its way for any of `nodes`, at most so many seconds.
    pub fn calm(&mut self, nodes: &[usize], seconds: u64) {
        self.run();
        for _ in 0..seconds {
            if !nodes.iter().any(|node| self.nodes[*node].dead || self.engine(*node).is_waiting())
                && self.mail.is_empty()
            {
                return;
            }
            self.pass(1);
        }
        panic!("something hangs: {}", self.hanging(nodes));
    }

    pub fn hanging(&self, nodes: &[usize]) -> String {
        let mut text = String::new();
        for node in nodes {
            let engine = self.engine(*node);
            text += &format!("\nnode {node}:");
            for (id, held) in engine.held().filter(|(_, held)| held.in_flight) {
                let entries: Vec<_> = held.update.entries.iter().map(|entry| (entry.version, entry.balances)).collect();
                text += &format!(
                    "\n  in flight {:02x?} {:?} all={} {entries:?}",
                    &id[..3],
                    held.right,
                    held.signatures.is_some()
                );
            }
            for payment in engine.pending() {
                text += &format!("\n  pending {payment:?}");
            }
            text += &format!("\n  rounds {}", engine.describe_rounds());
        }
        text
    }

    /// Starts somebody again from its disk.
    pub fn restart(&mut self, node: usize) {
        let account = self.account(node);
        let records = self.nodes[node].store.0.clone();
        let engine = Engine::load(account, HERE, records.iter().map(|(key, value)| (&key[..], &value[..])));
        self.nodes[node].engine = engine.unwrap();
        self.nodes[node].dead = false;
        let Node { engine, key, .. } = &mut self.nodes[node];
        let output = engine.resume(&*key);
        let _ = self.accept(node, output);
        let _ = self.step(node, Input::Tick(self.clock));
        self.wake(node);
    }

    /// Whether it has died.
    pub fn is_dead(&self, node: usize) -> bool {
        self.nodes[node].dead
    }

    /// Somebody has lost its disk, and begins with nothing but a policy.
    pub fn lose_disk(&mut self, node: usize) {
        let policy = self.engine(node).policy();
        let account = self.account(node);
        let at = &mut self.nodes[node];
        (at.engine, at.store, at.dead) = (Engine::new(account, HERE, policy.clone()), MemoryStore::default(), false);
        let _ = self.step(node, Input::Command(Command::SetPolicy(policy)));
        let _ = self.step(node, Input::Tick(self.clock));
        self.wake(node);
    }

    /// Somebody is there again, and reads what it has missed.
    pub fn wake(&mut self, node: usize) {
        self.nodes[node].away = false;
        let seen = self.engine(node).cursor().block;
        if seen < self.number {
            let followed = self.engine(node).followed();
            let reading = Some(self.reading(&followed).channels);
            let block = Block { number: self.number, time: self.ledger.now, events: vec![], reading };
            self.show_block(node, &block);
        }
        self.run();
    }

    // What users do.

    /// Opens a channel of two users.
    pub fn open(&mut self, a: usize, b: usize, own: Balance, theirs: Balance) -> TpcId {
        self.open_many(a, b, own, theirs, 1, Asset::Native)[0]
    }

    /// Opens channels of two users.
    pub fn open_many(&mut self, a: usize, b: usize, own: Balance, theirs: Balance, n: u64, asset: Asset) -> Vec<TpcId> {
        let mut parties = [self.account(a), self.account(b)];
        parties.sort();
        let nonce = self.ledger.next_nonce(parties);
        let accepts = std::mem::replace(&mut self.nodes[b].accepts, true);
        let valid_until = self.ledger.now + 60_000;
        let peer = self.account(b);
        let mut tpcs = vec![];
        for number in 0..n {
            let command = Command::Open {
                peer,
                nonce: nonce + number,
                asset,
                own,
                theirs,
                value: 0,
                window: WINDOW,
                valid_until,
            };
            let Ok(Answer::Tpc(tpc)) = self.step(a, Input::Command(command)) else {
                panic!("the channel is not opened")
            };
            tpcs.push(tpc);
        }
        self.run();
        self.block();
        self.nodes[b].accepts = accepts;
        for tpc in &tpcs {
            assert!(self.engine(a).channel(tpc).is_some() && self.engine(b).channel(tpc).is_some());
        }
        tpcs
    }

    /// Forms a group.
    pub fn group(&mut self, initiator: usize, tpcs: &[TpcId], coordinator: usize, registered: bool) -> MpcId {
        let stored = tpcs.iter().map(|tpc| self.ledger.read(*tpc, 0).stored.unwrap());
        let channels: Vec<_> = stored.map(|stored| (stored.owners, stored.registrations)).collect();
        let (coordinator, valid_until) = (self.account(coordinator), self.ledger.now + 60_000);
        let answer = self.command(initiator, Command::CreateMpc { channels, coordinator, registered, valid_until });
        let Ok(Answer::Mpc(mpc)) = answer else { panic!("{answer:?}") };
        self.run();
        self.block();
        assert!(
            self.nodes[initiator].notices.contains(&Notice::MpcCreated(mpc)),
            "{:?}",
            self.nodes[initiator].notices
        );
        mpc
    }

    /// A command, with nothing delivered that follows.
    pub fn command(&mut self, node: usize, command: Command) -> Result<Answer, Refusal> {
        self.step(node, Input::Command(command))
    }

    /// Lets a grantee do anything of a kind.
    pub fn permit(&mut self, node: usize, grantee: Grantee, purpose: Purpose) {
        self.command(node, Command::Permit(Permission::unlimited(grantee, purpose, Asset::Native))).unwrap();
    }

    /// Asks for a payment, with nothing delivered that follows. Answers its number.
    pub fn pay(&mut self, node: usize, transfers: Vec<Transfer>, over: Over) -> u64 {
        match self.command(node, Command::Pay { transfers, over }) {
            Ok(Answer::Payment(number)) => number,
            other => panic!("{other:?}"),
        }
    }

    /// Pays somebody over a channel or a group.
    pub fn pay_to(&mut self, from: usize, to: usize, amount: Balance, over: Over) -> u64 {
        let moved = transfer(self.account(from), self.account(to), amount);
        self.pay(from, vec![moved], over)
    }

    /// Pays along channels of users, the first of which is the payer.
    pub fn pay_along(&mut self, users: &[usize], tpcs: &[TpcId], amount: Balance) -> u64 {
        let hops = tpcs.iter().zip(users).map(|(tpc, from)| Hop {
            owners: self.owners(*tpc),
            from: self.account(*from),
            amount,
        });
        let hops = hops.collect();
        let (first, last) = (users[0], users[users.len() - 1]);
        self.pay_to(first, last, amount, Over::Path(hops))
    }

    /// The name of a payment.
    pub fn payment(&self, node: usize, number: u64) -> PaymentId {
        PaymentId { by: self.account(node), number }
    }

    // What is there.

    /// What somebody holds in a channel.
    pub fn balance(&self, node: usize, tpc: TpcId) -> Balance {
        self.engine(node).channel(&tpc).map_or(0, |channel| channel.balance_of(self.account(node)))
    }

    /// How often somebody's books have a payment, by its outcome.
    pub fn books(&self, node: usize, payment: PaymentId) -> (usize, usize) {
        let count = |outcome| {
            self.past(node).iter().filter(|past| past.payment.id == payment && past.outcome == outcome).count()
        };
        (count(Outcome::Settled), count(Outcome::Void))
    }

    /// The payments of somebody that are decided.
    pub fn past(&self, node: usize) -> Vec<Past> {
        let records = self.nodes[node].store.0.iter().filter(|(key, _)| key.first() == Some(&engine::PAST));
        records.filter_map(|(_, value)| Past::decode(&mut &value[1..]).ok()).collect()
    }

    /// What an application was told of a payment that it asked for.
    pub fn told(&self, node: usize, number: u64) -> Vec<Outcome> {
        let told = self.nodes[node].notices.iter().filter_map(|notice| match notice {
            Notice::Decided { payment, outcome, .. } if *payment == number => Some(*outcome),
            _ => None,
        });
        told.collect()
    }

    /// The payments that others' requests want somebody to make.
    pub fn asked(&self, node: usize) -> Vec<Vec<Payment>> {
        let wanted = self.nodes[node].notices.iter().filter_map(|notice| match notice {
            Notice::Requested { wants: Wants::Payments(payments), .. } => Some(payments.clone()),
            _ => None,
        });
        wanted.collect()
    }

    /// The bytes that somebody has stored, apart from history.
    pub fn stored(&self, node: usize) -> usize {
        let records = self.nodes[node].store.0.iter().filter(|(key, _)| key.first() != Some(&engine::PAST));
        records.map(|(key, value)| key.len() + value.len()).sum()
    }

    /// How many records of a kind somebody has stored.
    pub fn records(&self, node: usize, kind: u8) -> usize {
        self.nodes[node].store.0.keys().filter(|key| key.first() == Some(&kind)).count()
    }

    /// Checks that two users are at the same state of a channel, and that the chain's is not newer.
    pub fn agree(&mut self, a: usize, b: usize, tpc: TpcId) -> Entry {
        let stored = self.ledger.read(tpc, 0).stored.unwrap();
        let of = |node: usize| self.engine(node).channel(&tpc).unwrap().latest;
        let (first, second) = (of(a), of(b));
        assert_eq!(first, second, "the owners are at different states");
        assert!(stored.order() <= first.order(), "the chain is ahead");
        first
    }

    /// Checks that somebody knows of a channel what the storage holds.
    pub fn knows_chain(&mut self, node: usize, tpc: TpcId) {
        let stored = self.ledger.read(tpc, 0).stored;
        let known = self.engine(node).channel(&tpc).map(|channel| channel.on_chain.clone()).filter(|chain| !chain.gone);
        assert_eq!(known.is_some(), stored.is_some(), "whether the channel is stored");
        if let (Some(known), Some(stored)) = (known, stored) {
            assert_eq!(known.order, stored.order(), "the order on chain");
            assert_eq!(known.balances, stored.balances, "the balances on chain");
            assert_eq!(known.dispute, stored.dispute, "the dispute on chain");
            assert_eq!(known.registrations, stored.registrations, "the registrations on chain");
            assert_eq!(known.mpc, stored.mpc, "the group on chain");
        }
    }

    /// An update of channels as somebody knows them: each with the change of its first owner's balance, `step` versions
    /// above all that anybody is known to have signed.
    pub fn update(&self, node: usize, changes: &[(TpcId, i128)], step: u64) -> (Update, Vec<Owners>) {
        let mut changes = changes.to_vec();
        changes.sort();
        let next = |(tpc, change): &(TpcId, i128)| {
            let channel = self.engine(node).channel(tpc).unwrap();
            let [first, second] = channel.latest.balances;
            let balances = [first.checked_add_signed(*change).unwrap(), second.checked_add_signed(-*change).unwrap()];
            let version = channel.latest.version.max(channel.signed).max(channel.seen) + step;
            (Entry { version, balances, ..channel.latest }, channel.owners)
        };
        let (entries, owners) = changes.iter().map(next).unzip();
        (Update { entries }, owners)
    }

    /// A leader's request for a signature.
    pub fn ask(
        &self,
        leader: usize,
        number: u64,
        right: Right,
        payments: &[Payment],
        (update, owners): &(Update, Vec<Owners>),
    ) -> Message {
        let signature = Some(self.sign(leader, &id_of(update)).signature);
        let round = RoundId { leader: self.account(leader), number };
        let (update, owners) = (update.clone(), owners.clone());
        Message::Update { round, right, payments: payments.to_vec().into(), update, owners, signature }
    }

    /// A payment as a message names it.
    pub fn wish(&self, by: usize, number: u64, transfers: Vec<Transfer>) -> Payment {
        Payment { id: self.payment(by, number), transfers }
    }

    /// An update with the signatures of all owners, as colluders with all keys could bring it.
    pub fn signed_by_all(&self, update: &Update, owners: &[Owners]) -> SignedUpdate {
        let mut parties: Vec<_> = owners.iter().flat_map(|owners| owners.parties).collect();
        parties.sort();
        parties.dedup();
        let id = id_of(update);
        let signatures = parties.iter().map(|party| self.sign(self.place(party).unwrap(), &id)).collect();
        SignedUpdate { update: update.clone(), owners: owners.to_vec(), signatures }
    }

    /// Brings an update to the chain by somebody's own hand.
    pub fn publish(&mut self, node: usize, update: &Update, owners: &[Owners]) {
        let signed = self.signed_by_all(update, owners);
        for call in Call::of_updates([signed]) {
            self.call(node, call);
        }
    }

    /// Remembers what somebody lets out a signature for: never two contents for one order of a channel.
    fn note_signature(&mut self, node: usize, message: &Message) {
        let held = |id: &[u8; 32]| {
            self.engine(node).held().find(|(held, _)| *held == id).map(|(_, held)| held.update.entries.clone())
        };
        let (id, entries) = match message {
            Message::UpdateAgree { update, .. } => match held(update) {
                Some(entries) => (*update, entries),
                None => return,
            },
            Message::Update { update, signature: Some(_), .. } => (id_of(update), update.entries.clone()),
            Message::Agree { agreement, .. } => {
                let id = agreement.id(&Native, &HERE);
                self.agreements.insert(id, agreement.clone());
                (id, agreement.last().to_vec())
            }
            Message::Agreed { agreement, .. } => match self.agreements.get(agreement) {
                Some(known) => (*agreement, known.last().to_vec()),
                None => return,
            },
            _ => return,
        };
        let account = self.account(node);
        for entry in entries {
            let own =
                self.engine(node).channel(&entry.tpc).is_some_and(|channel| channel.owners.parties.contains(&account));
            if own {
                let known = *self.signed.entry((node, entry.tpc, entry.order())).or_insert(id);
                assert_eq!(known, id, "node {node} has signed two contents for {:?} of {}", entry.order(), entry.tpc);
            }
        }
    }
}

/// Prints what happens, for whoever looks into a failure with BENCH_TRACE.
fn trace(line: impl FnOnce() -> String) {
    if std::env::var_os("BENCH_TRACE").is_some() {
        println!("{}", line());
    }
}

/// A message in one line.
fn brief(message: &Message) -> String {
    let kind = kind_of(message);
    match message {
        Message::Update { update, payments, round, .. } => {
            let entries: Vec<_> =
                update.entries.iter().map(|entry| (entry.tpc.0[0], entry.order(), entry.balances)).collect();
            let payments: Vec<_> = payments.iter().map(|payment| (payment.id.by.0[3], payment.id.number)).collect();
            format!("{kind} {} {:02x?} {entries:?} of {payments:?}", round.number, &id_of(update)[..2])
        }
        Message::UpdateAgree { update, .. } | Message::Updated { update, .. } => {
            format!("{kind} {:02x?}", &update[..2])
        }
        Message::UpdateReject { update, reason } => format!("{kind} {:02x?} {reason:?}", &update[..2]),
        _ => format!("{message:?}").chars().take(300).collect(),
    }
}

/// A signature that nobody made.
pub fn no_signature() -> Signature {
    Signature([3; 64])
}

/// The size of a message in bytes.
pub fn size(message: &Message) -> usize {
    message.encoded_size()
}

/// The name of a message's kind.
pub fn kind_of(message: &Message) -> &'static str {
    match message {
        Message::Pay { .. } => "Pay",
        Message::PayReject { .. } => "PayReject",
        Message::Propose { .. } => "Propose",
        Message::Consent { .. } => "Consent",
        Message::ProposeReject { .. } => "ProposeReject",
        Message::GiveUp { .. } => "GiveUp",
        Message::Update { .. } => "Update",
        Message::UpdateAgree { .. } => "UpdateAgree",
        Message::UpdateReject { .. } => "UpdateReject",
        Message::Updated { .. } => "Updated",
        Message::Missed { .. } => "Missed",
        Message::Agree { .. } => "Agree",
        Message::Agreed { .. } => "Agreed",
        Message::AgreeReject { .. } => "AgreeReject",
        Message::MpcCreate { .. } => "MpcCreate",
        Message::MpcCreateAgree { .. } => "MpcCreateAgree",
        Message::MpcCreateReject { .. } => "MpcCreateReject",
        Message::MpcCreated { .. } => "MpcCreated",
        Message::MpcCreateFailed { .. } => "MpcCreateFailed",
        Message::MpcClose { .. } => "MpcClose",
        Message::MpcCloseAgree { .. } => "MpcCloseAgree",
        Message::MpcCloseReject { .. } => "MpcCloseReject",
        Message::MpcClosed { .. } => "MpcClosed",
        Message::MpcCloseFailed { .. } => "MpcCloseFailed",
        Message::Introduce { .. } => "Introduce",
        Message::Welcome { .. } => "Welcome",
        Message::Left { .. } => "Left",
        Message::WhoAreYou { .. } => "WhoAreYou",
    }
}
