//! Two-party and multi-party channels through their whole lives, by the client, on the embedded chain and on a node.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use chain::{
    block_on,
    contract::{Bundle, Contract},
    keys::Keys,
    node::NodeChain,
    Chain, Receipt, UNIT,
};
use devchain::Devchain;
use e2e_tests::{keys, TestNode};
use engine::{
    payment::{Grantee, Purpose},
    Answer, Command, Notice, Outcome, Over, Permission, Scope, Transfer,
};
use protocol::{
    abi::{Deposit, GetMpc, GetTpc, LedgerBalance, NextNonce, Withdraw},
    state::MIN_WINDOW,
    Asset, Tpc,
};
use testkit::local::Local;

const STAKE: u128 = 50 * UNIT;

/// Everything that can be compared between two chains.
#[derive(Debug, PartialEq)]
struct Life {
    states: Vec<Option<Tpc>>,
    balances: Vec<u128>,
    calls: Vec<(&'static str, Receipt)>,
}

fn live<C: Chain>(mut chain: C) -> Life {
    let mut users = ["//Alice", "//Bob", "//Charlie"].map(keys).to_vec();
    users.sort_by_key(Keys::account);
    let accounts: Vec<_> = users.iter().map(Keys::account).collect();
    let (contract, _) = block_on(Contract::deploy(&mut chain, &users[0], &Bundle::built_in().unwrap())).unwrap();
    let coordinator = keys("//Coordinator");
    let mut world = Local::new(chain, contract, users, vec![coordinator.clone()]).unwrap();
    for user in 0..3 {
        world.call(user, 2 * STAKE + UNIT, &Deposit {}).unwrap();
    }
    // The clock of a node is that of its machine, and the embedded chain's is its own.
    let valid_until = world.time().unwrap() + 3_600_000;
    let act = |world: &mut Local<C>, user: usize, command: Command| {
        let answer = world.command(user, command).unwrap();
        let notices = world.take_notices();
        let bad = notices.iter().find(|(_, notice)| {
            matches!(
                notice,
                Notice::AgreementRejected(..)
                    | Notice::MpcCreateFailed(..)
                    | Notice::MpcCloseFailed(..)
                    | Notice::Ignored(_)
                    | Notice::Decided { outcome: Outcome::Void, .. }
            )
        });
        assert_eq!(bad, None);
        answer
    };
    let tpcs = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| {
        let (asset, own, theirs, value, window) = (Asset::Native, STAKE, STAKE, 0, MIN_WINDOW);
        let open = Command::Open { peer: accounts[b], nonce: 0, asset, own, theirs, value, window, valid_until };
        let Answer::Tpc(tpc) = act(&mut world, a, open) else { panic!("it has no name") };
        tpc
    });
    let mut states = vec![];
    let mut look = |world: &mut Local<C>| {
        for id in &tpcs {
            states.push(world.query(&GetTpc { id: *id }).unwrap());
        }
    };
    let transfer = |from: usize, to: usize, amount| Transfer {
        from: accounts[from],
        to: accounts[to],
        asset: Asset::Native,
        amount,
    };
    let alone = Command::Pay { transfers: vec![transfer(0, 1, 7 * UNIT)], over: Over::Channel(tpcs[0]) };
    act(&mut world, 0, alone);
    act(&mut world, 1, Command::Checkpoint(vec![tpcs[0]]));
    look(&mut world);
    let channels = world.all_channels().into_values().collect();
    let create = Command::CreateMpc { channels, coordinator: coordinator.account(), registered: true, valid_until };
    let Answer::Mpc(mpc) = act(&mut world, 2, create) else { panic!("it has no name") };
    assert_eq!(world.query(&GetMpc { id: mpc }).unwrap().map(|mpc| mpc.channels), Some(3));
    for user in 0..3 {
        for purpose in [Purpose::Pay, Purpose::PassOn] {
            let permission = Permission::unlimited(Grantee::Group(mpc), purpose, Asset::Native);
            act(&mut world, user, Command::Permit(permission));
        }
    }
    for (winner, scope) in [(0, Scope::Touched), (2, Scope::All)] {
        let losers = (0..3).filter(|user| *user != winner);
        let transfers = losers.map(|user| transfer(user, winner, 3 * UNIT)).collect();
        act(&mut world, winner, Command::Pay { transfers, over: Over::Group { mpc, scope, confirm: true } });
    }
    let own = world.channels(1).unwrap();
    act(&mut world, 1, Command::Checkpoint(own));
    look(&mut world);
    let members = world.members(mpc);
    act(&mut world, 1, Command::CloseMpc { mpc, channels: members, valid_until });
    assert_eq!(world.query(&GetMpc { id: mpc }).unwrap(), None);
    look(&mut world);
    for (user, tpc) in [(0, tpcs[0]), (2, tpcs[1]), (1, tpcs[2])] {
        act(&mut world, user, Command::Close { tpc, valid_until });
    }
    look(&mut world);
    let parties = [accounts[0], accounts[1]];
    assert_eq!(world.query(&NextNonce { parties }).unwrap(), 1);
    for (user, account) in accounts.iter().enumerate() {
        let ledger = LedgerBalance { account: *account, asset: Asset::Native };
        assert_eq!(world.query(&ledger).unwrap(), UNIT);
        world.call(user, 0, &Withdraw { amount: UNIT }).unwrap();
    }
    let balances = accounts.iter().map(|account| block_on(world.chain.free_balance(*account)).unwrap()).collect();
    // The contract's address and group ids differ between chains, and so do events; everything else is the same.
    let strip = |receipt: Receipt| Receipt { events: vec![], ..receipt };
    let calls = world.take_calls().into_iter().map(|call| (call.message, strip(call.receipt))).collect();
    let states =
        states.into_iter().map(|tpc| tpc.map(|tpc| Tpc { mpc: tpc.mpc.map(|_| protocol::MpcId([0; 32])), ..tpc }));
    Life { states: states.collect(), balances, calls }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn channels_live_on_a_node_as_they_do_on_the_embedded_chain() {
    let node = TestNode::start();
    let on_node = live(NodeChain::connect(&node.url()).await.unwrap());
    assert_eq!(on_node, live(Devchain::new()));
    assert_eq!(on_node.calls.len(), 16, "every call was compared");
}
