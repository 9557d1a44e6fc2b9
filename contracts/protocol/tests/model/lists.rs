//! The lists of what can be signed, each once up to symmetry.

use crate::world::{Kind, Scenario};
use Kind::*;

/// Three channels by their owners: X and Y are honest, M and N are not.
pub const TOPOLOGIES: [[&str; 3]; 8] = [
    ["XM", "XM", "MN"],
    ["XM", "XY", "YM"],
    ["XM", "XY", "MN"],
    ["XM", "XM", "YM"],
    ["XM", "XM", "XY"],
    ["XM", "XM", "XM"],
    ["XM", "YM", "MN"],
    ["XY", "XY", "MN"],
];

/// The orders of the channels that leave the topology as it is, but for the names of the honest parties.
fn symmetries(channels: &[&str; 3]) -> Vec<[usize; 3]> {
    let swapped = |name: &str| -> String {
        name.chars()
            .map(|letter| {
                if letter == 'X' {
                    'Y'
                } else if letter == 'Y' {
                    'X'
                } else {
                    letter
                }
            })
            .collect()
    };
    let sorted = |name: String| {
        let mut letters: Vec<_> = name.chars().collect();
        letters.sort_unstable();
        letters
    };
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let keeps = |order: &[usize; 3]| {
        let same = |rename: &dyn Fn(&str) -> String| {
            (0..3).all(|channel| sorted(rename(channels[order[channel]])) == sorted(channels[channel].into()))
        };
        same(&|name| name.into()) || same(&swapped)
    };
    orders.into_iter().filter(keeps).collect()
}

fn renamed(kind: &Kind, order: &[usize; 3]) -> Kind {
    let one = |channel: &usize| order.get(*channel).copied().unwrap_or(*channel);
    let all = |channels: &[usize]| {
        let mut channels: Vec<_> = channels.iter().map(one).collect();
        channels.sort_unstable();
        channels
    };
    match kind {
        Update(channels) => Update(all(channels)),
        Register(channels) => Register(all(channels)),
        Leave(channels) => Leave(all(channels)),
        Merge(first, second) => Merge(one(first), one(second)),
        Close(channel) => Close(one(channel)),
        TopUp(channel) => TopUp(one(channel)),
        Withdraw(channel) => Withdraw(one(channel)),
        Split(channel) => Split(one(channel)),
        Create(channel) => Create(one(channel)),
    }
}

/// The updates over channels of which at least one is an honest party's.
fn updates(channels: &[&str; 3]) -> Vec<Kind> {
    let members = |set: usize| (0..3).filter(|channel| set & (1 << channel) != 0).collect::<Vec<_>>();
    let honest = |set: &Vec<usize>| set.iter().any(|channel| channels[*channel].contains(['X', 'Y']));
    (1..8).map(members).filter(honest).map(Update).collect()
}

/// What can stand beside the updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Third {
    Nothing,
    Update,
    Close,
    TopUp,
    Withdraw,
    Split,
    Merge,
    Register,
    Renew,
}

impl Third {
    fn kinds(self, channels: &[&str; 3]) -> Vec<Option<Kind>> {
        let each = |kind: fn(usize) -> Kind| (0..3).map(|channel| Some(kind(channel))).collect();
        match self {
            Self::Nothing | Self::Renew => vec![None],
            Self::Update => updates(channels).into_iter().map(Some).collect(),
            Self::Close => {
                (0..3).filter(|channel| channels[*channel] != "MN").map(|channel| Some(Close(channel))).collect()
            }
            Self::TopUp => each(TopUp),
            Self::Withdraw => each(Withdraw),
            Self::Split => each(Split),
            Self::Merge => {
                let pairs = (0..3).flat_map(|first| (0..3).map(move |second| (first, second)));
                let alike = pairs.filter(|(first, second)| first != second && channels[*first] == channels[*second]);
                alike.map(|(first, second)| Some(Merge(first, second))).collect()
            }
            Self::Register => [vec![0], vec![0, 1, 2]].map(|set| Some(Register(set))).into(),
        }
    }
}

/// Every list of two updates over three channels and a third thing, up to symmetry.
///
/// With `reversed`, also those in which the versions of foreign channels fall as the others' rise.
pub fn lists(channels: &'static [&'static str; 3], third: Third, reversed: bool) -> Vec<Scenario> {
    let symmetries = symmetries(channels);
    let updates = updates(channels);
    let mut found: Vec<Vec<Kind>> = vec![];
    for (place, first) in updates.iter().enumerate() {
        for second in &updates[place..] {
            for third in third.kinds(channels) {
                let mut list: Vec<_> = [first, second].into_iter().cloned().chain(third).collect();
                let smallest = symmetries.iter().map(|order| {
                    let mut list: Vec<_> = list.iter().map(|kind| renamed(kind, order)).collect();
                    list.sort();
                    list
                });
                list = smallest.min().unwrap_or(list);
                if !found.contains(&list) {
                    found.push(list);
                }
            }
        }
    }
    let renewals = u32::from(third == Third::Renew);
    let scenarios = found.into_iter().map(|list| Scenario { renewals, ..Scenario::new(channels, list) });
    let names_foreign = |kind: &&Kind| match kind {
        Update(set) => set.iter().any(|channel| channels[*channel] == "MN"),
        _ => false,
    };
    let both = |scenario: Scenario| {
        let twice = reversed && scenario.slots.iter().filter(names_foreign).count() > 1;
        let other = twice.then(|| Scenario { reversed: true, ..scenario.clone() });
        [scenario].into_iter().chain(other)
    };
    scenarios.flat_map(both).collect()
}
