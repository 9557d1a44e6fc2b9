//! The command `braid-sim`.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment};
use indicatif::{ProgressBar, ProgressStyle};
use planning::Preference;
use simulator::{
    experiments::{compare, Effort, Experiment, Progress, ALL},
    output::{self, Cell, Finding, Table},
    report,
    spec::Wish,
    speed::{self, Speed},
};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Repeats the paper's experiments, and does ours: tables, figures, and a report with the paper's values beside ours.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum What {
    /// How long payments take, and how many messages: table 1 and figures 2 to 4.
    Delay,
    /// How many transactions succeed, by the number of users and of transactions: tables 2 to 4.
    Success,
    /// How many transactions succeed, by the topology: figures 5 to 7.
    Topology,
    /// How many transactions succeed, by their amounts: figure 8.
    Amount,
    /// How many multi-party transactions succeed, of games, auctions and crowdfunding, on different topologies.
    Applications,
    /// What stands in the way of payments that fail, and what nobody could settle.
    Limits,
    /// What the paper's k1 and k2 do.
    Preference,
    /// What it costs: figure 9.
    Cost,
    /// All strategies on a network and a workload of your own.
    Compare {
        #[command(flatten)]
        wish: Wish,
        /// Transactions in each run.
        #[arg(long, default_value_t = 4_000, value_name = "COUNT")]
        transactions: usize,
    },
    /// One table of the paper.
    Table {
        /// Its number in the paper.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=4))]
        number: u32,
    },
    /// One figure of the paper.
    Figure {
        /// Its number in the paper.
        #[arg(value_parser = clap::value_parser!(u32).range(2..=9))]
        number: u32,
    },
    /// Everything.
    All,
    /// How many payments a second each strategy tries to settle, on one core. Of the options below only --k1, --k2, --json and
    /// --lightning count.
    Speed {
        /// A folder for the networks, the payments and what was measured, for the same rules elsewhere.
        #[arg(long, value_name = "DIR")]
        dump: Option<PathBuf>,
    },
}

#[derive(Args)]
#[command(next_help_heading = "Options of all experiments")]
struct Options {
    /// The folder for the report, the figures and the values. Its other files stay.
    #[arg(long, global = true, value_name = "DIR", default_value = "experiments-out")]
    out: PathBuf,
    /// Where the random numbers start: the same seed gives the same files.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// How many runs stand behind a point.
    #[arg(long, global = true, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Cut the sizes of the paper's experiments and ours to what a test can afford.
    #[arg(long, global = true)]
    small: bool,
    /// The paper's k1: how much a channel's share of its neighbourhood's funds counts, from 0 to 1.
    #[arg(long, global = true, default_value_t = 0.5)]
    k1: f64,
    /// The paper's k2: how much a channel's balance counts, from 0 to 1.
    #[arg(long, global = true, default_value_t = 0.5)]
    k2: f64,
    /// Print the findings as one JSON document instead of tables.
    #[arg(long, global = true)]
    json: bool,
    /// The folder with the files of the Lightning network. Without it: what the variable LIGHTNING_DATA says, or
    /// ../shared/data/lightning if that exists.
    #[arg(long, global = true, value_name = "DIR")]
    lightning: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { what, options }: &Cli) -> anyhow::Result<()> {
    if let What::Speed { dump } = what {
        return measure_speed(options, dump.as_deref());
    }
    let findings = findings(what, options)?;
    let files = report::everything(&findings)?;
    let written = output::write(&options.out, &files)?;
    let text = if options.json { serde_json::to_string_pretty(&findings)? + "\n" } else { shown(&findings, &written) };
    say(&text)
}

fn say(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // A reader that has gone away, like `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("the findings cannot be printed"),
    }
}

fn measure_speed(options: &Options, folder: Option<&Path>) -> anyhow::Result<()> {
    let mut table = Table {
        name: "speed".to_owned(),
        title: "Payments a second on one core: the median of five rounds".to_owned(),
        columns: [
            "Network",
            "Strategy",
            "Payments a second",
            "Slowest",
            "Fastest",
            "Settled (%)",
            "Peak memory so far (MB)",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: vec![],
    };
    let bar = Bar::new()?;
    for world in speed::worlds(lightning(options).as_deref())? {
        let speeds = world.measure(Preference::new(options.k1, options.k2)?, &bar)?;
        if let Some(folder) = folder.filter(|_| world.topology.nodes <= 10_000) {
            speed::dump(folder, &world, &speeds)?;
        }
        for Speed { strategy, rate, range: [slowest, fastest], settled } in speeds {
            let share = settled.iter().filter(|settled| **settled).count() as f64 / settled.len() as f64;
            table.rows.push(vec![
                Cell::Text(world.name.to_owned()),
                Cell::Text(strategy.to_owned()),
                Cell::Number(rate, 0),
                Cell::Number(slowest, 0),
                Cell::Number(fastest, 0),
                Cell::Number(100.0 * share, 1),
                speed::peak_memory().map_or(Cell::Empty, Cell::Count),
            ]);
        }
    }
    bar.0.finish_and_clear();
    if options.json {
        return say(&(serde_json::to_string_pretty(&table)? + "\n"));
    }
    say(&format!("{}\n{}\n", table.title, aligned(&table)))
}

fn findings(what: &What, options: &Options) -> anyhow::Result<Vec<Finding>> {
    let preference = Preference::new(options.k1, options.k2)?;
    let effort = Effort { seed: options.seed, runs: options.runs, small: options.small, preference };
    let bar = Bar::new()?;
    let (experiment, only) = match what {
        What::Delay => (Some("delay"), None),
        What::Success => (Some("success"), None),
        What::Topology => (Some("topology"), None),
        What::Amount => (Some("amount"), None),
        What::Applications => (Some("applications"), None),
        What::Limits => (Some("limits"), None),
        What::Preference => (Some("preference"), None),
        What::Cost => (Some("cost"), None),
        What::Table { number } => (None, Some(format!("table-{number}"))),
        What::Figure { number } => (None, Some(format!("figure-{number}"))),
        What::All | What::Speed { .. } => (None, None),
        What::Compare { wish, transactions } => {
            let name = wish.source.to_string();
            let finding = compare::run(&name, typed(), &wish.setting()?, *transactions, &effort, &bar)?;
            bar.0.finish_and_clear();
            return Ok(vec![finding]);
        }
    };
    let chosen = |known: &&Experiment| {
        experiment.is_none_or(|name| known.name == name)
            && only.as_deref().is_none_or(|finding| known.repeats.contains(&finding))
    };
    let lightning = lightning(options);
    let mut findings = Vec::new();
    for known in ALL.iter().filter(chosen) {
        findings.extend((known.run)(&effort, lightning.as_deref(), &bar).context(known.name)?);
    }
    bar.0.finish_and_clear();
    findings.iter_mut().for_each(|finding| finding.command += &options.changed());
    if let Some(name) = only {
        findings.retain(|finding| finding.name == name);
        anyhow::ensure!(!findings.is_empty(), "no experiment found {name} with these options");
    }
    Ok(findings)
}

/// The command as it was typed.
fn typed() -> String {
    let quoted = |word: String| if word.contains(char::is_whitespace) { format!("'{word}'") } else { word };
    let words = std::env::args().skip(1).map(quoted);
    std::iter::once("braid-sim".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

impl Options {
    /// What changes the values of findings and is not as it is without options.
    fn changed(&self) -> String {
        let numbers = [("--seed", self.seed.to_string(), "1"), ("--runs", self.runs.to_string(), "20")];
        let shares = [("--k1", self.k1.to_string(), "0.5"), ("--k2", self.k2.to_string(), "0.5")];
        let changed = numbers.into_iter().chain(shares).filter(|(_, given, usual)| given != usual);
        let changed = changed.map(|(name, given, _)| format!(" {name} {given}"));
        changed.chain(self.small.then(|| " --small".to_owned())).collect()
    }
}

fn lightning(options: &Options) -> Option<PathBuf> {
    let beside = || Some(PathBuf::from("../shared/data/lightning")).filter(|folder| folder.is_dir());
    options.lightning.clone().or_else(|| std::env::var_os("LIGHTNING_DATA").map(PathBuf::from)).or_else(beside)
}

/// How far the experiments have come, on a terminal only.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}")?;
        Ok(Self(ProgressBar::no_length().with_style(style)))
    }
}

impl Progress for Bar {
    fn begin(&self, part: &str, steps: u64) {
        self.0.set_message(part.to_owned());
        self.0.set_length(steps);
        self.0.reset();
    }

    fn step(&self) {
        self.0.inc(1);
    }
}

/// The tables of the findings, and where the files are.
fn shown(findings: &[Finding], written: &[PathBuf]) -> String {
    let mut text = String::new();
    for finding in findings {
        text += &format!("{}\n{}\n", finding.title, finding.text.join("\n"));
        for table in &finding.tables {
            text += &format!("{}\n{}\n", table.title, aligned(table));
        }
        text.push('\n');
    }
    text += "Written:\n";
    for path in written {
        text += &format!("  {}\n", path.display());
    }
    text
}

/// A table whose columns after the first are aligned to the right.
fn aligned(table: &Table) -> comfy_table::Table {
    let rows = table.rows.iter().map(|row| row.iter().map(ToString::to_string));
    let mut shown = comfy_table::Table::new();
    shown.load_style(UTF8_FULL_CONDENSED).set_header(&table.columns).add_rows(rows);
    for column in shown.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    shown
}
