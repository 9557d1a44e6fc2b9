//! Somebody acts whose action it is not.

use super::*;

#[test]
fn eve_signs_in_bobs_place_for_a_channel_and_nothing_moves() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    w.forged = Some(BOB);
    let bad = Err(Error::BadSignature(w.account(BOB)));
    let create = w.creation([ANN, BOB], units([1, 1]), MIN_WINDOW);
    assert_eq!(w.bring(&create), bad);
    assert_eq!(w.bring(&w.update(next(ab, [8, 0]))), bad);
    let close = w.close(next(ab, [8, 0]));
    assert_eq!(w.bring(&close), bad);
    let top_up = w.top_up(Entry { balances: units([12, 4]), ..later(ab) }, units([4, 4]));
    assert_eq!(w.bring(&top_up), bad);
    let withdrawal = w.withdrawal(Entry { balances: units([2, 4]), ..later(ab) }, units([2, 0]));
    assert_eq!(w.bring(&withdrawal), bad);
    let (split, _) = w.split(ab.tpc, 1, [[4, 0], [4, 0]]);
    assert_eq!(w.bring(&split), bad);
    w.forged = None;
    let UpdateTpc { entry, signatures: [ann, bob] } = w.update(next(ab, [8, 0]));
    let swapped = UpdateTpc { entry, signatures: [bob, ann] };
    assert_eq!(w.bring(&swapped), Err(Error::BadSignature(w.account(ANN))));
    assert_eq!(w.state([ab]), [ab]);
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS - 4 * UNIT; 2]);
}

#[test]
fn eve_signs_in_bobs_place_for_a_group_and_nothing_moves() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, _] = trio;
    let outside = w.open([ANN, BOB]);
    w.forged = Some(BOB);
    let bad = Err(Error::BadSignature(w.account(BOB)));
    let braid = w.braid(&[later(outside)], MIN_WINDOW);
    assert_eq!(w.bring(&braid), bad);
    let join = w.join(mpc, ab, &[later(outside)]);
    assert_eq!(w.bring(&join), bad);
    assert_eq!(w.bring(&w.pay(mpc, &[next(ab, [8, 0]), next(bc, [0, 8])])), bad);
    let close = w.unbraid(mpc, &trio);
    assert_eq!(w.bring(&close), bad);
    let leave = w.leave(mpc, &[ab, bc]);
    assert_eq!(w.bring(&leave), bad);
    assert_eq!(w.state(trio), trio);
    assert_eq!(w.state([outside]), [outside]);
}

#[test]
fn a_groups_update_needs_exactly_the_owners_it_touches() {
    let mut w = world();
    let (mpc, trio) = w.trio();
    let [ab, bc, _] = trio;
    let update = w.pay(mpc, &[next(ab, [3, 5])]);
    let without_bob = UpdateMpc { signatures: update.signatures[..1].to_vec(), ..update.clone() };
    assert_eq!(w.bring(&without_bob), Err(Error::MissingSignature(w.account(BOB))));
    let signatures = w.bench.sign_all([ANN, BOB, EVE], Action::UpdateMpc(&update.update));
    let with_eve = UpdateMpc { signatures, ..update.clone() };
    assert_eq!(w.bring(&with_eve), Err(Error::ForeignSignature(w.account(EVE))));
    let twice = UpdateMpc { signatures: vec![update.signatures[0]; 2], ..update.clone() };
    assert_eq!(w.bring(&twice), Err(Error::SignaturesNotSorted));
    let mut entries = update.update.entries.clone();
    entries.push(next(bc, [0, 8]));
    let stretched = UpdateMpc { update: MpcUpdate { mpc, entries: sorted(&entries) }, ..update };
    assert_eq!(w.bring(&stretched), Err(Error::MissingSignature(w.account(CLEO))));
    assert_eq!(w.state(trio), trio);
}

#[test]
fn a_stranger_with_a_stolen_state_starts_no_clock() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let stolen = w.update(next(ab, [8, 0]));
    w.send(EVE, &stolen).unwrap();
    assert_eq!(w.dispute(EVE, ab), Err(Error::NotOwner(ab.tpc)));
    assert_eq!(w.settle(ab), Err(Error::TpcNotDisputed(ab.tpc)));
    assert_eq!(w.bring(&w.update(next(stolen.entry, [3, 5]))), Ok(()), "and the newer state still counts");
}

#[test]
fn a_stranger_starts_no_groups_clock_and_a_member_ends_only_channels_of_its_own() {
    let mut w = world();
    let (mpc, [ab, bc, ac]) = w.trio();
    let outside = w.open([DAN, EVE]);
    let (own_mpc, [in_own]) = w.group([outside]);
    assert_eq!(w.dispute_mpc(EVE, mpc, ab, &[]), Err(Error::NotOwner(ab.tpc)));
    assert_eq!(w.dispute_mpc(EVE, mpc, in_own, &[]), Err(Error::NotMember(in_own.tpc)));
    assert_eq!(w.dispute_mpc(ANN, mpc, ab, &[ac, bc]), Err(Error::NotOwner(bc.tpc)));
    assert_eq!(w.dispute_mpc(ANN, mpc, ab, &[in_own]), Err(Error::NotMember(in_own.tpc)));
    assert_eq!(w.bring(&SettleMpc { id: mpc }), Err(Error::MpcNotDisputed(mpc)));
    assert_eq!(w.ask(&GetMpc { id: mpc }).unwrap().deadline, None);
    assert_eq!(w.ask(&GetMpc { id: own_mpc }).unwrap().deadline, None);
    assert_eq!(w.stored(ac.tpc).unwrap().deadline, None);
}

#[test]
fn a_stranger_joins_no_group_uninvited() {
    let mut w = world();
    let (mpc, [ab, _, _]) = w.trio();
    let (first, second) = (w.open([DAN, EVE]), w.open([DAN, EVE]));
    let (_, [in_own]) = w.group([first]);
    let join = w.join(mpc, ab, &[later(second)]);
    assert_eq!(w.bring(&join), Err(Error::Uninvited(ab.tpc)));
    let by_own = w.join(mpc, in_own, &[later(second)]);
    assert_eq!(w.bring(&by_own), Err(Error::Uninvited(in_own.tpc)));
    let by_itself = w.join(mpc, second, &[later(second)]);
    assert_eq!(w.bring(&by_itself), Err(Error::Uninvited(second.tpc)));
    // A member's name among the signers is no invitation where the member owns nothing that enters.
    let ann = PartySignature { party: w.account(ANN), signature: w.bench.sign(EVE, Action::JoinMpc(&join.join)) };
    let mut signatures = join.signatures.clone();
    signatures.insert(0, ann);
    assert_eq!(w.bring(&JoinMpc { signatures, ..join }), Err(Error::ForeignSignature(w.account(ANN))));
    assert_eq!(w.ask(&GetMpc { id: mpc }).unwrap().channels, 3);
    let guest = w.open([ANN, DAN]);
    let invited = w.join(mpc, ab, &[later(guest)]);
    assert_eq!(w.bring(&invited), Ok(()));
}
