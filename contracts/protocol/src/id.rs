//! What names a channel and a registered group.

use crate::{AccountId, Asset, Crypto, Epoch, Nonce, Window};
use codec::{Decode, Encode, MaxEncodedLen};
use core::fmt;

/// Keeps channel ids apart from every other hash that Braid makes.
const TPC_TAG: &[u8; 9] = b"braid/tpc";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
        #[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
        #[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
        pub struct $name(
            /// The 32 bytes.
            pub [u8; 32],
        );

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Hex(&self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), Hex(&self.0))
            }
        }
    };
}

id! {
    /// Names a two-party channel: the hash of its [`Owners`].
    ///
    /// It commits to all that a stranger must know of the channel without a look at the chain (rule I1), and it never
    /// comes back (rule I2).
    TpcId
}

id! {
    /// Names a registered group: the very payload that its creators signed (rule I3).
    ///
    /// It never comes back, because the payload names registration counts that only grow.
    MpcId
}

/// What a channel's id is the hash of: who owns it and what is fixed for its life.
///
/// It proves both, also when nothing of the channel is stored any more. Its size does not grow with the channel's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub struct Owners {
    /// The two owners, ascending. Everything about a channel is in this order.
    pub parties: [AccountId; 2],
    /// How long a dispute may be answered.
    pub window: Window,
    /// What the channel holds.
    pub asset: Asset,
    /// What brought the channel into being.
    pub origin: Origin,
}

/// What brought a channel into being. No two channels have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
#[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::storage::traits::StorageLayout))]
pub enum Origin {
    /// It was created: how many channels its pair had created before.
    #[codec(index = 0)]
    Creation(Nonce),
    /// It is a part of a split.
    #[codec(index = 1)]
    Split {
        /// The first channel that was split.
        first: TpcId,
        /// The epoch of the first channel that the split ended.
        epoch: Epoch,
        /// The part's index, from 1. Part 0 is the first channel itself.
        index: u8,
    },
}

impl Owners {
    /// The id of their channel.
    pub fn tpc(&self, crypto: &impl Crypto) -> TpcId {
        TpcId(crypto.blake2_256(&(TPC_TAG, self).encode()))
    }

    /// The owners of part `index`, from 1, when the channel `first`, which is theirs, is split and its `epoch` ends.
    pub fn part(&self, first: TpcId, epoch: Epoch, index: u8) -> Self {
        Self { origin: Origin::Split { first, epoch, index }, ..*self }
    }
}

/// Bytes shown as `0x…` in lower-case hexadecimal.
pub struct Hex<'a>(
    /// The bytes.
    pub &'a [u8],
);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
