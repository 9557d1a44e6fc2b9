//! What a commit costs, beside the least that a disk asks for the same bytes, and beside redb alone.
//! `BRAID_BENCH_FOLDER` says on which disk.
//!
//! They take turns, so that whatever else the machine does hits all of them. `cargo bench -p braid --bench store`

#![allow(clippy::unwrap_used)] // A failure here fails the benchmark.

use braid::store::Store;
use engine::record::{Change, Store as _};
use protocol::Domain;
use redb::{Database, TableDefinition};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::PathBuf,
    time::{Duration, Instant},
};

/// As long as a channel's record.
const VALUE: usize = 300;
/// How many records the store has.
const RECORDS: u64 = 10_000;
/// The length of the plain file, which is written over and over and never grows.
const PLAIN: usize = 4 << 20;
const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

fn record(number: u64, round: usize) -> Change {
    // Keys are hashes, so they lie all over the tree.
    let key = [&[1], &number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[..]].concat();
    Change { key, value: Some(vec![round as u8; VALUE]) }
}

/// Writes bytes at the file's next place and waits until they are durable.
fn append(file: &File, at: &mut usize, bytes: &[u8]) {
    if *at + bytes.len() > PLAIN {
        *at = 0;
    }
    file.write_all_at(bytes, *at as u64).unwrap();
    file.sync_data().unwrap();
    *at += bytes.len();
}

fn commit(database: &Database, changes: &[Change]) {
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(TABLE).unwrap();
        for Change { key, value } in changes {
            table.insert(key.as_slice(), value.as_deref().unwrap()).unwrap();
        }
    }
    write.commit().unwrap();
}

#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn add(&mut self, work: impl FnOnce()) {
        let start = Instant::now();
        work();
        self.0.push(start.elapsed());
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64() / self.0.len() as f64
    }

    fn median(&self) -> f64 {
        let mut times = self.0.clone();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    }
}

fn main() {
    let folder = std::env::var_os("BRAID_BENCH_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let domain = Domain { genesis_hash: [1; 32], contract: [2; 32].into() };
    let mut store = Store::open(&folder.path().join("store"), [3; 32].into(), domain).unwrap();
    let database = Database::create(folder.path().join("alone")).unwrap();
    let all: Vec<_> = (0..RECORDS).map(|number| record(number, 0)).collect();
    store.commit(all.clone()).unwrap();
    commit(&database, &all);
    let plain = tempfile::tempfile_in(folder.path()).unwrap();
    plain.write_all_at(&vec![1; PLAIN], 0).unwrap();
    plain.sync_all().unwrap();

    println!("How often a second, and how long beside the fsync: mean (median).");
    println!("| records a commit | fsync of the bytes | store | redb alone | store : fsync | redb : fsync | longest commit |");
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    let mut at = 0;
    for (size, rounds) in [(1u64, 3_000usize), (10, 2_000), (100, 300), (1_000, 60)] {
        let [mut fsync, mut kept, mut alone] = [(); 3].map(|()| Times::default());
        for round in 0..rounds {
            let first = round as u64 * size;
            let changes: Vec<_> = (first..first + size).map(|number| record(number % RECORDS, round)).collect();
            let bytes: Vec<u8> = changes.iter().flat_map(|change| change.value.clone().unwrap()).collect();
            fsync.add(|| append(&plain, &mut at, &bytes));
            kept.add(|| store.commit(changes.clone()).unwrap());
            alone.add(|| commit(&database, &changes));
        }
        let beside =
            |times: &Times| format!("{:.2} ({:.2})", times.mean() / fsync.mean(), times.median() / fsync.median());
        println!(
            "| {size} | {:.0} | {:.0} | {:.0} | {} | {} | {:.0} ms |",
            1.0 / fsync.mean(),
            1.0 / kept.mean(),
            1.0 / alone.mean(),
            beside(&kept),
            beside(&alone),
            kept.0.iter().max().unwrap().as_secs_f64() * 1e3,
        );
    }
}
