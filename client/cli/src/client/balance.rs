//! `braid balance`: what the account has, and where.

use super::Daemon;
use crate::output::columns;
use anyhow::Result;
use braid::http::{account::Status, text::Amount};

/// What `braid balance` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
}

/// Says it.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let status: Status = options.daemon.get("/status")?;
    options.daemon.print(&status, || {
        let shown = |amount: Option<Amount>| match amount {
            Some(Amount(amount)) => crate::output::units(i128::try_from(amount).unwrap_or(i128::MAX)),
            None => "the node is away".to_owned(),
        };
        let rows = [
            ("Purse: on the chain", status.purse),
            ("Ledger: in the contract", status.ledger),
            ("In channels", Some(status.in_channels)),
        ];
        let rows = rows.map(|(place, amount)| vec![place.to_owned(), shown(amount)]);
        let table = columns(&["Where", "UNIT"], rows.into_iter(), 1);
        format!("Account {}\n\n{table}", String::from(status.account))
    })
}
