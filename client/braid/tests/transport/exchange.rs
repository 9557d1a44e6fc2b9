//! Peers that keep to the rules.

use super::*;
use braid::transport::{NotSent, Route};
use engine::message::{Reason, MAX_FRAME};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_come_whole_and_in_order() {
    let limits = Limits { messages_per_second: 10_000_000, ..quick() };
    let (mut alice, mut bob) = pair("alice", "bob", limits).await;
    alice.says(&mut bob, 1).await;
    bob.says(&mut alice, 2).await;
    assert_eq!(alice.transport.route(&bob.account()), Some(Route::Direct));
    assert_eq!(bob.transport.peers(), [(alice.account(), Route::Direct)]);
    // The engine's thread is none of the runtime's.
    let (transport, to) = (alice.transport.clone(), bob.account());
    let sender = std::thread::spawn(move || (0..30_000).for_each(|n| transport.send(to, &message(n)).unwrap()));
    for number in 0..30_000 {
        bob.expect(Incoming::Message { from: alice.account(), message: message(number) }).await;
    }
    sender.join().unwrap();
    let payment = engine::PaymentId { by: alice.account(), number: 0 };
    let long = Message::PayReject { payment, reason: Reason::Outdated(vec![standing(); 10_000]) };
    assert!(long.frame().len() > MAX_FRAME / 2 && long.frame().len() <= MAX_FRAME);
    bob.transport.send(alice.account(), &long).unwrap();
    alice.expect(Incoming::Message { from: bob.account(), message: long }).await;
    let too_long = Message::PayReject { payment, reason: Reason::Outdated(vec![standing(); 50_000]) };
    assert_eq!(bob.transport.send(alice.account(), &too_long), Err(NotSent::TooLong(too_long.frame().len())));
    assert_eq!(alice.transport.send(account("carol"), &message(1)), Err(NotSent::NoConnection));
    assert_eq!(alice.transport.send(alice.account(), &message(1)), Err(NotSent::OwnAccount));
    assert!(alice.transport.connect(alice.address()).is_err());
    assert_eq!((alice.count("dropped"), bob.count("dropped")), (2, 1));
    assert_eq!((alice.count("messages_out"), bob.count("messages_in")), (30_001, 30_001));
}

fn standing() -> engine::message::Standing {
    let latest = protocol::Entry { tpc: protocol::TpcId([5; 32]), epoch: 1, version: 2, balances: [3, 4] };
    engine::message::Standing { latest, signed: 7 }
}

#[tokio::test]
async fn a_peer_that_restarts_is_dialled_again_until_it_is_forgotten() {
    let (mut alice, mut bob) = pair("alice", "bob", quick()).await;
    for number in 0..3 {
        let at = bob.listens();
        drop(bob);
        alice.expect(Incoming::Disconnected(account("bob"))).await;
        assert_eq!(alice.transport.send(account("bob"), &message(1)), Err(NotSent::NoConnection));
        bob = Node::again("bob", at).await;
        alice.expect(Incoming::Connected(bob.account())).await;
        bob.expect(Incoming::Connected(alice.account())).await;
        alice.says(&mut bob, number).await;
        bob.says(&mut alice, number).await;
    }
    alice.transport.forget(&bob.account());
    alice.expect(Incoming::Disconnected(bob.account())).await;
    bob.expect(Incoming::Disconnected(alice.account())).await;
    assert!(alice.transport.peers().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_connections_both_sides_keep_the_same() {
    for round in 0..20 {
        let (mut alice, mut bob) = (Node::new("alice", quick()).await, Node::new("bob", quick()).await);
        alice.transport.connect(bob.address()).unwrap();
        bob.transport.connect(alice.address()).unwrap();
        alice.expect(Incoming::Connected(bob.account())).await;
        bob.expect(Incoming::Connected(alice.account())).await;
        let one = || alice.count("connections") == 1 && bob.count("connections") == 1;
        until("one connection is left", one).await;
        // What was sent while one took the other's place is not lost, and nobody hears that anybody was gone.
        alice.says(&mut bob, round).await;
        bob.says(&mut alice, round).await;
    }
}

#[tokio::test]
async fn a_delay_holds_every_message_up_and_lowers_no_rate() {
    let delay = Duration::from_millis(50);
    let (alice, mut bob) = pair("alice", "bob", Limits { delay, ..quick() }).await;
    let start = Instant::now();
    for number in 0..1_000 {
        alice.transport.send(bob.account(), &message(number)).unwrap();
    }
    for number in 0..1_000 {
        bob.expect(Incoming::Message { from: alice.account(), message: message(number) }).await;
        assert!(start.elapsed() >= delay);
    }
    // One after another they would take 50 s.
    assert!(start.elapsed() < Duration::from_secs(25));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_engine_slows_its_peers_and_loses_nothing_that_was_taken() {
    let limits = Limits { incoming: 4, outgoing_bytes: 1 << 20, ..quick() };
    let (alice, mut bob) = pair("alice", "bob", limits).await;
    let mut taken = 0;
    // Sockets hold some megabytes.
    while taken < 2_000_000 {
        match alice.transport.send(bob.account(), &message(taken)) {
            Ok(()) => taken += 1,
            Err(error) => {
                assert_eq!(error, NotSent::Full);
                tokio::time::sleep(Duration::from_millis(20)).await;
                if alice.transport.send(bob.account(), &message(taken)).is_err() {
                    break;
                }
                taken += 1;
            }
        }
    }
    assert!(taken < 2_000_000, "memory is not bounded");
    for number in 0..taken {
        bob.expect(Incoming::Message { from: alice.account(), message: message(number) }).await;
    }
}

/// How many small messages a second go each way at once: `cargo test --release --test transport -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn throughput() {
    const MESSAGES: u64 = 1_000_000;
    let rates = Limits { messages_per_second: u64::MAX >> 1, bytes_per_second: u64::MAX >> 1, ..quick() };
    let (alice, bob) = pair("alice", "bob", rates).await;
    let start = Instant::now();
    let mut threads = vec![];
    let ends = [(alice.account(), bob.account(), alice), (account("bob"), account("alice"), bob)];
    for (_, to, node) in ends {
        let Node { transport, mut incoming } = node;
        threads.push(std::thread::spawn(move || {
            let (mut sent, mut received) = (0, 0);
            while received < MESSAGES || sent < MESSAGES {
                while sent < MESSAGES && sent < received + 20_000 && transport.send(to, &message(sent)).is_ok() {
                    sent += 1;
                }
                let mut some = vec![];
                received += incoming.blocking_recv_many(&mut some, 1024) as u64;
            }
            transport
        }));
    }
    let _transports: Vec<_> =
        tokio::task::spawn_blocking(|| threads.into_iter().map(|t| t.join().unwrap()).collect()).await.unwrap();
    let rate = MESSAGES as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} messages a second each way");
}
