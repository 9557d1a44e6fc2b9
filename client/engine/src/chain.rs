//! What the chain tells: final blocks, which are the clock of all decisions; the storage, where blocks were missed; and the
//! disputes at the best head, which are answered before they are final.

use crate::{
    channel::{Channel, Foreign, OnChain},
    message::Reason,
    record::Record,
    sign::Parked,
    Cursor, Engine, Notice, Refusal, Step,
};
use codec::{Decode, Encode};
use protocol::{
    event::{self, ChannelDisputed, ChannelSettled, Event},
    Dispute, Entry, Epoch, MpcId, Owners, Timestamp, Tpc, TpcId, Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// A final block.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Its number. What is at or below the cursor is ignored.
    pub number: u32,
    /// Its time, in ms.
    pub time: Timestamp,
    /// What the contract told in it, in its order.
    pub events: Vec<Event>,
    /// What the storage holds after the block of all channels that the account follows ([`Engine::followed`]). It has to be
    /// there if blocks before this one were missed, and takes the place of the events.
    pub reading: Option<Vec<Stored>>,
}

/// What the contract's storage holds of channels.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The final block after which it was read.
    pub block: u32,
    /// The channels.
    pub channels: Vec<Stored>,
}

/// A channel in the contract's storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which.
    pub tpc: TpcId,
    /// The contract's answer to `tpc`.
    pub stored: Option<Tpc>,
    /// The epoch that was asked about, and the contract's answer to `ended`.
    pub ended: (Epoch, Option<Version>),
}

/// A channel that is disputed at the best head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HeadDispute {
    /// Which.
    pub tpc: TpcId,
    /// The state that the contract holds there.
    pub order: (Epoch, Version),
    /// The last block time in ms at which newer states are accepted.
    pub deadline: Timestamp,
}

impl Record for HeadDispute {
    const KIND: u8 = 15;
    type Key = TpcId;
}

impl Step<'_> {
    pub(crate) fn block(&mut self, block: Block) -> Result<(), Refusal> {
        let Cursor { block: last, .. } = self.engine.cursor();
        if block.number <= last {
            return Ok(());
        }
        if block.number > last.saturating_add(1) && last > 0 && block.reading.is_none() {
            // Something may have happened in between.
            return Err(Refusal::Reason(Reason::Malformed));
        }
        let Block { number, time, events, reading } = block;
        self.engine.cursor.insert((), Cursor { block: number, now: time });
        // The contract judges what is in a block by the block's time.
        let mut touched = self.pass(time);
        match reading {
            Some(channels) => {
                for stored in channels {
                    touched.insert(stored.tpc);
                    self.learn_stored(number, stored);
                }
            }
            None => {
                for event in events {
                    self.event(number, event, &mut touched);
                }
            }
        }
        self.after(touched);
        Ok(())
    }

    /// The storage's answer to [`Effect::Read`].
    pub(crate) fn read(&mut self, reading: Reading) {
        let Reading { block, channels } = reading;
        let read: BTreeSet<TpcId> = channels.iter().map(|stored| stored.tpc).collect();
        let waits = |parked: &Parked| parked.tpcs.iter().any(|tpc| read.contains(tpc));
        if block < self.engine.cursor().block {
            // Newer blocks have told what it does not know: it is asked for again.
            if self.engine.parked.iter().any(waits) {
                let again = channels.iter().map(|stored| (stored.tpc, stored.ended.0)).collect();
                self.effects.push(crate::Effect::Read(again));
            }
            return;
        }
        let mut touched = BTreeSet::new();
        for stored in channels {
            touched.insert(stored.tpc);
            self.learn_stored(block, stored);
        }
        self.after(touched);
        for _ in 0..self.engine.parked.len() {
            let Some(parked) = self.engine.parked.pop_front() else { break };
            if !waits(&parked) {
                self.engine.parked.push_back(parked);
                continue;
            }
            match parked.message {
                message @ crate::Message::MpcCreate { .. } => self.mpc_create(parked.from, message, parked.approved),
                crate::Message::Introduce { mpc, term, registered, channels, held } => {
                    self.introduced(parked.from, mpc, term, registered, channels, held);
                }
                message => self.asked(parked.from, message),
            }
        }
    }

    /// All disputes at the best head.
    pub(crate) fn head(&mut self, disputes: Vec<HeadDispute>) {
        let followed = |dispute: &HeadDispute| self.engine.on_chain(&dispute.tpc).is_some();
        let now: BTreeMap<_, _> = disputes.into_iter().filter(followed).map(|dispute| (dispute.tpc, dispute)).collect();
        let before: BTreeSet<TpcId> = self.engine.head.iter().map(|(tpc, _)| *tpc).collect();
        let changed: BTreeSet<_> = before.iter().chain(now.keys()).copied().collect();
        for tpc in before.iter().filter(|tpc| !now.contains_key(tpc)) {
            self.engine.head.remove(tpc);
        }
        for (tpc, dispute) in now {
            if self.engine.head.get(&tpc) != Some(&dispute) {
                self.engine.head.insert(tpc, dispute);
            }
        }
        for tpc in &changed {
            self.engine.planners_reach(tpc);
        }
        self.answer_disputes(&changed);
        self.start_rounds(&changed);
    }

    /// Lets time pass: deadlines decide. Answers which channels that touches.
    fn pass(&mut self, now: Timestamp) -> BTreeSet<TpcId> {
        let mut touched = BTreeSet::new();
        while let Some((deadline, tpc)) = self.engine.deadlines.first().copied().filter(|(deadline, _)| now > *deadline)
        {
            self.engine.deadlines.remove(&(deadline, tpc));
            touched.insert(tpc);
            self.with_chain(&tpc, |chain| {
                chain.pass(now);
            });
        }
        touched
    }

    /// Changes what is known of a channel on chain. Its deadline follows.
    fn with_chain(&mut self, tpc: &TpcId, change: impl FnOnce(&mut OnChain)) {
        let engine = &mut *self.engine;
        let chain = match engine.channels.change(tpc) {
            Some(channel) => &mut channel.on_chain,
            None => match engine.foreign.change(tpc) {
                Some(foreign) => &mut foreign.on_chain,
                None => return,
            },
        };
        let before = chain.dispute.map(|dispute| dispute.deadline);
        change(chain);
        let after = chain.dispute.filter(|_| !chain.is_due() && !chain.gone).map(|dispute| dispute.deadline);
        if before != after {
            before.map(|deadline| engine.deadlines.remove(&(deadline, *tpc)));
            after.map(|deadline| engine.deadlines.insert((deadline, *tpc)));
        }
    }

    fn learn_stored(&mut self, block: u32, Stored { tpc, stored, ended }: Stored) {
        let now = self.engine.now();
        if self.engine.on_chain(&tpc).is_none() {
            let Some(owners) = stored.map(|stored| stored.owners).or_else(|| self.engine.parked_owners(&tpc)) else {
                return;
            };
            let on_chain = OnChain::new(block, stored.as_ref());
            if let Some(dispute) = on_chain.dispute {
                self.engine.deadlines.insert((dispute.deadline, tpc));
            }
            if self.engine.owns(&owners) && stored.is_some() {
                self.engine.channels.insert(tpc, Channel::new(tpc, owners, on_chain));
            } else {
                self.engine.foreign.insert(tpc, Foreign { owners, on_chain });
            }
        }
        let before = self.engine.on_chain(&tpc).map(|chain| chain.as_of);
        self.with_chain(&tpc, |chain| {
            if before.is_some_and(|before| before > block) {
                return;
            }
            let ends = std::mem::take(&mut chain.ended);
            *chain = OnChain::new(block, stored.as_ref());
            chain.ended = ends;
            let (epoch, version) = ended;
            if let Some(version) = version {
                let disputed = chain.order.0 == epoch && chain.dispute.is_some_and(|dispute| now <= dispute.deadline);
                if !disputed {
                    chain.end(epoch, version);
                }
            }
            chain.pass(now);
        });
        // What the storage shows is as good as the event that was missed.
        if let Some(stored) = stored {
            self.shown(&[stored.entry(tpc)]);
        }
        if let (epoch, Some(version)) = ended {
            let named = self.engine.naming.get(&tpc).into_iter().flatten();
            let reached = |entry: &Entry| entry.tpc == tpc && (entry.epoch, entry.version) == (epoch, version);
            let own = self.engine.is_own(&tpc);
            let counted: Vec<_> = named
                .filter(|id| {
                    let held = self.engine.held.get(*id).filter(|held| own && held.in_flight);
                    held.is_some_and(|held| held.update.entries.iter().any(reached))
                })
                .copied()
                .collect();
            counted.into_iter().for_each(|id| self.count_in(id));
        }
    }

    fn event(&mut self, block: u32, event: Event, touched: &mut BTreeSet<TpcId>) {
        match event {
            Event::TpcCreated(event::TpcCreated { tpc, owners, balances, .. }) => {
                let stored = Tpc { owners, balances, epoch: 0, version: 0, dispute: None, mpc: None, registrations: 0 };
                if self.engine.owns(&owners) && !self.engine.channels.contains(&tpc) {
                    self.engine.foreign.remove(&tpc);
                    self.engine
                        .channels
                        .insert(tpc, Channel::new(tpc, owners, OnChain::new(block.saturating_sub(1), Some(&stored))));
                    self.tell(Notice::Opened(tpc));
                    touched.insert(tpc);
                } else if self.engine.foreign.contains(&tpc) {
                    self.with_chain(&tpc, |chain| {
                        if chain.as_of < block {
                            *chain = OnChain::new(block.saturating_sub(1), Some(&stored));
                        }
                    });
                }
            }
            Event::Updated(event) => {
                for entry in &event.entries {
                    self.at(block, &entry.tpc, touched, |chain| {
                        (chain.order, chain.balances) = (entry.order(), entry.balances);
                    });
                }
                self.shown(&event.entries);
            }
            Event::TpcToppedUp(event::TpcToppedUp { tpc, epoch, balances, .. })
            | Event::TpcWithdrawn(event::TpcWithdrawn { tpc, epoch, balances, .. }) => {
                self.at(block, &tpc, touched, |chain| (chain.order, chain.balances) = ((epoch, 0), balances));
            }
            Event::TpcSplit(event) => self.split_on_chain(block, event, touched),
            Event::Disputed(event) => {
                for ChannelDisputed { tpc, epoch, version, deadline, then } in event.channels {
                    self.at(block, &tpc, touched, |chain| {
                        let began_at = chain.dispute.map_or(version, |dispute| dispute.began_at);
                        if (epoch, version) > chain.order {
                            chain.order = (epoch, version);
                        }
                        chain.dispute = Some(Dispute { deadline, then, began_at });
                    });
                    if self.engine.is_own(&tpc) {
                        self.tell(Notice::Disputed(tpc));
                    }
                }
            }
            Event::Settled(event) => {
                for ChannelSettled { tpc, epoch, version, .. } in event.channels {
                    self.at(block, &tpc, touched, |chain| {
                        chain.end(epoch, version);
                        (chain.gone, chain.dispute) = (true, None);
                    });
                }
            }
            Event::TpcClosed(event) => self.at(block, &event.tpc, touched, |chain| {
                (chain.gone, chain.dispute, chain.balances) = (true, None, event.balances);
            }),
            Event::MpcCreated(event::MpcCreated { mpc, tpcs }) | Event::MpcJoined(event::MpcJoined { mpc, tpcs }) => {
                self.registered(block, &tpcs, Some(mpc), touched);
            }
            Event::MpcLeft(event::MpcLeft { mpc, tpcs }) | Event::MpcClosed(event::MpcClosed { mpc, tpcs }) => {
                self.registered(block, &tpcs, None, touched);
                tpcs.iter().for_each(|tpc| self.released(mpc, tpc));
            }
            Event::Deposited(_) | Event::Withdrawn(_) => {}
        }
    }

    /// Applies an event of a block to a channel, unless the channel was read in that block or a later one.
    fn at(&mut self, block: u32, tpc: &TpcId, touched: &mut BTreeSet<TpcId>, change: impl FnOnce(&mut OnChain)) {
        if self.engine.on_chain(tpc).is_none_or(|chain| chain.as_of >= block) {
            return;
        }
        touched.insert(*tpc);
        self.with_chain(tpc, change);
    }

    fn registered(&mut self, block: u32, tpcs: &[TpcId], mpc: Option<MpcId>, touched: &mut BTreeSet<TpcId>) {
        for tpc in tpcs {
            self.at(block, tpc, touched, |chain| {
                chain.mpc = mpc;
                chain.registrations = chain.registrations.saturating_add(1);
            });
            if let Some(mpc) = mpc {
                self.entered(mpc, tpc);
            }
        }
    }

    fn split_on_chain(&mut self, block: u32, event: event::TpcSplit, touched: &mut BTreeSet<TpcId>) {
        let event::TpcSplit { from, epoch, parts } = event;
        let Some((first, others)) = from.split_first() else { return };
        let owners = self.engine.channels.get(first).map(|channel| channel.owners);
        for tpc in others {
            self.at(block, tpc, touched, |chain| (chain.gone, chain.dispute) = (true, None));
        }
        for (index, (tpc, balances)) in (0..=u8::MAX).zip(parts) {
            if index == 0 {
                self.at(block, &tpc, touched, |chain| (chain.order, chain.balances) = ((epoch, 0), balances));
                continue;
            }
            if let Some(Foreign { owners, .. }) = self.engine.foreign.get(&tpc) {
                // Somebody has asked about it before it was there.
                let owners = *owners;
                let stored = Tpc { owners, balances, epoch: 0, version: 0, dispute: None, mpc: None, registrations: 0 };
                self.at(block, &tpc, touched, |chain| *chain = OnChain::new(block.saturating_sub(1), Some(&stored)));
            }
            let Some(owners) = owners.filter(|owners| self.engine.owns(owners)) else { continue };
            let owners = owners.part(*first, epoch.saturating_sub(1), index);
            let stored = Tpc { owners, balances, epoch: 0, version: 0, dispute: None, mpc: None, registrations: 0 };
            if !self.engine.channels.contains(&tpc) {
                self.engine.foreign.remove(&tpc);
                self.engine
                    .channels
                    .insert(tpc, Channel::new(tpc, owners, OnChain::new(block.saturating_sub(1), Some(&stored))));
                self.tell(Notice::Opened(tpc));
                touched.insert(tpc);
            }
        }
    }

    /// Updates are on chain. What this account has signed in its own channels stands in one update only, so its entry tells
    /// which.
    fn shown(&mut self, entries: &[Entry]) {
        let mut found = BTreeSet::new();
        for entry in entries.iter().filter(|entry| self.engine.is_own(&entry.tpc)) {
            let named = self.engine.naming.get(&entry.tpc).into_iter().flatten();
            found.extend(named.filter(|id| {
                self.engine.held.get(*id).is_some_and(|held| held.in_flight && held.update.entries.contains(entry))
            }));
        }
        for id in found {
            self.count_in(id);
        }
    }

    /// What follows for channels whose chain state may have changed.
    fn after(&mut self, touched: BTreeSet<TpcId>) {
        let mut due = vec![];
        for tpc in &touched {
            let Some(channel) = self.engine.channels.get(tpc) else { continue };
            let chain = &channel.on_chain;
            let (order, balances) = (chain.order, chain.balances);
            let entry = Entry { tpc: *tpc, epoch: order.0, version: order.1, balances };
            if chain.gone {
                self.ended(*tpc);
            } else if channel.latest.epoch != order.0 || chain.is_due() {
                let began = channel.latest.epoch != order.0;
                let settles = chain.is_due();
                let news = channel.latest != entry;
                if news {
                    if let Some(channel) = self.engine.channels.change(tpc) {
                        channel.restart();
                    }
                }
                if began {
                    self.fail_agreement(tpc);
                    self.tell(Notice::EpochBegan(*tpc));
                }
                if settles {
                    self.fail_waiting(tpc);
                    due.push(*tpc);
                }
            } else if channel.latest.version < order.1 {
                if let Some(channel) = self.engine.channels.change(tpc) {
                    channel.reach(&entry, None);
                    channel.signed = channel.signed.max(entry.version);
                }
            }
        }
        self.decide_all(&touched);
        self.prune(&touched);
        self.expire();
        for tpc in &touched {
            self.engine.planners_reach(tpc);
        }
        self.answer_disputes(&touched);
        self.settle_due(due);
        self.check_calls();
        self.start_rounds(&touched);
    }

    /// Decides the updates that name channels: some may be void now, and some that came too late may count after all.
    fn decide_all(&mut self, touched: &BTreeSet<TpcId>) {
        let named: BTreeSet<_> =
            touched.iter().filter_map(|tpc| self.engine.naming.get(tpc)).flatten().copied().collect();
        for id in named {
            let Some(held) = self.engine.held.get(&id) else { continue };
            let void = |entry: &Entry| self.engine.on_chain(&entry.tpc).is_some_and(|chain| chain.voids(entry));
            if held.update.entries.iter().any(void) {
                self.void(id);
            } else {
                self.decide(id);
            }
        }
    }

    /// Publishes what counts in disputes over channels (rule S6): of each, the update that is highest.
    fn answer_disputes(&mut self, touched: &BTreeSet<TpcId>) {
        let mut wanted: Vec<(Timestamp, crate::message::UpdateId)> = vec![];
        for tpc in touched {
            let named = self.engine.naming.get(tpc).into_iter().flatten();
            let above = named.filter_map(|id| {
                let held = self.engine.held.get(id).filter(|held| held.signatures.is_some() && held.own.is_some())?;
                let entry = held.update.entries.iter().find(|entry| entry.tpc == *tpc)?;
                Some((entry.order(), self.engine.deadline_above(entry)?, *id))
            });
            if let Some((_, deadline, id)) = above.max_by_key(|(order, ..)| *order) {
                wanted.push((deadline, id));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        for (_, id) in wanted {
            self.bring(&[id]);
        }
    }

    /// A channel is gone.
    fn ended(&mut self, tpc: TpcId) {
        self.fail_waiting(&tpc);
        self.fail_agreement(&tpc);
        let Some(channel) = self.engine.channels.get(&tpc) else { return };
        let (owners, mpc) = (channel.owners, channel.mpc);
        let on_chain = channel.on_chain.clone();
        if let Some(mpc) = mpc {
            self.leave_seat(mpc, &tpc);
        }
        self.engine.channels.remove(&tpc);
        if self.engine.naming.contains_key(&tpc) || self.engine.in_round.contains_key(&tpc) {
            // Updates that others' channels rest on still name it.
            self.engine.foreign.insert(tpc, Foreign { owners, on_chain });
        }
        mpc.into_iter().for_each(|mpc| self.forget_empty(mpc));
        if self.engine.owns(&owners) {
            self.tell(Notice::Ended(tpc));
        }
    }
}

impl Engine {
    /// Whose a channel is that is not stored, from a message that waits for the answer.
    fn parked_owners(&self, tpc: &TpcId) -> Option<Owners> {
        let owners = |message: &crate::Message| match message {
            crate::Message::Propose { owners, .. }
            | crate::Message::Update { owners, .. }
            | crate::Message::MpcCreate { owners, .. } => owners.clone(),
            crate::Message::Introduce { channels, .. } => channels.iter().map(|channel| channel.owners).collect(),
            _ => vec![],
        };
        let mut all = self.parked.iter().flat_map(|parked| owners(&parked.message));
        all.find(|owners| owners.tpc(&crate::Native) == *tpc)
    }
}
