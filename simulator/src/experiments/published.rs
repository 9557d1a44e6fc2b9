//! The paper's own values: Tables 2 to 4.

use protocol::Balance;

/// One value of the paper's Tables 2 to 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// The table.
    pub table: u32,
    /// Amounts are below this.
    pub below: Balance,
    /// Payments made.
    pub transactions: usize,
    /// Users.
    pub nodes: u32,
    /// Payments that succeeded, in percent.
    pub success: f64,
}

/// All 135 values, in the order of the tables.
///
/// # Panics
/// Never: the file is part of the program, and a test reads it.
pub fn success_ratios() -> Vec<Published> {
    let text = include_str!("../../data/success_ratio.csv");
    let value = |line: &str| {
        let mut fields = line.split(',');
        let mut next = || fields.next().expect("a field for each column; qed");
        Published {
            table: next().parse().expect("a number; qed"),
            below: next().parse().expect("a number; qed"),
            transactions: next().parse().expect("a number; qed"),
            nodes: next().parse().expect("a number; qed"),
            success: next().parse().expect("a number; qed"),
        }
    };
    text.lines().skip(1).map(value).collect()
}

/// The users in the columns of Tables 2 to 4.
pub const NODES: [u32; 5] = [100, 150, 200, 250, 300];

/// The payments after which Tables 2 to 4 have a row: every this many, from 0.
pub const STEP: usize = 500;

/// The payments of the last row.
pub const PAYMENTS: usize = 4000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_tables_are_whole() {
        let values = success_ratios();
        assert_eq!(values.len(), 3 * NODES.len() * (PAYMENTS / STEP + 1));
        assert!(values.iter().all(|value| NODES.contains(&value.nodes) && value.transactions % STEP == 0));
    }
}
