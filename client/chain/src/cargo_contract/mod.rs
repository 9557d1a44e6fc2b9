//! A node on which a person makes the calls with cargo-contract: each is told as a command, and waited for.

mod notation;

pub use notation::{call_text, CallText, UnknownCall};

use crate::{
    keys::{address, Keys},
    node::{Call, NodeChain, Outcome},
    Chain, ChainError, ContractCall, DryRun, Failure, FinalBlock, Instantiation, RawEvent, Receipt, Weight, MAX_GAS,
};
use protocol::{AccountId, Balance, Timestamp};
use std::collections::BTreeMap;

/// A node whose transactions a person sends with cargo-contract, whom `tell` reaches.
pub struct CargoContract<F> {
    node: NodeChain,
    url: String,
    /// The file that cargo-contract finds the contract in.
    bundle: String,
    /// ink!'s metadata.
    metadata: serde_json::Value,
    /// The secret URIs of the accounts that the commands sign for.
    suris: BTreeMap<AccountId, String>,
    tell: F,
}

impl<F: FnMut(&str)> CargoContract<F> {
    /// Prints commands for the node at `url` that name `bundle`, whose metadata is given, with `tell`.
    pub fn new(node: NodeChain, url: &str, bundle: &str, metadata: serde_json::Value, tell: F) -> Self {
        Self { node, url: url.into(), bundle: bundle.into(), metadata, suris: BTreeMap::new(), tell }
    }

    /// Makes commands for these keys name this secret URI.
    pub fn name(&mut self, keys: &Keys, suri: &str) {
        self.suris.insert(keys.account(), suri.to_owned());
    }

    async fn run(&mut self, keys: &Keys, call: Call, command: String) -> Result<Outcome, ChainError> {
        self.node.look().await?;
        (self.tell)(&command);
        let outcome = self.node.await_call(&keys.account(), &call).await?;
        outcome.result.clone()?;
        Ok(outcome)
    }

    /// Everything of a command but what is called.
    fn command(&self, keys: &Keys, verb: &str, data: &[u8], limit: Weight, rest: &str) -> Result<String, ChainError> {
        let text = call_text(&self.metadata, data).map_err(|error| Failure::Other(error.to_string()))?;
        let suri = self.suris.get(&keys.account()).map_or("//YOURS", String::as_str);
        let of = if verb == "call" { "--message" } else { "--constructor" };
        let arguments: String = text.arguments.iter().map(|argument| format!(" '{argument}'")).collect();
        let arguments = if arguments.is_empty() { arguments } else { format!(" --args{arguments}") };
        let Weight { ref_time, proof_size } = limit;
        let (url, bundle, message) = (&self.url, &self.bundle, text.message);
        Ok(format!(
            "cargo contract {verb} {bundle} --url '{url}' --suri '{suri}'{rest} {of} {message}{arguments} \
             --gas {ref_time} --proof-size {proof_size} --skip-dry-run --skip-confirm --execute"
        ))
    }
}

impl<F: FnMut(&str) + Send> Chain for CargoContract<F> {
    fn genesis_hash(&self) -> [u8; 32] {
        self.node.genesis_hash()
    }

    async fn time(&mut self) -> Result<Timestamp, ChainError> {
        self.node.time().await
    }

    async fn free_balance(&mut self, account: AccountId) -> Result<Balance, ChainError> {
        self.node.free_balance(account).await
    }

    async fn code_hash(&mut self, contract: AccountId) -> Result<Option<[u8; 32]>, ChainError> {
        self.node.code_hash(contract).await
    }

    async fn dry_run(
        &mut self,
        origin: AccountId,
        contract: AccountId,
        value: Balance,
        data: Vec<u8>,
    ) -> Result<DryRun, ChainError> {
        self.node.dry_run(origin, contract, value, data).await
    }

    async fn instantiate(&mut self, keys: &Keys, new: Instantiation) -> Result<(AccountId, Receipt), ChainError> {
        let salt = if new.salt.is_empty() { String::new() } else { format!(" --salt 0x{}", hex::encode(&new.salt)) };
        let command = self.command(keys, "instantiate", &new.data, MAX_GAS, &salt)?;
        let outcome = self.run(keys, Call::Instantiate(new), command).await?;
        let account = outcome.instantiated.ok_or_else(|| Failure::Other("no contract was made".into()))?;
        Ok((account, outcome.receipt))
    }

    async fn call(&mut self, keys: &Keys, call: ContractCall) -> Result<Receipt, ChainError> {
        let value = if call.value == 0 { String::new() } else { format!(" --value {}", call.value) };
        let rest = format!(" --contract {}{value}", address(&call.contract));
        let command = self.command(keys, "call", &call.data, call.gas_limit, &rest)?;
        Ok(self.run(keys, Call::Contract(call), command).await?.receipt)
    }

    async fn block(&mut self) -> Result<u32, ChainError> {
        self.node.block().await
    }

    async fn final_block(&mut self, number: u32) -> Result<FinalBlock, ChainError> {
        self.node.final_block(number).await
    }

    async fn query(&mut self, block: u32, contract: AccountId, data: Vec<u8>) -> Result<Vec<u8>, ChainError> {
        self.node.query(block, contract, data).await
    }

    async fn unfinal_events(&mut self, after: u32) -> Result<Vec<RawEvent>, ChainError> {
        self.node.unfinal_events(after).await
    }

    async fn wait_until(&mut self, keys: &Keys, time: Timestamp) -> Result<(), ChainError> {
        self.node.wait_until(keys, time).await
    }

    async fn transfer(&mut self, keys: &Keys, to: AccountId, amount: Balance) -> Result<Receipt, ChainError> {
        self.node.transfer(keys, to, amount).await
    }
}
