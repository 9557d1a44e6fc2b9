//! Registered groups: channels that can be found on chain as one, and that are busy meanwhile.

use super::{payload, Channel};
use crate::{
    event::{MpcClosed, MpcCreated, MpcJoined, MpcLeft},
    host::Host,
    phase::ActionKind,
    rules, Action, Error, Member, Mpc, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, PartySignature, Timestamp, Tpc,
    TpcId,
};
use alloc::vec::Vec;

/// Registers channels as a group. Anyone may bring the signed agreement (rule G3).
pub fn create_mpc(host: &mut impl Host, creation: &MpcCreation, signatures: &[PartySignature]) -> Result<MpcId, Error> {
    let payload = payload(host, Action::CreateMpc(creation));
    let mpc = MpcId(payload);
    let members = load(host, &creation.members, creation.valid_until, ActionKind::CreateMpc, Some(mpc))?;
    check_signed(host, &payload, &members, signatures)?;
    store(host, &members);
    host.set_mpc(mpc, Some(Mpc { channels: count(&members)? }));
    host.tell(MpcCreated { mpc, tpcs: ids(&members) });
    Ok(mpc)
}

/// Registers further channels in a group. Anyone may bring the signed agreement (rule G4).
pub fn join_mpc(host: &mut impl Host, join: &MpcJoin, signatures: &[PartySignature]) -> Result<(), Error> {
    let MpcJoin { mpc, host: through, .. } = *join;
    let members = load(host, &join.members, join.valid_until, ActionKind::JoinMpc, Some(mpc))?;
    let Mpc { channels } = host.mpc(mpc).ok_or(Error::UnknownMpc(mpc))?;
    let inviting = host.tpc(through).ok_or(Error::UnknownTpc(through))?;
    rules::check_invited(mpc, through, &inviting, signatures)?;
    check_signed(host, &payload(host, Action::JoinMpc(join)), &members, signatures)?;
    store(host, &members);
    let channels = channels.checked_add(count(&members)?).ok_or(Error::Overflow)?;
    host.set_mpc(mpc, Some(Mpc { channels }));
    host.tell(MpcJoined { mpc, tpcs: ids(&members) });
    Ok(())
}

/// Releases channels from their group. One of their owners brings the signed agreement (rule G5).
pub fn leave_mpc(host: &mut impl Host, leave: &MpcLeave, signatures: &[PartySignature]) -> Result<(), Error> {
    let MpcLeave { mpc, .. } = *leave;
    let members = leaving(host, mpc, &leave.members, leave.valid_until, ActionKind::LeaveMpc)?;
    check_signed(host, &payload(host, Action::LeaveMpc(leave)), &members, signatures)?;
    store(host, &members);
    release(host, mpc, members.len())?;
    host.tell(MpcLeft { mpc, tpcs: ids(&members) });
    Ok(())
}

/// Releases all channels of a group, and ends it. One of their owners brings the signed agreement (rule G6).
pub fn close_mpc(host: &mut impl Host, close: &MpcClose, signatures: &[PartySignature]) -> Result<(), Error> {
    let MpcClose { mpc, .. } = *close;
    let Mpc { channels } = host.mpc(mpc).ok_or(Error::UnknownMpc(mpc))?;
    if usize::try_from(channels) != Ok(close.members.len()) {
        return Err(Error::ChannelsMissing { expected: channels });
    }
    let members = leaving(host, mpc, &close.members, close.valid_until, ActionKind::CloseMpc)?;
    check_signed(host, &payload(host, Action::CloseMpc(close)), &members, signatures)?;
    store(host, &members);
    host.set_mpc(mpc, None);
    host.tell(MpcClosed { mpc, tpcs: ids(&members) });
    Ok(())
}

/// Lowers a group's count by channels that are no longer in it, and removes it when none is left (rules G5, G7).
pub(super) fn release(host: &mut impl Host, mpc: MpcId, released: usize) -> Result<(), Error> {
    let Mpc { channels } = host.mpc(mpc).ok_or(Error::UnknownMpc(mpc))?;
    let released = u32::try_from(released).map_err(|_| Error::Overflow)?;
    let channels = channels.checked_sub(released).ok_or(Error::Overflow)?;
    host.set_mpc(mpc, (channels > 0).then_some(Mpc { channels }));
    Ok(())
}

/// A channel that a registration names, and what becomes of it.
struct Registered {
    channel: Channel,
    next: Tpc,
}

/// The channels that a registration names, where each accepts `action` now and comes into the group `into`, or into none.
fn load(
    host: &impl Host,
    members: &[Member],
    valid_until: Timestamp,
    action: ActionKind,
    into: Option<MpcId>,
) -> Result<Vec<Registered>, Error> {
    let now = host.now();
    rules::check_valid(now, valid_until)?;
    rules::check_ascending(members.iter().map(|member| &member.tpc))?;
    let mut registered = Vec::with_capacity(members.len());
    for member in members {
        let channel = Channel::for_action(host, member.tpc, now, action)?;
        registered.push(Registered { channel, next: rules::register(&channel.tpc, member, into)? });
    }
    Ok(registered)
}

/// The channels of a group that are to be released. The caller owns one of them, for the group's record may be deleted.
fn leaving(
    host: &impl Host,
    mpc: MpcId,
    members: &[Member],
    valid_until: Timestamp,
    action: ActionKind,
) -> Result<Vec<Registered>, Error> {
    let members = load(host, members, valid_until, action, None)?;
    let caller = host.caller();
    let mut owns = false;
    for Registered { channel, .. } in &members {
        if channel.tpc.mpc != Some(mpc) {
            return Err(Error::NotMember(channel.id));
        }
        owns |= channel.tpc.owners.parties.contains(&caller);
    }
    match members.first() {
        Some(first) if !owns => Err(Error::NotOwner(first.channel.id)),
        _ => Ok(members),
    }
}

fn check_signed(
    host: &impl Host,
    payload: &[u8; 32],
    members: &[Registered],
    signatures: &[PartySignature],
) -> Result<(), Error> {
    rules::check_all(host, payload, members.iter().map(|member| &member.next.owners.parties), signatures)
}

fn store(host: &mut impl Host, members: &[Registered]) {
    members.iter().for_each(|member| member.channel.store(host, &member.next));
}

fn count(members: &[Registered]) -> Result<u32, Error> {
    u32::try_from(members.len()).map_err(|_| Error::Overflow)
}

fn ids(members: &[Registered]) -> Vec<TpcId> {
    members.iter().map(|member| member.channel.id).collect()
}
