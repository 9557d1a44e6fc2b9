//! Messages that the adversary makes up, out of what there is.

use super::{adversary::id, amount, later, mpc, node_of, pick, resolution, tpc, transfers, Run, NODES};
use crate::bytes::Bytes;
use engine::{
    message::{Agreement, Introduced, Leadership, Message, Move, Reason, Right, RoundId, Shown, Standing},
    payment::PaymentId,
    Payment,
};
use protocol::{
    AccountId, Asset, Balance, Entry, Member, MpcClose, MpcJoin, MpcLeave, Owners, PartySignature, Resolution,
    Signature, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal, Update,
};
use std::collections::BTreeMap;

/// A signature that is still to be made.
const UNSIGNED: Signature = Signature([0; 64]);

/// A message of some kind, or none if there is nothing to make it of.
pub fn message(run: &Run, kind: u8, bytes: &mut Bytes) -> Option<Message> {
    let account = run.world.account(run.adversary?);
    let key = &run.world.nodes[run.adversary?].key;
    Some(match kind % 20 {
        0..=3 => {
            let (round, right, payments) = round(run, account, bytes)?;
            let (entries, owners) = entries(run, bytes)?.into_values().unzip();
            Message::Update {
                round,
                right,
                payments: payments.into(),
                update: Update { entries },
                owners,
                signature: None,
            }
        }
        4..=5 => {
            let (round, right, payments) = round(run, account, bytes)?;
            let (mut moves, mut all) = (vec![], vec![]);
            for (tpc, (entry, owners)) in entries(run, bytes)? {
                let before = newest(run, tpc).map_or(0, |(latest, _)| latest.balances[0]);
                let change = entry.balances[0].wrapping_sub(before).cast_signed();
                moves.push(Move { tpc, change });
                all.push(owners);
            }
            Message::Propose { round, right, payments: payments.into(), moves, owners: all }
        }
        6 => {
            let (round, [count]) = (said_round(run, bytes)?, bytes.array()?);
            let standings = (0..count % 4).map(|_| standing(run, bytes)).collect::<Option<_>>()?;
            Message::Consent { round, standings }
        }
        7 => {
            let (update, _, _) = pick(&run.knowledge.updates, bytes)?;
            Message::UpdateAgree { update, signature: UNSIGNED }
        }
        8 => {
            let (update, _, _) = pick(&run.knowledge.updates, bytes)?;
            Message::UpdateReject { update, reason: reason(run, bytes)? }
        }
        9 => {
            let complete = run.knowledge.complete(key);
            let [which] = bytes.array()?;
            let signed = complete.get(usize::from(which).checked_rem(complete.len())?)?;
            Message::Updated { update: id(&signed.update), signatures: signed.signatures.clone() }
        }
        10 => Message::Missed { updates: run.knowledge.complete(key) },
        11..=12 => {
            let (agreement, [term]) = (agreement(run, account, bytes)?, bytes.array()?);
            let coordinator = run.world.account(node_of(term));
            let led = (term >= 128).then_some(Leadership {
                coordinator,
                term: u32::from(term % 8),
                registered: term % 2 == 0,
            });
            Message::Agree { agreement, signature: UNSIGNED, led }
        }
        13 => {
            let (agreement, _, _) = pick(&run.knowledge.agreements, bytes)?;
            match bytes.array()? {
                [0..=191] => Message::Agreed { agreement, signature: UNSIGNED },
                _ => Message::AgreeReject { agreement, reason: reason(run, bytes)? },
            }
        }
        14 => {
            let (mpc, [term, count]) = (mpc(run, bytes)?, bytes.array()?);
            let channels = (0..count % 4).map(|_| {
                let standing = standing(run, bytes)?;
                Some(Introduced { owners: newest(run, standing.latest.tpc)?.1, standing })
            });
            let channels = channels.collect::<Option<_>>()?;
            let updates = run.knowledge.updates.iter().rev().take(usize::from(count / 64));
            let held = updates.map(|(_, update, owners)| Shown {
                update: update.clone(),
                owners: owners.clone(),
                signatures: vec![PartySignature { party: account, signature: engine::Signer::sign(key, &id(update)) }],
            });
            Message::Introduce { mpc, term: term.into(), registered: count % 2 == 0, channels, held: held.collect() }
        }
        15 => {
            let (mpc, tpc, [what]) = (mpc(run, bytes)?, tpc(run, bytes)?, bytes.array()?);
            match what % 4 {
                0 => Message::Welcome { mpc, term: u32::from(what / 64), channels: vec![tpc] },
                1 => Message::Left { mpc, tpc },
                2 => Message::WhoAreYou { mpc },
                _ => Message::MpcCloseAgree { mpc, signature: UNSIGNED },
            }
        }
        16 => {
            let mpc = mpc(run, bytes)?;
            let members = run.world.ledger.tpcs().filter(|(tpc, _)| in_group(run, **tpc) == Some(mpc));
            let members = members.map(|(tpc, stored)| Member { tpc: *tpc, registrations: stored.registrations });
            let (members, [time]) = (members.collect(), bytes.array()?);
            let close = MpcClose { mpc, members, valid_until: run.world.now().saturating_add(later(time)) };
            Message::MpcClose { close, by: PartySignature { party: account, signature: UNSIGNED } }
        }
        17 => {
            let payment = payment(run, account, bytes)?;
            let [over] = bytes.array()?;
            Message::Pay { payment, over: super::over_what(run, over, bytes)? }
        }
        18 => Message::PayReject { payment: payment(run, account, bytes)?.id, reason: reason(run, bytes)? },
        _ => {
            let (round, [what]) = (said_round(run, bytes)?, bytes.array()?);
            match what % 2 {
                0 => Message::GiveUp { round },
                _ => Message::ProposeReject { round, reason: reason(run, bytes)? },
            }
        }
    })
}

/// A round that the adversary leads, by what right, and what it says that it settles.
fn round(run: &Run, leader: AccountId, bytes: &mut Bytes) -> Option<(RoundId, Right, Vec<Payment>)> {
    let [number, right, term, count] = bytes.array()?;
    let right = match right % 3 {
        0 => Right::Turn,
        1 => Right::Coordinator(mpc(run, bytes)?, u32::from(term % 4)),
        _ => Right::Consent,
    };
    let payments = (0..count % 3).map(|_| payment(run, leader, bytes)).collect::<Option<_>>()?;
    Some((RoundId { leader, number: number.into() }, right, payments))
}

/// A round that somebody has spoken of.
fn said_round(run: &Run, bytes: &mut Bytes) -> Option<RoundId> {
    let [back] = bytes.array()?;
    let rounds = run.knowledge.seen.iter().rev().filter_map(|letter| match &letter.message {
        Message::Propose { round, .. } | Message::Update { round, .. } | Message::Consent { round, .. } => Some(*round),
        _ => None,
    });
    rounds.take(usize::from(back % 8) + 1).last()
}

/// A payment that somebody has asked for, or one of the adversary's own.
fn payment(run: &Run, by: AccountId, bytes: &mut Bytes) -> Option<Payment> {
    let [number] = bytes.array()?;
    match number {
        0..=127 => pick(&run.knowledge.payments, bytes),
        _ => {
            let [count] = bytes.array()?;
            Some(Payment { id: PaymentId { by, number: number.into() }, transfers: transfers(run, count, bytes)? })
        }
    }
}

/// The newest state of a channel that anybody knows.
fn newest(run: &Run, tpc: TpcId) -> Option<(Entry, Owners)> {
    let engines = (0..NODES).filter_map(|node| run.world.engine(node)?.channel(&tpc));
    let known = engines.max_by_key(|channel| channel.latest.order())?;
    Some((known.latest, known.owners))
}

fn in_group(run: &Run, tpc: TpcId) -> Option<protocol::MpcId> {
    (0..NODES).find_map(|node| run.world.engine(node)?.channel(&tpc)?.mpc)
}

/// One to three channels, each some versions on, with something moved.
fn entries(run: &Run, bytes: &mut Bytes) -> Option<BTreeMap<TpcId, (Entry, Owners)>> {
    let [count] = bytes.array()?;
    let mut entries = BTreeMap::new();
    for _ in 0..=count % 3 {
        let (entry, owners) = entry(run, bytes)?;
        entries.insert(entry.tpc, (entry, owners));
    }
    Some(entries)
}

fn entry(run: &Run, bytes: &mut Bytes) -> Option<(Entry, Owners)> {
    let (tpc, [version, moved]) = (tpc(run, bytes)?, bytes.array()?);
    let (latest, owners) = newest(run, tpc)?;
    let version = match version {
        255 => u64::MAX,
        _ => (latest.version + u64::from(version % 16)).saturating_sub(u64::from(version / 128)),
    };
    let (from, to) = if moved < 128 { (0, 1) } else { (1, 0) };
    let mut balances = latest.balances;
    let moved = amount(moved % 128).min(balances[from]);
    (balances[from], balances[to]) = (balances[from] - moved, balances[to] + moved);
    Some((Entry { version, balances, ..latest }, owners))
}

fn standing(run: &Run, bytes: &mut Bytes) -> Option<Standing> {
    let ((latest, _), [signed]) = (entry(run, bytes)?, bytes.array()?);
    Some(Standing { latest, signed: latest.version.saturating_add((signed % 8).into()) })
}

fn reason(run: &Run, bytes: &mut Bytes) -> Option<Reason> {
    let ([kind], tpc) = (bytes.array()?, tpc(run, bytes)?);
    Some(match kind % 8 {
        0 => Reason::Outdated(vec![standing(run, bytes)?]),
        1 => Reason::InFlight(tpc),
        2 => Reason::Reserved(tpc),
        3 => Reason::NotLeader(tpc),
        4 => Reason::Disputed(tpc),
        5 => Reason::UnknownGroup,
        6 => Reason::Full,
        _ => Reason::Declined,
    })
}

/// Something that the adversary wants of the other owner of a channel.
fn agreement(run: &Run, account: AccountId, bytes: &mut Bytes) -> Option<Agreement> {
    let [kind, first, second, time] = bytes.array()?;
    let ((last, _), balances) = (entry(run, bytes)?, [amount(first), amount(second)]);
    let valid_until = run.world.now().saturating_add(later(time));
    let members = || {
        let stored = run.world.ledger.tpcs().find(|(tpc, _)| **tpc == last.tpc);
        vec![Member { tpc: last.tpc, registrations: stored.map_or(0, |(_, stored)| stored.registrations) }]
    };
    Some(match kind % 7 {
        0 => {
            let [other, window] = bytes.array()?;
            let mut parties = [account, run.world.account(node_of(other))];
            parties.sort();
            let (nonce, asset) = (run.world.ledger.next_nonce(parties), Asset::Native);
            let window = super::WINDOW * u64::from(window % 4);
            Agreement::Open(TpcCreation { parties, nonce, asset, balances, window, valid_until })
        }
        1 => Agreement::Close(TpcClose { last, valid_until }),
        2 => Agreement::TopUp(TpcTopUp { last, added: balances, valid_until }),
        3 => Agreement::Withdraw(TpcWithdrawal { last, amounts: balances, valid_until }),
        4 => {
            let rest = |index: usize| last.balances[index].saturating_sub(balances[index]);
            let mut parts: Vec<[Balance; 2]> = vec![[rest(0), rest(1)], balances];
            // What one owner loses by it the other gets.
            if resolution(kind / 7) == Resolution::Renew {
                parts[0].swap(0, 1);
            }
            Agreement::Split(TpcSplit { last: vec![last], parts, valid_until })
        }
        5 => {
            let (mpc, host) = (mpc(run, bytes)?, tpc(run, bytes)?);
            Agreement::Join(MpcJoin { mpc, host, members: members(), valid_until })
        }
        _ => Agreement::Leave(MpcLeave { mpc: mpc(run, bytes)?, members: members(), valid_until }),
    })
}
