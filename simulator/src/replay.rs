//! Transactions settled one after the other on a topology, by one rule.

use crate::{topology::Topology, workload::Transaction};
use braid::planning::{
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
    /// If the topology is none. A transaction that finds no channels is no error.
    pub fn replay(&self, topology: &Topology, transactions: &[Transaction]) -> Result<Vec<bool>, NoPlan> {
        match self {
            Self::Planned(strategy) => {
                let mut planner = Planner::new(topology.network()?, *strategy);
                transactions
                    .iter()
                    .map(|transaction| match planner.settle(transaction) {
                        Ok(()) => Ok(true),
                        Err(NoPlan::NoPath(_) | NoPlan::NoFlow(_)) => Ok(false),
                        Err(error) => Err(error),
                    })
                    .collect()
            }
            Self::Pooled => {
                let network = topology.network()?;
                let mut funds: Vec<_> = (0..topology.nodes).map(|node| network.funds(node) as i128).collect();
                transactions.iter().map(|transaction| pay(&mut funds, transaction)).collect()
            }
        }
    }
}

fn pay(funds: &mut [i128], transaction: &Transaction) -> Result<bool, NoPlan> {
    let positions = braid::planning::net_positions(transaction)?;
    let settles = positions.iter().all(|(node, position)| funds[*node as usize] + position >= 0);
    if settles {
        positions.iter().for_each(|(node, position)| funds[*node as usize] += position);
    }
    Ok(settles)
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
    use braid::planning::{network::Link, Transfer};

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
    }
}
