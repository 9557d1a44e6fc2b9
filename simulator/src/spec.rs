//! Networks and workloads as people type them: a kind and its numbers, with colons between them.

use crate::{
    experiments::setting::{Funds, GraphModel, Setting},
    import::{self, BadFile},
    topology::Division,
    workload::{Amounts, Kind},
};
use protocol::Balance;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

/// What was typed means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none: give {expected}")]
pub struct BadSpec {
    given: String,
    expected: &'static str,
}

/// A network that is generated or read.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// So many users, joined like this.
    Generated(u32, GraphModel),
    /// `lncli describegraph`.
    Lnd(PathBuf),
    /// `lightning-cli listchannels`.
    Cln(PathBuf),
    /// A folder with CLoTH's CSV files.
    Cloth(PathBuf),
    /// A list of pairs.
    EdgeList(PathBuf),
}

const SOURCES: &str = "random:USERS:CHANNELS, barabasi-albert:USERS:CHANNELS_EACH, \
                           watts-strogatz:USERS:NEIGHBOURS:REWIRING, hub:USERS, lnd:FILE, cln:FILE, cloth:FOLDER \
                           or edge-list:FILE";
const KINDS: &str = "payment, game:PLAYERS, auction:BIDDERS or crowdfunding:BACKERS";
const AMOUNTS: &str = "below:LIMIT, exactly:AMOUNT or exponential:MEAN";
const DIVISIONS: &str = "even, random or one-sided";

fn parsed<T>(given: &str, expected: &'static str, read: impl FnOnce(&str, &[&str]) -> Option<T>) -> Result<T, BadSpec> {
    let fields: Vec<_> = given.split(':').collect();
    read(fields[0], &fields[1..]).ok_or_else(|| BadSpec { given: given.to_owned(), expected })
}

impl FromStr for Source {
    type Err = BadSpec;

    fn from_str(given: &str) -> Result<Self, BadSpec> {
        // A path may have colons of its own.
        if let Some((kind, path)) = given.split_once(':').filter(|(_, path)| !path.is_empty()) {
            let read: Option<fn(PathBuf) -> Self> = match kind {
                "lnd" => Some(Self::Lnd),
                "cln" => Some(Self::Cln),
                "cloth" => Some(Self::Cloth),
                "edge-list" => Some(Self::EdgeList),
                _ => None,
            };
            if let Some(read) = read {
                return Ok(read(path.into()));
            }
        }
        parsed(given, SOURCES, |kind, numbers| {
            let graph = match (kind, numbers) {
                ("random", [_, channels]) => GraphModel::Random { channels: channels.parse().ok()? },
                ("barabasi-albert", [_, each]) => GraphModel::BarabasiAlbert { per_node: each.parse().ok()? },
                ("watts-strogatz", [_, neighbours, rewiring]) => {
                    GraphModel::WattsStrogatz { neighbours: neighbours.parse().ok()?, rewiring: rewiring.parse().ok()? }
                }
                ("hub", [_]) => GraphModel::Hub,
                _ => return None,
            };
            Some(Self::Generated(numbers[0].parse().ok()?, graph))
        })
    }
}

impl FromStr for Kind {
    type Err = BadSpec;

    fn from_str(given: &str) -> Result<Self, BadSpec> {
        parsed(given, KINDS, |kind, numbers| match (kind, numbers) {
            ("payment", []) => Some(Self::Payment),
            ("game", [players]) => players.parse().ok().map(Self::Game),
            ("auction", [bidders]) => bidders.parse().ok().map(Self::Auction),
            ("crowdfunding", [backers]) => backers.parse().ok().map(Self::Crowdfunding),
            _ => None,
        })
    }
}

impl FromStr for Amounts {
    type Err = BadSpec;

    fn from_str(given: &str) -> Result<Self, BadSpec> {
        parsed(given, AMOUNTS, |kind, numbers| match (kind, numbers) {
            ("below", [limit]) => limit.parse().ok().map(Self::Below),
            ("exactly", [amount]) => amount.parse().ok().map(Self::Exactly),
            ("exponential", [mean]) => mean.parse().ok().map(Self::Exponential),
            _ => None,
        })
    }
}

impl FromStr for Division {
    type Err = BadSpec;

    fn from_str(given: &str) -> Result<Self, BadSpec> {
        let all = [Self::Even, Self::Random, Self::OneSided];
        let known = all.into_iter().find(|division| division.name() == given);
        known.ok_or_else(|| BadSpec { given: given.to_owned(), expected: DIVISIONS })
    }
}

/// As it is typed.
impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payment => formatter.write_str("payment"),
            Self::Game(players) => write!(formatter, "game:{players}"),
            Self::Auction(bidders) => write!(formatter, "auction:{bidders}"),
            Self::Crowdfunding(backers) => write!(formatter, "crowdfunding:{backers}"),
        }
    }
}

/// As they are typed.
impl fmt::Display for Amounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(limit) => write!(formatter, "below:{limit}"),
            Self::Exactly(amount) => write!(formatter, "exactly:{amount}"),
            Self::Exponential(mean) => write!(formatter, "exponential:{mean}"),
        }
    }
}

/// As it is typed.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generated(nodes, graph) => match graph {
                GraphModel::Random { channels } => write!(formatter, "random:{nodes}:{channels}"),
                GraphModel::BarabasiAlbert { per_node } => write!(formatter, "barabasi-albert:{nodes}:{per_node}"),
                GraphModel::WattsStrogatz { neighbours, rewiring } => {
                    write!(formatter, "watts-strogatz:{nodes}:{neighbours}:{rewiring}")
                }
                GraphModel::Hub => write!(formatter, "hub:{nodes}"),
                GraphModel::Cut(_) => write!(formatter, "cut:{nodes}"),
            },
            Self::Lnd(file) => write!(formatter, "lnd:{}", file.display()),
            Self::Cln(file) => write!(formatter, "cln:{}", file.display()),
            Self::Cloth(folder) => write!(formatter, "cloth:{}", folder.display()),
            Self::EdgeList(file) => write!(formatter, "edge-list:{}", file.display()),
        }
    }
}

/// What is to be measured, and on which network, as far as somebody has said.
#[derive(Clone, Debug, clap::Args)]
pub struct Wish {
    /// The network: random:USERS:CHANNELS, barabasi-albert:USERS:CHANNELS_EACH, watts-strogatz:USERS:NEIGHBOURS:REWIRING,
    /// hub:USERS; or a file: lnd:FILE (describegraph), cln:FILE (listchannels), cloth:FOLDER, edge-list:FILE.
    #[arg(value_name = "NETWORK")]
    pub source: Source,
    /// Only so many users of a network from a file: what lies around one at random, another in each run.
    #[arg(long)]
    pub users: Option<u32>,
    /// What each channel holds. Without it: 160, or what the file says.
    #[arg(long, value_name = "TOKENS")]
    pub capacity: Option<Balance>,
    /// How a channel's owners share it at first, unless the file says and --capacity does not: even, random or one-sided.
    #[arg(long, default_value = "even")]
    pub division: Division,
    /// What users do: payment, game:PLAYERS, auction:BIDDERS or crowdfunding:BACKERS.
    #[arg(long, default_value = "payment")]
    pub kind: Kind,
    /// How much they pay: below:LIMIT, exactly:AMOUNT or exponential:MEAN. Without it: below a sixteenth of what a channel
    /// of the whole network holds on average.
    #[arg(long)]
    pub amounts: Option<Amounts>,
    /// How much more often some are paid than others: the exponent of a power law.
    #[arg(long, default_value_t = 0.0)]
    pub skew: f64,
}

/// What each channel of a generated network holds if nobody says.
const CAPACITY: Balance = 160;
/// Amounts are below this part of a channel if nobody says: the paper's below 10, of [`CAPACITY`].
const PART: Balance = 16;

/// Why there is no such setting.
#[derive(Debug, thiserror::Error)]
pub enum BadWish {
    /// The network cannot be read.
    #[error(transparent)]
    File(#[from] BadFile),
    /// Only what was read can be cut.
    #[error("a cut of {0} users: only networks from files are cut; give the number with the network itself")]
    NoCut(u32),
}

impl Wish {
    /// The setting. Reads the network, if it is to be read.
    ///
    /// # Errors
    /// [`BadWish`].
    pub fn setting(&self) -> Result<Setting, BadWish> {
        // Each run divides channels anew, so how the reader divides them does not count.
        let (even, rng) = (Division::Even, &mut Pcg64Mcg::seed_from_u64(0));
        let divided = Funds::Divided(self.division);
        let (topology, own) = match &self.source {
            Source::Generated(nodes, graph) => {
                let funds = Funds::Each(self.capacity.unwrap_or(CAPACITY), self.division);
                return match self.users {
                    Some(users) => Err(BadWish::NoCut(users)),
                    None => Ok(self.on(*nodes, graph.clone(), funds, self.capacity.unwrap_or(CAPACITY))),
                };
            }
            Source::Lnd(file) => (import::lnd(file, even, rng)?, divided),
            Source::Cln(file) => (import::cln(file, even, rng)?, divided),
            Source::Cloth(folder) => (import::cloth(folder)?, Funds::Given),
            Source::EdgeList(file) => (import::edge_list(file, CAPACITY, even, rng)?, divided),
        };
        let mean = topology.funds() / topology.links.len().max(1) as Balance;
        let funds = self.capacity.map_or(own, |capacity| Funds::Each(capacity, self.division));
        let nodes = self.users.unwrap_or(topology.nodes);
        Ok(self.on(nodes, GraphModel::Cut(Arc::new(topology)), funds, self.capacity.unwrap_or(mean)))
    }

    fn on(&self, nodes: u32, graph: GraphModel, funds: Funds, mean: Balance) -> Setting {
        let amounts = self.amounts.unwrap_or(Amounts::Below((mean / PART).max(2)));
        Setting { nodes, graph, funds, kind: self.kind, amounts, skew: self.skew }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(source: &str) -> Wish {
        Wish {
            source: source.parse().expect("it is one"),
            users: None,
            capacity: None,
            division: Division::Even,
            kind: Kind::Payment,
            amounts: None,
            skew: 0.0,
        }
    }

    #[test]
    fn what_is_typed_is_understood() {
        let generated = |nodes, graph| Source::Generated(nodes, graph);
        for (given, source) in [
            ("random:300:750", generated(300, GraphModel::Random { channels: 750 })),
            ("barabasi-albert:9:2", generated(9, GraphModel::BarabasiAlbert { per_node: 2 })),
            ("watts-strogatz:9:4:0.1", generated(9, GraphModel::WattsStrogatz { neighbours: 4, rewiring: 0.1 })),
            ("hub:9", generated(9, GraphModel::Hub)),
            ("lnd:/a:b", Source::Lnd("/a:b".into())),
            ("cln:c", Source::Cln("c".into())),
            ("cloth:d", Source::Cloth("d".into())),
            ("edge-list:e", Source::EdgeList("e".into())),
        ] {
            assert_eq!((given.parse(), source.to_string()), (Ok(source.clone()), given.to_string()));
        }
        assert_eq!("one-sided".parse(), Ok(Division::OneSided));
        for kind in [Kind::Payment, Kind::Game(4), Kind::Auction(5), Kind::Crowdfunding(6)] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        for amounts in [Amounts::Below(10), Amounts::Exactly(3), Amounts::Exponential(2.5)] {
            assert_eq!(amounts.to_string().parse(), Ok(amounts));
        }
    }

    #[test]
    fn what_means_nothing_is_refused_with_what_would() {
        for given in ["", "random", "random:3", "random:3:x", "hub:-1", "lnd:", "lnd", "star:3"] {
            let error = given.parse::<Source>().expect_err("it is none");
            assert_eq!(error.to_string(), format!("{given:?} is none: give {SOURCES}"));
        }
        assert!("game".parse::<Kind>().is_err() && "payment:2".parse::<Kind>().is_err());
        assert!("below:-1".parse::<Amounts>().is_err() && "10".parse::<Amounts>().is_err());
        assert!("Even".parse::<Division>().is_err());
    }

    #[test]
    fn a_network_has_its_own_funds_unless_somebody_says() {
        let generated = wish("random:9:12").setting().expect("it can be made");
        assert_eq!((generated.funds, generated.amounts), (Funds::Each(160, Division::Even), Amounts::Below(10)));
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "a b 3200\nb c 3200\n").expect("it can be written");
        let read = wish(&format!("edge-list:{}", file.path().display()));
        let own = read.setting().expect("it can be read");
        assert_eq!((own.nodes, own.funds, own.amounts), (3, Funds::Divided(Division::Even), Amounts::Below(200)));
        let poorer = Wish { capacity: Some(16), users: Some(2), ..read }.setting().expect("it can be read");
        assert_eq!((poorer.nodes, poorer.amounts), (2, Amounts::Below(2)));
        let cut = Wish { users: Some(2), ..wish("hub:9") }.setting().expect_err("it is not read").to_string();
        assert!(cut.starts_with("a cut of 2 users: "), "{cut}");
        let missing = wish("cln:nowhere").setting().expect_err("there is no such file").to_string();
        assert!(missing.starts_with("nowhere: it cannot be read: "), "{missing}");
    }
}
