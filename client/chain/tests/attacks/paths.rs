//! A payment along channels of two registered groups and of none: honest, and withheld until a dispute decides.

use super::*;

struct Path {
    first: MpcId,
    second: MpcId,
    /// Ann-Bob and Bob-Cleo, of the first group; Cleo-Dan, of the second; Dan-Eve, of none.
    channels: [Entry; 4],
    /// Ann pays Eve 1 UNIT.
    paid: [Entry; 4],
    update: UpdateChannels,
}

fn path(w: &mut World) -> Path {
    let channels = [[ANN, BOB], [BOB, CLEO], [CLEO, DAN], [DAN, EVE]].map(|users| w.open(users));
    let [ab, bc, cd, _] = channels;
    let beside = w.open([CLEO, DAN]);
    let (first, second) = (w.group(&[ab, bc]), w.group(&[cd, beside]));
    let paid = channels.map(|channel| next(channel, [3, 5]));
    Path { first, second, channels, paid, update: w.update(&paid) }
}

#[test]
fn a_payment_across_two_groups_and_a_lone_channel_is_one_update() {
    let mut w = world();
    let Path { first, second, channels, paid, update } = path(&mut w);
    let called = w.call(EVE, 0, &update).unwrap();
    assert_eq!((called.answer, w.state(channels)), (4, paid));
    assert_eq!((w.size(first), w.size(second)), (Some(2), Some(2)));
}

#[test]
fn a_payment_across_groups_that_is_withheld_is_decided_by_one_dispute() {
    for disputed in 0..4 {
        for then in [Settle, Renew] {
            let mut w = world();
            let Path { first, second, channels, paid, update } = path(&mut w);
            let of = channels[disputed];
            let by = w.channels[&of.tpc].1[1];
            let deadline = w.dispute(by, of, then).unwrap();
            let mut in_time = w.fork();
            in_time.at(deadline);
            in_time.bring(&update).unwrap();
            assert_eq!(in_time.state(channels), paid, "on chain whole");

            w.pass(deadline);
            if then == Settle {
                assert_eq!(w.bring(&update), due(of));
                w.settle(by, of).unwrap();
            }
            assert_eq!(w.bring(&update), void(of, 0));
            // Nobody else was disturbed, nobody else's channel holds anything of the payment, and nothing that they do
            // later makes it count.
            let others: Vec<_> = channels.into_iter().filter(|channel| channel.tpc != of.tpc).collect();
            for other in &others {
                assert_eq!(w.state([*other]), [*other]);
            }
            let in_first = u32::from(disputed < 2 && then == Settle);
            let in_second = u32::from(disputed == 2 && then == Settle);
            assert_eq!((w.size(first), w.size(second)), (Some(2 - in_first), Some(2 - in_second)));
            let instead: Vec<_> = others.iter().map(|other| next(*other, [5, 3])).collect();
            w.bring(&w.update(&instead)).unwrap();
            assert_eq!(w.bring(&update), void(of, 0));
            for other in &instead {
                w.end(*other, Renew);
                assert_eq!(w.bring(&update), void(of, 0));
            }
        }
    }
}

#[test]
fn a_payment_across_groups_counts_for_those_who_dispute_nothing_too() {
    let mut w = world();
    let Path { channels, paid, update, .. } = path(&mut w);
    let [ab, _, cd, de] = channels;
    // Two disputes at once, of channels of strangers to each other: one publication answers both.
    let first = w.dispute(BOB, ab, Settle).unwrap();
    let second = w.dispute(EVE, de, Renew).unwrap();
    w.bring(&update).unwrap();
    w.pass(first.max(second));
    assert_eq!(w.paid(|w| w.settle(ANN, ab).unwrap()), [(ANN, 3 * UNIT), (BOB, 5 * UNIT)]);
    assert_eq!(w.state([cd, de]), [paid[2], Entry { balances: units([3, 5]), ..later(de) }]);
    assert_eq!([w.ended(ab), w.ended(de)], [Some(1), Some(1)]);
}
