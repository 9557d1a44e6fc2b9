//! The command `braid`. Each of its commands has a file.

mod account;
mod client;
mod coordinator;
mod daemon;
mod demo;
mod deploy;
mod dispute;
mod exit;
mod info;
mod options;
mod output;
mod party;
mod settle;
mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Payment channels for ink! contracts.
#[derive(Parser)]
#[command(version, about, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a user's agent: its channels, over sockets and against a node, with an HTTP API for the commands below.
    Party(party::Options),
    /// Runs a coordinator: leads groups, as many as come. Needs no funds.
    Coordinator(coordinator::Options),
    /// Opens a channel with a peer.
    Open(client::open::Options),
    /// Lists channels, or peers.
    List(client::list::Options),
    /// Pays over a channel, or along a path of channels.
    Pay(client::pay::Options),
    /// Shows what others ask of the party.
    Requests(client::requests::Options),
    /// Does what others ask.
    Accept(client::answer::Options),
    /// Does not do what others ask.
    Reject(client::answer::Options),
    /// Forms, lists, pays in, and closes groups of channels that are moved together.
    #[command(subcommand)]
    Group(client::group::Options),
    /// Lets a group's coordinator, or a user, move funds without asking again.
    Budget(client::budget::Options),
    /// Closes a channel and pays it out.
    Close(client::close::Options),
    /// Says what the account has, and where.
    Balance(client::balance::Options),
    /// Puts funds of the account into its ledger in the contract.
    Deposit(client::deposit::Options),
    /// Takes funds out of the ledger, or out of a channel.
    Withdraw(client::withdraw::Options),
    /// Shows payments that are decided.
    History(client::history::Options),
    /// Connects to a peer.
    Connect(client::connect::Options),
    /// Stops a running daemon.
    Stop(client::stop::Options),
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
    let command = Cli::parse().command;
    // The daemons' configurations say what they log.
    if !matches!(command, Command::Party(_) | Command::Coordinator(_)) {
        let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN);
        log.without_time().with_target(false).init();
    }
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
            ExitCode::from(exit::code(&error))
        }
    }
}

async fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Party(options) => party::run(options).await,
        Command::Coordinator(options) => coordinator::run(options).await,
        Command::Open(options) => client::open::run(options),
        Command::List(options) => client::list::run(options),
        Command::Pay(options) => client::pay::run(options),
        Command::Requests(options) => client::requests::run(options),
        Command::Accept(options) => client::answer::run(options, true),
        Command::Reject(options) => client::answer::run(options, false),
        Command::Group(options) => client::group::run(options),
        Command::Budget(options) => client::budget::run(options),
        Command::Close(options) => client::close::run(options),
        Command::Balance(options) => client::balance::run(options),
        Command::Deposit(options) => client::deposit::run(options),
        Command::Withdraw(options) => client::withdraw::run(options),
        Command::History(options) => client::history::run(options),
        Command::Connect(options) => client::connect::run(options),
        Command::Stop(options) => client::stop::run(options),
        Command::Demo(options) => demo::run(options).await,
        Command::Deploy(options) => deploy::run(options).await,
        Command::Info(options) => info::run(options).await,
        Command::Account(options) => account::run(options).await,
        Command::Dispute(options) => dispute::run(options).await,
        Command::Settle(options) => settle::run(options).await,
        Command::Watch(options) => watch::run(options).await,
    }
}
