//! What fails, fails with the same name on the embedded chain and on a node.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

use braid::{
    chain::{node::NodeChain, Chain, ChainError, ContractCall, Failure, Instantiation, Refusal, Weight, UNIT},
    contract::CallError,
    costs::Bench,
};
use devchain::Devchain;
use e2e_tests::{contract_that, keys, TestNode};
use protocol::{
    abi::{CloseMpc, CloseTpc, CreateMpc, CreateTpc, Deposit, Message, UpdateMpc, UpdateTpc, Withdraw},
    state::MIN_WINDOW,
    AccountId, Action, Entry, Error, MpcClose, MpcCreation, MpcId, MpcUpdate, Signature, TpcClose, TpcCreation, TpcId,
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
    let (entries, _) = bench.open(&[[0, 1], [0, 2]]).unwrap();
    let parties_of = |bench: &Bench<C>, pair: [usize; 2]| pair.map(|user| bench.users[user].account());
    let id = |bench: &Bench<C>, pair: [usize; 2]| TpcId::of(&braid::keys::Native, &parties_of(bench, pair), 0);
    let (first, second) = (id(bench, [0, 1]), id(bench, [0, 2]));
    let entry = |tpc: TpcId, version| Entry { version, ..*entries.iter().find(|entry| entry.tpc == tpc).unwrap() };
    let sign = |bench: &Bench<C>, pair: [usize; 2], action: Action| pair.map(|user| bench.sign(user, action));
    let valid_until = u64::MAX;

    refuse!("an empty deposit", 0, 0, Deposit {});
    refuse!("too large a withdrawal", 0, 0, Withdraw { amount: 100 * UNIT });
    let create = |bench: &Bench<C>, creation: TpcCreation| CreateTpc {
        creation,
        signatures: sign(bench, [1, 2], Action::CreateTpc(&creation)),
    };
    let good = TpcCreation {
        parties: parties_of(bench, [1, 2]),
        nonce: 0,
        balances: [UNIT, UNIT],
        window: MIN_WINDOW,
        valid_until,
    };
    let [low, high] = good.parties;
    refuse!("an expired creation", 0, 0, create(bench, TpcCreation { valid_until: 1, ..good }));
    refuse!("unsorted parties", 0, 0, create(bench, TpcCreation { parties: [high, low], ..good }));
    refuse!("a used nonce", 0, 0, create(bench, TpcCreation { nonce: 1, ..good }));
    refuse!("an overflow", 0, 0, create(bench, TpcCreation { balances: [u128::MAX, 1], ..good }));
    refuse!("an unfunded creation", 0, 0, create(bench, TpcCreation { balances: [50 * UNIT, 1], ..good }));
    refuse!("a wrong signer", 0, 0, CreateTpc { creation: good, signatures: [Signature([0; 64]); 2] });

    let update = |bench: &Bench<C>, entry: Entry| UpdateTpc {
        entry,
        signatures: sign(bench, [0, 1], Action::UpdateTpc(&entry)),
    };
    refuse!("an unknown channel", 0, 0, update(bench, Entry { tpc: TpcId([9; 32]), ..entry(first, 1) }));
    refuse!("a stale version", 0, 0, update(bench, entry(first, 0)));
    refuse!("a later epoch of a part", 0, 0, update(bench, Entry { epoch: 4, balances: [UNIT, 0], ..entry(first, 1) }));
    refuse!("a broken sum", 0, 0, update(bench, Entry { balances: [UNIT, 0], ..entry(first, 1) }));

    let braid = |bench: &Bench<C>, entries: Vec<Entry>, signers: &[usize]| {
        let creation = MpcCreation { entries, window: MIN_WINDOW, valid_until };
        let signatures = bench.sign_all(signers.iter().copied(), Action::CreateMpc(&creation));
        CreateMpc { creation, signatures }
    };
    let mut entering: Vec<_> = [first, second].map(|tpc| Entry { epoch: 1, ..entry(tpc, 0) }).to_vec();
    entering.sort_by_key(|entry| entry.tpc);
    let reversed = entering.iter().rev().copied().collect();
    refuse!("no entries", 0, 0, braid(bench, vec![], &[]));
    refuse!("unsorted entries", 0, 0, braid(bench, reversed, &[0, 1, 2]));
    refuse!("a missing signature", 0, 0, braid(bench, entering.clone(), &[0, 2]));
    refuse!("a foreign signature", 0, 0, braid(bench, vec![Entry { epoch: 1, ..entry(first, 0) }], &[0, 1, 2]));
    let mut shuffled = braid(bench, entering.clone(), &[0, 1, 2]);
    shuffled.signatures.reverse();
    refuse!("unsorted signatures", 0, 0, shuffled);

    let mpc = bench.call(0, 0, &braid(bench, entering.clone(), &[0, 1, 2])).unwrap().answer;
    refuse!("a busy channel", 0, 0, update(bench, Entry { epoch: 1, ..entry(first, 1) }));
    let pay = |bench: &Bench<C>, mpc: MpcId, entries: Vec<Entry>| {
        let update = MpcUpdate { mpc, entries };
        let signatures = bench.sign_all([0, 1], Action::UpdateMpc(&update));
        UpdateMpc { update, signatures, gone: vec![] }
    };
    refuse!("an unknown group", 0, 0, pay(bench, MpcId([7; 32]), vec![Entry { epoch: 1, ..entry(first, 1) }]));
    refuse!("nothing newer", 0, 0, pay(bench, mpc, vec![Entry { epoch: 1, ..entry(first, 0) }]));
    let close = |bench: &Bench<C>, entries: Vec<Entry>| {
        let close = MpcClose { mpc, entries, valid_until };
        let signatures = bench.sign_all([0, 1, 2], Action::CloseMpc(&close));
        CloseMpc { close, signatures }
    };
    refuse!("a channel left out", 0, 0, close(bench, vec![entering[0]]));
    let stranger = bench.creation([1, 2], 0, [UNIT, UNIT]).unwrap();
    let third = bench.call(0, 0, &stranger).unwrap().answer;
    let mut with_stranger = vec![entering[0], Entry { tpc: third, ..entering[0] }];
    with_stranger.sort_by_key(|entry| entry.tpc);
    refuse!("a channel of no member", 0, 0, close(bench, with_stranger));
    let last = TpcClose { last: Entry { epoch: 1, ..entry(first, 1) }, valid_until };
    let signatures = sign(bench, [0, 1], Action::CloseTpc(&last));
    refuse!("closing a busy channel", 0, 0, CloseTpc { close: last, signatures });
    refused
}

/// What the chain refuses, or the contract in a transaction that nobody tried before.
fn failures<C: Chain>(bench: &mut Bench<C>) -> Vec<(&'static str, ChainError)> {
    let contract = bench.contract.account;
    let gas_limit = Weight { ref_time: 100_000_000_000, proof_size: 1_000_000 };
    let plenty = |message: Vec<u8>| ContractCall { contract, value: 0, gas_limit, deposit_limit: None, data: message };
    let deposit = Deposit {}.call_data(&braid::keys::Native);
    let withdraw = Withdraw { amount: UNIT }.call_data(&braid::keys::Native);
    let user = bench.users[0].clone();
    let nobody = keys("//nobody at all");
    let bob = keys("//Bob");
    let code = |code: Vec<u8>| Instantiation { code, data: vec![], salt: vec![] };
    let call = |bench: &mut Bench<C>, call| bench.chain.call(&user, call).unwrap_err();
    let little = Weight { ref_time: 200_000_000, proof_size: 1_000_000 };
    let heavy = Weight { ref_time: 5_000_000_000_000, ..gas_limit };
    let elsewhere = AccountId::from([3; 32]);
    // `unreachable`
    let (trap, _) = bench.chain.instantiate(&bob, code(contract_that(&[0]))).unwrap();
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
        ("no funds for the fee", bench.chain.call(&nobody, plenty(deposit.clone())).unwrap_err()),
        ("no code", bench.chain.instantiate(&user, code(vec![0, 1, 2])).map(drop).unwrap_err()),
        ("a transfer of too much", bench.chain.transfer(&user, elsewhere, 10_000 * UNIT).unwrap_err()),
        ("a trial without a contract", bench.chain.dry_run(user.account(), elsewhere, 0, deposit).unwrap_err()),
    ]
}

#[test]
fn the_contract_refuses_by_name_on_both_chains() {
    let node = TestNode::start();
    let on_node = refusals(&mut Bench::new(NodeChain::connect(&node.url()).unwrap(), 3).unwrap());
    let embedded = refusals(&mut Bench::new(Devchain::new(), 3).unwrap());
    assert_eq!(on_node, embedded);
    let users = Bench::embedded(3).users;
    let account = |user: usize| users[user].account();
    let tpc = |a: usize, b: usize| TpcId::of(&braid::keys::Native, &[account(a), account(b)], 0);
    let first = tpc(0, 1);
    let expected = [
        Error::ZeroAmount,
        Error::InsufficientLedger { account: account(0), available: 2 * UNIT },
        Error::Expired { valid_until: 1 },
        Error::PartiesNotSorted,
        Error::WrongNonce { expected: 0 },
        Error::Overflow,
        Error::InsufficientLedger { account: account(1), available: 2 * UNIT },
        Error::BadSignature(account(1)),
        Error::UnknownTpc(TpcId([9; 32])),
        Error::StaleVersion { tpc: first, stored: 0 },
        Error::SumMismatch { tpc: first, total: 2 * UNIT },
        Error::SumMismatch { tpc: first, total: 2 * UNIT },
        Error::NoEntries,
        Error::EntriesNotSorted,
        Error::MissingSignature(account(1)),
        Error::ForeignSignature(account(2)),
        Error::SignaturesNotSorted,
        Error::TpcBusy(first),
        Error::UnknownMpc(MpcId([7; 32])),
        Error::NothingNewer,
        Error::ChannelsMissing { expected: 2 },
        Error::NotMember(tpc(1, 2)),
        Error::TpcBusy(first),
    ];
    for ((name, refusal), error) in embedded.iter().zip(&expected) {
        assert_eq!(refusal, &CallError::Contract(*error), "{name}");
    }
    assert_eq!(embedded.len(), expected.len());
}

#[test]
fn the_chain_fails_by_name_on_both_chains() {
    let node = TestNode::start();
    let on_node = failures(&mut Bench::new(NodeChain::connect(&node.url()).unwrap(), 1).unwrap());
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
