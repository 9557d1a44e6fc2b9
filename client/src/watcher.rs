//! Watches the contract on a user's behalf: answers disputes with the newest signed states, and settles what is due.
//!
//! It needs no key that can move funds: anyone may bring what is fully signed, and anyone may settle after a deadline.
//! Here is what it decides, without I/O; [`crate::watch`] runs it on a chain.

use crate::{contract::Event, engine::step::Submission, keys::Native};
use codec::{Decode, DecodeAll, Encode};
use protocol::{
    abi::{SettleMpc, SettleTpc, SplitTpc, UpdateMpc, UpdateTpc},
    event, Crypto, MpcId, MpcUpdate, Owners, PartySignature, Timestamp, Tpc, TpcId,
};
use std::collections::{BTreeMap, BTreeSet};

/// What proves the newest states of a user's channels. It holds no key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Evidence {
    /// The two-party channels, parts among them.
    pub tpcs: BTreeMap<TpcId, TpcEvidence>,
    /// The updates that the newest states of each multi-party channel come from.
    pub mpcs: BTreeMap<MpcId, Vec<MpcEvidence>>,
}

/// What proves a channel's newest state.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TpcEvidence {
    /// The newest state that was signed outside of a group, unless the chain has it.
    pub latest: Option<UpdateTpc>,
    /// The newest division, if the channel was ever divided.
    pub split: Option<SplitTpc>,
    /// The channel that this one is a part of; itself if it was never divided.
    pub whole: TpcId,
}

/// A complete update of a multi-party channel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MpcEvidence {
    /// The update.
    pub update: MpcUpdate,
    /// Everybody's signatures.
    pub signatures: Vec<PartySignature>,
    /// Who owns the channels that it touches, for those that the contract no longer stores.
    pub owners: Vec<Owners>,
}

/// Bytes that are no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no file of signed states, or of another version: have the party write it again")]
pub struct BadEvidence;

/// The first bytes of stored evidence.
const EVIDENCE_TAG: [u8; 8] = *b"braid-e1";

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
    /// A newer state answers a dispute, or a division that is not the newest.
    Answer,
    /// A deadline has passed.
    Settle,
}

/// Which disputes are running, and what was done about them.
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    tpcs: BTreeMap<TpcId, Timestamp>,
    mpcs: BTreeMap<MpcId, Timestamp>,
    /// Channels, not disputed or not only that, whose newest states are to be brought.
    bring_tpcs: BTreeSet<TpcId>,
    /// Groups likewise.
    bring_mpcs: BTreeSet<MpcId>,
    /// Channels that the contract no longer stores.
    gone: BTreeSet<TpcId>,
    /// What was brought already, by hash.
    brought: BTreeSet<[u8; 32]>,
}

impl Watcher {
    /// Has a channel's newest states brought with the next tasks.
    pub fn bring_tpc(&mut self, id: TpcId) {
        self.bring_tpcs.insert(id);
    }

    /// Has a group's newest states brought with the next tasks.
    pub fn bring_mpc(&mut self, id: MpcId) {
        self.bring_mpcs.insert(id);
    }

    /// Takes over a channel as the contract holds it.
    pub fn found_tpc(&mut self, id: TpcId, known: &TpcEvidence, tpc: &Tpc) {
        self.tpcs.extend(tpc.deadline.map(|deadline| (id, deadline)));
        let is_older = |split: &SplitTpc| tpc.split.is_some_and(|on_chain| on_chain.epoch < split.split.epoch);
        if known.split.as_ref().is_some_and(is_older) {
            self.bring_tpc(id);
        }
    }

    /// Takes over a disputed group.
    pub fn found_mpc(&mut self, id: MpcId, deadline: Timestamp) {
        self.mpcs.insert(id, deadline);
    }

    /// Follows what the contract did.
    pub fn follow(&mut self, evidence: &Evidence, event: &Event) {
        match event {
            Event::TpcDisputed(event) if evidence.tpcs.contains_key(&event.tpc) => {
                self.tpcs.insert(event.tpc, event.deadline);
            }
            Event::TpcDivided(event) => {
                let split = evidence.tpcs.get(&event.tpc).and_then(|tpc| tpc.split.as_ref());
                if split.is_some_and(|newest| newest.split.epoch > event.epoch) {
                    self.bring_tpc(event.tpc);
                }
            }
            Event::TpcClosed(event::TpcClosed { tpc, .. }) | Event::TpcSettled(event::TpcSettled { tpc, .. }) => {
                self.tpcs.remove(tpc);
                self.learn_gone(*tpc);
            }
            Event::MpcLeft(event) => event.tpcs.iter().for_each(|tpc| {
                self.tpcs.remove(tpc);
            }),
            Event::MpcDisputed(event) if evidence.mpcs.contains_key(&event.mpc) => {
                self.mpcs.insert(event.mpc, event.deadline);
            }
            Event::MpcClosed(event::MpcClosed { mpc }) | Event::MpcSettled(event::MpcSettled { mpc }) => {
                self.mpcs.remove(mpc);
            }
            _ => {}
        }
    }

    /// What is to be done at block time `now`, given what proves the newest states, in order. None of it comes twice.
    pub fn tasks(&mut self, evidence: &Evidence, now: Timestamp) -> Vec<Task> {
        let mut answers = vec![];
        let disputed = self.tpcs.iter().filter(|(_, deadline)| now <= **deadline).map(|(tpc, _)| tpc);
        for tpc in disputed.chain(&self.bring_tpcs) {
            answers.extend(answers_for_tpc(evidence, tpc));
        }
        let disputed = self.mpcs.iter().filter(|(_, deadline)| now <= **deadline).map(|(mpc, _)| mpc);
        for mpc in disputed.chain(&self.bring_mpcs) {
            let updates = evidence.mpcs.get(mpc).into_iter().flatten();
            answers.extend(updates.map(|update| Submission::UpdateMpc(update.message(|tpc| self.gone.contains(tpc)))));
        }
        self.bring_tpcs.clear();
        self.bring_mpcs.clear();
        answers.retain(|answer| self.brought.insert(Native.blake2_256(&answer.call_data())));
        let mut tasks: Vec<_> = answers.into_iter().map(|submission| Task { submission, why: Why::Answer }).collect();
        let settle = |submission| Task { submission, why: Why::Settle };
        self.tpcs.retain(|id, deadline| {
            let running = now <= *deadline;
            tasks.extend((!running).then(|| settle(Submission::SettleTpc(SettleTpc { id: *id }))));
            running
        });
        self.mpcs.retain(|id, deadline| {
            let running = now <= *deadline;
            tasks.extend((!running).then(|| settle(Submission::SettleMpc(SettleMpc { id: *id }))));
            running
        });
        tasks
    }

    /// Learns that the contract no longer stores a channel, and says whether that is new.
    pub fn learn_gone(&mut self, tpc: TpcId) -> bool {
        self.gone.insert(tpc)
    }

    /// The earliest deadline that is being waited for.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.tpcs.values().chain(self.mpcs.values()).min().copied()
    }
}

impl MpcEvidence {
    /// The call, with a proof of who owned those channels that are `gone`.
    pub fn message(&self, gone: impl Fn(&TpcId) -> bool) -> UpdateMpc {
        let Self { update, signatures, owners } = self.clone();
        let gone = owners.into_iter().filter(|owners| gone(&owners.tpc(&Native))).collect();
        UpdateMpc { update, signatures, gone }
    }
}

/// The newest division of the channel that `tpc` is a part of, and the newest states of its parts.
fn answers_for_tpc(evidence: &Evidence, tpc: &TpcId) -> Vec<Submission> {
    let Some(whole) = evidence.tpcs.get(tpc).map(|tpc| tpc.whole) else { return vec![] };
    let split = evidence.tpcs.get(&whole).and_then(|whole| whole.split.clone());
    let family = evidence.tpcs.values().filter(|part| part.whole == whole);
    let latest = family.filter_map(|part| part.latest.clone()).map(Submission::UpdateTpc);
    split.map(Submission::SplitTpc).into_iter().chain(latest).collect()
}
