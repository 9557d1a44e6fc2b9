//! The folder of a daemon: where it is, and the small files in it.

use anyhow::{Context, Result};
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Names the folder if no option does.
pub const VARIABLE: &str = "BRAID_FOLDER";

/// The configuration's file.
pub const CONFIG: &str = "config.toml";
/// The file with the account's phrase.
pub const KEY: &str = "key";
/// The file with what the API wants to be shown.
pub const TOKEN: &str = "token";
/// The file that says where the API of the running daemon listens.
pub const API: &str = "api.address";
/// The folder with the party's records.
pub const STORE: &str = "store";

/// Where a daemon's folder is if nothing names it: in the user's folder for data.
pub fn default_folder(role: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share");
    data.unwrap_or_else(home).join("braid").join(role)
}

/// Makes the folder, readable for its user alone.
///
/// # Errors
/// If it cannot be made.
pub fn make(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("the folder {} cannot be made", folder.display()))
}

/// A file's text, or nothing if there is no such file.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Writes a file that only its user reads, whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// The token in the folder, made if there is none.
///
/// # Errors
/// If it can be neither read nor written.
pub fn token(folder: &Path) -> Result<String> {
    let path = folder.join(TOKEN);
    if let Some(token) = read(&path)?.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()) {
        return Ok(token);
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    let token = hex::encode(bytes);
    write_private(&path, &format!("{token}\n"))?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_and_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = token(folder.path()).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(token(folder.path()).unwrap(), made);
        let mode = fs::metadata(folder.path().join(TOKEN)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
