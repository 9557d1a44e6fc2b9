//! The tests' PSP22 token, contracts/token, on any chain. The tests on the embedded chain and on a node share this file.
#![allow(dead_code)] // No test needs all of it.

use chain::{block_on, keys::Keys, Chain, ChainError, ContractCall, Instantiation, Receipt};
use codec::{Decode, DecodeAll, Encode};
use engine::Native;
use protocol::{
    abi::{Answer, Message},
    AccountId, Balance,
};

/// The built token: Wasm and metadata.
pub const BUNDLE: &str = include_str!("../../../../contracts/token/token.contract");

/// How the token treats those who hold it, as its source documents.
#[derive(Clone, Debug, Encode)]
pub enum Conduct {
    Honest,
    Lies(Balance),
    KeepsFee,
    CallsBack { callee: AccountId, selector: [u8; 4], arguments: Vec<u8> },
    Traps,
    BurnsGas,
    RefusesPayOuts,
    Babbles(u32),
}

impl Conduct {
    /// It calls `callee` with `message`.
    pub fn calls_back(callee: AccountId, message: &impl Message) -> Self {
        let data = message.call_data(&Native);
        let (selector, arguments) = data.split_first_chunk().unwrap();
        Self::CallsBack { callee, selector: *selector, arguments: arguments.to_vec() }
    }
}

/// Why a token refuses, as the standard has it.
#[derive(Clone, Debug, PartialEq, Eq, Decode)]
pub enum Psp22Error {
    Custom(String),
    InsufficientBalance,
    InsufficientAllowance,
    ZeroRecipientAddress,
    ZeroSenderAddress,
    SafeTransferCheckFailed(String),
}

macro_rules! messages {
    ($($type:ident = $name:literal ($($field:ident: $field_type:ty),*) -> $output:ty;)*) => {
        $(
            #[derive(Clone, Debug, Encode)]
            pub struct $type { $(pub $field: $field_type),* }

            impl Message for $type {
                const NAME: &'static str = $name;
                type Output = $output;
            }
        )*
    };
}

messages! {
    New = "new" (supply: Balance) -> ();
    Behave = "behave" (conduct: Conduct, when_asked: bool) -> ();
    BalanceOf = "PSP22::balance_of" (owner: AccountId) -> Balance;
    Transfer = "PSP22::transfer" (to: AccountId, value: Balance, data: Vec<u8>) -> Result<(), Psp22Error>;
    TransferFrom = "PSP22::transfer_from" (from: AccountId, to: AccountId, value: Balance, data: Vec<u8>)
        -> Result<(), Psp22Error>;
    Approve = "PSP22::approve" (spender: AccountId, value: Balance) -> Result<(), Psp22Error>;
}

/// A token on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its contract's account.
    pub account: AccountId,
}

impl Token {
    /// A new token, all of whose supply belongs to `keys`. `salt` tells it apart from others of the same supply.
    pub fn deploy(chain: &mut impl Chain, keys: &Keys, supply: Balance, salt: u32) -> Result<Self, ChainError> {
        let bundle: serde_json::Value = serde_json::from_str(BUNDLE).unwrap();
        let code = hex::decode(bundle["source"]["wasm"].as_str().unwrap().trim_start_matches("0x")).unwrap();
        let data = New { supply }.call_data(&Native);
        let (account, _) =
            block_on(chain.instantiate(keys, Instantiation { code, data, salt: salt.to_le_bytes().to_vec() }))?;
        Ok(Self { account })
    }

    /// Asks without a transaction.
    pub fn query<M: Message>(&self, chain: &mut impl Chain, message: &M) -> Result<M::Output, ChainError> {
        let run = block_on(chain.dry_run(self.account, self.account, 0, message.call_data(&Native)))?;
        Ok(Answer::<M::Output>::decode_all(&mut &run.answer[..]).unwrap().unwrap())
    }

    /// Makes a call that the token accepts.
    pub fn call(&self, chain: &mut impl Chain, keys: &Keys, message: &impl Message) -> Result<Receipt, ChainError> {
        let data = message.call_data(&Native);
        let run = block_on(chain.dry_run(keys.account(), self.account, 0, data.clone()))?;
        let (contract, gas_limit) = (self.account, run.gas_required.with_margin());
        block_on(chain.call(keys, ContractCall { contract, value: 0, gas_limit, deposit_limit: None, tip: 0, data }))
    }
}
