//! Worlds in which everything goes wrong: nobody honest loses anything, and when it is over nothing hangs.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use protocol::Asset;
use testkit::{
    signers::Scheme,
    town::{Town, FUNDS, TOKEN},
    world::Weather,
};

/// How many seeds CI runs.
const SEEDS: u64 = 1_000;

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("BRAID_SEEDS") {
        Ok(range) => {
            let (first, last) = range.split_once("..").unwrap_or((&range, ""));
            let first = first.parse().unwrap();
            first..last.parse().unwrap_or(first + 1)
        }
        Err(_) => 0..SEEDS,
    }
}

/// Runs one world and answers how many payments were settled in it.
fn world(seed: u64) -> usize {
    let mut rng = fastrand::Rng::with_seed(seed);
    let n = rng.usize(2..=8);
    let liars = if seed.is_multiple_of(2) { 0 } else { rng.usize(1..=n / 2) };
    let mut town = Town::new(seed, Scheme::Symbols, n, liars);
    town.world.trace = std::env::var_os("BRAID_TRACE").is_some();
    let weather = match seed % 3 {
        0 => Weather { crashes: 0, ..Weather::STORM },
        _ => Weather::STORM,
    };
    town.storm(weather, 60);
    let quiet = town.world.heal(400_000);
    if liars == 0 {
        assert!(quiet, "something hangs: {}", hanging(&town));
        agree_on_outcomes(&town);
    }
    town.exit();
    assert!(town.world.heal(400_000), "something hangs at the end: {}", hanging(&town));
    for user in town.users.iter().filter(|user| town.world.is_honest(**user)) {
        for asset in [Asset::Native, TOKEN] {
            let expected = i128::try_from(FUNDS).unwrap() + town.world.gained(*user, asset);
            let has = i128::try_from(town.world.free(*user, asset)).unwrap();
            assert_eq!(has, expected, "user {user} of {asset:?}");
        }
    }
    town.users.iter().map(|user| town.world.past(*user).len()).sum()
}

/// What every honest payer says is settled, every honest payee says too, and nothing else.
fn agree_on_outcomes(town: &Town) {
    for asset in [Asset::Native, TOKEN] {
        let sum: i128 = town.users.iter().map(|user| town.world.gained(*user, asset)).sum();
        assert_eq!(sum, 0, "payers and payees do not agree on {asset:?}");
    }
}

fn hanging(town: &Town) -> String {
    let mut text = String::new();
    for node in town.users.iter().chain(&town.coordinators) {
        let Some(engine) = town.world.engine(*node).filter(|engine| engine.is_waiting()) else { continue };
        text += &format!("\nnode {node} ({:?}):", engine.account());
        for (id, held) in engine.held().filter(|(_, held)| held.in_flight) {
            let tpcs: Vec<_> = held.update.entries.iter().map(|entry| (entry.tpc, entry.order())).collect();
            text += &format!(
                "\n  in flight {:02x?} {:?} {:?} all={} {tpcs:?}",
                &id[..3],
                held.right,
                held.round,
                held.signatures.is_some()
            );
        }
        for payment in engine.pending() {
            text += &format!("\n  pending {payment:?}");
        }
        text += &format!("\n  rounds {}", engine.describe_rounds());
    }
    text
}

#[test]
fn nobody_honest_loses_anything_and_nothing_hangs() {
    let mut settled = 0;
    let mut failed = vec![];
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let range = seeds();
    let results: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let range = range.clone();
                scope.spawn(move || {
                    let own = range.filter(|seed| seed % threads == thread);
                    own.map(|seed| (seed, std::panic::catch_unwind(|| world(seed)))).collect::<Vec<_>>()
                })
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    });
    for (seed, result) in results {
        match result {
            Ok(payments) => settled += payments,
            Err(_) => failed.push(seed),
        }
    }
    println!("{} worlds, {settled} payments decided", range.end - range.start);
    assert!(failed.is_empty(), "replay with BRAID_SEEDS=<seed>: {failed:?}");
    assert!(settled > 0);
}
