//! Polkadot.js reads and calls the contract: the tests in polkadot-js/, on a scene that the client has set.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use chain::{
    costs::Bench,
    keys::{address, Keys},
    node::NodeChain,
};
use e2e_tests::{run, TestNode};
use engine::Native;
use protocol::{Action, Entry, Update};
use serde_json::json;
use std::{path::Path, process::Command};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn polkadot_js_reads_channels_decodes_events_verifies_signatures_and_deposits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("polkadot-js");
    assert!(folder.join("node_modules").exists(), "its packages are missing: run `npm ci` in {}", folder.display());
    let node = TestNode::start();
    let mut bench = Bench::new(NodeChain::connect(&node.url()).await.unwrap(), 2).unwrap();
    let (channels, receipts) = bench.open(&[([0, 1], 0)]).unwrap();
    let opened = channels[0].entry;
    let entry = Entry { version: 7, balances: [1, opened.balances[0] * 2 - 1], ..opened };
    let update = Update { entries: vec![entry] };
    let payload = Action::Update(&update).payload(&Native, &bench.domain);
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let signatures = [0, 1].map(|user| hex(&bench.sign(user, Action::Update(&update)).0));
    let scene = json!({
        "url": node.url(),
        "bundle": Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/channels/channels.contract"),
        "contract": address(&bench.contract.account),
        "parties": bench.users.iter().map(Keys::account).map(|account| address(&account)).collect::<Vec<_>>(),
        "tpc": hex(&entry.tpc.0),
        "block": receipts.last().unwrap().block,
        "entry": {
            "tpc": hex(&entry.tpc.0),
            "epoch": entry.epoch,
            "version": entry.version,
            "balances": entry.balances.map(|balance| balance.to_string()),
        },
        "payload": hex(&payload),
        "signatures": signatures,
    });
    let tests = ["--test", "--test-reporter", "tap", "braid.test.mjs"];
    let finished = run(Command::new("node").args(tests).current_dir(&folder).env("BRAID_SCENE", scene.to_string()));
    println!("{}", finished.stdout);
    assert!(finished.success, "{}\n{}", finished.stdout, finished.stderr);
    for count in ["# pass 6", "# fail 0", "# skipped 0"] {
        assert!(finished.stdout.lines().any(|line| line == count), "{count} is missing");
    }
}
