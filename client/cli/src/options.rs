//! The options that several commands take.

use crate::output::{list, print_line};
use anyhow::Result;
use chain::{
    contract::{Bundle, Contract},
    keys::{bytes32, parse_address},
    node::{self, NodeChain},
};
use protocol::TpcId;
use serde::Serialize;
use std::io;

/// Which node, and how the answer is printed.
#[derive(clap::Args)]
pub struct NodeOptions {
    /// The node.
    #[arg(long, value_name = "URL", default_value = node::LOCAL)]
    pub node: String,
    /// Print one JSON document, with amounts in planck, instead of a table.
    #[arg(long)]
    pub json: bool,
}

impl NodeOptions {
    /// Prints the answer as JSON, or what is in it as a table of two columns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn print(&self, answer: &impl Serialize, rows: &[(&str, String)]) -> io::Result<()> {
        match self.json {
            true => print_line(&serde_json::to_string_pretty(answer)?),
            false => print_line(&list(rows).to_string()),
        }
    }
}

/// Which deployment, on which node.
#[derive(clap::Args)]
pub struct DeploymentOptions {
    #[command(flatten)]
    pub on: NodeOptions,
    /// The deployment.
    #[arg(long, value_name = "ADDRESS")]
    contract: String,
}

impl DeploymentOptions {
    /// Connects to the node, and checks the deployment.
    ///
    /// # Errors
    /// If there is no such node or no such deployment.
    pub async fn open(&self) -> Result<(NodeChain, Contract)> {
        let mut chain = NodeChain::connect(&self.on.node).await?;
        let contract = Contract::open(&mut chain, parse_address(&self.contract)?, &Bundle::built_in()?).await?;
        Ok((chain, contract))
    }
}

/// Which channels.
#[derive(clap::Args)]
pub struct ChannelOptions {
    /// A channel. Can be repeated.
    #[arg(long, value_name = "ID", value_parser = parse_id, required = true, num_args = 1..)]
    pub tpc: Vec<TpcId>,
}

fn parse_id(text: &str) -> Result<TpcId, String> {
    bytes32(text.trim_start_matches("0x"))
        .map(TpcId)
        .ok_or_else(|| "it is no id: give 32 bytes in hexadecimal (0x…)".to_owned())
}
