//! Braid's contract: one deployment's storage, funds, clock and events. Every decision is `protocol`'s.
//!
//! No message is inlined into ink!'s dispatch: a call is charged for the length of each function that it enters, and so
//! only for that of its own message.
#![cfg_attr(not(feature = "std"), no_std, no_main)]

/// A call's arguments go through ink!'s static buffer; by default it is too small for a group of hundreds.
#[cfg(target_arch = "wasm32")]
const _: () = assert!(ink::env::BUFFER_SIZE == 256 * 1024, "build the contract with scripts/build-contract");

#[ink::contract]
mod channels {
    use ink::{
        codegen::Env as _,
        env::{
            call::{build_call, ExecutionInput, Selector},
            DefaultEnvironment,
        },
        prelude::vec::Vec,
        scale::{Decode, Encode},
        storage::Mapping,
    };
    use protocol::{
        contract::{self, dispute, ledger, mpc, tpc, update},
        event::Told,
        Asset, Crypto, Domain, Epoch, Error, Host, Mpc, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, Nonce, Owners,
        PartySignature, Resolution, Signature, SignedUpdate, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp,
        TpcWithdrawal, Update, Version,
    };

    /// One deployment of Braid.
    #[ink(storage)]
    pub struct Channels {
        /// Where signatures are good. Stored because a contract cannot ask for its chain's genesis hash.
        domain: Domain,
        /// What each account holds outside of channels; nothing is stored for zero.
        ledger: Mapping<(AccountId, Asset), Balance>,
        /// How many channels each pair has created: so no signed creation counts twice, even after a close.
        nonces: Mapping<[AccountId; 2], Nonce>,
        /// The channels that exist.
        tpcs: Mapping<TpcId, Tpc>,
        /// At which version disputes ended epochs: so no update counts in one channel and not in another, for ever.
        ended: Mapping<(TpcId, Epoch), Version>,
        /// The groups that are registered.
        mpcs: Mapping<MpcId, Mpc>,
    }

    impl Channels {
        /// A deployment on the chain whose first block has this hash.
        #[ink(constructor)]
        pub fn new(genesis_hash: [u8; 32]) -> Self {
            Self {
                domain: Domain { genesis_hash, contract: Self::env().account_id() },
                ledger: Mapping::new(),
                nonces: Mapping::new(),
                tpcs: Mapping::new(),
                ended: Mapping::new(),
                mpcs: Mapping::new(),
            }
        }

        /// Puts the value sent along into the caller's ledger.
        #[ink(message, payable)]
        #[inline(never)]
        pub fn deposit(&mut self) -> Result<(), Error> {
            let value = self.env().transferred_value();
            finish(ledger::deposit(self, value))
        }

        /// Pays `amount` planck out of the caller's ledger.
        #[ink(message)]
        #[inline(never)]
        pub fn withdraw(&mut self, amount: Balance) -> Result<(), Error> {
            finish(ledger::withdraw(self, amount))
        }

        /// Has a PSP22 token move what the caller has approved into the caller's ledger. What arrives counts.
        #[ink(message)]
        #[inline(never)]
        pub fn deposit_psp22(&mut self, token: AccountId, amount: Balance) -> Result<(), Error> {
            finish(ledger::deposit_psp22(self, token, amount))
        }

        /// Pays `amount` of a PSP22 token out of the caller's ledger.
        #[ink(message)]
        #[inline(never)]
        pub fn withdraw_psp22(&mut self, token: AccountId, amount: Balance) -> Result<(), Error> {
            finish(ledger::withdraw_psp22(self, token, amount))
        }

        /// Opens a channel with both owners' ledger funds. The value sent along goes to the caller's ledger first. An
        /// owner brings the signed agreement.
        #[ink(message, payable)]
        #[inline(never)]
        pub fn create_tpc(&mut self, creation: TpcCreation, signatures: [Signature; 2]) -> Result<TpcId, Error> {
            let value = self.env().transferred_value();
            finish(tpc::create_tpc(self, &creation, &signatures, value))
        }

        /// Puts newer states of any channels on chain, all or none, and answers how many channels moved. Anyone may bring
        /// them, also as the answer to a dispute.
        ///
        /// A channel that is at a newer state, or whose owners have ended the entry's epoch together, is passed over. An
        /// entry that a dispute has settled or renewed below it makes the whole update void, for ever. `owners` prove whose
        /// each channel is, in the order of the entries.
        #[ink(message)]
        #[inline(never)]
        pub fn update(
            &mut self,
            update: Update,
            owners: Vec<Owners>,
            signatures: Vec<PartySignature>,
        ) -> Result<u32, Error> {
            finish(update::update(self, &update, &owners, &signatures))
        }

        /// Puts several updates on chain, each whole or not at all by itself, and answers how many were. Anyone may bring
        /// them.
        #[ink(message)]
        #[inline(never)]
        pub fn update_all(&mut self, updates: Vec<SignedUpdate>) -> Result<u32, Error> {
            finish(update::update_all(self, &updates))
        }

        /// Ends a channel and pays its last state out. An owner brings the signed agreement.
        ///
        /// An account that cannot receive its part finds it in the ledger, and so does everybody a token.
        #[ink(message)]
        #[inline(never)]
        pub fn close_tpc(&mut self, close: TpcClose, signatures: [Signature; 2]) -> Result<(), Error> {
            finish(tpc::close_tpc(self, &close, &signatures))
        }

        /// Puts more of the owners' ledger funds into a channel. An owner brings the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn top_up_tpc(&mut self, top_up: TpcTopUp, signatures: [Signature; 2]) -> Result<(), Error> {
            finish(tpc::top_up_tpc(self, &top_up, &signatures))
        }

        /// Pays a part of a channel out. An owner brings the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn withdraw_tpc(&mut self, withdrawal: TpcWithdrawal, signatures: [Signature; 2]) -> Result<(), Error> {
            finish(tpc::withdraw_tpc(self, &withdrawal, &signatures))
        }

        /// Turns channels of the same owners and asset into others with the same sum, and answers their ids. An owner
        /// brings the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn split_tpc(&mut self, split: TpcSplit, signatures: [Signature; 2]) -> Result<Vec<TpcId>, Error> {
            finish(tpc::split_tpc(self, &split, &signatures))
        }

        /// Starts the clocks of channels of the caller, after which they wait to be settled, or are renewed. Or decides
        /// that disputed channels will be settled, not renewed. Answers how many channels that did.
        #[ink(message)]
        #[inline(never)]
        pub fn dispute(&mut self, channels: Vec<TpcId>, then: Resolution) -> Result<u32, Error> {
            finish(dispute::dispute(self, &channels, then))
        }

        /// Pays channels out after their deadlines, and answers how many. Owners may at once, anyone one window later.
        #[ink(message)]
        #[inline(never)]
        pub fn settle(&mut self, channels: Vec<TpcId>) -> Result<u32, Error> {
            finish(dispute::settle(self, &channels))
        }

        /// Registers channels as a group. Anyone may bring the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn create_mpc(&mut self, creation: MpcCreation, signatures: Vec<PartySignature>) -> Result<MpcId, Error> {
            finish(mpc::create_mpc(self, &creation, &signatures))
        }

        /// Registers further channels in a group. Anyone may bring the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn join_mpc(&mut self, join: MpcJoin, signatures: Vec<PartySignature>) -> Result<(), Error> {
            finish(mpc::join_mpc(self, &join, &signatures))
        }

        /// Releases channels from their group. One of their owners brings the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn leave_mpc(&mut self, leave: MpcLeave, signatures: Vec<PartySignature>) -> Result<(), Error> {
            finish(mpc::leave_mpc(self, &leave, &signatures))
        }

        /// Releases all channels of a group, and ends it. One of their owners brings the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn close_mpc(&mut self, close: MpcClose, signatures: Vec<PartySignature>) -> Result<(), Error> {
            finish(mpc::close_mpc(self, &close, &signatures))
        }

        /// What an account holds outside of channels.
        #[ink(message)]
        #[inline(never)]
        pub fn ledger_balance(&self, account: AccountId, asset: Asset) -> Balance {
            self.ledger(account, asset)
        }

        /// A channel as it counts now: renewed, if it was to be renewed and its deadline has passed.
        #[ink(message)]
        #[inline(never)]
        pub fn tpc(&self, id: TpcId) -> Option<Tpc> {
            contract::tpc(self, id)
        }

        /// The version at which a dispute has ended an epoch of a channel, for ever. An update with a higher version of
        /// that epoch is void.
        #[ink(message)]
        #[inline(never)]
        pub fn ended(&self, id: TpcId, epoch: Epoch) -> Option<Version> {
            contract::ended(self, id, epoch)
        }

        /// A registered group.
        #[ink(message)]
        #[inline(never)]
        pub fn mpc(&self, id: MpcId) -> Option<Mpc> {
            Host::mpc(self, id)
        }

        /// How many channels two accounts, in either order, have created: the nonce of their next one.
        #[ink(message)]
        #[inline(never)]
        pub fn next_nonce(&self, parties: [AccountId; 2]) -> Nonce {
            let [a, b] = parties;
            self.nonce([a.min(b), a.max(b)])
        }

        /// Where signatures for this contract are good.
        #[ink(message)]
        #[inline(never)]
        pub fn domain(&self) -> Domain {
            self.domain
        }
    }

    /// Ends a message that succeeded. Otherwise ink! would write the root cell, which no message changes, for 168 µs.
    fn finish<T: Encode>(outcome: Result<T, Error>) -> Result<T, Error> {
        #[cfg(target_arch = "wasm32")]
        if outcome.is_ok() {
            let answer: Result<&Result<T, Error>, ink::LangError> = Ok(&outcome);
            ink::env::return_value(ink::env::ReturnFlags::empty(), &answer);
        }
        outcome
    }

    impl Crypto for Channels {
        fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
            let mut digest = [0; 32];
            ink::env::hash_bytes::<ink::env::hash::Blake2x256>(data, &mut digest);
            digest
        }

        fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
            ink::env::sr25519_verify(signature, message, signer).is_ok()
        }
    }

    impl Host for Channels {
        fn domain(&self) -> Domain {
            self.domain
        }

        fn caller(&self) -> AccountId {
            self.env().caller()
        }

        fn now(&self) -> Timestamp {
            self.env().block_timestamp()
        }

        fn ledger(&self, account: AccountId, asset: Asset) -> Balance {
            self.ledger.get((account, asset)).unwrap_or_default()
        }

        fn set_ledger(&mut self, account: AccountId, asset: Asset, balance: Balance) {
            match balance {
                0 => self.ledger.remove((account, asset)),
                balance => {
                    self.ledger.insert((account, asset), &balance);
                }
            }
        }

        fn nonce(&self, parties: [AccountId; 2]) -> Nonce {
            self.nonces.get(parties).unwrap_or_default()
        }

        fn set_nonce(&mut self, parties: [AccountId; 2], nonce: Nonce) {
            self.nonces.insert(parties, &nonce);
        }

        fn tpc(&self, id: TpcId) -> Option<Tpc> {
            self.tpcs.get(id)
        }

        fn set_tpc(&mut self, id: TpcId, tpc: Option<&Tpc>) {
            match tpc {
                None => self.tpcs.remove(id),
                Some(tpc) => {
                    self.tpcs.insert(id, tpc);
                }
            }
        }

        fn ended(&self, id: TpcId, epoch: Epoch) -> Option<Version> {
            self.ended.get((id, epoch))
        }

        fn set_ended(&mut self, id: TpcId, epoch: Epoch, version: Option<Version>) {
            match version {
                None => self.ended.remove((id, epoch)),
                Some(version) => {
                    self.ended.insert((id, epoch), &version);
                }
            }
        }

        fn mpc(&self, id: MpcId) -> Option<Mpc> {
            self.mpcs.get(id)
        }

        fn set_mpc(&mut self, id: MpcId, mpc: Option<Mpc>) {
            match mpc {
                None => self.mpcs.remove(id),
                Some(mpc) => {
                    self.mpcs.insert(id, &mpc);
                }
            }
        }

        fn pay(&mut self, account: AccountId, amount: Balance) -> bool {
            self.env().transfer(account, amount).is_ok()
        }

        fn token_balance(&mut self, token: AccountId) -> Option<Balance> {
            let arguments = self.env().account_id();
            ask(token, *b"\x65\x68\x38\x2f", arguments)
        }

        fn pull_token(&mut self, token: AccountId, from: AccountId, amount: Balance) -> bool {
            let arguments = (from, self.env().account_id(), amount, Vec::<u8>::new());
            matches!(ask::<Result<(), ()>>(token, *b"\x54\xb3\xc7\x6e", arguments), Some(Ok(())))
        }

        fn push_token(&mut self, token: AccountId, to: AccountId, amount: Balance) -> bool {
            let arguments = (to, amount, Vec::<u8>::new());
            matches!(ask::<Result<(), ()>>(token, *b"\xdb\x20\xf9\xf5", arguments), Some(Ok(())))
        }

        fn tell(&mut self, event: impl Told) {
            ink::env::emit_event::<DefaultEnvironment, _>(event);
        }
    }

    /// Calls a message of a PSP22 token by its selector, which the standard fixes. `None` if the token does not answer.
    ///
    /// Nobody can call this contract meanwhile: re-entrance is denied unless a call allows it.
    fn ask<T: Decode>(token: AccountId, selector: [u8; 4], arguments: impl Encode) -> Option<T> {
        let call = build_call::<DefaultEnvironment>()
            .call_v1(token)
            .exec_input(ExecutionInput::new(Selector::new(selector)).push_arg(arguments))
            .returns::<T>();
        call.try_invoke().ok()?.ok()
    }
}
