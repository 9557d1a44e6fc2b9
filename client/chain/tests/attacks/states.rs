//! Old states of channels, and several of one version.

use super::*;

#[test]
fn of_two_states_of_one_version_the_first_on_chain_counts() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (one, other) = (next(ab, [8, 0]), next(ab, [0, 8]));
    for (first, second) in [(one, other), (other, one)] {
        let mut w = w.fork();
        w.bring(&w.update(&[first])).unwrap();
        assert_eq!(w.bring(&w.update(&[second])), Err(Error::NothingNewer));
        let close = w.close(second);
        assert_eq!(w.send(ANN, &close), stale(ab, 1));
        assert_eq!(w.state([ab]), [first]);
    }
    let (one, other) = (w.split(&[one], [[8, 0]]).0, w.split(&[other], [[0, 8]]).0);
    w.send(ANN, &one).unwrap();
    assert_eq!(w.send(BOB, &other), wrong_epoch(ab, 1));
}

#[test]
fn of_two_updates_with_the_same_versions_the_first_on_chain_counts_for_all_channels() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let one = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let other = [next(ab, [5, 3]), next(bc, [5, 3]), next(ac, [3, 5])];
    for (first, second) in [(one, other), (other, one)] {
        let mut w = w.fork();
        w.bring(&w.update(&first)).unwrap();
        assert_eq!(w.bring(&w.update(&second)), Err(Error::NothingNewer));
        assert_eq!(w.state(trio), first);
    }
}

#[test]
fn a_pair_that_signs_a_version_twice_spoils_no_channel_but_its_own() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let paid = w.update(&[next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])]);
    let overwritten = Entry { version: u64::MAX, balances: units([8, 0]), ..ab };
    w.bring(&w.update(&[overwritten])).unwrap();
    w.bring(&paid).unwrap();
    assert_eq!(w.state(trio), [overwritten, next(bc, [3, 5]), next(ac, [5, 3])]);
    // The pair has no version left in this epoch, and gets its funds out all the same.
    let close = w.close(overwritten);
    assert_eq!(w.send(ANN, &close), stale(ab, u64::MAX));
    w.end(ab, Renew);
    assert_eq!(w.ended(ab), Some(u64::MAX));
    let renewed = Entry { balances: units([8, 0]), ..later(ab) };
    let close = w.close(next(renewed, [8, 0]));
    assert_eq!(w.paid(|w| w.send(BOB, &close).unwrap()), [(ANN, 8 * UNIT)]);
}

#[test]
fn a_state_of_an_ended_epoch_counts_in_no_later_one() {
    let mut w = world();
    let (ab, other) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    // Far newer than anything that will happen.
    let old = Entry { version: 99, balances: units([8, 0]), ..ab };
    let (alone, close) = (w.update(&[old]), w.close(old));
    let top_up = w.top_up(next(ab, [4, 4]), [1, 1]);
    w.send(ANN, &top_up).unwrap();
    for then in [None, Some(Renew), Some(Settle)] {
        if let Some(then) = then {
            let epoch = w.stored(ab.tpc).unwrap().epoch;
            w.end(Entry { epoch, ..ab }, then);
        }
        // Its owners ended the epoch together: it is passed over for ever, and nothing else is left of it.
        assert_eq!(w.bring(&alone), Err(Error::NothingNewer));
        assert_eq!(w.fork().bring(&w.update(&[old, next(other, [3, 5])])), Ok(()));
        match then {
            Some(Settle) => assert_eq!(w.send(ANN, &close), Err(Error::UnknownTpc(ab.tpc))),
            Some(Renew) => assert_eq!(w.send(ANN, &close), wrong_epoch(ab, 2)),
            None => assert_eq!(w.send(ANN, &close), wrong_epoch(ab, 1)),
        }
    }
}

#[test]
fn an_update_with_a_wrong_sum_makes_no_money() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    for balances in [units([9, 0]), units([3, 4]), [0, 0], [Balance::MAX, 9 * UNIT], [Balance::MAX, Balance::MAX]] {
        let entry = Entry { version: 1, balances, ..ab };
        assert_eq!(w.bring(&w.update(&[entry])), Err(Error::NothingNewer));
        let close = w.close(entry);
        assert_eq!(w.send(ANN, &close), Err(Error::SumMismatch { tpc: ab.tpc, total: 8 * UNIT }));
        let top_up = w.top_up(entry, [1, 1]);
        assert_eq!(w.send(ANN, &top_up), Err(Error::SumMismatch { tpc: ab.tpc, total: 8 * UNIT }));
    }
    let too_much = w.withdrawal(next(ab, [8, 0]), units([8, 1]));
    assert_eq!(w.send(BOB, &too_much), Err(Error::Overflow));
    assert_eq!(w.state([ab]), [ab]);
}

#[test]
fn an_agreement_without_a_newer_version_ends_no_epoch() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let first = Entry { version: 5, ..next(ab, [3, 5]) };
    w.bring(&w.update(&[first])).unwrap();
    for version in [0, 4, 5] {
        let last = Entry { version, ..next(ab, [8, 0]) };
        let close = w.close(last);
        assert_eq!(w.send(ANN, &close), stale(ab, 5));
        let top_up = w.top_up(last, [1, 0]);
        assert_eq!(w.send(ANN, &top_up), stale(ab, 5));
        let withdrawal = w.withdrawal(last, units([8, 0]));
        assert_eq!(w.send(ANN, &withdrawal), stale(ab, 5));
        let (split, _) = w.split(&[last], [[8, 0]]);
        assert_eq!(w.send(ANN, &split), stale(ab, 5));
    }
    for epoch in [1, u32::MAX] {
        let close = w.close(Entry { epoch, version: 9, ..first });
        assert_eq!(w.send(ANN, &close), wrong_epoch(ab, 0));
    }
    assert_eq!(w.state([ab]), [first]);
}
