//! Two-party and multi-party channels through their whole lives, by the client, on the embedded chain and on a node.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use braid::{
    engine::{
        message::{Payment, Scope},
        party::Command,
        step::Notice,
    },
    local::Local,
};
use chain::{
    block_on,
    contract::{Bundle, Contract},
    node::NodeChain,
    Chain, Receipt, UNIT,
};
use devchain::Devchain;
use e2e_tests::{keys, TestNode};
use planning::Transfer;
use protocol::{
    abi::{Deposit, GetMpc, GetTpc, LedgerBalance, NextNonce, Withdraw},
    state::MIN_WINDOW,
    Asset, Tpc,
};

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
    users.sort_by_key(chain::keys::Keys::account);
    let accounts: Vec<_> = users.iter().map(chain::keys::Keys::account).collect();
    let (contract, _) = block_on(Contract::deploy(&mut chain, &users[0], &Bundle::built_in().unwrap())).unwrap();
    let mut world = Local::new(chain, contract, users, 2 * STAKE).unwrap();
    for user in 0..3 {
        world.call(user, 2 * STAKE + UNIT, &Deposit {}).unwrap();
    }
    // The clock of a node is that of its machine, and the embedded chain's is its own: agreements without end.
    let valid_until = u64::MAX;
    let act = |world: &mut Local<C>, user: usize, command: Command| {
        let notices = world.command(user, command).unwrap();
        let bad = notices
            .iter()
            .find(|(_, notice)| matches!(notice, Notice::TpcRejected(..) | Notice::MpcFailed(..) | Notice::Ignored(_)));
        assert_eq!(bad, None);
    };
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let peer = accounts[b];
        act(
            &mut world,
            a,
            Command::OpenTpc { peer, nonce: 0, own: STAKE, theirs: STAKE, value: 0, window: MIN_WINDOW, valid_until },
        );
    }
    let tpcs: Vec<_> = [(0, 1), (0, 2), (1, 2)]
        .map(|(a, b)| {
            let channels = world.party(a).unwrap().channels();
            *channels.iter().find(|(_, channel)| channel.owners.parties == [accounts[a], accounts[b]]).unwrap().0
        })
        .to_vec();
    let mut states = vec![];
    let mut look = |world: &mut Local<C>| {
        for id in &tpcs {
            states.push(world.query(&GetTpc { id: *id }).unwrap());
        }
    };
    act(&mut world, 0, Command::PayTpc { tpc: tpcs[0], amount: 7 * UNIT });
    act(&mut world, 1, Command::CheckpointTpc(tpcs[0]));
    look(&mut world);
    let mut members = std::collections::BTreeMap::new();
    for user in 0..3 {
        for (tpc, channel) in world.party(user).unwrap().channels() {
            members.insert(*tpc, (channel.owners, channel.latest));
        }
    }
    act(&mut world, 2, Command::CreateMpc { channels: members.into_values().collect(), valid_until });
    let mpc = world.party(0).unwrap().groups().next().unwrap();
    assert_eq!(world.query(&GetMpc { id: mpc }).unwrap().map(|mpc| mpc.channels), Some(3));
    for (winner, scope) in [(0, Scope::Touched), (2, Scope::All)] {
        let losers = (0..3).filter(|user| *user != winner);
        let transfers = losers.map(|user| Transfer { from: accounts[user], to: accounts[winner], amount: 3 * UNIT });
        let payment = Payment { mpc, transfers: transfers.collect(), scope, confirm: true };
        act(&mut world, winner, Command::Pay(payment));
    }
    act(&mut world, 1, Command::Checkpoint(mpc));
    look(&mut world);
    act(&mut world, 1, Command::CloseMpc { mpc, valid_until });
    assert_eq!(world.query(&GetMpc { id: mpc }).unwrap(), None);
    look(&mut world);
    for (user, tpc) in [(0, tpcs[0]), (2, tpcs[1]), (1, tpcs[2])] {
        act(&mut world, user, Command::CloseTpc { tpc, valid_until });
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
