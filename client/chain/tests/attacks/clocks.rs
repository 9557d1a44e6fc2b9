//! Disputes that should start, end or count in time (rules D1 to D6).

use super::*;

fn disputed(of: Entry) -> Result<Timestamp, Error> {
    Err(Error::TpcDisputed(of.tpc))
}

#[test]
fn neither_an_old_state_nor_a_second_dispute_restarts_a_clock() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let first = next(ab, [3, 5]);
    w.bring(&w.update(&[first])).unwrap();
    let deadline = w.dispute(ANN, ab, Settle).unwrap();
    assert_eq!(w.bring(&w.update(&[first])), Err(Error::NothingNewer));
    assert_eq!(w.bring(&w.update(&[Entry { balances: units([8, 0]), ..first }])), Err(Error::NothingNewer));
    for by in [ANN, BOB] {
        assert_eq!(w.dispute(by, ab, Settle), disputed(ab));
        assert_eq!(w.dispute(by, ab, Renew), disputed(ab), "what will be settled is not turned into a renewal");
    }
    w.bring(&w.update(&[next(first, [2, 6])])).unwrap();
    assert_eq!(w.dispute(ANN, ab, Settle), disputed(ab));
    assert_eq!(w.stored(ab.tpc).unwrap().dispute.unwrap().deadline, deadline);
    assert_eq!(w.settle(ANN, ab), Err(Error::TooEarly { after: deadline }));
    w.pass(deadline);
    assert_eq!(w.paid(|w| w.settle(ANN, ab).unwrap()), [(ANN, 2 * UNIT), (BOB, 6 * UNIT)]);
}

#[test]
fn deciding_to_settle_what_was_to_be_renewed_keeps_the_clock() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let deadline = w.dispute(ANN, ab, Renew).unwrap();
    for by in [ANN, BOB] {
        assert_eq!(w.dispute(by, ab, Renew), disputed(ab));
        assert_eq!(w.dispute(EVE, ab, Settle), not_owner(ab).map(|()| 0));
    }
    let mut renewed = w.fork();
    // The other owner may, until the last millisecond.
    w.at(deadline);
    assert_eq!(w.dispute(BOB, ab, Settle), Ok(deadline));
    assert_eq!(w.bench.chain.time(), deadline);
    w.pass(deadline);
    assert_eq!(w.settle(BOB, ab), Ok(()));
    assert_eq!(w.ended(ab), Some(0));
    // One millisecond later it is a dispute over the next epoch.
    renewed.pass(deadline);
    let second = renewed.dispute(BOB, ab, Settle).unwrap();
    assert!(second > deadline + MIN_WINDOW);
    assert_eq!(renewed.stored(ab.tpc).unwrap().epoch, 1);
}

#[test]
fn a_renewal_begins_an_epoch_and_starts_no_clock() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let deadline = w.dispute(BOB, ab, Renew).unwrap();
    w.bring(&w.update(&[next(ab, [3, 5])])).unwrap();
    assert_eq!(w.ended(ab), None);
    w.pass(deadline);
    let renewed = Entry { balances: units([3, 5]), ..later(ab) };
    for written in [false, true] {
        if written {
            w.bring(&w.update(&[next(renewed, [2, 6])])).unwrap();
        }
        assert_eq!(w.ended(ab), Some(1));
        assert_eq!(w.stored(ab.tpc).unwrap().dispute, None);
        assert_eq!(w.settle(ANN, ab), Err(Error::TpcNotDisputed(ab.tpc)));
        assert_eq!(w.bring(&w.update(&[Entry { version: 2, ..next(ab, [0, 8]) }])), void(ab, 1));
        assert_eq!(w.bring(&w.update(&[next(ab, [0, 8])])), Err(Error::NothingNewer));
    }
    assert_eq!(w.state([ab]), [next(renewed, [2, 6])]);
}

#[test]
fn nothing_but_the_settlement_is_accepted_of_a_channel_after_its_deadline() {
    for registered in [false, true] {
        let mut w = world();
        let (ab, bc) = (w.open([ANN, BOB]), w.open([BOB, CLEO]));
        let (mpc, host) = match registered {
            true => (w.group(&[ab, bc]), ab),
            false => (w.group(&[bc]), bc),
        };
        let deadline = w.dispute(ANN, ab, Settle).unwrap();
        w.pass(deadline);
        let last = next(ab, [0, 8]);
        assert_eq!(w.bring(&w.update(&[last])), due(ab));
        let (split, _) = w.split(&[last], [[0, 4], [0, 4]]);
        assert_eq!(w.send(ANN, &split), due(ab));
        let close = w.close(last);
        assert_eq!(w.send(ANN, &close), due(ab));
        let top_up = w.top_up(last, [1, 0]);
        assert_eq!(w.send(ANN, &top_up), due(ab));
        let withdrawal = w.withdrawal(last, units([0, 1]));
        assert_eq!(w.send(BOB, &withdrawal), due(ab));
        let registration = w.registration(&[ab]);
        assert_eq!(w.bring(&registration), due(ab));
        let join = w.join(mpc, host, &[ab]);
        assert_eq!(w.bring(&join), due(ab));
        let leave = w.leave(mpc, &[ab]);
        assert_eq!(w.send(ANN, &leave), due(ab));
        if registered {
            let close_mpc = w.unregistration(mpc, &[ab, bc]);
            assert_eq!(w.send(ANN, &close_mpc), due(ab));
        }
        for then in [Settle, Renew] {
            assert_eq!(w.dispute(BOB, ab, then).map(drop), due(ab));
        }
        assert_eq!(w.paid(|w| w.settle(ANN, ab).unwrap()), [(ANN, 4 * UNIT), (BOB, 4 * UNIT)]);
        assert_eq!(w.size(mpc), Some(1));
    }
}

#[test]
fn a_window_too_short_to_answer_in_or_too_long_to_wait_for_is_refused() {
    let mut w = world();
    for window in [0, MIN_WINDOW - 1, MAX_WINDOW + 1, Window::MAX] {
        let create = w.creation([ANN, BOB], units([1, 1]), window);
        assert_eq!(w.send(ANN, &create), Err(Error::BadWindow));
    }
    for window in [MIN_WINDOW, MAX_WINDOW] {
        let create = w.creation([ANN, BOB], units([1, 1]), window);
        assert_eq!(w.send(ANN, &create), Ok(()));
    }
}

/// The window of a channel is part of its id (I1): nobody shortens it under an update that names the channel.
#[test]
fn a_channels_window_is_the_one_that_its_id_names_for_its_whole_life() {
    let mut w = world();
    let long = 3 * MIN_WINDOW;
    let create = w.creation([ANN, BOB], units([4, 4]), long);
    w.send(ANN, &create).unwrap();
    let ab = Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: units([4, 4]) };
    let top_up = w.top_up(next(ab, [4, 4]), [1, 1]);
    w.send(ANN, &top_up).unwrap();
    let (split, [first, part]) = w.split(&[next(later(ab), [5, 5])], [[2, 2], [3, 3]]);
    w.send(ANN, &split).unwrap();
    for channel in [first, part] {
        assert_eq!(w.owners(channel).window, long);
        let before = w.bench.chain.time();
        assert_eq!(w.dispute(ANN, channel, Renew), Ok(before + BLOCK_TIME + long));
    }
}

/// What a disputed channel accepts of its owners together is its close, and nothing else (P1).
#[test]
fn a_withheld_agreement_brought_in_a_dispute_counts_only_if_it_is_a_close() {
    for (then, last_millisecond) in [(Settle, false), (Settle, true), (Renew, false), (Renew, true)] {
        let mut w = world();
        let (ab, bc) = (w.open([ANN, BOB]), w.open([BOB, CLEO]));
        let mpc = w.group(&[bc]);
        let last = next(ab, [0, 8]);
        let (top_up, withdrawal) = (w.top_up(last, [1, 1]), w.withdrawal(last, units([0, 1])));
        let (split, _) = w.split(&[last], [[0, 4], [0, 4]]);
        let (registration, join) = (w.registration(&[ab]), w.join(mpc, bc, &[ab]));
        let close = w.close(last);
        let deadline = w.dispute(ANN, ab, then).unwrap();
        if last_millisecond {
            w.at(deadline - BLOCK_TIME);
            w.bench.chain.submit(&w.bench.users[EVE], Call::Remark).unwrap();
        }
        let refused = disputed(ab).map(drop);
        assert_eq!(w.send(BOB, &top_up), refused);
        assert_eq!(w.send(BOB, &withdrawal), refused);
        assert_eq!(w.send(BOB, &split), refused);
        assert_eq!(w.bring(&registration), refused);
        assert_eq!(w.bring(&join), refused);
        assert_eq!(w.paid(|w| w.send(BOB, &close).unwrap()), [(BOB, 8 * UNIT)]);
        assert!(!last_millisecond || w.bench.chain.time() == deadline);
    }
}

/// An action that begins an epoch names the one that it ends (E2): after a renewal it ends nothing.
#[test]
fn a_withheld_agreement_brought_after_a_renewal_counts_for_nothing() {
    let mut w = world();
    let (ab, other) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let last = next(ab, [0, 8]);
    let (close, top_up) = (w.close(last), w.top_up(last, [1, 1]));
    let withdrawal = w.withdrawal(last, units([0, 1]));
    let (split, parts) = w.split(&[last], [[0, 4], [0, 4]]);
    let (merge, _) = w.split(&[next(other, [4, 4]), last], [[0, 16]]);
    let of_part = w.update(&[next(other, [0, 8]), next(parts[1], [0, 4])]);
    w.end(ab, Renew);
    for written in [false, true] {
        if written {
            w.bring(&w.update(&[next(later(ab), [4, 4])])).unwrap();
        }
        let refused = wrong_epoch(ab, 1);
        assert_eq!(w.send(BOB, &close), refused);
        assert_eq!(w.send(BOB, &top_up), refused);
        assert_eq!(w.send(BOB, &withdrawal), refused);
        assert_eq!(w.send(BOB, &split), refused);
        assert_eq!(w.send(BOB, &merge), refused);
    }
    assert_eq!(w.state([ab, other]), [next(later(ab), [4, 4]), other]);
    assert_eq!(w.stored(parts[1].tpc), None, "no withheld split makes the channel that an update names");
    // The part never was and never will be: no epoch of the first channel is skipped.
    w.bring(&of_part).unwrap();
    assert_eq!(w.state([other]), [next(other, [0, 8])]);
}

#[test]
fn a_registration_that_was_withheld_counts_after_a_renewal_and_takes_no_balance_with_it() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let registration = w.registration(&[ab]);
    let deadline = w.dispute(ANN, ab, Renew).unwrap();
    assert_eq!(w.bring(&registration), disputed(ab).map(drop));
    w.pass(deadline);
    w.bring(&registration).unwrap();
    let mpc = registration.creation.id(&Native, &w.bench.domain);
    assert_eq!((w.size(mpc), w.state([ab]), w.ended(ab)), (Some(1), [later(ab)], Some(0)));
}

#[test]
fn a_channel_closes_together_while_it_is_disputed() {
    for then in [Settle, Renew] {
        let mut w = world();
        let ab = w.open([ANN, BOB]);
        w.dispute(ANN, ab, then).unwrap();
        let close = w.close(next(ab, [1, 7]));
        assert_eq!(w.paid(|w| w.send(ANN, &close).unwrap()), [(ANN, UNIT), (BOB, 7 * UNIT)]);
        assert_eq!(w.stored(ab.tpc), None);
    }
}

#[test]
fn a_dispute_and_its_end_disturb_no_other_channel() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let mpc = w.group(&trio);
    let deadline = w.dispute(ANN, ab, Settle).unwrap();
    w.bring(&w.update(&[next(bc, [3, 5]), next(ac, [5, 3])])).unwrap();
    w.pass(deadline);
    w.settle(ANN, ab).unwrap();
    assert_eq!(w.size(mpc), Some(2));
    w.bring(&w.update(&[next(next(bc, [3, 5]), [2, 6]), next(next(ac, [5, 3]), [6, 2])])).unwrap();
    for channel in [bc, ac] {
        assert_eq!(w.stored(channel.tpc).unwrap().dispute, None);
        assert_eq!(w.settle(CLEO, channel), Err(Error::TpcNotDisputed(channel.tpc)));
    }
}

#[test]
fn a_payment_while_a_channel_is_disputed_counts() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    w.group(&trio);
    let deadline = w.dispute(ANN, ab, Settle).unwrap();
    w.bring(&w.update(&[next(ab, [1, 7]), next(ac, [7, 1])])).unwrap();
    assert_eq!(w.stored(ab.tpc).unwrap().dispute.unwrap().deadline, deadline);
    w.pass(deadline);
    assert_eq!(w.paid(|w| w.settle(BOB, ab).unwrap()), [(ANN, UNIT), (BOB, 7 * UNIT)]);
    assert_eq!(w.state([bc, ac]), [bc, next(ac, [7, 1])]);
}
