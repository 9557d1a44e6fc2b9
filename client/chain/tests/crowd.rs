//! A group of 10,000 users: registered in batches, paying, left by one alone, and released again. What it costs is in
//! docs/crowd.md.

use chain::{block_on, costs::Bench, keys::Keys, Weight, UNIT};
use devchain::{Call, Devchain};
use engine::Native;
use expect_test::expect_file;
use protocol::{
    abi::{
        CreateMpc, Deposit, DisputeChannels, GetMpc, GetTpc, JoinMpc, LeaveMpc, Message, SettleChannels, UpdateChannels,
    },
    state::{MAX_CHANNELS, MIN_WINDOW},
    Action, Entry, Member, MpcCreation, MpcId, MpcJoin, MpcLeave, Resolution, Tpc, TpcId, Update,
};
use std::fmt::Write;

const USERS: usize = 10_000;
/// The user who leaves alone. It has two channels, with the one before it and the one after it.
const LEAVER: usize = 5_000;
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

    /// The channels with these indices, ascending by id, as `named` names them.
    fn named<T>(&self, channels: &[usize], named: impl Fn(TpcId) -> T) -> Vec<T> {
        let mut tpcs: Vec<_> = channels.iter().map(|channel| self.tpcs[*channel]).collect();
        tpcs.sort_unstable();
        tpcs.into_iter().map(named).collect()
    }

    /// The users of the channels with these indices, ascending.
    fn users(channels: &[usize]) -> Vec<usize> {
        let mut users: Vec<_> = channels.iter().flat_map(|channel| [*channel, channel + 1]).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    fn finish(&mut self) -> Stage {
        std::mem::take(&mut self.stage)
    }

    fn channels_of(&mut self, mpc: MpcId) -> Option<u32> {
        let Bench { chain, contract, .. } = &mut self.bench;
        block_on(contract.query(chain, &GetMpc { id: mpc })).expect("it answers").map(|mpc| mpc.channels)
    }

    fn stored(&mut self, channel: usize) -> Option<Tpc> {
        let Bench { chain, contract, .. } = &mut self.bench;
        block_on(contract.query(chain, &GetTpc { id: self.tpcs[channel] })).expect("it answers")
    }
}

/// A row of the table, with fees and deposits shared by `users`.
fn row(text: &mut String, name: &str, calls: &str, stage: &Stage, users: usize) {
    let (users, unit) = (users as f64, UNIT as f64);
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
fn ten_thousand_users_pay_register_and_part_and_one_leaves_alone() {
    let mut crowd = Crowd::new();
    let channels = USERS - 1;
    let deposits: Vec<_> = (1..USERS).map(|user| (user, UNIT, Deposit {}.call_data(&Native))).collect();
    crowd.call_all(SMALL, &deposits);
    let mut creations = vec![];
    for user in 0..channels {
        let create = crowd.bench.creation([user, user + 1], 0, [UNIT, UNIT]).expect("the chain has a clock");
        crowd.tpcs.push(create.creation.id(&Native));
        creations.push((user, UNIT, create.call_data(&Native)));
    }
    crowd.call_all(SMALL, &creations);
    let opened = crowd.finish();

    // The first user pays the one HOPS channels away; only those between them sign.
    let path: Vec<_> = (0..HOPS).collect();
    let paid = |tpc| Entry { tpc, epoch: 0, version: 1, balances: [UNIT / 2, UNIT + UNIT / 2] };
    let update = Update { entries: crowd.named(&path, paid) };
    let mut owners: Vec<_> = path.iter().map(|user| crowd.bench.owners([*user, user + 1], 0)).collect();
    owners.sort_by_key(|owners| owners.tpc(&Native));
    let signatures = crowd.bench.sign_all(Crowd::users(&path), Action::Update(&update));
    crowd.call(0, &UpdateChannels { update, owners, signatures });
    let updated = crowd.finish();

    let valid_until = u64::MAX;
    let all: Vec<_> = (0..channels).collect();
    let member = |registrations| move |tpc| Member { tpc, registrations };
    let mut group = None;
    for batch in all.chunks(MAX_CHANNELS) {
        let (members, users) = (crowd.named(batch, member(0)), Crowd::users(batch));
        match group {
            None => {
                let creation = MpcCreation { members, valid_until };
                group = Some(creation.id(&Native, &crowd.bench.domain));
                let signatures = crowd.bench.sign_all(users, Action::CreateMpc(&creation));
                crowd.call(0, &CreateMpc { creation, signatures });
            }
            Some(mpc) => {
                let join = MpcJoin { mpc, host: crowd.tpcs[batch[0] - 1], members, valid_until };
                let signatures = crowd.bench.sign_all(users, Action::JoinMpc(&join));
                crowd.call(batch[0], &JoinMpc { join, signatures });
            }
        }
    }
    let mpc = group.expect("there are channels");
    assert_eq!(crowd.channels_of(mpc), Some(channels as u32));
    let registered = crowd.finish();

    let own = [LEAVER - 1, LEAVER];
    let tpcs = own.map(|channel| crowd.tpcs[channel]);
    let others: Vec<_> = [own[0] - 1, own[1] + 1].map(|channel| crowd.stored(channel)).to_vec();
    crowd.call(LEAVER, &DisputeChannels { channels: tpcs.to_vec(), then: Resolution::Settle });
    crowd.bench.chain.advance(MIN_WINDOW);
    crowd.call(LEAVER, &SettleChannels { channels: tpcs.to_vec() });
    let left = crowd.finish();
    assert_eq!(own.map(|channel| crowd.stored(channel)), [None, None]);
    let after: Vec<_> = [own[0] - 1, own[1] + 1].map(|channel| crowd.stored(channel)).to_vec();
    assert_eq!(after, others, "nothing of anybody else's has changed");
    assert_eq!(crowd.channels_of(mpc), Some(channels as u32 - 2), "the group goes on");

    let staying: Vec<_> = all.into_iter().filter(|channel| !own.contains(channel)).collect();
    for batch in staying.chunks(MAX_CHANNELS) {
        let leave = MpcLeave { mpc, members: crowd.named(batch, member(1)), valid_until };
        let signatures = crowd.bench.sign_all(Crowd::users(batch), Action::LeaveMpc(&leave));
        crowd.call(batch[0], &LeaveMpc { leave, signatures });
    }
    assert_eq!(crowd.channels_of(mpc), None, "nothing is left of the group");
    let parted = crowd.finish();

    let batches = channels.div_ceil(MAX_CHANNELS);
    let mut text = format!(
        "# A group of 10,000 users\n\n\
         Generated by `UPDATE_EXPECT=1 cargo test --release -p chain --test crowd`, which fails when the figures are no longer\n\
         these. {USERS} users stand in a row, each with a channel to the next. They are a group as soon as their channels are\n\
         open: a payment through {HOPS} channels is signed by the {} users between and put on chain. Registering the group\n\
         takes one `create_mpc` and {} `join_mpc` of up to {MAX_CHANNELS} channels each, releasing it {batches} `leave_mpc`.\n\n\
         One user leaves alone: it disputes its two channels and settles them after the window. Nobody else signs, pays or\n\
         does anything, and no channel of anybody else changes; the group's record counts two channels less. Nobody signs\n\
         for channels of others, and no call grows with the group.\n\n\
         Blocks are as full as they may be. Fees and deposits are averages over all users; those of the user who leaves are\n\
         its own. Its deposits are below zero, because it collects those of the two channels that it settles.\n\n\
         | Stage | Calls | Blocks | ref_time (ps) | proof_size (B) | Heaviest call (ps) | Fees a user (UNIT) | Deposits a user (UNIT) |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
        HOPS + 1,
        batches - 1,
    );
    row(&mut text, "open", "`deposit`, `create_tpc`", &opened, USERS);
    row(&mut text, "pay", "`update`", &updated, USERS);
    row(&mut text, "register", "`create_mpc`, `join_mpc`", &registered, USERS);
    row(&mut text, "one leaves alone", "`dispute`, `settle`", &left, 1);
    row(&mut text, "release", "`leave_mpc`", &parted, USERS);
    expect_file!["../../../docs/crowd.md"].assert_eq(&text);
}
