//! Somebody wants another's money, or to stop its channels: what was found by trying, and what a reading of the storage must
//! not undo.
#![allow(clippy::unwrap_used)] // A failure here fails the test.
#![allow(clippy::all, unused)] // Written to attack: terse, and with what an attacker has at hand.

mod common;

use common::*;
use engine::{
    message::{Agreement, Introduced, Leadership, Message, Move, Reason, Right, RoundId, Shown, Standing},
    payment::{Grantee, PaymentId, Payments, Purpose},
    watcher::Watcher,
    Answer, Block, Call, Command, Engine, Input, Native, Notice, Outcome, Over, Permission, Policy, Refusal, Scope,
    Signer, Wants,
};
use protocol::{
    abi, AccountId, Asset, Balance, Entry, Member, MpcClose, MpcId, Origin, Owners, Resolution, TpcClose, TpcCreation,
    TpcId, TpcTopUp,
};
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
const D: usize = 3;

fn pair() -> (Bench, TpcId) {
    let mut b = Bench::new(4);
    let t = b.open(A, B, 1_000, 1_000);
    (b, t)
}
fn grouped() -> (Bench, TpcId, MpcId) {
    let mut bench = Bench::new(4);
    let tpc = bench.open(A, B, 1_000, 1_000);
    let mpc = bench.group(A, &[tpc], C, false);
    (bench, tpc, mpc)
}
fn request_of(b: &Bench, node: usize) -> u64 {
    b.nodes[node]
        .notices
        .iter()
        .rev()
        .find_map(|n| match n {
            Notice::Requested { request, .. } => Some(*request),
            _ => None,
        })
        .expect("no request")
}

// approve 1, lose 900
#[test]
fn approved_one_takes_900() {
    let (mut b, t) = pair();
    let (a, m) = (b.account(A), b.account(B));
    for (amount, number) in [(1u128, 0u64), (900, 1)] {
        let p = b.wish(B, 7, vec![transfer(a, m, amount)]);
        // A is first owner (ascending)
        let mut step = 1;
        let mut up = b.update(B, &[(t, -(amount as i128))], step);
        if up.0.entries[0].version % 2 == 0 {
            up = b.update(B, &[(t, -(amount as i128))], 2);
        }
        let msg = b.ask(B, number, Right::Turn, &[p], &up);
        b.say(B, A, msg);
        b.mail.clear();
        if number == 0 {
            let request = request_of(&b, A);
            b.command(A, Command::Answer { request, accept: true }).unwrap();
        }
    }
    assert!(b.balance(A, t) >= 999, "A approved 1 and has lost {}", 1000 - b.balance(A, t));
}

// approve 1 passing on, 900 passed
#[test]
fn approved_passing_on() {
    let mut b = Bench::new(4);
    let (ab, bc) = (b.open(A, B, 1_000, 1_000), b.open(B, C, 1_000, 1_000));
    let n = b.pay_along(&[A, B, C], &[ab, bc], 1);
    b.run();
    let request = request_of(&b, B);
    b.command(B, Command::Answer { request, accept: true }).unwrap();
    b.command(A, Command::Cancel(n));
    b.run();
    b.pass(12);
    // now A (liar) proposes 900 with payment of 1
    let p = b.wish(A, n, vec![transfer(b.account(A), b.account(C), 1)]);
    let mut moves = vec![Move { tpc: ab, change: -900 }, Move { tpc: bc, change: -900 }];
    moves.sort_by_key(|m| m.tpc);
    let owners: Vec<_> = moves.iter().map(|m| b.owners(m.tpc)).collect();
    let round = RoundId { leader: b.account(A), number: 1000 };
    let sent = b.sent.len();
    b.say(A, B, Message::Propose { round, right: Right::Consent, payments: vec![p].into(), moves, owners });
    b.run();
    let yes = b.sent[sent..]
        .iter()
        .any(|l| l.from == B && matches!(&l.message, Message::Consent { round: r, .. } if *r == round));
    for l in &b.sent[sent..] {
        println!("{} {} {:?}", l.from, l.to, kind_of(&l.message));
    }
    assert!(!yes, "B approved to pass on 1 and consents to 900");
}

// payment published while payer is offline: paid twice
#[test]
fn published_while_away_pays_twice() {
    let (mut b, t) = pair();
    b.rule(B, A, "UpdateAgree", Fate::Lose, 100);
    b.rule(B, A, "Missed", Fate::Lose, 100);
    let n = b.pay_to(A, B, 10, Over::Channel(t));
    b.run();
    b.command(B, Command::Checkpoint(vec![t])).unwrap();
    b.nodes[A].away = true;
    b.block();
    b.block();
    b.no_rules();
    b.restart(A);
    b.run();
    b.pass(20);
    assert_eq!(b.balance(A, t), 990, "paid twice");
    assert_eq!(b.told(A, n), vec![Outcome::Settled]);
}

// a stranger's introduction with a huge term stops a group
#[test]
fn strangers_term() {
    let (mut b, t, mpc) = grouped();
    b.say(D, C, Message::Introduce { mpc, term: u32::MAX, registered: false, channels: vec![], held: vec![] });
    b.run();
    let n = b.pay_to(A, B, 10, over(mpc));
    b.pass(60);
    assert_eq!(b.told(A, n), vec![Outcome::Settled]);
}

// a late reading removes an own channel
#[test]
fn late_reading_of_own_new_channel() {
    let (mut b, t) = pair();
    let mut parties = [b.account(A), b.account(B)];
    parties.sort();
    let nonce = b.ledger.next_nonce(parties);
    let valid_until = b.ledger.now + 60_000;
    let Ok(Answer::Tpc(new)) = b.command(
        A,
        Command::Open {
            peer: b.account(B),
            nonce,
            asset: Asset::Native,
            own: 500,
            theirs: 0,
            value: 0,
            window: WINDOW,
            valid_until,
        },
    ) else {
        panic!()
    };
    let reading = b.reading(&[(new, 0)]); // at final block N: not there
    b.run();
    b.block(); // N+1: created
    assert!(b.engine(A).channel(&new).is_some());
    let _ = b.step(A, Input::Read(reading)); // arrives late
    assert!(b.engine(A).channel(&new).is_some(), "A has forgotten a channel with 500 of its own");
}

// a late reading of a foreign channel hides a dispute
#[test]
fn late_reading_hides_a_dispute() {
    let mut b = Bench::new(4);
    let (ab, bc, f) = (b.open(A, B, 1_000, 1_000), b.open(A, C, 1_000, 1_000), b.open(C, D, 1_000, 1_000));
    let reading = b.reading(&[(f, 0)]);
    // A is asked by D with consent; reading at N
    let mut moves = vec![Move { tpc: bc, change: 0 }, Move { tpc: f, change: 0 }];
    moves.sort_by_key(|m| m.tpc);
    let owners: Vec<_> = moves.iter().map(|m| b.owners(m.tpc)).collect();
    let round = RoundId { leader: b.account(C), number: 1000 };
    let (c, m) = (b.account(C), moves.clone());
    let _ = b.step(
        A,
        Input::Message {
            from: c,
            message: Message::Propose {
                round,
                right: Right::Consent,
                payments: Payments::default(),
                moves: m,
                owners: owners.clone(),
            },
        },
    );
    b.call(C, abi::DisputeChannels { channels: vec![f], then: Resolution::Renew });
    let _ = b.make_block();
    let blk = b.made.last().unwrap().clone();
    b.show_block(A, &blk);
    let sent = b.sent.len();
    let _ = b.step(A, Input::Read(reading));
    let yes = b.sent[sent..].iter().any(|l| l.from == A && matches!(&l.message, Message::Consent { .. }));
    assert!(!yes, "A takes f for undisputed");
}

// wrong sum in a foreign channel
#[test]
fn wrong_sum_of_foreign() {
    let mut b = Bench::new(4);
    let (ac, f) = (b.open(A, C, 1_000, 1_000), b.open(C, D, 1_000, 1_000));
    let mut moves = vec![Move { tpc: ac, change: 5 }, Move { tpc: f, change: 0 }];
    moves.sort_by_key(|m| m.tpc);
    let owners: Vec<_> = moves.iter().map(|m| b.owners(m.tpc)).collect();
    let round = RoundId { leader: b.account(C), number: 1000 };
    let p = b.wish(C, 7, vec![transfer(b.account(C), b.account(A), 5)]);
    b.say(
        C,
        A,
        Message::Propose {
            round,
            right: Right::Consent,
            payments: vec![p.clone()].into(),
            moves,
            owners: owners.clone(),
        },
    );
    b.run();
    let (mut u, owners) = b.update(C, &[(ac, 5), (f, 0)], 1);
    for e in &mut u.entries {
        if e.tpc == f {
            e.balances = [1, 1];
            e.version = 60_000;
        }
    }
    let msg = b.ask(C, 1000, Right::Consent, &[p], &(u.clone(), owners));
    let sent = b.sent.len();
    b.say(C, A, msg);
    b.run();
    let yes = b.sent[sent..].iter().any(|l| l.from == A && matches!(&l.message, Message::UpdateAgree { .. }));
    assert!(!yes, "A signs a wrong sum in a foreign channel");
}

// a stranger reserves for ever
#[test]
fn stranger_reserves_for_ever() {
    let (mut b, t) = pair();
    let owners = vec![b.owners(t)];
    let round = RoundId { leader: b.account(D), number: 1 };
    let msg = Message::Propose {
        round,
        right: Right::Consent,
        payments: Payments::default(),
        moves: vec![Move { tpc: t, change: 0 }],
        owners,
    };
    b.rule(D, A, "GiveUp", Fate::Lose, 10_000);
    b.say(D, A, msg.clone());
    b.run();
    let n = b.pay_to(A, B, 10, Over::Channel(t));
    let k = b.pay_to(B, A, 3, Over::Channel(t));
    for _ in 0..100 {
        b.say(D, A, msg.clone());
        b.pass(1);
    }
    assert_eq!(b.told(A, n), vec![Outcome::Settled]);
}

// forged takeovers
#[test]
fn forged_takeovers() {
    let mut b = Bench::new(4);
    let (ab, bc) = (b.open(A, B, 1_000, 1_000), b.open(B, C, 1_000, 1_000));
    let mpc = b.group(A, &[ab, bc], D, false);
    let before = b.stored(D);
    for i in 0..20u64 {
        // C has only signed itself, and names A-B too
        let (mut u, owners) = b.update(B, &[(ab, 0), (bc, 0)], 1);
        for e in &mut u.entries {
            e.version = u64::MAX - i;
        }
        let s = b.sign(C, &id_of(&u));
        let shown = Shown { update: u, owners, signatures: vec![s] };
        b.say(C, D, Message::Introduce { mpc, term: 0, registered: false, channels: vec![], held: vec![shown] });
        b.mail.clear();
    }
    let n = b.pay_to(A, B, 10, over(mpc));
    b.pass(200);
    assert_eq!(b.told(A, n), vec![Outcome::Settled]);
}

// Led records
#[test]
fn led_unbounded() {
    let (mut b, t) = pair();
    let tpc = b.engine(B).channel(&t).unwrap().clone();
    for i in 0..2000u32 {
        let mut id = [0u8; 32];
        id[..4].copy_from_slice(&i.to_le_bytes());
        b.say(
            B,
            C,
            Message::Introduce {
                mpc: MpcId(id),
                term: 0,
                registered: false,
                channels: vec![Introduced { owners: tpc.owners, standing: tpc.standing() }],
                held: vec![],
            },
        );
        b.run();
    }
    assert!(b.records(C, 14) < 100);
}

// X pays for channels that M proposed
#[test]
fn open_at_x_expense() {
    let mut b = Bench::new(3);
    let (a, m) = (b.account(A), b.account(B));
    for nonce in 0..50 {
        let valid_until = b.ledger.now + 600_000;
        b.command(
            B,
            Command::Open {
                peer: a,
                nonce,
                asset: Asset::Native,
                own: 1,
                theirs: 0,
                value: 0,
                window: WINDOW,
                valid_until,
            },
        )
        .unwrap();
    }
    b.run();
    b.calls.clear();
    b.nodes[B].away = true;
    for _ in 0..60 {
        b.tick(1000);
    }
    let n = b.calls.iter().filter(|(node, _, call, _)| *node == A && matches!(call, Call::CreateTpc(_))).count();
    assert_eq!(n, 0, "A makes {n} creations that it never asked for");
}

// per round
#[test]
fn per_round() {
    let (mut b, t) = pair();
    let (a, m) = (b.account(A), b.account(B));
    let mut p = Permission::unlimited(Grantee::Party(m), Purpose::Pay, Asset::Native);
    p.per_payment = 10;
    b.command(A, Command::Permit(p)).unwrap();
    let ps: Vec<_> = (0..50).map(|i| b.wish(B, i, vec![transfer(a, m, 10)])).collect();
    let mut up = b.update(B, &[(t, -500)], 1);
    if up.0.entries[0].version % 2 == 0 {
        up = b.update(B, &[(t, -500)], 2);
    }
    let msg = b.ask(B, 1, Right::Turn, &ps, &up);
    b.say(B, A, msg);
    b.run();
    assert!(b.balance(A, t) >= 990, "one round took {}", 1000 - b.balance(A, t));
}

// a member denies another's payment
#[test]
fn lied_unknown_payment() {
    let mut b = Bench::new(5);
    let (ab, bc) = (b.open(A, B, 1_000, 1_000), b.open(B, C, 1_000, 1_000));
    let mpc = b.group(A, &[ab, bc], D, false);
    b.permit(B, Grantee::Group(mpc), Purpose::PassOn);
    b.rule(C, D, "UpdateAgree", Fate::Lose, 1);
    let n = b.pay_to(A, B, 10, over(mpc));
    let n2 = b.pay_to(B, C, 1, over(mpc));
    b.run();
    b.pass(10);
    // A->C via B. C refuses naming A's payment as unknown, once
    b.rule(C, D, "UpdateAgree", Fate::Keep, 1);
    let n = b.pay_to(A, C, 10, over(mpc));
    b.run();
    let Some(Message::UpdateAgree { update, .. }) = b.take_kept(C, D, "UpdateAgree") else { panic!() };
    b.say(C, D, Message::UpdateReject { update, reason: Reason::UnknownPayment(b.payment(A, n)) });
    b.run();
    b.pass(60);
    assert_eq!(b.told(A, n), vec![Outcome::Settled]);
}

// version poison
#[test]
fn versions_used_up_by_word() {
    let mut b = Bench::new(5);
    let (ab, bc) = (b.open(A, B, 1_000, 1_000), b.open(B, C, 1_000, 1_000));
    let mpc = b.group(A, &[ab, bc], D, false);
    b.lose_disk(D);
    // C introduces itself first
    let ch = b.engine(C).channel(&bc).unwrap().clone();
    let mut standing = ch.standing();
    standing.latest.version = u64::MAX;
    standing.signed = u64::MAX;
    b.say(
        C,
        D,
        Message::Introduce {
            mpc,
            term: 0,
            registered: false,
            channels: vec![Introduced { owners: ch.owners, standing }],
            held: vec![],
        },
    );
    b.run();
    let n = b.pay_to(A, B, 10, over(mpc));
    b.pass(30);
    let s = b.pay(
        A,
        vec![transfer(b.account(A), b.account(B), 10)],
        Over::Group { mpc, scope: Scope::All, confirm: false },
    );
    b.pass(60);
    assert_eq!(b.told(A, s), vec![Outcome::Settled]);
}
#[test]
fn versions_signed_word_lone() {
    let mut b = Bench::new(5);
    let (ab, bc) = (b.open(A, B, 1_000, 1_000), b.open(B, C, 1_000, 1_000));
    let mpc = b.group(A, &[ab, bc], D, false);
    let ch = b.engine(C).channel(&bc).unwrap().clone();
    let mut standing = ch.standing();
    standing.signed = u64::MAX;
    b.say(
        C,
        D,
        Message::Introduce {
            mpc,
            term: 0,
            registered: false,
            channels: vec![Introduced { owners: ch.owners, standing }],
            held: vec![],
        },
    );
    b.run();
    let s = b.pay(
        A,
        vec![transfer(b.account(A), b.account(B), 10)],
        Over::Group { mpc, scope: Scope::All, confirm: false },
    );
    b.pass(60);
    assert_eq!(b.told(A, s), vec![Outcome::Settled]);
}

// queue filled by a stranger
#[test]
fn queue_filled_by_a_stranger() {
    let (mut b, t, mpc) = grouped();
    // a round is on its way
    b.rule(B, C, "UpdateAgree", Fate::Keep, 1);
    let n = b.pay_to(A, B, 10, over(mpc));
    b.run();
    let d = b.account(D);
    let t0 = std::time::Instant::now();
    for i in 0..3000 {
        let p = b.wish(D, i, vec![transfer(d, b.account(B), 1)]);
        b.say(D, C, Message::Pay { payment: p, over: over(mpc) });
        b.mail.clear();
    }
    assert!(t0.elapsed().as_millis() < 300, "{:?}", t0.elapsed());
}

// as T2, without a restart: only the reading after missed blocks
#[test]
fn published_while_away_only_missed_block() {
    let (mut b, t) = pair();
    b.rule(B, A, "UpdateAgree", Fate::Lose, 100);
    let n = b.pay_to(A, B, 10, Over::Channel(t));
    b.run();
    b.command(B, Command::Checkpoint(vec![t])).unwrap();
    b.nodes[A].away = true;
    b.block();
    b.block();
    b.no_rules();
    b.wake(A);
    b.pass(20);
    assert_eq!(b.balance(A, t), 990, "paid twice");
}
// same along a path/group: payer away, payment counted on chain, told void or again?
#[test]
fn group_published_while_away() {
    let (mut b, t, mpc) = grouped();
    b.rule(C, A, "Updated", Fate::Lose, 100);
    b.rule(C, A, "Missed", Fate::Lose, 100);
    let n = b.pay_to(A, B, 10, over(mpc));
    b.run();
    b.command(B, Command::Checkpoint(vec![t])).unwrap();
    b.nodes[A].away = true;
    b.block();
    b.block();
    b.no_rules();
    b.wake(A);
    b.pass(30);
    assert_eq!(b.balance(A, t), 990, "paid twice");
}
// reading race: read of own in-flight published when Input::Read ahead of the block
// a second, late reading of a known foreign channel undoes events
#[test]
fn second_late_reading_undoes_a_dispute_and_renewal() {
    let mut b = Bench::new(4);
    let (ac, f) = (b.open(A, C, 1_000, 1_000), b.open(C, D, 1_000, 1_000));
    let mut moves = vec![Move { tpc: ac, change: 0 }, Move { tpc: f, change: 0 }];
    moves.sort_by_key(|m| m.tpc);
    let owners: Vec<_> = moves.iter().map(|m| b.owners(m.tpc)).collect();
    let c = b.account(C);
    let early = b.reading(&[(f, 0)]);
    for number in [1000, 1001] {
        let round = RoundId { leader: c, number };
        let _ = b.step(
            A,
            Input::Message {
                from: c,
                message: Message::Propose {
                    round,
                    right: Right::Consent,
                    payments: Payments::default(),
                    moves: moves.clone(),
                    owners: owners.clone(),
                },
            },
        );
    }
    let _ = b.step(A, Input::Read(early.clone())); // first of two reads that A has asked for
    b.call(C, abi::DisputeChannels { channels: vec![f], then: Resolution::Renew });
    b.make_block();
    let blk = b.made.last().unwrap().clone();
    let _ = b.step(A, Input::Block(blk));
    b.say(C, A, Message::GiveUp { round: RoundId { leader: c, number: 1000 } });
    b.say(C, A, Message::GiveUp { round: RoundId { leader: c, number: 1001 } });
    let _ = b.step(A, Input::Read(early)); // second, late
    b.mail.clear();
    let sent = b.sent.len();
    let round = RoundId { leader: c, number: 1002 };
    b.say(C, A, Message::Propose { round, right: Right::Consent, payments: Payments::default(), moves, owners });
    for l in &b.sent[sent..] {
        println!("{} {} {}", l.from, l.to, kind_of(&l.message));
    }
    let yes = b.sent[sent..].iter().any(|l| l.from == A && matches!(&l.message, Message::Consent { .. }));
    assert!(!yes, "A has forgotten the dispute over f");
}
// lone debugging
#[test]
fn wrong_sum_of_foreign_reason() {
    let mut b = Bench::new(4);
    let (ac, f) = (b.open(A, C, 1_000, 1_000), b.open(C, D, 1_000, 1_000));
    let mpc = b.group(A, &[ac, f], C, false);
    let (mut u, owners) = b.update(C, &[(ac, 5), (f, 0)], 1);
    for e in &mut u.entries {
        if e.tpc == f {
            e.balances = [1, 1];
        }
    }
    let p = b.wish(C, 7, vec![transfer(b.account(C), b.account(A), 5)]);
    let msg = b.ask(C, 1000, Right::Coordinator(mpc, 0), &[p], &(u.clone(), owners));
    let sent = b.sent.len();
    b.say(C, A, msg);
    b.run();
    for l in &b.sent[sent..] {
        println!("{} {} {}", l.from, l.to, format!("{:?}", l.message).chars().take(200).collect::<String>());
    }
    let yes = b.sent[sent..].iter().any(|l| l.from == A && matches!(&l.message, Message::UpdateAgree { .. }));
    assert!(!yes, "A signs a wrong sum in a foreign channel");
}
// controls
#[test]
fn control_scope_all() {
    let mut b = Bench::new(5);
    let (ab, bc) = (b.open(A, B, 1_000, 1_000), b.open(B, C, 1_000, 1_000));
    let mpc = b.group(A, &[ab, bc], D, false);
    b.lose_disk(D);
    let ch = b.engine(C).channel(&bc).unwrap().clone();
    b.say(
        C,
        D,
        Message::Introduce {
            mpc,
            term: 0,
            registered: false,
            channels: vec![Introduced { owners: ch.owners, standing: ch.standing() }],
            held: vec![],
        },
    );
    b.run();
    let n = b.pay_to(A, B, 10, over(mpc));
    b.pass(30);
    let s = b.pay(
        A,
        vec![transfer(b.account(A), b.account(B), 10)],
        Over::Group { mpc, scope: Scope::All, confirm: false },
    );
    b.pass(60);
    assert_eq!(b.told(A, s), vec![Outcome::Settled]);
}
// one forged shown update is enough?
#[test]
fn one_forged_takeover() {
    let mut b = Bench::new(5);
    let (ab, bc) = (b.open(A, B, 1_000, 1_000), b.open(B, C, 1_000, 1_000));
    let mpc = b.group(A, &[ab, bc], D, false);
    let (mut u, owners) = b.update(B, &[(ab, 0), (bc, 0)], 1);
    for e in &mut u.entries {
        e.version = u64::MAX;
    }
    let s = b.sign(C, &id_of(&u));
    b.say(
        C,
        D,
        Message::Introduce {
            mpc,
            term: 0,
            registered: false,
            channels: vec![],
            held: vec![Shown { update: u, owners, signatures: vec![s] }],
        },
    );
    b.mail.clear();
    b.nodes[C].away = true;
    let n = b.pay_to(A, B, 10, over(mpc));
    b.pass(200);
    assert_eq!(b.told(A, n), vec![Outcome::Settled]);
}
// published, disputed and settled while the payer is away: told void
fn away(then: Resolution) -> (Bench, TpcId, u64) {
    let (mut b, t) = pair();
    b.rule(B, A, "UpdateAgree", Fate::Lose, 100);
    b.rule(B, A, "Missed", Fate::Lose, 100);
    let n = b.pay_to(A, B, 10, Over::Channel(t));
    b.run();
    b.nodes[A].away = true;
    b.command(B, Command::Dispute { channels: vec![t], then }).unwrap();
    for _ in 0..40 {
        b.clock += 1000;
        b.block();
    }
    b.no_rules();
    b.wake(A);
    b.pass(20);
    (b, t, n)
}
#[test]
fn settled_while_away() {
    let (b, t, n) = away(Resolution::Settle);
    assert_eq!(b.told(A, n), vec![Outcome::Settled]);
}
#[test]
fn renewed_while_away() {
    let (b, t, n) = away(Resolution::Renew);
    assert_eq!(b.balance(A, t), 990);
}

// process death: the coordinator's led record, rounds hanging etc. Kill A before each kind, then away while published
#[test]
fn served_max() {
    let (mut b, t) = pair();
    let (a, m) = (b.account(A), b.account(B));
    b.permit(A, Grantee::Party(m), Purpose::Pay);
    let mut round = 0;
    let mut take = |b: &mut Bench, number: u64| {
        round += 1;
        let p = b.wish(B, number, vec![transfer(a, m, 1)]);
        let mut up = b.update(B, &[(t, -1)], 1);
        if up.0.entries[0].version % 2 == 0 {
            up = b.update(B, &[(t, -1)], 2);
        }
        let msg = b.ask(B, round, Right::Turn, &[p], &up);
        b.say(B, A, msg);
        b.mail.clear();
    };
    // B also has to know: mirror its own engine by Missed
    for i in 0..900u64 {
        take(&mut b, u64::MAX - 1024 + i);
        let ups: Vec<_> = b.engine(A).held().filter_map(|(_, h)| h.signed()).collect();
        if i == 0 {
            println!("{}", ups.len());
        }
        for s in ups {
            for c in Call::of_updates([s]) {
                b.call(B, c);
            }
        }
        let _ = b.make_block();
        let blk = b.made.last().unwrap().clone();
        for n in [A, B] {
            let _ = b.step(n, Input::Block(blk.clone()));
        }
        b.mail.clear();
    }
}
#[test]
fn overflow_free_after() {
    let mut pol = policy();
    pol.free_after = Some(u64::MAX);
    let mut b = Bench::with(testkit::signers::Scheme::Symbols, vec![pol; 3]);
    let t = b.open(A, B, 1_000, 1_000);
    b.rule(B, A, "UpdateAgree", Fate::Lose, 1000);
    b.nodes[B].away = true;
    b.tick(5);
    b.pay_to(A, B, 10, Over::Channel(t));
    b.calls.clear();
    for _ in 0..5 {
        b.tick(1000);
    }
    let n = b.calls.iter().filter(|c| matches!(c.2, Call::DisputeChannels(_))).count();
    assert_eq!(n, 0, "disputes at once although it is to wait for ever");
}
#[test]
fn control_t17() {
    let mut b = Bench::new(5);
    let (ab, bc) = (b.open(A, B, 1_000, 1_000), b.open(B, C, 1_000, 1_000));
    let mpc = b.group(A, &[ab, bc], D, false);
    b.nodes[C].away = true;
    let n = b.pay_to(A, B, 10, over(mpc));
    b.pass(5);
    assert_eq!(b.told(A, n), vec![Outcome::Settled]);
}
#[test]
fn control_t24() {
    let mut b = Bench::new(4);
    let ac = b.open(A, C, 1_000, 1_000);
    b.group(C, &[ac], D, false);
}
#[test]
fn control_t2f() {
    // online: the same is told as settled
    let (mut b, t) = pair();
    b.rule(B, A, "UpdateAgree", Fate::Lose, 100);
    b.rule(B, A, "Missed", Fate::Lose, 100);
    let n = b.pay_to(A, B, 10, Over::Channel(t));
    b.run();
    b.command(B, Command::Dispute { channels: vec![t], then: Resolution::Renew }).unwrap();
    for _ in 0..40 {
        b.clock += 1000;
        b.block();
    }
    b.no_rules();
    b.pass(20);
    assert_eq!((b.balance(A, t), b.told(A, n)), (990, vec![Outcome::Settled]));
}

#[test]
fn a_stranger_without_a_channel_reserves_nothing() {
    let (mut bench, tpc) = pair();
    bench.rule(D, A, "GiveUp", Fate::Lose, 1_000);
    for number in 0..3 {
        let round = RoundId { leader: bench.account(D), number };
        let (moves, owners) = (vec![Move { tpc, change: 0 }], vec![bench.owners(tpc)]);
        bench.say(D, A, Message::Propose { round, right: Right::Consent, payments: vec![].into(), moves, owners });
        assert!(bench.engine(A).channel(&tpc).unwrap().reserved.is_none());
    }
    let valid_until = bench.ledger.now + 60_000;
    assert!(bench.command(A, Command::Close { tpc, valid_until }).is_ok());
}

#[test]
fn two_colluders_bring_no_uninvited_channel_into_a_group() {
    let mut bench = Bench::new(5);
    let (ab, cd) = (bench.open(A, B, 1_000, 1_000), bench.open(C, D, 1_000, 1_000));
    let coordinator = 4;
    let mpc = bench.group(A, &[ab], coordinator, false);
    for node in [C, D] {
        let channel = bench.engine(node).channel(&cd).unwrap();
        let channels = vec![Introduced { owners: channel.owners, standing: channel.standing() }];
        bench.say(node, coordinator, Message::Introduce { mpc, term: 0, registered: false, channels, held: vec![] });
        bench.run();
    }
    let valid_until = bench.ledger.now + 60_000;
    bench.command(A, Command::CloseMpc { mpc, channels: vec![(ab, 0)], valid_until }).unwrap();
    bench.run();
    assert!(bench.nodes[A].notices.contains(&Notice::MpcClosed(mpc)), "{:?}", bench.nodes[A].notices.last());
}

#[test]
fn a_strangers_requests_do_not_crowd_out_a_peers() {
    let (mut bench, tpc) = pair();
    let bd = bench.open(B, D, 1_000, 1_000);
    let (payer, stranger) = (bench.account(A), bench.account(D));
    let mut moves = vec![Move { tpc, change: -1 }, Move { tpc: bd, change: -1 }];
    moves.sort_by_key(|moved| moved.tpc);
    let owners: Vec<_> = moves.iter().map(|moved| bench.owners(moved.tpc)).collect();
    for number in 0..1_100 {
        let payments = vec![bench.wish(D, number, vec![transfer(payer, stranger, 1)])];
        let round = RoundId { leader: stranger, number };
        let (moves, owners) = (moves.clone(), owners.clone());
        bench.say(D, A, Message::Propose { round, right: Right::Consent, payments: payments.into(), moves, owners });
        bench.run();
    }
    assert!(!bench.asked(A).is_empty() && bench.asked(A).len() < 100, "{} requests", bench.asked(A).len());
    bench.nodes[A].notices.clear();
    let wanted = transfer(payer, bench.account(B), 1);
    bench.pay(B, vec![wanted], Over::Channel(tpc));
    bench.run();
    assert!(!bench.asked(A).is_empty(), "A's application does not hear of B's request");
}

#[test]
fn a_message_that_waits_for_the_chain_asks_it_once() {
    let mut bench = Bench::new(5);
    let tpc = bench.open(A, B, 1_000, 1_000);
    let owners = bench.owners(tpc);
    let mut messages = vec![];
    for number in 0..60 {
        // Four senders, each with channels that it has invented.
        let other = bench.account([B, C, D, 4][number as usize % 4]);
        let mut parties = [bench.account(A), other];
        parties.sort();
        let invented = Owners { origin: Origin::Creation(10_000 + number), parties, ..owners };
        let mut named = vec![(tpc, owners), (invented.tpc(&Native), invented)];
        named.sort_by_key(|(tpc, _)| *tpc);
        let moves = named.iter().map(|(tpc, _)| Move { tpc: *tpc, change: 0 }).collect();
        let owners = named.iter().map(|(_, owners)| *owners).collect();
        let round = RoundId { leader: other, number };
        messages
            .push((other, Message::Propose { round, right: Right::Consent, payments: vec![].into(), moves, owners }));
    }
    let count = messages.len();
    let (mut asked, mut reads) = (std::collections::VecDeque::new(), 0);
    let note = |asked: &mut std::collections::VecDeque<_>, output: engine::Output| {
        asked.extend(output.effects.into_iter().filter_map(|effect| match effect {
            engine::Effect::Read(channels) => Some(channels),
            _ => None,
        }));
    };
    for (from, message) in messages {
        let node = &mut bench.nodes[A];
        let output = node.engine.apply(&node.key, Input::Message { from, message });
        note(&mut asked, output);
    }
    while let Some(channels) = asked.pop_front() {
        reads += 1;
        assert!(reads <= count, "{count} messages make more than {count} reads");
        let reading = bench.reading(&channels);
        let node = &mut bench.nodes[A];
        let output = node.engine.apply(&node.key, Input::Read(reading));
        note(&mut asked, output);
    }
    assert!(reads > 0);
}

#[test]
fn a_channel_is_not_in_two_groups_in_the_making() {
    let (mut bench, tpc) = pair();
    let owners = bench.owners(tpc);
    let valid_until = bench.ledger.now + 60_000;
    for (coordinator, registered) in [(C, true), (D, false)] {
        let (channels, valid_until) = (vec![(owners, 0)], valid_until + coordinator as u64);
        let coordinator = bench.account(coordinator);
        let answer = bench.command(A, Command::CreateMpc { channels, coordinator, registered, valid_until });
        assert_eq!(answer.is_ok(), registered, "{answer:?}");
    }
    bench.run();
    assert_eq!(bench.engine(A).memberships().count(), 1);
}

#[test]
fn a_peer_that_names_a_group_before_it_is_formed_keeps_nobody_out() {
    let mut bench = Bench::new(4);
    let (ab, ac) = (bench.open(A, B, 1_000, 1_000), bench.open(A, C, 1_000, 1_000));
    let channels = vec![(bench.owners(ac), 0)];
    let valid_until = bench.ledger.now + 60_000;
    bench.rule(C, D, "MpcCreate", Fate::Keep, 1);
    let coordinator = bench.account(D);
    let created = bench.command(C, Command::CreateMpc { channels, coordinator, registered: false, valid_until });
    let Ok(Answer::Mpc(mpc)) = created else { panic!("{created:?}") };
    bench.run();
    // B knows the group's name, and has A join what it calls so.
    let members = vec![Member { tpc: ab, registrations: 0 }];
    let agreement = Agreement::Join(protocol::MpcJoin { mpc, host: ac, members, valid_until });
    let led = Some(Leadership { coordinator: bench.account(B), term: 0, registered: false });
    let signature = bench.sign(B, &agreement.id_under(led.as_ref(), &Native, &HERE)).signature;
    bench.say(B, A, Message::Agree { agreement, signature, led });
    bench.run();
    assert_eq!(bench.engine(A).channel(&ab).unwrap().mpc, Some(mpc));
    let message = bench.take_kept(C, D, "MpcCreate").unwrap();
    bench.say(C, D, message);
    bench.run();
    bench.pass(30);
    assert!(bench.nodes[C].notices.contains(&Notice::MpcCreated(mpc)), "A never enters the real group");
    let number = bench.pay_to(A, C, 10, over(mpc));
    bench.pass(5);
    assert_eq!(bench.told(A, number), vec![Outcome::Settled]);
}

#[test]
fn a_signature_for_joining_a_group_off_chain_is_worth_nothing_on_chain() {
    let mut bench = Bench::new(4);
    let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
    let mpc = bench.group(B, &[bc], D, true);
    assert_eq!(bench.ledger.read(bc, 0).stored.unwrap().mpc, Some(mpc), "the group is on chain");
    let valid_until = bench.ledger.now + 60_000;
    let members = vec![Member { tpc: ab, registrations: 0 }];
    let join = protocol::MpcJoin { mpc, host: bc, members, valid_until };
    let agreement = Agreement::Join(join.clone());
    // B says that the group is not on chain, so that A forgets at once what it has signed.
    let led = Some(Leadership { coordinator: bench.account(D), term: 0, registered: false });
    let signature = bench.sign(B, &agreement.id_under(led.as_ref(), &Native, &HERE)).signature;
    bench.say(B, A, Message::Agree { agreement: agreement.clone(), signature, led });
    let Some(Message::Agreed { signature, .. }) = bench.last_sent(A, B, "Agreed") else { panic!("A does not agree") };
    let theirs = protocol::PartySignature { party: bench.account(A), signature };
    let own = bench.sign(B, &agreement.id(&Native, &HERE));
    bench.call(B, abi::JoinMpc { join, signatures: vec![theirs, own] });
    bench.block();
    assert_eq!(bench.ledger.read(ab, 0).stored.unwrap().mpc, None, "A's channel is registered");
}
