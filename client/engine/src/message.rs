//! What parties and coordinators say to each other, and the frames that carry it.

use crate::payment::{Over, Payment, PaymentId, Payments};
use codec::{Decode, DecodeAll, Encode};
use protocol::{
    abi, AccountId, Action, Crypto, Domain, Entry, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, Owners,
    PartySignature, Signature, SignedUpdate, Timestamp, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp,
    TpcWithdrawal, Update, Version,
};

/// The first byte of every frame.
const FRAME_VERSION: u8 = 3;

/// The longest frame in bytes. The largest update fits, whoever owns its channels.
pub const MAX_FRAME: usize = 1 << 20;

/// Keeps the signatures that form, join or close a group off chain apart from those that register one.
pub(crate) const OFF_CHAIN: &[u8; 11] = b"braid/group";

/// Names an update: the payload that is signed for it.
pub type UpdateId = [u8; 32];

/// Names an agreement of two owners: the payload that is signed for it.
pub type AgreementId = [u8; 32];

/// Counts the coordinators that a group has had. A member signs for the highest term that it has accepted only (rule S10).
pub type Term = u32;

/// Names a round for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RoundId {
    /// Who leads it.
    pub leader: AccountId,
    /// How many rounds that one had led before.
    pub number: u64,
}

/// By what right a leader asks for signatures (rule S10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Right {
    /// The channel is its and the other owner's, and stands alone; the version is one of its own turns.
    Turn,
    /// It coordinates the group that all the channels are in, in this term.
    Coordinator(MpcId, Term),
    /// All who are asked have consented before.
    Consent,
}

/// What a round changes in a channel: how much more the first owner holds, and the second less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Move {
    /// The channel.
    pub tpc: TpcId,
    /// The change of the first owner's balance, in the asset's smallest unit.
    pub change: i128,
}

/// How far an owner is with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Standing {
    /// The newest state that is complete, or on chain.
    pub latest: Entry,
    /// The highest version that it has signed in this epoch.
    pub signed: Version,
}

/// An update that somebody holds, complete or not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Shown {
    /// What it moves.
    pub update: Update,
    /// Whose its channels are.
    pub owners: Vec<Owners>,
    /// The signatures that are known of it: all, or some.
    pub signatures: Vec<PartySignature>,
}

/// Who leads a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Leadership {
    /// Its coordinator.
    pub coordinator: AccountId,
    /// In which term.
    pub term: Term,
    /// Whether the group is on chain.
    pub registered: bool,
}

/// A channel of a group, as its owner introduces it to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Introduced {
    /// Whose it is.
    pub owners: Owners,
    /// How far this owner is with it.
    pub standing: Standing,
}

/// What the two owners of channels agree on beside payments.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Agreement {
    /// A new channel.
    Open(TpcCreation),
    /// The channel ends and is paid out.
    Close(TpcClose),
    /// More funds from the ledger.
    TopUp(TpcTopUp),
    /// A part of the funds to the accounts.
    Withdraw(TpcWithdrawal),
    /// Other channels with the same sum.
    Split(TpcSplit),
    /// Channels enter a group that exists.
    Join(MpcJoin),
    /// Channels leave their group.
    Leave(MpcLeave),
}

impl Agreement {
    /// What is signed.
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::Open(creation) => Action::CreateTpc(creation),
            Self::Close(close) => Action::CloseTpc(close),
            Self::TopUp(top_up) => Action::TopUpTpc(top_up),
            Self::Withdraw(withdrawal) => Action::WithdrawTpc(withdrawal),
            Self::Split(split) => Action::SplitTpc(split),
            Self::Join(join) => Action::JoinMpc(join),
            Self::Leave(leave) => Action::LeaveMpc(leave),
        }
    }

    /// Its name: what is signed for it.
    pub fn id(&self, crypto: &impl Crypto, domain: &Domain) -> AgreementId {
        self.action().payload(crypto, domain)
    }

    /// What is signed for it under a leadership. Joining a group that is not registered takes no call, and its signatures are
    /// worth nothing on chain.
    pub fn id_under(&self, led: Option<&Leadership>, crypto: &impl Crypto, domain: &Domain) -> AgreementId {
        let id = self.id(crypto, domain);
        match (self, led) {
            (Self::Join(_), Some(led)) if !led.registered => crypto.blake2_256(&(OFF_CHAIN, id).encode()),
            _ => id,
        }
    }

    /// The channels that exist and that it is about.
    pub fn tpcs(&self) -> Vec<TpcId> {
        match self {
            Self::Join(MpcJoin { members, .. }) | Self::Leave(MpcLeave { members, .. }) => {
                members.iter().map(|member| member.tpc).collect()
            }
            _ => self.last().iter().map(|last| last.tpc).collect(),
        }
    }

    /// The states that end its channels' epochs, or the channels. Registrations and creations end none.
    pub fn last(&self) -> &[Entry] {
        match self {
            Self::Close(close) => std::slice::from_ref(&close.last),
            Self::TopUp(top_up) => std::slice::from_ref(&top_up.last),
            Self::Withdraw(withdrawal) => std::slice::from_ref(&withdrawal.last),
            Self::Split(split) => &split.last,
            Self::Open(_) | Self::Join(_) | Self::Leave(_) => &[],
        }
    }

    /// When it becomes void, in ms of block time.
    pub fn valid_until(&self) -> Timestamp {
        match self {
            Self::Open(TpcCreation { valid_until, .. })
            | Self::Close(TpcClose { valid_until, .. })
            | Self::TopUp(TpcTopUp { valid_until, .. })
            | Self::Withdraw(TpcWithdrawal { valid_until, .. })
            | Self::Split(TpcSplit { valid_until, .. })
            | Self::Join(MpcJoin { valid_until, .. })
            | Self::Leave(MpcLeave { valid_until, .. }) => *valid_until,
        }
    }

    /// Whether the other is of the same kind, and so takes this one's place (rule S3).
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// The call that brings it to the chain, given both owners' signatures in their order.
    pub(crate) fn call(&self, parties: [AccountId; 2], signatures: [Signature; 2]) -> crate::call::Call {
        let listed = || {
            let pairs = parties.into_iter().zip(signatures);
            pairs.map(|(party, signature)| PartySignature { party, signature }).collect()
        };
        match self.clone() {
            Self::Open(creation) => abi::CreateTpc { creation, signatures }.into(),
            Self::Close(close) => abi::CloseTpc { close, signatures }.into(),
            Self::TopUp(top_up) => abi::TopUpTpc { top_up, signatures }.into(),
            Self::Withdraw(withdrawal) => abi::WithdrawTpc { withdrawal, signatures }.into(),
            Self::Split(split) => abi::SplitTpc { split, signatures }.into(),
            Self::Join(join) => abi::JoinMpc { join, signatures: listed() }.into(),
            Self::Leave(leave) => abi::LeaveMpc { leave, signatures: listed() }.into(),
        }
    }
}

/// Why somebody does not do what it is asked. What was signed for it may still become complete.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum Reason {
    #[error("the protocol forbids it: {0}")]
    Protocol(protocol::Error),
    #[error("the payment cannot be planned: {0}")]
    NoPlan(planning::NoPlan),
    #[error("the state is not the latest: start from the states that came with this answer")]
    Outdated(Vec<Standing>),
    #[error("channel {0} has something in flight: wait until it is decided")]
    InFlight(TpcId),
    #[error("an owner of channel {0} holds too little in it: pay less, or over another")]
    Insufficient(TpcId),
    #[error("channel {0} is reserved for another round: try again later")]
    Reserved(TpcId),
    #[error("channel {0} is disputed: wait until its deadline")]
    Disputed(TpcId),
    #[error("the channels change by other sums than the payments say")]
    WrongPosition,
    #[error("the party does not let go what the round takes from it")]
    Declined,
    #[error("payment {} takes from the party what it has not permitted: its application is asked", .0.number)]
    NotPermitted(PaymentId),
    #[error("payment {} of the party is not one that it waits for", .0.number)]
    UnknownPayment(PaymentId),
    #[error("the leader has no right to ask for signatures over channel {0}: ask for consent first, or in turn")]
    NotLeader(TpcId),
    #[error("the channels and their owners do not belong together")]
    WrongOwners,
    #[error("channel {0} is not on chain in the epoch that is named")]
    NotOnChain(TpcId),
    #[error("the window of channel {0} is too short to answer a dispute in")]
    ShortWindow(TpcId),
    #[error("the time in which it is good is over, or too long")]
    BadTime,
    #[error("there is no such group here")]
    UnknownGroup,
    #[error("too much is waiting: try again later")]
    Full,
    #[error("the message is not well formed")]
    Malformed,
}

impl From<protocol::Error> for Reason {
    fn from(error: protocol::Error) -> Self {
        Self::Protocol(error)
    }
}

/// Everything that is said. Each may be lost, repeated or late; repeating one brings the same answer.
///
/// A round is [`Message::Propose`] and [`Message::Consent`] if consent is asked, then [`Message::Update`] and
/// [`Message::UpdateAgree`], then [`Message::Updated`]. The paper's TpcUpdate and MpcUpdate are both `Update`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs)] // The fields are the protocol's and this module's types.
pub enum Message {
    /// Asks the leader for a payment.
    Pay {
        payment: Payment,
        over: Over,
    },
    /// The leader does not ask for any signature for it, or no longer.
    PayReject {
        payment: PaymentId,
        reason: Reason,
    },
    /// Asks for consent; nothing is signed yet. `owners` belong to the moves.
    Propose {
        round: RoundId,
        right: Right,
        payments: Payments,
        moves: Vec<Move>,
        owners: Vec<Owners>,
    },
    /// The answer: the channels are reserved. `standings` are those of the sender's own channels.
    Consent {
        round: RoundId,
        standings: Vec<Standing>,
    },
    /// The other answer.
    ProposeReject {
        round: RoundId,
        reason: Reason,
    },
    /// The round will not be signed: the channels are free.
    GiveUp {
        round: RoundId,
    },
    /// Asks for the signature. `owners` belong to the entries, `signature` is the leader's, if it owns one of the channels.
    Update {
        round: RoundId,
        right: Right,
        payments: Payments,
        update: Update,
        owners: Vec<Owners>,
        signature: Option<Signature>,
    },
    UpdateAgree {
        update: UpdateId,
        signature: Signature,
    },
    UpdateReject {
        update: UpdateId,
        reason: Reason,
    },
    /// Everybody has signed.
    Updated {
        update: UpdateId,
        signatures: Vec<PartySignature>,
    },
    /// Complete updates that the receiver's knowledge shows it to have missed.
    Missed {
        updates: Vec<SignedUpdate>,
    },
    /// Two owners' agreement, proposed. `led` says who leads the group that a channel joins.
    Agree {
        agreement: Agreement,
        signature: Signature,
        led: Option<Leadership>,
    },
    Agreed {
        agreement: AgreementId,
        signature: Signature,
    },
    AgreeReject {
        agreement: AgreementId,
        reason: Reason,
    },
    /// From the initiator to the coordinator, and by it to every other member.
    MpcCreate {
        creation: MpcCreation,
        coordinator: AccountId,
        registered: bool,
        owners: Vec<Owners>,
        by: PartySignature,
        /// How far the initiator is with its own channels.
        standings: Vec<Standing>,
    },
    MpcCreateAgree {
        mpc: MpcId,
        signature: Signature,
        standings: Vec<Standing>,
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
    /// A member's channels in a group, and what it holds over them: to a coordinator that does not know them.
    Introduce {
        mpc: MpcId,
        term: Term,
        registered: bool,
        channels: Vec<Introduced>,
        held: Vec<Shown>,
    },
    /// The coordinator knows these channels of the member now.
    Welcome {
        mpc: MpcId,
        term: Term,
        channels: Vec<TpcId>,
    },
    /// A channel is no longer in the group.
    Left {
        mpc: MpcId,
        tpc: TpcId,
    },
    /// The coordinator does not know the group, or the member's channels in it.
    WhoAreYou {
        mpc: MpcId,
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
        let message = Message::GiveUp { round: RoundId { leader: AccountId::from([7; 32]), number: 1 } };
        let frame = message.frame();
        assert_eq!(Message::from_frame(&frame), Ok(message));
        assert_eq!(Message::from_frame(&[]), Err(BadFrame::Malformed));
        assert_eq!(Message::from_frame(&[9, 1]), Err(BadFrame::Version(9)));
        assert_eq!(Message::from_frame(&frame[..20]), Err(BadFrame::Malformed));
        assert_eq!(Message::from_frame(&[frame.clone(), vec![0]].concat()), Err(BadFrame::Malformed));
        assert_eq!(Message::from_frame(&vec![1; MAX_FRAME + 1]), Err(BadFrame::TooLong(MAX_FRAME + 1)));
    }
}
