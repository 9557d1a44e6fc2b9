//! The chain as the client sees it, a place that runs contract calls, with a clock and accounts; and Braid's contract on it.
//!
//! - [`embedded`], a chain in this process
//! - [`node`], a substrate-contracts-node
//! - [`cargo_contract`], a node on which a person makes the calls with cargo-contract
//! - [`keys`], accounts
//! - [`contract`], typed calls of Braid's contract
//! - [`costs`], what the contract's messages cost

pub mod cargo_contract;
pub mod contract;
#[cfg(feature = "embedded")]
pub mod costs;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
pub mod keys;
pub mod node;
mod type_bounds;

pub use error::{ChainError, Failure, NodeError, Refusal};

use crate::keys::Keys;
use protocol::{AccountId, Balance, Timestamp};
use serde::Serialize;
use std::future::Future;
use tokio::{runtime::Handle, task::block_in_place};

/// Drives a future to its end on this thread, for tests, and for programs that use the embedded chain only.
///
/// A thread that is in a tokio runtime drives the future in that one, which must have more threads than this.
pub fn block_on<F: Future>(future: F) -> F::Output {
    match Handle::try_current() {
        // Polled within another poll, it would stand still as soon as tokio's budget for that one is used up.
        Ok(runtime) => block_in_place(|| runtime.block_on(future)),
        Err(_) => pollster::block_on(future),
    }
}

/// 1 UNIT, in planck.
pub const UNIT: Balance = 1_000_000_000_000;

/// The least that an account can hold, in planck.
pub const EXISTENTIAL_DEPOSIT: Balance = 1_000_000_000;

/// The most that any transaction may weigh on the node, and so what an instantiation is given.
const MAX_GAS: Weight = Weight { ref_time: 1_000_000_000_000, proof_size: u64::MAX / 2 };

/// A measure of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Weight {
    /// Computation, in ps on the reference machine.
    pub ref_time: u64,
    /// The storage proof that a parachain would ship, in bytes.
    pub proof_size: u64,
}

impl Weight {
    /// A quarter more.
    pub fn with_margin(self) -> Self {
        let Self { ref_time, proof_size } = self;
        Self { ref_time: ref_time.saturating_add(ref_time / 4), proof_size: proof_size.saturating_add(proof_size / 4) }
    }
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

/// A block that is final.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalBlock {
    /// Its clock, in ms since the Unix epoch.
    pub time: Timestamp,
    /// What contracts told in it, in its order.
    pub events: Vec<RawEvent>,
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

/// A new contract's code and constructor call.
#[derive(Clone, Debug)]
pub struct Instantiation {
    /// The Wasm code.
    pub code: Vec<u8>,
    /// The constructor's selector and arguments.
    pub data: Vec<u8>,
    /// Tells contracts of the same code, arguments and deployer apart.
    pub salt: Vec<u8>,
}

/// A call of a contract, ready to be sent.
#[derive(Clone, Debug)]
pub struct ContractCall {
    /// The contract's account.
    pub contract: AccountId,
    /// What to send along, in planck.
    pub value: Balance,
    /// The most that it may weigh.
    pub gas_limit: Weight,
    /// The most that the caller pays for new storage, in planck; `None` for whatever it takes.
    pub deposit_limit: Option<Balance>,
    /// What is paid for being put into a block before others, in planck. The embedded chain takes none.
    pub tip: Balance,
    /// The message's selector and arguments.
    pub data: Vec<u8>,
}

/// A chain that runs contracts. A transaction is sent once, and waited for until it is final.
///
/// The embedded chain's futures are ready at once. Those of a node want a tokio runtime around them.
pub trait Chain: Send {
    /// The hash of its first block.
    fn genesis_hash(&self) -> [u8; 32];

    /// The last block's clock.
    ///
    /// # Errors
    /// If the node cannot be asked, as for every method here.
    fn time(&mut self) -> impl Future<Output = Result<Timestamp, ChainError>> + Send;

    /// What an account can spend, in planck.
    ///
    /// # Errors
    /// [`NodeError`].
    fn free_balance(&mut self, account: AccountId) -> impl Future<Output = Result<Balance, ChainError>> + Send;

    /// The hash of a contract's code, or `None` if there is no contract.
    ///
    /// # Errors
    /// [`NodeError`].
    fn code_hash(&mut self, contract: AccountId) -> impl Future<Output = Result<Option<[u8; 32]>, ChainError>> + Send;

    /// What `origin`'s call would do now, sending `value` planck along. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] if it would fail.
    fn dry_run(
        &mut self,
        origin: AccountId,
        contract: AccountId,
        value: Balance,
        data: Vec<u8>,
    ) -> impl Future<Output = Result<DryRun, ChainError>> + Send;

    /// Uploads code and makes a contract of it.
    ///
    /// # Errors
    /// [`ChainError`].
    fn instantiate(
        &mut self,
        keys: &Keys,
        new: Instantiation,
    ) -> impl Future<Output = Result<(AccountId, Receipt), ChainError>> + Send;

    /// Calls a contract.
    ///
    /// # Errors
    /// [`ChainError`].
    fn call(&mut self, keys: &Keys, call: ContractCall) -> impl Future<Output = Result<Receipt, ChainError>> + Send;

    /// The number of the last final block.
    ///
    /// # Errors
    /// [`NodeError`].
    fn block(&mut self) -> impl Future<Output = Result<u32, ChainError>> + Send;

    /// A final block, by its number.
    ///
    /// # Errors
    /// [`NodeError`]. A node that prunes no longer has blocks that are some hundreds behind the head.
    fn final_block(&mut self, number: u32) -> impl Future<Output = Result<FinalBlock, ChainError>> + Send;

    /// What a contract answers after a final block, by its number. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] if the call would fail, and as [`Chain::final_block`]. The embedded chain knows no block but its last.
    fn query(
        &mut self,
        block: u32,
        contract: AccountId,
        data: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, ChainError>> + Send;

    /// What contracts told, on the best chain, in the blocks after this one that are not final yet. A chain on which every
    /// block is final at once has none.
    ///
    /// # Errors
    /// [`NodeError`].
    fn unfinal_events(&mut self, after: u32) -> impl Future<Output = Result<Vec<RawEvent>, ChainError>> + Send;

    /// Waits until the last block's clock has passed `time`. A chain that makes blocks on demand gets empty transfers by
    /// `keys`.
    ///
    /// # Errors
    /// [`ChainError`].
    fn wait_until(&mut self, keys: &Keys, time: Timestamp) -> impl Future<Output = Result<(), ChainError>> + Send;

    /// Moves `amount` planck to another account.
    ///
    /// # Errors
    /// [`ChainError`].
    fn transfer(
        &mut self,
        keys: &Keys,
        to: AccountId,
        amount: Balance,
    ) -> impl Future<Output = Result<Receipt, ChainError>> + Send;
}
