//! One user alone, with the command line, on a real node: an old state is disputed, answered by a watcher, settled.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use braid::evidence;
use chain::{
    contract::{Bundle, Contract},
    keys::address,
    node::NodeChain,
    Chain, UNIT,
};
use e2e_tests::{braid, keys, run, Finished, TestNode};
use engine::{Answer, Command, Over, Transfer};
use protocol::{
    abi::{Deposit, GetTpc},
    state::MIN_WINDOW,
    Asset, TpcId,
};
use serde_json::Value;
use testkit::local::Local;

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
    let payer = first.account();
    let mut world = Local::new(chain, contract, vec![first, second], vec![]).unwrap();
    for user in 0..2 {
        world.call(user, STAKE, &Deposit {}).unwrap();
    }
    // The clock of a node is that of its machine.
    let (asset, window, valid_until) = (Asset::Native, MIN_WINDOW, world.time().unwrap() + 3_600_000);
    let open = Command::Open { peer, nonce: 0, asset, own: STAKE, theirs: STAKE, value: 0, window, valid_until };
    let Answer::Tpc(tpc) = world.command(0, open).unwrap() else { panic!("it has no name") };
    let pay = |amount| {
        let transfers = vec![Transfer { from: payer, to: peer, asset, amount }];
        Command::Pay { transfers, over: Over::Channel(tpc) }
    };
    let folder = tempfile::tempdir().unwrap();
    let (old, newest) = (folder.path().join("old"), folder.path().join("newest"));
    world.command(0, pay(UNIT)).unwrap();
    evidence::save(&old, &world.engine(0).unwrap().evidence()).unwrap();
    world.command(0, pay(20 * UNIT)).unwrap();
    evidence::save(&newest, &world.engine(1).unwrap().evidence()).unwrap();
    // From here on both are offline: what happens is done with the command line.
    (0..2).for_each(|user| world.leave(user, false).unwrap());

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
    // A watchtower waits for files that are not there yet; who has it look once is told.
    for (states, what) in [("nowhere", "No such file"), ("README.md", "this is no file of signed states")] {
        let finished = command("watch", &["--states", states, "--once"]);
        let last = finished.stderr.lines().last().unwrap_or_default();
        assert!(!finished.success && finished.stdout.is_empty(), "{finished:?}");
        assert!(last.starts_with(&format!("error: {states}: {what}")), "{finished:?}");
    }

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
