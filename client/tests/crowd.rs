//! A group of 10,000 users: built in batches, paying, and taken apart again. What it costs is in docs/crowd.md.

use braid::{
    chain::{Weight, UNIT},
    costs::Bench,
    keys::{Keys, Native},
};
use devchain::{Call, Devchain};
use expect_test::expect_file;
use protocol::{
    abi::{CreateMpc, Deposit, GetMpc, JoinMpc, LeaveMpc, Message, UpdateMpc},
    state::MIN_WINDOW,
    Action, Entry, MpcCreation, MpcId, MpcJoin, MpcLeave, MpcUpdate, TpcId,
};
use std::{fmt::Write, ops::Range};

const USERS: usize = 10_000;
/// Channels in one call. Six hundred is more than the contract has memory for.
const BATCH: usize = 400;
/// How many channels the payment goes through.
const HOPS: usize = 100;
/// What a call of one user may weigh, and what one of a batch may: a block takes calls by their limits.
const SMALL: Weight = Weight { ref_time: 4_000_000_000, proof_size: 1 << 20 };
const LARGE: Weight = Weight { ref_time: 400_000_000_000, proof_size: 1 << 30 };

/// What a stage took.
#[derive(Default)]
struct Stage {
    blocks: u64,
    weight: Weight,
    heaviest: u64,
    fees: u128,
    deposits: i128,
}

struct Crowd {
    bench: Bench<Devchain>,
    /// The channel of users i and i + 1.
    tpcs: Vec<TpcId>,
    stage: Stage,
}

impl Crowd {
    fn new() -> Self {
        let user = |index| Keys::from_suri(&format!("//user{index}")).expect("a derivation path is a valid seed");
        let mut users: Vec<_> = (0..USERS).map(user).collect();
        users.sort_by_key(Keys::account);
        let endowed: Vec<_> = users.iter().map(|keys| (*keys.account().as_ref(), 1_000 * UNIT)).collect();
        let bench = Bench::with_users(Devchain::with_accounts(&endowed), users).expect("it deploys");
        Self { bench, tpcs: vec![], stage: Stage::default() }
    }

    /// Makes calls without a trial, since nothing is refused here, in as few blocks as take them, and counts.
    fn call_all(&mut self, gas_limit: Weight, calls: &[(usize, u128, Vec<u8>)]) {
        let Bench { chain, contract, users, .. } = &mut self.bench;
        let contract = *contract.account.as_ref();
        let mut next = 0;
        while next < calls.len() {
            let transactions = calls[next..].iter().map(|(user, value, data)| {
                let (gas_limit, storage_deposit_limit) = (gas_limit.into(), None);
                let (value, data) = (*value, data.clone());
                (&users[*user], Call::Call { contract, value, gas_limit, storage_deposit_limit, data })
            });
            let receipts: Vec<_> = chain.submit_all(transactions).into_iter().map_while(Result::ok).collect();
            assert!(!receipts.is_empty(), "a block takes one call at least");
            next += receipts.len();
            let stage = &mut self.stage;
            stage.blocks += 1;
            for receipt in receipts {
                assert_eq!(receipt.result, Ok(()), "the contract accepts what its users agreed");
                stage.weight.ref_time += receipt.weight.ref_time;
                stage.weight.proof_size += receipt.weight.proof_size;
                stage.heaviest = stage.heaviest.max(receipt.weight.ref_time);
                stage.fees += receipt.fee;
                stage.deposits += receipt.storage_deposit;
            }
        }
    }

    fn call(&mut self, user: usize, message: &impl Message) {
        self.call_all(LARGE, &[(user, 0, message.call_data(&Native))]);
    }

    /// The channels with these indices, ascending by id, each as `entry` makes it.
    fn entries(&self, channels: Range<usize>, entry: impl Fn(TpcId) -> Entry) -> Vec<Entry> {
        let mut entries: Vec<_> = self.tpcs[channels].iter().map(|tpc| entry(*tpc)).collect();
        entries.sort_by_key(|entry| entry.tpc);
        entries
    }

    fn finish(&mut self) -> Stage {
        std::mem::take(&mut self.stage)
    }

    fn channels_of(&mut self, mpc: MpcId) -> Option<u32> {
        let Bench { chain, contract, .. } = &mut self.bench;
        contract.query(chain, &GetMpc { id: mpc }).expect("it answers").map(|mpc| mpc.channels)
    }
}

fn row(text: &mut String, name: &str, calls: &str, stage: &Stage) {
    let users = USERS as f64;
    let unit = UNIT as f64;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "| {name} | {calls} | {} | {} | {} | {} | {:.6} | {:.6} |",
        stage.blocks,
        stage.weight.ref_time,
        stage.weight.proof_size,
        stage.heaviest,
        stage.fees as f64 / unit / users,
        stage.deposits as f64 / unit / users,
    );
}

#[test]
fn ten_thousand_users_braid_their_channels_pay_and_part() {
    let mut crowd = Crowd::new();
    let channels = USERS - 1;
    let deposits: Vec<_> = (0..USERS).map(|user| (user, 2 * UNIT, Deposit {}.call_data(&Native))).collect();
    crowd.call_all(SMALL, &deposits);
    let mut creations = vec![];
    for user in 0..channels {
        let create = crowd.bench.creation([user, user + 1], 0, [UNIT, UNIT]).expect("the chain has a clock");
        crowd.tpcs.push(create.creation.id(&Native));
        creations.push((user, 0, create.call_data(&Native)));
    }
    crowd.call_all(SMALL, &creations);
    let opened = crowd.finish();

    let valid_until = u64::MAX;
    let enter = |tpc| Entry { tpc, epoch: 1, version: 0, balances: [UNIT, UNIT] };
    let creation = MpcCreation { entries: crowd.entries(0..BATCH, enter), window: MIN_WINDOW, valid_until };
    let mpc = creation.id(&Native, &crowd.bench.domain);
    let signatures = crowd.bench.sign_all(0..BATCH + 1, Action::CreateMpc(&creation));
    crowd.call(0, &CreateMpc { creation, signatures });
    for first in (BATCH..channels).step_by(BATCH) {
        let batch = first..(first + BATCH).min(channels);
        let (member, entries) = (crowd.tpcs[first - 1], crowd.entries(batch.clone(), enter));
        let join = MpcJoin { mpc, member, entries, valid_until };
        let signatures = crowd.bench.sign_all(batch.start..batch.end + 1, Action::JoinMpc(&join));
        crowd.call(first, &JoinMpc { join, signatures });
    }
    assert_eq!(crowd.channels_of(mpc), Some(channels as u32));
    let braided = crowd.finish();

    // The first user pays the one HOPS channels away; only those between them sign.
    let paid = |tpc| Entry { tpc, epoch: 1, version: 1, balances: [UNIT / 2, UNIT + UNIT / 2] };
    let update = MpcUpdate { mpc, entries: crowd.entries(0..HOPS, paid) };
    let signatures = crowd.bench.sign_all(0..HOPS + 1, Action::UpdateMpc(&update));
    crowd.call(0, &UpdateMpc { update, signatures, gone: vec![] });
    let updated = crowd.finish();

    for first in (0..channels).step_by(BATCH) {
        let batch = first..(first + BATCH).min(channels);
        let mut entries = crowd.entries(batch.clone(), enter);
        for entry in entries.iter_mut().filter(|entry| crowd.tpcs[..HOPS].contains(&entry.tpc)) {
            *entry = paid(entry.tpc);
        }
        let leave = MpcLeave { mpc, entries, valid_until };
        let signatures = crowd.bench.sign_all(batch.start..batch.end + 1, Action::LeaveMpc(&leave));
        crowd.call(first, &LeaveMpc { leave, signatures });
    }
    assert_eq!(crowd.channels_of(mpc), None, "nothing is left of the group");
    let parted = crowd.finish();

    let batches = channels.div_ceil(BATCH);
    let mut text = format!(
        "# A group of 10,000 users\n\n\
         Generated by `UPDATE_EXPECT=1 cargo test --release -p braid --test crowd`, which fails when the figures are no longer\n\
         these. {USERS} users stand in a row, each with a channel to the next. One `create_mpc` and {} `join_mpc` of up to\n\
         {BATCH} channels each make them one group; a payment through {HOPS} channels is signed by the {} users between and put\n\
         on chain; {batches} `leave_mpc` take the group apart. Nobody signs for channels of others, and no call grows with the\n\
         group. Blocks are as full as they may be; fees and deposits are averages over all users.\n\n\
         | Stage | Calls | Blocks | ref_time (ps) | proof_size (B) | Heaviest call (ps) | Fees a user (UNIT) | Deposits a user (UNIT) |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
        batches - 1,
        HOPS + 1,
    );
    row(&mut text, "open", "`deposit`, `create_tpc`", &opened);
    row(&mut text, "braid", "`create_mpc`, `join_mpc`", &braided);
    row(&mut text, "pay", "`update_mpc`", &updated);
    row(&mut text, "part", "`leave_mpc`", &parted);
    expect_file!["../../docs/crowd.md"].assert_eq(&text);
}
