//! What the contract does, rule by rule, over a chain in memory: what it refuses, passes over, stores, deletes, pays and
//! tells.
#![allow(clippy::unwrap_used)]

mod bench;
#[path = "../common/mod.rs"]
mod common;

mod agreements;
mod bytes;
mod disputes;
mod groups;
mod ledger;
mod leftovers;
mod pairs;
mod updates;
