//! A party's store: what it keeps, whom it refuses, and what is left of it after a crash.

#![allow(clippy::unwrap_used)] // A failure here fails the test.

#[path = "store/disk.rs"]
mod disk;

use braid::store::{backup, Error, Reader, Store};
use codec::Encode;
use disk::{Disk, Fault, Files, Torn};
use engine::{
    payment::{Outcome, Past, Payment, PaymentId},
    record::{Change, Store as _},
    Engine, PAST,
};
use protocol::{AccountId, Domain};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path};

fn alice() -> AccountId {
    [1; 32].into()
}

fn domain() -> Domain {
    Domain { genesis_hash: [7; 32], contract: [8; 32].into() }
}

fn put(key: &[u8], value: &[u8]) -> Change {
    Change { key: key.to_vec(), value: Some(value.to_vec()) }
}

fn past(number: u64) -> Change {
    let past = Past {
        payment: Payment { id: PaymentId { by: alice(), number }, transfers: vec![] },
        outcome: Outcome::Settled,
        at: number,
    };
    put(&(PAST, number.to_be_bytes()).encode(), &(1u8, past).encode())
}

/// The cursor's record, which an engine can load.
fn cursor(block: u32) -> Change {
    put(&[11], &(1u8, block, u64::from(block) * 1000).encode())
}

fn open(disk: &Disk) -> Result<Store, Error> {
    Store::open_on(disk.tree(), disk.log(), alice(), domain())
}

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn content(store: &Store) -> State {
    let records = store.records().unwrap();
    let records = records.iter().map(|(key, value)| (key.to_vec(), value.to_vec()));
    let history = store.reader().history(0, usize::MAX).unwrap().into_iter();
    let history = history.map(|(number, past)| ((PAST, number.to_be_bytes()).encode(), (1u8, past).encode()));
    records.chain(history).collect()
}

/// Some dozens of commits, with records that are new, changed, longer than a page, and deleted.
fn commits() -> Vec<Vec<Change>> {
    let commit = |number: u32| {
        let byte = number as u8;
        let mut changes = vec![cursor(number), put(&[1, byte % 7], &vec![byte; 40 + 97 * (number as usize % 5)])];
        if number.is_multiple_of(3) {
            changes.push(past(u64::from(number / 3)));
        }
        if number.is_multiple_of(5) {
            changes.push(put(&[2, byte], &vec![byte; 9_000]));
        }
        if number % 5 == 4 && number > 5 {
            changes.push(Change { key: vec![2, byte - 4], value: None });
        }
        if number == 20 {
            changes.extend((0..100).map(|key| put(&[3, key], &vec![key; 300])));
        }
        if number == 25 {
            changes.extend((0..90).map(|key| Change { key: vec![3, key], value: None }));
        }
        changes
    };
    (0..36).map(commit).collect()
}

/// The state after no commit, after the first, and so on.
fn states(commits: &[Vec<Change>]) -> Vec<State> {
    let mut states = vec![State::new()];
    for changes in commits {
        let mut state = states[states.len() - 1].clone();
        for Change { key, value } in changes {
            match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
        }
        states.push(state);
    }
    states
}

fn torn(operation: u64) -> impl Iterator<Item = Torn> {
    let some = (0..4).map(move |seed| Torn::Some(operation * 4 + seed));
    [Torn::Nothing, Torn::Everything, Torn::Prefix(1), Torn::Prefix(5), Torn::Prefix(12)].into_iter().chain(some)
}

/// Commits until the disk fails. How many commits were acknowledged.
fn run(disk: &Disk, commits: &[Vec<Change>]) -> Option<usize> {
    let mut store = open(disk).ok()?;
    for (acknowledged, changes) in commits.iter().enumerate() {
        if let Err(error) = store.commit(changes.clone()) {
            assert!(matches!(error, Error::Disk { .. }), "{error}");
            for _ in 0..2 {
                let stopped = store.commit(changes.clone()).unwrap_err();
                assert!(matches!(stopped, Error::Stopped { .. }), "{stopped}");
            }
            assert!(matches!(store.set_unconfirmed(true), Err(Error::Stopped { .. })));
            return Some(acknowledged);
        }
    }
    Some(commits.len())
}

/// A store that was begun and closed, with a log of six pages: it starts again every few commits.
fn new_files() -> Files {
    let disk = Disk::new([vec![], vec![0; 6 * 4096]]);
    drop(open(&disk).unwrap());
    disk.files()
}

/// After `acknowledged` commits the store may hold those, or the next too.
fn check(disk: &Disk, states: &[State], acknowledged: usize, about: &str) -> (Store, State) {
    let store = open(disk).unwrap_or_else(|error| panic!("{about}: {error}"));
    let state = content(&store);
    assert!(state == states[acknowledged] || Some(&state) == states.get(acknowledged + 1), "{about}");
    (store, state)
}

#[test]
fn after_a_fault_at_any_operation_the_store_holds_the_last_acknowledged_commit_or_the_next() {
    let commits = commits();
    let states = states(&commits);
    let new = new_files();
    let healthy = Disk::new(new.clone());
    assert_eq!(run(&healthy, &commits), Some(commits.len()));
    let mut seen = 0u64;
    for operation in 1..=healthy.operations() {
        for fault in [Fault::Crash, Fault::Full, Fault::BadSync] {
            let disk = Disk::new(new.clone()).fail(operation, fault);
            let acknowledged = run(&disk, &commits).unwrap_or(0);
            for torn in torn(operation) {
                let about = format!("{fault:?} at {operation}, {torn:?}, {acknowledged} acknowledged");
                let disk = disk.after_crash(torn);
                let (mut store, state) = check(&disk, &states, acknowledged, &about);
                // It goes on from there, and so it does if the process is killed at once.
                store.commit(vec![put(&[9], b"after")]).unwrap();
                let (_killed, disk) = (std::mem::ManuallyDrop::new(store), disk.after_crash(Torn::Nothing));
                let after = content(&open(&disk).unwrap());
                assert_eq!((after.len(), after.get(&vec![9])), (state.len() + 1, Some(&b"after".to_vec())), "{about}");
                seen += 1;
            }
        }
    }
    assert!(seen > 3_000, "only {seen} crashes were tried");
}

#[test]
fn a_crash_while_a_crash_is_repaired_loses_nothing() {
    let commits = commits();
    let states = states(&commits);
    let new = new_files();
    for first in (1..160).step_by(11) {
        let disk = Disk::new(new.clone()).fail(first, Fault::Crash);
        let acknowledged = run(&disk, &commits).unwrap_or(0);
        for torn_first in torn(first).step_by(3) {
            let crashed = disk.after_crash(torn_first);
            let healthy = Disk::new(crashed.files());
            drop(open(&healthy).unwrap());
            for second in 1..=healthy.operations() {
                let again = Disk::new(crashed.files()).fail(second, Fault::Crash);
                drop(open(&again));
                assert!(again.struck());
                for torn_second in torn(second).step_by(3) {
                    let about = format!("{first} {torn_first:?}, {second} {torn_second:?}");
                    check(&again.after_crash(torn_second), &states, acknowledged, &about);
                }
            }
        }
    }
}

#[test]
fn bytes_that_the_disk_has_changed_are_an_error_or_change_nothing() {
    let disk = Disk::new(new_files());
    assert_eq!(run(&disk, &commits()), Some(36));
    let [tree, log] = disk.files();
    let with = |tree: &[u8]| open(&Disk::new([tree.to_vec(), log.clone()]));
    let good = content(&with(&tree).unwrap());
    let mut refused = 0;
    for offset in (0..tree.len()).step_by(61) {
        let mut tree = tree.clone();
        tree[offset] ^= 1 << (offset % 8);
        match with(&tree) {
            Ok(store) => assert_eq!(content(&store), good, "byte {offset}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "only {refused} changes were noticed");
    for length in [1, 100, 4096, tree.len() / 2, tree.len() - 1] {
        assert!(with(&tree[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn a_log_that_has_lost_an_entry_is_refused_unless_it_may_be_one_that_nobody_was_told_of() {
    let commits = &commits()[..4];
    let states = states(commits);
    let disk = Disk::new([new_files()[0].clone(), vec![]]);
    let mut store = open(&disk).unwrap();
    commits.iter().for_each(|changes| store.commit(changes.clone()).unwrap());
    std::mem::forget(store);
    let [tree, log] = disk.files();
    assert_eq!(log.len(), 4 << 20);
    let with = |log: Vec<u8>| open(&Disk::new([tree.clone(), log]));
    assert_eq!(content(&with(log.clone()).unwrap()), states[4]);
    // The first commit has a record of three pages.
    let last = 5 * 4096;
    for offset in (0..24_000).step_by(37).chain([0, 4, 12, 28, last, last + 4, last + 12, last + 28]) {
        let mut log = log.clone();
        log[offset] ^= 1 << (offset % 8);
        match with(log) {
            Ok(store) if offset >= last => assert!(states[3..].contains(&content(&store)), "byte {offset}"),
            Ok(store) => assert_eq!(content(&store), states[4], "byte {offset} is none of an entry"),
            Err(error) => assert!(matches!(error, Error::Damaged { .. }), "{error}"),
        }
    }
    assert!(matches!(with(log[..9_000].to_vec()), Err(Error::Damaged { .. })));
    assert!(
        matches!(with(vec![]), Err(Error::Damaged { .. })),
        "without its log a store that was not closed is refused"
    );
    let closed = Disk::new([tree.clone(), log]);
    drop(open(&closed).unwrap());
    assert_eq!(
        content(&open(&Disk::new([closed.files()[0].clone(), vec![]])).unwrap()),
        states[4],
        "a closed store needs none"
    );
}

#[test]
fn a_store_keeps_what_was_committed_and_counts_its_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("party");
    let commits = commits();
    let mut store = Store::open(&path, alice(), domain()).unwrap();
    assert!(store.records().unwrap().is_empty());
    assert_eq!((store.header().starts, store.header().restored_at, store.header().unconfirmed), (1, None, false));
    let header = store.header().clone();
    commits.iter().for_each(|changes| store.commit(changes.clone()).unwrap());
    drop(store);
    let mut store = Store::open(&path, alice(), domain()).unwrap();
    assert_eq!(content(&store), states(&commits)[commits.len()]);
    assert_eq!(store.header().starts, 2);
    assert_eq!((store.header().id, store.header().generation), (header.id, header.generation));
    store.set_unconfirmed(true).unwrap();
    drop(store);
    assert!(Store::open(&path, alice(), domain()).unwrap().header().unconfirmed);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(["redb", "log", "lock"].map(|end| mode(&path.join(format!("store.{end}")))), [0o600; 3]);
}

#[test]
fn history_is_read_from_a_number_or_from_the_end() {
    let mut store = open(&Disk::default()).unwrap();
    let numbers =
        |past: Result<Vec<(u64, Past)>, Error>| past.unwrap().iter().map(|(number, _)| *number).collect::<Vec<_>>();
    assert!(numbers(store.reader().latest(None, 9)).is_empty());
    store.commit((0..300).map(past).collect()).unwrap();
    let reader = store.reader();
    assert_eq!(numbers(reader.history(254, 4)), [254, 255, 256, 257]);
    assert_eq!(numbers(reader.history(298, 9)), [298, 299]);
    assert_eq!(numbers(reader.latest(None, 2)), [299, 298]);
    assert_eq!(numbers(reader.latest(Some(257), 3)), [256, 255, 254]);
    assert_eq!(reader.history(7, 1).unwrap()[0].1.at, 7);
    assert!(store.records().unwrap().is_empty(), "history is not among the records");
}

#[test]
fn a_store_is_refused_to_others_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let store = Store::open(path, alice(), domain()).unwrap();
    let in_use = Store::open(path, alice(), domain()).unwrap_err();
    assert!(matches!(&in_use, Error::InUse { pid: Some(pid), .. } if *pid == std::process::id()), "{in_use}");
    let text = in_use.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains(&std::process::id().to_string()), "{text}");
    drop(store);
    let other = Store::open(path, [2; 32].into(), domain()).unwrap_err();
    assert!(matches!(other, Error::OtherAccount { .. }), "{other}");
    let elsewhere = Domain { genesis_hash: [9; 32], ..domain() };
    let other = Store::open(path, alice(), elsewhere).unwrap_err();
    assert!(matches!(other, Error::OtherDeployment { .. }), "{other}");
    assert_eq!(Store::open(path, alice(), domain()).unwrap().header().starts, 2, "a refusal is no start");

    let strange = folder.path().join("strange");
    std::fs::create_dir(&strange).unwrap();
    std::fs::write(strange.join("store.redb"), vec![3; 5_000]).unwrap();
    let foreign = Store::open(&strange, alice(), domain()).unwrap_err();
    assert!(matches!(foreign, Error::Foreign { .. }), "{foreign}");
    assert_eq!(std::fs::read(strange.join("store.redb")).unwrap(), vec![3; 5_000]);
    assert!(Reader::open(&folder.path().join("nothing")).is_err());
    assert!(!folder.path().join("nothing").exists());
}

#[test]
fn a_backup_of_a_store_at_work_is_restored_as_another_generation() {
    let folder = tempfile::tempdir().unwrap();
    let (party, file) = (folder.path().join("party"), folder.path().join("copy"));
    let mut store = Store::open(&party, alice(), domain()).unwrap();
    let loadable: Vec<_> = (0..9_000).map(past).chain([cursor(77)]).collect();
    store.commit(loadable.clone()).unwrap();
    backup::create(&store.reader(), &file).unwrap();
    let before = content(&store);
    store.commit(vec![cursor(78)]).unwrap();

    let contents = backup::verify(&file).unwrap();
    assert_eq!((contents.records, contents.history, contents.cursor.block), (1, 9_000, 77));
    assert_eq!(&contents.header, store.header());
    assert_eq!(contents.size, std::fs::metadata(&file).unwrap().len());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    assert_eq!(backup::restore(&file, &first).unwrap(), contents);
    backup::restore(&file, &second).unwrap();
    let mut restored = Store::open(&first, alice(), domain()).unwrap();
    assert_eq!(content(&restored), before);
    let (old, new) = (store.header(), restored.header().clone());
    assert_eq!((new.id, new.generation.number, new.unconfirmed), (old.id, 1, true));
    assert!(new.restored_at >= Some(contents.taken_at));
    let twin = Store::open(&second, alice(), domain()).unwrap();
    assert_ne!(new.generation, twin.header().generation, "two restores of one backup can be told apart");
    Engine::load(alice(), domain(), restored.records().unwrap().iter()).unwrap();

    let again = backup::restore(&file, &first).unwrap_err();
    assert!(matches!(again, Error::NotEmpty { .. }), "{again}");
    restored.set_unconfirmed(false).unwrap();
    drop(restored);
    let restored = Store::open(&first, alice(), domain()).unwrap();
    assert_eq!((restored.header().unconfirmed, restored.header().restored_at), (false, new.restored_at));

    // Without a party, and over an older backup.
    drop(store);
    backup::create(&Reader::open(&party).unwrap(), &file).unwrap();
    assert_eq!(backup::verify(&file).unwrap().cursor.block, 78);
}

#[test]
fn a_backup_that_was_changed_cut_off_or_is_newer_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    let mut store = open(&Disk::default()).unwrap();
    store.commit(vec![cursor(1), past(0), past(1)]).unwrap();
    backup::create(&store.reader(), &file).unwrap();
    let good = std::fs::read(&file).unwrap();
    let target = folder.path().join("target");
    let refuse = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        assert!(backup::verify(&file).is_err());
        let error = backup::restore(&file, &target).unwrap_err();
        assert!(!target.exists());
        error
    };
    for offset in 0..good.len() {
        let mut bytes = good.clone();
        bytes[offset] ^= 4;
        let error = refuse(&bytes);
        assert!(matches!(error, Error::Foreign { .. } | Error::Damaged { .. }), "{error}");
    }
    for length in 0..good.len() {
        refuse(&good[..length]);
    }
    let mut newer = good[..good.len() - 32].to_vec();
    newer[8] = 2;
    let hash = blake2b_simd::Params::new().hash_length(32).hash(&newer);
    newer.extend_from_slice(hash.as_bytes());
    let error = refuse(&newer);
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn a_backup_of_what_no_engine_can_load_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, target) = (folder.path().join("copy"), folder.path().join("target"));
    for bad in [put(&[200], b"?"), put(&[11], &[2, 0]), put(&[PAST, 0], &[1])] {
        let mut store = open(&Disk::default()).unwrap();
        store.commit(vec![bad]).unwrap();
        backup::create(&store.reader(), &file).unwrap();
        assert!(matches!(backup::verify(&file), Err(Error::Record { .. })));
        assert!(matches!(backup::restore(&file, &target), Err(Error::Record { .. })));
        assert!(!target.join("store.redb").exists() && !target.join("store.redb.new").exists());
        // The folder can still be restored into.
        store.commit(vec![Change { key: vec![200], value: None }]).unwrap();
    }
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(backup::verify(&file), Err(Error::File { .. })));
}
