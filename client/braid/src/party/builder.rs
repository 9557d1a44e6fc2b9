//! How a party is made and started.

use super::{
    errands,
    follow::Follower,
    submit::Submitter,
    thread::{self, Records, Thread, Turn},
    Inbox, Party, StartError, StopReason, STATES,
};
use crate::{
    calls::Calls,
    stalled::Stalled,
    store::Store,
    transport::{Limits, PeerAddress, Transport},
};
use chain::{contract::Contract, keys::Keys, Chain};
use engine::{record::MemoryStore, Command, Engine, Input, Notice, Policy, Wants};
use protocol::{abi::GetDomain, AccountId};
use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::sync::{broadcast, mpsc, watch};

/// How many turns may wait for the engine.
const MAX_WAITING: usize = 16_384;

/// How many notices are kept for a slow listener.
const MAX_NOTICES: usize = 65_536;

/// How many errands on the chain may wait.
const MAX_ERRANDS: usize = 64;

/// What a party is made of.
pub struct Builder {
    keys: Keys,
    folder: Option<PathBuf>,
    listen: Option<SocketAddr>,
    policy: Option<Policy>,
    limits: Limits,
    peers: Vec<PeerAddress>,
    agrees: Option<Agrees>,
}

/// What an application says to what somebody else wants.
type Agrees = Box<dyn Fn(&AccountId, &Wants) -> bool + Send>;

impl Builder {
    pub(super) fn new(keys: Keys) -> Self {
        let limits = Limits::default();
        Self { keys, folder: None, listen: None, policy: None, limits, peers: vec![], agrees: None }
    }

    /// Coordinates groups for whoever asks.
    pub fn coordinate(self) -> Self {
        let policy = self.policy.clone().unwrap_or_default();
        self.policy(Policy { coordinate: true, ..policy })
    }

    /// Has requests answered at once: what somebody wants that no permission lets happen. Without it the application hears
    /// [`Notice::Requested`] and answers by [`Command::Answer`].
    pub fn agree(self, agrees: impl Fn(&AccountId, &Wants) -> bool + Send + 'static) -> Self {
        Self { agrees: Some(Box::new(agrees)), ..self }
    }

    /// Keeps its store in a folder. Without one it forgets everything when it ends, and with it what it could prove: for
    /// tests and demonstrations.
    pub fn folder(self, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }

    /// Listens for peers. Port 0 is one that the system chooses.
    pub fn listen(self, address: SocketAddr) -> Self {
        Self { listen: Some(address), ..self }
    }

    /// Its bounds. Without them those that are stored stay, at first [`Policy::default`].
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// What its transport takes on.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Keeps connections to peers.
    pub fn peers(mut self, peers: impl IntoIterator<Item = PeerAddress>) -> Self {
        self.peers.extend(peers);
        self
    }

    /// Starts the party on the tokio runtime that this is called in.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start<C: Chain + Clone + 'static>(
        self,
        mut chain: C,
        contract: Contract,
    ) -> Result<Party, StartError> {
        let Self { keys, folder, listen, policy, limits, peers, agrees } = self;
        let account = keys.account();
        let domain = contract.query(&mut chain, &GetDomain {}).await?;
        let states = folder.as_ref().map(|folder| folder.join(STATES));
        let (records, reader, engine) = match folder {
            Some(folder) => {
                let store = Store::open(&folder, account, domain)?;
                if store.header().unconfirmed {
                    return Err(StartError::Unconfirmed(folder.display().to_string()));
                }
                let engine = Engine::load(account, domain, store.records()?.iter())?;
                let reader = store.reader();
                (Records::Disk(Box::new(store)), Some(reader), engine)
            }
            None => (Records::Memory(MemoryStore::default()), None, Engine::new(account, domain, Policy::default())),
        };
        let (transport, incoming) = Transport::start(Arc::new(keys.clone()), domain, listen, limits).await?;
        for peer in peers {
            // Its own address among its peers does no harm.
            let _ = transport.connect(peer);
        }
        let (turns, turns_of_thread) = mpsc::channel(MAX_WAITING);
        let (calls, asked) = mpsc::unbounded_channel();
        let (reads, reads_asked) = mpsc::unbounded_channel();
        let (notices, _) = broadcast::channel(MAX_NOTICES);
        let (ended, has_ended) = watch::channel(None);
        let inbox = Inbox(turns.clone());
        let follower = Follower {
            chain: chain.clone(),
            contract: contract.clone(),
            keys: keys.clone(),
            stalled: Stalled::new(),
            inbox: inbox.clone(),
            reads: reads_asked,
            // Whatever was missed is read from the storage.
            cursor: engine::Cursor::default(),
            disputed: BTreeSet::new(),
            head: None,
        };
        let submitter =
            Submitter { calls: Calls::new(chain.clone(), contract.clone(), keys.clone()), inbox: inbox.clone(), asked };
        let thread = Thread {
            runtime: tokio::runtime::Handle::current(),
            engine,
            keys: keys.clone(),
            records,
            turns: turns_of_thread,
            transport: transport.clone(),
            calls,
            reads,
            notices: notices.clone(),
            states,
        };
        let spawned = std::thread::Builder::new().name("engine".into()).spawn(move || {
            let reason = thread.run();
            if let StopReason::Store(error) = &reason {
                tracing::error!("{error}");
            }
            let _ = ended.send(Some(Arc::new(reason)));
        });
        spawned?;
        tokio::spawn(thread::hear(incoming, turns));
        tokio::spawn(follower.run());
        tokio::spawn(submitter.run());
        let (errands, errands_asked) = mpsc::channel(MAX_ERRANDS);
        tokio::spawn(errands::run(chain, contract, keys, errands_asked));
        if let Some(agrees) = agrees {
            tokio::spawn(answer(inbox.clone(), notices.subscribe(), agrees));
        }
        let party = Party { account, domain, inbox, transport, notices, ended: has_ended, reader, errands };
        if let Some(policy) = policy {
            let _ = party.command(Command::SetPolicy(policy)).await;
        }
        Ok(party)
    }
}

/// Answers requests as an application says.
async fn answer(inbox: Inbox, mut notices: broadcast::Receiver<Notice>, agrees: Agrees) {
    loop {
        match notices.recv().await {
            Ok(Notice::Requested { request, from, wants }) => {
                let accept = agrees(&from, &wants);
                let answer = Input::Command(Command::Answer { request, accept });
                if inbox.send(Turn::Input(answer)).await.is_err() {
                    return;
                }
            }
            // What was missed is asked for again.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
