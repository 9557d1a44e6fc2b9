//! `braid info`: what a node is, what this command brings, and what a deployment is.

use crate::show::facts;
use anyhow::Result;
use braid::{
    chain::node::{self, Identity, NodeChain},
    contract::{Bundle, Contract},
    keys::{address, parse_address},
};
use serde::Serialize;

/// What `braid info` is asked for.
#[derive(clap::Args)]
pub struct Options {
    /// The node.
    #[arg(long, value_name = "URL", default_value = node::LOCAL)]
    node: String,
    /// A deployment to check.
    #[arg(long, value_name = "ADDRESS")]
    contract: Option<String>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
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
    let mut chain = NodeChain::connect(&options.node)?;
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
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    let Report { node, bundle_code_hash, bundle_wasm_bytes, contract } = report;
    let mut rows = vec![
        ("Node", node.node),
        ("Chain", node.chain),
        ("Runtime", node.runtime),
        ("Genesis hash", node.genesis_hash),
        ("Last block", node.block.to_string()),
        ("Its clock (ms)", node.time.to_string()),
        ("Braid's code hash", bundle_code_hash),
        ("Braid's Wasm (B)", bundle_wasm_bytes.to_string()),
    ];
    rows.extend(contract.map(|contract| ("Braid is deployed at", contract)));
    println!("{}", facts(&rows));
    Ok(())
}
