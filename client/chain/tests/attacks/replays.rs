//! What was good once is sent again, here or elsewhere.

use super::*;

#[test]
fn a_withdrawal_replayed_pays_nothing_even_when_the_sum_fits_again() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let withdrawal = w.withdrawal(next(ab, [4, 4]), units([1, 1]));
    assert_eq!(w.paid(|w| w.send(ANN, &withdrawal).unwrap()), [(ANN, UNIT), (BOB, UNIT)]);
    assert_eq!(w.send(ANN, &withdrawal), wrong_epoch(ab, 1));
    let refill = w.top_up(next(later(ab), [3, 3]), [1, 1]);
    w.send(ANN, &refill).unwrap();
    assert!(w.paid(|w| assert_eq!(w.send(ANN, &withdrawal), wrong_epoch(ab, 2))).is_empty());
    assert_eq!(w.state([ab]), [later(later(ab))]);
}

#[test]
fn what_was_signed_before_a_withdrawal_is_void_after_it() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old_close, old_state) = (w.close(next(ab, [0, 8])), w.update(&[next(ab, [0, 8])]));
    let withdrawal = w.withdrawal(next(ab, [4, 4]), units([1, 1]));
    w.send(ANN, &withdrawal).unwrap();
    let rest = Entry { balances: units([3, 3]), ..later(ab) };
    assert_eq!(w.send(BOB, &old_close), wrong_epoch(ab, 1));
    assert_eq!(w.bring(&old_state), Err(Error::NothingNewer));
    let close = w.close(next(rest, [2, 4]));
    assert_eq!(w.paid(|w| w.send(ANN, &close).unwrap()), [(ANN, 2 * UNIT), (BOB, 4 * UNIT)]);
    assert_eq!(w.send(ANN, &withdrawal), Err(Error::UnknownTpc(ab.tpc)));
    assert_eq!(w.send(ANN, &close), Err(Error::UnknownTpc(ab.tpc)));
    assert_eq!(w.bring(&old_state), Err(Error::NothingNewer));
}

#[test]
fn a_top_up_replayed_takes_nothing_from_the_ledgers() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let top_up = w.top_up(next(ab, [4, 4]), [1, 2]);
    w.send(ANN, &top_up).unwrap();
    let ledgers = [SAVINGS - 5 * UNIT, SAVINGS - 6 * UNIT];
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], ledgers);
    assert_eq!(w.send(BOB, &top_up), wrong_epoch(ab, 1));
    let back = w.withdrawal(next(later(ab), [5, 6]), units([1, 2]));
    w.send(BOB, &back).unwrap();
    assert_eq!(w.send(BOB, &top_up), wrong_epoch(ab, 2));
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], ledgers);
}

#[test]
fn a_split_replayed_makes_no_channel_twice() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (split, [first, second]) = w.split(&[next(ab, [4, 4])], [[2, 2], [2, 2]]);
    w.send(ANN, &split).unwrap();
    assert_eq!(w.send(BOB, &split), wrong_epoch(ab, 1));
    w.close_all([second]);
    let top_up = w.top_up(next(first, [2, 2]), [2, 2]);
    w.send(ANN, &top_up).unwrap();
    assert_eq!(w.send(BOB, &split), wrong_epoch(ab, 2));
    assert_eq!(w.stored(second.tpc), None);
}

#[test]
fn a_creation_replayed_after_settlement_locks_nothing() {
    let mut w = world();
    let create = w.creation([ANN, BOB], units([4, 4]), MIN_WINDOW);
    w.send(ANN, &create).unwrap();
    let ab = Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: units([4, 4]) };
    let old_state = w.update(&[next(ab, [0, 8])]);
    let deadline = w.dispute(ANN, ab, Settle).unwrap();
    w.pass(deadline);
    assert_eq!(w.paid(|w| w.settle(ANN, ab).unwrap()), [(ANN, 4 * UNIT), (BOB, 4 * UNIT)]);
    for by in [ANN, BOB] {
        assert_eq!(w.send(by, &create), Err(Error::WrongNonce { expected: 1 }));
    }
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS - 4 * UNIT; 2]);
    let again = w.open([ANN, BOB]);
    assert_ne!(again.tpc, ab.tpc);
    assert_eq!(w.bring(&old_state), void(ab, 0));
}

#[test]
fn an_agreement_is_void_after_its_time() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let create = w.creation([ANN, BOB], units([1, 1]), MIN_WINDOW);
    let close = w.close(next(ab, [8, 0]));
    let top_up = w.top_up(next(ab, [8, 0]), [4, 4]);
    let withdrawal = w.withdrawal(next(ab, [8, 0]), units([2, 0]));
    let (split, _) = w.split(&[next(ab, [8, 0])], [[4, 0], [4, 0]]);
    let registration = w.registration(&[ab]);
    let valid_until = [
        create.creation.valid_until,
        close.close.valid_until,
        top_up.top_up.valid_until,
        withdrawal.withdrawal.valid_until,
        split.split.valid_until,
        registration.creation.valid_until,
    ];
    let expired = |valid_until| Err(Error::Expired { valid_until });
    let mut in_time = w.fork();
    in_time.at(*valid_until.iter().min().unwrap());
    in_time.send(ANN, &close).unwrap();
    w.pass(*valid_until.iter().max().unwrap());
    assert_eq!(w.send(ANN, &create), expired(valid_until[0]));
    assert_eq!(w.send(ANN, &close), expired(valid_until[1]));
    assert_eq!(w.send(ANN, &top_up), expired(valid_until[2]));
    assert_eq!(w.send(ANN, &withdrawal), expired(valid_until[3]));
    assert_eq!(w.send(ANN, &split), expired(valid_until[4]));
    assert_eq!(w.bring(&registration), expired(valid_until[5]));
    let mpc = w.group(&[ab]);
    let guest = w.open([ANN, DAN]);
    let (join, leave) = (w.join(mpc, ab, &[guest]), w.leave(mpc, &[ab]));
    let close_mpc = w.unregistration(mpc, &[ab]);
    let (joined, left, closed) = (join.join.valid_until, leave.leave.valid_until, close_mpc.close.valid_until);
    w.pass(joined.max(left).max(closed));
    assert_eq!(w.bring(&join), expired(joined));
    assert_eq!(w.send(ANN, &leave), expired(left));
    assert_eq!(w.send(ANN, &close_mpc), expired(closed));
}

#[test]
fn an_answer_of_one_channel_is_no_answer_in_another_of_the_same_pair() {
    let mut w = world();
    let (first, second) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let answer = w.update(&[next(first, [0, 8])]);
    w.dispute(ANN, second, Settle).unwrap();
    let in_second = w.update(&[next(second, [0, 8])]);
    let bad = Err(Error::BadSignature(w.account(ANN)));
    assert_eq!(w.bring(&UpdateChannels { signatures: answer.signatures, ..in_second }), bad);
    assert_eq!(w.state([second]), [second]);
}

#[test]
fn an_answer_on_one_chain_is_no_answer_on_another() {
    let mut here = world();
    let mut there = World::on(Devchain::with_accounts(&[([7; 32], UNIT)]));
    assert_ne!(here.bench.domain.genesis_hash, there.bench.domain.genesis_hash);
    let (ours, theirs) = (here.open([ANN, BOB]), there.open([ANN, BOB]));
    assert_eq!(ours, theirs, "nothing but the domain tells these two channels apart");
    there.dispute(ANN, theirs, Settle).unwrap();
    let bad = Err(Error::BadSignature(here.account(ANN)));
    assert_eq!(there.bring(&here.update(&[next(ours, [0, 8])])), bad);
    // Where even the contract's account is the same, the chain alone must make the difference.
    let genesis_hash = here.bench.domain.genesis_hash;
    let good = there.update(&[next(theirs, [0, 8])]);
    there.bench.domain = Domain { genesis_hash, ..there.bench.domain };
    let other_genesis = there.update(&[next(theirs, [0, 8])]);
    assert_eq!(there.bring(&other_genesis), bad);
    assert_eq!(there.bring(&good), Ok(()));
}

#[test]
fn an_answer_in_one_deployment_is_no_answer_in_another_on_the_same_chain() {
    let mut here = world();
    let mut there = here.fork();
    let alice = Keys::from_suri("//Alice").unwrap();
    let (contract, _) =
        block_on(Contract::deploy(&mut there.bench.chain, &alice, &Bundle::built_in().unwrap())).unwrap();
    there.bench.contract = contract;
    there.bench.domain = there.ask(&GetDomain {});
    assert_eq!(here.bench.domain.genesis_hash, there.bench.domain.genesis_hash);
    for user in [ANN, BOB] {
        there.bench.call(user, SAVINGS, &Deposit {}).unwrap();
    }
    let (ours, theirs) = (here.open([ANN, BOB]), there.open([ANN, BOB]));
    assert_eq!(ours, theirs);
    there.dispute(ANN, theirs, Settle).unwrap();
    let bad = Err(Error::BadSignature(here.account(ANN)));
    assert_eq!(there.bring(&here.update(&[next(ours, [0, 8])])), bad);
    let close = here.close(next(ours, [0, 8]));
    assert_eq!(there.send(BOB, &close), bad);
    assert_eq!(there.state([theirs]), [theirs]);
}
