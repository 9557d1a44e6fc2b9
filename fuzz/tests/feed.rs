//! Feeds every target what it starts from, and what was once found with it.

use braid_fuzz::TARGETS;
use engine::Message;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

/// Much less than a thread has, so that what needs a deep stack is found here too.
const STACK: usize = 1 << 20;

fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target));
    let files = files.into_iter().flatten();
    files.map(|file| file.expect("a folder can be read").path()).collect()
}

fn feed(folder: &str) {
    for (name, run) in TARGETS {
        for path in inputs(folder, name) {
            let input = fs::read(&path).expect("an input can be read");
            // Whatever ends the thread, or the process with it, tells the thread's name.
            let thread = thread::Builder::new().name(path.display().to_string()).stack_size(STACK);
            let fed = thread.spawn(move || run(&input)).expect("a thread can be started").join();
            assert!(fed.is_ok(), "{} fails", path.display());
        }
    }
}

#[test]
fn every_target_takes_what_it_starts_from() {
    feed("seeds");
}

#[test]
fn what_a_target_starts_from_is_still_of_use() {
    assert!(TARGETS.iter().all(|(name, _)| !inputs("seeds", name).is_empty()));
    for path in inputs("seeds", "frame") {
        let frame = fs::read(&path).expect("an input can be read");
        assert!(Message::from_frame(&frame).is_ok(), "{}: run the test that writes the seeds", path.display());
    }
}

#[test]
fn nothing_that_was_found_comes_back() {
    feed("found");
}
