//! Every run of small channels and groups, within bounds, against the protocol's promises to an honest party.
//!
//! # What is modelled
//! The chain ([`chain`]) is the contract in small: real `Tpc`s, `Mpc`s and entries, and every step through the real
//! functions of `protocol::rules` and `protocol::phase`. Off chain stand honest parties ([`party`]), who follow the
//! client's rules, and an adversary, who is all other parties and the network at once. The adversary
//! - drafts whatever is signed, also with entries that do not fit and snapshots that are old,
//! - has what its own accounts can sign, and keeps what others signed from anyone as long as it likes,
//! - brings any signed agreement to the chain whenever the chain takes it, and disputes, with any exits, and settles,
//! - decides when an honest party sees what is on chain, before time next moves,
//! - and, in some scenarios, makes each honest party crash once and start again from its store.
//!
//! # What is abstract, and why
//! - A signature is a symbol that only its signer can hand out: no forgery is looked for. The real checks of who must
//!   have signed what are run on these symbols.
//! - Time moves in steps of the shortest window, so that a dispute knows three times: its start, its last moment, and
//!   after it. It moves only while a clock runs or an agreement has yet to expire, so that every run ends. Worlds that
//!   differ only in what time it is are one.
//! - An honest party that is up answers in time, or its watcher does: time does not pass a deadline while it has a newer
//!   complete update for that dispute that is not on chain.
//! - A scenario lists what can be signed in it, each once, and drafted from what its signers have at that moment. The
//!   payment in slot n moves 2^n, so that a balance tells which payments it counts. Who pays whom makes no difference to
//!   any rule.
//! - The ledger, top-ups, withdrawals and splits are left out.
//!
//! # What must hold
//! - [`CONSERVATION`](world::CONSERVATION): every channel is stored or paid out, never both, with its total.
//! - [`ATOMICITY`]: of each payment that an honest party has signed, all its own channels count it in the end, or none.
//! - [`NEVER_BELOW`]: in the end each channel of an honest party is at its newest complete state or a later one, and
//!   each complete payment that it has counts in all its own channels, or a replacement that it has signed does.
//! - [`RECOVERY`](world::RECOVERY): in every state each honest party gets all its funds out by itself, with nothing but
//!   time, and with the promises above kept.
//! - [`CLOCKS`]: a dispute ends when it was told to end at its start.
//! - [`TERMINATION`](world::TERMINATION): every run ends with everything paid out, so every dispute ends.
//!
//! A party that was down at a deadline with something to answer is promised only to get out what is on chain.
//!
//! Each mutant switches one rule off, and its test demands that the checker finds the promise broken.

mod chain;
mod party;
mod world;

use stateright::{Checker, HasDiscoveries, Model};
use std::time::Instant;
use world::{id, Kind::*, Mutation, Scenario, World, ATOMICITY, CLOCKS, NEVER_BELOW};

/// Walks every run, and says how many states there are.
fn check(name: &str, scenario: Scenario, at_least: usize) {
    let start = Instant::now();
    let checker = scenario.checker().spawn_bfs().join();
    let (states, steps, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    println!("{name}: {states} states, {steps} steps, {depth} deep, {:?}", start.elapsed());
    checker.assert_properties();
    assert!(states > at_least, "only {states} states");
}

/// Demands that the promise holds, and that without the rule it is broken, and says how, as shortly as possible.
fn check_mutant(mutation: Mutation, broken: &'static str, scenario: Scenario) {
    let start = Instant::now();
    scenario.clone().checker().spawn_bfs().join().assert_properties();
    let mutant = Scenario { mutation: Some(mutation), ..scenario };
    let mut states = 0;
    for depth in 2.. {
        let checker = mutant.clone().checker().target_max_depth(depth);
        let checker = checker.finish_when(HasDiscoveries::AnyOf([broken].into())).spawn_bfs().join();
        if let Some(path) = checker.discovery(broken) {
            println!("{mutation:?} breaks {broken}: {:?}, {:?}", path.into_actions(), start.elapsed());
            return;
        }
        assert!(checker.unique_state_count() > states, "{broken}, even with {mutation:?}");
        states = checker.unique_state_count();
    }
}

/// Whether all signatures of an update are there, but have not been shown to this honest party.
fn is_withheld(scenario: &Scenario, world: &World, slot: u8, from: char) -> bool {
    let party = world.party(from).expect("an honest party");
    party.signed.contains(&slot) && !party.held.contains(&slot) && scenario.publishable(world, slot)
}

fn is_member(world: &World, name: &'static str) -> bool {
    world.chain.tpcs.get(&id(name)).is_some_and(|tpc| world.chain.group_of(tpc).is_some())
}

#[test]
fn one_channel() {
    let scenario = Scenario {
        honest: "A",
        alone: &["AB"],
        possible: vec![(PayTpc, &["AB"]), (PayTpc, &["AB"]), (PayTpc, &["AB"]), (CloseTpc, &["AB"])],
        crashes: true,
        comes_to: Some(("a payment is withheld in a dispute", |scenario, world| {
            world.chain.tpcs.get(&id("AB")).is_some_and(|tpc| tpc.deadline == Some(world.chain.now))
                && is_withheld(scenario, world, 0, 'A')
        })),
        ..Scenario::default()
    };
    check("one channel, one honest owner", scenario.clone(), 70_000);
    let possible = vec![(PayTpc, &["AB"] as &[_]), (PayTpc, &["AB"]), (CloseTpc, &["AB"])];
    check("one channel, two honest owners", Scenario { honest: "AB", possible, comes_to: None, ..scenario }, 90_000);
}

#[test]
fn the_last_signer_withholds_an_update_until_the_deadline() {
    let scenario = Scenario {
        honest: "A",
        braided: &["AB", "AC"],
        possible: vec![(PayMpc, &["AB", "AC"]), (PayMpc, &["AC"]), (PayMpc, &["AB", "AC"])],
        crashes: true,
        comes_to: Some(("an update is withheld to the last moment", |scenario, world| {
            world.chain.mpcs.values().any(|mpc| mpc.deadline == Some(world.chain.now))
                && is_withheld(scenario, world, 0, 'A')
        })),
        ..Scenario::default()
    };
    check("withheld from one", scenario.clone(), 90_000);
    let scenario = Scenario {
        honest: "AB",
        braided: &["AB", "BC"],
        possible: vec![(PayMpc, &["AB", "BC"]), (PayMpc, &["AB"]), (PayMpc, &["AB", "BC"])],
        crashes: false,
        ..scenario
    };
    check("withheld from two", scenario, 80_000);
}

#[test]
fn a_channel_leaves_while_an_update_that_touches_it_is_in_flight() {
    let scenario = Scenario {
        honest: "A",
        braided: &["AB", "AC", "BC"],
        possible: vec![(PayMpc, &["AB", "BC"]), (LeaveMpc, &["BC"]), (JoinMpc, &["BC"]), (PayMpc, &["AB", "AC"])],
        comes_to: Some(("the update is in flight and its channel has left", |scenario, world| {
            is_withheld(scenario, world, 0, 'A') && world.chain.tpcs.contains_key(&id("BC")) && !is_member(world, "BC")
        })),
        ..Scenario::default()
    };
    check("a channel leaves", scenario.clone(), 120_000);
    let scenario = Scenario {
        honest: "AB",
        possible: vec![(PayMpc, &["AB", "BC"]), (LeaveMpc, &["BC"]), (PayMpc, &["AB", "AC"])],
        comes_to: None,
        ..scenario
    };
    check("a channel of an honest party leaves", scenario, 28_000);
}

#[test]
fn the_other_channel_of_an_update_is_closed_and_deleted() {
    let scenario = Scenario {
        honest: "A",
        braided: &["AB", "BC"],
        possible: vec![(PayMpc, &["AB", "BC"]), (LeaveMpc, &["BC"]), (CloseTpc, &["BC"]), (PayMpc, &["AB"])],
        comes_to: Some(("the update counts although its channel is deleted", |scenario, world| {
            world.chain.paid.contains_key(&id("BC")) && scenario.publishable(world, 0)
        })),
        ..Scenario::default()
    };
    check("a channel is deleted", scenario, 55_000);
}

#[test]
fn a_snapshot_is_older_than_what_is_signed() {
    let scenario = Scenario {
        honest: "A",
        braided: &["AB", "AC"],
        possible: vec![(LeaveMpc, &["AC"]), (PayMpc, &["AB", "AC"]), (CloseMpc, &["AB", "AC"]), (PayTpc, &["AC"])],
        comes_to: Some(("the snapshot is signed, and then a newer state", |_, world| {
            let party = world.party('A').expect("an honest party");
            let older = |snapshot| {
                let order = |slot| Some(world.agreement(slot)?.entry(id("AC"))?.order());
                order(snapshot) < order(1)
            };
            party.signed.contains(&0) && party.held.contains(&1) && older(0)
        })),
        ..Scenario::default()
    };
    check("an old snapshot", scenario, 11_000);
}

#[test]
fn a_channel_leaves_and_joins_again_while_old_updates_are_at_hand() {
    let scenario = Scenario {
        honest: "A",
        braided: &["AB", "AC"],
        possible: vec![
            (PayMpc, &["AB", "AC"]),
            (LeaveMpc, &["AC"]),
            (JoinMpc, &["AC"]),
            (PayMpc, &["AB", "AC"]),
            (PayTpc, &["AC"]),
        ],
        comes_to: Some(("the channel is back and the old update is live", |scenario, world| {
            world.chain.tpcs.get(&id("AC")).is_some_and(|tpc| tpc.epoch == 2) && scenario.publishable(world, 0)
        })),
        ..Scenario::default()
    };
    check("leave and join", scenario, 110_000);
}

#[test]
fn a_group_from_creation_to_closing() {
    let scenario = Scenario {
        honest: "AB",
        alone: &["AB", "BC"],
        possible: vec![
            (PayTpc, &["AB"]),
            (CreateMpc, &["AB", "BC"]),
            (PayMpc, &["AB", "BC"]),
            (CloseMpc, &["AB", "BC"]),
        ],
        comes_to: Some(("the group is closed", |_, world| {
            world.agreement(3).is_some()
                && world.chain.mpcs.is_empty()
                && world.chain.tpcs.values().all(|tpc| tpc.mpc.is_some())
        })),
        ..Scenario::default()
    };
    check("creation to closing", scenario, 30_000);
}

#[test]
fn a_group_dissolves_and_forms_again_while_old_updates_are_at_hand() {
    let scenario = Scenario {
        honest: "A",
        braided: &["AB", "AC"],
        possible: vec![(PayMpc, &["AB", "AC"]), (CreateMpc, &["AB", "AC"]), (PayMpc, &["AB", "AC"])],
        comes_to: Some(("the old update is withheld and there are two groups", |_, world| {
            let party = world.party('A').expect("an honest party");
            party.signed.contains(&0) && !party.held.contains(&0) && world.chain.mpcs.len() == 2
        })),
        ..Scenario::default()
    };
    check("dissolve and form", scenario, 13_000);
}

#[test]
fn three_honest_parties_and_a_hostile_network() {
    let scenario = Scenario {
        honest: "ABC",
        braided: &["AB", "AC", "BC"],
        possible: vec![(PayMpc, &["AB", "BC"]), (PayMpc, &["AC"])],
        ..Scenario::default()
    };
    check("three honest", scenario, 14_000);
}

/// A and its channels with B and C in one group.
fn small(possible: &[(world::Kind, &'static [&'static str])]) -> Scenario {
    Scenario { honest: "A", braided: &["AB", "AC"], possible: possible.to_vec(), ..Scenario::default() }
}

#[test]
fn without_one_update_in_flight_at_a_time() {
    let scenario = small(&[(PayMpc, &["AB", "AC"]), (PayMpc, &["AC"])]);
    check_mutant(Mutation::SignsWhileInFlight, ATOMICITY, scenario);
}

#[test]
fn without_staying_while_an_update_is_in_flight() {
    let scenario = small(&[(PayMpc, &["AB", "AC"]), (LeaveMpc, &["AC"])]);
    check_mutant(Mutation::LeavesWhileInFlight, ATOMICITY, scenario);
}

#[test]
fn without_snapshots_of_the_newest_state() {
    let scenario = small(&[(PayMpc, &["AB", "AC"]), (LeaveMpc, &["AC"])]);
    check_mutant(Mutation::SignsOldSnapshot, NEVER_BELOW, scenario);
}

#[test]
fn without_saving_before_sending() {
    let scenario = Scenario { crashes: true, ..small(&[(PayMpc, &["AB", "AC"]), (PayMpc, &["AC"])]) };
    check_mutant(Mutation::SignsBeforeSaving, ATOMICITY, scenario);
}

#[test]
fn without_passing_over_what_does_not_fit() {
    let scenario = Scenario { braided: &["AB", "BC"], ..small(&[(PayMpc, &["AB", "BC"])]) };
    check_mutant(Mutation::UnfitRefusesAll, NEVER_BELOW, scenario);
}

#[test]
fn without_a_new_epoch_at_the_entrance() {
    let scenario = small(&[(PayMpc, &["AC"]), (LeaveMpc, &["AC"]), (JoinMpc, &["AC"]), (PayMpc, &["AC"])]);
    check_mutant(Mutation::EnteringKeepsEpoch, NEVER_BELOW, scenario);
}

#[test]
fn without_a_group_that_holds_its_channels() {
    check_mutant(Mutation::MembersActAlone, ATOMICITY, small(&[(PayMpc, &["AB", "AC"])]));
}

#[test]
fn without_a_last_moment_for_answers() {
    check_mutant(Mutation::AnswerAfterDeadline, ATOMICITY, small(&[(PayMpc, &["AB", "AC"])]));
}

#[test]
fn without_a_clock_that_starts_once() {
    check_mutant(Mutation::AnswerRestartsClock, CLOCKS, small(&[(PayMpc, &["AB", "AC"])]));
}
