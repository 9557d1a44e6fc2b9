//! Why the contract, or a party before it signs, refuses.

use crate::{id::Hex, AccountId, Balance, Epoch, MpcId, Nonce, Timestamp, TpcId, Version};
use codec::{Decode, Encode};

/// A refusal. Nothing has changed when one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[allow(missing_docs)] // Each variant's message says what it means; its fields are named in it.
pub enum Error {
    #[error("the amount is zero: name how much to move")]
    ZeroAmount,
    #[error("the ledger holds only {available} planck of {}: deposit first", Hex(.account.as_ref()))]
    InsufficientLedger { account: AccountId, available: Balance },
    #[error("the account cannot receive this amount: withdraw at least the existential deposit")]
    TransferFailed,
    #[error("the amounts do not fit into 128 bits")]
    Overflow,
    #[error("the agreement was void after {valid_until} ms of block time: sign a new one")]
    Expired { valid_until: Timestamp },
    #[error("the two parties are not two different accounts in ascending order")]
    PartiesNotSorted,
    #[error("the next channel of this pair has nonce {expected}: sign a creation with that one")]
    WrongNonce { expected: Nonce },
    #[error("there is no channel {0}")]
    UnknownTpc(TpcId),
    #[error("channel {0} is busy in a multi-party channel: act through that one, or close it first")]
    TpcBusy(TpcId),
    #[error("channel {0} is not in this multi-party channel")]
    NotMember(TpcId),
    #[error("there is no multi-party channel {0}")]
    UnknownMpc(MpcId),
    #[error("channel {tpc} needs epoch {expected} here")]
    WrongEpoch { tpc: TpcId, expected: Epoch },
    #[error("channel {tpc} is already at version {stored}: bring a newer state")]
    StaleVersion { tpc: TpcId, stored: Version },
    #[error("the balances of channel {tpc} do not sum to its total of {total} planck")]
    SumMismatch { tpc: TpcId, total: Balance },
    #[error("no entry is newer than what the contract holds")]
    NothingNewer,
    #[error("there are no entries: name at least one channel")]
    NoEntries,
    #[error("the entries are not in strictly ascending order of their channels")]
    EntriesNotSorted,
    #[error("the multi-party channel has {expected} channels: name every one of them")]
    ChannelsMissing { expected: u32 },
    #[error("the signatures are not in strictly ascending order of their parties")]
    SignaturesNotSorted,
    #[error("the signature of {} is missing", Hex(.0.as_ref()))]
    MissingSignature(AccountId),
    #[error("{} signed, but owns none of the channels touched", Hex(.0.as_ref()))]
    ForeignSignature(AccountId),
    #[error("the signature of {} is not good for this action here", Hex(.0.as_ref()))]
    BadSignature(AccountId),
}
