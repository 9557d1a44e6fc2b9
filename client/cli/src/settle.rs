//! `braid settle`: finishes disputes by hand.

use crate::{
    options::{ChannelOptions, DeploymentOptions},
    output::{units, CallCost},
};
use anyhow::Result;
use chain::{contract::Event, keys::Keys, Chain};
use engine::Call;
use protocol::abi::{GetTpc, SettleChannels};

/// What `braid settle` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    at: DeploymentOptions,
    #[command(flatten)]
    of: ChannelOptions,
    /// Wait for the deadline instead of failing before it.
    #[arg(long)]
    wait: bool,
    /// Who pays. Owners may settle after the deadline, anyone else one window later.
    #[arg(long, default_value = "//Alice")]
    suri: String,
}

/// Settles what is due.
pub async fn run(options: &Options) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (mut chain, contract) = options.at.open().await?;
    let channels = &options.of.tpc;
    let mut last = None;
    for id in channels {
        let Some(tpc) = contract.query(&mut chain, &GetTpc { id: *id }).await? else { continue };
        let owns = tpc.owners.parties.contains(&keys.account());
        let wait = if owns { 0 } else { tpc.owners.window };
        last = last.max(tpc.dispute.map(|dispute| dispute.deadline.saturating_add(wait)));
    }
    // The trial sees the last block's clock, and a node that seals on demand may not have had one for long.
    if let Some(deadline) = last.filter(|deadline| options.wait || *deadline < chain.now()) {
        chain.wait_until(&keys, deadline).await?;
    }
    let settle = Call::from(SettleChannels { channels: channels.clone() });
    let called = contract.submit(&mut chain, &keys, 0, 0, &settle).await?;
    let call = CallCost::new(settle.name(), &called.receipt);
    let settled: Vec<_> = called
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Settled(event) => Some(&event.channels),
            _ => None,
        })
        .flatten()
        .collect();
    let mut rows = vec![("Channels settled", format!("{} of {}", settled.len(), channels.len()))];
    for channel in settled {
        let [first, second] = channel.balances;
        rows.push(("Channel", channel.tpc.to_string()));
        rows.push(("Paid to its lower owner (UNIT)", units(first as i128)));
        rows.push(("Paid to its higher owner (UNIT)", units(second as i128)));
    }
    rows.push(("Fee (UNIT)", units(call.fee_planck as i128)));
    Ok(options.at.on.print(&call, &rows)?)
}
