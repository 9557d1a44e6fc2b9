//! What a single honest user can do when others do not: everybody's funds come back, at the latest state that all signed.

use crate::neighbours::*;
use chain::contract::Event;
use devchain::UNIT;
use engine::{message::Reason, Command, Outcome, Refusal, Scope};
use protocol::{
    abi::{DisputeChannels, GetEnded, GetMpc, SettleChannels},
    Resolution, SignedUpdate, TpcId,
};

/// A user who cheats makes its calls by hand: its own engine would put the newest state on chain.
fn dispute_by_hand(world: &mut World, user: usize, channels: Vec<TpcId>) {
    world.call(user, 0, &DisputeChannels { channels, then: Resolution::Settle }).unwrap();
    world.run().unwrap();
}

#[test]
fn a_partner_that_vanishes_costs_no_more_than_a_window() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, 30 * UNIT);
    world.leave(1, false).unwrap();
    let before: Vec<_> = (0..2).map(|user| free(&mut world, user)).collect();
    world.take_calls();
    dispute(&mut world, 0, &[tpc], Resolution::Settle);
    let deadline = deadline(&mut world, tpc);
    assert_eq!(channel(&world, 0, tpc).on_chain.dispute.unwrap().deadline, deadline);
    assert_eq!(calls(&mut world), ["update", "dispute"]);
    wait(&mut world, deadline);
    assert_eq!(calls(&mut world), ["settle"], "its owner settles at once");
    assert_eq!(free(&mut world, 1), before[1] + 130 * UNIT);
    assert!(free(&mut world, 0) > before[0] + 69 * UNIT);
    assert!(world.channels(0).unwrap().is_empty());
    world.come_back(1).unwrap();
    assert!(world.channels(1).unwrap().is_empty());
}

#[test]
fn a_member_that_vanishes_costs_the_others_one_window_and_no_group() {
    let mut world = world(4);
    open_all(&mut world);
    let mpc = braid(&mut world);
    pay(&mut world, mpc, 0, 3, 10 * UNIT);
    pay(&mut world, mpc, 3, 1, 4 * UNIT);
    world.leave(3, false).unwrap();
    let exits: Vec<_> = (0..3).map(|user| between(&world, user, 3)).collect();
    let before: Vec<_> = (0..3).map(|user| free(&mut world, user)).collect();
    let had: Vec<_> = (0..3).map(|user| held(&world, user, exits[user])).collect();
    world.take_calls();
    for (user, exit) in exits.iter().enumerate() {
        dispute(&mut world, user, &[*exit], Resolution::Settle);
    }
    let deadline = deadline(&mut world, exits[2]);
    // In between the others pay each other, and do not touch what is disputed.
    pay(&mut world, mpc, 1, 0, UNIT);
    wait(&mut world, deadline);
    for (user, exit) in exits.iter().enumerate() {
        assert!(free(&mut world, user) > before[user] + had[user] - UNIT, "user {user}");
        assert!(stored(&mut world, *exit).is_none());
    }
    let group = world.query(&GetMpc { id: mpc }).unwrap().unwrap();
    assert_eq!(group.channels, 3);
    pay(&mut world, mpc, 2, 0, UNIT);
    close_group(&mut world, 1, mpc);
    assert_eq!(world.query(&GetMpc { id: mpc }), Ok(None));
}

#[test]
fn a_member_leaves_alone_and_the_others_carry_on() {
    let mut world = world(4);
    open_all(&mut world);
    let mpc = braid(&mut world);
    pay(&mut world, mpc, 3, 0, 5 * UNIT);
    let (exits, had) = (world.channels(3).unwrap(), holdings(&world)[3]);
    let before = free(&mut world, 3);
    world.take_calls();
    dispute(&mut world, 3, &exits, Resolution::Settle);
    assert_eq!(calls(&mut world), ["update", "dispute"], "nobody else has to do anything");
    let deadline = deadline(&mut world, exits[0]);
    wait(&mut world, deadline);
    let settled = calls(&mut world);
    assert!(!settled.is_empty() && settled.iter().all(|call| *call == "settle"), "{settled:?}");
    assert!(free(&mut world, 3) > before + had - UNIT);
    assert!(world.channels(3).unwrap().is_empty());
    pay(&mut world, mpc, 0, 2, 8 * UNIT);
    close_group(&mut world, 0, mpc);
    assert_eq!(world.query(&GetMpc { id: mpc }), Ok(None));
}

#[test]
fn an_old_state_is_answered_while_its_victim_sleeps() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    let old = newest(&world, 0);
    pay_alone(&mut world, tpc, 0, 1, 50 * UNIT);
    let before = free(&mut world, 1);
    world.leave(1, true).unwrap();
    world.leave(0, false).unwrap();
    world.take_calls();
    publish(&mut world, 0, old);
    dispute_by_hand(&mut world, 0, vec![tpc]);
    let deadline = deadline(&mut world, tpc);
    let made = world.take_calls();
    let made: Vec<_> = made.iter().map(|call| (call.user, call.message)).collect();
    assert_eq!(made, [(0, "update"), (0, "dispute"), (1, "update")]);
    wait(&mut world, deadline);
    world.come_back(1).unwrap();
    assert_eq!(calls(&mut world), ["settle"]);
    let fees = 2 * UNIT;
    assert!(free(&mut world, 1) > before + 151 * UNIT - fees, "the newest state was paid out");
}

#[test]
fn an_old_state_of_a_group_is_answered_while_its_victim_sleeps() {
    let mut world = world(3);
    open_all(&mut world);
    let mpc = braid(&mut world);
    pay(&mut world, mpc, 0, 1, UNIT);
    let old = newest(&world, 0);
    pay(&mut world, mpc, 0, 1, 40 * UNIT);
    let tpc = between(&world, 0, 1);
    let newest = channel(&world, 1, tpc).latest;
    world.leave(1, true).unwrap();
    world.leave(0, false).unwrap();
    publish(&mut world, 0, old);
    dispute_by_hand(&mut world, 0, vec![tpc]);
    let deadline = deadline(&mut world, tpc);
    let answered = stored(&mut world, tpc).unwrap();
    assert_eq!((answered.version, answered.balances), (newest.version, newest.balances));
    wait(&mut world, deadline);
    world.come_back(1).unwrap();
    assert!(stored(&mut world, tpc).is_none(), "it is settled");
    assert_eq!(world.query(&GetEnded { id: tpc, epoch: 0 }), Ok(Some(newest.version)));
}

/// One update over all channels of three; the owners of the one that the first user does not own let it end below the
/// update, which would be void then.
fn dispute_of_a_foreign_channel(sleeps: bool) {
    let mut world = world(3);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let payment = game(&world, mpc, 0, UNIT, Scope::All, true);
    act(&mut world, 0, payment);
    let expected = holdings(&world);
    let foreign = between(&world, 1, 2);
    world.leave(1, false).unwrap();
    world.leave(2, false).unwrap();
    if sleeps {
        world.leave(0, true).unwrap();
    }
    world.take_calls();
    dispute_by_hand(&mut world, 1, vec![foreign]);
    assert_eq!(calls(&mut world), ["dispute", "update"]);
    for tpc in world.channels(0).unwrap() {
        let newest = channel(&world, 0, tpc).latest;
        let on_chain = stored(&mut world, tpc).unwrap();
        assert_eq!((on_chain.version, on_chain.balances), (newest.version, newest.balances));
    }
    let deadline = deadline(&mut world, foreign);
    wait(&mut world, deadline);
    if sleeps {
        world.come_back(0).unwrap();
    }
    assert_eq!(holdings(&world)[0], expected[0]);
}

#[test]
fn a_dispute_over_a_foreign_channel_of_an_update_is_answered() {
    dispute_of_a_foreign_channel(false);
}

#[test]
fn a_dispute_over_a_foreign_channel_of_an_update_is_answered_while_the_user_sleeps() {
    dispute_of_a_foreign_channel(true);
}

#[test]
fn a_payment_passes_by_a_channel_that_others_dispute() {
    let mut world = world(4);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let foreign = between(&world, 2, 3);
    dispute(&mut world, 3, &[foreign], Resolution::Renew);
    let before = holdings(&world);
    let payment = game(&world, mpc, 0, UNIT, Scope::All, true);
    assert_eq!(settled(&act(&mut world, 0, payment)), 4);
    let named = newest(&world, 0).update.entries;
    assert!(named.len() == 5 && named.iter().all(|entry| entry.tpc != foreign), "every channel but the disputed one");
    assert_eq!(holdings(&world)[0], before[0] + 3 * UNIT);
    // After its deadline it takes part again, in its next epoch.
    let deadline = deadline(&mut world, foreign);
    wait(&mut world, deadline);
    let payment = game(&world, mpc, 1, UNIT, Scope::All, true);
    assert_eq!(settled(&act(&mut world, 1, payment)), 4);
    let renewed = channel(&world, 2, foreign).latest;
    assert_eq!(renewed.order(), (1, 1));
    act(&mut world, 2, Command::Checkpoint(vec![foreign]));
    assert_eq!(stored(&mut world, foreign).unwrap().order(), (1, 1));
}

#[test]
fn a_disputed_channel_is_neither_split_nor_topped_up_nor_paid_on() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    dispute(&mut world, 1, &[tpc], Resolution::Settle);
    let valid_until = later(&mut world);
    let disputed = Refusal::Reason(Reason::Disputed(tpc));
    for command in [
        Command::Split { channels: vec![tpc], parts: vec![(STAKE, STAKE)], valid_until },
        Command::TopUp { tpc, own: UNIT, theirs: UNIT, valid_until },
        Command::Withdraw { tpc, own: UNIT, theirs: UNIT, valid_until },
    ] {
        assert_eq!(refused(&mut world, 0, command), disputed);
    }
    // A payment waits, and is void when the channel is settled.
    let signatures = world.signatures();
    let payment = lone(&world, tpc, 0, 1, UNIT);
    assert_eq!(command(&mut world, 0, payment), []);
    assert_eq!(world.signatures(), signatures, "nobody signs");
    let deadline = deadline(&mut world, tpc);
    let notices = wait(&mut world, deadline);
    let void = |notice: &engine::Notice| matches!(notice, engine::Notice::Decided { outcome: Outcome::Void, .. });
    assert_eq!(told(&notices, void), 1, "{notices:?}");
}

#[test]
fn a_closing_in_the_middle_of_a_dispute_ends_it() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    dispute(&mut world, 0, &[tpc], Resolution::Settle);
    close(&mut world, 1, tpc);
    assert!(world.channels(1).unwrap().is_empty());
    world.chain.lock().advance(2 * WINDOW);
    let late = world.call(0, 0, &SettleChannels { channels: vec![tpc] });
    assert!(late.is_err(), "there is nothing left to settle");
}

#[test]
fn what_is_to_renew_may_be_settled_instead() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    dispute(&mut world, 0, &[tpc], Resolution::Renew);
    let until = deadline(&mut world, tpc);
    dispute(&mut world, 1, &[tpc], Resolution::Settle);
    assert_eq!(deadline(&mut world, tpc), until, "the clock goes on");
    let back = Command::Dispute { channels: vec![tpc], then: Resolution::Renew };
    assert_eq!(refused(&mut world, 0, back), Refusal::Reason(Reason::Disputed(tpc)));
    wait(&mut world, until);
    assert!(stored(&mut world, tpc).is_none());
    assert!((0..2).all(|user| world.channels(user).unwrap().is_empty()));
}

#[test]
fn a_watcher_hears_what_the_contract_tells() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    world.take_calls();
    dispute(&mut world, 0, &[tpc], Resolution::Settle);
    let receipt = world.take_calls().remove(0).receipt;
    let Some(Event::Disputed(event)) = world.contract.event(&receipt.events[0]) else { panic!("{receipt:?}") };
    let [told] = event.channels[..] else { panic!("{event:?}") };
    assert_eq!((told.tpc, told.epoch, told.version, told.then), (tpc, 0, 0, Resolution::Settle));
    assert_eq!(told.deadline, world.time().unwrap() + WINDOW);
}

#[test]
fn a_user_that_comes_back_in_a_dispute_answers_it() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    let newest: SignedUpdate = newest(&world, 1);
    world.leave(0, false).unwrap();
    world.leave(1, false).unwrap();
    world.take_calls();
    dispute_by_hand(&mut world, 0, vec![tpc]);
    assert_eq!(calls(&mut world), ["dispute"]);
    world.come_back(1).unwrap();
    assert_eq!(calls(&mut world), ["update"]);
    assert_eq!(stored(&mut world, tpc).unwrap().version, newest.update.entries[0].version);
}
