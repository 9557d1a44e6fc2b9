//! Where the real Lightning network's files are, which are not ours to keep here.

use std::path::{Path, PathBuf};

/// What LIGHTNING_DATA says, or the folder beside the clone. `None`, said loudly, only where BRAID_NO_LIGHTNING is set.
pub fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/lightning");
    let folder = std::env::var_os("LIGHTNING_DATA").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let known = std::env::var_os("BRAID_NO_LIGHTNING").is_some();
    assert!(known, "no Lightning data in {}: set LIGHTNING_DATA, or BRAID_NO_LIGHTNING=1", folder.display());
    eprintln!("NOT TESTED: there is no Lightning data in {}", folder.display());
    None
}
