//! Deposits, withdrawals, and tokens that lie.

use crate::bench::*;
use crate::common::{Items, Token};
use protocol::{
    contract::ledger,
    event::{Deposited, Withdrawn},
    Asset, Balance, Error,
};

const PSP22: Asset = Asset::Psp22(TOKEN);

#[test]
fn a_deposit_is_in_the_ledger_and_a_withdrawal_pays_it_out() {
    let mut bench = Bench::new();
    let (_, told) = bench.chain.call(A, |host| ledger::deposit(host, 5)).unwrap();
    assert_eq!(told, [Deposited { account: A, asset: Asset::Native, amount: 5 }.into()]);
    assert_eq!(bench.ledger(A, Asset::Native), 1_005);
    let (_, told) = bench.chain.call(A, |host| ledger::withdraw(host, 1_000)).unwrap();
    assert_eq!(told, [Withdrawn { account: A, asset: Asset::Native, amount: 1_000 }.into()]);
    assert_eq!((bench.ledger(A, Asset::Native), bench.paid(A)), (5, 1_000));
    let before = bench.chain.items().ledger;
    bench.chain.call(A, |host| ledger::withdraw(host, 5)).unwrap();
    assert_eq!(bench.chain.items().ledger, before - 1, "nothing is kept for zero");
}

#[test]
fn a_withdrawal_of_nothing_of_too_much_or_to_nobody_is_refused() {
    let mut bench = Bench::new();
    let zero = Err(Error::ZeroAmount);
    assert_eq!(bench.chain.call(A, |host| ledger::deposit(host, 0)), zero);
    assert_eq!(bench.chain.call(A, |host| ledger::withdraw(host, 0)), zero);
    assert_eq!(bench.chain.call(A, |host| ledger::withdraw_psp22(host, TOKEN, 0)), zero);
    let poor = Err(Error::InsufficientLedger { account: A, available: 1_000 });
    assert_eq!(bench.chain.call(A, |host| ledger::withdraw(host, 1_001)), poor);
    assert_eq!(bench.chain.call(A, |host| ledger::withdraw_psp22(host, TOKEN, 1_001)), poor);
    assert_eq!(bench.chain.call(A, |host| ledger::deposit(host, Balance::MAX)), Err(Error::Overflow));
    bench.chain.closed_accounts.push(A);
    assert_eq!(bench.chain.call(A, |host| ledger::withdraw(host, 10)), Err(Error::TransferFailed));
    assert_eq!(bench.ledger(A, Asset::Native), 1_000, "a refused call changes nothing");
}

fn with_token(behaviour: Token) -> Bench {
    let mut bench = Bench::new();
    bench.chain.tokens.set(TOKEN, Some((behaviour, 4_000)));
    bench
}

#[test]
fn what_arrives_of_a_token_counts() {
    for (behaviour, arrived) in [(Token::Honest, 50), (Token::KeepsFee(3), 47), (Token::SaysMore(9), 9)] {
        let mut bench = with_token(behaviour);
        let (_, told) = bench.chain.call(A, |host| ledger::deposit_psp22(host, TOKEN, 50)).unwrap();
        assert_eq!(told, [Deposited { account: A, asset: PSP22, amount: arrived }.into()]);
        assert_eq!(bench.ledger(A, PSP22), 1_000 + arrived);
        assert_eq!(bench.ledger(A, Asset::Native), 1_000, "another asset is another ledger");
    }
}

#[test]
fn a_token_that_refuses_lies_or_brings_nothing_deposits_nothing() {
    let failed = Error::TokenFailed(TOKEN);
    let refusals = [
        (Token::Refuses, failed),
        (Token::Silent, failed),
        (Token::SilentAfter, failed),
        (Token::SaysLess, failed),
        (Token::MovesNothing, Error::ZeroAmount),
        (Token::SaysMore(Balance::MAX - 4_000), Error::Overflow),
    ];
    for (behaviour, error) in refusals {
        let mut bench = with_token(behaviour);
        bench.chain.ledger.set((A, PSP22), Some(5_000));
        let before = bench.chain.clone();
        let answer = bench.chain.call(A, |host| ledger::deposit_psp22(host, TOKEN, 50));
        assert_eq!(answer, Err(error), "{behaviour:?}");
        assert_eq!(bench.chain, before);
    }
}

#[test]
fn a_token_is_withdrawn_by_its_holder_alone() {
    let mut bench = with_token(Token::Honest);
    let (_, told) = bench.chain.call(A, |host| ledger::withdraw_psp22(host, TOKEN, 30)).unwrap();
    assert_eq!(told, [Withdrawn { account: A, asset: PSP22, amount: 30 }.into()]);
    assert_eq!((bench.ledger(A, PSP22), bench.chain.tokens.get(TOKEN)), (970, Some((Token::Honest, 3_970))));
    bench.chain.tokens.set(TOKEN, Some((Token::Refuses, 3_970)));
    let answer = bench.chain.call(A, |host| ledger::withdraw_psp22(host, TOKEN, 30));
    assert_eq!(answer, Err(Error::TokenFailed(TOKEN)));
    assert_eq!(bench.ledger(A, PSP22), 970);
}

#[test]
fn a_creation_takes_what_is_sent_along_into_the_callers_ledger_first() {
    let mut bench = Bench::new();
    bench.chain.ledger.set((A, Asset::Native), None);
    let items = bench.chain.items();
    bench.create(A, creation(), 60).unwrap();
    assert_eq!((bench.ledger(A, Asset::Native), bench.ledger(B, Asset::Native)), (0, 960));
    assert_eq!(bench.chain.items(), Items { nonces: 1, tpcs: 1, ..items }, "no ledger entry for the sum that passed");
    // Of a token's channel, the native token that is sent along is the caller's.
    let creation = protocol::TpcCreation { nonce: 1, asset: PSP22, ..creation() };
    bench.create(B, creation, 7).unwrap();
    assert_eq!((bench.ledger(A, PSP22), bench.ledger(B, PSP22)), (940, 960));
    assert_eq!((bench.ledger(A, Asset::Native), bench.ledger(B, Asset::Native)), (0, 967));
}
