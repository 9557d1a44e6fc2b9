//! The contract as its plain model, which the client's tests hold against the compiled one, and what it tells.

// A test's module, whose failures are panics and of which not everything is used here.
#[allow(clippy::unwrap_used, dead_code)]
#[path = "../../../client/tests/properties/model.rs"]
mod model;

use braid::{contract::Event, engine::step::Submission, keys::Native};
use model::{Call, Model, Sent};
use protocol::{
    abi::Deposit, event, rules, AccountId, Balance, Crypto, Domain, Entry, MpcId, Nonce, PartySignature, Signature,
    Timestamp, Tpc, TpcId,
};

/// The contract's storage.
#[derive(Clone)]
pub struct Chain(Model);

macro_rules! call {
    ($submission:expr; $($message:ident),*) => {
        match $submission { $(Submission::$message(message) => Call::$message(message.clone())),* }
    };
}

impl Chain {
    /// A contract that holds `deposit` planck in the ledger of each account.
    pub fn new(domain: Domain, accounts: &[AccountId], deposit: Balance) -> Self {
        let mut model = Model::new(domain);
        for account in accounts {
            let sent = Sent { by: 0, value: deposit, call: Call::Deposit(Deposit {}), sound: true };
            model.take(&sent, *account, 0).expect("anyone may deposit");
        }
        Self(model)
    }

    /// The groups.
    pub fn mpcs(&self) -> impl Iterator<Item = MpcId> + '_ {
        self.0.mpcs.keys().copied()
    }

    /// What an account has outside of channels.
    pub fn wealth(&self, account: &AccountId) -> Balance {
        let [ledger, paid] = [&self.0.ledger, &self.0.paid].map(|held| held.get(account).copied().unwrap_or_default());
        ledger + paid
    }

    /// How many channels a pair has created.
    pub fn next_nonce(&self, parties: &[AccountId; 2]) -> Nonce {
        self.0.nonces.get(parties).copied().unwrap_or_default()
    }

    /// Calls the contract and answers what it tells: nothing if it refuses.
    pub fn call(&mut self, caller: AccountId, submission: &Submission, now: Timestamp) -> Vec<Event> {
        let call = call!(submission; CreateTpc, UpdateTpc, CloseTpc, TopUpTpc, WithdrawTpc, SplitTpc, DisputeTpc,
            SettleTpc, CreateMpc, UpdateMpc, CloseMpc, JoinMpc, LeaveMpc, DisputeMpc, SettleMpc);
        let sent = Sent { by: 0, value: 0, sound: self.is_signed(&call), call };
        let before = self.clone();
        if self.0.take(&sent, caller, now).is_none() {
            *self = before;
            return vec![];
        }
        self.told(&before, sent.call)
    }

    /// Whether every signature is good that comes with a call.
    fn is_signed(&self, call: &Call) -> bool {
        let Some(action) = call.action() else { return true };
        let payload = action.payload(&Native, &self.0.domain);
        let by_owners = |owners: Option<[AccountId; 2]>, signatures: &[Signature; 2]| {
            owners.is_some_and(|owners| rules::check_both(&Native, &payload, &owners, signatures).is_ok())
        };
        let by_both = |id: &TpcId, signatures| by_owners(self.0.tpcs.get(id).map(|tpc| tpc.parties), signatures);
        let by_all = |signatures: &[PartySignature]| {
            let is_good = |by: &PartySignature| Native.sr25519_verify(&by.signature.0, &payload, by.party.as_ref());
            signatures.iter().all(is_good)
        };
        match call {
            Call::CreateTpc(call) => by_owners(Some(call.creation.parties), &call.signatures),
            Call::UpdateTpc(call) => by_both(&call.entry.tpc, &call.signatures),
            Call::CloseTpc(call) => by_both(&call.close.last.tpc, &call.signatures),
            Call::TopUpTpc(call) => by_both(&call.top_up.snapshot.tpc, &call.signatures),
            Call::WithdrawTpc(call) => by_both(&call.withdrawal.snapshot.tpc, &call.signatures),
            Call::SplitTpc(call) => by_both(&call.split.tpc, &call.signatures),
            Call::CreateMpc(call) => by_all(&call.signatures),
            Call::UpdateMpc(call) => by_all(&call.signatures),
            Call::CloseMpc(call) => by_all(&call.signatures),
            Call::JoinMpc(call) => by_all(&call.signatures),
            Call::LeaveMpc(call) => by_all(&call.signatures),
            _ => true,
        }
    }

    /// What the contract tells about a call that it has taken.
    fn told(&self, before: &Self, call: Call) -> Vec<Event> {
        let credited = [false; 2];
        match call {
            Call::Deposit(_) | Call::Withdraw(_) => vec![],
            Call::CreateTpc(call) => {
                let (tpc, [first, second], balances) =
                    (call.creation.id(&Native), call.creation.parties, call.creation.balances);
                vec![Event::TpcCreated(event::TpcCreated { tpc, first, second, balances })]
            }
            Call::UpdateTpc(call) => {
                let Entry { tpc, epoch, version, balances } = call.entry;
                vec![Event::TpcUpdated(event::TpcUpdated { tpc, epoch, version, balances })]
            }
            Call::CloseTpc(call) => {
                let Entry { tpc, balances, .. } = call.close.last;
                vec![Event::TpcClosed(event::TpcClosed { tpc, balances, credited })]
            }
            Call::TopUpTpc(call) => {
                let Entry { tpc, epoch, balances, .. } = call.top_up.snapshot;
                vec![Event::TpcToppedUp(event::TpcToppedUp { tpc, epoch, balances })]
            }
            Call::WithdrawTpc(call) => {
                let (Entry { tpc, epoch, balances, .. }, amounts) = (call.withdrawal.snapshot, call.withdrawal.amounts);
                vec![Event::TpcWithdrawn(event::TpcWithdrawn { tpc, epoch, balances, amounts, credited })]
            }
            Call::SplitTpc(call) => {
                let (tpc, epoch, parts) = (call.split.tpc, call.split.epoch, call.split.parts);
                vec![Event::TpcDivided(event::TpcDivided { tpc, epoch, parts })]
            }
            Call::DisputeTpc(call) => self.told_disputed(call.id),
            Call::SettleTpc(call) => {
                let balances = before.0.tpcs[&call.id].balances;
                vec![Event::TpcSettled(event::TpcSettled { tpc: call.id, balances, credited })]
            }
            Call::CreateMpc(call) => {
                let mpc = call.creation.id(&Native, &self.0.domain);
                let channels = self.0.mpcs[&mpc].channels;
                vec![Event::MpcCreated(event::MpcCreated { mpc, channels }), entered(mpc, &call.creation.entries)]
            }
            Call::UpdateMpc(call) => self.told_moved(before, call.update.mpc, &call.update.entries),
            Call::CloseMpc(call) => {
                let mpc = call.close.mpc;
                let mut told = self.told_moved(before, mpc, &call.close.entries);
                told.push(Event::MpcClosed(event::MpcClosed { mpc }));
                told
            }
            Call::JoinMpc(call) => vec![entered(call.join.mpc, &call.join.entries)],
            Call::LeaveMpc(call) => {
                let mpc = call.leave.mpc;
                let tpcs = call.leave.entries.iter().map(|entry| entry.tpc).collect();
                let is_last = !self.0.mpcs.contains_key(&mpc);
                let closed = is_last.then_some(Event::MpcClosed(event::MpcClosed { mpc }));
                [Event::MpcLeft(event::MpcLeft { mpc, tpcs })].into_iter().chain(closed).collect()
            }
            Call::DisputeMpc(call) => {
                let (mpc, deadline) = (call.id, self.0.mpcs[&call.id].deadline.expect("it is disputed now"));
                let told = [Event::MpcDisputed(event::MpcDisputed { mpc, deadline })];
                told.into_iter().chain(call.exits.iter().flat_map(|tpc| self.told_disputed(*tpc))).collect()
            }
            Call::SettleMpc(call) => vec![Event::MpcSettled(event::MpcSettled { mpc: call.id })],
        }
    }

    fn told_disputed(&self, id: TpcId) -> Vec<Event> {
        let Tpc { epoch, version, deadline, .. } = self.0.tpcs[&id];
        let deadline = deadline.expect("it is disputed now");
        vec![Event::TpcDisputed(event::TpcDisputed { tpc: id, deadline, epoch, version })]
    }

    fn told_moved(&self, before: &Self, mpc: MpcId, entries: &[Entry]) -> Vec<Event> {
        let order = |chain: &Self, tpc| chain.0.tpcs.get(&tpc).map(|stored| (tpc, stored.epoch, stored.version));
        let moved = entries.iter().map(|entry| entry.tpc).filter(|tpc| order(self, *tpc) != order(before, *tpc));
        let states: Vec<_> = moved.filter_map(|tpc| order(self, tpc)).collect();
        let told = (!states.is_empty()).then_some(Event::MpcUpdated(event::MpcUpdated { mpc, states }));
        told.into_iter().collect()
    }
}

fn entered(mpc: MpcId, entries: &[Entry]) -> Event {
    Event::MpcEntered(event::MpcEntered { mpc, tpcs: entries.iter().map(|entry| entry.tpc).collect() })
}
