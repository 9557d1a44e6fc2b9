//! The table of phases and actions, as it is documented at `check_phase`, row by row.
#![allow(clippy::unwrap_used)]

use protocol::{
    phase::{check_phase, ActionKind, Phase},
    AccountId, Asset, Dispute, Error, MpcId, Origin, Owners, Resolution, Tpc, TpcId,
};
use ActionKind::*;

const TPC: TpcId = TpcId([1; 32]);

const ALL: [ActionKind; 11] = [
    CloseTpc,
    TopUpTpc,
    WithdrawTpc,
    SplitTpc,
    Dispute(Resolution::Settle),
    Dispute(Resolution::Renew),
    Settle,
    CreateMpc,
    JoinMpc,
    LeaveMpc,
    CloseMpc,
];

fn disputed(deadline: u64, then: Resolution) -> protocol::Dispute {
    protocol::Dispute { deadline, then, began_at: 3 }
}

type Answer = Result<(), Error>;

/// The columns: absent, open, disputed to settle, disputed to renew, due, and the same if the channel is busy.
type Row = ([Answer; 5], [Answer; 5]);

#[test]
fn every_phase_and_action_has_its_answer() {
    let phases = [
        Phase::Absent,
        Phase::Open,
        Phase::Disputed(disputed(9, Resolution::Settle)),
        Phase::Disputed(disputed(9, Resolution::Renew)),
        Phase::Due,
    ];
    let (unknown, due) = (Err(Error::UnknownTpc(TPC)), Err(Error::TpcDue(TPC)));
    let (busy, disputed) = (Err(Error::TpcBusy(TPC)), Err(Error::TpcDisputed(TPC)));
    let (early, open) = (Err(Error::TooEarly { after: 9 }), Err(Error::TpcNotDisputed(TPC)));
    let admit = Ok(());
    let closing = [unknown, admit, admit, admit, due];
    let changing = [unknown, admit, disputed, disputed, due];
    let refused = [unknown, busy, busy, busy, due];
    let same = |row| (row, row);
    let rows: [(&[ActionKind], Row); 6] = [
        (&[CloseTpc], (closing, refused)),
        (&[TopUpTpc, WithdrawTpc, SplitTpc, CreateMpc, JoinMpc], (changing, refused)),
        (&[LeaveMpc, CloseMpc], same(closing)),
        (&[Dispute(Resolution::Renew)], same(changing)),
        (&[Dispute(Resolution::Settle)], same([unknown, admit, disputed, admit, due])),
        (&[Settle], same([unknown, open, early, early, admit])),
    ];
    for (actions, (free, busy)) in rows {
        for action in actions {
            for (phase, (free, busy)) in phases.into_iter().zip(free.into_iter().zip(busy)) {
                assert_eq!(check_phase(*action, phase, false, TPC), free, "{action:?} in {phase:?}");
                assert_eq!(check_phase(*action, phase, true, TPC), busy, "{action:?} in {phase:?}, busy");
            }
        }
    }
    for action in ALL {
        assert_eq!(rows.iter().filter(|(actions, _)| actions.contains(&action)).count(), 1, "{action:?}");
    }
}

fn tpc(dispute: Option<Dispute>) -> Tpc {
    let parties = [AccountId([1; 32]), AccountId([2; 32])];
    let owners = Owners { parties, window: 10_000, asset: Asset::Native, origin: Origin::Creation(0) };
    Tpc { owners, balances: [1, 1], epoch: 0, version: 4, dispute, mpc: Some(MpcId([5; 32])), registrations: 1 }
}

#[test]
fn a_channel_is_due_after_its_deadline_if_it_is_to_be_settled() {
    let settle = disputed(5, Resolution::Settle);
    assert_eq!(Phase::of(None, 5), Phase::Absent);
    assert_eq!(Phase::of(Some(&tpc(None)), 5), Phase::Open);
    assert_eq!(Phase::of(Some(&tpc(Some(settle))), 4), Phase::Disputed(settle));
    assert_eq!(Phase::of(Some(&tpc(Some(settle))), 5), Phase::Disputed(settle));
    assert_eq!(Phase::of(Some(&tpc(Some(settle))), 6), Phase::Due);
    let renew = disputed(5, Resolution::Renew);
    assert_eq!(Phase::of(Some(&tpc(Some(renew))), 5), Phase::Disputed(renew));
    // It renews itself, so it never is due.
    let (renewed, renewal) = protocol::rules::renewed(tpc(Some(renew)), 6);
    assert_eq!(Phase::of(Some(&renewed), 6), Phase::Open);
    assert_eq!((renewed.order(), renewal.unwrap().version), ((1, 0), 4));
    assert_eq!(renewed.registrations, 1);
}
