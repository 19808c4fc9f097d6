//! The authorities that are trusted: from PEM files, and from SPIFFE bundles.
//!
//! Source for the latter: "The SPIFFE Trust Domain and Bundle", section 4.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::authn::certificate::fault::CertificateFault;
use crate::authn::certificate::{Extensions, PublicKey, structure};
use crate::authn::chain::constraints::UriConstraints;
use crate::authn::chain::is_same;
use crate::clock::Timestamp;

/// The most authorities of one bundle: each may have to be tried.
pub const MAX_AUTHORITIES: usize = 256;

/// The largest bundle, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 4 * 1024 * 1024;

/// Why a bundle can't be used. Certificates are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    /// More than [`MAX_BUNDLE_BYTES`].
    #[error("the bundle is larger than 4 MiB")]
    TooLarge,
    /// No certificate in a PEM file.
    #[error("the file holds no certificate (`-----BEGIN CERTIFICATE-----`)")]
    Empty,
    /// A broken PEM block.
    #[error("the file's PEM is broken")]
    Pem,
    /// More than [`MAX_AUTHORITIES`].
    #[error("the bundle holds more than 256 authorities")]
    TooMany,
    /// One that can't be read.
    #[error("certificate {0} of the bundle: {1}")]
    Certificate(usize, CertificateFault),
    /// A leaf among the authorities: whoever holds its key could sign as one.
    #[error(
        "certificate {0} of the bundle is no authority's (no `cA` in its basic constraints, or no keyCertSign in its key usage)"
    )]
    NoAuthority(usize),
    /// Its name constraints.
    #[error("certificate {0} of the bundle: {1}")]
    Constraints(usize, &'static str),
    /// JSON that is no SPIFFE bundle.
    #[error("this is no SPIFFE bundle: {0}")]
    Json(&'static str),
}

/// The authorities of one trust domain, or of one set of ordinary clients.
pub struct TrustBundle {
    anchors: Vec<TrustAnchor<'static>>,
    /// In the order of `anchors`.
    authorities: Vec<Authority>,
}

/// What of an authority webpki does not keep.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) uri_constraints: UriConstraints,
}

impl TrustBundle {
    /// Reads a PEM file of authorities. Text around the blocks is left out.
    ///
    /// # Errors
    /// [`BadBundle`]: one bad certificate refuses the file.
    pub fn from_pem(file: &[u8]) -> Result<Self, BadBundle> {
        if file.len() > MAX_BUNDLE_BYTES {
            return Err(BadBundle::TooLarge);
        }
        let all: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(file)
            .collect::<Result<_, _>>()
            .map_err(|_| BadBundle::Pem)?;
        if all.is_empty() {
            return Err(BadBundle::Empty);
        }
        Self::from_der(all.iter().map(AsRef::as_ref))
    }

    /// Takes authorities in DER; none is a bundle that trusts nobody. One that stands there twice counts once.
    ///
    /// # Errors
    /// [`BadBundle`].
    pub fn from_der<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, BadBundle> {
        let mut bundle = Self {
            anchors: Vec::new(),
            authorities: Vec::new(),
        };
        let mut seen = HashSet::new();
        for (at, der) in all.into_iter().enumerate() {
            if !seen.insert(der) {
                continue;
            }
            if bundle.anchors.len() == MAX_AUTHORITIES {
                return Err(BadBundle::TooMany);
            }
            let (anchor, authority) = read(der, at + 1)?;
            bundle.anchors.push(anchor);
            bundle.authorities.push(authority);
        }
        Ok(bundle)
    }

    /// How many authorities there are.
    pub const fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether there are none, so that nobody is trusted.
    pub const fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The first moment after `now` at which one of its authorities begins or ceases to be valid: until then a
    /// certificate that was verified stays so, as far as they are concerned.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let authorities = self.authorities.iter();
        let ends = authorities.flat_map(|one| [one.not_before, after(one.not_after)]);
        ends.filter(|end| *end > now).min()
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// What is known of an anchor: once for each certificate of one authority, of which there are two after a
    /// renewal. To webpki they are the same.
    pub(super) fn authorities(&self, anchor: &TrustAnchor<'_>) -> impl Iterator<Item = &Authority> {
        self.anchors
            .iter()
            .zip(&self.authorities)
            .filter(|(own, _)| is_same(own, anchor))
            .map(|(_, authority)| authority)
    }
}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustBundle")
            .field("authorities", &self.anchors.len())
            .finish()
    }
}

/// The first second after a certificate's last.
pub(super) const fn after(not_after: Timestamp) -> Timestamp {
    Timestamp::from_seconds(not_after.seconds().saturating_add(1))
}

/// Reads one authority: a CA of version 3 whose key may sign certificates and is strong enough. An extension
/// that is critical and unknown refuses it, although its operator vouches for it.
fn read(der: &[u8], at: usize) -> Result<(TrustAnchor<'static>, Authority), BadBundle> {
    let bad = |fault| BadBundle::Certificate(at, fault);
    let certificate = structure(der).map_err(bad)?;
    let extensions = Extensions::read(&certificate).map_err(bad)?;
    let signs = extensions
        .key_usage
        .is_none_or(|usage| usage.key_cert_sign());
    if !extensions.is_ca || !signs {
        return Err(BadBundle::NoAuthority(at));
    }
    let tbs = &certificate.tbs_certificate;
    PublicKey::read(&tbs.subject_pki).judge().map_err(bad)?;
    let der = CertificateDer::from(der);
    let mut anchor = webpki::anchor_from_trusted_cert(&der)
        .map_err(|_| {
            bad(CertificateFault::Malformed(
                "its structure is not that of RFC 5280",
            ))
        })?
        .to_owned();
    let mut uri_constraints = UriConstraints::default();
    if let Some(content) = anchor.name_constraints.take() {
        let (taken, left) =
            UriConstraints::take_out(&content).map_err(|text| BadBundle::Constraints(at, text))?;
        uri_constraints = taken;
        anchor.name_constraints = left.map(Into::into);
    }
    let authority = Authority {
        not_before: Timestamp::from_seconds(tbs.validity.not_before.timestamp()),
        not_after: Timestamp::from_seconds(tbs.validity.not_after.timestamp()),
        uri_constraints,
    };
    Ok((anchor, authority))
}

/// A SPIFFE bundle: what a trust domain publishes of its authorities.
#[derive(Debug)]
pub struct SpiffeBundle {
    /// Those of X.509-SVIDs.
    pub x509: TrustBundle,
    /// The JWKs of those of JWT-SVIDs, as they stand there, each with a `kid` of its own.
    pub jwt_keys: Vec<Map<String, Value>>,
    /// `spiffe_sequence`: a bundle of a lower number than one that was seen is older.
    pub sequence: Option<u64>,
    /// `spiffe_refresh_hint`.
    pub refresh_hint: Option<Duration>,
}

/// The members that count; others are left out, as section 4.1 asks.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Map<String, Value>>,
    spiffe_sequence: Option<u64>,
    spiffe_refresh_hint: Option<u64>,
}

impl SpiffeBundle {
    /// Reads a bundle's JSON. Keys of no use, or of one that is not known, are left out (section 4.2.2); an
    /// empty list of keys is a trust domain that has revoked all of them.
    ///
    /// # Errors
    /// [`BadBundle`]: one bad key refuses the bundle.
    pub fn from_json(document: &[u8]) -> Result<Self, BadBundle> {
        if document.len() > MAX_BUNDLE_BYTES {
            return Err(BadBundle::TooLarge);
        }
        let document: Document = serde_json::from_slice(document).map_err(|_| {
            BadBundle::Json(
                "it is no JSON object with a list of `keys`, or its numbers are no numbers",
            )
        })?;
        let mut x509 = Vec::new();
        let mut jwt_keys: Vec<Map<String, Value>> = Vec::new();
        for key in document.keys {
            if !key.get("kty").is_some_and(Value::is_string) {
                return Err(BadBundle::Json("a key has no `kty`"));
            }
            match key.get("use").and_then(Value::as_str) {
                Some("x509-svid") => x509.push(x5c(&key)?),
                Some("jwt-svid") => {
                    let id = key
                        .get("kid")
                        .and_then(Value::as_str)
                        .filter(|id| !id.is_empty());
                    let Some(id) = id else {
                        return Err(BadBundle::Json("a key for JWT-SVIDs has no `kid`"));
                    };
                    if jwt_keys
                        .iter()
                        .any(|other| other.get("kid").and_then(Value::as_str) == Some(id))
                    {
                        return Err(BadBundle::Json("two keys for JWT-SVIDs have one `kid`"));
                    }
                    if jwt_keys.len() == MAX_AUTHORITIES {
                        return Err(BadBundle::TooMany);
                    }
                    jwt_keys.push(key);
                }
                _ => {}
            }
        }
        Ok(Self {
            x509: TrustBundle::from_der(x509.iter().map(Vec::as_slice))?,
            jwt_keys,
            sequence: document.spiffe_sequence,
            refresh_hint: document.spiffe_refresh_hint.map(Duration::from_secs),
        })
    }
}

/// The certificate of a key for X.509-SVIDs: one, in base 64 (RFC 7517 section 4.7). The key's other members say
/// the same again and are not read.
fn x5c(key: &Map<String, Value>) -> Result<Vec<u8>, BadBundle> {
    const ONE: BadBundle =
        BadBundle::Json("a key for X.509-SVIDs has not exactly one certificate in `x5c`");
    match key.get("x5c").and_then(Value::as_array).map(Vec::as_slice) {
        Some([Value::String(text)]) => STANDARD
            .decode(text)
            .map_err(|_| BadBundle::Json("an `x5c` is not in base 64")),
        _ => Err(ONE),
    }
}
