//! A world with channels and groups in it, and what its users may want next.

use crate::{
    liars::Liar,
    signers::Scheme,
    world::{Weather, World},
};
use engine::{
    payment::{Grantee, Purpose},
    Answer, Command, Hop, Notice, Over, Permission, Policy, Scope, Transfer,
};
use protocol::{AccountId, Asset, Balance, MpcId, Owners, Resolution, TpcId};

/// What everybody has at first, outside of channels.
pub const FUNDS: Balance = 1_000_000;

/// What each owner puts into a channel.
pub const STAKE: Balance = 1_000;

/// A second asset.
pub const TOKEN: Asset = Asset::Psp22(AccountId([9; 32]));

/// Users with channels, some in groups, and two coordinators.
pub struct Town {
    /// The world.
    pub world: World,
    /// The users. The coordinators come after them.
    pub users: Vec<usize>,
    /// The coordinators.
    pub coordinators: [usize; 2],
    /// The groups.
    pub groups: Vec<MpcId>,
}

/// A policy that waits no longer than a test can.
pub fn policy() -> Policy {
    Policy { enter_groups: true, reaction: 5_000, free_after: Some(120_000), ..Policy::default() }
}

impl Town {
    /// `n` users, each with a channel to the next and some more, by `rng`; groups over the channels of the first half of the
    /// users and of the second. Everything is calm while it is built.
    ///
    /// # Panics
    /// If it cannot be built.
    pub fn new(seed: u64, scheme: Scheme, n: usize, liars: usize) -> Self {
        let coordinates = Policy { coordinate: true, ..policy() };
        let policies = (0..n).map(|_| policy()).chain([coordinates.clone(), coordinates]).collect();
        let mut world = World::new(seed, scheme, policies);
        // Accounts are ascending by place, so that any two may be the coordinators.
        let coordinating =
            |world: &World, node: usize| world.engine(node).is_some_and(|engine| engine.policy().coordinate);
        let (coordinators, users): (Vec<_>, Vec<_>) = (0..n + 2).partition(|node| coordinating(&world, *node));
        for user in &users {
            world.fund(*user, Asset::Native, FUNDS);
            world.fund(*user, TOKEN, FUNDS);
        }
        let mut town = Self { world, users, coordinators: [coordinators[0], coordinators[1]], groups: vec![] };
        town.world.run(4_000);
        for index in 0..n {
            let (a, b) = (town.users[index], town.users[(index + 1) % n]);
            if a != b && (n > 2 || index == 0) {
                town.open(a, b, Asset::Native);
            }
        }
        for _ in 0..n {
            let (a, b) = (town.any_user(), town.any_user());
            let asset = if town.world.rng.u8(0..4) == 0 { TOKEN } else { Asset::Native };
            if a != b {
                town.open(a, b, asset);
            }
        }
        town.world.run(10_000);
        for user in town.users.clone() {
            for asset in [Asset::Native, TOKEN] {
                for coordinator in town.coordinators {
                    let grantee = Grantee::Party(town.world.account(coordinator));
                    town.permit(user, Permission::unlimited(grantee, Purpose::PassOn, asset));
                }
                for other in town.users.clone() {
                    let grantee = Grantee::Party(town.world.account(other));
                    town.permit(user, Permission::unlimited(grantee, Purpose::PassOn, asset));
                }
            }
        }
        let halves = [town.users[..n.div_ceil(2)].to_vec(), town.users[n.div_ceil(2)..].to_vec()];
        for (half, coordinator) in halves.into_iter().zip(town.coordinators) {
            town.form(&half, coordinator);
        }
        town.world.run(6_000);
        for index in 0..liars {
            let user = town.users[index * 2 % n];
            town.world.nodes[user].liar = Some(Liar::new(200));
        }
        town
    }

    fn any_user(&mut self) -> usize {
        self.users[self.world.rng.usize(0..self.users.len())]
    }

    fn permit(&mut self, user: usize, permission: Permission) {
        let _ = self.world.command(user, Command::Permit(permission));
    }

    /// Opens a channel of two users.
    pub fn open(&mut self, a: usize, b: usize, asset: Asset) {
        let mut parties = [self.world.account(a), self.world.account(b)];
        parties.sort();
        let command = Command::Open {
            peer: self.world.account(b),
            nonce: self.world.ledger.next_nonce(parties),
            asset,
            own: STAKE,
            theirs: STAKE,
            value: 0,
            window: protocol::state::MIN_WINDOW * 2,
            valid_until: self.world.now() + 60_000,
        };
        let _ = self.world.command(a, command);
        self.world.run(3_000);
    }

    /// The channels that stand on chain, with their owners.
    pub fn channels(&self) -> Vec<(TpcId, Owners)> {
        self.world.ledger.tpcs().map(|(tpc, stored)| (*tpc, stored.owners)).collect()
    }

    fn form(&mut self, members: &[usize], coordinator: usize) {
        let accounts: Vec<_> = members.iter().map(|member| self.world.account(*member)).collect();
        let inside = |owners: &Owners| owners.parties.iter().all(|party| accounts.contains(party));
        let channels: Vec<_> =
            self.channels().into_iter().map(|(_, owners)| owners).filter(inside).map(|owners| (owners, 0)).collect();
        let Some(initiator) = channels.first().and_then(|(owners, _)| self.world.place(&owners.parties[0])) else {
            return;
        };
        let command = Command::CreateMpc {
            channels,
            coordinator: self.world.account(coordinator),
            registered: self.world.rng.bool(),
            valid_until: self.world.now() + 60_000,
        };
        if let Some(Ok(Answer::Mpc(mpc))) = self.world.command(initiator, command) {
            self.world.run(3_000);
            let formed = self.world.nodes[initiator].notices.contains(&Notice::MpcCreated(mpc));
            assert!(formed, "{:?}", self.world.nodes[initiator].notices);
            for member in members {
                for asset in [Asset::Native, TOKEN] {
                    let permission = Permission::unlimited(Grantee::Group(mpc), Purpose::PassOn, asset);
                    self.permit(*member, permission);
                }
            }
            self.groups.push(mpc);
        }
    }

    /// A user wants something.
    pub fn wish(&mut self) {
        let user = self.any_user();
        let Some(engine) = self.world.engine(user) else { return };
        let account = engine.account();
        let channels: Vec<(TpcId, Owners, AccountId, Option<MpcId>)> = engine
            .channels()
            .map(|(tpc, channel)| (*tpc, channel.owners, channel.peer(account), channel.mpc))
            .collect();
        if channels.is_empty() {
            return;
        }
        let (tpc, owners, peer, mpc) = channels[self.world.rng.usize(0..channels.len())];
        let valid_until = self.world.now() + self.world.rng.u64(20_000..60_000);
        let amount = self.world.rng.u128(1..60);
        let asset = owners.asset;
        let transfer = |from, to| Transfer { from, to, asset, amount };
        let command = match self.world.rng.u32(0..100) {
            0..=39 => Command::Pay { transfers: vec![transfer(account, peer)], over: Over::Channel(tpc) },
            40..=59 => match mpc {
                Some(mpc) => {
                    let Some(to) = self.member_of(mpc, account) else { return };
                    let scope = if self.world.rng.u8(0..5) == 0 { Scope::All } else { Scope::Touched };
                    let over = Over::Group { mpc, scope, confirm: self.world.rng.bool() };
                    Command::Pay { transfers: vec![transfer(account, to)], over }
                }
                None => Command::Pay { transfers: vec![transfer(account, peer)], over: Over::Channel(tpc) },
            },
            60..=74 => match self.path(owners, account, amount) {
                Some((to, hops)) => Command::Pay { transfers: vec![transfer(account, to)], over: Over::Path(hops) },
                None => return,
            },
            75..=77 => Command::TopUp { tpc, own: amount, theirs: 0, valid_until },
            78..=80 => Command::Withdraw { tpc, own: amount.min(3), theirs: 0, valid_until },
            81..=82 => {
                let balance = self.world.engine(user).and_then(|engine| engine.channel(&tpc));
                let Some(balance) = balance.map(|channel| channel.latest.balances) else { return };
                let [own, theirs] = if owners.parties[0] == account { balance } else { [balance[1], balance[0]] };
                let part = (own / 2, theirs / 2);
                Command::Split { channels: vec![tpc], parts: vec![part, (own - part.0, theirs - part.1)], valid_until }
            }
            83 => Command::Close { tpc, valid_until },
            84 => Command::Leave { tpc, valid_until },
            85..=87 => Command::Dispute { channels: vec![tpc], then: Resolution::Renew },
            88 => Command::Dispute { channels: vec![tpc], then: Resolution::Settle },
            89..=91 => Command::Checkpoint(vec![tpc]),
            92..=94 => Command::Pay { transfers: vec![transfer(peer, account)], over: Over::Channel(tpc) },
            _ => return,
        };
        let _ = self.world.command(user, command);
    }

    fn member_of(&mut self, mpc: MpcId, account: AccountId) -> Option<AccountId> {
        let members = self.users.iter().filter_map(|user| self.world.engine(*user));
        let inside = members.filter(|engine| engine.memberships().any(|(group, _)| *group == mpc));
        let others: Vec<_> = inside.map(|engine| engine.account()).filter(|other| *other != account).collect();
        (!others.is_empty()).then(|| others[self.world.rng.usize(0..others.len())])
    }

    /// A path of one to three channels that begins with one of the payer's.
    fn path(&mut self, first: Owners, from: AccountId, amount: Balance) -> Option<(AccountId, Vec<Hop>)> {
        let all = self.channels();
        let mut hops = vec![Hop { owners: first, from, amount }];
        let other = |owners: &Owners, party: AccountId| {
            if owners.parties[0] == party {
                owners.parties[1]
            } else {
                owners.parties[0]
            }
        };
        let mut end = other(&first, from);
        for _ in 0..self.world.rng.usize(0..3) {
            let visited: Vec<_> =
                hops.iter().flat_map(|hop| hop.owners.parties).filter(|party| *party != end).collect();
            let next: Vec<_> = all
                .iter()
                .map(|(_, owners)| *owners)
                .filter(|owners| {
                    owners.asset == first.asset
                        && owners.parties.contains(&end)
                        && !visited.contains(&other(owners, end))
                })
                .collect();
            if next.is_empty() {
                break;
            }
            let owners = next[self.world.rng.usize(0..next.len())];
            hops.push(Hop { owners, from: end, amount });
            end = other(&owners, end);
        }
        Some((end, hops))
    }

    /// Lets everybody do things in a storm for a while.
    pub fn storm(&mut self, weather: Weather, wishes: usize) {
        self.world.weather = weather;
        for _ in 0..wishes {
            self.wish();
            let pause = self.world.rng.u64(0..1_500);
            self.world.run(pause);
        }
    }

    /// Every honest user takes everything out.
    pub fn exit(&mut self) {
        // What a split brings into being while the first leave is there for the second time.
        for _ in 0..2 {
            self.leave();
        }
    }

    fn leave(&mut self) {
        for user in self.users.clone() {
            let Some(engine) = self.world.engine(user).filter(|_| self.world.is_honest(user)) else { continue };
            let channels: Vec<_> = engine
                .channels()
                .filter(|(_, channel)| channel.on_chain.dispute.is_none_or(|dispute| dispute.then == Resolution::Renew))
                .map(|(tpc, _)| *tpc)
                .collect();
            let _ = self.world.command(user, Command::Dispute { channels, then: Resolution::Settle });
            self.world.run(1_000);
        }
        self.world.run(100_000);
    }
}
