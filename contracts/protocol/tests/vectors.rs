//! The vectors, which were made without this crate from the layout that the documentation describes.

use codec::Encode;
use protocol::{
    Action, Crypto, Domain, Entry, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, MpcUpdate, TpcClose, TpcCreation,
    TpcId, TpcSplit, TpcTopUp, TpcWithdrawal,
};
use serde_json::Value;

struct Host;

impl Crypto for Host {
    fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
        sp_crypto_hashing::blake2_256(data)
    }

    fn sr25519_verify(&self, _: &[u8; 64], _: &[u8], _: &[u8; 32]) -> bool {
        unreachable!("no vector is about a signature")
    }
}

fn bytes(value: &Value) -> [u8; 32] {
    hex::decode(&value.as_str().expect("text")[2..]).expect("hexadecimal").try_into().expect("32 bytes")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn pair<T>(value: &Value, read: impl Fn(&Value) -> T) -> [T; 2] {
    [read(&value[0]), read(&value[1])]
}

fn balance(value: &Value) -> u128 {
    value.as_str().expect("text").parse().expect("an amount")
}

fn entry(value: &Value) -> Entry {
    Entry {
        tpc: TpcId(bytes(&value["tpc"])),
        epoch: u32::try_from(number(&value["epoch"])).expect("an epoch"),
        version: number(&value["version"]),
        balances: pair(&value["balances"], balance),
    }
}

fn entries(value: &Value) -> Vec<Entry> {
    value.as_array().expect("a list").iter().map(entry).collect()
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/signing.json")).expect("JSON")
}

#[test]
fn channel_ids_are_those_of_the_vectors() {
    for vector in vectors()["tpc_ids"].as_array().expect("a list") {
        let parties = pair(&vector["parties"], |party| bytes(party).into());
        assert_eq!(TpcId::of(&Host, &parties, number(&vector["nonce"])), TpcId(bytes(&vector["id"])));
    }
}

#[test]
fn part_ids_are_those_of_the_vectors() {
    for vector in vectors()["part_ids"].as_array().expect("a list") {
        let epoch = u32::try_from(number(&vector["epoch"])).expect("an epoch");
        let index = u8::try_from(number(&vector["index"])).expect("an index");
        let part = TpcId(bytes(&vector["tpc"])).part(&Host, epoch, index);
        assert_eq!(part, TpcId(bytes(&vector["id"])));
    }
}

#[test]
fn payloads_are_those_of_the_vectors() {
    let vectors = vectors();
    let domain = Domain {
        genesis_hash: bytes(&vectors["domain"]["genesis_hash"]),
        contract: bytes(&vectors["domain"]["contract"]).into(),
    };
    let list = vectors["payloads"].as_array().expect("a list");
    assert_eq!(list.len(), 11, "one vector for each action");
    for vector in list {
        let valid_until = vector["valid_until"].as_u64().unwrap_or_default();
        let mpc = || MpcId(bytes(&vector["mpc"]));
        let check = |action: Action| {
            let name = &vector["action"];
            assert_eq!(
                format!("0x{}", hex::encode(action.encode())),
                vector["scale"].as_str().expect("text"),
                "{name}"
            );
            assert_eq!(action.payload(&Host, &domain), bytes(&vector["payload"]), "{name}");
        };
        match vector["action"].as_str().expect("a name") {
            "create_tpc" => check(Action::CreateTpc(&TpcCreation {
                parties: pair(&vector["parties"], |party| bytes(party).into()),
                nonce: number(&vector["nonce"]),
                balances: pair(&vector["balances"], balance),
                window: number(&vector["window"]),
                valid_until,
            })),
            "update_tpc" => check(Action::UpdateTpc(&entry(&vector["entry"]))),
            "close_tpc" => check(Action::CloseTpc(&TpcClose { last: entry(&vector["last"]), valid_until })),
            "create_mpc" => {
                let creation = MpcCreation {
                    entries: entries(&vector["entries"]),
                    window: number(&vector["window"]),
                    valid_until,
                };
                check(Action::CreateMpc(&creation));
                assert_eq!(creation.id(&Host, &domain), MpcId(bytes(&vector["payload"])));
            }
            "update_mpc" => {
                check(Action::UpdateMpc(&MpcUpdate { mpc: mpc(), entries: entries(&vector["entries"]) }));
            }
            "close_mpc" => {
                let entries = entries(&vector["entries"]);
                check(Action::CloseMpc(&MpcClose { mpc: mpc(), entries, valid_until }));
            }
            "top_up_tpc" => {
                let added = pair(&vector["added"], balance);
                check(Action::TopUpTpc(&TpcTopUp { snapshot: entry(&vector["snapshot"]), added, valid_until }));
            }
            "withdraw_tpc" => {
                let amounts = pair(&vector["amounts"], balance);
                check(Action::WithdrawTpc(&TpcWithdrawal {
                    snapshot: entry(&vector["snapshot"]),
                    amounts,
                    valid_until,
                }));
            }
            "split_tpc" => {
                let shares = vector["parts"].as_array().expect("a list").iter().map(|share| pair(share, balance));
                check(Action::SplitTpc(&TpcSplit {
                    tpc: TpcId(bytes(&vector["tpc"])),
                    epoch: u32::try_from(number(&vector["epoch"])).expect("an epoch"),
                    parts: shares.collect(),
                }));
            }
            "join_mpc" => {
                let (member, entries) = (TpcId(bytes(&vector["member"])), entries(&vector["entries"]));
                check(Action::JoinMpc(&MpcJoin { mpc: mpc(), member, entries, valid_until }));
            }
            "leave_mpc" => {
                let entries = entries(&vector["entries"]);
                check(Action::LeaveMpc(&MpcLeave { mpc: mpc(), entries, valid_until }));
            }
            other => panic!("an unknown action: {other}"),
        }
    }
}
