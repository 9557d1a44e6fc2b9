//! `braid list`: channels, or peers.

use super::{
    value::{show_account, show_id},
    Daemon,
};
use crate::output::{columns, print_line, units};
use anyhow::Result;
use braid::http::{
    account::Status,
    view::{ChannelState, ChannelView},
};

/// What `braid list` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Print the whole ids, one a line, and nothing else.
    #[arg(long)]
    ids: bool,
    /// List the peers that there is a connection to.
    #[arg(long, conflicts_with = "ids")]
    peers: bool,
}

/// Lists them.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let Options { daemon, ids, peers } = options;
    if *peers {
        let status: Status = daemon.get("/status")?;
        return daemon.print(&status.peers, || {
            let rows = status.peers.iter().map(|peer| {
                let through = peer.through.map_or_else(|| "directly".to_owned(), show_account);
                vec![String::from(peer.account), through]
            });
            columns(&["Peer", "Through"], rows, usize::MAX)
        });
    }
    let channels: Vec<ChannelView> = daemon.get("/channels")?;
    if *ids {
        return channels.iter().try_for_each(|channel| Ok(print_line(&String::from(channel.id))?));
    }
    daemon.print(&channels, || {
        if channels.is_empty() {
            return "There are no channels: open one with `braid open`.".to_owned();
        }
        let rows = channels.iter().map(|channel| {
            let amount = |amount: braid::http::text::Amount| units(i128::try_from(amount.0).unwrap_or(i128::MAX));
            let state = match channel.state {
                ChannelState::Open if channel.agreeing => "agreeing",
                ChannelState::Open => "open",
                ChannelState::Disputed => "disputed",
                ChannelState::Gone => "gone",
            };
            let group = channel.group.map_or_else(|| "-".to_owned(), show_id);
            let (id, peer) = (show_id(channel.id), show_account(channel.peer));
            vec![id, peer, state.to_owned(), group, amount(channel.own), amount(channel.theirs)]
        });
        columns(&["Channel", "Peer", "State", "Group", "Own", "Theirs"], rows, 4)
    })
}
