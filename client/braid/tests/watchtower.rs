//! A watchtower at work: it holds nothing but the signed states that users have left with it, and a purse of its own for fees.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

#[path = "on_chain/neighbours.rs"]
mod neighbours;

use braid::{
    evidence,
    watchtower::{Said, Watchtower, Why},
};
use chain::{embedded::SharedChain, keys::Keys};
use devchain::UNIT;
use neighbours::*;
use protocol::{abi::DisputeChannels, AccountId, Resolution, TpcId};
use std::path::PathBuf;
use tempfile::TempDir;

fn dispute_by_hand(world: &mut World, user: usize, tpc: TpcId, then: Resolution) -> u64 {
    world.call(user, 0, &DisputeChannels { channels: vec![tpc], then }).unwrap();
    deadline(world, tpc)
}

/// Writes what a user's states rest on now, as its party does.
fn keep(world: &World, user: usize, folder: &TempDir) -> PathBuf {
    let path = folder.path().join(user.to_string());
    evidence::save(&path, &world.engine(user).unwrap().evidence()).unwrap();
    path
}

/// A watchtower of a stranger, who has a little for fees.
async fn build(world: &World, files: Vec<PathBuf>) -> Watchtower<SharedChain> {
    let purse = Keys::from_suri("//Ferdie").unwrap();
    Watchtower::new(world.chain.clone(), world.contract.clone(), purse, files).await.unwrap()
}

/// Lets a watchtower look once.
async fn look(tower: &mut Watchtower<SharedChain>) -> Vec<Said> {
    let mut said = vec![];
    tower.look_once(|one| said.push(one)).await.unwrap();
    said
}

/// The calls that a watchtower has made when it has looked once. None of them may fail.
async fn calls_of(tower: &mut Watchtower<SharedChain>) -> Vec<(&'static str, Why)> {
    let said = look(tower).await.into_iter();
    let made = said.filter_map(|one| match one {
        Said::Brought { message, why, outcome } => {
            assert!(outcome.is_ok(), "{message}: {outcome:?}");
            Some((message, why))
        }
        Said::Trouble(trouble) => panic!("{trouble}"),
        _ => None,
    });
    made.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_watchtower_needs_nothing_but_the_signed_states() {
    let mut world = world(3);
    open_all(&mut world);
    let tpc = between(&world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    let old = newest(&world, 0);
    pay_alone(&mut world, tpc, 0, 1, 50 * UNIT);
    let folder = tempfile::tempdir().unwrap();
    let states = keep(&world, 1, &folder);
    (0..3).for_each(|user| world.leave(user, false).unwrap());
    let mut tower = build(&world, vec![states]).await;
    assert_eq!(calls_of(&mut tower).await, []);
    publish(&mut world, 0, old);
    let deadline = dispute_by_hand(&mut world, 0, tpc, Resolution::Settle);
    assert_eq!(calls_of(&mut tower).await, [("update", Why::Answer)]);
    let paid = [STAKE - 51 * UNIT, STAKE + 51 * UNIT];
    assert_eq!(stored(&mut world, tpc).unwrap().balances, paid);
    assert_eq!(calls_of(&mut tower).await, [], "once is enough");
    assert_eq!(tower.next_deadline(), Some(deadline + WINDOW), "strangers wait for one window more");
    wait(&mut world, deadline);
    assert_eq!(calls_of(&mut tower).await, [], "the owners come first");
    let before = free(&mut world, 1);
    wait(&mut world, deadline + WINDOW);
    assert_eq!(calls_of(&mut tower).await, [("settle", Why::Settle)]);
    assert_eq!(free(&mut world, 1), before + paid[1]);
    assert_eq!(calls_of(&mut tower).await, [], "once is enough");
    assert_eq!(tower.next_deadline(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_watchtower_that_starts_in_a_dispute_finds_it_and_answers() {
    for then in [Resolution::Settle, Resolution::Renew] {
        let mut world = world(2);
        let tpc = open(&mut world, 0, 1);
        pay_alone(&mut world, tpc, 0, 1, UNIT);
        let folder = tempfile::tempdir().unwrap();
        let states = keep(&world, 1, &folder);
        let newest = newest(&world, 1).update.entries[0].version;
        (0..2).for_each(|user| world.leave(user, false).unwrap());
        dispute_by_hand(&mut world, 0, tpc, then);
        let mut tower = build(&world, vec![states]).await;
        assert_eq!(calls_of(&mut tower).await, [("update", Why::Answer)]);
        assert_eq!(stored(&mut world, tpc).unwrap().version, newest);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_watchtower_that_comes_second_leaves_it_at_that() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    let folder = tempfile::tempdir().unwrap();
    // Both owners have left their states with it: the update is in both files, and brought once.
    let states: Vec<_> = (0..2).map(|user| keep(&world, user, &folder)).collect();
    let mut first = build(&world, states.clone()).await;
    let mut second = build(&world, states).await;
    assert_eq!(calls_of(&mut second).await, []);
    (0..2).for_each(|user| world.leave(user, false).unwrap());
    dispute_by_hand(&mut world, 0, tpc, Resolution::Settle);
    assert_eq!(calls_of(&mut first).await, [("update", Why::Answer)]);
    assert_eq!(calls_of(&mut second).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_watchtower_takes_over_newer_states_while_it_watches() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    let folder = tempfile::tempdir().unwrap();
    let states = keep(&world, 1, &folder);
    let mut tower = build(&world, vec![states]).await;
    assert_eq!(calls_of(&mut tower).await, []);
    // Another channel, and a newer state of the first, after it has started.
    let second = open_with(&mut world, 0, 1, 1);
    pay_alone(&mut world, second, 0, 1, 3 * UNIT);
    pay_alone(&mut world, tpc, 0, 1, 4 * UNIT);
    keep(&world, 1, &folder);
    (0..2).for_each(|user| world.leave(user, false).unwrap());
    for disputed in [tpc, second] {
        dispute_by_hand(&mut world, 0, disputed, Resolution::Settle);
    }
    assert!(calls_of(&mut tower).await.iter().all(|(_, why)| *why == Why::Answer));
    assert_eq!(stored(&mut world, tpc).unwrap().balances, [STAKE - 5 * UNIT, STAKE + 5 * UNIT]);
    assert_eq!(stored(&mut world, second).unwrap().balances, [STAKE - 3 * UNIT, STAKE + 3 * UNIT]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_file_that_breaks_is_told_once_and_what_was_read_before_is_watched_on() {
    let mut world = world(2);
    let tpc = open(&mut world, 0, 1);
    pay_alone(&mut world, tpc, 0, 1, UNIT);
    let folder = tempfile::tempdir().unwrap();
    let states = keep(&world, 1, &folder);
    let mut tower = build(&world, vec![states.clone()]).await;
    let guards = |said: &[Said], whose: AccountId| {
        said.iter().any(|one| matches!(one, Said::Guards { user, channels: 1, updates: 1, .. } if *user == whose))
    };
    assert!(guards(&look(&mut tower).await, account(&world, 1)));
    let good = std::fs::read(&states).unwrap();
    assert!(evidence::from_bytes(&good[1..]).is_err());
    std::fs::write(&states, &good[1..]).unwrap();
    let troubles = |said: &[Said]| said.iter().filter(|one| matches!(one, Said::Trouble(_))).count();
    assert_eq!(troubles(&look(&mut tower).await), 1);
    assert_eq!(troubles(&look(&mut tower).await), 0);
    (0..2).for_each(|user| world.leave(user, false).unwrap());
    dispute_by_hand(&mut world, 0, tpc, Resolution::Settle);
    assert_eq!(calls_of(&mut tower).await, [("update", Why::Answer)]);
    std::fs::write(&states, good).unwrap();
    assert!(guards(&look(&mut tower).await, account(&world, 1)));
}
