//! A token is exchanged for the native one in one update, on the embedded chain and on a node.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

#[path = "../../client/chain/tests/token/mod.rs"]
mod token;

use chain::{
    block_on,
    contract::CallError,
    costs::{Bench, Channel},
    node::NodeChain,
    Chain, UNIT,
};
use devchain::Devchain;
use e2e_tests::{keys, TestNode};
use engine::Native;
use protocol::{
    abi::{
        CreateTpc, DepositPsp22, DisputeChannels, GetEnded, GetTpc, LedgerBalance, SettleChannels, UpdateChannels,
        WithdrawPsp22,
    },
    state::MIN_WINDOW,
    Action, Asset, Entry, Error, Resolution, SignedUpdate, TpcCreation,
};
use token::{Approve, BalanceOf, Token};

/// What each of the two has of the token.
const SUPPLY: u128 = 1_000;

/// A channel of a token between the two users of a bench, who put 100 of it in each.
fn open<C: Chain>(bench: &mut Bench<C>, token: Token, nonce: u64) -> Channel {
    let parties = [0, 1].map(|user| bench.users[user].account());
    let (asset, balances) = (Asset::Psp22(token.account), [100, 100]);
    let creation = TpcCreation { parties, nonce, asset, balances, window: MIN_WINDOW, valid_until: u64::MAX };
    let signatures = [0, 1].map(|user| bench.sign(user, Action::CreateTpc(&creation)));
    let tpc = bench.call(0, 0, &CreateTpc { creation, signatures }).unwrap().answer;
    let entry = Entry { tpc, epoch: 0, version: 0, balances };
    Channel { users: [0, 1], owners: creation.owners(), entry, registrations: 0 }
}

/// The first pays 30 of the token for half a UNIT, in the given channels.
fn exchange(bench: &Bench<impl Chain>, tokens: Channel, coins: Channel) -> UpdateChannels {
    let at = |channel: Channel, balances| Channel { entry: Entry { version: 1, balances, ..channel.entry }, ..channel };
    let mut channels = [at(tokens, [70, 130]), at(coins, [UNIT + UNIT / 2, UNIT / 2])];
    channels.sort_by_key(|channel| channel.entry.tpc);
    let SignedUpdate { update, owners, signatures } = bench.signed(&channels);
    UpdateChannels { update, owners, signatures }
}

/// An exchange that is put on chain, and one that is withheld until a dispute has made it void. Answers what the two have of
/// the token in the end, and what the refusals say.
fn exchanged<C: Chain>(mut bench: Bench<C>) -> ([u128; 2], Vec<CallError>) {
    let alice = keys("//Alice");
    let token = Token::deploy(&mut bench.chain, &alice, 2 * SUPPLY, 0).unwrap();
    let contract = bench.contract.account;
    for user in [0, 1] {
        let owner = bench.users[user].clone();
        let pay = token::Transfer { to: owner.account(), value: SUPPLY, data: vec![] };
        token.call(&mut bench.chain, &alice, &pay).unwrap();
        token.call(&mut bench.chain, &owner, &Approve { spender: contract, value: SUPPLY }).unwrap();
        bench.call(user, 0, &DepositPsp22 { token: token.account, amount: 300 }).unwrap();
    }
    let (coins, _) = bench.open(&[([0, 1], 0), ([0, 1], 1)]).unwrap();
    let find = |bench: &Bench<C>, nonce| {
        let tpc = bench.owners([0, 1], nonce).tpc(&Native);
        *coins.iter().find(|channel| channel.entry.tpc == tpc).unwrap()
    };
    let (first, second) = (find(&bench, 0), find(&bench, 1));
    let (tokens, others) = (open(&mut bench, token, 2), open(&mut bench, token, 3));

    let honest = exchange(&bench, tokens, first);
    assert_eq!(bench.call(1, 0, &honest).unwrap().answer, 2);
    let withheld = exchange(&bench, others, second);
    let ids = vec![tokens.entry.tpc, others.entry.tpc];
    bench.call(0, 0, &DisputeChannels { channels: ids.clone(), then: Resolution::Settle }).unwrap();
    let stored = bench.query(&GetTpc { id: ids[1] }).unwrap().unwrap();
    block_on(bench.chain.wait_until(&alice, stored.dispute.unwrap().deadline)).unwrap();
    let mut refused = vec![bench.call(1, 0, &withheld).unwrap_err()];
    assert_eq!(bench.call(0, 0, &SettleChannels { channels: ids.clone() }).unwrap().answer, 2);
    refused.push(bench.call(1, 0, &withheld).unwrap_err());
    assert_eq!(bench.query(&GetEnded { id: ids[1], epoch: 0 }), Ok(Some(0)));
    let stays = bench.query(&GetTpc { id: second.entry.tpc }).unwrap().unwrap();
    assert_eq!(stays.balances, [UNIT, UNIT], "the withheld exchange counts in neither channel");

    let held = [0, 1].map(|user| {
        let account = bench.users[user].account();
        let asset = Asset::Psp22(token.account);
        let amount = bench.query(&LedgerBalance { account, asset }).unwrap();
        bench.call(user, 0, &WithdrawPsp22 { token: token.account, amount }).unwrap();
        token.query(&mut bench.chain, &BalanceOf { owner: account }).unwrap()
    });
    (held, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_exchange_counts_for_both_assets_or_for_none_on_both_chains() {
    let node = TestNode::start();
    let on_node = exchanged(Bench::new(NodeChain::connect(&node.url()).await.unwrap(), 2).unwrap());
    let embedded = exchanged(Bench::new(Devchain::new(), 2).unwrap());
    assert_eq!(on_node.0, [SUPPLY - 30, SUPPLY + 30]);
    assert_eq!(on_node.0, embedded.0);
    // The token's account, and so the channel's id, is another one on each chain.
    for (_, refused) in [on_node, embedded] {
        let [CallError::Contract(due), CallError::Contract(void)] = refused[..] else { panic!("{refused:?}") };
        assert!(matches!(due, Error::TpcDue(_)), "{due}");
        assert!(matches!(void, Error::Void { epoch: 0, version: 0, .. }), "{void}");
    }
}
