//! Fig. 8: what the size of amounts does.

use super::{
    published::{NODES, PAYMENTS, STEP},
    setting::measure,
    success::{percent, points, published_series, ratio_axes, BELOW, LENGTH, NEAREST},
    Effort, Progress,
};
use crate::output::{Cell, Figure, Finding, Series, Table};
use anyhow::Result;

/// Success against payments, by the limit of amounts.
///
/// # Errors
/// If the assumptions make no topology.
pub fn run(effort: &Effort, progress: &dyn Progress) -> Result<Vec<Finding>> {
    let nodes = NODES[0];
    let settings = BELOW.map(|below| NEAREST.setting(nodes, below));
    progress.begin("amounts", u64::from(effort.runs) * settings.len() as u64);
    let rules = effort.rules();
    let curves = measure(&settings, &rules, LENGTH, effort, progress)?;
    let (x, y) = ratio_axes();
    let mut series = vec![];
    for (below, curves) in BELOW.into_iter().zip(&curves) {
        let label = format!("below {below}");
        series.push(published_series(below, nodes, format!("{label}, published")));
        series.push(Series { label, published: false, points: points(curves[0].by(NEAREST.count), STEP) });
    }
    let last = |row: usize, rule: usize| curves[row][rule].by(NEAREST.count).last().copied().unwrap_or_default();
    let falls = |rule: &usize| {
        let [five, ten, fifty] = [0, 1, 2].map(|row| last(row, *rule).mean());
        five >= ten && ten >= fifty
    };
    let holding: Vec<_> = (0..rules.len()).filter(falls).map(|rule| rules[rule].name()).collect();
    let row = |(rule, name): (usize, &str)| {
        std::iter::once(Cell::Text(name.into())).chain([0, 1, 2].map(|row| percent(&last(row, rule)))).collect()
    };
    Ok(vec![Finding {
        name: "figure-8".into(),
        title: "Fig. 8: larger amounts, fewer successes".into(),
        command: "braid-sim figure 8".into(),
        text: vec![format!(
            "{nodes} users, the paper's strategy and the paper's values. That larger amounts fail more often holds after {PAYMENTS} payments for: {}.",
            holding.join(", ")
        )],
        figures: vec![Figure {
            name: "figure-8".into(),
            title: format!("Success by amounts, {nodes} users, strategy of the paper"),
            x,
            y,
            series,
        }],
        tables: vec![Table {
            name: "figure-8-last".into(),
            title: format!("Success after {PAYMENTS} payments, {}", NEAREST.count.name()),
            columns: std::iter::once("Strategy".to_string())
                .chain(BELOW.map(|below| format!("Below {below} (%)")))
                .collect(),
            rows: rules.iter().map(|rule| rule.name()).enumerate().map(row).collect(),
        }],
    }])
}
