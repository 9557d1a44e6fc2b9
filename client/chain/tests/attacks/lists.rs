//! Lists of which somebody spoils an element just before: the others count (rules U9, D7).

use super::*;

#[test]
fn one_channel_disputed_just_before_stops_no_dispute_of_the_others() {
    let mut w = world();
    let [ab, _, ac] = w.trio();
    let other = w.open([ANN, BOB]);
    let channels = ids(&[ab, ac, other]);
    for then in [Settle, Renew] {
        let mut w = w.fork();
        // Bob is first with one of them.
        let earlier = w.dispute(BOB, ab, Settle).unwrap();
        let called = w.call(ANN, 0, &DisputeChannels { channels: channels.clone(), then }).unwrap();
        assert_eq!(called.answer, 2);
        assert_eq!(w.stored(ab.tpc).unwrap().dispute.unwrap().deadline, earlier);
        for channel in [ac, other] {
            let dispute = w.stored(channel.tpc).unwrap().dispute.unwrap();
            assert_eq!((dispute.deadline, dispute.then), (earlier + BLOCK_TIME, then));
        }
        let again = w.send(ANN, &DisputeChannels { channels: channels.clone(), then });
        assert_eq!(again, Err(Error::TpcDisputed(ab.tpc)), "refused only if nothing of it counts");
    }
}

#[test]
fn one_channel_closed_or_settled_just_before_stops_no_settlement_of_the_others() {
    let mut w = world();
    let [ab, bc, ac] = w.trio();
    let channels = ids(&[ab, ac]);
    let close = w.close(next(ab, [4, 4]));
    w.send(ANN, &DisputeChannels { channels: channels.clone(), then: Settle }).unwrap();
    let deadline = w.stored(ab.tpc).unwrap().dispute.unwrap().deadline;
    let mut closed = w.fork();
    closed.send(BOB, &close).unwrap();
    closed.pass(deadline);
    w.pass(deadline);
    w.settle(BOB, ab).unwrap();
    for mut w in [closed, w] {
        assert_eq!(
            w.paid(|w| w.send(ANN, &SettleChannels { channels: channels.clone() }).unwrap()),
            [(ANN, 4 * UNIT), (CLEO, 4 * UNIT)]
        );
        let again = w.send(ANN, &SettleChannels { channels: channels.clone() });
        assert_eq!(again, Err(Error::UnknownTpc(ab.tpc)));
        assert_eq!(w.state([bc]), [bc]);
    }
}

#[test]
fn one_update_brought_just_before_or_void_stops_none_of_the_others() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let foreign = w.open([DAN, EVE]);
    let updates = vec![
        w.signed(&[next(ab, [3, 5])]),
        w.signed(&[next(bc, [3, 5]), next(foreign, [0, 8])]),
        w.signed(&[next(ac, [5, 3])]),
    ];
    w.bring(&w.update(&[next(ab, [3, 5])])).unwrap();
    w.end(foreign, Settle);
    let called = w.call(EVE, 0, &UpdateAll { updates: updates.clone() }).unwrap();
    assert_eq!(called.answer, 1);
    assert_eq!(w.state(trio), [next(ab, [3, 5]), bc, next(ac, [5, 3])]);
    assert_eq!(w.bring(&UpdateAll { updates: updates.clone() }), Err(Error::NothingNewer));
    let only_void = UpdateAll { updates: updates[1..2].to_vec() };
    assert_eq!(w.bring(&only_void), void(foreign, 0));
    // What is not in order, not signed or not proven is an element like any other.
    let mut spoilt = [updates[1].clone(), updates[1].clone(), updates[1].clone()];
    spoilt[0].signatures.clear();
    spoilt[1].owners.clear();
    spoilt[2].update.entries.clear();
    let good = w.signed(&[next(bc, [2, 6])]);
    let mixed = UpdateAll { updates: [spoilt.to_vec(), vec![good]].concat() };
    assert_eq!(w.call(EVE, 0, &mixed).unwrap().answer, 1);
    assert_eq!(w.state([bc]), [next(bc, [2, 6])]);
}

#[test]
fn an_element_of_a_list_counts_whole_or_not_at_all() {
    let mut w = world();
    let [ab, bc, ac] = w.trio();
    let half_signed = {
        let mut signed = w.signed(&[next(ab, [3, 5]), next(bc, [3, 5])]);
        signed.signatures.pop();
        signed
    };
    let updates = vec![half_signed, w.signed(&[next(ac, [5, 3])])];
    assert_eq!(w.call(EVE, 0, &UpdateAll { updates }).unwrap().answer, 1);
    assert_eq!(w.state([ab, bc, ac]), [ab, bc, next(ac, [5, 3])]);
}

#[test]
fn a_channel_named_twice_in_a_list_counts_once() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (one, two) = (next(ab, [3, 5]), next(next(ab, [3, 5]), [2, 6]));
    let updates = vec![w.signed(&[one]), w.signed(&[one]), w.signed(&[two]), w.signed(&[one])];
    assert_eq!(w.call(EVE, 0, &UpdateAll { updates }).unwrap().answer, 2, "newer and newer states do");
    let channels = vec![ab.tpc; 3];
    assert_eq!(w.call(ANN, 0, &DisputeChannels { channels: channels.clone(), then: Renew }).unwrap().answer, 1);
    assert_eq!(w.stored(ab.tpc).unwrap().dispute.unwrap().then, Renew);
    assert_eq!(w.call(BOB, 0, &DisputeChannels { channels: channels.clone(), then: Settle }).unwrap().answer, 1);
    let deadline = w.stored(ab.tpc).unwrap().dispute.unwrap().deadline;
    w.pass(deadline);
    let paid = w.paid(|w| assert_eq!(w.call(ANN, 0, &SettleChannels { channels }).unwrap().answer, 1));
    assert_eq!(paid, [(ANN, 2 * UNIT), (BOB, 6 * UNIT)]);
}

#[test]
fn a_list_takes_none_of_somebody_elses_channels_along() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let mpc = w.group(&trio);
    let channels = ids(&[bc, ab, ac]);
    assert_eq!(w.call(ANN, 0, &DisputeChannels { channels: channels.clone(), then: Settle }).unwrap().answer, 2);
    assert_eq!(w.stored(bc.tpc).unwrap().dispute, None);
    let not_hers = DisputeChannels { channels: vec![bc.tpc], then: Settle };
    assert_eq!(w.send(ANN, &not_hers), not_owner(bc));
    let deadline = w.stored(ac.tpc).unwrap().dispute.unwrap().deadline;
    w.pass(deadline);
    assert_eq!(w.call(ANN, 0, &SettleChannels { channels }).unwrap().answer, 2);
    assert_eq!((w.state([bc]), w.size(mpc)), ([bc], Some(1)));
}

#[test]
fn an_empty_list_is_refused() {
    let mut w = world();
    let none = Err(Error::NoChannels);
    assert_eq!(w.send(ANN, &DisputeChannels { channels: vec![], then: Settle }), none);
    assert_eq!(w.send(ANN, &SettleChannels { channels: vec![] }), none);
    assert_eq!(w.bring(&UpdateAll { updates: vec![] }), none);
    assert_eq!(w.bring(&w.update(&[])), none);
    let registration = w.registration(&[]);
    assert_eq!(w.bring(&registration), none);
}
