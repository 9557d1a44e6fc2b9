//! redb's file: its tables, and how it is opened and written.

use super::Error;
use engine::{record::Change, PAST};
use redb::{
    Database, Durability, Key, ReadOnlyTable, ReadTransaction, StorageBackend, TableDefinition, TableError, Value,
};

pub(super) type Bytes = &'static [u8];
pub(super) const HEADER: TableDefinition<(), Bytes> = TableDefinition::new("header");
pub(super) const LOG: TableDefinition<(), Bytes> = TableDefinition::new("log");
pub(super) const RECORDS: TableDefinition<Bytes, Bytes> = TableDefinition::new("records");
/// By key. Its keys are [`PAST`] and the payment's number, so that they are in its order.
pub(super) const HISTORY: TableDefinition<Bytes, Bytes> = TableDefinition::new("history");

/// How much of its file a store may hold in memory.
const CACHE: usize = 32 << 20;

/// Opens redb's file and checks all of it.
pub(super) fn open(name: &str, backend: impl StorageBackend) -> Result<Database, Error> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    builder.create_with_backend(backend).map_err(|error| Error::redb(name, error))
}

/// Makes what `change` writes durable, all of it or nothing.
pub(super) fn commit(
    name: &str,
    database: &Database,
    change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), Error> {
    let run = || -> Result<(), redb::Error> {
        let mut write = database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        write.set_two_phase_commit(false);
        write.set_quick_repair(false);
        change(&write)?;
        Ok(write.commit()?)
    };
    run().map_err(|error| Error::redb(name, error))
}

/// Writes records and history where they belong. Of a record that is there twice the last state stays.
pub(super) fn write<'a>(
    write: &redb::WriteTransaction,
    changes: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
) -> Result<(), redb::Error> {
    let mut records = write.open_table(RECORDS)?;
    let mut history = write.open_table(HISTORY)?;
    for (key, value) in changes {
        let table = if key.first() == Some(&PAST) { &mut history } else { &mut records };
        match value {
            Some(value) => table.insert(key.as_slice(), value.as_slice())?,
            None => table.remove(key.as_slice())?,
        };
    }
    Ok(())
}

/// As [`write`] takes it.
pub(super) fn parts(change: &Change) -> (&Vec<u8>, &Option<Vec<u8>>) {
    (&change.key, &change.value)
}

/// A table, if anything was ever written to it.
pub(super) fn table<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    definition: TableDefinition<K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, redb::Error> {
    match read.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn owned((key, value): (redb::AccessGuard<Bytes>, redb::AccessGuard<Bytes>)) -> (Vec<u8>, Vec<u8>) {
    (key.value().to_vec(), value.value().to_vec())
}
