//! Who has channels with whom, and what they hold.

use petgraph::unionfind::UnionFind;
use planning::{
    network::{Link, Network, Node},
    NoPlan,
};
use protocol::Balance;
use rand::{seq::SliceRandom, Rng};
use std::collections::{BTreeSet, VecDeque};

/// A network of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// How many users there are. They are numbered from 0.
    pub nodes: u32,
    /// Their channels.
    pub links: Vec<Link>,
}

/// How a channel's funds are divided between its owners at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// Both hold the same; an odd token is the first owner's.
    Even,
    /// Any division is as likely as another.
    Random,
    /// One of them, by chance, holds all: a channel that one has opened.
    OneSided,
}

/// There is no such topology.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadTopology {
    /// Nobody can have a channel.
    #[error("{0} users: a network needs at least 2")]
    TooFewNodes(u32),
    /// Not all can be joined, or there are not so many pairs.
    #[error("{channels} channels among {nodes} users: give from {least} to {most}")]
    BadChannels {
        /// Asked for.
        channels: u64,
        /// Users.
        nodes: u32,
        /// For a connected network.
        least: u64,
        /// Every pair once.
        most: u64,
    },
    /// Too many or too few neighbours.
    #[error("{0} channels for each new user: give at least 1, and fewer than there are users")]
    BadPerNode(u32),
    /// A ring needs an even number of neighbours.
    #[error("{0} neighbours on the ring: give an even number from 2 up, below the number of users")]
    BadNeighbours(u32),
    /// No probability.
    #[error("rewiring {0}: give a probability from 0 to 1")]
    BadRewiring(f64),
}

impl Topology {
    /// G(n, m), connected: a random tree, then pairs at random until there are so many channels. NetworkX's generator may
    /// leave users without a channel, who could never pay; here nobody is left out.
    ///
    /// # Errors
    /// [`BadTopology`].
    pub fn random(nodes: u32, channels: u32, rng: &mut impl Rng) -> Result<Self, BadTopology> {
        check_nodes(nodes)?;
        let (least, most) = (u64::from(nodes) - 1, u64::from(nodes) * (u64::from(nodes) - 1) / 2);
        if !(least..=most).contains(&channels.into()) {
            return Err(BadTopology::BadChannels { channels: channels.into(), nodes, least, most });
        }
        let mut order: Vec<_> = (0..nodes).collect();
        order.shuffle(rng);
        let mut pairs = Pairs::default();
        for index in 1..order.len() {
            pairs.add(order[index], order[rng.random_range(0..index)]);
        }
        while pairs.list.len() < channels as usize {
            pairs.add(rng.random_range(0..nodes), rng.random_range(0..nodes));
        }
        Ok(pairs.topology(nodes))
    }

    /// Barabási and Albert's growth: each new user has `per_node` channels, more likely with those who have many.
    ///
    /// # Errors
    /// [`BadTopology`].
    pub fn barabasi_albert(nodes: u32, per_node: u32, rng: &mut impl Rng) -> Result<Self, BadTopology> {
        check_nodes(nodes)?;
        if per_node == 0 || per_node >= nodes {
            return Err(BadTopology::BadPerNode(per_node));
        }
        let mut pairs = Pairs::default();
        // Every user as often as it has channels; the first ones once more, so that somebody is there to begin with.
        let mut ends: Vec<Node> = (0..per_node).collect();
        for node in per_node..nodes {
            let mut chosen = BTreeSet::new();
            while chosen.len() < per_node as usize {
                chosen.insert(ends[rng.random_range(0..ends.len())]);
            }
            for other in chosen {
                pairs.add(node, other);
                ends.extend([node, other]);
            }
        }
        Ok(pairs.topology(nodes))
    }

    /// Watts and Strogatz's small world: a ring on which everybody has `neighbours` channels, each moved to another user
    /// with probability `rewiring`. Connected again by a channel where moving has cut it.
    ///
    /// # Errors
    /// [`BadTopology`].
    pub fn watts_strogatz(nodes: u32, neighbours: u32, rewiring: f64, rng: &mut impl Rng) -> Result<Self, BadTopology> {
        check_nodes(nodes)?;
        if neighbours < 2 || neighbours % 2 == 1 || neighbours >= nodes {
            return Err(BadTopology::BadNeighbours(neighbours));
        }
        if !(0.0..=1.0).contains(&rewiring) {
            return Err(BadTopology::BadRewiring(rewiring));
        }
        let mut pairs = Pairs::default();
        for step in 1..=neighbours / 2 {
            for node in 0..nodes {
                let mut pair = (node, (node + step) % nodes);
                if rng.random_bool(rewiring) {
                    pair.1 = rng.random_range(0..nodes);
                }
                // One that is there already is moved on, to anybody: its first owner may have one with everybody.
                while !pairs.add(pair.0, pair.1) {
                    pair = (rng.random_range(0..nodes), rng.random_range(0..nodes));
                }
            }
        }
        let mut joined = UnionFind::new(nodes as usize);
        for [a, b] in &pairs.list {
            joined.union(*a as usize, *b as usize);
        }
        for node in 1..nodes {
            if joined.union(0, node as usize) {
                pairs.add(0, node);
            }
        }
        Ok(pairs.topology(nodes))
    }

    /// Everybody has one channel, with user 0.
    ///
    /// # Errors
    /// [`BadTopology`].
    pub fn hub_and_spoke(nodes: u32) -> Result<Self, BadTopology> {
        check_nodes(nodes)?;
        let mut pairs = Pairs::default();
        (1..nodes).for_each(|node| {
            pairs.add(0, node);
        });
        Ok(pairs.topology(nodes))
    }

    /// The same channels, which hold `total` tokens together: each the same, the first ones one more if it does not divide.
    pub fn funded(mut self, total: Balance, division: Division, rng: &mut impl Rng) -> Self {
        let count = self.links.len().max(1) as Balance;
        for (index, link) in (0..).zip(&mut self.links) {
            let capacity = total / count + Balance::from(index < total % count);
            link.balances = division.of(capacity, rng);
        }
        self
    }

    /// The same channels with the same capacities, divided anew between their owners.
    pub fn divided(mut self, division: Division, rng: &mut impl Rng) -> Self {
        for link in &mut self.links {
            link.balances = division.of(link.balances[0].saturating_add(link.balances[1]), rng);
        }
        self
    }

    /// What all channels hold together.
    pub fn funds(&self) -> Balance {
        self.links.iter().flat_map(|link| link.balances).fold(0, Balance::saturating_add)
    }

    /// The channels as planning wants them.
    ///
    /// # Errors
    /// If a channel is none, or balances overflow.
    pub fn network(&self) -> Result<Network, NoPlan> {
        Network::new(self.nodes, &self.links)
    }

    /// The users who can all reach each other and are most, renumbered in their order.
    pub fn largest_component(&self) -> Self {
        let mut joined = UnionFind::<u32>::new(self.nodes as usize);
        for link in &self.links {
            joined.union(link.ends[0], link.ends[1]);
        }
        let labels = joined.into_labeling();
        let mut sizes = vec![0_u32; self.nodes as usize];
        labels.iter().for_each(|label| sizes[*label as usize] += 1);
        let largest = (0..).zip(&sizes).max_by_key(|(_, size)| **size).map_or(0, |(label, _)| label);
        self.keep(|node| labels[node as usize] == largest)
    }

    /// A connected cut of so many users, or of all if there are fewer in the part where it begins: what lies around a user
    /// at random, by hops.
    pub fn cut(&self, nodes: u32, rng: &mut impl Rng) -> Self {
        let mut neighbours = vec![vec![]; self.nodes as usize];
        for Link { ends: [a, b], .. } in &self.links {
            neighbours[*a as usize].push(*b);
            neighbours[*b as usize].push(*a);
        }
        let mut kept = vec![false; self.nodes as usize];
        let mut queue = VecDeque::new();
        let mut left = nodes;
        if self.nodes > 0 && left > 0 {
            let start = rng.random_range(0..self.nodes);
            kept[start as usize] = true;
            queue.push_back(start);
            left -= 1;
        }
        while let Some(node) = queue.pop_front() {
            neighbours[node as usize].shuffle(rng);
            for other in std::mem::take(&mut neighbours[node as usize]) {
                if left > 0 && !kept[other as usize] {
                    kept[other as usize] = true;
                    queue.push_back(other);
                    left -= 1;
                }
            }
        }
        self.keep(|node| kept[node as usize])
    }

    fn keep(&self, is_kept: impl Fn(Node) -> bool) -> Self {
        let mut nodes = 0;
        let number = |node| {
            is_kept(node).then(|| {
                nodes += 1;
                nodes - 1
            })
        };
        let numbers: Vec<Option<Node>> = (0..self.nodes).map(number).collect();
        let link = |link: &Link| {
            let [a, b] = link.ends.map(|end| numbers[end as usize]);
            Some(Link { ends: [a?, b?], balances: link.balances })
        };
        Self { nodes, links: self.links.iter().filter_map(link).collect() }
    }
}

impl Division {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Random => "random",
            Self::OneSided => "one-sided",
        }
    }

    /// What each owner of a channel gets.
    pub fn of(self, capacity: Balance, rng: &mut impl Rng) -> [Balance; 2] {
        let first = match self {
            Self::Even => capacity - capacity / 2,
            Self::Random => rng.random_range(0..=capacity),
            Self::OneSided => capacity * Balance::from(rng.random_bool(0.5)),
        };
        [first, capacity - first]
    }
}

fn check_nodes(nodes: u32) -> Result<(), BadTopology> {
    if nodes < 2 {
        Err(BadTopology::TooFewNodes(nodes))
    } else {
        Ok(())
    }
}

/// Pairs of users, each once.
#[derive(Default)]
struct Pairs {
    list: Vec<[Node; 2]>,
    known: BTreeSet<[Node; 2]>,
}

impl Pairs {
    /// Whether the pair was one and new.
    fn add(&mut self, a: Node, b: Node) -> bool {
        let new = a != b && self.known.insert([a.min(b), a.max(b)]);
        if new {
            self.list.push([a, b]);
        }
        new
    }

    fn topology(self, nodes: u32) -> Topology {
        Topology { nodes, links: self.list.into_iter().map(|ends| Link { ends, balances: [0, 0] }).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    fn rng(seed: u64) -> Pcg64Mcg {
        Pcg64Mcg::seed_from_u64(seed)
    }

    fn is_simple(topology: &Topology) -> bool {
        let pairs = topology.links.iter().map(|link| [link.ends[0].min(link.ends[1]), link.ends[0].max(link.ends[1])]);
        pairs.collect::<BTreeSet<_>>().len() == topology.links.len() && topology.network().is_ok()
    }

    fn is_connected(topology: &Topology) -> bool {
        topology.largest_component().nodes == topology.nodes
    }

    proptest! {
        #[test]
        fn networks_are_simple_and_connected_and_as_large_as_asked(
            seed in any::<u64>(), nodes in 3..60_u32, size in 0..1000_u32, rewiring in 0.0..=1.0,
        ) {
            let rng = &mut rng(seed);
            let channels = nodes - 1 + size % (nodes * (nodes - 1) / 2 - nodes + 2);
            let per_node = 1 + size % (nodes - 1);
            let neighbours = 2 + 2 * (size % ((nodes - 1) / 2));
            let small_world = Topology::watts_strogatz(nodes, neighbours, rewiring, rng)?;
            prop_assert!(small_world.links.len() >= (nodes * neighbours / 2) as usize);
            let networks = [
                (Topology::random(nodes, channels, rng)?, channels),
                (Topology::barabasi_albert(nodes, per_node, rng)?, per_node * (nodes - per_node)),
                (Topology::hub_and_spoke(nodes)?, nodes - 1),
                (small_world.clone(), small_world.links.len() as u32),
            ];
            for (network, channels) in networks {
                prop_assert_eq!((network.nodes, network.links.len()), (nodes, channels as usize));
                prop_assert!(is_simple(&network) && is_connected(&network));
                let network = network.funded(Balance::from(seed), Division::Random, rng);
                prop_assert_eq!(network.funds(), Balance::from(seed));
                let capacities = || network.links.iter().map(|link| link.balances[0] + link.balances[1]);
                prop_assert!(capacities().max() <= capacities().min().map(|least| least + 1));
            }
        }

        #[test]
        fn cuts_are_connected(seed in any::<u64>(), channels in 60..200_u32, nodes in 1..=60_u32) {
            let rng = &mut rng(seed);
            let cut = Topology::random(60, channels, rng)?.cut(nodes, rng);
            prop_assert_eq!(cut.nodes, nodes);
            prop_assert!(is_simple(&cut) && is_connected(&cut));
        }
    }

    #[test]
    fn the_largest_component_is_numbered_anew() {
        let link = |ends| Link { ends, balances: [1, 2] };
        let topology = Topology { nodes: 6, links: vec![link([0, 1]), link([5, 2]), link([3, 5])] };
        let largest = Topology { nodes: 3, links: vec![link([2, 0]), link([1, 2])] };
        assert_eq!(topology.largest_component(), largest);
        let nobody = Topology { nodes: 0, links: vec![] };
        assert_eq!((nobody.largest_component(), nobody.cut(1, &mut rng(1))), (nobody.clone(), nobody));
    }

    #[test]
    fn impossible_parameters_are_named() {
        let rng = &mut rng(1);
        assert_eq!(Topology::random(1, 0, rng), Err(BadTopology::TooFewNodes(1)));
        for channels in [2, 7] {
            let error = BadTopology::BadChannels { channels: channels.into(), nodes: 4, least: 3, most: 6 };
            assert_eq!(Topology::random(4, channels, rng), Err(error));
        }
        for per_node in [0, 4] {
            assert_eq!(Topology::barabasi_albert(4, per_node, rng), Err(BadTopology::BadPerNode(per_node)));
        }
        for neighbours in [0, 3, 10] {
            let error = Err(BadTopology::BadNeighbours(neighbours));
            assert_eq!(Topology::watts_strogatz(9, neighbours, 0.0, rng), error);
        }
        assert_eq!(Topology::watts_strogatz(9, 4, 1.5, rng), Err(BadTopology::BadRewiring(1.5)));
    }
}
