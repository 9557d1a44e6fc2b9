//! Who is taken for whom.

use super::*;
use braid::transport::{
    hello::{HandshakeError, Refused},
    session::{accept, dial},
};
use protocol::Signature;
use tokio::{
    io::{duplex, split},
    net::TcpStream,
};

type Outcome = Result<(AccountId, u16), HandshakeError>;

/// What both sides make of a handshake in which `wanted` is dialled.
async fn shake(dials: Identity, answers: Identity, wanted: &str) -> (Outcome, Outcome) {
    let (near, far) = duplex(4096);
    let wanted = account(wanted);
    let dialler = async move {
        let (read, write) = split(near);
        let session = dial(&dials, wanted, read, write).await?;
        Ok((session.peer, session.version))
    };
    let responder = async move {
        let (read, write) = split(far);
        let proven = accept(&answers, read, write).await?;
        let session = proven.welcome().await?;
        Ok((session.peer, session.version))
    };
    timeout(PATIENCE, async { tokio::join!(dialler, responder) }).await.unwrap()
}

#[tokio::test]
async fn both_sides_know_each_other() {
    let (dialler, responder) = shake(identity("alice"), identity("bob"), "bob").await;
    assert_eq!(dialler.unwrap(), (account("bob"), 1));
    assert_eq!(responder.unwrap(), (account("alice"), 1));
}

#[tokio::test]
async fn another_account_than_the_wanted_one_learns_nothing() {
    let (dialler, responder) = shake(identity("alice"), identity("bob"), "carol").await;
    let error = dialler.unwrap_err();
    assert!(matches!(error, HandshakeError::OtherAccount { wanted, answers }
        if wanted == account("carol") && answers == account("bob")));
    // It hears that, and not who dialled.
    assert!(matches!(responder.unwrap_err(), HandshakeError::Refused(Refused::Account)));
}

#[tokio::test]
async fn another_contract_is_refused() {
    let other = Identity { domain: domain(3), ..identity("alice") };
    let (dialler, responder) = shake(other, identity("bob"), "bob").await;
    assert!(matches!(dialler.unwrap_err(), HandshakeError::OtherDomain(found) if *found == domain(2)));
    assert!(matches!(responder.unwrap_err(), HandshakeError::Refused(Refused::Domain)));
}

#[tokio::test]
async fn the_highest_common_version_is_spoken() {
    let speaking = |name: &str, versions: &[u16]| Identity { versions: versions.to_vec(), ..identity(name) };
    let (dialler, responder) = shake(speaking("alice", &[1, 2, 3]), speaking("bob", &[4, 3, 2]), "bob").await;
    assert_eq!((dialler.unwrap().1, responder.unwrap().1), (3, 3));
    let (dialler, responder) = shake(speaking("alice", &[1]), speaking("bob", &[2]), "bob").await;
    let error = dialler.unwrap_err();
    assert!(matches!(&error, HandshakeError::NoCommonVersion { ours, theirs } if *ours == [1] && *theirs == [2]));
    assert!(error.to_string().contains("update the older side"));
    assert!(matches!(responder.unwrap_err(), HandshakeError::Refused(Refused::Version)));
}

/// Has a signature of something else.
struct Liar(Keys);

impl Signer for Liar {
    fn account(&self) -> AccountId {
        self.0.account()
    }

    fn sign(&self, _: &[u8; 32]) -> Signature {
        self.0.sign(&[0; 32])
    }
}

#[tokio::test]
async fn a_signature_of_another_session_proves_nothing() {
    let liar = |name: &str| Identity { signer: Arc::new(Liar(keys(name))), ..identity(name) };
    let (dialler, responder) = shake(identity("alice"), liar("bob"), "bob").await;
    assert!(matches!(dialler.unwrap_err(), HandshakeError::BadSignature));
    assert!(matches!(responder.unwrap_err(), HandshakeError::Refused(Refused::Signature)));
    let (dialler, responder) = shake(liar("alice"), identity("bob"), "bob").await;
    assert!(matches!(responder.unwrap_err(), HandshakeError::BadSignature));
    assert!(matches!(dialler.unwrap_err(), HandshakeError::Refused(Refused::Signature)));
}

#[tokio::test]
async fn an_account_does_not_talk_to_itself() {
    let (dialler, _) = shake(identity("alice"), identity("alice"), "alice").await;
    assert!(matches!(dialler.unwrap_err(), HandshakeError::OwnAccount));
}

#[tokio::test]
async fn transports_refuse_whom_they_should_and_take_others() {
    let mut bob = Node::new("bob", quick()).await;
    // Carol's address leads to Bob, and Dave works with another contract.
    let alice = Node::new("alice", quick()).await;
    alice.transport.connect(PeerAddress { account: account("carol"), ..bob.address() }).unwrap();
    let dave = Transport::start(Arc::new(keys("dave")), domain(3), None, quick()).await.unwrap();
    dave.0.connect(bob.address()).unwrap();
    let failed = |transport: &Transport| transport.counters().values().iter().any(|c| c.0 == "dials_failed" && c.1 > 1);
    until("both have tried twice", || failed(&alice.transport) && failed(&dave.0)).await;
    assert!(alice.transport.peers().is_empty() && dave.0.peers().is_empty() && bob.transport.peers().is_empty());
    let mut erin = Node::new("erin", quick()).await;
    join(&mut erin, &mut bob).await;
    erin.says(&mut bob, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_that_never_say_who_they_are_stop_nobody() {
    let limits = Limits { unproven: 100, unproven_per_ip: 50, ..quick() };
    let mut bob = Node::new("bob", limits).await;
    let mut open = vec![];
    for _ in 0..2_000 {
        open.push(TcpStream::connect(bob.listens()).await.unwrap());
        assert!(bob.count("unproven") <= 200, "{}", bob.count("unproven"));
    }
    until("the oldest are dropped", || bob.count("refused") >= 1_950 && bob.count("unproven") <= 50).await;
    let mut alice = Node::new("alice", quick()).await;
    join(&mut alice, &mut bob).await;
    alice.says(&mut bob, 1).await;
    bob.says(&mut alice, 2).await;
    assert!(bob.count("unproven") <= 50);
}

#[tokio::test]
async fn who_says_nothing_is_dropped_in_time() {
    let bob = Node::new("bob", Limits { handshake: Duration::from_millis(100), ..quick() }).await;
    let _open = TcpStream::connect(bob.listens()).await.unwrap();
    until("the time-out", || bob.count("handshakes_failed") == 1 && bob.count("unproven") == 0).await;
}

#[tokio::test]
async fn no_more_are_taken_than_the_limit_says() {
    let mut bob = Node::new("bob", Limits { connections: 1, ..quick() }).await;
    let mut alice = Node::new("alice", quick()).await;
    join(&mut alice, &mut bob).await;
    let mut carol = Node::new("carol", quick()).await;
    carol.transport.connect(bob.address()).unwrap();
    until("carol is refused", || carol.count("dials_failed") > 0 && bob.count("refused") > 0).await;
    alice.says(&mut bob, 1).await;
    drop(alice);
    bob.expect(Incoming::Disconnected(account("alice"))).await;
    carol.expect(Incoming::Connected(bob.account())).await;
}
