//! What a single honest user can do when others do not: everybody's funds come back, at the latest state that all signed.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod common;

use braid::{
    contract::Event,
    engine::{
        message::{Message, Payment, Reason, Scope},
        party::{Command, Input},
        step::{Effect, MemoryStore, Notice, Peer},
    },
    keys::{Keys, Native},
    planning::Transfer,
    watch::Watch,
    watcher::{Evidence, Why},
};
use common::*;
use devchain::UNIT;
use protocol::{
    abi::{Deposit, DisputeMpc, DisputeTpc, GetDomain, GetMpc, GetTpc, SettleTpc, UpdateTpc},
    Action, Entry, Error, MpcId, TpcClose, TpcId,
};

fn quiet(world: &mut World, user: usize, command: Command) {
    let notices = world.command(user, command).unwrap();
    let bad = notices
        .iter()
        .find(|(_, notice)| matches!(notice, Notice::TpcRejected(..) | Notice::MpcFailed(..) | Notice::Ignored(_)));
    assert_eq!(bad, None);
}

fn pay(world: &mut World, mpc: MpcId, from: usize, to: usize, amount: u128) {
    let transfers = vec![Transfer { from: account(world, from), to: account(world, to), amount }];
    quiet(world, from, Command::Pay(Payment { mpc, transfers, scope: Scope::Touched, confirm: false }));
}

/// The channel of two users.
fn between(world: &World, a: usize, b: usize) -> TpcId {
    let pair = [account(world, a), account(world, b)];
    let channels = world.party(a).unwrap().channels();
    *channels.iter().find(|(_, channel)| channel.owners.parties == pair && channel.owners.part.is_none()).unwrap().0
}

fn calls(world: &mut World) -> Vec<&'static str> {
    world.take_calls().iter().map(|call| call.message).collect()
}

fn deadline(world: &mut World, id: TpcId) -> u64 {
    world.contract.query(&mut world.chain, &GetTpc { id }).unwrap().unwrap().deadline.unwrap()
}

fn wait(world: &mut World, time: u64) {
    world.wait_until(&Keys::from_suri("//Eve").unwrap(), time).unwrap();
}

fn vanish(world: &mut World, user: usize) {
    world.set_absent(user, true).unwrap();
    world.set_watched(user, false).unwrap();
}

#[test]
fn a_partner_that_vanishes_costs_no_more_than_a_window() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 30 * UNIT });
    vanish(&mut world, 1);
    let before: Vec<_> = (0..2).map(|user| free(&mut world, user)).collect();
    world.take_calls();
    quiet(&mut world, 0, Command::DisputeTpc(tpc));
    let deadline = world.party(0).unwrap().channels()[&tpc].deadline.unwrap();
    assert_eq!(calls(&mut world), ["update_tpc", "dispute_tpc"]);
    let notices = world.command(0, Command::PayTpc { tpc, amount: UNIT }).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::Ignored(_))), 1, "a disputed channel is not paid on");
    wait(&mut world, deadline);
    assert_eq!(calls(&mut world), ["settle_tpc"], "the watcher settles");
    assert_eq!(free(&mut world, 1), before[1] + 130 * UNIT);
    assert!(free(&mut world, 0) > before[0] + 69 * UNIT);
    assert!(world.party(0).unwrap().channels().is_empty());
}

#[test]
fn a_member_that_vanishes_costs_the_others_one_window() {
    let mut world = world(4, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    pay(&mut world, mpc, 0, 3, 10 * UNIT);
    pay(&mut world, mpc, 3, 1, 4 * UNIT);
    vanish(&mut world, 3);
    let exits: Vec<_> = (0..3).map(|user| between(&world, user, 3)).collect();
    let held = world.party(0).unwrap().channels()[&exits[0]].own(account(&world, 0));
    let before = free(&mut world, 0);
    world.take_calls();
    quiet(&mut world, 0, Command::DisputeMpc { mpc, exits: vec![exits[0]] });
    assert_eq!(
        calls(&mut world),
        ["update_mpc", "dispute_mpc", "update_mpc"],
        "another member's watcher adds its update"
    );
    let stored = world.contract.query(&mut world.chain, &GetMpc { id: mpc }).unwrap().unwrap();
    wait(&mut world, stored.deadline.unwrap());
    assert_eq!(calls(&mut world), ["settle_tpc", "settle_mpc"], "one window for the group and the exit");
    assert!(free(&mut world, 0) > before + held - UNIT);
    // The others go on alone at what they signed in the group: with each other as ever, without the fourth by disputes.
    assert!((0..4).all(|user| world.party(user).unwrap().groups().next().is_none()));
    let tpc = between(&world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    quiet(&mut world, 1, Command::DisputeTpc(exits[1]));
    let gained = world.party(1).unwrap().channels()[&exits[1]].own(account(&world, 1));
    assert_eq!(gained, STAKE + 4 * UNIT);
    let deadline = world.party(1).unwrap().channels()[&exits[1]].deadline.unwrap();
    wait(&mut world, deadline);
    assert!(world.contract.query(&mut world.chain, &GetTpc { id: exits[1] }).unwrap().is_none());
}

#[test]
fn an_old_state_is_answered_while_its_victim_sleeps() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let old = world.party(0).unwrap().evidence().tpcs[&tpc].latest.clone().unwrap();
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 50 * UNIT });
    let before = free(&mut world, 1);
    world.set_absent(1, true).unwrap();
    world.take_calls();
    world.call(0, 0, &old).unwrap();
    world.call(0, 0, &DisputeTpc { id: tpc }).unwrap();
    let deadline = deadline(&mut world, tpc);
    assert_eq!(calls(&mut world), ["update_tpc", "dispute_tpc", "update_tpc"]);
    wait(&mut world, deadline);
    assert_eq!(calls(&mut world), ["settle_tpc"]);
    let fees = 2 * UNIT;
    assert!(free(&mut world, 1) > before + 151 * UNIT - fees, "the newest state was paid out");
}

#[test]
fn an_old_state_of_a_group_is_answered_while_its_victim_sleeps() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    pay(&mut world, mpc, 0, 1, UNIT);
    let old = world.party(0).unwrap().evidence().mpcs[&mpc][0].clone();
    pay(&mut world, mpc, 0, 1, 40 * UNIT);
    let tpc = between(&world, 0, 1);
    let newest = world.party(1).unwrap().channels()[&tpc].latest;
    world.set_absent(1, true).unwrap();
    world.call(0, 0, &old.message(|_| false)).unwrap();
    world.call(0, 0, &DisputeMpc { id: mpc, member: tpc, exits: vec![tpc] }).unwrap();
    let deadline = deadline(&mut world, tpc);
    let stored = world.contract.query(&mut world.chain, &GetTpc { id: tpc }).unwrap().unwrap();
    assert_eq!((stored.version, stored.balances), (newest.version, newest.balances));
    wait(&mut world, deadline);
    assert!(world.contract.query(&mut world.chain, &GetTpc { id: tpc }).unwrap().is_none(), "the exit is settled");
}

#[test]
fn a_watcher_needs_nothing_but_the_signed_states() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let tpc = between(&world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let old = world.party(0).unwrap().evidence().tpcs[&tpc].latest.clone().unwrap();
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 50 * UNIT });
    let bytes = world.party(1).unwrap().evidence().to_bytes();
    let evidence = Evidence::from_bytes(&bytes).unwrap();
    assert!(Evidence::from_bytes(&bytes[1..]).is_err());
    (0..3).for_each(|user| vanish(&mut world, user));
    // A stranger with a little for fees.
    let keys = Keys::from_suri("//Ferdie").unwrap();
    let mut watch = Watch::start(world.contract.clone(), &mut world.chain, &evidence).unwrap();
    assert!(watch.look(&mut world.chain, &keys, &evidence).unwrap().is_empty());
    world.call(0, 0, &old).unwrap();
    world.call(0, 0, &DisputeTpc { id: tpc }).unwrap();
    let deadline = deadline(&mut world, tpc);
    let reports = watch.look(&mut world.chain, &keys, &evidence).unwrap();
    assert_eq!(
        reports.iter().map(|report| (report.message, report.why)).collect::<Vec<_>>(),
        [("update_tpc", Why::Answer)]
    );
    assert!(reports[0].outcome.is_ok());
    assert_eq!(watch.next_deadline(), Some(deadline));
    assert!(watch.look(&mut world.chain, &keys, &evidence).unwrap().is_empty(), "once is enough");
    wait(&mut world, deadline);
    let reports = watch.look(&mut world.chain, &keys, &evidence).unwrap();
    assert_eq!(
        reports.iter().map(|report| (report.message, report.why)).collect::<Vec<_>>(),
        [("settle_tpc", Why::Settle)]
    );
    assert!(reports[0].outcome.is_ok());
    assert_eq!(watch.next_deadline(), None);
}

#[test]
fn a_watcher_that_comes_second_reports_the_refusal() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let evidence = world.party(1).unwrap().evidence();
    let mut watch = Watch::start(world.contract.clone(), &mut world.chain, &evidence).unwrap();
    quiet(&mut world, 0, Command::DisputeTpc(tpc));
    let reports = watch.look(&mut world.chain, &Keys::from_suri("//Ferdie").unwrap(), &evidence).unwrap();
    assert!(matches!(reports[0].outcome, Err(Error::StaleVersion { .. })), "{reports:?}");
}

#[test]
fn a_channel_joins_and_leaves_a_running_group_and_the_rest_carries_on() {
    let mut world = world(4, STAKE);
    let pairs = [(0, 1), (1, 2), (0, 2)].map(|(a, b)| open(&mut world, a, b));
    let mpc = braid(&mut world);
    let tpc = open(&mut world, 2, 3);
    let valid_until = later(&mut world);
    // Nobody joins uninvited: the member channel must be one of theirs.
    let member = pairs[0];
    assert!(world.command(3, Command::JoinMpc { mpc, member, tpc, valid_until }).is_err());
    world.chain.advance(2_000_000);
    world.call(0, UNIT, &Deposit {}).unwrap();
    let (member, valid_until) = (pairs[1], later(&mut world));
    quiet(&mut world, 3, Command::JoinMpc { mpc, member, tpc, valid_until });
    assert_eq!(world.contract.query(&mut world.chain, &GetMpc { id: mpc }).unwrap().unwrap().channels, 4);
    // The newcomer is paid through the group.
    let before = holdings(&world);
    pay(&mut world, mpc, 0, 3, 7 * UNIT);
    assert_eq!(holdings(&world)[3], before[3] + 7 * UNIT);
    let valid_until = later(&mut world);
    quiet(&mut world, 2, Command::LeaveMpc { tpc, valid_until });
    assert_eq!(world.party(3).unwrap().channels()[&tpc].mpc, None);
    quiet(&mut world, 3, Command::PayTpc { tpc, amount: UNIT });
    pay(&mut world, mpc, 1, 0, 2 * UNIT);
    let stored = world.contract.query(&mut world.chain, &GetTpc { id: tpc }).unwrap().unwrap();
    assert_eq!((stored.mpc, stored.balances.iter().sum::<u128>()), (None, 2 * STAKE));
    // What was signed while the channel was in the group still counts when the group is disputed, after it is gone.
    let valid_until = later(&mut world);
    quiet(&mut world, 3, Command::CloseTpc { tpc, valid_until });
    quiet(&mut world, 0, Command::DisputeMpc { mpc, exits: vec![] });
    let deadline = world.contract.query(&mut world.chain, &GetMpc { id: mpc }).unwrap().unwrap().deadline.unwrap();
    let expected = holdings(&world);
    wait(&mut world, deadline);
    assert_eq!(holdings(&world), expected);
    for tpc in pairs {
        let stored = world.contract.query(&mut world.chain, &GetTpc { id: tpc }).unwrap().unwrap();
        let held = world.party(if tpc == pairs[1] { 1 } else { 0 }).unwrap().channels()[&tpc].latest;
        assert_eq!((stored.version, stored.balances), (held.version, held.balances));
    }
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
    assert!(world.contract.query(&mut world.chain, &GetTpc { id: tpc }).unwrap().is_none());
    // Nobody pays in more than it lets go without being asked.
    let tpc = {
        let (peer, valid_until) = (account(&world, 1), later(&mut world));
        let (own, theirs, window) = (UNIT, UNIT, WINDOW);
        quiet(&mut world, 0, Command::OpenTpc { peer, nonce: 1, own, theirs, window, valid_until });
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
        Command::SplitTpc { tpc, parts: vec![(STAKE, STAKE)] },
    ] {
        let notices = world.command(0, command).unwrap();
        assert_eq!(told(&notices, |notice| matches!(notice, Notice::Ignored(_))), 1);
    }
}

/// Splits a channel into two halves.
fn split(world: &mut World, tpc: TpcId) -> [TpcId; 2] {
    let half = STAKE / 2;
    quiet(world, 0, Command::SplitTpc { tpc, parts: vec![(half, half), (half, half)] });
    let channels = world.party(0).unwrap().channels();
    let part = |index: u8| {
        let is_part = |channel: &&braid::engine::party::Channel| match channel.owners.part {
            Some((_, found)) => found == index,
            None => index == 0,
        };
        channels.values().find(|channel| channel.owners.parties[1] == account(world, 1) && is_part(channel)).unwrap()
    };
    [part(0).latest.tpc, part(1).latest.tpc]
}

#[test]
fn a_channel_is_split_and_merged_without_a_transaction() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    world.take_calls();
    let [first, second] = split(&mut world, tpc);
    assert_eq!(first, tpc);
    // Two payments at once do not wait for each other.
    world.start(0, Command::PayTpc { tpc: first, amount: 3 * UNIT }).unwrap();
    world.start(1, Command::PayTpc { tpc: second, amount: 5 * UNIT }).unwrap();
    let notices = world.run().unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::TpcUpdated(_))), 4);
    assert_eq!(holdings(&world), [102 * UNIT, 98 * UNIT]);
    let valid_until = later(&mut world);
    let notices = world.command(0, Command::CloseTpc { tpc, valid_until }).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::Ignored(_))), 1, "it must be whole to be closed");
    quiet(&mut world, 1, Command::SplitTpc { tpc, parts: vec![(98 * UNIT, 102 * UNIT)] });
    assert_eq!(world.party(0).unwrap().channels().len(), 1);
    assert!(calls(&mut world).is_empty());
    let before = free(&mut world, 0);
    quiet(&mut world, 1, Command::CloseTpc { tpc, valid_until });
    assert_eq!(calls(&mut world), ["close_tpc"]);
    assert_eq!(free(&mut world, 0), before + 102 * UNIT);
}

#[test]
fn two_splits_at_once_have_one_winner_and_both_sides_know_it() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    let half = STAKE / 2;
    world.start(0, Command::SplitTpc { tpc, parts: vec![(half, half), (half, half)] }).unwrap();
    world.start(1, Command::SplitTpc { tpc, parts: vec![(half, STAKE), (half, 0)] }).unwrap();
    let notices = world.run().unwrap();
    assert_eq!(told(&notices, |notice| *notice == Notice::TpcAgreed(tpc)), 2, "{notices:?}");
    assert_eq!(told(&notices, |notice| *notice == Notice::TpcRejected(tpc, Reason::Superseded)), 1);
    let channels = |user: usize| world.party(user).unwrap().channels().values().map(|part| part.latest);
    assert!(channels(0).eq(channels(1)));
    quiet(&mut world, 1, Command::PayTpc { tpc, amount: UNIT });
}

#[test]
fn a_disputed_channel_is_not_split_even_in_place_of_a_split_that_is_in_flight() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    let whole = || Command::SplitTpc { tpc, parts: vec![(STAKE, STAKE)] };
    world.set_absent(1, true).unwrap();
    quiet(&mut world, 0, whole());
    world.set_absent(1, false).unwrap();
    quiet(&mut world, 1, Command::DisputeTpc(tpc));
    let notices = world.command(0, whole()).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::Ignored(_))), 1, "{notices:?}");
}

#[test]
fn a_division_of_which_only_the_chain_tells_is_known_with_all_its_parts() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    let half = STAKE / 2;
    world.start(0, Command::SplitTpc { tpc, parts: vec![(half, half), (half, half)] }).unwrap();
    // The peer agrees, its answer is lost, and it shows the chain what both have signed.
    world.set_absent(0, true).unwrap();
    world.run().unwrap();
    quiet(&mut world, 1, Command::CheckpointTpc(tpc));
    world.set_absent(0, false).unwrap();
    assert_eq!(world.party(0).unwrap().channels().keys().len(), 2);
    assert_eq!(holdings(&world), [STAKE, STAKE]);
    let channels = world.party(0).unwrap().channels();
    let part = *channels.keys().find(|part| **part != tpc).unwrap();
    quiet(&mut world, 0, Command::PayTpc { tpc: part, amount: UNIT });
    quiet(&mut world, 1, Command::SplitTpc { tpc, parts: vec![(STAKE + UNIT, STAKE - UNIT)] });
    assert_eq!(holdings(&world), [STAKE - UNIT, STAKE + UNIT]);
}

#[test]
fn a_part_is_busy_in_a_group_while_another_is_paid_on() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let tpc = between(&world, 0, 1);
    let [first, second] = split(&mut world, tpc);
    // The contract has to know a part that enters a group.
    quiet(&mut world, 0, Command::CheckpointTpc(tpc));
    let channels = latest(&world).into_iter().filter(|(_, entry)| entry.tpc != first).collect();
    let valid_until = later(&mut world);
    quiet(&mut world, 0, Command::CreateMpc { channels, window: WINDOW, valid_until });
    let mpc = world.party(0).unwrap().groups().next().unwrap();
    pay(&mut world, mpc, 0, 1, 5 * UNIT);
    quiet(&mut world, 1, Command::PayTpc { tpc: first, amount: 2 * UNIT });
    assert_eq!(holdings(&world)[..2], [197 * UNIT, 203 * UNIT]);
    let notices = world.command(0, Command::SplitTpc { tpc, parts: vec![(97 * UNIT, 103 * UNIT)] }).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::Ignored(_))), 1, "a part is busy");
    quiet(&mut world, 0, Command::CloseMpc { mpc, valid_until });
    quiet(&mut world, 0, Command::SplitTpc { tpc, parts: vec![(97 * UNIT, 103 * UNIT)] });
    world.take_calls();
    quiet(&mut world, 0, Command::CloseTpc { tpc, valid_until });
    assert_eq!(calls(&mut world), ["split_tpc", "close_tpc"], "the contract learns that the parts are one again");
    assert!(world.contract.query(&mut world.chain, &GetTpc { id: second }).unwrap().is_none());
}

#[test]
fn the_first_part_is_busy_in_a_group_and_is_made_whole_again_after_it() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let tpc = between(&world, 0, 1);
    let [first, second] = split(&mut world, tpc);
    quiet(&mut world, 0, Command::CheckpointTpc(tpc));
    let channels = latest(&world).into_iter().filter(|(_, entry)| entry.tpc != second).collect();
    let valid_until = later(&mut world);
    quiet(&mut world, 0, Command::CreateMpc { channels, window: WINDOW, valid_until });
    let mpc = world.party(0).unwrap().groups().next().unwrap();
    pay(&mut world, mpc, 0, 1, 5 * UNIT);
    quiet(&mut world, 1, Command::PayTpc { tpc: second, amount: 2 * UNIT });
    quiet(&mut world, 0, Command::CloseMpc { mpc, valid_until });
    let notices = world.command(0, Command::CloseTpc { tpc: first, valid_until }).unwrap();
    assert_eq!(told(&notices, |notice| matches!(notice, Notice::Ignored(_))), 1, "it is still divided");
    quiet(&mut world, 0, Command::SplitTpc { tpc, parts: vec![(97 * UNIT, 103 * UNIT)] });
    world.take_calls();
    quiet(&mut world, 0, Command::CloseTpc { tpc, valid_until });
    assert_eq!(calls(&mut world), ["split_tpc", "close_tpc"]);
}

#[test]
fn a_closing_does_not_use_up_the_versions() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    let valid_until = later(&mut world);
    let mut users: Vec<_> = (0..2).map(|user| Keys::from_suri(&format!("//user{user}")).unwrap()).collect();
    users.sort_by_key(Keys::account);
    let domain = world.contract.query(&mut world.chain, &GetDomain {}).unwrap();
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
fn a_split_channel_comes_back_whole_from_a_dispute_over_an_old_division() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    split(&mut world, tpc);
    let old = world.party(0).unwrap().evidence().tpcs[&tpc].split.clone().unwrap();
    quiet(&mut world, 0, Command::SplitTpc { tpc, parts: vec![(STAKE, STAKE)] });
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: 60 * UNIT });
    quiet(&mut world, 0, Command::SplitTpc { tpc, parts: vec![(40 * UNIT, 10 * UNIT), (0, 150 * UNIT)] });
    let new_part = *world.party(1).unwrap().channels().keys().find(|part| **part != tpc).unwrap();
    quiet(&mut world, 1, Command::PayTpc { tpc: new_part, amount: UNIT });
    world.set_absent(1, true).unwrap();
    world.take_calls();
    let old_part = old.split.tpc.part(&Native, old.split.epoch, 1);
    world.call(0, 0, &old).unwrap();
    assert_eq!(calls(&mut world)[..2], ["split_tpc", "split_tpc"], "the newest division answers at once");
    assert!(world.contract.query(&mut world.chain, &GetTpc { id: old_part }).unwrap().is_none());
    let before: Vec<_> = (0..2).map(|user| free(&mut world, user)).collect();
    for id in [tpc, new_part] {
        world.call(0, 0, &DisputeTpc { id }).unwrap();
    }
    let last = deadline(&mut world, new_part);
    wait(&mut world, last);
    let after: Vec<_> = (0..2).map(|user| free(&mut world, user)).collect();
    let gained = |user: usize| after[user] as i128 - before[user] as i128;
    assert!((gained(0) - 41 * UNIT as i128).abs() < UNIT as i128, "{}", gained(0));
    assert!((gained(1) - 159 * UNIT as i128).abs() < UNIT as i128, "{}", gained(1));
}

#[test]
fn a_closing_in_the_middle_of_a_dispute_ends_it() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    quiet(&mut world, 0, Command::DisputeTpc(tpc));
    let valid_until = later(&mut world);
    quiet(&mut world, 1, Command::CloseTpc { tpc, valid_until });
    assert!(world.party(1).unwrap().channels().is_empty());
    world.chain.advance(2 * WINDOW);
    let late = world.call(0, 0, &SettleTpc { id: tpc });
    assert!(late.is_err(), "there is nothing left to settle");
}

#[test]
fn what_was_signed_and_not_seen_complete_is_decided_by_the_chain() {
    let mut world = world(3, STAKE);
    open_all(&mut world);
    let mpc = braid(&mut world);
    let before = holdings(&world);
    // The third has everybody's signatures and vanishes with them.
    let (from, to) = (account(&world, 0), account(&world, 1));
    let transfers = vec![Transfer { from, to, amount: 7 * UNIT }];
    world.set_absent(2, true).unwrap();
    let payment = Payment { mpc, transfers, scope: Scope::All, confirm: false };
    assert_eq!(world.command(0, Command::Pay(payment)).unwrap(), []);
    world.time_out(mpc).unwrap();
    assert_eq!(holdings(&world), before);
    // It never comes back: the group dissolves, and nothing counts that was not complete.
    vanish(&mut world, 2);
    quiet(&mut world, 1, Command::DisputeMpc { mpc, exits: vec![] });
    let deadline = world.contract.query(&mut world.chain, &GetMpc { id: mpc }).unwrap().unwrap().deadline.unwrap();
    wait(&mut world, deadline);
    assert_eq!(holdings(&world), before);
    // Free again, and no version is signed twice.
    let tpc = between(&world, 0, 1);
    quiet(&mut world, 0, Command::PayTpc { tpc, amount: UNIT });
    let update = world.party(0).unwrap().evidence().tpcs[&tpc].latest.clone();
    let Some(UpdateTpc { entry, .. }) = update else { panic!("the payment is complete") };
    assert!(entry.version > 1, "version 1 was signed in the group");
}

#[test]
fn a_watcher_hears_what_the_contract_tells() {
    let mut world = world(2, STAKE);
    let tpc = open(&mut world, 0, 1);
    world.take_calls();
    quiet(&mut world, 0, Command::DisputeTpc(tpc));
    let receipt = world.take_calls().remove(0).receipt;
    let Some(Event::TpcDisputed(event)) = world.contract.event(&receipt.events[0]) else { panic!("{receipt:?}") };
    assert_eq!((event.tpc, event.epoch, event.version), (tpc, 0, 0));
    assert_eq!(event.deadline, world.chain.time() + WINDOW);
}
