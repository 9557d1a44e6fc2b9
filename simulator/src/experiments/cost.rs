//! What payments cost on chain: a multi-party channel, two-party channels hop by hop, and direct transfers (the
//! paper's Fig. 9), in weight and fees.

use super::{Effort, Progress};
use crate::{
    output::{grouped, Axis, Cell, Figure, Finding, Point, Series, Table},
    stats::Sample,
    topology::{Division, Topology},
    workload::{Amounts, Kind, Transaction, Workload},
};
use anyhow::{Context, Result};
use chain::{
    block_on,
    costs::{measure, Bench, Row},
    Chain, Receipt, UNIT,
};
use planning::{
    network::{Link, Network},
    planner::{Planner, Strategy},
};
use protocol::{state::MAX_CHANNELS, Balance};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use std::{
    collections::BTreeSet,
    ops::{Add, AddAssign, Mul, Sub},
};

/// State updates between two on-chain updates, as in the paper.
const EVERY: u64 = 10;
/// What each owner puts into a channel of a random topology, in planck.
const STAKE: Balance = 100 * UNIT;

/// What calls take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cost {
    /// In ps.
    ref_time: f64,
    /// In bytes.
    proof_size: f64,
    /// In UNIT.
    fee: f64,
}

impl Cost {
    fn of(receipt: &Receipt) -> Self {
        let (weight, fee) = (receipt.weight, receipt.fee as f64 / UNIT as f64);
        Self { ref_time: weight.ref_time as f64, proof_size: weight.proof_size as f64, fee }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            ref_time: self.ref_time + other.ref_time,
            proof_size: self.proof_size + other.proof_size,
            fee: self.fee + other.fee,
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + other * -1.0
    }
}

impl Mul<f64> for Cost {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self { ref_time: self.ref_time * times, proof_size: self.proof_size * times, fee: self.fee * times }
    }
}

/// A message's cost as a line: so much, and so much more for each who signs and each channel that is named.
#[derive(Clone, Copy, Debug)]
struct Line {
    base: Cost,
    party: Cost,
    entry: Cost,
}

impl Line {
    fn at(&self, parties: usize, entries: usize) -> Cost {
        self.base + self.party * parties as f64 + self.entry * entries as f64
    }
}

/// What each call costs, measured on the embedded chain.
struct Prices {
    deposit: Cost,
    create_tpc: Cost,
    close_tpc: Cost,
    update: Line,
    create_mpc: Line,
    close_mpc: Line,
    join_mpc: Line,
    leave_mpc: Line,
    transfer: Cost,
    /// The furthest that the ref_time or fee of the lines for creating, updating and closing is from a measurement between
    /// their ends, as a share.
    error: f64,
}

impl Prices {
    fn measure() -> Result<Self> {
        const SIZES: [usize; 3] = [3, 10, 50];
        let rows = measure(&SIZES, |parties| Ok(Bench::embedded(parties)))?;
        let cost = |message: &str, case: &str, parties: usize, channels: usize| -> Result<Cost> {
            let wanted =
                |row: &&Row| (row.message, row.case, row.parties, row.channels) == (message, case, parties, channels);
            let row = rows.iter().find(wanted);
            row.map(|row| Cost::of(&row.receipt)).with_context(|| format!("{message} of {parties} was not measured"))
        };
        let of_ring = |message: &str, parties: usize| cost(message, "", parties, parties);
        let [low, middle, high] = SIZES;
        let slope = |message: &str| -> Result<Cost> {
            Ok((of_ring(message, high)? - of_ring(message, low)?) * (1.0 / (high - low) as f64))
        };
        // The groups are rings, with as many users as channels. One channel's update has two signers, which tells a
        // signer's share from a channel's. A signer's work is the same in every message.
        let both = slope("update")?;
        let base = of_ring("update", low)? - both * low as f64;
        let party = cost("update", "", 2, 1)? - base - both;
        let mut error: f64 = 0.0;
        let mut ring = |message: &str| -> Result<Line> {
            let both = slope(message)?;
            let line = Line { base: of_ring(message, low)? - both * low as f64, party, entry: both - party };
            let (measured, drawn) = (of_ring(message, middle)?, line.at(middle, middle));
            let off = |measured: f64, drawn: f64| (drawn - measured).abs() / measured;
            error = error.max(off(measured.ref_time, drawn.ref_time)).max(off(measured.fee, drawn.fee));
            Ok(line)
        };
        let (update, create_mpc, close_mpc) = (ring("update")?, ring("create_mpc")?, ring("close_mpc")?);
        // What joins or leaves does to a channel what creating or closing does.
        let like = |line: Line, message: &str| -> Result<Line> {
            Ok(Line { base: cost(message, "", 2, 1)? - line.party * 2.0 - line.entry, ..line })
        };
        let mut bench = Bench::embedded(2);
        let (payer, payee) = (bench.users[0].clone(), bench.users[1].account());
        let transfer = Cost::of(&block_on(bench.chain.transfer(&payer, payee, UNIT))?);
        Ok(Self {
            deposit: cost("deposit", "", 1, 0)?,
            create_tpc: cost("create_tpc", "from two ledgers", 2, 1)?,
            close_tpc: cost("close_tpc", "", 2, 1)?,
            join_mpc: like(create_mpc, "join_mpc")?,
            leave_mpc: like(close_mpc, "leave_mpc")?,
            update,
            create_mpc,
            close_mpc,
            transfer,
            error,
        })
    }

    /// One channel's update.
    fn update_one(&self) -> Cost {
        self.update.at(2, 1)
    }

    /// What registering a group of all channels costs, and releasing it at the end.
    fn registration(&self, topology: &Topology) -> (Cost, Cost) {
        let links = &topology.links;
        let all: Vec<_> = (0..links.len()).collect();
        let created = Self::batches(self.create_mpc, self.join_mpc, links, &all);
        let ended = if links.len() <= MAX_CHANNELS {
            self.close_mpc.at(topology.nodes as usize, links.len())
        } else {
            Self::batches(self.leave_mpc, self.leave_mpc, links, &all)
        };
        (created, ended)
    }

    /// One call for a batch of channels: the first by one line, the rest by another.
    fn batches(first: Line, rest: Line, links: &[Link], named: &[usize]) -> Cost {
        let mut cost = Cost::default();
        for (index, batch) in named.chunks(MAX_CHANNELS).enumerate() {
            let owners: BTreeSet<_> = batch.iter().flat_map(|link| links[*link].ends).collect();
            let line = if index == 0 { first } else { rest };
            cost += line.at(owners.len(), batch.len());
        }
        cost
    }

    fn open(&self, topology: &Topology) -> Cost {
        self.deposit * f64::from(topology.nodes) + self.create_tpc * topology.links.len() as f64
    }
}

/// What a scheme had cost after so many payments, its end included, and how many it had settled.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    settled: u64,
    cost: Cost,
}

/// Payments of all users alike, of amounts up to a tenth of what an owner has in a channel on average.
fn payments(topology: &Topology, count: u64, random: &mut Pcg64Mcg) -> Result<Vec<Transaction>> {
    let limit = topology.funds() / (20 * topology.links.len().max(1) as Balance);
    let workload = Workload::new(topology.nodes, Kind::Payment, Amounts::Below(limit.max(1) + 1), 0.0, random)?;
    Ok(workload.draw(count as usize, random))
}

/// When two-party channels are put on chain, besides at the end.
#[derive(Clone, Copy, PartialEq)]
enum When {
    /// Each after ten updates of it.
    EachByItself,
    /// All that changed, after ten payments.
    Together,
    Never,
}

/// All in one group, by the least flow, put on chain after ten payments or only at the end. Nothing of the group itself is
/// on chain.
fn ours(
    prices: &Prices,
    topology: &Topology,
    payments: &[Transaction],
    marks: &[u64],
    often: bool,
) -> Result<Vec<State>> {
    let links = &topology.links;
    let mut planner = Planner::new(Network::new(topology.nodes, links)?, Strategy::Flow);
    let update = |changed: &BTreeSet<usize>| {
        let changed: Vec<_> = changed.iter().copied().collect();
        Prices::batches(prices.update, prices.update, links, &changed)
    };
    let mut state = State { settled: 0, cost: prices.open(topology) };
    let end = prices.close_tpc * links.len() as f64;
    let mut changed = BTreeSet::new();
    let mut states = vec![];
    for made in 0..=payments.len() {
        if marks.contains(&(made as u64)) {
            states.push(State { cost: state.cost + update(&changed) + end, ..state });
        }
        let Some(payment) = payments.get(made) else { break };
        if planner.settle(payment).is_ok() {
            state.settled += 1;
            changed.extend(planner.network().changes().map(|(link, _)| link));
            if often && state.settled.is_multiple_of(EVERY) {
                state.cost += update(&changed);
                changed.clear();
            }
        }
    }
    Ok(states)
}

/// The same with the group registered on chain, as in the paper.
fn registered(prices: &Prices, topology: &Topology, states: &[State]) -> Vec<State> {
    let (created, ended) = prices.registration(topology);
    states.iter().map(|state| State { cost: state.cost + created + ended, ..*state }).collect()
}

/// Hop by hop, each channel with calls of its own.
fn dual(
    prices: &Prices,
    topology: &Topology,
    payments: &[Transaction],
    marks: &[u64],
    when: When,
) -> Result<Vec<State>> {
    let mut planner = Planner::new(Network::new(topology.nodes, &topology.links)?, Strategy::Available);
    let mut state = State { settled: 0, cost: prices.open(topology) };
    let end = prices.close_tpc * topology.links.len() as f64;
    // How often each channel was updated since it was put on chain.
    let mut updates = vec![0_u64; topology.links.len()];
    let put = |updates: &[u64]| prices.update_one() * updates.iter().filter(|updates| **updates > 0).count() as f64;
    let mut states = vec![];
    for made in 0..=payments.len() {
        if marks.contains(&(made as u64)) {
            states.push(State { cost: state.cost + put(&updates) + end, ..state });
        }
        let Some(payment) = payments.get(made) else { break };
        if planner.settle(payment).is_ok() {
            state.settled += 1;
            for (link, _) in planner.network().changes() {
                updates[link] += 1;
                if when == When::EachByItself && updates[link] == EVERY {
                    state.cost += prices.update_one();
                    updates[link] = 0;
                }
            }
            if when == When::Together && state.settled.is_multiple_of(EVERY) {
                state.cost += put(&updates);
                updates.fill(0);
            }
        }
    }
    Ok(states)
}

/// Four channels a user on average, two for each user, and everybody joined.
fn random_topology(nodes: u32, random: &mut Pcg64Mcg) -> Result<Topology> {
    let pairs = u64::from(nodes) * u64::from(nodes.saturating_sub(1)) / 2;
    let channels = u64::from(2 * nodes).min(pairs) as u32;
    let funds = 2 * STAKE * Balance::from(channels);
    Ok(Topology::random(nodes, channels, random)?.funded(funds, Division::Even, random))
}

/// What all runs of a topology gave: each scheme's states at the marks.
struct Outcome {
    name: &'static str,
    marks: Vec<u64>,
    runs: Vec<[Vec<State>; SCHEMES.len()]>,
}

impl Outcome {
    fn new(
        name: &'static str,
        prices: &Prices,
        effort: &Effort,
        progress: &dyn Progress,
        marks: &[u64],
        topology: impl Fn(&mut Pcg64Mcg) -> Result<Topology> + Sync,
    ) -> Result<Self> {
        let run = |run: u32| {
            let mut random = Pcg64Mcg::seed_from_u64(effort.seed.wrapping_add(u64::from(run)));
            let topology = topology(&mut random)?;
            let payments = payments(&topology, marks.last().copied().unwrap_or_default(), &mut random)?;
            let ours = |often| ours(prices, &topology, &payments, marks, often);
            let dual = |when| dual(prices, &topology, &payments, marks, when);
            let (often, at_the_end) = (ours(true)?, ours(false)?);
            progress.step();
            Ok([
                registered(prices, &topology, &often),
                dual(When::EachByItself)?,
                dual(When::Together)?,
                registered(prices, &topology, &at_the_end),
                dual(When::Never)?,
                often,
                at_the_end,
            ])
        };
        let runs = (0..effort.runs).into_par_iter().map(run).collect::<Result<Vec<_>>>()?;
        Ok(Self { name, marks: marks.to_vec(), runs })
    }

    fn sample(&self, scheme: usize, mark: usize, of: impl Fn(&State) -> f64) -> Sample {
        self.runs.iter().map(|run| of(&run[scheme][mark])).collect()
    }

    fn curve(&self, scheme: usize, of: impl Fn(&State) -> f64) -> Vec<Point> {
        let point = |(mark, made): (usize, &u64)| {
            let sample = self.sample(scheme, mark, &of);
            Point::of(*made as f64, &sample)
        };
        self.marks.iter().enumerate().map(point).collect()
    }

    fn last(&self) -> usize {
        self.marks.len() - 1
    }

    /// How many payments were settled at each mark, and what all had cost.
    fn costs(&self, scheme: usize, of: &dyn Fn(&Cost) -> f64) -> Vec<(f64, f64)> {
        let at = |mark| {
            let settled = self.sample(scheme, mark, |state| state.settled as f64).mean();
            (settled, self.sample(scheme, mark, |state| of(&state.cost)).mean())
        };
        (0..self.marks.len()).map(at).collect()
    }
}

/// What one more settled payment costs in the second half of a curve.
fn one_more(costs: &[(f64, f64)]) -> f64 {
    let Some((settled, cost)) = costs.last() else { return 0.0 };
    let half = costs.iter().find(|(some, _)| *some * 2.0 >= *settled).copied().unwrap_or_default();
    (cost - half.1) / (settled - half.0).max(1.0)
}

/// From how many payments, as the first scheme settles them, the first scheme costs less than the second: between two marks by a straight line,
/// beyond the last by the rates of the second half. `None` if it never does.
fn break_even(first: &[(f64, f64)], second: &[(f64, f64)]) -> Option<u64> {
    let lead: Vec<_> = first.iter().zip(second).map(|(first, second)| (first.0, first.1 - second.1)).collect();
    let Some(behind) = lead.iter().rposition(|(_, lead)| *lead >= 0.0) else { return Some(0) };
    let (settled, missing) = lead[behind];
    let saved = match lead.get(behind + 1) {
        Some(next) => (missing - next.1) / (next.0 - settled).max(1.0),
        None => one_more(second) - one_more(first),
    };
    (saved > 0.0).then(|| (settled + missing / saved).ceil() as u64)
}

/// Runs the experiment, on random topologies and on cuts of the Lightning network that is given.
///
/// # Errors
/// If the embedded chain refuses, or a topology is none.
pub fn run(effort: &Effort, lightning: Option<&Topology>, progress: &dyn Progress) -> Result<Vec<Finding>> {
    let (nodes, most) = if effort.small { (20, 200) } else { (100, 2_000) };
    const PARTS: [u64; 15] = [0, 5, 10, 25, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000];
    let marks = PARTS.map(|part| part * most / 1_000);
    let sizes: &[u32] = if effort.small { &[3, 10, 30] } else { &[3, 10, 30, 100, 300] };
    progress.begin("cost", u64::from(effort.runs) * (1 + sizes.len() as u64 + u64::from(lightning.is_some())));
    let prices = Prices::measure()?;
    let mut outcomes =
        vec![Outcome::new("Random", &prices, effort, progress, &marks, |random| random_topology(nodes, random))?];
    if let Some(topology) = lightning.filter(|topology| topology.nodes > 1) {
        outcomes.push(Outcome::new("Lightning", &prices, effort, progress, &marks, |random| {
            Ok(topology.cut(nodes, random))
        })?);
    }
    let by_size = sizes.iter().map(|n| {
        let made = 10 * u64::from(*n);
        let topology = |random: &mut Pcg64Mcg| random_topology(*n, random);
        Outcome::new("Random", &prices, effort, progress, &[0, made / 2, made], topology)
    });
    let by_size = by_size.collect::<Result<Vec<_>>>()?;
    let method = format!(
        "Every call's cost is measured on the embedded chain, for groups of 3, 10 and 50 on rings, and drawn as a line in \
         the number of signers and of channels named, which also goes beyond 50. The line is off by at most {:.1} % at \
         10. Direct is the measured transfer of native tokens: {} ps and {:.6} UNIT. Deposits, opening and closing \
         are counted, storage deposits are not, since they come back. A call names at most {MAX_CHANNELS} channels. Ours registers \
         its group on chain, as in the paper, unless it says that it does not.",
        prices.error * 100.0,
        grouped(prices.transfer.ref_time, 0),
        prices.transfer.fee
    );
    let assumed = format!(
        "Payments of all users alike, of amounts up to a tenth of what an owner has in a channel on average. Random: four \
         channels a user on average, {} UNIT of each owner in each. Lightning: what lies around a user at random, {nodes} \
         users, with its balances.",
        STAKE / UNIT
    );
    Ok(vec![
        figure_9(&prices, &outcomes, vec![method, assumed]),
        breaking_even(&prices, &outcomes),
        cost_by_size(&prices, sizes, &by_size),
    ])
}

/// The first two are the paper's, whose group is registered on chain.
const SCHEMES: [&str; 7] = [
    "Ours",
    "Dual",
    "Dual, all changed every ten payments",
    "Ours, only at the end",
    "Dual, only at the end",
    "Ours, unregistered",
    "Ours, unregistered, only at the end",
];

fn figure_9(prices: &Prices, outcomes: &[Outcome], mut text: Vec<String>) -> Finding {
    let cadence = format!(
        "In Dual a channel goes on chain after {EVERY} updates of its own, which are many payments later; in Ours all that \
         changed goes on chain after {EVERY} payments. A native transfer takes {:.2} of what one update of a two-party \
         channel takes.",
        prices.transfer.ref_time / prices.update_one().ref_time
    );
    text.push(cadence);
    let mut figures = vec![];
    let mut rows = vec![];
    for outcome in outcomes {
        let (name, last) = (outcome.name, outcome.last());
        let mut curves: Vec<_> = (0..SCHEMES.len())
            .map(|scheme| series(SCHEMES[scheme], outcome.curve(scheme, |state| state.cost.fee)))
            .collect();
        let direct = outcome.marks.iter().map(|made| Point {
            x: *made as f64,
            y: prices.transfer.fee * *made as f64,
            spread: 0.0,
        });
        curves.push(series("Direct", direct.collect()));
        let slug = format!("figure-9-{}", name.to_lowercase());
        figures.push(figure(
            &slug,
            &format!("Fees on the {} topology", if name == "Random" { "random" } else { name }),
            "Payments",
            "Fees (UNIT)",
            curves,
        ));
        let made = outcome.marks[last] as f64;
        let mut each = vec![];
        for (scheme, label) in SCHEMES.iter().enumerate() {
            let settled = |state: &State| state.settled.max(1) as f64;
            let mean = |of: &dyn Fn(&State) -> f64, digits| {
                let sample = outcome.sample(scheme, last, of);
                Cell::Mean(sample.mean(), sample.half_width95(), digits)
            };
            each.push(outcome.sample(scheme, last, |state| state.cost.ref_time / settled(state)).mean());
            rows.push(vec![
                Cell::Text(name.into()),
                Cell::Text((*label).into()),
                mean(&|state| state.settled as f64 / made, 4),
                mean(&|state| state.cost.ref_time / settled(state), 0),
                mean(&|state| state.cost.proof_size / settled(state), 0),
                mean(&|state| state.cost.fee / settled(state), 6),
            ]);
        }
        let Cost { ref_time, proof_size, fee } = prices.transfer;
        rows.push(vec![
            Cell::Text(name.into()),
            Cell::Text("Direct".into()),
            Cell::Number(1.0, 4),
            Cell::Number(ref_time, 0),
            Cell::Number(proof_size, 0),
            Cell::Number(fee, 6),
        ]);
        let holds = |first: f64, second: f64| if first < second { "holds" } else { "does not hold" };
        text.push(format!(
            "{name}: after {made} payments, in ref_time per settled payment, the paper's Ours < Dual {} ({:.3e} against \
             {:.3e} ps), its Dual < Eth {} and its Ours < Eth {} ({ref_time:.3e} ps a transfer). If Dual goes on chain as \
             often as Ours does, Ours < Dual {} ({:.3e} against {:.3e} ps). Without the group on chain, Ours < Dual {}, and \
             if Dual goes on chain as often {} ({:.3e} ps).",
            holds(each[0], each[1]),
            each[0],
            each[1],
            holds(each[1], ref_time),
            holds(each[0], ref_time),
            holds(each[0], each[2]),
            each[0],
            each[2],
            holds(each[5], each[1]),
            holds(each[5], each[2]),
            each[5],
        ));
    }
    let columns = ["Topology", "Scheme", "Settled", "ref_time (ps)", "proof_size (B)", "Fee (UNIT)"];
    let table = table("figure-9", "Cost of a settled payment, all costs shared", &columns, rows);
    finding(
        "figure-9",
        "Fig. 9: multi-party channels, two-party channels and direct transfers",
        text,
        figures,
        vec![table],
    )
}

fn breaking_even(prices: &Prices, outcomes: &[Outcome]) -> Finding {
    let mut rows = vec![];
    let text = "How many payments have to settle in the first scheme of a row before it costs less than the second for the same \
                payments. Read off the \
                curves, with straight lines between their points, and beyond their end by extrapolation of their second half. \
                It never does where one more payment costs the first no less.";
    type Measure<'a> = (&'a str, &'a dyn Fn(&Cost) -> f64, usize);
    let measures: [Measure; 2] = [("ref_time (ps)", &|cost| cost.ref_time, 0), ("fee (UNIT)", &|cost| cost.fee, 6)];
    for outcome in outcomes {
        for (measure, of, digits) in measures {
            let mut costs: Vec<_> = (0..SCHEMES.len()).map(|scheme| outcome.costs(scheme, of)).collect();
            let direct: Vec<_> =
                costs[0].iter().map(|(settled, _)| (*settled, of(&prices.transfer) * settled)).collect();
            costs.push(direct);
            let label = |scheme: usize| SCHEMES.get(scheme).copied().unwrap_or("Direct");
            let direct = SCHEMES.len();
            for (first, second) in [
                (0, direct),
                (1, direct),
                (5, direct),
                (0, 1),
                (0, 2),
                (5, 1),
                (5, 2),
                (3, direct),
                (4, direct),
                (6, direct),
                (3, 4),
                (6, 4),
            ] {
                let payments = break_even(&costs[first], &costs[second]);
                rows.push(vec![
                    Cell::Text(outcome.name.into()),
                    Cell::Text(measure.into()),
                    Cell::Text(label(first).into()),
                    Cell::Text(label(second).into()),
                    Cell::Number(one_more(&costs[first]), digits),
                    Cell::Number(one_more(&costs[second]), digits),
                    payments.map_or(Cell::Text("never".into()), Cell::Count),
                ]);
            }
        }
    }
    let columns = [
        "Topology",
        "Measure",
        "Cheaper",
        "Than",
        "One more by the first",
        "One more by the second",
        "From payments on",
    ];
    let table = table("break-even", "From how many payments a scheme is cheaper", &columns, rows);
    finding("break-even", "When a channel pays for itself", vec![text.into()], vec![], vec![table])
}

fn cost_by_size(prices: &Prices, sizes: &[u32], outcomes: &[Outcome]) -> Finding {
    let curve = |scheme: usize| -> Vec<Point> {
        let point = |(n, outcome): (&u32, &Outcome)| {
            let each = |state: &State| state.cost.fee / f64::from(*n);
            let sample = outcome.sample(scheme, outcome.last(), each);
            Point::of(f64::from(*n), &sample)
        };
        sizes.iter().zip(outcomes).map(point).collect()
    };
    let (ours, dual) = (curve(0), curve(1));
    let direct = sizes.iter().map(|n| Point { x: f64::from(*n), y: 10.0 * prices.transfer.fee, spread: 0.0 }).collect();
    let text = ours.first().zip(ours.last()).map(|(first, last)| {
        format!(
            "Ten payments a user. Ours costs a user {:.6} UNIT in a group of {} and {:.6} UNIT in one of {}: {:.2} times \
             as much.",
            first.y,
            first.x,
            last.y,
            last.x,
            last.y / first.y
        )
    });
    let mut figure = figure(
        "cost-by-size",
        "Fees a user, ten payments a user",
        "Users",
        "Fees a user (UNIT)",
        vec![
            series("Ours", ours),
            series("Dual", dual),
            series(SCHEMES[2], curve(2)),
            series(SCHEMES[5], curve(5)),
            series("Direct", direct),
        ],
    );
    figure.x.logarithmic = true;
    finding("cost-by-size", "How cost grows with the group", text.into_iter().collect(), vec![figure], vec![])
}

fn series(label: &str, points: Vec<Point>) -> Series {
    Series { label: label.into(), published: false, points }
}

fn figure(name: &str, title: &str, x: &str, y: &str, series: Vec<Series>) -> Figure {
    let axis = |label: &str| Axis { label: label.into(), logarithmic: false };
    Figure { name: name.into(), title: title.into(), x: axis(x), y: axis(y), series }
}

fn table(name: &str, title: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Table {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    Table { name: name.into(), title: title.into(), columns, rows }
}

fn finding(name: &str, title: &str, text: Vec<String>, figures: Vec<Figure>, tables: Vec<Table>) -> Finding {
    let command = if name == "figure-9" { "braid-sim figure 9" } else { "braid-sim cost" };
    Finding { name: name.into(), title: title.into(), command: command.into(), text, figures, tables }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::Silent;
    use planning::Preference;

    #[test]
    fn lines_go_through_what_was_measured() {
        let prices = Prices::measure().expect("the chain accepts");
        assert!(prices.error < 0.02, "{}", prices.error);
        let one = prices.update_one().ref_time;
        // As in docs/costs.md.
        assert!((one / 1_459_797_961.0 - 1.0).abs() < 0.001, "{one}");
        assert!((prices.update.at(256, 256).ref_time / 81_039_311_227.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn schemes_break_even_between_marks_beyond_them_or_never() {
        let flat = [(0.0, 10.0), (10.0, 10.0), (20.0, 10.0)];
        let steep = |each: f64| [(0.0, 0.0), (10.0, 10.0 * each), (20.0, 20.0 * each)];
        assert_eq!(break_even(&flat, &steep(2.0)), Some(5));
        assert_eq!(break_even(&flat, &steep(0.1)), Some(100));
        assert_eq!(break_even(&steep(2.0), &flat), None);
        assert_eq!(break_even(&[(0.0, 1.0)], &[(0.0, 2.0)]), Some(0));
    }

    #[test]
    fn the_same_seed_finds_the_same() {
        let effort = Effort { seed: 1, runs: 2, small: true, preference: Preference::default() };
        let topology = random_topology(10, &mut Pcg64Mcg::seed_from_u64(7)).expect("ten users can be joined");
        let find = || run(&effort, Some(&topology), &Silent).expect("the chain accepts");
        let findings = find();
        assert_eq!(format!("{findings:?}"), format!("{:?}", find()));
        let names: Vec<_> = findings.iter().map(|finding| finding.name.as_str()).collect();
        assert_eq!(names, ["figure-9", "break-even", "cost-by-size"]);
        assert_eq!(findings[0].figures.len(), 2);
        findings.iter().flat_map(|finding| &finding.text).for_each(|text| println!("{text}"));
    }
}
