//! The chain as the client sees it: a place that runs contract calls, with a clock and accounts.

#[cfg(feature = "embedded")]
pub mod embedded;

use crate::keys::Keys;
use protocol::{AccountId, Balance, Timestamp};
use serde::Serialize;

/// A measure of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Weight {
    /// Computation, in ps on the reference machine.
    pub ref_time: u64,
    /// The storage proof that a parachain would ship, in bytes.
    pub proof_size: u64,
}

/// A contract's event as the chain stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// Which contract.
    pub contract: AccountId,
    /// What it can be found by; the first names its kind.
    pub topics: Vec<[u8; 32]>,
    /// Its SCALE-encoded fields.
    pub data: Vec<u8>,
}

/// A transaction that is in a block and succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The block's number.
    pub block: u32,
    /// What was consumed.
    pub weight: Weight,
    /// What the sender paid, in planck.
    pub fee: Balance,
    /// What was held from (positive) or released to (negative) the sender for storage, in planck.
    pub storage_deposit: i128,
    /// The events of contracts.
    pub events: Vec<RawEvent>,
}

/// What a call would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// The gas limit that it needs.
    pub gas_required: Weight,
    /// The contract's encoded answer.
    pub answer: Vec<u8>,
}

/// What the chain says no to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The transaction is in no block.
    #[error("the transaction was not accepted: {0}")]
    Refused(String),
    /// The call or the transaction ran and failed; nothing but the fee has changed.
    #[error("the call failed: {0}")]
    Failed(String),
}

/// A chain that runs contracts.
pub trait Chain {
    /// The hash of its first block.
    fn genesis_hash(&self) -> [u8; 32];

    /// The last block's clock.
    fn time(&mut self) -> Timestamp;

    /// What an account can spend, in planck.
    fn free_balance(&mut self, account: AccountId) -> Balance;

    /// Uploads `code` and makes a contract of it with the constructor call `data`.
    fn instantiate(&mut self, keys: &Keys, code: Vec<u8>, data: Vec<u8>) -> Result<(AccountId, Receipt), ChainError>;

    /// What `origin`'s call would do now, sending `value` planck along. Changes nothing.
    fn dry_run(
        &mut self,
        origin: AccountId,
        contract: AccountId,
        value: Balance,
        data: Vec<u8>,
    ) -> Result<DryRun, ChainError>;

    /// Calls a contract in a transaction, sending `value` planck along, and waits until it is final.
    fn call(
        &mut self,
        keys: &Keys,
        contract: AccountId,
        value: Balance,
        gas_limit: Weight,
        data: Vec<u8>,
    ) -> Result<Receipt, ChainError>;
}
