//! A party's HTTP API, as its daemon serves it: JSON under `/v1`, for whoever has the token.
//!
//! - [`text`], how amounts, accounts and ids are written, and [`view`], what is shown
//! - [`error`], what is said when something is not done
//! - [`account`], [`channels`], [`groups`], [`payments`], [`requests`], `events`: the endpoints, a file for what each is about
//! - `auth`, who may ask; `extract`, how what is asked is read
//!
//! The OpenAPI description is served at `/v1/openapi.json`, and made by [`openapi`].

pub mod account;
mod auth;
pub mod channels;
pub mod error;
mod events;
mod extract;
pub mod groups;
mod openapi;
pub mod payments;
pub mod requests;
pub mod text;
pub mod view;

pub use openapi::openapi;

use crate::party::Party;
use axum::{
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{get, post},
    Router,
};
use error::ApiError;
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, time::timeout};

/// The longest body that is read, in bytes.
pub const MAX_BODY: usize = 64 << 10;

/// How long answers under way may take once the API stops.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A party's API. Copies are the same.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    party: Party,
    token: String,
    stopping: watch::Sender<bool>,
}

impl Api {
    /// The API of a party. Whoever has `token` may do everything.
    pub fn new(party: Party, token: impl Into<String>) -> Self {
        let (stopping, _) = watch::channel(false);
        Self(Arc::new(Shared { party, token: token.into(), stopping }))
    }

    /// Its endpoints.
    pub fn router(&self) -> Router {
        let v1 = Router::new()
            .route("/status", get(account::status))
            .route("/ledger/deposit", post(account::deposit))
            .route("/ledger/withdraw", post(account::withdraw))
            .route("/peers", post(account::connect))
            .route("/stop", post(account::stop))
            .route("/channels", get(channels::list).post(channels::open))
            .route("/channels/{id}", get(channels::show))
            .route("/channels/{id}/close", post(channels::close))
            .route("/channels/{id}/dispute", post(channels::dispute))
            .route("/channels/{id}/topup", post(channels::top_up))
            .route("/channels/{id}/withdraw", post(channels::withdraw))
            .route("/groups", get(groups::list).post(groups::form))
            .route("/groups/{id}/close", post(groups::close))
            .route("/payments", get(payments::list).post(payments::pay))
            .route("/permissions", post(payments::permit))
            .route("/requests", get(requests::list))
            .route("/requests/{number}", post(requests::answer))
            .route("/events", get(events::events))
            .route("/openapi.json", get(openapi::serve));
        Router::new()
            .nest("/v1", v1)
            .fallback(|| async {
                let what = "there is no such endpoint: see /v1/openapi.json";
                ApiError::new(StatusCode::NOT_FOUND, "unknown_endpoint", what)
            })
            .method_not_allowed_fallback(|| async {
                let what = "the endpoint has no such method: see /v1/openapi.json";
                ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", what)
            })
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(middleware::from_fn_with_state(self.clone(), auth::check))
            .with_state(self.clone())
    }

    /// Serves it until [`Api::stop`].
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<()> {
        let served = axum::serve(listener, self.router()).with_graceful_shutdown(self.stopped());
        let too_long = async {
            self.stopped().await;
            tokio::time::sleep(LAST_ANSWERS).await;
        };
        tokio::select! {
            served = served => served,
            () = too_long => Ok(()),
        }
    }

    /// Stops serving it.
    pub fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Waits until it stops: somebody has asked for that, over it or by [`Api::stop`].
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.0.stopping.subscribe();
        async move {
            // If the sender is gone, so is the API.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    fn party(&self) -> &Party {
        &self.0.party
    }

    /// Waits until something is true of the engine, and says whether it is before `patience` is over.
    async fn is_soon(
        &self,
        is_true: impl Fn(&engine::Engine) -> bool + Send + Sync + Clone + 'static,
        patience: Duration,
    ) -> Result<bool, ApiError> {
        match self.party().wait_until(is_true, patience).await {
            Ok(()) => Ok(true),
            Err(crate::party::Error::Undecided(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Waits for a notice, and answers `None` if it does not come before `patience` is over. Those that were missed because the
/// listener was too slow are gone.
async fn wait_for<T>(
    notices: &mut tokio::sync::broadcast::Receiver<engine::Notice>,
    patience: Duration,
    pick: impl Fn(engine::Notice) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    use tokio::sync::broadcast::error::RecvError;
    let wait = async {
        loop {
            match notices.recv().await {
                Ok(notice) => {
                    if let Some(picked) = pick(notice) {
                        return Ok(picked);
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(crate::party::Error::Ended.into()),
            }
        }
    };
    timeout(patience, wait).await.ok().transpose()
}
