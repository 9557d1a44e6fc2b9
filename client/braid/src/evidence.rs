//! The signed states that a user leaves with its watchers, as a file. No key is in it.

use codec::{DecodeAll, Encode};
use engine::watcher::Evidence;
use std::{io::Write, path::Path};

/// The first bytes of the file.
const TAG: [u8; 8] = *b"braid-e3";

/// Signed states that cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct StatesError {
    path: String,
    reason: String,
}

/// Bytes that are no signed states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no file of signed states, or of another version: have the party write it again")]
pub struct BadEvidence;

/// The bytes to store.
pub fn to_bytes(evidence: &Evidence) -> Vec<u8> {
    (TAG, evidence).encode()
}

/// Reads stored bytes.
///
/// # Errors
/// [`BadEvidence`].
pub fn from_bytes(bytes: &[u8]) -> Result<Evidence, BadEvidence> {
    match <([u8; 8], Evidence)>::decode_all(&mut &*bytes) {
        Ok((TAG, evidence)) => Ok(evidence),
        _ => Err(BadEvidence),
    }
}

/// Writes a user's signed states for its watcher. A file that is there is replaced whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn save(path: &Path, evidence: &Evidence) -> Result<(), StatesError> {
    let failed = |error: std::io::Error| StatesError { path: path.display().to_string(), reason: error.to_string() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&to_bytes(evidence)).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error)).map(drop)
}

/// Reads a user's signed states.
///
/// # Errors
/// If there is no such file, or it is something else.
pub fn load(path: &Path) -> Result<Evidence, StatesError> {
    let failed = |reason: String| StatesError { path: path.display().to_string(), reason };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    from_bytes(&bytes).map_err(|error| failed(error.to_string()))
}
