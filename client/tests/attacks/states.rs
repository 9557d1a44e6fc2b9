//! Old states of channels, and several of one version.

use super::*;

/// The states of Ann-Bob and Bob-Cleo from before they were in a group, and the group.
fn with_old_states(w: &mut World) -> ([UpdateTpc; 2], [CloseTpc; 2], MpcId, [Entry; 2]) {
    let channels = [w.open([ANN, BOB]), w.open([BOB, CLEO])];
    // Far newer than anything that will happen in the group.
    let old = channels.map(|channel| Entry { version: 99, balances: units([8, 0]), ..channel });
    let (updates, closes) = (old.map(|old| w.update(old)), old.map(|old| w.close(old)));
    let (mpc, members) = w.group(channels);
    (updates, closes, mpc, members)
}

fn check_old_states_are_void(w: &mut World, (updates, closes): ([UpdateTpc; 2], [CloseTpc; 2])) {
    for (update, close) in updates.iter().zip(&closes) {
        assert_eq!(w.bring(update), wrong_epoch(update.entry, 1));
        assert_eq!(w.bring(close), wrong_epoch(update.entry, 1));
    }
}

#[test]
fn a_state_from_before_a_group_is_void_in_it_and_after_it_closed() {
    let mut w = world();
    let (updates, closes, mpc, members) = with_old_states(&mut w);
    let [ab, bc] = members;
    assert_eq!(w.bring(&updates[0]), Err(Error::TpcBusy(ab.tpc)));
    assert_eq!(w.bring(&closes[1]), Err(Error::TpcBusy(bc.tpc)));
    let last = [next(ab, [3, 5]), next(bc, [3, 5])];
    let close = w.unbraid(mpc, &last);
    w.bring(&close).unwrap();
    check_old_states_are_void(&mut w, (updates, closes));
    assert_eq!(w.state(members), last);
}

#[test]
fn a_state_from_before_a_group_is_void_after_a_dispute_dissolved_it() {
    let mut w = world();
    let (updates, closes, mpc, members) = with_old_states(&mut w);
    let [ab, bc] = members;
    let update = w.pay(mpc, &[next(ab, [3, 5]), next(bc, [3, 5])]);
    let withheld = w.pay(mpc, &[next(next(ab, [0, 8]), [0, 8])]);
    w.bring(&update).unwrap();
    let deadline = w.dispute_mpc(CLEO, mpc, bc, &[]).unwrap();
    w.pass(deadline);
    check_old_states_are_void(&mut w, (updates, closes));
    assert_eq!(w.bring(&withheld), Err(Error::MpcDue(mpc)));
    w.bring(&SettleMpc { id: mpc }).unwrap();
    assert_eq!(w.bring(&withheld), Err(Error::UnknownMpc(mpc)));
    assert_eq!(w.state(members), [next(ab, [3, 5]), next(bc, [3, 5])]);
}

#[test]
fn a_state_from_before_a_group_is_void_after_its_channel_left() {
    let mut w = world();
    let (updates, closes, mpc, members) = with_old_states(&mut w);
    let [ab, bc] = members;
    let in_group = w.pay(mpc, &[Entry { version: 50, ..ab }]);
    let last = [next(ab, [3, 5]), next(bc, [3, 5])];
    let leave = w.leave(mpc, &last);
    w.bring(&leave).unwrap();
    assert_eq!(w.ask(&GetMpc { id: mpc }), None, "nobody is left in it");
    check_old_states_are_void(&mut w, (updates, closes));
    assert_eq!(w.bring(&in_group), Err(Error::UnknownMpc(mpc)));
    let entry = in_group.update.entries[0];
    let [ann, bob] = &in_group.signatures[..] else { panic!("two signed") };
    let as_its_own = UpdateTpc { entry, signatures: [ann.signature, bob.signature] };
    assert_eq!(w.bring(&as_its_own), Err(Error::BadSignature(w.account(ANN))));
    assert_eq!(w.bring(&leave), Err(Error::UnknownMpc(mpc)));
    assert_eq!(w.state(members), last);
}

#[test]
fn of_two_states_of_one_version_the_first_on_chain_counts() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (one, other) = (w.update(next(ab, [8, 0])), w.update(next(ab, [0, 8])));
    for (first, second) in [(&one, &other), (&other, &one)] {
        let mut w = w.fork();
        w.bring(first).unwrap();
        assert_eq!(w.bring(second), stale(ab, 1));
        assert_eq!(w.state([ab]), [first.entry]);
    }
    let (one, other) = (w.split(ab.tpc, 1, [[8, 0]]).0, w.split(ab.tpc, 1, [[0, 8]]).0);
    w.bring(&one).unwrap();
    assert_eq!(w.bring(&other), wrong_epoch(ab, 1));
}

#[test]
fn of_two_updates_with_the_same_versions_the_first_on_chain_counts_for_all_channels() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let one = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    let other = [next(ab, [5, 3]), next(bc, [5, 3]), next(ac, [3, 5])];
    for (first, second) in [(one, other), (other, one)] {
        let mut w = w.fork();
        w.bring(&w.pay(mpc, &first)).unwrap();
        assert_eq!(w.bring(&w.pay(mpc, &second)), Err(Error::NothingNewer));
        assert_eq!(w.state(trio), first);
        let close = w.unbraid(mpc, &second);
        assert_eq!(w.bring(&close), Ok(()));
        assert_eq!(w.state(trio), first, "not even by closing");
    }
}

#[test]
fn a_pair_that_signs_a_version_twice_spoils_no_channel_but_its_own() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, ac] = trio;
    let paid = w.pay(mpc, &[next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])]);
    let overwritten = Entry { version: u64::MAX, balances: units([8, 0]), ..ab };
    w.bring(&w.pay(mpc, &[overwritten])).unwrap();
    w.bring(&paid).unwrap();
    assert_eq!(w.state(trio), [overwritten, next(bc, [3, 5]), next(ac, [5, 3])]);
}
