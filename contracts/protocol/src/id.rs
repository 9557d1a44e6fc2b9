//! What names a channel and a group of channels.

use crate::{AccountId, Crypto, Nonce};
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
