//! All strategies beside each other on one network and workload, whichever somebody wants.

use super::{
    limits::{share_cells, SHARES},
    setting::{outcomes, Length, Setting},
    success::{points, ratio_axes},
    Effort, Progress,
};
use crate::output::{grouped, Cell, Figure, Finding, Series, Table};
use anyhow::Result;

/// How often ratios are taken on the way.
const POINTS: usize = 20;

/// Success of every strategy against transactions, and what stands in the way of those that fail. `name` is what the
/// network is called, and `command` repeats this.
///
/// # Errors
/// If there is no such network or workload.
pub fn run(
    name: &str,
    command: String,
    setting: &Setting,
    transactions: usize,
    effort: &Effort,
    progress: &dyn Progress,
) -> Result<Finding> {
    anyhow::ensure!(transactions > 0, "no transactions: give at least 1");
    let length = Length { transactions, step: transactions.div_ceil(POINTS) };
    progress.begin("strategies", effort.runs.into());
    let rules = effort.rules();
    let (topology, _) = setting.draw(effort.seed, 0, 0)?;
    let measured = outcomes(std::slice::from_ref(setting), &rules, length, effort, progress)?.concat();
    let series = rules.iter().zip(&measured).map(|(rule, outcome)| Series {
        label: rule.name().into(),
        published: false,
        points: points(&outcome.curve.so_far, length.step),
    });
    let (x, y) = ratio_axes();
    let title = format!("Success on {name}");
    let figure = Figure { name: "compare".into(), title: title.clone(), x, y, series: series.collect() };
    let rows = rules
        .iter()
        .zip(&measured)
        .map(|(rule, outcome)| std::iter::once(Cell::Text(rule.name().into())).chain(share_cells(outcome)).collect());
    let table = Table {
        name: "compare-values".into(),
        title: format!("What becomes of {transactions} transactions"),
        columns: std::iter::once("Strategy").chain(SHARES).map(String::from).collect(),
        rows: rows.collect(),
    };
    let text = format!(
        "{} users, {} channels that hold {} together; {}, amounts {}, skew {}; {} transactions in each of {} runs.",
        Cell::Count(topology.nodes.into()),
        Cell::Count(topology.links.len() as u64),
        grouped(topology.funds() as f64, 0),
        setting.kind,
        setting.amounts,
        setting.skew,
        Cell::Count(transactions as u64),
        effort.runs,
    );
    Ok(Finding { name: "compare".into(), title, command, text: vec![text], figures: vec![figure], tables: vec![table] })
}
