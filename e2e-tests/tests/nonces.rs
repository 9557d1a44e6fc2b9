//! Many parties share an account.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use chain::{
    contract::{Bundle, Contract},
    node::NodeChain,
    Chain, UNIT,
};
use e2e_tests::{keys, TestNode};
use protocol::abi::{Deposit, LedgerBalance};
use std::thread;

const PARTIES: usize = 6;
const EACH: usize = 8;

#[test]
fn parties_that_share_an_account_do_not_get_into_each_others_way() {
    let node = TestNode::start();
    let alice = keys("//Alice");
    let mut chain = NodeChain::connect(&node.url()).unwrap();
    let bundle = Bundle::built_in().unwrap();
    let (contract, _) = Contract::deploy(&mut chain, &alice, &bundle).unwrap();
    let before = chain.free_balance(alice.account()).unwrap();
    let parties: Vec<_> = (0..PARTIES)
        .map(|_| {
            let (url, alice, contract) = (node.url(), alice.clone(), contract.clone());
            thread::spawn(move || {
                let mut chain = NodeChain::connect(&url).unwrap();
                let deposit = |_| contract.call(&mut chain, &alice, UNIT, &Deposit {}).unwrap().receipt;
                (0..EACH).map(deposit).map(|receipt| (receipt.fee, receipt.storage_deposit)).collect::<Vec<_>>()
            })
        })
        .collect();
    let paid: Vec<_> = parties.into_iter().flat_map(|party| party.join().unwrap()).collect();
    assert_eq!(paid.len(), PARTIES * EACH);
    let total = paid.len() as u128 * UNIT;
    let ledger = LedgerBalance { account: alice.account(), asset: protocol::Asset::Native };
    assert_eq!(contract.query(&mut chain, &ledger).unwrap(), total, "each deposit was made once");
    let fees: u128 = paid.iter().map(|(fee, _)| fee).sum();
    let deposits: i128 = paid.iter().map(|(_, deposit)| deposit).sum();
    let after = chain.free_balance(alice.account()).unwrap();
    assert_eq!(after, before - total - fees - deposits.unsigned_abs());
}
