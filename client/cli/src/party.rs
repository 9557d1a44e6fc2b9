//! `braid party`: a user's agent.

use crate::daemon::{self, Role};
use anyhow::Result;

/// What `braid party` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: daemon::DaemonOptions,
}

/// Runs it until it is told to stop.
///
/// # Errors
/// If it cannot start, or its store fails.
pub async fn run(options: &Options) -> Result<()> {
    daemon::run(&options.daemon, Role::Party).await
}
