//! The multi-party transactions of games, auctions and crowdfunding, on different topologies with the same users and funds.

use super::{
    setting::{measure, Funds, GraphModel, Length, Setting},
    success::{against, heads, percent, NEAREST},
    Effort, Progress,
};
use crate::{
    output::{Axis, Cell, Figure, Finding, Table},
    topology::{Division, Topology},
    workload::Kind,
};
use anyhow::Result;
use protocol::Balance;
use std::sync::Arc;

const NODES: u32 = 100;
const TOTAL: Balance = 24_000;
const BELOW: Balance = 10;
const TRANSACTIONS: usize = 1_000;

/// Success by topology and kind of transaction, and by the number of players.
///
/// # Errors
/// If a topology or workload is none.
pub fn run(effort: &Effort, lightning: Option<Topology>, progress: &dyn Progress) -> Result<Vec<Finding>> {
    Ok(vec![by_topology(effort, lightning, progress)?, by_parties(effort, progress)?])
}

fn setting(graph: GraphModel, kind: Kind) -> Setting {
    let funds = Funds::Together(TOTAL, Division::Even);
    Setting { graph, funds, kind, skew: 0.0, ..NEAREST.setting(NODES, BELOW) }
}

fn length(effort: &Effort) -> Length {
    let transactions = if effort.small { 200 } else { TRANSACTIONS };
    Length { transactions, step: transactions }
}

fn random() -> GraphModel {
    GraphModel::Random { channels: 6 * NODES }
}

fn by_topology(effort: &Effort, lightning: Option<Topology>, progress: &dyn Progress) -> Result<Finding> {
    let mut graphs = vec![
        ("random", random()),
        ("Barabási–Albert", GraphModel::BarabasiAlbert { per_node: 6 }),
        ("Watts–Strogatz", GraphModel::WattsStrogatz { neighbours: 12, rewiring: 0.1 }),
        ("hub", GraphModel::Hub),
    ];
    graphs.extend(lightning.map(|topology| ("Lightning, a cut", GraphModel::Cut(Arc::new(topology)))));
    let kinds = [
        ("payment", Kind::Payment),
        ("game of 4", Kind::Game(4)),
        ("auction of 5", Kind::Auction(5)),
        ("crowdfunding of 9", Kind::Crowdfunding(9)),
    ];
    let settings: Vec<_> =
        graphs.iter().flat_map(|(_, graph)| kinds.map(|(_, kind)| setting(graph.clone(), kind))).collect();
    progress.begin("applications", u64::from(effort.runs) * settings.len() as u64);
    let (rules, length) = (effort.rules(), length(effort));
    let measured = measure(&settings, &rules, length, effort, progress)?;
    let mut rows = vec![];
    for (place, measured) in measured.iter().enumerate() {
        let (graph, kind) = (graphs[place / kinds.len()].0, kinds[place % kinds.len()].0);
        let shares = measured.iter().map(|curve| percent(&curve.last()));
        rows.push([graph, kind].map(|text| Cell::Text(text.into())).into_iter().chain(shares).collect());
    }
    let text = format!(
        "{NODES} users, {TOTAL} tokens in all channels together and the same in each, amounts below {BELOW}, all users as likely, {} \
         transactions. In a game each of three losers pays the winner the same; in an auction the winner pays the seller and four others \
         pay a tenth of that; in crowdfunding nine pay what they like. A transaction settles whole or not at all. A cut of the Lightning network \
         has its channels, not its funds.",
        length.transactions
    );
    let columns = ["Topology", "Transaction"].map(String::from).into_iter().chain(heads(&rules));
    let success = Table {
        name: "applications".into(),
        title: format!("Success after {} transactions", length.transactions),
        columns: columns.collect(),
        rows,
    };
    let title = "Games, auctions and crowdfunding on different topologies";
    Ok(finding("applications", title, text, vec![], vec![success]))
}

fn by_parties(effort: &Effort, progress: &dyn Progress) -> Result<Finding> {
    let sizes: &[u32] = if effort.small { &[2, 8] } else { &[2, 3, 4, 6, 8, 12, 16] };
    let settings: Vec<_> = sizes.iter().map(|players| setting(random(), Kind::Game(*players as usize))).collect();
    progress.begin("games", u64::from(effort.runs) * settings.len() as u64);
    let (rules, length) = (effort.rules(), length(effort));
    let measured = measure(&settings, &rules, length, effort, progress)?;
    let (series, rows) = against(sizes, &rules, &measured);
    let title = format!("Games by the number of players, {} rounds", length.transactions);
    let axis = |label: &str, logarithmic| Axis { label: label.into(), logarithmic };
    let figure = Figure {
        name: "games".into(),
        title: title.clone(),
        x: axis("Players", true),
        y: axis("Successful rounds (%)", false),
        series,
    };
    let table = Table {
        name: "games-values".into(),
        title,
        columns: std::iter::once("Players".to_string()).chain(heads(&rules)).collect(),
        rows,
    };
    let text = format!(
        "The same on the random topology, with games of ever more players. A round is one transaction: the more pay in it, the more can be \
         in its way. `flow` carries all of it at once, over as many paths as it takes; the others look for a path for each transfer, after \
         those before it. {} rounds.",
        length.transactions
    );
    Ok(finding("games", "Larger games", text, vec![figure], vec![table]))
}

fn finding(name: &str, title: &str, text: String, figures: Vec<Figure>, tables: Vec<Table>) -> Finding {
    let (name, title, command) = (name.into(), title.into(), "braid-sim applications".into());
    Finding { name, title, command, text: vec![text], figures, tables }
}
