//! What accounts hold outside of channels: deposits and withdrawals.

use crate::{event::Deposited, event::Withdrawn, host::Host, AccountId, Asset, Balance, Error};

/// Puts the `value` sent along, in planck, into the caller's ledger (rule L1).
pub fn deposit(host: &mut impl Host, value: Balance) -> Result<(), Error> {
    let account = host.caller();
    if value == 0 {
        return Err(Error::ZeroAmount);
    }
    shift(host, account, Asset::Native, value, 0)?;
    host.tell(Deposited { account, asset: Asset::Native, amount: value });
    Ok(())
}

/// Pays `amount` planck out of the caller's ledger (rule L1).
pub fn withdraw(host: &mut impl Host, amount: Balance) -> Result<(), Error> {
    let account = host.caller();
    if amount == 0 {
        return Err(Error::ZeroAmount);
    }
    shift(host, account, Asset::Native, 0, amount)?;
    if !host.pay(account, amount) {
        return Err(Error::TransferFailed);
    }
    host.tell(Withdrawn { account, asset: Asset::Native, amount });
    Ok(())
}

/// Has a token move what the caller has approved into the caller's ledger. What arrived counts, by the token's word: it
/// may keep a fee.
///
/// The host lets nobody call the contract while a token's code runs. A token that lies about balances lies to those who
/// hold it. All that it does to others is to keep a channel due, so that the group that the channel is in cannot be closed
/// (rules L2, L3).
pub fn deposit_psp22(host: &mut impl Host, token: AccountId, amount: Balance) -> Result<(), Error> {
    let account = host.caller();
    let failed = Error::TokenFailed(token);
    let before = host.token_balance(token).ok_or(failed)?;
    if !host.pull_token(token, account, amount) {
        return Err(failed);
    }
    let after = host.token_balance(token).ok_or(failed)?;
    let arrived = after.checked_sub(before).ok_or(failed)?;
    if arrived == 0 {
        return Err(Error::ZeroAmount);
    }
    shift(host, account, Asset::Psp22(token), arrived, 0)?;
    host.tell(Deposited { account, asset: Asset::Psp22(token), amount: arrived });
    Ok(())
}

/// Pays `amount` of a token out of the caller's ledger (rules L2, L3).
pub fn withdraw_psp22(host: &mut impl Host, token: AccountId, amount: Balance) -> Result<(), Error> {
    let account = host.caller();
    if amount == 0 {
        return Err(Error::ZeroAmount);
    }
    shift(host, account, Asset::Psp22(token), 0, amount)?;
    host.tell(Withdrawn { account, asset: Asset::Psp22(token), amount });
    // Last: the token's code runs when nothing of this call is left to do.
    if !host.push_token(token, account, amount) {
        return Err(Error::TokenFailed(token));
    }
    Ok(())
}

/// Puts `incoming` into an account's ledger, then takes `outgoing` out of it.
pub(super) fn shift(
    host: &mut impl Host,
    account: AccountId,
    asset: Asset,
    incoming: Balance,
    outgoing: Balance,
) -> Result<(), Error> {
    if incoming == outgoing {
        return Ok(());
    }
    let available = host.ledger(account, asset).checked_add(incoming).ok_or(Error::Overflow)?;
    let left = available.checked_sub(outgoing).ok_or(Error::InsufficientLedger { account, available })?;
    host.set_ledger(account, asset, left);
    Ok(())
}

/// Pays both owners of a channel, and tells whose amount went to the ledger: that of an account that cannot receive, and
/// every token, whose code must not run in anybody else's call (rules L3, L4).
pub(super) fn pay_out(
    host: &mut impl Host,
    asset: Asset,
    parties: &[AccountId; 2],
    amounts: [Balance; 2],
) -> Result<[bool; 2], Error> {
    let mut credited = [false; 2];
    if asset == Asset::Native {
        for ((party, amount), credited) in parties.iter().zip(amounts).zip(&mut credited) {
            if amount > 0 && !host.pay(*party, amount) {
                shift(host, *party, asset, amount, 0)?;
                *credited = true;
            }
        }
        return Ok(credited);
    }
    // Both sums before either is stored: a token that lies may have given one owner more than fits.
    let mut sums = [0; 2];
    for ((party, amount), sum) in parties.iter().zip(amounts).zip(&mut sums) {
        *sum = host.ledger(*party, asset).checked_add(amount).ok_or(Error::Overflow)?;
    }
    for (((party, amount), sum), credited) in parties.iter().zip(amounts).zip(sums).zip(&mut credited) {
        if amount > 0 {
            host.set_ledger(*party, asset, sum);
            *credited = true;
        }
    }
    Ok(credited)
}
