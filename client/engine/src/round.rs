//! The leader's side of a round: it asks for consent if it has to, collects signatures, and hands out the complete update.
//!
//! A payment in one channel, a group's transaction and a payment along a path are the same round with another leader and
//! another right to ask ([`Right`]). A round that has asked for signatures never gives up by itself, because somebody may
//! have signed: it goes on asking, or a newer round over its channels replaces it (rule S2).

use crate::{
    channel::{shifted, Held},
    message::{Message, Move, Reason, Right, RoundId, Standing, UpdateId},
    own_round,
    payment::{Payment, PaymentId, Payments},
    plan::Queued,
    record::Record,
    sign::MAX_FOLDED,
    time::Waits,
    Engine, Native, Over, Step,
};
use codec::{Decode, Encode};
use protocol::{AccountId, Action, Balance, Entry, MpcId, Owners, PartySignature, Signature, TpcId, Update};
use std::collections::{BTreeMap, BTreeSet};

/// The most rounds over a channel that hang beside each other. From then on the newest is asked for again.
pub(crate) const MAX_HANGING: usize = 8;

/// The most attempts to get consent for a round before it is given up.
const MAX_PROPOSALS: u32 = 3;

/// A round that this account leads.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Round {
    right: Right,
    mpc: Option<MpcId>,
    payments: Payments,
    owners: Vec<Owners>,
    moves: Vec<Move>,
    stage: Stage,
    /// Somebody has refused to sign it. It may still become complete.
    hangs: bool,
    /// What the coordinator plans again if the round comes to nothing.
    #[codec(skip)]
    queued: Vec<Queued>,
    #[codec(skip)]
    asked_times: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Stage {
    /// Nobody has signed. Not stored: it may be forgotten.
    Asking(BTreeMap<AccountId, Vec<Standing>>),
    /// Anybody may have signed.
    Signing { id: UpdateId, update: Update, signatures: BTreeMap<AccountId, Signature> },
}

impl Record for Round {
    const KIND: u8 = 7;
    type Key = u64;
}

impl Round {
    pub(crate) fn update_id(&self) -> Option<UpdateId> {
        match &self.stage {
            Stage::Asking(_) => None,
            Stage::Signing { id, .. } => Some(*id),
        }
    }

    pub(crate) fn tpcs(&self) -> impl Iterator<Item = TpcId> + '_ {
        self.moves.iter().map(|moved| moved.tpc)
    }

    /// Whether all who own its channels are among those who have answered.
    fn is_answered<T>(&self, answers: &BTreeMap<AccountId, T>) -> bool {
        self.owners.iter().flat_map(|owners| &owners.parties).all(|party| answers.contains_key(party))
    }

    /// Who owns its channels.
    fn asked(&self) -> BTreeSet<AccountId> {
        self.owners.iter().flat_map(|owners| owners.parties).collect()
    }

    pub(crate) fn is_asked(&self, account: &AccountId) -> bool {
        self.owners.iter().any(|owners| owners.parties.contains(account))
    }

    pub(crate) fn settles(&self, payment: &PaymentId) -> bool {
        self.payments.iter().any(|settled| settled.id == *payment)
    }

    /// Whether somebody has refused to sign it.
    pub fn hangs(&self) -> bool {
        self.hangs
    }

    pub(crate) fn group(&self) -> Option<MpcId> {
        self.mpc
    }

    fn entries(&self) -> &[Entry] {
        match &self.stage {
            Stage::Asking(_) => &[],
            Stage::Signing { update, .. } => &update.entries,
        }
    }
}

impl Step<'_> {
    /// Starts a round over a channel that has become free, or for which something waits.
    pub(crate) fn start_rounds_on(&mut self, tpc: TpcId) {
        let group = self.engine.channels.get(&tpc).and_then(|channel| channel.mpc);
        match group.filter(|mpc| self.engine.led.contains(mpc)) {
            Some(mpc) => self.start_group_rounds(mpc),
            None => self.start_own_round(tpc),
        }
    }

    /// Starts rounds over channels that have become free, in channels that stand alone and in groups.
    pub(crate) fn start_rounds(&mut self, touched: &BTreeSet<TpcId>) {
        let groups: BTreeSet<MpcId> = touched
            .iter()
            .filter_map(|tpc| self.engine.channels.get(tpc)?.mpc)
            .filter(|mpc| self.engine.led.contains(mpc))
            .collect();
        groups.into_iter().for_each(|mpc| self.start_group_rounds(mpc));
        touched.iter().for_each(|tpc| self.start_own_round(*tpc));
    }

    /// Starts a round over a channel that stands alone, with all payments that wait for it and that it can carry.
    fn start_own_round(&mut self, tpc: TpcId) {
        let engine = &self.engine;
        if engine.is_in_round(&tpc) {
            return;
        }
        let Some(channel) = engine.channels.get(&tpc).filter(|channel| engine.owns(&channel.owners)) else { return };
        let hanging = engine.hanging_on(&tpc);
        let waits = engine.waiting.contains_key(&tpc);
        let blocked = channel.on_chain.gone
            || channel.on_chain.dispute.is_some()
            || channel.mpc.is_some()
            || channel.reserved.is_some()
            || engine.head.contains(&tpc)
            || channel.agreement.is_some_and(|id| engine.agreements.get(&id).is_some_and(|agreed| agreed.ends_epoch()));
        if (!waits && hanging.is_empty()) || blocked || hanging.len() >= MAX_HANGING {
            return;
        }
        // What hangs over several channels was led by another right, and is led again by it.
        let alone = |number: &u64| engine.rounds.get(number).is_some_and(|round| round.moves.len() == 1);
        let others_in_flight = engine.in_flight_on(&tpc).any(|(_, held)| held.round.leader != engine.account);
        if !hanging.iter().all(alone) || others_in_flight {
            return;
        }
        let (owners, asset) = (channel.owners, channel.owners.asset);
        let first = channel.index(engine.account) == Some(0);
        let (mut change, mut balances) = (0_i128, channel.latest.balances);
        let (mut payments, mut too_much) = (vec![], vec![]);
        for id in engine.waiting.get(&tpc).into_iter().flatten().take(MAX_FOLDED) {
            let Some(pending) = engine.pending.get(id) else { continue };
            let Some(net) = pending.payment.net(engine.account, asset) else { continue };
            let net = if first { net } else { -net };
            if let (Some(after), Some(sum)) = (shifted(balances, net), change.checked_add(net)) {
                (balances, change) = (after, sum);
                payments.push(pending.payment.clone());
            } else {
                too_much.push(*id);
            }
        }
        if payments.is_empty() && hanging.is_empty() {
            // Nothing is on its way that would bring more.
            let reason = Some(Reason::Insufficient(tpc));
            return too_much.into_iter().for_each(|payment| self.void_payment(payment, reason.clone()));
        }
        self.lead(Right::Turn, None, payments.into(), vec![owners], vec![Move { tpc, change }], vec![]);
    }

    /// Leads a round.
    pub(crate) fn lead(
        &mut self,
        right: Right,
        mpc: Option<MpcId>,
        payments: Payments,
        owners: Vec<Owners>,
        moves: Vec<Move>,
        queued: Vec<Queued>,
    ) {
        let number = self.count(|counters| &mut counters.rounds);
        let consent = right == Right::Consent || queued.iter().any(|queued| queued.confirm);
        for payment in payments.iter() {
            if let Some(Over::Channel(tpc)) = self.engine.pending.get(&payment.id).map(|pending| &pending.over) {
                let tpc = *tpc;
                self.engine.not_waiting(&tpc, &payment.id);
            }
        }
        let stage = Stage::Asking(BTreeMap::new());
        let round = Round { right, mpc, payments, owners, moves, stage, hangs: false, queued, asked_times: 0 };
        for tpc in round.tpcs() {
            self.engine.in_round.entry(tpc).or_default().insert(number);
        }
        let tpcs: BTreeSet<_> = round.tpcs().collect();
        self.engine.rounds.keep(number, round);
        self.forget_covered(&tpcs);
        self.wait_for(Waits::Round(number));
        if consent {
            self.propose(number);
        } else {
            self.compose(number);
        }
    }

    /// Forgets the oldest rounds that hang over channels which a newer round names too: that one decides them.
    fn forget_covered(&mut self, tpcs: &BTreeSet<TpcId>) {
        let hanging: BTreeSet<u64> = tpcs.iter().flat_map(|tpc| self.engine.hanging_on(tpc)).collect();
        let covered = hanging.into_iter().filter(|number| self.engine.live_tpcs(*number).is_subset(tpcs));
        let covered: Vec<_> = covered.collect();
        let old = covered.len().saturating_sub(MAX_HANGING / 2);
        for number in covered.into_iter().take(old) {
            self.end_round(number);
        }
    }

    fn id(&self, number: u64) -> RoundId {
        RoundId { leader: self.engine.account, number }
    }

    fn propose(&mut self, number: u64) {
        let id = self.id(number);
        let Some(round) = self.engine.rounds.get(&number) else { return };
        let Stage::Asking(consents) = &round.stage else { return };
        let asked: Vec<_> = round.asked().into_iter().filter(|account| !consents.contains_key(account)).collect();
        let Round { right, payments, moves, owners, .. } = round.clone();
        for account in asked {
            let (payments, moves, owners) = (payments.clone(), moves.clone(), owners.clone());
            self.send(account, Message::Propose { round: id, right, payments, moves, owners });
        }
    }

    pub(crate) fn consented(&mut self, from: AccountId, round: RoundId, standings: Vec<Standing>) {
        let Some(number) = own_round(self.engine.account, round) else { return };
        let Some(led) = self.engine.rounds.peek_mut(&number).filter(|round| round.is_asked(&from)) else {
            // It has been given up, and its channels are kept free for nothing.
            return self.send(from, Message::GiveUp { round });
        };
        let Stage::Asking(consents) = &mut led.stage else { return };
        consents.insert(from, standings);
        if matches!(&led.stage, Stage::Asking(consents) if led.is_answered(consents)) {
            self.compose(number);
        }
    }

    pub(crate) fn propose_rejected(&mut self, from: AccountId, round: RoundId, reason: Reason) {
        let Some(number) = own_round(self.engine.account, round) else { return };
        let Some(led) = self.engine.rounds.get(&number).filter(|round| round.is_asked(&from)) else { return };
        if !matches!(led.stage, Stage::Asking(_)) {
            return;
        }
        if let Reason::Outdated(standings) = &reason {
            self.learn(from, standings);
        }
        let busy = matches!(
            reason,
            Reason::InFlight(_)
                | Reason::Reserved(_)
                | Reason::Disputed(_)
                | Reason::Outdated(_)
                | Reason::NotPermitted(_)
        );
        self.give_up(number, (!busy).then_some(reason));
    }

    /// Ends a round for which nobody has signed. Its payments are planned again, or fail for `reason`.
    fn give_up(&mut self, number: u64, reason: Option<Reason>) {
        let id = self.id(number);
        let Some(round) = self.engine.rounds.get(&number).cloned() else { return };
        round.asked().into_iter().for_each(|account| self.send(account, Message::GiveUp { round: id }));
        self.end_round(number);
        let tpcs: BTreeSet<_> = round.tpcs().collect();
        tpcs.iter().for_each(|tpc| self.engine.planners_reach(tpc));
        match reason {
            Some(reason) => self.fail_payments(&round, reason),
            None => self.plan_again(round),
        }
        self.start_rounds(&tpcs);
    }

    /// The payments of a round that came to nothing wait again. They are tried a few times.
    fn plan_again(&mut self, round: Round) {
        match round.mpc {
            Some(mpc) => {
                let tried = |mut queued: Queued| {
                    queued.tries = queued.tries.saturating_add(1);
                    queued
                };
                let (again, failed): (Vec<_>, Vec<_>) =
                    round.queued.into_iter().map(tried).partition(|queued| queued.tries < MAX_PROPOSALS);
                if let Some(queue) = self.engine.queues.get_mut(&mpc) {
                    again.into_iter().rev().for_each(|queued| queue.push_front(queued));
                }
                for queued in failed {
                    let reason = Reason::Full;
                    self.send(queued.from, Message::PayReject { payment: queued.payment.id, reason });
                }
            }
            // Later, so that whoever was in the way has time.
            None => round.payments.iter().for_each(|payment| self.wait_for(Waits::Payment(payment.id))),
        }
    }

    fn fail_payments(&mut self, round: &Round, reason: Reason) {
        for payment in round.payments.iter() {
            if self.engine.pending.contains(&payment.id) && round.mpc.is_none() {
                self.void_payment(payment.id, Some(reason.clone()));
            } else {
                self.send(payment.id.by, Message::PayReject { payment: payment.id, reason: reason.clone() });
            }
        }
    }

    /// The leader has given up: the channels are free.
    pub(crate) fn given_up(&mut self, from: AccountId, round: RoundId) {
        if round.leader == from {
            self.unreserve(round);
        }
    }

    /// Frees the channels that were kept for a round.
    pub(crate) fn unreserve(&mut self, round: RoundId) {
        let Some(reservation) = self.engine.reservations.remove(&round) else { return };
        let tpcs: BTreeSet<_> = reservation.moves.iter().map(|moved| moved.tpc).collect();
        for tpc in &tpcs {
            if let Some(channel) = self.engine.channels.peek_mut(tpc) {
                channel.reserved.take_if(|(reserved, _)| *reserved == round);
            }
        }
        self.start_rounds(&tpcs);
    }

    /// Makes the update of a round and asks for signatures.
    fn compose(&mut self, number: u64) {
        let Some(round) = self.engine.rounds.get(&number) else { return };
        let Stage::Asking(consents) = &round.stage else { return };
        let standings: Vec<Standing> = consents.values().flatten().copied().collect();
        let entry = |moved: &Move| self.engine.next_entry(moved, round.right, &standings);
        let Some(entries) = round.moves.iter().map(entry).collect::<Option<Vec<_>>>() else {
            // The two owners are at different states, or somebody has too little.
            return self.give_up(number, None);
        };
        let update = Update { entries };
        let id = Action::Update(&update).payload(&Native, &self.engine.domain);
        let member = round.is_asked(&self.engine.account);
        for entry in &update.entries {
            if let Some(channel) = self.engine.channels.change(&entry.tpc) {
                channel.seen = channel.seen.max(entry.version);
            }
        }
        if let Some(round) = self.engine.rounds.change(&number) {
            round.stage = Stage::Signing { id, update, signatures: BTreeMap::new() };
        }
        self.engine.leads.insert(id, number);
        if member {
            // A leader that owns a channel signs first.
            let account = self.engine.account;
            self.ask_to_sign(number, &[account]);
        } else {
            self.ask_others(number);
        }
    }

    fn ask_others(&mut self, number: u64) {
        let Some(round) = self.engine.rounds.get(&number) else { return };
        let Stage::Signing { signatures, .. } = &round.stage else { return };
        let missing: Vec<_> = round.asked().into_iter().filter(|account| !signatures.contains_key(account)).collect();
        self.ask_to_sign(number, &missing);
    }

    fn ask_to_sign(&mut self, number: u64, accounts: &[AccountId]) {
        let id = self.id(number);
        let Some(round) = self.engine.rounds.get(&number) else { return };
        let Stage::Signing { update, signatures, .. } = &round.stage else { return };
        let signature = signatures.get(&self.engine.account).copied();
        let Round { right, payments, owners, .. } = round;
        let message = Message::Update {
            round: id,
            right: *right,
            payments: payments.clone(),
            update: update.clone(),
            owners: owners.clone(),
            signature,
        };
        accounts.iter().for_each(|account| self.send(*account, message.clone()));
    }

    /// Asks again for what has not been answered.
    pub(crate) fn ask_again(&mut self, number: u64) {
        if let Some(round) = self.engine.rounds.peek_mut(&number) {
            round.asked_times = round.asked_times.saturating_add(1);
        }
        let Some(round) = self.engine.rounds.get(&number) else {
            return self.stop_waiting(&Waits::Round(number));
        };
        let (times, hangs) = (round.asked_times, round.hangs);
        match &round.stage {
            Stage::Asking(_) if times > MAX_PROPOSALS => self.give_up(number, None),
            Stage::Asking(_) => self.propose(number),
            Stage::Signing { signatures, .. } => {
                let first = self.engine.account;
                if round.is_asked(&first) && !signatures.contains_key(&first) {
                    return self.ask_to_sign(number, &[first]);
                }
                if hangs && self.replace(number) {
                    return;
                }
                self.ask_others(number);
            }
        }
    }

    /// Leads a round in place of one that hangs, over its channels and whatever else hangs on them. Answers whether it could.
    fn replace(&mut self, number: u64) -> bool {
        let Some(round) = self.engine.rounds.get(&number).cloned() else { return false };
        let newest = round.tpcs().filter_map(|tpc| self.engine.in_round.get(&tpc)?.last().copied()).max();
        if newest != Some(number) {
            // A newer one is on its way already.
            return true;
        }
        if round.tpcs().any(|tpc| self.engine.hanging_on(&tpc).len() >= MAX_HANGING) {
            return false;
        }
        match (round.right, round.mpc) {
            (Right::Turn, _)
                if round
                    .tpcs()
                    .all(|tpc| self.engine.channels.get(&tpc).is_none_or(|channel| channel.mpc.is_none())) =>
            {
                let before = self.engine.rounds.len();
                round.tpcs().for_each(|tpc| self.start_own_round(tpc));
                self.engine.rounds.len() > before
            }
            (_, Some(mpc)) if self.heal(mpc, number) => true,
            // The right by which it was led is gone: everybody is asked for consent.
            _ => {
                let live = self.engine.live_tpcs(number);
                let named = round.moves.iter().zip(&round.owners).filter(|(moved, _)| live.contains(&moved.tpc));
                let (moves, owners): (Vec<_>, Vec<_>) =
                    named.map(|(moved, owners)| (Move { change: 0, ..*moved }, *owners)).unzip();
                let waits = moves.iter().any(|moved| self.engine.is_in_round(&moved.tpc));
                if !moves.is_empty() && !waits {
                    self.lead(Right::Consent, None, Payments::default(), owners, moves, vec![]);
                }
                true
            }
        }
    }

    /// A signature has come.
    pub(crate) fn signed_by(&mut self, from: AccountId, id: UpdateId, signature: Signature) {
        let Some(number) = self.engine.leads.get(&id).copied() else { return self.answer_late(from, id) };
        let Some(round) = self.engine.rounds.peek_mut(&number).filter(|round| round.is_asked(&from)) else { return };
        let Stage::Signing { signatures, .. } = &mut round.stage else { return };
        signatures.insert(from, signature);
        let all = matches!(&round.stage, Stage::Signing { signatures, .. } if round.is_answered(signatures));
        if from == self.engine.account && !all {
            self.ask_others(number);
        } else if all {
            self.finish(number);
        }
    }

    /// Whoever signs again has not got the other signatures.
    fn answer_late(&mut self, from: AccountId, id: UpdateId) {
        let Some(held) = self.engine.held.get(&id).filter(|held| held.round.leader == self.engine.account) else {
            return;
        };
        let asked = held.owners.iter().any(|owners| owners.parties.contains(&from));
        if let (Some(signatures), true, true) = (held.signatures.clone(), asked, held.right != Right::Turn) {
            self.send(from, Message::Updated { update: id, signatures });
        }
    }

    /// All have signed.
    fn finish(&mut self, number: u64) {
        let account = self.engine.account;
        let Some(round) = self.engine.rounds.get(&number) else { return };
        let Stage::Signing { id, signatures, .. } = &round.stage else { return };
        let id = *id;
        let listed: Vec<_> = signatures
            .iter()
            .map(|(party, signature)| PartySignature { party: *party, signature: *signature })
            .collect();
        let others: Vec<_> = listed.iter().filter(|signed| signed.party != account).copied().collect();
        if !self.signer.verify_all(&id, &others) {
            let bad: Vec<_> = others
                .into_iter()
                .filter(|signed| !self.signer.verify(&id, &signed.party, &signed.signature))
                .map(|signed| signed.party)
                .collect();
            if let Some(Round { stage: Stage::Signing { signatures, .. }, .. }) = self.engine.rounds.peek_mut(&number) {
                for party in bad {
                    signatures.remove(&party);
                }
            }
            return self.ignore("a signature is not its sender's");
        }
        let Some(round) = self.end_round(number) else { return };
        let asked = round.asked();
        if round.right != Right::Turn {
            for party in asked.iter().filter(|party| **party != account) {
                self.send(*party, Message::Updated { update: id, signatures: listed.clone() });
            }
        }
        if self.engine.held.contains(&id) {
            // Its payments are moved out of the list that it shares.
            drop(round);
            return self.complete(id, listed);
        }
        let Round { stage: Stage::Signing { update, .. }, owners, right, payments, .. } = round else { return };
        let tpcs: BTreeSet<TpcId> = update.entries.iter().map(|entry| entry.tpc).collect();
        if !tpcs.iter().any(|tpc| self.engine.channels.contains(tpc)) {
            // The channels are not this coordinator's any more, and what hung over them is decided.
            let hanging: BTreeSet<u64> = tpcs.iter().flat_map(|tpc| self.engine.hanging_on(tpc)).collect();
            for number in hanging {
                if self.engine.live_tpcs(number).is_subset(&tpcs) {
                    self.end_round(number);
                }
            }
            return;
        }
        let round = self.id(number);
        self.hold(id, update, owners, right, round, payments, listed);
    }

    /// Keeps a complete update over channels of groups that this account coordinates, none of which it owns.
    #[allow(clippy::too_many_arguments)] // The record's fields.
    fn hold(
        &mut self,
        id: UpdateId,
        update: Update,
        owners: Vec<Owners>,
        right: Right,
        round: RoundId,
        payments: Payments,
        signatures: Vec<PartySignature>,
    ) {
        if update.entries.iter().any(|entry| self.engine.on_chain(&entry.tpc).is_some_and(|chain| chain.voids(entry))) {
            // It is void already, and its members know that.
            return;
        }
        for entry in &update.entries {
            self.engine.naming.entry(entry.tpc).or_default().insert(id);
        }
        self.engine.sign_in(&payments, id);
        let signatures = Some(signatures);
        let held = Held {
            update,
            owners,
            round,
            right,
            payments,
            own: None,
            signatures,
            in_flight: true,
            ignores: vec![],
            builds_on: vec![],
            replaced: false,
            used: vec![],
        };
        self.engine.held.insert(id, held);
        self.count_in(id);
    }

    /// A complete update that this account has not signed, over channels that it coordinates.
    pub(crate) fn learn_complete(
        &mut self,
        id: UpdateId,
        update: Update,
        owners: Vec<Owners>,
        signatures: Vec<PartySignature>,
    ) {
        let news = |entry: &Entry| {
            self.engine.channels.get(&entry.tpc).is_some_and(|channel| {
                !self.engine.owns(&channel.owners)
                    && channel.latest.epoch == entry.epoch
                    && channel.latest.version < entry.version
            })
        };
        let well_formed =
            crate::channel::are_well_formed(update.entries.iter().map(|entry| &entry.tpc), &owners, |tpc, owners| {
                owners.tpc(&Native) == *tpc
            });
        if !update.entries.iter().any(news) || !well_formed || !self.are_all(&id, &owners, None, &signatures) {
            return;
        }
        if let Some(number) = self.engine.leads.get(&id).copied() {
            self.end_round(number);
        }
        let round = RoundId { leader: self.engine.account, number: u64::MAX };
        self.hold(id, update, owners, Right::Consent, round, Payments::default(), signatures);
    }

    /// Somebody does not sign.
    pub(crate) fn update_rejected(&mut self, from: AccountId, id: UpdateId, reason: Reason) {
        let Some(number) = self.engine.leads.get(&id).copied() else { return };
        let Some(round) = self.engine.rounds.get(&number).filter(|round| round.is_asked(&from)) else { return };
        if round.entries().is_empty() {
            return;
        }
        match &reason {
            // It passes: the round is asked for again.
            Reason::InFlight(_) | Reason::Reserved(_) | Reason::Disputed(_) | Reason::Full => return,
            Reason::NotOnChain(_) => return,
            Reason::Outdated(standings) => {
                let behind = self.is_behind(round, standings);
                let hangs = round.hangs;
                self.believe(from, standings);
                self.learn(from, standings);
                if !behind.is_empty() && !hangs {
                    self.show(from, behind);
                    let again = self.engine.rounds.peek_mut(&number).is_some_and(|round| {
                        round.asked_times = round.asked_times.saturating_add(1);
                        round.asked_times <= MAX_PROPOSALS
                    });
                    // Later ones wait for the clock.
                    if again {
                        self.ask_to_sign(number, &[from]);
                    }
                    return;
                }
            }
            _ => {}
        }
        if let Reason::NotLeader(tpc) = reason {
            self.tell_left(from, tpc);
        }
        let Some(round) = self.engine.rounds.change(&number).filter(|round| !round.hangs) else { return };
        round.hangs = true;
        let unsigned = matches!(&round.stage, Stage::Signing { signatures, .. } if signatures.is_empty());
        let round = round.clone();
        round.tpcs().for_each(|tpc| self.engine.planners_reach(&tpc));
        let refuses = |payment: &&Payment| match &reason {
            Reason::UnknownPayment(id) | Reason::NotPermitted(id) => {
                let pays = payment.id.by == from || payment.transfers.iter().any(|part| part.from == from);
                payment.id == *id && pays
            }
            Reason::Outdated(_) | Reason::NotLeader(_) => false,
            _ => payment.transfers.iter().any(|part| part.from == from) || payment.id.by == from,
        };
        let mut refused: Vec<_> = round.payments.iter().filter(refuses).map(|payment| payment.id).collect();
        if matches!(reason, Reason::Declined) && refused.is_empty() {
            // Somebody does not pass the money on.
            refused = round.payments.iter().map(|payment| payment.id).collect();
        }
        for id in &refused {
            if round.mpc.is_some() {
                self.send(id.by, Message::PayReject { payment: *id, reason: reason.clone() });
            } else if let Some(pending) = self.engine.pending.change(id) {
                pending.cancelled = true;
            }
        }
        if from == self.engine.account && unsigned {
            // Nobody else was asked.
            let again = refused.is_empty();
            self.end_round(number);
            let tpcs: BTreeSet<_> = round.tpcs().collect();
            tpcs.iter().for_each(|tpc| self.engine.planners_reach(tpc));
            return match again {
                true => self.plan_again(round),
                false => self.fail_payments(&round, reason),
            };
        }
        if let Some(mpc) = round.mpc {
            let queued = self.engine.rounds.peek_mut(&number).map(|round| std::mem::take(&mut round.queued));
            let kept = queued.into_iter().flatten().filter(|queued| !refused.contains(&queued.payment.id));
            let kept: Vec<_> = kept.collect();
            let queue = self.engine.queues.entry(mpc).or_default();
            kept.into_iter().rev().for_each(|queued| queue.push_front(queued));
            // The first is replaced at once, further ones with the clock.
            if round.tpcs().all(|tpc| self.engine.hanging_on(&tpc).len() <= 1) {
                self.heal(mpc, number);
            }
        }
    }

    /// The channels in which somebody has missed what this account knows to be complete.
    fn is_behind(&self, round: &Round, standings: &[Standing]) -> Vec<TpcId> {
        let named = |standing: &&Standing| round.entries().iter().find(|entry| entry.tpc == standing.latest.tpc);
        let behind = |standing: &&Standing| {
            let channel = self.engine.channels.get(&standing.latest.tpc);
            let known = channel.is_some_and(|channel| {
                channel.rests_on.is_some()
                    && channel.latest.epoch == standing.latest.epoch
                    && channel.latest.version > standing.latest.version
            });
            known && named(standing).is_some_and(|entry| standing.signed < entry.version)
        };
        standings.iter().filter(behind).map(|standing| standing.latest.tpc).collect()
    }

    /// Takes over an owner's word about its channels where this coordinator has only heard of something newer, and cannot
    /// show it.
    fn believe(&mut self, from: AccountId, standings: &[Standing]) {
        for Standing { latest, .. } in standings {
            let own = self.engine.is_own(&latest.tpc);
            let Some(channel) = self.engine.channels.change(&latest.tpc).filter(|_| !own) else { continue };
            let hearsay = channel.rests_on.is_none()
                && channel.owners.parties.contains(&from)
                && latest.epoch == channel.latest.epoch
                && latest.version < channel.latest.version
                && latest.order() >= channel.on_chain.order
                && latest.total() == channel.latest.total();
            if hearsay {
                channel.latest = *latest;
            }
        }
    }

    /// Learns which versions of an owner's channels are used up.
    pub(crate) fn learn(&mut self, from: AccountId, standings: &[Standing]) {
        for standing in standings {
            if let Some(channel) = self.engine.channels.peek_mut(&standing.latest.tpc) {
                if channel.owners.parties.contains(&from) {
                    let signed = standing.signed.max(standing.latest.version);
                    channel.learn(standing.latest.epoch, signed);
                }
            }
        }
    }

    /// An update that another coordinator has left hanging is replaced as if it were this one's.
    pub(crate) fn take_over(
        &mut self,
        mpc: MpcId,
        right: Right,
        id: UpdateId,
        update: Update,
        owners: Vec<Owners>,
        signatures: Vec<PartySignature>,
    ) {
        let number = self.count(|counters| &mut counters.rounds);
        let moves: Vec<_> = update.entries.iter().map(|entry| Move { tpc: entry.tpc, change: 0 }).collect();
        let signatures = signatures.into_iter().map(|signed| (signed.party, signed.signature)).collect();
        let stage = Stage::Signing { id, update, signatures };
        let round = Round {
            right,
            mpc: Some(mpc),
            payments: Payments::default(),
            owners,
            moves,
            stage,
            hangs: true,
            queued: vec![],
            asked_times: 0,
        };
        for tpc in round.tpcs() {
            self.engine.in_round.entry(tpc).or_default().insert(number);
        }
        self.engine.leads.insert(id, number);
        self.engine.rounds.insert(number, round);
        self.wait_for(Waits::Round(number));
    }

    /// Forgets a round.
    fn end_round(&mut self, number: u64) -> Option<Round> {
        let round = self.engine.rounds.remove(&number)?;
        self.stop_waiting(&Waits::Round(number));
        if let Some(id) = round.update_id() {
            self.engine.leads.remove(&id);
        }
        for tpc in round.tpcs() {
            if let Some(rounds) = self.engine.in_round.get_mut(&tpc) {
                rounds.remove(&number);
                if rounds.is_empty() {
                    self.engine.in_round.remove(&tpc);
                }
            }
        }
        Some(round)
    }

    /// Ends rounds that can no longer come to anything: newer states of their channels are complete, or a channel's epoch has
    /// ended.
    pub(crate) fn prune_rounds(&mut self, touched: &BTreeSet<TpcId>) {
        let numbers: BTreeSet<u64> =
            touched.iter().filter_map(|tpc| self.engine.in_round.get(tpc)).flatten().copied().collect();
        let mut freed = BTreeSet::new();
        for number in numbers {
            let Some(round) = self.engine.rounds.get(&number) else { continue };
            let entries = round.entries();
            let asking = entries.is_empty();
            let void =
                entries.iter().any(|entry| self.engine.on_chain(&entry.tpc).is_some_and(|chain| chain.voids(entry)));
            let live = self.engine.live_tpcs(number);
            let newer = |entry: &Entry| {
                self.engine.channels.get(&entry.tpc).is_none_or(|channel| channel.latest.version >= entry.version)
            };
            let known = |entry: &&Entry| live.contains(&entry.tpc) && self.engine.channels.contains(&entry.tpc);
            // Of channels that have left its group a coordinator knows nothing: what hangs over them alone it still ends.
            let mut led = entries.iter().filter(known).peekable();
            let left = round.mpc.is_some() && !live.is_empty() && led.peek().is_none();
            let superseded = !asking && !left && led.all(newer);
            let gone = |tpc: &TpcId| self.engine.on_chain(tpc).is_some_and(|chain| chain.gone);
            if superseded || void || (asking && round.tpcs().any(|tpc| gone(&tpc))) {
                let Some(round) = self.end_round(number) else { continue };
                round.tpcs().for_each(|tpc| self.engine.planners_reach(&tpc));
                self.fail_round(&round, !superseded);
                freed.extend(round.tpcs());
            } else if !asking && live.len() < entries.len() {
                // Nobody signs it any more, but whoever has all signatures could still bring it: the rest is led again.
                if let Some(round) = self.engine.rounds.change(&number) {
                    round.hangs = true;
                }
                self.engine.round_tpcs(number).iter().for_each(|tpc| self.engine.planners_reach(tpc));
            }
        }
        // Payments may wait for channels of theirs that nothing else has touched.
        self.start_rounds(&freed);
    }

    /// The payments of a round that is over wait again, unless they are settled or may be yet. `failed` tells those who asked.
    fn fail_round(&mut self, round: &Round, failed: bool) {
        if let (Some(mpc), false) = (round.mpc, failed) {
            // Another update was complete first.
            let queue = self.engine.queues.entry(mpc).or_default();
            round.queued.iter().rev().for_each(|queued| queue.push_front(queued.clone()));
        }
        for queued in round.queued.iter().filter(|_| failed) {
            let (payment, reason) = (queued.payment.id, Reason::Full);
            self.send(queued.from, Message::PayReject { payment, reason });
        }
        if round.mpc.is_none() {
            for payment in round.payments.iter() {
                if !self.engine.is_signed(&payment.id) {
                    self.wait_again(payment.id);
                }
            }
        }
    }

    /// Ends everything that is under way on a channel that is gone, or whose epoch has ended.
    pub(crate) fn fail_waiting(&mut self, tpc: &TpcId) {
        let waiting: Vec<_> = self.engine.waiting.get(tpc).into_iter().flatten().copied().collect();
        waiting.into_iter().for_each(|payment| self.void_payment(payment, Some(Reason::NotOnChain(*tpc))));
    }
}

impl Engine {
    /// The rounds of this leader over a channel that somebody has refused to sign.
    pub(crate) fn hanging_on(&self, tpc: &TpcId) -> Vec<u64> {
        let rounds = self.in_round.get(tpc).into_iter().flatten();
        rounds.filter(|number| self.rounds.get(number).is_some_and(|round| round.hangs)).copied().collect()
    }

    /// Whether a round of this leader over a channel is on its way.
    pub(crate) fn is_in_round(&self, tpc: &TpcId) -> bool {
        let mut rounds = self.in_round.get(tpc).into_iter().flatten();
        rounds.any(|number| self.rounds.get(number).is_some_and(|round| !round.hangs))
    }

    /// The channels of a round.
    fn round_tpcs(&self, number: u64) -> BTreeSet<TpcId> {
        self.rounds.get(&number).map(|round| round.tpcs().collect()).unwrap_or_default()
    }

    /// The channels of a round whose update may still move them: they are in the epoch that it names.
    pub(crate) fn live_tpcs(&self, number: u64) -> BTreeSet<TpcId> {
        let Some(round) = self.rounds.get(&number) else { return BTreeSet::new() };
        let live =
            |entry: &&Entry| self.on_chain(&entry.tpc).is_none_or(|chain| !chain.gone && chain.order.0 == entry.epoch);
        round.entries().iter().filter(live).map(|entry| entry.tpc).collect()
    }

    /// The next state of a channel after a move, from what this account knows of it or, if it is others', from what both
    /// owners have said.
    fn next_entry(&self, moved: &Move, right: Right, standings: &[Standing]) -> Option<Entry> {
        let told = || standings.iter().filter(|standing| standing.latest.tpc == moved.tpc);
        let known = self.channels.get(&moved.tpc);
        let (latest, version) = match known {
            Some(channel) => {
                let heard = told().map(|standing| standing.signed.max(standing.latest.version)).max().unwrap_or(0);
                let next = match (right, channel.index(self.account)) {
                    (Right::Turn, Some(index)) => channel.next_turn(index)?,
                    _ => channel.next_version()?,
                };
                // What both owners say is newer than what this account knows, if it does not own the channel.
                let agreed = told().next().map(|standing| standing.latest).filter(|latest| {
                    told().count() == 2
                        && told().all(|standing| standing.latest == *latest)
                        && latest.order() > channel.latest.order()
                        && !self.owns(&channel.owners)
                });
                let latest = agreed.unwrap_or(channel.latest);
                let next = next.max(latest.version.checked_add(1)?);
                (latest, next.max(heard.min(channel.furthest()).checked_add(1)?))
            }
            None => {
                let latest = told().next()?.latest;
                if told().any(|standing| standing.latest != latest) {
                    return None;
                }
                let signed = told().map(|standing| standing.signed.max(standing.latest.version)).max()?;
                (latest, signed.checked_add(1)?)
            }
        };
        let balances: [Balance; 2] = shifted(latest.balances, moved.change)?;
        Some(Entry { version, balances, ..latest })
    }
}

impl Engine {
    /// The rounds that it leads, for people who look for what hangs.
    pub fn describe_rounds(&self) -> String {
        self.rounds.iter().map(|(number, round)| format!("{number}: {round:?}; ")).collect()
    }
}
