//! What the two owners of a channel agree on.

use crate::bench::*;
use crate::common::{entry, Call, Items, LONGEST, SHORTEST};
use protocol::{
    contract::tpc,
    event::{self, TpcClosed, TpcCreated, TpcToppedUp, TpcWithdrawn},
    state::MAX_PARTS,
    Action, Asset, Balance, Epoch, Error, Origin, Owners, Resolution, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit,
    TpcTopUp, TpcWithdrawal,
};

const PSP22: Asset = Asset::Psp22(TOKEN);

fn one() -> (Bench, TpcId) {
    let mut bench = Bench::new();
    let id = bench.open([A, B], 0);
    (bench, id)
}

#[test]
fn a_creation_opens_a_channel_in_epoch_0() {
    let mut bench = Bench::new();
    let (id, told) = bench.create(B, creation(), 9).unwrap();
    let owners = creation().owners();
    assert_eq!(id, owners.tpc(&Call::new(&bench.chain, S)));
    let opened = Tpc { owners, balances: [60, 40], epoch: 0, version: 0, dispute: None, mpc: None, registrations: 0 };
    assert_eq!(bench.tpc(id), Some(opened));
    assert_eq!(told, [TpcCreated { tpc: id, owners, balances: [60, 40], by: B, deposited: 9 }.into()]);
    assert_eq!((bench.ledger(A, Asset::Native), bench.ledger(B, Asset::Native)), (940, 969));
    assert_eq!(bench.chain.nonces.get([A, B]), Some(1));
    // The same signatures are not good twice, the next nonce's are.
    assert_eq!(bench.create(A, creation(), 0), Err(Error::WrongNonce { expected: 1 }));
    let (second, _) = bench.create(A, TpcCreation { nonce: 1, ..creation() }, 0).unwrap();
    assert_ne!(second, id);
    assert_eq!(bench.chain.nonces.get([A, B]), Some(2));
}

#[test]
fn a_creation_is_refused_for_each_thing_that_is_wrong() {
    let refuse = |creation: TpcCreation, error| {
        let mut bench = Bench::new();
        assert_eq!(bench.create(A, creation, 0), Err(error), "{creation:?}");
    };
    let good = creation();
    refuse(TpcCreation { valid_until: START - 1, ..good }, Error::Expired { valid_until: START - 1 });
    refuse(TpcCreation { parties: [B, A], ..good }, Error::PartiesNotSorted);
    refuse(TpcCreation { parties: [A, A], ..good }, Error::PartiesNotSorted);
    refuse(TpcCreation { nonce: 1, ..good }, Error::WrongNonce { expected: 0 });
    refuse(TpcCreation { window: SHORTEST - 1, ..good }, Error::BadWindow);
    refuse(TpcCreation { window: LONGEST + 1, ..good }, Error::BadWindow);
    refuse(TpcCreation { balances: [0, 0], ..good }, Error::ZeroAmount);
    refuse(TpcCreation { balances: [1, Balance::MAX], ..good }, Error::Overflow);
    refuse(TpcCreation { balances: [0, 1_001], ..good }, Error::InsufficientLedger { account: B, available: 1_000 });
    refuse(TpcCreation { balances: [1_001, 0], ..good }, Error::InsufficientLedger { account: A, available: 1_000 });
    for good in [
        TpcCreation { valid_until: START, ..good },
        TpcCreation { window: SHORTEST, ..good },
        TpcCreation { window: LONGEST, ..good },
        TpcCreation { balances: [0, 1_000], ..good },
    ] {
        Bench::new().create(A, good, 0).unwrap();
    }
    let mut bench = Bench::new();
    let id = good.id(&Call::new(&bench.chain, S));
    assert_eq!(bench.create(S, good, 0), Err(Error::NotOwner(id)));
    let other = bench.both(Action::CreateTpc(&TpcCreation { balances: [50, 50], ..good }), [A, B]);
    let own = bench.both(Action::CreateTpc(&good), [A, B]);
    for (signatures, signer) in [([other[0], own[1]], A), ([own[0], other[1]], B), ([own[1], own[0]], A)] {
        let answer = bench.chain.call(A, |host| tpc::create_tpc(host, &good, &signatures, 0));
        assert_eq!(answer, Err(Error::BadSignature(signer)));
    }
}

#[test]
fn a_close_pays_its_state_and_keeps_nothing_of_the_channel() {
    let (mut bench, id) = one();
    let (_, told) = bench.close(A, entry(id, 0, 1, [30, 70])).unwrap();
    assert_eq!(told, [TpcClosed { tpc: id, balances: [30, 70], credited: [false, false] }.into()]);
    assert_eq!((bench.paid(A), bench.paid(B)), (30, 70));
    assert_eq!(bench.chain.items(), Items { ledger: 8, ..Items::default() });
    assert_eq!((bench.tpc(id), bench.ended(id, 0)), (None, None));
    assert_eq!(bench.close(A, entry(id, 0, 2, [30, 70])), Err(Error::UnknownTpc(id)));
}

#[test]
fn a_close_in_a_dispute_leaves_no_record_of_it() {
    for then in [Resolution::Settle, Resolution::Renew] {
        let (mut bench, id) = one();
        bench.dispute(B, &[id], then).unwrap();
        assert_eq!(bench.chain.items().ended, 1, "the deposit is paid when the dispute begins");
        bench.close(A, entry(id, 0, 1, [100, 0])).unwrap();
        assert_eq!(bench.chain.items(), Items { ledger: 8, ..Items::default() });
        assert_eq!(bench.paid(B), 0);
    }
}

#[test]
fn a_close_of_a_renewed_channel_keeps_the_record_of_the_renewal() {
    let (mut bench, id) = one();
    bench.dispute(B, &[id], Resolution::Renew).unwrap();
    bench.update(&[entry(id, 0, 5, [50, 50])]).unwrap();
    bench.chain.now += WINDOW + 1;
    bench.close_until(A, entry(id, 1, 1, [100, 0]), FAR).unwrap();
    assert_eq!((bench.ended(id, 0), bench.ended(id, 1)), (Some(5), None));
    assert_eq!(bench.chain.items(), Items { ledger: 8, ended: 1, ..Items::default() });
}

/// What ends a channel's epoch by both owners' signatures, with every amount that it moves at 10.
fn each_agreement(bench: &mut Bench, caller: protocol::AccountId, last: protocol::Entry) -> [Result<(), Error>; 4] {
    let chain = bench.chain.clone();
    let mut on_copy = |call: &mut dyn FnMut(&mut Bench) -> Result<(), Error>| {
        let answer = call(bench);
        bench.chain = chain.clone();
        answer
    };
    [
        on_copy(&mut |bench| bench.close(caller, last).map(|_| ())),
        on_copy(&mut |bench| bench.top_up(caller, last, [10, 0]).map(|_| ())),
        on_copy(&mut |bench| bench.withdraw(caller, last, [10, 0]).map(|_| ())),
        on_copy(&mut |bench| bench.split(caller, &[last], &[[100, 0]]).map(|_| ())),
    ]
}

#[test]
fn an_agreement_names_a_newer_state_of_the_stored_epoch_with_the_same_sum() {
    let (mut bench, id) = one();
    bench.update(&[entry(id, 0, 4, [50, 50])]).unwrap();
    bench.chain.now = UNTIL;
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 5, [20, 80])), [Ok(()); 4]);
    assert_eq!(each_agreement(&mut bench, B, entry(id, 0, u64::MAX, [20, 80])), [Ok(()); 4]);
    let stale = Err(Error::StaleVersion { tpc: id, stored: 4 });
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 4, [50, 50])), [stale; 4]);
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 3, [50, 50])), [stale; 4]);
    let epoch = Err(Error::WrongEpoch { tpc: id, stored: 0 });
    assert_eq!(each_agreement(&mut bench, A, entry(id, 1, 5, [50, 50])), [epoch; 4]);
    let sum = Err(Error::SumMismatch { tpc: id, total: 100 });
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 5, [50, 51])), [sum; 4]);
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 5, [50, 49])), [sum; 4]);
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 5, [Balance::MAX, 101])), [sum; 4]);
    assert_eq!(each_agreement(&mut bench, S, entry(id, 0, 5, [20, 80])), [Err(Error::NotOwner(id)); 4]);
    bench.chain.now = UNTIL + 1;
    let expired = Err(Error::Expired { valid_until: UNTIL });
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 5, [20, 80])), [expired; 4]);
    bench.chain.now = UNTIL;
    bench.chain.tpcs.set(id, None);
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 5, [20, 80])), [Err(Error::UnknownTpc(id)); 4]);
}

#[test]
fn an_agreement_takes_both_signatures_of_that_very_agreement() {
    let (mut bench, id) = one();
    let last = entry(id, 0, 1, [50, 50]);
    let update = protocol::Update { entries: vec![last] };
    let wrong = bench.both(Action::Update(&update), [A, B]);
    let close = TpcClose { last, valid_until: UNTIL };
    let top_up = TpcTopUp { last, added: [1, 0], valid_until: UNTIL };
    let withdrawal = TpcWithdrawal { last, amounts: [1, 0], valid_until: UNTIL };
    let split = TpcSplit { last: vec![last], parts: vec![[50, 50]], valid_until: UNTIL };
    for (bad, signer) in [(0, A), (1, B)] {
        let spoil = |mut signatures: [protocol::Signature; 2]| {
            signatures[bad] = wrong[bad];
            signatures
        };
        let error = Err(Error::BadSignature(signer));
        let signatures = spoil(bench.both(Action::CloseTpc(&close), [A, B]));
        assert_eq!(bench.chain.call(A, |host| tpc::close_tpc(host, &close, &signatures)), error);
        let signatures = spoil(bench.both(Action::TopUpTpc(&top_up), [A, B]));
        assert_eq!(bench.chain.call(A, |host| tpc::top_up_tpc(host, &top_up, &signatures)), error);
        let signatures = spoil(bench.both(Action::WithdrawTpc(&withdrawal), [A, B]));
        assert_eq!(bench.chain.call(A, |host| tpc::withdraw_tpc(host, &withdrawal, &signatures)), error);
        let signatures = spoil(bench.both(Action::SplitTpc(&split), [A, B]));
        let answer = bench.chain.call(A, |host| tpc::split_tpc(host, &split, &signatures));
        assert_eq!(answer.map(|_| ()), Err(Error::BadSignature(signer)));
    }
}

#[test]
fn only_a_close_ends_a_dispute_and_nothing_that_is_signed_ends_a_deadline() {
    let (mut bench, id) = one();
    let last = entry(id, 0, 1, [50, 50]);
    bench.dispute(A, &[id], Resolution::Settle).unwrap();
    let disputed = Err(Error::TpcDisputed(id));
    assert_eq!(each_agreement(&mut bench, A, last), [Ok(()), disputed, disputed, disputed]);
    // Due only counts for what is good until then.
    let (mut bench, id) = one();
    let mut tpc = bench.tpc(id).unwrap();
    tpc.dispute = Some(protocol::Dispute { deadline: START - 1, then: Resolution::Settle, began_at: 0 });
    bench.chain.tpcs.set(id, Some(tpc));
    assert_eq!(each_agreement(&mut bench, A, entry(id, 0, 1, [50, 50])), [Err(Error::TpcDue(id)); 4]);
}

#[test]
fn a_top_up_takes_from_the_ledger_and_begins_an_epoch() {
    let (mut bench, id) = one();
    let (_, told) = bench.top_up(B, entry(id, 0, 3, [10, 90]), [5, 7]).unwrap();
    assert_eq!(told, [TpcToppedUp { tpc: id, epoch: 1, balances: [15, 97], added: [5, 7] }.into()]);
    let tpc = bench.tpc(id).unwrap();
    assert_eq!((tpc.order(), tpc.balances), ((1, 0), [15, 97]));
    assert_eq!((bench.ledger(A, Asset::Native), bench.ledger(B, Asset::Native)), (995, 993));
    assert_eq!(bench.ended(id, 0), None, "both owners ended it: nothing is recorded");
    let last = entry(id, 1, 1, [15, 97]);
    assert_eq!(bench.top_up(A, last, [0, 0]), Err(Error::ZeroAmount));
    assert_eq!(bench.top_up(A, last, [Balance::MAX, 0]), Err(Error::Overflow));
    assert_eq!(bench.top_up(A, last, [Balance::MAX - 15, 0]), Err(Error::Overflow), "the sum does not fit");
    assert_eq!(bench.top_up(A, last, [Balance::MAX, 1]), Err(Error::Overflow));
    let poor = Err(Error::InsufficientLedger { account: B, available: 993 });
    assert_eq!(bench.top_up(A, last, [0, 994]), poor);
    bench.top_up(A, last, [0, 993]).unwrap();
    assert_eq!(bench.ledger(B, Asset::Native), 0);
}

#[test]
fn a_withdrawal_pays_out_and_begins_an_epoch() {
    let (mut bench, id) = one();
    bench.chain.closed_accounts.push(B);
    let (_, told) = bench.withdraw(B, entry(id, 0, 3, [10, 90]), [10, 20]).unwrap();
    let credited = [false, true];
    assert_eq!(told, [TpcWithdrawn { tpc: id, epoch: 1, balances: [0, 70], amounts: [10, 20], credited }.into()]);
    let tpc = bench.tpc(id).unwrap();
    assert_eq!((tpc.order(), tpc.balances), ((1, 0), [0, 70]));
    assert_eq!((bench.paid(A), bench.paid(B), bench.ledger(B, Asset::Native)), (10, 0, 1_020));
    assert_eq!(bench.ended(id, 0), None);
    let last = entry(id, 1, 1, [30, 40]);
    assert_eq!(bench.withdraw(A, last, [0, 0]), Err(Error::ZeroAmount));
    assert_eq!(bench.withdraw(A, last, [31, 0]), Err(Error::Overflow));
    assert_eq!(bench.withdraw(A, last, [0, 41]), Err(Error::Overflow));
}

#[test]
fn a_new_epoch_begins_at_version_0_whatever_the_last_one_was_at() {
    for act in [
        |bench: &mut Bench, last| bench.top_up(A, last, [10, 0]).map(|_| ()),
        |bench: &mut Bench, last| bench.withdraw(A, last, [0, 10]).map(|_| ()),
        |bench: &mut Bench, last: protocol::Entry| bench.split(A, &[last], &[[45, 45], [5, 5]]).map(|_| ()),
    ] {
        let (mut bench, id) = one();
        bench.update(&[entry(id, 0, 7, [50, 50])]).unwrap();
        act(&mut bench, entry(id, 0, 8, [50, 50])).unwrap();
        let tpc = bench.tpc(id).unwrap();
        assert_eq!(tpc.order(), (1, 0));
        assert_eq!(bench.update(&[entry(id, 1, 1, tpc.balances)]).unwrap().0, 1);
        assert_eq!(bench.order(id), (1, 1));
    }
}

#[test]
fn the_last_epoch_can_only_be_closed_or_settled() {
    let (mut bench, id) = one();
    let tpc = Tpc { epoch: Epoch::MAX, ..bench.tpc(id).unwrap() };
    bench.chain.tpcs.set(id, Some(tpc));
    let last = entry(id, Epoch::MAX, 1, [60, 40]);
    let over = Err(Error::Overflow);
    assert_eq!(each_agreement(&mut bench, A, last), [Ok(()), over, over, over]);
    assert_eq!(bench.dispute(A, &[id], Resolution::Renew), Err(Error::Overflow));
    bench.dispute(A, &[id], Resolution::Settle).unwrap();
}

#[test]
fn tokens_are_paid_to_the_ledger() {
    let mut bench = Bench::new();
    let id = bench.open_with([A, B], 0, PSP22);
    let (_, told) = bench.withdraw(A, entry(id, 0, 1, [10, 90]), [10, 0]).unwrap();
    let credited = [true, false];
    assert_eq!(told, [TpcWithdrawn { tpc: id, epoch: 1, balances: [0, 90], amounts: [10, 0], credited }.into()]);
    assert_eq!((bench.ledger(A, PSP22), bench.ledger(B, PSP22)), (1_010, 1_000));
    bench.top_up(A, entry(id, 1, 1, [0, 90]), [1_010, 0]).unwrap();
    assert_eq!((bench.ledger(A, PSP22), bench.ledger(A, Asset::Native)), (0, 1_000));
    bench.close(A, entry(id, 2, 1, [1_000, 100])).unwrap();
    assert_eq!((bench.ledger(A, PSP22), bench.ledger(B, PSP22)), (1_000, 1_100));
    assert_eq!((bench.paid(A), bench.paid(B)), (0, 0));
}

#[test]
fn a_pay_out_that_does_not_fit_a_ledger_is_refused_whole() {
    for rich in [A, B] {
        let mut bench = Bench::new();
        let id = bench.open_with([A, B], 0, PSP22);
        bench.chain.ledger.set((rich, PSP22), Some(Balance::MAX));
        assert_eq!(bench.close(A, entry(id, 0, 1, [60, 40])), Err(Error::Overflow));
        // The one whose ledger is full can still give everything away.
        bench.close(A, entry(id, 0, 1, if rich == A { [0, 100] } else { [100, 0] })).unwrap();
    }
}

#[test]
fn a_split_makes_channels_of_the_same_owners_and_sum() {
    let (mut bench, id) = one();
    let (ids, told) = bench.split(B, &[entry(id, 0, 7, [70, 30])], &[[20, 10], [0, 15], [55, 0]]).unwrap();
    let owners = bench.owners[&id];
    let part = |index| Owners { origin: Origin::Split { first: id, epoch: 0, index }, ..owners };
    let host = Call::new(&bench.chain, S);
    assert_eq!(ids, [id, part(1).tpc(&host), part(2).tpc(&host)]);
    let parts = vec![(ids[0], [20, 10]), (ids[1], [0, 15]), (ids[2], [55, 0])];
    assert_eq!(told, [event::TpcSplit { from: vec![id], epoch: 1, parts }.into()]);
    let fresh = Tpc { owners, balances: [20, 10], epoch: 1, version: 0, dispute: None, mpc: None, registrations: 0 };
    assert_eq!(bench.tpc(ids[0]), Some(fresh));
    assert_eq!(bench.tpc(ids[1]), Some(Tpc { owners: part(1), balances: [0, 15], epoch: 0, ..fresh }));
    assert_eq!(bench.tpc(ids[2]), Some(Tpc { owners: part(2), balances: [55, 0], epoch: 0, ..fresh }));
    assert_eq!(bench.chain.items(), Items { ledger: 8, tpcs: 3, ..Items::default() });
    // The next epoch's split makes other channels: ids never come back.
    let (again, _) = bench.split(A, &[entry(id, 1, 1, [30, 0])], &[[15, 0], [15, 0]]).unwrap();
    assert!(!ids.contains(&again[1]));
    // Parts are channels like any other, and they merge.
    for (id, index) in [(ids[1], 1), (ids[2], 2)] {
        bench.owners.insert(id, part(index));
    }
    let last = [entry(ids[2], 0, 1, [50, 5]), entry(ids[1], 0, 4, [0, 15])];
    let (merged, told) = bench.split(A, &last, &[[50, 20]]).unwrap();
    assert_eq!(merged, [ids[2]]);
    let parts = vec![(ids[2], [50, 20])];
    assert_eq!(told, [event::TpcSplit { from: vec![ids[2], ids[1]], epoch: 1, parts }.into()]);
    assert_eq!((bench.tpc(ids[1]), bench.order(ids[2])), (None, (1, 0)));
    assert_eq!(bench.ended(ids[1], 0), None);
    assert_eq!(bench.chain.owed(Asset::Native), 4_100);
}

#[test]
fn a_split_is_refused_for_each_thing_that_is_wrong() {
    let (mut bench, id) = one();
    let other = bench.open([A, B], 1);
    let foreign = bench.open([A, C], 0);
    let token = bench.open_with([A, B], 2, PSP22);
    let last = |tpc| entry(tpc, 0, 1, [60, 40]);
    let mut refuse = |last: &[_], parts: &[_], error| {
        assert_eq!(bench.split(A, last, parts).map(|_| ()), Err(error), "{last:?} {parts:?}");
    };
    let all = [[60, 40]];
    refuse(&[], &all, Error::BadParts);
    refuse(&[last(id)], &[], Error::BadParts);
    refuse(&[last(id), last(id)], &[[120, 80]], Error::BadParts);
    refuse(&[last(id), last(other), last(id)], &[[180, 120]], Error::BadParts);
    refuse(&[last(id); MAX_PARTS + 1], &all, Error::BadParts);
    refuse(&[last(id)], &[[6, 4]; MAX_PARTS + 1], Error::BadParts);
    refuse(&[last(id), last(foreign)], &[[120, 80]], Error::NotAlike(foreign));
    refuse(&[last(id), last(token)], &[[120, 80]], Error::NotAlike(token));
    refuse(&[last(id)], &[[60, 39]], Error::SumMismatch { tpc: id, total: 100 });
    refuse(&[last(id)], &[[60, 41]], Error::SumMismatch { tpc: id, total: 100 });
    refuse(&[last(id)], &[[60, 40], [0, 0]], Error::ZeroAmount);
    refuse(&[last(id)], &[[Balance::MAX, 1]], Error::Overflow);
    refuse(&[last(id)], &[[Balance::MAX, 0], [101, 0]], Error::Overflow);
    refuse(&[last(id), entry(other, 0, 0, [60, 40])], &[[120, 80]], Error::StaleVersion { tpc: other, stored: 0 });
    refuse(&[last(id), entry(other, 1, 1, [60, 40])], &[[120, 80]], Error::WrongEpoch { tpc: other, stored: 0 });
    refuse(&[last(id), entry(other, 0, 1, [60, 41])], &[[120, 81]], Error::SumMismatch { tpc: other, total: 100 });
}

#[test]
fn a_split_takes_and_makes_sixteen() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..MAX_PARTS).map(|nonce| bench.open([A, B], nonce as u64)).collect();
    let last: Vec<_> = ids.iter().map(|id| entry(*id, 0, 1, [60, 40])).collect();
    let (parts, _) = bench.split(A, &last, &[[100, 0]; MAX_PARTS]).unwrap();
    assert_eq!(parts.len(), MAX_PARTS);
    assert_eq!(bench.chain.items().tpcs, MAX_PARTS as u32);
    assert!(parts.iter().skip(1).all(|id| !ids.contains(id)));
}

#[test]
fn a_split_of_renewed_channels_writes_the_renewals() {
    let (mut bench, id) = one();
    let other = bench.open([A, B], 1);
    bench.dispute(A, &[id, other], Resolution::Renew).unwrap();
    bench.update(&[entry(id, 0, 5, [50, 50]), entry(other, 0, 6, [50, 50])]).unwrap();
    bench.chain.now += WINDOW + 1;
    let last = vec![entry(id, 1, 1, [50, 50]), entry(other, 1, 1, [50, 50])];
    let split = TpcSplit { last, parts: vec![[100, 100]], valid_until: FAR };
    let signatures = bench.both(Action::SplitTpc(&split), [A, B]);
    bench.chain.call(A, |host| tpc::split_tpc(host, &split, &signatures)).unwrap();
    assert_eq!((bench.ended(id, 0), bench.ended(other, 0)), (Some(5), Some(6)));
    assert_eq!((bench.order(id), bench.tpc(other)), ((2, 0), None));
}
