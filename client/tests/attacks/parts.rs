//! Channels that are split into parts.

use super::*;

#[test]
fn an_old_split_is_answered_by_the_newest_one() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old, [_, old_part]) = w.split(ab.tpc, 1, [[4, 0], [4, 0]]);
    let (newest, [first, second]) = w.split(ab.tpc, 3, [[0, 2], [1, 5]]);
    let paid = next(second, [0, 6]);
    w.bring(&old).unwrap();
    let deadline = w.dispute(ANN, ab).unwrap();
    w.dispute(ANN, old_part).unwrap();
    w.bring(&newest).unwrap();
    w.bring(&w.update(paid)).unwrap();
    assert_eq!(w.bring(&old), wrong_epoch(ab, 3));
    assert_eq!(w.settle(old_part), Err(Error::UnknownTpc(old_part.tpc)));
    assert_eq!(w.state([first, second]), [first, paid]);
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(first).unwrap()), [0, 2 * UNIT, 0, 0], "the channel's clock has run on");
    let deadline = w.dispute(BOB, second).unwrap();
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(second).unwrap()), [0, 6 * UNIT, 0, 0]);
}

#[test]
fn an_old_split_is_answered_by_a_merge() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old, [_, old_part]) = w.split(ab.tpc, 1, [[4, 0], [4, 0]]);
    let (merge, [whole]) = w.split(ab.tpc, 2, [[2, 6]]);
    let newest = w.update(next(whole, [1, 7]));
    w.bring(&old).unwrap();
    let deadline = w.dispute(ANN, ab).unwrap();
    w.dispute(ANN, old_part).unwrap();
    assert_eq!(w.bring(&newest), wrong_epoch(ab, 1), "the parts must be merged first");
    w.bring(&merge).unwrap();
    w.bring(&newest).unwrap();
    assert_eq!(w.stored(old_part.tpc), None);
    assert_eq!(w.bring(&old), wrong_epoch(ab, 2));
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [UNIT, 7 * UNIT, 0, 0]);
}

#[test]
fn an_old_split_comes_too_late_once_the_newest_state_is_on_chain() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (old, [old_first, _]) = w.split(ab.tpc, 1, [[4, 0], [4, 0]]);
    let old_state = w.update(next(old_first, [4, 0]));
    // The merge at epoch 2 was never on chain: the whole goes on in its epoch.
    let newest = Entry { epoch: 2, version: 1, balances: units([1, 7]), ..ab };
    let deadline = w.dispute(ANN, ab).unwrap();
    let too_small = Error::SumMismatch { tpc: ab.tpc, total: 8 * UNIT };
    assert_eq!(w.bring(&old_state), Err(too_small), "a part's state does not pass for the whole's");
    w.bring(&w.update(newest)).unwrap();
    w.at(deadline);
    assert_eq!(w.bring(&old), wrong_epoch(ab, 2));
    assert_eq!(w.stored(ab.tpc).unwrap().deadline, Some(deadline));
}

#[test]
fn a_part_is_not_paid_out_twice() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let whole_close = w.close(next(ab, [8, 0]));
    let (split, [first, second]) = w.split(ab.tpc, 1, [[2, 2], [3, 1]]);
    let (merge, _) = w.split(ab.tpc, 2, [[8, 0]]);
    w.bring(&split).unwrap();
    let close = w.close(next(second, [3, 1]));
    assert_eq!(w.gains(|w| w.bring(&close).unwrap()), [3 * UNIT, UNIT, 0, 0]);
    let gone = Err(Error::UnknownTpc(second.tpc));
    assert_eq!(w.bring(&close), gone);
    assert_eq!(w.dispute(ANN, second).map(drop), gone);
    assert_eq!(w.bring(&split), wrong_epoch(ab, 1));
    assert_eq!(w.bring(&merge), Err(Error::SumMismatch { tpc: ab.tpc, total: 4 * UNIT }));
    assert_eq!(w.bring(&whole_close), wrong_epoch(ab, 1));
    let rest = w.close(next(first, [2, 2]));
    assert_eq!(w.gains(|w| w.bring(&rest).unwrap()), [2 * UNIT, 2 * UNIT, 0, 0]);
    assert_eq!(w.bring(&merge), Err(Error::UnknownTpc(ab.tpc)));
}

#[test]
fn a_split_makes_no_money() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let sum = Err(Error::SumMismatch { tpc: ab.tpc, total: 8 * UNIT });
    let (more, _) = w.split(ab.tpc, 1, [[4, 4], [1, 0]]);
    assert_eq!(w.bring(&more), sum);
    let (fewer, _) = w.split(ab.tpc, 1, [[4, 3]]);
    assert_eq!(w.bring(&fewer), sum);
    let (empty, _) = w.split(ab.tpc, 1, [[4, 4], [0, 0]]);
    assert_eq!(w.bring(&empty), Err(Error::ZeroAmount));
    let (none, _) = w.split::<0>(ab.tpc, 1, []);
    assert_eq!(w.bring(&none), Err(Error::BadParts));
    assert_eq!(w.state([ab]), [ab]);
}

#[test]
fn a_part_in_a_group_is_not_divided_under_its_feet() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (split, [_, part]) = w.split(ab.tpc, 1, [[2, 2], [2, 2]]);
    let (merge, _) = w.split(ab.tpc, 9, [[8, 0]]);
    w.bring(&split).unwrap();
    let (mpc, [part]) = w.group([part]);
    assert_eq!(w.bring(&merge), Err(Error::TpcBusy(part.tpc)));
    let leave = w.leave(mpc, &[part]);
    w.bring(&leave).unwrap();
    assert_eq!(w.bring(&merge), Ok(()));
}

#[test]
fn a_merge_signed_before_a_part_was_in_a_group_is_void_after_it() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (split, [_, part]) = w.split(ab.tpc, 1, [[2, 2], [2, 2]]);
    w.bring(&split).unwrap();
    let (merge, _) = w.split(ab.tpc, 2, [[8, 0]]);
    let (mpc, [part]) = w.group([Entry { epoch: 2, ..part }]);
    let leave = w.leave(mpc, &[next(part, [0, 4])]);
    w.bring(&leave).unwrap();
    assert_eq!(w.bring(&merge), wrong_epoch(ab, 3));
    assert_eq!(w.state([part]), [next(part, [0, 4])]);
}

#[test]
fn a_part_that_was_split_again_does_not_keep_the_newest_division_out() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (split, [_, part]) = w.split(ab.tpc, 1, [[2, 2], [2, 2]]);
    let (split_again, _) = w.split(part.tpc, 2, [[1, 1], [1, 1]]);
    let (merge, [whole]) = w.split(ab.tpc, 3, [[0, 8]]);
    w.bring(&split).unwrap();
    let _ = w.bring(&split_again);
    assert_eq!(w.bring(&merge), Ok(()));
    assert_eq!(w.state([ab]), [whole]);
}

#[test]
fn no_old_split_stops_the_clock_of_a_part_of_the_newest_one() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let old = [1, 2].map(|epoch| w.split(ab.tpc, epoch, [[1, 1], [4, 2]]).0);
    let (newest, [_, part]) = w.split(ab.tpc, 3, [[1, 1], [3, 3]]);
    w.bring(&old[0]).unwrap();
    w.bring(&newest).unwrap();
    let deadline = w.dispute(BOB, part).unwrap();
    for split in [&old[0], &old[1], &newest] {
        assert_eq!(w.bring(split), wrong_epoch(ab, 3));
    }
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(part).unwrap()), [3 * UNIT, 3 * UNIT, 0, 0]);
}

#[test]
fn a_state_in_an_epoch_that_never_was_on_chain_is_void_after_a_later_snapshot() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    // A split and a merge off chain have brought the channel to epoch 2, of which the chain knows nothing.
    let (merge, [whole]) = w.split(ab.tpc, 2, [[4, 4]]);
    let old = w.update(next(whole, [8, 0]));
    let (mpc, [member]) = w.group([whole]);
    let close = w.unbraid(mpc, &[next(member, [0, 8])]);
    w.bring(&close).unwrap();
    assert_eq!(w.bring(&merge), wrong_epoch(ab, 3));
    assert_eq!(w.bring(&old), wrong_epoch(ab, 3));
    assert_eq!(w.state([ab]), [next(member, [0, 8])]);
}
