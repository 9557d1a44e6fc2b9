//! What users do with each other, through the engine, on the real contract.

mod common;

use braid::engine::{
    message::{Reason, Scope},
    party::Command,
    step::Notice,
};
use chain::contract::Event;
use common::*;
use devchain::UNIT;
use planning::Transfer;
use protocol::{
    abi::{Deposit, GetMpc, GetTpc, LedgerBalance, Withdraw},
    Asset,
};

fn measured<T>(world: &mut World, act: impl FnOnce(&mut World) -> T) -> (u64, u64) {
    let before = (world.messages(), world.signatures());
    act(world);
    (world.messages() - before.0, world.signatures() - before.1)
}

#[test]
fn messages_and_signatures_are_those_of_table_1() {
    for n in [3, 4, 10] {
        let users = n as u64;
        let mut world = world(n, STAKE);
        assert_eq!(measured(&mut world, |world| open(world, 0, 1)), (2, 2), "a channel is created");
        let tpc = *world.party(0).unwrap().channels().keys().next().unwrap();
        let pay = measured(&mut world, |world| world.command(0, Command::PayTpc { tpc, amount: UNIT }).unwrap());
        assert_eq!(pay, (2, 2), "a channel is updated off chain");
        for a in 0..n {
            for b in (a + 1)..n {
                if (a, b) != (0, 1) {
                    open(&mut world, a, b);
                }
            }
        }
        world.take_calls();
        assert_eq!(measured(&mut world, braid), (3 * users - 1, users), "a group of {n} is created");
        let mpc = world.party(0).unwrap().groups().next().unwrap();
        for (scope, confirm, expected) in [
            (Scope::All, true, 5 * users + 1),
            (Scope::Touched, true, 5 * users + 1),
            (Scope::All, false, 3 * users + 1),
        ] {
            let payment = game(&world, mpc, 1, UNIT, scope, confirm);
            let counts = measured(&mut world, |world| {
                let notices = world.command(1, Command::Pay(payment)).unwrap();
                assert_eq!(told(&notices, |notice| matches!(notice, Notice::MpcUpdated(_))), n);
            });
            assert_eq!(counts, (expected, users), "{n} users, {scope:?}, confirmation {confirm}");
        }
        // Two members of a group still pay each other with two signatures.
        let mut payment = game(&world, mpc, 0, UNIT, Scope::Touched, true);
        payment.transfers = vec![Transfer { from: account(&world, 0), to: account(&world, 2), amount: UNIT }];
        let two = measured(&mut world, |world| world.command(0, Command::Pay(payment)).unwrap());
        assert_eq!(two, (5 * 2 + 1, 2));
        let on_chain = measured(&mut world, |world| world.command(0, Command::Checkpoint(mpc)).unwrap());
        assert_eq!(on_chain, (0, 0), "an on-chain update of {n}");
        let valid_until = later(&mut world);
        let closed = measured(&mut world, |world| {
            assert_eq!(world.command(0, Command::CloseMpc { mpc, valid_until }).unwrap(), []);
        });
        assert_eq!(closed, (3 * users - 1, users), "a group of {n} is closed");
        assert_eq!(world.query(&GetMpc { id: mpc }), Ok(None));
        let calls: Vec<_> = world.take_calls().iter().map(|call| call.message).collect();
        assert_eq!(calls, ["create_mpc", "update_all", "close_mpc"], "two updates in one call");
        let valid_until = later(&mut world);
        assert_eq!(
            measured(&mut world, |world| world.command(0, Command::CloseTpc { tpc, valid_until }).unwrap()),
            (2, 2)
        );
    }
}

#[test]
fn a_closed_channel_pays_out_its_last_state_and_leaves_nothing_but_the_nonce() {
    let mut world = world(2, STAKE);
    let contract = *world.contract.account.as_ref();
    let empty = world.chain.storage_usage(contract).unwrap();
    let tpc = open(&mut world, 0, 1);
    world.command(0, Command::PayTpc { tpc, amount: 30 * UNIT }).unwrap();
    world.command(1, Command::PayTpc { tpc, amount: 10 * UNIT }).unwrap();
    world.command(0, Command::CheckpointTpc(tpc)).unwrap();
    let stored = world.query(&GetTpc { id: tpc }).unwrap().unwrap();
    assert_eq!((stored.balances, stored.version), ([80 * UNIT, 120 * UNIT], 3));
    let before: Vec<_> = (0..2).map(|user| free(&mut world, user)).collect();
    world.take_calls();
    let valid_until = later(&mut world);
    world.command(1, Command::CloseTpc { tpc, valid_until }).unwrap();
    let receipt = world.take_calls().remove(0).receipt;
    assert_eq!(free(&mut world, 0), before[0] + 80 * UNIT);
    let refund = receipt.storage_deposit.unsigned_abs();
    assert_eq!(free(&mut world, 1), before[1] + 120 * UNIT - receipt.fee + refund);
    let left = world.chain.storage_usage(contract).unwrap();
    assert_eq!(left.items, empty.items + 1, "the pair's nonce");
    assert!(world.query(&GetTpc { id: tpc }).unwrap().is_none());
    assert!(matches!(world.contract.event(&receipt.events[0]), Some(Event::TpcClosed(_))));
    for user in 0..2 {
        let ledger = LedgerBalance { account: account(&world, user), asset: Asset::Native };
        assert_eq!(world.query(&ledger), Ok(STAKE));
    }
}

#[test]
fn a_channel_is_opened_with_two_transactions() {
    let mut world = world(2, STAKE);
    for user in 0..2 {
        world.call(user, 0, &Withdraw { amount: 2 * STAKE }).unwrap();
    }
    world.take_calls();
    world.call(1, STAKE, &Deposit {}).unwrap();
    let (peer, valid_until) = (account(&world, 1), later(&mut world));
    let (nonce, own, theirs, value, window) = (0, STAKE, STAKE, STAKE, WINDOW);
    let before = free(&mut world, 0);
    world.command(0, Command::OpenTpc { peer, nonce, own, theirs, value, window, valid_until }).unwrap();
    let calls = world.take_calls();
    assert_eq!(calls.iter().map(|call| call.message).collect::<Vec<_>>(), ["deposit", "create_tpc"]);
    let paid = STAKE + calls[1].receipt.fee + calls[1].receipt.storage_deposit.unsigned_abs();
    assert_eq!(free(&mut world, 0), before - paid);
    assert_eq!(holdings(&world), [STAKE, STAKE]);
}

#[test]
fn two_proposals_at_once_have_one_winner_and_both_sides_know_it() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    world.start(0, Command::PayTpc { tpc, amount: 3 * UNIT }).unwrap();
    world.start(1, Command::PayTpc { tpc, amount: 5 * UNIT }).unwrap();
    let notices = world.run().unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::TpcUpdated(_))), 2);
    assert!(told(&notices, |notice| *notice == Notice::TpcRejected(tpc, Reason::Superseded)) >= 1);
    let states: Vec<_> = (0..2).map(|user| world.party(user).unwrap().channels()[&tpc].latest).collect();
    assert_eq!(states[0], states[1]);
    let won = states[0].balances;
    assert!(won == [97 * UNIT, 103 * UNIT] || won == [105 * UNIT, 95 * UNIT], "{won:?}");
    assert_eq!(
        told(&world.command(0, Command::PayTpc { tpc, amount: UNIT }).unwrap(), |notice| matches!(
            notice,
            Notice::TpcUpdated(_)
        )),
        2
    );
}

#[test]
fn a_pair_has_one_creation_of_a_channel_in_flight() {
    let mut world = world(2, STAKE);
    let valid_until = later(&mut world);
    let (nonce, value, window) = (0, 0, WINDOW);
    let open = |peer, own, theirs| Command::OpenTpc { peer, nonce, own, theirs, value, window, valid_until };
    let peers = [account(&world, 1), account(&world, 0)];
    // The peer has agreed, and its answer is lost: what it agreed to may be brought to the chain until it is void.
    world.set_absent(0, true).unwrap();
    world.command(0, open(peers[0], 7 * UNIT, 8 * UNIT)).unwrap();
    let notices = world.command(1, open(peers[1], 2 * UNIT, UNIT)).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::Ignored(_))), 1);
    let notices = world.command(1, open(peers[1], 8 * UNIT, 7 * UNIT)).unwrap();
    assert_eq!(notices, [], "the same may be said again");
}

#[test]
fn a_channel_in_a_group_is_busy_until_the_group_is_closed() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let tpc = *world.party(0).unwrap().channels().keys().next().unwrap();
    let notices = world.command(0, Command::PayTpc { tpc, amount: UNIT }).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::Ignored(_))), 1);
    assert_eq!(world.query(&GetTpc { id: tpc }).unwrap().unwrap().mpc, Some(mpc));
    let valid_until = later(&mut world);
    world.command(2, Command::CloseMpc { mpc, valid_until }).unwrap();
    assert_eq!(world.query(&GetTpc { id: tpc }).unwrap().unwrap().mpc, None);
    let notices = world.command(0, Command::PayTpc { tpc, amount: UNIT }).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::TpcUpdated(_))), 2);
}

#[test]
fn a_member_rejects_what_takes_more_than_it_lets_go() {
    for confirm in [true, false] {
        // Opening a channel needs no more than its stake; a payment of more is not agreed to.
        let mut world = world(3, STAKE);
        open_all(&mut world);
        let mpc = braid(&mut world);
        let before = holdings(&world);
        let mut payment = game(&world, mpc, 0, UNIT, Scope::Touched, confirm);
        let (from, to) = (account(&world, 1), account(&world, 0));
        payment.transfers = vec![Transfer { from, to, amount: STAKE }, Transfer { from, to, amount: UNIT }];
        let notices = world.command(0, Command::Pay(payment)).unwrap();
        assert!(told(&notices, |notice| *notice == Notice::MpcFailed(mpc, Reason::Declined)) >= 2, "{notices:?}");
        assert_eq!(holdings(&world), before);
        let payment = game(&world, mpc, 0, UNIT, Scope::Touched, confirm);
        let notices = world.command(0, Command::Pay(payment)).unwrap();
        assert_eq!(told(&notices, |notice| matches!(notice, Notice::MpcUpdated(_))), 3, "{notices:?}");
    }
}

#[test]
fn an_update_that_a_member_left_unsigned_is_replaced_as_a_whole() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let before = holdings(&world);
    world.set_absent(2, true).unwrap();
    let payment = game(&world, mpc, 0, UNIT, Scope::All, false);
    assert_eq!(world.command(0, Command::Pay(payment)).unwrap(), []);
    let notices = world.time_out(mpc).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::MpcFailed(..))), 2);
    assert_eq!(holdings(&world), before, "nobody counts what is not complete");
    // A payment of two members touches one channel, but must cover all that is in flight: the third is asked too.
    world.set_absent(2, false).unwrap();
    let (from, to) = (account(&world, 0), account(&world, 1));
    let mut payment = game(&world, mpc, 1, UNIT, Scope::Touched, false);
    payment.transfers = vec![Transfer { from, to, amount: 7 * UNIT }];
    let notices = world.command(0, Command::Pay(payment)).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::MpcUpdated(_))), 3, "{notices:?}");
    assert_eq!(holdings(&world), [before[0] - 7 * UNIT, before[1] + 7 * UNIT, before[2]]);
}

#[test]
fn a_party_that_restarts_goes_on_from_what_it_saved() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    for winner in [0, 1, 1, 2] {
        let payment = game(&world, mpc, winner, UNIT, Scope::Touched, true);
        let notices = world.command(winner, Command::Pay(payment)).unwrap();
        assert_eq!(told(&notices, |notice| matches!(notice, Notice::MpcUpdated(_))), 3);
        for user in 0..3 {
            let before = world.party(user).unwrap().clone();
            world.restart(user).unwrap();
            assert_eq!(*world.party(user).unwrap(), before);
        }
    }
    let total = 2 * STAKE;
    assert_eq!(holdings(&world), [total - UNIT, total + 2 * UNIT, total - UNIT]);
}

#[test]
fn a_group_is_not_formed_when_a_member_is_elsewhere() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let tpc = *world.party(1).unwrap().channels().keys().next().unwrap();
    let mut channels = latest(&world);
    let payer = if world.party(1).unwrap().channels().contains_key(&tpc) { 1 } else { 2 };
    world.command(payer, Command::PayTpc { tpc, amount: UNIT }).unwrap();
    let newer = world.party(payer).unwrap().channels()[&tpc].latest;
    let owner = (0..3).find(|user| !world.party(*user).unwrap().channels().contains_key(&tpc)).unwrap();
    let valid_until = later(&mut world);
    let notices = world.command(owner, Command::CreateMpc { channels: channels.clone(), valid_until }).unwrap();
    let outdated =
        |notice: &Notice| matches!(notice, Notice::MpcFailed(_, Reason::Outdated(entries)) if entries == &[newer]);
    assert_eq!(told(&notices, outdated), 3, "{notices:?}");
    // What some have signed already stays in flight until it is void.
    world.chain.advance(2_000_000);
    world.call(0, UNIT, &Deposit {}).unwrap();
    channels = latest(&world);
    let valid_until = later(&mut world);
    assert_eq!(world.command(owner, Command::CreateMpc { channels, valid_until }).unwrap(), []);
    assert_eq!(world.party(0).unwrap().groups().count(), 1);
}
