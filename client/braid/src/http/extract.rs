//! How what is asked is read, and refused in JSON if it cannot be.

use super::{error::ApiError, text::Id};
use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{request::Parts, StatusCode},
    Json,
};
use serde::de::DeserializeOwned;

/// A body that is JSON.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = Json::from_request(request, state).await;
        let refused = |rejection: axum::extract::rejection::JsonRejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let what = format!("the body is longer than {} bytes: ask for less at once", super::MAX_BODY);
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", what)
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let what = "send JSON, with `Content-Type: application/json`";
                ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", what)
            }
            _ => ApiError::bad(rejection.body_text()),
        };
        read.map(|Json(body)| Self(body)).map_err(refused)
    }
}

/// What a query asks for.
pub(super) struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Self(asked)).map_err(|rejection| ApiError::bad(rejection.body_text()))
    }
}

/// The channel or the group in the path.
pub(super) struct Named(pub Id);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = part(parts, state).await?;
        text.try_into().map(Self).map_err(ApiError::bad)
    }
}

/// The number in the path.
pub(super) struct Numbered(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for Numbered {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = part(parts, state).await?;
        text.parse().map(Self).map_err(|_| ApiError::bad(format!("`{text}` is no number of a request")))
    }
}

async fn part<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, ApiError> {
    let part = Path::from_request_parts(parts, state).await;
    part.map(|Path(text)| text).map_err(|rejection| ApiError::bad(rejection.body_text()))
}
