//! `braid connect`: a connection to a peer, kept until the daemon stops.

use super::{value::Peer, Daemon};
use anyhow::Result;
use braid::{http::account::Connect, transport::PeerAddress};
use std::time::Duration;

/// What `braid connect` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// account@host:port.
    peer: PeerAddress,
    /// Reach peers that there is no connection to through this one.
    #[arg(long)]
    relay: bool,
}

/// Connects.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let Options { daemon, peer, relay } = options;
    let connect = Connect { address: peer.to_string(), relay: *relay };
    daemon.act("/peers", &connect, Duration::ZERO)?;
    daemon.print(&connect, || format!("{peer} is dialled: `braid list --peers` says when it answers"))
}

/// Connects to a peer whose address is known.
///
/// # Errors
/// If the daemon refuses.
pub fn dial(daemon: &Daemon, peer: &Peer) -> Result<()> {
    if let Some(address) = &peer.address {
        let connect = Connect { address: address.to_string(), relay: false };
        daemon.act("/peers", &connect, Duration::ZERO)?;
    }
    Ok(())
}
