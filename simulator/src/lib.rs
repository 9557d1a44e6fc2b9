//! Experiments with payment networks: what the strategies of [`planning`] achieve, how long the engine takes, and
//! what the contract costs.
//!
//! - [`topology`], who has channels with whom
//! - [`import`], real topologies from files
//! - [`workload`], who pays whom
//! - [`experiments`], the paper's figures and tables and ours
//! - [`replay`], the one on the other, by a rule
//! - [`spec`], networks and workloads as people type them
//! - [`optimum`], what somebody who knew the future could do
//! - [`output`], what an experiment finds, and its CSV files
//! - [`speed`], payments a second
//! - [`stats`], means of several runs
//! - [`plot`], a figure as an SVG
//! - [`report`], everything that was found as one page

pub mod experiments;
pub mod import;
pub mod optimum;
pub mod output;
pub mod plot;
pub mod replay;
pub mod report;
pub mod spec;
pub mod speed;
pub mod stats;
pub mod topology;
pub mod workload;
