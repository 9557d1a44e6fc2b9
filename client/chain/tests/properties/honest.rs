//! An account that follows the honest party's rules, S1 to S8, and the judgement on what became of its channels.

use crate::model::{is_due, sum, Call, Model};
use protocol::{AccountId, Entry, Epoch, SignedUpdate, Timestamp, Tpc, TpcId, Update, Version};
use std::collections::{BTreeMap, BTreeSet};

/// What orders the states of a channel.
pub type Order = (Epoch, Version);

/// A rule that an account may break, to see that somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// S1: it signs for channels that are not on chain in the entry's epoch.
    NotOnChain,
    /// S2: an update replaces nothing.
    NoReplacement,
    /// S2: a replacement covers only the channel in common.
    Overlap,
    /// S3: a signed close, top-up, withdrawal or split is forgotten.
    AgreedIsGone,
    /// S4: whatever is fully signed is complete, however little time is left.
    NoHaste,
    /// S4, S5: what is disputed below an update makes it void.
    DisputedIsVoid,
    /// S6: nothing is answered.
    Silent,
    /// S6: only disputes over its own channels are answered.
    OwnOnly,
    /// S6: only the newest complete update is kept.
    NewestOnly,
    /// Contents follow from a state before the latest complete one.
    OldContent,
}

/// An update that the account has signed.
#[derive(Clone)]
struct Held {
    update: Update,
    /// The entries of the account's own channels.
    own: Vec<Entry>,
    /// With all signatures, if they have reached the account.
    full: Option<SignedUpdate>,
    /// Rule S4.
    complete: bool,
    /// Only an account that breaks S5 gives up what is not void.
    gone: bool,
}

/// A close, top-up, withdrawal, split or registration that the account has signed.
#[derive(Clone)]
struct Agreed {
    call: &'static str,
    /// The account's own channels in it, and the last states that it names.
    own: BTreeMap<TpcId, Option<Order>>,
    valid_until: Timestamp,
}

#[derive(Clone)]
pub struct Honest {
    pub account: AccountId,
    lapse: Option<Lapse>,
    held: Vec<Held>,
    agreed: Vec<Agreed>,
    /// The state that each state of its channels follows from.
    parents: BTreeMap<(TpcId, Order), Order>,
    /// The last states of its channels that are gone.
    last: BTreeMap<TpcId, Order>,
}

impl Honest {
    pub fn new(account: AccountId, lapse: Option<Lapse>) -> Self {
        let (held, agreed, parents, last) = (vec![], vec![], BTreeMap::new(), BTreeMap::new());
        Self { account, lapse, held, agreed, parents, last }
    }

    fn lapses(&self, lapse: Lapse) -> bool {
        self.lapse == Some(lapse)
    }

    pub fn owns(&self, tpc: &Tpc) -> bool {
        tpc.owners.parties.contains(&self.account)
    }

    /// The highest order that it has signed for a channel in an epoch.
    pub fn top(&self, tpc: TpcId, epoch: Epoch) -> Version {
        let updates = self.held.iter().flat_map(|held| &held.own);
        let updates = updates.filter(|entry| entry.tpc == tpc).map(|entry| (entry.epoch, entry.version));
        let agreed = self.agreed.iter().filter_map(|agreed| *agreed.own.get(&tpc)?);
        let in_epoch = updates.chain(agreed).filter(|order| order.0 == epoch);
        in_epoch.map(|order| order.1).max().unwrap_or_default()
    }

    /// L: the latest complete state of an own channel, or the one on chain. `None` if the channel is gone.
    fn latest(&self, tpc: TpcId, model: &Model) -> Option<Order> {
        let stored = model.tpcs.get(&tpc)?;
        let complete = self.held.iter().filter(|held| held.complete).flat_map(|held| &held.own);
        let complete = complete.filter(|entry| entry.tpc == tpc).map(order);
        complete.chain([(stored.epoch, stored.version)]).max()
    }

    fn is_in_flight(&self, held: &Held, model: &Model, now: Timestamp) -> bool {
        let above = |entry: &Entry| self.latest(entry.tpc, model).is_some_and(|latest| order(entry) > latest);
        let disputed = self.lapses(Lapse::DisputedIsVoid) && is_disputed_below(&held.update, model);
        !held.gone && !held.complete && !disputed && !is_void(&held.update, model, now) && held.own.iter().any(above)
    }

    /// The own channels of every update in flight that has one of `tpcs`, whose next state must cover them.
    pub fn in_flight_beside(&self, tpcs: &BTreeSet<TpcId>, model: &Model, now: Timestamp) -> BTreeMap<TpcId, Order> {
        let mut covered = BTreeMap::new();
        for held in self.held.iter().filter(|held| self.is_in_flight(held, model, now)) {
            if held.own.iter().any(|entry| tpcs.contains(&entry.tpc)) {
                for entry in &held.own {
                    let highest = covered.entry(entry.tpc).or_insert(order(entry));
                    *highest = order(entry).max(*highest);
                }
            }
        }
        covered
    }

    /// Rule S2: whether states of these orders replace whatever is in flight in their channels.
    fn covers(&self, own: &BTreeMap<TpcId, Order>, model: &Model, now: Timestamp) -> bool {
        if self.lapses(Lapse::NoReplacement) {
            return true;
        }
        let tpcs = own.keys().copied().collect();
        let beside = self.in_flight_beside(&tpcs, model, now);
        beside.iter().all(|(tpc, order)| match own.get(tpc) {
            Some(next) => next > order,
            None => self.lapses(Lapse::Overlap),
        })
    }

    /// Rule S3: whether nothing agreed with both signatures may yet happen to one of these channels.
    fn is_free(&self, tpcs: &BTreeMap<TpcId, Option<Order>>, call: &'static str, now: Timestamp) -> bool {
        if self.lapses(Lapse::AgreedIsGone) {
            return true;
        }
        let waiting =
            |agreed: &&Agreed| now <= agreed.valid_until && agreed.own.keys().any(|tpc| tpcs.contains_key(tpc));
        self.agreed.iter().filter(waiting).all(|agreed| agreed.call == call && agreed.own.keys().eq(tpcs.keys()))
    }

    /// Signs an update, or not (S1 to S3). `model` is what the account reads on chain at `now`.
    pub fn sign(&mut self, update: &Update, model: &Model, now: Timestamp) -> bool {
        let on_chain = |entry: &Entry| match model.tpcs.get(&entry.tpc) {
            Some(tpc) if tpc.epoch == entry.epoch => tpc.dispute.is_none() && sum(tpc.balances) == sum(entry.balances),
            _ => self.lapses(Lapse::NotOnChain),
        };
        let own = update.entries.iter().filter(|entry| model.tpcs.get(&entry.tpc).is_some_and(|tpc| self.owns(tpc)));
        let own: Vec<_> = own.copied().collect();
        let newer = |entry: &Entry| {
            let stored = model.tpcs[&entry.tpc].version;
            entry.epoch == model.tpcs[&entry.tpc].epoch && entry.version > stored.max(self.top(entry.tpc, entry.epoch))
        };
        let orders: BTreeMap<_, _> = own.iter().map(|entry| (entry.tpc, order(entry))).collect();
        let tpcs = orders.keys().map(|tpc| (*tpc, None)).collect();
        let well_formed = !own.is_empty() && update.entries.is_sorted_by(|one, next| one.tpc < next.tpc);
        let good = well_formed && update.entries.iter().all(on_chain) && own.iter().all(newer);
        if !good || !self.covers(&orders, model, now) || !self.is_free(&tpcs, "update", now) {
            return false;
        }
        self.follow(&orders, model);
        self.held.push(Held { update: update.clone(), own, full: None, complete: false, gone: false });
        true
    }

    /// The contents of new states follow from the latest ones.
    fn follow(&mut self, orders: &BTreeMap<TpcId, Order>, model: &Model) {
        for (tpc, order) in orders {
            let latest = self.latest(*tpc, model);
            let latest = latest.filter(|_| !self.lapses(Lapse::OldContent)).unwrap_or((model.tpcs[tpc].epoch, 0));
            self.parents.insert((*tpc, *order), latest);
        }
    }

    /// Signs a close, top-up, withdrawal or split of channels with these last states, or not.
    pub fn agree(
        &mut self,
        call: &'static str,
        last: &[Entry],
        valid_until: Timestamp,
        model: &Model,
        now: Timestamp,
    ) -> bool {
        let good = |entry: &Entry| {
            model.tpcs.get(&entry.tpc).is_some_and(|tpc| {
                let newer = entry.version > tpc.version.max(self.top(entry.tpc, entry.epoch));
                let right = sum(tpc.balances) == sum(entry.balances) && self.owns(tpc);
                entry.epoch == tpc.epoch && newer && right && !is_due(tpc, now)
            })
        };
        let orders: BTreeMap<_, _> = last.iter().map(|entry| (entry.tpc, order(entry))).collect();
        let own: BTreeMap<_, _> = orders.iter().map(|(tpc, order)| (*tpc, Some(*order))).collect();
        let willing = orders.len() == last.len()
            && last.iter().all(good)
            && self.covers(&orders, model, now)
            && self.is_free(&own, call, now);
        if willing {
            self.follow(&orders, model);
            self.agreed.push(Agreed { call, own, valid_until });
        }
        willing
    }

    /// Signs a registration of channels, or not.
    pub fn register(
        &mut self,
        call: &'static str,
        tpcs: &[TpcId],
        valid_until: Timestamp,
        model: &Model,
        now: Timestamp,
    ) -> bool {
        let own = tpcs.iter().filter(|id| model.tpcs.get(id).is_some_and(|tpc| self.owns(tpc)));
        let own: BTreeMap<_, _> = own.map(|id| (*id, None)).collect();
        let willing = tpcs.iter().all(|id| model.tpcs.contains_key(id)) && self.is_free(&own, call, now);
        if willing {
            self.agreed.push(Agreed { call, own, valid_until });
        }
        willing
    }

    /// All signatures of an update reach the account.
    pub fn receive(&mut self, full: &SignedUpdate) {
        for held in self.held.iter_mut().filter(|held| held.update == full.update) {
            held.full = Some(full.clone());
        }
    }

    /// Rule S4: decides whether what is fully signed is complete; and again whenever time has passed. The account's block
    /// may be as late as `last_chance`, if another account's comes first.
    pub fn decide(&mut self, model: &Model, now: Timestamp, last_chance: Timestamp) {
        let in_time = |entry: &Entry| {
            let below =
                model.tpcs.get(&entry.tpc).filter(|tpc| tpc.epoch == entry.epoch && tpc.version < entry.version);
            below.is_none_or(|tpc| tpc.dispute.is_none_or(|dispute| last_chance <= dispute.deadline))
        };
        let hasty = self.lapses(Lapse::NoHaste);
        for held in self.held.iter_mut().filter(|held| held.full.is_some() && !held.complete && !held.gone) {
            let void = is_void(&held.update, model, now);
            held.complete = hasty || !void && held.update.entries.iter().all(in_time);
        }
        // An account that breaks S5 gives up what is disputed, for good.
        if self.lapses(Lapse::DisputedIsVoid) {
            for held in self.held.iter_mut().filter(|held| !held.complete) {
                held.gone |= is_disputed_below(&held.update, model);
            }
        }
    }

    /// K: the updates that hold the latest states of stored own channels, where the contract has older ones.
    fn kept(&self, model: &Model) -> Vec<&Held> {
        let mut kept: Vec<_> = self.held.iter().filter(|held| held.complete && self.is_kept(held, model)).collect();
        if self.lapses(Lapse::NewestOnly) {
            kept = kept.pop().into_iter().collect();
        }
        kept
    }

    fn is_kept(&self, held: &Held, model: &Model) -> bool {
        held.own.iter().any(|entry| {
            let stored = model.tpcs.get(&entry.tpc).map(|tpc| (tpc.epoch, tpc.version));
            stored.is_some_and(|stored| stored < order(entry)) && self.latest(entry.tpc, model) == Some(order(entry))
        })
    }

    /// Rule S6: for each disputed channel that is below an update that is kept, the deadline and the highest such update.
    pub fn answers(&self, model: &Model) -> Vec<(Timestamp, Entry, &SignedUpdate)> {
        let mut highest: BTreeMap<TpcId, (Timestamp, Entry, &SignedUpdate)> = BTreeMap::new();
        for held in self.kept(model) {
            for entry in &held.update.entries {
                let Some(tpc) = model.tpcs.get(&entry.tpc) else { continue };
                let Some(dispute) = tpc.dispute else { continue };
                let answered = self.lapses(Lapse::Silent) || self.lapses(Lapse::OwnOnly) && !self.owns(tpc);
                if tpc.epoch == entry.epoch && tpc.version < entry.version && !answered {
                    let full = held.full.as_ref().unwrap();
                    let known = highest.entry(entry.tpc).or_insert((dispute.deadline, *entry, full));
                    if order(&known.1) < order(entry) {
                        *known = (dispute.deadline, *entry, full);
                    }
                }
            }
        }
        let mut answers: Vec<_> = highest.into_values().collect();
        answers.sort_by_key(|(deadline, ..)| *deadline);
        answers
    }

    /// Rule S8: own channels of updates that hang.
    pub fn hanging(&self, model: &Model, now: Timestamp) -> Vec<TpcId> {
        let hanging = self.held.iter().filter(|held| self.is_in_flight(held, model, now));
        let own = hanging.flat_map(|held| &held.own).map(|entry| entry.tpc);
        let open = own.filter(|id| model.tpcs.get(id).is_some_and(|tpc| tpc.dispute.is_none()));
        open.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The account sees what a call, or only the time that passed, has done.
    pub fn watch(&mut self, before: &Model, call: Option<&Call>, after: &Model) {
        let own: Vec<_> = before.tpcs.iter().filter(|(_, tpc)| self.owns(tpc)).collect();
        let ended: &[Entry] = match call {
            Some(Call::CloseTpc(call)) => &[call.close.last],
            Some(Call::TopUpTpc(call)) => &[call.top_up.last],
            Some(Call::WithdrawTpc(call)) => &[call.withdrawal.last],
            Some(Call::SplitTpc(call)) => &call.split.last,
            _ => &[],
        };
        for (id, tpc) in own {
            let last = ended.iter().find(|entry| entry.tpc == *id).map_or((tpc.epoch, tpc.version), order);
            match after.tpcs.get(id) {
                None => {
                    self.last.insert(*id, last);
                }
                Some(after) if after.epoch > tpc.epoch => {
                    self.parents.insert((*id, (after.epoch, 0)), last);
                }
                Some(_) => {}
            }
        }
    }

    /// No update that must be kept is void (I4).
    pub fn check_kept(&self, model: &Model, now: Timestamp) -> Result<(), String> {
        match self.kept(model).into_iter().find(|held| is_void(&held.update, model, now)) {
            Some(held) => Err(format!("what must be kept is void: {:?}", held.update)),
            None => Ok(()),
        }
    }

    /// When everything is over: each signed update counts in all of the account's channels in it or in none (G1), and no
    /// channel ended below its latest complete state (G2).
    pub fn audit(&self, model: &Model) -> Result<[u64; 2], String> {
        let mut tally = [0, 0];
        for held in &self.held {
            let counts: BTreeMap<_, _> = held.own.iter().map(|entry| (entry.tpc, self.counts(entry, model))).collect();
            let some = counts.values().any(|counts| *counts);
            if some != counts.values().all(|counts| *counts) {
                return Err(format!("an update counts in part {counts:?}: {:?}", held.update));
            }
            tally[usize::from(!some)] += u64::from(counts.len() > 1);
            for entry in held.own.iter().filter(|_| held.complete) {
                let last = self.end_of(entry.epoch, entry.tpc, model);
                if last < order(entry) {
                    return Err(format!("an epoch ended at {last:?}, below its complete state: {entry:?}"));
                }
            }
        }
        Ok(tally)
    }

    fn end(&self, tpc: TpcId, model: &Model) -> Order {
        model.tpcs.get(&tpc).map_or_else(|| self.last[&tpc], |tpc| (tpc.epoch, tpc.version))
    }

    /// The state that an epoch ended with.
    fn end_of(&self, epoch: Epoch, tpc: TpcId, model: &Model) -> Order {
        let mut state = self.end(tpc, model);
        while state.0 > epoch {
            state = self.parents[&(tpc, state)];
        }
        state
    }

    /// Whether what the channel ended with follows from the entry.
    fn counts(&self, entry: &Entry, model: &Model) -> bool {
        let mut state = self.end(entry.tpc, model);
        while state != order(entry) {
            match self.parents.get(&(entry.tpc, state)) {
                Some(parent) => state = *parent,
                None => return false,
            }
        }
        true
    }
}

fn order(entry: &Entry) -> Order {
    (entry.epoch, entry.version)
}

/// Rule S5: an epoch of a channel in it is due or ended by dispute below its order.
fn is_void(update: &Update, model: &Model, now: Timestamp) -> bool {
    update.entries.iter().any(|entry| match model.tpcs.get(&entry.tpc) {
        Some(tpc) if tpc.epoch == entry.epoch => tpc.version < entry.version && is_due(tpc, now),
        _ => model.ended.get(&(entry.tpc, entry.epoch)).is_some_and(|last| *last < entry.version),
    })
}

fn is_disputed_below(update: &Update, model: &Model) -> bool {
    update.entries.iter().any(|entry| {
        let tpc = model.tpcs.get(&entry.tpc);
        tpc.is_some_and(|tpc| tpc.epoch == entry.epoch && tpc.version < entry.version && tpc.dispute.is_some())
    })
}
