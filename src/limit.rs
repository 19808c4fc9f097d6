//! Admission: the last stage before a request may pass. Rate limits are judged here once they exist;
//! until then every grant is admitted, and a policy that asks for a limit does not load.

use crate::policy::authorise::{Grant, Granted};

/// A request that may pass. An [`Allow`](crate::respond::Allow) is made from this and from nothing else.
pub struct Admission {
    granted: Granted,
}

impl Admission {
    /// Admits a grant.
    pub fn admit(grant: Grant) -> Self {
        Self {
            granted: grant.into_parts(),
        }
    }

    /// The parts that the answer is made of.
    pub fn into_parts(self) -> Granted {
        self.granted
    }
}
