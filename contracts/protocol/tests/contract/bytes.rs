//! What is sent, said and counted.

use crate::bench::*;
use crate::common::{entry, Call};
use codec::Encode;
use protocol::{
    abi::{Message, SettleChannels, Withdraw},
    event::CHANNELS_PER_EVENT,
    rules,
    state::{MAX_CHANNELS, MAX_PARTS, MAX_WINDOW, MIN_WINDOW},
    Error, TpcId,
};
use scale_info::TypeInfo;

#[test]
fn a_call_is_its_selector_and_its_arguments() {
    let bench = Bench::new();
    let host = Call::new(&bench.chain, S);
    let selector = |name: &str| sp_crypto_hashing::blake2_256(name.as_bytes())[..4].to_vec();
    let withdraw = Withdraw { amount: 5 };
    assert_eq!(withdraw.call_data(&host), [selector("withdraw"), 5u128.to_le_bytes().to_vec()].concat());
    let settle = SettleChannels { channels: vec![TpcId([9; 32]); 2] };
    assert_eq!(settle.call_data(&host), [selector("settle"), vec![TpcId([9; 32]); 2].encode()].concat());
}

#[test]
fn ids_and_accounts_are_shown_in_hexadecimal() {
    let id = TpcId([0xab; 32]);
    let hex = format!("0x{}", "ab".repeat(32));
    assert_eq!(id.to_string(), hex);
    assert_eq!(format!("{id:?}"), format!("TpcId({hex})"));
    assert_eq!(Error::UnknownTpc(id).to_string(), format!("there is no channel {hex}"));
    assert_eq!(Error::MissingSignature(A).to_string(), format!("the signature of 0x{} is missing", "41".repeat(32)));
}

#[test]
fn the_specification_numbers_the_errors_as_they_are_encoded() {
    let page = include_str!("../../../../docs/protocol.md");
    let scale_info::TypeDef::Variant(errors) = Error::type_info().type_def else { panic!("the errors are an enum") };
    for error in &errors.variants {
        let cells = format!("| {} | `{}` |", error.index, error.name);
        assert!(page.contains(&cells), "the page lacks {cells}");
    }
    assert_eq!(Error::NotAlike(TpcId([9; 32])).encode(), [&[36][..], &[9; 32]].concat());
}

#[test]
fn the_last_version_has_no_next() {
    assert_eq!(rules::next_version(3), Ok(4));
    assert_eq!(rules::next_version(u64::MAX), Err(Error::Overflow));
}

#[test]
fn a_stored_state_is_an_entry() {
    let mut bench = Bench::new();
    let id = bench.open([A, B], 0);
    bench.top_up(A, entry(id, 0, 1, [60, 40]), [1, 0]).unwrap();
    let state = entry(id, 1, 7, [50, 51]);
    bench.update(&[state]).unwrap();
    let tpc = bench.tpc(id).unwrap();
    assert_eq!((tpc.entry(id), state.order(), state.total()), (state, (1, 7), Some(101)));
    assert_eq!(entry(id, 0, 0, [1, u128::MAX]).total(), None);
}

#[test]
fn the_limits_are_those_that_signers_count_on() {
    assert_eq!((MIN_WINDOW, MAX_WINDOW), (10_000, 2_592_000_000), "ten seconds and thirty days");
    assert_eq!((MAX_PARTS, MAX_CHANNELS, CHANNELS_PER_EVENT), (16, 256, 200));
}
