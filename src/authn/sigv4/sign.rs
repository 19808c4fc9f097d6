//! Signing: for `portcullis sign`, and for callers that tests stand in for.

use std::time::Duration;

use crate::authn::signature::{Freshness, whole_body};
use crate::headers::{Headers, Single};
use crate::request::signed::AsSigned;
use crate::secret::{Digest, Secret};
use crate::verdict::Refusal;

use super::canonical::hex;
use super::date::Time;
use super::encoding::push_encoded;
use super::key::{BadSecret, SigningKey};
use super::payload::{HEADER, UNSIGNED};
use super::rules::{Dialect, Rules};
use super::scope::Scope;
use super::{ALGORITHM, is_amz, read};

/// What a signature states beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    /// The id of the key.
    pub access_key_id: &'a str,
    /// The service it is for.
    pub service: &'a str,
    /// The region it is for.
    pub region: &'a str,
    /// How paths and bodies are signed.
    pub dialect: Dialect,
    /// Headers to sign beside `host`, `content-type` and `x-amz-…`, in lower case, in any order.
    pub signed_headers: &'a [&'a str],
    /// Whether to leave the body unsigned.
    pub unsigned_payload: bool,
    /// The time of the signature, in seconds since the epoch.
    pub created: i64,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    /// The time is none that a date can hold.
    #[error("the time lies outside the years 0 to 9999")]
    Time,
    /// The secret is none.
    #[error(transparent)]
    Secret(#[from] BadSecret),
    /// The request has a time or a signature already.
    #[error("the request has a time or a signature already")]
    Signed,
    /// What was asked for would be refused.
    #[error("{0}")]
    Refused(String),
}

impl From<Refusal> for CannotSign {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.detail.into_owned())
    }
}

/// Signs a request and gives the headers to add: `x-amz-date`, `authorization`, and `x-amz-content-sha256` where
/// the dialect or an unsigned body asks for it.
///
/// # Errors
/// [`CannotSign`], with the text that a verifier would have for it.
pub fn sign(
    message: &AsSigned<'_>,
    secret: &Secret,
    signing: &Signing<'_>,
) -> Result<Vec<(String, String)>, CannotSign> {
    let present = |name| message.headers.single(name) != Single::Absent;
    if present("x-amz-date") || present("authorization") {
        return Err(CannotSign::Signed);
    }
    let time = Time::at(signing.created).ok_or(CannotSign::Time)?;
    let mut added = vec![("x-amz-date".to_owned(), time.text().to_owned())];
    if !present(HEADER) && signing.unsigned_payload {
        added.push((HEADER.to_owned(), UNSIGNED.to_owned()));
    } else if !present(HEADER) && signing.dialect == Dialect::S3 {
        let digest = Digest::of(whole_body(message)?);
        added.push((HEADER.to_owned(), hex(digest.bytes())));
    }
    let names = names_to_sign(message, &added, signing, true);
    let start = format!(
        "{ALGORITHM} Credential={}, SignedHeaders={}, Signature=",
        signing.credential(&time),
        names.join(";")
    );
    let blank = (
        "authorization".to_owned(),
        format!("{start}{}", "0".repeat(64)),
    );
    let headers = with(message.headers, added.iter().chain([&blank]));
    let signature = signature_of(&with_headers(message, &headers), secret, signing)?;
    added.push(("authorization".to_owned(), format!("{start}{signature}")));
    Ok(added)
}

/// Makes a presigned URL and gives its query, without a `?`: that of the request, and what is added. It holds for
/// `expires` seconds.
///
/// # Errors
/// [`CannotSign`], with the text that a verifier would have for it.
pub fn presign(
    message: &AsSigned<'_>,
    secret: &Secret,
    signing: &Signing<'_>,
    expires: u32,
) -> Result<String, CannotSign> {
    let time = Time::at(signing.created).ok_or(CannotSign::Time)?;
    let names = names_to_sign(message, &[], signing, false);
    let mut parameters = vec![
        ("X-Amz-Algorithm", ALGORITHM.to_owned()),
        ("X-Amz-Credential", signing.credential(&time)),
        ("X-Amz-Date", time.text().to_owned()),
        ("X-Amz-Expires", expires.to_string()),
        ("X-Amz-SignedHeaders", names.join(";")),
    ];
    if signing.unsigned_payload && signing.dialect == Dialect::General {
        parameters.push(("X-Amz-Content-Sha256", UNSIGNED.to_owned()));
    }
    let mut query = message.query.unwrap_or_default().to_vec();
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push(b'&');
        }
        query.extend_from_slice(name.as_bytes());
        query.push(b'=');
        push_encoded(&mut query, value.as_bytes(), b"");
    }
    query.extend_from_slice(b"&X-Amz-Signature=");
    let blank = [query.as_slice(), "0".repeat(64).as_bytes()].concat();
    let presigned = AsSigned {
        query: Some(&blank),
        ..with_headers(message, message.headers)
    };
    let signature = signature_of(&presigned, secret, signing)?;
    query.extend_from_slice(signature.as_bytes());
    String::from_utf8(query).map_err(|_| CannotSign::Refused("the query is no text".to_owned()))
}

impl Signing<'_> {
    fn credential(&self, time: &Time) -> String {
        let day = time.text().get(..8).unwrap_or_default().into();
        let (region, service) = (self.region.into(), self.service.into());
        let scope = Scope {
            day,
            region,
            service,
        };
        format!("{}/{}", self.access_key_id, scope.text())
    }
}

/// The names of all headers to sign, in order.
fn names_to_sign(
    message: &AsSigned<'_>,
    added: &[(String, String)],
    signing: &Signing<'_>,
    content_type: bool,
) -> Vec<String> {
    let mut names = vec!["host".to_owned()];
    names.extend(added.iter().map(|(name, _)| name.clone()));
    names.extend(signing.signed_headers.iter().map(|name| (*name).to_owned()));
    for (name, _) in message.headers.iter() {
        if is_amz(name) || (content_type && name == b"content-type") {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The signature of a message that has a blank one: a verifier's own code decides what is signed, and what is
/// refused.
fn signature_of(
    message: &AsSigned<'_>,
    secret: &Secret,
    signing: &Signing<'_>,
) -> Result<String, CannotSign> {
    let any_time = Freshness {
        max_age: Duration::ZERO,
        clock_skew: Duration::ZERO,
    };
    let rules = Rules {
        dialect: signing.dialect,
        unsigned_payload: signing.unsigned_payload,
        ..Rules::new(signing.service, signing.region, any_time)
    };
    let unverified = read(message)?.ok_or(CannotSign::Signed)?;
    unverified.check_coverage(message, &rules)?;
    let text = unverified.texts(message, &rules)?.string_to_sign;
    let scope = unverified.scope();
    let key = SigningKey::derive(secret, &scope.day, &scope.region, &scope.service)?;
    Ok(hex(key.sign(&text).as_ref()))
}

fn with<'a>(headers: &Headers, added: impl Iterator<Item = &'a (String, String)>) -> Headers {
    let added = added.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Headers::new(headers.iter().chain(added))
}

fn with_headers<'b>(message: &'b AsSigned<'_>, headers: &'b Headers) -> AsSigned<'b> {
    AsSigned {
        method: message.method,
        scheme: message.scheme.as_ref().into(),
        authority: message.authority.as_ref().into(),
        path: message.path.as_ref().into(),
        query: message.query,
        headers,
        body: message.body.clone(),
    }
}
