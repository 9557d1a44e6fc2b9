//! Where a party or a coordinator keeps its records, so that they outlive crashes.
//!
//! A store is a folder of its own. [`Store::open`] takes it for this process alone; [`Store::records`] is what
//! `engine::Engine::load` reads; each [`commit`](engine::record::Store::commit) is durable when it returns, whole or not at
//! all. After a commit that failed the store refuses all others: the engine is ahead of it, and the process must end. Payments
//! that are decided are kept apart and read in pieces ([`Reader::history`], [`Reader::latest`]).
//!
//! **A log before a tree.** A commit is appended to `store.log` and waits for the disk once, for bytes that lie side by side.
//! When the log is full, all that it holds goes into `store.redb`, a tree by key, in one transaction, and the log starts
//! again; of a record that changed many times the tree sees the last state. The tree alone would be safe too, but its commits
//! write pages in many places: benches/store.rs has a commit to the log at 0.7 to 1.2 times a plain fsync of the same bytes, and
//! one to the tree alone at 1.2 to 5 times. What it costs is that the commit which fills the log waits for the tree. What is in
//! the log and not in the tree is read at the next start. A store that was closed has nothing in its log.
//!
//! **How redb is used.** It writes new pages beside the old ones, then a header that names the new root with a checksum, and
//! makes everything durable with a single fsync. A transaction that is cut off has no valid checksum, and the one before it
//! counts. *Two-phase commits* would wait twice, and *quick repair* includes them; without them a start after a crash reads
//! the whole file once to check it. A start does that here in any case, so that bytes which the disk has lost are an error by
//! name. The checksum is not a cryptographic one: redb's authors name an attack for which somebody must choose records, know
//! all others on the same page (among them random signatures), and choose the moment at which power fails and the pages that
//! the disk has written by then. A peer can do the first alone.
//!
//! **What an fsync that failed leaves.** The system may hold pages in memory, as if written, that the disk does not have. A
//! start therefore tells the system to forget what it holds of the files, and reads the disk.

pub mod backup;
mod error;
mod folder;
mod header;
mod log;
#[cfg(test)]
mod migration_tests;
mod reader;
mod tree;

pub use error::Error;
pub use header::{Generation, Header};
pub use reader::Reader;

use engine::record::Change;
use folder::Folder;
use header::{Migration, MIGRATIONS};
use protocol::{AccountId, Domain};
use reader::Opened;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend};
use std::{path::Path, sync::Arc};

/// The records of an account, on a disk.
#[derive(Debug)]
pub struct Store {
    reader: Reader,
    header: Header,
}

/// All records of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    fn read(database: &Database) -> Result<Self, redb::Error> {
        let mut records = vec![];
        if let Some(table) = tree::table(&database.begin_read()?, tree::RECORDS)? {
            for entry in table.iter()? {
                records.push(tree::owned(entry?));
            }
        }
        Ok(Self(records))
    }

    /// Each key and value, as `engine::Engine::load` takes them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the account has never stored any: it is new.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Store {
    /// Opens the store in a folder, or begins one there. It is only for this account and deployment, and for one process at
    /// a time. A folder that is made is readable for its user alone, and so are all files.
    ///
    /// # Errors
    /// If another process has it, another account, deployment or a newer program wrote it, it is damaged, or the disk fails.
    pub fn open(folder: &Path, account: AccountId, domain: Domain) -> Result<Self, Error> {
        let name = folder.display().to_string();
        let folder = Folder::take(folder)?;
        if !folder.tree().exists() {
            folder.create(|file| {
                let header = Header::new(&name, account, domain)?;
                let database = tree::open(&name, folder::backend(file)?)?;
                tree::commit(&name, &database, |write| header.write(write, header::newest(MIGRATIONS)))
            })?;
        }
        let (tree, log) = folder.files()?;
        Self::start(name, tree, Box::new(log), Some(folder), (account, domain), MIGRATIONS)
    }

    /// Opens the store whose tree and log these backends hold, or begins one there: for tests of what happens when a disk
    /// fails. Nothing keeps others from them. A log that is empty is made; another keeps its length.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open_on(
        tree: impl StorageBackend,
        log: impl StorageBackend,
        account: AccountId,
        domain: Domain,
    ) -> Result<Self, Error> {
        Self::start("the store".to_owned(), tree, Box::new(log), None, (account, domain), MIGRATIONS)
    }

    fn start(
        name: String,
        tree: impl StorageBackend,
        log: Box<dyn StorageBackend>,
        folder: Option<Folder>,
        owner: (AccountId, Domain),
        migrations: &[Migration],
    ) -> Result<Self, Error> {
        let (account, domain) = owner;
        let (opened, header) = Opened::open(name, tree, log, folder, migrations, |name, header| {
            let mut header = header.map_or_else(|| Header::new(name, account, domain), Ok)?;
            header.check(name, account, domain)?;
            header.starts = header.starts.saturating_add(1);
            Ok(header)
        })?;
        Ok(Self { reader: Reader(Arc::new(opened)), header })
    }

    /// What the store says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads it from elsewhere, and makes backups.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// All records but the history.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn records(&self) -> Result<Records, Error> {
        self.reader.0.fold(|_| Ok(()))?;
        Records::read(&self.reader.0.database).map_err(|error| self.reader.0.failed(error))
    }

    /// Says, durably, whether peers may know of newer states than are in here ([`Header::unconfirmed`]). A restore says that
    /// they may; the party says that they do not any more, once all its peers have confirmed.
    ///
    /// # Errors
    /// Those of a commit.
    pub fn set_unconfirmed(&mut self, unconfirmed: bool) -> Result<(), Error> {
        let header = Header { unconfirmed, ..self.header.clone() };
        self.reader.0.fold_always(|write| header.write(write, header::newest(MIGRATIONS)))?;
        self.header = header;
        Ok(())
    }
}

impl engine::record::Store for Store {
    type Error = Error;

    fn commit(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        self.reader.0.commit(&changes)
    }
}

/// Real time, in ms since 1970.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0)
}
