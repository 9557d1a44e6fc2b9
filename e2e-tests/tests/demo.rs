//! The demonstration, in process, on a node, and with cargo-contract, is the same to the last unit.

use chain::node::NodeChain;
use e2e_tests::{braid, cargo_contract, run, TestNode};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
    thread,
    time::Duration,
};

const GAME: [&str; 8] = ["demo", "--players", "3", "--rounds", "6", "--seed", "7", "--json"];

fn report(text: &str) -> Value {
    serde_json::from_str(text).expect("the command prints JSON")
}

fn embedded() -> Value {
    embedded_with(&[])
}

fn embedded_with(options: &[&str]) -> Value {
    let finished = run(braid().args(GAME).args(options));
    assert!(finished.success, "{finished:?}");
    report(&finished.stdout)
}

/// On a node, deadlines are waited for.
fn disputed_demo_is_the_same(options: &[&str]) {
    let node = TestNode::start();
    let finished = run(braid().args(GAME).args(options).args(["--node", &node.url()]));
    assert!(finished.success, "{finished:?}");
    let on_node = report(&finished.stdout);
    let made: Vec<_> = on_node["calls"].as_array().expect("a list").iter().map(|call| &call["message"]).collect();
    assert!(made.contains(&&Value::from("dispute")) && made.contains(&&Value::from("settle")), "{made:?}");
    assert_eq!(on_node, embedded_with(options));
}

#[test]
fn a_demo_with_an_absent_player_is_the_same_on_a_node() {
    disputed_demo_is_the_same(&["--absent", "2"]);
}

#[test]
fn a_demo_with_a_cheat_is_the_same_on_a_node() {
    disputed_demo_is_the_same(&["--cheat"]);
}

#[test]
fn the_demo_on_a_node_ends_with_the_embedded_demos_balances_and_weights() {
    let node = TestNode::start();
    let finished = run(braid().args(GAME).args(["--node", &node.url()]));
    assert!(finished.success, "{finished:?}");
    assert_eq!(report(&finished.stdout), embedded());
}

#[test]
fn the_demo_with_cargo_contract_ends_with_the_embedded_demos_balances_and_weights() {
    let node = TestNode::start();
    let mut playing = braid()
        .args(GAME)
        .args(["--node", &node.url(), "--cargo-contract"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let told = BufReader::new(playing.stderr.take().expect("it is piped"));
    let mut commands = 0;
    for line in told.lines().map_while(Result::ok) {
        assert!(line.starts_with("cargo contract "), "{line}");
        let finished = run(&mut cargo_contract(&line));
        assert!(finished.success, "{line}\n{finished:?}");
        commands += 1;
    }
    let mut text = String::new();
    playing.stdout.take().expect("it is piped").read_to_string(&mut text).expect("it is text");
    assert!(playing.wait().expect("it ends").success());
    let with_cargo_contract = report(&text);
    assert_eq!(
        commands,
        with_cargo_contract["calls"].as_array().expect("a list").len(),
        "every call was made with cargo-contract"
    );
    assert_eq!(with_cargo_contract, embedded());
}

#[test]
fn a_second_demo_on_the_same_node_has_a_deployment_of_its_own() {
    let node = TestNode::start();
    for _ in 0..2 {
        let finished = run(braid().args(GAME).args(["--node", &node.url()]));
        assert!(finished.success, "{finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_demo_whose_node_is_killed_says_so_and_a_fresh_node_plays_it() {
    let mut node = TestNode::start();
    let mut watch = NodeChain::connect(&node.url()).await.expect("it listens");
    let playing = braid()
        .args(["demo", "--players", "6", "--rounds", "2000", "--json", "--node", &node.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // The deployment is in the first block; dozens of calls follow the fifth.
    while watch.identity().await.expect("it answers").block < 5 {
        thread::sleep(Duration::from_millis(5));
    }
    node.kill();
    let finished = playing.wait_with_output().expect("it ends");
    assert!(!finished.status.success());
    let said = String::from_utf8_lossy(&finished.stderr);
    let error = said.lines().last().unwrap_or_default();
    let gone = format!("the node at {} went away and did not come back within 10 s", node.url());
    assert!(error.starts_with("error: ") && error.contains(&gone), "{said}");
    assert_eq!(finished.stdout, b"");
    let fresh = TestNode::start();
    let finished = run(braid().args(GAME).args(["--node", &fresh.url()]));
    assert_eq!(report(&finished.stdout), embedded());
}
