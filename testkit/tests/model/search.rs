//! Every world that can be reached, the nearest first.

use crate::{
    scenario::Scenario,
    world::{Model, Promise, Step, World},
};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// What a search came to.
#[derive(Debug)]
pub struct Found {
    pub worlds: usize,
    pub steps: usize,
    /// The honest party's states, and the contract's.
    pub parties: usize,
    pub ledgers: usize,
    pub time: Duration,
    /// The slots that were asked for and signed in some world, the drafts that came to count, and the payments that X's books
    /// had as settled: so that a search is known to be about them.
    pub asked: u8,
    pub complete: u8,
    pub settled: u8,
    /// The first promise that is broken, and how.
    pub broken: Option<(Promise, Vec<Step>)>,
}

/// Walks everything that can happen, until a promise is broken: any, or the one that is named.
pub fn search(scenario: &Scenario, named: Option<Promise>) -> Found {
    let start = Instant::now();
    let (mut model, first) = Model::new(scenario.clone());
    let mut numbers: HashMap<World, usize> = HashMap::from([(first.clone(), 0)]);
    let mut worlds: Vec<(World, usize, Option<Step>)> = vec![(first, 0, None)];
    // What differs only in what could be asked for yet ends alike.
    let mut judged: HashSet<World> = HashSet::new();
    let (mut at, mut steps, mut broken) = (0, 0, None);
    let (mut asked, mut complete, mut settled) = (0, 0, 0);
    while at < worlds.len() {
        let world = worlds[at].0.clone();
        asked |= world.asked;
        complete |= world.complete;
        settled |= world.settled;
        if judged.insert(world.as_left()) {
            if let Some(promise) = model.broken(&world).filter(|promise| named.is_none_or(|named| named == *promise)) {
                broken = Some((promise, path(&worlds, at)));
                break;
            }
        }
        for step in model.steps(&world) {
            let Some(next) = model.next(&world, step) else { continue };
            steps += 1;
            let number = worlds.len();
            if *numbers.entry(next.clone()).or_insert(number) == number {
                worlds.push((next, at, Some(step)));
            }
        }
        at += 1;
    }
    let (parties, ledgers) = (model.arena.parties.len(), model.arena.ledgers.len());
    let (worlds, time) = (worlds.len(), start.elapsed());
    Found { worlds, steps, parties, ledgers, time, asked, complete, settled, broken }
}

fn path(worlds: &[(World, usize, Option<Step>)], mut at: usize) -> Vec<Step> {
    let mut steps = vec![];
    while let (_, from, Some(step)) = &worlds[at] {
        steps.push(*step);
        at = *from;
    }
    steps.reverse();
    steps
}
