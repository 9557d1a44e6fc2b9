//! `braid open`: a channel with a peer.

use super::{
    millis,
    value::{amount, peer, Peer},
    Daemon,
};
use anyhow::Result;
use braid::http::{
    channels::{OpenChannel, Opening},
    text::{Account, Amount, AssetName},
};
use protocol::Balance;
use std::time::Duration;

/// What `braid open` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// With whom: an account, or account@host:port to connect to it first.
    #[arg(value_parser = peer)]
    peer: Peer,
    /// What you put in: UNIT, or planck as in 500planck.
    #[arg(long, value_parser = amount)]
    own: Balance,
    /// What the peer puts in. It has to accept that.
    #[arg(long, value_parser = amount, default_value = "0")]
    theirs: Balance,
    /// The account of a PSP22 token that the channel holds, instead of the native one; amounts are in its smallest unit then.
    #[arg(long, value_name = "TOKEN", value_parser = super::value::account)]
    token: Option<protocol::AccountId>,
    /// How long a dispute may be answered, in seconds of block time.
    #[arg(long, value_name = "SECONDS", default_value_t = 24 * 3_600)]
    window: u64,
    /// How long to wait until the channel is on chain, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// Opens it.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let Options { daemon, peer, own, theirs, token, window, wait } = options;
    super::connect::dial(daemon, peer)?;
    let asset = token.map(|token| AssetName(protocol::Asset::Psp22(token)));
    let patience_ms = millis(*wait);
    let open = OpenChannel {
        peer: Account(peer.account),
        own: Amount(*own),
        theirs: Amount(*theirs),
        asset,
        window_ms: Some(millis(*window)),
        patience_ms,
    };
    let opening: Opening = daemon.post("/channels", &open, Duration::from_millis(patience_ms))?;
    let id = String::from(opening.id);
    daemon.print(&opening, || match (opening.open, *theirs > 0) {
        (true, _) => format!("{id} is open"),
        (false, true) => format!("{id} is proposed: the peer accepts it with `braid requests` and `braid accept`"),
        (false, false) => format!("{id} is proposed: see `braid list`"),
    })
}
