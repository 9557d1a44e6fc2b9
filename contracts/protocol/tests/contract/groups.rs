//! Registered groups.

use crate::bench::*;
use crate::common::{entry, Call, Items};
use protocol::{
    contract::mpc,
    event::{MpcClosed, MpcCreated, MpcJoined, MpcLeft},
    state::MAX_CHANNELS,
    Action, Asset, Error, Member, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, Resolution, Tpc, TpcId,
};

/// AB, BC and CD, ascending by id, and AD.
fn four() -> (Bench, Vec<TpcId>, TpcId) {
    let mut bench = Bench::new();
    let mut ids = [[A, B], [B, C], [C, D]].map(|parties| bench.open(parties, 0)).to_vec();
    ids.sort();
    let outside = bench.open([A, D], 0);
    (bench, ids, outside)
}

fn count(bench: &Bench, mpc: MpcId) -> Option<u32> {
    bench.chain.mpcs.get(mpc).map(|mpc| mpc.channels)
}

#[test]
fn a_registration_makes_its_channels_busy_and_is_good_once() {
    let (mut bench, ids, _) = four();
    let creation = MpcCreation { members: bench.members(&ids), valid_until: UNTIL };
    let signatures = bench.sign(Action::CreateMpc(&creation), &[A, B, C, D]);
    bench.chain.now = UNTIL;
    let (mpc, told) = bench.chain.call(S, |host| mpc::create_mpc(host, &creation, &signatures)).unwrap();
    assert_eq!(mpc, creation.id(&Call::new(&bench.chain, S), &crate::common::DOMAIN));
    assert_eq!(told, [MpcCreated { mpc, tpcs: ids.clone() }.into()]);
    assert_eq!((count(&bench, mpc), bench.chain.items().mpcs), (Some(3), 1));
    for id in &ids {
        let tpc = bench.tpc(*id).unwrap();
        assert_eq!((tpc.mpc, tpc.registrations, tpc.order()), (Some(mpc), 1, (0, 0)));
        let last = entry(*id, 0, 1, [60, 40]);
        let owner = bench.parties(*id)[0];
        assert_eq!(bench.close(owner, last), Err(Error::TpcBusy(*id)));
        assert_eq!(bench.top_up(owner, last, [1, 0]), Err(Error::TpcBusy(*id)));
        assert_eq!(bench.withdraw(owner, last, [1, 0]), Err(Error::TpcBusy(*id)));
        assert_eq!(bench.split(owner, &[last], &[[60, 40]]), Err(Error::TpcBusy(*id)));
    }
    assert_eq!(bench.register(&ids), Err(Error::TpcBusy(ids[0])));
    // After they have left, the old agreement is over, though it has not expired.
    let (_, told) = bench.disband(A, mpc, &ids).unwrap();
    assert_eq!(told, [MpcClosed { mpc, tpcs: ids.clone() }.into()]);
    assert_eq!(bench.tpc(ids[0]).unwrap().registrations, 2);
    let answer = bench.chain.call(S, |host| mpc::create_mpc(host, &creation, &signatures));
    assert_eq!(answer, Err(Error::WrongRegistrations { tpc: ids[0], stored: 2 }));
    let (again, _) = bench.register(&ids).unwrap();
    assert_ne!(again, mpc);
    assert_eq!((count(&bench, mpc), count(&bench, again)), (None, Some(3)));
}

#[test]
fn a_registration_is_refused_for_each_thing_that_is_wrong() {
    let (mut bench, ids, _) = four();
    let good = bench.members(&ids);
    let all = [A, B, C, D];
    let answer = |bench: &mut Bench, members: Vec<Member>, valid_until, signers: &[_]| {
        let creation = MpcCreation { members, valid_until };
        let signatures = bench.sign(Action::CreateMpc(&creation), signers);
        bench.chain.call(S, |host| mpc::create_mpc(host, &creation, &signatures)).map(|_| ())
    };
    let expired = Err(Error::Expired { valid_until: START - 1 });
    assert_eq!(answer(&mut bench, good.clone(), START - 1, &all), expired);
    assert_eq!(answer(&mut bench, vec![], UNTIL, &all), Err(Error::NoChannels));
    let backwards = good.iter().rev().copied().collect();
    assert_eq!(answer(&mut bench, backwards, UNTIL, &all), Err(Error::ChannelsNotSorted));
    assert_eq!(answer(&mut bench, vec![good[0]; 2], UNTIL, &all), Err(Error::ChannelsNotSorted));
    assert_eq!(answer(&mut bench, vec![good[0]; MAX_CHANNELS + 1], UNTIL, &all), Err(Error::TooManyChannels));
    for registrations in [1, u32::MAX] {
        let early = vec![Member { registrations, ..good[0] }];
        let error = Err(Error::WrongRegistrations { tpc: ids[0], stored: 0 });
        assert_eq!(answer(&mut bench, early, UNTIL, &all), error);
    }
    assert_eq!(answer(&mut bench, good.clone(), UNTIL, &[A, B, C]), Err(Error::MissingSignature(D)));
    assert_eq!(answer(&mut bench, good.clone(), UNTIL, &[A, B, C, D, S]), Err(Error::ForeignSignature(S)));
    bench.dispute(bench.parties(ids[2])[0], &[ids[2]], Resolution::Renew).unwrap();
    assert_eq!(answer(&mut bench, good.clone(), UNTIL, &all), Err(Error::TpcDisputed(ids[2])));
    bench.chain.tpcs.set(ids[1], None);
    assert_eq!(answer(&mut bench, good, UNTIL, &all), Err(Error::UnknownTpc(ids[1])));
}

#[test]
fn the_last_count_is_never_passed() {
    let (mut bench, ids, _) = four();
    let tpc = Tpc { registrations: u32::MAX, ..bench.tpc(ids[0]).unwrap() };
    bench.chain.tpcs.set(ids[0], Some(tpc));
    assert_eq!(bench.register(&ids), Err(Error::Overflow));
}

#[test]
fn a_group_of_the_greatest_size() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..MAX_CHANNELS).map(|nonce| bench.open([A, B], nonce as u64)).collect();
    let (mpc, _) = bench.register(&ids).unwrap();
    assert_eq!(count(&bench, mpc), Some(MAX_CHANNELS as u32));
    bench.disband(B, mpc, &ids).unwrap();
    assert_eq!(bench.chain.items().mpcs, 0);
}

#[test]
fn channels_join_through_an_owner_of_a_member() {
    let (mut bench, ids, outside) = four();
    let (mpc, _) = bench.register(&ids[..2]).unwrap();
    let (through, _) = (ids[0], ids[1]);
    let inviter = bench.parties(through);
    let before = bench.chain.items();
    // AD shares an owner with any channel but BC.
    let shares = inviter.contains(&A) || inviter.contains(&D);
    let (through, other) = if shares { (through, ids[1]) } else { (ids[1], through) };
    let (_, told) = bench.join(mpc, through, &[outside]).unwrap();
    assert_eq!(told, [MpcJoined { mpc, tpcs: vec![outside] }.into()]);
    assert_eq!((count(&bench, mpc), bench.chain.items()), (Some(3), before));
    let tpc = bench.tpc(outside).unwrap();
    assert_eq!((tpc.mpc, tpc.registrations), (Some(mpc), 1));
    assert_eq!(bench.join(mpc, other, &[outside]), Err(Error::TpcBusy(outside)));
}

#[test]
fn nobody_joins_uninvited_or_twice() {
    let mut bench = Bench::new();
    let [ab, bc, ad, cd] = [[A, B], [B, C], [A, D], [C, D]].map(|parties| bench.open(parties, 0));
    let (mpc, _) = bench.register(&[ab]).unwrap();
    assert_eq!(bench.join(mpc, bc, &[bc]), Err(Error::NotMember(bc)), "a channel does not invite itself");
    assert_eq!(bench.join(mpc, ad, &[bc]), Err(Error::NotMember(ad)));
    assert_eq!(bench.join(mpc, ab, &[cd]), Err(Error::Uninvited(ab)));
    let unknown = TpcId([9; 32]);
    assert_eq!(bench.join(mpc, unknown, &[bc]), Err(Error::UnknownTpc(unknown)));
    let nowhere = MpcId([9; 32]);
    assert_eq!(bench.join(nowhere, ab, &[bc]), Err(Error::UnknownMpc(nowhere)));
    let join = MpcJoin { mpc, host: ab, members: bench.members(&[bc]), valid_until: UNTIL };
    let signatures = bench.sign(Action::JoinMpc(&join), &[B]);
    let answer = bench.chain.call(S, |host| mpc::join_mpc(host, &join, &signatures));
    assert_eq!(answer, Err(Error::MissingSignature(C)));
    let wrong = bench.sign(Action::JoinMpc(&MpcJoin { valid_until: UNTIL + 1, ..join.clone() }), &[B, C]);
    let answer = bench.chain.call(S, |host| mpc::join_mpc(host, &join, &wrong));
    assert_eq!(answer, Err(Error::BadSignature(B)));
    let signatures = bench.sign(Action::JoinMpc(&join), &[B, C]);
    bench.chain.call(S, |host| mpc::join_mpc(host, &join, &signatures)).unwrap();
    bench.leave(C, mpc, &[bc]).unwrap();
    let answer = bench.chain.call(S, |host| mpc::join_mpc(host, &join, &signatures));
    assert_eq!(answer, Err(Error::WrongRegistrations { tpc: bc, stored: 2 }), "a signed registration is good once");
    // A disputed channel still invites.
    bench.dispute(B, &[ab], Resolution::Renew).unwrap();
    bench.join(mpc, ab, &[bc]).unwrap();
    bench.chain.now = UNTIL + 1;
    assert_eq!(bench.join(mpc, ab, &[cd]), Err(Error::Expired { valid_until: UNTIL }));
}

#[test]
fn a_group_too_great_to_count_takes_nobody() {
    let mut bench = Bench::new();
    let [ab, bc] = [[A, B], [B, C]].map(|parties| bench.open(parties, 0));
    let (mpc, _) = bench.register(&[ab]).unwrap();
    bench.chain.mpcs.set(mpc, Some(protocol::Mpc { channels: u32::MAX }));
    assert_eq!(bench.join(mpc, ab, &[bc]), Err(Error::Overflow));
}

#[test]
fn channels_leave_by_their_owners_and_the_last_one_ends_the_group() {
    let (mut bench, ids, outside) = four();
    let (mpc, _) = bench.register(&ids).unwrap();
    let stranger = bench.parties(ids[1]).into_iter().find(|party| !bench.parties(ids[0]).contains(party)).unwrap();
    assert_eq!(bench.leave(stranger, mpc, &ids[..1]), Err(Error::NotOwner(ids[0])));
    let other = MpcId([9; 32]);
    let owner = bench.parties(ids[0])[1];
    assert_eq!(bench.leave(owner, other, &ids[..1]), Err(Error::NotMember(ids[0])));
    let mut named = vec![ids[0], outside];
    named.sort();
    assert_eq!(bench.leave(owner, mpc, &named), Err(Error::NotMember(outside)));
    // A disputed channel leaves as well.
    bench.dispute(owner, &[ids[0]], Resolution::Renew).unwrap();
    let (_, told) = bench.leave(owner, mpc, &ids[..1]).unwrap();
    assert_eq!(told, [MpcLeft { mpc, tpcs: vec![ids[0]] }.into()]);
    let tpc = bench.tpc(ids[0]).unwrap();
    assert_eq!((tpc.mpc, tpc.registrations, count(&bench, mpc)), (None, 2, Some(2)));
    assert_eq!(bench.leave(owner, mpc, &ids[..1]), Err(Error::NotMember(ids[0])));
    // The caller owns any one of those that leave.
    bench.leave(bench.parties(ids[2])[1], mpc, &ids[1..]).unwrap();
    assert_eq!((count(&bench, mpc), bench.chain.items().mpcs), (None, 0));
}

#[test]
fn a_leave_is_signed_for_that_count_and_time_by_all_owners() {
    let (mut bench, ids, _) = four();
    let (mpc, _) = bench.register(&ids).unwrap();
    let [first, second] = bench.parties(ids[0]);
    let leave = MpcLeave { mpc, members: bench.members(&ids[..1]), valid_until: UNTIL };
    let signatures = bench.sign(Action::LeaveMpc(&leave), &[first]);
    let answer = bench.chain.call(first, |host| mpc::leave_mpc(host, &leave, &signatures));
    assert_eq!(answer, Err(Error::MissingSignature(second)));
    let wrong = bench.sign(Action::LeaveMpc(&MpcLeave { valid_until: UNTIL + 1, ..leave.clone() }), &[first, second]);
    let answer = bench.chain.call(first, |host| mpc::leave_mpc(host, &leave, &wrong));
    assert_eq!(answer, Err(Error::BadSignature(first)));
    let early = MpcLeave { members: vec![Member { tpc: ids[0], registrations: 0 }], ..leave.clone() };
    let signatures = bench.sign(Action::LeaveMpc(&early), &[first, second]);
    let answer = bench.chain.call(first, |host| mpc::leave_mpc(host, &early, &signatures));
    assert_eq!(answer, Err(Error::WrongRegistrations { tpc: ids[0], stored: 1 }));
    bench.dispute(first, &[ids[0]], Resolution::Settle).unwrap();
    let chain = bench.chain.clone();
    bench.chain.now = UNTIL + 1;
    assert_eq!(bench.leave(first, mpc, &ids[..1]), Err(Error::Expired { valid_until: UNTIL }));
    bench.chain.now = START + WINDOW + 1;
    let late = MpcLeave { valid_until: FAR, ..leave.clone() };
    let signatures = bench.sign(Action::LeaveMpc(&late), &[first, second]);
    let answer = bench.chain.call(first, |host| mpc::leave_mpc(host, &late, &signatures));
    assert_eq!(answer, Err(Error::TpcDue(ids[0])));
    bench.chain = chain;
    bench.leave(first, mpc, &ids[..1]).unwrap();
}

#[test]
fn closing_a_group_names_every_channel_and_takes_all_owners() {
    let (mut bench, ids, outside) = four();
    let (mpc, _) = bench.register(&ids).unwrap();
    let missing = Err(Error::ChannelsMissing { expected: 3 });
    assert_eq!(bench.disband(B, mpc, &ids[..2]), missing);
    let more = [&ids[..], &[outside]].concat();
    assert_eq!(bench.disband(B, mpc, &more), missing);
    let mut others = vec![ids[0], ids[1], outside];
    others.sort();
    assert_eq!(bench.disband(B, mpc, &others), Err(Error::NotMember(outside)));
    let nowhere = MpcId([9; 32]);
    assert_eq!(bench.disband(B, nowhere, &ids), Err(Error::UnknownMpc(nowhere)));
    assert_eq!(bench.disband(S, mpc, &ids), Err(Error::NotOwner(ids[0])));
    let close = MpcClose { mpc, members: bench.members(&ids), valid_until: UNTIL };
    let signatures = bench.sign(Action::CloseMpc(&close), &[A, B, C]);
    let answer = bench.chain.call(B, |host| mpc::close_mpc(host, &close, &signatures));
    assert_eq!(answer, Err(Error::MissingSignature(D)));
    bench.disband(B, mpc, &ids).unwrap();
    assert!(ids.iter().all(|id| bench.tpc(*id).unwrap().mpc.is_none()));
    assert_eq!(bench.chain.items(), Items { ledger: 8, tpcs: 4, ..Items::default() });
    bench.close(A, entry(outside, 0, 1, [60, 40])).unwrap();
    assert_eq!(bench.chain.owed(Asset::Native), 4_300);
}

#[test]
fn a_registration_of_a_renewed_channel_writes_the_renewal() {
    let mut bench = Bench::new();
    let ab = bench.open([A, B], 0);
    bench.dispute(A, &[ab], Resolution::Renew).unwrap();
    bench.update(&[entry(ab, 0, 5, [50, 50])]).unwrap();
    bench.chain.now += WINDOW + 1;
    let creation = MpcCreation { members: bench.members(&[ab]), valid_until: FAR };
    let signatures = bench.sign(Action::CreateMpc(&creation), &[A, B]);
    bench.chain.call(S, |host| mpc::create_mpc(host, &creation, &signatures)).unwrap();
    assert_eq!((bench.chain.ended.get((ab, 0)), bench.order(ab)), (Some(5), (1, 0)));
}
