//! What holds of an honest user, whatever the others do.

use super::chain::{Chain, History};
use braid::engine::{
    message::{Agreement, Message},
    party::{Channel, Input, Party},
    step::Effect,
};
use chain::{contract::Event, keys::Native};
use protocol::{
    rules, Action, Balance, Dispute, Domain, Entry, Epoch, Member, Owners, Resolution, Timestamp, TpcId, Update,
    Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// What at most one signature of a user is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The creation of a channel.
    Creation(TpcId),
    /// A channel's state.
    State(TpcId, Epoch, Version),
    /// The end of an epoch that both owners agree on.
    End(TpcId, Epoch),
    /// A channel's registration or release, by how many it has had.
    Registration(TpcId, u32),
}

/// What a user has signed.
#[derive(Clone, Default)]
pub struct Signed {
    /// For each place the payload, and when that becomes void.
    places: BTreeMap<Place, ([u8; 32], Option<Timestamp>)>,
    /// The entries of each update that belong to the user's channels, by the update's payload.
    updates: BTreeMap<[u8; 32], Vec<Entry>>,
    /// States that were the newest of the user's channels at some time.
    newest: BTreeSet<(TpcId, Epoch, Version)>,
}

impl Signed {
    /// Adds what a step signs. No place is signed twice, unless what was signed first is void.
    pub fn add(&mut self, domain: &Domain, now: Timestamp, party: &Party, input: &Input, effects: &[Effect]) {
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
                    | Message::MpcUpdateAgree { .. }
                    | Message::MpcCloseAgree { .. },
                    Input::Message(_, heard),
                ) => heard,
                _ => said,
            };
            self.add_message(domain, now, party, about);
        }
        let newest = party.channels().values().map(|channel| place_of(&channel.latest));
        self.newest.extend(newest);
    }

    fn add_message(&mut self, domain: &Domain, now: Timestamp, party: &Party, message: &Message) {
        let registrations = |members: &[Member]| {
            let own = members.iter().filter(|member| party.channels().contains_key(&member.tpc));
            own.map(|member| Place::Registration(member.tpc, member.registrations)).collect()
        };
        match message {
            Message::TpcCreate { creation, .. } => {
                let places = vec![Place::Creation(creation.id(&Native))];
                self.sign(domain, now, Action::CreateTpc(creation), places, Some(creation.valid_until));
            }
            Message::TpcUpdate { entry, .. } => {
                self.add_update(domain, now, party, &Update { entries: vec![*entry] });
            }
            Message::MpcUpdate { update, .. } => self.add_update(domain, now, party, update),
            Message::TpcClose { close, .. } => {
                self.sign(domain, now, Action::CloseTpc(close), ends(&[close.last]), Some(close.valid_until));
            }
            Message::TpcAgreement { agreement, .. } => {
                let places = match agreement {
                    Agreement::Join(join) => registrations(&join.members),
                    Agreement::Leave(leave) => registrations(&leave.members),
                    Agreement::TopUp(_) | Agreement::Withdraw(_) | Agreement::Split(_) => ends(agreement.last()),
                };
                self.sign(domain, now, agreement.action(), places, Some(agreement.valid_until()));
            }
            Message::MpcCreate { creation, .. } => {
                let places = registrations(&creation.members);
                self.sign(domain, now, Action::CreateMpc(creation), places, Some(creation.valid_until));
            }
            Message::MpcClose { close, .. } => {
                let places = registrations(&close.members);
                self.sign(domain, now, Action::CloseMpc(close), places, Some(close.valid_until));
            }
            _ => {}
        }
    }

    fn add_update(&mut self, domain: &Domain, now: Timestamp, party: &Party, update: &Update) {
        let own = update.entries.iter().filter(|entry| party.channels().contains_key(&entry.tpc));
        let own: Vec<_> = own.copied().collect();
        let places = own.iter().map(|Entry { tpc, epoch, version, .. }| Place::State(*tpc, *epoch, *version)).collect();
        let payload = self.sign(domain, now, Action::Update(update), places, None);
        self.updates.insert(payload, own);
    }

    fn sign(
        &mut self,
        domain: &Domain,
        now: Timestamp,
        action: Action,
        places: Vec<Place>,
        until: Option<Timestamp>,
    ) -> [u8; 32] {
        let payload = action.payload(&Native, domain);
        for place in places {
            // A state is never free again: versions are used up.
            let until = until.filter(|_| !matches!(place, Place::State(..)));
            if let Some((earlier, until)) = self.places.insert(place, (payload, until)) {
                let is_void = until.is_some_and(|until| now > until);
                assert!(earlier == payload || is_void, "{place:?} is signed twice: {action:?}");
            }
        }
        payload
    }

    /// Of each update that the user has signed, its channels have all got to the entries, or beyond, or none is bound by
    /// it. This is for the end, when the user's channels are settled.
    pub fn check_atomic(&self, history: &History) {
        let got_there = |entry: &Entry| {
            history.reached.get(&(entry.tpc, entry.epoch)).is_some_and(|reached| *reached >= entry.version)
        };
        let is_bound =
            |entry: &Entry| history.moved.contains(&place_of(entry)) || self.newest.contains(&place_of(entry));
        for entries in self.updates.values().filter(|entries| entries.iter().any(is_bound)) {
            assert!(entries.iter().all(got_there), "only a part of {entries:?} counts: {:?}", history.reached);
        }
    }
}

fn place_of(entry: &Entry) -> (TpcId, Epoch, Version) {
    (entry.tpc, entry.epoch, entry.version)
}

/// States that end their epochs.
fn ends(last: &[Entry]) -> Vec<Place> {
    let places = last
        .iter()
        .flat_map(|Entry { tpc, epoch, version, .. }| [Place::State(*tpc, *epoch, *version), Place::End(*tpc, *epoch)]);
    places.collect()
}

/// No step takes a channel back to an earlier state, and none changes a channel's clock, or what a channel holds, but with
/// the chain. Nobody takes from the user more than it lets go.
pub fn check_step(spend: Balance, before: &Party, input: &Input, after: &Party) {
    for (tpc, was) in before.channels() {
        let Some(is) = after.channels().get(tpc) else { continue };
        assert!(is.latest.order() >= was.latest.order(), "{tpc} falls at {input:?}: {was:?}, {is:?}");
        let is_told = matches!(input, Input::Chain(_));
        let (disputed, renewed) = (was.on_chain.dispute, is.latest.epoch > was.latest.epoch);
        let is_over = matches!(disputed, Some(Dispute { then: Resolution::Renew, .. })) && renewed;
        assert!(is_told || is.on_chain.dispute == disputed || is_over, "the clock of {tpc} changes at {input:?}");
    }
    let fall = before.holdings().saturating_sub(after.holdings());
    match input {
        // What the chain does was agreed to before, and what the user itself asked for completes with an answer.
        Input::Chain(_) | Input::Message(_, Message::TpcUpdateAgree { .. }) => {}
        Input::Message(_, Message::MpcUpdated { .. }) => assert!(fall <= spend, "a payment takes {fall} at {input:?}"),
        _ => assert_eq!(fall, 0, "something is taken at {input:?}"),
    }
    let moves_funds = matches!(
        input,
        Input::Chain(
            Event::TpcCreated(_)
                | Event::TpcClosed(_)
                | Event::TpcToppedUp(_)
                | Event::TpcWithdrawn(_)
                | Event::Settled(_)
        )
    );
    if moves_funds {
        return;
    }
    let pair = |_: &TpcId, channel: &Channel| channel.owners.parties;
    assert_eq!(totals(before, pair), totals(after, pair), "at {input:?}");
    if !matches!(input, Input::Chain(Event::TpcSplit(_))) {
        let each = |tpc: &TpcId, _: &Channel| *tpc;
        assert_eq!(totals(before, each), totals(after, each), "at {input:?}");
    }
}

/// What a user's channels hold, for each kind of them.
fn totals<K: Ord>(party: &Party, kind: impl Fn(&TpcId, &Channel) -> K) -> BTreeMap<K, Balance> {
    let mut totals = BTreeMap::new();
    for (tpc, channel) in party.channels() {
        *totals.entry(kind(tpc, channel)).or_default() += channel.latest.total().expect("what a channel holds fits");
    }
    totals
}

/// A user that has heard everything knows what the chain holds of its channels.
pub fn check_view(chain: &Chain, now: Timestamp, party: &Party) {
    let on_chain = chain.channels_of(party.account(), now);
    assert!(on_chain.keys().eq(party.channels().keys()), "{:?}, {:?}", on_chain, party.channels());
    for (tpc, channel) in on_chain.values().zip(party.channels().values()) {
        let known = channel.on_chain;
        assert_eq!(channel.owners, tpc.owners);
        assert_eq!(
            (known.order, known.mpc, known.registrations, known.dispute),
            (tpc.order(), tpc.mpc, tpc.registrations, tpc.dispute),
            "{channel:?}"
        );
        let is_stored = channel.latest.order() == tpc.order();
        assert!(!is_stored || channel.latest.balances == tpc.balances, "{channel:?}, {tpc:?}");
    }
}

/// Everything that a user leaves with its watcher is signed by all who must, and proves every newest state.
pub fn check_evidence(domain: &Domain, party: &Party) {
    let evidence = party.evidence();
    for signed in &evidence.updates {
        let entries = &signed.update.entries;
        assert_eq!(rules::check_ascending(entries.iter().map(|entry| &entry.tpc)), Ok(()));
        assert!(signed.owners.iter().map(|owners| owners.tpc(&Native)).eq(entries.iter().map(|entry| entry.tpc)));
        let payload = Action::Update(&signed.update).payload(&Native, domain);
        let owners = signed.owners.iter().map(|owners: &Owners| &owners.parties);
        assert_eq!(rules::check_all(&Native, &payload, owners, &signed.signatures), Ok(()));
    }
    for (tpc, channel) in party.channels() {
        assert_eq!(evidence.channels.get(tpc), Some(&channel.owners));
        let is_proven = || evidence.updates.iter().any(|signed| signed.update.entries.contains(&channel.latest));
        assert!(channel.on_chain.order == channel.latest.order() || is_proven(), "nothing proves {channel:?}");
    }
}
