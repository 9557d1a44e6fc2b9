//! What is left behind when all is paid.

use super::*;

/// A world in which every pair of the trio has a nonce, which stays.
fn used_world() -> (World, StorageUsage) {
    let mut w = world();
    for users in [[ANN, BOB], [BOB, CLEO], [ANN, CLEO]] {
        let channel = w.open(users);
        let close = w.close(next(channel, [4, 4]));
        w.bring(&close).unwrap();
    }
    let usage = w.usage();
    (w, usage)
}

#[test]
fn a_closed_channel_leaves_nothing_but_its_nonce() {
    let mut w = world();
    let before = w.usage();
    let ab = w.open([ANN, BOB]);
    w.bring(&w.update(next(ab, [3, 5]))).unwrap();
    let close = w.close(next(next(ab, [3, 5]), [2, 6]));
    w.bring(&close).unwrap();
    let nonce = w.usage();
    assert_eq!(nonce.items, before.items + 1);
    let ab = w.open([ANN, BOB]);
    close_all(&mut w, [ab]);
    assert_eq!(w.usage(), nonce, "a pair has one nonce however many channels it had");
}

#[test]
fn a_settled_channel_and_its_parts_leave_nothing() {
    let (mut w, before) = used_world();
    let ab = w.open([ANN, BOB]);
    let (split, parts) = w.split(ab.tpc, 1, [[1, 1], [2, 1], [1, 2]]);
    w.bring(&split).unwrap();
    for part in parts {
        let deadline = w.dispute(BOB, part).unwrap();
        w.pass(deadline);
        w.settle(part).unwrap();
    }
    assert_eq!(w.usage(), before);
}

#[test]
fn a_group_that_all_channels_left_leaves_nothing() {
    let (mut w, before) = used_world();
    let channels = [[ANN, BOB], [BOB, CLEO], [ANN, CLEO]].map(|users| w.open(users));
    let alone = w.usage();
    let (mpc, trio) = w.group(channels);
    let [ab, bc, ac] = trio;
    for leaving in [vec![bc], vec![ab, ac]] {
        let leave = w.leave(mpc, &leaving);
        w.bring(&leave).unwrap();
    }
    assert_eq!(w.usage(), alone);
    close_all(&mut w, trio);
    assert_eq!(w.usage(), before);
}

#[test]
fn a_closed_group_leaves_nothing_that_its_channels_do_not_take_with_them() {
    let (mut w, before) = used_world();
    let (mpc, trio) = w.trio();
    let items = w.usage().items;
    let close = w.unbraid(mpc, &trio);
    w.bring(&close).unwrap();
    assert_eq!(w.usage().items, items - 1);
    close_all(&mut w, trio);
    assert_eq!(w.usage(), before);
}

#[test]
fn a_settled_group_leaves_nothing_that_its_channels_do_not_take_with_them() {
    let (mut w, before) = used_world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let items = w.usage().items;
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab, ac]).unwrap();
    w.pass(deadline);
    w.bring(&SettleMpc { id: mpc }).unwrap();
    assert_eq!(w.usage().items, items - 1);
    w.settle(ab).unwrap();
    w.settle(ac).unwrap();
    close_all(&mut w, [bc]);
    assert_eq!(w.usage(), before);
}
