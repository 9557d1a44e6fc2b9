//! The embedded chain behind the client's interface.

use super::{Chain, ChainError, DryRun, RawEvent, Receipt, Weight};
use crate::keys::Keys;
use devchain::{Call, Devchain, Signer};
use protocol::{AccountId, Balance, Timestamp};

/// The most that any transaction may weigh on the node, and so what an instantiation is given.
const MAX_GAS: devchain::Weight = devchain::Weight { ref_time: 1_000_000_000_000, proof_size: u64::MAX / 2 };

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

impl Chain for Devchain {
    fn genesis_hash(&self) -> [u8; 32] {
        Devchain::genesis_hash(self)
    }

    fn time(&mut self) -> Timestamp {
        Devchain::time(self)
    }

    fn free_balance(&mut self, account: AccountId) -> Balance {
        Devchain::free_balance(self, *account.as_ref())
    }

    fn instantiate(&mut self, keys: &Keys, code: Vec<u8>, data: Vec<u8>) -> Result<(AccountId, Receipt), ChainError> {
        let call = Call::InstantiateWithCode { code, data, salt: vec![], gas_limit: MAX_GAS };
        let (instantiated, receipt) = submit(self, keys, call)?;
        let account = instantiated.ok_or_else(|| ChainError::Failed("no contract was made".into()))?;
        Ok((account.into(), receipt))
    }

    fn dry_run(
        &mut self,
        origin: AccountId,
        contract: AccountId,
        value: Balance,
        data: Vec<u8>,
    ) -> Result<DryRun, ChainError> {
        let run = Devchain::dry_run(self, *origin.as_ref(), *contract.as_ref(), value, data);
        let returned = run.result.map_err(|error| ChainError::Failed(error.to_string()))?;
        Ok(DryRun { gas_required: run.gas_required.into(), answer: returned.data })
    }

    fn call(
        &mut self,
        keys: &Keys,
        contract: AccountId,
        value: Balance,
        gas_limit: Weight,
        data: Vec<u8>,
    ) -> Result<Receipt, ChainError> {
        let gas_limit = devchain::Weight { ref_time: gas_limit.ref_time, proof_size: gas_limit.proof_size };
        let call = Call::Call { contract: *contract.as_ref(), value, gas_limit, storage_deposit_limit: None, data };
        submit(self, keys, call).map(|(_, receipt)| receipt)
    }
}

fn submit(chain: &mut Devchain, keys: &Keys, call: Call) -> Result<(Option<devchain::AccountId>, Receipt), ChainError> {
    let receipt = chain.submit(keys, call).map_err(|error| ChainError::Refused(error.to_string()))?;
    receipt.result.map_err(|error| ChainError::Failed(error.to_string()))?;
    let instantiated = receipt.instantiated;
    let events = receipt.events.into_iter().map(|event| RawEvent {
        contract: event.contract.into(),
        topics: event.topics,
        data: event.data,
    });
    let receipt = Receipt {
        block: receipt.block,
        weight: receipt.weight.into(),
        fee: receipt.fee,
        storage_deposit: receipt.storage_deposit,
        events: events.collect(),
    };
    Ok((instantiated, receipt))
}
