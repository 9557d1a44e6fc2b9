//! What waits to be written to one peer.

use super::frames::{Frame, Goodbye};
use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// A queue of frames, filled by any thread and emptied by the writer of one session.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    wake: Notify,
    max_bytes: usize,
    max_messages: usize,
    delay: Duration,
}

#[derive(Default)]
struct Queue {
    /// Signs of life and parts of relayed sessions. They never wait for the delay.
    others: Vec<u8>,
    /// Messages, grouped by when they may go.
    batches: VecDeque<Batch>,
    bytes: usize,
    messages: usize,
    ended: Option<Goodbye>,
}

struct Batch {
    due: Option<Instant>,
    frames: Vec<u8>,
    messages: usize,
}

/// What the writer does next.
pub(super) enum Next {
    /// Write what was taken, with so many messages in it.
    Write(usize),
    /// Wait to be woken, or until then.
    Wait(Option<Instant>),
    /// Say goodbye.
    End(Goodbye),
}

/// Why a frame does not go into an [`Outbox`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    Full,
    Ended,
}

impl Outbox {
    pub(super) fn new(max_bytes: usize, max_messages: usize, delay: Duration) -> Self {
        Self { queue: Mutex::default(), wake: Notify::new(), max_bytes, max_messages, delay }
    }

    /// Nothing panics while it is locked, so it is whole even if somebody did.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a message of the engine.
    pub(super) fn message(&self, message: &[u8]) -> Result<(), NoRoom> {
        let due = (!self.delay.is_zero()).then(|| whole_ms(Instant::now() + self.delay));
        let mut queue = self.lock();
        let length = message.len() + 5;
        if queue.ended.is_some() {
            return Err(NoRoom::Ended);
        }
        if queue.bytes + length > self.max_bytes || queue.messages >= self.max_messages {
            return Err(NoRoom::Full);
        }
        let was_empty = queue.batches.is_empty();
        if queue.batches.back().is_none_or(|last| last.due != due) {
            queue.batches.push_back(Batch { due, frames: vec![], messages: 0 });
        }
        if let Some(last) = queue.batches.back_mut() {
            Frame::Direct(message).write(&mut last.frames);
            last.messages += 1;
        }
        queue.bytes += length;
        queue.messages += 1;
        drop(queue);
        if was_empty {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Appends any other frame.
    pub(super) fn other(&self, frame: &Frame<'_>) -> Result<(), NoRoom> {
        let mut queue = self.lock();
        if queue.ended.is_some() {
            return Err(NoRoom::Ended);
        }
        if queue.others.len() > self.max_bytes {
            return Err(NoRoom::Full);
        }
        let was_empty = queue.others.is_empty();
        frame.write(&mut queue.others);
        drop(queue);
        if was_empty {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes over what waits in another one, as far as it fits. Gives the number of messages that are lost.
    pub(super) fn absorb(&self, other: &Self) -> usize {
        let ended = Queue { ended: Some(Goodbye::Replaced), ..Queue::default() };
        let mut from = mem::replace(&mut *other.lock(), ended);
        other.wake.notify_one();
        let mut queue = self.lock();
        let mut lost = 0;
        for batch in from.batches.drain(..) {
            let fits = queue.bytes + batch.frames.len() <= self.max_bytes;
            if queue.ended.is_some() || !fits || queue.messages + batch.messages > self.max_messages {
                lost += batch.messages;
                continue;
            }
            queue.bytes += batch.frames.len();
            queue.messages += batch.messages;
            queue.batches.push_back(batch);
        }
        drop(queue);
        self.wake.notify_one();
        lost
    }

    /// Ends the session. What waits is still written if the session is only replaced.
    pub(super) fn end(&self, goodbye: Goodbye) {
        self.lock().ended.get_or_insert(goodbye);
        self.wake.notify_one();
    }

    /// Takes what may be written now into `frames`, which is empty.
    pub(super) fn take(&self, frames: &mut Vec<u8>) -> Next {
        let mut queue = self.lock();
        if let Some(goodbye) = queue.ended.filter(|goodbye| *goodbye != Goodbye::Replaced) {
            return Next::End(goodbye);
        }
        mem::swap(frames, &mut queue.others);
        let ended = queue.ended;
        let now =
            if queue.batches.front().is_some_and(|batch| batch.due.is_some()) { Some(Instant::now()) } else { None };
        let mut messages = 0;
        while let Some(batch) = queue.batches.pop_front_if(|batch| ended.is_some() || batch.due <= now) {
            queue.bytes -= batch.frames.len();
            queue.messages -= batch.messages;
            messages += batch.messages;
            if frames.is_empty() {
                *frames = batch.frames;
            } else {
                frames.extend_from_slice(&batch.frames);
            }
        }
        match (frames.is_empty(), ended) {
            (false, _) => Next::Write(messages),
            (true, Some(goodbye)) => Next::End(goodbye),
            (true, None) => Next::Wait(queue.batches.front().and_then(|batch| batch.due)),
        }
    }

    /// Waits until there is something new.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().messages
    }
}

/// The next full millisecond after an instant, so that what is due together is one batch and nothing is too early.
fn whole_ms(at: Instant) -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    let since = at.saturating_duration_since(start).as_micros().div_ceil(1000);
    start + Duration::from_millis(u64::try_from(since).unwrap_or(u64::MAX))
}
