//! What is promised to X, in every state: if all others stop, it gets everything out by itself, and as the rules say.

use crate::{
    scenario::bits,
    world::{Model, Promise, Seen, What, World},
};

/// The most blocks that an exit takes: to see what is late, a renewal, a dispute, its window, and the settlement.
const EXIT: usize = 16;

impl Model {
    /// Which promise is broken, if all others stop now and X leaves.
    pub fn broken(&mut self, world: &World) -> Option<Promise> {
        if world.broken.is_some() {
            return world.broken;
        }
        self.arena.aside = Some(Box::new(self.arena.parties.get(world.party).clone()));
        let end = self.exit(world);
        self.arena.aside = None;
        self.judge(&end)
    }

    /// X disputes all its channels, publishes what it holds, and settles. Nobody else does anything.
    fn exit(&mut self, world: &World) -> World {
        let mut end = world.clone();
        for _ in 0..EXIT {
            self.include_all(&mut end);
            if self.is_over(&end) {
                break;
            }
            self.leave(&mut end);
            self.include_all(&mut end);
            self.block(&mut end, Seen::All);
        }
        // It sees that.
        self.block(&mut end, Seen::All);
        end
    }

    fn include_all(&mut self, world: &mut World) {
        while self.is_calling(world) {
            self.include(world);
        }
    }

    fn judge(&self, end: &World) -> Option<Promise> {
        if end.broken.is_some() {
            return end.broken;
        }
        if !self.is_over(end) {
            return Some(Promise::Recovery);
        }
        if self.is_below(end) {
            return Some(Promise::NeverBelow);
        }
        let mut counted = vec![];
        for (place, _) in self.scenario.own() {
            let balance = end.ends[place].map(|end| end.balance)?;
            match self.scenario.counted(place, balance) {
                Some(set) => counted.push((place, set)),
                None => return Some(Promise::Explained),
            }
        }
        let mut all = 0;
        for payment in 0..self.scenario.payments.len() {
            let moves = counted.iter().filter(|(place, _)| self.scenario.change(payment, *place) != 0);
            let counts: Vec<_> = moves.map(|(_, set)| set & (1 << payment) != 0).collect();
            if counts.contains(&true) && counts.contains(&false) {
                return Some(Promise::Atomicity);
            }
            all |= u8::from(counts.contains(&true)) << payment;
        }
        if end.settled != all || end.void & all != 0 {
            return Some(Promise::Books);
        }
        end.lost.then_some(Promise::Kept)
    }

    /// Whether an own channel has ended below what was complete for X.
    fn is_below(&self, end: &World) -> bool {
        let mut ledger = self.arena.ledgers.get(end.ledger).clone();
        let complete = bits(end.complete).map(|place| self.draft(end, place));
        let updates = complete.filter(|draft| matches!(draft.what, What::Update(..)));
        let entries: Vec<_> = updates.flat_map(|draft| &draft.entries).collect();
        entries.into_iter().any(|entry| {
            let own = self.scenario.own().find(|(_, channel)| channel.tpc == entry.tpc);
            let Some((place, channel)) = own else { return false };
            let ended = ledger.read(channel.tpc, entry.epoch).ended.1;
            let last = end.ends[place].filter(|end| end.order.0 == entry.epoch).map(|end| end.order.1);
            ended.or(last).is_some_and(|version| version < entry.version)
        })
    }
}
