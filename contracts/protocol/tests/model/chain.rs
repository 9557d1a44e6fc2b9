//! The chain of the model: the real contract over a host in memory, and hosts that break one of its rules.

use crate::common::{verify, Call, Chain, DOMAIN};
use protocol::{
    event::{Event, Told},
    rules, AccountId, Asset, Balance, Crypto, Domain, Entry, Epoch, Error, Host, Mpc, MpcId, Nonce, Timestamp, Tpc,
    TpcId, Version,
};
use std::borrow::Cow;

/// A rule that is switched off: of the contract by a host that misleads it, of an honest party in [`crate::party`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// (2): an update that is newer than a due channel passes the channel over.
    DueIsPassedOver,
    /// (2) as well: some entries of an update can be published without the others.
    PartialPublication,
    /// (4): an update that is newer than the recorded end of an epoch passes the channel over.
    EndsUnrecorded,
    /// (4) for renewals alone.
    RenewalsUnrecorded,
    /// (5): what both owners ended refuses an update as well.
    ConsentVoids,
    /// A record says that a dispute ended an epoch, but not at which version.
    EndsWithoutOrder,
    /// A close while a channel is disputed leaves the record.
    CloseIsRecorded,
    /// A close is accepted when the channel is due.
    CloseWhenDue,
    /// A channel that is gone can be created again.
    IdReused,
    SignaturesUnchecked,
    SumsUnchecked,
    OwnersUnchecked,
    /// A second dispute starts the clock again.
    DisputeRestartsClock,
    /// An update starts the clock of a disputed channel again.
    AnswerRestartsClock,
    /// The count of registrations stays at zero.
    RegistrationsUncounted,

    /// S1: the party does not look at windows.
    WindowUnchecked,
    /// S1: the party signs for a channel that it cannot see on chain, whose window it therefore does not know.
    OffChainSigned,
    /// S1: what it signs follows from the state on chain, although a newer one is complete.
    SkipsComplete,
    /// S2: a later update need not cover what is in flight.
    ReplacementOverlaps,
    /// S2: what is replaced is taken for gone (H2).
    ReplacedIsGone,
    /// S3: a close that both signed counts as complete (H1).
    CloseIsComplete,
    /// S3: an update may replace a close (H1).
    UpdateReplacesClose,
    /// S4: an update is complete, whatever time is left to publish it.
    CompleteTooLate,
    /// S5: an update is void when a channel of it is due or ended, at whatever version (H3).
    VoidWhenDue,
    /// S5: an update is void when a channel of it is disputed.
    VoidWhenDisputed,
    /// S6: disputes of foreign channels are not answered.
    AnswersOwnOnly,
    /// S6: only the newest complete update is kept.
    KeepsNewest,
    /// S6: only updates that are the latest on all own channels are kept.
    KeepsLatestOnAll,
    /// [`Mutant::EndsWithoutOrder`], while the party answers every dispute of a channel that it holds an update for.
    EndsWithoutOrderThoughAllAnswered,
}

use Mutant::*;

impl Mutant {
    pub const ALL: &'static [Self] = &[
        DueIsPassedOver,
        PartialPublication,
        EndsUnrecorded,
        RenewalsUnrecorded,
        ConsentVoids,
        EndsWithoutOrder,
        CloseIsRecorded,
        CloseWhenDue,
        IdReused,
        SignaturesUnchecked,
        SumsUnchecked,
        OwnersUnchecked,
        DisputeRestartsClock,
        AnswerRestartsClock,
        RegistrationsUncounted,
        WindowUnchecked,
        OffChainSigned,
        SkipsComplete,
        ReplacementOverlaps,
        ReplacedIsGone,
        CloseIsComplete,
        UpdateReplacesClose,
        CompleteTooLate,
        VoidWhenDue,
        VoidWhenDisputed,
        AnswersOwnOnly,
        KeepsNewest,
        KeepsLatestOnAll,
        EndsWithoutOrderThoughAllAnswered,
    ];
}

/// Which of the contract's messages is running: some mutants break one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Update(&'a [Entry]),
    Dispute,
    Close,
    Other,
}

/// One call of the real contract, by a host that may break a rule.
pub struct Modelled<'a> {
    pub call: Call<'a>,
    pub mutant: Option<Mutant>,
    pub message: Message<'a>,
}

/// A call, and what it makes of the chain. `None` if the contract refuses it.
pub fn call<'a, T>(
    chain: &'a Chain,
    mutant: Option<Mutant>,
    caller: AccountId,
    message: Message<'a>,
    call: impl FnOnce(&mut Modelled<'a>) -> Result<T, Error>,
) -> Option<(Chain, Vec<Event>)> {
    let mut host = Modelled { call: Call::new(chain, caller), mutant, message };
    call(&mut host).ok()?;
    match host.call.chain {
        Cow::Owned(chain) => Some((chain, host.call.told)),
        Cow::Borrowed(_) => None,
    }
}

/// A hash that is quick and, among the few thousand inputs of a model, free of collisions. What is signed and named is
/// a symbol here: no forgery is looked for.
pub fn symbol(data: &[u8]) -> [u8; 32] {
    const KEYS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];
    let mut lanes = KEYS;
    let mut absorb = |word: u64| {
        for (lane, key) in lanes.iter_mut().zip(KEYS) {
            let product = u128::from(*lane ^ word).wrapping_mul(u128::from(key | 1));
            *lane = (product as u64).rotate_left(23) ^ (product >> 64) as u64 ^ key;
        }
    };
    for chunk in data.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        absorb(u64::from_le_bytes(word));
    }
    absorb(data.len() as u64);
    absorb(0);
    let mut hash = [0; 32];
    for (part, lane) in hash.chunks_mut(8).zip([lanes[0], lanes[1], lanes[0], lanes[1]]) {
        part.copy_from_slice(&lane.to_le_bytes());
    }
    hash
}

impl Crypto for Modelled<'_> {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        symbol(data)
    }

    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
        self.mutant == Some(SignaturesUnchecked) || verify(signature, message, signer)
    }
}

impl Host for Modelled<'_> {
    fn domain(&self) -> Domain {
        DOMAIN
    }

    fn caller(&self) -> AccountId {
        match (self.mutant, self.message) {
            (Some(OwnersUnchecked), Message::Dispute) => {
                self.call.chain.tpcs.iter().next().map_or(self.call.caller, |(_, tpc)| tpc.owners.parties[0])
            }
            _ => self.call.caller,
        }
    }

    fn now(&self) -> Timestamp {
        match (self.mutant, self.message) {
            (Some(CloseWhenDue), Message::Close) => 0,
            _ => self.call.now(),
        }
    }

    fn ledger(&self, account: AccountId, asset: Asset) -> Balance {
        self.call.ledger(account, asset)
    }

    fn set_ledger(&mut self, account: AccountId, asset: Asset, balance: Balance) {
        self.call.set_ledger(account, asset, balance);
    }

    fn nonce(&self, parties: [AccountId; 2]) -> Nonce {
        match self.mutant {
            Some(IdReused) => 0,
            _ => self.call.nonce(parties),
        }
    }

    fn set_nonce(&mut self, parties: [AccountId; 2], nonce: Nonce) {
        self.call.set_nonce(parties, nonce);
    }

    fn tpc(&self, id: TpcId) -> Option<Tpc> {
        let tpc = self.call.tpc(id)?;
        match (self.mutant, self.message) {
            (Some(DueIsPassedOver), Message::Update(_)) if tpc.is_due(self.now()) => None,
            (Some(RenewalsUnrecorded), _) => Some(rules::renewed(tpc, self.now()).0),
            (Some(DisputeRestartsClock), Message::Dispute) => Some(Tpc { dispute: None, ..tpc }),
            (Some(SumsUnchecked), Message::Update(entries)) => {
                let entry = entries.iter().find(|entry| entry.tpc == id);
                Some(entry.map_or(tpc, |entry| Tpc { balances: entry.balances, ..tpc }))
            }
            _ => Some(tpc),
        }
    }

    fn set_tpc(&mut self, id: TpcId, tpc: Option<&Tpc>) {
        let mut stored = tpc.copied();
        if let Some(tpc) = &mut stored {
            match (self.mutant, self.message) {
                (Some(RegistrationsUncounted), _) => tpc.registrations = 0,
                (Some(AnswerRestartsClock), Message::Update(_)) => {
                    if let Some(dispute) = &mut tpc.dispute {
                        dispute.deadline = self.call.now() + tpc.owners.window;
                    }
                }
                _ => {}
            }
        }
        self.call.set_tpc(id, stored.as_ref());
    }

    fn ended(&self, id: TpcId, epoch: Epoch) -> Option<Version> {
        let ended = self.call.ended(id, epoch);
        match self.mutant {
            Some(EndsUnrecorded) => None,
            Some(DueIsPassedOver) if self.call.tpc(id).is_some_and(|tpc| tpc.is_due(self.now())) => None,
            Some(RenewalsUnrecorded) if self.call.tpc(id).is_some() => None,
            Some(ConsentVoids) => ended.or(Some(0)),
            Some(EndsWithoutOrder | EndsWithoutOrderThoughAllAnswered) => ended.map(|_| 0),
            _ => ended,
        }
    }

    fn set_ended(&mut self, id: TpcId, epoch: Epoch, version: Option<Version>) {
        if self.mutant != Some(CloseIsRecorded) || version.is_some() {
            self.call.set_ended(id, epoch, version);
        }
    }

    fn mpc(&self, id: MpcId) -> Option<Mpc> {
        self.call.mpc(id)
    }

    fn set_mpc(&mut self, id: MpcId, mpc: Option<Mpc>) {
        self.call.set_mpc(id, mpc);
    }

    fn pay(&mut self, account: AccountId, amount: Balance) -> bool {
        self.call.pay(account, amount)
    }

    fn token_balance(&mut self, token: AccountId) -> Option<Balance> {
        self.call.token_balance(token)
    }

    fn pull_token(&mut self, token: AccountId, from: AccountId, amount: Balance) -> bool {
        self.call.pull_token(token, from, amount)
    }

    fn push_token(&mut self, token: AccountId, to: AccountId, amount: Balance) -> bool {
        self.call.push_token(token, to, amount)
    }

    fn tell(&mut self, event: impl Told) {
        self.call.tell(event);
    }
}
