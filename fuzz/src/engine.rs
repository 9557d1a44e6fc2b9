//! What parties and a coordinator do with what they hear: messages that are lost, late, repeated, altered or made up,
//! while the clock moves, processes die, and anybody brings to the chain what it once took or refused.

mod chain;
mod holds;
mod world;

use crate::bytes::Bytes;
use ::chain::{
    keys::{Keys, Native},
    submission::Submission,
    UNIT,
};
use braid::engine::{
    coordinator,
    message::{Message, Payment, Scope},
    party::Command,
    step::Peer,
};
use planning::Transfer;
use protocol::{
    abi::{DisputeChannels, SettleChannels},
    Action, Balance, MpcId, Resolution, Timestamp, TpcId, Update,
};
use std::collections::VecDeque;
pub(crate) use world::{account, keys, saved, World, DOMAIN, STAKE};
use world::{Fate, Letter, ADVERSARY, USERS, WINDOW};

/// The most that happens in one run.
const MAX_STEPS: usize = 128;

/// The first byte says how far the world has come, and every step takes a byte for its kind and some for its details.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let Some([stage]) = bytes.array() else { return };
    let mut world = World::at(stage);
    for _ in 0..MAX_STEPS {
        if step(&mut world, &mut bytes).is_none() {
            break;
        }
    }
    world.calm();
    world.check();
}

fn step(world: &mut World, bytes: &mut Bytes) -> Option<()> {
    let [kind] = bytes.array()?;
    match kind % 16 {
        0..=2 => {
            let [user] = bytes.array()?;
            let command = command(world, user_of(user), bytes)?;
            world.command(user_of(user), command);
        }
        3 => world.calm(),
        4 => {
            let letter = world.wire.pop_front();
            letter.into_iter().for_each(|letter| world.deliver(letter));
        }
        // Another one than the oldest, which may come again.
        5 => {
            let letter = pick(&world.wire, bytes)?;
            world.deliver(letter);
        }
        6 => {
            world.wire.pop_front();
        }
        7 => {
            let [at, with] = bytes.array()?;
            let letter = altered(pick(&world.wire, bytes)?, at.into(), with);
            world.deliver(letter);
        }
        8 => {
            let [from, to] = bytes.array()?;
            let letter = Letter { from: peer(from), to: peer(to), frame: bytes.piece()?.to_vec() };
            world.deliver(letter);
        }
        9 => {
            let [index] = bytes.array()?;
            world.hear(usize::from(index) % (USERS + 1));
        }
        10 => {
            let [time] = bytes.array()?;
            world.pass(later(time));
        }
        11 => {
            let [user, fate] = bytes.array()?;
            world.users[user_of(user)].fate = if fate % 2 == 0 { Fate::Unsaved } else { Fate::Silent };
        }
        12 => {
            let mpc = mpc(world, bytes)?;
            world.step_coordinator(coordinator::Input::Timeout(mpc));
        }
        13 => {
            let [user] = bytes.array()?;
            world.watch(user_of(user));
        }
        14 => {
            let [user] = bytes.array()?;
            let call = pick(&world.calls, bytes)?;
            world.call(user_of(user), call, 0);
        }
        _ => {
            let [user, what] = bytes.array()?;
            match what % 4 {
                0 => {
                    let channels = tpcs(world, what / 4, bytes)?;
                    world.call(user_of(user), Submission::SettleChannels(SettleChannels { channels }), 0);
                }
                // Without what its party knows better.
                1 => {
                    let (channels, then) = (tpcs(world, what / 8, bytes)?, resolution(what / 4));
                    world.call(user_of(user), Submission::DisputeChannels(DisputeChannels { channels, then }), 0);
                }
                _ => {
                    let call = pick(&world.withheld, bytes)?;
                    world.call(ADVERSARY, call, 0);
                }
            }
        }
    }
    Some(())
}

fn command(world: &World, user: usize, bytes: &mut Bytes) -> Option<Command> {
    let [kind, own, theirs, time] = bytes.array()?;
    let (own, theirs, valid_until) = (amount(own), amount(theirs), world.now + later(time));
    Some(match kind % 15 {
        0 => {
            let [other, window] = bytes.array()?;
            let (peer, value) = (account(user_of(other)), amount(other / 3));
            let mut parties = [account(user), peer];
            parties.sort();
            let nonce = world.chain.next_nonce(&parties);
            let window = WINDOW * Timestamp::from(window);
            Command::OpenTpc { peer, nonce, own, theirs, value, window, valid_until }
        }
        1 => Command::PayTpc { tpc: tpc(world, bytes)?, amount: own },
        2 => Command::CheckpointTpc(tpc(world, bytes)?),
        3 => Command::CloseTpc { tpc: tpc(world, bytes)?, valid_until },
        4 => {
            let [without] = bytes.array()?;
            let mut channels = world.channels();
            if channels.len() > 1 {
                channels.remove(usize::from(without) % channels.len());
            }
            Command::CreateMpc { channels, valid_until }
        }
        5 => Command::TopUpTpc { tpc: tpc(world, bytes)?, own, theirs, valid_until },
        6 => Command::WithdrawTpc { tpc: tpc(world, bytes)?, own, theirs, valid_until },
        7 => {
            let (first, [parts]) = (tpc(world, bytes)?, bytes.array()?);
            let others = (0..parts / 4 % 3).map(|_| tpc(world, bytes)).collect::<Option<Vec<_>>>()?;
            let channels = [vec![first], others].concat();
            let rest = |all: Balance, each: Balance| all.saturating_sub(each.saturating_mul((parts % 4).into()));
            let [all_own, all_theirs] = held(world, user, &channels);
            let mut parts = vec![(own, theirs); usize::from(parts % 4)];
            parts.insert(0, (rest(all_own, own), rest(all_theirs, theirs)));
            Command::SplitTpc { channels, parts, valid_until }
        }
        8 => {
            Command::JoinMpc { mpc: mpc(world, bytes)?, host: tpc(world, bytes)?, tpc: tpc(world, bytes)?, valid_until }
        }
        9 => Command::LeaveMpc { tpc: tpc(world, bytes)?, valid_until },
        10 => Command::Dispute { channels: vec![tpc(world, bytes)?], then: Resolution::Settle },
        11 => {
            let [how] = bytes.array()?;
            Command::Dispute { channels: tpcs(world, how / 2, bytes)?, then: resolution(how) }
        }
        12 => {
            let (mpc, [scope, count]) = (mpc(world, bytes)?, bytes.array()?);
            let transfer = |_| {
                let [from, to, planck] = bytes.array()?;
                Some(Transfer { from: account(user_of(from)), to: account(user_of(to)), amount: amount(planck) })
            };
            let transfers = (0..count % 4).map(transfer).collect::<Option<_>>()?;
            let (all, confirm) = (scope % 2 == 0, scope % 4 < 2);
            Command::Pay(Payment { mpc, transfers, scope: if all { Scope::All } else { Scope::Touched }, confirm })
        }
        13 => Command::Checkpoint(mpc(world, bytes)?),
        _ => Command::CloseMpc { mpc: mpc(world, bytes)?, valid_until },
    })
}

/// What `user` and its peer hold in some of its channels.
fn held(world: &World, user: usize, channels: &[TpcId]) -> [Balance; 2] {
    let known = channels.iter().filter_map(|tpc| world.users[user].party.channels().get(tpc));
    known.fold([0, 0], |[own, theirs], channel| {
        let held = channel.own(account(user));
        [own + held, theirs + channel.latest.total().unwrap_or_default() - held]
    })
}

/// The letter with one byte changed. What the adversary sends it signs as it is then.
fn altered(mut letter: Letter, at: usize, with: u8) -> Letter {
    let length = letter.frame.len();
    if let Some(byte) = letter.frame.get_mut(at % length.max(1)) {
        *byte ^= with;
    }
    if letter.from == Peer::Party(account(ADVERSARY)) {
        if let Ok(mut message) = Message::from_frame(&letter.frame) {
            sign(keys(ADVERSARY), &mut message);
            letter.frame = message.frame();
        }
    }
    letter
}

/// Signs what a message says.
fn sign(keys: &Keys, message: &mut Message) {
    let sign = |action: Action| keys.sign(&action.payload(&Native, &DOMAIN));
    match message {
        Message::TpcCreate { creation, signature } => *signature = sign(Action::CreateTpc(creation)),
        Message::TpcUpdate { entry, signature } => {
            *signature = sign(Action::Update(&Update { entries: vec![*entry] }));
        }
        Message::TpcClose { close, signature } => *signature = sign(Action::CloseTpc(close)),
        Message::TpcAgreement { agreement, signature } => *signature = sign(agreement.action()),
        Message::MpcCreate { creation, by, .. } => by.signature = sign(Action::CreateMpc(creation)),
        Message::MpcCreateAgree { mpc, signature } => *signature = keys.sign(&mpc.0),
        Message::MpcUpdateAgree { update, signature } => *signature = keys.sign(update),
        Message::MpcClose { close, by } => by.signature = sign(Action::CloseMpc(close)),
        _ => {}
    }
}

fn user_of(byte: u8) -> usize {
    usize::from(byte) % USERS
}

fn peer(byte: u8) -> Peer {
    match usize::from(byte) % (USERS + 1) {
        USERS => Peer::Coordinator,
        user => Peer::Party(account(user)),
    }
}

fn pick<T: Clone>(all: &VecDeque<T>, bytes: &mut Bytes) -> Option<T> {
    let [index] = bytes.array()?;
    all.get(usize::from(index).checked_rem(all.len())?).cloned()
}

/// A channel that somebody knows, or, rarely, one that nobody does.
fn tpc(world: &World, bytes: &mut Bytes) -> Option<TpcId> {
    let [index] = bytes.array()?;
    let mut known: Vec<_> = world.users.iter().flat_map(|user| user.party.channels().keys().copied()).collect();
    known.sort();
    known.dedup();
    let index = usize::from(index).checked_rem(known.len() + 1)?;
    Some(known.get(index).copied().unwrap_or(TpcId([0; 32])))
}

/// One to three channels.
fn tpcs(world: &World, count: u8, bytes: &mut Bytes) -> Option<Vec<TpcId>> {
    (0..=count % 3).map(|_| tpc(world, bytes)).collect()
}

fn resolution(byte: u8) -> Resolution {
    match byte % 2 {
        0 => Resolution::Settle,
        _ => Resolution::Renew,
    }
}

/// A group that the chain knows, or, rarely, one that nobody does.
fn mpc(world: &World, bytes: &mut Bytes) -> Option<MpcId> {
    let [index] = bytes.array()?;
    let known: Vec<_> = world.chain.mpcs().collect();
    let index = usize::from(index).checked_rem(known.len() + 1)?;
    Some(known.get(index).copied().unwrap_or(MpcId([0; 32])))
}

/// From nothing to more than there is.
fn amount(byte: u8) -> Balance {
    match byte {
        255 => Balance::MAX,
        254 => 10 * STAKE,
        253 => STAKE + 1,
        byte => Balance::from(byte) * UNIT,
    }
}

/// From at once to never.
fn later(byte: u8) -> Timestamp {
    match byte {
        255 => Timestamp::MAX / 1_000,
        byte => Timestamp::from(byte) * WINDOW / 8,
    }
}
