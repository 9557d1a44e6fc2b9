//! What holds of an honest user, whatever the others do.

use braid::{
    contract::Event,
    engine::{
        message::{Agreement, Message},
        party::{Input, Party},
        step::Effect,
    },
    keys::Native,
};
use protocol::{rules, Action, Balance, Domain, Entry, Epoch, MpcId, Owners, Timestamp, TpcId, Version};
use std::collections::BTreeMap;

/// A place in the order of a channel's states, alone or in a group. Without a version it is the beginning of an epoch.
type Place = (Option<MpcId>, TpcId, Epoch, Option<Version>);

/// What a user has signed for each place, by its payload, and when that becomes void.
#[derive(Clone, Default)]
pub struct Signed(BTreeMap<Place, ([u8; 32], Option<Timestamp>)>);

impl Signed {
    /// Adds what a step signs. No place is signed twice, unless what was signed first is void.
    pub fn add(&mut self, domain: &Domain, now: Timestamp, before: &Party, input: &Input, effects: &[Effect]) {
        for effect in effects {
            let Effect::Send(_, said) = effect else { continue };
            // An answer is a signature of what the message was about.
            let about = match (said, input) {
                (
                    Message::TpcCreateAgree { .. }
                    | Message::TpcUpdateAgree { .. }
                    | Message::TpcCloseAgree { .. }
                    | Message::TpcAgreementAgree { .. }
                    | Message::MpcCreateAgree { .. }
                    | Message::MpcUpdateAgree { .. },
                    Input::Message(_, heard),
                ) => heard,
                _ => said,
            };
            self.add_message(domain, now, before, about);
        }
    }

    fn add_message(&mut self, domain: &Domain, now: Timestamp, before: &Party, message: &Message) {
        let begins = |entry: &Entry| (None, entry.tpc, entry.epoch, None);
        let is_own = |entry: &&Entry| before.channels().contains_key(&entry.tpc);
        let (action, places, until) = match message {
            Message::TpcCreate { creation, .. } => {
                let place = (None, creation.id(&Native), 0, None);
                (Action::CreateTpc(creation), vec![place], Some(creation.valid_until))
            }
            Message::TpcUpdate { entry, .. } => {
                (Action::UpdateTpc(entry), vec![(None, entry.tpc, entry.epoch, Some(entry.version))], None)
            }
            Message::TpcClose { close, .. } => {
                let Entry { tpc, epoch, version, .. } = close.last;
                (Action::CloseTpc(close), vec![(None, tpc, epoch, Some(version))], Some(close.valid_until))
            }
            Message::TpcAgreement { agreement, .. } => {
                let place = match agreement {
                    Agreement::TopUp(top_up) => Some(begins(&top_up.snapshot)),
                    Agreement::Withdraw(withdrawal) => Some(begins(&withdrawal.snapshot)),
                    Agreement::Split(split) => Some((None, split.tpc, split.epoch, None)),
                    Agreement::Join(join) => join.entries.first().map(begins),
                    Agreement::Leave(_) => None,
                };
                (agreement.action(), place.into_iter().collect(), agreement.valid_until())
            }
            Message::MpcCreate { creation, .. } => {
                let places = creation.entries.iter().filter(is_own).map(begins).collect();
                (Action::CreateMpc(creation), places, Some(creation.valid_until))
            }
            Message::MpcUpdate { update, .. } => {
                let own = update.entries.iter().filter(is_own);
                let place = |entry: &Entry| (Some(update.mpc), entry.tpc, entry.epoch, Some(entry.version));
                (Action::UpdateMpc(update), own.map(place).collect(), None)
            }
            _ => return,
        };
        let payload = action.payload(&Native, domain);
        for place in places {
            if let Some((earlier, until)) = self.0.insert(place, (payload, until)) {
                let is_void = until.is_some_and(|until| now > until);
                assert!(earlier == payload || is_void, "{place:?} is signed twice: {message:?}");
            }
        }
    }
}

/// No step takes a channel back to an earlier state, but out of a group that has dissolved, and none changes a channel's
/// clock, or what it holds with its parts, but with the chain.
pub fn check_step(before: &Party, input: &Input, after: &Party) {
    for (tpc, was) in before.channels() {
        let Some(is) = after.channels().get(tpc) else { continue };
        let is_told = matches!(input, Input::Chain(_));
        assert!(is_told || is.deadline == was.deadline, "the clock of {tpc} changes at {input:?}");
        let is_out = was.mpc.is_some() && is.mpc.is_none();
        assert!(is_out || is.latest.order() >= was.latest.order(), "{tpc} falls at {input:?}: {was:?}, {is:?}");
    }
    let is_asked = matches!(input, Input::Message(_, Message::TpcUpdate { .. }));
    assert!(!is_asked || after.holdings() >= before.holdings(), "a peer takes at {input:?}");
    let moves_funds = matches!(
        input,
        Input::Chain(
            Event::TpcCreated(_)
                | Event::TpcClosed(_)
                | Event::TpcSettled(_)
                | Event::TpcToppedUp(_)
                | Event::TpcWithdrawn(_)
        )
    );
    if !moves_funds {
        assert_eq!(totals(before), totals(after), "at {input:?}");
    }
}

/// What each channel that was created holds, with its parts.
fn totals(party: &Party) -> BTreeMap<TpcId, Balance> {
    let mut totals = BTreeMap::new();
    for channel in party.channels().values() {
        let whole = Owners { part: None, ..channel.owners }.tpc(&Native);
        *totals.entry(whole).or_default() += channel.latest.total().expect("what a channel holds fits");
    }
    totals
}

/// Everything that a user leaves with its watcher is signed by all who must.
pub fn check_evidence(domain: &Domain, party: &Party) {
    let evidence = party.evidence();
    for (id, tpc) in &evidence.tpcs {
        let owners = party.channels()[id].owners.parties;
        let is_signed = |action: Action, signatures| {
            rules::check_both(&Native, &action.payload(&Native, domain), &owners, signatures).is_ok()
        };
        let latest = tpc.latest.as_ref();
        assert!(latest.is_none_or(|update| is_signed(Action::UpdateTpc(&update.entry), &update.signatures)));
        let split = tpc.split.as_ref();
        assert!(split.is_none_or(|split| is_signed(Action::SplitTpc(&split.split), &split.signatures)));
    }
    for mpc in evidence.mpcs.values().flatten() {
        let owners = mpc.owners.iter().map(|owners| &owners.parties);
        let payload = Action::UpdateMpc(&mpc.update).payload(&Native, domain);
        assert_eq!(rules::check_all(&Native, &payload, owners, &mpc.signatures), Ok(()));
    }
}
