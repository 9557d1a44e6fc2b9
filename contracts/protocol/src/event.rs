//! What the contract tells the world: one event for every change, found by the channel, group or account it is about.

use crate::{AccountId, Balance, Epoch, MpcId, Timestamp, TpcId, Version};
use alloc::vec::Vec;
use codec::{Decode, Encode};

/// The most channels that one [`MpcEntered`], [`MpcUpdated`] or [`MpcLeft`] names; larger changes are told in several.
///
/// The chain limits an event to 16 KiB.
pub const TPCS_PER_EVENT: usize = 256;

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $(@$topic:ident)? $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
        #[cfg_attr(feature = "std", derive(scale_info::TypeInfo))]
        #[cfg_attr(feature = "ink", derive(ink::Event))]
        #[cfg_attr(all(feature = "std", feature = "ink"), derive(ink::EventMetadata))]
        pub struct $name {
            $($(#[$field_doc])* $(#[cfg_attr(feature = "ink", ink($topic))])? pub $field: $type,)*
        }
    };
}

event! {
    /// Tokens came into the ledger.
    Deposited {
        /// Whose ledger.
        @topic account: AccountId,
        /// How much came, in planck.
        amount: Balance,
    }
}

event! {
    /// Tokens went out of the ledger.
    Withdrawn {
        /// Whose ledger.
        @topic account: AccountId,
        /// How much went, in planck.
        amount: Balance,
    }
}

event! {
    /// A two-party channel was created.
    TpcCreated {
        /// The channel.
        @topic tpc: TpcId,
        /// The lower owner.
        @topic first: AccountId,
        /// The higher owner.
        @topic second: AccountId,
        /// What they put in, in planck.
        balances: [Balance; 2],
    }
}

event! {
    /// A newer state of a channel that stands alone is on chain.
    TpcUpdated {
        /// The channel.
        @topic tpc: TpcId,
        /// The state's epoch.
        epoch: Epoch,
        /// The state's version.
        version: Version,
        /// What the owners hold, in planck.
        balances: [Balance; 2],
    }
}

event! {
    /// A two-party channel was closed and paid out.
    TpcClosed {
        /// The channel.
        @topic tpc: TpcId,
        /// What each owner got, in planck.
        balances: [Balance; 2],
        /// Whose part went to the ledger because the account could not receive it.
        credited: [bool; 2],
    }
}

event! {
    /// More funds are in a channel, which is in a later epoch.
    TpcToppedUp {
        /// The channel.
        @topic tpc: TpcId,
        /// Its epoch.
        epoch: Epoch,
        /// What the owners hold, in planck.
        balances: [Balance; 2],
    }
}

event! {
    /// A part of a channel was paid out, and it is in a later epoch.
    TpcWithdrawn {
        /// The channel.
        @topic tpc: TpcId,
        /// Its epoch.
        epoch: Epoch,
        /// What the owners hold, in planck.
        balances: [Balance; 2],
        /// What each owner got, in planck.
        amounts: [Balance; 2],
        /// Whose part went to the ledger because the account could not receive it.
        credited: [bool; 2],
    }
}

event! {
    /// A channel's division into parts is on chain.
    TpcDivided {
        /// The channel that was created.
        @topic tpc: TpcId,
        /// The epoch that the parts are in.
        epoch: Epoch,
        /// What the owners hold in each part, in planck.
        parts: Vec<[Balance; 2]>,
    }
}

event! {
    /// An owner has started the clock of a channel, alone or with its group's.
    TpcDisputed {
        /// The channel.
        @topic tpc: TpcId,
        /// Until when newer states are accepted, in ms of block time.
        deadline: Timestamp,
        /// The epoch of the state that counts so far.
        epoch: Epoch,
        /// Its version.
        version: Version,
    }
}

event! {
    /// A disputed channel was paid out after its deadline.
    TpcSettled {
        /// The channel.
        @topic tpc: TpcId,
        /// What each owner got, in planck.
        balances: [Balance; 2],
        /// Whose part went to the ledger because the account could not receive it.
        credited: [bool; 2],
    }
}

event! {
    /// A multi-party channel was created.
    MpcCreated {
        /// The multi-party channel.
        @topic mpc: MpcId,
        /// How many channels are in it.
        channels: u32,
    }
}

event! {
    /// Channels entered a multi-party channel.
    MpcEntered {
        /// The multi-party channel.
        @topic mpc: MpcId,
        /// The channels.
        tpcs: Vec<TpcId>,
    }
}

event! {
    /// Newer states of channels in a multi-party channel are on chain.
    MpcUpdated {
        /// The multi-party channel.
        @topic mpc: MpcId,
        /// Each channel that moved, with its epoch and version.
        states: Vec<(TpcId, Epoch, Version)>,
    }
}

event! {
    /// A multi-party channel was closed; its channels stand alone again.
    MpcClosed {
        /// The multi-party channel.
        @topic mpc: MpcId,
    }
}

event! {
    /// Channels left a multi-party channel and stand alone.
    MpcLeft {
        /// The multi-party channel.
        @topic mpc: MpcId,
        /// The channels.
        tpcs: Vec<TpcId>,
    }
}

event! {
    /// A member has started the clock of a multi-party channel.
    MpcDisputed {
        /// The multi-party channel.
        @topic mpc: MpcId,
        /// Until when newer states are accepted, in ms of block time. Then its channels stand alone.
        deadline: Timestamp,
    }
}

event! {
    /// What was left of a multi-party channel after its deadline is removed.
    MpcSettled {
        /// The multi-party channel.
        @topic mpc: MpcId,
    }
}
