//! What the upstream receives of a request that passes: what Envoy makes of the answer.

use crate::request::raw::RawCheck;
use crate::respond::Allow;

/// A request as the upstream receives it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// Path and query.
    pub(super) path: String,
    /// Its header lines, without pseudo headers.
    pub(super) headers: Vec<(String, String)>,
}

impl Received {
    /// The request of `check` with the changes of `allow`.
    pub(super) fn of(check: &RawCheck, allow: &Allow) -> Self {
        let removed: Vec<&[u8]> = allow.removed().collect();
        let rest = allow.cookie().filter(|rest| !rest.is_empty());
        let is_set = |name: &[u8]| {
            let mut set = allow.set().iter();
            set.any(|(set, _)| set.as_bytes() == name) || (rest.is_some() && name == b"cookie")
        };
        let mut headers: Vec<(String, String)> = check
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with(b":") && !removed.contains(name) && !is_set(name))
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        let set = allow.set().iter();
        headers.extend(set.map(|(name, value)| (name.to_string(), value.clone())));
        headers.extend(rest.map(|rest| ("cookie".to_owned(), text(rest))));
        Self {
            path: without(&text(&check.path), allow),
            headers,
        }
    }

    /// The values of a header, in order.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter();
        lines
            .filter(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// A target without the parameters that are taken out, and without its question mark if none is left.
fn without(target: &str, allow: &Allow) -> String {
    let taken = allow.removed_parameters();
    let Some((path, query)) = target.split_once('?').filter(|_| !taken.is_empty()) else {
        return target.to_owned();
    };
    let left: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !taken.iter().any(|taken| taken.as_ref() == name.as_bytes())
        })
        .collect();
    if left.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", left.join("&"))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
