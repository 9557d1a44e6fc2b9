//! A small world for scenarios: users with a channel between every two of them, on the embedded chain.
#![allow(dead_code, missing_docs, clippy::unwrap_used)] // Each test file uses its part; a failure here fails the test.

use chain::{
    block_on,
    contract::{Bundle, Contract},
    embedded::SharedChain,
    keys::Keys,
};
use devchain::{Devchain, UNIT};
use engine::{
    payment::{Grantee, Purpose},
    Answer, Channel, Command, Native, Notice, Outcome, Over, Permission, Refusal, Scope, Transfer,
};
use protocol::{
    abi::{Deposit, GetDomain, GetTpc, UpdateChannels},
    AccountId, Action, Asset, Entry, MpcId, Owners, PartySignature, Resolution, SignedUpdate, Tpc, TpcId, Update,
};
use std::collections::BTreeMap;
use testkit::local::{Local, LocalError};

/// What each side puts into each channel.
pub const STAKE: u128 = 100 * UNIT;

/// How long a dispute may be answered, in ms.
pub const WINDOW: u64 = 600_000;

pub type World = Local<SharedChain>;

/// `n` users, ascending by account.
pub fn users(n: usize) -> Vec<Keys> {
    let mut users: Vec<_> = (0..n).map(|index| Keys::from_suri(&format!("//user{index}")).unwrap()).collect();
    users.sort_by_key(Keys::account);
    users
}

/// `n` users and, after them, a coordinator that owns nothing.
pub fn world(n: usize) -> World {
    let users = users(n);
    let endowed: Vec<_> = users.iter().map(|keys| (*keys.account().as_ref(), 1_000_000 * UNIT)).collect();
    let mut chain = SharedChain::new(Devchain::with_accounts(&endowed));
    let alice = Keys::from_suri("//Alice").unwrap();
    let (contract, _) = block_on(Contract::deploy(&mut chain, &alice, &Bundle::built_in().unwrap())).unwrap();
    let coordinator = Keys::from_suri("//Coordinator").unwrap();
    let mut world = Local::new(chain, contract, users, vec![coordinator]).unwrap();
    for user in 0..n {
        world.call(user, STAKE * n as u128, &Deposit {}).unwrap();
    }
    world
}

pub fn account(world: &World, user: usize) -> AccountId {
    world.engine(user).unwrap().account()
}

pub fn later(world: &mut World) -> u64 {
    world.time().unwrap() + 1_000_000
}

/// Lets a user do something, and answers what everybody was told.
pub fn command(world: &mut World, user: usize, command: Command) -> Vec<(usize, Notice)> {
    world.take_notices();
    world.command(user, command).unwrap();
    world.take_notices()
}

/// Lets a user do something that nobody objects to.
pub fn act(world: &mut World, user: usize, wanted: Command) -> Vec<(usize, Notice)> {
    let notices = command(world, user, wanted);
    let bad = notices.iter().find(|(_, notice)| {
        matches!(
            notice,
            Notice::AgreementRejected(..)
                | Notice::MpcCreateFailed(..)
                | Notice::MpcCloseFailed(..)
                | Notice::Ignored(_)
                | Notice::Lost(_)
                | Notice::Decided { outcome: Outcome::Void, .. }
        )
    });
    assert_eq!(bad, None);
    notices
}

/// Why a user's engine does not do something.
pub fn refused(world: &mut World, user: usize, command: Command) -> Refusal {
    match world.command(user, command) {
        Err(LocalError::Refused(refusal)) => refusal,
        other => panic!("it is not refused: {other:?}"),
    }
}

pub fn told(notices: &[(usize, Notice)], wanted: impl Fn(&Notice) -> bool) -> usize {
    notices.iter().filter(|(_, notice)| wanted(notice)).count()
}

/// How many were told that a payment which they asked for, or which pays or takes from them, counts.
pub fn settled(notices: &[(usize, Notice)]) -> usize {
    told(notices, |notice| matches!(notice, Notice::Received(_) | Notice::Decided { outcome: Outcome::Settled, .. }))
}

pub fn transfer(world: &World, from: usize, to: usize, amount: u128) -> Transfer {
    Transfer { from: account(world, from), to: account(world, to), asset: Asset::Native, amount }
}

/// A payment from one user to another over the channel that is theirs alone.
pub fn lone(world: &World, tpc: TpcId, from: usize, to: usize, amount: u128) -> Command {
    Command::Pay { transfers: vec![transfer(world, from, to, amount)], over: Over::Channel(tpc) }
}

pub fn pay_alone(world: &mut World, tpc: TpcId, from: usize, to: usize, amount: u128) {
    let pay = lone(world, tpc, from, to, amount);
    assert_eq!(settled(&act(world, from, pay)), 2);
}

/// A payment from one member to another over the channels that carry it.
pub fn pay(world: &mut World, mpc: MpcId, from: usize, to: usize, amount: u128) {
    let transfers = vec![transfer(world, from, to, amount)];
    let over = Over::Group { mpc, scope: Scope::Touched, confirm: false };
    assert!(settled(&act(world, from, Command::Pay { transfers, over })) >= 2);
}

/// Everybody else pays the user at `winner` `amount`.
pub fn game(world: &World, mpc: MpcId, winner: usize, amount: u128, scope: Scope, confirm: bool) -> Command {
    let losers = (0..world.len()).filter(|user| *user != winner);
    let transfers = losers.map(|loser| transfer(world, loser, winner, amount)).collect();
    Command::Pay { transfers, over: Over::Group { mpc, scope, confirm } }
}

/// Opens the pair's channel with this nonce.
pub fn open_with(world: &mut World, a: usize, b: usize, nonce: u64) -> TpcId {
    let valid_until = later(world);
    let peer = account(world, b);
    let (asset, own, theirs, value, window) = (Asset::Native, STAKE, STAKE, 0, WINDOW);
    world.take_notices();
    let open = Command::Open { peer, nonce, asset, own, theirs, value, window, valid_until };
    let Answer::Tpc(tpc) = world.command(a, open).unwrap() else { panic!("it has no name") };
    assert!(world.channels(a).unwrap().contains(&tpc), "{:?}", world.take_notices());
    tpc
}

pub fn open(world: &mut World, a: usize, b: usize) -> TpcId {
    open_with(world, a, b, 0)
}

pub fn open_all(world: &mut World) {
    for a in 0..world.len() {
        for b in a + 1..world.len() {
            open(world, a, b);
        }
    }
}

/// Registers a group of everybody's channels.
pub fn form(world: &mut World) -> MpcId {
    let (channels, valid_until) = (world.all_channels().into_values().collect(), later(world));
    form_of(world, 0, channels, valid_until)
}

pub fn form_of(world: &mut World, user: usize, channels: Vec<(Owners, u32)>, valid_until: u64) -> MpcId {
    let coordinator = account(world, world.len());
    let create = Command::CreateMpc { channels, coordinator, registered: true, valid_until };
    world.take_notices();
    let Answer::Mpc(mpc) = world.command(user, create).unwrap() else { panic!("it has no name") };
    let notices = world.take_notices();
    assert!(notices.contains(&(user, Notice::MpcCreated(mpc))), "{notices:?}");
    mpc
}

/// Has everybody trust the group: its coordinator may move their funds without asking.
pub fn trust(world: &mut World, mpc: MpcId) {
    for user in 0..world.len() {
        for purpose in [Purpose::Pay, Purpose::PassOn] {
            let permission = Permission::unlimited(Grantee::Group(mpc), purpose, Asset::Native);
            act(world, user, Command::Permit(permission));
        }
    }
}

/// A registered group of everybody's channels, whose members trust it.
pub fn braid(world: &mut World) -> MpcId {
    let mpc = form(world);
    trust(world, mpc);
    mpc
}

pub fn close_group(world: &mut World, user: usize, mpc: MpcId) {
    let (channels, valid_until) = (world.members(mpc), later(world));
    act(world, user, Command::CloseMpc { mpc, channels, valid_until });
}

pub fn close(world: &mut World, user: usize, tpc: TpcId) {
    let valid_until = later(world);
    act(world, user, Command::Close { tpc, valid_until });
}

pub fn dispute(world: &mut World, user: usize, channels: &[TpcId], then: Resolution) {
    act(world, user, Command::Dispute { channels: channels.to_vec(), then });
}

pub fn channel(world: &World, user: usize, tpc: TpcId) -> Channel {
    world.engine(user).unwrap().channel(&tpc).expect("it is the user's").clone()
}

/// What a user holds in a channel.
pub fn held(world: &World, user: usize, tpc: TpcId) -> u128 {
    channel(world, user, tpc).balance_of(account(world, user))
}

/// What each user holds in all its channels.
pub fn holdings(world: &World) -> Vec<u128> {
    (0..world.len()).map(|user| world.engine(user).unwrap().holdings(Asset::Native)).collect()
}

/// What a user can spend on the chain.
pub fn free(world: &mut World, user: usize) -> u128 {
    let account = account(world, user);
    world.chain.lock().free_balance(*account.as_ref())
}

pub fn calls(world: &mut World) -> Vec<&'static str> {
    world.take_calls().iter().map(|call| call.message).collect()
}

/// The channel that two users, the first of whom is lower, have created.
pub fn between(world: &World, a: usize, b: usize) -> TpcId {
    let pair = [account(world, a), account(world, b)];
    let created = |owners: &Owners| owners.parties == pair && matches!(owners.origin, protocol::Origin::Creation(_));
    let mut channels = world.engine(a).unwrap().channels().filter(|(_, channel)| !channel.on_chain.gone);
    *channels.find(|(_, channel)| created(&channel.owners)).unwrap().0
}

pub fn stored(world: &mut World, id: TpcId) -> Option<Tpc> {
    world.query(&GetTpc { id }).unwrap()
}

pub fn deadline(world: &mut World, id: TpcId) -> u64 {
    stored(world, id).unwrap().dispute.unwrap().deadline
}

/// Lets the chain's clock pass a time, and answers what everybody was told.
pub fn wait(world: &mut World, time: u64) -> Vec<(usize, Notice)> {
    world.take_notices();
    world.wait_until(&Keys::from_suri("//Eve").unwrap(), time).unwrap();
    world.take_notices()
}

/// What a user holds complete and the contract has not: one update.
pub fn newest(world: &World, user: usize) -> SignedUpdate {
    let updates = world.engine(user).unwrap().evidence().updates;
    assert_eq!(updates.len(), 1);
    updates.into_iter().next().unwrap()
}

pub fn publish(world: &mut World, user: usize, signed: SignedUpdate) {
    let SignedUpdate { update, owners, signatures } = signed;
    world.call(user, 0, &UpdateChannels { update, owners, signatures }).unwrap();
    world.run().unwrap();
}

/// An update that all users of a world have signed.
pub fn signed_by_all(world: &mut World, entries: Vec<Entry>) -> SignedUpdate {
    let domain = world.query(&GetDomain {}).unwrap();
    let known: BTreeMap<_, _> = world.all_channels();
    let owners = entries.iter().map(|entry| known[&entry.tpc].0).collect();
    let update = Update { entries };
    let payload = Action::Update(&update).payload(&Native, &domain);
    let sign = |keys: Keys| PartySignature { party: keys.account(), signature: keys.sign(&payload) };
    let signatures = users(world.len()).into_iter().map(sign).collect();
    SignedUpdate { update, owners, signatures }
}
