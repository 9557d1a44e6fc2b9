//! Payments, and what may be done with a party's funds without asking again.

use crate::record::Record;
use codec::{Compact, Decode, DecodeAll, Encode, Input, Output};
use protocol::{AccountId, Asset, Balance, MpcId, Owners, Timestamp, TpcId};
use std::{cmp::Ordering, sync::Arc};

/// The most transfers of one payment.
pub const MAX_TRANSFERS: usize = 256;

/// Names a payment for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct PaymentId {
    /// Who asked for it.
    pub by: AccountId,
    /// How many it had asked for before.
    pub number: u64,
}

impl Ord for PaymentId {
    /// By number first: most of an account's payments are asked for by one account, and differ in it alone.
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number).then_with(|| self.by.cmp(&other.by))
    }
}

impl PartialOrd for PaymentId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
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

    /// Whether it takes from `account`, or was asked for by it: then it must not count twice.
    pub(crate) fn binds(&self, account: AccountId) -> bool {
        self.id.by == account || self.transfers.iter().any(|transfer| transfer.from == account)
    }

    /// What `account` gains of `asset`; negative if it pays. `None` if the sums do not fit.
    pub(crate) fn net(&self, account: AccountId, asset: Asset) -> Option<i128> {
        let (out, back) = self.sums(account, asset)?;
        i128::try_from(back).ok()?.checked_sub(i128::try_from(out).ok()?)
    }
}

/// The payments that a round settles: one list, which its messages and records share.
pub type Payments = Arc<Vec<Payment>>;

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
    /// What it has used up of permissions, if somebody else has asked for it: given back if it is void.
    pub used: Vec<(u64, Balance)>,
}

impl Record for Pending {
    const KIND: u8 = 4;
    type Key = PaymentId;

    fn key_bytes(PaymentId { by, number }: &PaymentId) -> Vec<u8> {
        (Self::KIND, number.to_be_bytes(), by).encode()
    }

    fn key_from(bytes: &[u8]) -> Option<PaymentId> {
        let (number, by) = DecodeAll::decode_all(&mut &*bytes).ok()?;
        Some(PaymentId { by, number: u64::from_be_bytes(number) })
    }
}

/// What is left of a payment that is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The payment.
    pub payment: Payment,
    /// How it ended.
    pub outcome: Outcome,
    /// Block time in ms when the party learned of it.
    pub at: Timestamp,
}

/// A [`Past`] that is to be written.
pub(crate) struct Kept<'a> {
    pub payment: &'a Payment,
    pub outcome: Outcome,
    pub at: Timestamp,
}

/// An account in a payment of the past.
#[derive(Encode, Decode)]
enum Named {
    /// Who asked for the payment.
    By,
    /// The first other one in it.
    Peer,
    /// Anybody else.
    Other(AccountId),
}

/// A [`Past`] as it is stored: nearly always a payment is between two accounts, which are written once.
#[derive(Encode, Decode)]
struct Packed {
    by: AccountId,
    peer: AccountId,
    number: Compact<u64>,
    transfers: Vec<(Named, Named, Asset, Compact<Balance>)>,
    outcome: Outcome,
    at: Compact<Timestamp>,
}

impl Encode for Kept<'_> {
    fn size_hint(&self) -> usize {
        // What a payment of the native token mostly takes: more is asked for if it is not enough.
        76 + 6 * self.payment.transfers.len()
    }

    fn encode_to<T: Output + ?Sized>(&self, to: &mut T) {
        let Payment { id: PaymentId { by, number }, transfers } = self.payment;
        let mut all = transfers.iter().flat_map(|transfer| [transfer.from, transfer.to]);
        let peer = all.find(|account| account != by).unwrap_or(*by);
        let named = |account: AccountId| match account {
            _ if account == *by => Named::By,
            _ if account == peer => Named::Peer,
            _ => Named::Other(account),
        };
        let packed =
            |transfer: &Transfer| (named(transfer.from), named(transfer.to), transfer.asset, Compact(transfer.amount));
        let transfers = transfers.iter().map(packed).collect();
        let (number, at) = (Compact(*number), Compact(self.at));
        Packed { by: *by, peer, number, transfers, outcome: self.outcome, at }.encode_to(to);
    }
}

impl Encode for Past {
    fn encode_to<T: Output + ?Sized>(&self, to: &mut T) {
        Kept { payment: &self.payment, outcome: self.outcome, at: self.at }.encode_to(to);
    }
}

impl Decode for Past {
    fn decode<I: Input>(from: &mut I) -> Result<Self, codec::Error> {
        let Packed { by, peer, number, transfers, outcome, at } = Packed::decode(from)?;
        let account = |named| match named {
            Named::By => by,
            Named::Peer => peer,
            Named::Other(account) => account,
        };
        let transfer =
            |(from, to, asset, Compact(amount))| Transfer { from: account(from), to: account(to), asset, amount };
        let transfers = transfers.into_iter().map(transfer).collect();
        let payment = Payment { id: PaymentId { by, number: number.0 }, transfers };
        Ok(Self { payment, outcome, at: at.0 })
    }
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
