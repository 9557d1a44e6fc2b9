//! The RPC: what every node of its kind answers, on 127.0.0.1.

use crate::{
    chain,
    node::{Backend, Client, Pool},
    runtime_api::{Block, Hash, Nonce},
    Error,
};
use codec::{Decode, Encode};
use futures::StreamExt;
use jsonrpsee::{
    types::{ErrorObjectOwned, Params},
    RpcModule,
};
use sc_client_api::{CallExecutor, ExecutorProvider};
use sc_client_db::{BlocksPruning, PruningMode};
use sc_rpc::system::{error::Error as SystemError, Health, NodeRole, Request, SyncState};
use sc_rpc_server::{BatchRequestConfig, Config, RpcEndpoint, RpcMethods, Server};
use sc_service::{config::KeystoreConfig, KeystoreContainer, TaskManager};
use sp_blockchain::HeaderBackend;
use sp_core::{traits::CallContext, Bytes};
use sp_runtime::{AccountId32, OpaqueExtrinsic};
use sp_weights::Weight;
use std::{net::Ipv4Addr, sync::Arc};
use substrate_frame_rpc_system::{System, SystemApiServer};

/// Serves the RPC on a port of 127.0.0.1, 0 being any free one, until the server is dropped.
#[allow(clippy::result_large_err)] // A closure's error, whose type is sc-service's.
pub async fn serve(
    port: u16,
    client: Arc<Client>,
    backend: Arc<Backend>,
    pool: Arc<Pool>,
    tasks: &TaskManager,
) -> Result<Server, Error> {
    let (network_requests, mut requests) = sc_utils::mpsc::tracing_unbounded("mpsc_system_rpc", 10_000);
    let (asked, asked_pool) = (client.clone(), pool.clone());
    let rpc_api = sc_service::gen_rpc_module(
        tasks.spawn_handle(),
        client.clone(),
        pool,
        KeystoreContainer::new(&KeystoreConfig::InMemory)?.keystore(),
        network_requests,
        "Substrate Contracts Node".into(),
        "0.42.0-devnode".into(),
        &chain::spec(),
        &Some(PruningMode::ArchiveAll),
        BlocksPruning::KeepAll,
        backend,
        &move |_| Ok(of_the_runtime(asked.clone(), asked_pool.clone())?),
    )?;
    tasks.spawn_handle().spawn("system-rpc", None, async move {
        while let Some(request) = requests.next().await {
            answer_without_network(request, client.info().best_number);
        }
    });
    let endpoint = RpcEndpoint {
        listen_addr: (Ipv4Addr::LOCALHOST, port).into(),
        batch_config: BatchRequestConfig::Unlimited,
        cors: None,
        max_buffer_capacity_per_connection: 64,
        max_connections: 1000,
        max_payload_in_mb: 32,
        max_payload_out_mb: 32,
        max_subscriptions_per_connection: 1024,
        rate_limit: None,
        rate_limit_trust_proxy_headers: false,
        rate_limit_whitelisted_ips: Vec::new(),
        rpc_methods: RpcMethods::Unsafe,
        is_optional: false,
        retry_random_port: false,
    };
    let config = Config {
        endpoints: vec![endpoint],
        metrics: None,
        rpc_api,
        id_provider: None,
        tokio_handle: tokio::runtime::Handle::current(),
    };
    let server = sc_rpc_server::start_server(config).await;
    server.map_err(|error| format!("cannot serve the RPC on 127.0.0.1:{port}: {error}").into())
}

/// Answers what the `system` methods ask the network, for a node that has none.
fn answer_without_network(request: Request<Block>, best: u32) {
    let no_network = || Err(SystemError::MalformattedPeerArg("this node has no network".into()));
    // Who no longer listens needs no answer.
    match request {
        Request::Health(to) => drop(to.send(Health { peers: 0, is_syncing: false, should_have_peers: false })),
        Request::LocalPeerId(to) => drop(to.send(String::new())),
        Request::LocalListenAddresses(to) => drop(to.send(Vec::new())),
        Request::Peers(to) => drop(to.send(Vec::new())),
        Request::NetworkState(to) => drop(to.send(serde_json::json!({}))),
        Request::NetworkAddReservedPeer(_, to) => drop(to.send(no_network())),
        Request::NetworkRemoveReservedPeer(_, to) => drop(to.send(no_network())),
        Request::NetworkReservedPeers(to) => drop(to.send(Vec::new())),
        Request::NodeRoles(to) => drop(to.send(vec![NodeRole::Authority])),
        Request::SyncState(to) => {
            drop(to.send(SyncState { starting_block: 0, current_block: best, highest_block: best }))
        }
    }
}

/// What a transaction costs, as pallet-transaction-payment tells it.
#[derive(Clone, Decode, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct DispatchInfo {
    weight: Weight,
    class: DispatchClass,
    #[serde(serialize_with = "as_string")]
    partial_fee: u128,
}

#[derive(Clone, Decode, serde::Serialize)]
#[serde(rename_all = "camelCase")]
enum DispatchClass {
    Normal,
    Operational,
    Mandatory,
}

/// JSON's numbers are too small for an amount.
fn as_string<S: serde::Serializer>(amount: &u128, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(amount)
}

/// The methods that depend on the runtime: `system_accountNextIndex`, `system_dryRun` and `payment_queryInfo`.
fn of_the_runtime(client: Arc<Client>, pool: Arc<Pool>) -> Result<RpcModule<Client>, Error> {
    let mut module = RpcModule::from_arc(client.clone());
    // The pallet's own implementation would have FRAME compiled for it.
    module.register_blocking_method("payment_queryInfo", |params, client, _| query_info(&params, &client))?;
    let system = System::<_, _, Block>::new(client, pool);
    module.merge(SystemApiServer::<Hash, AccountId32, Nonce>::into_rpc(system))?;
    Ok(module)
}

fn query_info(params: &Params, client: &Client) -> Result<DispatchInfo, ErrorObjectOwned> {
    let failed = |error: &dyn std::fmt::Display| ErrorObjectOwned::owned(1, error.to_string(), None::<()>);
    let mut params = params.sequence();
    let (transaction, at): (Bytes, Option<Hash>) = (params.next()?, params.optional_next()?);
    OpaqueExtrinsic::decode(&mut &transaction[..]).map_err(|error| failed(&error))?;
    let length = u32::try_from(transaction.len()).map_err(|error| failed(&error))?;
    let arguments = [&transaction[..], &length.encode()].concat();
    let at = at.unwrap_or_else(|| client.info().best_hash);
    let info = client
        .executor()
        .call(at, "TransactionPaymentApi_query_info", &arguments, CallContext::Offchain)
        .map_err(|error| failed(&error))?;
    DispatchInfo::decode(&mut &info[..]).map_err(|error| failed(&error))
}
