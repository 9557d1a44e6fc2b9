//! What is read from disk.

use crate::engine::{account, keys};
use braid::{
    engine::{
        coordinator::{self, Coordinator},
        message::{Message, Payment, Scope},
        party::{Command, Input, Party},
    },
    watcher::{Evidence, Watcher},
};
use chain::contract::Event;
use codec::{Compact, Decode, DecodeAll, Encode};
use planning::Transfer;
use protocol::{
    event::{ChannelDisputed, Disputed, MpcLeft, TpcSplit},
    AccountId, Domain, MpcId, Resolution, Timestamp, TpcId,
};

/// When it is read.
const NOW: Timestamp = 1_000_000;

/// Who watches.
const WATCHER: AccountId = AccountId([3; 32]);

/// The most channels and groups of it that something is done with.
const MAX_USED: usize = 3;

/// The first byte says what was stored: signed states, a party or a coordinator.
pub fn run(data: &[u8]) {
    match data {
        [0, evidence @ ..] => watch(evidence),
        [1, party @ ..] => wake_party(party),
        [2, coordinator @ ..] => wake_coordinator(coordinator),
        _ => {}
    }
}

/// A watcher brings what it has been left, whatever that is.
fn watch(bytes: &[u8]) {
    let Ok(evidence) = Evidence::from_bytes(bytes) else { return };
    assert_eq!(Evidence::from_bytes(&evidence.to_bytes()).as_ref(), Ok(&evidence));
    let mut watcher = Watcher::default();
    let channels = evidence.named().into_iter().take(MAX_USED).zip([NOW, NOW - 1, NOW + 1]);
    let channels = channels.map(|(tpc, deadline)| disputed(tpc, deadline)).collect();
    watcher.follow(&Event::Disputed(Disputed { channels }));
    evidence.channels.keys().take(MAX_USED).for_each(|tpc| watcher.bring(*tpc));
    for task in watcher.tasks(&evidence, WATCHER, NOW) {
        task.submission.call_data();
    }
    watcher.next_deadline(&evidence, &WATCHER);
    assert!(watcher.tasks(&evidence, WATCHER, NOW).is_empty(), "nothing is brought twice");
}

fn disputed(tpc: TpcId, deadline: Timestamp) -> ChannelDisputed {
    ChannelDisputed { tpc, epoch: 0, version: 0, deadline, then: Resolution::Settle }
}

/// A party does what it is asked for, whatever it remembers.
fn wake_party(bytes: &[u8]) {
    let Ok(party) = Party::decode_all(&mut &*bytes) else { return };
    assert_eq!(Party::decode_all(&mut &party.encode()[..]).as_ref(), Ok(&party));
    party.holdings();
    party.evidence();
    let mut inputs = vec![Input::Clock];
    let (own, theirs, valid_until) = (1, 1, NOW);
    for (tpc, channel) in party.channels().iter().take(MAX_USED) {
        let tpc = *tpc;
        let parts = vec![(channel.own(party.account()), channel.latest.balances[1]), (0, 1)];
        let commands = [
            Command::PayTpc { tpc, amount: 1 },
            Command::CheckpointTpc(tpc),
            Command::CloseTpc { tpc, valid_until },
            Command::TopUpTpc { tpc, own, theirs, valid_until },
            Command::WithdrawTpc { tpc, own, theirs, valid_until },
            Command::SplitTpc { channels: vec![tpc], parts, valid_until },
            Command::LeaveMpc { tpc, valid_until },
            Command::Dispute { channels: vec![tpc], then: Resolution::Renew },
            Command::CreateMpc { channels: vec![(channel.owners, channel.latest)], valid_until },
        ];
        inputs.extend(commands.map(Input::Command));
        let part = TpcId([7; 32]);
        let parts = vec![(tpc, channel.latest.balances), (part, [1, 1])];
        inputs.push(Input::Chain(Event::TpcSplit(TpcSplit { from: vec![tpc], epoch: channel.latest.epoch, parts })));
        let channels = vec![disputed(tpc, NOW - 1)];
        inputs.push(Input::Chain(Event::Disputed(Disputed { channels })));
    }
    for mpc in party.groups().take(MAX_USED) {
        let commands = [Command::Checkpoint(mpc), Command::CloseMpc { mpc, valid_until }];
        inputs.extend(commands.map(Input::Command));
    }
    for input in inputs {
        let _ = party.step(keys(0), NOW, input);
    }
}

/// A coordinator serves, whatever it remembers.
fn wake_coordinator(bytes: &[u8]) {
    let Ok(coordinator) = Coordinator::decode_all(&mut &*bytes) else { return };
    assert_eq!(Coordinator::decode_all(&mut &coordinator.encode()[..]).as_ref(), Ok(&coordinator));
    // Its first group.
    let Ok((_, _, mpc)) = <(Domain, Compact<u32>, MpcId)>::decode(&mut &*bytes) else { return };
    let transfers = vec![Transfer { from: account(0), to: account(1), amount: 1 }];
    let payment = Payment { mpc, transfers, scope: Scope::All, confirm: false };
    let inputs = [
        coordinator::Input::Message(account(0), Message::MpcPay { payment }),
        coordinator::Input::Chain(Event::MpcLeft(MpcLeft { mpc, tpcs: vec![] })),
        coordinator::Input::Timeout(mpc),
    ];
    for input in inputs {
        let _ = coordinator.step(input);
    }
}
