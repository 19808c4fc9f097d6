//! Answers that Portcullis gives itself, and that are no refusals.

use std::sync::Arc;

use crate::ids::DecisionId;
use crate::policy::cors::preflight::PreflightPermit;
use crate::policy::route::Route;
use crate::respond::Told;
use crate::verdict::Reason;

/// The answer to a preflight: 204 without a body. To Envoy it is a denial, as the request goes no further.
/// Only [`Reply::preflight`] makes one, and only from a [`PreflightPermit`].
#[derive(Debug)]
pub struct Reply {
    id: DecisionId,
    route: Arc<Route>,
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// Answers a preflight.
    pub fn preflight(permit: PreflightPermit, id: DecisionId) -> Self {
        let (route, headers) = permit.into_parts();
        Self { id, route, headers }
    }

    /// Why.
    pub const fn reason(&self) -> Reason {
        Reason::Preflight
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        Reason::Preflight.class().status()
    }

    /// Headers of the answer.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// What dynamic metadata tells of this decision.
    pub const fn facts(&self) -> Told<'_> {
        Told {
            id: self.id,
            reason: Reason::Preflight,
            route: Some(&self.route),
            principal: None,
        }
    }
}
