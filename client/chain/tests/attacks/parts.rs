//! Channels that are split into others and merged again.

use super::*;

#[test]
fn a_split_makes_no_money() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let last = next(ab, [4, 4]);
    let sum = Err(Error::SumMismatch { tpc: ab.tpc, total: 8 * UNIT });
    let (more, _) = w.split(&[last], [[4, 4], [1, 0]]);
    assert_eq!(w.send(ANN, &more), sum);
    let (fewer, _) = w.split(&[last], [[4, 3]]);
    assert_eq!(w.send(ANN, &fewer), sum);
    let (empty, _) = w.split(&[last], [[4, 4], [0, 0]]);
    assert_eq!(w.send(ANN, &empty), Err(Error::ZeroAmount));
    let (none, _) = w.split::<0>(&[last], []);
    assert_eq!(w.send(ANN, &none), Err(Error::BadParts));
    let (mut overflowing, _) = w.split(&[last], [[4, 4], [1, 0]]);
    for parts in [vec![[Balance::MAX, 1]], vec![[Balance::MAX, 0], [8 * UNIT + 1, 0]]] {
        overflowing.split.parts = parts;
        let signatures = w.both(ab.tpc, Action::SplitTpc(&overflowing.split));
        assert_eq!(w.send(ANN, &SplitTpc { signatures, ..overflowing.clone() }), Err(Error::Overflow));
    }
    assert_eq!(w.state([ab]), [ab]);
}

#[test]
fn a_channel_twice_in_a_merge_does_not_count_twice() {
    let mut w = world();
    let (ab, other) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let (last, newer) = (next(ab, [4, 4]), next(next(ab, [4, 4]), [4, 4]));
    for twice in [vec![last, last], vec![last, newer], vec![next(other, [4, 4]), last, last]] {
        let (merge, _) = w.split(&twice, [[8, 8]]);
        assert_eq!(w.send(ANN, &merge), Err(Error::BadParts));
    }
    assert_eq!(w.state([ab, other]), [ab, other]);
}

#[test]
fn a_split_takes_and_makes_a_bounded_number() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (too_many, _) = w.split(&[next(ab, [4, 4])], [[0, 1]; MAX_PARTS + 1]);
    assert_eq!(w.send(ANN, &too_many), Err(Error::BadParts));
    let top_up = w.top_up(next(ab, [4, 4]), [4, 4]);
    w.send(ANN, &top_up).unwrap();
    let (split, parts) = w.split(&[next(later(ab), [8, 8])], [[0, 1]; MAX_PARTS]);
    let called = w.call(ANN, 0, &split).unwrap();
    assert_eq!(called.answer, ids(&parts));
    assert_eq!(w.state(parts), parts);
    let last = parts.map(|part| next(part, [0, 1]));
    let one_more = w.open([ANN, BOB]);
    let (too_many, _) = w.split(&[&last[..], &[next(one_more, [4, 4])]].concat(), [[12, 12]]);
    assert_eq!(w.send(ANN, &too_many), Err(Error::BadParts));
    let (merge, [whole]) = w.split(&last, [[8, 8]]);
    w.send(ANN, &merge).unwrap();
    assert_eq!(w.state([whole]), [whole]);
    for part in &parts[1..] {
        assert_eq!(w.stored(part.tpc), None);
    }
}

#[test]
fn a_part_is_not_paid_out_twice() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let whole_close = w.close(next(ab, [8, 0]));
    let (split, [first, second]) = w.split(&[next(ab, [4, 4])], [[2, 2], [3, 1]]);
    w.send(ANN, &split).unwrap();
    let (merge, _) = w.split(&[next(first, [2, 2]), next(second, [3, 1])], [[8, 0]]);
    let close = w.close(next(second, [3, 1]));
    assert_eq!(w.paid(|w| w.send(ANN, &close).unwrap()), [(ANN, 3 * UNIT), (BOB, UNIT)]);
    let gone = Err(Error::UnknownTpc(second.tpc));
    assert_eq!(w.send(ANN, &close), gone);
    assert_eq!(w.dispute(ANN, second, Settle).map(drop), gone);
    assert_eq!(w.send(ANN, &split), wrong_epoch(ab, 1));
    assert_eq!(w.send(BOB, &merge), gone);
    assert_eq!(w.send(BOB, &whole_close), wrong_epoch(ab, 1));
    let rest = w.close(next(first, [2, 2]));
    assert_eq!(w.paid(|w| w.send(ANN, &rest).unwrap()), [(ANN, 2 * UNIT), (BOB, 2 * UNIT)]);
}

#[test]
fn a_channel_that_was_merged_away_is_passed_over_and_disputed_by_nobody() {
    let mut w = world();
    let (ab, other, bc) = (w.open([ANN, BOB]), w.open([ANN, BOB]), w.open([BOB, CLEO]));
    let in_flight = w.update(&[Entry { version: 9, ..next(other, [0, 8]) }, next(bc, [3, 5])]);
    let (merge, [whole]) = w.split(&[next(ab, [4, 4]), next(other, [4, 4])], [[8, 8]]);
    w.send(BOB, &merge).unwrap();
    assert_eq!(w.dispute(ANN, other, Settle).map(drop), Err(Error::UnknownTpc(other.tpc)));
    w.bring(&in_flight).unwrap();
    assert_eq!(w.state([whole, bc]), [whole, next(bc, [3, 5])]);
    assert_eq!((w.stored(other.tpc), w.ended(other)), (None, None));
}

#[test]
fn a_split_with_one_channel_that_is_disputed_due_busy_or_gone_makes_nothing() {
    let mut w = world();
    let (ab, other) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let (merge, _) = w.split(&[next(ab, [4, 4]), next(other, [4, 4])], [[8, 8]]);
    let mut busy = w.fork();
    busy.group(&[other]);
    assert_eq!(busy.send(ANN, &merge), Err(Error::TpcBusy(other.tpc)));
    let mut gone = w.fork();
    gone.close_all([other]);
    assert_eq!(gone.send(ANN, &merge), Err(Error::UnknownTpc(other.tpc)));
    let mut moved = w.fork();
    moved.bring(&moved.update(&[next(other, [3, 5])])).unwrap();
    assert_eq!(moved.send(ANN, &merge), stale(other, 1));
    let deadline = w.dispute(ANN, other, Settle).unwrap();
    assert_eq!(w.send(ANN, &merge), Err(Error::TpcDisputed(other.tpc)));
    w.pass(deadline);
    assert_eq!(w.send(ANN, &merge), due(other));
    assert_eq!(w.state([ab, other]), [ab, other]);
}

#[test]
fn a_part_is_a_channel_like_any_other() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (split, [first, part]) = w.split(&[next(ab, [4, 4])], [[1, 1], [3, 3]]);
    w.send(BOB, &split).unwrap();
    let mpc = w.group(&[part]);
    w.bring(&w.update(&[next(part, [0, 6]), next(first, [2, 0])])).unwrap();
    let deadline = w.dispute(BOB, part, Settle).unwrap();
    w.pass(deadline);
    assert_eq!(w.paid(|w| w.settle(BOB, part).unwrap()), [(BOB, 6 * UNIT)]);
    assert_eq!((w.size(mpc), w.ended(part)), (None, Some(1)));
    let (split, [_, deeper]) = w.split(&[next(next(first, [2, 0]), [2, 0])], [[1, 0], [1, 0]]);
    w.send(ANN, &split).unwrap();
    let close = w.close(next(deeper, [1, 0]));
    assert_eq!(w.paid(|w| w.send(BOB, &close).unwrap()), [(ANN, UNIT)]);
}
