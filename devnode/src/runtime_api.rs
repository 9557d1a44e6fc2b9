//! The runtime's API as the client calls it. The bodies are in the runtime's Wasm; those here are never called.
// The macro generates public items without documentation and a transmute, and constructs nothing of what it is given.
#![allow(missing_docs, unsafe_code, dead_code)]

use sp_core::{crypto::KeyTypeId, OpaqueMetadata};
use sp_inherents::{CheckInherentsResult, InherentData};
use sp_runtime::{
    generic,
    traits::BlakeTwo256,
    transaction_validity::{TransactionSource, TransactionValidity},
    AccountId32, ApplyExtrinsicResult, ExtrinsicInclusionMode, OpaqueExtrinsic,
};
use sp_version::RuntimeVersion;

/// An account's number of transactions.
pub type Nonce = u32;
pub type Header = generic::Header<u32, BlakeTwo256>;
pub type Block = generic::Block<Header, OpaqueExtrinsic>;
pub type Hash = <Block as sp_runtime::traits::Block>::Hash;

/// The macro implements the API for it.
pub struct Runtime;

sp_api::impl_runtime_apis! {
    impl sp_api::Core<Block> for Runtime {
        fn version() -> RuntimeVersion {
            unreachable!()
        }
        fn execute_block(_: Block) {
            unreachable!()
        }
        fn initialize_block(_: &Header) -> ExtrinsicInclusionMode {
            unreachable!()
        }
    }

    impl sp_api::Metadata<Block> for Runtime {
        fn metadata() -> OpaqueMetadata {
            unreachable!()
        }
        fn metadata_at_version(_: u32) -> Option<OpaqueMetadata> {
            unreachable!()
        }
        fn metadata_versions() -> Vec<u32> {
            unreachable!()
        }
    }

    impl sp_block_builder::BlockBuilder<Block> for Runtime {
        fn apply_extrinsic(_: OpaqueExtrinsic) -> ApplyExtrinsicResult {
            unreachable!()
        }
        fn finalize_block() -> Header {
            unreachable!()
        }
        fn inherent_extrinsics(_: InherentData) -> Vec<OpaqueExtrinsic> {
            unreachable!()
        }
        fn check_inherents(_: Block, _: InherentData) -> CheckInherentsResult {
            unreachable!()
        }
    }

    impl sp_transaction_pool::runtime_api::TaggedTransactionQueue<Block> for Runtime {
        fn validate_transaction(_: TransactionSource, _: OpaqueExtrinsic, _: Hash) -> TransactionValidity {
            unreachable!()
        }
    }

    impl sp_session::SessionKeys<Block> for Runtime {
        fn generate_session_keys(_: Option<Vec<u8>>) -> Vec<u8> {
            unreachable!()
        }
        fn decode_session_keys(_: Vec<u8>) -> Option<Vec<(Vec<u8>, KeyTypeId)>> {
            unreachable!()
        }
    }

    impl frame_system_rpc_runtime_api::AccountNonceApi<Block, AccountId32, Nonce> for Runtime {
        fn account_nonce(_: AccountId32) -> Nonce {
            unreachable!()
        }
    }
}
