//! Exit codes, by kind.

use crate::{
    client::ClientError,
    daemon::{BadConfig, BadKey},
};
use braid::{party, store};
use chain::{
    contract::{CallError, NotOurs, OpenError},
    ChainError, NodeError,
};

/// What `--help` says of them.
pub const HELP: &str = "Exit codes: 0 done · 1 any other failure · 2 wrong options · 3 configuration or key cannot be used · \
4 the node or the contract cannot be used · 5 no daemon answers · 6 the daemon refuses · 7 not decided in time · 8 the store \
cannot be used";

const OTHER: u8 = 1;
const CONFIGURATION: u8 = 3;
const NODE: u8 = 4;
const NO_DAEMON: u8 = 5;
const REFUSED: u8 = 6;
const UNDECIDED: u8 = 7;
const STORE: u8 = 8;

/// The code of a failure.
pub fn code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return match error {
            ClientError::NotRunning(_) | ClientError::Unreachable(_) => NO_DAEMON,
            ClientError::Undecided(_) => UNDECIDED,
            ClientError::Refused(failed) => match failed.code.as_str() {
                "node" | "outstanding" => NODE,
                "undecided" => UNDECIDED,
                _ => REFUSED,
            },
        };
    }
    let is = |found: bool, code| found.then_some(code);
    let codes = error.chain().find_map(|cause| {
        is(cause.is::<BadConfig>() || cause.is::<BadKey>(), CONFIGURATION)
            .or(is(cause.is::<store::Error>(), STORE))
            .or(is(cause.is::<NodeError>() || cause.is::<NotOurs>() || cause.is::<ChainError>(), NODE))
            .or(is(cause.is::<OpenError>() || cause.is::<CallError>(), NODE))
            .or(match cause.downcast_ref::<party::StartError>() {
                Some(party::StartError::Store(_)) => Some(STORE),
                Some(party::StartError::Call(_) | party::StartError::Chain(_)) => Some(NODE),
                _ => None,
            })
    });
    // Context that was added hides the type below it from the chain.
    codes.or(is(error.is::<BadConfig>() || error.is::<BadKey>(), CONFIGURATION)).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn each_kind_has_its_code() {
        let refused = |code: &str| {
            let failed = braid::http::error::Failed { error: String::new(), code: code.to_owned() };
            anyhow::Error::from(ClientError::Refused(failed))
        };
        assert_eq!(code(&refused("insufficient")), REFUSED);
        assert_eq!(code(&refused("node")), NODE);
        assert_eq!(code(&ClientError::NotRunning("x".into()).into()), NO_DAEMON);
        assert_eq!(code(&BadConfig::new("x").into()), CONFIGURATION);
        assert_eq!(code(&Err::<(), _>(BadConfig::new("x")).context("y").unwrap_err()), CONFIGURATION);
        let lost = NodeError::Unreachable { url: String::new(), reason: String::new() };
        assert_eq!(code(&lost.into()), NODE);
        assert_eq!(code(&anyhow::anyhow!("x")), OTHER);
    }
}
