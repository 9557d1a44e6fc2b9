//! Why the contract, or a party before it signs, refuses.

use crate::{
    id::Hex,
    state::{MAX_CHANNELS, MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
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
    #[error("the ledger of {} holds only {available} of the asset's smallest unit: deposit first", Hex(.account.as_ref()))]
    InsufficientLedger { account: AccountId, available: Balance },
    #[error("the account cannot receive this amount: withdraw at least the existential deposit")]
    TransferFailed,
    #[error("the token {} refuses: check the balance, and approve the amount for the contract", Hex(.0.as_ref()))]
    TokenFailed(AccountId),
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
    #[error("channel {0} is busy in a registered group: leave the group first")]
    TpcBusy(TpcId),
    #[error("channel {0} is not in this group")]
    NotMember(TpcId),
    #[error("there is no registered group {0}")]
    UnknownMpc(MpcId),
    #[error("channel {tpc} is in epoch {stored}: sign for that one")]
    WrongEpoch { tpc: TpcId, stored: Epoch },
    #[error("channel {tpc} is already at version {stored}: bring a newer state")]
    StaleVersion { tpc: TpcId, stored: Version },
    #[error("the balances of channel {tpc} do not sum to its total of {total}")]
    SumMismatch { tpc: TpcId, total: Balance },
    #[error("a dispute has ended epoch {epoch} of channel {tpc} at version {version}: the update is void")]
    Void { tpc: TpcId, epoch: Epoch, version: Version },
    #[error("no entry is newer than what the contract holds")]
    NothingNewer,
    #[error("the list is empty: name at least one channel")]
    NoChannels,
    #[error("the call names more than {MAX_CHANNELS} channels: make several calls")]
    TooManyChannels,
    #[error("the channels are not in strictly ascending order")]
    ChannelsNotSorted,
    #[error("the group has {expected} channels: name every one of them")]
    ChannelsMissing { expected: u32 },
    #[error("channel {tpc} has been registered or released {stored} times: sign for that count")]
    WrongRegistrations { tpc: TpcId, stored: u32 },
    #[error("there are not as many owners' proofs as channels")]
    OwnersMissing,
    #[error("the owners' proof of channel {0} does not give its id")]
    WrongOwners(TpcId),
    #[error("the signatures are not in strictly ascending order of their parties")]
    SignaturesNotSorted,
    #[error("the signature of {} is missing", Hex(.0.as_ref()))]
    MissingSignature(AccountId),
    #[error("{} signed, but owns none of the channels named", Hex(.0.as_ref()))]
    ForeignSignature(AccountId),
    #[error("the signature of {} is not good for this action here", Hex(.0.as_ref()))]
    BadSignature(AccountId),
    #[error("the window of a dispute must be between {MIN_WINDOW} and {MAX_WINDOW} ms")]
    BadWindow,
    #[error("the caller does not own channel {0}: only an owner may do this")]
    NotOwner(TpcId),
    #[error("channel {0} is disputed: answer with a newer state, close it together, or wait for the deadline")]
    TpcDisputed(TpcId),
    #[error("the deadline of channel {0} has passed: settle it")]
    TpcDue(TpcId),
    #[error("channel {0} is not disputed: dispute it first")]
    TpcNotDisputed(TpcId),
    #[error("the channel can be settled after {after} ms of block time: wait until then")]
    TooEarly { after: Timestamp },
    #[error("nobody who signed owns channel {0}, through which to join: join with one of its owners")]
    Uninvited(TpcId),
    #[error("a split takes 1 to {MAX_PARTS} channels, none of them twice, and makes 1 to {MAX_PARTS}")]
    BadParts,
    #[error("channel {0} has other owners or another asset than the first: split it by itself")]
    NotAlike(TpcId),
}
