//! A watchtower: looks after the channels of one user or many while they are away. It holds no key that can move their funds,
//! only a purse for fees. It never ends because something failed: it says so, and tries again.

use crate::{
    calls::{Calls, Made, Wanted},
    disputes, evidence,
    stalled::Stalled,
};
use chain::{
    contract::{CallError, Contract},
    keys::Keys,
    Chain,
};
use codec::Encode;
use engine::{watcher::Watcher, Call, Native};
use protocol::{
    abi::{GetDomain, SettleChannels},
    state::MAX_CHANNELS,
    AccountId, Balance, Crypto, Domain, Timestamp, TpcId, Window,
};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, SystemTime},
};
use tokio::time::sleep;

/// How often the chain and the files are looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause after failures. The shortest window that a contract takes is 10 s.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// The most blocks that are read one by one. If more were missed, the storage is read.
const MAX_REPLAY: u32 = 64;

/// What a purse should hold for fees and tips, in planck.
pub const ENOUGH: Balance = 2 * chain::UNIT;

/// Why a watchtower acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A newer state answers a dispute, or was asked for.
    Answer,
    /// A deadline has passed.
    Settle,
}

/// What a watchtower says.
#[derive(Debug)]
#[non_exhaustive]
pub enum Said {
    /// What it guards from now on: said at the start and after each change.
    Guards {
        /// Whose channels.
        user: AccountId,
        /// How many.
        channels: usize,
        /// How many complete updates prove their newest states.
        updates: usize,
        /// The shortest window of them, in ms: a watchtower that is away for longer may miss a dispute.
        shortest_window: Option<Window>,
    },
    /// What its purse holds, in planck: said at the start, and when it is less than [`ENOUGH`].
    Purse(Balance),
    /// A call that it made, or tried to make.
    Brought {
        /// The contract's message.
        message: &'static str,
        /// Why.
        why: Why,
        /// What came of it. The contract refuses what somebody else has brought before.
        outcome: Result<chain::Receipt, CallError>,
    },
    /// Something that failed and is tried again, or that somebody has to mend. Said once, and again after it has changed.
    Trouble(String),
}

/// The signed states of one user, as a file that its party keeps up to date.
struct User {
    path: PathBuf,
    /// The file's time and length when it was read.
    seen: Option<(SystemTime, u64)>,
    watcher: Option<Watcher>,
    /// What was wrong with it when it was read last.
    trouble: Option<String>,
}

/// A watchtower at work.
pub struct Watchtower<C> {
    chain: C,
    contract: Contract,
    purse: Keys,
    domain: Domain,
    users: Vec<User>,
    block: u32,
    disputed: BTreeSet<TpcId>,
    calls: Calls<C, [u8; 32]>,
    settling: BTreeSet<[u8; 32]>,
    /// Whether the purse was too small when it was looked at last, and when to look again.
    poor: bool,
    looks: u32,
    stalled: Stalled,
}

impl<C: Chain + Clone + 'static> Watchtower<C> {
    /// A watchtower over the files in which users leave their signed states. They need not be there yet.
    ///
    /// # Errors
    /// If the contract cannot be asked.
    pub async fn new(mut chain: C, contract: Contract, purse: Keys, files: Vec<PathBuf>) -> Result<Self, CallError> {
        let domain = contract.query(&mut chain, &GetDomain {}).await?;
        let user = |path| User { path, seen: None, watcher: None, trouble: None };
        let calls = Calls::new(chain.clone(), contract.clone(), purse.clone());
        Ok(Self {
            chain,
            contract,
            purse,
            domain,
            users: files.into_iter().map(user).collect(),
            block: 0,
            disputed: BTreeSet::new(),
            calls,
            settling: BTreeSet::new(),
            poor: false,
            looks: 0,
            stalled: Stalled::new(),
        })
    }

    /// The earliest block time in ms at which there may be something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let caller = self.purse.account();
        self.users.iter().filter_map(|user| user.watcher.as_ref()?.next_deadline(&caller)).min()
    }

    /// Watches for ever.
    pub async fn run(&mut self, mut say: impl FnMut(Said)) {
        let mut pause = PAUSE;
        let mut trouble = None;
        loop {
            match self.look(&mut say).await {
                Ok(()) => (pause, trouble) = (PAUSE, None),
                Err(error) => {
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    let text = format!("the chain cannot be read: {error}. It is tried again");
                    if trouble.as_ref() != Some(&text) {
                        say(Said::Trouble(text.clone()));
                    }
                    trouble = Some(text);
                }
            }
            let pause = sleep(pause);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    made = self.calls.next() => say(self.brought(made)),
                    () = &mut pause => break,
                }
            }
        }
    }

    /// Looks once, and brings what is to be brought before it returns.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub async fn look_once(&mut self, mut say: impl FnMut(Said)) -> Result<(), CallError> {
        self.look(&mut say).await?;
        while self.calls.is_busy() {
            let made = self.calls.next().await;
            say(self.brought(made));
        }
        Ok(())
    }

    fn brought(&mut self, made: Made<[u8; 32]>) -> Said {
        let Made { key, name, outcome } = made;
        let why = if self.settling.remove(&key) { Why::Settle } else { Why::Answer };
        Said::Brought { message: name, why, outcome }
    }

    async fn look(&mut self, say: &mut impl FnMut(Said)) -> Result<(), CallError> {
        self.read_files(say);
        self.look_at_purse(say).await?;
        let last = self.chain.block().await?;
        let missed = self.block == 0 || last.saturating_sub(self.block) > MAX_REPLAY;
        if missed {
            self.block = last;
        }
        while self.block < last {
            let block = self.contract.block(&mut self.chain, self.block.saturating_add(1)).await?;
            disputes::follow(&mut self.disputed, &block.events);
            self.users.iter_mut().filter_map(|user| user.watcher.as_mut()).for_each(|watcher| watcher.block(&block));
            self.block = block.number;
        }
        let now = self.contract.block(&mut self.chain, last).await?.time;
        for user in &mut self.users {
            let Some(watcher) = &mut user.watcher else { continue };
            let unread = watcher.unread(missed);
            if !unread.is_empty() {
                let stored = self.contract.read(&mut self.chain, last, &unread).await?;
                let disputed = stored.iter().filter(|read| read.stored.is_some_and(|tpc| tpc.dispute.is_some()));
                self.disputed.extend(disputed.map(|read| read.tpc));
                watcher.read(last, now, &stored);
            }
        }
        let head = disputes::at_head(&self.contract, &mut self.chain, last, &self.disputed).await?;
        for watcher in self.users.iter_mut().filter_map(|user| user.watcher.as_mut()) {
            watcher.head(head.clone());
        }
        self.want();
        let deadline = self.next_deadline();
        Ok(self.stalled.look(&mut self.chain, &self.purse, last, deadline).await?)
    }

    /// Has brought what the watchers want brought.
    fn want(&mut self) {
        let caller = self.purse.account();
        for watcher in self.users.iter().filter_map(|user| user.watcher.as_ref()) {
            for rescue in watcher.rescues() {
                let wanted = Wanted { call: rescue.call, value: 0, deadline: Some(rescue.deadline) };
                self.calls.want(key(&wanted.call), wanted);
            }
            for channels in watcher.settlements(&caller).chunks(MAX_CHANNELS) {
                let call = Call::from(SettleChannels { channels: channels.to_vec() });
                self.settling.insert(key(&call));
                self.calls.want(key(&call), Wanted { call, value: 0, deadline: None });
            }
        }
    }

    /// Reads the files that have changed. One that is missing or half written for a moment leaves what was read before.
    fn read_files(&mut self, say: &mut impl FnMut(Said)) {
        for user in &mut self.users {
            let metadata = std::fs::metadata(&user.path).ok();
            let found = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
            if found.is_some() && found == user.seen {
                continue;
            }
            let read = evidence::load(&user.path).map_err(|error| error.to_string()).and_then(|states| {
                match states.domain == self.domain {
                    true => Ok(states),
                    false => Err(format!(
                        "{}: these states are of another deployment: name the contract and the chain that they are of",
                        user.path.display()
                    )),
                }
            });
            match read {
                Ok(states) => {
                    let windows = states.channels.values().map(|owners| owners.window);
                    let guards = Said::Guards {
                        user: states.account,
                        channels: states.channels.len(),
                        updates: states.updates.len(),
                        shortest_window: windows.min(),
                    };
                    if user.watcher.is_none() || user.trouble.is_some() {
                        say(guards);
                    }
                    user.watcher.get_or_insert_with(|| Watcher::new(self.domain)).hold(states);
                    (user.seen, user.trouble) = (found, None);
                }
                Err(trouble) => {
                    if user.trouble.as_ref() != Some(&trouble) {
                        say(Said::Trouble(trouble.clone()));
                    }
                    user.trouble = Some(trouble);
                }
            }
        }
    }

    async fn look_at_purse(&mut self, say: &mut impl FnMut(Said)) -> Result<(), CallError> {
        // Once a minute.
        let first = self.looks == 0;
        self.looks = self.looks.saturating_add(1);
        if first || self.looks.is_multiple_of(120) {
            let balance = self.chain.free_balance(self.purse.account()).await?;
            let poor = balance < ENOUGH;
            if first || poor != self.poor {
                say(Said::Purse(balance));
            }
            self.poor = poor;
        }
        Ok(())
    }
}

fn key(call: &Call) -> [u8; 32] {
    Native.blake2_256(&call.encode())
}
