//! Newer states of any channels. Anyone may bring them, also as the answer to a dispute.

use super::{each, payload, Channel};
use crate::{
    event::{Updated, CHANNELS_PER_EVENT},
    host::Host,
    rules::{self, Verdict},
    state::MAX_CHANNELS,
    Action, Entry, Error, Owners, PartySignature, SignedUpdate, Timestamp, Update,
};
use alloc::vec::Vec;

/// Puts an update on chain, whole or not at all, and answers how many channels moved.
///
/// `owners` prove who owns each channel, in the order of the entries, whether or not it is stored: so nobody can make the
/// call fail by deleting a channel just before (rules U1 to U8).
pub fn update(
    host: &mut impl Host,
    update: &Update,
    owners: &[Owners],
    signatures: &[PartySignature],
) -> Result<u32, Error> {
    let now = host.now();
    let mut moved = Vec::new();
    apply(host, now, update, owners, signatures, &mut moved)?;
    tell(host, &moved);
    u32::try_from(moved.len()).map_err(|_| Error::Overflow)
}

/// Puts several updates on chain, each whole or not at all by itself, and answers how many were (rule U9).
pub fn update_all(host: &mut impl Host, updates: &[SignedUpdate]) -> Result<u32, Error> {
    let named = updates.iter().fold(0, |named: usize, signed| named.saturating_add(signed.update.entries.len()));
    if named > MAX_CHANNELS {
        return Err(Error::TooManyChannels);
    }
    let now = host.now();
    let mut moved = Vec::new();
    let count = each(updates, |SignedUpdate { update, owners, signatures }| {
        apply(host, now, update, owners, signatures, &mut moved)
    })?;
    tell(host, &moved);
    Ok(count)
}

fn apply(
    host: &mut impl Host,
    now: Timestamp,
    update: &Update,
    owners: &[Owners],
    signatures: &[PartySignature],
    moved: &mut Vec<Entry>,
) -> Result<(), Error> {
    let entries = &update.entries;
    rules::check_ascending(entries.iter().map(|entry| &entry.tpc))?;
    if owners.len() != entries.len() {
        return Err(Error::OwnersMissing);
    }
    let mut advancing = Vec::with_capacity(entries.len());
    for (entry, owners) in entries.iter().zip(owners) {
        let channel = Channel::load(host, entry.tpc, now);
        // A stored channel has the owners that its id is the hash of.
        let proven = match &channel {
            Some(channel) => channel.tpc.owners == *owners,
            None => owners.tpc(host) == entry.tpc,
        };
        if !proven {
            return Err(Error::WrongOwners(entry.tpc));
        }
        let ended = || {
            let unwritten = channel.as_ref().and_then(|channel| channel.ended(entry.epoch));
            unwritten.or_else(|| host.ended(entry.tpc, entry.epoch))
        };
        let verdict = rules::judge(entry, channel.as_ref().map(|channel| &channel.tpc), now, ended)?;
        if let (Verdict::Advance, Some(channel)) = (verdict, channel) {
            advancing.push((channel, entry));
        }
    }
    if advancing.is_empty() {
        return Err(Error::NothingNewer);
    }
    let payload = payload(host, Action::Update(update));
    rules::check_all(host, &payload, owners.iter().map(|owners| &owners.parties), signatures)?;
    for (channel, entry) in advancing {
        channel.store(host, &rules::advance(&channel.tpc, entry));
        moved.push(*entry);
    }
    Ok(())
}

fn tell(host: &mut impl Host, moved: &[Entry]) {
    for entries in moved.chunks(CHANNELS_PER_EVENT) {
        host.tell(Updated { entries: entries.to_vec() });
    }
}
