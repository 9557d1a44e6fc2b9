//! The engine's own thread: what has come is applied, one commit makes all of it durable, and only then its effects leave.

use super::{follow::Channels, submit::Asked, StopReason};
use crate::{
    calls::Wanted,
    evidence,
    store::{self, Store},
    transport::{Incoming, Transport},
};
use chain::keys::Keys;
use engine::{
    journal::Journal,
    record::{Change, MemoryStore},
    Answer, Command, Effect, Engine, Input, Notice, Refusal,
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{broadcast, mpsc, oneshot},
    task::JoinHandle,
};

/// The most turns that one commit makes durable.
const MAX_BATCH: usize = 1_024;

/// How often the engine hears what time it is.
const TICK: Duration = Duration::from_millis(50);

/// How often the signed states are written for watchtowers, if they have changed.
const STATES: Duration = Duration::from_secs(1);

/// Where the records are.
pub(super) enum Records {
    Disk(Box<Store>),
    Memory(MemoryStore),
}

impl engine::record::Store for Records {
    type Error = store::Error;

    fn commit(&mut self, changes: Vec<Change>) -> Result<(), store::Error> {
        match self {
            Self::Disk(store) => store.commit(changes),
            Self::Memory(store) => store.commit(changes).map_err(|never| match never {}),
        }
    }
}

/// What the thread does next.
pub(super) enum Turn {
    /// Something has happened.
    Input(Input),
    /// The application wants something, and hears the answer when it is durable.
    Command(Command, oneshot::Sender<Result<Answer, Refusal>>),
    /// Somebody looks.
    Look(Box<dyn FnOnce(&Engine) + Send>),
    /// The process is about to end.
    Stop,
}

/// The file of signed states.
#[derive(Default)]
struct States {
    /// Whether anything has changed since it was written.
    dirty: bool,
    written: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

impl States {
    /// Writes it in the background if something has changed, not more often than [`STATES`].
    fn keep(&mut self, runtime: &Handle, path: &Path, engine: &Engine) {
        let early = self.written.is_some_and(|written| written.elapsed() < STATES);
        let busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        if !self.dirty || early || busy {
            return;
        }
        (self.dirty, self.written) = (false, Some(Instant::now()));
        let (path, evidence) = (path.to_owned(), engine.evidence());
        self.writing = Some(runtime.spawn_blocking(move || {
            if let Err(error) = evidence::save(&path, &evidence) {
                tracing::warn!("watchtowers do not see the newest states: {error}");
            }
        }));
    }
}

#[allow(clippy::large_enum_variant)] // It is taken apart at once.
enum Next {
    Turn(Turn),
    Nothing,
    End,
}

pub(super) struct Thread {
    pub runtime: Handle,
    pub engine: Engine,
    pub keys: Keys,
    pub records: Records,
    pub turns: mpsc::Receiver<Turn>,
    pub transport: Transport,
    pub calls: mpsc::UnboundedSender<Asked>,
    pub reads: mpsc::UnboundedSender<Channels>,
    pub notices: broadcast::Sender<Notice>,
    /// Where the signed states are kept for watchtowers.
    pub states: Option<PathBuf>,
}

impl Thread {
    /// Runs until it is stopped, everybody who could say something is gone, or the store fails.
    pub fn run(mut self) -> StopReason {
        let started = Instant::now();
        let mut journal = Journal::default();
        let _ = journal.accept(self.engine.resume(&self.keys));
        let mut answers: Vec<(oneshot::Sender<_>, Result<Answer, Refusal>)> = vec![];
        let mut ticked = Instant::now();
        let mut states = States::default();
        loop {
            states.dirty |= !journal.is_empty();
            let effects = match journal.commit(&mut self.records) {
                Ok(effects) => effects,
                Err(error) => return StopReason::Store(error),
            };
            effects.into_iter().for_each(|effect| self.perform(effect));
            for (to, answer) in answers.drain(..) {
                // Whoever asked may have left.
                let _ = to.send(answer);
            }
            let mut next = self.next_turn(ticked + TICK);
            let mut batch = 0;
            while let Next::Turn(turn) = next {
                match turn {
                    Turn::Input(input) => {
                        let _ = journal.accept(self.engine.apply(&self.keys, input));
                    }
                    Turn::Command(command, to) => {
                        let answer = journal.accept(self.engine.apply(&self.keys, Input::Command(command)));
                        answers.push((to, answer));
                    }
                    Turn::Look(look) => look(&self.engine),
                    Turn::Stop => {
                        next = Next::End;
                        break;
                    }
                }
                batch += 1;
                next = if batch < MAX_BATCH { self.ready_turn() } else { Next::Nothing };
            }
            if matches!(next, Next::End) {
                if let Some(path) = &self.states {
                    if let Err(error) = evidence::save(path, &self.engine.evidence()) {
                        tracing::warn!("watchtowers do not see the newest states: {error}");
                    }
                }
                // What it says to others now is said again after the next start.
                return match journal.commit(&mut self.records) {
                    Ok(_) => StopReason::Asked,
                    Err(error) => StopReason::Store(error),
                };
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                let clock = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let _ = journal.accept(self.engine.apply(&self.keys, Input::Tick(clock)));
                if let Some(path) = &self.states {
                    states.keep(&self.runtime, path, &self.engine);
                }
            }
        }
    }

    /// What has come already.
    fn ready_turn(&mut self) -> Next {
        match self.turns.try_recv() {
            Ok(turn) => Next::Turn(turn),
            Err(mpsc::error::TryRecvError::Empty) => Next::Nothing,
            Err(mpsc::error::TryRecvError::Disconnected) => Next::End,
        }
    }

    /// What comes until the time.
    fn next_turn(&mut self, until: Instant) -> Next {
        match self.ready_turn() {
            Next::Nothing => {}
            ready => return ready,
        }
        let left = until.saturating_duration_since(Instant::now());
        let turns = &mut self.turns;
        match self.runtime.block_on(async { tokio::time::timeout(left, turns.recv()).await }) {
            Ok(Some(turn)) => Next::Turn(turn),
            Ok(None) => Next::End,
            Err(_) => Next::Nothing,
        }
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Send(to, message) => {
                if let Err(error) = self.transport.send(to, &message) {
                    tracing::debug!("a message is dropped: {error}");
                }
            }
            // If the tasks are gone, the process is about to end, and its successor asks again.
            Effect::Call { id, call, value, deadline } => {
                let _ = self.calls.send(Asked { id, wanted: Wanted { call, value, deadline } });
            }
            Effect::Read(channels) => {
                let _ = self.reads.send(channels);
            }
            Effect::Tell(notice) => {
                let _ = self.notices.send(notice);
            }
        }
    }
}

/// Hands what peers say to the engine.
pub(super) async fn hear(mut incoming: mpsc::Receiver<Incoming>, turns: mpsc::Sender<Turn>) {
    while let Some(incoming) = incoming.recv().await {
        let input = match incoming {
            Incoming::Connected(peer) => Input::Connected(peer),
            Incoming::Message { from, message } => Input::Message { from, message },
            Incoming::Disconnected(_) => continue,
        };
        if turns.send(Turn::Input(input)).await.is_err() {
            return;
        }
    }
}
