//! What answers disputes while a user is away. It holds no key of the user's: complete updates are all it needs.
//!
//! It knows channels and updates only as the user's party has handed them over ([`crate::Engine::evidence`]), follows the
//! chain like a party, and never signs anything but its own transactions.

use crate::{
    chain::{Block, HeadDispute, Stored},
    channel::OnChain,
    message::UpdateId,
    Call, Cursor, Engine, Native,
};
use codec::{Decode, Encode};
use protocol::{
    event::{self, Event},
    AccountId, Action, Dispute, Domain, Entry, Owners, Resolution, SignedUpdate, Timestamp, TpcId,
};
use std::collections::BTreeMap;

/// What proves the newest states of a user's channels (K of rule S6).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Evidence {
    /// Whose channels they are.
    pub account: AccountId,
    /// Where its signatures are good. A watcher of another deployment would guard nothing.
    pub domain: Domain,
    /// The user's channels.
    pub channels: BTreeMap<TpcId, Owners>,
    /// The complete updates that their newest states rest on, as far as the contract does not hold them.
    pub updates: Vec<SignedUpdate>,
}

impl Evidence {
    /// The newest complete update of a channel, whether or not it is disputed.
    pub fn newest(&self, tpc: &TpcId) -> Option<&SignedUpdate> {
        let on_channel = self
            .updates
            .iter()
            .filter_map(|signed| Some((signed, signed.update.entries.iter().find(|entry| entry.tpc == *tpc)?)));
        on_channel.max_by_key(|(_, entry)| entry.order()).map(|(signed, _)| signed)
    }
}

/// A call that answers a dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescue {
    /// What to bring.
    pub call: Call,
    /// Until when, in ms of block time.
    pub deadline: Timestamp,
}

/// A watcher of one user's channels.
#[derive(Clone, Debug)]
pub struct Watcher {
    domain: Domain,
    block: u32,
    now: Timestamp,
    owners: BTreeMap<TpcId, Owners>,
    updates: BTreeMap<UpdateId, SignedUpdate>,
    channels: BTreeMap<TpcId, OnChain>,
    head: BTreeMap<TpcId, HeadDispute>,
}

impl Watcher {
    /// One that watches nothing yet.
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            block: 0,
            now: 0,
            owners: BTreeMap::new(),
            updates: BTreeMap::new(),
            channels: BTreeMap::new(),
            head: BTreeMap::new(),
        }
    }

    /// Takes over what the user's channels rest on now. What it held before is forgotten: the user holds newer.
    pub fn hold(&mut self, evidence: Evidence) {
        let id = |signed: &SignedUpdate| Action::Update(&signed.update).payload(&Native, &self.domain);
        self.updates = evidence.updates.into_iter().map(|signed| (id(&signed), signed)).collect();
        self.owners = evidence.channels;
        let watched = self.watched();
        self.channels.retain(|tpc, _| watched.contains_key(tpc));
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.updates.values().flat_map(|signed| &signed.update.entries)
    }

    /// The channels to watch that have not been read from the storage yet, or, after blocks were missed, all of them.
    pub fn unread(&self, missed: bool) -> Vec<(TpcId, u32)> {
        self.watched().into_iter().filter(|(tpc, _)| missed || !self.channels.contains_key(tpc)).collect()
    }

    /// What it looks at (rule S6): the user's channels, and every other one that an update names. Each with the epoch that
    /// the updates are of.
    fn watched(&self) -> BTreeMap<TpcId, u32> {
        let own = self.owners.keys().map(|tpc| (*tpc, 0));
        own.chain(self.entries().map(|entry| (entry.tpc, entry.epoch))).collect()
    }

    /// Takes over what the storage holds after a final block.
    pub fn read(&mut self, block: u32, now: Timestamp, channels: &[Stored]) {
        if block < self.block {
            return;
        }
        if self.block == 0 {
            // It starts here. Later it reads one channel more, and has to hear all that blocks tell of the others.
            self.block = block;
        }
        self.now = self.now.max(now);
        for Stored { tpc, stored, ended: (epoch, version) } in channels {
            let mut chain = OnChain::new(block, stored.as_ref());
            version.iter().for_each(|version| chain.end(*epoch, *version));
            chain.pass(now);
            self.channels.insert(*tpc, chain);
        }
    }

    /// Takes over a final block.
    pub fn block(&mut self, block: &Block) {
        if block.number <= self.block {
            return;
        }
        (self.block, self.now) = (block.number, block.time);
        for chain in self.channels.values_mut() {
            chain.pass(block.time);
        }
        for event in &block.events {
            self.event(block.number, event);
        }
    }

    fn event(&mut self, block: u32, event: &Event) {
        let mut at = |tpc: &TpcId, change: &dyn Fn(&mut OnChain)| {
            if let Some(chain) = self.channels.get_mut(tpc).filter(|chain| chain.as_of < block) {
                change(chain);
            }
        };
        match event {
            Event::Updated(event) => {
                event.entries.iter().for_each(|entry| at(&entry.tpc, &|chain| chain.order = entry.order()));
            }
            Event::TpcToppedUp(event::TpcToppedUp { tpc, epoch, .. })
            | Event::TpcWithdrawn(event::TpcWithdrawn { tpc, epoch, .. }) => {
                at(tpc, &|chain| chain.order = (*epoch, 0));
            }
            Event::TpcSplit(event) => {
                if let Some((first, others)) = event.from.split_first() {
                    at(first, &|chain| chain.order = (event.epoch, 0));
                    others.iter().for_each(|tpc| at(tpc, &|chain| chain.gone = true));
                }
            }
            Event::Disputed(event) => {
                for disputed in &event.channels {
                    at(&disputed.tpc, &|chain| {
                        let (deadline, then) = (disputed.deadline, disputed.then);
                        chain.dispute = Some(Dispute { deadline, then, began_at: disputed.version });
                    });
                }
            }
            Event::Settled(event) => event.channels.iter().for_each(|settled| {
                at(&settled.tpc, &|chain| {
                    chain.end(settled.epoch, settled.version);
                    (chain.gone, chain.dispute) = (true, None);
                });
            }),
            Event::TpcClosed(event) => at(&event.tpc, &|chain| (chain.gone, chain.dispute) = (true, None)),
            _ => {}
        }
    }

    /// Takes over all disputes at the best head.
    pub fn head(&mut self, disputes: Vec<HeadDispute>) {
        self.head = disputes.into_iter().map(|dispute| (dispute.tpc, dispute)).collect();
    }

    /// What has to be brought to the chain now, earliest deadline first: of each disputed channel, the highest update. Asked
    /// again, it answers the same until a block shows that it is there.
    pub fn rescues(&self) -> Vec<Rescue> {
        let mut wanted: BTreeMap<UpdateId, Timestamp> = BTreeMap::new();
        for (tpc, chain) in &self.channels {
            let deadline = chain.dispute.map(|dispute| dispute.deadline);
            let head = self.head.get(tpc).map(|dispute| dispute.deadline);
            let Some(deadline) = deadline.or(head).filter(|_| !chain.is_due() && !chain.gone) else { continue };
            let above = self.updates.iter().filter_map(|(id, signed)| {
                let entry = signed.update.entries.iter().find(|entry| entry.tpc == *tpc)?;
                (!chain.has(entry)).then_some((entry.order(), *id))
            });
            if let Some((_, id)) = above.max() {
                let earliest = wanted.entry(id).or_insert(deadline);
                *earliest = deadline.min(*earliest);
            }
        }
        let mut by_deadline: BTreeMap<Timestamp, Vec<SignedUpdate>> = BTreeMap::new();
        for (id, deadline) in wanted {
            by_deadline.entry(deadline).or_default().extend(self.updates.get(&id).cloned());
        }
        let rescues = by_deadline.into_iter().flat_map(|(deadline, updates)| {
            Call::of_updates(updates).into_iter().map(move |call| Rescue { call, deadline })
        });
        rescues.collect()
    }
}

impl Watcher {
    /// The last final block that it has taken over, and its time in ms.
    pub fn cursor(&self) -> Cursor {
        Cursor { block: self.block, now: self.now }
    }

    /// The user's channels that wait to be paid out, and that `caller` may settle now. Who does not own a channel may one
    /// window after its owners.
    pub fn settlements(&self, caller: &AccountId) -> Vec<TpcId> {
        let due = self.owners.iter().filter(|(tpc, owners)| {
            let chain = self.channels.get(tpc).filter(|chain| chain.is_due());
            let deadline = chain.and_then(|chain| chain.dispute).map(|dispute| settled_after(owners, dispute, caller));
            deadline.is_some_and(|deadline| self.now > deadline)
        });
        due.map(|(tpc, _)| *tpc).collect()
    }

    /// The earliest block time in ms at which there may be something to do: a dispute to be answered before it, or a channel
    /// that `caller` may settle after it.
    pub fn next_deadline(&self, caller: &AccountId) -> Option<Timestamp> {
        let disputed =
            self.channels.iter().filter_map(|(tpc, chain)| Some((tpc, chain.dispute.filter(|_| !chain.gone)?)));
        disputed
            .map(|(tpc, dispute)| match self.owners.get(tpc).filter(|_| dispute.then == Resolution::Settle) {
                Some(owners) => settled_after(owners, dispute, caller),
                None => dispute.deadline,
            })
            .min()
    }
}

/// The block time after which `caller` may settle a channel of these owners.
fn settled_after(owners: &Owners, dispute: Dispute, caller: &AccountId) -> Timestamp {
    match owners.parties.contains(caller) {
        true => dispute.deadline,
        false => dispute.deadline.saturating_add(owners.window),
    }
}

impl Engine {
    /// What proves the newest states of its channels, for a watcher. No key is in it.
    pub fn evidence(&self) -> Evidence {
        let own = self.held.iter().filter(|(_, held)| held.own.is_some());
        let channels = self.channels().map(|(tpc, channel)| (*tpc, channel.owners)).collect();
        Evidence {
            account: self.account,
            domain: self.domain,
            channels,
            updates: own.filter_map(|(_, held)| held.signed()).collect(),
        }
    }
}
