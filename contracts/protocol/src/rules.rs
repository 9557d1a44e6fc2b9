//! The transitions: which states may follow which, and whose signatures it takes.
//!
//! Each function checks everything before it returns a new state; an error leaves its inputs as they were.

use crate::{
    state::{MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    AccountId, Balance, Crypto, Entry, Epoch, Error, MpcId, Nonce, PartySignature, Signature, Split, Timestamp, Tpc,
    TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal, Version, Window,
};
use alloc::{vec, vec::Vec};

/// Refuses an agreement whose time is over.
pub fn check_valid(now: Timestamp, valid_until: Timestamp) -> Result<(), Error> {
    if now > valid_until {
        return Err(Error::Expired { valid_until });
    }
    Ok(())
}

/// Refuses a window that is too short to answer in, or too long to wait for.
pub fn check_window(window: Window) -> Result<(), Error> {
    if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
        return Err(Error::BadWindow);
    }
    Ok(())
}

/// When a dispute that starts at `now` ends.
pub fn deadline(now: Timestamp, window: Window) -> Result<Timestamp, Error> {
    now.checked_add(window).ok_or(Error::Overflow)
}

/// Refuses a dispute by anyone but an owner.
pub fn check_owner(id: TpcId, tpc: &Tpc, account: &AccountId) -> Result<(), Error> {
    if !tpc.parties.contains(account) {
        return Err(Error::NotOwner(id));
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
    check_window(creation.window)?;
    let TpcCreation { parties, balances, window, .. } = *creation;
    let tpc = Tpc { parties, balances, epoch: 0, version: 0, window, mpc: None, deadline: None, split: None };
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

/// The channel after `entry`, a newer state of it. Also what a closing pays out.
///
/// Splits that were made and merged off chain leave the chain epochs behind, so a whole channel may go on in a later one.
/// A channel that is split on chain, or a part of one, may not: a newer split must say what becomes of all parts.
pub fn advance(tpc: &Tpc, entry: &Entry) -> Result<Tpc, Error> {
    if entry.epoch < tpc.epoch || (entry.epoch > tpc.epoch && tpc.split.is_some()) {
        return Err(Error::WrongEpoch { tpc: entry.tpc, stored: tpc.epoch });
    }
    if entry.order() <= (tpc.epoch, tpc.version) {
        return Err(Error::StaleVersion { tpc: entry.tpc, stored: tpc.version });
    }
    check_sum(entry, tpc.total())?;
    Ok(at(tpc, entry))
}

/// The channel after it entered `mpc` with `entry`, the first state of a later epoch.
///
/// The new epoch voids everything signed before, so an old state cannot come alive inside or after the group.
pub fn enter(tpc: &Tpc, entry: &Entry, mpc: MpcId) -> Result<Tpc, Error> {
    check_later(tpc, entry)?;
    check_sum(entry, tpc.total())?;
    Ok(Tpc { mpc: Some(mpc), ..at(tpc, entry) })
}

/// Refuses channels that nobody who is in `mpc` brings along: an owner of `member`, a channel in it, must have signed.
///
/// Otherwise strangers could enter any group, and then hold up its closing or dispute it.
pub fn check_invited(mpc: MpcId, member: TpcId, tpc: &Tpc, signatures: &[PartySignature]) -> Result<(), Error> {
    if tpc.mpc != Some(mpc) || !signatures.iter().any(|signed| tpc.parties.contains(&signed.party)) {
        return Err(Error::Uninvited(member));
    }
    Ok(())
}

/// The channel after `entry` of an update of its group, or `None` if it has moved on since and is passed over.
///
/// So is an entry that was never one of the channel, of another epoch or total: its owners have signed it, and only they
/// can lose by that. Were the update refused, two of them could spoil it for everybody else who relies on it.
pub fn advance_in_mpc(tpc: &Tpc, entry: &Entry) -> Option<Tpc> {
    release(tpc, entry).ok().flatten()
}

/// The channel at its last state of a group that closes, or `None` if the contract already holds that or a newer one.
pub fn release(tpc: &Tpc, entry: &Entry) -> Result<Option<Tpc>, Error> {
    if entry.epoch != tpc.epoch {
        return Err(Error::WrongEpoch { tpc: entry.tpc, stored: tpc.epoch });
    }
    check_sum(entry, tpc.total())?;
    Ok((entry.version > tpc.version).then(|| at(tpc, entry)))
}

/// The channel after it left its group at `entry`, its last state there, or at a newer one that the contract holds.
///
/// Its owners agree again, so a dispute that was to pay it out is over.
pub fn leave(tpc: &Tpc, entry: &Entry) -> Result<Tpc, Error> {
    let last = release(tpc, entry)?.unwrap_or_else(|| tpc.clone());
    Ok(Tpc { mpc: None, deadline: None, ..last })
}

/// The channel after more funds came in.
pub fn top_up(tpc: &Tpc, top_up: &TpcTopUp) -> Result<Tpc, Error> {
    let added = some_amount(top_up.added)?;
    check_later(tpc, &top_up.snapshot)?;
    check_sum(&top_up.snapshot, tpc.total().and_then(|total| total.checked_add(added)))?;
    Ok(at(tpc, &top_up.snapshot))
}

/// The channel after a part of it was paid out.
pub fn withdraw(tpc: &Tpc, withdrawal: &TpcWithdrawal) -> Result<Tpc, Error> {
    let amount = some_amount(withdrawal.amounts)?;
    check_later(tpc, &withdrawal.snapshot)?;
    check_sum(&withdrawal.snapshot, tpc.total().and_then(|total| total.checked_sub(amount)))?;
    Ok(at(tpc, &withdrawal.snapshot))
}

/// The parts after `split`, the channel itself first, given those `others` of an earlier split that are still there.
///
/// What all of them hold is divided anew, so that whoever publishes an old split is answered with the newest one.
pub fn split(tpc: &Tpc, others: &[Tpc], split: &TpcSplit) -> Result<Vec<Tpc>, Error> {
    let count = split.parts.len();
    if count == 0 || count > MAX_PARTS {
        return Err(Error::BadParts);
    }
    if tpc.split.is_some_and(|earlier| earlier.others == 0) {
        return Err(Error::IsPart(split.tpc));
    }
    // A part that was in a group or topped up is in a later epoch than the first: what was signed before is void.
    let latest = others.iter().map(|part| part.epoch).fold(tpc.epoch, Epoch::max);
    if split.epoch <= latest {
        return Err(Error::WrongEpoch { tpc: split.tpc, stored: latest });
    }
    let total = sum(core::iter::once(tpc).chain(others).map(Tpc::total))?;
    if sum(split.parts.iter().map(|[first, second]| first.checked_add(*second)))? != total {
        return Err(Error::SumMismatch { tpc: split.tpc, total });
    }
    if split.parts.iter().skip(1).any(|share| *share == [0, 0]) {
        return Err(Error::ZeroAmount);
    }
    let others = u8::try_from(count).map_err(|_| Error::BadParts)?.saturating_sub(1);
    let marker = (others > 0).then_some(Split { epoch: split.epoch, others });
    let part = |(index, balances): (usize, &[Balance; 2])| match index {
        0 => Tpc { balances: *balances, epoch: split.epoch, version: 0, split: marker, ..tpc.clone() },
        _ => {
            let Tpc { parties, window, .. } = *tpc;
            let (balances, epoch, split) = (*balances, split.epoch, Some(Split { epoch: split.epoch, others: 0 }));
            Tpc { parties, balances, epoch, version: 0, window, mpc: None, deadline: None, split }
        }
    };
    Ok(split.parts.iter().enumerate().map(part).collect())
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

fn at(tpc: &Tpc, entry: &Entry) -> Tpc {
    Tpc { epoch: entry.epoch, version: entry.version, balances: entry.balances, ..tpc.clone() }
}

fn check_later(tpc: &Tpc, entry: &Entry) -> Result<(), Error> {
    if entry.epoch <= tpc.epoch {
        return Err(Error::WrongEpoch { tpc: entry.tpc, stored: tpc.epoch });
    }
    Ok(())
}

fn check_sum(entry: &Entry, total: Option<Balance>) -> Result<(), Error> {
    let total = total.ok_or(Error::Overflow)?;
    if entry.total() != Some(total) {
        return Err(Error::SumMismatch { tpc: entry.tpc, total });
    }
    Ok(())
}

fn sum(mut totals: impl Iterator<Item = Option<Balance>>) -> Result<Balance, Error> {
    totals.try_fold(0, |sum: Balance, total| sum.checked_add(total?)).ok_or(Error::Overflow)
}

fn some_amount([first, second]: [Balance; 2]) -> Result<Balance, Error> {
    match first.checked_add(second) {
        None => Err(Error::Overflow),
        Some(0) => Err(Error::ZeroAmount),
        Some(amount) => Ok(amount),
    }
}

/// The version after `version`, for whoever proposes the next state.
pub fn next_version(version: Version) -> Result<Version, Error> {
    version.checked_add(1).ok_or(Error::Overflow)
}
