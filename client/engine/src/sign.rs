//! The side of those whom a leader asks: consent, and signatures. Nothing is signed that rules S1 to S3, the leader's right
//! and the party's consent do not allow.

use crate::{
    channel::{are_well_formed, is_turn, moved, shifted, Held},
    message::{Message, Move, Reason, Right, RoundId, Standing, UpdateId},
    payment::{Grantee, Payment, PaymentId, Payments, Purpose},
    time::Waits,
    Answer, Effect, Engine, Native, Notice, Outcome, Over, Refusal, Step, Wants,
};
use protocol::{
    AccountId, Action, Asset, Balance, Domain, Entry, Owners, PartySignature, Signature, SignedUpdate, TpcId, Update,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The most payments that one round folds.
pub(crate) const MAX_FOLDED: usize = 2_048;

/// The most messages that wait for an answer of the chain. More are dropped: their senders ask again.
const MAX_PARKED: usize = 64;

/// The most of them from one sender.
const MAX_PARKED_OF_ONE: usize = 16;

/// The most requests that wait for the application.
const MAX_REQUESTS: usize = 1_024;

/// The most of them that one other asks for.
const MAX_REQUESTS_OF_ONE: usize = 128;

/// The most of them that one other asks for who neither owns nor leads any of the channels that it is about.
const MAX_REQUESTS_OF_STRANGER: usize = 8;

/// The most of them that all such strangers ask for.
const MAX_REQUESTS_OF_STRANGERS: usize = 256;

/// A message that waits for the chain to tell about channels.
#[derive(Clone, Debug)]
pub(crate) struct Parked {
    pub from: AccountId,
    pub message: Message,
    pub approved: bool,
    /// The channels that it waits for.
    pub tpcs: Vec<TpcId>,
}

/// Something that waits for the application's word.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub from: AccountId,
    pub message: Message,
    /// Whether it is from somebody who neither owns nor leads any of this party's channels in it.
    pub stranger: bool,
}

impl Request {
    /// What is wanted.
    pub fn wants(&self, domain: &Domain) -> Option<Wants> {
        match &self.message {
            Message::Propose { payments, .. } | Message::Update { payments, .. } => {
                Some(Wants::Payments(payments.to_vec()))
            }
            Message::Pay { payment, .. } => Some(Wants::Payments(vec![payment.clone()])),
            Message::Agree { agreement, .. } => Some(Wants::Agreement(agreement.clone())),
            Message::MpcCreate { creation, .. } => Some(Wants::Group(creation.id(&Native, domain))),
            _ => None,
        }
    }
}

/// What this account has consented to, and keeps its channels free for.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub payments: Payments,
    /// What moves in its own channels.
    pub moves: Vec<Move>,
    /// Until when, in ms of real time.
    pub until: u64,
}

/// Why nothing is signed now.
pub(crate) enum Stop {
    /// The chain has to be asked about these channels first.
    Read(Vec<(TpcId, u32)>),
    /// The application has to be asked first: about the payment, or about passing money on.
    Ask(Option<PaymentId>),
    /// It is refused.
    No(Reason),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::No(reason)
    }
}

/// What a round uses up of permissions.
type Used = Vec<(u64, Balance)>;

/// A round as those see it who are asked about it.
struct Asked<'a> {
    from: AccountId,
    round: RoundId,
    right: Right,
    payments: &'a Payments,
    owners: &'a [Owners],
    /// What moves, in every channel that this account knows.
    own: Vec<Move>,
    tpcs: Vec<TpcId>,
}

impl Step<'_> {
    /// A leader asks for consent or for a signature.
    pub(crate) fn asked(&mut self, from: AccountId, message: Message) {
        let stop = match &message {
            Message::Propose { round, right, payments, moves, owners } => {
                match self.consider_proposal(from, *round, *right, payments, moves, owners) {
                    Ok(standings) => {
                        let round = *round;
                        return self.send(from, Message::Consent { round, standings });
                    }
                    Err(stop) => stop,
                }
            }
            Message::Update { round, right, payments, update, owners, signature } => {
                let id = Action::Update(update).payload(&Native, &self.engine.domain);
                if let Some(signature) = self.engine.held.get(&id).and_then(|held| held.own) {
                    return self.send(from, Message::UpdateAgree { update: id, signature });
                }
                let asked = self.consider_update(from, *round, *right, payments, update, owners);
                let checked = asked.and_then(|used| {
                    match (*right, *signature) {
                        (Right::Turn, Some(signature)) if self.signer.verify(&id, &from, &signature) => Ok(used),
                        (Right::Turn, _) if from != self.engine.account => {
                            Err(protocol::Error::BadSignature(from).into())
                        }
                        _ => Ok(used),
                    }
                    .map_err(Stop::No)
                });
                match checked {
                    Ok(used) => return self.sign_update(from, id, message, used),
                    Err(stop) => stop,
                }
            }
            _ => return,
        };
        match stop {
            Stop::Read(channels) => self.park(from, message, false, channels),
            // Its word is asked for once: otherwise its no would never come to an end.
            Stop::Ask(Some(payment)) if self.engine.declined.contains(&payment) => {
                self.reject(from, &message, Reason::UnknownPayment(payment));
            }
            Stop::Ask(payment) => {
                // Nobody waits for the application's word: what was folded with it goes on without it.
                let reason = payment.map_or(Reason::Declined, Reason::NotPermitted);
                self.reject(from, &message, reason);
                let wants = match &message {
                    Message::Propose { payments, .. } | Message::Update { payments, .. } => payments.to_vec(),
                    _ => vec![],
                };
                self.request(from, message, Wants::Payments(wants));
            }
            Stop::No(reason) => self.reject(from, &message, reason),
        }
    }

    /// Keeps a message until the chain has answered.
    pub(crate) fn park(&mut self, from: AccountId, message: Message, approved: bool, channels: Vec<(TpcId, u32)>) {
        let parked = &mut self.engine.parked;
        let again = parked.iter().any(|other| other.message == message);
        let of_one = parked.iter().filter(|other| other.from == from).count();
        if !again {
            if parked.len() >= MAX_PARKED || of_one >= MAX_PARKED_OF_ONE {
                return;
            }
            let tpcs = channels.iter().map(|(tpc, _)| *tpc).collect();
            parked.push_back(Parked { from, message, approved, tpcs });
        }
        self.effects.push(Effect::Read(channels));
    }

    /// Asks the application, once for each message.
    pub(crate) fn request(&mut self, from: AccountId, message: Message, wants: Wants) {
        let stranger = self.engine.is_stranger(from, &message);
        let requests = &self.engine.requests;
        let again = requests.values().any(|request| request.from == from && request.message == message);
        let of_one = requests.values().filter(|request| request.from == from).count();
        let of_strangers = requests.values().filter(|request| request.stranger).count();
        let most = if stranger { MAX_REQUESTS_OF_STRANGER } else { MAX_REQUESTS_OF_ONE };
        let crowded = stranger && of_strangers >= MAX_REQUESTS_OF_STRANGERS;
        if again || requests.len() >= MAX_REQUESTS || of_one >= most || crowded {
            return;
        }
        let request = self.engine.next_request;
        self.engine.next_request += 1;
        self.engine.requests.insert(request, Request { from, message, stranger });
        self.tell(Notice::Requested { request, from, wants });
    }

    pub(crate) fn answer(&mut self, request: u64, accept: bool) -> Result<Answer, Refusal> {
        let Request { from, message, .. } = self.engine.requests.remove(&request).ok_or(Refusal::Unknown)?;
        match (accept, message) {
            // It is asked for again: then it is permitted, once.
            (true, Message::Propose { payments, moves, .. }) => {
                let own = moves.into_iter().filter(|moved| self.engine.is_own(&moved.tpc)).collect();
                self.approve(payments, own);
            }
            (true, Message::Update { payments, update, .. }) => {
                let own = update.entries.iter().filter(|entry| self.engine.is_own(&entry.tpc));
                let own = own.filter_map(|entry| moved(&self.engine.channels.get(&entry.tpc)?.latest, entry)).collect();
                self.approve(payments, own);
            }
            (false, Message::Propose { payments, .. } | Message::Update { payments, .. }) => {
                self.engine.declined.extend(payments.iter().map(|payment| payment.id));
                while self.engine.declined.len() > MAX_REQUESTS {
                    self.engine.declined.pop_first();
                }
            }
            (true, Message::Agree { agreement, signature, led }) => {
                self.asked_to_agree(from, agreement, signature, led, true);
            }
            (true, message @ Message::MpcCreate { .. }) => self.mpc_create(from, message, true),
            (true, Message::Pay { payment, over: Over::Channel(tpc) }) => self.adopt(payment, tpc),
            (_, message) => self.reject(from, &message, Reason::Declined),
        }
        Ok(Answer::Done)
    }

    /// The application lets payments go as they were asked for, once.
    fn approve(&mut self, payments: Payments, own: Vec<Move>) {
        self.engine.approved.extend(payments.iter().map(|payment| (payment.id, payment.clone())));
        while self.engine.approved.len() > MAX_REQUESTS {
            self.engine.approved.pop_first();
        }
        if self.engine.approved_moves.len() >= MAX_PARKED {
            self.engine.approved_moves.remove(0);
        }
        self.engine.approved_moves.push((payments, own));
    }

    /// Refuses a request of any kind.
    pub(crate) fn reject(&mut self, from: AccountId, message: &Message, reason: Reason) {
        if let Reason::NotLeader(tpc) = reason {
            self.tell_left(from, tpc);
        }
        if let (Message::Update { .. } | Message::Agree { .. }, Reason::Outdated(standings)) = (message, &reason) {
            self.show(from, standings.iter().map(|standing| standing.latest.tpc));
        }
        let answer = match message {
            Message::Propose { round, .. } => Message::ProposeReject { round: *round, reason },
            Message::Update { update, .. } => {
                let id = Action::Update(update).payload(&Native, &self.engine.domain);
                Message::UpdateReject { update: id, reason }
            }
            Message::Agree { agreement, led, .. } => {
                let agreement = agreement.id_under(led.as_ref(), &Native, &self.engine.domain);
                Message::AgreeReject { agreement, reason }
            }
            Message::MpcCreate { creation, .. } => {
                Message::MpcCreateReject { mpc: creation.id(&Native, &self.engine.domain), reason }
            }
            Message::Pay { payment, .. } => Message::PayReject { payment: payment.id, reason },
            _ => return,
        };
        self.send(from, answer);
    }

    /// Sends the complete updates that the newest states of channels rest on.
    pub(crate) fn show(&mut self, to: AccountId, tpcs: impl IntoIterator<Item = TpcId>) {
        let ids: BTreeSet<UpdateId> =
            tpcs.into_iter().filter_map(|tpc| self.engine.channels.get(&tpc)?.rests_on).collect();
        let updates: Vec<_> = ids.iter().filter_map(|id| self.engine.held.get(id)?.signed()).collect();
        if !updates.is_empty() {
            self.send(to, Message::Missed { updates });
        }
    }

    #[allow(clippy::too_many_arguments)] // The message's fields.
    fn consider_proposal(
        &mut self,
        from: AccountId,
        round: RoundId,
        right: Right,
        payments: &Payments,
        moves: &[Move],
        owners: &[Owners],
    ) -> Result<Vec<Standing>, Stop> {
        let tpcs: Vec<_> = moves.iter().map(|moved| moved.tpc).collect();
        self.check_form(from, round, payments, &tpcs, owners)?;
        let own: Vec<_> = moves.iter().filter(|moved| self.engine.is_own(&moved.tpc)).copied().collect();
        let asked = Asked { from, round, right, payments, owners, own, tpcs };
        self.check_right(&asked, None)?;
        if let (false, Some(moved)) = (self.may_reserve(&asked), asked.own.first()) {
            return Err(Reason::NotLeader(moved.tpc).into());
        }
        let epochs = |engine: &Engine, tpc: &TpcId| engine.channels.get(tpc).map(|channel| channel.latest.epoch);
        self.check_chain(&asked, |engine, _, tpc| epochs(engine, tpc))?;
        self.check_in_flight(&asked)?;
        let mut standings = vec![];
        for moved in &asked.own {
            let Some(channel) = self.engine.channels.get(&moved.tpc) else { continue };
            shifted(channel.latest.balances, moved.change).ok_or(Reason::Insufficient(moved.tpc))?;
            standings.push(channel.standing());
        }
        self.consent(&asked)?;
        let until = self.engine.clock.saturating_add(self.engine.policy().reserve_for);
        // Repeating a proposal does not keep the channels any longer.
        let until = self.engine.reservations.get(&round).map_or(until, |kept| kept.until);
        for moved in &asked.own {
            if let Some(channel) = self.engine.channels.peek_mut(&moved.tpc) {
                channel.reserved = Some((round, until));
            }
        }
        let reservation = Reservation { payments: payments.clone(), moves: asked.own, until };
        self.engine.reservations.insert(round, reservation);
        Ok(standings)
    }

    #[allow(clippy::too_many_arguments)] // The message's fields.
    fn consider_update(
        &mut self,
        from: AccountId,
        round: RoundId,
        right: Right,
        payments: &Payments,
        update: &Update,
        owners: &[Owners],
    ) -> Result<Used, Stop> {
        let tpcs: Vec<_> = update.entries.iter().map(|entry| entry.tpc).collect();
        self.check_form(from, round, payments, &tpcs, owners)?;
        let mut asked = Asked { from, round, right, payments, owners, own: vec![], tpcs };
        self.check_right(&asked, Some(update))?;
        let epoch = |index: usize| update.entries.get(index).map(|entry| entry.epoch);
        self.check_chain(&asked, |_, index, _| epoch(index))?;
        let wrong_sum = |entry: &&Entry| {
            let chain = self.engine.on_chain(&entry.tpc);
            chain.is_some_and(|chain| entry.total() != chain.balances[0].checked_add(chain.balances[1]))
        };
        if update.entries.iter().filter(|entry| !self.engine.is_own(&entry.tpc)).any(|entry| wrong_sum(&entry)) {
            return Err(Reason::Malformed.into());
        }
        self.check_in_flight(&asked)?;
        asked.own = self.check_states(update)?;
        // It is what this party has consented to, or it is not signed.
        let consented = self.engine.reservations.get(&round);
        if consented.is_some_and(|kept| kept.payments != *payments || kept.moves != asked.own) {
            return Err(Reason::WrongPosition.into());
        }
        self.consent(&asked).map_err(|stop| match stop {
            // The leader does not start from this party's newest states, or it cheats: its answer to them tells.
            Stop::No(Reason::WrongPosition) => Reason::Outdated(self.engine.standings_of(&asked.own)).into(),
            stop => stop,
        })
    }

    /// Refuses what is not well formed, whoever it is from.
    fn check_form(
        &self,
        from: AccountId,
        round: RoundId,
        payments: &Payments,
        tpcs: &[TpcId],
        owners: &[Owners],
    ) -> Result<(), Reason> {
        let known = |tpc: &TpcId| {
            let own = self.engine.channels.get(tpc).map(|channel| &channel.owners);
            own.or_else(|| self.engine.foreign.get(tpc).map(|foreign| &foreign.owners))
        };
        let proves = |tpc: &TpcId, owners: &Owners| known(tpc) == Some(owners) || owners.tpc(&Native) == *tpc;
        let well_formed = are_well_formed(tpcs.iter(), owners, proves);
        // A payment that is listed twice would be paid twice.
        if round.leader != from || payments.len() > MAX_FOLDED || !well_formed || !are_distinct(payments) {
            return Err(Reason::Malformed);
        }
        if !tpcs.iter().any(|tpc| self.engine.is_own(tpc)) {
            return Err(Reason::WrongOwners);
        }
        Ok(())
    }

    /// Refuses a leader that has no right to ask (rule S10). `update` is what has to be signed, or `None` if consent is asked.
    fn check_right(&self, asked: &Asked, update: Option<&Update>) -> Result<(), Reason> {
        let Asked { from, round, right, tpcs, owners, .. } = asked;
        for (index, (tpc, owners)) in tpcs.iter().zip(*owners).enumerate() {
            let own = self.engine.channels.get(tpc).filter(|channel| self.engine.owns(&channel.owners));
            if let Some((reserved, _)) = own.and_then(|channel| channel.reserved) {
                if reserved != *round {
                    return Err(Reason::Reserved(*tpc));
                }
            }
            let allowed = match (right, own) {
                (Right::Turn, None) => false,
                (Right::Turn, Some(channel)) => {
                    let version = update.and_then(|update| update.entries.get(index)).map(|entry| entry.version);
                    let turn = owners.parties.iter().position(|party| party == from).zip(version);
                    channel.mpc.is_none() && turn.is_some_and(|(index, version)| is_turn(index, version))
                }
                (_, None) => true,
                (Right::Coordinator(mpc, term), Some(channel)) => {
                    let membership = self.engine.memberships.get(mpc);
                    channel.mpc == Some(*mpc)
                        && membership.is_some_and(|member| member.coordinator == *from && member.term == *term)
                }
                (Right::Consent, Some(channel)) => {
                    update.is_none() || channel.reserved.is_some_and(|(reserved, _)| reserved == *round)
                }
            };
            if !allowed {
                return Err(Reason::NotLeader(*tpc));
            }
        }
        Ok(())
    }

    /// Whether this party's channels are kept free for a leader's round. A stranger has to own one of the round's channels,
    /// and this party's have to hang together with it.
    fn may_reserve(&self, asked: &Asked) -> bool {
        let Asked { from, right, owners, own, .. } = asked;
        let leads = |moved: &Move| {
            let Some(channel) = self.engine.channels.get(&moved.tpc) else { return false };
            let member = channel.mpc.and_then(|mpc| self.engine.memberships.get(&mpc));
            let mut in_flight = self.engine.in_flight_on(&moved.tpc);
            member.is_some_and(|member| member.coordinator == *from)
                || channel.led_by == Some(*from)
                || in_flight.any(|(_, held)| held.round.leader == *from)
        };
        let permitted = |purpose| !self.engine.granted(Grantee::Party(*from), purpose).is_empty();
        if *right != Right::Consent || permitted(Purpose::PassOn) || permitted(Purpose::Pay) || own.iter().any(leads) {
            return true;
        }
        let mut reached = BTreeSet::from([*from]);
        let mut before = 0;
        while before < reached.len() {
            before = reached.len();
            for Owners { parties, .. } in owners.iter() {
                if parties.iter().any(|party| reached.contains(party)) {
                    reached.extend(parties);
                }
            }
        }
        reached.contains(&self.engine.account)
    }

    /// Refuses channels that are not on chain, disputed, or too quick to settle (rule S1).
    fn check_chain(&self, asked: &Asked, epoch: impl Fn(&Engine, usize, &TpcId) -> Option<u32>) -> Result<(), Stop> {
        let shortest = self.engine.policy().min_window;
        let mut unknown = vec![];
        for (index, (tpc, owners)) in asked.tpcs.iter().zip(asked.owners).enumerate() {
            if owners.window < shortest {
                return Err(Reason::ShortWindow(*tpc).into());
            }
            let named = epoch(self.engine, index, tpc);
            let Some(on_chain) = self.engine.on_chain(tpc) else {
                unknown.push((*tpc, named.unwrap_or_default()));
                continue;
            };
            if on_chain.dispute.is_some() || self.engine.head.contains(tpc) {
                return Err(Reason::Disputed(*tpc).into());
            }
            // Whoever asks for consent over others' channels does not name their epochs yet.
            if !on_chain.is_open_for(named.unwrap_or(on_chain.order.0)) {
                return Err(Reason::NotOnChain(*tpc).into());
            }
        }
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(Stop::Read(unknown)),
        }
    }

    /// Refuses what would let something that is in flight count in part (rules S2, S3).
    fn check_in_flight(&self, asked: &Asked) -> Result<(), Reason> {
        for tpc in asked.tpcs.iter().filter(|tpc| self.engine.is_own(tpc)) {
            let agreement = self.engine.channels.get(tpc).and_then(|channel| channel.agreement);
            let ends = |agreement| self.engine.agreements.get(&agreement).is_some_and(|agreed| agreed.ends_epoch());
            if agreement.is_some_and(ends) {
                return Err(Reason::InFlight(*tpc));
            }
            for (_, held) in self.engine.in_flight_on(tpc) {
                let mut own = held.update.entries.iter().filter(|entry| self.engine.is_above(entry));
                if !own.all(|entry| asked.tpcs.binary_search(&entry.tpc).is_ok()) {
                    return Err(Reason::InFlight(*tpc));
                }
            }
        }
        Ok(())
    }

    /// Refuses entries that do not follow from the newest states. Answers what moves in the account's own channels.
    fn check_states(&self, update: &Update) -> Result<Vec<Move>, Reason> {
        let mut moves = vec![];
        let mut outdated = false;
        let own = || update.entries.iter().filter(|entry| self.engine.is_own(&entry.tpc));
        for entry in own() {
            let Some(channel) = self.engine.channels.get(&entry.tpc) else { continue };
            let newer = entry.epoch == channel.latest.epoch
                && entry.version > channel.latest.version.max(channel.signed)
                && entry.version <= channel.furthest();
            outdated |= !newer || entry.total().is_none() || entry.total() != channel.latest.total();
            moves.push(moved(&channel.latest, entry).ok_or(Reason::WrongPosition)?);
        }
        if outdated {
            return Err(Reason::Outdated(self.engine.standings_of(&moves)));
        }
        Ok(moves)
    }

    /// Whether this party lets go what a round takes from it: by its own command or by a permission (rule S9). Answers what
    /// that uses up.
    fn consent(&self, asked: &Asked) -> Result<Used, Stop> {
        let account = self.engine.account;
        let mut assets: BTreeMap<Asset, Flow> = BTreeMap::new();
        for moved in &asked.own {
            let Some(channel) = self.engine.channels.get(&moved.tpc) else { continue };
            let flow = assets.entry(channel.owners.asset).or_default();
            let amount = moved.change.unsigned_abs();
            let gains = (moved.change > 0) == (channel.owners.parties[0] == account);
            let sum = if gains { &mut flow.rises } else { &mut flow.falls };
            *sum = sum.checked_add(amount).ok_or(Reason::WrongPosition)?;
            if !gains && amount > 0 {
                flow.falling.push(moved.tpc);
            }
        }
        let mut used: Used = vec![];
        for payment in asked.payments.iter() {
            let binds = payment.binds(account);
            let pending = self.engine.pending.get(&payment.id).filter(|_| binds);
            let known = pending.is_some_and(|pending| pending.payment == *payment && !pending.cancelled);
            if payment.id.by == account && !known {
                return Err(Reason::UnknownPayment(payment.id).into());
            }
            if binds && self.is_paid_elsewhere(payment.id, &asked.tpcs) {
                return Err(Reason::UnknownPayment(payment.id).into());
            }
            for transfer in
                payment.transfers.iter().filter(|transfer| transfer.from == account || transfer.to == account)
            {
                let flow = assets.entry(transfer.asset).or_default();
                if transfer.from == account {
                    flow.out = flow.out.checked_add(transfer.amount).ok_or(Reason::WrongPosition)?;
                    if !known {
                        flow.owed.push((payment, transfer.amount));
                    }
                }
                if transfer.to == account {
                    flow.back = flow.back.checked_add(transfer.amount).ok_or(Reason::WrongPosition)?;
                }
            }
        }
        for (asset, flow) in assets {
            if flow.rises.checked_add(flow.out) != flow.falls.checked_add(flow.back) {
                return Err(Reason::WrongPosition.into());
            }
            let passed = flow.falls.saturating_sub(flow.out);
            let is_approved = |payment: &Payment| self.engine.approved.get(&payment.id) == Some(payment);
            let owed = flow.owed.iter().filter(|(payment, _)| !is_approved(payment));
            let asks =
                owed.map(|(Payment { id, .. }, amount)| (Some(*id), Grantee::Party(id.by), Purpose::Pay, *amount));
            let passed_on = (None, asked.leader(), Purpose::PassOn, passed);
            let all_approved = self
                .engine
                .approved_moves
                .iter()
                .any(|(payments, own)| payments == asked.payments && *own == asked.own);
            let passes = (passed > 0 && !all_approved).then_some(passed_on);
            for (payment, grantee, purpose, amount) in asks.chain(passes) {
                let permission = self.permission(grantee, purpose, asset, amount, &flow.falling, &used);
                let group = asked.group().map(|group| (group, purpose)).filter(|_| permission.is_none());
                let by_group = group
                    .and_then(|(group, purpose)| self.permission(group, purpose, asset, amount, &flow.falling, &used));
                let permission = permission.or(by_group).ok_or(Stop::Ask(payment))?;
                // All that goes by one permission is one sum, however many payments there are.
                match used.iter_mut().find(|(id, _)| *id == permission) {
                    Some((_, sum)) => *sum = sum.saturating_add(amount),
                    None => used.push((permission, amount)),
                }
            }
        }
        Ok(used)
    }

    /// Whether a payment counts already, or may count by an update that this round does not replace.
    fn is_paid_elsewhere(&self, payment: PaymentId, tpcs: &[TpcId]) -> bool {
        let served = self.engine.is_served(&payment);
        let mut signed = self.engine.signed_in(&payment).filter_map(|id| self.engine.held.get(id));
        served
            || signed.any(|held| {
                if !held.in_flight {
                    return true;
                }
                let mut own = held.update.entries.iter().filter(|entry| self.engine.is_above(entry));
                !own.all(|entry| tpcs.binary_search(&entry.tpc).is_ok())
            })
    }

    /// A permission that lets `amount` go, beside what is `used` of it already.
    fn permission(
        &self,
        grantee: Grantee,
        purpose: Purpose,
        asset: Asset,
        amount: Balance,
        channels: &[TpcId],
        used: &Used,
    ) -> Option<u64> {
        let now = self.engine.now();
        let taken = |id: u64| used.iter().find(|(other, _)| *other == id).map_or(0, |(_, amount)| *amount);
        let granted = self.engine.granted(grantee, purpose);
        let mut fitting = granted.into_iter().filter(|(id, permission)| {
            permission.lets(asset, amount, channels, now)
                && taken(*id).checked_add(amount).is_some_and(|sum| sum <= permission.left.min(permission.per_payment))
        });
        fitting.next().map(|(id, _)| id)
    }

    /// Signs an update that this account has checked, has it in flight, and answers.
    fn sign_update(&mut self, from: AccountId, id: UpdateId, asked: Message, used: Used) {
        let Message::Update { round, right, payments, update, owners, signature: leader } = asked else { return };
        let own = self.sign(&id);
        let engine = &mut *self.engine;
        let (ignores, builds_on) = engine.beside(update.entries.iter().map(|entry| &entry.tpc));
        let held = Held {
            update,
            owners,
            round,
            right,
            payments,
            own: Some(own),
            signatures: None,
            in_flight: true,
            ignores,
            builds_on,
            replaced: false,
            used,
        };
        for entry in &held.update.entries {
            engine.naming.entry(entry.tpc).or_default().insert(id);
            if engine.is_own(&entry.tpc) {
                if let Some(channel) = engine.channels.change(&entry.tpc) {
                    channel.signed = channel.signed.max(entry.version);
                    channel.seen = channel.seen.max(entry.version);
                }
            }
        }
        for (permission, amount) in &held.used {
            if let Some(permission) = engine.permissions.change(permission) {
                permission.left = permission.left.saturating_sub(*amount);
            }
        }
        engine.approved_moves.retain(|(payments, _)| *payments != held.payments);
        if !engine.approved.is_empty() {
            for payment in held.payments.iter() {
                engine.approved.remove(&payment.id);
            }
        }
        engine.sign_in(&held.payments, id);
        let both = (held.right == Right::Turn && from != engine.account).then(|| {
            let [first, second] = held.owners.first().map_or([from, from], |owners| owners.parties);
            let signature = |party| if party == from { leader } else { Some(own) };
            let signed = |party| Some(PartySignature { party, signature: signature(party)? });
            [signed(first), signed(second)].into_iter().flatten().collect::<Vec<_>>()
        });
        engine.held.insert(id, held);
        self.wait_for(Waits::Update(id));
        self.send(from, Message::UpdateAgree { update: id, signature: own });
        if let Some(signatures) = both {
            self.complete(id, signatures);
        }
    }

    /// The leader has collected all signatures.
    pub(crate) fn updated(&mut self, id: UpdateId, signatures: Vec<PartySignature>) {
        let Some(held) = self.engine.held.get(&id).filter(|held| held.signatures.is_none()) else {
            return self.ignore("the update is not one that this party has in flight");
        };
        if !self.are_all(&id, &held.owners, held.own, &signatures) {
            return self.ignore("the signatures are not those of all owners");
        }
        self.complete(id, signatures);
    }

    /// Whether the signatures are those of all owners, ascending, and good.
    pub(crate) fn are_all(
        &self,
        id: &UpdateId,
        owners: &[Owners],
        own: Option<Signature>,
        signatures: &[PartySignature],
    ) -> bool {
        let expected: BTreeSet<_> = owners.iter().flat_map(|owners| owners.parties).collect();
        if !expected.iter().eq(signatures.iter().map(|signed| &signed.party)) {
            return false;
        }
        let account = self.engine.account;
        let mine = |signed: &PartySignature| signed.party == account && Some(signed.signature) == own;
        let others: Vec<_> = signatures.iter().filter(|signed| !mine(signed)).copied().collect();
        self.signer.verify_all(id, &others)
    }

    /// Complete updates that this account seems to have missed, from whoever has them.
    pub(crate) fn missed(&mut self, updates: Vec<SignedUpdate>) {
        for SignedUpdate { update, owners, signatures } in updates {
            let id = Action::Update(&update).payload(&Native, &self.engine.domain);
            let Some(held) = self.engine.held.get(&id) else {
                self.learn_complete(id, update, owners, signatures);
                continue;
            };
            if held.signatures.is_none() && self.are_all(&id, &held.owners, held.own, &signatures) {
                self.complete(id, signatures);
            }
        }
    }

    /// All signatures of an update that this account has signed are there: it counts, unless it comes too late (rule S4).
    pub(crate) fn complete(&mut self, id: UpdateId, signatures: Vec<PartySignature>) {
        if let Some(held) = self.engine.held.change(&id) {
            held.signatures = Some(signatures);
        }
        self.decide(id);
    }

    /// What becomes of an update with all signatures, as the chain stands now (rules S4, S5).
    pub(crate) fn decide(&mut self, id: UpdateId) {
        let Some(held) = self.engine.held.get(&id).filter(|held| held.in_flight && held.signatures.is_some()) else {
            return;
        };
        let entries = held.update.entries.clone();
        if entries.iter().any(|entry| self.engine.on_chain(&entry.tpc).is_some_and(|chain| chain.voids(entry))) {
            return self.void(id);
        }
        let (now, reaction) = (self.engine.now(), self.engine.policy().reaction);
        let deadline = entries.iter().filter_map(|entry| self.engine.deadline_above(entry)).min();
        match deadline {
            // It counts once it is on chain, and may yet become void.
            Some(deadline) if deadline < now.saturating_add(reaction) => self.bring(&[id]),
            Some(_) => {
                self.count_in(id);
                self.bring(&[id]);
            }
            None => self.count_in(id),
        }
    }

    /// An update counts: its states are the newest, and its payments are settled.
    pub(crate) fn count_in(&mut self, id: UpdateId) {
        let Some(held) = self.engine.held.change(&id).filter(|held| held.in_flight) else { return };
        held.in_flight = false;
        held.used.clear();
        let (entries, round) = (held.update.entries.clone(), held.round);
        let (ignores, builds_on) = (std::mem::take(&mut held.ignores), std::mem::take(&mut held.builds_on));
        let mut touched: BTreeSet<TpcId> = BTreeSet::new();
        for entry in &entries {
            if let Some(channel) = self.engine.channels.change(&entry.tpc) {
                channel.reach(entry, Some(id));
                if channel.reserved.is_some_and(|(reserved, _)| reserved == round) {
                    channel.reserved = None;
                }
                touched.insert(entry.tpc);
            }
        }
        self.engine.reservations.remove(&round);
        self.stop_waiting(&Waits::Update(id));
        self.tell(Notice::Updated(id));
        self.took_effect(&ignores, &builds_on);
        self.reconsider(&[id]);
        self.prune(&touched);
        touched.iter().for_each(|tpc| self.engine.planners_reach(tpc));
        self.start_rounds(&touched);
    }

    /// Something has come to count: what it ignores counts no longer, and what it builds on does.
    pub(crate) fn took_effect(&mut self, ignores: &[UpdateId], builds_on: &[UpdateId]) {
        let mut again: BTreeSet<UpdateId> = ignores.iter().chain(builds_on).copied().collect();
        let mut waiting = vec![];
        for id in builds_on {
            if let Some(held) = self.engine.held.change(id) {
                held.replaced = false;
            }
        }
        for id in ignores {
            let Some(held) = self.engine.held.change(id) else { continue };
            if held.in_flight {
                let (payments, beside) = self.drop_held(*id);
                again.extend(beside);
                waiting.extend(payments.iter().map(|payment| payment.id));
            } else {
                held.replaced = true;
            }
        }
        self.reconsider(&again.into_iter().collect::<Vec<_>>());
        waiting.into_iter().for_each(|payment| self.wait_again(payment));
    }

    /// Settles the payments of updates that count, once nothing in flight can take their place; and has those wait again whose
    /// updates were replaced, once nothing in flight can bring them back.
    pub(crate) fn reconsider(&mut self, ids: &[UpdateId]) {
        for id in ids {
            self.decide(*id);
            let Some(held) = self.engine.held.get(id).filter(|held| !held.in_flight && !held.payments.is_empty())
            else {
                continue;
            };
            let replaced = held.replaced;
            let open =
                if replaced { self.engine.is_built_on(id) } else { self.engine.is_ignored(id, &held.update.entries) };
            if open {
                continue;
            }
            let payments =
                self.engine.held.change(id).map(|held| std::mem::take(&mut held.payments)).unwrap_or_default();
            if replaced {
                payments.iter().for_each(|payment| self.engine.unsign(&payment.id, id));
                payments.iter().for_each(|payment| self.wait_again(payment.id));
            } else {
                self.settle(*id, payments);
            }
        }
    }

    /// Payments count.
    pub(crate) fn settle(&mut self, id: UpdateId, payments: Payments) {
        let account = self.engine.account;
        for payment in Arc::unwrap_or_clone(payments) {
            self.engine.unsign(&payment.id, &id);
            let takes_part = payment.transfers.iter().any(|part| part.from == account || part.to == account);
            let pending = self.engine.remove_pending(&payment.id);
            if let Some(Over::Channel(tpc)) = pending.as_ref().map(|pending| &pending.over) {
                self.engine.not_waiting(tpc, &payment.id);
            }
            if payment.id.by == account {
                if pending.is_some() {
                    self.keep(&payment, Outcome::Settled);
                    self.tell(Notice::Decided { payment: payment.id.number, outcome: Outcome::Settled, reason: None });
                }
            } else if takes_part {
                if payment.transfers.iter().any(|part| part.from == account) {
                    self.serve(payment.id);
                }
                self.keep(&payment, Outcome::Settled);
                self.tell(Notice::Received(payment));
            }
        }
    }

    /// An update can never count (rule S5).
    pub(crate) fn void(&mut self, id: UpdateId) {
        let Some(held) = self.engine.held.get(&id) else { return };
        let touched: BTreeSet<_> = held.update.entries.iter().map(|entry| entry.tpc).collect();
        if !held.in_flight {
            self.tell(Notice::Lost(id));
        }
        for tpc in &touched {
            // What a coordinator took for the newest state of its members' channel is not: it takes their word again.
            let own = self.engine.is_own(tpc);
            if let Some(channel) = self.engine.channels.change(tpc).filter(|_| !own) {
                channel.rests_on.take_if(|on| *on == id);
            }
        }
        let (payments, beside) = self.drop_held(id);
        for payment in payments.iter() {
            if self.engine.pending.contains(&payment.id) && !self.engine.is_signed(&payment.id) {
                self.void_payment(payment.id, None);
            }
        }
        self.reconsider(&beside);
        self.start_rounds(&touched);
    }

    /// Forgets what nothing rests on any more (rule S7).
    pub(crate) fn prune(&mut self, touched: &BTreeSet<TpcId>) {
        let named: BTreeSet<UpdateId> =
            touched.iter().filter_map(|tpc| self.engine.naming.get(tpc)).flatten().copied().collect();
        for id in named {
            self.reconsider(&[id]);
            if self.engine.held.get(&id).is_none_or(|held| self.engine.is_needed(&id, held)) {
                continue;
            }
            let (payments, beside) = self.drop_held(id);
            self.reconsider(&beside);
            payments.iter().for_each(|payment| self.wait_again(payment.id));
        }
        self.prune_rounds(touched);
    }

    /// Removes an update. Answers the payments that it does not settle, and the updates that it ignores or builds on.
    fn drop_held(&mut self, id: UpdateId) -> (Payments, Vec<UpdateId>) {
        let Some(held) = self.engine.held.remove(&id) else { return (Payments::default(), vec![]) };
        for entry in &held.update.entries {
            if let Some(named) = self.engine.naming.get_mut(&entry.tpc) {
                named.remove(&id);
                if named.is_empty() {
                    self.engine.naming.remove(&entry.tpc);
                }
            }
        }
        for (permission, amount) in held.used {
            if let Some(permission) = self.engine.permissions.change(&permission) {
                permission.left = permission.left.saturating_add(amount);
            }
        }
        self.stop_waiting(&Waits::Update(id));
        for payment in held.payments.iter() {
            self.engine.unsign(&payment.id, &id);
        }
        let beside = held.ignores.into_iter().chain(held.builds_on).collect();
        (held.payments, beside)
    }
}

/// Whether no payment is listed twice. Most leaders list them in their order.
fn are_distinct(payments: &[Payment]) -> bool {
    payments.windows(2).all(|pair| pair[0].id < pair[1].id)
        || payments.iter().map(|payment| payment.id).collect::<BTreeSet<_>>().len() == payments.len()
}

/// What a round moves for an account in one asset.
#[derive(Default)]
struct Flow<'a> {
    /// By how much its channels fall and rise.
    falls: Balance,
    rises: Balance,
    /// What its payments say that it pays and gets.
    out: Balance,
    back: Balance,
    /// What of that it has not commanded, and the payments that ask for it.
    owed: Vec<(&'a Payment, Balance)>,
    /// Its channels that fall.
    falling: Vec<TpcId>,
}

impl Asked<'_> {
    /// To whom permission to pass money on has to be given.
    fn leader(&self) -> Grantee {
        match self.right {
            Right::Coordinator(mpc, _) => Grantee::Group(mpc),
            Right::Turn | Right::Consent => Grantee::Party(self.from),
        }
    }

    /// The group in which others may ask for payments.
    fn group(&self) -> Option<Grantee> {
        match self.right {
            Right::Coordinator(mpc, _) => Some(Grantee::Group(mpc)),
            Right::Turn | Right::Consent => None,
        }
    }
}

impl Engine {
    /// The permissions of a grantee.
    pub(crate) fn granted(&self, grantee: Grantee, purpose: Purpose) -> Vec<(u64, &crate::Permission)> {
        let ids = self.granted.get(&(grantee, purpose)).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.permissions.get(id)?))).collect()
    }

    /// Whether somebody neither owns nor leads any of this account's channels that a request is about.
    fn is_stranger(&self, from: AccountId, message: &Message) -> bool {
        let tpcs: Vec<TpcId> = match message {
            Message::Propose { moves, .. } => moves.iter().map(|moved| moved.tpc).collect(),
            Message::Update { update, .. } => update.entries.iter().map(|entry| entry.tpc).collect(),
            Message::Pay { over: Over::Channel(tpc), .. } => vec![*tpc],
            Message::Agree { agreement, .. } => agreement.tpcs(),
            Message::MpcCreate { creation, .. } => creation.members.iter().map(|member| member.tpc).collect(),
            _ => vec![],
        };
        let own = tpcs.iter().filter_map(|tpc| self.channels.get(tpc)).filter(|channel| self.owns(&channel.owners));
        !own.into_iter().any(|channel| {
            let member = channel.mpc.and_then(|mpc| self.memberships.get(&mpc));
            channel.owners.parties.contains(&from) || member.is_some_and(|member| member.coordinator == from)
        })
    }

    fn standings_of(&self, moves: &[Move]) -> Vec<Standing> {
        moves.iter().filter_map(|moved| Some(self.channels.get(&moved.tpc)?.standing())).collect()
    }

    pub(crate) fn is_own(&self, tpc: &TpcId) -> bool {
        self.channels.get(tpc).is_some_and(|channel| self.owns(&channel.owners))
    }

    /// Whether an entry is above the newest state of a channel of this account's.
    pub(crate) fn is_above(&self, entry: &Entry) -> bool {
        self.channels.get(&entry.tpc).is_some_and(|channel| {
            self.owns(&channel.owners)
                && !channel.on_chain.gone
                && channel.latest.epoch == entry.epoch
                && channel.latest.version < entry.version
        })
    }

    /// Whether something in flight, an update or an agreement, was signed without building on this update.
    pub(crate) fn is_ignored(&self, id: &UpdateId, entries: &[Entry]) -> bool {
        if self.agreements.iter().any(|(_, agreeing)| agreeing.ignores.contains(id)) {
            return true;
        }
        let own = entries.iter().filter(|entry| self.is_own(&entry.tpc));
        own.flat_map(|entry| self.in_flight_on(&entry.tpc)).any(|(_, held)| held.ignores.contains(id))
    }

    /// Whether something in flight builds on an update.
    fn is_built_on(&self, id: &UpdateId) -> bool {
        let in_flight = self.held.get(id).into_iter().flat_map(|held| &held.update.entries);
        let mut in_flight =
            in_flight.filter(|entry| self.is_own(&entry.tpc)).flat_map(|entry| self.in_flight_on(&entry.tpc));
        in_flight.any(|(_, held)| held.builds_on.contains(id))
            || self.agreements.iter().any(|(_, agreeing)| agreeing.builds_on.contains(id))
    }

    /// What is in flight over channels of this account's, and what counts there and is not settled: what a new state ignores,
    /// and what it builds on.
    pub(crate) fn beside<'a>(&self, tpcs: impl Iterator<Item = &'a TpcId>) -> (Vec<UpdateId>, Vec<UpdateId>) {
        let named = tpcs.filter(|tpc| self.is_own(tpc)).filter_map(|tpc| self.naming.get(tpc)).flatten();
        let ids: BTreeSet<UpdateId> = named.copied().collect();
        let own = |id: &UpdateId| self.held.get(id).filter(|held| held.own.is_some());
        // What was replaced may come to count again, by something else that builds on it.
        let open = |held: &Held| held.in_flight || (held.replaced && !held.payments.is_empty());
        let in_flight = ids.iter().filter(|id| own(id).is_some_and(open)).copied().collect();
        let unsettled = |held: &Held| !held.in_flight && !held.payments.is_empty() && !held.replaced;
        (in_flight, ids.iter().filter(|id| own(id).is_some_and(unsettled)).copied().collect())
    }

    /// Whether an update has to be kept (rule S7): it is in flight, or a newest state rests on it that is not on chain.
    pub(crate) fn is_needed(&self, id: &UpdateId, held: &Held) -> bool {
        if !held.in_flight && !held.payments.is_empty() {
            return true;
        }
        held.update.entries.iter().any(|entry| match held.in_flight {
            true => self.is_above(entry),
            false => {
                let channel = self.channels.get(&entry.tpc);
                channel.is_some_and(|channel| channel.rests_on == Some(*id) && channel.is_ahead())
            }
        })
    }

    /// When the dispute ends that has an older state than an entry, finally or at the best head.
    pub(crate) fn deadline_above(&self, entry: &Entry) -> Option<protocol::Timestamp> {
        let on_chain = self.on_chain(&entry.tpc)?;
        if on_chain.has(entry) {
            return None;
        }
        let at_head = self.head.get(&entry.tpc).map(|dispute| dispute.deadline);
        on_chain.dispute.map(|dispute| dispute.deadline).or(at_head)
    }
}
