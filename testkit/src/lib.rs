//! Worlds of engines in one process: a chain in memory that runs the contract's own code, a network that loses, repeats and
//! reorders, processes that die, and users who lie.
//!
//! - [`ledger`], the contract over storage in memory
//! - [`signers`], keys: symbols that cost nothing, and real ones
//! - [`town`], a world with channels and groups in it
//! - [`world`], engines, network and chain under one clock
//! - [`liars`], what dishonest users do
//!
//! With the feature `chain` there is `local` as well: a world on the embedded chain or on a node, where nothing goes wrong.

pub mod ledger;
pub mod liars;
#[cfg(feature = "chain")]
pub mod local;
pub mod signers;
pub mod town;
pub mod world;
