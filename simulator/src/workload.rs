//! Who pays whom.

use braid::planning::{network::Node, Transfer};

/// A transaction: all of its transfers settle, or none.
pub type Transaction = Vec<Transfer<Node>>;
