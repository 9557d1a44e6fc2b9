//! What agreements do to updates and to each other: why an honest party signs them by rule S3.

use crate::bench::*;
use crate::common::{entry, Call};
use protocol::{
    contract::{mpc, tpc},
    Action, Error, MpcCreation, SignedUpdate, TpcId, TpcTopUp,
};

/// Two channels of A and B, and an update of both that B withholds, by which A gets 20 more.
fn withheld() -> (Bench, [TpcId; 2], SignedUpdate) {
    let mut bench = Bench::new();
    let ids = [bench.open([A, B], 0), bench.open([A, B], 1)];
    let update = bench.signed(&[entry(ids[0], 0, 1, [100, 0]), entry(ids[1], 0, 1, [40, 60])]);
    (bench, ids, update)
}

fn of_a(bench: &Bench, ids: &[TpcId]) -> u128 {
    ids.iter().filter_map(|id| bench.tpc(*id)).map(|tpc| tpc.balances[0]).sum()
}

#[test]
fn an_agreement_over_a_part_of_an_update_in_flight_makes_it_count_in_part() {
    let (mut bench, [c0, c1], update) = withheld();
    let whole = {
        let mut bench = Bench { chain: bench.chain.clone(), owners: bench.owners.clone() };
        bench.publish(&update).unwrap();
        of_a(&bench, &[c0, c1])
    };
    bench.top_up(B, entry(c0, 0, 2, [60, 40]), [0, 1]).unwrap();
    assert_eq!(bench.publish(&update).unwrap().0, 1, "it is passed over in one channel");
    assert_eq!((whole, of_a(&bench, &[c0, c1])), (140, 100), "A has 120 without the update");
}

#[test]
fn an_agreement_over_all_channels_of_an_update_in_flight_leaves_it_whole() {
    let merge = |bench: &mut Bench, [c0, c1]: [TpcId; 2]| {
        let last = [entry(c0, 0, 2, [60, 40]), entry(c1, 0, 2, [60, 40])];
        bench.split(A, &last, &[[120, 80]]).map(|_| ())
    };
    let (mut bench, ids, update) = withheld();
    merge(&mut bench, ids).unwrap();
    assert_eq!(bench.publish(&update), Err(Error::NothingNewer));
    assert_eq!(of_a(&bench, &ids), 120);
    // Its last states are above the update's, so that the update cannot stop it.
    let (mut bench, ids, update) = withheld();
    assert_eq!(bench.publish(&update).unwrap().0, 2);
    merge(&mut bench, ids).unwrap();
    assert_eq!(of_a(&bench, &ids), 120);
}

#[test]
fn an_update_counts_beside_a_registration_whichever_comes_first() {
    for registered_first in [true, false] {
        let (mut bench, ids, update) = withheld();
        let creation = MpcCreation { members: bench.members(&ids), valid_until: UNTIL };
        let signatures = bench.sign(Action::CreateMpc(&creation), &[A, B]);
        let register = |bench: &mut Bench| bench.chain.call(S, |host| mpc::create_mpc(host, &creation, &signatures));
        if registered_first {
            register(&mut bench).unwrap();
        }
        assert_eq!(bench.publish(&update).unwrap().0, 2);
        if !registered_first {
            register(&mut bench).unwrap();
        }
        assert_eq!(of_a(&bench, &ids), 140);
    }
}

#[test]
fn of_two_agreements_that_end_the_same_epoch_either_counts_and_then_the_other_never() {
    for first in [0, 1] {
        let (mut bench, [c0, _], _) = withheld();
        let agreements = [2, 3].map(|version| {
            let top_up = TpcTopUp { last: entry(c0, 0, version, [60, 40]), added: [0, 1], valid_until: FAR };
            (top_up, bench.both(Action::TopUpTpc(&top_up), [A, B]))
        });
        let bring = |bench: &mut Bench, index: usize| {
            let (top_up, signatures) = &agreements[index];
            bench.chain.call(A, |host: &mut Call| tpc::top_up_tpc(host, top_up, signatures)).map(|_| ())
        };
        assert_eq!(bring(&mut bench, first), Ok(()));
        for again in [first, 1 - first] {
            assert_eq!(bring(&mut bench, again), Err(Error::WrongEpoch { tpc: c0, stored: 1 }));
        }
    }
}
