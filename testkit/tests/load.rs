//! Nobody can make an account work, send or remember much, and what is finished leaves nothing behind.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod common;

use common::{id_of, no_signature, over, policy, size, transfer, Bench};
use engine::{
    message::{Message, Right, Standing, MAX_FRAME},
    payment::{Grantee, Hop, PaymentId, Purpose},
    Command, Over, Payment, Policy, Scope, Transfer,
};
use protocol::{
    AccountId, Asset, Entry, Member, MpcClose, MpcCreation, MpcId, Origin, Owners, PartySignature, TpcId, Update,
};
use testkit::signers::Scheme;

/// Channels that nobody has opened, ascending, all of one account with accounts that nobody has.
fn invented(with: AccountId, n: u64) -> Vec<(TpcId, Owners)> {
    let owners = |number: u64| {
        let mut other = [0xee; 32];
        other[24..].copy_from_slice(&number.to_be_bytes());
        let mut parties = [with, AccountId(other)];
        parties.sort();
        Owners { parties, window: common::WINDOW, asset: Asset::Native, origin: Origin::Creation(number) }
    };
    let mut all: Vec<_> = (0..n).map(owners).map(|owners| (owners.tpc(&engine::Native), owners)).collect();
    all.sort_by_key(|(tpc, _)| *tpc);
    all
}

fn creation(bench: &Bench, channels: &[(TpcId, Owners)]) -> (MpcCreation, Vec<Owners>) {
    let members = channels.iter().map(|(tpc, _)| Member { tpc: *tpc, registrations: 0 }).collect();
    let valid_until = bench.ledger.now + 60_000;
    (MpcCreation { members, valid_until }, channels.iter().map(|(_, owners)| *owners).collect())
}

#[test]
fn a_big_creation_with_a_bad_signature_gets_one_short_answer_and_is_forgotten() {
    let mut bench = Bench::new(2);
    let (stranger, coordinator) = (0, 1);
    let (creation, owners) = creation(&bench, &invented(bench.account(stranger), 256));
    let by = PartySignature { party: bench.account(stranger), signature: no_signature() };
    let (before, sent) = (bench.nodes[coordinator].store.0.clone(), bench.sent.len());
    for _ in 0..5 {
        let message = Message::MpcCreate {
            creation: creation.clone(),
            coordinator: bench.account(coordinator),
            registered: false,
            owners: owners.clone(),
            by,
            standings: vec![],
        };
        bench.say(stranger, coordinator, message);
        bench.run();
    }
    bench.pass(5);
    let answers: Vec<_> = bench.sent[sent..].iter().filter(|letter| letter.from == coordinator).collect();
    assert_eq!(answers.len(), 5, "one answer to each");
    for answer in answers {
        assert_eq!(answer.to, stranger);
        assert!(matches!(answer.message, Message::MpcCreateFailed { .. }), "{:?}", answer.message);
        assert!(size(&answer.message) < 200);
    }
    let cursor = 11;
    let mut after = bench.nodes[coordinator].store.0.clone();
    after.retain(|key, _| key[0] != cursor);
    let mut before = before;
    before.retain(|key, _| key[0] != cursor);
    assert_eq!(after, before, "it remembers something");
    assert_eq!(bench.engine(coordinator).led().count(), 0);
}

/// Requests of nearly 1 MiB, of every kind that a leader might pass on to others.
fn big_requests(bench: &mut Bench, stranger: usize, coordinator: usize, mpc: MpcId, tpc: TpcId) -> Vec<Message> {
    let (from, leader) = (bench.account(stranger), bench.account(coordinator));
    let owners = bench.owners(tpc);
    let [a, b] = owners.parties;
    let asset = Asset::Psp22(AccountId([7; 32]));
    let many: Vec<_> = (0..9_000).map(|_| Transfer { from: a, to: b, asset, amount: 1 }).collect();
    let fits: Vec<_> = (0..255).map(|_| transfer(a, b, 1)).chain([transfer(from, a, 1)]).collect();
    let payment = |transfers| Payment { id: PaymentId { by: from, number: 0 }, transfers };
    let hops: Vec<_> = (0..7_000).map(|_| Hop { owners, from: a, amount: 1 }).collect();
    let channels = invented(from, 3_000);
    let (big_creation, big_owners) = creation(bench, &channels);
    let members: Vec<_> = channels.iter().map(|(tpc, _)| Member { tpc: *tpc, registrations: 0 }).collect();
    let close = MpcClose {
        mpc,
        members: members.iter().cycle().take(29_000).copied().collect(),
        valid_until: bench.ledger.now + 60_000,
    };
    let entry = Entry { tpc, epoch: 0, version: 9, balances: [1, 1] };
    let standings = vec![Standing { latest: entry, signed: 9 }; 12_000];
    let by = PartySignature { party: from, signature: no_signature() };
    let pay = |transfers: &Vec<Transfer>, over| Message::Pay { payment: payment(transfers.clone()), over };
    let create = |creation: MpcCreation, owners, standings| Message::MpcCreate {
        creation,
        coordinator: leader,
        registered: false,
        owners,
        by,
        standings,
    };
    let (small_creation, small_owners) = creation(bench, &[(tpc, owners)]);
    vec![
        pay(&many, over(mpc)),
        pay(&fits, Over::Group { mpc, scope: Scope::All, confirm: true }),
        pay(&fits, Over::Path(hops)),
        create(big_creation, big_owners, vec![]),
        create(small_creation, small_owners, standings),
        Message::MpcClose { close, by },
    ]
}

#[test]
fn a_request_of_nearly_one_mebibyte_from_a_stranger_is_not_forwarded() {
    let mut bench = Bench::new(4);
    let (a, b, coordinator, stranger) = (0, 1, 2, 3);
    let tpc = bench.open(a, b, 1_000, 1_000);
    let mpc = bench.group(a, &[tpc], coordinator, false);
    for message in big_requests(&mut bench, stranger, coordinator, mpc, tpc) {
        let kind = common::kind_of(&message);
        assert!(message.frame().len() <= MAX_FRAME, "{kind} is no frame");
        let (sent, before) = (bench.sent.len(), bench.stored(coordinator));
        bench.say(stranger, coordinator, message);
        bench.run();
        bench.pass(3);
        let out: Vec<_> = bench.sent[sent..].iter().filter(|letter| letter.from == coordinator).collect();
        assert!(out.iter().all(|letter| letter.to == stranger), "{kind} is forwarded to a member");
        assert!(out.iter().map(|letter| size(&letter.message)).sum::<usize>() < 1_000, "{kind} gets a long answer");
        assert!(bench.stored(coordinator) <= before, "{kind} is remembered");
    }
    // The group is as it was.
    let number = bench.pay_to(a, b, 10, over(mpc));
    bench.calm(&[a, b, coordinator], 10);
    assert_eq!(bench.books(a, bench.payment(a, number)), (1, 0));
}

#[test]
fn what_an_initiator_says_about_other_channels_is_not_stored() {
    let mut bench = Bench::new(3);
    let (a, b, coordinator) = (0, 1, 2);
    let tpc = bench.open(a, b, 1_000, 1_000);
    let owners = bench.owners(tpc);
    let (creation, owners) = creation(&bench, &[(tpc, owners)]);
    let payload = creation.id(&engine::Native, &common::HERE);
    // Registered, so that the signed payload is the group's id.
    let by = bench.sign(a, &payload.0);
    let foreign = Entry { tpc: TpcId([5; 32]), epoch: 0, version: 9, balances: [1, 1] };
    let standings = vec![Standing { latest: foreign, signed: 9 }; 12_000];
    let leader = bench.account(coordinator);
    let before = bench.stored(coordinator);
    bench.nodes[b].away = true;
    let message = Message::MpcCreate { creation, coordinator: leader, registered: true, owners, by, standings };
    bench.say(a, coordinator, message);
    bench.run();
    assert_eq!(bench.engine(coordinator).led().count(), 1, "the group is not in the making");
    assert!(bench.stored(coordinator) < before + 2_000, "{} bytes are stored", bench.stored(coordinator) - before);
}

#[test]
fn five_failed_closings_do_not_grow_a_partys_store() {
    let mut bench = Bench::new(4);
    let (a, b, c, coordinator) = (0, 1, 2, 3);
    let (ab, bc) = (bench.open(a, b, 1_000, 1_000), bench.open(b, c, 1_000, 1_000));
    let mpc = bench.group(a, &[ab, bc], coordinator, true);
    let nodes = [a, b, c, coordinator];
    let sizes = |bench: &Bench| nodes.map(|node| bench.stored(node));
    let before = sizes(&bench);
    for round in 0..5 {
        // The first lists miss a channel; the others have an old count of one.
        let channels = if round < 2 { vec![(ab, 1)] } else { vec![(ab, 1), (bc, 7)] };
        let valid_until = bench.ledger.now + 60_000;
        bench.command(a, Command::CloseMpc { mpc, channels, valid_until }).unwrap();
        bench.pass(3);
        let failed =
            bench.nodes[a].notices.iter().filter(|notice| matches!(notice, engine::Notice::MpcCloseFailed(..)));
        assert_eq!(failed.count(), round + 1, "the application does not hear that the closing failed");
        assert_eq!(sizes(&bench), before, "after {} closings", round + 1);
    }
}

#[test]
fn an_update_is_stored_once_and_not_once_for_each_channel() {
    let mut bench = Bench::new(3);
    let (a, b, coordinator) = (0, 1, 2);
    let n = 40;
    let tpcs = bench.open_many(a, b, 1_000, 1_000, n, Asset::Native);
    let mpc = bench.group(a, &tpcs, coordinator, false);
    let before = [a, b, coordinator].map(|node| bench.stored(node));
    let number = bench.pay_to(a, b, 10, Over::Group { mpc, scope: Scope::All, confirm: false });
    bench.calm(&[a, b, coordinator], 10);
    assert_eq!(bench.books(a, bench.payment(a, number)), (1, 0));
    let update = bench.engine(a).held().next().unwrap().1.signed().unwrap();
    let size = codec::Encode::encoded_size(&update);
    let held = 3;
    for (node, before) in [a, b, coordinator].into_iter().zip(before) {
        assert_eq!(bench.records(node, held), 1, "node {node} holds the update more than once");
        let grown = bench.stored(node) - before;
        assert!(grown < 2 * size, "node {node} stores {grown} bytes for an update of {size}");
    }
}

/// What everybody has stored after so many payments, apart from history.
fn stored_after(
    bench: &mut Bench,
    nodes: &[usize],
    payments: usize,
    mut pay: impl FnMut(&mut Bench, usize),
) -> Vec<usize> {
    for number in 0..payments {
        pay(bench, number);
        bench.run();
    }
    bench.calm(nodes, 20);
    nodes.iter().map(|node| bench.stored(*node)).collect()
}

#[test]
fn a_thousand_payments_in_one_channel_leave_as_much_as_ten() {
    let mut bench = Bench::new(2);
    let (a, b) = (0, 1);
    let tpc = bench.open(a, b, 1_000_000, 1_000_000);
    let pay = |bench: &mut Bench, number: usize| {
        let (from, to) = if number.is_multiple_of(3) { (b, a) } else { (a, b) };
        bench.pay_to(from, to, 7, Over::Channel(tpc));
    };
    let few = stored_after(&mut bench, &[a, b], 10, pay);
    let many = stored_after(&mut bench, &[a, b], 990, pay);
    assert_eq!(bench.past(a).len(), 1_000);
    assert_eq!(many, few, "bytes in the stores of both owners");
}

#[test]
fn a_thousand_requested_payments_leave_as_much_as_ten() {
    let mut bench = Bench::new(2);
    let (a, b) = (0, 1);
    let tpc = bench.open(a, b, 1_000_000, 1_000_000);
    let payee = bench.account(b);
    bench.permit(a, Grantee::Party(payee), Purpose::Pay);
    let pay = |bench: &mut Bench, _| {
        let moved = transfer(bench.account(a), bench.account(b), 7);
        bench.pay(b, vec![moved], Over::Channel(tpc));
    };
    let few = stored_after(&mut bench, &[a, b], 10, pay);
    let many = stored_after(&mut bench, &[a, b], 990, pay);
    assert_eq!(bench.balance(a, tpc), 1_000_000 - 7_000);
    assert_eq!(many, few, "bytes in the stores of both owners");
}

#[test]
fn a_thousand_payments_in_a_group_leave_as_much_as_ten() {
    let mut bench = Bench::new(4);
    let (a, b, c, coordinator) = (0, 1, 2, 3);
    let (ab, bc) = (bench.open(a, b, 1_000_000, 1_000_000), bench.open(b, c, 1_000_000, 1_000_000));
    let mpc = bench.group(a, &[ab, bc], coordinator, false);
    bench.permit(b, Grantee::Group(mpc), Purpose::PassOn);
    let nodes = [a, b, c, coordinator];
    let pay = |bench: &mut Bench, number: usize| {
        let (from, to) = if number.is_multiple_of(2) { (a, c) } else { (c, a) };
        bench.pay_to(from, to, 7, over(mpc));
    };
    let few = stored_after(&mut bench, &nodes, 10, pay);
    let many = stored_after(&mut bench, &nodes, 990, pay);
    assert_eq!(bench.past(a).len(), 1_000);
    assert_eq!(many, few, "bytes in the stores of the members and the coordinator");
}

#[test]
fn with_two_thousand_channels_a_payment_changes_as_few_records_as_with_one() {
    let policy = Policy { max_validity: 10_000_000, ..policy() };
    let mut bench = Bench::with(Scheme::Symbols, vec![policy; 2]);
    let (a, b) = (0, 1);
    let tpc = bench.open(a, b, 1_000, 1_000);
    let cost = |bench: &mut Bench| {
        let before = [a, b].map(|node| bench.nodes[node].written);
        let number = bench.pay_to(a, b, 1, Over::Channel(tpc));
        bench.run();
        bench.tick(100);
        assert_eq!(bench.books(a, bench.payment(a, number)), (1, 0));
        let after = [a, b].map(|node| bench.nodes[node].written);
        [after[0] - before[0], after[1] - before[1]]
    };
    let _ = cost(&mut bench);
    let one = cost(&mut bench);
    for _ in 0..5 {
        bench.open_many(a, b, 10, 10, 400, Asset::Native);
    }
    assert_eq!(bench.engine(a).channels().count(), 2_001);
    let many = cost(&mut bench);
    assert_eq!(many, one, "records changed at payer and payee");
    assert!(one[0] <= 24 && one[1] <= 16, "{one:?}");
    // A block without news changes nothing but the cursor.
    let before = bench.nodes[a].written;
    bench.block();
    assert_eq!(bench.nodes[a].written - before, 1, "records changed by an empty block");
}

#[test]
fn an_update_that_is_not_well_formed_is_not_remembered() {
    let mut bench = Bench::new(3);
    let (a, b, stranger) = (0, 1, 2);
    let tpc = bench.open(a, b, 1_000, 1_000);
    let (before, sent) = (bench.stored(a), bench.sent.len());
    let (update, owners) = bench.update(a, &[(tpc, -10)], 1);
    let mut entries = update.entries;
    let mut all = owners;
    for (tpc, owners) in invented(bench.account(stranger), 250) {
        entries.push(Entry { tpc, epoch: 0, version: 1, balances: [1, 1] });
        all.push(owners);
    }
    let padded = (Update { entries }, all);
    for right in [Right::Turn, Right::Consent, Right::Coordinator(MpcId([1; 32]), 0)] {
        let message = bench.ask(stranger, 0, right, &[], &padded);
        bench.say(stranger, a, message);
        bench.run();
    }
    bench.pass(3);
    assert_eq!(bench.stored(a), before, "{:?}", id_of(&padded.0));
    let out: usize =
        bench.sent[sent..].iter().filter(|letter| letter.from == a).map(|letter| size(&letter.message)).sum();
    assert!(out < 1_000, "{out} bytes of answers");
}

#[test]
fn a_member_that_refuses_everything_does_not_fill_the_others_stores() {
    let mut bench = Bench::new(4);
    let (a, b, c, coordinator) = (0, 1, 2, 3);
    let (ab, bc) = (bench.open(a, b, 1_000, 1_000), bench.open(b, c, 1_000, 1_000));
    let mpc = bench.group(a, &[ab, bc], coordinator, false);
    bench.permit(b, Grantee::Group(mpc), Purpose::PassOn);
    // A says of everything that the coordinator may not ask.
    bench.rule(coordinator, a, "Update", common::Fate::Keep, 100_000);
    let mut sizes = vec![];
    for round in 0..60 {
        bench.pay_to(c, a, 1, over(mpc));
        bench.pass(2);
        while let Some(Message::Update { update, .. }) = bench.take_kept(coordinator, a, "Update") {
            let reason = engine::message::Reason::NotLeader(ab);
            bench.say(a, coordinator, Message::UpdateReject { update: id_of(&update), reason });
            bench.run();
        }
        if round % 20 == 19 {
            sizes.push([b, coordinator].map(|node| bench.records(node, 3) + bench.records(node, 7)));
        }
    }
    assert!(sizes[2].iter().all(|records| *records <= 10), "updates and rounds that they hold: {sizes:?}");
}
