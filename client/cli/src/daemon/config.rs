//! A daemon's configuration: a file that is written with its defaults and comments at the first start.

use super::{folder, Role};
use anyhow::Result;
use braid::transport::{address::BadPeerAddress, PeerAddress};
use chain::{keys::parse_address, node};
use engine::Policy;
use protocol::AccountId;
use serde::{Deserialize, Deserializer, Serialize};
use std::{net::SocketAddr, path::Path};

/// What a daemon goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The node's URL.
    pub node: String,
    /// The contract's address, or nothing.
    #[serde(deserialize_with = "contract")]
    pub contract: String,
    /// Where peers are listened for, if not at the role's port.
    pub listen: Option<SocketAddr>,
    /// The name or the address by which peers reach this machine, or nothing.
    pub host: String,
    /// Where the API listens, if not at the role's port.
    pub api: Option<SocketAddr>,
    /// Whom to keep connections to, each `account@host:port`.
    #[serde(deserialize_with = "peers")]
    pub peers: Vec<String>,
    /// Through whom peers are reached that there is no connection to, `account@host:port`, or nothing.
    #[serde(deserialize_with = "relay")]
    pub relay: String,
    /// What others may do without asking.
    pub policy: Bounds,
    /// What is logged.
    pub log: Log,
}

/// What others may do without asking, and how long they are waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)] // They are `engine::Policy`'s, with their units.
pub struct Bounds {
    pub min_window_ms: u64,
    pub reaction_ms: u64,
    pub max_validity_ms: u64,
    pub agree: bool,
    pub enter_groups: bool,
    pub resend_after_ms: u64,
    pub reserve_for_ms: u64,
    pub free_after_ms: Option<u64>,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How much: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Level,
    /// As what: `text` or `json`.
    pub format: Format,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // They are `tracing`'s.
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// A JSON document a line, for programs.
    Json,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct BadConfig(String);

impl std::fmt::Display for BadConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadConfig {}

impl BadConfig {
    /// One that is wrong in this way.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

fn contract<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.is_empty() || parse_address(&text).is_ok() {
        true => Ok(text),
        false => {
            Err(serde::de::Error::custom(format!("`{text}` is no address of a contract: give an SS58 address (5…)")))
        }
    }
}

fn peers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let peers = Vec::<String>::deserialize(deserializer)?;
    let bad = peers.iter().find_map(|peer| peer.parse::<PeerAddress>().err());
    bad.map_or(Ok(peers), |error: BadPeerAddress| Err(serde::de::Error::custom(error)))
}

fn relay<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let relay = String::deserialize(deserializer)?;
    match relay.is_empty() {
        true => Ok(relay),
        false => relay.parse::<PeerAddress>().map(|_| relay).map_err(serde::de::Error::custom),
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: node::LOCAL.to_owned(),
            contract: String::new(),
            listen: None,
            host: String::new(),
            api: None,
            peers: vec![],
            relay: String::new(),
            policy: Bounds::default(),
            log: Log::default(),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            min_window_ms: policy.min_window,
            reaction_ms: policy.reaction,
            max_validity_ms: policy.max_validity,
            agree: policy.agree,
            enter_groups: policy.enter_groups,
            resend_after_ms: policy.resend_after,
            reserve_for_ms: policy.reserve_for,
            free_after_ms: policy.free_after,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, format: Format::Text }
    }
}

impl Config {
    /// Where peers are listened for.
    pub fn listen(&self, role: Role) -> SocketAddr {
        self.listen.unwrap_or_else(|| ([0, 0, 0, 0], role.ports().0).into())
    }

    /// Where the API listens.
    pub fn api(&self, role: Role) -> SocketAddr {
        self.api.unwrap_or_else(|| ([127, 0, 0, 1], role.ports().1).into())
    }

    /// The text of its file.
    pub fn text(&self, role: Role) -> String {
        let Self { node, contract, host, peers, relay, policy, log, .. } = self;
        let (listen, api) = (self.listen(role), self.api(role));
        let Bounds {
            min_window_ms,
            reaction_ms,
            max_validity_ms,
            agree,
            enter_groups,
            resend_after_ms,
            reserve_for_ms,
            free_after_ms,
        } = policy;
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let peers = peers.iter().map(|peer| quoted(peer)).collect::<Vec<_>>().join(", ");
        let free_after = match free_after_ms {
            Some(ms) => format!("free_after_ms = {ms}"),
            None => "# free_after_ms = 60000".to_owned(),
        };
        let (level, format) = (word(log.level), word(log.format));
        format!(
            "# How `braid {role}` runs. Options on its command line come before what is written here.

# The node.
node = {node}
# The contract: what `braid deploy` has printed, or what your peers use.
contract = {contract}

# Where peers are listened for. Port 0 is one that the system chooses.
listen = \"{listen}\"
# The name or address by which peers reach this machine. Empty: its address in its own network.
host = {host}
# Where the HTTP API listens: on this machine only.
api = \"{api}\"

# Whom to keep connections to, each as \"account@host:port\".
peers = [{peers}]
# Through whom peers are reached that there is no connection to, as \"account@host:port\": usually a coordinator.
relay = {relay}

# What others may do without asking, and how long they are waited for.
[policy]
# The shortest time in which disputes of a channel may be answered, in ms of block time.
min_window_ms = {min_window_ms}
# How much time before a deadline suffices to bring an update to the chain, in ms.
reaction_ms = {reaction_ms}
# How far ahead an agreement may stay good, in ms of block time.
max_validity_ms = {max_validity_ms}
# Whether agreements that take nothing from this party are signed without asking.
agree = {agree}
# Whether groups that others form are entered without asking.
enter_groups = {enter_groups}
# How long to wait for an answer before asking again, in ms.
resend_after_ms = {resend_after_ms}
# How long channels stay reserved for a round that was consented to, in ms.
reserve_for_ms = {reserve_for_ms}
# How long an update may hang before one of its channels is disputed to renew it, in ms. Not at all without it.
{free_after}

[log]
# error, warn, info, debug or trace.
level = {level}
# text or json.
format = {format}
",
            role = role.name(),
            node = quoted(node),
            contract = quoted(contract),
            host = quoted(host),
            relay = quoted(relay),
        )
    }

    /// Reads a file's text. What is not named has its default.
    ///
    /// # Errors
    /// [`BadConfig`], with the line.
    pub fn parse(text: &str, name: &str) -> Result<Self, BadConfig> {
        let bad = |error: toml::de::Error| {
            let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            let place = line.map_or(String::new(), |line| format!(" line {line}:"));
            BadConfig(format!("{name}:{place} {}", error.message().trim_end()))
        };
        toml::from_str(text).map_err(bad)
    }

    /// Reads the folder's file, and writes it with these defaults if there is none.
    ///
    /// # Errors
    /// [`BadConfig`], or if the file can be neither read nor written.
    pub fn load(folder: &Path, role: Role, first: impl FnOnce(&mut Self)) -> Result<(Self, bool)> {
        let path = folder.join(folder::CONFIG);
        if let Some(text) = folder::read(&path)? {
            return Ok((Self::parse(&text, &path.display().to_string())?, false));
        }
        let mut config = Self::default();
        first(&mut config);
        folder::write_private(&path, &config.text(role))?;
        Ok((config, true))
    }

    /// The engine's bounds.
    pub fn policy(&self, role: Role) -> Policy {
        let bounds = &self.policy;
        Policy {
            min_window: bounds.min_window_ms,
            reaction: bounds.reaction_ms,
            max_validity: bounds.max_validity_ms,
            agree: bounds.agree,
            enter_groups: bounds.enter_groups,
            coordinate: role == Role::Coordinator,
            resend_after: bounds.resend_after_ms,
            reserve_for: bounds.reserve_for_ms,
            free_after: bounds.free_after_ms,
        }
    }

    /// The contract's account.
    ///
    /// # Errors
    /// If none is named.
    pub fn contract(&self, folder: &Path) -> Result<AccountId> {
        if self.contract.is_empty() {
            let path = folder.join(folder::CONFIG);
            let what = "no contract is named: write its address into `contract` of";
            let next = "or give it with --contract; `braid deploy` makes one";
            return Err(BadConfig(format!("{what} {}, {next}", path.display())).into());
        }
        Ok(parse_address(&self.contract)?)
    }
}

/// How a word is written in the file.
fn word(word: impl Serialize) -> String {
    toml::Value::try_from(word).map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

    #[test]
    fn what_is_written_at_the_first_start_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        for role in [Role::Party, Role::Coordinator] {
            let folder = folder.path().join(role.name());
            folder::make(&folder).unwrap();
            let change = |config: &mut Config| {
                config.node = "ws://\"odd\":1".to_owned();
                config.contract = BOB.to_owned();
                config.peers = vec![format!("{BOB}@localhost:1"), format!("{BOB}@[::1]:2")];
                config.policy.free_after_ms = Some(5);
                config.log.format = Format::Json;
            };
            let (written, new) = Config::load(&folder, role, change).unwrap();
            let (read, again) = Config::load(&folder, role, |_| panic!("it is there")).unwrap();
            assert!(new && !again);
            let filled = Config { listen: Some(written.listen(role)), api: Some(written.api(role)), ..written };
            assert_eq!(read, filled);
        }
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let config = Config::parse("[policy]\nmin_window_ms = 7\n", "config.toml").unwrap();
        let expected = Bounds { min_window_ms: 7, ..Bounds::default() };
        assert_eq!(config, Config { policy: expected, ..Config::default() });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, what) in [
            ("node = \"ws://x\"\n\nnodes = 1\n", 3, "nodes"),
            ("[policy]\n\nmin_window = 1\n", 3, "min_window"),
            ("# c\ncontract = \"5x\"\n", 2, "5x"),
            ("peers = [\"somewhere\"]\n", 1, "somewhere"),
            ("\nlisten = \"here\"\n", 2, "socket address"),
            ("\n\n[log]\nlevel = \"loud\"\n", 4, "loud"),
            ("node =\n", 1, ""),
        ] {
            let error = Config::parse(text, "config.toml").unwrap_err().to_string();
            assert!(error.starts_with(&format!("config.toml: line {line}: ")) && error.contains(what), "{error}");
        }
    }
}
