//! How sessions begin: listening, dialling, and through a relay.

use super::{
    address::PeerAddress,
    counters::{add, Gauge},
    frames::{Frame, Goodbye, Part, Relayed},
    hello::{HandshakeError, Role},
    limits::{random, subscriber, Limits},
    link::{run, Begun, Link, Route},
    peers::Peers,
    session::{accept, dial, Session},
    tunnel::{Tunnel, TunnelReader, TunnelWriter},
    Shared,
};
use chain::keys::address;
use protocol::AccountId;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{atomic::Ordering::Relaxed, Arc},
    time::Duration,
};
use tokio::{
    net::{
        tcp::{OwnedReadHalf, OwnedWriteHalf},
        TcpListener, TcpStream,
    },
    sync::{oneshot, watch},
    time::{sleep, timeout, Instant},
};

/// A session that has lived for so long was no failure.
const LASTING: Duration = Duration::from_secs(5);

/// Incoming connections that have not proven an account yet, by age.
#[derive(Default)]
pub(super) struct Unproven {
    next: u64,
    by_age: BTreeMap<u64, (IpAddr, oneshot::Sender<()>)>,
    by_ip: HashMap<IpAddr, BTreeSet<u64>>,
}

impl Unproven {
    /// One more, for which the oldest goes if there are too many, of the same address or in all. The new one has to go when
    /// the receiver says so.
    fn admit(&mut self, ip: IpAddr, limits: &Limits) -> (u64, oneshot::Receiver<()>, bool) {
        let of_ip = self.by_ip.get(&ip).filter(|of_ip| of_ip.len() >= limits.unproven_per_ip);
        let too_many = || (self.by_age.len() >= limits.unproven).then(|| self.by_age.keys().next()).flatten();
        let oldest = of_ip.and_then(|of_ip| of_ip.first()).or_else(too_many).copied();
        let dropped = oldest.is_some();
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
        let (go, gone) = oneshot::channel();
        let id = self.next;
        self.next += 1;
        self.by_age.insert(id, (ip, go));
        self.by_ip.entry(ip).or_default().insert(id);
        (id, gone, dropped)
    }

    fn remove(&mut self, id: u64) {
        let Some((ip, _)) = self.by_age.remove(&id) else { return };
        if let Some(of_ip) = self.by_ip.get_mut(&ip) {
            of_ip.remove(&id);
            if of_ip.is_empty() {
                self.by_ip.remove(&ip);
            }
        }
    }

    /// Drops the oldest, because the process cannot open more files.
    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.by_age.keys().next().copied() {
            self.remove(oldest);
        }
    }
}

/// Takes connections until the transport is closed.
pub(super) async fn listen(shared: Arc<Shared>, listener: TcpListener, mut closing: watch::Receiver<()>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.changed() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                let ip = subscriber(from.ip());
                let (id, gone, dropped) = shared.unproven().admit(ip, &shared.limits);
                add(&shared.counters.refused, u64::from(dropped));
                let counted = Gauge::new(&shared.counters, |counters| &counters.unproven);
                tokio::spawn(answer(shared.clone(), stream, id, gone, counted));
                // Those that were told to go still hold their files until they are run.
                while shared.counters.unproven.load(Relaxed) as usize >= 2 * shared.limits.unproven {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken: if too many files are open, raise `ulimit -n`");
                shared.unproven().drop_oldest();
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Finds out who dialled, and works with it.
async fn answer(shared: Arc<Shared>, stream: TcpStream, id: u64, gone: oneshot::Receiver<()>, counted: Gauge) {
    let Ok((read, write)) = halves(stream) else { return shared.unproven().remove(id) };
    let proven = tokio::select! {
        proven = timeout(shared.limits.handshake, accept(&shared.identity, read, write)) => proven,
        _ = gone => return,
    };
    shared.unproven().remove(id);
    drop(counted);
    match proven {
        Ok(Ok(proven)) => {
            let link = Link::new(proven.peer(), Route::Direct, Role::Responder, &shared.limits);
            run(shared, link, Begun::Proven(proven)).await;
        }
        failed => {
            add(&shared.counters.handshakes_failed, 1);
            let error =
                failed.map_or(HandshakeError::Timeout, |refused| refused.err().unwrap_or(HandshakeError::Timeout));
            tracing::debug!(%error, "an incoming connection was not taken");
        }
    }
}

fn halves(stream: TcpStream) -> std::io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    // Batches are complete when they are written.
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

/// Keeps a connection to a peer until `stop` says otherwise.
pub(super) async fn keep(shared: Arc<Shared>, to: PeerAddress, mut stop: watch::Receiver<()>) {
    let mut failures: u32 = 0;
    loop {
        tokio::select! {
            () = no_connection(&shared, to.account) => {}
            _ = stop.changed() => return,
        }
        let dialled = tokio::select! {
            dialled = timeout(shared.limits.handshake, dial_tcp(&shared, &to)) => dialled,
            _ = stop.changed() => return,
        };
        match dialled.unwrap_or(Err(HandshakeError::Timeout)) {
            Ok(session) => {
                let link = Link::new(to.account, Route::Direct, Role::Initiator, &shared.limits);
                let begun = Instant::now();
                let kept = run(shared.clone(), link, Begun::Session(session)).await;
                failures = if kept && begun.elapsed() >= LASTING { 0 } else { failures + 1 };
            }
            Err(error) => {
                add(&shared.counters.dials_failed, 1);
                failures += 1;
                tracing::warn!(%to, %error, failures, "no connection");
            }
        }
        tokio::select! {
            () = sleep(shared.limits.pause(failures.saturating_sub(1))) => {}
            _ = stop.changed() => return,
        }
    }
}

/// Waits until there is no direct session with a peer.
async fn no_connection(shared: &Shared, peer: AccountId) {
    loop {
        let ended = shared.peers().ended(peer);
        let mut ended = std::pin::pin!(ended.notified());
        ended.as_mut().enable();
        if shared.peers().direct(&peer).is_none() {
            return;
        }
        ended.await;
    }
}

async fn dial_tcp(shared: &Shared, to: &PeerAddress) -> Result<Session<OwnedReadHalf, OwnedWriteHalf>, HandshakeError> {
    let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
    let (read, write) = halves(stream)?;
    dial(&shared.identity, to.account, read, write).await
}

impl Shared {
    /// Begins a relayed session because there is something to send, if a relay is connected and it has not failed just now.
    pub(super) fn open_relayed(self: &Arc<Self>, peers: &mut Peers, to: AccountId) -> Option<Arc<Link>> {
        let relay = peers.relay_for(&to)?;
        let peer = peers.peer(to);
        if peer.retry_at.is_some_and(|at| at > Instant::now()) {
            return None;
        }
        // 0 stands for all sessions.
        let session = random().max(1);
        let (read, write) = Tunnel::open(&relay, to, session).ok()?;
        relay.outbox.other(&Frame::Relay(Relayed { peer: to, session, part: Part::Begin })).ok()?;
        let link = Link::new(to, Route::Relayed(relay.peer), Role::Initiator, &self.limits);
        peer.opening = Some(link.clone());
        self.runtime.spawn(dial_relayed(self.clone(), link.clone(), read, write));
        Some(link)
    }

    /// Answers a peer that dials through a relay.
    pub(super) fn accept_relayed(
        self: &Arc<Self>,
        relay: &Arc<Link>,
        peer: AccountId,
        session: u64,
    ) -> Result<(), Goodbye> {
        let (read, write) = Tunnel::open(relay, peer, session)?;
        tokio::spawn(answer_relayed(self.clone(), relay.peer, peer, read, write));
        Ok(())
    }
}

async fn dial_relayed(shared: Arc<Shared>, link: Arc<Link>, read: TunnelReader, write: TunnelWriter) {
    let dialled = timeout(shared.limits.handshake, dial(&shared.identity, link.peer, read, write)).await;
    match dialled.unwrap_or(Err(HandshakeError::Timeout)) {
        Ok(session) => {
            run(shared, link, Begun::Session(session)).await;
        }
        Err(error) => {
            tracing::debug!(peer = %address(&link.peer), route = ?link.route, %error, "no relayed session");
            let limits = &shared.limits;
            let other = shared.peers().not_opened(&link, |failures| Instant::now() + limits.pause(failures));
            match other {
                Some(other) => add(&shared.counters.dropped, other.outbox.absorb(&link.outbox) as u64),
                None => {
                    link.outbox.end(Goodbye::Ended);
                    add(&shared.counters.dropped, link.outbox.waiting() as u64);
                }
            }
            if !matches!(error, HandshakeError::Refused(_)) {
                add(&shared.counters.dials_failed, 1);
            }
        }
    }
}

async fn answer_relayed(
    shared: Arc<Shared>,
    relay: AccountId,
    peer: AccountId,
    read: TunnelReader,
    write: TunnelWriter,
) {
    let accepted = timeout(shared.limits.handshake, accept(&shared.identity, read, write)).await;
    let error = match accepted.unwrap_or(Err(HandshakeError::Timeout)) {
        Ok(proven) if proven.peer() == peer => {
            let link = Link::new(peer, Route::Relayed(relay), Role::Responder, &shared.limits);
            run(shared, link, Begun::Proven(proven)).await;
            return;
        }
        Ok(proven) => HandshakeError::OtherAccount { wanted: peer, answers: proven.peer() },
        Err(error) => error,
    };
    add(&shared.counters.handshakes_failed, 1);
    tracing::debug!(peer = %address(&peer), relay = %address(&relay), %error, "a relayed session was not taken");
}
