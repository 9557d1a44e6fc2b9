//! What the tests against a real node share: nodes of their own, the command `braid`, a connection that can be cut.
//!
//! The node's binary is named by `CONTRACTS_NODE`; `scripts/test` sets it. Nothing here is skipped when it is missing.
#![allow(clippy::missing_panics_doc)] // A failure here fails the test.

mod command;
mod node;
mod proxy;

pub use command::{braid, cargo_contract, run, Finished};
pub use node::TestNode;
pub use proxy::Proxy;

use chain::keys::Keys;

/// A development account's key.
pub fn keys(suri: &str) -> Keys {
    Keys::from_suri(suri).expect("a derivation path is a valid seed")
}

/// The smallest contract that pallet-contracts takes: its constructor does nothing, and a call runs these instructions.
pub fn contract_that(call: &[u8]) -> Vec<u8> {
    const BEFORE: &[u8] = b"\0asm\x01\0\0\0\
        \x01\x04\x01\x60\0\0\
        \x02\x10\x01\x03env\x06memory\x02\x01\x01\x10\
        \x03\x03\x02\0\0\
        \x07\x11\x02\x04call\0\0\x06deploy\0\x01\
        \x0a";
    let length = |bytes: usize| u8::try_from(bytes).expect("a few instructions");
    let body = |code: &[u8]| [&[length(code.len() + 2), 0], code, b"\x0b"].concat();
    let bodies = [b"\x02", &body(call)[..], &body(&[])].concat();
    [BEFORE, &[length(bodies.len())], &bodies].concat()
}
