//! What is left behind when all is paid: nonces, and the records of epochs that disputes ended.

use super::*;

/// A world in which every pair of the trio has a nonce, which stays.
fn used_world() -> (World, StorageUsage) {
    let mut w = world();
    let trio = w.trio();
    w.close_all(trio);
    let usage = w.usage();
    (w, usage)
}

#[test]
fn a_closed_channel_leaves_nothing_but_its_nonce() {
    let mut w = world();
    let before = w.usage();
    let ab = w.open([ANN, BOB]);
    w.bring(&w.update(&[next(ab, [3, 5])])).unwrap();
    w.close_all([ab]);
    let nonce = w.usage();
    assert_eq!(nonce.items, before.items + 1);
    let ab = w.open([ANN, BOB]);
    w.close_all([ab]);
    assert_eq!(w.usage(), nonce, "a pair has one nonce however many channels it had");
}

#[test]
fn a_settled_channel_leaves_one_record_and_a_renewed_one_a_record_an_epoch() {
    let (mut w, before) = used_world();
    let ab = w.open([ANN, BOB]);
    for epoch in 0..3 {
        w.end(Entry { epoch, ..ab }, Renew);
    }
    w.bring(&w.update(&[Entry { epoch: 3, version: 4, ..ab }])).unwrap();
    w.end(Entry { epoch: 3, ..ab }, Settle);
    assert_eq!(w.usage().items, before.items + 4);
    let records = (0..5).map(|epoch| w.ended(Entry { epoch, ..ab })).collect::<Vec<_>>();
    assert_eq!(records, [Some(0), Some(0), Some(0), Some(4), None]);
}

#[test]
fn what_its_owners_end_together_leaves_nothing_also_in_a_dispute() {
    let (mut w, before) = used_world();
    for then in [None, Some(Settle), Some(Renew)] {
        let ab = w.open([ANN, BOB]);
        let top_up = w.top_up(next(ab, [4, 4]), [1, 1]);
        w.send(ANN, &top_up).unwrap();
        let (split, [first, second, third]) = w.split(&[next(later(ab), [5, 5])], [[1, 1], [2, 1], [2, 3]]);
        w.send(ANN, &split).unwrap();
        let (merge, [whole]) = w.split(&[next(third, [2, 3]), next(first, [1, 1])], [[3, 4]]);
        w.send(ANN, &merge).unwrap();
        if let Some(then) = then {
            w.send(ANN, &DisputeChannels { channels: ids(&[whole, second]), then }).unwrap();
        }
        w.close_all([whole, second]);
        assert_eq!(w.usage(), before);
    }
}

#[test]
fn a_merged_channel_takes_the_unwritten_end_of_its_renewal_with_it_and_leaves_the_record() {
    let (mut w, before) = used_world();
    let (ab, other) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let deadline = w.dispute(ANN, other, Renew).unwrap();
    w.bring(&w.update(&[next(other, [3, 5])])).unwrap();
    w.pass(deadline);
    let renewed = Entry { balances: units([3, 5]), ..later(other) };
    let (merge, [whole]) = w.split(&[next(ab, [4, 4]), next(renewed, [3, 5])], [[7, 9]]);
    w.send(ANN, &merge).unwrap();
    assert_eq!(w.ended(other), Some(1));
    assert_eq!(
        w.bring(&w.update(&[next(whole, [0, 16]), Entry { version: 2, ..next(other, [0, 8]) }])),
        void(other, 1)
    );
    w.close_all([whole]);
    assert_eq!(w.usage().items, before.items + 1);
}

#[test]
fn a_group_that_ended_leaves_nothing() {
    let (mut w, before) = used_world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let alone = w.usage();
    let mpc = w.group(&trio);
    assert_eq!(w.usage().items, alone.items + 1);
    for leaving in [vec![bc], vec![ab, ac]] {
        let leave = w.leave(mpc, &leaving);
        w.send(BOB, &leave).unwrap();
    }
    assert_eq!(w.usage(), alone);
    let mpc = w.group(&trio);
    let close = w.unregistration(mpc, &trio);
    w.send(ANN, &close).unwrap();
    assert_eq!(w.usage(), alone);
    w.group(&trio);
    for channel in trio {
        w.end(channel, Settle);
    }
    assert_eq!(w.usage().items, before.items + 3, "a record a channel, and nothing of the group");
}

#[test]
fn when_all_is_over_only_nonces_and_records_are_left() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let cd = w.open([CLEO, DAN]);
    w.group(&[ab, bc]);
    w.bring(&w.update(&[next(ab, [3, 5]), next(bc, [3, 5]), next(cd, [3, 5])])).unwrap();
    w.end(ab, Renew);
    w.end(Entry { balances: units([3, 5]), ..later(ab) }, Settle);
    w.end(bc, Settle);
    w.close_all([ac, cd]);
    for user in ANN..=EVE {
        let amount = w.ledger(user);
        w.send(user, &Withdraw { amount }).unwrap();
    }
    // The root cell, four pairs' nonces, two epochs of Ann-Bob and one of Bob-Cleo.
    assert_eq!(w.usage().items, 1 + 4 + 3);
    let contract = *w.bench.contract.account.as_ref();
    assert_eq!(w.bench.chain.free_balance(contract), EXISTENTIAL_DEPOSIT);
}
