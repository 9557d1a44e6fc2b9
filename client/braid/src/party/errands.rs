//! What a party asks and does on the chain outside of its engine, one thing after the other.

use super::log_call;
use chain::{
    contract::{CallError, Contract},
    keys::Keys,
    Chain,
};
use protocol::{
    abi::{Deposit, DepositPsp22, GetTpc, LedgerBalance, NextNonce, Withdraw, WithdrawPsp22},
    AccountId, Asset, Balance, Nonce, Tpc, TpcId,
};
use tokio::sync::{mpsc, oneshot};

/// Where the answer goes.
type To<T> = oneshot::Sender<Result<T, CallError>>;

pub(super) enum Errand {
    /// The nonce of the pair's next channel.
    Nonce([AccountId; 2], To<Nonce>),
    /// What the account has in its ledger.
    Ledger(Asset, To<Balance>),
    /// What the account can spend on the chain, in planck.
    Purse(To<Balance>),
    /// What the contract holds of a channel.
    Tpc(TpcId, To<Option<Tpc>>),
    Deposit(Asset, Balance, To<()>),
    Withdraw(Asset, Balance, To<()>),
}

/// Runs errands until nobody sends any.
pub(super) async fn run<C: Chain>(mut chain: C, contract: Contract, keys: Keys, mut errands: mpsc::Receiver<Errand>) {
    let chain = &mut chain;
    while let Some(errand) = errands.recv().await {
        // Whoever asked may have left.
        match errand {
            Errand::Nonce(parties, to) => drop(to.send(contract.query(chain, &NextNonce { parties }).await)),
            Errand::Ledger(asset, to) => {
                let ledger = LedgerBalance { account: keys.account(), asset };
                drop(to.send(contract.query(chain, &ledger).await));
            }
            Errand::Purse(to) => drop(to.send(chain.free_balance(keys.account()).await.map_err(CallError::from))),
            Errand::Tpc(id, to) => drop(to.send(contract.query(chain, &GetTpc { id }).await)),
            Errand::Deposit(asset, amount, to) => {
                let made = match asset {
                    Asset::Native => contract.call(chain, &keys, amount, &Deposit {}).await,
                    Asset::Psp22(token) => contract.call(chain, &keys, 0, &DepositPsp22 { token, amount }).await,
                };
                drop(to.send(made.map(|called| log_call("deposit", &called.receipt))));
            }
            Errand::Withdraw(asset, amount, to) => {
                let made = match asset {
                    Asset::Native => contract.call(chain, &keys, 0, &Withdraw { amount }).await,
                    Asset::Psp22(token) => contract.call(chain, &keys, 0, &WithdrawPsp22 { token, amount }).await,
                };
                drop(to.send(made.map(|called| log_call("withdraw", &called.receipt))));
            }
        }
    }
}
