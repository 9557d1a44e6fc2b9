//! Users, coordinators and a chain in one process, on a clock of their own: the real engines, the real contract, every message
//! as the frame that a network would carry. Nothing is lost here; [`crate::world`] is where things go wrong.

use chain::{
    block_on,
    contract::{CallError, Called, Contract},
    keys::Keys,
    Chain, ChainError, Receipt,
};
use codec::Decode;
use engine::{
    journal::Journal,
    message::{BadFrame, Message},
    record::{BadRecord, MemoryStore},
    watcher::Watcher,
    Answer, Block, Call, CallId, Command, Effect, Engine, Input, Notice, Output, Policy, Reading, Refusal,
};
use protocol::{
    abi::{self, GetDomain},
    AccountId, Balance, Domain, Error, MpcId, Owners, Timestamp, TpcId,
};
use std::collections::BTreeMap;

/// What stops a local world.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A call of the contract failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An engine does not do what it was told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A frame could not be read.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// A store could not be read.
    #[error(transparent)]
    Record(#[from] BadRecord),
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

/// How long things take on the world's clock. By default nothing takes any time.
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
    Frame { from: AccountId, to: usize, frame: Vec<u8> },
    /// A user's call is in a block, with the value sent along. `None` if its watcher makes it.
    Call { user: usize, id: Option<CallId>, call: Box<Call>, value: Balance },
    /// The chain's storage is read for a user.
    Read(usize, Vec<(TpcId, u32)>),
    /// A user's application answers.
    Command(usize, Command),
}

struct User {
    keys: Keys,
    engine: Engine,
    journal: Journal,
    store: MemoryStore,
    /// Whether its application says yes to whatever is requested of it.
    accepts: bool,
    /// It neither hears messages nor sees blocks.
    away: bool,
    /// What answers disputes while it is away.
    watcher: Option<Watcher>,
}

/// The world. It waits for the chain on its thread.
pub struct Local<C> {
    /// The chain.
    pub chain: C,
    /// The deployment.
    pub contract: Contract,
    domain: Domain,
    users: Vec<User>,
    /// How many of the users are no coordinators.
    players: usize,
    indices: BTreeMap<AccountId, usize>,
    delays: Delays,
    /// The world's clock, in ms since it was started. The deadlines of disputes are the chain's clock's.
    elapsed: u64,
    /// The last block that everybody was told.
    block: u32,
    /// What is under way, by when it happens and, of what happens at the same time, by what was sent first.
    pending: BTreeMap<(u64, u64), Pending>,
    /// How many things have ever been under way.
    sent: u64,
    messages: u64,
    /// Every on-chain call since the last [`Local::take_calls`].
    calls: Vec<CallRecord>,
    notices: Vec<(usize, Notice)>,
}

impl<C: Chain> Local<C> {
    /// A world of users without channels, who enter every group, and of coordinators, who come after the users.
    ///
    /// # Errors
    /// If the contract cannot be asked for its domain.
    pub fn new(
        mut chain: C,
        contract: Contract,
        users: Vec<Keys>,
        coordinators: Vec<Keys>,
    ) -> Result<Self, LocalError> {
        let domain = block_on(contract.query(&mut chain, &GetDomain {}))?;
        let block = block_on(chain.block())?;
        let players = users.len();
        let user = |(index, keys): (usize, Keys)| {
            let policy = Policy { enter_groups: true, coordinate: index >= players, ..Policy::default() };
            User {
                engine: Engine::new(keys.account(), domain, policy),
                keys,
                journal: Journal::default(),
                store: MemoryStore::default(),
                accepts: true,
                away: false,
                watcher: None,
            }
        };
        let users: Vec<_> = users.into_iter().chain(coordinators).enumerate().map(user).collect();
        let indices = (0..).zip(&users).map(|(index, user)| (user.keys.account(), index)).collect();
        let mut world = Self {
            chain,
            contract,
            domain,
            users,
            players,
            indices,
            delays: Delays::default(),
            elapsed: 0,
            block: block.saturating_sub(1),
            pending: BTreeMap::new(),
            sent: 0,
            messages: 0,
            calls: vec![],
            notices: vec![],
        };
        world.follow()?;
        Ok(world)
    }

    /// Lets messages and blocks take their time from now on, on a clock that starts at 0 with a block.
    pub fn with_delays(self, delays: Delays) -> Self {
        Self { delays, elapsed: 0, ..self }
    }

    /// The world's clock, in ms.
    pub fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// How many users there are who are no coordinators.
    pub fn len(&self) -> usize {
        self.players
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// A user's engine.
    ///
    /// # Errors
    /// [`LocalError::UnknownUser`].
    pub fn engine(&self, user: usize) -> Result<&Engine, LocalError> {
        self.users.get(user).map(|user| &user.engine).ok_or(LocalError::UnknownUser(user))
    }

    fn user(&mut self, user: usize) -> Result<&mut User, LocalError> {
        self.users.get_mut(user).ok_or(LocalError::UnknownUser(user))
    }

    /// A user's channels.
    ///
    /// # Errors
    /// [`LocalError::UnknownUser`].
    pub fn channels(&self, user: usize) -> Result<Vec<TpcId>, LocalError> {
        Ok(self.engine(user)?.channels().map(|(tpc, _)| *tpc).collect())
    }

    /// Everybody's channels: each with its owners and its count of registrations.
    pub fn all_channels(&self) -> BTreeMap<TpcId, (Owners, u32)> {
        let engines = self.users.iter().map(|user| &user.engine);
        let channels = engines.flat_map(|engine| engine.channels());
        channels.map(|(tpc, channel)| (*tpc, (channel.owners, channel.on_chain.registrations))).collect()
    }

    /// The channels of a registered group, each with its count of registrations.
    pub fn members(&self, mpc: MpcId) -> Vec<(TpcId, u32)> {
        let engines = self.users.iter().filter(|user| !user.away).map(|user| &user.engine);
        let channels = engines.flat_map(|engine| engine.channels());
        let members = channels.filter(|(_, channel)| channel.on_chain.mpc == Some(mpc));
        let members: BTreeMap<_, _> = members.map(|(tpc, channel)| (*tpc, channel.on_chain.registrations)).collect();
        members.into_iter().collect()
    }

    /// How many messages have been sent off chain.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How many signatures users have made off chain.
    pub fn signatures(&self) -> u64 {
        self.users.iter().map(|user| user.engine.signatures()).sum()
    }

    /// The on-chain calls since the last time.
    pub fn take_calls(&mut self) -> Vec<CallRecord> {
        std::mem::take(&mut self.calls)
    }

    /// What applications were told since the last time.
    pub fn take_notices(&mut self) -> Vec<(usize, Notice)> {
        std::mem::take(&mut self.notices)
    }

    /// Whether a user's application says yes to whatever is requested of it, as all do at first.
    ///
    /// # Errors
    /// [`LocalError::UnknownUser`].
    pub fn set_accepts(&mut self, user: usize, accepts: bool) -> Result<(), LocalError> {
        self.user(user)?.accepts = accepts;
        Ok(())
    }

    /// A user goes offline: it neither hears messages nor sees blocks. What it has left with a watcher is brought to the chain
    /// if somebody disputes it.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub fn leave(&mut self, user: usize, watched: bool) -> Result<(), LocalError> {
        let domain = self.domain;
        let watcher = if watched {
            let mut watcher = Watcher::new(domain);
            watcher.hold(self.engine(user)?.evidence());
            let stored = block_on(self.contract.read(&mut self.chain, self.block, &watcher.unread(true)))?;
            let now = block_on(self.chain.time())?;
            watcher.read(self.block, now, &stored);
            Some(watcher)
        } else {
            None
        };
        let user = self.user(user)?;
        (user.away, user.watcher) = (true, watcher);
        Ok(())
    }

    /// A user is online again, and reads what it has missed.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub fn come_back(&mut self, user: usize) -> Result<(), LocalError> {
        let at = self.user(user)?;
        (at.away, at.watcher) = (false, None);
        let (followed, last) = (at.engine.followed(), at.engine.cursor().block);
        if last < self.block {
            let reading = Some(block_on(self.contract.read(&mut self.chain, self.block, &followed))?);
            let block = block_on(self.contract.block(&mut self.chain, self.block))?;
            self.step(user, Input::Block(Block { reading, ..block }))?;
        }
        self.run()
    }

    /// Stops a user's process and starts it from what its store holds.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn restart(&mut self, user: usize) -> Result<(), LocalError> {
        let domain = self.domain;
        let at = self.user(user)?;
        let records = at.store.0.iter().map(|(key, value)| (&key[..], &value[..]));
        at.engine = Engine::load(at.keys.account(), domain, records)?;
        at.journal = Journal::default();
        let output = at.engine.resume(&at.keys);
        self.accept(user, output)?;
        self.run()
    }

    /// Lets a user do something, and everybody answer until all is quiet.
    ///
    /// # Errors
    /// If the user's engine refuses, or a call of the contract fails.
    pub fn command(&mut self, user: usize, command: Command) -> Result<Answer, LocalError> {
        let answer = self.start(user, command)?;
        self.run()?;
        Ok(answer)
    }

    /// Lets a user do something without delivering anything yet, so that users can act at once.
    ///
    /// # Errors
    /// If the user's engine refuses.
    pub fn start(&mut self, user: usize, command: Command) -> Result<Answer, LocalError> {
        self.step(user, Input::Command(command))
    }

    /// Delivers messages until all is quiet.
    ///
    /// # Errors
    /// If a call of the contract fails.
    pub fn run(&mut self) -> Result<(), LocalError> {
        while let Some(((time, _), pending)) = self.pending.pop_first() {
            self.happen(time, pending)?;
        }
        Ok(())
    }

    /// Lets real time pass, so that what was not answered is asked again.
    ///
    /// # Errors
    /// If a call of the contract fails.
    pub fn pass(&mut self, ms: u64) -> Result<(), LocalError> {
        self.run()?;
        self.elapsed = self.elapsed.saturating_add(ms);
        for user in 0..self.users.len() {
            self.step(user, Input::Tick(self.elapsed))?;
        }
        self.run()
    }

    /// Lets the chain's clock pass `time`, and everybody do what is due then. `payer` pays for blocks that have to be made.
    ///
    /// # Errors
    /// If a call of the contract fails.
    pub fn wait_until(&mut self, payer: &Keys, time: Timestamp) -> Result<(), LocalError> {
        self.run()?;
        block_on(self.chain.wait_until(payer, time))?;
        self.follow()?;
        self.run()
    }

    fn happen(&mut self, time: u64, pending: Pending) -> Result<(), LocalError> {
        self.elapsed = time;
        match pending {
            Pending::Frame { from, to, frame } => {
                let message = Message::from_frame(&frame)?;
                self.step(to, Input::Message { from, message }).map(drop)
            }
            Pending::Call { user, id, call, value } => self.execute(user, id, &call, value),
            Pending::Read(user, channels) => {
                let channels = block_on(self.contract.read(&mut self.chain, self.block, &channels))?;
                self.step(user, Input::Read(Reading { block: self.block, channels })).map(drop)
            }
            // What was requested may be over by now.
            Pending::Command(user, command) => match self.step(user, Input::Command(command)) {
                Err(LocalError::Refused(_)) => Ok(()),
                answer => answer.map(drop),
            },
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
        let to = self.user(to)?.keys.account();
        let keys = self.user(from)?.keys.clone();
        self.wait_for_block()?;
        let receipt = block_on(self.chain.transfer(&keys, to, amount))?;
        self.follow()?;
        Ok(receipt)
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
        let keys = self.user(user)?.keys.clone();
        self.wait_for_block()?;
        let Called { answer, receipt, .. } = block_on(self.contract.call(&mut self.chain, &keys, value, message))?;
        self.calls.push(CallRecord { user, message: M::NAME, receipt });
        self.follow()?;
        Ok(answer)
    }

    fn step(&mut self, user: usize, input: Input) -> Result<Answer, LocalError> {
        let at = self.user(user)?;
        let is_command = matches!(input, Input::Command(_));
        if at.away && !is_command {
            return Ok(Answer::Done);
        }
        let output = at.engine.apply(&at.keys, input);
        self.accept(user, output)
    }

    fn accept(&mut self, user: usize, output: Output) -> Result<Answer, LocalError> {
        let at = self.user(user)?;
        let answer = at.journal.accept(output);
        let from = at.keys.account();
        // A store in memory does not fail.
        let effects = at.journal.commit(&mut at.store).unwrap_or_else(|never| match never {});
        for effect in effects {
            self.perform(user, from, effect);
        }
        Ok(answer?)
    }

    fn perform(&mut self, user: usize, from: AccountId, effect: Effect) {
        match effect {
            Effect::Send(to, message) => {
                self.messages = self.messages.saturating_add(1);
                let arrival = self.elapsed.saturating_add(self.delays.message);
                // What goes to somebody who is not here is lost.
                if let Some(to) = self.indices.get(&to).copied() {
                    self.send(arrival, Pending::Frame { from, to, frame: message.frame() });
                }
            }
            Effect::Call { id, call, value, .. } => {
                let call = Pending::Call { user, id: Some(id), call: Box::new(call), value };
                self.send(self.next_block(), call);
            }
            Effect::Read(channels) => self.send(self.elapsed, Pending::Read(user, channels)),
            Effect::Tell(notice) => {
                if let Notice::Requested { request, .. } = &notice {
                    if self.users.get(user).is_some_and(|user| user.accepts) {
                        let answer = Command::Answer { request: *request, accept: true };
                        self.send(self.elapsed, Pending::Command(user, answer));
                    }
                }
                self.notices.push((user, notice));
            }
        }
    }

    /// A call that the contract refuses was late: somebody else has done the same.
    fn execute(&mut self, user: usize, id: Option<CallId>, call: &Call, value: Balance) -> Result<(), LocalError> {
        let keys = self.user(user)?.keys.clone();
        match block_on(self.contract.submit(&mut self.chain, &keys, value, 0, call)) {
            Ok(Called { receipt, .. }) => {
                self.calls.push(CallRecord { user, message: call.name(), receipt });
                self.follow()
            }
            Err(CallError::Contract(_)) => match id {
                Some(id) => self.step(user, Input::CallFailed(id)).map(drop),
                None => Ok(()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Tells everybody the blocks that they have not heard of.
    fn follow(&mut self) -> Result<(), LocalError> {
        let head = block_on(self.chain.block())?;
        while self.block < head {
            let number = self.block.saturating_add(1);
            let block = block_on(self.contract.block(&mut self.chain, number))?;
            self.block = number;
            for user in 0..self.users.len() {
                self.step(user, Input::Block(block.clone()))?;
                let Some(watcher) = self.users.get_mut(user).and_then(|user| user.watcher.as_mut()) else { continue };
                watcher.block(&block);
                for rescue in watcher.rescues() {
                    let call = Pending::Call { user, id: None, call: Box::new(rescue.call), value: 0 };
                    self.send(self.next_block(), call);
                }
            }
        }
        Ok(())
    }
}
