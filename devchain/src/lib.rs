//! The contract execution of substrate-contracts-node 0.42.0, in process: the node's pallets, weights, fees,
//! deposits and limits, natively compiled, with a block for each transaction and a clock that only tests move.
//!
//! Signed extrinsics run through `frame_executive`, so nonces, fees and refunds are the node's. Left out are the
//! pallets that no contract meets (utility, authorship, sudo, revive, assets), consensus, and the network. Storage is
//! a plain in-memory map; it has no trie whose proof could be measured, as the node has none either.

pub mod prices;
mod runtime;

use codec::{Decode, Encode};
use frame_support::{
    storage::{with_transaction, TransactionOutcome},
    traits::fungible::MutateHold,
    StorageHasher, Twox64Concat,
};
use runtime::{
    Address, Balances, Contracts, Executive, Header, InstructionPrice, Runtime, RuntimeBlockWeights, RuntimeCall,
    RuntimeEvent, RuntimeGenesisConfig, SignedExtra, SignedPayload, System, UncheckedExtrinsic,
};
use sp_core::{sr25519, Pair, H256};
use sp_runtime::{
    generic::Era,
    traits::{Hash as _, Header as _},
    transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError},
    BuildStorage, ModuleError, MultiSignature, StateVersion,
};
use sp_state_machine::BasicExternalities;
use std::collections::BTreeMap;

pub use runtime::{EXISTENTIAL_DEPOSIT, UNIT};

/// An account's public key.
pub type AccountId = [u8; 32];
/// A BLAKE2b-256 digest.
pub type Hash = [u8; 32];
/// An amount in planck (1 UNIT = 10^12 planck).
pub type Balance = u128;

/// What each development account starts with, in planck.
pub const ENDOWMENT: Balance = 1 << 60;
/// The clock's first value: 2025-01-01T00:00:00Z in ms since the Unix epoch.
pub const GENESIS_TIME: u64 = 1_735_689_600_000;
/// How far a block moves the clock by itself, in ms.
pub const BLOCK_TIME: u64 = 1_000;

/// A measure of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Computation, in ps on the reference machine.
    pub ref_time: u64,
    /// The storage proof that a parachain would ship, in bytes.
    pub proof_size: u64,
}

impl From<frame_support::weights::Weight> for Weight {
    fn from(weight: frame_support::weights::Weight) -> Self {
        Self { ref_time: weight.ref_time(), proof_size: weight.proof_size() }
    }
}

impl From<Weight> for frame_support::weights::Weight {
    fn from(weight: Weight) -> Self {
        Self::from_parts(weight.ref_time, weight.proof_size)
    }
}

/// Signs transactions.
pub trait Signer {
    /// The public key.
    fn account(&self) -> AccountId;
    /// An sr25519 signature of `payload` in the context "substrate".
    fn sign(&self, payload: &[u8]) -> [u8; 64];
}

/// What a transaction does.
#[derive(Clone, Debug)]
pub enum Call {
    /// Uploads code and makes a contract of it.
    InstantiateWithCode {
        /// The Wasm code.
        code: Vec<u8>,
        /// The constructor's selector and arguments.
        data: Vec<u8>,
        /// Tells contracts of the same code and deployer apart.
        salt: Vec<u8>,
        /// The most that it may weigh.
        gas_limit: Weight,
    },
    /// Calls a contract.
    Call {
        /// The contract's account.
        contract: AccountId,
        /// What to send along, in planck.
        value: Balance,
        /// The most that it may weigh.
        gas_limit: Weight,
        /// The most that the caller pays for new storage, in planck.
        storage_deposit_limit: Option<Balance>,
        /// The message's selector and arguments.
        data: Vec<u8>,
    },
    /// Moves tokens between accounts.
    Transfer {
        /// Who receives.
        to: AccountId,
        /// How much, in planck.
        amount: Balance,
    },
    /// Does nothing but make a block, and so move the clock.
    Remark,
}

/// An event of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractEvent {
    /// Which contract.
    pub contract: AccountId,
    /// What it can be found by.
    pub topics: Vec<Hash>,
    /// Its SCALE-encoded fields.
    pub data: Vec<u8>,
}

/// Why a transaction in a block failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DispatchError {
    /// A pallet's own error.
    #[error("{pallet}: {name}")]
    Module {
        /// The pallet.
        pallet: &'static str,
        /// The error's name in it.
        name: &'static str,
    },
    /// Any other.
    #[error("{0}")]
    Other(String),
}

/// A transaction that the pool refuses; no block is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The signer cannot pay the fee.
    #[error("the account cannot pay the transaction's fee: send it funds first")]
    Payment,
    /// The transaction weighs more than a block may.
    #[error("the transaction weighs or measures more than a block takes: lower its gas limit, or split it")]
    ExhaustsResources,
    /// Anything else.
    #[error("the chain refuses the transaction: {0}")]
    Other(String),
}

/// What became of a transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The block's number.
    pub block: u32,
    /// The block's clock, in ms.
    pub time: u64,
    /// What was consumed.
    pub weight: Weight,
    /// What the signer paid, in planck.
    pub fee: Balance,
    /// What was held from (positive) or released to (negative) the signer for storage, in planck.
    pub storage_deposit: i128,
    /// Whether it succeeded.
    pub result: Result<(), DispatchError>,
    /// The new contract, if one was made.
    pub instantiated: Option<AccountId>,
    /// The events of contracts.
    pub events: Vec<ContractEvent>,
}

/// What a call of a contract would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// What it would consume.
    pub gas_consumed: Weight,
    /// The gas limit that it needs.
    pub gas_required: Weight,
    /// What would be held from (positive) or released to (negative) the caller for storage, in planck.
    pub storage_deposit: i128,
    /// The answer, or why there is none.
    pub result: Result<Returned, DispatchError>,
}

/// A contract's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Whether the contract undid its changes.
    pub reverted: bool,
    /// The encoded answer.
    pub data: Vec<u8>,
}

/// What a contract keeps in storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageUsage {
    /// How many items.
    pub items: u32,
    /// Their bytes.
    pub bytes: u32,
    /// What is held for them, in planck.
    pub deposit: Balance,
}

/// What the pallet stores first of a contract: trie id, code hash, storage bytes, items, and the deposits for them. It
/// keeps the map and its fields to itself, but not their encoding.
type ContractInfo = (Vec<u8>, Hash, u32, u32, Balance, Balance);

/// A chain of its own, with its clock.
pub struct Devchain {
    state: BasicExternalities,
    genesis_hash: H256,
    head: H256,
    block: u32,
    time: u64,
    advance: u64,
    /// What contracts told, by block.
    told: BTreeMap<u32, Vec<ContractEvent>>,
    /// The clock of each block.
    times: Vec<u64>,
}

impl Devchain {
    /// The chain of a development node: //Alice to //Ferdie, each with its //stash, hold [`ENDOWMENT`].
    pub fn new() -> Self {
        Self::with_accounts(&[])
    }

    /// A development node's chain with further endowed accounts.
    pub fn with_accounts(accounts: &[(AccountId, Balance)]) -> Self {
        let names = ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"];
        let suris = names.iter().flat_map(|name| [format!("//{name}"), format!("//{name}//stash")]);
        let development = suris.map(|suri| {
            let pair = sr25519::Pair::from_string(&suri, None).expect("a derivation path is a valid seed; qed");
            (pair.public().0, ENDOWMENT)
        });
        let balances = development.chain(accounts.iter().copied()).map(|(account, balance)| (account.into(), balance));
        let genesis = RuntimeGenesisConfig {
            balances: pallet_balances::GenesisConfig { balances: balances.collect() },
            ..Default::default()
        };
        let storage = genesis.build_storage().expect("the genesis accounts are distinct and above the minimum; qed");
        let mut state = BasicExternalities::new(storage);
        let genesis_hash = state.execute_with(|| {
            let root = H256::from_slice(&sp_io::storage::root(StateVersion::V1));
            let extrinsics_root = sp_runtime::traits::BlakeTwo256::ordered_trie_root(vec![], StateVersion::V0);
            let hash = Header::new(0, extrinsics_root, root, Default::default(), Default::default()).hash();
            frame_system::BlockHash::<Runtime>::insert(0, hash);
            pallet_timestamp::Now::<Runtime>::put(GENESIS_TIME);
            hash
        });
        Self {
            state,
            genesis_hash,
            head: genesis_hash,
            block: 0,
            time: GENESIS_TIME,
            advance: 0,
            told: BTreeMap::new(),
            times: vec![GENESIS_TIME],
        }
    }

    /// A second chain that starts where this one stands.
    pub fn fork(&mut self) -> Self {
        let storage = std::mem::replace(&mut self.state, BasicExternalities::new_empty()).into_storages();
        self.state = BasicExternalities::new(storage.clone());
        Self { state: BasicExternalities::new(storage), told: self.told.clone(), times: self.times.clone(), ..*self }
    }

    /// The hash of the first block.
    pub fn genesis_hash(&self) -> Hash {
        self.genesis_hash.0
    }

    /// The number of the last block.
    pub fn block(&self) -> u32 {
        self.block
    }

    /// What contracts told in a block.
    pub fn events(&self, block: u32) -> &[ContractEvent] {
        self.told.get(&block).map_or(&[], Vec::as_slice)
    }

    /// A block's clock, in ms since the Unix epoch; `None` if there is no such block yet.
    pub fn time_of(&self, block: u32) -> Option<u64> {
        self.times.get(usize::try_from(block).ok()?).copied()
    }

    /// The last block's clock, in ms since the Unix epoch. Dry runs see this one.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Makes the next block `ms` milliseconds later than it would be.
    pub fn advance(&mut self, ms: u64) {
        self.advance = self.advance.saturating_add(ms);
    }

    /// Lets a contract's instructions cost so many times what they cost on the node: twice as much tells how much of a call
    /// they are.
    pub fn set_instruction_price(&mut self, times: u32) {
        self.state.execute_with(|| InstructionPrice::set(&times));
    }

    /// What an account can spend, in planck.
    pub fn free_balance(&mut self, account: AccountId) -> Balance {
        self.state.execute_with(|| System::account(sp_core::crypto::AccountId32::new(account)).data.free)
    }

    /// The hash of a contract's code, or `None` if there is no such contract.
    pub fn code_hash(&mut self, contract: AccountId) -> Option<Hash> {
        self.contract_info(contract).map(|(_, code_hash, ..)| code_hash)
    }

    /// What a contract keeps in storage, or `None` if there is no such contract.
    pub fn storage_usage(&mut self, contract: AccountId) -> Option<StorageUsage> {
        let (_, _, bytes, items, byte_deposit, item_deposit) = self.contract_info(contract)?;
        Some(StorageUsage { items, bytes, deposit: byte_deposit.checked_add(item_deposit)? })
    }

    fn contract_info(&mut self, contract: AccountId) -> Option<ContractInfo> {
        self.state.execute_with(|| {
            let prefix = frame_support::storage::storage_prefix(b"Contracts", b"ContractInfoOf");
            let info = sp_io::storage::get(&[&prefix[..], &Twox64Concat::hash(&contract)].concat())?;
            ContractInfo::decode(&mut &info[..]).ok()
        })
    }

    /// Puts a signed transaction into a block of its own.
    pub fn submit(&mut self, signer: &impl Signer, call: Call) -> Result<Receipt, Refused> {
        let genesis_hash = self.genesis_hash;
        let head = self.head;
        let extrinsic = self.state.execute_with(|| {
            let extrinsic = sign(signer, call.into(), genesis_hash);
            roll_back(|| Executive::validate_transaction(TransactionSource::External, extrinsic.clone(), head))
                .map_err(refused)?;
            Ok(extrinsic)
        })?;
        let mut receipts = self.make_block([extrinsic]);
        receipts.pop().expect("a block tells of each of its transactions; qed")
    }

    /// Puts signed transactions into one block, in their order, until one is refused, for example because the block is
    /// full, and tells what became of each up to that one.
    pub fn submit_all<'a, S: Signer + 'a>(
        &mut self,
        transactions: impl IntoIterator<Item = (&'a S, Call)>,
    ) -> Vec<Result<Receipt, Refused>> {
        let genesis_hash = self.genesis_hash;
        // Each is signed in the block, where its nonce counts those before it.
        self.make_block(transactions.into_iter().map(|(signer, call)| sign(signer, call.into(), genesis_hash)))
    }

    fn make_block(
        &mut self,
        extrinsics: impl IntoIterator<Item = UncheckedExtrinsic>,
    ) -> Vec<Result<Receipt, Refused>> {
        let head = self.head;
        let block = self.block.saturating_add(1);
        let time = self.time.saturating_add(BLOCK_TIME).saturating_add(self.advance);
        let (header, receipts) = self.state.execute_with(|| {
            let header = Header::new(block, Default::default(), Default::default(), head, Default::default());
            Executive::initialize_block(&header);
            let clock = RuntimeCall::Timestamp(pallet_timestamp::Call::set { now: time });
            let inherent = Executive::apply_extrinsic(UncheckedExtrinsic::new_unsigned(clock));
            assert!(matches!(inherent, Ok(Ok(()))), "a later time is always accepted: {inherent:?}");
            let mut receipts = vec![];
            for extrinsic in extrinsics {
                let first = System::event_count();
                let applied = Executive::apply_extrinsic(extrinsic).map_err(refused);
                complete_code_deposits(first);
                receipts.push(applied.map(|_| receipt(block, time, first)));
                if receipts.last().is_some_and(Result::is_err) {
                    break;
                }
            }
            (Executive::finalize_block(), receipts)
        });
        (self.block, self.time, self.advance, self.head) = (block, time, 0, header.hash());
        self.times.push(time);
        let told: Vec<_> = receipts.iter().flatten().flat_map(|receipt| receipt.events.clone()).collect();
        if !told.is_empty() {
            self.told.insert(block, told);
        }
        receipts
    }

    /// What `origin`'s call of a contract would do now. Changes nothing.
    pub fn dry_run(&mut self, origin: AccountId, contract: AccountId, value: Balance, data: Vec<u8>) -> DryRun {
        self.state.execute_with(|| {
            let outcome = roll_back(|| {
                Contracts::bare_call(
                    origin.into(),
                    contract.into(),
                    value,
                    RuntimeBlockWeights::get().max_block,
                    None,
                    data,
                    pallet_contracts::DebugInfo::Skip,
                    pallet_contracts::CollectEvents::Skip,
                    pallet_contracts::Determinism::Enforced,
                )
            });
            DryRun {
                gas_consumed: outcome.gas_consumed.into(),
                gas_required: outcome.gas_required.into(),
                storage_deposit: match outcome.storage_deposit {
                    pallet_contracts::StorageDeposit::Charge(amount) => signed(amount),
                    pallet_contracts::StorageDeposit::Refund(amount) => -signed(amount),
                },
                result: match outcome.result {
                    Ok(returned) => Ok(Returned { reverted: returned.did_revert(), data: returned.data }),
                    Err(error) => Err(error.into()),
                },
            }
        })
    }
}

impl Default for Devchain {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Call> for RuntimeCall {
    fn from(call: Call) -> Self {
        match call {
            Call::InstantiateWithCode { code, data, salt, gas_limit } => {
                RuntimeCall::Contracts(pallet_contracts::Call::instantiate_with_code {
                    value: 0,
                    gas_limit: gas_limit.into(),
                    storage_deposit_limit: None,
                    code,
                    data,
                    salt,
                })
            }
            Call::Call { contract, value, gas_limit, storage_deposit_limit, data } => {
                RuntimeCall::Contracts(pallet_contracts::Call::call {
                    dest: Address::Id(contract.into()),
                    value,
                    gas_limit: gas_limit.into(),
                    storage_deposit_limit: storage_deposit_limit.map(Into::into),
                    data,
                })
            }
            Call::Transfer { to, amount } => RuntimeCall::Balances(pallet_balances::Call::transfer_allow_death {
                dest: Address::Id(to.into()),
                value: amount,
            }),
            Call::Remark => RuntimeCall::System(frame_system::Call::remark { remark: vec![] }),
        }
    }
}

impl DispatchError {
    fn module<E: Into<&'static str>>(pallet: &'static str, error: Result<E, codec::Error>) -> Self {
        Self::Module { pallet, name: error.map_or("an unknown error", Into::into) }
    }
}

impl From<sp_runtime::DispatchError> for DispatchError {
    fn from(error: sp_runtime::DispatchError) -> Self {
        match error {
            // An error that was stored has lost its name, but not its number.
            sp_runtime::DispatchError::Module(ModuleError { index, error, .. }) => match index {
                0 => Self::module("System", frame_system::Error::<Runtime>::decode(&mut &error[..])),
                4 => Self::module("Balances", pallet_balances::Error::<Runtime>::decode(&mut &error[..])),
                8 => Self::module("Contracts", pallet_contracts::Error::<Runtime>::decode(&mut &error[..])),
                other => Self::Other(format!("an error of pallet {other}")),
            },
            other => Self::Other(<&'static str>::from(other).to_string()),
        }
    }
}

fn sign(signer: &impl Signer, call: RuntimeCall, genesis_hash: H256) -> UncheckedExtrinsic {
    let account = sp_core::crypto::AccountId32::new(signer.account());
    let extra: SignedExtra = (
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckEra::from(Era::Immortal),
        frame_system::CheckNonce::from(System::account_nonce(&account)),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(0),
    );
    let version = (runtime::VERSION.spec_version, runtime::VERSION.transaction_version);
    let implicit = ((), version.0, version.1, genesis_hash, genesis_hash, (), (), ());
    let payload = SignedPayload::from_raw(call.clone(), extra.clone(), implicit);
    let signature = payload.using_encoded(|bytes| signer.sign(bytes));
    let signature = MultiSignature::Sr25519(sr25519::Signature::from_raw(signature));
    UncheckedExtrinsic::new_signed(call, Address::Id(account), signature, extra)
}

fn roll_back<T>(run: impl FnOnce() -> T) -> T {
    let mut result = None;
    let nested: Result<(), sp_runtime::DispatchError> = with_transaction(|| {
        result = Some(run());
        TransactionOutcome::Rollback(Ok(()))
    });
    nested.expect("only the depth of nesting can fail it, and this is the first layer; qed");
    result.expect("the closure has run; qed")
}

fn refused(error: TransactionValidityError) -> Refused {
    match error {
        TransactionValidityError::Invalid(InvalidTransaction::Payment) => Refused::Payment,
        TransactionValidityError::Invalid(InvalidTransaction::ExhaustsResources) => Refused::ExhaustsResources,
        other => Refused::Other(<&'static str>::from(other).to_string()),
    }
}

/// What this build of pallet-contracts forgets of the deposit for uploaded code, in planck.
///
/// The deposit counts the greatest encoded length of the code's record. The node's runtime was built with
/// parity-scale-codec 3.6.12, whose derived length has one more byte for each of two compact fields than that of 3.7,
/// which other crates here need.
fn missing_code_deposit() -> Balance {
    2 * runtime::DepositPerByte::get()
}

/// Holds the rest of the deposits for the code that the transaction under way has uploaded.
fn complete_code_deposits(first_event: u32) {
    for record in System::read_events_no_consensus().skip(first_event as usize) {
        if let RuntimeEvent::Contracts(pallet_contracts::Event::CodeStored { uploader, .. }) = record.event {
            let reason = pallet_contracts::HoldReason::CodeUploadDepositReserve.into();
            // Whoever has paid nearly all of it and cannot pay this has less than the existential deposit left.
            let _ = Balances::hold(&reason, &uploader, missing_code_deposit());
        }
    }
}

fn receipt(block: u32, time: u64, first_event: u32) -> Receipt {
    let mut receipt = Receipt {
        block,
        time,
        weight: Weight::default(),
        fee: 0,
        storage_deposit: 0,
        result: Ok(()),
        instantiated: None,
        events: vec![],
    };
    for record in System::read_events_no_consensus().skip(first_event as usize) {
        use pallet_contracts::Event as Contract;
        match record.event {
            RuntimeEvent::System(frame_system::Event::ExtrinsicSuccess { dispatch_info }) => {
                receipt.weight = dispatch_info.weight.into();
            }
            RuntimeEvent::System(frame_system::Event::ExtrinsicFailed { dispatch_error, dispatch_info }) => {
                receipt.weight = dispatch_info.weight.into();
                receipt.result = Err(dispatch_error.into());
            }
            RuntimeEvent::TransactionPayment(pallet_transaction_payment::Event::TransactionFeePaid {
                actual_fee,
                ..
            }) => receipt.fee = actual_fee,
            RuntimeEvent::Contracts(Contract::CodeStored { deposit_held, .. }) => {
                receipt.storage_deposit += signed(deposit_held.saturating_add(missing_code_deposit()));
            }
            RuntimeEvent::Contracts(Contract::StorageDepositTransferredAndHeld { amount, .. }) => {
                receipt.storage_deposit += signed(amount);
            }
            RuntimeEvent::Contracts(Contract::StorageDepositTransferredAndReleased { amount, .. }) => {
                receipt.storage_deposit -= signed(amount);
            }
            RuntimeEvent::Contracts(Contract::Instantiated { contract, .. }) => {
                receipt.instantiated = Some(contract.into());
            }
            RuntimeEvent::Contracts(Contract::ContractEmitted { contract, data }) => {
                let topics = record.topics.iter().map(|topic| topic.0).collect();
                receipt.events.push(ContractEvent { contract: contract.into(), topics, data });
            }
            _ => {}
        }
    }
    receipt
}

fn signed(amount: Balance) -> i128 {
    i128::try_from(amount).expect("all tokens together are fewer than 2^127; qed")
}
