//! The messages, named as in the paper, and their frames.

use codec::{Decode, DecodeAll, Encode};
use planning::{NoPlan, Transfer};
use protocol::{
    Action, Entry, Error, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, Owners, PartySignature, Signature,
    Timestamp, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal, Update, Version,
};

/// The first byte of every frame.
const FRAME_VERSION: u8 = 2;

/// The longest frame in bytes. The largest update fits, whoever owns its channels.
pub const MAX_FRAME: usize = 1 << 20;

/// Names an update: the payload that is signed for it.
pub type UpdateId = [u8; 32];

/// A multi-party transaction that a member wants settled.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Payment {
    /// In which multi-party channel.
    pub mpc: MpcId,
    /// Settled together or not at all.
    pub transfers: Vec<Transfer>,
    /// Who takes part.
    pub scope: Scope,
    /// Whether members are asked for consent before anybody signs.
    pub confirm: bool,
}

/// Which channels an update names, and so who signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Scope {
    /// Every channel of the group, so that one update holds the whole state.
    All,
    /// Those whose balances change; everybody else may be asleep.
    Touched,
}

/// What the two owners of a channel agree on beside its payments.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Agreement {
    /// More funds from the ledger.
    TopUp(TpcTopUp),
    /// A part of the funds to the accounts.
    Withdraw(TpcWithdrawal),
    /// Other channels with the same sum.
    Split(TpcSplit),
    /// The channel enters a multi-party channel that exists.
    Join(MpcJoin),
    /// The channel leaves its multi-party channel.
    Leave(MpcLeave),
}

impl Agreement {
    /// What is signed.
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::TopUp(top_up) => Action::TopUpTpc(top_up),
            Self::Withdraw(withdrawal) => Action::WithdrawTpc(withdrawal),
            Self::Split(split) => Action::SplitTpc(split),
            Self::Join(join) => Action::JoinMpc(join),
            Self::Leave(leave) => Action::LeaveMpc(leave),
        }
    }

    /// The channels that it is about. Both owners own them all.
    pub fn tpcs(&self) -> Vec<TpcId> {
        match self {
            Self::Join(MpcJoin { members, .. }) | Self::Leave(MpcLeave { members, .. }) => {
                members.iter().map(|member| member.tpc).collect()
            }
            _ => self.last().iter().map(|last| last.tpc).collect(),
        }
    }

    /// The channel that answers name it by: the first. `None` if it names none.
    pub fn tpc(&self) -> Option<TpcId> {
        self.tpcs().first().copied()
    }

    /// The states that end its channels' epochs. Registrations end none.
    pub fn last(&self) -> &[Entry] {
        match self {
            Self::TopUp(top_up) => std::slice::from_ref(&top_up.last),
            Self::Withdraw(withdrawal) => std::slice::from_ref(&withdrawal.last),
            Self::Split(split) => &split.last,
            Self::Join(_) | Self::Leave(_) => &[],
        }
    }

    /// When it becomes void.
    pub fn valid_until(&self) -> Timestamp {
        match self {
            Self::TopUp(TpcTopUp { valid_until, .. })
            | Self::Withdraw(TpcWithdrawal { valid_until, .. })
            | Self::Split(TpcSplit { valid_until, .. })
            | Self::Join(MpcJoin { valid_until, .. })
            | Self::Leave(MpcLeave { valid_until, .. }) => *valid_until,
        }
    }
}

/// Why a request is rejected.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum Reason {
    #[error("the protocol forbids it: {0}")]
    Protocol(Error),
    #[error("the payment cannot be planned: {0}")]
    NoPlan(NoPlan),
    #[error("the state is not the latest: start from the entries that came with this answer")]
    Outdated(Vec<Entry>),
    #[error("the channel has an agreement in flight: wait until it is decided")]
    InFlight,
    #[error("the update takes from the party, or gives it, what the transaction does not say")]
    WrongPosition,
    #[error("the payment takes more from the party than it lets go without being asked")]
    Declined,
    #[error("the channels and their owners do not belong together")]
    WrongOwners,
    #[error("there is no such multi-party channel here")]
    UnknownMpc,
    #[error("a newer proposal for the channel is under way")]
    Superseded,
    #[error("a channel is disputed: wait until its deadline, or close it together")]
    Disputed,
    #[error("a dispute has ended an epoch of one of its channels: the update counts nowhere, so pay again")]
    Void,
}

impl From<Error> for Reason {
    fn from(error: Error) -> Self {
        Self::Protocol(error)
    }
}

/// Everything that is said.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs)] // The paper's names; the fields are the protocol's types.
pub enum Message {
    TpcCreate {
        creation: TpcCreation,
        signature: Signature,
    },
    TpcCreateAgree {
        tpc: TpcId,
        signature: Signature,
    },
    TpcCreateReject {
        tpc: TpcId,
        reason: Reason,
    },
    TpcUpdate {
        entry: Entry,
        signature: Signature,
    },
    TpcUpdateAgree {
        tpc: TpcId,
        version: Version,
        signature: Signature,
    },
    TpcUpdateReject {
        tpc: TpcId,
        version: Version,
        reason: Reason,
    },
    TpcClose {
        close: TpcClose,
        signature: Signature,
    },
    TpcCloseAgree {
        tpc: TpcId,
        signature: Signature,
    },
    TpcCloseReject {
        tpc: TpcId,
        reason: Reason,
    },
    TpcAgreement {
        agreement: Agreement,
        signature: Signature,
    },
    TpcAgreementAgree {
        tpc: TpcId,
        signature: Signature,
    },
    TpcAgreementReject {
        tpc: TpcId,
        reason: Reason,
    },
    /// From the initiator to the coordinator, and by it to every other member. `owners` and `latest`, the newest states,
    /// belong to the members.
    MpcCreate {
        creation: MpcCreation,
        owners: Vec<Owners>,
        latest: Vec<Entry>,
        by: PartySignature,
    },
    MpcCreateAgree {
        mpc: MpcId,
        signature: Signature,
    },
    MpcCreateReject {
        mpc: MpcId,
        reason: Reason,
    },
    /// Everybody has signed.
    MpcCreated {
        mpc: MpcId,
        signatures: Vec<PartySignature>,
    },
    MpcCreateFailed {
        mpc: MpcId,
        reason: Reason,
    },
    /// A member's request to the coordinator.
    MpcPay {
        payment: Payment,
    },
    /// Tells the coordinator who owns a channel that has joined or was renewed, and its state.
    MpcJoined {
        mpc: MpcId,
        owners: Owners,
        entry: Entry,
    },
    /// Asks for consent; nothing is signed yet. `owners` belong to the entries.
    MpcPropose {
        payment: Payment,
        update: Update,
        owners: Vec<Owners>,
    },
    MpcConsent {
        update: UpdateId,
    },
    /// Asks for the signature. `owners` belong to the entries.
    MpcUpdate {
        payment: Payment,
        update: Update,
        owners: Vec<Owners>,
    },
    MpcUpdateAgree {
        update: UpdateId,
        signature: Signature,
    },
    MpcUpdateReject {
        update: UpdateId,
        reason: Reason,
    },
    /// Everybody has signed: the transaction is settled.
    MpcUpdated {
        update: UpdateId,
        signatures: Vec<PartySignature>,
    },
    /// There is no update, or it will not be completed.
    MpcUpdateFailed {
        mpc: MpcId,
        update: Option<UpdateId>,
        reason: Reason,
    },
    /// From the initiator to the coordinator, and by it to every other member.
    MpcClose {
        close: MpcClose,
        by: PartySignature,
    },
    MpcCloseAgree {
        mpc: MpcId,
        signature: Signature,
    },
    MpcCloseReject {
        mpc: MpcId,
        reason: Reason,
    },
    /// Everybody has signed.
    MpcClosed {
        mpc: MpcId,
        signatures: Vec<PartySignature>,
    },
    MpcCloseFailed {
        mpc: MpcId,
        reason: Reason,
    },
}

/// A frame that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// It is longer than [`MAX_FRAME`].
    #[error("the frame has {0} bytes, more than {MAX_FRAME}: the peer does not speak Braid")]
    TooLong(usize),
    /// It is of another version.
    #[error("the frame is of version {0}, not {FRAME_VERSION}: update the older side")]
    Version(u8),
    /// Its bytes are no message.
    #[error("the frame cannot be decoded: the peer does not speak Braid")]
    Malformed,
}

impl Message {
    /// The bytes to send.
    pub fn frame(&self) -> Vec<u8> {
        (FRAME_VERSION, self).encode()
    }

    /// Reads what a peer sent.
    ///
    /// # Errors
    /// [`BadFrame`]; the connection should end with it.
    pub fn from_frame(frame: &[u8]) -> Result<Self, BadFrame> {
        if frame.len() > MAX_FRAME {
            return Err(BadFrame::TooLong(frame.len()));
        }
        match frame {
            [FRAME_VERSION, message @ ..] => Self::decode_all(&mut &*message).map_err(|_| BadFrame::Malformed),
            [version, ..] => Err(BadFrame::Version(*version)),
            [] => Err(BadFrame::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_bounded_and_versioned() {
        let message = Message::MpcConsent { update: [7; 32] };
        let frame = message.frame();
        assert_eq!(Message::from_frame(&frame), Ok(message));
        assert_eq!(Message::from_frame(&[]), Err(BadFrame::Malformed));
        assert_eq!(Message::from_frame(&[9, 1]), Err(BadFrame::Version(9)));
        assert_eq!(Message::from_frame(&frame[..20]), Err(BadFrame::Malformed));
        assert_eq!(Message::from_frame(&[frame.clone(), vec![0]].concat()), Err(BadFrame::Malformed));
        assert_eq!(Message::from_frame(&vec![1; MAX_FRAME + 1]), Err(BadFrame::TooLong(MAX_FRAME + 1)));
    }
}
