//! What a leaf or an authority says of itself in its extensions.

use x509_parser::certificate::X509Certificate;

use crate::authn::certificate::der::{self, Elements, OID, SEQUENCE, only};
use crate::authn::certificate::fault::CertificateFault;
use crate::authn::certificate::name::{self, Attribute};
use crate::authn::certificate::san::{self, AlternativeNames};

/// The most extensions, and the most extended key usages.
const MAX_EXTENSIONS: usize = 64;

/// The key usage bits (RFC 5280 section 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage(u8);

impl KeyUsage {
    /// digitalSignature.
    pub const fn digital_signature(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// keyCertSign.
    pub const fn key_cert_sign(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// cRLSign.
    pub const fn crl_sign(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// Reads the extension's value: a BIT STRING of one or two bytes. The ninth bit, decipherOnly, is of no
    /// interest.
    fn read(value: &[u8]) -> Option<Self> {
        let (unused, bits) = only(value, 0x03)?.split_first()?;
        // The bits that don't count are zero in DER; to some readers they would count.
        let clean = |last: &u8| *unused < 8 && last.trailing_zeros() >= u32::from(*unused);
        match bits {
            [] if *unused == 0 => Some(Self(0)),
            [first] if clean(first) => Some(Self(*first)),
            [first, second] if clean(second) => Some(Self(*first)),
            _ => None,
        }
    }
}

/// What its extensions say, as far as anybody asks.
#[derive(Default)]
pub(crate) struct Extensions {
    pub(super) names: AlternativeNames,
    pub(crate) is_ca: bool,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<Vec<Box<str>>>,
    pub(super) texts: Vec<Attribute>,
}

impl Extensions {
    /// Its URI names.
    pub(crate) fn uris(&self) -> &[Box<str>] {
        &self.names.uris
    }

    /// Reads the extensions; that none stands there twice was seen by [`structure`] for those that it knows,
    /// and is seen here for the others.
    pub(crate) fn read(certificate: &X509Certificate<'_>) -> Result<Self, CertificateFault> {
        let broken = CertificateFault::Malformed;
        let mut read = Self::default();
        let all = certificate.tbs_certificate.extensions();
        if all.len() > MAX_EXTENSIONS {
            return Err(broken("it has more than 64 extensions"));
        }
        for (at, extension) in all.iter().enumerate() {
            let twice = all
                .iter()
                .skip(at + 1)
                .any(|other| other.oid == extension.oid);
            if twice {
                return Err(broken("an extension stands there twice"));
            }
            match extension.oid.as_bytes() {
                [0x55, 0x1d, 0x0f] => {
                    let usage = KeyUsage::read(extension.value);
                    read.key_usage = Some(usage.ok_or(broken("its key usage can't be read"))?);
                }
                [0x55, 0x1d, 0x11] => {
                    read.names = san::read(extension.value).map_err(broken)?;
                }
                [0x55, 0x1d, 0x13] => {
                    let is_ca = basic_constraints(extension.value);
                    read.is_ca = is_ca.ok_or(broken("its basic constraints can't be read"))?;
                }
                [0x55, 0x1d, 0x25] => {
                    let usages = extended_key_usage(extension.value);
                    read.extended_key_usage =
                        Some(usages.ok_or(broken("its extended key usage can't be read"))?);
                }
                oid => read.texts.extend(text(oid, extension.value)),
            }
        }
        Ok(read)
    }
}

/// `cA` (RFC 5280 section 4.2.1.9). The DEFAULT, written out against DER, is FALSE all the same.
fn basic_constraints(value: &[u8]) -> Option<bool> {
    let mut elements = Elements(only(value, SEQUENCE)?);
    if elements.is_empty() {
        return Some(false);
    }
    let first = elements.next()?;
    match (first.tag, first.content) {
        (0x01, [0xff]) => {
            if !elements.is_empty() {
                elements.expect(0x02)?;
            }
            elements.is_empty().then_some(true)
        }
        (0x01, [0x00]) if elements.is_empty() => Some(false),
        _ => None,
    }
}

fn extended_key_usage(value: &[u8]) -> Option<Vec<Box<str>>> {
    let mut elements = Elements(only(value, SEQUENCE)?);
    let mut usages = Vec::new();
    while !elements.is_empty() {
        let usage = elements.expect(OID).and_then(der::oid)?;
        if usages.len() == MAX_EXTENSIONS {
            return None;
        }
        usages.push(usage.into());
    }
    (!usages.is_empty()).then_some(usages)
}

/// The value of an extension that is one text and nothing else, as private extensions have it. Another value
/// is none that a policy can ask for.
fn text(oid: &[u8], value: &[u8]) -> Option<Attribute> {
    let mut elements = Elements(value);
    let element = elements.next().filter(|_| elements.is_empty())?;
    let text = name::text(element.tag, element.content).ok()?;
    Some(Attribute {
        oid: der::oid(oid)?.into(),
        value: text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::{KeyUsage, basic_constraints};

    #[test]
    fn reads_key_usage_bits_that_count_and_refuses_others() {
        for (value, bits) in [
            (&[3, 2, 7, 0x80][..], Some((true, false, false))),
            (&[3, 2, 1, 0x06], Some((false, true, true))),
            (&[3, 3, 7, 0x80, 0x80], Some((true, false, false))),
            (&[3, 1, 0], Some((false, false, false))),
            (&[3, 2, 7, 0x84], None),
            (&[3, 2, 8, 0x80], None),
            (&[3, 1, 1], None),
            (&[3, 0], None),
            (&[3, 4, 0, 0x80, 0x80, 0x80], None),
            (&[4, 2, 7, 0x80], None),
            (&[3, 2, 7, 0x80, 0], None),
        ] {
            let read = KeyUsage::read(value).map(|usage| {
                (
                    usage.digital_signature(),
                    usage.key_cert_sign(),
                    usage.crl_sign(),
                )
            });
            assert_eq!(read, bits, "{value:?}");
        }
    }

    #[test]
    fn reads_basic_constraints_without_leniency() {
        for (value, is_ca) in [
            (&[0x30, 0][..], Some(false)),
            (&[0x30, 3, 1, 1, 0], Some(false)),
            (&[0x30, 3, 1, 1, 0xff], Some(true)),
            (&[0x30, 6, 1, 1, 0xff, 2, 1, 0], Some(true)),
            (&[0x30, 3, 1, 1, 1], None),
            (&[0x30, 6, 1, 1, 0, 2, 1, 0], None),
            (&[0x30, 3, 2, 1, 0], None),
            (&[0x30, 9, 1, 1, 0xff, 2, 1, 0, 2, 1, 0], None),
            (&[0x30, 0, 0], None),
            (&[], None),
        ] {
            assert_eq!(basic_constraints(value), is_ca, "{value:?}");
        }
    }
}
