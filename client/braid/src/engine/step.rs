//! A step's result. Its effects are out of reach until its state is saved.

use super::message::{Message, Reason};
use chain::submission::Submission;
use codec::Encode;
use protocol::{AccountId, Balance, MpcId, TpcId};
use std::io;

/// Somebody to talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A user.
    Party(AccountId),
    /// The server of multi-party channels.
    Coordinator,
}

/// What a step asks the world to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a message.
    Send(Peer, Message),
    /// Call the contract.
    Submit {
        /// The call.
        submission: Submission,
        /// What is sent along into the caller's ledger, in planck.
        value: Balance,
    },
    /// Tell the application.
    Tell(Notice),
}

/// What an application hears about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A newer state of the channel is complete.
    TpcUpdated(TpcId),
    /// The channel was split on chain.
    TpcSplit(TpcId),
    /// A request about a two-party channel was rejected.
    TpcRejected(TpcId, Reason),
    /// A multi-party transaction is settled.
    MpcUpdated(MpcId),
    /// A request about a multi-party channel failed.
    MpcFailed(MpcId, Reason),
    /// A message or a command was ignored because it does not fit the state.
    Ignored(&'static str),
}

/// Where states are kept.
pub trait Store {
    /// Returns when `state` is durable.
    ///
    /// # Errors
    /// If it cannot be kept; no effect of the step happens then.
    fn save(&mut self, state: &[u8]) -> io::Result<()>;
}

/// A store that forgets with its process, for tests and demonstrations.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(
    /// The last state, encoded.
    pub Vec<u8>,
);

impl Store for MemoryStore {
    fn save(&mut self, state: &[u8]) -> io::Result<()> {
        self.0 = state.to_vec();
        Ok(())
    }
}

/// The next state and what follows from it.
#[must_use = "a step counts only when it is saved"]
pub struct Step<S> {
    state: S,
    effects: Vec<Effect>,
}

impl<S: Encode> Step<S> {
    pub(super) fn new(state: S, effects: Vec<Effect>) -> Self {
        Self { state, effects }
    }

    /// Makes the state durable and only then lets out the effects: no signature leaves before the state that it
    /// belongs to is safe.
    ///
    /// # Errors
    /// If the store fails; nothing has left then, and the state before still holds.
    pub fn save(self, store: &mut impl Store) -> io::Result<(S, Vec<Effect>)> {
        store.save(&self.state.encode())?;
        Ok((self.state, self.effects))
    }
}
