//! Peers that have proven an account and then break the rules, while others go on undisturbed.

use super::*;
use braid::transport::{
    frames::{Frame, MAX_LENGTH},
    session::{dial, Session},
};
use std::{
    io,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};
use tokio::{
    io::AsyncWrite,
    net::{
        tcp::{OwnedReadHalf, OwnedWriteHalf},
        TcpStream,
    },
};

/// Keeps a copy of what is written.
struct Tap<W>(W, Arc<Mutex<Vec<u8>>>);

impl<W: AsyncWrite + Unpin> AsyncWrite for Tap<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, bytes);
        if let Poll::Ready(Ok(length)) = written {
            self.1.lock().unwrap().extend_from_slice(&bytes[..length]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

struct Hostile {
    session: Session<OwnedReadHalf, Tap<OwnedWriteHalf>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Hostile {
    /// Mallory, with a session with a node.
    async fn new(node: &mut Node) -> Self {
        let stream = TcpStream::connect(node.listens()).await.unwrap();
        let (read, write) = stream.into_split();
        let written = Arc::default();
        let tap = Tap(write, Arc::clone(&written));
        let session = dial(&identity("mallory"), node.account(), read, tap).await.unwrap();
        node.expect(Incoming::Connected(account("mallory"))).await;
        Self { session, written }
    }

    /// Writes until the other side has had enough.
    async fn write_until_cut(&mut self, plain: &[u8]) {
        while self.session.writer.write(plain).await.is_ok() {}
    }
}

fn frame(frame: Frame<'_>) -> Vec<u8> {
    let mut bytes = vec![];
    frame.write(&mut bytes);
    bytes
}

fn direct(number: u64) -> Vec<u8> {
    frame(Frame::Direct(&message(number).frame()))
}

/// Each of these ends the session at once, and nobody else's.
#[tokio::test]
async fn one_bad_frame_cuts_the_connection() {
    let (mut alice, mut bob) = pair("alice", "bob", quick()).await;
    let plain: Vec<(&str, Vec<u8>)> = vec![
        ("a length beyond the bound", [&(MAX_LENGTH as u32 + 1).to_le_bytes()[..], &[1]].concat()),
        ("the greatest length", vec![0xff; 5]),
        ("no length", vec![0; 5]),
        ("an unknown kind", [&5_u32.to_le_bytes()[..], &[99, 1, 2, 3, 4]].concat()),
        ("a message that is none", frame(Frame::Direct(b"hello"))),
        ("no message", frame(Frame::Direct(&[]))),
        ("a message that is cut", frame(Frame::Direct(&message(1).frame()[..20]))),
        ("a relayed part that is cut", [&4_u32.to_le_bytes()[..], &[2, 1, 2, 3]].concat()),
    ];
    let mut bad = 0;
    for (what, bytes) in plain {
        let mut mallory = Hostile::new(&mut bob).await;
        mallory.session.writer.write(&bytes).await.unwrap();
        bob.expect(Incoming::Disconnected(account("mallory"))).await;
        bad += 1;
        assert_eq!(bob.count("bad_frames"), bad, "{what}");
        alice.says(&mut bob, bad).await;
        bob.says(&mut alice, bad).await;
    }
    // Below the seal: a message again, changed, in parts, and noise.
    for what in ["repeated", "changed", "noise", "too short", "empty"] {
        let mut mallory = Hostile::new(&mut bob).await;
        mallory.written.lock().unwrap().clear();
        mallory.session.writer.write(&direct(1)).await.unwrap();
        bob.expect(Incoming::Message { from: account("mallory"), message: message(1) }).await;
        let mut sealed = mallory.written.lock().unwrap().clone();
        match what {
            "changed" => *sealed.last_mut().unwrap() ^= 1,
            "noise" => sealed = [&[0, 200][..], &[7; 200]].concat(),
            "too short" => sealed = vec![0, 3, 1, 2, 3],
            "empty" => sealed = vec![0, 0],
            _ => {}
        }
        mallory.session.writer.write_raw(&sealed).await.unwrap();
        bob.expect(Incoming::Disconnected(account("mallory"))).await;
        bad += 1;
        assert_eq!(bob.count("bad_frames"), bad, "{what}");
        alice.says(&mut bob, bad).await;
    }
    // A message that breaks off: nothing of it counts.
    let mut mallory = Hostile::new(&mut bob).await;
    mallory.session.writer.write_raw(&[0, 100, 1, 2, 3]).await.unwrap();
    mallory.session.writer.finish().await.unwrap();
    bob.expect(Incoming::Disconnected(account("mallory"))).await;
    alice.says(&mut bob, 100).await;
    assert_eq!(alice.count("sessions"), 1);
}

#[tokio::test]
async fn frames_may_be_cut_anywhere() {
    let mut bob = Node::new("bob", quick()).await;
    let mut mallory = Hostile::new(&mut bob).await;
    let bytes = [direct(1), frame(Frame::Alive), direct(2)].concat();
    for byte in bytes {
        mallory.session.writer.write(&[byte]).await.unwrap();
    }
    for number in [1, 2] {
        bob.expect(Incoming::Message { from: account("mallory"), message: message(number) }).await;
    }
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_cut_and_one_that_says_nothing_is_not() {
    let ms = Duration::from_millis;
    let limits = Limits { keep_alive: ms(100), idle: ms(2_000), ..quick() };
    let (mut alice, mut bob) = pair("alice", "bob", limits).await;
    let _mallory = Hostile::new(&mut bob).await;
    // Its connection stays open, but no sign of life comes over it, as when its cable is cut.
    bob.expect(Incoming::Disconnected(account("mallory"))).await;
    assert_eq!(bob.count("silent_peers"), 1);
    alice.says(&mut bob, 1).await;
    bob.says(&mut alice, 2).await;
    assert_eq!((alice.count("sessions"), bob.count("sessions")), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_is_cut_and_costs_bounded_memory() {
    let limits = Limits { stall: Duration::from_millis(500), outgoing_bytes: 1 << 20, ..quick() };
    let (mut alice, mut bob) = pair("alice", "bob", limits).await;
    let _mallory = Hostile::new(&mut bob).await;
    let (transport, mallory) = (bob.transport.clone(), account("mallory"));
    let sender = std::thread::spawn(move || {
        while transport.route(&mallory).is_some() {
            for number in 0..10_000 {
                let _ = transport.send(mallory, &message(number));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    bob.expect(Incoming::Disconnected(mallory)).await;
    assert_eq!(bob.count("slow_peers"), 1);
    assert!(bob.count("dropped") > 0);
    alice.says(&mut bob, 1).await;
    bob.says(&mut alice, 2).await;
    tokio::task::spawn_blocking(|| sender.join().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_floods_is_slowed_and_then_cut() {
    let limits = Limits { messages_per_second: 2_000, flood: Duration::from_millis(500), incoming: 8, ..quick() };
    let (mut alice, mut bob) = pair("alice", "bob", limits).await;
    let mut mallory = Hostile::new(&mut bob).await;
    let flood: Vec<u8> = (0..500).flat_map(direct).collect();
    let flooding = tokio::spawn(async move { mallory.write_until_cut(&flood).await });
    let (mut from_mallory, mut from_alice, mut gone) = (0, 0, false);
    while !(gone && from_alice >= 50) {
        if from_alice < 50 {
            // Alice's messages come through while Mallory floods.
            alice.transport.send(bob.account(), &message(from_alice)).unwrap();
            loop {
                match bob.next().await {
                    Incoming::Message { from, .. } if from == account("mallory") => from_mallory += 1,
                    Incoming::Disconnected(from) if from == account("mallory") => gone = true,
                    other => {
                        let expected = Incoming::Message { from: alice.account(), message: message(from_alice) };
                        assert_eq!(other, expected);
                        break;
                    }
                }
            }
            from_alice += 1;
        } else {
            match bob.next().await {
                Incoming::Disconnected(from) if from == account("mallory") => gone = true,
                _ => from_mallory += 1,
            }
        }
    }
    assert_eq!(bob.count("flooding_peers"), 1);
    assert!(bob.count("slowed") > 0 && from_mallory > 0);
    timeout(PATIENCE, flooding).await.unwrap().unwrap();
    bob.says(&mut alice, 2).await;
    assert_eq!(alice.count("sessions"), 1);
}

#[tokio::test]
async fn bytes_are_counted_against_a_rate_too() {
    let limits = Limits { bytes_per_second: 10_000, flood: Duration::from_millis(300), ..quick() };
    let mut bob = Node::new("bob", limits).await;
    let mut mallory = Hostile::new(&mut bob).await;
    // Frames of a length that is allowed, of which the end never comes.
    let endless = [&(MAX_LENGTH as u32).to_le_bytes()[..], &[1], &[0; 4_000][..]].concat();
    mallory.write_until_cut(&endless).await;
    bob.expect(Incoming::Disconnected(account("mallory"))).await;
    assert_eq!(bob.count("flooding_peers") + bob.count("bad_frames"), 1);
}

#[tokio::test]
async fn unfinished_frames_share_a_bounded_memory() {
    let mut bob = Node::new("bob", Limits { unfinished_bytes: 200_000, ..quick() }).await;
    let mut mallory = Hostile::new(&mut bob).await;
    let begun = [&(MAX_LENGTH as u32).to_le_bytes()[..], &[1], &vec![0; 300_000][..]].concat();
    let _ = mallory.session.writer.write(&begun).await;
    bob.expect(Incoming::Disconnected(account("mallory"))).await;
    assert_eq!(bob.count("refused"), 1);
    let mut alice = Node::new("alice", quick()).await;
    join(&mut alice, &mut bob).await;
    alice.says(&mut bob, 1).await;
}

#[tokio::test]
async fn a_newer_connection_of_the_same_peer_takes_the_place_of_an_older() {
    let mut bob = Node::new("bob", quick()).await;
    let mut old = Hostile::new(&mut bob).await;
    let stream = TcpStream::connect(bob.listens()).await.unwrap();
    let (read, write) = stream.into_split();
    let mut new = dial(&identity("mallory"), bob.account(), read, write).await.unwrap();
    // What was under way in the old one is not lost.
    old.session.writer.write(&direct(1)).await.unwrap();
    old.session.writer.finish().await.unwrap();
    new.writer.write(&direct(2)).await.unwrap();
    let mut numbers = vec![];
    for _ in 0..2 {
        let Incoming::Message { message: Message::GiveUp { round }, .. } = bob.next().await else { panic!() };
        numbers.push(round.number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    until("one is left", || bob.count("connections") == 1).await;
    drop(new);
    bob.expect(Incoming::Disconnected(account("mallory"))).await;
}
