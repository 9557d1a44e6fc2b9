//! Every run of small sets of channels, within bounds, against what the protocol promises to an honest party.
//!
//! # What is modelled
//! Every call runs the contract's real code, `protocol::contract`, over a host in memory ([`chain`]); the model decides
//! nothing that the contract decides. Off chain stand one or two honest parties ([`party`]), who follow the rules S1 to S8
//! of docs/protocol.md, and an adversary, who is all other parties, all other owners and the network at once ([`world`]).
//! The adversary
//! - drafts what is signed, in any order, and has whatever its own accounts can sign,
//! - withholds what others signed from anyone as long as it likes, and shows it at any time,
//! - brings anything that is signed to the chain at any time, as often as it likes, stale and expired things too,
//! - disputes any channel, to settle or to renew it, and settles what is due (which an honest party may do as well),
//! - lifts a channel of its own above any update that names it, closes it, tops it up, withdraws from it, splits it.
//!
//! A run of a scenario signs each thing in its list at most once. Each payment moves an amount that no other moves, in each
//! channel another, so that the balances that are paid out tell which updates they count. What an honest party signs follows
//! from the latest state that it has, so the balances carry their ancestry.
//!
//! Time moves by one window. A dispute so knows three times: just begun, its last moment, and over. An honest party answers
//! what it sees just begun before time moves; in the last moment nothing that it does counts on reaching the chain.
//! It may sign for a channel whose dispute has just begun, as if it had not seen it. Any other view that lags is the
//! same as signing earlier and having it withheld, which the adversary does anyway.
//!
//! # What must hold
//! [`Promise`](world::Promise) lists it: conservation, clocks, orders, consent and single use after each step; and in every
//! state that if all others stop, each honest party gets everything out by itself in one window, with every update that it
//! has signed counting on all its channels or on none (G1), and no channel below its latest complete state (G2).
//!
//! # What is not modelled
//! - Signatures and hashes are symbols: no forgery and no collision is looked for. Real ones are tested against vectors.
//! - The ledger always has enough, accounts can always receive, and all channels hold the native token. `tests/contract`
//!   has the refusals, tokens, deposits of storage, bounds of lists and events.
//! - Fees, weights, sizes of calls, and the finality of blocks. Who wins a race between two calls is open in every state.
//! - An honest party never loses its store and is never away for longer than it can answer.
//! - Joining and closing a registered group; several updates in one call. Both are `tests/contract`'s.
//! - Epochs are renewed once, or twice in random walks.
//!
//! # Bounds
//! By default: two updates and one more thing, over three channels among two honest parties and others, exhausted; walks
//! through scenarios of six things each. With `BRAID_MODEL=full` (`scripts/model`): eight topologies, also with a third update, and more walks.
#![allow(clippy::unwrap_used)]

mod chain;
#[path = "../common/mod.rs"]
mod common;
mod lists;
mod party;
mod walk;
mod world;

use chain::Mutant::{self, *};
use lists::{Third, TOPOLOGIES};
use stateright::{Checker, Model};
use std::{
    slice::from_ref,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};
use world::{
    Kind::{self, *},
    Promise, Scenario,
};

/// Whether the long version was asked for.
fn is_full() -> bool {
    match std::env::var("BRAID_MODEL").as_deref() {
        Ok("full") => true,
        Ok(other) => panic!("BRAID_MODEL is {other}: name `full`, or nothing"),
        Err(_) => false,
    }
}

/// Walks every run, demands that every promise is kept, and says how many states there are.
fn check(scenario: &Scenario) -> usize {
    let checker = scenario.clone().checker().spawn_bfs().join();
    if let Some(path) = checker.discovery(world::PROMISES) {
        let broken = scenario.broken(path.last_state());
        panic!("{scenario}: {broken:?} after {:?}", path.into_actions());
    }
    checker.unique_state_count()
}

/// Checks scenarios side by side, says how many states each has, and answers how many all have.
fn check_all(scenarios: &[Scenario]) -> usize {
    let (next, states) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            let count = check(scenario);
            states.fetch_add(count, Ordering::Relaxed);
            println!("{scenario}: {count} states");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    states.into_inner()
}

#[test]
fn two_updates_and_one_more_over_three_channels() {
    use Third::*;
    let is_full = is_full();
    let (topologies, thirds): (&[_], &[_]) = if is_full {
        (&TOPOLOGIES, &[Nothing, Close, TopUp, Withdraw, Split, Merge, Register, Renew, Update])
    } else {
        (&TOPOLOGIES[1..2], &[Close, TopUp, Split, Register, Renew])
    };
    let mut all = 0;
    for third in thirds {
        let start = Instant::now();
        let scenarios: Vec<_> =
            topologies.iter().flat_map(|channels| lists::lists(channels, *third, is_full)).collect();
        let states = check_all(&scenarios);
        println!("two updates and {third:?}: {} lists, {states} states, {:?}", scenarios.len(), start.elapsed());
        assert!(states > 1_000 * scenarios.len(), "the scenarios say nothing");
        all += states;
    }
    println!("all lists: {all} states");
}

#[test]
fn random_walks_through_everything_together() {
    let walks = if is_full() { 1_000_000 } else { 10_000 };
    let start = Instant::now();
    let walked = walk::walk(walks);
    println!("{walks} walks: {walked:?}, {:?}", start.elapsed());
    // Every kind of thing happens on chain, so that the walks are about all of them.
    assert!(walked.executed.iter().all(|count| *count > walks / 1_000), "{walked:?}");
}

/// Without a rule: the scenario that catches it, and the promise that it breaks there.
struct Without {
    mutant: Mutant,
    channels: &'static [&'static str],
    slots: Vec<Kind>,
    breaks: Promise,
    renewals: u32,
    forges: bool,
}

fn without(mutant: Mutant, channels: &'static [&'static str], slots: &[Kind], breaks: Promise) -> Without {
    Without { mutant, channels, slots: slots.to_vec(), breaks, renewals: 0, forges: false }
}

fn mutants() -> Vec<Without> {
    use Promise::*;
    // c0 and c1 are X's, f is foreign.
    let (one, two, with_f): (&[_], &[_], &[_]) = (&["XM"], &["XM", "XM"], &["XM", "XM", "MN"]);
    let (both, all, first) = (Update(vec![0, 1]), Update(vec![0, 1, 2]), Update(vec![0]));
    let both_then_first = [both.clone(), first.clone()];
    let all_then_first = [all.clone(), first.clone()];
    let forged = |without: Without| Without { forges: true, ..without };
    let renewing = |without: Without| Without { renewals: 1, ..without };
    vec![
        without(DueIsPassedOver, two, from_ref(&both), Atomicity),
        without(PartialPublication, two, from_ref(&both), Atomicity),
        without(EndsUnrecorded, two, from_ref(&both), Atomicity),
        renewing(without(RenewalsUnrecorded, two, from_ref(&both), Atomicity)),
        without(ReplacementOverlaps, two, &both_then_first, Atomicity),
        without(SkipsComplete, two, &both_then_first, Atomicity),
        without(AnswersOwnOnly, with_f, &all_then_first, NeverBelow),
        without(KeepsNewest, two, &both_then_first, NeverBelow),
        without(KeepsLatestOnAll, two, &both_then_first, NeverBelow),
        without(ConsentVoids, two, &[both.clone(), Close(0)], NeverBelow),
        without(EndsWithoutOrder, two, &both_then_first, NeverBelow),
        without(EndsWithoutOrderThoughAllAnswered, with_f, &all_then_first, NeverBelow),
        without(CompleteTooLate, two, &both_then_first, NeverBelow),
        without(CloseIsComplete, two, &[Close(0), both.clone()], Atomicity),
        without(UpdateReplacesClose, two, &[Close(0), both.clone()], Atomicity),
        without(ReplacedIsGone, with_f, &[both.clone(), all.clone(), first.clone()], Atomicity),
        without(VoidWhenDue, with_f, &all_then_first, Atomicity),
        without(VoidWhenDisputed, with_f, &all_then_first, Atomicity),
        without(WindowUnchecked, &["XM", "XM", "MN!"], &all_then_first, NeverBelow),
        without(OffChainSigned, &["XM", "XM", "MN?!"], &[all.clone(), first.clone(), Create(2)], NeverBelow),
        without(IdReused, with_f, &[all.clone(), first.clone(), Create(2)], NeverBelow),
        without(CloseWhenDue, with_f, &all_then_first, Atomicity),
        without(CloseIsRecorded, &["XM", "MN"], from_ref(&both), NeverBelow),
        forged(without(SignaturesUnchecked, one, from_ref(&first), NobodyIsDisturbed)),
        forged(without(SumsUnchecked, &["XM", "MN"], from_ref(&both), Conservation)),
        forged(without(OwnersUnchecked, one, from_ref(&first), NobodyIsDisturbed)),
        without(DisputeRestartsClock, one, from_ref(&first), ClocksStartOnce),
        without(AnswerRestartsClock, one, from_ref(&first), ClocksStartOnce),
        without(RegistrationsUncounted, one, &[Register(vec![0]), Leave(vec![0])], GoodOnce),
    ]
}

#[test]
fn every_mutant_is_caught_where_the_rules_hold() {
    for Without { mutant, channels, slots, breaks, renewals, forges } in mutants() {
        let scenario = Scenario { renewals, forges, ..Scenario::new(channels, slots) };
        let states = check(&scenario);
        let scenario = Scenario { mutant: Some(mutant), ..scenario };
        let checker = scenario.clone().checker().spawn_bfs().join();
        let path = checker.discovery(world::PROMISES).unwrap_or_else(|| panic!("{mutant:?} is not caught"));
        let broken = scenario.broken(path.last_state());
        println!("{mutant:?} breaks {breaks:?} by {:?} ({scenario}: {states} states)", path.into_actions());
        assert_eq!(broken, Some(breaks), "{mutant:?}");
    }
}

#[test]
fn no_mutant_is_forgotten() {
    let tested: Vec<_> = mutants().into_iter().map(|without| without.mutant).collect();
    for mutant in Mutant::ALL {
        assert!(tested.contains(mutant), "{mutant:?}");
    }
}
