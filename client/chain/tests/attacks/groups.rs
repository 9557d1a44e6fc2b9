//! Registered groups: each signature is good once, and busy channels refuse what would take them out (rules G1 to G7).

use super::*;

/// Ann-Bob, Bob-Cleo and Ann-Cleo as a group.
fn registered(w: &mut World) -> (CreateMpc, MpcId, [Entry; 3]) {
    let trio = w.trio();
    let create = w.registration(&trio);
    w.bring(&create).unwrap();
    let mpc = create.creation.id(&Native, &w.bench.domain);
    (create, mpc, trio)
}

fn wrong_count(channels: &[Entry], stored: u32) -> Result<(), Error> {
    Err(Error::WrongRegistrations { tpc: sorted(channels)[0].tpc, stored })
}

#[test]
fn a_registration_replayed_registers_nothing_a_second_time() {
    let mut w = world();
    let (create, mpc, trio) = registered(&mut w);
    let first = sorted(&trio)[0];
    assert_eq!(w.bring(&create), Err(Error::TpcBusy(first.tpc)));
    let close = w.unregistration(mpc, &trio);
    w.send(ANN, &close).unwrap();
    assert_eq!(w.bring(&create), wrong_count(&trio, 2));
    assert_eq!(w.size(mpc), None);
    assert_eq!(w.send(ANN, &close), Err(Error::UnknownMpc(mpc)));
    // The same channels may be registered again, as another group.
    let again = w.group(&trio);
    assert_ne!(again, mpc);
    assert_eq!(w.bring(&create), Err(Error::TpcBusy(first.tpc)));
    assert_eq!(w.send(ANN, &close), Err(Error::UnknownMpc(mpc)));
    let elsewhere = CloseMpc { close: MpcClose { mpc: again, ..close.close }, ..close };
    assert_eq!(w.send(ANN, &elsewhere), wrong_count(&trio, 3));
}

#[test]
fn a_join_and_a_leave_replayed_move_nothing_a_second_time() {
    let mut w = world();
    let (_, mpc, trio) = registered(&mut w);
    let [ab, ..] = trio;
    let guest = w.open([ANN, DAN]);
    let join = w.join(mpc, ab, &[guest]);
    w.bring(&join).unwrap();
    assert_eq!(w.bring(&join), Err(Error::TpcBusy(guest.tpc)));
    let leave = w.leave(mpc, &[guest]);
    w.send(DAN, &leave).unwrap();
    assert_eq!(w.bring(&join), wrong_count(&[guest], 2));
    assert_eq!(w.send(DAN, &leave), wrong_count(&[guest], 2));
    let again = w.join(mpc, ab, &[guest]);
    w.bring(&again).unwrap();
    assert_eq!(w.send(DAN, &leave), wrong_count(&[guest], 3));
    assert_eq!((w.size(mpc), w.stored(guest.tpc).unwrap().mpc), (Some(4), Some(mpc)));
}

#[test]
fn of_two_registrations_of_a_channel_the_first_on_chain_counts() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let host = w.open([ANN, BOB]);
    let other = w.group(&[host]);
    let (one, two, join) = (w.registration(&[ab, bc]), w.registration(&[ab, ac]), w.join(other, host, &[ab]));
    w.bring(&one).unwrap();
    let busy = Err(Error::TpcBusy(ab.tpc));
    // Whichever of its channels comes first, the group of two is refused whole.
    assert_eq!(w.bring(&two), busy);
    assert_eq!(w.bring(&join), busy);
    assert_eq!(w.stored(ac.tpc).unwrap().mpc, None);
    let mpc = one.creation.id(&Native, &w.bench.domain);
    let leave = w.leave(mpc, &[ab]);
    w.send(BOB, &leave).unwrap();
    let stale_count = Err(Error::WrongRegistrations { tpc: ab.tpc, stored: 2 });
    assert_eq!(w.bring(&two), stale_count);
    assert_eq!(w.bring(&join), stale_count);
}

#[test]
fn no_channel_slips_out_of_a_group_unless_it_leaves_or_is_settled() {
    let mut w = world();
    let (_, mpc, trio) = registered(&mut w);
    let [ab, bc, ac] = trio;
    let free = w.open([ANN, BOB]);
    let last = next(ab, [8, 0]);
    for (disputed, then) in [(false, Settle), (true, Renew), (true, Settle)] {
        if disputed {
            w.dispute(ANN, ab, then).unwrap();
        }
        let busy = Err(Error::TpcBusy(ab.tpc));
        let close = w.close(last);
        assert_eq!(w.send(ANN, &close), busy);
        let top_up = w.top_up(last, [1, 1]);
        assert_eq!(w.send(ANN, &top_up), busy);
        let withdrawal = w.withdrawal(last, units([1, 0]));
        assert_eq!(w.send(ANN, &withdrawal), busy);
        let (split, _) = w.split(&[last], [[4, 0], [4, 0]]);
        assert_eq!(w.send(ANN, &split), busy);
        let (merge, _) = w.split(&[next(free, [4, 4]), last], [[12, 4]]);
        assert_eq!(w.send(ANN, &merge), busy);
        let elsewhere = w.registration(&[ab]);
        assert_eq!(w.bring(&elsewhere), busy);
        let twice = w.join(mpc, bc, &[ab]);
        assert_eq!(w.bring(&twice), busy);
        let without_one = w.unregistration(mpc, &[ab, bc]);
        assert_eq!(w.send(ANN, &without_one), Err(Error::ChannelsMissing { expected: 3 }));
    }
    assert_eq!(w.state([ab, bc, ac]), trio);
    // Updates and disputes go on as ever.
    w.bring(&w.update(&[next(ab, [3, 5]), next(bc, [3, 5])])).unwrap();
    let deadline = w.stored(ab.tpc).unwrap().dispute.unwrap().deadline;
    w.pass(deadline);
    assert_eq!(w.settle(BOB, ab), Ok(()));
    assert_eq!(w.size(mpc), Some(2));
}

#[test]
fn settling_its_channels_ends_a_group_and_no_group_outlives_its_last_channel() {
    let mut w = world();
    let (_, mpc, trio) = registered(&mut w);
    let [ab, bc, ac] = trio;
    let close_of_all = w.unregistration(mpc, &trio);
    w.end(ab, Settle);
    assert_eq!(w.size(mpc), Some(2));
    assert_eq!(w.send(CLEO, &close_of_all), Err(Error::ChannelsMissing { expected: 2 }));
    let mut closed = w.fork();
    let close_of_two = closed.unregistration(mpc, &[bc, ac]);
    closed.send(CLEO, &close_of_two).unwrap();
    assert_eq!(closed.size(mpc), None);
    w.send(CLEO, &DisputeChannels { channels: ids(&[bc, ac]), then: Settle }).unwrap();
    let deadline = w.stored(ac.tpc).unwrap().dispute.unwrap().deadline;
    w.pass(deadline);
    assert_eq!(w.call(CLEO, 0, &SettleChannels { channels: ids(&[bc, ac]) }).unwrap().answer, 2);
    assert_eq!(w.size(mpc), None);
    assert_eq!(w.bring(&close_of_two), Err(Error::UnknownMpc(mpc)));
    // Nobody joins what has ended, not even through a channel that was in it.
    let guest = w.open([ANN, DAN]);
    let join = w.join(mpc, ac, &[guest]);
    assert_eq!(w.bring(&join), Err(Error::UnknownMpc(mpc)));
}

#[test]
fn settling_channels_of_several_groups_in_turn_counts_each_for_its_own() {
    let mut w = world();
    let channels = [(); 6].map(|()| w.open([ANN, BOB]));
    let [a, b, c, d, e, f] = channels;
    let (one, two) = (w.group(&[a, b, c]), w.group(&[d, e]));
    let all = ids(&[a, d, f, b, e]);
    w.send(ANN, &DisputeChannels { channels: all.clone(), then: Settle }).unwrap();
    let deadline = w.stored(f.tpc).unwrap().dispute.unwrap().deadline;
    w.pass(deadline);
    assert_eq!(w.call(BOB, 0, &SettleChannels { channels: all }).unwrap().answer, 5);
    assert_eq!((w.size(one), w.size(two)), (Some(1), None));
    assert_eq!(w.state([c]), [c]);
}

#[test]
fn a_renewed_channel_stays_in_its_group() {
    let mut w = world();
    let (_, mpc, trio) = registered(&mut w);
    let [ab, ..] = trio;
    let leave = w.leave(mpc, &[ab]);
    w.end(ab, Renew);
    assert_eq!((w.size(mpc), w.stored(ab.tpc).unwrap().mpc), (Some(3), Some(mpc)));
    w.send(ANN, &leave).unwrap();
    assert_eq!((w.size(mpc), w.state([ab]), w.ended(ab)), (Some(2), [later(ab)], Some(0)));
}

#[test]
fn leaving_a_group_does_not_stop_a_clock() {
    let mut w = world();
    let (_, mpc, trio) = registered(&mut w);
    let [ab, bc, ac] = trio;
    let deadline = w.dispute(ANN, ab, Settle).unwrap();
    let leave = w.leave(mpc, &[ab]);
    w.send(BOB, &leave).unwrap();
    let second = w.dispute(CLEO, bc, Renew).unwrap();
    let close = w.unregistration(mpc, &[bc, ac]);
    w.send(BOB, &close).unwrap();
    assert_eq!(w.stored(ab.tpc).unwrap().dispute.unwrap().deadline, deadline);
    assert_eq!(w.stored(bc.tpc).unwrap().dispute.unwrap().deadline, second);
    w.pass(second);
    assert_eq!(w.paid(|w| w.settle(ANN, ab).unwrap()), [(ANN, 4 * UNIT), (BOB, 4 * UNIT)]);
    assert_eq!(w.state([bc]), [later(bc)]);
}

#[test]
fn a_closing_signed_for_fewer_channels_is_void_once_another_has_joined() {
    let mut w = world();
    let (_, mpc, trio) = registered(&mut w);
    let close = w.unregistration(mpc, &trio);
    let guest = w.open([CLEO, DAN]);
    let join = w.join(mpc, trio[1], &[guest]);
    w.bring(&join).unwrap();
    assert_eq!(w.send(ANN, &close), Err(Error::ChannelsMissing { expected: 4 }));
    let outside = w.open([CLEO, DAN]);
    let in_its_place = w.unregistration(mpc, &[trio[0], trio[1], trio[2], outside]);
    assert_eq!(w.send(ANN, &in_its_place), Err(Error::NotMember(outside.tpc)));
}

#[test]
fn a_channel_of_another_group_is_not_released_by_this_one() {
    let mut w = world();
    let (_, mpc, trio) = registered(&mut w);
    let other = w.open([ANN, BOB]);
    let second = w.group(&[other]);
    let close = w.unregistration(mpc, &[trio[0], trio[1], other]);
    assert_eq!(w.send(ANN, &close), Err(Error::NotMember(other.tpc)));
    let leave = w.leave(mpc, &[other]);
    assert_eq!(w.send(ANN, &leave), Err(Error::NotMember(other.tpc)));
    assert_eq!((w.size(mpc), w.size(second)), (Some(3), Some(1)));
    // Updates know no groups.
    w.bring(&w.update(&[next(trio[0], [3, 5]), next(other, [5, 3])])).unwrap();
    assert_eq!(w.state([trio[0], other]), [next(trio[0], [3, 5]), next(other, [5, 3])]);
}

#[test]
fn a_channel_twice_in_a_registration_does_not_count_twice() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let create = w.registration(&[ab, ab]);
    assert_eq!(w.bring(&create), Err(Error::ChannelsNotSorted));
    let mpc = w.group(&[ab]);
    let leave = w.leave(mpc, &[ab, ab]);
    assert_eq!(w.send(ANN, &leave), Err(Error::ChannelsNotSorted));
    assert_eq!(w.size(mpc), Some(1));
}

#[test]
fn a_channel_that_is_gone_or_never_was_is_not_registered() {
    let mut w = world();
    let (ab, bc) = (w.open([ANN, BOB]), w.open([BOB, CLEO]));
    let create = w.registration(&[ab, bc]);
    w.close_all([bc]);
    assert_eq!(w.bring(&create), Err(Error::UnknownTpc(bc.tpc)));
    assert_eq!(w.stored(ab.tpc).unwrap().mpc, None);
}
