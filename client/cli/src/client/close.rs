//! `braid close`: ends a channel with its peer.

use super::{
    millis,
    value::{short_id, show_id, ShortId},
    Daemon,
};
use anyhow::Result;
use braid::http::{
    channels::{Dispute, Patience},
    text::Id,
};
use serde::Serialize;
use std::time::Duration;

/// What `braid close` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// The channel: its id, or the beginning of it.
    #[arg(value_parser = short_id)]
    channel: ShortId,
    /// The peer does not answer: start the dispute's clock, and be paid out after the channel's window.
    #[arg(long)]
    dispute: bool,
    /// How long to wait until it is closed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

#[derive(Serialize)]
struct Closing {
    id: Id,
    closed: bool,
}

/// Closes it.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let Options { daemon, channel, dispute, wait } = options;
    let id = daemon.channel(channel)?;
    let path = format!("/channels/{}", String::from(id));
    if *dispute {
        daemon.act(&format!("{path}/dispute"), &Dispute { renew: false }, Duration::ZERO)?;
        let answer = Closing { id, closed: false };
        return daemon.print(&answer, || format!("{} is disputed: `braid list` says when it is gone", show_id(id)));
    }
    let patience_ms = millis(*wait);
    let closed = daemon.act(&format!("{path}/close"), &Patience { patience_ms }, Duration::from_millis(patience_ms))?;
    daemon.print(&Closing { id, closed }, || match closed {
        true => format!("{} is closed", show_id(id)),
        false => format!("{} is to be closed: the peer is asked; `braid list` says when it is gone", show_id(id)),
    })
}
