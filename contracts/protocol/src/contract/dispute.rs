//! What one owner does alone, and how it ends.

use super::{each, ledger::pay_out, mpc::release, Channel};
use crate::{
    event::{ChannelDisputed, ChannelSettled, Disputed, Settled, CHANNELS_PER_EVENT},
    host::Host,
    phase::ActionKind,
    rules, Error, MpcId, Resolution, TpcId,
};
use alloc::vec::Vec;

/// Starts the clocks of the caller's channels, or decides that disputed ones will be settled, not renewed. Answers how many
/// channels that did; the others of the list are as they were.
///
/// The caller pays for the record that the end of each dispute will leave: it is stored from the beginning (rules
/// D1, D2, D6, D7).
pub fn dispute(host: &mut impl Host, channels: &[TpcId], then: Resolution) -> Result<u32, Error> {
    rules::check_count(channels.len())?;
    let (now, caller) = (host.now(), host.caller());
    let mut disputed = Vec::with_capacity(channels.len());
    let count = each(channels, |id| {
        let channel = Channel::for_action(host, *id, now, ActionKind::Dispute(then))?;
        rules::check_owner(*id, &channel.tpc, &caller)?;
        let tpc = rules::dispute(&channel.tpc, now, then)?;
        if channel.tpc.dispute.is_none() {
            host.set_ended(*id, tpc.epoch, Some(tpc.version));
        }
        channel.store(host, &tpc);
        let deadline = tpc.dispute.map_or(now, |dispute| dispute.deadline);
        disputed.push(ChannelDisputed { tpc: *id, epoch: tpc.epoch, version: tpc.version, deadline, then });
        Ok(())
    })?;
    for channels in disputed.chunks(CHANNELS_PER_EVENT) {
        host.tell(Disputed { channels: channels.to_vec() });
    }
    Ok(count)
}

/// Pays out channels whose deadlines have passed, and answers how many. Strangers may one window later than owners
/// (rules D5 to D7, G7).
pub fn settle(host: &mut impl Host, channels: &[TpcId]) -> Result<u32, Error> {
    rules::check_count(channels.len())?;
    let (now, caller) = (host.now(), host.caller());
    let mut settled = Vec::with_capacity(channels.len());
    let mut groups: Vec<MpcId> = Vec::new();
    let count = each(channels, |id| {
        let channel = Channel::for_action(host, *id, now, ActionKind::Settle)?;
        let tpc = channel.tpc;
        rules::check_settler(&tpc, now, &caller)?;
        // The only step that can fail comes first, so that an element counts whole or not at all. Only a token that lies
        // makes it fail: what is in native ledgers is bounded by what exists, and never overflows.
        let credited = pay_out(host, tpc.owners.asset, &tpc.owners.parties, tpc.balances)?;
        if tpc.dispute.is_none_or(|dispute| dispute.began_at != tpc.version) {
            host.set_ended(*id, tpc.epoch, Some(tpc.version));
        }
        host.set_tpc(*id, None);
        groups.extend(tpc.mpc);
        let (epoch, version, balances) = (tpc.epoch, tpc.version, tpc.balances);
        settled.push(ChannelSettled { tpc: *id, epoch, version, balances, credited });
        Ok(())
    })?;
    // One write a group where its channels stand together in the list.
    for channels in groups.chunk_by(|one, next| one == next) {
        if let Some(mpc) = channels.first() {
            release(host, *mpc, channels.len())?;
        }
    }
    for channels in settled.chunks(CHANNELS_PER_EVENT) {
        host.tell(Settled { channels: channels.to_vec() });
    }
    Ok(count)
}
