//! What dishonest users do beside what their engines do: they withhold, repeat, sign whatever they are asked, publish old
//! states, and dispute at random.

use crate::{
    ledger::{Ledger, DOMAIN},
    signers::Key,
};
use engine::{message::Message, Call, Native, Payments, Signer};
use fastrand::Rng;
use protocol::{abi, AccountId, Action, Owners, PartySignature, Resolution, Signature, SignedUpdate, TpcId, Update};
use std::collections::BTreeMap;

/// The most messages and updates that a liar remembers.
const MEMORY: usize = 64;

/// An update, whose its channels are, and the signatures of it.
type Known = (Update, Vec<Owners>, BTreeMap<AccountId, Signature>);

/// A dishonest user.
#[derive(Clone, Debug, Default)]
pub struct Liar {
    /// How many of a thousand messages it does something else with.
    pub mischief: u32,
    heard: Vec<(usize, Message)>,
    /// Updates that it knows, with the signatures that it has seen.
    updates: BTreeMap<[u8; 32], Known>,
}

impl Liar {
    /// One that misbehaves with so many of a thousand messages.
    pub fn new(mischief: u32) -> Self {
        Self { mischief, ..Self::default() }
    }

    /// What it sends in place of a message.
    pub fn send(&mut self, rng: &mut Rng, key: &Key, to: usize, message: Message) -> Vec<(usize, Message)> {
        self.note(key, &message);
        if rng.u32(0..1_000) >= self.mischief {
            return vec![(to, message)];
        }
        match rng.u32(0..6) {
            0 => vec![],
            1 => vec![(to, message.clone()), (to, message)],
            2 => self.old(rng).into_iter().chain([(to, message)]).collect(),
            3 => vec![(to, altered(rng, key, message))],
            4 => vec![(to, message.clone()), (to, altered(rng, key, message))],
            _ => self.old(rng).into_iter().collect(),
        }
    }

    /// What it answers at once, before its engine does.
    pub fn receive(&mut self, rng: &mut Rng, key: &Key, from: usize, message: &Message) -> Vec<(usize, Message)> {
        self.note(key, message);
        if self.heard.len() < MEMORY {
            self.heard.push((from, message.clone()));
        } else {
            let place = rng.usize(0..MEMORY);
            self.heard[place] = (from, message.clone());
        }
        if rng.u32(0..1_000) >= self.mischief {
            return vec![];
        }
        match message {
            // It signs whatever it is asked, and denies it, or not.
            Message::Update { update, .. } => {
                let id = Action::Update(update).payload(&Native, &DOMAIN);
                let agree = Message::UpdateAgree { update: id, signature: key.sign(&id) };
                let reason = engine::message::Reason::Declined;
                let reject = Message::UpdateReject { update: id, reason };
                match rng.u32(0..3) {
                    0 => vec![(from, agree)],
                    1 => vec![(from, reject)],
                    _ => vec![(from, reject), (from, agree)],
                }
            }
            Message::Propose { round, .. } => match rng.bool() {
                true => vec![(from, Message::Consent { round: *round, standings: vec![] })],
                false => {
                    vec![(from, Message::ProposeReject { round: *round, reason: engine::message::Reason::Declined })]
                }
            },
            _ => self.old(rng).into_iter().collect(),
        }
    }

    /// What it brings to the chain after a block.
    pub fn block(&mut self, rng: &mut Rng, account: AccountId, ledger: &Ledger) -> Vec<Call> {
        if rng.u32(0..1_000) >= self.mischief / 4 {
            return vec![];
        }
        let own: Vec<TpcId> =
            ledger.tpcs().filter(|(_, tpc)| tpc.owners.parties.contains(&account)).map(|(tpc, _)| *tpc).collect();
        match rng.u32(0..3) {
            0 => self.complete().collect(),
            1 if !own.is_empty() => {
                let channels = vec![own[rng.usize(0..own.len())]];
                let then = if rng.bool() { Resolution::Settle } else { Resolution::Renew };
                vec![abi::DisputeChannels { channels, then }.into()]
            }
            _ => {
                let all: Vec<_> = self.complete().collect();
                all.get(rng.usize(0..all.len().max(1))).cloned().into_iter().collect()
            }
        }
    }

    /// The complete updates that it knows.
    fn complete(&self) -> impl Iterator<Item = Call> + '_ {
        self.updates.values().filter_map(|(update, owners, signatures)| {
            let mut parties: Vec<_> = owners.iter().flat_map(|owners| owners.parties).collect();
            parties.sort_unstable();
            parties.dedup();
            let signed = |party: AccountId| Some(PartySignature { party, signature: *signatures.get(&party)? });
            let signatures = parties.into_iter().map(signed).collect::<Option<Vec<_>>>()?;
            let signed = SignedUpdate { update: update.clone(), owners: owners.clone(), signatures };
            Call::of_updates([signed]).pop()
        })
    }

    fn old(&self, rng: &mut Rng) -> Option<(usize, Message)> {
        (!self.heard.is_empty()).then(|| self.heard[rng.usize(0..self.heard.len())].clone())
    }

    fn note(&mut self, key: &Key, message: &Message) {
        match message {
            Message::Update { update, owners, signature, round, .. } => {
                let id = Action::Update(update).payload(&Native, &DOMAIN);
                let known = self.updates.entry(id).or_insert_with(|| (update.clone(), owners.clone(), BTreeMap::new()));
                known.2.insert(key.account(), key.sign(&id));
                if let Some(signature) = signature {
                    known.2.insert(round.leader, *signature);
                }
            }
            Message::Updated { update, signatures } => {
                if let Some((_, _, known)) = self.updates.get_mut(update) {
                    known.extend(signatures.iter().map(|signed| (signed.party, signed.signature)));
                }
            }
            _ => {}
        }
        while self.updates.len() > MEMORY {
            self.updates.pop_first();
        }
    }
}

/// The message with something else in it, signed again where it needs a signature.
fn altered(rng: &mut Rng, key: &Key, message: Message) -> Message {
    match message {
        Message::Update { round, right, payments, mut update, owners, .. } => {
            let last = update.entries.len().saturating_sub(1);
            if let Some(entry) = update.entries.get_mut(rng.usize(0..=last)) {
                match rng.u32(0..3) {
                    0 => entry.version += rng.u64(1..5),
                    1 => {
                        let moved = entry.balances[0].min(10);
                        entry.balances = [entry.balances[0] - moved, entry.balances[1] + moved];
                    }
                    _ => {
                        let moved = entry.balances[1].min(10);
                        entry.balances = [entry.balances[0] + moved, entry.balances[1] - moved];
                    }
                }
            }
            let id = Action::Update(&update).payload(&Native, &DOMAIN);
            let payments = if rng.bool() { payments } else { Payments::default() };
            Message::Update { round, right, payments, update, owners, signature: Some(key.sign(&id)) }
        }
        Message::UpdateAgree { update, .. } => {
            Message::UpdateReject { update, reason: engine::message::Reason::Declined }
        }
        Message::Pay { mut payment, over } => {
            for transfer in &mut payment.transfers {
                std::mem::swap(&mut transfer.from, &mut transfer.to);
            }
            Message::Pay { payment, over }
        }
        Message::Consent { round, .. } => Message::Consent { round, standings: vec![] },
        other => other,
    }
}
