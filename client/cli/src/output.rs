//! How the command shows things.

use chain::{Receipt, UNIT};
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment, Table};
use protocol::Balance;
use serde::Serialize;
use std::io::{self, Write};

/// Prints a text and a new line. A reader that has gone away, like `head`, has seen enough.
///
/// # Errors
/// If it cannot be written.
pub fn print_line(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A table whose columns after the first are aligned to the right.
pub fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(heads).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A table of names and their values.
pub fn list(rows: &[(&str, String)]) -> Table {
    let rows = rows.iter().map(|(name, value)| [(*name).to_owned(), value.clone()]);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).add_rows(rows);
    table
}

/// Columns under their heads, two spaces between them. Those from `right` on are aligned to the right.
pub fn columns(heads: &[&str], rows: impl Iterator<Item = Vec<String>>, right: usize) -> String {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let length = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<_> =
        (0..count).map(|column| rows.iter().map(|row| length(row, column)).max().unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column >= right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Planck as UNIT with six decimals, towards zero.
pub fn units(planck: i128) -> String {
    let (sign, amount) = if planck < 0 { ("-", planck.unsigned_abs()) } else { ("", planck.unsigned_abs()) };
    format!("{sign}{}.{:06}", amount / UNIT, amount % UNIT / 1_000_000)
}

/// What an on-chain call cost.
#[derive(Serialize)]
pub struct CallCost {
    pub message: String,
    pub ref_time_ps: u64,
    pub proof_size_bytes: u64,
    pub storage_deposit_planck: i128,
    pub fee_planck: Balance,
}

impl CallCost {
    /// What the chain says of the contract's `message`.
    pub fn new(message: &str, receipt: &Receipt) -> Self {
        Self {
            message: message.to_owned(),
            ref_time_ps: receipt.weight.ref_time,
            proof_size_bytes: receipt.weight.proof_size,
            storage_deposit_planck: receipt.storage_deposit,
            fee_planck: receipt.fee,
        }
    }
}
