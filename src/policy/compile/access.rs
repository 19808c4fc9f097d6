//! Which level says who may open a route.

use crate::policy::source::{AuthenticateSource, LevelSource, Located};

/// Who may open a route.
#[derive(Clone, Copy)]
pub(super) enum Access<'a> {
    /// Anyone.
    Public,
    /// Who proves what this asks.
    Authenticated(&'a Located<AuthenticateSource>),
}

/// The nearest level that says `authenticate` or `public: true` decides; `public: false` keeps farther
/// levels from opening it. `None` if no level says anything. The levels come nearest first.
pub(super) fn access<'a>(levels: &[&'a LevelSource]) -> Option<Access<'a>> {
    let mut may_be_public = true;
    for level in levels {
        if let Some(source) = &level.authenticate {
            return Some(Access::Authenticated(source));
        }
        match &level.public {
            Some(public) if public.value && may_be_public => return Some(Access::Public),
            Some(public) if !public.value => may_be_public = false,
            _ => {}
        }
    }
    None
}
