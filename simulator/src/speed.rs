//! How many payments a second each strategy tries to settle, on one core.

use crate::{
    experiments::Progress,
    import,
    topology::{Division, Topology},
    workload::{Amounts, Kind, Transaction, Workload},
};
use anyhow::{Context, Result};
use planning::{
    planner::{Planner, Strategy},
    Preference,
};
use protocol::Balance;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde_json::json;
use std::{collections::BTreeMap, path::Path, time::Instant};

/// How often each strategy settles the whole workload; the median counts.
const ROUNDS: usize = 5;

/// A network and payments on it.
pub struct World {
    /// What it is.
    pub name: &'static str,
    /// The network.
    pub topology: Topology,
    /// One payment each.
    pub payments: Vec<Transaction>,
}

/// What one strategy did in one world.
#[derive(Clone, Debug)]
pub struct Speed {
    /// The strategy.
    pub strategy: &'static str,
    /// Payments a second: the median round.
    pub rate: f64,
    /// The slowest and the fastest round.
    pub range: [f64; 2],
    /// Which payments settled.
    pub settled: Vec<bool>,
}

impl World {
    fn new(name: &'static str, topology: Topology, below: Balance, payments: usize) -> Result<Self> {
        let rng = &mut Pcg64Mcg::seed_from_u64(1);
        let workload = Workload::new(topology.nodes, Kind::Payment, Amounts::Below(below), 0.0, rng)?;
        Ok(Self { name, topology, payments: workload.draw(payments, rng) })
    }

    /// All strategies, one after the other. The network is built before the clock starts.
    ///
    /// # Errors
    /// If the topology is none.
    pub fn measure(&self, preference: Preference, progress: &dyn Progress) -> Result<Vec<Speed>> {
        let strategies = [Strategy::Shortest, Strategy::Available, Strategy::Paper(preference), Strategy::Flow];
        progress.begin(self.name, strategies.len() as u64);
        let one = |strategy| {
            let speed = self.speed(strategy);
            progress.step();
            speed
        };
        strategies.into_iter().map(one).collect()
    }

    fn speed(&self, strategy: Strategy) -> Result<Speed> {
        let fresh = Planner::new(self.topology.network()?, strategy);
        let mut settled = Vec::with_capacity(self.payments.len());
        let mut round = || {
            let mut planner = fresh.clone();
            settled.clear();
            let start = Instant::now();
            // What finds no channels takes its time too.
            settled.extend(self.payments.iter().map(|payment| planner.settle(payment).is_ok()));
            self.payments.len() as f64 / start.elapsed().as_secs_f64()
        };
        let mut rates: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
        rates.sort_by(f64::total_cmp);
        let range = [rates[0], rates[ROUNDS - 1]];
        Ok(Speed { strategy: strategy.name(), rate: rates[ROUNDS / 2], range, settled })
    }

    /// The world and what was measured in it, for the same rules elsewhere.
    pub fn dump(&self, speeds: &[Speed]) -> serde_json::Value {
        let link = |[a, b]: [u32; 2], [of_a, of_b]: [Balance; 2]| json!([a, b, of_a as u64, of_b as u64]);
        let links: Vec<_> = self.topology.links.iter().map(|each| link(each.ends, each.balances)).collect();
        let payments = self.payments.iter().flatten().map(|pay| json!([pay.from, pay.to, pay.amount as u64]));
        let measured =
            speeds.iter().map(|speed| (speed.strategy, json!({ "rate": speed.rate, "settled": speed.settled })));
        json!({
            "name": self.name,
            "nodes": self.topology.nodes,
            "links": links,
            "payments": payments.collect::<Vec<_>>(),
            "measured": measured.collect::<BTreeMap<_, _>>(),
        })
    }
}

/// G(300, 750) with 200 tokens in a channel and amounts below 10; Lightning, if its files are there, with amounts below ten
/// million of its unit; and a large random network of 100,000 users and 1,000,000 channels.
///
/// # Errors
/// If the files cannot be read.
pub fn worlds(lightning: Option<&Path>) -> Result<Vec<World>> {
    let rng = &mut Pcg64Mcg::seed_from_u64(1);
    let mut random = |nodes, channels: u32| -> Result<Topology> {
        Ok(Topology::random(nodes, channels, rng)?.funded(200 * Balance::from(channels), Division::Even, rng))
    };
    let mut worlds = vec![World::new("G(300, 750)", random(300, 750)?, 10, 100_000)?];
    if let Some(folder) = lightning {
        worlds.push(World::new("Lightning", import::cloth(folder)?, 10_000_000, 20_000)?);
    }
    worlds.push(World::new("G(100000, 1000000)", random(100_000, 1_000_000)?, 10, 2_000)?);
    Ok(worlds)
}

/// The most memory that this process has had, in MB, where the system says.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    Some(kib.trim().parse::<u64>().ok()? * 1024 / 1_000_000)
}

/// Writes a world to a folder.
///
/// # Errors
/// If it cannot be written.
pub fn dump(folder: &Path, world: &World, speeds: &[Speed]) -> Result<()> {
    let name: String = world.name.chars().filter(char::is_ascii_alphanumeric).collect();
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, world.dump(speeds).to_string())
        .with_context(|| format!("{} cannot be written", file.display()))
}
