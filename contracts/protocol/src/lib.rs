//! The rules of Braid, written once: what a channel is, what its users sign, and which states may follow which.
//!
//! Everything here is pure. The contract adds storage and funds, the client adds signatures and messages;
//! neither decides anything that is decided here.
//!
//! - [`id`], what names a channel and a group of channels
//! - [`state`], two-party channels (TPC), multi-party channels (MPC) and the entries that move them
//! - [`action`], everything a user can sign, and the 32 bytes that are signed
//! - [`phase`], the table of phases and actions
//! - [`rules`], the transitions
//! - [`error`], why a transition is refused
//! - [`event`], what the contract tells the world
//! - [`abi`], the contract's messages
#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod abi;
pub mod action;
pub mod crypto;
pub mod error;
pub mod event;
pub mod id;
pub mod phase;
pub mod rules;
pub mod state;

pub use action::{
    Action, Domain, MpcClose, MpcCreation, MpcJoin, MpcLeave, MpcUpdate, PartySignature, Signature, TpcClose,
    TpcCreation, TpcSplit, TpcTopUp, TpcWithdrawal,
};
pub use crypto::Crypto;
pub use error::Error;
pub use id::{MpcId, Owners, TpcId};
pub use ink_primitives::AccountId;
pub use state::{Balance, Entry, Epoch, Mpc, Nonce, Split, Timestamp, Tpc, Version, Window};
