//! Nothing hangs: whatever message is lost, whoever dies, refuses or competes, payments go on.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod common;

use common::{id_of, over, policy, transfer, Bench, Fate};
use engine::{
    message::{Message, Move, Reason, Right, RoundId},
    payment::{Grantee, Purpose},
    Command, Native, Notice, Outcome, Over, Policy,
};
use protocol::{Asset, Balance, MpcId, Resolution, TpcId};
use testkit::signers::Scheme;

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
const D: usize = 3;
const K: usize = 4;

/// A, B and C with channels A–B and B–C in a group of K's. D is outside.
fn town() -> (Bench, TpcId, TpcId, MpcId) {
    let mut bench = Bench::new(6);
    let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
    let mpc = bench.group(A, &[ab, bc], K, false);
    bench.permit(B, Grantee::Group(mpc), Purpose::PassOn);
    (bench, ab, bc, mpc)
}

const ALL: [usize; 4] = [A, B, C, K];

/// Makes a payment in the group and checks that it is settled for all.
fn pays(bench: &mut Bench, from: usize, to: usize, mpc: MpcId, nodes: &[usize]) {
    let number = bench.pay_to(from, to, 10, over(mpc));
    settled(bench, from, to, number, nodes);
}

fn settled(bench: &mut Bench, from: usize, to: usize, number: u64, nodes: &[usize]) {
    bench.calm(nodes, 60);
    let id = bench.payment(from, number);
    assert_eq!(bench.told(from, number), vec![Outcome::Settled], "{:?}", bench.nodes[from].notices.last());
    assert_eq!((bench.books(from, id), bench.books(to, id)), ((1, 0), (1, 0)), "the books of payer and payee");
}

#[test]
fn one_lost_message_of_a_round_does_not_stop_the_payments_of_a_group() {
    let kinds = ["Pay", "Update", "UpdateAgree", "Updated"];
    for kind in kinds {
        for (from, to) in [(A, K), (K, A), (B, K), (K, B), (C, K), (K, C)] {
            let (mut bench, ab, bc, mpc) = town();
            bench.rule(from, to, kind, Fate::Lose, 1);
            pays(&mut bench, A, C, mpc, &ALL);
            for (payer, payee) in [(A, C), (C, A), (B, A), (C, B)] {
                pays(&mut bench, payer, payee, mpc, &ALL);
            }
            bench.agree(A, B, ab);
            bench.agree(B, C, bc);
        }
    }
}

#[test]
fn one_lost_updated_does_not_stop_the_others_even_while_it_stays_lost() {
    let (mut bench, ab, _, mpc) = town();
    bench.rule(K, A, "Updated", Fate::Lose, 1);
    let first = bench.pay_to(A, C, 10, over(mpc));
    bench.run();
    // At once, without waiting for anybody's clock.
    let second = bench.pay_to(C, A, 3, over(mpc));
    settled(&mut bench, C, A, second, &ALL);
    settled(&mut bench, A, C, first, &ALL);
    assert_eq!(bench.agree(A, B, ab).balances, [993, 1_007]);
}

#[test]
fn a_coordinator_that_dies_between_commit_and_send_goes_on() {
    for kind in ["Update", "Updated"] {
        let (mut bench, ab, _, mpc) = town();
        bench.nodes[K].dies_before = Some(kind);
        let number = bench.pay_to(A, C, 10, over(mpc));
        bench.run();
        assert!(bench.is_dead(K), "it does not die before {kind}");
        bench.pass(3);
        bench.restart(K);
        settled(&mut bench, A, C, number, &ALL);
        pays(&mut bench, C, A, mpc, &ALL);
        assert_eq!(bench.agree(A, B, ab).balances, [1_000, 1_000]);
    }
}

#[test]
fn a_member_that_dies_between_commit_and_send_goes_on() {
    for (node, kind) in [(A, "Pay"), (A, "UpdateAgree"), (B, "UpdateAgree"), (C, "UpdateAgree")] {
        let (mut bench, ab, _, mpc) = town();
        bench.nodes[node].dies_before = Some(kind);
        let number = bench.pay_to(A, C, 10, over(mpc));
        bench.run();
        assert!(bench.is_dead(node), "it does not die before {kind}");
        bench.restart(node);
        settled(&mut bench, A, C, number, &ALL);
        assert_eq!(bench.agree(A, B, ab).balances, [990, 1_010]);
    }
}

#[test]
fn an_owner_that_dies_between_commit_and_send_goes_on() {
    for (node, kind) in [(A, "Update"), (B, "UpdateAgree")] {
        let mut bench = Bench::new(2);
        let tpc = bench.open(A, B, 1_000, 1_000);
        bench.nodes[node].dies_before = Some(kind);
        let number = bench.pay_to(A, B, 10, Over::Channel(tpc));
        bench.run();
        assert!(bench.is_dead(node), "it does not die before {kind}");
        bench.restart(node);
        settled(&mut bench, A, B, number, &[A, B]);
        assert_eq!(bench.agree(A, B, tpc).balances, [990, 1_010]);
    }
}

#[test]
fn a_lost_agreed_does_not_stop_the_opening_of_a_channel() {
    for kind in ["Agree", "Agreed"] {
        let mut bench = Bench::new(2);
        bench.nodes[B].accepts = true;
        bench.rule(None, None, kind, Fate::Lose, 1);
        let valid_until = bench.ledger.now + 60_000;
        let (peer, window) = (bench.account(B), common::WINDOW);
        let command = Command::Open {
            peer,
            nonce: 0,
            asset: Asset::Native,
            own: 100,
            theirs: 100,
            value: 0,
            window,
            valid_until,
        };
        bench.command(A, command).unwrap();
        bench.pass(10);
        assert_eq!(bench.engine(A).channels().count(), 1, "a lost {kind}");
        let tpc = *bench.engine(A).channels().next().unwrap().0;
        let number = bench.pay_to(B, A, 10, Over::Channel(tpc));
        settled(&mut bench, B, A, number, &[A, B]);
    }
}

#[test]
fn a_lost_agreed_does_not_stop_a_top_up() {
    for kind in ["Agree", "Agreed"] {
        let mut bench = Bench::new(2);
        let tpc = bench.open(A, B, 1_000, 1_000);
        bench.rule(None, None, kind, Fate::Lose, 1);
        let valid_until = bench.ledger.now + 60_000;
        bench.command(A, Command::TopUp { tpc, own: 50, theirs: 0, valid_until }).unwrap();
        bench.pass(10);
        assert_eq!(bench.agree(A, B, tpc).balances, [1_050, 1_000], "a lost {kind}");
        for (from, to) in [(A, B), (B, A)] {
            let number = bench.pay_to(from, to, 10, Over::Channel(tpc));
            settled(&mut bench, from, to, number, &[A, B]);
        }
    }
}

#[test]
fn a_top_up_whose_answer_never_arrives_ends_with_its_time() {
    let mut bench = Bench::new(2);
    let tpc = bench.open(A, B, 1_000, 1_000);
    bench.rule(B, A, "Agreed", Fate::Lose, 1_000);
    let valid_until = bench.ledger.now + 3_000;
    bench.command(A, Command::TopUp { tpc, own: 50, theirs: 0, valid_until }).unwrap();
    let number = bench.pay_to(A, B, 10, Over::Channel(tpc));
    bench.pass(2);
    bench.calls.clear();
    settled(&mut bench, A, B, number, &[A, B]);
    bench.agree(A, B, tpc);
}

#[test]
fn a_lost_update_agree_does_not_stop_a_lone_channel() {
    for kind in ["Update", "UpdateAgree"] {
        let mut bench = Bench::new(2);
        let tpc = bench.open(A, B, 1_000, 1_000);
        bench.rule(None, None, kind, Fate::Lose, 1);
        let number = bench.pay_to(A, B, 10, Over::Channel(tpc));
        bench.run();
        let back = bench.pay_to(B, A, 3, Over::Channel(tpc));
        settled(&mut bench, A, B, number, &[A, B]);
        settled(&mut bench, B, A, back, &[A, B]);
        assert_eq!(bench.agree(A, B, tpc).balances, [993, 1_007]);
    }
}

#[test]
fn a_repeated_update_gets_the_same_answer() {
    let (mut bench, _, _, mpc) = town();
    bench.rule(K, A, "Update", Fate::Twice, 1);
    bench.rule(K, None, "Updated", Fate::Keep, 3);
    let number = bench.pay_to(A, C, 10, over(mpc));
    bench.run();
    let ask = bench.last_sent(K, A, "Update").unwrap();
    bench.say(K, A, ask.clone());
    bench.run();
    let answers: Vec<_> = bench
        .sent
        .iter()
        .filter(|letter| letter.from == A && common::kind_of(&letter.message) == "UpdateAgree")
        .collect();
    assert!(answers.len() >= 3, "{}", answers.len());
    assert!(answers.iter().all(|letter| letter.message == answers[0].message), "the answers differ");
    for node in [A, B, C] {
        let done = bench.take_kept(K, node, "Updated").unwrap();
        bench.say(K, node, done);
    }
    settled(&mut bench, A, C, number, &ALL);
    // Complete, it still answers the same; overtaken, it signs nothing and goes on.
    let before = bench.engine(A).signatures();
    bench.say(K, A, ask.clone());
    assert!(bench.take(A, K, "UpdateAgree").is_some(), "{:?}", bench.mail);
    pays(&mut bench, C, A, mpc, &ALL);
    let signed = bench.engine(A).signatures();
    assert_eq!(signed, before + 1);
    bench.say(K, A, ask);
    bench.run();
    assert_eq!(bench.engine(A).signatures(), signed);
    pays(&mut bench, A, C, mpc, &ALL);
}

#[test]
fn a_repeated_refusal_is_the_same() {
    let (mut bench, ab, _, mpc) = town();
    let next = bench.update(A, &[(ab, -10)], 1);
    let ask = bench.ask(D, 3, engine::message::Right::Coordinator(mpc, 0), &[], &next);
    for _ in 0..2 {
        bench.say(D, A, ask.clone());
        let answer = bench.take(A, D, "UpdateReject");
        assert_eq!(answer, Some(Message::UpdateReject { update: id_of(&next.0), reason: Reason::NotLeader(ab) }));
    }
}

#[test]
fn closing_a_group_with_old_knowledge_of_its_channels_frees_the_one_who_closes() {
    for registered in [false, true] {
        for (missing, lost) in
            [(true, ""), (true, "MpcCloseFailed"), (false, ""), (false, "MpcCloseFailed"), (false, "MpcCloseReject")]
        {
            let mut bench = Bench::new(6);
            let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
            let mpc = bench.group(A, &[ab, bc], K, registered);
            bench.permit(B, Grantee::Group(mpc), Purpose::PassOn);
            let count = u32::from(registered);
            let channels = if missing { vec![(ab, count)] } else { vec![(ab, count), (bc, count + 4)] };
            if !lost.is_empty() {
                bench.rule(None, None, lost, Fate::Lose, 1);
            }
            let valid_until = bench.ledger.now + 60_000;
            bench.command(A, Command::CloseMpc { mpc, channels, valid_until }).unwrap();
            bench.pass(10);
            let told = bench.nodes[A]
                .notices
                .iter()
                .any(|notice| matches!(notice, Notice::MpcCloseFailed(failed, _) if *failed == mpc));
            assert!(told, "nobody tells A: registered {registered}, missing {missing}, lost {lost}");
            for (from, to) in [(A, C), (C, B)] {
                pays(&mut bench, from, to, mpc, &ALL);
            }
            // With what it knows now it can close.
            let valid_until = bench.ledger.now + 60_000;
            bench.command(A, Command::CloseMpc { mpc, channels: vec![(ab, count), (bc, count)], valid_until }).unwrap();
            bench.pass(10);
            for node in [A, B, C] {
                assert!(bench.nodes[node].notices.contains(&Notice::MpcClosed(mpc)), "node {node} is still in it");
            }
            assert_eq!(bench.ledger.read(bc, 0).stored.unwrap().mpc, None);
            let number = bench.pay_to(A, B, 10, Over::Channel(ab));
            settled(&mut bench, A, B, number, &[A, B]);
        }
    }
}

#[test]
fn a_lost_introduction_or_welcome_after_a_join_does_not_stop_the_group() {
    for registered in [false, true] {
        for kind in ["", "Agree", "Agreed", "Introduce", "Welcome"] {
            for times in [1, 2] {
                let mut bench = Bench::new(6);
                let (ab, bd) = (bench.open(A, B, 1_000, 1_000), bench.open(B, D, 1_000, 1_000));
                let mpc = bench.group(A, &[ab], K, registered);
                bench.permit(B, Grantee::Group(mpc), Purpose::PassOn);
                if !kind.is_empty() {
                    bench.rule(None, None, kind, Fate::Lose, times);
                }
                let valid_until = bench.ledger.now + 60_000;
                bench.command(B, Command::Join { mpc, host: ab, tpc: bd, valid_until }).unwrap();
                bench.pass(10);
                assert_eq!(
                    bench.engine(D).channel(&bd).unwrap().mpc,
                    Some(mpc),
                    "it is not in: {registered} {kind} {times}"
                );
                bench.permit(D, Grantee::Group(mpc), Purpose::PassOn);
                for (from, to) in [(A, D), (D, A)] {
                    pays(&mut bench, from, to, mpc, &[A, B, D, K]);
                }
            }
        }
    }
}

#[test]
fn a_rejected_split_does_not_stop_the_channel() {
    let careful = Policy { agree: false, ..policy() };
    let mut bench = Bench::with(Scheme::Symbols, vec![policy(), careful]);
    let tpc = bench.open(A, B, 1_000, 1_000);
    let valid_until = bench.ledger.now + 20_000;
    bench.command(A, Command::Split { channels: vec![tpc], parts: vec![(500, 500), (500, 500)], valid_until }).unwrap();
    bench.run();
    let request = bench.nodes[B].notices.iter().rev().find_map(|notice| match notice {
        Notice::Requested { request, .. } => Some(*request),
        _ => None,
    });
    bench.command(B, Command::Answer { request: request.unwrap(), accept: false }).unwrap();
    bench.run();
    assert!(bench.nodes[A].notices.iter().any(|notice| matches!(notice, Notice::AgreementRejected(..))));
    // B has signed nothing, so it pays at once; A waits until the split has expired.
    let mine = bench.pay_to(A, B, 10, Over::Channel(tpc));
    let theirs = bench.pay_to(B, A, 3, Over::Channel(tpc));
    settled(&mut bench, A, B, mine, &[A, B]);
    settled(&mut bench, B, A, theirs, &[A, B]);
    assert_eq!(bench.agree(A, B, tpc).balances, [993, 1_007]);
    // And it can be split when B agrees.
    bench.nodes[B].accepts = true;
    let valid_until = bench.ledger.now + 20_000;
    bench.command(A, Command::Split { channels: vec![tpc], parts: vec![(493, 500), (500, 507)], valid_until }).unwrap();
    bench.pass(5);
    assert_eq!(bench.engine(A).channels().count(), 2);
}

#[test]
fn a_split_from_an_old_state_is_proposed_again() {
    let mut bench = Bench::new(2);
    let tpc = bench.open(A, B, 1_000, 1_000);
    // A pays, and B has not heard of it when A's split arrives.
    bench.rule(A, B, "Update", Fate::Keep, 1);
    let number = bench.pay_to(A, B, 10, Over::Channel(tpc));
    bench.run();
    let valid_until = bench.ledger.now + 30_000;
    let _ = bench.command(B, Command::Split { channels: vec![tpc], parts: vec![(500, 500), (500, 500)], valid_until });
    bench.run();
    bench.calm(&[A, B], 90);
    bench.pass(3);
    let (settled, void) = bench.books(A, bench.payment(A, number));
    assert_eq!(settled + void, 1, "the payment is not decided");
    let tpc = *bench.engine(A).channels().next().unwrap().0;
    let number = bench.pay_to(A, B, 1, Over::Channel(tpc));
    self::settled(&mut bench, A, B, number, &[A, B]);
}

#[test]
fn a_strangers_rejections_clear_nothing() {
    let (mut bench, _, _, mpc) = town();
    bench.rule(None, K, "UpdateAgree", Fate::Keep, 3);
    let number = bench.pay_to(A, C, 10, over(mpc));
    bench.run();
    let Some(Message::Update { update, .. }) = bench.last_sent(K, A, "Update") else { panic!() };
    let id = id_of(&update);
    let payment = bench.payment(A, number);
    let reasons = [Reason::Declined, Reason::UnknownPayment(payment), Reason::Outdated(vec![]), Reason::Malformed];
    let round = RoundId { leader: bench.account(K), number: 0 };
    let lies = |reason: Reason| {
        [
            Message::UpdateReject { update: id, reason: reason.clone() },
            Message::ProposeReject { round, reason: reason.clone() },
            Message::GiveUp { round },
            Message::PayReject { payment, reason },
        ]
    };
    let rounds = bench.engine(K).describe_rounds();
    for reason in reasons {
        for message in lies(reason) {
            for to in [A, B, C, K] {
                let strangers = if to == K { vec![D] } else { vec![D, if to == B { A } else { B }] };
                for from in strangers {
                    bench.say(from, to, message.clone());
                }
            }
        }
    }
    bench.run();
    assert_eq!(bench.told(A, number), vec![], "the payment is decided by a stranger");
    assert_eq!(bench.engine(K).describe_rounds(), rounds, "the round has changed");
    for node in [A, B, C] {
        assert!(bench.engine(node).held().any(|(held, it)| *held == id && it.in_flight), "node {node} has given up");
        let answer = bench.take_kept(node, K, "UpdateAgree").unwrap();
        bench.say(node, K, answer);
    }
    settled(&mut bench, A, C, number, &ALL);
}

#[test]
fn a_strangers_give_up_does_not_free_a_reserved_channel() {
    let mut bench = Bench::new(4);
    let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
    let payer = bench.account(A);
    bench.permit(B, Grantee::Party(payer), Purpose::PassOn);
    bench.rule(C, A, "Consent", Fate::Keep, 1);
    let number = bench.pay_along(&[A, B, C], &[ab, bc], 10);
    bench.run();
    assert!(bench.engine(B).channel(&bc).unwrap().reserved.is_some());
    let Some(Message::Propose { round, .. }) = bench.last_sent(A, B, "Propose") else { panic!() };
    for from in [C, D] {
        bench.say(from, B, Message::GiveUp { round });
        bench.say(
            from,
            A,
            Message::ProposeReject { round: RoundId { number: round.number + 1, ..round }, reason: Reason::Declined },
        );
    }
    bench.say(D, A, Message::ProposeReject { round, reason: Reason::Declined });
    assert!(bench.engine(B).channel(&bc).unwrap().reserved.is_some(), "the channel is free");
    let consent = bench.take_kept(C, A, "Consent").unwrap();
    bench.say(C, A, consent);
    settled(&mut bench, A, C, number, &[A, B, C]);
}

#[test]
fn a_coordinator_with_an_empty_disk_rebuilds_itself_from_its_members() {
    for (from, to) in [(A, B), (A, C), (C, A), (B, A)] {
        let (mut bench, ab, bc, mpc) = town();
        pays(&mut bench, A, C, mpc, &ALL);
        bench.lose_disk(K);
        pays(&mut bench, from, to, mpc, &ALL);
        pays(&mut bench, to, from, mpc, &ALL);
        assert_eq!(bench.agree(A, B, ab).balances, [990, 1_010]);
        assert_eq!(bench.agree(B, C, bc).balances, [990, 1_010]);
    }
}

#[test]
fn a_coordinator_with_an_empty_disk_ends_a_round_that_hangs() {
    // Who has signed when the disk is lost.
    for signers in [vec![A], vec![B], vec![A, B], vec![A, B, C]] {
        let (mut bench, ab, bc, mpc) = town();
        for node in [A, B, C] {
            if !signers.contains(&node) {
                bench.rule(K, node, "Update", Fate::Lose, 1);
            }
        }
        bench.rule(None, K, "UpdateAgree", Fate::Lose, 3);
        let number = bench.pay_to(A, C, 10, over(mpc));
        bench.run();
        bench.lose_disk(K);
        bench.no_rules();
        bench.calm(&ALL, 200);
        decided(&mut bench, number, &signers);
        pays(&mut bench, C, A, mpc, &ALL);
        bench.agree(A, B, ab);
        bench.agree(B, C, bc);
    }
}

/// A's payment to C is settled for both or for none, in the books and in the channels.
fn decided(bench: &mut Bench, number: u64, what: &dyn std::fmt::Debug) {
    let id = bench.payment(A, number);
    let (ours, theirs) = (bench.books(A, id), bench.books(C, id));
    assert_eq!(ours.0 + ours.1, 1, "the payer hears once how it ended: {what:?}");
    assert_eq!(ours.0, theirs.0, "payer and payee do not agree: {what:?}");
    let paid: Balance = if ours.0 == 1 { 10 } else { 0 };
    let held: Balance = bench.engine(A).holdings(Asset::Native);
    assert_eq!(held, 1_000 - paid, "the payer's books and channels part: {what:?}");
    assert_eq!(bench.engine(C).holdings(Asset::Native), 1_000 + paid, "the payee's books and channels part: {what:?}");
}

#[test]
fn members_exchange_the_coordinator_while_a_round_hangs() {
    for signers in [vec![], vec![A], vec![C], vec![A, B], vec![A, B, C]] {
        for heard in [vec![], vec![C]] {
            let (mut bench, ab, bc, mpc) = town();
            let new = 5;
            for node in [A, B, C] {
                if !signers.contains(&node) {
                    bench.rule(K, node, "Update", Fate::Lose, 1);
                }
                if !heard.contains(&node) {
                    bench.rule(K, node, "Updated", Fate::Lose, 100);
                }
            }
            let number = bench.pay_to(A, C, 10, over(mpc));
            bench.run();
            // The old coordinator is gone for good.
            bench.nodes[K].away = true;
            let coordinator = bench.account(new);
            for member in [A, B, C] {
                bench.command(member, Command::SetCoordinator { mpc, coordinator, term: 1 }).unwrap();
            }
            let nodes = [A, B, C, new];
            bench.calm(&nodes, 300);
            decided(&mut bench, number, &(&signers, &heard));
            for (from, to) in [(A, C), (C, A)] {
                pays(&mut bench, from, to, mpc, &nodes);
            }
            bench.agree(A, B, ab);
            bench.agree(B, C, bc);
        }
    }
}

/// Two payments that compete: both end, and what they say is what happened.
fn both_end(mut bench: Bench, nodes: &[usize], payments: &[(usize, usize, u64)]) {
    let sum = |bench: &Bench| nodes.iter().map(|node| bench.engine(*node).holdings(Asset::Native)).sum::<Balance>();
    let before = sum(&bench);
    bench.calm(nodes, 200);
    let mut settled = 0;
    for (from, to, number) in payments {
        let id = bench.payment(*from, *number);
        let (ours, theirs) = (bench.books(*from, id), bench.books(*to, id));
        assert_eq!(ours.0 + ours.1, 1, "payment {number} of node {from} has no end");
        assert_eq!(ours.0, theirs.0, "payer and payee do not agree");
        settled += ours.0;
    }
    assert_eq!(settled, payments.len(), "there is enough for both, and one is void");
    assert_eq!(sum(&bench), before);
}

#[test]
fn a_paths_payer_and_a_coordinator_compete_for_one_channel() {
    for first in [true, false] {
        let (mut bench, ab, _, mpc) = town();
        let da = bench.open(D, A, 1_000, 1_000);
        let payer = bench.account(D);
        bench.permit(A, Grantee::Party(payer), Purpose::PassOn);
        let (path, group);
        if first {
            path = bench.pay_along(&[D, A, B], &[da, ab], 10);
            group = bench.pay_to(A, C, 10, over(mpc));
        } else {
            group = bench.pay_to(A, C, 10, over(mpc));
            path = bench.pay_along(&[D, A, B], &[da, ab], 10);
        }
        both_end(bench, &[A, B, C, D, K], &[(D, B, path), (A, C, group)]);
    }
}

#[test]
fn two_paths_compete_for_one_channel() {
    for crossed in [false, true] {
        let mut bench = Bench::new(4);
        let (ab, bc, cd) =
            (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000), bench.open(C, D, 1_000, 1_000));
        for node in [A, B, C, D] {
            for payer in [A, D] {
                let payer = bench.account(payer);
                bench.permit(node, Grantee::Party(payer), Purpose::PassOn);
            }
        }
        let first = bench.pay_along(&[A, B, C], &[ab, bc], 10);
        let second = if crossed {
            bench.pay_along(&[D, C, B], &[cd, bc], 10)
        } else {
            bench.pay_along(&[D, C, B, A], &[cd, bc, ab], 10)
        };
        let payee = if crossed { B } else { A };
        both_end(bench, &[A, B, C, D], &[(A, C, first), (D, payee, second)]);
    }
}

#[test]
fn both_owners_of_a_lone_channel_pay_at_once() {
    for rounds in [1, 5] {
        let mut bench = Bench::new(2);
        let tpc = bench.open(A, B, 1_000, 1_000);
        let mut payments = vec![];
        for _ in 0..rounds {
            payments.push((A, B, bench.pay_to(A, B, 10, Over::Channel(tpc))));
            payments.push((B, A, bench.pay_to(B, A, 3, Over::Channel(tpc))));
        }
        both_end(bench, &[A, B], &payments);
    }
}

#[test]
fn a_path_and_an_owner_compete_for_a_lone_channel() {
    let mut bench = Bench::new(3);
    let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
    let payer = bench.account(A);
    bench.permit(B, Grantee::Party(payer), Purpose::PassOn);
    let own = bench.pay_to(C, B, 3, Over::Channel(bc));
    let path = bench.pay_along(&[A, B, C], &[ab, bc], 10);
    let back = bench.pay_to(B, A, 4, Over::Channel(ab));
    both_end(bench, &[A, B, C], &[(C, B, own), (A, C, path), (B, A, back)]);
}

#[test]
fn a_request_that_nobody_answers_does_not_stop_the_payers_own_payments() {
    let (mut bench, _, _, mpc) = town();
    // B wants A's money again and again, and A's application is asleep.
    for _ in 0..3 {
        let wanted = transfer(bench.account(A), bench.account(B), 50);
        bench.pay(B, vec![wanted], over(mpc));
        bench.run();
    }
    let number = bench.pay_to(A, C, 10, over(mpc));
    for _ in 0..120 {
        bench.pass(1);
    }
    assert_eq!(bench.told(A, number), vec![Outcome::Settled], "{}", bench.hanging(&[A, K]));
}

#[test]
fn a_refused_signature_of_one_member_does_not_void_the_payments_of_others() {
    let (mut bench, _, _, mpc) = town();
    // B's standing is behind, by its own word, when the coordinator asks.
    bench.rule(B, K, "UpdateAgree", Fate::Lose, 1);
    let first = bench.pay_to(A, C, 10, over(mpc));
    bench.run();
    let second = bench.pay_to(A, C, 1, over(mpc));
    bench.run();
    let Some(Message::Update { update, .. }) = bench.last_sent(K, B, "Update") else { panic!() };
    bench.say(B, K, Message::UpdateReject { update: id_of(&update), reason: Reason::Outdated(vec![]) });
    settled(&mut bench, A, C, first, &ALL);
    settled(&mut bench, A, C, second, &ALL);
}

#[test]
fn a_path_whose_payer_vanishes_is_decided_by_a_dispute_of_one_own_channel() {
    for signers in [vec![B], vec![C], vec![B, C]] {
        let frees = Policy { free_after: Some(30_000), ..policy() };
        let mut bench = Bench::with(Scheme::Symbols, vec![frees; 3]);
        let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
        let payer = bench.account(A);
        bench.permit(B, Grantee::Party(payer), Purpose::PassOn);
        for node in [B, C] {
            if !signers.contains(&node) {
                bench.rule(A, node, "Update", Fate::Lose, 1);
            }
        }
        bench.rule(None, A, "UpdateAgree", Fate::Lose, 2);
        bench.pay_along(&[A, B, C], &[ab, bc], 10);
        bench.run();
        bench.nodes[A].away = true;
        bench.calm(&[B, C], 150);
        for (from, to) in [(B, C), (C, B)] {
            let number = bench.pay_to(from, to, 10, Over::Channel(bc));
            settled(&mut bench, from, to, number, &[B, C]);
        }
        assert_eq!(bench.agree(B, C, bc).balances, [1_000, 1_000]);
    }
}

#[test]
fn a_payment_under_way_when_its_channel_enters_a_group_ends() {
    for kind in ["", "Update", "UpdateAgree", "Pay"] {
        let mut bench = Bench::new(3);
        let tpc = bench.open(A, B, 1_000, 1_000);
        let payee = bench.account(B);
        bench.permit(A, Grantee::Party(payee), Purpose::Pay);
        let lost = if kind.is_empty() { "Pay" } else { kind };
        bench.rule(None, None, lost, Fate::Lose, u8::from(!kind.is_empty()).into());
        let own = bench.pay_to(A, B, 10, Over::Channel(tpc));
        let wanted = transfer(bench.account(A), payee, 3);
        let theirs = bench.pay(B, vec![wanted], Over::Channel(tpc));
        if !kind.is_empty() {
            bench.run();
        }
        bench.group(A, &[tpc], C, false);
        bench.calm(&[A, B, C], 100);
        for (by, number) in [(A, own), (B, theirs)] {
            let id = bench.payment(by, number);
            assert_eq!((bench.books(A, id), bench.books(B, id)), ((1, 0), (1, 0)), "payment of {by}, lost {kind}");
        }
        assert_eq!(bench.agree(A, B, tpc).balances, [987, 1_013], "lost {kind}");
    }
}

#[test]
fn a_payment_under_way_when_a_channel_leaves_its_group_ends() {
    for kind in ["Update", "UpdateAgree", "Updated"] {
        for lost in [A, B, C] {
            let (mut bench, _, bc, mpc) = town();
            match kind {
                "UpdateAgree" => bench.rule(lost, K, kind, Fate::Lose, 1),
                _ => bench.rule(K, lost, kind, Fate::Lose, 1),
            }
            let number = bench.pay_to(A, C, 10, over(mpc));
            bench.run();
            let valid_until = bench.ledger.now + 30_000;
            bench.command(C, Command::Leave { tpc: bc, valid_until }).unwrap();
            bench.calm(&ALL, 200);
            decided(&mut bench, number, &(kind, lost));
            let alone = bench.pay_to(B, C, 1, Over::Channel(bc));
            settled(&mut bench, B, C, alone, &ALL);
            pays(&mut bench, A, B, mpc, &[A, B, K]);
        }
    }
}

#[test]
fn a_group_whose_coordinator_is_a_member_goes_on_whatever_is_lost() {
    for kind in ["", "Pay", "Update", "UpdateAgree", "Updated", "MpcCreate", "MpcCreateAgree", "MpcCreated"] {
        for times in [1, 2] {
            let mut bench = Bench::new(3);
            let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
            let lost = if kind.is_empty() { 0 } else { times };
            bench.rule(None, None, if kind.is_empty() { "Pay" } else { kind }, Fate::Lose, lost);
            let channels = [ab, bc].map(|tpc| (bench.owners(tpc), 0)).to_vec();
            let (coordinator, valid_until) = (bench.account(B), bench.ledger.now + 60_000);
            let answer = bench.command(A, Command::CreateMpc { channels, coordinator, registered: false, valid_until });
            let Ok(engine::Answer::Mpc(mpc)) = answer else { panic!("{answer:?}") };
            bench.pass(12);
            bench.permit(B, Grantee::Group(mpc), Purpose::PassOn);
            for (from, to) in [(A, C), (C, A), (B, A), (A, B)] {
                pays(&mut bench, from, to, mpc, &[A, B, C]);
            }
            assert_eq!(bench.agree(A, B, ab).balances, [1_000, 1_000]);
            assert_eq!(bench.agree(B, C, bc).balances, [1_000, 1_000]);
        }
    }
}

#[test]
fn a_channel_that_is_closed_in_a_group_does_not_stop_the_others() {
    for kind in ["", "Update", "UpdateAgree", "Updated"] {
        let (mut bench, ab, bc, mpc) = town();
        let number = bench.pay_to(A, C, 10, over(mpc));
        if !kind.is_empty() {
            bench.rule(None, None, kind, Fate::Lose, 3);
        }
        bench.run();
        let valid_until = bench.ledger.now + 60_000;
        let mut closed = false;
        for _ in 0..30 {
            closed = closed
                || bench
                    .command(A, Command::Close { tpc: ab, valid_until: valid_until.min(bench.ledger.now + 60_000) })
                    .is_ok();
            bench.pass(1);
        }
        assert!(closed && bench.ledger.read(ab, 0).stored.is_none(), "it is not closed: lost {kind}");
        bench.calm(&ALL, 100);
        let id = bench.payment(A, number);
        assert_eq!(bench.books(A, id).0, bench.books(C, id).0, "payer and payee do not agree: lost {kind}");
        let paid: Balance = if bench.books(A, id).0 == 1 { 10 } else { 0 };
        assert_eq!(bench.ledger.free(bench.account(A), Asset::Native), common::FUNDS - paid);
        for (from, to) in [(B, C), (C, B)] {
            pays(&mut bench, from, to, mpc, &[B, C, K]);
        }
        bench.agree(B, C, bc);
    }
}

#[test]
fn a_payment_that_waits_behind_a_path_starts_when_the_path_is_void() {
    let mut bench = Bench::new(3);
    let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
    let payer = bench.account(A);
    bench.permit(B, Grantee::Party(payer), Purpose::PassOn);
    bench.rule(A, C, "Update", Fate::Lose, 1_000);
    let path = bench.pay_along(&[A, B, C], &[ab, bc], 10);
    bench.run();
    let own = bench.pay_to(A, B, 3, Over::Channel(ab));
    // The dispute of a channel that is not A's decides the path.
    bench.command(C, Command::Dispute { channels: vec![bc], then: Resolution::Renew }).unwrap();
    bench.pass(60);
    assert_eq!(bench.told(A, path), vec![Outcome::Void], "{}", bench.hanging(&[A, B, C]));
    settled(&mut bench, A, B, own, &[A, B, C]);
}

#[test]
fn a_payment_in_a_group_is_void_soon_if_a_member_never_introduces_its_channel() {
    let (mut bench, _, _, mpc) = town();
    bench.nodes[C].away = true;
    bench.lose_disk(K);
    let number = bench.pay_to(A, C, 10, over(mpc));
    bench.pass(60);
    assert_eq!(bench.told(A, number), vec![Outcome::Void], "{}", bench.hanging(&[A, K]));
    pays(&mut bench, A, B, mpc, &[A, B, K]);
}

#[test]
fn a_payment_asked_of_a_peer_that_has_not_heard_that_the_channel_left_its_group_ends() {
    for kind in ["accepts", "permits"] {
        let (mut bench, ab, _, mpc) = town();
        let asker = bench.account(A);
        match kind {
            "permits" => bench.permit(B, Grantee::Party(asker), Purpose::Pay),
            _ => bench.nodes[B].accepts = true,
        }
        bench.rule(A, None, "Left", Fate::Lose, 2);
        let valid_until = bench.ledger.now + 30_000;
        bench.command(A, Command::Leave { tpc: ab, valid_until }).unwrap();
        bench.run();
        let wanted = transfer(bench.account(B), asker, 10);
        let number = bench.pay(A, vec![wanted], Over::Channel(ab));
        settled(&mut bench, A, B, number, &ALL);
        pays(&mut bench, B, C, mpc, &ALL);
    }
}

#[test]
fn a_payment_asked_of_a_peer_ends_though_the_channel_enters_a_group_meanwhile() {
    let mut bench = Bench::new(5);
    let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
    let asker = bench.account(A);
    bench.permit(B, Grantee::Party(asker), Purpose::Pay);
    // C keeps B's channel with A busy by a round that it does not finish, so that the payment waits.
    let leader = bench.account(C);
    bench.permit(B, Grantee::Party(leader), Purpose::PassOn);
    bench.nodes[A].accepts = true;
    bench.rule(C, None, "Update", Fate::Lose, 1_000);
    bench.pay_along(&[C, B, A], &[bc, ab], 5);
    bench.run();
    let wanted = transfer(bench.account(B), asker, 10);
    let theirs = bench.pay(A, vec![wanted], Over::Channel(ab));
    let own = bench.pay_to(B, A, 3, Over::Channel(ab));
    bench.run();
    bench.group(A, &[ab], K, false);
    bench.nodes[C].away = true;
    bench.pass(60);
    for (by, number, other) in [(A, theirs, B), (B, own, A)] {
        assert_eq!(bench.told(by, number), vec![Outcome::Settled], "{}", bench.hanging(&[A, B, K]));
        let id = bench.payment(by, number);
        assert_eq!(bench.books(other, id), (1, 0));
    }
    assert_eq!(bench.agree(A, B, ab).balances, [1_013, 987]);
}

#[test]
fn a_coordinator_that_took_a_void_update_for_the_newest_state_believes_its_members() {
    for early in [true, false] {
        let (mut bench, ab, bc, mpc) = town();
        if early {
            // The coordinator has all signatures before the channel's end, its members never hear of them.
            bench.rule(K, None, "Updated", Fate::Lose, 1_000);
            bench.rule(K, None, "Missed", Fate::Lose, 1_000);
        } else {
            bench.rule(None, K, "UpdateAgree", Fate::Keep, 3);
        }
        let number = bench.pay_to(A, C, 10, over(mpc));
        bench.run();
        for member in [A, B, C] {
            bench.rule(member, K, "UpdateAgree", Fate::Lose, 1_000);
        }
        bench.command(C, Command::Dispute { channels: vec![bc], then: Resolution::Settle }).unwrap();
        bench.pass(30);
        bench.no_rules();
        for member in [A, B, C] {
            if let Some(agree) = bench.take_kept(member, K, "UpdateAgree") {
                bench.say(member, K, agree);
            }
        }
        bench.run();
        assert_eq!(bench.told(A, number), vec![Outcome::Void]);
        for (from, to) in [(A, B), (B, A)] {
            pays(&mut bench, from, to, mpc, &[A, B, K]);
        }
        assert_eq!(bench.agree(A, B, ab).balances, [1_000, 1_000]);
    }
}

#[test]
fn a_closing_that_a_member_never_signs_does_not_stop_the_payments_of_its_group() {
    let (mut bench, ab, bc, mpc) = town();
    let valid_until = bench.ledger.now + 6 * 24 * 3_600_000;
    bench.nodes[C].away = true;
    bench.command(A, Command::CloseMpc { mpc, channels: vec![(ab, 0), (bc, 0)], valid_until }).unwrap();
    bench.run();
    for (from, to) in [(A, B), (B, A)] {
        pays(&mut bench, from, to, mpc, &[A, B, K]);
    }
    // When it signs, the group is closed.
    bench.wake(C);
    bench.pass(200);
    for member in [A, B, C] {
        assert!(bench.nodes[member].notices.contains(&Notice::MpcClosed(mpc)), "member {member}");
    }
    let alone = bench.pay_to(A, B, 1, Over::Channel(ab));
    settled(&mut bench, A, B, alone, &ALL);
}

#[test]
fn a_closing_waits_for_the_rounds_that_are_on_their_way() {
    let (mut bench, ab, bc, mpc) = town();
    let valid_until = bench.ledger.now + 60_000;
    bench.rule(K, C, "MpcClose", Fate::Keep, 1);
    bench.command(A, Command::CloseMpc { mpc, channels: vec![(ab, 0), (bc, 0)], valid_until }).unwrap();
    bench.run();
    bench.rule(B, K, "UpdateAgree", Fate::Keep, 1);
    let number = bench.pay_to(A, C, 10, over(mpc));
    bench.run();
    let close = bench.take_kept(K, C, "MpcClose").unwrap();
    bench.say(K, C, close);
    bench.run();
    let agree = bench.take_kept(B, K, "UpdateAgree").unwrap();
    bench.say(B, K, agree);
    settled(&mut bench, A, C, number, &ALL);
    bench.pass(20);
    assert!(bench.nodes[A].notices.contains(&Notice::MpcClosed(mpc)), "{:?}", bench.nodes[A].notices.last());
}

#[test]
fn a_channel_that_was_asked_about_before_a_split_made_it_can_be_paid_over() {
    let mut bench = Bench::new(3);
    let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
    let payer = bench.account(A);
    bench.permit(B, Grantee::Party(payer), Purpose::PassOn);
    let part = bench.owners(ab).part(ab, 0, 1);
    let tpc = part.tpc(&Native);
    let mut named = vec![(tpc, part), (bc, bench.owners(bc))];
    named.sort_by_key(|(tpc, _)| *tpc);
    let moves = named.iter().map(|(tpc, _)| Move { tpc: *tpc, change: 0 }).collect();
    let owners = named.into_iter().map(|(_, owners)| owners).collect();
    let round = RoundId { leader: payer, number: 1_000 };
    bench.say(A, C, Message::Propose { round, right: Right::Consent, payments: vec![].into(), moves, owners });
    bench.run();
    let valid_until = bench.ledger.now + 60_000;
    let parts = vec![(500, 500), (500, 500)];
    bench.command(A, Command::Split { channels: vec![ab], parts, valid_until }).unwrap();
    bench.run();
    bench.block();
    assert!(bench.engine(A).channel(&tpc).is_some(), "the part is not there");
    let number = bench.pay_along(&[A, B, C], &[tpc, bc], 10);
    settled(&mut bench, A, C, number, &[A, B, C]);
}

#[test]
fn of_updates_that_hang_beside_each_other_one_dispute_frees_all() {
    let frees = Policy { free_after: Some(30_000), ..policy() };
    let mut bench = Bench::with(Scheme::Symbols, vec![frees; 5]);
    let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
    let mpc = bench.group(A, &[ab, bc], K, false);
    let (low, high) = (ab.min(bc), ab.max(bc));
    // A lying coordinator has B sign one over a channel, and one over both beside it.
    for (number, changes) in [(100, vec![(high, 0)]), (101, vec![(low, 0), (high, 0)])] {
        let update = bench.update(B, &changes, 1);
        let message = bench.ask(K, number, Right::Coordinator(mpc, 0), &[], &update);
        bench.say(K, B, message);
    }
    assert_eq!(bench.engine(B).held().filter(|(_, held)| held.in_flight).count(), 2);
    bench.nodes[K].away = true;
    bench.calm(&[B], 120);
    let ended = |tpc| bench.engine(B).channel(&tpc).unwrap().on_chain.ended.len();
    assert_eq!((ended(low), ended(high)), (0, 1), "the channels whose epochs a dispute has ended");
}

#[test]
fn a_member_that_never_hears_that_its_group_is_formed_goes_on_alone() {
    for kind in ["asks", "pays"] {
        let mut bench = Bench::new(5);
        let (ab, bc) = (bench.open(A, B, 1_000, 1_000), bench.open(B, C, 1_000, 1_000));
        let asker = bench.account(A);
        bench.permit(B, Grantee::Party(asker), Purpose::Pay);
        bench.rule(K, A, "MpcCreated", Fate::Lose, 1_000);
        let channels = [ab, bc].map(|tpc| (bench.owners(tpc), 0)).to_vec();
        let (coordinator, valid_until) = (bench.account(K), bench.ledger.now + 20_000);
        let answer = bench.command(B, Command::CreateMpc { channels, coordinator, registered: false, valid_until });
        let Ok(engine::Answer::Mpc(mpc)) = answer else { panic!("{answer:?}") };
        bench.pass(30);
        assert!(bench.nodes[B].notices.contains(&Notice::MpcCreated(mpc)));
        assert!(!bench.nodes[A].notices.contains(&Notice::MpcCreated(mpc)));
        let first = match kind {
            "asks" => bench.pay(A, vec![transfer(bench.account(B), asker, 10)], Over::Channel(ab)),
            _ => bench.pay_to(B, A, 10, Over::Channel(ab)),
        };
        bench.calm(&[A, B, C, K], 60);
        if kind == "asks" {
            assert_eq!(bench.told(A, first), vec![Outcome::Settled]);
        }
        let alone = bench.pay_to(B, A, 3, Over::Channel(ab));
        settled(&mut bench, B, A, alone, &[A, B, C, K]);
        pays(&mut bench, B, C, mpc, &[A, B, C, K]);
    }
}

#[test]
fn a_payment_that_its_payer_declines_ends_and_is_asked_for_once() {
    let (mut bench, ab, ..) = town();
    let (over_group, hops) = (bench.engine(A).channel(&ab).unwrap().mpc.map(over), vec![bench.owners(ab)]);
    let (from, amount) = (bench.account(B), 10);
    let hops = hops.into_iter().map(|owners| engine::Hop { owners, from, amount }).collect();
    for over in [over_group.unwrap(), Over::Path(hops)] {
        let before = bench.asked(B).len();
        let number = bench.pay(A, vec![transfer(from, bench.account(A), amount)], over.clone());
        bench.run();
        let request = bench.nodes[B].notices.iter().rev().find_map(|notice| match notice {
            Notice::Requested { request, .. } => Some(*request),
            _ => None,
        });
        bench.command(B, Command::Answer { request: request.unwrap(), accept: false }).unwrap();
        bench.calm(&ALL, 60);
        assert_eq!(bench.told(A, number), vec![Outcome::Void], "{over:?}");
        assert_eq!(bench.asked(B).len() - before, 1, "{over:?}");
    }
}

#[test]
fn a_coordinator_that_pays_in_its_own_group_goes_on_after_its_death() {
    let mut bench = Bench::new(2);
    let ab = bench.open(A, B, 1_000, 1_000);
    let mpc = bench.group(B, &[ab], A, false);
    bench.rule(A, B, "Propose", Fate::Lose, 1);
    let number = bench.pay_to(A, B, 10, Over::Group { mpc, scope: engine::Scope::Touched, confirm: true });
    bench.restart(A);
    settled(&mut bench, A, B, number, &[A, B]);
}
