//! Roles: names that operators give to sets of scopes, and that routes may ask for.

use std::fmt;
use std::sync::Arc;

/// What one level requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleRule {
    /// Every one.
    All(Vec<Arc<str>>),
    /// At least one.
    Any(Vec<Arc<str>>),
}

impl RoleRule {
    /// Whether a caller who `holds` these roles and no others satisfies this rule.
    pub fn satisfied_by(&self, holds: impl Fn(&Arc<str>) -> bool) -> bool {
        match self {
            Self::All(roles) => roles.iter().all(holds),
            Self::Any(roles) => roles.iter().any(holds),
        }
    }
}

impl fmt::Display for RoleRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (roles, between) = match self {
            Self::All(roles) => (roles, " and "),
            Self::Any(roles) => (roles, " or "),
        };
        let noun = if roles.len() == 1 { "role" } else { "roles" };
        let names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
        write!(f, "the {noun} {}", names.join(between))
    }
}

#[cfg(test)]
mod tests {
    use super::RoleRule;
    use std::sync::Arc;

    fn roles(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn all_or_any_of_the_roles() {
        let all = RoleRule::All(roles(&["a", "b"]));
        let any = RoleRule::Any(roles(&["a", "b"]));
        for (held, of_all, of_any) in [
            (&[][..], false, false),
            (&["a"], false, true),
            (&["b", "c"], false, true),
            (&["c"], false, false),
            (&["b", "a"], true, true),
        ] {
            let held = roles(held);
            let holds = |role: &Arc<str>| held.contains(role);
            assert_eq!(all.satisfied_by(holds), of_all, "{held:?}");
            assert_eq!(any.satisfied_by(holds), of_any, "{held:?}");
        }
        assert_eq!(all.to_string(), "the roles `a` and `b`");
        assert_eq!(any.to_string(), "the roles `a` or `b`");
    }
}
