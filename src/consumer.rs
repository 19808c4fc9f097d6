//! Consumers: the parties an operator knows by name, whatever credential they come with.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::policy::scope::ScopeSet;
use crate::verdict::{Reason, Refusal};

/// A party that credentials belong to.
#[derive(Debug)]
pub struct Consumer {
    /// Its name, unique among consumers.
    pub name: Arc<str>,
    /// The environment it lives in: its credentials count on routes of this environment only.
    pub environment: Arc<str>,
    /// What its credentials may have at most. `None` where the operator states nothing: then a key
    /// without scopes of its own has none, and a token keeps what it claims.
    pub ceiling: Option<ScopeSet>,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// What the operator noted: an object.
    pub metadata: Value,
}

impl Consumer {
    /// Judges what binds whichever credential was used (step 7 of the policy language).
    ///
    /// # Errors
    /// `consumer_expired`, `environment_mismatch`.
    pub fn admit(&self, environment: &str, now: Timestamp) -> Result<(), Refusal> {
        if self.expires.is_some_and(|expires| now >= expires) {
            return Err(Refusal::new(
                Reason::ConsumerExpired,
                format!("consumer `{}` has expired", self.name),
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
