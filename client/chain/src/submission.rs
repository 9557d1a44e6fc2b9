//! Calls of the contract that parties and watchers decide to make.

use crate::keys::Native;
use protocol::{
    abi::{self, Message as _},
    state::MAX_CHANNELS,
    SignedUpdate,
};

/// Hands the contract's messages that parties and watchers bring to a macro, so that they are listed once.
macro_rules! for_each_submission {
    ($then:ident) => {
        $then! {
            CreateTpc, UpdateChannels, UpdateAll, CloseTpc, TopUpTpc, WithdrawTpc, SplitTpc, DisputeChannels, SettleChannels,
            CreateMpc, JoinMpc, LeaveMpc, CloseMpc
        }
    };
}
pub(crate) use for_each_submission;

macro_rules! submissions {
    ($($message:ident),*) => {
        /// A call that is ready for the contract: a fully signed action, or one that takes no signature.
        #[derive(Clone, Debug)]
        #[allow(missing_docs)] // Each variant holds the contract's message of its name.
        pub enum Submission {
            $($message(abi::$message)),*
        }

        impl Submission {
            /// The contract's message.
            pub fn message(&self) -> &'static str {
                match self { $(Self::$message(_) => abi::$message::NAME),* }
            }

            /// The bytes to send to the contract.
            pub fn call_data(&self) -> Vec<u8> {
                match self { $(Self::$message(message) => message.call_data(&Native)),* }
            }
        }
    };
}

for_each_submission!(submissions);

impl Submission {
    /// What puts complete updates on chain, in as few calls as take them.
    pub fn of_updates(updates: Vec<SignedUpdate>) -> Vec<Self> {
        let mut calls: Vec<Vec<SignedUpdate>> = vec![];
        let mut named = 0;
        for signed in updates {
            let entries = signed.update.entries.len();
            match calls.last_mut() {
                Some(call) if named + entries <= MAX_CHANNELS => {
                    named += entries;
                    call.push(signed);
                }
                _ => {
                    named = entries;
                    calls.push(vec![signed]);
                }
            }
        }
        calls.into_iter().map(Self::of_one_call).collect()
    }

    fn of_one_call(mut updates: Vec<SignedUpdate>) -> Self {
        match updates.pop() {
            Some(SignedUpdate { update, owners, signatures }) if updates.is_empty() => {
                Self::UpdateChannels(abi::UpdateChannels { update, owners, signatures })
            }
            last => {
                updates.extend(last);
                Self::UpdateAll(abi::UpdateAll { updates })
            }
        }
    }
}
