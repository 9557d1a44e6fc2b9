//! `flow` settles exactly what can be settled, on whole workloads: compared with a library's maximum flow, which settles by
//! paths of its own and keeps books of its own.

mod lightning;

use pathfinding::directed::edmonds_karp::{edmonds_karp, DenseCapacity};
use planning::{net_positions, planner::Strategy};
use protocol::Balance;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use simulator::{
    experiments::setting::{Funds, GraphModel, Setting},
    import,
    replay::{Fate, Rule},
    topology::{Division, Topology},
    workload::{Amounts, Kind, Transaction},
};
use std::{collections::BTreeMap, sync::Arc};

const FLOW: Rule = Rule::Planned(Strategy::Flow);
const KINDS: [Kind; 4] = [Kind::Payment, Kind::Game(4), Kind::Auction(5), Kind::Crowdfunding(9)];

/// What the users can pay each other.
type Books = BTreeMap<[u32; 2], i128>;

fn books(topology: &Topology) -> Books {
    let mut books = Books::new();
    for link in &topology.links {
        let [a, b] = link.ends;
        *books.entry([a, b]).or_default() += link.balances[0] as i128;
        *books.entry([b, a]).or_default() += link.balances[1] as i128;
    }
    books
}

/// Settles the transaction by a maximum flow, if there is one that carries all of it.
fn settles(books: &mut Books, nodes: u32, transaction: &Transaction) -> bool {
    let [source, sink] = [nodes, nodes + 1];
    let positions = net_positions(transaction).expect("amounts are small");
    let owed: i128 = positions.values().filter(|position| **position > 0).sum();
    let ends = positions.iter().filter(|(_, position)| **position != 0).map(|(node, position)| {
        let arc = if *position < 0 { (source, *node) } else { (*node, sink) };
        (arc, position.abs())
    });
    let arcs = books.iter().map(|([payer, payee], own)| ((*payer, *payee), *own)).chain(ends);
    let vertices: Vec<_> = (0..nodes + 2).collect();
    let (flows, most, _) = edmonds_karp::<_, _, _, DenseCapacity<_>>(&vertices, &source, &sink, arcs);
    if most < owed {
        return false;
    }
    for ((payer, payee), moved) in flows.into_iter().filter(|((payer, payee), _)| *payer < nodes && *payee < nodes) {
        *books.entry([payer, payee]).or_default() -= moved;
        *books.entry([payee, payer]).or_default() += moved;
    }
    assert!(books.values().all(|own| *own >= 0), "the library's flow is none");
    true
}

fn setting(nodes: u32, graph: GraphModel, kind: Kind, total: Balance) -> Setting {
    let funds = Funds::Together(total, Division::Random);
    Setting { nodes, graph, funds, kind, amounts: Amounts::Below(10), skew: 0.5 }
}

/// Every transaction of the run, and how many of them failed by the channels though there was money.
fn compare(setting: &Setting, run: u32, transactions: usize) -> usize {
    let (topology, transactions) = setting.draw(1, run, transactions).expect("the setting is one");
    let mut books = books(&topology);
    let limit: Vec<_> =
        transactions.iter().map(|transaction| settles(&mut books, topology.nodes, transaction)).collect();
    assert_eq!(FLOW.replay(&topology, &transactions), Ok(limit), "{setting:?}, run {run}");
    let fates = FLOW.fates(&topology, &transactions).expect("it is a network");
    assert!(fates.iter().all(|fate| *fate != Fate::NotFound), "{setting:?}, run {run}");
    fates.iter().filter(|fate| **fate == Fate::NoFlow).count()
}

#[test]
fn flow_is_the_limit_of_every_transaction_on_every_workload() {
    let graphs = [
        GraphModel::Random { channels: 40 },
        GraphModel::BarabasiAlbert { per_node: 2 },
        GraphModel::WattsStrogatz { neighbours: 4, rewiring: 0.2 },
        GraphModel::Hub,
    ];
    let mut by_topology = 0;
    for graph in graphs {
        for kind in KINDS {
            for run in 0..3 {
                by_topology += compare(&setting(20, graph.clone(), kind, 1_200), run, 150);
            }
        }
    }
    assert!(by_topology > 500, "too few transactions were at the limit: {by_topology}");
}

#[test]
fn flow_is_the_limit_on_cuts_of_the_lightning_network() {
    let Some(folder) = lightning::folder() else { return };
    let whole = Arc::new(import::cloth(&folder).expect("the files are good"));
    for kind in KINDS {
        let cut = Setting {
            funds: Funds::Given,
            amounts: Amounts::Exponential(1e7),
            ..setting(40, GraphModel::Cut(whole.clone()), kind, 0)
        };
        compare(&cut, 0, 100);
    }
}

/// In one multi-party channel over everybody money has no place, as long as its channels allow.
#[test]
fn a_group_of_everybody_is_the_pooled_bound_until_its_channels_refuse() {
    let with = |channels| Setting {
        amounts: Amounts::Below(200),
        funds: Funds::Together(30_000, Division::Even),
        skew: 0.0,
        ..setting(30, GraphModel::Random { channels }, Kind::Payment, 0)
    };
    let behind = |setting: &Setting| {
        let (topology, transactions) = setting.draw(1, 0, 2_000).expect("the setting is one");
        let flow = FLOW.fates(&topology, &transactions).expect("it is a network");
        let pooled = Rule::Pooled.fates(&topology, &transactions).expect("it is a network");
        let refused = flow.iter().position(|fate| matches!(fate, Fate::NoRoom | Fate::NoFlow)).unwrap_or(flow.len());
        assert_eq!(flow[..refused], pooled[..refused]);
        let settled = |fates: &[Fate]| fates.iter().filter(|fate| **fate == Fate::Settled).count();
        assert!(settled(&pooled) < pooled.len(), "nobody was out of money");
        settled(&pooled) as f64 / settled(&flow) as f64 - 1.0
    };
    let [dense, sparse] = [435, 35].map(|channels| behind(&with(channels)));
    assert!(dense < 0.05 && sparse > 3.0 * dense, "{dense} {sparse}");
}

/// Why balancing channels cannot help `flow`: a circulation changes no cut.
#[test]
fn moving_money_in_circles_changes_nothing_that_can_settle() {
    use rand::Rng;
    let random = setting(15, GraphModel::Random { channels: 30 }, Kind::Game(3), 600);
    for run in 0..20 {
        let (topology, transactions) = random.draw(7, run, 200).expect("the setting is one");
        let rng = &mut Pcg64Mcg::seed_from_u64(run.into());
        let mut turned = topology.clone();
        for _ in 0..50 {
            // A walk that returns to where it began, and as much along it as its channels carry.
            let start = rng.random_range(0..turned.nodes);
            let (mut at, mut walk) = (start, vec![]);
            while walk.len() < 12 && (walk.is_empty() || at != start) {
                let ways: Vec<_> = (0..turned.links.len())
                    .filter(|link| {
                        turned.links[*link].ends.contains(&at) && !walk.iter().any(|(known, _)| known == link)
                    })
                    .collect();
                let Some(link) = ways.get(rng.random_range(0..ways.len().max(1))) else { break };
                let side = usize::from(turned.links[*link].ends[1] == at);
                walk.push((*link, side));
                at = turned.links[*link].ends[1 - side];
            }
            if at != start {
                continue;
            }
            let amount = walk.iter().map(|(link, side)| turned.links[*link].balances[*side]).min().unwrap_or(0);
            for (link, side) in walk {
                turned.links[link].balances[side] -= amount;
                turned.links[link].balances[1 - side] += amount;
            }
        }
        assert_ne!(turned, topology);
        assert_eq!(FLOW.replay(&turned, &transactions), FLOW.replay(&topology, &transactions), "run {run}");
    }
}
