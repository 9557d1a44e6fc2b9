//! A figure as an SVG that reads well in black and white and on a phone: every curve has a marker, a dash and a shade of
//! its own, the paper's are thin with hollow markers, and the legend stands below, where it covers nothing.

use crate::output::{grouped, Axis, Figure, Point, Series};
use maud::{html, PreEscaped};
use plotters::{
    coord::{
        ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
        CoordTranslate, Shift,
    },
    element::DashedPathElement,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::{io, iter, ops::Range};

/// The width of the drawing. It scales to the width it is shown at, and everything below is in these units: on a phone
/// of 360 pixels the text is 12 pixels high.
const WIDTH: u32 = 1280;
const TEXT: u32 = 46;
const ROW: u32 = 62;
/// The curves and the numbers of both axes.
const PLOT: u32 = 780;
const MARGIN: i32 = 16;
/// The part of a legend's entry that shows the curve.
const SAMPLE: i32 = 170;
/// No more markers than this stand on a curve, so that they don't hide each other.
const MOST_MARKERS: usize = 10;

/// Why a figure cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("figure {name} cannot be drawn: {source}")]
pub struct Error {
    name: String,
    source: Failed,
}

type Failed = DrawingAreaErrorKind<io::Error>;
type Area<'a, C> = DrawingArea<SVGBackend<'a>, C>;

/// The figure as an SVG document, which can also stand in a page. Values that are not finite are left out, and so are
/// those that a logarithmic axis does not have. A published curve whose label begins with a measured one's looks like
/// its thin, hollow sister. A curve of many points has markers and error bars at some of them.
///
/// # Errors
/// If it cannot be drawn.
pub fn svg(figure: &Figure) -> Result<String, Error> {
    let legend = Legend::of(figure);
    let labels = wrapped(&figure.y.label, WIDTH as i32 - 2 * MARGIN);
    let head = labels.len() as u32 * ROW;
    let height = head + PLOT + ROW + legend.rows() * ROW + 2 * MARGIN as u32;
    let mut drawing = String::new();
    draw(figure, &legend, &labels, (WIDTH, height), &mut drawing)
        .map_err(|source| Error { name: figure.name.clone(), source })?;
    let page = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {height}")) role="img" {
            title { (figure.title) }
            (PreEscaped(drawing))
        }
    };
    Ok(page.into_string())
}

fn draw(
    figure: &Figure,
    legend: &Legend,
    labels: &[String],
    size: (u32, u32),
    drawing: &mut String,
) -> Result<(), Failed> {
    let root = SVGBackend::with_string(drawing, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, rest) = root.split_vertically(labels.len() as u32 * ROW + MARGIN as u32);
    let (plot, foot) = rest.split_vertically(PLOT);
    for (row, label) in labels.iter().enumerate() {
        write(&head, label, (MARGIN, MARGIN + row as i32 * ROW as i32), HPos::Left)?;
    }
    write(&foot, &figure.x.label, (WIDTH as i32 / 2, 0), HPos::Center)?;
    curves(figure, &plot, &legend.looks)?;
    legend.draw(&foot.margin(ROW, 0, 0, 0))?;
    root.present()
}

fn curves(figure: &Figure, area: &Area<Shift>, looks: &[Look]) -> Result<(), Failed> {
    let drawn = |point: &&Point| drawable(point.x, figure.x.logarithmic) && drawable(point.y, figure.y.logarithmic);
    let points = || figure.series.iter().flat_map(|series| &series.points).filter(drawn);
    let x = Scale::of(&figure.x, points().map(|point| (point.x, 0.0)));
    let y = Scale::of(&figure.y, points().map(|point| (point.y, point.spread)));
    let widest = y.ticks.iter().map(|tick| width(&y.format_ext(tick))).max().unwrap_or(0);
    let last = x.ticks.last().map_or(0, |tick| width(&x.format_ext(tick)));
    let (columns, rows) = (x.ticks.len(), y.ticks.len());
    let mut chart = ChartBuilder::on(area)
        .margin_right(last / 2 + MARGIN)
        .margin_top(MARGIN)
        .x_label_area_size(ROW + 2 * MARGIN as u32)
        .y_label_area_size(widest + 3 * MARGIN)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .x_labels(columns)
        .y_labels(rows)
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(208, 208, 208).stroke_width(2))
        .axis_style(BLACK.stroke_width(3))
        .label_style(text())
        .set_all_tick_mark_size(MARGIN)
        .draw()?;
    let area = chart.plotting_area();
    // What was measured lies over what was published.
    let mut order: Vec<_> = figure.series.iter().zip(looks).enumerate().collect();
    order.sort_by_key(|(_, (series, _))| !series.published);
    for (nth, (series, look)) in order {
        let points: Vec<_> = series.points.iter().filter(drawn).collect();
        look.line(area, points.iter().map(|point| (point.x, point.y)).collect())?;
        let every = points.len().div_ceil(MOST_MARKERS).max(1);
        // Each curve has its markers elsewhere, since curves often lie upon each other.
        for point in points.into_iter().skip(nth * every / figure.series.len()).step_by(every) {
            if point.spread > 0.0 {
                let [low, high] = [-point.spread, point.spread].map(|by| (point.y + by).clamp(y.low, y.high));
                look.bar(area, (point.x, low), (point.x, high))?;
            }
            look.mark(area, (point.x, point.y))?;
        }
    }
    Ok(())
}

/// How the numbers of an axis lie on it: as they are, or by their logarithms.
#[derive(Clone)]
struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    step: f64,
}

impl Scale {
    /// The scale that holds all values, which are [`drawable`], and what they spread to each side.
    fn of(axis: &Axis, values: impl Iterator<Item = (f64, f64)>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for (value, spread) in values {
            let spread = if drawable(spread, false) && !axis.logarithmic { spread } else { 0.0 };
            (least, most) = (least.min(value - spread), most.max(value + spread));
        }
        if least > most {
            (least, most) = (1.0, 10.0);
        }
        if axis.logarithmic {
            Self::powers(least, most)
        } else {
            Self::steps(least, most)
        }
    }

    fn steps(least: f64, most: f64) -> Self {
        // Zero belongs to the axis, unless it would press the curves into its upper half.
        let from = if least >= 0.0 && (least < most / 2.0 || least == most) { 0.0 } else { least };
        let span = if most - from > TINIEST { most - from } else { 1.0 };
        let step = round(span / 5.0);
        let low = (from / step).floor() * step;
        let high = from + span * 1.02;
        let ticks = ((low / step).round() as i64..=(high / step).floor() as i64).map(|nth| nth as f64 * step).collect();
        Self { logarithmic: false, low, high, ticks, step }
    }

    fn powers(least: f64, most: f64) -> Self {
        let decades = least.log10().floor() as i32..=most.log10().ceil() as i32 + 1;
        let rounds: Vec<f64> =
            decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade))).collect();
        let first = rounds.iter().rposition(|round| *round <= least).unwrap_or(0);
        let last = rounds.iter().position(|round| *round >= most && *round > rounds[first]).unwrap_or(rounds.len() - 1);
        let (low, high) = (rounds[first], rounds[last]);
        // Over more than two decades, only their ends are named.
        let ticks = (first..=last).filter(|nth| last - first <= 6 || nth % 3 == 0).map(|nth| rounds[nth]).collect();
        Self { logarithmic: true, low, high, ticks, step: 0.0 }
    }
}

/// Beyond this and its reciprocal, the steps of an axis may be no numbers.
const TINIEST: f64 = 1e-100;

/// Whether an axis has room for a value.
fn drawable(value: f64, logarithmic: bool) -> bool {
    value.abs() < TINIEST.recip() && (value > TINIEST || !logarithmic)
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let [low, high, value] =
            [self.low, self.high, *value].map(|number| if self.logarithmic { number.log10() } else { number });
        start + ((value - low) / (high - low) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format(tick: &f64) -> String {
        tick.to_string()
    }

    fn format_ext(&self, tick: &f64) -> String {
        if self.logarithmic {
            named(*tick, *tick, *tick)
        } else {
            named(*tick, self.step, self.high)
        }
    }
}

/// A number on an axis of such steps, in the unit that suits the axis' greatest.
fn named(value: f64, step: f64, greatest: f64) -> String {
    let units = [(1e12, " T"), (1e9, " G"), (1e6, " M")];
    // Powers are not exact: a million may come as a little less.
    let (unit, sign) = units.into_iter().find(|(unit, _)| greatest >= unit * 0.999).unwrap_or((1.0, ""));
    let digits = -((step / unit * 1.001).log10().floor() as i64);
    let number = grouped(value / unit, digits.max(0) as usize);
    if value == 0.0 {
        number
    } else {
        number + sign
    }
}

/// The next greater of 1, 2, 5, 10, 20, …
fn round(step: f64) -> f64 {
    let decade = 10f64.powf(step.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| step <= digit * decade).unwrap_or(10.0);
    digit * decade
}

/// A marker, as the corners of a polygon round a point.
type Marker = &'static [(i32, i32)];

/// The first curve has the first, and so on.
const MARKERS: [Marker; 6] = [
    &[(-13, -5), (-5, -13), (5, -13), (13, -5), (13, 5), (5, 13), (-5, 13), (-13, 5)],
    &[(-12, -12), (12, -12), (12, 12), (-12, 12)],
    &[(0, -16), (15, 11), (-15, 11)],
    &[(0, -17), (17, 0), (0, 17), (-17, 0)],
    &[(0, 16), (-15, -11), (15, -11)],
    &[
        (-5, -16),
        (5, -16),
        (5, -5),
        (16, -5),
        (16, 5),
        (5, 5),
        (5, 16),
        (-5, 16),
        (-5, 5),
        (-16, 5),
        (-16, -5),
        (-5, -5),
    ],
];

/// The lengths of the dashes and of the gaps between them. The first line has none.
const DASHES: [(i32, i32); 6] = [(1, 0), (30, 14), (10, 12), (54, 14), (20, 26), (4, 16)];

/// Each is at least three times darker than white, and in grey no two are the same.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 92, 175),
    RGBColor(196, 70, 20),
    RGBColor(30, 110, 75),
    RGBColor(125, 50, 140),
    RGBColor(150, 115, 30),
];

/// How a curve looks.
struct Look {
    nth: usize,
    published: bool,
}

impl Look {
    /// The looks of a figure's curves.
    fn all(series: &[Series]) -> Vec<Self> {
        let measured: Vec<_> = series.iter().filter(|series| !series.published).collect();
        let mut before = 0;
        let mut next = || {
            before += 1;
            before - 1
        };
        let mut alone = measured.len();
        series
            .iter()
            .map(|series| {
                let sister = (0..measured.len())
                    .filter(|nth| series.published && series.label.starts_with(&measured[*nth].label))
                    .max_by_key(|nth| measured[*nth].label.len());
                let nth = match sister {
                    Some(nth) => nth,
                    None if series.published => {
                        alone += 1;
                        alone - 1
                    }
                    None => next(),
                };
                Self { nth, published: series.published }
            })
            .collect()
    }

    fn colour(&self) -> RGBColor {
        COLOURS[self.nth % COLOURS.len()]
    }

    fn line<C: CoordTranslate>(&self, area: &Area<C>, points: Vec<C::From>) -> Result<(), Failed>
    where
        C::From: Clone + 'static,
    {
        let (dash, width) = if self.published { ((8, 12), 3) } else { (DASHES[self.nth % DASHES.len()], 6) };
        let stroke = self.colour().stroke_width(width);
        match dash {
            (_, 0) => area.draw(&PathElement::new(points, stroke)),
            (dash, gap) => area.draw(&DashedPathElement::new(points, dash, gap, stroke)),
        }
    }

    fn bar<C: CoordTranslate>(&self, area: &Area<C>, low: C::From, high: C::From) -> Result<(), Failed>
    where
        C::From: Clone + 'static,
    {
        let stroke = self.colour().stroke_width(3);
        for end in [&low, &high] {
            let cap = PathElement::new(vec![(-9, 0), (9, 0)], stroke);
            area.draw(&(EmptyElement::at(end.clone()) + cap))?;
        }
        area.draw(&PathElement::new(vec![low, high], stroke))
    }

    fn mark<C: CoordTranslate>(&self, area: &Area<C>, at: C::From) -> Result<(), Failed>
    where
        C::From: Clone + 'static,
    {
        let marker = MARKERS[self.nth % MARKERS.len()];
        let edge: Vec<_> = marker.iter().chain(marker.first()).copied().collect();
        let (inside, outside) = if self.published { (WHITE, self.colour()) } else { (self.colour(), WHITE) };
        let inside = Polygon::new(marker, inside);
        area.draw(&(EmptyElement::at(at) + inside + PathElement::new(edge, outside.stroke_width(3))))
    }
}

/// What tells the curves apart, in one or two columns.
struct Legend {
    looks: Vec<Look>,
    /// Each row's entries: a curve if the text is not the rest of the one above, and a text.
    columns: Vec<Vec<(Option<usize>, String)>>,
    notes: Vec<&'static str>,
}

impl Legend {
    fn of(figure: &Figure) -> Self {
        let series = &figure.series;
        let half = WIDTH as i32 / 2 - SAMPLE - 3 * MARGIN;
        let (measured, published): (Vec<_>, Vec<_>) = (0..series.len()).partition(|nth| !series[*nth].published);
        let wide = series.iter().any(|series| width(&series.label) > half);
        let columns = if wide || series.len() < 2 {
            vec![measured.into_iter().chain(published).collect()]
        } else if measured.is_empty() || published.is_empty() {
            let mut first = [measured, published].concat();
            let second = first.split_off(first.len().div_ceil(2));
            vec![first, second]
        } else {
            vec![measured, published]
        };
        let room = if columns.len() == 1 { WIDTH as i32 - SAMPLE - 3 * MARGIN } else { half };
        let entry = |nth: usize| {
            let texts = wrapped(&series[nth].label, room);
            iter::once(Some(nth)).chain(iter::repeat(None)).zip(texts)
        };
        let columns = columns.into_iter().map(|column| column.into_iter().flat_map(entry).collect()).collect();
        let mut notes = Vec::new();
        if series.iter().any(|series| series.published) {
            notes.push("Thin, hollow: the paper's values");
        }
        if series.iter().any(|series| series.points.iter().any(|point| point.spread > 0.0)) {
            notes.push("Bars: 95 % confidence intervals");
        }
        Self { looks: Look::all(series), columns, notes }
    }

    fn rows(&self) -> u32 {
        let entries = self.columns.iter().map(Vec::len).max().unwrap_or(0);
        (entries + self.notes.len()) as u32
    }

    fn draw(&self, area: &Area<Shift>) -> Result<(), Failed> {
        let row = |nth: usize| MARGIN + (nth * ROW as usize) as i32;
        for (nth, column) in self.columns.iter().enumerate() {
            let left = 2 * MARGIN + nth as i32 * WIDTH as i32 / 2;
            for (nth, (curve, label)) in column.iter().enumerate() {
                if let Some(look) = curve.and_then(|curve| self.looks.get(curve)) {
                    let middle = row(nth) + TEXT as i32 / 2;
                    look.line(area, vec![(left, middle), (left + SAMPLE - 2 * MARGIN, middle)])?;
                    look.mark(area, (left + SAMPLE / 2 - MARGIN, middle))?;
                }
                write(area, label, (left + SAMPLE, row(nth)), HPos::Left)?;
            }
        }
        let entries = self.rows() as usize - self.notes.len();
        for (nth, note) in self.notes.iter().enumerate() {
            write(area, note, (2 * MARGIN, row(entries + nth)), HPos::Left)?;
        }
        Ok(())
    }
}

/// The library shrinks a font by this much, to what would be the height of its letters.
const SHRINK: f64 = 1.24;

fn text() -> TextStyle<'static> {
    ("sans-serif", f64::from(TEXT) * SHRINK).into()
}

fn write(area: &Area<Shift>, line: &str, at: (i32, i32), side: HPos) -> Result<(), Failed> {
    area.draw(&Text::new(line, at, text().pos(Pos::new(side, VPos::Top))))
}

/// About how wide a text is. No font is asked, so that every machine draws the same.
fn width(line: &str) -> i32 {
    line.chars().count() as i32 * TEXT as i32 * 56 / 100
}

/// The text in lines of at most such a width, if its words allow that.
fn wrapped(text: &str, room: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + width(word) < room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
