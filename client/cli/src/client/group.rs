//! `braid group`: groups of channels that are moved together.

use super::{
    millis,
    pay::settle,
    value::{account, amount, peer, short_id, show_account, show_id, Peer, ShortId},
    ClientError, Daemon,
};
use crate::output::columns;
use anyhow::Result;
use braid::http::{
    groups::{CloseGroup, FormGroup, Forming},
    payments::{Pay, PayTransfer},
    text::{Account, Amount, Id},
    view::GroupView,
};
use protocol::{AccountId, Balance};
use serde::Serialize;
use std::time::Duration;

/// What `braid group` is asked for.
#[derive(clap::Subcommand)]
pub enum Options {
    /// Asks a coordinator to form a group of channels.
    Create(Create),
    /// Lists the groups that the party is in.
    List(List),
    /// Has amounts paid in a group: all of them or none.
    Pay(PayInGroup),
    /// Releases all channels of a group.
    Close(Close),
}

/// What `braid group create` is asked for.
#[derive(clap::Args)]
pub struct Create {
    #[command(flatten)]
    daemon: Daemon,
    /// All its channels, by their whole ids; the beginning of it suffices for your own.
    #[arg(required = true, value_parser = short_id)]
    channel: Vec<ShortId>,
    /// Who leads its rounds: an account, or account@host:port to connect to it first.
    #[arg(long, value_parser = peer)]
    coordinator: Peer,
    /// Register it on chain, as in the paper.
    #[arg(long)]
    registered: bool,
    /// How long to wait until it exists, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

/// What `braid group list` is asked for.
#[derive(clap::Args)]
pub struct List {
    #[command(flatten)]
    daemon: Daemon,
}

/// What `braid group pay` is asked for.
#[derive(clap::Args)]
pub struct PayInGroup {
    #[command(flatten)]
    daemon: Daemon,
    /// The group: its id, or the beginning of it.
    #[arg(value_parser = short_id)]
    group: ShortId,
    /// How much each payer pays: UNIT, or planck as in 500planck.
    #[arg(value_parser = amount)]
    amount: Balance,
    /// Who is paid; you if nothing is said.
    #[arg(long, value_name = "ACCOUNT", value_parser = account, required_unless_present = "from")]
    to: Option<AccountId>,
    /// Who pays; you if nothing is said. Can be repeated.
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    from: Vec<AccountId>,
    /// How long to wait until it is decided, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

/// What `braid group close` is asked for.
#[derive(clap::Args)]
pub struct Close {
    #[command(flatten)]
    daemon: Daemon,
    /// The group: its id, or the beginning of it.
    #[arg(value_parser = short_id)]
    group: ShortId,
    /// All its channels, by their whole ids. Without any, those that you own or lead in it.
    #[arg(value_parser = short_id)]
    channel: Vec<ShortId>,
    /// How long to wait until it is closed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

/// Does it.
///
/// # Errors
/// If the daemon refuses, or it has not happened in time.
pub fn run(options: &Options) -> Result<()> {
    match options {
        Options::Create(options) => create(options),
        Options::List(options) => list(options),
        Options::Pay(options) => pay(options),
        Options::Close(options) => close(options),
    }
}

fn create(options: &Create) -> Result<()> {
    let Create { daemon, channel, coordinator, registered, wait } = options;
    super::connect::dial(daemon, coordinator)?;
    let channels = channel.iter().map(|short| daemon.channel(short)).collect::<Result<_>>()?;
    let (coordinator, patience_ms) = (Account(coordinator.account), millis(*wait));
    let form = FormGroup { channels, coordinator, registered: *registered, patience_ms };
    let forming: Forming = daemon.post("/groups", &form, Duration::from_millis(patience_ms))?;
    let id = String::from(forming.id);
    if forming.open {
        return daemon.print(&forming, || format!("{id} is formed"));
    }
    if daemon.json {
        daemon.print(&forming, String::new)?;
    }
    let what =
        format!("{id} is not formed yet: its members have to accept it with `braid requests` and `braid accept`");
    Err(ClientError::Undecided(what).into())
}

fn list(options: &List) -> Result<()> {
    let groups: Vec<GroupView> = options.daemon.get("/groups")?;
    options.daemon.print(&groups, || {
        if groups.is_empty() {
            return "There are no groups: form one with `braid group create`.".to_owned();
        }
        let rows = groups.iter().map(|group| {
            let state = if group.open { "open" } else { "forming" };
            let registered = if group.registered { "yes" } else { "no" };
            let count = group.channels.len().to_string();
            vec![show_id(group.id), show_account(group.coordinator), state.into(), registered.into(), count]
        });
        columns(&["Group", "Coordinator", "State", "Registered", "Channels"], rows, 4)
    })
}

fn pay(options: &PayInGroup) -> Result<()> {
    let PayInGroup { daemon, group, amount, to, from, wait } = options;
    let transfer =
        |from: Option<AccountId>| PayTransfer { from: from.map(Account), to: to.map(Account), amount: Amount(*amount) };
    let transfers = match from.is_empty() {
        true => vec![transfer(None)],
        false => from.iter().map(|from| transfer(Some(*from))).collect(),
    };
    let group = Some(daemon.group(group)?);
    let pay = Pay { group, transfers, patience_ms: Some(millis(*wait)), ..Pay::default() };
    settle(daemon, &pay, "it is settled")
}

#[derive(Serialize)]
struct Closing {
    id: Id,
    closed: bool,
}

fn close(options: &Close) -> Result<()> {
    let Close { daemon, group, channel, wait } = options;
    let id = daemon.group(group)?;
    let channels = channel.iter().map(|short| daemon.channel(short)).collect::<Result<_>>()?;
    let close = CloseGroup { channels, patience_ms: millis(*wait) };
    let patience = Duration::from_millis(close.patience_ms);
    let closed = daemon.act(&format!("/groups/{}/close", String::from(id)), &close, patience)?;
    daemon.print(&Closing { id, closed }, || match closed {
        true => format!("{} is closed: its channels stand alone again", show_id(id)),
        false => format!("{} is to be closed: its members are asked", show_id(id)),
    })
}
