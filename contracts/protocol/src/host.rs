//! What the contract's behaviour needs of the chain that it runs on.

use crate::{
    event::Told, AccountId, Asset, Balance, Crypto, Domain, Epoch, Mpc, MpcId, Nonce, Timestamp, Tpc, TpcId, Version,
};

/// One deployment's storage, and the call that it answers. It stores and pays what it is told to, and decides nothing.
///
/// A call that is refused changes nothing: whoever implements this undoes what a refused call has written.
pub trait Host: Crypto {
    /// Where signatures are good.
    fn domain(&self) -> Domain;
    /// Who makes the call.
    fn caller(&self) -> AccountId;
    /// The block's time.
    fn now(&self) -> Timestamp;

    /// What an account holds outside of channels.
    fn ledger(&self, account: AccountId, asset: Asset) -> Balance;
    /// Stores that; nothing is kept for zero.
    fn set_ledger(&mut self, account: AccountId, asset: Asset, balance: Balance);

    /// How many channels a pair, in ascending order, has created.
    fn nonce(&self, parties: [AccountId; 2]) -> Nonce;
    /// Stores that.
    fn set_nonce(&mut self, parties: [AccountId; 2], nonce: Nonce);

    /// A channel as it was stored last.
    fn tpc(&self, id: TpcId) -> Option<Tpc>;
    /// Stores a channel, or deletes it.
    fn set_tpc(&mut self, id: TpcId, tpc: Option<&Tpc>);

    /// The version at which a dispute ended an epoch of a channel, or began, as long as its end is not written.
    fn ended(&self, id: TpcId, epoch: Epoch) -> Option<Version>;
    /// Stores that, or deletes it.
    fn set_ended(&mut self, id: TpcId, epoch: Epoch, version: Option<Version>);

    /// A registered group.
    fn mpc(&self, id: MpcId) -> Option<Mpc>;
    /// Stores a group, or deletes it.
    fn set_mpc(&mut self, id: MpcId, mpc: Option<Mpc>);

    /// Pays the native token to an account, and tells whether the account could receive it.
    fn pay(&mut self, account: AccountId, amount: Balance) -> bool;
    /// What a token says that the contract holds. `None` if it does not say.
    fn token_balance(&mut self, token: AccountId) -> Option<Balance>;
    /// Has a token move what `from` has approved to the contract, and tells whether it says that it did.
    fn pull_token(&mut self, token: AccountId, from: AccountId, amount: Balance) -> bool;
    /// Has a token move what the contract holds to `to`, and tells whether it says that it did.
    fn push_token(&mut self, token: AccountId, to: AccountId, amount: Balance) -> bool;

    /// Tells the world.
    fn tell(&mut self, event: impl Told);
}
