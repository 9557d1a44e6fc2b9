//! The table of phases and actions: what a channel accepts, and when.

use crate::{Dispute, Error, Resolution, Timestamp, Tpc, TpcId};

/// The kinds of action that name a stored channel. Updates are judged entry by entry: [`crate::rules::judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Named as the contract's messages, which document them.
pub enum ActionKind {
    CloseTpc,
    TopUpTpc,
    WithdrawTpc,
    SplitTpc,
    Dispute(Resolution),
    Settle,
    CreateMpc,
    JoinMpc,
    LeaveMpc,
    CloseMpc,
}

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is stored of it.
    Absent,
    /// It is not disputed.
    Open,
    /// Newer states are accepted until the deadline.
    Disputed(Dispute),
    /// Its deadline has passed, and it waits to be settled.
    Due,
}

impl Phase {
    /// The phase at block time `now` of a channel as it counts then ([`crate::rules::renewed`]).
    pub fn of(tpc: Option<&Tpc>, now: Timestamp) -> Self {
        match tpc {
            None => Self::Absent,
            Some(tpc) if tpc.is_due(now) => Self::Due,
            Some(Tpc { dispute: Some(dispute), .. }) => Self::Disputed(*dispute),
            Some(Tpc { dispute: None, .. }) => Self::Open,
        }
    }
}

/// The table: refuses `action`, which names `tpc`, in `phase`, or because the channel is `busy` in a group (rule P1).
///
/// | | Absent | Open | Disputed | Due | and if busy |
/// |---|---|---|---|---|---|
/// | CloseTpc | unknown | admit | admit | due | busy |
/// | TopUpTpc, WithdrawTpc, SplitTpc, CreateMpc, JoinMpc | unknown | admit | disputed | due | busy |
/// | LeaveMpc, CloseMpc | unknown | admit | admit | due | admit |
/// | Dispute to renew | unknown | admit | disputed | due | admit |
/// | Dispute to settle | unknown | admit | admit what was to renew | due | admit |
/// | Settle | unknown | not disputed | too early | admit | admit |
///
/// A channel that waits to be settled is due for every action, also if it is busy.
pub fn check_phase(action: ActionKind, phase: Phase, busy: bool, tpc: TpcId) -> Result<(), Error> {
    use ActionKind::*;
    match (action, phase) {
        (_, Phase::Absent) => Err(Error::UnknownTpc(tpc)),
        (Settle, Phase::Open) => Err(Error::TpcNotDisputed(tpc)),
        (Settle, Phase::Disputed(dispute)) => Err(Error::TooEarly { after: dispute.deadline }),
        (Settle, Phase::Due) => Ok(()),
        (_, Phase::Due) => Err(Error::TpcDue(tpc)),
        (CloseTpc | TopUpTpc | WithdrawTpc | SplitTpc | CreateMpc | JoinMpc, _) if busy => Err(Error::TpcBusy(tpc)),
        (_, Phase::Open) | (CloseTpc | LeaveMpc | CloseMpc, Phase::Disputed(_)) => Ok(()),
        (Dispute(Resolution::Settle), Phase::Disputed(dispute)) if dispute.then == Resolution::Renew => Ok(()),
        (TopUpTpc | WithdrawTpc | SplitTpc | CreateMpc | JoinMpc | Dispute(_), Phase::Disputed(_)) => {
            Err(Error::TpcDisputed(tpc))
        }
    }
}
