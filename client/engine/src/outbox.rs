//! Calls of the contract until they are on chain: made, tried again after every failure, forgotten when what they were for is
//! there or can no longer be.

use crate::{
    call::{Call, CallId},
    message::{Reason, UpdateId},
    record::Record,
    time::Waits,
    Answer, Effect, Engine, Refusal, Step,
};
use codec::{Decode, Encode};
use protocol::{abi, state::MAX_CHANNELS, Balance, Entry, Epoch, Resolution, SignedUpdate, Timestamp, TpcId};
use std::collections::BTreeSet;

/// A call that is not on chain yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Waiting {
    pub call: Call,
    pub value: Balance,
    pub purpose: Purpose,
    /// Block time in ms after which it is of no use.
    pub deadline: Option<Timestamp>,
}

/// What a call is for, which tells when it is done.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Purpose {
    /// A channel is there.
    Open(TpcId),
    /// A channel's epoch is over, or the channel is gone.
    EndEpoch(TpcId, Epoch),
    /// These states, or newer ones, are on chain.
    Bring(Vec<Entry>),
    /// These channels are disputed, in these epochs.
    Dispute(Vec<(TpcId, Epoch)>, Resolution),
    /// These channels are paid out.
    Settle(Vec<TpcId>),
    /// A channel has another count of registrations than this.
    Register(TpcId, u32),
}

impl Record for Waiting {
    const KIND: u8 = 8;
    type Key = CallId;
}

impl Step<'_> {
    /// Makes a call, and again until its purpose is reached.
    pub(crate) fn call(&mut self, call: Call, value: Balance, purpose: Purpose, deadline: Option<Timestamp>) {
        if self.engine.calls.iter().any(|(_, waiting)| waiting.purpose == purpose && waiting.call == call) {
            return;
        }
        let id = self.count(|counters| &mut counters.calls);
        self.engine.calls.insert(id, Waiting { call: call.clone(), value, purpose, deadline });
        self.wait_for(Waits::Call(id));
        self.effects.push(Effect::Call { id, call, value, deadline });
    }

    pub(crate) fn call_again(&mut self, id: CallId) {
        let Some(Waiting { call, value, deadline, .. }) = self.engine.calls.get(&id).cloned() else {
            return self.stop_waiting(&Waits::Call(id));
        };
        self.effects.push(Effect::Call { id, call, value, deadline });
    }

    /// A call is not on chain. What it was for is looked at again with the next tick: somebody else may have done it.
    pub(crate) fn call_failed(&mut self, id: CallId) {
        if self.engine.calls.contains(&id) {
            self.wait_for(Waits::Call(id));
        }
    }

    /// Forgets the calls whose purpose is reached, or can no longer be.
    pub(crate) fn check_calls(&mut self) {
        let done: Vec<_> =
            self.engine.calls.iter().filter(|(_, waiting)| self.engine.is_over(waiting)).map(|(id, _)| *id).collect();
        for id in done {
            self.engine.calls.remove(&id);
            self.stop_waiting(&Waits::Call(id));
        }
    }

    /// Puts complete updates on chain, with the earliest deadline among the disputes that they answer.
    pub(crate) fn bring(&mut self, ids: &[UpdateId]) {
        let signed: Vec<SignedUpdate> = ids.iter().filter_map(|id| self.engine.held.get(id)?.signed()).collect();
        let below = |entry: &&Entry| self.engine.on_chain(&entry.tpc).is_some_and(|chain| !chain.has(entry));
        let entries: Vec<Entry> =
            signed.iter().flat_map(|signed| &signed.update.entries).filter(below).copied().collect();
        let deadline = entries.iter().filter_map(|entry| self.engine.deadline_above(entry)).min();
        if entries.is_empty() {
            return;
        }
        let mut missing: BTreeSet<TpcId> = entries.iter().map(|entry| entry.tpc).collect();
        for (_, waiting) in self.engine.calls.iter() {
            if let Purpose::Bring(on_the_way) = &waiting.purpose {
                let reached = |entry: &&Entry| {
                    on_the_way.iter().any(|other| {
                        other.tpc == entry.tpc && other.order() >= entry.order() && self.engine.arrives(other, ids)
                    })
                };
                for entry in entries.iter().filter(reached) {
                    missing.remove(&entry.tpc);
                }
            }
        }
        if missing.is_empty() {
            return;
        }
        for call in Call::of_updates(signed) {
            let named = |entry: &&Entry| match &call {
                Call::UpdateChannels(one) => one.update.entries.contains(entry),
                Call::UpdateAll(all) => all.updates.iter().any(|signed| signed.update.entries.contains(entry)),
                _ => false,
            };
            let entries = entries.iter().filter(named).copied().collect();
            self.call(call.clone(), 0, Purpose::Bring(entries), deadline);
        }
    }

    pub(crate) fn checkpoint(&mut self, channels: &[TpcId]) -> Result<Answer, Refusal> {
        if let Some(unknown) = channels.iter().find(|tpc| !self.engine.is_own(tpc)) {
            return Err(Refusal::UnknownChannel(*unknown));
        }
        let ids: BTreeSet<UpdateId> = channels
            .iter()
            .filter_map(|tpc| self.engine.channels.get(tpc).filter(|channel| channel.is_ahead())?.rests_on)
            .collect();
        self.bring(&ids.into_iter().collect::<Vec<_>>());
        Ok(Answer::Done)
    }

    pub(crate) fn dispute(&mut self, channels: &[TpcId], then: Resolution) -> Result<Answer, Refusal> {
        for tpc in channels {
            let channel = self.engine.channels.get(tpc).filter(|channel| self.engine.owns(&channel.owners));
            let channel = channel.filter(|channel| !channel.on_chain.gone).ok_or(Refusal::UnknownChannel(*tpc))?;
            match channel.on_chain.dispute {
                None => {}
                Some(dispute) if dispute.then == Resolution::Renew && then == Resolution::Settle => {}
                Some(_) => return Err(Reason::Disputed(*tpc).into()),
            }
        }
        // Before the clocks start, so that nobody has to answer what this owner knows better.
        self.checkpoint(channels)?;
        for channels in channels.chunks(MAX_CHANNELS) {
            let epochs =
                channels.iter().filter_map(|tpc| Some((*tpc, self.engine.channels.get(tpc)?.on_chain.order.0)));
            let purpose = Purpose::Dispute(epochs.collect(), then);
            let call = abi::DisputeChannels { channels: channels.to_vec(), then };
            self.call(call.into(), 0, purpose, None);
        }
        Ok(Answer::Done)
    }

    /// Has channels paid out that wait for it.
    pub(crate) fn settle_due(&mut self, mut channels: Vec<TpcId>) {
        channels.retain(|tpc| self.engine.is_own(tpc));
        for channels in channels.chunks(MAX_CHANNELS) {
            let call = abi::SettleChannels { channels: channels.to_vec() };
            self.call(call.into(), 0, Purpose::Settle(channels.to_vec()), None);
        }
    }
}

impl Engine {
    /// Whether an entry that is on its way to the chain spares another the way: it is of an update that counts, or of one of
    /// these. What is in flight with all signatures came late, and the contract may refuse it (rule S4).
    fn arrives(&self, entry: &Entry, ids: &[UpdateId]) -> bool {
        let named = self.naming.get(&entry.tpc).into_iter().flatten();
        let mut of = named.filter_map(|id| Some((id, self.held.get(id)?)));
        of.any(|(id, held)| held.update.entries.contains(entry) && (!held.in_flight || ids.contains(id)))
    }

    /// Whether a call's purpose is reached, or can no longer be.
    fn is_over(&self, waiting: &Waiting) -> bool {
        let late = waiting.deadline.is_some_and(|deadline| self.now() > deadline);
        let chain = |tpc: &TpcId| self.on_chain(tpc).filter(|chain| !chain.gone);
        match &waiting.purpose {
            Purpose::Open(tpc) => late || self.channels.contains(tpc),
            Purpose::EndEpoch(tpc, epoch) => late || chain(tpc).is_none_or(|chain| chain.order.0 != *epoch),
            Purpose::Bring(entries) => {
                let over = |entry: &Entry| self.on_chain(&entry.tpc).is_none_or(|chain| chain.has(entry));
                let void = |entry: &Entry| self.on_chain(&entry.tpc).is_some_and(|chain| chain.voids(entry));
                entries.iter().all(over) || entries.iter().any(void)
            }
            Purpose::Dispute(channels, then) => channels.iter().all(|(tpc, epoch)| {
                let open = chain(tpc).filter(|chain| chain.order.0 == *epoch);
                open.is_none_or(|chain| {
                    chain.is_due()
                        || chain.dispute.is_some_and(|dispute| dispute.then == *then || *then == Resolution::Renew)
                })
            }),
            Purpose::Settle(channels) => channels.iter().all(|tpc| chain(tpc).is_none_or(|chain| !chain.is_due())),
            Purpose::Register(tpc, count) => late || chain(tpc).is_none_or(|chain| chain.registrations != *count),
        }
    }
}
