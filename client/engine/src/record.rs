//! What is kept: records by key, changed one by one. A step names the records that it changed, and nothing else is written.

use codec::{Decode, DecodeAll, Encode};
use std::collections::BTreeMap;

/// The first byte of every stored record. A program that does not know a version refuses it.
pub const RECORD_VERSION: u8 = 1;

/// A record that was written, or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record's key: its kind, then its key within the kind.
    pub key: Vec<u8>,
    /// What is stored now. `None` deletes it.
    pub value: Option<Vec<u8>>,
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// It was written by a newer program.
    #[error(
        "a record is of version {0}, newer than {RECORD_VERSION}: start the program that wrote it, or a newer one"
    )]
    Newer(u8),
    /// Its bytes are no record.
    #[error("the record with key {0:02x?} cannot be decoded: restore the store from a copy")]
    Malformed(Vec<u8>),
}

/// A kind of record.
pub(crate) trait Record: Encode + Decode {
    /// The first byte of its keys. Never reused.
    const KIND: u8;
    /// What tells records of the kind apart.
    type Key: Encode + Decode + Ord + Clone;

    /// The stored key, kind first. Stores are ordered, so keys that are made one after another should ascend.
    fn key_bytes(key: &Self::Key) -> Vec<u8> {
        (Self::KIND, key).encode()
    }

    /// The key that was stored, without the kind. `None` if it is none.
    fn key_from(bytes: &[u8]) -> Option<Self::Key> {
        Self::Key::decode_all(&mut &*bytes).ok()
    }
}

/// All records of one kind, and which of them have changed since the last [`Table::take_changes`].
#[derive(Clone, Debug)]
pub(crate) struct Table<R: Record> {
    rows: BTreeMap<R::Key, R>,
    /// In the order of the changes, some more than once.
    changed: Vec<R::Key>,
}

impl<R: Record> Default for Table<R> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), changed: vec![] }
    }
}

impl<R: Record> Table<R> {
    pub(crate) fn get(&self, key: &R::Key) -> Option<&R> {
        self.rows.get(key)
    }

    pub(crate) fn contains(&self, key: &R::Key) -> bool {
        self.rows.contains_key(key)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&R::Key, &R)> {
        self.rows.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The record, to be changed and stored again.
    pub(crate) fn change(&mut self, key: &R::Key) -> Option<&mut R> {
        let row = self.rows.get_mut(key)?;
        note(&mut self.changed, key);
        Some(row)
    }

    /// The record, to change what is not stored of it.
    pub(crate) fn peek_mut(&mut self, key: &R::Key) -> Option<&mut R> {
        self.rows.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: R::Key, record: R) {
        note(&mut self.changed, &key);
        self.rows.insert(key, record);
    }

    /// Adds a record that need not be stored yet.
    pub(crate) fn keep(&mut self, key: R::Key, record: R) {
        self.rows.insert(key, record);
    }

    pub(crate) fn remove(&mut self, key: &R::Key) -> Option<R> {
        let removed = self.rows.remove(key)?;
        note(&mut self.changed, key);
        Some(removed)
    }

    /// The records that have changed, as they are to be stored.
    pub(crate) fn take_changes(&mut self, into: &mut Vec<Change>) {
        self.changed.sort_unstable();
        self.changed.dedup();
        for key in self.changed.drain(..) {
            let value = self.rows.get(&key).map(|record| (RECORD_VERSION, record).encode());
            into.push(Change { key: R::key_bytes(&key), value });
        }
    }

    /// Reads a record if it is of this kind.
    pub(crate) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<bool, BadRecord> {
        let Some(rest) = key.strip_prefix(&[R::KIND]) else { return Ok(false) };
        let malformed = || BadRecord::Malformed(key.to_vec());
        let (name, record) = R::key_from(rest).zip(versioned(value)?).ok_or_else(malformed)?;
        self.rows.insert(name, record);
        Ok(true)
    }
}

/// Remembers that a record has changed. One that changes many times in a row is noted once.
fn note<K: Ord + Clone>(changed: &mut Vec<K>, key: &K) {
    if changed.last() != Some(key) {
        changed.push(key.clone());
    }
}

fn versioned<R: Decode>(value: &[u8]) -> Result<Option<R>, BadRecord> {
    match value {
        [RECORD_VERSION, record @ ..] => Ok(R::decode_all(&mut &*record).ok()),
        [version, ..] if *version > RECORD_VERSION => Err(BadRecord::Newer(*version)),
        _ => Ok(None),
    }
}

/// Where records are kept.
pub trait Store {
    /// Why it could not keep them.
    type Error;

    /// Makes all changes durable, or none of them, and returns then.
    ///
    /// # Errors
    /// If they are not durable. The process must end: its engine is ahead of its store.
    fn commit(&mut self, changes: Vec<Change>) -> Result<(), Self::Error>;
}

/// A store that forgets with its process, for tests and demonstrations.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(
    /// The records by key.
    pub BTreeMap<Vec<u8>, Vec<u8>>,
);

impl Store for MemoryStore {
    type Error = std::convert::Infallible;

    fn commit(&mut self, changes: Vec<Change>) -> Result<(), Self::Error> {
        for Change { key, value } in changes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
        Ok(())
    }
}
