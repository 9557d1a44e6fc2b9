//! Payments, and what may be done with a party's funds without asking again.

use crate::record::Record;
use codec::{Decode, Encode};
use protocol::{AccountId, Asset, Balance, MpcId, Owners, Timestamp, TpcId};

/// The most transfers of one payment.
pub const MAX_TRANSFERS: usize = 256;

/// Names a payment for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct PaymentId {
    /// Who asked for it.
    pub by: AccountId,
    /// How many it had asked for before.
    pub number: u64,
}

/// An amount that goes from one user to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transfer {
    /// Who pays.
    pub from: AccountId,
    /// Who is paid.
    pub to: AccountId,
    /// What is paid.
    pub asset: Asset,
    /// How much, in the asset's smallest unit.
    pub amount: Balance,
}

/// Transfers that are settled together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Payment {
    /// Its name.
    pub id: PaymentId,
    /// What goes from whom to whom.
    pub transfers: Vec<Transfer>,
}

impl Payment {
    /// What `account` pays and gets of `asset`. `None` if the sums do not fit.
    pub fn sums(&self, account: AccountId, asset: Asset) -> Option<(Balance, Balance)> {
        let mut own = self.transfers.iter().filter(|transfer| transfer.asset == asset);
        own.try_fold((0, 0), |(out, back): (Balance, Balance), transfer| {
            let out = if transfer.from == account { out.checked_add(transfer.amount)? } else { out };
            let back = if transfer.to == account { back.checked_add(transfer.amount)? } else { back };
            Some((out, back))
        })
    }

    /// What `account` gains of `asset`; negative if it pays. `None` if the sums do not fit.
    pub(crate) fn net(&self, account: AccountId, asset: Asset) -> Option<i128> {
        let (out, back) = self.sums(account, asset)?;
        i128::try_from(back).ok()?.checked_sub(i128::try_from(out).ok()?)
    }
}

/// Over which channels a payment goes, and so who leads its round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Over {
    /// The two owners' channel. Whoever pays leads.
    Channel(TpcId),
    /// The channels of a group. Its coordinator leads.
    Group {
        /// The group.
        mpc: MpcId,
        /// Which channels the update names.
        scope: Scope,
        /// Whether those who take part are asked for consent before anybody signs.
        confirm: bool,
    },
    /// These channels, in any groups or in none. Whoever asks for the payment leads, and everybody is asked for consent.
    Path(Vec<Hop>),
}

/// Which channels an update names, and so who signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Scope {
    /// Every channel of the group, as in the paper.
    All,
    /// Those that carry the payment; everybody else may be asleep.
    Touched,
}

/// A channel of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hop {
    /// The channel, by what its id proves.
    pub owners: Owners,
    /// Which owner pays in it.
    pub from: AccountId,
    /// How much, in its asset's smallest unit.
    pub amount: Balance,
}

/// How a payment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// It counts.
    Settled,
    /// It will never count.
    Void,
}

/// A payment that is not decided yet: this party has asked for it, or leads it for another who has.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Pending {
    pub payment: Payment,
    pub over: Over,
    /// Whether the application has taken it back: it is not asked for again, and void as soon as nothing that was signed
    /// for it can count.
    pub cancelled: bool,
}

impl Record for Pending {
    const KIND: u8 = 4;
    type Key = PaymentId;
}

/// What is left of a payment that is decided.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Past {
    /// The payment.
    pub payment: Payment,
    /// How it ended.
    pub outcome: Outcome,
    /// Block time in ms when the party learned of it.
    pub at: Timestamp,
}

/// To whom a permission is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Grantee {
    /// A user: as one who asks for payments, or leads rounds.
    Party(AccountId),
    /// The coordinator of a group, whoever that is.
    Group(MpcId),
}

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Purpose {
    /// Paying out of this party's own funds when the grantee asks for it.
    Pay,
    /// Passing money on: what leaves one channel comes back in another.
    PassOn,
}

/// Lets a grantee move funds without asking again (rule S9).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Permission {
    /// To whom it is given.
    pub grantee: Grantee,
    /// What for.
    pub purpose: Purpose,
    /// In which channels. `None` for all.
    pub channels: Option<Vec<TpcId>>,
    /// Of which asset.
    pub asset: Asset,
    /// How much may move in all, in the asset's smallest unit. Falls with each use.
    pub left: Balance,
    /// How much may move in one round.
    pub per_payment: Balance,
    /// Block time in ms after which it is over.
    pub until: Timestamp,
}

impl Permission {
    /// One without bounds, for those who trust the grantee or play a game.
    pub fn unlimited(grantee: Grantee, purpose: Purpose, asset: Asset) -> Self {
        Self {
            grantee,
            purpose,
            channels: None,
            asset,
            left: Balance::MAX,
            per_payment: Balance::MAX,
            until: Timestamp::MAX,
        }
    }

    /// Whether it lets `amount` leave `channels` for `purpose` now.
    pub(crate) fn lets(&self, asset: Asset, amount: Balance, channels: &[TpcId], now: Timestamp) -> bool {
        let named = |tpc| self.channels.as_ref().is_none_or(|allowed| allowed.contains(tpc));
        self.asset == asset
            && amount <= self.left
            && amount <= self.per_payment
            && now <= self.until
            && channels.iter().all(named)
    }
}

impl Record for Permission {
    const KIND: u8 = 5;
    type Key = u64;
}
