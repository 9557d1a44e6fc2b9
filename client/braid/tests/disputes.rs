//! What a single honest user can do when others do not: everybody's funds come back, at the latest state that all signed.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod common;

use braid::{
    engine::{
        message::{Message, Payment, Reason, Scope},
        party::{Command, Input, Party},
        step::{Effect, MemoryStore, Notice, Peer},
    },
    watch::Watch,
    watcher::{Evidence, Why},
};
use chain::{
    block_on,
    contract::Event,
    keys::{Keys, Native},
};
use common::*;
use devchain::UNIT;
use planning::Transfer;
use protocol::{
    abi::{Deposit, DisputeChannels, GetDomain, GetEnded, GetMpc, GetTpc, SettleChannels, UpdateChannels},
    Action, Entry, Error, MpcId, Origin, PartySignature, Resolution, SignedUpdate, TpcClose, TpcId, Update,
};
use std::collections::BTreeMap;

fn quiet(world: &mut World, user: usize, command: Command) {
    let notices = world.command(user, command).unwrap();
    let bad = notices
        .iter()
        .find(|(_, notice)| matches!(notice, Notice::TpcRejected(..) | Notice::MpcFailed(..) | Notice::Ignored(_)));
    assert_eq!(bad, None);
}

fn ignored(world: &mut World, user: usize, command: Command) -> bool {
    let notices = world.command(user, command).unwrap();
    told(&notices, |notice| matches!(notice, Notice::Ignored(_))) == 1
}

fn pay(world: &mut World, mpc: MpcId, from: usize, to: usize, amount: u128) {
    let transfers = vec![Transfer { from: account(world, from), to: account(world, to), amount }];
    quiet(world, from, Command::Pay(Payment { mpc, transfers, scope: Scope::Touched, confirm: false }));
}

fn dispute(world: &mut World, user: usize, channels: &[TpcId], then: Resolution) {
    quiet(world, user, Command::Dispute { channels: channels.to_vec(), then });
}

/// The channel of two users, the first of whom is lower.
fn between(world: &World, a: usize, b: usize) -> TpcId {
    let pair = [account(world, a), account(world, b)];
    let channels = world.party(a).unwrap().channels();
    let is_it = |origin| matches!(origin, Origin::Creation(_));
    *channels.iter().find(|(_, channel)| channel.owners.parties == pair && is_it(channel.owners.origin)).unwrap().0
}

fn own(world: &World, user: usize) -> Vec<TpcId> {
    world.party(user).unwrap().channels().keys().copied().collect()
}

fn calls(world: &mut World) -> Vec<&'static str> {
    world.take_calls().iter().map(|call| call.message).collect()
}

fn stored(world: &mut World, id: TpcId) -> Option<protocol::Tpc> {
    world.query(&GetTpc { id }).unwrap()
}

fn deadline(world: &mut World, id: TpcId) -> u64 {
    stored(world, id).unwrap().dispute.unwrap().deadline
}

fn wait(world: &mut World, time: u64) -> Vec<(Peer, Notice)> {
    world.wait_until(&Keys::from_suri("//Eve").unwrap(), time).unwrap()
}

fn vanish(world: &mut World, user: usize) {
    world.set_absent(user, true).unwrap();
    world.set_watched(user, false).unwrap();
}

/// What a user holds complete and the contract has not: one update.
fn newest(world: &World, user: usize) -> SignedUpdate {
    let updates = world.party(user).unwrap().evidence().updates;
    assert_eq!(updates.len(), 1);
    updates.into_iter().next().unwrap()
}

fn publish(world: &mut World, user: usize, signed: SignedUpdate) {
    let SignedUpdate { update, owners, signatures } = signed;
    world.call(user, 0, &UpdateChannels { update, owners, signatures }).unwrap();
}

/// An update of all channels of a world, in ascending order, that everybody has signed.
fn signed_by_all(world: &mut World, entries: Vec<Entry>) -> SignedUpdate {
    let domain = world.query(&GetDomain {}).unwrap();
    let owners = latest(world).into_iter().map(|(owners, _)| owners).collect();
    let update = Update { entries };
    let payload = Action::Update(&update).payload(&Native, &domain);
    let sign = |keys: Keys| PartySignature { party: keys.account(), signature: keys.sign(&payload) };
    let signatures = users(world.len()).into_iter().map(sign).collect();
    SignedUpdate { update, owners, signatures }
}

fn users(n: usize) -> Vec<Keys> {
    let mut users: Vec<_> = (0..n).map(|user| Keys::from_suri(&format!("//user{user}")).unwrap()).collect();
    users.sort_by_key(Keys::account);
    users
}

#[test]
fn a_partner_that_vanishes_costs_no_more_than_a_window() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 30 * UNIT });
    vanish(&mut world, 1);
    let before: Vec<_> = (0..2).map(|user| free(&mut world, user)).collect();
    world.take_calls();
    dispute(&mut world, 0, &[tpc], Resolution::Settle);
    let deadline = deadline(&mut world, tpc);
    assert_eq!(world.party(0).unwrap().channels()[&tpc].on_chain.dispute.unwrap().deadline, deadline);
    assert_eq!(calls(&mut world), ["update", "dispute"]);
    assert!(ignored(&mut world, 0, Command::PayTpc { tpc, amount: UNIT }), "a disputed channel is not paid on");
    wait(&mut world, deadline);
    assert_eq!(calls(&mut world), ["settle"], "its owner settles at once");
    assert_eq!(free(&mut world, 1), before[1] + 130 * UNIT);
    assert!(free(&mut world, 0) > before[0] + 69 * UNIT);
    assert!(world.party(0).unwrap().channels().is_empty());
}

#[test]
fn a_member_that_vanishes_costs_the_others_one_window_and_no_group() {
    let mut world = world(4, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    pay(&mut world, mpc, 0, 3, 10 * UNIT);
    pay(&mut world, mpc, 3, 1, 4 * UNIT);
    vanish(&mut world, 3);
    let exits: Vec<_> = (0..3).map(|user| between(&world, user, 3)).collect();
    let before: Vec<_> = (0..3).map(|user| free(&mut world, user)).collect();
    let held: Vec<_> =
        (0..3).map(|user| world.party(user).unwrap().channels()[&exits[user]].own(account(&world, user))).collect();
    world.take_calls();
    for (user, exit) in exits.iter().enumerate() {
        dispute(&mut world, user, &[*exit], Resolution::Settle);
    }
    let deadline = deadline(&mut world, exits[2]);
    // In between the others pay each other, and do not touch what is disputed.
    pay(&mut world, mpc, 1, 0, UNIT);
    wait(&mut world, deadline);
    for (user, exit) in exits.iter().enumerate() {
        assert!(free(&mut world, user) > before[user] + held[user] - UNIT, "user {user}");
        assert!(stored(&mut world, *exit).is_none());
    }
    let group = world.query(&GetMpc { id: mpc }).unwrap().unwrap();
    assert_eq!(group.channels, 3);
    pay(&mut world, mpc, 2, 0, UNIT);
    let valid_until = later(&mut world);
    quiet(&mut world, 1, Command::CloseMpc { mpc, valid_until });
    assert_eq!(world.query(&GetMpc { id: mpc }), Ok(None));
}

#[test]
fn an_old_state_is_answered_while_its_victim_sleeps() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let old = newest(&world, 0);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 50 * UNIT });
    let before = free(&mut world, 1);
    world.set_absent(1, true).unwrap();
    world.set_watched(0, false).unwrap();
    world.take_calls();
    publish(&mut world, 0, old);
    world.call(0, 0, &DisputeChannels { channels: vec![tpc], then: Resolution::Settle }).unwrap();
    let deadline = deadline(&mut world, tpc);
    assert_eq!(calls(&mut world), ["update", "dispute", "update"]);
    wait(&mut world, deadline);
    assert_eq!(calls(&mut world), ["settle"]);
    let fees = 2 * UNIT;
    assert!(free(&mut world, 1) > before + 151 * UNIT - fees, "the newest state was paid out");
}

#[test]
fn an_old_state_of_a_group_is_answered_while_its_victim_sleeps() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    pay(&mut world, mpc, 0, 1, UNIT);
    let old = newest(&world, 0);
    pay(&mut world, mpc, 0, 1, 40 * UNIT);
    let tpc = between(&world, 0, 1);
    let newest = world.party(1).unwrap().channels()[&tpc].latest;
    world.set_absent(1, true).unwrap();
    publish(&mut world, 0, old);
    world.call(0, 0, &DisputeChannels { channels: vec![tpc], then: Resolution::Settle }).unwrap();
    let deadline = deadline(&mut world, tpc);
    let answered = stored(&mut world, tpc).unwrap();
    assert_eq!((answered.version, answered.balances), (newest.version, newest.balances));
    wait(&mut world, deadline);
    assert!(stored(&mut world, tpc).is_none(), "it is settled");
    assert_eq!(world.query(&GetEnded { id: tpc, epoch: 0 }), Ok(Some(newest.version)));
}

#[test]
fn a_dispute_over_a_foreign_channel_of_an_update_is_answered() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    // One update over all channels; its other owners let the foreign one end below it, so that it would be void.
    let payment = game(&world, mpc, 0, UNIT, Scope::All, true);
    quiet(&mut world, 0, Command::Pay(payment));
    let expected = holdings(&world);
    let foreign = between(&world, 1, 2);
    for user in [1, 2] {
        world.set_watched(user, false).unwrap();
    }
    world.take_calls();
    world.call(1, 0, &DisputeChannels { channels: vec![foreign], then: Resolution::Settle }).unwrap();
    assert_eq!(calls(&mut world), ["dispute", "update"]);
    for tpc in own(&world, 0) {
        let held = world.party(0).unwrap().channels()[&tpc].latest;
        let stored = stored(&mut world, tpc).unwrap();
        assert_eq!((stored.version, stored.balances), (held.version, held.balances));
    }
    let deadline = deadline(&mut world, foreign);
    wait(&mut world, deadline);
    assert_eq!(holdings(&world)[0], expected[0]);
}

#[test]
fn a_watcher_needs_nothing_but_the_signed_states() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let tpc = between(&world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let old = newest(&world, 0);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 50 * UNIT });
    let bytes = world.party(1).unwrap().evidence().to_bytes();
    let evidence = Evidence::from_bytes(&bytes).unwrap();
    assert!(Evidence::from_bytes(&bytes[1..]).is_err());
    (0..3).for_each(|user| vanish(&mut world, user));
    // A stranger with a little for fees.
    let keys = Keys::from_suri("//Ferdie").unwrap();
    let mut watch = block_on(Watch::start(world.contract.clone(), &mut world.chain, &evidence)).unwrap();
    assert!(block_on(watch.look(&mut world.chain, &keys, &evidence)).unwrap().is_empty());
    publish(&mut world, 0, old);
    world.call(0, 0, &DisputeChannels { channels: vec![tpc], then: Resolution::Settle }).unwrap();
    let deadline = deadline(&mut world, tpc);
    let attempts = block_on(watch.look(&mut world.chain, &keys, &evidence)).unwrap();
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.message, attempt.why)).collect();
    assert_eq!(told, [("update", Why::Answer)]);
    assert!(attempts[0].outcome.is_ok());
    assert_eq!(watch.next_deadline(&evidence, &keys), Some(deadline + WINDOW), "strangers wait for one window more");
    assert_eq!(watch.next_deadline(&evidence, &users(3)[1]), Some(deadline));
    assert!(block_on(watch.look(&mut world.chain, &keys, &evidence)).unwrap().is_empty(), "once is enough");
    wait(&mut world, deadline);
    assert!(block_on(watch.look(&mut world.chain, &keys, &evidence)).unwrap().is_empty(), "the owners come first");
    wait(&mut world, deadline + WINDOW);
    let attempts = block_on(watch.look(&mut world.chain, &keys, &evidence)).unwrap();
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.message, attempt.why)).collect();
    assert_eq!(told, [("settle", Why::Settle)]);
    assert!(attempts[0].outcome.is_ok());
    assert_eq!(watch.next_deadline(&evidence, &keys), None);
}

#[test]
fn a_watcher_that_starts_in_a_dispute_finds_it_and_answers() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let evidence = world.party(1).unwrap().evidence();
    (0..2).for_each(|user| vanish(&mut world, user));
    world.call(0, 0, &DisputeChannels { channels: vec![tpc], then: Resolution::Renew }).unwrap();
    let keys = Keys::from_suri("//Ferdie").unwrap();
    let mut watch = block_on(Watch::start(world.contract.clone(), &mut world.chain, &evidence)).unwrap();
    let attempts = block_on(watch.look(&mut world.chain, &keys, &evidence)).unwrap();
    assert!(attempts.len() == 1 && attempts[0].outcome.is_ok(), "{attempts:?}");
    assert_eq!(stored(&mut world, tpc).unwrap().version, evidence.updates[0].update.entries[0].version);
}

#[test]
fn a_watcher_that_comes_second_reports_the_refusal() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let evidence = world.party(1).unwrap().evidence();
    let mut watch = block_on(Watch::start(world.contract.clone(), &mut world.chain, &evidence)).unwrap();
    dispute(&mut world, 0, &[tpc], Resolution::Settle);
    watch.bring(tpc);
    let attempts = block_on(watch.look(&mut world.chain, &Keys::from_suri("//Ferdie").unwrap(), &evidence)).unwrap();
    assert!(matches!(attempts[0].outcome, Err(Error::NothingNewer)), "{attempts:?}");
}

#[test]
fn a_channel_joins_and_leaves_a_running_group_and_the_rest_carries_on() {
    let mut world = world(4, STAKE);
    let pairs = [(0, 1), (1, 2), (0, 2)].map(|(a, b)| open(&mut world, a, b));
    let mpc = braid(&mut world);
    let tpc = open(&mut world, 2, 3);
    let valid_until = later(&mut world);
    // Nobody joins uninvited: the host channel must be one of theirs.
    let host = pairs[0];
    assert!(world.command(3, Command::JoinMpc { mpc, host, tpc, valid_until }).is_err());
    world.chain.advance(2_000_000);
    world.call(0, UNIT, &Deposit {}).unwrap();
    let (host, valid_until) = (pairs[1], later(&mut world));
    quiet(&mut world, 3, Command::JoinMpc { mpc, host, tpc, valid_until });
    assert_eq!(world.query(&GetMpc { id: mpc }).unwrap().unwrap().channels, 4);
    // The newcomer is paid through the group.
    let before = holdings(&world);
    pay(&mut world, mpc, 0, 3, 7 * UNIT);
    assert_eq!(holdings(&world)[3], before[3] + 7 * UNIT);
    let valid_until = later(&mut world);
    quiet(&mut world, 2, Command::LeaveMpc { tpc, valid_until });
    assert_eq!(world.party(3).unwrap().channels()[&tpc].on_chain.mpc, None);
    quiet(&mut world, 3, Command::PayTpc { tpc, amount: UNIT });
    pay(&mut world, mpc, 1, 0, 2 * UNIT);
    let left = stored(&mut world, tpc).unwrap();
    assert_eq!((left.mpc, left.registrations, left.balances.iter().sum::<u128>()), (None, 2, 2 * STAKE));
    // What was signed while the channel was in the group still counts when it is gone.
    let valid_until = later(&mut world);
    quiet(&mut world, 3, Command::CloseTpc { tpc, valid_until });
    let expected = holdings(&world);
    for user in 0..3 {
        quiet(&mut world, user, Command::Checkpoint(mpc));
    }
    assert_eq!(holdings(&world), expected);
    for tpc in pairs {
        let stored = stored(&mut world, tpc).unwrap();
        let held = world.party(if tpc == pairs[1] { 1 } else { 0 }).unwrap().channels()[&tpc].latest;
        assert_eq!((stored.version, stored.balances), (held.version, held.balances));
    }
    assert!((0..3).all(|user| world.party(user).unwrap().evidence().updates.is_empty()), "the contract has it all");
}

#[test]
fn a_member_leaves_alone_and_the_others_carry_on() {
    let mut world = world(4, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    pay(&mut world, mpc, 3, 0, 5 * UNIT);
    let (exits, held) = (own(&world, 3), holdings(&world)[3]);
    let before = free(&mut world, 3);
    world.take_calls();
    dispute(&mut world, 3, &exits, Resolution::Settle);
    assert_eq!(calls(&mut world), ["update", "dispute"], "nobody else has to do anything");
    let deadline = deadline(&mut world, exits[0]);
    wait(&mut world, deadline);
    let settled = world.take_calls();
    assert!(settled.iter().all(|call| call.message == "settle"), "{settled:?}");
    assert!(free(&mut world, 3) > before + held - UNIT);
    assert!(world.party(3).unwrap().groups().next().is_none());
    pay(&mut world, mpc, 0, 2, 8 * UNIT);
    let valid_until = later(&mut world);
    quiet(&mut world, 0, Command::CloseMpc { mpc, valid_until });
}

#[test]
fn a_payment_passes_by_a_channel_that_others_dispute() {
    let mut world = world(4, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let foreign = between(&world, 2, 3);
    dispute(&mut world, 3, &[foreign], Resolution::Renew);
    let before = holdings(&world);
    let payment = game(&world, mpc, 0, UNIT, Scope::All, true);
    let notices = world.command(0, Command::Pay(payment)).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::MpcUpdated(_))), 4, "{notices:?}");
    let named = newest(&world, 0).update.entries;
    assert!(named.len() == 5 && named.iter().all(|entry| entry.tpc != foreign), "every channel but the disputed one");
    assert_eq!(holdings(&world)[0], before[0] + 3 * UNIT);
    // After its deadline it takes part again, in its next epoch.
    let deadline = deadline(&mut world, foreign);
    wait(&mut world, deadline);
    let payment = game(&world, mpc, 1, UNIT, Scope::All, true);
    let notices = world.command(1, Command::Pay(payment)).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::MpcUpdated(_))), 4, "{notices:?}");
    let renewed = world.party(2).unwrap().channels()[&foreign].latest;
    assert_eq!(renewed.order(), (1, 1));
    quiet(&mut world, 2, Command::Checkpoint(mpc));
    assert_eq!(stored(&mut world, foreign).unwrap().order(), (1, 1));
}

#[test]
fn a_channel_is_topped_up_and_partly_withdrawn_without_closing() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 30 * UNIT });
    let valid_until = later(&mut world);
    quiet(&mut world, 1, Command::TopUpTpc { tpc, own: 0, theirs: 50 * UNIT, valid_until });
    assert_eq!(holdings(&world), [120 * UNIT, 130 * UNIT]);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 110 * UNIT });
    let before = free(&mut world, 1);
    quiet(&mut world, 0, Command::WithdrawTpc { tpc, own: 5 * UNIT, theirs: 200 * UNIT, valid_until });
    assert_eq!(holdings(&world), [5 * UNIT, 40 * UNIT]);
    assert_eq!(free(&mut world, 1), before + 200 * UNIT);
    quiet(&mut world, 1, Command::PayTpc { tpc, amount: UNIT });
    quiet(&mut world, 1, Command::CloseTpc { tpc, valid_until });
    assert!(world.query(&GetTpc { id: tpc }).unwrap().is_none());
    // Nobody pays in more than it lets go without being asked.
    let tpc = {
        let (peer, valid_until) = (account(&world, 1), later(&mut world));
        let (own, theirs, value, window) = (UNIT, UNIT, 0, WINDOW);
        quiet(&mut world, 0, Command::OpenTpc { peer, nonce: 1, own, theirs, value, window, valid_until });
        between(&world, 0, 1)
    };
    let notices = world.command(0, Command::TopUpTpc { tpc, own: 0, theirs: 2 * STAKE, valid_until }).unwrap();
    assert_eq!(told(&notices, |notice| *notice == Notice::TpcRejected(tpc, Reason::Declined)), 1);
}

#[test]
fn a_busy_channel_is_neither_topped_up_nor_withdrawn_nor_split() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    braid(&mut world);
    let (tpc, valid_until) = (between(&world, 0, 1), later(&mut world));
    for command in [
        Command::TopUpTpc { tpc, own: UNIT, theirs: 0, valid_until },
        Command::WithdrawTpc { tpc, own: UNIT, theirs: 0, valid_until },
        Command::SplitTpc { channels: vec![tpc], parts: vec![(STAKE, STAKE)], valid_until },
    ] {
        assert!(ignored(&mut world, 0, command));
    }
}

/// Splits a channel into two halves.
fn split(world: &mut World, tpc: TpcId) -> [TpcId; 2] {
    let (half, valid_until) = (STAKE / 2, later(world));
    let known = own(world, 0);
    quiet(world, 0, Command::SplitTpc { channels: vec![tpc], parts: vec![(half, half), (half, half)], valid_until });
    [tpc, own(world, 0).into_iter().find(|part| !known.contains(part)).unwrap()]
}

#[test]
fn a_channel_is_split_and_merged_on_chain() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    quiet(&mut world, 1, Command::PayTpc { tpc, amount: UNIT });
    world.take_calls();
    let [first, second] = split(&mut world, tpc);
    assert_eq!(calls(&mut world), ["split_tpc"]);
    assert_eq!(stored(&mut world, first).unwrap().order(), (1, 0));
    assert_eq!(stored(&mut world, second).unwrap().order(), (0, 0));
    assert_eq!(own(&world, 0), own(&world, 1));
    let owners = world.party(1).unwrap().channels()[&second].owners;
    assert_eq!((owners.tpc(&Native), stored(&mut world, second).unwrap().owners), (second, owners));
    // Two payments at once do not wait for each other.
    world.start(0, Command::PayTpc { tpc: first, amount: 3 * UNIT }).unwrap();
    world.start(1, Command::PayTpc { tpc: second, amount: 5 * UNIT }).unwrap();
    let notices = world.run().unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::TpcUpdated(_))), 4);
    assert_eq!(holdings(&world), [102 * UNIT, 98 * UNIT]);
    // A merge moves nothing from one to the other.
    let (channels, valid_until) = (vec![second, first], later(&mut world));
    let unfair = Command::SplitTpc { channels: channels.clone(), parts: vec![(99 * UNIT, 101 * UNIT)], valid_until };
    assert!(ignored(&mut world, 1, unfair));
    quiet(&mut world, 1, Command::SplitTpc { channels, parts: vec![(98 * UNIT, 102 * UNIT)], valid_until });
    assert_eq!(own(&world, 0), [second]);
    assert_eq!(calls(&mut world), ["split_tpc"]);
    assert!(stored(&mut world, first).is_none());
    quiet(&mut world, 1, Command::PayTpc { tpc: second, amount: UNIT });
    let before = free(&mut world, 0);
    quiet(&mut world, 1, Command::CloseTpc { tpc: second, valid_until });
    assert_eq!(calls(&mut world), ["close_tpc"]);
    assert_eq!(free(&mut world, 0), before + 103 * UNIT);
}

#[test]
fn two_agreements_at_once_are_both_refused_and_the_channel_is_free_when_they_have_expired() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    let (half, valid_until) = (STAKE / 2, later(&mut world));
    let split = Command::SplitTpc { channels: vec![tpc], parts: vec![(half, half), (half, half)], valid_until };
    world.start(0, split).unwrap();
    world.start(1, Command::CloseTpc { tpc, valid_until }).unwrap();
    let notices = world.run().unwrap();
    assert_eq!(told(&notices, |notice| *notice == Notice::TpcRejected(tpc, Reason::InFlight)), 2, "{notices:?}");
    assert!(ignored(&mut world, 0, Command::PayTpc { tpc, amount: UNIT }), "the peer may still bring the split");
    wait(&mut world, valid_until);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let valid_until = later(&mut world);
    quiet(&mut world, 0, Command::CloseTpc { tpc, valid_until });
}

#[test]
fn a_disputed_channel_is_not_split() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    dispute(&mut world, 1, &[tpc], Resolution::Settle);
    let valid_until = later(&mut world);
    assert!(ignored(
        &mut world,
        0,
        Command::SplitTpc { channels: vec![tpc], parts: vec![(STAKE, STAKE)], valid_until }
    ));
}

#[test]
fn a_part_is_busy_in_a_group_while_another_is_paid_on() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let tpc = between(&world, 0, 1);
    let [first, second] = split(&mut world, tpc);
    let channels = latest(&world).into_iter().filter(|(_, entry)| entry.tpc != first).collect();
    let valid_until = later(&mut world);
    quiet(&mut world, 0, Command::CreateMpc { channels, valid_until });
    let mpc = world.party(0).unwrap().groups().next().unwrap();
    pay(&mut world, mpc, 0, 1, 5 * UNIT);
    quiet(&mut world, 1, Command::PayTpc { tpc: first, amount: 2 * UNIT });
    assert_eq!(holdings(&world)[..2], [197 * UNIT, 203 * UNIT]);
    let merge = || Command::SplitTpc { channels: vec![tpc, second], parts: vec![(97 * UNIT, 103 * UNIT)], valid_until };
    assert!(ignored(&mut world, 0, merge()), "a part is busy");
    quiet(&mut world, 0, Command::CloseMpc { mpc, valid_until });
    world.take_calls();
    quiet(&mut world, 0, merge());
    quiet(&mut world, 0, Command::CloseTpc { tpc, valid_until });
    assert_eq!(calls(&mut world), ["split_tpc", "close_tpc"]);
    assert!(stored(&mut world, second).is_none());
}

#[test]
fn a_closing_does_not_use_up_the_versions() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    let valid_until = later(&mut world);
    let users = users(2);
    let domain = world.query(&GetDomain {}).unwrap();
    let party = world.party(0).unwrap();
    let agreed = |version| {
        let close = TpcClose { last: Entry { version, ..party.channels()[&tpc].latest }, valid_until };
        let signature = users[1].sign(&Action::CloseTpc(&close).payload(&Native, &domain));
        let message = Input::Message(Peer::Party(users[1].account()), Message::TpcClose { close, signature });
        let (_, effects) = party.step(&users[0], 0, message).save(&mut MemoryStore::default()).unwrap();
        matches!(effects[..], [Effect::Send(_, Message::TpcCloseAgree { .. })])
    };
    assert!(agreed(1), "the turn of the second owner");
    assert!(!agreed(2), "the turn of the first owner");
    assert!(!agreed(u64::MAX), "as far as there are versions");
}

#[test]
fn a_closing_in_the_middle_of_a_dispute_ends_it() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    dispute(&mut world, 0, &[tpc], Resolution::Settle);
    let valid_until = later(&mut world);
    quiet(&mut world, 1, Command::CloseTpc { tpc, valid_until });
    assert!(world.party(1).unwrap().channels().is_empty());
    world.chain.advance(2 * WINDOW);
    let late = world.call(0, 0, &SettleChannels { channels: vec![tpc] });
    assert!(late.is_err(), "there is nothing left to settle");
}

#[test]
fn what_is_to_renew_may_be_settled_instead() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    dispute(&mut world, 0, &[tpc], Resolution::Renew);
    let until = deadline(&mut world, tpc);
    dispute(&mut world, 1, &[tpc], Resolution::Settle);
    assert_eq!(deadline(&mut world, tpc), until, "the clock goes on");
    assert!(ignored(&mut world, 0, Command::Dispute { channels: vec![tpc], then: Resolution::Renew }));
    wait(&mut world, until);
    assert!(stored(&mut world, tpc).is_none());
    assert!((0..2).all(|user| world.party(user).unwrap().channels().is_empty()));
}

#[test]
fn an_unanswered_payment_is_void_after_one_dispute_and_the_channel_lives_on() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 1, Command::PayTpc { tpc, amount: 2 * UNIT });
    world.set_absent(1, true).unwrap();
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 7 * UNIT });
    assert!(ignored(&mut world, 0, Command::PayTpc { tpc, amount: UNIT }), "the first may still be completed");
    dispute(&mut world, 0, &[tpc], Resolution::Renew);
    let until = deadline(&mut world, tpc);
    world.set_absent(1, false).unwrap();
    let notices = wait(&mut world, until);
    assert_eq!(told(&notices, |notice| *notice == Notice::TpcRejected(tpc, Reason::Void)), 1, "{notices:?}");
    assert_eq!(holdings(&world), [102 * UNIT, 98 * UNIT]);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    assert_eq!(holdings(&world), [101 * UNIT, 99 * UNIT]);
    quiet(&mut world, 1, Command::CheckpointTpc(tpc));
    let renewed = stored(&mut world, tpc).unwrap();
    assert_eq!((renewed.epoch, renewed.dispute, renewed.balances), (1, None, [101 * UNIT, 99 * UNIT]));
}

#[test]
fn a_payment_whose_answer_is_lost_is_decided_by_one_dispute() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    world.start(0, Command::PayTpc { tpc, amount: 7 * UNIT }).unwrap();
    world.set_absent(0, true).unwrap();
    world.run().unwrap();
    world.set_absent(0, false).unwrap();
    assert_eq!(holdings(&world), [STAKE, STAKE + 7 * UNIT], "only one side has both signatures");
    world.take_calls();
    let notices = world.command(0, Command::Dispute { channels: vec![tpc], then: Resolution::Renew }).unwrap();
    assert_eq!(calls(&mut world), ["dispute", "update"], "the other one answers");
    assert_eq!(told(&notices, |notice| *notice == Notice::TpcUpdated(tpc)), 1, "{notices:?}");
    let expected = [STAKE - 7 * UNIT, STAKE + 7 * UNIT];
    assert_eq!(holdings(&world), expected);
    let until = deadline(&mut world, tpc);
    wait(&mut world, until);
    assert_eq!(holdings(&world), expected);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
}

#[test]
fn what_becomes_complete_in_a_dispute_counts_when_it_is_on_chain() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    world.set_absent(1, true).unwrap();
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 7 * UNIT });
    world.call(1, 0, &DisputeChannels { channels: vec![tpc], then: Resolution::Settle }).unwrap();
    // Only now the peer's signature arrives.
    let last = world.party(0).unwrap().channels()[&tpc].latest;
    let entry = Entry { version: 2, balances: [STAKE - 7 * UNIT, STAKE + 7 * UNIT], ..last };
    let signed = signed_by_all(&mut world, vec![entry]);
    let users = users(2);
    let peer = Peer::Party(users[1].account());
    let agreed = Message::TpcUpdateAgree { tpc, version: 2, signature: signed.signatures[1].signature };
    let (party, now) = (world.party(0).unwrap(), world.chain.time());
    let step = party.step(&users[0], now, Input::Message(peer, agreed));
    let (party, effects) = step.save(&mut MemoryStore::default()).unwrap();
    let [Effect::Submit { submission, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(submission.message(), "update", "it is brought at once");
    assert_eq!(party.channels()[&tpc].latest, last, "and not built on before it is there");
    publish(&mut world, 0, signed);
    assert_eq!(world.party(0).unwrap().channels()[&tpc].latest, entry);
}

/// Three users, and a payment of 7 UNIT from the first to the second over all channels. The first two have signed it, and
/// the third has everybody's signatures and keeps them.
fn withheld() -> (World, MpcId, SignedUpdate) {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let (from, to) = (account(&world, 0), account(&world, 1));
    let transfers = vec![Transfer { from, to, amount: 7 * UNIT }];
    world.set_absent(2, true).unwrap();
    let payment = Payment { mpc, transfers, scope: Scope::All, confirm: false };
    assert_eq!(world.command(0, Command::Pay(payment)).unwrap(), []);
    world.time_out(mpc).unwrap();
    let paid = between(&world, 0, 1);
    let entries = latest(&world).into_iter().map(|(_, entry)| {
        let balances = if entry.tpc == paid { [STAKE - 7 * UNIT, STAKE + 7 * UNIT] } else { entry.balances };
        Entry { version: entry.version + 1, balances, ..entry }
    });
    let entries = entries.collect();
    let signed = signed_by_all(&mut world, entries);
    world.set_absent(2, false).unwrap();
    (world, mpc, signed)
}

#[test]
fn a_withheld_update_of_a_group_is_void_after_one_dispute_of_one_channel() {
    let (mut world, mpc, signed) = withheld();
    let before = holdings(&world);
    let tpc = between(&world, 0, 1);
    // Nothing else is signed on any channel that it names.
    let valid_until = later(&mut world);
    assert!(ignored(&mut world, 0, Command::LeaveMpc { tpc, valid_until }));
    dispute(&mut world, 1, &[tpc], Resolution::Renew);
    let until = deadline(&mut world, tpc);
    let notices = wait(&mut world, until);
    assert_eq!(told(&notices, |notice| *notice == Notice::MpcFailed(mpc, Reason::Void)), 2, "{notices:?}");
    assert_eq!(holdings(&world), before);
    let SignedUpdate { update, owners, signatures } = signed;
    let late = world.call(2, 0, &UpdateChannels { update, owners, signatures });
    assert!(late.is_err(), "it moves no channel any more");
    // The group stands, and everybody is free again.
    pay(&mut world, mpc, 0, 1, UNIT);
    let payment = game(&world, mpc, 2, UNIT, Scope::All, true);
    quiet(&mut world, 2, Command::Pay(payment));
    let valid_until = later(&mut world);
    quiet(&mut world, 0, Command::CloseMpc { mpc, valid_until });
}

#[test]
fn a_withheld_update_of_a_group_that_comes_to_the_chain_counts_for_all() {
    let (mut world, mpc, signed) = withheld();
    let before = holdings(&world);
    let tpc = between(&world, 0, 1);
    dispute(&mut world, 1, &[tpc], Resolution::Renew);
    let until = deadline(&mut world, tpc);
    publish(&mut world, 2, signed);
    assert_eq!(holdings(&world), [before[0] - 7 * UNIT, before[1] + 7 * UNIT, before[2]]);
    wait(&mut world, until);
    assert_eq!(holdings(&world), [before[0] - 7 * UNIT, before[1] + 7 * UNIT, before[2]]);
    let payment = game(&world, mpc, 0, UNIT, Scope::All, true);
    quiet(&mut world, 0, Command::Pay(payment));
    let valid_until = later(&mut world);
    quiet(&mut world, 0, Command::CloseMpc { mpc, valid_until });
}

#[test]
fn a_member_signs_only_what_can_be_completed_and_answered() {
    let mut world = world(4, STAKE);
    let [paid, foreign] = [(0, 1), (1, 2)].map(|(a, b)| open(&mut world, a, b));
    let mpc = braid(&mut world);
    let outside = open(&mut world, 2, 3);
    let users = users(4);
    let payment = Payment {
        mpc,
        transfers: vec![Transfer { from: account(&world, 0), to: account(&world, 1), amount: 7 * UNIT }],
        scope: Scope::Touched,
        confirm: false,
    };
    let asked = |world: &World, party: &Party, entries: &[Entry]| {
        let mut entries = entries.to_vec();
        entries.sort_by_key(|entry| entry.tpc);
        let known: BTreeMap<_, _> = latest(world).into_iter().map(|(owners, entry)| (entry.tpc, owners)).collect();
        let owners = entries.iter().map(|entry| known[&entry.tpc]).collect();
        let message = Message::MpcUpdate { payment: payment.clone(), update: Update { entries }, owners };
        let step = party.step(&users[0], world.chain.time(), Input::Message(Peer::Coordinator, message));
        let (party, effects) = step.save(&mut MemoryStore::default()).unwrap();
        let signed = matches!(effects[..], [Effect::Send(_, Message::MpcUpdateAgree { .. })]);
        (party, signed)
    };
    let asks = |world: &World, entries: &[Entry]| asked(world, world.party(0).unwrap(), entries).1;
    let pays = Entry { tpc: paid, epoch: 0, version: 1, balances: [STAKE - 7 * UNIT, STAKE + 7 * UNIT] };
    let beside = |tpc, epoch, version| Entry { tpc, epoch, version, balances: [STAKE, STAKE] };
    assert!(asks(&world, &[pays]));
    assert!(asks(&world, &[pays, beside(foreign, 0, 1)]));
    assert!(!asks(&world, &[pays, beside(outside, 0, 1)]), "a channel of which nobody knows that it exists");
    assert!(!asks(&world, &[pays, beside(foreign, 1, 1)]), "an epoch that has not begun");
    assert!(!asks(&world, &[Entry { balances: [STAKE - 7 * UNIT, STAKE + 8 * UNIT], ..pays }]), "a wrong sum");
    assert!(!asks(&world, &[Entry { balances: [STAKE - 8 * UNIT, STAKE + 8 * UNIT], ..pays }]), "more than is owed");
    assert!(!asks(&world, &[Entry { version: 0, ..pays }]), "no newer state");
    assert!(!asks(&world, &[Entry { version: u64::MAX, ..pays }]), "as far as there are versions");

    // What is in flight is replaced as a whole.
    let (party, signed) = asked(&world, world.party(0).unwrap(), &[pays, beside(foreign, 0, 1)]);
    assert!(signed);
    let again = Entry { version: 2, ..pays };
    assert!(!asked(&world, &party, &[again]).1);
    assert!(!asked(&world, &party, &[again, beside(foreign, 0, 1)]).1);
    assert!(asked(&world, &party, &[again, beside(foreign, 0, 2)]).1);

    // A dispute of a channel of others.
    dispute(&mut world, 2, &[foreign], Resolution::Renew);
    let until = deadline(&mut world, foreign);
    assert!(asks(&world, &[pays]));
    assert!(!asks(&world, &[pays, beside(foreign, 0, 1)]), "it may be void soon");
    wait(&mut world, until);
    assert!(!asks(&world, &[pays, beside(foreign, 0, 1)]), "it is void");
    assert!(asks(&world, &[pays, beside(foreign, 1, 1)]));

    // What both owners of a channel may yet bring to the chain.
    world.set_absent(1, true).unwrap();
    let valid_until = later(&mut world);
    quiet(&mut world, 0, Command::LeaveMpc { tpc: paid, valid_until });
    assert!(!asks(&world, &[pays]));
}

#[test]
fn a_watcher_hears_what_the_contract_tells() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    world.take_calls();
    dispute(&mut world, 0, &[tpc], Resolution::Settle);
    let receipt = world.take_calls().remove(0).receipt;
    let Some(Event::Disputed(event)) = world.contract.event(&receipt.events[0]) else { panic!("{receipt:?}") };
    let [channel] = event.channels[..] else { panic!("{event:?}") };
    assert_eq!((channel.tpc, channel.epoch, channel.version, channel.then), (tpc, 0, 0, Resolution::Settle));
    assert_eq!(channel.deadline, world.chain.time() + WINDOW);
}
