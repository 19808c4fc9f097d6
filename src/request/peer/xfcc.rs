//! `x-forwarded-client-cert` (XFCC), in which each proxy on the way may write what it saw of its client's
//! certificate, newest last.
//!
//! Source: Envoy, "HTTP header manipulation", and what Envoy 1.40 was seen to write. The text form carries
//! URI and DNS names neither quoted nor escaped, so that a certificate with an odd name can make one
//! element look like two. An element that carries the certificate itself is held against it; one that does
//! not is as good as the check of `source.principal` beside it.

mod json;
mod text;

use std::num::NonZeroU8;

use crate::headers::{Headers, Single};
use crate::request::peer::{BadPeer, MAX_SOURCE_BYTES, UnverifiedChain};
use crate::secret::Digest;

/// The header's name.
pub const NAME: &str = "x-forwarded-client-cert";

/// The most elements: one for each proxy on the way.
pub const MAX_ELEMENTS: usize = 16;

/// The most names of one kind in one element.
pub const MAX_NAMES: usize = 128;

/// Which elements are those of trusted proxies, as the deployment says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Envoy replaces the header (`SANITIZE_SET`): the whole is its own, and it writes one element.
    SanitizeSet,
    /// Envoy adds to the header (`APPEND_FORWARD`), and so do the proxies in front of it: as many elements
    /// from the right as there are of them. With 1, Envoy's own alone.
    Hops(NonZeroU8),
}

/// What one proxy wrote of its client's certificate. Nobody has verified it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// URI SANs of the proxy's own certificate.
    pub by: Vec<String>,
    /// SHA-256 of the certificate in DER.
    pub hash: Option<Digest>,
    /// The certificate, in DER.
    pub cert: Option<Vec<u8>>,
    /// The certificate and those that it came with, in DER, in order.
    pub chain: Vec<Vec<u8>>,
    /// The subject, as RFC 2253 writes it: what its backslashes stand for is left to who compares it.
    pub subject: Option<String>,
    /// The issuer, likewise.
    pub issuer: Option<String>,
    /// URI SANs.
    pub uris: Vec<String>,
    /// DNS SANs.
    pub dns_names: Vec<String>,
}

impl Element {
    /// The certificate and its chain, if the proxy wrote them: `Cert`, `Chain` and `Hash` have to tell of
    /// one certificate.
    ///
    /// # Errors
    /// [`BadPeer::Disagree`].
    pub fn certificates(&self) -> Result<Option<UnverifiedChain>, BadPeer> {
        let leaf = match (&self.cert, self.chain.first()) {
            (None, None) => return Ok(None),
            (Some(cert), Some(first)) if cert != first => {
                return Err(BadPeer::Disagree(
                    "x-forwarded-client-cert: `Cert` and `Chain` hold different certificates",
                ));
            }
            (Some(leaf), _) | (None, Some(leaf)) => leaf,
        };
        if self.hash.is_some_and(|hash| hash != Digest::of(leaf)) {
            return Err(BadPeer::Disagree(
                "x-forwarded-client-cert: `Hash` is not the digest of the certificate beside it",
            ));
        }
        Ok(Some(UnverifiedChain {
            leaf: leaf.clone(),
            intermediates: self.chain.iter().skip(1).cloned().collect(),
        }))
    }

    /// Holds Envoy's own element against `source.principal`, which tells of the same connection: the first
    /// URI SAN, else the first DNS SAN, else the subject. An element that leaves out what the principal
    /// is made of can't be compared, and is refused: a certificate whose URI SAN holds a comma would
    /// otherwise speak for anybody. One that holds a certificate and no name at all is left to
    /// whoever reads that certificate.
    ///
    /// # Errors
    /// [`BadPeer::Disagree`].
    pub fn agree_with_principal(&self, principal: &[u8]) -> Result<(), BadPeer> {
        let first = self.uris.first().or_else(|| self.dns_names.first());
        let agrees = match first.or(self.subject.as_ref()) {
            Some(name) => name.as_bytes() == principal,
            None => self.cert.is_some() || !self.chain.is_empty(),
        };
        if agrees {
            return Ok(());
        }
        Err(BadPeer::Disagree(
            "x-forwarded-client-cert's last element and `source.principal` name different peers; Envoy has to write `uri`, `dns` and `subject` for them to be compared",
        ))
    }
}

/// The elements that trusted proxies wrote, oldest first: under [`Trust::SanitizeSet`] the one there is, else
/// at most as many as there are hops, and at least one. The last is what Envoy itself saw; one before it
/// is the word of the peer that the last one names, which may be any peer that reaches Envoy. `None` without
/// a header.
///
/// # Errors
/// [`BadPeer`]: the whole header has to be readable, the elements that don't count too.
pub fn read(headers: &Headers, trust: Trust) -> Result<Option<Vec<Element>>, BadPeer> {
    let raw = match headers.single(NAME) {
        Single::Absent => return Ok(None),
        Single::Several => return Err(BadPeer::Several(NAME)),
        Single::One(raw) => raw,
    };
    let mut elements = parse(raw)?;
    let count = match trust {
        Trust::SanitizeSet if elements.len() > 1 => {
            return Err(BadPeer::Xfcc(
                "there is more than one element, where Envoy is said to replace the header",
            ));
        }
        Trust::SanitizeSet => 1,
        Trust::Hops(hops) => usize::from(hops.get()),
    };
    let before = elements.len().saturating_sub(count);
    elements.drain(..before);
    Ok(Some(elements))
}

/// Reads the whole header in either form: JSON is an array, and no text form begins with its bracket.
fn parse(raw: &[u8]) -> Result<Vec<Element>, BadPeer> {
    if raw.len() > MAX_SOURCE_BYTES {
        return Err(BadPeer::TooLong(NAME));
    }
    let raw = std::str::from_utf8(raw).map_err(|_| BadPeer::Characters(NAME))?;
    if raw.chars().any(char::is_control) {
        return Err(BadPeer::Characters(NAME));
    }
    let raw = raw.trim_matches(' ');
    match raw.bytes().next() {
        None => Err(BadPeer::Xfcc("the header is empty")),
        Some(b'[') => json::parse(raw),
        Some(b'{') => Err(BadPeer::Xfcc("the JSON form is an array of objects")),
        Some(_) => text::parse(raw),
    }
}

/// The digest of a `Hash`.
fn hash(text: &str) -> Result<Digest, BadPeer> {
    Digest::from_hex(text).ok_or(BadPeer::Xfcc("a `Hash` is not 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests;
