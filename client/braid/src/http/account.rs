//! The party as a whole: how it stands, its ledger, its peers, its end.

use super::{
    error::{ApiError, Failed},
    extract::Body,
    text::{Account, Amount, Id},
    Api,
};
use crate::transport::{PeerAddress, Route};
use axum::{extract::State, http::StatusCode, Json};
use protocol::Asset;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long the chain is asked for what the account has outside of its channels.
const CHAIN_PATIENCE: Duration = Duration::from_secs(3);

/// How a party stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Its account.
    pub account: Account,
    /// Where it listens on this machine, as `account@host:port`.
    pub listens: Option<String>,
    /// The program's version.
    pub version: String,
    /// The contract.
    pub contract: Account,
    /// The chain, by the hash of its first block.
    pub genesis: Id,
    /// The last final block that it has seen.
    pub block: u32,
    /// That block's time, in ms.
    pub block_time_ms: u64,
    /// Whether it coordinates groups for others.
    pub coordinates: bool,
    /// What it can spend on the chain, in planck; nothing if the node does not answer.
    pub purse: Option<Amount>,
    /// What it has in the contract's ledger, in planck.
    pub ledger: Option<Amount>,
    /// What it holds of the native token in its channels, in planck.
    pub in_channels: Amount,
    /// How many channels it has.
    pub channels: usize,
    /// How many groups it is in.
    pub groups: usize,
    /// How many groups it coordinates.
    pub coordinated: usize,
    /// How many requests wait for an answer.
    pub requests: usize,
    /// How many of its payments are not decided.
    pub undecided: usize,
    /// How many payments it has seen decided.
    pub decided: u64,
    /// Whom it is connected to.
    pub peers: Vec<PeerView>,
}

/// A peer that there is a session with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerView {
    /// Who.
    pub account: Account,
    /// Through whom, if not directly.
    pub through: Option<Account>,
}

/// How the party stands.
#[utoipa::path(get, path = "/v1/status", tag = "account", responses((status = 200, body = Status)))]
pub(super) async fn status(State(api): State<Api>) -> Result<Json<Status>, ApiError> {
    let party = api.party();
    let (account, domain) = (party.account(), party.domain());
    let outside = async { Ok::<_, crate::party::Error>((party.purse().await?, party.ledger(Asset::Native).await?)) };
    let outside = timeout(CHAIN_PATIENCE, outside).await.ok().and_then(Result::ok);
    let peers = party.transport().peers().into_iter().map(|(account, route)| {
        let through = match route {
            Route::Relayed(relay) => Some(relay.into()),
            Route::Direct => None,
        };
        PeerView { account: account.into(), through }
    });
    let (peers, listens) = (peers.collect(), party.address().map(|address| address.to_string()));
    let look = party.look(move |engine| Status {
        account: account.into(),
        listens,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        contract: domain.contract.into(),
        genesis: Id(domain.genesis_hash),
        block: engine.cursor().block,
        block_time_ms: engine.cursor().now,
        coordinates: engine.policy().coordinate,
        purse: outside.map(|(purse, _)| purse.into()),
        ledger: outside.map(|(_, ledger)| ledger.into()),
        in_channels: engine.holdings(Asset::Native).into(),
        channels: engine.channels().filter(|(_, channel)| !channel.on_chain.gone).count(),
        groups: engine.memberships().count(),
        coordinated: engine.led().count(),
        requests: engine.requests().count(),
        undecided: engine.pending().filter(|payment| payment.id.by == account).count(),
        decided: engine.decided(),
        peers,
    });
    Ok(Json(look.await?))
}

/// An amount of the native token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Planck {
    /// How much, in planck.
    pub amount: Amount,
}

/// Puts funds of the account into its ledger. Answers once that is final.
#[utoipa::path(post, path = "/v1/ledger/deposit", tag = "account", request_body = Planck, responses(
    (status = 204, description = "It is on chain"), (status = "4XX", body = Failed), (status = 503, body = Failed),
))]
pub(super) async fn deposit(State(api): State<Api>, Body(asked): Body<Planck>) -> Result<StatusCode, ApiError> {
    api.party().deposit(Asset::Native, asked.amount.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes funds out of the account's ledger. Answers once that is final.
#[utoipa::path(post, path = "/v1/ledger/withdraw", tag = "account", request_body = Planck, responses(
    (status = 204, description = "It is on chain"), (status = "4XX", body = Failed), (status = 503, body = Failed),
))]
pub(super) async fn withdraw(State(api): State<Api>, Body(asked): Body<Planck>) -> Result<StatusCode, ApiError> {
    api.party().withdraw(Asset::Native, asked.amount.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A peer to connect to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// `account@host:port`.
    pub address: String,
    /// Whether peers that there is no connection to are reached through it.
    #[serde(default)]
    pub relay: bool,
}

/// Keeps a connection to a peer until the party stops. The peers of its configuration are connected at each start.
#[utoipa::path(post, path = "/v1/peers", tag = "account", request_body = Connect, responses(
    (status = 202, description = "It is dialled"), (status = 400, body = Failed),
))]
pub(super) async fn connect(State(api): State<Api>, Body(asked): Body<Connect>) -> Result<StatusCode, ApiError> {
    let peer: PeerAddress = asked.address.parse().map_err(ApiError::bad)?;
    let account = peer.account;
    api.party().connect(peer)?;
    if asked.relay {
        api.party().transport().set_relay(account);
    }
    Ok(StatusCode::ACCEPTED)
}

/// Ends the party. Its channels stay; it goes on from its folder when it is started again.
#[utoipa::path(post, path = "/v1/stop", tag = "account", responses((status = 202, description = "It ends")))]
pub(super) async fn stop(State(api): State<Api>) -> StatusCode {
    api.stop();
    StatusCode::ACCEPTED
}
