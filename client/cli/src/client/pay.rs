//! `braid pay`: over a channel, or along a path of channels.

use super::{
    millis,
    value::{amount, exact, parse_receiver, short_id, Receiver, ShortId},
    ClientError, Daemon,
};
use anyhow::{Context, Result};
use braid::http::{
    payments::{Paid, Pay},
    text::{Account, Amount},
    view::{ChannelState, ChannelView, OutcomeView},
};
use protocol::Balance;
use std::time::Duration;

/// What `braid pay` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Whom: the peer's account, or the channel with it, by its id or the beginning of it.
    #[arg(value_parser = parse_receiver, required_unless_present = "via")]
    to: Option<Receiver>,
    /// How much: UNIT, or planck as in 500planck.
    #[arg(long, value_parser = amount)]
    amount: Balance,
    /// The channels of a path, in order, from your own to that of whoever is paid: whole ids, separated by commas.
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = short_id, conflicts_with = "to")]
    via: Vec<ShortId>,
    /// How long to wait until it is decided, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

/// Pays.
///
/// # Errors
/// If the daemon refuses, or it is not decided in time.
pub fn run(options: &Options) -> Result<()> {
    let Options { daemon, to, amount, via, wait } = options;
    let mut pay = Pay { amount: Some(Amount(*amount)), patience_ms: Some(millis(*wait)), ..Pay::default() };
    match to {
        Some(Receiver::Channel(short)) => pay.channel = Some(daemon.channel(short)?),
        Some(Receiver::Account(account)) => {
            let channels: Vec<ChannelView> = daemon.get("/channels")?;
            let open =
                |channel: &&ChannelView| channel.peer == Account(*account) && channel.state == ChannelState::Open;
            // The one with the most room.
            let best = channels.iter().filter(open).max_by_key(|channel| channel.own.0);
            pay.channel = Some(best.context("there is no open channel with this peer: open one with `braid open`")?.id);
        }
        None => pay.path = Some(via.iter().map(|short| daemon.channel(short)).collect::<Result<_>>()?),
    }
    settle(daemon, &pay, &format!("{} UNIT are paid", exact(Amount(*amount))))
}

/// Has a payment made, and says how it ended.
///
/// # Errors
/// If the daemon refuses, or it is not decided in time.
pub fn settle(daemon: &Daemon, pay: &Pay, settled: &str) -> Result<()> {
    let patience = Duration::from_millis(pay.patience_ms.unwrap_or_default());
    let paid: Paid = daemon.post("/payments", pay, patience)?;
    if paid.outcome == OutcomeView::Settled {
        return daemon.print(&paid, || format!("{settled}: payment {}", paid.payment));
    }
    if daemon.json {
        daemon.print(&paid, String::new)?;
    }
    let what = format!("payment {} is not decided yet, and may still be settled: see `braid history`", paid.payment);
    Err(ClientError::Undecided(what).into())
}
