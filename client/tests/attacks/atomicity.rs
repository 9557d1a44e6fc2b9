//! Updates of many channels, of which an attacker wants some to count.

use super::*;

#[test]
fn an_update_withheld_until_the_last_millisecond_counts_for_all_channels() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let paid = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let withheld = w.pay(mpc, &paid);
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab, ac]).unwrap();
    w.at(deadline);
    w.bring(&withheld).unwrap();
    assert_eq!(w.bench.chain.time(), deadline);
    assert_eq!(w.state(trio), paid);
    w.pass(deadline);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [3 * UNIT, 5 * UNIT, 0, 0]);
    assert_eq!(w.gains(|w| w.settle(ac).unwrap()), [5 * UNIT, 0, 3 * UNIT, 0]);
}

#[test]
fn an_update_withheld_one_millisecond_longer_counts_for_none() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let withheld = w.pay(mpc, &[next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])]);
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
    w.pass(deadline);
    assert_eq!(w.bench.chain.time(), deadline + 1);
    assert_eq!(w.bring(&withheld), Err(Error::MpcDue(mpc)));
    assert_eq!(w.state(trio), trio);
    assert_eq!(w.gains(|w| w.settle(ab).unwrap()), [4 * UNIT, 4 * UNIT, 0, 0]);
    assert_eq!(w.bring(&withheld), Err(Error::MpcDue(mpc)));
}

#[test]
fn no_channel_slips_out_of_a_group_while_it_stands() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let busy = Err(Error::TpcBusy(ab.tpc));
    for disputed in [false, true] {
        if disputed {
            w.dispute_mpc(ANN, mpc, ab, &[ab]).unwrap();
        }
        assert_eq!(w.dispute(ANN, ab).map(drop), busy);
        assert_eq!(w.settle(ab), busy);
        assert_eq!(w.bring(&w.update(next(ab, [8, 0]))), busy);
        let close = w.close(next(ab, [8, 0]));
        assert_eq!(w.bring(&close), busy);
        let withdrawal = w.withdrawal(Entry { balances: units([3, 4]), ..later(ab) }, units([1, 0]));
        assert_eq!(w.bring(&withdrawal), busy);
        let (split, _) = w.split(ab.tpc, 2, [[4, 0], [4, 0]]);
        assert_eq!(w.bring(&split), busy);
        let elsewhere = w.braid(&[later(ab)], MIN_WINDOW);
        assert_eq!(w.bring(&elsewhere), busy);
        let without_one = w.unbraid(mpc, &[ab, bc]);
        assert_eq!(w.bring(&without_one), Err(Error::ChannelsMissing { expected: 3 }));
    }
    assert_eq!(w.state([ab, bc, ac]), [ab, bc, ac]);
}

#[test]
fn an_update_in_flight_passes_over_a_channel_that_left_but_not_over_its_owners() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let paid = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let in_flight = w.pay(mpc, &paid);
    let leave = w.leave(mpc, &[bc]);
    w.bring(&leave).unwrap();
    let without_cleo = w.pay(mpc, &[paid[0], paid[1]]);
    let signatures = without_cleo.signatures[..2].to_vec();
    let cleo = w.account(CLEO);
    assert_eq!(w.bring(&UpdateMpc { signatures, ..without_cleo }), Err(Error::MissingSignature(cleo)));
    w.bring(&in_flight).unwrap();
    assert_eq!(w.state(trio), [paid[0], bc, paid[2]]);
    assert_eq!(w.bring(&in_flight), Err(Error::NothingNewer));
}

/// A group whose channel Bob-Cleo has left, closed and been deleted while an update of all three was in flight.
fn with_one_gone(w: &mut World) -> (UpdateMpc, [Entry; 3], [Entry; 3]) {
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let paid = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let in_flight = w.pay(mpc, &paid);
    let leave = w.leave(mpc, &[bc]);
    w.bring(&leave).unwrap();
    close_all(w, [bc]);
    (in_flight, trio, paid)
}

#[test]
fn an_update_whose_channel_is_gone_applies_to_the_rest_with_the_proof_of_its_owners() {
    let mut w = world();
    let (in_flight, [ab, bc, ac], paid) = with_one_gone(&mut w);
    let [first, gone, third] = [ab, bc, ac].map(|channel| w.owners(channel));
    let mut all = vec![(ab.tpc, first), (bc.tpc, gone), (ac.tpc, third)];
    all.sort_by_key(|(tpc, _)| *tpc);
    // Whoever fears that more channels go meanwhile may prove them all.
    let all = all.into_iter().map(|(_, owners)| owners).collect();
    for gone in [vec![gone], all] {
        let mut w = w.fork();
        w.bring(&UpdateMpc { gone, ..in_flight.clone() }).unwrap();
        assert_eq!(w.state([ab, ac]), [paid[0], paid[2]]);
        assert_eq!(w.stored(bc.tpc), None);
    }
}

#[test]
fn an_update_whose_channel_is_gone_is_refused_with_no_proof_or_a_wrong_one() {
    let mut w = world();
    let (in_flight, [ab, bc, ac], _) = with_one_gone(&mut w);
    let owners = w.owners(bc);
    let wrong = [
        vec![],
        vec![w.owners(ab)],
        vec![Owners { nonce: 1, ..owners }],
        vec![Owners { part: Some((1, 1)), ..owners }],
        vec![Owners { parties: [w.account(ANN), w.account(BOB)], ..owners }],
        vec![Owners { parties: [owners.parties[1], owners.parties[0]], ..owners }],
    ];
    for gone in wrong {
        assert_eq!(w.bring(&UpdateMpc { gone, ..in_flight.clone() }), Err(Error::UnknownTpc(bc.tpc)));
    }
    assert_eq!(w.state([ab, ac]), [ab, ac]);
}

#[test]
fn an_update_whose_channel_is_gone_still_needs_its_owners() {
    let mut w = world();
    let (in_flight, [ab, bc, ac], paid) = with_one_gone(&mut w);
    let mpc = in_flight.update.mpc;
    // Ann and Bob would be enough for what is left of it.
    let update = w.pay(mpc, &[paid[0], paid[1]]);
    let gone = vec![w.owners(bc)];
    let signatures = w.bench.sign_all([ANN, BOB], Action::UpdateMpc(&update.update));
    let without_cleo = UpdateMpc { signatures, gone, ..update };
    assert_eq!(w.bring(&without_cleo), Err(Error::MissingSignature(w.account(CLEO))));
    w.forged = Some(CLEO);
    let forged = UpdateMpc { gone: vec![w.owners(bc)], ..w.pay(mpc, &paid) };
    assert_eq!(w.bring(&forged), Err(Error::BadSignature(w.account(CLEO))));
    assert_eq!(w.state([ab, ac]), [ab, ac]);
}

#[test]
fn a_snapshot_older_than_a_signed_state_needs_both_and_ends_the_epoch_of_both() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let newer = w.update(Entry { version: 7, balances: units([1, 7]), ..ab });
    let older = w.update(next(ab, [3, 5]));
    let enter = w.braid(&[later(ab)], MIN_WINDOW);
    let ann_alone = CreateMpc { signatures: enter.signatures[..1].to_vec(), ..enter.clone() };
    assert_eq!(w.bring(&ann_alone), Err(Error::MissingSignature(w.account(BOB))));
    let same_epoch = w.braid(&[Entry { version: 9, ..ab }], MIN_WINDOW);
    assert_eq!(w.bring(&same_epoch), wrong_epoch(ab, 0));
    w.bring(&enter).unwrap();
    let mpc = enter.creation.id(&Native, &w.bench.domain);
    for old in [&newer, &older] {
        assert_eq!(w.bring(old), Err(Error::TpcBusy(ab.tpc)));
    }
    let former = w.pay(mpc, &[newer.entry]);
    assert_eq!(w.bring(&former), Err(Error::NothingNewer), "nor does it count inside, whatever its version");
    let deadline = w.dispute_mpc(ANN, mpc, ab, &[]).unwrap();
    w.pass(deadline);
    for old in [&newer, &older] {
        assert_eq!(w.bring(old), wrong_epoch(ab, 1));
    }
    assert_eq!(w.state([ab]), [later(ab)]);
}

#[test]
fn old_updates_of_a_channel_that_left_and_came_back_are_passed_over() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let old = Entry { version: 50, balances: units([8, 0]), ..ab };
    let (old_alone, old_with_another) = (w.pay(mpc, &[old]), w.pay(mpc, &[old, next(bc, [3, 5])]));
    let (old_leave, old_close) = (w.leave(mpc, &[old]), w.unbraid(mpc, &[old, bc, ac]));
    let leave = w.leave(mpc, &[next(ab, [3, 5])]);
    w.bring(&leave).unwrap();
    assert_eq!(w.bring(&old_leave), Err(Error::NotMember(ab.tpc)));
    let back = later(next(ab, [2, 6]));
    let join = w.join(mpc, ac, &[back]);
    w.bring(&join).unwrap();
    assert_eq!(w.bring(&old_alone), Err(Error::NothingNewer));
    assert_eq!(w.bring(&old_with_another), Ok(()));
    assert_eq!(w.bring(&old_leave), wrong_epoch(ab, 2));
    assert_eq!(w.bring(&old_close), wrong_epoch(ab, 2));
    assert_eq!(w.bring(&join), Err(Error::TpcBusy(ab.tpc)));
    assert_eq!(w.state(trio), [back, next(bc, [3, 5]), ac]);
}

#[test]
fn a_closing_signed_for_fewer_channels_is_void_once_another_has_joined() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let close = w.unbraid(mpc, &trio);
    let guest = w.open([CLEO, DAN]);
    let join = w.join(mpc, trio[1], &[later(guest)]);
    w.bring(&join).unwrap();
    assert_eq!(w.bring(&close), Err(Error::ChannelsMissing { expected: 4 }));
    let in_its_place = w.unbraid(mpc, &[trio[0], trio[1], later(guest)]);
    assert_eq!(w.bring(&in_its_place), Err(Error::ChannelsMissing { expected: 4 }));
}

#[test]
fn a_channel_of_another_group_is_neither_moved_nor_released_by_this_one() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let other = w.open([ANN, BOB]);
    let (_, [other]) = w.group([other]);
    let update = w.pay(mpc, &[next(ab, [3, 5]), next(other, [8, 0])]);
    w.bring(&update).unwrap();
    let alone = w.pay(mpc, &[next(other, [8, 0])]);
    assert_eq!(w.bring(&alone), Err(Error::NothingNewer));
    let close = w.unbraid(mpc, &[next(ab, [3, 5]), bc, other]);
    assert_eq!(w.bring(&close), Err(Error::NotMember(other.tpc)));
    let leave = w.leave(mpc, &[other]);
    assert_eq!(w.bring(&leave), Err(Error::NotMember(other.tpc)));
    assert_eq!(w.state([ab, bc, ac, other]), [next(ab, [3, 5]), bc, ac, other]);
}
