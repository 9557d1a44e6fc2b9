//! The vectors, which vectors/make.py made without this crate from the layouts in docs/protocol.md.
#![allow(clippy::unwrap_used)]

use codec::{Encode, MaxEncodedLen};
use protocol::{
    abi::{Deposit, DisputeChannels, Message, UpdateChannels},
    event::CHANNELS_PER_EVENT,
    rules,
    state::MAX_CHANNELS,
    AccountId, Action, Asset, Balance, Crypto, Domain, Entry, Error, Member, MpcClose, MpcCreation, MpcId, MpcJoin,
    MpcLeave, Origin, Owners, PartySignature, Resolution, Signature, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp,
    TpcWithdrawal, Update,
};
use serde_json::Value;
use std::collections::BTreeSet;

struct Chain;

impl Crypto for Chain {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        sp_crypto_hashing::blake2_256(data)
    }

    fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
        let key = schnorrkel::PublicKey::from_bytes(signer).unwrap();
        let signature = schnorrkel::Signature::from_bytes(signature).unwrap();
        key.verify_simple(b"substrate", message, &signature).is_ok()
    }
}

/// Names each variant once, in the function and in the list: so a variant without a vector fails the test.
macro_rules! names {
    ($($variant:ident = $name:literal),*) => {
        fn name(action: &Action) -> &'static str {
            match action {
                $(Action::$variant(_) => $name),*
            }
        }

        const NAMES: &[&str] = &[$($name),*];
    };
}

names! {
    CreateTpc = "create_tpc",
    Update = "update",
    CloseTpc = "close_tpc",
    TopUpTpc = "top_up_tpc",
    WithdrawTpc = "withdraw_tpc",
    SplitTpc = "split_tpc",
    CreateMpc = "create_mpc",
    JoinMpc = "join_mpc",
    LeaveMpc = "leave_mpc",
    CloseMpc = "close_mpc"
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/signing.json")).unwrap()
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().expect("a list").iter().map(read).collect()
}

fn pair<T>(value: &Value, read: impl Fn(&Value) -> T) -> [T; 2] {
    list(value, read).try_into().ok().expect("two of them")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(text(value)).expect("hexadecimal").try_into().expect("as many bytes")
}

fn number<N: TryFrom<u64, Error: core::fmt::Debug>>(value: &Value) -> N {
    value.as_u64().expect("a number").try_into().expect("a number that fits")
}

fn account(value: &Value) -> AccountId {
    bytes(value).into()
}

fn tpc(value: &Value) -> TpcId {
    TpcId(bytes(value))
}

fn balance(value: &Value) -> Balance {
    text(value).parse().expect("an amount")
}

fn asset(value: &Value) -> Asset {
    if value == "native" {
        Asset::Native
    } else {
        Asset::Psp22(account(&value["psp22"]))
    }
}

fn origin(value: &Value) -> Origin {
    match (value.get("creation"), value.get("split")) {
        (Some(nonce), None) => Origin::Creation(number(nonce)),
        (None, Some(part)) => {
            Origin::Split { first: tpc(&part["first"]), epoch: number(&part["epoch"]), index: number(&part["index"]) }
        }
        _ => panic!("no origin: {value}"),
    }
}

fn owners(value: &Value) -> Owners {
    Owners {
        parties: pair(&value["parties"], account),
        window: number(&value["window"]),
        asset: asset(&value["asset"]),
        origin: origin(&value["origin"]),
    }
}

fn entry(value: &Value) -> Entry {
    Entry {
        tpc: tpc(&value["tpc"]),
        epoch: number(&value["epoch"]),
        version: number(&value["version"]),
        balances: pair(&value["balances"], balance),
    }
}

fn member(value: &Value) -> Member {
    Member { tpc: tpc(&value["tpc"]), registrations: number(&value["registrations"]) }
}

fn signature(value: &Value) -> PartySignature {
    PartySignature { party: account(&value["party"]), signature: Signature(bytes(&value["signature"])) }
}

/// Has `check` look at the action that a vector describes.
fn with_action(vector: &Value, check: impl FnOnce(Action)) {
    let valid_until = || number(&vector["valid_until"]);
    let last = || entry(&vector["last"]);
    let mpc = || MpcId(bytes(&vector["mpc"]));
    let members = || list(&vector["members"], member);
    match text(&vector["action"]) {
        "create_tpc" => check(Action::CreateTpc(&TpcCreation {
            parties: pair(&vector["parties"], account),
            nonce: number(&vector["nonce"]),
            asset: asset(&vector["asset"]),
            balances: pair(&vector["balances"], balance),
            window: number(&vector["window"]),
            valid_until: valid_until(),
        })),
        "update" => check(Action::Update(&Update { entries: list(&vector["entries"], entry) })),
        "close_tpc" => check(Action::CloseTpc(&TpcClose { last: last(), valid_until: valid_until() })),
        "top_up_tpc" => {
            let added = pair(&vector["added"], balance);
            check(Action::TopUpTpc(&TpcTopUp { last: last(), added, valid_until: valid_until() }));
        }
        "withdraw_tpc" => {
            let amounts = pair(&vector["amounts"], balance);
            check(Action::WithdrawTpc(&TpcWithdrawal { last: last(), amounts, valid_until: valid_until() }));
        }
        "split_tpc" => {
            let parts = list(&vector["parts"], |part| pair(part, balance));
            let last = list(&vector["last"], entry);
            check(Action::SplitTpc(&TpcSplit { last, parts, valid_until: valid_until() }));
        }
        "create_mpc" => {
            check(Action::CreateMpc(&MpcCreation { members: members(), valid_until: valid_until() }));
        }
        "join_mpc" => check(Action::JoinMpc(&MpcJoin {
            mpc: mpc(),
            host: tpc(&vector["host"]),
            members: members(),
            valid_until: valid_until(),
        })),
        "leave_mpc" => {
            check(Action::LeaveMpc(&MpcLeave { mpc: mpc(), members: members(), valid_until: valid_until() }));
        }
        "close_mpc" => {
            check(Action::CloseMpc(&MpcClose { mpc: mpc(), members: members(), valid_until: valid_until() }));
        }
        other => panic!("an unknown action: {other}"),
    }
}

#[test]
fn channel_ids_are_those_of_the_vectors() {
    let vectors = vectors();
    let channels = list(&vectors["channels"], |vector| {
        let owners = owners(&vector["owners"]);
        assert_eq!(hex::encode(owners.encode()), text(&vector["scale"]));
        assert_eq!(owners.tpc(&Chain), tpc(&vector["id"]));
        owners
    });
    for asset in [false, true] {
        for part in [false, true] {
            let has = |owners: &Owners| {
                (owners.asset != Asset::Native, matches!(owners.origin, Origin::Split { .. })) == (asset, part)
            };
            assert!(channels.iter().any(has), "a channel of each asset, created and split");
        }
    }
    let Origin::Split { first, epoch, index } = channels[2].origin else { panic!("a part") };
    assert_eq!(channels[0].tpc(&Chain), first);
    assert_eq!(channels[0].part(first, epoch, index), channels[2]);
}

#[test]
fn payloads_are_those_of_the_vectors_and_every_action_has_one() {
    let vectors = vectors();
    assert_eq!(protocol::action::DOMAIN_TAG, *text(&vectors["domain"]["tag"]).as_bytes());
    let domain = Domain {
        genesis_hash: bytes(&vectors["domain"]["genesis_hash"]),
        contract: account(&vectors["domain"]["contract"]),
    };
    let mut seen = BTreeSet::new();
    for vector in vectors["actions"].as_array().expect("a list") {
        with_action(vector, |action| {
            let name = name(&action);
            assert_eq!(name, text(&vector["action"]));
            assert_eq!(hex::encode(action.encode()), text(&vector["scale"]), "{name}");
            assert_eq!(action.payload(&Chain, &domain), bytes(&vector["payload"]), "{name}");
            if let Action::CreateMpc(creation) = action {
                assert_eq!(creation.id(&Chain, &domain), MpcId(bytes(&vector["payload"])));
            }
            seen.insert(name);
        });
    }
    assert_eq!(seen, NAMES.iter().copied().collect());
}

#[test]
fn created_channels_have_the_ids_of_their_owners() {
    let vectors = vectors();
    let ids = list(&vectors["channels"], |vector| tpc(&vector["id"]));
    let mut created = Vec::new();
    for vector in vectors["actions"].as_array().expect("a list") {
        with_action(vector, |action| {
            if let Action::CreateTpc(creation) = action {
                created.push(creation.id(&Chain));
            }
        });
    }
    assert_eq!(created, ids[..2]);
}

#[test]
fn calls_are_those_of_the_vectors() {
    for vector in vectors()["calls"].as_array().expect("a list") {
        let data = match text(&vector["message"]) {
            "deposit" => Deposit {}.call_data(&Chain),
            "update" => UpdateChannels {
                update: Update { entries: list(&vector["entries"], entry) },
                owners: list(&vector["owners"], owners),
                signatures: list(&vector["signatures"], signature),
            }
            .call_data(&Chain),
            "dispute" => {
                let then = match text(&vector["then"]) {
                    "settle" => Resolution::Settle,
                    "renew" => Resolution::Renew,
                    other => panic!("an unknown resolution: {other}"),
                };
                DisputeChannels { channels: list(&vector["channels"], tpc), then }.call_data(&Chain)
            }
            other => panic!("an unknown message: {other}"),
        };
        assert_eq!(hex::encode(data), text(&vector["data"]), "{}", vector["message"]);
    }
}

#[test]
fn the_owners_signatures_are_good_for_the_update_and_for_nothing_else() {
    let vectors = vectors();
    let call = vectors["calls"].as_array().unwrap().iter().find(|call| call["message"] == "update").unwrap();
    let owners = list(&call["owners"], owners);
    let signatures = list(&call["signatures"], signature);
    let mut payload = bytes(&call["payload"]);
    let check = |payload: &[u8; 32]| {
        rules::check_all(&Chain, payload, owners.iter().map(|owners| &owners.parties), &signatures)
    };
    assert_eq!(check(&payload), Ok(()));
    payload[31] ^= 1;
    assert_eq!(check(&payload), Err(Error::BadSignature(owners[0].parties[0])));
}

#[test]
fn sizes_are_those_of_the_documentation() {
    assert_eq!(Owners::max_encoded_len(), 143);
    assert_eq!(Entry::max_encoded_len(), 76);
    assert_eq!(Member::max_encoded_len(), 36);
    assert_eq!(PartySignature::max_encoded_len(), 96);
    let (entry, owners) = (Entry::max_encoded_len(), Owners::max_encoded_len());
    let largest = 4 + 3 * 2 + MAX_CHANNELS * (entry + owners) + 2 * MAX_CHANNELS * PartySignature::max_encoded_len();
    assert_eq!(largest, 105_226);
    assert_eq!((MAX_CHANNELS, CHANNELS_PER_EVENT), (256, 200));
}
