//! Why the contract, or a party before it signs, refuses.

use crate::{
    id::Hex,
    state::{MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    AccountId, Balance, Epoch, MpcId, Nonce, Timestamp, TpcId, Version,
};
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
    #[error("channel {tpc} is at epoch {stored}, which the entry does not fit")]
    WrongEpoch { tpc: TpcId, stored: Epoch },
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
    #[error("the window of a dispute must be between {MIN_WINDOW} and {MAX_WINDOW} ms")]
    BadWindow,
    #[error("the caller owns no part of channel {0}: only an owner may do this")]
    NotOwner(TpcId),
    #[error("channel {0} is disputed: answer with a newer state, close it together, or settle it after the deadline")]
    TpcDisputed(TpcId),
    #[error("the deadline of channel {0} has passed: settle it")]
    TpcDue(TpcId),
    #[error("channel {0} is not disputed: dispute it first")]
    TpcNotDisputed(TpcId),
    #[error("the multi-party channel {0} is disputed: it can be answered, closed or left until the deadline")]
    MpcDisputed(MpcId),
    #[error("the deadline of the multi-party channel {0} has passed: its channels go on alone")]
    MpcDue(MpcId),
    #[error("the multi-party channel {0} is not disputed: dispute it first")]
    MpcNotDisputed(MpcId),
    #[error("the dispute may be answered until {deadline} ms of block time: settle after that")]
    TooEarly { deadline: Timestamp },
    #[error("nobody who signed is in the multi-party channel through channel {0}: join with a member")]
    Uninvited(TpcId),
    #[error("channel {0} is a part of a split channel: split that one")]
    IsPart(TpcId),
    #[error("a channel is split into 1 to {MAX_PARTS} parts")]
    BadParts,
}
