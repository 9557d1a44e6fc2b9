//! Every run of small scenarios, within bounds, in which the honest party is the real engine: no second party is written by
//! hand. `contracts/protocol/tests/model` is the other way round: it has the rules as a party, and so knows what they promise.
//!
//! # What is modelled
//! X is an [`engine::Engine`] with its disk, behind a host that stores each step before its effects leave. The contract is the
//! real one over memory, `testkit::ledger`. The adversary is everybody else ([`world`], [`acts`]): it owns the other ends, a
//! channel that is foreign to X, and the network, and coordinates X's group. It
//! - asks X for updates over any channels, for closing, topping up and withdrawing, in any order, and consents or not,
//! - withholds what X signs, shows it complete at any time, and brings it to the chain at any time, stale or not,
//! - disputes any channel to settle or to renew it, settles what is due, lifts or closes its own channel at any time.
//!
//! X's application pays over two channels at once, leaves, or disputes to free itself. X's process dies at any point and starts
//! from its disk; it sees blocks at once, or sleeps and is one block late, and then gets the blocks or reads the storage. A
//! window is two blocks long, and [`engine::Policy::reaction`] as well: what an awake party needs that may be one block late.
//! X's calls reach the block that is being made, in their order, before or after whatever the adversary calls in it.
//!
//! # What must hold
//! [`Promise`] lists it. In every state all others stop, X leaves and is judged by what it is paid out ([`judge`]): each payment
//! moves an amount of its own, so balances tell which count. Of a payment all own channels count or none; no channel ends below
//! what was complete; X's books have as settled what counts; one content is signed for one order; tokens are conserved.
//!
//! # What is not modelled
//! Signatures are symbols. The engine is told apart by its records and by what is not stored of channels and rounds
//! ([`arena`]); when something is sent again is not told apart, as everything is with each block. Groups do not change. X has
//! one counterparty that acts, under two names.
//!
//! # Bounds
//! What is asked for is listed by the scenario, each thing once. Time moves for four blocks, more in an exit. By default two
//! updates, or an update and something else, over two channels of X's, and one update with a foreign one besides. With
//! `BRAID_MODEL=full` (`scripts/model`): three updates, two with a foreign channel, crashes and lag in all.
//!
//! # Bad hosts
//! A checker that finds nothing may be blind. With a host that loses records, calls or disputes, comes too late or allows too
//! little time, it must find the loss.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod acts;
mod arena;
mod chain;
#[path = "../common/mod.rs"]
mod common;
mod judge;
mod scenario;
mod search;
mod world;

use scenario::{gift, paid, through, Host, Paying, Scenario, Slot};
use search::Found;
use std::time::Duration;
use world::Promise;

/// Whether the long version was asked for.
fn is_full() -> bool {
    match std::env::var("BRAID_MODEL").as_deref() {
        Ok("full") => true,
        Ok(other) => panic!("BRAID_MODEL is {other}: name `full`, or nothing"),
        Err(_) => false,
    }
}

/// Two channels of X's with M; one of them and a foreign one; both.
const TWO: &[&str] = &["XM", "XM"];
const ONE_AND_FOREIGN: &[&str] = &["XM", "MN"];
const TWO_AND_FOREIGN: &[&str] = &["XM", "XM", "MN"];

/// An update for each set of channels, each with a payment of its own.
fn of_updates(names: &[&str], sets: &[&[usize]], host: Host) -> Scenario {
    let of_x = |channel: &&usize| names[**channel].contains('X');
    let payment = |set: &[usize]| match set.iter().filter(of_x).collect::<Vec<_>>()[..] {
        [own] => gift(*own),
        [first, second] => through(*first, *second),
        _ => panic!("an update over {set:?}"),
    };
    let payments: Vec<Paying> = sets.iter().map(|set| payment(set)).collect();
    let slots: Vec<Slot> =
        sets.iter().enumerate().map(|(number, set)| Slot::Update(set.to_vec(), vec![number])).collect();
    Scenario::new(names, &payments, &slots, host)
}

/// Updates over channels of X's with M.
fn two(sets: &[&[usize]]) -> Scenario {
    of_updates(TWO, sets, Host::Good)
}

/// An update over two channels, and something else that is asked for.
fn beside(other: Slot) -> Scenario {
    let slots = [Slot::Update(vec![0, 1], vec![0]), other];
    Scenario::new(TWO, &[through(0, 1)], &slots, Host::Good)
}

/// Walks everything that can happen, and demands that every promise is kept, and that the search was about all of it.
fn check(scenario: &Scenario) -> Found {
    let found = search::search(scenario, None);
    let Found { worlds, steps, parties, ledgers, time, asked, complete, settled, .. } = found;
    println!(
        "{scenario}: {worlds} worlds, {steps} steps, {parties} states of X, {ledgers} of the contract, {time:.1?}"
    );
    if let Some((promise, steps)) = &found.broken {
        panic!("{scenario}: {promise:?} is broken by {steps:?}");
    }
    assert_eq!(asked.count_ones() as usize, scenario.slots.len(), "something is never asked for");
    assert_eq!(settled.count_ones() as usize, scenario.payments.len(), "a payment never counts");
    assert!(complete > 0, "nothing is ever complete");
    found
}

fn check_all(scenarios: impl IntoIterator<Item = Scenario>) {
    let (mut worlds, mut time, mut count) = (0, Duration::ZERO, 0);
    for scenario in scenarios {
        let found = check(&scenario);
        worlds += found.worlds;
        time += found.time;
        count += 1;
    }
    println!("{count} scenarios: {worlds} worlds, {time:.1?}");
}

#[test]
fn two_updates() {
    check_all([two(&[&[0, 1], &[0]]), two(&[&[0, 1], &[0, 1]]), two(&[&[0], &[1]]), two(&[&[0], &[0]])]);
    check_all([Scenario { crashes: 1, ..two(&[&[0, 1], &[0]]) }]);
}

#[test]
fn two_updates_for_a_party_that_may_be_late() {
    check_all([Scenario { lags: true, ..two(&[&[0, 1], &[0]]) }]);
}

#[test]
fn an_update_and_something_else() {
    let (close, top_up, withdraw) = (Slot::Close(0), Slot::TopUp(0), Slot::Withdraw(0));
    check_all([close, top_up, withdraw, Slot::Leave, Slot::Renew(0)].map(beside));
}

#[test]
fn updates_that_name_a_foreign_channel() {
    check_all([
        of_updates(ONE_AND_FOREIGN, &[&[0, 1], &[0]], Host::Good),
        of_updates(TWO_AND_FOREIGN, &[&[0, 1, 2]], Host::Good),
    ]);
}

#[test]
fn rounds_that_it_leads() {
    let (lead, turn, update) = (Slot::Lead(0), Slot::Turn(0, 1), Slot::Update(vec![0, 1], vec![1]));
    let both = paid(&[0, 1]);
    check_all([
        Scenario::alone(TWO, &[both.clone(), gift(0)], &[lead.clone(), turn], Host::Good),
        Scenario::alone(TWO, &[both, through(0, 1)], &[lead, update], Host::Good),
    ]);
}

/// Hours.
#[test]
fn more_of_everything() {
    if !is_full() {
        return;
    }
    let harder = |scenario| Scenario { crashes: 1, lags: true, ..scenario };
    check_all([
        harder(two(&[&[0, 1], &[0]])),
        harder(two(&[&[0, 1], &[0, 1]])),
        harder(two(&[&[0], &[1]])),
        two(&[&[0, 1], &[0], &[1]]),
        two(&[&[0, 1], &[0, 1], &[0]]),
        Scenario { crashes: 1, ..two(&[&[0, 1], &[0], &[0, 1]]) },
        Scenario { renewals: 1, blocks: 5, ..two(&[&[0, 1], &[0]]) },
    ]);
    check_all([Slot::Close(0), Slot::TopUp(0), Slot::Withdraw(0), Slot::Leave, Slot::Renew(0)].map(beside).map(harder));
    check_all([false, true].map(|reversed| {
        let scenario = of_updates(TWO_AND_FOREIGN, &[&[0, 1, 2], &[0]], Host::Good);
        Scenario { reversed, ..scenario }
    }));
}

/// A host, a scenario in which it shows, and what it breaks there.
fn bad_hosts() -> Vec<(Scenario, Promise)> {
    use Promise::*;
    let with = |host, sets| of_updates(TWO, sets, host);
    let crashing = |scenario| Scenario { crashes: 1, ..scenario };
    let (payments, slots) = ([through(0, 1), gift(0)], [(vec![0, 1, 2], vec![0]), (vec![0], vec![1])]);
    let slots = slots.map(|(channels, payments)| Slot::Update(channels, payments));
    let short = Scenario::alone(&["XM", "XM", "MN!"], &payments, &slots, Host::Careless);
    vec![
        (with(Host::Late, &[&[0]]), NeverBelow),
        (with(Host::LosesCalls, &[&[0]]), NeverBelow),
        (with(Host::LosesDisputes, &[&[0]]), Recovery),
        (crashing(with(Host::LosesUpdates, &[&[0]])), NeverBelow),
        (crashing(with(Host::LosesUpdates, &[&[0]])), Books),
        (crashing(with(Host::LosesUpdates, &[&[0, 1], &[0]])), Atomicity),
        (crashing(with(Host::LosesOrders, &[&[0], &[0]])), OneContent),
        (crashing(with(Host::SendsFirst, &[&[0], &[0]])), OneContent),
        (with(Host::Hasty, &[&[0, 1], &[0]]), NeverBelow),
        (Scenario { lags: true, ..short }, NeverBelow),
    ]
}

#[test]
fn every_bad_host_is_caught() {
    for (scenario, breaks) in bad_hosts() {
        let found = search::search(&scenario, Some(breaks));
        let Some((promise, steps)) = found.broken else { panic!("{scenario} is not caught") };
        println!("{scenario} breaks {promise:?} by {steps:?} ({} worlds, {:.1?})", found.worlds, found.time);
        assert_eq!(promise, breaks, "{scenario}");
    }
}
