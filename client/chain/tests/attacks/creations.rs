//! Channels that should come into being as both owners have signed, or not at all.

use super::*;

#[test]
fn what_is_sent_along_is_the_callers_and_what_is_too_much_stays_in_its_ledger() {
    let mut w = world();
    for user in [ANN, BOB] {
        w.send(user, &Withdraw { amount: SAVINGS }).unwrap();
    }
    let create = w.creation([ANN, BOB], units([4, 0]), MIN_WINDOW);
    assert_eq!(w.send(ANN, &create), Err(Error::InsufficientLedger { account: w.account(ANN), available: 0 }));
    // Bob brings it, and pays nothing of what Ann puts in.
    let refused = w.call(BOB, 4 * UNIT, &create).map(drop);
    assert_eq!(refused, Err(Error::InsufficientLedger { account: w.account(ANN), available: 0 }));
    w.call(ANN, 7 * UNIT, &create).unwrap();
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [3 * UNIT, 0]);
    let create = w.creation([ANN, BOB], units([3, 5]), MIN_WINDOW);
    w.call(BOB, 5 * UNIT, &create).unwrap();
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [0, 0]);
}

#[test]
fn a_ledger_too_small_of_the_other_owner_stops_a_creation_and_keeps_nothing_of_the_callers() {
    let mut w = world();
    w.send(BOB, &Withdraw { amount: SAVINGS - UNIT }).unwrap();
    let create = w.creation([ANN, BOB], units([4, 2]), MIN_WINDOW);
    let refused = Err(Error::InsufficientLedger { account: w.account(BOB), available: UNIT });
    assert_eq!(w.call(ANN, 9 * UNIT, &create).map(drop), refused);
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS, UNIT]);
    assert_eq!(w.stored(create.creation.id(&Native)), None);
    // Nothing is used up: the same agreement counts once there is enough.
    w.call(BOB, UNIT, &create).unwrap();
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS - 4 * UNIT, 0]);
}

#[test]
fn value_sent_along_to_a_creation_that_was_made_already_is_not_kept() {
    let mut w = world();
    let create = w.creation([ANN, BOB], units([4, 4]), MIN_WINDOW);
    w.send(BOB, &create).unwrap();
    let refused = w.call(ANN, 4 * UNIT, &create).map(drop);
    assert_eq!(refused, Err(Error::WrongNonce { expected: 1 }));
    assert_eq!(w.ledger(ANN), SAVINGS - 4 * UNIT);
}

#[test]
fn a_creation_names_two_different_owners_in_order_and_an_amount_that_fits() {
    let mut w = world();
    let create = w.creation([ANN, BOB], units([1, 1]), MIN_WINDOW);
    let [ann, bob] = create.creation.parties;
    for parties in [[bob, ann], [ann, ann], [bob, bob]] {
        let creation = TpcCreation { parties, ..create.creation };
        let signatures = [ANN, BOB].map(|user| w.signature(user, Action::CreateTpc(&creation)));
        assert_eq!(w.send(ANN, &CreateTpc { creation, signatures }), Err(Error::PartiesNotSorted));
    }
    for (balances, error) in [([0, 0], Error::ZeroAmount), ([Balance::MAX, 1], Error::Overflow)] {
        let create = w.creation([ANN, BOB], balances, MIN_WINDOW);
        assert_eq!(w.send(ANN, &create), Err(error));
    }
    let create = w.creation([ANN, BOB], [Balance::MAX, 0], MIN_WINDOW);
    let available = SAVINGS;
    assert_eq!(w.send(ANN, &create), Err(Error::InsufficientLedger { account: ann, available }));
}

#[test]
fn of_two_creations_with_one_nonce_the_first_on_chain_counts() {
    let mut w = world();
    let (one, other) =
        (w.creation([ANN, BOB], units([1, 1]), MIN_WINDOW), w.creation([ANN, BOB], units([2, 2]), MIN_WINDOW + 1));
    assert_eq!(one.creation.nonce, other.creation.nonce);
    w.send(ANN, &one).unwrap();
    assert_eq!(w.send(BOB, &other), Err(Error::WrongNonce { expected: 1 }));
    let parties = one.creation.parties;
    assert_eq!(w.ask(&NextNonce { parties }), 1);
    assert_eq!(w.ask(&NextNonce { parties: [parties[1], parties[0]] }), 1, "in either order");
}
