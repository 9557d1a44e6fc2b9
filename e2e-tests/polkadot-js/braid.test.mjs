// Braid's contract with Polkadot.js alone: the bundle is loaded, channels are read, events decoded, a signature of the
// client verified, a deposit made. The scene (node, deployment, channel, signature) is prepared by the Rust test.

import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';
import { ContractPromise } from '@polkadot/api-contract';
import { bnToU8a, hexToU8a, stringToU8a, u8aConcat, u8aEq, u8aToHex } from '@polkadot/util';
import { blake2AsU8a, decodeAddress, signatureVerify } from '@polkadot/util-crypto';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

assert.ok(process.env.BRAID_SCENE, 'BRAID_SCENE is not set: run this through `cargo test -p e2e-tests --test polkadot_js`');
const scene = JSON.parse(process.env.BRAID_SCENE);
const UNIT = 1_000_000_000_000n;

let api, contract, alice, gasLimit;

before(async () => {
  api = await ApiPromise.create({ provider: new WsProvider(scene.url), noInitWarn: true });
  contract = new ContractPromise(api, readFileSync(scene.bundle, 'utf8'), scene.contract);
  // Without a limit, api-contract asks for more than a block's proof size, and the node finds it too much.
  gasLimit = api.registry.createType('WeightV2', { refTime: 500_000_000_000n, proofSize: 5_000_000n });
  alice = new Keyring({ type: 'sr25519' }).addFromUri('//Alice');
});

after(() => api.disconnect());

/** The answer of a message that changes nothing, asked without a transaction. */
async function ask(message, ...args) {
  const { result, output } = await contract.query[message](alice.address, { gasLimit }, ...args);
  assert.ok(result.isOk, `${message}: ${result}`);
  assert.ok(output.isOk, `${message}: ${output}`);
  return output.asOk;
}

test('the contract says which chain and account its signatures are for', async () => {
  const domain = await ask('domain');
  assert.equal(domain.genesisHash.toHex(), api.genesisHash.toHex());
  assert.equal(domain.contract.toString(), scene.contract);
});

test('a channel is read by its id', async () => {
  const tpc = (await ask('tpc', scene.tpc)).unwrap();
  assert.deepEqual(tpc.owners.parties.map(String), scene.parties);
  assert.ok(tpc.owners.asset.isNative);
  assert.deepEqual(tpc.balances.map((balance) => balance.toBigInt()), [UNIT, UNIT]);
  assert.equal(tpc.version.toNumber(), 0);
  assert.ok(tpc.mpc.isNone);
  assert.ok(tpc.dispute.isNone);
  assert.ok((await ask('ended', scene.tpc, 0)).isNone);
  assert.ok((await ask('tpc', `0x${'00'.repeat(32)}`)).isNone);
});

test('the event that opened the channel is found in its block', async () => {
  const at = await api.at(await api.rpc.chain.getBlockHash(scene.block));
  const emitted = (await at.query.system.events()).filter(({ event }) => api.events.contracts.ContractEmitted.is(event));
  const decoded = emitted.map((record) => contract.abi.decodeEvent(record));
  assert.deepEqual(decoded.map(({ event }) => event.identifier.split('::').at(-1)), ['TpcCreated']);
  const [tpc, owners, balances] = decoded[0].args;
  assert.equal(tpc.toHex(), scene.tpc);
  assert.deepEqual(owners.parties.map(String), scene.parties);
  assert.deepEqual(balances.map((balance) => balance.toBigInt()), [UNIT, UNIT]);
});

test("the client's signature of an update is good for what the documentation says is signed", () => {
  const { tpc, epoch, version, balances } = scene.entry;
  const number = (value, bitLength) => bnToU8a(BigInt(value), { bitLength, isLe: true });
  const payload = blake2AsU8a(
    u8aConcat(
      stringToU8a('braid/v2'),
      api.genesisHash.toU8a(),
      decodeAddress(scene.contract),
      [1], // update
      [1 << 2], // one entry
      hexToU8a(tpc),
      number(epoch, 32),
      number(version, 64),
      ...balances.map((balance) => number(balance, 128)),
    ),
  );
  assert.equal(u8aToHex(payload), scene.payload);
  scene.parties.forEach((party, side) => {
    assert.ok(signatureVerify(payload, scene.signatures[side], party).isValid);
    assert.ok(!signatureVerify(payload, scene.signatures[1 - side], party).isValid);
  });
  assert.ok(!u8aEq(scene.signatures[0], scene.signatures[1]));
});

test('a deposit is made, and its event decoded', async () => {
  const before = (await ask('ledgerBalance', alice.address, 'Native')).toBigInt();
  const { gasRequired } = await contract.query.deposit(alice.address, { gasLimit, value: UNIT });
  const deposit = contract.tx.deposit({ gasLimit: gasRequired, value: UNIT });
  const events = await new Promise((resolve, reject) => {
    deposit
      .signAndSend(alice, ({ status, dispatchError, contractEvents }) => {
        if (dispatchError) reject(new Error(`the deposit failed: ${dispatchError}`));
        else if (status.isFinalized) resolve(contractEvents);
      })
      .catch(reject);
  });
  assert.equal(events.length, 1);
  assert.equal(events[0].event.identifier.split('::').at(-1), 'Deposited');
  assert.equal(events[0].args[0].toString(), alice.address);
  assert.ok(events[0].args[1].isNative);
  assert.equal(events[0].args[2].toBigInt(), UNIT);
  assert.equal((await ask('ledgerBalance', alice.address, 'Native')).toBigInt(), before + UNIT);
});

test('a refusal has its name', async () => {
  const withdrawal = await ask('withdraw', 1_000n * UNIT);
  assert.ok(withdrawal.isErr);
  assert.ok(withdrawal.asErr.isInsufficientLedger);
});
