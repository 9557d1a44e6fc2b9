//! The daemons: a party's agent and a coordinator.

mod banner;
pub mod config;
pub mod folder;
mod key;
mod log;
mod systemd;

pub use config::BadConfig;
pub use key::BadKey;

use anyhow::{Context, Result};
use banner::Banner;
use braid::{
    http::Api,
    party::{Party, StopReason},
    transport::PeerAddress,
};
use chain::{
    contract::{Bundle, Contract},
    keys::parse_address,
    node::NodeChain,
};
use config::Config;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{signal, SignalKind},
    time::timeout,
};

/// How long an ending party may take to make durable what has come.
const LAST_COMMIT: Duration = Duration::from_secs(10);

/// What a daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A user's agent.
    Party,
    /// It leads groups.
    Coordinator,
}

impl Role {
    /// What the command, and its folder, is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Party => "party",
            Self::Coordinator => "coordinator",
        }
    }

    /// The ports for peers and for the API.
    fn ports(self) -> (u16, u16) {
        match self {
            Self::Party => (9750, 9751),
            Self::Coordinator => (9760, 9761),
        }
    }
}

/// What a daemon is asked for. At its first start, what is said here is written into its `config.toml`.
#[derive(clap::Args)]
pub struct DaemonOptions {
    /// Its folder: configuration, key, token and store. [default: $BRAID_FOLDER, or the user's folder for data]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The node.
    #[arg(long, value_name = "URL")]
    node: Option<String>,
    /// The contract.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    contract: Option<String>,
    /// Where to listen for peers.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// The name or address by which peers reach this machine.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Where the HTTP API listens, on this machine only.
    #[arg(long, value_name = "HOST:PORT")]
    api: Option<SocketAddr>,
    /// Keep a connection to this peer. Can be repeated.
    #[arg(long, value_name = "ACCOUNT@HOST:PORT")]
    peer: Vec<PeerAddress>,
    /// Reach peers that there is no connection to through this one.
    #[arg(long, value_name = "ACCOUNT@HOST:PORT")]
    relay: Option<PeerAddress>,
    /// Use a development key, which anybody can use, instead of the folder's: //Alice, //Bob, …
    #[arg(long)]
    suri: Option<String>,
}

fn address(text: &str) -> Result<String, String> {
    parse_address(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl DaemonOptions {
    fn apply(&self, config: &mut Config) {
        let Self { node, contract, listen, host, api, peer, relay, .. } = self;
        config.node = node.clone().unwrap_or_else(|| config.node.clone());
        config.contract = contract.clone().unwrap_or_else(|| config.contract.clone());
        config.listen = listen.or(config.listen);
        config.host = host.clone().unwrap_or_else(|| config.host.clone());
        config.api = api.or(config.api);
        config.relay = relay.as_ref().map_or_else(|| config.relay.clone(), ToString::to_string);
        for peer in peer.iter().map(ToString::to_string) {
            if !config.peers.contains(&peer) {
                config.peers.push(peer);
            }
        }
    }
}

/// Runs a daemon until it is told to stop.
pub async fn run(options: &DaemonOptions, role: Role) -> Result<()> {
    // A development key that is refused leaves no folder behind.
    let development = options.suri.as_deref().map(key::development).transpose()?;
    let folder = options.folder.clone().unwrap_or_else(|| folder::default_folder(role.name()));
    folder::make(&folder)?;
    let (mut config, _) = Config::load(&folder, role, |config| options.apply(config))?;
    options.apply(&mut config);
    log::start(&config.log);
    let (keys, new_key) = match development {
        Some(keys) => (keys, false),
        None => {
            let found = key::in_folder(&folder)?;
            (found.keys, found.new)
        }
    };
    if new_key {
        banner::say_new_key(&folder)?;
    }
    let address = config.contract(&folder)?;
    let token = folder::token(&folder)?;
    let mut chain = NodeChain::connect(&config.node).await?;
    let contract = Contract::open(&mut chain, address, &Bundle::built_in()?).await?;
    let api_address = config.api(role);
    if !api_address.ip().is_loopback() {
        let what = format!("the API would listen at {api_address}, for others too: give an address of 127.0.0.1");
        return Err(BadConfig::new(what).into());
    }
    let listener = TcpListener::bind(api_address).await.with_context(|| {
        format!("the API cannot listen at {api_address}: choose another address with --api, or stop what listens there")
    })?;

    let mut builder = Party::builder(keys).folder(folder.join(folder::STORE)).listen(config.listen(role));
    builder = builder.policy(config.policy(role));
    for peer in config.peers.iter().filter_map(|peer| peer.parse().ok()) {
        builder = builder.peers([peer]);
    }
    let party = builder.start(chain.clone(), contract.clone()).await?;
    if let Ok(relay) = config.relay.parse::<PeerAddress>() {
        party.transport().set_relay(relay.account);
        party.connect(relay)?;
    }
    let api = Api::new(party.clone(), token);
    let api_address = listener.local_addr()?;
    folder::write_private(&folder.join(folder::API), &format!("{api_address}\n"))?;
    let serving = tokio::spawn({
        let api = api.clone();
        async move { api.serve(listener).await }
    });
    let banner = Banner { role, folder: &folder, config: &config, api: api_address, party: &party };
    banner.print(&mut chain, &contract).await?;
    systemd::say("READY=1");
    tracing::info!(account = %chain::keys::address(&party.account()), "ready");

    let why = wait(&party, &api).await?;
    systemd::say("STOPPING=1");
    tracing::info!("stopping: {why}");
    // Whoever looks for it finds that it does not run. If the file stays, so does the wrong impression that it does.
    let _ = std::fs::remove_file(folder.join(folder::API));
    api.stop();
    let stopped = timeout(LAST_COMMIT, party.stop()).await;
    let served = serving.await;
    stopped.context("the store did not become quiet: what was not durable is said by nobody")?;
    served.context("the API ended badly")?.context("the API ended badly")?;
    match &*party.ended().await {
        StopReason::Store(error) => Err(anyhow::anyhow!("the store failed, and the party has ended: {error}")),
        _ => Ok(()),
    }
}

/// Waits until there is a reason to stop.
async fn wait(party: &Party, api: &Api) -> Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = api.stopped() => "asked over the API",
        _ = party.ended() => "the party has ended",
    })
}
