//! Two-party channels, registered groups, and the entries that move channels.

use crate::{AccountId, MpcId, Owners, TpcId};
use codec::{Decode, Encode, MaxEncodedLen};

/// An amount of an asset in its smallest unit; of the native token in planck (1 UNIT = 10^12 planck).
pub type Balance = u128;

/// Counts a channel's beginnings: top-ups, withdrawals, splits and renewals. An epoch begins on chain only, and nothing
/// signed for an earlier one counts in it (rule E1).
pub type Epoch = u32;

/// Orders the states of a channel within an epoch; the highest fully signed one counts.
pub type Version = u64;

/// Counts the channels that a pair of accounts has created.
pub type Nonce = u64;

/// Block time in milliseconds since the Unix epoch.
pub type Timestamp = u64;

/// How long a dispute may be answered, in milliseconds of block time.
pub type Window = u64;

/// The shortest window that a channel may have: ten seconds, which suits development chains. Whoever signs asks for more
/// than finality takes (rule S1).
pub const MIN_WINDOW: Window = 10_000;

/// The longest window: thirty days, so that nobody's funds are tied up for good.
pub const MAX_WINDOW: Window = 30 * 24 * 3_600_000;

/// The most channels that a split takes, and the most that it makes (rule E7).
pub const MAX_PARTS: usize = 16;

/// The most channels that one call of the contract names, and so the most entries of an update that anybody signs.
///
/// Every call of this size executes in a block that does not limit the proof size of a call, also with all owners
/// different and every owners' proof at its longest (rule U1). A parachain's block takes fewer channels (rule S1).
pub const MAX_CHANNELS: usize = 256;

/// What a channel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub enum Asset {
    /// The chain's native token.
    #[codec(index = 0)]
    Native,
    /// The PSP22 token of this contract.
    #[codec(index = 1)]
    Psp22(AccountId),
}

/// A two-party payment channel as the contract stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub struct Tpc {
    /// Who owns it, and what is fixed for its life.
    pub owners: Owners,
    /// What each owner holds, in the asset's smallest unit.
    pub balances: [Balance; 2],
    /// The current epoch.
    pub epoch: Epoch,
    /// The version of `balances` in this epoch.
    pub version: Version,
    /// The dispute over the channel, if there is one.
    pub dispute: Option<Dispute>,
    /// The group that it is registered in. It is busy exactly while it is in one (rule G1).
    pub mpc: Option<MpcId>,
    /// How often it has been registered or released: so that each registration that was signed is good once.
    pub registrations: u32,
}

/// A dispute over a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub struct Dispute {
    /// The last block time in ms at which newer states are accepted.
    pub deadline: Timestamp,
    /// What happens after the deadline.
    pub then: Resolution,
    /// The version that was stored when the dispute began. The record of the epoch's end holds it until the end is written.
    pub began_at: Version,
}

/// What happens to a disputed channel after its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub enum Resolution {
    /// It waits to be settled: whoever may then has both owners paid, and the channel is deleted.
    #[codec(index = 0)]
    Settle,
    /// It lives on by itself, in its next epoch.
    #[codec(index = 1)]
    Renew,
}

/// A registered group as the contract stores it: its size alone.
///
/// Who belongs to it is written in the channels ([`Tpc::mpc`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub struct Mpc {
    /// The number of channels in it. Closing must name them all, so that all their owners have signed.
    pub channels: u32,
}

/// One channel's part of a signed update: its next state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct Entry {
    /// The channel.
    pub tpc: TpcId,
    /// The epoch that the state belongs to.
    pub epoch: Epoch,
    /// The state's version within the epoch.
    pub version: Version,
    /// What each owner holds in the state; their sum is the channel's total.
    pub balances: [Balance; 2],
}

impl Tpc {
    /// Everything that the channel holds. `None` if the sum does not fit, which no stored channel has.
    pub fn total(&self) -> Option<Balance> {
        total(&self.balances)
    }

    /// The stored state as an entry, e.g. to build the next one from.
    pub fn entry(&self, tpc: TpcId) -> Entry {
        Entry { tpc, epoch: self.epoch, version: self.version, balances: self.balances }
    }

    /// Its epoch and version.
    pub fn order(&self) -> (Epoch, Version) {
        (self.epoch, self.version)
    }

    /// Whether the channel is due at block time `now`: its deadline has passed and it waits to be settled (rule D3).
    ///
    /// A channel that renews itself is not due: [`crate::rules::renewed`] has it in its next epoch.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.dispute.is_some_and(|dispute| dispute.then == Resolution::Settle && now > dispute.deadline)
    }
}

impl Entry {
    /// Everything that the entry distributes. `None` if the sum does not fit.
    pub fn total(&self) -> Option<Balance> {
        total(&self.balances)
    }

    /// What orders the states of a channel.
    pub fn order(&self) -> (Epoch, Version) {
        (self.epoch, self.version)
    }
}

fn total([a, b]: &[Balance; 2]) -> Option<Balance> {
    a.checked_add(*b)
}
