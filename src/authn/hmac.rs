//! `hmac`: a request proven by a secret that both sides hold.
//!
//! Three dialects. The [own] scheme always covers all that matters, and `docs/hmac-scheme.md` is its
//! specification. The other two are read for partners who sign already: the draft that came before
//! RFC 9421 ([`cavage`]), and what Kong's `hmac-auth` made of it ([`kong`]). Those let a client choose what it
//! signs, so here they have to cover method, target, host, time and body, or are refused.

pub mod cavage;
mod covered;
mod date;
mod digest;
mod draft;
mod key;
pub mod kong;
pub mod own;
mod parameters;
mod require;
mod sign;

use crate::authn::signature::{Accepted, Freshness};
use crate::clock::Timestamp;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

pub use self::key::{BadSecret, Key, MAX_SECRET_BYTES};
pub use self::require::Required;
pub use self::sign::{CannotSign, Signing, sign};

/// The longest credentials that are read, in bytes.
pub const MAX_CREDENTIALS_BYTES: usize = 4096;

/// The longest id of a key, in bytes.
pub const MAX_KEY_ID_BYTES: usize = 128;

/// How many headers one signature may name.
pub const MAX_SIGNED_HEADERS: usize = 32;

/// A way to write such a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `Authorization: HMAC-SHA256 KeyId=…`: our own.
    Own,
    /// `Authorization: Signature keyId="…"`, or the header `Signature`: draft-cavage-http-signatures.
    Cavage,
    /// `Authorization: hmac username="…"`: Kong's `hmac-auth`.
    Kong,
}

impl Dialect {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Own, Self::Cavage, Self::Kong];

    /// Its name in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Cavage => "cavage",
            Self::Kong => "kong",
        }
    }

    /// The dialect of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|dialect| dialect.as_str() == name)
    }

    /// Its authentication scheme (RFC 9110 section 11.1).
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Own => own::SCHEME,
            Self::Cavage => cavage::SCHEME,
            Self::Kong => kong::SCHEME,
        }
    }
}

/// What an authenticator of this kind admits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// How long signatures hold.
    pub freshness: Freshness,
    /// The dialects that are read.
    pub dialects: Box<[Dialect]>,
    /// What a signature must cover beyond what each dialect must.
    pub require: Box<[Required]>,
}

impl Rules {
    /// Rules for the own scheme.
    pub fn own(freshness: Freshness) -> Self {
        Self {
            freshness,
            dialects: [Dialect::Own].into(),
            require: Box::default(),
        }
    }

    /// The dialect of an authentication scheme, if it is one of those that are read. Case does not
    /// matter (RFC 9110 section 11.1).
    pub fn dialect(&self, scheme: &[u8]) -> Option<Dialect> {
        let is = |dialect: &Dialect| scheme.eq_ignore_ascii_case(dialect.scheme().as_bytes());
        self.dialects.iter().copied().find(is)
    }
}

/// A signature that was read and not yet verified.
#[derive(Clone, Debug)]
pub struct Unverified(Form);

#[derive(Clone, Debug)]
enum Form {
    Own(own::Parsed),
    Draft(draft::Parsed),
}

/// Reads what stands in `Authorization` or `Proxy-Authorization`: the scheme, and what follows it.
///
/// # Errors
/// `credentials_unrecognised` for a scheme that the rules do not switch on; `signature_malformed`,
/// `signature_algorithm_refused`.
pub fn read(scheme: &[u8], credentials: &[u8], rules: &Rules) -> Result<Unverified, Refusal> {
    let Some(dialect) = rules.dialect(scheme) else {
        return Err(Refusal::new(
            Reason::CredentialsUnrecognised,
            "the scheme is none of the authenticator's `dialects`",
        ));
    };
    let text = text_of(credentials)?;
    Ok(Unverified(match dialect {
        Dialect::Own => Form::Own(own::Parsed::read(text)?),
        Dialect::Cavage => Form::Draft(cavage::read(text)?),
        Dialect::Kong => Form::Draft(kong::read(text)?),
    }))
}

/// The header that holds the [`cavage`] dialect without a scheme.
pub const SIGNATURE_HEADER: &str = "signature";

/// Reads the value of the header `Signature`, which holds the [`cavage`] dialect without a scheme. RFC 9421
/// uses a header of this name too, beside `Signature-Input`: a request that has that one is not for here.
///
/// # Errors
/// As [`read`].
pub fn read_signature_header(value: &[u8], rules: &Rules) -> Result<Unverified, Refusal> {
    read(cavage::SCHEME.as_bytes(), value, rules)
}

impl Unverified {
    /// The id of the key that it says it was made with. Nobody has proven that yet.
    pub fn key_id(&self) -> &str {
        match &self.0 {
            Form::Own(own) => own.key_id(),
            Form::Draft(draft) => draft.key_id(),
        }
    }

    /// The headers that it covers beside the host, in lower case.
    pub fn signed_headers(&self) -> Vec<&str> {
        match &self.0 {
            Form::Own(own) => own.names().collect(),
            Form::Draft(draft) => draft.signed_headers().collect(),
        }
    }

    /// Which dialect it is written in.
    pub fn dialect(&self) -> Dialect {
        match &self.0 {
            Form::Own(_) => Dialect::Own,
            Form::Draft(draft) => draft.dialect(),
        }
    }

    /// Verifies it with the key that has its [`key_id`](Self::key_id).
    ///
    /// In the order in which they are judged: what it covers, its time, the body's presence, the
    /// signature, and digests in signed headers. The steps are bounded by the size of the request.
    ///
    /// # Errors
    /// `signature_incomplete`, `signature_component_refused`, `signature_not_yet_valid`, `signature_expired`,
    /// `body_unavailable`, `signature_mismatch`, `body_digest_mismatch`.
    pub fn verify(
        &self,
        message: &AsSigned<'_>,
        key: &Key,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Accepted, Refusal> {
        match &self.0 {
            Form::Own(own) => own.verify(message, key, rules, now),
            Form::Draft(draft) => draft.verify(message, key, rules, now),
        }
    }

    /// The bytes that should have been signed: for the operator, where a signature does not match. Never
    /// for the caller.
    ///
    /// # Errors
    /// `signature_component_refused`, `body_unavailable`.
    pub fn signed_text(&self, message: &AsSigned<'_>) -> Result<Vec<u8>, Refusal> {
        match &self.0 {
            Form::Own(own) => own.signed_text(message),
            Form::Draft(draft) => draft.signed_text(message),
        }
    }
}

/// The credentials as text: printable ASCII, spaces and tabs.
fn text_of(credentials: &[u8]) -> Result<&str, Refusal> {
    if credentials.len() > MAX_CREDENTIALS_BYTES {
        return Err(malformed("the credentials are longer than 4,096 bytes"));
    }
    let printable = |byte| matches!(byte, b' '..=b'~' | b'\t');
    match std::str::from_utf8(credentials) {
        Ok(text) if all(text, printable) => Ok(text),
        _ => Err(malformed(
            "the credentials hold a byte that is not printable ASCII",
        )),
    }
}

/// Whether all bytes are `good`. Without an early end, which lets the compiler judge many at once.
fn all(text: &str, good: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & good(byte))
}

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::SignatureMalformed, detail)
}

fn incomplete(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::SignatureIncomplete, detail)
}

fn refused(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::SignatureComponentRefused, detail)
}

/// What a client sent, short enough and plain enough for the operator's text.
fn shown(text: &str) -> String {
    const MOST: usize = 64;
    let mut short: String = text
        .chars()
        .take(MOST)
        .flat_map(char::escape_default)
        .collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
