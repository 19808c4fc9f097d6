//! What was revoked: credentials, tokens, sessions, subjects and consumers that count no longer,
//! whatever else the policies say.

use std::collections::{HashMap, HashSet};

use crate::authn::principal::Principal;
use crate::clock::Timestamp;
use crate::verdict::{Reason, Refusal};

/// One entry of `revocations`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// What is revoked.
    pub what: Revoked,
    /// Only what was issued before this time; `None`: all of it. What does not say when it was issued
    /// counts as issued before.
    pub before: Option<Timestamp>,
}

/// What an entry of `revocations` names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// `credential`: a key's id, or a token's `jti`, with any authenticator.
    Credential(Box<str>),
    /// `jti`: a token's id.
    TokenId(Box<str>),
    /// `session`: a token's `sid` (OpenID Connect Front-Channel Logout 1.0 section 3).
    Session(Box<str>),
    /// `subject`: `authenticator:subject`, as in `principal.id`.
    Subject(Box<str>),
    /// `consumer`: its name.
    Consumer(Box<str>),
}

/// When something counts as revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Whenever it was issued.
    Always,
    /// If it was issued before this time.
    Issued(Timestamp),
}

impl Until {
    /// The stricter of two entries for the same thing.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Issued(a), Self::Issued(b)) => Self::Issued(a.max(b)),
            _ => Self::Always,
        }
    }

    fn covers(self, issued: Option<Timestamp>) -> bool {
        match (self, issued) {
            (Self::Always, _) | (Self::Issued(_), None) => true,
            (Self::Issued(before), Some(issued)) => issued < before,
        }
    }
}

type Entries = HashMap<Box<str>, Until>;

/// All revocations, indexed. Immutable; replaced as a whole, apart from the policies.
#[derive(Debug, Default)]
pub struct Revocations {
    credentials: Entries,
    token_ids: Entries,
    sessions: Entries,
    subjects: Entries,
    consumers: Entries,
    count: usize,
    /// What tenants revoke: on their own routes only.
    tenants: HashMap<Box<str>, Revocations>,
}

impl Revocations {
    /// Of these entries; a repeated one counts once, the stricter of two for the same thing holds.
    pub fn new(entries: impl IntoIterator<Item = Revocation>) -> Self {
        let mut revocations = Self::default();
        let entries: HashSet<Revocation> = entries.into_iter().collect();
        revocations.count = entries.len();
        for Revocation { what, before } in entries {
            let (into, name) = match what {
                Revoked::Credential(name) => (&mut revocations.credentials, name),
                Revoked::TokenId(name) => (&mut revocations.token_ids, name),
                Revoked::Session(name) => (&mut revocations.sessions, name),
                Revoked::Subject(name) => (&mut revocations.subjects, name),
                Revoked::Consumer(name) => (&mut revocations.consumers, name),
            };
            let until = before.map_or(Until::Always, Until::Issued);
            let held = into.entry(name).or_insert(until);
            *held = held.or(until);
        }
        revocations
    }

    /// With what a tenant revokes. Its consumers and authenticators go by the names that it gave them, and by
    /// those that nobody else has.
    #[must_use]
    pub fn with_tenant(
        mut self,
        tenant: &str,
        entries: impl IntoIterator<Item = Revocation>,
    ) -> Self {
        let mut own: Vec<Revocation> = entries.into_iter().collect();
        if own.is_empty() {
            return self;
        }
        let mut qualified = Vec::new();
        for Revocation { what, before } in &own {
            let names = match what {
                Revoked::Consumer(consumer) => {
                    vec![Revoked::Consumer(format!("{tenant}/{consumer}").into())]
                }
                // Of a token the subject is its issuer's word, of an API key its consumer's name.
                Revoked::Subject(subject) => {
                    let key = subject.replacen(':', &format!(":{tenant}/"), 1);
                    let names = [subject.as_ref(), key.as_str()];
                    let names =
                        names.map(|name| Revoked::Subject(format!("{tenant}/{name}").into()));
                    names.to_vec()
                }
                _ => Vec::new(),
            };
            qualified.extend(names.into_iter().map(|what| Revocation {
                what,
                before: *before,
            }));
        }
        own.extend(qualified);
        self.tenants.insert(tenant.into(), Self::new(own));
        self
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.tenants.is_empty()
    }

    /// Refuses a caller of whom anything was revoked (step 8 of the policy language), on a route of
    /// `tenant`.
    ///
    /// # Errors
    /// `credentials_revoked`.
    pub fn judge(&self, principal: &Principal, tenant: Option<&str>) -> Result<(), Refusal> {
        if let Some(own) = tenant.and_then(|tenant| self.tenants.get(tenant)) {
            own.judge(principal, None)?;
        }
        if self.count == 0 {
            return Ok(());
        }
        let consumer = principal.consumer().map(|consumer| consumer.name.as_ref());
        let named = [
            ("credential", &self.credentials, principal.credential_id()),
            ("jti", &self.token_ids, principal.token_id()),
            ("session", &self.sessions, principal.session()),
            ("subject", &self.subjects, Some(principal.id())),
            ("consumer", &self.consumers, consumer),
        ];
        for (what, entries, name) in named {
            let until = name.and_then(|name| entries.get(name));
            if until.is_some_and(|until| until.covers(principal.issued_at())) {
                return Err(Refusal::new(
                    Reason::CredentialsRevoked,
                    format!("`revocations` names its {what}"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
