//! How the command shows things.

use chain::{node, UNIT};
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment, Table};
use serde::Serialize;
use std::io::{self, Write};

/// A table whose columns after the first are aligned to the right.
pub fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(heads).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Prints a text and a new line. A reader that has gone away, like `head`, has seen enough.
///
/// # Errors
/// If it cannot be written.
pub fn say(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// What every command takes that asks a node.
#[derive(clap::Args)]
pub struct OnNode {
    /// The node.
    #[arg(long, value_name = "URL", default_value = node::LOCAL)]
    pub node: String,
    /// Print one JSON document, with amounts in planck, instead of a table.
    #[arg(long)]
    pub json: bool,
}

impl OnNode {
    /// Prints the report, or what is in it as a table of two columns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn print(&self, report: &impl Serialize, rows: &[(&str, String)]) -> io::Result<()> {
        if self.json {
            say(&serde_json::to_string_pretty(report)?)
        } else {
            let rows = rows.iter().map(|(name, value)| [(*name).to_owned(), value.clone()]);
            let mut table = Table::new();
            table.load_style(UTF8_FULL_CONDENSED).add_rows(rows);
            say(&table.to_string())
        }
    }
}

/// Planck as UNIT with six decimals, towards zero.
pub fn units(planck: i128) -> String {
    let (sign, amount) = if planck < 0 { ("-", planck.unsigned_abs()) } else { ("", planck.unsigned_abs()) };
    format!("{sign}{}.{:06}", amount / UNIT, amount % UNIT / 1_000_000)
}
