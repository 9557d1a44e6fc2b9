//! What a node answers.

use crate::{bytes::Bytes, engine::stage};
use chain::{
    block_on,
    contract::{Bundle, Contract, Event},
    keys::{bytes32, Keys},
    node::codec::{bytes, decode, hash, number, Call, Codec},
    Chain, ChainError, ContractCall, DryRun, Failure, FinalBlock, Instantiation, RawEvent, Receipt, Weight,
};
use codec::Encode;
use engine::{watcher::Watcher, Block, Effect, Engine, Input, Signer};
use protocol::{
    abi::{Answer, GetDomain, GetEnded, GetMpc, GetTpc, LedgerBalance, NextNonce},
    AccountId, Asset, Balance, MpcId, Timestamp, TpcId,
};
use std::sync::LazyLock;
use testkit::ledger::DOMAIN;

/// A contracts node's metadata.
const METADATA: &[u8] = include_bytes!("../metadata.scale");

/// The runtime's version and that of its transactions.
const VERSIONS: (u32, u32) = (100, 9);

/// The longest list of events that is read.
const MAX_EVENTS: usize = 8;

/// Who makes transactions.
pub(crate) static KEYS: LazyLock<Keys> =
    LazyLock::new(|| Keys::from_suri("//user0").expect("a derivation path is a valid seed"));

/// Somebody else.
const OTHER: AccountId = AccountId([3; 32]);

pub(crate) static CODEC: LazyLock<Codec> =
    LazyLock::new(|| Codec::new(DOMAIN.genesis_hash, VERSIONS, METADATA).expect("the metadata is a contracts node's"));

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| Bundle::built_in().expect("the built bundle is one"));

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let mut node = Node { answer: Answer::Ok(DOMAIN).encode() };
    block_on(Contract::open(&mut node, DOMAIN.contract, &BUNDLE)).expect("the node says that the contract is Braid's")
});

/// What each of the contract's events begins with.
static TOPICS: LazyLock<Vec<[u8; 32]>> = LazyLock::new(|| {
    let events = BUNDLE.metadata["spec"]["events"].as_array().expect("the bundle lists events");
    let topic = |event: &serde_json::Value| bytes32(event["signature_topic"].as_str()?.strip_prefix("0x")?);
    events.iter().map(|event| topic(event).expect("an event has a topic")).collect()
});

/// The first byte says what was asked for.
pub fn run(data: &[u8]) {
    match data {
        [0, answer @ ..] => metadata(Bytes(answer)),
        [1, events @ ..] => events_of(&CODEC, events),
        [2, trial @ ..] => drop(CODEC.trial(trial)),
        [3, answer @ ..] => ask(answer),
        [4, transaction @ ..] => recognise(transaction),
        [5, told @ ..] => follow(Bytes(told)),
        [6, answer @ ..] => plain(answer),
        _ => {}
    }
}

/// Metadata, after events that are read by it.
fn metadata(mut answer: Bytes) {
    let Some(events) = answer.piece() else { return };
    let Ok(codec) = Codec::new(DOMAIN.genesis_hash, VERSIONS, answer.0) else { return };
    for call in calls() {
        drop(codec.sign(&KEYS, &call, 7));
    }
    events_of(&codec, events);
}

fn events_of(codec: &Codec, events: &[u8]) {
    for index in 0..2 {
        drop(codec.outcome(1, index, events.to_vec()));
    }
    let told = codec.contract_events(events.to_vec()).unwrap_or_default();
    let told: Vec<_> = told.iter().filter_map(|raw| CONTRACT.event(raw)).take(MAX_EVENTS).collect();
    hear(&told);
}

/// The contract's answer to a question.
fn ask(answer: &[u8]) {
    let mut node = Node { answer: answer.to_vec() };
    drop(block_on(CONTRACT.query(&mut node, &GetDomain {})));
    drop(block_on(CONTRACT.query(&mut node, &GetTpc { id: TpcId([1; 32]) })));
    drop(block_on(CONTRACT.query(&mut node, &GetMpc { id: MpcId([1; 32]) })));
    drop(block_on(CONTRACT.query(&mut node, &GetEnded { id: TpcId([1; 32]), epoch: 1 })));
    drop(block_on(CONTRACT.query(&mut node, &LedgerBalance { account: KEYS.account(), asset: Asset::Native })));
    drop(block_on(CONTRACT.read(&mut node, 1, &[(TpcId([1; 32]), 1)])));
    drop(block_on(CONTRACT.query(&mut node, &NextNonce { parties: [KEYS.account(), OTHER] })));
}

/// A block's transaction: what is signed here is recognised, whatever else is.
fn recognise(transaction: &[u8]) {
    for call in calls() {
        CODEC.is_call_by(&KEYS.account(), &call, transaction);
    }
}

/// The contract's events, each by its kind's number and its fields.
fn follow(mut told: Bytes) {
    let mut events = vec![];
    while let Some([kind]) = told.array() {
        let Some(data) = told.piece().filter(|_| events.len() < MAX_EVENTS) else { break };
        let topic = TOPICS[usize::from(kind) % TOPICS.len()];
        let raw = RawEvent { contract: DOMAIN.contract, topics: vec![topic], data: data.to_vec() };
        events.extend(CONTRACT.event(&raw));
    }
    hear(&events);
}

/// Engines and their watchers hear what a node makes up.
fn hear(events: &[Event]) {
    if events.is_empty() {
        return;
    }
    let mut world = stage::world(2);
    for index in 0..world.nodes.len() {
        let mut watcher = Watcher::new(DOMAIN);
        world.engine(index).into_iter().for_each(|engine| watcher.hold(engine.evidence()));
        let reading = world.reading(&watcher.unread(true));
        let node = &mut world.nodes[index];
        let Some(engine) = &mut node.engine else { continue };
        let mut number = engine.cursor().block;
        if let Some(reading) = reading {
            watcher.read(number, engine.cursor().now, &reading.channels);
        }
        for event in events {
            number += 1;
            let block = Block { number, time: engine.cursor().now + 1, events: vec![event.clone()], reading: None };
            watcher.block(&block);
            for rescue in watcher.rescues() {
                rescue.call.call_data(&engine::Native);
            }
            watcher.settlements(&engine.account());
            step(engine, &node.key, Input::Block(block));
        }
        // Whatever follows from it in time.
        let block = Block { number: number + 1, time: Timestamp::MAX, events: vec![], reading: None };
        watcher.block(&block);
        watcher.settlements(&engine.account());
        watcher.next_deadline(&OTHER);
        step(engine, &node.key, Input::Block(block));
        step(engine, &node.key, Input::Tick(1_000_000_000));
    }
}

/// A step. The calls that follow from it can be made.
fn step(engine: &mut Engine, signer: &dyn Signer, input: Input) {
    for effect in engine.apply(signer, input).effects {
        if let Effect::Call { call, .. } = effect {
            call.call_data(&engine::Native);
        }
    }
}

/// Numbers, hashes and bytes as text, and the beginning of something stored.
fn plain(answer: &[u8]) {
    drop(decode::<([u32; 4], Balance)>("System.Account", answer));
    drop(decode::<(Vec<u8>, [u8; 32])>("Contracts.ContractInfoOf", answer));
    if let Ok(text) = std::str::from_utf8(answer) {
        drop(bytes("state_getStorage", text));
        drop(hash("chain_getBlockHash", text));
        drop(number(text));
    }
}

/// One call of each kind.
fn calls() -> [Call; 3] {
    let (contract, data) = (DOMAIN.contract, vec![1, 2, 3, 4]);
    let gas_limit = Weight { ref_time: 1, proof_size: 1 };
    [
        Call::Instantiate(Instantiation { code: vec![0; 8], data: data.clone(), salt: vec![] }),
        Call::Contract(ContractCall { contract, value: 1, gas_limit, deposit_limit: None, tip: 0, data }),
        Call::Transfer(OTHER, 1),
    ]
}

/// A node that gives one answer to every trial call, and none to anything else.
struct Node {
    answer: Vec<u8>,
}

impl Node {
    fn refuse<T>() -> Result<T, ChainError> {
        Err(Failure::Other("the node only answers questions".into()).into())
    }
}

impl Chain for Node {
    fn genesis_hash(&self) -> [u8; 32] {
        DOMAIN.genesis_hash
    }

    async fn time(&mut self) -> Result<Timestamp, ChainError> {
        Self::refuse()
    }

    async fn free_balance(&mut self, _: AccountId) -> Result<Balance, ChainError> {
        Self::refuse()
    }

    async fn code_hash(&mut self, _: AccountId) -> Result<Option<[u8; 32]>, ChainError> {
        Ok(Some(BUNDLE.code_hash()))
    }

    async fn dry_run(&mut self, _: AccountId, _: AccountId, _: Balance, _: Vec<u8>) -> Result<DryRun, ChainError> {
        Ok(DryRun { gas_required: Weight::default(), answer: self.answer.clone() })
    }

    async fn instantiate(&mut self, _: &Keys, _: Instantiation) -> Result<(AccountId, Receipt), ChainError> {
        Self::refuse()
    }

    async fn call(&mut self, _: &Keys, _: ContractCall) -> Result<Receipt, ChainError> {
        Self::refuse()
    }

    async fn block(&mut self) -> Result<u32, ChainError> {
        Self::refuse()
    }

    async fn final_block(&mut self, _: u32) -> Result<FinalBlock, ChainError> {
        Self::refuse()
    }

    async fn query(&mut self, _: u32, _: AccountId, _: Vec<u8>) -> Result<Vec<u8>, ChainError> {
        Ok(self.answer.clone())
    }

    async fn unfinal_events(&mut self, _: u32) -> Result<Vec<RawEvent>, ChainError> {
        Self::refuse()
    }

    async fn wait_until(&mut self, _: &Keys, _: Timestamp) -> Result<(), ChainError> {
        Self::refuse()
    }

    async fn transfer(&mut self, _: &Keys, _: AccountId, _: Balance) -> Result<Receipt, ChainError> {
        Self::refuse()
    }
}
