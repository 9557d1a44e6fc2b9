//! Who is connected, who is dialled, and what is sent to whom.

use super::{frames::Goodbye, link::Link};
use protocol::AccountId;
use std::{
    collections::{hash_map::Entry, HashMap},
    sync::Arc,
};
use tokio::{
    sync::{watch, Mutex, Notify},
    time::Instant,
};

/// All peers.
#[derive(Default)]
pub(super) struct Peers {
    peers: HashMap<AccountId, Peer>,
    /// Accounts that may relay, the preferred ones first.
    pub relays: Vec<AccountId>,
    /// The transport takes nobody any more.
    closed: bool,
}

/// One peer.
#[derive(Default)]
pub(super) struct Peer {
    /// The session.
    pub link: Option<Arc<Link>>,
    /// A relayed session that is being begun because there was something to send.
    pub opening: Option<Arc<Link>>,
    /// How often that has failed, and when to try again.
    pub failures: u32,
    pub retry_at: Option<Instant>,
    /// Ends the dialler when it is dropped.
    pub dialler: Option<watch::Sender<()>>,
    /// Held by whoever tells the engine of this peer.
    gate: Arc<Mutex<()>>,
    /// The session has ended.
    ended: Arc<Notify>,
}

impl Peers {
    /// A peer, which may be new.
    pub(super) fn peer(&mut self, account: AccountId) -> &mut Peer {
        self.peers.entry(account).or_default()
    }

    pub(super) fn gate(&mut self, account: AccountId) -> Arc<Mutex<()>> {
        self.peer(account).gate.clone()
    }

    /// What tells that a peer's session has ended.
    pub(super) fn ended(&mut self, account: AccountId) -> Arc<Notify> {
        self.peer(account).ended.clone()
    }

    pub(super) fn link(&self, account: &AccountId) -> Option<&Arc<Link>> {
        self.peers.get(account)?.link.as_ref()
    }

    /// The direct session with an account.
    pub(super) fn direct(&self, account: &AccountId) -> Option<Arc<Link>> {
        self.link(account).filter(|link| link.is_direct()).cloned()
    }

    /// The session with an account, or the one that is being begun.
    pub(super) fn reached_by(&self, account: &AccountId) -> Option<Arc<Link>> {
        let peer = self.peers.get(account)?;
        peer.link.as_ref().or(peer.opening.as_ref()).cloned()
    }

    /// All sessions.
    pub(super) fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.peers.values().filter_map(|peer| peer.link.as_ref())
    }

    /// A relay for a peer that is connected now.
    pub(super) fn relay_for(&self, account: &AccountId) -> Option<Arc<Link>> {
        self.relays.iter().filter(|relay| *relay != account).find_map(|relay| self.direct(relay))
    }

    /// Takes a session over, unless a better one is there. Gives the one that it replaces.
    pub(super) fn enlist(&mut self, own: &AccountId, link: &Arc<Link>) -> Result<Option<Arc<Link>>, Enlist> {
        if self.closed {
            return Err(Enlist::Closed);
        }
        let peer = self.peers.entry(link.peer).or_default();
        if peer.opening.as_ref().is_some_and(|opening| Arc::ptr_eq(opening, link)) {
            peer.opening = None;
        }
        match &peer.link {
            Some(kept) if kept.rank(own) > link.rank(own) => Err(Enlist::Worse(kept.clone())),
            _ => {
                (peer.failures, peer.retry_at) = (0, None);
                Ok(peer.link.replace(link.clone()))
            }
        }
    }

    /// Forgets a session that has ended, and says whether it was the one that was kept.
    pub(super) fn delist(&mut self, link: &Arc<Link>) -> bool {
        let Some(peer) = self.peers.get_mut(&link.peer) else { return false };
        let kept = peer.link.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, link));
        if kept {
            peer.link = None;
            peer.ended.notify_waiters();
        }
        kept
    }

    /// Forgets a relayed session that did not begin. Gives the peer's session if there is another.
    pub(super) fn not_opened(&mut self, link: &Arc<Link>, retry_at: impl Fn(u32) -> Instant) -> Option<Arc<Link>> {
        let peer = self.peers.get_mut(&link.peer)?;
        peer.opening.take_if(|opening| Arc::ptr_eq(opening, link));
        peer.retry_at = Some(retry_at(peer.failures));
        peer.failures = peer.failures.saturating_add(1);
        peer.link.clone()
    }

    /// Forgets a peer of which there is nothing to remember. One whose gate somebody else holds stays.
    pub(super) fn tidy(&mut self, account: AccountId) {
        let Entry::Occupied(entry) = self.peers.entry(account) else { return };
        let peer = entry.get();
        let unused = peer.link.is_none() && peer.opening.is_none() && peer.dialler.is_none();
        // The caller that has just ended a session holds one.
        if unused
            && peer.retry_at.is_none()
            && Arc::strong_count(&peer.gate) <= 2
            && Arc::strong_count(&peer.ended) == 1
        {
            entry.remove();
        }
    }

    /// Ends everything.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for peer in self.peers.values_mut() {
            peer.dialler = None;
            for link in peer.link.iter().chain(&peer.opening) {
                link.outbox.end(Goodbye::Stop);
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Why a session is not taken over.
pub(super) enum Enlist {
    /// The transport is closed.
    Closed,
    /// This one is kept.
    Worse(Arc<Link>),
}
