//! What an experiment finds: tables and curves that know their titles and units, whoever shows them.

/// What one experiment says, in the order in which a reader wants it.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// Whether its steps are powers of ten.
    pub logarithmic: bool,
}

/// A curve.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it shows, in the legend.
    pub label: String,
    /// Whether these are the paper's values, which are shown apart from what was measured.
    pub published: bool,
    /// Its points, by growing x.
    pub points: Vec<Point>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Half the width of y's 95 % confidence interval; 0 if nothing in it is random.
    pub spread: f64,
}
