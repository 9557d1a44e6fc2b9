//! `braid history`: payments that are decided.

use super::{
    value::{exact, show_account},
    Daemon,
};
use crate::output::columns;
use anyhow::Result;
use braid::http::{account::Status, payments::History, view::OutcomeView};

/// What `braid history` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// The first number; the last payments are shown otherwise.
    #[arg(long, value_name = "NUMBER")]
    from: Option<u64>,
    /// How many.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
}

/// Shows them.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let Options { daemon, from, limit } = options;
    let from = match from {
        Some(from) => *from,
        None => daemon.get::<Status>("/status")?.decided.saturating_sub(*limit),
    };
    let history: History = daemon.get(&format!("/payments?from={from}&limit={limit}"))?;
    daemon.print(&history, || {
        if history.payments.is_empty() {
            return "There are no payments yet.".to_owned();
        }
        let rows = history.payments.iter().flat_map(|past| {
            past.payment.transfers.iter().map(|part| {
                let outcome = match past.outcome {
                    OutcomeView::Settled => "settled",
                    OutcomeView::Void => "void",
                    OutcomeView::Undecided => "undecided",
                };
                let (from, to) = (show_account(part.from), show_account(part.to));
                vec![past.number.to_string(), from, to, outcome.to_owned(), exact(part.amount)]
            })
        });
        let table = columns(&["Number", "From", "To", "Outcome", "UNIT"], rows, 4);
        match history.next {
            Some(next) => format!("{table}\n\nMore with `--from {next}`."),
            None => table,
        }
    })
}
