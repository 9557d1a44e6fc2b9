//! Two coordinators and four parties as processes of their own, over sockets against a node, commanded as users do it.
#![allow(missing_docs, clippy::unwrap_used)] // A failure here fails the test.

use chain::{keys::address, node::NodeChain, Chain, UNIT};
use e2e_tests::{braid, keys, run, Finished, TestNode};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take on a machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

const PLAYERS: [&str; 4] = ["//Alice", "//Bob", "//Charlie", "//Dave"];

/// A daemon with a folder of its own, which ends with the test.
struct Daemon {
    process: Child,
    folder: PathBuf,
    account: String,
    /// `account@host:port`.
    address: String,
}

impl Daemon {
    /// Starts one that logs as JSON into its folder, and waits until it has said everything.
    fn start(role: &str, suri: &str, folder: PathBuf, url: &str, contract: &str, peers: &[String]) -> Self {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), "[log]\nformat = \"json\"\n").unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let mut command = braid();
        command.args([role, "--suri", suri, "--node", url, "--contract", contract, "--folder"]).arg(&folder);
        command.args(["--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
        command.args(peers.iter().flat_map(|peer| ["--peer", peer]));
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let (mut account, mut address) = (None, None);
        for line in said.lines().map_while(Result::ok) {
            assert!(line.chars().count() <= 80 || line.starts_with("Folder") || line.contains("--folder"), "{line}");
            if let Some((name, value)) = line.split_once(' ') {
                match name {
                    "Account" => account = Some(value.trim().to_owned()),
                    "Address" => address = Some(value.trim().to_owned()),
                    _ => {}
                }
            }
            if line.starts_with("Next") {
                let (account, address) = (account.unwrap(), address.unwrap());
                return Self { process, folder, account, address };
            }
        }
        let _ = process.wait();
        panic!("{role} {suri} ended: {}", fs::read_to_string(folder.join("log")).unwrap())
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = braid();
        command.args(line).env("BRAID_FOLDER", &self.folder);
        command
    }

    /// Types a command and answers what it prints.
    fn types(&self, line: &[&str]) -> String {
        let Finished { success, stdout, stderr } = run(&mut self.command(line));
        assert!(success, "{}: braid {line:?}: {stdout}{stderr}", self.account);
        assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
        stdout
    }

    fn json(&self, line: &[&str]) -> Value {
        let line: Vec<_> = line.iter().copied().chain(["--json"]).collect();
        let Finished { success, stdout, stderr } = run(&mut self.command(&line));
        assert!(success, "{}: braid {line:?}: {stdout}{stderr}", self.account);
        serde_json::from_str(&stdout).unwrap()
    }

    /// Accepts the next request, which has to be of this kind.
    fn accepts(&self, wants: &str) {
        let request = soon(&format!("{} is asked for {wants}", self.account), || {
            self.json(&["requests"]).as_array().unwrap().first().cloned()
        });
        assert_eq!(request["wants"], wants, "{request}");
        self.types(&["accept", &request["request"].to_string()]);
    }

    /// The planck that it has in its channels.
    fn in_channels(&self) -> u128 {
        self.json(&["balance"])["in_channels"].as_str().unwrap().parse().unwrap()
    }

    /// What its calls have cost, fees and storage deposits, by its log.
    fn paid(&self) -> i128 {
        let log = fs::read_to_string(self.folder.join("log")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let amount = |line: &Value, name: &str| line[name].as_str().map_or(0, |text| text.parse::<i128>().unwrap());
        lines.map(|line| amount(&line, "fee") + amount(&line, "storage_deposit")).sum()
    }

    /// Ends it as systemd does.
    fn stop(&mut self) {
        let killed = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let ended = soon("it ends", || self.process.try_wait().unwrap());
        assert_eq!(ended.code(), Some(0), "{}", fs::read_to_string(self.folder.join("log")).unwrap());
        assert!(!self.folder.join("api.address").exists());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            eprintln!("{} said:\n{log}", self.account);
        }
    }
}

/// Waits for what comes soon.
fn soon<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    let (mut look, started) = (look, Instant::now());
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "not after {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A channel of 10 UNIT each between two parties, by its id.
fn open(from: &Daemon, to: &Daemon) -> String {
    let opening = from.json(&["open", &to.address, "--own", "10", "--theirs", "10"]);
    to.accepts("open");
    let id = opening["id"].as_str().unwrap().to_owned();
    for party in [from, to] {
        soon("the channel is open", || party.types(&["list", "--ids"]).lines().any(|line| line == id).then_some(()));
    }
    id
}

/// A group that the first party asks for and everybody else enters.
fn form(parties: &[Daemon], coordinator: &Daemon, channels: &[&str]) -> String {
    let mut line = vec!["group", "create", "--json", "--wait", "120", "--coordinator", &coordinator.address];
    line.extend(channels);
    let asked = parties[0].command(&line).stdout(Stdio::piped()).spawn().unwrap();
    parties[1..].iter().for_each(|party| party.accepts("group"));
    let answer = asked.wait_with_output().unwrap();
    assert!(answer.status.success());
    let formed: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let id = formed["id"].as_str().unwrap().to_owned();
    for party in parties {
        let is_there =
            |groups: Value| groups.as_array().unwrap().iter().any(|group| group["id"] == id && group["open"] == true);
        soon("the group is there", || is_there(party.json(&["group", "list"])).then_some(()));
    }
    id
}

#[test]
fn four_players_and_two_coordinators_play_pay_and_get_everything_out() {
    let node = TestNode::start();
    let url = node.url();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let deployed = run(braid().args(["deploy", "--json", "--node", &url, "--suri", "//Ferdie"]));
    let deployed: Value = serde_json::from_str(&deployed.stdout).unwrap();
    let contract = deployed["contract"].as_str().unwrap();
    let mut chain = runtime.block_on(NodeChain::connect(&url)).unwrap();
    let mut balances = || -> Vec<i128> {
        let free = PLAYERS.map(|suri| runtime.block_on(chain.free_balance(keys(suri).account())).unwrap());
        free.iter().map(|free| i128::try_from(*free).unwrap()).collect()
    };
    let before = balances();

    let folders = tempfile::tempdir().unwrap();
    let folder = |name: &str| folders.path().join(name);
    let mut coordinators = ["//Eve", "//Ferdie"]
        .map(|suri| Daemon::start("coordinator", suri, folder(suri.trim_start_matches('/')), &url, contract, &[]));
    let peers = [coordinators[0].address.clone(), coordinators[1].address.clone()];
    let mut parties = PLAYERS.map(|suri| {
        let party = Daemon::start("party", suri, folder(suri.trim_start_matches('/')), &url, contract, &peers);
        assert_eq!(party.account, address(&keys(suri).account()));
        party.types(&["deposit", "50"]);
        party
    });
    let [alice, bob, charlie, dave] = &parties;
    let ring = [open(alice, bob), open(bob, charlie), open(charlie, dave), open(dave, alice)];
    let across = [open(bob, dave), open(alice, charlie)];

    // The game: each loser pays the winner, Alice and Bob in turn.
    let ring_ids: Vec<_> = ring.iter().map(String::as_str).collect();
    let game = form(&parties, &coordinators[0], &ring_ids);
    parties.iter().for_each(|party| drop(party.types(&["budget", "100", "--group", &game])));
    for round in 0..20 {
        let winner = &parties[round % 2];
        let mut line = vec!["group", "pay", &game, "0.5"];
        for loser in parties.iter().filter(|party| party.account != winner.account) {
            line.extend(["--from", &loser.account]);
        }
        winner.types(&line);
    }
    let held = |units: [u128; 4]| {
        for (party, units) in parties.iter().zip(units) {
            soon("everybody holds what it has won", || (party.in_channels() == units * UNIT).then_some(()));
        }
    };
    held([40, 40, 20, 20]);
    assert!(alice.types(&["history"]).contains("settled"));

    // Across the groups of two coordinators: Bob is asked whether he passes it on.
    let across_ids: Vec<_> = across.iter().map(String::as_str).collect();
    let other = form(&parties, &coordinators[1], &across_ids);
    bob.types(&["budget", "5", "--party", &alice.account, "--pass-on-only"]);
    let via = format!("{},{}", ring[0], across[0]);
    alice.types(&["pay", "--via", &via, "--amount", "2", "--wait", "60"]);
    held([38, 40, 20, 22]);

    // The end: groups, channels, ledgers.
    for (group, channels) in [(&game, &ring_ids), (&other, &across_ids)] {
        let mut line = vec!["group", "close", group];
        line.extend(channels);
        alice.types(&line);
        for party in &parties {
            soon("the group is gone", || {
                party
                    .json(&["group", "list"])
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|found| found["id"] != **group)
                    .then_some(())
            });
        }
    }
    for (owner, id) in [alice, bob, charlie, dave, bob, alice].into_iter().zip(ring.iter().chain(&across)) {
        let closing = owner.json(&["close", id, "--wait", "60"]);
        assert_eq!(closing["closed"], true, "{closing}");
    }
    for party in &parties {
        soon("all channels are closed", || (party.in_channels() == 0).then_some(()));
        party.types(&["withdraw", "all"]);
    }
    parties.iter_mut().chain(&mut coordinators).for_each(Daemon::stop);
    let won = [8, 10, -10, -8].map(|units| units * i128::try_from(UNIT).unwrap());
    for (((party, before), after), won) in parties.iter().zip(before).zip(balances()).zip(won) {
        assert_eq!(after - before, won - party.paid(), "{}", party.account);
    }
}

#[test]
fn what_cannot_work_is_said_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("party");
    let says = |line: &[&str], code: i32, what: &str| {
        let output = braid().args(line).env("BRAID_FOLDER", &at).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line:?}: {said}");
        assert!(said.contains(what) && said.matches(what).count() == 1, "{line:?}: {said}");
    };
    says(&["list"], 5, "no daemon runs in");
    says(&["party", "--suri", "key.json"], 3, "is a path");
    says(&["party", "--suri", "/home/me/key"], 3, "is a path");
    assert!(!at.exists(), "a refused key leaves no folder behind");
    says(&["party"], 3, "no contract is named");
    let contract = address(&keys("//Alice").account());
    says(&["party", "--node", "ws://127.0.0.1:1", "--contract", &contract], 4, "no node answers");
    says(&["pay", "0x1234", "--amount", "-1"], 2, "unexpected argument");
    fs::write(at.join("config.toml"), "node = \"ws://127.0.0.1:1\"\nnodes = 1\n").unwrap();
    says(&["party"], 3, "line 2");
    fs::write(at.join("config.toml"), "").unwrap();
    fs::write(at.join("key"), "//Alice\n").unwrap();
    says(&["party", "--contract", &contract], 3, "development phrase");
}
