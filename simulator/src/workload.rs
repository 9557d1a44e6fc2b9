//! Who pays whom, and how much.

use planning::{network::Node, Transfer};
use protocol::Balance;
use rand::{seq::index, seq::SliceRandom, Rng};
use rand_distr::{Distribution, Exp1, Zipf};

/// A transaction: all of its transfers settle, or none.
pub type Transaction = Vec<Transfer<Node>>;

/// How much is paid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amounts {
    /// From 1 to one below this, each as likely: the paper's.
    Below(Balance),
    /// Always this.
    Exactly(Balance),
    /// Exponential with this mean, at least 1: many small ones and a few great ones.
    Exponential(f64),
}

/// Who takes part in a transaction, and what for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// One pays another.
    Payment,
    /// A round among so many players: each loser pays the winner the same.
    Game(usize),
    /// So many bidders: the winner pays the seller, and every other bidder pays the seller a tenth of that, at least 1, for
    /// having taken part.
    Auction(usize),
    /// So many backers, each of whom pays the project an amount of their own.
    Crowdfunding(usize),
}

/// Why there is no such workload.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadWorkload {
    /// Not enough users.
    #[error("{parties} parties to a transaction among {nodes} users: give at least 2, and no more than there are")]
    BadParties {
        /// Asked for.
        parties: usize,
        /// Users.
        nodes: u32,
    },
    /// No amount is possible.
    #[error("amounts {0} leave none: give at least 2 for a limit, 1 for an amount, and a mean above 0")]
    BadAmounts(Amounts),
    /// No power law.
    #[error("skew {0}: give an exponent from 0 to 10")]
    BadSkew(f64),
}

/// A stream of transactions.
#[derive(Clone, Debug)]
pub struct Workload {
    nodes: u32,
    kind: Kind,
    amounts: Amounts,
    popularity: Option<(Zipf<f64>, Vec<Node>)>,
}

impl Workload {
    /// Transactions among `nodes` users. Payers are anybody; who is paid is by a power law with exponent `skew` over the
    /// users in a random order, or anybody if it is 0.
    ///
    /// # Errors
    /// [`BadWorkload`].
    pub fn new(nodes: u32, kind: Kind, amounts: Amounts, skew: f64, rng: &mut impl Rng) -> Result<Self, BadWorkload> {
        let parties = match kind {
            Kind::Payment => 2,
            Kind::Game(players) => players,
            Kind::Auction(others) | Kind::Crowdfunding(others) => others + 1,
        };
        if parties < 2 || parties > nodes as usize {
            return Err(BadWorkload::BadParties { parties, nodes });
        }
        let possible = match amounts {
            Amounts::Below(limit) => limit > 1,
            Amounts::Exactly(amount) => amount > 0,
            Amounts::Exponential(mean) => mean > 0.0 && mean.is_finite(),
        };
        if !possible {
            return Err(BadWorkload::BadAmounts(amounts));
        }
        if !(0.0..=10.0).contains(&skew) {
            return Err(BadWorkload::BadSkew(skew));
        }
        let popularity = if skew > 0.0 {
            let mut order: Vec<_> = (0..nodes).collect();
            order.shuffle(rng);
            Some((Zipf::new(f64::from(nodes), skew).map_err(|_| BadWorkload::BadSkew(skew))?, order))
        } else {
            None
        };
        Ok(Self { nodes, kind, amounts, popularity })
    }

    /// The next `count` transactions.
    pub fn draw(&self, count: usize, rng: &mut impl Rng) -> Vec<Transaction> {
        (0..count).map(|_| self.next(rng)).collect()
    }

    /// The next transaction.
    pub fn next(&self, rng: &mut impl Rng) -> Transaction {
        let (Kind::Game(parties) | Kind::Auction(parties) | Kind::Crowdfunding(parties)) = self.kind else {
            let to = self.payee(rng);
            let from = (to + rng.random_range(1..self.nodes)) % self.nodes;
            return vec![Transfer { from, to, amount: self.amounts.next(rng) }];
        };
        let to = self.payee(rng);
        let payers = parties - usize::from(matches!(self.kind, Kind::Game(_)));
        // Anybody but the payee, who is where the others are counted from.
        let others = index::sample(rng, self.nodes as usize - 1, payers);
        let stake = self.amounts.next(rng);
        let amount = |index: usize, rng: &mut _| match self.kind {
            Kind::Auction(_) if index > 0 => (stake / 10).max(1),
            Kind::Crowdfunding(_) => self.amounts.next(rng),
            _ => stake,
        };
        let payer = |other: usize| (to + 1 + other as Node) % self.nodes;
        let transfers = others.into_iter().enumerate();
        transfers.map(|(index, other)| Transfer { from: payer(other), to, amount: amount(index, rng) }).collect()
    }

    fn payee(&self, rng: &mut impl Rng) -> Node {
        match &self.popularity {
            Some((zipf, order)) => order[(zipf.sample(rng) as usize - 1).min(order.len() - 1)],
            None => rng.random_range(0..self.nodes),
        }
    }
}

impl Amounts {
    /// The next amount.
    pub fn next(&self, rng: &mut impl Rng) -> Balance {
        match self {
            // u64 is drawn faster than u128, and more than that nobody has.
            Self::Below(limit) => Balance::from(rng.random_range(1..u64::try_from(*limit).unwrap_or(u64::MAX))),
            Self::Exactly(amount) => *amount,
            Self::Exponential(mean) => {
                let share: f64 = Exp1.sample(rng);
                (mean * share).round().max(1.0) as Balance
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn users_are_different_and_amounts_within_limits(
            seed in any::<u64>(), nodes in 3..50_u32, some in any::<u32>(), limit in 2..1000_u128,
        ) {
            let rng = &mut Pcg64Mcg::seed_from_u64(seed);
            let users = (2 + some % (nodes - 1)) as usize;
            let kinds = [
                (Kind::Payment, 2),
                (Kind::Game(users), users),
                (Kind::Auction(users - 1), users),
                (Kind::Crowdfunding(users - 1), users),
            ];
            for (kind, users) in kinds {
                let workload = Workload::new(nodes, kind, Amounts::Below(limit), f64::from(some % 3) / 2.0, rng)?;
                for transaction in workload.draw(20, rng) {
                    let members: BTreeSet<_> = transaction.iter().flat_map(|pay| [pay.from, pay.to]).collect();
                    prop_assert_eq!((members.len(), transaction.len()), (users, users - 1));
                    prop_assert!(members.iter().all(|member| *member < nodes));
                    prop_assert!(transaction.iter().all(|pay| (1..limit).contains(&pay.amount)));
                    let stakes: BTreeSet<_> = transaction.iter().map(|pay| pay.amount).collect();
                    prop_assert!(stakes.len() == 1 || !matches!(kind, Kind::Game(_)));
                }
            }
        }
    }

    #[test]
    fn few_are_paid_often_when_it_is_skewed() {
        let rng = &mut Pcg64Mcg::seed_from_u64(3);
        let workload = Workload::new(100, Kind::Payment, Amounts::Exponential(30.0), 1.0, rng).expect("it is fine");
        let mut paid = vec![0; 100];
        let mut sum = 0;
        for transaction in workload.draw(100_000, rng) {
            paid[transaction[0].to as usize] += 1;
            sum += transaction[0].amount;
        }
        paid.sort_unstable();
        // The 100th harmonic number is 5.187.
        assert!((18_800..19_800).contains(&paid[99]) && (9_200..10_100).contains(&paid[98]), "{:?}", &paid[97..]);
        assert!((sum as f64 / 3e6 - 1.0).abs() < 0.02, "{sum}");
    }

    #[test]
    fn what_cannot_be_paid_is_named() {
        let rng = &mut Pcg64Mcg::seed_from_u64(1);
        let mut refused = |kind, amounts, skew| Workload::new(5, kind, amounts, skew, rng).expect_err("it is refused");
        let one = Amounts::Exactly(1);
        assert_eq!(refused(Kind::Game(6), one, 0.0), BadWorkload::BadParties { parties: 6, nodes: 5 });
        assert_eq!(refused(Kind::Crowdfunding(0), one, 0.0), BadWorkload::BadParties { parties: 1, nodes: 5 });
        for amounts in [Amounts::Below(1), Amounts::Exactly(0), Amounts::Exponential(0.0)] {
            assert_eq!(refused(Kind::Payment, amounts, 0.0), BadWorkload::BadAmounts(amounts));
        }
        assert_eq!(refused(Kind::Payment, one, -1.0), BadWorkload::BadSkew(-1.0));
    }
}
