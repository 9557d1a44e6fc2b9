//! What engines do with what they hear: messages that are lost, late, repeated, altered or made up by an adversary, while
//! blocks are made, time passes, processes die and calls fail.

mod adversary;
mod end;
mod made_up;
pub(crate) mod stage;

use crate::bytes::Bytes;
use adversary::Knowledge;
use engine::{
    message::Message,
    payment::{Grantee, Purpose},
    Call, Command, HeadDispute, Hop, Input, Over, Permission, Policy, Scope, Transfer,
};
use protocol::{abi, AccountId, Asset, Balance, MpcId, Owners, Resolution, Timestamp, TpcId};
use stage::{groups, policy, ASSETS, COORDINATOR, NODES, STAKE, USERS, WINDOW};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use testkit::{
    liars::Liar,
    signers::Key,
    world::{Fate, Letter, World},
};

/// The most that happens in one run.
const MAX_STEPS: usize = 128;

/// The longest that a run lasts before it calms down, in ms on the simulated clock.
const MAX_TIME: u64 = 120_000;

/// The most messages under way. The oldest are lost.
const MAX_MAIL: usize = 64;

/// How many calls of each node may be lost: as many as its reaction suffices for.
const MAX_LOST: usize = 2;

/// The first byte says how far the world has come and who the adversary is, and every step takes a byte for its kind and
/// some for its details.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let Some([stage]) = bytes.array() else { return };
    let mut run = Run::at(stage);
    for _ in 0..MAX_STEPS {
        // What there is nothing to do with is skipped.
        if step(&mut run, &mut bytes).is_none() && bytes.0.is_empty() {
            break;
        }
    }
    run.end();
}

/// A world, what is under way in it, and who disturbs it.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) world: World,
    /// Whose key signs whatever the input says.
    adversary: Option<usize>,
    /// Whether the adversary says nothing once the input is used up.
    is_silent: bool,
    /// Messages under way.
    pub(crate) mail: VecDeque<Letter>,
    knowledge: Knowledge,
    /// How many calls of a node were lost.
    lost: [usize; NODES],
    /// What a node has asked or permitted to be paid out, by asset.
    spent: BTreeMap<(usize, Asset), Balance>,
    /// Those who said yes to what somebody else wanted.
    consented: BTreeSet<usize>,
}

impl Run {
    /// The stage's remainder by 4 is how far the world has come, by 3 who the adversary is, and by 2 and 2 whether
    /// applications say yes and whether the adversary falls silent.
    pub(crate) fn at(stage: u8) -> Self {
        let mut world = stage::world(stage % 4);
        world.held_back = Some(vec![]);
        // For whoever reads a finding.
        world.trace = std::env::var_os("BRAID_TRACE").is_some();
        let adversary = [None, Some(USERS - 1), Some(COORDINATOR)][usize::from(stage / 4 % 3)];
        let accepts = (stage / 12).is_multiple_of(2);
        for node in 0..NODES {
            world.nodes[node].accepts = accepts || adversary == Some(node);
            world.nodes[node].liar = (adversary == Some(node)).then(Liar::default);
        }
        Self {
            world,
            adversary,
            is_silent: stage / 24 % 2 == 1,
            mail: VecDeque::new(),
            knowledge: Knowledge::default(),
            lost: [0; NODES],
            spent: BTreeMap::new(),
            consented: BTreeSet::new(),
        }
    }

    /// The last messages that were sent.
    #[cfg(test)]
    pub(crate) fn heard(&self) -> impl Iterator<Item = &Letter> {
        self.knowledge.seen.iter()
    }

    fn honest(&self) -> impl Iterator<Item = usize> {
        let adversary = self.adversary;
        (0..NODES).filter(move |node| adversary != Some(*node))
    }

    /// The adversary's key, if there is an adversary.
    fn key(&self) -> Option<(usize, Key)> {
        self.adversary.map(|node| (node, self.world.nodes[node].key.clone()))
    }

    /// Collects what was sent.
    fn collect(&mut self) {
        for letter in self.world.held_back.replace(vec![]).unwrap_or_default() {
            self.knowledge.note(&self.world, &letter);
            if self.mail.len() == MAX_MAIL {
                self.mail.pop_front();
            }
            self.mail.push_back(letter);
        }
    }

    /// Lets a node's application ask for something, and remembers what that may cost it.
    fn command(&mut self, node: usize, command: Command) {
        let account = self.world.account(node);
        let mut costs: BTreeMap<Asset, Balance> = BTreeMap::new();
        match &command {
            Command::Pay { transfers, .. } => {
                for transfer in transfers.iter().filter(|transfer| transfer.from == account) {
                    let cost = costs.entry(transfer.asset).or_default();
                    *cost = cost.saturating_add(transfer.amount);
                }
            }
            Command::Permit(permission) if permission.purpose == Purpose::Pay => {
                costs.insert(permission.asset, permission.left);
            }
            Command::Answer { accept: true, .. } => {
                self.consented.insert(node);
            }
            _ => {}
        }
        // A process that dies on the way may have stored the command.
        if !matches!(self.world.command(node, command), Some(Err(_))) {
            for (asset, cost) in costs {
                let spent = self.spent.entry((node, asset)).or_default();
                *spent = spent.saturating_add(cost);
            }
        }
    }

    /// Lets time pass. Nobody delivers messages while it does.
    fn pass(&mut self, time: u64) {
        if self.world.clock() < MAX_TIME {
            self.world.run(time);
        }
    }

    /// Delivers everything, and what follows, as far as it takes no longer than a few seconds.
    fn calm(&mut self) {
        for _ in 0..4 {
            for _ in 0..4 * MAX_MAIL {
                self.collect();
                let Some(letter) = self.mail.pop_front() else { break };
                self.world.deliver(letter);
            }
            self.pass(1_000);
            self.collect();
            if self.mail.is_empty() {
                break;
            }
        }
    }

    /// The channels that anybody knows.
    pub(crate) fn channels(&self) -> BTreeMap<TpcId, Owners> {
        let engines = (0..NODES).filter_map(|node| self.world.engine(node));
        engines.flat_map(|engine| engine.channels().map(|(tpc, channel)| (*tpc, channel.owners))).collect()
    }
}

pub(crate) fn step(run: &mut Run, bytes: &mut Bytes) -> Option<()> {
    let [kind] = bytes.array()?;
    match kind % 22 {
        0..=3 => {
            let [node] = bytes.array()?;
            let command = command(run, node_of(node), bytes)?;
            run.command(node_of(node), command);
        }
        4 => run.calm(),
        5 => {
            let letter = run.mail.pop_front();
            letter.into_iter().for_each(|letter| run.world.deliver(letter));
        }
        // Another one than the oldest, which may come again.
        6 => {
            let letter = pick(&run.mail, bytes)?;
            run.world.deliver(letter);
        }
        7 => {
            run.mail.pop_front();
        }
        8 => {
            let [at, with] = bytes.array()?;
            let letter = pick(&run.knowledge.seen, bytes)?;
            let mut frame = letter.message.frame();
            let place = usize::from(at) % frame.len().max(1);
            frame.get_mut(place).into_iter().for_each(|byte| *byte ^= with);
            say(run, letter.to, &frame);
        }
        9 => {
            let [to] = bytes.array()?;
            let frame = bytes.piece()?;
            say(run, node_of(to), frame);
        }
        10..=11 => {
            let [to, kind] = bytes.array()?;
            if let Some(message) = made_up::message(run, kind, bytes) {
                say(run, node_of(to), &message.frame());
            }
        }
        // What somebody said to somebody else.
        12 => {
            let [to] = bytes.array()?;
            let letter = pick(&run.knowledge.seen, bytes)?;
            say(run, node_of(to), &letter.message.frame());
        }
        13..=14 => {
            let [time] = bytes.array()?;
            run.pass(250 << (time % 8));
        }
        15 => {
            let [node, fate] = bytes.array()?;
            run.world.nodes[node_of(node)].fate = Some(if fate % 2 == 0 { Fate::Unstored } else { Fate::Stored });
        }
        16 => {
            let [node, time] = bytes.array()?;
            run.world.leave(node_of(node), 1_000 * u64::from(time % 64));
        }
        17 => {
            let [node, told] = bytes.array()?;
            let node = node_of(node);
            if run.lost[node] < MAX_LOST {
                run.lost[node] += run.world.lose_calls(node, told % 2 == 0);
            }
        }
        18 => call(run, bytes)?,
        // Disputes at a head that the next block takes back.
        19 => {
            let [node, count, deadline] = bytes.array()?;
            let disputes = (0..count % 3).map(|_| {
                let (tpc, [epoch, version]) = (tpc(run, bytes)?, bytes.array()?);
                let deadline = run.world.now() + later(deadline);
                Some(HeadDispute { tpc, order: (epoch.into(), version.into()), deadline })
            });
            let disputes = disputes.collect::<Option<_>>()?;
            let _ = run.world.step(node_of(node), Input::Head(disputes));
        }
        20 => {
            let [node, peer] = bytes.array()?;
            let peer = run.world.account(node_of(peer));
            let _ = run.world.step(node_of(node), Input::Connected(peer));
        }
        // A reading that nobody has asked for.
        _ => {
            let ([node, epoch], tpc) = (bytes.array()?, tpc(run, bytes)?);
            if let Some(reading) = run.world.reading(&[(tpc, u32::from(epoch % 4))]) {
                let _ = run.world.step(node_of(node), Input::Read(reading));
            }
        }
    }
    run.collect();
    Some(())
}

/// What reaches a node from the adversary, if it is a message. The transport knows who speaks: nobody speaks for others.
fn say(run: &mut Run, to: usize, frame: &[u8]) {
    let (Ok(message), Some((from, key))) = (Message::from_frame(frame), run.key()) else { return };
    let message = run.knowledge.sayable(&key, message);
    run.world.deliver(Letter { from, to, message });
}

/// A call by somebody's own hand.
fn call(run: &mut Run, bytes: &mut Bytes) -> Option<()> {
    let [node, what, count] = bytes.array()?;
    let (mut node, then) = (node_of(node), resolution(what / 4));
    let call: Call = match what % 4 {
        0 => abi::SettleChannels { channels: tpcs(run, count, bytes)? }.into(),
        // Without what its engine knows better.
        1 => abi::DisputeChannels { channels: tpcs(run, count, bytes)?, then }.into(),
        _ => {
            let (adversary, key) = run.key()?;
            let calls = run.knowledge.calls(&key);
            node = adversary;
            calls.get(usize::from(count).checked_rem(calls.len())?)?.clone()
        }
    };
    run.world.call(node, &call, 0);
    Some(())
}

fn command(run: &Run, node: usize, bytes: &mut Bytes) -> Option<Command> {
    let world = &run.world;
    let [kind, own, theirs, time] = bytes.array()?;
    let (own, theirs, valid_until) = (amount(own), amount(theirs), world.now().saturating_add(later(time)));
    Some(match kind % 24 {
        0 => {
            let [other, asset, window] = bytes.array()?;
            let peer = world.account(node_of(other));
            let mut parties = [world.account(node), peer];
            parties.sort();
            let (nonce, asset) = (world.ledger.next_nonce(parties), asset_of(asset));
            let window = [WINDOW, 2 * WINDOW, WINDOW - 1, 0][usize::from(window % 4)];
            Command::Open { peer, nonce, asset, own, theirs, value: 0, window, valid_until }
        }
        1 => Command::Close { tpc: tpc(run, bytes)?, valid_until },
        2 => Command::TopUp { tpc: tpc(run, bytes)?, own, theirs, valid_until },
        3 => Command::Withdraw { tpc: tpc(run, bytes)?, own, theirs, valid_until },
        4 => {
            let [count, parts] = bytes.array()?;
            let channels = tpcs(run, count, bytes)?;
            let [all_own, all_theirs] = held(world, node, &channels);
            let rest = |all: Balance, each: Balance| all.saturating_sub(each.saturating_mul((parts % 4).into()));
            let first = (rest(all_own, own), rest(all_theirs, theirs));
            let mut parts = vec![(own, theirs); usize::from(parts % 4)];
            parts.insert(0, first);
            Command::Split { channels, parts, valid_until }
        }
        5 => Command::Join { mpc: mpc(run, bytes)?, host: tpc(run, bytes)?, tpc: tpc(run, bytes)?, valid_until },
        6 => Command::Leave { tpc: tpc(run, bytes)?, valid_until },
        7 => {
            let [coordinator, registered, without, count] = bytes.array()?;
            let stored = world.ledger.tpcs().map(|(_, tpc)| (tpc.owners, tpc.registrations + u32::from(count / 128)));
            let mut channels: Vec<_> = stored.collect();
            if !channels.is_empty() {
                channels.remove(usize::from(without) % channels.len());
            }
            channels.truncate(usize::from(count % 8) + 1);
            let (coordinator, registered) = (world.account(node_of(coordinator)), registered % 2 == 0);
            Command::CreateMpc { channels, coordinator, registered, valid_until }
        }
        8 => {
            let mpc = mpc(run, bytes)?;
            let engines = (0..NODES).filter_map(|node| world.engine(node));
            let inside = engines.flat_map(|engine| engine.channels()).filter(|(_, channel)| channel.mpc == Some(mpc));
            let channels: BTreeMap<_, _> =
                inside.map(|(tpc, channel)| (*tpc, channel.on_chain.registrations)).collect();
            Command::CloseMpc { mpc, channels: channels.into_iter().collect(), valid_until }
        }
        9 => {
            let (mpc, [coordinator, term]) = (mpc(run, bytes)?, bytes.array()?);
            Command::SetCoordinator { mpc, coordinator: world.account(node_of(coordinator)), term: u32::from(term) }
        }
        10..=15 => {
            let [over, count] = bytes.array()?;
            let over = over_what(run, over, bytes)?;
            Command::Pay { transfers: transfers(run, count, bytes)?, over }
        }
        16 => {
            let [number] = bytes.array()?;
            Command::Cancel(number.into())
        }
        17 => {
            let [who, what, asset, bound] = bytes.array()?;
            let grantee = match groups(world).get(usize::from(who / 4)) {
                Some(mpc) => Grantee::Group(*mpc),
                None => Grantee::Party(world.account(node_of(who))),
            };
            let purpose = if what % 2 == 0 { Purpose::Pay } else { Purpose::PassOn };
            let channels = (what / 2 % 2 == 1).then(|| tpcs(run, what / 4, bytes)).map(Option::unwrap_or_default);
            let (left, per_payment, until) = (own, amount(bound), valid_until);
            Command::Permit(Permission { grantee, purpose, channels, asset: asset_of(asset), left, per_payment, until })
        }
        18 => {
            let [number] = bytes.array()?;
            Command::Revoke(number.into())
        }
        19 => {
            let [request, accept] = bytes.array()?;
            Command::Answer { request: request.into(), accept: accept % 4 == 0 }
        }
        20 => {
            let [count] = bytes.array()?;
            Command::Checkpoint(tpcs(run, count, bytes)?)
        }
        21..=22 => {
            let [count] = bytes.array()?;
            Command::Dispute { channels: tpcs(run, count / 2, bytes)?, then: resolution(count) }
        }
        _ => {
            let [bits] = bytes.array()?;
            let is = |bit: u8| bits >> bit & 1 == 1;
            let (agree, enter_groups, coordinate) = (is(0), is(1), is(2));
            let free_after = is(3).then_some(15_000);
            Command::SetPolicy(Policy { agree, enter_groups, coordinate, free_after, ..policy() })
        }
    })
}

fn over_what(run: &Run, over: u8, bytes: &mut Bytes) -> Option<Over> {
    Some(match over % 3 {
        0 => Over::Channel(tpc(run, bytes)?),
        1 => {
            let scope = if (over / 3).is_multiple_of(2) { Scope::Touched } else { Scope::All };
            Over::Group { mpc: mpc(run, bytes)?, scope, confirm: (over / 6).is_multiple_of(2) }
        }
        _ => {
            let known = run.channels();
            let hop = |_| {
                let (tpc, [from, value]) = (tpc(run, bytes)?, bytes.array()?);
                let owners = *known.get(&tpc)?;
                Some(Hop { owners, from: owners.parties[usize::from(from % 2)], amount: amount(value) })
            };
            Over::Path((0..=over / 3 % 3).map(hop).collect::<Option<_>>()?)
        }
    })
}

fn transfers(run: &Run, count: u8, bytes: &mut Bytes) -> Option<Vec<Transfer>> {
    let account = |byte| run.world.account(node_of(byte));
    let transfer = |_| {
        let [from, to, asset, value] = bytes.array()?;
        Some(Transfer { from: account(from), to: account(to), asset: asset_of(asset), amount: amount(value) })
    };
    (0..count % 4).map(transfer).collect()
}

/// What `node` and its peer hold in some of its channels.
fn held(world: &World, node: usize, channels: &[TpcId]) -> [Balance; 2] {
    let account: AccountId = world.account(node);
    let known = world.engine(node).into_iter();
    let known = known.flat_map(|engine| channels.iter().filter_map(move |tpc| engine.channel(tpc)));
    known.fold([0, 0], |[own, theirs], channel| {
        let held = channel.balance_of(account);
        let all = channel.latest.total().unwrap_or_default();
        [own + held, theirs + all.saturating_sub(held)]
    })
}

fn node_of(byte: u8) -> usize {
    usize::from(byte) % NODES
}

fn asset_of(byte: u8) -> Asset {
    ASSETS[usize::from(byte) % ASSETS.len()]
}

fn pick<T: Clone>(all: &VecDeque<T>, bytes: &mut Bytes) -> Option<T> {
    let [index] = bytes.array()?;
    all.get(usize::from(index).checked_rem(all.len())?).cloned()
}

/// A channel that somebody knows, or, rarely, one that nobody does.
fn tpc(run: &Run, bytes: &mut Bytes) -> Option<TpcId> {
    let [index] = bytes.array()?;
    let known = run.channels();
    let index = usize::from(index).checked_rem(known.len() + 1)?;
    Some(known.keys().nth(index).copied().unwrap_or(TpcId([0; 32])))
}

/// One to three channels.
fn tpcs(run: &Run, count: u8, bytes: &mut Bytes) -> Option<Vec<TpcId>> {
    (0..=count % 3).map(|_| tpc(run, bytes)).collect()
}

/// A group that somebody is in, or, rarely, one that nobody is.
fn mpc(run: &Run, bytes: &mut Bytes) -> Option<MpcId> {
    let [index] = bytes.array()?;
    let known = groups(&run.world);
    let index = usize::from(index).checked_rem(known.len() + 1)?;
    Some(known.get(index).copied().unwrap_or(MpcId([0; 32])))
}

fn resolution(byte: u8) -> Resolution {
    match byte % 2 {
        0 => Resolution::Settle,
        _ => Resolution::Renew,
    }
}

/// From nothing to more than there is.
fn amount(byte: u8) -> Balance {
    match byte {
        255 => Balance::MAX,
        254 => i128::MAX.unsigned_abs(),
        253 => 10 * STAKE,
        252 => STAKE + 1,
        byte => 4 * Balance::from(byte),
    }
}

/// From at once to never.
fn later(byte: u8) -> Timestamp {
    match byte {
        255 => Timestamp::MAX / 1_000,
        byte => Timestamp::from(byte) * WINDOW / 16,
    }
}
