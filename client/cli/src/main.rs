//! The command `braid`. Each of its commands has a file.

mod account;
mod demo;
mod deploy;
mod dispute;
mod info;
mod options;
mod output;
mod settle;
mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Payment channels for ink! contracts.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays a game among users who braid their channels, on a chain in this process or on a node, and shows the costs.
    Demo(demo::Options),
    /// Puts the contract on a node.
    Deploy(deploy::Options),
    /// Says what a node runs, and checks a deployment.
    Info(info::Options),
    /// Shows what an account holds, on a node and in a deployment.
    Account(account::Options),
    /// Starts the clock of channels whose other owners do not answer.
    Dispute(dispute::Options),
    /// Finishes disputes after their deadlines.
    Settle(settle::Options),
    /// Answers disputes with a user's newest signed states, and settles what is due. Needs no key of the user.
    Watch(watch::Options),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .with_target(false)
        .init();
    let command = Cli::parse().command;
    // A worker beside this thread, for the demonstration waits for the chain on its thread.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(&command)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(options) => demo::run(options).await,
        Command::Deploy(options) => deploy::run(options).await,
        Command::Info(options) => info::run(options).await,
        Command::Account(options) => account::run(options).await,
        Command::Dispute(options) => dispute::run(options).await,
        Command::Settle(options) => settle::run(options).await,
        Command::Watch(options) => watch::run(options).await,
    }
}
