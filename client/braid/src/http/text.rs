//! How amounts, accounts, ids and assets are written in JSON: always as text, for JavaScript rounds numbers above 2^53.

use chain::keys::{address, bytes32, parse_address};
use protocol::{AccountId, Asset, Balance, MpcId, TpcId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the native token is written.
const NATIVE: &str = "native";

macro_rules! text {
    ($(#[$doc:meta])* $name:ident($inner:ty), $example:literal, $read:expr, $write:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, example = $example)]
        pub struct $name(
            /// What is written.
            pub $inner,
        );

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let read: fn(&str) -> Result<$inner, String> = $read;
                read(&text).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(written: $name) -> Self {
                let write: fn(&$inner) -> String = $write;
                write(&written.0)
            }
        }

        impl From<$inner> for $name {
            fn from(inner: $inner) -> Self {
                Self(inner)
            }
        }
    };
}

text! {
    /// An amount in the asset's smallest unit (planck for the native token), in decimal digits.
    Amount(Balance), "1000000000000", parse_amount, ToString::to_string
}

text! {
    /// 32 bytes that name a channel, a group or an update, in hexadecimal.
    Id([u8; 32]), "0x0000000000000000000000000000000000000000000000000000000000000000", parse_id, |id| {
        format!("0x{}", hex::encode(id))
    }
}

text! {
    /// An account, as an SS58 address.
    Account(AccountId), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
    |text| parse_address(text).map_err(|error| error.to_string()), address
}

text! {
    /// What a channel holds: `native`, or the account of a PSP22 token.
    AssetName(Asset), "native", parse_asset, |asset| match asset {
        Asset::Native => NATIVE.to_owned(),
        Asset::Psp22(token) => address(token),
    }
}

impl Default for AssetName {
    fn default() -> Self {
        Self(Asset::Native)
    }
}

impl From<TpcId> for Id {
    fn from(tpc: TpcId) -> Self {
        Self(tpc.0)
    }
}

impl From<MpcId> for Id {
    fn from(mpc: MpcId) -> Self {
        Self(mpc.0)
    }
}

impl Id {
    /// The channel that it names.
    pub fn tpc(self) -> TpcId {
        TpcId(self.0)
    }

    /// The group that it names.
    pub fn mpc(self) -> MpcId {
        MpcId(self.0)
    }
}

fn parse_amount(text: &str) -> Result<Balance, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let amount = digits.then(|| text.parse().ok()).flatten();
    amount.ok_or_else(|| format!("`{text}` is no amount: give digits, in the asset's smallest unit, below 2^128"))
}

fn parse_id(text: &str) -> Result<[u8; 32], String> {
    let bytes = text.strip_prefix("0x").and_then(bytes32);
    bytes.ok_or_else(|| format!("`{text}` is no id: give 0x and 64 hexadecimal digits"))
}

fn parse_asset(text: &str) -> Result<Asset, String> {
    if text == NATIVE {
        return Ok(Asset::Native);
    }
    let token = parse_address(text).map(Asset::Psp22);
    token.map_err(|_| format!("`{text}` is no asset: give `{NATIVE}`, or the account of a PSP22 token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let amount: Amount = serde_json::from_str("\"340282366920938463463374607431768211455\"").unwrap();
        assert_eq!(amount.0, Balance::MAX);
        assert_eq!(serde_json::to_string(&amount).unwrap(), "\"340282366920938463463374607431768211455\"");
        for bad in ["1", "\"\"", "\"-1\"", "\"+1\"", "\"1.5\"", "\"340282366920938463463374607431768211456\"", "null"] {
            assert!(serde_json::from_str::<Amount>(bad).is_err(), "{bad}");
        }
        let id = Id([7; 32]);
        assert_eq!(serde_json::from_value::<Id>(serde_json::to_value(id).unwrap()).unwrap(), id);
        assert!(serde_json::from_str::<Id>("\"0x12\"").is_err());
        for asset in [Asset::Native, Asset::Psp22([1; 32].into())] {
            let written = serde_json::to_value(AssetName(asset)).unwrap();
            assert_eq!(serde_json::from_value::<AssetName>(written).unwrap().0, asset);
        }
    }
}
