//! `braid info`: what a node is, what this command brings, and what a deployment is.

use crate::options::NodeOptions;
use anyhow::Result;
use chain::{
    contract::{Bundle, Contract},
    keys::{address, parse_address},
    node::{Identity, NodeChain},
};
use serde::Serialize;

/// What `braid info` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    on: NodeOptions,
    /// A deployment to check.
    #[arg(long, value_name = "ADDRESS")]
    contract: Option<String>,
}

#[derive(Serialize)]
struct NodeState {
    #[serde(flatten)]
    node: Identity,
    bundle_code_hash: String,
    bundle_wasm_bytes: usize,
    /// The deployment, once it is checked to be this bundle's and this chain's.
    contract: Option<String>,
}

/// Asks, and prints the answer.
pub async fn run(options: &Options) -> Result<()> {
    let bundle = Bundle::built_in()?;
    let mut chain = NodeChain::connect(&options.on.node).await?;
    let node = chain.identity().await?;
    let mut deployment = None;
    if let Some(text) = &options.contract {
        let contract = Contract::open(&mut chain, parse_address(text)?, &bundle).await?;
        deployment = Some(address(&contract.account));
    }
    let answer = NodeState {
        node,
        bundle_code_hash: format!("0x{}", hex::encode(bundle.code_hash())),
        bundle_wasm_bytes: bundle.wasm.len(),
        contract: deployment,
    };
    let node = &answer.node;
    let mut rows = vec![
        ("Node", node.node.clone()),
        ("Chain", node.chain.clone()),
        ("Runtime", node.runtime.clone()),
        ("Genesis hash", node.genesis_hash.clone()),
        ("Last block", node.block.to_string()),
        ("Its clock (ms)", node.time.to_string()),
        ("Braid's code hash", answer.bundle_code_hash.clone()),
        ("Braid's Wasm (B)", answer.bundle_wasm_bytes.to_string()),
    ];
    rows.extend(answer.contract.clone().map(|contract| ("Braid is deployed at", contract)));
    Ok(options.on.print(&answer, &rows)?)
}
