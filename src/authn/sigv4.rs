//! `sigv4`: AWS Signature Version 4 ("Signature Version 4 signing process" in the AWS IAM User Guide; for the
//! S3 dialect "Authenticating Requests" in the S3 API Reference), for a service of one's own.
//!
//! Two forms: the header `Authorization: AWS4-HMAC-SHA256 …`, and the presigned URL whose query holds
//! `X-Amz-Signature`. Never both. What the standard leaves to the server is decided so:
//!
//! - **What was sent is what must have been signed.** Paths are not normalised: `/a//b` is not `/a/b`.
//!   `+` and `;` in a query stand for themselves, as readers do not agree on what they mean; a space is
//!   signed as `%20`.
//! - **Session tokens are refused.** A token carries limits that only its issuer can read, so a request
//!   that has one asks for less than its key may do.
//! - **Bodies are signed**, unless a rule allows `UNSIGNED-PAYLOAD`. Chunks that are signed one by one
//!   (`STREAMING-…`) cannot be followed from here.
//! - **A presigned URL** ends at `X-Amz-Expires` or after `max_expires`, whichever comes first.
//! - **On unsafe methods a signature passes once.** Nothing in it tells two equal requests of one second
//!   apart, so the second of them is refused too.
//!
//! What the scheme itself leaves open, and no server can mend: `?a` and `?a=` are signed alike, and so are two
//! orders of one repeated query parameter.

mod authorization;
mod canonical;
mod date;
mod encoding;
mod key;
mod payload;
mod query;
mod rules;
mod scope;
mod sign;

use std::fmt;

use crate::authn::signature::{Accepted, Once, mismatch};
use crate::clock::Timestamp;
use crate::headers::{Single, fold, same_variable};
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

use self::date::Time;
use self::payload::Payload;
use self::scope::Fields;

pub use self::key::{BadSecret, Key, MAX_SECRET_BYTES, SigningKey};
pub use self::query::{CREDENTIAL_PARAMETERS, MAX_PARAMETERS};
pub use self::rules::{Dialect, Required, Rules};
pub use self::scope::{
    MAX_ACCESS_KEY_ID_BYTES, MAX_SCOPE_WORD_BYTES, MAX_SIGNED_HEADERS, Scope, is_access_key_id,
    is_scope_word,
};
pub use self::sign::{CannotSign, Signing, presign, sign};

/// The algorithm, and the scheme of the `Authorization` header.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The longest `Authorization` header that is read, in bytes.
pub const MAX_AUTHORIZATION_BYTES: usize = 8 * 1024;

/// The longest time that `X-Amz-Expires` may state, in seconds: seven days.
pub const MAX_EXPIRES_SECONDS: u32 = 604_800;

/// The headers of session tokens. They are refused.
const TOKEN_HEADERS: [&str; 2] = ["x-amz-security-token", "x-amz-s3session-token"];

/// Headers of this prefix have to be signed if the request has them.
const SIGNED_PREFIX: &[u8] = b"x-amz-";

/// A signature that was read and not yet verified.
#[derive(Clone)]
pub struct Unverified {
    fields: Fields,
    time: Time,
    form: Form,
}

/// Where a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// In `Authorization`; the time is that of the named header.
    Header { time_from: &'static str },
    /// In the query, with its `X-Amz-Expires` in seconds.
    Query { expires: u32 },
}

/// What a signature is computed from, for the operator who looks for a difference.
#[derive(Clone, PartialEq, Eq)]
pub struct Texts {
    /// The canonical request.
    pub canonical_request: Vec<u8>,
    /// The string to sign, which holds the canonical request's digest.
    pub string_to_sign: Vec<u8>,
}

/// Reads the signature of a request, from its `Authorization` header or its query; `None` if it has none of
/// this kind.
///
/// # Errors
/// `signature_malformed`; `signature_algorithm_refused` for another algorithm of the family;
/// `credentials_ambiguous` for two signatures.
pub fn read(message: &AsSigned<'_>) -> Result<Option<Unverified>, Refusal> {
    let in_header = authorization::read(message.headers)?;
    let in_query = query::read(message.query)?;
    let unverified = match (in_header, in_query) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                Reason::CredentialsAmbiguous,
                "a signature in `Authorization`, and parameters of one in the query",
            ));
        }
        (Some(fields), None) => {
            let (time, time_from) = time_in_headers(message)?;
            Unverified {
                fields,
                time,
                form: Form::Header { time_from },
            }
        }
        (None, Some(signed)) => Unverified {
            fields: signed.fields,
            time: signed.time,
            form: Form::Query {
                expires: signed.expires,
            },
        },
    };
    if !unverified
        .time
        .text()
        .starts_with(unverified.fields.scope.day.as_ref())
    {
        return Err(malformed(
            "the day in the credential's scope is not the day of the request's time",
        ));
    }
    Ok(Some(unverified))
}

impl Unverified {
    /// The id of the key that it says it was made with. Nobody has proven that yet.
    pub fn access_key_id(&self) -> &str {
        &self.fields.access_key_id
    }

    /// Day, region and service that it says it is for: what its key is derived from.
    pub const fn scope(&self) -> &Scope {
        &self.fields.scope
    }

    /// The headers that it covers, in lower case.
    pub fn signed_headers(&self) -> impl Iterator<Item = &str> {
        self.fields.signed_headers.iter().map(AsRef::as_ref)
    }

    /// Whether it stands in the query.
    pub const fn is_presigned(&self) -> bool {
        matches!(self.form, Form::Query { .. })
    }

    /// Judges the signature of `message`, which is the request it was read from. `key` is the secret, or
    /// what was derived from it for this [`Unverified::scope`].
    ///
    /// # Errors
    /// `signature_scope_mismatch`, `signature_not_yet_valid`, `signature_expired`, `signature_incomplete`,
    /// `signature_component_refused`, `signature_malformed`, `signature_mismatch`, `body_unavailable`,
    /// `body_digest_mismatch`; `credentials_unrecognised` for session tokens, and for presigned URLs where
    /// the rules do not admit them.
    pub fn verify<'k>(
        &self,
        message: &AsSigned<'_>,
        key: impl Into<Key<'k>>,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Accepted, Refusal> {
        self.check_scope(rules)?;
        let until = self.check_time(rules, now)?;
        check_tokens(message)?;
        self.check_coverage(message, rules)?;
        let payload = Payload::of(message, self.is_presigned(), rules)?;
        let texts = self.texts_with(message, &payload, rules)?;
        let key = key.into();
        match key.matches(
            &self.fields.scope,
            &texts.string_to_sign,
            &self.fields.signature,
        ) {
            Ok(true) => {}
            Ok(false) => return Err(mismatch(hint(message))),
            Err(_) => return Err(mismatch("the key's secret is too short or too long")),
        }
        // Only now: whoever cannot sign makes nobody hash a body whose digest is stated.
        payload.check(message)?;
        let safe = matches!(message.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        Ok(Accepted {
            once: (!safe).then(|| Once {
                value: self.fields.signature.to_vec(),
                until,
            }),
            created: Some(Timestamp::from_seconds(self.time.seconds())),
            until: Some(until),
        })
    }

    /// What the signature has to be computed from. For operators only: it holds the values of the signed
    /// headers.
    ///
    /// # Errors
    /// As [`Unverified::verify`], where the texts cannot be made.
    pub fn texts(&self, message: &AsSigned<'_>, rules: &Rules) -> Result<Texts, Refusal> {
        let payload = Payload::of(message, self.is_presigned(), rules)?;
        self.texts_with(message, &payload, rules)
    }

    fn texts_with(
        &self,
        message: &AsSigned<'_>,
        payload: &Payload,
        rules: &Rules,
    ) -> Result<Texts, Refusal> {
        let canonical_request = canonical::request(
            message,
            &self.fields.signed_headers,
            &payload.text(message)?,
            rules.dialect,
        )?;
        let string_to_sign =
            canonical::string_to_sign(self.time.text(), &self.fields.scope, &canonical_request);
        Ok(Texts {
            canonical_request,
            string_to_sign,
        })
    }

    fn check_scope(&self, rules: &Rules) -> Result<(), Refusal> {
        let Scope {
            region, service, ..
        } = &self.fields.scope;
        if *region == rules.region && *service == rules.service {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::SignatureScopeMismatch,
            format!(
                "a signature for service `{service}` in region `{region}`, where `{}` in `{}` is asked for",
                rules.service, rules.region
            ),
        ))
    }

    fn check_time(&self, rules: &Rules, now: Timestamp) -> Result<Timestamp, Refusal> {
        let created = self.time.seconds();
        let Form::Query { expires } = self.form else {
            return rules.freshness.judge(created, None, now);
        };
        let Some(max_expires) = rules.max_expires else {
            return Err(Refusal::new(
                Reason::CredentialsUnrecognised,
                "a presigned URL, which the authenticator does not admit",
            ));
        };
        let mut freshness = rules.freshness;
        freshness.max_age = max_expires;
        let expires = created.saturating_add(i64::from(expires));
        freshness.judge(created, Some(expires), now)
    }

    /// Whether all is signed that has to be: host, time, `x-amz-…`, and what the rules name.
    fn check_coverage(&self, message: &AsSigned<'_>, rules: &Rules) -> Result<(), Refusal> {
        let covers = |name: &[u8]| self.fields.covers(name);
        if !covers(b"host") {
            return Err(incomplete("`host`"));
        }
        if let Form::Header { time_from } = self.form
            && !covers(time_from.as_bytes())
        {
            return Err(incomplete(&format!("`{time_from}`")));
        }
        for (name, _) in message.headers.iter() {
            if is_amz(name) && !covers(name) {
                let name: String = String::from_utf8_lossy(name).chars().take(64).collect();
                return Err(incomplete(&format!(
                    "the header `{}`; all of `x-amz-…` has to be signed",
                    name.escape_debug()
                )));
            }
        }
        for required in &rules.require {
            if let Required::Header(name) = required
                && !covers(name.as_bytes())
            {
                return Err(incomplete(&format!(
                    "the header `{name}`, which `require` names"
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Unverified {
    /// Everything but the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("access_key_id", &self.fields.access_key_id)
            .field("scope", &self.fields.scope)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Texts {
    /// Nothing of them: they hold headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Texts(redacted)")
    }
}

/// The time of a signature in `Authorization`: that of `x-amz-date`, else that of `date`.
fn time_in_headers(message: &AsSigned<'_>) -> Result<(Time, &'static str), Refusal> {
    match message.headers.single("x-amz-date") {
        Single::One(value) => {
            let time = Time::basic(value.trim_ascii())
                .ok_or_else(|| malformed("`x-amz-date` is not of the form `20260131T235959Z`"))?;
            return Ok((time, "x-amz-date"));
        }
        Single::Several => return Err(malformed("more than one `x-amz-date`")),
        Single::Absent => {}
    }
    match message.headers.single("date") {
        Single::One(value) => {
            let value = value.trim_ascii();
            let time = Time::basic(value)
                .or_else(|| Time::imf_fixdate(value))
                .ok_or_else(|| {
                    malformed(
                        "`date` is neither of the form `20260131T235959Z` nor of RFC 9110's `Sat, 31 Jan 2026 23:59:59 GMT`",
                    )
                })?;
            Ok((time, "date"))
        }
        Single::Several => Err(malformed("more than one `date`")),
        Single::Absent => Err(malformed("the request has neither `x-amz-date` nor `date`")),
    }
}

/// Refuses session tokens, wherever they stand.
fn check_tokens(message: &AsSigned<'_>) -> Result<(), Refusal> {
    let is_token = |name: &[u8]| {
        TOKEN_HEADERS
            .iter()
            .any(|token| same_variable(name, token.as_bytes()))
    };
    let in_header = message.headers.iter().any(|(name, _)| is_token(name));
    if in_header || query::has_token(message.query) {
        return Err(Refusal::new(
            Reason::CredentialsUnrecognised,
            "the request has a session token, whose limits only its issuer can read: sign with a key that has none",
        ));
    }
    Ok(())
}

/// Whether a header is one of `x-amz-…`, however an upstream that turns names into variables spells it.
fn is_amz(name: &[u8]) -> bool {
    name.get(..SIGNED_PREFIX.len()).is_some_and(|start| {
        start
            .iter()
            .map(|&byte| fold(byte))
            .eq(SIGNED_PREFIX.iter().copied())
    })
}

/// What most likely went wrong, as far as the request shows it.
fn hint(message: &AsSigned<'_>) -> &'static str {
    let query = message.query.unwrap_or_default();
    if query.contains(&b'+') {
        return "the signature does not match; the query holds a bare `+`, which was taken as it stands: a space is sent as `%20`, a plus as `%2B`";
    }
    if query.contains(&b';') {
        return "the signature does not match; the query holds a bare `;`, which was taken as it stands: it is sent as `%3B`";
    }
    if message.path.windows(2).any(|pair| pair == b"//") {
        return "the signature does not match; the path holds an empty segment, which many signers leave out of what they sign";
    }
    "the signature does not match: another secret, or another request than was signed"
}

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::SignatureMalformed, detail)
}

fn incomplete(what: &str) -> Refusal {
    Refusal::new(
        Reason::SignatureIncomplete,
        format!("the signature does not cover {what}"),
    )
}

#[cfg(test)]
mod tests;
