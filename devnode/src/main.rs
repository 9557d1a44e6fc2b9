//! A throwaway development chain: the unmodified runtime of contracts-node 0.42.0, a block for every transaction, and
//! the RPC that its clients know. Nothing is stored, and nothing is networked.

mod chain;
mod node;
mod rpc;
mod runtime_api;

use clap::Parser;
use std::process::ExitCode;
use tokio::signal::unix::{signal, SignalKind};

/// Any error: the node can but report it and stop.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// The runtime of substrate-contracts-node 0.42.0, sealing a block for every transaction.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Accepted for compatibility: the chain is always a development chain
    #[arg(long)]
    dev: bool,
    /// Accepted for compatibility: nothing is ever stored
    #[arg(long)]
    tmp: bool,
    /// Port of the RPC on 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 9944)]
    rpc_port: u16,
    /// What is logged, e.g. error,runtime::contracts=debug
    #[arg(short, long, value_name = "FILTER", default_value = "info")]
    log: String,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    // The RPC's address is told whatever is logged, for who asked for any free port; that the cache has no folder on
    // the first start, and is given one, is of no interest.
    let filter = format!("sc_rpc_server=info,wasmtime_cache=off,{}", args.log);
    sc_tracing::logging::LoggerBuilder::new(filter).init()?;
    let tokio = tokio::runtime::Runtime::new()?;
    tokio.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut tasks = node::start(args.rpc_port).await?;
        tokio::select! {
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            stopped = tasks.future() => Ok(stopped?),
        }
    })
}
