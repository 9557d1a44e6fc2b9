//! What was good once is sent again, here or elsewhere.

use super::*;

#[test]
fn a_withdrawal_replayed_pays_nothing_even_when_the_sum_fits_again() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let one = Entry { balances: units([3, 3]), ..later(ab) };
    let withdrawal = w.withdrawal(one, units([1, 1]));
    assert_eq!(w.gains(|w| w.bring(&withdrawal).unwrap()), [UNIT, UNIT, 0, 0]);
    assert_eq!(w.bring(&withdrawal), wrong_epoch(ab, 1));
    let refill = w.top_up(Entry { balances: units([4, 4]), ..later(one) }, units([1, 1]));
    w.bring(&refill).unwrap();
    assert_eq!(w.gains(|w| assert_eq!(w.bring(&withdrawal), wrong_epoch(ab, 2))), [0; 4]);
}

#[test]
fn a_close_signed_before_a_withdrawal_is_void_after_it() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old_close, old_state) = (w.close(next(ab, [0, 8])), w.update(next(ab, [0, 8])));
    let rest = Entry { balances: units([3, 3]), ..later(ab) };
    let withdrawal = w.withdrawal(rest, units([1, 1]));
    w.bring(&withdrawal).unwrap();
    assert_eq!(w.bring(&old_close), wrong_epoch(ab, 1));
    assert_eq!(w.bring(&old_state), wrong_epoch(ab, 1));
    let close = w.close(next(rest, [2, 4]));
    assert_eq!(w.gains(|w| w.bring(&close).unwrap()), [2 * UNIT, 4 * UNIT, 0, 0]);
    assert_eq!(w.bring(&withdrawal), Err(Error::UnknownTpc(ab.tpc)));
    assert_eq!(w.bring(&close), Err(Error::UnknownTpc(ab.tpc)));
}

#[test]
fn a_top_up_replayed_takes_nothing_from_the_ledgers() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let top_up = w.top_up(Entry { balances: units([5, 6]), ..later(ab) }, units([1, 2]));
    w.bring(&top_up).unwrap();
    let ledgers = [w.ledger(ANN), w.ledger(BOB)];
    assert_eq!(ledgers, [SAVINGS - 5 * UNIT, SAVINGS - 6 * UNIT]);
    assert_eq!(w.bring(&top_up), wrong_epoch(ab, 1));
    let back = w.withdrawal(Entry { epoch: 2, ..ab }, units([1, 2]));
    w.bring(&back).unwrap();
    assert_eq!(w.bring(&top_up), wrong_epoch(ab, 2));
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], ledgers);
}

#[test]
fn a_creation_replayed_after_settlement_locks_nothing() {
    let mut w = world();
    let create = w.creation([ANN, BOB], units([4, 4]), MIN_WINDOW);
    w.bring(&create).unwrap();
    let ab = Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: units([4, 4]) };
    let old_state = w.update(next(ab, [0, 8]));
    let deadline = w.dispute(ANN, ab).unwrap();
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
    assert_eq!(w.bring(&create), Err(Error::WrongNonce { expected: 1 }));
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS - 4 * UNIT; 2]);
    let again = w.open([ANN, BOB]);
    assert_ne!(again.tpc, ab.tpc);
    assert_eq!(w.bring(&old_state), Err(Error::UnknownTpc(ab.tpc)));
}

#[test]
fn an_answer_of_one_channel_is_no_answer_in_another_of_the_same_pair() {
    let mut w = world();
    let (first, second) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let answer = w.update(next(first, [0, 8]));
    w.dispute(ANN, second).unwrap();
    let replayed = UpdateTpc { entry: next(second, [0, 8]), ..answer };
    let bad = Err(Error::BadSignature(w.account(ANN)));
    assert_eq!(w.bring(&replayed), bad);
    let part_of_group = w.pay(MpcId([0; 32]), &[next(second, [0, 8])]);
    let [ann, bob] = &part_of_group.signatures[..] else { panic!("two signed") };
    assert_eq!(w.bring(&UpdateTpc { signatures: [ann.signature, bob.signature], ..replayed }), bad);
    assert_eq!(w.state([second]), [second]);
}

#[test]
fn an_answer_on_one_chain_is_no_answer_on_another() {
    let mut here = world();
    let mut there = World::on(Devchain::with_accounts(&[([7; 32], UNIT)]));
    assert_ne!(here.bench.domain.genesis_hash, there.bench.domain.genesis_hash);
    let (ours, theirs) = (here.open([ANN, BOB]), there.open([ANN, BOB]));
    assert_eq!(ours, theirs, "nothing but the domain tells these two channels apart");
    there.dispute(ANN, theirs).unwrap();
    let bad = Err(Error::BadSignature(here.account(ANN)));
    assert_eq!(there.bring(&here.update(next(ours, [0, 8]))), bad);
    // Where even the contract's account is the same, the chain alone must make the difference.
    let genesis_hash = here.bench.domain.genesis_hash;
    let good = there.update(next(theirs, [0, 8]));
    there.bench.domain = Domain { genesis_hash, ..there.bench.domain };
    let other_genesis = there.update(next(theirs, [0, 8]));
    assert_eq!(there.bring(&other_genesis), bad);
    assert_eq!(there.bring(&good), Ok(()));
}

#[test]
fn an_answer_in_one_deployment_is_no_answer_in_another_on_the_same_chain() {
    let mut here = world();
    let mut there = here.fork();
    let alice = Keys::from_suri("//Alice").unwrap();
    let (contract, _) = Contract::deploy(&mut there.bench.chain, &alice, &Bundle::built_in().unwrap()).unwrap();
    there.bench.contract = contract;
    there.bench.domain = there.ask(&GetDomain {});
    assert_eq!(here.bench.domain.genesis_hash, there.bench.domain.genesis_hash);
    for user in [ANN, BOB] {
        there.bench.call(user, SAVINGS, &Deposit {}).unwrap();
    }
    let (ours, theirs) = (here.open([ANN, BOB]), there.open([ANN, BOB]));
    assert_eq!(ours, theirs);
    there.dispute(ANN, theirs).unwrap();
    let bad = Err(Error::BadSignature(here.account(ANN)));
    assert_eq!(there.bring(&here.update(next(ours, [0, 8]))), bad);
    assert_eq!(there.bring(&here.close(next(ours, [0, 8]))), bad);
    assert_eq!(there.state([theirs]), [theirs]);
}
