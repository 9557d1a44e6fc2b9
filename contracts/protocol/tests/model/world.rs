//! The model: its states, its steps, and what must hold in them.

use crate::{
    chain::{Agreement, Chain, Symbolic},
    party::{counts, entering, paying, Life, Party},
};
use codec::Encode;
use protocol::{
    rules, state::MIN_WINDOW, AccountId, Balance, Entry, Mpc, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave,
    MpcUpdate, Owners, Timestamp, Tpc, TpcClose, TpcCreation, TpcId,
};
use stateright::{Model, Property};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::LazyLock,
};

pub const CONSERVATION: &str = "conservation";
pub const ATOMICITY: &str = "atomicity";
pub const NEVER_BELOW: &str = "never below the newest complete state";
pub const RECOVERY: &str = "recovery alone";
pub const CLOCKS: &str = "clocks keep their deadlines";
pub const TERMINATION: &str = "everything is paid out";

const TICK: Timestamp = MIN_WINDOW;
const TOTAL: Balance = 1 << 8;

/// A channel, by its owners' letters.
pub type Name = &'static str;

/// The place of a possible agreement in its scenario.
pub type Slot = u8;

/// A rule that is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// An honest party signs an update although another one is in flight on a channel of its own.
    SignsWhileInFlight,
    /// An honest party signs that a channel leaves although an update is in flight on it.
    LeavesWhileInFlight,
    /// An honest party signs that a channel leaves in another state than its newest.
    SignsOldSnapshot,
    /// An honest party sends a signature before it has saved that it signed.
    SignsBeforeSaving,
    /// An entry that does not fit its channel refuses the whole update.
    UnfitRefusesAll,
    /// Entering a group does not raise the epoch.
    EnteringKeepsEpoch,
    /// A channel in a group can be disputed and settled by itself.
    MembersActAlone,
    /// An update is taken after the deadline of its group.
    AnswerAfterDeadline,
    /// An update taken in a dispute gives it a new deadline.
    AnswerRestartsClock,
}

/// What can be signed in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A payment in a channel that stands alone.
    PayTpc,
    CloseTpc,
    CreateMpc,
    /// A payment in a group.
    PayMpc,
    LeaveMpc,
    JoinMpc,
    CloseMpc,
}

pub type Condition = fn(&Scenario, &World) -> bool;

/// What is there at the start, and what can happen.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Everybody else is the adversary.
    pub honest: &'static str,
    /// Channels that stand alone at the start.
    pub alone: &'static [Name],
    /// Channels that are in a group at the start.
    pub braided: &'static [Name],
    /// What can be signed, each once, and the channels that it touches.
    pub possible: Vec<(Kind, &'static [Name])>,
    /// Whether honest parties crash.
    pub crashes: bool,
    pub mutation: Option<Mutation>,
    /// What some run must come to, so that the scenario is about what its name says.
    pub comes_to: Option<(&'static str, Condition)>,
}

/// What the adversary writes into an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The state that follows what its signers have.
    Next,
    /// Entries that the contract does not take for the channels of the adversary alone.
    Unfit,
    /// The state that is on chain, instead of the newest.
    Old,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An agreement comes into being, with the signature of this honest party, if it touches any.
    Draft(Slot, Option<char>, Content),
    Sign(Slot, char),
    /// A party is shown all the signatures of an update that it signed.
    Tell(Slot, char),
    Publish(Slot),
    DisputeTpc(Name),
    DisputeMpc(char, Vec<Name>),
    SettleTpc(Name),
    /// Every group that is over is removed.
    SettleMpc,
    /// A party sees what is on chain.
    Look(char),
    Tick,
    Crash(char),
    Restart(char),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub chain: Chain,
    pub parties: BTreeMap<u8, Party>,
    pub agreements: Vec<Option<Agreement>>,
    /// The agreements that the chain has taken.
    pub published: BTreeSet<Slot>,
}

/// Worlds that differ only in when they are, and in how long ago something expired, are one.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Chain { now, tpcs, mpcs, paid, told, mutation: _ } = &self.chain;
        let left = |end: Timestamp| end.checked_sub(*now);
        let tpcs = tpcs.iter().map(|(id, tpc)| (id, Tpc { deadline: None, ..tpc.clone() }, tpc.deadline.map(left)));
        let mpcs = mpcs.iter().map(|(id, mpc)| (id, Mpc { deadline: None, ..*mpc }, mpc.deadline.map(left)));
        let told = told.iter().map(|(id, end)| (id, left(*end)));
        let agreement = |agreement: &Agreement| (agreement.clone().valid(0), agreement.valid_until().map(left));
        let agreements = self.agreements.iter().map(|possible| possible.as_ref().map(agreement));
        let chain = (tpcs.collect::<Vec<_>>(), mpcs.collect::<Vec<_>>(), told.collect::<Vec<_>>(), paid);
        (chain, &self.parties, agreements.collect::<Vec<_>>(), &self.published).encode().hash(state);
    }
}

fn account(letter: char) -> AccountId {
    AccountId([letter as u8; 32])
}

fn letter(account: AccountId) -> char {
    account.0[0].into()
}

fn owners(name: Name) -> Owners {
    let mut letters = name.chars().map(account);
    let parties = [letters.next().expect("an owner"), letters.next().expect("another owner")];
    Owners { parties, nonce: 0, part: None }
}

pub fn id(name: Name) -> TpcId {
    static IDS: LazyLock<[(Name, TpcId); 3]> =
        LazyLock::new(|| ["AB", "AC", "BC"].map(|name| (name, owners(name).tpc(&Symbolic))));
    IDS.iter().find(|(known, _)| *known == name).expect("a channel of A, B and C").1
}

impl World {
    pub fn party(&self, letter: char) -> Option<&Party> {
        self.parties.get(&(letter as u8))
    }

    pub fn agreement(&self, slot: Slot) -> Option<&Agreement> {
        self.agreements[usize::from(slot)].as_ref()
    }

    /// The group that stands, or one that is over.
    fn mpc(&self) -> Option<MpcId> {
        let stands = self.chain.mpcs.iter().find(|(_, mpc)| mpc.stands(self.chain.now));
        stands.or(self.chain.mpcs.iter().next()).map(|(id, _)| *id)
    }

    fn party_mut(&mut self, letter: char) -> Option<&mut Party> {
        self.parties.get_mut(&(letter as u8))
    }

    /// The world after a call that the chain takes.
    fn on_chain(&self, call: impl FnOnce(&mut Chain) -> bool) -> Option<Self> {
        let mut chain = self.chain.clone();
        if !call(&mut chain) {
            return None;
        }
        let (parties, agreements, published) = (self.parties.clone(), self.agreements.clone(), self.published.clone());
        Some(Self { chain, parties, agreements, published })
    }

    /// A party that is up sees what is on chain.
    fn look(&mut self, letter: u8) -> Option<()> {
        let party = self.parties.get_mut(&letter).filter(|party| party.is_up())?;
        for slot in &self.published {
            let update = self.agreements[usize::from(*slot)].as_ref().filter(|agreement| agreement.is_update());
            if let Some(update) = update.filter(|_| party.signed.contains(slot) && !party.held.contains(slot)) {
                party.complete(*slot, update);
            }
        }
        party.observe(&self.chain, &self.agreements);
        Some(())
    }
}

impl Scenario {
    fn names(&self) -> impl Iterator<Item = Name> + '_ {
        self.alone.iter().chain(self.braided).copied()
    }

    fn slots(&self) -> impl Iterator<Item = Slot> {
        0..self.possible.len() as Slot
    }

    /// The owners of what an agreement touches, ascending.
    fn touched(&self, slot: Slot) -> BTreeSet<char> {
        self.possible[usize::from(slot)].1.iter().flat_map(|name| name.chars()).collect()
    }

    /// Brings an agreement to the chain with the signatures that there are.
    pub fn publish(&self, world: &World, chain: &mut Chain, slot: Slot) -> bool {
        let Some(agreement) = world.agreement(slot) else { return false };
        let signed = |letter: &char| world.party(*letter).is_none_or(|party| party.signed.contains(&slot));
        let signatures = agreement.signatures(self.touched(slot).into_iter().filter(signed).map(account));
        let owners: Vec<_> = self.names().map(owners).collect();
        chain.publish(agreement, &signatures, &owners).is_ok()
    }

    /// Whether the chain would take an agreement now.
    pub fn publishable(&self, world: &World, slot: Slot) -> bool {
        self.publish(world, &mut world.chain.clone(), slot)
    }

    fn draft(&self, world: &World, slot: Slot, first: Option<char>, content: Content) -> Option<Agreement> {
        let (kind, names) = self.possible[usize::from(slot)];
        let mut entries = vec![];
        for name in names {
            let (id, stored) = (id(name), world.chain.tpcs.get(&id(name))?);
            // Whoever signs first has its own view; of other channels their honest owners' view counts.
            let mut views: Vec<_> = name.chars().filter_map(|letter| Some((letter, world.party(letter)?))).collect();
            views.sort_by_key(|(letter, _)| Some(*letter) != first);
            let views: Vec<_> = views.iter().map(|(_, party)| &party.channels[&id]).collect();
            let latest = views.first().map_or(stored.entry(id), |view| view.latest);
            let signed = views.iter().map(|view| view.signed).filter(|(epoch, _)| *epoch == latest.epoch);
            let version = signed.map(|(_, version)| version).fold(latest.version, u64::max) + 1;
            entries.push(match (kind, content) {
                (Kind::PayTpc | Kind::PayMpc, Content::Unfit) if views.is_empty() => {
                    Entry { epoch: latest.epoch + 1, balances: [0, 0], ..latest }
                }
                (Kind::PayTpc | Kind::PayMpc, _) => {
                    Entry { version, balances: paying(latest.balances, slot), ..latest }
                }
                (Kind::CloseTpc, _) => Entry { version, ..latest },
                (Kind::CreateMpc | Kind::JoinMpc, Content::Old) => entering(&stored.entry(id), self.mutation),
                (Kind::CreateMpc | Kind::JoinMpc, _) => entering(&latest, self.mutation),
                (Kind::LeaveMpc | Kind::CloseMpc, Content::Old) => stored.entry(id),
                (Kind::LeaveMpc | Kind::CloseMpc, _) => latest,
            });
        }
        entries.sort_by_key(|entry| entry.tpc);
        let valid_until = world.chain.now + TICK;
        Some(match kind {
            Kind::PayTpc => Agreement::UpdateTpc(entries[0]),
            Kind::CloseTpc => Agreement::CloseTpc(TpcClose { last: entries[0], valid_until }),
            Kind::CreateMpc => Agreement::CreateMpc(MpcCreation { entries, window: MIN_WINDOW, valid_until }),
            Kind::PayMpc => Agreement::UpdateMpc(MpcUpdate { mpc: world.mpc()?, entries }),
            Kind::LeaveMpc => Agreement::LeaveMpc(MpcLeave { mpc: world.mpc()?, entries, valid_until }),
            Kind::CloseMpc => Agreement::CloseMpc(MpcClose { mpc: world.mpc()?, entries, valid_until }),
            Kind::JoinMpc => {
                let mpc = world.mpc()?;
                let touched = self.touched(slot);
                let invites = |tpc: &Tpc| tpc.parties.iter().any(|party| touched.contains(&letter(*party)));
                let member = world.chain.tpcs.iter().find(|(_, tpc)| tpc.mpc == Some(mpc) && invites(tpc));
                Agreement::JoinMpc(MpcJoin { mpc, member: *member?.0, entries, valid_until })
            }
        })
    }

    /// Whether the adversary has every signature, so that it can show or publish the agreement.
    fn is_complete(&self, world: &World, slot: Slot) -> bool {
        let mut honest = self.touched(slot).into_iter().filter_map(|letter| world.party(letter));
        world.agreement(slot).is_some() && honest.all(|party| party.signed.contains(&slot))
    }

    fn draft_and_sign(&self, world: &World, slot: Slot, first: Option<char>, content: Content) -> Option<World> {
        let agreement = self.draft(world, slot, first, content)?;
        if content != Content::Next && Some(&agreement) == self.draft(world, slot, first, Content::Next).as_ref() {
            return None;
        }
        let mut next = match first {
            Some(letter) => self.sign(world, slot, letter, &agreement)?,
            None => world.clone(),
        };
        next.agreements[usize::from(slot)] = Some(agreement);
        Some(next)
    }

    fn sign(&self, world: &World, slot: Slot, letter: char, agreement: &Agreement) -> Option<World> {
        if !world.party(letter)?.agrees(&world.chain, &world.agreements, slot, agreement) {
            return None;
        }
        let mut next = world.clone();
        next.party_mut(letter)?.sign(slot, agreement);
        Some(next)
    }

    /// The channels of a party that are in the group.
    fn members<'a>(&'a self, world: &'a World, letter: char) -> impl Iterator<Item = Name> + 'a {
        let mpc = world.mpc();
        let is_member = move |name: &Name| world.chain.tpcs.get(&id(name)).is_some_and(|tpc| tpc.mpc == mpc);
        self.names().filter(move |name| mpc.is_some() && name.contains(letter) && is_member(name))
    }

    fn tick(&self, world: &World) -> Option<World> {
        let now = world.chain.now;
        let expiring = world.agreements.iter().flatten().filter_map(Agreement::valid_until);
        if !world.chain.told.values().copied().chain(expiring).any(|end| now <= end) {
            return None;
        }
        let mut next = world.clone();
        for (letter, party) in &world.parties {
            let must_answer = party.held.iter().any(|slot| {
                let deadline = world.agreement(*slot).and_then(|agreement| world.chain.deadline(agreement));
                deadline.is_some_and(|end| now <= end && end < now + TICK) && self.publishable(world, *slot)
            });
            match must_answer {
                true if party.is_up() => return None,
                true => next.parties.get_mut(letter)?.missed = true,
                false => {}
            }
        }
        next.chain.now += TICK;
        for letter in world.parties.keys() {
            next.look(*letter);
        }
        Some(next)
    }

    /// Whether each payment counts in all or none of the party's channels, where all of these are paid out.
    fn is_atomic(&self, world: &World, party: &Party, chain: &Chain) -> bool {
        let updates = party.signed.iter().filter_map(|slot| Some((*slot, world.agreement(*slot)?)));
        updates.filter(|(_, agreement)| agreement.is_update()).all(|(slot, update)| {
            let ends: Vec<_> = party.own(update).map(|(entry, _)| chain.paid.get(&entry.tpc)).collect();
            let counted = ends.iter().flatten().filter(|end| counts(end, slot)).count();
            ends.iter().any(Option::is_none) || counted == 0 || counted == ends.len()
        })
    }

    /// Whether the party's channels that are paid out are so at what it has, or later.
    fn is_never_below(&self, world: &World, party: &Party, chain: &Chain) -> bool {
        let mut ends = party.channels.iter().filter_map(|(id, channel)| Some((chain.paid.get(id)?, channel)));
        let mut held = party.held.iter().filter_map(|slot| Some((*slot, world.agreement(*slot)?)));
        ends.all(|(end, channel)| end.order() >= channel.latest.order())
            && held.all(|(slot, update)| {
                party.own(update).all(|(entry, _)| {
                    let replaced = |end: &Entry| party.replaced.contains(&slot) && end.order() > entry.order();
                    chain.paid.get(&entry.tpc).is_none_or(|end| counts(end, slot) || replaced(end))
                })
            })
    }

    /// The party brings what it has, disputes everything, waits and settles; nobody else does anything.
    fn recovers(&self, world: &World, party: &Party) -> bool {
        let mut chain = world.chain.clone();
        for slot in &party.held {
            self.publish(world, &mut chain, *slot);
        }
        let own: Vec<_> = party.channels.keys().filter(|id| chain.tpcs.contains_key(id)).copied().collect();
        let mut groups: BTreeMap<MpcId, Vec<TpcId>> = BTreeMap::new();
        for id in &own {
            if let Some(mpc) = chain.group_of(&chain.tpcs[id]) {
                groups.entry(mpc).or_default().push(*id);
            }
        }
        for (mpc, exits) in &groups {
            // Refused if the group is disputed already.
            let _ = chain.dispute_mpc(&party.account, *mpc, exits[0], exits);
        }
        let end = groups.keys().filter_map(|mpc| chain.mpcs[mpc].deadline).max();
        chain.now = chain.now.max(end.map_or(0, |end| end + 1));
        for id in &own {
            // Refused if the channel is disputed already.
            let _ = chain.dispute_tpc(&party.account, *id);
        }
        let end = own.iter().filter_map(|id| chain.tpcs[id].deadline).max();
        chain.now = chain.now.max(end.map_or(0, |end| end + 1));
        own.iter().all(|id| chain.settle_tpc(*id).is_ok())
            && (party.missed || self.is_atomic(world, party, &chain) && self.is_never_below(world, party, &chain))
    }

    /// The parties that were never down when they had to answer.
    fn promised<'a>(&self, world: &'a World) -> impl Iterator<Item = &'a Party> {
        world.parties.values().filter(|party| !party.missed)
    }
}

impl Model for Scenario {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut chain = Chain {
            now: 0,
            tpcs: BTreeMap::new(),
            mpcs: BTreeMap::new(),
            paid: BTreeMap::new(),
            told: BTreeMap::new(),
            mutation: None,
        };
        for name in self.names() {
            let Owners { parties, nonce, .. } = owners(name);
            let creation = TpcCreation { parties, nonce, balances: [TOTAL, 0], window: MIN_WINDOW, valid_until: 0 };
            chain.tpcs.insert(creation.id(&Symbolic), rules::create_tpc(&creation, 0).expect("a channel"));
        }
        if !self.braided.is_empty() {
            let mut entries: Vec<_> =
                self.braided.iter().map(|name| entering(&chain.tpcs[&id(name)].entry(id(name)), None)).collect();
            entries.sort_by_key(|entry| entry.tpc);
            let creation = Agreement::CreateMpc(MpcCreation { entries, window: MIN_WINDOW, valid_until: 0 });
            let signers: BTreeSet<_> = self.braided.iter().flat_map(|name| owners(name).parties).collect();
            chain.publish(&creation, &creation.signatures(signers.into_iter()), &[]).expect("a group");
        }
        chain.mutation = self.mutation;
        let party = |letter: char| (letter as u8, Party::new(account(letter), &chain));
        let parties = self.honest.chars().map(party).collect();
        vec![World { chain, parties, agreements: vec![None; self.possible.len()], published: BTreeSet::new() }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for slot in self.slots() {
            let honest = self.touched(slot).into_iter().filter(|letter| self.honest.contains(*letter));
            let honest: Vec<_> = honest.collect();
            if world.agreement(slot).is_none() {
                let other = match self.possible[usize::from(slot)].0 {
                    Kind::PayMpc => Content::Unfit,
                    _ => Content::Old,
                };
                for content in [Content::Next, other] {
                    steps.extend(honest.iter().map(|letter| Step::Draft(slot, Some(*letter), content)));
                }
                if honest.is_empty() {
                    steps.push(Step::Draft(slot, None, Content::Next));
                }
                continue;
            }
            steps.extend(honest.iter().map(|letter| Step::Sign(slot, *letter)));
            if self.is_complete(world, slot) {
                steps.extend(honest.iter().map(|letter| Step::Tell(slot, *letter)));
                steps.push(Step::Publish(slot));
            }
        }
        for name in self.names() {
            steps.extend([Step::DisputeTpc(name), Step::SettleTpc(name)]);
        }
        let letters: BTreeSet<_> = self.names().flat_map(str::chars).collect();
        for letter in letters {
            let own: Vec<_> = self.members(world, letter).collect();
            let chosen = |set: u32| own.iter().enumerate().filter(move |(bit, _)| set & (1 << bit) != 0);
            let exits = |set| chosen(set).map(|(_, name)| *name).collect();
            steps.extend((0..1 << own.len()).map(|set| Step::DisputeMpc(letter, exits(set))));
        }
        steps.extend([Step::SettleMpc, Step::Tick]);
        for letter in self.honest.chars() {
            steps.extend([Step::Look(letter), Step::Crash(letter), Step::Restart(letter)]);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        match step {
            Step::Draft(slot, first, content) => self.draft_and_sign(world, slot, first, content),
            Step::Sign(slot, letter) => self.sign(world, slot, letter, world.agreement(slot)?),
            Step::Tell(slot, letter) => {
                let agreement = world.agreement(slot)?;
                let deaf = |party: &Party| !party.is_up() || party.held.contains(&slot);
                // A party takes nothing for complete that the chain takes no more.
                if world.party(letter).is_none_or(deaf) || !world.chain.accepts_update(agreement) {
                    return None;
                }
                let mut next = world.clone();
                next.party_mut(letter)?.complete(slot, agreement);
                Some(next)
            }
            Step::Publish(slot) => {
                let mut next = world.on_chain(|chain| self.publish(world, chain, slot))?;
                next.published.insert(slot);
                Some(next)
            }
            // Which of the owners does it makes no difference.
            Step::DisputeTpc(name) => {
                world.on_chain(|chain| chain.dispute_tpc(&owners(name).parties[0], id(name)).is_ok())
            }
            Step::SettleTpc(name) => world.on_chain(|chain| chain.settle_tpc(id(name)).is_ok()),
            Step::DisputeMpc(letter, exits) => {
                let (mpc, member) = (world.mpc()?, self.members(world, letter).next()?);
                let exits: Vec<_> = exits.into_iter().map(id).collect();
                world.on_chain(|chain| chain.dispute_mpc(&account(letter), mpc, id(member), &exits).is_ok())
            }
            Step::SettleMpc => {
                let mpcs = world.chain.mpcs.keys();
                world.on_chain(|chain| mpcs.filter(|mpc| chain.settle_mpc(**mpc).is_ok()).count() > 0)
            }
            Step::Look(letter) => {
                let mut next = world.clone();
                next.look(letter as u8)?;
                (next.parties != world.parties).then_some(next)
            }
            Step::Tick => self.tick(world),
            Step::Crash(letter) => {
                let party = world.party(letter)?;
                let done = party.channels.keys().all(|id| world.chain.paid.contains_key(id));
                if !self.crashes || party.life != Life::Up || done {
                    return None;
                }
                let mut next = world.clone();
                next.party_mut(letter)?.life = Life::Down;
                Some(next)
            }
            Step::Restart(letter) => {
                world.party(letter).filter(|party| !party.is_up())?;
                let mut next = world.clone();
                next.party_mut(letter)?.restart(self.mutation);
                next.look(letter as u8)?;
                Some(next)
            }
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(CONSERVATION, |scenario: &Scenario, world: &World| {
                scenario.names().map(id).all(|id| {
                    let stored = world.chain.tpcs.get(&id).map(Tpc::total);
                    let paid = world.chain.paid.get(&id).map(Entry::total);
                    stored.xor(paid) == Some(Some(TOTAL))
                })
            }),
            Property::always(ATOMICITY, |scenario: &Scenario, world: &World| {
                scenario.promised(world).all(|party| scenario.is_atomic(world, party, &world.chain))
            }),
            Property::always(NEVER_BELOW, |scenario: &Scenario, world: &World| {
                scenario.promised(world).all(|party| scenario.is_never_below(world, party, &world.chain))
            }),
            Property::always(RECOVERY, |scenario: &Scenario, world: &World| {
                world.parties.values().all(|party| scenario.recovers(world, party))
            }),
            Property::always(CLOCKS, |_, world: &World| {
                let tpcs = world.chain.tpcs.iter().filter_map(|(id, tpc)| Some((id.0, tpc.deadline?)));
                let mpcs = world.chain.mpcs.iter().filter_map(|(id, mpc)| Some((id.0, mpc.deadline?)));
                tpcs.chain(mpcs).collect::<BTreeMap<_, _>>() == world.chain.told
            }),
            Property::eventually(TERMINATION, |scenario: &Scenario, world: &World| {
                scenario.names().all(|name| world.chain.paid.contains_key(&id(name)))
            }),
        ];
        properties.extend(self.comes_to.map(|(name, condition)| Property::sometimes(name, condition)));
        properties
    }
}
