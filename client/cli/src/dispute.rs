//! `braid dispute`: starts the clock of channels whose other owners do not answer.

use crate::{
    options::{ChannelOptions, DeploymentOptions},
    output::{units, CallCost},
    watch::Brought,
};
use anyhow::{bail, ensure, Result};
use braid::{evidence, watchtower::Why};
use chain::{
    contract::{CallError, Event},
    keys::Keys,
};
use engine::Call;
use protocol::{abi::DisputeChannels, Error, Resolution, Timestamp};
use serde::Serialize;
use std::path::PathBuf;

/// What `braid dispute` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    at: DeploymentOptions,
    #[command(flatten)]
    of: ChannelOptions,
    /// Have the channels live on after their deadlines, instead of being settled: to free yourself of payments that somebody
    /// holds back.
    #[arg(long)]
    renew: bool,
    /// Your signed states: what is newer than the chain's is brought first.
    #[arg(long, value_name = "FILE")]
    states: Option<PathBuf>,
    /// An owner, who pays.
    #[arg(long, default_value = "//Alice")]
    suri: String,
}

#[derive(Serialize)]
struct Started {
    channels: usize,
    deadline_ms: Timestamp,
    brought: Vec<Brought>,
    call: CallCost,
}

/// Disputes and says until when it can be answered.
pub async fn run(options: &Options) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (mut chain, contract) = options.at.open().await?;
    let channels = &options.of.tpc;
    // Before the clocks start, so that nobody has to answer what its own owner knows better.
    let mut brought = vec![];
    if let Some(path) = &options.states {
        let states = evidence::load(path)?;
        // Otherwise the clock would start at the older state on chain.
        if let Some(unknown) = channels.iter().find(|tpc| !states.channels.contains_key(*tpc)) {
            bail!("{} has nothing of channel {unknown}: name the file that its owner's party writes", path.display());
        }
        let mut newest: Vec<_> = channels.iter().filter_map(|tpc| states.newest(tpc)).cloned().collect();
        newest.dedup();
        for call in Call::of_updates(newest) {
            let outcome = contract.submit(&mut chain, &keys, 0, 0, &call).await.map(|called| called.receipt);
            // That the contract has them already is as good.
            if let Err(error) = &outcome {
                ensure!(
                    matches!(error, CallError::Contract(Error::NothingNewer)),
                    "the newest states are not on chain, so nothing is disputed: {error}"
                );
            }
            brought.push(Brought::new(call.name(), Why::Answer, &outcome));
        }
    }
    let then = if options.renew { Resolution::Renew } else { Resolution::Settle };
    let dispute = Call::from(DisputeChannels { channels: channels.clone(), then });
    let called = contract.submit(&mut chain, &keys, 0, 0, &dispute).await?;
    let disputed: Vec<_> = called
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Disputed(event) => Some(&event.channels),
            _ => None,
        })
        .flatten()
        .collect();
    let Some(deadline_ms) = disputed.iter().map(|channel| channel.deadline).max() else {
        bail!("the contract did not say until when")
    };
    let call = CallCost::new(dispute.name(), &called.receipt);
    let started = Started { channels: disputed.len(), deadline_ms, brought, call };
    let newer = started.brought.iter().filter(|call| call.refusal.is_none()).count();
    let rows = [
        ("Channels disputed", format!("{} of {}", started.channels, channels.len())),
        ("Answers are taken until (ms)", started.deadline_ms.to_string()),
        ("Newer states brought first by", format!("{newer} calls")),
        ("Fee (UNIT)", units(started.call.fee_planck as i128)),
    ];
    Ok(options.at.on.print(&started, &rows)?)
}
