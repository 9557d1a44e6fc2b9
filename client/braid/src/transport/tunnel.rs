//! A byte stream to a peer through an account that both are connected to. A session runs on it as on any other stream.

use super::{
    frames::{BadFrame, Frame, Goodbye, Part, Relayed, MAX_PIECE, WINDOW},
    link::Link,
};
use protocol::AccountId;
use std::{
    collections::{HashMap, VecDeque},
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Relayed sessions with one peer over one connection: one that is kept, one that takes its place, one that is refused.
const TUNNELS_OF_PEER: usize = 4;

/// One end of a relayed stream.
pub(super) struct Tunnel {
    /// The connection to the relay.
    relay: Arc<Link>,
    peer: AccountId,
    session: u64,
    state: Mutex<State>,
}

struct State {
    /// What came and was not read yet.
    inbound: VecDeque<u8>,
    /// What was read since credit was last given.
    read: u32,
    /// How much may be sent.
    credit: u32,
    /// How many halves are in use on this side.
    halves: u8,
    /// Nothing more comes.
    finished: bool,
    ended: Option<Goodbye>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The half of a [`Tunnel`] that is read.
pub(super) struct TunnelReader(Arc<Tunnel>);

/// The half of a [`Tunnel`] that is written.
pub(super) struct TunnelWriter(Arc<Tunnel>);

impl Tunnel {
    /// A stream over a connection, known there until it ends.
    pub(super) fn open(
        relay: &Arc<Link>,
        peer: AccountId,
        session: u64,
    ) -> Result<(TunnelReader, TunnelWriter), Goodbye> {
        let state = State {
            inbound: VecDeque::new(),
            read: 0,
            credit: WINDOW,
            halves: 2,
            finished: false,
            ended: None,
            reader: None,
            writer: None,
        };
        let tunnel = Arc::new(Self { relay: relay.clone(), peer, session, state: Mutex::new(state) });
        relay.tunnels.add((peer, session), &tunnel)?;
        Ok((TunnelReader(tunnel.clone()), TunnelWriter(tunnel)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the relay to pass a part on.
    fn send(&self, part: Part<'_>) -> io::Result<()> {
        let frame = Frame::Relay(Relayed { peer: self.peer, session: self.session, part });
        self.relay.outbox.other(&frame).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// The other end, or the way to it, is gone.
    fn end(&self, goodbye: Goodbye) {
        let mut state = self.lock();
        state.ended.get_or_insert(goodbye);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Takes a part that the relay passed on.
    pub(super) fn receive(&self, part: Part<'_>) -> Result<(), BadFrame> {
        let mut state = self.lock();
        let wakers = match part {
            Part::Begin => return Err(BadFrame::Malformed),
            Part::Bytes(bytes) => {
                // What is announced as read may be sent again.
                let room = (WINDOW - state.read) as usize;
                if state.inbound.len() + bytes.len() > room {
                    return Err(BadFrame::NoCredit);
                }
                state.inbound.extend(bytes);
                [state.reader.take(), None]
            }
            Part::Credit(more) => {
                state.credit = state.credit.saturating_add(more).min(WINDOW);
                [None, state.writer.take()]
            }
            Part::Finish => {
                state.finished = true;
                [state.reader.take(), None]
            }
            Part::End(goodbye) => {
                drop(state);
                self.end(goodbye);
                return Ok(());
            }
        };
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        Ok(())
    }

    /// Gives a half up. With the second one the stream ends: the peer is told, and the relay's connection forgets it.
    fn close_half(&self) {
        let mut state = self.lock();
        state.halves -= 1;
        if state.halves > 0 {
            return;
        }
        let first = state.ended.replace(Goodbye::Ended).is_none();
        drop(state);
        if first {
            // If the connection to the relay has ended, the peer hears that from the relay.
            let _ = self.send(Part::End(Goodbye::Ended));
        }
        self.relay.tunnels.remove(&(self.peer, self.session));
    }
}

/// The relayed sessions that a connection carries, as one of their ends.
pub(super) struct Tunnels {
    max: usize,
    /// By peer and number; none once the connection has ended.
    open: Mutex<Option<HashMap<Key, Arc<Tunnel>>>>,
}

type Key = (AccountId, u64);

impl Tunnels {
    pub(super) fn new(max: usize) -> Self {
        Self { max, open: Mutex::new(Some(HashMap::new())) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<Key, Arc<Tunnel>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, key: Key, tunnel: &Arc<Tunnel>) -> Result<(), Goodbye> {
        let mut open = self.lock();
        let open = open.as_mut().ok_or(Goodbye::Unreachable)?;
        let of_peer = open.keys().filter(|(peer, _)| *peer == key.0).count();
        if open.len() >= self.max || of_peer >= TUNNELS_OF_PEER || open.contains_key(&key) {
            return Err(Goodbye::Full);
        }
        open.insert(key, tunnel.clone());
        Ok(())
    }

    fn remove(&self, key: &Key) {
        let removed = self.lock().as_mut().and_then(|open| open.remove(key));
        drop(removed);
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Tunnel>> {
        self.lock().as_ref()?.get(key).cloned()
    }

    /// Ends all with a peer, which is gone.
    pub(super) fn end_all_with(&self, peer: AccountId, goodbye: Goodbye) {
        let all: Vec<_> = match self.lock().as_ref() {
            Some(open) => open.iter().filter(|(key, _)| key.0 == peer).map(|(_, tunnel)| tunnel.clone()).collect(),
            None => vec![],
        };
        all.iter().for_each(|tunnel| tunnel.end(goodbye));
    }

    /// Ends all, with the connection.
    pub(super) fn close(&self) {
        let all = self.lock().take().unwrap_or_default();
        all.into_values().for_each(|tunnel| tunnel.end(Goodbye::Unreachable));
    }
}

impl AsyncRead for TunnelReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tunnel = &self.0;
        let mut state = tunnel.lock();
        if state.inbound.is_empty() {
            if state.finished {
                return Poll::Ready(Ok(()));
            }
            if let Some(goodbye) = state.ended {
                return Poll::Ready(match goodbye {
                    Goodbye::Ended => Ok(()),
                    goodbye => Err(io::Error::other(goodbye)),
                });
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (front, _) = state.inbound.as_slices();
        let length = front.len().min(buf.remaining());
        buf.put_slice(&front[..length]);
        state.inbound.drain(..length);
        state.read += length as u32;
        let credit = if state.read >= WINDOW / 2 { std::mem::take(&mut state.read) } else { 0 };
        drop(state);
        if credit > 0 {
            tunnel.send(Part::Credit(credit))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TunnelWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tunnel = &self.0;
        let mut state = tunnel.lock();
        if let Some(goodbye) = state.ended {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, goodbye)));
        }
        if state.credit == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = bytes.len().min(state.credit as usize).min(MAX_PIECE);
        state.credit -= length as u32;
        drop(state);
        tunnel.send(Part::Bytes(&bytes[..length]))?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.send(Part::Finish))
    }
}

impl Drop for TunnelReader {
    fn drop(&mut self) {
        self.0.close_half();
    }
}

impl Drop for TunnelWriter {
    fn drop(&mut self) {
        self.0.close_half();
    }
}
