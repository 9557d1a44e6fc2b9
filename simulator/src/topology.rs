//! Who has channels with whom.

use braid::planning::network::{Link, Network};

/// A network of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// How many users there are. They are numbered from 0.
    pub nodes: u32,
    /// Their channels.
    pub links: Vec<Link>,
}
