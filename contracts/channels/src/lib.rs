//! Braid's contract: the ledger, the two-party channels and the multi-party channels of one deployment.
//!
//! It keeps storage, funds, the clock and events. Every decision is `protocol`'s.
#![cfg_attr(not(feature = "std"), no_std, no_main)]

/// A call's arguments go through ink!'s static buffer; by default it is too small for a group of hundreds.
#[cfg(target_arch = "wasm32")]
const _: () = assert!(ink::env::BUFFER_SIZE == 256 * 1024, "build the contract with scripts/build-contract");

#[ink::contract]
mod channels {
    use ink::{prelude::vec::Vec, storage::Mapping};
    use protocol::{
        event::*,
        phase::{mpc_admits, tpc_admits, ActionKind, MpcPhase, TpcPhase, Verdict},
        rules, Action, Crypto, Domain, Entry, Error, Mpc, MpcClose, MpcCreation, MpcId, MpcUpdate, Nonce,
        PartySignature, Signature, Tpc, TpcClose, TpcCreation, TpcId,
    };

    /// One deployment of Braid. Nothing is kept in it for what is finished, but the nonces.
    #[ink(storage)]
    pub struct Channels {
        /// Where signatures are good. Stored because a contract cannot ask for its chain's genesis hash.
        domain: Domain,
        /// What each account holds outside of channels, in planck; nothing is stored for zero.
        ledger: Mapping<AccountId, Balance>,
        /// How many channels each pair has created: so no signed creation counts twice, even after a close.
        nonces: Mapping<[AccountId; 2], Nonce>,
        /// The channels that exist.
        tpcs: Mapping<TpcId, Tpc>,
        /// The multi-party channels that exist.
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
                mpcs: Mapping::new(),
            }
        }

        /// Puts the value sent along into the caller's ledger.
        #[ink(message, payable)]
        pub fn deposit(&mut self) -> Result<(), Error> {
            let account = self.env().caller();
            let amount = self.env().transferred_value();
            if amount == 0 {
                return Err(Error::ZeroAmount);
            }
            self.credit(account, amount)?;
            self.env().emit_event(Deposited { account, amount });
            Ok(())
        }

        /// Pays `amount` planck out of the caller's ledger.
        #[ink(message)]
        pub fn withdraw(&mut self, amount: Balance) -> Result<(), Error> {
            let account = self.env().caller();
            if amount == 0 {
                return Err(Error::ZeroAmount);
            }
            self.debit(account, amount)?;
            self.env().transfer(account, amount).map_err(|_| Error::TransferFailed)?;
            self.env().emit_event(Withdrawn { account, amount });
            Ok(())
        }

        /// Opens a channel with both owners' ledger funds. Anyone may bring the signed agreement.
        #[ink(message)]
        pub fn create_tpc(&mut self, creation: TpcCreation, signatures: [Signature; 2]) -> Result<TpcId, Error> {
            rules::check_valid(self.env().block_timestamp(), creation.valid_until)?;
            let created = self.next_nonce(creation.parties);
            let tpc = rules::create_tpc(&creation, created)?;
            let payload = self.payload(Action::CreateTpc(&creation));
            rules::check_both(&Host, &payload, &tpc.parties, &signatures)?;
            for (party, amount) in tpc.parties.iter().zip(tpc.balances) {
                self.debit(*party, amount)?;
            }
            self.nonces.insert(creation.parties, &created.checked_add(1).ok_or(Error::Overflow)?);
            let id = creation.id(&Host);
            self.tpcs.insert(id, &tpc);
            let [first, second] = tpc.parties;
            self.env().emit_event(TpcCreated { tpc: id, first, second, balances: tpc.balances });
            Ok(id)
        }

        /// Puts a newer state of a channel that stands alone on chain. Anyone may bring it.
        #[ink(message)]
        pub fn update_tpc(&mut self, entry: Entry, signatures: [Signature; 2]) -> Result<(), Error> {
            let tpc = rules::advance(&self.alone(entry.tpc, ActionKind::UpdateTpc)?, &entry)?;
            let payload = self.payload(Action::UpdateTpc(&entry));
            rules::check_both(&Host, &payload, &tpc.parties, &signatures)?;
            self.tpcs.insert(entry.tpc, &tpc);
            let Entry { tpc, epoch, version, balances } = entry;
            self.env().emit_event(TpcUpdated { tpc, epoch, version, balances });
            Ok(())
        }

        /// Ends a channel that stands alone and pays its last state out. Anyone may bring the signed agreement.
        ///
        /// An account that cannot receive its part finds it in the ledger.
        #[ink(message)]
        pub fn close_tpc(&mut self, close: TpcClose, signatures: [Signature; 2]) -> Result<(), Error> {
            rules::check_valid(self.env().block_timestamp(), close.valid_until)?;
            let id = close.last.tpc;
            let tpc = rules::advance(&self.alone(id, ActionKind::CloseTpc)?, &close.last)?;
            let payload = self.payload(Action::CloseTpc(&close));
            rules::check_both(&Host, &payload, &tpc.parties, &signatures)?;
            self.tpcs.remove(id);
            let mut credited = [false; 2];
            for ((party, amount), credited) in tpc.parties.iter().zip(tpc.balances).zip(&mut credited) {
                if amount > 0 && self.env().transfer(*party, amount).is_err() {
                    self.credit(*party, amount)?;
                    *credited = true;
                }
            }
            self.env().emit_event(TpcClosed { tpc: id, balances: tpc.balances, credited });
            Ok(())
        }

        /// Braids channels into a multi-party channel. Anyone may bring the signed agreement.
        #[ink(message)]
        pub fn create_mpc(&mut self, creation: MpcCreation, signatures: Vec<PartySignature>) -> Result<MpcId, Error> {
            rules::check_valid(self.env().block_timestamp(), creation.valid_until)?;
            rules::check_entries(&creation.entries)?;
            let channels = u32::try_from(creation.entries.len()).map_err(|_| Error::Overflow)?;
            let payload = self.payload(Action::CreateMpc(&creation));
            let id = MpcId(payload);
            let mut groups = Groups::default();
            let mut tpcs = Vec::with_capacity(creation.entries.len());
            for entry in &creation.entries {
                let tpc = self.tpcs.get(entry.tpc);
                let phase = TpcPhase::of(tpc.as_ref(), None, |mpc| groups.contain(self, mpc));
                tpc_admits(phase, ActionKind::CreateMpc, entry.tpc)?;
                let tpc = tpc.ok_or(Error::UnknownTpc(entry.tpc))?;
                tpcs.push(rules::enter(&tpc, entry, id)?);
            }
            rules::check_all(&Host, &payload, tpcs.iter().map(|tpc| &tpc.parties), &signatures)?;
            self.mpcs.insert(id, &Mpc { channels });
            for (entry, tpc) in creation.entries.iter().zip(&tpcs) {
                self.tpcs.insert(entry.tpc, tpc);
            }
            self.env().emit_event(MpcCreated { mpc: id, channels });
            for entries in creation.entries.chunks(TPCS_PER_EVENT) {
                let tpcs = entries.iter().map(|entry| entry.tpc).collect();
                self.env().emit_event(MpcEntered { mpc: id, tpcs });
            }
            Ok(id)
        }

        /// Puts newer states of any channels of a multi-party channel on chain and answers how many moved.
        ///
        /// A channel that has moved on or left since the update was signed is passed over. Anyone may bring it.
        #[ink(message)]
        pub fn update_mpc(&mut self, update: MpcUpdate, signatures: Vec<PartySignature>) -> Result<u32, Error> {
            mpc_admits(MpcPhase::of(self.mpcs.get(update.mpc).as_ref()), ActionKind::UpdateMpc, update.mpc)?;
            rules::check_entries(&update.entries)?;
            let mut groups = Groups::default();
            let mut owners = Vec::with_capacity(update.entries.len());
            let mut moved = Vec::with_capacity(update.entries.len());
            for entry in &update.entries {
                let tpc = self.tpcs.get(entry.tpc);
                let phase = TpcPhase::of(tpc.as_ref(), Some(update.mpc), |mpc| groups.contain(self, mpc));
                let verdict = tpc_admits(phase, ActionKind::UpdateMpc, entry.tpc)?;
                let tpc = tpc.ok_or(Error::UnknownTpc(entry.tpc))?;
                owners.push(tpc.parties);
                if let (Verdict::Admit, Some(tpc)) = (verdict, rules::advance_in_mpc(&tpc, entry)?) {
                    moved.push((entry.tpc, tpc));
                }
            }
            if moved.is_empty() {
                return Err(Error::NothingNewer);
            }
            let payload = self.payload(Action::UpdateMpc(&update));
            rules::check_all(&Host, &payload, owners.iter(), &signatures)?;
            self.put_moved(update.mpc, &moved);
            u32::try_from(moved.len()).map_err(|_| Error::Overflow)
        }

        /// Ends a multi-party channel and releases each of its channels at its last state.
        ///
        /// Anyone may bring the signed agreement.
        #[ink(message)]
        pub fn close_mpc(&mut self, close: MpcClose, signatures: Vec<PartySignature>) -> Result<(), Error> {
            rules::check_valid(self.env().block_timestamp(), close.valid_until)?;
            let mpc = self.mpcs.get(close.mpc);
            mpc_admits(MpcPhase::of(mpc.as_ref()), ActionKind::CloseMpc, close.mpc)?;
            let Mpc { channels } = mpc.ok_or(Error::UnknownMpc(close.mpc))?;
            rules::check_entries(&close.entries)?;
            if usize::try_from(channels) != Ok(close.entries.len()) {
                return Err(Error::ChannelsMissing { expected: channels });
            }
            let mut groups = Groups::default();
            let mut owners = Vec::with_capacity(close.entries.len());
            let mut moved = Vec::new();
            for entry in &close.entries {
                let tpc = self.tpcs.get(entry.tpc);
                let phase = TpcPhase::of(tpc.as_ref(), Some(close.mpc), |mpc| groups.contain(self, mpc));
                tpc_admits(phase, ActionKind::CloseMpc, entry.tpc)?;
                let tpc = tpc.ok_or(Error::UnknownTpc(entry.tpc))?;
                owners.push(tpc.parties);
                if let Some(tpc) = rules::release(&tpc, entry)? {
                    moved.push((entry.tpc, tpc));
                }
            }
            let payload = self.payload(Action::CloseMpc(&close));
            rules::check_all(&Host, &payload, owners.iter(), &signatures)?;
            self.put_moved(close.mpc, &moved);
            self.mpcs.remove(close.mpc);
            self.env().emit_event(MpcClosed { mpc: close.mpc });
            Ok(())
        }

        /// What an account holds outside of channels, in planck.
        #[ink(message)]
        pub fn ledger_balance(&self, account: AccountId) -> Balance {
            self.ledger.get(account).unwrap_or_default()
        }

        /// A channel. Its `mpc` is set exactly while it is busy.
        #[ink(message)]
        pub fn tpc(&self, id: TpcId) -> Option<Tpc> {
            let tpc = self.tpcs.get(id)?;
            let mpc = tpc.mpc.filter(|mpc| self.mpcs.contains(mpc));
            Some(Tpc { mpc, ..tpc })
        }

        /// A multi-party channel.
        #[ink(message)]
        pub fn mpc(&self, id: MpcId) -> Option<Mpc> {
            self.mpcs.get(id)
        }

        /// How many channels a pair (ascending) has created: the nonce of its next one.
        #[ink(message)]
        pub fn next_nonce(&self, parties: [AccountId; 2]) -> Nonce {
            self.nonces.get(parties).unwrap_or_default()
        }

        /// Where signatures for this contract are good.
        #[ink(message)]
        pub fn domain(&self) -> Domain {
            self.domain
        }

        fn payload(&self, action: Action) -> [u8; 32] {
            action.payload(&Host, &self.domain)
        }

        /// A channel that stands alone, for an action that names no multi-party channel.
        fn alone(&self, id: TpcId, action: ActionKind) -> Result<Tpc, Error> {
            let tpc = self.tpcs.get(id);
            tpc_admits(TpcPhase::of(tpc.as_ref(), None, |mpc| self.mpcs.contains(mpc)), action, id)?;
            tpc.ok_or(Error::UnknownTpc(id))
        }

        fn put_moved(&mut self, mpc: MpcId, moved: &[(TpcId, Tpc)]) {
            for (id, tpc) in moved {
                self.tpcs.insert(id, tpc);
            }
            for moved in moved.chunks(TPCS_PER_EVENT) {
                let states = moved.iter().map(|(id, tpc)| (*id, tpc.epoch, tpc.version)).collect();
                self.env().emit_event(MpcUpdated { mpc, states });
            }
        }

        fn credit(&mut self, account: AccountId, amount: Balance) -> Result<(), Error> {
            let balance = rules::credit(self.ledger_balance(account), amount)?;
            self.ledger.insert(account, &balance);
            Ok(())
        }

        fn debit(&mut self, account: AccountId, amount: Balance) -> Result<(), Error> {
            if amount == 0 {
                return Ok(());
            }
            match rules::debit(account, self.ledger_balance(account), amount)? {
                0 => self.ledger.remove(account),
                balance => {
                    self.ledger.insert(account, &balance);
                }
            }
            Ok(())
        }
    }

    /// Remembers whether the multi-party channel asked for last exists: the channels of a group that re-forms all
    /// point to the same old one, and each look-up costs a storage read.
    #[derive(Default)]
    struct Groups {
        last: Option<(MpcId, bool)>,
    }

    impl Groups {
        fn contain(&mut self, channels: &Channels, mpc: MpcId) -> bool {
            match self.last {
                Some((last, exists)) if last == mpc => exists,
                _ => {
                    let exists = channels.mpcs.contains(mpc);
                    self.last = Some((mpc, exists));
                    exists
                }
            }
        }
    }

    /// The chain's host functions.
    struct Host;

    impl Crypto for Host {
        fn blake2_256(&self, data: &[u8]) -> [u8; 32] {
            let mut digest = [0; 32];
            ink::env::hash_bytes::<ink::env::hash::Blake2x256>(data, &mut digest);
            digest
        }

        fn sr25519_verify(&self, signature: &[u8; 64], message: &[u8], signer: &[u8; 32]) -> bool {
            ink::env::sr25519_verify(signature, message, signer).is_ok()
        }
    }
}
