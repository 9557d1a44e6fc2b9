//! What the strategies of planning find, compared with what libraries find that share no code with them.

use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};
use pathfinding::directed::{
    bfs::bfs,
    dijkstra::dijkstra,
    edmonds_karp::{edmonds_karp, DenseCapacity},
};
use planning::{
    network::{Link, Network, Node},
    planner::{Planner, Strategy},
    NoPlan, Preference, Transfer,
};
use proptest::{
    prelude::{prop, prop_assert, prop_assert_eq, proptest, ProptestConfig},
    strategy::Strategy as Values,
};
use std::collections::BTreeMap;

const NODES: Node = 8;
/// One who pays all payers, and one whom all payees pay.
const ENDS: [Node; 2] = [NODES, NODES + 1];

type Positions = BTreeMap<Node, i128>;

fn links() -> impl Values<Value = Vec<Link>> {
    let link = (0..NODES, 1..NODES, 0..20_u128, 0..20_u128).prop_map(|(from, step, first, second)| Link {
        ends: [from, (from + step) % NODES],
        balances: [first, second],
    });
    prop::collection::vec(link, 1..20)
}

fn transfers(most: usize) -> impl Values<Value = Vec<Transfer<Node>>> {
    let transfer = (0..NODES, 1..NODES, 1..25_u128).prop_map(|(from, step, amount)| Transfer {
        from,
        to: (from + step) % NODES,
        amount,
    });
    prop::collection::vec(transfer, 1..=most)
}

fn planner(links: &[Link], strategy: Strategy) -> Planner {
    Planner::new(Network::new(NODES, links).expect("the links are good"), strategy)
}

fn balances(planner: &Planner) -> Vec<[u128; 2]> {
    (0..planner.network().links()).map(|link| planner.network().balances(link)).collect()
}

/// What each user holds, in all of its channels.
fn funds(links: &[Link], balances: &[[u128; 2]]) -> Positions {
    let mut funds = Positions::new();
    for (link, balances) in links.iter().zip(balances) {
        for (end, own) in link.ends.iter().zip(balances) {
            *funds.entry(*end).or_default() += *own as i128;
        }
    }
    funds
}

fn positions(transfers: &[Transfer<Node>]) -> Positions {
    let mut positions = Positions::new();
    for Transfer { from, to, amount } in transfers {
        *positions.entry(*from).or_default() -= *amount as i128;
        *positions.entry(*to).or_default() += *amount as i128;
    }
    positions
}

/// The channels' directions, and what each can carry.
fn arcs(links: &[Link], balances: &[[u128; 2]]) -> Vec<(Node, Node, i128)> {
    let both = |(link, balances): (&Link, &[u128; 2])| {
        let [first, second] = link.ends;
        [(first, second, balances[0] as i128), (second, first, balances[1] as i128)]
    };
    links.iter().zip(balances).flat_map(both).collect()
}

/// What can be carried at most from all who pay to all who are paid.
fn most(links: &[Link], positions: &Positions) -> i128 {
    let all: Vec<_> = (0..NODES + 2).collect();
    let mut capacities = BTreeMap::<(Node, Node), i128>::new();
    for (from, to, carries) in arcs(links, &links.iter().map(|link| link.balances).collect::<Vec<_>>()) {
        *capacities.entry((from, to)).or_default() += carries;
    }
    for (node, position) in positions {
        let arc = if *position < 0 { (ENDS[0], *node) } else { (*node, ENDS[1]) };
        capacities.insert(arc, position.abs());
    }
    edmonds_karp::<_, _, _, DenseCapacity<_>>(&all, &ENDS[0], &ENDS[1], capacities).1
}

/// The least planck times channels with which the positions can be settled, by a solver of linear programs.
fn least_cost(links: &[Link], positions: &Positions) -> f64 {
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let mut balance = BTreeMap::<Node, Vec<_>>::new();
    for (from, to, carries) in arcs(links, &links.iter().map(|link| link.balances).collect::<Vec<_>>()) {
        let flow = problem.add_var(1.0, (0.0, carries as f64));
        balance.entry(from).or_default().push((flow, -1.0));
        balance.entry(to).or_default().push((flow, 1.0));
    }
    for (node, terms) in balance {
        let position = positions.get(&node).copied().unwrap_or_default();
        problem.add_constraint(terms, ComparisonOp::Eq, position as f64);
    }
    match problem.solve().expect("the positions can be settled") {
        SolveOutcome::Solution(solution) => solution.objective(),
        SolveOutcome::Interrupted(_) => unreachable!("nothing limits the solver"),
    }
}

fn moved(links: &[Link], after: &[[u128; 2]]) -> u128 {
    links.iter().zip(after).map(|(link, after)| link.balances[0].abs_diff(after[0])).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn flow_settles_exactly_what_max_flow_can_at_the_least_cost(links in links(), transfers in transfers(5)) {
        let mut planner = planner(&links, Strategy::Flow);
        let positions = positions(&transfers);
        let owed: i128 = positions.values().filter(|position| **position > 0).sum();
        let most = most(&links, &positions);
        prop_assert_eq!(planner.can_settle(&transfers), Ok(most == owed));
        let settled = planner.settle(&transfers);
        let after = balances(&planner);
        match settled {
            Ok(()) => {
                prop_assert_eq!(most, owed);
                let payers = positions.values().filter(|position| **position < 0).count();
                let payees = positions.values().filter(|position| **position > 0).count();
                let (cost, least) = (moved(&links, &after) as f64, least_cost(&links, &positions));
                // A single path that touches fewer channels may cost more.
                let single = payers == 1 && payees == 1
                    && links.iter().zip(&after).all(|(link, after)| matches!(link.balances[0].abs_diff(after[0]), moved if moved == 0 || moved as i128 == owed));
                prop_assert!(single || (cost - least).abs() < 1e-6, "{cost} is not {least}");
            }
            Err(NoPlan::NoFlow(left_over)) => {
                prop_assert!(most < owed);
                prop_assert!(left_over > 0 && left_over as i128 <= owed);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn available_finds_as_short_a_path_as_there_is(links in links(), transfers in transfers(1)) {
        let transfer = transfers[0];
        let arcs = arcs(&links, &links.iter().map(|link| link.balances).collect::<Vec<_>>());
        let carries = |least: u128| move |node: &Node| -> Vec<Node> {
            let node = *node;
            arcs.iter().filter(|(from, _, carries)| *from == node && *carries >= least as i128).map(|(_, to, _)| *to).collect()
        };
        let shortest = bfs(&transfer.from, carries.clone()(transfer.amount), |node| *node == transfer.to);
        let mut planner = planner(&links, Strategy::Available);
        let settled = planner.settle(&transfers);
        prop_assert_eq!(settled.is_ok(), shortest.is_some());
        if let Some(path) = shortest {
            prop_assert_eq!(planner.network().changes().count(), path.len() - 1);
        }
        let mut blind = self::planner(&links, Strategy::Shortest);
        if blind.settle(&transfers).is_ok() {
            let path = bfs(&transfer.from, carries(0), |node| *node == transfer.to).expect("it was settled");
            prop_assert_eq!(blind.network().changes().count(), path.len() - 1);
        }
    }

    #[test]
    fn paper_takes_the_path_of_least_weight(links in links(), transfers in transfers(1), k1 in 0.1..1.0_f64, k2 in 0.0..1.0_f64) {
        let transfer = transfers[0];
        // Formulas 16 to 18 by looking at every channel, for each.
        let total = |link: &Link| (link.balances[0] + link.balances[1]) as f64;
        let joins = |link: &Link, a: Node, b: Node| link.ends == [a, b] || link.ends == [b, a];
        let weight = |link: &Link| {
            let [i, j] = link.ends;
            let has = |a, b| links.iter().any(|link| joins(link, a, b));
            let around: f64 = (0..NODES).filter(|k| has(i, *k) && has(j, *k)).map(|k| {
                links.iter().filter(|link| joins(link, i, k) || joins(link, j, k)).map(total).sum::<f64>()
            }).sum();
            let dist = if total(link) > 0.0 { total(link) / (total(link) + around) } else { 0.0 };
            let bal = link.balances[0].abs_diff(link.balances[1]) as f64 / total(link);
            k1 * (1.0 - dist) + k2 * bal
        };
        let scale = 1e12;
        let next = |node: &Node| -> Vec<(Node, u64)> {
            let node = *node;
            links.iter().flat_map(|link| [0, 1].map(|side| (link, side))).filter(|(link, side)| {
                link.ends[*side] == node && link.balances[*side] >= transfer.amount
            }).map(|(link, side)| (link.ends[1 - side], (weight(link) * scale) as u64)).collect()
        };
        let least = dijkstra(&transfer.from, next, |node| *node == transfer.to);
        let mut planner = planner(&links, Strategy::Paper(Preference::new(k1, k2).expect("good numbers")));
        prop_assert_eq!(planner.settle(&transfers).is_ok(), least.is_some());
        if let Some((_, least)) = least {
            let taken: f64 = planner.network().changes().map(|(link, _)| weight(&links[link])).sum();
            prop_assert!((taken - least as f64 / scale).abs() < 1e-9, "{taken} is not {}", least as f64 / scale);
        }
    }

    #[test]
    fn everybody_gets_what_is_theirs_or_nothing_happens(links in links(), rounds in prop::collection::vec(transfers(4), 1..6)) {
        let strategies = [Strategy::Shortest, Strategy::Available, Strategy::Paper(Preference::default()), Strategy::Flow];
        for strategy in strategies {
            let mut planner = planner(&links, strategy);
            for transfers in &rounds {
                let before = balances(&planner);
                let settled = planner.settle(transfers);
                let after = balances(&planner);
                if settled.is_err() {
                    prop_assert_eq!(&before, &after);
                    continue;
                }
                for (link, after) in links.iter().zip(&after) {
                    prop_assert_eq!(link.balances[0] + link.balances[1], after[0] + after[1]);
                }
                let (mut expected, got) = (funds(&links, &before), funds(&links, &after));
                for (node, position) in positions(transfers) {
                    *expected.entry(node).or_default() += position;
                }
                expected.retain(|_, held| *held != 0);
                prop_assert_eq!(expected, got.into_iter().filter(|(_, held)| *held != 0).collect::<Positions>());
                for node in 0..NODES {
                    let held = links.iter().zip(&after).flat_map(|(link, after)| link.ends.into_iter().zip(*after));
                    let held: u128 = held.filter(|(end, _)| *end == node).map(|(_, own)| own).sum();
                    prop_assert_eq!(planner.network().funds(node), held);
                }
            }
        }
    }
}

#[test]
fn a_network_that_is_none_is_refused() {
    let link = |ends, balances| Link { ends, balances };
    let refused = |links: &[Link]| Network::new(2, links).expect_err("it is no network");
    assert_eq!(refused(&[link([0, 1], [1, 1]), link([1, 1], [1, 1])]), NoPlan::BadLink(1));
    assert_eq!(refused(&[link([0, 2], [1, 1])]), NoPlan::BadLink(0));
    assert_eq!(refused(&[link([0, 1], [u128::MAX, 1])]), NoPlan::Overflow);
    assert_eq!(refused(&[link([0, 1], [u128::MAX / 2, 0]), link([0, 1], [u128::MAX / 2, 0])]), NoPlan::Overflow);
    let mut planner = planner(&[link([0, 1], [5, 5])], Strategy::Flow);
    let transfer = |from, to, amount| Transfer { from, to, amount };
    assert_eq!(planner.settle(&[transfer(0, 1, 1), transfer(0, NODES, 1)]), Err(NoPlan::UnknownUser(1)));
    assert_eq!(planner.settle(&[transfer(0, 1, u128::MAX)]), Err(NoPlan::Overflow));
    assert_eq!(planner.settle(&[transfer(0, 1, 7)]), Err(NoPlan::NoFlow(2)));
    assert_eq!(planner.settle(&[transfer(0, 1, 0), transfer(1, 1, 3)]), Ok(()));
}
