//! The strategies, and what they have in common: a transaction settles whole or not at all, and is checked.

use super::{
    flow, is_paid, net_positions,
    network::{Network, Node},
    paper,
    search::{Search, Tie},
    NoPlan, Preference, Transfer,
};
use protocol::Balance;
use std::collections::BTreeMap;

/// How channels are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strategy {
    /// Each transfer along the path of fewest channels, whatever they hold: what one who knows no balances would try.
    Shortest,
    /// Each transfer along the path of fewest channels that can all carry it.
    Available,
    /// Each transfer, opposite ones netted, along the path of least weight of channels that can all carry it: the
    /// paper's formulas 16 to 18.
    Paper(Preference),
    /// All net positions at once, over as many paths as it takes: settles whatever the channels can carry at all.
    Flow,
}

impl Strategy {
    /// Its name, as commands take it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shortest => "shortest",
            Self::Available => "available",
            Self::Paper(_) => "paper",
            Self::Flow => "flow",
        }
    }
}

/// A network on which transactions are settled one after the other.
#[derive(Clone, Debug)]
pub struct Planner {
    network: Network,
    strategy: Strategy,
    search: Search,
    weights: paper::Weights,
    flow: flow::Scratch,
    /// What each user held in a channel before and after the trial.
    held: Vec<(Node, Balance, Balance)>,
}

impl Planner {
    /// A planner that has settled nothing yet.
    pub fn new(network: Network, strategy: Strategy) -> Self {
        let nodes = network.nodes() as usize;
        let (weights, flow) = match strategy {
            Strategy::Paper(preference) => (paper::Weights::new(&network, preference), flow::Scratch::default()),
            Strategy::Flow => (paper::Weights::default(), flow::Scratch::new(nodes)),
            Strategy::Shortest | Strategy::Available => Default::default(),
        };
        Self { search: Search::new(nodes), held: vec![], network, strategy, weights, flow }
    }

    /// The network as it stands.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Gives a channel other balances: it was paid over elsewhere, or takes no part for now, with none.
    ///
    /// # Errors
    /// [`NoPlan::Overflow`]; nothing has changed then.
    pub fn set_balances(&mut self, link: usize, balances: [Balance; 2]) -> Result<(), NoPlan> {
        self.network.set(link, balances)?;
        self.weights.renew(&self.network, [link]);
        Ok(())
    }

    /// Settles a transaction, all of it or nothing. [`Network::changes`] says what that has changed.
    ///
    /// # Errors
    /// [`NoPlan`].
    pub fn settle(&mut self, transfers: &[Transfer<Node>]) -> Result<(), NoPlan> {
        self.network.begin();
        check_users(&self.network, transfers)?;
        let positions = net_positions(transfers)?;
        let settled = self.choose(transfers, &positions).and_then(|()| self.check(&positions));
        if settled.is_err() {
            let touched: Vec<_> = self.network.touched().collect();
            self.network.undo();
            self.weights.renew(&self.network, touched);
        }
        settled
    }

    /// Whether the channels can carry a transaction at all, by whatever paths: what no strategy can do better. Changes
    /// nothing, but [`Network::changes`] no longer says what the transaction before has changed.
    ///
    /// # Errors
    /// [`NoPlan`] if the transaction is none.
    pub fn can_settle(&mut self, transfers: &[Transfer<Node>]) -> Result<bool, NoPlan> {
        self.network.begin();
        check_users(&self.network, transfers)?;
        let (payers, payees) = sides(&net_positions(transfers)?);
        Ok(flow::left_over(&mut self.network, &mut self.search, &payers, &payees) == 0)
    }

    fn choose(&mut self, transfers: &[Transfer<Node>], positions: &BTreeMap<Node, i128>) -> Result<(), NoPlan> {
        match self.strategy {
            Strategy::Flow => {
                let (payers, payees) = sides(positions);
                flow::settle(&mut self.network, &mut self.search, &mut self.flow, &payers, &payees)
            }
            Strategy::Paper(_) => {
                for (index, transfer) in paper::netted(transfers)? {
                    self.settle_alone(index, &transfer)?;
                    self.weights.renew(&self.network, self.network.touched());
                }
                Ok(())
            }
            Strategy::Shortest | Strategy::Available => {
                (0..).zip(transfers).try_for_each(|(index, transfer)| self.settle_alone(index, transfer))
            }
        }
    }

    /// Settles one transfer along one path.
    fn settle_alone(&mut self, index: u32, transfer: &Transfer<Node>) -> Result<(), NoPlan> {
        let Transfer { from, to, amount } = *transfer;
        if from == to || amount == 0 {
            return Ok(());
        }
        let path = if let Strategy::Paper(_) = self.strategy {
            self.weights.path(&self.network, from, to, amount)
        } else {
            let least = if self.strategy == Strategy::Shortest { 0 } else { amount };
            self.search.path(&self.network, ([from].into_iter(), [to].into_iter()), least, Tie::First)
        };
        let path = path.filter(|path| path.iter().all(|arc| self.network.out(*arc) >= amount));
        path.ok_or(NoPlan::NoPath(index))?.iter().for_each(|arc| self.network.push(*arc, amount));
        Ok(())
    }

    /// Whether everybody got what is theirs.
    fn check(&mut self, positions: &BTreeMap<Node, i128>) -> Result<(), NoPlan> {
        self.held.clear();
        for (link, before) in self.network.changes() {
            let (arcs, after) = (self.network.arcs(link), self.network.balances(link));
            self.held.extend([0, 1].map(|side| (self.network.tail(arcs[side]), before[side], after[side])));
        }
        self.held.sort_unstable();
        let moved = positions.values().filter(|position| **position != 0).count();
        let mut paid = 0;
        for held in self.held.chunk_by(|(a, ..), (b, ..)| a == b) {
            let position = positions.get(&held[0].0).copied().unwrap_or_default();
            if !is_paid(position, held.iter().map(|(_, before, after)| (*before, *after))) {
                return Err(NoPlan::Wrong);
            }
            paid += usize::from(position != 0);
        }
        if paid == moved {
            Ok(())
        } else {
            Err(NoPlan::Wrong)
        }
    }
}

fn check_users(network: &Network, transfers: &[Transfer<Node>]) -> Result<(), NoPlan> {
    let unknown = |transfer: &Transfer<Node>| transfer.from.max(transfer.to) >= network.nodes();
    match transfers.iter().position(unknown) {
        Some(index) => Err(NoPlan::UnknownUser(index as u32)),
        None => Ok(()),
    }
}

/// Who pays and who is paid, and how much.
fn sides(positions: &BTreeMap<Node, i128>) -> (Vec<flow::Rest>, Vec<flow::Rest>) {
    let rests = |wanted: fn(&i128) -> bool| {
        let rest = positions.iter().filter(|(_, position)| wanted(position));
        rest.map(|(node, position)| (*node, position.unsigned_abs())).collect()
    };
    (rests(|position| *position < 0), rests(|position| *position > 0))
}
