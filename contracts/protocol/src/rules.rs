//! The transitions: which states may follow which, and whose signatures it takes.
//!
//! Each function checks everything before it returns a new state; an error leaves its inputs as they were.

use crate::{
    state::{MAX_CHANNELS, MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    AccountId, Balance, Crypto, Dispute, Entry, Epoch, Error, Member, MpcId, Nonce, PartySignature, Resolution,
    Signature, Timestamp, Tpc, TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal, Version, Window,
};
use alloc::{vec, vec::Vec};

/// Refuses an agreement whose time is over (rule A4).
pub fn check_valid(now: Timestamp, valid_until: Timestamp) -> Result<(), Error> {
    if now > valid_until {
        return Err(Error::Expired { valid_until });
    }
    Ok(())
}

/// Refuses a window that is too short to answer in, or too long to wait for (rule E3).
pub fn check_window(window: Window) -> Result<(), Error> {
    if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
        return Err(Error::BadWindow);
    }
    Ok(())
}

/// Refuses whoever does not own a channel.
pub fn check_owner(id: TpcId, tpc: &Tpc, account: &AccountId) -> Result<(), Error> {
    if !tpc.owners.parties.contains(account) {
        return Err(Error::NotOwner(id));
    }
    Ok(())
}

/// The channel that `creation` opens, given how many channels the pair has created (rule E3).
pub fn create_tpc(creation: &TpcCreation, created: Nonce) -> Result<Tpc, Error> {
    let [first, second] = &creation.parties;
    if first >= second {
        return Err(Error::PartiesNotSorted);
    }
    if creation.nonce != created {
        return Err(Error::WrongNonce { expected: created });
    }
    check_window(creation.window)?;
    some_amount(creation.balances)?;
    Ok(Tpc {
        owners: creation.owners(),
        balances: creation.balances,
        epoch: 0,
        version: 0,
        dispute: None,
        mpc: None,
        registrations: 0,
    })
}

/// The end of an epoch that is not written yet: a renewal takes effect by itself and is written when the channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The epoch that ended.
    pub epoch: Epoch,
    /// The version at which it ended.
    pub version: Version,
    /// The version that the record of its end holds so far.
    pub recorded: Version,
}

/// A stored channel as it counts at block time `now` (rule D4): renewed, if it was to be renewed and its deadline has
/// passed.
pub fn renewed(stored: Tpc, now: Timestamp) -> (Tpc, Option<Renewal>) {
    match stored.dispute {
        Some(Dispute { deadline, then: Resolution::Renew, began_at }) if now > deadline => {
            let renewal = Renewal { epoch: stored.epoch, version: stored.version, recorded: began_at };
            // It fits: no dispute that would renew the last epoch begins.
            (Tpc { epoch: stored.epoch.saturating_add(1), version: 0, dispute: None, ..stored }, Some(renewal))
        }
        _ => (stored, None),
    }
}

/// What becomes of an entry of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The channel moves to the entry's state.
    Advance,
    /// The channel stays as it is, and the rest of the update counts: its owners agreed to something else, or it is there.
    PassOver,
}

/// What becomes of an entry of an update, or why the whole update is refused (rules U4 to U7).
///
/// `stored` is the channel as it counts at block time `now`. `ended` tells at which version a dispute ended the entry's
/// epoch, and is asked only if the channel is not in it.
pub fn judge(
    entry: &Entry,
    stored: Option<&Tpc>,
    now: Timestamp,
    ended: impl FnOnce() -> Option<Version>,
) -> Result<Verdict, Error> {
    match stored {
        Some(tpc) if tpc.epoch == entry.epoch => {
            if entry.version <= tpc.version {
                Ok(Verdict::PassOver)
            } else if tpc.is_due(now) {
                Err(Error::TpcDue(entry.tpc))
            } else if entry.total().is_none() || entry.total() != tpc.total() {
                // Only its owners can lose by that, and they signed it. Were the update refused, they could spoil it for
                // everybody else.
                Ok(Verdict::PassOver)
            } else {
                Ok(Verdict::Advance)
            }
        }
        _ => match ended() {
            Some(version) if entry.version > version => {
                Err(Error::Void { tpc: entry.tpc, epoch: entry.epoch, version })
            }
            Some(_) | None => Ok(Verdict::PassOver),
        },
    }
}

/// The channel at the state of an entry of its epoch.
pub fn advance(tpc: &Tpc, entry: &Entry) -> Tpc {
    Tpc { version: entry.version, balances: entry.balances, ..*tpc }
}

/// Refuses `last` unless it can end the channel's epoch: it names that epoch, and is a newer state of it (rule E2).
pub fn check_last(tpc: &Tpc, last: &Entry) -> Result<(), Error> {
    if last.epoch != tpc.epoch {
        return Err(Error::WrongEpoch { tpc: last.tpc, stored: tpc.epoch });
    }
    if last.version <= tpc.version {
        return Err(Error::StaleVersion { tpc: last.tpc, stored: tpc.version });
    }
    let total = tpc.total().ok_or(Error::Overflow)?;
    if last.total() != Some(total) {
        return Err(Error::SumMismatch { tpc: last.tpc, total });
    }
    Ok(())
}

/// The channel after more funds came in (rule E5).
pub fn top_up(tpc: &Tpc, top_up: &TpcTopUp) -> Result<Tpc, Error> {
    check_last(tpc, &top_up.last)?;
    some_amount(top_up.added)?;
    next_epoch(tpc, shift(top_up.last.balances, top_up.added, Balance::checked_add).ok_or(Error::Overflow)?)
}

/// The channel after a part of it was paid out (rule E6).
pub fn withdraw(tpc: &Tpc, withdrawal: &TpcWithdrawal) -> Result<Tpc, Error> {
    check_last(tpc, &withdrawal.last)?;
    some_amount(withdrawal.amounts)?;
    next_epoch(tpc, shift(withdrawal.last.balances, withdrawal.amounts, Balance::checked_sub).ok_or(Error::Overflow)?)
}

/// Refuses a split of too few or too many channels or parts, or one that names a channel twice: it would count its funds
/// twice (rule E7).
pub fn check_split(split: &TpcSplit) -> Result<(), Error> {
    let TpcSplit { last, parts, .. } = split;
    let bounds = 1..=MAX_PARTS;
    if !bounds.contains(&last.len()) || !bounds.contains(&parts.len()) {
        return Err(Error::BadParts);
    }
    let named_before = |(index, entry): (usize, &Entry)| last.iter().take(index).any(|other| other.tpc == entry.tpc);
    if last.iter().enumerate().any(named_before) {
        return Err(Error::BadParts);
    }
    Ok(())
}

/// The parts that `split` makes of `channels`, in their order there, each with its id. The first is the first channel
/// (rule E7).
pub fn split(crypto: &impl Crypto, channels: &[Tpc], split: &TpcSplit) -> Result<Vec<(TpcId, Tpc)>, Error> {
    let TpcSplit { last, parts, .. } = split;
    check_split(split)?;
    let (Some(first), Some(first_last)) = (channels.first(), last.first()) else { return Err(Error::BadParts) };
    for (tpc, last) in channels.iter().zip(last) {
        check_last(tpc, last)?;
        if (tpc.owners.parties, tpc.owners.asset) != (first.owners.parties, first.owners.asset) {
            return Err(Error::NotAlike(last.tpc));
        }
    }
    let total = sum(channels.iter().map(Tpc::total))?;
    let mut amounts = Vec::with_capacity(parts.len());
    for part in parts {
        amounts.push(Some(some_amount(*part)?));
    }
    if sum(amounts.into_iter())? != total {
        return Err(Error::SumMismatch { tpc: first_last.tpc, total });
    }
    let renewed = next_epoch(first, first.balances)?;
    let part = |(index, balances): (u8, &[Balance; 2])| match index {
        0 => (first_last.tpc, Tpc { balances: *balances, ..renewed }),
        _ => {
            let owners = first.owners.part(first_last.tpc, first.epoch, index);
            let tpc =
                Tpc { owners, balances: *balances, epoch: 0, version: 0, dispute: None, mpc: None, registrations: 0 };
            (owners.tpc(crypto), tpc)
        }
    };
    Ok((0..=u8::MAX).zip(parts).map(part).collect())
}

/// The channel after its dispute began, or after an owner decided that it will be settled, not renewed (rules D1, D2).
pub fn dispute(tpc: &Tpc, now: Timestamp, then: Resolution) -> Result<Tpc, Error> {
    if then == Resolution::Renew {
        tpc.epoch.checked_add(1).ok_or(Error::Overflow)?;
    }
    let dispute = match tpc.dispute {
        Some(dispute) => Dispute { then, ..dispute },
        None => {
            let deadline = now.checked_add(tpc.owners.window).ok_or(Error::Overflow)?;
            Dispute { deadline, then, began_at: tpc.version }
        }
    };
    Ok(Tpc { dispute: Some(dispute), ..*tpc })
}

/// Refuses to let `caller` settle a channel that is due. Strangers wait for one window more, so that the storage deposits
/// go to the owners (rule D5).
pub fn check_settler(tpc: &Tpc, now: Timestamp, caller: &AccountId) -> Result<(), Error> {
    let deadline = tpc.dispute.map_or(0, |dispute| dispute.deadline);
    let after = deadline.saturating_add(tpc.owners.window);
    if !tpc.owners.parties.contains(caller) && now <= after {
        return Err(Error::TooEarly { after });
    }
    Ok(())
}

/// The channel after a registration that names it as `member`: in `mpc`, or in no group (rule G2).
pub fn register(tpc: &Tpc, member: &Member, mpc: Option<MpcId>) -> Result<Tpc, Error> {
    if member.registrations != tpc.registrations {
        return Err(Error::WrongRegistrations { tpc: member.tpc, stored: tpc.registrations });
    }
    let registrations = tpc.registrations.checked_add(1).ok_or(Error::Overflow)?;
    Ok(Tpc { mpc, registrations, ..*tpc })
}

/// Refuses channels that nobody who is in `mpc` brings along: an owner of `host`, a channel in it, must have signed.
///
/// Otherwise strangers could enter any group and hold up its closing (rule G4).
pub fn check_invited(mpc: MpcId, host: TpcId, tpc: &Tpc, signatures: &[PartySignature]) -> Result<(), Error> {
    if tpc.mpc != Some(mpc) {
        return Err(Error::NotMember(host));
    }
    if !signatures.iter().any(|signed| tpc.owners.parties.contains(&signed.party)) {
        return Err(Error::Uninvited(host));
    }
    Ok(())
}

/// Refuses a list of channels that is empty or longer than a call takes (rule U1).
pub fn check_count(channels: usize) -> Result<(), Error> {
    match channels {
        0 => Err(Error::NoChannels),
        1..=MAX_CHANNELS => Ok(()),
        _ => Err(Error::TooManyChannels),
    }
}

/// Refuses a list of channels that is empty, longer than a call takes, or not strictly ascending (rules U1, U2, G2).
pub fn check_ascending<'a>(channels: impl ExactSizeIterator<Item = &'a TpcId>) -> Result<(), Error> {
    check_count(channels.len())?;
    let mut last = None;
    for tpc in channels {
        if last.is_some_and(|last| last >= tpc) {
            return Err(Error::ChannelsNotSorted);
        }
        last = Some(tpc);
    }
    Ok(())
}

/// Refuses unless both owners of one channel signed `payload`, in their order (rule A3).
pub fn check_both(
    crypto: &impl Crypto,
    payload: &[u8; 32],
    parties: &[AccountId; 2],
    signatures: &[Signature; 2],
) -> Result<(), Error> {
    parties.iter().zip(signatures).try_for_each(|(party, signature)| check_one(crypto, payload, party, signature))
}

/// Refuses unless exactly the owners of the channels named signed `payload`: no owner missing, nobody else
/// (rules A3, U3).
///
/// `owners` are the owners of each channel named.
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

/// The channel at the beginning of its next epoch.
fn next_epoch(tpc: &Tpc, balances: [Balance; 2]) -> Result<Tpc, Error> {
    let epoch = tpc.epoch.checked_add(1).ok_or(Error::Overflow)?;
    let [first, second] = balances;
    first.checked_add(second).ok_or(Error::Overflow)?;
    Ok(Tpc { balances, epoch, version: 0, ..*tpc })
}

fn shift(
    [a, b]: [Balance; 2],
    [c, d]: [Balance; 2],
    shift: impl Fn(Balance, Balance) -> Option<Balance>,
) -> Option<[Balance; 2]> {
    Some([shift(a, c)?, shift(b, d)?])
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
