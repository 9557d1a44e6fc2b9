//! The contract's messages as values: what the client encodes is what the contract decodes.
//!
//! A message's arguments are its fields in their order, its selector the first four bytes of BLAKE2b-256 of its name.
//! A test of the client holds this list against the metadata of the built contract.

use crate::{
    AccountId, Asset, Balance, Crypto, Domain, Epoch, Error, Mpc, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave,
    Nonce, Owners, PartySignature, Resolution, Signature, SignedUpdate, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit,
    TpcTopUp, TpcWithdrawal, Update, Version,
};
use alloc::vec::Vec;
use codec::{Decode, Encode};

/// A message of the contract, or its constructor.
pub trait Message: Encode {
    /// Its name in the contract.
    const NAME: &'static str;
    /// What it answers.
    type Output: Decode;

    /// The bytes to send to the contract.
    fn call_data(&self, crypto: &impl Crypto) -> Vec<u8> {
        let [a, b, c, d, ..] = crypto.blake2_256(Self::NAME.as_bytes());
        ([a, b, c, d], self).encode()
    }
}

/// How ink! wraps every answer: the outer error means that the contract did not understand the call.
pub type Answer<T> = Result<T, LangError>;

/// ink!'s own refusal of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum LangError {
    /// The selector or the arguments are not of this contract.
    #[codec(index = 1)]
    #[error("the contract could not read the call: it is another contract, or another version of Braid's")]
    CouldNotReadInput,
}

macro_rules! messages {
    ($($(#[$doc:meta])* $type:ident = $name:literal ($($field:ident: $field_type:ty),*) -> $output:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
            #[allow(missing_docs)] // The fields are the message's arguments, documented with their types.
            pub struct $type { $(pub $field: $field_type),* }

            impl Message for $type {
                const NAME: &'static str = $name;
                type Output = $output;
            }
        )*

        /// Every message with the names of its arguments, for tests against the contract's metadata.
        pub const MESSAGES: &[(&str, &[&str])] = &[$(($name, &[$(stringify!($field)),*])),*];
    };
}

messages! {
    /// Instantiates the contract on the chain with this genesis hash.
    New = "new" (genesis_hash: [u8; 32]) -> ();
    /// Puts the value sent with the call into the caller's ledger.
    Deposit = "deposit" () -> Result<(), Error>;
    /// Pays out of the caller's ledger.
    Withdraw = "withdraw" (amount: Balance) -> Result<(), Error>;
    /// Has a token move what the caller has approved into the caller's ledger.
    DepositPsp22 = "deposit_psp22" (token: AccountId, amount: Balance) -> Result<(), Error>;
    /// Pays a token out of the caller's ledger.
    WithdrawPsp22 = "withdraw_psp22" (token: AccountId, amount: Balance) -> Result<(), Error>;
    /// Opens a channel with both owners' ledger funds. The value sent with the call goes to the caller's ledger first.
    CreateTpc = "create_tpc" (creation: TpcCreation, signatures: [Signature; 2]) -> Result<TpcId, Error>;
    /// Puts newer states of any channels on chain, all or none; answers how many channels moved. `owners` prove whose each
    /// channel is, in the order of the entries.
    UpdateChannels = "update" (update: Update, owners: Vec<Owners>, signatures: Vec<PartySignature>) -> Result<u32, Error>;
    /// Puts several updates on chain, each whole or not at all by itself; answers how many were.
    UpdateAll = "update_all" (updates: Vec<SignedUpdate>) -> Result<u32, Error>;
    /// Ends a channel and pays it out; an owner calls.
    CloseTpc = "close_tpc" (close: TpcClose, signatures: [Signature; 2]) -> Result<(), Error>;
    /// Puts more ledger funds into a channel; an owner calls.
    TopUpTpc = "top_up_tpc" (top_up: TpcTopUp, signatures: [Signature; 2]) -> Result<(), Error>;
    /// Pays a part of a channel out; an owner calls.
    WithdrawTpc = "withdraw_tpc" (withdrawal: TpcWithdrawal, signatures: [Signature; 2]) -> Result<(), Error>;
    /// Turns channels of the same owners and asset into others with the same sum; an owner calls. Answers the parts' ids.
    SplitTpc = "split_tpc" (split: TpcSplit, signatures: [Signature; 2]) -> Result<Vec<TpcId>, Error>;
    /// Starts the clocks of the caller's channels, or decides that disputed ones will be settled, not renewed. Answers how
    /// many channels that did.
    DisputeChannels = "dispute" (channels: Vec<TpcId>, then: Resolution) -> Result<u32, Error>;
    /// Pays channels out after their deadlines; strangers may one window later than owners. Answers how many.
    SettleChannels = "settle" (channels: Vec<TpcId>) -> Result<u32, Error>;
    /// Registers channels as a group.
    CreateMpc = "create_mpc" (creation: MpcCreation, signatures: Vec<PartySignature>) -> Result<MpcId, Error>;
    /// Registers further channels in a group.
    JoinMpc = "join_mpc" (join: MpcJoin, signatures: Vec<PartySignature>) -> Result<(), Error>;
    /// Releases channels from their group; an owner of one of them calls.
    LeaveMpc = "leave_mpc" (leave: MpcLeave, signatures: Vec<PartySignature>) -> Result<(), Error>;
    /// Releases all channels of a group and ends it; an owner of one of them calls.
    CloseMpc = "close_mpc" (close: MpcClose, signatures: Vec<PartySignature>) -> Result<(), Error>;
    /// What the contract holds for an account outside of channels.
    LedgerBalance = "ledger_balance" (account: AccountId, asset: Asset) -> Balance;
    /// A channel as it counts now.
    GetTpc = "tpc" (id: TpcId) -> Option<Tpc>;
    /// The version at which a dispute has ended an epoch of a channel for ever.
    GetEnded = "ended" (id: TpcId, epoch: Epoch) -> Option<Version>;
    /// A registered group.
    GetMpc = "mpc" (id: MpcId) -> Option<Mpc>;
    /// How many channels two accounts, in either order, have created: the nonce of their next one.
    NextNonce = "next_nonce" (parties: [AccountId; 2]) -> Nonce;
    /// Where signatures for this contract are good.
    GetDomain = "domain" () -> Domain;
}
