//! Which channels carry a transaction, and the proof that each member gets exactly what it is owed.
//!
//! - [`network`], channels in flat arrays
//! - [`planner`], the strategies
//! - `search`, the paths of fewest channels; `paper`, the paper's weights; `flow`, the least flow that settles

mod flow;
pub mod network;
mod paper;
pub mod planner;
mod search;

pub use paper::{BadPreference, Preference};

use codec::{Decode, Encode};
use network::{Link, Network, Node};
use planner::{Planner, Strategy};
use protocol::{AccountId, Balance, TpcId};
use std::collections::{BTreeMap, BTreeSet};

/// One transfer of a multi-party transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transfer<User = AccountId> {
    /// Who pays.
    pub from: User,
    /// Who is paid.
    pub to: User,
    /// How much, in planck.
    pub amount: Balance,
}

/// A channel as planning sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The channel.
    pub tpc: TpcId,
    /// Its owners, ascending.
    pub parties: [AccountId; 2],
    /// What they hold in it, in planck.
    pub balances: [Balance; 2],
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum NoPlan {
    /// No path has enough balance.
    #[error("no path of channels can carry transfer {0} of the transaction: lower it, or split it")]
    NoPath(u32),
    /// The amounts overflow.
    #[error("the amounts of the transaction do not fit into 127 bits")]
    Overflow,
    /// All channels together cannot carry the transaction, whatever the paths.
    #[error("the channels cannot carry the transaction, whatever the paths: {0} planck are left over; lower it")]
    NoFlow(Balance),
    /// Somebody in the transaction has no channel.
    #[error("a user of transfer {0} has no channel here: open one first")]
    UnknownUser(u32),
    /// A channel's owners are the same, or not in the network.
    #[error("channel {0} does not join two users of the network")]
    BadLink(u32),
    /// What was planned does not give everybody what is theirs.
    #[error("the plan does not pay everybody what the transaction owes them: report this")]
    Wrong,
}

/// What each member of a transaction gains (positive) or pays (negative), in planck.
///
/// # Errors
/// [`NoPlan::Overflow`].
pub fn net_positions<User: Copy + Ord>(transfers: &[Transfer<User>]) -> Result<BTreeMap<User, i128>, NoPlan> {
    let mut positions = BTreeMap::<_, i128>::new();
    for Transfer { from, to, amount } in transfers {
        let amount = i128::try_from(*amount).map_err(|_| NoPlan::Overflow)?;
        for (user, change) in [(from, -amount), (to, amount)] {
            let position = positions.entry(*user).or_default();
            *position = position.checked_add(change).ok_or(NoPlan::Overflow)?;
        }
    }
    Ok(positions)
}

/// The balances of the channels that `strategy` moves for `transfers`, all of them or none.
///
/// Whoever asks for a plan gets one that every member will accept: it has passed [`pays_exactly`] for each of them.
///
/// # Errors
/// [`NoPlan`].
pub fn plan(
    edges: &[Edge],
    transfers: &[Transfer],
    strategy: Strategy,
) -> Result<BTreeMap<TpcId, [Balance; 2]>, NoPlan> {
    let users: BTreeSet<_> = edges.iter().flat_map(|edge| edge.parties).collect();
    let nodes: BTreeMap<_, Node> = users.iter().copied().zip(0..).collect();
    let links =
        edges.iter().map(|edge| Link { ends: edge.parties.map(|party| nodes[&party]), balances: edge.balances });
    let mut planner = Planner::new(Network::new(nodes.len() as Node, &links.collect::<Vec<_>>())?, strategy);
    let numbered = (0..).zip(transfers).map(|(index, transfer)| {
        let node = |user| nodes.get(user).copied().ok_or(NoPlan::UnknownUser(index));
        Ok(Transfer { from: node(&transfer.from)?, to: node(&transfer.to)?, amount: transfer.amount })
    });
    planner.settle(&numbered.collect::<Result<Vec<_>, _>>()?)?;
    let moved: Vec<_> = planner.network().changes().map(|(link, _)| link).collect();
    let mut changes = BTreeMap::<_, Vec<_>>::new();
    for link in &moved {
        let (edge, after) = (&edges[*link], planner.network().balances(*link));
        for side in [0, 1] {
            changes.entry(edge.parties[side]).or_default().push((edge.balances[side], after[side]));
        }
    }
    let fair = |user: &AccountId| pays_exactly(*user, transfers, changes.remove(user).unwrap_or_default());
    if !users.iter().all(fair) {
        return Err(NoPlan::Wrong);
    }
    Ok(moved.into_iter().map(|link| (edges[link].tpc, planner.network().balances(link))).collect())
}

/// Whether an update pays `account` exactly its net position of `transfers`, summed over its channels.
///
/// Members check every plan with this before they sign, whoever made it.
pub fn pays_exactly<User: Copy + Ord>(
    account: User,
    transfers: &[Transfer<User>],
    changes: impl IntoIterator<Item = (Balance, Balance)>,
) -> bool {
    net_positions(transfers)
        .is_ok_and(|positions| is_paid(positions.get(&account).copied().unwrap_or_default(), changes))
}

/// Whether the balances of a user's channels, before and after, make up its net position.
fn is_paid(position: i128, changes: impl IntoIterator<Item = (Balance, Balance)>) -> bool {
    let mut gained: i128 = 0;
    for (before, after) in changes {
        let change = i128::try_from(after).ok().zip(i128::try_from(before).ok()).map(|(after, before)| after - before);
        match change.and_then(|change| gained.checked_add(change)) {
            Some(sum) => gained = sum,
            None => return false,
        }
    }
    gained == position
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(byte: u8) -> AccountId {
        AccountId::from([byte; 32])
    }

    fn edge(a: u8, b: u8, balances: [Balance; 2]) -> Edge {
        Edge { tpc: TpcId([a * 16 + b; 32]), parties: [account(a), account(b)], balances }
    }

    #[test]
    fn a_transfer_goes_around_an_empty_channel() {
        let edges = [edge(1, 2, [0, 9]), edge(1, 3, [5, 5]), edge(2, 3, [1, 7])];
        let transfers = [Transfer { from: account(1), to: account(2), amount: 4 }];
        let plan = plan(&edges, &transfers, Strategy::Available).expect("there is a way over 3");
        assert_eq!(plan, BTreeMap::from([(edges[1].tpc, [1, 9]), (edges[2].tpc, [5, 3])]));
        assert!(pays_exactly(account(3), &transfers, [(5, 9), (7, 3)]));
        assert!(!pays_exactly(account(3), &transfers, [(5, 9), (7, 2)]));
    }

    #[test]
    fn a_transfer_that_nothing_can_carry_is_named() {
        let edges = [edge(1, 2, [3, 0])];
        let fine = Transfer { from: account(1), to: account(2), amount: 2 };
        assert_eq!(plan(&edges, &[fine, fine], Strategy::Available), Err(NoPlan::NoPath(1)));
        let huge = Transfer { amount: Balance::MAX, ..fine };
        assert_eq!(plan(&edges, &[huge], Strategy::Available), Err(NoPlan::Overflow));
    }
}
