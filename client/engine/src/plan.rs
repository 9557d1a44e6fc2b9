//! Which channels carry what a group wants: waiting payments become rounds over disjoint channels.

use crate::{
    channel::{change, Channel},
    message::{Message, Move, Reason, Right},
    payment::{Payment, Scope},
    round::MAX_HANGING,
    sign::MAX_FOLDED,
    Engine, Over, Step,
};
use planning::{
    network::{Link, Network, Node},
    planner::{Planner, Strategy},
    NoPlan,
};
use protocol::{state::MAX_CHANNELS, AccountId, Asset, Balance, MpcId, TpcId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most payments that wait in a group. Whoever asks for more is told to try again later.
const MAX_QUEUE: usize = 65_536;

/// How long a payment waits for members that have not introduced their channels, in times of [`crate::Policy::resend_after`].
const MAX_WAITS: u64 = 16;

/// A payment that waits for its round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    pub from: AccountId,
    pub payment: Payment,
    pub scope: Scope,
    pub confirm: bool,
    pub tries: u32,
    /// Since when it waits, in ms of real time.
    pub since: u64,
}

/// A round that is being put together.
#[derive(Default)]
struct Assembly {
    moves: BTreeMap<TpcId, i128>,
    queued: Vec<Queued>,
}

/// The networks of groups, kept between rounds: a round costs what it moves, not what the group has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planners(BTreeMap<(MpcId, Asset), Plan>);

#[derive(Clone, Debug)]
struct Plan {
    nodes: BTreeMap<AccountId, Node>,
    links: Vec<TpcId>,
    places: BTreeMap<TpcId, usize>,
    planner: Planner,
}

impl Planners {
    /// The group's channels are others now.
    pub(crate) fn forget(&mut self, mpc: &MpcId) {
        self.0.retain(|(group, _), _| group != mpc);
    }
}

/// Why a payment is not in a round now.
enum Delay {
    /// It may be later.
    Later,
    /// Not all owners of the group's channels have introduced them yet.
    Introduced,
    /// It cannot be.
    Never(Reason),
}

impl Step<'_> {
    /// A member asks for a payment in a group that this account coordinates.
    pub(crate) fn enqueue(&mut self, from: AccountId, mpc: MpcId, payment: Payment, over: Over) {
        let Over::Group { scope, confirm, .. } = over else { return };
        let id = payment.id;
        let seats = self.engine.seats.get(&mpc);
        if !self.engine.led.get(&mpc).is_some_and(|led| led.is_open()) || seats.is_none_or(BTreeSet::is_empty) {
            return self.send(from, Message::WhoAreYou { mpc });
        }
        let owns =
            |tpc: &TpcId| self.engine.channels.get(tpc).is_some_and(|channel| channel.owners.parties.contains(&from));
        if !seats.is_some_and(|seats| seats.iter().any(owns)) {
            return self.send(from, Message::PayReject { payment: id, reason: Reason::UnknownGroup });
        }
        let queue = self.engine.queues.entry(mpc).or_default();
        if queue.len() >= MAX_QUEUE {
            return self.send(from, Message::PayReject { payment: id, reason: Reason::Full });
        }
        let waits = queue.iter().any(|queued| queued.payment.id == id);
        let in_round = self.engine.rounds.iter().any(|(_, round)| round.group() == Some(mpc) && round.settles(&id));
        if waits || in_round {
            return self.start_group_rounds(mpc);
        }
        let queue = self.engine.queues.entry(mpc).or_default();
        queue.push_back(Queued { from, payment, scope, confirm, tries: 0, since: self.engine.clock });
        self.start_group_rounds(mpc);
    }

    /// Starts rounds for what waits in a group, over channels that no round is on.
    pub(crate) fn start_group_rounds(&mut self, mpc: MpcId) {
        if self.engine.queues.get(&mpc).is_some_and(|queue| !queue.is_empty()) {
            self.assemble(mpc, Assembly::default());
        }
    }

    /// Leads a round in place of one that hangs, with what waits for its channels.
    ///
    /// Answers whether it could.
    pub(crate) fn heal(&mut self, mpc: MpcId, number: u64) -> bool {
        let tpcs = self.engine.tied(self.engine.live_tpcs(number));
        if tpcs.is_empty() || tpcs.len() > MAX_CHANNELS || !tpcs.iter().all(|tpc| self.engine.is_free(tpc)) {
            return false;
        }
        let moves = tpcs.into_iter().map(|tpc| (tpc, 0)).collect();
        self.assemble(mpc, Assembly { moves, queued: vec![] });
        true
    }

    fn assemble(&mut self, mpc: MpcId, first: Assembly) {
        let open = |led: &&crate::Led| led.is_open() && !self.engine.is_signed_off(&mpc, led);
        let Some(led) = self.engine.led.get(&mpc).filter(open) else { return };
        let right = Right::Coordinator(mpc, led.term());
        let mut assemblies = vec![];
        if !first.moves.is_empty() {
            assemblies.push(first);
        }
        let patience = MAX_WAITS.saturating_mul(self.engine.policy().resend_after);
        let patience = self.engine.clock.saturating_sub(patience);
        let mut later = VecDeque::new();
        while let Some(mut queued) = self.engine.queues.get_mut(&mpc).and_then(VecDeque::pop_front) {
            if queued.since == 0 {
                // It was asked for before the first tick.
                queued.since = self.engine.clock;
            }
            match self.fit(mpc, &queued, &mut assemblies) {
                Ok(()) => {}
                Err(Delay::Introduced) if queued.since >= patience => later.push_back(queued),
                Err(Delay::Introduced) => {
                    let reason = Reason::UnknownGroup;
                    self.send(queued.from, Message::PayReject { payment: queued.payment.id, reason });
                }
                Err(Delay::Later) => later.push_back(queued),
                Err(Delay::Never(reason)) => {
                    self.send(queued.from, Message::PayReject { payment: queued.payment.id, reason });
                }
            }
        }
        self.engine.queues.insert(mpc, later);
        for Assembly { moves, queued } in assemblies {
            let payments: Vec<_> = queued.iter().map(|queued| queued.payment.clone()).collect();
            let owners = moves.keys().filter_map(|tpc| self.engine.channels.get(tpc)).map(|channel| channel.owners);
            let owners: Vec<_> = owners.collect();
            let moves: Vec<_> = moves.into_iter().map(|(tpc, change)| Move { tpc, change }).collect();
            let tpcs: Vec<_> = moves.iter().map(|moved| moved.tpc).collect();
            self.lead(right, Some(mpc), payments.into(), owners, moves, queued);
            tpcs.iter().for_each(|tpc| self.engine.planners_reach(tpc));
        }
    }

    /// Plans a payment and puts it into the round that it belongs to.
    fn fit(&mut self, mpc: MpcId, queued: &Queued, assemblies: &mut Vec<Assembly>) -> Result<(), Delay> {
        let moves = self.engine.plan(mpc, &queued.payment)?;
        let tpcs = match queued.scope {
            Scope::Touched => moves.keys().copied().collect(),
            // Nobody signs over a disputed channel: the payment passes by those that others dispute (rule S1).
            Scope::All => {
                let seats = self.engine.seats.get(&mpc).into_iter().flatten();
                seats.filter(|tpc| !self.engine.is_contested(tpc)).copied().collect()
            }
        };
        let mut tpcs = self.engine.tied(tpcs);
        // Rounds that are put together and share a channel become one.
        let overlaps = |assembly: &Assembly| assembly.moves.keys().any(|tpc| tpcs.contains(tpc));
        let places: Vec<_> = (0..assemblies.len()).filter(|place| overlaps(&assemblies[*place])).collect();
        for place in &places {
            tpcs.extend(assemblies[*place].moves.keys());
        }
        let folded: usize = places.iter().map(|place| assemblies[*place].queued.len()).sum();
        let free = tpcs.iter().all(|tpc| self.engine.is_free(tpc) && self.engine.hanging_on(tpc).len() < MAX_HANGING);
        if !free || tpcs.len() > MAX_CHANNELS || folded >= MAX_FOLDED {
            moves.iter().for_each(|(tpc, change)| self.engine.take_back(mpc, tpc, *change));
            let busy =
                tpcs.iter().any(|tpc| self.engine.is_in_round(tpc) || self.engine.hanging_on(tpc).len() >= MAX_HANGING);
            let unusable = tpcs.iter().find(|tpc| !self.engine.is_free(tpc) && !busy);
            return Err(match unusable {
                Some(tpc) if self.engine.is_contested(tpc) => Delay::Never(Reason::Disputed(*tpc)),
                Some(tpc) if self.engine.is_unknown(tpc) => Delay::Introduced,
                Some(tpc) => Delay::Never(Reason::NotOnChain(*tpc)),
                None if places.is_empty() && free => Delay::Never(Reason::Protocol(protocol::Error::TooManyChannels)),
                None => Delay::Later,
            });
        }
        let mut joined = Assembly::default();
        for place in places.into_iter().rev() {
            let Assembly { moves, queued } = assemblies.remove(place);
            joined.moves.extend(moves);
            joined.queued.extend(queued);
        }
        for tpc in tpcs {
            joined.moves.entry(tpc).or_default();
        }
        for (tpc, change) in moves {
            let sum = joined.moves.entry(tpc).or_default();
            *sum = sum.saturating_add(change);
        }
        joined.queued.push(queued.clone());
        assemblies.push(joined);
        Ok(())
    }
}

impl Engine {
    /// Whether a channel of a group can take part in a new round.
    fn is_free(&self, tpc: &TpcId) -> bool {
        self.channels.get(tpc).is_some_and(|channel| self.is_usable(tpc, channel) && !self.is_in_round(tpc))
    }

    fn is_usable(&self, tpc: &TpcId, channel: &Channel) -> bool {
        channel.introduced == [true; 2] && !channel.on_chain.gone && !self.is_contested(tpc)
    }

    fn is_contested(&self, tpc: &TpcId) -> bool {
        self.channels.get(tpc).is_some_and(|channel| channel.on_chain.dispute.is_some()) || self.head.contains(tpc)
    }

    /// Whether not all owners of a channel of a group have introduced it yet.
    fn is_unknown(&self, tpc: &TpcId) -> bool {
        self.channels.get(tpc).is_some_and(|channel| channel.introduced != [true; 2])
    }

    /// Channels with all that hang together with them: a round over one of them has to name all (rule S2).
    fn tied(&self, tpcs: BTreeSet<TpcId>) -> BTreeSet<TpcId> {
        let mut tied = tpcs.clone();
        let mut next: Vec<_> = tpcs.into_iter().collect();
        while let Some(tpc) = next.pop() {
            for number in self.hanging_on(&tpc) {
                next.extend(self.live_tpcs(number).into_iter().filter(|other| tied.insert(*other)));
            }
        }
        tied
    }

    /// What a payment moves. The group's networks have it paid then.
    fn plan(&mut self, mpc: MpcId, payment: &Payment) -> Result<BTreeMap<TpcId, i128>, Delay> {
        let assets: BTreeSet<_> = payment.transfers.iter().map(|transfer| transfer.asset).collect();
        let mut moves = BTreeMap::new();
        for asset in assets {
            match self.plan_asset(mpc, payment, asset) {
                Ok(moved) => moves.extend(moved),
                Err(reason) => {
                    moves.iter().for_each(|(tpc, change)| self.take_back(mpc, tpc, *change));
                    let seats = self.seats.get(&mpc).into_iter().flatten();
                    let seats: Vec<_> = seats.collect();
                    return Err(if seats.iter().any(|tpc| self.is_in_round(tpc)) {
                        Delay::Later
                    } else if seats.iter().any(|tpc| self.is_unknown(tpc)) {
                        Delay::Introduced
                    } else {
                        Delay::Never(Reason::NoPlan(reason))
                    });
                }
            }
        }
        Ok(moves)
    }

    fn plan_asset(&mut self, mpc: MpcId, payment: &Payment, asset: Asset) -> Result<BTreeMap<TpcId, i128>, NoPlan> {
        if !self.planners.0.contains_key(&(mpc, asset)) {
            let plan = self.network(mpc, asset)?;
            self.planners.0.insert((mpc, asset), plan);
        }
        let Some(plan) = self.planners.0.get_mut(&(mpc, asset)) else { return Ok(BTreeMap::new()) };
        let own = payment.transfers.iter().filter(|transfer| transfer.asset == asset);
        let numbered = (0..).zip(own).map(|(index, transfer)| {
            let node = |user| plan.nodes.get(user).copied().ok_or(NoPlan::UnknownUser(index));
            let (from, to) = (node(&transfer.from)?, node(&transfer.to)?);
            Ok(planning::Transfer { from, to, amount: transfer.amount })
        });
        let numbered = numbered.collect::<Result<Vec<_>, NoPlan>>()?;
        plan.planner.settle(&numbered)?;
        let network = plan.planner.network();
        let moved = network.changes().map(|(link, before)| {
            let change = change(before, network.balances(link)).ok_or(NoPlan::Overflow)?;
            Ok((plan.links[link], change))
        });
        moved.collect()
    }

    fn network(&self, mpc: MpcId, asset: Asset) -> Result<Plan, NoPlan> {
        let seats = self.seats.get(&mpc).into_iter().flatten();
        let channels = seats.filter_map(|tpc| Some((*tpc, self.channels.get(tpc)?)));
        let channels: Vec<_> = channels.filter(|(_, channel)| channel.owners.asset == asset).collect();
        let users: BTreeSet<_> = channels.iter().flat_map(|(_, channel)| channel.owners.parties).collect();
        let nodes: BTreeMap<_, Node> = users.into_iter().zip(0..).collect();
        let links = channels.iter().map(|(tpc, channel)| Link {
            ends: channel.owners.parties.map(|party| nodes[&party]),
            balances: self.planned(tpc, channel),
        });
        let links: Vec<_> = links.collect();
        let network = Network::new(nodes.len() as Node, &links)?;
        Ok(Plan {
            planner: Planner::new(network, Strategy::Flow),
            nodes,
            places: channels.iter().map(|(tpc, _)| *tpc).zip(0..).collect(),
            links: channels.iter().map(|(tpc, _)| *tpc).collect(),
        })
    }

    /// What a channel has for new rounds: nothing while it is on its way in another.
    fn planned(&self, tpc: &TpcId, channel: &Channel) -> [Balance; 2] {
        match self.is_usable(tpc, channel) && !self.is_in_round(tpc) {
            true => channel.latest.balances,
            false => [0, 0],
        }
    }

    /// The networks of a channel's group take over how it stands.
    pub(crate) fn planners_reach(&mut self, tpc: &TpcId) {
        let Some(channel) = self.channels.get(tpc) else { return };
        let Some(mpc) = channel.mpc.filter(|mpc| self.led.contains(mpc)) else { return };
        let balances = self.planned(tpc, channel);
        self.set_planned(mpc, channel.owners.asset, tpc, |_| Some(balances));
    }

    fn take_back(&mut self, mpc: MpcId, tpc: &TpcId, change: i128) {
        let Some(asset) = self.channels.get(tpc).map(|channel| channel.owners.asset) else { return };
        let back = change.checked_neg().unwrap_or_default();
        self.set_planned(mpc, asset, tpc, |balances| crate::channel::shifted(balances, back));
    }

    fn set_planned(
        &mut self,
        mpc: MpcId,
        asset: Asset,
        tpc: &TpcId,
        next: impl FnOnce([Balance; 2]) -> Option<[Balance; 2]>,
    ) {
        let Some(plan) = self.planners.0.get_mut(&(mpc, asset)) else { return };
        let Some(place) = plan.places.get(tpc).copied() else { return };
        let set = next(plan.planner.network().balances(place))
            .is_some_and(|balances| plan.planner.set_balances(place, balances).is_ok());
        if !set {
            self.planners.forget(&mpc);
        }
    }
}
