//! Groups: shown, formed, closed.

use super::{
    error::{ApiError, Failed},
    extract::{Body, Named},
    text::{Account, Id},
    view::GroupView,
    wait_for, Api,
};
use axum::{extract::State, http::StatusCode, Json};
use engine::{Answer, Command, Engine, Notice, Refusal};
use protocol::{MpcId, Tpc, TpcId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// The groups that the party is in, or coordinates.
#[utoipa::path(get, path = "/v1/groups", tag = "groups", responses((status = 200, body = Vec<GroupView>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<GroupView>>, ApiError> {
    Ok(Json(api.party().look(views).await?))
}

fn views(engine: &Engine) -> Vec<GroupView> {
    let account = engine.account();
    let in_it = |mpc: &MpcId| {
        let own = engine.channels().filter(|(_, channel)| channel.mpc == Some(*mpc));
        own.map(|(tpc, _)| Id::from(*tpc)).collect()
    };
    let member = engine.memberships().map(|(mpc, member)| GroupView {
        id: (*mpc).into(),
        coordinator: member.coordinator.into(),
        open: member.is_open(),
        registered: member.registered,
        channels: in_it(mpc),
    });
    let led = engine.led().map(|(mpc, led)| GroupView {
        id: (*mpc).into(),
        coordinator: account.into(),
        open: led.is_open(),
        registered: led.is_registered(),
        channels: engine.seats(mpc).map(|tpc| Id::from(*tpc)).collect(),
    });
    let mut views: Vec<_> = led.chain(member).collect();
    // A coordinator that is a member itself knows more as the coordinator.
    let mut seen = std::collections::BTreeSet::new();
    views.retain(|view| seen.insert(view.id.0));
    views
}

/// A group to be formed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormGroup {
    /// All its channels. They have to be on chain, and at least one is the party's own.
    pub channels: Vec<Id>,
    /// Who leads its rounds. There has to be a connection to it.
    pub coordinator: Account,
    /// Whether it is registered on chain, as in the paper.
    #[serde(default)]
    pub registered: bool,
    /// How long to wait until it exists, in ms. Not at all if nothing is said.
    #[serde(default)]
    pub patience_ms: u64,
}

/// A group that is on its way, or there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Forming {
    /// Its id.
    pub id: Id,
    /// Whether it exists.
    pub open: bool,
}

/// What the chain holds of channels.
pub(super) async fn on_chain(api: &Api, channels: &[Id]) -> Result<Vec<(TpcId, Tpc)>, ApiError> {
    let mut found = Vec::with_capacity(channels.len());
    for id in channels {
        let tpc = id.tpc();
        let stored = api.party().stored(tpc).await?;
        let unknown = || {
            let what = format!("there is no channel {tpc} on chain: check the id, or wait until it is opened");
            ApiError::new(StatusCode::NOT_FOUND, "unknown_channel", what)
        };
        found.push((tpc, stored.ok_or_else(unknown)?));
    }
    Ok(found)
}

/// Asks a coordinator to form a group of channels. All their owners have to agree.
#[utoipa::path(post, path = "/v1/groups", tag = "groups", request_body = FormGroup, responses(
    (status = 201, description = "It exists", body = Forming),
    (status = 202, description = "Its members are asked", body = Forming),
    (status = "4XX", body = Failed), (status = 503, body = Failed),
))]
pub(super) async fn form(
    State(api): State<Api>,
    Body(asked): Body<FormGroup>,
) -> Result<(StatusCode, Json<Forming>), ApiError> {
    let party = api.party();
    let stored = on_chain(&api, &asked.channels).await?;
    let mut channels: Vec<_> = stored.iter().map(|(_, tpc)| (tpc.owners, tpc.registrations)).collect();
    channels.sort_by_key(|(owners, _)| owners.parties);
    let (coordinator, registered) = (asked.coordinator.0, asked.registered);
    let valid_until = party.valid_until().await?;
    let mut notices = party.notices();
    let form = Command::CreateMpc { channels, coordinator, registered, valid_until };
    let Answer::Mpc(mpc) = party.command(form).await? else { return Err(crate::party::Error::Ended.into()) };
    let formed = wait_for(&mut notices, Duration::from_millis(asked.patience_ms), |notice| match notice {
        Notice::MpcCreated(created) if created == mpc => Some(Ok(())),
        Notice::MpcCreateFailed(failed, reason) if failed == mpc => Some(Err(Refusal::Reason(reason))),
        _ => None,
    });
    let open = formed.await?.transpose()?.is_some();
    let status = if open { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(Forming { id: mpc.into(), open })))
}

/// A group to be closed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseGroup {
    /// All its channels. Without any, those that the party owns or leads in it.
    #[serde(default)]
    pub channels: Vec<Id>,
    /// How long to wait until it is closed, in ms. Not at all if nothing is said.
    #[serde(default)]
    pub patience_ms: u64,
}

/// Asks the coordinator to release all channels of a group. All their owners have to agree.
#[utoipa::path(post, path = "/v1/groups/{id}/close", tag = "groups", params(("id" = String, Path)),
    request_body = CloseGroup, responses(
    (status = 204, description = "It is closed"), (status = 202, description = "Its members are asked"),
    (status = "4XX", body = Failed), (status = 503, body = Failed),
))]
pub(super) async fn close(
    State(api): State<Api>,
    Named(id): Named,
    Body(asked): Body<CloseGroup>,
) -> Result<StatusCode, ApiError> {
    let (party, mpc) = (api.party(), id.mpc());
    let views = party.look(views).await?;
    let known = views.into_iter().find(|view| view.id == id).ok_or(Refusal::UnknownGroup(mpc))?;
    let named = if asked.channels.is_empty() { known.channels } else { asked.channels };
    let stored = on_chain(&api, &named).await?;
    let channels = stored.into_iter().map(|(id, tpc)| (id, tpc.registrations)).collect();
    let valid_until = party.valid_until().await?;
    let mut notices = party.notices();
    party.command(Command::CloseMpc { mpc, channels, valid_until }).await?;
    let closed = wait_for(&mut notices, Duration::from_millis(asked.patience_ms), |notice| match notice {
        Notice::MpcClosed(closed) if closed == mpc => Some(Ok(())),
        Notice::MpcCloseFailed(failed, reason) if failed == mpc => Some(Err(Refusal::Reason(reason))),
        _ => None,
    });
    let closed = closed.await?.transpose()?.is_some();
    Ok(if closed { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED })
}
