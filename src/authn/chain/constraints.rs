//! URI name constraints (RFC 5280 section 4.2.1.10), which some authorities of SPIFFE carry.
//!
//! webpki has none: a chain with one is refused, whatever the constraint says. For an anchor, which is ours to
//! describe, they are taken out of what webpki sees and judged here. An intermediate's are signed into it and
//! stay: such a chain is refused, with a text of its own.

use rustls_pki_types::CertificateDer;

use crate::authn::certificate::der::{Elements, SEQUENCE, wrap};
use crate::authn::certificate::fault::CertificateFault;

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
const URI: u8 = 0x86;

/// The most subtrees of one authority.
const MAX_SUBTREES: usize = 256;

/// Which hosts an authority may name in a URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UriConstraints {
    /// `None` permits all.
    permitted: Option<Vec<HostConstraint>>,
    excluded: Vec<HostConstraint>,
}

/// `example.com` is that host alone; `.example.com` is every host below it, and not that host.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HostConstraint {
    Host(String),
    Below(String),
}

impl UriConstraints {
    /// Takes the URI constraints out of an anchor's, given as the content of their SEQUENCE. Answers with them
    /// and with what is left, `None` if nothing is.
    ///
    /// # Errors
    /// What can't be read, or is not in the form of RFC 5280 (such as a whole URI instead of a host).
    pub(super) fn take_out(content: &[u8]) -> Result<(Self, Option<Vec<u8>>), &'static str> {
        const BROKEN: &str = "its name constraints can't be read";
        let mut constraints = Self::default();
        let mut left = Vec::new();
        let mut elements = Elements(content);
        let mut count = 0;
        while !elements.is_empty() {
            let subtrees = elements.next().ok_or(BROKEN)?;
            if !matches!(subtrees.tag, PERMITTED | EXCLUDED) {
                return Err(BROKEN);
            }
            let mut others = Vec::new();
            let mut each = Elements(subtrees.content);
            while !each.is_empty() {
                count += 1;
                if count > MAX_SUBTREES {
                    return Err("it has more than 256 name constraints");
                }
                let subtree = each
                    .next()
                    .filter(|subtree| subtree.tag == SEQUENCE)
                    .ok_or(BROKEN)?;
                let mut inside = Elements(subtree.content);
                let base = inside.next().ok_or(BROKEN)?;
                if base.tag != URI {
                    others.extend_from_slice(subtree.whole);
                    continue;
                }
                // minimum and maximum are never used (RFC 5280).
                if !inside.is_empty() {
                    return Err(BROKEN);
                }
                let host = HostConstraint::read(base.content)?;
                match subtrees.tag {
                    PERMITTED => constraints.permitted.get_or_insert_default().push(host),
                    _ => constraints.excluded.push(host),
                }
            }
            if !others.is_empty() {
                left.extend(wrap(subtrees.tag, &others).ok_or(BROKEN)?);
            }
        }
        Ok((constraints, Some(left).filter(|left| !left.is_empty())))
    }

    /// Judges URI names. One without a host is refused where there is any constraint.
    ///
    /// # Errors
    /// `certificate_name_constrained`.
    pub(super) fn admit(&self, uris: &[Box<str>]) -> Result<(), CertificateFault> {
        if self.permitted.is_none() && self.excluded.is_empty() {
            return Ok(());
        }
        let fault = CertificateFault::NameConstraints;
        for uri in uris {
            let host = host(uri).ok_or(fault("a URI name has no host to judge"))?;
            let within = |list: &[HostConstraint]| list.iter().any(|entry| entry.holds(&host));
            if within(&self.excluded) {
                return Err(fault("its authority may not name the host of its URI name"));
            }
            if self.permitted.as_deref().is_some_and(|list| !within(list)) {
                return Err(fault(
                    "the host of its URI name is outside of what its authority may name",
                ));
            }
        }
        Ok(())
    }
}

impl HostConstraint {
    fn read(content: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(content)
            .unwrap_or_default()
            .to_ascii_lowercase();
        let name = text.strip_prefix('.').unwrap_or(&text);
        if !is_host(name) {
            return Err("a URI name constraint is no host and no domain with a dot before it");
        }
        Ok(if name.len() == text.len() {
            Self::Host(text)
        } else {
            Self::Below(text)
        })
    }

    fn holds(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => host == name,
            // The suffix has its dot, and something has to stand before it.
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        }
    }
}

/// The host of a URI, in lower case: what stands between `//` and a port, path, query or fragment, with
/// nobody's name before it (RFC 3986 section 3.2). An address is no host that could be constrained.
fn host(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .split_once(':')
        .map_or(authority, |(host, _)| host);
    let address = host.parse::<std::net::Ipv4Addr>().is_ok();
    (is_host(host) && !address).then(|| host.to_ascii_lowercase())
}

fn is_host(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(good))
}

/// Whether one of these certificates has URI name constraints, as far as it can be read.
pub(super) fn any_of_uris(certificates: &[CertificateDer<'_>]) -> bool {
    certificates.iter().any(|der| {
        let Ok(anchor) = webpki::anchor_from_trusted_cert(der) else {
            return false;
        };
        let content = anchor.name_constraints.as_ref();
        content.is_some_and(|content| {
            UriConstraints::take_out(content)
                .map_or(true, |(found, _)| found != UriConstraints::default())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{EXCLUDED, PERMITTED, URI, UriConstraints, host};
    use crate::authn::certificate::der::wrap;

    fn subtree(tag: u8, name: &[u8]) -> Vec<u8> {
        wrap(0x30, &wrap(tag, name).unwrap()).unwrap()
    }

    fn admits(constraints: &UriConstraints, uri: &str) -> bool {
        constraints.admit(&[uri.into()]).is_ok()
    }

    #[test]
    fn takes_uris_out_and_leaves_the_rest() {
        let dns = subtree(0x82, b"example.com");
        let both = [subtree(URI, b"td"), dns.clone()].concat();
        let content = [
            wrap(PERMITTED, &both).unwrap(),
            wrap(EXCLUDED, &subtree(URI, b"bad")).unwrap(),
        ]
        .concat();
        let (constraints, left) = UriConstraints::take_out(&content).unwrap();
        assert_eq!(left, wrap(PERMITTED, &dns));
        assert!(admits(&constraints, "spiffe://td/a"));
        assert!(!admits(&constraints, "spiffe://bad/a"));
        assert!(!admits(&constraints, "spiffe://other/a"));
        let only_uris = wrap(PERMITTED, &subtree(URI, b".example.com")).unwrap();
        let (constraints, left) = UriConstraints::take_out(&only_uris).unwrap();
        assert_eq!(left, None);
        for (uri, admitted) in [
            ("spiffe://a.example.com/x", true),
            ("spiffe://a.b.EXAMPLE.com/x", true),
            ("spiffe://example.com/x", false),
            ("spiffe://xexample.com/x", false),
            ("spiffe://a.example.com.evil/x", false),
            ("spiffe://evil/a.example.com", false),
            ("spiffe://evil#.example.com", false),
            ("https://a.example.com:8443/x", true),
            ("https://a.example.com@evil/x", false),
            ("https://evil:x@a.example.com/x", false),
            ("urn:example:a.example.com", false),
            ("spiffe:///a.example.com", false),
        ] {
            assert_eq!(admits(&constraints, uri), admitted, "{uri}");
        }
    }

    #[test]
    fn refuses_constraints_that_are_no_hosts() {
        for name in [
            &b"spiffe://td"[..],
            b"",
            b".",
            b"*.example.com",
            b"td/",
            b"td:443",
            b"a..b",
            b"\xff",
            b"t\0d",
        ] {
            let content = wrap(PERMITTED, &subtree(URI, name)).unwrap();
            assert!(UriConstraints::take_out(&content).is_err(), "{name:?}");
        }
        let minimum = [wrap(URI, b"td").unwrap(), vec![0x80, 1, 0]].concat();
        let content = wrap(PERMITTED, &wrap(0x30, &minimum).unwrap()).unwrap();
        assert!(UriConstraints::take_out(&content).is_err());
        assert!(UriConstraints::take_out(&[0xa2, 0]).is_err());
        assert!(UriConstraints::take_out(&[0xa0, 1]).is_err());
        let many = wrap(PERMITTED, &subtree(URI, b"td").repeat(257)).unwrap();
        assert!(UriConstraints::take_out(&many).is_err());
    }

    #[test]
    fn permits_all_where_nothing_is_said() {
        let (constraints, left) = UriConstraints::take_out(b"").unwrap();
        assert_eq!(left, None);
        assert!(admits(&constraints, "urn:anything"));
        assert_eq!(host("spiffe://10.0.0.1/a"), None);
    }
}
