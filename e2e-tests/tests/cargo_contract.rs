//! cargo-contract alone deploys, calls and reads, as the documentation says.

use e2e_tests::{cargo_contract, run, TestNode};

const BUNDLE: &str = "contracts/channels/channels.contract";
const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

/// Whatever a command says, if it succeeds as expected.
fn say(line: &str, success: bool) -> String {
    let finished = run(&mut cargo_contract(line));
    assert_eq!(finished.success, success, "{line}\n{finished:?}");
    finished.stdout + &finished.stderr
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let found = text.split_once(before).and_then(|(_, rest)| rest.split_once(after));
    found.unwrap_or_else(|| panic!("no {before}…{after} in {text}")).0
}

#[test]
fn cargo_contract_uploads_instantiates_calls_and_reads() {
    let node = TestNode::start();
    let url = node.url();
    let uploaded = say(&format!("cargo contract upload {BUNDLE} --url {url} --suri //Alice -x --skip-confirm"), true);
    assert!(uploaded.contains("Code hash"), "{uploaded}");
    let genesis_hash = say(&format!("cargo contract rpc chain_getBlockHash 0 --url {url}"), true);
    let genesis_hash = format!("0x{}", &between(&genesis_hash, "0x", "\"")[..64]);
    let instantiated = say(
        &format!(
            "cargo contract instantiate {BUNDLE} --url {url} --suri //Alice --args {genesis_hash} -x --skip-confirm \
             --output-json"
        ),
        true,
    );
    let contract = between(&instantiated, "\"contract\": \"", "\"");
    let call = |rest: &str, success| {
        say(&format!("cargo contract call {BUNDLE} --url {url} --contract {contract} --suri //Alice {rest}"), success)
    };
    let deposited = call("--message deposit --value 300000000000000 -x --skip-confirm", true);
    assert!(deposited.contains("ContractEmitted"), "{deposited}");
    let table = include_str!("../../docs/costs.md");
    let costs: Vec<_> = between(table, "| `deposit` |", "\n").split('|').map(str::trim).collect();
    let weight = format!("ref_time: {}, proof_size: {}", costs[3], costs[4]);
    assert!(deposited.contains(&weight), "not {weight}: {deposited}");
    let ledger = call(&format!("--message ledger_balance --args {ALICE} Native"), true);
    assert!(ledger.contains("300000000000000"), "{ledger}");
    let domain = call("--message domain", true);
    assert!(domain.contains(&format!("contract: {contract}")), "{domain}");
    // The trial tells the contract's own error; a transaction that nobody tried only that there was one.
    let too_much = "--message withdraw --args 300000000000001";
    let refused = call(too_much, true);
    assert!(refused.contains("InsufficientLedger"), "{refused}");
    let reverted = call(&format!("{too_much} -x --skip-confirm"), false);
    assert!(reverted.contains("Contracts::ContractReverted"), "{reverted}");
}
