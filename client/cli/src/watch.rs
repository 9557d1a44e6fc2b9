//! `braid watch`: a watchtower, in the users' place.

use crate::{
    options::DeploymentOptions,
    output::{print_line, units, CallCost},
};
use anyhow::Result;
use braid::watchtower::{Said, Watchtower, Why, ENOUGH};
use chain::{
    contract::CallError,
    keys::{address, Keys},
    Receipt,
};
use serde::Serialize;
use std::path::PathBuf;

/// What `braid watch` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    at: DeploymentOptions,
    /// A user's signed states, as its party writes them; read again whenever they change. Can be repeated.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    states: Vec<PathBuf>,
    /// Who pays the fees; it need not own a channel, but settles one window later then.
    #[arg(long, default_value = "//Alice")]
    suri: String,
    /// Look once instead of until interrupted.
    #[arg(long)]
    once: bool,
}

/// A call that a watcher made, or tried to make.
#[derive(Serialize)]
pub struct Brought {
    message: &'static str,
    why: &'static str,
    call: Option<CallCost>,
    pub refusal: Option<String>,
}

impl Brought {
    /// What came of a call.
    pub fn new(message: &'static str, why: Why, outcome: &Result<Receipt, CallError>) -> Self {
        let why = match why {
            Why::Answer => "newer states",
            Why::Settle => "the deadline has passed",
        };
        let (call, refusal) = match outcome {
            Ok(receipt) => (Some(CallCost::new(message, receipt)), None),
            Err(refusal) => (None, Some(refusal.to_string())),
        };
        Self { message, why, call, refusal }
    }
}

/// Watches and says what it does, a line each.
pub async fn run(options: &Options) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (chain, contract) = options.at.open().await?;
    let mut tower = Watchtower::new(chain, contract, keys, options.states.clone()).await?;
    let json = options.at.on.json;
    if options.once {
        let mut failed = Ok(());
        tower
            .look_once(|said| {
                // Whoever looks once wants to know.
                if let Said::Trouble(trouble) = &said {
                    failed = Err(anyhow::anyhow!("{trouble}"));
                }
                say(json, &said);
            })
            .await?;
        return failed;
    }
    tower.run(|said| say(json, &said)).await;
    Ok(())
}

fn say(json: bool, said: &Said) {
    let text = match said {
        Said::Brought { message, why, outcome } => {
            let brought = Brought::new(message, *why, outcome);
            match &brought.refusal {
                _ if json => serde_json::to_string(&brought).unwrap_or_default(),
                None => format!("{message}: {}", brought.why),
                Some(refusal) => format!("{message}: {}, but {refusal}", brought.why),
            }
        }
        // What is no call goes to the log, so that a program reads calls only.
        Said::Guards { user, channels, updates, shortest_window } => {
            let again = shortest_window
                .map_or(String::new(), |window| format!("; it must look again every {} s", window / 1_000));
            eprintln!("guarding {channels} channels of {} with {updates} signed states{again}", address(user));
            return;
        }
        Said::Purse(balance) => {
            let enough = if *balance < ENOUGH {
                format!("; send it some: {} are enough", units(ENOUGH as i128))
            } else {
                String::new()
            };
            eprintln!("the purse has {} UNIT{enough}", units(*balance as i128));
            return;
        }
        Said::Trouble(trouble) => {
            eprintln!("warning: {trouble}");
            return;
        }
        _ => return,
    };
    // A reader that has gone away does not stop the watching.
    let _ = print_line(&text);
}
