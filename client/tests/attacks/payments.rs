//! Payees who cannot be paid.

use super::*;

#[test]
fn a_payee_who_cannot_receive_blocks_no_settlement() {
    let mut w = world();
    let (newcomer, channel) = w.newcomer();
    let last = Entry { version: 1, balances: [4 * UNIT - CRUMB, CRUMB], ..channel };
    w.bring(&w.update(last)).unwrap();
    let deadline = w.dispute(ANN, channel).unwrap();
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(channel).unwrap()), [4 * UNIT - CRUMB, 0, 0, 0, 0]);
    assert_eq!(w.ledger(newcomer), CRUMB);
    assert_eq!(w.stored(channel.tpc), None);
}

#[test]
fn a_payee_who_cannot_receive_blocks_no_withdrawal_and_loses_nothing() {
    let mut w = world();
    let (newcomer, channel) = w.newcomer();
    let snapshot = Entry { balances: [2 * UNIT, UNIT - CRUMB], ..later(channel) };
    let withdrawal = w.withdrawal(snapshot, [UNIT, CRUMB]);
    assert_eq!(w.gains(|w| w.bring(&withdrawal).unwrap()), [UNIT, 0, 0, 0, 0]);
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
    assert_eq!(w.gains(|w| w.bring(&close).unwrap()), [4 * UNIT - CRUMB, 0, 0, 0, 0]);
    assert_eq!(w.ledger(newcomer), CRUMB);
    let least = EXISTENTIAL_DEPOSIT;
    let close = enough.close(Entry { version: 1, balances: [4 * UNIT - least, least], ..channel });
    assert_eq!(enough.gains(|w| w.bring(&close).unwrap()), [4 * UNIT - least, 0, 0, 0, least]);
    assert_eq!(enough.ledger(newcomer), 0);
}
