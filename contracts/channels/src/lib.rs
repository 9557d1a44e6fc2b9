//! Braid's contract: the ledger, the two-party channels and the multi-party channels of one deployment.
//!
//! It keeps storage, funds, the clock and events. Every decision is `protocol`'s.
//!
//! No message is inlined into ink!'s dispatch: a call is charged for the length of each function that it enters, and so
//! only for that of its own message.
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
        rules, Action, Crypto, Domain, Entry, Error, Mpc, MpcClose, MpcCreation, MpcId, MpcJoin, MpcLeave, MpcUpdate,
        Nonce, Owners, PartySignature, Signature, Tpc, TpcClose, TpcCreation, TpcId, TpcSplit, TpcTopUp, TpcWithdrawal,
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
        #[inline(never)]
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
        #[inline(never)]
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
        #[inline(never)]
        pub fn create_tpc(&mut self, creation: TpcCreation, signatures: [Signature; 2]) -> Result<TpcId, Error> {
            rules::check_valid(self.env().block_timestamp(), creation.valid_until)?;
            let created = self.next_nonce(creation.parties);
            let tpc = rules::create_tpc(&creation, created)?;
            self.check_both(Action::CreateTpc(&creation), &tpc, &signatures)?;
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

        /// Puts a newer state of a channel that stands alone on chain. Anyone may bring it, also as the answer to a dispute.
        #[ink(message)]
        #[inline(never)]
        pub fn update_tpc(&mut self, entry: Entry, signatures: [Signature; 2]) -> Result<(), Error> {
            let tpc = rules::advance(&self.alone(entry.tpc, ActionKind::UpdateTpc)?, &entry)?;
            self.check_both(Action::UpdateTpc(&entry), &tpc, &signatures)?;
            self.tpcs.insert(entry.tpc, &tpc);
            let Entry { tpc, epoch, version, balances } = entry;
            self.env().emit_event(TpcUpdated { tpc, epoch, version, balances });
            Ok(())
        }

        /// Ends a channel that stands alone and pays its last state out. Anyone may bring the signed agreement.
        ///
        /// An account that cannot receive its part finds it in the ledger.
        #[ink(message)]
        #[inline(never)]
        pub fn close_tpc(&mut self, close: TpcClose, signatures: [Signature; 2]) -> Result<(), Error> {
            rules::check_valid(self.env().block_timestamp(), close.valid_until)?;
            let id = close.last.tpc;
            let tpc = rules::advance(&self.alone(id, ActionKind::CloseTpc)?, &close.last)?;
            self.check_both(Action::CloseTpc(&close), &tpc, &signatures)?;
            self.tpcs.remove(id);
            let credited = self.pay_out(&tpc.parties, tpc.balances)?;
            self.env().emit_event(TpcClosed { tpc: id, balances: tpc.balances, credited });
            Ok(())
        }

        /// Puts more of the owners' ledger funds into a channel that stands alone. Anyone may bring the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn top_up_tpc(&mut self, top_up: TpcTopUp, signatures: [Signature; 2]) -> Result<(), Error> {
            rules::check_valid(self.env().block_timestamp(), top_up.valid_until)?;
            let id = top_up.snapshot.tpc;
            let tpc = rules::top_up(&self.alone(id, ActionKind::TopUpTpc)?, &top_up)?;
            self.check_both(Action::TopUpTpc(&top_up), &tpc, &signatures)?;
            for (party, amount) in tpc.parties.iter().zip(top_up.added) {
                self.debit(*party, amount)?;
            }
            self.tpcs.insert(id, &tpc);
            self.env().emit_event(TpcToppedUp { tpc: id, epoch: tpc.epoch, balances: tpc.balances });
            Ok(())
        }

        /// Pays a part of a channel that stands alone out. Anyone may bring the signed agreement.
        ///
        /// An account that cannot receive its amount finds it in the ledger.
        #[ink(message)]
        #[inline(never)]
        pub fn withdraw_tpc(&mut self, withdrawal: TpcWithdrawal, signatures: [Signature; 2]) -> Result<(), Error> {
            rules::check_valid(self.env().block_timestamp(), withdrawal.valid_until)?;
            let id = withdrawal.snapshot.tpc;
            let tpc = rules::withdraw(&self.alone(id, ActionKind::WithdrawTpc)?, &withdrawal)?;
            self.check_both(Action::WithdrawTpc(&withdrawal), &tpc, &signatures)?;
            self.tpcs.insert(id, &tpc);
            let credited = self.pay_out(&tpc.parties, withdrawal.amounts)?;
            let (epoch, balances, amounts) = (tpc.epoch, tpc.balances, withdrawal.amounts);
            self.env().emit_event(TpcWithdrawn { tpc: id, epoch, balances, amounts, credited });
            Ok(())
        }

        /// Puts a channel's newer division into parts on chain. Anyone may bring it, also as the answer to a dispute.
        ///
        /// The channel and every part of an earlier division that is left must stand alone: what they hold is divided anew.
        #[ink(message)]
        #[inline(never)]
        pub fn split_tpc(&mut self, split: TpcSplit, signatures: [Signature; 2]) -> Result<(), Error> {
            let id = split.tpc;
            let whole = self.alone(id, ActionKind::SplitTpc)?;
            let mut earlier = Vec::new();
            let mut others = Vec::new();
            for index in 1..=whole.split.map_or(0, |split| split.others) {
                let part = id.part(&Host, whole.split.map_or(0, |split| split.epoch), index);
                if self.tpcs.contains(part) {
                    others.push(self.alone(part, ActionKind::SplitTpc)?);
                    earlier.push(part);
                }
            }
            let parts = rules::split(&whole, &others, &split)?;
            self.check_both(Action::SplitTpc(&split), &whole, &signatures)?;
            earlier.iter().for_each(|part| self.tpcs.remove(part));
            for (index, part) in (0..).zip(&parts) {
                self.tpcs.insert(id.part(&Host, split.epoch, index), part);
            }
            self.env().emit_event(TpcDivided { tpc: id, epoch: split.epoch, parts: split.parts });
            Ok(())
        }

        /// Starts the clock of a channel that stands alone. Only an owner may. Answers the deadline, until which newer
        /// states are accepted.
        #[ink(message)]
        #[inline(never)]
        pub fn dispute_tpc(&mut self, id: TpcId) -> Result<Timestamp, Error> {
            let tpc = self.alone(id, ActionKind::DisputeTpc)?;
            rules::check_owner(id, &tpc, &self.env().caller())?;
            let deadline = rules::deadline(self.env().block_timestamp(), tpc.window)?;
            self.put_disputed(id, tpc, deadline);
            Ok(deadline)
        }

        /// Pays a disputed channel out after its deadline. Anyone may.
        ///
        /// An account that cannot receive its part finds it in the ledger.
        #[ink(message)]
        #[inline(never)]
        pub fn settle_tpc(&mut self, id: TpcId) -> Result<(), Error> {
            let Tpc { parties, balances, .. } = self.alone(id, ActionKind::SettleTpc)?;
            self.tpcs.remove(id);
            let credited = self.pay_out(&parties, balances)?;
            self.env().emit_event(TpcSettled { tpc: id, balances, credited });
            Ok(())
        }

        /// Braids channels into a multi-party channel. Anyone may bring the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn create_mpc(&mut self, creation: MpcCreation, signatures: Vec<PartySignature>) -> Result<MpcId, Error> {
            rules::check_valid(self.env().block_timestamp(), creation.valid_until)?;
            rules::check_window(creation.window)?;
            let payload = self.payload(Action::CreateMpc(&creation));
            let id = MpcId(payload);
            let channels = self.enter(id, &creation.entries, ActionKind::CreateMpc, &payload, &signatures)?;
            self.mpcs.insert(id, &Mpc { channels, window: creation.window, deadline: None });
            self.env().emit_event(MpcCreated { mpc: id, channels });
            self.tell_entered(id, &creation.entries);
            Ok(id)
        }

        /// Brings further channels into a multi-party channel. Anyone may bring the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn join_mpc(&mut self, join: MpcJoin, signatures: Vec<PartySignature>) -> Result<(), Error> {
            rules::check_valid(self.env().block_timestamp(), join.valid_until)?;
            let mpc = self.group(join.mpc, ActionKind::JoinMpc)?;
            let member = self.tpcs.get(join.member).ok_or(Error::UnknownTpc(join.member))?;
            rules::check_invited(join.mpc, join.member, &member, &signatures)?;
            let payload = self.payload(Action::JoinMpc(&join));
            let joined = self.enter(join.mpc, &join.entries, ActionKind::JoinMpc, &payload, &signatures)?;
            let channels = mpc.channels.checked_add(joined).ok_or(Error::Overflow)?;
            self.mpcs.insert(join.mpc, &Mpc { channels, ..mpc });
            self.tell_entered(join.mpc, &join.entries);
            Ok(())
        }

        /// Puts newer states of any channels of a multi-party channel on chain and answers how many moved. Anyone may
        /// bring it, also as the answer to a dispute.
        ///
        /// A channel that has moved on or left since the update was signed is passed over, but its owners must have
        /// signed too: `gone` proves who they are where nothing of the channel is stored, in the order of the entries.
        #[ink(message)]
        #[inline(never)]
        pub fn update_mpc(
            &mut self,
            update: MpcUpdate,
            signatures: Vec<PartySignature>,
            gone: Vec<Owners>,
        ) -> Result<u32, Error> {
            self.group(update.mpc, ActionKind::UpdateMpc)?;
            rules::check_entries(&update.entries)?;
            let now = self.env().block_timestamp();
            let mut gone = gone.iter();
            let mut owners = Vec::with_capacity(update.entries.len());
            let mut moved = Vec::with_capacity(update.entries.len());
            for entry in &update.entries {
                let tpc = self.tpcs.get(entry.tpc);
                // Whether another group stands makes no difference here: that channel is passed over.
                let phase = TpcPhase::of(tpc.as_ref(), Some(update.mpc), now, |_| true);
                let verdict = tpc_admits(phase, ActionKind::UpdateMpc, entry.tpc)?;
                let Some(tpc) = tpc else {
                    let proof = gone.find(|owners| owners.tpc(&Host) == entry.tpc);
                    owners.push(proof.ok_or(Error::UnknownTpc(entry.tpc))?.parties);
                    continue;
                };
                owners.push(tpc.parties);
                if let (Verdict::Admit, Some(tpc)) = (verdict, rules::advance_in_mpc(&tpc, entry)) {
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

        /// Takes channels out of a multi-party channel at their last states. Anyone may bring the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn leave_mpc(&mut self, leave: MpcLeave, signatures: Vec<PartySignature>) -> Result<(), Error> {
            rules::check_valid(self.env().block_timestamp(), leave.valid_until)?;
            let mpc = self.group(leave.mpc, ActionKind::LeaveMpc)?;
            let members = self.members(leave.mpc, &leave.entries, ActionKind::LeaveMpc)?;
            let payload = self.payload(Action::LeaveMpc(&leave));
            rules::check_all(&Host, &payload, members.iter().map(|tpc| &tpc.parties), &signatures)?;
            for (entry, tpc) in leave.entries.iter().zip(&members) {
                self.tpcs.insert(entry.tpc, &rules::leave(tpc, entry)?);
            }
            for entries in leave.entries.chunks(TPCS_PER_EVENT) {
                let tpcs = entries.iter().map(|entry| entry.tpc).collect();
                self.env().emit_event(MpcLeft { mpc: leave.mpc, tpcs });
            }
            let left = u32::try_from(members.len()).map_err(|_| Error::Overflow)?;
            match mpc.channels.checked_sub(left).ok_or(Error::Overflow)? {
                0 => {
                    self.mpcs.remove(leave.mpc);
                    self.env().emit_event(MpcClosed { mpc: leave.mpc });
                }
                channels => {
                    self.mpcs.insert(leave.mpc, &Mpc { channels, ..mpc });
                }
            }
            Ok(())
        }

        /// Ends a multi-party channel and releases each of its channels at its last state.
        ///
        /// Anyone may bring the signed agreement.
        #[ink(message)]
        #[inline(never)]
        pub fn close_mpc(&mut self, close: MpcClose, signatures: Vec<PartySignature>) -> Result<(), Error> {
            rules::check_valid(self.env().block_timestamp(), close.valid_until)?;
            let Mpc { channels, .. } = self.group(close.mpc, ActionKind::CloseMpc)?;
            if usize::try_from(channels) != Ok(close.entries.len()) {
                return Err(Error::ChannelsMissing { expected: channels });
            }
            let members = self.members(close.mpc, &close.entries, ActionKind::CloseMpc)?;
            let mut moved = Vec::new();
            for (entry, tpc) in close.entries.iter().zip(&members) {
                moved.extend(rules::release(tpc, entry)?.map(|tpc| (entry.tpc, tpc)));
            }
            let payload = self.payload(Action::CloseMpc(&close));
            rules::check_all(&Host, &payload, members.iter().map(|tpc| &tpc.parties), &signatures)?;
            self.put_moved(close.mpc, &moved);
            self.mpcs.remove(close.mpc);
            self.env().emit_event(MpcClosed { mpc: close.mpc });
            Ok(())
        }

        /// Starts the clock of a multi-party channel: after the deadline its channels stand alone, at the states that are
        /// on chain then. Only an owner of `member`, a channel in it, may.
        ///
        /// The `exits`, channels of the caller in the group, are disputed with it, so that they are settled to the
        /// accounts after the same deadline. Answers the deadline.
        #[ink(message)]
        #[inline(never)]
        pub fn dispute_mpc(&mut self, id: MpcId, member: TpcId, exits: Vec<TpcId>) -> Result<Timestamp, Error> {
            let mpc = self.group(id, ActionKind::DisputeMpc)?;
            let caller = self.env().caller();
            let now = self.env().block_timestamp();
            let deadline = rules::deadline(now, mpc.window)?;
            let mut disputed = Vec::with_capacity(exits.len());
            for tpc in core::iter::once(member).chain(exits) {
                let stored = self.tpcs.get(tpc);
                let phase = TpcPhase::of(stored.as_ref(), Some(id), now, |_| true);
                tpc_admits(phase, ActionKind::DisputeMpc, tpc)?;
                let stored = stored.ok_or(Error::UnknownTpc(tpc))?;
                rules::check_owner(tpc, &stored, &caller)?;
                disputed.push((tpc, stored));
            }
            self.mpcs.insert(id, &Mpc { deadline: Some(deadline), ..mpc });
            self.env().emit_event(MpcDisputed { mpc: id, deadline });
            for (tpc, stored) in disputed.into_iter().skip(1) {
                self.put_disputed(tpc, stored, deadline);
            }
            Ok(deadline)
        }

        /// Removes what is left of a multi-party channel after its deadline. Anyone may; its channels need it not.
        #[ink(message)]
        #[inline(never)]
        pub fn settle_mpc(&mut self, id: MpcId) -> Result<(), Error> {
            self.group(id, ActionKind::SettleMpc)?;
            self.mpcs.remove(id);
            self.env().emit_event(MpcSettled { mpc: id });
            Ok(())
        }

        /// What an account holds outside of channels, in planck.
        #[ink(message)]
        #[inline(never)]
        pub fn ledger_balance(&self, account: AccountId) -> Balance {
            self.ledger.get(account).unwrap_or_default()
        }

        /// A channel. Its `mpc` is set exactly while it is busy.
        #[ink(message)]
        #[inline(never)]
        pub fn tpc(&self, id: TpcId) -> Option<Tpc> {
            let tpc = self.tpcs.get(id)?;
            let mpc = tpc.mpc.filter(|mpc| self.groups().stands(self, *mpc));
            Some(Tpc { mpc, ..tpc })
        }

        /// A multi-party channel.
        #[ink(message)]
        #[inline(never)]
        pub fn mpc(&self, id: MpcId) -> Option<Mpc> {
            self.mpcs.get(id)
        }

        /// How many channels a pair (ascending) has created: the nonce of its next one.
        #[ink(message)]
        #[inline(never)]
        pub fn next_nonce(&self, parties: [AccountId; 2]) -> Nonce {
            self.nonces.get(parties).unwrap_or_default()
        }

        /// Where signatures for this contract are good.
        #[ink(message)]
        #[inline(never)]
        pub fn domain(&self) -> Domain {
            self.domain
        }

        fn payload(&self, action: Action) -> [u8; 32] {
            action.payload(&Host, &self.domain)
        }

        fn groups(&self) -> Groups {
            Groups { now: self.env().block_timestamp(), last: None }
        }

        fn check_both(&self, action: Action, tpc: &Tpc, signatures: &[Signature; 2]) -> Result<(), Error> {
            rules::check_both(&Host, &self.payload(action), &tpc.parties, signatures)
        }

        /// A channel that stands alone, for an action that names no multi-party channel.
        fn alone(&self, id: TpcId, action: ActionKind) -> Result<Tpc, Error> {
            self.outside(&mut self.groups(), id, action)
        }

        fn outside(&self, groups: &mut Groups, id: TpcId, action: ActionKind) -> Result<Tpc, Error> {
            let tpc = self.tpcs.get(id);
            let phase = TpcPhase::of(tpc.as_ref(), None, groups.now, |mpc| groups.stands(self, mpc));
            tpc_admits(phase, action, id)?;
            tpc.ok_or(Error::UnknownTpc(id))
        }

        /// A multi-party channel that `action` may name now.
        fn group(&self, id: MpcId, action: ActionKind) -> Result<Mpc, Error> {
            let mpc = self.mpcs.get(id);
            mpc_admits(MpcPhase::of(mpc.as_ref(), self.env().block_timestamp()), action, id)?;
            mpc.ok_or(Error::UnknownMpc(id))
        }

        /// The channels of a multi-party channel that stands, one for each entry.
        fn members(&self, mpc: MpcId, entries: &[Entry], action: ActionKind) -> Result<Vec<Tpc>, Error> {
            rules::check_entries(entries)?;
            let now = self.env().block_timestamp();
            let member = |entry: &Entry| {
                let tpc = self.tpcs.get(entry.tpc);
                // A channel of another group is no member, whether or not that one stands.
                tpc_admits(TpcPhase::of(tpc.as_ref(), Some(mpc), now, |_| true), action, entry.tpc)?;
                tpc.ok_or(Error::UnknownTpc(entry.tpc))
            };
            entries.iter().map(member).collect()
        }

        /// Brings channels that stand alone into a multi-party channel, and answers how many.
        fn enter(
            &mut self,
            mpc: MpcId,
            entries: &[Entry],
            action: ActionKind,
            payload: &[u8; 32],
            signatures: &[PartySignature],
        ) -> Result<u32, Error> {
            rules::check_entries(entries)?;
            let mut groups = self.groups();
            let mut tpcs = Vec::with_capacity(entries.len());
            for entry in entries {
                tpcs.push(rules::enter(&self.outside(&mut groups, entry.tpc, action)?, entry, mpc)?);
            }
            rules::check_all(&Host, payload, tpcs.iter().map(|tpc| &tpc.parties), signatures)?;
            for (entry, tpc) in entries.iter().zip(&tpcs) {
                self.tpcs.insert(entry.tpc, tpc);
            }
            u32::try_from(entries.len()).map_err(|_| Error::Overflow)
        }

        fn tell_entered(&self, mpc: MpcId, entries: &[Entry]) {
            for entries in entries.chunks(TPCS_PER_EVENT) {
                let tpcs = entries.iter().map(|entry| entry.tpc).collect();
                self.env().emit_event(MpcEntered { mpc, tpcs });
            }
        }

        fn put_disputed(&mut self, id: TpcId, tpc: Tpc, deadline: Timestamp) {
            let Tpc { epoch, version, .. } = tpc;
            self.tpcs.insert(id, &Tpc { deadline: Some(deadline), ..tpc });
            self.env().emit_event(TpcDisputed { tpc: id, deadline, epoch, version });
        }

        /// Pays both owners, and tells whose amount went to the ledger because the account could not receive it.
        fn pay_out(&mut self, parties: &[AccountId; 2], amounts: [Balance; 2]) -> Result<[bool; 2], Error> {
            let mut credited = [false; 2];
            for ((party, amount), credited) in parties.iter().zip(amounts).zip(&mut credited) {
                if amount > 0 && self.env().transfer(*party, amount).is_err() {
                    self.credit(*party, amount)?;
                    *credited = true;
                }
            }
            Ok(credited)
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

    /// Remembers whether the multi-party channel asked for last stands: the channels of a group that re-forms all point
    /// to the same old one, and each look-up costs a storage read.
    struct Groups {
        now: Timestamp,
        last: Option<(MpcId, bool)>,
    }

    impl Groups {
        fn stands(&mut self, channels: &Channels, mpc: MpcId) -> bool {
            match self.last {
                Some((last, stands)) if last == mpc => stands,
                _ => {
                    let stands = channels.mpcs.get(mpc).is_some_and(|mpc| mpc.stands(self.now));
                    self.last = Some((mpc, stands));
                    stands
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
