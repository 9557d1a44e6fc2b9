//! Braid's client: payment channels between two users, braided into groups that settle atomically off chain.
//!
//! - [`engine`], what parties and their coordinator say to each other; no I/O
//! - [`watch`], a watcher at work on a chain
//! - [`watcher`], what answers disputes while a user sleeps
//! - [`local`], parties, coordinator and chain in one process

pub mod engine;
pub mod local;
pub mod watch;
pub mod watcher;
