//! What can be wrong with a store, and what to do then.

use engine::record::BadRecord;
use protocol::{AccountId, Domain};

/// A store that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a folder cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// Another process works with the store.
    #[error("{folder} is in use by {}: stop it, or give this one a folder of its own", process(.pid))]
    InUse {
        /// The store's folder.
        folder: String,
        /// The process, if its lock file tells.
        pid: Option<u32>,
    },
    /// It was written by a newer program.
    #[error("{store} is of format {found}, newer than {known}: start the program that wrote it, or a newer one")]
    Newer {
        /// The store or the backup.
        store: String,
        /// Its format.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// It belongs to somebody else.
    #[error(
        "{store} belongs to account {}, not to {}: start the party with its own folder",
        hex(.found), hex(.expected)
    )]
    OtherAccount {
        /// The store.
        store: String,
        /// Whose it is.
        found: AccountId,
        /// Who wanted it.
        expected: AccountId,
    },
    /// It belongs to another contract, or to a contract on another chain.
    #[error(
        "{store} belongs to {}, not to {}: start the party with the folder that it has for this contract",
        domain(.found), domain(.expected)
    )]
    OtherDeployment {
        /// The store.
        store: String,
        /// What it belongs to.
        found: Box<Domain>,
        /// What was wanted.
        expected: Box<Domain>,
    },
    /// It is something else.
    #[error("{store} is no {what} of Braid: {reason}")]
    Foreign {
        /// The file.
        store: String,
        /// What it should be.
        what: &'static str,
        /// What shows that it is not.
        reason: String,
    },
    /// Its bytes are not those that were written.
    #[error("{store} is damaged ({reason}): restore it from a backup into an empty folder")]
    Damaged {
        /// The store or the backup.
        store: String,
        /// What is wrong.
        reason: String,
    },
    /// A record in it cannot be read.
    #[error("{store}: {reason}")]
    Record {
        /// The store or the backup.
        store: String,
        /// Which, and why.
        reason: BadRecord,
    },
    /// The disk failed. What was to be written is not durable.
    #[error("{store}: the disk failed ({reason}): see to its space and health, then start again")]
    Disk {
        /// The store.
        store: String,
        /// What it said.
        reason: String,
    },
    /// An earlier commit failed, so nothing may follow it.
    #[error("{store} is stopped since a commit failed ({reason}): end the process and start it again")]
    Stopped {
        /// The store.
        store: String,
        /// How the first commit failed that did.
        reason: String,
    },
    /// A backup is only restored where nothing is.
    #[error("{folder} holds {found} already: restore into an empty folder")]
    NotEmpty {
        /// The folder.
        folder: String,
        /// A file in it.
        found: String,
    },
}

impl Error {
    pub(super) fn file(path: &std::path::Path, reason: impl std::fmt::Display) -> Self {
        Self::File { path: path.display().to_string(), reason: reason.to_string() }
    }

    pub(super) fn disk(store: &str, reason: impl std::fmt::Display) -> Self {
        Self::Disk { store: store.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn damaged(store: &str, reason: impl std::fmt::Display) -> Self {
        Self::Damaged { store: store.to_owned(), reason: reason.to_string() }
    }

    /// What redb says of `store`.
    pub(super) fn redb(store: &str, error: impl Into<redb::Error>) -> Self {
        let store = store.to_owned();
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { folder: store, pid: None },
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Self::Foreign { store, what: "store", reason: error.to_string() }
            }
            error @ (redb::Error::Io(_) | redb::Error::PreviousIo) => Self::Disk { store, reason: error.to_string() },
            error => Self::Damaged { store, reason: error.to_string() },
        }
    }
}

fn process(pid: &Option<u32>) -> String {
    pid.map_or("another process".to_owned(), |pid| format!("process {pid}"))
}

fn hex(bytes: &impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn domain(domain: &Domain) -> String {
    format!("contract {} on chain {}", hex(&domain.contract), hex(&domain.genesis_hash))
}
