//! The paper's experiments and ours: one module a question, each of which answers with
//! [`Finding`]s.

use crate::{import, output::Finding, replay::Rule};
use planning::{planner::Strategy, Preference};
use std::path::Path;

pub mod amount;
pub mod applications;
pub mod compare;
pub mod cost;
pub mod delay;
pub mod limits;
pub mod preference;
pub mod published;
pub mod setting;
pub mod success;
pub mod topology;

/// How much work an experiment does.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Where the random numbers start. The same seed gives the same findings.
    pub seed: u64,
    /// How many runs stand behind a point, each with a topology and a workload of its own.
    pub runs: u32,
    /// Whether sizes are cut to what a test can afford.
    pub small: bool,
    /// The paper's k1 and k2.
    pub preference: Preference,
}

impl Effort {
    /// All rules that are compared, in the order of the tables.
    pub fn rules(&self) -> [Rule; 5] {
        let [shortest, available, flow] = [Strategy::Shortest, Strategy::Available, Strategy::Flow].map(Rule::Planned);
        [Rule::Planned(Strategy::Paper(self.preference)), shortest, available, flow, Rule::Pooled]
    }
}

/// Hears how far an experiment has come.
pub trait Progress: Sync {
    /// An experiment begins a part of so many steps.
    fn begin(&self, part: &str, steps: u64);
    /// A step is done.
    fn step(&self);
}

/// Hears nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn step(&self) {}
}

/// An experiment as a command knows it.
pub struct Experiment {
    /// Its name on the command line.
    pub name: &'static str,
    /// The names of its findings that repeat a table or a figure of the paper.
    pub repeats: &'static [&'static str],
    /// Runs it. The path leads to the folder with the files of the Lightning network, if there is one.
    pub run: Run,
}

/// What runs an experiment.
pub type Run = fn(&Effort, Option<&Path>, &dyn Progress) -> anyhow::Result<Vec<Finding>>;

/// All experiments, in the order of the report.
pub const ALL: [Experiment; 8] = [
    Experiment {
        name: "delay",
        repeats: &["table-1", "figure-2", "figure-3", "figure-4"],
        run: |effort, _, progress| delay::run(effort, progress),
    },
    Experiment {
        name: "success",
        repeats: &["table-2", "table-3", "table-4"],
        run: |effort, _, progress| success::run(effort, progress),
    },
    Experiment {
        name: "topology",
        repeats: &["figure-5", "figure-6", "figure-7"],
        run: |effort, _, progress| topology::run(effort, progress),
    },
    Experiment { name: "amount", repeats: &["figure-8"], run: |effort, _, progress| amount::run(effort, progress) },
    Experiment {
        name: "applications",
        repeats: &[],
        run: |effort, lightning, progress| {
            applications::run(effort, lightning.map(import::cloth).transpose()?, progress)
        },
    },
    Experiment { name: "limits", repeats: &[], run: |effort, _, progress| limits::run(effort, progress) },
    Experiment { name: "preference", repeats: &[], run: |effort, _, progress| preference::run(effort, progress) },
    Experiment {
        name: "cost",
        repeats: &["figure-9"],
        run: |effort, lightning, progress| {
            let lightning = lightning.map(import::cloth).transpose()?;
            cost::run(effort, lightning.as_ref(), progress)
        },
    },
];
