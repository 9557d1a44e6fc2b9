//! The node: a client on a database in memory, a transaction pool, and a seal on every transaction.

use crate::{
    chain, rpc,
    runtime_api::{Block, RuntimeApi},
    Error,
};
use futures::StreamExt;
use sc_basic_authorship::ProposerFactory;
use sc_client_api::{execution_extensions::ExecutionExtensions, Finalizer};
use sc_client_db::{BlocksPruning, DatabaseSettings, DatabaseSource, PruningMode};
use sc_consensus::{BlockImport, BlockImportParams, ForkChoiceStrategy, StateAction, StorageChanges};
use sc_executor::WasmExecutor;
use sc_service::{GenesisBlockBuilder, TFullBackend, TFullClient, TaskManager};
use sc_transaction_pool::{BasicPool, FullPool};
use sc_transaction_pool_api::TransactionPool;
use sp_blockchain::HeaderBackend;
use sp_consensus::{BlockOrigin, Environment, Proposer};
use sp_core::storage::Storage;
use sp_database::MemDb;
use sp_inherents::InherentDataProvider;
use sp_runtime::traits::Block as _;
use std::{path::PathBuf, sync::Arc, time::Duration};

type Executor = WasmExecutor<sp_io::SubstrateHostFunctions>;
/// Where the blocks and their states are.
pub type Backend = TFullBackend<Block>;
/// What executes, imports and finds blocks.
pub type Client = TFullClient<Block, RuntimeApi, Executor>;
/// The transactions that are in no block yet.
pub type Pool = FullPool<Block, Client>;

/// Starts the node. It runs until the task manager is dropped.
pub async fn start(rpc_port: u16) -> Result<TaskManager, Error> {
    let mut tasks = TaskManager::new(tokio::runtime::Handle::current(), None)?;
    let mut executor = Executor::builder().with_max_runtime_instances(8);
    if let Some(folder) = compiled_folder() {
        executor = executor.with_cache_path(folder);
    }
    let (client, backend) = client(executor.build(), &tasks)?;
    let pool = BasicPool::new_full(
        sc_transaction_pool::Options::default(),
        true.into(),
        None,
        tasks.spawn_essential_handle(),
        client.clone(),
    );
    tasks.spawn_essential_handle().spawn(
        "txpool-notifications",
        None,
        sc_transaction_pool::notification_future(client.clone(), pool.clone()),
    );
    let proposers = ProposerFactory::new(tasks.spawn_handle(), client.clone(), pool.clone(), None, None);
    let seal = seal_transactions(client.clone(), pool.clone(), proposers);
    tasks.spawn_essential_handle().spawn_blocking("instant-seal", None, seal);
    let server = rpc::serve(rpc_port, client, backend, pool, &tasks).await?;
    tasks.keep_alive(server);
    Ok(tasks)
}

/// Where the runtime's compiled code is kept from one start to the next: compiling it is most of a start.
fn compiled_folder() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = folder("BRAID_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?.join("braid")))?;
    Some(cache.join("node"))
}

fn client(executor: Executor, tasks: &TaskManager) -> Result<(Arc<Client>, Arc<Backend>), Error> {
    let backend = sc_service::new_db_backend(DatabaseSettings {
        trie_cache_maximum_size: Some(64 << 20),
        state_pruning: Some(PruningMode::ArchiveAll),
        source: DatabaseSource::Custom { db: Arc::new(MemDb::default()), require_create_flag: true },
        blocks_pruning: BlocksPruning::KeepAll,
    })?;
    let genesis = Genesis(chain::genesis(&executor)?);
    let client = sc_service::new_client(
        backend.clone(),
        executor.clone(),
        GenesisBlockBuilder::new(&genesis, true, backend.clone(), executor.clone())?,
        None,
        None,
        ExecutionExtensions::new(None, Arc::new(executor)),
        Box::new(tasks.spawn_handle()),
        None,
        None,
        Default::default(),
    )?;
    Ok((Arc::new(client), backend))
}

/// A state that is built already.
struct Genesis(Storage);

impl sp_runtime::BuildStorage for Genesis {
    fn assimilate_storage(&self, storage: &mut Storage) -> Result<(), String> {
        *storage = self.0.clone();
        Ok(())
    }
}

type Proposers = ProposerFactory<Pool, Client, sp_consensus::DisableProofRecording>;

/// Seals as soon as there are transactions.
async fn seal_transactions(client: Arc<Client>, pool: Arc<Pool>, mut proposers: Proposers) {
    let mut arrivals = pool.import_notification_stream();
    while arrivals.next().await.is_some() {
        loop {
            match seal(&client, &pool, &mut proposers).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log::error!("no block sealed: {error}");
                    break;
                }
            }
        }
    }
}

/// Seals a block of the pool's transactions and finalises it. Tells whether it had no room for all of them.
async fn seal(client: &Client, pool: &Pool, proposers: &mut Proposers) -> Result<bool, Error> {
    let ready = pool.status().ready;
    if ready == 0 {
        return Ok(false);
    }
    let parent = client.expect_header(client.info().best_hash)?;
    // The runtime itself moves a time that is too close to the last block's.
    let inherents = sp_timestamp::InherentDataProvider::from_system_time().create_inherent_data().await?;
    let inherent_count = inherents.len();
    let proposer = proposers.init(&parent).await?;
    // The proposer waits for the pool to have taken notice of the parent: none of its transactions comes twice.
    let proposal = proposer.propose(inherents, Default::default(), Duration::from_secs(10), None).await?;
    let (header, body) = proposal.block.deconstruct();
    let included = body.len().saturating_sub(inherent_count);
    if included == 0 {
        return Ok(false);
    }
    let hash = header.hash();
    let mut block = BlockImportParams::new(BlockOrigin::Own, header);
    block.body = Some(body);
    block.state_action = StateAction::ApplyChanges(StorageChanges::Changes(proposal.storage_changes));
    block.fork_choice = Some(ForkChoiceStrategy::LongestChain);
    client.import_block(block).await?;
    client.finalize_block(hash, None, true)?;
    Ok(included < ready)
}
