//! What the API says when it does not do something.

use crate::party;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
    Json,
};
use chain::{contract::CallError, ChainError};
use engine::Refusal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why something is not done: what was wrong and what to do, and a word that programs can go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failed {
    /// A sentence for people.
    pub error: String,
    /// One word for programs; it does not change between versions.
    #[schema(example = "unknown_channel")]
    pub code: String,
}

/// A [`Failed`] with its status.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    failed: Failed,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &str, error: impl ToString) -> Self {
        Self { status, failed: Failed { error: error.to_string(), code: code.to_owned() } }
    }

    pub(super) fn bad(error: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.failed)).into_response()
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match &refusal {
            Refusal::UnknownChannel(_) => (StatusCode::NOT_FOUND, "unknown_channel"),
            Refusal::UnknownGroup(_) => (StatusCode::NOT_FOUND, "unknown_group"),
            Refusal::Unknown => (StatusCode::NOT_FOUND, "unknown"),
            Refusal::Insufficient { .. } => (StatusCode::CONFLICT, "insufficient"),
            Refusal::BadPayment => (StatusCode::BAD_REQUEST, "bad_payment"),
            Refusal::OldTerm(_) | Refusal::Reason(_) => (StatusCode::CONFLICT, "refused"),
        };
        Self::new(status, code, refusal)
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let (status, code) = match &error {
            CallError::Contract(_) => (StatusCode::CONFLICT, "contract_refuses"),
            CallError::Chain(ChainError::Node(_)) => (StatusCode::SERVICE_UNAVAILABLE, "node"),
            CallError::Chain(ChainError::Outstanding { .. }) => (StatusCode::GATEWAY_TIMEOUT, "outstanding"),
            CallError::Chain(_) => (StatusCode::CONFLICT, "chain_refuses"),
            CallError::Lang(_) | CallError::Answer => (StatusCode::BAD_GATEWAY, "contract"),
        };
        Self::new(status, code, error)
    }
}

impl From<ChainError> for ApiError {
    fn from(error: ChainError) -> Self {
        CallError::from(error).into()
    }
}

impl From<party::Error> for ApiError {
    fn from(error: party::Error) -> Self {
        let (status, code) = match error {
            party::Error::Refused(refusal) => return refusal.into(),
            party::Error::Call(error) => return error.into(),
            party::Error::Ended => (StatusCode::SERVICE_UNAVAILABLE, "ended"),
            party::Error::Void(_) => (StatusCode::CONFLICT, "void"),
            party::Error::Undecided(_) => (StatusCode::GATEWAY_TIMEOUT, "undecided"),
            party::Error::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
            party::Error::Peer(_) => (StatusCode::BAD_REQUEST, "bad_peer"),
        };
        Self::new(status, code, error)
    }
}
