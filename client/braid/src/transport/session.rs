//! A session: a byte stream on which two accounts have proven themselves, and which is sealed by Noise.
//!
//! On the stream every Noise message has its length before it, two bytes, the highest first. Two messages are the handshake
//! `NN`: it makes fresh keys, and its hash names the session. The next ones are [`Greeting`]s, all later ones frames.

use super::{
    frames::{BadFrame, Frame},
    hello::{Greeting, HandshakeError, Hello, Identity, Refused, Role},
};
use codec::{Decode, Encode};
use protocol::AccountId;
use snow::{Builder, HandshakeState, StatelessTransportState};
use std::{io, sync::Arc};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const PATTERN: &str = "Noise_NN_25519_ChaChaPoly_BLAKE2s";

/// Both sides must mean the same protocol.
const PROLOGUE: &[u8] = b"braid session";

/// What Noise adds to a message.
const TAG: usize = 16;

/// The longest Noise message.
const MAX_SEALED: usize = 65_535;

/// The most that one Noise message carries.
pub const MAX_PLAIN: usize = MAX_SEALED - TAG;

/// The longest message before both sides have proven themselves.
const MAX_GREETING: usize = 512;

/// The least and the most that is read from a stream at once.
const CHUNK: (usize, usize) = (2 * 1024, 128 * 1024);

/// A session that has begun.
pub struct Session<R, W> {
    /// Who is at the other end.
    pub peer: AccountId,
    /// Which side this one is.
    pub role: Role,
    /// The version that both speak.
    pub version: u16,
    /// What comes.
    pub reader: Reader<R>,
    /// What goes.
    pub writer: Writer<W>,
}

/// A session of a responder that knows who dialled, and has not taken it yet.
pub struct Proven<R, W>(Session<R, W>);

/// Unseals frames.
pub struct Reader<R> {
    stream: R,
    noise: Arc<StatelessTransportState>,
    nonce: u64,
    /// What was read and is still sealed.
    sealed: Vec<u8>,
    /// How much to read at once.
    chunk: usize,
    /// What is unsealed, and how much of it was taken.
    plain: Vec<u8>,
    taken: usize,
}

/// Seals frames.
pub struct Writer<W> {
    stream: W,
    noise: Arc<StatelessTransportState>,
    nonce: u64,
    sealed: Vec<u8>,
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum ReadError {
    #[error("the peer has closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("a message cannot be unsealed: it was changed, repeated or left out on the way")]
    Seal,
}

/// Begins a session with `wanted`, which listens at the other end of the stream. This side shows its account only to it.
///
/// # Errors
/// [`HandshakeError`]. The caller bounds the time.
pub async fn dial<R, W>(
    identity: &Identity,
    wanted: AccountId,
    mut read: R,
    mut write: W,
) -> Result<Session<R, W>, HandshakeError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut noise = builder().and_then(Builder::build_initiator).map_err(noise_failed)?;
    send(&mut noise, &mut write).await?;
    receive(&mut noise, &mut read).await?;
    let (mut session, hash) = establish(noise, Role::Initiator, read, write)?;
    let hello = session.hear_hello().await?;
    session.check(&hello, identity, Some(wanted), &hash).await?;
    let own = Hello::new(identity, Role::Initiator, &hash).await?;
    session.writer.greet(&Greeting::Hello(own)).await?;
    match session.reader.greeting().await? {
        Greeting::Welcome => Ok(session),
        Greeting::Refused(refused) => Err(HandshakeError::Refused(refused)),
        Greeting::Hello(_) => Err(HandshakeError::Malformed),
    }
}

/// Answers who dialled, and finds out who it is.
///
/// # Errors
/// [`HandshakeError`]. The caller bounds the time.
pub async fn accept<R, W>(identity: &Identity, mut read: R, mut write: W) -> Result<Proven<R, W>, HandshakeError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut noise = builder().and_then(Builder::build_responder).map_err(noise_failed)?;
    receive(&mut noise, &mut read).await?;
    send(&mut noise, &mut write).await?;
    let (mut session, hash) = establish(noise, Role::Responder, read, write)?;
    let own = Hello::new(identity, Role::Responder, &hash).await?;
    session.writer.greet(&Greeting::Hello(own)).await?;
    let hello = session.hear_hello().await?;
    session.check(&hello, identity, None, &hash).await?;
    Ok(Proven(session))
}

impl<R, W: AsyncWrite + Unpin> Proven<R, W> {
    /// Who dialled.
    pub fn peer(&self) -> AccountId {
        self.0.peer
    }

    /// Takes it.
    ///
    /// # Errors
    /// If it is gone.
    pub async fn welcome(mut self) -> io::Result<Session<R, W>> {
        self.0.writer.greet(&Greeting::Welcome).await?;
        Ok(self.0)
    }

    /// Does not take it.
    ///
    /// # Errors
    /// If it is gone.
    pub async fn refuse(mut self, why: Refused) -> io::Result<()> {
        self.0.writer.greet(&Greeting::Refused(why)).await?;
        self.0.writer.finish().await
    }
}

fn builder<'a>() -> Result<Builder<'a>, snow::Error> {
    Builder::new(PATTERN.parse()?).prologue(PROLOGUE)
}

fn noise_failed(error: snow::Error) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

/// Sends the next message of the Noise handshake.
async fn send(noise: &mut HandshakeState, write: &mut (impl AsyncWrite + Unpin)) -> Result<(), HandshakeError> {
    let mut message = [0; 2 + MAX_GREETING];
    let length = noise.write_message(&[], &mut message[2..]).map_err(noise_failed)?;
    message[..2].copy_from_slice(&(length as u16).to_be_bytes());
    write.write_all(&message[..2 + length]).await?;
    Ok(write.flush().await?)
}

/// Reads the next message of the Noise handshake.
async fn receive(noise: &mut HandshakeState, read: &mut (impl AsyncRead + Unpin)) -> Result<(), HandshakeError> {
    let length = usize::from(read.read_u16().await?);
    let mut message = [0; MAX_GREETING];
    let message = message.get_mut(..length).ok_or(HandshakeError::Malformed)?;
    read.read_exact(message).await?;
    noise.read_message(message, &mut [0; MAX_GREETING]).map_err(|_| HandshakeError::Malformed)?;
    Ok(())
}

/// Goes over to the keys that the handshake made; gives its hash too.
fn establish<R, W>(
    noise: HandshakeState,
    role: Role,
    read: R,
    write: W,
) -> Result<(Session<R, W>, Vec<u8>), HandshakeError> {
    let hash = noise.get_handshake_hash().to_vec();
    let noise = Arc::new(noise.into_stateless_transport_mode().map_err(noise_failed)?);
    let reader = Reader {
        stream: read,
        noise: noise.clone(),
        nonce: 0,
        sealed: vec![],
        chunk: CHUNK.0,
        plain: vec![],
        taken: 0,
    };
    let writer = Writer { stream: write, noise, nonce: 0, sealed: vec![] };
    // Nobody is known yet; `check` fills it in.
    Ok((Session { peer: AccountId::from([0; 32]), role, version: 0, reader, writer }, hash))
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Session<R, W> {
    async fn hear_hello(&mut self) -> Result<Hello, HandshakeError> {
        match self.reader.greeting().await? {
            Greeting::Hello(hello) => Ok(hello),
            Greeting::Refused(refused) => Err(HandshakeError::Refused(refused)),
            Greeting::Welcome => Err(HandshakeError::Malformed),
        }
    }

    /// Checks what the other side says of itself, and tells it if that is not good.
    async fn check(
        &mut self,
        hello: &Hello,
        identity: &Identity,
        wanted: Option<AccountId>,
        hash: &[u8],
    ) -> Result<(), HandshakeError> {
        let other = match self.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        match hello.check(identity, other, wanted, hash) {
            Ok(version) => {
                (self.version, self.peer) = (version, hello.account);
                Ok(())
            }
            Err(error) => {
                if let Some(refused) = error.refusal() {
                    self.writer.greet(&Greeting::Refused(refused)).await?;
                    self.writer.finish().await?;
                }
                Err(error)
            }
        }
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    async fn greeting(&mut self) -> Result<Greeting, HandshakeError> {
        let length = usize::from(self.stream.read_u16().await?);
        if length > MAX_GREETING {
            return Err(HandshakeError::Malformed);
        }
        let mut sealed = [0; MAX_GREETING];
        let mut plain = [0; MAX_GREETING];
        self.stream.read_exact(&mut sealed[..length]).await?;
        let read = self.noise.read_message(self.nonce, &sealed[..length], &mut plain);
        let read = read.map_err(|_| HandshakeError::Malformed)?;
        self.nonce += 1;
        Greeting::decode(&mut &plain[..read]).map_err(|_| HandshakeError::Malformed)
    }

    /// Reads until at least one more Noise message is unsealed, and gives the number of bytes that were unsealed. Nothing is
    /// lost if it is dropped before it is done.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn fill(&mut self) -> Result<usize, ReadError> {
        self.plain.drain(..self.taken);
        self.taken = 0;
        loop {
            let unsealed = self.unseal()?;
            if unsealed > 0 {
                return Ok(unsealed);
            }
            if self.plain.is_empty() && self.plain.capacity() > 4 * self.chunk {
                self.plain.shrink_to(self.chunk);
            }
            if self.sealed.capacity() > 4 * self.chunk.max(self.sealed.len()) {
                self.sealed.shrink_to(self.chunk);
            }
            self.sealed.reserve(self.chunk);
            let room = self.sealed.capacity() - self.sealed.len();
            match self.stream.read_buf(&mut self.sealed).await? {
                0 if self.sealed.is_empty() => return Err(ReadError::Closed),
                0 => return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into())),
                read if read == room => self.chunk = (self.chunk * 2).min(CHUNK.1),
                read if read < self.chunk / 8 => self.chunk = (self.chunk / 2).max(CHUNK.0),
                _ => {}
            }
        }
    }

    /// Unseals all Noise messages that are there whole.
    fn unseal(&mut self) -> Result<usize, ReadError> {
        let mut used = 0;
        while let Some((length, rest)) = self.sealed[used..].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(message) = rest.get(..length) else { break };
            let start = self.plain.len();
            self.plain.resize(start + length.saturating_sub(TAG), 0);
            let unsealed = self.noise.read_message(self.nonce, message, &mut self.plain[start..]);
            unsealed.map_err(|_| ReadError::Seal)?;
            self.nonce += 1;
            used += 2 + length;
        }
        self.sealed.drain(..used);
        Ok(used)
    }

    /// The next frame of what is unsealed; nothing if more must be read for it.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub fn frame(&mut self) -> Result<Option<Frame<'_>>, BadFrame> {
        let Some((frame, length)) = Frame::read(&self.plain[self.taken..])? else { return Ok(None) };
        self.taken += length;
        Ok(Some(frame))
    }

    /// How many bytes of an unfinished frame are kept.
    pub fn unfinished(&self) -> usize {
        self.plain.len() - self.taken
    }
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    async fn greet(&mut self, greeting: &Greeting) -> io::Result<()> {
        self.write(&greeting.encode()).await.map(drop)
    }

    /// Seals bytes, in as few Noise messages as hold them, and writes them at once. Gives the number of bytes written.
    ///
    /// # Errors
    /// If the stream fails. It cannot be used afterwards, nor if this was dropped before it was done.
    pub async fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.sealed.clear();
        for piece in plain.chunks(MAX_PLAIN) {
            let start = self.sealed.len() + 2;
            let length = piece.len() + TAG;
            self.sealed.extend_from_slice(&(length as u16).to_be_bytes());
            self.sealed.resize(start + length, 0);
            self.noise.write_message(self.nonce, piece, &mut self.sealed[start..]).map_err(noise_failed)?;
            self.nonce += 1;
        }
        self.stream.write_all(&self.sealed).await?;
        self.stream.flush().await?;
        let written = self.sealed.len();
        self.sealed.shrink_to(MAX_SEALED.min(2 * written));
        Ok(written)
    }

    /// Writes bytes as they are, unsealed: what a broken or hostile peer does. For tests.
    ///
    /// # Errors
    /// If the stream fails.
    pub async fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// If the stream fails.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
