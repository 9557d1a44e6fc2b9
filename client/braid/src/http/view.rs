//! What the API shows.

use super::text::{Account, Amount, AssetName, Id};
use engine::{message::Agreement, payment::Past, Channel, Notice, Outcome, Payment, Transfer, Wants};
use protocol::{AccountId, Asset, Balance};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use utoipa::ToSchema;

/// A channel, at its newest state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelView {
    /// Its id.
    pub id: Id,
    /// The other owner.
    pub peer: Account,
    /// What it holds.
    pub asset: AssetName,
    /// What this party holds in it.
    pub own: Amount,
    /// What the peer holds in it.
    pub theirs: Amount,
    /// Its epoch.
    pub epoch: u32,
    /// Its version in this epoch.
    pub version: u64,
    /// How long a dispute may be answered, in ms of block time.
    pub window_ms: u64,
    /// Whether it is open, disputed, or gone from the chain.
    pub state: ChannelState,
    /// When the dispute ends, in ms of block time.
    pub deadline_ms: Option<u64>,
    /// The group that it is in.
    pub group: Option<Id>,
    /// Whether something that its owners agree on is on its way to the chain.
    pub agreeing: bool,
}

/// How a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// Payments go over it.
    Open,
    /// A dispute's clock runs.
    Disputed,
    /// It is no longer on chain, or not yet.
    Gone,
}

impl ChannelView {
    pub(super) fn new(id: protocol::TpcId, channel: &Channel, account: AccountId) -> Self {
        let own = channel.balance_of(account);
        let total = channel.latest.total().unwrap_or_default();
        let dispute = channel.on_chain.dispute;
        let state = match (channel.on_chain.gone, dispute) {
            (true, _) => ChannelState::Gone,
            (false, Some(_)) => ChannelState::Disputed,
            (false, None) => ChannelState::Open,
        };
        Self {
            id: id.into(),
            peer: channel.peer(account).into(),
            asset: channel.owners.asset.into(),
            own: own.into(),
            theirs: total.saturating_sub(own).into(),
            epoch: channel.latest.epoch,
            version: channel.latest.version,
            window_ms: channel.owners.window,
            state,
            deadline_ms: dispute.map(|dispute| dispute.deadline),
            group: channel.mpc.map(Id::from),
            agreeing: channel.agreement.is_some(),
        }
    }
}

/// A group that the party is in, or coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupView {
    /// Its id.
    pub id: Id,
    /// Who leads its rounds.
    pub coordinator: Account,
    /// Whether it exists; it is being formed otherwise.
    pub open: bool,
    /// Whether it is registered on chain.
    pub registered: bool,
    /// The party's own channels in it; the coordinator knows all.
    pub channels: Vec<Id>,
}

/// An amount that goes from one user to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferView {
    /// Who pays.
    pub from: Account,
    /// Who is paid.
    pub to: Account,
    /// What is paid.
    pub asset: AssetName,
    /// How much.
    pub amount: Amount,
}

impl From<&Transfer> for TransferView {
    fn from(transfer: &Transfer) -> Self {
        let Transfer { from, to, asset, amount } = *transfer;
        Self { from: from.into(), to: to.into(), asset: asset.into(), amount: amount.into() }
    }
}

/// Transfers that are settled together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentView {
    /// Who asked for it.
    pub by: Account,
    /// Its number, of that account's payments.
    pub payment: u64,
    /// What goes from whom to whom.
    pub transfers: Vec<TransferView>,
}

impl From<&Payment> for PaymentView {
    fn from(payment: &Payment) -> Self {
        let transfers = payment.transfers.iter().map(TransferView::from).collect();
        Self { by: payment.id.by.into(), payment: payment.id.number, transfers }
    }
}

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeView {
    /// It counts.
    Settled,
    /// It will never count.
    Void,
    /// It may still count: look again later.
    Undecided,
}

impl From<Outcome> for OutcomeView {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Settled => Self::Settled,
            Outcome::Void => Self::Void,
        }
    }
}

/// A payment that is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PastView {
    /// Its number in this party's history, from 0.
    pub number: u64,
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
    /// How it ended.
    pub outcome: OutcomeView,
    /// Block time in ms when the party learned of it.
    pub at_ms: u64,
}

impl From<(u64, Past)> for PastView {
    fn from((number, past): (u64, Past)) -> Self {
        Self { number, payment: (&past.payment).into(), outcome: past.outcome.into(), at_ms: past.at }
    }
}

/// What somebody wants of the party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RequestView {
    /// Its number, for the answer.
    pub request: u64,
    /// Who wants it.
    pub from: Account,
    /// What: `open`, `close`, `top_up`, `withdraw`, `split`, `join`, `leave`, `group` or `payments`.
    pub wants: String,
    /// The channels that it is about and that exist.
    pub channels: Vec<Id>,
    /// What this party puts into a channel, or gets out of it.
    pub own: Option<Amount>,
    /// What the peer puts in, or gets out.
    pub theirs: Option<Amount>,
    /// Of what.
    pub asset: Option<AssetName>,
    /// How long disputes of a new channel may be answered, in ms of block time.
    pub window_ms: Option<u64>,
    /// The group to enter.
    pub group: Option<Id>,
    /// The payments.
    pub payments: Vec<PaymentView>,
    /// Block time in ms after which an agreement is void.
    pub valid_until_ms: Option<u64>,
}

impl RequestView {
    pub(super) fn new(request: u64, from: AccountId, wants: &Wants, account: AccountId) -> Self {
        let mut view = Self {
            request,
            from: from.into(),
            wants: String::new(),
            channels: vec![],
            own: None,
            theirs: None,
            asset: None,
            window_ms: None,
            group: None,
            payments: vec![],
            valid_until_ms: None,
        };
        match wants {
            Wants::Group(mpc) => (view.wants, view.group) = ("group".into(), Some((*mpc).into())),
            Wants::Payments(payments) => {
                view.wants = "payments".into();
                view.payments = payments.iter().map(PaymentView::from).collect();
            }
            Wants::Agreement(agreement) => view.agreement(agreement, account < from),
        }
        view
    }

    fn agreement(&mut self, agreement: &Agreement, first: bool) {
        let (name, amounts): (_, Option<[Balance; 2]>) = match agreement {
            Agreement::Open(creation) => {
                (self.asset, self.window_ms) = (Some(creation.asset.into()), Some(creation.window));
                ("open", Some(creation.balances))
            }
            Agreement::Close(close) => ("close", Some(close.last.balances)),
            Agreement::TopUp(top_up) => ("top_up", Some(top_up.added)),
            Agreement::Withdraw(withdrawal) => ("withdraw", Some(withdrawal.amounts)),
            Agreement::Split(_) => ("split", None),
            Agreement::Join(join) => {
                self.group = Some(join.mpc.into());
                ("join", None)
            }
            Agreement::Leave(leave) => {
                self.group = Some(leave.mpc.into());
                ("leave", None)
            }
        };
        self.wants = name.to_owned();
        self.channels = agreement.tpcs().into_iter().map(Id::from).collect();
        self.valid_until_ms = Some(agreement.valid_until());
        if let Some([lower, higher]) = amounts {
            let (own, theirs) = if first { (lower, higher) } else { (higher, lower) };
            (self.own, self.theirs) = (Some(own.into()), Some(theirs.into()));
        }
    }
}

/// A notice as an event: its kind and a JSON document.
pub fn event(notice: &Notice) -> (&'static str, Value) {
    let channel = |tpc: &protocol::TpcId| json!({ "channel": Id::from(*tpc) });
    let group = |mpc: &protocol::MpcId| json!({ "group": Id::from(*mpc) });
    let update = |id: &[u8; 32]| json!({ "update": Id(*id) });
    match notice {
        Notice::Decided { payment, outcome, reason } => {
            let reason = reason.as_ref().map(ToString::to_string);
            let document = json!({ "payment": payment, "outcome": OutcomeView::from(*outcome), "reason": reason });
            ("decided", document)
        }
        Notice::Received(payment) => ("received", json!(PaymentView::from(payment))),
        Notice::Updated(id) => ("updated", update(id)),
        Notice::Opened(tpc) => ("opened", channel(tpc)),
        Notice::EpochBegan(tpc) => ("epoch_began", channel(tpc)),
        Notice::Ended(tpc) => ("ended", channel(tpc)),
        Notice::Disputed(tpc) => ("disputed", channel(tpc)),
        Notice::MpcCreated(mpc) => ("group_formed", group(mpc)),
        Notice::MpcCreateFailed(mpc, reason) => {
            ("group_not_formed", json!({ "group": Id::from(*mpc), "reason": reason.to_string() }))
        }
        Notice::MpcClosed(mpc) => ("group_closed", group(mpc)),
        Notice::MpcCloseFailed(mpc, reason) => {
            ("group_not_closed", json!({ "group": Id::from(*mpc), "reason": reason.to_string() }))
        }
        Notice::AgreementRejected(agreement, reason) => {
            ("agreement_rejected", json!({ "agreement": Id(*agreement), "reason": reason.to_string() }))
        }
        Notice::Requested { request, from, .. } => {
            ("requested", json!({ "request": request, "from": Account::from(*from) }))
        }
        Notice::Hangs(id) => ("hangs", update(id)),
        Notice::Lost(id) => ("lost", update(id)),
        Notice::Ignored(why) => ("ignored", json!({ "why": why })),
    }
}

/// The native token, unless another is named.
pub(super) fn asset(named: Option<AssetName>) -> Asset {
    named.unwrap_or_default().0
}
