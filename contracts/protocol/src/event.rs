//! What the contract tells the world: at least one event for every change.
//!
//! Events have no indexed fields: nodes keep no index of them beyond the block, and each costs 127 µs of weight.

use crate::{AccountId, Asset, Balance, Entry, Epoch, MpcId, Owners, Resolution, Timestamp, TpcId, Version};
use alloc::vec::Vec;
use codec::{Decode, Encode, MaxEncodedLen};

/// The most channels that one event names; larger changes are told in several.
///
/// The chain limits an event to 16 KiB, and the longest element has 78 bytes.
pub const CHANNELS_PER_EVENT: usize = 200;

/// An event of the contract. Tells the host's own encoding of it from others.
#[cfg(not(feature = "ink"))]
pub trait Told: Into<Event> {}

/// An event of the contract, as ink! encodes it.
#[cfg(feature = "ink")]
pub trait Told: Into<Event> + ink::env::Event {}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
            #[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
            #[cfg_attr(feature = "ink", derive(ink::Event))]
            #[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::EventMetadata))]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl From<$name> for Event {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }

            impl Told for $name {}
        )*

        /// An event of the contract, of any kind.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // Each variant holds the event of its name, documented there.
        pub enum Event {
            $($name($name)),*
        }

        impl Event {
            /// Reads the fields of the event that has this name. `None` if there is none, or the bytes are not its fields.
            pub fn decode(name: &str, data: &[u8]) -> Option<Self> {
                match name {
                    $(stringify!($name) => codec::DecodeAll::decode_all(&mut &*data).ok().map(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

events! {
    /// An asset came into the ledger.
    Deposited {
        /// Whose ledger.
        account: AccountId,
        /// Which asset.
        asset: Asset,
        /// How much came.
        amount: Balance,
    }

    /// An asset went out of the ledger.
    Withdrawn {
        /// Whose ledger.
        account: AccountId,
        /// Which asset.
        asset: Asset,
        /// How much went.
        amount: Balance,
    }

    /// A two-party channel was created.
    TpcCreated {
        /// The channel.
        tpc: TpcId,
        /// Its owners, and what else its id proves.
        owners: Owners,
        /// What they put in.
        balances: [Balance; 2],
        /// Which of them made the call.
        by: AccountId,
        /// What the caller sent along into its ledger first, in planck.
        deposited: Balance,
    }

    /// Newer states of channels are on chain.
    Updated {
        /// The new state of each channel that moved.
        entries: Vec<Entry>,
    }

    /// A two-party channel was closed and paid out.
    TpcClosed {
        /// The channel.
        tpc: TpcId,
        /// What each owner got.
        balances: [Balance; 2],
        /// Whose part went to the ledger.
        credited: [bool; 2],
    }

    /// More funds are in a channel, which is in its next epoch.
    TpcToppedUp {
        /// The channel.
        tpc: TpcId,
        /// Its new epoch.
        epoch: Epoch,
        /// What the owners hold.
        balances: [Balance; 2],
        /// What each owner put in.
        added: [Balance; 2],
    }

    /// A part of a channel was paid out, and it is in its next epoch.
    TpcWithdrawn {
        /// The channel.
        tpc: TpcId,
        /// Its new epoch.
        epoch: Epoch,
        /// What the owners hold.
        balances: [Balance; 2],
        /// What each owner got.
        amounts: [Balance; 2],
        /// Whose part went to the ledger.
        credited: [bool; 2],
    }

    /// Channels of the same owners became others.
    TpcSplit {
        /// The channels that were split. The first goes on as the first part, the others are gone.
        from: Vec<TpcId>,
        /// The first part's new epoch. All further parts are in epoch 0.
        epoch: Epoch,
        /// Each part, the first channel first, and what the owners hold in it.
        parts: Vec<(TpcId, [Balance; 2])>,
    }

    /// Owners have started the clocks of channels, or decided that a disputed channel will be settled, not renewed.
    Disputed {
        /// The channels.
        channels: Vec<ChannelDisputed>,
    }

    /// Disputed channels were paid out after their deadlines.
    Settled {
        /// The channels.
        channels: Vec<ChannelSettled>,
    }

    /// A group was registered.
    MpcCreated {
        /// The group.
        mpc: MpcId,
        /// Its channels.
        tpcs: Vec<TpcId>,
    }

    /// Channels joined a registered group.
    MpcJoined {
        /// The group.
        mpc: MpcId,
        /// The channels.
        tpcs: Vec<TpcId>,
    }

    /// Channels left a registered group.
    MpcLeft {
        /// The group.
        mpc: MpcId,
        /// The channels.
        tpcs: Vec<TpcId>,
    }

    /// All channels left a registered group, and it ended.
    MpcClosed {
        /// The group.
        mpc: MpcId,
        /// The channels.
        tpcs: Vec<TpcId>,
    }
}

/// A channel that is disputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct ChannelDisputed {
    /// The channel.
    pub tpc: TpcId,
    /// The epoch that the dispute will end.
    pub epoch: Epoch,
    /// The version that counts so far.
    pub version: Version,
    /// The last block time in ms at which newer states are accepted.
    pub deadline: Timestamp,
    /// What happens after it.
    pub then: Resolution,
}

/// A channel that was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen)]
#[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
pub struct ChannelSettled {
    /// The channel.
    pub tpc: TpcId,
    /// Its last epoch.
    pub epoch: Epoch,
    /// The version that counts for ever.
    pub version: Version,
    /// What each owner got.
    pub balances: [Balance; 2],
    /// Whose part went to the ledger.
    pub credited: [bool; 2],
}
