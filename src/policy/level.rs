//! The levels of a policy set, and what was said at one of them.

use std::ops::Deref;

use serde::Serialize;

/// Where something was said. The outermost comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// `defaults.require`, which binds every tenant.
    Require,
    /// `defaults`.
    Defaults,
    /// The `defaults` of a tenant.
    Tenant,
    /// The policy.
    Policy,
    /// The route.
    Route,
}

impl Level {
    /// The level's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Require => "defaults.require",
            Self::Defaults => "defaults",
            Self::Tenant => "the tenant's defaults",
            Self::Policy => "policy",
            Self::Route => "route",
        }
    }
}

/// A rule, and the level that states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The level.
    pub level: Level,
    /// What it states.
    pub rule: T,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.rule
    }
}

impl<T: std::fmt::Display> std::fmt::Display for At<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.rule.fmt(f)
    }
}
