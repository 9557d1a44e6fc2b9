//! Nodes that make blocks on demand stand still while nobody sends anything, and so do their clocks: a deadline that the
//! machine's clock has passed is not over there. Who waits for it sends a transfer of nothing to itself.

use chain::{keys::Keys, Chain, ChainError};
use protocol::Timestamp;
use std::time::{Duration, Instant, SystemTime};

/// How long a chain has no new block before it counts as standing still: three blocks of a chain that makes them by the clock
/// come in this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Watches whether blocks come.
#[derive(Debug)]
pub(crate) struct Stalled {
    last: u32,
    since: Instant,
}

impl Stalled {
    pub fn new() -> Self {
        Self { last: 0, since: Instant::now() }
    }

    /// Has a block made if a deadline is waited for, by the machine's clock it is over, and no blocks come.
    pub async fn look(
        &mut self,
        chain: &mut impl Chain,
        keys: &Keys,
        last: u32,
        deadline: Option<Timestamp>,
    ) -> Result<(), ChainError> {
        if last != self.last {
            *self = Self { last, since: Instant::now() };
        }
        if deadline.is_some_and(|deadline| deadline < wall_clock()) && self.since.elapsed() > PATIENCE {
            self.since = Instant::now();
            chain.transfer(keys, keys.account(), 0).await?;
        }
        Ok(())
    }
}

/// The machine's clock, in ms since 1970.
fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::try_from(since.as_millis()).unwrap_or(Timestamp::MAX)
}
