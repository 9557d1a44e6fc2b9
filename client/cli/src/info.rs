//! `braid info`: what a node is, what this command brings, and what a deployment is.

use crate::show::OnNode;
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
    on: OnNode,
    /// A deployment to check.
    #[arg(long, value_name = "ADDRESS")]
    contract: Option<String>,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    node: Identity,
    bundle_code_hash: String,
    bundle_wasm_bytes: usize,
    /// The deployment, once it is checked to be this bundle's and this chain's.
    contract: Option<String>,
}

/// Asks and prints.
pub fn run(options: &Options) -> Result<()> {
    let bundle = Bundle::built_in()?;
    let mut chain = NodeChain::connect(&options.on.node)?;
    let node = chain.identity()?;
    let opened = options.contract.as_ref().map(|text| -> Result<_> {
        let contract = Contract::open(&mut chain, parse_address(text)?, &bundle)?;
        Ok(address(&contract.account))
    });
    let report = Report {
        node,
        bundle_code_hash: format!("0x{}", hex::encode(bundle.code_hash())),
        bundle_wasm_bytes: bundle.wasm.len(),
        contract: opened.transpose()?,
    };
    let node = &report.node;
    let mut rows = vec![
        ("Node", node.node.clone()),
        ("Chain", node.chain.clone()),
        ("Runtime", node.runtime.clone()),
        ("Genesis hash", node.genesis_hash.clone()),
        ("Last block", node.block.to_string()),
        ("Its clock (ms)", node.time.to_string()),
        ("Braid's code hash", report.bundle_code_hash.clone()),
        ("Braid's Wasm (B)", report.bundle_wasm_bytes.to_string()),
    ];
    rows.extend(report.contract.clone().map(|contract| ("Braid is deployed at", contract)));
    Ok(options.on.print(&report, &rows)?)
}
