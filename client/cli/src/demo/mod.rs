//! The demonstration: a game of several players, settled off chain.

mod summary;

use crate::output::{print_line, units, CallCost};
use anyhow::{bail, ensure, Context, Result};
use chain::{
    cargo_contract::CargoContract,
    contract::{Bundle, Contract},
    keys::{address, Keys},
    node::NodeChain,
    Chain, ChainError, Receipt, EXISTENTIAL_DEPOSIT, UNIT,
};
use devchain::Devchain;
use engine::{
    payment::{Grantee, Purpose},
    Answer, Channel, Command, Notice, Outcome, Over, Permission, Scope, Transfer,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use protocol::{
    abi::{Deposit, DisputeChannels, UpdateChannels, Withdraw},
    Asset, Balance, MpcId, Resolution, SignedUpdate, TpcId,
};
use summary::{Player, Stage, Summary};
use testkit::local::Local;

const NAMES: [&str; 6] = ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"];
/// Who leads the group's rounds. It never makes a call, and so needs no funds.
const COORDINATOR: &str = "//Coordinator";
/// How long an agreement stays good, in ms of block time.
const VALID_FOR: u64 = 3_600_000;
/// What each player puts into the ledger and no channel, in planck.
const ASIDE: Balance = UNIT;
/// What a player needs for fees and storage deposits at most, in planck.
const EXPENSES: Balance = 20 * UNIT;
/// Where cargo-contract finds the contract, from the repository's root.
const BUNDLE: &str = "contracts/channels/channels.contract";

/// What `braid demo` is asked for.
#[derive(clap::Args)]
pub struct Options {
    /// How many players. The first six are //Alice to //Ferdie. One update names the channels of 23 at most.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=23))]
    players: u32,
    /// How many rounds of the game: each loser of a round pays its winner 1 token.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Decides who wins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// This player, counted from 1, vanishes after the last round: the others get their funds back without it.
    #[arg(long, value_name = "N", conflicts_with = "cheat", value_parser = clap::value_parser!(u32).range(1..=23))]
    absent: Option<u32>,
    /// After the last round the last player publishes the state of the first round, while the others are offline: their
    /// watchers answer.
    #[arg(long)]
    cheat: bool,
    /// How long a dispute may be answered, in seconds of block time. On a node you wait for it.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(10..=2_592_000))]
    window: u64,
    /// Play on the contracts node at this address instead of a chain in this process.
    #[arg(long, value_name = "URL")]
    node: Option<String>,
    /// Who funds players that have too little [default: the stashes of //Alice to //Ferdie].
    #[arg(long)]
    suri: Option<String>,
    /// Print every call of the contract as a command of cargo-contract and wait until somebody has run it.
    #[arg(long, requires = "node")]
    cargo_contract: bool,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

/// Plays and prints.
pub async fn run(options: &Options) -> Result<()> {
    let bundle = Bundle::built_in()?;
    let last = options.absent.unwrap_or(1);
    ensure!(last <= options.players, "there is no player {last}: name one of the {} players", options.players);
    let players = players(options.players)?;
    let summary = match &options.node {
        None => play(options, Devchain::new(), &bundle, &players).await?,
        Some(url) if options.cargo_contract => {
            let tell = |command: &str| eprintln!("{command}");
            let mut chain =
                CargoContract::new(NodeChain::connect(url).await?, url, BUNDLE, bundle.metadata.clone(), tell);
            players.iter().for_each(|player| chain.name(&player.keys, &player.suri));
            play(options, chain, &bundle, &players).await?
        }
        Some(url) => play(options, NodeChain::connect(url).await?, &bundle, &players).await?,
    };
    let text = if options.json { serde_json::to_string_pretty(&summary)? } else { summary.tables(options.rounds) };
    Ok(print_line(&text)?)
}

struct Participant {
    name: String,
    suri: String,
    keys: Keys,
}

fn players(n: u32) -> Result<Vec<Participant>> {
    let named = (0..n as usize).map(|index| {
        let (name, suri) = NAMES.get(index).map_or_else(
            || (format!("Player {}", index + 1), format!("//Player{}", index + 1)),
            |name| ((*name).to_owned(), format!("//{name}")),
        );
        Ok(Participant { keys: Keys::from_suri(&suri)?, name, suri })
    });
    named.collect()
}

/// Gives every player what it lacks of `need` planck, once it is certain that there is enough for all.
async fn fund(chain: &mut impl Chain, options: &Options, players: &[Participant], need: Balance) -> Result<()> {
    let stashes = || NAMES.map(|name| format!("//{name}//stash")).to_vec();
    let mut funders = vec![];
    for suri in options.suri.clone().map_or_else(stashes, |suri| vec![suri]) {
        let keys = Keys::from_suri(&suri)?;
        let plays = players.iter().any(|player| player.keys.account() == keys.account());
        let keeps = if plays { need } else { EXPENSES };
        let can_lend = chain.free_balance(keys.account()).await?.saturating_sub(keeps);
        funders.push((keys, can_lend));
    }
    let mut transfers = vec![];
    for player in players {
        let has = chain.free_balance(player.keys.account()).await?;
        let lacks = need.saturating_sub(has);
        if lacks == 0 {
            continue;
        }
        let (funder, can_lend) = funders.iter_mut().find(|(_, can_lend)| *can_lend >= lacks).with_context(|| {
            let (name, account) = (&player.name, address(&player.keys.account()));
            let (has, need) = (units(has as i128), units(need as i128));
            format!(
                "{name} has {has} UNIT and needs {need}, and nobody can lend it: send funds to {account}, name a \
                 richer --suri, or play fewer rounds"
            )
        })?;
        *can_lend -= lacks;
        transfers.push((funder.clone(), player.keys.account(), lacks));
    }
    for (funder, player, amount) in transfers {
        chain.transfer(&funder, player, amount).await?;
    }
    Ok(())
}

async fn balances(chain: &mut impl Chain, players: &[Participant]) -> Result<Vec<Balance>, ChainError> {
    let mut balances = vec![];
    for player in players {
        balances.push(chain.free_balance(player.keys.account()).await?);
    }
    Ok(balances)
}

/// The game under way.
struct Game<'a, C> {
    world: Local<C>,
    players: &'a [Participant],
    steps: ProgressBar,
    stages: Vec<Stage>,
    calls: Vec<CallCost>,
    /// What each player has paid for fees and deposits, in planck.
    paid: Vec<i128>,
    window: u64,
    /// Messages and signatures before the stage that is under way.
    counted: (u64, u64),
}

async fn play<C: Chain>(options: &Options, mut chain: C, bundle: &Bundle, players: &[Participant]) -> Result<Summary> {
    let n = players.len();
    // Nobody can lose more than the number of rounds, so no channel runs dry.
    let stake = Balance::from(options.rounds) * UNIT;
    let in_channels = stake * (n as Balance - 1);
    let pairs: Vec<_> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
    let channels = pairs.len() as u64;
    let total = 3 * n as u64 + 2 * channels + u64::from(options.rounds) + 4;
    let steps = ProgressBar::new(total).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    if options.json || options.cargo_contract {
        steps.set_draw_target(ProgressDrawTarget::hidden());
    }

    steps.set_message("funding the players");
    fund(&mut chain, options, players, in_channels + ASIDE + EXPENSES).await?;
    steps.inc(n as u64);
    let before = balances(&mut chain, players).await?;
    steps.set_message("deploying");
    let (contract, deployed) = Contract::deploy(&mut chain, &players[0].keys, bundle).await?;
    steps.inc(1);
    let keys = players.iter().map(|player| player.keys.clone()).collect();
    let world = Local::new(chain, contract, keys, vec![Keys::from_suri(COORDINATOR)?])?;
    let calls = vec![CallCost::new("new", &deployed)];
    let mut paid = vec![0; n];
    // A new contract's account gets the existential deposit from whoever makes it.
    paid[0] = cost(&deployed) + EXISTENTIAL_DEPOSIT as i128;
    let window = options.window * 1_000;
    let mut game = Game { world, players, steps, stages: vec![], calls, paid, window, counted: (0, 0) };

    game.steps.set_message("depositing");
    for user in 0..n {
        // Who opens a channel sends its own stake along; the other one's has to be there.
        game.world.call(user, stake * user as Balance + ASIDE, &Deposit {})?;
        game.steps.inc(1);
    }
    game.steps.set_message("opening two-party channels");
    for (a, b) in &pairs {
        let (valid_until, peer, window) = (game.later()?, players[*b].keys.account(), game.window);
        let (own, theirs, value, asset) = (stake, stake, stake, Asset::Native);
        game.act(*a, Command::Open { peer, nonce: 0, asset, own, theirs, value, window, valid_until })?;
    }
    let n64 = n as u64;
    game.stage("TPC create", channels, channels, ("2", 2));
    let mpc = game.braid()?;
    game.stage("MPC create", 1, 1, ("3n-1", 3 * n64 - 1));

    let mut dice = fastrand::Rng::with_seed(options.seed);
    let mut wins = vec![0_u32; n];
    let half = options.rounds.div_ceil(2);
    let update = ("5n+1", 5 * n64 + 1);
    let mut first_round = None;
    for round in 1..=options.rounds {
        game.steps.set_message("playing");
        let winner = dice.usize(..n);
        wins[winner] += 1;
        // The round before the checkpoint names every channel, so that one call puts the whole group on chain.
        game.round(mpc, winner, if round == half { Scope::All } else { Scope::Touched })?;
        if round == 1 {
            first_round = game.world.engine(n - 1)?.evidence().updates.into_iter().next();
        }
        // A cheat has no use for a state that is older than what is on chain.
        if round == half && !options.cheat {
            game.stage("MPC off-chain update", u64::from(round), 0, update);
            let channels = game.world.channels(0)?;
            game.act(0, Command::Checkpoint(channels))?;
            game.stage("MPC on-chain update", 1, 1, ("0", 0));
        }
    }
    let since = if options.cheat { options.rounds } else { options.rounds - half };
    if since > 0 {
        game.stage("MPC off-chain update", u64::from(since), 0, update);
    }

    let absent = options.absent.map(|player| player as usize - 1);
    let mut gone = absent;
    if let Some(absent) = absent {
        game.vanish(absent)?;
    } else if options.cheat {
        game.cheat(first_round.context("there was no round to cheat with")?)?;
        gone = Some(n - 1);
    }
    // Those whose channels are settled are in the group no more.
    let closing = (0..n).find(|user| Some(*user) != gone);
    if let Some(user) = closing.filter(|_| n > 2 || gone.is_none()) {
        game.steps.set_message("closing");
        let valid_until = game.later()?;
        let channels = game.world.members(mpc);
        game.act(user, Command::CloseMpc { mpc, channels, valid_until })?;
        let formula = match gone {
            None => ("3n-1", 3 * n64 - 1),
            Some(_) => ("3(n-1)-1", 3 * (n64 - 1) - 1),
        };
        game.stage("MPC close", 1, 1, formula);
    }
    let mut closed = 0;
    for user in (0..n).filter(|user| Some(*user) != absent) {
        for tpc in game.world.channels(user)? {
            let valid_until = game.later()?;
            game.act(user, Command::Close { tpc, valid_until })?;
            closed += 1;
        }
    }
    game.stage("TPC close", closed, closed, ("2", 2));
    for user in 0..n {
        // What the absent player put aside stays in the ledger for it; here it comes back to take it.
        game.world.call(user, 0, &Withdraw { amount: ASIDE })?;
        game.steps.inc(1);
    }
    game.take_calls();
    game.steps.finish_and_clear();
    let after = balances(&mut game.world.chain, game.players).await?;

    let rows =
        (players.iter().zip(wins)).zip(before.into_iter().zip(after)).map(|((player, wins), (before, after))| {
            let lost = i128::from(options.rounds - wins);
            let won = (i128::from(wins) * (n as i128 - 1) - lost) * UNIT as i128;
            let fees_and_deposits = before as i128 + won - after as i128;
            Player { name: player.name.clone(), before, in_channels, rounds_won: wins, won, fees_and_deposits, after }
        });
    let players: Vec<_> = rows.collect();
    for (player, paid) in players.iter().zip(&game.paid) {
        let name = &player.name;
        ensure!(player.fees_and_deposits == *paid, "{name} is not where the game left it: {player:?}, paid {paid}");
    }
    let name = |user: usize| game.players[user].name.clone();
    let ending = match absent {
        Some(absent) => {
            Some(format!("{} vanished after the last round; the others got their funds out without it", name(absent)))
        }
        None if options.cheat => Some(format!(
            "{} published the state of round 1 when the others were offline; their watchers answered",
            name(n - 1)
        )),
        None => None,
    };
    Ok(Summary { ending, players, stages: game.stages, calls: game.calls })
}

/// What a call took from who made it, in planck.
fn cost(receipt: &Receipt) -> i128 {
    receipt.fee as i128 + receipt.storage_deposit
}

impl<C: Chain> Game<'_, C> {
    fn later(&mut self) -> Result<u64> {
        Ok(self.world.time()? + VALID_FOR)
    }

    /// Lets a player do something that nobody objects to.
    fn act(&mut self, user: usize, command: Command) -> Result<()> {
        self.world.command(user, command)?;
        for (_, notice) in self.world.take_notices() {
            let bad = matches!(
                notice,
                Notice::AgreementRejected(..)
                    | Notice::MpcCreateFailed(..)
                    | Notice::MpcCloseFailed(..)
                    | Notice::Ignored(_)
            );
            ensure!(!bad, "{notice:?}");
        }
        self.steps.inc(1);
        Ok(())
    }

    /// Braids everybody's channels.
    fn braid(&mut self) -> Result<MpcId> {
        self.steps.set_message("forming the multi-party channel");
        let valid_until = self.later()?;
        let channels = self.world.all_channels().into_values().collect();
        let coordinator = Keys::from_suri(COORDINATOR)?.account();
        let form = Command::CreateMpc { channels, coordinator, registered: true, valid_until };
        let Answer::Mpc(mpc) = self.world.command(0, form)? else { bail!("the multi-party channel has no name") };
        let notices = self.world.take_notices();
        ensure!(
            notices.contains(&(0, Notice::MpcCreated(mpc))),
            "the multi-party channel was not created: {notices:?}"
        );
        self.steps.inc(1);
        for user in 0..self.players.len() {
            for purpose in [Purpose::Pay, Purpose::PassOn] {
                let permission = Permission::unlimited(Grantee::Group(mpc), purpose, Asset::Native);
                self.world.command(user, Command::Permit(permission))?;
            }
        }
        Ok(mpc)
    }

    /// Each loser pays the winner 1 UNIT.
    fn round(&mut self, mpc: MpcId, winner: usize, scope: Scope) -> Result<()> {
        let n = self.players.len();
        let account = |user: usize| self.players[user].keys.account();
        let losers = (0..n).filter(|user| *user != winner);
        let (to, asset) = (account(winner), Asset::Native);
        let transfers = losers.map(|user| Transfer { from: account(user), to, asset, amount: UNIT }).collect();
        let over = Over::Group { mpc, scope, confirm: true };
        self.world.command(winner, Command::Pay { transfers, over })?;
        let notices = self.world.take_notices();
        let settled = |(_, notice): &&(usize, Notice)| {
            matches!(notice, Notice::Received(_) | Notice::Decided { outcome: Outcome::Settled, .. })
        };
        let told = notices.iter().filter(settled).count();
        ensure!(told == n, "only {told} of {n} players saw the round settled: {notices:?}");
        self.steps.inc(1);
        Ok(())
    }

    /// Ends a stage: what it took, beside the paper's formula for one time.
    fn stage(&mut self, stage: &'static str, times: u64, on_chain: u64, (formula, by_formula): (&'static str, u64)) {
        self.push_stage(stage, times, on_chain, Some((formula, times * by_formula)));
    }

    fn push_stage(&mut self, stage: &'static str, times: u64, on_chain: u64, formula: Option<(&'static str, u64)>) {
        let counted = (self.world.messages(), self.world.signatures());
        let (messages, signatures) = (counted.0 - self.counted.0, counted.1 - self.counted.1);
        self.counted = counted;
        self.take_calls();
        let (formula, messages_by_formula) = formula.unzip();
        self.stages.push(Stage { stage, times, on_chain, messages, formula, messages_by_formula, signatures });
    }

    /// A player answers nothing any more, and nobody watches for it. Each of the others disputes its channel with that
    /// player, and is paid after the deadline. The group of the others stands.
    fn vanish(&mut self, absent: usize) -> Result<()> {
        self.world.leave(absent, false)?;
        let gone = self.players[absent].keys.account();
        self.steps.set_message("disputing the channels of the absent player");
        for user in (0..self.players.len()).filter(|user| *user != absent) {
            let channels = self.channels(user, |channel| channel.owners.parties.contains(&gone))?;
            self.act(user, Command::Dispute { channels, then: Resolution::Settle })?;
        }
        self.wait()?;
        self.dispute_stage();
        Ok(())
    }

    /// The last player publishes an old state and disputes all its channels, when all others are offline.
    fn cheat(&mut self, old: SignedUpdate) -> Result<()> {
        let cheat = self.players.len() - 1;
        self.steps.set_message("an old state is published");
        for user in 0..cheat {
            self.world.leave(user, true)?;
        }
        // It makes its calls by hand: its own party would put the newest state on chain.
        self.world.leave(cheat, false)?;
        let channels = self.channels(cheat, |_| true)?;
        let SignedUpdate { update, owners, signatures } = old;
        self.world.call(cheat, 0, &UpdateChannels { update, owners, signatures })?;
        self.world.call(cheat, 0, &DisputeChannels { channels, then: Resolution::Settle })?;
        self.wait()?;
        for user in 0..=cheat {
            self.world.come_back(user)?;
        }
        self.dispute_stage();
        Ok(())
    }

    fn channels(&self, user: usize, wanted: impl Fn(&Channel) -> bool) -> Result<Vec<TpcId>> {
        let channels = self.world.engine(user)?.channels();
        Ok(channels.filter(|(_, channel)| wanted(channel)).map(|(tpc, _)| *tpc).collect())
    }

    /// Waits until every dispute that is running is over. The watchers settle.
    fn wait(&mut self) -> Result<()> {
        self.steps.set_message("waiting for the deadline");
        // Nobody who plays, so that no player pays for a block that only moves the clock.
        let payer = Keys::from_suri("//Alice//stash")?;
        let deadline = self.world.time()? + self.window;
        self.world.wait_until(&payer, deadline)?;
        Ok(())
    }

    fn dispute_stage(&mut self) {
        let on_chain = self.take_calls();
        self.push_stage("TPC dispute", 1, on_chain, None);
    }

    fn take_calls(&mut self) -> u64 {
        let calls = self.world.take_calls();
        for made in &calls {
            self.paid[made.user] += cost(&made.receipt);
            self.calls.push(CallCost::new(made.message, &made.receipt));
        }
        calls.len() as u64
    }
}
