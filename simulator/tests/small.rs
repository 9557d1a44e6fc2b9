//! Everything, small: the same seed gives the same values, to the byte.

use expect_test::expect_file;
use planning::Preference;
use simulator::{
    experiments::{Effort, Silent, ALL},
    report,
};

#[test]
fn the_same_seed_gives_the_same_values_to_the_byte() {
    let effort = Effort { seed: 1, runs: 2, small: true, preference: Preference::default() };
    let findings = ALL.iter().flat_map(|known| (known.run)(&effort, None, &Silent).expect("the experiment runs"));
    let findings: Vec<_> = findings.collect();
    let files = report::files("Small", &[], &findings).expect("the findings can be shown");
    let values = files.iter().filter(|(name, _)| name.ends_with(".csv"));
    let text: String = values.map(|(name, text)| format!("# {name}\n{text}\n")).collect();
    expect_file!["small.csv"].assert_eq(&text);
}
