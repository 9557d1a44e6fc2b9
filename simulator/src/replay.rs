//! Transactions settled one after the other on a topology, by one rule.

use crate::{topology::Topology, workload::Transaction};
use planning::{
    net_positions,
    planner::{Planner, Strategy},
    NoPlan,
};

/// What decides whether a transaction settles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// A strategy of the client.
    Planned(Strategy),
    /// Whether those who pay have the money, wherever it lies: the bound of each payment, given those before it.
    Pooled,
}

impl Rule {
    /// Its name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned(strategy) => strategy.name(),
            Self::Pooled => "pooled bound",
        }
    }

    /// Which transactions settle.
    ///
    /// # Errors
    /// If the topology or a transaction is none. A transaction that finds no channels is no error.
    pub fn replay(&self, topology: &Topology, transactions: &[Transaction]) -> Result<Vec<bool>, NoPlan> {
        let mut world = World::new(self, topology)?;
        transactions.iter().map(|transaction| world.settle(transaction)).collect()
    }

    /// What becomes of each transaction: it settles, or what stands in its way.
    ///
    /// # Errors
    /// If the topology or a transaction is none.
    pub fn fates(&self, topology: &Topology, transactions: &[Transaction]) -> Result<Vec<Fate>, NoPlan> {
        let mut world = World::new(self, topology)?;
        transactions.iter().map(|transaction| world.fate(transaction)).collect()
    }
}

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It settles.
    Settled,
    /// Somebody who pays has not the money in all channels together, as they stand: the pooled bound would refuse it too.
    NoMoney,
    /// Somebody's neighbours hold less towards it than it is to be paid: the topology's doing.
    NoRoom,
    /// There are money and room, but no paths at all carry the one to the other: the topology's doing.
    NoFlow,
    /// It could be carried, and the strategy did not find how.
    NotFound,
}

/// What a rule has left of a topology.
enum World {
    Planned(Box<Planner>),
    /// What each user has.
    Pooled(Vec<i128>),
}

impl World {
    fn new(rule: &Rule, topology: &Topology) -> Result<Self, NoPlan> {
        let network = topology.network()?;
        Ok(match rule {
            Rule::Planned(strategy) => Self::Planned(Box::new(Planner::new(network, *strategy))),
            Rule::Pooled => Self::Pooled((0..topology.nodes).map(|node| network.funds(node) as i128).collect()),
        })
    }

    fn settle(&mut self, transaction: &Transaction) -> Result<bool, NoPlan> {
        match self {
            Self::Planned(planner) => match planner.settle(transaction) {
                Ok(()) => Ok(true),
                Err(NoPlan::NoPath(_) | NoPlan::NoFlow(_)) => Ok(false),
                Err(error) => Err(error),
            },
            Self::Pooled(funds) => {
                let positions = net_positions(transaction)?;
                let settles = positions.iter().all(|(node, position)| funds[*node as usize] + position >= 0);
                if settles {
                    positions.iter().for_each(|(node, position)| funds[*node as usize] += position);
                }
                Ok(settles)
            }
        }
    }

    fn fate(&mut self, transaction: &Transaction) -> Result<Fate, NoPlan> {
        if self.settle(transaction)? {
            return Ok(Fate::Settled);
        }
        let Self::Planned(planner) = self else { return Ok(Fate::NoMoney) };
        let network = planner.network();
        let positions = net_positions(transaction)?;
        Ok(if positions.iter().any(|(node, position)| network.funds(*node) as i128 + position < 0) {
            Fate::NoMoney
        } else if positions.iter().any(|(node, position)| network.receivable(*node) as i128 - position < 0) {
            Fate::NoRoom
        } else if planner.can_settle(transaction)? {
            Fate::NotFound
        } else {
            Fate::NoFlow
        })
    }
}

/// How a ratio of success is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Of all transactions so far.
    SoFar,
    /// Of those since the checkpoint before.
    Since,
}

impl Count {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::SoFar => "of all so far",
            Self::Since => "since the last point",
        }
    }

    /// The ratio, in percent, after each `step` transactions. Before the first it is 100.
    pub fn ratios(self, settled: &[bool], step: usize) -> Vec<f64> {
        let mut all = 0;
        let mut ratios = vec![100.0];
        for (index, chunk) in settled.chunks(step.max(1)).enumerate() {
            let since = chunk.iter().filter(|settled| **settled).count();
            all += since;
            ratios.push(match self {
                Self::SoFar => 100.0 * all as f64 / (index * step + chunk.len()) as f64,
                Self::Since => 100.0 * since as f64 / chunk.len() as f64,
            });
        }
        ratios
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use planning::{network::Link, Transfer};

    #[test]
    fn ratios_are_counted_so_far_or_since() {
        let settled = [true, true, true, false, false, false];
        assert_eq!(Count::SoFar.ratios(&settled, 2), [100.0, 100.0, 75.0, 50.0]);
        assert_eq!(Count::Since.ratios(&settled, 2), [100.0, 100.0, 50.0, 0.0]);
    }

    #[test]
    fn the_pooled_bound_asks_only_for_money() {
        // The money of 1 lies in a channel that does not lead to 2.
        let link = |ends, balances| Link { ends, balances };
        let topology = Topology { nodes: 3, links: vec![link([0, 1], [0, 9]), link([0, 2], [1, 0])] };
        let transactions = [vec![Transfer { from: 1, to: 2, amount: 5 }], vec![Transfer { from: 1, to: 2, amount: 5 }]];
        assert_eq!(Rule::Pooled.replay(&topology, &transactions), Ok(vec![true, false]));
        assert_eq!(Rule::Planned(Strategy::Flow).replay(&topology, &transactions), Ok(vec![false, false]));
        assert_eq!(Rule::Pooled.fates(&topology, &transactions), Ok(vec![Fate::Settled, Fate::NoMoney]));
    }

    #[test]
    fn what_stands_in_a_payments_way_is_told() {
        // Two ways from 0 to 3, each of which carries 5.
        let link = |ends| Link { ends, balances: [5, 0] };
        let topology = Topology { nodes: 4, links: vec![link([0, 1]), link([1, 3]), link([0, 2]), link([2, 3])] };
        let pay = |from, amount| vec![Transfer { from, to: 3, amount }];
        let from_1 = |to| vec![Transfer { from: 1, to, amount: 1 }];
        let transactions = [from_1(2), from_1(0), pay(0, 11), pay(0, 6)];
        let fates = |strategy| Rule::Planned(strategy).fates(&topology, &transactions);
        let [flow, room, money] = [Fate::NoFlow, Fate::NoRoom, Fate::NoMoney];
        assert_eq!(fates(Strategy::Available), Ok(vec![flow, room, money, Fate::NotFound]));
        assert_eq!(fates(Strategy::Flow), Ok(vec![flow, room, money, Fate::Settled]));
    }
}
