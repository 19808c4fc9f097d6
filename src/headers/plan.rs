//! Set it or strip it: what becomes of every header that Portcullis owns, for each allowed request.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use crate::headers::{Headers, fold};

/// The headers that Portcullis owns: every name that any policy may inject, and a reserved prefix.
///
/// Names are compared as an upstream's CGI-like interface would see them, so that `x_auth_principal`
/// and `x.auth.principal` belong to `x-auth-principal`.
#[derive(Debug)]
pub struct Managed {
    names: Arc<[Arc<str>]>,
    /// In the order of [`by_length`]: looked up for every header of every request.
    folded: Box<[Box<[u8]>]>,
    prefix: Box<[u8]>,
}

impl Managed {
    /// Owns `names` and everything that starts with `prefix` (lower-case; empty: nothing by prefix).
    pub fn new(names: impl IntoIterator<Item = Arc<str>>, prefix: &str) -> Self {
        let mut names: Vec<Arc<str>> = names.into_iter().collect();
        names.sort();
        names.dedup();
        let mut folded_names: Vec<Box<[u8]>> =
            names.iter().map(|name| folded(name.as_bytes())).collect();
        folded_names.sort_by(|a, b| by_length(a, b));
        Self {
            folded: folded_names.into(),
            names: names.into(),
            prefix: folded(prefix.as_bytes()),
        }
    }

    /// Whether a header of this name, in whatever spelling, is one of ours.
    pub fn owns(&self, name: &[u8]) -> bool {
        let by_prefix = !self.prefix.is_empty()
            && name.len() >= self.prefix.len()
            && self
                .prefix
                .iter()
                .zip(name)
                .all(|(&ours, &theirs)| ours == fold(theirs));
        by_prefix
            || self
                .folded
                .binary_search_by(|ours| by_length(ours, name))
                .is_ok()
    }

    /// The managed header that the request's `Connection` header would make the next hop drop, if any
    /// (RFC 9110 section 7.6.1).
    pub fn dropped_by_connection(&self, headers: &Headers) -> Option<String> {
        headers
            .all("connection")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .find(|token| self.owns(token))
            .map(|token| String::from_utf8_lossy(token).into_owned())
    }

    /// The names to remove whatever the request shows, given the names that this decision sets: each
    /// managed name that it does not set, and the spellings with `-`, `_` and `.` of each, which a CGI-like
    /// upstream reads as the same variable. They are listed even if the request does not carry them, because
    /// Envoy may be told not to show some headers to the check.
    pub fn always_removed(&self, set: &HashSet<&str>) -> Vec<Arc<str>> {
        let mut removed: Vec<Arc<str>> = Vec::new();
        for name in self.names.iter() {
            let respelled =
                |separator: &str| -> Arc<str> { name.replace(['-', '_', '.'], separator).into() };
            for spelling in [
                Arc::clone(name),
                respelled("-"),
                respelled("_"),
                respelled("."),
            ] {
                if !set.contains(spelling.as_ref()) && !removed.contains(&spelling) {
                    removed.push(spelling);
                }
            }
        }
        removed
    }

    /// The headers of this request that are ours by any spelling and that `set` does not overwrite.
    pub fn carried<'a>(
        &'a self,
        headers: &'a Headers,
        set: impl Fn(&[u8]) -> bool + 'a,
    ) -> impl Iterator<Item = &'a [u8]> + 'a {
        headers
            .iter()
            .map(|(name, _)| name)
            .filter(move |name| self.owns(name) && !set(name))
    }
}

/// The order of a folded name to a name in whatever spelling: by length, which tells most apart, then
/// by what [`fold`] makes of their bytes.
fn by_length(ours: &[u8], theirs: &[u8]) -> Ordering {
    let bytes = || ours.iter().copied().cmp(theirs.iter().copied().map(fold));
    ours.len().cmp(&theirs.len()).then_with(bytes)
}

fn folded(name: &[u8]) -> Box<[u8]> {
    name.iter().map(|&byte| fold(byte)).collect()
}

/// Whether a policy may inject a header of this name. Hop-by-hop headers, the message's own framing,
/// and what Envoy or an earlier proxy speaks for are not ours to set.
pub fn may_inject(name: &str) -> bool {
    const NEVER: [&str; 15] = [
        "host",
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "expect",
        "forwarded",
        "via",
        "cookie",
    ];
    let spelled: String = name.bytes().map(|byte| char::from(fold(byte))).collect();
    !name.starts_with(':')
        && !NEVER.contains(&spelled.as_str())
        && !["content-", "x-envoy-", "x-forwarded-"]
            .iter()
            .any(|p| spelled.starts_with(p))
}

/// Whether everything that starts with `prefix` may be ours: it must end in `-` and cover no header that
/// clients, Envoy or the upstream need.
pub fn may_own(prefix: &str) -> bool {
    const NEEDED: [&str; 22] = [
        "accept-",
        "access-control-",
        "alt-",
        "authorization",
        "cache-control",
        "client-",
        "content-",
        "cookie",
        "expect-",
        "grpc-",
        "if-",
        "last-event-id",
        "max-forwards",
        "proxy-",
        "range",
        "sec-",
        "transfer-encoding",
        "user-agent",
        "x-b3-",
        "x-envoy-",
        "x-forwarded-",
        "x-request-id",
    ];
    crate::headers::is_header_name(prefix)
        && prefix.len() > 2
        && prefix.ends_with('-')
        && !NEEDED
            .iter()
            .any(|needed| needed.starts_with(prefix) || prefix.starts_with(needed))
}

#[cfg(test)]
mod tests {
    use super::{Managed, may_inject, may_own};
    use crate::headers::Headers;
    use bytes::Bytes;
    use proptest::prelude::{prop_assert, proptest};
    use std::collections::HashSet;

    fn managed() -> Managed {
        Managed::new(["x-auth-principal".into(), "x-tenant".into()], "x-auth-")
    }

    fn headers(names: &[&str]) -> Headers {
        Headers::new(names.iter().map(|name| (name, "v")))
    }

    #[test]
    fn h5_owns_every_spelling() {
        for name in [
            "x-auth-principal",
            "X_Auth_Principal",
            "x.auth.principal",
            "x-auth-anything",
            "X_TENANT",
        ] {
            assert!(managed().owns(name.as_bytes()), "{name}");
        }
        for name in ["x-auth", "x-tenants", "xtenant", "authorization", ""] {
            assert!(!managed().owns(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn h4_lists_what_is_not_set_even_if_not_seen() {
        let removed = managed().always_removed(&HashSet::from(["x-auth-principal"]));
        let removed: Vec<&str> = removed.iter().map(AsRef::as_ref).collect();
        assert_eq!(
            removed,
            [
                "x_auth_principal",
                "x.auth.principal",
                "x-tenant",
                "x_tenant",
                "x.tenant"
            ]
        );
    }

    #[test]
    fn h6_finds_a_managed_name_in_connection() {
        for (value, named) in [
            ("close", None),
            ("keep-alive, X-Tenant", Some("X-Tenant")),
            ("x_auth_principal", Some("x_auth_principal")),
        ] {
            let headers = Headers::new(vec![(
                Bytes::from_static(b"connection"),
                Bytes::from_static(value.as_bytes()),
            )]);
            assert_eq!(managed().dropped_by_connection(&headers).as_deref(), named);
        }
    }

    #[test]
    fn refuses_to_inject_what_belongs_to_others() {
        for name in [
            "host",
            ":path",
            "content-length",
            "x-envoy-retry-on",
            "x_forwarded_for",
            "te",
            "via",
        ] {
            assert!(!may_inject(name), "{name}");
        }
        for name in ["x-auth-principal", "authorization", "x-tenant"] {
            assert!(may_inject(name), "{name}");
        }
    }

    #[test]
    fn reserves_no_header_that_others_need() {
        for prefix in ["x-auth-", "x-portcullis-", "acme-"] {
            assert!(may_own(prefix), "{prefix}");
        }
        for prefix in [
            "",
            "x",
            "x-",
            "x-auth",
            "X-Auth-",
            "content-",
            "x-forwarded-",
            "x-envoy-",
            "x-request-",
            "if-",
            "user-",
            "sec-fetch-",
            "grpc-",
        ] {
            assert!(!may_own(prefix), "{prefix}");
        }
    }

    proptest! {
        /// Whatever spelling a caller finds for a managed header, the request's copy is removed or
        /// overwritten.
        #[test]
        fn no_spelling_survives(separators in proptest::collection::vec("[-_.~!+]", 2), upper: bool) {
            let mut name = format!("x{}auth{}principal", separators[0], separators[1]);
            if upper {
                name = name.to_uppercase();
            }
            let headers = headers(&[&name, "accept"]);
            let managed = managed();
            let carried: Vec<_> = managed.carried(&headers, |_| false).collect();
            prop_assert!(carried == [Bytes::from(name.to_lowercase())]);
        }
    }
}
