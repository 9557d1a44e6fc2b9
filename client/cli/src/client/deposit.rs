//! `braid deposit`: funds from the account into its ledger in the contract.

use super::{
    value::{amount, exact},
    Daemon,
};
use anyhow::Result;
use braid::http::{account::Planck, text::Amount};
use protocol::Balance;
use std::time::Duration;

/// What `braid deposit` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// How much: UNIT, or planck as in 500planck.
    #[arg(value_parser = amount)]
    amount: Balance,
}

/// How long a transaction may take.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Deposits.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let planck = Planck { amount: Amount(options.amount) };
    options.daemon.act("/ledger/deposit", &planck, PATIENCE)?;
    options
        .daemon
        .print(&planck, || format!("{} UNIT are in the ledger: channels are opened from there", exact(planck.amount)))
}
