//! Payments on their way: asked for, waiting, decided.

use crate::{
    message::{Message, Move, Reason, Right},
    payment::{Grantee, Hop, Payment, PaymentId, Pending, Purpose, MAX_TRANSFERS},
    record::Record,
    time::Waits,
    Answer, Engine, Native, Notice, Outcome, Over, Permission, Refusal, Step, Transfer, Wants,
};
use codec::{Decode, Encode};
use protocol::{AccountId, Asset, Balance, Owners, TpcId};
use std::collections::{btree_map::Entry, BTreeMap, BTreeSet};

/// The most payments of one other user that are remembered beside the watermark.
const MAX_SERVED: usize = 1_024;

/// Which payments of another user this account has paid out of its own funds: each is paid once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Served {
    /// All with lower numbers count as served.
    below: u64,
    /// So do these.
    above: BTreeSet<u64>,
}

impl Record for Served {
    const KIND: u8 = 13;
    type Key = AccountId;
}

impl Step<'_> {
    pub(crate) fn pay(&mut self, transfers: Vec<Transfer>, over: Over) -> Result<Answer, Refusal> {
        let account = self.engine.account;
        let over = self.lead_by(over)?;
        let number = self.engine.counters.get(&()).map_or(0, |counters| counters.payments);
        let payment = Payment { id: PaymentId { by: account, number }, transfers };
        check_payment(&payment).ok_or(Refusal::BadPayment)?;
        let waits = match &over {
            Over::Channel(tpc) => {
                let net = self.check_over(&payment, tpc)?;
                let available = self.engine.available(tpc);
                if net < 0 && net.unsigned_abs() > available {
                    return Err(Refusal::Insufficient { available });
                }
                net > 0
            }
            Over::Group { mpc, .. } => {
                self.engine.memberships.get(mpc).ok_or(Refusal::UnknownGroup(*mpc))?;
                true
            }
            Over::Path(hops) => {
                self.path_moves(hops).ok_or(Refusal::BadPayment)?;
                false
            }
        };
        let _ = self.count(|counters| &mut counters.payments);
        let id = payment.id;
        let pending = Pending { payment, over: over.clone(), cancelled: false, used: vec![] };
        self.engine.insert_pending(pending);
        if waits {
            self.wait_for(Waits::Payment(id));
            self.ask_for_payment(id);
        } else {
            self.wait_again(id);
        }
        Ok(Answer::Payment(number))
    }

    /// Who leads a payment over a channel: its group's coordinator, if it is in a group.
    fn lead_by(&self, over: Over) -> Result<Over, Refusal> {
        let Over::Channel(tpc) = over else { return Ok(over) };
        let channel = self.engine.channels.get(&tpc).filter(|channel| self.engine.owns(&channel.owners));
        let channel = channel.filter(|channel| !channel.on_chain.gone).ok_or(Refusal::UnknownChannel(tpc))?;
        Ok(match channel.mpc {
            Some(mpc) => Over::Group { mpc, scope: crate::Scope::Touched, confirm: false },
            None => over,
        })
    }

    /// What a payment over one channel gives this party, in the asset's smallest unit. All of it has to be between the two
    /// owners and in the channel's asset.
    fn check_over(&self, payment: &Payment, tpc: &TpcId) -> Result<i128, Refusal> {
        let channel = self.engine.channels.get(tpc).ok_or(Refusal::UnknownChannel(*tpc))?;
        let Owners { parties, asset, .. } = channel.owners;
        let fits = |part: &Transfer| part.asset == asset && parties.contains(&part.from) && parties.contains(&part.to);
        let net = payment.net(self.engine.account, asset);
        net.filter(|net| *net != 0 && payment.transfers.iter().all(fits)).ok_or(Refusal::BadPayment)
    }

    /// The moves of a path, ascending. `None` if they are none, too large, or in a channel twice.
    fn path_moves(&self, hops: &[Hop]) -> Option<(Vec<Move>, Vec<Owners>)> {
        let mut moves = BTreeMap::new();
        for Hop { owners, from, amount } in hops {
            let amount = i128::try_from(*amount).ok().filter(|amount| *amount > 0)?;
            let change = match owners.parties.iter().position(|party| party == from)? {
                0 => -amount,
                _ => amount,
            };
            moves.insert(owners.tpc(&Native), (change, *owners));
        }
        let fits = moves.len() == hops.len() && !hops.is_empty() && hops.len() <= protocol::state::MAX_CHANNELS;
        let split = moves.into_iter().map(|(tpc, (change, owners))| (Move { tpc, change }, owners)).unzip();
        fits.then_some(split)
    }

    /// A payment that this account leads waits for its round, or starts it.
    pub(crate) fn wait_again(&mut self, id: PaymentId) {
        let Some(pending) = self.engine.pending.get(&id) else { return };
        if self.engine.is_signed(&id) {
            // Another update that was signed for it may count.
            return;
        }
        if pending.cancelled {
            return self.void_payment(id, None);
        }
        match &pending.over {
            Over::Channel(tpc) if self.engine.leads_payment(pending) == Some(self.engine.account) => {
                let tpc = *tpc;
                self.engine.waiting.entry(tpc).or_default().insert(id);
                self.start_rounds_on(tpc);
            }
            Over::Channel(_) | Over::Group { .. } => self.wait_for(Waits::Payment(id)),
            Over::Path(hops) => {
                let leads = self.engine.rounds.iter().any(|(_, round)| round.settles(&id));
                if let (Some((moves, owners)), false) = (self.path_moves(hops), leads) {
                    let payments = vec![pending.payment.clone()];
                    self.lead(Right::Consent, None, payments.into(), owners, moves, vec![]);
                }
            }
        }
    }

    /// Asks the leader for a payment, if it is not this account.
    pub(crate) fn ask_for_payment(&mut self, id: PaymentId) {
        let Some(pending) = self.engine.pending.get(&id).filter(|pending| !pending.cancelled) else {
            return self.stop_waiting(&Waits::Payment(id));
        };
        if self.engine.is_signed(&id) {
            return;
        }
        let leader = self.engine.leads_payment(pending);
        let over = self.lead_by(pending.over.clone()).unwrap_or_else(|_| pending.over.clone());
        if let (true, Over::Channel(tpc), Over::Group { .. }) = (id.by != self.engine.account, &pending.over, &over) {
            // A group leads the channel now: whoever wants the payment asks its coordinator.
            return self.void_payment(id, Some(Reason::NotLeader(*tpc)));
        }
        let message = Message::Pay { payment: pending.payment.clone(), over: over.clone() };
        match leader {
            Some(leader) if leader != self.engine.account || matches!(over, Over::Group { .. }) => {
                self.send(leader, message);
            }
            Some(_) => self.wait_again(id),
            // The channel or the group is gone.
            None => self.void_payment(id, Some(Reason::UnknownGroup)),
        }
    }

    /// Somebody asks for a payment that this account leads.
    pub(crate) fn asked_to_pay(&mut self, from: AccountId, payment: Payment, over: Over) {
        let reject = |reason| Message::PayReject { payment: payment.id, reason };
        if payment.id.by != from || check_payment(&payment).is_none() {
            return self.send(from, reject(Reason::Malformed));
        }
        match &over {
            Over::Group { mpc, .. } => {
                let mpc = *mpc;
                self.enqueue(from, mpc, payment, over);
            }
            Over::Channel(tpc) => {
                let tpc = *tpc;
                if self.engine.pending.contains(&payment.id) || self.engine.is_served(&payment.id) {
                    // It is on its way, or done: the update tells.
                    return self.show(from, [tpc]);
                }
                if self.engine.channels.get(&tpc).is_some_and(|channel| channel.mpc.is_some()) {
                    // One of the two has not heard of the group, or that the channel has left it.
                    return self.reject(from, &Message::Pay { payment, over }, Reason::NotLeader(tpc));
                }
                let net = self.check_over(&payment, &tpc);
                let peer = self.engine.channels.get(&tpc).map(|channel| channel.peer(self.engine.account));
                if peer != Some(from) || net.is_ok_and(|net| net > 0) || self.check_over(&payment, &tpc).is_err() {
                    return self.send(from, reject(Reason::WrongOwners));
                }
                if self.is_permitted(from, &payment, tpc) {
                    self.adopt(payment, tpc);
                } else {
                    let wants = Wants::Payments(vec![payment.clone()]);
                    self.request(from, Message::Pay { payment, over }, wants);
                }
            }
            Over::Path(_) => self.send(from, reject(Reason::Malformed)),
        }
    }

    /// Whether permissions let the payment go. The round asks again, and uses them up.
    fn is_permitted(&self, from: AccountId, payment: &Payment, tpc: TpcId) -> bool {
        let Some(asset) = self.engine.channels.get(&tpc).map(|channel| channel.owners.asset) else { return false };
        let Some((out, _)) = payment.sums(self.engine.account, asset) else { return false };
        let now = self.engine.now();
        let granted = self.engine.granted(Grantee::Party(from), Purpose::Pay);
        granted.into_iter().any(|(_, permission)| permission.lets(asset, out, &[tpc], now))
    }

    /// This party pays what somebody else asks for, as if it were its own command.
    pub(crate) fn adopt(&mut self, payment: Payment, tpc: TpcId) {
        let id = payment.id;
        let asset = self.engine.channels.get(&tpc).map(|channel| channel.owners.asset);
        let out = asset.and_then(|asset| payment.sums(self.engine.account, asset)).map_or(0, |(out, _)| out);
        if self.engine.is_served(&id) {
            return;
        }
        if out > self.engine.available(&tpc) {
            return self.send(id.by, Message::PayReject { payment: id, reason: Reason::Declined });
        }
        // Consent is used up now; the round finds the payment among this party's own.
        let used = self.use_up(id.by, asset, out, tpc).into_iter().collect();
        self.engine.insert_pending(Pending { payment, over: Over::Channel(tpc), cancelled: false, used });
        self.wait_again(id);
    }

    fn use_up(&mut self, from: AccountId, asset: Option<Asset>, amount: Balance, tpc: TpcId) -> Option<(u64, Balance)> {
        let now = self.engine.now();
        let fits = |permission: &Permission| asset.is_some_and(|asset| permission.lets(asset, amount, &[tpc], now));
        let granted = self.engine.granted(Grantee::Party(from), Purpose::Pay);
        let found = granted.into_iter().find(|(_, permission)| fits(permission)).map(|(id, _)| id)?;
        let permission = self.engine.permissions.change(&found)?;
        permission.left = permission.left.saturating_sub(amount);
        Some((found, amount))
    }

    /// Payments that wait for a round of this party's own over a channel are led by its group's coordinator from now on.
    pub(crate) fn ask_coordinator(&mut self, tpc: &TpcId) {
        let waiting = self.engine.waiting.remove(tpc).unwrap_or_default();
        waiting.into_iter().for_each(|payment| self.wait_for(Waits::Payment(payment)));
    }

    /// The leader does not settle a payment.
    pub(crate) fn pay_rejected(&mut self, from: AccountId, id: PaymentId, reason: Reason) {
        let Some(pending) = self.engine.pending.get(&id) else { return };
        if id.by != self.engine.account || self.engine.leads_payment(pending) != Some(from) {
            return self.ignore("a rejection of a payment that its sender does not lead");
        }
        match reason {
            // It is asked for again.
            Reason::Full | Reason::NotPermitted(_) => return,
            Reason::NotLeader(tpc) => return self.tell_left(from, tpc),
            _ => {}
        }
        self.void_payment(id, Some(reason));
    }

    pub(crate) fn cancel(&mut self, number: u64) -> Result<Answer, Refusal> {
        let id = PaymentId { by: self.engine.account, number };
        self.engine.pending.change(&id).ok_or(Refusal::Unknown)?.cancelled = true;
        let asking = self.engine.rounds.iter().any(|(_, round)| round.settles(&id));
        if !self.engine.is_signed(&id) && !asking {
            self.void_payment(id, None);
        }
        Ok(Answer::Done)
    }

    /// A payment will never count.
    pub(crate) fn void_payment(&mut self, id: PaymentId, reason: Option<Reason>) {
        if self.engine.is_signed(&id) {
            // What was signed for it may still count: it is undecided until that cannot be.
            if let Some(pending) = self.engine.pending.change(&id) {
                pending.cancelled = true;
            }
            return;
        }
        let Some(Pending { payment, over, used, .. }) = self.engine.remove_pending(&id) else { return };
        self.stop_waiting(&Waits::Payment(id));
        if let Over::Channel(tpc) = over {
            self.engine.not_waiting(&tpc, &id);
        }
        if id.by == self.engine.account {
            self.keep(&payment, Outcome::Void);
            self.tell(Notice::Decided { payment: id.number, outcome: Outcome::Void, reason });
        } else {
            for (permission, amount) in &used {
                if let Some(permission) = self.engine.permissions.change(permission) {
                    permission.left = permission.left.saturating_add(*amount);
                }
            }
            if let (true, Some(Reason::NotLeader(_))) = (used.is_empty(), &reason) {
                // The application's yes is still good when a coordinator asks.
                self.engine.approved.insert(id, payment);
            }
            let reason = reason.unwrap_or(Reason::Declined);
            self.send(id.by, Message::PayReject { payment: id, reason });
        }
    }

    pub(crate) fn permit(&mut self, permission: Permission) -> Answer {
        let id = self.count(|counters| &mut counters.permissions);
        self.engine.granted.entry((permission.grantee, permission.purpose)).or_default().insert(id);
        self.engine.permissions.insert(id, permission);
        Answer::Permission(id)
    }

    /// A payment of somebody else's that this account has paid for is settled.
    pub(crate) fn serve(&mut self, id: PaymentId) {
        if !self.engine.served.contains(&id.by) {
            self.engine.served.insert(id.by, Served::default());
        }
        let Some(served) = self.engine.served.change(&id.by) else { return };
        served.above.insert(id.number);
        while served.above.first() == Some(&served.below) || served.above.len() > MAX_SERVED {
            // There is none above the highest number: it stays where it is.
            let Some(next) = served.above.first().and_then(|first| first.checked_add(1)) else { break };
            served.above.pop_first();
            served.below = next;
        }
    }
}

impl Engine {
    pub(crate) fn is_served(&self, id: &PaymentId) -> bool {
        let served = self.served.get(&id.by);
        served.is_some_and(|served| id.number < served.below || served.above.contains(&id.number))
    }

    /// Who leads a payment. `None` if what it goes over is gone.
    pub(crate) fn leads_payment(&self, Pending { payment, over, .. }: &Pending) -> Option<AccountId> {
        match over {
            Over::Path(_) => Some(payment.id.by),
            Over::Group { mpc, .. } => self.memberships.get(mpc).map(|member| member.coordinator),
            Over::Channel(tpc) => {
                let channel = self.channels.get(tpc).filter(|channel| !channel.on_chain.gone)?;
                if let Some(mpc) = channel.mpc {
                    return self.memberships.get(&mpc).map(|member| member.coordinator);
                }
                let (out, back) = payment.sums(self.account, channel.owners.asset)?;
                Some(if out > back { self.account } else { channel.peer(self.account) })
            }
        }
    }

    /// What this party can still pay over a channel: what it holds, less what waits to be paid.
    pub(crate) fn available(&self, tpc: &TpcId) -> Balance {
        let held = self.channels.get(tpc).map_or(0, |channel| channel.balance_of(self.account));
        held.saturating_sub(self.owed.get(tpc).copied().unwrap_or_default())
    }

    /// What a payment that is not decided takes from this party over a channel.
    fn takes_over(&self, pending: &Pending) -> Option<(TpcId, Balance)> {
        let Over::Channel(tpc) = pending.over else { return None };
        let asset = self.channels.get(&tpc)?.owners.asset;
        let (out, back) = pending.payment.sums(self.account, asset)?;
        Some((tpc, out.saturating_sub(back))).filter(|(_, net)| *net > 0)
    }

    pub(crate) fn insert_pending(&mut self, pending: Pending) {
        if let Some((tpc, net)) = self.takes_over(&pending) {
            let owed = self.owed.entry(tpc).or_default();
            *owed = owed.saturating_add(net);
        }
        self.pending.insert(pending.payment.id, pending);
    }

    pub(crate) fn remove_pending(&mut self, id: &PaymentId) -> Option<Pending> {
        let pending = self.pending.remove(id)?;
        if let Over::Channel(tpc) = pending.over {
            match self.takes_over(&pending) {
                Some((_, net)) => {
                    if let Entry::Occupied(mut owed) = self.owed.entry(tpc) {
                        *owed.get_mut() = owed.get().saturating_sub(net);
                        if *owed.get() == 0 {
                            owed.remove();
                        }
                    }
                }
                // The channel is gone.
                None if !self.channels.contains(&tpc) => drop(self.owed.remove(&tpc)),
                None => {}
            }
        }
        Some(pending)
    }

    /// Adds up what the payments that are not decided take.
    pub(crate) fn index_pending(&mut self) {
        let nets: Vec<_> = self.pending.iter().filter_map(|(_, pending)| self.takes_over(pending)).collect();
        for (tpc, net) in nets {
            let owed = self.owed.entry(tpc).or_default();
            *owed = owed.saturating_add(net);
        }
    }

    pub(crate) fn not_waiting(&mut self, tpc: &TpcId, payment: &PaymentId) {
        if let Some(waiting) = self.waiting.get_mut(tpc) {
            waiting.remove(payment);
            if waiting.is_empty() {
                self.waiting.remove(tpc);
            }
        }
    }
}

/// Whether a payment is well formed: it moves something for the one who asks for it, and nothing from anybody to itself.
fn check_payment(payment: &Payment) -> Option<()> {
    let Payment { id, transfers } = payment;
    let first = transfers.first()?.asset;
    let others: BTreeSet<_> = transfers.iter().map(|transfer| transfer.asset).filter(|asset| *asset != first).collect();
    let mut moves = false;
    for asset in others.into_iter().chain([first]) {
        let (out, back) = payment.sums(id.by, asset)?;
        moves |= out != back;
    }
    let fits = moves
        && transfers.len() <= MAX_TRANSFERS
        && transfers.iter().all(|transfer| transfer.amount > 0 && transfer.from != transfer.to);
    fits.then_some(())
}
