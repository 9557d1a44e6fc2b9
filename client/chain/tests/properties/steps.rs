//! What a sequence is made of: steps that become calls only when it is known what there is to call about.

use crate::{
    honest::Honest,
    model::{is_due, sum, Call, Model, Sent},
    Run, NOBODY, PAIRS, USERS,
};
use devchain::UNIT;
use engine::Native;
use proptest::{prelude::*, sample::Index};
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DepositPsp22, DisputeChannels, JoinMpc, LeaveMpc,
        SettleChannels, SplitTpc, TopUpTpc, UpdateAll, UpdateChannels, Withdraw, WithdrawPsp22, WithdrawTpc,
    },
    state::{MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    AccountId, Action, Asset, Balance, Entry, Member, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, Owners,
    PartySignature, Resolution, Signature, SignedUpdate, Timestamp, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit,
    TpcTopUp, TpcWithdrawal, Update, Window,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Lets time pass.
    Wait,
    WaitForDeadline,
    /// Sends what was withheld or has been sent before.
    Bring,
    /// Hands an update with all signatures to the honest accounts that signed it.
    Deliver,
    /// An honest account frees itself of what hangs.
    Free,
    Deposit,
    Withdraw,
    Tokens,
    CreateTpc,
    Update,
    UpdateAll,
    CloseTpc,
    TopUpTpc,
    WithdrawTpc,
    SplitTpc,
    Dispute,
    Settle,
    CreateMpc,
    JoinMpc,
    LeaveMpc,
    CloseMpc,
}

macro_rules! flaws {
    ($($flaw:ident),* $(,)?) => {
        /// What is unusual about a call, if anything. Some do not apply to some calls, and a few do no harm: the model
        /// judges.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Flaw {
            Nothing,
            $($flaw),*
        }

        pub const FLAWS: &[Flaw] = &[$(Flaw::$flaw),*];
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
    OtherAsset,
    WrongCount,
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
    ProofsSwapped,
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
    /// What else is left to chance.
    pub shape: u16,
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
        (7, WaitForDeadline),
        (8, Bring),
        (6, Deliver),
        (4, Free),
        (2, Deposit),
        (2, Withdraw),
        (6, Tokens),
        (5, CreateTpc),
        (30, Update),
        (6, UpdateAll),
        (4, CloseTpc),
        (5, TopUpTpc),
        (5, WithdrawTpc),
        (7, SplitTpc),
        (12, Dispute),
        (7, Settle),
        (9, CreateMpc),
        (9, JoinMpc),
        (9, LeaveMpc),
        (9, CloseMpc),
    ];
    let kinds: Vec<_> = kinds.into_iter().flat_map(|(weight, kind)| vec![kind; weight]).collect();
    // What an account that does not exist cannot receive is below the existential deposit, UNIT / 1000.
    let amount = || prop_oneof![6 => 0..6 * UNIT, 1 => 0..UNIT / 500, 1 => Just(0)];
    let flaw = prop_oneof![2 => Just(Nothing), 1 => proptest::sample::select(FLAWS.to_vec())];
    let time = prop_oneof![1 => Just(MIN_WINDOW), 1 => (0..=30u64).prop_map(|s| MIN_WINDOW + s * 1_000)];
    let rare = proptest::bool::weighted(0.2);
    let apt = proptest::bool::weighted(0.85);
    let kind = proptest::sample::select(kinds);
    let chance = (any::<Index>(), any::<u8>(), any::<u16>());
    (kind, flaw, chance, apt, [amount(), amount()], time, rare).prop_map(
        |(kind, flaw, (at, mask, shape), apt, amounts, time, withheld)| Step {
            kind,
            flaw,
            at,
            mask,
            shape,
            apt,
            amounts,
            time,
            withheld,
        },
    )
}

impl Step {
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

    /// Whether a part of the chance has come out so, once in `of`.
    fn once_in(&self, of: u16, salt: u16) -> bool {
        self.shape.wrapping_mul(2 * salt + 40_503).rotate_left(7).is_multiple_of(of)
    }

    fn window(&self) -> Window {
        match self.flaw {
            ShortWindow => MIN_WINDOW - 1,
            LongWindow => MAX_WINDOW + 1,
            LongestWindow => MAX_WINDOW,
            _ => self.time,
        }
    }

    /// A state of the channel in its epoch, above version `base`.
    fn next(&self, id: TpcId, tpc: &Tpc, base: u64) -> Entry {
        let there = self.amounts[0].min(tpc.balances[0]);
        let back = self.amounts[1].min(tpc.balances[1]);
        let [first, second] = [tpc.balances[0] - there + back, tpc.balances[1] - back + there];
        let version = base + 1 + u64::from(self.mask >> 6);
        let entry = Entry { tpc: id, epoch: tpc.epoch, version, balances: [first, second] };
        match self.flaw {
            EqualVersion => Entry { version: tpc.version, ..entry },
            EarlierEpoch => Entry { epoch: tpc.epoch.wrapping_sub(1), ..entry },
            LaterEpoch => Entry { epoch: tpc.epoch + 1, ..entry },
            BrokenSum => Entry { balances: [first + 1, second], ..entry },
            // Added without care, this sums to the total.
            Overflow => Entry { balances: [Balance::MAX, first + second + 1], ..entry },
            UnknownTpc => Entry { tpc: unknown(id), ..entry },
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

/// Accounts that do not sign what is asked of them.
type Unwilling = BTreeSet<AccountId>;

impl Run {
    /// The call that a step stands for, if there is anything to call about.
    pub fn build(&mut self, step: &Step) -> Option<Sent> {
        // Anyone may bring what others signed.
        let by = step.mask as usize % NOBODY;
        let unsigned = |by: usize, value: Balance, call: Call| Some(Sent { by, value, call, sound: vec![true] });
        match step.kind {
            Kind::Wait | Kind::WaitForDeadline | Kind::Bring | Kind::Deliver => None,
            Kind::Free => self.free(step),
            Kind::Deposit => unsigned(by, step.amounts[0], Call::Deposit(Deposit {})),
            Kind::Withdraw => {
                let amount = if step.flaw == Overflow { Balance::MAX } else { step.amounts[0] };
                unsigned(by, 0, Call::Withdraw(Withdraw { amount }))
            }
            Kind::Tokens => {
                let amount = if step.flaw == Overflow { Balance::MAX } else { step.amounts[0] };
                // What is no token answers nothing.
                let token = if step.flaw == OtherAsset { self.account(by) } else { self.model.token };
                let call = match step.once_in(2, 0) {
                    true => Call::DepositPsp22(DepositPsp22 { token, amount }),
                    false => Call::WithdrawPsp22(WithdrawPsp22 { token, amount }),
                };
                unsigned(by, 0, call)
            }
            Kind::Dispute => self.dispute(step),
            Kind::Settle => self.settlement(step),
            Kind::CreateTpc => Some(self.create_tpc(step)),
            Kind::Update => self.update(step),
            Kind::UpdateAll => self.update_all(step),
            Kind::CloseTpc => self.close_tpc(step),
            Kind::TopUpTpc => self.top_up_tpc(step),
            Kind::WithdrawTpc => self.withdraw_tpc(step),
            Kind::SplitTpc => self.split_tpc(step),
            Kind::CreateMpc => self.create_mpc(step),
            Kind::JoinMpc => self.join_mpc(step),
            Kind::LeaveMpc | Kind::CloseMpc => self.release(step),
        }
    }

    /// Lets time pass until a deadline, a moment before, or a moment after it.
    pub fn wait_for(&mut self, deadline: Option<Timestamp>, step: &Step) {
        let moment = deadline.map(|deadline| deadline - 1 + u64::from(step.mask % 3));
        self.wait(moment.unwrap_or_default().saturating_sub(self.now()));
    }

    /// Answers a dispute when it is nearly too late, now and then.
    fn hesitate(&mut self, tpc: &Tpc, step: &Step) {
        if step.mask % 4 == 1 {
            self.wait_for(tpc.dispute.map(|dispute| dispute.deadline), step);
        }
    }

    /// The honest accounts among the owners are asked to sign; those who do not are answered.
    fn ask(
        &mut self,
        owners: &BTreeSet<AccountId>,
        sign: impl Fn(&mut Honest, &Model, Timestamp) -> bool,
    ) -> Unwilling {
        if !self.honest.iter().any(|honest| owners.contains(&honest.account)) {
            return Unwilling::new();
        }
        let (view, now) = (self.view(), self.now());
        let asked = self.honest.iter_mut().filter(|honest| owners.contains(&honest.account));
        asked.filter_map(|honest| (!sign(honest, &view, now)).then_some(honest.account)).collect()
    }

    /// The version above which every owner that is honest may sign, who knows what it has signed.
    fn base(&self, id: TpcId, tpc: &Tpc) -> u64 {
        let tops = self.honest.iter().filter(|honest| honest.owns(tpc)).map(|honest| honest.top(id, tpc.epoch));
        tops.fold(tpc.version, u64::max)
    }

    fn free(&mut self, step: &Step) -> Option<Sent> {
        let honest = step.pick(&self.honest.iter().map(|honest| honest.account).collect::<Vec<_>>())?;
        let (view, now) = (self.view(), self.now());
        let honest = self.honest.iter().find(|other| other.account == honest)?;
        let hanging = honest.hanging(&view, now);
        let own = view.tpcs.iter().filter(|(_, tpc)| honest.owns(tpc) && tpc.dispute.is_none()).map(|(id, _)| *id);
        // To leave without a reason does no harm either.
        let channel = step.pick(&hanging).or_else(|| step.pick(&own.collect::<Vec<_>>()))?;
        let by = self.user(honest.account);
        let then = if step.once_in(3, 1) { Resolution::Settle } else { Resolution::Renew };
        let call = Call::DisputeChannels(DisputeChannels { channels: vec![channel], then });
        Some(Sent { by, value: 0, call, sound: vec![true] })
    }

    fn create_tpc(&mut self, step: &Step) -> Sent {
        let users = PAIRS[step.at.index(PAIRS.len())];
        let mut parties = users.map(|user| self.account(user));
        let created = self.model.nonces.get(&parties).copied().unwrap_or_default();
        let (mut nonce, mut balances) = (created, step.amounts);
        let by = match step.flaw {
            Stranger => (0..NOBODY).find(|user| !users.contains(user)).unwrap_or_default(),
            _ if step.once_in(2, 2) && users[1] != NOBODY => users[1],
            _ => users[0],
        };
        let value = if step.once_in(2, 3) { balances[usize::from(by == users[1])] } else { 0 };
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
        let asset = match step.flaw {
            OtherAsset => Asset::Psp22(parties[0]),
            _ if step.once_in(3, 19) => Asset::Psp22(self.model.token),
            _ => Asset::Native,
        };
        let (window, valid_until) = (step.window(), self.valid_until(step, false));
        let creation = TpcCreation { parties, nonce, asset, balances, window, valid_until };
        let (signatures, sound) = self.both(&parties, &Unwilling::new(), Action::CreateTpc(&creation), step.flaw);
        let call = Call::CreateTpc(CreateTpc { creation, signatures });
        Sent { by, value, call, sound: vec![sound] }
    }

    fn update(&mut self, step: &Step) -> Option<Sent> {
        let (signed, sound) = self.draft(step)?;
        let SignedUpdate { update, owners, signatures } = signed;
        let by = step.mask as usize % NOBODY;
        let call = Call::UpdateChannels(UpdateChannels { update, owners, signatures });
        Some(Sent { by, value: 0, call, sound: vec![sound] })
    }

    /// An update as it is sent. If every owner has signed, it is handed to the honest ones at once, or later, or never.
    fn draft(&mut self, step: &Step) -> Option<(SignedUpdate, bool)> {
        let (view, now) = (self.view(), self.now());
        let late = step.once_in(3, 4);
        let fits = |tpc: &Tpc| !is_due(tpc, now) && (late || tpc.dispute.is_none());
        let candidates: Vec<_> = view.tpcs.iter().filter(|(_, tpc)| !step.apt || fits(tpc)).collect();
        let start = step.at.index(candidates.len().max(1));
        let (count, stride) = (1 + usize::from(step.shape % 4), 1 + usize::from(step.shape >> 2 & 3));
        let among =
            (0..count.min(candidates.len())).map(|index| candidates[(start + index * stride) % candidates.len()]);
        let mut chosen: BTreeMap<TpcId, Tpc> = among.map(|(id, tpc)| (*id, *tpc)).collect();
        if step.apt {
            let tpcs = chosen.keys().copied().collect();
            let beside = self.honest.iter().map(|honest| honest.in_flight_beside(&tpcs, &view, now));
            let beside = beside.flat_map(BTreeMap::into_keys).collect::<BTreeSet<_>>();
            chosen.extend(beside.into_iter().filter_map(|id| Some((id, *view.tpcs.get(&id)?))));
        }
        if let Some(tpc) = chosen.values().next() {
            let tpc = *tpc;
            self.hesitate(&tpc, step);
        }
        let odd = step.at.index(chosen.len().max(1));
        let sane = Step { flaw: Nothing, ..step.clone() };
        let mut entries: Vec<_> = chosen
            .iter()
            .enumerate()
            .map(|(index, (id, tpc))| {
                // One odd entry among good ones tells more than all of them together.
                let step = if index == odd || step.once_in(4, 5) { step } else { &sane };
                step.next(*id, tpc, self.base(*id, tpc))
            })
            .collect();
        let mut owners: BTreeSet<_> = chosen.values().flat_map(|tpc| tpc.owners.parties).collect();
        // What has moved on or ended since is passed over, or makes the update void.
        if step.once_in(6, 6) {
            if let [first, _, ..] = entries.as_mut_slice() {
                first.version = first.version.saturating_sub(4);
            }
        }
        if step.once_in(6, 7) {
            let elsewhere = step.choose(&self.known, |id, _| !view.tpcs.contains_key(id) && self.ever.contains(id));
            if let Some((tpc, of)) = elsewhere.filter(|(id, _)| !chosen.contains_key(id)) {
                let (epoch, version) = (u32::from(step.mask % 3), u64::from(step.mask % 5));
                entries.push(Entry { tpc, epoch, version, balances: step.amounts });
                owners.extend(of.parties);
            }
        }
        entries.sort_by_key(|entry| entry.tpc);
        step.listed(&mut entries);
        let update = Update { entries };
        let unwilling = self.ask(&owners, |honest, view, now| honest.sign(&update, view, now));
        if !unwilling.is_empty() && !step.once_in(4, 8) {
            return None;
        }
        let owned = self.proofs(&update.entries);
        if unwilling.is_empty() {
            let needed = update.entries.iter().filter_map(|entry| self.known.get(&entry.tpc));
            let needed = needed.flat_map(|owners| owners.parties).collect();
            let (signatures, _) = self.all(&needed, &unwilling, Action::Update(&update), Nothing);
            let signed = SignedUpdate { update: update.clone(), owners: owned.clone(), signatures };
            self.deliver(&signed, |index| step.shape >> (3 * index) & 7 < 5);
            self.pool.push(signed);
        }
        let (signatures, sound) = self.all(&owners, &unwilling, Action::Update(&update), step.flaw);
        let mut proofs = owned;
        match step.flaw {
            ProofMissing => {
                proofs.pop();
            }
            ProofWrong => proofs.iter_mut().for_each(|proof| proof.window += 1),
            ProofUnneeded => proofs.extend(self.known.values().next()),
            ProofsSwapped => proofs.reverse(),
            _ => {}
        }
        Some((SignedUpdate { update, owners: proofs, signatures }, sound))
    }

    fn update_all(&mut self, step: &Step) -> Option<Sent> {
        let mut updates = vec![];
        if step.once_in(2, 9) {
            updates.extend(self.draft(step));
        }
        for index in 0..usize::from(step.mask % 4) {
            let earlier = self.pool.len().checked_sub(1 + (step.at.index(7) + index) % self.pool.len().max(1));
            updates.extend(earlier.map(|earlier| (self.pool[earlier].clone(), true)));
        }
        if step.flaw == DuplicateTpc {
            updates.extend(updates.last().cloned());
        }
        if step.flaw == NoEntries {
            updates.clear();
        }
        let (updates, sound) = updates.into_iter().unzip();
        Some(Sent { by: step.mask as usize % NOBODY, value: 0, call: Call::UpdateAll(UpdateAll { updates }), sound })
    }

    fn close_tpc(&mut self, step: &Step) -> Option<Sent> {
        let (id, tpc) = self.ending(step, true)?;
        let last = step.next(id, &tpc, self.base(id, &tpc));
        let close = TpcClose { last, valid_until: self.valid_until(step, self.is_honest(&tpc)) };
        let unwilling = self.agree(&tpc, "close_tpc", &[last], close.valid_until);
        let (signatures, sound) = self.both(&tpc.owners.parties, &unwilling, Action::CloseTpc(&close), step.flaw);
        self.brought(step, &tpc, &unwilling, Call::CloseTpc(CloseTpc { close, signatures }), sound)
    }

    fn top_up_tpc(&mut self, step: &Step) -> Option<Sent> {
        let (id, tpc) = self.ending(step, false)?;
        let last = step.next(id, &tpc, self.base(id, &tpc));
        let added = match step.flaw {
            NoEntries => [0, 0],
            Overflow if step.once_in(2, 10) => [Balance::MAX, 1],
            _ => step.amounts,
        };
        let top_up = TpcTopUp { last, added, valid_until: self.valid_until(step, self.is_honest(&tpc)) };
        let unwilling = self.agree(&tpc, "top_up_tpc", &[last], top_up.valid_until);
        let (signatures, sound) = self.both(&tpc.owners.parties, &unwilling, Action::TopUpTpc(&top_up), step.flaw);
        self.brought(step, &tpc, &unwilling, Call::TopUpTpc(TopUpTpc { top_up, signatures }), sound)
    }

    fn withdraw_tpc(&mut self, step: &Step) -> Option<Sent> {
        let (id, tpc) = self.ending(step, false)?;
        let last = step.next(id, &tpc, self.base(id, &tpc));
        let [first, second] = last.balances;
        let amounts = match step.flaw {
            NoEntries => [0, 0],
            Overflow => [Balance::MAX, 1],
            TpcLeftOut => [first + 1, 0],
            _ => [step.amounts[1].min(first), step.amounts[0].min(second)],
        };
        let withdrawal = TpcWithdrawal { last, amounts, valid_until: self.valid_until(step, self.is_honest(&tpc)) };
        let unwilling = self.agree(&tpc, "withdraw_tpc", &[last], withdrawal.valid_until);
        let action = Action::WithdrawTpc(&withdrawal);
        let (signatures, sound) = self.both(&tpc.owners.parties, &unwilling, action, step.flaw);
        self.brought(step, &tpc, &unwilling, Call::WithdrawTpc(WithdrawTpc { withdrawal, signatures }), sound)
    }

    fn split_tpc(&mut self, step: &Step) -> Option<Sent> {
        let (id, tpc) = self.ending(step, false)?;
        let view = self.view();
        let alike = |other: &Tpc| match step.flaw {
            ForeignParty => true,
            OtherAsset => other.owners.parties == tpc.owners.parties,
            _ => {
                let free = other.mpc.is_none() && other.dispute.is_none();
                free && (other.owners.parties, other.owners.asset) == (tpc.owners.parties, tpc.owners.asset)
            }
        };
        let others = view.tpcs.iter().filter(|(other, tpc)| **other != id && alike(tpc));
        let others = if step.once_in(2, 11) { step.masked(others) } else { vec![] };
        let merged: Vec<_> = [(&id, &tpc)].into_iter().chain(others).take(MAX_PARTS).collect();
        let mut last: Vec<_> = merged.iter().map(|(id, tpc)| step.next(**id, tpc, self.base(**id, tpc))).collect();
        match step.flaw {
            DuplicateTpc => last.extend(last.last().copied()),
            NoEntries if step.once_in(2, 12) => last.clear(),
            TooManyParts if step.once_in(2, 12) => last.extend(vec![last[0]; MAX_PARTS]),
            _ => {}
        }
        let total = merged.iter().filter_map(|(_, tpc)| sum(tpc.balances)).sum::<Balance>();
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
            TpcLeftOut => parts[0][0] += 1,
            Overflow if step.once_in(2, 12) => parts[0] = [Balance::MAX, rest + 1],
            NoEntries => parts.clear(),
            _ => {}
        }
        let split = TpcSplit { last, parts, valid_until: self.valid_until(step, self.is_honest(&tpc)) };
        let unwilling = self.agree(&tpc, "split_tpc", &split.last, split.valid_until);
        let (signatures, sound) = self.both(&tpc.owners.parties, &unwilling, Action::SplitTpc(&split), step.flaw);
        self.brought(step, &tpc, &unwilling, Call::SplitTpc(SplitTpc { split, signatures }), sound)
    }

    fn agree(&mut self, tpc: &Tpc, call: &'static str, last: &[Entry], valid_until: Timestamp) -> Unwilling {
        let owners = tpc.owners.parties.into_iter().collect();
        self.ask(&owners, |honest, view, now| honest.agree(call, last, valid_until, view, now))
    }

    /// The signed call, sent by an owner.
    fn brought(&self, step: &Step, tpc: &Tpc, unwilling: &Unwilling, call: Call, sound: bool) -> Option<Sent> {
        if !unwilling.is_empty() && !step.once_in(4, 8) {
            return None;
        }
        Some(Sent { by: self.owner(&tpc.owners.parties, step), value: 0, call, sound: vec![sound] })
    }

    fn dispute(&mut self, step: &Step) -> Option<Sent> {
        let (view, now) = (self.view(), self.now());
        let then = if step.once_in(2, 13) { Resolution::Renew } else { Resolution::Settle };
        let raise = step.once_in(3, 14);
        let (id, tpc) = step.choose(&view.tpcs, |_, tpc| match tpc.dispute {
            None => !raise,
            Some(dispute) => raise && dispute.then == Resolution::Renew && !is_due(tpc, now),
        })?;
        self.hesitate(&tpc, step);
        let by = self.owner(&tpc.owners.parties, step);
        let caller = self.account(by);
        let others = view.tpcs.iter().filter(|(other, tpc)| {
            let own = tpc.owners.parties.contains(&caller) || step.flaw == ForeignParty;
            **other != id && own && (tpc.dispute.is_none() || !step.apt)
        });
        let mut channels = if step.once_in(3, 15) { step.masked(others.map(|(id, _)| *id)) } else { vec![] };
        channels.push(if step.flaw == UnknownTpc { unknown(id) } else { id });
        step.listed(&mut channels);
        let call = Call::DisputeChannels(DisputeChannels { channels, then });
        Some(Sent { by, value: 0, call, sound: vec![true] })
    }

    fn settlement(&mut self, step: &Step) -> Option<Sent> {
        let (id, tpc) = step
            .choose(&self.model.tpcs, |_, tpc| tpc.dispute.is_some_and(|dispute| dispute.then == Resolution::Settle))?;
        let deadline = tpc.dispute.map(|dispute| match step.flaw {
            Stranger => dispute.deadline.saturating_add(tpc.owners.window),
            _ => dispute.deadline,
        });
        // Mostly late enough.
        if step.once_in(2, 20) {
            self.wait_for(deadline.map(|deadline| deadline + 2), step);
        } else {
            self.wait_for(deadline, step);
        }
        let others = self.model.tpcs.iter().filter(|(other, tpc)| **other != id && tpc.dispute.is_some());
        let mut channels = if step.once_in(3, 16) { step.masked(others.map(|(id, _)| *id)) } else { vec![] };
        channels.push(if step.flaw == UnknownTpc { unknown(id) } else { id });
        step.listed(&mut channels);
        let by = match step.once_in(4, 17) {
            true => step.mask as usize % NOBODY,
            false => self.owner(&tpc.owners.parties, step),
        };
        Some(Sent { by, value: 0, call: Call::SettleChannels(SettleChannels { channels }), sound: vec![true] })
    }

    fn create_mpc(&mut self, step: &Step) -> Option<Sent> {
        let (members, owners) = self.to_register(step);
        let valid_until = self.valid_until(step, self.any_honest(&owners));
        let creation = MpcCreation { members, valid_until };
        let unwilling = self.registered("create_mpc", &owners, &creation.members, valid_until);
        let (signatures, sound) = self.all(&owners, &unwilling, Action::CreateMpc(&creation), step.flaw);
        let by = step.mask as usize % NOBODY;
        let call = Call::CreateMpc(CreateMpc { creation, signatures });
        self.signed_by_all(step, by, &unwilling, call, sound)
    }

    fn join_mpc(&mut self, step: &Step) -> Option<Sent> {
        let (mpc, inside) = self.group(step)?;
        let (members, owners) = self.to_register(step);
        let invites = |tpc: &Tpc| tpc.owners.parties.iter().any(|party| owners.contains(party));
        let host = match step.flaw {
            Uninvited => inside.iter().find(|(_, tpc)| !invites(tpc)).or(inside.first())?.0,
            UnknownTpc => unknown(inside.first()?.0),
            // A channel that is not in the group, even though its owners sign.
            ForeignParty => members.first()?.tpc,
            _ => inside.iter().find(|(_, tpc)| invites(tpc)).or(inside.first())?.0,
        };
        let valid_until = self.valid_until(step, self.any_honest(&owners));
        let join = MpcJoin { mpc, host, members, valid_until };
        let unwilling = self.registered("join_mpc", &owners, &join.members, valid_until);
        let (signatures, sound) = self.all(&owners, &unwilling, Action::JoinMpc(&join), step.flaw);
        let by = step.mask as usize % NOBODY;
        self.signed_by_all(step, by, &unwilling, Call::JoinMpc(JoinMpc { join, signatures }), sound)
    }

    fn release(&mut self, step: &Step) -> Option<Sent> {
        let (mpc, inside) = self.group(step)?;
        let leaving = match step.kind {
            Kind::LeaveMpc => step.masked(inside.into_iter()),
            _ => inside,
        };
        let mut members: Vec<_> = leaving.iter().map(|(id, tpc)| member(step, *id, tpc)).collect();
        step.listed(&mut members);
        let owners: BTreeSet<_> = leaving.iter().flat_map(|(_, tpc)| tpc.owners.parties).collect();
        let by = self.owner(&owners.iter().copied().collect::<Vec<_>>(), step);
        let valid_until = self.valid_until(step, self.any_honest(&owners));
        if step.kind == Kind::LeaveMpc {
            let leave = MpcLeave { mpc, members, valid_until };
            let unwilling = self.registered("leave_mpc", &owners, &leave.members, valid_until);
            let (signatures, sound) = self.all(&owners, &unwilling, Action::LeaveMpc(&leave), step.flaw);
            return self.signed_by_all(step, by, &unwilling, Call::LeaveMpc(LeaveMpc { leave, signatures }), sound);
        }
        let close = MpcClose { mpc, members, valid_until };
        let unwilling = self.registered("close_mpc", &owners, &close.members, valid_until);
        let (signatures, sound) = self.all(&owners, &unwilling, Action::CloseMpc(&close), step.flaw);
        self.signed_by_all(step, by, &unwilling, Call::CloseMpc(CloseMpc { close, signatures }), sound)
    }

    fn registered(
        &mut self,
        call: &'static str,
        owners: &BTreeSet<AccountId>,
        members: &[Member],
        valid_until: Timestamp,
    ) -> Unwilling {
        let tpcs: Vec<_> = members.iter().map(|member| member.tpc).collect();
        self.ask(owners, |honest, view, now| honest.register(call, &tpcs, valid_until, view, now))
    }

    fn signed_by_all(&self, step: &Step, by: usize, unwilling: &Unwilling, call: Call, sound: bool) -> Option<Sent> {
        (unwilling.is_empty() || step.once_in(4, 8)).then(|| Sent { by, value: 0, call, sound: vec![sound] })
    }

    /// What proves whose the channels are; anything at all for one that nobody knows.
    fn proofs(&self, entries: &[Entry]) -> Vec<Owners> {
        let any = self.known.values().next();
        entries.iter().filter_map(|entry| self.known.get(&entry.tpc).or(any).copied()).collect()
    }

    /// A channel whose owners can end its epoch.
    fn ending(&mut self, step: &Step, disputed: bool) -> Option<(TpcId, Tpc)> {
        let (view, now) = (self.view(), self.now());
        let fits = |tpc: &Tpc| tpc.mpc.is_none() && !is_due(tpc, now) && (disputed || tpc.dispute.is_none());
        let urgent =
            disputed && step.once_in(2, 18) && view.tpcs.values().any(|tpc| fits(tpc) && tpc.dispute.is_some());
        let (id, tpc) = step.choose(&view.tpcs, |_, tpc| fits(tpc) && (!urgent || tpc.dispute.is_some()))?;
        self.hesitate(&tpc, step);
        Some((id, tpc))
    }

    fn group(&mut self, step: &Step) -> Option<(MpcId, Vec<(TpcId, Tpc)>)> {
        let (mpc, _) = step.choose(&self.model.mpcs, |_, _| true)?;
        let view = self.view();
        let members = view.tpcs.iter().filter(|(_, tpc)| tpc.mpc == Some(mpc));
        Some((mpc, members.map(|(id, tpc)| (*id, *tpc)).collect()))
    }

    /// Channels for a registration to name, and their owners.
    fn to_register(&self, step: &Step) -> (Vec<Member>, BTreeSet<AccountId>) {
        let view = self.view();
        let apt = view.tpcs.iter().filter(|(_, tpc)| !step.apt || tpc.dispute.is_none() && tpc.mpc.is_none());
        let mut chosen = step.masked(apt);
        chosen.truncate(1 + usize::from(step.shape & 7));
        let mut members: Vec<_> = chosen.iter().map(|(id, tpc)| member(step, **id, tpc)).collect();
        step.listed(&mut members);
        (members, chosen.iter().flat_map(|(_, tpc)| tpc.owners.parties).collect())
    }

    /// One of the parties who can send, or a stranger.
    fn owner(&self, parties: &[AccountId], step: &Step) -> usize {
        let wanted = |user: &usize| parties.contains(&self.account(*user)) != (step.flaw == Stranger);
        let users: Vec<_> = (0..NOBODY).filter(wanted).collect();
        step.pick(&users).unwrap_or_default()
    }

    fn is_honest(&self, tpc: &Tpc) -> bool {
        self.honest.iter().any(|honest| honest.owns(tpc))
    }

    fn any_honest(&self, owners: &BTreeSet<AccountId>) -> bool {
        self.honest.iter().any(|honest| owners.contains(&honest.account))
    }

    fn valid_until(&self, step: &Step, honest: bool) -> Timestamp {
        match step.flaw {
            Expired => self.now() - 1,
            LastMoment => self.now(),
            _ if honest => self.now() + step.time,
            // A replay must fail for a better reason than that it is late.
            _ => Timestamp::MAX,
        }
    }

    fn both(
        &self,
        parties: &[AccountId; 2],
        unwilling: &Unwilling,
        action: Action,
        flaw: Flaw,
    ) -> ([Signature; 2], bool) {
        let flaw = if matches!(flaw, MissingSigner | ForeignParty) { WrongSigner } else { flaw };
        let sign = |index: usize| self.sign(index, &parties[index], unwilling, action, flaw);
        (std::array::from_fn(sign), sound(flaw) && unwilling.is_empty())
    }

    /// The signatures of an action, and whether each is what it pretends to be.
    fn all(
        &self,
        owners: &BTreeSet<AccountId>,
        unwilling: &Unwilling,
        action: Action,
        flaw: Flaw,
    ) -> (Vec<PartySignature>, bool) {
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
            signature: self.sign(index, party, unwilling, action, flaw),
        };
        let mut signed: Vec<_> = owners.iter().enumerate().map(sign).collect();
        match flaw {
            DuplicateParty => signed.extend(signed.last().copied()),
            Unsorted => signed.reverse(),
            _ => {}
        }
        (signed, sound(flaw) && owners.is_disjoint(unwilling))
    }

    /// Nobody can sign for an honest account that does not want to.
    fn sign(&self, index: usize, party: &AccountId, unwilling: &Unwilling, action: Action, flaw: Flaw) -> Signature {
        if self.deployed.is_none() {
            return Signature([0; 64]);
        }
        let mut domain = self.model.domain;
        if flaw == OtherDomain {
            domain.contract = *party;
        }
        let payload = match flaw {
            OtherAction => sibling(action, |action| action.payload(&Native, &domain)),
            _ => action.payload(&Native, &domain),
        };
        let user = self.user(*party);
        let forged = flaw == WrongSigner && index == 0 || unwilling.contains(party);
        self.users[if forged { (user + 1) % USERS } else { user }].sign(&payload)
    }
}

fn member(step: &Step, id: TpcId, tpc: &Tpc) -> Member {
    let registrations = match step.flaw {
        WrongCount | LaterEpoch => tpc.registrations + 1,
        EarlierEpoch => tpc.registrations.wrapping_sub(1),
        _ => tpc.registrations,
    };
    Member { tpc: if step.flaw == UnknownTpc { unknown(id) } else { id }, registrations }
}

/// The id of nothing.
fn unknown(id: TpcId) -> TpcId {
    TpcId([id.0[0]; 32])
}

fn sound(flaw: Flaw) -> bool {
    !matches!(flaw, WrongSigner | OtherDomain | OtherAction)
}

/// Another action about the very same, as like to this one as there is.
fn sibling<T>(action: Action, sign: impl FnOnce(Action) -> T) -> T {
    let valid_until = Timestamp::MAX;
    let zero = Entry { tpc: TpcId([0; 32]), epoch: 0, version: 0, balances: [0, 0] };
    match action {
        Action::Update(Update { entries }) => {
            sign(Action::CloseTpc(&TpcClose { last: entries.first().copied().unwrap_or(zero), valid_until }))
        }
        Action::CloseTpc(close) => sign(Action::Update(&Update { entries: vec![close.last] })),
        Action::TopUpTpc(TpcTopUp { last, added, valid_until }) => {
            let (last, amounts, valid_until) = (*last, *added, *valid_until);
            sign(Action::WithdrawTpc(&TpcWithdrawal { last, amounts, valid_until }))
        }
        Action::WithdrawTpc(TpcWithdrawal { last, amounts, valid_until }) => {
            let (last, added, valid_until) = (*last, *amounts, *valid_until);
            sign(Action::TopUpTpc(&TpcTopUp { last, added, valid_until }))
        }
        Action::CloseMpc(MpcClose { mpc, members, valid_until }) => {
            let (mpc, members, valid_until) = (*mpc, members.clone(), *valid_until);
            sign(Action::LeaveMpc(&MpcLeave { mpc, members, valid_until }))
        }
        Action::LeaveMpc(MpcLeave { mpc, members, valid_until }) => {
            let (mpc, members, valid_until) = (*mpc, members.clone(), *valid_until);
            sign(Action::CloseMpc(&MpcClose { mpc, members, valid_until }))
        }
        Action::JoinMpc(MpcJoin { members, valid_until, .. }) => {
            sign(Action::CreateMpc(&MpcCreation { members: members.clone(), valid_until: *valid_until }))
        }
        Action::CreateMpc(MpcCreation { members, valid_until }) => {
            let (mpc, members, valid_until) = (MpcId([0; 32]), members.clone(), *valid_until);
            sign(Action::CloseMpc(&MpcClose { mpc, members, valid_until }))
        }
        Action::SplitTpc(TpcSplit { last, .. }) => sign(Action::Update(&Update { entries: last.clone() })),
        Action::CreateTpc(_) => sign(Action::Update(&Update { entries: vec![zero] })),
    }
}
