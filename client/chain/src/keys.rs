//! Accounts' keys and addresses.

use engine::Signer;
use protocol::{AccountId, Signature};
use std::str::FromStr;
use subxt::utils::AccountId32;
use subxt_signer::{sr25519, SecretUri};

/// An sr25519 key pair. Signs in the context "substrate", as accounts sign transactions.
#[derive(Clone)]
pub struct Keys(sr25519::Keypair);

/// The account alone: the secret is in no log.
impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Keys").field(&self.account()).finish()
    }
}

/// A secret URI that names no key.
#[derive(Debug, thiserror::Error)]
#[error("this is no secret URI ({0}): give a phrase, a 0x… seed, or a development name like //Alice")]
pub struct BadSuri(String);

impl Keys {
    /// The key pair of a secret URI: a phrase or a seed in hexadecimal with derivations, or a development name.
    ///
    /// # Errors
    /// If the text is none of these. The error does not repeat it, for it may be a secret with a slip.
    pub fn from_suri(suri: &str) -> Result<Self, BadSuri> {
        let uri = SecretUri::from_str(suri).map_err(|error| BadSuri(error.to_string()))?;
        sr25519::Keypair::from_uri(&uri).map(Self).map_err(|error| BadSuri(error.to_string()))
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

impl Signer for Keys {
    fn account(&self) -> AccountId {
        Self::account(self)
    }

    fn sign(&self, payload: &[u8; 32]) -> Signature {
        Self::sign(self, payload)
    }
}

/// The longest SS58 address: 36 bytes in base 58. What decodes base 58 panics at some texts that are much longer.
const MAX_ADDRESS: usize = 50;

/// Text that is no account.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no account: give an SS58 address (5…) or 32 bytes in hexadecimal (0x…)")]
pub struct BadAddress(String);

/// An account as people write it: SS58 with the prefix of development chains, 42.
pub fn address(account: &AccountId) -> String {
    AccountId32(*account.as_ref()).to_string()
}

/// Reads an SS58 address of any chain, or 32 bytes in hexadecimal.
///
/// # Errors
/// If the text is neither.
pub fn parse_address(text: &str) -> Result<AccountId, BadAddress> {
    let bytes = match text.strip_prefix("0x") {
        Some(digits) => bytes32(digits),
        None if text.len() > MAX_ADDRESS => None,
        None => AccountId32::from_str(text).ok().map(|account| account.0),
    };
    bytes.map(AccountId::from).ok_or_else(|| BadAddress(text.to_owned()))
}

/// Reads 32 bytes in hexadecimal, without 0x.
pub fn bytes32(digits: &str) -> Option<[u8; 32]> {
    hex::decode(digits).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_as_they_are_written() {
        let alice = Keys::from_suri("//Alice").unwrap().account();
        assert_eq!(address(&alice), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
        assert_eq!(parse_address(&address(&alice)).unwrap(), alice);
        assert_eq!(parse_address(&format!("0x{}", hex::encode(alice.as_ref() as &[u8]))).unwrap(), alice);
        let endless = "1".repeat(150);
        for bad in ["", "0x", "0x12", "5Grwva", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ", "alice", &endless] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }
}
