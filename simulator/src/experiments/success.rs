//! How many payments succeed: the paper's Tables 2 to 4, under the assumptions that come nearest to them, and all strategies
//! beside each other.

use super::{
    published::{success_ratios, Published, NODES, PAYMENTS, STEP},
    setting::{measure, Curve, Funds, GraphModel, Length, Setting},
    Effort, Progress,
};
use crate::{
    output::{Axis, Cell, Figure, Finding, Point, Series, Table},
    replay::{Count, Rule},
    stats::Sample,
    topology::Division,
    workload::{Amounts, Kind},
};
use anyhow::Result;
use protocol::Balance;

/// As in the paper's tables.
pub const LENGTH: Length = Length { transactions: PAYMENTS, step: STEP };
/// The limits of the amounts in Tables 2, 3 and 4.
pub const BELOW: [Balance; 3] = [5, 10, 50];

/// What the paper does not say about its Tables 2 to 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumption {
    /// Channels that a user has on average.
    pub degree: u32,
    /// What a channel holds.
    pub capacity: Balance,
    /// How its owners share it at first.
    pub division: Division,
    /// How much more often some are paid than others.
    pub skew: f64,
    /// How the ratio is counted.
    pub count: Count,
}

/// The nearest of those that [`run`] tries; other experiments assume it where they do not say otherwise.
pub const NEAREST: Assumption =
    Assumption { degree: 12, capacity: 160, division: Division::Even, skew: 1.5, count: Count::SoFar };

impl Assumption {
    /// So many users, and amounts below so much.
    pub fn setting(&self, nodes: u32, below: Balance) -> Setting {
        let channels = (nodes * self.degree / 2).min(nodes * (nodes - 1) / 2);
        Setting {
            nodes,
            graph: GraphModel::Random { channels },
            funds: Funds::Each(self.capacity, self.division),
            kind: Kind::Payment,
            amounts: Amounts::Below(below),
            skew: self.skew,
        }
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.degree.into()),
            Cell::Count(self.capacity as u64),
            Cell::Text(self.division.name().into()),
            Cell::Number(self.skew, 1),
            Cell::Text(self.count.name().into()),
        ]
    }
}

const ASSUMED: [&str; 5] = ["Channels a user", "Channel (tokens)", "Division", "Skew", "Ratio counted"];

/// The assumptions that are tried, without how the ratio is counted: one run serves both.
fn tried(small: bool) -> Vec<Assumption> {
    let capacities: &[Balance] = if small { &[160] } else { &[40, 80, 160, 320, 640] };
    let degrees: &[u32] = if small { &[12] } else { &[6, 8, 12, 24] };
    let skews: &[f64] = if small { &[0.0, 1.5] } else { &[0.0, 0.5, 1.0, 1.5, 2.0] };
    let mut tried = vec![];
    for capacity in capacities {
        for degree in degrees {
            for division in [Division::Even, Division::Random] {
                for skew in skews {
                    let count = Count::SoFar;
                    tried.push(Assumption { degree: *degree, capacity: *capacity, division, skew: *skew, count });
                }
            }
        }
    }
    tried
}

/// The settings of the paper's tables: amounts by amounts, users by users.
fn grid(assumption: &Assumption) -> Vec<Setting> {
    BELOW.iter().flat_map(|below| NODES.map(|nodes| assumption.setting(nodes, *below))).collect()
}

/// Where in [`grid`] a published value is measured.
fn place(value: &Published) -> Option<(usize, usize)> {
    let row = BELOW.iter().position(|below| *below == value.below)?;
    let column = NODES.iter().position(|nodes| *nodes == value.nodes)?;
    Some((row * NODES.len() + column, value.transactions / STEP))
}

/// The root mean square distance from published values, in percentage points.
fn distance<'a>(values: impl Iterator<Item = &'a Published>, measured: impl Fn(usize, usize) -> f64) -> f64 {
    let squares: Sample = values
        .filter_map(|value| {
            let (setting, point) = place(value)?;
            Some((measured(setting, point) - value.success).powi(2))
        })
        .collect();
    squares.mean().sqrt()
}

/// An assumption and how far it is from the paper: from all values, and from each table alone.
struct Fit {
    assumption: Assumption,
    all: f64,
    tables: [f64; 3],
}

impl Fit {
    fn new(assumption: Assumption, count: Count, curves: &[Vec<Curve>]) -> Self {
        let values = success_ratios();
        let measured = |setting: usize, point: usize| curves[setting][0].by(count)[point].mean();
        let table = |below: Balance| distance(values.iter().filter(|value| value.below == below), measured);
        Self {
            assumption: Assumption { count, ..assumption },
            all: distance(values.iter(), measured),
            tables: BELOW.map(table),
        }
    }

    fn row(&self) -> Vec<Cell> {
        let mut row = self.assumption.cells();
        row.push(Cell::Number(self.all, 1));
        row.extend(self.tables.map(|distance| Cell::Number(distance, 1)));
        row
    }
}

/// Every assumption tried, nearest first, each measured by one run a setting.
fn fits(effort: &Effort, progress: &dyn Progress) -> Result<Vec<Fit>> {
    let tried = tried(effort.small);
    let [paper, ..] = effort.rules();
    progress.begin("assumptions", (tried.len() * BELOW.len() * NODES.len()) as u64);
    let screen = Effort { runs: 1, ..*effort };
    let mut fits = vec![];
    for assumption in tried {
        let curves = measure(&grid(&assumption), &[paper], LENGTH, &screen, progress)?;
        fits.extend([Count::SoFar, Count::Since].map(|count| Fit::new(assumption, count, &curves)));
    }
    fits.sort_by(|a, b| a.all.total_cmp(&b.all));
    Ok(fits)
}

/// Which published values cannot be a ratio of all payments so far: there the number of successes would have fallen.
fn falling() -> Vec<(Published, Published)> {
    let values = success_ratios();
    let mut falling = vec![];
    for before in &values {
        let after = values.iter().find(|after| {
            (after.table, after.nodes, after.transactions) == (before.table, before.nodes, before.transactions + STEP)
        });
        if let Some(after) = after {
            // Half a unit of the last digit either way is rounding.
            let least = (before.success - 0.05) * before.transactions as f64;
            if (after.success + 0.05) * (after.transactions as f64) < least {
                falling.push((*before, *after));
            }
        }
    }
    falling
}

/// Tables 2 to 4: the assumptions that come nearest to the paper, all strategies under them, and the limits.
///
/// # Errors
/// If an assumption makes no topology.
pub fn run(effort: &Effort, progress: &dyn Progress) -> Result<Vec<Finding>> {
    let fits = fits(effort, progress)?;
    progress.begin("strategies", u64::from(effort.runs) * (BELOW.len() * NODES.len()) as u64);
    let curves = measure(&grid(&NEAREST), &effort.rules(), LENGTH, effort, progress)?;
    let sure = Fit::new(NEAREST, NEAREST.count, &curves);
    let mut findings = vec![fitted(&fits, &sure, &curves, effort)];
    findings.extend((2..=4).map(|number| table(number, &curves, &effort.rules())));
    Ok(findings)
}

fn fitted(fits: &[Fit], sure: &Fit, curves: &[Vec<Curve>], effort: &Effort) -> Finding {
    let heads = ["All values", "Table 2", "Table 3", "Table 4"].map(|table| format!("{table} (points)"));
    let columns: Vec<String> = ASSUMED.iter().map(|head| head.to_string()).chain(heads).collect();
    let nearest = Table {
        name: "assumptions".into(),
        title: "The assumptions nearest to the paper, by the root mean square distance of `paper` from its values"
            .into(),
        columns: columns.clone(),
        rows: fits.iter().take(8).map(Fit::row).collect(),
    };
    let alone = (0..BELOW.len()).filter_map(|table| {
        let best = fits.iter().min_by(|a, b| a.tables[table].total_cmp(&b.tables[table]))?;
        let mut row = vec![Cell::Text(format!("Table {} alone", table + 2))];
        row.extend(best.row());
        Some(row)
    });
    let alone = Table {
        name: "assumptions-by-table".into(),
        title: "What each table alone would have us assume".into(),
        columns: std::iter::once("Nearest to".to_string()).chain(columns).collect(),
        rows: alone.collect(),
    };
    let pairs = falling();
    let cell = |value: f64| Cell::Number(value, 1);
    let contradictions = Table {
        name: "contradictions".into(),
        title: "Published values that cannot be a ratio of all payments so far: the count of successes would fall"
            .into(),
        columns: [
            "Table",
            "Users",
            "Payments",
            "Success (%)",
            "Successes",
            "Payments then",
            "Success then (%)",
            "Successes then",
        ]
        .map(String::from)
        .to_vec(),
        rows: pairs
            .iter()
            .map(|(before, after)| {
                let count = |value: &Published| value.success * value.transactions as f64 / 100.0;
                vec![
                    Cell::Count(before.table.into()),
                    Cell::Count(before.nodes.into()),
                    Cell::Count(before.transactions as u64),
                    cell(before.success),
                    Cell::Number(count(before), 0),
                    Cell::Count(after.transactions as u64),
                    cell(after.success),
                    Cell::Number(count(after), 0),
                ]
            })
            .collect(),
    };
    let named = |assumption: &Assumption| assumption.cells().iter().map(Cell::to_string).collect::<Vec<_>>().join(", ");
    let last = |below: Balance| {
        let values =
            success_ratios().into_iter().filter(|value| value.below == below && value.transactions == PAYMENTS);
        let published = values.clone().map(|value| value.success).collect::<Sample>().mean();
        let measured = values
            .filter_map(|value| place(&value))
            .map(|(setting, point)| curves[setting][0].by(NEAREST.count)[point].mean());
        (published, measured.collect::<Sample>().mean())
    };
    let [five, ten, fifty] = BELOW.map(last);
    Finding {
        name: "assumptions".into(),
        title: "What the paper does not say about its Tables 2 to 4".into(),
        command: "braid-sim success".into(),
        text: vec![
            format!(
                "The paper gives no initial balances, no number of channels, no distribution of payees, and not whether its ratio is of all \
                 payments so far. We tried {} assumptions, each with the paper's own strategy in one run of every setting. The nearest \
                 (channels a user, tokens in a channel, division, skew, ratio counted): {}. What other experiments assume ({}), measured in {} \
                 runs, is {:.1} percentage points from the 135 published values, root mean square ({:.1}, {:.1} and {:.1} for Tables 2, 3 and 4).",
                fits.len(), fits.first().map_or(String::new(), |fit| named(&fit.assumption)), named(&NEAREST), effort.runs,
                sure.all, sure.tables[0], sure.tables[1], sure.tables[2],
            ),
            format!(
                "A ratio of all payments so far cannot be what the paper shows: in {} places of its tables the number of successes would fall \
                 while payments are made. Nor does any one network fit all tables: after {PAYMENTS} payments, on average over the sizes, the published \
                 ratio falls by {:.1} points from amounts below 5 to amounts below 10, and by {:.1} points more to amounts below 50. The same \
                 network measured falls by {:.1} and {:.1} points: five times the amount costs more than twice the amount does, not less.",
                pairs.len(), five.0 - ten.0, ten.0 - fifty.0, five.1 - ten.1, ten.1 - fifty.1,
            ),
        ],
        figures: vec![],
        tables: vec![nearest, alone, contradictions],
    }
}

/// A ratio in percent, and how sure it is.
pub fn percent(sample: &Sample) -> Cell {
    Cell::Mean(sample.mean(), sample.half_width95(), 1)
}

/// One of the paper's Tables 2 to 4, all strategies beside it.
fn table(number: u32, curves: &[Vec<Curve>], rules: &[Rule]) -> Finding {
    let values: Vec<_> = success_ratios().into_iter().filter(|value| value.table == number).collect();
    let below = values.first().map_or(0, |value| value.below);
    let rows = values.iter().filter_map(|value| {
        let (setting, point) = place(value)?;
        let mut row = vec![
            Cell::Count(value.transactions as u64),
            Cell::Count(value.nodes.into()),
            Cell::Number(value.success, 1),
        ];
        row.extend(curves[setting].iter().map(|curve| percent(&curve.by(NEAREST.count)[point])));
        Some(row)
    });
    let columns = ["Payments", "Users", "Published (%)"].map(String::from).into_iter().chain(heads(rules));
    Finding {
        name: format!("table-{number}"),
        title: format!("Table {number}: success with amounts below {below}"),
        command: format!("braid-sim table {number}"),
        text: vec![format!(
            "Ratio of successful payments in percent, {}, under the assumptions nearest to the paper; ± is the 95 % confidence interval \
             of the mean.",
            NEAREST.count.name()
        )],
        figures: vec![curve_figure(below, curves, rules)],
        tables: vec![Table {
            name: format!("table-{number}"),
            title: format!("Success with amounts below {below}"),
            columns: columns.collect(),
            rows: rows.collect(),
        }],
    }
}

/// The axes of a figure of ratios.
pub fn ratio_axes() -> (Axis, Axis) {
    let axis = |label: &str| Axis { label: label.into(), logarithmic: false };
    (axis("Payments"), axis("Successful payments (%)"))
}

/// The points of a curve, one for each `step` payments.
pub fn points(samples: &[Sample], step: usize) -> Vec<Point> {
    let point = |(index, sample): (usize, &Sample)| Point::of((index * step) as f64, sample);
    samples.iter().enumerate().map(point).collect()
}

/// The heads of columns with a ratio for each rule.
pub fn heads(rules: &[Rule]) -> impl Iterator<Item = String> + '_ {
    rules.iter().map(|rule| format!("{} (%)", rule.name()))
}

/// How every rule fares at the end, against what the settings differ in: a curve for each rule, and a row for each setting.
pub fn against(xs: &[u32], rules: &[Rule], curves: &[Vec<Curve>]) -> (Vec<Series>, Vec<Vec<Cell>>) {
    let series = rules.iter().enumerate().map(|(rule, known)| {
        let point = |(x, curves): (&u32, &Vec<Curve>)| Point::of(f64::from(*x), &curves[rule].last());
        Series { label: known.name().into(), published: false, points: xs.iter().zip(curves).map(point).collect() }
    });
    let row = |(x, curves): (&u32, &Vec<Curve>)| {
        let shares = curves.iter().map(|curve| percent(&curve.last()));
        std::iter::once(Cell::Count((*x).into())).chain(shares).collect()
    };
    (series.collect(), xs.iter().zip(curves).map(row).collect())
}

/// The paper's own values.
pub fn published_series(below: Balance, nodes: u32, label: String) -> Series {
    let values = success_ratios().into_iter().filter(|value| value.below == below && value.nodes == nodes);
    let point = |value: Published| Point { x: value.transactions as f64, y: value.success, spread: 0.0 };
    Series { label, published: true, points: values.map(point).collect() }
}

/// How all rules fare with 200 users, and the paper's own values.
fn curve_figure(below: Balance, curves: &[Vec<Curve>], rules: &[Rule]) -> Figure {
    const USERS: usize = 2;
    let row = BELOW.iter().position(|limit| *limit == below).unwrap_or_default();
    let (x, y) = ratio_axes();
    let measured = rules.iter().zip(&curves[row * NODES.len() + USERS]);
    let mut series: Vec<_> = measured
        .map(|(rule, curve)| Series {
            label: rule.name().into(),
            published: false,
            points: points(curve.by(NEAREST.count), STEP),
        })
        .collect();
    series.push(published_series(below, NODES[USERS], "published".into()));
    let (name, title) = (format!("success-{below}"), format!("Amounts below {below}, {} users", NODES[USERS]));
    Figure { name, title, x, y, series }
}
