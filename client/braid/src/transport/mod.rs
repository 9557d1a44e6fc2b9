//! What carries [`Message`]s between accounts: over TCP, or through an account that both are connected to.
//!
//! A [`Transport`] is one account's. It listens, dials, and gives what comes to one bounded channel of [`Incoming`]. What is
//! sent may be lost, late or repeated after a connection has changed, as the engine expects; the order is kept only within a
//! connection.
//!
//! - [`address`], where a peer is reached
//! - [`limits`], what a transport takes on
//! - [`hello`], how accounts prove themselves, and [`session`], the sealed stream after it
//! - [`frames`], what goes over a session
//! - [`counters`], what is counted
//! - `link`, a session at work; `outbox`, what waits for one; `peers`, all of them; `connect`, how they begin
//! - `relay`, passing on for others; `tunnel`, the stream that others pass on

pub mod address;
mod connect;
pub mod counters;
pub mod frames;
pub mod hello;
pub mod limits;
mod link;
mod outbox;
mod peers;
mod relay;
pub mod session;
mod tunnel;

pub use address::PeerAddress;
pub use counters::Counters;
pub use limits::Limits;
pub use link::Route;

use counters::add;
use engine::{message::MAX_FRAME, Message, Signer};
use frames::Goodbye;
use hello::{HandshakeError, Identity};
use link::{End, Link};
use outbox::NoRoom;
use peers::{Enlist, Peers};
use protocol::{AccountId, Domain};
use std::{
    io,
    net::SocketAddr,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        Arc, Mutex, MutexGuard, PoisonError,
    },
};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{mpsc, watch},
};

/// What comes to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Nearly all of it is messages.
pub enum Incoming {
    /// There is a session with a peer. It comes before the peer's messages.
    Connected(AccountId),
    /// A peer says something.
    Message {
        /// Who: it has proven that.
        from: AccountId,
        /// What.
        message: Message,
    },
    /// There is no session with a peer any more.
    Disconnected(AccountId),
}

/// Why a transport does not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}: {error}. Choose another address, or stop what listens there")]
pub struct StartError {
    address: SocketAddr,
    error: io::Error,
}

/// Why a message is not on its way. It is dropped; the engine sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum NotSent {
    #[error("there is no connection to the peer, and no relay to it: connect to it, or name a relay")]
    NoConnection,
    #[error("too much waits for the peer: it does not read fast enough")]
    Full,
    #[error("the message has {0} bytes, more than {MAX_FRAME}")]
    TooLong(usize),
    #[error("the message is to this account itself")]
    OwnAccount,
}

/// Sends to peers and keeps the connections to them. Copies are the same transport; it stops with the last one.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
    _stop: Arc<Stop>,
}

/// What all tasks of a transport know.
struct Shared {
    identity: Identity,
    account: AccountId,
    limits: Limits,
    counters: Arc<Counters>,
    incoming: mpsc::Sender<Incoming>,
    runtime: Handle,
    listens: Option<SocketAddr>,
    /// Dropped when the transport closes.
    closing: Mutex<Option<watch::Sender<()>>>,
    peers: Mutex<Peers>,
    unproven: Mutex<connect::Unproven>,
    relay: Mutex<relay::Relay>,
    /// Bytes of unfinished frames that are kept.
    unfinished: AtomicUsize,
}

/// Closes a transport when its last copy is gone.
struct Stop(Arc<Shared>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Transport {
    /// Starts on the tokio runtime that it is called in: listens, if an address is given, and dials nobody yet. The receiver
    /// is for the engine; while it is full, peers are read more slowly.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        signer: Arc<dyn Signer + Send + Sync>,
        domain: Domain,
        listen: Option<SocketAddr>,
        limits: Limits,
    ) -> Result<(Self, mpsc::Receiver<Incoming>), StartError> {
        let listener = match listen {
            Some(address) => {
                let bound = async {
                    let listener = TcpListener::bind(address).await?;
                    let bound = listener.local_addr()?;
                    Ok((listener, bound))
                };
                Some(bound.await.map_err(|error| StartError { address, error })?)
            }
            None => None,
        };
        let limits = limits.fit_open_files();
        let (incoming, receiver) = mpsc::channel(limits.incoming.max(1));
        let (closing, closed) = watch::channel(());
        let account = signer.account();
        let shared = Arc::new(Shared {
            identity: Identity { signer, domain, versions: hello::VERSIONS.to_vec() },
            account,
            limits,
            counters: Arc::default(),
            incoming,
            runtime: Handle::current(),
            listens: listener.as_ref().map(|(_, address)| *address),
            closing: Mutex::new(Some(closing)),
            peers: Mutex::default(),
            unproven: Mutex::default(),
            relay: Mutex::default(),
            unfinished: AtomicUsize::new(0),
        });
        if let Some((listener, _)) = listener {
            tokio::spawn(connect::listen(shared.clone(), listener, closed));
        }
        let stop = Arc::new(Stop(shared.clone()));
        Ok((Self { shared, _stop: stop }, receiver))
    }

    /// Whose it is.
    pub fn account(&self) -> AccountId {
        self.shared.account
    }

    /// Where it listens. The port is the one that the system chose if 0 was asked for.
    pub fn listens(&self) -> Option<SocketAddr> {
        self.shared.listens
    }

    /// What it has counted.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// Keeps a connection to a peer from now on, until [`Transport::forget`]: dials, and dials again when it is lost. An
    /// address given before for the same account is forgotten.
    ///
    /// # Errors
    /// If it is this account itself.
    pub fn connect(&self, to: PeerAddress) -> Result<(), HandshakeError> {
        if to.account == self.shared.account {
            return Err(HandshakeError::OwnAccount);
        }
        let (go_on, stop) = watch::channel(());
        let mut peers = self.shared.peers();
        if !peers.is_closed() {
            peers.peer(to.account).dialler = Some(go_on);
            self.shared.runtime.spawn(connect::keep(self.shared.clone(), to, stop));
        }
        Ok(())
    }

    /// Dials a peer no longer, and ends the session with it.
    pub fn forget(&self, account: &AccountId) {
        let mut peers = self.shared.peers();
        peers.peer(*account).dialler = None;
        if let Some(link) = peers.link(account) {
            link.outbox.end(Goodbye::Stop);
        }
        peers.tidy(*account);
    }

    /// Names an account through which peers may be reached that this one is not connected to: usually a coordinator. It is
    /// used while there is a direct connection to it, in the order in which relays were named.
    pub fn set_relay(&self, account: AccountId) {
        let mut peers = self.shared.peers();
        if !peers.relays.contains(&account) {
            peers.relays.push(account);
        }
    }

    /// Begins no more sessions through an account.
    pub fn unset_relay(&self, account: &AccountId) {
        self.shared.peers().relays.retain(|relay| relay != account);
    }

    /// Puts a message on its way, through a relay if there is no connection. Never blocks; may be called by any thread.
    ///
    /// # Errors
    /// [`NotSent`]. The message is dropped then, and counted.
    pub fn send(&self, to: AccountId, message: &Message) -> Result<(), NotSent> {
        let sent = self.try_send(to, message);
        add(&self.shared.counters.dropped, u64::from(sent.is_err()));
        sent
    }

    fn try_send(&self, to: AccountId, message: &Message) -> Result<(), NotSent> {
        if to == self.shared.account {
            return Err(NotSent::OwnAccount);
        }
        let frame = message.frame();
        if frame.len() > MAX_FRAME {
            return Err(NotSent::TooLong(frame.len()));
        }
        let link = self.shared.link_to(to).ok_or(NotSent::NoConnection)?;
        link.outbox.message(&frame).map_err(|no_room| match no_room {
            NoRoom::Full => NotSent::Full,
            NoRoom::Ended => NotSent::NoConnection,
        })
    }

    /// Over what a peer is reached now.
    pub fn route(&self, account: &AccountId) -> Option<Route> {
        self.shared.peers().link(account).map(|link| link.route)
    }

    /// All peers that there is a session with, and over what.
    pub fn peers(&self) -> Vec<(AccountId, Route)> {
        self.shared.peers().links().map(|link| (link.peer, link.route)).collect()
    }

    /// Ends all connections and takes no more, whether or not there are other copies.
    pub fn close(&self) {
        self.shared.close();
    }
}

/// Nothing panics while one of them is locked, so each is whole even if somebody did.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn peers(&self) -> MutexGuard<'_, Peers> {
        lock(&self.peers)
    }

    fn unproven(&self) -> MutexGuard<'_, connect::Unproven> {
        lock(&self.unproven)
    }

    fn relay(&self) -> MutexGuard<'_, relay::Relay> {
        lock(&self.relay)
    }

    /// The session over which a peer is reached, perhaps one that is being begun.
    fn link_to(self: &Arc<Self>, to: AccountId) -> Option<Arc<Link>> {
        let mut peers = self.peers();
        if peers.is_closed() {
            return None;
        }
        if let Some(link) = peers.reached_by(&to) {
            return Some(link);
        }
        self.open_relayed(&mut peers, to)
    }

    /// Takes a session over and says whether it replaces another, or why it is not taken.
    fn enlist(&self, link: &Arc<Link>) -> Result<bool, Goodbye> {
        let mut peers = self.peers();
        let full = self.counters.connections.load(Relaxed) >= self.limits.connections as u64;
        if full && link.role == hello::Role::Responder && link.is_direct() && peers.direct(&link.peer).is_none() {
            return Err(Goodbye::Full);
        }
        let (replaces, from, to) = match peers.enlist(&self.account, link) {
            Ok(None) => return Ok(false),
            Ok(Some(replaced)) => (Ok(true), replaced, link.clone()),
            Err(Enlist::Closed) => return Err(Goodbye::Stop),
            Err(Enlist::Worse(kept)) => {
                // If the one that is kept is dead, this finds it out.
                let _ = kept.outbox.other(&frames::Frame::Alive);
                (Err(Goodbye::Replaced), link.clone(), kept)
            }
        };
        add(&self.counters.dropped, to.outbox.absorb(&from.outbox) as u64);
        replaces
    }

    fn count_end(&self, end: &End) {
        let counter = match end {
            End::BadFrame(_) | End::Read(session::ReadError::Seal) => &self.counters.bad_frames,
            End::Slow => &self.counters.slow_peers,
            End::Silent => &self.counters.silent_peers,
            End::Flood => &self.counters.flooding_peers,
            End::Unfinished => &self.counters.refused,
            End::Peer(_) | End::Own(_) | End::Read(_) | End::Write(_) => return,
        };
        add(counter, 1);
    }

    fn close(&self) {
        drop(lock(&self.closing).take());
        self.peers().close();
    }
}
