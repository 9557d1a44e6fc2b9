//! What a daemon says when it has started, and what to type next.

use super::{config::Config, folder, Role};
use crate::output::{print_line, units};
use anyhow::Result;
use braid::{party::Party, transport::PeerAddress};
use chain::{contract::Contract, keys::address, Chain};
use protocol::{abi::LedgerBalance, Asset};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
};

/// An address that nobody has (RFC 5737); nothing is sent to it.
const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Says that a key has been made.
///
/// # Errors
/// If it cannot be written.
pub fn say_new_key(folder: &Path) -> Result<()> {
    let path = folder.join(folder::KEY);
    print_line(&format!(
        "A key has been made: 12 words in {}.\nWrite them down on paper: whoever has them has the account, and nobody can restore them.\n",
        path.display()
    ))?;
    Ok(())
}

/// A daemon that has started.
pub struct Banner<'a> {
    /// What it does.
    pub role: Role,
    /// Its folder.
    pub folder: &'a Path,
    /// What it goes by.
    pub config: &'a Config,
    /// Where its API listens.
    pub api: SocketAddr,
    /// The account at work.
    pub party: &'a Party,
}

impl Banner<'_> {
    /// Prints it.
    ///
    /// # Errors
    /// If the node does not answer, or it cannot be written.
    pub async fn print(&self, chain: &mut impl Chain, contract: &Contract) -> Result<()> {
        let Self { role, folder, config, api, party } = self;
        let account = party.account();
        let purse = chain.free_balance(account).await?;
        let ledger = contract.query(chain, &LedgerBalance { account, asset: Asset::Native }).await?;
        let reached = self.address().map_or_else(|| "nowhere: it does not listen".to_owned(), |at| at.to_string());
        let rows = [
            ("Account", address(&account)),
            ("Address", reached.clone()),
            ("Node", config.node.clone()),
            ("Contract", address(&contract.account)),
            ("API", format!("http://{api}/v1")),
            ("Folder", folder.display().to_string()),
            ("Purse", format!("{} UNIT", units(i128::try_from(purse).unwrap_or(i128::MAX)))),
            ("Ledger", format!("{} UNIT", units(i128::try_from(ledger).unwrap_or(i128::MAX)))),
        ];
        for (name, value) in rows {
            print_line(&format!("{name:<9}{value}"))?;
        }
        print_line(&format!("\n{}", next(*role, purse == 0, folder, &reached)))?;
        Ok(())
    }

    /// Where others reach it.
    fn address(&self) -> Option<PeerAddress> {
        let listens = self.party.address()?;
        let ip: Option<IpAddr> = listens.host.parse().ok();
        let host = match (self.config.host.as_str(), ip) {
            ("", Some(ip)) if ip.is_unspecified() => own_ip().to_string(),
            ("", _) => listens.host,
            (host, _) => host.to_owned(),
        };
        Some(PeerAddress { host, ..listens })
    }
}

/// This machine's address in its own network.
fn own_ip() -> IpAddr {
    let towards = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(SOMEWHERE)?;
        socket.local_addr()
    };
    towards().map_or(Ipv4Addr::LOCALHOST.into(), |address: SocketAddr| address.ip())
}

fn next(role: Role, poor: bool, folder: &Path, reached: &str) -> String {
    let own = folder::default_folder(Role::Party.name());
    let named = if folder == own { String::new() } else { format!(" --folder {}", folder.display()) };
    match role {
        Role::Party if poor => "Next: send this account some UNIT for its channels and their fees.".to_owned(),
        Role::Party => format!(
            "Next, in another terminal:\n  braid open{named} PEER --own 10    a channel with 10 UNIT; PEER is account@host:port\n  braid requests{named}              what others ask of you\n  braid balance{named}"
        ),
        Role::Coordinator => format!(
            "Next, a party with channels forms a group that this account leads:\n  braid group create CHANNEL CHANNEL --coordinator \\\n    {reached}"
        ),
    }
}
