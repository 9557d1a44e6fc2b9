//! Follows the chain for an engine: final blocks in their order, the storage where blocks were missed or the engine asks, and
//! the disputes at the best head. It never ends because the chain cannot be asked.

use super::{thread::Turn, Gone, Inbox};
use crate::{disputes, stalled::Stalled};
use chain::{
    contract::{CallError, Contract},
    keys::Keys,
    Chain,
};
use engine::{Block, Cursor, HeadDispute, Input, Reading};
use protocol::TpcId;
use std::{collections::BTreeSet, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// How often the chain is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The most blocks that are read one by one. If more were missed, the storage is read: a node that prunes may no longer have
/// them, and it is faster.
const MAX_REPLAY: u32 = 64;

/// Which channels an engine wants to be read, each with an epoch.
pub(super) type Channels = Vec<(TpcId, u32)>;

pub(super) struct Follower<C> {
    pub chain: C,
    pub contract: Contract,
    /// Who pays for blocks that are made for deadlines, where they come on demand only.
    pub keys: Keys,
    pub stalled: Stalled,
    pub inbox: Inbox,
    pub reads: mpsc::UnboundedReceiver<Channels>,
    /// The last block that the engine was told.
    pub cursor: Cursor,
    /// Channels that are disputed after the last final block.
    pub disputed: BTreeSet<TpcId>,
    /// What the engine was told of the best head.
    pub head: Option<Vec<HeadDispute>>,
}

impl<C: Chain> Follower<C> {
    pub async fn run(mut self) {
        let mut pause = PAUSE;
        let mut waiting: Option<Channels> = None;
        loop {
            let looked = self.look(&mut waiting).await;
            match looked {
                Ok(Ok(())) => pause = PAUSE,
                Ok(Err(Gone)) => return,
                Err(error) => {
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    tracing::warn!("the chain cannot be read: {error}. Trying again in {} s", pause.as_secs());
                }
            }
            tokio::select! {
                asked = self.reads.recv(), if waiting.is_none() => match asked {
                    Some(channels) => waiting = Some(channels),
                    None => return,
                },
                () = sleep(pause) => {}
            }
        }
    }

    /// Tells the engine what is new. What is asked for and could not be read stays in `waiting`.
    async fn look(&mut self, waiting: &mut Option<Channels>) -> Result<Result<(), Gone>, CallError> {
        let last = self.chain.block().await?;
        let missed = last.saturating_sub(self.cursor.block);
        if self.cursor.block == 0 || missed > MAX_REPLAY {
            let Ok(followed) = self.inbox.ask(|engine| engine.followed()).await else { return Ok(Err(Gone)) };
            let reading = self.contract.read(&mut self.chain, last, &followed).await?;
            let disputed = reading.iter().filter(|read| read.stored.is_some_and(|tpc| tpc.dispute.is_some()));
            self.disputed = disputed.map(|read| read.tpc).collect();
            let block = self.contract.block(&mut self.chain, last).await?;
            self.tell_block(Block { reading: Some(reading), ..block }).await?;
        }
        while self.cursor.block < last {
            let block = self.contract.block(&mut self.chain, self.cursor.block.saturating_add(1)).await?;
            disputes::follow(&mut self.disputed, &block.events);
            if self.tell_block(block).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        if let Some(channels) = waiting {
            let channels = self.contract.read(&mut self.chain, last, channels).await?;
            *waiting = None;
            if self.inbox.send(Turn::Input(Input::Read(Reading { block: last, channels }))).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        let Ok(deadline) = self.inbox.ask(|engine| engine.next_deadline()).await else { return Ok(Err(Gone)) };
        self.stalled.look(&mut self.chain, &self.keys, last, deadline).await?;
        self.look_at_head(last).await
    }

    async fn tell_block(&mut self, block: Block) -> Result<(), CallError> {
        self.cursor = Cursor { block: block.number, now: block.time };
        // That the engine is gone is seen by whatever is sent next.
        let _ = self.inbox.send(Turn::Input(Input::Block(block))).await;
        Ok(())
    }

    /// Tells the disputes at the best head when they have changed.
    async fn look_at_head(&mut self, last: u32) -> Result<Result<(), Gone>, CallError> {
        let head = disputes::at_head(&self.contract, &mut self.chain, last, &self.disputed).await?;
        if self.head.as_ref() == Some(&head) {
            return Ok(Ok(()));
        }
        self.head = Some(head.clone());
        Ok(self.inbox.send(Turn::Input(Input::Head(head))).await.map_err(|_| Gone))
    }
}
