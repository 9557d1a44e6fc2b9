//! Calls of the contract that a party decides to make.

use codec::{Decode, Encode};
use protocol::{abi, state::MAX_CHANNELS, Crypto, SignedUpdate};

/// Names a call in its party's outbox.
pub type CallId = u64;

macro_rules! calls {
    ($($message:ident),*) => {
        /// A call that is ready for the contract: a fully signed action, or one that takes no signature.
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
        #[allow(missing_docs)] // Each variant holds the contract's message of its name.
        pub enum Call {
            $($message(abi::$message)),*
        }

        impl Call {
            /// The name of the contract's message.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$message(_) => <abi::$message as abi::Message>::NAME),* }
            }

            /// The bytes to send to the contract.
            pub fn call_data(&self, crypto: &impl Crypto) -> Vec<u8> {
                match self { $(Self::$message(message) => abi::Message::call_data(message, crypto)),* }
            }
        }

        $(impl From<abi::$message> for Call {
            fn from(message: abi::$message) -> Self {
                Self::$message(message)
            }
        })*
    };
}

/// Hands the contract's messages that parties and watchers bring to a macro, so that they are listed once.
#[macro_export]
macro_rules! for_each_call {
    ($then:ident) => {
        $then! {
            CreateTpc, UpdateChannels, UpdateAll, CloseTpc, TopUpTpc, WithdrawTpc, SplitTpc, DisputeChannels, SettleChannels,
            CreateMpc, JoinMpc, LeaveMpc, CloseMpc
        }
    };
}

for_each_call!(calls);

impl Call {
    /// What puts complete updates on chain, in as few calls as take them.
    pub fn of_updates(updates: impl IntoIterator<Item = SignedUpdate>) -> Vec<Self> {
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
                abi::UpdateChannels { update, owners, signatures }.into()
            }
            last => {
                updates.extend(last);
                abi::UpdateAll { updates }.into()
            }
        }
    }
}
