//! The workloads that a policy names: by SPIFFE ID, by a pattern of one, or in the terms of Kubernetes.

use std::fmt;

use crate::authn::spiffe::{BadSpiffeId, SpiffeId, TrustDomain, check_segment, split};

/// The longest name of a namespace, in bytes (RFC 1123 label).
const MAX_NAMESPACE_BYTES: usize = 63;

/// The longest name of a service account, in bytes (RFC 1123 subdomain).
const MAX_ACCOUNT_BYTES: usize = 253;

/// Why a policy's entry names no workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSelector {
    /// What stands there is no ID, stars aside.
    #[error(transparent)]
    Id(#[from] BadSpiffeId),
    /// `spiffe://td`, which is no workload's ID.
    #[error("this names a trust domain and no workload; list it under `trust_domains`")]
    NoPath,
    /// `*.example.com` as a trust domain.
    #[error("a trust domain is written out; a `*` stands for a segment of the path")]
    StarInTrustDomain,
    /// `/ns/a*`.
    #[error("a `*` stands for one whole segment: `/ns/*/sa/worker`, `/ns/web/sa/*`")]
    StarInSegment,
    /// Not a label of RFC 1123.
    #[error("a namespace is at most 63 lower-case letters, digits and hyphens between them")]
    Namespace,
    /// Not a subdomain of RFC 1123.
    #[error("a service account is at most 253 lower-case letters, digits, hyphens and dots")]
    ServiceAccount,
}

/// A SPIFFE ID in whose path a `*` may stand for one whole segment.
///
/// A pattern is matched segment by segment and has as many of them as the IDs that it admits, so `/ns/a`
/// is no prefix of `/ns/ab` or of `/ns/a/sa/b`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffePattern {
    trust_domain: TrustDomain,
    /// `None` is a star.
    segments: Box<[Option<Box<str>>]>,
}

impl SpiffePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`BadSelector`].
    pub fn parse(text: &str) -> Result<Self, BadSelector> {
        let (domain, path) = split(text.as_bytes())?;
        if domain.contains(&b'*') {
            return Err(BadSelector::StarInTrustDomain);
        }
        let trust_domain = TrustDomain::parse(domain)?;
        let Some(path) = path.strip_prefix(b"/") else {
            return Err(BadSelector::NoPath);
        };
        if path.last().is_none_or(|&byte| byte == b'/') {
            return Err(BadSpiffeId::TrailingSlash.into());
        }
        let segments = path.split(|&byte| byte == b'/').map(|segment| {
            if segment == b"*" {
                return Ok(None);
            }
            if segment.contains(&b'*') {
                return Err(BadSelector::StarInSegment);
            }
            check_segment(segment)?;
            let text = std::str::from_utf8(segment).map_err(|_| BadSpiffeId::PathCharacter)?;
            Ok(Some(text.into()))
        });
        Ok(Self {
            trust_domain,
            segments: segments.collect::<Result<_, BadSelector>>()?,
        })
    }

    /// Whose workloads it admits.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Whether it admits this ID.
    pub fn admits(&self, id: &SpiffeId) -> bool {
        let mut segments = id.segments();
        self.trust_domain.as_str() == id.trust_domain()
            && self.segments.iter().all(|wanted| {
                segments
                    .next()
                    .is_some_and(|segment| wanted.as_deref().is_none_or(|wanted| wanted == segment))
            })
            && segments.next().is_none()
    }

    /// The one ID that it admits, if it has no star.
    pub fn exact(&self) -> Option<SpiffeId> {
        let mut text = format!("spiffe://{}", self.trust_domain);
        for segment in &self.segments {
            text.push('/');
            text.push_str(segment.as_deref()?);
        }
        SpiffeId::parse(text.as_bytes()).ok()
    }
}

/// One entry of `allow`, `except` or `callers`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WorkloadSelector {
    /// By ID.
    Id(SpiffePattern),
    /// By the names that Kubernetes has for it, in whichever trust domain: which ones count is for
    /// [`crate::authn::spiffe::TrustDomains`] to say.
    Kubernetes {
        /// The namespace.
        namespace: Box<str>,
        /// The service account; `None` is every one of the namespace.
        service_account: Option<Box<str>>,
    },
}

impl WorkloadSelector {
    /// Reads `namespace` and `service_account`.
    ///
    /// # Errors
    /// [`BadSelector`] for what Kubernetes would not accept as a name: a typing error here would otherwise
    /// admit nobody in silence.
    pub fn kubernetes(namespace: &str, service_account: Option<&str>) -> Result<Self, BadSelector> {
        if namespace.len() > MAX_NAMESPACE_BYTES || !is_label(namespace) {
            return Err(BadSelector::Namespace);
        }
        let subdomain =
            |name: &str| name.len() <= MAX_ACCOUNT_BYTES && name.split('.').all(is_label);
        if service_account.is_some_and(|account| !subdomain(account)) {
            return Err(BadSelector::ServiceAccount);
        }
        Ok(Self::Kubernetes {
            namespace: namespace.into(),
            service_account: service_account.map(Into::into),
        })
    }

    /// Whether it admits this workload.
    pub fn admits(&self, id: &SpiffeId) -> bool {
        match self {
            Self::Id(pattern) => pattern.admits(id),
            Self::Kubernetes {
                namespace,
                service_account,
            } => id.kubernetes().is_some_and(|(its_namespace, its_account)| {
                its_namespace == namespace.as_ref()
                    && service_account
                        .as_deref()
                        .is_none_or(|account| account == its_account)
            }),
        }
    }
}

impl fmt::Display for SpiffePattern {
    /// As policies write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}", self.trust_domain)?;
        for segment in &self.segments {
            write!(f, "/{}", segment.as_deref().unwrap_or("*"))?;
        }
        Ok(())
    }
}

impl fmt::Display for WorkloadSelector {
    /// As an operator reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(pattern) => pattern.fmt(f),
            Self::Kubernetes {
                namespace,
                service_account,
            } => {
                let account = service_account.as_deref().unwrap_or("*");
                write!(f, "/ns/{namespace}/sa/{account}")
            }
        }
    }
}

/// A label of RFC 1123: lower-case letters, digits, and hyphens that neither begin nor end it.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{BadSelector, SpiffePattern, WorkloadSelector};
    use crate::authn::spiffe::{BadSpiffeId, SpiffeId};

    fn id(text: &str) -> SpiffeId {
        SpiffeId::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn c3_matches_whole_segments_and_never_a_part_of_one() {
        for (pattern, text, admitted) in [
            ("spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/b", true),
            ("spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/B", false),
            ("spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/bb", false),
            ("spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/b/c", false),
            ("spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa", false),
            ("spiffe://td/ns/a/sa/b", "spiffe://td2/ns/a/sa/b", false),
            ("spiffe://td/ns/a/sa/b", "spiffe://td.evil/ns/a/sa/b", false),
            ("spiffe://td/ns/a/sa/*", "spiffe://td/ns/a/sa/b", true),
            ("spiffe://td/ns/a/sa/*", "spiffe://td/ns/ab/sa/b", false),
            ("spiffe://td/ns/a/sa/*", "spiffe://td/ns/a/sa/b/c", false),
            ("spiffe://td/ns/a/sa/*", "spiffe://td/ns/a/sa", false),
            ("spiffe://td/ns/*/sa/b", "spiffe://td/ns/a/sa/b", true),
            ("spiffe://td/ns/*/sa/b", "spiffe://td/ns/a/x/sa/b", false),
            ("spiffe://td/*", "spiffe://td/a", true),
            ("spiffe://td/*", "spiffe://td", false),
            ("spiffe://td/*", "spiffe://td/a/b", false),
            ("spiffe://td/*/*", "spiffe://td/a/b", true),
        ] {
            let admits = SpiffePattern::parse(pattern).unwrap().admits(&id(text));
            assert_eq!(admits, admitted, "{pattern} {text}");
        }
    }

    #[test]
    fn refuses_patterns_that_would_match_parts() {
        for (text, why) in [
            ("spiffe://td/ns/a*", BadSelector::StarInSegment),
            ("spiffe://td/ns/**", BadSelector::StarInSegment),
            ("spiffe://*/ns/a", BadSelector::StarInTrustDomain),
            ("spiffe://*.td/ns/a", BadSelector::StarInTrustDomain),
            ("spiffe://td", BadSelector::NoPath),
            ("spiffe://td/", BadSelector::Id(BadSpiffeId::TrailingSlash)),
            (
                "spiffe://td/*/",
                BadSelector::Id(BadSpiffeId::TrailingSlash),
            ),
            ("spiffe://td/../*", BadSelector::Id(BadSpiffeId::DotSegment)),
            ("spiffe://td//*", BadSelector::Id(BadSpiffeId::EmptySegment)),
            ("spiffe://td/a?*", BadSelector::StarInSegment),
            ("*", BadSelector::Id(BadSpiffeId::Scheme)),
        ] {
            assert_eq!(SpiffePattern::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn knows_a_pattern_without_a_star() {
        let exact = |text| SpiffePattern::parse(text).unwrap().exact();
        assert_eq!(exact("spiffe://td/a/b"), Some(id("spiffe://td/a/b")));
        assert_eq!(exact("spiffe://td/a/*"), None);
    }

    #[test]
    fn admits_in_the_terms_of_kubernetes() {
        let namespace = WorkloadSelector::kubernetes("a", None).unwrap();
        let account = WorkloadSelector::kubernetes("a", Some("b")).unwrap();
        for (text, by_namespace, by_account) in [
            ("spiffe://td/ns/a/sa/b", true, true),
            ("spiffe://other/ns/a/sa/b", true, true),
            ("spiffe://td/ns/a/sa/c", true, false),
            ("spiffe://td/ns/ab/sa/b", false, false),
            ("spiffe://td/ns/a/sa/bb", true, false),
            ("spiffe://td/ns/a", false, false),
            ("spiffe://td/ns/a/sa/b/x", false, false),
            ("spiffe://td/x/ns/a/sa/b", false, false),
            ("spiffe://td/NS/a/SA/b", false, false),
            ("spiffe://td/sa/b/ns/a", false, false),
        ] {
            assert_eq!(namespace.admits(&id(text)), by_namespace, "{text}");
            assert_eq!(account.admits(&id(text)), by_account, "{text}");
        }
    }

    #[test]
    fn refuses_names_that_kubernetes_does_not_have() {
        for bad in ["", "*", "A", "a.b", "-a", "a-", "a/b", &"a".repeat(64)] {
            assert_eq!(
                WorkloadSelector::kubernetes(bad, None),
                Err(BadSelector::Namespace),
                "{bad}"
            );
        }
        for bad in ["", "*", "A", "a..b", "a/b", "a*", &"a".repeat(254)] {
            assert_eq!(
                WorkloadSelector::kubernetes("a", Some(bad)),
                Err(BadSelector::ServiceAccount),
                "{bad}"
            );
        }
        assert!(WorkloadSelector::kubernetes("a-1", Some("b.c-2")).is_ok());
    }
}
