//! The paper's experiments and ours: one module a question, each of which answers with
//! [`Finding`](crate::output::Finding)s.

pub mod cost;
pub mod delay;

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
