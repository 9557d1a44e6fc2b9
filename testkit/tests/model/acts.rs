//! What is asked of X, and what the adversary makes of X's signatures.

use crate::{
    common::{id_of, HERE},
    scenario::{Slot, M, N, TICK, X},
    world::{Draft, Model, What, World},
};
use engine::{
    message::{Agreement, Message, Move, Right, RoundId, Standing},
    Call, Command, Input, Native, Signer,
};
use protocol::{
    abi, AccountId, Entry, Owners, PartySignature, Resolution, Signature, TpcClose, TpcTopUp, TpcWithdrawal, Update,
    Version,
};

/// Between the versions of drafts on foreign channels, the adversary has room for its own.
const STEP: Version = 10;

/// How long agreements are good, in blocks.
const VALID: u64 = 2;

impl Model {
    /// M asks X for what is in a slot, or X's application commands it. `None` if X does not do it.
    pub fn ask(&mut self, world: &mut World, slot: usize) -> Option<()> {
        world.asked |= 1 << slot;
        let before = world.drafts.len();
        match self.scenario.slots[slot].clone() {
            Slot::Update(channels, payments) => self.ask_update(world, slot, &channels, &payments)?,
            Slot::Turn(channel, payment) => self.ask_in_turn(world, slot, channel, payment)?,
            Slot::Close(channel) => {
                let (last, valid_until) = self.last(world, channel)?;
                self.ask_to_agree(world, Agreement::Close(TpcClose { last, valid_until }));
            }
            Slot::TopUp(channel) => {
                let (last, valid_until) = self.last(world, channel)?;
                let added = self.of_m(channel);
                self.ask_to_agree(world, Agreement::TopUp(TpcTopUp { last, added, valid_until }));
            }
            Slot::Withdraw(channel) => {
                let (last, valid_until) = self.last(world, channel)?;
                let amounts = self.of_m(channel);
                self.ask_to_agree(world, Agreement::Withdraw(TpcWithdrawal { last, amounts, valid_until }));
            }
            Slot::Lead(payment) => {
                let pay = self.scenario.pay(payment);
                self.input(world, pay);
                return Some(());
            }
            Slot::Leave => {
                self.leave(world);
                return Some(());
            }
            Slot::Renew(channel) => {
                let channels = vec![self.scenario.channels[channel].tpc];
                self.input(world, Input::Command(Command::Dispute { channels, then: Resolution::Renew }));
                return Some(());
            }
        }
        (world.drafts.len() > before).then_some(())
    }

    /// X disputes all its channels that will not be settled yet (rule S8).
    pub fn leave(&mut self, world: &mut World) {
        let to_dispute = |tpc: &protocol::TpcId| {
            let channel = self.engine(world).channel(tpc).filter(|channel| !channel.on_chain.gone);
            let dispute = channel.map(|channel| channel.on_chain.dispute);
            dispute.is_some_and(|dispute| dispute.is_none_or(|dispute| dispute.then == Resolution::Renew))
        };
        let own = self.scenario.own().map(|(_, channel)| channel.tpc);
        let channels: Vec<_> = own.filter(to_dispute).collect();
        if !channels.is_empty() {
            self.input(world, Input::Command(Command::Dispute { channels, then: Resolution::Settle }));
        }
    }

    /// The next state of a channel from X's newest, or from the chain's if it is foreign.
    fn next_entry(&self, world: &World, slot: usize, channel: usize, payments: &[usize]) -> Option<Entry> {
        let known = &self.scenario.channels[channel];
        let Some(own) = known.own else {
            let stored = self.stored(world, channel)?;
            let place = if self.scenario.reversed { self.scenario.slots.len() - slot } else { slot + 1 };
            let version = (place as Version * STEP).max(stored.version + 1);
            return Some(Entry { version, ..stored.entry(known.tpc) });
        };
        let of_x = self.engine(world).channel(&known.tpc)?;
        let version = of_x.latest.version.max(of_x.signed).max(of_x.seen) + 1;
        let change: i128 = payments.iter().map(|payment| self.scenario.change(*payment, channel)).sum();
        let mut balances = of_x.latest.balances;
        balances[own] = balances[own].checked_add_signed(change)?;
        balances[1 - own] = balances[1 - own].checked_add_signed(-change)?;
        Some(Entry { version, balances, ..of_x.latest })
    }

    fn ask_update(&mut self, world: &mut World, slot: usize, channels: &[usize], payments: &[usize]) -> Option<()> {
        let mut drafted = vec![];
        for channel in channels {
            drafted.push((self.next_entry(world, slot, *channel, payments)?, self.scenario.channels[*channel].owners));
        }
        drafted.sort_by_key(|(entry, _)| entry.tpc);
        let (entries, owners): (Vec<_>, Vec<_>) = drafted.into_iter().unzip();
        let payments: Vec<_> = payments.iter().map(|payment| self.scenario.payment(*payment)).collect();
        let round = RoundId { leader: self.account(M), number: slot as u64 };
        let right = match self.scenario.grouped {
            Some(mpc) => Right::Coordinator(mpc, 0),
            None => {
                let moves = entries.iter().map(|entry| self.moved(world, entry)).collect();
                let (payments, owners, right) = (payments.clone(), owners.clone(), Right::Consent);
                self.say(world, M, Message::Propose { round, right, payments: payments.into(), moves, owners });
                Right::Consent
            }
        };
        let update = Update { entries };
        self.say(
            world,
            M,
            Message::Update { round, right, payments: payments.into(), update, owners, signature: None },
        );
        Some(())
    }

    fn moved(&self, world: &World, entry: &Entry) -> Move {
        let latest = self.engine(world).channel(&entry.tpc).map(|channel| channel.latest.balances[0]);
        let change = latest.map_or(0, |before| entry.balances[0] as i128 - before as i128);
        Move { tpc: entry.tpc, change }
    }

    fn ask_in_turn(&mut self, world: &mut World, slot: usize, channel: usize, payment: usize) -> Option<()> {
        let mut entry = self.next_entry(world, slot, channel, &[payment])?;
        entry.version = self.turn(channel, entry.version);
        let (update, owners) = (Update { entries: vec![entry] }, vec![self.scenario.channels[channel].owners]);
        let signature = Some(self.signature(M, &id_of(&update)).signature);
        let round = RoundId { leader: self.account(M), number: slot as u64 };
        let payments = vec![self.scenario.payment(payment)];
        self.say(
            world,
            M,
            Message::Update { round, right: Right::Turn, payments: payments.into(), update, owners, signature },
        );
        Some(())
    }

    /// The next version that is M's to propose.
    fn turn(&self, channel: usize, version: Version) -> Version {
        let m = self.scenario.channels[channel].own.map_or(0, |own| 1 - own as Version);
        version + (version + m) % 2
    }

    /// An amount of M's.
    fn of_m(&self, channel: usize) -> [u128; 2] {
        match self.scenario.channels[channel].own {
            Some(0) => [0, 1_000],
            _ => [1_000, 0],
        }
    }

    /// The state that ends a channel's epoch, and until when M's proposal is good.
    fn last(&self, world: &World, channel: usize) -> Option<(Entry, u64)> {
        let entry = self.next_entry(world, 0, channel, &[])?;
        let version = self.turn(channel, entry.version);
        let now = self.arena.ledgers.get(world.ledger).now;
        Some((Entry { version, ..entry }, now + VALID * TICK))
    }

    fn ask_to_agree(&mut self, world: &mut World, agreement: Agreement) {
        let signature = self.signature(M, &agreement.id(&Native, &HERE)).signature;
        self.offered.push(agreement.clone());
        self.say(world, M, Message::Agree { agreement, signature, led: None });
    }

    /// All others consent to X's round, and say where X's channels are as X knows it.
    pub fn consent(&mut self, world: &mut World) -> Option<()> {
        let round = RoundId { leader: self.account(X), number: world.consent.take()? };
        for who in [M, N] {
            let of_who = |account: AccountId, owners: &Owners| owners.parties.contains(&account);
            let own = self.scenario.own().filter(|(_, channel)| of_who(self.account(who), &channel.owners));
            let standings: Vec<Standing> =
                own.filter_map(|(_, channel)| Some(self.engine(world).channel(&channel.tpc)?.standing())).collect();
            if !standings.is_empty() {
                self.say(world, who, Message::Consent { round, standings });
            }
        }
        Some(())
    }

    /// X is shown all the signatures of an update.
    pub fn show(&mut self, world: &mut World, place: usize) {
        let Draft { id, what, led, .. } = self.draft(world, place).clone();
        let What::Update(_, owners) = what else { return };
        let signatures = self.signatures(&id, &owners);
        if !led {
            return self.say(world, M, Message::Updated { update: id, signatures });
        }
        for who in [M, N] {
            let signed = signatures.iter().find(|signed| signed.party == self.account(who)).copied();
            if let Some(PartySignature { signature, .. }) = signed {
                self.say(world, who, Message::UpdateAgree { update: id, signature });
            }
        }
    }

    /// What brings a draft to the chain.
    pub fn publication(&self, world: &World, place: usize) -> Call {
        let Draft { id, what, entries, .. } = self.draft(world, place);
        match what {
            What::Update(update, owners) => {
                let (update, owners) = (update.clone(), owners.clone());
                let signatures = self.signatures(id, &owners);
                abi::UpdateChannels { update, owners, signatures }.into()
            }
            What::Agreement(agreement) => {
                let channel = entries.first().and_then(|entry| self.scenario.place(&entry.tpc)).unwrap();
                self.agreed_call(agreement, self.scenario.channels[channel].owners.parties)
            }
        }
    }

    /// The call of something that both owners of a channel have signed.
    pub fn agreed_call(&self, agreement: &Agreement, parties: [AccountId; 2]) -> Call {
        let id = agreement.id(&Native, &HERE);
        let signatures: [Signature; 2] = parties.map(|party| self.scenario.key(party).sign(&id));
        match agreement.clone() {
            Agreement::Close(close) => abi::CloseTpc { close, signatures }.into(),
            Agreement::TopUp(top_up) => abi::TopUpTpc { top_up, signatures }.into(),
            Agreement::Withdraw(withdrawal) => abi::WithdrawTpc { withdrawal, signatures }.into(),
            other => panic!("{other:?} is not modelled"),
        }
    }

    fn signature(&self, who: usize, id: &[u8; 32]) -> PartySignature {
        let party = self.account(who);
        PartySignature { party, signature: self.scenario.key(party).sign(id) }
    }

    /// The signatures of all owners. X has signed whatever stands in a draft.
    pub fn signatures(&self, id: &[u8; 32], owners: &[Owners]) -> Vec<PartySignature> {
        let mut parties: Vec<_> = owners.iter().flat_map(|owners| owners.parties).collect();
        parties.sort();
        parties.dedup();
        let sign = |party| PartySignature { party, signature: self.scenario.key(party).sign(id) };
        parties.into_iter().map(sign).collect()
    }
}
