//! Who and what there is at the start, and what can be asked of the honest party.

use crate::{
    arena::{Arena, Forgets, Party},
    common::{policy, transfer, Bench, WINDOW},
};
use engine::{
    payment::{Grantee, PaymentId, Purpose},
    record::MemoryStore,
    Command, Engine, Hop, Input, Over, Payment, Policy,
};
use protocol::{AccountId, Asset, Balance, MpcId, Owners, TpcId};
use std::fmt;
use testkit::signers::{Key, Scheme};

/// From a block to the next, in ms: half a window. So a dispute that is seen with the next block can be answered in the one
/// after it.
pub const TICK: u64 = WINDOW / 2;

/// What each owner has in each channel at first: above all that payments move.
pub const SHARE: Balance = 1_000_000;

/// X, whose engine is real, and two of whom the adversary is both.
pub const X: usize = 0;
pub const M: usize = 1;
pub const N: usize = 2;

/// A payment, by what it brings X in each channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paying {
    /// Whether X has asked for it. If not, M has.
    pub own: bool,
    /// The places of channels, and what X gains there.
    pub changes: Vec<(usize, i128)>,
}

/// Something that M or X asks for, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// An update over these channels that M leads, with these payments.
    Update(Vec<usize>, Vec<usize>),
    /// As in a lone channel: M signs first, and X has all signatures when it signs.
    Turn(usize, usize),
    /// X pays over the channels of a payment, and leads the round.
    Lead(usize),
    /// M wants to close a channel.
    Close(usize),
    /// M wants to put more into a channel.
    TopUp(usize),
    /// M wants to take out of a channel what is its own.
    Withdraw(usize),
    /// X disputes all its channels to have them settled.
    Leave,
    /// X disputes a channel to have it renewed.
    Renew(usize),
}

/// What the one who runs the engine does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Nothing: blocks come at most one late, calls reach the next block, and the disk keeps what it was given.
    Good,
    /// Blocks come later than the window allows.
    Late,
    /// Calls that bring updates do not reach the chain.
    LosesCalls,
    /// Disputes do not reach the engine.
    LosesDisputes,
    /// The updates that the engine holds do not reach the disk.
    LosesUpdates,
    /// What the engine has signed in its channels does not reach the disk.
    LosesOrders,
    /// Answers to messages leave before the disk has them.
    SendsFirst,
    /// The policy says that no time is needed to bring an update to the chain.
    Hasty,
    /// The policy says that any window is long enough.
    Careless,
}

#[derive(Clone, Debug)]
pub struct Channel {
    pub tpc: TpcId,
    pub owners: Owners,
    /// X's place among the owners. `None` for a foreign channel.
    pub own: Option<usize>,
}

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    pub channels: Vec<Channel>,
    pub payments: Vec<Paying>,
    pub slots: Vec<Slot>,
    pub host: Host,
    /// Whether M coordinates a group of all channels. If not, it asks for consent first.
    pub grouped: Option<MpcId>,
    /// How many blocks are made at most.
    pub blocks: u32,
    /// How often X's process dies at most.
    pub crashes: u8,
    /// Whether blocks may come one late.
    pub lags: bool,
    /// The epochs that a dispute of M's may renew: those below.
    pub renewals: u32,
    /// Whether later updates have lower versions on foreign channels.
    pub reversed: bool,
    pub accounts: [AccountId; 3],
    pub start: Start,
}

#[derive(Clone, Debug)]
pub struct Start {
    engine: Engine,
    store: MemoryStore,
    ledger: testkit::ledger::Ledger,
    number: u32,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.slots)?;
        for (what, holds) in [
            ("a crash", self.crashes > 0),
            ("lag", self.lags),
            ("renewals", self.renewals > 0),
            ("reversed", self.reversed),
        ] {
            if holds {
                write!(f, ", {what}")?;
            }
        }
        match self.host {
            Host::Good => Ok(()),
            host => write!(f, ", {host:?}"),
        }
    }
}

/// A payment to X over one channel.
pub fn gift(channel: usize) -> Paying {
    Paying { own: false, changes: vec![(channel, 1)] }
}

/// A payment of which X passes on a part from one channel to another.
pub fn through(from: usize, to: usize) -> Paying {
    Paying { own: false, changes: vec![(from, -1), (to, 2)] }
}

/// A payment that X asks for.
pub fn paid(channels: &[usize]) -> Paying {
    Paying { own: true, changes: channels.iter().map(|channel| (*channel, -1)).collect() }
}

impl Scenario {
    /// Channels by the letters of their owners, in a group that M coordinates. `!` marks one whose window is short.
    pub fn new(names: &[&str], payments: &[Paying], slots: &[Slot], host: Host) -> Self {
        Self::build(names, payments, slots, host, true)
    }

    /// The same, with every channel alone.
    pub fn alone(names: &[&str], payments: &[Paying], slots: &[Slot], host: Host) -> Self {
        Self::build(names, payments, slots, host, false)
    }

    fn build(names: &[&str], payments: &[Paying], slots: &[Slot], host: Host, grouped: bool) -> Self {
        let reaction = if host == Host::Hasty { 0 } else { 2 * TICK };
        let min_window = if host == Host::Careless { 0 } else { WINDOW };
        let mut policies = vec![policy(); 3];
        policies[X] = Policy { reaction, min_window, ..policy() };
        let mut bench = Bench::with(Scheme::Symbols, policies);
        let mut channels = vec![];
        for name in names {
            let ends: Vec<usize> = name.chars().filter_map(|letter| "XMN".find(letter)).collect();
            let tpc = match name.contains('!') {
                true => open_short(&mut bench, ends[0], ends[1]),
                false => bench.open(ends[0], ends[1], SHARE, SHARE),
            };
            let owners = bench.owners(tpc);
            let own = owners.parties.iter().position(|party| *party == bench.account(X));
            channels.push(Channel { tpc, owners, own });
        }
        let tpcs: Vec<_> = channels.iter().map(|channel| channel.tpc).collect();
        let group = grouped.then(|| bench.group(M, &tpcs, M, false));
        let grantee = group.map_or(Grantee::Party(bench.account(M)), Grantee::Group);
        bench.permit(X, grantee, Purpose::PassOn);
        let scenario = Self {
            name: format!("{} {}", names.join(" "), if grouped { "in a group" } else { "alone" }),
            channels,
            payments: payments.to_vec(),
            slots: slots.to_vec(),
            host,
            grouped: group,
            blocks: 4,
            crashes: 0,
            lags: false,
            renewals: 0,
            reversed: false,
            accounts: [X, M, N].map(|who| bench.account(who)),
            start: Start {
                engine: bench.engine(X).clone(),
                store: MemoryStore::default(),
                ledger: bench.ledger.clone(),
                number: bench.made.len() as u32,
            },
        };
        scenario.started(bench)
    }

    /// X asks for what it pays within the group. The adversary keeps that.
    fn started(mut self, mut bench: Bench) -> Self {
        for (payment, paying) in self.payments.iter().enumerate() {
            if let (true, Some(mpc)) = (paying.own, self.grouped) {
                let transfers = self.payment(payment).transfers;
                bench.pay(X, transfers, crate::common::over(mpc));
            }
        }
        self.start.engine = bench.engine(X).clone();
        self.start.store = bench.nodes[X].store.clone();
        // The next block.
        self.start.ledger.now += TICK;
        self
    }

    fn forgets(&self) -> Forgets {
        match self.host {
            Host::LosesUpdates => Forgets::Kind(3),
            Host::LosesOrders => Forgets::Kind(1),
            Host::SendsFirst => Forgets::Messages,
            _ => Forgets::Nothing,
        }
    }

    pub fn arena(&self) -> Arena {
        Arena::new(self.forgets(), 1, self.channels.iter().map(|channel| channel.tpc).collect())
    }

    /// The party, the ledger in which the next block is made, and the number of the last block.
    pub fn start(&self) -> (Party, testkit::ledger::Ledger, u32) {
        let Start { engine, store, ledger, number } = self.start.clone();
        (Party::new(engine, store, self.forgets()), ledger, number)
    }

    /// The adversary's keys.
    pub fn key(&self, account: AccountId) -> Key {
        (1..=3).map(|number| Key::new(Scheme::Symbols, number)).find(|key| key_of(key) == account).unwrap()
    }

    pub fn own(&self) -> impl Iterator<Item = (usize, &Channel)> {
        self.channels.iter().enumerate().filter(|(_, channel)| channel.own.is_some())
    }

    pub fn place(&self, tpc: &TpcId) -> Option<usize> {
        self.channels.iter().position(|channel| channel.tpc == *tpc)
    }

    /// What a payment brings X in a channel. Sums of different payments differ.
    pub fn change(&self, payment: usize, channel: usize) -> i128 {
        let changes = self.payments[payment].changes.iter().filter(|(place, _)| *place == channel);
        changes.map(|(_, times)| times << (2 * payment)).sum()
    }

    /// A payment as messages name it.
    pub fn payment(&self, payment: usize) -> Payment {
        let Paying { own, changes } = &self.payments[payment];
        let net: i128 = changes.iter().map(|(_, times)| times << (2 * payment)).sum();
        let [x, m, _] = self.accounts;
        let (from, to) = if net > 0 { (m, x) } else { (x, m) };
        let before = self.payments[..payment].iter().filter(|paying| paying.own).count();
        let (by, number) = if *own { (x, before) } else { (m, payment) };
        let id = PaymentId { by, number: number as u64 };
        Payment { id, transfers: vec![transfer(from, to, net.unsigned_abs())] }
    }

    /// X's command to pay over the channels of a payment.
    pub fn pay(&self, payment: usize) -> Input {
        let hops = self.payments[payment].changes.iter().map(|(channel, _)| Hop {
            owners: self.channels[*channel].owners,
            from: self.accounts[X],
            amount: self.change(payment, *channel).unsigned_abs(),
        });
        let over = Over::Path(hops.collect());
        Input::Command(Command::Pay { transfers: self.payment(payment).transfers, over })
    }

    /// Which payments X's balance in a channel counts. `None` if no set of them explains it.
    pub fn counted(&self, channel: usize, balance: Balance) -> Option<u8> {
        let gained = balance as i128 - SHARE as i128;
        let sum = |set: u8| -> i128 { bits(set).map(|payment| self.change(payment, channel)).sum() };
        let moves = |set: u8| bits(set).all(|payment| self.change(payment, channel) != 0);
        (0..1 << self.payments.len()).find(|set| moves(*set) && sum(*set) == gained)
    }

    /// The number of the last block that is made.
    pub fn last_block(&self) -> u32 {
        self.start.number + self.blocks
    }

    pub fn asset(&self) -> Asset {
        Asset::Native
    }
}

/// Opens a channel whose window is too short for a dispute to be seen and answered in.
fn open_short(bench: &mut Bench, a: usize, b: usize) -> TpcId {
    let mut parties = [bench.account(a), bench.account(b)];
    parties.sort();
    let (nonce, peer, valid_until) = (bench.ledger.next_nonce(parties), bench.account(b), bench.ledger.now + 60_000);
    let (own, theirs, value, window) = (SHARE, SHARE, 0, WINDOW / 2);
    bench.nodes[b].accepts = true;
    let open = Command::Open { peer, nonce, asset: Asset::Native, own, theirs, value, window, valid_until };
    let Ok(engine::Answer::Tpc(tpc)) = bench.command(a, open) else { panic!("the channel is not opened") };
    bench.run();
    bench.block();
    tpc
}

fn key_of(key: &Key) -> AccountId {
    engine::Signer::account(key)
}

pub fn bits(set: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |bit| set & (1 << bit) != 0)
}
