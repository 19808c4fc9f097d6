//! How a caller came to be let past authentication.

use std::sync::Arc;

use crate::authn::principal::Principal;
use crate::policy::authorise::ShadowPermit;

/// Who calls, as far as the route asks. There is no way to hold one without a reason: a public route,
/// an optional one to which nothing was sent, or a proof.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The route is public and asks nothing.
    Public,
    /// The route's authentication is optional, and nothing was sent.
    Anonymous(AnonymousPermit),
    /// Somebody was proven to call.
    Proven(Proven),
    /// Nothing but a route in shadow covers the request, and the configuration lets such requests pass.
    Unproven(ShadowPermit),
}

impl Identity {
    /// The proven caller.
    pub const fn proven(&self) -> Option<&Proven> {
        match self {
            Self::Proven(proven) => Some(proven),
            Self::Public | Self::Anonymous(_) | Self::Unproven(_) => None,
        }
    }

    /// The principal of a proven caller.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Proven(proven) => Some(proven.principal()),
            Self::Public | Self::Anonymous(_) | Self::Unproven(_) => None,
        }
    }
}

/// That a route says `optional: true` and a request holds no credential for it. Only
/// [`RouteAuthn::authenticate`](crate::authn::RouteAuthn::authenticate) gives one.
#[derive(Clone, Debug)]
pub struct AnonymousPermit(());

impl AnonymousPermit {
    pub(in crate::authn) const fn new() -> Self {
        Self(())
    }
}

/// A caller whom the route's demand was met by. What was proven is shared: the audit trail keeps it too.
#[derive(Clone, Debug)]
pub struct Proven(Arc<Members>);

#[derive(Debug)]
struct Members {
    principal: Principal,
    others: Vec<Principal>,
    aside: Vec<Principal>,
}

impl Proven {
    /// By one credential.
    pub(in crate::authn) fn alone(principal: Principal) -> Self {
        Self::among(principal, Vec::new(), Vec::new())
    }

    /// With what else was verified: the further members, and what stood aside.
    pub(in crate::authn) fn among(
        principal: Principal,
        others: Vec<Principal>,
        aside: Vec<Principal>,
    ) -> Self {
        Self(Arc::new(Members {
            principal,
            others,
            aside,
        }))
    }

    /// Whom the request counts as: its scopes are the caller's.
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// The further members of an all-of, in order.
    pub fn others(&self) -> &[Principal] {
        &self.0.others
    }

    /// Whoever was verified for an alternative that was then left. They prove nothing here, but what is
    /// wrong with them refuses all the same.
    pub fn aside(&self) -> &[Principal] {
        &self.0.aside
    }

    /// The principal and the others.
    pub fn all(&self) -> impl Iterator<Item = &Principal> + Clone {
        std::iter::once(&self.0.principal).chain(&self.0.others)
    }

    /// What the authenticator of this name proved: `auth["name"]`.
    pub fn by(&self, authenticator: &str) -> Option<&Principal> {
        self.all()
            .find(|principal| principal.authenticator() == authenticator)
    }
}
