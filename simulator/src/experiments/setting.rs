//! One setting of the payment experiments, measured over many runs.

use super::{Effort, Progress};
use crate::{
    replay::{Count, Fate, Rule},
    stats::Sample,
    topology::{BadTopology, Division, Topology},
    workload::{Amounts, BadWorkload, Kind, Transaction, Workload},
};
use planning::NoPlan;
use protocol::Balance;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use std::sync::Arc;

/// The model of the graph that users and their channels are.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphModel {
    /// So many channels, at random.
    Random {
        /// How many channels there are.
        channels: u32,
    },
    /// Barabási and Albert's growth.
    BarabasiAlbert {
        /// Channels that each new user opens.
        per_node: u32,
    },
    /// Watts and Strogatz's small world.
    WattsStrogatz {
        /// Neighbours on the ring.
        neighbours: u32,
        /// The share of channels that are moved.
        rewiring: f64,
    },
    /// Everybody has one channel, with the same hub.
    Hub,
    /// What lies around a user at random of a given network; all of it if that has no more users.
    Cut(Arc<Topology>),
}

/// What channels hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Funds {
    /// So much all together, and each the same.
    Together(Balance, Division),
    /// So much in each.
    Each(Balance, Division),
    /// What the given network says, divided anew: who publishes capacities publishes no balances.
    Divided(Division),
    /// What the given network says.
    Given,
}

/// A random topology and workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Users.
    pub nodes: u32,
    /// How their channels join them.
    pub graph: GraphModel,
    /// What their channels hold.
    pub funds: Funds,
    /// What they do.
    pub kind: Kind,
    /// How much they pay.
    pub amounts: Amounts,
    /// How much more often some are paid than others: 0 for not at all, else the exponent of a power law.
    pub skew: f64,
}

impl Setting {
    /// The topology and the transactions of one run. The same seed and run give the same.
    ///
    /// # Errors
    /// [`BadSetting`].
    pub fn draw(&self, seed: u64, run: u32, transactions: usize) -> Result<(Topology, Vec<Transaction>), BadSetting> {
        let rng = &mut Pcg64Mcg::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(u64::from(run)));
        let topology = match &self.graph {
            GraphModel::Random { channels } => Topology::random(self.nodes, *channels, rng)?,
            GraphModel::BarabasiAlbert { per_node } => Topology::barabasi_albert(self.nodes, *per_node, rng)?,
            GraphModel::WattsStrogatz { neighbours, rewiring } => {
                Topology::watts_strogatz(self.nodes, *neighbours, *rewiring, rng)?
            }
            GraphModel::Hub => Topology::hub_and_spoke(self.nodes)?,
            GraphModel::Cut(whole) if self.nodes >= whole.nodes => Topology::clone(whole),
            GraphModel::Cut(whole) => whole.cut(self.nodes, rng),
        };
        let topology = match self.funds {
            Funds::Together(total, division) => topology.funded(total, division, rng),
            Funds::Each(capacity, division) => {
                let total = capacity.saturating_mul(topology.links.len() as Balance);
                topology.funded(total, division, rng)
            }
            Funds::Divided(division) => topology.divided(division, rng),
            Funds::Given => topology,
        };
        let workload = Workload::new(topology.nodes, self.kind, self.amounts, self.skew, rng)?;
        Ok((topology, workload.draw(transactions, rng)))
    }
}

/// The ratios of success, in percent, of one rule in one setting: after each step of payments, over all runs.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// By [`Count::SoFar`].
    pub so_far: Vec<Sample>,
    /// By [`Count::Since`].
    pub since: Vec<Sample>,
}

impl Curve {
    /// The ratios by one way of counting.
    pub fn by(&self, count: Count) -> &[Sample] {
        match count {
            Count::SoFar => &self.so_far,
            Count::Since => &self.since,
        }
    }

    /// The ratio of all payments, at the end.
    pub fn last(&self) -> Sample {
        self.so_far.last().copied().unwrap_or_default()
    }

    fn add(&mut self, settled: &[bool], step: usize) {
        for (samples, count) in [(&mut self.so_far, Count::SoFar), (&mut self.since, Count::Since)] {
            let ratios = count.ratios(settled, step);
            samples.resize(ratios.len(), Sample::default());
            samples.iter_mut().zip(ratios).for_each(|(sample, ratio)| sample.add(ratio));
        }
    }
}

/// Why a setting cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum BadSetting {
    /// There is no such topology.
    #[error(transparent)]
    Topology(#[from] BadTopology),
    /// There is no such workload.
    #[error(transparent)]
    Workload(#[from] BadWorkload),
    /// The topology is no network.
    #[error(transparent)]
    Network(#[from] NoPlan),
}

/// How many transactions are made, and after how many of them ratios are taken.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Transactions.
    pub transactions: usize,
    /// Between two points.
    pub step: usize,
}

/// What became of a setting's transactions by one rule, in percent, over all runs.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The ratios of success on the way.
    pub curve: Curve,
    /// Transactions that settled.
    pub settled: Sample,
    /// Tokens that were to be paid and were.
    pub value: Sample,
    /// Transactions whose payers had not the money: [`Fate::NoMoney`].
    pub no_money: Sample,
    /// Transactions that the payees' channels had no room for: [`Fate::NoRoom`].
    pub no_room: Sample,
    /// Transactions that the channels could not carry: [`Fate::NoFlow`].
    pub no_flow: Sample,
    /// Transactions that the rule could have settled by other channels: [`Fate::NotFound`].
    pub not_found: Sample,
}

impl Outcome {
    fn add(&mut self, transactions: &[Transaction], fates: &[Fate], step: usize) {
        let settled: Vec<_> = fates.iter().map(|fate| *fate == Fate::Settled).collect();
        self.curve.add(&settled, step);
        let percent = |part: f64, whole: f64| 100.0 * part / whole.max(1.0);
        let share =
            |fate: Fate| percent(fates.iter().filter(|known| **known == fate).count() as f64, fates.len() as f64);
        let value = |transaction: &Transaction| transaction.iter().map(|pay| pay.amount as f64).sum::<f64>();
        let paid = transactions.iter().zip(&settled).filter(|(_, settled)| **settled);
        let paid: f64 = paid.map(|(transaction, _)| value(transaction)).sum();
        self.settled.add(share(Fate::Settled));
        self.value.add(percent(paid, transactions.iter().map(value).sum()));
        self.no_money.add(share(Fate::NoMoney));
        self.no_room.add(share(Fate::NoRoom));
        self.no_flow.add(share(Fate::NoFlow));
        self.not_found.add(share(Fate::NotFound));
    }
}

/// The curves of every rule in every setting: `[setting][rule]`. All rules of a run see the same topology and transactions.
///
/// # Errors
/// [`BadSetting`].
pub fn measure(
    settings: &[Setting],
    rules: &[Rule],
    length: Length,
    effort: &Effort,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Curve>>, BadSetting> {
    let add = |curve: &mut Curve, _: &[Transaction], settled: Vec<bool>| curve.add(&settled, length.step);
    over_runs(settings, rules, length.transactions, effort, progress, Rule::replay, add)
}

/// What became of the transactions, and why, by every rule in every setting: `[setting][rule]`. Slower than [`measure`].
///
/// # Errors
/// [`BadSetting`].
pub fn outcomes(
    settings: &[Setting],
    rules: &[Rule],
    length: Length,
    effort: &Effort,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Outcome>>, BadSetting> {
    let add = |outcome: &mut Outcome, made: &[Transaction], fates: Vec<Fate>| outcome.add(made, &fates, length.step);
    over_runs(settings, rules, length.transactions, effort, progress, Rule::fates, add)
}

/// Every rule in every run of every setting, on all cores; and what they gave summed up in the order of the runs, since
/// the sums of floats depend on it.
fn over_runs<T: Send, S: Clone + Default>(
    settings: &[Setting],
    rules: &[Rule],
    transactions: usize,
    effort: &Effort,
    progress: &dyn Progress,
    apply: impl Fn(&Rule, &Topology, &[Transaction]) -> Result<Vec<T>, NoPlan> + Sync,
    add: impl Fn(&mut S, &[Transaction], Vec<T>),
) -> Result<Vec<Vec<S>>, BadSetting> {
    type Done<T> = (Vec<Transaction>, Vec<Vec<T>>);
    let jobs: Vec<_> = settings.iter().flat_map(|setting| (0..effort.runs).map(move |run| (setting, run))).collect();
    let run = |(setting, run): &(&Setting, u32)| -> Result<Done<T>, BadSetting> {
        let (topology, transactions) = setting.draw(effort.seed, *run, transactions)?;
        let done = rules.iter().map(|rule| apply(rule, &topology, &transactions)).collect::<Result<_, _>>()?;
        progress.step();
        Ok((transactions, done))
    };
    let mut done = jobs.par_iter().map(run).collect::<Result<Vec<_>, _>>()?.into_iter();
    let mut sums = vec![vec![S::default(); rules.len()]; settings.len()];
    for sums in &mut sums {
        for (transactions, done) in done.by_ref().take(effort.runs as usize) {
            sums.iter_mut().zip(done).for_each(|(sum, done)| add(sum, &transactions, done));
        }
    }
    Ok(sums)
}
