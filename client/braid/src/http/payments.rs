//! Payments: made, listed, and permitted to others.

use super::{
    error::{ApiError, Failed},
    extract::{Asked, Body},
    groups::on_chain,
    text::{Account, Amount, AssetName, Id},
    view::{asset, OutcomeView, PastView},
    wait_for, Api,
};
use axum::{extract::State, http::StatusCode, Json};
use engine::{
    payment::{Grantee, Hop, Purpose},
    Answer, Command, Notice, Over, Permission, Refusal, Scope, Transfer,
};
use protocol::{AccountId, Asset, Balance};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// How many payments a page has if nothing is said, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

/// How long a payment is waited for if nothing is said, in ms.
const PATIENCE_MS: u64 = 30_000;

/// Which page of the history.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The first number, from 0.
    #[serde(default)]
    pub from: u64,
    /// How many: 100 if nothing is said, at most 1,000.
    pub limit: Option<usize>,
}

/// A page of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Payments that are decided, in the order in which they were.
    pub payments: Vec<PastView>,
    /// Where the next page begins, if there is more.
    pub next: Option<u64>,
}

/// The payments that are decided.
#[utoipa::path(get, path = "/v1/payments", tag = "payments", params(Page), responses(
    (status = 200, body = History), (status = 400, body = Failed),
))]
pub(super) async fn list(State(api): State<Api>, Asked(page): Asked<Page>) -> Result<Json<History>, ApiError> {
    let limit = page.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let party = api.party().clone();
    // It reads the disk.
    let read = tokio::task::spawn_blocking(move || party.history(page.from, limit.saturating_add(1)));
    let mut past = read.await.map_err(|_| crate::party::Error::Ended)??;
    let next = past.get(limit).map(|(number, _)| *number);
    past.truncate(limit);
    Ok(Json(History { payments: past.into_iter().map(PastView::from).collect(), next }))
}

/// A transfer of a payment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayTransfer {
    /// Who pays; this party if nothing is said.
    pub from: Option<Account>,
    /// Who is paid; this party if nothing is said.
    pub to: Option<Account>,
    /// How much.
    pub amount: Amount,
}

/// A payment: over one channel, in a group, or along a path of channels.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// The channel with whoever is paid, for `amount`.
    pub channel: Option<Id>,
    /// The group in which `transfers` are settled, all or none.
    pub group: Option<Id>,
    /// The channels from this party to whoever is paid, one after the other, for `amount`.
    pub path: Option<Vec<Id>>,
    /// How much.
    pub amount: Option<Amount>,
    /// What goes from whom to whom in the group.
    #[serde(default)]
    pub transfers: Vec<PayTransfer>,
    /// What is paid; the channel's asset, or in a group the native token, if nothing is said.
    pub asset: Option<AssetName>,
    /// Whether the group's members are asked for consent before anybody signs. Yes if nothing is said.
    pub confirm: Option<bool>,
    /// Whether the update names every channel of the group, as in the paper.
    #[serde(default)]
    pub whole_group: bool,
    /// How long to wait until it is decided, in ms: 30,000 if nothing is said.
    pub patience_ms: Option<u64>,
}

/// How a payment stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paid {
    /// Its number, of this party's payments.
    pub payment: u64,
    /// How it stands.
    pub outcome: OutcomeView,
    /// Why it will never count.
    pub reason: Option<String>,
}

/// Pays, and waits until that is decided.
#[utoipa::path(post, path = "/v1/payments", tag = "payments", request_body = Pay, responses(
    (status = 200, description = "It is settled", body = Paid),
    (status = 202, description = "It is not decided yet, and may still be settled", body = Paid),
    (status = 409, description = "It is void, with the code `void`, or refused", body = Failed),
    (status = "4XX", body = Failed), (status = 503, body = Failed),
))]
pub(super) async fn pay(State(api): State<Api>, Body(asked): Body<Pay>) -> Result<(StatusCode, Json<Paid>), ApiError> {
    let patience = Duration::from_millis(asked.patience_ms.unwrap_or(PATIENCE_MS));
    let (transfers, over) = plan(&api, asked).await?;
    let party = api.party();
    let mut notices = party.notices();
    let Answer::Payment(number) = party.command(Command::Pay { transfers, over }).await? else {
        return Err(crate::party::Error::Ended.into());
    };
    let decided = wait_for(&mut notices, patience, |notice| match notice {
        Notice::Decided { payment, outcome, reason } if payment == number => Some((outcome, reason)),
        _ => None,
    });
    let (outcome, reason) = match decided.await? {
        Some((outcome, reason)) => (outcome.into(), reason.map(|reason| reason.to_string())),
        None => (OutcomeView::Undecided, None),
    };
    let status = match outcome {
        OutcomeView::Settled => StatusCode::OK,
        OutcomeView::Undecided => StatusCode::ACCEPTED,
        OutcomeView::Void => {
            let reason = reason.unwrap_or_else(|| "it was taken back".to_owned());
            return Err(crate::party::Error::Void(reason).into());
        }
    };
    Ok((status, Json(Paid { payment: number, outcome, reason })))
}

/// What is paid, over which channels.
async fn plan(api: &Api, asked: Pay) -> Result<(Vec<Transfer>, Over), ApiError> {
    let account = api.party().account();
    let amount = || {
        let amount = asked.amount.ok_or_else(|| ApiError::bad("give an `amount` for a channel or a path"));
        amount.map(|Amount(amount)| amount)
    };
    if asked.group.is_none() && !asked.transfers.is_empty() {
        return Err(ApiError::bad("`transfers` are for a `group`: give an `amount` for a channel or a path"));
    }
    match (asked.channel, asked.group, &asked.path) {
        (Some(channel), None, None) => {
            let (tpc, amount) = (channel.tpc(), amount()?);
            let look = move |engine: &engine::Engine| {
                engine.channel(&tpc).map(|channel| (channel.peer(account), channel.owners.asset))
            };
            let (to, own) = api.party().look(look).await?.ok_or(Refusal::UnknownChannel(tpc))?;
            is_of(own, asked.asset)?;
            Ok((vec![Transfer { from: account, to, asset: own, amount }], Over::Channel(tpc)))
        }
        (None, Some(group), None) => {
            let asset = asset(asked.asset);
            let transfers = asked.transfers.iter().map(|part| Transfer {
                from: part.from.map_or(account, |Account(from)| from),
                to: part.to.map_or(account, |Account(to)| to),
                asset,
                amount: part.amount.0,
            });
            let scope = if asked.whole_group { Scope::All } else { Scope::Touched };
            let over = Over::Group { mpc: group.mpc(), scope, confirm: asked.confirm.unwrap_or(true) };
            Ok((transfers.collect(), over))
        }
        (None, None, Some(path)) => {
            let (to, own, hops) = walk(api, account, path, amount()?).await?;
            is_of(own, asked.asset)?;
            Ok((vec![Transfer { from: account, to, asset: own, amount: amount()? }], Over::Path(hops)))
        }
        _ => Err(ApiError::bad("give one of `channel`, `group` and `path`")),
    }
}

/// Refuses to pay something else than the channel holds.
fn is_of(own: Asset, named: Option<AssetName>) -> Result<(), ApiError> {
    let other = named.is_some_and(|AssetName(named)| named != own);
    (!other).then_some(()).ok_or_else(|| ApiError::bad("the channel holds another asset than the one that is named"))
}

/// Follows a path of channels from an account: who is paid at its end, in what, and how each channel moves.
async fn walk(
    api: &Api,
    account: AccountId,
    path: &[Id],
    amount: Balance,
) -> Result<(AccountId, Asset, Vec<Hop>), ApiError> {
    let (mut at, mut asset, mut hops) = (account, None, vec![]);
    for (tpc, stored) in on_chain(api, path).await? {
        let owners = stored.owners;
        let [first, second] = owners.parties;
        let next = match at {
            at if at == first => second,
            at if at == second => first,
            _ => {
                let what = format!(
                    "channel {tpc} does not go on where the one before it ends: give them in order, from your own"
                );
                return Err(ApiError::bad(what));
            }
        };
        if *asset.get_or_insert(owners.asset) != owners.asset {
            return Err(ApiError::bad(format!("channel {tpc} holds another asset than the one before it")));
        }
        hops.push(Hop { owners, from: at, amount });
        at = next;
    }
    let asset = asset.ok_or_else(|| ApiError::bad("the path has no channel"))?;
    Ok((at, asset, hops))
}

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PurposeView {
    /// Paying out of the party's own funds when the grantee asks for it.
    Pay,
    /// Passing money on: what leaves one channel comes back in another.
    PassOn,
}

/// A permission to be given.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Permit {
    /// The group whose coordinator may.
    pub group: Option<Id>,
    /// The user who may.
    pub party: Option<Account>,
    /// What for.
    pub purpose: PurposeView,
    /// In which channels; in all if nothing is said.
    pub channels: Option<Vec<Id>>,
    /// Of what; the native token if nothing is said.
    pub asset: Option<AssetName>,
    /// How much may move in all.
    pub limit: Amount,
    /// How much may move in one round; as much as in all if nothing is said.
    pub per_payment: Option<Amount>,
    /// Block time in ms after which it is over; never if nothing is said.
    pub until_ms: Option<u64>,
}

/// A permission that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Permitted {
    /// Its number.
    pub permission: u64,
}

/// Lets somebody move funds without asking again.
#[utoipa::path(post, path = "/v1/permissions", tag = "payments", request_body = Permit, responses(
    (status = 201, body = Permitted), (status = "4XX", body = Failed),
))]
pub(super) async fn permit(
    State(api): State<Api>,
    Body(asked): Body<Permit>,
) -> Result<(StatusCode, Json<Permitted>), ApiError> {
    let grantee = match (asked.group, asked.party) {
        (Some(group), None) => Grantee::Group(group.mpc()),
        (None, Some(Account(party))) => Grantee::Party(party),
        _ => return Err(ApiError::bad("give one of `group` and `party`")),
    };
    let purpose = match asked.purpose {
        PurposeView::Pay => Purpose::Pay,
        PurposeView::PassOn => Purpose::PassOn,
    };
    let unlimited = Permission::unlimited(grantee, purpose, asset(asked.asset));
    let permission = Permission {
        channels: asked.channels.map(|channels| channels.into_iter().map(Id::tpc).collect()),
        left: asked.limit.0,
        per_payment: asked.per_payment.unwrap_or(asked.limit).0,
        until: asked.until_ms.unwrap_or(unlimited.until),
        ..unlimited
    };
    match api.party().permit(permission).await? {
        Answer::Permission(permission) => Ok((StatusCode::CREATED, Json(Permitted { permission }))),
        _ => Err(crate::party::Error::Ended.into()),
    }
}
