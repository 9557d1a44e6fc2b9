//! `braid watch`: a watcher at work, in the user's place.

use crate::{
    options::DeploymentOptions,
    output::{print_line, CallCost},
};
use anyhow::{ensure, Result};
use braid::{
    watch::{load_states, Attempt, Watch},
    watcher::Why,
};
use chain::{keys::Keys, Chain};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// How often the chain is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// What `braid watch` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    at: DeploymentOptions,
    /// The user's signed states, as its party writes them; read again at every look.
    #[arg(long, value_name = "FILE")]
    states: PathBuf,
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

impl From<&Attempt> for Brought {
    fn from(attempt: &Attempt) -> Self {
        let why = match attempt.why {
            Why::Answer => "newer states",
            Why::Settle => "the deadline has passed",
        };
        let (call, refusal) = match &attempt.outcome {
            Ok(receipt) => (Some(CallCost::new(attempt.message, receipt)), None),
            Err(refusal) => (None, Some(refusal.to_string())),
        };
        Self { message: attempt.message, why, call, refusal }
    }
}

/// Watches and says what it does, a line each.
pub async fn run(options: &Options) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (mut chain, contract) = options.at.open().await?;
    let mut evidence = load_states(&options.states)?;
    ensure!(!evidence.channels.is_empty(), "{} has no channels to watch", options.states.display());
    let mut watch = Watch::start(contract, &mut chain, &evidence).await?;
    loop {
        // A deadline that the wall clock has passed needs a block that says so.
        if let Some(deadline) = watch.next_deadline(&evidence, &keys).filter(|deadline| *deadline < chain.now()) {
            chain.wait_until(&keys, deadline).await?;
        }
        for attempt in watch.look(&mut chain, &keys, &evidence).await? {
            let brought = Brought::from(&attempt);
            let text = match (&brought.refusal, options.at.on.json) {
                (_, true) => serde_json::to_string(&brought)?,
                (None, _) => format!("{}: {}", brought.message, brought.why),
                (Some(refusal), _) => format!("{}: {}, but {refusal}", brought.message, brought.why),
            };
            print_line(&text)?;
        }
        if options.once {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
        evidence = load_states(&options.states)?;
    }
}
