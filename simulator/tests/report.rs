//! What the findings look like as files.

use simulator::output::{self, Axis, Cell, Error, Figure, Files, Finding, Point, Series, Table};
use simulator::{plot, report};
use std::fs;

fn axis(label: &str, logarithmic: bool) -> Axis {
    Axis { label: label.to_owned(), logarithmic }
}

fn series(label: &str, published: bool, points: &[(f64, f64, f64)]) -> Series {
    let points = points.iter().map(|(x, y, spread)| Point { x: *x, y: *y, spread: *spread }).collect();
    Series { label: label.to_owned(), published, points }
}

/// Five curves and the paper's five, as the success ratio is shown.
fn figure() -> Figure {
    let ratio = |nth: u32, slope: f64, spread: f64| -> Vec<(f64, f64, f64)> {
        let loss = |x: f64| slope * x / (900.0 + 150.0 * f64::from(nth));
        (0..=20).map(|step| f64::from(step) * 200.0).map(|x| (x, 100.0 - loss(x), spread * x / 4000.0)).collect()
    };
    let sizes = (0..5).map(|nth| (nth, 100 + 50 * nth));
    let measured = sizes.clone().map(|(nth, nodes)| series(&format!("{nodes} users"), false, &ratio(nth, 9.0, 2.0)));
    let published = sizes.map(|(nth, nodes)| series(&format!("{nodes} users, paper"), true, &ratio(nth, 5.0, 0.0)[..]));
    Figure {
        name: "success-5".to_owned(),
        title: "Success ratio with amounts below 5".to_owned(),
        x: axis("Transactions so far", false),
        y: axis("Successful transactions (%)", false),
        series: measured.chain(published).collect(),
    }
}

fn powers() -> Figure {
    let powers = [10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];
    let curve = |factor: f64| powers.map(|x| (x, factor * x * 1e3, 200.0 * factor * x));
    Figure {
        name: "planning-time".to_owned(),
        title: "Time to plan a transaction".to_owned(),
        x: axis("Users", true),
        y: axis("Time for a transaction (ns)", true),
        series: vec![
            series(
                "A long label that needs more than the half of the drawing's width, and even two lines",
                false,
                &curve(1.0),
            ),
            series("Others", false, &curve(4.0)),
            series("None at zero", false, &[(0.0, 1.0, 0.0), (10.0, 0.0, 0.0), (f64::NAN, 3.0, 0.0)]),
        ],
    }
}

fn table() -> Table {
    Table {
        name: "costs".to_owned(),
        title: "What a call costs".to_owned(),
        columns: ["Call, \"quoted\"", "Gas", "Fee (UNIT)", "Delay (s)", "Paper's delay (s)"]
            .map(str::to_owned)
            .to_vec(),
        rows: vec![
            vec![
                Cell::Text("<create> & close".to_owned()),
                Cell::Count(12_345_678),
                Cell::Number(-0.0001, 2),
                Cell::Mean(1234.5, 0.25, 1),
                Cell::Empty,
            ],
            vec![
                Cell::Text("settle".to_owned()),
                Cell::Count(7),
                Cell::Number(f64::NAN, 2),
                Cell::Empty,
                Cell::Number(15.0, 0),
            ],
        ],
    }
}

fn findings() -> Vec<Finding> {
    vec![Finding {
        name: "table-2".to_owned(),
        title: "How many transactions succeed".to_owned(),
        command: "braid-sim table 2 --seed 1 --runs 20".to_owned(),
        text: vec!["A user's channels hold 100 each. A transaction fails if a transfer finds no channel.".to_owned()],
        figures: vec![figure(), powers()],
        tables: vec![table()],
    }]
}

#[test]
fn a_table_is_csv_with_the_half_widths_of_its_means() {
    let expected = "\"Call, \"\"quoted\"\"\",Gas,Fee (UNIT),Delay (s),Delay (s) ± 95 %,Paper's delay (s)\n\
                    <create> & close,12345678,0.00,1234.5,0.2,\n\
                    settle,7,,,,15\n";
    assert_eq!(table().csv().expect("its rows are even"), expected);
}

#[test]
fn a_row_of_another_length_is_refused() {
    let mut table = table();
    table.rows[1].push(Cell::Empty);
    let error = table.csv().expect_err("the row is too long");
    assert!(matches!(&error, Error::Csv { name, .. } if name == "costs"), "{error}");
}

#[test]
fn a_figure_is_csv() {
    let mut figure = powers();
    figure.series = vec![series("a, b", false, &[(0.1, 1e6, 0.25), (2.0, 1e-7, 0.0)])];
    let expected = "series,x,y,spread\n\"a, b\",0.1,1000000,0.25\n\"a, b\",2,0.0000001,0\n";
    assert_eq!(figure.csv().expect("it is a text"), expected);
}

#[test]
fn readers_see_thousands_apart() {
    let shown: Vec<String> = table().rows[0].iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["<create> & close", "12,345,678", "0.00", "1,234.5 ± 0.2", ""]);
    assert_eq!(output::grouped(-1_234_567.891, 2), "-1,234,567.89");
    assert_eq!(output::grouped(-123.0, 0), "-123");
}

#[test]
fn json_names_the_interval() {
    let row = serde_json::to_value(&table().rows[0]).expect("it is JSON");
    let expected = serde_json::json!(["<create> & close", 12_345_678, -0.0001, { "mean": 1234.5, "half": 0.25 }, null]);
    assert_eq!(row, expected);
}

#[test]
fn the_same_findings_are_the_same_bytes() {
    let files = || report::files("Findings", &["What it is.".to_owned()], &findings()).expect("they can be drawn");
    assert_eq!(files(), files());
    let names: Vec<String> = files().into_keys().collect();
    assert_eq!(
        names,
        [
            "costs.csv",
            "planning-time.csv",
            "planning-time.svg",
            "report.html",
            "report.md",
            "success-5.csv",
            "success-5.svg"
        ]
    );
}

#[test]
fn the_page_needs_no_network_and_escapes_texts() {
    let page = report::page("A & B", &[], &findings()).expect("it can be drawn");
    assert!(page.contains("<title>A &amp; B</title>") && page.contains("&lt;create&gt; &amp; close"));
    let links = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!links.contains("http") && !links.contains("<script") && !links.contains("@import"));
}

#[test]
fn the_report_as_markdown_has_aligned_tables_and_links_its_files() {
    let text = report::markdown("Findings", &["What it is.".to_owned()], &findings());
    let table = "What a call costs ([CSV](costs.csv))\n\n\
                 | Call, \"quoted\" | Gas | Fee (UNIT) | Delay (s) | Paper's delay (s) |\n\
                 | --- | ---: | ---: | ---: | ---: |\n\
                 | &lt;create> & close | 12,345,678 | 0.00 | 1,234.5 ± 0.2 |  |\n\
                 | settle | 7 |  |  | 15 |\n";
    assert!(text.starts_with(
        "# Findings\n\nWhat it is.\n\n## How many transactions succeed\n\n```console\n$ braid-sim table 2"
    ));
    assert!(text.ends_with(table), "{text}");
    assert!(text.contains("\n![Success ratio with amounts below 5](success-5.svg)\n"));
}

#[test]
fn curves_without_points_are_drawn() {
    let mut figure = figure();
    for series in &mut figure.series {
        series.points.clear();
    }
    plot::svg(&figure).expect("it is drawn without curves");
    figure.series.clear();
    figure.y.logarithmic = true;
    plot::svg(&figure).expect("it is drawn without a legend");
}

#[test]
fn odd_values_are_drawn() {
    let odd = [0.0, -0.0, 5.0, -3.0, 1e-300, f64::MIN_POSITIVE, 1e300, f64::MAX, -f64::MAX, f64::INFINITY, f64::NAN];
    for (first, second) in odd.iter().flat_map(|first| odd.map(|second| (*first, second))) {
        for logarithmic in [false, true] {
            let figure = Figure {
                name: "odd".to_owned(),
                title: "Odd".to_owned(),
                x: axis("x", logarithmic),
                y: axis("y", logarithmic),
                series: vec![series("odd", false, &[(first, second, 1.0), (second, first, f64::NAN)])],
            };
            plot::svg(&figure).expect("whatever is not on the axis is left out");
        }
    }
}

#[test]
fn two_findings_with_one_name_are_refused() {
    let twice = [findings(), findings()].concat();
    let error = report::files("", &[], &twice).expect_err("both have the same tables");
    assert!(matches!(&error, Error::Twice(name) if name == "success-5.csv"), "{error}");
}

#[test]
fn writing_leaves_other_files_alone_and_nothing_beside_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("new").join("out");
    let files = Files::from([("a.csv".to_owned(), "1\n".to_owned()), ("b.csv".to_owned(), "2\n".to_owned())]);
    output::write(&out, &files).expect("it is a new folder");
    fs::write(out.join("mine.txt"), "mine").expect("it is a file of the user's");
    let written = output::write(&out, &files).expect("the files are replaced");
    assert_eq!(written, [out.join("a.csv"), out.join("b.csv")]);
    let mut names: Vec<_> =
        fs::read_dir(&out).expect("it is a folder").map(|entry| entry.expect("it").file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.csv", "b.csv", "mine.txt"]);
}

#[test]
fn nothing_is_half_written_if_a_file_cannot_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = Files::from([("a.csv".to_owned(), String::new()), ("no/such/folder.csv".to_owned(), String::new())]);
    let error = output::write(folder.path(), &files).expect_err("a file has no folder");
    assert!(error.to_string().contains("no/such/folder.csv cannot be written"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("it is a folder").count(), 0);
}
