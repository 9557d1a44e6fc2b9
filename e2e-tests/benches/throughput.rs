//! How many payments parties make that are processes of their own and talk over sockets, durable and in memory, each figure
//! beside what the machine can do at most in the same run.
//!
//! `cargo bench --workspace --bench throughput` with `CONTRACTS_NODE` naming a node, as `scripts/throughput` does. All
//! processes share this machine's cores.
#![allow(clippy::unwrap_used, missing_docs)] // A failure here fails the benchmark.

use braid::party::{Open, Party};
use chain::{
    contract::{Bundle, Contract},
    keys::{address, parse_address, Keys},
    node::NodeChain,
    UNIT,
};
use e2e_tests::{keys, TestNode};
use engine::{Command, Notice, Outcome, Over, Policy, Scope, Signer, Transfer};
use protocol::{AccountId, Asset, Balance, MpcId, TpcId};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// How long each figure is measured.
const RUN: Duration = Duration::from_secs(5);

/// How many payments wait at once where they are folded.
const WAITING: u64 = 20_000;

/// What each owner puts into a channel, in planck.
const STAKE: Balance = 50 * UNIT;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "party") {
        Some(at) => runtime().block_on(party(&arguments[at + 1..])),
        None => measure(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

// A process with one party. It does what lines on its input say, and answers each with a line.

async fn party(arguments: &[String]) {
    let [suri, url, contract, folder] = arguments else { panic!("a key, a node, a contract and a folder") };
    let mut chain = NodeChain::connect(url).await.unwrap();
    let account = parse_address(contract).unwrap();
    let contract = Contract::open(&mut chain, account, &Bundle::built_in().unwrap()).await.unwrap();
    let policy = Policy { enter_groups: true, coordinate: true, ..Policy::default() };
    let mut builder = Party::builder(Keys::from_suri(suri).unwrap()).policy(policy).agree(|_, _| true);
    builder = builder.listen(([127, 0, 0, 1], 0).into());
    if folder != "memory" {
        builder = builder.folder(folder);
    }
    let party = builder.start(chain, contract).await.unwrap();
    println!("{}", party.address().unwrap());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let answer = match words[..] {
            ["connect", peer] => {
                party.connect(peer.parse().unwrap()).unwrap();
                String::new()
            }
            ["deposit"] => {
                party.deposit(Asset::Native, 1_000 * UNIT).await.unwrap();
                String::new()
            }
            ["open", peer] => {
                party.open(Open::with(parse_address(peer).unwrap(), STAKE), PATIENCE).await.unwrap().to_string()
            }
            ["form", coordinator, ref channels @ ..] => {
                let channels: Vec<_> = channels.iter().map(|tpc| TpcId(bytes(tpc))).collect();
                party.form(&channels, parse_address(coordinator).unwrap(), PATIENCE).await.unwrap().to_string()
            }
            ["trust", mpc] => {
                party.trust(MpcId(bytes(mpc)), Asset::Native, Balance::MAX).await.unwrap();
                String::new()
            }
            ["alone", tpc, to] => {
                one_by_one(&party, Over::Channel(TpcId(bytes(tpc))), parse_address(to).unwrap()).await
            }
            ["folded", tpc, to] => folded(&party, TpcId(bytes(tpc)), parse_address(to).unwrap()).await,
            ["round", mpc, to] => {
                let over = Over::Group { mpc: MpcId(bytes(mpc)), scope: Scope::All, confirm: false };
                one_by_one(&party, over, parse_address(to).unwrap()).await
            }
            _ => panic!("{line}"),
        };
        println!("{answer}");
    }
    party.stop().await;
}

fn bytes(text: &str) -> [u8; 32] {
    hex::decode(text.trim_start_matches("0x")).unwrap().try_into().unwrap()
}

/// Pays one payment when the one before is decided. Answers how many a second, and P50, P95 and P99 in µs.
async fn one_by_one(party: &Party, over: Over, to: AccountId) -> String {
    let from = party.account();
    let started = Instant::now();
    let mut times = vec![];
    while started.elapsed() < RUN {
        let one = Instant::now();
        let transfers = vec![Transfer { from, to, asset: Asset::Native, amount: 1 }];
        party.pay_over(transfers, over.clone(), PATIENCE).await.unwrap();
        times.push(one.elapsed());
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_micros();
    format!("{:.0} {} {} {}", times.len() as f64 / seconds, at(50), at(95), at(99))
}

/// Keeps so many payments waiting that each round folds what has come meanwhile. Answers how many are decided a second.
async fn folded(party: &Party, tpc: TpcId, to: AccountId) -> String {
    let from = party.account();
    let mut notices = party.notices();
    let (mut asked, mut decided) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < RUN || decided < asked {
        while asked - decided < WAITING && started.elapsed() < RUN {
            let transfers = vec![Transfer { from, to, asset: Asset::Native, amount: 1 }];
            party.tell(Command::Pay { transfers, over: Over::Channel(tpc) }).await.unwrap();
            asked += 1;
            if asked % 256 == 0 {
                break;
            }
        }
        loop {
            let notice = match asked - decided >= WAITING || started.elapsed() >= RUN {
                true => Some(notices.recv().await.unwrap()),
                false => notices.try_recv().ok(),
            };
            match notice {
                Some(Notice::Decided { outcome, .. }) => {
                    assert_eq!(outcome, Outcome::Settled);
                    decided += 1;
                    if decided == asked {
                        break;
                    }
                }
                Some(_) => {}
                None => break,
            }
        }
    }
    format!("{:.0}", decided as f64 / started.elapsed().as_secs_f64())
}

// The process that measures.

struct Remote {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    account: AccountId,
    address: String,
}

impl Remote {
    fn start(number: usize, url: &str, contract: &AccountId, folder: &str) -> Self {
        let suri = format!("//Alice//{number}");
        let mut process = Process::new(std::env::current_exe().unwrap());
        process.args(["party", &suri, url, &address(contract), folder]);
        let mut child = process.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let account = keys(&suri).account();
        let mut remote = Self { child, input, output, account, address: String::new() };
        remote.address = remote.answer();
        remote
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Bench {
    node: TestNode,
    contract: AccountId,
    folder: tempfile::TempDir,
    started: usize,
}

impl Bench {
    /// `n` parties, connected with each other, with funds; their stores in folders or in memory.
    fn parties(&mut self, n: usize, durable: bool) -> Vec<Remote> {
        let mut parties: Vec<Remote> = vec![];
        for _ in 0..n {
            self.started += 1;
            let folder = self.folder.path().join(self.started.to_string());
            let folder = if durable { folder.display().to_string() } else { "memory".to_owned() };
            runtime().block_on(self.fund(self.started));
            let mut party = Remote::start(self.started, &self.node.url(), &self.contract, &folder);
            for other in &parties {
                party.ask(&format!("connect {}", other.address));
            }
            party.ask("deposit");
            parties.push(party);
        }
        parties
    }

    async fn fund(&self, number: usize) {
        use chain::Chain;
        let mut chain = NodeChain::connect(&self.node.url()).await.unwrap();
        chain.transfer(&keys("//Alice"), keys(&format!("//Alice//{number}")).account(), 1_200 * UNIT).await.unwrap();
    }
}

fn measure() {
    let node = TestNode::start();
    let contract = runtime().block_on(async {
        let mut chain = NodeChain::connect(&node.url()).await.unwrap();
        Contract::deploy(&mut chain, &keys("//Alice"), &Bundle::built_in().unwrap()).await.unwrap().0.account
    });
    // On the disk that stores are on, not in memory.
    let folder =
        tempfile::tempdir_in(std::env::var_os("BRAID_BENCH_FOLDER").map_or(PathBuf::from("."), PathBuf::from)).unwrap();
    let mut bench = Bench { node, contract, folder, started: 0 };
    let bound = signature_bound();
    println!("Two signatures made and two checked on one core: {bound:.0} a second");
    let fsyncs = fsyncs(bench.folder.path());
    println!("4 KiB appended and synced to the disk: {fsyncs:.0} a second");
    println!();
    println!("{:<34} {:>10} {:>9} {:>9} {:>9} {:>22}", "", "a second", "P50 µs", "P95 µs", "P99 µs", "share");
    for durable in [false, true] {
        let kind = if durable { "on disk" } else { "in memory" };
        let mut pair = bench.parties(2, durable);
        let to = address(&pair[1].account);
        let tpc = pair[0].ask(&format!("open {to}"));
        let alone = pair[0].ask(&format!("alone {tpc} {to}"));
        let each = number(&alone);
        let share = match durable {
            false => format!("{:.0} % of signatures", 100.0 * each / bound),
            // The payer's commit, then the payee's, follow each other; signing comes on top.
            true => format!("{:.0} % of 2 commits", 100.0 * each / (1.0 / (2.0 / fsyncs + 1.0 / bound))),
        };
        row(&format!("two parties, one by one, {kind}"), &alone, &share);
        let folded = pair[0].ask(&format!("folded {tpc} {to}"));
        row(&format!("two parties, folded, {kind}"), &folded, "");
        for n in [2, 3, 10] {
            group(&mut bench, n, durable);
        }
    }
}

fn group(bench: &mut Bench, n: usize, durable: bool) {
    let kind = if durable { "on disk" } else { "in memory" };
    let mut parties = bench.parties(n + 1, durable);
    let coordinator = parties.pop().unwrap();
    let mut channels = vec![];
    for index in 0..if n == 2 { 1 } else { n } {
        let to = address(&parties[(index + 1) % n].account);
        channels.push(parties[index].ask(&format!("open {to}")));
    }
    let form = format!("form {} {}", address(&coordinator.account), channels.join(" "));
    let mpc = parties[0].ask(&form);
    for party in &mut parties {
        party.ask(&format!("trust {mpc}"));
    }
    let to = address(&parties[1].account);
    let rounds = parties[0].ask(&format!("round {mpc} {to}"));
    row(&format!("a group of {n}, {kind}"), &rounds, "");
}

fn number(answer: &str) -> f64 {
    answer.split(' ').next().unwrap().parse().unwrap()
}

fn row(name: &str, answer: &str, share: &str) {
    let mut words = answer.split(' ');
    let mut next = || words.next().unwrap_or("").to_owned();
    println!("{name:<34} {:>10} {:>9} {:>9} {:>9} {share:>22}", next(), next(), next(), next());
    std::io::stdout().flush().unwrap();
}

/// How often a second one core signs twice and checks twice: what a payment between two takes.
fn signature_bound() -> f64 {
    let key = keys("//Alice");
    let (started, mut done) = (Instant::now(), 0_u64);
    while started.elapsed() < Duration::from_secs(1) {
        let payload = [done as u8; 32];
        for _ in 0..2 {
            let signature = Signer::sign(&key, &payload);
            assert!(key.verify(&payload, &key.account(), &signature));
        }
        done += 1;
    }
    done as f64 / started.elapsed().as_secs_f64()
}

fn fsyncs(folder: &Path) -> f64 {
    let file = File::create(folder.join("fsync")).unwrap();
    let (started, mut done) = (Instant::now(), 0_u64);
    while started.elapsed() < Duration::from_secs(2) {
        file.write_all_at(&[1; 4_096], done * 4_096).unwrap();
        file.sync_data().unwrap();
        done += 1;
    }
    done as f64 / started.elapsed().as_secs_f64()
}
