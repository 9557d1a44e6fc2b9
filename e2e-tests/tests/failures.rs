//! What fails, fails with the same name on the embedded chain and on a node.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use chain::{
    block_on,
    contract::CallError,
    costs::{Bench, Channel},
    node::NodeChain,
    Chain, ChainError, ContractCall, Failure, Instantiation, Refusal, Weight, UNIT,
};
use devchain::Devchain;
use e2e_tests::{contract_that, keys, TestNode};
use protocol::{
    abi::{
        CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, DepositPsp22, DisputeChannels, LeaveMpc, Message,
        SettleChannels, UpdateChannels, Withdraw,
    },
    state::{MAX_CHANNELS, MIN_WINDOW},
    AccountId, Action, Asset, Entry, Error, Member, MpcClose, MpcCreation, MpcId, MpcLeave, Resolution, Signature,
    SignedUpdate, TpcClose, TpcCreation, TpcId,
};

type Named = (&'static str, CallError);

/// Everything that the contract refuses, once, with its refusal.
fn refusals<C: Chain>(bench: &mut Bench<C>) -> Vec<Named> {
    let mut refused: Vec<Named> = vec![];
    macro_rules! refuse {
        ($name:literal, $user:expr, $value:expr, $message:expr) => {{
            let message = $message;
            refused.push(($name, bench.call($user, $value, &message).map(|_| ()).unwrap_err()));
        }};
    }
    let (opened, _) = bench.open(&[([0, 1], 0), ([0, 2], 0)]).unwrap();
    let find = |users: [usize; 2]| *opened.iter().find(|channel| channel.users == users).unwrap();
    let [first, second] = [find([0, 1]), find([0, 2])];
    let sign = |bench: &Bench<C>, pair: [usize; 2], action: Action| pair.map(|user| bench.sign(user, action));
    let valid_until = u64::MAX;

    refuse!("an empty deposit", 0, 0, Deposit {});
    refuse!("too large a withdrawal", 0, 0, Withdraw { amount: 100 * UNIT });
    let create = |bench: &Bench<C>, creation: TpcCreation| CreateTpc {
        creation,
        signatures: sign(bench, [1, 2], Action::CreateTpc(&creation)),
    };
    let good = TpcCreation {
        parties: [1, 2].map(|user| bench.users[user].account()),
        nonce: 0,
        asset: Asset::Native,
        balances: [UNIT, UNIT],
        window: MIN_WINDOW,
        valid_until,
    };
    let [low, high] = good.parties;
    refuse!("an expired creation", 1, 0, create(bench, TpcCreation { valid_until: 1, ..good }));
    refuse!("unsorted parties", 1, 0, create(bench, TpcCreation { parties: [high, low], ..good }));
    refuse!("a used nonce", 1, 0, create(bench, TpcCreation { nonce: 1, ..good }));
    refuse!("an overflow", 1, 0, create(bench, TpcCreation { balances: [u128::MAX, 1], ..good }));
    refuse!("an unfunded creation", 1, 0, create(bench, TpcCreation { balances: [50 * UNIT, 1], ..good }));
    refuse!("a creation of others", 0, 0, create(bench, good));
    refuse!("a wrong signer", 1, 0, CreateTpc { creation: good, signatures: [Signature([0; 64]); 2] });

    let update = |bench: &Bench<C>, channels: &[Channel]| {
        let SignedUpdate { update, owners, signatures } = bench.signed(channels);
        UpdateChannels { update, owners, signatures }
    };
    let at = |channel: Channel, entry: Entry| Channel { entry, ..channel };
    let next = first.next().entry;
    refuse!("no proof of the owners", 0, 0, UpdateChannels { owners: vec![], ..update(bench, &[first.next()]) });
    let other = UpdateChannels { owners: vec![second.owners], ..update(bench, &[first.next()]) };
    refuse!("another channel's proof", 0, 0, other);
    refuse!("a stale version", 0, 0, update(bench, &[first]));
    refuse!("a later epoch", 0, 0, update(bench, &[at(first, Entry { epoch: 4, ..next })]));
    refuse!("a broken sum", 0, 0, update(bench, &[at(first, Entry { balances: [UNIT, 0], ..next })]));
    refuse!("no entries", 0, 0, update(bench, &[]));
    refuse!("unsorted entries", 0, 0, update(bench, &[opened[1].next(), opened[0].next()]));
    let all = update(bench, &[opened[0].next(), opened[1].next()]);
    let without_one = all.signatures.iter().filter(|signed| signed.party != bench.users[1].account());
    let signatures = without_one.copied().collect();
    refuse!("a missing signature", 0, 0, UpdateChannels { signatures, ..all.clone() });
    let mut signatures = all.signatures.clone();
    signatures.reverse();
    refuse!("unsorted signatures", 0, 0, UpdateChannels { signatures, ..all.clone() });
    let one = update(bench, &[first.next()]);
    let signatures = bench.sign_all([0, 1, 2], Action::Update(&one.update));
    refuse!("a foreign signature", 0, 0, UpdateChannels { signatures, ..one });

    let close_tpc = |bench: &Bench<C>, last: Entry| {
        let close = TpcClose { last, valid_until };
        CloseTpc { close, signatures: sign(bench, first.users, Action::CloseTpc(&close)) }
    };
    refuse!("closing an unknown channel", 0, 0, close_tpc(bench, Entry { tpc: TpcId([9; 32]), ..next }));
    refuse!("closing an epoch to come", 0, 0, close_tpc(bench, Entry { epoch: 1, ..next }));
    refuse!("closing at what is stored", 0, 0, close_tpc(bench, first.entry));
    refuse!("closing at a broken sum", 0, 0, close_tpc(bench, Entry { balances: [UNIT, 0], ..next }));
    refuse!("a stranger's closing", 2, 0, close_tpc(bench, next));

    let channels = vec![first.entry.tpc];
    let then = Resolution::Settle;
    refuse!("a stranger's dispute", 2, 0, DisputeChannels { channels: channels.clone(), then });
    refuse!("a dispute over nothing", 0, 0, DisputeChannels { channels: vec![], then });
    refuse!("a dispute over too many", 0, 0, DisputeChannels { channels: vec![channels[0]; MAX_CHANNELS + 1], then });
    refuse!("settling too much", 0, 0, SettleChannels { channels });
    let elsewhere = AccountId::from([3; 32]);
    refuse!("a token that is none", 0, 0, DepositPsp22 { token: elsewhere, amount: 1 });

    let mut group = opened.clone();
    let mpc = bench.register(&mut group).unwrap().answer;
    let creation = MpcCreation { members: chain::costs::members(&opened[..1]), valid_until };
    let signatures = bench.sign_all(opened[0].users, Action::CreateMpc(&creation));
    refuse!("a busy channel registered again", 0, 0, CreateMpc { creation, signatures });
    refuse!("closing a busy channel", 0, 0, close_tpc(bench, next));
    let leave = |bench: &Bench<C>, mpc: MpcId, registrations: u32| {
        let leave = MpcLeave { mpc, members: vec![Member { tpc: first.entry.tpc, registrations }], valid_until };
        let signatures = bench.sign_all(first.users, Action::LeaveMpc(&leave));
        LeaveMpc { leave, signatures }
    };
    refuse!("leaving another group", 0, 0, leave(bench, MpcId([7; 32]), 1));
    refuse!("a used registration", 0, 0, leave(bench, mpc, 0));
    let close = |bench: &Bench<C>, mpc: MpcId, members: Vec<Member>| {
        let close = MpcClose { mpc, members, valid_until };
        let signatures = bench.sign_all([0, 1, 2], Action::CloseMpc(&close));
        CloseMpc { close, signatures }
    };
    let members = chain::costs::members(&group);
    refuse!("an unknown group", 0, 0, close(bench, MpcId([7; 32]), members.clone()));
    refuse!("a channel left out", 0, 0, close(bench, mpc, members[..1].to_vec()));
    refused
}

/// What the chain refuses, or the contract in a transaction that nobody tried before.
fn failures<C: Chain>(bench: &mut Bench<C>) -> Vec<(&'static str, ChainError)> {
    let contract = bench.contract.account;
    let gas_limit = Weight { ref_time: 100_000_000_000, proof_size: 1_000_000 };
    let plenty =
        |message: Vec<u8>| ContractCall { contract, value: 0, gas_limit, deposit_limit: None, tip: 0, data: message };
    let deposit = Deposit {}.call_data(&engine::Native);
    let withdraw = Withdraw { amount: UNIT }.call_data(&engine::Native);
    let user = bench.users[0].clone();
    let nobody = keys("//nobody at all");
    let bob = keys("//Bob");
    let code = |code: Vec<u8>| Instantiation { code, data: vec![], salt: vec![] };
    let call = |bench: &mut Bench<C>, call| block_on(bench.chain.call(&user, call)).unwrap_err();
    let little = Weight { ref_time: 200_000_000, proof_size: 1_000_000 };
    let heavy = Weight { ref_time: 5_000_000_000_000, ..gas_limit };
    let elsewhere = AccountId::from([3; 32]);
    // `unreachable`
    let (trap, _) = block_on(bench.chain.instantiate(&bob, code(contract_that(&[0])))).unwrap();
    vec![
        ("a trap", call(bench, ContractCall { contract: trap, ..plenty(vec![]) })),
        ("refused after all", call(bench, plenty(withdraw))),
        ("too little gas", call(bench, ContractCall { gas_limit: little, value: UNIT, ..plenty(deposit.clone()) })),
        (
            "a limit on storage",
            call(bench, ContractCall { deposit_limit: Some(1), value: UNIT, ..plenty(deposit.clone()) }),
        ),
        ("a call larger than the buffer", call(bench, plenty(vec![0; 300_000]))),
        ("more value than there is", call(bench, ContractCall { value: 10_000 * UNIT, ..plenty(deposit.clone()) })),
        ("no contract", call(bench, ContractCall { contract: elsewhere, ..plenty(deposit.clone()) })),
        ("heavier than a block", call(bench, ContractCall { gas_limit: heavy, ..plenty(deposit.clone()) })),
        ("no funds for the fee", block_on(bench.chain.call(&nobody, plenty(deposit.clone()))).unwrap_err()),
        ("no code", block_on(bench.chain.instantiate(&user, code(vec![0, 1, 2]))).map(drop).unwrap_err()),
        ("a transfer of too much", block_on(bench.chain.transfer(&user, elsewhere, 10_000 * UNIT)).unwrap_err()),
        (
            "a trial without a contract",
            block_on(bench.chain.dry_run(user.account(), elsewhere, 0, deposit)).unwrap_err(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_contract_refuses_by_name_on_both_chains() {
    let node = TestNode::start();
    let on_node = refusals(&mut Bench::new(NodeChain::connect(&node.url()).await.unwrap(), 3).unwrap());
    let embedded = refusals(&mut Bench::new(Devchain::new(), 3).unwrap());
    assert_eq!(on_node, embedded);
    let bench = Bench::embedded(3);
    let account = |user: usize| bench.users[user].account();
    let tpc = |pair| bench.owners(pair, 0).tpc(&engine::Native);
    let [first, second, third] = [[0, 1], [0, 2], [1, 2]].map(tpc);
    let lower = first.min(second);
    let expected = [
        Error::ZeroAmount,
        Error::InsufficientLedger { account: account(0), available: 2 * UNIT },
        Error::Expired { valid_until: 1 },
        Error::PartiesNotSorted,
        Error::WrongNonce { expected: 0 },
        Error::Overflow,
        Error::InsufficientLedger { account: account(1), available: 2 * UNIT },
        Error::NotOwner(third),
        Error::BadSignature(account(1)),
        Error::OwnersMissing,
        Error::WrongOwners(first),
        Error::NothingNewer,
        Error::NothingNewer,
        Error::NothingNewer,
        Error::NoChannels,
        Error::ChannelsNotSorted,
        Error::MissingSignature(account(1)),
        Error::SignaturesNotSorted,
        Error::ForeignSignature(account(2)),
        Error::UnknownTpc(TpcId([9; 32])),
        Error::WrongEpoch { tpc: first, stored: 0 },
        Error::StaleVersion { tpc: first, stored: 0 },
        Error::SumMismatch { tpc: first, total: 2 * UNIT },
        Error::NotOwner(first),
        Error::NotOwner(first),
        Error::NoChannels,
        Error::TooManyChannels,
        Error::TpcNotDisputed(first),
        Error::TokenFailed(AccountId::from([3; 32])),
        Error::TpcBusy(lower),
        Error::TpcBusy(first),
        Error::NotMember(first),
        Error::WrongRegistrations { tpc: first, stored: 1 },
        Error::UnknownMpc(MpcId([7; 32])),
        Error::ChannelsMissing { expected: 2 },
    ];
    for ((name, refusal), error) in embedded.iter().zip(&expected) {
        assert_eq!(refusal, &CallError::Contract(*error), "{name}");
    }
    assert_eq!(embedded.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_chain_fails_by_name_on_both_chains() {
    let node = TestNode::start();
    let on_node = failures(&mut Bench::new(NodeChain::connect(&node.url()).await.unwrap(), 1).unwrap());
    let embedded = failures(&mut Bench::new(Devchain::new(), 1).unwrap());
    assert_eq!(on_node, embedded);
    let expected: [ChainError; 12] = [
        Failure::Trapped.into(),
        Failure::Reverted.into(),
        Failure::OutOfGas.into(),
        Failure::StorageDepositLimit.into(),
        Failure::TooLarge.into(),
        Failure::Funds.into(),
        Failure::ContractNotFound.into(),
        Refusal::ExhaustsResources.into(),
        Refusal::Payment.into(),
        Failure::CodeRejected.into(),
        Failure::Funds.into(),
        Failure::ContractNotFound.into(),
    ];
    for ((name, failure), expected) in embedded.iter().zip(&expected) {
        assert_eq!(failure, expected, "{name}");
    }
    assert_eq!(embedded.len(), expected.len());
}
