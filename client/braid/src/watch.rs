//! Runs a [`Watcher`] on a chain: reads the contract's events block by block and brings what is to be brought.

use crate::watcher::{Evidence, Watcher, Why};
use chain::{
    contract::{CallError, Contract},
    keys::Keys,
    Chain, Receipt,
};
use protocol::{abi::GetTpc, Error, Timestamp, TpcId};
use std::{io::Write, path::Path};

/// Signed states that cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct StatesError {
    path: String,
    reason: String,
}

/// Writes a user's signed states for its watcher. A file that is there is replaced whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn save_states(path: &Path, evidence: &Evidence) -> Result<(), StatesError> {
    let failed = |error: std::io::Error| StatesError { path: path.display().to_string(), reason: error.to_string() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&evidence.to_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error)).map(drop)
}

/// Reads a user's signed states.
///
/// # Errors
/// If there is no such file, or it is something else.
pub fn load_states(path: &Path) -> Result<Evidence, StatesError> {
    let failed = |reason: String| StatesError { path: path.display().to_string(), reason };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    Evidence::from_bytes(&bytes).map_err(|error| failed(error.to_string()))
}

/// A call that a watcher made, or tried to make.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The contract's message.
    pub message: &'static str,
    /// Why it was brought.
    pub why: Why,
    /// What came of it: the receipt, or the contract's refusal because somebody else was first.
    pub outcome: Result<Receipt, Error>,
}

/// A watcher at work on one deployment.
pub struct Watch {
    contract: Contract,
    watcher: Watcher,
    next_block: u32,
}

impl Watch {
    /// A watcher that starts from what the contract holds now.
    ///
    /// # Errors
    /// If the contract cannot be asked.
    pub async fn start(contract: Contract, chain: &mut impl Chain, evidence: &Evidence) -> Result<Self, CallError> {
        // What happens while the contract is asked is seen twice, which does no harm.
        let next_block = chain.block().await?.saturating_add(1);
        let mut watcher = Watcher::default();
        for id in evidence.named() {
            if let Some(tpc) = contract.query(chain, &GetTpc { id }).await? {
                watcher.found(id, &tpc);
            }
        }
        Ok(Self { contract, watcher, next_block })
    }

    /// Has a channel's newest state brought at the next look, whether or not it is disputed.
    pub fn bring(&mut self, id: TpcId) {
        self.watcher.bring(id);
    }

    /// The earliest time that is being waited for, if `keys` make the calls.
    pub fn next_deadline(&self, evidence: &Evidence, keys: &Keys) -> Option<Timestamp> {
        self.watcher.next_deadline(evidence, &keys.account())
    }

    /// Follows the chain to its last final block and does what is to be done. `keys` pay the fees; they need own nothing
    /// else.
    ///
    /// # Errors
    /// If the chain cannot be asked, or does not take a transaction. What was not brought is brought the next time.
    pub async fn look(
        &mut self,
        chain: &mut impl Chain,
        keys: &Keys,
        evidence: &Evidence,
    ) -> Result<Vec<Attempt>, CallError> {
        let mut attempts = vec![];
        let head = chain.block().await?;
        while self.next_block <= head {
            for raw in chain.events(self.next_block).await? {
                if let Some(event) = self.contract.event(&raw) {
                    self.watcher.follow(&event);
                }
            }
            self.next_block = self.next_block.saturating_add(1);
        }
        // Only now: between a dispute and the last block it may have been answered, closed or settled.
        let mut watcher = self.watcher.clone();
        for task in watcher.tasks(evidence, keys.account(), chain.time().await?) {
            let outcome = match self.contract.submit(chain, keys, 0, &task.submission).await {
                Ok(called) => Ok(called.receipt),
                Err(CallError::Contract(refusal)) => Err(refusal),
                Err(error) => return Err(error),
            };
            attempts.push(Attempt { message: task.submission.message(), why: task.why, outcome });
        }
        self.watcher = watcher;
        Ok(attempts)
    }
}
