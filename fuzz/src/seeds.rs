//! Writes what the search starts from, where our own code makes it: real frames, stored states, and things to happen.

use crate::{
    answers::CODEC,
    engine::{account, keys, World, DOMAIN, STAKE},
};
use braid::engine::{
    message::{Message, Payment, Scope},
    party::Command,
};
use chain::{
    contract::Bundle,
    keys::{bytes32, Native},
    node::codec::Call,
    ContractCall, Weight, UNIT,
};
use codec::Encode;
use planning::Transfer;
use protocol::{
    abi::{Answer, CreateTpc, Deposit, Message as _, SplitTpc, UpdateChannels, Withdraw, MESSAGES},
    event::{
        ChannelDisputed, ChannelSettled, Deposited, Disputed, MpcClosed, MpcCreated, MpcJoined, MpcLeft, Settled,
        TpcClosed, TpcCreated, TpcToppedUp, TpcWithdrawn, Updated, Withdrawn,
    },
    AccountId, Asset, Entry, Mpc, PartySignature, Resolution, Signature, TpcCreation, TpcId, Update,
};
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path};

/// Delivers everything, and keeps a frame of each kind of message.
fn listen(world: &mut World, frames: &mut BTreeMap<String, Vec<u8>>) {
    loop {
        let heard = (0..4).filter(|index| world.hear(*index)).count();
        match world.wire.pop_front() {
            Some(letter) => {
                let message = Message::from_frame(&letter.frame).expect("a user sends frames");
                let text = format!("{message:?}");
                let names = text.split(|letter: char| !letter.is_alphanumeric());
                let names: Vec<_> = names.filter(|name| name.starts_with(char::is_uppercase)).take(2).collect();
                frames.entry(names.join("-")).or_insert_with(|| letter.frame.clone());
                world.deliver(letter);
            }
            None if heard == 0 => return,
            None => {}
        }
    }
}

/// What users do in a world that has come some way: each line at once.
fn story(world: &World) -> Vec<Vec<(usize, Command)>> {
    let (peer, valid_until) = (account(1), world.now + 1_000_000);
    let mut channels = world.users[0].party.channels().iter();
    let tpc = channels.find(|(_, channel)| channel.owners.parties[1] == peer).map(|(tpc, _)| *tpc);
    let mpc = world.chain.mpcs().next();
    let mut story = vec![vec![(
        0,
        Command::OpenTpc { peer, nonce: 1, own: STAKE, theirs: 0, value: STAKE, window: 20_000, valid_until },
    )]];
    if let (Some(tpc), None) = (tpc, mpc) {
        let pay = |amount| Command::PayTpc { tpc, amount };
        let parts = vec![(STAKE / 2, STAKE), (STAKE / 4, 0), (STAKE / 4, 0)];
        story.extend([
            vec![(0, Command::SplitTpc { channels: vec![tpc], parts, valid_until })],
            vec![(1, Command::SplitTpc { channels: vec![tpc], parts: vec![(STAKE, STAKE / 2)], valid_until })],
            vec![(0, pay(UNIT)), (1, pay(2 * UNIT))],
            vec![(1, pay(20 * STAKE)), (0, pay(0))],
            vec![(0, Command::TopUpTpc { tpc, own: UNIT, theirs: 0, valid_until })],
            vec![(1, Command::WithdrawTpc { tpc, own: UNIT, theirs: UNIT, valid_until })],
            vec![(0, Command::CloseTpc { tpc, valid_until }), (1, pay(1))],
        ]);
    }
    let host = world.users[2].party.channels().keys().next().copied();
    if let (Some(tpc), Some(mpc), Some(host)) = (tpc, mpc, host) {
        let pay = |amount, confirm| {
            let transfers = vec![Transfer { from: account(0), to: account(1), amount }];
            Command::Pay(Payment { mpc, transfers, scope: Scope::All, confirm })
        };
        story.extend([
            vec![(0, pay(UNIT, true)), (1, pay(UNIT, false))],
            vec![(0, pay(90 * UNIT, true))],
            vec![(0, pay(1_000 * UNIT, true))],
            vec![(0, Command::LeaveMpc { tpc, valid_until })],
            vec![(0, Command::JoinMpc { mpc, host, tpc, valid_until })],
            vec![(0, Command::CloseMpc { mpc, valid_until })],
        ]);
    }
    story
}

/// What happens in the engine, as its input says it.
fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    const CALM: &[u8] = &[3];
    let command = |user: u8, kind: u8, own: u8, rest: &[u8]| [&[0, user, kind, own, 1, 200], rest].concat();
    let pay = |user: u8, amount: u8| command(user, 1, amount, &[0]);
    let script = |stage: u8, steps: &[&[u8]]| [&[stage], &steps.concat()[..]].concat();
    let in_group = |user: u8| command(user, 12, 1, &[0, 0, 1, user, 1 - user, 3]);
    let unasked = |user: u8| command(user, 12, 1, &[0, 2, 1, user, 1 - user, 3]);
    // Both honest users sign, and their answers are lost to all but the adversary.
    let kept = |user: u8| [unasked(user), vec![4, 4, 4, 6, 4, 6, 6, 12, 0]].concat();
    vec![
        ("open", script(0, &[&command(0, 0, 100, &[1, 1]), CALM, &pay(0, 5), CALM, &pay(1, 7), CALM])),
        ("payments-cross", script(1, &[&pay(0, 5), &pay(1, 7), &[4], &[4], &[4], &[4], CALM])),
        ("lost", script(1, &[&pay(0, 5), &[6], &pay(0, 6), &[11, 0, 1], &[4], &pay(0, 7), CALM])),
        ("close", script(1, &[&pay(0, 5), CALM, &command(1, 3, 0, &[0]), CALM])),
        ("top-up", script(1, &[&command(0, 5, 10, &[0]), CALM, &command(1, 6, 5, &[0]), CALM, &pay(1, 5), CALM])),
        ("split", script(1, &[&command(0, 7, 20, &[0, 2]), CALM, &pay(0, 5), &command(1, 7, 0, &[0, 4, 1]), CALM])),
        (
            "merge",
            script(1, &[&command(0, 7, 20, &[0, 1]), CALM, &command(0, 7, 0, &[0, 8, 1, 2]), CALM, &pay(0, 5), CALM]),
        ),
        ("dispute", script(1, &[&pay(0, 5), CALM, &command(1, 10, 0, &[0]), CALM, &[10, 9, 13, 0, 9, 1], CALM])),
        (
            "old-state",
            script(1, &[&pay(0, 5), CALM, &command(0, 2, 0, &[0]), &pay(1, 9), CALM, &[14, 2, 0, 13, 0], CALM]),
        ),
        ("altered", script(1, &[&pay(2, 5), &[7, 38, 1, 0], &[7, 46, 3, 0], &[7, 50, 255, 0], CALM])),
        ("braid", script(1, &[&command(0, 4, 0, &[9]), CALM, &in_group(0), CALM, &command(1, 14, 0, &[0]), CALM])),
        ("group", script(2, &[&in_group(0), CALM, &in_group(1), CALM, &command(2, 13, 0, &[0]), CALM])),
        ("time-out", script(2, &[&in_group(0), &[4, 4, 4, 6], &[12, 0], &in_group(1), CALM])),
        ("leave", script(2, &[&command(0, 9, 0, &[0]), CALM, &command(0, 8, 0, &[0, 1, 0]), CALM, &in_group(0), CALM])),
        (
            "group-dispute",
            script(2, &[&in_group(0), CALM, &command(1, 11, 0, &[2, 0, 1]), CALM, &[10, 9], CALM, &pay(0, 1)]),
        ),
        (
            "group-settle",
            script(2, &[&command(1, 11, 0, &[0, 0]), CALM, &[10, 9, 15, 1, 0, 0], CALM, &in_group(0), CALM]),
        ),
        ("renew", script(1, &[&pay(0, 5), CALM, &[15, 0, 5, 0, 15, 1, 5, 1], CALM, &[10, 9], CALM, &pay(0, 1), CALM])),
        ("group-renew", script(2, &[&[15, 0, 5, 0], CALM, &[10, 9], CALM, &in_group(0), CALM, &in_group(1), CALM])),
        ("renew-then-settle", script(2, &[&[15, 2, 5, 1, 15, 1, 1, 1], CALM, &[10, 9], &in_group(0), CALM])),
        ("kept", script(2, &[&kept(0), &[15, 2, 2, 0], &in_group(1), CALM])),
        ("kept-and-replaced", script(2, &[&kept(0), &in_group(1), CALM, &[15, 2, 2, 0], CALM, &[15, 2, 2, 1], CALM])),
        (
            "kept-in-a-dispute",
            script(2, &[&kept(0), &[15, 2, 1, 1, 15, 2, 1, 2], CALM, &[10, 9], &in_group(0), &[15, 2, 2, 0], CALM]),
        ),
        (
            "kept-until-renewed",
            script(
                2,
                &[&kept(0), &[15, 2, 5, 1, 15, 2, 5, 2], CALM, &[10, 9], CALM, &in_group(0), &[15, 2, 2, 0], CALM],
            ),
        ),
        ("made-up", script(2, &[&[8, 2, 0, 34, 0, 1, 20], &[7; 32], &[8, 3, 1, 34, 0, 1, 20], &[7; 32]])),
    ]
}

/// An event's name and its encoded fields.
type Named = (&'static str, Vec<u8>);

/// What the chain may tell of a channel and a group that the users are in: events by their names and fields.
fn told() -> Vec<(&'static str, Vec<Named>)> {
    let world = World::at(2);
    let (tpc, channel) = world.users[0].party.channels().iter().next().expect("the users have channels");
    let (tpc, mpc, deadline) = (*tpc, world.chain.mpcs().next().expect("the users have a group"), world.now + 1);
    let Entry { epoch, version, balances, .. } = channel.latest;
    let (then, credited, account) = (Resolution::Renew, [false, true], account(0));
    let entries = vec![Entry { version: version + 1, ..channel.latest }];
    let disputed = |then| Disputed { channels: vec![ChannelDisputed { tpc, epoch, version, deadline, then }] };
    let settled = Settled { channels: vec![ChannelSettled { tpc, epoch, version, balances, credited }] };
    let (other, parts) = (TpcId([7; 32]), vec![(tpc, balances), (TpcId([8; 32]), [1, 1])]);
    let split = protocol::event::TpcSplit { from: vec![tpc, other], epoch: epoch + 1, parts };
    let created = TpcCreated { tpc: other, owners: channel.owners, balances, by: account, deposited: UNIT };
    let topped_up = TpcToppedUp { tpc, epoch: epoch + 1, balances, added: [1, 0] };
    let withdrawn = TpcWithdrawn { tpc, epoch: epoch + 2, balances, amounts: [1, 0], credited };
    let (asset, amount) = (Asset::Native, UNIT);
    let tpcs = vec![tpc];
    vec![
        (
            "moved",
            vec![("Updated", Updated { entries }.encode()), ("MpcLeft", MpcLeft { mpc, tpcs: tpcs.clone() }.encode())],
        ),
        ("split", vec![("TpcSplit", split.encode()), ("TpcClosed", TpcClosed { tpc, balances, credited }.encode())]),
        ("settled", vec![("Disputed", disputed(Resolution::Settle).encode()), ("Settled", settled.encode())]),
        ("renewed", vec![("Disputed", disputed(then).encode()), ("TpcToppedUp", topped_up.encode())]),
        ("paid-out", vec![("TpcCreated", created.encode()), ("TpcWithdrawn", withdrawn.encode())]),
        (
            "ledger",
            vec![
                ("Deposited", Deposited { account, asset, amount }.encode()),
                ("Withdrawn", Withdrawn { account, asset, amount }.encode()),
            ],
        ),
        (
            "registered",
            vec![
                ("MpcClosed", MpcClosed { mpc, tpcs: tpcs.clone() }.encode()),
                ("MpcCreated", MpcCreated { mpc, tpcs: tpcs.clone() }.encode()),
                ("MpcJoined", MpcJoined { mpc, tpcs: vec![other] }.encode()),
            ],
        ),
    ]
}

/// Events as [`crate::answers`] takes them: by their kinds' numbers, and as a contracts node stores them.
fn write_told() {
    let metadata = Bundle::built_in().expect("the built bundle is one").metadata;
    let kinds = metadata["spec"]["events"].as_array().expect("the bundle lists events");
    for (name, events) in told() {
        let (mut plain, mut records) = (vec![5], vec![]);
        for (kind, fields) in events {
            let listed = (0..).zip(kinds).find(|(_, listed)| listed["label"] == kind);
            let (number, listed): (u8, _) = listed.expect("the kind is listed");
            let length = u16::try_from(fields.len()).expect("events are short");
            plain.extend([vec![number], length.to_le_bytes().to_vec(), fields.clone()].concat());
            let topic = listed["signature_topic"].as_str().and_then(|topic| bytes32(topic.strip_prefix("0x")?));
            records.push(
                [CONTRACT_EMITTED, &(DOMAIN.contract, fields, vec![topic.expect("it has one")]).encode()].concat(),
            );
        }
        let count = codec::Compact(u32::try_from(records.len() + 1).expect("it is short")).encode();
        write("answers", &format!("told-{name}"), &plain);
        write("answers", &format!("events-{name}"), &[&[1], &count[..], &records.concat(), EXTRINSIC_SUCCESS].concat());
    }
}

/// The beginning of the record of a contract's event: in a contracts node, in the block's second transaction.
const CONTRACT_EMITTED: &[u8] = &[0, 1, 0, 0, 0, 8, 3];

/// The record of the transaction's success.
const EXTRINSIC_SUCCESS: &[u8] = &[0, 1, 0, 0, 0, 0, 0, 3, 0xb7, 0xfe, 0xc7, 0x99, 0x62, 0x36, 0x0a, 0, 0, 0, 0];

/// What the contract answers to questions.
fn write_answers() {
    let world = World::at(2);
    let tpc = world.chain.channels_of(account(0), world.now).into_values().next();
    let answer = |name: &str, answer: Vec<u8>| write("answers", name, &[vec![3], answer].concat());
    answer("answer-tpc", Answer::Ok(tpc).encode());
    answer("answer-mpc", Answer::Ok(Some(Mpc { channels: 3 })).encode());
    answer("answer-ended", Answer::Ok(Some(7u64)).encode());
    answer("answer-domain", Answer::Ok(DOMAIN).encode());
    answer("answer-balance", Answer::Ok(STAKE).encode());
}

/// Calls of the contract as bytes, and a bundle that describes it.
fn write_calls() {
    let world = World::at(2);
    let (tpc, channel) = world.users[0].party.channels().iter().next().expect("the users have channels");
    let (signatures, valid_until, last) = ([Signature([9; 64]); 2], world.now, channel.latest);
    let creation = TpcCreation {
        parties: channel.owners.parties,
        nonce: 1,
        asset: Asset::Psp22(AccountId([5; 32])),
        balances: [STAKE; 2],
        window: 10_000,
        valid_until,
    };
    let parts = vec![[STAKE, 0], [0, STAKE]];
    let split = protocol::TpcSplit { last: vec![last, Entry { tpc: TpcId([7; 32]), ..last }], parts, valid_until };
    let signed = PartySignature { party: account(0), signature: signatures[0] };
    let update = UpdateChannels {
        update: Update { entries: vec![last] },
        owners: vec![channel.owners],
        signatures: vec![signed],
    };
    assert_eq!(last.tpc, *tpc);
    let calls = [
        ("deposit", Deposit {}.call_data(&Native)),
        ("withdraw", Withdraw { amount: UNIT }.call_data(&Native)),
        ("create", CreateTpc { creation, signatures }.call_data(&Native)),
        ("split", SplitTpc { split, signatures }.call_data(&Native)),
        ("update", update.call_data(&Native)),
    ];
    for (name, data) in calls {
        write("text", &format!("call-{name}"), &[&[3], &data[..]].concat());
        let call = ContractCall {
            contract: DOMAIN.contract,
            value: 0,
            gas_limit: Weight { ref_time: 1_000_000_000, proof_size: 100_000 },
            deposit_limit: None,
            data,
        };
        let transaction = CODEC.sign(keys(0), &Call::Contract(call), 1).expect("the call fits the metadata");
        write("answers", &format!("transaction-{name}"), &[&[4], &transaction[..]].concat());
    }
    let label = |(name, _): &(&str, _)| json!({ "label": name });
    let (new, messages): (Vec<_>, Vec<_>) = MESSAGES.iter().partition(|(name, _)| *name == "new");
    let spec = json!({
        "constructors": new.iter().copied().map(label).collect::<Vec<_>>(),
        "messages": messages.iter().copied().map(label).collect::<Vec<_>>(),
        "events": [],
    });
    let bundle = json!({ "source": { "wasm": "0x0061736d" }, "spec": spec });
    write("text", "bundle", &[&[2], bundle.to_string().as_bytes()].concat());
}

fn write(target: &str, name: &str, seed: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(name), seed)).expect("a seed can be written");
}

#[test]
#[ignore = "it writes files: run it after a change of what is sent or stored"]
fn seeds_are_written() {
    let mut frames = BTreeMap::new();
    let mut stored = vec![];
    for stage in 0..3 {
        let mut world = World::at(stage);
        for (number, line) in story(&world.clone()).into_iter().enumerate() {
            line.into_iter().for_each(|(user, command)| world.command(user, command));
            if number == 3 {
                stored.push((format!("party-asking-{stage}"), [vec![1], world.users[0].party.encode()].concat()));
            }
            listen(&mut world, &mut frames);
            if [1, 3].contains(&number) {
                let party = &world.users[1].party;
                stored.push((format!("states-{stage}-{number}"), [vec![0], party.evidence().to_bytes()].concat()));
                stored.push((format!("party-{stage}-{number}"), [vec![1], party.encode()].concat()));
                stored.push((format!("coordinator-{stage}-{number}"), [vec![2], world.coordinator.encode()].concat()));
            }
        }
    }
    let mut world = World::at(1);
    let (channels, valid_until) = (world.channels(), world.now);
    world.command(0, Command::CreateMpc { channels, valid_until });
    listen(&mut world, &mut frames);
    frames.iter().for_each(|(kind, frame)| write("frame", kind, frame));
    stored.iter().for_each(|(name, seed)| write("stored", name, seed));
    write_told();
    write_answers();
    write_calls();
    scripts().iter().for_each(|(name, script)| write("engine", name, script));
}
