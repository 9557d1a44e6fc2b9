//! What others want of the party, and its answers. The engine keeps the requests until they are answered; after a restart
//! whoever still wants something asks again.

use super::{
    error::{ApiError, Failed},
    extract::{Body, Numbered},
    view::RequestView,
    Api,
};
use axum::{extract::State, http::StatusCode, Json};
use engine::Command;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What waits for an answer.
#[utoipa::path(get, path = "/v1/requests", tag = "requests", responses((status = 200, body = Vec<RequestView>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<RequestView>>, ApiError> {
    let look = api.party().look(|engine| {
        let account = engine.account();
        let requests = engine.requests();
        requests.map(|(request, from, wants)| RequestView::new(request, from, &wants, account)).collect()
    });
    Ok(Json(look.await?))
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// Whether the party does it.
    pub accept: bool,
}

/// Accepts or rejects what somebody wants.
#[utoipa::path(post, path = "/v1/requests/{number}", tag = "requests", params(("number" = u64, Path)),
    request_body = Answered, responses((status = 204, description = "It is answered"), (status = "4XX", body = Failed)))]
pub(super) async fn answer(
    State(api): State<Api>,
    Numbered(request): Numbered,
    Body(asked): Body<Answered>,
) -> Result<StatusCode, ApiError> {
    api.party().command(Command::Answer { request, accept: asked.accept }).await?;
    Ok(StatusCode::NO_CONTENT)
}
