//! The commands that speak to a running daemon over its HTTP API, a file each.

pub mod answer;
pub mod balance;
pub mod budget;
pub mod close;
pub mod connect;
pub mod deposit;
pub mod group;
pub mod history;
pub mod list;
pub mod open;
pub mod pay;
pub mod requests;
pub mod stop;
pub mod value;
pub mod withdraw;

use crate::{
    daemon::{folder, Role},
    output::print_line,
};
use anyhow::{Context, Result};
use braid::http::{
    error::Failed,
    text::Id,
    view::{ChannelView, GroupView},
};
use serde::{de::DeserializeOwned, Serialize};
use std::{io::Write, path::PathBuf, time::Duration};
use ureq::http::Request;

/// How much longer than the daemon a command waits for its answer.
const MARGIN: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// Why a daemon did not do something.
#[derive(Debug)]
pub enum ClientError {
    /// None runs in this folder.
    NotRunning(PathBuf),
    /// It does not answer.
    Unreachable(String),
    /// It refuses.
    Refused(Failed),
    /// It is not decided yet.
    Undecided(String),
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRunning(folder) => {
                let folder = folder.display();
                write!(f, "no daemon runs in {folder}: start one with `braid party --folder {folder}`, or name another folder")
            }
            Self::Unreachable(what) => f.write_str(what),
            Self::Refused(failed) => f.write_str(&failed.error),
            Self::Undecided(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ClientError {}

/// Which daemon is spoken to, and how its answer is printed.
#[derive(clap::Args)]
pub struct Daemon {
    /// The daemon's folder. [default: $BRAID_FOLDER, or that of `braid party`]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Print one JSON document, with amounts in planck, as text.
    #[arg(long)]
    pub json: bool,
}

/// A body for what needs none.
#[derive(Serialize)]
pub struct Nothing {}

impl Daemon {
    /// Asks for something.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let text = self.send(path, None, Duration::ZERO)?.1;
        serde_json::from_slice(&text).context("the daemon's answer cannot be read: it is of another version")
    }

    /// Has something done that is answered after at most `patience`. Answers whether it is done, not only begun.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn act(&self, path: &str, body: &impl Serialize, patience: Duration) -> Result<bool> {
        Ok(self.send(path, Some(&serde_json::to_vec(body)?), patience)?.0 != 202)
    }

    /// As [`Daemon::act`], with the answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize, patience: Duration) -> Result<T> {
        let text = self.send(path, Some(&serde_json::to_vec(body)?), patience)?.1;
        serde_json::from_slice(&text).context("the daemon's answer cannot be read: it is of another version")
    }

    /// Gets, or posts a body.
    fn send(&self, path: &str, body: Option<&[u8]>, patience: Duration) -> Result<(u16, Vec<u8>)> {
        let folder = self.folder.clone().unwrap_or_else(|| folder::default_folder(Role::Party.name()));
        let address =
            folder::read(&folder.join(folder::API))?.ok_or_else(|| ClientError::NotRunning(folder.clone()))?;
        let token =
            folder::read(&folder.join(folder::TOKEN))?.ok_or_else(|| ClientError::NotRunning(folder.clone()))?;
        let request = Request::builder().uri(format!("http://{}/v1{path}", address.trim()));
        let request = request.header("Authorization", format!("Bearer {}", token.trim()));
        // The daemon is on this machine: no proxy.
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = agent.timeout_global(Some(patience.saturating_add(MARGIN))).build();
        let agent = ureq::Agent::new_with_config(agent);
        let unreachable = |error: ureq::Error| match error {
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning(folder.clone())
            }
            ureq::Error::ConnectionFailed => ClientError::NotRunning(folder.clone()),
            error => ClientError::Unreachable(format!("the daemon of {} does not answer: {error}", folder.display())),
        };
        let answer = match body {
            None => agent.run(request.body(())?),
            Some(body) => agent.run(request.method("POST").header("Content-Type", "application/json").body(body)?),
        };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(unreachable)?;
        if status.is_success() {
            return Ok((status.as_u16(), text));
        }
        let failed = serde_json::from_slice(&text).unwrap_or_else(|_| Failed {
            error: format!("the daemon's answer ({status}) cannot be read: it is of another version"),
            code: "unreadable".to_owned(),
        });
        Err(ClientError::Refused(failed).into())
    }

    /// Prints the answer as JSON, or as people read it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn print(&self, answer: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let text = if self.json { serde_json::to_string_pretty(answer)? } else { text() };
        print_line(&text)?;
        std::io::stdout().flush()?;
        Ok(())
    }

    /// The whole id of one of the party's channels, given its beginning.
    ///
    /// # Errors
    /// If no channel or several begin so.
    pub fn channel(&self, short: &value::ShortId) -> Result<Id> {
        match short.whole() {
            Some(id) => Ok(id),
            None => {
                let channels: Vec<ChannelView> = self.get("/channels")?;
                short.among(channels.into_iter().map(|channel| channel.id), "channel", "braid list")
            }
        }
    }

    /// The whole id of one of the party's groups, given its beginning.
    ///
    /// # Errors
    /// If no group or several begin so.
    pub fn group(&self, short: &value::ShortId) -> Result<Id> {
        match short.whole() {
            Some(id) => Ok(id),
            None => {
                let groups: Vec<GroupView> = self.get("/groups")?;
                short.among(groups.into_iter().map(|group| group.id), "group", "braid group list")
            }
        }
    }
}

/// The seconds of an option as what the API takes.
pub fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000)
}
