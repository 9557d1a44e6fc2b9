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
    /// What the way so far can carry.
    width: Balance,
}

/// One end's half of a search.
#[derive(Clone, Debug, Default)]
struct Side {
    reached: Vec<Reached>,
    level: u32,
    frontier: Vec<Node>,
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
        let side = Side { reached: vec![Reached::default(); nodes], ..Side::default() };
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
        self.sides[0].begin(self.search, payers);
        self.sides[1].begin(self.search, payees);
        let [forward, backward] = &mut self.sides;
        let meeting = loop {
            let cost = |side: &Side| side.frontier.iter().map(|node| network.arcs_of(*node).len()).sum::<usize>();
            let (ahead, behind) = (cost(forward), cost(backward));
            if ahead == 0 || behind == 0 {
                return None;
            }
            let met = if ahead <= behind {
                forward.advance::<true>(backward, network, self.search, least, tie)
            } else {
                backward.advance::<false>(forward, network, self.search, least, tie)
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
    fn begin(&mut self, search: u32, ends: impl Iterator<Item = Node>) {
        self.frontier.clear();
        self.level = 0;
        for node in ends {
            self.reached[node as usize] = Reached { search, level: 0, arc: NOWHERE, width: Balance::MAX };
            self.frontier.push(node);
        }
    }

    /// Reaches the nodes that are one channel further. Answers where the other side is met, if it is: no path before
    /// this level met it, so all that meet in this level are as short as can be.
    fn advance<const FORWARD: bool>(
        &mut self,
        other: &Self,
        network: &Network,
        search: u32,
        least: Balance,
        tie: Tie,
    ) -> Option<Node> {
        self.next.clear();
        self.level += 1;
        for node in &self.frontier {
            let so_far = self.reached[*node as usize].width;
            for arc in network.arcs_of(*node) {
                let carries = if FORWARD { network.out(arc) } else { network.back(arc) };
                if carries < least {
                    continue;
                }
                let head = network.head(arc);
                let reached = &mut self.reached[head as usize];
                let way = Reached {
                    search,
                    level: self.level,
                    arc: network.twin(arc) as u32,
                    width: if tie == Tie::Widest { so_far.min(carries) } else { 0 },
                };
                if reached.search != search {
                    *reached = way;
                    self.next.push(head);
                    if tie == Tie::First && other.reached[head as usize].search == search {
                        return Some(head);
                    }
                } else if reached.level == way.level && reached.width < way.width {
                    *reached = way;
                }
            }
        }
        std::mem::swap(&mut self.frontier, &mut self.next);
        let across = |node: &&Node| other.reached[**node as usize].search == search;
        let width =
            |node: &&Node| [&self.reached, &other.reached].map(|side| side[**node as usize].width).into_iter().min();
        self.frontier.iter().filter(across).max_by_key(width).copied()
    }
}
