//! Everything that a user can sign, and the 32 bytes that are signed.

use crate::{AccountId, Asset, Balance, Crypto, Entry, MpcId, Nonce, Origin, Owners, Timestamp, TpcId, Window};
use alloc::vec::Vec;
use codec::{Decode, Encode, MaxEncodedLen};

/// Stands first in everything that is signed, so that a Braid signature is never good for anything else.
pub const DOMAIN_TAG: [u8; 8] = *b"braid/v2";

/// Where a signature is good: one contract on one chain (rule A2).
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

/// Moves channels to their next states, all of them or none: a payment in one channel, in a group, or along a path.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct Update {
    /// The next state of each channel, strictly ascending by channel.
    pub entries: Vec<Entry>,
}

/// An update with all that makes it complete.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct SignedUpdate {
    /// What is signed.
    pub update: Update,
    /// Who owns each channel, in the order of the entries.
    pub owners: Vec<Owners>,
    /// The signatures of all owners and of nobody else, strictly ascending by party.
    pub signatures: Vec<PartySignature>,
}

/// Opens a two-party channel with both owners' funds from the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcCreation {
    /// The owners, ascending.
    pub parties: [AccountId; 2],
    /// How many channels this pair has created before.
    pub nonce: Nonce,
    /// What the channel holds.
    pub asset: Asset,
    /// What each owner puts in.
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
    /// The channel's last state: in the stored epoch, of a version above all others.
    pub last: Entry,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Puts more of the owners' ledger funds into a two-party channel, and begins its next epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcTopUp {
    /// The last state of the epoch that ends.
    pub last: Entry,
    /// What each owner puts in.
    pub added: [Balance; 2],
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Pays a part of a two-party channel out, which stays open in its next epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcWithdrawal {
    /// The last state of the epoch that ends.
    pub last: Entry,
    /// What each owner gets.
    pub amounts: [Balance; 2],
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Turns channels of the same owners and asset into others with the same sum: one into several, or several into one.
///
/// The first of them goes on as the first part, in its next epoch; the others are gone. Every further part is a new
/// channel, like any other, with the first's window.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct TpcSplit {
    /// The last state of each channel that is split, of at most [`crate::state::MAX_PARTS`]; none twice.
    pub last: Vec<Entry>,
    /// What each owner holds in each part, of at most [`crate::state::MAX_PARTS`].
    pub parts: Vec<[Balance; 2]>,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// A channel that a registration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct Member {
    /// The channel.
    pub tpc: TpcId,
    /// How often it has been registered or released before, as stored ([`crate::Tpc::registrations`]).
    pub registrations: u32,
}

/// Registers channels as a group.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcCreation {
    /// The channels, strictly ascending.
    pub members: Vec<Member>,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Registers further channels in a group.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcJoin {
    /// The group.
    pub mpc: MpcId,
    /// A channel that is in it, one of whose owners also owns a joining channel: nobody joins uninvited.
    pub host: TpcId,
    /// The joining channels, strictly ascending.
    pub members: Vec<Member>,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Releases channels from their group.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcLeave {
    /// The group.
    pub mpc: MpcId,
    /// The leaving channels, strictly ascending.
    pub members: Vec<Member>,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Releases all channels of a group, and ends it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct MpcClose {
    /// The group.
    pub mpc: MpcId,
    /// Every channel in it, strictly ascending.
    pub members: Vec<Member>,
    /// Block time in ms after which the agreement is void.
    pub valid_until: Timestamp,
}

/// Everything that can be signed. The variant is part of what is signed, so no action passes for another.
///
/// Every owner of every channel that an action names signs it, but for the host of a join (rule A3).
#[derive(Clone, Copy, Debug, Encode)]
#[allow(missing_docs)] // Each variant holds the action of its name, documented there.
pub enum Action<'a> {
    #[codec(index = 0)]
    CreateTpc(&'a TpcCreation),
    #[codec(index = 1)]
    Update(&'a Update),
    #[codec(index = 2)]
    CloseTpc(&'a TpcClose),
    #[codec(index = 3)]
    TopUpTpc(&'a TpcTopUp),
    #[codec(index = 4)]
    WithdrawTpc(&'a TpcWithdrawal),
    #[codec(index = 5)]
    SplitTpc(&'a TpcSplit),
    #[codec(index = 6)]
    CreateMpc(&'a MpcCreation),
    #[codec(index = 7)]
    JoinMpc(&'a MpcJoin),
    #[codec(index = 8)]
    LeaveMpc(&'a MpcLeave),
    #[codec(index = 9)]
    CloseMpc(&'a MpcClose),
}

impl Action<'_> {
    /// What is signed: BLAKE2b-256 of SCALE((tag, domain), action) (rule A1).
    pub fn payload(&self, crypto: &impl Crypto, domain: &Domain) -> [u8; 32] {
        crypto.blake2_256(&(DOMAIN_TAG, domain, self).encode())
    }
}

impl TpcCreation {
    /// The owners that the channel will have.
    pub fn owners(&self) -> Owners {
        let Self { parties, nonce, asset, window, .. } = *self;
        Owners { parties, window, asset, origin: Origin::Creation(nonce) }
    }

    /// The id that the channel will have.
    pub fn id(&self, crypto: &impl Crypto) -> TpcId {
        self.owners().tpc(crypto)
    }
}

impl MpcCreation {
    /// The id that the group will have: the payload that its creators sign.
    pub fn id(&self, crypto: &impl Crypto, domain: &Domain) -> MpcId {
        MpcId(Action::CreateMpc(self).payload(crypto, domain))
    }
}
