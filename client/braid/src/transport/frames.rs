//! Frames: what goes over a session, before it is sealed.
//!
//! A frame is its length as four bytes, the lowest first, then its kind as one byte, then its content. The length counts kind
//! and content. Frames follow each other without gaps and are cut into Noise messages without regard to where they end.

use engine::message::MAX_FRAME;
use protocol::AccountId;

/// The longest frame without its length: a message of the engine, or a piece of a relayed session.
pub const MAX_LENGTH: usize = MAX_FRAME + 1;

/// The longest piece of a relayed session in one frame.
pub const MAX_PIECE: usize = 32 * 1024;

/// How many bytes of a relayed session may be under way unread. Its reader gives credit as it reads.
pub const WINDOW: u32 = 256 * 1024;

/// The bytes before a frame's content: length and kind.
const HEAD: usize = 5;

/// What one frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Nothing: a sign of life.
    Alive,
    /// A message of the engine ([`engine::Message::frame`]).
    Direct(&'a [u8]),
    /// Asks the receiver to pass a part of a relayed session on.
    Relay(Relayed<'a>),
    /// A part of a relayed session that the sender passes on.
    Relayed(Relayed<'a>),
    /// The sender ends the connection.
    Goodbye(Goodbye),
}

/// A part of a session between two accounts that a third one relays. It sees ciphertext only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed<'a> {
    /// The account at the other end: where it goes to, or where it comes from.
    pub peer: AccountId,
    /// Names the session between the two. Chosen at random by who begins it; 0 stands for all of them in [`Part::End`].
    pub session: u64,
    /// What it is.
    pub part: Part<'a>,
}

/// A part of a relayed session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The sender wants to begin it.
    Begin,
    /// Its next bytes.
    Bytes(&'a [u8]),
    /// So many more bytes may be sent.
    Credit(u32),
    /// Nothing more comes in this direction.
    Finish,
    /// It is over.
    End(Goodbye),
}

/// Why a connection, or a relayed session, ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum Goodbye {
    #[error("the peer stops")]
    Stop,
    #[error("another connection between the same accounts is kept")]
    Replaced,
    #[error("the peer has too many connections: try again later")]
    Full,
    #[error("a bad frame")]
    BadFrame,
    #[error("too much was sent for too long: send less")]
    Flood,
    #[error("the relay is off, or is none for this connection: use another")]
    NoRelay,
    #[error("the account is not connected to the relay")]
    Unreachable,
    #[error("the other end has ended the relayed session")]
    Ended,
}

const GOODBYES: [Goodbye; 8] = [
    Goodbye::Stop,
    Goodbye::Replaced,
    Goodbye::Full,
    Goodbye::BadFrame,
    Goodbye::Flood,
    Goodbye::NoRelay,
    Goodbye::Unreachable,
    Goodbye::Ended,
];

impl Goodbye {
    fn code(self) -> u8 {
        self as u8
    }

    fn from_code(code: u8) -> Option<Self> {
        GOODBYES.get(usize::from(code)).copied()
    }
}

/// Bytes that are no frame. The connection ends with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum BadFrame {
    #[error("the peer announces a frame of {0} bytes, more than {MAX_LENGTH}: it does not speak Braid")]
    TooLong(usize),
    #[error("the peer sends a frame of kind {0}, which this version does not know")]
    Kind(u8),
    #[error("the peer sends a frame that ends too early or too late")]
    Malformed,
    #[error("the peer sends a message that is none: {0}")]
    Message(#[from] engine::message::BadFrame),
    #[error("the peer sends more of a relayed session than it has credit for")]
    NoCredit,
}

const ALIVE: u8 = 0;
const DIRECT: u8 = 1;
const RELAY: u8 = 2;
const RELAYED: u8 = 3;
const GOODBYE: u8 = 4;
const BEGIN: u8 = 0;
const BYTES: u8 = 1;
const CREDIT: u8 = 2;
const FINISH: u8 = 3;
const END: u8 = 4;

impl<'a> Frame<'a> {
    /// Appends the frame's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        match self {
            Self::Alive => out.push(ALIVE),
            Self::Direct(message) => {
                out.push(DIRECT);
                out.extend_from_slice(message);
            }
            Self::Relay(relayed) => relayed.write(RELAY, out),
            Self::Relayed(relayed) => relayed.write(RELAYED, out),
            Self::Goodbye(goodbye) => out.extend_from_slice(&[GOODBYE, goodbye.code()]),
        }
        // What is longer than 32 bits can say is refused by who reads it.
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// The frame at the start of `bytes` and how many bytes it takes; nothing if it is not there whole.
    ///
    /// # Errors
    /// As soon as it is clear that this is no frame.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, BadFrame> {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_LENGTH {
            return Err(BadFrame::TooLong(length));
        }
        if length == 0 {
            return Err(BadFrame::Malformed);
        }
        let Some((&kind, rest)) = rest.split_first() else { return Ok(None) };
        if kind > GOODBYE {
            return Err(BadFrame::Kind(kind));
        }
        let Some(content) = rest.get(..length - 1) else { return Ok(None) };
        let frame = match (kind, content) {
            (ALIVE, []) => Self::Alive,
            (DIRECT, message) => Self::Direct(message),
            (RELAY, content) => Self::Relay(Relayed::read(content)?),
            (RELAYED, content) => Self::Relayed(Relayed::read(content)?),
            (GOODBYE, [code]) => Self::Goodbye(Goodbye::from_code(*code).ok_or(BadFrame::Malformed)?),
            _ => return Err(BadFrame::Malformed),
        };
        Ok(Some((frame, HEAD + length - 1)))
    }
}

impl<'a> Relayed<'a> {
    fn write(&self, kind: u8, out: &mut Vec<u8>) {
        out.push(kind);
        out.extend_from_slice(self.peer.as_ref());
        out.extend_from_slice(&self.session.to_le_bytes());
        match self.part {
            Part::Begin => out.push(BEGIN),
            Part::Bytes(bytes) => {
                out.push(BYTES);
                out.extend_from_slice(bytes);
            }
            Part::Credit(bytes) => {
                out.push(CREDIT);
                out.extend_from_slice(&bytes.to_le_bytes());
            }
            Part::Finish => out.push(FINISH),
            Part::End(goodbye) => out.extend_from_slice(&[END, goodbye.code()]),
        }
    }

    fn read(content: &'a [u8]) -> Result<Self, BadFrame> {
        let split = || {
            let (peer, rest) = content.split_first_chunk::<32>()?;
            let (session, rest) = rest.split_first_chunk::<8>()?;
            let (&part, rest) = rest.split_first()?;
            Some((AccountId::from(*peer), u64::from_le_bytes(*session), part, rest))
        };
        let (peer, session, part, rest) = split().ok_or(BadFrame::Malformed)?;
        let part = match (part, rest) {
            (BEGIN, []) => Part::Begin,
            (BYTES, bytes) if bytes.len() <= MAX_PIECE => Part::Bytes(bytes),
            (CREDIT, bytes) => Part::Credit(u32::from_le_bytes(bytes.try_into().map_err(|_| BadFrame::Malformed)?)),
            (FINISH, []) => Part::Finish,
            (END, [code]) => Part::End(Goodbye::from_code(*code).ok_or(BadFrame::Malformed)?),
            _ => return Err(BadFrame::Malformed),
        };
        Ok(Self { peer, session, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_are_written() {
        let relayed = |part| Relayed { peer: AccountId::from([7; 32]), session: 9, part };
        let bytes = [Part::Bytes(b"abc"), Part::Bytes(b"")];
        let parts = [Part::Begin, bytes[0], bytes[1], Part::Credit(5), Part::Finish, Part::End(Goodbye::Ended)];
        let mut frames = vec![Frame::Alive, Frame::Direct(b"hello"), Frame::Direct(b"")];
        frames.extend(GOODBYES.map(Frame::Goodbye));
        frames.extend(parts.map(|part| Frame::Relay(relayed(part))));
        frames.extend(parts.map(|part| Frame::Relayed(relayed(part))));
        let mut bytes = vec![];
        frames.iter().for_each(|frame| frame.write(&mut bytes));
        let mut rest = &bytes[..];
        for frame in frames {
            let (read, length) = Frame::read(rest).unwrap().unwrap();
            assert_eq!(read, frame);
            for cut in 0..length {
                assert_eq!(Frame::read(&rest[..cut]), Ok(None), "{frame:?} cut at {cut}");
            }
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn bad_frames_are_refused_before_they_are_complete() {
        let head = |length: usize, kind: u8| [&(length as u32).to_le_bytes()[..], &[kind]].concat();
        assert_eq!(Frame::read(&head(MAX_LENGTH + 1, DIRECT)), Err(BadFrame::TooLong(MAX_LENGTH + 1)));
        assert_eq!(Frame::read(&head(MAX_LENGTH, DIRECT)), Ok(None));
        assert_eq!(Frame::read(&head(0, ALIVE)), Err(BadFrame::Malformed));
        assert_eq!(Frame::read(&head(100, 77)), Err(BadFrame::Kind(77)));
        assert_eq!(Frame::read(&[&head(2, ALIVE)[..], &[0]].concat()), Err(BadFrame::Malformed));
        assert_eq!(Frame::read(&[&head(2, GOODBYE)[..], &[200]].concat()), Err(BadFrame::Malformed));
        assert_eq!(Frame::read(&[&head(4, RELAY)[..], &[1, 2, 3]].concat()), Err(BadFrame::Malformed));
    }
}
