//! What an experiment finds: tables and curves that know their titles and units, whoever shows them.

use crate::stats::Sample;
use serde::{Serialize, Serializer};
use std::{
    collections::BTreeMap,
    fmt, fs, io, iter,
    path::{Path, PathBuf},
};

/// What one experiment says, in the order in which a reader wants it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Its name in file names: lower case, digits and dashes.
    pub name: String,
    /// A heading.
    pub title: String,
    /// The command that repeats it.
    pub command: String,
    /// Paragraphs of plain text: the method, the assumptions, what follows.
    pub text: Vec<String>,
    /// Curves.
    pub figures: Vec<Figure>,
    /// Values.
    pub tables: Vec<Table>,
}

/// Values in rows.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Its name in file names.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The heads of the columns, with units.
    pub columns: Vec<String>,
    /// The rows, each as long as the heads.
    pub rows: Vec<Vec<Cell>>,
}

/// A value in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A word.
    Text(String),
    /// A count.
    Count(u64),
    /// A measure, shown with so many digits after the point.
    Number(f64, usize),
    /// A measure and half the width of its 95 % confidence interval.
    Mean(f64, f64, usize),
    /// Nothing was measured or published.
    Empty,
}

/// Curves over one axis.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Its name in file names.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// The curves, the paper's among them.
    pub series: Vec<Series>,
}

/// An axis of a figure.
#[derive(Clone, Debug, Serialize)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// Whether its steps are powers of ten.
    pub logarithmic: bool,
}

/// A curve.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// What it shows, in the legend.
    pub label: String,
    /// Whether these are the paper's values, which are shown apart from what was measured.
    pub published: bool,
    /// Its points, by growing x.
    pub points: Vec<Point>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Half the width of y's 95 % confidence interval; 0 if nothing in it is random.
    pub spread: f64,
}

impl Point {
    /// What several runs gave at x.
    pub fn of(x: f64, sample: &Sample) -> Self {
        Self { x, y: sample.mean(), spread: sample.half_width95() }
    }
}

/// Files by their names, not yet written.
pub type Files = BTreeMap<String, String>;

/// Why something cannot be put into files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A table is no CSV: its rows are not all as long as its heads.
    #[error("{name} is no CSV: {source}")]
    Csv {
        /// The table or figure.
        name: String,
        /// Why.
        source: csv::Error,
    },
    /// Two findings would be one file.
    #[error("two findings are called {0}; give each table and each figure a name of its own")]
    Twice(String),
    /// A figure cannot be drawn.
    #[error(transparent)]
    Plot(#[from] crate::plot::Error),
    /// A file cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file or its folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Cell {
    /// Whether it is a number, which is aligned to the right.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Number(..) | Self::Mean(..))
    }
}

/// For readers: thousands are set apart.
impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Count(count) => formatter.write_str(&thousands(&count.to_string())),
            Self::Number(number, digits) => formatter.write_str(&grouped(*number, *digits)),
            Self::Mean(mean, half, digits) => {
                write!(formatter, "{} ± {}", grouped(*mean, *digits), grouped(*half, *digits))
            }
            Self::Empty => Ok(()),
        }
    }
}

/// A word, a number, `{"mean": …, "half": …}` with half the width of the 95 % confidence interval, or null.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Number(number, _) => serializer.serialize_f64(*number),
            Self::Mean(mean, half, _) => BTreeMap::from([("mean", mean), ("half", half)]).serialize(serializer),
            Self::Empty => serializer.serialize_none(),
        }
    }
}

impl Table {
    /// The table as CSV. A column of means is followed by one with half the widths of their 95 % confidence intervals.
    ///
    /// # Errors
    /// If the rows are not all as long as the heads.
    pub fn csv(&self) -> Result<String, Error> {
        let is_mean = |column: usize| self.rows.iter().any(|row| matches!(row.get(column), Some(Cell::Mean(..))));
        let heads = self.columns.iter().enumerate().flat_map(|(column, head)| {
            iter::once(head.clone()).chain(is_mean(column).then(|| format!("{head} ± 95 %")))
        });
        let rows = self.rows.iter().map(|row| {
            let cells = row.iter().enumerate().flat_map(|(column, cell)| {
                let [value, half] = cell.fields();
                iter::once(value).chain(is_mean(column).then_some(half))
            });
            cells.collect()
        });
        csv(&self.name, iter::once(heads.collect()).chain(rows))
    }
}

impl Cell {
    /// The value and half the width of its confidence interval, for machines.
    fn fields(&self) -> [String; 2] {
        match self {
            Self::Text(text) => [text.clone(), String::new()],
            Self::Count(count) => [count.to_string(), String::new()],
            Self::Number(number, digits) => [fixed(*number, *digits), String::new()],
            Self::Mean(mean, half, digits) => [fixed(*mean, *digits), fixed(*half, *digits)],
            Self::Empty => Default::default(),
        }
    }
}

impl Figure {
    /// The points of all curves as CSV: the curve's label, x, y, and half the width of y's 95 % confidence interval.
    ///
    /// # Errors
    /// If a record cannot be built, which needs memory alone.
    pub fn csv(&self) -> Result<String, Error> {
        let heads = ["series", "x", "y", "spread"].map(str::to_owned).to_vec();
        let rows = self.series.iter().flat_map(|series| {
            series.points.iter().map(|point| {
                let numbers = [point.x, point.y, point.spread].map(|number| number.to_string());
                iter::once(series.label.clone()).chain(numbers).collect()
            })
        });
        csv(&self.name, iter::once(heads).chain(rows))
    }
}

fn csv(name: &str, mut rows: impl Iterator<Item = Vec<String>>) -> Result<String, Error> {
    let mut text = Vec::new();
    let mut writer = csv::Writer::from_writer(&mut text);
    rows.try_for_each(|row| writer.write_record(row))
        .and_then(|()| Ok(writer.flush()?))
        .map_err(|source| Error::Csv { name: name.to_owned(), source })?;
    drop(writer);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A number with so many digits after the point. Nothing is written for what is no number.
fn fixed(number: f64, digits: usize) -> String {
    if !number.is_finite() {
        return String::new();
    }
    let text = format!("{number:.digits$}");
    // What is rounded to zero has no sign.
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|digit| matches!(digit, '0' | '.')) => rest.to_owned(),
        _ => text,
    }
}

/// A number with so many digits after the point and its thousands set apart.
pub fn grouped(number: f64, digits: usize) -> String {
    thousands(&fixed(number, digits))
}

fn thousands(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, whole) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    let mut text = sign.to_owned();
    for (nth, digit) in whole.chars().enumerate() {
        if nth > 0 && (whole.len() - nth) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

/// Writes the files into a folder, which is made if it is missing. All are written beside their places first and then
/// renamed, so that a failure leaves no file half written. Other files of the folder stay. Gives the written paths.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn write(folder: &Path, files: &Files) -> Result<Vec<PathBuf>, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| Error::Write { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let aside = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(folder).map_err(failed(folder))?;
    for (name, text) in files {
        fs::write(aside.path().join(name), text).map_err(failed(&folder.join(name)))?;
    }
    files
        .keys()
        .map(|name| {
            let path = folder.join(name);
            fs::rename(aside.path().join(name), &path).map_err(failed(&path))?;
            Ok(path)
        })
        .collect()
}
