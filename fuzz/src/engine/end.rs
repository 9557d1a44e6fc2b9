//! What holds at the end of a run.

use super::{
    stage::{groups, policy, ASSETS, COORDINATOR, FUNDS, WINDOW},
    Run, NODES,
};
use engine::Command;
use protocol::{Asset, Balance, Resolution, Tpc, TpcId};

/// The longest that anything may take once nothing goes wrong any more, in ms.
const PATIENCE: u64 = 300_000;

/// How often everybody disputes what it is in: a channel may have been renewed or brought into being meanwhile.
const EXITS: usize = 8;

impl Run {
    /// Calms down and checks: nothing hangs, everybody who is honest gets back what it has by its books, the books agree, and
    /// nobody has lost more than it has let go.
    pub(super) fn end(mut self) {
        self.calm_down();
        let quiet = self.world.heal(PATIENCE);
        if self.adversary.is_none() {
            assert!(quiet, "something hangs:{}", self.hanging());
            self.check_outcomes();
        }
        for _ in 0..EXITS {
            if !self.dispute() {
                break;
            }
            self.world.run(WINDOW + 5_000);
        }
        assert!(self.world.heal(PATIENCE), "something hangs at the end:{}", self.hanging());
        for node in self.honest() {
            self.check_funds(node);
        }
        if self.adversary.is_none() {
            self.check_outcomes();
        }
    }

    /// From now on the network delivers everything, and only a silent adversary is silent.
    fn calm_down(&mut self) {
        self.collect();
        self.world.held_back = None;
        for node in &mut self.world.nodes {
            node.fate = None;
        }
        if let (Some(node), true) = (self.adversary, self.is_silent) {
            self.world.leave(node, 0);
            self.world.nodes[node].gone = true;
        }
        // Everybody is back.
        self.world.heal(0);
        for node in 0..NODES {
            let _ = self.world.command(node, Command::SetPolicy(policy()));
        }
        if self.adversary.is_none() {
            self.appoint();
        }
    }

    /// Has the members of every group agree on who coordinates it: while they do not, nobody can lead its rounds.
    fn appoint(&mut self) {
        let coordinator = self.world.account(COORDINATOR);
        for mpc in groups(&self.world) {
            let member = |node: &usize| {
                let engine = self.world.engine(*node)?;
                engine.memberships().find(|(group, _)| **group == mpc).map(|(_, member)| member.term)
            };
            let members: Vec<_> = (0..NODES).filter_map(|node| Some((node, member(&node)?))).collect();
            let term = members.iter().map(|(_, term)| *term).max().unwrap_or_default().saturating_add(1);
            for (node, _) in members {
                let _ = self.world.command(node, Command::SetCoordinator { mpc, coordinator, term });
            }
        }
    }

    /// A node's channels on chain.
    fn own(&self, node: usize) -> impl Iterator<Item = (&TpcId, &Tpc)> {
        let account = self.world.account(node);
        self.world.ledger.tpcs().filter(move |(_, tpc)| tpc.owners.parties.contains(&account))
    }

    /// What a node has in channels that have come to be too late for it to leave them.
    fn left(&self, node: usize, asset: Asset) -> Balance {
        let account = self.world.account(node);
        let own = self.own(node).filter(|(_, stored)| stored.owners.asset == asset).map(|(tpc, stored)| {
            assert_eq!(stored.dispute, None, "node {node} is not paid out of {tpc}");
            let channel = self.world.engine(node).and_then(|engine| engine.channel(tpc));
            let index = usize::from(stored.owners.parties[1] == account);
            channel.map_or(stored.balances[index], |channel| channel.balance_of(account))
        });
        own.sum()
    }

    /// Has every honest node dispute what it is in. Answers whether anybody is in anything.
    fn dispute(&mut self) -> bool {
        let mut any = false;
        for node in self.honest() {
            any |= self.own(node).next().is_some();
            let Some(engine) = self.world.engine(node) else { continue };
            let open = engine.channels().filter(|(_, channel)| {
                let dispute = channel.on_chain.dispute;
                !channel.on_chain.gone && dispute.is_none_or(|dispute| dispute.then == Resolution::Renew)
            });
            for tpc in open.map(|(tpc, _)| *tpc).collect::<Vec<_>>() {
                let _ = self.world.command(node, Command::Dispute { channels: vec![tpc], then: Resolution::Settle });
            }
        }
        any
    }

    /// An honest node has what its books say, and nobody has taken more from it than it has let go.
    fn check_funds(&self, node: usize) {
        for asset in ASSETS {
            let gained = self.world.gained(node, asset);
            let expected = i128::try_from(FUNDS).expect("it is little").saturating_add(gained);
            let has = self.world.free(node, asset) + self.left(node, asset);
            let has = i128::try_from(has).expect("it is little");
            assert_eq!(has, expected, "node {node} of {asset:?}");
            let spent = self.spent.get(&(node, asset)).copied().unwrap_or_default();
            let spent = i128::try_from(spent).unwrap_or(i128::MAX);
            if !self.world.nodes[node].accepts && !self.consented.contains(&node) {
                assert!(gained >= -spent, "node {node} has let go {spent} of {asset:?}, and gained {gained}");
            }
        }
    }

    /// What every payer says is settled, every payee says too.
    fn check_outcomes(&self) {
        for asset in ASSETS {
            let sum: i128 = (0..NODES).map(|node| self.world.gained(node, asset)).sum();
            assert_eq!(sum, 0, "payers and payees do not agree on {asset:?}");
        }
    }

    /// What waits, for whoever reads a finding.
    fn hanging(&self) -> String {
        let mut text = String::new();
        for node in self.honest() {
            let Some(engine) = self.world.engine(node) else {
                text += &format!("\nnode {node} is dead");
                continue;
            };
            for (id, held) in engine.held().filter(|(_, held)| held.in_flight) {
                let entries: Vec<_> = held.update.entries.iter().map(|entry| (entry.tpc, entry.order())).collect();
                text += &format!("\nnode {node} in flight {:02x?} {:?} {entries:?}", &id[..3], held.right);
            }
            for payment in engine.pending() {
                text += &format!("\nnode {node} pending {payment:?}");
            }
            text += &format!("\nnode {node} rounds {}", engine.describe_rounds());
        }
        text
    }
}
