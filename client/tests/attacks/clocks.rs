//! Disputes that should start, end or count in time.

use super::*;

#[test]
fn neither_an_equal_version_nor_a_second_dispute_restarts_a_channels_clock() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let first = next(ab, [3, 5]);
    w.bring(&w.update(first)).unwrap();
    let deadline = w.dispute(ANN, ab).unwrap();
    assert_eq!(w.bring(&w.update(first)), stale(ab, 1));
    assert_eq!(w.bring(&w.update(Entry { balances: units([8, 0]), ..first })), stale(ab, 1));
    for by in [ANN, BOB] {
        assert_eq!(w.dispute(by, ab), Err(Error::TpcDisputed(ab.tpc)));
    }
    w.bring(&w.update(next(first, [2, 6]))).unwrap();
    assert_eq!(w.dispute(ANN, ab), Err(Error::TpcDisputed(ab.tpc)));
    assert_eq!(w.stored(ab.tpc).unwrap().deadline, Some(deadline));
    assert_eq!(w.settle(ab), Err(Error::TooEarly { deadline }));
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [2 * UNIT, 6 * UNIT, 0, 0]);
}

#[test]
fn neither_an_equal_version_nor_a_second_dispute_restarts_a_groups_clock() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let update = w.pay(mpc, &[next(ab, [3, 5])]);
    w.bring(&update).unwrap();
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    assert_eq!(w.bring(&update), Err(Error::NothingNewer));
    assert_eq!(w.dispute_mpc(CLEO, mpc, bc, &[]), Err(Error::MpcDisputed(mpc)));
    assert_eq!(w.dispute_mpc(ANN, mpc, ac, &[ac]), Err(Error::MpcDisputed(mpc)));
    assert_eq!(w.dispute(BOB, ab), Err(Error::TpcBusy(ab.tpc)));
    w.bring(&w.pay(mpc, &[next(update.update.entries[0], [2, 6]), next(bc, [5, 3])])).unwrap();
    let leave = w.leave(mpc, &[ac]);
    w.bring(&leave).unwrap();
    assert_eq!(w.ask(&GetMpc { id: mpc }).unwrap().deadline, Some(deadline));
    assert_eq!(w.stored(ab.tpc).unwrap().deadline, Some(deadline));
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Err(Error::TooEarly { deadline }));
}

#[test]
fn nothing_but_the_settlement_is_accepted_of_a_channel_after_its_deadline() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let bc = w.open([BOB, CLEO]);
    let (mpc, [bc]) = w.group([bc]);
    let deadline = w.dispute(ANN, ab).unwrap();
    w.pass(deadline);
    let due = Err(Error::TpcDue(ab.tpc));
    assert_eq!(w.bring(&w.update(next(ab, [0, 8]))), due);
    let (split, _) = w.split(ab.tpc, 1, [[0, 4], [0, 4]]);
    assert_eq!(w.bring(&split), due);
    let close = w.close(next(ab, [0, 8]));
    assert_eq!(w.bring(&close), due);
    let top_up = w.top_up(Entry { balances: units([5, 4]), ..later(ab) }, units([1, 0]));
    assert_eq!(w.bring(&top_up), due);
    let withdrawal = w.withdrawal(Entry { balances: units([3, 4]), ..later(ab) }, units([1, 0]));
    assert_eq!(w.bring(&withdrawal), due);
    let braid = w.braid(&[later(ab)], MIN_WINDOW);
    assert_eq!(w.bring(&braid), due);
    let join = w.join(mpc, bc, &[later(ab)]);
    assert_eq!(w.bring(&join), due);
    assert_eq!(w.dispute(BOB, ab).map(drop), due);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
}

#[test]
fn nothing_but_the_settlement_is_accepted_of_a_group_after_its_deadline() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let guest = w.open([ANN, DAN]);
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[]).unwrap();
    w.pass(deadline);
    let due = Err(Error::MpcDue(mpc));
    assert_eq!(w.bring(&w.pay(mpc, &[next(ab, [0, 8]), next(bc, [0, 8])])), due);
    let close = w.unbraid(mpc, &trio);
    assert_eq!(w.bring(&close), due);
    let leave = w.leave(mpc, &[ac]);
    assert_eq!(w.bring(&leave), due);
    let join = w.join(mpc, ab, &[later(guest)]);
    assert_eq!(w.bring(&join), due);
    assert_eq!(w.dispute_mpc(BOB, mpc, bc, &[]).map(drop), due);
    assert_eq!(w.state(trio), trio);
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Ok(()));
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Err(Error::UnknownMpc(mpc)));
}

#[test]
fn a_window_too_short_to_answer_in_or_too_long_to_wait_for_is_refused() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    for window in [0, MIN_WINDOW - 1, MAX_WINDOW + 1, Window::MAX] {
        let create = w.creation([ANN, BOB], units([1, 1]), window);
        assert_eq!(w.bring(&create), Err(Error::BadWindow));
        let braid = w.braid(&[later(ab)], window);
        assert_eq!(w.bring(&braid), Err(Error::BadWindow));
    }
    for window in [MIN_WINDOW, MAX_WINDOW] {
        let create = w.creation([ANN, BOB], units([1, 1]), window);
        assert_eq!(w.bring(&create), Ok(()));
        let braid = w.braid(&[later(ab)], window);
        assert_eq!(w.fork().bring(&braid), Ok(()));
    }
}

#[test]
fn a_disputed_channel_enters_no_group() {
    let mut w = world();
    let (ab, bc) = (w.open([ANN, BOB]), w.open([BOB, CLEO]));
    let (mpc, [bc]) = w.group([bc]);
    let signed_before = w.braid(&[later(ab)], MIN_WINDOW);
    let deadline = w.dispute(ANN, ab).unwrap();
    assert_eq!(w.bring(&signed_before), Err(Error::TpcDisputed(ab.tpc)));
    let join = w.join(mpc, bc, &[later(ab)]);
    assert_eq!(w.bring(&join), Err(Error::TpcDisputed(ab.tpc)));
    let top_up = w.top_up(Entry { balances: units([5, 4]), ..later(ab) }, units([1, 0]));
    assert_eq!(w.bring(&top_up), Err(Error::TpcDisputed(ab.tpc)));
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
}

#[test]
fn a_channel_closes_together_while_it_is_disputed() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    w.dispute(ANN, ab).unwrap();
    let close = w.close(next(ab, [1, 7]));
    assert_eq!(w.gains(|w| w.bring(&close).unwrap()), [UNIT, 7 * UNIT, 0, 0]);
    assert_eq!(w.stored(ab.tpc), None);
}

#[test]
fn a_group_closes_together_while_it_is_disputed() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[]).unwrap();
    let last = [next(ab, [3, 5]), next(bc, [3, 5]), ac];
    let close = w.unbraid(mpc, &last);
    w.bring(&close).unwrap();
    assert_eq!(w.ask(&GetMpc { id: mpc }), None);
    assert_eq!(w.state(trio), last);
    assert_eq!(w.bring(&w.update(next(ac, [5, 3]))), Ok(()));
    w.pass(deadline);
    assert_eq!(w.settle(ac), Err(Error::TpcNotDisputed(ac.tpc)), "the group's clock is gone with it");
}

#[test]
fn a_member_that_exits_waits_one_window_and_the_others_carry_on() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let before = w.bench.chain.time();
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab, ac]).unwrap();
    assert_eq!(deadline, before + BLOCK_TIME + MIN_WINDOW);
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
    assert_eq!(w.gains(|w| w.settle(ac).unwrap()), [4 * UNIT, 0, 4 * UNIT, 0]);
    let carried_on = next(bc, [3, 5]);
    w.bring(&w.update(carried_on)).unwrap();
    assert_eq!(w.settle(bc), Err(Error::TpcNotDisputed(bc.tpc)));
    let (_, [again]) = w.group([carried_on]);
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Ok(()));
    assert_eq!(w.dispute(BOB, bc), Err(Error::TpcBusy(again.tpc)), "the new group stands apart from the old one");
}

#[test]
fn a_payment_while_a_member_is_exiting_counts() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    w.bring(&w.pay(mpc, &[next(ab, [1, 7]), next(ac, [7, 1])])).unwrap();
    assert_eq!(w.stored(ab.tpc).unwrap().deadline, Some(deadline));
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [UNIT, 7 * UNIT, 0, 0]);
    assert_eq!(w.state([bc, ac]), [bc, next(ac, [7, 1])]);
}

#[test]
fn closing_a_group_keeps_the_clock_of_a_channel_that_is_exiting() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    let last = [next(ab, [3, 5]), bc, ac];
    let close = w.unbraid(mpc, &last);
    w.bring(&close).unwrap();
    assert_eq!(w.settle(ab), Err(Error::TooEarly { deadline }));
    assert_eq!(w.dispute(BOB, ab), Err(Error::TpcDisputed(ab.tpc)));
    let answer = next(last[0], [2, 6]);
    w.bring(&w.update(answer)).unwrap();
    w.pass(deadline);
    assert_eq!(w.bring(&w.update(next(answer, [8, 0]))), Err(Error::TpcDue(ab.tpc)));
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [2 * UNIT, 6 * UNIT, 0, 0]);
    assert_eq!(w.bring(&w.update(next(bc, [3, 5]))), Ok(()), "the others have no clock");
}

#[test]
fn leaving_a_group_together_stops_the_clock_of_a_channel_that_is_exiting() {
    let mut w = world();
    let (mpc, [ab, bc, _]) = w.trio();
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    let ann_alone = LeaveMpc { signatures: w.leave(mpc, &[ab]).signatures[..1].to_vec(), ..w.leave(mpc, &[ab]) };
    assert_eq!(w.bring(&ann_alone), Err(Error::MissingSignature(w.account(BOB))));
    let leave = w.leave(mpc, &[next(ab, [3, 5])]);
    w.bring(&leave).unwrap();
    w.pass(deadline);
    assert_eq!(w.settle(ab), Err(Error::TpcNotDisputed(ab.tpc)));
    assert_eq!(w.bring(&w.update(next(next(ab, [3, 5]), [2, 6]))), Ok(()));
    assert_eq!(w.bring(&w.update(next(bc, [3, 5]))), Ok(()));
}
