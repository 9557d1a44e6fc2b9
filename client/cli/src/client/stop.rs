//! `braid stop`: ends a running daemon.

use super::{Daemon, Nothing};
use anyhow::Result;
use std::time::Duration;

/// What `braid stop` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
}

/// Ends it.
///
/// # Errors
/// If none runs.
pub fn run(options: &Options) -> Result<()> {
    options.daemon.act("/stop", &Nothing {}, Duration::ZERO)?;
    options.daemon.print(&serde_json::json!({ "stopping": true }), || "it stops".to_owned())
}
