//! What an operator writes of a custom scheme.

use aws_lc_rs::hmac;

use crate::authn::webhook::custom::template::{BadTemplate, Template};
use crate::headers::is_header_name;

/// The longest prefix or key of an element, in bytes.
const MAX_WORD_BYTES: usize = 64;

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Two hexadecimal digits a byte, of either case.
    Hex,
    /// RFC 4648 section 4, with padding.
    Base64,
}

/// What a signature is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1. As an HMAC it is not broken; take it where the service has nothing else.
    HmacSha1,
    /// HMAC-SHA256.
    HmacSha256,
    /// HMAC-SHA384.
    HmacSha384,
    /// HMAC-SHA512.
    HmacSha512,
}

impl Algorithm {
    /// Every name there is in a policy.
    pub const NAMES: [&str; 4] = ["hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"];

    /// The algorithm of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "hmac-sha1" => Some(Self::HmacSha1),
            "hmac-sha256" => Some(Self::HmacSha256),
            "hmac-sha384" => Some(Self::HmacSha384),
            "hmac-sha512" => Some(Self::HmacSha512),
            _ => None,
        }
    }

    pub(super) const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha384 => hmac::HMAC_SHA384,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Whole seconds since 1970 (Unix time).
    Seconds,
    /// Whole milliseconds since 1970.
    Milliseconds,
    /// RFC 3339: `2026-12-01T12:00:00Z`.
    Rfc3339,
}

/// Where the time stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePlace {
    /// In a header of its own; its name in lower case.
    Header(String),
    /// In an element of the header with the signature, as in `t=…,v1=…`; its key.
    Element(String),
}

/// What an operator wrote.
#[derive(Clone, Debug)]
pub struct Written {
    /// The header with the signature, in lower case.
    pub header: String,
    /// What stands before the signature: `sha256=`. May be empty.
    pub prefix: String,
    /// The key of the elements with signatures, where the header is a list: `v1`.
    pub element: Option<String>,
    /// What stands between elements.
    pub separator: char,
    /// How the signature is written.
    pub encoding: Encoding,
    /// What it is made with.
    pub algorithm: Algorithm,
    /// The text it is made over.
    pub template: String,
    /// Where its time stands and how that is written, if it has one.
    pub timestamp: Option<(TimePlace, TimeFormat)>,
    /// The header that `{id}` stands for, in lower case.
    pub id: Option<String>,
}

impl Written {
    /// A signature in hexadecimal digits, made with HMAC-SHA256 over the body.
    pub fn over_body(header: &str) -> Self {
        Self {
            header: header.to_owned(),
            prefix: String::new(),
            element: None,
            separator: ',',
            encoding: Encoding::Hex,
            algorithm: Algorithm::HmacSha256,
            template: "{body}".to_owned(),
            timestamp: None,
            id: None,
        }
    }

    /// Checks what it says, to itself and to its template.
    pub(super) fn check(&self, template: &Template) -> Result<(), BadCustom> {
        let mut covered: Vec<&str> = template.headers().collect();
        if let Some((TimePlace::Header(name), _)) = &self.timestamp {
            covered.push(name);
        }
        covered.extend(self.id.as_deref());
        for name in covered.iter().copied().chain([self.header.as_str()]) {
            if name == "host" {
                return Err(BadCustom::Host);
            }
            if !is_header_name(name) {
                return Err(BadCustom::HeaderName(name.to_owned()));
            }
        }
        if covered.contains(&self.header.as_str()) {
            return Err(BadCustom::Overlap(self.header.clone()));
        }
        self.check_elements()?;
        match (self.timestamp.is_some(), template.has_timestamp()) {
            (false, true) => return Err(BadCustom::NoTimestamp),
            (true, false) => return Err(BadCustom::TimestampNotSigned),
            _ => {}
        }
        match (self.id.is_some(), template.has_id()) {
            (false, true) => return Err(BadCustom::NoId),
            (true, false) => return Err(BadCustom::IdNotSigned),
            _ => {}
        }
        Ok(())
    }

    fn check_elements(&self) -> Result<(), BadCustom> {
        let word = |text: &str| {
            text.len() <= MAX_WORD_BYTES
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b',')
                && !text.contains(self.separator)
        };
        if !word(&self.prefix) {
            return Err(BadCustom::Word(self.prefix.clone()));
        }
        let time_key = match &self.timestamp {
            Some((TimePlace::Element(key), _)) => Some(key),
            _ => None,
        };
        for key in self.element.iter().chain(time_key) {
            if key.is_empty() || key.contains('=') || !word(key) {
                return Err(BadCustom::Word(key.clone()));
            }
        }
        match (&self.element, time_key) {
            (None, Some(_)) => return Err(BadCustom::NoElements),
            (Some(key), Some(time)) if key == time => {
                return Err(BadCustom::SameElement(key.clone()));
            }
            _ => {}
        }
        if self.element.is_some() && !",;|& ".contains(self.separator) {
            return Err(BadCustom::Separator(self.separator));
        }
        Ok(())
    }
}

/// Why a description is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCustom {
    /// Something that is no header.
    #[error(
        "`{0}` is not the name of a header; write it in lower case, as in `x-signature`, at most 128 bytes"
    )]
    HeaderName(String),
    /// Envoy's own.
    #[error("`host` does not reach a check as a header; `{{url}}` holds the host")]
    Host,
    /// One header for two things.
    #[error("`{0}` can't hold the signature and be signed by it; name the header of each")]
    Overlap(String),
    /// A prefix or a key that can't be told from what follows.
    #[error(
        "`{0}` holds white space, a separator, or more than {MAX_WORD_BYTES} bytes; write what stands before the signature, as in `sha256=` or `v1`"
    )]
    Word(String),
    /// A separator that stands in signatures.
    #[error("elements can be separated by `,`, `;`, `|`, `&` or a space, not by `{0}`")]
    Separator(char),
    /// A time in an element where there are no elements.
    #[error(
        "the timestamp stands in an element, and the signature in none; say `element: …` for the signature too"
    )]
    NoElements,
    /// One key for time and signature.
    #[error("`{0}` can't be the key of the signature and of the timestamp")]
    SameElement(String),
    /// The template.
    #[error("`template` {0}")]
    Template(#[from] BadTemplate),
    /// `{timestamp}` without a rule.
    #[error(
        "`template` has `{{timestamp}}`, and nothing says where that stands; add `timestamp: {{header: …}}`"
    )]
    NoTimestamp,
    /// A rule without `{timestamp}`.
    #[error(
        "`timestamp` is not in `template`, so anybody could put in the time of day; add `{{timestamp}}` where the service signs it, or drop the rule"
    )]
    TimestampNotSigned,
    /// `{id}` without a rule.
    #[error("`template` has `{{id}}`, and nothing says where that stands; add `id: {{header: …}}`")]
    NoId,
    /// A rule without `{id}`.
    #[error(
        "`id` is not in `template`, so anybody could change it; add `{{id}}` where the service signs it, or drop the rule"
    )]
    IdNotSigned,
}
