//! Two accounts that cannot reach each other, and one that both are connected to.

use super::*;
use braid::transport::{
    frames::{Frame, Goodbye, Part, Relayed},
    session::{accept, Reader, Writer},
    NotSent, Route,
};
use tokio::net::{
    tcp::{OwnedReadHalf, OwnedWriteHalf},
    TcpListener,
};

/// A relay with two members who name it as theirs.
async fn trio(limits: Limits) -> (Node, Node, Node) {
    let mut relay = Node::new("carol", limits.clone()).await;
    let (mut alice, mut bob) = (Node::new("alice", limits.clone()).await, Node::new("bob", limits).await);
    for member in [&mut alice, &mut bob] {
        join(member, &mut relay).await;
        member.transport.set_relay(relay.account());
    }
    (alice, bob, relay)
}

/// Sends a message over a relayed session that begins with it.
async fn first(from: &mut Node, to: &mut Node, number: u64) {
    from.transport.send(to.account(), &message(number)).unwrap();
    to.expect(Incoming::Connected(from.account())).await;
    to.expect(Incoming::Message { from: from.account(), message: message(number) }).await;
    from.expect(Incoming::Connected(to.account())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_connected_is_reached_through_a_relay() {
    let (mut alice, mut bob, carol) = trio(quick()).await;
    first(&mut alice, &mut bob, 1).await;
    assert_eq!(alice.transport.route(&bob.account()), Some(Route::Relayed(carol.account())));
    assert_eq!(bob.transport.route(&alice.account()), Some(Route::Relayed(carol.account())));
    // Far more than the window.
    for number in 0..20_000 {
        alice.transport.send(bob.account(), &message(number)).unwrap();
        bob.transport.send(alice.account(), &message(number)).unwrap();
    }
    for number in 0..20_000 {
        bob.expect(Incoming::Message { from: alice.account(), message: message(number) }).await;
        alice.expect(Incoming::Message { from: bob.account(), message: message(number) }).await;
    }
    assert!(carol.count("relayed_bytes") > 2 * 20_000 * 40);
    assert_eq!((carol.count("messages_in"), carol.count("connections")), (0, 2));
    // A direct connection takes over, without anybody hearing of a break.
    alice.transport.connect(bob.address()).unwrap();
    until("both go directly", || {
        alice.transport.route(&bob.account()) == Some(Route::Direct)
            && bob.transport.route(&alice.account()) == Some(Route::Direct)
    })
    .await;
    alice.says(&mut bob, 1).await;
    bob.says(&mut alice, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_may_begin_at_once() {
    let (mut alice, mut bob, _carol) = trio(quick()).await;
    alice.transport.send(bob.account(), &message(1)).unwrap();
    bob.transport.send(alice.account(), &message(2)).unwrap();
    let told = [
        (&mut alice, Incoming::Message { from: account("bob"), message: message(2) }),
        (&mut bob, Incoming::Message { from: account("alice"), message: message(1) }),
    ];
    for (node, expected) in told {
        assert!(matches!(node.next().await, Incoming::Connected(_)));
        assert_eq!(node.next().await, expected);
    }
    alice.says(&mut bob, 3).await;
    bob.says(&mut alice, 4).await;
}

#[tokio::test]
async fn a_relay_may_be_off() {
    let mut carol = Node::new("carol", Limits { relay_pairs: 0, ..quick() }).await;
    let (mut alice, mut bob) = (Node::new("alice", quick()).await, Node::new("bob", quick()).await);
    for member in [&mut alice, &mut bob] {
        join(member, &mut carol).await;
        member.transport.set_relay(carol.account());
    }
    alice.transport.send(bob.account(), &message(1)).unwrap();
    until("the message is given up", || alice.count("dropped") == 1 && carol.count("refused") > 0).await;
    assert_eq!(alice.transport.route(&bob.account()), None);
    // With the relay itself all is well, and so it is where somebody else is asked for who is not there.
    alice.says(&mut carol, 2).await;
    bob.says(&mut carol, 3).await;
    alice.transport.unset_relay(&carol.account());
    assert_eq!(alice.transport.send(account("dave"), &message(4)), Err(NotSent::NoConnection));
}

#[tokio::test]
async fn a_relay_takes_on_no_more_pairs_than_its_limit() {
    let (mut alice, mut bob, mut carol) = trio(Limits { relay_pairs: 1, ..quick() }).await;
    first(&mut alice, &mut bob, 1).await;
    let mut dave = Node::new("dave", quick()).await;
    join(&mut dave, &mut carol).await;
    dave.transport.set_relay(carol.account());
    dave.transport.send(bob.account(), &message(2)).unwrap();
    until("dave is refused", || carol.count("refused") > 0 && dave.count("dropped") == 1).await;
    bob.says(&mut alice, 3).await;
    // Who is gone makes room.
    drop(alice);
    bob.expect(Incoming::Disconnected(account("alice"))).await;
    until("dave gets through", || {
        let _ = dave.transport.send(bob.account(), &message(4));
        dave.transport.route(&bob.account()).is_some()
    })
    .await;
    bob.expect(Incoming::Connected(dave.account())).await;
}

#[tokio::test]
async fn relayed_sessions_end_with_the_relay_and_come_back_with_it() {
    let (mut alice, mut bob, mut carol) = trio(quick()).await;
    first(&mut alice, &mut bob, 1).await;
    let at = carol.listens();
    drop(carol);
    for node in [&mut alice, &mut bob] {
        let mut gone = [node.next().await, node.next().await];
        gone.sort_by_key(|incoming| *incoming != Incoming::Disconnected(account("carol")));
        assert_eq!(gone[0], Incoming::Disconnected(account("carol")));
        assert!(matches!(gone[1], Incoming::Disconnected(_)));
    }
    carol = Node::again("carol", at).await;
    for node in [&mut alice, &mut bob] {
        node.expect(Incoming::Connected(carol.account())).await;
    }
    first(&mut bob, &mut alice, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_is_slowed_to_its_rate_and_others_are_not_hurt() {
    let (mut alice, mut bob, mut carol) = trio(Limits { relay_bytes_per_second: 50_000, ..quick() }).await;
    first(&mut alice, &mut bob, 0).await;
    // Two seconds' worth.
    for number in 1..2_000 {
        alice.transport.send(bob.account(), &message(number)).unwrap();
    }
    bob.says(&mut carol, 1).await;
    for number in 1..2_000 {
        bob.expect(Incoming::Message { from: alice.account(), message: message(number) }).await;
    }
    assert!(carol.count("slowed") > 0);
}

/// A relay that keeps everything that it passes on, and could change it.
struct Tapped {
    reader: Reader<OwnedReadHalf>,
    peer: AccountId,
}

type Out = Arc<tokio::sync::Mutex<std::collections::HashMap<AccountId, Writer<OwnedWriteHalf>>>>;

impl Tapped {
    /// Passes on what one member sends, until it has sent this many parts.
    async fn run(mut self, out: Out, seen: mpsc::UnboundedSender<Vec<u8>>, spoil: Option<usize>) {
        let mut parts = 0;
        while self.reader.fill().await.is_ok() {
            let mut passed = vec![];
            while let Some(frame) = self.reader.frame().unwrap() {
                let Frame::Relay(Relayed { peer, session, part }) = frame else { continue };
                let mut spoilt = vec![];
                let mut part = part;
                if let Part::Bytes(bytes) = part {
                    seen.send(bytes.to_vec()).unwrap();
                    parts += 1;
                    if spoil == Some(parts) {
                        spoilt.extend_from_slice(bytes);
                        *spoilt.last_mut().unwrap() ^= 1;
                        part = Part::Bytes(&spoilt);
                    }
                }
                let mut frames = vec![];
                Frame::Relayed(Relayed { peer: self.peer, session, part }).write(&mut frames);
                passed.push((peer, frames));
            }
            for (peer, frames) in passed {
                if let Some(writer) = out.lock().await.get_mut(&peer) {
                    writer.write(&frames).await.unwrap();
                }
            }
        }
    }
}

/// Alice and Bob with a relay whose traffic is seen. From Alice's part `spoil` on it changes what it passes on.
async fn tapped(spoil: Option<usize>) -> (Node, Node, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let out = Out::default();
    let (seen, sees) = mpsc::unbounded_channel();
    let relay = PeerAddress { account: account("carol"), host: "127.0.0.1".to_owned(), port };
    let mut members = vec![];
    for name in ["alice", "bob"] {
        let mut member = Node::new(name, quick()).await;
        member.transport.connect(relay.clone()).unwrap();
        member.transport.set_relay(relay.account);
        let (read, write) = listener.accept().await.unwrap().0.into_split();
        let session = accept(&identity("carol"), read, write).await.unwrap().welcome().await.unwrap();
        out.lock().await.insert(session.peer, session.writer);
        let spoil = spoil.filter(|_| name == "alice");
        tokio::spawn(Tapped { reader: session.reader, peer: session.peer }.run(out.clone(), seen.clone(), spoil));
        member.expect(Incoming::Connected(relay.account)).await;
        members.push(member);
    }
    let bob = members.pop().unwrap();
    (members.pop().unwrap(), bob, sees)
}

#[tokio::test]
async fn a_relay_sees_ciphertext_only() {
    let (mut alice, mut bob, mut sees) = tapped(None).await;
    first(&mut alice, &mut bob, 0x1122_3344_5566_7788).await;
    bob.says(&mut alice, 0x1122_3344_5566_7788).await;
    let mut seen = vec![];
    while let Ok(bytes) = sees.try_recv() {
        seen.extend(bytes);
    }
    assert!(seen.len() > 300, "the tap works");
    let plain = message(0x1122_3344_5566_7788).frame();
    let contains = |needle: &[u8]| seen.windows(needle.len()).any(|window| window == needle);
    assert!(!contains(&plain) && !contains(&plain[plain.len() - 8..]) && !contains(&[9; 16]));
    // Not even who proves what to whom.
    assert!(!contains(alice.account().as_ref()) && !contains(bob.account().as_ref()));
}

#[tokio::test]
async fn a_relay_cannot_change_what_it_passes_on() {
    // The handshake takes Alice two parts, the message the third.
    for spoil in 1..=3 {
        let (alice, mut bob, _sees) = tapped(Some(spoil)).await;
        alice.transport.send(bob.account(), &message(1)).unwrap();
        until("bob's side has had enough", || bob.count("handshakes_failed") + bob.count("bad_frames") == 1).await;
        while let Ok(incoming) = bob.incoming.try_recv() {
            assert!(!matches!(incoming, Incoming::Message { .. }));
        }
    }
}

#[tokio::test]
async fn a_relay_that_sends_more_than_it_may_is_cut() {
    let (alice, _bob, _sees) = tapped(None).await;
    drop(alice);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = PeerAddress {
        account: account("carol"),
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    let mut alice = Node::new("alice", quick()).await;
    alice.transport.connect(relay).unwrap();
    let (read, write) = listener.accept().await.unwrap().0.into_split();
    let mut session = accept(&identity("carol"), read, write).await.unwrap().welcome().await.unwrap();
    alice.expect(Incoming::Connected(account("carol"))).await;
    let relayed = |part| Relayed { peer: account("bob"), session: 5, part };
    let mut frames = vec![];
    Frame::Relayed(relayed(Part::Begin)).write(&mut frames);
    // The length of the first Noise message is not right, so the session ends, and parts that come later are ignored.
    for _ in 0..20 {
        Frame::Relayed(relayed(Part::Bytes(&[255; 32 * 1024]))).write(&mut frames);
    }
    Frame::Relayed(relayed(Part::End(Goodbye::Ended))).write(&mut frames);
    let _ = session.writer.write(&frames).await;
    let ends = || alice.count("handshakes_failed") == 1 || alice.count("bad_frames") == 1;
    until("the session or the connection ends", ends).await;
}
