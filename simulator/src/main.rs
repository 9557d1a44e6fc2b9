//! The command `braid-sim`.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment};
use indicatif::{ProgressBar, ProgressStyle};
use simulator::{
    experiments::{Effort, Experiment, Progress, ALL},
    output::{self, Cell, Finding, Table},
    report,
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
    /// What it costs: figure 9.
    Cost,
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
    /// How many payments a second each strategy settles, on one core.
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
    /// Cut all sizes to what a test can afford.
    #[arg(long, global = true)]
    small: bool,
    /// Print the findings as one JSON document instead of tables.
    #[arg(long, global = true)]
    json: bool,
    /// The folder with the files of the Lightning network. Without it: what the variable LIGHTNING_DATA says, or
    /// ../shared/data/lightning if that exists.
    #[arg(long, global = true, value_name = "DIR")]
    lightning: Option<PathBuf>,
}

const TITLE: &str = "Braid: what was measured, beside what the paper says";

const INTRODUCTION: [&str; 2] = [
    "The paper is “Research on Multiparty Payment Technology Based on Blockchain and Smart Contract Mechanism” \
     (Journal of Mathematics, 2022, article 3434954). Its publisher retracted it on 20 December 2023 for unreliable \
     reporting. Its values are claims that are measured again here, never evidence.",
    "What was measured is a mean over several runs, each with a topology and a workload of its own, with its 95 % \
     confidence interval. The command above each finding repeats it to the byte.",
];

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
    let files = report::files(TITLE, &INTRODUCTION.map(str::to_owned), &findings)?;
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
        columns: ["Network", "Strategy", "Payments a second", "Slowest", "Fastest", "Settled (%)", "Peak memory (MB)"]
            .map(str::to_owned)
            .to_vec(),
        rows: vec![],
    };
    for world in speed::worlds(lightning(options).as_deref())? {
        let speeds = world.measure()?;
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
    if options.json {
        return say(&(serde_json::to_string_pretty(&table)? + "\n"));
    }
    say(&format!("{}\n{}\n", table.title, aligned(&table)))
}

fn findings(what: &What, options: &Options) -> anyhow::Result<Vec<Finding>> {
    let (experiment, only) = match what {
        What::Delay => (Some("delay"), None),
        What::Success => (Some("success"), None),
        What::Topology => (Some("topology"), None),
        What::Amount => (Some("amount"), None),
        What::Cost => (Some("cost"), None),
        What::Table { number } => (None, Some(format!("table-{number}"))),
        What::Figure { number } => (None, Some(format!("figure-{number}"))),
        What::All | What::Speed { .. } => (None, None),
    };
    let chosen = |known: &&Experiment| {
        experiment.is_none_or(|name| known.name == name)
            && only.as_deref().is_none_or(|finding| known.repeats.contains(&finding))
    };
    let effort = Effort { seed: options.seed, runs: options.runs, small: options.small };
    let lightning = lightning(options);
    let bar = Bar(ProgressBar::no_length().with_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}")?));
    let mut findings = Vec::new();
    for known in ALL.iter().filter(chosen) {
        findings.extend((known.run)(&effort, lightning.as_deref(), &bar).context(known.name)?);
    }
    bar.0.finish_and_clear();
    if let Some(name) = only {
        findings.retain(|finding| finding.name == name);
        anyhow::ensure!(!findings.is_empty(), "no experiment found {name} with these options");
    }
    Ok(findings)
}

fn lightning(options: &Options) -> Option<PathBuf> {
    let beside = || Some(PathBuf::from("../shared/data/lightning")).filter(|folder| folder.is_dir());
    options.lightning.clone().or_else(|| std::env::var_os("LIGHTNING_DATA").map(PathBuf::from)).or_else(beside)
}

/// How far the experiments have come, on a terminal only.
struct Bar(ProgressBar);

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
