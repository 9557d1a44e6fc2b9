//! Parties, their coordinator and a chain in one process, with every message as the frame that a network would carry.

use crate::{
    engine::{
        coordinator::{self, Coordinator},
        message::{BadFrame, Message},
        party::{self, Command, Party},
        step::{Effect, MemoryStore, Notice, Peer},
    },
    watcher::Watcher,
};
use chain::{
    block_on,
    contract::{CallError, Called, Contract, Event},
    keys::Keys,
    submission::Submission,
    Chain, ChainError, Receipt,
};
use codec::Decode;
use protocol::{
    abi::{self, GetDomain},
    AccountId, Balance, Error, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What stops a local world.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A call of the contract failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A state could not be kept.
    #[error("a state could not be saved: {0}")]
    Store(#[from] std::io::Error),
    /// A frame could not be read.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// There is no such user here.
    #[error("there is no user {0} here")]
    UnknownUser(usize),
}

/// An on-chain call that was made.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// Who made it, and paid for it.
    pub user: usize,
    /// The contract's message.
    pub message: &'static str,
    /// What the chain says.
    pub receipt: Receipt,
}

/// How long things take on the world's simulated clock. By default nothing takes any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// From a message's sending to its arrival, in ms.
    pub message: u64,
    /// From a block to the next, in ms. A call takes effect with the first block after it was made; 0 for at once.
    pub block: u64,
}

/// What will happen at some time.
enum Pending {
    /// A message arrives.
    Frame(Peer, Peer, Vec<u8>),
    /// A user's call is in a block, with the value sent along.
    Call(usize, Box<Submission>, Balance, Caller),
}

/// Who brings a call to the chain for a user.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Party,
    Watcher,
}

struct User {
    keys: Keys,
    party: Party,
    store: MemoryStore,
    watcher: Watcher,
    /// Whether the watcher is awake.
    watched: bool,
}

/// The world. It waits for the chain on its thread.
pub struct Local<C> {
    /// The chain.
    pub chain: C,
    /// The deployment.
    pub contract: Contract,
    /// The chain's clock after the last call or command; nothing else moves it here.
    now: Timestamp,
    /// Every on-chain call since the last [`Local::take_calls`].
    calls: Vec<CallRecord>,
    /// What the contract did and nobody was told yet, with the block's time: everybody hears everything in its order.
    events: VecDeque<(Timestamp, Event)>,
    /// Whether they are being told.
    telling: bool,
    users: Vec<User>,
    indices: BTreeMap<AccountId, usize>,
    coordinator: Coordinator,
    coordinator_store: MemoryStore,
    delays: Delays,
    /// The simulated clock, in ms since it was started. The deadlines of disputes are the chain's clock's.
    elapsed: u64,
    /// What is under way, by when it happens and, of what happens at the same time, by what was sent first.
    pending: BTreeMap<(u64, u64), Pending>,
    /// How many things have ever been under way.
    sent: u64,
    messages: u64,
    absent: BTreeSet<AccountId>,
    notices: Vec<(Peer, Notice)>,
}

impl<C: Chain> Local<C> {
    /// A world of users without channels, each of whom lets an agreement take `spend` planck without being asked.
    ///
    /// # Errors
    /// If the contract cannot be asked for its domain.
    pub fn new(mut chain: C, contract: Contract, users: Vec<Keys>, spend: Balance) -> Result<Self, LocalError> {
        let domain = block_on(contract.query(&mut chain, &GetDomain {}))?;
        let indices = users.iter().enumerate().map(|(index, keys)| (keys.account(), index)).collect();
        let user = |keys: Keys| User {
            party: Party::new(keys.account(), domain, spend),
            keys,
            store: MemoryStore::default(),
            watcher: Watcher::default(),
            watched: true,
        };
        Ok(Self {
            now: block_on(chain.time())?,
            chain,
            contract,
            calls: vec![],
            events: VecDeque::new(),
            telling: false,
            users: users.into_iter().map(user).collect(),
            indices,
            coordinator: Coordinator::new(domain),
            coordinator_store: MemoryStore::default(),
            delays: Delays::default(),
            elapsed: 0,
            pending: BTreeMap::new(),
            sent: 0,
            messages: 0,
            absent: BTreeSet::new(),
            notices: vec![],
        })
    }

    /// Lets messages and blocks take their time from now on, on a clock that starts at 0 with a block.
    pub fn with_delays(self, delays: Delays) -> Self {
        Self { delays, elapsed: 0, ..self }
    }

    /// The time on the simulated clock, in ms.
    pub fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// A user's party.
    ///
    /// # Errors
    /// [`LocalError::UnknownUser`].
    pub fn party(&self, user: usize) -> Result<&Party, LocalError> {
        self.users.get(user).map(|user| &user.party).ok_or(LocalError::UnknownUser(user))
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// How many messages have been sent off chain.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How many signatures users have made off chain.
    pub fn signatures(&self) -> u64 {
        self.users.iter().map(|user| user.party.signatures()).sum()
    }

    /// The on-chain calls since the last time.
    pub fn take_calls(&mut self) -> Vec<CallRecord> {
        std::mem::take(&mut self.calls)
    }

    /// Makes a user answer nothing from now on, or again. What it left with its watcher still counts.
    ///
    /// # Errors
    /// [`LocalError::UnknownUser`].
    pub fn set_absent(&mut self, user: usize, absent: bool) -> Result<(), LocalError> {
        let account = self.party(user)?.account();
        if absent {
            self.absent.insert(account);
        } else {
            self.absent.remove(&account);
        }
        Ok(())
    }

    /// Wakes a user's watcher, or sends it to sleep. All are awake at first.
    ///
    /// # Errors
    /// [`LocalError::UnknownUser`].
    pub fn set_watched(&mut self, user: usize, watched: bool) -> Result<(), LocalError> {
        self.users.get_mut(user).ok_or(LocalError::UnknownUser(user))?.watched = watched;
        Ok(())
    }

    /// Lets the chain's clock pass `time`, and everybody do what is due then. `payer` pays for blocks that have to be made.
    ///
    /// # Errors
    /// If a call of the contract fails.
    pub fn wait_until(&mut self, payer: &Keys, time: Timestamp) -> Result<Vec<(Peer, Notice)>, LocalError> {
        block_on(self.chain.wait_until(payer, time))?;
        self.now = block_on(self.chain.time())?;
        for user in 0..self.users.len() {
            self.step(user, party::Input::Clock)?;
        }
        self.watch(None)?;
        self.run()
    }

    /// Stops a user's process and starts it from what its store holds.
    ///
    /// # Errors
    /// If the store holds no state.
    pub fn restart(&mut self, user: usize) -> Result<(), LocalError> {
        let user = self.users.get_mut(user).ok_or(LocalError::UnknownUser(user))?;
        user.party = Party::decode(&mut &user.store.0[..]).map_err(|error| {
            LocalError::Store(std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string()))
        })?;
        Ok(())
    }

    /// Lets a user do something, and everybody answer until all is quiet. Returns what applications were told.
    ///
    /// # Errors
    /// If a call of the contract fails.
    pub fn command(&mut self, user: usize, command: Command) -> Result<Vec<(Peer, Notice)>, LocalError> {
        self.start(user, command)?;
        self.run()
    }

    /// Lets a user do something without delivering anything yet, so that users can act at once.
    ///
    /// # Errors
    /// If a call of the contract fails.
    pub fn start(&mut self, user: usize, command: Command) -> Result<(), LocalError> {
        self.now = block_on(self.chain.time())?;
        self.step(user, party::Input::Command(command))
    }

    /// Tells the coordinator that a group's members have had their time.
    ///
    /// # Errors
    /// If a call of the contract fails.
    pub fn time_out(&mut self, mpc: protocol::MpcId) -> Result<Vec<(Peer, Notice)>, LocalError> {
        self.step_coordinator(coordinator::Input::Timeout(mpc))?;
        self.run()
    }

    /// Delivers messages until all is quiet. Returns what applications were told.
    ///
    /// # Errors
    /// If a call of the contract fails.
    pub fn run(&mut self) -> Result<Vec<(Peer, Notice)>, LocalError> {
        while let Some(((time, _), pending)) = self.pending.pop_first() {
            self.happen(time, pending)?;
        }
        Ok(std::mem::take(&mut self.notices))
    }

    fn happen(&mut self, time: u64, pending: Pending) -> Result<(), LocalError> {
        self.elapsed = time;
        let (from, to, frame) = match pending {
            Pending::Frame(from, to, frame) => (from, to, frame),
            Pending::Call(user, submission, value, caller) => return self.execute(user, &submission, value, caller),
        };
        let message = Message::from_frame(&frame)?;
        match (from, to) {
            (_, Peer::Party(account)) if self.absent.contains(&account) => Ok(()),
            (from, Peer::Party(account)) => {
                let user = self.indices.get(&account).copied().ok_or(LocalError::UnknownUser(self.users.len()))?;
                self.step(user, party::Input::Message(from, message))
            }
            (Peer::Party(account), Peer::Coordinator) => {
                self.step_coordinator(coordinator::Input::Message(account, message))
            }
            (Peer::Coordinator, Peer::Coordinator) => Ok(()),
        }
    }

    fn send(&mut self, time: u64, pending: Pending) {
        self.pending.insert((time, self.sent), pending);
        self.sent = self.sent.saturating_add(1);
    }

    /// When the next block is, in ms; now if blocks take no time.
    fn next_block(&self) -> u64 {
        let blocks = self.elapsed.checked_div(self.delays.block);
        blocks.map_or(self.elapsed, |blocks| blocks.saturating_add(1).saturating_mul(self.delays.block))
    }

    /// Lets everything happen that does before the next block.
    fn wait_for_block(&mut self) -> Result<(), LocalError> {
        let time = self.next_block();
        while let Some(first) = self.pending.first_entry().filter(|first| first.key().0 < time) {
            let ((time, _), pending) = first.remove_entry();
            self.happen(time, pending)?;
        }
        self.elapsed = time;
        Ok(())
    }

    /// Pays `amount` planck from a user's account to another's, on chain with the next block.
    ///
    /// # Errors
    /// If the chain refuses.
    pub fn transfer(&mut self, from: usize, to: usize, amount: Balance) -> Result<Receipt, LocalError> {
        let to = self.party(to)?.account();
        let keys = self.users.get(from).ok_or(LocalError::UnknownUser(from))?.keys.clone();
        self.wait_for_block()?;
        Ok(block_on(self.chain.transfer(&keys, to, amount))?)
    }

    /// The chain's clock.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub fn time(&mut self) -> Result<Timestamp, ChainError> {
        block_on(self.chain.time())
    }

    /// Asks the contract.
    ///
    /// # Errors
    /// If it cannot answer.
    pub fn query<M: abi::Message>(&mut self, message: &M) -> Result<M::Output, CallError> {
        block_on(self.contract.query(&mut self.chain, message))
    }

    /// Calls the contract for a user with the next block, and tells everybody what it did.
    ///
    /// # Errors
    /// If the call fails.
    pub fn call<T: Decode, M: abi::Message<Output = Result<T, Error>>>(
        &mut self,
        user: usize,
        value: Balance,
        message: &M,
    ) -> Result<T, LocalError> {
        let keys = self.users.get(user).ok_or(LocalError::UnknownUser(user))?.keys.clone();
        self.wait_for_block()?;
        let Called { answer, receipt, events } = block_on(self.contract.call(&mut self.chain, &keys, value, message))?;
        self.called(user, M::NAME, receipt, events)?;
        Ok(answer)
    }

    fn broadcast(&mut self, event: Event) -> Result<(), LocalError> {
        for user in 0..self.users.len() {
            self.step(user, party::Input::Chain(event.clone()))?;
        }
        self.step_coordinator(coordinator::Input::Chain(event.clone()))?;
        self.watch(Some(&event))
    }

    fn step(&mut self, index: usize, input: party::Input) -> Result<(), LocalError> {
        let now = self.now;
        let user = self.users.get_mut(index).ok_or(LocalError::UnknownUser(index))?;
        let (party, effects) = user.party.step(&user.keys, now, input).save(&mut user.store)?;
        let account = party.account();
        user.party = party;
        self.perform(Peer::Party(account), Some(index), effects)
    }

    fn step_coordinator(&mut self, input: coordinator::Input) -> Result<(), LocalError> {
        let (coordinator, effects) = self.coordinator.step(input).save(&mut self.coordinator_store)?;
        self.coordinator = coordinator;
        self.perform(Peer::Coordinator, None, effects)
    }

    fn perform(&mut self, from: Peer, user: Option<usize>, effects: Vec<Effect>) -> Result<(), LocalError> {
        for effect in effects {
            match (effect, user) {
                (Effect::Send(to, message), _) => {
                    self.messages = self.messages.saturating_add(1);
                    let arrival = self.elapsed.saturating_add(self.delays.message);
                    self.send(arrival, Pending::Frame(from, to, message.frame()));
                }
                (Effect::Submit { submission, value }, Some(user)) => {
                    self.submit(user, submission, value, Caller::Party)?;
                }
                (Effect::Submit { .. }, None) => {}
                (Effect::Tell(notice), _) => self.notices.push((from, notice)),
            }
        }
        Ok(())
    }

    fn submit(
        &mut self,
        user: usize,
        submission: Submission,
        value: Balance,
        caller: Caller,
    ) -> Result<(), LocalError> {
        if self.delays.block == 0 {
            return self.execute(user, &submission, value, caller);
        }
        self.send(self.next_block(), Pending::Call(user, Box::new(submission), value, caller));
        Ok(())
    }

    /// A watcher that is refused was late: somebody else has done the same. So was a party that brings what is there.
    fn execute(
        &mut self,
        user: usize,
        submission: &Submission,
        value: Balance,
        caller: Caller,
    ) -> Result<(), LocalError> {
        let keys = self.users.get(user).ok_or(LocalError::UnknownUser(user))?.keys.clone();
        match block_on(self.contract.submit(&mut self.chain, &keys, value, submission)) {
            Ok(called) => self.called(user, submission.message(), called.receipt, called.events),
            Err(CallError::Contract(_)) if caller == Caller::Watcher => Ok(()),
            Err(CallError::Contract(Error::NothingNewer)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn called(
        &mut self,
        user: usize,
        message: &'static str,
        receipt: Receipt,
        events: Vec<Event>,
    ) -> Result<(), LocalError> {
        let time = block_on(self.chain.time())?;
        self.calls.push(CallRecord { user, message, receipt });
        self.events.extend(events.into_iter().map(|event| (time, event)));
        // What somebody does when it hears of an event comes after that event for everybody.
        if self.telling {
            return Ok(());
        }
        self.telling = true;
        let told = self.tell_events();
        self.telling = false;
        self.now = block_on(self.chain.time())?;
        told
    }

    fn tell_events(&mut self) -> Result<(), LocalError> {
        while let Some((time, event)) = self.events.pop_front() {
            self.now = time;
            self.broadcast(event)?;
        }
        Ok(())
    }

    /// Lets the users' watchers act.
    fn watch(&mut self, event: Option<&Event>) -> Result<(), LocalError> {
        for index in 0..self.users.len() {
            let now = self.now;
            let Some(user) = self.users.get_mut(index) else { continue };
            if let Some(event) = event {
                user.watcher.follow(event);
            }
            if !user.watched {
                continue;
            }
            let evidence = user.party.evidence();
            for task in user.watcher.tasks(&evidence, user.keys.account(), now) {
                self.submit(index, task.submission, 0, Caller::Watcher)?;
            }
        }
        Ok(())
    }
}
