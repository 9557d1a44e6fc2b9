//! Who may ask: whoever has the token.

use super::{error::ApiError, Api};
use axum::{
    extract::{Request, State},
    http::{header, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Lets a request through that shows the token.
pub(super) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    if shown.is_some_and(|(_, token)| is_same(token.trim().as_bytes(), api.0.token.as_bytes())) {
        return next.run(request).await;
    }
    let what = "send the token of the party's folder, from the file `token`, as `Authorization: Bearer …`";
    let refusal = ApiError::new(StatusCode::UNAUTHORIZED, "no_token", what);
    ([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response()
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn is_same(shown: &[u8], token: &[u8]) -> bool {
    let differs = shown.iter().zip(token).fold(0, |differs, (one, other)| differs | (one ^ other));
    !token.is_empty() && shown.len() == token.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn only_the_whole_token_is_good() {
        assert!(is_same(b"secret", b"secret"));
        for bad in [&b""[..], b"s", b"secre", b"secret ", b"Secret"] {
            assert!(!is_same(bad, b"secret"));
        }
        assert!(!is_same(b"", b""));
    }
}
