//! The embedded chain behind the client's interface.

use super::{
    Chain, ChainError, ContractCall, DryRun, Failure, FinalBlock, Instantiation, RawEvent, Receipt, Refusal, Weight,
    MAX_GAS,
};
use crate::keys::Keys;
use devchain::{Call, Devchain, Signer};
use protocol::{AccountId, Balance, Timestamp};
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

impl Signer for Keys {
    fn account(&self) -> devchain::AccountId {
        *Keys::account(self).as_ref()
    }

    fn sign(&self, payload: &[u8]) -> [u8; 64] {
        Keys::sign(self, payload).0
    }
}

impl From<devchain::Weight> for Weight {
    fn from(weight: devchain::Weight) -> Self {
        Self { ref_time: weight.ref_time, proof_size: weight.proof_size }
    }
}

impl From<Weight> for devchain::Weight {
    fn from(weight: Weight) -> Self {
        Self { ref_time: weight.ref_time, proof_size: weight.proof_size }
    }
}

impl From<devchain::DispatchError> for Failure {
    fn from(error: devchain::DispatchError) -> Self {
        match error {
            devchain::DispatchError::Module { pallet, name } => Self::of_module(pallet, name),
            devchain::DispatchError::Other(text) => Self::of_text(&text),
        }
    }
}

impl From<devchain::Refused> for Refusal {
    fn from(refused: devchain::Refused) -> Self {
        match refused {
            devchain::Refused::Payment => Self::Payment,
            devchain::Refused::ExhaustsResources => Self::ExhaustsResources,
            devchain::Refused::Other(text) => Self::Other(text),
        }
    }
}

impl From<devchain::ContractEvent> for RawEvent {
    fn from(event: devchain::ContractEvent) -> Self {
        Self { contract: event.contract.into(), topics: event.topics, data: event.data }
    }
}

impl Chain for Devchain {
    fn genesis_hash(&self) -> [u8; 32] {
        Devchain::genesis_hash(self)
    }

    async fn time(&mut self) -> Result<Timestamp, ChainError> {
        Ok(Devchain::time(self))
    }

    async fn free_balance(&mut self, account: AccountId) -> Result<Balance, ChainError> {
        Ok(Devchain::free_balance(self, *account.as_ref()))
    }

    async fn code_hash(&mut self, contract: AccountId) -> Result<Option<[u8; 32]>, ChainError> {
        Ok(Devchain::code_hash(self, *contract.as_ref()))
    }

    async fn dry_run(
        &mut self,
        origin: AccountId,
        contract: AccountId,
        value: Balance,
        data: Vec<u8>,
    ) -> Result<DryRun, ChainError> {
        let run = Devchain::dry_run(self, *origin.as_ref(), *contract.as_ref(), value, data);
        let returned = run.result.map_err(Failure::from)?;
        Ok(DryRun { gas_required: run.gas_required.into(), answer: returned.data })
    }

    async fn instantiate(&mut self, keys: &Keys, new: Instantiation) -> Result<(AccountId, Receipt), ChainError> {
        let Instantiation { code, data, salt } = new;
        let call = Call::InstantiateWithCode { code, data, salt, gas_limit: MAX_GAS.into() };
        let (instantiated, receipt) = submit(self, keys, call)?;
        let account = instantiated.ok_or_else(|| Failure::Other("no contract was made".into()))?;
        Ok((account.into(), receipt))
    }

    async fn call(&mut self, keys: &Keys, call: ContractCall) -> Result<Receipt, ChainError> {
        let ContractCall { contract, value, gas_limit, deposit_limit, tip: _, data } = call;
        let (contract, gas_limit) = (*contract.as_ref(), gas_limit.into());
        let call = Call::Call { contract, value, gas_limit, storage_deposit_limit: deposit_limit, data };
        submit(self, keys, call).map(|(_, receipt)| receipt)
    }

    async fn block(&mut self) -> Result<u32, ChainError> {
        Ok(Devchain::block(self))
    }

    async fn final_block(&mut self, number: u32) -> Result<FinalBlock, ChainError> {
        let unknown = || Refusal::Other(format!("there is no block {number} yet"));
        let time = Devchain::time_of(self, number).ok_or_else(unknown)?;
        let events = Devchain::events(self, number).iter().cloned().map(RawEvent::from).collect();
        Ok(FinalBlock { time, events })
    }

    async fn query(&mut self, block: u32, contract: AccountId, data: Vec<u8>) -> Result<Vec<u8>, ChainError> {
        if block != Devchain::block(self) {
            return Err(
                Refusal::Other(format!("the state after block {block} is not kept: ask after the last block")).into()
            );
        }
        Ok(Chain::dry_run(self, contract, contract, 0, data).await?.answer)
    }

    async fn unfinal_events(&mut self, _after: u32) -> Result<Vec<RawEvent>, ChainError> {
        Ok(vec![])
    }

    async fn wait_until(&mut self, keys: &Keys, time: Timestamp) -> Result<(), ChainError> {
        self.advance(time.saturating_sub(Devchain::time(self)));
        // As on a node, so that the fees after it are the same to the last unit.
        self.transfer(keys, keys.account(), 0).await.map(drop)
    }

    async fn transfer(&mut self, keys: &Keys, to: AccountId, amount: Balance) -> Result<Receipt, ChainError> {
        submit(self, keys, Call::Transfer { to: *to.as_ref(), amount }).map(|(_, receipt)| receipt)
    }
}

/// An embedded chain that several parties of one process use at once.
#[derive(Clone)]
pub struct SharedChain(Arc<Mutex<Devchain>>);

impl SharedChain {
    /// Shares a chain.
    pub fn new(chain: Devchain) -> Self {
        Self(Arc::new(Mutex::new(chain)))
    }

    /// The chain, for as long as nobody else needs it.
    pub fn lock(&self) -> MutexGuard<'_, Devchain> {
        // Whatever a panic left undone is not in a block.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chain for SharedChain {
    fn genesis_hash(&self) -> [u8; 32] {
        self.lock().genesis_hash()
    }

    async fn time(&mut self) -> Result<Timestamp, ChainError> {
        now(Chain::time(&mut *self.lock()))
    }

    async fn free_balance(&mut self, account: AccountId) -> Result<Balance, ChainError> {
        now(Chain::free_balance(&mut *self.lock(), account))
    }

    async fn code_hash(&mut self, contract: AccountId) -> Result<Option<[u8; 32]>, ChainError> {
        now(Chain::code_hash(&mut *self.lock(), contract))
    }

    async fn dry_run(
        &mut self,
        origin: AccountId,
        contract: AccountId,
        value: Balance,
        data: Vec<u8>,
    ) -> Result<DryRun, ChainError> {
        now(Chain::dry_run(&mut *self.lock(), origin, contract, value, data))
    }

    async fn instantiate(&mut self, keys: &Keys, new: Instantiation) -> Result<(AccountId, Receipt), ChainError> {
        now(Chain::instantiate(&mut *self.lock(), keys, new))
    }

    async fn call(&mut self, keys: &Keys, call: ContractCall) -> Result<Receipt, ChainError> {
        now(Chain::call(&mut *self.lock(), keys, call))
    }

    async fn block(&mut self) -> Result<u32, ChainError> {
        now(Chain::block(&mut *self.lock()))
    }

    async fn final_block(&mut self, number: u32) -> Result<FinalBlock, ChainError> {
        now(Chain::final_block(&mut *self.lock(), number))
    }

    async fn query(&mut self, block: u32, contract: AccountId, data: Vec<u8>) -> Result<Vec<u8>, ChainError> {
        now(Chain::query(&mut *self.lock(), block, contract, data))
    }

    async fn unfinal_events(&mut self, _after: u32) -> Result<Vec<RawEvent>, ChainError> {
        Ok(vec![])
    }

    async fn wait_until(&mut self, keys: &Keys, time: Timestamp) -> Result<(), ChainError> {
        now(Chain::wait_until(&mut *self.lock(), keys, time))
    }

    async fn transfer(&mut self, keys: &Keys, to: AccountId, amount: Balance) -> Result<Receipt, ChainError> {
        now(Chain::transfer(&mut *self.lock(), keys, to, amount))
    }
}

/// The outcome of a future of the embedded chain: they are ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn submit(chain: &mut Devchain, keys: &Keys, call: Call) -> Result<(Option<devchain::AccountId>, Receipt), ChainError> {
    let receipt = chain.submit(keys, call).map_err(Refusal::from)?;
    receipt.result.map_err(Failure::from)?;
    let instantiated = receipt.instantiated;
    let receipt = Receipt {
        block: receipt.block,
        weight: receipt.weight.into(),
        fee: receipt.fee,
        storage_deposit: receipt.storage_deposit,
        events: receipt.events.into_iter().map(RawEvent::from).collect(),
    };
    Ok((instantiated, receipt))
}
