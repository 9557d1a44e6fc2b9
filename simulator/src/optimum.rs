//! The offline optimum: what somebody who knew all payments in advance could settle, as a linear program.

use crate::{topology::Topology, workload::Transaction};
use microlp::{ComparisonOp, Error, OptimizationDirection, Problem, SolveOutcome};
use planning::{net_positions, NoPlan};

/// Why there is no optimum.
#[derive(Debug, thiserror::Error)]
pub enum NoOptimum {
    /// The amounts are too great.
    #[error(transparent)]
    Plan(#[from] NoPlan),
    /// The solver gave up.
    #[error("the linear program could not be solved: {0}")]
    Solver(#[from] Error),
    /// The solver was interrupted.
    #[error("the linear program was not solved to its end")]
    Interrupted,
}

/// How many of the transactions can settle at most. An upper bound: parts of transactions count as such, over any paths.
///
/// Settling x of a transaction moves x times its net positions; no channel's balance is ever negative. The program has a
/// variable for each transaction, and for each transaction and channel: it is for tens of channels and transactions.
///
/// # Errors
/// [`NoOptimum`].
pub fn most_settled(topology: &Topology, transactions: &[Transaction]) -> Result<f64, NoOptimum> {
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    // What has flowed from the first to the second owner of each channel so far, as sums of variables.
    let mut flowed = vec![vec![]; topology.links.len()];
    for transaction in transactions {
        let settled = problem.add_var(1.0, (0.0, 1.0));
        let mut gains = vec![vec![]; topology.nodes as usize];
        for (node, position) in net_positions(transaction)? {
            gains[node as usize].push((settled, -(position as f64)));
        }
        for (link, flowed) in topology.links.iter().zip(&mut flowed) {
            let [first, second] = link.ends.map(|end| end as usize);
            let [limit, back] = link.balances.map(|own| own as f64);
            let flow = problem.add_var(0.0, (-limit - back, limit + back));
            gains[first].push((flow, -1.0));
            gains[second].push((flow, 1.0));
            flowed.push((flow, 1.0));
            problem.add_constraint(flowed.clone(), ComparisonOp::Le, limit);
            problem.add_constraint(flowed.clone(), ComparisonOp::Ge, -back);
        }
        for gain in gains.into_iter().filter(|gain| !gain.is_empty()) {
            problem.add_constraint(gain, ComparisonOp::Eq, 0.0);
        }
    }
    match problem.solve()? {
        SolveOutcome::Solution(solution) => Ok(solution.objective()),
        SolveOutcome::Interrupted(_) => Err(NoOptimum::Interrupted),
    }
}
