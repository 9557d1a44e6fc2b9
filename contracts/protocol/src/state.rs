//! Two-party channels, multi-party channels, and the entries that move them.

use crate::{AccountId, MpcId, TpcId};
use codec::{Decode, Encode, MaxEncodedLen};

/// An amount of the chain's native token, in planck (1 UNIT = 10^12 planck).
pub type Balance = u128;

/// Counts the on-chain changes of a channel's membership: nothing signed in an earlier epoch counts in a later one.
pub type Epoch = u32;

/// Orders the states of a channel within an epoch; the highest fully signed one counts.
pub type Version = u64;

/// Counts the channels that a pair of accounts has created.
pub type Nonce = u64;

/// Block time in milliseconds since the Unix epoch.
pub type Timestamp = u64;

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
    /// The multi-party channel that the channel entered last. It is busy exactly while that one exists.
    pub mpc: Option<MpcId>,
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
