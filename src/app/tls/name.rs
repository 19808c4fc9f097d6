//! Who may ask for checks, as names that stand in a certificate.

use std::fmt;
use std::str::FromStr;

use rustls::{CertificateError, Error};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The longest name, in bytes: as long as a SPIFFE ID may be (SPIFFE-ID, section 2.3).
const MAX_BYTES: usize = 2048;

/// A subject alternative name (RFC 5280, section 4.2.1.6) that lets its bearer ask for checks. Names are
/// compared whole: there are no wildcards, neither here nor in certificates, and no common names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientName {
    /// A `dNSName`, in lower case.
    Dns(String),
    /// A SPIFFE ID. Only a certificate whose one URI it is bears it (X509-SVID, section 2).
    Spiffe(String),
}

impl ClientName {
    fn is_in(&self, dns: &[&str], uris: &[&str]) -> bool {
        match self {
            Self::Dns(name) => dns.iter().any(|other| name.eq_ignore_ascii_case(other)),
            Self::Spiffe(id) => uris == [id.as_str()],
        }
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Spiffe(name) => f.write_str(name),
        }
    }
}

impl FromStr for ClientName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            "write a DNS name, as in envoy.example.com, or a SPIFFE ID, as in spiffe://example.org/ns/edge/sa/envoy; names are compared whole, without wildcards".to_owned()
        };
        let named = if text.len() > MAX_BYTES {
            None
        } else if let Some(rest) = text.strip_prefix("spiffe://") {
            is_spiffe(rest).then(|| Self::Spiffe(text.to_owned()))
        } else {
            is_dns(text).then(|| Self::Dns(text.to_ascii_lowercase()))
        };
        named.ok_or_else(refused)
    }
}

/// A trust domain and a path of a workload, without the scheme (SPIFFE-ID, sections 2.1 and 2.2).
fn is_spiffe(rest: &str) -> bool {
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let in_domain = |byte: u8| in_path(byte) && !byte.is_ascii_uppercase();
    let Some((domain, path)) = rest.split_once('/') else {
        return false;
    };
    !domain.is_empty()
        && domain.len() <= 255
        && domain.bytes().all(in_domain)
        && path
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path))
}

fn is_dns(text: &str) -> bool {
    let in_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() <= 253
        && text
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(in_label))
}

/// Whether a certificate, in DER, bears one of these names.
///
/// # Errors
/// When the certificate cannot be read, or states its names twice.
pub(super) fn bears_one_of(certificate: &[u8], names: &[ClientName]) -> Result<bool, Error> {
    let unreadable = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let (rest, certificate) = X509Certificate::from_der(certificate).map_err(|_| unreadable())?;
    if !rest.is_empty() {
        return Err(unreadable());
    }
    let stated = certificate
        .subject_alternative_name()
        .map_err(|_| unreadable())?;
    let Some(stated) = stated else {
        return Ok(false);
    };
    let (mut dns, mut uris) = (Vec::new(), Vec::new());
    for name in &stated.value.general_names {
        match name {
            GeneralName::DNSName(name) => dns.push(*name),
            GeneralName::URI(uri) => uris.push(*uri),
            // What cannot be read could be a second URI.
            GeneralName::Invalid(..) => return Err(unreadable()),
            _ => {}
        }
    }
    Ok(names.iter().any(|name| name.is_in(&dns, &uris)))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::{ClientName, bears_one_of};
    use crate::app::tls::test_certificates::{Authority, Leaf};

    fn der(leaf: &Leaf) -> Vec<u8> {
        let read = CertificateDer::from_pem_slice(leaf.pem.as_bytes());
        read.unwrap().to_vec()
    }

    fn name(text: &str) -> ClientName {
        text.parse().unwrap()
    }

    #[test]
    fn reads_dns_names_and_spiffe_ids_and_nothing_else() {
        assert_eq!(name("Envoy.Example.com").to_string(), "envoy.example.com");
        let id = "spiffe://example.org/ns/edge/sa/Envoy_1";
        assert_eq!(name(id), ClientName::Spiffe(id.to_owned()));
        for refused in [
            "",
            "*.example.com",
            "a..b",
            "a b",
            "https://example.com/x",
            "spiffe://",
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://Example.org/a",
            "spiffe://example.org/a//b",
            "spiffe://example.org/../a",
            "spiffe://example.org/a?b",
            "spiffe://example.org:1/a",
            "spiffe://example.org/a%20",
            "caf\u{e9}.example",
        ] {
            assert!(refused.parse::<ClientName>().is_err(), "{refused:?}");
        }
        assert!(
            format!("spiffe://a/{}", "b".repeat(3000))
                .parse::<ClientName>()
                .is_err()
        );
    }

    #[test]
    fn names_are_compared_whole() {
        let authority = Authority::new("ca");
        let id = "spiffe://example.org/ns/edge/sa/envoy";
        for (in_certificate, asked, bears) in [
            (&["envoy.example.com"][..], "envoy.example.com", true),
            (&["ENVOY.example.com"], "envoy.example.com", true),
            (
                &["other.example.com", "envoy.example.com"],
                "envoy.example.com",
                true,
            ),
            (&["*.example.com"], "envoy.example.com", false),
            (&["envoy.example.com.evil.test"], "envoy.example.com", false),
            (&["evil.envoy.example.com"], "envoy.example.com", false),
            (&[id], id, true),
            (&[id, "envoy.example.com"], id, true),
            (&["spiffe://example.org/ns/edge/sa/envoy2"], id, false),
            (&["spiffe://example.org/ns/edge/sa/envoy/x"], id, false),
            // Two identities are none.
            (&[id, "spiffe://example.org/other"], id, false),
            (&[], "envoy.example.com", false),
        ] {
            let leaf = authority.client(in_certificate);
            let found = bears_one_of(&der(&leaf), &[name("nobody.test"), name(asked)]);
            assert_eq!(found, Ok(bears), "{in_certificate:?} {asked}");
        }
        // The common name is nobody's proof.
        let leaf = authority.client(&[]);
        assert_eq!(bears_one_of(&der(&leaf), &[name("leaf")]), Ok(false));
        let mut longer = der(&leaf);
        longer.push(0);
        assert!(bears_one_of(&longer, &[name("leaf")]).is_err());
        assert!(bears_one_of(b"\x30\x03abc", &[name("leaf")]).is_err());
    }
}
