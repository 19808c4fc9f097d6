//! What Envoy hands over of the certificate on the other end of the connection, read and not yet believed.
//!
//! Four places: `source.certificate` and `source.principal` of the check, and two headers that a proxy in
//! front sets, `x-forwarded-client-cert` (XFCC) and `Client-Cert` (RFC 9440). Which of them count is a
//! setting of the deployment: a header that no trusted proxy overwrites is the caller's own text. Nothing
//! here looks into a certificate or vouches for one.

pub mod client_cert;
pub mod pem;
pub mod sources;
pub mod xfcc;

use crate::request::peer::pem::BadPem;

/// The longest header or attribute that is read, in bytes. Envoy's own bound for all headers is 60 KiB.
pub const MAX_SOURCE_BYTES: usize = 64 * 1024;

/// The largest certificate, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// The most certificates of one chain, its leaf among them.
pub const MAX_CHAIN: usize = 8;

/// Why what Envoy handed over can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPeer {
    /// Two lines or more of a header that Envoy writes as one.
    #[error("the request has more than one `{0}` line")]
    Several(&'static str),
    /// More than [`MAX_SOURCE_BYTES`].
    #[error("`{0}` is longer than 64 KiB")]
    TooLong(&'static str),
    /// A `%` without two hexadecimal digits.
    #[error("`{0}` holds a `%` without two hexadecimal digits")]
    Percent(&'static str),
    /// A certificate's text form.
    #[error("`{0}` holds a broken certificate: {1}")]
    Pem(&'static str, BadPem),
    /// A leaf where one certificate is due, and several stand there.
    #[error("`{0}` holds more than one certificate")]
    SeveralCertificates(&'static str),
    /// No UTF-8, or a control character.
    #[error("`{0}` holds a control character, or is no UTF-8")]
    Characters(&'static str),
    /// `source.principal` that is none of the three forms.
    #[error("`source.principal` is neither a URI nor a DNS name nor a subject")]
    Principal,
    /// A text or JSON form of XFCC that Envoy does not write.
    #[error("x-forwarded-client-cert: {0}")]
    Xfcc(&'static str),
    /// No structured field of RFC 9440.
    #[error("`{0}` is not made of byte sequences (RFC 9440)")]
    ByteSequence(&'static str),
    /// `Client-Cert-Chain` on its own.
    #[error("`client-cert-chain` came without `client-cert`")]
    ChainWithoutLeaf,
    /// Two sources, or two parts of one, tell of different certificates.
    #[error("{0}")]
    Disagree(&'static str),
}

/// A leaf and what its sender added for building a chain; nobody has verified them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnverifiedChain {
    /// The leaf, in DER.
    pub leaf: Vec<u8>,
    /// The others in the sender's order, in DER.
    pub intermediates: Vec<Vec<u8>>,
}

/// Reads `source.certificate`: the leaf as URL-encoded PEM, and nothing else. `None` if Envoy sent none: the
/// connection has no client certificate, or `include_peer_certificate` is off.
///
/// # Errors
/// [`BadPeer`].
pub fn certificate(raw: &[u8]) -> Result<Option<Vec<u8>>, BadPeer> {
    const NAME: &str = "source.certificate";
    if raw.is_empty() {
        return Ok(None);
    }
    if raw.len() > MAX_SOURCE_BYTES {
        return Err(BadPeer::TooLong(NAME));
    }
    let text = percent_decode(raw).ok_or(BadPeer::Percent(NAME))?;
    one_certificate(&text, NAME).map(Some)
}

/// `source.principal`, told apart by its form.
///
/// Envoy writes the first URI SAN, else the first DNS SAN, else the subject, and does not say which it was.
/// A DNS SAN is whatever text the certificate's issuer let through, so the form is a reading and no proof:
/// where issuers are not known to check names, only the certificate itself is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// A URI SAN (RFC 3986 section 3: a scheme and a colon).
    Uri(&'a str),
    /// A DNS SAN: letters, digits, `.`, `-`, `_` and `*`.
    Dns(&'a str),
    /// The subject as Envoy writes it (RFC 2253: `CN=…,O=…`).
    Subject(&'a str),
}

impl<'a> Principal<'a> {
    /// Judges a principal's form; `None` if there is none.
    ///
    /// # Errors
    /// [`BadPeer`] for text of no such form.
    pub fn read(raw: &'a [u8]) -> Result<Option<Self>, BadPeer> {
        const NAME: &str = "source.principal";
        if raw.is_empty() {
            return Ok(None);
        }
        if raw.len() > MAX_SOURCE_BYTES {
            return Err(BadPeer::TooLong(NAME));
        }
        let text = printable(raw, NAME)?;
        let dns = |byte: u8| byte.is_ascii_alphanumeric() || b".-_*".contains(&byte);
        if text.bytes().all(dns) {
            return Ok(Some(Self::Dns(text)));
        }
        if has_scheme(text) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Some(Self::Uri(text)));
        }
        if is_subject(text) {
            return Ok(Some(Self::Subject(text)));
        }
        Err(BadPeer::Principal)
    }
}

/// Whether the text begins with a scheme and a colon (RFC 3986 section 3.1), with something after it.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    !rest.is_empty()
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(word)
}

/// Whether the text begins with an attribute's type and a `=` (RFC 4514 section 3): a short name, or an OID
/// in numbers.
fn is_subject(text: &str) -> bool {
    text.split_once('=').is_some_and(|(kind, _)| {
        !kind.is_empty()
            && kind
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    })
}

/// UTF-8 without control characters.
fn printable<'a>(raw: &'a [u8], name: &'static str) -> Result<&'a str, BadPeer> {
    let text = std::str::from_utf8(raw).map_err(|_| BadPeer::Characters(name))?;
    if text.chars().any(char::is_control) {
        return Err(BadPeer::Characters(name));
    }
    Ok(text)
}

/// The one certificate of a PEM text.
fn one_certificate(text: &[u8], name: &'static str) -> Result<Vec<u8>, BadPeer> {
    let mut all = pem::certificates(text).map_err(|bad| BadPeer::Pem(name, bad))?;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => Err(BadPeer::SeveralCertificates(name)),
    }
}

/// Percent-decoding (RFC 3986 section 2.1), where a `+` is a `+`. `None` for a broken escape.
fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = crate::secret::hex_value(*bytes.next()?)?;
        let low = crate::secret::hex_value(*bytes.next()?)?;
        decoded.push(high << 4 | low);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests;
