//! Experiments with payment networks: what the strategies of [`braid::planning`] achieve, how long the engine takes, and
//! what the contract costs.
//!
//! - [`topology`], who has channels with whom
//! - [`workload`], who pays whom
//! - [`experiments`], the paper's figures and tables and ours
//! - [`stats`], means of runs and their confidence intervals
//! - [`output`], what an experiment finds, and its CSV files

pub mod experiments;
pub mod output;
pub mod stats;
pub mod topology;
pub mod workload;
