//! Channels: shown, opened, filled up, partly paid out, closed, disputed.

use super::{
    error::{ApiError, Failed},
    extract::{Body, Named},
    text::{Account, Amount, AssetName, Id},
    view::{asset, ChannelView},
    Api,
};
use crate::party::{Open, WINDOW};
use axum::{extract::State, http::StatusCode, Json};
use engine::{Command, Refusal};
use protocol::{Resolution, TpcId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// All channels of the party.
#[utoipa::path(get, path = "/v1/channels", tag = "channels", responses((status = 200, body = Vec<ChannelView>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<ChannelView>>, ApiError> {
    let (party, account) = (api.party(), api.party().account());
    let channels = party.channels().await?;
    Ok(Json(channels.iter().map(|(tpc, channel)| ChannelView::new(*tpc, channel, account)).collect()))
}

/// A channel of the party.
#[utoipa::path(get, path = "/v1/channels/{id}", tag = "channels", params(("id" = String, Path)), responses(
    (status = 200, body = ChannelView), (status = 404, body = Failed),
))]
pub(super) async fn show(State(api): State<Api>, Named(id): Named) -> Result<Json<ChannelView>, ApiError> {
    let (account, tpc) = (api.party().account(), id.tpc());
    let look = api.party().look(move |engine| {
        let mut channels = engine.channels();
        channels.find(|(own, _)| **own == tpc).map(|(tpc, channel)| ChannelView::new(*tpc, channel, account))
    });
    Ok(Json(look.await?.ok_or(Refusal::UnknownChannel(tpc))?))
}

/// A channel to be opened.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenChannel {
    /// With whom. There has to be a connection to it.
    pub peer: Account,
    /// What this party puts in.
    pub own: Amount,
    /// What the peer puts in, out of its ledger. It has to accept that.
    #[serde(default = "nothing")]
    pub theirs: Amount,
    /// What the channel holds; the native token if nothing is said.
    pub asset: Option<AssetName>,
    /// How long a dispute may be answered, in ms of block time; a day if nothing is said.
    pub window_ms: Option<u64>,
    /// How long to wait until it is on chain, in ms. Not at all if nothing is said.
    #[serde(default)]
    pub patience_ms: u64,
}

pub(super) fn nothing() -> Amount {
    Amount(0)
}

/// A channel that is on its way, or there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Opening {
    /// Its id.
    pub id: Id,
    /// Whether it is on chain.
    pub open: bool,
}

/// Proposes to open a channel. What the party's ledger lacks comes from its account.
#[utoipa::path(post, path = "/v1/channels", tag = "channels", request_body = OpenChannel, responses(
    (status = 201, description = "It is on chain", body = Opening),
    (status = 202, description = "The peer is asked", body = Opening),
    (status = "4XX", body = Failed), (status = 503, body = Failed),
))]
pub(super) async fn open(
    State(api): State<Api>,
    Body(asked): Body<OpenChannel>,
) -> Result<(StatusCode, Json<Opening>), ApiError> {
    let open = Open {
        peer: asked.peer.0,
        asset: asset(asked.asset),
        own: asked.own.0,
        theirs: asked.theirs.0,
        window: asked.window_ms.unwrap_or(WINDOW),
    };
    let tpc = api.party().propose(open).await?;
    let is_there = move |engine: &engine::Engine| engine.channel(&tpc).is_some_and(|channel| !channel.on_chain.gone);
    let open = api.is_soon(is_there, Duration::from_millis(asked.patience_ms)).await?;
    let status = if open { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(Opening { id: tpc.into(), open })))
}

/// How long to wait.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Patience {
    /// How long to wait until it is on chain, in ms. Not at all if nothing is said.
    #[serde(default)]
    pub patience_ms: u64,
}

/// Proposes to the peer to close a channel and pay it out.
#[utoipa::path(post, path = "/v1/channels/{id}/close", tag = "channels", params(("id" = String, Path)),
    request_body = Patience, responses(
    (status = 204, description = "It is closed"), (status = 202, description = "The peer is asked"),
    (status = "4XX", body = Failed),
))]
pub(super) async fn close(
    State(api): State<Api>,
    Named(id): Named,
    Body(asked): Body<Patience>,
) -> Result<StatusCode, ApiError> {
    let tpc = id.tpc();
    own(&api, tpc).await?;
    api.party().close(tpc).await?;
    let is_gone = move |engine: &engine::Engine| engine.channel(&tpc).is_none_or(|channel| channel.on_chain.gone);
    done(api.is_soon(is_gone, Duration::from_millis(asked.patience_ms)).await?)
}

fn done(done: bool) -> Result<StatusCode, ApiError> {
    Ok(if done { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED })
}

/// Refuses what is no channel of the party that is on chain.
async fn own(api: &Api, tpc: TpcId) -> Result<(), ApiError> {
    let look =
        api.party().look(move |engine| engine.channels().any(|(own, channel)| *own == tpc && !channel.on_chain.gone));
    look.await?.then_some(()).ok_or(Refusal::UnknownChannel(tpc).into())
}

/// What becomes of a channel after its dispute.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// Whether it lives on, in its next epoch, instead of being paid out.
    #[serde(default)]
    pub renew: bool,
}

/// Starts the clock of a channel whose other owner does not answer. The newest state goes on chain; it is settled by itself
/// after its window.
#[utoipa::path(post, path = "/v1/channels/{id}/dispute", tag = "channels", params(("id" = String, Path)),
    request_body = Dispute, responses((status = 202, description = "It is on its way"), (status = "4XX", body = Failed)))]
pub(super) async fn dispute(
    State(api): State<Api>,
    Named(id): Named,
    Body(asked): Body<Dispute>,
) -> Result<StatusCode, ApiError> {
    own(&api, id.tpc()).await?;
    let then = if asked.renew { Resolution::Renew } else { Resolution::Settle };
    api.party().dispute(vec![id.tpc()], then).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What moves between a channel and what is outside of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// For this party.
    #[serde(default = "nothing")]
    pub own: Amount,
    /// For the peer.
    #[serde(default = "nothing")]
    pub theirs: Amount,
    /// How long to wait until it is on chain, in ms. Not at all if nothing is said.
    #[serde(default)]
    pub patience_ms: u64,
}

/// Proposes to put more of the owners' ledgers into a channel.
#[utoipa::path(post, path = "/v1/channels/{id}/topup", tag = "channels", params(("id" = String, Path)),
    request_body = Amounts, responses(
    (status = 204, description = "It is on chain"), (status = 202, description = "The peer is asked"),
    (status = "4XX", body = Failed),
))]
pub(super) async fn top_up(
    State(api): State<Api>,
    Named(id): Named,
    Body(asked): Body<Amounts>,
) -> Result<StatusCode, ApiError> {
    let (tpc, valid_until) = (id.tpc(), api.party().valid_until().await?);
    let command = Command::TopUp { tpc, own: asked.own.0, theirs: asked.theirs.0, valid_until };
    agree(&api, tpc, command, asked.patience_ms).await
}

/// Proposes to pay a part of a channel out to its owners' accounts.
#[utoipa::path(post, path = "/v1/channels/{id}/withdraw", tag = "channels", params(("id" = String, Path)),
    request_body = Amounts, responses(
    (status = 204, description = "It is on chain"), (status = 202, description = "The peer is asked"),
    (status = "4XX", body = Failed),
))]
pub(super) async fn withdraw(
    State(api): State<Api>,
    Named(id): Named,
    Body(asked): Body<Amounts>,
) -> Result<StatusCode, ApiError> {
    let (tpc, valid_until) = (id.tpc(), api.party().valid_until().await?);
    let command = Command::Withdraw { tpc, own: asked.own.0, theirs: asked.theirs.0, valid_until };
    agree(&api, tpc, command, asked.patience_ms).await
}

/// Proposes what begins a channel's next epoch.
async fn agree(api: &Api, tpc: TpcId, command: Command, patience_ms: u64) -> Result<StatusCode, ApiError> {
    own(api, tpc).await?;
    let epoch = |engine: &engine::Engine, tpc| engine.channel(&tpc).map(|channel| channel.latest.epoch);
    let before = api.party().look(move |engine| epoch(engine, tpc)).await?;
    api.party().command(command).await?;
    let has_begun = move |engine: &engine::Engine| epoch(engine, tpc) != before;
    done(api.is_soon(has_begun, Duration::from_millis(patience_ms)).await?)
}
