//! Calls under way to the chain: several at once, those with the earliest deadlines first, with a tip that grows with each
//! attempt of a call that has a deadline.

use crate::party::log_call;
use chain::{
    contract::{CallError, Contract},
    keys::Keys,
    Chain, Receipt, UNIT,
};
use engine::Call;
use protocol::{Balance, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// The most transactions under way at once.
const MAX_UNDER_WAY: usize = 16;

/// What the second attempt of a call with a deadline is worth, in planck. Each further one doubles it.
const FIRST_TIP: Balance = UNIT / 1_000;

/// The highest tip, in planck.
const HIGHEST_TIP: Balance = UNIT;

/// A call to be made.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub call: Call,
    /// What is sent along, in planck.
    pub value: Balance,
    /// Block time in ms after which it is of no use.
    pub deadline: Option<Timestamp>,
}

/// What came of a call.
pub(crate) struct Made<K> {
    pub key: K,
    /// The contract's message.
    pub name: &'static str,
    pub outcome: Result<Receipt, CallError>,
}

/// The calls of one account that are under way. `K` names a call: asked for again meanwhile, it is the same one.
pub(crate) struct Calls<C, K> {
    chain: C,
    contract: Contract,
    keys: Keys,
    /// Those without a deadline come after all others.
    waiting: BTreeMap<(Timestamp, K), Wanted>,
    named: BTreeSet<K>,
    attempts: BTreeMap<K, u32>,
    under_way: JoinSet<Made<K>>,
}

impl<C: Chain + Clone + 'static, K: Ord + Copy + Send + 'static> Calls<C, K> {
    pub fn new(chain: C, contract: Contract, keys: Keys) -> Self {
        Self {
            chain,
            contract,
            keys,
            waiting: BTreeMap::new(),
            named: BTreeSet::new(),
            attempts: BTreeMap::new(),
            under_way: JoinSet::new(),
        }
    }

    /// Has a call made as soon as there is room, unless it is under way.
    pub fn want(&mut self, key: K, wanted: Wanted) {
        if self.named.insert(key) {
            self.waiting.insert((wanted.deadline.unwrap_or(Timestamp::MAX), key), wanted);
        }
    }

    /// Whether something waits or is under way.
    pub fn is_busy(&self) -> bool {
        !self.named.is_empty()
    }

    /// What came of the next call that ends. Waits for ever if none is under way; may be dropped while it waits.
    pub async fn next(&mut self) -> Made<K> {
        while self.under_way.len() < MAX_UNDER_WAY {
            let Some(((_, key), wanted)) = self.waiting.pop_first() else { break };
            let attempt = self.attempts.entry(key).or_default();
            let tip = wanted.deadline.map_or(0, |_| tip(*attempt));
            *attempt = attempt.saturating_add(1);
            let (chain, contract, keys) = (self.chain.clone(), self.contract.clone(), self.keys.clone());
            self.under_way.spawn(make(chain, contract, keys, key, wanted, tip));
        }
        loop {
            match self.under_way.join_next().await {
                Some(Ok(made)) => {
                    self.named.remove(&made.key);
                    if made.outcome.is_ok() {
                        self.attempts.remove(&made.key);
                    }
                    return made;
                }
                // A task that panicked has lost its name. What it was for is asked for again after a restart.
                Some(Err(error)) => tracing::error!("a call was lost: {error}"),
                None => std::future::pending().await,
            }
        }
    }
}

async fn make<C: Chain, K>(
    mut chain: C,
    contract: Contract,
    keys: Keys,
    key: K,
    wanted: Wanted,
    tip: Balance,
) -> Made<K> {
    let Wanted { call, value, .. } = wanted;
    let outcome = contract.submit(&mut chain, &keys, value, tip, &call).await.map(|called| called.receipt);
    let name = call.name();
    match &outcome {
        Ok(receipt) => log_call(name, receipt),
        Err(CallError::Contract(refusal)) => tracing::debug!("the contract refuses `{name}`: {refusal}"),
        Err(error) => tracing::warn!("`{name}` is not on chain: {error}. It is tried again"),
    }
    Made { key, name, outcome }
}

fn tip(attempt: u32) -> Balance {
    let doublings = attempt.checked_sub(1);
    let times = |doublings| 1_u128.checked_shl(doublings).unwrap_or(Balance::MAX);
    doublings.map_or(0, |doublings| FIRST_TIP.saturating_mul(times(doublings)).min(HIGHEST_TIP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_costs_no_tip_and_later_ones_more_up_to_a_bound() {
        assert_eq!([0, 1, 2, 3].map(tip), [0, FIRST_TIP, 2 * FIRST_TIP, 4 * FIRST_TIP]);
        assert_eq!([11, 128, u32::MAX].map(tip), [HIGHEST_TIP; 3]);
    }
}
