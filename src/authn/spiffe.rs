//! SPIFFE IDs and trust domains that can't hold a bad value, and the sets of them that policies admit.
//!
//! Source: "The SPIFFE Identity and Verifiable Identity Document", section 2. An ID is compared byte for
//! byte: there is one spelling of each, so anything that would need decoding or folding is refused.

pub mod pattern;

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;

/// The longest SPIFFE ID, in bytes (section 2.3).
pub const MAX_ID_BYTES: usize = 2048;

/// The longest trust domain, in bytes (section 2.1, after RFC 3986 section 3.2.2).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;

const SCHEME: &[u8] = b"spiffe://";

/// Why a text is no SPIFFE ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadSpiffeId {
    /// Nothing at all.
    #[error("the SPIFFE ID is empty")]
    Empty,
    /// More than [`MAX_ID_BYTES`].
    #[error("the SPIFFE ID is longer than 2,048 bytes")]
    TooLong,
    /// Another scheme, or this one in another case.
    #[error("a SPIFFE ID begins with `spiffe://`, in lower case")]
    Scheme,
    /// Nothing between the slashes.
    #[error("the SPIFFE ID names no trust domain")]
    NoTrustDomain,
    /// More than [`MAX_TRUST_DOMAIN_BYTES`].
    #[error("the trust domain is longer than 255 bytes")]
    TrustDomainTooLong,
    /// `user@domain`.
    #[error("the trust domain carries user information (an @)")]
    UserInfo,
    /// `domain:8443`.
    #[error("the trust domain carries a port")]
    Port,
    /// A trust domain is written in lower case and compared as it is.
    #[error("the trust domain holds an upper-case letter")]
    UpperCase,
    /// Not in `[a-z0-9._-]`.
    #[error("the trust domain holds a character other than a-z, 0-9, `.`, `-` and `_`")]
    TrustDomainCharacter,
    /// A `?` or `#` anywhere.
    #[error("a SPIFFE ID has no query and no fragment")]
    QueryOrFragment,
    /// A `%` anywhere.
    #[error("a SPIFFE ID is never percent-encoded")]
    PercentEncoding,
    /// Not in `[a-zA-Z0-9._-]`.
    #[error("a path segment holds a character other than letters, digits, `.`, `-` and `_`")]
    PathCharacter,
    /// `//`.
    #[error("the path holds an empty segment")]
    EmptySegment,
    /// `.` or `..`.
    #[error("the path holds a dot segment")]
    DotSegment,
    /// `/` at the end.
    #[error("the SPIFFE ID ends in a slash")]
    TrailingSlash,
}

/// A trust domain: `prod.example.com`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Box<str>);

impl TrustDomain {
    /// Reads a trust domain's name, without a scheme.
    ///
    /// # Errors
    /// [`BadSpiffeId`]: what no trust domain holds.
    pub fn parse(name: &[u8]) -> Result<Self, BadSpiffeId> {
        Ok(Self(check_trust_domain(name)?.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A SPIFFE ID: `spiffe://prod.example.com/ns/billing/sa/worker`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Box<str>,
    /// Where the path begins, which is the text's length if there is none.
    path: usize,
}

impl SpiffeId {
    /// Reads an ID. One without a path names a trust domain and no workload: see [`Self::is_root`].
    ///
    /// # Errors
    /// [`BadSpiffeId`]: what about it no SPIFFE ID has.
    pub fn parse(id: &[u8]) -> Result<Self, BadSpiffeId> {
        let (domain, path) = split(id)?;
        check_trust_domain(domain)?;
        check_path(path)?;
        let text = std::str::from_utf8(id).map_err(|_| BadSpiffeId::PathCharacter)?;
        Ok(Self {
            text: text.into(),
            path: SCHEME.len() + domain.len(),
        })
    }

    /// The whole ID.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of its trust domain.
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.path).unwrap_or_default()
    }

    /// The path with its leading slash; empty if there is none.
    pub fn path(&self) -> &str {
        self.text.get(self.path..).unwrap_or_default()
    }

    /// Whether it has no path: it is then the ID of a trust domain's authority, which no workload may use
    /// (X.509-SVID section 3.1).
    pub fn is_root(&self) -> bool {
        self.path().is_empty()
    }

    /// The path's segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path().split('/').skip(1)
    }

    /// Namespace and service account, where the path is `/ns/NAMESPACE/sa/ACCOUNT` and nothing else: what
    /// Istio and its kin give to the pods of Kubernetes.
    pub fn kubernetes(&self) -> Option<(&str, &str)> {
        let mut segments = self.segments();
        match (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ) {
            (Some("ns"), Some(namespace), Some("sa"), Some(account), None) => {
                Some((namespace, account))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The trust domains whose workloads count. An empty set admits nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustDomains(HashSet<TrustDomain>);

impl TrustDomains {
    /// A set of these.
    pub fn new(domains: impl IntoIterator<Item = TrustDomain>) -> Self {
        Self(domains.into_iter().collect())
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &TrustDomain> {
        self.0.iter()
    }

    /// Whether the ID's trust domain is one of them.
    pub fn admit(&self, id: &SpiffeId) -> bool {
        self.0.contains(id.trust_domain())
    }
}

/// The trust domain and the path of an ID, neither of them checked yet.
fn split(id: &[u8]) -> Result<(&[u8], &[u8]), BadSpiffeId> {
    if id.is_empty() {
        return Err(BadSpiffeId::Empty);
    }
    if id.len() > MAX_ID_BYTES {
        return Err(BadSpiffeId::TooLong);
    }
    let rest = id.strip_prefix(SCHEME).ok_or(BadSpiffeId::Scheme)?;
    let slash = rest.iter().position(|&byte| byte == b'/');
    Ok(rest
        .split_at_checked(slash.unwrap_or(rest.len()))
        .unwrap_or((rest, b"")))
}

fn check_trust_domain(name: &[u8]) -> Result<&str, BadSpiffeId> {
    for byte in name {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {}
            b'A'..=b'Z' => return Err(BadSpiffeId::UpperCase),
            b'@' => return Err(BadSpiffeId::UserInfo),
            b':' => return Err(BadSpiffeId::Port),
            b'?' | b'#' => return Err(BadSpiffeId::QueryOrFragment),
            b'%' => return Err(BadSpiffeId::PercentEncoding),
            _ => return Err(BadSpiffeId::TrustDomainCharacter),
        }
    }
    if name.is_empty() {
        return Err(BadSpiffeId::NoTrustDomain);
    }
    if name.len() > MAX_TRUST_DOMAIN_BYTES {
        return Err(BadSpiffeId::TrustDomainTooLong);
    }
    std::str::from_utf8(name).map_err(|_| BadSpiffeId::TrustDomainCharacter)
}

/// Judges a path: empty, or segments that each follow a slash.
fn check_path(path: &[u8]) -> Result<(), BadSpiffeId> {
    let Some(rest) = path.strip_prefix(b"/") else {
        return Ok(());
    };
    if rest.last().is_none_or(|&byte| byte == b'/') {
        return Err(BadSpiffeId::TrailingSlash);
    }
    rest.split(|&byte| byte == b'/').try_for_each(check_segment)
}

fn check_segment(segment: &[u8]) -> Result<(), BadSpiffeId> {
    if let Some(bad) = segment
        .iter()
        .find(|byte| !byte.is_ascii_alphanumeric() && !b".-_".contains(byte))
    {
        return Err(match bad {
            b'?' | b'#' => BadSpiffeId::QueryOrFragment,
            b'%' => BadSpiffeId::PercentEncoding,
            _ => BadSpiffeId::PathCharacter,
        });
    }
    match segment {
        b"" => Err(BadSpiffeId::EmptySegment),
        b"." | b".." => Err(BadSpiffeId::DotSegment),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
