//! `braid dispute`, `braid settle` and `braid watch`: what one user can do alone.

use crate::{
    report::Call,
    show::{say, units, OnNode},
};
use anyhow::{bail, ensure, Result};
use braid::{
    chain::{node::NodeChain, Chain},
    contract::{Bundle, Contract, Event},
    engine::step::Submission,
    keys::{bytes32, parse_address, Keys},
    watch::{load_states, Report as Watched, Watch},
    watcher::Why,
};
use protocol::{
    abi::{DisputeMpc, DisputeTpc, GetMpc, GetTpc, SettleMpc, SettleTpc},
    MpcId, Timestamp, TpcId,
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

/// What is disputed or settled.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// A two-party channel.
    #[arg(long, value_name = "ID", value_parser = id)]
    tpc: Option<[u8; 32]>,
    /// A multi-party channel.
    #[arg(long, value_name = "ID", value_parser = id)]
    mpc: Option<[u8; 32]>,
}

/// What `braid dispute` is asked for.
#[derive(clap::Args)]
pub struct Dispute {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    of: Of,
    /// A channel of yours in the multi-party channel, which shows that you are a member.
    #[arg(long, value_name = "ID", value_parser = id, required_unless_present = "tpc")]
    member: Option<[u8; 32]>,
    /// A channel of yours in the multi-party channel that is to be paid out after the same deadline. Can be repeated.
    #[arg(long, value_name = "ID", value_parser = id)]
    exit: Vec<[u8; 32]>,
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
    /// Who pays. Anyone may settle.
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
    /// Who pays the fees; it need not own a channel.
    #[arg(long, default_value = "//Alice")]
    suri: String,
    /// Look once instead of until interrupted.
    #[arg(long)]
    once: bool,
}

#[derive(Serialize)]
struct Started {
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
    let dispute = match (options.of.tpc, options.of.mpc, options.member) {
        (Some(tpc), ..) => Submission::DisputeTpc(DisputeTpc { id: TpcId(tpc) }),
        (_, Some(mpc), Some(member)) => {
            let exits = options.exit.iter().map(|exit| TpcId(*exit)).collect();
            Submission::DisputeMpc(DisputeMpc { id: MpcId(mpc), member: TpcId(member), exits })
        }
        _ => bail!("name a --tpc, or an --mpc and a --member channel of yours in it"),
    };
    // Before the clock starts, so that nobody has to answer what its own owner knows better.
    let mut brought = vec![];
    if let Some(path) = &options.states {
        let evidence = load_states(path)?;
        let mut watch = Watch::start(contract.clone(), &mut chain, &evidence)?;
        match &dispute {
            Submission::DisputeTpc(DisputeTpc { id }) => watch.bring_tpc(*id),
            Submission::DisputeMpc(DisputeMpc { id, .. }) => watch.bring_mpc(*id),
            _ => {}
        }
        brought.extend(watch.look(&mut chain, &keys, &evidence)?.iter().map(Line::from));
    }
    let called = contract.submit(&mut chain, &keys, &dispute)?;
    let deadline_ms = called.events.iter().find_map(|event| match event {
        Event::TpcDisputed(event) => Some(event.deadline),
        Event::MpcDisputed(event) => Some(event.deadline),
        _ => None,
    });
    let Some(deadline_ms) = deadline_ms else { bail!("the contract did not say until when") };
    let report = Started { deadline_ms, brought, call: Call::new(dispute.message(), &called.receipt) };
    let newer = report.brought.iter().filter(|line| line.refusal.is_none()).count();
    let rows = [
        ("Answers are taken until (ms)", report.deadline_ms.to_string()),
        ("Newer states brought first", newer.to_string()),
        ("Fee (UNIT)", units(report.call.fee_planck as i128)),
    ];
    Ok(options.at.on.print(&report, &rows)?)
}

/// Settles what is due.
pub fn settle(options: &Settle) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (mut chain, contract) = options.at.open()?;
    let (submission, deadline) = match (options.of.tpc.map(TpcId), options.of.mpc.map(MpcId)) {
        (Some(id), _) => {
            let deadline = contract.query(&mut chain, &GetTpc { id })?.and_then(|tpc| tpc.deadline);
            (Submission::SettleTpc(SettleTpc { id }), deadline)
        }
        (_, Some(id)) => {
            let deadline = contract.query(&mut chain, &GetMpc { id })?.and_then(|mpc| mpc.deadline);
            (Submission::SettleMpc(SettleMpc { id }), deadline)
        }
        _ => bail!("name a --tpc or an --mpc"),
    };
    // The trial sees the last block's clock, and a node that seals on demand may not have had one for long.
    if let Some(deadline) = deadline.filter(|deadline| options.wait || *deadline < chain.now()) {
        chain.wait_until(&keys, deadline)?;
    }
    let called = contract.submit(&mut chain, &keys, &submission)?;
    let call = Call::new(submission.message(), &called.receipt);
    let paid = called.events.iter().find_map(|event| match event {
        Event::TpcSettled(event) => Some(event.balances),
        _ => None,
    });
    let mut rows = vec![("Settled by", submission.message().to_owned())];
    if let Some([first, second]) = paid {
        rows.push(("Paid to the lower owner (UNIT)", units(first as i128)));
        rows.push(("Paid to the higher owner (UNIT)", units(second as i128)));
    }
    rows.push(("Fee (UNIT)", units(call.fee_planck as i128)));
    Ok(options.at.on.print(&call, &rows)?)
}

/// Watches and says what it does, a line each.
pub fn watch(options: &Options) -> Result<()> {
    let keys = Keys::from_suri(&options.suri)?;
    let (mut chain, contract) = options.at.open()?;
    let mut evidence = load_states(&options.states)?;
    ensure!(!evidence.tpcs.is_empty(), "{} has no channels to watch", options.states.display());
    let mut watch = Watch::start(contract, &mut chain, &evidence)?;
    loop {
        // A deadline that the wall clock has passed needs a block that says so.
        if let Some(deadline) = watch.next_deadline().filter(|deadline| *deadline < chain.now()) {
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
fn id(text: &str) -> Result<[u8; 32], String> {
    bytes32(text.trim_start_matches("0x")).ok_or_else(|| "it is no id: give 32 bytes in hexadecimal (0x…)".to_owned())
}
