//! What docs/experiments shows is what `braid-sim all` finds.

mod lightning;

use expect_test::expect_file;
use planning::Preference;
use simulator::{
    experiments::{Effort, Silent, ALL},
    report,
};
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn the_documented_findings_are_what_is_found() {
    let Some(lightning) = lightning::folder() else { return };
    let effort = Effort { seed: 1, runs: 20, small: false, preference: Preference::default() };
    let run = |known: &simulator::experiments::Experiment| (known.run)(&effort, Some(&lightning), &Silent);
    let findings: Vec<_> = ALL.iter().flat_map(|known| run(known).expect("the experiment runs")).collect();
    let mut files = report::everything(&findings).expect("the findings can be shown");
    files.remove(report::PAGE);
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/experiments");
    for (name, text) in &files {
        expect_file![documented.join(name)].assert_eq(text);
    }
    let there = fs::read_dir(documented).expect("the folder is there").map(|entry| entry.expect("a file").file_name());
    let there: BTreeSet<_> =
        there.filter_map(|name| name.into_string().ok()).filter(|name| name != report::PAGE).collect();
    assert_eq!(there, files.into_keys().collect());
}
