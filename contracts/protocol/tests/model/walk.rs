//! Random walks: all actions together, in scenarios that are too large to exhaust.

use crate::{
    lists::TOPOLOGIES,
    world::{Kind, Scenario, Step, SLOTS, TICK},
};
use stateright::Model;
use Kind::*;

/// A generator of numbers that are the same on each run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn some(&mut self, channels: usize) -> Vec<usize> {
        let set = 1 + self.below((1 << channels) - 1);
        (0..channels).filter(|channel| set & (1 << channel) != 0).collect()
    }

    fn slots(&mut self, channels: usize) -> Vec<Kind> {
        let mut slots: Vec<_> = (0..SLOTS).map(|_| self.kind(channels)).collect();
        // What registered may leave.
        if let Some(Register(set)) = slots.iter().find(|kind| matches!(kind, Register(_))).cloned() {
            slots[SLOTS - 1] = Leave(set);
        }
        slots
    }

    fn kind(&mut self, channels: usize) -> Kind {
        match self.below(12) {
            0 => Close(self.below(channels)),
            1 => TopUp(self.below(channels)),
            2 => Withdraw(self.below(channels)),
            3 => Split(0),
            4 => Merge(0, 1),
            5 => Register(self.some(channels)),
            6 => Register(vec![self.below(channels)]),
            // The last channel is not there at the start.
            7 => Create(channels - 1),
            _ => Update(self.some(channels)),
        }
    }
}

/// What the walks came to.
#[derive(Debug, Default)]
pub struct Walked {
    pub steps: usize,
    pub ends: usize,
    /// How often each kind of thing was executed on chain: close, top-up, withdrawal, split, merge, registration, leaving,
    /// creation, update.
    pub executed: [usize; 9],
}

const STEPS: usize = 60;

/// Walks that many scenarios, and demands that every promise is kept in every state.
pub fn walk(walks: usize) -> Walked {
    let mut random = Random(1);
    let mut walked = Walked::default();
    for number in 0..walks {
        let mut channels = TOPOLOGIES[random.below(TOPOLOGIES.len())].to_vec();
        channels.push(["XM?", "XY?", "MN?"][random.below(3)]);
        let slots = random.slots(channels.len());
        let scenario = Scenario {
            renewals: 2,
            // Up to what is withheld until after a renewal.
            validity: TICK * (1 + random.below(3) as u64),
            reversed: random.below(2) == 0,
            forges: random.below(4) == 0,
            ..Scenario::new(&channels, slots)
        };
        let mut world = scenario.init_states().remove(0);
        let mut path = vec![];
        for _ in 0..STEPS {
            let mut steps = vec![];
            scenario.actions(&world, &mut steps);
            // The order is drawn until a step is possible.
            let next = loop {
                if steps.is_empty() {
                    break None;
                }
                let step = steps.swap_remove(random.below(steps.len()));
                // What ends channels comes seldom, so that there is time for the rest.
                let ends = matches!(step, Step::Dispute(..) | Step::Close(_) | Step::Tick | Step::Settle);
                if ends && !steps.is_empty() && random.below(4) > 0 {
                    steps.insert(0, step);
                    continue;
                }
                if let Some(next) = scenario.next_state(&world, step.clone()) {
                    break Some((step, next));
                }
            };
            let Some((step, next)) = next else {
                walked.ends += 1;
                break;
            };
            if let Step::Publish(slot) = step {
                walked.executed[place(&scenario.slots[slot])] += 1;
            }
            walked.steps += 1;
            path.push(step);
            world = next;
            let broken = scenario.broken(&world);
            assert_eq!(broken, None, "walk {number}, {scenario}, after {path:?}");
        }
    }
    walked
}

fn place(kind: &Kind) -> usize {
    match kind {
        Close(_) => 0,
        TopUp(_) => 1,
        Withdraw(_) => 2,
        Split(_) => 3,
        Merge(..) => 4,
        Register(_) => 5,
        Leave(_) => 6,
        Create(_) => 7,
        Update(_) => 8,
    }
}
