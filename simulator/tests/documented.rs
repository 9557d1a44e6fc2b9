//! What docs/experiments shows is what `braid-sim all` finds.

use braid::planning::Preference;
use expect_test::expect_file;
use simulator::{
    experiments::{Effort, Silent, ALL},
    report,
};
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn the_documented_findings_are_what_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lightning = std::env::var_os("LIGHTNING_DATA").map_or(root.join("../shared/data/lightning"), Into::into);
    if !lightning.is_dir() {
        let known = std::env::var_os("BRAID_NO_LIGHTNING").is_some();
        assert!(known, "no Lightning data in {}: set LIGHTNING_DATA, or BRAID_NO_LIGHTNING=1", lightning.display());
        eprintln!("NOT TESTED: there is no Lightning data in {}", lightning.display());
        return;
    }
    let effort = Effort { seed: 1, runs: 20, small: false, preference: Preference::default() };
    let run = |known: &simulator::experiments::Experiment| (known.run)(&effort, Some(&lightning), &Silent);
    let findings: Vec<_> = ALL.iter().flat_map(|known| run(known).expect("the experiment runs")).collect();
    let files = report::everything(&findings).expect("the findings can be shown");
    let documented = root.join("docs/experiments");
    for (name, text) in files.iter().filter(|(name, _)| *name != report::PAGE) {
        expect_file![documented.join(name)].assert_eq(text);
    }
    let there = fs::read_dir(documented).expect("the folder is there").map(|entry| entry.expect("a file").file_name());
    let there: BTreeSet<_> =
        there.filter_map(|name| name.into_string().ok()).filter(|name| name != report::PAGE).collect();
    assert_eq!(there, files.into_keys().filter(|name| name != report::PAGE).collect());
}
