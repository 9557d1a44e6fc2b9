//! `braid deploy`: a new deployment on a node.

use crate::{
    options::NodeOptions,
    output::{units, CallCost},
};
use anyhow::{Context, Result};
use chain::{
    contract::{Bundle, Contract},
    keys::{address, Keys},
    node::NodeChain,
    Chain,
};
use serde::Serialize;
use std::path::PathBuf;

/// What `braid deploy` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    on: NodeOptions,
    /// Who pays.
    #[arg(long, default_value = "//Alice")]
    suri: String,
    /// A bundle to deploy instead of the one that this command was built with.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

#[derive(Serialize)]
struct Deployment {
    contract: String,
    code_hash: String,
    genesis_hash: String,
    call: CallCost,
}

/// Deploys and says where.
pub async fn run(options: &Options) -> Result<()> {
    let bundle = match &options.bundle {
        None => Bundle::built_in()?,
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
            Bundle::parse(&text).with_context(|| path.display().to_string())?
        }
    };
    let keys = Keys::from_suri(&options.suri)?;
    let mut chain = NodeChain::connect(&options.on.node).await?;
    let (contract, receipt) = Contract::deploy(&mut chain, &keys, &bundle)
        .await
        .with_context(|| format!("deploying as {}", address(&keys.account())))?;
    let answer = Deployment {
        contract: address(&contract.account),
        code_hash: format!("0x{}", hex::encode(bundle.code_hash())),
        genesis_hash: format!("0x{}", hex::encode(chain.genesis_hash())),
        call: CallCost::new("new", &receipt),
    };
    let rows = [
        ("Contract", answer.contract.clone()),
        ("Code hash", answer.code_hash.clone()),
        ("Genesis hash", answer.genesis_hash.clone()),
        ("Storage deposit (UNIT)", units(answer.call.storage_deposit_planck)),
        ("Fee (UNIT)", units(answer.call.fee_planck as i128)),
    ];
    Ok(options.on.print(&answer, &rows)?)
}
