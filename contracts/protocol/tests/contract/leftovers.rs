//! What stays behind where somebody wants it to, and whose call the chain pays a deposit back to.

use crate::bench::*;
use crate::common::{entry, Token};
use codec::Encode;
use protocol::{
    contract::{ledger, mpc},
    Action, Asset, Error, Mpc, MpcClose, MpcLeave, Resolution, Tpc,
};

const PSP22: Asset = Asset::Psp22(TOKEN);

#[test]
fn a_lying_tokens_channel_stays_due_and_in_its_group_and_the_others_leave() {
    let mut bench = Bench::new();
    let honest = bench.open([A, B], 0);
    let lying = bench.open_with([B, C], 0, PSP22);
    let (group, _) = bench.register(&[honest, lying]).unwrap();
    // C's token says that C has sent this much.
    bench.chain.ledger.set((C, PSP22), None);
    bench.chain.tokens.set(TOKEN, Some((Token::SaysMore(u128::MAX), 0)));
    bench.chain.call(C, |host| ledger::deposit_psp22(host, TOKEN, 1)).unwrap();
    bench.dispute(C, &[lying], Resolution::Settle).unwrap();
    bench.chain.now += 1_000 * WINDOW;
    for caller in [B, C, S] {
        assert_eq!(bench.settle(caller, &[lying]), Err(Error::Overflow));
    }
    let close = MpcClose { mpc: group, members: bench.members(&[honest, lying]), valid_until: FAR };
    let signatures = bench.sign(Action::CloseMpc(&close), &[A, B, C]);
    let answer = bench.chain.call(B, |host| mpc::close_mpc(host, &close, &signatures));
    assert_eq!(answer, Err(Error::TpcDue(lying)));
    let leave = |bench: &mut Bench, id| {
        let leave = MpcLeave { mpc: group, members: bench.members(&[id]), valid_until: FAR };
        let signatures = bench.sign(Action::LeaveMpc(&leave), &bench.parties(id));
        bench.chain.call(B, |host| mpc::leave_mpc(host, &leave, &signatures)).map(|_| ())
    };
    assert_eq!(leave(&mut bench, lying), Err(Error::TpcDue(lying)));
    leave(&mut bench, honest).unwrap();
    assert_eq!(bench.chain.mpcs.get(group), Some(Mpc { channels: 1 }));
    bench.close_until(A, entry(honest, 0, 1, [60, 40]), FAR).unwrap();
    // C can end it.
    bench.chain.tokens.set(TOKEN, Some((Token::Honest, u128::MAX)));
    bench.chain.call(C, |host| ledger::withdraw_psp22(host, TOKEN, 40)).unwrap();
    bench.settle(B, &[lying]).unwrap();
    assert_eq!(bench.chain.mpcs.get(group), None);
}

#[test]
fn the_other_owners_call_begins_and_empties_a_ledger_entry() {
    let mut bench = Bench::new();
    bench.chain.ledger.set((B, PSP22), None);
    let id = bench.open_with([A, B], 0, PSP22);
    let entries = |bench: &Bench| bench.chain.items().ledger;
    let before = entries(&bench);
    bench.withdraw(A, entry(id, 0, 1, [60, 40]), [0, 2]).unwrap();
    assert_eq!((entries(&bench), bench.ledger(B, PSP22)), (before + 1, 2), "A pays the deposit of B's entry");
    // What is left in the ledger keeps the entry, and with it the deposit.
    bench.top_up(A, entry(id, 1, 1, [60, 38]), [0, 1]).unwrap();
    assert_eq!((entries(&bench), bench.ledger(B, PSP22)), (before + 1, 1));
    bench.top_up(A, entry(id, 2, 1, [60, 39]), [0, 1]).unwrap();
    assert_eq!((entries(&bench), bench.ledger(B, PSP22)), (before, 0), "A is paid it back");
}

#[test]
fn the_first_update_after_a_renewal_frees_the_bytes_of_the_dispute_for_whoever_brings_it() {
    let mut bench = Bench::new();
    let id = bench.open([A, B], 0);
    let stored = |bench: &Bench| bench.chain.tpcs.get(id).as_ref().map_or(0, Tpc::encoded_size);
    let open = stored(&bench);
    bench.dispute(A, &[id], Resolution::Renew).unwrap();
    bench.chain.now += WINDOW + 1;
    assert_eq!(stored(&bench), open + 17);
    bench.update(&[entry(id, 1, 1, [50, 50])]).unwrap();
    assert_eq!(stored(&bench), open);
}

#[test]
fn a_busy_channel_at_the_last_count_leaves_its_group_only_by_being_settled() {
    let mut bench = Bench::new();
    let id = bench.open([A, B], 0);
    let tpc = Tpc { registrations: u32::MAX - 1, ..bench.tpc(id).unwrap() };
    bench.chain.tpcs.set(id, Some(tpc));
    let (group, _) = bench.register(&[id]).unwrap();
    assert_eq!(bench.leave(A, group, &[id]), Err(Error::Overflow));
    assert_eq!(bench.disband(A, group, &[id]), Err(Error::Overflow));
    bench.dispute(A, &[id], Resolution::Settle).unwrap();
    bench.chain.now += WINDOW + 1;
    bench.settle(A, &[id]).unwrap();
    assert_eq!((bench.tpc(id), bench.chain.mpcs.get(group)), (None, None));
}
