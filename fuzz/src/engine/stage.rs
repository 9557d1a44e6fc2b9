//! Worlds to begin with.

use engine::{
    payment::{Grantee, Purpose},
    Answer, Command, Permission, Policy,
};
use protocol::{Asset, Balance, MpcId, Owners, Timestamp};
use std::sync::LazyLock;
use testkit::{signers::Scheme, town::TOKEN, world::World};

/// How many users there are.
pub const USERS: usize = 3;

/// The place of the one who coordinates the first group. It has funds like a user.
pub const COORDINATOR: usize = USERS;

/// How many nodes there are.
pub const NODES: usize = USERS + 1;

/// What everybody has at first of each asset, outside of channels.
pub const FUNDS: Balance = 1_000_000;

/// What each owner puts into each channel at first.
pub const STAKE: Balance = 1_000;

/// The window of the channels that are there at first, and the shortest that anybody accepts, in ms.
pub const WINDOW: Timestamp = 20_000;

/// The assets that there are.
pub const ASSETS: [Asset; 2] = [Asset::Native, TOKEN];

/// Nothing but users; channels between every two of them; these in a group; and in one that is registered.
static STAGES: LazyLock<[World; 4]> = LazyLock::new(|| {
    let mut empty = World::new(1, Scheme::Symbols, vec![policy(); NODES]);
    // A process that dies is back before anybody has to answer a dispute.
    empty.weather.rest = 1_500;
    for node in 0..NODES {
        ASSETS.iter().for_each(|asset| empty.fund(node, *asset, FUNDS));
    }
    empty.run(4_000);
    let mut open = empty.clone();
    for (a, b, asset) in [(0, 1, ASSETS[0]), (0, 1, ASSETS[1]), (0, 2, ASSETS[0]), (1, 2, ASSETS[0]), (1, 2, ASSETS[1])]
    {
        self::open(&mut open, a, b, asset);
    }
    let grouped = grouped(open.clone(), false);
    let registered = self::grouped(open.clone(), true);
    [empty, open, grouped, registered]
});

/// Bounds that everybody has. Within them two calls may be lost, and a process may die, before a deadline.
pub fn policy() -> Policy {
    Policy {
        min_window: WINDOW,
        reaction: 8_000,
        enter_groups: true,
        coordinate: true,
        reserve_for: 4_000,
        free_after: Some(15_000),
        ..Policy::default()
    }
}

/// A world that has come some way.
pub fn world(stage: u8) -> World {
    STAGES[usize::from(stage) % STAGES.len()].clone()
}

fn open(world: &mut World, a: usize, b: usize, asset: Asset) {
    let mut parties = [world.account(a), world.account(b)];
    parties.sort();
    let command = Command::Open {
        peer: world.account(b),
        nonce: world.ledger.next_nonce(parties),
        asset,
        own: STAKE,
        theirs: STAKE,
        value: 0,
        window: WINDOW,
        valid_until: world.now() + 60_000,
    };
    world.command(a, command).expect("nobody is dead").expect("nothing stands in the way");
    world.run(4_000);
}

/// The world with all its channels in a group, of which everybody lets money pass.
fn grouped(mut world: World, registered: bool) -> World {
    let owners: Vec<Owners> = world.ledger.tpcs().map(|(_, stored)| stored.owners).collect();
    let command = Command::CreateMpc {
        channels: owners.into_iter().map(|owners| (owners, 0)).collect(),
        coordinator: world.account(COORDINATOR),
        registered,
        valid_until: world.now() + 60_000,
    };
    let formed = world.command(0, command);
    let Some(Ok(Answer::Mpc(mpc))) = formed else { panic!("the group is not formed: {formed:?}") };
    world.run(6_000);
    for user in 0..USERS {
        let member = world.engine(user).is_some_and(|engine| engine.memberships().any(|(group, _)| *group == mpc));
        assert!(member, "user {user} is not in the group");
        let others = (0..NODES).filter(|other| *other != user).map(|other| Grantee::Party(world.account(other)));
        for grantee in others.chain([Grantee::Group(mpc)]).collect::<Vec<_>>() {
            pass_on(&mut world, user, grantee);
        }
    }
    world
}

fn pass_on(world: &mut World, user: usize, grantee: Grantee) {
    for asset in ASSETS {
        let _ = world.command(user, Command::Permit(Permission::unlimited(grantee, Purpose::PassOn, asset)));
    }
}

/// The groups that anybody is in or coordinates.
pub fn groups(world: &World) -> Vec<MpcId> {
    let engines = (0..NODES).filter_map(|node| world.engine(node));
    let known = engines.flat_map(|engine| {
        let led = engine.led().map(|(mpc, _)| *mpc);
        led.chain(engine.memberships().map(|(mpc, _)| *mpc)).collect::<Vec<_>>()
    });
    let known: std::collections::BTreeSet<_> = known.collect();
    known.into_iter().collect()
}
