//! Copies of a store in one file: made while it is in use, checked, and put where no store is.
//!
//! A copy that is older than the store it replaces is dangerous: its owner does not know of states that it has signed since.
//! [`restore`] therefore marks the store ([`Header::unconfirmed`]) and gives it a [`Generation`](super::Generation) of its own.
//!
//! ```text
//! "braidbak" | format: u32 | ms since 1970: u64 | length: u32, the store's header
//! for each record: 1 | length of key: u32 | length of value: u32 | key | value
//! for each payment that is decided: 2 | the same
//! 0 | number of records: u64 | number of payments: u64 | BLAKE2b-256 of all bytes before
//! ```
//! Numbers are little-endian.

use super::{
    folder::{self, Folder},
    header::{self, MIGRATIONS},
    now,
    reader::{decode_past, Reader},
    tree::{self, HEADER, HISTORY, RECORDS},
    Error, Header, Records,
};
use blake2b_simd::{Params, State};
use engine::{Cursor, Engine};
use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// The first bytes of a backup, of whatever format.
const MAGIC: [u8; 8] = *b"braidbak";
/// The format of the backups that this program writes.
const FORMAT: u32 = 1;
const HASH: usize = 32;
const END: u8 = 0;
const RECORD: u8 = 1;
const PAST: u8 = 2;
/// How many entries are unpacked in one transaction.
const BATCH: usize = 1 << 14;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What the store said of itself: account, deployment, id, which copy.
    pub header: Header,
    /// When the backup was made, in ms since 1970.
    pub taken_at: u64,
    /// How many bytes it has.
    pub size: u64,
    /// How many records it has.
    pub records: u64,
    /// How many payments that are decided.
    pub history: u64,
    /// How many channels the account owns, or coordinates.
    pub channels: u64,
    /// How many groups it is in.
    pub groups: u64,
    /// How many groups it coordinates.
    pub led: u64,
    /// How many payments of its own are not decided.
    pub pending: u64,
    /// The last final block that it has seen.
    pub cursor: Cursor,
    /// How many signatures it had made.
    pub signatures: u64,
}

/// Writes all that a store holds at this moment to `file`, which is replaced whole or not at all. The store may be at work.
///
/// # Errors
/// If the store cannot be read or the file cannot be written.
pub fn create(reader: &Reader, file: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::file(file, error);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut out = Hashing { out: BufWriter::new(new.as_file_mut()), hash: hash() };
    pack(reader, &mut out)?.map_err(failed)?;
    drop(out);
    new.as_file().sync_all().map_err(failed)?;
    new.persist(file).map_err(|error| failed(error.error))?;
    folder::sync(folder).map_err(failed)
}

/// Reads a backup as [`restore`] does, into a temporary file, and says what it holds.
///
/// # Errors
/// If it is none, is damaged, or a newer program wrote it.
pub fn verify(file: &Path) -> Result<Contents, Error> {
    let mut backup = Backup::open(file)?;
    let temporary = tempfile::tempfile().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
    let backend = redb::backends::FileBackend::new(temporary).map_err(|error| Error::redb(&backup.name, error))?;
    let database = tree::open(&backup.name, backend)?;
    let header = backup.unpack(&database)?;
    backup.check(&database, header)
}

/// Begins a store with what a backup holds, in a folder that is empty or that is made. The store is there complete or not at
/// all, and says of itself that it was restored ([`Header::restored_at`], [`Header::unconfirmed`]).
///
/// # Errors
/// If the folder holds anything, or another process has it; those of [`verify`]; if the disk fails.
pub fn restore(file: &Path, folder: &Path) -> Result<Contents, Error> {
    let mut backup = Backup::open(file)?;
    if let Some(found) = folder::content(folder)? {
        return Err(Error::NotEmpty { folder: folder.display().to_string(), found });
    }
    let name = folder.display().to_string();
    let taken = Folder::take(folder)?;
    if let Some(found) = folder::content(folder)? {
        return Err(Error::NotEmpty { folder: name, found });
    }
    taken.create(|file| {
        let database = tree::open(&name, folder::backend(file)?)?;
        let header = backup.unpack(&database)?;
        let contents = backup.check(&database, header.clone())?;
        let header = header.restored(&name)?;
        tree::commit(&name, &database, |write| header.write(write, header::newest(MIGRATIONS)))?;
        Ok(contents)
    })
}

/// Writes and hashes what it writes.
struct Hashing<W> {
    out: W,
    hash: State,
}

impl<W: Write> Hashing<W> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }

    fn put_entry(&mut self, tag: u8, key: &[u8], value: &[u8]) -> std::io::Result<()> {
        self.put(&[tag])?;
        self.put(&length(key)?)?;
        self.put(&length(value)?)?;
        self.put(key)?;
        self.put(value)
    }

    /// The hash goes last, over all before.
    fn finish(&mut self) -> std::io::Result<()> {
        self.out.write_all(self.hash.finalize().as_bytes())?;
        self.out.flush()
    }
}

fn hash() -> State {
    Params::new().hash_length(HASH).to_state()
}

fn length(bytes: &[u8]) -> std::io::Result<[u8; 4]> {
    u32::try_from(bytes.len()).map(u32::to_le_bytes).map_err(std::io::Error::other)
}

/// Writes a store. The outer error is the store's, the inner one the file's.
fn pack(reader: &Reader, out: &mut Hashing<impl Write>) -> Result<std::io::Result<()>, Error> {
    reader.0.fold(|_| Ok(()))?;
    let name = &reader.0.name;
    let bad = |error: redb::Error| Error::redb(name, error);
    let read = reader.0.database.begin_read().map_err(|error| bad(error.into()))?;
    let header = tree::table(&read, HEADER).map_err(bad)?;
    let header = header.map(|table| table.get(()).map(|bytes| bytes.map(|bytes| bytes.value().to_vec())));
    let header = header.transpose().map_err(|error| bad(error.into()))?.flatten();
    let header = header.ok_or_else(|| Error::damaged(name, "it has no header"))?;
    header::check_format(name, &header, MIGRATIONS)?;
    let begun = (|| {
        out.put(&MAGIC)?;
        out.put(&FORMAT.to_le_bytes())?;
        out.put(&now().to_le_bytes())?;
        out.put(&length(&header)?)?;
        out.put(&header)
    })();
    if begun.is_err() {
        return Ok(begun);
    }
    let mut counts = [0u64; 2];
    for ((table, tag), count) in [(RECORDS, RECORD), (HISTORY, PAST)].into_iter().zip(&mut counts) {
        let Some(table) = tree::table(&read, table).map_err(bad)? else { continue };
        for entry in table.iter().map_err(|error| bad(error.into()))? {
            let (key, value) = entry.map_err(|error| bad(error.into()))?;
            if let Err(error) = out.put_entry(tag, key.value(), value.value()) {
                return Ok(Err(error));
            }
            *count = count.saturating_add(1);
        }
    }
    let [records, history] = counts;
    Ok((|| {
        out.put(&[END])?;
        out.put(&records.to_le_bytes())?;
        out.put(&history.to_le_bytes())?;
        out.finish()
    })())
}

/// A backup whose bytes are those that were written.
struct Backup {
    name: String,
    size: u64,
    /// How many bytes are left to read before the hash.
    left: u64,
    file: BufReader<File>,
    taken_at: u64,
    counts: [u64; 2],
}

impl Backup {
    /// Reads it once to check the hash.
    fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| Error::file(path, error);
        let foreign = |reason: &str| Error::Foreign { store: name.clone(), what: "backup", reason: reason.to_owned() };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut magic = [0; MAGIC.len()];
        if file.read_exact(&mut magic).is_err() || magic != MAGIC {
            return Err(foreign("it begins with other bytes"));
        }
        let left = size.saturating_sub(HASH as u64);
        let mut state = hash();
        state.update(&magic);
        let mut hashed = (&mut file).take(left.saturating_sub(MAGIC.len() as u64));
        let mut chunk = vec![0; 1 << 16];
        loop {
            match hashed.read(&mut chunk).map_err(failed)? {
                0 => break,
                read => state.update(chunk.get(..read).unwrap_or(&chunk)),
            };
        }
        let mut stored = [0; HASH];
        file.read_exact(&mut stored).map_err(|_| Error::damaged(&name, "it ends early"))?;
        if state.finalize().as_bytes() != stored {
            return Err(Error::damaged(&name, "its checksum is another: it was cut off or changed"));
        }
        file.seek(SeekFrom::Start(MAGIC.len() as u64)).map_err(failed)?;
        let left = left.saturating_sub(MAGIC.len() as u64);
        let mut backup = Self { name, size, left, file, taken_at: 0, counts: [0; 2] };
        let found = backup.u32()?;
        if found > FORMAT {
            return Err(Error::Newer { store: backup.name, found, known: FORMAT });
        }
        backup.taken_at = u64::from_le_bytes(backup.array()?);
        Ok(backup)
    }

    /// Fills an empty database, and brings it to the newest format.
    fn unpack(&mut self, database: &Database) -> Result<Header, Error> {
        let name = self.name.clone();
        let bad = |error: redb::Error| Error::redb(&name, error);
        let length = self.u32()?;
        let header = self.bytes(length)?;
        tree::commit(&name, database, |write| {
            write.open_table(HEADER)?.insert((), header.as_slice())?;
            Ok(())
        })?;
        loop {
            let write = database.begin_write().map_err(|error| bad(error.into()))?;
            let more = self.unpack_some(&write)?;
            write.commit().map_err(|error| bad(error.into()))?;
            if !more {
                break;
            }
        }
        let counts = [u64::from_le_bytes(self.array()?), u64::from_le_bytes(self.array()?)];
        if counts != self.counts || self.left != 0 {
            return Err(Error::damaged(&name, "it holds more or less than it says"));
        }
        let write = database.begin_write().map_err(|error| bad(error.into()))?;
        let header = Header::read(&name, &write, MIGRATIONS, |_| Ok(()))?;
        let header = header.ok_or_else(|| Error::damaged(&name, "it has no header"))?;
        header.write(&write, header::newest(MIGRATIONS)).map_err(bad)?;
        write.commit().map_err(|error| bad(error.into()))?;
        Ok(header)
    }

    /// The next entries. Whether there may be more.
    fn unpack_some(&mut self, write: &WriteTransaction) -> Result<bool, Error> {
        let name = self.name.clone();
        let bad = |error: redb::Error| Error::redb(&name, error);
        let mut records = write.open_table(RECORDS).map_err(|error| bad(error.into()))?;
        let mut history = write.open_table(HISTORY).map_err(|error| bad(error.into()))?;
        for _ in 0..BATCH {
            let [tag] = self.array()?;
            let [kept, past] = &mut self.counts;
            let (table, count) = match tag {
                RECORD => (&mut records, kept),
                PAST => (&mut history, past),
                END => return Ok(false),
                _ => return Err(Error::damaged(&name, "an entry is of no known kind")),
            };
            *count = count.saturating_add(1);
            let (key, value) = (self.u32()?, self.u32()?);
            let (key, value) = (self.bytes(key)?, self.bytes(value)?);
            table.insert(key.as_slice(), value.as_slice()).map_err(|error| bad(error.into()))?;
        }
        Ok(true)
    }

    /// Decodes everything that was unpacked.
    fn check(&self, database: &Database, header: Header) -> Result<Contents, Error> {
        let bad = |error: redb::Error| Error::redb(&self.name, error);
        let records = Records::read(database).map_err(bad)?;
        let engine = Engine::load(header.account, header.domain, records.iter());
        let engine = engine.map_err(|reason| Error::Record { store: self.name.clone(), reason })?;
        let read = database.begin_read().map_err(|error| bad(error.into()))?;
        if let Some(history) = tree::table(&read, HISTORY).map_err(bad)? {
            for entry in history.iter().map_err(|error| bad(error.into()))? {
                let (key, value) = entry.map_err(|error| bad(error.into()))?;
                decode_past(&self.name, key.value(), value.value())?;
            }
        }
        let [records, history] = self.counts;
        Ok(Contents {
            header,
            taken_at: self.taken_at,
            size: self.size,
            records,
            history,
            channels: engine.channels().count() as u64,
            groups: engine.memberships().count() as u64,
            led: engine.led().count() as u64,
            pending: engine.pending().count() as u64,
            cursor: engine.cursor(),
            signatures: engine.signatures(),
        })
    }

    fn bytes(&mut self, length: u32) -> Result<Vec<u8>, Error> {
        let left = self.left.checked_sub(length.into());
        self.left = left.ok_or_else(|| Error::damaged(&self.name, "it ends early"))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact(&mut bytes).map_err(|error| Error::damaged(&self.name, error))?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = self.bytes(u32::try_from(N).unwrap_or(u32::MAX))?;
        bytes.try_into().map_err(|_| Error::damaged(&self.name, "it ends early"))
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }
}
