//! The transitions: which states may follow which, and whose signatures it takes.
//!
//! Each function checks everything before it returns a new state; an error leaves its inputs as they were.

use crate::{
    AccountId, Balance, Crypto, Entry, Epoch, Error, MpcId, Nonce, PartySignature, Signature, Timestamp, Tpc,
    TpcCreation, Version,
};
use alloc::vec;

/// Refuses an agreement whose time is over.
pub fn check_valid(now: Timestamp, valid_until: Timestamp) -> Result<(), Error> {
    if now > valid_until {
        return Err(Error::Expired { valid_until });
    }
    Ok(())
}

/// The channel that `creation` opens, given how many channels the pair has created.
pub fn create_tpc(creation: &TpcCreation, created: Nonce) -> Result<Tpc, Error> {
    let [first, second] = &creation.parties;
    if first >= second {
        return Err(Error::PartiesNotSorted);
    }
    if creation.nonce != created {
        return Err(Error::WrongNonce { expected: created });
    }
    let tpc = Tpc { parties: creation.parties, balances: creation.balances, epoch: 0, version: 0, mpc: None };
    match tpc.total() {
        None => Err(Error::Overflow),
        Some(0) => Err(Error::ZeroAmount),
        Some(_) => Ok(tpc),
    }
}

/// What is left in the ledger of `account` after taking `amount` out of its `available` planck.
pub fn debit(account: AccountId, available: Balance, amount: Balance) -> Result<Balance, Error> {
    available.checked_sub(amount).ok_or(Error::InsufficientLedger { account, available })
}

/// What is in a ledger after putting `amount` on top of its `available` planck.
pub fn credit(available: Balance, amount: Balance) -> Result<Balance, Error> {
    available.checked_add(amount).ok_or(Error::Overflow)
}

/// The channel after `entry`, its next state in the current epoch. Also what a closing pays out.
pub fn advance(tpc: &Tpc, entry: &Entry) -> Result<Tpc, Error> {
    check_epoch(entry, tpc.epoch)?;
    if entry.version <= tpc.version {
        return Err(Error::StaleVersion { tpc: entry.tpc, stored: tpc.version });
    }
    check_sum(tpc, entry)?;
    Ok(Tpc { version: entry.version, balances: entry.balances, ..tpc.clone() })
}

/// The channel after it entered `mpc` with `entry`, the first state of its next epoch.
///
/// The new epoch voids everything signed before, so an old state cannot come alive inside or after the group.
pub fn enter(tpc: &Tpc, entry: &Entry, mpc: MpcId) -> Result<Tpc, Error> {
    check_epoch(entry, tpc.epoch.checked_add(1).ok_or(Error::Overflow)?)?;
    check_sum(tpc, entry)?;
    Ok(Tpc { epoch: entry.epoch, version: entry.version, balances: entry.balances, mpc: Some(mpc), ..tpc.clone() })
}

/// The channel after `entry` of an update of its group, or `None` if it has moved on since and is passed over.
pub fn advance_in_mpc(tpc: &Tpc, entry: &Entry) -> Result<Option<Tpc>, Error> {
    if entry.order() <= (tpc.epoch, tpc.version) {
        return Ok(None);
    }
    advance(tpc, entry).map(Some)
}

/// The channel at its last state of a group that closes, or `None` if the contract already holds that or a newer one.
pub fn release(tpc: &Tpc, entry: &Entry) -> Result<Option<Tpc>, Error> {
    check_epoch(entry, tpc.epoch)?;
    check_sum(tpc, entry)?;
    advance_in_mpc(tpc, entry)
}

/// Refuses a list of entries that is empty or names a channel twice.
pub fn check_entries(entries: &[Entry]) -> Result<(), Error> {
    if entries.is_empty() {
        return Err(Error::NoEntries);
    }
    if entries.windows(2).any(|pair| pair[0].tpc >= pair[1].tpc) {
        return Err(Error::EntriesNotSorted);
    }
    Ok(())
}

/// Refuses unless both owners of one channel signed `payload`, in their order.
pub fn check_both(
    crypto: &impl Crypto,
    payload: &[u8; 32],
    parties: &[AccountId; 2],
    signatures: &[Signature; 2],
) -> Result<(), Error> {
    parties.iter().zip(signatures).try_for_each(|(party, signature)| check_one(crypto, payload, party, signature))
}

/// Refuses unless exactly the owners of the touched channels signed `payload`: no owner missing, nobody else.
///
/// `owners` are the owners of each touched channel.
pub fn check_all<'a>(
    crypto: &impl Crypto,
    payload: &[u8; 32],
    owners: impl Iterator<Item = &'a [AccountId; 2]>,
    signatures: &[PartySignature],
) -> Result<(), Error> {
    if signatures.windows(2).any(|pair| pair[0].party >= pair[1].party) {
        return Err(Error::SignaturesNotSorted);
    }
    let mut is_owner = vec![false; signatures.len()];
    for party in owners.flatten() {
        let found = signatures.binary_search_by(|signed| signed.party.cmp(party));
        let slot = found.ok().and_then(|index| is_owner.get_mut(index)).ok_or(Error::MissingSignature(*party))?;
        *slot = true;
    }
    for (signed, is_owner) in signatures.iter().zip(is_owner) {
        if !is_owner {
            return Err(Error::ForeignSignature(signed.party));
        }
        check_one(crypto, payload, &signed.party, &signed.signature)?;
    }
    Ok(())
}

fn check_one(crypto: &impl Crypto, payload: &[u8; 32], party: &AccountId, signature: &Signature) -> Result<(), Error> {
    if !crypto.sr25519_verify(&signature.0, payload, party.as_ref()) {
        return Err(Error::BadSignature(*party));
    }
    Ok(())
}

fn check_epoch(entry: &Entry, expected: Epoch) -> Result<(), Error> {
    if entry.epoch != expected {
        return Err(Error::WrongEpoch { tpc: entry.tpc, expected });
    }
    Ok(())
}

fn check_sum(tpc: &Tpc, entry: &Entry) -> Result<(), Error> {
    let total = tpc.total().ok_or(Error::Overflow)?;
    if entry.total() != Some(total) {
        return Err(Error::SumMismatch { tpc: entry.tpc, total });
    }
    Ok(())
}

/// The version after `version`, for whoever proposes the next state.
pub fn next_version(version: Version) -> Result<Version, Error> {
    version.checked_add(1).ok_or(Error::Overflow)
}
