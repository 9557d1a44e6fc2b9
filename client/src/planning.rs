//! Which channels carry a payment, and the proof that each member gets exactly what it is owed.

use codec::{Decode, Encode};
use protocol::{AccountId, Balance, TpcId};
use std::collections::{BTreeMap, VecDeque};

/// One transfer of a multi-party transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transfer {
    /// Who pays.
    pub from: AccountId,
    /// Who is paid.
    pub to: AccountId,
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
}

/// What each member of a transaction gains (positive) or pays (negative), in planck.
///
/// # Errors
/// [`NoPlan::Overflow`].
pub fn net_positions(transfers: &[Transfer]) -> Result<BTreeMap<AccountId, i128>, NoPlan> {
    let mut positions = BTreeMap::<_, i128>::new();
    for Transfer { from, to, amount } in transfers {
        let amount = i128::try_from(*amount).map_err(|_| NoPlan::Overflow)?;
        for (account, change) in [(from, -amount), (to, amount)] {
            let position = positions.entry(*account).or_default();
            *position = position.checked_add(change).ok_or(NoPlan::Overflow)?;
        }
    }
    Ok(positions)
}

/// The balances of the channels that carry `transfers`, each along the path of fewest channels with enough balance.
///
/// # Errors
/// [`NoPlan`].
pub fn plan(edges: &[Edge], transfers: &[Transfer]) -> Result<BTreeMap<TpcId, [Balance; 2]>, NoPlan> {
    let mut edges = edges.to_vec();
    let before: Vec<_> = edges.iter().map(|edge| edge.balances).collect();
    for (index, transfer) in (0..).zip(transfers) {
        net_positions(&[*transfer])?;
        for (edge, payer) in path(&edges, transfer).ok_or(NoPlan::NoPath(index))? {
            let edge = edges.get_mut(edge).ok_or(NoPlan::NoPath(index))?;
            let [first, second] = edge.balances;
            let shifted = match payer {
                0 => first.checked_sub(transfer.amount).zip(second.checked_add(transfer.amount)),
                _ => first.checked_add(transfer.amount).zip(second.checked_sub(transfer.amount)),
            };
            edge.balances = shifted.ok_or(NoPlan::Overflow)?.into();
        }
    }
    let moved = edges.iter().zip(before).filter(|(edge, before)| edge.balances != *before);
    Ok(moved.map(|(edge, _)| (edge.tpc, edge.balances)).collect())
}

/// The path's channels, each with the index of the owner who pays on it.
fn path(edges: &[Edge], transfer: &Transfer) -> Option<Vec<(usize, usize)>> {
    let mut reached = BTreeMap::from([(transfer.from, None)]);
    let mut queue = VecDeque::from([transfer.from]);
    while let Some(account) = queue.pop_front() {
        if account == transfer.to {
            let mut path = vec![];
            let mut at = account;
            while let Some(Some((edge, payer, previous))) = reached.get(&at) {
                path.push((*edge, *payer));
                at = *previous;
            }
            return Some(path);
        }
        for (index, edge) in edges.iter().enumerate() {
            let Some(payer) = edge.parties.iter().position(|party| *party == account) else { continue };
            let [first, second] = edge.parties;
            let (next, available) = if payer == 0 { (second, edge.balances[0]) } else { (first, edge.balances[1]) };
            if available >= transfer.amount && !reached.contains_key(&next) {
                reached.insert(next, Some((index, payer, account)));
                queue.push_back(next);
            }
        }
    }
    None
}

/// Whether an update pays `account` exactly its net position of `transfers`, summed over its channels.
///
/// Members check every plan with this before they sign, whoever made it.
pub fn pays_exactly(
    account: AccountId,
    transfers: &[Transfer],
    changes: impl IntoIterator<Item = (Balance, Balance)>,
) -> bool {
    let Ok(positions) = net_positions(transfers) else { return false };
    let mut gained: i128 = 0;
    for (before, after) in changes {
        let change = i128::try_from(after).ok().zip(i128::try_from(before).ok()).map(|(after, before)| after - before);
        match change.and_then(|change| gained.checked_add(change)) {
            Some(sum) => gained = sum,
            None => return false,
        }
    }
    gained == positions.get(&account).copied().unwrap_or_default()
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
        let plan = plan(&edges, &transfers).expect("there is a way over 3");
        assert_eq!(plan, BTreeMap::from([(edges[1].tpc, [1, 9]), (edges[2].tpc, [5, 3])]));
        assert!(pays_exactly(account(3), &transfers, [(5, 9), (7, 3)]));
        assert!(!pays_exactly(account(3), &transfers, [(5, 9), (7, 2)]));
    }

    #[test]
    fn a_transfer_that_nothing_can_carry_is_named() {
        let edges = [edge(1, 2, [3, 0])];
        let fine = Transfer { from: account(1), to: account(2), amount: 2 };
        assert_eq!(plan(&edges, &[fine, fine]), Err(NoPlan::NoPath(1)));
        let huge = Transfer { amount: Balance::MAX, ..fine };
        assert_eq!(plan(&edges, &[huge]), Err(NoPlan::Overflow));
    }
}
