//! The demonstration: a game of several players, settled off chain.

use anyhow::{ensure, Context, Result};
use braid::{
    chain::{Chain, Receipt},
    contract::{Bundle, Contract},
    engine::{
        message::{Owners, Payment, Scope},
        party::Command,
        step::Notice,
    },
    keys::Keys,
    local::{CallRecord, Local},
    planning::Transfer,
};
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment, Table};
use devchain::{Devchain, ENDOWMENT, UNIT};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::{
    abi::{Deposit, Withdraw},
    Balance,
};
use serde::Serialize;

const NAMES: [&str; 6] = ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"];
/// How long an agreement stays good, in ms of block time.
const VALID_FOR: u64 = 3_600_000;

/// What `braid demo` is asked for.
#[derive(clap::Args)]
pub struct Options {
    /// How many players.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=24))]
    players: u32,
    /// How many rounds of the game: each loser of a round pays its winner 1 token.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Decides who wins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    players: Vec<Player>,
    stages: Vec<Stage>,
    calls: Vec<Call>,
}

/// Amounts in planck.
#[derive(Serialize)]
struct Player {
    name: String,
    before: Balance,
    in_channels: Balance,
    rounds_won: u32,
    won: i128,
    fees_and_deposits: i128,
    after: Balance,
}

#[derive(Serialize)]
struct Stage {
    stage: &'static str,
    times: u64,
    on_chain: u64,
    messages: u64,
    formula: &'static str,
    messages_by_formula: u64,
    signatures: u64,
}

#[derive(Serialize)]
struct Call {
    message: String,
    ref_time_ps: u64,
    proof_size_bytes: u64,
    storage_deposit_planck: i128,
    fee_planck: Balance,
}

/// Plays and prints.
pub fn run(options: &Options) -> Result<()> {
    let report = play(options)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(options, &report);
    }
    Ok(())
}

fn play(options: &Options) -> Result<Report> {
    let steps = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    let n = options.players as usize;
    let names: Vec<_> =
        (0..n).map(|i| NAMES.get(i).map_or_else(|| format!("Player {}", i + 1), |name| (*name).to_owned())).collect();
    let keys = (0..n).map(|i| {
        let suri = NAMES.get(i).map_or_else(|| format!("//Player{}", i + 1), |name| format!("//{name}"));
        Keys::from_suri(&suri)
    });
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let endowed: Vec<_> = keys.iter().skip(NAMES.len()).map(|keys| (*keys.account().as_ref(), ENDOWMENT)).collect();
    let mut chain = Devchain::with_accounts(&endowed);
    let before: Vec<_> = keys.iter().map(|keys| Chain::free_balance(&mut chain, keys.account())).collect();
    let (contract, deployed) = Contract::deploy(&mut chain, &keys[0], &Bundle::built_in()?)?;
    let mut world = Local::new(chain, contract, keys.clone(), ENDOWMENT)?;
    let mut calls = vec![call("new", &deployed)];
    let mut deposits: Vec<i128> = vec![0; n];
    let mut stages = vec![];

    // Nobody can lose more than the number of rounds, so no channel runs dry.
    let stake = Balance::from(options.rounds) * UNIT;
    let aside = UNIT;
    let pairs: Vec<_> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    let total = n as u64 * 2 + pairs.len() as u64 * 2 + u64::from(options.rounds) + 3;
    steps.set_length(total);
    if options.json {
        steps.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    steps.set_message("depositing");
    for user in 0..n {
        world.call(user, stake * (n as Balance - 1) + aside, &Deposit {})?;
        steps.inc(1);
    }

    let mut measure = Measure::start(&world);
    steps.set_message("opening two-party channels");
    for (a, b) in &pairs {
        let valid_until = world.chain.time() + VALID_FOR;
        let peer = keys[*b].account();
        quiet(world.command(*a, Command::OpenTpc { peer, nonce: 0, own: stake, theirs: stake, valid_until })?)?;
        steps.inc(1);
    }
    let channels = pairs.len() as u64;
    stages.push(measure.stage(&mut world, &mut calls, "TPC create", channels, 1, "2", 2));

    steps.set_message("forming the multi-party channel");
    let valid_until = world.chain.time() + VALID_FOR;
    let mut members = std::collections::BTreeMap::new();
    for user in 0..n {
        for (tpc, channel) in world.party(user)?.channels() {
            members.insert(*tpc, (Owners { parties: channel.parties, nonce: 0 }, channel.latest));
        }
    }
    let members = members.into_values().collect();
    quiet(world.command(0, Command::CreateMpc { channels: members, valid_until })?)?;
    let mpc = world.party(0)?.groups().next().context("the multi-party channel was not created")?;
    steps.inc(1);
    let n64 = n as u64;
    stages.push(measure.stage(&mut world, &mut calls, "MPC create", 1, 1, "3n-1", 3 * n64 - 1));

    steps.set_message("playing");
    let mut dice = fastrand::Rng::with_seed(options.seed);
    let mut wins = vec![0_u32; n];
    let half = options.rounds.div_ceil(2);
    for round in 1..=options.rounds {
        let winner = dice.usize(..n);
        wins[winner] += 1;
        let losers = (0..n).filter(|user| *user != winner);
        let pays = |user: usize| Transfer { from: keys[user].account(), to: keys[winner].account(), amount: UNIT };
        // The round before the checkpoint names every channel, so that one call puts the whole group on chain.
        let scope = if round == half { Scope::All } else { Scope::Touched };
        let payment = Payment { mpc, transfers: losers.map(pays).collect(), scope, confirm: true };
        settled(n, world.command(winner, Command::Pay(payment))?)?;
        steps.inc(1);
        if round == half {
            let played = u64::from(round);
            stages.push(measure.stage(&mut world, &mut calls, "MPC off-chain update", played, 0, "5n+1", 5 * n64 + 1));
            quiet(world.command(0, Command::Checkpoint(mpc))?)?;
            stages.push(measure.stage(&mut world, &mut calls, "MPC on-chain update", 1, 1, "0", 0));
            steps.inc(1);
        }
    }
    let rest = u64::from(options.rounds - half);
    if rest > 0 {
        stages.push(measure.stage(&mut world, &mut calls, "MPC off-chain update", rest, 0, "5n+1", 5 * n64 + 1));
    }

    steps.set_message("closing");
    let valid_until = world.chain.time() + VALID_FOR;
    quiet(world.command(0, Command::CloseMpc { mpc, valid_until })?)?;
    steps.inc(1);
    stages.push(measure.stage(&mut world, &mut calls, "MPC close", 1, 1, "3n-1", 3 * n64 - 1));
    for user in 0..n {
        let own: Vec<_> = world.party(user)?.channels().keys().copied().collect();
        for tpc in own {
            let valid_until = world.chain.time() + VALID_FOR;
            quiet(world.command(user, Command::CloseTpc { tpc, valid_until })?)?;
            steps.inc(1);
        }
    }
    stages.push(measure.stage(&mut world, &mut calls, "TPC close", channels, 1, "2", 2));
    for user in 0..n {
        world.call(user, 0, &Withdraw { amount: aside })?;
        steps.inc(1);
    }
    calls.extend(world.take_calls().iter().map(record));
    steps.finish_and_clear();

    let mut players = vec![];
    for (user, name) in names.into_iter().enumerate() {
        let after = Chain::free_balance(&mut world.chain, keys[user].account());
        let lost = i128::from(options.rounds - wins[user]);
        let won = (i128::from(wins[user]) * (n as i128 - 1) - lost) * UNIT as i128;
        deposits[user] = before[user] as i128 + won - after as i128;
        players.push(Player {
            name,
            before: before[user],
            in_channels: stake * (n as Balance - 1),
            rounds_won: wins[user],
            won,
            fees_and_deposits: deposits[user],
            after,
        });
    }
    Ok(Report { players, stages, calls })
}

fn quiet(notices: Vec<(braid::engine::step::Peer, Notice)>) -> Result<()> {
    for (_, notice) in notices {
        ensure!(!matches!(notice, Notice::TpcRejected(..) | Notice::MpcFailed(..) | Notice::Ignored(_)), "{notice:?}");
    }
    Ok(())
}

fn settled(n: usize, notices: Vec<(braid::engine::step::Peer, Notice)>) -> Result<()> {
    let told = notices.iter().filter(|(_, notice)| matches!(notice, Notice::MpcUpdated(_))).count();
    ensure!(told == n, "only {told} of {n} players saw the round settled: {notices:?}");
    Ok(())
}

struct Measure {
    messages: u64,
    signatures: u64,
}

impl Measure {
    fn start<C: Chain>(world: &Local<C>) -> Self {
        Self { messages: world.messages(), signatures: world.signatures() }
    }

    #[allow(clippy::too_many_arguments)] // One row of the table.
    fn stage<C: Chain>(
        &mut self,
        world: &mut Local<C>,
        calls: &mut Vec<Call>,
        stage: &'static str,
        times: u64,
        on_chain_each: u64,
        formula: &'static str,
        by_formula: u64,
    ) -> Stage {
        let (messages, signatures) = (world.messages() - self.messages, world.signatures() - self.signatures);
        *self = Self::start(world);
        calls.extend(world.take_calls().iter().map(record));
        let (on_chain, messages_by_formula) = (times * on_chain_each, times * by_formula);
        Stage { stage, times, on_chain, messages, formula, messages_by_formula, signatures }
    }
}

fn record(made: &CallRecord) -> Call {
    call(made.message, &made.receipt)
}

fn call(message: &str, receipt: &Receipt) -> Call {
    Call {
        message: message.to_owned(),
        ref_time_ps: receipt.weight.ref_time,
        proof_size_bytes: receipt.weight.proof_size,
        storage_deposit_planck: receipt.storage_deposit,
        fee_planck: receipt.fee,
    }
}

fn print(options: &Options, report: &Report) {
    println!("{} players, {} rounds: each loser pays the winner 1 UNIT\n", options.players, options.rounds);
    let players = report.players.iter().map(|player| {
        vec![
            player.name.clone(),
            units(player.before as i128),
            units(player.in_channels as i128),
            player.rounds_won.to_string(),
            units(player.won),
            units(player.fees_and_deposits),
            units(player.after as i128),
        ]
    });
    println!("Balances in UNIT");
    println!(
        "{}\n",
        table(&["Player", "Before", "In channels", "Rounds won", "Won", "Fees, deposits", "After"], players)
    );
    let stages = report.stages.iter().map(|stage| {
        vec![
            stage.stage.to_owned(),
            stage.times.to_string(),
            stage.on_chain.to_string(),
            stage.messages.to_string(),
            format!("{} x ({}) = {}", stage.times, stage.formula, stage.messages_by_formula),
            stage.signatures.to_string(),
        ]
    });
    println!("Off-chain messages and signatures, n = {}", options.players);
    println!(
        "{}\n",
        table(&["Stage", "Times", "On-chain calls", "Messages", "The paper's Table 1", "Signatures"], stages)
    );
    let calls = report.calls.iter().map(|call| {
        vec![
            call.message.clone(),
            format!("{:.1}", call.ref_time_ps as f64 / 1e6),
            call.proof_size_bytes.to_string(),
            units(call.storage_deposit_planck),
            units(call.fee_planck as i128),
        ]
    });
    println!("On-chain calls");
    let heads = ["Message", "ref_time (µs)", "proof_size (B)", "Storage deposit (UNIT)", "Fee (UNIT)"];
    println!("{}", table(&heads, calls));
}

fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(heads).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Planck as UNIT with six decimals, towards zero.
fn units(planck: i128) -> String {
    let (sign, amount) = if planck < 0 { ("-", planck.unsigned_abs()) } else { ("", planck.unsigned_abs()) };
    format!("{sign}{}.{:06}", amount / UNIT, amount % UNIT / 1_000_000)
}
