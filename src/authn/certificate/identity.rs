//! Ordinary client certificates: which one a policy's entry means, and what its holder is called.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::authn::certificate::PeerCertificate;
use crate::authn::certificate::fault::CertificateFault;
use crate::authn::certificate::name::{self, Attribute};
use crate::secret::Digest;

/// What a consumer's credential, or an entry of `allow`, says of a certificate. Each is compared whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateSelector {
    /// SHA-256 of the certificate.
    Fingerprint(Digest),
    /// SHA-256 of its public key.
    PublicKey(Digest),
    /// The subject, in the form of [`name::canonical`].
    Subject(Box<str>),
    /// A DNS SAN, in lower case. A wildcard in a certificate is a text like any other here: a client's name is
    /// no pattern.
    Dns(Box<str>),
    /// An email SAN, its host in lower case.
    Email(Box<str>),
    /// A URI SAN.
    Uri(Box<str>),
    /// An IP SAN.
    Ip(IpAddr),
    /// The serial number, in the form of [`PeerCertificate::serial`], and who gave it: alone it is unique to
    /// nobody.
    Serial {
        /// The number.
        serial: Box<str>,
        /// The issuer, in the form of [`name::canonical`].
        issuer: Box<str>,
    },
    /// An attribute of the subject.
    Attribute(Attribute),
    /// An extension that is a text.
    Extension(Attribute),
}

impl CertificateSelector {
    /// By subject, as a person writes it.
    ///
    /// # Errors
    /// What is no name, for the configuration's diagnostics. The same goes for the others below.
    pub fn subject(text: &str) -> Result<Self, &'static str> {
        Ok(Self::Subject(name::canonical(text)?.into()))
    }

    /// By DNS name.
    ///
    /// # Errors
    /// What is no host name.
    pub fn dns(text: &str) -> Result<Self, &'static str> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte);
        if text.is_empty() || !text.bytes().all(good) {
            return Err("a DNS name holds letters, digits, `-`, `_` and dots");
        }
        Ok(Self::Dns(text.to_ascii_lowercase().into()))
    }

    /// By email address.
    ///
    /// # Errors
    /// What is no address.
    pub fn email(text: &str) -> Result<Self, &'static str> {
        match text.split_once('@') {
            Some((local, host)) if !local.is_empty() && !host.is_empty() => {
                Ok(Self::Email(fold_email(text).into()))
            }
            _ => Err("an email address is written as in `me@example.com`"),
        }
    }

    /// By serial number and issuer; the number in hexadecimal of either case, with colons or without.
    ///
    /// # Errors
    /// What is no such number or name.
    pub fn serial(serial: &str, issuer: &str) -> Result<Self, &'static str> {
        const BAD: &str = "a serial number is written in hexadecimal: `0a1b2c` or `0A:1B:2C`";
        let digits: String = serial.chars().filter(|&digit| digit != ':').collect();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(BAD);
        }
        let digits = digits.to_ascii_lowercase();
        let short = digits.trim_start_matches('0');
        let padded = match short.len() {
            0 => "00".to_owned(),
            odd if odd % 2 == 1 => format!("0{short}"),
            _ => short.to_owned(),
        };
        Ok(Self::Serial {
            serial: padded.into(),
            issuer: name::canonical(issuer)?.into(),
        })
    }

    /// By an attribute of the subject.
    ///
    /// # Errors
    /// What is no object identifier.
    pub fn attribute(oid: &str, value: &str) -> Result<Self, &'static str> {
        oid_value(oid, value).map(Self::Attribute)
    }

    /// By an extension.
    ///
    /// # Errors
    /// What is no object identifier.
    pub fn extension(oid: &str, value: &str) -> Result<Self, &'static str> {
        oid_value(oid, value).map(Self::Extension)
    }

    /// Every selector that means this certificate: what is looked up where there are many of them.
    pub fn all_of(certificate: &PeerCertificate) -> Vec<Self> {
        let mut all = vec![
            Self::Fingerprint(certificate.fingerprint),
            Self::PublicKey(certificate.spki),
            Self::Subject(certificate.subject.clone()),
            Self::Serial {
                serial: certificate.serial.clone(),
                issuer: certificate.issuer.clone(),
            },
        ];
        let lower = |name: &str| Self::Dns(name.to_ascii_lowercase().into());
        all.extend(certificate.dns_names.iter().map(|name| lower(name)));
        let email = |address: &str| Self::Email(fold_email(address).into());
        all.extend(certificate.emails.iter().map(|address| email(address)));
        all.extend(certificate.uris.iter().cloned().map(Self::Uri));
        all.extend(certificate.ips.iter().copied().map(Self::Ip));
        all.extend(certificate.attributes.iter().cloned().map(Self::Attribute));
        let extensions = certificate.text_extensions.iter().cloned();
        all.extend(extensions.map(Self::Extension));
        all
    }

    /// Whether it means this certificate.
    pub fn admits(&self, certificate: &PeerCertificate) -> bool {
        match self {
            Self::Fingerprint(digest) => certificate.fingerprint == *digest,
            Self::PublicKey(digest) => certificate.spki == *digest,
            Self::Subject(subject) => certificate.subject == *subject,
            Self::Dns(name) => certificate
                .dns_names
                .iter()
                .any(|own| own.eq_ignore_ascii_case(name)),
            Self::Email(address) => certificate
                .emails
                .iter()
                .any(|own| fold_email(own) == address.as_ref()),
            Self::Uri(uri) => certificate.uris.contains(uri),
            Self::Ip(ip) => certificate.ips.contains(ip),
            Self::Serial { serial, issuer } => {
                certificate.serial == *serial && certificate.issuer == *issuer
            }
            Self::Attribute(wanted) => certificate.attributes.contains(wanted),
            Self::Extension(wanted) => certificate.text_extensions.contains(wanted),
        }
    }
}

fn oid_value(oid: &str, value: &str) -> Result<Attribute, &'static str> {
    let arcs = oid
        .split('.')
        .all(|arc| arc.parse::<u64>().is_ok() && (arc == "0" || !arc.starts_with(['0', '+'])));
    if !arcs || !oid.contains('.') {
        return Err("an object identifier is written in numbers: `1.3.6.1.4.1.99999.1`");
    }
    if value.is_empty() {
        return Err("a value is never empty");
    }
    Ok(Attribute {
        oid: oid.into(),
        value: value.into(),
    })
}

/// An address whose host is in lower case; what stands before the `@` is its host's own affair (RFC 5321
/// section 2.4).
fn fold_email(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, host)) => format!("{local}@{}", host.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}

/// What a certificate's holder is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityField {
    /// The subject.
    Subject,
    /// The URI SAN.
    Uri,
    /// The DNS SAN, in lower case.
    Dns,
    /// The email SAN.
    Email,
    /// The IP SAN.
    Ip,
    /// `ISSUER#SERIAL`.
    Serial,
    /// The fingerprint, in hexadecimal.
    Fingerprint,
    /// The value of a subject's attribute, by its object identifier.
    Attribute(Box<str>),
    /// The value of an extension that is a text, by its object identifier.
    Extension(Box<str>),
}

impl IdentityField {
    /// The holder's name. There has to be exactly one value: of two, whoever asked for the certificate could
    /// choose which one counts.
    ///
    /// # Errors
    /// `certificate_identity_missing`.
    pub fn of<'a>(
        &self,
        certificate: &'a PeerCertificate,
    ) -> Result<Cow<'a, str>, CertificateFault> {
        let single = |what, names: &'a [Box<str>]| match names {
            [name] => Ok(Cow::Borrowed(name.as_ref())),
            _ => Err(CertificateFault::NoIdentity(what)),
        };
        match self {
            Self::Subject if certificate.subject.is_empty() => {
                Err(CertificateFault::NoIdentity("subject"))
            }
            Self::Subject => Ok(Cow::Borrowed(certificate.subject.as_ref())),
            Self::Uri => single("URI name", &certificate.uris),
            Self::Dns => single("DNS name", &certificate.dns_names)
                .map(|name| Cow::Owned(name.to_ascii_lowercase())),
            Self::Email => single("email name", &certificate.emails)
                .map(|address| Cow::Owned(fold_email(&address))),
            Self::Ip => match &certificate.ips[..] {
                [ip] => Ok(Cow::Owned(ip.to_string())),
                _ => Err(CertificateFault::NoIdentity("IP name")),
            },
            Self::Serial => Ok(Cow::Owned(format!(
                "{}#{}",
                certificate.issuer, certificate.serial
            ))),
            Self::Fingerprint => Ok(Cow::Owned(certificate.fingerprint.to_hex())),
            Self::Attribute(oid) => single_value(&certificate.attributes, oid),
            Self::Extension(oid) => single_value(&certificate.text_extensions, oid),
        }
    }
}

fn single_value<'a>(values: &'a [Attribute], oid: &str) -> Result<Cow<'a, str>, CertificateFault> {
    let mut values = values.iter().filter(|own| own.oid.as_ref() == oid);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(Cow::Borrowed(value.value.as_ref())),
        _ => Err(CertificateFault::NoIdentity(
            "value of that object identifier",
        )),
    }
}

/// Certificates and keys that are trusted by themselves.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// Fingerprints of certificates.
    pub certificates: Vec<Digest>,
    /// Digests of public keys.
    pub public_keys: Vec<Digest>,
}

impl Pins {
    /// Judges a certificate that no authority has to vouch for, such as a self-signed one: that it, or its key,
    /// is pinned, that its key is strong enough, and that it is in time. A pinned key's certificate also has
    /// to be a client's; a pinned certificate is the very one that was meant, and self-signed ones are
    /// often marked as their own CA.
    ///
    /// # Errors
    /// `certificate_not_pinned`, and those of [`PeerCertificate::judge_client`].
    pub fn judge(
        &self,
        certificate: &PeerCertificate,
        now: crate::clock::Timestamp,
    ) -> Result<(), CertificateFault> {
        if self.certificates.contains(&certificate.fingerprint) {
            certificate.key.judge()?;
            return certificate.judge_time(now);
        }
        if self.public_keys.contains(&certificate.spki) {
            return certificate.judge_client(now);
        }
        Err(CertificateFault::NotPinned)
    }
}
