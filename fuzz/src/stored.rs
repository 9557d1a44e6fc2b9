//! What is read from disk.

use crate::{bytes::Bytes, engine::stage};
use braid::evidence;
use engine::{
    message::Message,
    payment::{Grantee, Purpose},
    watcher::Watcher,
    Block, Command, Effect, Engine, HeadDispute, Input, Over, Permission, Reading, Scope, Signer, Stored, Transfer,
};
use protocol::{
    event::{ChannelDisputed, ChannelSettled, Disputed, Event, Settled, TpcSplit, Updated},
    AccountId, Asset, Dispute, Domain, Entry, MpcId, Origin, Owners, Resolution, Timestamp, Tpc, TpcId,
};
use testkit::{ledger::DOMAIN, signers::Key, world::World};

/// Who watches.
const WATCHER: AccountId = AccountId([3; 32]);

/// Somebody.
const OTHER: AccountId = AccountId([4; 32]);

/// The most channels and groups that something is done with.
const MAX_USED: usize = 3;

/// The first byte says what was stored: signed states, or an engine's records.
pub fn run(data: &[u8]) {
    match data {
        [0, evidence @ ..] => watch(evidence),
        [1, records @ ..] => wake(Bytes(records)),
        _ => {}
    }
}

/// Whose records they are: those of a node of a stage.
fn owner(node: u8) -> (Key, Timestamp) {
    let world: World = stage::world(2);
    (world.nodes[usize::from(node) % stage::NODES].key.clone(), world.now())
}

/// A watcher brings what it has been left, whatever that is.
fn watch(bytes: &[u8]) {
    let Ok(evidence) = evidence::from_bytes(bytes) else { return };
    assert_eq!(evidence::from_bytes(&evidence::to_bytes(&evidence)).as_ref(), Ok(&evidence));
    let (_, now) = owner(0);
    let domain: Domain = DOMAIN;
    let mut watcher = Watcher::new(domain);
    watcher.hold(evidence.clone());
    let unread: Vec<_> = watcher.unread(false).into_iter().take(MAX_USED).collect();
    let stored = unread.iter().map(|(tpc, epoch)| Stored { tpc: *tpc, stored: None, ended: (*epoch, None) });
    watcher.read(1, now, &stored.take(1).collect::<Vec<_>>());
    let stored = unread.iter().skip(1).map(|(tpc, epoch)| stored_channel(*tpc, *epoch, now));
    watcher.read(1, now, &stored.collect::<Vec<_>>());
    let channels = unread.iter().map(|(tpc, epoch)| disputed(*tpc, *epoch, now + 1)).collect();
    watcher.block(&block(2, now, vec![Event::Disputed(Disputed { channels })]));
    watcher.head(heads(unread.iter().map(|(tpc, _)| *tpc), now));
    bring(&watcher);
    watcher.hold(evidence);
    watcher.block(&block(3, Timestamp::MAX, vec![]));
    bring(&watcher);
}

fn bring(watcher: &Watcher) {
    for rescue in watcher.rescues() {
        rescue.call.call_data(&engine::Native);
    }
    watcher.settlements(&WATCHER);
    watcher.next_deadline(&WATCHER);
}

fn block(number: u32, time: Timestamp, events: Vec<Event>) -> Block {
    Block { number, time, events, reading: None }
}

fn disputed(tpc: TpcId, epoch: u32, deadline: Timestamp) -> ChannelDisputed {
    ChannelDisputed { tpc, epoch, version: 0, deadline, then: Resolution::Settle }
}

fn heads(tpcs: impl Iterator<Item = TpcId>, now: Timestamp) -> Vec<HeadDispute> {
    tpcs.map(|tpc| HeadDispute { tpc, order: (0, 0), deadline: now + 1 }).collect()
}

/// A channel as the contract may hold it, whatever is remembered of it.
fn stored_channel(tpc: TpcId, epoch: u32, now: Timestamp) -> Stored {
    let owners =
        Owners { parties: [WATCHER, OTHER], window: 20_000, asset: Asset::Native, origin: Origin::Creation(0) };
    let dispute = Some(Dispute { deadline: now + 1, then: Resolution::Renew, began_at: 0 });
    let stored = Tpc { owners, balances: [1, 1], epoch, version: 1, dispute, mpc: None, registrations: 0 };
    Stored { tpc, stored: Some(stored), ended: (epoch, Some(1)) }
}

/// An engine does what it is asked for and hears what there is to hear, whatever it remembers. The first piece of the bytes is
/// a peer's frame; then come keys and values.
fn wake(mut bytes: Bytes) {
    let Some([node]) = bytes.array() else { return };
    let frame = bytes.piece().unwrap_or_default();
    let mut records = vec![];
    while let Some(key) = bytes.piece() {
        records.push((key, bytes.piece().unwrap_or_default()));
    }
    let (key, now) = owner(node);
    let Ok(mut engine) = Engine::load(key.account(), DOMAIN, records) else { return };
    let mut effects = engine.resume(&key).effects;
    let inputs = inputs(&engine, now);
    let message = Message::from_frame(frame).ok().map(|message| Input::Message { from: OTHER, message });
    for input in message.into_iter().chain(inputs) {
        effects.extend(engine.apply(&key, input).effects);
    }
    for effect in effects {
        match effect {
            Effect::Call { call, .. } => drop(call.call_data(&engine::Native)),
            Effect::Send(_, message) => drop(message.frame()),
            Effect::Read(_) | Effect::Tell(_) => {}
        }
    }
}

/// What happens to an engine: what it is asked for over its channels and groups, and what the chain tells of them.
fn inputs(engine: &Engine, now: Timestamp) -> Vec<Input> {
    let account = engine.account();
    let cursor = engine.cursor();
    let (own, theirs, valid_until) = (1, 1, cursor.now.saturating_add(1_000));
    let transfers = |asset| vec![Transfer { from: account, to: OTHER, asset, amount: 1 }];
    let channels: Vec<_> = engine.channels().take(MAX_USED).map(|(tpc, channel)| (*tpc, channel.clone())).collect();
    let groups: Vec<MpcId> = engine.memberships().map(|(mpc, _)| *mpc).take(MAX_USED).collect();
    let mut commands = vec![];
    for (tpc, channel) in &channels {
        let (tpc, owners) = (*tpc, channel.owners);
        let parts = vec![(channel.latest.balances[0], channel.latest.balances[1]), (0, 1)];
        commands.extend([
            Command::Pay { transfers: transfers(owners.asset), over: Over::Channel(tpc) },
            Command::Checkpoint(vec![tpc]),
            Command::Close { tpc, valid_until },
            Command::TopUp { tpc, own, theirs, valid_until },
            Command::Withdraw { tpc, own, theirs, valid_until },
            Command::Split { channels: vec![tpc], parts, valid_until },
            Command::Leave { tpc, valid_until },
            Command::CreateMpc { channels: vec![(owners, 0)], coordinator: account, registered: true, valid_until },
            Command::Dispute { channels: vec![tpc], then: Resolution::Renew },
            Command::Permit(Permission::unlimited(Grantee::Party(OTHER), Purpose::Pay, owners.asset)),
        ]);
    }
    for mpc in &groups {
        let over = Over::Group { mpc: *mpc, scope: Scope::All, confirm: false };
        let channels = channels.iter().map(|(tpc, _)| (*tpc, 0)).collect();
        commands.extend([
            Command::Pay { transfers: transfers(Asset::Native), over },
            Command::CloseMpc { mpc: *mpc, channels, valid_until },
            Command::SetCoordinator { mpc: *mpc, coordinator: OTHER, term: u32::MAX },
        ]);
    }
    commands.extend(engine.pending().take(MAX_USED).map(|payment| Command::Cancel(payment.id.number)));
    let mut events = vec![];
    for (tpc, channel) in &channels {
        let Entry { epoch, version, balances, .. } = channel.latest;
        let part = (TpcId([7; 32]), [1, 1]);
        events.extend([
            Event::Updated(Updated { entries: vec![Entry { version: version.saturating_add(1), ..channel.latest }] }),
            Event::Disputed(Disputed { channels: vec![disputed(*tpc, epoch, valid_until)] }),
            Event::TpcSplit(TpcSplit { from: vec![*tpc], epoch, parts: vec![(*tpc, balances), part] }),
        ]);
        let credited = [false; 2];
        let settled = ChannelSettled { tpc: *tpc, epoch, version, balances, credited };
        events.push(Event::Settled(Settled { channels: vec![settled] }));
    }
    let followed = engine.followed().into_iter().take(MAX_USED);
    let stored: Vec<_> = followed.map(|(tpc, epoch)| stored_channel(tpc, epoch, now)).collect();
    let next = cursor.block.saturating_add(1);
    let missed =
        Block { number: next.saturating_add(5), time: valid_until, events: vec![], reading: Some(stored.clone()) };
    let tpcs = channels.iter().map(|(tpc, _)| *tpc);
    let mut inputs = vec![Input::Tick(10_000), Input::Connected(OTHER), Input::Head(heads(tpcs, now))];
    inputs.extend(commands.into_iter().map(Input::Command));
    inputs.extend([
        Input::Block(block(next, cursor.now, events)),
        Input::Read(Reading { block: next, channels: stored }),
        Input::CallFailed(0),
        Input::Tick(100_000),
        Input::Block(missed),
        Input::Block(block(u32::MAX, Timestamp::MAX, vec![])),
        Input::Tick(u64::MAX),
    ]);
    inputs
}
