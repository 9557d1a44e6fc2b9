//! What messages cost on a node is what they cost on the embedded chain, to the last unit.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use chain::{
    block_on,
    costs::{measure, table, Bench, SIZES},
    node::NodeChain,
    ChainError,
};
use e2e_tests::TestNode;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_cost_table_of_a_node_is_the_committed_one() {
    let node = TestNode::start();
    let rows = measure(&SIZES, |parties| {
        Bench::new(block_on(NodeChain::connect(&node.url())).map_err(ChainError::from)?, parties)
    })
    .unwrap();
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/costs.md")).unwrap();
    let (_, rest) = committed.split_once("| Message |").unwrap();
    let (rest, _) = rest.split_once("\n\n").unwrap();
    let measured = table(&rows);
    assert_eq!(measured.trim_end(), format!("| Message |{rest}"), "measured on the node:\n{measured}");
}
