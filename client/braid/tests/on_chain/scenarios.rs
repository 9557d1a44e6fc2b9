//! What users do with each other, through the engine, on the real contract.

use crate::neighbours::*;
use chain::contract::Event;
use devchain::UNIT;
use engine::{message::Reason, Command, Native, Notice, Over, Refusal, Scope};
use protocol::{
    abi::{Deposit, GetMpc, LedgerBalance, Withdraw},
    Asset, Error, TpcId,
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
        let mut world = world(n);
        assert_eq!(measured(&mut world, |world| open(world, 0, 1)), (2, 2), "a channel is created");
        let tpc = between(&world, 0, 1);
        let paid = measured(&mut world, |world| pay_alone(world, tpc, 0, 1, UNIT));
        assert_eq!(paid, (2, 2), "a channel is updated off chain");
        for a in 0..n {
            for b in (a + 1)..n {
                if (a, b) != (0, 1) {
                    open(&mut world, a, b);
                }
            }
        }
        world.take_calls();
        assert_eq!(measured(&mut world, form), (3 * users - 1, users), "a group of {n} is created");
        let mpc = *world.engine(0).unwrap().memberships().next().unwrap().0;
        trust(&mut world, mpc);
        for (scope, confirm, expected) in [
            (Scope::Touched, false, 3 * users + 1),
            (Scope::Touched, true, 5 * users + 1),
            (Scope::All, false, 3 * users + 1),
            (Scope::All, true, 5 * users + 1),
        ] {
            let payment = game(&world, mpc, 1, UNIT, scope, confirm);
            let counts = measured(&mut world, |world| assert_eq!(settled(&act(world, 1, payment)), n));
            assert_eq!(counts, (expected, users), "{n} users, {scope:?}, confirmation {confirm}");
        }
        // Two members of a group still pay each other with two signatures.
        for (confirm, expected) in [(true, 5 * 2 + 1), (false, 3 * 2 + 1)] {
            let over = Over::Group { mpc, scope: Scope::Touched, confirm };
            let payment = Command::Pay { transfers: vec![transfer(&world, 0, 2, UNIT)], over };
            let two = measured(&mut world, |world| assert_eq!(settled(&act(world, 0, payment)), 2));
            assert_eq!(two, (expected, 2), "two of {n}, confirmation {confirm}");
        }
        let channels = world.all_channels().into_keys().collect();
        let on_chain = measured(&mut world, |world| {
            for user in 0..n {
                let own = world.channels(user).unwrap();
                act(world, user, Command::Checkpoint(own));
            }
        });
        assert_eq!(on_chain, (0, 0), "an on-chain update of {n}");
        for tpc in world.all_channels().into_keys().collect::<Vec<_>>() {
            let owner = (0..n).find(|user| world.channels(*user).unwrap().contains(&tpc)).unwrap();
            let newest = channel(&world, owner, tpc).latest;
            let on_chain = stored(&mut world, tpc).unwrap();
            assert_eq!((on_chain.version, on_chain.balances), (newest.version, newest.balances));
        }
        // Nothing is left to put on chain.
        let made = calls(&mut world);
        assert_eq!(made, ["create_mpc", "update_all"], "two updates in one call");
        let refusal = refused(&mut world, 0, Command::Checkpoint(channels));
        assert!(matches!(refusal, Refusal::UnknownChannel(_)), "others' channels are theirs: {refusal}");
        let closed = measured(&mut world, |world| close_group(world, 0, mpc));
        assert_eq!(closed, (3 * users - 1, users), "a group of {n} is closed");
        assert_eq!(world.query(&GetMpc { id: mpc }), Ok(None));
        assert_eq!(measured(&mut world, |world| close(world, 0, tpc)), (2, 2), "a channel is closed");
        assert_eq!(calls(&mut world), ["close_mpc", "close_tpc"]);
    }
}

#[test]
fn a_closed_channel_pays_out_its_last_state_and_leaves_nothing_but_the_nonce() {
    let mut world = world(2);
    let contract = *world.contract.account.as_ref();
    let empty = world.chain.lock().storage_usage(contract).unwrap();
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, 30 * UNIT);
    pay_alone(&mut world, tpc, 1, 0, 10 * UNIT);
    act(&mut world, 0, Command::Checkpoint(vec![tpc]));
    let held = channel(&world, 0, tpc).latest;
    let on_chain = stored(&mut world, tpc).unwrap();
    assert_eq!((on_chain.balances, on_chain.version), ([80 * UNIT, 120 * UNIT], held.version));
    let before: Vec<_> = (0..2).map(|user| free(&mut world, user)).collect();
    world.take_calls();
    close(&mut world, 1, tpc);
    let receipt = world.take_calls().remove(0).receipt;
    assert_eq!(free(&mut world, 0), before[0] + 80 * UNIT);
    let refund = receipt.storage_deposit.unsigned_abs();
    assert_eq!(free(&mut world, 1), before[1] + 120 * UNIT - receipt.fee + refund);
    let left = world.chain.lock().storage_usage(contract).unwrap();
    assert_eq!(left.items, empty.items + 1, "the pair's nonce");
    assert!(stored(&mut world, tpc).is_none());
    assert!(matches!(world.contract.event(&receipt.events[0]), Some(Event::TpcClosed(_))));
    for user in 0..2 {
        let ledger = LedgerBalance { account: account(&world, user), asset: Asset::Native };
        assert_eq!(world.query(&ledger), Ok(STAKE));
        assert_eq!(world.engine(user).unwrap().channels().count(), 0);
    }
}

#[test]
fn a_channel_is_opened_with_two_transactions() {
    let mut world = world(2);
    for user in 0..2 {
        world.call(user, 0, &Withdraw { amount: 2 * STAKE }).unwrap();
    }
    world.take_calls();
    world.call(1, STAKE, &Deposit {}).unwrap();
    let (peer, valid_until) = (account(&world, 1), later(&mut world));
    let (nonce, asset, own, theirs, value, window) = (0, Asset::Native, STAKE, STAKE, STAKE, WINDOW);
    let before = free(&mut world, 0);
    act(&mut world, 0, Command::Open { peer, nonce, asset, own, theirs, value, window, valid_until });
    let calls = world.take_calls();
    assert_eq!(calls.iter().map(|call| call.message).collect::<Vec<_>>(), ["deposit", "create_tpc"]);
    let paid = STAKE + calls[1].receipt.fee + calls[1].receipt.storage_deposit.unsigned_abs();
    assert_eq!(free(&mut world, 0), before - paid);
    assert_eq!(holdings(&world), [STAKE, STAKE]);
}

#[test]
fn of_two_creations_with_one_nonce_one_comes_to_be_and_the_other_expires() {
    let mut world = world(2);
    let valid_until = later(&mut world);
    let (nonce, asset, value, window) = (0, Asset::Native, 0, WINDOW);
    let peers = [account(&world, 1), account(&world, 0)];
    let open = |user: usize, own, theirs| Command::Open {
        peer: peers[user],
        nonce,
        asset,
        own,
        theirs,
        value,
        window,
        valid_until,
    };
    world.start(0, open(0, 7 * UNIT, 8 * UNIT)).unwrap();
    world.start(1, open(1, 2 * UNIT, UNIT)).unwrap();
    world.run().unwrap();
    let opened = world.channels(0).unwrap();
    assert_eq!(opened.len(), 1);
    assert_eq!(world.channels(1).unwrap(), opened);
    let before = holdings(&world);
    assert!(before == [7 * UNIT, 8 * UNIT] || before == [UNIT, 2 * UNIT], "{before:?}");
    wait(&mut world, valid_until);
    world.pass(60_000).unwrap();
    assert_eq!(calls(&mut world), ["deposit", "deposit", "create_tpc"]);
    pay_alone(&mut world, opened[0], 0, 1, UNIT);
    assert_eq!(
        open_with(&mut world, 0, 1, 1),
        world.channels(1).unwrap().into_iter().find(|id| *id != opened[0]).unwrap()
    );
}

#[test]
fn a_channel_in_a_group_is_busy_until_the_group_is_closed() {
    let mut world = world(3);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let (tpc, valid_until) = (between(&world, 0, 1), later(&mut world));
    for command in [
        Command::Close { tpc, valid_until },
        Command::TopUp { tpc, own: UNIT, theirs: 0, valid_until },
        Command::Withdraw { tpc, own: UNIT, theirs: 0, valid_until },
        Command::Split { channels: vec![tpc], parts: vec![(STAKE, STAKE)], valid_until },
    ] {
        assert_eq!(refused(&mut world, 0, command), Refusal::Reason(Error::TpcBusy(tpc).into()));
    }
    assert_eq!(stored(&mut world, tpc).unwrap().mpc, Some(mpc));
    // A payment over it is the group's: its coordinator leads.
    let payment = lone(&world, tpc, 0, 1, UNIT);
    let counts = measured(&mut world, |world| assert_eq!(settled(&act(world, 0, payment)), 2));
    assert_eq!(counts, (3 * 2 + 1, 2));
    close_group(&mut world, 2, mpc);
    assert_eq!(stored(&mut world, tpc).unwrap().mpc, None);
    let paid = measured(&mut world, |world| pay_alone(world, tpc, 0, 1, UNIT));
    assert_eq!(paid, (2, 2));
    assert_eq!(holdings(&world), [2 * STAKE - 2 * UNIT, 2 * STAKE + 2 * UNIT, 2 * STAKE]);
}

#[test]
fn a_group_is_not_formed_over_a_channel_of_another_group() {
    let mut world = world(3);
    open_all(&mut world);
    let tpc = between(&world, 0, 1);
    let all: Vec<_> = world.all_channels().into_values().collect();
    let one: Vec<_> = all.iter().filter(|(owners, _)| owners.tpc(&Native) == tpc).copied().collect();
    let valid_until = later(&mut world);
    form_of(&mut world, 1, one, valid_until);
    let coordinator = account(&world, 3);
    let create = Command::CreateMpc { channels: all.clone(), coordinator, registered: true, valid_until };
    // Whoever is in the other group knows; whoever is not hears it from the coordinator.
    let refusal = refused(&mut world, 0, create.clone());
    assert!(matches!(refusal, Refusal::Reason(_)), "{refusal}");
    let notices = command(&mut world, 2, create);
    let failed = |notice: &Notice| matches!(notice, Notice::MpcCreateFailed(_, Reason::NotOnChain(id)) if *id == tpc);
    assert_eq!(told(&notices, failed), 1, "{notices:?}");
    assert_eq!(world.engine(2).unwrap().memberships().count(), 0);
}

#[test]
fn a_user_that_restarts_goes_on_from_what_it_stored() {
    let mut world = world(3);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let looks = |world: &World, user: usize| {
        let engine = world.engine(user).unwrap();
        let channels: Vec<_> = engine.channels().map(|(tpc, channel)| (*tpc, channel.clone())).collect();
        let memberships: Vec<_> = engine.memberships().map(|(mpc, member)| (*mpc, member.clone())).collect();
        let held: Vec<_> = engine.held().map(|(id, held)| (*id, held.clone())).collect();
        (channels, memberships, held, engine.policy(), engine.cursor(), engine.signatures())
    };
    for winner in [0, 1, 1, 2] {
        let payment = game(&world, mpc, winner, UNIT, Scope::Touched, true);
        assert_eq!(settled(&act(&mut world, winner, payment)), 3);
        for user in 0..3 {
            let before = looks(&world, user);
            world.restart(user).unwrap();
            assert_eq!(looks(&world, user), before);
        }
        let led = world.engine(3).unwrap().led().map(|(mpc, led)| (*mpc, led.clone())).collect::<Vec<_>>();
        world.restart(3).unwrap();
        assert_eq!(world.engine(3).unwrap().led().map(|(mpc, led)| (*mpc, led.clone())).collect::<Vec<_>>(), led);
    }
    let total = 2 * STAKE;
    assert_eq!(holdings(&world), [total - UNIT, total + 2 * UNIT, total - UNIT]);
    close_group(&mut world, 1, mpc);
    for tpc in world.all_channels().into_keys().collect::<Vec<_>>() {
        let owner = (0..3).find(|user| world.channels(*user).unwrap().contains(&tpc)).unwrap();
        world.restart(owner).unwrap();
        close(&mut world, owner, tpc);
    }
}

#[test]
fn a_user_that_restarts_between_signing_and_calling_makes_the_call() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    let valid_until = later(&mut world);
    // The process dies with its peer's answer on its way.
    world.start(0, Command::Close { tpc, valid_until }).unwrap();
    world.restart(0).unwrap();
    assert_eq!(stored(&mut world, tpc), None);
    assert!((0..2).all(|user| world.channels(user).unwrap().is_empty()));
}

#[test]
fn a_channel_joins_and_leaves_a_running_group_and_the_rest_carries_on() {
    let mut world = world(4);
    let pairs = [(0, 1), (1, 2), (0, 2)].map(|(a, b)| open(&mut world, a, b));
    let mpc = braid(&mut world);
    let tpc = open(&mut world, 2, 3);
    let valid_until = later(&mut world);
    // Nobody joins uninvited: it takes a member, and a channel of one of the two that is in the group.
    let uninvited = Command::Join { mpc, host: pairs[0], tpc, valid_until };
    assert_eq!(refused(&mut world, 3, uninvited.clone()), Refusal::UnknownGroup(mpc));
    act(&mut world, 2, uninvited);
    assert_eq!(world.query(&GetMpc { id: mpc }).unwrap().unwrap().channels, 3, "the host is not theirs");
    wait(&mut world, valid_until);
    let (host, valid_until) = (pairs[1], later(&mut world));
    act(&mut world, 2, Command::Join { mpc, host, tpc, valid_until });
    assert_eq!(world.query(&GetMpc { id: mpc }).unwrap().unwrap().channels, 4);
    trust(&mut world, mpc);
    // The newcomer is paid through the group.
    let before = holdings(&world);
    pay(&mut world, mpc, 0, 3, 7 * UNIT);
    assert_eq!(holdings(&world)[3], before[3] + 7 * UNIT);
    let valid_until = later(&mut world);
    act(&mut world, 2, Command::Leave { tpc, valid_until });
    assert_eq!(channel(&world, 3, tpc).on_chain.mpc, None);
    pay_alone(&mut world, tpc, 3, 2, UNIT);
    pay(&mut world, mpc, 1, 0, 2 * UNIT);
    let left = stored(&mut world, tpc).unwrap();
    assert_eq!((left.mpc, left.registrations, left.balances.iter().sum::<u128>()), (None, 2, 2 * STAKE));
    // What was signed while the channel was in the group still counts when it is gone.
    close(&mut world, 3, tpc);
    let expected = holdings(&world);
    for user in 0..3 {
        let own = world.channels(user).unwrap();
        act(&mut world, user, Command::Checkpoint(own));
    }
    assert_eq!(holdings(&world), expected);
    for tpc in pairs {
        let newest = channel(&world, if tpc == pairs[1] { 1 } else { 0 }, tpc).latest;
        let on_chain = stored(&mut world, tpc).unwrap();
        assert_eq!((on_chain.version, on_chain.balances), (newest.version, newest.balances));
    }
    assert!((0..3).all(|user| world.engine(user).unwrap().evidence().updates.is_empty()), "the contract has it all");
}

#[test]
fn a_channel_is_topped_up_and_partly_withdrawn_without_closing() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, 30 * UNIT);
    let valid_until = later(&mut world);
    act(&mut world, 1, Command::TopUp { tpc, own: 0, theirs: 50 * UNIT, valid_until });
    assert_eq!(holdings(&world), [120 * UNIT, 130 * UNIT]);
    pay_alone(&mut world, tpc, 0, 1, 110 * UNIT);
    let before = free(&mut world, 1);
    act(&mut world, 0, Command::Withdraw { tpc, own: 5 * UNIT, theirs: 200 * UNIT, valid_until });
    assert_eq!(holdings(&world), [5 * UNIT, 40 * UNIT]);
    assert_eq!(free(&mut world, 1), before + 200 * UNIT);
    pay_alone(&mut world, tpc, 1, 0, UNIT);
    close(&mut world, 1, tpc);
    assert!(stored(&mut world, tpc).is_none());
    // Nobody pays in what its application does not let go.
    world.call(0, STAKE, &Deposit {}).unwrap();
    let tpc = open_with(&mut world, 0, 1, 1);
    world.set_accepts(1, false).unwrap();
    let top_up = Command::TopUp { tpc, own: 0, theirs: UNIT, valid_until };
    let notices = command(&mut world, 0, top_up);
    let Some((1, Notice::Requested { request, .. })) = notices.iter().find(|(user, _)| *user == 1) else {
        panic!("{notices:?}")
    };
    let notices = command(&mut world, 1, Command::Answer { request: *request, accept: false });
    let declined = |notice: &Notice| matches!(notice, Notice::AgreementRejected(_, Reason::Declined));
    assert_eq!(told(&notices, declined), 1, "{notices:?}");
    assert_eq!(holdings(&world), [STAKE, STAKE]);
}

/// Splits a channel of two equal halves into two.
fn split(world: &mut World, tpc: TpcId) -> [TpcId; 2] {
    let (half, valid_until) = (STAKE / 2, later(world));
    let known = world.channels(0).unwrap();
    act(world, 0, Command::Split { channels: vec![tpc], parts: vec![(half, half), (half, half)], valid_until });
    [tpc, world.channels(0).unwrap().into_iter().find(|part| !known.contains(part)).unwrap()]
}

#[test]
fn a_channel_is_split_and_merged_on_chain() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    pay_alone(&mut world, tpc, 1, 0, UNIT);
    world.take_calls();
    let [first, second] = split(&mut world, tpc);
    assert_eq!(calls(&mut world), ["split_tpc"]);
    assert_eq!(stored(&mut world, first).unwrap().order(), (1, 0));
    assert_eq!(stored(&mut world, second).unwrap().order(), (0, 0));
    assert_eq!(world.channels(0).unwrap(), world.channels(1).unwrap());
    let owners = channel(&world, 1, second).owners;
    assert_eq!((owners.tpc(&Native), stored(&mut world, second).unwrap().owners), (second, owners));
    // Two payments at once do not wait for each other.
    let payments = [lone(&world, first, 0, 1, 3 * UNIT), lone(&world, second, 1, 0, 5 * UNIT)];
    for (user, payment) in payments.into_iter().enumerate() {
        world.start(user, payment).unwrap();
    }
    world.take_notices();
    world.run().unwrap();
    assert_eq!(settled(&world.take_notices()), 4);
    assert_eq!(holdings(&world), [102 * UNIT, 98 * UNIT]);
    // A merge moves nothing from one to the other.
    let (channels, valid_until) = (vec![second, first], later(&mut world));
    let unfair = Command::Split { channels: channels.clone(), parts: vec![(99 * UNIT, 101 * UNIT)], valid_until };
    assert_eq!(refused(&mut world, 1, unfair), Refusal::Reason(Reason::WrongPosition));
    act(&mut world, 1, Command::Split { channels, parts: vec![(98 * UNIT, 102 * UNIT)], valid_until });
    assert_eq!(world.channels(0).unwrap(), [second]);
    assert_eq!(calls(&mut world), ["split_tpc"]);
    assert!(stored(&mut world, first).is_none());
    pay_alone(&mut world, second, 1, 0, UNIT);
    let before = free(&mut world, 0);
    close(&mut world, 1, second);
    assert_eq!(calls(&mut world), ["close_tpc"]);
    assert_eq!(free(&mut world, 0), before + 103 * UNIT);
}

#[test]
fn a_part_is_busy_in_a_group_while_another_is_paid_on() {
    let mut world = world(3);
    open_all(&mut world);
    let tpc = between(&world, 0, 1);
    let [first, second] = split(&mut world, tpc);
    let all = world.all_channels();
    let channels = all.into_iter().filter(|(tpc, _)| *tpc != first).map(|(_, channel)| channel).collect();
    let valid_until = later(&mut world);
    let mpc = form_of(&mut world, 0, channels, valid_until);
    trust(&mut world, mpc);
    pay(&mut world, mpc, 0, 1, 5 * UNIT);
    pay_alone(&mut world, first, 1, 0, 2 * UNIT);
    assert_eq!(holdings(&world)[..2], [197 * UNIT, 203 * UNIT]);
    let parts = [first, second].map(|part| held(&world, 0, part));
    let merged = (parts[0] + parts[1], 2 * STAKE - parts[0] - parts[1]);
    let merge = || Command::Split { channels: vec![first, second], parts: vec![merged], valid_until };
    assert_eq!(refused(&mut world, 0, merge()), Refusal::Reason(Error::TpcBusy(second).into()), "a part is busy");
    close_group(&mut world, 0, mpc);
    world.take_calls();
    act(&mut world, 0, merge());
    close(&mut world, 0, first);
    assert_eq!(calls(&mut world), ["split_tpc", "close_tpc"]);
    assert!(stored(&mut world, second).is_none());
}

#[test]
fn two_agreements_at_once_wait_for_each_other_and_the_channel_is_free_when_they_have_expired() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    let (half, valid_until) = (STAKE / 2, later(&mut world));
    let split = Command::Split { channels: vec![tpc], parts: vec![(half, half), (half, half)], valid_until };
    world.start(0, split).unwrap();
    world.start(1, Command::Close { tpc, valid_until }).unwrap();
    world.run().unwrap();
    world.pass(60_000).unwrap();
    assert_eq!(stored(&mut world, tpc).unwrap().order(), (0, 0), "the other may still bring what it holds");
    assert_eq!(world.channels(0).unwrap(), [tpc]);
    // A payment waits until nobody can end the epoch under it.
    world.take_notices();
    let payment = lone(&world, tpc, 0, 1, UNIT);
    assert_eq!(settled(&command(&mut world, 0, payment)), 0);
    let notices = wait(&mut world, valid_until);
    assert_eq!(settled(&notices), 2, "{notices:?}");
    assert_eq!(holdings(&world), [STAKE - UNIT, STAKE + UNIT]);
    close(&mut world, 0, tpc);
    assert!(stored(&mut world, tpc).is_none());
}
