//! A network of channels in flat arrays: what each user can pay each neighbour, and what has been tried.

use super::NoPlan;
use protocol::Balance;

/// A user of a network, numbered from 0.
pub type Node = u32;

/// One direction of a channel.
pub type Arc = usize;

/// A channel between two users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The owners.
    pub ends: [Node; 2],
    /// What each owner holds.
    pub balances: [Balance; 2],
}

/// Channels and their balances.
///
/// Each channel is two arcs, and the arcs of a node lie side by side. What an arc can carry is what its payer holds, so
/// a payment leaves behind the residual network of flow algorithms.
#[derive(Clone, Debug)]
pub struct Network {
    /// Where the arcs of each node begin; one more for the end.
    first: Vec<u32>,
    /// Where each arc leads.
    head: Vec<Node>,
    /// The other direction of each arc.
    twin: Vec<u32>,
    /// The channel of each arc.
    link: Vec<u32>,
    /// What each arc can carry.
    out: Vec<Balance>,
    /// What the other direction of each arc can carry: searches from the payee read it side by side.
    back: Vec<Balance>,
    /// The arcs of each channel, by who pays on it.
    arcs: Vec<[u32; 2]>,
    /// What each node holds in all of its channels.
    funds: Vec<Balance>,
    /// What all channels of each node hold together.
    capacity: Vec<Balance>,
    /// The trial in which a channel was touched last, and its place in it.
    touched: Vec<(u32, u32)>,
    trial: u32,
    journal: Vec<(u32, Balance)>,
}

impl Network {
    /// A network of `nodes` users.
    ///
    /// # Errors
    /// [`NoPlan::BadLink`] if a channel has an unknown owner or twice the same; [`NoPlan::Overflow`] if a user's channels
    /// hold more than 127 bits can say.
    pub fn new(nodes: Node, links: &[Link]) -> Result<Self, NoPlan> {
        let mut degrees = vec![0_u32; nodes as usize + 1];
        let mut capacity = vec![0 as Balance; nodes as usize];
        let mut funds = capacity.clone();
        for (index, Link { ends, balances }) in links.iter().enumerate() {
            if ends[0] == ends[1] || ends.iter().any(|end| *end >= nodes) {
                return Err(NoPlan::BadLink(index as u32));
            }
            let total = balances[0].checked_add(balances[1]).ok_or(NoPlan::Overflow)?;
            for (end, own) in ends.iter().zip(balances) {
                let node = *end as usize;
                degrees[node] += 1;
                funds[node] = funds[node].checked_add(*own).ok_or(NoPlan::Overflow)?;
                capacity[node] = capacity[node].checked_add(total).ok_or(NoPlan::Overflow)?;
            }
        }
        if capacity.iter().any(|total| i128::try_from(*total).is_err()) {
            return Err(NoPlan::Overflow);
        }
        let mut first = Vec::with_capacity(degrees.len());
        let mut next = 0;
        for degree in &degrees {
            first.push(next);
            next += degree;
        }
        let count = links.len() * 2;
        let mut network = Self {
            head: vec![0; count],
            twin: vec![0; count],
            link: vec![0; count],
            out: vec![0; count],
            back: vec![0; count],
            arcs: Vec::with_capacity(links.len()),
            funds,
            capacity,
            touched: vec![(0, 0); links.len()],
            trial: 1,
            journal: vec![],
            first: first.clone(),
        };
        for (index, Link { ends, balances }) in links.iter().enumerate() {
            let arcs = ends.map(|end| {
                let arc = first[end as usize];
                first[end as usize] += 1;
                arc
            });
            for side in [0, 1] {
                let arc = arcs[side] as usize;
                network.head[arc] = ends[1 - side];
                network.twin[arc] = arcs[1 - side];
                network.link[arc] = index as u32;
                network.out[arc] = balances[side];
                network.back[arc] = balances[1 - side];
            }
            network.arcs.push(arcs);
        }
        Ok(network)
    }

    /// How many users there are.
    pub fn nodes(&self) -> Node {
        self.funds.len() as Node
    }

    /// How many channels there are.
    pub fn links(&self) -> usize {
        self.arcs.len()
    }

    /// The arcs on which a node pays.
    pub fn arcs_of(&self, node: Node) -> std::ops::Range<Arc> {
        self.first[node as usize] as Arc..self.first[node as usize + 1] as Arc
    }

    /// The arcs of a channel, by who pays on it.
    pub fn arcs(&self, link: usize) -> [Arc; 2] {
        self.arcs[link].map(|arc| arc as Arc)
    }

    /// Who is paid on an arc.
    pub fn head(&self, arc: Arc) -> Node {
        self.head[arc]
    }

    /// Who pays on an arc.
    pub fn tail(&self, arc: Arc) -> Node {
        self.head[self.twin[arc] as Arc]
    }

    /// The channel of an arc.
    pub fn link(&self, arc: Arc) -> usize {
        self.link[arc] as usize
    }

    /// The other direction of an arc.
    pub fn twin(&self, arc: Arc) -> Arc {
        self.twin[arc] as Arc
    }

    /// What an arc can carry.
    pub fn out(&self, arc: Arc) -> Balance {
        self.out[arc]
    }

    /// What the other direction of an arc can carry.
    pub fn back(&self, arc: Arc) -> Balance {
        self.back[arc]
    }

    /// What the owners of a channel hold in it.
    pub fn balances(&self, link: usize) -> [Balance; 2] {
        self.arcs(link).map(|arc| self.out[arc])
    }

    /// What a node holds in all of its channels: the most that it can pay.
    pub fn funds(&self, node: Node) -> Balance {
        self.funds[node as usize]
    }

    /// What a node's neighbours hold towards it: the most that it can be paid.
    pub fn receivable(&self, node: Node) -> Balance {
        self.capacity[node as usize] - self.funds[node as usize]
    }

    /// Gives a channel other balances, from outside of any trial.
    ///
    /// # Errors
    /// [`NoPlan::Overflow`] if an owner's channels would hold more than 127 bits can say; nothing has changed then.
    pub(super) fn set(&mut self, link: usize, balances: [Balance; 2]) -> Result<(), NoPlan> {
        self.begin();
        let arcs = self.arcs(link);
        let before = self.balances(link);
        let total = |[first, second]: [Balance; 2]| first.checked_add(second).ok_or(NoPlan::Overflow);
        let (held, holds) = (total(before)?, total(balances)?);
        let ends = arcs.map(|arc| self.tail(arc) as usize);
        let mut capacity = [0; 2];
        for side in [0, 1] {
            let others = self.capacity[ends[side]] - held;
            capacity[side] =
                others.checked_add(holds).filter(|sum| i128::try_from(*sum).is_ok()).ok_or(NoPlan::Overflow)?;
        }
        for side in [0, 1] {
            self.capacity[ends[side]] = capacity[side];
            self.funds[ends[side]] = self.funds[ends[side]] - before[side] + balances[side];
            self.out[arcs[side]] = balances[side];
            self.back[arcs[side]] = balances[1 - side];
        }
        Ok(())
    }

    /// Pays on an arc, which can carry it.
    pub(super) fn push(&mut self, arc: Arc, amount: Balance) {
        let (link, twin) = (self.link[arc] as usize, self.twin[arc] as Arc);
        if self.touched[link].0 != self.trial {
            self.touched[link] = (self.trial, self.journal.len() as u32);
            self.journal.push((link as u32, self.out[self.arcs[link][0] as Arc]));
        }
        self.out[arc] -= amount;
        self.back[arc] += amount;
        self.out[twin] += amount;
        self.back[twin] -= amount;
        let [payer, payee] = [self.head[twin], self.head[arc]].map(|node| node as usize);
        self.funds[payer] -= amount;
        self.funds[payee] += amount;
    }

    /// What the payer of an arc held before the trial.
    pub(super) fn before(&self, arc: Arc) -> Balance {
        let link = self.link[arc] as usize;
        match self.touched[link] {
            (trial, place) if trial == self.trial => {
                let first = self.journal[place as usize].1;
                let total = self.out[arc] + self.back[arc];
                if self.arcs[link][0] as Arc == arc {
                    first
                } else {
                    total - first
                }
            }
            _ => self.out[arc],
        }
    }

    /// The channels whose balances the trial has changed, each with what its owners held before.
    pub fn changes(&self) -> impl Iterator<Item = (usize, [Balance; 2])> + '_ {
        let moved = |(link, first): &(u32, Balance)| {
            let now = self.balances(*link as usize);
            (now[0] != *first).then(|| (*link as usize, [*first, now[0] + now[1] - first]))
        };
        self.journal.iter().filter_map(moved)
    }

    /// The channels on which the trial has paid.
    pub(super) fn touched(&self) -> impl Iterator<Item = usize> + '_ {
        self.journal.iter().map(|(link, _)| *link as usize)
    }

    /// Begins a new trial: what was paid so far stays.
    pub(super) fn begin(&mut self) {
        self.journal.clear();
        self.trial = self.trial.wrapping_add(1);
        if self.trial == 0 {
            self.touched.fill((0, 0));
            self.trial = 1;
        }
    }

    /// Takes back what the trial has paid.
    pub(super) fn undo(&mut self) {
        while let Some((link, before)) = self.journal.pop() {
            let [first, second] = self.arcs(link as usize);
            let now = self.out[first];
            let (arc, amount) = if now < before { (second, before - now) } else { (first, now - before) };
            self.push(arc, amount);
        }
        self.begin();
    }
}
