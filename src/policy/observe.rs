//! Watching a decision being made. `explain` runs the code that serves, and asks it to say what it sees.
//!
//! The stages take an observer by value and hand it on. The one that serves, [`Unobserved`], has no size and
//! does nothing, so that nothing of this is left once it is compiled; [`Notes`] keeps what it is told.

pub mod event;
pub mod shown;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use self::event::Event;
use crate::authn::Authenticator;
use crate::authn::credential::Container;
use crate::policy::field::FieldPath;

/// Who watches a decision.
pub trait Observe: Copy + Send + Sync {
    /// Whether anybody does. Where not, nothing is gathered.
    const ON: bool;

    /// Tells of something. `event` is made only if somebody watches.
    fn note(self, event: impl FnOnce() -> Event);

    /// Whether the value of a field may hold a credential, and is not to be told.
    fn hides(self, field: &FieldPath) -> bool;
}

/// Nobody watches: a request is served.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl Observe for Unobserved {
    const ON: bool = false;

    #[inline]
    fn note(self, _: impl FnOnce() -> Event) {}

    fn hides(self, _: &FieldPath) -> bool {
        true
    }
}

/// Keeps what was seen, in order. Never holds a credential, the value of a query parameter, or the value of a
/// header in which a credential may stand.
#[derive(Debug, Default)]
pub struct Notes {
    events: Mutex<Vec<Event>>,
    private: HashSet<Box<str>>,
}

impl Notes {
    /// Notes of a decision by policies with these authenticators: what stands in the headers that they read
    /// is not told, whichever of them the route asks for.
    pub fn new<'a>(authenticators: impl IntoIterator<Item = &'a Authenticator>) -> Self {
        let from = authenticators.into_iter().flat_map(|one| &one.from);
        let private = from.filter_map(|from| match &from.container {
            Container::Header(name) => Some(name.clone()),
            Container::Query(_) | Container::Cookie(_) | Container::Form(_) => None,
        });
        Self {
            events: Mutex::default(),
            private: private.collect(),
        }
    }

    /// What was seen.
    pub fn into_events(self) -> Vec<Event> {
        let events = self.events.into_inner();
        events.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe for &Notes {
    const ON: bool = true;

    fn note(self, event: impl FnOnce() -> Event) {
        let event = event();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
    }

    fn hides(self, field: &FieldPath) -> bool {
        shown::is_private(field, |name| self.private.contains(name))
    }
}

#[cfg(test)]
mod tests;
