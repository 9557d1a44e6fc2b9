//! Signatures that do not arrive: one dispute of one channel decides what hangs, on the real contract, and everybody goes on.

use crate::neighbours::*;
use devchain::UNIT;
use engine::{Command, Notice, Outcome, Over, Scope};
use protocol::{
    abi::{DisputeChannels, UpdateChannels},
    Entry, MpcId, Resolution, SignedUpdate,
};

fn void(notices: &[(usize, Notice)]) -> usize {
    told(notices, |notice| matches!(notice, Notice::Decided { outcome: Outcome::Void, .. }))
}

#[test]
fn an_unanswered_payment_is_void_after_one_dispute_and_the_channel_lives_on() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 1, 0, 2 * UNIT);
    world.leave(1, false).unwrap();
    let payment = lone(&world, tpc, 0, 1, 7 * UNIT);
    assert_eq!(command(&mut world, 0, payment), []);
    assert_eq!(world.engine(0).unwrap().pending().count(), 1, "it may still be completed");
    dispute(&mut world, 0, &[tpc], Resolution::Renew);
    let until = deadline(&mut world, tpc);
    world.come_back(1).unwrap();
    let notices = wait(&mut world, until);
    assert_eq!(void(&notices), 1, "{notices:?}");
    assert_eq!(holdings(&world), [102 * UNIT, 98 * UNIT]);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    assert_eq!(holdings(&world), [101 * UNIT, 99 * UNIT]);
    act(&mut world, 1, Command::Checkpoint(vec![tpc]));
    let renewed = stored(&mut world, tpc).unwrap();
    assert_eq!((renewed.epoch, renewed.dispute, renewed.balances), (1, None, [101 * UNIT, 99 * UNIT]));
}

#[test]
fn a_payment_whose_answer_is_lost_is_decided_by_one_dispute() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    let payment = lone(&world, tpc, 0, 1, 7 * UNIT);
    world.start(0, payment).unwrap();
    world.leave(0, false).unwrap();
    world.run().unwrap();
    world.come_back(0).unwrap();
    assert_eq!(holdings(&world), [STAKE, STAKE + 7 * UNIT], "only one side has both signatures");
    world.take_calls();
    let notices = act(&mut world, 0, Command::Dispute { channels: vec![tpc], then: Resolution::Renew });
    assert_eq!(calls(&mut world), ["dispute", "update"], "the other one answers");
    assert_eq!(settled(&notices), 1, "{notices:?}");
    let expected = [STAKE - 7 * UNIT, STAKE + 7 * UNIT];
    assert_eq!(holdings(&world), expected);
    let until = deadline(&mut world, tpc);
    wait(&mut world, until);
    assert_eq!(holdings(&world), expected);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
}

#[test]
fn what_becomes_complete_in_a_dispute_counts_when_it_is_on_chain() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    world.leave(1, false).unwrap();
    let payment = lone(&world, tpc, 0, 1, 7 * UNIT);
    assert_eq!(command(&mut world, 0, payment), []);
    let (_, held) = world.engine(0).unwrap().held().next().expect("it is signed");
    let entries = held.update.entries.clone();
    world.call(1, 0, &DisputeChannels { channels: vec![tpc], then: Resolution::Settle }).unwrap();
    world.run().unwrap();
    assert_eq!(holdings(&world)[0], STAKE);
    // The peer never answers the payer, but brings what both have signed to the chain.
    let signed = signed_by_all(&mut world, entries.clone());
    world.take_notices();
    publish(&mut world, 1, signed);
    assert_eq!(settled(&world.take_notices()), 1);
    assert_eq!(channel(&world, 0, tpc).latest, entries[0]);
    let until = deadline(&mut world, tpc);
    wait(&mut world, until);
    assert!(stored(&mut world, tpc).is_none());
}

/// Three users, and a payment of 7 UNIT from the first to the second over all channels. The first two have signed it, and
/// the third has everybody's signatures and keeps them.
fn withheld() -> (World, MpcId, SignedUpdate) {
    let mut world = world(3);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let transfers = vec![transfer(&world, 0, 1, 7 * UNIT)];
    world.leave(2, false).unwrap();
    let payment = Command::Pay { transfers, over: Over::Group { mpc, scope: Scope::All, confirm: false } };
    assert_eq!(command(&mut world, 0, payment), []);
    let in_flight: Vec<Vec<Entry>> = (0..2)
        .map(|user| {
            let engine = world.engine(user).unwrap();
            let mut held = engine.held().filter(|(_, held)| held.in_flight);
            let (_, held) = held.next().expect("it is signed");
            held.update.entries.clone()
        })
        .collect();
    assert_eq!(in_flight[0], in_flight[1]);
    let signed = signed_by_all(&mut world, in_flight[0].clone());
    world.come_back(2).unwrap();
    (world, mpc, signed)
}

/// The group stands, and everybody is free again.
fn all_go_on(world: &mut World, mpc: MpcId) {
    pay(world, mpc, 0, 1, UNIT);
    let payment = game(world, mpc, 2, UNIT, Scope::All, true);
    assert_eq!(settled(&act(world, 2, payment)), 3);
    close_group(world, 0, mpc);
}

#[test]
fn a_withheld_update_of_a_group_is_void_after_one_dispute_of_one_channel() {
    let (mut world, mpc, signed) = withheld();
    let before = holdings(&world);
    let tpc = between(&world, 0, 1);
    dispute(&mut world, 1, &[tpc], Resolution::Renew);
    let until = deadline(&mut world, tpc);
    let notices = wait(&mut world, until);
    assert_eq!(void(&notices), 1, "{notices:?}");
    assert!((0..2).all(|user| !world.engine(user).unwrap().is_waiting()), "nothing hangs");
    assert_eq!(holdings(&world), before);
    let SignedUpdate { update, owners, signatures } = signed;
    let late = world.call(2, 0, &UpdateChannels { update, owners, signatures });
    assert!(late.is_err(), "it moves no channel any more");
    all_go_on(&mut world, mpc);
}

#[test]
fn a_withheld_update_of_a_group_that_comes_to_the_chain_counts_for_all() {
    let (mut world, mpc, signed) = withheld();
    let before = holdings(&world);
    let tpc = between(&world, 0, 1);
    dispute(&mut world, 1, &[tpc], Resolution::Renew);
    let until = deadline(&mut world, tpc);
    world.take_notices();
    publish(&mut world, 2, signed);
    let notices = world.take_notices();
    assert_eq!(settled(&notices), 2, "{notices:?}");
    let expected = [before[0] - 7 * UNIT, before[1] + 7 * UNIT, before[2]];
    assert_eq!(holdings(&world), expected);
    wait(&mut world, until);
    assert_eq!(holdings(&world), expected);
    all_go_on(&mut world, mpc);
}

#[test]
fn an_update_that_a_sleeping_member_left_unsigned_is_completed_when_it_is_back() {
    let (mut world, mpc, _) = withheld();
    let before = holdings(&world);
    world.take_notices();
    world.pass(10_000).unwrap();
    let notices = world.take_notices();
    assert_eq!(settled(&notices), 2, "{notices:?}");
    assert_eq!(holdings(&world), [before[0] - 7 * UNIT, before[1] + 7 * UNIT, before[2]]);
    all_go_on(&mut world, mpc);
}
