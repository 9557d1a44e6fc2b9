//! Everything that a user can sign, and the 32 bytes that are signed.

use crate::{AccountId, Balance, Crypto, Entry, Epoch, MpcId, Nonce, Timestamp, TpcId, Window};
use alloc::vec::Vec;
use codec::{Decode, Encode, MaxEncodedLen};

/// Stands first in everything that is signed, so that a Braid signature is never good for anything else.
pub const DOMAIN_TAG: [u8; 8] = *b"braid/v1";

/// Where a signature is good: one contract on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub struct Domain {
    /// The chain, by the hash of its first block.
    pub genesis_hash: [u8; 32],
    /// The contract's account.
    pub contract: AccountId,
}

/// An sr25519 signature in the context "substrate", as accounts sign extrinsics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct Signature(
    /// The 64 bytes.
    pub [u8; 64],
);

/// A signature beside its signer. Lists of them are in ascending order of the signers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct PartySignature {
    /// Who signed.
    pub party: AccountId,
    /// What that party signed with.
    pub signature: Signature,
}

/// Opens a two-party channel with both owners' funds from the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcCreation {
    /// The owners, ascending.
    pub parties: [AccountId; 2],
    /// How many channels this pair has created before.
    pub nonce: Nonce,
    /// What each owner puts in, in planck.
    pub balances: [Balance; 2],
    /// How long a dispute may be answered.
    pub window: Window,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Ends a two-party channel and pays its last state out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcClose {
    /// The channel and its last state, newer than any other.
    pub last: Entry,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Puts more of the owners' ledger funds into a two-party channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcTopUp {
    /// The channel with the new funds in it: the first state of a later epoch.
    pub snapshot: Entry,
    /// What each owner puts in, in planck.
    pub added: [Balance; 2],
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Pays a part of a two-party channel out, which stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcWithdrawal {
    /// The channel without what is paid out: the first state of a later epoch.
    pub snapshot: Entry,
    /// What each owner gets, in planck.
    pub amounts: [Balance; 2],
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Divides a channel into parts that are channels of their own, or, with one part, makes it whole again.
///
/// Like an update it is a state of the channel: it counts as soon as both owners have signed it, and the chain learns
/// of it only in a dispute, or before a part enters a multi-party channel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcSplit {
    /// The channel that was created; it is the first part.
    pub tpc: TpcId,
    /// A later epoch than any of its parts has been in. Every part begins in it, at version 0.
    pub epoch: Epoch,
    /// What each owner holds in each part, in planck; the sum over the parts is the channel's total.
    pub parts: Vec<[Balance; 2]>,
}

/// Braids channels into a multi-party channel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcCreation {
    /// Every channel, ascending, with the state that it enters in: the first of its next epoch.
    pub entries: Vec<Entry>,
    /// How long a dispute over the group may be answered.
    pub window: Window,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Moves any channels of a multi-party channel, all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcUpdate {
    /// The multi-party channel.
    pub mpc: MpcId,
    /// The next state of each channel that is touched, ascending by channel.
    pub entries: Vec<Entry>,
}

/// Releases every channel of a multi-party channel at its last state and ends it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcClose {
    /// The multi-party channel.
    pub mpc: MpcId,
    /// The last state of each of its channels, ascending by channel.
    pub entries: Vec<Entry>,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Brings further channels into a multi-party channel. The rest of it carries on undisturbed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcJoin {
    /// The multi-party channel.
    pub mpc: MpcId,
    /// A channel that is in it, one of whose owners also owns an entering channel: nobody joins uninvited.
    pub member: TpcId,
    /// Every entering channel, ascending, with the state that it enters in: the first of its next epoch.
    pub entries: Vec<Entry>,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Takes channels out of a multi-party channel. The rest of it carries on undisturbed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcLeave {
    /// The multi-party channel.
    pub mpc: MpcId,
    /// The last state of each channel that leaves, ascending by channel.
    pub entries: Vec<Entry>,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Everything that can be signed. The variant is part of what is signed, so no action passes for another.
#[derive(Clone, Copy, Debug, Encode)]
pub enum Action<'a> {
    /// Signed by both owners.
    #[codec(index = 0)]
    CreateTpc(&'a TpcCreation),
    /// Signed by both owners: the next state of a channel that stands alone.
    #[codec(index = 1)]
    UpdateTpc(&'a Entry),
    /// Signed by both owners.
    #[codec(index = 2)]
    CloseTpc(&'a TpcClose),
    /// Signed by every owner of the channels in it.
    #[codec(index = 3)]
    CreateMpc(&'a MpcCreation),
    /// Signed by every owner of the channels that it touches.
    #[codec(index = 4)]
    UpdateMpc(&'a MpcUpdate),
    /// Signed by every owner of the channels in it.
    #[codec(index = 5)]
    CloseMpc(&'a MpcClose),
    /// Signed by both owners.
    #[codec(index = 6)]
    TopUpTpc(&'a TpcTopUp),
    /// Signed by both owners.
    #[codec(index = 7)]
    WithdrawTpc(&'a TpcWithdrawal),
    /// Signed by both owners.
    #[codec(index = 8)]
    SplitTpc(&'a TpcSplit),
    /// Signed by every owner of the channels that enter.
    #[codec(index = 9)]
    JoinMpc(&'a MpcJoin),
    /// Signed by every owner of the channels that leave.
    #[codec(index = 10)]
    LeaveMpc(&'a MpcLeave),
}

impl Action<'_> {
    /// What is signed: BLAKE2b-256 of SCALE((tag, domain), action).
    pub fn payload(&self, crypto: &impl Crypto, domain: &Domain) -> [u8; 32] {
        crypto.blake2_256(&(DOMAIN_TAG, domain, self).encode())
    }
}

impl TpcCreation {
    /// The id that the channel will have.
    pub fn id(&self, crypto: &impl Crypto) -> TpcId {
        TpcId::of(crypto, &self.parties, self.nonce)
    }
}

impl MpcCreation {
    /// The id that the multi-party channel will have: the payload that its creators sign.
    pub fn id(&self, crypto: &impl Crypto, domain: &Domain) -> MpcId {
        MpcId(Action::CreateMpc(self).payload(crypto, domain))
    }
}
