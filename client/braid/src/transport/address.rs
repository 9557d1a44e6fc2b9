//! Where a peer is reached.

use chain::keys::{address, parse_address, BadAddress};
use protocol::AccountId;
use std::{fmt, str::FromStr};

/// A peer's account and where it listens, written `account@host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Who must answer there.
    pub account: AccountId,
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// The longest name of a host (RFC 1035).
const MAX_HOST: usize = 253;

/// Text that is no [`PeerAddress`].
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // Each variant's message says what it means.
pub enum BadPeerAddress {
    #[error("`{0}` names no account: write account@host:port")]
    NoAccount(String),
    #[error(transparent)]
    Account(#[from] BadAddress),
    #[error("`{0}` names no host: write account@host:port, an IPv6 address in brackets")]
    Host(String),
    #[error("`{0}` names no port: write account@host:port with a port from 1 to 65535")]
    Port(String),
}

impl FromStr for PeerAddress {
    type Err = BadPeerAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (account, place) = text.split_once('@').ok_or_else(|| BadPeerAddress::NoAccount(text.to_owned()))?;
        let account = parse_address(account)?;
        let (host, port) = place.rsplit_once(':').ok_or_else(|| BadPeerAddress::Port(text.to_owned()))?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| BadPeerAddress::Port(text.to_owned()))?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let good = match inner {
            Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                !host.is_empty() && host.len() <= MAX_HOST && host.chars().all(allowed)
            }
        };
        if !good {
            return Err(BadPeerAddress::Host(text.to_owned()));
        }
        Ok(Self { account, host: inner.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, host, port } = self;
        if host.contains(':') {
            write!(f, "{}@[{host}]:{port}", address(account))
        } else {
            write!(f, "{}@{host}:{port}", address(account))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        for place in ["localhost:9000", "10.0.0.1:1", "[::1]:65535", "a-b.example.org:80"] {
            let text = format!("{alice}@{place}");
            assert_eq!(text.parse::<PeerAddress>().unwrap().to_string(), text);
        }
        for bad in ["", "@", "localhost:1", "x@localhost:1"] {
            assert!(bad.parse::<PeerAddress>().is_err(), "{bad}");
        }
        for bad in ["", ":", "host", "host:", "host:0", "host:65536", "::1:5", "[::1:5", "[x]:5", "a b:5", "a@b:5"] {
            assert!(format!("{alice}@{bad}").parse::<PeerAddress>().is_err(), "{bad}");
        }
    }
}
