//! The names that field paths are made of.

use std::fmt;

use crate::diagnostic::nearest;
use crate::headers::is_header_name;

/// A field of what is known about a request. Made by [`FieldPath::find`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldPath {
    /// A field of `principal`, or of a member of `auth`.
    Principal(Who, PrincipalField),
    /// `principal.claims` and what is below; without names all of it.
    Claim(Who, Vec<String>),
    /// `auth`: which authenticators proved somebody.
    Authenticators,
    /// A field of `consumer`.
    Consumer(ConsumerField),
    /// `consumer.metadata` and what is below; without names all of it.
    Metadata(Vec<String>),
    /// A field of `request`.
    Request(RequestField),
    /// `request.headers["name"]`.
    Header(String),
    /// `request.header_values["name"]`.
    HeaderValues(String),
    /// `request.headers`.
    AllHeaders,
    /// `request.header_values`.
    AllHeaderValues,
    /// A parameter of the route's path.
    PathParameter(String),
    /// One of Envoy's context extensions.
    Extension(String),
    /// `context`.
    AllExtensions,
    /// A field of `peer`.
    Peer(PeerField),
    /// A field of `route`.
    Route(RouteField),
}

/// Whose field it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// `principal`.
    Caller,
    /// `auth["name"]`.
    Authenticator(String),
}

/// Why names are no field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoField {
    /// The first name means nothing.
    Root(String),
    /// A name means nothing below what stands before it.
    Field {
        /// What stands before it.
        of: String,
        /// The name.
        name: String,
        /// What it could be.
        known: Vec<String>,
    },
    /// A root or object where a value is needed.
    Whole(String),
    /// A header's name that no request has: why.
    HeaderName(String),
}

/// The roots of expressions.
pub(in crate::policy) const ROOTS: &[&str] = &[
    "request",
    "path",
    "principal",
    "auth",
    "consumer",
    "peer",
    "context",
    "route",
];

/// Declares the fixed fields of a root with the names that users write.
macro_rules! fields {
    ($(#[$doc:meta])* $kind:ident: $($variant:ident = $name:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is the field of its name")]
        pub enum $kind {
            $($variant),+
        }

        impl $kind {
            /// The names of all fields.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The field of a name.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name of the field.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

fields! {
    /// The fixed fields of `principal` that are values; `claims` is beside them.
    PrincipalField: Id = "id", Subject = "subject", Kind = "kind", Authenticator = "authenticator",
    Scopes = "scopes", Roles = "roles", CredentialId = "credential_id", Environment = "environment",
    ExpiresAt = "expires_at",
}

fields! {
    /// The fixed fields of `consumer` that are values; `metadata` is beside them.
    ConsumerField: Name = "name", Plan = "plan", Environment = "environment",
}

fields! {
    /// The fixed fields of `request` that are values; `headers` and `header_values` are beside them.
    RequestField: Method = "method", Scheme = "scheme", Host = "host", Path = "path", Query = "query",
    ClientIp = "client_ip", Size = "size", Time = "time",
}

fields! {
    /// The fields of `peer`.
    PeerField: SpiffeId = "spiffe_id", DnsNames = "dns_names", Subject = "subject",
    Fingerprint = "fingerprint",
}

fields! {
    /// The fields of `route`.
    RouteField: Policy = "policy", Path = "path",
}

impl FieldPath {
    /// The field that `root` and `names` lead to, and how many of the names it took. `parameters` are
    /// the names in the route's path.
    ///
    /// # Errors
    /// [`NoField`].
    pub fn find(root: &str, names: &[&str], parameters: &[&str]) -> Result<(Self, usize), NoField> {
        let first = |known: &[&'static str], beside: &[&'static str]| {
            let whole = || NoField::Whole(root.to_owned());
            let unknown = |name: &str| unknown(root, name, known.iter().chain(beside).copied());
            names
                .first()
                .copied()
                .ok_or_else(whole)
                .map(|name| (name, unknown(name)))
        };
        match root {
            "principal" => principal(root, Who::Caller, names),
            "auth" => match names {
                [] => Ok((Self::Authenticators, 0)),
                [name, below @ ..] => {
                    let of = format!("auth[\"{name}\"]");
                    let who = Who::Authenticator((*name).to_owned());
                    principal(&of, who, below).map(|(path, taken)| (path, taken + 1))
                }
            },
            "consumer" => {
                let (name, unknown) = first(ConsumerField::NAMES, &["metadata"])?;
                if name == "metadata" {
                    return Ok((Self::Metadata(owned(names.get(1..))), names.len()));
                }
                let field = ConsumerField::named(name).ok_or(unknown)?;
                Ok((Self::Consumer(field), 1))
            }
            "request" => {
                let (name, unknown) = first(RequestField::NAMES, &["headers", "header_values"])?;
                match (name, names.get(1)) {
                    ("headers", None) => Ok((Self::AllHeaders, 1)),
                    ("headers", Some(name)) => Ok((Self::Header(header(name)?), 2)),
                    ("header_values", None) => Ok((Self::AllHeaderValues, 1)),
                    ("header_values", Some(name)) => Ok((Self::HeaderValues(header(name)?), 2)),
                    _ => {
                        let field = RequestField::named(name).ok_or(unknown)?;
                        Ok((Self::Request(field), 1))
                    }
                }
            }
            "path" => {
                let (name, _) = first(&[], &[])?;
                if parameters.contains(&name) {
                    Ok((Self::PathParameter(name.to_owned()), 1))
                } else {
                    Err(unknown(root, name, parameters.iter().copied()))
                }
            }
            "context" => Ok(match names.first() {
                None => (Self::AllExtensions, 0),
                Some(name) => (Self::Extension((*name).to_owned()), 1),
            }),
            "peer" => {
                let (name, unknown) = first(PeerField::NAMES, &[])?;
                Ok((Self::Peer(PeerField::named(name).ok_or(unknown)?), 1))
            }
            "route" => {
                let (name, unknown) = first(RouteField::NAMES, &[])?;
                Ok((Self::Route(RouteField::named(name).ok_or(unknown)?), 1))
            }
            other => Err(NoField::Root(other.to_owned())),
        }
    }

    /// Whether the field is something that only a proven caller has.
    pub const fn needs_principal(&self) -> bool {
        matches!(
            self,
            Self::Principal(..)
                | Self::Claim(..)
                | Self::Authenticators
                | Self::Consumer(_)
                | Self::Metadata(_)
        )
    }
}

fn principal(of: &str, who: Who, names: &[&str]) -> Result<(FieldPath, usize), NoField> {
    match names {
        [] => Err(NoField::Whole(of.to_owned())),
        ["claims", below @ ..] => Ok((FieldPath::Claim(who, owned(Some(below))), names.len())),
        [name, ..] => match PrincipalField::named(name) {
            Some(field) => Ok((FieldPath::Principal(who, field), 1)),
            None => {
                let known = PrincipalField::NAMES.iter().chain(&["claims"]).copied();
                Err(unknown(of, name, known))
            }
        },
    }
}

fn unknown<'a>(of: &str, name: &str, known: impl Iterator<Item = &'a str>) -> NoField {
    NoField::Field {
        of: of.to_owned(),
        name: name.to_owned(),
        known: known.map(str::to_owned).collect(),
    }
}

fn owned(names: Option<&[&str]>) -> Vec<String> {
    let names = names.unwrap_or_default();
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A header's name as requests have it: a name in capitals would never be found.
fn header(name: &str) -> Result<String, NoField> {
    if is_header_name(name) {
        Ok(name.to_owned())
    } else {
        Err(NoField::HeaderName(name.to_owned()))
    }
}

impl NoField {
    /// What was probably meant, or what there is.
    pub fn help(&self) -> String {
        match self {
            Self::Root(name) => match nearest(name, ROOTS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "expressions start with one of {}; a text stands in quotes: \"{name}\"",
                    ROOTS.join(", ")
                ),
            },
            Self::Field { name, known, .. } => {
                match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => {
                        "the route's path names no parameters in braces".to_owned()
                    }
                    None => format!("it has {}", known.join(", ")),
                }
            }
            Self::Whole(_) => "name one of its fields".to_owned(),
            Self::HeaderName(name) => {
                let lower = name.to_ascii_lowercase();
                if is_header_name(&lower) {
                    format!("names of headers are in lower case here: write \"{lower}\"")
                } else {
                    "a header's name is made of letters, digits and `-`".to_owned()
                }
            }
        }
    }
}

impl fmt::Display for NoField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => write!(f, "there is no `{name}`"),
            Self::Field { of, name, .. } => write!(f, "`{of}` has no field `{name}`"),
            Self::Whole(name) => write!(f, "`{name}` is not a single value"),
            Self::HeaderName(name) => write!(f, "no request has a header `{name}`"),
        }
    }
}

impl fmt::Display for FieldPath {
    /// As users write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(who, field) => write!(f, "{who}.{}", field.name()),
            Self::Claim(who, names) => {
                write!(f, "{who}.claims")?;
                below(f, names)
            }
            Self::Authenticators => f.write_str("auth"),
            Self::Consumer(field) => write!(f, "consumer.{}", field.name()),
            Self::Metadata(names) => {
                f.write_str("consumer.metadata")?;
                below(f, names)
            }
            Self::Request(field) => write!(f, "request.{}", field.name()),
            Self::Header(name) => write!(f, "request.headers[\"{name}\"]"),
            Self::HeaderValues(name) => write!(f, "request.header_values[\"{name}\"]"),
            Self::AllHeaders => f.write_str("request.headers"),
            Self::AllHeaderValues => f.write_str("request.header_values"),
            Self::PathParameter(name) => write!(f, "path.{name}"),
            Self::Extension(name) => {
                f.write_str("context")?;
                below(f, std::slice::from_ref(name))
            }
            Self::AllExtensions => f.write_str("context"),
            Self::Peer(field) => write!(f, "peer.{}", field.name()),
            Self::Route(field) => write!(f, "route.{}", field.name()),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller => f.write_str("principal"),
            Self::Authenticator(name) => write!(f, "auth[\"{name}\"]"),
        }
    }
}

fn below(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    for name in names {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if plain {
            write!(f, ".{name}")?;
        } else {
            write!(f, "[{name:?}]")?;
        }
    }
    Ok(())
}
