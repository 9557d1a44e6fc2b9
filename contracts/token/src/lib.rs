//! A PSP22 token for Braid's tests: honest, until its owner tells it how else to behave.
#![cfg_attr(not(feature = "std"), no_std, no_main)]
#![allow(clippy::cast_possible_truncation)] // The derived encodings cast the indices of variants.

#[ink::contract]
mod token {
    use ink::{
        env::{
            call::{build_call, ExecutionInput, Selector},
            DefaultEnvironment, ReturnFlags,
        },
        prelude::{string::String, vec, vec::Vec},
        scale::{Encode, Output},
    };
    use psp22::{PSP22Data, PSP22Error, PSP22Event, PSP22};

    /// How the token treats those who hold it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[ink::scale_derive(Encode, Decode, TypeInfo)]
    #[cfg_attr(feature = "std", derive(ink::storage::traits::StorageLayout))]
    pub enum Conduct {
        /// As the standard says.
        Honest,
        /// It moves nothing. It says that it did, and that everybody holds so much more after each `transfer_from`, beginning
        /// at 0 and, after the largest number, again.
        Lies(Balance),
        /// It moves what it is told to, and takes a tenth from the receiver.
        KeepsFee,
        /// It first calls a contract, and ignores the answer.
        CallsBack {
            /// The contract.
            callee: AccountId,
            /// The message.
            selector: [u8; 4],
            /// The message's encoded arguments.
            arguments: Vec<u8>,
        },
        /// It traps.
        Traps,
        /// It runs until the gas is used up.
        BurnsGas,
        /// It lets nobody have what they hold, and takes what they give.
        RefusesPayOuts,
        /// It answers so many bytes that are no answer.
        Babbles(u32),
    }

    /// The token.
    #[ink(storage)]
    pub struct Token {
        data: PSP22Data,
        /// Who has deployed it.
        owner: AccountId,
        conduct: Conduct,
        /// Whether it behaves so when it is only asked for a balance, too.
        when_asked: bool,
        /// What everybody holds by its lies.
        claimed: Balance,
    }

    impl Token {
        /// An honest token, all of which belongs to the deployer.
        #[ink(constructor)]
        pub fn new(supply: Balance) -> Self {
            let owner = Self::env().caller();
            let (data, events) = PSP22Data::new(supply, owner);
            let token = Self { data, owner, conduct: Conduct::Honest, when_asked: false, claimed: 0 };
            token.tell(events);
            token
        }

        /// Has the token behave like this from now on: when it moves something, and `when_asked` for balances, too. Only
        /// its owner may.
        #[ink(message)]
        pub fn behave(&mut self, conduct: Conduct, when_asked: bool) {
            assert!(self.env().caller() == self.owner, "only the owner tells the token how to behave");
            (self.conduct, self.when_asked, self.claimed) = (conduct, when_asked, 0);
        }

        /// What the token does before its work, or in its place.
        fn act(&self) {
            match &self.conduct {
                Conduct::CallsBack { callee, selector, arguments } => {
                    let input = ExecutionInput::new(Selector::new(*selector)).push_arg(Raw(arguments));
                    let call = build_call::<DefaultEnvironment>().call_v1(*callee).exec_input(input).returns::<()>();
                    // A failure is no reason for it to stop.
                    let _ = call.try_invoke();
                }
                Conduct::Traps => panic!("it traps"),
                Conduct::BurnsGas => loop {
                    core::hint::spin_loop();
                },
                Conduct::Babbles(bytes) => {
                    let bytes = usize::try_from(*bytes).unwrap_or_default();
                    ink::env::return_value(ReturnFlags::empty(), &vec![0xff_u8; bytes])
                }
                Conduct::Honest | Conduct::Lies(_) | Conduct::KeepsFee | Conduct::RefusesPayOuts => {}
            }
        }

        fn finish(&mut self, to: AccountId, value: Balance, events: Vec<PSP22Event>) -> Result<(), PSP22Error> {
            self.tell(events);
            if self.conduct == Conduct::KeepsFee {
                let fee = self.data.transfer(to, self.owner, value / 10)?;
                self.tell(fee);
            }
            Ok(())
        }

        fn tell(&self, events: Vec<PSP22Event>) {
            for event in events {
                match event {
                    PSP22Event::Transfer(transfer) => self.env().emit_event(transfer),
                    PSP22Event::Approval(approval) => self.env().emit_event(approval),
                }
            }
        }
    }

    impl PSP22 for Token {
        #[ink(message)]
        fn total_supply(&self) -> u128 {
            self.data.total_supply()
        }

        #[ink(message)]
        fn balance_of(&self, owner: AccountId) -> u128 {
            if self.when_asked {
                self.act();
            }
            match self.conduct {
                Conduct::Lies(_) => self.claimed,
                _ => self.data.balance_of(owner),
            }
        }

        #[ink(message)]
        fn allowance(&self, owner: AccountId, spender: AccountId) -> u128 {
            self.data.allowance(owner, spender)
        }

        #[ink(message)]
        fn transfer(&mut self, to: AccountId, value: u128, _data: Vec<u8>) -> Result<(), PSP22Error> {
            self.act();
            match self.conduct {
                Conduct::Lies(_) => Ok(()),
                Conduct::RefusesPayOuts => Err(PSP22Error::Custom(String::from("it refuses"))),
                _ => {
                    let events = self.data.transfer(self.env().caller(), to, value)?;
                    self.finish(to, value, events)
                }
            }
        }

        #[ink(message)]
        fn transfer_from(
            &mut self,
            from: AccountId,
            to: AccountId,
            value: u128,
            _data: Vec<u8>,
        ) -> Result<(), PSP22Error> {
            self.act();
            if let Conduct::Lies(more) = self.conduct {
                self.claimed = self.claimed.wrapping_add(more);
                return Ok(());
            }
            let events = self.data.transfer_from(self.env().caller(), from, to, value)?;
            self.finish(to, value, events)
        }

        #[ink(message)]
        fn approve(&mut self, spender: AccountId, value: u128) -> Result<(), PSP22Error> {
            let events = self.data.approve(self.env().caller(), spender, value)?;
            self.tell(events);
            Ok(())
        }

        #[ink(message)]
        fn increase_allowance(&mut self, spender: AccountId, delta_value: u128) -> Result<(), PSP22Error> {
            let events = self.data.increase_allowance(self.env().caller(), spender, delta_value)?;
            self.tell(events);
            Ok(())
        }

        #[ink(message)]
        fn decrease_allowance(&mut self, spender: AccountId, delta_value: u128) -> Result<(), PSP22Error> {
            let events = self.data.decrease_allowance(self.env().caller(), spender, delta_value)?;
            self.tell(events);
            Ok(())
        }
    }

    /// Bytes that are encoded already.
    struct Raw<'a>(&'a [u8]);

    impl Encode for Raw<'_> {
        fn encode_to<T: Output + ?Sized>(&self, dest: &mut T) {
            dest.write(self.0);
        }
    }
}
