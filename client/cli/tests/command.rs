//! The command, as users run it. What it does on a node is tested in e2e-tests.

use serde_json::Value;
use std::process::{Command, Output};

fn braid(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_braid")).args(arguments).output().expect("the command starts")
}

#[test]
fn the_demonstration_ends_as_the_readme_shows() {
    let output = braid(&["demo"]);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("it is text");
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("$ cargo run --release -- demo\n").expect("the README shows it");
    // The README shows each kind of call once, the command all of them.
    let (shown, _) = rest.split_once("\nOn-chain calls").expect("the README shows calls");
    assert!(printed.starts_with(shown), "the command prints\n{printed}");
    let (calls, _) = rest.split_once("```").expect("the block ends");
    for line in calls.lines().filter(|line| line.starts_with('│')) {
        assert!(printed.contains(line), "the command does not print {line}");
    }
}

#[test]
fn the_demonstration_is_one_json_document_if_that_is_wanted() {
    let output = braid(&["demo", "--players", "3", "--rounds", "6", "--json"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(document["players"].as_array().map(Vec::len), Some(3));
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    for (arguments, said) in [
        (&["demo", "--absent", "9"][..], "there is no player 9"),
        (&["info", "--node", "ws://127.0.0.1:1"][..], "no node answers at ws://127.0.0.1:1"),
    ] {
        let output = braid(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert!(stderr.starts_with("error: ") && stderr.contains(said) && stderr.lines().count() == 1, "{stderr}");
    }
}
