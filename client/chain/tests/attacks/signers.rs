//! Somebody acts whose action it is not.

use super::*;

#[test]
fn eve_signs_in_bobs_place_for_a_channel_and_nothing_moves() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    w.forged = Some(BOB);
    let bad = Err(Error::BadSignature(w.account(BOB)));
    let create = w.creation([ANN, BOB], units([1, 1]), MIN_WINDOW);
    assert_eq!(w.send(ANN, &create), bad);
    assert_eq!(w.bring(&w.update(&[next(ab, [8, 0])])), bad);
    let close = w.close(next(ab, [8, 0]));
    assert_eq!(w.send(ANN, &close), bad);
    let top_up = w.top_up(next(ab, [8, 0]), [4, 4]);
    assert_eq!(w.send(ANN, &top_up), bad);
    let withdrawal = w.withdrawal(next(ab, [8, 0]), units([2, 0]));
    assert_eq!(w.send(ANN, &withdrawal), bad);
    let (split, _) = w.split(&[next(ab, [8, 0])], [[4, 0], [4, 0]]);
    assert_eq!(w.send(ANN, &split), bad);
    w.forged = None;
    let CloseTpc { close, signatures: [ann, bob] } = w.close(next(ab, [8, 0]));
    let swapped = CloseTpc { close, signatures: [bob, ann] };
    assert_eq!(w.send(ANN, &swapped), Err(Error::BadSignature(w.account(ANN))));
    assert_eq!(w.state([ab]), [ab]);
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS - 4 * UNIT; 2]);
}

#[test]
fn eve_signs_in_bobs_place_for_a_group_and_nothing_moves() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, _] = trio;
    let mpc = w.group(&trio);
    let outside = w.open([ANN, BOB]);
    w.forged = Some(BOB);
    let bad = Err(Error::BadSignature(w.account(BOB)));
    let registration = w.registration(&[outside]);
    assert_eq!(w.bring(&registration), bad);
    let join = w.join(mpc, ab, &[outside]);
    assert_eq!(w.bring(&join), bad);
    assert_eq!(w.bring(&w.update(&[next(ab, [8, 0]), next(bc, [0, 8])])), bad);
    let close = w.unregistration(mpc, &trio);
    assert_eq!(w.send(ANN, &close), bad);
    let leave = w.leave(mpc, &[ab, bc]);
    assert_eq!(w.send(ANN, &leave), bad);
    assert_eq!(w.state(trio), trio);
    assert_eq!(w.size(mpc), Some(3));
}

#[test]
fn an_update_needs_exactly_the_owners_of_the_channels_it_names() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, _] = trio;
    let update = w.update(&[next(ab, [3, 5])]);
    let without_bob = UpdateChannels { signatures: update.signatures[..1].to_vec(), ..update.clone() };
    assert_eq!(w.bring(&without_bob), Err(Error::MissingSignature(w.account(BOB))));
    let without_any = UpdateChannels { signatures: vec![], ..update.clone() };
    assert_eq!(w.bring(&without_any), Err(Error::MissingSignature(w.account(ANN))));
    let signatures = w.bench.sign_all([ANN, BOB, EVE], Action::Update(&update.update));
    let with_eve = UpdateChannels { signatures, ..update.clone() };
    assert_eq!(w.bring(&with_eve), Err(Error::ForeignSignature(w.account(EVE))));
    let twice = UpdateChannels { signatures: vec![update.signatures[0]; 2], ..update.clone() };
    assert_eq!(w.bring(&twice), Err(Error::SignaturesNotSorted));
    // What Ann and Bob signed for their channel does not count in a longer update.
    let UpdateChannels { update: longer, owners, .. } = w.update(&[next(ab, [3, 5]), next(bc, [0, 8])]);
    let stretched = UpdateChannels { update: longer.clone(), owners: owners.clone(), signatures: update.signatures };
    assert_eq!(w.bring(&stretched), Err(Error::MissingSignature(w.account(CLEO))));
    let cleo = w.all(&[bc], Action::Update(&longer)).pop().unwrap();
    let signatures = [stretched.signatures, vec![cleo]].concat();
    let mixed = UpdateChannels { update: longer, owners, signatures };
    assert_eq!(w.bring(&mixed), Err(Error::BadSignature(w.account(ANN))));
    assert_eq!(w.state(trio), trio);
}

#[test]
fn a_stranger_with_a_stolen_state_starts_no_clock() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    w.bring(&w.update(&[next(ab, [8, 0])])).unwrap();
    for then in [Settle, Renew] {
        assert_eq!(w.dispute(EVE, ab, then).map(drop), not_owner(ab));
    }
    assert_eq!(w.settle(EVE, ab), Err(Error::TpcNotDisputed(ab.tpc)));
    assert_eq!(w.bring(&w.update(&[next(next(ab, [8, 0]), [3, 5])])), Ok(()), "and the newer state still counts");
}

/// Whoever deletes something collects the deposits for it: of a copied agreement nobody else may make use.
#[test]
fn a_stranger_with_a_copied_agreement_makes_no_use_of_it() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let create = w.creation([ANN, BOB], units([1, 1]), MIN_WINDOW);
    let created = Entry { tpc: create.creation.id(&Native), ..ab };
    let close = w.close(next(ab, [4, 4]));
    let top_up = w.top_up(next(ab, [4, 4]), [1, 1]);
    let withdrawal = w.withdrawal(next(ab, [4, 4]), units([1, 1]));
    let (split, _) = w.split(&[next(ab, [4, 4])], [[2, 2], [2, 2]]);
    // Cleo owns no channel of these either; Dan owns nothing.
    for stranger in [CLEO, DAN, EVE] {
        assert_eq!(w.send(stranger, &create), not_owner(created));
        assert_eq!(w.send(stranger, &close), not_owner(ab));
        assert_eq!(w.send(stranger, &top_up), not_owner(ab));
        assert_eq!(w.send(stranger, &withdrawal), not_owner(ab));
        assert_eq!(w.send(stranger, &split), not_owner(ab));
    }
    let mpc = w.group(&[ab, bc]);
    let first = if ab.tpc < bc.tpc { ab } else { bc };
    let (leave, close_mpc) = (w.leave(mpc, &[ab, bc]), w.unregistration(mpc, &[ab, bc]));
    for stranger in [DAN, EVE] {
        assert_eq!(w.send(stranger, &leave), not_owner(first));
        assert_eq!(w.send(stranger, &close_mpc), not_owner(first));
    }
    assert_eq!(w.send(CLEO, &close_mpc), Ok(()), "the owner of any channel named may");
    assert_eq!(w.state([ab, bc, ac]), trio);
}

#[test]
fn a_split_does_not_take_channels_of_others_along() {
    let mut w = world();
    let [ab, bc, ac] = w.trio();
    // Ann owns both, and Bob and Cleo would be asked for nothing.
    let (split, _) = w.split(&[next(ab, [4, 4]), next(ac, [4, 4])], [[8, 8]]);
    assert_eq!(w.send(ANN, &split), Err(Error::NotAlike(ac.tpc)));
    let (split, _) = w.split(&[next(ab, [4, 4]), next(bc, [4, 4])], [[8, 8]]);
    assert_eq!(w.send(ANN, &split), not_owner(bc));
    assert_eq!(w.send(BOB, &split), Err(Error::NotAlike(bc.tpc)));
}

#[test]
fn a_stranger_joins_no_group_uninvited() {
    let mut w = world();
    let trio = w.trio();
    let [ab, ..] = trio;
    let mpc = w.group(&trio);
    let (first, second) = (w.open([DAN, EVE]), w.open([DAN, EVE]));
    w.group(&[first]);
    let join = w.join(mpc, ab, &[second]);
    assert_eq!(w.bring(&join), Err(Error::Uninvited(ab.tpc)));
    for outside in [first, second] {
        let by_own = w.join(mpc, outside, &[second]);
        assert_eq!(w.bring(&by_own), Err(Error::NotMember(outside.tpc)));
    }
    // A member's name among the signers is no invitation where the member owns nothing that joins.
    let ann = PartySignature { party: w.account(ANN), signature: w.bench.sign(EVE, Action::JoinMpc(&join.join)) };
    let signatures = [vec![ann], join.signatures.clone()].concat();
    assert_eq!(w.bring(&JoinMpc { signatures, ..join }), Err(Error::ForeignSignature(w.account(ANN))));
    assert_eq!(w.size(mpc), Some(3));
    let guest = w.open([ANN, DAN]);
    let invited = w.join(mpc, ab, &[guest]);
    assert_eq!(w.bring(&invited), Ok(()));
    assert_eq!(w.size(mpc), Some(4));
}

#[test]
fn no_signature_passes_for_that_of_another_action() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let last = next(ab, [7, 1]);
    let of_update = w.both(ab.tpc, Action::Update(&Update { entries: vec![last] }));
    let of_close = w.close(last);
    let bad = Err(Error::BadSignature(w.account(ANN)));
    assert_eq!(w.send(ANN, &CloseTpc { signatures: of_update, ..of_close.clone() }), bad);
    let top_up = w.top_up(last, [1, 1]);
    assert_eq!(w.send(ANN, &TopUpTpc { signatures: of_close.signatures, ..top_up.clone() }), bad);
    // The two have the same fields.
    let withdrawal = TpcWithdrawal { last, amounts: top_up.top_up.added, valid_until: top_up.top_up.valid_until };
    assert_eq!(w.send(ANN, &WithdrawTpc { withdrawal, signatures: top_up.signatures }), bad);
    let [ann, bob] = of_close.signatures;
    let signed = |user, signature| PartySignature { party: w.account(user), signature };
    let signatures = vec![signed(ANN, ann), signed(BOB, bob)];
    assert_eq!(w.bring(&UpdateChannels { signatures, ..w.update(&[last]) }), bad);
    let mpc = w.group(&[ab]);
    let leave = w.leave(mpc, &[ab]);
    // So have these.
    let MpcLeave { members, valid_until, .. } = leave.leave.clone();
    let close = CloseMpc { close: MpcClose { mpc, members, valid_until }, signatures: leave.signatures.clone() };
    assert_eq!(w.send(ANN, &close), bad);
    assert_eq!(w.send(ANN, &leave), Ok(()));
}
