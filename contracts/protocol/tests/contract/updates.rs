//! Newer states of any channels: whole or not at all.

use crate::bench::*;
use crate::common::{entry, Call, Items};
use protocol::{
    contract::update,
    event::{Event, Updated, CHANNELS_PER_EVENT},
    state::MAX_CHANNELS,
    AccountId, Action, Asset, Balance, Error, Origin, Owners, PartySignature, Resolution, SignedUpdate, TpcId, Update,
};

/// Three channels of A with B, C and D.
fn three() -> (Bench, [TpcId; 3]) {
    let mut bench = Bench::new();
    let ids = [[A, B], [A, C], [A, D]].map(|parties| bench.open(parties, 0));
    (bench, ids)
}

fn updated(mut entries: Vec<protocol::Entry>) -> Event {
    entries.sort_by_key(|entry| entry.tpc);
    Updated { entries }.into()
}

/// The channel is due, at the version that it has.
fn end(bench: &mut Bench, id: TpcId) {
    bench.dispute(bench.parties(id)[0], &[id], Resolution::Settle).unwrap();
    bench.chain.now += WINDOW + 1;
}

#[test]
fn an_update_moves_all_its_channels() {
    let (mut bench, [ab, ac, ad]) = three();
    let entries = [entry(ab, 0, 1, [50, 50]), entry(ac, 0, 9, [70, 30]), entry(ad, 0, 1, [60, 40])];
    let before = bench.chain.items();
    assert_eq!(bench.update(&entries).unwrap(), (3, vec![updated(entries.to_vec())]));
    assert_eq!((bench.order(ab), bench.order(ac), bench.order(ad)), ((0, 1), (0, 9), (0, 1)));
    assert_eq!(bench.tpc(ac).unwrap().balances, [70, 30]);
    assert_eq!(bench.chain.items(), before, "an update stores nothing new");
    assert_eq!(bench.update(&entries), Err(Error::NothingNewer));
}

#[test]
fn what_is_there_already_is_passed_over() {
    let (mut bench, [ab, ac, ad]) = three();
    bench.update(&[entry(ab, 0, 5, [10, 90])]).unwrap();
    bench.update(&[entry(ad, 0, 6, [20, 80])]).unwrap();
    let newer = entry(ac, 0, 1, [70, 30]);
    let answer = bench.update(&[entry(ab, 0, 5, [50, 50]), newer, entry(ad, 0, 4, [50, 50])]).unwrap();
    assert_eq!(answer, (1, vec![updated(vec![newer])]));
    assert_eq!((bench.tpc(ab).unwrap().balances, bench.tpc(ad).unwrap().balances), ([10, 90], [20, 80]));
}

#[test]
fn a_wrong_sum_is_passed_over_and_the_rest_counts() {
    for wrong in [[60, 41], [60, 39], [Balance::MAX, 1], [0, 0]] {
        let (mut bench, [ab, ac, _]) = three();
        assert_eq!(bench.update(&[entry(ab, 0, 1, wrong)]), Err(Error::NothingNewer));
        assert_eq!(bench.update(&[entry(ab, 0, 1, wrong), entry(ac, 0, 1, [70, 30])]).unwrap().0, 1);
        assert_eq!((bench.order(ab), bench.order(ac)), ((0, 0), (0, 1)));
    }
}

#[test]
fn newer_than_a_due_channel_refuses_the_whole_update() {
    let (mut bench, [ab, ac, _]) = three();
    bench.update(&[entry(ab, 0, 3, [50, 50])]).unwrap();
    bench.dispute(A, &[ab], Resolution::Settle).unwrap();
    let deadline = START + WINDOW;
    bench.chain.now = deadline;
    assert_eq!(bench.update(&[entry(ab, 0, 4, [40, 60])]).unwrap().0, 1, "at the deadline");
    assert_eq!(bench.tpc(ab).unwrap().dispute.unwrap().deadline, deadline, "an update does not restart a clock");
    bench.chain.now += 1;
    let other = entry(ac, 0, 1, [70, 30]);
    assert_eq!(bench.update(&[entry(ab, 0, 5, [40, 60]), other]), Err(Error::TpcDue(ab)));
    // Also if its sum is wrong: the answer is the same for everybody.
    assert_eq!(bench.update(&[entry(ab, 0, 5, [40, 61]), other]), Err(Error::TpcDue(ab)));
    assert_eq!(bench.update(&[entry(ab, 0, 4, [40, 60]), other]).unwrap().0, 1, "what counts is passed over");
    assert_eq!(bench.order(ac), (0, 1));
}

#[test]
fn newer_than_a_settled_epoch_refuses_the_whole_update_for_ever() {
    let (mut bench, [ab, ac, _]) = three();
    bench.update(&[entry(ab, 0, 3, [50, 50])]).unwrap();
    end(&mut bench, ab);
    bench.settle(A, &[ab]).unwrap();
    let other = |version| entry(ac, 0, version, [70, 30]);
    let void = Err(Error::Void { tpc: ab, epoch: 0, version: 3 });
    assert_eq!(bench.update(&[entry(ab, 0, 4, [40, 60]), other(1)]), void);
    assert_eq!(bench.update(&[entry(ab, 0, u64::MAX, [0, 0]), other(1)]), void);
    assert_eq!(bench.update(&[entry(ab, 0, 3, [50, 50]), other(1)]).unwrap().0, 1);
    assert_eq!(bench.update(&[entry(ab, 0, 2, [50, 50]), other(2)]).unwrap().0, 1);
    // No dispute ended the epoch after the last: it never began.
    assert_eq!(bench.update(&[entry(ab, 1, 4, [50, 50]), other(3)]).unwrap().0, 1);
}

#[test]
fn newer_than_a_renewed_epoch_refuses_the_whole_update_for_ever() {
    let (mut bench, [ab, ac, _]) = three();
    bench.update(&[entry(ab, 0, 3, [50, 50])]).unwrap();
    bench.dispute(A, &[ab], Resolution::Renew).unwrap();
    bench.update(&[entry(ab, 0, 6, [30, 70])]).unwrap();
    bench.chain.now += WINDOW + 1;
    let other = |version| entry(ac, 0, version, [70, 30]);
    let void = Err(Error::Void { tpc: ab, epoch: 0, version: 6 });
    // First by what is not written yet, then by the record.
    for written in [false, true] {
        let base = if written { 10 } else { 0 };
        assert_eq!(bench.chain.ended.get((ab, 0)), Some(if written { 6 } else { 3 }));
        assert_eq!(bench.update(&[entry(ab, 0, 7, [40, 60]), other(base + 1)]), void);
        assert_eq!(bench.update(&[entry(ab, 0, 6, [40, 60]), other(base + 1)]).unwrap().0, 1);
        assert_eq!(bench.ended(ab, 0), Some(6));
        assert_eq!(bench.update(&[entry(ab, 1, base + 1, [20, 80])]).unwrap().0, 1);
        assert_eq!(bench.tpc(ab).unwrap().dispute, None);
    }
    assert_eq!(bench.order(ab), (1, 11));
}

#[test]
fn what_both_owners_ended_is_passed_over() {
    let (mut bench, [ab, ac, ad]) = three();
    bench.close(A, entry(ab, 0, 1, [60, 40])).unwrap();
    bench.top_up(A, entry(ad, 0, 1, [60, 40]), [1, 0]).unwrap();
    let newer = entry(ac, 0, 1, [70, 30]);
    assert_eq!(bench.update(&[entry(ab, 0, 9, [0, 100]), newer, entry(ad, 0, 9, [0, 100])]).unwrap().0, 1);
    assert_eq!(bench.update(&[entry(ab, 0, 9, [0, 100]), entry(ad, 0, 9, [0, 100])]), Err(Error::NothingNewer));
    // An epoch that has not begun.
    let newer = entry(ac, 0, 2, [70, 30]);
    assert_eq!(bench.update(&[newer, entry(ad, 2, 9, [0, 101])]).unwrap().0, 1);
    assert_eq!(bench.order(ad), (1, 0));
}

#[test]
fn a_registered_channel_moves_like_any_other() {
    let (mut bench, [ab, ac, _]) = three();
    bench.register(&[ab, ac]).unwrap();
    assert_eq!(bench.update(&[entry(ab, 0, 1, [50, 50])]).unwrap().0, 1);
    let tpc = bench.tpc(ab).unwrap();
    assert_eq!((tpc.registrations, tpc.mpc.is_some()), (1, true));
}

#[test]
fn an_update_names_its_channels_once_and_in_order() {
    let (mut bench, [ab, ac, _]) = three();
    let entries = [entry(ab, 0, 1, [50, 50]), entry(ac, 0, 1, [50, 50])];
    let mut signed = bench.signed(&entries);
    signed.update.entries.reverse();
    signed.owners.reverse();
    assert_eq!(bench.publish(&signed), Err(Error::ChannelsNotSorted));
    let twice = bench.signed(&[entries[0], entries[0]]);
    assert_eq!(bench.publish(&twice), Err(Error::ChannelsNotSorted));
    let empty = bench.signed(&[]);
    assert_eq!(bench.publish(&empty), Err(Error::NoChannels));
}

#[test]
fn every_owner_is_proven_also_of_what_is_passed_over() {
    let (mut bench, [ab, ac, ad]) = three();
    bench.close(A, entry(ab, 0, 1, [60, 40])).unwrap();
    let good = bench.signed(&[entry(ab, 0, 1, [50, 50]), entry(ac, 0, 1, [50, 50])]);
    let mut missing = good.clone();
    missing.owners.pop();
    assert_eq!(bench.publish(&missing), Err(Error::OwnersMissing));
    let mut too_many = good.clone();
    too_many.owners.push(bench.owners[&ad]);
    assert_eq!(bench.publish(&too_many), Err(Error::OwnersMissing));
    for index in 0..2 {
        let mut wrong = good.clone();
        wrong.owners[index] = bench.owners[&ad];
        assert_eq!(bench.publish(&wrong), Err(Error::WrongOwners(good.update.entries[index].tpc)));
    }
    // The proof commits to what is fixed for the channel's life.
    let mut other_window = good.clone();
    other_window.owners[0].window += 1;
    assert_eq!(bench.publish(&other_window), Err(Error::WrongOwners(good.update.entries[0].tpc)));
    assert_eq!(bench.publish(&good).unwrap().0, 1);
}

#[test]
fn exactly_the_owners_of_all_entries_sign_also_of_those_passed_over() {
    let (mut bench, [ab, ac, _]) = three();
    bench.close(A, entry(ab, 0, 1, [60, 40])).unwrap();
    let good = bench.signed(&[entry(ab, 0, 1, [50, 50]), entry(ac, 0, 1, [50, 50])]);
    for (index, party) in [A, B, C].into_iter().enumerate() {
        let mut missing = good.clone();
        missing.signatures.remove(index);
        assert_eq!(bench.publish(&missing), Err(Error::MissingSignature(party)));
        let mut bad = good.clone();
        bad.signatures[index].signature.0[0] ^= 1;
        assert_eq!(bench.publish(&bad), Err(Error::BadSignature(party)));
    }
    let with = |party: AccountId| {
        let mut signatures = good.signatures.clone();
        signatures.extend(bench.sign(Action::Update(&good.update), &[party]));
        signatures.sort_by_key(|signed| signed.party);
        SignedUpdate { signatures, ..good.clone() }
    };
    let foreign = with(S);
    let twice = with(A);
    let mut swapped = good.clone();
    swapped.signatures.swap(0, 1);
    assert_eq!(bench.publish(&foreign), Err(Error::ForeignSignature(S)));
    assert_eq!(bench.publish(&twice), Err(Error::SignaturesNotSorted));
    assert_eq!(bench.publish(&swapped), Err(Error::SignaturesNotSorted));
    // A signature of another update is none of this one.
    let other = bench.signed(&[entry(ab, 0, 1, [50, 50]), entry(ac, 0, 2, [50, 50])]);
    let moved = SignedUpdate { signatures: other.signatures, ..good.clone() };
    assert_eq!(bench.publish(&moved), Err(Error::BadSignature(A)));
    assert_eq!(bench.publish(&good).unwrap().0, 1);
}

#[test]
fn a_signature_is_good_for_one_chain_one_contract_and_one_action() {
    let (mut bench, [ab, ..]) = three();
    let update = Update { entries: vec![entry(ab, 0, 1, [50, 50])] };
    let owners = [bench.owners[&ab]];
    let host = Call::new(&bench.chain, S);
    let here = crate::common::DOMAIN;
    for domain in [protocol::Domain { genesis_hash: [0; 32], ..here }, protocol::Domain { contract: S, ..here }] {
        let payload = Action::Update(&update).payload(&host, &domain);
        let sign = |party| PartySignature { party, signature: crate::common::signature(payload, party) };
        let signatures = [A, B].map(sign);
        let answer = bench.chain.clone().call(S, |host| update::update(host, &update, &owners, &signatures));
        assert_eq!(answer, Err(Error::BadSignature(A)));
    }
    let close = protocol::TpcClose { last: update.entries[0], valid_until: UNTIL };
    let signatures = bench.sign(Action::CloseTpc(&close), &[A, B]);
    let signed = SignedUpdate { update, owners: owners.to_vec(), signatures };
    assert_eq!(bench.publish(&signed), Err(Error::BadSignature(A)));
}

#[test]
fn several_updates_count_each_by_itself() {
    let (mut bench, [ab, ac, ad]) = three();
    bench.update(&[entry(ad, 0, 5, [60, 40])]).unwrap();
    end(&mut bench, ad);
    let stale = bench.signed(&[entry(ad, 0, 5, [60, 40])]);
    let first = bench.signed(&[entry(ab, 0, 1, [50, 50]), entry(ac, 0, 1, [50, 50])]);
    let void = bench.signed(&[entry(ab, 0, 2, [40, 60]), entry(ad, 0, 6, [0, 100])]);
    let last = bench.signed(&[entry(ab, 0, 3, [30, 70])]);
    let mut unsigned = bench.signed(&[entry(ab, 0, 9, [0, 100])]);
    unsigned.signatures.pop();
    let (count, told) = bench.publish_all(&[stale.clone(), first, void.clone(), unsigned, last]).unwrap();
    assert_eq!(count, 2);
    let mut moved = vec![entry(ab, 0, 1, [50, 50]), entry(ac, 0, 1, [50, 50])];
    moved.sort_by_key(|entry| entry.tpc);
    moved.push(entry(ab, 0, 3, [30, 70]));
    assert_eq!(told, [Updated { entries: moved }.into()]);
    assert_eq!((bench.order(ab), bench.order(ac), bench.order(ad)), ((0, 3), (0, 1), (0, 5)));
    // Refused only if none counts, and with the first's reason.
    assert_eq!(bench.publish_all(&[void.clone(), stale.clone()]), Err(Error::TpcDue(ad)));
    assert_eq!(bench.publish_all(&[stale, void]), Err(Error::NothingNewer));
    assert_eq!(bench.publish_all(&[]), Err(Error::NoChannels));
}

fn many(bench: &mut Bench, count: usize) -> Vec<TpcId> {
    let open = |nonce| {
        let owners =
            Owners { parties: [A, B], window: WINDOW, asset: Asset::Native, origin: Origin::Creation(nonce as u64) };
        bench.stored(owners, [60, 40])
    };
    let mut ids: Vec<_> = (0..count).map(open).collect();
    ids.sort();
    ids
}

#[test]
fn the_greatest_update_is_told_in_two_events() {
    let mut bench = Bench::new();
    let ids = many(&mut bench, MAX_CHANNELS + 1);
    let entries: Vec<_> = ids.iter().map(|id| entry(*id, 0, 1, [50, 50])).collect();
    assert_eq!(bench.update(&entries), Err(Error::TooManyChannels));
    let one = bench.signed(&entries[..1]);
    let rest = bench.signed(&entries[1..]);
    assert_eq!(bench.publish_all(&[one.clone(), rest.clone()]), Err(Error::TooManyChannels));
    let (count, told) = bench.publish(&rest).unwrap();
    assert_eq!(count as usize, MAX_CHANNELS);
    let told: Vec<_> = told
        .iter()
        .map(|event| match event {
            Event::Updated(Updated { entries }) => entries.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [CHANNELS_PER_EVENT, MAX_CHANNELS - CHANNELS_PER_EVENT]);
    let all = bench.signed(&entries[..MAX_CHANNELS]);
    assert_eq!(bench.publish_all(&[all]).unwrap().0, 1);
    assert_eq!(bench.chain.items(), Items { ledger: 8, tpcs: MAX_CHANNELS as u32 + 1, ..Items::default() });
}
