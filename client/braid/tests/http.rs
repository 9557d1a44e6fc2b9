//! The HTTP API of parties at work on the embedded chain, without a socket of its own.
#![allow(missing_docs, clippy::unwrap_used)] // A failure here fails the test.

use axum::{
    body::Body,
    http::{header, Method, Request, StatusCode},
};
use braid::{
    http::{openapi, Api, MAX_BODY},
    party::Party,
};
use chain::{
    contract::{Bundle, Contract},
    embedded::SharedChain,
    keys::{address, Keys},
};
use devchain::Devchain;
use engine::Policy;
use serde_json::{json, Value};
use std::{net::SocketAddr, time::Duration};
use tower::ServiceExt;

const TOKEN: &str = "0123456789abcdef";

/// Ten UNIT, in planck.
const TEN: &str = "10000000000000";

struct Daemon {
    party: Party,
    api: Api,
    _folder: tempfile::TempDir,
}

impl Daemon {
    async fn start(suri: &str, chain: &SharedChain, contract: &Contract, coordinate: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let anywhere: SocketAddr = ([127, 0, 0, 1], 0).into();
        let policy = Policy { coordinate, ..Policy::default() };
        let builder =
            Party::builder(Keys::from_suri(suri).unwrap()).folder(folder.path()).listen(anywhere).policy(policy);
        let party = builder.start(chain.clone(), contract.clone()).await.unwrap();
        let api = Api::new(party.clone(), TOKEN);
        Self { party, api, _folder: folder }
    }

    fn account(&self) -> String {
        address(&self.party.account())
    }

    fn address(&self) -> String {
        self.party.address().unwrap().to_string()
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, Value) {
        let answer = self.api.router().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let document = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        if !status.is_success() {
            assert!(document["error"].is_string() && document["code"].is_string(), "{status}: {document}");
        }
        (status, document)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(request(Method::GET, path, Body::empty())).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(request(Method::POST, path, Body::from(body.to_string()))).await
    }

    /// Accepts the next thing that somebody wants.
    async fn accept(&self) -> Value {
        for _ in 0..1_000 {
            let (_, requests) = self.get("/v1/requests").await;
            if let Some(request) = requests.as_array().unwrap().first() {
                let path = format!("/v1/requests/{}", request["request"]);
                assert_eq!(self.post(&path, json!({ "accept": true })).await.0, StatusCode::NO_CONTENT);
                return request.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody has asked")
    }
}

fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    request.header(header::AUTHORIZATION, format!("Bearer {TOKEN}")).body(body).unwrap()
}

async fn world() -> (SharedChain, Contract) {
    let mut chain = SharedChain::new(Devchain::new());
    let alice = Keys::from_suri("//Alice").unwrap();
    let (contract, _) = Contract::deploy(&mut chain, &alice, &Bundle::built_in().unwrap()).await.unwrap();
    (chain, contract)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_answers() {
    let (chain, contract) = world().await;
    let alice = Daemon::start("//Alice", &chain, &contract, false).await;
    let bob = Daemon::start("//Bob", &chain, &contract, false).await;
    let coordinator = Daemon::start("//Eve", &chain, &contract, true).await;
    for daemon in [&alice, &bob] {
        let deposit = json!({ "amount": "20000000000000" });
        assert_eq!(daemon.post("/v1/ledger/deposit", deposit).await.0, StatusCode::NO_CONTENT);
        let connect = json!({ "address": coordinator.address() });
        assert_eq!(daemon.post("/v1/peers", connect).await.0, StatusCode::ACCEPTED);
    }
    assert_eq!(alice.post("/v1/peers", json!({ "address": bob.address() })).await.0, StatusCode::ACCEPTED);

    let (status, open) = alice.post("/v1/channels", json!({ "peer": bob.account(), "own": TEN, "theirs": TEN })).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let wanted = bob.accept().await;
    assert_eq!((&wanted["wants"], &wanted["own"], &wanted["theirs"]), (&json!("open"), &json!(TEN), &json!(TEN)));
    let id = open["id"].as_str().unwrap().to_owned();
    for daemon in [&alice, &bob] {
        let tpc = braid::http::text::Id::try_from(id.clone()).unwrap().tpc();
        daemon.party.wait_until(move |engine| engine.channel(&tpc).is_some(), Duration::from_secs(20)).await.unwrap();
    }
    let (_, channels) = alice.get("/v1/channels").await;
    let (status, channel) = alice.get(&format!("/v1/channels/{id}")).await;
    assert_eq!((status, &channels[0]), (StatusCode::OK, &channel));
    assert_eq!(
        (&channel["peer"], &channel["own"], &channel["state"]),
        (&json!(bob.account()), &json!(TEN), &json!("open"))
    );

    let (status, paid) = alice.post("/v1/payments", json!({ "channel": id, "amount": "7" })).await;
    assert_eq!((status, &paid["outcome"]), (StatusCode::OK, &json!("settled")));
    let (status, paid) = alice.post("/v1/payments", json!({ "path": [id], "amount": "2" })).await;
    // Bob is asked for consent to a path, and answers nobody: it stays undecided, or void.
    assert!(status == StatusCode::OK || status == StatusCode::ACCEPTED || status == StatusCode::CONFLICT, "{paid}");
    let (_, history) = alice.get("/v1/payments?from=0&limit=1").await;
    assert_eq!(history["payments"][0]["transfers"][0]["amount"], json!("7"));

    let form = json!({ "channels": [id], "coordinator": coordinator.account(), "patience_ms": 20_000 });
    let (formed, ()) = tokio::join!(alice.post("/v1/groups", form), async {
        loop {
            if bob.accept().await["wants"] == "group" {
                return;
            }
        }
    });
    let (status, formed) = formed;
    assert_eq!((status, &formed["open"]), (StatusCode::CREATED, &json!(true)), "{formed}");
    let group = formed["id"].as_str().unwrap();
    let (_, groups) = alice.get("/v1/groups").await;
    assert_eq!((&groups[0]["id"], &groups[0]["channels"]), (&json!(group), &json!([id])));
    let (_, led) = coordinator.get("/v1/groups").await;
    assert_eq!((&led[0]["id"], &led[0]["channels"]), (&json!(group), &json!([id])));
    for purpose in ["pay", "pass_on"] {
        let permit = json!({ "group": group, "purpose": purpose, "limit": TEN });
        assert_eq!(bob.post("/v1/permissions", permit).await.0, StatusCode::CREATED);
    }
    let pay = json!({ "group": group, "transfers": [{ "from": bob.account(), "amount": "3" }] });
    let (status, paid) = alice.post("/v1/payments", pay).await;
    assert_eq!((status, &paid["outcome"]), (StatusCode::OK, &json!("settled")), "{paid}");
    let (status, answer) = alice.post(&format!("/v1/groups/{group}/close"), json!({ "patience_ms": 20_000 })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");

    for action in ["withdraw", "topup"] {
        let path = format!("/v1/channels/{id}/{action}");
        let (status, answer) = alice.post(&path, json!({ "own": "1", "patience_ms": 20_000 })).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{action}: {answer}");
    }
    assert_eq!(alice.post("/v1/ledger/withdraw", json!({ "amount": "1" })).await.0, StatusCode::NO_CONTENT);
    let (status, answer) = alice.post(&format!("/v1/channels/{id}/dispute"), json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let (_, status) = alice.get("/v1/status").await;
    assert_eq!((&status["account"], &status["coordinates"]), (&json!(alice.account()), &json!(false)));
    assert!(status["purse"].is_string() && status["ledger"].is_string(), "{status}");
    let (status, document) = alice.get("/v1/openapi.json").await;
    assert_eq!((status, document), (StatusCode::OK, serde_json::to_value(openapi()).unwrap()));
    assert_eq!(alice.post("/v1/stop", json!({})).await.0, StatusCode::ACCEPTED);
    alice.api.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_without_the_token() {
    let (chain, contract) = world().await;
    let alice = Daemon::start("//Alice", &chain, &contract, false).await;
    for shown in [None, Some("Bearer"), Some("Bearer wrong"), Some("Basic 0123456789abcdef"), Some(TOKEN)] {
        for path in ["/v1/status", "/v1/openapi.json", "/elsewhere"] {
            let mut request = Request::get(path);
            if let Some(shown) = shown {
                request = request.header(header::AUTHORIZATION, shown);
            }
            let (status, document) = alice.ask(request.body(Body::empty()).unwrap()).await;
            assert_eq!((status, &document["code"]), (StatusCode::UNAUTHORIZED, &json!("no_token")), "{shown:?} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_in_json() {
    let (chain, contract) = world().await;
    let alice = Daemon::start("//Alice", &chain, &contract, false).await;
    let id = format!("0x{}", "11".repeat(32));
    let bob = address(&Keys::from_suri("//Bob").unwrap().account());
    let long = "x".repeat(MAX_BODY + 1);
    for (path, body, status, code) in [
        ("/v1/payments", json!({ "channel": id, "amount": "1" }), 404, "unknown_channel"),
        ("/v1/payments", json!({ "path": [id], "amount": "1" }), 404, "unknown_channel"),
        ("/v1/payments", json!({ "group": id, "transfers": [] }), 400, "bad_payment"),
        ("/v1/payments", json!({ "channel": id, "amount": 1 }), 400, "bad_request"),
        ("/v1/payments", json!({ "channel": id, "amount": "-1" }), 400, "bad_request"),
        ("/v1/payments", json!({ "channel": id }), 400, "bad_request"),
        ("/v1/payments", json!({ "amount": "1" }), 400, "bad_request"),
        ("/v1/payments", json!({ "amount": "1", "chanel": id }), 400, "bad_request"),
        ("/v1/payments", json!({ "channel": long }), 413, "too_long"),
        ("/v1/channels", json!({ "peer": "nobody", "own": "1" }), 400, "bad_request"),
        ("/v1/channels", json!({ "peer": alice.account(), "own": "1" }), 409, "refused"),
        ("/v1/groups", json!({ "channels": [id], "coordinator": bob }), 404, "unknown_channel"),
        ("/v1/permissions", json!({ "purpose": "pay", "limit": "1" }), 400, "bad_request"),
        ("/v1/peers", json!({ "address": "somewhere" }), 400, "bad_request"),
        ("/v1/peers", json!({ "address": alice.address() }), 400, "bad_peer"),
        ("/v1/requests/7", json!({ "accept": true }), 404, "unknown"),
        ("/v1/requests/x", json!({ "accept": true }), 400, "bad_request"),
        ("/v1/ledger/withdraw", json!({ "amount": "1" }), 409, "contract_refuses"),
        ("/v1/status", json!({}), 405, "method"),
        ("/v1/elsewhere", json!({}), 404, "unknown_endpoint"),
        ("/", json!({}), 404, "unknown_endpoint"),
    ] {
        let (found, document) = alice.post(path, body.clone()).await;
        assert_eq!((found.as_u16(), &document["code"]), (status, &json!(code)), "{path}: {document}");
    }
    for action in ["close", "dispute", "topup", "withdraw"] {
        for (id, status, code) in [(&id[..], 404, "unknown_channel"), ("0x12", 400, "bad_request")] {
            let (found, document) = alice.post(&format!("/v1/channels/{id}/{action}"), json!({})).await;
            assert_eq!((found.as_u16(), &document["code"]), (status, &json!(code)), "{action}: {document}");
        }
    }
    let (status, document) = alice.post(&format!("/v1/groups/{id}/close"), json!({})).await;
    assert_eq!((status.as_u16(), &document["code"]), (404, &json!("unknown_group")));
    for path in ["/v1/channels/0x12", "/v1/payments?from=x", "/v1/payments?form=1"] {
        let (status, document) = alice.get(path).await;
        assert_eq!((status.as_u16(), &document["code"]), (400, &json!("bad_request")), "{path}");
    }
    for (kind, text, status) in
        [("text/plain", "{}", 415), ("application/json", "{", 400), ("application/json", "", 400)]
    {
        let request = Request::post("/v1/payments").header(header::CONTENT_TYPE, kind);
        let request = request.header(header::AUTHORIZATION, format!("bearer {TOKEN}")).body(Body::from(text)).unwrap();
        assert_eq!(alice.ask(request).await.0.as_u16(), status, "{kind} {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_as_they_happen_and_end_with_the_api() {
    let (chain, contract) = world().await;
    let alice = Daemon::start("//Alice", &chain, &contract, false).await;
    let bob = Daemon::start("//Bob", &chain, &contract, false).await;
    alice.party.connect(bob.party.address().unwrap()).unwrap();
    let events = alice.api.router().oneshot(request(Method::GET, "/v1/events", Body::empty())).await.unwrap();
    assert_eq!(events.headers()[header::CONTENT_TYPE], "text/event-stream");
    let open = json!({ "peer": bob.account(), "own": TEN, "patience_ms": 20_000 });
    let (status, open) = alice.post("/v1/channels", open).await;
    assert_eq!((status, &open["open"]), (StatusCode::CREATED, &json!(true)));
    alice.api.stop();
    let body = tokio::time::timeout(Duration::from_secs(10), axum::body::to_bytes(events.into_body(), 1 << 20));
    let text = String::from_utf8(body.await.unwrap().unwrap().to_vec()).unwrap();
    let expected = format!("event: opened\ndata: {{\"channel\":{}}}\n", open["id"]);
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn the_description_names_every_endpoint() {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!((paths.len(), methods), (18, 21), "{:?}", paths.keys());
}
