//! What the paper's k1 and k2 do.

use super::{
    setting::measure,
    success::{percent, BELOW, LENGTH, NEAREST},
    Effort, Progress,
};
use crate::{
    output::{Cell, Finding, Table},
    replay::Rule,
    stats::Sample,
};
use anyhow::Result;
use planning::{planner::Strategy, Preference};

/// Success by how much a channel's share of its neighbourhood's funds counts, and how much its balance.
///
/// # Errors
/// If the assumptions make no topology.
pub fn run(effort: &Effort, progress: &dyn Progress) -> Result<Vec<Finding>> {
    const NODES: u32 = 200;
    const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
    let settings = BELOW.map(|below| NEAREST.setting(NODES, below));
    let paper = |k1: &f64| Preference::new(*k1, 1.0 - k1).map(|preference| Rule::Planned(Strategy::Paper(preference)));
    let mut rules = SHARES.iter().map(paper).collect::<Result<Vec<_>, _>>()?;
    rules.push(Rule::Planned(Strategy::Available));
    progress.begin("k1 and k2", u64::from(effort.runs) * settings.len() as u64);
    let curves = measure(&settings, &rules, LENGTH, effort, progress)?;
    let samples = |rule: usize| curves.iter().map(move |curves| curves[rule].last());
    let means: Vec<_> =
        (0..rules.len()).map(|rule| samples(rule).map(|last| last.mean()).collect::<Sample>()).collect();
    let means: Vec<_> = means.iter().map(Sample::mean).collect();
    let row = |(rule, known): (usize, &Rule)| {
        let shares = match SHARES.get(rule) {
            Some(k1) => [Cell::Number(*k1, 2), Cell::Number(1.0 - k1, 2)],
            None => [Cell::Empty, Cell::Empty],
        };
        let name = Cell::Text(known.name().into());
        std::iter::once(name).chain(shares).chain(samples(rule).map(|last| percent(&last))).collect()
    };
    let rows = rules.iter().enumerate().map(row).collect();
    let best = (0..SHARES.len()).max_by(|a, b| means[*a].total_cmp(&means[*b])).unwrap_or_default();
    let least = means[..SHARES.len()].iter().copied().fold(f64::INFINITY, f64::min);
    let text = format!(
        "W = k1·(1 − Dist) + k2·Bal; the paper calls k1 and k2 adjustable and gives no values. Only their ratio matters; everything else here \
         uses 0.5 and 0.5 unless `--k1` and `--k2` say otherwise. {NODES} users, after {} payments: on average over the three limits the \
         best is k1 = {}, {:.1} points over the worst, and {:.1} points over the path of fewest channels, which weighs nothing.",
        LENGTH.transactions,
        SHARES[best],
        means[best] - least,
        means[best] - means[SHARES.len()],
    );
    Ok(vec![Finding {
        name: "preference".into(),
        title: "What k1 and k2 do".into(),
        command: "braid-sim preference".into(),
        text: vec![text],
        figures: vec![],
        tables: vec![Table {
            name: "preference".into(),
            title: format!("Success after {} payments, by k1 and k2", LENGTH.transactions),
            columns: ["Strategy", "k1", "k2"]
                .map(String::from)
                .into_iter()
                .chain(BELOW.map(|below| format!("Below {below} (%)")))
                .collect(),
            rows,
        }],
    }])
}
