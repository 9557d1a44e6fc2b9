//! What the chain decides, whoever asked it to, and what proves this user's states to it.

use super::*;
use crate::watcher::Evidence;
use protocol::{
    abi::DisputeChannels,
    event::{self, ChannelDisputed, ChannelSettled},
    state::MAX_CHANNELS,
};

impl Party {
    /// What proves the newest states of its channels, for a watcher. No key is in it.
    pub fn evidence(&self) -> Evidence {
        let channels = self.channels.iter().map(|(tpc, channel)| (*tpc, channel.owners)).collect();
        Evidence { channels, updates: self.complete.clone() }
    }
}

impl Turn<'_> {
    pub(super) fn checkpoint_tpc(&mut self, tpc: TpcId) -> Option<()> {
        self.party.channels.get(&tpc)?;
        self.bring_newest(|id, _| *id == tpc);
        Some(())
    }

    pub(super) fn checkpoint(&mut self, mpc: MpcId) -> Option<()> {
        self.party.groups.get(&mpc)?;
        self.bring_newest(|_, channel| channel.on_chain.mpc == Some(mpc));
        Some(())
    }

    pub(super) fn dispute(&mut self, channels: &[TpcId], then: Resolution) -> Option<()> {
        for tpc in channels {
            match self.party.channels.get(tpc)?.on_chain.dispute {
                None => {}
                Some(dispute) if dispute.then == Resolution::Renew && then == Resolution::Settle => {}
                Some(_) => return None,
            }
        }
        // Before the clocks start, so that nobody has to answer what this owner knows better.
        self.bring_newest(|id, _| channels.contains(id));
        for channels in channels.chunks(MAX_CHANNELS) {
            self.submit(Submission::DisputeChannels(DisputeChannels { channels: channels.to_vec(), then }));
        }
        Some(())
    }

    /// Brings the updates that the newest states of the `wanted` channels rest on, where the contract has older ones.
    fn bring_newest(&mut self, wanted: impl Fn(&TpcId, &Channel) -> bool) {
        let rests = |entry: &Entry| {
            self.party.channels.get(&entry.tpc).is_some_and(|channel| {
                channel.latest == *entry && channel.on_chain.order < entry.order() && wanted(&entry.tpc, channel)
            })
        };
        let newest = self.party.complete.iter().filter(|complete| complete.update.entries.iter().any(rests));
        let newest = newest.cloned().collect();
        self.bring(newest);
    }

    pub(super) fn chain(&mut self, event: Event) {
        match event {
            Event::TpcCreated(event) => {
                self.party.opening.remove(&event.tpc);
                if self.party.owns(&event.owners) {
                    let state = Entry { tpc: event.tpc, epoch: 0, version: 0, balances: event.balances };
                    self.party.channels.insert(event.tpc, Channel::new(event.owners, state));
                }
            }
            Event::Updated(event) => self.shown(&event.entries),
            Event::TpcToppedUp(event::TpcToppedUp { tpc, epoch, balances, .. })
            | Event::TpcWithdrawn(event::TpcWithdrawn { tpc, epoch, balances, .. }) => {
                self.begin_epoch(Entry { tpc, epoch, version: 0, balances });
            }
            Event::TpcSplit(event) => self.split(event),
            Event::Disputed(event) => event.channels.into_iter().for_each(|channel| self.disputed(channel)),
            Event::Settled(event) => event.channels.into_iter().for_each(|channel| self.settled(&channel)),
            Event::TpcClosed(event) => self.remove(event.tpc),
            Event::MpcCreated(event) => self.registered(&event.tpcs, Some(event.mpc)),
            Event::MpcJoined(event) => {
                self.registered(&event.tpcs, Some(event.mpc));
                event.tpcs.into_iter().for_each(|tpc| self.tell_joined(tpc));
            }
            Event::MpcLeft(event) => self.registered(&event.tpcs, None),
            Event::MpcClosed(event) => self.registered(&event.tpcs, None),
            Event::Deposited(_) | Event::Withdrawn(_) => {}
        }
    }

    /// Takes over what the deadlines that have passed by `now` have decided.
    pub(super) fn end_disputes(&mut self, now: Timestamp) {
        let own = self.party.channels.iter().map(|(tpc, channel)| (*tpc, channel.on_chain));
        let others = self.party.others.iter().map(|(tpc, other)| (*tpc, *other));
        let over = |(tpc, OnChain { order, dispute, .. }): (TpcId, OnChain)| {
            dispute.filter(|dispute| now > dispute.deadline).map(|dispute| (tpc, order, dispute.then))
        };
        let ended: Vec<_> = own.chain(others).filter_map(over).collect();
        for (tpc, order, then) in ended {
            self.end_epoch(tpc, order);
            // A channel that waits to be settled keeps its dispute, so that nothing is signed on it.
            if then == Resolution::Renew {
                self.renewed(tpc);
            }
        }
    }

    /// Updates that are in flight are on chain, or something newer is.
    fn shown(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Some(other) = self.party.others.get_mut(&entry.tpc) {
                other.order = entry.order();
            }
            if let Some(channel) = self.party.channels.get_mut(&entry.tpc) {
                (channel.on_chain.order, channel.stored) = (entry.order(), entry.balances);
                channel.signed = channel.signed.max(entry.version);
                if channel.latest.order() < entry.order() {
                    channel.latest = *entry;
                }
            }
        }
        let is_shown = |flight: &&InFlight| {
            let own = flight.update.entries.iter().filter(|entry| self.party.channels.contains_key(&entry.tpc));
            own.into_iter().any(|entry| entries.contains(entry))
        };
        let decided: Vec<_> = self.party.in_flight.values().filter(is_shown).cloned().collect();
        for InFlight { update, mpc, .. } in decided {
            self.tell_updated(mpc, &update);
        }
        self.party.forget();
    }

    /// The contract has put a channel into its next epoch, as its owners agreed.
    fn begin_epoch(&mut self, state: Entry) {
        match self.party.channels.get_mut(&state.tpc) {
            Some(channel) => channel.begin_epoch(state),
            None => self.party.others.entry(state.tpc).or_default().order = state.order(),
        }
        self.party.forget();
    }

    /// Channels of the same owners have become others.
    fn split(&mut self, event::TpcSplit { from, epoch, parts }: event::TpcSplit) {
        let Some(first) = from.first() else { return };
        let owners = self.party.channels.get(first).map(|channel| channel.owners);
        from.iter().skip(1).for_each(|tpc| self.remove(*tpc));
        for (index, (tpc, balances)) in (0..=u8::MAX).zip(parts) {
            match (index, owners) {
                (0, _) => self.begin_epoch(Entry { tpc, epoch, version: 0, balances }),
                (_, Some(owners)) => {
                    let owners = owners.part(*first, epoch.saturating_sub(1), index);
                    let state = Entry { tpc, epoch: 0, version: 0, balances };
                    self.party.channels.insert(tpc, Channel::new(owners, state));
                }
                (_, None) => {}
            }
        }
        if owners.is_some() {
            self.tell(Notice::TpcSplit(*first));
        }
    }

    fn disputed(&mut self, ChannelDisputed { tpc, epoch, version, deadline, then }: ChannelDisputed) {
        let on_chain = self.on_chain_mut(tpc);
        // What the contract had to write first: a renewal that nothing has touched since.
        on_chain.order = (epoch, version);
        let began_at = on_chain.dispute.map_or(version, |dispute| dispute.began_at);
        on_chain.dispute = Some(Dispute { deadline, then, began_at });
    }

    fn settled(&mut self, ChannelSettled { tpc, epoch, version, .. }: &ChannelSettled) {
        self.end_epoch(*tpc, (*epoch, *version));
        self.remove(*tpc);
    }

    fn remove(&mut self, tpc: TpcId) {
        self.party.channels.remove(&tpc);
        self.party.others.remove(&tpc);
        self.party.forget();
        self.drop_groups();
    }

    /// A dispute has ended a channel's epoch: what is newer in it is void for ever, in every channel that it names.
    fn end_epoch(&mut self, tpc: TpcId, (epoch, version): (Epoch, Version)) {
        let is_void = |update: &Update| {
            let newer = |entry: &Entry| entry.tpc == tpc && entry.epoch == epoch && entry.version > version;
            update.entries.iter().any(newer)
        };
        let void = self.party.in_flight.iter().filter(|(_, flight)| is_void(&flight.update));
        let void: Vec<_> = void.map(|(id, flight)| (*id, flight.clone())).collect();
        for (id, InFlight { update, mpc, .. }) in void {
            self.party.in_flight.remove(&id);
            match (mpc, update.entries.first()) {
                (Some(mpc), _) => self.tell(Notice::MpcFailed(mpc, Reason::Void)),
                (None, Some(entry)) => self.tell(Notice::TpcRejected(entry.tpc, Reason::Void)),
                (None, None) => {}
            }
        }
        // Of a complete one that happens only if nobody has watched: what its channels hold is what the contract holds.
        let Party { complete, channels, .. } = &mut self.party;
        let lost: Vec<_> = complete.iter().filter(|complete| is_void(&complete.update)).cloned().collect();
        complete.retain(|complete| !is_void(&complete.update));
        for entry in lost.iter().flat_map(|complete| &complete.update.entries) {
            if let Some(channel) = channels.get_mut(&entry.tpc).filter(|channel| channel.latest == *entry) {
                channel.latest = channel.stored();
            }
        }
        self.party.forget();
    }

    /// A channel has begun its next epoch by itself, with what the contract holds.
    fn renewed(&mut self, tpc: TpcId) {
        match self.party.channels.get_mut(&tpc) {
            Some(channel) => {
                channel.on_chain.dispute = None;
                let Entry { epoch, balances, .. } = channel.stored();
                channel.begin_epoch(Entry { tpc, epoch: epoch.saturating_add(1), version: 0, balances });
                self.tell_coordinator(tpc);
            }
            None => {
                let other = self.party.others.entry(tpc).or_default();
                other.dispute = None;
                other.order = (other.order.0.saturating_add(1), 0);
            }
        }
        self.party.forget();
    }

    /// Channels are in a group now, or in none.
    fn registered(&mut self, tpcs: &[TpcId], mpc: Option<MpcId>) {
        for tpc in tpcs {
            let on_chain = self.on_chain_mut(*tpc);
            on_chain.mpc = mpc;
            on_chain.registrations = on_chain.registrations.saturating_add(1);
            if let Some(channel) = self.party.channels.get_mut(tpc) {
                // Every registration that was signed for the count before is void now.
                channel.agreement.take_if(|agreed| !agreed.names_epoch());
                if let Some(mpc) = mpc {
                    self.party.groups.entry(mpc).or_insert_with(|| Group::new(None)).forming = None;
                }
            }
        }
        self.drop_groups();
    }

    /// Forgets groups that none of this party's channels is in.
    fn drop_groups(&mut self) {
        let Party { groups, channels, .. } = &mut self.party;
        groups.retain(|mpc, group| {
            !group.is_open() || channels.values().any(|channel| channel.on_chain.mpc == Some(*mpc))
        });
    }

    /// One owner tells the coordinator of a channel that joined its group.
    fn tell_joined(&mut self, tpc: TpcId) {
        let first = self.party.channels.get(&tpc).map(|channel| channel.owners.parties[0]);
        if first == Some(self.party.account) {
            self.tell_coordinator(tpc);
        }
    }

    /// Tells the coordinator who owns a channel of its group, and its state.
    fn tell_coordinator(&mut self, tpc: TpcId) {
        let Some(channel) = self.party.channels.get(&tpc) else { return };
        let (owners, entry, Some(mpc)) = (channel.owners, channel.latest, channel.on_chain.mpc) else { return };
        self.send(Peer::Coordinator, Message::MpcJoined { mpc, owners, entry });
    }

    fn on_chain_mut(&mut self, tpc: TpcId) -> &mut OnChain {
        let Party { channels, others, .. } = &mut self.party;
        match channels.get_mut(&tpc) {
            Some(channel) => &mut channel.on_chain,
            None => others.entry(tpc).or_default(),
        }
    }
}
