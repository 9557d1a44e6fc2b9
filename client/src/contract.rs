//! Braid's contract on a chain: its bundle, typed calls, typed events.

use crate::{
    chain::{Chain, ChainError, RawEvent, Receipt},
    keys::{Keys, Native},
};
use codec::{Decode, DecodeAll};
use protocol::{
    abi::{Answer, LangError, Message, New},
    event, AccountId, Balance, Error,
};
use std::collections::BTreeMap;

/// The built contract: Wasm and metadata.
const BUNDLE: &str = include_str!("../../contracts/channels/channels.contract");

/// What a bundle says about its contract.
pub struct Bundle {
    /// The code.
    pub wasm: Vec<u8>,
    /// ink!'s description of messages and events.
    pub metadata: serde_json::Value,
}

/// A bundle that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the bundle is not a contract bundle of Braid: {0}")]
pub struct BadBundle(String);

impl Bundle {
    /// The bundle that this client was built with.
    ///
    /// # Errors
    /// If the file in the repository is broken.
    pub fn built_in() -> Result<Self, BadBundle> {
        Self::parse(BUNDLE)
    }

    /// Reads the text of a `.contract` file.
    ///
    /// # Errors
    /// If it is no JSON, or lacks the code.
    pub fn parse(text: &str) -> Result<Self, BadBundle> {
        let metadata: serde_json::Value =
            serde_json::from_str(text).map_err(|error| BadBundle(format!("it is no JSON ({error})")))?;
        let wasm = metadata["source"]["wasm"].as_str().ok_or_else(|| BadBundle("it has no source.wasm".into()))?;
        let wasm = hex::decode(wasm.trim_start_matches("0x"))
            .map_err(|error| BadBundle(format!("source.wasm is no hexadecimal ({error})")))?;
        Ok(Self { wasm, metadata })
    }

    /// Each event's name by its first topic.
    fn event_names(&self) -> BTreeMap<[u8; 32], String> {
        let events = self.metadata["spec"]["events"].as_array().into_iter().flatten();
        let named = events.filter_map(|event| {
            let topic = hex::decode(event["signature_topic"].as_str()?.trim_start_matches("0x")).ok()?;
            Some((topic.try_into().ok()?, event["label"].as_str()?.to_owned()))
        });
        named.collect()
    }
}

/// An event of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each variant holds the event of its name, documented there.
pub enum Event {
    Deposited(event::Deposited),
    Withdrawn(event::Withdrawn),
    TpcCreated(event::TpcCreated),
    TpcUpdated(event::TpcUpdated),
    TpcClosed(event::TpcClosed),
    MpcCreated(event::MpcCreated),
    MpcEntered(event::MpcEntered),
    MpcUpdated(event::MpcUpdated),
    MpcClosed(event::MpcClosed),
}

/// Why a call of the contract did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The contract refuses.
    #[error("the contract refuses: {0}")]
    Contract(Error),
    /// The contract does not know the message.
    #[error(transparent)]
    Lang(#[from] LangError),
    /// The chain refuses.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The answer is no answer of this contract.
    #[error("the contract's answer cannot be read: it is another contract, or another version of Braid's")]
    Answer,
}

/// A call that is in a block.
#[derive(Clone, Debug)]
pub struct Called<T> {
    /// The contract's answer.
    pub answer: T,
    /// What the chain says.
    pub receipt: Receipt,
    /// What the contract says.
    pub events: Vec<Event>,
}

/// One deployment.
#[derive(Clone)]
pub struct Contract {
    /// The contract's account.
    pub account: AccountId,
    events: BTreeMap<[u8; 32], String>,
}

impl Contract {
    /// Makes a new deployment, paid by `keys`.
    ///
    /// # Errors
    /// If the chain refuses.
    pub fn deploy(chain: &mut impl Chain, keys: &Keys, bundle: &Bundle) -> Result<(Self, Receipt), ChainError> {
        let data = New { genesis_hash: chain.genesis_hash() }.call_data(&Native);
        let (account, receipt) = chain.instantiate(keys, bundle.wasm.clone(), data)?;
        Ok((Self { account, events: bundle.event_names() }, receipt))
    }

    /// Asks without a transaction.
    ///
    /// # Errors
    /// If the chain or the contract cannot answer.
    pub fn query<M: Message>(&self, chain: &mut impl Chain, message: &M) -> Result<M::Output, CallError> {
        let run = chain.dry_run(self.account, self.account, 0, message.call_data(&Native))?;
        answer(&run.answer)
    }

    /// Tries `message` without a transaction, then sends it with the gas that it needs.
    ///
    /// # Errors
    /// If the contract refuses in the trial, nothing is sent and nothing is paid.
    pub fn call<T: Decode, M: Message<Output = Result<T, Error>>>(
        &self,
        chain: &mut impl Chain,
        keys: &Keys,
        value: Balance,
        message: &M,
    ) -> Result<Called<T>, CallError> {
        let data = message.call_data(&Native);
        let run = chain.dry_run(keys.account(), self.account, value, data.clone())?;
        let answer = answer::<M::Output>(&run.answer)?.map_err(CallError::Contract)?;
        let receipt = chain.call(keys, self.account, value, run.gas_required, data)?;
        let events = receipt.events.iter().filter_map(|event| self.event(event)).collect();
        Ok(Called { answer, receipt, events })
    }

    /// Reads an event, if it is one of this contract.
    pub fn event(&self, raw: &RawEvent) -> Option<Event> {
        if raw.contract != self.account {
            return None;
        }
        macro_rules! decode {
            ($($name:ident),*) => {
                match self.events.get(raw.topics.first()?)?.as_str() {
                    $(stringify!($name) => event::$name::decode_all(&mut &raw.data[..]).ok().map(Event::$name),)*
                    _ => None,
                }
            };
        }
        decode!(Deposited, Withdrawn, TpcCreated, TpcUpdated, TpcClosed, MpcCreated, MpcEntered, MpcUpdated, MpcClosed)
    }
}

fn answer<T: Decode>(bytes: &[u8]) -> Result<T, CallError> {
    Ok(Answer::<T>::decode_all(&mut &bytes[..]).map_err(|_| CallError::Answer)??)
}
