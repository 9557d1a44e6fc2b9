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
