//! A client's certificate, read once into what policies ask about.
//!
//! Two readers have to accept it: `x509-parser`, from which the fields come, and `rustls-webpki`, which is
//! strict about the structure, refuses extensions that are critical and unknown, or stand twice, and
//! verifies chains of the same bytes later. Names and usages are read by neither but here, without the
//! leniency that readers of certificates are known for.

pub(crate) mod der;
mod extensions;
pub mod fault;
pub mod identity;
pub mod name;
pub mod public_key;
mod san;
pub mod svid;

use std::fmt;
use std::net::IpAddr;

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::nom::Parser as _;

use crate::authn::certificate::der::{SEQUENCE, only};
pub(crate) use crate::authn::certificate::extensions::Extensions;
pub use crate::authn::certificate::extensions::KeyUsage;
use crate::authn::certificate::fault::CertificateFault;
use crate::authn::certificate::name::{Attribute, Name};
pub use crate::authn::certificate::public_key::PublicKey;
use crate::clock::Timestamp;
use crate::request::peer::{MAX_CERTIFICATE_BYTES, xfcc};
use crate::secret::Digest;

/// The object identifier of clientAuth (RFC 5280 section 4.2.1.12).
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// The longest serial number, in bytes (RFC 5280 section 4.1.2.2).
const MAX_SERIAL_BYTES: usize = 20;

/// A leaf as it was read: its form is sound, and nobody has vouched for it yet. Only
/// [`PeerCertificate::parse`] makes one.
#[derive(Clone)]
pub struct PeerCertificate {
    /// SHA-256 of the certificate.
    pub fingerprint: Digest,
    /// SHA-256 of its SubjectPublicKeyInfo, which a renewed certificate of the same key keeps (RFC 7469
    /// section 2.4).
    pub spki: Digest,
    /// The subject (RFC 4514); empty if it has none.
    pub subject: Box<str>,
    /// The issuer, likewise.
    pub issuer: Box<str>,
    /// The serial number in lower-case hexadecimal, two digits for each byte, without leading zero bytes.
    pub serial: Box<str>,
    /// The first moment of its validity.
    pub not_before: Timestamp,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// URI SANs, in order.
    pub uris: Vec<Box<str>>,
    /// DNS SANs, in order, as they are written.
    pub dns_names: Vec<Box<str>>,
    /// Email SANs.
    pub emails: Vec<Box<str>>,
    /// IP SANs.
    pub ips: Vec<IpAddr>,
    /// Its public key.
    pub key: PublicKey,
    /// Whether it is a CA's.
    pub is_ca: bool,
    /// What its key may be used for, if it says.
    pub key_usage: Option<KeyUsage>,
    /// What it may be used for, by object identifier, if it says.
    pub extended_key_usage: Option<Vec<Box<str>>>,
    /// The attributes of its subject, in order.
    pub attributes: Vec<Attribute>,
    /// Its extensions whose value is a single text, as private ones have it. They are kept apart from the
    /// subject, which many an authority takes over as the client asks for it.
    pub text_extensions: Vec<Attribute>,
    der: Box<[u8]>,
}

impl PeerCertificate {
    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// `certificate_malformed`; time, key and usage are not judged here.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateFault> {
        let certificate = structure(der)?;
        let tbs = &certificate.tbs_certificate;
        let subject = name(tbs.subject.as_raw())?;
        let issuer = name(tbs.issuer.as_raw())?;
        let extensions = Extensions::read(&certificate)?;
        let validity = &tbs.validity;
        Ok(Self {
            fingerprint: Digest::of(der),
            spki: Digest::of(tbs.subject_pki.raw),
            subject: subject.text,
            issuer: issuer.text,
            serial: serial(tbs.raw_serial())?,
            not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
            not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
            uris: extensions.names.uris,
            dns_names: extensions.names.dns_names,
            emails: extensions.names.emails,
            ips: extensions.names.ips,
            key: PublicKey::read(&tbs.subject_pki),
            is_ca: extensions.is_ca,
            key_usage: extensions.key_usage,
            extended_key_usage: extensions.extended_key_usage,
            attributes: subject.attributes,
            text_extensions: extensions.texts,
            der: der.into(),
        })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Judges time alone; both ends of the validity are within it (RFC 5280 section 4.1.2.5).
    ///
    /// # Errors
    /// `certificate_not_yet_valid`, `certificate_expired`.
    pub fn judge_time(&self, now: Timestamp) -> Result<(), CertificateFault> {
        if now < self.not_before {
            return Err(CertificateFault::NotYetValid(self.not_before));
        }
        if now.seconds() > self.not_after.seconds() {
            return Err(CertificateFault::Expired(self.not_after));
        }
        Ok(())
    }

    /// Judges all that can be said of a client's certificate without its issuer: that it is no CA's, its key
    /// strong enough, its purpose TLS clients, and its time now.
    ///
    /// # Errors
    /// `certificate_ca_as_leaf`, `certificate_key_weak`, `certificate_purpose_refused`,
    /// `certificate_not_yet_valid`, `certificate_expired`.
    pub fn judge_client(&self, now: Timestamp) -> Result<(), CertificateFault> {
        if self.is_ca {
            return Err(CertificateFault::CaAsLeaf);
        }
        self.key.judge()?;
        if self
            .key_usage
            .is_some_and(|usage| !usage.digital_signature())
        {
            return Err(CertificateFault::PurposeRefused(
                "its key may not sign (no digitalSignature)",
            ));
        }
        if !self.is_for_clients() {
            return Err(CertificateFault::PurposeRefused(
                "its extended key usage lacks clientAuth",
            ));
        }
        self.judge_time(now)
    }

    /// Whether its extended key usage is clientAuth, or is left open. `anyExtendedKeyUsage` is no clientAuth.
    fn is_for_clients(&self) -> bool {
        self.extended_key_usage
            .as_ref()
            .is_none_or(|usages| usages.iter().any(|usage| usage.as_ref() == CLIENT_AUTH))
    }

    /// What Envoy calls it in `source.principal`: the first URI SAN, else the first DNS SAN, else the subject.
    pub fn principal(&self) -> String {
        let name = self.uris.first().or_else(|| self.dns_names.first());
        name.map_or_else(|| name::as_envoy_writes(&self.subject), ToString::to_string)
    }

    /// Holds the certificate against `source.principal`, which Envoy makes of the same one: the first URI SAN,
    /// else the first DNS SAN, else the subject. An empty principal says nothing.
    ///
    /// # Errors
    /// `peer_sources_disagree`.
    pub fn agree_with_principal(&self, principal: &[u8]) -> Result<(), CertificateFault> {
        let agrees = match (self.uris.first(), self.dns_names.first()) {
            _ if principal.is_empty() => true,
            (Some(name), _) | (None, Some(name)) => name.as_bytes() == principal,
            (None, None) => name::as_envoy_writes(&self.subject).as_bytes() == principal,
        };
        agrees
            .then_some(())
            .ok_or(CertificateFault::SourcesDisagree(
                "the certificate and `source.principal` name different peers",
            ))
    }

    /// Holds the certificate against the names beside it in its XFCC element: those that are there have to be
    /// its own.
    ///
    /// # Errors
    /// `peer_sources_disagree`.
    pub fn agree_with_element(&self, element: &xfcc::Element) -> Result<(), CertificateFault> {
        fn same(written: &[String], own: &[Box<str>]) -> bool {
            written.is_empty()
                || (written.len() == own.len()
                    && written
                        .iter()
                        .zip(own)
                        .all(|(a, b)| a.as_str() == b.as_ref()))
        }
        let hash = element.hash.is_none_or(|hash| hash == self.fingerprint);
        if hash && same(&element.uris, &self.uris) && same(&element.dns_names, &self.dns_names) {
            return Ok(());
        }
        Err(CertificateFault::SourcesDisagree(
            "x-forwarded-client-cert: the names in an element are not those of its certificate",
        ))
    }
}

impl fmt::Debug for PeerCertificate {
    /// What tells certificates apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificate")
            .field("subject", &self.subject)
            .field("uris", &self.uris)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

/// The structure of a certificate, sound in the eyes of both readers.
pub(crate) fn structure(der: &[u8]) -> Result<X509Certificate<'_>, CertificateFault> {
    if der.len() > MAX_CERTIFICATE_BYTES {
        return Err(CertificateFault::Malformed("it is larger than 16 KiB"));
    }
    // One element and nothing after it, whatever the readers below would overlook.
    if only(der, SEQUENCE).is_none() {
        return Err(CertificateFault::Malformed(
            "it is not one DER sequence, or has something after it",
        ));
    }
    EndEntityCert::try_from(&CertificateDer::from(der)).map_err(|error| malformed(&error))?;
    let (rest, certificate) = X509CertificateParser::new()
        .with_deep_parse_extensions(false)
        .parse(der)
        .map_err(|_| CertificateFault::Malformed("its structure is not that of RFC 5280"))?;
    if !rest.is_empty() {
        return Err(CertificateFault::Malformed(
            "it has something after its end",
        ));
    }
    Ok(certificate)
}

fn malformed(error: &webpki::Error) -> CertificateFault {
    use webpki::Error;
    CertificateFault::Malformed(match error {
        Error::UnsupportedCertVersion => "it is not of version 3",
        Error::UnsupportedCriticalExtension => "it has a critical extension that is not known here",
        Error::SignatureAlgorithmMismatch => "it states two signature algorithms",
        Error::ExtensionValueInvalid => "an extension is broken, or stands there twice",
        Error::InvalidSerialNumber => "its serial number is negative, or longer than 20 bytes",
        Error::BadDerTime | Error::InvalidCertValidity => "its validity can't be read",
        Error::TrailingData(_) => "a part of it has something after its end",
        _ => "its structure is not that of RFC 5280",
    })
}

fn name(der: &[u8]) -> Result<Name, CertificateFault> {
    name::read(der).map_err(CertificateFault::Malformed)
}

/// A positive number of at most 20 bytes.
fn serial(raw: &[u8]) -> Result<Box<str>, CertificateFault> {
    let digits = match raw {
        [0, digits @ ..] if !digits.is_empty() => digits,
        [0x80..=0xff, ..] | [] => {
            return Err(CertificateFault::Malformed("its serial number is negative"));
        }
        digits => digits,
    };
    if digits.len() > MAX_SERIAL_BYTES {
        return Err(CertificateFault::Malformed(
            "its serial number is longer than 20 bytes",
        ));
    }
    let text: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(text.into())
}

#[cfg(test)]
mod tests;
