//! Writes what the search starts from, where our own code makes it: real frames, stored records, and things to happen.

use crate::{
    answers::{CODEC, KEYS},
    bytes::Bytes,
    engine::{
        stage::{self, ASSETS, COORDINATOR, NODES, STAKE},
        step, Run,
    },
};
use braid::evidence;
use chain::{contract::Bundle, keys::bytes32, node::codec::Call, ContractCall, Weight};
use codec::Encode;
use engine::{Channel, Message, Native};
use protocol::{
    abi::{Answer, CreateTpc, Deposit, Message as _, SplitTpc, UpdateChannels, Withdraw, MESSAGES},
    event::{
        ChannelDisputed, ChannelSettled, Deposited, Disputed, MpcClosed, MpcCreated, MpcJoined, MpcLeft, Settled,
        TpcClosed, TpcCreated, TpcToppedUp, TpcWithdrawn, Updated, Withdrawn,
    },
    AccountId, Asset, Entry, Mpc, MpcId, PartySignature, Resolution, Signature, TpcCreation, TpcId, Update,
};
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path};
use testkit::ledger::DOMAIN;

/// The place of a channel among all, as inputs name it.
fn place(a: usize, b: usize, asset: Asset) -> u8 {
    let run = Run::at(1);
    let parties = [run.world.account(a), run.world.account(b)];
    let found = |owners: &protocol::Owners| owners.parties == parties && owners.asset == asset;
    let place = run.channels().values().position(found).expect("the users have channels");
    u8::try_from(place).expect("there are few")
}

/// What happens in the engine, as its input says it.
fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    const CALM: &[u8] = &[4];
    const NEXT: &[u8] = &[5];
    const LOSE: &[u8] = &[7];
    // 4 s, and the longest there is.
    const WAIT: &[u8] = &[13, 4];
    const LONG: &[u8] = &[13, 7];
    // Nobody is the adversary, a user is, or the coordinator is, and applications say yes to nothing.
    let (honest, hostile, coordinator) = (0, 4 + 12, 8 + 12);
    let script = |stage: u8, steps: &[&[u8]]| [&[stage], &steps.concat()[..]].concat();
    let command =
        |node: u8, kind: u8, own: u8, theirs: u8, rest: &[u8]| [&[0, node, kind, own, theirs, 48], rest].concat();
    let (ab, ac, bc) = (place(0, 1, ASSETS[0]), place(0, 2, ASSETS[0]), place(1, 2, ASSETS[0]));
    let token = place(0, 1, ASSETS[1]);
    let pay = |from: u8, to: u8, tpc: u8, amount: u8| command(from, 10, 0, 0, &[0, 1, tpc, from, to, 0, amount]);
    let group = |from: u8, to: u8, how: u8, amount: u8| command(from, 10, 0, 0, &[how, 1, 0, from, to, 0, amount]);
    let along = command(0, 10, 0, 0, &[5, 1, ac, 0, 5, bc, 1, 5, 0, 1, 0, 5]);
    let (close, top_up, withdraw) =
        (command(0, 1, 0, 0, &[ab]), command(0, 2, 10, 0, &[ab]), command(1, 3, 5, 5, &[ab]));
    let split = command(0, 4, 20, 10, &[0, ab, 2]);
    let leave = command(0, 6, 0, 0, &[ab]);
    let join = command(0, 5, 0, 0, &[0, ac, ab]);
    let create = |registered: u8| command(0, 7, 0, 0, &[3, registered, 9, 7]);
    let dissolve = command(1, 8, 0, 0, &[0]);
    let appoint = |node: u8, who: u8, term: u8| command(node, 9, 0, 0, &[0, who, term]);
    let dispute = |node: u8, tpc: u8, how: u8| command(node, 21, 0, 0, &[how, tpc]);
    let permit = |node: u8| command(node, 17, 200, 0, &[2, 0, 0, 50]);
    let answer = |node: u8, accept: u8| command(node, 19, 0, 0, &[0, accept]);
    let checkpoint = |node: u8, tpc: u8| command(node, 20, 0, 0, &[0, tpc]);
    let dies = |node: u8, how: u8| vec![15, node, how];
    let away = |node: u8, time: u8| vec![16, node, time];
    let lost = |node: u8, told: u8| vec![17, node, told];
    // The adversary completes what it can and brings it.
    let bring = |which: u8| vec![18, 0, 2, which];
    let old_dispute = |node: u8, tpc: u8, then: u8| vec![18, node, 1 + 4 * then, 0, tpc];
    let head = |node: u8, tpc: u8| vec![19, node, 1, 16, tpc, 0, 0];
    // The adversary asks for a signature over a channel as leader.
    let update =
        |to: u8, right: u8, tpc: u8, moved: u8| vec![10, to, 0, 1, right, 0, 1, 200, 1, to, 2, 0, 3, 0, tpc, 1, moved];
    let propose = |to: u8, tpc: u8, moved: u8| vec![10, to, 4, 1, 2, 0, 1, 200, 1, to, 2, 0, 3, 0, tpc, 1, moved];
    let wants = |to: u8, kind: u8, tpc: u8| vec![10, to, 11, kind, 3, 2, 48, tpc, 0, 0, 0];
    vec![
        ("open", script(honest, &[&command(0, 0, 100, 50, &[1, 0, 0]), CALM, WAIT, CALM, &pay(0, 1, 0, 5), CALM])),
        ("open-with-nobody", script(honest, &[&command(0, 0, 100, 0, &[2, 0, 1]), LOSE, &dies(0, 1), WAIT, CALM])),
        ("payments-cross", script(honest + 1, &[&pay(0, 1, ab, 5), &pay(1, 0, ab, 7), NEXT, NEXT, NEXT, NEXT, CALM])),
        ("lost", script(honest + 1, &[&pay(0, 1, ab, 5), LOSE, &pay(0, 1, ab, 6), &dies(0, 1), NEXT, WAIT, CALM])),
        ("repeated", script(honest + 1, &[&pay(0, 1, ab, 5), &[6, 0], &[6, 0], NEXT, NEXT, &[6, 1], WAIT, CALM])),
        ("close", script(honest + 1, &[&pay(0, 1, ab, 5), CALM, &close, CALM, WAIT])),
        ("top-up", script(honest + 1, &[&top_up, CALM, WAIT, &withdraw, CALM, WAIT, &pay(1, 0, ab, 5), CALM])),
        ("split", script(honest + 1, &[&split, CALM, WAIT, CALM, &pay(0, 1, ab, 5), CALM])),
        ("request", script(honest + 13, &[&command(1, 10, 0, 0, &[0, 1, ab, 0, 1, 0, 9]), CALM, &answer(0, 0), CALM])),
        ("permit", script(honest + 13, &[&permit(0), &command(2, 10, 0, 0, &[0, 1, ac, 0, 2, 0, 9]), CALM])),
        ("path", script(honest + 13, &[&along, CALM, &answer(2, 0), CALM, WAIT, CALM])),
        ("cancel", script(honest + 1, &[&pay(0, 1, ab, 5), LOSE, &command(0, 16, 0, 0, &[0]), WAIT, CALM])),
        ("dispute", script(honest + 1, &[&pay(0, 1, ab, 5), CALM, &dispute(1, ab, 0), WAIT, &lost(1, 0), LONG, WAIT])),
        (
            "renew",
            script(honest + 1, &[&pay(0, 1, ab, 5), NEXT, LOSE, &dispute(0, ab, 1), LONG, &pay(0, 1, ab, 6), CALM]),
        ),
        (
            "old-state",
            script(hostile + 1, &[&pay(0, 2, ac, 5), CALM, &old_dispute(2, ac, 0), &away(0, 60), LONG, WAIT]),
        ),
        ("head", script(honest + 1, &[&head(0, ab), &pay(0, 1, ab, 5), CALM, WAIT, &pay(0, 1, ab, 6), CALM])),
        ("braid", script(honest + 1, &[&create(1), CALM, WAIT, CALM, &group(0, 1, 1, 5), CALM])),
        (
            "register",
            script(honest + 1, &[&create(0), CALM, WAIT, CALM, &group(0, 1, 7, 5), CALM, &dissolve, CALM, WAIT]),
        ),
        ("group", script(honest + 2, &[&group(0, 1, 1, 5), CALM, &group(1, 2, 7, 6), CALM, &group(2, 0, 4, 7), CALM])),
        (
            "group-too-much",
            script(honest + 2, &[&group(0, 1, 1, 252), &group(1, 2, 1, 253), CALM, &pay(0, 1, token, 5), CALM]),
        ),
        ("group-hangs", script(honest + 3, &[&group(0, 1, 7, 5), NEXT, NEXT, LOSE, &dies(3, 1), LONG, CALM])),
        ("group-dispute", script(honest + 3, &[&group(0, 1, 7, 5), CALM, &dispute(1, ab, 0), CALM, LONG, WAIT, CALM])),
        ("leave", script(honest + 3, &[&leave, CALM, WAIT, CALM, &join, CALM, WAIT, CALM, &group(0, 1, 1, 3), CALM])),
        ("leave-unregistered", script(honest + 2, &[&leave, CALM, &join, CALM, &group(0, 1, 1, 3), CALM])),
        ("coordinators", script(honest + 2, &[&appoint(0, 2, 1), &appoint(1, 2, 1), CALM, &group(0, 1, 1, 5), CALM])),
        ("dissolve", script(honest + 2, &[&dissolve, CALM, &pay(0, 1, ab, 5), CALM])),
        ("checkpoint", script(honest + 1, &[&pay(0, 1, ab, 5), CALM, &checkpoint(1, ab), &lost(1, 1), WAIT, WAIT])),
        (
            "theft",
            script(
                hostile + 1,
                &[&update(0, 0, ac, 9), &update(0, 0, ac, 130), &propose(0, ac, 9), CALM, &bring(0), WAIT],
            ),
        ),
        (
            "theft-in-a-group",
            script(coordinator + 2, &[&update(0, 1, ab, 9), &group(0, 1, 7, 3), CALM, &bring(0), WAIT]),
        ),
        (
            "wants",
            script(
                hostile + 1,
                &[&wants(0, 1, ac), &wants(0, 2, ac), &wants(1, 3, bc), &wants(0, 4, ac), &bring(0), WAIT],
            ),
        ),
        ("kept", script(hostile + 2, &[&group(0, 1, 7, 5), NEXT, NEXT, NEXT, LOSE, LOSE, LOSE, &bring(0), WAIT, LONG])),
        ("silent", script(hostile + 24 + 2, &[&group(0, 1, 7, 5), NEXT, NEXT, &pay(0, 2, ac, 5), NEXT, NEXT])),
        (
            "altered",
            script(hostile + 1, &[&pay(2, 0, ac, 5), &[8, 180, 1, 0], &[8, 220, 3, 0], &[8, 250, 255, 0], CALM]),
        ),
        (
            "made-up",
            script(hostile + 2, &[&[9, 0, 36, 0, 3, 4], &[7; 34], &[12, 1, 0], &[10, 3, 14, 0, 1, 1, ac, 0, 0, 0]]),
        ),
        ("connected", script(honest + 1, &[&pay(0, 1, ab, 5), LOSE, &[20, 0, 1], CALM, &[21, 0, 0, ab], CALM])),
    ]
}

/// The kind of a message, and of what is in it if that has kinds.
fn kind(message: &Message) -> String {
    let text = format!("{message:?}");
    let names = text.split(|letter: char| !letter.is_alphanumeric());
    let mut names = names.filter(|name| name.starts_with(char::is_uppercase));
    let first = names.next().unwrap_or_default().to_owned();
    match (message, names.find(|name| *name != "RoundId" && *name != "AccountId")) {
        (Message::Agree { .. } | Message::Update { .. } | Message::Propose { .. }, Some(second)) => {
            format!("{first}-{second}")
        }
        _ => first,
    }
}

/// Lets a script happen, and keeps a frame of each kind of message.
fn listen(script: &[u8], frames: &mut BTreeMap<String, Vec<u8>>) -> Run {
    let mut bytes = Bytes(script);
    let [stage] = bytes.array().expect("a script has a stage");
    let mut run = Run::at(stage);
    while step(&mut run, &mut bytes).is_some() {
        for letter in run.heard() {
            frames.entry(kind(&letter.message)).or_insert_with(|| letter.message.frame());
        }
    }
    run
}

/// A channel of the first user, and its group.
fn own_channel() -> (TpcId, Channel, MpcId) {
    let world = stage::world(2);
    let engine = world.engine(0).expect("nobody is dead");
    let (tpc, channel) = engine.channels().next().expect("the users have channels");
    (*tpc, channel.clone(), channel.mpc.expect("the users have a group"))
}

/// An event's name and its encoded fields.
type Named = (&'static str, Vec<u8>);

/// What the chain may tell of a channel and a group that the users are in: events by their names and fields.
fn told() -> Vec<(&'static str, Vec<Named>)> {
    let (tpc, channel, mpc) = own_channel();
    let (owner, deadline) = (channel.owners.parties[0], stage::world(2).now() + 1);
    let Entry { epoch, version, balances, .. } = channel.latest;
    let (then, credited, account) = (Resolution::Renew, [false, true], owner);
    let entries = vec![Entry { version: version + 1, ..channel.latest }];
    let disputed = |then| Disputed { channels: vec![ChannelDisputed { tpc, epoch, version, deadline, then }] };
    let settled = Settled { channels: vec![ChannelSettled { tpc, epoch, version, balances, credited }] };
    let (other, parts) = (TpcId([7; 32]), vec![(tpc, balances), (TpcId([8; 32]), [1, 1])]);
    let split = protocol::event::TpcSplit { from: vec![tpc, other], epoch: epoch + 1, parts };
    let created = TpcCreated { tpc: other, owners: channel.owners, balances, by: account, deposited: 1 };
    let topped_up = TpcToppedUp { tpc, epoch: epoch + 1, balances, added: [1, 0] };
    let withdrawn = TpcWithdrawn { tpc, epoch: epoch + 2, balances, amounts: [1, 0], credited };
    let (asset, amount) = (Asset::Native, 1);
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
    let world = stage::world(2);
    let tpc = world.ledger.tpcs().next().map(|(_, stored)| *stored);
    let answer = |name: &str, answer: Vec<u8>| write("answers", name, &[vec![3], answer].concat());
    answer("answer-tpc", Answer::Ok(tpc).encode());
    answer("answer-mpc", Answer::Ok(Some(Mpc { channels: 3 })).encode());
    answer("answer-ended", Answer::Ok(Some(7u64)).encode());
    answer("answer-domain", Answer::Ok(DOMAIN).encode());
    answer("answer-balance", Answer::Ok(STAKE).encode());
}

/// Calls of the contract as bytes, and a bundle that describes it.
fn write_calls() {
    let (_, channel, _) = own_channel();
    let (signatures, valid_until, last) = ([Signature([9; 64]); 2], stage::world(2).now(), channel.latest);
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
    let signed = PartySignature { party: channel.owners.parties[0], signature: signatures[0] };
    let update = UpdateChannels {
        update: Update { entries: vec![last] },
        owners: vec![channel.owners],
        signatures: vec![signed],
    };
    let calls = [
        ("deposit", Deposit {}.call_data(&Native)),
        ("withdraw", Withdraw { amount: 1 }.call_data(&Native)),
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
            tip: 0,
            data,
        };
        let transaction = CODEC.sign(&KEYS, &Call::Contract(call), 1).expect("the call fits the metadata");
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

/// Scripts after which somebody stores what is of interest: something is in flight, or a group is led.
const STORED: [&str; 8] =
    ["open-with-nobody", "lost", "split", "path", "group-hangs", "group", "theft-in-a-group", "silent"];

#[test]
#[ignore = "it writes files: run it after a change of what is sent or stored"]
fn seeds_are_written() {
    let mut frames = BTreeMap::new();
    for (name, script) in scripts() {
        let run = listen(&script, &mut frames);
        write("engine", name, &script);
        for node in (0..NODES).filter(|node| STORED.contains(&name) && [0, 2, COORDINATOR].contains(node)) {
            // The frame of a peer, and then the records.
            let frame = run.mail.front().map(|letter| letter.message.frame()).unwrap_or_default();
            let records = run.world.nodes[node].store.0.iter().filter(|(key, _)| key.first() != Some(&engine::PAST));
            let records: Vec<_> = records.flat_map(|(key, value)| [piece(key), piece(value)]).collect();
            let number = u8::try_from(node).expect("there are few");
            let seed = [vec![1, number], piece(&frame), records.concat()].concat();
            write("stored", &format!("records-{name}-{node}"), &seed);
            if let Some(engine) = run.world.engine(node).filter(|_| node == 0) {
                let evidence = evidence::to_bytes(&engine.evidence());
                write("stored", &format!("states-{name}"), &[vec![0], evidence].concat());
            }
        }
    }
    frames.iter().for_each(|(kind, frame)| write("frame", kind, frame));
    write_told();
    write_answers();
    write_calls();
}

fn piece(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("it is short");
    [&length.to_le_bytes(), bytes].concat()
}
