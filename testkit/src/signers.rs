//! Keys for tests.

use engine::Signer;
use protocol::{AccountId, PartySignature, Signature};
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey};

/// How signatures are made and checked in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A signature is its payload beside its signer. Who makes one stands for that signer.
    Symbols,
    /// As on chain.
    Sr25519,
}

/// A user's key.
#[derive(Clone)]
pub struct Key {
    account: AccountId,
    pair: Option<Keypair>,
}

impl Key {
    /// The key of a user by its number.
    pub fn new(scheme: Scheme, number: u32) -> Self {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        match scheme {
            Scheme::Symbols => {
                seed[4] = 1;
                Self { account: AccountId::from(seed), pair: None }
            }
            Scheme::Sr25519 => {
                let pair =
                    MiniSecretKey::from_bytes(&seed).map(|secret| secret.expand_to_keypair(ExpansionMode::Ed25519));
                let account = pair.as_ref().map_or([0; 32], |pair| pair.public.to_bytes());
                Self { account: AccountId::from(account), pair: pair.ok() }
            }
        }
    }
}

/// The symbol that stands for a signature.
pub fn symbol(payload: &[u8; 32], signer: &AccountId) -> Signature {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(payload);
    signature[32..].copy_from_slice(signer.as_ref());
    Signature(signature)
}

/// A source of the nonces that signatures need: none, so they follow from key and payload alone.
struct NoRandomness;

impl rand_core::RngCore for NoRandomness {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        bytes.fill(0);
        Ok(())
    }
}

impl rand_core::CryptoRng for NoRandomness {}

impl Signer for Key {
    fn account(&self) -> AccountId {
        self.account
    }

    fn sign(&self, payload: &[u8; 32]) -> Signature {
        match &self.pair {
            None => symbol(payload, &self.account),
            Some(pair) => {
                let transcript = schnorrkel::signing_context(b"substrate").bytes(payload);
                let transcript = schnorrkel::context::attach_rng(transcript, NoRandomness);
                Signature(pair.sign(transcript).to_bytes())
            }
        }
    }

    fn verify(&self, payload: &[u8; 32], signer: &AccountId, signature: &Signature) -> bool {
        match &self.pair {
            None => symbol(payload, signer) == *signature,
            Some(_) => protocol::Crypto::sr25519_verify(&engine::Native, &signature.0, payload, signer.as_ref()),
        }
    }

    fn verify_all(&self, payload: &[u8; 32], signatures: &[PartySignature]) -> bool {
        match &self.pair {
            None => signatures.iter().all(|signed| self.verify(payload, &signed.party, &signed.signature)),
            Some(_) => engine::crypto::verify_all(payload, signatures),
        }
    }
}
