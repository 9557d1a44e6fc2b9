//! Everything that a user can sign, and the 32 bytes that are signed.

use crate::{AccountId, Balance, Crypto, Entry, MpcId, Nonce, Timestamp, TpcId};
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

/// Braids channels into a multi-party channel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcCreation {
    /// Every channel, ascending, with the state that it enters in: the first of its next epoch.
    pub entries: Vec<Entry>,
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
