//! What a sequence is made of: steps that become calls only when it is known what there is to call about.

use crate::{
    model::{held, Call, Sent},
    Run, NOBODY, PAIRS, USERS,
};
use braid::keys::Native;
use devchain::UNIT;
use proptest::{prelude::*, sample::Index};
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DisputeMpc, DisputeTpc, JoinMpc, LeaveMpc, SettleMpc,
        SettleTpc, SplitTpc, TopUpTpc, UpdateMpc, UpdateTpc, Withdraw, WithdrawTpc,
    },
    state::{MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    AccountId, Action, Balance, Entry, Mpc, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, MpcUpdate, Owners,
    PartySignature, Signature, Timestamp, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal, Window,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Lets time pass.
    Wait,
    WaitForDeadline,
    /// Sends what was withheld or has been sent before.
    Bring,
    Deposit,
    Withdraw,
    CreateTpc,
    UpdateTpc,
    CloseTpc,
    TopUpTpc,
    WithdrawTpc,
    SplitTpc,
    DisputeTpc,
    SettleTpc,
    CreateMpc,
    UpdateMpc,
    CloseMpc,
    JoinMpc,
    LeaveMpc,
    DisputeMpc,
    SettleMpc,
}

macro_rules! flaws {
    ($($flaw:ident),* $(,)?) => {
        /// What is unusual about a call, if anything. Some do not apply to some calls, and a few do no harm: the model
        /// judges.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Flaw {
            None,
            $($flaw),*
        }

        const FLAWS: &[Flaw] = &[$(Flaw::$flaw),*];
    };
}

flaws!(
    WrongSigner,
    MissingSigner,
    ForeignParty,
    DuplicateParty,
    OtherDomain,
    OtherAction,
    EqualVersion,
    EarlierEpoch,
    LaterEpoch,
    BrokenSum,
    Overflow,
    DuplicateTpc,
    Unsorted,
    NoEntries,
    UnknownTpc,
    TpcLeftOut,
    TooManyParts,
    Expired,
    LastMoment,
    ShortWindow,
    LongWindow,
    LongestWindow,
    Stranger,
    Uninvited,
    ProofMissing,
    ProofWrong,
    ProofUnneeded,
);

use Flaw::*;

#[derive(Clone, Debug)]
pub struct Step {
    pub kind: Kind,
    pub flaw: Flaw,
    /// Which user, pair, channel, group or earlier call.
    pub at: Index,
    /// Which channels of several, and whatever else is left to chance.
    pub mask: u8,
    /// Whether `at` chooses among those of which the action makes sense, or among all.
    pub apt: bool,
    pub amounts: [Balance; 2],
    /// How long a dispute may be answered, or how long to wait, in ms.
    pub time: Window,
    /// Whether the call is kept for later.
    pub withheld: bool,
}

pub fn step() -> impl Strategy<Value = Step> {
    use Kind::*;
    let kinds = [
        (4, Wait),
        (6, WaitForDeadline),
        (8, Bring),
        (2, Deposit),
        (2, Withdraw),
        (6, CreateTpc),
        (6, UpdateTpc),
        (2, CloseTpc),
        (4, TopUpTpc),
        (4, WithdrawTpc),
        (6, SplitTpc),
        (7, DisputeTpc),
        (5, SettleTpc),
        (12, CreateMpc),
        (14, UpdateMpc),
        (5, CloseMpc),
        (6, JoinMpc),
        (6, LeaveMpc),
        (8, DisputeMpc),
        (5, SettleMpc),
    ];
    let kinds: Vec<_> = kinds.into_iter().flat_map(|(weight, kind)| vec![kind; weight]).collect();
    // What an account that does not exist cannot receive is below the existential deposit, UNIT / 1000.
    let amount = || prop_oneof![6 => 0..6 * UNIT, 1 => 0..UNIT / 500, 1 => Just(0)];
    let flaw = prop_oneof![1 => Just(None), 1 => proptest::sample::select(FLAWS.to_vec())];
    let time = prop_oneof![1 => Just(MIN_WINDOW), 1 => (0..=30u64).prop_map(|s| MIN_WINDOW + s * 1_000)];
    let rare = proptest::bool::weighted(0.12);
    let apt = proptest::bool::weighted(0.8);
    let kind = proptest::sample::select(kinds);
    (kind, flaw, any::<Index>(), any::<u8>(), apt, [amount(), amount()], time, rare).prop_map(
        |(kind, flaw, at, mask, apt, amounts, time, withheld)| Step {
            kind,
            flaw,
            at,
            mask,
            apt,
            amounts,
            time,
            withheld,
        },
    )
}

impl Step {
    pub fn good(kind: Kind) -> Self {
        let amounts = [UNIT, UNIT];
        let at = first();
        Self { kind, flaw: None, at, mask: u8::MAX, apt: true, amounts, time: MIN_WINDOW, withheld: false }
    }

    pub fn pick<T: Clone>(&self, all: &[T]) -> Option<T> {
        all.get(self.at.index(all.len().max(1))).cloned()
    }

    /// One of `all` that fits or, now and then, any.
    fn choose<K: Copy, V: Clone>(&self, all: &BTreeMap<K, V>, fits: impl Fn(&K, &V) -> bool) -> Option<(K, V)> {
        let chosen: Vec<_> = all.iter().filter(|(key, value)| !self.apt || fits(key, value)).collect();
        self.pick(&chosen).map(|(key, value)| (*key, value.clone()))
    }

    fn masked<T>(&self, all: impl Iterator<Item = T>) -> Vec<T> {
        all.enumerate().filter(|(index, _)| self.mask >> (index % 8) & 1 == 1).map(|(_, item)| item).collect()
    }

    fn window(&self) -> Window {
        match self.flaw {
            ShortWindow => MIN_WINDOW - 1,
            LongWindow => MAX_WINDOW + 1,
            LongestWindow => MAX_WINDOW,
            _ => self.time,
        }
    }

    /// A next state of the channel in its epoch.
    fn next(&self, id: TpcId, tpc: &Tpc) -> Entry {
        let there = self.amounts[0].min(tpc.balances[0]);
        let back = self.amounts[1].min(tpc.balances[1]);
        let balances = [tpc.balances[0] - there + back, tpc.balances[1] - back + there];
        let ahead = 1 + u64::from(self.mask >> 6);
        self.flawed(Entry { tpc: id, epoch: tpc.epoch, version: tpc.version + ahead, balances }, tpc)
    }

    /// The first state of the channel's next epoch.
    fn snapshot(&self, id: TpcId, tpc: &Tpc, balances: [Balance; 2]) -> Entry {
        self.flawed(Entry { tpc: id, epoch: tpc.epoch + 1, version: 0, balances }, tpc)
    }

    fn flawed(&self, entry: Entry, tpc: &Tpc) -> Entry {
        let [first, second] = entry.balances;
        match self.flaw {
            EqualVersion => Entry { epoch: tpc.epoch, version: tpc.version, ..entry },
            EarlierEpoch => Entry { epoch: tpc.epoch.saturating_sub(1), ..entry },
            LaterEpoch => Entry { epoch: entry.epoch + 1, ..entry },
            BrokenSum => Entry { balances: [first + 1, second], ..entry },
            // Added without care, this sums to the total.
            Overflow => Entry { balances: [Balance::MAX, first + second + 1], ..entry },
            UnknownTpc => Entry { tpc: TpcId([entry.tpc.0[0]; 32]), ..entry },
            _ => entry,
        }
    }

    fn listed<T: Copy>(&self, entries: &mut Vec<T>) {
        match self.flaw {
            DuplicateTpc => entries.extend(entries.last().copied()),
            Unsorted => entries.reverse(),
            NoEntries => entries.clear(),
            TpcLeftOut => {
                entries.pop();
            }
            _ => {}
        }
    }
}

impl Run {
    /// The call that a step stands for, if there is anything to call about.
    pub fn build(&mut self, step: &Step) -> Option<Sent> {
        // Anyone may bring what others signed.
        let by = step.mask as usize % NOBODY;
        let unsigned = |by: usize, value: Balance, call: Call| Some(Sent { by, value, call, sound: true });
        let signed = |(call, sound): (Call, bool)| Some(Sent { by, value: 0, call, sound });
        match step.kind {
            Kind::Wait | Kind::WaitForDeadline | Kind::Bring => Option::None,
            Kind::Deposit => unsigned(by, step.amounts[0], Call::Deposit(Deposit {})),
            Kind::Withdraw => {
                let amount = if step.flaw == Overflow { Balance::MAX } else { step.amounts[0] };
                unsigned(by, 0, Call::Withdraw(Withdraw { amount }))
            }
            Kind::DisputeTpc => {
                let now = self.now();
                let (id, tpc) = step.choose(&self.model.tpcs, |id, _| self.model.calm(*id, now).is_some())?;
                unsigned(self.owner(&tpc, step), 0, Call::DisputeTpc(DisputeTpc { id: self.id(id, step) }))
            }
            Kind::SettleTpc => {
                let (id, tpc) = step.choose(&self.model.tpcs, |_, tpc| tpc.deadline.is_some())?;
                self.wait_for(tpc.deadline, step);
                unsigned(by, 0, Call::SettleTpc(SettleTpc { id: self.id(id, step) }))
            }
            Kind::DisputeMpc => self.dispute_mpc(step),
            Kind::SettleMpc => {
                let (id, mpc) = step.choose(&self.model.mpcs, |_, mpc| mpc.deadline.is_some())?;
                self.wait_for(mpc.deadline, step);
                unsigned(by, 0, Call::SettleMpc(SettleMpc { id }))
            }
            Kind::CreateTpc => signed(self.create_tpc(step)),
            Kind::UpdateTpc => {
                let (id, tpc) = self.alone(step)?;
                let entry = step.next(id, &tpc);
                let (signatures, sound) = self.both(&tpc.parties, Action::UpdateTpc(&entry), step.flaw);
                signed((Call::UpdateTpc(UpdateTpc { entry, signatures }), sound))
            }
            Kind::CloseTpc => {
                let (id, tpc) = self.alone(step)?;
                let close = TpcClose { last: step.next(id, &tpc), valid_until: self.valid_until(step.flaw) };
                let (signatures, sound) = self.both(&tpc.parties, Action::CloseTpc(&close), step.flaw);
                signed((Call::CloseTpc(CloseTpc { close, signatures }), sound))
            }
            Kind::TopUpTpc => {
                let (id, tpc) = self.alone(step)?;
                let added = if step.flaw == NoEntries { [0, 0] } else { step.amounts };
                let [first, second] = tpc.balances;
                let snapshot = step.snapshot(id, &tpc, [first + added[0], second + added[1]]);
                let top_up = TpcTopUp { snapshot, added, valid_until: self.valid_until(step.flaw) };
                let (signatures, sound) = self.both(&tpc.parties, Action::TopUpTpc(&top_up), step.flaw);
                signed((Call::TopUpTpc(TopUpTpc { top_up, signatures }), sound))
            }
            Kind::WithdrawTpc => {
                let (id, tpc) = self.alone(step)?;
                let [first, second] = tpc.balances;
                let amounts = match step.flaw {
                    NoEntries => [0, 0],
                    Overflow => [Balance::MAX, 1],
                    _ => [step.amounts[0].min(first), step.amounts[1].min(second)],
                };
                let rest = [first.wrapping_sub(amounts[0]), second.wrapping_sub(amounts[1])];
                let snapshot = match step.flaw {
                    Overflow => Entry { tpc: id, epoch: tpc.epoch + 1, version: 0, balances: rest },
                    _ => step.snapshot(id, &tpc, rest),
                };
                let withdrawal = TpcWithdrawal { snapshot, amounts, valid_until: self.valid_until(step.flaw) };
                let (signatures, sound) = self.both(&tpc.parties, Action::WithdrawTpc(&withdrawal), step.flaw);
                signed((Call::WithdrawTpc(WithdrawTpc { withdrawal, signatures }), sound))
            }
            Kind::SplitTpc => self.split_tpc(step).and_then(signed),
            Kind::CreateMpc => {
                let (mut entries, owners) = self.entering(step);
                step.listed(&mut entries);
                let (window, valid_until) = (step.window(), self.valid_until(step.flaw));
                let creation = MpcCreation { entries, window, valid_until };
                let (signatures, sound) = self.all(&owners, Action::CreateMpc(&creation), step.flaw);
                signed((Call::CreateMpc(CreateMpc { creation, signatures }), sound))
            }
            Kind::JoinMpc => self.join_mpc(step).and_then(signed),
            Kind::UpdateMpc => self.update_mpc(step).and_then(signed),
            Kind::CloseMpc => {
                let (mpc, members) = self.group(step)?;
                let (entries, owners) = self.leaving(step, &members);
                let close = MpcClose { mpc, entries, valid_until: self.valid_until(step.flaw) };
                let (signatures, sound) = self.all(&owners, Action::CloseMpc(&close), step.flaw);
                signed((Call::CloseMpc(CloseMpc { close, signatures }), sound))
            }
            Kind::LeaveMpc => {
                let (mpc, members) = self.group(step)?;
                let (entries, owners) = self.leaving(step, &step.masked(members.into_iter()));
                let leave = MpcLeave { mpc, entries, valid_until: self.valid_until(step.flaw) };
                let (signatures, sound) = self.all(&owners, Action::LeaveMpc(&leave), step.flaw);
                signed((Call::LeaveMpc(LeaveMpc { leave, signatures }), sound))
            }
        }
    }

    /// Lets time pass until a deadline, a moment before, or a moment after it.
    pub fn wait_for(&mut self, deadline: Option<Timestamp>, step: &Step) {
        let moment = deadline.map(|deadline| deadline - 1 + u64::from(step.mask % 3));
        self.wait(moment.unwrap_or_default().saturating_sub(self.now()));
    }

    /// Answers a dispute when it is nearly too late, now and then.
    fn hesitate(&mut self, deadline: Option<Timestamp>, step: &Step) {
        if step.mask % 4 == 1 {
            self.wait_for(deadline, step);
        }
    }

    fn create_tpc(&self, step: &Step) -> (Call, bool) {
        let users = PAIRS[step.at.index(PAIRS.len())];
        let mut parties = users.map(|user| self.account(user));
        let created = self.model.nonces.get(&parties).copied().unwrap_or_default();
        let (mut nonce, mut balances) = (created, step.amounts);
        match step.flaw {
            Unsorted => parties.reverse(),
            DuplicateParty => parties[1] = parties[0],
            EarlierEpoch => nonce = created.wrapping_sub(1),
            LaterEpoch => nonce += 1,
            Overflow => balances = [Balance::MAX, 1],
            NoEntries => balances = [0, 0],
            // Nobody has nothing to put in.
            _ if users.contains(&NOBODY) && step.apt => balances[1] = 0,
            _ => {}
        }
        let (window, valid_until) = (step.window(), self.valid_until(step.flaw));
        let creation = TpcCreation { parties, nonce, balances, window, valid_until };
        let (signatures, sound) = self.both(&parties, Action::CreateTpc(&creation), step.flaw);
        (Call::CreateTpc(CreateTpc { creation, signatures }), sound)
    }

    fn split_tpc(&mut self, step: &Step) -> Option<(Call, bool)> {
        let now = self.now();
        // Every other time one that is split already is divided anew.
        let whole = |id: &TpcId| self.known[id].part.is_none() && self.model.answerable(*id, now).is_some();
        let again = step.mask & 16 == 16 && self.model.tpcs.values().any(|tpc| tpc.split.is_some());
        let (id, tpc) = step.choose(&self.model.tpcs, |id, tpc| whole(id) && (!again || tpc.split.is_some()))?;
        self.hesitate(tpc.deadline, step);
        let others = self.model.parts(id);
        let total = held(&tpc) + others.iter().map(|part| held(&self.model.tpcs[part])).sum::<Balance>();
        let count = match step.flaw {
            TooManyParts => MAX_PARTS + 1,
            _ if step.mask >= 240 => MAX_PARTS,
            _ => 1 + usize::from(step.mask % 4),
        };
        let each = (total / count as Balance).min(step.amounts[0] + 1);
        let mut parts = vec![[each / 3, each - each / 3]; count];
        let rest = total - each * (count as Balance - 1);
        parts[0] = [rest / 2, rest - rest / 2];
        match step.flaw {
            BrokenSum => parts[0][0] += 1,
            Overflow => parts[0] = [Balance::MAX, rest + 1],
            NoEntries => parts.clear(),
            _ => {}
        }
        let latest = others.iter().map(|part| self.model.tpcs[part].epoch).fold(tpc.epoch, u32::max);
        let epoch = match step.flaw {
            EqualVersion => latest,
            // Later for the first part, not for all.
            EarlierEpoch => tpc.epoch + 1,
            LaterEpoch => latest + 2,
            _ => latest + 1,
        };
        let split = TpcSplit { tpc: self.id(id, step), epoch, parts };
        let (signatures, sound) = self.both(&tpc.parties, Action::SplitTpc(&split), step.flaw);
        Some((Call::SplitTpc(SplitTpc { split, signatures }), sound))
    }

    fn join_mpc(&mut self, step: &Step) -> Option<(Call, bool)> {
        let (mpc, members) = self.group(step)?;
        let (mut entries, owners) = self.entering(step);
        step.listed(&mut entries);
        let invites = |tpc: &Tpc| tpc.parties.iter().any(|party| owners.contains(party));
        let member = match step.flaw {
            Uninvited => members.iter().find(|(_, tpc)| !invites(tpc)).or(members.first())?.0,
            UnknownTpc => TpcId([7; 32]),
            // A channel that is not in the group, even though its owners sign.
            ForeignParty => entries.first()?.tpc,
            _ => members.iter().find(|(_, tpc)| invites(tpc)).or(members.first())?.0,
        };
        let join = MpcJoin { mpc, member, entries, valid_until: self.valid_until(step.flaw) };
        let (signatures, sound) = self.all(&owners, Action::JoinMpc(&join), step.flaw);
        Some((Call::JoinMpc(JoinMpc { join, signatures }), sound))
    }

    fn update_mpc(&mut self, step: &Step) -> Option<(Call, bool)> {
        let (mpc, members) = self.group(step)?;
        let touched = step.masked(members.into_iter());
        let mut entries: Vec<_> = touched.iter().map(|(id, tpc)| step.next(*id, tpc)).collect();
        let mut owners: BTreeSet<_> = touched.iter().flat_map(|(_, tpc)| tpc.parties).collect();
        // What has moved on, left or ended since is passed over.
        if step.mask & 8 == 8 {
            if let [first, _, ..] = entries.as_mut_slice() {
                first.version = first.version.saturating_sub(4);
            }
        }
        if step.mask & 4 == 4 {
            let elsewhere = |id: &TpcId| self.model.tpcs.get(id).is_none_or(|tpc| tpc.mpc != Some(mpc));
            let chosen = step.choose(&self.known, |id, _| elsewhere(id) && self.ever.contains(id));
            if let Some((tpc, of)) = chosen.filter(|(id, _)| elsewhere(id)) {
                let (epoch, version) = (u32::from(step.mask % 3), u64::from(step.mask % 5));
                entries.push(Entry { tpc, epoch, version, balances: step.amounts });
                owners.extend(of.parties);
            }
        }
        entries.sort_by_key(|entry| entry.tpc);
        step.listed(&mut entries);
        let gone = self.proofs(&entries, step.flaw);
        let update = MpcUpdate { mpc, entries };
        let (signatures, sound) = self.all(&owners, Action::UpdateMpc(&update), step.flaw);
        Some((Call::UpdateMpc(UpdateMpc { update, signatures, gone }), sound))
    }

    fn dispute_mpc(&mut self, step: &Step) -> Option<Sent> {
        let (id, members) = self.group(step)?;
        let (member, tpc) = step.pick(&members)?;
        let by = self.owner(&tpc, step);
        let caller = self.account(by);
        let own = members.iter().filter(|(_, tpc)| tpc.parties.contains(&caller) || step.flaw == ForeignParty);
        let mut exits = step.masked(own.map(|(id, _)| *id));
        step.listed(&mut exits);
        if step.flaw == UnknownTpc {
            exits.extend(self.model.tpcs.iter().find(|(_, tpc)| tpc.mpc != Some(id)).map(|(id, _)| *id));
        }
        let member = if step.flaw == Uninvited { TpcId([7; 32]) } else { member };
        Some(Sent { by, value: 0, call: Call::DisputeMpc(DisputeMpc { id, member, exits }), sound: true })
    }

    /// The proofs that an update over `entries` needs now.
    pub fn proofs(&self, entries: &[Entry], flaw: Flaw) -> Vec<Owners> {
        let gone = entries.iter().filter(|entry| !self.model.tpcs.contains_key(&entry.tpc));
        let mut proofs: Vec<_> = gone.filter_map(|entry| self.known.get(&entry.tpc).copied()).collect();
        match flaw {
            ProofMissing => {
                proofs.pop();
            }
            ProofWrong => proofs.iter_mut().for_each(|proof| proof.nonce += 1),
            ProofUnneeded => proofs.splice(0..0, self.known.values().take(2).copied()).for_each(drop),
            Unsorted => proofs.reverse(),
            _ => {}
        }
        proofs
    }

    fn id(&self, id: TpcId, step: &Step) -> TpcId {
        if step.flaw == UnknownTpc {
            TpcId([id.0[0]; 32])
        } else {
            id
        }
    }

    fn alone(&mut self, step: &Step) -> Option<(TpcId, Tpc)> {
        let now = self.now();
        let urgent = step.mask & 16 == 16 && self.model.tpcs.values().any(|tpc| tpc.deadline >= Some(now));
        let (id, tpc) = step.choose(&self.model.tpcs, |id, tpc| {
            self.model.answerable(*id, now).is_some() && (!urgent || tpc.deadline.is_some())
        })?;
        self.hesitate(tpc.deadline, step);
        Some((id, tpc))
    }

    fn group(&mut self, step: &Step) -> Option<(MpcId, Vec<(TpcId, Tpc)>)> {
        let now = self.now();
        let urgent = step.mask & 16 == 16 && self.model.mpcs.values().any(|mpc| mpc.deadline >= Some(now));
        let (mpc, Mpc { deadline, .. }) = step
            .choose(&self.model.mpcs, |id, mpc| self.model.stands(*id, now) && (!urgent || mpc.deadline.is_some()))?;
        self.hesitate(deadline, step);
        let members = self.model.tpcs.iter().filter(|(_, tpc)| tpc.mpc == Some(mpc));
        Some((mpc, members.map(|(id, tpc)| (*id, tpc.clone())).collect()))
    }

    fn entering(&self, step: &Step) -> (Vec<Entry>, BTreeSet<AccountId>) {
        let now = self.now();
        let apt = self.model.tpcs.iter().filter(|(id, _)| !step.apt || self.model.calm(**id, now).is_some());
        let chosen = step.masked(apt);
        let entries = chosen.iter().map(|(id, tpc)| step.snapshot(**id, tpc, tpc.balances)).collect();
        (entries, chosen.iter().flat_map(|(_, tpc)| tpc.parties).collect())
    }

    fn leaving(&self, step: &Step, members: &[(TpcId, Tpc)]) -> (Vec<Entry>, BTreeSet<AccountId>) {
        let mut entries: Vec<_> = members.iter().map(|(id, tpc)| step.next(*id, tpc)).collect();
        step.listed(&mut entries);
        (entries, members.iter().flat_map(|(_, tpc)| tpc.parties).collect())
    }

    /// An owner who can send, or a stranger.
    fn owner(&self, tpc: &Tpc, step: &Step) -> usize {
        let wanted = |user: &usize| tpc.parties.contains(&self.account(*user)) != (step.flaw == Stranger);
        let users: Vec<_> = (0..NOBODY).filter(wanted).collect();
        users[usize::from(step.mask) % users.len()]
    }

    fn valid_until(&self, flaw: Flaw) -> Timestamp {
        match flaw {
            Expired => self.now() - 1,
            LastMoment => self.now(),
            // A replay must fail for a better reason than that it is late.
            _ => Timestamp::MAX,
        }
    }

    fn both(&self, parties: &[AccountId; 2], action: Action, flaw: Flaw) -> ([Signature; 2], bool) {
        let flaw = if matches!(flaw, MissingSigner | ForeignParty) { WrongSigner } else { flaw };
        let sign = |index: usize| self.sign(index, &parties[index], action, flaw);
        (std::array::from_fn(sign), sound(flaw))
    }

    /// The signatures of an action, and whether each is what it pretends to be.
    fn all(&self, owners: &BTreeSet<AccountId>, action: Action, flaw: Flaw) -> (Vec<PartySignature>, bool) {
        let mut owners = owners.clone();
        match flaw {
            MissingSigner => {
                owners.pop_first();
            }
            ForeignParty => {
                owners.extend((0..USERS).map(|user| self.account(user)).find(|account| !owners.contains(account)));
            }
            _ => {}
        }
        let sign = |(index, party): (usize, &AccountId)| PartySignature {
            party: *party,
            signature: self.sign(index, party, action, flaw),
        };
        let mut signed: Vec<_> = owners.iter().enumerate().map(sign).collect();
        match flaw {
            DuplicateParty => signed.extend(signed.last().copied()),
            Unsorted => signed.reverse(),
            _ => {}
        }
        (signed, sound(flaw))
    }

    fn sign(&self, index: usize, party: &AccountId, action: Action, flaw: Flaw) -> Signature {
        let mut domain = self.bench.domain;
        if flaw == OtherDomain {
            domain.contract = *party;
        }
        let payload = match flaw {
            OtherAction => sibling(action, |action| action.payload(&Native, &domain)),
            _ => action.payload(&Native, &domain),
        };
        let user = (0..USERS).find(|user| self.account(*user) == *party).unwrap();
        let signer = if flaw == WrongSigner && index == 0 { (user + 1) % USERS } else { user };
        self.bench.users[signer].sign(&payload)
    }
}

fn sound(flaw: Flaw) -> bool {
    !matches!(flaw, WrongSigner | OtherDomain | OtherAction)
}

/// Another action about the very same, as like to this one as there is.
fn sibling<T>(action: Action, sign: impl FnOnce(Action) -> T) -> T {
    let valid_until = Timestamp::MAX;
    match action {
        Action::UpdateTpc(entry) => sign(Action::CloseTpc(&TpcClose { last: *entry, valid_until })),
        Action::CloseTpc(close) => sign(Action::UpdateTpc(&close.last)),
        Action::TopUpTpc(TpcTopUp { snapshot, added, valid_until }) => {
            let (snapshot, amounts, valid_until) = (*snapshot, *added, *valid_until);
            sign(Action::WithdrawTpc(&TpcWithdrawal { snapshot, amounts, valid_until }))
        }
        Action::WithdrawTpc(TpcWithdrawal { snapshot, amounts, valid_until }) => {
            let (snapshot, added, valid_until) = (*snapshot, *amounts, *valid_until);
            sign(Action::TopUpTpc(&TpcTopUp { snapshot, added, valid_until }))
        }
        Action::CloseMpc(MpcClose { mpc, entries, valid_until }) => {
            let (mpc, entries, valid_until) = (*mpc, entries.clone(), *valid_until);
            sign(Action::LeaveMpc(&MpcLeave { mpc, entries, valid_until }))
        }
        Action::LeaveMpc(MpcLeave { mpc, entries, valid_until }) => {
            let (mpc, entries, valid_until) = (*mpc, entries.clone(), *valid_until);
            sign(Action::CloseMpc(&MpcClose { mpc, entries, valid_until }))
        }
        Action::UpdateMpc(MpcUpdate { mpc, entries }) => {
            sign(Action::CloseMpc(&MpcClose { mpc: *mpc, entries: entries.clone(), valid_until }))
        }
        Action::JoinMpc(MpcJoin { entries, valid_until, .. }) => {
            let (entries, valid_until) = (entries.clone(), *valid_until);
            sign(Action::CreateMpc(&MpcCreation { entries, window: MIN_WINDOW, valid_until }))
        }
        Action::CreateTpc(_) | Action::CreateMpc(_) | Action::SplitTpc(_) => {
            let tpc = TpcId([0; 32]);
            sign(Action::UpdateTpc(&Entry { tpc, epoch: 0, version: 0, balances: [0, 0] }))
        }
    }
}

/// Where there is one thing to choose, any index names it.
fn first() -> Index {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    any::<Index>().new_tree(&mut runner).unwrap().current()
}
