//! The contract's whole behaviour, over a [`Host`]: what each message checks, changes, pays and tells.
//!
//! - [`ledger`], what accounts hold outside of channels
//! - [`mod@tpc`], what the two owners of a channel agree on: creation, close, top-up, withdrawal, split
//! - [`update`], newer states of any channels
//! - [`dispute`], what one owner does alone, and how it ends
//! - [`mpc`], registered groups
//!
//! The contract on chain, the model checker, the tests and the fuzzers run these functions; each brings its own host.

pub mod dispute;
pub mod ledger;
pub mod mpc;
pub mod tpc;
pub mod update;

use crate::{
    host::Host,
    phase::{check_phase, ActionKind, Phase},
    rules::{self, Renewal},
    Action, Epoch, Error, Timestamp, Tpc, TpcId, Version,
};

/// A stored channel as it counts now (rule P2).
#[derive(Clone, Copy)]
struct Channel {
    id: TpcId,
    tpc: Tpc,
    /// What has to be written with it.
    renewal: Option<Renewal>,
}

impl Channel {
    fn load(host: &impl Host, id: TpcId, now: Timestamp) -> Option<Self> {
        let (tpc, renewal) = rules::renewed(host.tpc(id)?, now);
        Some(Self { id, tpc, renewal })
    }

    /// A channel that accepts an action now.
    fn for_action(host: &impl Host, id: TpcId, now: Timestamp, action: ActionKind) -> Result<Self, Error> {
        let channel = Self::load(host, id, now);
        let tpc = channel.as_ref().map(|channel| &channel.tpc);
        check_phase(action, Phase::of(tpc, now), tpc.is_some_and(|tpc| tpc.mpc.is_some()), id)?;
        channel.ok_or(Error::UnknownTpc(id))
    }

    /// At which version a dispute ended an epoch that the channel is not in, as far as that is not in the record.
    fn ended(&self, epoch: Epoch) -> Option<Version> {
        self.renewal.filter(|renewal| renewal.epoch == epoch).map(|renewal| renewal.version)
    }

    /// Stores the channel's next state.
    fn store(&self, host: &mut impl Host, next: &Tpc) {
        self.write_renewal(host);
        host.set_tpc(self.id, Some(next));
    }

    /// Deletes the channel, whose owners agree on its end: nothing is kept of it (rule E8).
    fn remove(&self, host: &mut impl Host) {
        self.write_renewal(host);
        if self.tpc.dispute.is_some() {
            host.set_ended(self.id, self.tpc.epoch, None);
        }
        host.set_tpc(self.id, None);
    }

    fn write_renewal(&self, host: &mut impl Host) {
        if let Some(Renewal { epoch, version, recorded }) = self.renewal {
            if version != recorded {
                host.set_ended(self.id, epoch, Some(version));
            }
        }
    }
}

/// A channel as it counts now (rule P2).
pub fn tpc(host: &impl Host, id: TpcId) -> Option<Tpc> {
    Channel::load(host, id, host.now()).map(|channel| channel.tpc)
}

/// The version at which a dispute has ended an epoch of a channel for ever. `None` if no dispute has: the epoch is not
/// over, was ended by both owners, or has not begun (rule D6).
pub fn ended(host: &impl Host, id: TpcId, epoch: Epoch) -> Option<Version> {
    let now = host.now();
    match Channel::load(host, id, now) {
        Some(channel) if channel.tpc.epoch == epoch => channel.tpc.is_due(now).then_some(channel.tpc.version),
        Some(channel) => channel.ended(epoch).or_else(|| host.ended(id, epoch)),
        None => host.ended(id, epoch),
    }
}

fn payload(host: &impl Host, action: Action) -> [u8; 32] {
    action.payload(host, &host.domain())
}

/// Has each element of a list count by itself, and answers how many did. Refused only if none did, with the first's error
/// (rules U9, D7).
fn each<T>(list: &[T], mut act: impl FnMut(&T) -> Result<(), Error>) -> Result<u32, Error> {
    let mut count: u32 = 0;
    let mut refusal = Error::NoChannels;
    for (index, element) in list.iter().enumerate() {
        match act(element) {
            Ok(()) => count = count.saturating_add(1),
            Err(error) if index == 0 => refusal = error,
            Err(_) => {}
        }
    }
    match count {
        0 => Err(refusal),
        count => Ok(count),
    }
}
