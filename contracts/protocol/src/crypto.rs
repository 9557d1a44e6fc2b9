//! The two primitives that the rules need, so that the contract can use the chain's host functions for them.

/// Hashing and signature checks, as the chain does them.
pub trait Crypto {
    /// BLAKE2b with a 32-byte digest.
    fn blake2_256(&self, data: &[u8]) -> [u8; 32];

    /// Whether `signature` is `signer`'s sr25519 signature of `message` in the context "substrate".
    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool;
}
