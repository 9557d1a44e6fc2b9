//! `braid requests`: what others ask of the party.

use super::{
    value::{exact, show_account, show_id},
    Daemon,
};
use crate::output::columns;
use anyhow::Result;
use braid::http::view::RequestView;

/// What `braid requests` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
}

/// Lists them.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options) -> Result<()> {
    let requests: Vec<RequestView> = options.daemon.get("/requests")?;
    options.daemon.print(&requests, || {
        if requests.is_empty() {
            return "Nobody asks for anything.".to_owned();
        }
        let rows = requests.iter().map(|request| {
            vec![request.request.to_string(), show_account(request.from), request.wants.clone(), details(request)]
        });
        let table = columns(&["Number", "From", "Wants", "Details"], rows, usize::MAX);
        format!("{table}\n\nAnswer with `braid accept NUMBER` or `braid reject NUMBER`.")
    })
}

fn details(request: &RequestView) -> String {
    let amount = |amount: Option<braid::http::text::Amount>| amount.map_or_else(|| "0".to_owned(), exact);
    let channels = request.channels.iter().map(|id| show_id(*id)).collect::<Vec<_>>().join(" ");
    match request.wants.as_str() {
        "open" | "top_up" => format!("own {}, theirs {} {channels}", amount(request.own), amount(request.theirs)),
        "close" | "withdraw" => format!("{channels} own {}, theirs {}", amount(request.own), amount(request.theirs)),
        "payments" => {
            let transfers = request.payments.iter().flat_map(|payment| &payment.transfers);
            let shown = transfers.map(|part| {
                format!("{} from {} to {}", exact(part.amount), show_account(part.from), show_account(part.to))
            });
            shown.collect::<Vec<_>>().join(", ")
        }
        _ => request.group.map_or(channels, show_id),
    }
}
