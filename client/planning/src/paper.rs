//! The paper's channel selection: formulas 16 to 18 of "Research on Multiparty Payment Technology", and the path of least
//! weight.

use super::{
    net_positions,
    network::{Arc, Network, Node},
    NoPlan, Transfer,
};
use protocol::Balance;
use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
};

/// How much a channel's share of its neighbourhood's funds counts (k1), and how much its balance (k2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preference {
    k1: f64,
    k2: f64,
}

/// k1 and k2 make no weights.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("k1 = {0} and k2 = {1} make no weights: give numbers from 0 to 1, not both 0")]
pub struct BadPreference(f64, f64);

impl Preference {
    /// The paper's k1 and k2. Only their ratio matters.
    ///
    /// # Errors
    /// [`BadPreference`] if one is not in 0..=1, or both are 0.
    pub fn new(k1: f64, k2: f64) -> Result<Self, BadPreference> {
        let unit = 0.0..=1.0;
        if unit.contains(&k1) && unit.contains(&k2) && k1 + k2 > 0.0 {
            Ok(Self { k1, k2 })
        } else {
            Err(BadPreference(k1, k2))
        }
    }
}

impl Default for Preference {
    /// Both count the same.
    fn default() -> Self {
        Self { k1: 0.5, k2: 0.5 }
    }
}

/// The weight of each channel as it stands: W = k1·(1 − Dist) + k2·Bal (formula 18).
#[derive(Clone, Debug, Default)]
pub(super) struct Weights {
    k2: f64,
    /// k1·(1 − Dist), which payments do not change.
    fixed: Vec<f64>,
    weights: Vec<f64>,
    /// From the payer, and from the payee.
    sides: [Side; 2],
    path: Vec<Arc>,
}

/// What is known of the ways from one end.
#[derive(Clone, Debug, Default)]
struct Side {
    least: Vec<f64>,
    /// The arc of each node that leads towards the end.
    arc: Vec<Arc>,
    touched: Vec<Node>,
    heap: BinaryHeap<Reverse<Near>>,
}

/// A node and the weight of the way to it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Near(f64, Node);

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl Weights {
    pub fn new(network: &Network, preference: Preference) -> Self {
        let nodes = network.nodes() as usize;
        let mut near = vec![0; nodes];
        let side = Side { least: vec![f64::INFINITY; nodes], arc: vec![NOWHERE; nodes], ..Side::default() };
        let mut weights = Self {
            k2: preference.k2,
            fixed: (0..network.links()).map(|link| preference.k1 * (1.0 - share(network, link, &mut near))).collect(),
            weights: vec![0.0; network.links()],
            sides: [side.clone(), side],
            path: vec![],
        };
        weights.renew(network, 0..network.links());
        weights
    }

    /// Looks again at channels whose balances may have changed.
    pub fn renew(&mut self, network: &Network, links: impl IntoIterator<Item = usize>) {
        for link in links {
            if let (Some(weight), Some(fixed)) = (self.weights.get_mut(link), self.fixed.get(link)) {
                *weight = fixed + self.k2 * imbalance(network.balances(link));
            }
        }
    }

    /// The path of least weight of channels that can all carry `amount`, in the order of payment: Dijkstra's algorithm
    /// from both ends at once.
    pub fn path(&mut self, network: &Network, from: Node, to: Node, amount: Balance) -> Option<&[Arc]> {
        let [forward, backward] = &mut self.sides;
        forward.begin(from);
        backward.begin(to);
        let mut best: Option<(f64, Node)> = None;
        // No way that is still unknown weighs less than the nearest unknown nodes of both sides together.
        while let (Some(ahead), Some(behind)) = (forward.nearest(), backward.nearest()) {
            if best.is_some_and(|(weight, _)| ahead + behind >= weight) {
                break;
            }
            if forward.heap.len() <= backward.heap.len() {
                forward.advance::<true>(backward, network, &self.weights, amount, &mut best);
            } else {
                backward.advance::<false>(forward, network, &self.weights, amount, &mut best);
            }
        }
        let (_, meeting) = best?;
        self.path.clear();
        self.path.extend(forward.way(network, meeting).map(|arc| network.twin(arc)));
        self.path.reverse();
        self.path.extend(backward.way(network, meeting));
        Some(&self.path)
    }
}

/// The arc of an end.
const NOWHERE: Arc = Arc::MAX;

impl Side {
    fn begin(&mut self, end: Node) {
        for node in self.touched.drain(..) {
            self.least[node as usize] = f64::INFINITY;
        }
        self.heap.clear();
        self.reach(end, 0.0, NOWHERE);
    }

    /// The weight of the way to the nearest node whose channels have not been looked at.
    fn nearest(&mut self) -> Option<f64> {
        while let Some(Reverse(Near(weight, node))) = self.heap.peek().copied() {
            if weight <= self.least[node as usize] {
                return Some(weight);
            }
            self.heap.pop();
        }
        None
    }

    /// Looks at the channels of the nearest node.
    fn advance<const FORWARD: bool>(
        &mut self,
        other: &Self,
        network: &Network,
        weights: &[f64],
        amount: Balance,
        best: &mut Option<(f64, Node)>,
    ) {
        let Some(Reverse(Near(so_far, node))) = self.heap.pop() else { return };
        for arc in network.arcs_of(node) {
            let carries = if FORWARD { network.out(arc) } else { network.back(arc) };
            let (head, weight) = (network.head(arc), so_far + weights[network.link(arc)]);
            if carries < amount || weight >= self.least[head as usize] {
                continue;
            }
            self.reach(head, weight, network.twin(arc));
            let whole = weight + other.least[head as usize];
            if whole < best.map_or(f64::INFINITY, |(least, _)| least) {
                *best = Some((whole, head));
            }
        }
    }

    fn reach(&mut self, node: Node, weight: f64, arc: Arc) {
        self.touched.push(node);
        self.least[node as usize] = weight;
        self.arc[node as usize] = arc;
        self.heap.push(Reverse(Near(weight, node)));
    }

    /// The arcs from a node to the end.
    fn way<'a>(&'a self, network: &'a Network, node: Node) -> impl Iterator<Item = Arc> + 'a {
        let next = move |arc: Arc| Some(self.arc[network.head(arc) as usize]).filter(|arc| *arc != NOWHERE);
        std::iter::successors(Some(self.arc[node as usize]).filter(|arc| *arc != NOWHERE), move |arc| next(*arc))
    }
}

/// Dist (formula 16): what share of the funds around a channel are its own. Around it are the channels of both of its
/// owners with those who have one with each. 0 for a channel without funds.
///
/// `near` is scratch space for each node, all 0 before and after.
fn share(network: &Network, link: usize, near: &mut [u8]) -> f64 {
    let total = |arc| (network.out(arc) + network.back(arc)) as f64;
    let [first, second] = network.arcs(link).map(|arc| network.tail(arc));
    network.arcs_of(first).for_each(|arc| near[network.head(arc) as usize] = 1);
    let mut around = 0.0;
    for arc in network.arcs_of(second) {
        let common = &mut near[network.head(arc) as usize];
        if *common > 0 {
            around += total(arc);
            *common = 2;
        }
    }
    for arc in network.arcs_of(first) {
        if near[network.head(arc) as usize] == 2 {
            around += total(arc);
        }
    }
    network.arcs_of(first).for_each(|arc| near[network.head(arc) as usize] = 0);
    let own = total(network.arcs(link)[0]);
    if own > 0.0 {
        own / (own + around)
    } else {
        0.0
    }
}

/// Bal (formula 17): how far a channel is from an even one; 1 for a channel without funds.
fn imbalance([first, second]: [Balance; 2]) -> f64 {
    match first + second {
        0 => 1.0,
        total => first.abs_diff(second) as f64 / total as f64,
    }
}

/// The transfers with those of each pair netted, in the order in which the pairs first appear, each with the index of
/// the first transfer of its pair.
pub(super) fn netted(transfers: &[Transfer<Node>]) -> Result<Vec<(u32, Transfer<Node>)>, NoPlan> {
    if let [only] = transfers {
        return Ok(vec![(0, *only)]);
    }
    let mut pairs = BTreeMap::<_, (u32, Vec<_>)>::new();
    for (index, transfer) in (0..).zip(transfers) {
        let pair = (transfer.from.min(transfer.to), transfer.from.max(transfer.to));
        pairs.entry(pair).or_insert((index, vec![])).1.push(*transfer);
    }
    let mut netted = vec![];
    for ((low, high), (index, transfers)) in pairs {
        let position = net_positions(&transfers)?.get(&low).copied().unwrap_or_default();
        let (from, to) = if position < 0 { (low, high) } else { (high, low) };
        if position != 0 {
            netted.push((index, Transfer { from, to, amount: position.unsigned_abs() }));
        }
    }
    netted.sort_by_key(|(index, _)| *index);
    Ok(netted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Link;

    #[test]
    fn the_weights_are_the_papers() {
        // A triangle and a tail: 0-1 (10), 1-2 (20), 0-2 (30), 2-3 (40).
        let link = |a, b, balances| Link { ends: [a, b], balances };
        let links = [link(0, 1, [10, 0]), link(1, 2, [15, 5]), link(0, 2, [15, 15]), link(2, 3, [40, 0])];
        let network = Network::new(4, &links).expect("a good network");
        let mut near = vec![0; 4];
        let shares = [10.0 / 60.0, 20.0 / 60.0, 30.0 / 60.0, 1.0];
        for (link, expected) in shares.into_iter().enumerate() {
            assert!((share(&network, link, &mut near) - expected).abs() < 1e-12, "channel {link}");
        }
        assert_eq!([1.0, 0.5, 0.0, 1.0], [0, 1, 2, 3].map(|link| imbalance(network.balances(link))));
        let weights = Weights::new(&network, Preference::new(0.5, 1.0).expect("good numbers"));
        assert!((weights.weights[1] - (0.5 * (1.0 - 20.0 / 60.0) + 0.5)).abs() < 1e-12);
    }

    #[test]
    fn opposite_transfers_are_netted() {
        let transfer = |from, to, amount| Transfer { from, to, amount };
        let transfers = [transfer(3, 1, 5), transfer(1, 2, 4), transfer(1, 3, 2), transfer(2, 1, 4)];
        assert_eq!(netted(&transfers), Ok(vec![(0, transfer(3, 1, 3))]));
    }

    #[test]
    fn numbers_that_make_no_weights_are_refused() {
        for (k1, k2) in [(0.0, 0.0), (-0.1, 1.0), (1.1, 0.0), (f64::NAN, 1.0), (0.5, f64::INFINITY)] {
            assert!(Preference::new(k1, k2).is_err(), "{k1} {k2}");
        }
    }
}
