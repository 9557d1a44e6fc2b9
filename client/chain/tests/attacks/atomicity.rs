//! Updates of many channels, of which an attacker wants some to count (rules U1 to U8).

use super::*;

/// Ann-Bob, Bob-Cleo and Ann-Cleo, and an update of all three that somebody withholds.
fn withheld(w: &mut World) -> ([Entry; 3], [Entry; 3], UpdateChannels) {
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    let paid = [next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])];
    (trio, paid, w.update(&paid))
}

#[test]
fn an_update_withheld_until_the_last_millisecond_counts_for_all_channels() {
    for then in [Settle, Renew] {
        let mut w = world();
        let (trio, paid, withheld) = withheld(&mut w);
        let [ab, ..] = trio;
        let deadline = w.dispute(ANN, ab, then).unwrap();
        w.at(deadline);
        w.bring(&withheld).unwrap();
        assert_eq!(w.bench.chain.time(), deadline);
        assert_eq!(w.state(trio), paid);
        w.pass(deadline);
        let after = match then {
            Renew => Some(Entry { balances: paid[0].balances, ..later(ab) }),
            Settle => {
                assert_eq!(w.paid(|w| w.settle(ANN, ab).unwrap()), [(ANN, 3 * UNIT), (BOB, 5 * UNIT)]);
                None
            }
        };
        assert_eq!(w.stored(ab.tpc).map(|tpc| tpc.entry(ab.tpc)), after);
        assert_eq!(w.ended(ab), Some(1));
    }
}

#[test]
fn an_update_withheld_one_millisecond_longer_counts_for_none_for_ever() {
    for then in [Settle, Renew] {
        let mut w = world();
        let (trio, paid, withheld) = withheld(&mut w);
        let [ab, bc, ac] = trio;
        let deadline = w.dispute(ANN, ab, then).unwrap();
        w.pass(deadline);
        assert_eq!(w.bench.chain.time(), deadline + 1);
        if then == Settle {
            // A channel that is due refuses newer states (U5).
            assert_eq!(w.bring(&withheld), due(ab));
            w.settle(ANN, ab).unwrap();
        }
        // From then on it is the record that refuses (U7), also after the renewal is written.
        assert_eq!(w.bring(&withheld), void(ab, 0));
        assert_eq!(w.state([bc, ac]), [bc, ac]);
        if then == Renew {
            w.bring(&w.update(&[next(later(ab), [2, 6])])).unwrap();
            w.end(ab, Settle);
            assert_eq!(w.bring(&withheld), void(ab, 0), "nor does a later end of the channel change it");
        }
        // Whose owners have disputed nothing carry on, and it does not come back to them either.
        w.bring(&w.update(&[Entry { version: 9, ..paid[1] }])).unwrap();
        assert_eq!(w.bring(&withheld), void(ab, 0));
        w.close_all([bc]);
        assert_eq!(w.bring(&withheld), void(ab, 0));
        assert_eq!(w.state([ac]), [ac]);
    }
}

#[test]
fn an_update_is_no_answer_to_one_dispute_while_another_of_its_channels_is_due() {
    let mut w = world();
    let ([ab, bc, ac], _, withheld) = withheld(&mut w);
    let first = w.dispute(ANN, ab, Settle).unwrap();
    let second = w.dispute(CLEO, bc, Settle).unwrap();
    assert!(first < second);
    w.pass(first);
    assert_eq!(w.bring(&withheld), due(ab));
    w.pass(second);
    assert_eq!(w.bring(&withheld), w.fork().bring(&withheld));
    assert_eq!(w.state([ab, bc, ac]), [ab, bc, ac]);
}

#[test]
fn a_channel_that_is_passed_over_and_deleted_just_before_stops_no_update() {
    let mut w = world();
    let (trio, paid, in_flight) = withheld(&mut w);
    let [ab, bc, ac] = trio;
    let ended_together = w.close(next(bc, [4, 4]));
    for deletes_first in [false, true] {
        let mut w = w.fork();
        if deletes_first {
            w.send(BOB, &ended_together).unwrap();
            assert_eq!(w.stored(bc.tpc), None);
        }
        // The very bytes that were ready before.
        w.bring(&in_flight).unwrap();
        assert_eq!(w.state([ab, ac]), [paid[0], paid[2]]);
        assert_eq!(w.bring(&in_flight), Err(Error::NothingNewer));
    }
}

#[test]
fn an_update_needs_the_signatures_of_those_it_passes_over() {
    let mut w = world();
    let (_, paid, in_flight) = withheld(&mut w);
    let [ab, bc, _] = paid;
    w.close_all([bc]);
    // Ann and Bob would be enough for what is left of it.
    let update = w.update(&[ab, bc]);
    let without_cleo = UpdateChannels { signatures: update.signatures[..2].to_vec(), ..update };
    assert_eq!(w.bring(&without_cleo), Err(Error::MissingSignature(w.account(CLEO))));
    w.forged = Some(CLEO);
    assert_eq!(w.bring(&w.update(&paid)), Err(Error::BadSignature(w.account(CLEO))));
    w.forged = None;
    assert_eq!(w.bring(&in_flight), Ok(()));
}

#[test]
fn an_update_is_refused_with_no_proof_of_its_owners_or_a_wrong_one() {
    let mut w = world();
    let (trio, paid, in_flight) = withheld(&mut w);
    let [ab, bc, _] = trio;
    for closed in [false, true] {
        if closed {
            w.close_all([bc]);
        }
        let right = in_flight.owners.clone();
        let at = in_flight.update.entries.iter().position(|entry| entry.tpc == bc.tpc).unwrap();
        let of_bc = right[at];
        let wrong = [
            w.owners(ab),
            Owners { window: MIN_WINDOW + 1, ..of_bc },
            Owners { asset: Asset::Psp22(w.account(EVE)), ..of_bc },
            Owners { origin: Origin::Creation(1), ..of_bc },
            Owners { origin: Origin::Split { first: bc.tpc, epoch: 0, index: 1 }, ..of_bc },
            Owners { parties: [w.account(ANN), w.account(BOB)], ..of_bc },
            Owners { parties: [of_bc.parties[1], of_bc.parties[0]], ..of_bc },
        ];
        for wrong in wrong {
            let mut owners = right.clone();
            owners[at] = wrong;
            assert_eq!(w.bring(&UpdateChannels { owners, ..in_flight.clone() }), Err(Error::WrongOwners(bc.tpc)));
        }
        let too_many = [right.clone(), vec![of_bc]].concat();
        for owners in [vec![], right[..2].to_vec(), too_many] {
            assert_eq!(w.bring(&UpdateChannels { owners, ..in_flight.clone() }), Err(Error::OwnersMissing));
        }
    }
    assert_eq!(w.state([trio[0], trio[2]]), [trio[0], trio[2]]);
    w.bring(&in_flight).unwrap();
    assert_eq!(w.state([trio[0], trio[2]]), [paid[0], paid[2]]);
}

#[test]
fn a_channel_twice_in_an_update_moves_nothing() {
    let mut w = world();
    let ab = w.open([ANN, BOB]);
    let (one, two) = (next(ab, [8, 0]), next(next(ab, [8, 0]), [0, 8]));
    for entries in [[one, one], [one, two], [two, one]] {
        let update = Update { entries: entries.to_vec() };
        let signatures = w.all(&[ab], Action::Update(&update));
        let twice = UpdateChannels { update, owners: vec![w.owners(ab); 2], signatures };
        assert_eq!(w.bring(&twice), Err(Error::ChannelsNotSorted));
    }
    assert_eq!(w.state([ab]), [ab]);
}

/// The contract passes over what its owners have closed (U7): nobody signs an update beside a close (S3).
#[test]
fn a_close_signed_beside_an_update_takes_its_channel_out_of_it() {
    let mut w = world();
    let (ab, bc) = (w.open([ANN, BOB]), w.open([BOB, CLEO]));
    let close = w.close(next(ab, [4, 4]));
    let update = w.update(&[next(ab, [0, 8]), next(bc, [0, 8])]);
    let mut late = w.fork();
    assert_eq!(w.paid(|w| w.send(BOB, &close).unwrap()), [(ANN, 4 * UNIT), (BOB, 4 * UNIT)]);
    w.bring(&update).unwrap();
    assert_eq!(w.state([bc]), [next(bc, [0, 8])]);
    // Where the update comes first, the close is stale: they never both count in the channel.
    late.bring(&update).unwrap();
    assert_eq!(late.send(BOB, &close), stale(ab, 1));
}

/// A replacement that a foreign channel makes void leaves what it was to replace alive (S2).
#[test]
fn a_void_replacement_brings_back_what_it_replaced() {
    let mut w = world();
    let (c, d, f) = (w.open([ANN, BOB]), w.open([BOB, CLEO]), w.open([DAN, EVE]));
    let first = w.update(&[next(c, [0, 8]), next(d, [0, 8])]);
    let over = |of: Entry| Entry { version: 2, ..next(of, [4, 4]) };
    let replacement = w.update(&[over(c), over(d), next(f, [4, 4])]);
    w.end(f, Settle);
    assert_eq!(w.bring(&replacement), void(f, 0));
    // Whoever signs on as if both were gone, in one channel, sees the first count in the other only.
    let mut built_on = w.fork();
    built_on.bring(&built_on.update(&[Entry { version: 3, ..next(c, [5, 3]) }])).unwrap();
    built_on.bring(&first).unwrap();
    assert_eq!(built_on.state([c, d]), [Entry { version: 3, ..next(c, [5, 3]) }, next(d, [0, 8])]);
    // Whoever did not loses nothing.
    w.bring(&first).unwrap();
    assert_eq!(w.state([c, d]), [next(c, [0, 8]), next(d, [0, 8])]);
}

/// After a foreign deadline an update may still be alive (S4): it is judged by the state in which the channel ended.
#[test]
fn an_update_outlives_the_end_of_a_foreign_channel_that_was_lifted_or_closed_in_time() {
    for closes in [false, true] {
        let mut w = world();
        let (c, d, f) = (w.open([ANN, BOB]), w.open([BOB, CLEO]), w.open([DAN, EVE]));
        let update = w.update(&[next(c, [0, 8]), next(d, [0, 8]), next(f, [3, 5])]);
        let deadline = w.dispute(EVE, f, Settle).unwrap();
        w.at(deadline);
        let lifted = Entry { version: 7, ..next(f, [8, 0]) };
        if closes {
            let close = w.close(lifted);
            w.send(DAN, &close).unwrap();
        } else {
            w.bring(&w.update(&[lifted])).unwrap();
        }
        assert_eq!(w.bench.chain.time(), deadline);
        w.pass(deadline);
        let mut settled = w.fork();
        w.bring(&update).unwrap();
        assert_eq!(w.state([c, d]), [next(c, [0, 8]), next(d, [0, 8])]);
        if !closes {
            // The same once it is settled, at its last version and no other (the record has an order, not a mark).
            settled.settle(EVE, f).unwrap();
            assert_eq!(settled.ended(f), Some(7));
            settled.bring(&update).unwrap();
            assert_eq!(settled.state([c, d]), [next(c, [0, 8]), next(d, [0, 8])]);
            let above = settled.update(&[Entry { version: 2, ..next(c, [0, 8]) }, Entry { version: 8, ..lifted }]);
            assert_eq!(settled.bring(&above), void(f, 7));
        }
    }
}

/// An update rests on all its channels until each has a newer state: it answers a dispute over any of them, foreign ones
/// included, or it is too late for all (S6).
#[test]
fn a_half_superseded_update_still_answers_for_its_other_channels() {
    let mut w = world();
    let (c0, c1, f) = (w.open([ANN, BOB]), w.open([ANN, BOB]), w.open([DAN, EVE]));
    let both = w.update(&[next(c0, [3, 5]), next(c1, [5, 3]), next(f, [3, 5])]);
    let newer = next(next(c0, [3, 5]), [2, 6]);
    w.bring(&w.update(&[newer])).unwrap();
    for (by, disputed) in [(BOB, c1), (DAN, f)] {
        let mut w = w.fork();
        let deadline = w.dispute(by, disputed, Settle).unwrap();
        let mut silent = w.fork();
        w.at(deadline);
        w.bring(&both).unwrap();
        assert_eq!(w.state([c0, c1, f]), [newer, next(c1, [5, 3]), next(f, [3, 5])]);
        silent.pass(deadline);
        assert_eq!(silent.bring(&both), due(disputed));
        assert_eq!(silent.state([c0, c1, f]), [newer, c1, f]);
    }
}

#[test]
fn a_channel_settled_at_or_above_its_entry_is_passed_over() {
    let mut w = world();
    let (c0, c1) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let both = w.update(&[Entry { version: 2, ..next(c0, [3, 5]) }, next(c1, [5, 3])]);
    for version in [2, 3] {
        let mut w = w.fork();
        w.bring(&w.update(&[Entry { version, ..next(c0, [2, 6]) }])).unwrap();
        w.end(c0, Settle);
        assert_eq!(w.ended(c0), Some(version));
        w.dispute(BOB, c1, Settle).unwrap();
        w.bring(&both).unwrap();
        assert_eq!(w.state([c1]), [next(c1, [5, 3])]);
    }
    w.bring(&w.update(&[next(c0, [2, 6])])).unwrap();
    w.end(c0, Settle);
    assert_eq!(w.bring(&both), void(c0, 1));
}

#[test]
fn a_channel_closed_by_its_owners_is_passed_over_also_by_an_answer_to_a_dispute() {
    let mut w = world();
    let (c0, c1) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let both = w.update(&[next(c0, [3, 5]), next(c1, [5, 3])]);
    let close = w.close(Entry { version: 2, ..next(c0, [3, 5]) });
    w.send(ANN, &close).unwrap();
    w.dispute(BOB, c1, Settle).unwrap();
    w.bring(&both).unwrap();
    assert_eq!(w.state([c1]), [next(c1, [5, 3])]);
}

#[test]
fn a_close_in_a_dispute_records_nothing_and_makes_no_update_void() {
    for (then, lifted) in [(Settle, false), (Settle, true), (Renew, false), (Renew, true)] {
        let mut w = world();
        let (c, f) = (w.open([ANN, BOB]), w.open([DAN, EVE]));
        let update = w.update(&[next(c, [3, 5]), Entry { version: 9, ..next(f, [3, 5]) }]);
        w.dispute(DAN, f, then).unwrap();
        let mut last = next(f, [8, 0]);
        if lifted {
            w.bring(&w.update(&[last])).unwrap();
            last = next(last, [8, 0]);
        }
        let close = w.close(last);
        w.send(EVE, &close).unwrap();
        assert_eq!((w.stored(f.tpc), w.ended(f)), (None, None));
        w.bring(&update).unwrap();
        assert_eq!(w.state([c]), [next(c, [3, 5])]);
    }
}

#[test]
fn nothing_revives_an_update_that_a_channel_being_due_made_void() {
    let mut w = world();
    let (c, f) = (w.open([ANN, BOB]), w.open([DAN, EVE]));
    let update = w.update(&[next(c, [3, 5]), next(f, [3, 5])]);
    let lifted = next(next(f, [8, 0]), [8, 0]);
    let (close, top_up) = (w.close(lifted), w.top_up(lifted, [1, 0]));
    let withdrawal = w.withdrawal(lifted, units([1, 0]));
    let (split, _) = w.split(&[lifted], [[4, 0], [4, 0]]);
    let above = w.update(&[lifted]);
    let deadline = w.dispute(DAN, f, Settle).unwrap();
    w.pass(deadline);
    assert_eq!(w.send(DAN, &close), due(f));
    assert_eq!(w.send(DAN, &top_up), due(f));
    assert_eq!(w.send(DAN, &withdrawal), due(f));
    assert_eq!(w.send(DAN, &split), due(f));
    assert_eq!(w.bring(&above), due(f));
    assert_eq!(w.dispute(EVE, f, Renew).map(drop), due(f));
    assert_eq!(w.bring(&update), due(f));
    w.settle(DAN, f).unwrap();
    assert_eq!(w.bring(&update), void(f, 0));
}

/// Colluders end epoch after epoch of a channel that an update names. What the update costs stays what it was (D6).
#[test]
fn ending_a_foreign_channel_again_and_again_makes_no_update_heavier() {
    let mut w = world();
    let (c, f) = (w.open([ANN, BOB]), w.open([DAN, EVE]));
    w.bring(&w.update(&[next(f, [3, 5])])).unwrap();
    let update = w.update(&[next(c, [3, 5]), next(f, [3, 5])]);
    let weight = |w: &mut World| w.fork().call(EVE, 0, &update).unwrap().receipt.weight;
    let mut weights = vec![];
    for epoch in 0..12 {
        w.end(Entry { epoch, ..f }, Renew);
        w.bring(&w.update(&[Entry { epoch: epoch + 1, version: 1, balances: units([4, 4]), ..f }])).unwrap();
        weights.push(weight(&mut w));
    }
    assert_eq!(weights, [weights[0]; 12]);
}

/// Old epochs, future epochs and wrong sums are passed over, and no top-up, withdrawal, split or renewal of the others
/// makes a refusal of it (U6, U7).
#[test]
fn no_epoch_and_no_sum_that_others_signed_lets_them_switch_an_update_off() {
    let mut w = world();
    let (c, f) = (w.open([ANN, BOB]), w.open([DAN, EVE]));
    let top_up = w.top_up(next(f, [4, 4]), [1, 0]);
    w.send(DAN, &top_up).unwrap();
    let f = Entry { balances: units([5, 4]), ..later(f) };
    let foreign = [
        ("an epoch that was", Entry { epoch: 0, version: 99, ..f }),
        ("an epoch yet to come", Entry { epoch: 3, version: 1, ..f }),
        ("a sum too small", next(f, [1, 1])),
        ("a sum too large", next(f, [9, 9])),
        ("a sum that does not fit", Entry { version: 1, balances: [Balance::MAX, 1], ..f }),
    ];
    for (kind, entry) in foreign {
        let update = w.update(&[next(c, [3, 5]), entry]);
        for switch in 0..5 {
            let mut w = w.fork();
            let last = Entry { version: 1, ..f };
            match switch {
                0 => {}
                1 => {
                    let top_up = w.top_up(last, [1, 0]);
                    w.send(DAN, &top_up).unwrap();
                }
                2 => {
                    let withdrawal = w.withdrawal(last, units([1, 0]));
                    w.send(DAN, &withdrawal).unwrap();
                }
                3 => {
                    let (split, _) = w.split(&[last], [[5, 0], [0, 4]]);
                    w.send(DAN, &split).unwrap();
                }
                _ => w.close_all([f]),
            }
            assert_eq!(w.bring(&update), Ok(()), "{kind}, {switch}");
            assert_eq!(w.state([c]), [next(c, [3, 5])]);
        }
    }
}

/// A channel that is not there yet is passed over; once it is there, its end voids what was signed above. Nobody signs
/// an entry of a channel that is not on chain (S1).
#[test]
fn a_channel_created_after_it_was_signed_counts_as_any_other() {
    let mut w = world();
    let c = w.open([ANN, BOB]);
    let create = w.creation([DAN, EVE], units([4, 4]), MIN_WINDOW);
    let f = Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: units([4, 4]) };
    let update = w.update(&[next(c, [3, 5]), next(f, [3, 5])]);
    let mut before = w.fork();
    before.bring(&update).unwrap();
    assert_eq!((before.state([c]), before.stored(f.tpc)), ([next(c, [3, 5])], None));
    w.send(DAN, &create).unwrap();
    w.end(f, Settle);
    assert_eq!(w.bring(&update), void(f, 0));
    assert_eq!(w.state([c]), [c]);
}

/// What is complete is never refused because its signers have changed their minds (lemma 3 of docs/protocol.md).
#[test]
fn nothing_that_its_signers_do_later_takes_a_signature_back() {
    let mut w = world();
    let (trio, paid, in_flight) = withheld(&mut w);
    let [ab, bc, ac] = trio;
    // Bob deals in another channel, empties his ledger, is in groups and out of them, disputes, and answers.
    w.open([BOB, DAN]);
    let left = w.ledger(BOB);
    w.send(BOB, &Withdraw { amount: left }).unwrap();
    let mpc = w.group(&[ab, bc]);
    let leave = w.leave(mpc, &[bc]);
    w.send(BOB, &leave).unwrap();
    w.dispute(BOB, ab, Renew).unwrap();
    w.dispute(BOB, bc, Settle).unwrap();
    w.bring(&in_flight).unwrap();
    assert_eq!(w.state([ab, bc, ac]), paid);
}

#[test]
fn an_id_never_comes_back_and_so_no_void_update_does() {
    let mut w = world();
    let (c, f) = (w.open([ANN, BOB]), w.open([DAN, EVE]));
    let update = w.update(&[next(c, [3, 5]), next(f, [3, 5])]);
    w.end(f, Settle);
    let again = w.open([DAN, EVE]);
    assert_ne!(again.tpc, f.tpc);
    assert_eq!(w.bring(&update), void(f, 0));
    // Nor does a part's: every split has an epoch of its own.
    let (split, [first, part]) = w.split(&[next(again, [4, 4])], [[2, 2], [2, 2]]);
    w.send(DAN, &split).unwrap();
    let of_part = w.update(&[Entry { version: 2, ..next(c, [3, 5]) }, next(part, [1, 3])]);
    w.end(part, Settle);
    let (split_again, [_, second]) = w.split(&[next(first, [2, 2])], [[1, 1], [1, 1]]);
    w.send(DAN, &split_again).unwrap();
    assert_ne!(second.tpc, part.tpc);
    assert_eq!(w.send(DAN, &split), wrong_epoch(first, 2));
    assert_eq!(w.bring(&of_part), void(part, 0));
    assert_eq!(w.state([c]), [c]);
}
