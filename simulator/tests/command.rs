//! What `braid-sim` does as a command.

use std::fs;
use std::io::Read;
use std::process::{Command, Output, Stdio};

fn braid_sim() -> Command {
    Command::new(env!("CARGO_BIN_EXE_braid-sim"))
}

fn run(arguments: &[&str]) -> Output {
    braid_sim().args(arguments).output().expect("the command starts")
}

#[test]
fn a_number_that_the_paper_does_not_have_is_refused() {
    for arguments in [["table", "5"], ["figure", "1"], ["figure", "10"], ["all", "--runs=0"]] {
        let output = run(&arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{arguments:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let out = file.join("out");
    let output = braid_sim().args(["figure", "2", "--small", "--runs", "2", "--out"]).arg(&out).output();
    let output = output.expect("the command starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{error}");
    assert!(error.starts_with(&format!("error: {} cannot be written: ", out.display())), "{error}");
}

#[test]
fn a_figure_is_found_alone_as_json_and_as_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let output =
        braid_sim().args(["figure", "2", "--small", "--runs", "2", "--json", "--out"]).arg(folder.path()).output();
    let output = output.expect("the command starts");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let names: Vec<_> = findings.as_array().expect("a list").iter().map(|finding| &finding["name"]).collect();
    assert_eq!(names, ["figure-2"]);
    assert!(folder.path().join("report.html").is_file());
}

#[test]
fn strategies_are_compared_on_a_network_of_ones_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = folder.path().join("network");
    fs::write(&network, "a b 100\nb c 100\nc a 100\n").expect("a file");
    let source = format!("edge-list:{}", network.display());
    let arguments = ["compare", &source, "--kind", "game:3", "--transactions", "50", "--runs", "3", "--json", "--out"];
    let output = braid_sim().args(arguments).arg(folder.path().join("out")).output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let rows = findings[0]["tables"][0]["rows"].as_array().expect("a row for each strategy");
    let names: Vec<_> = rows.iter().filter_map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["paper", "shortest", "available", "flow", "pooled bound"]);
    let command = findings[0]["command"].as_str().expect("a text");
    assert!(command.starts_with(&format!("braid-sim compare {source} --kind game:3 ")), "{command}");
}

#[test]
fn bad_input_is_named_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.json");
    fs::write(&broken, "{\"nodes\":[],").expect("a file");
    let [lnd, empty] = ["lnd", "edge-list"].map(|kind| format!("{kind}:{}", broken.display()));
    let missing = folder.path().join("missing");
    let lightning = missing.to_str().expect("a text");
    let out = folder.path().join("out");
    for (arguments, named) in [
        (vec!["compare", "star:3"], "\"star:3\" is none"),
        (vec!["compare", "random:300:7"], "7 channels among 300 users"),
        (vec!["compare", &lnd], "line 1 column 12"),
        (vec!["compare", &empty], "line 1: "),
        (vec!["compare", "hub:9", "--k1", "2"], "k1 = 2"),
        (vec!["figure", "8", "--k2", "NaN"], "k2 = NaN"),
        (vec!["compare", "hub:9", "--kind", "game:20"], "20 parties"),
        (vec!["compare", "hub:9", "--users", "3"], "a cut of 3 users"),
        (vec!["compare", "hub:9", "--amounts", "below:1"], "amounts below:1"),
        (vec!["compare", "hub:9", "--skew=-1"], "skew -1"),
        (vec!["compare", "hub:9", "--transactions", "0"], "no transactions"),
        (vec!["cost", "--small", "--lightning", lightning], "nodes_ln.csv"),
    ] {
        let output = braid_sim().args(&arguments).arg("--out").arg(&out).output().expect("the command starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty() && !out.exists(), "{arguments:?}: {error}");
        assert!(error.starts_with("error: ") && error.contains(named), "{arguments:?}: {error}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = braid_sim()
        .args(["figure", "2", "--small", "--runs", "2", "--out"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let mut error = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut error).expect("it is a text");
    assert!(child.wait().expect("it ends").success() && error.is_empty(), "{error}");
}
