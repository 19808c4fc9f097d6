//! Where a request's parameters stand: in the `Authorization` header, in the query, in a form.

use std::fmt;

use crate::authn::oauth1::authorization::{Authorization, split_at};
use crate::authn::oauth1::encoding::form_decode;
use crate::authn::oauth1::malformed;
use crate::authn::signature::whole_body;
use crate::headers::Headers;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::request::target;
use crate::verdict::{Reason, Refusal};

/// The most parameters that are read, all places together.
pub const MAX_PARAMETERS: usize = 1_000;

/// What the names of the protocol's own parameters begin with.
pub const PREFIX: &str = "oauth_";

/// A name and a value, both decoded.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Where the protocol's parameters stand (RFC 5849 section 3.5). All of them stand in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `Authorization: OAuth …` (section 3.5.1).
    Header,
    /// A form (section 3.5.2).
    Body,
    /// The query (section 3.5.3).
    Query,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the `Authorization` header",
            Self::Body => "the form",
            Self::Query => "the query",
        })
    }
}

/// The parameters of one request.
pub(super) struct Parameters {
    /// Where the protocol's own stand.
    pub(super) place: Place,
    /// `realm` of the header.
    pub(super) realm: Option<Vec<u8>>,
    /// All parameters of all places, `realm` left out: what is signed, but for `oauth_signature`.
    pub(super) all: Vec<Pair>,
    /// Whether the body is a form, and so among them.
    pub(super) form: bool,
}

impl Parameters {
    /// Collects them; `None` where the request has none of the protocol's own in any place.
    ///
    /// # Errors
    /// `signature_malformed`; `credentials_ambiguous` where they stand in two places; `body_unavailable` for a
    /// form that Envoy did not hand over whole.
    pub(super) fn collect(message: &AsSigned<'_>) -> Result<Option<Self>, Refusal> {
        let header = Authorization::read(message.headers)?;
        let in_query = has_own(message.query.unwrap_or_default());
        if header.is_none() && !in_query && !form_has_own(message) {
            return Ok(None);
        }
        let (realm, header) =
            header.map_or((None, None), |header| (header.realm, Some(header.pairs)));
        // A parameter of the request stands in the query or in a form, where the next reader looks for it.
        if header.iter().flatten().any(|(name, _)| !is_own(name)) {
            return Err(malformed(
                "`Authorization` has a parameter that is neither `realm` nor begins with `oauth_`",
            ));
        }
        let taken = header.as_ref().map_or(0, Vec::len);
        let (form, query, body) = read_forms(message, MAX_PARAMETERS.saturating_sub(taken))?;
        let place = the_one_place(header.is_some(), any_own(&query), any_own(&body))?;
        let mut all = header.unwrap_or_default();
        all.extend(query);
        all.extend(body);
        Ok(Some(Self {
            place,
            realm,
            all,
            form,
        }))
    }
}

/// The parameters of a request that is not signed yet.
pub(super) struct Unsigned {
    /// Those of the query and of a form.
    pub(super) all: Vec<Pair>,
    /// Whether the body is a form.
    pub(super) form: bool,
}

impl Unsigned {
    /// Collects them; `None` where some of the protocol's own are there already.
    ///
    /// # Errors
    /// `signature_malformed`, `body_unavailable`.
    pub(super) fn collect(message: &AsSigned<'_>) -> Result<Option<Self>, Refusal> {
        let header = Authorization::read(message.headers)?;
        let (form, query, body) = read_forms(message, MAX_PARAMETERS)?;
        if header.is_some() || any_own(&query) || any_own(&body) {
            return Ok(None);
        }
        let all = [query, body].concat();
        Ok(Some(Self { all, form }))
    }
}

/// Whether the body is a form; the parameters of the query; those of a form. At most `budget` in all.
fn read_forms(
    message: &AsSigned<'_>,
    mut budget: usize,
) -> Result<(bool, Vec<Pair>, Vec<Pair>), Refusal> {
    let form = is_form(message.headers)?;
    let body = if form { whole_body(message)? } else { &[] };
    let query = message.query.unwrap_or_default();
    let query = read_form(query, Place::Query, &mut budget)?;
    let body = read_form(body, Place::Body, &mut budget)?;
    Ok((form, query, body))
}

/// Whether a decoded name is one of the protocol's own.
pub(super) fn is_own(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

fn any_own(pairs: &[Pair]) -> bool {
    pairs.iter().any(|(name, _)| is_own(name))
}

fn the_one_place(header: bool, query: bool, body: bool) -> Result<Place, Refusal> {
    match (header, query, body) {
        (true, false, false) => Ok(Place::Header),
        (false, true, false) => Ok(Place::Query),
        (false, false, true) => Ok(Place::Body),
        (false, false, false) => Err(malformed("the request has no OAuth parameters")),
        (true, true, _) => Err(two_places(Place::Header, Place::Query)),
        (true, false, true) => Err(two_places(Place::Header, Place::Body)),
        (false, true, true) => Err(two_places(Place::Query, Place::Body)),
    }
}

fn two_places(one: Place, other: Place) -> Refusal {
    Refusal::new(
        Reason::CredentialsAmbiguous,
        format!(
            "parameters named `oauth_…` stand in {one} and in {other}; they belong into one place"
        ),
    )
}

/// Whether undecoded form text has a parameter of the protocol. An escape that is none is no reason to
/// refuse a request that may have nothing to do with OAuth, so it is passed over here.
fn has_own(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'&').any(|pair| {
        let name = split_at(pair, b'=').map_or(pair, |(name, _)| name);
        is_own(&target::form_decode(name))
    })
}

fn form_has_own(message: &AsSigned<'_>) -> bool {
    match (is_form(message.headers), &message.body) {
        (Ok(true), Body::Whole(body)) => has_own(body),
        _ => false,
    }
}

/// Whether the body is a form (RFC 5849 section 3.4.1.3.1): a single `Content-Type` that is
/// `application/x-www-form-urlencoded`, with whatever parameters.
///
/// # Errors
/// `signature_malformed` for one that this reader would take for another type and the next one for a form:
/// the header is not signed, and a form that is taken for something else isn't either.
pub(super) fn is_form(headers: &Headers) -> Result<bool, Refusal> {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    const MARK: &[u8] = b"x-www-form-urlencoded";
    let mut lines = headers.all("content-type");
    let (Some(line), second) = (lines.next(), lines.next()) else {
        return Ok(false);
    };
    let essence = split_at(line, b';').map_or(line, |(before, _)| before);
    if second.is_some() || essence.contains(&b',') {
        return Err(malformed("the request has more than one `Content-Type`"));
    }
    if essence.trim_ascii().eq_ignore_ascii_case(FORM) {
        return Ok(true);
    }
    let looks_like_one = line
        .windows(MARK.len())
        .any(|part| part.eq_ignore_ascii_case(MARK));
    if looks_like_one {
        return Err(malformed(
            "`Content-Type` names `x-www-form-urlencoded` and is not `application/x-www-form-urlencoded`: whether the body is signed cannot be told",
        ));
    }
    Ok(false)
}

/// Reads form text (HTML 4.0 section 17.13.4): repeats and empty values are kept, a name without `=` has an
/// empty value, nothing between two `&` is nothing.
fn read_form(text: &[u8], place: Place, budget: &mut usize) -> Result<Vec<Pair>, Refusal> {
    let mut pairs = Vec::new();
    let written = text
        .split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty());
    for pair in written {
        *budget = budget
            .checked_sub(1)
            .ok_or_else(|| malformed("the request has more than 1,000 parameters"))?;
        let (name, value) = split_at(pair, b'=').unwrap_or((pair, &[]));
        match (form_decode(name), form_decode(value)) {
            (Some(name), Some(value)) => pairs.push((name, value)),
            _ => {
                return Err(malformed(format!(
                    "{place} holds a `%` that two hexadecimal digits do not follow"
                )));
            }
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests;
