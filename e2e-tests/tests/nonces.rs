//! Many parties share an account.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use chain::{
    contract::{Bundle, Contract},
    node::NodeChain,
    Chain, UNIT,
};
use e2e_tests::{keys, TestNode};
use protocol::abi::{Deposit, LedgerBalance};

const PARTIES: usize = 6;
const EACH: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn parties_that_share_an_account_do_not_get_into_each_others_way() {
    let node = TestNode::start();
    let alice = keys("//Alice");
    let mut chain = NodeChain::connect(&node.url()).await.unwrap();
    let bundle = Bundle::built_in().unwrap();
    let (contract, _) = Contract::deploy(&mut chain, &alice, &bundle).await.unwrap();
    let before = chain.free_balance(alice.account()).await.unwrap();
    let parties: Vec<_> = (0..PARTIES)
        .map(|_| {
            let (url, alice, contract) = (node.url(), alice.clone(), contract.clone());
            tokio::spawn(async move {
                let mut chain = NodeChain::connect(&url).await.unwrap();
                let mut paid = vec![];
                for _ in 0..EACH {
                    let receipt = contract.call(&mut chain, &alice, UNIT, &Deposit {}).await.unwrap().receipt;
                    paid.push((receipt.fee, receipt.storage_deposit));
                }
                paid
            })
        })
        .collect();
    let mut paid = vec![];
    for party in parties {
        paid.extend(party.await.unwrap());
    }
    assert_eq!(paid.len(), PARTIES * EACH);
    let total = paid.len() as u128 * UNIT;
    let ledger = LedgerBalance { account: alice.account(), asset: protocol::Asset::Native };
    assert_eq!(contract.query(&mut chain, &ledger).await.unwrap(), total, "each deposit was made once");
    let fees: u128 = paid.iter().map(|(fee, _)| fee).sum();
    let deposits: i128 = paid.iter().map(|(_, deposit)| deposit).sum();
    let after = chain.free_balance(alice.account()).await.unwrap();
    assert_eq!(after, before - total - fees - deposits.unsigned_abs());
}
