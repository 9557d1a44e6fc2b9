//! Writes what the search starts from, where our own code makes it: real frames, stored states, and things to happen.

use crate::engine::{account, World, STAKE};
use braid::{
    chain::UNIT,
    contract::Bundle,
    engine::{
        message::{Message, Payment, Scope},
        party::Command,
    },
    planning::Transfer,
};
use codec::Encode;
use protocol::{
    event::{MpcClosed, MpcDisputed, MpcLeft, MpcSettled, MpcUpdated, TpcDisputed, TpcDivided, TpcSettled, TpcUpdated},
    Entry,
};
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
    let mut story =
        vec![vec![(0, Command::OpenTpc { peer, nonce: 1, own: STAKE, theirs: 0, window: 20_000, valid_until })]];
    if let (Some(tpc), None) = (tpc, mpc) {
        let pay = |amount| Command::PayTpc { tpc, amount };
        let parts = vec![(STAKE / 2, STAKE), (STAKE / 4, 0), (STAKE / 4, 0)];
        story.extend([
            vec![(0, Command::SplitTpc { tpc, parts })],
            vec![(1, Command::SplitTpc { tpc, parts: vec![(STAKE, STAKE)] })],
            vec![(0, pay(UNIT)), (1, pay(2 * UNIT))],
            vec![(1, pay(20 * STAKE)), (0, pay(0))],
            vec![(0, Command::TopUpTpc { tpc, own: UNIT, theirs: 0, valid_until })],
            vec![(1, Command::WithdrawTpc { tpc, own: UNIT, theirs: UNIT, valid_until })],
            vec![(0, Command::CloseTpc { tpc, valid_until }), (1, pay(1))],
        ]);
    }
    let member = world.users[2].party.channels().keys().next().copied();
    if let (Some(tpc), Some(mpc), Some(member)) = (tpc, mpc, member) {
        let pay = |amount, confirm| {
            let transfers = vec![Transfer { from: account(0), to: account(1), amount }];
            Command::Pay(Payment { mpc, transfers, scope: Scope::All, confirm })
        };
        story.extend([
            vec![(0, pay(UNIT, true)), (1, pay(UNIT, false))],
            vec![(0, pay(90 * UNIT, true))],
            vec![(0, pay(1_000 * UNIT, true))],
            vec![(0, Command::LeaveMpc { tpc, valid_until })],
            vec![(0, Command::JoinMpc { mpc, member, tpc, valid_until })],
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
    let in_group = |user: u8| command(user, 12, 1, &[0, 1, 1, user, 1 - user, 3]);
    vec![
        ("open", script(0, &[&command(0, 0, 100, &[1, 1]), CALM, &pay(0, 5), CALM, &pay(1, 7), CALM])),
        ("payments-cross", script(1, &[&pay(0, 5), &pay(1, 7), &[4], &[4], &[4], &[4], CALM])),
        ("lost", script(1, &[&pay(0, 5), &[6], &pay(0, 6), &[11, 0, 1], &[4], &pay(0, 7), CALM])),
        ("close", script(1, &[&pay(0, 5), CALM, &command(1, 3, 0, &[0]), CALM])),
        ("top-up", script(1, &[&command(0, 5, 10, &[0]), CALM, &command(1, 6, 5, &[0]), CALM, &pay(1, 5), CALM])),
        ("split", script(1, &[&command(0, 7, 20, &[0, 2]), CALM, &pay(0, 5), &command(1, 7, 0, &[0, 0]), CALM])),
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
            script(2, &[&in_group(0), CALM, &command(1, 11, 0, &[0, 1, 0]), CALM, &[10, 9], CALM, &pay(0, 1)]),
        ),
        (
            "group-settle",
            script(2, &[&command(1, 11, 0, &[0, 0]), CALM, &[10, 9, 15, 2, 1, 0], CALM, &pay(0, 1), CALM]),
        ),
        ("made-up", script(2, &[&[8, 2, 0, 34, 0, 1, 20], &[7; 32], &[8, 3, 1, 34, 0, 1, 20], &[7; 32]])),
    ]
}

/// What the chain may tell of a channel and a group that the users are in, as [`crate::answers`] takes it.
fn told() -> Vec<(&'static str, Vec<u8>)> {
    let world = World::at(2);
    let (tpc, channel) = world.users[0].party.channels().iter().next().expect("the users have channels");
    let (tpc, mpc, deadline) = (*tpc, world.chain.mpcs().next().expect("the users have a group"), world.now + 1);
    let Entry { epoch, version, balances, .. } = channel.latest;
    let metadata = Bundle::built_in().expect("the built bundle is one").metadata;
    let kinds = metadata["spec"]["events"].as_array().expect("the bundle lists events");
    let event = |kind: &str, fields: Vec<u8>| {
        let number = (0..).zip(kinds).find(|(_, listed)| listed["label"] == kind).map(|(number, _): (u8, _)| number);
        let length = u16::try_from(fields.len()).expect("events are short");
        [vec![number.expect("the kind is listed")], length.to_le_bytes().to_vec(), fields].concat()
    };
    let moved = MpcUpdated { mpc, states: vec![(tpc, epoch, version + 1)] };
    let left = MpcLeft { mpc, tpcs: vec![tpc] };
    let updated = TpcUpdated { tpc, epoch, version: version + 2, balances };
    let divided = TpcDivided { tpc, epoch: epoch + 1, parts: vec![balances, [1, 1]] };
    let disputed = TpcDisputed { tpc, deadline, epoch, version };
    let settled = TpcSettled { tpc, balances, credited: [false; 2] };
    vec![
        ("told-moved", [event("MpcUpdated", moved.encode()), event("MpcLeft", left.encode())].concat()),
        ("told-alone", [event("TpcUpdated", updated.encode()), event("TpcDivided", divided.encode())].concat()),
        ("told-disputed", [event("TpcDisputed", disputed.encode()), event("TpcSettled", settled.encode())].concat()),
        (
            "told-dissolved",
            [
                event("MpcDisputed", MpcDisputed { mpc, deadline }.encode()),
                event("MpcSettled", MpcSettled { mpc }.encode()),
                event("MpcClosed", MpcClosed { mpc }.encode()),
            ]
            .concat(),
        ),
    ]
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
    world.command(0, Command::CreateMpc { channels, window: 20_000, valid_until });
    listen(&mut world, &mut frames);
    frames.iter().for_each(|(kind, frame)| write("frame", kind, frame));
    stored.iter().for_each(|(name, seed)| write("stored", name, seed));
    told().iter().for_each(|(name, events)| write("answers", name, &[&[5], &events[..]].concat()));
    scripts().iter().for_each(|(name, script)| write("engine", name, script));
}
