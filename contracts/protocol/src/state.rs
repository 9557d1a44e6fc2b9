//! Two-party channels, multi-party channels, and the entries that move them.

use crate::{AccountId, MpcId, TpcId};
use codec::{Decode, Encode, MaxEncodedLen};

/// An amount of the chain's native token, in planck (1 UNIT = 10^12 planck).
pub type Balance = u128;

/// Counts the changes of a channel's membership, total and parts: nothing signed in an earlier epoch counts in a later
/// one.
pub type Epoch = u32;

/// Orders the states of a channel within an epoch; the highest fully signed one counts.
pub type Version = u64;

/// Counts the channels that a pair of accounts has created.
pub type Nonce = u64;

/// Block time in milliseconds since the Unix epoch.
pub type Timestamp = u64;

/// How long a dispute may be answered, in milliseconds of block time.
pub type Window = u64;

/// The shortest window that a channel or a group may agree on: ten seconds, so that a block or two can carry an answer.
pub const MIN_WINDOW: Window = 10_000;

/// The longest window: thirty days, so that nobody's funds are tied up for good.
pub const MAX_WINDOW: Window = 30 * 24 * 3_600_000;

/// The most parts that a channel is split into.
pub const MAX_PARTS: usize = 16;

/// A two-party payment channel as the contract stores it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub struct Tpc {
    /// The two owners, ascending. Everything about a channel is in this order.
    pub parties: [AccountId; 2],
    /// What each owner holds, in planck.
    pub balances: [Balance; 2],
    /// The current epoch.
    pub epoch: Epoch,
    /// The version of `balances` in this epoch.
    pub version: Version,
    /// How long a dispute over the channel may be answered.
    pub window: Window,
    /// The multi-party channel that the channel entered last. It is busy exactly while that one stands.
    pub mpc: Option<MpcId>,
    /// The end of the dispute over the channel, if there is one.
    pub deadline: Option<Timestamp>,
    /// The split that the contract knows of, if the channel is a part of one.
    pub split: Option<Split>,
}

/// The split that a channel is a part of. The channel that was created is its first part, 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub struct Split {
    /// The epoch that the split began.
    pub epoch: Epoch,
    /// In the first part, the number of parts beside it, with indices 1 to this; in every other part 0, for it is not
    /// split again.
    pub others: u8,
}

/// A multi-party payment channel as the contract stores it: a few words, whatever the size of the group.
///
/// Who belongs to it is written in the channels ([`Tpc::mpc`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub struct Mpc {
    /// The number of channels in it. Closing must name them all, so that all their owners have signed.
    pub channels: u32,
    /// How long a dispute over the group may be answered.
    pub window: Window,
    /// The end of the dispute over the group, if there is one. The group stands until then.
    pub deadline: Option<Timestamp>,
}

impl Mpc {
    /// Whether the group still holds its channels at block time `now`.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.deadline.is_none_or(|deadline| now <= deadline)
    }
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
    /// What each owner holds in the state, in planck; their sum is the channel's total.
    pub balances: [Balance; 2],
}

impl Tpc {
    /// Everything that the channel holds, in planck. `None` if the sum does not fit, which no stored channel has.
    pub fn total(&self) -> Option<Balance> {
        total(&self.balances)
    }

    /// The stored state as an entry, e.g. to build the next one from.
    pub fn entry(&self, tpc: TpcId) -> Entry {
        Entry { tpc, epoch: self.epoch, version: self.version, balances: self.balances }
    }
}

impl Entry {
    /// Everything that the entry distributes, in planck. `None` if the sum does not fit.
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
