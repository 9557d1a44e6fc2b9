//! The contract as a few maps and a few lines for each call, written apart from its rules.

use braid::{chain::EXISTENTIAL_DEPOSIT, keys::Native};
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DisputeMpc, DisputeTpc, JoinMpc, LeaveMpc, Message,
        SettleMpc, SettleTpc, SplitTpc, TopUpTpc, UpdateMpc, UpdateTpc, Withdraw, WithdrawTpc,
    },
    state::{MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    AccountId, Action, Balance, Domain, Entry, Mpc, MpcId, PartySignature, Split, Timestamp, Tpc, TpcId, Window,
};
use std::collections::{BTreeMap, BTreeSet};

macro_rules! calls {
    ($($message:ident),*) => {
        /// A call of the contract.
        #[derive(Clone, Debug)]
        pub enum Call { $($message($message)),* }

        impl Call {
            pub const NAMES: &'static [&'static str] = &[$($message::NAME),*];

            pub fn name(&self) -> &'static str {
                match self { $(Self::$message(_) => $message::NAME),* }
            }

            pub fn data(&self) -> Vec<u8> {
                match self { $(Self::$message(message) => message.call_data(&Native)),* }
            }
        }
    };
}

calls!(
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
    SettleMpc
);

impl Call {
    /// What its signers agreed to, if it takes signatures.
    pub fn action(&self) -> Option<Action<'_>> {
        match self {
            Self::CreateTpc(call) => Some(Action::CreateTpc(&call.creation)),
            Self::UpdateTpc(call) => Some(Action::UpdateTpc(&call.entry)),
            Self::CloseTpc(call) => Some(Action::CloseTpc(&call.close)),
            Self::TopUpTpc(call) => Some(Action::TopUpTpc(&call.top_up)),
            Self::WithdrawTpc(call) => Some(Action::WithdrawTpc(&call.withdrawal)),
            Self::SplitTpc(call) => Some(Action::SplitTpc(&call.split)),
            Self::CreateMpc(call) => Some(Action::CreateMpc(&call.creation)),
            Self::UpdateMpc(call) => Some(Action::UpdateMpc(&call.update)),
            Self::CloseMpc(call) => Some(Action::CloseMpc(&call.close)),
            Self::JoinMpc(call) => Some(Action::JoinMpc(&call.join)),
            Self::LeaveMpc(call) => Some(Action::LeaveMpc(&call.leave)),
            Self::Deposit(_)
            | Self::Withdraw(_)
            | Self::DisputeTpc(_)
            | Self::SettleTpc(_)
            | Self::DisputeMpc(_)
            | Self::SettleMpc(_) => None,
        }
    }
}

/// A call with what the model cannot see in it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The user who sends it.
    pub by: usize,
    /// What is sent along, in planck.
    pub value: Balance,
    pub call: Call,
    /// Whether every signature is by the party beside it, of this very action, for this contract.
    pub sound: bool,
}

/// What the contract should hold.
#[derive(Clone)]
pub struct Model {
    pub domain: Domain,
    pub ledger: BTreeMap<AccountId, Balance>,
    pub nonces: BTreeMap<[AccountId; 2], u64>,
    /// A channel's `mpc` is kept until its group is closed or settled, or until it leaves or enters another one.
    pub tpcs: BTreeMap<TpcId, Tpc>,
    pub mpcs: BTreeMap<MpcId, Mpc>,
    /// What has ever been paid to each account.
    pub paid: BTreeMap<AccountId, Balance>,
    /// Accounts that do not exist on the chain: only the existential deposit or more can bring them to life.
    pub missing: BTreeSet<AccountId>,
}

impl Model {
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            ledger: BTreeMap::new(),
            nonces: BTreeMap::new(),
            tpcs: BTreeMap::new(),
            mpcs: BTreeMap::new(),
            paid: BTreeMap::new(),
            missing: BTreeSet::new(),
        }
    }

    /// Does the call, or answers `None` if the contract must refuse; this model is then of no use any more.
    pub fn take(&mut self, sent: &Sent, caller: AccountId, now: Timestamp) -> Option<()> {
        match &sent.call {
            Call::Deposit(_) => {
                need(sent.value > 0)?;
                *self.ledger.entry(caller).or_default() += sent.value;
            }
            Call::Withdraw(call) => {
                need(call.amount > 0)?;
                self.debit(caller, call.amount)?;
                self.pay(caller, call.amount);
            }
            Call::DisputeTpc(call) => {
                let tpc = self.calm(call.id, now)?;
                need(tpc.parties.contains(&caller))?;
                let deadline = Some(now + tpc.window);
                self.tpcs.insert(call.id, Tpc { deadline, ..tpc });
            }
            Call::SettleTpc(call) => {
                let tpc = self.alone(call.id, now)?;
                need(tpc.deadline.is_some_and(|deadline| now > deadline))?;
                self.end(call.id, tpc.balances);
            }
            Call::DisputeMpc(call) => self.dispute_mpc(call, caller, now)?,
            Call::SettleMpc(call) => {
                need(self.mpcs.get(&call.id)?.deadline.is_some_and(|deadline| now > deadline))?;
                self.dissolve(call.id);
            }
            // Whatever is left is signed, and nothing counts that is not signed as it says.
            _ => {
                need(sent.sound)?;
                self.agreed(&sent.call, now)?;
            }
        }
        Some(())
    }

    fn agreed(&mut self, call: &Call, now: Timestamp) -> Option<()> {
        match call {
            Call::CreateTpc(call) => self.create_tpc(call, now),
            Call::UpdateTpc(call) => {
                let tpc = self.answerable(call.entry.tpc, now)?;
                self.put(&call.entry, newer(&tpc, &call.entry)?)
            }
            Call::CloseTpc(call) => {
                let last = &call.close.last;
                need(now <= call.close.valid_until)?;
                let tpc = newer(&self.answerable(last.tpc, now)?, last)?;
                self.put(last, tpc)?;
                self.end(last.tpc, last.balances);
                Some(())
            }
            Call::TopUpTpc(call) => {
                let (snapshot, [first, second]) = (&call.top_up.snapshot, call.top_up.added);
                need(now <= call.top_up.valid_until)?;
                let tpc = self.calm(snapshot.tpc, now)?;
                let added = first.checked_add(second)?;
                need(added > 0 && snapshot.epoch > tpc.epoch && sums_to(snapshot, held(&tpc).checked_add(added)?))?;
                self.debit(tpc.parties[0], first)?;
                self.debit(tpc.parties[1], second)?;
                self.put(snapshot, tpc)
            }
            Call::WithdrawTpc(call) => {
                let (snapshot, [first, second]) = (&call.withdrawal.snapshot, call.withdrawal.amounts);
                need(now <= call.withdrawal.valid_until)?;
                let tpc = self.calm(snapshot.tpc, now)?;
                let taken = first.checked_add(second)?;
                need(taken > 0 && snapshot.epoch > tpc.epoch && sums_to(snapshot, held(&tpc).checked_sub(taken)?))?;
                self.pay_or_credit(tpc.parties[0], first);
                self.pay_or_credit(tpc.parties[1], second);
                self.put(snapshot, tpc)
            }
            Call::SplitTpc(call) => self.split(call, now),
            Call::CreateMpc(call) => {
                let creation = &call.creation;
                need(now <= creation.valid_until && window_fits(creation.window))?;
                let id = creation.id(&Native, &self.domain);
                let channels = self.enter(id, &creation.entries, &call.signatures, now)?;
                self.mpcs.insert(id, Mpc { channels, window: creation.window, deadline: None });
                Some(())
            }
            Call::JoinMpc(call) => {
                let join = &call.join;
                let mpc = *self.mpcs.get(&join.mpc)?;
                need(now <= join.valid_until && mpc.deadline.is_none())?;
                let member = self.tpcs.get(&join.member)?;
                let invited = call.signatures.iter().any(|signed| member.parties.contains(&signed.party));
                need(member.mpc == Some(join.mpc) && invited)?;
                let channels = mpc.channels + self.enter(join.mpc, &join.entries, &call.signatures, now)?;
                self.mpcs.insert(join.mpc, Mpc { channels, ..mpc });
                Some(())
            }
            Call::UpdateMpc(call) => self.update_mpc(call, now),
            Call::CloseMpc(call) => {
                let close = &call.close;
                need(now <= close.valid_until)?;
                need(self.mpcs.get(&close.mpc)?.channels as usize == close.entries.len())?;
                self.release(close.mpc, &close.entries, &call.signatures, now)?;
                self.dissolve(close.mpc);
                Some(())
            }
            Call::LeaveMpc(call) => {
                let leave = &call.leave;
                need(now <= leave.valid_until)?;
                self.release(leave.mpc, &leave.entries, &call.signatures, now)?;
                for entry in &leave.entries {
                    let tpc = self.tpcs.get_mut(&entry.tpc)?;
                    (tpc.mpc, tpc.deadline) = (None, None);
                }
                let mpc = self.mpcs.get_mut(&leave.mpc)?;
                mpc.channels -= leave.entries.len() as u32;
                if mpc.channels == 0 {
                    self.dissolve(leave.mpc);
                }
                Some(())
            }
            _ => unreachable!("every other call is unsigned"),
        }
    }

    fn create_tpc(&mut self, call: &CreateTpc, now: Timestamp) -> Option<()> {
        let creation = &call.creation;
        let ([first, second], balances) = (creation.parties, creation.balances);
        let nonce = self.nonces.entry(creation.parties).or_default();
        need(now <= creation.valid_until && window_fits(creation.window))?;
        need(first < second && creation.nonce == *nonce)?;
        *nonce += 1;
        need(balances[0].checked_add(balances[1])? > 0)?;
        self.debit(first, balances[0])?;
        self.debit(second, balances[1])?;
        let tpc = alone(creation.parties, balances, 0, creation.window);
        self.tpcs.insert(TpcId::of(&Native, &creation.parties, creation.nonce), tpc);
        Some(())
    }

    fn split(&mut self, call: &SplitTpc, now: Timestamp) -> Option<()> {
        let split = &call.split;
        let whole = self.answerable(split.tpc, now)?;
        need((1..=MAX_PARTS).contains(&split.parts.len()) && split.epoch > whole.epoch)?;
        need(whole.split.is_none_or(|split| split.others > 0))?;
        let mut total = held(&whole);
        for id in self.parts(split.tpc) {
            let part = self.answerable(id, now)?;
            need(split.epoch > part.epoch)?;
            total += held(&part);
            self.tpcs.remove(&id);
        }
        let mut sum: Balance = 0;
        for [first, second] in &split.parts {
            sum = sum.checked_add(first.checked_add(*second)?)?;
        }
        need(sum == total && split.parts[1..].iter().all(|part| *part != [0, 0]))?;
        let others = split.parts.len() as u8 - 1;
        for (index, balances) in (1..).zip(&split.parts[1..]) {
            let marker = Some(Split { epoch: split.epoch, others: 0 });
            let part = Tpc { split: marker, ..alone(whole.parties, *balances, split.epoch, whole.window) };
            self.tpcs.insert(split.tpc.part(&Native, split.epoch, index), part);
        }
        let marker = (others > 0).then_some(Split { epoch: split.epoch, others });
        let first = Tpc { balances: split.parts[0], epoch: split.epoch, version: 0, split: marker, ..whole };
        self.tpcs.insert(split.tpc, first);
        Some(())
    }

    fn update_mpc(&mut self, call: &UpdateMpc, now: Timestamp) -> Option<()> {
        let update = &call.update;
        need(self.stands(update.mpc, now) && ascending(&update.entries))?;
        let mut owners = BTreeSet::new();
        let mut proofs = call.gone.iter();
        let mut moved = false;
        for entry in &update.entries {
            let Some(tpc) = self.tpcs.get(&entry.tpc).cloned() else {
                owners.extend(proofs.find(|proof| proof.tpc(&Native) == entry.tpc)?.parties);
                continue;
            };
            owners.extend(tpc.parties);
            let newer = entry.epoch == tpc.epoch && entry.version > tpc.version;
            // What the channel's own owners signed wrong is no reason to refuse the others' states.
            if tpc.mpc == Some(update.mpc) && newer && sums_to(entry, held(&tpc)) {
                self.put(entry, tpc)?;
                moved = true;
            }
        }
        need(moved && signed_by(&call.signatures, &owners))
    }

    fn dispute_mpc(&mut self, call: &DisputeMpc, caller: AccountId, now: Timestamp) -> Option<()> {
        let mpc = self.mpcs.get_mut(&call.id)?;
        need(mpc.deadline.is_none())?;
        let deadline = Some(now + mpc.window);
        mpc.deadline = deadline;
        for (is_exit, id) in std::iter::once((false, &call.member)).chain(call.exits.iter().map(|id| (true, id))) {
            let tpc = self.tpcs.get_mut(id)?;
            need(tpc.mpc == Some(call.id) && tpc.parties.contains(&caller))?;
            if is_exit {
                tpc.deadline = deadline;
            }
        }
        Some(())
    }

    /// Brings channels that stand alone into a group.
    fn enter(&mut self, mpc: MpcId, entries: &[Entry], signed: &[PartySignature], now: Timestamp) -> Option<u32> {
        need(ascending(entries))?;
        let mut owners = BTreeSet::new();
        for entry in entries {
            let tpc = self.calm(entry.tpc, now)?;
            need(entry.epoch > tpc.epoch && sums_to(entry, held(&tpc)))?;
            owners.extend(tpc.parties);
            self.put(entry, Tpc { mpc: Some(mpc), ..tpc })?;
        }
        need(signed_by(signed, &owners))?;
        Some(entries.len() as u32)
    }

    /// Brings members of a group to their last states in it.
    fn release(&mut self, mpc: MpcId, entries: &[Entry], signed: &[PartySignature], now: Timestamp) -> Option<()> {
        need(self.stands(mpc, now) && ascending(entries))?;
        let mut owners = BTreeSet::new();
        for entry in entries {
            let tpc = self.tpcs.get(&entry.tpc)?.clone();
            need(tpc.mpc == Some(mpc) && entry.epoch == tpc.epoch && sums_to(entry, held(&tpc)))?;
            owners.extend(tpc.parties);
            if entry.version > tpc.version {
                self.put(entry, tpc)?;
            }
        }
        need(signed_by(signed, &owners))
    }

    fn dissolve(&mut self, mpc: MpcId) {
        self.mpcs.remove(&mpc);
        self.tpcs.values_mut().filter(|tpc| tpc.mpc == Some(mpc)).for_each(|tpc| tpc.mpc = None);
    }

    fn end(&mut self, id: TpcId, balances: [Balance; 2]) {
        let tpc = self.tpcs.remove(&id).unwrap();
        self.pay_or_credit(tpc.parties[0], balances[0]);
        self.pay_or_credit(tpc.parties[1], balances[1]);
    }

    fn put(&mut self, entry: &Entry, tpc: Tpc) -> Option<()> {
        let Entry { epoch, version, balances, .. } = *entry;
        self.tpcs.insert(entry.tpc, Tpc { epoch, version, balances, ..tpc });
        Some(())
    }

    fn debit(&mut self, account: AccountId, amount: Balance) -> Option<()> {
        let left = self.ledger.remove(&account).unwrap_or_default().checked_sub(amount)?;
        if left > 0 {
            self.ledger.insert(account, left);
        }
        Some(())
    }

    fn pay(&mut self, account: AccountId, amount: Balance) {
        self.missing.remove(&account);
        *self.paid.entry(account).or_default() += amount;
    }

    fn pay_or_credit(&mut self, account: AccountId, amount: Balance) {
        if amount >= EXISTENTIAL_DEPOSIT || (amount > 0 && !self.missing.contains(&account)) {
            self.pay(account, amount);
        } else if amount > 0 {
            *self.ledger.entry(account).or_default() += amount;
        }
    }

    pub fn stands(&self, mpc: MpcId, now: Timestamp) -> bool {
        self.mpcs.get(&mpc).is_some_and(|mpc| mpc.deadline.is_none_or(|deadline| now <= deadline))
    }

    /// A channel that no group holds.
    pub fn alone(&self, id: TpcId, now: Timestamp) -> Option<Tpc> {
        let tpc = self.tpcs.get(&id)?;
        need(!tpc.mpc.is_some_and(|mpc| self.stands(mpc, now)))?;
        Some(tpc.clone())
    }

    /// A channel alone that is not under dispute.
    pub fn calm(&self, id: TpcId, now: Timestamp) -> Option<Tpc> {
        self.alone(id, now).filter(|tpc| tpc.deadline.is_none())
    }

    /// A channel alone that may still take a newer state.
    pub fn answerable(&self, id: TpcId, now: Timestamp) -> Option<Tpc> {
        self.alone(id, now).filter(|tpc| tpc.deadline.is_none_or(|deadline| now <= deadline))
    }

    /// What is left of the other parts of a channel that is split on chain.
    pub fn parts(&self, id: TpcId) -> Vec<TpcId> {
        let split = self.tpcs.get(&id).and_then(|tpc| tpc.split);
        let parts = split
            .into_iter()
            .flat_map(|split| (1..=split.others).map(move |index| id.part(&Native, split.epoch, index)));
        parts.filter(|part| self.tpcs.contains_key(part)).collect()
    }

    /// What the contract answers for a channel.
    pub fn visible(&self, id: TpcId, now: Timestamp) -> Option<Tpc> {
        let tpc = self.tpcs.get(&id)?;
        Some(Tpc { mpc: tpc.mpc.filter(|mpc| self.stands(*mpc, now)), ..tpc.clone() })
    }

    /// Everything that the contract owes.
    pub fn owed(&self) -> Balance {
        self.ledger.values().sum::<Balance>() + self.tpcs.values().map(held).sum::<Balance>()
    }

    /// How many things are worth keeping.
    pub fn items(&self) -> usize {
        let storage_itself = 1;
        storage_itself + self.ledger.len() + self.nonces.len() + self.tpcs.len() + self.mpcs.len()
    }
}

fn need(holds: bool) -> Option<()> {
    holds.then_some(())
}

fn alone(parties: [AccountId; 2], balances: [Balance; 2], epoch: u32, window: Window) -> Tpc {
    Tpc { parties, balances, epoch, version: 0, window, mpc: None, deadline: None, split: None }
}

/// The channel, if `entry` is a later state of it. What is split on chain does not leave its epoch by itself.
fn newer(tpc: &Tpc, entry: &Entry) -> Option<Tpc> {
    let in_epoch = entry.epoch == tpc.epoch && entry.version > tpc.version;
    let after_it = entry.epoch > tpc.epoch && tpc.split.is_none();
    need((in_epoch || after_it) && sums_to(entry, held(tpc)))?;
    Some(tpc.clone())
}

pub fn held(tpc: &Tpc) -> Balance {
    tpc.balances[0] + tpc.balances[1]
}

fn sums_to(entry: &Entry, total: Balance) -> bool {
    entry.balances[0].checked_add(entry.balances[1]) == Some(total)
}

fn window_fits(window: Window) -> bool {
    (MIN_WINDOW..=MAX_WINDOW).contains(&window)
}

fn ascending(entries: &[Entry]) -> bool {
    !entries.is_empty() && entries.windows(2).all(|pair| pair[0].tpc < pair[1].tpc)
}

/// Whether exactly the owners signed, in their order.
fn signed_by(signatures: &[PartySignature], owners: &BTreeSet<AccountId>) -> bool {
    signatures.iter().map(|signed| &signed.party).eq(owners)
}
