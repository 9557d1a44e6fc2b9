//! Connections that are lost, and nodes that are not what they should be.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use chain::{
    block_on,
    contract::{Bundle, CallError, Contract},
    node::NodeChain,
    Chain, ChainError, NodeError, UNIT,
};
use e2e_tests::{braid, contract_that, keys, run, Proxy, TestNode};
use jsonrpsee::{server::ServerBuilder, RpcModule};
use protocol::abi::{Deposit, LedgerBalance};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

const DEPOSITS: u128 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_is_cut_comes_back_and_nothing_is_sent_twice() {
    let node = TestNode::start();
    let proxy = Proxy::before(node.port());
    let alice = keys("//Alice");
    let mut chain = NodeChain::connect(&proxy.url()).await.unwrap();
    let (contract, _) = Contract::deploy(&mut chain, &alice, &Bundle::built_in().unwrap()).await.unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(97));
                proxy.cut();
            }
        });
        for _ in 0..DEPOSITS {
            let called = block_on(contract.call(&mut chain, &alice, UNIT, &Deposit {}));
            if called.is_err() {
                done.store(true, Ordering::Relaxed);
            }
            called.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(chain.losses() > 0, "the connection was cut");
    let mut direct = NodeChain::connect(&node.url()).await.unwrap();
    let ledger = LedgerBalance { account: alice.account(), asset: protocol::Asset::Native };
    assert_eq!(contract.query(&mut direct, &ledger).await.unwrap(), DEPOSITS * UNIT, "each deposit was made once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_comes_back_empty_is_not_taken_for_the_old_one() {
    let mut node = TestNode::start();
    let (port, url) = (node.port(), node.url());
    let alice = keys("//Alice");
    let mut chain = NodeChain::connect(&url).await.unwrap();
    let (contract, _) = Contract::deploy(&mut chain, &alice, &Bundle::built_in().unwrap()).await.unwrap();
    node.kill();
    let _fresh = TestNode::start_on(port);
    let refused = contract.call(&mut chain, &alice, UNIT, &Deposit {}).await.map(|_| ()).unwrap_err();
    assert_eq!(refused, CallError::Chain(NodeError::Reset { url, block: 1 }.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_stays_away_is_given_up() {
    let mut node = TestNode::start();
    let mut chain = NodeChain::connect(&node.url()).await.unwrap();
    chain.set_patience(Duration::from_secs(1));
    node.kill();
    let error = chain.time().await.unwrap_err();
    assert!(matches!(&error, ChainError::Node(NodeError::Lost { seconds: 1, .. })), "{error}");
}

/// A command that must fail with one line that says what to do.
fn fails_with(arguments: &[&str], beginning: &str) {
    let finished = run(braid().args(arguments));
    assert!(!finished.success, "{arguments:?}: {finished:?}");
    assert_eq!(finished.stderr.lines().count(), 1, "{arguments:?}: {}", finished.stderr);
    assert!(finished.stderr.starts_with(beginning), "{arguments:?}: {}", finished.stderr);
    assert_eq!(finished.stdout, "", "{arguments:?}");
}

#[test]
fn a_wrong_address_is_one_line_that_says_what_to_do() {
    for (url, reason) in
        [("ws://127.0.0.1:1", "Connection refused"), ("http://127.0.0.1:1", "Invalid URL"), ("so", "relative URL")]
    {
        for command in ["demo", "deploy", "info", "account"] {
            fails_with(&[command, "--node", url], &format!("error: no node answers at {url} ("));
        }
        let finished = run(braid().args(["info", "--node", url]));
        assert!(finished.stderr.contains(reason) && finished.stderr.contains("scripts/node"), "{}", finished.stderr);
    }
}

#[test]
fn another_chain_is_refused_by_name() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_server, url) = runtime.block_on(async {
        let server = ServerBuilder::default().build("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", server.local_addr().unwrap());
        let mut module = RpcModule::new(());
        let version = r#"{"specName":"polkadot","specVersion":1003000,"transactionVersion":26}"#;
        let version: serde_json::Value = serde_json::from_str(version).unwrap();
        module.register_method("chain_getBlockHash", |_, _, _| format!("0x{}", "00".repeat(32))).unwrap();
        module.register_method("state_getRuntimeVersion", move |_, _, _| version.clone()).unwrap();
        (server.start(module), url)
    });
    let expected =
        format!("error: the node at {url} runs polkadot 1003000, not substrate-contracts-node 100: connect to");
    fails_with(&["info", "--node", &url], &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_deployment_or_an_account_that_does_not_serve_is_one_line_that_says_what_to_do() {
    let node = TestNode::start();
    let url = node.url();
    let on = |arguments: &[&'static str]| [arguments, &["--node"]].concat();
    let fails = |arguments: &[&'static str], beginning: &str| {
        let mut arguments: Vec<&str> = on(arguments);
        arguments.push(&url);
        fails_with(&arguments, beginning);
    };
    let bob = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
    fails(&["info", "--contract", bob], &format!("error: there is no contract at {bob}: check the address"));
    fails(&["account", "--contract", "bob"], "error: `bob` is no account: give an SS58 address");
    fails(&["account", "--suri", "two words"], "error: this is no secret URI (Cannot parse phrase");
    fails(
        &["deploy", "--suri", "//nobody"],
        "error: deploying as 5", // Its address follows.
    );
    let finished = run(braid().args(["deploy", "--suri", "//nobody", "--node", &url]));
    assert!(finished.stderr.contains("cannot pay the transaction's fee: send it funds first"), "{}", finished.stderr);
    fails(&["demo", "--players", "8", "--suri", "//nobody"], "error: Player 7 has 0.000000 UNIT and needs");
    fails(
        &["deploy", "--bundle", "Cargo.toml"],
        "error: Cargo.toml: the bundle is not a contract bundle of Braid: it is no JSON",
    );
    fails(&["deploy", "--bundle", "no such file"], "error: no such file cannot be read: No such file or directory");
    // A contract, but another one.
    let mut chain = NodeChain::connect(&url).await.unwrap();
    let other = chain::Instantiation { code: contract_that(&[]), data: vec![], salt: vec![] };
    let (account, _) = chain.instantiate(&keys("//Alice"), other).await.unwrap();
    let address = chain::keys::address(&account);
    let arguments = ["info", "--contract", &address, "--node", &url];
    fails_with(
        &arguments,
        &format!("error: the contract at {address} is not Braid's, or another version of it: deploy"),
    );
    // Ours, but made for another chain.
    let bundle = Bundle::built_in().unwrap();
    let data = protocol::abi::Message::call_data(&protocol::abi::New { genesis_hash: [1; 32] }, &engine::Native);
    let foreign = chain::Instantiation { code: bundle.wasm, data, salt: vec![] };
    let (account, _) = chain.instantiate(&keys("//Alice"), foreign).await.unwrap();
    let address = chain::keys::address(&account);
    let arguments = ["info", "--contract", &address, "--node", &url];
    fails_with(
        &arguments,
        &format!("error: the contract at {address} was made with another chain's genesis hash: deploy"),
    );
}

#[test]
fn what_the_commands_say_is_what_the_node_holds() {
    let node = TestNode::start();
    let url = node.url();
    let json = |arguments: &[&str]| -> serde_json::Value {
        let finished = run(braid().args(arguments).args(["--node", &url, "--json"]));
        assert!(finished.success, "{arguments:?}: {finished:?}");
        serde_json::from_str(&finished.stdout).unwrap()
    };
    let deployed = json(&["deploy", "--suri", "//Bob"]);
    let contract = deployed["contract"].as_str().unwrap();
    let info = json(&["info", "--contract", contract]);
    assert_eq!(info["contract"], deployed["contract"]);
    assert_eq!(info["genesis_hash"], deployed["genesis_hash"]);
    assert_eq!(info["runtime"], "substrate-contracts-node 100");
    assert_eq!(info["block"], 1);
    let account = json(&["account", "--suri", "//Bob", "--contract", contract]);
    let cost = |field: &str| deployed["call"][field].as_u64().unwrap();
    assert_eq!(account["ledger_planck"], 0);
    assert_eq!(
        account["free_planck"].as_u64().unwrap(),
        (1 << 60) - cost("fee_planck") - cost("storage_deposit_planck") - 1_000_000_000,
        "fee, storage deposit, and the contract's existential deposit"
    );
    for table in [vec!["deploy"], vec!["info", "--contract", contract], vec!["account", "--contract", contract]] {
        let finished = run(braid().args(&table).args(["--node", &url]));
        assert!(finished.success && finished.stdout.lines().count() >= 4, "{table:?}: {finished:?}");
    }
}
