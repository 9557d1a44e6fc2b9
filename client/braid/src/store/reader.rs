//! A store that is open: its log and its tree together, and what may be read of it from elsewhere.

use super::{
    folder::Folder,
    header::{self, Migration},
    log::{Log, Position},
    tree::{self, HISTORY, LOG},
    Error, Header,
};
use codec::{Decode, DecodeAll, Encode};
use engine::{
    payment::Past,
    record::{BadRecord, Change, RECORD_VERSION},
    PAST,
};
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, WriteTransaction};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

/// Reads a store while it is written. As long as one lives, no other process can open the store.
///
/// To read, it brings what the log holds into the tree first, for which a commit may have to wait.
#[derive(Clone, Debug)]
pub struct Reader(pub(super) Arc<Opened>);

#[derive(Debug)]
pub(super) struct Opened {
    pub(super) database: Database,
    /// What errors call it: its folder.
    pub(super) name: String,
    kept: Mutex<Kept>,
    _folder: Option<Folder>,
}

/// What was committed and is not in the tree.
#[derive(Debug)]
struct Kept {
    log: Log,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// How a commit failed, if one has.
    failed: Option<String>,
}

impl Opened {
    /// Opens tree and log, and brings what is in the log into the tree, and the tree to the newest format. `take` gets the
    /// header that is there, and returns the one to store.
    pub(super) fn open(
        name: String,
        tree: impl StorageBackend,
        log: Box<dyn StorageBackend>,
        folder: Option<Folder>,
        migrations: &[Migration],
        take: impl FnOnce(&str, Option<Header>) -> Result<Header, Error>,
    ) -> Result<(Self, Header), Error> {
        let bad = |error: redb::Error| Error::redb(&name, error);
        let database = tree::open(&name, tree)?;
        let write = database.begin_write().map_err(|error| bad(error.into()))?;
        // Of a newer store it is not known what its log looks like.
        if let Some(stored) = header::stored(&write).map_err(bad)? {
            header::check_format(&name, &stored, migrations)?;
        }
        let position = position(&write).map_err(bad)?;
        let (log, changes) = Log::open(&name, log, position)?;
        let header = Header::read(&name, &write, migrations, |write| {
            if changes.is_empty() {
                return Ok(());
            }
            tree::write(write, changes.iter().map(tree::parts))
        })?;
        let header = take(&name, header)?;
        header.write(&write, header::newest(migrations)).map_err(bad)?;
        store_position(&write, log.position()).map_err(bad)?;
        write.commit().map_err(|error| bad(error.into()))?;
        let mut kept = Kept { log, changes: BTreeMap::new(), failed: None };
        kept.log.restart();
        Ok((Self { database, name, kept: Mutex::new(kept), _folder: folder }, header))
    }

    /// Makes changes durable.
    pub(super) fn commit(&self, changes: &[Change]) -> Result<(), Error> {
        self.run(|kept| {
            let durable = kept.log.append(changes)?;
            kept.changes.extend(changes.iter().map(|change| (change.key.clone(), change.value.clone())));
            match durable {
                true => Ok(()),
                // The tree takes them at once, with all that waits for it.
                false => kept.fold(&self.name, &self.database, |_| Ok(())),
            }
        })
    }

    /// Brings all that is committed into the tree, if something is not.
    pub(super) fn fold(&self, more: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> Result<(), Error> {
        self.run(|kept| if kept.changes.is_empty() { Ok(()) } else { kept.fold(&self.name, &self.database, more) })
    }

    /// The same, and `more` in the same transaction.
    pub(super) fn fold_always(
        &self,
        more: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), Error> {
        self.run(|kept| kept.fold(&self.name, &self.database, more))
    }

    fn run(&self, work: impl FnOnce(&mut Kept) -> Result<(), Error>) -> Result<(), Error> {
        let stopped = |reason: &str| Error::Stopped { store: self.name.clone(), reason: reason.to_owned() };
        let mut kept = self.kept.lock().map_err(|_| stopped("a thread panicked in it"))?;
        if let Some(reason) = &kept.failed {
            return Err(stopped(reason));
        }
        let done = work(&mut kept);
        if let Err(error) = &done {
            kept.failed = Some(error.to_string());
        }
        done
    }

    pub(super) fn failed(&self, error: impl Into<redb::Error>) -> Error {
        Error::redb(&self.name, error)
    }
}

impl Kept {
    fn fold(
        &mut self,
        name: &str,
        database: &Database,
        more: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), Error> {
        tree::commit(name, database, |write| {
            tree::write(write, self.changes.iter())?;
            store_position(write, self.log.position())?;
            more(write)
        })?;
        self.changes.clear();
        self.log.restart();
        Ok(())
    }
}

impl Drop for Opened {
    /// Closes the store: the tree holds everything, and the log is not needed. Should it fail, the next start reads the log.
    fn drop(&mut self) {
        let Ok(kept) = self.kept.get_mut() else { return };
        if kept.failed.is_none() {
            let closed = kept.log.position().closed();
            let _ = kept.fold(&self.name, &self.database, |write| store_position(write, closed));
        }
    }
}

fn position(write: &WriteTransaction) -> Result<Option<Position>, redb::Error> {
    let table = write.open_table(LOG)?;
    let bytes = table.get(())?;
    let position = bytes.map(|bytes| Position::decode(&mut bytes.value())).transpose();
    position.map_err(|_| redb::Error::Corrupted("the position of its log cannot be decoded".to_owned()))
}

fn store_position(write: &WriteTransaction, position: Position) -> Result<(), redb::Error> {
    write.open_table(LOG)?.insert((), position.encode().as_slice())?;
    Ok(())
}

type HistoryTable = redb::ReadOnlyTable<tree::Bytes, tree::Bytes>;
type Owned = (Vec<u8>, Vec<u8>);

impl Reader {
    /// Opens the store in a folder for whoever it belongs to, to make a backup while no party is at work with it.
    ///
    /// # Errors
    /// If there is none, another process has it, a newer program wrote it, it is damaged, or the disk fails.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let name = folder.display().to_string();
        let none = Error::file(folder, "there is no store in this folder");
        if !super::folder::has_store(folder) {
            return Err(none);
        }
        let folder = Folder::take(folder)?;
        let (tree, log) = folder.files()?;
        let opened =
            Opened::open(name, tree, Box::new(log), Some(folder), header::MIGRATIONS, |_, header| header.ok_or(none));
        Ok(Self(Arc::new(opened?.0)))
    }

    /// At most `limit` payments that are decided, from the number `from` on, each with its number.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn history(&self, from: u64, limit: usize) -> Result<Vec<(u64, Past)>, Error> {
        let from = past_key(from);
        self.past(|table| table.range(from.as_slice()..)?.take(limit).map(|entry| Ok(tree::owned(entry?))).collect())
    }

    /// At most `limit` payments that are decided, the last one first. With `before`, only those with lower numbers.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn latest(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Past)>, Error> {
        let before = before.map_or(vec![PAST.saturating_add(1)], past_key);
        self.past(|table| {
            table.range(..before.as_slice())?.rev().take(limit).map(|entry| Ok(tree::owned(entry?))).collect()
        })
    }

    fn past(
        &self,
        read: impl FnOnce(&HistoryTable) -> Result<Vec<Owned>, redb::Error>,
    ) -> Result<Vec<(u64, Past)>, Error> {
        self.0.fold(|_| Ok(()))?;
        let entries = || match tree::table(&self.0.database.begin_read()?, HISTORY)? {
            Some(table) => read(&table),
            None => Ok(vec![]),
        };
        let entries = entries().map_err(|error| self.0.failed(error))?;
        entries.into_iter().map(|(key, value)| decode_past(&self.0.name, &key, &value)).collect()
    }
}

fn past_key(number: u64) -> Vec<u8> {
    [&[PAST][..], &number.to_be_bytes()].concat()
}

/// A payment that is decided, and its number.
pub(super) fn decode_past(store: &str, key: &[u8], value: &[u8]) -> Result<(u64, Past), Error> {
    let bad = |reason| Error::Record { store: store.to_owned(), reason };
    let number = key.strip_prefix(&[PAST]).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
    let past = match value {
        [RECORD_VERSION, past @ ..] => Past::decode_all(&mut &*past).ok(),
        [version, ..] if *version > RECORD_VERSION => return Err(bad(BadRecord::Newer(*version))),
        _ => None,
    };
    number.zip(past).ok_or_else(|| bad(BadRecord::Malformed(key.to_vec())))
}
