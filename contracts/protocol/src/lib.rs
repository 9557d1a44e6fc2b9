//! The rules of Braid, written once: what a channel is, what its users sign, which states may follow which, and what the
//! contract does.
//!
//! Everything here is pure. The contract on chain adds storage and funds, the client adds signatures and messages;
//! neither decides anything that is decided here. The rules are numbered in docs/protocol.md.
//!
//! - [`id`], what names a channel and a registered group
//! - [`state`], two-party channels (TPC), registered groups (MPC) and the entries that move channels
//! - [`action`], everything a user can sign, and the 32 bytes that are signed
//! - [`phase`], the table of phases and actions
//! - [`rules`], the transitions
//! - [`host`], what the contract needs of its chain
//! - [`contract`], the contract's whole behaviour
//! - [`error`], why it refuses
//! - [`event`], what it tells the world
//! - [`abi`], its messages
#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod abi;
pub mod action;
pub mod contract;
pub mod crypto;
pub mod error;
pub mod event;
pub mod host;
pub mod id;
pub mod phase;
pub mod rules;
pub mod state;

pub use action::{
    Action, Domain, Member, MpcClose, MpcCreation, MpcJoin, MpcLeave, PartySignature, Signature, SignedUpdate,
    TpcClose, TpcCreation, TpcSplit, TpcTopUp, TpcWithdrawal, Update,
};
pub use crypto::Crypto;
pub use error::Error;
pub use host::Host;
pub use id::{MpcId, Origin, Owners, TpcId};
pub use ink_primitives::AccountId;
pub use state::{Asset, Balance, Dispute, Entry, Epoch, Mpc, Nonce, Resolution, Timestamp, Tpc, Version, Window};
