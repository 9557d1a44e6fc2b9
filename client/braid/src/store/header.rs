//! What a store says of itself, and how stores of older programs become of this one's format.

use super::{
    tree::{HEADER, LOG},
    Error,
};
use codec::{Decode, DecodeAll, Encode};
use protocol::{AccountId, Domain};
use redb::{ReadableTable, TableHandle, WriteTransaction};

/// The first bytes of a header, of whatever format.
const MAGIC: [u8; 8] = *b"braid-st";

/// Turns a store of one format into one of the next. It gets the header without magic and format, and returns the new one.
/// All migrations of an old store are one transaction.
pub(super) type Migration = fn(&WriteTransaction, Vec<u8>) -> Result<Vec<u8>, redb::Error>;

/// The migrations from format 1, from format 2 and so on.
pub(super) const MIGRATIONS: &[Migration] = &[];

/// Tells a store from every copy of it that was restored from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Generation {
    /// How many restores lie between the store and the first that had its id.
    pub number: u32,
    /// Random, and new in each restore: two restores of one backup differ by it.
    pub tag: [u8; 8],
}

/// What a store says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// Whose it is.
    pub account: AccountId,
    /// Which contract it is for.
    pub domain: Domain,
    /// Random, and the same in all copies.
    pub id: [u8; 16],
    /// Which copy it is.
    pub generation: Generation,
    /// How often it was opened, this time included.
    pub starts: u64,
    /// When it was restored from a backup, in ms since 1970, if it was.
    pub restored_at: Option<u64>,
    /// Whether peers may know of newer states than are in here: nothing may be signed on a channel before its peer has
    /// confirmed what is newest.
    pub unconfirmed: bool,
}

impl Header {
    /// That of a new store.
    pub(super) fn new(store: &str, account: AccountId, domain: Domain) -> Result<Self, Error> {
        let generation = Generation { number: 0, tag: random(store)? };
        let id = random(store)?;
        Ok(Self { account, domain, id, generation, starts: 0, restored_at: None, unconfirmed: false })
    }

    /// That of a copy which is restored now.
    pub(super) fn restored(mut self, store: &str) -> Result<Self, Error> {
        let number = self.generation.number.saturating_add(1);
        self.generation = Generation { number, tag: random(store)? };
        self.restored_at = Some(super::now());
        self.unconfirmed = true;
        Ok(self)
    }

    /// Refuses a store of another account or deployment.
    pub(super) fn check(&self, store: &str, account: AccountId, domain: Domain) -> Result<(), Error> {
        let store = || store.to_owned();
        if self.account != account {
            return Err(Error::OtherAccount { store: store(), found: self.account, expected: account });
        }
        if self.domain != domain {
            let (found, expected) = (Box::new(self.domain), Box::new(domain));
            return Err(Error::OtherDeployment { store: store(), found, expected });
        }
        Ok(())
    }

    /// Stores it.
    pub(super) fn write(&self, write: &WriteTransaction, format: u32) -> Result<(), redb::Error> {
        let bytes = (MAGIC, format, self).encode();
        write.open_table(HEADER)?.insert((), bytes.as_slice())?;
        Ok(())
    }

    /// The header of a store, which is migrated to the newest format after `complete` has brought what its log holds into it.
    /// `None` if nothing is in it yet.
    ///
    /// # Errors
    /// If it is of a newer format, damaged, or something else's.
    pub(super) fn read(
        store: &str,
        write: &WriteTransaction,
        migrations: &[Migration],
        complete: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Option<Self>, Error> {
        let redb = |error| Error::redb(store, error);
        let Some(bytes) = stored(write).map_err(redb)? else {
            let mut tables = write.list_tables().map_err(|error| redb(error.into()))?;
            return match tables.find(|table| ![HEADER.name(), LOG.name()].contains(&table.name())) {
                None => Ok(None),
                Some(table) => {
                    let reason = format!("it has a table {} and no header", table.name());
                    Err(Error::Foreign { store: store.to_owned(), what: "store", reason })
                }
            };
        };
        let (done, body) = check_format(store, &bytes, migrations)?;
        complete(write).map_err(redb)?;
        let mut body = body.to_vec();
        for migrate in migrations.iter().skip(done) {
            body = migrate(write, body).map_err(redb)?;
        }
        let header = Self::decode_all(&mut &*body);
        header.map(Some).map_err(|_| Error::damaged(store, "its header cannot be decoded"))
    }
}

/// The header's bytes as they are stored.
pub(super) fn stored(write: &WriteTransaction) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = write.open_table(HEADER)?;
    let bytes = table.get(())?;
    Ok(bytes.map(|bytes| bytes.value().to_vec()))
}

/// The format of a store that has gone through all migrations.
pub(super) fn newest(migrations: &[Migration]) -> u32 {
    u32::try_from(migrations.len()).unwrap_or(u32::MAX).saturating_add(1)
}

/// How many migrations a store with this header has gone through, and what follows magic and format.
pub(super) fn check_format<'a>(
    store: &str,
    header: &'a [u8],
    migrations: &[Migration],
) -> Result<(usize, &'a [u8]), Error> {
    let mut rest = header;
    let found = match <([u8; 8], u32)>::decode(&mut rest) {
        Ok((MAGIC, found)) => found,
        _ => {
            let reason = "its header begins with other bytes".to_owned();
            return Err(Error::Foreign { store: store.to_owned(), what: "store", reason });
        }
    };
    match found.checked_sub(1).and_then(|done| usize::try_from(done).ok()) {
        Some(done) if done <= migrations.len() => Ok((done, rest)),
        Some(_) => Err(Error::Newer { store: store.to_owned(), found, known: newest(migrations) }),
        None => Err(Error::damaged(store, "its format is 0")),
    }
}

pub(super) fn random<const N: usize>(store: &str) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let failed = |error| Error::File { path: store.to_owned(), reason: format!("no random numbers: {error}") };
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
