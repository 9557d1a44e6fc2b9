//! How the command shows things.

use braid::chain::UNIT;
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment, Table};

/// A table whose columns after the first are aligned to the right.
pub fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(heads).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Two columns: what, and its value.
pub fn facts(rows: &[(&str, String)]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .add_rows(rows.iter().map(|(name, value)| [(*name).to_owned(), value.clone()]));
    table
}

/// Planck as UNIT with six decimals, towards zero.
pub fn units(planck: i128) -> String {
    let (sign, amount) = if planck < 0 { ("-", planck.unsigned_abs()) } else { ("", planck.unsigned_abs()) };
    format!("{sign}{}.{:06}", amount / UNIT, amount % UNIT / 1_000_000)
}
