//! What names a channel and a group of channels.

use crate::{AccountId, Crypto, Epoch, Nonce};
use codec::{Decode, Encode, MaxEncodedLen};
use core::fmt;

/// Keeps channel ids apart from every other hash that Braid makes.
const TPC_TAG: &[u8; 9] = b"braid/tpc";

/// Keeps the ids of a split channel's parts apart from all others.
const PART_TAG: &[u8; 10] = b"braid/part";

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
    /// Names a two-party channel: the hash of its owners and their creation nonce.
    ///
    /// It commits to the owners so that a signature for a channel can be checked even when nothing of the
    /// channel is stored any more, and it never comes back because the nonce of a pair only grows.
    TpcId
}

id! {
    /// Names a multi-party channel: the very payload that its creators signed.
    ///
    /// It never comes back because the payload holds a (channel, epoch) pair, and both are used once.
    MpcId
}

impl TpcId {
    /// The id of the `nonce`-th channel that `parties` (ascending) create.
    pub fn of(crypto: &impl Crypto, parties: &[AccountId; 2], nonce: Nonce) -> Self {
        Self(crypto.blake2_256(&(TPC_TAG, parties, nonce).encode()))
    }

    /// The id of part `index` of this channel's split at `epoch`. The first part, 0, is the channel itself.
    ///
    /// It never comes back either: a channel is split at most once in an epoch.
    pub fn part(self, crypto: &impl Crypto, epoch: Epoch, index: u8) -> Self {
        match index {
            0 => self,
            _ => Self(crypto.blake2_256(&(PART_TAG, self, epoch, index).encode())),
        }
    }
}

/// What a channel's id is the hash of: who owns it, provable even when nothing of the channel is stored any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct Owners {
    /// The owners, ascending.
    pub parties: [AccountId; 2],
    /// The channel's nonce among this pair's.
    pub nonce: Nonce,
    /// The epoch of the split and the index in it, if the channel is a part of that one.
    pub part: Option<(Epoch, u8)>,
}

impl Owners {
    /// The id of their channel.
    pub fn tpc(&self, crypto: &impl Crypto) -> TpcId {
        let whole = TpcId::of(crypto, &self.parties, self.nonce);
        self.part.map_or(whole, |(epoch, index)| whole.part(crypto, epoch, index))
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
