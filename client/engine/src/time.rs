//! What was not answered is sent again, as the same message. Real time decides nothing else.

use crate::{
    channel::Held,
    message::{AgreementId, Message, Right, UpdateId},
    outbox::Purpose,
    payment::{Over, Payment, PaymentId},
    CallId, Engine, Native, Notice, Step,
};
use codec::Encode;
use protocol::{AccountId, Crypto, Entry, MpcId, TpcId};
use std::collections::{BTreeMap, BTreeSet};

/// The most doublings of the time between two attempts.
const MAX_DOUBLINGS: u32 = 6;

/// The most channels of others that are followed though no update names them, for the next round of their group.
const MAX_UNNAMED: usize = 4_096;

/// Something that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waits {
    /// A signed update, for the other signatures.
    Update(UpdateId),
    /// A round that this account leads.
    Round(u64),
    /// A proposal to the other owner.
    Agreement(AgreementId),
    /// A payment that somebody else leads.
    Payment(PaymentId),
    /// A group that is being formed.
    Forming(MpcId),
    /// The coordinator's welcome.
    Welcome(MpcId),
    /// A call.
    Call(CallId),
    /// A channel whose own round could not start.
    Channel(TpcId),
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    since: u64,
    next: u64,
    tries: u32,
}

/// What waits, and when it is sent again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    waits: BTreeMap<Waits, Wait>,
    due: BTreeSet<(u64, Waits)>,
}

impl Timers {
    fn set(&mut self, what: Waits, wait: Wait) {
        self.stop(&what);
        self.due.insert((wait.next, what));
        self.waits.insert(what, wait);
    }

    pub(crate) fn stop(&mut self, what: &Waits) {
        if let Some(wait) = self.waits.remove(what) {
            self.due.remove(&(wait.next, *what));
        }
    }
}

impl Step<'_> {
    /// Has something sent again unless it is answered.
    pub(crate) fn wait_for(&mut self, what: Waits) {
        if !self.engine.timers.waits.contains_key(&what) {
            let (since, after) = (self.engine.clock, self.engine.policy().resend_after);
            self.engine.timers.set(what, Wait { since, next: since.saturating_add(after), tries: 0 });
        }
    }

    pub(crate) fn stop_waiting(&mut self, what: &Waits) {
        self.engine.timers.stop(what);
    }

    pub(crate) fn tick(&mut self, clock: u64) {
        self.engine.clock = self.engine.clock.max(clock);
        let clock = self.engine.clock;
        self.release(clock);
        let due: Vec<_> = self.engine.timers.due.range(..=(clock, Waits::Channel(TpcId([255; 32])))).copied().collect();
        for (_, what) in due {
            let Some(wait) = self.engine.timers.waits.get(&what).copied() else { continue };
            let after = self.engine.policy().resend_after << wait.tries.min(MAX_DOUBLINGS);
            let next = clock.saturating_add(after).saturating_add(self.spread(what, clock, after));
            self.engine.timers.set(what, Wait { next, tries: wait.tries.saturating_add(1), ..wait });
            self.again(what, wait.tries, wait.since);
        }
        self.drop_unnamed();
    }

    /// A part of a delay that differs between accounts, and each time: so that two who are in each other's way are not so for
    /// ever.
    fn spread(&self, what: Waits, clock: u64, delay: u64) -> u64 {
        let what = match what {
            Waits::Update(id) | Waits::Agreement(id) => id,
            Waits::Payment(PaymentId { number, .. }) | Waits::Round(number) | Waits::Call(number) => {
                Native.blake2_256(&number.to_be_bytes())
            }
            Waits::Forming(MpcId(id)) | Waits::Welcome(MpcId(id)) | Waits::Channel(TpcId(id)) => id,
        };
        let hash = Native.blake2_256(&(self.engine.account, what, clock).encode());
        let [a, b, ..] = hash;
        delay.saturating_mul(u64::from(u16::from_be_bytes([a, b]))) >> 16
    }

    /// Frees channels whose rounds have not come in time.
    fn release(&mut self, clock: u64) {
        let over: Vec<_> =
            self.engine.reservations.iter().filter(|(_, kept)| kept.until < clock).map(|(round, _)| *round).collect();
        over.into_iter().for_each(|round| self.unreserve(round));
    }

    fn drop_unnamed(&mut self) {
        let unnamed = |tpc: &TpcId| !self.engine.naming.contains_key(tpc);
        if self.engine.foreign.len() > MAX_UNNAMED + self.engine.naming.len() {
            let unnamed: Vec<_> = self.engine.foreign.iter().map(|(tpc, _)| *tpc).filter(unnamed).collect();
            for tpc in unnamed {
                self.engine.foreign.remove(&tpc);
            }
        }
    }

    /// Sends something again.
    fn again(&mut self, what: Waits, tries: u32, since: u64) {
        match what {
            Waits::Update(id) => {
                self.ask_leader(id, tries > 0);
                let over = self
                    .engine
                    .policy()
                    .free_after
                    .is_some_and(|after| self.engine.clock >= since.saturating_add(after));
                if over {
                    self.free(id);
                }
            }
            Waits::Round(round) => self.ask_again(round),
            Waits::Agreement(id) => self.propose_again(id, tries),
            Waits::Payment(id) => self.ask_for_payment(id),
            Waits::Forming(mpc) => self.form_again(mpc),
            Waits::Welcome(mpc) => {
                if let Some(coordinator) = self.engine.memberships.get(&mpc).map(|member| member.coordinator) {
                    self.introduce(coordinator, mpc);
                }
            }
            Waits::Call(call) => self.call_again(call),
            Waits::Channel(tpc) => {
                self.stop_waiting(&what);
                self.start_rounds_on(tpc);
            }
        }
    }

    /// Gives the leader of an update this account's signature again, so that it answers with all of them.
    fn ask_leader(&mut self, id: UpdateId, introduce: bool) {
        let Some(held) = self.engine.held.get(&id).filter(|held| held.in_flight) else {
            return self.stop_waiting(&Waits::Update(id));
        };
        let (leader, right, own) = (held.round.leader, held.right, held.own);
        if held.signatures.is_some() {
            return self.decide(id);
        }
        if let (Some(signature), true) = (own, leader != self.engine.account) {
            self.send(leader, Message::UpdateAgree { update: id, signature });
        }
        if let (Right::Coordinator(mpc, _), true) = (right, introduce) {
            if let Some(coordinator) = self.engine.memberships.get(&mpc).map(|member| member.coordinator) {
                self.introduce(coordinator, mpc);
            }
        }
    }

    /// Disputes a channel of an update that hangs, to renew it: that decides the update (rule S8).
    fn free(&mut self, id: UpdateId) {
        let Some(held) = self.engine.held.get(&id).filter(|held| held.in_flight) else { return };
        let own = self.engine.own_above(held);
        let root = self.engine.is_root(&id, &own);
        let disputed = own.iter().any(|entry| self.engine.is_being_disputed(&entry.tpc));
        let first = own.first().map(|entry| entry.tpc);
        self.tell(Notice::Hangs(id));
        if let (Some(tpc), true, false) = (first, root, disputed) {
            let _ = self.dispute(&[tpc], protocol::Resolution::Renew);
        }
    }

    /// There is a connection again: what waits for the peer is sent at once.
    pub(crate) fn connected(&mut self, peer: AccountId) {
        let waits: Vec<_> = self.engine.timers.waits.keys().copied().collect();
        for what in waits {
            if self.engine.waits_for(&what, &peer) {
                self.again(what, 0, self.engine.clock);
            }
        }
    }

    /// Sends what may have been lost with the process.
    pub(crate) fn resume(&mut self) {
        let engine = &self.engine;
        let mut waits: Vec<Waits> = vec![];
        waits.extend(engine.held.iter().filter(|(_, held)| held.in_flight).map(|(id, _)| Waits::Update(*id)));
        waits.extend(engine.rounds.iter().map(|(number, _)| Waits::Round(*number)));
        waits.extend(engine.agreements.iter().map(|(id, _)| Waits::Agreement(*id)));
        waits.extend(engine.calls.iter().map(|(id, _)| Waits::Call(*id)));
        waits.extend(
            engine.memberships.iter().filter(|(_, member)| member.is_waiting()).map(|(mpc, _)| Waits::Forming(*mpc)),
        );
        waits.extend(
            engine.memberships.iter().filter(|(_, member)| !member.welcomed).map(|(mpc, _)| Waits::Welcome(*mpc)),
        );
        waits.extend(
            engine
                .pending
                .iter()
                .filter(|(id, pending)| {
                    // What a coordinator has asked of itself waits in a queue that the process has lost.
                    let in_group = matches!(pending.over, Over::Group { .. });
                    let asks = in_group || engine.leads_payment(pending) != Some(engine.account);
                    asks && !engine.is_signed(id)
                })
                .map(|(id, _)| Waits::Payment(*id)),
        );
        for what in waits {
            self.wait_for(what);
            self.again(what, 0, self.engine.clock);
        }
        let waiting: BTreeSet<_> = self.engine.waiting.keys().copied().collect();
        self.start_rounds(&waiting);
        let paths: Vec<_> = self
            .engine
            .pending
            .iter()
            .filter(|(_, pending)| matches!(pending.over, Over::Path(_)))
            .map(|(id, _)| *id)
            .collect();
        paths.into_iter().for_each(|payment| self.wait_again(payment));
    }
}

impl Engine {
    /// The entries of an update that are above the newest states of this account's channels.
    fn own_above(&self, held: &Held) -> Vec<Entry> {
        held.update.entries.iter().filter(|entry| self.is_above(entry)).copied().collect()
    }

    /// Whether an update hangs by itself. Whatever ends an epoch of an older one, all of whose channels it names too, ends it
    /// as well.
    fn is_root(&self, id: &UpdateId, own: &[Entry]) -> bool {
        let covers = |older: &Entry| own.iter().any(|entry| entry.tpc == older.tpc && entry.version > older.version);
        let beside = own.iter().flat_map(|entry| self.in_flight_on(&entry.tpc));
        !beside.filter(|(other, _)| *other != id).any(|(_, held)| {
            let older = self.own_above(held);
            !older.is_empty() && older.iter().all(covers)
        })
    }

    /// Whether a channel is disputed, or will be by a call that is on its way.
    fn is_being_disputed(&self, tpc: &TpcId) -> bool {
        let calls = |named: &[(TpcId, u32)]| named.iter().any(|(other, _)| other == tpc);
        self.on_chain(tpc).is_some_and(|chain| chain.dispute.is_some())
            || self.head.contains(tpc)
            || self.calls.iter().any(|(_, call)| matches!(&call.purpose, Purpose::Dispute(named, _) if calls(named)))
    }

    /// Whether something waits for this peer.
    fn waits_for(&self, what: &Waits, peer: &AccountId) -> bool {
        match what {
            Waits::Update(id) => self.held.get(id).is_some_and(|held| held.round.leader == *peer),
            Waits::Round(number) => self.rounds.get(number).is_some_and(|round| round.is_asked(peer)),
            Waits::Agreement(id) => self.agreements.get(id).is_some_and(|agreed| agreed.peer(self.account) == *peer),
            Waits::Payment(id) => {
                self.pending.get(id).is_some_and(|pending| self.leads_payment(pending) == Some(*peer))
            }
            Waits::Forming(mpc) | Waits::Welcome(mpc) => {
                self.memberships.get(mpc).is_some_and(|member| member.coordinator == *peer) || self.led.contains(mpc)
            }
            Waits::Call(_) | Waits::Channel(_) => false,
        }
    }

    /// Remembers which payments are in an update that is in flight, as far as this party has to know.
    pub(crate) fn sign_in(&mut self, payments: &[Payment], update: UpdateId) {
        let own = payments.iter().filter(|payment| payment.binds(self.account));
        self.signed_in.extend(own.map(|payment| (payment.id, update)));
    }

    pub(crate) fn unsign(&mut self, payment: &PaymentId, update: &UpdateId) {
        self.signed_in.remove(&(*payment, *update));
    }

    /// The updates in flight that a payment is in.
    pub(crate) fn signed_in(&self, payment: &PaymentId) -> impl Iterator<Item = &UpdateId> {
        self.signed_in.range((*payment, [0; 32])..=(*payment, [255; 32])).map(|(_, update)| update)
    }

    /// Whether a payment is in an update that is in flight, and so may come to count.
    pub(crate) fn is_signed(&self, payment: &PaymentId) -> bool {
        self.signed_in(payment).next().is_some()
    }
}
