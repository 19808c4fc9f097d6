//! Field paths: what an expression can name, and where its value comes from.
//!
//! `principal.id`, `consumer.metadata.tenant`, `auth["mesh"].subject`: a root, a fixed field, and below
//! free-form objects any number of names. Reading one needs no interpreter.

mod path;

use std::borrow::Cow;

use serde_json::Value;

use crate::authn::identity::{Identity, Proven};
use crate::authn::mtls::ProvenPeer;
use crate::authn::principal::Principal;
use crate::authn::spiffe::SpiffeId;
use crate::clock::Timestamp;
use crate::consumer::Consumer;
use crate::headers::{Headers, Single};
use crate::policy::route::Route;
use crate::policy::scope::ScopeSet;
use crate::request::Request;

pub(in crate::policy) use self::path::ROOTS;
pub use self::path::{
    ConsumerField, FieldPath, NoField, PeerField, PrincipalField, RequestField, RouteField, Who,
};

/// What an expression can read.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The request.
    pub request: &'a Request,
    /// The proven caller; none on a public route, and none who is anonymous.
    pub principal: Option<&'a Principal>,
    /// The other members of an all-of, by the names of their authenticators.
    pub auth: &'a [Principal],
    /// The name of the consumer's plan.
    pub plan: Option<&'a str>,
    /// The verified other end of the connection.
    pub peer: Option<Peer<'a>>,
    /// When the request is judged.
    pub now: Timestamp,
    /// The route's policy.
    pub policy: &'a str,
    /// The route's path as written.
    pub path: &'a str,
    /// Position and name of each parameter in the route's path.
    pub parameters: &'a [(usize, Box<str>)],
}

impl<'a> Facts<'a> {
    /// The facts of a request on its route.
    pub fn of(
        request: &'a Request,
        route: &'a Route,
        identity: &'a Identity,
        now: Timestamp,
    ) -> Self {
        Self {
            request,
            principal: identity.principal(),
            auth: identity.proven().map_or(&[], Proven::others),
            plan: None,
            peer: identity
                .proven()
                .and_then(|proven| proven.all().find_map(Principal::peer))
                .map(Peer::of),
            now,
            policy: &route.policy,
            path: &route.path,
            parameters: &route.parameters,
        }
    }
}

/// What a verified client certificate says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer<'a> {
    /// Its SPIFFE ID.
    pub spiffe_id: Option<&'a str>,
    /// Its DNS names.
    pub dns_names: &'a [Box<str>],
    /// Its subject (RFC 4514).
    pub subject: Option<&'a str>,
    /// The SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: Option<&'a str>,
}

impl<'a> Peer<'a> {
    fn of(peer: &'a ProvenPeer) -> Self {
        Self {
            spiffe_id: peer.spiffe_id.as_ref().map(SpiffeId::as_str),
            dns_names: &peer.dns_names,
            subject: peer.certificate_subject.as_deref(),
            fingerprint: peer.fingerprint.as_deref(),
        }
    }
}

/// The value of a field path.
#[derive(Clone, Debug)]
pub enum Field<'a> {
    /// No such value.
    Absent,
    /// There is one, and it can't be read: why.
    Refused(&'static str),
    /// One text.
    Text(Cow<'a, str>),
    /// A list of texts.
    Texts(Vec<Cow<'a, str>>),
    /// Scopes, wildcards among them.
    Scopes(&'a ScopeSet),
    /// A whole number.
    Integer(i64),
    /// A moment.
    Moment(Timestamp),
    /// A value in an object of no fixed shape.
    Json(&'a Value),
    /// Texts by name.
    Entries(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    /// All headers.
    Headers(&'a Headers),
    /// All headers, each as the list of its values.
    HeaderValues(&'a Headers),
}

/// An expression's value as text, for a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// No such value: the header is removed.
    Absent,
    /// One text.
    One(Cow<'a, str>),
    /// A list, joined later by spaces.
    Many(Vec<Cow<'a, str>>),
    /// An object or a list of other things than texts, numbers and booleans.
    Structured,
    /// The expression ended in an error: why, without the values that caused it.
    Failed(String),
}

impl FieldPath {
    /// The value under these facts.
    pub fn read<'a>(&self, facts: &Facts<'a>) -> Field<'a> {
        match self {
            Self::Principal(who, field) => who
                .find(facts)
                .map_or(Field::Absent, |principal| field.read(principal)),
            Self::Claim(who, names) => who
                .find(facts)
                .map_or(Field::Absent, |principal| claim(principal, names)),
            Self::Authenticators => authenticators(facts),
            Self::Consumer(field) => field.read(facts),
            Self::Metadata(names) => consumer(facts).map_or(Field::Absent, |consumer| {
                json(below(&consumer.metadata, names))
            }),
            Self::Request(field) => field.read(facts),
            Self::Header(name) => match facts.request.headers().single(name) {
                Single::Absent => Field::Absent,
                Single::One(value) => utf8(value),
                Single::Several => Field::Refused("stands more than once in the request"),
            },
            Self::HeaderValues(name) => header_values(facts.request.headers(), name),
            Self::AllHeaders => Field::Headers(facts.request.headers()),
            Self::AllHeaderValues => Field::HeaderValues(facts.request.headers()),
            Self::PathParameter(name) => path_parameter(facts, name),
            Self::Extension(name) => extension(facts.request, name),
            Self::AllExtensions => extensions(facts.request),
            Self::Peer(field) => facts
                .peer
                .as_ref()
                .map_or(Field::Absent, |peer| field.read(peer)),
            Self::Route(field) => text(match field {
                RouteField::Policy => facts.policy,
                RouteField::Path => facts.path,
            }),
        }
    }

    /// Whether there is such a value, whatever it is.
    ///
    /// # Errors
    /// What should hold it is itself missing or holds nothing by name. Where nobody was proven to call,
    /// there is nothing, and that is no error.
    pub fn present(&self, facts: &Facts<'_>) -> Result<bool, &'static str> {
        let holder = match self {
            Self::Claim(who, names) => who
                .find(facts)
                .and_then(|principal| Some((claim(principal, &[]), names.split_last()?))),
            Self::Metadata(names) => consumer(facts)
                .and_then(|consumer| Some((Field::Json(&consumer.metadata), names.split_last()?))),
            _ => return Ok(!matches!(self.read(facts), Field::Absent)),
        };
        match holder {
            None => Ok(false),
            Some((Field::Json(object), (last, before))) => match below(object, before) {
                Some(Value::Object(object)) => Ok(object.contains_key(last)),
                Some(_) => Err("is asked of something that has no fields"),
                None => Err("is asked of something that is absent"),
            },
            Some((_, (_, []))) => Ok(false),
            Some(_) => Err("is asked of something that is absent"),
        }
    }

    /// The value under these facts, as text.
    pub fn text<'a>(&self, facts: &Facts<'a>) -> Text<'a> {
        match self.read(facts) {
            Field::Absent => Text::Absent,
            Field::Refused(why) => Text::Failed(format!("`{self}` {why}")),
            Field::Text(text) => Text::One(text),
            Field::Texts(texts) => Text::Many(texts),
            Field::Scopes(scopes) => Text::One(Cow::Owned(scopes.joined())),
            Field::Integer(number) => Text::One(Cow::Owned(number.to_string())),
            Field::Moment(at) => Text::One(Cow::Owned(at.seconds().to_string())),
            Field::Json(value) => json_text(value),
            Field::Entries(_) | Field::Headers(_) | Field::HeaderValues(_) => Text::Structured,
        }
    }
}

impl Who {
    fn find<'a>(&self, facts: &Facts<'a>) -> Option<&'a Principal> {
        match self {
            Self::Caller => facts.principal,
            Self::Authenticator(name) => {
                let caller = facts.principal.into_iter();
                let others = facts.auth.iter();
                caller
                    .filter(|principal| principal.authenticator() == name)
                    .chain(others.filter(|principal| principal.authenticator() == name))
                    .next()
            }
        }
    }
}

impl PrincipalField {
    fn read(self, principal: &Principal) -> Field<'_> {
        match self {
            Self::Id => text(principal.id()),
            Self::Subject => text(principal.subject()),
            Self::Kind => text(principal.kind()),
            Self::Authenticator => text(principal.authenticator()),
            Self::Scopes => Field::Scopes(principal.scopes()),
            Self::Roles => {
                let mut roles: Vec<&str> = principal.roles().map(AsRef::as_ref).collect();
                roles.sort_unstable();
                roles.dedup();
                texts(roles.into_iter())
            }
            Self::CredentialId => optional(principal.credential_id()),
            Self::Environment => optional(principal.environment()),
            Self::ExpiresAt => principal.expires_at().map_or(Field::Absent, Field::Moment),
        }
    }
}

impl ConsumerField {
    fn read<'a>(self, facts: &Facts<'a>) -> Field<'a> {
        let Some(consumer) = consumer(facts) else {
            return Field::Absent;
        };
        match self {
            Self::Name => text(&consumer.name),
            Self::Plan => optional(facts.plan),
            Self::Environment => text(&consumer.environment),
        }
    }
}

impl RequestField {
    fn read<'a>(self, facts: &Facts<'a>) -> Field<'a> {
        let request = facts.request;
        match self {
            Self::Method => text(request.method().as_str()),
            Self::Scheme => match request.raw().scheme.as_ref() {
                b"https" => text("https"),
                b"http" => text("http"),
                _ => Field::Absent,
            },
            Self::Host => text(request.host().as_str()),
            Self::Path => text(request.path().as_str()),
            Self::Query => request
                .target()
                .query()
                .map_or(text(""), |query| utf8(query)),
            Self::ClientIp => request.client_address().map_or(Field::Absent, |address| {
                Field::Text(Cow::Owned(address.to_string()))
            }),
            Self::Size => match request.headers().single("content-length") {
                Single::Absent => Field::Absent,
                Single::One(value) => std::str::from_utf8(value)
                    .ok()
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .map_or(
                        Field::Refused("is no number: `content-length` can't be read"),
                        Field::Integer,
                    ),
                Single::Several => Field::Refused("is unclear: `content-length` is repeated"),
            },
            Self::Time => Field::Moment(facts.now),
        }
    }
}

impl PeerField {
    fn read<'a>(self, peer: &Peer<'a>) -> Field<'a> {
        match self {
            Self::SpiffeId => optional(peer.spiffe_id),
            Self::DnsNames => texts(peer.dns_names.iter().map(AsRef::as_ref)),
            Self::Subject => optional(peer.subject),
            Self::Fingerprint => optional(peer.fingerprint),
        }
    }
}

/// Wraps a text that is certainly there.
const fn text(text: &str) -> Field<'_> {
    Field::Text(Cow::Borrowed(text))
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Field<'a> {
    Field::Texts(texts.map(Cow::Borrowed).collect())
}

fn optional(value: Option<&str>) -> Field<'_> {
    value.map_or(Field::Absent, text)
}

fn utf8(bytes: &[u8]) -> Field<'_> {
    std::str::from_utf8(bytes).map_or(Field::Refused("holds bytes that are no UTF-8"), text)
}

fn json(value: Option<&Value>) -> Field<'_> {
    value.map_or(Field::Absent, Field::Json)
}

fn consumer<'a>(facts: &Facts<'a>) -> Option<&'a Consumer> {
    facts.principal?.consumer().map(AsRef::as_ref)
}

fn claim<'a>(principal: &'a Principal, names: &[String]) -> Field<'a> {
    match principal.claims() {
        Cow::Borrowed(claims) => json(below(claims, names)),
        // Nobody claims anything: an empty object.
        Cow::Owned(_) if names.is_empty() => Field::Entries(Vec::new()),
        Cow::Owned(_) => Field::Absent,
    }
}

fn below<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |at, name| at.get(name))
}

fn authenticators<'a>(facts: &Facts<'a>) -> Field<'a> {
    let caller = facts.principal.into_iter();
    let others = facts.auth.iter();
    texts(caller.chain(others).map(Principal::authenticator))
}

fn header_values<'a>(headers: &'a Headers, name: &str) -> Field<'a> {
    let mut values = Vec::new();
    for value in headers.all(name) {
        match std::str::from_utf8(value) {
            Ok(value) => values.push(Cow::Borrowed(value)),
            Err(_) => return Field::Refused("holds bytes that are no UTF-8"),
        }
    }
    if values.is_empty() {
        Field::Absent
    } else {
        Field::Texts(values)
    }
}

fn path_parameter<'a>(facts: &Facts<'a>, name: &str) -> Field<'a> {
    facts
        .parameters
        .iter()
        .find(|(_, parameter)| **parameter == *name)
        .and_then(|(position, _)| facts.request.path().segments().nth(*position))
        .map_or(Field::Absent, text)
}

fn extension<'a>(request: &'a Request, name: &str) -> Field<'a> {
    request
        .raw()
        .context_extensions
        .iter()
        .rfind(|(key, _)| key.as_ref() == name.as_bytes())
        .map_or(Field::Absent, |(_, value)| utf8(value))
}

fn extensions(request: &Request) -> Field<'_> {
    let mut entries: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for (name, value) in request.raw().context_extensions.iter().rev() {
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return Field::Refused("holds bytes that are no UTF-8");
        };
        // Of a key that stands twice on the wire the last one counts.
        if !entries.iter().any(|(known, _)| known == name) {
            entries.push((name.into(), value.into()));
        }
    }
    Field::Entries(entries)
}

fn json_text(value: &Value) -> Text<'_> {
    match value {
        Value::Null => Text::Absent,
        Value::Array(items) => {
            let texts: Option<Vec<Cow<'_, str>>> = items.iter().map(scalar_text).collect();
            texts.map_or(Text::Structured, Text::Many)
        }
        value => scalar_text(value).map_or(Text::Structured, Text::One),
    }
}

fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(boolean) => Some(Cow::Borrowed(if *boolean { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
