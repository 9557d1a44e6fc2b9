//! One setting of the payment experiments, measured over many runs.

use super::{Effort, Progress};
use crate::{
    replay::{Count, Rule},
    stats::Sample,
    topology::{BadTopology, Division, Topology},
    workload::{Amounts, BadWorkload, Kind, Transaction, Workload},
};
use braid::planning::NoPlan;
use protocol::Balance;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

/// How users are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// So many channels for each user, at random.
    Random {
        /// Channels that a user has on average.
        degree: u32,
    },
    /// Everybody has one channel, with the same hub.
    Hub,
}

/// A random topology and workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Users.
    pub nodes: u32,
    /// How they are joined.
    pub shape: Shape,
    /// What all channels hold together.
    pub funds: Balance,
    /// How a channel's owners share it at first.
    pub division: Division,
    /// Amounts are from 1 to one below this.
    pub below: Balance,
    /// How much more often some are paid than others: 0 for not at all, else the exponent of a power law.
    pub skew: f64,
}

impl Setting {
    /// How many channels there are.
    pub fn channels(&self) -> u32 {
        match self.shape {
            Shape::Random { degree } => (self.nodes * degree / 2).min(self.nodes * (self.nodes - 1) / 2),
            Shape::Hub => self.nodes - 1,
        }
    }

    /// The topology and the payments of one run. The same seed and run give the same.
    ///
    /// # Errors
    /// [`BadSetting`].
    pub fn draw(&self, seed: u64, run: u32, payments: usize) -> Result<(Topology, Vec<Transaction>), BadSetting> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(u64::from(run)));
        let topology = match self.shape {
            Shape::Random { .. } => Topology::random(self.nodes, self.channels(), &mut rng)?,
            Shape::Hub => Topology::hub_and_spoke(self.nodes)?,
        };
        let topology = topology.funded(self.funds, self.division, &mut rng);
        let workload = Workload::new(self.nodes, Kind::Payment, Amounts::Below(self.below), self.skew, &mut rng)?;
        Ok((topology, workload.draw(payments, &mut rng)))
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

/// How many payments are made, and after how many of them ratios are taken.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Payments.
    pub payments: usize,
    /// Between two points.
    pub step: usize,
}

/// The curves of every rule in every setting: `[setting][rule]`. All rules of a run see the same topology and payments.
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
    let jobs: Vec<_> = settings.iter().flat_map(|setting| (0..effort.runs).map(move |run| (setting, run))).collect();
    let replayed = |(setting, run): &(&Setting, u32)| -> Result<Vec<Vec<bool>>, BadSetting> {
        let (topology, transactions) = setting.draw(effort.seed, *run, length.payments)?;
        let settled = rules.iter().map(|rule| rule.replay(&topology, &transactions)).collect::<Result<_, _>>()?;
        progress.step();
        Ok(settled)
    };
    let mut replayed = jobs.par_iter().map(replayed).collect::<Result<Vec<_>, _>>()?.into_iter();
    let mut curves = vec![vec![Curve::default(); rules.len()]; settings.len()];
    for curves in &mut curves {
        for settled in replayed.by_ref().take(effort.runs as usize) {
            curves.iter_mut().zip(settled).for_each(|(curve, settled)| curve.add(&settled, length.step));
        }
    }
    Ok(curves)
}
