//! The client's messages are the contract's.

use chain::contract::Bundle;
use engine::Native;
use protocol::{abi::MESSAGES, Crypto};

#[test]
fn the_clients_messages_are_those_of_the_bundles_metadata() {
    let metadata = Bundle::built_in().unwrap().metadata;
    let spec = &metadata["spec"];
    let of = |list: &str| spec[list].as_array().unwrap().clone();
    let mut described: Vec<_> = of("constructors").into_iter().chain(of("messages")).collect();
    described.sort_by_key(|message| message["label"].as_str().unwrap().to_owned());
    let guide = include_str!("../../../substrate-contracts-node.md");
    let mut ours = MESSAGES.to_vec();
    ours.sort_unstable();
    let names: Vec<_> = described.iter().map(|message| message["label"].as_str().unwrap()).collect();
    assert_eq!(names, ours.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (message, (name, arguments)) in described.iter().zip(ours) {
        let labels: Vec<_> = message["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| argument["label"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(labels, arguments, "the arguments of {name}");
        let selector = format!("0x{}", hex::encode(&Native.blake2_256(name.as_bytes())[..4]));
        assert_eq!(message["selector"].as_str(), Some(selector.as_str()), "the selector of {name}");
        let row = format!("| `{name}` | `{selector}` | {}", arguments.join(", "));
        assert!(guide.lines().any(|line| line.starts_with(row.trim_end())), "the guide lacks {row}");
    }
}
