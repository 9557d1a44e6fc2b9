//! `braid withdraw`: funds from the ledger, or a part of a channel, to the account.

use super::{
    deposit::PATIENCE,
    millis,
    value::{amount, exact, short_id, ShortId},
    Daemon,
};
use anyhow::{Context, Result};
use braid::http::{
    account::{Planck, Status},
    channels::Amounts,
    text::Amount,
};
use protocol::Balance;
use std::time::Duration;

/// What `braid withdraw` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// How much: UNIT, planck as in 500planck, or `all` that is in the ledger.
    #[arg(value_parser = amount_or_all)]
    amount: Wanted,
    /// Take it out of this channel, which stays open, instead of out of the ledger. Its peer has to agree.
    #[arg(long, value_name = "ID", value_parser = short_id)]
    channel: Option<ShortId>,
    /// How long to wait until it is out of the channel, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, requires = "channel")]
    wait: u64,
}

/// How much is wanted: nothing said is all.
#[derive(Clone, Copy, Debug)]
struct Wanted(Option<Balance>);

fn amount_or_all(text: &str) -> Result<Wanted, String> {
    match text {
        "all" => Ok(Wanted(None)),
        text => amount(text).map(|amount| Wanted(Some(amount))),
    }
}

/// Withdraws.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let Options { daemon, amount: Wanted(wanted), channel, wait } = options;
    if let Some(channel) = channel {
        let own = wanted.context("`all` is for the ledger: say how much, or close the channel with `braid close`")?;
        let (id, patience_ms) = (daemon.channel(channel)?, millis(*wait));
        let amounts = Amounts { own: Amount(own), theirs: Amount(0), patience_ms };
        let path = format!("/channels/{}/withdraw", String::from(id));
        let done = daemon.act(&path, &amounts, Duration::from_millis(patience_ms))?;
        let word = if done { "are" } else { "are to be" };
        return daemon.print(&amounts, || format!("{} UNIT {word} taken out of the channel", exact(Amount(own))));
    }
    let amount = match wanted {
        Some(amount) => Amount(*amount),
        None => daemon.get::<Status>("/status")?.ledger.context("the node is away: try again later")?,
    };
    let planck = Planck { amount };
    if amount.0 > 0 {
        daemon.act("/ledger/withdraw", &planck, PATIENCE)?;
    }
    daemon.print(&planck, || format!("{} UNIT are in the account", exact(amount)))
}
