//! Scopes: what a credential permits, and what a route asks for.

use std::fmt;
use std::sync::Arc;

/// The longest scope, in bytes.
pub const MAX_SCOPE_BYTES: usize = 256;

/// Whether `text` is a scope-token of RFC 6749 section 3.3: printable ASCII without space, `"` and `\`.
pub fn is_scope_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_SCOPE_BYTES
        && text
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// One scope that a route requires: a scope-token without a wildcard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Reads a required scope; `None` if it is no scope-token or holds a `*`, which would ask for
    /// something that no token can say.
    pub fn parse(text: &str) -> Option<Self> {
        (is_scope_token(text) && !text.contains('*')).then(|| Self(text.into()))
    }

    /// The scope's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an operator grants: exact scopes, and patterns whose whole last part is `*` (`orders:*`, or
/// `*` alone). A pattern covers one or more parts; parts are separated by `:`.
///
/// Scopes claimed by a token are held here too, but only as exact text: a `*` in them means nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ScopeSet {
    /// Sorted.
    exact: Vec<Arc<str>>,
    /// What stands before the `*`: `orders:` or nothing.
    prefixes: Vec<Arc<str>>,
}

impl ScopeSet {
    /// From what an operator wrote.
    ///
    /// # Errors
    /// The first element that is no scope-token, or has a `*` elsewhere than as its whole last part.
    pub fn granted<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut set = Self::default();
        for scope in scopes {
            if !is_scope_token(scope) {
                return Err(scope);
            }
            match scope.strip_suffix('*') {
                Some(prefix) if prefix.is_empty() || prefix.ends_with(':') => {
                    if prefix.contains('*') {
                        return Err(scope);
                    }
                    set.prefixes.push(prefix.into());
                }
                Some(_) => return Err(scope),
                None if scope.contains('*') => return Err(scope),
                None => set.exact.push(scope.into()),
            }
        }
        set.normalise();
        Ok(set)
    }

    /// From what a token claims: every element is taken literally.
    ///
    /// # Errors
    /// The first element that is no scope-token.
    pub fn claimed<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut set = Self::default();
        for scope in scopes {
            if !is_scope_token(scope) {
                return Err(scope);
            }
            set.exact.push(scope.into());
        }
        set.normalise();
        Ok(set)
    }

    /// Permits what `other` permits as well.
    pub fn add(&mut self, other: &Self) {
        self.exact.extend(other.exact.iter().cloned());
        self.prefixes.extend(other.prefixes.iter().cloned());
        self.normalise();
    }

    fn normalise(&mut self) {
        self.exact.sort();
        self.exact.dedup();
        self.prefixes.sort();
        self.prefixes.dedup();
    }

    /// Whether this set permits `scope`.
    pub fn permits(&self, scope: &Scope) -> bool {
        self.covers(scope.as_str())
    }

    /// Whether this set permits the scope of this name.
    pub fn covers(&self, scope: &str) -> bool {
        self.exact
            .binary_search_by(|held| held.as_ref().cmp(scope))
            .is_ok()
            || self
                .prefixes
                .iter()
                .any(|prefix| covers_below(prefix, scope))
    }

    /// What both sets permit.
    pub fn cut_to(&self, ceiling: &Self) -> Self {
        let mut cut = Self::default();
        let in_both = |ours: &Self, theirs: &Self| {
            ours.exact
                .iter()
                .filter(|scope| theirs.covers(scope))
                .cloned()
                .collect::<Vec<_>>()
        };
        cut.exact = in_both(self, ceiling);
        cut.exact.extend(in_both(ceiling, self));
        for ours in &self.prefixes {
            for theirs in &ceiling.prefixes {
                if ours.starts_with(theirs.as_ref()) {
                    cut.prefixes.push(Arc::clone(ours));
                } else if theirs.starts_with(ours.as_ref()) {
                    cut.prefixes.push(Arc::clone(theirs));
                }
            }
        }
        cut.normalise();
        cut
    }

    /// The scopes in order, patterns with their `*`.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        let patterns = self.prefixes.iter().map(|prefix| format!("{prefix}*"));
        self.exact
            .iter()
            .map(|scope| scope.to_string())
            .chain(patterns)
    }

    /// The scopes in order, each as what stands before its end and its end: `*` of a pattern, else nothing.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let exact = self.exact.iter().map(|scope| (scope.as_ref(), ""));
        exact.chain(self.prefixes.iter().map(|prefix| (prefix.as_ref(), "*")))
    }

    /// Whether nothing is permitted.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    /// All of it, joined by single spaces, as in an OAuth 2.0 `scope` parameter (RFC 6749 section 3.3).
    pub fn joined(&self) -> String {
        let mut text = String::new();
        for scope in &self.exact {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(scope);
        }
        for prefix in &self.prefixes {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(prefix);
            text.push('*');
        }
        text
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.joined())
    }
}

/// Whether `scope` is `prefix` and at least one part more.
fn covers_below(prefix: &str, scope: &str) -> bool {
    scope
        .strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && !rest.contains('*'))
}

/// What one level of a policy requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeRule {
    /// Every one.
    All(Vec<Scope>),
    /// At least one.
    Any(Vec<Scope>),
}

impl ScopeRule {
    /// Whether `held` satisfies this rule.
    pub fn satisfied_by(&self, held: &ScopeSet) -> bool {
        match self {
            Self::All(scopes) => scopes.iter().all(|scope| held.permits(scope)),
            Self::Any(scopes) => scopes.iter().any(|scope| held.permits(scope)),
        }
    }
}

impl fmt::Display for ScopeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scopes, word) = match self {
            Self::All(scopes) => (scopes, " and "),
            Self::Any(scopes) => (scopes, " or "),
        };
        let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(word))
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, ScopeRule, ScopeSet};
    use proptest::prelude::{prop_assert_eq, proptest};

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn a_wildcard_is_a_whole_last_part() {
        let set = ScopeSet::granted(["orders:*", "invoices:read"]).unwrap();
        for (text, permitted) in [
            ("orders:read", true),
            ("orders:items:read", true),
            ("orders", false),
            ("ordersx:read", false),
            ("invoices:read", true),
            ("invoices:write", false),
        ] {
            assert_eq!(set.permits(&scope(text)), permitted, "{text}");
        }
        assert!(
            ScopeSet::granted(["*"])
                .unwrap()
                .permits(&scope("anything:at:all"))
        );
        for bad in [
            "or*",
            "*:read",
            "orders:*:read",
            "a b",
            "",
            "a\"b",
            "é",
            "**",
            "*:*",
        ] {
            assert!(ScopeSet::granted([bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn j10_a_claimed_wildcard_is_only_text() {
        let set = ScopeSet::claimed(["orders:*", "read"]).unwrap();
        assert!(!set.permits(&scope("orders:read")));
        assert!(set.permits(&scope("read")) && !set.permits(&scope("rea")));
        assert!(ScopeSet::claimed(["a b"]).is_err());
        assert!(Scope::parse("orders:*").is_none());
    }

    #[test]
    fn a_claimed_wildcard_does_not_grow_under_a_ceiling() {
        let ceiling = ScopeSet::granted(["orders:*"]).unwrap();
        let cut = ScopeSet::claimed(["orders:*", "orders:read", "other"])
            .unwrap()
            .cut_to(&ceiling);
        assert_eq!(cut.joined(), "orders:read");
        let all = ScopeSet::granted(["*"]).unwrap();
        assert_eq!(
            ScopeSet::claimed(["*", "a"]).unwrap().cut_to(&all).joined(),
            "a"
        );
    }

    #[test]
    fn all_and_any() {
        let held = ScopeSet::granted(["a", "b"]).unwrap();
        assert!(ScopeRule::All(vec![scope("a"), scope("b")]).satisfied_by(&held));
        assert!(!ScopeRule::All(vec![scope("a"), scope("c")]).satisfied_by(&held));
        assert!(ScopeRule::Any(vec![scope("c"), scope("b")]).satisfied_by(&held));
        assert!(!ScopeRule::Any(vec![scope("c")]).satisfied_by(&held));
    }

    proptest! {
        /// A cut permits exactly what both sides permit.
        #[test]
        fn cutting_is_intersection(
            ours in proptest::collection::vec("(a|b)(:(a|b|\\*))?|\\*", 0..5),
            theirs in proptest::collection::vec("(a|b)(:(a|b|\\*))?|\\*", 0..5),
            asked in "(a|b)(:(a|b)){0,2}",
        ) {
            let ours = ScopeSet::granted(ours.iter().map(String::as_str)).unwrap();
            let theirs = ScopeSet::granted(theirs.iter().map(String::as_str)).unwrap();
            let asked = scope(&asked);
            let cut = ours.cut_to(&theirs);
            prop_assert_eq!(cut.permits(&asked), ours.permits(&asked) && theirs.permits(&asked));
        }
    }
}
