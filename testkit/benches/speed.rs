//! How fast engines are, each as a share of the signing and verifying that nobody can avoid, measured in the same run.
//!
//! `cargo bench --workspace --bench speed`, or with `-- folded` for one of the figures: `one-by-one`, `group`, `folded`,
//! `thousand`, `stored`. One core, everything in memory: engines, records and
//! frames as they would be sent, no network, no disk. Each figure is the median of several runs, in processor time.
#![allow(clippy::unwrap_used)] // A failure here fails the benchmark.

use engine::{
    journal::Journal,
    payment::{Grantee, Purpose},
    record::{Change, MemoryStore, Store},
    Answer, Block, Command, Effect, Engine, Input, Message, Over, Permission, Policy, Reading, Scope, Signer, Transfer,
};
use protocol::{AccountId, Asset, Balance, MpcId, PartySignature, TpcId};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use testkit::{
    ledger::{Ledger, DOMAIN},
    signers::{Key, Scheme},
};

const RUNS: usize = 5;
const START: u64 = 1_700_000_000_000;
const STAKE: Balance = 1 << 60;

/// A store that appends what it is given to a log, as a disk's would before anything else, and keeps no order.
#[derive(Default)]
struct Log(Vec<u8>);

impl Store for Log {
    type Error = std::convert::Infallible;

    fn commit(&mut self, changes: Vec<Change>) -> Result<(), Self::Error> {
        for Change { key, value } in &changes {
            self.0.extend_from_slice(key);
            self.0.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        Ok(())
    }
}

/// Engines that answer each other until all is quiet.
struct Office {
    keys: Vec<Key>,
    engines: Vec<Engine>,
    stores: Vec<MemoryStore>,
    /// Takes the records in place of the stores, if it is there.
    log: Option<Log>,
    places: BTreeMap<AccountId, usize>,
    ledger: Ledger,
    block: u32,
    events: Vec<protocol::event::Event>,
    mail: VecDeque<(usize, usize, Vec<u8>)>,
    bytes: u64,
    messages: u64,
}

impl Office {
    fn new(n: usize) -> Self {
        let policy = Policy { enter_groups: true, coordinate: true, ..Policy::default() };
        let mut keys: Vec<_> = (0..n as u32).map(|number| Key::new(Scheme::Sr25519, number + 1)).collect();
        keys.sort_by_key(Signer::account);
        let engines = keys.iter().map(|key| Engine::new(key.account(), DOMAIN, policy.clone())).collect();
        let places = keys.iter().map(Signer::account).zip(0..).collect();
        let mut ledger = Ledger::new(Scheme::Sr25519, START);
        for key in &keys {
            ledger.fund(key.account(), Asset::Native, Balance::MAX >> 24);
        }
        let stores = vec![MemoryStore::default(); n];
        let mut office = Self {
            keys,
            engines,
            stores,
            log: None,
            places,
            ledger,
            block: 0,
            events: vec![],
            mail: VecDeque::new(),
            bytes: 0,
            messages: 0,
        };
        office.make_block();
        office
    }

    fn account(&self, user: usize) -> AccountId {
        self.keys[user].account()
    }

    fn step(&mut self, user: usize, input: Input) -> Answer {
        let output = self.engines[user].apply(&self.keys[user], input);
        let mut journal = Journal::default();
        let answer = journal.accept(output).unwrap();
        let effects = match &mut self.log {
            None => journal.commit(&mut self.stores[user]),
            Some(log) => journal.commit(log),
        };
        let effects = effects.unwrap();
        for effect in effects {
            match effect {
                Effect::Send(to, message) => {
                    let frame = message.frame();
                    self.bytes += frame.len() as u64;
                    self.messages += 1;
                    self.mail.push_back((user, self.places[&to], frame));
                }
                Effect::Call { call, value, .. } => {
                    let caller = self.account(user);
                    if let Ok(events) = self.ledger.call(caller, &call, value) {
                        self.events.extend(events);
                    }
                }
                Effect::Read(channels) => {
                    let channels = channels.iter().map(|(tpc, epoch)| self.ledger.read(*tpc, *epoch)).collect();
                    self.step(user, Input::Read(Reading { block: self.block, channels }));
                }
                Effect::Tell(_) => {}
            }
        }
        answer
    }

    fn run(&mut self) {
        while let Some((from, to, frame)) = self.mail.pop_front() {
            let (from, message) = (self.account(from), Message::from_frame(&frame).unwrap());
            self.step(to, Input::Message { from, message });
        }
    }

    fn make_block(&mut self) {
        self.block += 1;
        let (number, time) = (self.block, self.ledger.now);
        let events = std::mem::take(&mut self.events);
        for user in 0..self.engines.len() {
            self.step(user, Input::Block(Block { number, time, events: events.clone(), reading: None }));
        }
        self.ledger.now += 1_000;
        self.run();
    }

    /// Opens channels between pairs of users.
    fn open(&mut self, pairs: impl IntoIterator<Item = (usize, usize)>) -> Vec<TpcId> {
        let mut opened = vec![];
        for (a, b) in pairs {
            let mut parties = [self.account(a), self.account(b)];
            parties.sort();
            let command = Command::Open {
                peer: self.account(b),
                nonce: self.ledger.next_nonce(parties),
                asset: Asset::Native,
                own: STAKE,
                theirs: 0,
                value: 0,
                window: 600_000,
                valid_until: self.ledger.now + 3_600_000,
            };
            let Answer::Tpc(tpc) = self.step(a, command.into_input()) else { panic!("no channel") };
            // What each owner has does not matter here: the other one is given half by a payment.
            self.run();
            opened.push(tpc);
        }
        self.make_block();
        opened
    }

    fn form(&mut self, coordinator: usize, channels: &[TpcId]) -> MpcId {
        let owners = channels.iter().map(|tpc| (self.ledger.read(*tpc, 0).stored.unwrap().owners, 0));
        let channels: Vec<_> = owners.collect();
        let initiator = self.places[&channels[0].0.parties[0]];
        let command = Command::CreateMpc {
            channels,
            coordinator: self.account(coordinator),
            registered: false,
            valid_until: self.ledger.now + 3_600_000,
        };
        let Answer::Mpc(mpc) = self.step(initiator, command.into_input()) else { panic!("no group") };
        self.run();
        for user in 0..self.engines.len() {
            let permission = Permission::unlimited(Grantee::Group(mpc), Purpose::PassOn, Asset::Native);
            self.step(user, Command::Permit(permission).into_input());
        }
        mpc
    }

    fn pay(&mut self, from: usize, to: usize, amount: Balance, over: Over) {
        let (payer, payee) = (self.account(from), self.account(to));
        let transfers = vec![Transfer { from: payer, to: payee, asset: Asset::Native, amount }];
        self.step(from, Command::Pay { transfers, over }.into_input());
    }

    /// The bytes of a user's records, history aside.
    fn stored(&self, user: usize) -> usize {
        let records = self.stores[user].0.iter().filter(|(key, _)| key.first() != Some(&engine::PAST));
        records.map(|(key, value)| key.len() + value.len()).sum()
    }
}

trait IntoInput {
    fn into_input(self) -> Input;
}

impl IntoInput for Command {
    fn into_input(self) -> Input {
        Input::Command(self)
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The time that this thread has had on a core: what other programs take from it does not count.
fn used() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn timed(mut run: impl FnMut()) -> Duration {
    let times = (0..RUNS).map(|_| {
        let start = used();
        run();
        used() - start
    });
    median(times.collect())
}

/// What `signing` signatures, `single` verifications and batches of these sizes take.
fn floor(signing: usize, single: usize, batches: &[usize]) -> Duration {
    let keys: Vec<_> = (0..batches.iter().copied().max().unwrap_or(1).max(1) as u32)
        .map(|number| Key::new(Scheme::Sr25519, 10_000 + number))
        .collect();
    let payload = [7; 32];
    let signed: Vec<_> =
        keys.iter().map(|key| PartySignature { party: key.account(), signature: key.sign(&payload) }).collect();
    timed(|| {
        for index in 0..signing {
            std::hint::black_box(keys[index % keys.len()].sign(&payload));
        }
        for _ in 0..single {
            assert!(keys[0].verify(&payload, &signed[0].party, &signed[0].signature));
        }
        for batch in batches {
            assert!(keys[0].verify_all(&payload, &signed[..*batch]));
        }
    })
}

fn row(name: &str, took: Duration, floor: Duration, more: &str) {
    let share = 100.0 * floor.as_secs_f64() / took.as_secs_f64();
    println!(
        "{name:<46} {:>10.1} µs {:>10.1} µs {share:>6.1} %  {more}",
        took.as_secs_f64() * 1e6,
        floor.as_secs_f64() * 1e6
    );
}

fn one_by_one(channels: usize) -> Duration {
    let mut office = Office::new(2);
    let opened = office.open((0..channels).map(|_| (0, 1)));
    let tpc = opened[0];
    const PAYMENTS: u32 = 500;
    let time = timed(|| {
        for _ in 0..PAYMENTS {
            office.pay(0, 1, 1, Over::Channel(tpc));
            office.run();
        }
    });
    time / PAYMENTS
}

/// How many payments a second are settled if many of them wait for a round, with records in ordered maps as everywhere else
/// in here, or in a log.
fn folded(log: Option<Log>) -> f64 {
    let mut office = Office { log, ..Office::new(2) };
    let tpc = office.open([(0, 1)])[0];
    const PAYMENTS: usize = 50_000;
    let time = timed(|| {
        for _ in 0..PAYMENTS {
            office.pay(0, 1, 1, Over::Channel(tpc));
        }
        office.run();
    });
    PAYMENTS as f64 / time.as_secs_f64()
}

/// A complete graph of `n` users in a group with an outside coordinator. In each update one user pays all others, so that all
/// sign. Answers the time of an update, and the bytes of its messages.
fn group(n: usize) -> (Duration, u64) {
    let mut office = Office::new(n + 1);
    let coordinator = n;
    let pairs: Vec<_> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    let channels = office.open(pairs.clone());
    // A group is formed over as many channels as one action names; the others join it.
    let first = channels.len().min(protocol::state::MAX_CHANNELS);
    let mpc = office.form(coordinator, &channels[..first]);
    for (tpc, (a, _)) in channels.iter().zip(pairs).skip(first) {
        let valid_until = office.ledger.now + 3_600_000;
        office.step(a, Command::Join { mpc, host: channels[0], tpc: *tpc, valid_until }.into_input());
        office.run();
    }
    let rounds = if n > 50 { 3 } else { 50 };
    let payer = office.account(0);
    let all: Vec<_> = (1..n)
        .map(|user| Transfer { from: payer, to: office.account(user), asset: Asset::Native, amount: 1 })
        .collect();
    let (before, messages) = (office.bytes, office.messages);
    let time = timed(|| {
        for _ in 0..rounds {
            let over = Over::Group { mpc, scope: Scope::Touched, confirm: false };
            office.step(0, Command::Pay { transfers: all.clone(), over }.into_input());
            office.run();
        }
    });
    let updates = (RUNS * rounds) as u64;
    assert_eq!((office.messages - messages) / updates, 3 * n as u64 + 1, "the paper's count");
    let settled = office.engines[0].pending().count();
    assert_eq!(settled, 0, "payments are left");
    (time / rounds as u32, (office.bytes - before) / updates)
}

/// A coordinator of many groups of one channel each, of the same two users: the time of a payment in one of them.
fn groups(count: usize) -> Duration {
    let mut office = Office::new(3);
    let channels = office.open((0..count).map(|_| (0, 1)));
    let mpcs: Vec<_> = channels.iter().map(|tpc| office.form(2, &[*tpc])).collect();
    const PAYMENTS: u32 = 300;
    let time = timed(|| {
        for _ in 0..PAYMENTS {
            let over = Over::Group { mpc: mpcs[0], scope: Scope::Touched, confirm: false };
            office.pay(0, 1, 1, over);
            office.run();
        }
    });
    time / PAYMENTS
}

/// The records of a payer after so many payments in one channel, history aside, and what history takes for each.
fn stored(payments: usize) -> (usize, usize) {
    let mut office = Office::new(2);
    let tpc = office.open([(0, 1)])[0];
    for _ in 0..payments {
        office.pay(0, 1, 1, Over::Channel(tpc));
        office.run();
    }
    let past = office.stores[0].0.iter().filter(|(key, _)| key.first() == Some(&engine::PAST));
    let past: usize = past.map(|(key, value)| key.len() + value.len()).sum();
    (office.stored(0), past / payments)
}

fn main() {
    // `-- folded` runs what has that word in its name only.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    println!("{:<46} {:>13} {:>13} {:>8}", "what", "took", "floor", "share");
    for channels in [1, 10_000] {
        if wanted("one-by-one") {
            let took = one_by_one(channels);
            row(&format!("a payment in a channel, {channels} held"), took, floor(2, 2, &[]), "");
        }
    }
    for n in [3, 10, 100] {
        if wanted("group") {
            let (took, bytes) = group(n);
            let mut batches = vec![n - 1; n];
            batches.push(n);
            let more = format!("{bytes} B of messages");
            let name = format!("an update of a group of {n}, {} channels", n * (n - 1) / 2);
            row(&name, took, floor(n, 0, &batches), &more);
        }
    }
    if wanted("folded") {
        let (mapped, logged) = (folded(None), folded(Some(Log::default())));
        println!("folded payments: {mapped:.0} a second with records in an ordered map, {logged:.0} in a log");
    }
    if wanted("thousand") {
        let (one, many) = (groups(1), groups(1_000));
        let ratio = many.as_secs_f64() / one.as_secs_f64();
        println!("a coordinator's round with 1,000 groups: {ratio:.2} x that with one");
    }
    for payments in [10, 1_000] {
        if wanted("stored") {
            let (records, past) = stored(payments);
            println!("after {payments} payments: {records} bytes of records, and {past} of history for each payment");
        }
    }
}
