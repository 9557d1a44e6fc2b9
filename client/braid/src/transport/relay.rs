//! Passing on what two accounts say to each other, for those who cannot reach each other. The relay cannot read it.

use super::{
    counters::add,
    frames::{Frame, Goodbye, Part, Relayed},
    limits::{Bucket, Limits},
    link::Link,
    Shared,
};
use protocol::AccountId;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// For whom an account relays.
#[derive(Default)]
pub(super) struct Relay {
    /// By both accounts, the smaller first.
    pairs: HashMap<(AccountId, AccountId), Pair>,
    /// In how many pairs an account is.
    accounts: HashMap<AccountId, usize>,
}

struct Pair {
    bucket: Bucket,
    used: Instant,
}

fn key(a: AccountId, b: AccountId) -> (AccountId, AccountId) {
    (a.min(b), a.max(b))
}

impl Relay {
    /// Notes that two accounts want to talk through this one, and says whether they may.
    fn begin(&mut self, a: AccountId, b: AccountId, limits: &Limits) -> bool {
        if self.pairs.contains_key(&key(a, b)) {
            return true;
        }
        let full = |relay: &Self| {
            let in_pairs = |account| relay.accounts.get(account).copied().unwrap_or(0);
            relay.pairs.len() >= limits.relay_pairs
                || [a, b].iter().any(|account| in_pairs(account) >= limits.relay_pairs_per_account)
        };
        if full(self) {
            // Sessions that live give signs of life.
            let now = Instant::now();
            let unused: Vec<_> =
                self.pairs.iter().filter(|(_, pair)| now - pair.used > limits.idle).map(|(key, _)| *key).collect();
            unused.iter().for_each(|key| self.remove(key));
            if full(self) {
                return false;
            }
        }
        let pair = Pair { bucket: Bucket::new(limits.relay_bytes_per_second), used: Instant::now() };
        self.pairs.insert(key(a, b), pair);
        for account in [a, b] {
            *self.accounts.entry(account).or_default() += 1;
        }
        true
    }

    fn remove(&mut self, key: &(AccountId, AccountId)) {
        if self.pairs.remove(key).is_none() {
            return;
        }
        for account in [key.0, key.1] {
            if let Some(number) = self.accounts.get_mut(&account) {
                *number -= 1;
                if *number == 0 {
                    self.accounts.remove(&account);
                }
            }
        }
    }

    /// Forgets an account that is gone, and gives those who talked with it.
    fn forget(&mut self, account: &AccountId) -> Vec<AccountId> {
        if !self.accounts.contains_key(account) {
            return vec![];
        }
        let keys: Vec<_> = self.pairs.keys().filter(|(a, b)| a == account || b == account).copied().collect();
        keys.iter().for_each(|key| self.remove(key));
        keys.into_iter().map(|(a, b)| if a == *account { b } else { a }).collect()
    }
}

/// Passes a part on, and says how long to read nothing more from its sender.
pub(super) fn pass_on(shared: &Shared, from: &Arc<Link>, relayed: Relayed<'_>) -> Duration {
    let Relayed { peer: to, session, part } = relayed;
    let refuse = |goodbye| {
        if !matches!(part, Part::End(_)) {
            add(&shared.counters.refused, 1);
            let _ = from.outbox.other(&Frame::Relayed(Relayed { peer: to, session, part: Part::End(goodbye) }));
        }
        Duration::ZERO
    };
    if shared.limits.relay_pairs == 0 || !from.is_direct() || to == from.peer {
        return refuse(Goodbye::NoRelay);
    }
    let Some(target) = shared.peers().direct(&to) else { return refuse(Goodbye::Unreachable) };
    let mut relay = shared.relay();
    if part == Part::Begin && !relay.begin(from.peer, to, &shared.limits) {
        return refuse(Goodbye::Full);
    }
    let Some(pair) = relay.pairs.get_mut(&key(from.peer, to)) else { return refuse(Goodbye::Unreachable) };
    let bytes = if let Part::Bytes(bytes) = part { bytes.len() as u64 } else { 0 };
    let rest = pair.bucket.take(bytes);
    pair.used = Instant::now();
    drop(relay);
    let passed = target.outbox.other(&Frame::Relayed(Relayed { peer: from.peer, session, part }));
    if passed.is_err() {
        return refuse(Goodbye::Full);
    }
    add(&shared.counters.relayed_bytes, bytes);
    rest
}

/// Tells those who talked through this account with one whose connection has ended.
pub(super) fn gone(shared: &Shared, account: AccountId) {
    let others = shared.relay().forget(&account);
    for other in others {
        if let Some(link) = shared.peers().direct(&other) {
            let end = Relayed { peer: account, session: 0, part: Part::End(Goodbye::Unreachable) };
            let _ = link.outbox.other(&Frame::Relayed(end));
        }
    }
}
