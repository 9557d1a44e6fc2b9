//! The chain: its name, its runtime, and its genesis, which are those of the official node's `--dev`.

use crate::Error;
use codec::{Decode, Encode};
use sc_service::{ChainType, GenericChainSpec, Properties};
use serde_json::{json, Value};
use sp_core::{
    storage::{well_known_keys, Storage},
    traits::{CallContext, CodeExecutor, RuntimeCode, WrappedRuntimeCode},
};
use sp_keyring::Sr25519Keyring::*;
use sp_state_machine::BasicExternalities;

const RUNTIME: &[u8] = include_bytes!("../runtime/contracts-node-runtime-0.42.0.compact.compressed.wasm");

/// What the RPC tells of the chain.
pub fn spec() -> GenericChainSpec {
    let mut properties = Properties::new();
    properties.insert("ss58Format".into(), 42.into());
    properties.insert("tokenDecimals".into(), 12.into());
    properties.insert("tokenSymbol".into(), "UNIT".into());
    GenericChainSpec::builder(RUNTIME, None)
        .with_name("Development")
        .with_id("dev")
        .with_chain_type(ChainType::Development)
        .with_properties(properties)
        .build()
}

/// The state that the runtime builds of [`config`].
///
/// The chain spec could ask for it too, but with an executor of its own, which would compile the runtime once more.
pub fn genesis(executor: &impl CodeExecutor) -> Result<Storage, Error> {
    let code = RuntimeCode {
        code_fetcher: &WrappedRuntimeCode(RUNTIME.into()),
        heap_pages: None,
        // The executor knows compiled code by this, as does the client, which takes it from the state.
        hash: sp_core::blake2_256(RUNTIME).to_vec(),
    };
    let mut state = BasicExternalities::new_empty();
    let mut call = |method: &str, argument: Vec<u8>| {
        executor.call(&mut state, &code, method, &argument, CallContext::Offchain).0.map_err(|e| e.to_string())
    };
    let defaults = call("GenesisBuilder_get_preset", None::<String>.encode())?;
    let defaults = Option::<Vec<u8>>::decode(&mut &defaults[..])?.ok_or("the runtime has no default genesis")?;
    let config = config(serde_json::from_slice(&defaults)?);
    let built = call("GenesisBuilder_build_state", serde_json::to_vec(&config)?.encode())?;
    Result::<(), String>::decode(&mut &built[..])??;
    let mut storage = state.into_storages();
    storage.top.insert(well_known_keys::CODE.to_vec(), RUNTIME.to_vec());
    Ok(storage)
}

/// Endows the development accounts and makes Alice sudo.
fn config(mut defaults: Value) -> Value {
    let accounts = [
        [Alice, Bob, Charlie, Dave, Eve, Ferdie],
        [AliceStash, BobStash, CharlieStash, DaveStash, EveStash, FerdieStash],
    ];
    let balances: Vec<_> = accounts.concat().into_iter().map(|k| (k.to_account_id(), 1u64 << 60)).collect();
    defaults["balances"]["balances"] = json!(balances);
    defaults["sudo"]["key"] = json!(Alice.to_account_id());
    defaults
}
