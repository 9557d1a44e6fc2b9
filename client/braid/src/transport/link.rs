//! A session at work: what is read goes to the engine, what waits is written.

use super::{
    counters::{add, Gauge},
    frames::{BadFrame, Frame, Goodbye, Part, Relayed},
    hello::Role,
    limits::{Bucket, Limits},
    outbox::{Next, Outbox},
    relay,
    session::{Proven, ReadError, Reader, Session, Writer, MAX_PLAIN},
    tunnel::Tunnels,
    Incoming, Shared,
};
use engine::Message;
use protocol::AccountId;
use std::{
    io, mem,
    pin::pin,
    sync::{atomic::Ordering::Relaxed, Arc},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, sleep_until, timeout, Instant},
};

/// How much is sealed and written at once.
const BATCH: usize = 4 * MAX_PLAIN;

/// An unfinished frame up to this size is not counted.
const SMALL: usize = 64 * 1024;

/// How long the last words of a session may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long to wait for the session that replaces another: less than its last words may take on the other side.
const HANDOVER: Duration = Duration::from_secs(2);

/// Over what a session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A TCP connection.
    Direct,
    /// An account that passes it on and cannot read it.
    Relayed(AccountId),
}

/// A session with a peer, seen from the rest of the transport.
pub(super) struct Link {
    pub peer: AccountId,
    pub route: Route,
    pub role: Role,
    pub outbox: Outbox,
    pub tunnels: Tunnels,
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the peer says: {0}")]
    Peer(Goodbye),
    #[error("this side ends it: {0}")]
    Own(Goodbye),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the connection failed: {0}")]
    Write(#[from] io::Error),
    #[error(transparent)]
    BadFrame(#[from] BadFrame),
    #[error("nothing was heard from the peer for too long")]
    Silent,
    #[error("the peer does not read")]
    Slow,
    #[error("the peer sends too much for too long")]
    Flood,
    #[error("unfinished frames of all peers take too much memory")]
    Unfinished,
}

impl End {
    /// What the peer is told of it, if there is a point.
    fn goodbye(&self) -> Option<Goodbye> {
        match self {
            Self::BadFrame(_) => Some(Goodbye::BadFrame),
            Self::Flood | Self::Unfinished => Some(Goodbye::Flood),
            _ => None,
        }
    }
}

impl Link {
    pub(super) fn new(peer: AccountId, route: Route, role: Role, limits: &Limits) -> Arc<Self> {
        let outbox = Outbox::new(limits.outgoing_bytes, limits.outgoing_messages, limits.delay);
        Arc::new(Self { peer, route, role, outbox, tunnels: Tunnels::new(limits.tunnels) })
    }

    pub(super) fn is_direct(&self) -> bool {
        self.route == Route::Direct
    }

    /// Of two links between the same accounts both sides keep the one with the higher rank, or the newer: a direct one, and
    /// among those of a kind the one that the smaller account has dialled.
    pub(super) fn rank(&self, own: &AccountId) -> (bool, bool) {
        let by_smaller = (self.role == Role::Initiator) == (*own < self.peer);
        (self.is_direct(), by_smaller)
    }

    /// Takes a part of a relayed session for this side. Parts of sessions that are over are ignored.
    fn receive(self: &Arc<Self>, shared: &Arc<Shared>, relayed: Relayed<'_>) -> Result<(), BadFrame> {
        let Relayed { peer, session, part } = relayed;
        match part {
            Part::Begin if self.is_direct() && session != 0 => {
                if let Err(goodbye) = shared.accept_relayed(self, peer, session) {
                    add(&shared.counters.refused, 1);
                    let end = Relayed { peer, session, part: Part::End(goodbye) };
                    let _ = self.outbox.other(&Frame::Relay(end));
                }
                Ok(())
            }
            Part::Begin => Err(BadFrame::Malformed),
            Part::End(goodbye) if session == 0 => {
                self.tunnels.end_all_with(peer, goodbye);
                Ok(())
            }
            part => self.tunnels.get(&(peer, session)).map_or(Ok(()), |tunnel| tunnel.receive(part)),
        }
    }

    /// Ends everything that goes over it.
    fn finish(&self) {
        self.outbox.end(Goodbye::Ended);
        self.tunnels.close();
    }
}

/// A session that both sides want, on the side that dialled, or a peer that has proven itself to the side that was dialled.
pub(super) enum Begun<R, W> {
    Session(Session<R, W>),
    Proven(Proven<R, W>),
}

/// Lets a session work until it ends, if it is kept. Says whether it was.
pub(super) async fn run<R, W>(shared: Arc<Shared>, link: Arc<Link>, begun: Begun<R, W>) -> bool
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    // Whoever tells the engine of this peer does so alone, so that it hears in order of what comes and goes.
    let gate = shared.peers().gate(link.peer);
    let held = gate.lock().await;
    let replaces = match shared.enlist(&link) {
        Ok(replaces) => replaces,
        Err(goodbye) => {
            drop(held);
            refuse(&shared, &link, begun, goodbye).await;
            return false;
        }
    };
    let _open = link.is_direct().then(|| Gauge::new(&shared.counters, |counters| &counters.connections));
    let mut told = replaces;
    let session = match begun {
        Begun::Session(session) => Some(session),
        Begun::Proven(proven) => timeout(LAST_WORDS, proven.welcome()).await.ok().and_then(Result::ok),
    };
    if session.is_some() {
        add(&shared.counters.sessions, 1);
        tracing::debug!(peer = %chain::keys::address(&link.peer), route = ?link.route, "connected");
        if !replaces {
            // If the engine is gone, so is the transport.
            told = shared.incoming.send(Incoming::Connected(link.peer)).await.is_ok();
        }
    }
    drop(held);
    if let Some(session) = session {
        let end = work(&shared, &link, session).await;
        shared.count_end(&end);
        tracing::debug!(peer = %chain::keys::address(&link.peer), route = ?link.route, %end, "disconnected");
    }
    link.finish();
    if link.is_direct() {
        relay::gone(&shared, link.peer);
    }
    let _held = gate.lock().await;
    let was_kept = shared.peers().delist(&link);
    add(&shared.counters.dropped, link.outbox.waiting() as u64);
    if was_kept && told {
        let _ = shared.incoming.send(Incoming::Disconnected(link.peer)).await;
    }
    shared.peers().tidy(link.peer);
    true
}

async fn refuse<R, W>(shared: &Arc<Shared>, link: &Arc<Link>, begun: Begun<R, W>, goodbye: Goodbye)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    add(&shared.counters.refused, u64::from(goodbye == Goodbye::Full));
    match begun {
        Begun::Proven(proven) => {
            let _ = timeout(LAST_WORDS, proven.refuse(goodbye.into())).await;
        }
        Begun::Session(session) => {
            // The peer has taken it already. What it has sent before it hears of this counts.
            link.outbox.end(goodbye);
            work(shared, link, session).await;
            link.finish();
        }
    }
}

async fn work<R, W>(shared: &Arc<Shared>, link: &Arc<Link>, session: Session<R, W>) -> End
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Session { reader, writer, .. } = session;
    let mut reading = pin!(read(shared, link, reader));
    let mut writing = pin!(write(shared, link, writer));
    tokio::select! {
        end = &mut reading => {
            if matches!(end, End::Peer(Goodbye::Replaced)) {
                // The one that takes its place is on its way. Until it is here the peer still reads this one.
                let _ = timeout(HANDOVER, writing).await;
            } else if let Some(goodbye) = end.goodbye() {
                link.outbox.end(goodbye);
                let _ = timeout(LAST_WORDS, writing).await;
            }
            end
        }
        end = &mut writing => {
            if matches!(end, End::Own(Goodbye::Replaced)) {
                // What the peer has sent before it heard of that still counts.
                let _ = timeout(LAST_WORDS, reading).await;
            }
            end
        }
    }
}

/// Reads until the session ends.
async fn read<R: AsyncRead + Unpin>(shared: &Arc<Shared>, link: &Arc<Link>, mut reader: Reader<R>) -> End {
    let limits = &shared.limits;
    let mut bytes = Bucket::new(limits.bytes_per_second);
    let mut messages = Bucket::new(limits.messages_per_second);
    let mut unfinished = Unfinished { shared, bytes: 0 };
    let mut slowed_since = None;
    loop {
        let read = match timeout(limits.idle, reader.fill()).await {
            Ok(Ok(read)) => read as u64,
            Ok(Err(error)) => return error.into(),
            Err(_) => return End::Silent,
        };
        add(&shared.counters.bytes_in, read);
        // An empty Noise message costs as much as a small frame.
        let mut count = 1;
        let mut rest = Duration::ZERO;
        loop {
            let frame = match reader.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return error.into(),
            };
            count += 1;
            let taken = match frame {
                Frame::Alive => Ok(()),
                Frame::Direct(message) => match Message::from_frame(message) {
                    Ok(message) => {
                        add(&shared.counters.messages_in, 1);
                        if shared.incoming.send(Incoming::Message { from: link.peer, message }).await.is_err() {
                            shared.close();
                            return End::Own(Goodbye::Stop);
                        }
                        Ok(())
                    }
                    Err(error) => Err(error.into()),
                },
                Frame::Relay(relayed) => {
                    rest = rest.max(relay::pass_on(shared, link, relayed));
                    Ok(())
                }
                Frame::Relayed(relayed) => link.receive(shared, relayed),
                Frame::Goodbye(goodbye) => return End::Peer(goodbye),
            };
            if let Err(error) = taken {
                return error.into();
            }
        }
        if !unfinished.keep(reader.unfinished()) {
            return End::Unfinished;
        }
        rest = rest.max(bytes.take(read)).max(messages.take(count));
        if rest.is_zero() {
            slowed_since = None;
            continue;
        }
        if slowed_since.get_or_insert_with(Instant::now).elapsed() > limits.flood {
            return End::Flood;
        }
        add(&shared.counters.slowed, 1);
        sleep(rest).await;
    }
}

/// How much of the memory for unfinished frames one reader uses.
struct Unfinished<'a> {
    shared: &'a Shared,
    bytes: usize,
}

impl Unfinished<'_> {
    /// Notes what is kept now, and says whether there is room for it.
    fn keep(&mut self, bytes: usize) -> bool {
        let counted = if bytes > SMALL { bytes } else { 0 };
        let before = mem::replace(&mut self.bytes, counted);
        if counted > before {
            let all = self.shared.unfinished.fetch_add(counted - before, Relaxed) + counted - before;
            return all <= self.shared.limits.unfinished_bytes;
        }
        self.shared.unfinished.fetch_sub(before - counted, Relaxed);
        true
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.keep(0);
    }
}

/// Writes until the session ends.
async fn write<W: AsyncWrite + Unpin>(shared: &Arc<Shared>, link: &Link, mut writer: Writer<W>) -> End {
    let limits = &shared.limits;
    let mut frames = vec![];
    let mut heard_at = Instant::now();
    loop {
        let (messages, goodbye) = match link.outbox.take(&mut frames) {
            Next::Write(messages) => (messages, None),
            Next::End(goodbye) => {
                Frame::Goodbye(goodbye).write(&mut frames);
                (0, Some(goodbye))
            }
            Next::Wait(until) => {
                let alive_at = heard_at + limits.keep_alive;
                tokio::select! {
                    () = link.outbox.woken() => {}
                    () = sleep_until(until.unwrap_or(alive_at).min(alive_at)) => {
                        if Instant::now() >= alive_at {
                            let _ = link.outbox.other(&Frame::Alive);
                        }
                    }
                }
                continue;
            }
        };
        for batch in frames.chunks(BATCH) {
            match timeout(limits.stall, writer.write(batch)).await {
                Ok(Ok(written)) => add(&shared.counters.bytes_out, written as u64),
                Ok(Err(error)) => return error.into(),
                Err(_) => return End::Slow,
            }
        }
        heard_at = Instant::now();
        add(&shared.counters.messages_out, messages as u64);
        if let Some(goodbye) = goodbye {
            let _ = timeout(LAST_WORDS, writer.finish()).await;
            return End::Own(goodbye);
        }
        frames.clear();
        frames.shrink_to(BATCH);
    }
}
