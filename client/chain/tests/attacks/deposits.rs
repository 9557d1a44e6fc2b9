//! Storage deposits: who pays them, and who would like to collect them (rules D5, L6).

use super::*;

fn deposit_of<T: Decode>(w: &mut World, by: usize, message: &impl Message<Output = Result<T, Error>>) -> i128 {
    w.call(by, 0, message).unwrap().receipt.storage_deposit
}

/// A pair that has a nonce, and a channel of it.
fn second_channel(w: &mut World) -> (i128, Entry) {
    let first = w.open([ANN, BOB]);
    w.close_all([first]);
    let create = w.creation([ANN, BOB], units([4, 4]), MIN_WINDOW);
    let paid = deposit_of(w, ANN, &create);
    (paid, Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: units([4, 4]) })
}

/// The least and the most that may come back of a deposit, which the pallet computes as a share of all deposits.
fn about(deposit: i128) -> std::ops::RangeInclusive<i128> {
    deposit - 1_000..=deposit + 1_000
}

#[test]
fn an_owner_collects_what_the_channel_took_and_a_stranger_with_a_copied_close_does_not() {
    let mut w = world();
    let (paid, ab) = second_channel(&mut w);
    assert!(paid > 0);
    let close = w.close(next(ab, [4, 4]));
    assert_eq!(w.bring(&close), not_owner(ab));
    assert!(about(-paid).contains(&deposit_of(&mut w, BOB, &close)));
}

#[test]
fn a_stranger_settles_no_channel_before_its_owners_have_had_a_window_for_it() {
    let mut w = world();
    let (paid, ab) = second_channel(&mut w);
    let deadline = w.dispute(ANN, ab, Settle).unwrap();
    let settle = SettleChannels { channels: vec![ab.tpc] };
    assert_eq!(w.bring(&settle), Err(Error::TooEarly { after: deadline }));
    let after = deadline + MIN_WINDOW;
    let mut owner = w.fork();
    for time in [deadline + 1, after] {
        w.pass(time - 1);
        assert_eq!(w.bench.chain.time(), time);
        // A copied settlement, just before the owner's, gains nothing.
        assert_eq!(w.bring(&settle), Err(Error::TooEarly { after }));
    }
    owner.pass(deadline);
    assert!(deposit_of(&mut owner, BOB, &settle) <= 1_000 - paid);
    // After it anybody may clear up, and is paid for that.
    w.pass(after);
    assert!(deposit_of(&mut w, EVE, &settle) <= 1_000 - paid);
    assert_eq!(w.stored(ab.tpc), None);
}

#[test]
fn a_list_settles_for_a_stranger_only_what_is_a_window_old() {
    let mut w = world();
    let (old, young) = (w.open([ANN, BOB]), w.open([ANN, BOB]));
    let first = w.dispute(ANN, old, Settle).unwrap();
    w.pass(first);
    let second = w.dispute(ANN, young, Settle).unwrap();
    w.pass(second);
    assert!(second > first + MIN_WINDOW);
    let settle = SettleChannels { channels: ids(&[young, old]) };
    assert_eq!(w.call(EVE, 0, &settle).unwrap().answer, 1);
    assert_eq!(w.stored(old.tpc), None);
    assert_eq!(w.bring(&settle), Err(Error::TooEarly { after: second + MIN_WINDOW }));
    w.send(ANN, &settle).unwrap();
}

#[test]
fn whoever_disputes_pays_for_the_record_that_the_end_leaves() {
    let mut w = world();
    let (paid, ab) = second_channel(&mut w);
    for then in [Settle, Renew] {
        let mut w = w.fork();
        let items = w.usage().items;
        let disputed = deposit_of(&mut w, ANN, &DisputeChannels { channels: vec![ab.tpc], then });
        assert_eq!(w.usage().items, items + 1, "the record is stored from the beginning");
        let mut answered = w.fork();
        let answer = w.update(&[next(ab, [3, 5])]);
        assert_eq!(deposit_of(&mut answered, EVE, &answer), 0, "an answer costs nothing");
        let deadline = w.stored(ab.tpc).unwrap().dispute.unwrap().deadline;
        for mut w in [w, answered] {
            w.pass(deadline);
            match then {
                Settle => {
                    // Bob gets back what the channel took, and pays nothing for the record, whatever the last version is.
                    let settled = deposit_of(&mut w, BOB, &SettleChannels { channels: vec![ab.tpc] });
                    assert!(settled <= 1_000 - paid, "{settled}");
                    let bytes_of_the_dispute = -settled - paid;
                    assert!(bytes_of_the_dispute < disputed / 10, "what is left of {disputed} stays with the record");
                }
                Renew => {
                    // A stranger who has the renewal written frees the dispute's 17 bytes, which is less than the fee.
                    let state = w.state([ab])[0];
                    let update = w.update(&[Entry { version: 1, ..state }]);
                    let called = w.call(EVE, 0, &update).unwrap();
                    let collected = -called.receipt.storage_deposit;
                    assert!(collected >= 0 && (collected as Balance) < called.receipt.fee, "{collected}");
                }
            }
            assert_eq!(w.usage().items, if then == Settle { items } else { items + 1 });
        }
    }
}

#[test]
fn a_close_in_a_dispute_gives_the_deposit_of_the_record_back() {
    let mut w = world();
    let (paid, ab) = second_channel(&mut w);
    let items = w.usage().items;
    let disputed = deposit_of(&mut w, ANN, &DisputeChannels { channels: vec![ab.tpc], then: Settle });
    let close = w.close(next(ab, [4, 4]));
    assert!(about(-paid - disputed).contains(&deposit_of(&mut w, ANN, &close)));
    assert_eq!(w.usage().items, items - 1);
}

#[test]
fn a_stranger_who_brings_updates_collects_nothing() {
    let mut w = world();
    let trio = w.trio();
    let [ab, bc, ac] = trio;
    w.group(&trio);
    let update = w.update(&[next(ab, [3, 5]), next(bc, [3, 5]), next(ac, [5, 3])]);
    assert_eq!(deposit_of(&mut w, EVE, &update), 0);
    let updates = vec![w.signed(&[next(next(ab, [3, 5]), [2, 6])])];
    assert_eq!(deposit_of(&mut w, EVE, &UpdateAll { updates }), 0);
}

#[test]
fn whoever_registers_pays_and_an_owner_collects() {
    let mut w = world();
    let trio = w.trio();
    let create = w.registration(&trio);
    let registered = deposit_of(&mut w, EVE, &create);
    assert!(registered > 0);
    let mpc = create.creation.id(&Native, &w.bench.domain);
    let close = w.unregistration(mpc, &trio);
    assert!(w.bring(&close).is_err());
    assert!(about(-registered).contains(&deposit_of(&mut w, CLEO, &close)));
}
