//! The folder of a store: who may read it, and which process works with it.

use super::Error;
use redb::backends::FileBackend;
use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{ErrorKind, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The file that the process which works with a store holds locked, with its number in it. It is never deleted.
const LOCK: &str = "store.lock";
/// Records by key.
const TREE: &str = "store.redb";
/// Commits that are not in the tree yet.
const LOG: &str = "store.log";
/// The tree until it is complete for the first time.
const UNFINISHED: &str = "store.redb.new";

/// A folder that no other process works with while this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes a folder, which is made if there is none: readable for its user alone.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::file(path, error);
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        }
        let mut lock = private(&path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let pid = lock.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
                return Err(Error::InUse { folder: path.display().to_string(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(failed)?;
        writeln!(lock, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.path.join(TREE)
    }

    /// The tree and the log. A log that is missing is made.
    pub(super) fn files(&self) -> Result<(FileBackend, FileBackend), Error> {
        let files = (backend(&self.tree())?, backend(&self.path.join(LOG))?);
        sync(&self.path).map_err(|error| Error::file(&self.path, error))?;
        Ok(files)
    }

    /// Has `make` write the tree, which is there complete or not at all.
    pub(super) fn create<T>(&self, make: impl FnOnce(&Path) -> Result<T, Error>) -> Result<T, Error> {
        let unfinished = self.path.join(UNFINISHED);
        let removed = || match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(&unfinished, error)),
            _ => Ok(()),
        };
        removed()?;
        let made = make(&unfinished);
        if made.is_err() {
            removed()?;
        }
        let made = made?;
        let synced = File::open(&unfinished).and_then(|file| file.sync_all());
        let renamed = synced.and_then(|()| std::fs::rename(&unfinished, self.tree()));
        renamed.and_then(|()| sync(&self.path)).map_err(|error| Error::file(&self.path, error))?;
        Ok(made)
    }
}

/// Whether there is a store in a folder.
pub(super) fn has_store(folder: &Path) -> bool {
    folder.join(TREE).exists()
}

/// A file in a folder that is no leftover of an earlier try to fill it. `None` too if there is no folder.
pub(super) fn content(folder: &Path) -> Result<Option<String>, Error> {
    let failed = |error: std::io::Error| Error::file(folder, error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if name != LOCK && name != UNFINISHED {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// Opens a file to read and write, which is made if there is none, readable for its user alone.
fn private(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.and_then(|file| {
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(file)
    });
    file.map_err(|error| Error::file(path, error))
}

/// A file as the disk has it, not as the system remembers it.
pub(super) fn backend(path: &Path) -> Result<FileBackend, Error> {
    let file = private(path)?;
    rustix::fs::fadvise(&file, 0, 0, rustix::fs::Advice::DontNeed).map_err(|error| Error::file(path, error))?;
    FileBackend::new(file).map_err(|error| Error::redb(&path.display().to_string(), error))
}

/// Makes what a folder lists durable.
pub(super) fn sync(folder: &Path) -> Result<(), std::io::Error> {
    File::open(folder)?.sync_all()
}
