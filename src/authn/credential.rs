//! Where credentials stand in a request, and who owns what is found there.
//!
//! Ownership is decided by place, scheme, shape and unverified issuer, before anything is verified, so
//! that a credential that is present and wrong is never passed over for another.

use std::fmt;

use bytes::Bytes;

use crate::headers::{Headers, Single};
use crate::request::Request;
use crate::request::body::Body;
use crate::request::target::form_parameters;
use crate::verdict::{Reason, Refusal};

/// A place that credentials are read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// A header, by its lower-case name.
    Header(Box<str>),
    /// A query parameter, by its decoded name.
    Query(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
    /// A field of a form in the body, by its decoded name. Nothing can be taken out of a body.
    Form(Box<str>),
}

/// How a place is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// An authentication scheme stands before the credential.
    pub by_scheme: bool,
    /// The schemes that somebody reads here.
    pub schemes: Vec<Box<str>>,
    /// Those of them whose credentials are lists of parameters with commas between (RFC 9110 section 11.4). Who reads
    /// such a list refuses what another line has added to it.
    pub with_parameters: Vec<Box<str>>,
}

/// What one place holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// One value.
    Value(Bytes),
    /// An authentication scheme and its credential: `Authorization` and the like.
    Scheme {
        /// As sent; compared without case.
        scheme: Bytes,
        /// Empty if there is a scheme alone.
        credential: Bytes,
    },
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Value(_) => "Value(redacted)",
            Self::Scheme { .. } => "Scheme(redacted)",
        })
    }
}

fn ambiguous(what: &'static str) -> Refusal {
    Refusal::new(Reason::CredentialsAmbiguous, what)
}

impl Container {
    /// Reads this place.
    ///
    /// # Errors
    /// `credentials_ambiguous` where the place holds more than one value, as far as that can be seen:
    /// Envoy joins lines of one name by a comma, which no credential that is read here may hold.
    pub fn read(&self, request: &Request, reading: &Reading) -> Result<Held, Refusal> {
        match self {
            Self::Header(name) => match request.headers().single(name) {
                Single::Absent => Ok(Held::Nothing),
                Single::Several => Err(ambiguous("a header with a credential was sent twice")),
                Single::One(value) => read_header(request.headers(), value, reading),
            },
            Self::Query(name) => read_query(request, name),
            Self::Cookie(name) => read_cookie(request, name),
            Self::Form(name) => Ok(match form_field(request, name) {
                Some(value) => Held::Value(Bytes::from(value)),
                None => Held::Nothing,
            }),
        }
    }

    /// Whether anything stands here, one value or many.
    pub fn holds_any(&self, request: &Request) -> bool {
        match self {
            Self::Header(name) => {
                let mut lines = request.headers().all(name);
                lines.any(|value| !value.trim_ascii().is_empty())
            }
            Self::Query(name) => {
                let mut parameters = request.target().parameters();
                parameters.any(|(sent, _)| sent.as_ref() == name.as_bytes())
            }
            Self::Cookie(name) => cookies(request).any(|(sent, _)| sent == name.as_bytes()),
            Self::Form(name) => form_field(request, name).is_some(),
        }
    }
}

/// A field of a form, if the body is one and all of it is there.
fn form_field(request: &Request, name: &str) -> Option<Vec<u8>> {
    let mut types = request.headers().all("content-type");
    let form = types.any(|value| {
        let media = value.split(|&byte| byte == b';').next().unwrap_or_default();
        media
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    let Body::Whole(body) = request.body() else {
        return None;
    };
    let mut fields = form_parameters(&body).filter(|_| form);
    fields
        .find(|(sent, _)| sent.as_ref() == name.as_bytes())
        .map(|(_, value)| value.into_owned())
}

fn read_header(headers: &Headers, value: &[u8], reading: &Reading) -> Result<Held, Refusal> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return Ok(Held::Nothing);
    }
    let end = value
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(value.len());
    let (scheme, credential) = value.split_at_checked(end).unwrap_or((value, &[]));
    let mut lists = reading.with_parameters.iter();
    let is_list =
        reading.by_scheme && lists.any(|list| scheme.eq_ignore_ascii_case(list.as_bytes()));
    let mut read = reading.schemes.iter();
    // A list of a scheme that nobody reads is refused as that, not as two credentials.
    let is_foreign = reading.by_scheme
        && !read.any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))
        && is_parameter_list(credential);
    if value.contains(&b',') && !is_list && !is_foreign {
        return Err(ambiguous(
            "a header with a credential holds a comma, as two joined lines do",
        ));
    }
    if !reading.by_scheme {
        return Ok(Held::Value(headers.share(value)));
    }
    Ok(Held::Scheme {
        scheme: headers.share(scheme),
        credential: headers.share(credential.trim_ascii_start()),
    })
}

/// Whether this reads `name=value, name=value`, and so is no second credential that was joined to the first.
fn is_parameter_list(text: &[u8]) -> bool {
    let is_parameter = |part: &[u8]| {
        let part = part.trim_ascii();
        let equals = part.iter().position(|&byte| byte == b'=');
        let name = equals.and_then(|at| part.get(..at)).unwrap_or_default();
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        !name.is_empty() && name.iter().all(token)
    };
    text.split(|&byte| byte == b',').all(is_parameter)
}

fn read_query(request: &Request, name: &str) -> Result<Held, Refusal> {
    let mut values = request
        .target()
        .parameters()
        .filter(|(n, _)| n.as_ref() == name.as_bytes());
    match (values.next(), values.next()) {
        (None, _) => Ok(Held::Nothing),
        (Some(_), Some(_)) => Err(ambiguous(
            "a query parameter with a credential was sent twice",
        )),
        (Some((_, value)), None) if value.is_empty() => Ok(Held::Nothing),
        (Some((_, value)), None) => Ok(Held::Value(Bytes::from(value.into_owned()))),
    }
}

fn read_cookie(request: &Request, name: &str) -> Result<Held, Refusal> {
    let mut found = Held::Nothing;
    let mut seen = false;
    for (cookie, value) in cookies(request) {
        if cookie != name.as_bytes() {
            if holds_joined(value, name) {
                return Err(ambiguous(
                    "a cookie with a credential stands behind a comma, as two joined lines do",
                ));
            }
            continue;
        }
        // An empty one counts too: the upstream may read the first, or the last.
        if std::mem::replace(&mut seen, true) {
            return Err(ambiguous("a cookie with a credential was sent twice"));
        }
        if value.contains(&b',') {
            return Err(ambiguous(
                "a cookie with a credential holds a comma, as two joined lines do",
            ));
        }
        if !value.is_empty() {
            found = Held::Value(request.headers().share(value));
        }
    }
    Ok(found)
}

/// Whether a cookie's value goes on with another cookie called `name`: over HTTP/1.1 Envoy joins two
/// `Cookie` lines by a comma.
fn holds_joined(value: &[u8], name: &str) -> bool {
    value.split(|&byte| byte == b',').skip(1).any(|part| {
        let mut sides = part.splitn(2, |&byte| byte == b'=');
        sides
            .next()
            .is_some_and(|left| left.trim_ascii() == name.as_bytes())
            && sides.next().is_some()
    })
}

/// All cookies in order (RFC 6265 section 4.2), whichever way the lines were joined.
fn cookies(request: &Request) -> impl Iterator<Item = (&[u8], &[u8])> {
    request.headers().all("cookie").flat_map(|line| {
        line.split(|&byte| byte == b';').map(|pair| {
            let pair = pair.trim_ascii();
            let equals = pair
                .iter()
                .position(|&byte| byte == b'=')
                .unwrap_or(pair.len());
            let value = pair.get(equals + 1..).unwrap_or_default();
            let value = match value {
                [b'"', inside @ .., b'"'] => inside,
                bare => bare,
            };
            (cookie_name(pair), value)
        })
    })
}

/// What stands before the `=`, without the spaces that some servers trim.
fn cookie_name(pair: &[u8]) -> &[u8] {
    let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
    name.trim_ascii()
}

/// What taking credentials out of a request changes.
#[derive(Default)]
pub struct Stripped {
    /// Headers to remove.
    pub headers: Vec<Bytes>,
    /// Query parameters to remove, by the names as they were sent.
    pub parameters: Vec<Bytes>,
    /// What is left of `Cookie`, if cookies were taken out of it: empty means remove the header.
    pub cookie: Option<Vec<u8>>,
}

impl fmt::Debug for Stripped {
    /// Without the other cookies of the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripped")
            .field("headers", &self.headers)
            .field("parameters", &self.parameters)
            .field("cookie", &self.cookie.as_ref().map(|_| "redacted"))
            .finish()
    }
}

impl Stripped {
    /// Takes out what stands in `containers`.
    pub fn from_request<'a>(
        request: &Request,
        containers: impl IntoIterator<Item = &'a Container>,
    ) -> Self {
        let mut stripped = Self::default();
        let mut taken: Vec<&[u8]> = Vec::new();
        for container in containers {
            match container {
                Container::Header(name) => {
                    stripped
                        .headers
                        .push(Bytes::copy_from_slice(name.as_bytes()));
                }
                Container::Query(name) => stripped.parameters.extend(sent_names(request, name)),
                Container::Cookie(name) => taken.push(name.as_bytes()),
                Container::Form(_) => {}
            }
        }
        if !taken.is_empty() && cookies(request).any(|(name, _)| taken.contains(&name)) {
            stripped.cookie = Some(cookies_without(request, &taken));
        }
        stripped
    }
}

/// A parameter's name in every spelling that this request uses: Envoy removes by the undecoded name.
fn sent_names<'a>(request: &'a Request, name: &'a str) -> impl Iterator<Item = Bytes> + 'a {
    let query = request.target().query();
    query.into_iter().flat_map(move |query| {
        query.split(|&byte| byte == b'&').filter_map(move |pair| {
            let end = pair
                .iter()
                .position(|&byte| byte == b'=')
                .unwrap_or(pair.len());
            let sent = pair.get(..end).unwrap_or_default();
            let decoded = crate::request::target::form_decode(sent);
            (decoded.as_ref() == name.as_bytes()).then(|| query.slice_ref(sent))
        })
    })
}

fn cookies_without(request: &Request, taken: &[&[u8]]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for line in request.headers().all("cookie") {
        for pair in line.split(|&byte| byte == b';') {
            let pair = pair.trim_ascii();
            if !pair.is_empty() && !taken.contains(&cookie_name(pair)) {
                kept.push(pair);
            }
        }
    }
    kept.join(&b"; "[..])
}

#[cfg(test)]
mod tests;
