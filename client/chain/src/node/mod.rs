//! A substrate-contracts-node, over JSON-RPC.
//!
//! A transaction is signed once for each nonce and only ever sent again as the same bytes, so neither a lost
//! connection nor an impatient client runs it twice. All I/O with the node is in this file.

pub mod codec;

use super::{
    Chain, ChainError, ContractCall, DryRun, Failure, FinalBlock, Instantiation, NodeError, RawEvent, Receipt, Refusal,
};
use crate::keys::{address, Keys};
use codec::{bytes, decode, hash, number, Codec};
pub(super) use codec::{Call, Outcome};
use protocol::{AccountId, Balance, Timestamp};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use sp_crypto_hashing::{blake2_128, blake2_256, twox_128, twox_64};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use subxt::rpcs::{client::RpcParams, rpc_params, RpcClient};
use tokio::time::{sleep, timeout};

/// Where a node of one's own listens.
pub const LOCAL: &str = "ws://127.0.0.1:9944";

/// The only runtime that this client's weights, fees and layouts are those of.
const SPEC_NAME: &str = "substrate-contracts-node";
const SPEC_VERSION: u32 = 100;

/// The most blocks beyond the last final one that are read for what is not final yet.
const MAX_UNFINAL: u32 = 64;

/// How long a lost node may take to come back.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often one request may lose the connection.
const LOSSES: usize = 20;
/// How often a transaction that is in no block yet is offered again.
const OFFER_AGAIN: Duration = Duration::from_secs(3);
/// How long a transaction may be in no final block, e.g. because it waits for an earlier one that never comes.
const STUCK: Duration = Duration::from_secs(120);
/// How long a new connection may take.
const DIAL: Duration = Duration::from_secs(10);
/// How often a transaction is signed anew when others of the same account take its nonce.
const NONCE_RACES: usize = 1_000;
/// The shortest and the longest pause between two looks at the chain.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The program's name and version.
    pub node: String,
    /// The chain's name.
    pub chain: String,
    /// The runtime's name and version.
    pub runtime: String,
    /// The hash of the first block.
    pub genesis_hash: String,
    /// The number of the last block.
    pub block: u64,
    /// The last block's clock, in ms.
    pub time: Timestamp,
}

/// A connection to a node that comes back when it is lost. It wants a tokio runtime around it.
///
/// Copies share the connection until it is lost; then each comes back by itself.
#[derive(Clone)]
pub struct NodeChain {
    link: Link,
}

#[derive(Clone)]
struct Link {
    url: String,
    rpc: RpcClient,
    codec: Arc<Codec>,
    genesis_hash: [u8; 32],
    /// The highest block that was seen final.
    head: (u64, [u8; 32]),
    /// How often the connection was lost.
    losses: u64,
    patience: Duration,
}

/// What the pool says to a transaction.
enum Offer {
    /// It has it.
    Taken,
    /// Its nonce is used, or will be by a transaction that came first.
    NonceUsed,
    Refused(Refusal),
}

/// An RPC call that failed.
enum Fault {
    /// Nothing is known about it: the connection is gone.
    Lost(String),
    /// The node said no.
    Answered { code: i32, message: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeVersion {
    spec_name: String,
    spec_version: u32,
    transaction_version: u32,
}

#[derive(Deserialize)]
struct Header {
    number: String,
}

#[derive(Deserialize)]
struct SignedBlock {
    block: Block,
}

#[derive(Deserialize)]
struct Block {
    extrinsics: Vec<String>,
}

impl NodeChain {
    /// Connects and checks that the node runs the runtime that this client was made for.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn connect(url: &str) -> Result<Self, NodeError> {
        Ok(Self { link: Link::open(url).await? })
    }

    /// Sets how long a lost node may take to come back.
    pub fn set_patience(&mut self, patience: Duration) {
        self.link.patience = patience;
    }

    /// The clock that the next block would have, that of this machine; the last block's may be long past.
    pub fn now(&self) -> Timestamp {
        wall_clock()
    }

    /// How often the connection was lost.
    pub fn losses(&self) -> u64 {
        self.link.losses
    }

    /// What the node says of itself.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn identity(&mut self) -> Result<Identity, NodeError> {
        let link = &mut self.link;
        let name: String = link.request("system_name", rpc_params![]).await?;
        let version: String = link.request("system_version", rpc_params![]).await?;
        let chain = link.request("system_chain", rpc_params![]).await?;
        Ok(Identity {
            node: format!("{name} {version}"),
            chain,
            runtime: format!("{SPEC_NAME} {SPEC_VERSION}"),
            genesis_hash: hex_text(&link.genesis_hash),
            block: link.best().await?,
            time: link.time().await?,
        })
    }

    /// Waits until somebody else has brought `call` by `account` into a final block after the last one seen.
    pub(super) async fn await_call(&mut self, account: &AccountId, call: &Call) -> Result<Outcome, ChainError> {
        let from = self.link.head.0.saturating_add(1);
        self.link.wait_for(from, |codec, bytes| codec.is_call_by(account, call, bytes)).await
    }

    /// Looks where the chain stands.
    pub(super) async fn look(&mut self) -> Result<(), NodeError> {
        self.link.finalized().await.map(drop)
    }

    async fn submit(&mut self, keys: &Keys, call: &Call) -> Result<Outcome, ChainError> {
        let outcome = self.link.submit(keys, call).await?;
        outcome.result.clone()?;
        Ok(outcome)
    }
}

impl Chain for NodeChain {
    fn genesis_hash(&self) -> [u8; 32] {
        self.link.genesis_hash
    }

    async fn time(&mut self) -> Result<Timestamp, ChainError> {
        Ok(self.link.time().await?)
    }

    async fn free_balance(&mut self, account: AccountId) -> Result<Balance, ChainError> {
        let stored = self.link.storage(&account_key(&account), None).await?;
        // Nonce and three reference counts come first.
        type AccountInfo = ([u32; 4], Balance);
        Ok(stored.map(|bytes| decode::<AccountInfo>("System.Account", &bytes)).transpose()?.map_or(0, |(_, free)| free))
    }

    async fn code_hash(&mut self, contract: AccountId) -> Result<Option<[u8; 32]>, ChainError> {
        let key = [&prefix("Contracts", "ContractInfoOf"), &twox_64(contract.as_ref())[..], contract.as_ref()].concat();
        let stored = self.link.storage(&key, None).await?;
        type ContractInfo = (Vec<u8>, [u8; 32]);
        let info = stored.map(|bytes| decode::<ContractInfo>("Contracts.ContractInfoOf", &bytes)).transpose()?;
        Ok(info.map(|(_, code_hash)| code_hash))
    }

    async fn dry_run(
        &mut self,
        origin: AccountId,
        contract: AccountId,
        value: Balance,
        data: Vec<u8>,
    ) -> Result<DryRun, ChainError> {
        self.link.trial(origin, contract, value, &data, None).await
    }

    async fn instantiate(&mut self, keys: &Keys, new: Instantiation) -> Result<(AccountId, Receipt), ChainError> {
        let outcome = self.submit(keys, &Call::Instantiate(new)).await?;
        let account = outcome.instantiated.ok_or_else(|| Failure::Other("no contract was made".into()))?;
        Ok((account, outcome.receipt))
    }

    async fn call(&mut self, keys: &Keys, call: ContractCall) -> Result<Receipt, ChainError> {
        Ok(self.submit(keys, &Call::Contract(call)).await?.receipt)
    }

    async fn block(&mut self) -> Result<u32, ChainError> {
        let (number, _) = self.link.finalized().await?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    async fn final_block(&mut self, number: u32) -> Result<FinalBlock, ChainError> {
        Ok(self.link.block_at(number).await?)
    }

    async fn query(&mut self, block: u32, contract: AccountId, data: Vec<u8>) -> Result<Vec<u8>, ChainError> {
        let at = self.link.block_hash(block).await?;
        Ok(self.link.trial(contract, contract, 0, &data, Some(at)).await?.answer)
    }

    async fn unfinal_events(&mut self, after: u32) -> Result<Vec<RawEvent>, ChainError> {
        let best = u32::try_from(self.link.best().await?).unwrap_or(u32::MAX);
        let mut events = vec![];
        for number in after.saturating_add(1)..=best.min(after.saturating_add(MAX_UNFINAL)) {
            events.extend(self.link.block_at(number).await?.events);
        }
        Ok(events)
    }

    async fn wait_until(&mut self, keys: &Keys, time: Timestamp) -> Result<(), ChainError> {
        // How far the node's clock is behind this machine's.
        let mut behind = 0;
        loop {
            let left = time.saturating_add(1).saturating_add(behind).saturating_sub(wall_clock());
            sleep(Duration::from_millis(left)).await;
            if self.time().await? > time {
                return Ok(());
            }
            // A node that seals blocks on demand stands still until there is a transaction. That one tells what its clock
            // says: nobody pays for a transfer each block because this machine's clock is ahead.
            self.transfer(keys, keys.account(), 0).await?;
            behind = wall_clock().saturating_sub(self.time().await?);
        }
    }

    async fn transfer(&mut self, keys: &Keys, to: AccountId, amount: Balance) -> Result<Receipt, ChainError> {
        Ok(self.submit(keys, &Call::Transfer(to, amount)).await?.receipt)
    }
}

impl Link {
    async fn open(url: &str) -> Result<Self, NodeError> {
        let rpc = dial(url).await.map_err(|reason| NodeError::Unreachable { url: url.into(), reason })?;
        let genesis_hash: String = first_answer(url, &rpc, "chain_getBlockHash", rpc_params![0]).await?;
        let version: RuntimeVersion = first_answer(url, &rpc, "state_getRuntimeVersion", rpc_params![]).await?;
        if (version.spec_name.as_str(), version.spec_version) != (SPEC_NAME, SPEC_VERSION) {
            let found = format!("{} {}", version.spec_name, version.spec_version);
            return Err(NodeError::WrongChain {
                url: url.into(),
                found,
                expected: format!("{SPEC_NAME} {SPEC_VERSION}"),
            });
        }
        let metadata: String = first_answer(url, &rpc, "state_getMetadata", rpc_params![]).await?;
        let genesis_hash = hash("chain_getBlockHash", &genesis_hash)?;
        let versions = (version.spec_version, version.transaction_version);
        let codec = Codec::new(genesis_hash, versions, &bytes("state_getMetadata", &metadata)?)?;
        let (codec, head) = (Arc::new(codec), (0, genesis_hash));
        let mut link = Self { url: url.into(), rpc, codec, genesis_hash, head, losses: 0, patience: PATIENCE };
        link.finalized().await?;
        Ok(link)
    }

    /// Asks, and asks again over a new connection if the old one is lost. Every request of this file may be repeated.
    async fn request<T: DeserializeOwned>(&mut self, method: &str, params: RpcParams) -> Result<T, NodeError> {
        match self.ask(method, params).await? {
            Ok(answer) => Ok(answer),
            Err((code, message)) => {
                Err(NodeError::Answer { request: method.into(), reason: format!("{message} ({code})") })
            }
        }
    }

    /// As [`Link::request`], but tells the node's refusal, its code and its words, apart from a node that is gone.
    async fn ask<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: RpcParams,
    ) -> Result<Result<T, (i32, String)>, NodeError> {
        let mut last = String::new();
        for _ in 0..LOSSES {
            match request(&self.rpc, method, params.clone()).await {
                Ok(answer) => return Ok(Ok(answer)),
                Err(Fault::Answered { code, message }) => return Ok(Err((code, message))),
                Err(Fault::Lost(reason)) => {
                    self.reconnect(&reason).await?;
                    last = reason;
                }
            }
        }
        Err(NodeError::Answer { request: method.into(), reason: format!("the connection breaks each time: {last}") })
    }

    async fn reconnect(&mut self, reason: &str) -> Result<(), NodeError> {
        tracing::warn!("the connection to {} is lost ({reason}); reconnecting", self.url);
        let deadline = Instant::now() + self.patience;
        self.losses = self.losses.saturating_add(1);
        loop {
            match self.redial().await {
                Ok(()) => return Ok(()),
                Err(Some(error)) => return Err(error),
                Err(None) if Instant::now() < deadline => sleep(LONGEST_PAUSE).await,
                Err(None) => {
                    let (url, seconds) = (self.url.clone(), self.patience.as_secs());
                    return Err(NodeError::Lost { url, seconds, reason: reason.to_owned() });
                }
            }
        }
    }

    /// One attempt to connect again; `None` if another may follow.
    async fn redial(&mut self) -> Result<(), Option<NodeError>> {
        let rpc = dial(&self.url).await.map_err(|_| None)?;
        // A node that starts up may answer late; one that answers something else is another chain.
        let (block, known) = self.head;
        let Ok(found) = request::<Option<String>>(&rpc, "chain_getBlockHash", rpc_params![block]).await else {
            return Err(None);
        };
        if found != Some(hex_text(&known)) {
            return Err(Some(NodeError::Reset { url: self.url.clone(), block }));
        }
        self.rpc = rpc;
        Ok(())
    }

    async fn storage(&mut self, key: &[u8], at: Option<[u8; 32]>) -> Result<Option<Vec<u8>>, NodeError> {
        let at = at.map(|hash| hex_text(&hash));
        let stored: Option<String> = self.request("state_getStorage", rpc_params![hex_text(key), at]).await?;
        stored.map(|text| bytes("state_getStorage", &text)).transpose()
    }

    async fn time(&mut self) -> Result<Timestamp, NodeError> {
        let stored = self.storage(&prefix("Timestamp", "Now"), None).await?;
        stored.map_or(Ok(0), |bytes| decode("Timestamp.Now", &bytes))
    }

    /// What a call would do after a block; after the best one if none is named.
    async fn trial(
        &mut self,
        origin: AccountId,
        contract: AccountId,
        value: Balance,
        data: &[u8],
        at: Option<[u8; 32]>,
    ) -> Result<DryRun, ChainError> {
        let arguments = hex_text(&codec::trial_arguments(origin, contract, value, data));
        let at = at.map(|hash| hex_text(&hash));
        let answer: String = self.request("state_call", rpc_params!["ContractsApi_call", arguments, at]).await?;
        let trial = self.codec.trial(&bytes("ContractsApi_call", &answer)?)?;
        Ok(DryRun { gas_required: trial.gas_required, answer: trial.result? })
    }

    async fn block_hash(&mut self, number: u32) -> Result<[u8; 32], NodeError> {
        let text: String = self.request("chain_getBlockHash", rpc_params![number]).await?;
        hash("chain_getBlockHash", &text)
    }

    /// A block of the best chain, which stays if it is final.
    async fn block_at(&mut self, number: u32) -> Result<FinalBlock, NodeError> {
        let at = self.block_hash(number).await?;
        let stored = self.storage(&prefix("Timestamp", "Now"), Some(at)).await?;
        let time = stored.map_or(Ok(0), |bytes| decode("Timestamp.Now", &bytes))?;
        let events = self.events(at).await?;
        Ok(FinalBlock { time, events: self.codec.contract_events(events)? })
    }

    /// Everything that happened in a block, encoded.
    async fn events(&mut self, at: [u8; 32]) -> Result<Vec<u8>, NodeError> {
        Ok(self.storage(&prefix("System", "Events"), Some(at)).await?.unwrap_or_default())
    }

    /// How many transactions of an account are in the blocks up to this one.
    async fn nonce(&mut self, account: &AccountId, at: [u8; 32]) -> Result<u32, NodeError> {
        let stored = self.storage(&account_key(account), Some(at)).await?;
        stored.map_or(Ok(0), |bytes| decode("System.Account", &bytes))
    }

    /// The number of the newest block, final or not.
    async fn best(&mut self) -> Result<u64, NodeError> {
        let header: Header = self.request("chain_getHeader", rpc_params![]).await?;
        number(&header.number)
    }

    /// The newest final block.
    async fn finalized(&mut self) -> Result<(u64, [u8; 32]), NodeError> {
        let text: String = self.request("chain_getFinalizedHead", rpc_params![]).await?;
        let found = hash("chain_getFinalizedHead", &text)?;
        if found != self.head.1 {
            let header: Header = self.request("chain_getHeader", rpc_params![text]).await?;
            self.head = (number(&header.number)?, found);
        }
        Ok(self.head)
    }

    /// Signs `call`, sends it, and waits until it is final. If another transaction of the account takes its nonce
    /// first, it is signed anew, which is safe because the first one can never be in a block.
    async fn submit(&mut self, keys: &Keys, call: &Call) -> Result<Outcome, ChainError> {
        let account = keys.account();
        for _ in 0..NONCE_RACES {
            let nonce: u32 = self.request("system_accountNextIndex", rpc_params![address(&account)]).await?;
            let (head, _) = self.finalized().await?;
            let signed = self.codec.sign(keys, call, nonce.into())?;
            match self.send(head.saturating_add(1), &account, nonce, &signed).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => sleep(SHORTEST_PAUSE).await,
                // From the first byte on, a node that fails may have the transaction.
                Err(ChainError::Node(error)) => return Err(outstanding(&signed, error.to_string())),
                Err(refused) => return Err(refused),
            }
        }
        Err(Refusal::Displaced.into())
    }

    /// Offers a transaction and waits until it is final, from block `next` on. `None` if its nonce is another's.
    async fn send(
        &mut self,
        next: u64,
        account: &AccountId,
        nonce: u32,
        signed: &[u8],
    ) -> Result<Option<Outcome>, ChainError> {
        let losses = self.losses;
        match self.offer(signed).await? {
            Offer::Taken => {}
            // The first answer was lost with the connection: the transaction may be what it now stumbles over.
            _ if self.losses != losses => {}
            Offer::NonceUsed => return Ok(None),
            Offer::Refused(refusal) => return Err(refusal.into()),
        }
        self.wait_for_own(next, account, nonce, signed).await
    }

    async fn offer(&mut self, signed: &[u8]) -> Result<Offer, NodeError> {
        let params = rpc_params![hex_text(signed)];
        Ok(match self.ask::<String>("author_submitExtrinsic", params).await? {
            // 1013: it has the very same transaction already.
            Ok(_) | Err((1013, _)) => Offer::Taken,
            // 1012: the very same transaction was dropped a moment ago. 1014: another one has the nonce.
            Err((1012 | 1014, _)) => Offer::NonceUsed,
            Err((1010, words)) if words.contains("outdated") => Offer::NonceUsed,
            Err((1010, words)) if words.contains("pay some fees") => Offer::Refused(Refusal::Payment),
            Err((1010, words)) if words.contains("exhaust") => Offer::Refused(Refusal::ExhaustsResources),
            Err((code, words)) => Offer::Refused(Refusal::Other(format!("{words} ({code})"))),
        })
    }

    /// Waits until a transaction of this account's is final, from block `next` on, and offers it again while it is in
    /// no block. `None` if another one with its nonce is final.
    async fn wait_for_own(
        &mut self,
        mut next: u64,
        account: &AccountId,
        nonce: u32,
        signed: &[u8],
    ) -> Result<Option<Outcome>, ChainError> {
        let (start, mut pause, mut offered) = (Instant::now(), SHORTEST_PAUSE, Instant::now());
        loop {
            let (_, head) = self.finalized().await?;
            if let Some(outcome) = self.search_on(&mut next, |_, bytes| bytes == signed).await? {
                return Ok(Some(outcome));
            }
            if self.nonce(account, head).await? > nonce {
                return Ok(None);
            }
            if offered.elapsed() > OFFER_AGAIN {
                // A pool may have dropped it. One that has it, or had it in a block, says so.
                if let Offer::Refused(refusal) = self.offer(signed).await? {
                    return Err(refusal.into());
                }
                if start.elapsed() > STUCK {
                    let reason = format!("it is in no final block after {} s", STUCK.as_secs());
                    return Err(outstanding(signed, reason));
                }
                offered = Instant::now();
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until a transaction that somebody else sends is final, from block `next` on.
    async fn wait_for(
        &mut self,
        mut next: u64,
        is_wanted: impl Fn(&Codec, &[u8]) -> bool + Send + Sync,
    ) -> Result<Outcome, ChainError> {
        loop {
            self.finalized().await?;
            if let Some(outcome) = self.search_on(&mut next, &is_wanted).await? {
                return Ok(outcome);
            }
            sleep(LONGEST_PAUSE).await;
        }
    }

    /// Searches the final blocks from `next` on, which moves past them.
    async fn search_on(
        &mut self,
        next: &mut u64,
        is_wanted: impl Fn(&Codec, &[u8]) -> bool + Send + Sync,
    ) -> Result<Option<Outcome>, NodeError> {
        while *next <= self.head.0 {
            if let Some(outcome) = self.search(*next, &is_wanted).await? {
                return Ok(Some(outcome));
            }
            *next = next.saturating_add(1);
        }
        Ok(None)
    }

    /// What became of the wanted transaction, if this block has it.
    async fn search(
        &mut self,
        block: u64,
        is_wanted: impl Fn(&Codec, &[u8]) -> bool + Send + Sync,
    ) -> Result<Option<Outcome>, NodeError> {
        let text: String = self.request("chain_getBlockHash", rpc_params![block]).await?;
        let signed: SignedBlock = self.request("chain_getBlock", rpc_params![text.clone()]).await?;
        for (index, extrinsic) in (0..).zip(&signed.block.extrinsics) {
            if is_wanted(&self.codec, &bytes("chain_getBlock", extrinsic)?) {
                let at = hash("chain_getBlockHash", &text)?;
                let events = self.events(at).await?;
                return self.codec.outcome(block, index, events).map(Some);
            }
        }
        Ok(None)
    }
}

async fn dial(url: &str) -> Result<RpcClient, String> {
    let dialled = timeout(DIAL, RpcClient::from_insecure_url(url)).await;
    dialled.map_err(|_| format!("no answer within {} s", DIAL.as_secs()))?.map_err(|error| words(&error))
}

async fn request<T: DeserializeOwned>(rpc: &RpcClient, method: &str, params: RpcParams) -> Result<T, Fault> {
    use subxt::rpcs::Error;
    rpc.request(method, params).await.map_err(|error| match error {
        Error::User(error) => {
            let data = error.data.map(|data| format!(": {}", data.get().trim_matches('"'))).unwrap_or_default();
            Fault::Answered { code: error.code, message: error.message + &data }
        }
        Error::Client(_) | Error::DisconnectedWillReconnect(_) => Fault::Lost(words(&error)),
        other => Fault::Answered { code: 0, message: words(&other) },
    })
}

/// A request of a connection that is new, and so not worth repeating.
async fn first_answer<T: DeserializeOwned>(
    url: &str,
    rpc: &RpcClient,
    method: &str,
    params: RpcParams,
) -> Result<T, NodeError> {
    request(rpc, method, params).await.map_err(|fault| match fault {
        Fault::Lost(reason) => NodeError::Unreachable { url: url.into(), reason },
        Fault::Answered { code, message } => {
            NodeError::Answer { request: method.into(), reason: format!("{message} ({code})") }
        }
    })
}

/// The innermost cause, which says most.
fn words(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    // Layers that only repeat themselves are no news.
    let words = cause.to_string();
    words.rsplit("client error: ").next().unwrap_or_default().to_owned()
}

fn outstanding(signed: &[u8], reason: String) -> ChainError {
    ChainError::Outstanding { hash: hex_text(&blake2_256(signed)), reason }
}

fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// The machine's clock, in ms since the Unix epoch.
fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::try_from(since.as_millis()).unwrap_or(Timestamp::MAX)
}

/// Where an account's nonce and balance are.
fn account_key(account: &AccountId) -> Vec<u8> {
    [&prefix("System", "Account"), &blake2_128(account.as_ref())[..], account.as_ref()].concat()
}

/// Where a pallet keeps an item.
fn prefix(pallet: &str, item: &str) -> [u8; 32] {
    let mut prefix = [0; 32];
    prefix[..16].copy_from_slice(&twox_128(pallet.as_bytes()));
    prefix[16..].copy_from_slice(&twox_128(item.as_bytes()));
    prefix
}
