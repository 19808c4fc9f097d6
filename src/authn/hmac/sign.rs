//! Signing: for `portcullis sign`, and for callers that tests stand in for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::authn::signature::whole_body;
use crate::headers::{Headers, Single};
use crate::request::signed::AsSigned;
use crate::verdict::Refusal;

use super::key::{Hash, Key};
use super::own::push_hex;
use super::{Dialect, Form, Rules, Unverified, date, digest, read};

/// What a signature states beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    /// The id of the key.
    pub key_id: &'a str,
    /// Headers to sign beside what has to be signed, in lower case, in any order.
    pub signed_headers: &'a [&'a str],
    /// The time of the signature, in seconds since the epoch.
    pub created: i64,
    /// A random value that is used once. Only the own scheme has one.
    pub nonce: &'a str,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    /// The time is none that a date can hold.
    #[error("the time lies outside the years 0 to 9999")]
    Time,
    /// What was asked for would be refused.
    #[error("{0}")]
    Refused(String),
}

impl From<Refusal> for CannotSign {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.detail.into_owned())
    }
}

/// Signs a request and gives the headers to add. The two older dialects are signed with HMAC-SHA256 and get
/// `Date` and `Digest` where the request lacks them.
///
/// # Errors
/// [`CannotSign`], with the text that a verifier would have for it.
pub fn sign(
    dialect: Dialect,
    message: &AsSigned<'_>,
    key: &Key,
    signing: &Signing<'_>,
) -> Result<Vec<(String, String)>, CannotSign> {
    match dialect {
        Dialect::Own => {
            let mut names = signing.signed_headers.to_vec();
            names.sort_unstable();
            let list = match names.as_slice() {
                [] => String::new(),
                names => format!("SignedHeaders={}, ", names.join(";")),
            };
            let parameters = format!(
                "KeyId={}, {list}Timestamp={}, Nonce={}, Signature=",
                signing.key_id, signing.created, signing.nonce
            );
            let mut signature = Vec::new();
            let blank = format!("{parameters}{}", "0".repeat(64));
            let tag = key.sign(Hash::Sha256, &text_of(dialect, &blank, message)?);
            push_hex(&mut signature, tag.as_ref());
            let signature = String::from_utf8_lossy(&signature);
            Ok(vec![(
                "authorization".to_owned(),
                format!("{} {parameters}{signature}", dialect.scheme()),
            )])
        }
        Dialect::Cavage | Dialect::Kong => draft(dialect, message, key, signing),
    }
}

fn draft(
    dialect: Dialect,
    message: &AsSigned<'_>,
    key: &Key,
    signing: &Signing<'_>,
) -> Result<Vec<(String, String)>, CannotSign> {
    let body = whole_body(message)?;
    let mut added = Vec::new();
    let (target, id) = match dialect {
        Dialect::Kong => ("request-line", "username"),
        _ => ("(request-target)", "keyId"),
    };
    let mut names = vec![target, "host", "date"];
    if message.headers.single("date") == Single::Absent {
        let date = date::write(signing.created).ok_or(CannotSign::Time)?;
        added.push(("date".to_owned(), date));
    }
    if !body.is_empty() {
        names.push("digest");
        if message.headers.single("digest") == Single::Absent {
            added.push(("digest".to_owned(), digest::write(body)));
        }
    }
    for name in signing.signed_headers {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let parameters = format!(
        "{id}=\"{}\",algorithm=\"hmac-sha256\",headers=\"{}\",signature=\"",
        signing.key_id,
        names.join(" ")
    );
    let with_added = message.headers.iter().chain(
        added
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    );
    let headers = Headers::new(with_added);
    let message = AsSigned {
        method: message.method,
        scheme: message.scheme.as_ref().into(),
        authority: message.authority.as_ref().into(),
        path: message.path.as_ref().into(),
        query: message.query,
        headers: &headers,
        body: message.body.clone(),
    };
    let blank = format!("{parameters}{}\"", STANDARD.encode([0; 32]));
    let tag = key.sign(Hash::Sha256, &text_of(dialect, &blank, &message)?);
    added.push((
        "authorization".to_owned(),
        format!(
            "{} {parameters}{}\"",
            dialect.scheme(),
            STANDARD.encode(tag.as_ref())
        ),
    ));
    Ok(added)
}

/// The text that a verifier of `credentials` would make: it decides what is signed, and what is refused.
fn text_of(
    dialect: Dialect,
    credentials: &str,
    message: &AsSigned<'_>,
) -> Result<Vec<u8>, CannotSign> {
    let any_time = crate::authn::signature::Freshness {
        max_age: std::time::Duration::ZERO,
        clock_skew: std::time::Duration::ZERO,
    };
    let rules = Rules {
        dialects: [dialect].into(),
        ..Rules::own(any_time)
    };
    let Unverified(form) = read(dialect.scheme().as_bytes(), credentials.as_bytes(), &rules)?;
    Ok(match form {
        Form::Own(own) => own.signed_text(message)?,
        Form::Draft(draft) => draft.signed_text(message)?,
    })
}
