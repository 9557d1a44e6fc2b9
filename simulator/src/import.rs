//! Real topologies from files: lnd's `describegraph`, Core Lightning's `listchannels`, CLoTH's CSV, edge lists.
//!
//! Amounts are in the unit of the file. Where a file has only capacities, the division between the owners is chosen by the
//! caller, because nobody publishes it.

use crate::topology::{Division, Topology};
use planning::network::{Link, Node};
use protocol::Balance;
use rand::Rng;
use serde::{de::DeserializeOwned, Deserialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// A file is no topology.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct BadFile {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is not the JSON that was expected; the error names line and field.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It is not the CSV that was expected; the error names line and field.
    #[error("{0}")]
    Csv(#[from] csv::Error),
    /// It has no channels.
    #[error("it has no channels")]
    Empty,
    /// An entry is wrong.
    #[error("{place}: {wrong}")]
    Entry {
        /// A line or an element.
        place: String,
        /// What is wrong there.
        wrong: Wrong,
    },
}

/// What can be wrong with a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// An amount below zero.
    #[error("{field} is {value}, which is negative")]
    Negative {
        /// Where.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// Not a number.
    #[error("{field} is {value:?}: give a whole number")]
    NoNumber {
        /// Where.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// A channel with oneself.
    #[error("a channel of {0} with itself")]
    Loop(String),
    /// An owner that the list of nodes does not have.
    #[error("node {0} is not in the list of nodes")]
    UnknownNode(String),
    /// A channel twice.
    #[error("channel {0} is there already")]
    Duplicate(String),
    /// A line that is no pair of nodes.
    #[error("give two nodes, and a capacity if there is one")]
    NoPair,
    /// Both directions of a channel are needed.
    #[error("channel {0} has not two directions")]
    OneDirection(String),
}

/// Channels read so far; nodes are numbered as they come.
#[derive(Default)]
struct Channels {
    numbers: BTreeMap<String, Node>,
    known: BTreeSet<String>,
    links: Vec<Link>,
}

impl Channels {
    fn node(&mut self, name: &str) -> Node {
        let next = self.numbers.len() as Node;
        *self.numbers.entry(name.to_owned()).or_insert(next)
    }

    fn add(&mut self, id: String, ends: [&str; 2], balances: [Balance; 2]) -> Result<(), Wrong> {
        if ends[0] == ends[1] {
            return Err(Wrong::Loop(ends[0].to_owned()));
        }
        if !self.known.insert(id.clone()) {
            return Err(Wrong::Duplicate(id));
        }
        let ends = ends.map(|end| self.node(end));
        self.links.push(Link { ends, balances });
        Ok(())
    }

    fn topology(self) -> Result<Topology, Problem> {
        if self.links.is_empty() {
            return Err(Problem::Empty);
        }
        Ok(Topology { nodes: self.numbers.len() as u32, links: self.links })
    }
}

fn at(place: String) -> impl FnOnce(Wrong) -> Problem {
    |wrong| Problem::Entry { place, wrong }
}

fn in_file<T>(file: &Path, read: impl FnOnce() -> Result<T, Problem>) -> Result<T, BadFile> {
    read().map_err(|problem| BadFile { file: file.to_owned(), problem })
}

fn amount(field: &'static str, value: &str) -> Result<Balance, Wrong> {
    let digits = value.trim();
    digits.parse().map_err(|_| match digits.strip_prefix('-') {
        Some(rest) if rest.parse::<Balance>().is_ok() => Wrong::Negative { field, value: digits.into() },
        _ => Wrong::NoNumber { field, value: digits.into() },
    })
}

/// A number, or a text with one, as nodes print them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(serde_json::Number),
    Text(String),
}

impl Number {
    fn amount(&self, field: &'static str) -> Result<Balance, Wrong> {
        match self {
            Self::Number(number) => amount(field, &number.to_string()),
            Self::Text(text) => amount(field, text.strip_suffix("msat").unwrap_or(text)),
        }
    }
}

fn json<T: DeserializeOwned>(file: &Path) -> Result<T, Problem> {
    Ok(serde_json::from_reader(BufReader::new(File::open(file)?))?)
}

#[derive(Deserialize)]
struct LndGraph {
    nodes: Vec<LndNode>,
    edges: Vec<LndEdge>,
}

#[derive(Deserialize)]
struct LndNode {
    pub_key: String,
}

#[derive(Deserialize)]
struct LndEdge {
    channel_id: String,
    node1_pub: String,
    node2_pub: String,
    capacity: Number,
}

/// What `lncli describegraph` prints, in satoshi.
///
/// # Errors
/// [`BadFile`].
pub fn lnd(file: &Path, division: Division, rng: &mut impl Rng) -> Result<Topology, BadFile> {
    in_file(file, || {
        let graph: LndGraph = json(file)?;
        let mut channels = Channels::default();
        let known: BTreeSet<_> = graph.nodes.into_iter().map(|node| node.pub_key).collect();
        for (index, edge) in graph.edges.into_iter().enumerate() {
            let ends = [&*edge.node1_pub, &*edge.node2_pub];
            let unknown = ends.iter().find(|end| !known.contains(**end));
            let added = match unknown {
                Some(end) => Err(Wrong::UnknownNode(end.to_string())),
                None => edge
                    .capacity
                    .amount("capacity")
                    .and_then(|capacity| channels.add(edge.channel_id.clone(), ends, division.of(capacity, rng))),
            };
            added.map_err(at(format!("edges[{index}]")))?;
        }
        channels.topology()
    })
}

#[derive(Deserialize)]
struct ClnChannels {
    channels: Vec<ClnChannel>,
}

#[derive(Deserialize)]
struct ClnChannel {
    source: String,
    destination: String,
    short_channel_id: String,
    amount_msat: Number,
}

/// What `lightning-cli listchannels` prints, in millisatoshi. It names each channel once for each direction that has been
/// announced; a channel counts once.
///
/// # Errors
/// [`BadFile`].
pub fn cln(file: &Path, division: Division, rng: &mut impl Rng) -> Result<Topology, BadFile> {
    in_file(file, || {
        let list: ClnChannels = json(file)?;
        let mut channels = Channels::default();
        let mut directions = BTreeSet::new();
        for (index, channel) in list.channels.into_iter().enumerate() {
            let id = channel.short_channel_id;
            let ends = [&*channel.source, &*channel.destination];
            let added = channel.amount_msat.amount("amount_msat").and_then(|capacity| {
                if !directions.insert((id.clone(), channel.source.clone())) {
                    return Err(Wrong::Duplicate(format!("{id} from {}", channel.source)));
                }
                if directions.contains(&(id.clone(), channel.destination.clone())) && ends[0] != ends[1] {
                    return Ok(());
                }
                channels.add(id, ends, division.of(capacity, rng))
            });
            added.map_err(at(format!("channels[{index}]")))?;
        }
        channels.topology()
    })
}

#[derive(Deserialize)]
struct ClothChannel {
    id: String,
    edge1_id: String,
    edge2_id: String,
    node1_id: String,
    node2_id: String,
}

#[derive(Deserialize)]
struct ClothEdge {
    id: String,
    balance: String,
}

#[derive(Deserialize)]
struct ClothNode {
    id: String,
}

/// A folder with the three files of CLoTH: `nodes_ln.csv`, `channels_ln.csv` and `edges_ln.csv`. The balances are the
/// file's, in millisatoshi.
///
/// # Errors
/// [`BadFile`].
pub fn cloth(folder: &Path) -> Result<Topology, BadFile> {
    fn each<T: DeserializeOwned>(
        folder: &Path,
        name: &str,
        mut entry: impl FnMut(T) -> Result<(), Wrong>,
    ) -> Result<(), BadFile> {
        let file = folder.join(name);
        in_file(&file, || {
            let mut records = 0;
            for (line, record) in (2..).zip(csv::Reader::from_path(&file)?.into_deserialize()) {
                entry(record?).map_err(at(format!("line {line}")))?;
                records += 1;
            }
            if records == 0 {
                Err(Problem::Empty)
            } else {
                Ok(())
            }
        })
    }
    let mut channels = Channels::default();
    each(folder, "nodes_ln.csv", |node: ClothNode| {
        let before = channels.numbers.len() as Node;
        if channels.node(&node.id) < before {
            Err(Wrong::Duplicate(node.id))
        } else {
            Ok(())
        }
    })?;
    let mut balances = BTreeMap::new();
    each(folder, "edges_ln.csv", |edge: ClothEdge| {
        match balances.insert(edge.id.clone(), amount("balance", &edge.balance)?) {
            Some(_) => Err(Wrong::Duplicate(edge.id)),
            None => Ok(()),
        }
    })?;
    each(folder, "channels_ln.csv", |channel: ClothChannel| {
        let ends = [&*channel.node1_id, &*channel.node2_id];
        if let Some(end) = ends.iter().find(|end| !channels.numbers.contains_key(**end)) {
            return Err(Wrong::UnknownNode(end.to_string()));
        }
        match [&channel.edge1_id, &channel.edge2_id].map(|edge| balances.remove(edge)) {
            [Some(first), Some(second)] => channels.add(channel.id, ends, [first, second]),
            _ => Err(Wrong::OneDirection(channel.id)),
        }
    })?;
    in_file(folder, || channels.topology())
}

/// A line for each channel: two nodes, and a capacity if there is one, as `0 77 290` or as NetworkX writes it,
/// `0 77 {'capacity': 290}`. A channel without one gets `otherwise`. Empty lines and those that begin with # are left out.
///
/// # Errors
/// [`BadFile`].
pub fn edge_list(file: &Path, otherwise: Balance, division: Division, rng: &mut impl Rng) -> Result<Topology, BadFile> {
    in_file(file, || {
        let mut channels = Channels::default();
        for (line, text) in (1..).zip(BufReader::new(File::open(file)?).lines()) {
            let text = text?;
            let mut fields = text.split_whitespace();
            let ends = match [fields.next(), fields.next()] {
                [None, _] => continue,
                [Some(first), _] if first.starts_with('#') => continue,
                [Some(a), Some(b)] => [a, b],
                [Some(_), None] => return Err(at(format!("line {line}"))(Wrong::NoPair)),
            };
            let rest = fields.collect::<Vec<_>>().join(" ");
            let capacity = match &*rest {
                "" | "{}" => Ok(otherwise),
                _ => {
                    let inside = rest.strip_prefix("{'capacity':").and_then(|rest| rest.strip_suffix('}'));
                    amount("capacity", inside.unwrap_or(&rest))
                }
            };
            let id = format!("{} to {}", ends[0].min(ends[1]), ends[0].max(ends[1]));
            let added = capacity.and_then(|capacity| channels.add(id, ends, division.of(capacity, rng)));
            added.map_err(at(format!("line {line}")))?;
        }
        channels.topology()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    fn rng() -> Pcg64Mcg {
        Pcg64Mcg::seed_from_u64(1)
    }

    /// A folder with files of these names and texts.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a temporary file");
        }
        folder
    }

    fn problem(read: impl FnOnce(&Path) -> Result<Topology, BadFile>, text: &str) -> String {
        let folder = folder(&[("file", text)]);
        read(&folder.path().join("file")).expect_err("the file is wrong").problem.to_string()
    }

    #[test]
    fn lnd_graphs_are_read() {
        let edge = |id: &str, a: &str, b: &str, capacity: &str| {
            format!(
                r#"{{"channel_id":"{id}","node1_pub":"{a}","node2_pub":"{b}","capacity":{capacity},"node1_policy":null}}"#
            )
        };
        let graph = |edges: &[String]| {
            format!(
                r#"{{"nodes":[{{"pub_key":"x"}},{{"pub_key":"y"}},{{"pub_key":"z"}}],"edges":[{}]}}"#,
                edges.join(",")
            )
        };
        let lnd = |file: &Path| lnd(file, Division::Even, &mut rng());
        let good = folder(&[("file", &graph(&[edge("1", "x", "y", "\"7\""), edge("2", "x", "y", "4")]))]);
        let links = [Link { ends: [0, 1], balances: [4, 3] }, Link { ends: [0, 1], balances: [2, 2] }];
        assert_eq!(lnd(&good.path().join("file")).expect("a graph").links, links);
        for (edges, expected) in [
            (vec![edge("1", "x", "y", "\"-7\"")], "edges[0]: capacity is -7, which is negative"),
            (vec![edge("1", "x", "y", "\"much\"")], "edges[0]: capacity is \"much\": give a whole number"),
            (vec![edge("1", "x", "y", "1"), edge("1", "x", "z", "1")], "edges[1]: channel 1 is there already"),
            (vec![edge("1", "x", "x", "1")], "edges[0]: a channel of x with itself"),
            (vec![edge("1", "x", "w", "1")], "edges[0]: node w is not in the list of nodes"),
            (vec![], "it has no channels"),
        ] {
            assert_eq!(problem(lnd, &graph(&edges)), expected);
        }
        assert_eq!(problem(lnd, "{\"nodes\":[],\n\"edges\":["), "EOF while parsing a list at line 2 column 9");
        assert_eq!(problem(lnd, "{\"nodes\":[]}"), "missing field `edges` at line 1 column 12");
        assert_eq!(problem(lnd, ""), "EOF while parsing a value at line 1 column 0");
    }

    #[test]
    fn cln_channels_are_read_once_for_both_directions() {
        let channel = |from: &str, to: &str, amount: &str| {
            format!(r#"{{"source":"{from}","destination":"{to}","short_channel_id":"1x2x3","amount_msat":{amount}}}"#)
        };
        let list = |channels: &[String]| format!(r#"{{"channels":[{}]}}"#, channels.join(","));
        let cln = |file: &Path| cln(file, Division::Even, &mut rng());
        let good = folder(&[("file", &list(&[channel("x", "y", "\"10msat\""), channel("y", "x", "10")]))]);
        assert_eq!(cln(&good.path().join("file")).expect("a list").links, [Link { ends: [0, 1], balances: [5, 5] }]);
        let twice = list(&[channel("x", "y", "1"), channel("x", "y", "1")]);
        assert_eq!(problem(cln, &twice), "channels[1]: channel 1x2x3 from x is there already");
        assert_eq!(problem(cln, &list(&[channel("x", "x", "1")])), "channels[0]: a channel of x with itself");
        assert_eq!(
            problem(cln, &list(&[channel("x", "y", "-1")])),
            "channels[0]: amount_msat is -1, which is negative"
        );
    }

    #[test]
    fn cloth_files_are_read() {
        const NODES: (&str, &str) = ("nodes_ln.csv", "id\n0\n1\n");
        const EDGES: (&str, &str) = ("edges_ln.csv", "id,channel_id,balance\n0,0,30\n1,0,12\n");
        const HEAD: &str = "id,edge1_id,edge2_id,node1_id,node2_id,capacity\n";
        let read = |edges: (&str, &str), channels: &str| {
            let folder = folder(&[NODES, edges, ("channels_ln.csv", &format!("{HEAD}{channels}"))]);
            cloth(folder.path()).map_err(|error| error.problem.to_string())
        };
        let links = vec![Link { ends: [0, 1], balances: [30, 12] }];
        assert_eq!(read(EDGES, "0,0,1,0,1,42\n"), Ok(Topology { nodes: 2, links }));
        for (channels, expected) in [
            ("0,0,1,0,7,42\n", "line 2: node 7 is not in the list of nodes"),
            ("0,0,1,1,1,42\n", "line 2: a channel of 1 with itself"),
            ("0,0,9,0,1,42\n", "line 2: channel 0 has not two directions"),
            ("", "it has no channels"),
        ] {
            assert_eq!(read(EDGES, channels), Err(expected.to_string()));
        }
        let negative = ("edges_ln.csv", "id,balance\n0,5\n1,-3\n");
        assert_eq!(read(negative, "0,0,1,0,1,42\n"), Err("line 3: balance is -3, which is negative".to_string()));
        let short = read(EDGES, "0,0,1\n").expect_err("a field is missing");
        assert!(short.contains("line: 2"), "{short}");
        let missing = cloth(Path::new("nowhere")).expect_err("there is no such folder").to_string();
        assert!(missing.starts_with("nowhere/nodes_ln.csv: "), "{missing}");
    }

    #[test]
    fn edge_lists_are_read() {
        let list = |file: &Path| edge_list(file, 8, Division::Even, &mut rng());
        let good = folder(&[("file", "# by hand\n0 77 {'capacity': 290}\n\n77 5 4\n5 0 {}\n")]);
        let topology = list(&good.path().join("file")).expect("a list");
        assert_eq!((topology.nodes, topology.funds()), (3, 302));
        for (text, expected) in [
            ("1 2 5\n2 1 5\n", "line 2: channel 1 to 2 is there already"),
            ("1 1\n", "line 1: a channel of 1 with itself"),
            ("1 2 -5\n", "line 1: capacity is -5, which is negative"),
            ("1 2 3.5\n", "line 1: capacity is \"3.5\": give a whole number"),
            ("1\n", "line 1: give two nodes, and a capacity if there is one"),
            ("{\"nodes\":[],\n", "line 1: give two nodes, and a capacity if there is one"),
            ("1 2 3 4\n", "line 1: capacity is \"3 4\": give a whole number"),
            ("", "it has no channels"),
        ] {
            assert_eq!(problem(list, text), expected);
        }
    }
}
