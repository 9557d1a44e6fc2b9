//! Everything that was found as one page, which needs no network, as Markdown, and as files.

use crate::{
    output::{Cell, Error, Figure, Files, Finding, Table},
    plot,
};
use maud::{html, Markup, PreEscaped, DOCTYPE};

/// The page's name among the files.
pub const PAGE: &str = "report.html";
/// The name of the same as Markdown.
pub const MARKDOWN: &str = "report.md";

const TITLE: &str = "Braid: what was measured, beside what the paper says";

const INTRODUCTION: [&str; 2] = [
    "The paper is “Research on Multiparty Payment Technology Based on Blockchain and Smart Contract Mechanism” \
     (Journal of Mathematics, 2022, article 3434954). Its publisher retracted it on 20 December 2023 for unreliable \
     reporting. Its values are claims that are measured again here, never evidence.",
    "What is random is a mean over several runs, each with a topology and a workload of its own, with its 95 % \
     confidence interval; delays are not, and assumptions are tried with one run each. The command above each finding \
     repeats it to the byte.",
];

/// All files of the findings, introduced as what they are.
///
/// # Errors
/// As [`files`].
pub fn everything(findings: &[Finding]) -> Result<Files, Error> {
    files(TITLE, &INTRODUCTION.map(str::to_owned), findings)
}

/// All files of the findings: the page, the same as Markdown, the figures as SVG, and the values of tables and figures as CSV. The title and
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
    add(MARKDOWN.to_owned(), markdown(title, introduction, findings))?;
    Ok(files)
}

/// The findings as Markdown, whose figures and CSV files lie beside it.
pub fn markdown(title: &str, introduction: &[String], findings: &[Finding]) -> String {
    let mut text = format!("# {title}\n");
    let mut paragraph = |paragraph: &str| text += &format!("\n{paragraph}\n");
    introduction.iter().for_each(|each| paragraph(each));
    for finding in findings {
        paragraph(&format!("## {}", finding.title));
        paragraph(&format!("```console\n$ {}\n```", finding.command));
        finding.text.iter().for_each(|each| paragraph(each));
        for figure in &finding.figures {
            paragraph(&format!("![{}]({}.svg)", figure.title, figure.name));
        }
        for table in &finding.tables {
            paragraph(&format!("{} ([CSV]({}.csv))", table.title, table.name));
            paragraph(&lines(table).join("\n"));
        }
    }
    text
}

fn lines(table: &Table) -> Vec<String> {
    let escaped = |text: String| text.replace('|', "\\|").replace('<', "&lt;");
    let line = |cells: Vec<String>| format!("| {} |", cells.into_iter().map(escaped).collect::<Vec<_>>().join(" | "));
    let side = |column| if is_number(table, column) { "---:" } else { "---" }.to_owned();
    let mut lines = vec![line(table.columns.clone()), line((0..table.columns.len()).map(side).collect())];
    lines.extend(table.rows.iter().map(|row| line(row.iter().map(Cell::to_string).collect())));
    lines
}

/// Whether a column is aligned to the right.
fn is_number(table: &Table, column: usize) -> bool {
    table.rows.iter().any(|row| row.get(column).is_some_and(Cell::is_number))
}

/// A paragraph in which what stands between backticks is code.
fn prose(text: &str) -> Markup {
    html! {
        @for (nth, part) in text.split('`').enumerate() {
            @if nth % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
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
                    @for paragraph in introduction { p { (prose(paragraph)) } }
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
            @for paragraph in &finding.text { p { (prose(paragraph)) } }
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
    let is_number = |column| is_number(table, column);
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
td:first-child:not(.number) { min-width: 9rem; }
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
