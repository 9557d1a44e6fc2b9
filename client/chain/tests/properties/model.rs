//! The contract as a few maps and a few lines for each call, written apart from its rules.
//!
//! It shares the plain types and their encoding with `protocol`, and none of its decisions.

use chain::EXISTENTIAL_DEPOSIT;
use codec::Encode;
use engine::Native;
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DepositPsp22, DisputeChannels, JoinMpc, LeaveMpc, Message,
        SettleChannels, SplitTpc, TopUpTpc, UpdateAll, UpdateChannels, Withdraw, WithdrawPsp22, WithdrawTpc,
    },
    state::{MAX_CHANNELS, MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    AccountId, Asset, Balance, Dispute, Domain, Entry, Epoch, Member, Mpc, MpcId, PartySignature, Resolution,
    SignedUpdate, Timestamp, Tpc, TpcId, Version,
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
    DepositPsp22,
    WithdrawPsp22,
    CreateTpc,
    UpdateChannels,
    UpdateAll,
    CloseTpc,
    TopUpTpc,
    WithdrawTpc,
    SplitTpc,
    DisputeChannels,
    SettleChannels,
    CreateMpc,
    JoinMpc,
    LeaveMpc,
    CloseMpc
);

impl Call {
    /// Whether its signatures are good for one success only. An update's are not: what it passed over because an epoch
    /// had not begun may count later.
    pub fn is_good_once(&self) -> bool {
        match self {
            Self::CreateTpc(_)
            | Self::CloseTpc(_)
            | Self::TopUpTpc(_)
            | Self::WithdrawTpc(_)
            | Self::SplitTpc(_)
            | Self::CreateMpc(_)
            | Self::JoinMpc(_)
            | Self::LeaveMpc(_)
            | Self::CloseMpc(_) => true,
            Self::Deposit(_)
            | Self::Withdraw(_)
            | Self::DepositPsp22(_)
            | Self::WithdrawPsp22(_)
            | Self::UpdateChannels(_)
            | Self::UpdateAll(_)
            | Self::DisputeChannels(_)
            | Self::SettleChannels(_) => false,
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
    /// Whether every signature is by the party beside it, of this very action, for this contract: of each update that
    /// the call brings, or of the call.
    pub sound: Vec<bool>,
}

/// A rule of the contract that a model may lack, to see that somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// An entry above the state of a channel that is due is passed over.
    DueRefuses,
    /// An entry above the record of an epoch's end is passed over.
    EndRefuses,
    /// Settling leaves no record.
    SettleRecords,
    /// A renewal leaves no record.
    RenewalRecords,
    /// A renewal goes on in the epoch that it ended.
    RenewalEndsEpoch,
    /// An entry of an epoch that both owners have ended makes the update void.
    ClosePasses,
    /// A dispute can be begun again, with a new deadline.
    OneDispute,
    /// A raised dispute goes back to renewal.
    NoWayBack,
    /// A wrong sum is taken.
    Sums,
    /// A wrong sum refuses the update.
    SumPasses,
    /// What brings nothing new is accepted.
    Newer,
    /// An update of one epoch counts in another.
    Epochs,
    /// A registration is good at any count.
    Registrations,
    /// Busy channels may be closed.
    Busy,
    /// A stranger settles as early as an owner.
    StrangersWait,
    /// A stranger may bring a signed close.
    OwnersCall,
    /// One element of a list that does not apply refuses the call.
    ElementsAlone,
    /// Disputed channels may be topped up.
    DisputedStays,
}

/// What the contract should hold at the clock of the last block, whatever of it is written already.
#[derive(Clone)]
pub struct Model {
    pub domain: Domain,
    pub ledger: BTreeMap<(AccountId, Asset), Balance>,
    pub nonces: BTreeMap<[AccountId; 2], u64>,
    pub tpcs: BTreeMap<TpcId, Tpc>,
    /// At which version a dispute has ended an epoch of a channel.
    pub ended: BTreeMap<(TpcId, Epoch), Version>,
    pub mpcs: BTreeMap<MpcId, Mpc>,
    /// What has ever been paid to each account, in planck.
    pub paid: BTreeMap<AccountId, Balance>,
    /// Accounts that do not exist on the chain: only the existential deposit or more can bring them to life.
    pub missing: BTreeSet<AccountId>,
    /// The one token on the chain, which is honest, and may move whatever users have of it.
    pub token: AccountId,
    /// What each user has of it outside of the contract.
    pub wallets: BTreeMap<AccountId, Balance>,
    pub lack: Option<Lack>,
}

impl Model {
    pub fn new(domain: Domain, token: AccountId) -> Self {
        Self {
            domain,
            token,
            wallets: BTreeMap::new(),
            ledger: BTreeMap::new(),
            nonces: BTreeMap::new(),
            tpcs: BTreeMap::new(),
            ended: BTreeMap::new(),
            mpcs: BTreeMap::new(),
            paid: BTreeMap::new(),
            missing: BTreeSet::new(),
            lack: None,
        }
    }

    fn lacks(&self, rule: Lack) -> bool {
        self.lack == Some(rule)
    }

    /// The clock is `now`: what was to be renewed by then is in its next epoch, touched or not.
    pub fn pass(&mut self, now: Timestamp) {
        let lack = self.lack;
        for (id, tpc) in &mut self.tpcs {
            if tpc.dispute.is_some_and(|dispute| dispute.then == Resolution::Renew && now > dispute.deadline) {
                tpc.dispute = None;
                if lack == Some(Lack::RenewalEndsEpoch) {
                    continue;
                }
                if lack != Some(Lack::RenewalRecords) {
                    self.ended.insert((*id, tpc.epoch), tpc.version);
                }
                (tpc.epoch, tpc.version) = (tpc.epoch + 1, 0);
            }
        }
    }

    /// Does the call at the clock that [`Model::pass`] was told, and gives the encoded answer. `None` if the contract must
    /// refuse; this model is then of no use any more.
    pub fn take(&mut self, sent: &Sent, caller: AccountId, now: Timestamp) -> Option<Vec<u8>> {
        let sound = sent.sound.iter().all(|sound| *sound);
        match &sent.call {
            Call::Deposit(_) => {
                need(sent.value > 0)?;
                self.credit(caller, Asset::Native, sent.value);
                done(())
            }
            Call::Withdraw(call) => {
                need(call.amount > 0)?;
                self.debit(caller, Asset::Native, call.amount)?;
                self.pay(caller, call.amount);
                done(())
            }
            Call::DepositPsp22(call) => {
                need(call.token == self.token && call.amount > 0)?;
                let wallet = self.wallets.get_mut(&caller)?;
                *wallet = wallet.checked_sub(call.amount)?;
                self.credit(caller, Asset::Psp22(call.token), call.amount);
                done(())
            }
            Call::WithdrawPsp22(call) => {
                need(call.amount > 0)?;
                self.debit(caller, Asset::Psp22(call.token), call.amount)?;
                *self.wallets.get_mut(&caller)? += call.amount;
                done(())
            }
            Call::CreateTpc(call) => {
                self.credit(caller, Asset::Native, sent.value);
                need(sound)?;
                self.create_tpc(call, caller, now)
            }
            Call::UpdateChannels(UpdateChannels { update, owners, signatures }) => {
                let (update, owners, signatures) = (update.clone(), owners.clone(), signatures.clone());
                done(self.update(&SignedUpdate { update, owners, signatures }, sound, now)?)
            }
            Call::UpdateAll(call) => {
                need(call.updates.iter().map(|signed| signed.update.entries.len()).sum::<usize>() <= MAX_CHANNELS)?;
                let mut taken = 0u32;
                for (signed, sound) in call.updates.iter().zip(&sent.sound) {
                    match self.update(signed, *sound, now) {
                        Some(_) => taken += 1,
                        None => need(!self.lacks(Lack::ElementsAlone))?,
                    }
                }
                need(taken > 0)?;
                done(taken)
            }
            Call::CloseTpc(CloseTpc { close, .. }) => {
                need(sound && now <= close.valid_until)?;
                let tpc = self.agreed(&close.last, caller, now)?;
                self.tpcs.remove(&close.last.tpc);
                self.pay_out(&tpc, close.last.balances);
                done(())
            }
            Call::TopUpTpc(TopUpTpc { top_up, .. }) => {
                need(sound && now <= top_up.valid_until)?;
                let tpc = self.undisputed(&top_up.last, caller, now)?;
                let ([first, second], [more, further]) = (top_up.last.balances, top_up.added);
                let balances = [first.checked_add(more)?, second.checked_add(further)?];
                need(more.checked_add(further)? > 0 && sum(balances).is_some())?;
                self.debit(tpc.owners.parties[0], tpc.owners.asset, more)?;
                self.debit(tpc.owners.parties[1], tpc.owners.asset, further)?;
                self.begin_epoch(top_up.last.tpc, tpc, balances);
                done(())
            }
            Call::WithdrawTpc(WithdrawTpc { withdrawal, .. }) => {
                need(sound && now <= withdrawal.valid_until)?;
                let tpc = self.undisputed(&withdrawal.last, caller, now)?;
                let ([first, second], [less, fewer]) = (withdrawal.last.balances, withdrawal.amounts);
                let balances = [first.checked_sub(less)?, second.checked_sub(fewer)?];
                need(less > 0 || fewer > 0)?;
                self.pay_out(&tpc, withdrawal.amounts);
                self.begin_epoch(withdrawal.last.tpc, tpc, balances);
                done(())
            }
            Call::SplitTpc(call) => {
                need(sound)?;
                self.split(call, caller, now)
            }
            Call::DisputeChannels(call) => {
                let mut disputed = 0u32;
                for id in &call.channels {
                    match self.dispute(*id, call.then, caller, now) {
                        Some(()) => disputed += 1,
                        None => need(!self.lacks(Lack::ElementsAlone))?,
                    }
                }
                need(disputed > 0)?;
                done(disputed)
            }
            Call::SettleChannels(call) => {
                let mut settled = 0u32;
                for id in &call.channels {
                    settled += u32::from(self.settle(*id, caller, now).is_some());
                }
                need(settled > 0)?;
                done(settled)
            }
            Call::CreateMpc(CreateMpc { creation, signatures }) => {
                need(sound && now <= creation.valid_until)?;
                let id = creation.id(&Native, &self.domain);
                self.register(id, &creation.members, signatures, now)?;
                self.mpcs.insert(id, Mpc { channels: creation.members.len() as u32 });
                done(id)
            }
            Call::JoinMpc(JoinMpc { join, signatures }) => {
                need(sound && now <= join.valid_until)?;
                let host = self.tpcs.get(&join.host)?;
                let invited = signatures.iter().any(|signed| host.owners.parties.contains(&signed.party));
                need(host.mpc == Some(join.mpc) && invited)?;
                self.register(join.mpc, &join.members, signatures, now)?;
                self.mpcs.get_mut(&join.mpc)?.channels += join.members.len() as u32;
                done(())
            }
            Call::LeaveMpc(LeaveMpc { leave, signatures }) => {
                need(sound && now <= leave.valid_until)?;
                self.release(leave.mpc, &leave.members, signatures, caller, now)?;
                done(())
            }
            Call::CloseMpc(CloseMpc { close, signatures }) => {
                need(sound && now <= close.valid_until)?;
                need(self.mpcs.get(&close.mpc)?.channels as usize == close.members.len())?;
                self.release(close.mpc, &close.members, signatures, caller, now)?;
                done(())
            }
        }
    }

    fn create_tpc(&mut self, call: &CreateTpc, caller: AccountId, now: Timestamp) -> Option<Vec<u8>> {
        let creation = &call.creation;
        let [first, second] = creation.parties;
        need(now <= creation.valid_until && (MIN_WINDOW..=MAX_WINDOW).contains(&creation.window))?;
        need(first < second && creation.parties.contains(&caller))?;
        let nonce = self.nonces.entry(creation.parties).or_default();
        need(creation.nonce == *nonce && sum(creation.balances)? > 0)?;
        *nonce += 1;
        self.debit(first, creation.asset, creation.balances[0])?;
        self.debit(second, creation.asset, creation.balances[1])?;
        let (owners, balances) = (creation.owners(), creation.balances);
        let id = creation.id(&Native);
        let (epoch, version, dispute, mpc, registrations) = (0, 0, None, None, 0);
        self.tpcs.insert(id, Tpc { owners, balances, epoch, version, dispute, mpc, registrations });
        done(id)
    }

    /// All entries or none; answers how many channels moved.
    fn update(&mut self, signed: &SignedUpdate, sound: bool, now: Timestamp) -> Option<u32> {
        let SignedUpdate { update, owners, signatures } = signed;
        let entries = &update.entries;
        need(sound && ascending(entries.iter().map(|entry| entry.tpc)) && entries.len() <= MAX_CHANNELS)?;
        need(owners.iter().map(|owners| owners.tpc(&Native)).eq(entries.iter().map(|entry| entry.tpc)))?;
        need(signed_by(signatures, owners.iter().flat_map(|owners| owners.parties)))?;
        let mut moved = vec![];
        for entry in entries {
            let stored = self.tpcs.get(&entry.tpc);
            if let Some(tpc) = stored.filter(|tpc| tpc.epoch == entry.epoch || self.lacks(Lack::Epochs)) {
                if entry.version > tpc.version {
                    if is_due(tpc, now) {
                        need(self.lacks(Lack::DueRefuses))?;
                    } else if sum(entry.balances) == sum(tpc.balances) || self.lacks(Lack::Sums) {
                        moved.push(*entry);
                    } else {
                        need(!self.lacks(Lack::SumPasses))?;
                    }
                }
            } else if let Some(last) = self.ended.get(&(entry.tpc, entry.epoch)) {
                need(entry.version <= *last || self.lacks(Lack::EndRefuses))?;
            } else {
                need(!self.lacks(Lack::ClosePasses) || stored.is_some())?;
            }
        }
        need(!moved.is_empty() || self.lacks(Lack::Newer))?;
        for Entry { tpc, version, balances, .. } in &moved {
            let stored = self.tpcs.get_mut(tpc)?;
            (stored.version, stored.balances) = (*version, *balances);
        }
        Some(moved.len() as u32)
    }

    /// A channel that its owners may end the epoch of with `last`.
    fn agreed(&self, last: &Entry, caller: AccountId, now: Timestamp) -> Option<Tpc> {
        let tpc = self.tpcs.get(&last.tpc)?;
        need(tpc.owners.parties.contains(&caller) || self.lacks(Lack::OwnersCall))?;
        need(!is_due(tpc, now) && (tpc.mpc.is_none() || self.lacks(Lack::Busy)))?;
        need(last.epoch == tpc.epoch && last.version > tpc.version && sum(last.balances) == sum(tpc.balances))?;
        Some(*tpc)
    }

    fn undisputed(&self, last: &Entry, caller: AccountId, now: Timestamp) -> Option<Tpc> {
        self.agreed(last, caller, now).filter(|tpc| tpc.dispute.is_none() || self.lacks(Lack::DisputedStays))
    }

    fn begin_epoch(&mut self, id: TpcId, tpc: Tpc, balances: [Balance; 2]) {
        self.tpcs.insert(id, Tpc { balances, epoch: tpc.epoch + 1, version: 0, ..tpc });
    }

    fn split(&mut self, call: &SplitTpc, caller: AccountId, now: Timestamp) -> Option<Vec<u8>> {
        let split = &call.split;
        need(now <= split.valid_until)?;
        need((1..=MAX_PARTS).contains(&split.last.len()) && (1..=MAX_PARTS).contains(&split.parts.len()))?;
        let first = split.last[0].tpc;
        let whole = *self.tpcs.get(&first)?;
        let mut total: Balance = 0;
        for last in &split.last {
            // One that is named twice is gone the second time.
            let tpc = self.undisputed(last, caller, now)?;
            need(tpc.owners.parties == whole.owners.parties && tpc.owners.asset == whole.owners.asset)?;
            total += sum(last.balances)?;
            self.tpcs.remove(&last.tpc);
        }
        let mut parts: Balance = 0;
        for part in &split.parts {
            let part = sum(*part)?;
            need(part > 0)?;
            parts = parts.checked_add(part)?;
        }
        need(parts == total)?;
        let mut ids = vec![first];
        self.begin_epoch(first, whole, split.parts[0]);
        for (index, balances) in (1..).zip(&split.parts[1..]) {
            let owners = whole.owners.part(first, whole.epoch, index);
            let id = owners.tpc(&Native);
            let (epoch, version, dispute, mpc, registrations) = (0, 0, None, None, 0);
            let balances = *balances;
            self.tpcs.insert(id, Tpc { owners, balances, epoch, version, dispute, mpc, registrations });
            ids.push(id);
        }
        done(ids)
    }

    fn dispute(&mut self, id: TpcId, then: Resolution, caller: AccountId, now: Timestamp) -> Option<()> {
        let (again, back) = (self.lacks(Lack::OneDispute), self.lacks(Lack::NoWayBack));
        let tpc = self.tpcs.get_mut(&id)?;
        need(tpc.owners.parties.contains(&caller) && !is_due(tpc, now))?;
        let deadline = now + tpc.owners.window;
        match &mut tpc.dispute {
            Some(dispute) if again => dispute.deadline = deadline,
            Some(dispute) => {
                need(back || (dispute.then, then) == (Resolution::Renew, Resolution::Settle))?;
                dispute.then = then;
            }
            None => tpc.dispute = Some(Dispute { deadline, then, began_at: tpc.version }),
        }
        Some(())
    }

    fn settle(&mut self, id: TpcId, caller: AccountId, now: Timestamp) -> Option<()> {
        let tpc = *self.tpcs.get(&id)?;
        need(is_due(&tpc, now))?;
        let free_at = tpc.dispute?.deadline.saturating_add(tpc.owners.window);
        need(tpc.owners.parties.contains(&caller) || now > free_at || self.lacks(Lack::StrangersWait))?;
        self.tpcs.remove(&id);
        if !self.lacks(Lack::SettleRecords) {
            self.ended.insert((id, tpc.epoch), tpc.version);
        }
        if let Some(mpc) = tpc.mpc {
            self.shrink(mpc, 1);
        }
        self.pay_out(&tpc, tpc.balances);
        Some(())
    }

    fn register(
        &mut self,
        mpc: MpcId,
        members: &[Member],
        signatures: &[PartySignature],
        now: Timestamp,
    ) -> Option<()> {
        let any = self.lacks(Lack::Registrations);
        need(ascending(members.iter().map(|member| member.tpc)))?;
        let mut owners = vec![];
        for member in members {
            let tpc = self.tpcs.get_mut(&member.tpc)?;
            need(tpc.dispute.is_none() && tpc.mpc.is_none() && !is_due(tpc, now))?;
            need(any || tpc.registrations == member.registrations)?;
            (tpc.mpc, tpc.registrations) = (Some(mpc), tpc.registrations + 1);
            owners.extend(tpc.owners.parties);
        }
        need(signed_by(signatures, owners))
    }

    fn release(
        &mut self,
        mpc: MpcId,
        members: &[Member],
        signatures: &[PartySignature],
        caller: AccountId,
        now: Timestamp,
    ) -> Option<()> {
        let any = self.lacks(Lack::Registrations);
        need(ascending(members.iter().map(|member| member.tpc)))?;
        let mut owners = vec![];
        for member in members {
            let tpc = self.tpcs.get_mut(&member.tpc)?;
            need(tpc.mpc == Some(mpc) && !is_due(tpc, now))?;
            need(any || tpc.registrations == member.registrations)?;
            (tpc.mpc, tpc.registrations) = (None, tpc.registrations + 1);
            owners.extend(tpc.owners.parties);
        }
        need(owners.contains(&caller) && signed_by(signatures, owners))?;
        self.shrink(mpc, members.len() as u32);
        Some(())
    }

    fn shrink(&mut self, mpc: MpcId, by: u32) {
        let group = self.mpcs.get_mut(&mpc).unwrap();
        group.channels -= by;
        if group.channels == 0 {
            self.mpcs.remove(&mpc);
        }
    }

    fn credit(&mut self, account: AccountId, asset: Asset, amount: Balance) {
        if amount > 0 {
            *self.ledger.entry((account, asset)).or_default() += amount;
        }
    }

    fn debit(&mut self, account: AccountId, asset: Asset, amount: Balance) -> Option<()> {
        let left = self.ledger.remove(&(account, asset)).unwrap_or_default().checked_sub(amount)?;
        self.credit(account, asset, left);
        Some(())
    }

    fn pay(&mut self, account: AccountId, amount: Balance) {
        self.missing.remove(&account);
        *self.paid.entry(account).or_default() += amount;
    }

    /// Pays owners of a channel. The ledger takes what an account cannot, and every token.
    fn pay_out(&mut self, tpc: &Tpc, amounts: [Balance; 2]) {
        for (account, amount) in tpc.owners.parties.into_iter().zip(amounts) {
            let arrives = amount >= EXISTENTIAL_DEPOSIT || !self.missing.contains(&account);
            if tpc.owners.asset == Asset::Native && amount > 0 && arrives {
                self.pay(account, amount);
            } else {
                self.credit(account, tpc.owners.asset, amount);
            }
        }
    }

    /// What the contract answers for the end of an epoch: also once nothing can change it any more.
    pub fn ended(&self, id: TpcId, epoch: Epoch, now: Timestamp) -> Option<Version> {
        let due = self.tpcs.get(&id).filter(|tpc| tpc.epoch == epoch && is_due(tpc, now)).map(|tpc| tpc.version);
        due.or_else(|| self.ended.get(&(id, epoch)).copied())
    }

    /// Everything of an asset that the contract owes.
    pub fn owed(&self, asset: Asset) -> Balance {
        let ledgers = self.ledger.iter().filter(|((_, of), _)| *of == asset).map(|(_, balance)| balance);
        let tpcs = self.tpcs.values().filter(|tpc| tpc.owners.asset == asset).flat_map(|tpc| &tpc.balances);
        ledgers.chain(tpcs).sum()
    }

    /// How many things are worth keeping. Whoever disputes reserves the record of the end.
    pub fn items(&self) -> usize {
        let storage_itself = 1;
        let reserved = self.tpcs.values().filter(|tpc| tpc.dispute.is_some()).count();
        let ended = self.ended.len() + reserved;
        storage_itself + self.ledger.len() + self.nonces.len() + self.tpcs.len() + ended + self.mpcs.len()
    }
}

fn need(holds: bool) -> Option<()> {
    holds.then_some(())
}

/// What the contract answers to a call that it accepts.
fn done(answer: impl Encode) -> Option<Vec<u8>> {
    Some(answer.encode())
}

/// Whether the channel waits to be settled.
pub fn is_due(tpc: &Tpc, now: Timestamp) -> bool {
    tpc.dispute.is_some_and(|dispute| dispute.then == Resolution::Settle && now > dispute.deadline)
}

/// `None`, which no channel's total is, if the amounts do not fit.
pub fn sum([first, second]: [Balance; 2]) -> Option<Balance> {
    first.checked_add(second)
}

fn ascending(ids: impl Iterator<Item = TpcId>) -> bool {
    let ids: Vec<_> = ids.collect();
    !ids.is_empty() && ids.is_sorted_by(|one, next| one < next)
}

/// Whether exactly the owners signed, in their order.
fn signed_by(signatures: &[PartySignature], owners: impl IntoIterator<Item = AccountId>) -> bool {
    let owners: BTreeSet<_> = owners.into_iter().collect();
    signatures.iter().map(|signed| signed.party).eq(owners)
}
