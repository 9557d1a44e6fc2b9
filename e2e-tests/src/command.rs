//! The commands that users run.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What a command did.
#[derive(Debug)]
pub struct Finished {
    /// Whether its exit code was zero.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
}

/// The repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The command `braid`, which cargo builds beside the tests.
pub fn braid() -> Command {
    let tests = env::current_exe().expect("a test has a path");
    let binary = tests.ancestors().nth(2).expect("a test is two folders deep").join("braid");
    assert!(binary.exists(), "{} is missing: build it with the tests' profile, as scripts/test does", binary.display());
    let mut command = Command::new(binary);
    command.current_dir(root());
    command
}

/// cargo-contract 5.0.3, started by a line as users type it.
pub fn cargo_contract(line: &str) -> Command {
    let folder = env::var("BRAID_TOOLS")
        .unwrap_or_else(|_| panic!("BRAID_TOOLS names no folder with cargo-contract: run scripts/test"));
    let path = env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(root()).env("PATH", format!("{}:{path}", PathBuf::from(folder).display()));
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Finished {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Finished { success: status.success(), stdout: text(&stdout), stderr: text(&stderr) }
}
