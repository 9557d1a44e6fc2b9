//! What users do with each other and against each other, through the real engines, on the real contract.
#![allow(clippy::unwrap_used)] // A failure here fails the test.

mod disputes;
mod neighbours;
mod scenarios;
mod withheld;
