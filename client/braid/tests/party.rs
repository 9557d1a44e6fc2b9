//! Parties and a coordinator at work in one process, over real sockets, on the embedded chain.
#![allow(missing_docs, clippy::unwrap_used)] // A failure here fails the test.

use braid::party::{Open, Party};
use chain::{
    contract::{Bundle, Contract},
    embedded::SharedChain,
    keys::Keys,
    UNIT,
};
use devchain::Devchain;
use engine::{Outcome, Policy, Transfer};
use protocol::{Asset, TpcId};
use std::{net::SocketAddr, time::Duration};

const PATIENCE: Duration = Duration::from_secs(20);

struct Town {
    parties: Vec<Party>,
    coordinator: Party,
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Four parties with 100 UNIT each in their ledgers, and a coordinator, all of whom know each other's addresses.
async fn town() -> Town {
    let mut chain = SharedChain::new(Devchain::new());
    let alice = Keys::from_suri("//Alice").unwrap();
    let (contract, _) = Contract::deploy(&mut chain, &alice, &Bundle::built_in().unwrap()).await.unwrap();
    let mut parties = vec![];
    for name in ["//Alice", "//Bob", "//Charlie", "//Dave", "//Eve"] {
        let coordinate = name == "//Eve";
        let policy = Policy { enter_groups: true, coordinate, ..Policy::default() };
        let builder =
            Party::builder(Keys::from_suri(name).unwrap()).listen(anywhere()).policy(policy).agree(|_, _| true);
        let party = builder.start(chain.clone(), contract.clone()).await.unwrap();
        for other in &parties {
            let other: &Party = other;
            party.connect(other.address().unwrap()).unwrap();
        }
        if !coordinate {
            party.deposit(Asset::Native, 100 * UNIT).await.unwrap();
        }
        parties.push(party);
    }
    let coordinator = parties.pop().unwrap();
    Town { parties, coordinator }
}

async fn open(town: &Town, a: usize, b: usize) -> TpcId {
    let [from, to] = [a, b].map(|index| &town.parties[index]);
    let tpc = from.open(Open::with(to.account(), 10 * UNIT), PATIENCE).await.unwrap();
    to.wait_until(move |engine| engine.channel(&tpc).is_some(), PATIENCE).await.unwrap();
    tpc
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_players_form_a_group_play_and_get_their_funds_out() {
    let town = town().await;
    let mut channels = vec![];
    for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        channels.push(open(&town, a, b).await);
    }
    let [alice, bob, charlie, dave] = &town.parties[..] else { panic!("there are four") };
    alice.pay(channels[0], UNIT, PATIENCE).await.unwrap();
    bob.pay(channels[0], UNIT, PATIENCE).await.unwrap();
    let mpc = alice.form(&channels, town.coordinator.account(), PATIENCE).await.unwrap();
    for party in &town.parties {
        party.trust(mpc, Asset::Native, 100 * UNIT).await.unwrap();
    }
    for round in 0..20 {
        let winner = &town.parties[round % 4];
        let losers = town.parties.iter().filter(|party| party.account() != winner.account());
        let pay = |loser: &Party| Transfer {
            from: loser.account(),
            to: winner.account(),
            asset: Asset::Native,
            amount: UNIT / 2,
        };
        winner.pay_in_group(mpc, losers.map(pay).collect(), PATIENCE).await.unwrap();
    }
    for party in [alice, bob, charlie, dave] {
        party.wait_until(|engine| engine.holdings(Asset::Native) == 20 * UNIT, PATIENCE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_that_is_stopped_goes_on_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = SharedChain::new(Devchain::new());
    let [alice, bob] = ["//Alice", "//Bob"].map(|name| Keys::from_suri(name).unwrap());
    let (contract, _) = Contract::deploy(&mut chain, &alice, &Bundle::built_in().unwrap()).await.unwrap();
    let first = Party::builder(alice.clone()).folder(folder.path().join("alice")).listen(anywhere());
    let first = first.start(chain.clone(), contract.clone()).await.unwrap();
    let second = Party::builder(bob).folder(folder.path().join("bob")).peers(first.address());
    let second = second.start(chain.clone(), contract.clone()).await.unwrap();
    let open = Open { theirs: 0, ..Open::with(second.account(), 10 * UNIT) };
    let tpc = first.open(open, PATIENCE).await.unwrap();
    for _ in 0..10 {
        first.pay(tpc, UNIT / 2, PATIENCE).await.unwrap();
    }
    let address = first.address().unwrap();
    first.stop().await;
    drop(first);
    let listen = SocketAddr::new(address.host.parse().unwrap(), address.port);
    let again = Party::builder(alice).folder(folder.path().join("alice")).listen(listen);
    let again = again.start(chain.clone(), contract).await.unwrap();
    let past = again.history(0, 100).unwrap();
    assert_eq!(past.len(), 10);
    assert!(past.iter().all(|(_, past)| past.outcome == Outcome::Settled));
    again.pay(tpc, UNIT / 2, PATIENCE).await.unwrap();
    second.wait_until(|engine| engine.holdings(Asset::Native) == 11 * UNIT / 2, PATIENCE).await.unwrap();
}
