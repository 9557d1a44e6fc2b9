//! Figs. 5 to 7: random networks against hub and spoke, with the same users and the same funds.

use super::{
    setting::{measure, Funds, GraphModel, Length, Setting},
    success::{heads, percent, points, ratio_axes, NEAREST},
    Effort, Progress,
};
use crate::{
    output::{Cell, Figure, Finding, Series, Table},
    replay::{Count, Rule},
};
use anyhow::Result;
use protocol::Balance;

const SIZES: [u32; 3] = [10, 50, 100];
const BELOW: Balance = 10;
const LENGTH: Length = Length { transactions: 4000, step: 200 };

/// Success against payments on both topologies, for 10, 50 and 100 users.
///
/// # Errors
/// If the assumptions make no topology.
pub fn run(effort: &Effort, progress: &dyn Progress) -> Result<Vec<Finding>> {
    progress.begin("topologies", u64::from(effort.runs) * 2 * SIZES.len() as u64);
    let [paper, .., flow, pooled] = effort.rules();
    let rules = [paper, flow, pooled];
    (5..).zip(SIZES).map(|(number, nodes)| figure(number, nodes, &rules, effort, progress)).collect()
}

fn figure(number: u32, nodes: u32, rules: &[Rule], effort: &Effort, progress: &dyn Progress) -> Result<Finding> {
    let random = NEAREST.setting(nodes, BELOW);
    let (drawn, _) = random.draw(effort.seed, 0, 0)?;
    let hub =
        Setting { graph: GraphModel::Hub, funds: Funds::Together(drawn.funds(), NEAREST.division), ..random.clone() };
    let channels = [drawn.links.len(), nodes as usize - 1];
    let settings = [random, hub];
    let curves = measure(&settings, rules, LENGTH, effort, progress)?;
    let graphs = ["random", "hub"];
    let mut series = vec![];
    for (graph, curves) in graphs.iter().zip(&curves) {
        for (rule, curve) in rules.iter().zip(curves) {
            let label = format!("{graph}, {}", rule.name());
            series.push(Series { label, published: false, points: points(curve.by(Count::SoFar), LENGTH.step) });
        }
    }
    let last = |graph: usize, rule: usize| curves[graph][rule].last();
    let ahead = |rule: usize| {
        let (random, hub) = (last(0, rule), last(1, rule));
        let gap = random.mean() - hub.mean();
        let sure = gap.abs() > random.half_width95() + hub.half_width95();
        let winner = match (sure, gap > 0.0) {
            (false, _) => "neither is ahead for sure",
            (true, true) => "random is ahead",
            (true, false) => "the hub is ahead",
        };
        format!("with {} {winner}, by {:.1} points", rules[rule].name(), gap.abs())
    };
    let row = |(graph, name): (usize, &&str)| {
        let cells = (0..rules.len()).map(|rule| percent(&last(graph, rule)));
        let channels = Cell::Count(channels[graph] as u64);
        [Cell::Text((*name).into()), channels].into_iter().chain(cells).collect()
    };
    let (x, y) = ratio_axes();
    let name = format!("figure-{number}");
    Ok(Finding {
        title: format!("Fig. {number}: random against hub and spoke, {nodes} users"),
        command: format!("braid-sim figure {number}"),
        text: vec![format!(
            "{nodes} users, {} tokens in all channels together, amounts below {BELOW}, ratio of all payments so far. After {} payments {}. \
             The hub holds half of all funds, and every payment between two others passes through it over two channels.",
            drawn.funds(),
            LENGTH.transactions,
            (0..rules.len()).map(ahead).collect::<Vec<_>>().join("; "),
        )],
        figures: vec![Figure { name: name.clone(), title: format!("Success on two topologies, {nodes} users"), x, y, series }],
        tables: vec![Table {
            name: format!("{name}-last"),
            title: format!("Success after {} payments", LENGTH.transactions),
            columns: ["Topology".to_string(), "Channels".to_string()]
                .into_iter()
                .chain(heads(rules))
                .collect(),
            rows: graphs.iter().enumerate().map(row).collect(),
        }],
        name,
    })
}
