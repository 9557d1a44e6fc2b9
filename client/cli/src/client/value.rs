//! What people type and read: amounts in UNIT or planck, beginnings of ids, peers.

use anyhow::Result;
use braid::{
    http::text::{Account, Amount, Id},
    transport::PeerAddress,
};
use chain::{
    keys::{address, parse_address},
    UNIT,
};
use protocol::{AccountId, Balance};

/// How many decimals a UNIT has.
const DECIMALS: usize = 12;

/// How many digits of an id are shown.
const SHOWN: usize = 8;

/// The fewest digits of an id that name it.
const FEWEST: usize = 4;

/// Reads an amount: `10` and `0.5` are UNIT, so is `10UNIT`; `500planck` is the smallest unit.
///
/// # Errors
/// If it is none.
pub fn amount(text: &str) -> Result<Balance, String> {
    let bad =
        |why: &str| Err(format!("`{text}` is no amount ({why}): give UNIT, like 10 or 0.5, or planck, like 500planck"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let typed = text.trim();
    if let Some(planck) = typed.strip_suffix("planck").map(str::trim_end) {
        return match digits(planck).then(|| planck.parse().ok()).flatten() {
            Some(planck) => Ok(planck),
            None => bad("planck are whole, and below 2^128"),
        };
    }
    let unit = typed.strip_suffix("UNIT").unwrap_or(typed).trim_end();
    let (whole, part) = unit.split_once('.').unwrap_or((unit, "0"));
    if !digits(whole) || !digits(part) {
        return bad("it has other signs than digits and one point");
    }
    if part.len() > DECIMALS {
        return bad("a UNIT has 12 decimals");
    }
    let planck = format!("{part:0<DECIMALS$}").parse::<Balance>().ok();
    let whole = whole.parse::<Balance>().ok().and_then(|whole| whole.checked_mul(UNIT));
    match whole.zip(planck).and_then(|(whole, planck)| whole.checked_add(planck)) {
        Some(planck) => Ok(planck),
        None => bad("it is too large"),
    }
}

/// Planck as UNIT, with as many decimals as it takes.
pub fn exact(Amount(planck): Amount) -> String {
    let (whole, part) = (planck / UNIT, planck % UNIT);
    if part == 0 {
        return whole.to_string();
    }
    format!("{whole}.{part:0DECIMALS$}").trim_end_matches('0').to_owned()
}

/// An id, or its beginning.
#[derive(Clone, Debug)]
pub struct ShortId(String);

/// Reads an id or its beginning.
///
/// # Errors
/// If it is neither.
pub fn short_id(text: &str) -> Result<ShortId, String> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let good = (FEWEST..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    match good {
        true => Ok(ShortId(text.to_ascii_lowercase())),
        false => Err(format!("`{text}` is no id: give 0x and 64 hexadecimal digits, or at least the first {FEWEST}")),
    }
}

impl ShortId {
    /// The id, if it is a whole one.
    pub fn whole(&self) -> Option<Id> {
        self.0.clone().try_into().ok()
    }

    /// The one id that begins so.
    ///
    /// # Errors
    /// If there is none, or several.
    pub fn among(&self, ids: impl Iterator<Item = Id>, what: &str, listed: &str) -> Result<Id> {
        let mut found = ids.filter(|id| String::from(*id).starts_with(&self.0));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => anyhow::bail!("no {what} begins with {}: see `{listed}`", self.0),
            (Some(_), Some(_)) => anyhow::bail!("several {what}s begin with {}: give more digits", self.0),
        }
    }
}

/// An id as tables show it: its beginning, which commands take too.
pub fn show_id(id: Id) -> String {
    String::from(id).chars().take(SHOWN + 2).collect()
}

/// An account as tables show it.
pub fn show_account(Account(account): Account) -> String {
    let text = address(&account);
    let end = text.len().saturating_sub(4);
    format!("{}…{}", text.get(..6).unwrap_or_default(), text.get(end..).unwrap_or_default())
}

/// A peer, with or without where it is reached.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Who.
    pub account: AccountId,
    /// Where.
    pub address: Option<PeerAddress>,
}

/// Reads `account` or `account@host:port`.
///
/// # Errors
/// If it is neither.
pub fn peer(text: &str) -> Result<Peer, String> {
    if text.contains('@') {
        let address: PeerAddress =
            text.parse().map_err(|error: braid::transport::address::BadPeerAddress| error.to_string())?;
        return Ok(Peer { account: address.account, address: Some(address) });
    }
    account(text).map(|account| Peer { account, address: None })
}

/// Reads an account.
///
/// # Errors
/// If it is none.
pub fn account(text: &str) -> Result<AccountId, String> {
    parse_address(text).map_err(|error| error.to_string())
}

/// Who is paid.
#[derive(Clone, Debug)]
pub enum Receiver {
    /// The peer of this channel.
    Channel(ShortId),
    /// This account.
    Account(AccountId),
}

/// Reads a channel's id, its beginning, or an account.
///
/// # Errors
/// If it is none of these.
pub fn parse_receiver(text: &str) -> Result<Receiver, String> {
    match text.starts_with("0x") {
        true => short_id(text).map(Receiver::Channel),
        false => account(text).map(Receiver::Account),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_unit_or_planck() {
        for (text, planck) in [
            ("10", 10 * UNIT),
            ("0.5", UNIT / 2),
            ("1.000000000001", UNIT + 1),
            ("3UNIT", 3 * UNIT),
            ("3 UNIT", 3 * UNIT),
            ("500planck", 500),
            ("500 planck", 500),
            ("340282366920938463463374607.431768211455", Balance::MAX),
        ] {
            assert_eq!(amount(text).unwrap(), planck, "{text}");
        }
        let huge = "9".repeat(60);
        for bad in ["", "-1", "+1", "1,5", "1.", ".5", "1.0000000000001", "0.5planck", "planck", "UNIT", "1e3", &huge] {
            assert!(amount(bad).is_err(), "{bad}");
        }
        assert_eq!(exact(Amount(UNIT / 2)), "0.5");
        assert_eq!(exact(Amount(3 * UNIT)), "3");
        assert_eq!(exact(Amount(1)), "0.000000000001");
    }

    #[test]
    fn an_id_is_named_by_its_beginning() {
        let ids = [Id([0x11; 32]), Id([0x12; 32])];
        let short = short_id("0x1111").unwrap();
        assert_eq!(short.among(ids.into_iter(), "channel", "braid list").unwrap(), ids[0]);
        for bad in ["0x111", "1111", "0x111g", &format!("0x{}", "1".repeat(65))] {
            assert!(short_id(bad).is_err(), "{bad}");
        }
        let both = [Id([0x11; 32]), Id([0x11; 32])];
        assert!(short.among(both.into_iter(), "channel", "braid list").is_err());
        assert!(short_id("0x2222").unwrap().among(ids.into_iter(), "channel", "braid list").is_err());
    }
}
