//! Paths of fewest channels, searched from both ends at once.

use super::network::{Arc, Network, Node};
use protocol::Balance;

/// Which path of fewest channels is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie {
    /// The first that is found.
    First,
    /// The one whose narrowest channel can carry most: what is left stays where it is needed.
    Widest,
}

const NOWHERE: u32 = u32::MAX;

/// How a node was reached from one end.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// The search that this is of.
    search: u32,
    /// How many channels away the end is.
    level: u32,
    /// The arc that leads towards the end from which the search came; [`NOWHERE`] at the end itself.
    arc: u32,
}

/// One end's half of a search.
#[derive(Clone, Debug, Default)]
struct Side {
    reached: Vec<Reached>,
    /// What the way to each reached node can carry, if the widest is wanted. Apart from what every search reads.
    widths: Vec<Balance>,
    level: u32,
    frontier: Vec<Node>,
    /// How many arcs leave the frontier.
    arcs: usize,
    next: Vec<Node>,
}

/// What a search needs, kept between searches.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    search: u32,
    /// From the payers, and from the payees.
    sides: [Side; 2],
    path: Vec<Arc>,
}

impl Search {
    pub fn new(nodes: usize) -> Self {
        let side = Side { reached: vec![Reached::default(); nodes], widths: vec![0; nodes], ..Side::default() };
        Self { search: 0, sides: [side.clone(), side], path: vec![] }
    }

    /// The path of fewest channels from any payer to any payee on which every arc carries `least`, in the order of
    /// payment. Nobody may be in both lists.
    pub fn path(
        &mut self,
        network: &Network,
        (payers, payees): (impl Iterator<Item = Node>, impl Iterator<Item = Node>),
        least: Balance,
        tie: Tie,
    ) -> Option<&[Arc]> {
        self.search = self.search.wrapping_add(1);
        if self.search == 0 {
            self.sides.iter_mut().for_each(|side| side.reached.fill(Reached::default()));
            self.search = 1;
        }
        self.sides[0].begin(network, self.search, payers);
        self.sides[1].begin(network, self.search, payees);
        let [forward, backward] = &mut self.sides;
        let meeting = loop {
            if forward.arcs == 0 || backward.arcs == 0 {
                return None;
            }
            let search = self.search;
            let met = match (forward.arcs <= backward.arcs, tie) {
                (true, Tie::First) => forward.advance::<true, false>(backward, network, search, least),
                (true, Tie::Widest) => forward.advance::<true, true>(backward, network, search, least),
                (false, Tie::First) => backward.advance::<false, false>(forward, network, search, least),
                (false, Tie::Widest) => backward.advance::<false, true>(forward, network, search, least),
            };
            if let Some(node) = met {
                break node;
            }
        };
        self.path.clear();
        let mut node = meeting;
        while forward.reached[node as usize].arc != NOWHERE {
            let arc = forward.reached[node as usize].arc as Arc;
            self.path.push(network.twin(arc));
            node = network.head(arc);
        }
        self.path.reverse();
        node = meeting;
        while backward.reached[node as usize].arc != NOWHERE {
            let arc = backward.reached[node as usize].arc as Arc;
            self.path.push(arc);
            node = network.head(arc);
        }
        Some(&self.path)
    }
}

impl Side {
    fn begin(&mut self, network: &Network, search: u32, ends: impl Iterator<Item = Node>) {
        self.frontier.clear();
        self.level = 0;
        for node in ends {
            self.reached[node as usize] = Reached { search, level: 0, arc: NOWHERE };
            self.widths[node as usize] = Balance::MAX;
            self.frontier.push(node);
        }
        self.count(network);
    }

    fn count(&mut self, network: &Network) {
        self.arcs = self.frontier.iter().map(|node| network.arcs_of(*node).len()).sum();
    }

    /// Reaches the nodes that are one channel further. Answers where the other side is met, if it is: no path before
    /// this level met it, so all that meet in this level are as short as can be.
    fn advance<const FORWARD: bool, const WIDEST: bool>(
        &mut self,
        other: &Self,
        network: &Network,
        search: u32,
        least: Balance,
    ) -> Option<Node> {
        self.next.clear();
        self.level += 1;
        for node in &self.frontier {
            let so_far = if WIDEST { self.widths[*node as usize] } else { 0 };
            for arc in network.arcs_of(*node) {
                let carries = if FORWARD { network.out(arc) } else { network.back(arc) };
                if carries < least {
                    continue;
                }
                let head = network.head(arc);
                let reached = &mut self.reached[head as usize];
                let is_new = reached.search != search;
                if is_new {
                    self.next.push(head);
                } else if !WIDEST || reached.level != self.level {
                    continue;
                }
                let width = so_far.min(carries);
                if is_new || self.widths[head as usize] < width {
                    *reached = Reached { search, level: self.level, arc: network.twin(arc) as u32 };
                    if WIDEST {
                        self.widths[head as usize] = width;
                    }
                }
                if !WIDEST && other.reached[head as usize].search == search {
                    return Some(head);
                }
            }
        }
        std::mem::swap(&mut self.frontier, &mut self.next);
        self.count(network);
        if !WIDEST {
            return None;
        }
        let across = |node: &&Node| other.reached[**node as usize].search == search;
        let width = |node: &&Node| self.widths[**node as usize].min(other.widths[**node as usize]);
        self.frontier.iter().filter(across).max_by_key(width).copied()
    }
}
