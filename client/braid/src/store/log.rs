//! Commits that are durable and not in the tree yet: a file of fixed length, written from its start to its end and then from
//! its start again.
//!
//! ```text
//! for each commit, from a new page on:
//! length of the changes: u32 | number: u64 | checksum: 16 bytes | the changes
//! ```
//! Numbers are little-endian; the checksum is keyed BLAKE2b over all else. An entry counts if its number is the next and its
//! checksum is good. What is left from before has lower numbers, or another key: each start draws one, which nobody else
//! knows, so that no record can be made to look like an entry. Since a commit only begins when the one before it is durable,
//! only the last entry can be cut off by a crash: a good entry after a bad one means that the disk has lost something.
//!
//! No page is written twice before the log starts again, so nothing that is durable is in danger when power fails. The file's
//! length never changes, so the system has nothing to make durable but the bytes.

use super::Error;
use codec::{Decode, DecodeAll, Encode};
use engine::record::Change;
use redb::StorageBackend;

/// How long a log is made.
const LENGTH: u64 = 4 << 20;
const PAGE: usize = 4096;
const HEAD: usize = 4 + 8 + MAC;
const MAC: usize = 16;

/// What the tree says of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Position {
    key: [u8; 32],
    /// The number of the entry at the log's start.
    first: u64,
    /// How long the log is. None is needed if it is 0: the store was closed.
    length: u64,
}

impl Position {
    /// That of a store that is closed.
    pub(super) fn closed(self) -> Self {
        Self { length: 0, ..self }
    }
}

/// The log of a store that is open.
#[derive(Debug)]
pub(super) struct Log {
    name: String,
    file: Box<dyn StorageBackend>,
    position: Position,
    /// The number of the next entry.
    next: u64,
    /// Where it goes.
    at: u64,
}

impl Log {
    /// Opens a log, or makes one, and reads what is in it and not in the tree. It starts again at [`Log::position`], which is
    /// to be stored together with what was read.
    pub(super) fn open(
        name: &str,
        file: Box<dyn StorageBackend>,
        stored: Option<Position>,
    ) -> Result<(Self, Vec<Change>), Error> {
        let failed = |error: std::io::Error| Error::disk(name, error);
        let length = file.len().map_err(failed)?;
        let used = stored.filter(|stored| stored.length != 0);
        if used.is_some_and(|stored| length < stored.length) {
            return Err(Error::damaged(name, "its log is gone or too short"));
        }
        let first = stored.map_or(0, |stored| stored.first);
        let key = super::header::random(name)?;
        let mut log =
            Self { name: name.to_owned(), file, position: Position { key, first, length }, next: first, at: 0 };
        let changes = used.map_or(Ok(vec![]), |stored| log.replay(stored))?;
        if length < PAGE as u64 {
            log.file.set_len(LENGTH).map_err(failed)?;
            // So that the disk has room for all of it.
            let zeros = vec![0; PAGE << 4];
            for at in (0..LENGTH).step_by(zeros.len()) {
                log.file.write(at, &zeros).map_err(failed)?;
            }
            log.file.sync_data().map_err(failed)?;
            log.position.length = LENGTH;
        }
        Ok((log, changes))
    }

    /// Where the log starts when all that was appended is in the tree.
    pub(super) fn position(&self) -> Position {
        Position { first: self.next, ..self.position }
    }

    /// Starts again: all that was appended is in the tree.
    pub(super) fn restart(&mut self) {
        self.position = self.position();
        self.at = 0;
    }

    /// Makes a commit durable. `false` if there is no room for it before the log starts again.
    pub(super) fn append(&mut self, changes: &[Change]) -> Result<bool, Error> {
        let changes: Vec<_> = changes.iter().map(|change| (&change.key, &change.value)).collect();
        let changes = changes.encode();
        let pages = HEAD.saturating_add(changes.len()).div_ceil(PAGE).saturating_mul(PAGE);
        let end = self.at.saturating_add(pages as u64);
        let length = match u32::try_from(changes.len()) {
            Ok(length) if end <= self.position.length => length,
            _ => return Ok(false),
        };
        let mut entry = Vec::with_capacity(pages);
        entry.extend_from_slice(&length.to_le_bytes());
        entry.extend_from_slice(&self.next.to_le_bytes());
        entry.extend_from_slice(&mac(&self.position.key, length, self.next, &changes));
        entry.extend_from_slice(&changes);
        entry.resize(pages, 0);
        let written = self.file.write(self.at, &entry).and_then(|()| self.file.sync_data());
        written.map_err(|error| Error::disk(&self.name, error))?;
        self.at = end;
        self.next = self.next.saturating_add(1);
        Ok(true)
    }

    /// The changes of all entries from the log's start on.
    fn replay(&mut self, stored: Position) -> Result<Vec<Change>, Error> {
        let mut bytes = vec![0; usize::try_from(stored.length).unwrap_or(usize::MAX)];
        self.file.read(0, &mut bytes).map_err(|error| Error::disk(&self.name, error))?;
        let mut changes = vec![];
        let mut rest = bytes.as_slice();
        while let Some((number, entry)) = entry(&stored.key, rest).filter(|(number, _)| *number == self.next) {
            let entry_changes = <Vec<(Vec<u8>, Option<Vec<u8>>)>>::decode_all(&mut &*entry);
            let entry_changes = entry_changes
                .map_err(|_| Error::damaged(&self.name, format!("entry {number} of its log cannot be decoded")))?;
            changes.extend(entry_changes.into_iter().map(|(key, value)| Change { key, value }));
            let pages = HEAD.saturating_add(entry.len()).div_ceil(PAGE).saturating_mul(PAGE);
            rest = rest.get(pages..).unwrap_or_default();
            self.next = self.next.saturating_add(1);
        }
        let later = rest.chunks(PAGE).scan(rest, |rest, page| {
            let here = *rest;
            *rest = rest.get(page.len()..).unwrap_or_default();
            Some(here)
        });
        if later.filter_map(|rest| entry(&stored.key, rest)).any(|(number, _)| number > self.next) {
            return Err(Error::damaged(&self.name, format!("entry {} of its log is lost", self.next)));
        }
        Ok(changes)
    }
}

/// The number and the changes of the entry that bytes begin with, if they begin with one.
fn entry<'a>(key: &[u8; 32], bytes: &'a [u8]) -> Option<(u64, &'a [u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (found, rest) = rest.split_first_chunk::<MAC>()?;
    let (length, number) = (u32::from_le_bytes(*length), u64::from_le_bytes(*number));
    let changes = rest.get(..usize::try_from(length).ok()?)?;
    (*found == mac(key, length, number, changes)).then_some((number, changes))
}

fn mac(key: &[u8; 32], length: u32, number: u64, changes: &[u8]) -> [u8; MAC] {
    let mut state = blake2b_simd::Params::new().hash_length(MAC).key(key).to_state();
    state.update(&length.to_le_bytes()).update(&number.to_le_bytes()).update(changes);
    let mut mac = [0; MAC];
    mac.copy_from_slice(state.finalize().as_bytes());
    mac
}
