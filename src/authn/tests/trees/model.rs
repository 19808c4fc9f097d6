//! Random trees against a second reading of the language, a few lines long.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::Config;

use super::{HEADERS, trees};
use crate::verdict::Reason;

/// A tree over the authenticators of [`HEADERS`], by position.
#[derive(Clone, Debug)]
enum Tree {
    One(usize),
    Any(Vec<Tree>),
    All(Vec<Tree>),
}

impl Tree {
    /// A tree that loads, as the bytes say: the members of an `all` share no authenticator.
    fn grow(bytes: &mut impl Iterator<Item = u8>, names: &[usize], depth: usize) -> Self {
        let mut next = |bound: usize| usize::from(bytes.next().unwrap_or(0)) % bound;
        let choice = if depth == 0 { 0 } else { next(3) };
        match choice {
            1 => {
                let count = 1 + next(3);
                let mut ways: Vec<Self> = Vec::new();
                for _ in 0..count {
                    let way = Self::grow(bytes, names, depth - 1);
                    let twice = |other: &Self| match (other, &way) {
                        (Self::One(a), Self::One(b)) => a == b,
                        _ => false,
                    };
                    if !ways.iter().any(twice) {
                        ways.push(way);
                    }
                }
                Self::Any(ways)
            }
            2 if names.len() > 1 => {
                let mut names = names.to_vec();
                let turn = next(names.len());
                names.rotate_left(turn);
                let (left, right) = names.split_at(1 + next(names.len() - 1));
                let members = [left, right];
                Self::All(
                    members
                        .map(|names| Self::grow(bytes, names, depth - 1))
                        .into(),
                )
            }
            _ => Self::One(names[next(names.len())]),
        }
    }

    fn written(&self) -> String {
        let list = |trees: &[Self]| {
            let written: Vec<String> = trees.iter().map(Self::written).collect();
            written.join(", ")
        };
        match self {
            Self::One(index) => HEADERS[*index].0.to_owned(),
            Self::Any(ways) => format!("{{any: [{}]}}", list(ways)),
            Self::All(members) => format!("{{all: [{}]}}", list(members)),
        }
    }

    fn reads(&self, index: usize) -> bool {
        match self {
            Self::One(one) => *one == index,
            Self::Any(trees) | Self::All(trees) => trees.iter().any(|tree| tree.reads(index)),
        }
    }

    /// What the language says of a request: `-`, `+` or `x`, as its leaves are.
    fn model(&self, signs: &[char], alternative: bool) -> char {
        match self {
            Self::One(index) => signs[*index],
            Self::Any(ways) => {
                let mut said = ways.iter().map(|way| way.model(signs, true));
                said.find(|sign| *sign != '-').unwrap_or('-')
            }
            Self::All(members) => {
                let said: Vec<char> = members
                    .iter()
                    .map(|m| m.model(signs, alternative))
                    .collect();
                if alternative && said.contains(&'x') {
                    return 'x';
                }
                *said.iter().find(|sign| **sign != '+').unwrap_or(&'+')
            }
        }
    }
}

fn outcomes() -> impl Strategy<Value = Vec<char>> {
    proptest::collection::vec(proptest::sample::select(vec!['-', '+', 'x']), 4)
}

proptest! {
    #![proptest_config(Config::with_cases(128))]

    /// Whatever the tree and whatever is sent: what passes is what the language lets pass.
    #[test]
    fn an_allow_is_what_the_language_allows(
        bytes in proptest::collection::vec(any::<u8>(), 24),
        sent in proptest::collection::vec(outcomes(), 6),
        optional: bool,
    ) {
        let tree = Tree::grow(&mut bytes.into_iter(), &[0, 1, 2, 3], 3);
        let written = tree.written();
        let route = format!("      - {{path: /, authenticate: {written}, optional: {optional}}}\n");
        let trees = trees(&route);
        for signs in sent {
            let text: String = signs.iter().collect();
            let reason = trees.judge("/", &text).reason();
            let nothing = (0..4).all(|index| signs[index] == '-' || !tree.reads(index));
            let model = tree.model(&signs, false) == '+' || (optional && nothing);
            if reason == Reason::CredentialsAmbiguous {
                continue;
            }
            prop_assert_eq!(reason == Reason::Allowed, model, "{} {}: {:?}", written, text, reason);
            prop_assert!(nothing || !optional || reason != Reason::Allowed || text.contains('+'));
        }
    }
}
