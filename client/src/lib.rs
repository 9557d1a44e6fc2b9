//! Braid's client: payment channels between two users, braided into groups that settle atomically off chain.
//!
//! - [`keys`], accounts
//! - [`chain`], where contracts run
//! - [`contract`], typed calls of Braid's contract
//! - [`engine`], what parties and their coordinator say to each other; no I/O
//! - [`submission`], calls of the contract that parties and watchers decide to make
//! - [`watch`], a watcher at work on a chain
//! - [`watcher`], what answers disputes while a user sleeps
//! - [`local`], parties, coordinator and chain in one process
//! - [`scon`], calls as text for cargo-contract
//! - [`costs`], what the contract's messages cost

pub mod chain;
pub mod contract;
#[cfg(feature = "embedded")]
pub mod costs;
pub mod engine;
pub mod keys;
pub mod local;
mod registry;
pub mod scon;
pub mod submission;
pub mod watch;
pub mod watcher;
