//! The paper's experiments and ours: one module a question, each of which answers with
//! [`Finding`]s.

use crate::output::Finding;
use std::path::Path;

/// How much work an experiment does.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Where the random numbers start. The same seed gives the same findings.
    pub seed: u64,
    /// How many runs stand behind a point, each with a topology and a workload of its own.
    pub runs: u32,
    /// Whether sizes are cut to what a test can afford.
    pub small: bool,
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
pub const ALL: [Experiment; 5] = [
    Experiment {
        name: "delay",
        repeats: &["figure-2", "figure-3", "figure-4"],
        run: |effort, _, progress| placeholder("delay", effort, progress),
    },
    Experiment {
        name: "success",
        repeats: &["table-2", "table-3", "table-4"],
        run: |effort, _, progress| placeholder("success", effort, progress),
    },
    Experiment {
        name: "topology",
        repeats: &["figure-5", "figure-6", "figure-7"],
        run: |effort, _, progress| placeholder("topology", effort, progress),
    },
    Experiment {
        name: "amount",
        repeats: &["figure-8"],
        run: |effort, _, progress| placeholder("amount", effort, progress),
    },
    Experiment {
        name: "cost",
        repeats: &["table-1", "figure-9"],
        run: |effort, _, progress| placeholder("cost", effort, progress),
    },
];

// PLACEHOLDER until the modules are here: delete this function and call delay::run and its like above.
fn placeholder(name: &str, effort: &Effort, progress: &dyn Progress) -> anyhow::Result<Vec<Finding>> {
    use crate::output::{Axis, Cell, Figure, Point, Series, Table};
    let (_, repeats) =
        ALL.iter().map(|known| (known.name, known.repeats)).find(|(known, _)| *known == name).unwrap_or((name, &[]));
    progress.begin(name, repeats.len() as u64);
    let finding = |repeats: &&str| {
        progress.step();
        let point = |x| Point { x, y: x * f64::from(effort.runs), spread: 0.0 };
        let series = Series { label: "Ours".to_owned(), published: false, points: vec![point(0.0), point(4.0)] };
        let axis = |label: &str| Axis { label: label.to_owned(), logarithmic: false };
        Finding {
            name: (*repeats).to_owned(),
            title: format!("What stands for {repeats}"),
            command: format!("braid-sim {name} --seed {}", effort.seed),
            text: Vec::new(),
            figures: vec![Figure {
                name: format!("{repeats}-curves"),
                title: "A line".to_owned(),
                x: axis("x"),
                y: axis("y"),
                series: vec![series],
            }],
            tables: vec![Table {
                name: format!("{repeats}-values"),
                title: "A value".to_owned(),
                columns: vec!["what".to_owned(), "how much".to_owned()],
                rows: vec![vec![Cell::Text("it".to_owned()), Cell::Mean(1.0, 0.5, 1)]],
            }],
        }
    };
    Ok(repeats.iter().map(finding).collect())
}
