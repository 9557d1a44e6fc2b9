//! The bytes that a contracts node understands: signed transactions, queries of its runtime, events. No I/O.
//!
//! The layouts are those of contracts-node-runtime 0.42.0, which a connection checks for; indices of pallets, calls and
//! errors, and the layout of other pallets' events, come from the node's metadata.

use crate::{
    keys::Keys, type_bounds::check_types, ContractCall, Failure, Instantiation, NodeError, RawEvent, Receipt, Weight,
    MAX_GAS,
};
use codec::{Compact, Decode, DecodeAll, Encode};
use protocol::{AccountId, Balance};
use std::fmt::Display;
use subxt::{
    client::OfflineClientAtBlockImpl,
    config::{
        substrate::{AccountId32, MultiSignature, SpecVersionForRange, H256},
        DefaultExtrinsicParamsBuilder,
    },
    events::{Event, Phase},
    ext::{
        frame_metadata::v14::RuntimeMetadataV14,
        scale_encode::{EncodeAsFields, Error as EncodeError, FieldIter},
        scale_type_resolver::TypeResolver,
    },
    transactions::{Payload, StaticPayload},
    ArcMetadata, OfflineClient, SubstrateConfig,
};

/// The first bytes of metadata, and its version: the one that `state_getMetadata` answers with.
const METADATA_TAG: &[u8] = b"meta\x0e";

/// Turns calls into bytes and the node's bytes into values.
pub struct Codec {
    client: subxt::client::ClientAtBlock<SubstrateConfig, OfflineClientAtBlockImpl<SubstrateConfig>>,
    metadata: ArcMetadata,
}

/// What a transaction does.
#[derive(Clone, Debug)]
pub enum Call {
    /// Uploads code and makes a contract of it.
    Instantiate(Instantiation),
    /// Calls a contract.
    Contract(ContractCall),
    /// Moves planck to another account.
    Transfer(AccountId, Balance),
}

/// What a transaction became.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the chain says; meaningful for the fee even if the transaction failed.
    pub receipt: Receipt,
    /// The new contract, if one was made.
    pub instantiated: Option<AccountId>,
    /// Whether it succeeded.
    pub result: Result<(), Failure>,
}

/// The runtime's answer to a trial call.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The gas limit that the call needs.
    pub gas_required: Weight,
    /// The contract's answer.
    pub result: Result<Vec<u8>, Failure>,
}

/// Call arguments that are encoded already.
struct Encoded(Vec<u8>);

impl EncodeAsFields for Encoded {
    fn encode_as_fields_to<R: TypeResolver>(
        &self,
        _: &mut dyn FieldIter<'_, R::TypeId>,
        _: &R,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}

#[derive(Decode)]
struct CompactWeight {
    #[codec(compact)]
    ref_time: u64,
    #[codec(compact)]
    proof_size: u64,
}

impl From<CompactWeight> for Weight {
    fn from(weight: CompactWeight) -> Self {
        Self { ref_time: weight.ref_time, proof_size: weight.proof_size }
    }
}

/// The runtime's errors, by sp-runtime 39's order of variants.
#[derive(Decode)]
enum DispatchError {
    Other,
    CannotLookup,
    BadOrigin,
    Module { index: u8, error: [u8; 4] },
    ConsumerRemaining,
    NoProviders,
    TooManyConsumers,
    Token(u8),
    Arithmetic(u8),
    Transactional(u8),
    Exhausted,
    Corruption,
    Unavailable,
    RootNotAllowed,
}

impl Codec {
    /// A codec for one chain.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn new(genesis_hash: [u8; 32], versions: (u32, u32), metadata: &[u8]) -> Result<Self, NodeError> {
        let broken = |reason: &dyn Display| unusable("state_getMetadata", reason);
        let described = metadata
            .strip_prefix(METADATA_TAG)
            .ok_or_else(|| broken(&"it does not begin as metadata of version 14"))?;
        let described = RuntimeMetadataV14::decode_all(&mut &*described).map_err(|error| broken(&error))?;
        check_types(&described.types, used(&described)).map_err(|error| broken(&error))?;
        let metadata = subxt::Metadata::from_v14(described).map_err(|error| broken(&error))?.arc();
        let (spec_version, transaction_version) = versions;
        let always = SpecVersionForRange { block_range: 0..u64::MAX, spec_version, transaction_version };
        let config = SubstrateConfig::builder()
            .set_genesis_hash(H256(genesis_hash))
            .set_metadata_for_spec_versions([(spec_version, metadata.clone())])
            .set_spec_version_for_block_ranges([always])
            .build();
        let client = OfflineClient::new_with_config(config).at_block(0_u64).map_err(|error| broken(&error))?;
        Ok(Self { client, metadata })
    }

    /// The bytes of a call, signed: good once, with this nonce, whenever.
    ///
    /// # Errors
    /// If the node's metadata does not know the call.
    pub fn sign(&self, keys: &Keys, call: &Call, nonce: u64) -> Result<Vec<u8>, NodeError> {
        let unknown = |error: &dyn Display| unusable("state_getMetadata", error);
        let payload = call.payload();
        let params = DefaultExtrinsicParamsBuilder::new().immortal().nonce(nonce).tip(call.tip()).build();
        let transactions = self.client.transactions();
        let mut signable = transactions.create_signable_offline(&payload, params).map_err(|error| unknown(&error))?;
        let signature = keys.sign(&signable.signer_payload().map_err(|error| unknown(&error))?);
        let signed = signable
            .sign_with_account_and_signature(
                &AccountId32(*keys.account().as_ref()),
                &MultiSignature::Sr25519(signature.0),
            )
            .map_err(|error| unknown(&error))?;
        Ok(signed.into_encoded())
    }

    /// What a block's events say about its transaction at `index`.
    ///
    /// # Errors
    /// If the events cannot be read.
    pub fn outcome(&self, block: u64, index: u32, events: Vec<u8>) -> Result<Outcome, NodeError> {
        let block = u32::try_from(block).map_err(|error| unreadable(&error))?;
        let (weight, fee, storage_deposit) = (Weight::default(), 0, 0);
        let receipt = Receipt { block, weight, fee, storage_deposit, events: vec![] };
        let mut outcome = Outcome { receipt, instantiated: None, result: Ok(()) };
        let mut ended = false;
        for event in self.client.events().from_bytes(events).iter() {
            let event = event.map_err(|error| unreadable(&error))?;
            if event.phase() == Phase::ApplyExtrinsic(index) {
                self.take(&mut outcome, &event).map_err(|error| unreadable(&error))?;
                ended |= matches!(event.event_name(), "ExtrinsicSuccess" | "ExtrinsicFailed");
            }
        }
        if !ended {
            return Err(unreadable(&"they do not say what became of the transaction"));
        }
        Ok(outcome)
    }

    /// What contracts told in a block, given its events.
    ///
    /// # Errors
    /// If the events cannot be read.
    pub fn contract_events(&self, events: Vec<u8>) -> Result<Vec<RawEvent>, NodeError> {
        let mut told = vec![];
        for event in self.client.events().from_bytes(events).iter() {
            let event = event.map_err(|error| unreadable(&error))?;
            if (event.pallet_name(), event.event_name()) == ("Contracts", "ContractEmitted") {
                told.push(emitted(&event).map_err(|error| unreadable(&error))?);
            }
        }
        Ok(told)
    }

    /// Adds what one event of the transaction says.
    fn take(&self, outcome: &mut Outcome, event: &Event<'_, SubstrateConfig>) -> Result<(), codec::Error> {
        let mut fields = event.field_bytes();
        let fields = &mut fields;
        let receipt = &mut outcome.receipt;
        match (event.pallet_name(), event.event_name()) {
            ("System", "ExtrinsicSuccess") => receipt.weight = CompactWeight::decode(fields)?.into(),
            ("System", "ExtrinsicFailed") => {
                outcome.result = Err(self.failure(DispatchError::decode(fields)?));
                receipt.weight = CompactWeight::decode(fields)?.into();
            }
            ("TransactionPayment", "TransactionFeePaid") => {
                (_, receipt.fee) = <([u8; 32], Balance)>::decode(fields)?;
            }
            ("Contracts", "CodeStored") => {
                let (_, held) = <([u8; 32], Balance)>::decode(fields)?;
                receipt.storage_deposit = receipt.storage_deposit.saturating_add_unsigned(held);
            }
            ("Contracts", "StorageDepositTransferredAndHeld") => {
                let (_, held) = <([u8; 64], Balance)>::decode(fields)?;
                receipt.storage_deposit = receipt.storage_deposit.saturating_add_unsigned(held);
            }
            ("Contracts", "StorageDepositTransferredAndReleased") => {
                let (_, released) = <([u8; 64], Balance)>::decode(fields)?;
                receipt.storage_deposit = receipt.storage_deposit.saturating_sub_unsigned(released);
            }
            ("Contracts", "Instantiated") => {
                let (_, contract) = <([u8; 32], [u8; 32])>::decode(fields)?;
                outcome.instantiated = Some(contract.into());
            }
            ("Contracts", "ContractEmitted") => {
                receipt.events.push(emitted(event)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the answer of `ContractsApi_call`.
    ///
    /// # Errors
    /// If it is no such answer.
    pub fn trial(&self, bytes: &[u8]) -> Result<Trial, NodeError> {
        // Consumed, required, the storage deposit (first a byte for its sign), debug messages.
        type Head = (CompactWeight, CompactWeight, (u8, Balance), Vec<u8>);
        let broken = |error: codec::Error| unusable("ContractsApi_call", &error);
        let input = &mut &*bytes;
        let (_, gas_required, ..) = Head::decode(input).map_err(broken)?;
        let result = <Result<(u32, Vec<u8>), DispatchError>>::decode(input).map_err(broken)?;
        let result = result.map(|(_, data)| data).map_err(|error| self.failure(error));
        Ok(Trial { gas_required: gas_required.into(), result })
    }

    /// Whether the transaction `bytes` of a block is `call` by `account`, whatever its limits and nonce are.
    pub fn is_call_by(&self, account: &AccountId, call: &Call, bytes: &[u8]) -> bool {
        /// Version 4, signed.
        const SIGNED: u8 = 0x84;
        let mut transaction = bytes;
        let signer = (SIGNED, address(account)).encode();
        if Compact::<u32>::decode(&mut transaction).is_err() || !transaction.starts_with(&signer) {
            return false;
        }
        let (start, end) = call.around_limits();
        transaction.ends_with(&end) && transaction.windows(start.len()).any(|window| window == start)
    }

    fn failure(&self, error: DispatchError) -> Failure {
        match error {
            DispatchError::Module { index, error: [error, ..] } => {
                let pallet = self.metadata.pallet_by_error_index(index);
                let name = pallet.as_ref().and_then(|pallet| pallet.error_variant_by_index(error));
                let pallet = pallet.as_ref().map_or("unknown pallet", |pallet| pallet.name());
                Failure::of_module(pallet, name.map_or("unknown error", |variant| variant.name.as_str()))
            }
            DispatchError::Token(kind) => Failure::of_text(text(&TOKEN, kind)),
            DispatchError::Arithmetic(kind) => Failure::of_text(text(&ARITHMETIC, kind)),
            DispatchError::Transactional(kind) => Failure::of_text(text(&TRANSACTIONAL, kind)),
            DispatchError::Other => Failure::of_text("the runtime names no reason"),
            DispatchError::CannotLookup => Failure::of_text("Cannot lookup"),
            DispatchError::BadOrigin => Failure::of_text("Bad origin"),
            DispatchError::ConsumerRemaining => Failure::of_text("Consumer remaining"),
            DispatchError::NoProviders => Failure::of_text("No providers"),
            DispatchError::TooManyConsumers => Failure::of_text("Too many consumers"),
            DispatchError::Exhausted => Failure::of_text("Resources exhausted"),
            DispatchError::Corruption => Failure::of_text("State corrupt"),
            DispatchError::Unavailable => Failure::of_text("Resource unavailable"),
            DispatchError::RootNotAllowed => Failure::of_text("Root not allowed"),
        }
    }
}

/// sp-runtime 39's words for errors about tokens, by their order.
const TOKEN: [&str; 10] = [
    "Funds are unavailable",
    "Account that must exist would die",
    "Account cannot exist with the funds that would be given",
    "Account cannot be created",
    "The asset in question is unknown",
    "Funds exist but are frozen",
    "Operation is not supported by the asset",
    "Account cannot be created for recording amount on hold",
    "Account that is desired to remain would die",
    "Account cannot receive the assets",
];

/// The same for arithmetic.
const ARITHMETIC: [&str; 3] = ["An underflow would occur", "An overflow would occur", "Division by zero"];

/// The same for storage transactions.
const TRANSACTIONAL: [&str; 2] =
    ["Too many transactional layers have been spawned", "A transactional layer was expected, but does not exist"];

fn text(texts: &[&'static str], index: u8) -> &'static str {
    texts.get(usize::from(index)).unwrap_or(&"the runtime names an unknown error")
}

impl Call {
    fn payload(&self) -> impl Payload {
        let (pallet, call, arguments) = match self {
            Self::Instantiate(Instantiation { code, data, salt }) => {
                let limits = (Compact(0_u128), weight(MAX_GAS), None::<Compact<Balance>>);
                ("Contracts", "instantiate_with_code", (limits, code, data, salt).encode())
            }
            Self::Contract(ContractCall { contract, value, gas_limit, deposit_limit, tip: _, data }) => {
                let limits = (Compact(*value), weight(*gas_limit), deposit_limit.map(Compact));
                ("Contracts", "call", (address(contract), limits, data).encode())
            }
            Self::Transfer(to, amount) => {
                ("Balances", "transfer_allow_death", (address(to), Compact(*amount)).encode())
            }
        };
        StaticPayload::new(pallet, call, Encoded(arguments))
    }

    fn tip(&self) -> Balance {
        match self {
            Self::Contract(call) => call.tip,
            Self::Instantiate(_) | Self::Transfer(..) => 0,
        }
    }

    /// The call's arguments before and after its limits, which depend on who estimated them.
    fn around_limits(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Instantiate(Instantiation { code, data, salt }) => {
                (Compact(0_u128).encode(), (code, data, salt).encode())
            }
            Self::Contract(ContractCall { contract, value, data, .. }) => {
                ((address(contract), Compact(*value)).encode(), data.encode())
            }
            Self::Transfer(to, amount) => (address(to).encode(), Compact(*amount).encode()),
        }
    }
}

fn weight(weight: Weight) -> (Compact<u64>, Compact<u64>) {
    (Compact(weight.ref_time), Compact(weight.proof_size))
}

/// The types that something is decoded or encoded by: those of events and of what transactions are signed with.
fn used(metadata: &RuntimeMetadataV14) -> impl Iterator<Item = u32> + '_ {
    let events = metadata.pallets.iter().filter_map(|pallet| Some(pallet.event.as_ref()?.ty.id));
    let extensions = metadata.extrinsic.signed_extensions.iter();
    events.chain(extensions.flat_map(|extension| [extension.ty.id, extension.additional_signed.id]))
}

/// `MultiAddress::Id`.
fn address(account: &AccountId) -> (u8, &AccountId) {
    (0, account)
}

/// The arguments of `ContractsApi_call`, with the runtime's own limits.
pub fn trial_arguments(origin: AccountId, contract: AccountId, value: Balance, data: &[u8]) -> Vec<u8> {
    (origin, contract, value, None::<()>, None::<()>, data).encode()
}

/// Reads bytes in hexadecimal, the node's answer to `request`.
///
/// # Errors
/// If they are something else.
pub fn bytes(request: &str, text: &str) -> Result<Vec<u8>, NodeError> {
    hex::decode(text.trim_start_matches("0x")).map_err(|error| unusable(request, &error))
}

/// Reads a block's hash, the node's answer to `request`.
///
/// # Errors
/// If it is none.
pub fn hash(request: &str, text: &str) -> Result<[u8; 32], NodeError> {
    bytes(request, text)?.try_into().map_err(|_| unusable(request, &"it is no hash"))
}

/// Reads the number in a block's header.
///
/// # Errors
/// If it is none.
pub fn number(text: &str) -> Result<u64, NodeError> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|error| unusable("chain_getHeader", &error))
}

/// Reads the beginning of what the runtime stores under `what`.
///
/// # Errors
/// If it is shorter, or something else.
pub fn decode<T: Decode>(what: &str, mut bytes: &[u8]) -> Result<T, NodeError> {
    T::decode(&mut bytes).map_err(|error| unusable(what, &error))
}

fn unusable(request: &str, reason: &dyn Display) -> NodeError {
    NodeError::Answer { request: request.into(), reason: reason.to_string() }
}

/// Events that cannot be read.
fn unreadable(error: &dyn Display) -> NodeError {
    unusable("events", error)
}

/// What a contract told.
fn emitted(event: &Event<'_, SubstrateConfig>) -> Result<RawEvent, codec::Error> {
    let (contract, data) = <([u8; 32], Vec<u8>)>::decode(&mut event.field_bytes())?;
    let topics = event.topics().iter().map(|topic| topic.0).collect();
    Ok(RawEvent { contract: contract.into(), topics, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_metadata_of_version_14_is_refused() {
        let its_own_length = [4].as_slice();
        for bad in [b"".as_slice(), its_own_length, b"meta", b"meta\x0d", b"meta\x0e", b"meta\x0e\xfe\xff\xff\xff"] {
            match Codec::new([0; 32], (100, 9), bad) {
                Err(NodeError::Answer { request, .. }) => assert_eq!(request, "state_getMetadata"),
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("{bad:?} is taken for metadata"),
            }
        }
    }
}
