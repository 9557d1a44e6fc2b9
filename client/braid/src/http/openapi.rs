//! The description of the API, made from the code.

use super::{account, channels, error::Failed, events, groups, payments, requests};
use axum::Json;
use utoipa::{
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    Modify, OpenApi,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Braid", description = "A party's payment channels. Amounts are text, in the asset's smallest unit."),
    paths(
        account::status, account::deposit, account::withdraw, account::connect, account::stop,
        channels::list, channels::show, channels::open, channels::close, channels::dispute, channels::top_up,
        channels::withdraw,
        groups::list, groups::form, groups::close,
        payments::list, payments::pay, payments::permit,
        requests::list, requests::answer, events::events,
    ),
    components(schemas(Failed)),
    security(("token" = [])),
    modifiers(&Token),
)]
struct Description;

/// Says that each request shows the token.
struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        if let Some(components) = openapi.components.as_mut() {
            components.add_security_scheme("token", SecurityScheme::Http(scheme));
        }
    }
}

/// The API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

pub(super) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}
