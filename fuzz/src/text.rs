//! What users and their files say.

use crate::bytes::Bytes;
use chain::{
    cargo_contract::call_text,
    contract::Bundle,
    keys::{address, bytes32, parse_address, Keys},
};
use std::{str::from_utf8, sync::LazyLock};

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| Bundle::built_in().expect("the built bundle is one"));

/// The first byte says what it is.
pub fn run(data: &[u8]) {
    match data {
        [0, text @ ..] => suri(text),
        [1, text @ ..] => account(text),
        [2, text @ ..] => bundle(text),
        [3, call @ ..] => drop(call_text(&BUNDLE.metadata, call)),
        [4, rest @ ..] => described_call(Bytes(rest)),
        _ => {}
    }
}

fn suri(text: &[u8]) {
    if let Some(keys) = from_utf8(text).ok().and_then(|text| Keys::from_suri(text).ok()) {
        keys.sign(b"anything");
    }
}

fn account(text: &[u8]) {
    let Ok(text) = from_utf8(text) else { return };
    bytes32(text);
    if let Ok(account) = parse_address(text) {
        assert_eq!(parse_address(&address(&account)).ok(), Some(account));
    }
}

fn bundle(text: &[u8]) {
    if let Ok(bundle) = from_utf8(text).map_err(drop).and_then(|text| Bundle::parse(text).map_err(drop)) {
        bundle.code_hash();
    }
}

/// A call, before the metadata that describes it.
fn described_call(mut bytes: Bytes) {
    let Some(call) = bytes.piece() else { return };
    if let Ok(metadata) = serde_json::from_slice(bytes.0) {
        drop(call_text(&metadata, call));
    }
}
