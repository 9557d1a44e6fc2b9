//! The least flow that settles net positions over all channels at once.
//!
//! What it can settle is exactly what the channels can carry: the maximum flow from those who pay to those who are paid
//! (Ford and Fulkerson's theorem on the network of balances, in which a payment is its own residual). Among the flows that
//! settle, the one of least planck times channels is taken, by successive shortest paths with potentials; a single path
//! that touches fewer channels is preferred to it.

use super::{
    network::{Arc, Network, Node},
    search::{Search, Tie},
    NoPlan,
};
use protocol::Balance;
use std::{cmp::Reverse, collections::BinaryHeap};

/// A user and how much is still to be paid by it or to it.
pub(super) type Rest = (Node, Balance);

/// Settles what `payers` owe and `payees` get, which sum to the same; nobody is in both.
///
/// # Errors
/// [`NoPlan::NoFlow`].
pub(super) fn settle(
    network: &mut Network,
    search: &mut Search,
    scratch: &mut Scratch,
    payers: &[Rest],
    payees: &[Rest],
) -> Result<(), NoPlan> {
    let short = shortfall(network, payers, payees);
    if short > 0 {
        return Err(NoPlan::NoFlow(short));
    }
    let single = match (payers, payees) {
        ([(payer, amount)], [(payee, _)]) => {
            let ends = || ([*payer].into_iter(), [*payee].into_iter());
            let single = search.path(network, ends(), *amount, Tie::Widest).map(<[Arc]>::to_vec);
            if let Some(single) = &single {
                // Whatever is split touches two channels more than the shortest way, or one if two channels join the
                // same two users.
                let is_best = single.len() <= 2
                    || search.path(network, ends(), 1, Tie::First).is_some_and(|way| single.len() <= way.len() + 1);
                if is_best {
                    push(network, single, *amount);
                    return Ok(());
                }
            }
            single
        }
        _ => None,
    };
    if single.is_none() {
        match tried(network, search, payers, payees) {
            0 => {}
            left => return Err(NoPlan::NoFlow(left)),
        }
    }
    scratch.settle(network, payers, payees);
    if let Some(single) = single.filter(|single| single.len() <= network.changes().count()) {
        network.undo();
        push(network, &single, payers[0].1);
    }
    Ok(())
}

/// How much of what is owed no paths at all can carry, on a network on which nothing has been tried: 0 if all can settle.
pub(super) fn left_over(network: &mut Network, search: &mut Search, payers: &[Rest], payees: &[Rest]) -> Balance {
    match shortfall(network, payers, payees) {
        0 => tried(network, search, payers, payees),
        short => short,
    }
}

/// What [`carry`] leaves over, on a network that it leaves as it was.
fn tried(network: &mut Network, search: &mut Search, payers: &[Rest], payees: &[Rest]) -> Balance {
    let left = carry(network, search, payers, payees);
    network.undo();
    left
}

/// What the channels of payers and payees alone cannot carry, a quick bound.
fn shortfall(network: &Network, payers: &[Rest], payees: &[Rest]) -> Balance {
    let unpaid = payers.iter().map(|(node, amount)| amount.saturating_sub(network.funds(*node)));
    let unheld = payees.iter().map(|(node, amount)| amount.saturating_sub(network.receivable(*node)));
    unpaid.sum::<Balance>().max(unheld.sum())
}

fn push(network: &mut Network, path: &[Arc], amount: Balance) {
    path.iter().for_each(|arc| network.push(*arc, amount));
}

/// Takes what a path carries off what its ends still owe and get.
fn take(rests: &mut Vec<Rest>, node: Node, amount: Balance) {
    rests.retain_mut(|(of, rest)| {
        if *of == node {
            *rest -= amount;
        }
        *rest > 0
    });
}

fn rest(rests: &[Rest], node: Node) -> Balance {
    rests.iter().find(|(of, _)| *of == node).map_or(0, |(_, rest)| *rest)
}

/// Carries as much as can be carried, over shortest paths, and answers what is left over.
fn carry(network: &mut Network, search: &mut Search, payers: &[Rest], payees: &[Rest]) -> Balance {
    let (mut payers, mut payees) = (payers.to_vec(), payees.to_vec());
    let ends = |rests: &[Rest]| rests.iter().map(|(node, _)| *node).collect::<Vec<_>>().into_iter();
    while let Some(path) = search.path(network, (ends(&payers), ends(&payees)), 1, Tie::First) {
        let (payer, payee) = match path {
            [first, .., last] => (network.tail(*first), network.head(*last)),
            [only] => (network.tail(*only), network.head(*only)),
            [] => break,
        };
        let narrowest = path.iter().map(|arc| network.out(*arc)).min().unwrap_or_default();
        let amount = narrowest.min(rest(&payers, payer)).min(rest(&payees, payee));
        push(network, path, amount);
        take(&mut payers, payer, amount);
        take(&mut payees, payee, amount);
    }
    payers.iter().map(|(_, rest)| rest).sum()
}

const NOT_REACHED: i64 = i64::MAX;

/// What successive shortest paths need for each node, kept between transactions.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// Makes the costs of what is left in the network non-negative; relative to that of everybody who is paid.
    potential: Vec<i64>,
    distance: Vec<i64>,
    via: Vec<Arc>,
    reached: Vec<Node>,
    /// The nodes whose potential is not 0.
    lifted: Vec<Node>,
    heap: BinaryHeap<Reverse<(i64, Node)>>,
}

impl Scratch {
    pub fn new(nodes: usize) -> Self {
        Self { potential: vec![0; nodes], distance: vec![NOT_REACHED; nodes], via: vec![0; nodes], ..Self::default() }
    }

    /// Settles what is known to be possible at least planck times channels.
    fn settle(&mut self, network: &mut Network, payers: &[Rest], payees: &[Rest]) {
        let (mut payers, mut payees) = (payers.to_vec(), payees.to_vec());
        // The potential of a source before all payers.
        let mut source = 0;
        while let Some((payee, length)) = self.nearest(network, source, &payers, &payees) {
            let mut path = vec![];
            let mut node = payee;
            // A payer whose way costs less than that of starting from it is passed through.
            while self.via[node as usize] != Arc::MAX {
                path.push(self.via[node as usize]);
                node = network.tail(self.via[node as usize]);
            }
            let narrowest = path.iter().map(|arc| marginal(network, *arc).1).min().unwrap_or_default();
            let amount = narrowest.min(rest(&payers, node)).min(rest(&payees, payee));
            push(network, &path, amount);
            take(&mut payers, node, amount);
            take(&mut payees, payee, amount);
            for node in self.reached.drain(..) {
                let distance = std::mem::replace(&mut self.distance[node as usize], NOT_REACHED);
                if distance < length {
                    self.potential[node as usize] += distance - length;
                    self.lifted.push(node);
                }
            }
            source -= length;
        }
        self.reached.drain(..).for_each(|node| self.distance[node as usize] = NOT_REACHED);
        self.lifted.drain(..).for_each(|node| self.potential[node as usize] = 0);
    }

    /// The payee that is cheapest to reach from any payer, and the reduced cost of the way.
    fn nearest(&mut self, network: &Network, source: i64, payers: &[Rest], payees: &[Rest]) -> Option<(Node, i64)> {
        self.heap.clear();
        for (payer, _) in payers {
            self.reach(*payer, source - self.potential[*payer as usize], Arc::MAX);
        }
        let mut best: Option<(Node, i64)> = None;
        while let Some(Reverse((distance, node))) = self.heap.pop() {
            if best.is_some_and(|(_, length)| distance >= length) {
                break;
            }
            if distance > self.distance[node as usize] {
                continue;
            }
            let potential = self.potential[node as usize];
            if rest(payees, node) > 0 {
                let length = distance + potential;
                if best.is_none_or(|(_, shortest)| length < shortest) {
                    best = Some((node, length));
                }
            }
            for arc in network.arcs_of(node).filter(|arc| network.out(*arc) > 0) {
                let head = network.head(arc) as usize;
                let through = distance + marginal(network, arc).0 + potential - self.potential[head];
                if through < self.distance[head] {
                    self.reach(head as Node, through, arc);
                }
            }
        }
        best
    }

    fn reach(&mut self, node: Node, distance: i64, via: Arc) {
        if self.distance[node as usize] == NOT_REACHED {
            self.reached.push(node);
        }
        self.distance[node as usize] = distance;
        self.via[node as usize] = via;
        self.heap.push(Reverse((distance, node)));
    }
}

/// What a planck more on an arc costs, and for how many planck: taking back what went the other way costs a channel
/// less, anything else one more.
fn marginal(network: &Network, arc: Arc) -> (i64, Balance) {
    let (out, before) = (network.out(arc), network.before(arc));
    if out > before {
        (-1, out - before)
    } else {
        (1, out)
    }
}
