//! What is legal and probably not meant: routes that no request reaches, demands that nobody meets,
//! definitions that nothing uses. Only what is certain is told, and only as a warning.
//!
//! A warning is taken away by doing what its help says, or, where what stands there is meant, by a
//! comment on its line or right above it: `# portcullis: allow(public-below-protected)`.

mod addresses;
mod expiry;
mod grants;
mod paths;
mod signed;
mod unused;
mod view;

use std::collections::HashSet;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::policy::compile::lint::view::Judged;
use crate::policy::source::PolicySet;

/// Looks over a set that was read, and compiled as far as that went. `out` holds what reading and
/// compiling found. `now` is what expiry is judged by.
///
/// With errors in `out` a part may be missing from the set, so what would be concluded from something
/// not being there is left out.
pub fn lint(root: &PolicySet, tenants: &[&PolicySet], now: Timestamp, out: &mut Diagnostics) {
    let whole = !out.has_errors();
    let used = root.tenants.iter().flat_map(|tenant| &tenant.value.uses);
    let require = root.defaults.require.iter();
    let required = require.flat_map(|require| &require.value.authenticators);
    let used: HashSet<&str> = used
        .chain(required)
        .map(|name| name.value.as_str())
        .collect();
    let mut found = Findings::default();
    for set in std::iter::once(&root).chain(tenants) {
        let party = Party {
            set,
            root,
            lent: if std::ptr::eq(*set, root) {
                used.clone()
            } else {
                HashSet::new()
            },
        };
        let routes = view::judged(&party);
        expiry::lint(set, now, &mut found);
        signed::lint(set, &mut found);
        addresses::lint(set, &routes, &mut found);
        paths::lint(&party, &routes, &mut found);
        if whole {
            unused::lint(&party, &routes, &mut found);
            grants::lint(&party, &routes, &mut found);
        }
    }
    out.append(found.kept);
}

/// Whose policies are looked over: the root's, or a tenant's.
struct Party<'a> {
    set: &'a PolicySet,
    root: &'a PolicySet,
    /// Authenticators that others may ask for, and have credentials of.
    lent: HashSet<&'a str>,
}

impl Party<'_> {
    fn is_tenant(&self) -> bool {
        !std::ptr::eq(self.set, self.root)
    }
}

/// Warnings, each told once, without those that a comment allows.
#[derive(Default)]
struct Findings {
    kept: Diagnostics,
    told: HashSet<(&'static str, usize, usize)>,
}

impl Findings {
    fn push(&mut self, warning: Diagnostic) {
        if let Some(place) = &warning.place {
            let key = (warning.code, file_of(place), place.start);
            if !self.told.insert(key) || is_allowed(warning.code, place) {
                return;
            }
        }
        self.kept.push(warning);
    }
}

/// What tells two files apart.
fn file_of(place: &Place) -> usize {
    Arc::as_ptr(&place.file).addr()
}

/// Whether a comment on the line, or in the lines of comments right above it, allows `code`.
fn is_allowed(code: &str, place: &Place) -> bool {
    let (line, _) = place.file.line_column(place.start);
    let above = (1..line)
        .rev()
        .map(|number| place.file.line(number).trim_start())
        .take_while(|text| text.starts_with('#'));
    std::iter::once(place.file.line(line))
        .chain(above)
        .any(|text| allows(text, code))
}

fn allows(line: &str, code: &str) -> bool {
    let Some((_, comment)) = line.split_once('#') else {
        return false;
    };
    let lists = comment.split("portcullis: allow(").skip(1);
    lists
        .filter_map(|rest| rest.split_once(')'))
        .flat_map(|(list, _)| list.split(','))
        .any(|allowed| allowed.trim() == code)
}

/// Every enforced route that somebody has to open, so not the public ones.
fn guarded<'r, 'a>(routes: &'r [Judged<'a>]) -> impl Iterator<Item = &'r Judged<'a>> {
    routes
        .iter()
        .filter(|route| route.enforced && !route.is_public())
}

#[cfg(test)]
mod tests;
