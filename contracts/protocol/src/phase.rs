//! The table of phases and actions: what a channel or a group accepts, and when.

use crate::{Error, Mpc, MpcId, Tpc, TpcId};

/// The kinds of action, one for each variant of [`crate::Action`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Named as in `Action`, which documents them.
pub enum ActionKind {
    CreateTpc,
    UpdateTpc,
    CloseTpc,
    CreateMpc,
    UpdateMpc,
    CloseMpc,
}

impl ActionKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::CreateTpc, Self::UpdateTpc, Self::CloseTpc, Self::CreateMpc, Self::UpdateMpc, Self::CloseMpc];
}

/// Where a two-party channel stands towards an action that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TpcPhase {
    /// Nothing is stored of it.
    Absent,
    /// It stands alone.
    Open,
    /// It is busy in the very multi-party channel that the action names.
    Member,
    /// It is busy in another multi-party channel, or the action names none.
    Busy,
}

impl TpcPhase {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Absent, Self::Open, Self::Member, Self::Busy];

    /// The phase of what is stored, for an action in the context of `mpc` (if any).
    ///
    /// `exists` tells whether a multi-party channel exists; one that is gone holds no channel any more.
    pub fn of(tpc: Option<&Tpc>, mpc: Option<MpcId>, exists: impl FnOnce(MpcId) -> bool) -> Self {
        match tpc.map(|tpc| tpc.mpc) {
            None => Self::Absent,
            Some(None) => Self::Open,
            Some(Some(entered)) if mpc == Some(entered) => Self::Member,
            Some(Some(entered)) if exists(entered) => Self::Busy,
            Some(Some(_)) => Self::Open,
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
}

impl MpcPhase {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Absent, Self::Open];

    /// The phase of what is stored.
    pub fn of(mpc: Option<&Mpc>) -> Self {
        if mpc.is_some() {
            Self::Open
        } else {
            Self::Absent
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
/// | | Absent | Open | Member | Busy |
/// |---|---|---|---|---|
/// | CreateTpc | admit | nonce used | nonce used | nonce used |
/// | UpdateTpc, CloseTpc, CreateMpc | unknown | admit | busy | busy |
/// | UpdateMpc | unknown | pass over | admit | pass over |
/// | CloseMpc | unknown | not a member | admit | not a member |
///
/// A channel cannot be created twice: the pair's nonce, which the id is made of, has moved on. The table leaves
/// that error to [`crate::rules::create_tpc`], which knows the nonce.
pub fn tpc_admits(phase: TpcPhase, action: ActionKind, tpc: TpcId) -> Result<Verdict, Error> {
    use {ActionKind::*, TpcPhase::*};
    match (action, phase) {
        (CreateTpc, _) => Ok(Verdict::Admit),
        (_, Absent) => Err(Error::UnknownTpc(tpc)),
        (UpdateTpc | CloseTpc | CreateMpc, Open) => Ok(Verdict::Admit),
        (UpdateTpc | CloseTpc | CreateMpc, Member | Busy) => Err(Error::TpcBusy(tpc)),
        (UpdateMpc | CloseMpc, Member) => Ok(Verdict::Admit),
        (UpdateMpc, Open | Busy) => Ok(Verdict::PassOver),
        (CloseMpc, Open | Busy) => Err(Error::NotMember(tpc)),
    }
}

/// The table for multi-party channels: what becomes of `action`, which names `mpc`, in `phase`.
///
/// | | Absent | Open |
/// |---|---|---|
/// | CreateMpc | admit | its channels are busy |
/// | UpdateMpc, CloseMpc | unknown | admit |
///
/// The other actions name no multi-party channel.
pub fn mpc_admits(phase: MpcPhase, action: ActionKind, mpc: MpcId) -> Result<(), Error> {
    use {ActionKind::*, MpcPhase::*};
    match (action, phase) {
        (UpdateMpc | CloseMpc, Absent) => Err(Error::UnknownMpc(mpc)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_and_action_has_its_verdict() {
        use {ActionKind::*, TpcPhase::*};
        let tpc = TpcId([1; 32]);
        for action in ActionKind::ALL {
            for phase in TpcPhase::ALL {
                let expected = match (action, phase) {
                    (CreateTpc, _) => Ok(Verdict::Admit),
                    (_, Absent) => Err(Error::UnknownTpc(tpc)),
                    (UpdateTpc | CloseTpc | CreateMpc, Open) => Ok(Verdict::Admit),
                    (UpdateTpc | CloseTpc | CreateMpc, _) => Err(Error::TpcBusy(tpc)),
                    (UpdateMpc | CloseMpc, Member) => Ok(Verdict::Admit),
                    (UpdateMpc, _) => Ok(Verdict::PassOver),
                    (CloseMpc, _) => Err(Error::NotMember(tpc)),
                };
                assert_eq!(tpc_admits(phase, action, tpc), expected, "{action:?} in {phase:?}");
            }
            for phase in MpcPhase::ALL {
                let mpc = MpcId([2; 32]);
                let gone = matches!((action, phase), (UpdateMpc | CloseMpc, MpcPhase::Absent));
                let expected = if gone { Err(Error::UnknownMpc(mpc)) } else { Ok(()) };
                assert_eq!(mpc_admits(phase, action, mpc), expected, "{action:?} in {phase:?}");
            }
        }
    }

    #[test]
    fn a_channel_whose_group_is_gone_is_open() {
        let (here, there) = (MpcId([1; 32]), MpcId([2; 32]));
        let parties = [crate::AccountId::from([1; 32]), crate::AccountId::from([2; 32])];
        let tpc = |mpc| Tpc { parties, balances: [1, 1], epoch: 1, version: 0, mpc };
        let phase = |tpc: Option<&Tpc>, exists: bool| TpcPhase::of(tpc, Some(here), |_| exists);
        assert_eq!(phase(None, true), TpcPhase::Absent);
        assert_eq!(phase(Some(&tpc(None)), true), TpcPhase::Open);
        assert_eq!(phase(Some(&tpc(Some(here))), true), TpcPhase::Member);
        assert_eq!(phase(Some(&tpc(Some(there))), true), TpcPhase::Busy);
        assert_eq!(phase(Some(&tpc(Some(there))), false), TpcPhase::Open);
    }
}
