//! `braid dispute`, `braid settle` and `braid watch`: what one user can do alone.

use crate::{
    report::Call,
    show::{say, units, OnNode},
};
use anyhow::{bail, ensure, Result};
use braid::{
    watch::{load_states, Report as Watched, Watch},
    watcher::Why,
};
use chain::{
    contract::{Bundle, Contract, Event},
    keys::{bytes32, parse_address, Keys},
    node::NodeChain,
    submission::Submission,
    Chain,
};
use protocol::{
    abi::{DisputeChannels, GetTpc, SettleChannels},
    Resolution, Timestamp, TpcId,
};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// How often the chain is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// Which deployment, and who pays.
#[derive(clap::Args)]
struct At {
    #[command(flatten)]
    on: OnNode,
    /// The deployment.
    #[arg(long, value_name = "ADDRESS")]
    contract: String,
}

impl At {
    fn open(&self) -> Result<(NodeChain, Contract)> {
        let mut chain = NodeChain::connect(&self.on.node)?;
        let contract = Contract::open(&mut chain, parse_address(&self.contract)?, &Bundle::built_in()?)?;
        Ok((chain, contract))
    }
}

/// Which channels.
#[derive(clap::Args)]
struct Of {
    /// A channel. Can be repeated.
    #[arg(long, value_name = "ID", value_parser = id, required = true, num_args = 1..)]
    tpc: Vec<TpcId>,
}

/// What `braid dispute` is asked for.
#[derive(clap::Args)]
pub struct Dispute {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    of: Of,
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

/// What `braid settle` is asked for.
#[derive(clap::Args)]
pub struct Settle {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    of: Of,
    /// Wait for the deadline instead of failing before it.
    #[arg(long)]
    wait: bool,
    /// Who pays. Owners may settle after the deadline, anyone else one window later.
    #[arg(long, default_value = "//Alice")]
    suri: String,
}

/// What `braid watch` is asked for.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    at: At,
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

#[derive(Serialize)]
struct Started {
    channels: usize,
    deadline_ms: Timestamp,
    brought: Vec<Line>,
    call: Call,
}

/// What a watcher has done.
#[derive(Serialize)]
struct Line {
    message: &'static str,
    why: &'static str,
    call: Option<Call>,
    refusal: Option<String>,
}

impl From<&Watched> for Line {
    fn from(report: &Watched) -> Self {
        let why = match report.why {
            Why::Answer => "newer states",
            Why::Settle => "the deadline has passed",
        };
        let (call, refusal) = match &report.outcome {
            Ok(receipt) => (Some(Call::new(report.message, receipt)), None),
            Err(refusal) => (None, Some(refusal.to_string())),
        };
        Self { message: report.message, why, call, refusal }
    }
}

/// Disputes and says until when it can be answered.
pub fn dispute(options: &Dispute) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (mut chain, contract) = options.at.open()?;
    let channels = &options.of.tpc;
    // Before the clocks start, so that nobody has to answer what its own owner knows better.
    let mut brought = vec![];
    if let Some(path) = &options.states {
        let evidence = load_states(path)?;
        let mut watch = Watch::start(contract.clone(), &mut chain, &evidence)?;
        channels.iter().for_each(|tpc| watch.bring(*tpc));
        brought.extend(watch.look(&mut chain, &keys, &evidence)?.iter().map(Line::from));
    }
    let then = if options.renew { Resolution::Renew } else { Resolution::Settle };
    let dispute = Submission::DisputeChannels(DisputeChannels { channels: channels.clone(), then });
    let called = contract.submit(&mut chain, &keys, 0, &dispute)?;
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
    let call = Call::new(dispute.message(), &called.receipt);
    let report = Started { channels: disputed.len(), deadline_ms, brought, call };
    let newer = report.brought.iter().filter(|line| line.refusal.is_none()).count();
    let rows = [
        ("Channels disputed", format!("{} of {}", report.channels, channels.len())),
        ("Answers are taken until (ms)", report.deadline_ms.to_string()),
        ("Newer states brought first by", format!("{newer} calls")),
        ("Fee (UNIT)", units(report.call.fee_planck as i128)),
    ];
    Ok(options.at.on.print(&report, &rows)?)
}

/// Settles what is due.
pub fn settle(options: &Settle) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (mut chain, contract) = options.at.open()?;
    let channels = &options.of.tpc;
    let mut last = None;
    for id in channels {
        let Some(tpc) = contract.query(&mut chain, &GetTpc { id: *id })? else { continue };
        let owns = tpc.owners.parties.contains(&keys.account());
        let wait = if owns { 0 } else { tpc.owners.window };
        last = last.max(tpc.dispute.map(|dispute| dispute.deadline.saturating_add(wait)));
    }
    // The trial sees the last block's clock, and a node that seals on demand may not have had one for long.
    if let Some(deadline) = last.filter(|deadline| options.wait || *deadline < chain.now()) {
        chain.wait_until(&keys, deadline)?;
    }
    let settle = Submission::SettleChannels(SettleChannels { channels: channels.clone() });
    let called = contract.submit(&mut chain, &keys, 0, &settle)?;
    let call = Call::new(settle.message(), &called.receipt);
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

/// Watches and says what it does, a line each.
pub fn watch(options: &Options) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (mut chain, contract) = options.at.open()?;
    let mut evidence = load_states(&options.states)?;
    ensure!(!evidence.channels.is_empty(), "{} has no channels to watch", options.states.display());
    let mut watch = Watch::start(contract, &mut chain, &evidence)?;
    loop {
        // A deadline that the wall clock has passed needs a block that says so.
        if let Some(deadline) = watch.next_deadline(&evidence, &keys).filter(|deadline| *deadline < chain.now()) {
            chain.wait_until(&keys, deadline)?;
        }
        for report in watch.look(&mut chain, &keys, &evidence)? {
            let line = Line::from(&report);
            let text = match (&line.refusal, options.at.on.json) {
                (_, true) => serde_json::to_string(&line)?,
                (None, _) => format!("{}: {}", line.message, line.why),
                (Some(refusal), _) => format!("{}: {}, but {refusal}", line.message, line.why),
            };
            say(&text)?;
        }
        if options.once {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
        evidence = load_states(&options.states)?;
    }
}

/// Reads 32 bytes in hexadecimal.
fn id(text: &str) -> Result<TpcId, String> {
    bytes32(text.trim_start_matches("0x"))
        .map(TpcId)
        .ok_or_else(|| "it is no id: give 32 bytes in hexadecimal (0x…)".to_owned())
}
