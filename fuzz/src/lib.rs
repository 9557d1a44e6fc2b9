//! Arbitrary input for everything of Braid that reads what others wrote. Each module takes bytes and panics if something
//! does not hold that always should.
//!
//! - [`frame`], what a peer sends
//! - [`engine`], what engines do with it, beside a hostile peer and on a chain
//! - [`stored`], what is read from disk
//! - [`answers`], what a node answers
//! - [`text`], what users and their files say
//!
//! `scripts/fuzz` searches for such input with libFuzzer, starting from `seeds`. What it has found stays in `found`, and
//! the tests feed both.
#![allow(clippy::missing_panics_doc)] // To panic is how a finding is told.

pub mod answers;
mod bytes;
pub mod engine;
pub mod frame;
#[cfg(test)]
mod seeds;
pub mod stored;
pub mod text;

use std::{env, fs, io};

/// What takes input.
pub type Target = fn(&[u8]);

/// Every target's name, and what it does with its input.
pub const TARGETS: [(&str, Target); 5] = [
    ("frame", frame::run),
    ("engine", engine::run),
    ("stored", stored::run),
    ("answers", answers::run),
    ("text", text::run),
];

/// The program of a target: cargo-fuzz's, or else one that feeds the files that its arguments name.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name::run(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::feed_arguments($crate::$name::run)
        }
    };
}

/// Feeds the files that the program's arguments name.
///
/// # Errors
/// If one of them cannot be read.
pub fn feed_arguments(run: Target) -> io::Result<()> {
    env::args_os().skip(1).try_for_each(|path| {
        run(&fs::read(path)?);
        Ok(())
    })
}
