//! Transports over real sockets: who may talk, what peers that break the rules can do, and relays.
#![allow(clippy::unwrap_used, missing_docs)]

mod exchange;
mod handshakes;
mod hostile;
mod relays;

use braid::transport::{
    hello::{Identity, VERSIONS},
    Incoming, Limits, PeerAddress, Transport,
};
use chain::keys::Keys;
use engine::{
    message::{Message, RoundId},
    Signer,
};
use protocol::{AccountId, Domain};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};

/// Long enough on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

fn keys(name: &str) -> Keys {
    Keys::from_suri(&format!("//{name}")).unwrap()
}

fn account(name: &str) -> AccountId {
    keys(name).account()
}

fn domain(contract: u8) -> Domain {
    Domain { genesis_hash: [1; 32], contract: AccountId::from([contract; 32]) }
}

fn identity(name: &str) -> Identity {
    Identity { signer: Arc::new(keys(name)), domain: domain(2), versions: VERSIONS.to_vec() }
}

fn message(number: u64) -> Message {
    Message::GiveUp { round: RoundId { leader: AccountId::from([9; 32]), number } }
}

/// Limits under which tests do not wait long.
fn quick() -> Limits {
    let ms = Duration::from_millis;
    Limits { redial: (ms(20), ms(200)), ..Limits::default() }
}

struct Node {
    transport: Transport,
    incoming: mpsc::Receiver<Incoming>,
}

impl Node {
    async fn new(name: &str, limits: Limits) -> Self {
        let listen = Some("127.0.0.1:0".parse().unwrap());
        let (transport, incoming) = Transport::start(Arc::new(keys(name)), domain(2), listen, limits).await.unwrap();
        Self { transport, incoming }
    }

    /// One that listens where another has just stopped to.
    async fn again(name: &str, at: SocketAddr) -> Self {
        let start = || Transport::start(Arc::new(keys(name)), domain(2), Some(at), quick());
        let starting = async {
            loop {
                if let Ok(started) = start().await {
                    return started;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let (transport, incoming) = timeout(PATIENCE, starting).await.expect("the port stays taken");
        Self { transport, incoming }
    }

    fn account(&self) -> AccountId {
        self.transport.account()
    }

    fn listens(&self) -> SocketAddr {
        self.transport.listens().unwrap()
    }

    fn address(&self) -> PeerAddress {
        let listens = self.listens();
        PeerAddress { account: self.account(), host: listens.ip().to_string(), port: listens.port() }
    }

    async fn next(&mut self) -> Incoming {
        timeout(PATIENCE, self.incoming.recv()).await.expect("nothing came").unwrap()
    }

    async fn expect(&mut self, expected: Incoming) {
        assert_eq!(self.next().await, expected);
    }

    /// Sends a message to another and waits until it is there.
    async fn says(&self, to: &mut Self, number: u64) {
        self.transport.send(to.account(), &message(number)).unwrap();
        to.expect(Incoming::Message { from: self.account(), message: message(number) }).await;
    }

    fn count(&self, name: &str) -> u64 {
        self.transport.counters().values().into_iter().find(|(counter, _)| *counter == name).unwrap().1
    }
}

/// Two nodes with a connection.
async fn pair(a: &str, b: &str, limits: Limits) -> (Node, Node) {
    let (mut a, mut b) = (Node::new(a, limits.clone()).await, Node::new(b, limits).await);
    join(&mut a, &mut b).await;
    (a, b)
}

async fn join(a: &mut Node, b: &mut Node) {
    a.transport.connect(b.address()).unwrap();
    a.expect(Incoming::Connected(b.account())).await;
    b.expect(Incoming::Connected(a.account())).await;
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it never came to this: {what}"));
}
