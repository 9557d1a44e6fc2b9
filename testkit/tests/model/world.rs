//! A world: the honest party's engine, the contract, and what the adversary has; and all that can happen next.

use crate::{
    arena::Arena,
    common::{id_of, HERE},
    scenario::{Host, Scenario, M, N, TICK},
};
use engine::{
    message::{Agreement, Message},
    Call, CallId, Effect, Engine, Input, Native, Notice, Outcome, Payment,
};
use protocol::{abi, AccountId, Entry, Owners, Resolution, Timestamp, Tpc, TpcClose, Update, Version};
use std::{collections::BTreeSet, rc::Rc};

/// The most that X can have signed.
const MAX_DRAFTS: usize = 8;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// M asks X for what is in a slot, or X's application commands it.
    Ask(usize),
    /// All others consent to a round that X leads.
    Consent,
    /// X is shown all the signatures of what it has signed.
    Show(usize),
    /// M refuses to sign what X leads.
    Refuse(usize),
    /// M brings something that X has signed to the chain.
    Publish(usize),
    /// M or N disputes a channel.
    Dispute(usize, Resolution),
    /// M and N move a foreign channel to this version.
    Lift(usize, Version),
    /// They close it.
    Close(usize),
    /// M settles what is due.
    Settle,
    /// The next of X's calls reaches the chain.
    Include,
    /// X's process dies and starts again.
    Crash,
    /// A block is made.
    Block(Seen),
}

/// What X sees when a block is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It and all before it.
    All,
    /// X was away: it reads the storage.
    Storage,
    /// Nothing: X sleeps, or the block is not final.
    Nothing,
    /// What is disputed at the head, but no final block.
    Head,
}

/// What X has signed.
#[derive(Clone, Debug)]
pub struct Draft {
    pub id: [u8; 32],
    pub what: What,
    pub entries: Vec<Entry>,
    /// Whether X leads it.
    pub led: bool,
}

#[derive(Clone, Debug)]
pub enum What {
    Update(Update, Vec<Owners>),
    Agreement(Agreement),
}

/// How a channel of X's ended: its last state, and X's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    pub order: (u32, u64),
    pub balance: u128,
}

/// What was promised and is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// Nothing comes from nowhere or goes there.
    Conservation,
    /// X signs one content at most for each order of a channel.
    OneContent,
    /// What was complete for X never becomes void.
    Kept,
    /// X gets everything out by itself.
    Recovery,
    /// Each own channel ends at its latest complete state or at a later one.
    NeverBelow,
    /// Of each payment all own channels count, or none.
    Atomicity,
    /// X ends with what the payments that count bring it, and nothing else.
    Explained,
    /// X's books have those payments as settled that count, and no others.
    Books,
}

/// A state of everything. What is large stands in the arena.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub party: u32,
    /// The contract within the block that is being made.
    pub ledger: u32,
    /// The contract after the last block.
    pub made: u32,
    pub number: u32,
    /// What was told in the block that is being made.
    pub told: u32,
    /// Blocks that X has not seen: what was told in them, and the contract after them.
    pub late: Vec<(u32, u32)>,
    /// The contract whose disputes X knows as those of the head.
    pub head: u32,
    /// X's calls that are on their way.
    pub calls: Vec<(CallId, u32)>,
    /// What X has signed, and in which draft each is.
    pub drafts: Vec<u32>,
    /// The drafts that count for X.
    pub complete: u8,
    /// The slots that were asked for.
    pub asked: u8,
    /// A round of X's for which consent is asked.
    pub consent: Option<u64>,
    crashes: u8,
    /// The payments that X was told of as settled, and as void.
    pub settled: u8,
    pub void: u8,
    /// Whether X was told that something complete is lost.
    pub lost: bool,
    pub ends: [Option<End>; 4],
    pub broken: Option<Promise>,
}

impl World {
    /// What counts if all others stop.
    pub fn as_left(&self) -> Self {
        Self { asked: 0, consent: None, crashes: 0, ..self.clone() }
    }
}

/// A scenario under search.
pub struct Model {
    pub scenario: Scenario,
    pub arena: Arena,
    pub drafts: Vec<Draft>,
    /// What was proposed to X beside updates.
    pub offered: Vec<Agreement>,
    pub total: u128,
}

impl Model {
    pub fn new(scenario: Scenario) -> (Self, World) {
        let mut arena = scenario.arena();
        let (party, ledger, number) = scenario.start();
        let total = ledger.total(scenario.asset());
        let party = arena.parties.number(party);
        let ledger = arena.ledger(ledger);
        let told = arena.told.number(vec![]);
        let world = World {
            party,
            ledger,
            made: ledger,
            number,
            told,
            late: vec![],
            head: ledger,
            calls: vec![],
            drafts: vec![],
            complete: 0,
            asked: 0,
            consent: None,
            crashes: 0,
            settled: 0,
            void: 0,
            lost: false,
            ends: [None; 4],
            broken: None,
        };
        (Self { scenario, arena, drafts: vec![], offered: vec![], total }, world)
    }

    pub fn engine(&self, world: &World) -> &Engine {
        match &self.arena.aside {
            Some(aside) => &aside.engine,
            None => &self.arena.parties.get(world.party).engine,
        }
    }

    pub fn stored(&self, world: &World, channel: usize) -> Option<Tpc> {
        self.arena.view(world.ledger, channel).copied()
    }

    pub fn now(&self, ledger: u32) -> Timestamp {
        self.arena.ledgers.get(ledger).now
    }

    pub fn account(&self, who: usize) -> AccountId {
        self.scenario.accounts[who]
    }

    pub fn draft(&self, world: &World, place: usize) -> &Draft {
        &self.drafts[world.drafts[place] as usize]
    }

    /// Whether nothing is left that concerns X.
    pub fn is_over(&self, world: &World) -> bool {
        self.scenario.own().all(|(channel, _)| self.stored(world, channel).is_none())
    }

    /// Everything that can happen next.
    pub fn steps(&self, world: &World) -> Vec<Step> {
        let mut steps = vec![];
        if world.broken.is_some() || self.is_over(world) {
            return steps;
        }
        if !world.calls.is_empty() {
            steps.push(Step::Include);
        }
        for (slot, what) in self.scenario.slots.iter().enumerate() {
            let alike = |before: usize| self.scenario.slots[before] == *what && world.asked & (1 << before) == 0;
            if world.asked & (1 << slot) == 0 && !(0..slot).any(alike) {
                steps.push(Step::Ask(slot));
            }
        }
        if world.consent.is_some() {
            steps.push(Step::Consent);
        }
        for place in 0..world.drafts.len() {
            let draft = self.draft(world, place);
            if matches!(draft.what, What::Update(..)) && world.complete & (1 << place) == 0 {
                steps.push(Step::Show(place));
                if draft.led {
                    steps.push(Step::Refuse(place));
                }
            }
            steps.push(Step::Publish(place));
        }
        self.steps_on_chain(world, &mut steps);
        if world.crashes < self.scenario.crashes {
            steps.push(Step::Crash);
        }
        // Calls reach the next block, and time moves only for something.
        if world.calls.is_empty() && world.number < self.scenario.last_block() && self.is_moving(world) {
            steps.push(Step::Block(Seen::All));
            if !world.late.is_empty() {
                steps.push(Step::Block(Seen::Storage));
            }
            let most = match self.scenario.host {
                Host::Late => 3,
                _ => usize::from(self.scenario.lags),
            };
            if world.late.len() < most {
                steps.extend([Step::Block(Seen::Nothing), Step::Block(Seen::Head)]);
            }
        }
        steps
    }

    fn steps_on_chain(&self, world: &World, steps: &mut Vec<Step>) {
        let now = self.now(world.ledger);
        let mut is_due = false;
        for (channel, known) in self.scenario.channels.iter().enumerate() {
            let Some(tpc) = self.stored(world, channel) else { continue };
            is_due |= tpc.is_due(now);
            if tpc.dispute.is_none_or(|dispute| dispute.then == Resolution::Renew) {
                steps.push(Step::Dispute(channel, Resolution::Settle));
            }
            if tpc.dispute.is_none() && tpc.epoch < self.scenario.renewals {
                steps.push(Step::Dispute(channel, Resolution::Renew));
            }
            if known.own.is_none() {
                let named = world.drafts.iter().flat_map(|draft| &self.drafts[*draft as usize].entries);
                let above: BTreeSet<Version> =
                    named.filter(|entry| entry.tpc == known.tpc).map(|entry| entry.version + 1).collect();
                let above = above.into_iter().filter(|version| *version > tpc.version && !tpc.is_due(now));
                steps.extend(above.map(|version| Step::Lift(channel, version)));
                steps.push(Step::Close(channel));
            }
        }
        if is_due {
            steps.push(Step::Settle);
        }
    }

    /// Whether time makes a difference: a clock runs, or there is something to see.
    fn is_moving(&self, world: &World) -> bool {
        let ledger = self.arena.ledgers.get(world.ledger);
        let is_disputed = |tpc: &Tpc| tpc.dispute.is_some_and(|dispute| ledger.now <= dispute.deadline + TICK);
        let agreed = world.drafts.iter().any(|draft| matches!(self.drafts[*draft as usize].what, What::Agreement(_)));
        !self.arena.told.get(world.told).is_empty()
            || !world.late.is_empty()
            || agreed
            || ledger.tpcs().any(|(_, tpc)| is_disputed(tpc))
    }

    /// The world after a step. `None` if nothing comes of it.
    pub fn next(&mut self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        match step {
            Step::Ask(slot) => self.ask(&mut next, slot)?,
            Step::Consent => self.consent(&mut next)?,
            Step::Show(place) => self.show(&mut next, place),
            Step::Refuse(place) => {
                let (update, reason) = (self.draft(world, place).id, engine::message::Reason::Declined);
                self.say(&mut next, M, Message::UpdateReject { update, reason });
            }
            Step::Publish(place) => {
                let call = self.publication(world, place);
                self.call(&mut next, M, call)?;
            }
            Step::Dispute(channel, then) => {
                let channels = vec![self.scenario.channels[channel].tpc];
                let who = self.owner(channel);
                self.call(&mut next, who, abi::DisputeChannels { channels, then })?;
            }
            Step::Lift(channel, version) => {
                let entry =
                    Entry { version, ..self.stored(world, channel)?.entry(self.scenario.channels[channel].tpc) };
                let owners = vec![self.scenario.channels[channel].owners];
                let update = Update { entries: vec![entry] };
                let signatures = self.signatures(&id_of(&update), &owners);
                self.call(&mut next, M, abi::UpdateChannels { update, owners, signatures })?;
            }
            Step::Close(channel) => {
                let tpc = self.scenario.channels[channel].tpc;
                let last = Entry { version: Version::MAX, ..self.stored(world, channel)?.entry(tpc) };
                let close = Agreement::Close(TpcClose { last, valid_until: Timestamp::MAX });
                let call = self.agreed_call(&close, self.scenario.channels[channel].owners.parties);
                self.call(&mut next, M, call)?;
            }
            Step::Settle => {
                let now = self.now(world.ledger);
                let due = |channel: &usize| self.stored(world, *channel).is_some_and(|tpc| tpc.is_due(now));
                let due: Vec<_> = (0..self.scenario.channels.len()).filter(due).collect();
                let channels = due.iter().map(|channel| self.scenario.channels[*channel].tpc).collect();
                let who = self.owner(*due.first()?);
                self.call(&mut next, who, abi::SettleChannels { channels })?;
            }
            Step::Include => self.include(&mut next),
            Step::Crash => self.crash(&mut next),
            Step::Block(seen) => self.block(&mut next, seen),
        }
        (next != *world).then_some(next)
    }

    /// One of the adversary's owners of a channel.
    fn owner(&self, channel: usize) -> usize {
        let parties = self.scenario.channels[channel].owners.parties;
        [M, N].into_iter().find(|who| parties.contains(&self.account(*who))).unwrap()
    }

    // What the adversary and X say.

    pub fn say(&mut self, world: &mut World, from: usize, message: Message) {
        let from = self.account(from);
        self.input(world, Input::Message { from, message });
    }

    pub fn input(&mut self, world: &mut World, input: Input) {
        let (party, effects) = self.arena.step(world.party, &input, (world.number, world.made));
        world.party = party;
        self.follow(world, &effects);
    }

    fn crash(&mut self, world: &mut World) {
        world.crashes += 1;
        world.calls.clear();
        let (party, effects) = self.arena.restart(world.party);
        world.party = party;
        self.follow(world, &effects);
    }

    fn follow(&mut self, world: &mut World, effects: &Rc<Vec<Effect>>) {
        for effect in effects.iter().cloned() {
            match effect {
                Effect::Send(_, message) => self.heard(world, message),
                Effect::Call { id, call, .. } => {
                    let brings = matches!(call, Call::UpdateChannels(_) | Call::UpdateAll(_));
                    let lost = brings && self.scenario.host == Host::LosesCalls;
                    let call = self.arena.calls.number(call);
                    let known = world.calls.contains(&(id, call));
                    if !lost && !known {
                        world.calls.push((id, call));
                    }
                }
                // Read already.
                Effect::Read(_) => {}
                Effect::Tell(notice) => self.told(world, notice),
            }
        }
    }

    /// X tells its application.
    fn told(&mut self, world: &mut World, notice: Notice) {
        let place = |id: [u8; 32]| {
            world.drafts.iter().position(|draft| self.drafts[*draft as usize].id == id).map(|place| 1 << place)
        };
        let payment = |payment: &Payment| {
            (0..self.scenario.payments.len()).find(|number| self.scenario.payment(*number).id == payment.id)
        };
        match notice {
            Notice::Updated(id) => world.complete |= place(id).unwrap_or(0),
            Notice::Lost(_) => world.lost = true,
            Notice::Received(received) => world.settled |= payment(&received).map_or(0, |payment| 1 << payment),
            Notice::Decided { payment, outcome, .. } => {
                let own = (0..self.scenario.payments.len()).filter(|number| self.scenario.payments[*number].own);
                let decided = own.clone().nth(payment as usize).map_or(0, |payment| 1 << payment);
                match outcome {
                    Outcome::Settled => world.settled |= decided,
                    Outcome::Void => world.void |= decided,
                }
            }
            _ => {}
        }
    }

    /// The adversary hears X: what X signs is the adversary's.
    fn heard(&mut self, world: &mut World, message: Message) {
        match message {
            Message::Propose { round, .. } => world.consent = Some(round.number),
            Message::GiveUp { .. } => world.consent = None,
            Message::UpdateAgree { update: id, .. } => {
                let held = self.engine(world).held().find(|(held, _)| **held == id);
                let Some((update, owners)) = held.map(|(_, held)| (held.update.clone(), held.owners.clone())) else {
                    return;
                };
                self.sign(world, id, update.entries.clone(), What::Update(update, owners), false);
            }
            Message::Update { update, owners, signature: Some(_), .. } => {
                let id = id_of(&update);
                self.sign(world, id, update.entries.clone(), What::Update(update, owners), true);
            }
            Message::Agreed { agreement: id, .. } => {
                let offered = self.offered.iter().find(|offered| offered.id(&Native, &HERE) == id).cloned();
                let Some(agreement) = offered else { return };
                self.sign(world, id, agreement.last().to_vec(), What::Agreement(agreement), false);
            }
            _ => {}
        }
    }

    /// X has signed something.
    fn sign(&mut self, world: &mut World, id: [u8; 32], entries: Vec<Entry>, what: What, led: bool) {
        if world.drafts.iter().any(|draft| self.drafts[*draft as usize].id == id) {
            return;
        }
        assert!(world.drafts.len() < MAX_DRAFTS, "X signs without end");
        let same = |entry: &Entry| {
            let mine = self.scenario.place(&entry.tpc).is_some_and(|place| self.scenario.channels[place].own.is_some());
            let before = world.drafts.iter().flat_map(|draft| &self.drafts[*draft as usize].entries);
            mine && before.clone().any(|signed| signed.tpc == entry.tpc && signed.order() == entry.order())
        };
        if entries.iter().any(same) {
            world.broken = Some(Promise::OneContent);
        }
        let known = self.drafts.iter().position(|draft| draft.id == id);
        let place = known.unwrap_or_else(|| {
            self.drafts.push(Draft { id, what, entries, led });
            self.drafts.len() - 1
        });
        world.drafts.push(u32::try_from(place).unwrap());
    }
}
