//! The limits that no strategy can pass: what stands in the way of payments that fail, what more channels do about it, and
//! what somebody who knew the future could settle.

use super::{
    setting::{measure, outcomes, Curve, Funds, GraphModel, Length, Outcome, Setting},
    success::{against, heads, percent, Assumption, BELOW, NEAREST},
    Effort, Progress,
};
use crate::{
    optimum::most_settled,
    output::{Axis, Cell, Figure, Finding, Table},
    replay::Count,
    stats::Sample,
    topology::Division,
};
use anyhow::Result;
use protocol::Balance;
use rayon::prelude::*;

/// Where [`Effort::rules`] has them.
const PAPER: usize = 0;
const FLOW: usize = 3;
const POOLED: usize = 4;

/// Runs the experiments.
///
/// # Errors
/// If an assumption makes no topology, or an optimum is not found.
pub fn run(effort: &Effort, progress: &dyn Progress) -> Result<Vec<Finding>> {
    Ok(vec![causes(effort, progress)?, density(effort, progress)?, optimum(effort, progress)?])
}

fn length(effort: &Effort) -> Length {
    let transactions = if effort.small { 500 } else { 4_000 };
    Length { transactions, step: transactions }
}

/// What stands in the way of the payments of Tables 2 to 4 that fail.
fn causes(effort: &Effort, progress: &dyn Progress) -> Result<Finding> {
    const NODES: u32 = 200;
    let settings = BELOW.map(|below| NEAREST.setting(NODES, below));
    progress.begin("what stands in the way", u64::from(effort.runs) * settings.len() as u64);
    let (rules, length) = (effort.rules(), length(effort));
    let measured = outcomes(&settings, &rules, length, effort, progress)?;
    let [paper, flow, pooled] = [PAPER, FLOW, POOLED].map(|rule| {
        let sample: Sample = measured.iter().map(|rules| rules[rule].settled.mean()).collect();
        let value: Sample = measured.iter().map(|rules| rules[rule].value.mean()).collect();
        (sample.mean(), value.mean())
    });
    let of_flow = |part: fn(&Outcome) -> &Sample| {
        let sample: Sample = measured.iter().map(|rules| part(&rules[FLOW]).mean()).collect();
        sample.mean()
    };
    let text = vec![
        "A payment fails for one of four reasons, asked in this order with the channels as they stand: no money, which the payer has not got in \
         all of its channels together; no room, because the payee's neighbours hold less towards it than it would get; no flow, because the \
         channels between them carry it by no paths at all; or not found, because some paths would carry it and the strategy has not come upon \
         them. The pooled bound knows the first reason only: one multi-party channel over everybody in which money had no place. The second and the \
         third are the topology's, the last is the strategy's."
            .to_string(),
        "`flow` knows no last reason: it settles whatever the channels carry at all. Which paths it takes makes no difference to what it can \
         settle later: what can leave a set of users changes by what they pay and are paid, whatever the way (max-flow min-cut). So no \
         balancing of channels, during a payment or between payments, can help it; only refusing a payment could."
            .to_string(),
        format!(
            "After {} payments among {NODES} users, on average over the three limits of amounts: `paper` settles {:.1} % of the payments and \
             {:.1} % of the tokens, `flow` {:.1} % and {:.1} %, the pooled bound {:.1} % and {:.1} %. Of what `flow` is asked for, {:.1} % fail for \
             want of money, {:.1} % for want of room at those whom everybody pays and {:.1} % for want of a flow. A strategy that settles \
             more, and larger, payments early has less left for later ones, which is why the one that refuses nothing that can be settled need not be ahead in the end.",
            length.transactions, paper.0, paper.1, flow.0, flow.1, pooled.0, pooled.1,
            of_flow(|outcome| &outcome.no_money), of_flow(|outcome| &outcome.no_room), of_flow(|outcome| &outcome.no_flow),
        ),
    ];
    let mut rows = vec![];
    for (below, measured) in BELOW.iter().zip(&measured) {
        for (rule, outcome) in rules.iter().zip(measured) {
            let mut row = vec![Cell::Count(*below as u64), Cell::Text(rule.name().into())];
            row.extend(share_cells(outcome));
            rows.push(row);
        }
    }
    let columns = ["Below", "Strategy"].into_iter().chain(SHARES).map(String::from).collect();
    let title = format!("What becomes of {} payments among {NODES} users", length.transactions);
    let tables = vec![Table { name: "limits".into(), title, columns, rows }];
    Ok(finding("limits", "The limits: want of money, topology, and choice", text, vec![], tables))
}

/// The heads of [`share_cells`].
pub const SHARES: [&str; 6] =
    ["Settled (%)", "Tokens (%)", "No money (%)", "No room (%)", "No flow (%)", "Not found (%)"];

/// What became of transactions, as cells.
pub fn share_cells(outcome: &Outcome) -> [Cell; 6] {
    let Outcome { settled, value, no_money, no_room, no_flow, not_found, .. } = outcome;
    [settled, value, no_money, no_room, no_flow, not_found].map(percent)
}

/// The same funds in more and smaller channels, up to one for each pair.
fn density(effort: &Effort, progress: &dyn Progress) -> Result<Finding> {
    const NODES: u32 = 100;
    const TOTAL: Balance = 96_000;
    const BELOW: Balance = 50;
    let degrees: &[u32] = if effort.small { &[4, 99] } else { &[2, 3, 4, 6, 8, 12, 20, 32, 56, 99] };
    let setting = |degree: &u32| Setting {
        graph: GraphModel::Random { channels: NODES * degree / 2 },
        funds: Funds::Together(TOTAL, Division::Even),
        skew: 0.0,
        ..NEAREST.setting(NODES, BELOW)
    };
    let settings: Vec<_> = degrees.iter().map(setting).collect();
    progress.begin("density", u64::from(effort.runs) * settings.len() as u64);
    let (rules, length) = (effort.rules(), length(effort));
    let curves = measure(&settings, &rules, length, effort, progress)?;
    // After all payments, by density and rule.
    let measured: Vec<Vec<_>> = curves.iter().map(|curves| curves.iter().map(Curve::last).collect()).collect();
    let (series, rows) = against(degrees, &rules, &curves);
    let gap = |samples: &[Sample], below: usize, above: usize| samples[above].mean() - samples[below].mean();
    let reached = degrees.iter().zip(&measured).find(|(_, samples)| {
        gap(samples, FLOW, POOLED) <= samples[FLOW].half_width95() + samples[POOLED].half_width95()
    });
    let verdict = match reached {
        Some((degree, samples)) => format!(
            "From {degree} channels a user on they are the same within what the runs differ by ({:.1} and {:.1} %): all of the gap was the \
             topology's",
            samples[FLOW].mean(),
            samples[POOLED].mean()
        ),
        None => "It stays below at every density tried".to_string(),
    };
    let ends = degrees.first().zip(measured.first()).zip(degrees.last().zip(measured.last()));
    let text = ends.map(|((few, sparse), (many, dense))| {
        format!(
            "{NODES} users and {TOTAL} tokens in all, divided over ever more channels with the same in each, divided evenly; amounts below {BELOW}, all \
             users as likely, {} payments. A multi-party channel over everybody (`flow`) is {:.1} points below the pooled bound with {few} channels a \
             user and {:.1} with {many}. {verdict}. Whoever looks for one path needs channels that hold the whole amount, and these become \
             small: `paper` is {:.1} points below `flow` with {many} channels a user.",
            length.transactions,
            gap(sparse, FLOW, POOLED),
            gap(dense, FLOW, POOLED),
            gap(dense, PAPER, FLOW),
        )
    });
    let figure = Figure {
        name: "density".into(),
        title: "The same funds in more channels".into(),
        x: Axis { label: "Channels a user".into(), logarithmic: true },
        y: Axis { label: "Successful payments (%)".into(), logarithmic: false },
        series,
    };
    let table = Table {
        name: "density-values".into(),
        title: format!("Success after {} payments, by the number of channels", length.transactions),
        columns: std::iter::once("Channels a user".to_string()).chain(heads(&rules)).collect(),
        rows,
    };
    let title = "How much of the gap is the topology's";
    Ok(finding("density", title, text.into_iter().collect(), vec![figure], vec![table]))
}

/// The offline optimum of small networks, which a linear program bounds, beside what the strategies do without knowing what comes.
fn optimum(effort: &Effort, progress: &dyn Progress) -> Result<Finding> {
    const PAYMENTS: usize = 40;
    let settings = [(6, 20), (6, 40), (10, 20), (10, 40)];
    progress.begin("offline optimum", (settings.len() as u32 * effort.runs) as u64);
    let rules = effort.rules();
    let mut rows = vec![];
    for (nodes, capacity) in settings {
        let setting = Assumption { degree: 4, capacity, division: Division::Even, skew: 0.0, count: Count::SoFar }
            .setting(nodes, 10);
        let run = |run: u32| -> Result<Vec<f64>> {
            let (topology, transactions) = setting.draw(effort.seed, run, PAYMENTS)?;
            let share = |settled: f64| 100.0 * settled / PAYMENTS as f64;
            let mut shares = vec![];
            for rule in &rules {
                let settled = rule.replay(&topology, &transactions)?;
                shares.push(share(settled.iter().filter(|settled| **settled).count() as f64));
            }
            shares.push(share(most_settled(&topology, &transactions)?));
            progress.step();
            Ok(shares)
        };
        let runs = (0..effort.runs).into_par_iter().map(run).collect::<Result<Vec<_>>>()?;
        let mut row = vec![Cell::Count(nodes.into()), Cell::Count(capacity as u64)];
        for column in 0..=rules.len() {
            row.push(percent(&runs.iter().map(|shares| shares[column]).collect()));
        }
        rows.push(row);
    }
    let columns = ["Users", "Channel (tokens)"].map(String::from).into_iter().chain(heads(&rules));
    let text = format!(
        "{PAYMENTS} payments of amounts below 10 among few users, all as likely, with four channels each on average, divided evenly. The optimum knows all payments in \
         advance and may refuse one that would be in the way of others; as a linear program it may also settle parts of a payment, so it is an \
         upper bound. What lies between it and `flow` is the most that refusing payments could gain: no choice of paths gains anything."
    );
    let table = Table {
        name: "optimum".into(),
        title: "Success beside the offline optimum".into(),
        columns: columns.chain(["Offline optimum (%)".to_string()]).collect(),
        rows,
    };
    Ok(finding("optimum", "The offline optimum of small networks", vec![text], vec![], vec![table]))
}

fn finding(name: &str, title: &str, text: Vec<String>, figures: Vec<Figure>, tables: Vec<Table>) -> Finding {
    let (name, title, command) = (name.into(), title.into(), "braid-sim limits".into());
    Finding { name, title, command, text, figures, tables }
}
