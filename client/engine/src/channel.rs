//! What an account knows of a channel, and the updates that it holds over channels.

use crate::{
    message::{AgreementId, Move, Right, RoundId, Standing, UpdateId},
    payment::Payments,
    record::Record,
};
use codec::{Decode, Encode};
use protocol::{
    rules, state::MAX_CHANNELS, AccountId, Balance, Dispute, Entry, Epoch, MpcId, Owners, PartySignature, Resolution,
    Signature, SignedUpdate, Timestamp, Tpc, TpcId, Update, Version,
};

/// The furthest that anybody may push a channel's version in one update, so that nobody can use the versions up.
pub const MAX_VERSION_STEP: Version = 1 << 16;

/// The most ends of epochs that are remembered of a channel. Updates that name older ones are long forgotten.
const MAX_ENDS: usize = 64;

/// A channel that the account owns, or that is in a group that it coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Channel {
    /// Who owns it, and what is fixed for its life.
    pub owners: Owners,
    /// The newest state that is complete, or on chain.
    pub latest: Entry,
    /// The complete update that `latest` is from. `None` if it is the chain's.
    pub rests_on: Option<UpdateId>,
    /// The highest version of this epoch that this owner has signed: none is signed twice.
    pub signed: Version,
    /// The highest version of this epoch that anybody is known to have signed.
    pub seen: Version,
    /// How it stands on chain.
    pub on_chain: OnChain,
    /// The group whose coordinator leads its rounds.
    pub mpc: Option<MpcId>,
    /// The group that it was taken out of last without a call: its coordinator and the other owner may not know.
    pub left: Option<MpcId>,
    /// Who led its last group. It may still ask for consent, to end what hangs.
    pub led_by: Option<AccountId>,
    /// What its owner has signed beside updates, and what is in flight until it is on chain or expired (rule S3).
    pub agreement: Option<AgreementId>,
    /// Which of its owners have introduced it to this coordinator.
    pub introduced: [bool; 2],
    /// The round for which its owner keeps it free, and until when, in ms of real time.
    #[codec(skip)]
    pub reserved: Option<(RoundId, u64)>,
}

impl Record for Channel {
    const KIND: u8 = 1;
    type Key = TpcId;
}

/// How a channel stands on chain, own or not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OnChain {
    /// The block that this was read in. Events of older blocks tell nothing new.
    pub as_of: u32,
    /// Its epoch, and the version that the contract holds.
    pub order: (Epoch, Version),
    /// The balances that the contract holds.
    pub balances: [Balance; 2],
    /// The registered group that it is in.
    pub mpc: Option<MpcId>,
    /// How often it has been registered or released.
    pub registrations: u32,
    /// The dispute over it, if there is one.
    pub dispute: Option<Dispute>,
    /// Whether it is no longer, or not yet, stored.
    pub gone: bool,
    /// Which epochs disputes have ended, and at which version.
    pub ended: Vec<(Epoch, Version)>,
}

impl OnChain {
    pub(crate) fn new(block: u32, stored: Option<&Tpc>) -> Self {
        let nothing = Self {
            as_of: block,
            order: (0, 0),
            balances: [0, 0],
            mpc: None,
            registrations: 0,
            dispute: None,
            gone: true,
            ended: vec![],
        };
        match stored {
            None => nothing,
            Some(tpc) => Self {
                order: tpc.order(),
                balances: tpc.balances,
                mpc: tpc.mpc,
                registrations: tpc.registrations,
                dispute: tpc.dispute,
                gone: false,
                ..nothing
            },
        }
    }

    pub(crate) fn end(&mut self, epoch: Epoch, version: Version) {
        self.ended.retain(|(ended, _)| *ended != epoch);
        self.ended.push((epoch, version));
        if self.ended.len() > MAX_ENDS {
            self.ended.remove(0);
        }
    }

    /// Lets time pass: a dispute whose deadline is over ends the epoch. Answers whether it did, by renewal or not.
    pub(crate) fn pass(&mut self, now: Timestamp) -> Option<Resolution> {
        let dispute = self.dispute.filter(|dispute| now > dispute.deadline)?;
        let (epoch, version) = self.order;
        match dispute.then {
            Resolution::Renew => {
                self.end(epoch, version);
                self.order = (epoch.saturating_add(1), 0);
                self.dispute = None;
                Some(Resolution::Renew)
            }
            Resolution::Settle if self.ended.iter().any(|(ended, _)| *ended == epoch) => None,
            Resolution::Settle => {
                self.end(epoch, version);
                Some(Resolution::Settle)
            }
        }
    }

    /// Whether it waits to be settled: its last epoch has ended, and it is still stored.
    pub(crate) fn is_due(&self) -> bool {
        !self.gone && self.dispute.is_some() && self.ended.iter().any(|(epoch, _)| *epoch == self.order.0)
    }

    /// Whether an entry can never count (rule S5).
    pub(crate) fn voids(&self, entry: &Entry) -> bool {
        self.ended.iter().any(|(epoch, version)| *epoch == entry.epoch && *version < entry.version)
    }

    /// Whether an entry is on chain, or is passed over for good because its owners moved on or ended the channel.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        self.gone || self.order >= entry.order()
    }

    /// Whether the channel can take an entry: it is stored in its epoch, and nobody disputes it.
    pub(crate) fn is_open_for(&self, epoch: Epoch) -> bool {
        !self.gone && self.dispute.is_none() && self.order.0 == epoch
    }
}

/// A channel that the account neither owns nor coordinates, named in an update that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Foreign {
    pub owners: Owners,
    pub on_chain: OnChain,
}

impl Record for Foreign {
    const KIND: u8 = 2;
    type Key = TpcId;
}

/// An update that the account has signed, leads, or holds complete.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Held {
    /// What it moves.
    pub update: Update,
    /// Whose its channels are.
    pub owners: Vec<Owners>,
    /// The round that it is from.
    pub round: RoundId,
    /// By what right the leader asked.
    pub right: Right,
    /// What it settles. Emptied once that is told: not before everything that ignores it is decided.
    pub payments: Payments,
    /// This account's signature, if it owns one of the channels.
    pub own: Option<Signature>,
    /// All signatures, once they are known.
    pub signatures: Option<Vec<PartySignature>>,
    /// Whether it is in flight (rule S2): signed, not known to count, and not void. With all signatures it may still be, if
    /// there was too little time to bring it (rule S4).
    pub in_flight: bool,
    /// The updates that were in flight over this account's channels when it signed this one, and that it does not build on.
    /// If this one comes to count, they do not, even with all signatures.
    pub ignores: Vec<UpdateId>,
    /// The complete updates, not settled yet, that it builds on.
    pub builds_on: Vec<UpdateId>,
    /// Whether something that ignores it has come to count in its place. It may yet count again, by one that builds on it.
    pub replaced: bool,
    /// What it has used up of permissions, given back if it does not come to count.
    pub used: Vec<(u64, Balance)>,
}

impl Record for Held {
    const KIND: u8 = 3;
    type Key = UpdateId;
}

impl Held {
    /// The update with all that the contract asks for, once it is complete.
    pub fn signed(&self) -> Option<SignedUpdate> {
        let Self { update, owners, signatures, .. } = self;
        Some(SignedUpdate { update: update.clone(), owners: owners.clone(), signatures: signatures.clone()? })
    }
}

impl Channel {
    /// A channel that the chain holds.
    pub(crate) fn new(tpc: TpcId, owners: Owners, on_chain: OnChain) -> Self {
        let (epoch, version) = on_chain.order;
        Self {
            owners,
            latest: Entry { tpc, epoch, version, balances: on_chain.balances },
            rests_on: None,
            signed: version,
            seen: version,
            on_chain,
            mpc: None,
            left: None,
            led_by: None,
            agreement: None,
            introduced: [false; 2],
            reserved: None,
        }
    }

    /// What `account` holds in it, in the asset's smallest unit.
    pub fn balance_of(&self, account: AccountId) -> Balance {
        self.index(account).map_or(0, |index| self.latest.balances[index])
    }

    /// Which of the owners `account` is.
    pub fn index(&self, account: AccountId) -> Option<usize> {
        self.owners.parties.iter().position(|party| *party == account)
    }

    /// The other owner.
    pub fn peer(&self, account: AccountId) -> AccountId {
        let [first, second] = self.owners.parties;
        if first == account {
            second
        } else {
            first
        }
    }

    /// How far this account is with it.
    pub fn standing(&self) -> Standing {
        Standing { latest: self.latest, signed: self.signed }
    }

    /// The channel as the rules see it, at its newest state.
    pub(crate) fn tpc(&self) -> Tpc {
        let Entry { balances, epoch, version, .. } = self.latest;
        let OnChain { mpc, registrations, dispute, .. } = self.on_chain;
        Tpc { owners: self.owners, balances, epoch, version, dispute, mpc, registrations }
    }

    /// Whether a newer state than the contract's rests on updates that this account holds.
    pub(crate) fn is_ahead(&self) -> bool {
        !self.on_chain.gone && self.latest.epoch == self.on_chain.order.0 && self.latest.order() > self.on_chain.order
    }

    /// Takes over a state that counts, if it is newer.
    pub(crate) fn reach(&mut self, entry: &Entry, rests_on: Option<UpdateId>) -> bool {
        self.seen = self.seen.max(if entry.epoch == self.latest.epoch { entry.version } else { 0 });
        if entry.epoch != self.latest.epoch || entry.version <= self.latest.version {
            return false;
        }
        (self.latest, self.rests_on) = (*entry, rests_on);
        true
    }

    /// Starts from what the chain holds: an epoch has begun, or the channel has come to its end.
    pub(crate) fn restart(&mut self) {
        let (epoch, version) = self.on_chain.order;
        self.latest = Entry { tpc: self.latest.tpc, epoch, version, balances: self.on_chain.balances };
        (self.rests_on, self.signed, self.seen) = (None, version, version);
        self.reserved = None;
    }

    /// The furthest version that is taken as known from somebody else's word.
    pub(crate) fn furthest(&self) -> Version {
        self.latest.version.max(self.signed).saturating_add(MAX_VERSION_STEP)
    }

    /// Learns that somebody has signed a version of the current epoch.
    pub(crate) fn learn(&mut self, epoch: Epoch, signed: Version) {
        if epoch == self.latest.epoch {
            // Two more stay for the next in turn.
            self.seen = self.seen.max(signed.min(self.furthest().saturating_sub(2)));
        }
    }

    /// The next version that nobody is known to have signed.
    pub(crate) fn next_version(&self) -> Option<Version> {
        self.latest.version.max(self.signed).max(self.seen).checked_add(1)
    }

    /// The next version whose turn is that of the owner at `index`.
    pub(crate) fn next_turn(&self, index: usize) -> Option<Version> {
        let next = self.next_version()?;
        if is_turn(index, next) {
            Some(next)
        } else {
            next.checked_add(1)
        }
    }
}

/// Whether the owner at `index` may propose the state with this version: the owners take turns, so that two proposals at
/// once never share one.
pub(crate) fn is_turn(index: usize, version: Version) -> bool {
    version % 2 == index as u64 % 2
}

/// The balances after a change of the first owner's. `None` if somebody has not that much.
pub(crate) fn shifted([first, second]: [Balance; 2], change: i128) -> Option<[Balance; 2]> {
    let amount = change.unsigned_abs();
    match change >= 0 {
        true => Some([first.checked_add(amount)?, second.checked_sub(amount)?]),
        false => Some([first.checked_sub(amount)?, second.checked_add(amount)?]),
    }
}

/// The change of the first owner's balance from one state to another.
pub(crate) fn change(before: [Balance; 2], after: [Balance; 2]) -> Option<i128> {
    let difference = i128::try_from(before[0].abs_diff(after[0])).ok()?;
    Some(if after[0] >= before[0] { difference } else { -difference })
}

/// Whether the channels of a round are ascending, as many as an update may name, and beside their owners.
pub(crate) fn are_well_formed<'a>(
    channels: impl ExactSizeIterator<Item = &'a TpcId> + Clone,
    owners: &[Owners],
    proves: impl Fn(&TpcId, &Owners) -> bool,
) -> bool {
    channels.len() <= MAX_CHANNELS
        && channels.len() == owners.len()
        && rules::check_ascending(channels.clone()).is_ok()
        && channels.zip(owners).all(|(tpc, owners)| proves(tpc, owners))
}

/// The moves that lead to the entries of a round.
pub(crate) fn moved(latest: &Entry, entry: &Entry) -> Option<Move> {
    Some(Move { tpc: entry.tpc, change: change(latest.balances, entry.balances)? })
}
