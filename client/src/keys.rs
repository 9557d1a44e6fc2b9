//! Accounts' keys, and the hashing and signature checks of the client.

use protocol::{AccountId, Crypto, Signature};
use std::str::FromStr;
use subxt_signer::{sr25519, SecretUri};

/// An sr25519 key pair. Signs in the context "substrate", as accounts sign transactions.
#[derive(Clone)]
pub struct Keys(sr25519::Keypair);

/// A secret URI that names no key.
#[derive(Debug, thiserror::Error)]
#[error("`{suri}` is no secret URI ({reason}): give a phrase, a 0x… seed, or a development name like //Alice")]
pub struct BadSuri {
    suri: String,
    reason: String,
}

impl Keys {
    /// The key pair of a secret URI: a phrase or a seed in hexadecimal with derivations, or a development name.
    ///
    /// # Errors
    /// If the text is none of these. The error repeats it: do not log it for a real secret.
    pub fn from_suri(suri: &str) -> Result<Self, BadSuri> {
        let bad = |reason: String| BadSuri { suri: suri.to_owned(), reason };
        let uri = SecretUri::from_str(suri).map_err(|error| bad(error.to_string()))?;
        sr25519::Keypair::from_uri(&uri).map(Self).map_err(|error| bad(error.to_string()))
    }

    /// The public key.
    pub fn account(&self) -> AccountId {
        AccountId::from(self.0.public_key().0)
    }

    /// A signature of `payload`.
    pub fn sign(&self, payload: &[u8]) -> Signature {
        Signature(self.0.sign(payload).0)
    }
}

/// The client's own hashing and signature checks.
#[derive(Clone, Copy, Debug)]
pub struct Native;

impl Crypto for Native {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        sp_crypto_hashing::blake2_256(data)
    }

    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
        sr25519::verify(&sr25519::Signature(*signature), message, &sr25519::PublicKey(*signer))
    }
}
