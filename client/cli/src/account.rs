//! `braid account`: what an account has, on the chain and in a deployment.

use crate::{options::NodeOptions, output::units};
use anyhow::Result;
use chain::{
    contract::{Bundle, Contract},
    keys::{address, parse_address, Keys},
    node::NodeChain,
    Chain,
};
use protocol::{abi::LedgerBalance, Asset, Balance};
use serde::Serialize;

/// What `braid account` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    on: NodeOptions,
    /// Whose account.
    #[arg(long, default_value = "//Alice")]
    suri: String,
    /// A deployment whose ledger is asked too.
    #[arg(long, value_name = "ADDRESS")]
    contract: Option<String>,
}

#[derive(Serialize)]
struct AccountState {
    address: String,
    public_key: String,
    free_planck: Balance,
    ledger_planck: Option<Balance>,
}

/// Asks, and prints the answer.
pub async fn run(options: &Options) -> Result<()> {
    let account = Keys::from_suri(&options.suri)?.account();
    let mut chain = NodeChain::connect(&options.on.node).await?;
    let mut ledger_planck = None;
    if let Some(text) = &options.contract {
        let contract = Contract::open(&mut chain, parse_address(text)?, &Bundle::built_in()?).await?;
        ledger_planck = Some(contract.query(&mut chain, &LedgerBalance { account, asset: Asset::Native }).await?);
    }
    let answer = AccountState {
        address: address(&account),
        public_key: format!("0x{}", hex::encode::<&[u8]>(account.as_ref())),
        free_planck: chain.free_balance(account).await?,
        ledger_planck,
    };
    let mut rows = vec![
        ("Address", answer.address.clone()),
        ("Public key", answer.public_key.clone()),
        ("On the chain (UNIT)", units(answer.free_planck as i128)),
    ];
    rows.extend(answer.ledger_planck.map(|planck| ("In the ledger (UNIT)", units(planck as i128))));
    Ok(options.on.print(&answer, &rows)?)
}
