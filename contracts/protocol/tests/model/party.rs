//! An honest party: its store, and what it agrees to sign.

use crate::{
    chain::{Agreement, Chain},
    world::{Mutation, Slot},
};
use codec::Encode;
use protocol::{rules, AccountId, Balance, Entry, Epoch, MpcClose, MpcId, MpcLeave, Tpc, TpcId, Version};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub enum Life {
    /// Up since the start.
    Up,
    Down,
    /// Up again. It crashes only once.
    Restarted,
}

/// What the party has saved.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Party {
    pub account: AccountId,
    pub channels: BTreeMap<TpcId, Channel>,
    /// Everything that it has signed.
    pub signed: BTreeSet<Slot>,
    /// The complete updates that it has.
    pub held: BTreeSet<Slot>,
    /// The updates in flight for which it has signed a replacement.
    pub replaced: BTreeSet<Slot>,
    pub life: Life,
    /// Whether it was down when it should have answered. Then nothing is promised to it.
    pub missed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Channel {
    /// The newest state that is complete or on chain.
    pub latest: Entry,
    pub mpc: Option<MpcId>,
    /// The highest state that it has signed.
    pub signed: (Epoch, Version),
    /// What it has signed and not seen decided.
    pub in_flight: Option<Slot>,
}

impl Party {
    pub fn new(account: AccountId, chain: &Chain) -> Self {
        let own = chain.tpcs.iter().filter(|(_, tpc)| tpc.parties.contains(&account));
        let channel = |(id, tpc): (&TpcId, &Tpc)| {
            let latest = tpc.entry(*id);
            (*id, Channel { latest, mpc: chain.group_of(tpc), signed: latest.order(), in_flight: None })
        };
        Self {
            account,
            channels: own.map(channel).collect(),
            signed: BTreeSet::new(),
            held: BTreeSet::new(),
            replaced: BTreeSet::new(),
            life: Life::Up,
            missed: false,
        }
    }

    pub fn is_up(&self) -> bool {
        self.life != Life::Down
    }

    /// The entries for its own channels.
    pub fn own<'a>(&'a self, agreement: &'a Agreement) -> impl Iterator<Item = (&'a Entry, &'a Channel)> {
        agreement.entries().iter().filter_map(|entry| Some((entry, self.channels.get(&entry.tpc)?)))
    }

    /// Whether it signs the agreement that has this slot.
    pub fn agrees(&self, chain: &Chain, agreements: &[Option<Agreement>], slot: Slot, agreement: &Agreement) -> bool {
        if !self.is_up() || self.signed.contains(&slot) || self.own(agreement).next().is_none() {
            return false;
        }
        let mutation = chain.mutation;
        let in_time = agreement.valid_until().is_none_or(|until| rules::check_valid(chain.now, until).is_ok());
        let free = self.own(agreement).all(|(_, channel)| channel.in_flight.is_none());
        let alone = self.own(agreement).all(|(_, channel)| channel.mpc.is_none());
        let newest = self.own(agreement).all(|(entry, channel)| *entry == channel.latest);
        let next = self.own(agreement).all(|(entry, channel)| {
            entry.epoch == channel.latest.epoch && entry.order() > channel.signed.max(channel.latest.order())
        });
        let pays = self.own(agreement).all(|(entry, channel)| entry.balances == paying(channel.latest.balances, slot));
        let replaces = self.own(agreement).all(|(_, channel)| {
            let earlier = channel.in_flight.and_then(|earlier| agreements[usize::from(earlier)].as_ref());
            earlier.is_none_or(|earlier| replaces(agreement, earlier))
        }) || mutation == Some(Mutation::SignsWhileInFlight);
        let in_group = |mpc| self.own(agreement).all(|(_, channel)| channel.mpc == Some(mpc));
        match agreement {
            Agreement::UpdateTpc(_) => alone && next && pays && replaces,
            Agreement::CloseTpc(close) => {
                let same = |(_, channel): (_, &Channel)| close.last.balances == channel.latest.balances;
                in_time && free && alone && next && self.own(agreement).all(same)
            }
            Agreement::UpdateMpc(update) => {
                // What others' entries say is no concern of this party: those that do not fit are passed over.
                in_group(update.mpc) && next && pays && replaces
            }
            Agreement::CreateMpc(_) | Agreement::JoinMpc(_) => {
                let enters = |(entry, channel): (&Entry, &Channel)| *entry == entering(&channel.latest, mutation);
                in_time && free && alone && self.own(agreement).all(enters)
            }
            Agreement::LeaveMpc(MpcLeave { mpc, .. }) | Agreement::CloseMpc(MpcClose { mpc, .. }) => {
                let free = free || mutation == Some(Mutation::LeavesWhileInFlight);
                let newest = newest || mutation == Some(Mutation::SignsOldSnapshot);
                in_time && free && newest && in_group(*mpc)
            }
        }
    }

    pub fn sign(&mut self, slot: Slot, agreement: &Agreement) {
        self.signed.insert(slot);
        for entry in agreement.entries() {
            let Some(channel) = self.channels.get_mut(&entry.tpc) else { continue };
            if let Some(earlier) = channel.in_flight.replace(slot) {
                self.replaced.insert(earlier);
            }
            if agreement.is_update() || matches!(agreement, Agreement::CloseTpc(_)) {
                channel.signed = entry.order();
            }
        }
    }

    /// It learns that an update is complete.
    pub fn complete(&mut self, slot: Slot, agreement: &Agreement) {
        self.held.insert(slot);
        for entry in agreement.entries() {
            let Some(channel) = self.channels.get_mut(&entry.tpc) else { continue };
            if channel.latest.order() < entry.order() {
                channel.latest = *entry;
            }
            channel.in_flight.take_if(|in_flight| *in_flight == slot);
        }
    }

    /// It looks at the chain: what is decided there, and what has become void.
    pub fn observe(&mut self, chain: &Chain, agreements: &[Option<Agreement>]) {
        for (id, channel) in &mut self.channels {
            let Some(tpc) = chain.tpcs.get(id) else {
                channel.in_flight = None;
                continue;
            };
            let (stored, mpc) = (tpc.entry(*id), chain.group_of(tpc));
            if mpc != channel.mpc || stored.epoch != channel.latest.epoch {
                *channel = Channel { latest: stored, mpc, signed: stored.order(), in_flight: None };
            } else if channel.latest.order() < stored.order() {
                channel.latest = stored;
                channel.signed = channel.signed.max(stored.order());
            }
            let latest = channel.latest.order();
            channel.in_flight.take_if(|slot| {
                let Some(agreement) = &agreements[usize::from(*slot)] else { return true };
                let expired =
                    agreement.valid_until().is_some_and(|until| rules::check_valid(chain.now, until).is_err());
                let overtaken = || agreement.entry(*id).is_none_or(|entry| entry.order() <= latest);
                expired || (agreement.is_update() && overtaken())
            });
        }
    }

    /// Only what it saved is left.
    pub fn restart(&mut self, mutation: Option<Mutation>) {
        self.life = Life::Restarted;
        if mutation == Some(Mutation::SignsBeforeSaving) {
            for channel in self.channels.values_mut() {
                channel.signed = channel.latest.order();
                channel.in_flight = None;
            }
        }
    }
}

/// The balances after the payment of this slot, whose own power of two goes from the first owner to the second: the
/// second balance tells which payments a state counts.
pub fn paying([first, second]: [Balance; 2], slot: Slot) -> [Balance; 2] {
    [first - (1 << slot), second + (1 << slot)]
}

/// Whether a state counts the payment of this slot.
pub fn counts(state: &Entry, slot: Slot) -> bool {
    state.balances[1] & (1 << slot) != 0
}

/// The state in which a channel enters a group.
pub fn entering(latest: &Entry, mutation: Option<Mutation>) -> Entry {
    let step = if mutation == Some(Mutation::EnteringKeepsEpoch) { 0 } else { 1 };
    Entry { epoch: latest.epoch + step, version: 0, ..*latest }
}

/// Whether the later update moves every channel of the earlier one further.
fn replaces(later: &Agreement, earlier: &Agreement) -> bool {
    let further = |old: &Entry| later.entry(old.tpc).is_some_and(|new| new.order() > old.order());
    earlier.is_update() && earlier.entries().iter().all(further)
}
