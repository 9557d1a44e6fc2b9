//! `braid budget`: what a group's coordinator, or a user, may move without asking again.

use super::{
    value::{account, amount, exact, short_id, ShortId},
    Daemon,
};
use anyhow::Result;
use braid::http::{
    payments::{Permit, Permitted, PurposeView},
    text::{Account, Amount},
};
use protocol::{AccountId, Balance};
use std::time::Duration;

/// What `braid budget` is asked for.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("grantee").required(true))]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// How much may move in all, for paying and for passing on each: UNIT, or planck as in 500planck.
    #[arg(value_parser = amount)]
    limit: Balance,
    /// The group whose payments may move it.
    #[arg(long, value_name = "ID", value_parser = short_id, group = "grantee")]
    group: Option<ShortId>,
    /// The user who may move it.
    #[arg(long, value_name = "ACCOUNT", value_parser = account, group = "grantee")]
    party: Option<AccountId>,
    /// Let money only pass through, out of one channel and into another.
    #[arg(long)]
    pass_on_only: bool,
}

/// Permits it.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let Options { daemon, limit, group, party, pass_on_only } = options;
    let group = group.as_ref().map(|group| daemon.group(group)).transpose()?;
    let purposes: &[_] = if *pass_on_only { &[PurposeView::PassOn] } else { &[PurposeView::Pay, PurposeView::PassOn] };
    let mut permitted = vec![];
    for purpose in purposes {
        let permit = Permit {
            group,
            party: party.map(Account),
            purpose: *purpose,
            channels: None,
            asset: None,
            limit: Amount(*limit),
            per_payment: None,
            until_ms: None,
        };
        permitted.push(daemon.post::<Permitted>("/permissions", &permit, Duration::ZERO)?);
    }
    daemon.print(&permitted, || format!("{} UNIT may move without asking", exact(Amount(*limit))))
}
