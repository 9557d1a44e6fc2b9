//! Everything that was found as one page, which needs no network, and as files.

use crate::{
    output::{Cell, Error, Figure, Files, Finding, Table},
    plot,
};
use maud::{html, Markup, PreEscaped, DOCTYPE};

/// The page's name among the files.
pub const PAGE: &str = "report.html";

/// All files of the findings: the page, the figures as SVG, and the values of tables and figures as CSV. The title and
/// the paragraphs of the introduction stand at the head of the page.
///
/// # Errors
/// If two of them have one name, a table's rows are uneven, or a figure cannot be drawn.
pub fn files(title: &str, introduction: &[String], findings: &[Finding]) -> Result<Files, Error> {
    let mut files = Files::new();
    let mut add = |name: String, text: String| match files.insert(name.clone(), text) {
        None => Ok(()),
        Some(_) => Err(Error::Twice(name)),
    };
    for finding in findings {
        for figure in &finding.figures {
            add(format!("{}.csv", figure.name), figure.csv()?)?;
            add(format!("{}.svg", figure.name), plot::svg(figure)?)?;
        }
        for table in &finding.tables {
            add(format!("{}.csv", table.name), table.csv()?)?;
        }
    }
    add(PAGE.to_owned(), page(title, introduction, findings)?)?;
    Ok(files)
}

/// The page, whose links to the CSV files work where it lies beside them.
///
/// # Errors
/// If a figure cannot be drawn.
pub fn page(title: &str, introduction: &[String], findings: &[Finding]) -> Result<String, Error> {
    let sections: Vec<Markup> = findings.iter().map(section).collect::<Result<_, _>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    @for paragraph in introduction { p { (paragraph) } }
                }
                nav aria-label="Contents" {
                    ol { @for finding in findings { li { a href=(format!("#{}", finding.name)) { (finding.title) } } } }
                }
                main { @for section in &sections { (section) } }
            }
        }
    };
    Ok(page.into_string())
}

fn section(finding: &Finding) -> Result<Markup, Error> {
    let figures: Vec<Markup> = finding.figures.iter().map(picture).collect::<Result<_, _>>()?;
    Ok(html! {
        section id=(finding.name) {
            h2 { (finding.title) }
            pre { code { (finding.command) } }
            @for paragraph in &finding.text { p { (paragraph) } }
            @for figure in &figures { (figure) }
            @for table in &finding.tables { (rows(table)) }
        }
    })
}

fn picture(figure: &Figure) -> Result<Markup, Error> {
    Ok(html! {
        figure {
            (PreEscaped(plot::svg(figure)?))
            figcaption { (caption(&figure.title, &figure.name)) }
        }
    })
}

fn rows(table: &Table) -> Markup {
    let is_number = |column: usize| table.rows.iter().any(|row| row.get(column).is_some_and(Cell::is_number));
    html! {
        figure {
            figcaption { (caption(&table.title, &table.name)) }
            div.wide tabindex="0" role="region" aria-label=(table.title) {
                table {
                    thead {
                        tr {
                            @for (column, head) in table.columns.iter().enumerate() {
                                th.number[is_number(column)] scope="col" { (head) }
                            }
                        }
                    }
                    tbody {
                        @for row in &table.rows {
                            tr {
                                @for (column, cell) in row.iter().enumerate() {
                                    td.number[is_number(column)] { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn caption(title: &str, name: &str) -> Markup {
    html! { (title) " " a href=(format!("{name}.csv")) { "CSV" } }
}

/// The drawings are black on white, so they keep a white ground where the page is dark.
const STYLE: &str = "
:root { --text: #1a1a1a; --ground: #fff; --soft: #f1f1ef; --line: #c8c8c4; --link: #0b4f9e; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e3; --ground: #161616; --soft: #242424; --line: #4a4a48; --link: #8db8f0; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1rem; max-width: 48rem; color: var(--text); background: var(--ground);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 .5rem; }
a { color: var(--link); }
nav { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem 1rem; }
nav ol { margin: 0; padding-left: 1.4rem; }
nav li { padding: .15rem 0; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1.5rem; }
pre { background: var(--soft); border-radius: .3rem; padding: .5rem .75rem; overflow-x: auto; }
figure { margin: 1.5rem 0; }
figure > svg { display: block; width: 100%; height: auto; background: #fff; border-radius: .3rem; }
figcaption { font-size: .9rem; margin: .4rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { text-align: left; vertical-align: bottom; background: var(--soft); }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
.number { text-align: right; }
td.number { white-space: nowrap; }
@media print {
  :root { --text: #000; --ground: #fff; --soft: #fff; --line: #999; --link: #000; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, pre, figcaption:first-child { break-after: avoid; }
  figure > svg { max-height: 45vh; }
  figure:has(> svg), tr { break-inside: avoid; }
  .wide { overflow: visible; }
  pre { white-space: pre-wrap; }
}
";
