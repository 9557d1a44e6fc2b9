//! Payees who cannot be paid.

use super::*;

#[test]
fn a_payee_who_cannot_receive_blocks_no_settlement() {
    let mut w = world();
    let (newcomer, channel) = w.newcomer();
    w.bring(&w.update(&[Entry { version: 1, balances: [4 * UNIT - CRUMB, CRUMB], ..channel }])).unwrap();
    let deadline = w.dispute(ANN, channel, Settle).unwrap();
    w.pass(deadline);
    assert_eq!(w.paid(|w| w.settle(ANN, channel).unwrap()), [(ANN, 4 * UNIT - CRUMB)]);
    assert_eq!(w.ledger(newcomer), CRUMB);
    assert_eq!(w.stored(channel.tpc), None);
}

#[test]
fn a_payee_who_cannot_receive_blocks_no_withdrawal_and_loses_nothing() {
    let mut w = world();
    let (newcomer, channel) = w.newcomer();
    let last = Entry { version: 1, balances: [3 * UNIT, UNIT], ..channel };
    let withdrawal = w.withdrawal(last, [UNIT, CRUMB]);
    assert_eq!(w.paid(|w| w.send(ANN, &withdrawal).unwrap()), [(ANN, UNIT)]);
    assert_eq!(w.ledger(newcomer), CRUMB);
    let (ann, account) = (w.bench.users[ANN].clone(), *w.account(newcomer).as_ref());
    w.bench.chain.submit(&ann, Call::Transfer { to: account, amount: UNIT }).unwrap();
    w.send(newcomer, &Withdraw { amount: CRUMB }).unwrap();
    assert_eq!(w.ledger(newcomer), 0);
}

#[test]
fn a_payee_who_cannot_receive_blocks_no_closing() {
    let mut w = world();
    let (newcomer, channel) = w.newcomer();
    let mut enough = w.fork();
    let close = w.close(Entry { version: 1, balances: [4 * UNIT - CRUMB, CRUMB], ..channel });
    assert_eq!(w.paid(|w| w.send(ANN, &close).unwrap()), [(ANN, 4 * UNIT - CRUMB)]);
    assert_eq!(w.ledger(newcomer), CRUMB);
    let least = EXISTENTIAL_DEPOSIT;
    let close = enough.close(Entry { version: 1, balances: [4 * UNIT - least, least], ..channel });
    let paid = enough.paid(|w| w.send(ANN, &close).unwrap());
    assert_eq!(paid, [(ANN, 4 * UNIT - least), (newcomer, least)]);
    assert_eq!(enough.ledger(newcomer), 0);
}

#[test]
fn a_withdrawal_of_more_than_the_ledger_holds_pays_nothing() {
    let mut w = world();
    let refused = Err(Error::InsufficientLedger { account: w.account(ANN), available: SAVINGS });
    for amount in [SAVINGS + 1, Balance::MAX] {
        assert_eq!(w.send(ANN, &Withdraw { amount }), refused);
    }
    assert_eq!(w.send(ANN, &Withdraw { amount: 0 }), Err(Error::ZeroAmount));
    assert_eq!(w.call(ANN, 0, &Deposit {}).map(drop), Err(Error::ZeroAmount));
    assert_eq!(w.ledger(ANN), SAVINGS);
}
