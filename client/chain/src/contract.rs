//! Braid's contract on a chain: its bundle, typed calls, typed events.

use crate::{
    keys::{address, bytes32, Keys},
    Chain, ChainError, ContractCall, FinalBlock, Instantiation, RawEvent, Receipt,
};
use codec::{Decode, DecodeAll, Encode};
use engine::{for_each_call, Block, Call, Native, Stored};
use protocol::{
    abi::{Answer, GetDomain, GetEnded, GetTpc, LangError, Message, New, MESSAGES},
    AccountId, Balance, Crypto, Domain, Epoch, Error, TpcId,
};
use std::collections::BTreeMap;

pub use protocol::event::Event;

/// The built contract: Wasm and metadata.
const BUNDLE: &str = include_str!("../../../contracts/channels/channels.contract");

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
    /// If it is no JSON, lacks the code, or describes another contract than Braid's.
    pub fn parse(text: &str) -> Result<Self, BadBundle> {
        let metadata: serde_json::Value =
            serde_json::from_str(text).map_err(|error| BadBundle(format!("it is no JSON ({error})")))?;
        let wasm = metadata["source"]["wasm"].as_str().ok_or_else(|| BadBundle("it has no source.wasm".into()))?;
        let wasm = hex::decode(wasm.trim_start_matches("0x"))
            .map_err(|error| BadBundle(format!("source.wasm is no hexadecimal ({error})")))?;
        let spec = &metadata["spec"];
        let listed = ["constructors", "messages"].iter().filter_map(|list| spec[*list].as_array()).flatten();
        let labels: Vec<_> = listed.filter_map(|message| message["label"].as_str()).collect();
        if let Some((missing, _)) = MESSAGES.iter().find(|(name, _)| !labels.contains(name)) {
            return Err(BadBundle(format!(
                "it has no message `{missing}`; Braid's is contracts/channels/channels.contract"
            )));
        }
        Ok(Self { wasm, metadata })
    }

    /// The hash that the chain knows the code by.
    pub fn code_hash(&self) -> [u8; 32] {
        Native.blake2_256(&self.wasm)
    }

    /// Each event's name by its first topic.
    fn event_names(&self) -> BTreeMap<[u8; 32], String> {
        let events = self.metadata["spec"]["events"].as_array().into_iter().flatten();
        let named = events.filter_map(|event| {
            let topic = bytes32(event["signature_topic"].as_str()?.trim_start_matches("0x"))?;
            Some((topic, event["label"].as_str()?.to_owned()))
        });
        named.collect()
    }
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

/// An address that is no deployment of this client's contract on this chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// Nothing is there.
    #[error("there is no contract at {}: check the address and the node, or deploy one with `braid deploy`", address(.0))]
    NoContract(AccountId),
    /// Something else is there.
    #[error("the contract at {} is not Braid's, or another version of it: deploy this one with `braid deploy`", address(.0))]
    OtherCode(AccountId),
    /// Its signatures are for another chain.
    #[error("the contract at {} was made with another chain's genesis hash: deploy a new one with `braid deploy`", address(.0))]
    OtherChain(AccountId),
}

/// Why a deployment cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not this client's.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// It does not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<ChainError> for OpenError {
    fn from(error: ChainError) -> Self {
        Self::Call(error.into())
    }
}

/// A call that is in a block.
#[derive(Clone, Debug)]
pub struct Called<T> {
    /// The contract's answer in the trial before; what depends on the block's clock is only in the events as it came out.
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
    pub async fn deploy(chain: &mut impl Chain, keys: &Keys, bundle: &Bundle) -> Result<(Self, Receipt), ChainError> {
        let data = New { genesis_hash: chain.genesis_hash() }.call_data(&Native);
        let mut new = Instantiation { code: bundle.wasm.clone(), data, salt: vec![] };
        // An account's first deployment needs no salt; every further one takes the next number.
        let mut number: u32 = 0;
        while chain.code_hash(instantiated(keys, bundle, &new)).await?.is_some() {
            number = number.wrapping_add(1);
            new.salt = number.to_le_bytes().to_vec();
        }
        let (account, receipt) = chain.instantiate(keys, new).await?;
        Ok((Self { account, events: bundle.event_names() }, receipt))
    }

    /// An existing deployment: checks that it is this bundle's code, and made for this chain.
    ///
    /// # Errors
    /// [`NotOurs`], or if the chain cannot be asked.
    pub async fn open(chain: &mut impl Chain, account: AccountId, bundle: &Bundle) -> Result<Self, OpenError> {
        let code_hash = chain.code_hash(account).await?.ok_or(NotOurs::NoContract(account))?;
        if code_hash != bundle.code_hash() {
            return Err(NotOurs::OtherCode(account).into());
        }
        let contract = Self { account, events: bundle.event_names() };
        let Domain { genesis_hash, contract: own } = contract.query(chain, &GetDomain {}).await?;
        if (genesis_hash, own) != (chain.genesis_hash(), account) {
            return Err(NotOurs::OtherChain(account).into());
        }
        Ok(contract)
    }

    /// Asks without a transaction.
    ///
    /// # Errors
    /// If the chain or the contract cannot answer.
    pub async fn query<M: Message>(&self, chain: &mut impl Chain, message: &M) -> Result<M::Output, CallError> {
        let run = chain.dry_run(self.account, self.account, 0, message.call_data(&Native)).await?;
        answer(&run.answer)
    }

    /// Asks what the contract holds after a final block, by its number.
    ///
    /// # Errors
    /// As [`Contract::query`], and if the chain no longer has that block.
    pub async fn query_at<M: Message>(
        &self,
        chain: &mut impl Chain,
        block: u32,
        message: &M,
    ) -> Result<M::Output, CallError> {
        answer(&chain.query(block, self.account, message.call_data(&Native)).await?)
    }

    /// Tries `message` without a transaction, then sends it with a quarter more gas than it needed: what it meets on
    /// chain may have changed meanwhile, and what is not used is not paid.
    ///
    /// # Errors
    /// If the contract refuses in the trial, nothing is sent and nothing is paid.
    pub async fn call<T: Decode, M: Message<Output = Result<T, Error>>>(
        &self,
        chain: &mut impl Chain,
        keys: &Keys,
        value: Balance,
        message: &M,
    ) -> Result<Called<T>, CallError> {
        self.call_with_tip(chain, keys, value, 0, message).await
    }

    async fn call_with_tip<T: Decode, M: Message<Output = Result<T, Error>>>(
        &self,
        chain: &mut impl Chain,
        keys: &Keys,
        value: Balance,
        tip: Balance,
        message: &M,
    ) -> Result<Called<T>, CallError> {
        let data = message.call_data(&Native);
        let run = chain.dry_run(keys.account(), self.account, value, data.clone()).await?;
        let answer = answer::<M::Output>(&run.answer)?.map_err(CallError::Contract)?;
        let (contract, gas_limit) = (self.account, run.gas_required.with_margin());
        let call = ContractCall { contract, value, gas_limit, deposit_limit: None, tip, data };
        let receipt = chain.call(keys, call).await?;
        let events = receipt.events.iter().filter_map(|event| self.event(event)).collect();
        Ok(Called { answer, receipt, events })
    }

    /// Makes a call that an engine asks for, sends `value` planck along, and pays `tip` planck to come before others.
    ///
    /// # Errors
    /// As [`Contract::call`].
    pub async fn submit(
        &self,
        chain: &mut impl Chain,
        keys: &Keys,
        value: Balance,
        tip: Balance,
        call: &Call,
    ) -> Result<Called<()>, CallError> {
        macro_rules! submit {
            ($($message:ident),*) => {
                match call {
                    $(Call::$message(message) => {
                        let Called { receipt, events, .. } = self.call_with_tip(chain, keys, value, tip, message).await?;
                        Ok(Called { answer: (), receipt, events })
                    })*
                }
            };
        }
        for_each_call!(submit)
    }

    /// A final block, as engines follow it. Nothing is read from the storage.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub async fn block(&self, chain: &mut impl Chain, number: u32) -> Result<Block, ChainError> {
        let FinalBlock { time, events } = chain.final_block(number).await?;
        let events = events.iter().filter_map(|raw| self.event(raw)).collect();
        Ok(Block { number, time, events, reading: None })
    }

    /// What the storage holds of channels after a final block, each with the end of an epoch.
    ///
    /// # Errors
    /// If the chain or the contract cannot answer.
    pub async fn read(
        &self,
        chain: &mut impl Chain,
        block: u32,
        channels: &[(TpcId, Epoch)],
    ) -> Result<Vec<Stored>, CallError> {
        let mut read = Vec::with_capacity(channels.len());
        for (tpc, epoch) in channels {
            let stored = self.query_at(chain, block, &GetTpc { id: *tpc }).await?;
            let ended = self.query_at(chain, block, &GetEnded { id: *tpc, epoch: *epoch }).await?;
            read.push(Stored { tpc: *tpc, stored, ended: (*epoch, ended) });
        }
        Ok(read)
    }

    /// Reads an event, if it is one of this contract.
    pub fn event(&self, raw: &RawEvent) -> Option<Event> {
        if raw.contract != self.account {
            return None;
        }
        Event::decode(self.events.get(raw.topics.first()?)?, &raw.data)
    }
}

/// The account that an instantiation by `keys` will have, by pallet-contracts' default rule.
fn instantiated(keys: &Keys, bundle: &Bundle, new: &Instantiation) -> AccountId {
    let Instantiation { data, salt, .. } = new;
    Native.blake2_256(&(b"contract_addr_v1", keys.account(), bundle.code_hash(), data, salt).encode()).into()
}

fn answer<T: Decode>(bytes: &[u8]) -> Result<T, CallError> {
    Ok(Answer::<T>::decode_all(&mut &bytes[..]).map_err(|_| CallError::Answer)??)
}
