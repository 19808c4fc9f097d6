//! What [`cavage`](super::cavage) and [`kong`](super::kong) have in common: lines of `name: value`, in the
//! order in which the client lists them.
//!
//! Such a signature proves what it lists and nothing else, and the list itself is not signed. That is enough
//! because the lines name themselves, and because what has to be there is checked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::authn::signature::{Accepted, Once, mismatch, whole_body};
use crate::clock::Timestamp;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

use super::covered::{header, holds_signature, push, push_target};
use super::key::{Hash, Key};
use super::require::Required;
use super::{
    Dialect, MAX_KEY_ID_BYTES, MAX_SIGNED_HEADERS, Rules, date, digest, incomplete, malformed,
    refused, shown,
};

/// The protocol versions that a signed `request-line` may end in. A client signs the one that it speaks, and
/// a proxy in between may speak another with Envoy; which of them it was proves nothing.
const VERSIONS: [&str; 4] = ["HTTP/1.1", "HTTP/2.0", "HTTP/1.0", "HTTP/3.0"];

/// What `algorithm` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hmac(Hash),
    /// `hs2019`: whatever the key is for.
    OfTheKey,
}

impl Algorithm {
    /// # Errors
    /// `signature_algorithm_refused`.
    pub(super) fn read(name: &str) -> Result<Self, Refusal> {
        let detail = match name.to_ascii_lowercase().as_str() {
            "hmac-sha256" => return Ok(Self::Hmac(Hash::Sha256)),
            "hmac-sha384" => return Ok(Self::Hmac(Hash::Sha384)),
            "hmac-sha512" => return Ok(Self::Hmac(Hash::Sha512)),
            "hs2019" => return Ok(Self::OfTheKey),
            "hmac-sha1" => "hmac-sha1 is not accepted: take hmac-sha256".to_owned(),
            _ => format!(
                "`{}` is none of hmac-sha256, hmac-sha384, hmac-sha512 and hs2019",
                shown(name)
            ),
        };
        Err(Refusal::new(Reason::SignatureAlgorithmRefused, detail))
    }
}

/// The bytes of a signature, and what they were made with.
///
/// # Errors
/// `signature_malformed`.
pub(super) fn signature_of(algorithm: Algorithm, text: &str) -> Result<(Hash, Box<[u8]>), Refusal> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| malformed("`signature` is not base64 with its padding"))?;
    let by_length = Hash::of_length(bytes.len());
    let hash = match algorithm {
        Algorithm::Hmac(hash) if by_length == Some(hash) => Some(hash),
        Algorithm::Hmac(_) => None,
        Algorithm::OfTheKey => by_length,
    };
    let hash = hash.ok_or_else(|| {
        malformed(format!(
            "`signature` has {} bytes, which is not what the algorithm yields",
            bytes.len()
        ))
    })?;
    Ok((hash, bytes.into()))
}

/// Something that a signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Component {
    /// `get /path?query`, under this name.
    RequestTarget(&'static str),
    /// `GET /path?query HTTP/1.1`, without a name.
    RequestLine,
    /// `(created)`.
    Created,
    /// `(expires)`.
    Expires,
    /// A header.
    Header {
        /// As it stands in the signed text.
        written: Box<str>,
        /// In lower case.
        name: Box<str>,
    },
}

/// Reads `headers`: names with one space between, each once.
///
/// # Errors
/// `signature_malformed`, `signature_component_refused`.
pub(super) fn components(
    list: &str,
    read: fn(&str) -> Option<Component>,
) -> Result<Box<[Component]>, Refusal> {
    let mut components = Vec::new();
    for listed in list.split(' ') {
        if components.len() == MAX_SIGNED_HEADERS {
            return Err(malformed("`headers` has more than 32 names"));
        }
        if listed.is_empty() {
            return Err(malformed("`headers` is names with one space between"));
        }
        let component = read(listed).ok_or_else(|| {
            refused(format!(
                "`headers` has `{}`, which is nothing of a request that this form signs",
                shown(listed)
            ))
        })?;
        if let Component::Header { name, .. } = &component
            && holds_signature(name)
        {
            return Err(refused(format!(
                "`headers` has `{name}`, which holds a signature"
            )));
        }
        if components.iter().any(|other| same(other, &component)) {
            return Err(malformed(format!(
                "`headers` has `{}` twice",
                shown(listed)
            )));
        }
        components.push(component);
    }
    Ok(components.into())
}

/// Whether two entries are of the same thing, however they are written.
fn same(one: &Component, other: &Component) -> bool {
    match (one, other) {
        (Component::Header { name: one, .. }, Component::Header { name: other, .. }) => {
            one == other
        }
        _ => one == other,
    }
}

/// A time as a parameter states it.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    /// As it was written, which is how it is signed.
    pub(super) text: Box<str>,
}

/// Credentials of these forms that were read.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) dialect: Dialect,
    pub(super) key_id: Box<str>,
    pub(super) hash: Hash,
    pub(super) covered: Box<[Component]>,
    pub(super) created: Option<Moment>,
    pub(super) expires: Option<Moment>,
    pub(super) signature: Box<[u8]>,
}

impl Parsed {
    /// # Errors
    /// `signature_malformed` for an id that is too long.
    pub(super) fn new(parsed: Self) -> Result<Self, Refusal> {
        if parsed.key_id.len() > MAX_KEY_ID_BYTES {
            return Err(malformed("the id of the key is longer than 128 bytes"));
        }
        Ok(parsed)
    }

    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(super) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The signed text; a `request-line` ends in HTTP/1.1.
    pub(super) fn signed_text(&self, message: &AsSigned<'_>) -> Result<Vec<u8>, Refusal> {
        self.text(message, "HTTP/1.1")
    }

    fn text(&self, message: &AsSigned<'_>, version: &str) -> Result<Vec<u8>, Refusal> {
        let mut text = Vec::with_capacity(512);
        for (index, component) in self.covered.iter().enumerate() {
            if index > 0 {
                text.push(b'\n');
            }
            match component {
                Component::RequestTarget(name) => {
                    text.extend_from_slice(name.as_bytes());
                    text.extend_from_slice(b": ");
                    if message.method.bytes().any(|byte| byte.is_ascii_lowercase()) {
                        return Err(refused(
                            "this form signs the method in lower case, so one that is sent in lower case is not proven",
                        ));
                    }
                    push(&mut text, message.method.to_ascii_lowercase().as_bytes())?;
                    text.push(b' ');
                    push_target(&mut text, message)?;
                }
                Component::RequestLine => {
                    push(&mut text, message.method.as_bytes())?;
                    text.push(b' ');
                    push_target(&mut text, message)?;
                    text.push(b' ');
                    text.extend_from_slice(version.as_bytes());
                }
                Component::Created => push_moment(&mut text, "(created): ", self.created.as_ref()),
                Component::Expires => push_moment(&mut text, "(expires): ", self.expires.as_ref()),
                Component::Header { written, name } => {
                    text.extend_from_slice(written.as_bytes());
                    text.extend_from_slice(b": ");
                    // Envoy takes `Host` out of the headers.
                    match &**name {
                        "host" => push(&mut text, message.authority.as_bytes())?,
                        name => push(&mut text, header(message, name)?)?,
                    }
                }
            }
        }
        Ok(text)
    }

    pub(super) fn verify(
        &self,
        message: &AsSigned<'_>,
        key: &Key,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Accepted, Refusal> {
        self.check_covered(rules)?;
        let (created, until) = self.judge_time(message, rules, now)?;
        let body = whole_body(message)?;
        if !body.is_empty() && self.digest_headers().next().is_none() {
            return Err(incomplete(
                "the request has a body, and neither `digest` nor `content-digest` is signed",
            ));
        }
        self.check_signature(message, key)?;
        for name in self.digest_headers() {
            digest::check(name, header(message, name)?, body)?;
        }
        let safe = matches!(message.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        Ok(Accepted {
            once: (!safe).then(|| Once {
                value: [b"signature:", &*self.signature].concat(),
                until,
            }),
            created: Some(created),
            until: Some(until),
        })
    }

    /// That it covers the target, the host and a time, and what the policy asks for.
    fn check_covered(&self, rules: &Rules) -> Result<(), Refusal> {
        let target = |component: &Component| {
            matches!(
                component,
                Component::RequestTarget(_) | Component::RequestLine
            )
        };
        if !self.covered.iter().any(target) {
            return Err(incomplete(match self.dialect {
                Dialect::Kong => {
                    "`headers` lacks `request-line` or `@request-target`: method, path and query are not signed"
                }
                _ => "`headers` lacks `(request-target)`: method, path and query are not signed",
            }));
        }
        if !self.covers("host") {
            return Err(incomplete("`headers` lacks `host`"));
        }
        for required in &rules.require {
            if let Required::Header(name) = required
                && !self.covers(name)
            {
                return Err(incomplete(format!(
                    "`headers` lacks `{name}`, which `require` asks for"
                )));
            }
        }
        Ok(())
    }

    fn covers(&self, wanted: &str) -> bool {
        self.covered.iter().any(
            |component| matches!(component, Component::Header { name, .. } if &**name == wanted),
        )
    }

    pub(super) fn signed_headers(&self) -> impl Iterator<Item = &str> {
        self.covered.iter().filter_map(|component| match component {
            Component::Header { name, .. } => Some(&**name),
            _ => None,
        })
    }

    fn digest_headers(&self) -> impl Iterator<Item = &str> {
        self.covered.iter().filter_map(|component| match component {
            Component::Header { name, .. } if digest::is_digest_header(name) => Some(&**name),
            _ => None,
        })
    }

    /// Judges every time that is signed; the earliest end counts. A time that is stated and not signed is
    /// not believed, but an `expires` may shorten even so.
    fn judge_time(
        &self,
        message: &AsSigned<'_>,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), Refusal> {
        let expires = self.expires.as_ref().map(|moment| moment.seconds);
        let mut judged: Option<(Timestamp, Timestamp)> = None;
        for component in &self.covered {
            let created = match component {
                Component::Created => self.created.as_ref().map(|moment| moment.seconds),
                Component::Header { name, .. } if matches!(&**name, "date" | "x-date") => {
                    let value = header(message, name)?;
                    Some(date::parse(value).ok_or_else(|| {
                        refused(format!(
                            "the signed header `{name}` is no date like `Tue, 01 Dec 2026 12:00:00 GMT`"
                        ))
                    })?)
                }
                _ => None,
            };
            let Some(created) = created else { continue };
            let until = rules.freshness.judge(created, expires, now)?;
            let created = Timestamp::from_seconds(created);
            judged = Some(match judged {
                Some((first, end)) => (first, end.min(until)),
                None => (created, until),
            });
        }
        judged.ok_or_else(|| {
            incomplete(match self.dialect {
                Dialect::Kong => "`headers` lacks `date` or `x-date`: no time is signed",
                _ => "`headers` lacks `(created)`, `date` or `x-date`: no time is signed",
            })
        })
    }

    fn check_signature(&self, message: &AsSigned<'_>, key: &Key) -> Result<(), Refusal> {
        let versions = match self.covered.contains(&Component::RequestLine) {
            true => VERSIONS.as_slice(),
            false => &["HTTP/1.1"],
        };
        for version in versions {
            let text = self.text(message, version)?;
            if key.matches(self.hash, &text, &self.signature) {
                return Ok(());
            }
        }
        Err(mismatch(
            "the HMAC of the signed lines is another: a wrong secret or algorithm, or another target, host or header than was signed",
        ))
    }
}

fn push_moment(text: &mut Vec<u8>, name: &str, moment: Option<&Moment>) {
    text.extend_from_slice(name.as_bytes());
    if let Some(moment) = moment {
        text.extend_from_slice(moment.text.as_bytes());
    }
}
