//! Three users, their coordinator, what is under way between them, and a chain.

use super::{
    chain::Chain,
    holds::{check_evidence, check_step, check_view, Signed},
};
use braid::{
    engine::{
        coordinator::{self, Coordinator},
        message::{Agreement, Message, Payment, Scope, UpdateId},
        party::{self, Command, Party},
        step::{Effect, MemoryStore, Peer, Step},
    },
    watcher::Watcher,
};
use chain::{
    contract::Event,
    keys::{Keys, Native},
    submission::Submission,
    UNIT,
};
use codec::{DecodeAll, Encode};
use planning::Transfer;
use protocol::{
    abi,
    state::{MAX_WINDOW, MIN_WINDOW},
    AccountId, Action, Balance, Dispute, Domain, Entry, Owners, PartySignature, Resolution, Signature, Timestamp,
    Update,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Debug,
    sync::{Arc, LazyLock},
};

/// How many users there are.
pub const USERS: usize = 3;

/// The user whose key signs whatever the input says, and whose account cannot receive. The others are honest.
pub const ADVERSARY: usize = 2;

/// What each side puts into each channel at first, in planck, and the most that an honest user lets go without being asked.
pub const STAKE: Balance = 100 * UNIT;

/// What each user has at first in its account, and in the contract's ledger, in planck.
const ENDOWMENT: Balance = 10 * STAKE;

/// How long a dispute may be answered, in ms.
pub const WINDOW: Timestamp = MIN_WINDOW;

/// The clock at first, in ms.
const START: Timestamp = 1_000_000;

/// How long agreements are good at first, in ms.
const VALID_FOR: Timestamp = 1_000_000;

/// The most messages under way, and of calls that are kept; the oldest are lost.
const MAX_KEPT: usize = 64;

/// Where signatures are good.
pub const DOMAIN: Domain = Domain { genesis_hash: [1; 32], contract: AccountId([2; 32]) };

static KEYS: LazyLock<Vec<Keys>> = LazyLock::new(|| {
    let keys = |user| Keys::from_suri(&format!("//user{user}")).expect("a derivation path is a valid seed");
    let mut users: Vec<_> = (0..USERS).map(keys).collect();
    users.sort_by_key(Keys::account);
    users
});

/// A world without channels, one with a channel between every two users, and one where these are braided.
static STAGES: LazyLock<[World; 3]> = LazyLock::new(|| {
    let empty = World::new();
    let mut open = empty.clone();
    for (own, peer) in [(0, 1), (0, 2), (1, 2)] {
        let (peer, valid_until) = (account(peer), open.now + VALID_FOR);
        let (own_part, theirs, value) = (STAKE, STAKE, 0);
        let window = WINDOW;
        open.command(own, Command::OpenTpc { peer, nonce: 0, own: own_part, theirs, value, window, valid_until });
        open.calm();
    }
    let mut braided = open.clone();
    let channels = braided.channels();
    braided.command(0, Command::CreateMpc { channels, valid_until: open.now + VALID_FOR });
    braided.calm();
    let mpc = braided.chain.mpcs().next().expect("the group is open");
    let transfers = vec![Transfer { from: account(0), to: account(1), amount: UNIT }];
    braided.command(0, Command::Pay(Payment { mpc, transfers, scope: Scope::Touched, confirm: true }));
    braided.calm();
    [empty, open, braided]
});

/// A user's key.
pub fn keys(user: usize) -> &'static Keys {
    &KEYS[user]
}

/// A user's account.
pub fn account(user: usize) -> AccountId {
    keys(user).account()
}

/// What becomes of a user's next step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is saved, and has its effects.
    Done,
    /// The process dies before it is saved.
    Unsaved,
    /// The process dies as soon as it is saved.
    Silent,
}

/// A message under way.
#[derive(Clone)]
pub struct Letter {
    /// Who sent it, as the transport says.
    pub from: Peer,
    /// Who gets it.
    pub to: Peer,
    /// What is in it.
    pub frame: Vec<u8>,
}

/// An update that was proposed, and who has signed it as far as others may know.
#[derive(Clone)]
struct Offer {
    update: Update,
    owners: Vec<Owners>,
    signatures: BTreeMap<AccountId, Signature>,
}

/// One user.
#[derive(Clone)]
pub struct User {
    /// What it holds.
    pub party: Party,
    /// What becomes of its next step.
    pub fate: Fate,
    /// The clock of the last block that the user has heard of.
    now: Timestamp,
    watcher: Watcher,
    signed: Signed,
    /// What the chain tells, each with its block's clock, and the user has not heard yet. A block may tell nothing.
    news: VecDeque<(Timestamp, Option<Arc<Event>>)>,
}

/// The world.
#[derive(Clone)]
pub struct World {
    /// The chain's clock.
    pub now: Timestamp,
    /// The contract.
    pub chain: Chain,
    /// The users, ascending by account.
    pub users: Vec<User>,
    /// The coordinator.
    pub coordinator: Coordinator,
    /// Messages under way.
    pub wire: VecDeque<Letter>,
    /// Calls that were made, and may be made again.
    pub calls: VecDeque<Submission>,
    /// What honest users have signed and the adversary alone can complete: it may bring it whenever it likes.
    pub withheld: VecDeque<Submission>,
    /// Updates that some have signed.
    offers: BTreeMap<UpdateId, Offer>,
    /// What the chain tells, and the coordinator has not heard yet.
    coordinator_news: VecDeque<Arc<Event>>,
}

impl World {
    fn new() -> Self {
        let user = |keys: &Keys| User {
            party: Party::new(keys.account(), DOMAIN, STAKE),
            fate: Fate::Done,
            now: START,
            watcher: Watcher::default(),
            signed: Signed::default(),
            news: VecDeque::new(),
        };
        let accounts: Vec<_> = KEYS.iter().map(Keys::account).collect();
        Self {
            now: START,
            chain: Chain::new(DOMAIN, &accounts, ENDOWMENT, account(ADVERSARY)),
            users: KEYS.iter().map(user).collect(),
            coordinator: Coordinator::new(DOMAIN),
            wire: VecDeque::new(),
            calls: VecDeque::new(),
            withheld: VecDeque::new(),
            offers: BTreeMap::new(),
            coordinator_news: VecDeque::new(),
        }
    }

    /// A world that has come some way already.
    pub fn at(stage: u8) -> Self {
        STAGES[usize::from(stage) % STAGES.len()].clone()
    }

    /// Every channel at its newest state, as one of its owners knows it.
    pub fn channels(&self) -> Vec<(Owners, Entry)> {
        let known = self.users.iter().rev().flat_map(|user| user.party.channels());
        let known: BTreeMap<_, _> = known.collect();
        known.into_values().map(|channel| (channel.owners, channel.latest)).collect()
    }

    /// Lets a user's application ask for something.
    pub fn command(&mut self, user: usize, command: Command) {
        self.step(user, party::Input::Command(command));
    }

    /// Lets a user take a step, and wakes it from what it has saved.
    pub fn step(&mut self, index: usize, input: party::Input) {
        let user = &mut self.users[index];
        let fate = std::mem::replace(&mut user.fate, Fate::Done);
        let step = user.party.step(keys(index), user.now, input.clone());
        if fate == Fate::Unsaved {
            return;
        }
        let (woken, effects) = saved(step);
        if index != ADVERSARY {
            check_step(STAKE, &user.party, &input, &woken);
            user.signed.add(&DOMAIN, user.now, &woken, &input, &effects);
        }
        user.party = woken;
        if fate == Fate::Done {
            if index != ADVERSARY {
                self.overhear(index, &input, &effects);
            }
            self.perform(Some(index), effects);
        }
    }

    /// Keeps what an honest user says that it has signed, as far as the adversary is an owner of what it is about: with the
    /// coordinator's help it hears everything.
    fn overhear(&mut self, user: usize, input: &party::Input, effects: &[Effect]) {
        for effect in effects {
            let Effect::Send(to, said) = effect else { continue };
            let by = account(user);
            match (said, input) {
                (Message::TpcUpdate { entry, signature }, _) => self.offer_entry(by, *entry, *signature),
                (
                    Message::TpcUpdateAgree { signature, .. },
                    party::Input::Message(_, Message::TpcUpdate { entry, .. }),
                ) => self.offer_entry(by, *entry, *signature),
                (
                    Message::MpcUpdateAgree { update: id, signature },
                    party::Input::Message(_, Message::MpcUpdate { update, owners, .. }),
                ) => self.offer(*id, by, update.clone(), owners.clone(), *signature),
                (said, input) if *to == Peer::Party(account(ADVERSARY)) => {
                    let completed = completed(by, said, input);
                    completed.into_iter().for_each(|submission| keep(&mut self.withheld, submission));
                }
                _ => {}
            }
        }
    }

    fn offer_entry(&mut self, by: AccountId, entry: Entry, signature: Signature) {
        let user = self.users.iter().find(|user| user.party.account() == by);
        let Some(channel) = user.and_then(|user| user.party.channels().get(&entry.tpc)) else { return };
        let (update, owners) = (Update { entries: vec![entry] }, vec![channel.owners]);
        self.offer(Action::Update(&update).payload(&Native, &DOMAIN), by, update, owners, signature);
    }

    fn offer(&mut self, id: UpdateId, by: AccountId, update: Update, owners: Vec<Owners>, signature: Signature) {
        let offer = self.offers.entry(id).or_insert_with(|| Offer { update, owners, signatures: BTreeMap::new() });
        offer.signatures.insert(by, signature);
        let signers =
            offer.owners.iter().flat_map(|owners| owners.parties).filter(|party| *party != account(ADVERSARY));
        let signers: BTreeSet<_> = signers.collect();
        // The adversary is the last whose signature is missing.
        let is_last = offer.owners.iter().any(|owners| owners.parties.contains(&account(ADVERSARY)));
        if !is_last || !signers.iter().all(|signer| offer.signatures.contains_key(signer)) {
            return;
        }
        let Offer { update, owners, mut signatures } = offer.clone();
        signatures.insert(account(ADVERSARY), keys(ADVERSARY).sign(&id));
        let signatures = signatures.into_iter().map(|(party, signature)| PartySignature { party, signature }).collect();
        let submission = Submission::UpdateChannels(abi::UpdateChannels { update, owners, signatures });
        keep(&mut self.withheld, submission);
    }

    /// Lets the coordinator take a step, and wakes it from what it has saved.
    pub fn step_coordinator(&mut self, input: coordinator::Input) {
        let (woken, effects) = saved(self.coordinator.step(input));
        self.coordinator = woken;
        self.perform(None, effects);
    }

    fn perform(&mut self, user: Option<usize>, effects: Vec<Effect>) {
        let from = user.map_or(Peer::Coordinator, |user| Peer::Party(account(user)));
        for effect in effects {
            match (effect, user) {
                (Effect::Send(to, message), _) => keep(&mut self.wire, Letter { from, to, frame: message.frame() }),
                (Effect::Submit { submission, value }, Some(user)) => self.call(user, submission, value),
                (Effect::Submit { .. }, None) => panic!("the coordinator has nothing to bring to the chain"),
                (Effect::Tell(_), _) => {}
            }
        }
    }

    /// Calls the contract, and sends `value` planck along. It may refuse.
    pub fn call(&mut self, user: usize, submission: Submission, value: Balance) {
        for event in self.chain.call(account(user), &submission, value, self.now).unwrap_or_default() {
            let event = Arc::new(event);
            self.users.iter_mut().for_each(|user| user.news.push_back((self.now, Some(event.clone()))));
            self.coordinator_news.push_back(event);
        }
        keep(&mut self.calls, submission);
    }

    /// Delivers a message that is under way, if it is one.
    pub fn deliver(&mut self, Letter { from, to, frame }: Letter) {
        let Ok(message) = Message::from_frame(&frame) else { return };
        match (from, to) {
            (from, Peer::Party(to)) => {
                if let Some(user) = (0..USERS).find(|user| account(*user) == to) {
                    self.step(user, party::Input::Message(from, message));
                }
            }
            (Peer::Party(from), Peer::Coordinator) => {
                self.step_coordinator(coordinator::Input::Message(from, message));
            }
            (Peer::Coordinator, Peer::Coordinator) => {}
        }
    }

    /// Moves the clock. Nobody who is honest sleeps while it does: what was told is heard and answered first.
    pub fn pass(&mut self, time: Timestamp) {
        for user in (0..USERS).filter(|user| *user != ADVERSARY) {
            self.wake(user);
        }
        self.now += time;
        self.users.iter_mut().for_each(|user| user.news.push_back((self.now, None)));
    }

    /// Lets a user hear everything, and its watcher do what is to be done.
    fn wake(&mut self, user: usize) {
        while self.hear(user) {}
        self.watch(user);
        while self.hear(user) {}
    }

    /// Lets a user, or the coordinator, hear the next thing that the chain tells. Its watcher hears it too.
    pub fn hear(&mut self, index: usize) -> bool {
        if index >= USERS {
            let Some(event) = self.coordinator_news.pop_front() else { return false };
            self.step_coordinator(coordinator::Input::Chain(Event::clone(&event)));
            return true;
        }
        let user = &mut self.users[index];
        // What was not saved is heard again.
        if user.fate == Fate::Unsaved {
            user.fate = Fate::Done;
        }
        let Some((now, event)) = user.news.pop_front() else { return false };
        user.now = now;
        match event {
            Some(event) => {
                user.watcher.follow(&event);
                self.step(index, party::Input::Chain(Event::clone(&event)));
            }
            None => self.step(index, party::Input::Clock),
        }
        true
    }

    /// Lets a user's watcher do what is to be done.
    pub fn watch(&mut self, index: usize) {
        let user = &mut self.users[index];
        let tasks = user.watcher.tasks(&user.party.evidence(), account(index), user.now);
        tasks.into_iter().for_each(|task| self.call(index, task.submission, 0));
    }

    /// Lets everybody hear and answer until all is quiet, or the longest conversation is over.
    pub fn calm(&mut self) {
        for _ in 0..4 * MAX_KEPT {
            let heard = (0..=USERS).filter(|index| self.hear(*index)).count();
            match self.wire.pop_front() {
                Some(letter) => self.deliver(letter),
                None if heard == 0 => return,
                None => {}
            }
        }
    }

    /// Checks what the honest users know and would leave with their watchers, that each gets everything back alone, and that
    /// nothing counts in a part of its channels, whatever the others bring meanwhile.
    pub fn check(&mut self) {
        for user in (0..USERS).filter(|user| *user != ADVERSARY) {
            self.wake(user);
            check_evidence(&DOMAIN, &self.users[user].party);
            check_view(&self.chain, self.now, &self.users[user].party);
            self.clone().check_recovery(user);
            self.clone().check_atomicity(user);
        }
    }

    /// While everybody else is silent, a user disputes what it is in, waits, and has what it held.
    fn check_recovery(&mut self, user: usize) {
        let before = (self.users[user].party.holdings(), self.chain.wealth(&account(user)));
        self.recover(user, |_| {});
        let after = (self.users[user].party.holdings(), self.chain.wealth(&account(user)));
        assert_eq!(after, (0, before.0 + before.1), "user {user} does not get back what it held: {before:?}");
        self.users[user].signed.check_atomic(self.chain.history());
    }

    /// While a user disputes what it is in and waits, the adversary brings all that it can, before the user does and after.
    fn check_atomicity(&mut self, user: usize) {
        self.recover(user, |world| {
            for submission in world.withheld.clone() {
                world.call(ADVERSARY, submission, 0);
            }
        });
        assert_eq!(self.users[user].party.holdings(), 0, "user {user} is not paid out");
        self.users[user].signed.check_atomic(self.chain.history());
    }

    /// A user disputes what it is in and waits until it is settled; `meanwhile` happens before and after each of its steps.
    fn recover(&mut self, user: usize, meanwhile: impl Fn(&mut Self)) {
        // What dies with a process, it does again.
        for _ in 0..3 {
            meanwhile(self);
            self.wake(user);
            let settles = |dispute: &Dispute| dispute.then == Resolution::Settle;
            let party = &self.users[user].party;
            let open = party.channels().iter().filter(|(_, own)| !own.on_chain.dispute.as_ref().is_some_and(settles));
            let channels: Vec<_> = open.map(|(tpc, _)| *tpc).collect();
            self.command(user, Command::Dispute { channels, then: Resolution::Settle });
            meanwhile(self);
            self.wake(user);
            self.now += MAX_WINDOW + 1;
            self.users[user].news.push_back((self.now, None));
            meanwhile(self);
            self.wake(user);
        }
    }
}

/// What an honest user's message lets the adversary bring to the chain, with its own signature beside the user's.
fn completed(by: AccountId, said: &Message, input: &party::Input) -> Option<Submission> {
    let heard = match input {
        party::Input::Message(_, heard) => Some(heard),
        _ => None,
    };
    let sign = |action: Action, signature: &Signature| {
        let signed = [(by, *signature), (account(ADVERSARY), keys(ADVERSARY).sign(&action.payload(&Native, &DOMAIN)))];
        BTreeMap::from(signed).into_iter().map(|(party, signature)| PartySignature { party, signature })
    };
    let both = |action: Action, signature: &Signature| -> Option<[Signature; 2]> {
        sign(action, signature).map(|signed| signed.signature).collect::<Vec<_>>().try_into().ok()
    };
    Some(match (said, heard) {
        (Message::TpcClose { close, signature }, _)
        | (Message::TpcCloseAgree { signature, .. }, Some(Message::TpcClose { close, .. })) => {
            let signatures = both(Action::CloseTpc(close), signature)?;
            Submission::CloseTpc(abi::CloseTpc { close: *close, signatures })
        }
        (Message::TpcAgreement { agreement, signature }, _)
        | (Message::TpcAgreementAgree { signature, .. }, Some(Message::TpcAgreement { agreement, .. })) => {
            let signatures = both(agreement.action(), signature)?;
            let listed = sign(agreement.action(), signature).collect();
            match agreement.clone() {
                Agreement::TopUp(top_up) => Submission::TopUpTpc(abi::TopUpTpc { top_up, signatures }),
                Agreement::Withdraw(withdrawal) => Submission::WithdrawTpc(abi::WithdrawTpc { withdrawal, signatures }),
                Agreement::Split(split) => Submission::SplitTpc(abi::SplitTpc { split, signatures }),
                Agreement::Join(join) => Submission::JoinMpc(abi::JoinMpc { join, signatures: listed }),
                Agreement::Leave(leave) => Submission::LeaveMpc(abi::LeaveMpc { leave, signatures: listed }),
            }
        }
        _ => return None,
    })
}

/// A step's state as it is read again after it was saved, and its effects.
pub fn saved<S: Encode + DecodeAll + PartialEq + Debug>(step: Step<S>) -> (S, Vec<Effect>) {
    let mut store = MemoryStore::default();
    let (after, effects) = step.save(&mut store).expect("memory keeps everything");
    let woken = S::decode_all(&mut &store.0[..]).expect("what was saved can be read");
    assert_eq!(woken, after);
    (woken, effects)
}

fn keep<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == MAX_KEPT {
        kept.pop_front();
    }
    kept.push_back(new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bytes::Bytes, engine::step};

    /// The world after what a script says, without what every run ends with.
    fn after(script: &[u8]) -> World {
        let mut bytes = Bytes(script);
        let [stage] = bytes.array().expect("a script has a stage");
        let mut world = World::at(stage);
        while step(&mut world, &mut bytes).is_some() {}
        world
    }

    #[test]
    fn the_adversary_completes_what_honest_users_have_signed() {
        let world = after(include_bytes!("../../seeds/engine/kept"));
        assert!(!world.chain.history().moved.is_empty());
    }

    #[test]
    fn a_renewal_voids_what_was_kept() {
        let world = after(include_bytes!("../../seeds/engine/kept-until-renewed"));
        assert!(!world.withheld.is_empty());
        assert!(world.chain.history().moved.is_empty());
    }

    #[test]
    #[should_panic(expected = "only a part")]
    fn an_update_that_counts_in_a_part_is_found() {
        let world = after(include_bytes!("../../seeds/engine/kept"));
        let mut history = world.chain.history().clone();
        let (tpc, epoch, _) = *history.moved.first().expect("an update is on chain");
        history.reached.insert((tpc, epoch), 0);
        world.users[..ADVERSARY].iter().for_each(|user| user.signed.check_atomic(&history));
    }

    #[test]
    #[should_panic(expected = "on_chain")]
    fn a_user_that_misses_a_dispute_is_found() {
        // The first user disputes all channels, and nobody hears of its own.
        let world = after(&[1, 15, 0, 17, 0, 1, 2]);
        check_view(&world.chain, world.now, &world.users[0].party);
    }
}
