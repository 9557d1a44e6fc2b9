//! An honest party, by the numbered rules S1 to S8 of the protocol. It decides on what the real contract says of the chain.
//!
//! What it keeps is what it has signed and which updates are complete for it; all else follows from that and the chain.

use crate::{
    chain::Mutant::{self, *},
    world::{Agreement, Deed, Scenario, Slot, World, CHANNELS, TICK},
};
use protocol::{Entry, Epoch, Timestamp, Tpc, Version};

/// The shortest window that an honest party signs for: what it needs to see a dispute and to publish an answer.
pub const NEEDED: Timestamp = TICK;

/// What a party has stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// What it has signed, a bit a slot.
    pub signed: u8,
    /// The updates that are complete for it, a bit a slot.
    pub complete: u8,
}

/// An honest party before a world.
pub struct Honest<'a> {
    scenario: &'a Scenario,
    world: &'a World,
    pub who: usize,
    /// The channels as the contract says that they count.
    tpcs: [Option<Tpc>; CHANNELS],
}

pub fn bits(mask: u8) -> impl Iterator<Item = Slot> {
    (0..8).filter(move |slot| mask & (1 << slot) != 0)
}

impl<'a> Honest<'a> {
    pub fn new(scenario: &'a Scenario, world: &'a World, who: usize) -> Self {
        let tpc = |channel| (channel < scenario.channels.len()).then(|| scenario.tpc(&world.chain, channel)).flatten();
        Self { scenario, world, who, tpcs: std::array::from_fn(tpc) }
    }

    fn party(&self) -> Party {
        self.world.parties[self.who]
    }

    fn mutant(&self) -> Option<Mutant> {
        self.scenario.mutant
    }

    fn owns(&self, channel: usize) -> bool {
        self.scenario.owns(self.who, channel)
    }

    fn agreement(&self, slot: Slot) -> Option<&'a Agreement> {
        self.world.agreements[slot].as_deref()
    }

    fn tpc(&self, channel: usize) -> Option<&Tpc> {
        self.tpcs[channel].as_ref()
    }

    /// The entries of a signed agreement, beside the places of their channels.
    fn entries(&self, agreement: &'a Agreement) -> impl Iterator<Item = (usize, &'a Entry)> + 'a {
        agreement.channels.iter().copied().zip(&agreement.entries)
    }

    fn own(&self, agreement: &'a Agreement) -> impl Iterator<Item = (usize, &'a Entry)> + use<'a, '_> {
        self.entries(agreement).filter(|(channel, _)| self.owns(*channel))
    }

    /// The updates that are complete for it.
    fn complete(&self) -> impl Iterator<Item = (Slot, &'a Agreement)> + use<'a, '_> {
        bits(self.party().complete).filter_map(|slot| Some((slot, self.agreement(slot)?)))
    }

    /// L(o): the latest complete state of an own channel, or that on chain. `None` if the channel is gone.
    pub fn latest(&self, channel: usize) -> Option<Entry> {
        let stored = self.tpc(channel)?.entry(self.scenario.channels[channel].id);
        let complete = self.complete().flat_map(|(_, update)| self.entries(update));
        let named = complete.filter(|(named, _)| *named == channel).map(|(_, entry)| *entry);
        Some(named.fold(stored, |latest, entry| if entry.order() > latest.order() { entry } else { latest }))
    }

    /// What an own entry follows from: the latest state (S1).
    pub fn base(&self, channel: usize) -> Option<Entry> {
        match self.mutant() {
            Some(SkipsComplete) => Some(self.tpc(channel)?.entry(self.scenario.channels[channel].id)),
            _ => self.latest(channel),
        }
    }

    /// The highest order that it has signed for a channel in an epoch.
    fn signed(&self, channel: usize, epoch: Epoch) -> Option<Version> {
        let signed = bits(self.party().signed).filter_map(|slot| self.agreement(slot));
        let entries = signed.flat_map(|agreement| self.entries(agreement));
        entries.filter(|(named, entry)| *named == channel && entry.epoch == epoch).map(|(_, entry)| entry.version).max()
    }

    /// S5: an update is void, for ever, when an epoch of a channel in it is due or ended by dispute below its order.
    fn is_void(&self, update: &'a Agreement) -> bool {
        self.entries(update).any(|(channel, entry)| {
            if self.mutant() == Some(VoidWhenDisputed) && self.tpc(channel).is_some_and(|tpc| tpc.dispute.is_some()) {
                return true;
            }
            let ended = self.scenario.ended(&self.world.chain, channel, entry.epoch);
            ended.is_some_and(|version| entry.version > version || self.mutant() == Some(VoidWhenDue))
        })
    }

    fn is_above_latest(&self, update: &'a Agreement) -> bool {
        self.own(update).any(|(channel, entry)| {
            self.latest(channel).is_some_and(|latest| entry.epoch == latest.epoch && entry.order() > latest.order())
        })
    }

    /// S2: signed, not complete, not void, above the latest state of some own channel.
    fn is_in_flight(&self, slot: Slot, update: &'a Agreement) -> bool {
        let Party { signed, complete } = self.party();
        let replaced = self.mutant() == Some(ReplacedIsGone)
            && bits(signed)
                .filter_map(|slot| self.agreement(slot))
                .any(|other| other.is_update() && self.covers(other, update));
        (signed & !complete) & (1 << slot) != 0 && !replaced && !self.is_void(update) && self.is_above_latest(update)
    }

    /// Whether one agreement names all own channels of another at higher orders.
    fn covers(&self, covering: &'a Agreement, update: &'a Agreement) -> bool {
        covering.has_orders()
            && self.own(update).all(|(channel, entry)| {
                self.own(covering).any(|(named, newer)| named == channel && newer.order() > entry.order())
            })
    }

    fn overlap(&self, one: &'a Agreement, other: &'a Agreement) -> bool {
        self.own(one).any(|(channel, _)| other.channels.contains(&channel))
    }

    /// S3: what is signed and no update is in flight until it is on chain or expired, even with both signatures.
    fn is_agreed(&self, slot: Slot, agreement: &'a Agreement) -> bool {
        let signed = self.party().signed & (1 << slot) != 0;
        let complete = self.mutant() == Some(CloseIsComplete) && self.scenario.is_signed(self.world, slot);
        let executed = self.world.executed & (1 << slot) != 0;
        let valid = agreement.valid_until.is_some_and(|until| self.world.chain.now <= until);
        signed && !agreement.is_update() && !complete && !executed && valid
    }

    /// S2 and S3: whether nothing that is in flight forbids to sign an agreement.
    fn is_free(&self, slot: Slot, agreement: &'a Agreement) -> bool {
        let kind = |agreement: &Agreement| std::mem::discriminant(&agreement.deed);
        bits(self.party().signed).filter(|signed| *signed != slot).all(|earlier| {
            let Some(signed) = self.agreement(earlier).filter(|signed| self.overlap(agreement, signed)) else {
                return true;
            };
            if signed.is_update() {
                !self.is_in_flight(earlier, signed)
                    || self.mutant() == Some(ReplacementOverlaps)
                    || self.covers(agreement, signed)
            } else {
                !self.is_agreed(earlier, signed)
                    || kind(agreement) == kind(signed)
                    || self.mutant() == Some(UpdateReplacesClose)
            }
        })
    }

    /// S1, as to one channel. A party may not have seen a dispute that has just begun.
    fn is_there(&self, agreement: &Agreement, channel: usize, entry: &Entry) -> bool {
        let owners = self.scenario.channels[channel].owners;
        if owners.window < NEEDED && !matches!(self.mutant(), Some(WindowUnchecked | OffChainSigned)) {
            return false;
        }
        let Some(tpc) = self.tpc(channel) else {
            return self.mutant() == Some(OffChainSigned) || matches!(agreement.deed, Deed::Create(_));
        };
        let now = self.world.chain.now;
        let undisputed = tpc.dispute.is_none_or(|dispute| match agreement.deed {
            Deed::Close(_) => now <= dispute.deadline,
            _ => now + tpc.owners.window <= dispute.deadline,
        });
        tpc.epoch == entry.epoch && undisputed && entry.total() == tpc.total()
    }

    /// S1: whether the content of an own entry follows from the latest state, at an order above all signed.
    fn follows(&self, slot: Slot, agreement: &Agreement, channel: usize, entry: &Entry) -> bool {
        let Some(base) = self.base(channel) else {
            return matches!(agreement.deed, Deed::Create(_));
        };
        let content = self.scenario.content(slot, channel, &base);
        entry.balances == content
            && (!agreement.has_orders()
                || entry.order() > base.order()
                    && self.signed(channel, entry.epoch).is_none_or(|version| entry.version > version))
    }

    /// Whether it signs an agreement (S1 to S3).
    pub fn signs(&self, slot: Slot, agreement: &'a Agreement) -> bool {
        self.party().signed & (1 << slot) == 0
            && self.own(agreement).next().is_some()
            && agreement.valid_until.is_none_or(|until| self.world.chain.now <= until)
            && self.entries(agreement).all(|(channel, entry)| self.is_there(agreement, channel, entry))
            && self.own(agreement).all(|(channel, entry)| self.follows(slot, agreement, channel, entry))
            && self.is_free(slot, agreement)
    }

    /// S4: whether an update whose signatures it is shown becomes complete.
    pub fn completes(&self, slot: Slot, update: &'a Agreement) -> bool {
        let Party { signed, complete } = self.party();
        let now = self.world.chain.now;
        let in_time = self.mutant() == Some(CompleteTooLate)
            || self.entries(update).all(|(channel, entry)| {
                let tpc = self.tpc(channel).filter(|tpc| tpc.epoch == entry.epoch && tpc.version < entry.version);
                tpc.and_then(|tpc| tpc.dispute).is_none_or(|dispute| now + NEEDED <= dispute.deadline)
            });
        update.is_update()
            && (signed & !complete) & (1 << slot) != 0
            && !self.is_void(update)
            && in_time
            // What is below its latest states on all own channels is nothing to it.
            && self.is_above_latest(update)
    }

    /// K: the updates that are the latest state of a stored own channel which is below them on chain.
    fn kept(&self) -> Vec<(Slot, &'a Agreement)> {
        let is_latest = |channel: usize, entry: &Entry| {
            self.latest(channel).is_some_and(|latest| latest.order() == entry.order())
                && self.tpc(channel).is_some_and(|tpc| tpc.order() < entry.order())
        };
        let mut kept: Vec<_> = self.complete().collect();
        match self.mutant() {
            Some(KeepsNewest) => {
                kept.reverse();
                kept.truncate(1);
            }
            Some(KeepsLatestOnAll) => {
                kept.retain(|(_, update)| self.own(update).all(|(channel, entry)| is_latest(channel, entry)));
            }
            _ => kept.retain(|(_, update)| self.own(update).any(|(channel, entry)| is_latest(channel, entry))),
        }
        kept
    }

    /// S6: the updates to publish before time moves: for each disputed channel that is below one of K, the one of K that
    /// is highest on it. A dispute that began too late to be answered when it was seen is past this.
    pub fn answers(&self) -> Vec<Slot> {
        let kept = self.kept();
        let mut answers = vec![];
        if kept.is_empty() {
            return answers;
        }
        let mut disputed: Vec<_> = (0..self.scenario.channels.len())
            .filter_map(|channel| Some((channel, self.tpc(channel)?)))
            .filter_map(|(channel, tpc)| Some((tpc.dispute?.deadline, channel, tpc)))
            .filter(|(deadline, ..)| self.world.chain.now + NEEDED <= *deadline)
            .collect();
        disputed.sort_by_key(|(deadline, ..)| *deadline);
        for (_, channel, tpc) in disputed {
            if self.mutant() == Some(AnswersOwnOnly) && !self.owns(channel) {
                continue;
            }
            let above = |entry: &Entry| {
                entry.epoch == tpc.epoch
                    && (entry.version > tpc.version || self.mutant() == Some(EndsWithoutOrderThoughAllAnswered))
            };
            let naming = kept.iter().filter_map(|(slot, update)| {
                let (_, entry) = self.entries(update).find(|(named, entry)| *named == channel && above(entry))?;
                Some((entry.version, *slot))
            });
            answers.extend(naming.max().map(|(_, slot)| slot));
        }
        answers.sort_unstable();
        answers.dedup();
        answers
    }

    /// The own channels that are on chain: what it disputes when it leaves (S8).
    pub fn own_stored(&self) -> Vec<usize> {
        (0..self.scenario.channels.len())
            .filter(|channel| self.owns(*channel) && self.tpc(*channel).is_some())
            .collect()
    }
}
