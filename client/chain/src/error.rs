//! What a chain says no to. The embedded chain and a node say it in the same words.

/// Why a chain did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The transaction is in no block; nothing was paid.
    #[error("the transaction was not accepted: {0}")]
    Refused(#[from] Refusal),
    /// The call ran and failed: nothing but the fee, if it was a transaction, has changed.
    #[error("the call failed: {0}")]
    Failed(#[from] Failure),
    /// The transaction was sent, and it is not known what became of it.
    #[error("transaction {hash} was sent, and may be executed yet: look before you repeat it ({reason})")]
    Outstanding {
        /// The transaction's hash.
        hash: String,
        /// Why it is no longer waited for.
        reason: String,
    },
    /// The node cannot be used.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Why a transaction gets into no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The signer cannot pay for it.
    #[error("the account cannot pay the transaction's fee: send it funds first")]
    Payment,
    /// It weighs too much.
    #[error("the transaction weighs or measures more than a block takes: lower its gas limit, or split it")]
    ExhaustsResources,
    /// Other transactions of the account kept taking its nonce, or the node has dropped it.
    #[error("another transaction of the same account took its place: nothing was done, try again")]
    Displaced,
    /// Anything else, in the chain's words.
    #[error("{0}")]
    Other(String),
}

/// Why a call fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It used more than its gas limit.
    #[error("it ran out of gas: give it a higher gas limit")]
    OutOfGas,
    /// The contract stopped in the middle.
    #[error("the contract trapped (ContractTrapped): the call needs more memory than it has, or it is not Braid's")]
    Trapped,
    /// The call does not fit into the contract's buffer.
    #[error("the call is larger than the contract's buffer (OutputBufferTooSmall): name fewer channels in it")]
    TooLarge,
    /// The contract refused when the transaction ran, though it had not in the trial.
    #[error("the contract refuses now what it accepted in a trial: its state has changed since, look and try again")]
    Reverted,
    /// The storage deposit is above the limit that was given.
    #[error("it stores more than the storage deposit limit pays for: give it a higher limit")]
    StorageDepositLimit,
    /// The caller lacks the value sent along, or the storage deposit.
    #[error("the account cannot pay the value sent along or the storage deposit: send it funds first")]
    Funds,
    /// There is no contract at the address.
    #[error("there is no contract at this address: check the address and the node, or deploy one with `braid deploy`")]
    ContractNotFound,
    /// The code does not suit the chain.
    #[error("the chain rejects the code (CodeRejected): build it with scripts/build-contract, which uses Rust 1.85")]
    CodeRejected,
    /// The same code was instantiated before by this account with the same arguments and salt.
    #[error(
        "the account has just made the same deployment (DuplicateContract): run the command again for another one"
    )]
    DuplicateContract,
    /// Any other error of a pallet.
    #[error("{pallet}: {name}")]
    Module {
        /// The pallet.
        pallet: String,
        /// The error's name in it.
        name: String,
    },
    /// Any other, in the chain's words.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// The failure that a pallet's error stands for.
    pub fn of_module(pallet: &str, name: &str) -> Self {
        match (pallet, name) {
            ("Contracts", "OutOfGas") => Self::OutOfGas,
            ("Contracts", "ContractTrapped") => Self::Trapped,
            ("Contracts", "OutputBufferTooSmall") => Self::TooLarge,
            ("Contracts", "ContractReverted") => Self::Reverted,
            ("Contracts", "StorageDepositLimitExhausted") => Self::StorageDepositLimit,
            ("Contracts", "StorageDepositNotEnoughFunds" | "TransferFailed") => Self::Funds,
            ("Contracts", "ContractNotFound") => Self::ContractNotFound,
            ("Contracts", "CodeRejected") => Self::CodeRejected,
            ("Contracts", "DuplicateContract") => Self::DuplicateContract,
            _ => Self::Module { pallet: pallet.to_owned(), name: name.to_owned() },
        }
    }

    /// The failure that the runtime's text for an error outside of pallets stands for.
    pub fn of_text(text: &str) -> Self {
        match text {
            "Funds are unavailable" | "Account that is desired to remain would die" => Self::Funds,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Why a node cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Nobody answers.
    #[error("no node answers at {url} ({reason}): start one with scripts/node, or name another with --node")]
    Unreachable {
        /// Where.
        url: String,
        /// The network's words.
        reason: String,
    },
    /// It answered, and no longer does.
    #[error("the node at {url} went away and did not come back within {seconds} s ({reason}): start it and run the command again")]
    Lost {
        /// Where.
        url: String,
        /// How long the client tried.
        seconds: u64,
        /// The network's words.
        reason: String,
    },
    /// It came back without blocks that it had.
    #[error("the node at {url} came back without block {block}: it was restarted empty, run the command again")]
    Reset {
        /// Where.
        url: String,
        /// A block that it had finalised.
        block: u64,
    },
    /// It runs something else.
    #[error("the node at {url} runs {found}, not {expected}: connect to a contracts node (see scripts/node)")]
    WrongChain {
        /// Where.
        url: String,
        /// Its runtime's name and version.
        found: String,
        /// The runtime that this client was made for.
        expected: String,
    },
    /// It does not do what nodes do.
    #[error("the node's answer to {request} cannot be used: {reason}")]
    Answer {
        /// What was asked.
        request: String,
        /// What is wrong with the answer.
        reason: String,
    },
}
