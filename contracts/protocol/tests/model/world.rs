//! The model: its states, its steps, and what must hold in them.

use crate::{
    chain::{self, Message, Modelled, Mutant, Mutant::*},
    common::{account, signature, Call, Chain, DOMAIN},
    party::{bits, Honest, Party},
};
use protocol::{
    contract::{self, dispute, mpc, tpc, update},
    event::Event,
    state::MIN_WINDOW,
    AccountId, Action, Asset, Balance, Entry, Epoch, Error, Member, MpcCreation, MpcLeave, Origin, Owners,
    PartySignature, Resolution, Signature, Timestamp, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp,
    TpcWithdrawal, Update, Version,
};
use stateright::{Model, Property};
use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Time moves by one window: a dispute is early, then late, then over.
pub const TICK: Timestamp = 2 * MIN_WINDOW;
const START: Timestamp = 10 * TICK;
/// A window that no honest party can answer in.
const SHORT: Timestamp = MIN_WINDOW;

/// The most that can be signed in a scenario, and the most channels in one.
pub const SLOTS: usize = 6;
pub const CHANNELS: usize = 5;
// Each above all that updates move ([`bit`]).
const TAKEN: Balance = 1 << 35;
const TOTAL: Balance = 1 << 40;
const ADDED: Balance = 1 << 41;
const FUNDS: Balance = 1 << 50;

/// The place of something that can be signed in its scenario.
pub type Slot = usize;

/// What can be signed, by the places of the channels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Update(Vec<usize>),
    Close(usize),
    TopUp(usize),
    Withdraw(usize),
    /// The channel becomes itself and the scenario's last channel.
    Split(usize),
    /// The second channel goes into the first.
    Merge(usize, usize),
    /// The channel, which is absent at the start, is created.
    Create(usize),
    Register(Vec<usize>),
    Leave(Vec<usize>),
}

impl Kind {
    pub fn channels(&self) -> Vec<usize> {
        match self {
            Self::Update(channels) | Self::Register(channels) | Self::Leave(channels) => channels.clone(),
            Self::Merge(first, second) => vec![*first, *second],
            Self::Close(channel)
            | Self::TopUp(channel)
            | Self::Withdraw(channel)
            | Self::Split(channel)
            | Self::Create(channel) => vec![*channel],
        }
    }
}

#[derive(Clone, Debug)]
pub struct Channel {
    /// Its owners' letters.
    name: String,
    pub id: TpcId,
    pub owners: Owners,
    /// Whether it is on chain at the start.
    stored: bool,
    /// Whether something in the scenario names it. Nobody else is disturbed by what happens to the others.
    pub named: bool,
}

/// Who and what there is at the start, and what can be signed, each once.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Everybody else is the adversary.
    pub honest: Vec<AccountId>,
    pub channels: Vec<Channel>,
    pub slots: Vec<Kind>,
    /// The epochs that a dispute may renew: those below.
    pub renewals: Epoch,
    /// How long what expires is good.
    pub validity: Timestamp,
    /// Whether later updates have lower versions on foreign channels.
    pub reversed: bool,
    /// Whether calls are tried that lack signatures, whose sums are wrong, or whose caller is a stranger.
    pub forges: bool,
    pub mutant: Option<Mutant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Update(Update),
    Close(TpcClose),
    TopUp(TpcTopUp),
    Withdraw(TpcWithdrawal),
    Split(TpcSplit),
    Create(TpcCreation),
    Register(MpcCreation),
    Leave(MpcLeave),
}

/// Something that was drafted to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    pub deed: Deed,
    pub channels: Vec<usize>,
    /// The state of each channel in it.
    pub entries: Vec<Entry>,
    owners: Vec<Owners>,
    pub valid_until: Option<Timestamp>,
    /// Of all owners, ascending. Each is handed out only once its party has signed.
    signatures: Vec<PartySignature>,
}

impl Agreement {
    pub fn is_update(&self) -> bool {
        matches!(self.deed, Deed::Update(_))
    }

    /// Whether it supersedes earlier states of its channels.
    pub fn has_orders(&self) -> bool {
        !matches!(self.deed, Deed::Register(_) | Deed::Leave(_) | Deed::Create(_))
    }
}

/// What is promised to an honest party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// Whatever the contract owes is what came in less what it paid.
    Conservation,
    /// A dispute ends when it was told to end at its start, by a close, a settlement or a renewal alone.
    ClocksStartOnce,
    /// The order of a channel never falls.
    OrderNeverFalls,
    /// G4: a channel moves only by the signatures of its owners; strangers start no clock.
    NobodyIsDisturbed,
    /// What was signed besides updates is good once.
    GoodOnce,
    /// A registered group counts the channels that are in it.
    GroupsAreCounted,
    /// G1: of each update that it signed, all entries for its own channels count in the end, or none.
    Atomicity,
    /// G2: each own channel ends at its latest complete state or a later one.
    NeverBelow,
    /// G3: it gets everything out by itself, in one window.
    Recovery,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something is drafted, with the signature of this honest party.
    Draft(Slot, usize),
    Sign(Slot, usize),
    /// An honest party is shown all the signatures of an update.
    Complete(Slot, usize),
    Publish(Slot),
    /// Without the signatures that are missing.
    Forge(Slot),
    /// Only some of an update's channels.
    PublishPart(Slot, usize),
    Dispute(usize, Resolution),
    DisputeAsStranger(usize),
    /// The adversary moves a channel of its own to this version.
    Lift(usize, Version),
    LiftWithWrongSum(usize),
    /// The adversary closes a channel of its own.
    Close(usize),
    /// Everything that is due is settled.
    Settle,
    Tick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub chain: Chain,
    pub agreements: [Option<Arc<Agreement>>; SLOTS],
    /// Those of the slots that the chain has executed.
    pub executed: u8,
    pub parties: [Party; 2],
    /// How channels ended.
    ends: [Option<Entry>; CHANNELS],
    broken: Option<Promise>,
}

/// Worlds that differ only in what time it is, or in how long ago something was over, are one. What the ledger holds and
/// what was paid follows from the rest.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let now = self.chain.now;
        let left = |end: Timestamp| end.checked_sub(now);
        for (id, tpc) in self.chain.tpcs.pairs() {
            (id.0[0], id.0[1], tpc.balances, tpc.epoch, tpc.version, tpc.registrations, tpc.mpc.map(|mpc| mpc.0[0]))
                .hash(state);
            if let Some(dispute) = tpc.dispute {
                (left(dispute.deadline), dispute.then == Resolution::Renew, dispute.began_at).hash(state);
            }
        }
        for ((id, epoch), version) in self.chain.ended.iter() {
            (id.0[0], id.0[1], epoch, version).hash(state);
        }
        for end in &self.ends {
            end.map(|end| (end.order(), end.balances)).hash(state);
        }
        for agreement in &self.agreements {
            let Some(agreement) = agreement else {
                state.write_u8(0);
                continue;
            };
            agreement.valid_until.map(left).hash(state);
            for entry in &agreement.entries {
                (entry.order(), entry.balances).hash(state);
            }
        }
        let [one, other] = self.parties.map(|party| (party.signed, party.complete & !self.on_chain()));
        let masks = (one, other, self.executed);
        (self.chain.nonces.iter().map(|(_, nonce)| nonce).sum::<u64>(), masks, self.broken).hash(state);
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for channel in &self.channels {
            write!(f, "{} ", channel.name)?;
        }
        write!(f, "{:?}", self.slots)?;
        if self.renewals > 0 {
            write!(f, ", renewals")?;
        }
        if self.reversed {
            write!(f, ", foreign versions reversed")?;
        }
        Ok(())
    }
}

const HONEST: [char; 2] = ['X', 'Y'];

impl Scenario {
    /// Channels by the letters of their owners: X and Y are honest, all others are not. `?` marks a channel that is not
    /// there at the start, `!` one whose window is short.
    pub fn new(channels: &[&str], slots: Vec<Kind>) -> Self {
        let mut scenario = Self { slots, validity: TICK, ..Self::default() };
        for (place, name) in channels.iter().enumerate() {
            let mut parties = [account(name.as_bytes()[0].into()), account(name.as_bytes()[1].into())];
            parties.sort();
            let before = scenario.channels.iter().filter(|channel| channel.owners.parties == parties).count();
            let window = if name.contains('!') { SHORT } else { TICK };
            let owners = Owners { parties, window, asset: Asset::Native, origin: Origin::Creation(before as u64) };
            scenario.add(name, owners, !name.contains('?'));
            assert_eq!(place + 1, scenario.channels.len());
        }
        let split = scenario.slots.iter().find_map(|kind| match kind {
            Kind::Split(channel) => Some(*channel),
            _ => None,
        });
        if let Some(channel) = split {
            let Channel { id, owners, .. } = scenario.channels[channel];
            scenario.add("part", owners.part(id, 0, 1), false);
            scenario.channels.last_mut().unwrap().named = true;
        }
        scenario.honest = HONEST.map(account).into_iter().filter(|party| scenario.has(*party)).collect();
        for channel in scenario.slots.iter().flat_map(Kind::channels).collect::<Vec<_>>() {
            scenario.channels[channel].named = true;
        }
        scenario
    }

    fn add(&mut self, name: &str, owners: Owners, stored: bool) {
        let id = owners.tpc(&self.host(&Chain::default(), Message::Other));
        self.channels.push(Channel { name: name.into(), id, owners, stored, named: false });
    }

    fn has(&self, party: AccountId) -> bool {
        self.channels.iter().any(|channel| channel.owners.parties.contains(&party))
    }

    fn host<'a>(&self, chain: &'a Chain, message: Message<'a>) -> Modelled<'a> {
        Modelled { call: Call::new(chain, DOMAIN.contract), mutant: self.mutant, message }
    }

    fn honest<'a>(&'a self, world: &'a World, who: usize) -> Honest<'a> {
        Honest::new(self, world, who)
    }

    pub fn owns(&self, who: usize, channel: usize) -> bool {
        self.channels[channel].owners.parties.contains(&self.honest[who])
    }

    fn is_foreign(&self, channel: usize) -> bool {
        !(0..self.honest.len()).any(|who| self.owns(who, channel))
    }

    /// The honest parties that sign what is in a slot.
    fn signers(&self, slot: Slot) -> Vec<usize> {
        let channels = self.slots[slot].channels();
        let signs = |who: &usize| channels.iter().any(|channel| self.owns(*who, *channel));
        (0..self.honest.len()).filter(signs).collect()
    }

    pub fn is_signed(&self, world: &World, slot: Slot) -> bool {
        self.signers(slot).into_iter().all(|who| world.parties[who].signed & (1 << slot) != 0)
    }

    /// A channel as the contract says that it counts.
    pub fn tpc(&self, chain: &Chain, channel: usize) -> Option<Tpc> {
        contract::tpc(&self.host(chain, Message::Other), self.channels[channel].id)
    }

    /// The version at which the contract says that a dispute ended an epoch.
    pub fn ended(&self, chain: &Chain, channel: usize, epoch: Epoch) -> Option<Version> {
        // Honest parties know the rules, whatever a mutant does.
        contract::ended(&Call::new(chain, DOMAIN.contract), self.channels[channel].id, epoch)
    }

    /// The version of what is drafted next. Between the versions of drafts there is room for the adversary's own.
    fn version(&self, world: &World, channel: usize) -> Version {
        let drafted = world.agreements.iter().flatten().count();
        let place = if self.reversed && self.is_foreign(channel) { SLOTS - drafted } else { drafted };
        2 * place as Version + 2
    }

    /// The balances after what is in a slot, which tell which updates they count: each has a bit of its own in each
    /// channel, which moves that much from the first owner to the second.
    pub fn content(&self, slot: Slot, channel: usize, base: &Entry) -> [Balance; 2] {
        let [first, second] = base.balances;
        match &self.slots[slot] {
            Kind::Update(_) if second & bit(slot, channel) == 0 => {
                [first - bit(slot, channel), second + bit(slot, channel)]
            }
            _ => [first, second],
        }
    }

    fn draft(&self, world: &World, slot: Slot, first: Option<&Honest<'_>>) -> Option<Agreement> {
        let kind = &self.slots[slot];
        let mut channels = kind.channels();
        if !matches!(kind, Kind::Merge(..)) {
            channels.sort_by_key(|channel| self.channels[*channel].id);
        }
        let mut entries = vec![];
        for channel in &channels {
            let Channel { id, .. } = self.channels[*channel];
            let tpc = self.tpc(&world.chain, *channel);
            let stored = match (&tpc, kind) {
                (Some(tpc), _) => tpc.entry(id),
                (None, Kind::Create(_)) => creation_entry(id),
                (None, Kind::Update(_)) if self.mutant == Some(OffChainSigned) => creation_entry(id),
                (None, _) => return None,
            };
            let base = match first {
                Some(honest) if self.owns(honest.who, *channel) => honest.base(*channel),
                // Of the channels of the other honest party, that one's view counts.
                _ => {
                    let owner = (0..self.honest.len()).find(|who| self.owns(*who, *channel));
                    owner.and_then(|who| self.honest(world, who).base(*channel))
                }
            }
            .unwrap_or(stored);
            let balances = self.content(slot, *channel, &base);
            // What its owners alone sign is always newer than what is stored.
            let version = if self.signers(slot).is_empty() { base.version + 1 } else { self.version(world, *channel) };
            entries.push(Entry { tpc: id, epoch: base.epoch, version, balances });
        }
        let valid_until = world.chain.now + self.validity;
        let last = entries[0];
        let member = |channel: &usize| {
            let Tpc { registrations, .. } = self.tpc(&world.chain, *channel)?;
            Some(Member { tpc: self.channels[*channel].id, registrations })
        };
        let members = || channels.iter().map(member).collect::<Option<Vec<_>>>();
        let deed = match kind {
            Kind::Update(_) => Deed::Update(Update { entries: entries.clone() }),
            Kind::Close(_) => Deed::Close(TpcClose { last, valid_until }),
            Kind::TopUp(_) => Deed::TopUp(TpcTopUp { last, added: [ADDED, 0], valid_until }),
            Kind::Withdraw(_) => Deed::Withdraw(TpcWithdrawal { last, amounts: [TAKEN, 0], valid_until }),
            Kind::Split(_) => {
                let [first, second] = last.balances;
                let parts = vec![[first - TAKEN, second], [TAKEN, 0]];
                Deed::Split(TpcSplit { last: vec![last], parts, valid_until })
            }
            Kind::Merge(..) => {
                let sum = |party: usize| entries.iter().map(|entry| entry.balances[party]).sum();
                Deed::Split(TpcSplit { last: entries.clone(), parts: vec![[sum(0), sum(1)]], valid_until })
            }
            Kind::Create(channel) => {
                let Owners { parties, window, asset, origin } = self.channels[*channel].owners;
                let Origin::Creation(nonce) = origin else { return None };
                let balances = [TOTAL, 0];
                Deed::Create(TpcCreation { parties, nonce, asset, balances, window, valid_until })
            }
            Kind::Register(_) => Deed::Register(MpcCreation { members: members()?, valid_until }),
            Kind::Leave(_) => {
                let mpc = self.tpc(&world.chain, channels[0])?.mpc?;
                Deed::Leave(MpcLeave { mpc, members: members()?, valid_until })
            }
        };
        let valid_until = (!matches!(deed, Deed::Update(_))).then_some(valid_until);
        let owners = channels.iter().map(|channel| self.channels[*channel].owners).collect();
        Some(Agreement { deed, channels, entries, owners, valid_until, signatures: vec![] })
    }

    fn agreement(
        &self,
        deed: Deed,
        channels: Vec<usize>,
        entries: Vec<Entry>,
        valid_until: Option<Timestamp>,
    ) -> Agreement {
        let owners = channels.iter().map(|channel| self.channels[*channel].owners).collect();
        let mut agreement = Agreement { deed, channels, entries, owners, valid_until, signatures: vec![] };
        self.prepare_signatures(&mut agreement);
        agreement
    }

    fn prepare_signatures(&self, agreement: &mut Agreement) {
        let mut signers: Vec<_> = agreement.owners.iter().flat_map(|owners| owners.parties).collect();
        signers.sort_unstable();
        signers.dedup();
        let action = match &agreement.deed {
            Deed::Update(update) => Action::Update(update),
            Deed::Close(close) => Action::CloseTpc(close),
            Deed::TopUp(top_up) => Action::TopUpTpc(top_up),
            Deed::Withdraw(withdrawal) => Action::WithdrawTpc(withdrawal),
            Deed::Split(split) => Action::SplitTpc(split),
            Deed::Create(creation) => Action::CreateTpc(creation),
            Deed::Register(creation) => Action::CreateMpc(creation),
            Deed::Leave(leave) => Action::LeaveMpc(leave),
        };
        let payload = action.payload(&self.host(&Chain::default(), Message::Other), &DOMAIN);
        let sign = |party| PartySignature { party, signature: signature(payload, party) };
        agreement.signatures = signers.into_iter().map(sign).collect();
    }

    /// Brings an agreement to the contract. An owner of its first channel calls.
    fn execute(
        &self,
        chain: &Chain,
        agreement: &Agreement,
        signatures: &[PartySignature],
    ) -> Option<(Chain, Vec<Event>)> {
        let caller = agreement.owners[0].parties[0];
        let both = || -> [Signature; 2] { [signatures[0].signature, signatures[1].signature] };
        let message = match agreement.deed {
            Deed::Update(_) => Message::Update(&agreement.entries),
            Deed::Close(_) => Message::Close,
            _ => Message::Other,
        };
        self.call(chain, caller, message, |host| match &agreement.deed {
            Deed::Update(update) => update::update(host, update, &agreement.owners, signatures).map(|_| ()),
            Deed::Close(close) => tpc::close_tpc(host, close, &both()),
            Deed::TopUp(top_up) => tpc::top_up_tpc(host, top_up, &both()),
            Deed::Withdraw(withdrawal) => tpc::withdraw_tpc(host, withdrawal, &both()),
            Deed::Split(split) => tpc::split_tpc(host, split, &both()).map(|_| ()),
            Deed::Create(creation) => tpc::create_tpc(host, creation, &both(), 0).map(|_| ()),
            Deed::Register(creation) => mpc::create_mpc(host, creation, signatures).map(|_| ()),
            Deed::Leave(leave) => mpc::leave_mpc(host, leave, signatures),
        })
    }

    fn call(
        &self,
        chain: &Chain,
        caller: AccountId,
        message: Message<'_>,
        call: impl FnOnce(&mut Modelled<'_>) -> Result<(), Error>,
    ) -> Option<(Chain, Vec<Event>)> {
        chain::call(chain, self.mutant, caller, message, call)
    }

    /// The world after a call that the contract took, of an agreement or of a channel alone.
    fn after(
        &self,
        world: &World,
        (chain, told): (Chain, Vec<Event>),
        agreement: Option<&Agreement>,
        allowed: impl Fn(usize) -> bool,
    ) -> World {
        let mut next = World { chain, ..world.clone_off_chain() };
        for event in &told {
            self.record(&mut next, event, agreement);
        }
        next.broken = next.broken.or_else(|| self.broken_by(world, &next, allowed));
        next
    }

    fn place(&self, id: TpcId) -> usize {
        self.channels.iter().position(|channel| channel.id == id).expect("a channel of the scenario")
    }

    fn record(&self, world: &mut World, event: &Event, agreement: Option<&Agreement>) {
        let last = |id| agreement.and_then(|agreement| agreement.entries.iter().find(|entry| entry.tpc == id).copied());
        match event {
            Event::Settled(settled) => {
                for end in &settled.channels {
                    let (epoch, version, balances) = (end.epoch, end.version, end.balances);
                    world.ends[self.place(end.tpc)] = Some(Entry { tpc: end.tpc, epoch, version, balances });
                }
            }
            Event::TpcClosed(closed) => {
                let balances = closed.balances;
                world.ends[self.place(closed.tpc)] = last(closed.tpc).map(|last| Entry { balances, ..last });
            }
            // What it held went into the first.
            Event::TpcSplit(split) => {
                for id in split.from.iter().skip(1) {
                    world.ends[self.place(*id)] = last(*id).map(|last| Entry { balances: [0, 0], ..last });
                }
            }
            Event::TpcCreated(created) => world.ends[self.place(created.tpc)] = None,
            _ => {}
        }
    }

    /// What a single step must keep.
    fn broken_by(&self, before: &World, after: &World, allowed: impl Fn(usize) -> bool) -> Option<Promise> {
        if self.worth(&before.chain) != self.worth(&after.chain) {
            return Some(Promise::Conservation);
        }
        if !groups_are_counted(&after.chain) {
            return Some(Promise::GroupsAreCounted);
        }
        for channel in 0..self.channels.len() {
            if before.chain.tpcs.find(self.channels[channel].id) == after.chain.tpcs.find(self.channels[channel].id) {
                continue;
            }
            let (was, is) = (self.tpc(&before.chain, channel), self.tpc(&after.chain, channel));
            if !allowed(channel) {
                return Some(Promise::NobodyIsDisturbed);
            }
            let (Some(was), Some(is)) = (was, is) else { continue };
            if was.order() > is.order() {
                return Some(Promise::OrderNeverFalls);
            }
            if let Some(was) = was.dispute {
                let is_other = |is: protocol::Dispute| {
                    is.deadline != was.deadline || was.then == Resolution::Settle && is.then == Resolution::Renew
                };
                if is.dispute.is_none_or(is_other) {
                    return Some(Promise::ClocksStartOnce);
                }
            }
        }
        None
    }

    fn publish(&self, world: &World, slot: Slot, forge: bool, part: Option<usize>) -> Option<World> {
        let agreement = match &world.agreements[slot] {
            Some(agreement) => Arc::clone(agreement),
            // What needs no honest signature is drafted when it is brought.
            None if self.signers(slot).is_empty() || forge => {
                let mut agreement = self.draft(world, slot, None)?;
                self.prepare_signatures(&mut agreement);
                Arc::new(agreement)
            }
            None => return None,
        };
        let agreement = match part {
            None => agreement,
            Some(left_out) => Arc::new(self.without(&agreement, left_out)?),
        };
        let mut signatures = Cow::Borrowed(&agreement.signatures);
        if !self.is_signed(world, slot) {
            if !forge {
                return None;
            }
            for signature in signatures.to_mut() {
                if self.honest.contains(&signature.party) {
                    signature.signature.0 = [0; 64];
                }
            }
        }
        let done = self.execute(&world.chain, &agreement, &signatures)?;
        let consent = |channel: usize| {
            let mut owners = (0..self.honest.len()).filter(|who| self.owns(*who, channel));
            let is_part = matches!(agreement.deed, Deed::Split(_)) && channel + 1 == self.channels.len();
            (agreement.channels.contains(&channel) || is_part)
                && owners.all(|who| world.parties[who].signed & (1 << slot) != 0)
        };
        let mut next = self.after(world, done, Some(&agreement), consent);
        if !agreement.is_update() {
            if next.executed & (1 << slot) != 0 {
                next.broken = next.broken.or(Some(Promise::GoodOnce));
            }
            next.executed |= 1 << slot;
        }
        Some(next)
    }

    /// An update without one of its channels, as if the rest had been signed.
    fn without(&self, update: &Agreement, left_out: usize) -> Option<Agreement> {
        let left: Vec<_> = (0..update.channels.len()).filter(|index| update.channels[*index] != left_out).collect();
        if left.is_empty() || left.len() == update.channels.len() {
            return None;
        }
        let channels = left.iter().map(|index| update.channels[*index]).collect();
        let entries: Vec<_> = left.iter().map(|index| update.entries[*index]).collect();
        Some(self.agreement(Deed::Update(Update { entries: entries.clone() }), channels, entries, None))
    }

    fn dispute(&self, world: &World, channel: usize, then: Resolution, caller: AccountId) -> Option<World> {
        let ids = [self.channels[channel].id];
        let done =
            self.call(&world.chain, caller, Message::Dispute, |host| dispute::dispute(host, &ids, then).map(|_| ()))?;
        let is_owner = self.channels[channel].owners.parties.contains(&caller);
        Some(self.after(world, done, None, |changed| changed == channel && is_owner))
    }

    fn settle(&self, world: &World) -> Option<World> {
        let mut next = None;
        for channel in self.named() {
            let Channel { id, owners, .. } = self.channels[channel];
            let world = next.as_ref().unwrap_or(world);
            let done = self
                .call(&world.chain, owners.parties[0], Message::Other, |host| dispute::settle(host, &[id]).map(|_| ()));
            if let Some(done) = done {
                next = Some(self.after(world, done, None, |changed| changed == channel));
            }
        }
        next
    }

    fn lift(&self, world: &World, channel: usize, version: Version, extra: Balance) -> Option<World> {
        let tpc = self.tpc(&world.chain, channel)?;
        let [first, second] = tpc.balances;
        let entry = Entry { version, balances: [first + extra, second], ..tpc.entry(self.channels[channel].id) };
        let update = Deed::Update(Update { entries: vec![entry] });
        let agreement = self.agreement(update, vec![channel], vec![entry], None);
        let done = self.execute(&world.chain, &agreement, &agreement.signatures)?;
        Some(self.after(world, done, Some(&agreement), |changed| changed == channel))
    }

    /// Its owners close a foreign channel in any state that they like.
    fn close(&self, world: &World, channel: usize) -> Option<World> {
        let tpc = self.tpc(&world.chain, channel)?;
        let last = Entry { version: Version::MAX, ..tpc.entry(self.channels[channel].id) };
        let close = Deed::Close(TpcClose { last, valid_until: Timestamp::MAX });
        let agreement = self.agreement(close, vec![channel], vec![last], None);
        let done = self.execute(&world.chain, &agreement, &agreement.signatures)?;
        Some(self.after(world, done, Some(&agreement), |changed| changed == channel))
    }

    /// Time moves while a clock runs or something has yet to expire, and once each honest party has answered.
    fn tick(&self, world: &World) -> Option<World> {
        let now = world.chain.now;
        let mut deadlines = world.chain.tpcs.values().filter_map(|tpc| Some(tpc.dispute?.deadline));
        let open = |slot: usize| world.executed & (1 << slot) == 0;
        let mut expiring = world
            .agreements
            .iter()
            .enumerate()
            .filter(|(slot, _)| open(*slot))
            .filter_map(|(_, agreement)| agreement.as_ref()?.valid_until);
        if !deadlines.any(|deadline| now <= deadline) && !expiring.any(|until| now <= until) {
            return None;
        }
        for who in 0..self.honest.len() {
            let honest = self.honest(world, who);
            // A call that the contract refuses holds nobody up.
            if honest.answers().into_iter().any(|slot| self.publish(world, slot, false, None).is_some()) {
                return None;
            }
        }
        let mut next = world.clone();
        next.chain.now = now + TICK;
        Some(next)
    }

    /// Which promise is broken, if all stop and one honest party after the other gets out by itself.
    pub fn broken(&self, world: &World) -> Option<Promise> {
        world.broken.or_else(|| (0..self.honest.len()).find_map(|who| self.broken_to(world, who)))
    }

    fn broken_to(&self, world: &World, who: usize) -> Option<Promise> {
        let own = self.honest(world, who).own_stored();
        if own.is_empty() {
            return self.judge(world, who);
        }
        // S8: it disputes all own channels, publishes what it keeps, and settles. Nobody else does anything.
        let me = self.honest[who];
        let ids: Vec<_> = own.iter().map(|channel| self.channels[*channel].id).collect();
        let mut end = world.clone();
        let disputed = self.call(&end.chain, me, Message::Dispute, |host| {
            dispute::dispute(host, &ids, Resolution::Settle).map(|_| ())
        });
        // Refused if all of them are disputed already.
        if let Some((chain, _)) = disputed {
            end.chain = chain;
        }
        let answers = self.honest(&end, who).answers();
        for slot in answers {
            let Some(update) = end.agreements[slot].clone() else { continue };
            if let Some((chain, _)) = self.execute(&end.chain, &update, &update.signatures) {
                end.chain = chain;
            }
        }
        end.chain.now += TICK + 1;
        let before = self.worth(&end.chain);
        let settled = self.call(&end.chain, me, Message::Other, |host| dispute::settle(host, &ids).map(|_| ()));
        let Some((chain, told)) = settled else { return Some(Promise::Recovery) };
        end.chain = chain;
        for event in &told {
            self.record(&mut end, event, None);
        }
        if self.worth(&end.chain) != before {
            return Some(Promise::Conservation);
        }
        if !groups_are_counted(&end.chain) {
            return Some(Promise::GroupsAreCounted);
        }
        if own.iter().any(|channel| self.is_stored(&end, *channel)) {
            return Some(Promise::Recovery);
        }
        self.judge(&end, who)
    }

    /// What the contract owes, and what it has paid.
    fn worth(&self, chain: &Chain) -> Balance {
        let paid: Balance = chain.paid.iter().map(|(_, paid)| paid).sum();
        chain.owed(Asset::Native) + paid
    }

    /// Whether the promises were kept to a party all of whose channels are gone.
    fn judge(&self, end: &World, who: usize) -> Option<Promise> {
        let stored = end.chain.tpcs.values().map(|tpc| tpc.balances[1]);
        let counted = stored.chain(end.ends.iter().flatten().map(|end| end.balances[1])).fold(0, |all, one| all | one);
        let updates = |mask| {
            let agreements = bits(mask).filter_map(|slot| Some((slot, end.agreements[slot].as_deref()?)));
            agreements.filter(|(_, agreement)| agreement.is_update())
        };
        for (_, update) in updates(end.parties[who].complete) {
            for (channel, entry) in update.channels.iter().zip(&update.entries) {
                let is_below = end.ends[*channel].is_some_and(|end| end.order() < entry.order());
                if self.owns(who, *channel) && is_below {
                    return Some(Promise::NeverBelow);
                }
            }
        }
        for (slot, update) in updates(end.parties[who].signed) {
            let own = update.channels.iter().filter(|channel| self.owns(who, **channel));
            let counts: Vec<_> = own.map(|channel| counted & bit(slot, *channel) != 0).collect();
            if counts.contains(&true) && counts.contains(&false) {
                return Some(Promise::Atomicity);
            }
        }
        None
    }

    /// Whether nothing that is left to happen concerns an honest party.
    fn is_over(&self, world: &World) -> bool {
        let mut own = (0..self.channels.len()).filter(|channel| !self.is_foreign(*channel));
        let to_create =
            |(slot, kind): (usize, &Kind)| matches!(kind, Kind::Create(_)) && world.executed & (1 << slot) == 0;
        own.all(|channel| self.tpc(&world.chain, channel).is_none()) && !self.slots.iter().enumerate().any(to_create)
    }

    fn named(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.channels.len()).filter(|channel| self.channels[*channel].named)
    }

    fn is_stored(&self, world: &World, channel: usize) -> bool {
        world.chain.tpcs.find(self.channels[channel].id).is_some()
    }
}

fn groups_are_counted(chain: &Chain) -> bool {
    let members = |mpc| chain.tpcs.values().filter(|tpc| tpc.mpc == Some(mpc)).count();
    let counted = chain.mpcs.pairs().all(|(mpc, stored)| members(*mpc) == stored.channels as usize);
    counted && chain.tpcs.values().filter_map(|tpc| tpc.mpc).all(|mpc| chain.mpcs.find(mpc).is_some())
}

fn bit(slot: Slot, channel: usize) -> Balance {
    1 << (SLOTS * channel + slot)
}

impl World {
    /// The updates all of whose entries are on chain or below what is. Whether one of them is complete makes no
    /// difference any more.
    fn on_chain(&self) -> u8 {
        let is_below = |entry: &Entry| {
            let stored = self.chain.tpcs.find(entry.tpc).map(|tpc| tpc.order());
            let ended = self.ends.iter().flatten().find(|end| end.tpc == entry.tpc).map(|end| end.order());
            stored.or(ended).is_some_and(|order| order >= entry.order())
        };
        let mask = |(slot, agreement): (Slot, &Option<Arc<Agreement>>)| {
            let done = agreement.as_ref().is_some_and(|agreement| agreement.entries.iter().all(is_below));
            u8::from(done) << slot
        };
        self.agreements.iter().enumerate().map(mask).fold(0, |all, one| all | one)
    }

    fn clone_off_chain(&self) -> Self {
        let Self { agreements, executed, parties, ends, broken, .. } = self;
        let (agreements, executed) = (agreements.clone(), *executed);
        Self { chain: Chain::default(), agreements, executed, parties: *parties, ends: *ends, broken: *broken }
    }
}

impl Model for Scenario {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut chain = Chain { now: START, ..Chain::default() };
        for party in self.channels.iter().flat_map(|channel| channel.owners.parties) {
            chain.ledger.set((party, Asset::Native), Some(FUNDS));
        }
        for (channel, Channel { owners, .. }) in self.channels.iter().enumerate().filter(|(_, channel)| channel.stored)
        {
            let Owners { parties, window, asset, .. } = *owners;
            let nonce = chain.nonces.get(parties).unwrap_or(0);
            let creation = TpcCreation { parties, nonce, asset, balances: [TOTAL, 0], window, valid_until: START };
            let entry = creation_entry(self.channels[channel].id);
            let creation = self.agreement(Deed::Create(creation), vec![channel], vec![entry], None);
            let real = Self { mutant: None, ..self.clone() };
            (chain, _) = real.execute(&chain, &creation, &creation.signatures).expect("a new channel");
        }
        vec![World {
            chain,
            agreements: Default::default(),
            executed: 0,
            parties: [Party::default(); 2],
            ends: [None; CHANNELS],
            broken: None,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.broken.is_some() || self.is_over(world) {
            return;
        }
        for (slot, kind) in self.slots.iter().enumerate() {
            let signers = self.signers(slot);
            match &world.agreements[slot] {
                None if signers.is_empty() => {
                    let in_the_way = matches!(kind, Kind::Create(channel) if self.is_stored(world, *channel));
                    if world.executed & (1 << slot) == 0 && !in_the_way {
                        steps.push(Step::Publish(slot));
                    }
                }
                // Of two that are alike, the first comes first.
                None if (0..slot).any(|before| self.slots[before] == *kind && world.agreements[before].is_none()) => {}
                None => {
                    steps.extend(signers.into_iter().map(|who| Step::Draft(slot, who)));
                    if self.forges {
                        steps.push(Step::Forge(slot));
                    }
                }
                Some(agreement) => {
                    let signed = |who: &usize| world.parties[*who].signed & (1 << slot) != 0;
                    steps.extend(signers.iter().filter(|who| !signed(who)).map(|who| Step::Sign(slot, *who)));
                    if !signers.iter().all(signed) {
                        if self.forges {
                            steps.push(Step::Forge(slot));
                        }
                        continue;
                    }
                    steps.push(Step::Publish(slot));
                    if agreement.is_update() {
                        steps.extend(signers.into_iter().map(|who| Step::Complete(slot, who)));
                        if self.mutant == Some(PartialPublication) {
                            steps.extend(kind.channels().into_iter().map(|channel| Step::PublishPart(slot, channel)));
                        }
                    }
                }
            }
        }
        for channel in self.named() {
            let Some(tpc) = self.tpc(&world.chain, channel) else { continue };
            steps.push(Step::Dispute(channel, Resolution::Settle));
            if tpc.epoch < self.renewals {
                steps.push(Step::Dispute(channel, Resolution::Renew));
            }
            if self.is_foreign(channel) {
                // Above each update that names it.
                let id = self.channels[channel].id;
                let updates = world.agreements.iter().flatten().filter(|agreement| agreement.is_update());
                let entries = updates.flat_map(|update| &update.entries).filter(|entry| entry.tpc == id);
                steps.extend(entries.map(|entry| Step::Lift(channel, entry.version + 1)));
                steps.push(Step::Close(channel));
            }
            if self.forges {
                steps.extend([Step::DisputeAsStranger(channel), Step::LiftWithWrongSum(channel)]);
            }
        }
        steps.extend([Step::Settle, Step::Tick]);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let honest = |who| self.honest(world, who);
        match step {
            Step::Draft(slot, who) => {
                let honest = honest(who);
                let mut agreement = self.draft(world, slot, Some(&honest))?;
                if !honest.signs(slot, &agreement) {
                    return None;
                }
                self.prepare_signatures(&mut agreement);
                let mut next = world.clone();
                next.agreements[slot] = Some(Arc::new(agreement));
                next.parties[who].signed |= 1 << slot;
                Some(next)
            }
            Step::Sign(slot, who) => {
                if !honest(who).signs(slot, world.agreements[slot].as_ref()?) {
                    return None;
                }
                let mut next = world.clone();
                next.parties[who].signed |= 1 << slot;
                Some(next)
            }
            Step::Complete(slot, who) => {
                if !honest(who).completes(slot, world.agreements[slot].as_ref()?) {
                    return None;
                }
                let mut next = world.clone();
                next.parties[who].complete |= 1 << slot;
                Some(next)
            }
            Step::Publish(slot) => self.publish(world, slot, false, None),
            Step::Forge(slot) => self.publish(world, slot, true, None),
            Step::PublishPart(slot, left_out) => self.publish(world, slot, false, Some(left_out)),
            Step::Dispute(channel, then) => {
                self.dispute(world, channel, then, self.channels[channel].owners.parties[0])
            }
            Step::DisputeAsStranger(channel) => self.dispute(world, channel, Resolution::Settle, account('S')),
            Step::Lift(channel, version) => self.lift(world, channel, version, 0),
            Step::LiftWithWrongSum(channel) if self.is_foreign(channel) => self.lift(world, channel, 1, 1),
            Step::LiftWithWrongSum(_) => None,
            Step::Close(channel) => self.close(world, channel),
            Step::Settle => self.settle(world),
            Step::Tick => self.tick(world),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(PROMISES, |scenario: &Scenario, world: &World| scenario.broken(world).is_none())]
    }
}

/// All of [`Promise`], in every state.
pub const PROMISES: &str = "every promise is kept";

fn creation_entry(tpc: TpcId) -> Entry {
    Entry { tpc, epoch: 0, version: 0, balances: [TOTAL, 0] }
}
