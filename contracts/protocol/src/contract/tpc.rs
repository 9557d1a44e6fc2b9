//! What the two owners of a channel agree on. One of them makes the call: it may delete what a deposit was paid for.

use super::{
    ledger::{pay_out, shift},
    payload, Channel,
};
use crate::{
    event::{self, TpcClosed, TpcCreated, TpcToppedUp, TpcWithdrawn},
    host::Host,
    phase::ActionKind,
    rules, Action, Asset, Balance, Error, Signature, Timestamp, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp,
    TpcWithdrawal,
};
use alloc::vec::Vec;

/// Opens a channel with both owners' ledger funds. The `value` sent along, in planck, goes to the caller's ledger first
/// (rule E3).
pub fn create_tpc(
    host: &mut impl Host,
    creation: &TpcCreation,
    signatures: &[Signature; 2],
    value: Balance,
) -> Result<TpcId, Error> {
    rules::check_valid(host.now(), creation.valid_until)?;
    let TpcCreation { parties, asset, balances, .. } = *creation;
    let created = host.nonce(parties);
    let tpc = rules::create_tpc(creation, created)?;
    let id = tpc.owners.tpc(host);
    let by = host.caller();
    rules::check_owner(id, &tpc, &by)?;
    rules::check_both(host, &payload(host, Action::CreateTpc(creation)), &parties, signatures)?;
    for (party, amount) in parties.into_iter().zip(balances) {
        let sent = if party == by && asset == Asset::Native { value } else { 0 };
        shift(host, party, asset, sent, amount)?;
    }
    if asset != Asset::Native {
        shift(host, by, Asset::Native, value, 0)?;
    }
    host.set_nonce(parties, created.checked_add(1).ok_or(Error::Overflow)?);
    host.set_tpc(id, Some(&tpc));
    host.tell(TpcCreated { tpc: id, owners: tpc.owners, balances, by, deposited: value });
    Ok(id)
}

/// Ends a channel and pays its last state out (rule E4).
pub fn close_tpc(host: &mut impl Host, close: &TpcClose, signatures: &[Signature; 2]) -> Result<(), Error> {
    let TpcClose { last, valid_until } = close;
    let channel = agreed(host, last.tpc, *valid_until, ActionKind::CloseTpc)?;
    rules::check_last(&channel.tpc, last)?;
    let owners = channel.tpc.owners;
    rules::check_both(host, &payload(host, Action::CloseTpc(close)), &owners.parties, signatures)?;
    channel.remove(host);
    let credited = pay_out(host, owners.asset, &owners.parties, last.balances)?;
    host.tell(TpcClosed { tpc: last.tpc, balances: last.balances, credited });
    Ok(())
}

/// Puts more of the owners' ledger funds into a channel (rule E5).
pub fn top_up_tpc(host: &mut impl Host, top_up: &TpcTopUp, signatures: &[Signature; 2]) -> Result<(), Error> {
    let id = top_up.last.tpc;
    let channel = agreed(host, id, top_up.valid_until, ActionKind::TopUpTpc)?;
    let tpc = rules::top_up(&channel.tpc, top_up)?;
    rules::check_both(host, &payload(host, Action::TopUpTpc(top_up)), &tpc.owners.parties, signatures)?;
    for (party, amount) in tpc.owners.parties.into_iter().zip(top_up.added) {
        shift(host, party, tpc.owners.asset, 0, amount)?;
    }
    channel.store(host, &tpc);
    host.tell(TpcToppedUp { tpc: id, epoch: tpc.epoch, balances: tpc.balances, added: top_up.added });
    Ok(())
}

/// Pays a part of a channel out (rule E6).
pub fn withdraw_tpc(
    host: &mut impl Host,
    withdrawal: &TpcWithdrawal,
    signatures: &[Signature; 2],
) -> Result<(), Error> {
    let id = withdrawal.last.tpc;
    let channel = agreed(host, id, withdrawal.valid_until, ActionKind::WithdrawTpc)?;
    let tpc = rules::withdraw(&channel.tpc, withdrawal)?;
    rules::check_both(host, &payload(host, Action::WithdrawTpc(withdrawal)), &tpc.owners.parties, signatures)?;
    channel.store(host, &tpc);
    let amounts = withdrawal.amounts;
    let credited = pay_out(host, tpc.owners.asset, &tpc.owners.parties, amounts)?;
    host.tell(TpcWithdrawn { tpc: id, epoch: tpc.epoch, balances: tpc.balances, amounts, credited });
    Ok(())
}

/// Turns channels of the same owners and asset into others with the same sum. Answers the parts' ids (rule E7).
pub fn split_tpc(host: &mut impl Host, split: &TpcSplit, signatures: &[Signature; 2]) -> Result<Vec<TpcId>, Error> {
    // Before anything is read: the list is bounded, and names no channel twice, which would count its funds twice.
    rules::check_split(split)?;
    let mut channels = Vec::with_capacity(split.last.len());
    for last in &split.last {
        channels.push(agreed(host, last.tpc, split.valid_until, ActionKind::SplitTpc)?);
    }
    let tpcs: Vec<_> = channels.iter().map(|channel| channel.tpc).collect();
    let parts = rules::split(host, &tpcs, split)?;
    let ((Some(first), others), Some((_, next))) = (first_and_rest(&channels), parts.first()) else {
        return Err(Error::BadParts);
    };
    rules::check_both(host, &payload(host, Action::SplitTpc(split)), &next.owners.parties, signatures)?;
    others.iter().for_each(|channel| channel.remove(host));
    first.store(host, next);
    for (id, part) in parts.iter().skip(1) {
        host.set_tpc(*id, Some(part));
    }
    host.tell(event::TpcSplit {
        from: split.last.iter().map(|last| last.tpc).collect(),
        epoch: next.epoch,
        parts: parts.iter().map(|(id, part)| (*id, part.balances)).collect(),
    });
    Ok(parts.into_iter().map(|(id, _)| id).collect())
}

fn first_and_rest(channels: &[Channel]) -> (Option<&Channel>, &[Channel]) {
    channels.split_first().map_or((None, &[]), |(first, rest)| (Some(first), rest))
}

/// A channel of the caller that accepts an agreement of its owners now (rule E8).
fn agreed(host: &impl Host, id: TpcId, valid_until: Timestamp, action: ActionKind) -> Result<Channel, Error> {
    let now = host.now();
    rules::check_valid(now, valid_until)?;
    let channel = Channel::for_action(host, id, now, action)?;
    rules::check_owner(id, &channel.tpc, &host.caller())?;
    Ok(channel)
}
