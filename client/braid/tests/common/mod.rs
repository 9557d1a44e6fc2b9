//! A small world for scenarios: users with a channel between every two of them.
#![allow(dead_code, missing_docs, clippy::unwrap_used)] // Each test file uses its part; a failure here fails the test.

use braid::{
    engine::{
        message::{Payment, Scope},
        party::Command,
        step::{Notice, Peer},
    },
    local::Local,
};
use chain::{
    block_on,
    contract::{Bundle, Contract},
    keys::Keys,
};
use devchain::{Devchain, UNIT};
use planning::Transfer;
use protocol::{abi::Deposit, AccountId, Entry, MpcId, Owners, TpcId};
use std::collections::BTreeMap;

/// What each side puts into each channel.
pub const STAKE: u128 = 100 * UNIT;

/// How long a dispute may be answered, in ms.
pub const WINDOW: u64 = 600_000;

pub type World = Local<Devchain>;

/// `n` users, ascending by account, each of whom lets go `spend` planck without being asked.
pub fn world(n: usize, spend: u128) -> World {
    let mut users: Vec<_> = (0..n).map(|index| Keys::from_suri(&format!("//user{index}")).unwrap()).collect();
    users.sort_by_key(Keys::account);
    let endowed: Vec<_> = users.iter().map(|keys| (*keys.account().as_ref(), 1_000_000 * UNIT)).collect();
    let mut chain = Devchain::with_accounts(&endowed);
    let alice = Keys::from_suri("//Alice").unwrap();
    let (contract, _) = block_on(Contract::deploy(&mut chain, &alice, &Bundle::built_in().unwrap())).unwrap();
    let mut world = Local::new(chain, contract, users, spend).unwrap();
    for user in 0..n {
        world.call(user, STAKE * n as u128, &Deposit {}).unwrap();
    }
    world
}

pub fn account(world: &World, user: usize) -> AccountId {
    world.party(user).unwrap().account()
}

pub fn later(world: &mut World) -> u64 {
    world.chain.time() + 1_000_000
}

pub fn open(world: &mut World, a: usize, b: usize) -> TpcId {
    let valid_until = later(world);
    let peer = account(world, b);
    let known: Vec<_> = world.party(a).unwrap().channels().keys().copied().collect();
    let (own, theirs, value, window) = (STAKE, STAKE, 0, WINDOW);
    let notices = world.command(a, Command::OpenTpc { peer, nonce: 0, own, theirs, value, window, valid_until });
    assert_eq!(notices.unwrap(), []);
    let channels = world.party(a).unwrap().channels();
    *channels.keys().find(|tpc| !known.contains(tpc)).expect("the channel is open")
}

pub fn open_all(world: &mut World) {
    for a in 0..world.len() {
        for b in a + 1..world.len() {
            open(world, a, b);
        }
    }
}

pub fn latest(world: &World) -> Vec<(Owners, Entry)> {
    let parties = (0..world.len()).map(|user| world.party(user).unwrap());
    let channels = parties.flat_map(|party| party.channels().clone());
    let all: BTreeMap<_, _> = channels.map(|(tpc, channel)| (tpc, (channel.owners, channel.latest))).collect();
    all.into_values().collect()
}

pub fn braid(world: &mut World) -> MpcId {
    let (channels, valid_until) = (latest(world), later(world));
    assert_eq!(world.command(0, Command::CreateMpc { channels, valid_until }).unwrap(), []);
    world.party(0).unwrap().groups().next().expect("the group is open")
}

/// Everybody else pays the user at `winner` `amount`.
pub fn game(world: &World, mpc: MpcId, winner: usize, amount: u128, scope: Scope, confirm: bool) -> Payment {
    let to = account(world, winner);
    let losers = (0..world.len()).filter(|user| *user != winner);
    let transfers = losers.map(|loser| Transfer { from: account(world, loser), to, amount }).collect();
    Payment { mpc, transfers, scope, confirm }
}

pub fn told(notices: &[(Peer, Notice)], wanted: impl Fn(&Notice) -> bool) -> usize {
    notices.iter().filter(|(_, notice)| wanted(notice)).count()
}

pub fn holdings(world: &World) -> Vec<u128> {
    (0..world.len()).map(|user| world.party(user).unwrap().holdings()).collect()
}

/// What a user can spend on the chain.
pub fn free(world: &mut World, user: usize) -> u128 {
    let account = account(world, user);
    world.chain.free_balance(*account.as_ref())
}
