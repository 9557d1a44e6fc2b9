//! How two accounts prove themselves to each other at the start of a session.

use super::frames::Goodbye;
use codec::{Decode, Encode};
use engine::{Native, Signer};
use protocol::{AccountId, Crypto, Domain, Signature};
use std::{io, sync::Arc};

/// The versions of the session protocol that this build speaks, in ascending order.
pub const VERSIONS: [u16; 1] = [1];

/// What is signed begins with it. Nothing else that accounts sign does ([`protocol::DOMAIN_TAG`]).
const TAG: [u8; 8] = *b"braid/s1";

/// The most versions that a side may list.
const MAX_VERSIONS: usize = 16;

/// Who a side is, and what it speaks.
#[derive(Clone)]
pub struct Identity {
    /// The account's key.
    pub signer: Arc<dyn Signer + Send + Sync>,
    /// The contract that its channels are in.
    pub domain: Domain,
    /// The versions that it speaks: [`VERSIONS`], except in tests.
    pub versions: Vec<u16>,
}

/// Which side of a session somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Role {
    /// It dialled.
    Initiator,
    /// It was dialled.
    Responder,
}

/// What a side says of itself. Later versions may append to it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The versions of the session protocol that it speaks.
    pub versions: Vec<u16>,
    /// The contract that its channels are in.
    pub domain: Domain,
    /// Its account.
    pub account: AccountId,
    /// The account's signature of what [`payload`] gives.
    pub signature: Signature,
}

/// What is said before the frames: a hello by either side, the responder first, then a welcome by the responder.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Greeting {
    /// Who I am.
    Hello(Hello),
    /// I know who you are, and take you.
    Welcome,
    /// I do not.
    Refused(Refused),
}

/// Why a side ends a session before it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum Refused {
    #[error("it speaks no version that this side speaks: update the older side")]
    Version,
    #[error("it works with another contract or chain")]
    Domain,
    #[error("it wants another account")]
    Account,
    #[error("it does not take the signature for the account's")]
    Signature,
    #[error("it has too many connections: try again later")]
    Full,
    #[error("it keeps another connection between the same accounts")]
    Replaced,
}

impl From<Goodbye> for Refused {
    fn from(goodbye: Goodbye) -> Self {
        match goodbye {
            Goodbye::Replaced => Self::Replaced,
            _ => Self::Full,
        }
    }
}

/// Why a session did not begin.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum HandshakeError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the peer did not answer in time: check the address, and that its daemon runs")]
    Timeout,
    #[error("the peer's bytes are no handshake: it does not speak Braid")]
    Malformed,
    #[error("the peer speaks versions {theirs:?} of the session protocol, this side {ours:?}: update the older side")]
    NoCommonVersion { ours: Vec<u16>, theirs: Vec<u16> },
    #[error(
        "the peer works with contract {} on the chain 0x{}: configure both sides for the same deployment",
        chain::keys::address(&.0.contract),
        hex(&.0.genesis_hash)
    )]
    OtherDomain(Box<Domain>),
    #[error(
        "{} answers there, not {}: correct the address",
        chain::keys::address(answers),
        chain::keys::address(wanted)
    )]
    OtherAccount { wanted: AccountId, answers: AccountId },
    #[error("the peer is this account itself: one account runs in one daemon only")]
    OwnAccount,
    #[error(
        "the peer's signature does not prove its account: something between it and this side changes the connection"
    )]
    BadSignature,
    #[error("the peer ends the handshake: {0}")]
    Refused(Refused),
    #[error("the signer did not answer")]
    Signer,
}

impl HandshakeError {
    /// What the other side is told of it.
    pub(super) fn refusal(&self) -> Option<Refused> {
        match self {
            Self::NoCommonVersion { .. } => Some(Refused::Version),
            Self::OtherDomain(_) => Some(Refused::Domain),
            Self::OtherAccount { .. } | Self::OwnAccount => Some(Refused::Account),
            Self::BadSignature => Some(Refused::Signature),
            _ => None,
        }
    }
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a side signs. `session` is the hash of the Noise handshake, which no two sessions share: so the signature is good in
/// this one session, for this side of it.
pub fn payload(role: Role, domain: &Domain, session: &[u8]) -> [u8; 32] {
    Native.blake2_256(&(TAG, role, domain, session).encode())
}

impl Hello {
    /// What this side says in a session. Signing may take a while, so it is done where that blocks nobody.
    pub(super) async fn new(identity: &Identity, role: Role, session: &[u8]) -> Result<Self, HandshakeError> {
        let payload = payload(role, &identity.domain, session);
        let signer = identity.signer.clone();
        let signed = tokio::task::spawn_blocking(move || (signer.account(), signer.sign(&payload))).await;
        let (account, signature) = signed.map_err(|_| HandshakeError::Signer)?;
        Ok(Self { versions: identity.versions.clone(), domain: identity.domain, account, signature })
    }

    /// Checks what the other side, of this role, says, and gives the version to speak.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub(super) fn check(
        &self,
        identity: &Identity,
        role: Role,
        wanted: Option<AccountId>,
        session: &[u8],
    ) -> Result<u16, HandshakeError> {
        if self.versions.len() > MAX_VERSIONS {
            return Err(HandshakeError::Malformed);
        }
        let common = self.versions.iter().filter(|version| identity.versions.contains(version)).max();
        let Some(version) = common else {
            let theirs = self.versions.clone();
            return Err(HandshakeError::NoCommonVersion { ours: identity.versions.clone(), theirs });
        };
        if self.domain != identity.domain {
            return Err(HandshakeError::OtherDomain(Box::new(self.domain)));
        }
        if let Some(wanted) = wanted.filter(|wanted| *wanted != self.account) {
            return Err(HandshakeError::OtherAccount { wanted, answers: self.account });
        }
        if self.account == identity.signer.account() {
            return Err(HandshakeError::OwnAccount);
        }
        let payload = payload(role, &identity.domain, session);
        if !identity.signer.verify(&payload, &self.account, &self.signature) {
            return Err(HandshakeError::BadSignature);
        }
        Ok(*version)
    }
}
