//! `braid accept` and `braid reject`: answers to requests.

use super::Daemon;
use anyhow::Result;
use braid::http::requests::Answered;
use serde::Serialize;
use std::time::Duration;

/// What `braid accept` and `braid reject` are asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Which: the number that `braid requests` shows. Can be repeated.
    #[arg(required = true)]
    number: Vec<u64>,
}

#[derive(Serialize)]
struct Answer {
    request: u64,
    accepted: bool,
}

/// Answers.
///
/// # Errors
/// If the daemon refuses.
pub fn run(options: &Options, accept: bool) -> Result<()> {
    for request in &options.number {
        options.daemon.act(&format!("/requests/{request}"), &Answered { accept }, Duration::ZERO)?;
        let word = if accept { "accepted" } else { "rejected" };
        let answer = Answer { request: *request, accepted: accept };
        options.daemon.print(&answer, || format!("request {request} is {word}"))?;
    }
    Ok(())
}
