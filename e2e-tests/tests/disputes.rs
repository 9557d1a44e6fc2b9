//! One user alone, with the command line, on a real node: an old state is disputed, answered by a watcher, settled.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use braid::{engine::party::Command, local::Local, watch::save_states};
use chain::{
    contract::{Bundle, Contract},
    keys::address,
    node::NodeChain,
    Chain, UNIT,
};
use e2e_tests::{braid, keys, run, Finished, TestNode};
use protocol::{
    abi::{Deposit, GetTpc},
    state::MIN_WINDOW,
    TpcId,
};
use serde_json::Value;

const STAKE: u128 = 50 * UNIT;

fn json(finished: &Finished) -> Value {
    assert!(finished.success, "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_old_state_is_disputed_answered_by_a_watcher_and_settled_with_the_command_line() {
    let node = TestNode::start();
    let url = node.url();
    let mut chain = NodeChain::connect(&url).await.unwrap();
    let mut users = ["//Alice", "//Bob"].map(|suri| (suri, keys(suri)));
    users.sort_by_key(|(_, keys)| keys.account());
    let [(cheat, first), (_, second)] = users;
    let peer = second.account();
    let (contract, _) = Contract::deploy(&mut chain, &first, &Bundle::built_in().unwrap()).await.unwrap();
    let at = address(&contract.account);
    let mut world = Local::new(chain, contract, vec![first, second], STAKE).unwrap();
    for user in 0..2 {
        world.set_watched(user, false).unwrap();
        world.call(user, STAKE, &Deposit {}).unwrap();
    }
    // The clock of a node is that of its machine: an agreement without end.
    let (window, valid_until) = (MIN_WINDOW, u64::MAX);
    let open = Command::OpenTpc { peer, nonce: 0, own: STAKE, theirs: STAKE, value: 0, window, valid_until };
    assert_eq!(world.command(0, open).unwrap(), []);
    let tpc = *world.party(0).unwrap().channels().keys().next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (old, newest) = (folder.path().join("old"), folder.path().join("newest"));
    world.command(0, Command::PayTpc { tpc, amount: UNIT }).unwrap();
    save_states(&old, &world.party(0).unwrap().evidence()).unwrap();
    world.command(0, Command::PayTpc { tpc, amount: 20 * UNIT }).unwrap();
    save_states(&newest, &world.party(1).unwrap().evidence()).unwrap();

    let id = tpc.to_string();
    let [old, newest] = [&old, &newest].map(|path| path.to_str().unwrap().to_owned());
    let command =
        |name: &str, rest: &[&str]| run(braid().args([name, "--node", &url, "--contract", &at, "--json"]).args(rest));
    let says = |finished: &Finished, what: &str| {
        assert!(!finished.success && finished.stderr.lines().count() == 1, "{finished:?}");
        assert!(finished.stderr.starts_with("error: ") && finished.stderr.contains(what), "{finished:?}");
    };
    says(&command("dispute", &["--tpc", &id, "--suri", "//Ferdie"]), "only an owner may do this");
    says(&command("settle", &["--tpc", &id]), "is not disputed: dispute it first");
    says(&command("dispute", &["--tpc", &TpcId([7; 32]).to_string()]), "there is no channel 0x0707");
    says(&command("watch", &["--states", "nowhere"]), "nowhere: No such file");
    says(&command("watch", &["--states", "README.md"]), "README.md: this is no file of signed states");

    let disputed = json(&command("dispute", &["--tpc", &id, "--suri", cheat, "--states", &old]));
    assert_eq!(disputed["brought"][0]["message"], "update");
    let stored = world.query(&GetTpc { id: tpc }).unwrap().unwrap();
    assert_eq!(stored.balances, [STAKE - UNIT, STAKE + UNIT], "the old state is on chain");
    assert_eq!(disputed["deadline_ms"], stored.dispute.unwrap().deadline);
    says(&command("settle", &["--tpc", &id, "--suri", cheat]), "wait until then");
    let before = world.chain.free_balance(peer).await.unwrap();

    let watched = json(&command("watch", &["--states", &newest, "--suri", "//Ferdie", "--once"]));
    assert_eq!((&watched["message"], &watched["refusal"]), (&Value::from("update"), &Value::Null));
    let settled = json(&command("settle", &["--tpc", &id, "--suri", cheat, "--wait"]));
    assert_eq!(settled["message"], "settle");
    assert_eq!(world.chain.free_balance(peer).await.unwrap(), before + STAKE + 21 * UNIT);
    assert_eq!(world.query(&GetTpc { id: tpc }), Ok(None));
}
