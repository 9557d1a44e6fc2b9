//! What the chain decides, whoever asked it to, and what proves this user's states to it.

use super::*;
use crate::watcher::{Evidence, TpcEvidence};
use protocol::{
    abi::{DisputeMpc, DisputeTpc, SplitTpc},
    event, Epoch,
};

impl Party {
    /// What proves the newest states of its channels, for a watcher. No key is in it.
    pub fn evidence(&self) -> Evidence {
        let tpc = |channel: &Channel| TpcEvidence {
            latest: channel.proof.map(|signatures| UpdateTpc { entry: channel.latest, signatures }),
            split: channel
                .split
                .clone()
                .and_then(|(split, signatures)| signatures.map(|signatures| SplitTpc { split, signatures })),
            whole: channel.whole(),
        };
        let groups = self.groups.iter().filter(|(_, group)| group.is_open());
        Evidence {
            tpcs: self.channels.iter().map(|(id, channel)| (*id, tpc(channel))).collect(),
            mpcs: groups.map(|(id, group)| (*id, group.complete.clone())).collect(),
        }
    }
}

impl Turn<'_> {
    pub(super) fn checkpoint_tpc(&mut self, id: TpcId) -> Option<()> {
        let whole = self.party.channels.get(&id)?.whole();
        let family = self.party.channels.values().filter(|channel| channel.whole() == whole && channel.mpc.is_none());
        let newer = family.filter(|channel| channel.latest.order() > channel.on_chain.order());
        let updates: Vec<_> =
            newer.filter_map(|channel| Some(UpdateTpc { entry: channel.latest, signatures: channel.proof? })).collect();
        self.submit_split(id);
        updates.into_iter().for_each(|update| self.submit(Submission::UpdateTpc(update)));
        Some(())
    }

    pub(super) fn dispute_tpc(&mut self, id: TpcId) -> Option<()> {
        self.party.channels.get(&id).filter(|channel| channel.mpc.is_none() && channel.deadline.is_none())?;
        self.checkpoint_tpc(id)?;
        self.submit(Submission::DisputeTpc(DisputeTpc { id }));
        Some(())
    }

    pub(super) fn dispute_mpc(&mut self, mpc: MpcId, exits: Vec<TpcId>) -> Option<()> {
        self.party.groups.get(&mpc).filter(|group| group.is_open() && group.deadline.is_none())?;
        let mut own = self.party.channels.iter().filter(|(_, channel)| channel.mpc == Some(mpc));
        let member = exits.first().copied().or_else(|| own.next().map(|(tpc, _)| *tpc))?;
        self.checkpoint(mpc)?;
        self.submit(Submission::DisputeMpc(DisputeMpc { id: mpc, member, exits }));
        Some(())
    }

    pub(super) fn chain(&mut self, event: Event) {
        match event {
            Event::TpcCreated(event) => {
                if let Some((creation, _)) = self.party.opening.remove(&event.tpc) {
                    let TpcCreation { parties, nonce, balances, window, .. } = creation;
                    let state = Entry { tpc: event.tpc, epoch: 0, version: 0, balances };
                    let owners = Owners { parties, nonce, part: None };
                    self.party.channels.insert(event.tpc, Channel::new(owners, window, state));
                }
            }
            Event::TpcUpdated(event::TpcUpdated { tpc, epoch, version, balances }) => {
                self.shown(Entry { tpc, epoch, version, balances });
            }
            Event::TpcToppedUp(event::TpcToppedUp { tpc, epoch, balances })
            | Event::TpcWithdrawn(event::TpcWithdrawn { tpc, epoch, balances, .. }) => {
                self.replaced(Entry { tpc, epoch, version: 0, balances });
            }
            Event::TpcDivided(event) => self.divided(event),
            Event::TpcDisputed(event) => {
                if let Some(channel) = self.party.channels.get_mut(&event.tpc) {
                    channel.deadline = Some(event.deadline);
                }
            }
            Event::TpcClosed(event::TpcClosed { tpc, .. }) | Event::TpcSettled(event::TpcSettled { tpc, .. }) => {
                self.party.channels.remove(&tpc);
                for group in self.party.groups.values_mut() {
                    if group.updates().any(|update| update.entries.iter().any(|entry| entry.tpc == tpc)) {
                        group.gone.insert(tpc);
                    }
                }
            }
            Event::MpcCreated(event) => self.mpc_opened(event.mpc),
            Event::MpcEntered(event) => event.tpcs.into_iter().for_each(|tpc| self.joined(event.mpc, tpc)),
            Event::MpcUpdated(event) => {
                for (tpc, epoch, version) in event.states {
                    self.shown_in_mpc(event.mpc, tpc, (epoch, version));
                }
                self.completed_by_chain(event.mpc);
            }
            Event::MpcLeft(event) => event.tpcs.into_iter().for_each(|tpc| self.left(event.mpc, tpc)),
            Event::MpcDisputed(event) => {
                if let Some(group) = self.party.groups.get_mut(&event.mpc) {
                    group.deadline = Some(event.deadline);
                }
            }
            Event::MpcClosed(event) => self.mpc_closed(event.mpc),
            Event::MpcSettled(event) => self.dissolve(event.mpc),
            Event::Deposited(_) | Event::Withdrawn(_) => {}
        }
    }

    /// The contract holds `state`, which both owners have signed.
    fn shown(&mut self, state: Entry) {
        let Some(channel) = self.party.channels.get_mut(&state.tpc) else { return };
        channel.on_chain = state;
        if channel.latest.order() >= state.order() {
            return;
        }
        channel.latest = state;
        channel.signed = channel.signed.max(state.version);
        channel.proof = None;
        channel
            .in_flight
            .take_if(|flight| matches!(flight, InFlight::TpcUpdate(own, _) if own.version <= state.version));
    }

    /// The contract holds a division, which both owners have signed.
    fn divided(&mut self, event::TpcDivided { tpc, epoch, parts }: event::TpcDivided) {
        if let Some(channel) = self.party.channels.get_mut(&tpc) {
            channel.divided_on_chain = parts.len() > 1;
        }
        if self.latest_epoch(tpc).is_some_and(|latest| latest < epoch) {
            // The peer has completed what this party proposed, and its answer has not arrived.
            self.divide(TpcSplit { tpc, epoch, parts: parts.clone() }, None);
        }
        for (index, balances) in (0..=u8::MAX).zip(parts) {
            let tpc = tpc.part(&Native, epoch, index);
            self.shown(Entry { tpc, epoch, version: 0, balances });
        }
    }

    /// The contract has put the channel into a later epoch, which voids what was signed before.
    fn replaced(&mut self, state: Entry) {
        if let Some(channel) = self.party.channels.get_mut(&state.tpc) {
            // Whatever split there was has been merged by agreement.
            *channel = Channel { deadline: channel.deadline, ..Channel::new(channel.owners, channel.window, state) };
        }
    }

    /// The contract holds a state of a channel in a group: one that this party, an owner, has signed.
    fn shown_in_mpc(&mut self, mpc: MpcId, tpc: TpcId, order: (Epoch, Version)) {
        let Some(channel) = self.party.channels.get_mut(&tpc).filter(|channel| channel.mpc == Some(mpc)) else {
            return;
        };
        let Some(group) = self.party.groups.get(&mpc) else { return };
        let mut states = group.updates().flat_map(|update| &update.entries).chain([&channel.latest]);
        if let Some(state) = states.find(|entry| entry.tpc == tpc && entry.order() == order) {
            channel.on_chain = *state;
        }
    }

    /// A channel has entered a group that exists, as its owners agreed.
    fn joined(&mut self, mpc: MpcId, tpc: TpcId) {
        let Some(channel) = self.party.channels.get_mut(&tpc).filter(|channel| channel.mpc.is_none()) else { return };
        let Some(state) = mpc::entering(&channel.latest) else { return };
        *channel = channel.entered(mpc, state);
        let owners = channel.owners;
        let group = self.party.groups.entry(mpc).or_insert_with(|| Group::new(None));
        group.entries.insert(tpc, state);
        if owners.parties[0] == self.party.account {
            self.send(Peer::Coordinator, Message::MpcJoined { mpc, owners, entry: state });
        }
    }

    /// A channel has left its group at the state that its owners agreed on.
    fn left(&mut self, mpc: MpcId, tpc: TpcId) {
        if let Some(group) = self.party.groups.get_mut(&mpc) {
            group.entries.remove(&tpc);
        }
        if let Some(channel) = self.party.channels.get_mut(&tpc).filter(|channel| channel.mpc == Some(mpc)) {
            channel.stand_alone(channel.latest);
            channel.deadline = None;
        }
        if !self.party.channels.values().any(|channel| channel.mpc == Some(mpc)) {
            self.party.groups.remove(&mpc);
        }
    }

    /// A group was closed: its channels stand alone at the states that all their owners signed.
    fn mpc_closed(&mut self, mpc: MpcId) {
        self.party.groups.remove(&mpc);
        for channel in self.party.channels.values_mut().filter(|channel| channel.mpc == Some(mpc)) {
            channel.stand_alone(channel.latest);
        }
    }

    /// A group's deadline has passed: its channels stand alone at the states that the contract holds, and nothing else
    /// that was signed in the group counts any more.
    pub(super) fn dissolve(&mut self, mpc: MpcId) {
        self.party.groups.remove(&mpc);
        for channel in self.party.channels.values_mut().filter(|channel| channel.mpc == Some(mpc)) {
            channel.stand_alone(channel.on_chain);
        }
    }
}
