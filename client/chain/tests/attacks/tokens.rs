//! Channels of PSP22 tokens, and tokens that misbehave: what they do touches those who hold them, and nobody else (rules L2
//! to L5).

use super::{
    token::{Approve, BalanceOf, Behave, Conduct, Transfer, TransferFrom},
    *,
};
use chain::{Chain, ContractCall, Failure};
use devchain::Weight;
use protocol::abi::{DepositPsp22, WithdrawPsp22};

impl Token {
    fn asset(self) -> Asset {
        Asset::Psp22(self.account)
    }
}

fn alice() -> Keys {
    Keys::from_suri("//Alice").unwrap()
}

impl World {
    /// A token of which everybody has as much outside as approved and put into the ledger.
    fn token(&mut self) -> Token {
        let salt = self.bench.chain.block();
        let token = Token::deploy(&mut self.bench.chain, &alice(), 1_000 * UNIT, salt).unwrap();
        self.tokens.push(token);
        for user in ANN..=EVE {
            let gift = Transfer { to: self.account(user), value: 2 * SAVINGS, data: vec![] };
            token.call(&mut self.bench.chain, &alice(), &gift).unwrap();
            self.approve(token, user, SAVINGS);
            self.deposit(token, user, SAVINGS).unwrap();
        }
        token
    }

    /// A token that will misbehave: its books are its own affair.
    fn bad_token(&mut self) -> Token {
        let token = self.token();
        self.tokens.retain(|honest| *honest != token);
        token
    }

    fn approve(&mut self, token: Token, user: usize, value: Balance) {
        let approval = Approve { spender: self.bench.contract.account, value };
        token.call(&mut self.bench.chain, &self.bench.users[user], &approval).unwrap();
    }

    fn behave(&mut self, token: Token, conduct: Conduct, when_asked: bool) {
        token.call(&mut self.bench.chain, &alice(), &Behave { conduct, when_asked }).unwrap();
    }

    fn deposit(&mut self, token: Token, user: usize, amount: Balance) -> Result<(), Error> {
        self.send(user, &DepositPsp22 { token: token.account, amount })
    }

    fn withdraw(&mut self, token: Token, user: usize, amount: Balance) -> Result<(), Error> {
        self.send(user, &WithdrawPsp22 { token: token.account, amount })
    }

    /// What a user has of a token outside of the contract.
    fn outside(&mut self, token: Token, user: usize) -> Balance {
        let owner = self.account(user);
        token.query(&mut self.bench.chain, &BalanceOf { owner }).unwrap()
    }
}

fn failed(token: Token) -> Result<(), Error> {
    Err(Error::TokenFailed(token.account))
}

#[test]
fn tokens_come_in_by_approval_and_go_out_to_their_holder() {
    let mut w = world();
    let token = w.token();
    assert_eq!((w.holds(ANN, token.asset()), w.outside(token, ANN)), (SAVINGS, SAVINGS));
    assert_eq!(w.deposit(token, ANN, 1), failed(token), "without approval");
    w.approve(token, ANN, 5 * UNIT);
    assert_eq!(w.deposit(token, BOB, UNIT), failed(token), "with somebody else's");
    assert_eq!(w.deposit(token, ANN, 5 * UNIT + 1), failed(token));
    assert_eq!(w.deposit(token, ANN, 0), Err(Error::ZeroAmount));
    w.approve(token, ANN, Balance::MAX);
    assert_eq!(w.deposit(token, ANN, SAVINGS + 1), failed(token), "more than she has");
    w.deposit(token, ANN, 5 * UNIT).unwrap();
    let available = SAVINGS + 5 * UNIT;
    assert_eq!((w.holds(ANN, token.asset()), w.outside(token, ANN)), (available, SAVINGS - 5 * UNIT));
    let refused = Err(Error::InsufficientLedger { account: w.account(ANN), available });
    assert_eq!(w.withdraw(token, ANN, available + 1), refused);
    assert_eq!(w.withdraw(token, ANN, 0), Err(Error::ZeroAmount));
    w.withdraw(token, ANN, available).unwrap();
    assert_eq!((w.holds(ANN, token.asset()), w.outside(token, ANN)), (0, 2 * SAVINGS));
    assert_eq!([w.ledger(ANN), w.ledger(BOB)], [SAVINGS; 2], "the native ledger is another one");
}

#[test]
fn a_token_channel_lives_and_ends_in_the_ledger() {
    let mut w = world();
    let token = w.token();
    let held = |w: &mut World| [ANN, BOB].map(|user| w.holds(user, token.asset()) / UNIT);
    let [one, two] = [(); 2].map(|()| w.open_of(token.asset(), [ANN, BOB]));
    assert_eq!(held(&mut w), [32, 32]);
    let top_up = w.top_up(next(two, [4, 4]), [1, 2]);
    let withdrawal = w.withdrawal(next(later(two), [5, 6]), units([2, 0]));
    let rest = Entry { balances: units([3, 6]), ..later(later(two)) };
    let close = w.close(next(rest, [0, 9]));
    w.bring(&w.update(&[next(one, [1, 7])])).unwrap();
    let deadline = w.dispute(ANN, one, Settle).unwrap();
    w.pass(deadline);
    let paid = w.paid(|w| {
        w.settle(ANN, one).unwrap();
        assert_eq!(held(w), [33, 39]);
        w.send(ANN, &top_up).unwrap();
        assert_eq!(held(w), [32, 37]);
        w.send(ANN, &withdrawal).unwrap();
        assert_eq!(held(w), [34, 37]);
        w.send(BOB, &close).unwrap();
        assert_eq!(held(w), [34, 46]);
    });
    assert!(paid.is_empty(), "nobody got native tokens for it: {paid:?}");
    for (user, units) in [(ANN, 34), (BOB, 46)] {
        w.withdraw(token, user, units * UNIT).unwrap();
        assert_eq!(w.outside(token, user), SAVINGS + units * UNIT);
    }
}

#[test]
fn a_ledger_of_one_asset_pays_for_a_channel_of_no_other() {
    let mut w = world();
    let (token, other) = (w.token(), w.token());
    w.withdraw(token, ANN, SAVINGS).unwrap();
    w.send(BOB, &Withdraw { amount: SAVINGS }).unwrap();
    let of_token = w.creation_of(token.asset(), [ANN, BOB], units([1, 1]), MIN_WINDOW);
    let nothing = |w: &World, user| Err(Error::InsufficientLedger { account: w.account(user), available: 0 });
    assert_eq!(w.send(ANN, &of_token), nothing(&w, ANN));
    // Nor does the native value that is sent along: it goes where it belongs.
    assert_eq!(w.call(ANN, 4 * UNIT, &of_token).map(drop), nothing(&w, ANN));
    let native = w.creation([ANN, BOB], units([1, 1]), MIN_WINDOW);
    assert_eq!(w.send(ANN, &native), nothing(&w, BOB));
    let of_other = w.creation_of(other.asset(), [ANN, BOB], units([1, 1]), MIN_WINDOW);
    w.call(ANN, 4 * UNIT, &of_other).unwrap();
    assert_eq!(w.ledger(ANN), SAVINGS + 4 * UNIT);
    // Nobody's token has this name, and so nobody has any of it.
    let of_nothing = w.creation_of(Asset::Psp22(w.account(EVE)), [ANN, BOB], units([1, 1]), MIN_WINDOW);
    assert_eq!(w.send(ANN, &of_nothing), nothing(&w, ANN));
}

#[test]
fn channels_of_different_assets_are_not_merged() {
    let mut w = world();
    let token = w.token();
    let (coins, tokens) = (w.open([ANN, BOB]), w.open_of(token.asset(), [ANN, BOB]));
    let (merge, _) = w.split(&[next(coins, [4, 4]), next(tokens, [4, 4])], [[16, 0]]);
    assert_eq!(w.send(ANN, &merge), Err(Error::NotAlike(tokens.tpc)));
    let (split, [_, part]) = w.split(&[next(tokens, [4, 4])], [[4, 0], [0, 4]]);
    w.send(ANN, &split).unwrap();
    let close = w.close(next(part, [0, 4]));
    assert!(w.paid(|w| w.send(BOB, &close).unwrap()).is_empty());
    assert_eq!(w.holds(BOB, token.asset()), SAVINGS, "the part pays out in the asset of the whole");
}

/// Ann sells 2 UNIT to Bob for 3 of the token.
fn exchange(w: &mut World) -> (Token, [Entry; 2], [Entry; 2], UpdateChannels) {
    let token = w.token();
    let (coins, tokens) = (w.open([ANN, BOB]), w.open_of(token.asset(), [ANN, BOB]));
    let after = [next(coins, [2, 6]), next(tokens, [7, 1])];
    (token, [coins, tokens], after, w.update(&after))
}

#[test]
fn an_exchange_of_a_token_for_the_native_one_is_one_update() {
    let mut w = world();
    let (token, before, after, update) = exchange(&mut w);
    w.bring(&update).unwrap();
    assert_eq!(w.state(before), after);
    let [coins, tokens] = after.map(|state| w.close(Entry { version: 2, ..state }));
    assert_eq!(w.paid(|w| w.send(ANN, &coins).unwrap()), [(ANN, 2 * UNIT), (BOB, 6 * UNIT)]);
    w.send(ANN, &tokens).unwrap();
    assert_eq!([ANN, BOB].map(|user| w.holds(user, token.asset())), [SAVINGS + 3 * UNIT, SAVINGS - 3 * UNIT]);
}

#[test]
fn an_exchange_that_is_withheld_counts_for_both_assets_or_for_none() {
    for (disputed, by) in [(0, BOB), (1, ANN)] {
        for then in [Settle, Renew] {
            let mut w = world();
            let (_, before, after, update) = exchange(&mut w);
            let of = before[disputed];
            let deadline = w.dispute(by, of, then).unwrap();
            let mut in_time = w.fork();
            in_time.at(deadline);
            in_time.bring(&update).unwrap();
            assert_eq!(in_time.state(before), after);
            w.pass(deadline);
            if then == Settle {
                assert_eq!(w.bring(&update), due(of));
                w.settle(by, of).unwrap();
            }
            assert_eq!(w.bring(&update), void(of, 0));
            let other = before[1 - disputed];
            assert_eq!(w.state([other]), [other]);
        }
    }
}

#[test]
fn of_what_a_token_keeps_as_a_fee_nothing_is_in_the_ledger() {
    let mut w = world();
    let token = w.token();
    // It stays in the books: what it keeps it takes from those who hold it.
    w.behave(token, Conduct::KeepsFee, false);
    w.approve(token, ANN, SAVINGS);
    w.deposit(token, ANN, 10 * UNIT).unwrap();
    assert_eq!((w.holds(ANN, token.asset()), w.outside(token, ANN)), (SAVINGS + 9 * UNIT, SAVINGS - 10 * UNIT));
    w.withdraw(token, ANN, 10 * UNIT).unwrap();
    assert_eq!((w.holds(ANN, token.asset()), w.outside(token, ANN)), (SAVINGS - UNIT, SAVINGS - UNIT));
}

#[test]
fn a_token_that_lies_makes_nobody_rich_in_another() {
    let mut w = world();
    let (liar, honest) = (w.bad_token(), w.token());
    let lie = |w: &mut World, user| {
        w.behave(liar, Conduct::Lies(Balance::MAX), false);
        w.deposit(liar, user, 1).unwrap();
        assert_eq!(w.holds(user, liar.asset()), Balance::MAX);
    };
    for user in [ANN, BOB] {
        w.withdraw(liar, user, SAVINGS).unwrap();
        lie(&mut w, user);
        assert_eq!(w.deposit(liar, user, 1), failed(liar), "a balance that falls is no deposit");
        w.behave(liar, Conduct::Lies(0), false);
        assert_eq!(w.deposit(liar, user, 1), Err(Error::ZeroAmount), "nor is one that stays");
        w.behave(liar, Conduct::Lies(1), false);
        assert_eq!(w.deposit(liar, user, 1), Err(Error::Overflow), "and nothing more fits");
    }
    let open = |w: &mut World| {
        let create = w.creation_of(liar.asset(), [ANN, BOB], [Balance::MAX, 0], MIN_WINDOW);
        w.send(ANN, &create).unwrap();
        Entry { tpc: create.creation.id(&Native), epoch: 0, version: 0, balances: [Balance::MAX, 0] }
    };
    let one = open(&mut w);
    lie(&mut w, ANN);
    let two = open(&mut w);
    let (coins, tokens) = (w.open([ANN, BOB]), w.open_of(honest.asset(), [ANN, BOB]));
    // The two do not fit into one.
    let last = |of: Entry| Entry { version: 1, ..of };
    let (merge, _) = w.split(&[last(one), last(two)], [[1, 0]]);
    assert_eq!(w.send(ANN, &merge), Err(Error::Overflow));
    // In the end Bob, who holds as much, gets what does not fit into his ledger. Only that channel waits.
    w.bring(&w.update(&[Entry { version: 1, balances: [0, Balance::MAX], ..one }])).unwrap();
    let all = ids(&[one, two, coins, tokens]);
    w.send(ANN, &DisputeChannels { channels: all.clone(), then: Settle }).unwrap();
    let deadline = w.stored(coins.tpc).unwrap().dispute.unwrap().deadline;
    w.pass(deadline);
    let paid = w.paid(|w| {
        let called = w.call(ANN, 0, &SettleChannels { channels: all }).unwrap();
        assert_eq!(called.answer, 3);
    });
    assert_eq!(paid, [(ANN, 4 * UNIT), (BOB, 4 * UNIT)]);
    assert_eq!([ANN, BOB].map(|user| w.holds(user, honest.asset())), [SAVINGS; 2]);
    assert_eq!(w.settle(BOB, one), Err(Error::Overflow));
    w.behave(liar, Conduct::Honest, false);
    assert_eq!(w.withdraw(liar, BOB, Balance::MAX), failed(liar), "none of it was ever there");
    w.behave(liar, Conduct::Lies(0), false);
    w.withdraw(liar, BOB, Balance::MAX).unwrap();
    assert_eq!(w.settle(BOB, one), Ok(()));
}

#[test]
fn a_token_that_calls_back_while_it_is_deposited_counts_nothing_twice() {
    let mut w = world();
    let (caller, helper) = (w.bad_token(), w.bad_token());
    let contract = w.bench.contract.account;
    w.approve(caller, ANN, SAVINGS);
    let (deposit, withdraw) =
        (DepositPsp22 { token: caller.account, amount: UNIT }, WithdrawPsp22 { token: caller.account, amount: UNIT });
    let back = [
        Conduct::calls_back(contract, &deposit),
        Conduct::calls_back(contract, &withdraw),
        Conduct::calls_back(contract, &LedgerBalance { account: w.account(ANN), asset: caller.asset() }),
    ];
    for conduct in back {
        for when_asked in [false, true] {
            w.behave(caller, conduct.clone(), when_asked);
            assert_eq!(w.deposit(caller, ANN, UNIT), failed(caller));
            assert_eq!(w.withdraw(caller, ANN, UNIT), failed(caller));
        }
        // Through somebody who takes the blow, it goes on as if nothing had happened: so nothing has.
        w.behave(helper, conduct, false);
        let through = TransferFrom { from: caller.account, to: caller.account, value: 0, data: vec![] };
        w.behave(caller, Conduct::calls_back(helper.account, &through), false);
        let before = w.holds(ANN, caller.asset());
        w.deposit(caller, ANN, UNIT).unwrap();
        assert_eq!(w.holds(ANN, caller.asset()), before + UNIT);
        w.withdraw(caller, ANN, UNIT).unwrap();
        assert_eq!(w.holds(ANN, caller.asset()), before);
        let of_token = LedgerBalance { account: caller.account, asset: caller.asset() };
        assert_eq!(w.ask(&of_token), 0);
    }
    w.tokens.push(caller);
    w.check_books();
}

#[test]
fn a_token_that_traps_or_babbles_is_refused_by_name() {
    let mut w = world();
    let token = w.bad_token();
    w.approve(token, ANN, SAVINGS);
    for conduct in [Conduct::Traps, Conduct::Babbles(0), Conduct::Babbles(1), Conduct::Babbles(261_900)] {
        for when_asked in [false, true] {
            w.behave(token, conduct.clone(), when_asked);
            assert_eq!(w.deposit(token, ANN, UNIT), failed(token), "{conduct:?}");
            assert_eq!(w.withdraw(token, ANN, UNIT), failed(token), "{conduct:?}");
        }
    }
    assert_eq!(w.holds(ANN, token.asset()), SAVINGS);
}

#[test]
fn a_token_that_burns_all_gas_stops_only_its_holders_call() {
    let mut w = world();
    let token = w.bad_token();
    w.approve(token, ANN, SAVINGS);
    w.behave(token, Conduct::BurnsGas, false);
    let calls = [
        DepositPsp22 { token: token.account, amount: UNIT }.call_data(&Native),
        WithdrawPsp22 { token: token.account, amount: UNIT }.call_data(&Native),
    ];
    for data in calls {
        let contract = *w.bench.contract.account.as_ref();
        let gas_limit = Weight { ref_time: 20_000_000_000, proof_size: 1 << 20 };
        let call = Call::Call { contract, value: 0, gas_limit, storage_deposit_limit: None, data };
        let receipt = w.bench.chain.submit(&w.bench.users[ANN], call).unwrap();
        assert!(receipt.result.is_err(), "the contract refuses, or has no gas left to do so");
        assert_eq!(w.holds(ANN, token.asset()), SAVINGS);
    }
    w.behave(token, Conduct::Honest, false);
    assert_eq!(w.deposit(token, ANN, UNIT), Ok(()));
}

/// The chain has a caller pay for whatever its call stores, what a token stores to no purpose included, and whoever has it
/// removed collects. The limit of the call is the remedy.
#[test]
fn a_token_that_hoards_storage_takes_no_more_than_the_limit_of_its_holders_call() {
    let mut w = world();
    let (token, hoard) = (w.bad_token(), w.bad_token());
    w.approve(token, ANN, SAVINGS);
    let deposit = |w: &mut World, deposit_limit| {
        let (contract, ann) = (w.bench.contract.account, w.bench.users[ANN].clone());
        let data = DepositPsp22 { token: token.account, amount: UNIT }.call_data(&Native);
        let chain = &mut w.bench.chain;
        let gas_limit = block_on(Chain::dry_run(chain, ann.account(), contract, 0, data.clone())).unwrap().gas_required;
        let call = ContractCall { contract, value: 0, gas_limit, deposit_limit, tip: 0, data };
        block_on(Chain::call(chain, &ann, call)).map(|receipt| receipt.storage_deposit)
    };
    let limit = Some(UNIT / 100);
    assert!(deposit(&mut w, limit).unwrap() <= 0, "an honest token stores nothing new");
    let item = |w: &World, value| Approve { spender: w.account(EVE), value };
    w.behave(token, Conduct::calls_back(hoard.account, &item(&w, 1)), false);
    assert_eq!(deposit(&mut w, limit), Err(Failure::StorageDepositLimit.into()));
    assert_eq!(w.holds(ANN, token.asset()), SAVINGS + UNIT);
    assert!(deposit(&mut w, None).unwrap() > UNIT as i128 / 10);
    w.behave(token, Conduct::calls_back(hoard.account, &item(&w, 0)), false);
    let nudge = Transfer { to: w.account(EVE), value: 1, data: vec![] };
    let collected = token.call(&mut w.bench.chain, &alice(), &nudge).unwrap().storage_deposit;
    assert!(collected < -(UNIT as i128) / 10, "{collected}");
}

#[test]
fn a_token_that_refuses_pay_outs_leaves_what_is_held_in_the_ledger() {
    let mut w = world();
    let token = w.token();
    w.behave(token, Conduct::RefusesPayOuts, false);
    assert_eq!(w.withdraw(token, ANN, UNIT), failed(token));
    assert_eq!(w.holds(ANN, token.asset()), SAVINGS);
    // Its channels go on, and end.
    let channel = w.open_of(token.asset(), [ANN, BOB]);
    w.end(channel, Settle);
    assert_eq!(w.holds(ANN, token.asset()), SAVINGS);
    w.behave(token, Conduct::Honest, false);
    w.withdraw(token, ANN, SAVINGS).unwrap();
    assert_eq!(w.outside(token, ANN), 2 * SAVINGS);
}

#[test]
fn a_token_that_is_no_contract_or_the_channels_own_is_no_token() {
    let mut w = world();
    for account in [w.account(BOB), AccountId::from([9; 32])] {
        assert_eq!(w.deposit(Token { account }, ANN, UNIT), failed(Token { account }));
    }
    let (ann, contract) = (w.account(ANN), w.bench.contract.account);
    let deposit = DepositPsp22 { token: contract, amount: UNIT };
    let run = block_on(Chain::dry_run(&mut w.bench.chain, ann, contract, 0, deposit.call_data(&Native)));
    assert!(matches!(run, Err(chain::ChainError::Failed(Failure::Module { .. }))), "{run:?}");
}

/// No token's code runs in anybody's call but its holder's own deposit and withdrawal.
#[test]
fn a_token_that_misbehaves_in_whatever_way_stops_no_channel_and_no_exchange() {
    let contract = world().bench.contract.account;
    let conducts = [
        Conduct::Lies(7),
        Conduct::KeepsFee,
        Conduct::calls_back(contract, &Withdraw { amount: UNIT }),
        Conduct::Traps,
        Conduct::BurnsGas,
        Conduct::RefusesPayOuts,
        Conduct::Babbles(3),
    ];
    for conduct in conducts {
        let mut w = world();
        let (bad, good) = (w.bad_token(), w.token());
        let assets = [bad.asset(), good.asset(), Asset::Native];
        let channels = assets.map(|asset| w.open_of(asset, [ANN, BOB]));
        let closing = assets.map(|asset| w.open_of(asset, [ANN, BOB]));
        w.behave(bad, conduct, true);
        let after = channels.map(|channel| next(channel, [3, 5]));
        w.bring(&w.update(&after)).unwrap();
        w.send(BOB, &DisputeChannels { channels: ids(&channels), then: Settle }).unwrap();
        w.close_all(closing);
        let deadline = w.stored(channels[0].tpc).unwrap().dispute.unwrap().deadline;
        w.pass(deadline);
        let settled = w.call(BOB, 0, &SettleChannels { channels: ids(&channels) }).unwrap();
        assert_eq!(settled.answer, 3);
        for asset in &assets[..2] {
            assert_eq!([ANN, BOB].map(|user| w.holds(user, *asset)), [SAVINGS - UNIT, SAVINGS + UNIT]);
        }
        w.withdraw(good, BOB, SAVINGS + UNIT).unwrap();
        assert_eq!(w.outside(good, BOB), 2 * SAVINGS + UNIT);
    }
}
