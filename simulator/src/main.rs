//! The command `braid-sim`.

fn main() {}
