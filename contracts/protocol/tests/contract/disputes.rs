//! What one owner does alone, and how it ends.

use crate::bench::*;
use crate::common::{entry, Items};
use protocol::{
    event::{ChannelDisputed, ChannelSettled, Disputed, Event, Settled, CHANNELS_PER_EVENT},
    state::MAX_CHANNELS,
    Asset, Dispute, Error, MpcId, Resolution, Timestamp, TpcId,
};

const PSP22: Asset = Asset::Psp22(TOKEN);

fn two() -> (Bench, [TpcId; 2]) {
    let mut bench = Bench::new();
    let ids = [bench.open([A, B], 0), bench.open([A, C], 0)];
    (bench, ids)
}

#[test]
fn a_dispute_starts_a_clock_and_reserves_its_record() {
    for then in [Resolution::Settle, Resolution::Renew] {
        let (mut bench, [ab, ac]) = two();
        bench.update(&[entry(ac, 0, 4, [50, 50])]).unwrap();
        let before = bench.chain.items();
        let (count, told) = bench.dispute(A, &[ac, ab], then).unwrap();
        assert_eq!(count, 2);
        let deadline = START + WINDOW;
        let channel = |tpc, version| ChannelDisputed { tpc, epoch: 0, version, deadline, then };
        assert_eq!(told, [Disputed { channels: vec![channel(ac, 4), channel(ab, 0)] }.into()]);
        assert_eq!(bench.tpc(ac).unwrap().dispute, Some(Dispute { deadline, then, began_at: 4 }));
        assert_eq!(bench.chain.items(), Items { ended: 2, ..before });
        assert_eq!(bench.chain.ended.get((ac, 0)), Some(4));
        // The reserved record ends nothing yet.
        assert_eq!((bench.ended(ac, 0), bench.ended(ab, 0)), (None, None));
        assert_eq!(bench.update(&[entry(ac, 0, 5, [50, 50])]).unwrap().0, 1);
        bench.chain.now = deadline;
        assert_eq!(bench.ended(ac, 0), None);
        bench.chain.now += 1;
        assert_eq!((bench.ended(ac, 0), bench.ended(ab, 0)), (Some(5), Some(0)));
        assert_eq!((bench.ended(ac, 1), bench.ended(ac, 7)), (None, None));
    }
}

#[test]
fn a_dispute_starts_once_and_may_only_go_from_renewal_to_settlement() {
    let (mut bench, [ab, _]) = two();
    bench.dispute(B, &[ab], Resolution::Renew).unwrap();
    let deadline = START + WINDOW;
    bench.update(&[entry(ab, 0, 3, [50, 50])]).unwrap();
    bench.chain.now += 5;
    assert_eq!(bench.dispute(A, &[ab], Resolution::Renew), Err(Error::TpcDisputed(ab)));
    let before = bench.chain.items();
    let (_, told) = bench.dispute(A, &[ab], Resolution::Settle).unwrap();
    let channel = ChannelDisputed { tpc: ab, epoch: 0, version: 3, deadline, then: Resolution::Settle };
    assert_eq!(told, [Disputed { channels: vec![channel] }.into()]);
    let dispute = Dispute { deadline, then: Resolution::Settle, began_at: 0 };
    assert_eq!(bench.tpc(ab).unwrap().dispute, Some(dispute), "the clock goes on, and the record is what it was");
    assert_eq!((bench.chain.items(), bench.chain.ended.get((ab, 0))), (before, Some(0)));
    for then in [Resolution::Settle, Resolution::Renew] {
        assert_eq!(bench.dispute(A, &[ab], then), Err(Error::TpcDisputed(ab)));
    }
    bench.chain.now = deadline + 1;
    for then in [Resolution::Settle, Resolution::Renew] {
        assert_eq!(bench.dispute(A, &[ab], then), Err(Error::TpcDue(ab)));
    }
}

#[test]
fn only_an_owner_disputes() {
    let (mut bench, [ab, ac]) = two();
    for stranger in [S, C] {
        assert_eq!(bench.dispute(stranger, &[ab], Resolution::Settle), Err(Error::NotOwner(ab)));
    }
    bench.dispute(A, &[ab], Resolution::Renew).unwrap();
    assert_eq!(bench.dispute(C, &[ab], Resolution::Settle), Err(Error::NotOwner(ab)));
    // Of a list, what is the caller's own counts.
    let (count, told) = bench.dispute(C, &[ab, ac], Resolution::Settle).unwrap();
    assert_eq!(count, 1);
    assert!(
        matches!(&told[..], [Event::Disputed(Disputed { channels })] if channels.len() == 1 && channels[0].tpc == ac)
    );
    assert_eq!(bench.tpc(ab).unwrap().dispute.unwrap().then, Resolution::Renew);
    let unknown = TpcId([9; 32]);
    assert_eq!(bench.dispute(A, &[unknown, ab, ac], Resolution::Renew), Err(Error::UnknownTpc(unknown)));
    assert_eq!(bench.dispute(A, &[], Resolution::Renew), Err(Error::NoChannels));
}

#[test]
fn a_deadline_that_does_not_fit_is_refused() {
    let (mut bench, [ab, _]) = two();
    bench.chain.now = Timestamp::MAX - WINDOW + 1;
    assert_eq!(bench.dispute(A, &[ab], Resolution::Settle), Err(Error::Overflow));
    bench.chain.now -= 1;
    bench.dispute(A, &[ab], Resolution::Settle).unwrap();
    assert_eq!(bench.settle(A, &[ab]), Err(Error::TooEarly { after: Timestamp::MAX }));
}

#[test]
fn a_settlement_pays_deletes_and_leaves_one_record() {
    let (mut bench, [ab, ac]) = two();
    bench.update(&[entry(ab, 0, 3, [30, 70])]).unwrap();
    let before = bench.chain.items();
    bench.dispute(A, &[ab, ac], Resolution::Settle).unwrap();
    bench.update(&[entry(ac, 0, 2, [90, 10])]).unwrap();
    bench.chain.closed_accounts.push(C);
    let deadline = START + WINDOW;
    assert_eq!(bench.settle(A, &[ab, ac]), Err(Error::TooEarly { after: deadline }));
    bench.chain.now = deadline;
    assert_eq!(bench.settle(A, &[ab]), Err(Error::TooEarly { after: deadline }));
    bench.chain.now += 1;
    let (count, told) = bench.settle(A, &[ab, ac]).unwrap();
    assert_eq!(count, 2);
    let settled = |tpc, version, balances, credited| ChannelSettled { tpc, epoch: 0, version, balances, credited };
    let channels = vec![settled(ab, 3, [30, 70], [false, false]), settled(ac, 2, [90, 10], [false, true])];
    assert_eq!(told, [Settled { channels }.into()]);
    assert_eq!((bench.paid(A), bench.paid(B), bench.paid(C)), (120, 70, 0));
    assert_eq!(bench.ledger(C, Asset::Native), 1_010);
    assert_eq!(bench.chain.items(), Items { tpcs: 0, ended: 2, ..before });
    assert_eq!((bench.ended(ab, 0), bench.ended(ac, 0)), (Some(3), Some(2)));
    assert_eq!(bench.settle(A, &[ab]), Err(Error::UnknownTpc(ab)));
    assert_eq!(bench.settle(A, &[]), Err(Error::NoChannels));
}

#[test]
fn nothing_is_paid_to_whoever_has_nothing() {
    let (mut bench, [ab, _]) = two();
    bench.update(&[entry(ab, 0, 1, [100, 0])]).unwrap();
    bench.chain.closed_accounts.push(B);
    bench.dispute(A, &[ab], Resolution::Settle).unwrap();
    bench.chain.now += WINDOW + 1;
    let (_, told) = bench.settle(A, &[ab]).unwrap();
    assert!(matches!(&told[..], [Event::Settled(Settled { channels })] if channels[0].credited == [false, false]));
    assert_eq!(bench.chain.paid.keys(), [A]);
}

#[test]
fn a_stranger_settles_one_window_after_the_owners_could() {
    let (mut bench, [ab, _]) = two();
    bench.dispute(A, &[ab], Resolution::Settle).unwrap();
    let after = START + 2 * WINDOW;
    for now in [START + WINDOW + 1, after] {
        bench.chain.now = now;
        assert_eq!(bench.settle(S, &[ab]), Err(Error::TooEarly { after }));
    }
    let chain = bench.chain.clone();
    bench.settle(B, &[ab]).unwrap();
    bench.chain = chain;
    bench.chain.now = after + 1;
    bench.settle(S, &[ab]).unwrap();
}

#[test]
fn a_channel_is_settled_only_if_it_is_disputed_and_not_renewed() {
    let (mut bench, [ab, ac]) = two();
    assert_eq!(bench.settle(A, &[ab]), Err(Error::TpcNotDisputed(ab)));
    bench.dispute(A, &[ac], Resolution::Renew).unwrap();
    assert_eq!(bench.settle(A, &[ac]), Err(Error::TooEarly { after: START + WINDOW }));
    bench.chain.now += WINDOW + 1;
    assert_eq!(bench.settle(A, &[ac]), Err(Error::TpcNotDisputed(ac)));
    // Of a list, what is due counts.
    bench.dispute(A, &[ab], Resolution::Settle).unwrap();
    bench.chain.now += WINDOW + 1;
    assert_eq!(bench.settle(A, &[ac, ab, ab]).unwrap().0, 1);
}

#[test]
fn a_renewal_takes_effect_by_itself_and_is_written_with_the_channel() {
    let (mut bench, [ab, _]) = two();
    bench.update(&[entry(ab, 0, 3, [30, 70])]).unwrap();
    bench.dispute(A, &[ab], Resolution::Renew).unwrap();
    bench.update(&[entry(ab, 0, 8, [20, 80])]).unwrap();
    bench.chain.now += WINDOW;
    assert_eq!(bench.order(ab), (0, 8), "not before the deadline has passed");
    bench.chain.now += 1;
    let tpc = bench.tpc(ab).unwrap();
    assert_eq!((tpc.order(), tpc.balances, tpc.dispute), ((1, 0), [20, 80], None));
    assert_eq!(bench.chain.tpcs.get(ab).unwrap().order(), (0, 8), "nothing is written yet");
    // A second dispute writes the first renewal.
    bench.dispute(B, &[ab], Resolution::Renew).unwrap();
    assert_eq!((bench.chain.ended.get((ab, 0)), bench.chain.ended.get((ab, 1))), (Some(8), Some(0)));
    assert_eq!(bench.ended(ab, 1), None);
    bench.chain.now += WINDOW + 1;
    assert_eq!((bench.ended(ab, 0), bench.ended(ab, 1), bench.order(ab)), (Some(8), Some(0), (2, 0)));
    bench.dispute(B, &[ab], Resolution::Settle).unwrap();
    bench.chain.now += WINDOW + 1;
    bench.settle(B, &[ab]).unwrap();
    assert_eq!((0..4).map(|epoch| bench.ended(ab, epoch)).collect::<Vec<_>>(), [Some(8), Some(0), Some(0), None]);
}

#[test]
fn a_renewed_channel_stays_registered() {
    let (mut bench, [ab, ac]) = two();
    let (mpc, _) = bench.register(&[ab, ac]).unwrap();
    bench.dispute(A, &[ab], Resolution::Renew).unwrap();
    bench.chain.now += WINDOW + 1;
    let tpc = bench.tpc(ab).unwrap();
    assert_eq!((tpc.order(), tpc.mpc, tpc.registrations), ((1, 0), Some(mpc), 1));
}

#[test]
fn settling_registered_channels_lowers_the_groups_counts() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..5).map(|nonce| bench.open([A, B], nonce)).collect();
    let (first, _) = bench.register(&ids[..3]).unwrap();
    let (second, _) = bench.register(&ids[3..]).unwrap();
    bench.dispute(A, &ids, Resolution::Settle).unwrap();
    bench.chain.now += WINDOW + 1;
    let count = |bench: &Bench, mpc: MpcId| bench.chain.mpcs.get(mpc).map(|mpc| mpc.channels);
    bench.settle(A, &[ids[0], ids[3], ids[1]]).unwrap();
    assert_eq!((count(&bench, first), count(&bench, second)), (Some(1), Some(1)));
    bench.settle(A, &[ids[2], ids[4]]).unwrap();
    assert_eq!((count(&bench, first), count(&bench, second)), (None, None));
    assert_eq!(bench.chain.items(), Items { ledger: 8, ended: 5, ..Items::default() });
}

#[test]
fn a_channel_whose_pay_out_fails_leaves_the_others_of_the_list_alone() {
    let mut bench = Bench::new();
    let [ab, ac] = [bench.open_with([A, B], 0, PSP22), bench.open_with([A, C], 0, PSP22)];
    bench.chain.ledger.set((B, PSP22), Some(u128::MAX));
    bench.dispute(A, &[ab, ac], Resolution::Settle).unwrap();
    bench.chain.now += WINDOW + 1;
    assert_eq!(bench.settle(A, &[ab]), Err(Error::Overflow));
    let (count, told) = bench.settle(A, &[ab, ac]).unwrap();
    assert_eq!(count, 1);
    assert!(matches!(&told[..], [Event::Settled(Settled { channels })] if channels[0].credited == [true, true]));
    assert_eq!((bench.ledger(A, PSP22), bench.ledger(C, PSP22)), (1_060, 1_040));
    assert!(bench.tpc(ab).is_some());
    assert_eq!(bench.ledger(B, PSP22), u128::MAX);
}

#[test]
fn a_list_names_up_to_the_greatest_number_and_is_told_in_two_events() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..=MAX_CHANNELS).map(|nonce| bench.open([A, B], nonce as u64)).collect();
    assert_eq!(bench.dispute(A, &ids, Resolution::Settle), Err(Error::TooManyChannels));
    let (count, told) = bench.dispute(A, &ids[1..], Resolution::Settle).unwrap();
    assert_eq!(count as usize, MAX_CHANNELS);
    let size = |event: &Event| match event {
        Event::Disputed(Disputed { channels }) => channels.len(),
        Event::Settled(Settled { channels }) => channels.len(),
        other => panic!("{other:?}"),
    };
    let sizes = [CHANNELS_PER_EVENT, MAX_CHANNELS - CHANNELS_PER_EVENT];
    assert_eq!(told.iter().map(size).collect::<Vec<_>>(), sizes);
    bench.chain.now += WINDOW + 1;
    assert_eq!(bench.settle(A, &ids), Err(Error::TooManyChannels));
    let (count, told) = bench.settle(A, &ids[1..]).unwrap();
    assert_eq!(count as usize, MAX_CHANNELS);
    assert_eq!(told.iter().map(size).collect::<Vec<_>>(), sizes);
}
