//! Hashing, signatures and the seam behind which keys live.

use protocol::{AccountId, Crypto, PartySignature, Signature};
use schnorrkel::{signing_context, verify_batch_deterministic, PublicKey, Signature as Sr25519Signature};

/// The context in which accounts sign extrinsics (rule A1).
const CONTEXT: &[u8] = b"substrate";

/// A fewer number of signatures is checked one by one: a batch pays from here on.
const SMALLEST_BATCH: usize = 2;

/// Where a party's key lives: in this process, in a hardware wallet, behind a socket.
///
/// The checks of signatures belong to it too, so that a simulation may use a cheaper scheme. Everything else leaves them as
/// they are.
pub trait Signer {
    /// The public key.
    fn account(&self) -> AccountId;

    /// A signature of a payload ([`protocol::Action::payload`]).
    fn sign(&self, payload: &[u8; 32]) -> Signature;

    /// Whether `signature` is `signer`'s of `payload`.
    fn verify(&self, payload: &[u8; 32], signer: &AccountId, signature: &Signature) -> bool {
        Native.sr25519_verify(&signature.0, payload, signer.as_ref())
    }

    /// Whether all `signatures` are good for `payload`. What the answer is for one is what [`Signer::verify`] says.
    fn verify_all(&self, payload: &[u8; 32], signatures: &[PartySignature]) -> bool {
        verify_all(payload, signatures)
    }
}

/// BLAKE2b and sr25519, as the chain does them.
#[derive(Clone, Copy, Debug)]
pub struct Native;

impl Crypto for Native {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        sp_crypto_hashing::blake2_256(data)
    }

    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
        let key = PublicKey::from_bytes(signer);
        let signature = Sr25519Signature::from_bytes(signature);
        key.ok()
            .zip(signature.ok())
            .is_some_and(|(key, signature)| key.verify_simple(CONTEXT, message, &signature).is_ok())
    }
}

/// Whether all signatures are good for a payload, checked as one batch.
pub fn verify_all(payload: &[u8; 32], signatures: &[PartySignature]) -> bool {
    let good = |signed: &PartySignature| Native.sr25519_verify(&signed.signature.0, payload, signed.party.as_ref());
    if signatures.len() < SMALLEST_BATCH {
        return signatures.iter().all(good);
    }
    let keys: Result<Vec<_>, _> =
        signatures.iter().map(|signed| PublicKey::from_bytes(signed.party.as_ref())).collect();
    let parsed: Result<Vec<_>, _> =
        signatures.iter().map(|signed| Sr25519Signature::from_bytes(&signed.signature.0)).collect();
    let (Ok(keys), Ok(parsed)) = (keys, parsed) else { return false };
    // The coefficients come from the signatures and keys themselves, so no randomness is needed.
    let transcripts = signatures.iter().map(|_| signing_context(CONTEXT).bytes(payload));
    verify_batch_deterministic(transcripts, &parsed, &keys, false).is_ok()
}
