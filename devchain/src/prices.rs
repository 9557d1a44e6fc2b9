//! What pallet-contracts charges for the host functions that a contract's work cannot avoid, by its published weights.

use crate::{
    runtime::{Runtime, RuntimeBlockWeights},
    Weight,
};
use frame_support::dispatch::DispatchClass;
use pallet_contracts::WeightInfo;

type Published = <Runtime as pallet_contracts::Config>::WeightInfo;

/// What every transaction weighs before it does anything.
pub fn extrinsic() -> Weight {
    RuntimeBlockWeights::get().get(DispatchClass::Normal).base_extrinsic.into()
}

/// Loading `bytes` bytes of a contract's code.
pub fn code(bytes: u32) -> Weight {
    Published::call_with_code_per_byte(bytes).saturating_sub(Published::call_with_code_per_byte(0)).into()
}

/// Telling an event of `bytes` bytes with one topic, which names its kind.
pub fn event(bytes: u32) -> Weight {
    let told = pallet_contracts::Limits::default().event_ref_time.saturating_mul(bytes.into());
    Published::seal_deposit_event(1, bytes).saturating_add(frame_support::weights::Weight::from_parts(told, 0)).into()
}

/// An extrinsic that calls a contract, without the contract.
pub fn call() -> Weight {
    Published::call().into()
}

/// Verifying one sr25519 signature over `bytes` bytes.
pub fn sr25519_verify(bytes: u32) -> Weight {
    Published::seal_sr25519_verify(bytes).into()
}

/// Writing a storage item of `new` bytes over one of `old` bytes.
pub fn set_storage(new: u32, old: u32) -> Weight {
    Published::seal_set_storage(new, old).saturating_add(write_surcharge()).into()
}

/// Removing a storage item of `bytes` bytes.
pub fn clear_storage(bytes: u32) -> Weight {
    Published::seal_clear_storage(bytes).saturating_add(write_surcharge()).into()
}

/// Reading a storage item of `bytes` bytes.
pub fn get_storage(bytes: u32) -> Weight {
    let surcharge = Published::get_storage_full().saturating_sub(Published::get_storage_empty());
    Published::seal_get_storage(bytes).saturating_add(surcharge).into()
}

/// Paying out to an account.
pub fn transfer() -> Weight {
    Published::seal_transfer().into()
}

/// What pallet-contracts adds to every write, for a trie that is full.
fn write_surcharge() -> frame_support::weights::Weight {
    Published::set_storage_full().saturating_sub(Published::set_storage_empty())
}
