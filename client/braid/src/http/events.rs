//! What happens, as Server-Sent Events.

use super::{view::event, Api};
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use std::convert::Infallible;
use tokio_stream::{
    wrappers::{errors::BroadcastStreamRecvError, BroadcastStream},
    Stream, StreamExt,
};

/// Everything that happens from now on: each event has its kind and a JSON document.
#[utoipa::path(get, path = "/v1/events", tag = "events", responses(
    (status = 200, description = "Events, each with its kind as `event` and a JSON document as `data`. `missed` says that the listener was too slow", content_type = "text/event-stream", body = String),
))]
pub(super) async fn events(State(api): State<Api>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let notices = BroadcastStream::new(api.party().notices()).map(Some);
    // It ends with the API.
    let (to, stopped) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = api.stopped() => { let _ = to.send(()).await; }
            () = to.closed() => {}
        }
    });
    let end = tokio_stream::wrappers::ReceiverStream::new(stopped).map(|()| None);
    let shown = notices.merge(end).take_while(Option::is_some).filter_map(|notice| notice).map(|notice| {
        let (kind, document) = match notice {
            Ok(notice) => event(&notice),
            Err(BroadcastStreamRecvError::Lagged(missed)) => ("missed", serde_json::json!({ "events": missed })),
        };
        Ok(Event::default().event(kind).data(document.to_string()))
    });
    Sse::new(shown).keep_alive(KeepAlive::default())
}
