//! Consumers: the parties an operator knows by name, whatever credential they come with.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::policy::caller::AddressRule;
use crate::policy::scope::ScopeSet;
use crate::request::Request;
use crate::verdict::{Reason, Refusal};

/// A party that credentials belong to.
#[derive(Debug)]
pub struct Consumer {
    /// Its name, unique among consumers.
    pub name: Arc<str>,
    /// The environment it lives in: its credentials count on routes of this environment only.
    pub environment: Arc<str>,
    /// What its credentials may have at most: its own scopes and those of its roles. `None` where the
    /// operator states neither: then a key without scopes of its own has none, and a token keeps what it
    /// claims.
    pub ceiling: Option<ScopeSet>,
    /// Its roles.
    pub roles: Box<[Arc<str>]>,
    /// Where its credentials may be used from; `None`: anywhere.
    pub allow_ips: Option<AddressRule>,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// What the operator noted: an object.
    pub metadata: Value,
}

impl Consumer {
    /// What a key of it may do: the key's own scopes cut to the ceiling, or the ceiling.
    pub fn scopes_of_key(&self, own: Option<ScopeSet>) -> ScopeSet {
        match (own, &self.ceiling) {
            (Some(own), Some(ceiling)) => own.cut_to(ceiling),
            (Some(own), None) => own,
            (None, Some(ceiling)) => ceiling.clone(),
            (None, None) => ScopeSet::default(),
        }
    }

    /// Judges what binds whichever credential was used (step 7 of the policy language).
    ///
    /// # Errors
    /// `consumer_expired`, `address_refused`, `environment_mismatch`.
    pub fn admit(
        &self,
        request: &Request,
        environment: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.expires.is_some_and(|expires| now >= expires) {
            return Err(Refusal::new(
                Reason::ConsumerExpired,
                format!("consumer `{}` has expired", self.name),
            ));
        }
        if let Some(allowed) = &self.allow_ips
            && !allowed.admits(request.client_address())
        {
            return Err(Refusal::new(
                Reason::AddressRefused,
                format!("consumer `{}` may not call from this address", self.name),
            ));
        }
        if *self.environment != *environment {
            return Err(Refusal::new(
                Reason::EnvironmentMismatch,
                format!(
                    "consumer `{}` lives in `{}`, the route in `{environment}`",
                    self.name, self.environment
                ),
            ));
        }
        Ok(())
    }
}
