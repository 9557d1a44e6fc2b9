//! The contract's messages as values: what the client encodes is what the contract decodes.
//!
//! A message's arguments are its fields in their order, its selector the first four bytes of BLAKE2b-256 of its name.
//! A test of the client holds this list against the metadata of the built contract.

use crate::{
    AccountId, Balance, Crypto, Domain, Error, Mpc, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, MpcUpdate, Nonce,
    Owners, PartySignature, Signature, Timestamp, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal,
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
    /// Opens a channel with both owners' ledger funds.
    CreateTpc = "create_tpc" (creation: TpcCreation, signatures: [Signature; 2]) -> Result<TpcId, Error>;
    /// Puts a newer state of a channel on chain.
    UpdateTpc = "update_tpc" (entry: crate::Entry, signatures: [Signature; 2]) -> Result<(), Error>;
    /// Ends a channel and pays it out.
    CloseTpc = "close_tpc" (close: TpcClose, signatures: [Signature; 2]) -> Result<(), Error>;
    /// Puts more ledger funds into a channel.
    TopUpTpc = "top_up_tpc" (top_up: TpcTopUp, signatures: [Signature; 2]) -> Result<(), Error>;
    /// Pays a part of a channel out.
    WithdrawTpc = "withdraw_tpc" (withdrawal: TpcWithdrawal, signatures: [Signature; 2]) -> Result<(), Error>;
    /// Puts a channel's newer division into parts on chain.
    SplitTpc = "split_tpc" (split: TpcSplit, signatures: [Signature; 2]) -> Result<(), Error>;
    /// Starts the clock of a channel; only an owner may. Answers the deadline.
    DisputeTpc = "dispute_tpc" (id: TpcId) -> Result<Timestamp, Error>;
    /// Pays a disputed channel out after its deadline.
    SettleTpc = "settle_tpc" (id: TpcId) -> Result<(), Error>;
    /// Braids channels into a multi-party channel.
    CreateMpc = "create_mpc" (creation: MpcCreation, signatures: Vec<PartySignature>) -> Result<MpcId, Error>;
    /// Puts newer states of a multi-party channel on chain; answers how many channels moved.
    /// `gone` proves who owned those of the update's channels that are no longer stored.
    UpdateMpc = "update_mpc" (update: MpcUpdate, signatures: Vec<PartySignature>, gone: Vec<Owners>) -> Result<u32, Error>;
    /// Ends a multi-party channel and releases its channels.
    CloseMpc = "close_mpc" (close: MpcClose, signatures: Vec<PartySignature>) -> Result<(), Error>;
    /// Brings further channels into a multi-party channel.
    JoinMpc = "join_mpc" (join: MpcJoin, signatures: Vec<PartySignature>) -> Result<(), Error>;
    /// Takes channels out of a multi-party channel.
    LeaveMpc = "leave_mpc" (leave: MpcLeave, signatures: Vec<PartySignature>) -> Result<(), Error>;
    /// Starts the clock of a group; only the owner of a member channel may. The `exits`, channels of the caller in the
    /// group, are settled to the accounts after the same deadline. Answers the deadline.
    DisputeMpc = "dispute_mpc" (id: MpcId, member: TpcId, exits: Vec<TpcId>) -> Result<Timestamp, Error>;
    /// Removes a group after its deadline.
    SettleMpc = "settle_mpc" (id: MpcId) -> Result<(), Error>;
    /// What the contract holds for an account outside of channels, in planck.
    LedgerBalance = "ledger_balance" (account: AccountId) -> Balance;
    /// A channel. Its `mpc` is set exactly while it is busy.
    GetTpc = "tpc" (id: TpcId) -> Option<Tpc>;
    /// A multi-party channel.
    GetMpc = "mpc" (id: MpcId) -> Option<Mpc>;
    /// How many channels a pair (ascending) has created: the nonce of its next one.
    NextNonce = "next_nonce" (parties: [AccountId; 2]) -> Nonce;
    /// Where signatures for this contract are good.
    GetDomain = "domain" () -> Domain;
}
