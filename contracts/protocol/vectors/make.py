#!/usr/bin/env python3
"""Writes signing.json from the layouts in docs/protocol.md, and from nothing else: no code of the project is used.

    python3 contracts/protocol/vectors/make.py            # writes signing.json
    python3 contracts/protocol/vectors/make.py --check    # fails if signing.json differs

Amounts are decimal strings, because they do not fit into the numbers of every JSON reader.
"""

import hashlib
import json
import pathlib
import sys

OUTPUT = pathlib.Path(__file__).with_name("signing.json")

# The well-known development accounts //Bob, //Charlie and //Alice, which happen to ascend in this order.
BOB = "8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48"
CHARLIE = "90b5ab205c6974c9ea841be688864633dc9ca8a357843eeacf2314649965fe22"
ALICE = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"

# sr25519 signatures of the first update's payload, made once with @scure/sr25519 2.3.0 (every signing gives another).
SIGNED_PAYLOAD = "f0e9e9c067c6510fcb96af6fda11dcc305aa6ca12c57546a016872b74b66a1a7"
SIGNATURES = {
    BOB: "78a844c5805e3315c62dc27be2ba7197cb44aecfe0aade7f8c55cbbadf516e7c"
    "82cfc026688bb2c53edc3c77a86174b675cd925847034e1639968ac969b5ec86",
    ALICE: "422c7b2e053055645e4517fc30972cd14cec932e1de1ba2f2526c96bcfab4622"
    "592cde14dcd2bbe130904f0bfd8be60193442d9f1ea5ed0c51b32c4ec0385287",
}

TAG = b"braid/v2"
GENESIS_HASH = "11" * 32
CONTRACT = "22" * 32
TOKEN = "33" * 32


# SCALE, by hand: fixed-width integers are little-endian, a list is its length as a compact integer and its elements.


def integer(size):
    return lambda value: int(value).to_bytes(size, "little")


u8, u32, u64, u128 = integer(1), integer(4), integer(8), integer(16)


def fixed(value):
    """32 bytes, of an account, a hash or an id."""
    data = bytes.fromhex(value)
    assert len(data) == 32
    return data


def compact(value):
    if value < 1 << 6:
        return u8(value << 2)
    if value < 1 << 14:
        return integer(2)(value << 2 | 1)
    assert value < 1 << 30, "no list of the protocol is as long"
    return u32(value << 2 | 2)


def several(encode):
    return lambda values: compact(len(values)) + b"".join(encode(value) for value in values)


def pair(encode):
    return lambda values: encode(values[0]) + encode(values[1])


def blake2_256(data):
    return hashlib.blake2b(data, digest_size=32).digest()


# The layouts.


def asset(value):
    return u8(0) if value == "native" else u8(1) + fixed(value["psp22"])


def origin(value):
    if "creation" in value:
        return u8(0) + u64(value["creation"])
    part = value["split"]
    return u8(1) + fixed(part["first"]) + u32(part["epoch"]) + u8(part["index"])


OWNERS = {"parties": pair(fixed), "window": u64, "asset": asset, "origin": origin}
ENTRY = {"tpc": fixed, "epoch": u32, "version": u64, "balances": pair(u128)}
MEMBER = {"tpc": fixed, "registrations": u32}


def record(layout):
    """The fields of a layout, in its order."""

    def encode(value):
        assert value.keys() == layout.keys()
        return b"".join(field(value[name]) for name, field in layout.items())

    return encode


owners, entry, member = record(OWNERS), record(ENTRY), record(MEMBER)

ACTIONS = {
    "create_tpc": (0, {
        "parties": pair(fixed),
        "nonce": u64,
        "asset": asset,
        "balances": pair(u128),
        "window": u64,
        "valid_until": u64,
    }),
    "update": (1, {"entries": several(entry)}),
    "close_tpc": (2, {"last": entry, "valid_until": u64}),
    "top_up_tpc": (3, {"last": entry, "added": pair(u128), "valid_until": u64}),
    "withdraw_tpc": (4, {"last": entry, "amounts": pair(u128), "valid_until": u64}),
    "split_tpc": (5, {"last": several(entry), "parts": several(pair(u128)), "valid_until": u64}),
    "create_mpc": (6, {"members": several(member), "valid_until": u64}),
    "join_mpc": (7, {"mpc": fixed, "host": fixed, "members": several(member), "valid_until": u64}),
    "leave_mpc": (8, {"mpc": fixed, "members": several(member), "valid_until": u64}),
    "close_mpc": (9, {"mpc": fixed, "members": several(member), "valid_until": u64}),
}


def channel(parties, origin_, asset_="native", window=600_000):
    value = {"parties": parties, "window": window, "asset": asset_, "origin": origin_}
    scale = owners(value)
    return {"owners": value, "scale": scale.hex(), "id": blake2_256(b"braid/tpc" + scale).hex()}


def action(name, **fields):
    index, layout = ACTIONS[name]
    scale = u8(index) + record(layout)(fields)
    payload = blake2_256(TAG + fixed(GENESIS_HASH) + fixed(CONTRACT) + scale)
    return {"action": name, **fields, "scale": scale.hex(), "payload": payload.hex()}


def call(message, arguments):
    return {"message": message, "data": (blake2_256(message.encode())[:4] + arguments).hex()}


def vectors():
    plain = channel([BOB, ALICE], {"creation": 0})
    token = channel([BOB, CHARLIE], {"creation": 7}, asset_={"psp22": TOKEN}, window=2_592_000_000)
    part = channel([BOB, ALICE], {"split": {"first": plain["id"], "epoch": 4, "index": 15}})
    token_part = channel(
        [BOB, CHARLIE], {"split": {"first": token["id"], "epoch": 4_294_967_294, "index": 1}}, {"psp22": TOKEN}, 10_000
    )
    channels = [plain, token, part, token_part]

    first = {"tpc": plain["id"], "epoch": 1, "version": 2, "balances": ["1000000000000", "5"]}
    second = {"tpc": token["id"], "epoch": 3, "version": 1 << 40, "balances": [str(1 << 100), "0"]}
    third = {"tpc": part["id"], "epoch": 0, "version": 1, "balances": ["0", str((1 << 128) - 1)]}
    ascending = lambda values: sorted(values, key=lambda value: value["tpc"])
    two = ascending([first, second])
    members = ascending([{"tpc": plain["id"], "registrations": 0}, {"tpc": token["id"], "registrations": 258}])
    # A list of 64 is the shortest whose length takes two bytes.
    many = [{"tpc": f"{number:02x}" * 32, "registrations": number} for number in range(64)]
    until = 1_735_689_600_000

    group = action("create_mpc", members=members, valid_until=until)
    mpc = group["payload"]
    actions = [
        action(
            "create_tpc",
            parties=[BOB, ALICE],
            nonce=0,
            asset="native",
            balances=["3000000000000", "7"],
            window=600_000,
            valid_until=until,
        ),
        action(
            "create_tpc",
            parties=[BOB, CHARLIE],
            nonce=7,
            asset={"psp22": TOKEN},
            balances=["0", "1"],
            window=2_592_000_000,
            valid_until=until,
        ),
        action("update", entries=[first]),
        action("update", entries=two),
        action("close_tpc", last=first, valid_until=until),
        action("top_up_tpc", last=first, added=["0", "8"], valid_until=until),
        action("withdraw_tpc", last=first, amounts=["999", "5"], valid_until=until),
        # The order of the channels is free: the first goes on.
        action("split_tpc", last=[first], parts=[["1000000000000", "0"], ["0", "5"]], valid_until=until),
        action("split_tpc", last=[first, third], parts=[["6", "0"]], valid_until=until),
        group,
        action("create_mpc", members=many, valid_until=until),
        action("join_mpc", mpc=mpc, host=token["id"], members=members[:1], valid_until=until),
        action("leave_mpc", mpc=mpc, members=members[1:], valid_until=until),
        action("close_mpc", mpc=mpc, members=members, valid_until=until),
    ]

    single = next(vector for vector in actions if vector["action"] == "update")
    assert single["payload"] == SIGNED_PAYLOAD, "the layout has changed: sign again"
    update, proofs = {"entries": single["entries"]}, [plain["owners"]]
    signatures = [{"party": party, "signature": signature} for party, signature in SIGNATURES.items()]
    signature = record({"party": fixed, "signature": bytes.fromhex})
    update_arguments = record(ACTIONS["update"][1])(update) + several(owners)(proofs) + several(signature)(signatures)
    disputed = [plain["id"], token["id"]]
    signed = {**update, "owners": proofs, "signatures": signatures, "payload": SIGNED_PAYLOAD}
    calls = [
        call("deposit", b""),
        {**call("update", update_arguments), **signed},
        {**call("dispute", several(fixed)(disputed) + u8(0)), "channels": disputed, "then": "settle"},
        {**call("dispute", several(fixed)(disputed) + u8(1)), "channels": disputed, "then": "renew"},
    ]
    return {
        "domain": {"tag": TAG.decode(), "genesis_hash": GENESIS_HASH, "contract": CONTRACT},
        "channels": channels,
        "actions": actions,
        "calls": calls,
    }


def text():
    """The vectors as JSON, one a line."""

    def lines(value):
        if isinstance(value, list):
            return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
        return json.dumps(value)

    return "{\n" + ",\n".join(f'  "{name}": {lines(value)}' for name, value in vectors().items()) + "\n}\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if OUTPUT.read_text() == text() else "signing.json is not what make.py writes")
    OUTPUT.write_text(text())
