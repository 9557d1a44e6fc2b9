//! How long payments take: the real engine under a simulated clock (the paper's Figs. 2 to 4 and Table 1).

use super::{Effort, Progress};
use crate::output::{Axis, Cell, Figure, Finding, Point, Series, Table};
use anyhow::{ensure, Context, Result};
use chain::{
    block_on,
    contract::{Bundle, Contract},
    costs::ring,
    keys::Keys,
    UNIT,
};
use devchain::Devchain;
use engine::{
    payment::{Grantee, Purpose},
    Command, Notice, Outcome, Over, Permission, Scope, Transfer,
};
use protocol::{abi::Deposit, state::MIN_WINDOW, AccountId, Asset, Balance, MpcId, TpcId};
use rayon::prelude::*;
use std::collections::BTreeMap;
use testkit::local::{Delays, Local};

/// The paper's clock: a block each 15 s, and 50 ms a message.
const DELAYS: Delays = Delays { message: 50, block: 15_000 };
/// What each owner puts into a channel, in planck.
const STAKE: Balance = 10_000 * UNIT;
/// How long an agreement stays good, in ms of the chain's clock.
const VALID_FOR: u64 = 600_000_000;

/// What a stage took.
#[derive(Clone, Debug, PartialEq)]
struct Stage {
    name: &'static str,
    /// How long it took, in ms.
    ms: u64,
    calls: u64,
    messages: u64,
    signatures: u64,
}

impl Stage {
    fn seconds(&self) -> f64 {
        self.ms as f64 / 1_000.0
    }
}

/// Users with funds in the contract, and what they have done so far.
struct Run {
    world: Local<Devchain>,
    stages: Vec<Stage>,
}

impl Run {
    /// `n` users, whose deposits are on chain before the clock starts.
    fn new(n: usize) -> Result<Self> {
        let users = (0..n).map(|user| Keys::from_suri(&format!("//user{user}")));
        let mut users = users.collect::<Result<Vec<_>, _>>()?;
        users.sort_by_key(Keys::account);
        let endowed: Vec<_> = users.iter().map(|keys| (*keys.account().as_ref(), 10 * STAKE)).collect();
        let mut chain = Devchain::with_accounts(&endowed);
        let (contract, _) = block_on(Contract::deploy(&mut chain, &Keys::from_suri("//Alice")?, &Bundle::built_in()?))?;
        let mut world = Local::new(chain, contract, users, vec![Keys::from_suri("//Coordinator")?])?;
        for user in 0..n {
            world.call(user, 2 * STAKE, &Deposit {})?;
        }
        world.take_calls();
        Ok(Self { world: world.with_delays(DELAYS), stages: vec![] })
    }

    /// Lets users do things at once, and waits until all is quiet.
    fn stage(&mut self, name: &'static str, commands: Vec<(usize, Command)>) -> Result<()> {
        let before = (self.world.elapsed(), self.world.messages(), self.world.signatures());
        for (user, command) in commands {
            self.world.start(user, command)?;
        }
        self.world.run()?;
        for (_, notice) in self.world.take_notices() {
            let bad = matches!(
                notice,
                Notice::AgreementRejected(..)
                    | Notice::MpcCreateFailed(..)
                    | Notice::MpcCloseFailed(..)
                    | Notice::Ignored(_)
                    | Notice::Decided { outcome: Outcome::Void, .. }
            );
            ensure!(!bad, "stage {name}: {notice:?}");
        }
        let stage = Stage {
            name,
            ms: self.world.elapsed() - before.0,
            calls: self.world.take_calls().len() as u64,
            messages: self.world.messages() - before.1,
            signatures: self.world.signatures() - before.2,
        };
        match self.stages.last_mut() {
            Some(last) if last.name == name => {
                last.ms += stage.ms;
                last.calls += stage.calls;
                last.messages += stage.messages;
                last.signatures += stage.signatures;
            }
            _ => self.stages.push(stage),
        }
        Ok(())
    }

    fn account(&self, user: usize) -> Result<AccountId> {
        Ok(self.world.engine(user)?.account())
    }

    fn later(&mut self) -> u64 {
        self.world.chain.time() + VALID_FOR
    }

    /// Opens the channels of a ring of all users, all at once.
    fn open(&mut self) -> Result<Vec<(usize, TpcId)>> {
        let valid_until = self.later();
        let mut commands = vec![];
        for [a, b] in ring(self.world.len()) {
            let peer = self.world.engine(b)?.account();
            let open = Command::Open {
                peer,
                nonce: 0,
                asset: Asset::Native,
                own: STAKE,
                theirs: STAKE,
                value: 0,
                window: MIN_WINDOW,
                valid_until,
            };
            commands.push((a, open));
        }
        self.stage("TPC create", commands)?;
        let mut first = BTreeMap::new();
        for user in 0..self.world.len() {
            for tpc in self.world.channels(user)? {
                first.entry(tpc).or_insert(user);
            }
        }
        Ok(first.into_iter().map(|(tpc, user)| (user, tpc)).collect())
    }

    fn close(&mut self, channels: Vec<(usize, TpcId)>) -> Result<()> {
        let valid_until = self.later();
        let close = |(user, tpc)| (user, Command::Close { tpc, valid_until });
        self.stage("TPC close", channels.into_iter().map(close).collect())
    }

    fn seconds(&self) -> f64 {
        self.stages.iter().map(Stage::seconds).sum()
    }
}

/// A channel's life with so many payments.
fn two_party(payments: u32) -> Result<Run> {
    let mut run = Run::new(2)?;
    let channels = run.open()?;
    let (user, tpc) = *channels.first().context("the channel was not created")?;
    for payment in 0..payments {
        let payer = if payment % 2 == 0 { user } else { 1 - user };
        let (from, to) = (run.account(payer)?, run.account(1 - payer)?);
        let transfers = vec![Transfer { from, to, asset: Asset::Native, amount: UNIT }];
        run.stage("TPC off-chain update", vec![(payer, Command::Pay { transfers, over: Over::Channel(tpc) })])?;
    }
    run.stage("TPC on-chain update", vec![(user, Command::Checkpoint(vec![tpc]))])?;
    run.close(channels)?;
    Ok(run)
}

/// The life of a group of n users on a ring, with so many transactions in which all others pay one of them.
fn multi_party(n: usize, transactions: u32) -> Result<Run> {
    let mut run = Run::new(n)?;
    let channels = run.open()?;
    let valid_until = run.later();
    let members = run.world.all_channels();
    let coordinator = run.account(n)?;
    let of = members.into_values().collect();
    let create = Command::CreateMpc { channels: of, coordinator, registered: true, valid_until };
    run.stage("MPC create", vec![(0, create)])?;
    let created = run.world.engine(0)?.memberships().next().map(|(mpc, _)| *mpc);
    let mpc: MpcId = created.context("the group was not created")?;
    let accounts = (0..n).map(|user| run.account(user)).collect::<Result<Vec<_>>>()?;
    for user in 0..n {
        for purpose in [Purpose::Pay, Purpose::PassOn] {
            let permission = Permission::unlimited(Grantee::Group(mpc), purpose, Asset::Native);
            run.world.command(user, Command::Permit(permission))?;
        }
    }
    for transaction in 0..transactions {
        let winner = transaction as usize % n;
        let losers = (0..n).filter(|user| *user != winner);
        let (to, asset) = (accounts[winner], Asset::Native);
        let transfers = losers.map(|user| Transfer { from: accounts[user], to, asset, amount: UNIT }).collect();
        let over = Over::Group { mpc, scope: Scope::All, confirm: true };
        run.stage("MPC off-chain update", vec![(winner, Command::Pay { transfers, over })])?;
    }
    let own = run.world.channels(0)?;
    run.stage("MPC on-chain update", vec![(0, Command::Checkpoint(own))])?;
    let valid_until = run.later();
    let close = Command::CloseMpc { mpc, channels: run.world.members(mpc), valid_until };
    run.stage("MPC close", vec![(0, close)])?;
    run.close(channels)?;
    Ok(run)
}

/// When each of so many direct transfers, one after the other, is on chain, in s.
fn direct(transfers: u32) -> Result<Vec<f64>> {
    let mut run = Run::new(2)?;
    let one = |_| {
        run.world.transfer(0, 1, UNIT)?;
        Ok(run.world.elapsed() as f64 / 1_000.0)
    };
    (0..transfers).map(one).collect()
}

/// Runs the experiment.
///
/// # Errors
/// If the engine or the embedded chain refuses.
pub fn run(effort: &Effort, progress: &dyn Progress) -> Result<Vec<Finding>> {
    let counts: &[u32] = if effort.small { &[0, 1, 5, 10] } else { &[0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000] };
    let sizes: &[usize] = if effort.small { &[3, 5] } else { &[3, 5, 10, 20] };
    progress.begin("delay", 2 * counts.len() as u64 + sizes.len() as u64 + 1);
    let step = |run: Result<Run>| {
        progress.step();
        run
    };
    let pairs = counts.par_iter().map(|count| step(two_party(*count))).collect::<Result<Vec<_>>>()?;
    let groups = counts.par_iter().map(|count| step(multi_party(3, *count))).collect::<Result<Vec<_>>>()?;
    let by_size = sizes.par_iter().map(|n| step(multi_party(*n, 10))).collect::<Result<Vec<_>>>()?;
    let most = counts.last().copied().unwrap_or_default();
    let direct = direct(most)?;
    progress.step();

    let of_direct =
        |count: u32| count.checked_sub(1).and_then(|last| direct.get(last as usize)).copied().unwrap_or(0.0);
    let direct_points: Vec<_> = counts.iter().map(|count| point(f64::from(*count), of_direct(*count))).collect();
    let totals = |runs: &[Run]| -> Vec<Point> {
        counts.iter().zip(runs).map(|(count, run)| point(f64::from(*count), run.seconds())).collect()
    };
    let without_tpcs = |run: &Run| -> f64 {
        run.stages.iter().filter(|stage| stage.name.starts_with("MPC")).map(Stage::seconds).sum()
    };
    let open_groups: Vec<_> =
        counts.iter().zip(&groups).map(|(count, run)| point(f64::from(*count), without_tpcs(run))).collect();
    let overtakes = |cost: &dyn Fn(u32) -> Result<f64>| -> Result<Option<u32>> {
        for count in 1..=most {
            if cost(count)? < of_direct(count) {
                return Ok(Some(count));
            }
        }
        Ok(None)
    };
    let of_pair = overtakes(&|count| Ok(two_party(count)?.seconds()))?;
    let of_group = overtakes(&|count| Ok(multi_party(3, count)?.seconds()))?;
    let of_open_group = overtakes(&|count| Ok(without_tpcs(&multi_party(3, count)?)))?;

    let method = "The real engine, contract and embedded chain under a simulated clock: a block every 15 s, 50 ms a \
                  message. A call takes effect with the first block after it is made. Computation takes no time. \
                  Deposits are on chain before the clock starts. The paper prints no numbers for Figs. 2 to 4, \
                  except that a direct transaction takes about 15 s."
        .to_owned();
    let each = of_direct(most) / f64::from(most.max(1));
    let second = format!(
        "{most} direct transfers, each made when the one before is on chain, took {:.0} s: {each:.2} s each, which \
         {} the paper's about 15 s.",
        of_direct(most),
        if (each - 15.0).abs() < 1.0 { "agrees with" } else { "differs from" }
    );
    let two = finding(
        "figure-2",
        "Fig. 2: direct transactions wait for a block each",
        vec![method, second],
        vec![figure("figure-2", "Delay of n direct transactions", vec![series("Direct", direct_points.clone())])],
        vec![],
    );
    let three = finding(
        "figure-3",
        "Fig. 3: a two-party channel takes its blocks once",
        vec![
            "A channel is created, paid with, put on chain and closed.".into(),
            from_when("A two-party channel", of_pair, most),
        ],
        vec![by_magnitude(
            "figure-3",
            "Total delay of a two-party channel",
            vec![series("TPC", totals(&pairs)), series("Direct", direct_points.clone())],
        )],
        vec![seconds_by_stage("figure-3-stages", "A channel's delay by stage", counts, &pairs)],
    );
    let four = finding(
        "figure-4",
        "Fig. 4: so does a multi-party channel of three users",
        vec![
            "In each transaction two users pay the third. It counts as one direct transaction, though directly it \
             would take two transfers. The channels of two are opened, and closed, by all at once."
                .into(),
            from_when("A multi-party channel of 3 with the channels under it", of_group, most),
            from_when("A multi-party channel of 3 over channels that are open anyway", of_open_group, most),
        ],
        vec![by_magnitude(
            "figure-4",
            "Total delay of a multi-party channel of three users",
            vec![
                series("MPC and its TPCs", totals(&groups)),
                series("MPC alone", open_groups),
                series("Direct", direct_points),
            ],
        )],
        vec![seconds_by_stage("figure-4-stages", "A group's delay by stage", counts, &groups)],
    );
    let update = |run: &Run| stage_of(run, "MPC off-chain update").map_or(0.0, |stage| stage.seconds() / 10.0);
    let updates: Vec<_> = sizes.iter().zip(&by_size).map(|(n, run)| point(*n as f64, update(run))).collect();
    let whole: Vec<_> = sizes.iter().zip(&by_size).map(|(n, run)| point(*n as f64, run.seconds())).collect();
    let ends = updates.first().zip(updates.last());
    let grows = ends.map_or(String::new(), |(first, last)| {
        let same = (first.y - last.y).abs() < 1e-9;
        format!(
            "One off-chain update takes {:.2} s with {} users and {:.2} s with {}: {}.",
            first.y,
            first.x,
            last.y,
            last.x,
            if same {
                "members are asked side by side, so the number of messages grows with n and the delay does not"
            } else {
                "the delay grows with n"
            }
        )
    });
    let mut size_figure = figure("delay-by-size", "One off-chain update", vec![series("Off-chain update", updates)]);
    size_figure.x.label = "Users".into();
    let mut whole_figure =
        figure("delay-by-size-total", "A life of ten transactions", vec![series("MPC and TPCs", whole)]);
    whole_figure.x.label = "Users".into();
    let size = finding(
        "delay-by-size",
        "Delay in larger groups",
        vec![grows],
        vec![size_figure, whole_figure],
        vec![seconds_by_stage(
            "delay-by-size-stages",
            "Delay by stage, ten transactions; one column a number of users",
            &sizes.iter().map(|n| *n as u32).collect::<Vec<_>>(),
            &by_size,
        )],
    );
    Ok(vec![two, three, four, size, table_1(sizes, &by_size)])
}

fn table_1(sizes: &[usize], runs: &[Run]) -> Finding {
    let mut rows = vec![];
    let mut differs = vec![];
    for (n, run) in sizes.iter().zip(runs) {
        let users = *n as u64;
        for (name, times, calls, messages, signatures) in [
            ("MPC create", 1, 1, 3 * users - 1, Some(users)),
            ("MPC off-chain update", 10, 0, 5 * users + 1, None),
            ("MPC on-chain update", 1, 1, 0, Some(users)),
            ("MPC close", 1, 1, 3 * users - 1, Some(users)),
        ] {
            let Some(stage) = stage_of(run, name) else { continue };
            let measured = (stage.calls / times, stage.messages / times, stage.signatures / times);
            let agrees = measured.0 == calls
                && measured.1 == messages
                && signatures.is_none_or(|signatures| signatures == measured.2);
            if !agrees {
                differs.push(format!(
                    "{name} of {n} (measured: {} calls, {} messages, {} signatures)",
                    measured.0, measured.1, measured.2
                ));
            }
            rows.push(vec![
                Cell::Count(users),
                Cell::Text(name.into()),
                Cell::Count(measured.0),
                Cell::Count(calls),
                Cell::Count(measured.1),
                Cell::Count(messages),
                Cell::Count(measured.2),
                signatures.map_or(Cell::Text("varies".into()), Cell::Count),
            ]);
        }
    }
    let verdict = if differs.is_empty() {
        "Every stage takes what the paper's formulas say, for every number of users.".to_owned()
    } else {
        format!(
            "What differs from the paper's formulas: {}. Signatures are counted when they are made; the on-chain \
             update brings those of the last off-chain update and needs no new ones.",
            differs.join("; ")
        )
    };
    let columns = [
        "Users",
        "Stage",
        "On-chain calls",
        "Paper's calls",
        "Messages",
        "Paper's messages",
        "Signatures",
        "Paper's signatures",
    ];
    let table = Table {
        name: "table-1".into(),
        title: "Messages and signatures by stage, for one time".into(),
        columns: columns.map(str::to_owned).into(),
        rows,
    };
    finding("table-1", "Table 1: messages and signatures by stage", vec![verdict], vec![], vec![table])
}

fn from_when(what: &str, count: Option<u32>, most: u32) -> String {
    match count {
        Some(count) => format!("{what} is faster than direct transactions from {count} transactions on."),
        None => format!("{what} is not faster than direct transactions for up to {most} transactions."),
    }
}

fn stage_of<'a>(run: &'a Run, name: &str) -> Option<&'a Stage> {
    run.stages.iter().find(|stage| stage.name == name)
}

fn seconds_by_stage(name: &str, title: &str, heads: &[u32], runs: &[Run]) -> Table {
    // The last run has every stage: it has payments.
    let names =
        runs.last().map(|run| run.stages.iter().map(|stage| stage.name).collect::<Vec<_>>()).unwrap_or_default();
    let rows = names.iter().map(|stage| {
        let cell = |run| stage_of(run, stage).map_or(Cell::Number(0.0, 2), |stage| Cell::Number(stage.seconds(), 2));
        [Cell::Text((*stage).into())].into_iter().chain(runs.iter().map(cell)).collect()
    });
    Table {
        name: name.into(),
        title: title.into(),
        columns: ["Stage (s)".to_owned()].into_iter().chain(heads.iter().map(u32::to_string)).collect(),
        rows: rows.collect(),
    }
}

fn point(x: f64, y: f64) -> Point {
    Point { x, y, spread: 0.0 }
}

fn series(label: &str, points: Vec<Point>) -> Series {
    Series { label: label.into(), published: false, points }
}

/// A figure of curves that differ by magnitudes.
fn by_magnitude(name: &str, title: &str, series: Vec<Series>) -> Figure {
    let mut figure = figure(name, title, series);
    (figure.x.logarithmic, figure.y.logarithmic) = (true, true);
    figure
}

fn figure(name: &str, title: &str, series: Vec<Series>) -> Figure {
    let axis = |label: &str| Axis { label: label.into(), logarithmic: false };
    Figure { name: name.into(), title: title.into(), x: axis("Transactions"), y: axis("Delay (s)"), series }
}

fn finding(name: &str, title: &str, text: Vec<String>, figures: Vec<Figure>, tables: Vec<Table>) -> Finding {
    let command = match name.split_once('-') {
        Some((kind @ ("figure" | "table"), number)) => format!("braid-sim {kind} {number}"),
        _ => "braid-sim delay".to_owned(),
    };
    Finding { name: name.into(), title: title.into(), command, text, figures, tables }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::Silent;
    use planning::Preference;

    #[test]
    fn users_who_act_at_once_share_a_block_and_messages_take_their_time() {
        let run = multi_party(3, 2).expect("nobody objects");
        let opened = stage_of(&run, "TPC create").expect("it was created");
        assert_eq!((opened.seconds(), opened.calls), (15.0, 3));
        let paid = stage_of(&run, "MPC off-chain update").expect("it was paid with");
        assert_eq!(paid.messages, 2 * 16);
        assert!(paid.ms > 0 && paid.ms < 1_000, "{}", paid.ms);
    }

    #[test]
    fn direct_transfers_take_a_block_each() {
        assert_eq!(direct(3).expect("the chain accepts"), [15.0, 30.0, 45.0]);
    }

    #[test]
    fn a_small_experiment_finds_every_figure() {
        let effort = Effort { seed: 1, runs: 1, small: true, preference: Preference::default() };
        let findings = run(&effort, &Silent).expect("nobody objects");
        let names: Vec<_> = findings.iter().map(|finding| finding.name.as_str()).collect();
        assert_eq!(names, ["figure-2", "figure-3", "figure-4", "delay-by-size", "table-1"]);
        for table in findings.iter().flat_map(|finding| &finding.tables) {
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{}", table.name);
        }
        findings.iter().flat_map(|finding| &finding.text).for_each(|text| println!("{text}"));
    }
}
