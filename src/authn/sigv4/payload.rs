//! What stands for the body in a canonical request.

use std::borrow::Cow;

use crate::authn::signature::whole_body;
use crate::headers::Single;
use crate::request::signed::AsSigned;
use crate::secret::Digest;
use crate::verdict::{Reason, Refusal};

use super::canonical::hex;
use super::malformed;
use super::query::content_sha256;
use super::rules::{Dialect, Rules};
use super::scope::parse_signature;

/// What is signed in place of the body's digest where the body is not signed.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The header that states what is signed.
pub(super) const HEADER: &str = "x-amz-content-sha256";

/// What is signed of the body.
#[derive(Debug)]
pub(super) enum Payload {
    /// The digest that the request states.
    Stated([u8; 32]),
    /// Its digest, which the request does not state.
    Unstated,
    /// Nothing.
    Unsigned,
}

impl Payload {
    /// Reads what is signed. A header counts in both forms, the query's parameter in a presigned URL only.
    ///
    /// # Errors
    /// `signature_incomplete` where the rules ask for a signed body; `body_unavailable` for chunks;
    /// `signature_malformed`.
    pub(super) fn of(
        message: &AsSigned<'_>,
        presigned: bool,
        rules: &Rules,
    ) -> Result<Self, Refusal> {
        let in_header = match message.headers.single(HEADER) {
            Single::Absent => None,
            Single::One(value) => Some(Cow::Borrowed(value.trim_ascii())),
            Single::Several => return Err(malformed("more than one `x-amz-content-sha256`")),
        };
        let in_query = if presigned {
            content_sha256(message.query)?.map(Cow::Owned)
        } else {
            None
        };
        let stated = match (in_header, in_query) {
            (Some(_), Some(_)) => {
                return Err(malformed(
                    "`x-amz-content-sha256` stands in a header and in the query",
                ));
            }
            (one, other) => one.or(other),
        };
        let payload = match stated.as_deref() {
            Some(value) => Self::parse(value)?,
            None if presigned && rules.dialect == Dialect::S3 => Self::Unsigned,
            None => Self::Unstated,
        };
        if matches!(payload, Self::Unsigned) && !rules.unsigned_payload {
            return Err(Refusal::new(
                Reason::SignatureIncomplete,
                "the body is not signed (`UNSIGNED-PAYLOAD`), which only `unsigned_payload: true` admits",
            ));
        }
        Ok(payload)
    }

    fn parse(value: &[u8]) -> Result<Self, Refusal> {
        if value == UNSIGNED.as_bytes() {
            return Ok(Self::Unsigned);
        }
        if value.starts_with(b"STREAMING-") {
            return Err(Refusal::new(
                Reason::BodyUnavailable,
                "the body is signed chunk by chunk (`STREAMING-…`), which cannot be checked here: sign it whole",
            ));
        }
        std::str::from_utf8(value)
            .ok()
            .and_then(parse_signature)
            .map(Self::Stated)
            .ok_or_else(|| {
                malformed("`x-amz-content-sha256` is not of 64 lower-case hexadecimal digits")
            })
    }

    /// What the canonical request ends in.
    ///
    /// # Errors
    /// `body_unavailable`.
    pub(super) fn text(&self, message: &AsSigned<'_>) -> Result<Cow<'static, str>, Refusal> {
        Ok(match self {
            Self::Stated(digest) => hex(digest).into(),
            Self::Unstated => hex(Digest::of(whole_body(message)?).bytes()).into(),
            Self::Unsigned => UNSIGNED.into(),
        })
    }

    /// Whether the body is the one that was signed, once the text is known to be.
    ///
    /// # Errors
    /// `body_unavailable`, `body_digest_mismatch`.
    pub(super) fn check(&self, message: &AsSigned<'_>) -> Result<(), Refusal> {
        let Self::Stated(stated) = self else {
            return Ok(());
        };
        if Digest::of(whole_body(message)?).bytes() == stated {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::BodyDigestMismatch,
            "the body's SHA-256 is not the one in `x-amz-content-sha256`",
        ))
    }
}
