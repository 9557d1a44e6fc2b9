//! An account at work: its engine on a thread of its own, its store, its peers and the chain.
//!
//! A [`Party`] owns channels; if its policy says so it coordinates groups as well. Copies of it are the same party. It is made
//! by a [`Builder`], and ends with [`Party::stop`], or when its store fails.

mod builder;
mod errands;
mod follow;
mod submit;
mod thread;

use crate::{
    store,
    transport::{self, PeerAddress, Transport},
};
pub use builder::Builder;
use chain::{contract::CallError, keys::Keys, ChainError};
use engine::{
    message::Reason,
    payment::{Grantee, Past, Purpose},
    record::BadRecord,
    Answer, Channel, Command, Engine, Hop, Notice, Outcome, Over, Permission, Refusal, Scope, Transfer,
};
use errands::Errand;
use protocol::{AccountId, Asset, Balance, Domain, MpcId, Owners, Resolution, Timestamp, Tpc, TpcId, Window};
use std::{sync::Arc, time::Duration};
use thread::Turn;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::timeout,
};

/// How long to wait before a group is formed again that somebody could not enter yet.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(300);

/// How long an agreement stays good if nobody says otherwise, in ms of block time.
const VALID_FOR: Timestamp = 10 * 60_000;

/// How long a dispute may be answered if nobody says otherwise, in ms of block time: a day.
pub const WINDOW: Window = 24 * 3_600_000;

/// The file in a party's folder that holds its signed states, for watchtowers. No key is in it.
pub const STATES: &str = "states";

/// Why a party does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The contract does not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The chain cannot be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The store was restored from a copy.
    #[error(
        "the store in {0} was restored from a copy: peers may hold newer states, and signing on from older ones could sign a \
         version twice. Have the channels disputed with `braid dispute`: peers answer with the newest states"
    )]
    Unconfirmed(String),
    /// A record of the store cannot be read.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// It cannot listen.
    #[error(transparent)]
    Transport(#[from] transport::StartError),
    /// The system gives no thread.
    #[error("the engine's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a party has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was asked to.
    #[error("it was stopped")]
    Asked,
    /// Its store failed: what it has decided since is not said to anybody.
    #[error("the store failed: {0}")]
    Store(store::Error),
}

/// Why something that an application wants does not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine does not do it. Nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The contract does not do it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The party has ended.
    #[error("the party has ended: start it again")]
    Ended,
    /// A payment will never count.
    #[error("the payment is void: {0}")]
    Void(String),
    /// It has not happened in time. It may still happen.
    #[error("it is not decided after {} s: look again later", .0.as_secs())]
    Undecided(Duration),
    /// The history cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// It goes over no peers that the party knows.
    #[error(transparent)]
    Peer(#[from] transport::hello::HandshakeError),
}

/// The engine's thread is gone.
pub(crate) struct Gone;

impl From<Gone> for Error {
    fn from(Gone: Gone) -> Self {
        Self::Ended
    }
}

/// What reaches the engine's thread.
#[derive(Clone)]
pub(crate) struct Inbox(mpsc::Sender<Turn>);

impl Inbox {
    async fn send(&self, turn: Turn) -> Result<(), Gone> {
        self.0.send(turn).await.map_err(|_| Gone)
    }

    /// Looks at the engine between two steps.
    async fn ask<T: Send + 'static>(&self, look: impl FnOnce(&Engine) -> T + Send + 'static) -> Result<T, Gone> {
        let (to, answer) = oneshot::channel();
        let look = move |engine: &Engine| {
            // Whoever asked may have left.
            let _ = to.send(look(engine));
        };
        self.send(Turn::Look(Box::new(look))).await?;
        answer.await.map_err(|_| Gone)
    }
}

/// An account at work.
#[derive(Clone)]
pub struct Party {
    account: AccountId,
    domain: Domain,
    inbox: Inbox,
    transport: Transport,
    notices: broadcast::Sender<Notice>,
    ended: watch::Receiver<Option<Arc<StopReason>>>,
    reader: Option<store::Reader>,
    errands: mpsc::Sender<Errand>,
}

impl Party {
    /// Begins to make one.
    pub fn builder(keys: Keys) -> Builder {
        Builder::new(keys)
    }

    /// Whose it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Where its signatures are good.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Where others reach it on this machine, if it listens.
    pub fn address(&self) -> Option<PeerAddress> {
        let listens = self.transport.listens()?;
        Some(PeerAddress { account: self.account, host: listens.ip().to_string(), port: listens.port() })
    }

    /// What carries its messages.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Keeps a connection to a peer from now on.
    ///
    /// # Errors
    /// If it is this account itself.
    pub fn connect(&self, peer: PeerAddress) -> Result<(), Error> {
        Ok(self.transport.connect(peer)?)
    }

    /// What happens from now on. A listener that is too slow misses the oldest; what was decided is in the history.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Looks at the engine between two steps.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Engine) -> T + Send + 'static) -> Result<T, Error> {
        Ok(self.inbox.ask(look).await?)
    }

    /// Has the engine do something. The answer comes when it is durable.
    ///
    /// # Errors
    /// If the engine refuses.
    pub async fn command(&self, command: Command) -> Result<Answer, Error> {
        let (to, answer) = oneshot::channel();
        self.inbox.send(Turn::Command(command, to)).await?;
        Ok(answer.await.map_err(|_| Error::Ended)??)
    }

    /// Has the engine do something, without waiting for its answer: what comes of a payment is told as a notice.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn tell(&self, command: Command) -> Result<(), Error> {
        Ok(self.inbox.send(Turn::Input(engine::Input::Command(command))).await?)
    }

    /// When an agreement that is made now becomes void, in ms of block time.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn valid_until(&self) -> Result<Timestamp, Error> {
        let now = self.look(|engine| engine.cursor().now).await?;
        Ok(now.saturating_add(VALID_FOR))
    }

    /// Its channels.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn channels(&self) -> Result<Vec<(TpcId, Channel)>, Error> {
        self.look(|engine| engine.channels().map(|(tpc, channel)| (*tpc, channel.clone())).collect()).await
    }

    /// Opens a channel with a peer, and waits until it is on chain. The stakes come out of both owners' ledgers; what this
    /// one's lacks of native funds is sent along.
    ///
    /// # Errors
    /// If the engine, the chain or the peer refuses, or the channel is not there after `patience`.
    pub async fn open(&self, open: Open, patience: Duration) -> Result<TpcId, Error> {
        let tpc = self.propose(open).await?;
        self.wait_until(move |engine| engine.channel(&tpc).is_some(), patience).await?;
        Ok(tpc)
    }

    /// Proposes to open a channel, without waiting. Answers the id that it will have.
    ///
    /// # Errors
    /// If the engine or the chain refuses.
    pub async fn propose(&self, open: Open) -> Result<TpcId, Error> {
        let Open { peer, asset, own, theirs, window } = open;
        let mut parties = [self.account, peer];
        parties.sort();
        let nonce = self.errand(|to| Errand::Nonce(parties, to)).await?;
        let value = match asset {
            Asset::Native => own.saturating_sub(self.ledger(asset).await?),
            // Tokens are deposited before.
            Asset::Psp22(_) => 0,
        };
        let valid_until = self.valid_until().await?;
        let open = Command::Open { peer, nonce, asset, own, theirs, value, window, valid_until };
        match self.command(open).await? {
            Answer::Tpc(tpc) => Ok(tpc),
            _ => Err(Error::Ended),
        }
    }

    /// Pays a peer over their channel, and waits until that is decided.
    ///
    /// # Errors
    /// If it is refused, void, or not decided after `patience`.
    pub async fn pay(&self, tpc: TpcId, amount: Balance, patience: Duration) -> Result<u64, Error> {
        let account = self.account;
        let channel =
            self.look(move |engine| engine.channel(&tpc).map(|channel| (channel.owners, channel.peer(account))));
        let (owners, to) = channel.await?.ok_or(Refusal::UnknownChannel(tpc))?;
        let transfers = vec![Transfer { from: account, to, asset: owners.asset, amount }];
        self.pay_over(transfers, Over::Channel(tpc), patience).await
    }

    /// Has transfers settled in a group, all or none, and waits until that is decided.
    ///
    /// # Errors
    /// As [`Party::pay`].
    pub async fn pay_in_group(&self, mpc: MpcId, transfers: Vec<Transfer>, patience: Duration) -> Result<u64, Error> {
        self.pay_over(transfers, Over::Group { mpc, scope: Scope::Touched, confirm: true }, patience).await
    }

    /// Pays along channels, in any groups or in none, and waits until that is decided.
    ///
    /// # Errors
    /// As [`Party::pay`].
    pub async fn pay_along(&self, transfer: Transfer, hops: Vec<Hop>, patience: Duration) -> Result<u64, Error> {
        self.pay_over(vec![transfer], Over::Path(hops), patience).await
    }

    /// Pays, and waits until that is decided. Answers the payment's number.
    ///
    /// # Errors
    /// As [`Party::pay`].
    pub async fn pay_over(&self, transfers: Vec<Transfer>, over: Over, patience: Duration) -> Result<u64, Error> {
        let mut notices = self.notices();
        let Answer::Payment(number) = self.command(Command::Pay { transfers, over }).await? else {
            return Err(Error::Ended);
        };
        let decided = async {
            loop {
                match notices.recv().await {
                    Ok(Notice::Decided { payment, outcome, reason }) if payment == number => {
                        return Ok((outcome, reason))
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Err(Error::Ended),
                }
            }
        };
        match timeout(patience, decided).await {
            Ok(Ok((Outcome::Settled, _))) => Ok(number),
            Ok(Ok((Outcome::Void, reason))) => {
                Err(Error::Void(reason.map_or("it was taken back".to_owned(), |reason| reason.to_string())))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Undecided(patience)),
        }
    }

    /// Forms a group of channels, this party's and others', off chain, and waits until it exists.
    ///
    /// # Errors
    /// If there is no such channel, somebody refuses, or it is not formed after `patience`.
    pub async fn form(&self, channels: &[TpcId], coordinator: AccountId, patience: Duration) -> Result<MpcId, Error> {
        let mut members = vec![];
        for tpc in channels {
            let stored = self.stored(*tpc).await?.ok_or(Refusal::UnknownChannel(*tpc))?;
            members.push((stored.owners, stored.registrations));
        }
        let attempts = async {
            for attempt in 0_u64.. {
                match self.form_once(members.clone(), coordinator, attempt).await {
                    // Somebody has not seen yet what is on chain, or was still paying.
                    Err(Error::Refused(Refusal::Reason(Reason::NotOnChain(_) | Reason::Outdated(_)))) => {
                        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                    }
                    formed => return formed,
                }
            }
            Err(Error::Ended)
        };
        timeout(patience, attempts).await.map_err(|_| Error::Undecided(patience))?
    }

    async fn form_once(
        &self,
        channels: Vec<(Owners, u32)>,
        coordinator: AccountId,
        attempt: u64,
    ) -> Result<MpcId, Error> {
        let mut notices = self.notices();
        // Each attempt is another group, for what some have signed of the one before is in flight until it expires.
        let valid_until = self.valid_until().await?.saturating_add(attempt);
        let form = Command::CreateMpc { channels, coordinator, registered: false, valid_until };
        let Answer::Mpc(mpc) = self.command(form).await? else { return Err(Error::Ended) };
        loop {
            match notices.recv().await {
                Ok(Notice::MpcCreated(created)) if created == mpc => return Ok(mpc),
                Ok(Notice::MpcCreateFailed(failed, reason)) if failed == mpc => {
                    return Err(Error::Refused(Refusal::Reason(reason)));
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(Error::Ended),
            }
        }
    }

    /// Lets a group's coordinator have this party pay, and pass on, up to `limit` of an asset in all without asking again.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn trust(&self, mpc: MpcId, asset: Asset, limit: Balance) -> Result<(), Error> {
        for purpose in [Purpose::Pay, Purpose::PassOn] {
            let permission = Permission::unlimited(Grantee::Group(mpc), purpose, asset);
            self.permit(Permission { left: limit, per_payment: limit, ..permission }).await?;
        }
        Ok(())
    }

    /// Lets somebody move funds without asking again.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn permit(&self, permission: Permission) -> Result<Answer, Error> {
        self.command(Command::Permit(permission)).await
    }

    /// Starts the clocks of channels.
    ///
    /// # Errors
    /// If the engine refuses.
    pub async fn dispute(&self, channels: Vec<TpcId>, then: Resolution) -> Result<(), Error> {
        self.command(Command::Dispute { channels, then }).await.map(drop)
    }

    /// Closes a channel with its peer, and pays it out.
    ///
    /// # Errors
    /// If the engine refuses.
    pub async fn close(&self, tpc: TpcId) -> Result<(), Error> {
        let valid_until = self.valid_until().await?;
        self.command(Command::Close { tpc, valid_until }).await.map(drop)
    }

    /// What the account has in its ledger in the contract, outside of channels, in the asset's smallest unit.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub async fn ledger(&self, asset: Asset) -> Result<Balance, Error> {
        self.errand(|to| Errand::Ledger(asset, to)).await
    }

    /// What the account can spend on the chain, in planck: what fees are paid with.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub async fn purse(&self) -> Result<Balance, Error> {
        self.errand(Errand::Purse).await
    }

    /// What the contract holds of a channel, whoever owns it.
    ///
    /// # Errors
    /// If the chain cannot be asked.
    pub async fn stored(&self, tpc: TpcId) -> Result<Option<Tpc>, Error> {
        self.errand(|to| Errand::Tpc(tpc, to)).await
    }

    /// Puts funds of the account into its ledger in the contract.
    ///
    /// # Errors
    /// If the chain or the contract refuses.
    pub async fn deposit(&self, asset: Asset, amount: Balance) -> Result<(), Error> {
        self.errand(|to| Errand::Deposit(asset, amount, to)).await
    }

    /// Takes funds out of the account's ledger in the contract.
    ///
    /// # Errors
    /// If the chain or the contract refuses.
    pub async fn withdraw(&self, asset: Asset, amount: Balance) -> Result<(), Error> {
        self.errand(|to| Errand::Withdraw(asset, amount, to)).await
    }

    async fn errand<T>(
        &self,
        errand: impl FnOnce(oneshot::Sender<Result<T, CallError>>) -> Errand,
    ) -> Result<T, Error> {
        let (to, answer) = oneshot::channel();
        self.errands.send(errand(to)).await.map_err(|_| Error::Ended)?;
        Ok(answer.await.map_err(|_| Error::Ended)??)
    }

    /// Payments that are decided, from a number on, each with its number. A party without a folder has none.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn history(&self, from: u64, limit: usize) -> Result<Vec<(u64, Past)>, Error> {
        Ok(self.reader.as_ref().map_or(Ok(vec![]), |reader| reader.history(from, limit))?)
    }

    /// Waits until something is true of the engine.
    ///
    /// # Errors
    /// If it is not after `patience`.
    pub async fn wait_until(
        &self,
        is_true: impl Fn(&Engine) -> bool + Send + Sync + Clone + 'static,
        patience: Duration,
    ) -> Result<(), Error> {
        let wait = async {
            while !self.look(is_true.clone()).await? {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        };
        timeout(patience, wait).await.map_err(|_| Error::Undecided(patience))?
    }

    /// Ends it: what has come is made durable, and nothing is said any more.
    pub async fn stop(&self) {
        let _ = self.inbox.send(Turn::Stop).await;
        self.ended().await;
    }

    /// Waits until it has ended, and says why.
    pub async fn ended(&self) -> Arc<StopReason> {
        let mut ended = self.ended.clone();
        let reason = ended.wait_for(Option::is_some).await.map(|reason| reason.clone());
        reason.ok().flatten().unwrap_or_else(|| Arc::new(StopReason::Asked))
    }
}

/// Logs what a call has cost, in planck.
pub(crate) fn log_call(name: &str, receipt: &chain::Receipt) {
    let (block, fee, storage_deposit) = (receipt.block, receipt.fee, receipt.storage_deposit);
    tracing::info!(block, %fee, %storage_deposit, "`{name}` is on chain");
}

/// A channel to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// With whom.
    pub peer: AccountId,
    /// What it holds.
    pub asset: Asset,
    /// What this party puts in, in the asset's smallest unit.
    pub own: Balance,
    /// What the peer puts in.
    pub theirs: Balance,
    /// How long a dispute may be answered, in ms of block time.
    pub window: Window,
}

impl Open {
    /// A channel of native funds into which both owners put the same, in planck, with a window of [`WINDOW`].
    pub fn with(peer: AccountId, stake: Balance) -> Self {
        Self { peer, asset: Asset::Native, own: stake, theirs: stake, window: WINDOW }
    }
}
