//! The table of phases and actions: what a channel or a group accepts, and when.

use crate::{Error, Mpc, MpcId, Timestamp, Tpc, TpcId};

/// The kinds of action: one for each variant of [`crate::Action`], and the four that take no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Named as in `Action` and as the contract's messages, which document them.
pub enum ActionKind {
    CreateTpc,
    UpdateTpc,
    CloseTpc,
    TopUpTpc,
    WithdrawTpc,
    SplitTpc,
    DisputeTpc,
    SettleTpc,
    CreateMpc,
    UpdateMpc,
    CloseMpc,
    JoinMpc,
    LeaveMpc,
    DisputeMpc,
    SettleMpc,
}

impl ActionKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::CreateTpc,
        Self::UpdateTpc,
        Self::CloseTpc,
        Self::TopUpTpc,
        Self::WithdrawTpc,
        Self::SplitTpc,
        Self::DisputeTpc,
        Self::SettleTpc,
        Self::CreateMpc,
        Self::UpdateMpc,
        Self::CloseMpc,
        Self::JoinMpc,
        Self::LeaveMpc,
        Self::DisputeMpc,
        Self::SettleMpc,
    ];
}

/// Where a two-party channel stands towards an action that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TpcPhase {
    /// Nothing is stored of it.
    Absent,
    /// It stands alone.
    Open,
    /// It stands alone, and newer states are accepted until the deadline.
    Disputed(Timestamp),
    /// It stands alone, and its deadline has passed.
    Due,
    /// It is busy in the very multi-party channel that the action names.
    Member,
    /// It is busy in another multi-party channel, or the action names none.
    Busy,
}

impl TpcPhase {
    /// The phase at block time `now` of what is stored, for an action in the context of `mpc` (if any), which stands.
    ///
    /// `stands` tells whether another multi-party channel stands; one that does not holds no channel any more.
    pub fn of(tpc: Option<&Tpc>, mpc: Option<MpcId>, now: Timestamp, stands: impl FnOnce(MpcId) -> bool) -> Self {
        let Some(tpc) = tpc else { return Self::Absent };
        match (tpc.mpc, tpc.deadline) {
            (Some(entered), _) if mpc == Some(entered) => Self::Member,
            (Some(entered), _) if stands(entered) => Self::Busy,
            (_, None) => Self::Open,
            (_, Some(deadline)) if now <= deadline => Self::Disputed(deadline),
            (_, Some(_)) => Self::Due,
        }
    }
}

/// Where a multi-party channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MpcPhase {
    /// Nothing is stored of it: it was never created, or is closed.
    Absent,
    /// It exists.
    Open,
    /// Newer states are accepted until the deadline.
    Disputed(Timestamp),
    /// Its deadline has passed: it holds no channel any more, and what is stored of it may go.
    Due,
}

impl MpcPhase {
    /// The phase at block time `now` of what is stored.
    pub fn of(mpc: Option<&Mpc>, now: Timestamp) -> Self {
        match mpc.map(|mpc| mpc.deadline) {
            None => Self::Absent,
            Some(None) => Self::Open,
            Some(Some(deadline)) if now <= deadline => Self::Disputed(deadline),
            Some(Some(_)) => Self::Due,
        }
    }
}

/// What becomes of an action that names a channel in some phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Admit,
    /// It goes on without this channel: the channel has left since the action was signed.
    PassOver,
}

/// The table for two-party channels: what becomes of `action`, which names `tpc`, in `phase`.
///
/// | | Absent | Open | Disputed | Due | Member | Busy |
/// |---|---|---|---|---|---|---|
/// | CreateTpc | admit | nonce used | nonce used | nonce used | nonce used | nonce used |
/// | UpdateTpc, CloseTpc, SplitTpc | unknown | admit | admit | due | busy | busy |
/// | TopUpTpc, WithdrawTpc, DisputeTpc, CreateMpc, JoinMpc | unknown | admit | disputed | due | busy | busy |
/// | SettleTpc | unknown | not disputed | too early | admit | busy | busy |
/// | UpdateMpc | pass over | pass over | pass over | pass over | admit | pass over |
/// | CloseMpc, LeaveMpc, DisputeMpc | unknown | not a member | not a member | not a member | admit | not a member |
///
/// SettleMpc names no channel. A channel cannot be created twice: the pair's nonce, which the id is made of, has moved
/// on. The table leaves that error to [`crate::rules::create_tpc`], which knows the nonce.
pub fn tpc_admits(phase: TpcPhase, action: ActionKind, tpc: TpcId) -> Result<Verdict, Error> {
    use {ActionKind::*, TpcPhase::*};
    match (action, phase) {
        (CreateTpc | SettleMpc, _) => Ok(Verdict::Admit),
        (UpdateMpc, Member) => Ok(Verdict::Admit),
        (UpdateMpc, _) => Ok(Verdict::PassOver),
        (_, Absent) => Err(Error::UnknownTpc(tpc)),
        (CloseMpc | LeaveMpc | DisputeMpc, Member) => Ok(Verdict::Admit),
        (CloseMpc | LeaveMpc | DisputeMpc, _) => Err(Error::NotMember(tpc)),
        (_, Member | Busy) => Err(Error::TpcBusy(tpc)),
        (SettleTpc, Open) => Err(Error::TpcNotDisputed(tpc)),
        (SettleTpc, Disputed(deadline)) => Err(Error::TooEarly { deadline }),
        (SettleTpc, Due) => Ok(Verdict::Admit),
        (_, Open) => Ok(Verdict::Admit),
        (_, Due) => Err(Error::TpcDue(tpc)),
        (UpdateTpc | CloseTpc | SplitTpc, Disputed(_)) => Ok(Verdict::Admit),
        (TopUpTpc | WithdrawTpc | DisputeTpc | CreateMpc | JoinMpc, Disputed(_)) => Err(Error::TpcDisputed(tpc)),
    }
}

/// The table for multi-party channels: what becomes of `action`, which names `mpc`, in `phase`.
///
/// | | Absent | Open | Disputed | Due |
/// |---|---|---|---|---|
/// | UpdateMpc, CloseMpc, LeaveMpc | unknown | admit | admit | due |
/// | JoinMpc, DisputeMpc | unknown | admit | disputed | due |
/// | SettleMpc | unknown | not disputed | too early | admit |
///
/// A group cannot be created twice, because its channels are in later epochs. The other actions name none.
pub fn mpc_admits(phase: MpcPhase, action: ActionKind, mpc: MpcId) -> Result<(), Error> {
    use {ActionKind::*, MpcPhase::*};
    match (action, phase) {
        (UpdateMpc | CloseMpc | LeaveMpc | JoinMpc | DisputeMpc | SettleMpc, Absent) => Err(Error::UnknownMpc(mpc)),
        (SettleMpc, Open) => Err(Error::MpcNotDisputed(mpc)),
        (SettleMpc, Disputed(deadline)) => Err(Error::TooEarly { deadline }),
        (SettleMpc, Due) => Ok(()),
        (UpdateMpc | CloseMpc | LeaveMpc | JoinMpc | DisputeMpc, Due) => Err(Error::MpcDue(mpc)),
        (JoinMpc | DisputeMpc, Disputed(_)) => Err(Error::MpcDisputed(mpc)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const TPC: TpcId = TpcId([1; 32]);
    const MPC: MpcId = MpcId([2; 32]);

    /// A table as it is documented above, row by row, against the function's answers.
    fn check<V: PartialEq + core::fmt::Debug, const N: usize>(
        rows: &[(&[ActionKind], [V; N])],
        phases: [&str; N],
        verdict: impl Fn(usize, ActionKind) -> V,
    ) -> Vec<ActionKind> {
        let mut seen = std::vec![];
        for (actions, expected) in rows {
            for action in *actions {
                seen.push(*action);
                for (index, expected) in expected.iter().enumerate() {
                    assert_eq!(verdict(index, *action), *expected, "{action:?} in phase {}", phases[index]);
                }
            }
        }
        seen
    }

    #[test]
    fn every_phase_and_action_of_a_channel_has_its_verdict() {
        use ActionKind::*;
        let phases =
            [TpcPhase::Absent, TpcPhase::Open, TpcPhase::Disputed(9), TpcPhase::Due, TpcPhase::Member, TpcPhase::Busy];
        let (admit, pass) = (Ok(Verdict::Admit), Ok(Verdict::PassOver));
        let unknown = Err(Error::UnknownTpc(TPC));
        let (busy, due) = (Err(Error::TpcBusy(TPC)), Err(Error::TpcDue(TPC)));
        let (disputed, other) = (Err(Error::TpcDisputed(TPC)), Err(Error::NotMember(TPC)));
        let early = Err(Error::TooEarly { deadline: 9 });
        let rows: [(&[ActionKind], _); 6] = [
            (&[CreateTpc, SettleMpc], [admit; 6]),
            (&[UpdateTpc, CloseTpc, SplitTpc], [unknown, admit, admit, due, busy, busy]),
            (&[TopUpTpc, WithdrawTpc, DisputeTpc, CreateMpc, JoinMpc], [unknown, admit, disputed, due, busy, busy]),
            (&[SettleTpc], [unknown, Err(Error::TpcNotDisputed(TPC)), early, admit, busy, busy]),
            (&[UpdateMpc], [pass, pass, pass, pass, admit, pass]),
            (&[CloseMpc, LeaveMpc, DisputeMpc], [unknown, other, other, other, admit, other]),
        ];
        let names = ["absent", "open", "disputed", "due", "member", "busy"];
        let seen = check(&rows, names, |index, action| tpc_admits(phases[index], action, TPC));
        assert!(ActionKind::ALL.iter().all(|action| seen.contains(action)), "a row is missing");
    }

    #[test]
    fn every_phase_and_action_of_a_group_has_its_verdict() {
        use ActionKind::*;
        let phases = [MpcPhase::Absent, MpcPhase::Open, MpcPhase::Disputed(9), MpcPhase::Due];
        let (admit, unknown, due) = (Ok(()), Err(Error::UnknownMpc(MPC)), Err(Error::MpcDue(MPC)));
        let early = Err(Error::TooEarly { deadline: 9 });
        let rows: [(&[ActionKind], _); 4] = [
            (&[UpdateMpc, CloseMpc, LeaveMpc], [unknown, admit, admit, due]),
            (&[JoinMpc, DisputeMpc], [unknown, admit, Err(Error::MpcDisputed(MPC)), due]),
            (&[SettleMpc], [unknown, Err(Error::MpcNotDisputed(MPC)), early, admit]),
            (
                &[CreateTpc, UpdateTpc, CloseTpc, TopUpTpc, WithdrawTpc, SplitTpc, DisputeTpc, SettleTpc, CreateMpc],
                [admit; 4],
            ),
        ];
        let names = ["absent", "open", "disputed", "due"];
        let seen = check(&rows, names, |index, action| mpc_admits(phases[index], action, MPC));
        assert!(ActionKind::ALL.iter().all(|action| seen.contains(action)), "a row is missing");
    }

    #[test]
    fn a_channel_whose_group_does_not_stand_is_alone() {
        let (here, there) = (MpcId([1; 32]), MpcId([2; 32]));
        let parties = [crate::AccountId::from([1; 32]), crate::AccountId::from([2; 32])];
        let tpc = |mpc, deadline| Tpc {
            parties,
            balances: [1, 1],
            epoch: 1,
            version: 0,
            window: 10_000,
            mpc,
            deadline,
            split: None,
        };
        let phase = |tpc: Option<&Tpc>, stands: bool| TpcPhase::of(tpc, Some(here), 5, |_| stands);
        assert_eq!(phase(None, true), TpcPhase::Absent);
        assert_eq!(phase(Some(&tpc(None, None)), true), TpcPhase::Open);
        assert_eq!(phase(Some(&tpc(Some(here), None)), true), TpcPhase::Member);
        assert_eq!(phase(Some(&tpc(Some(there), None)), true), TpcPhase::Busy);
        assert_eq!(phase(Some(&tpc(Some(there), None)), false), TpcPhase::Open);
        assert_eq!(phase(Some(&tpc(None, Some(5))), true), TpcPhase::Disputed(5));
        assert_eq!(phase(Some(&tpc(None, Some(4))), true), TpcPhase::Due);
        assert_eq!(phase(Some(&tpc(Some(there), Some(4))), true), TpcPhase::Busy);
        assert_eq!(phase(Some(&tpc(Some(there), Some(4))), false), TpcPhase::Due);
    }

    #[test]
    fn a_group_stands_until_its_deadline() {
        let mpc = |deadline| Mpc { channels: 3, window: 10_000, deadline };
        assert_eq!(MpcPhase::of(None, 5), MpcPhase::Absent);
        assert_eq!(MpcPhase::of(Some(&mpc(None)), 5), MpcPhase::Open);
        for (deadline, phase) in [(5, MpcPhase::Disputed(5)), (4, MpcPhase::Due)] {
            assert_eq!(MpcPhase::of(Some(&mpc(Some(deadline))), 5), phase);
            assert_eq!(mpc(Some(deadline)).stands(5), phase != MpcPhase::Due);
        }
    }
}
