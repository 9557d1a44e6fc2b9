//! Watches the contract on a user's behalf: answers disputes with the newest signed states, and settles what is due.
//!
//! It needs no key that can move funds: anyone may bring what is fully signed. Whoever owns no channel may settle as well,
//! one window later than the owners. Here is what it decides, without I/O; [`crate::watch`] runs it on a chain.

use chain::{keys::Native, submission::Submission};
use codec::{Decode, DecodeAll, Encode};
use protocol::{
    abi::SettleChannels,
    event::{ChannelDisputed, Event},
    state::MAX_CHANNELS,
    AccountId, Crypto, Dispute, Entry, Epoch, Owners, Resolution, SignedUpdate, Timestamp, Tpc, TpcId, Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// What proves the newest states of a user's channels. It holds no key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Evidence {
    /// The user's channels.
    pub channels: BTreeMap<TpcId, Owners>,
    /// The complete updates that their newest states rest on, as far as the contract does not hold them.
    pub updates: Vec<SignedUpdate>,
}

/// Bytes that are no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no file of signed states, or of another version: have the party write it again")]
pub struct BadEvidence;

/// The first bytes of stored evidence.
const EVIDENCE_TAG: [u8; 8] = *b"braid-e2";

impl Evidence {
    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        (EVIDENCE_TAG, self).encode()
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// [`BadEvidence`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadEvidence> {
        match <([u8; 8], Self)>::decode_all(&mut &*bytes) {
            Ok((EVIDENCE_TAG, evidence)) => Ok(evidence),
            _ => Err(BadEvidence),
        }
    }

    /// The channels to look at (rule S6): the user's, and every other one that an update names.
    pub fn named(&self) -> BTreeSet<TpcId> {
        let entries = self.updates.iter().flat_map(|signed| &signed.update.entries);
        self.channels.keys().copied().chain(entries.map(|entry| entry.tpc)).collect()
    }

    /// The update that is the newest on a channel, and its entry there.
    fn newest(&self, tpc: &TpcId) -> Option<(&SignedUpdate, &Entry)> {
        let on_channel = self
            .updates
            .iter()
            .filter_map(|signed| Some((signed, signed.update.entries.iter().find(|entry| entry.tpc == *tpc)?)));
        on_channel.max_by_key(|(_, entry)| entry.order())
    }
}

/// What a watcher wants on chain, and why.
#[derive(Clone, Debug)]
pub struct Task {
    /// The call. The contract refuses it if somebody else was first, which is as good.
    pub submission: Submission,
    /// Why.
    pub why: Why,
}

/// Why a watcher acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A newer state answers a dispute, or was asked for.
    Answer,
    /// A deadline has passed.
    Settle,
}

/// A channel that is disputed.
#[derive(Clone, Copy, Debug)]
struct Disputed {
    deadline: Timestamp,
    then: Resolution,
    /// What the contract holds of it.
    order: (Epoch, Version),
}

/// Which disputes are running, and what was done about them.
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    disputed: BTreeMap<TpcId, Disputed>,
    /// Channels whose newest states are to be brought, disputed or not.
    bring: BTreeSet<TpcId>,
    /// What was brought already, by hash.
    brought: BTreeSet<[u8; 32]>,
}

impl Watcher {
    /// Has a channel's newest state brought with the next tasks.
    pub fn bring(&mut self, id: TpcId) {
        self.bring.insert(id);
    }

    /// Takes over a channel as the contract holds it.
    pub fn found(&mut self, id: TpcId, tpc: &Tpc) {
        if let Some(Dispute { deadline, then, .. }) = tpc.dispute {
            self.disputed.insert(id, Disputed { deadline, then, order: tpc.order() });
        }
    }

    /// Follows what the contract did.
    pub fn follow(&mut self, event: &Event) {
        match event {
            Event::Disputed(event) => {
                for ChannelDisputed { tpc, epoch, version, deadline, then } in &event.channels {
                    let disputed = Disputed { deadline: *deadline, then: *then, order: (*epoch, *version) };
                    self.disputed.insert(*tpc, disputed);
                }
            }
            Event::Updated(event) => {
                for entry in &event.entries {
                    self.disputed.entry(entry.tpc).and_modify(|disputed| disputed.order = entry.order());
                }
            }
            Event::TpcClosed(event) => {
                self.disputed.remove(&event.tpc);
            }
            Event::Settled(event) => {
                for channel in &event.channels {
                    self.disputed.remove(&channel.tpc);
                }
            }
            _ => {}
        }
    }

    /// What `caller` is to do at block time `now`, given what proves the newest states, in order. None of it comes twice.
    pub fn tasks(&mut self, evidence: &Evidence, caller: AccountId, now: Timestamp) -> Vec<Task> {
        let mut tasks = self.answers(evidence, now);
        let mut due = vec![];
        self.disputed.retain(|tpc, Disputed { deadline, then, .. }| {
            if now <= *deadline {
                return true;
            }
            let Some(owners) = evidence.channels.get(tpc).filter(|_| *then == Resolution::Settle) else { return false };
            let waits = now <= settled_after(owners, *deadline, &caller);
            due.extend((!waits).then_some(*tpc));
            waits
        });
        tasks.extend(due.chunks(MAX_CHANNELS).map(|channels| Task {
            submission: Submission::SettleChannels(SettleChannels { channels: channels.to_vec() }),
            why: Why::Settle,
        }));
        tasks
    }

    /// The earliest time that is being waited for, to answer before it or to settle after it.
    pub fn next_deadline(&self, evidence: &Evidence, caller: &AccountId) -> Option<Timestamp> {
        let named = evidence.named();
        let deadlines = self.disputed.iter().filter(|(tpc, _)| named.contains(tpc));
        let times = deadlines.map(|(tpc, Disputed { deadline, .. })| {
            evidence.channels.get(tpc).map_or(*deadline, |owners| settled_after(owners, *deadline, caller))
        });
        times.min()
    }

    /// The updates that are the newest on disputed channels, where the contract holds an older state; earliest deadline
    /// first.
    fn answers(&mut self, evidence: &Evidence, now: Timestamp) -> Vec<Task> {
        let mut wanted: Vec<_> = self
            .disputed
            .iter()
            .filter(|(_, disputed)| now <= disputed.deadline)
            .filter_map(|(tpc, Disputed { deadline, order, .. })| {
                let (signed, entry) = evidence.newest(tpc)?;
                (entry.order() > *order).then_some((*deadline, signed))
            })
            .collect();
        wanted.sort_by_key(|(deadline, _)| *deadline);
        let asked = self.bring.iter().filter_map(|tpc| evidence.newest(tpc)).map(|(signed, _)| signed);
        let wanted: Vec<_> = wanted.into_iter().map(|(_, signed)| signed).chain(asked).collect();
        self.bring.clear();
        let is_new = |signed: &&SignedUpdate| self.brought.insert(Native.blake2_256(&signed.encode()));
        let updates = wanted.into_iter().filter(is_new).cloned().collect();
        let answers = Submission::of_updates(updates).into_iter();
        answers.map(|submission| Task { submission, why: Why::Answer }).collect()
    }
}

/// The block time after which `caller` may settle a channel of these owners.
fn settled_after(owners: &Owners, deadline: Timestamp, caller: &AccountId) -> Timestamp {
    match owners.parties.contains(caller) {
        true => deadline,
        false => deadline.saturating_add(owners.window),
    }
}
