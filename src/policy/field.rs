//! Field paths: the expressions that need no interpreter.
//!
//! `principal.id`, `consumer.metadata.tenant`, `principal.claims["https://example.com/org"]`: a root, a
//! fixed field, and below free-form objects any number of names.

use std::borrow::Cow;

use serde_json::Value;

use crate::authn::principal::Principal;
use crate::request::Request;

/// The longest expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 4096;

/// A checked expression: a field of what is known about a request, or a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A string literal.
    Literal(Box<str>),
    /// A field of `principal`.
    Principal(PrincipalField),
    /// `principal.claims` and what is below.
    Claim(Vec<String>),
    /// `consumer.name`.
    ConsumerName,
    /// `consumer.metadata` and what is below.
    ConsumerMetadata(Vec<String>),
    /// A field of `request`.
    Request(RequestField),
    /// A parameter of the route's path.
    PathParameter(String),
    /// One of Envoy's context extensions.
    Context(String),
    /// `route.policy`.
    RoutePolicy,
    /// `route.path`.
    RoutePath,
}

/// The fixed fields of `principal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the field of its name")]
pub enum PrincipalField {
    Id,
    Subject,
    Kind,
    Authenticator,
    Scopes,
    CredentialId,
    Environment,
    ExpiresAt,
}

/// The fixed fields of `request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the field of its name")]
pub enum RequestField {
    Method,
    Scheme,
    Host,
    Path,
}

/// Why an expression was refused at load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadExpression {
    /// Not a field path.
    #[error(
        "`{0}` is no field path; this version evaluates field paths such as principal.id and \"literals\" only"
    )]
    Syntax(String),
    /// The first name means nothing.
    #[error("there is no `{name}`; expressions start with {known}")]
    Root {
        /// The name.
        name: String,
        /// What it could be.
        known: &'static str,
    },
    /// The second name means nothing.
    #[error("`{root}` has no field `{name}`; it has {known}")]
    Field {
        /// The root.
        root: &'static str,
        /// The name.
        name: String,
        /// What it could be.
        known: &'static str,
    },
    /// A root or object where a value is needed.
    #[error("`{0}` is not a single value; name one of its fields")]
    Whole(String),
}

impl Expression {
    /// Reads and checks an expression. `parameters` are the names in the route's path.
    ///
    /// # Errors
    /// [`BadExpression`].
    pub fn parse(text: &str, parameters: &[&str]) -> Result<Self, BadExpression> {
        let text = text.trim();
        let syntax = || BadExpression::Syntax(text.chars().take(80).collect());
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(syntax());
        }
        if let Some(literal) = quoted(text) {
            return Ok(Self::Literal(literal.into()));
        }
        let parts = split(text).ok_or_else(syntax)?;
        let mut names = parts.iter().map(String::as_str);
        let root = names.next().ok_or_else(syntax)?;
        let field = names.next();
        let below: Vec<String> = names.map(str::to_owned).collect();
        let whole = || BadExpression::Whole(text.to_owned());
        let expression = match (root, field) {
            ("principal" | "consumer" | "request" | "route" | "path" | "context", None) => {
                return Err(whole());
            }
            ("principal", Some("claims")) => return below_object(below, Self::Claim, whole),
            ("principal", Some(field)) => Self::Principal(principal_field(field)?),
            ("consumer", Some("name")) => Self::ConsumerName,
            ("consumer", Some("metadata")) => {
                return below_object(below, Self::ConsumerMetadata, whole);
            }
            ("consumer", Some(field)) => {
                return Err(unknown("consumer", field, "name and metadata"));
            }
            ("request", Some(field)) => Self::Request(request_field(field)?),
            ("route", Some("policy")) => Self::RoutePolicy,
            ("route", Some("path")) => Self::RoutePath,
            ("route", Some(field)) => return Err(unknown("route", field, "policy and path")),
            ("path", Some(name)) if parameters.contains(&name) => {
                Self::PathParameter(name.to_owned())
            }
            ("path", Some(name)) => {
                return Err(unknown(
                    "path",
                    name,
                    "the parameters that the route's path names in braces",
                ));
            }
            ("context", Some(name)) => Self::Context(name.to_owned()),
            (name, _) => {
                return Err(BadExpression::Root {
                    name: name.to_owned(),
                    known: "principal, consumer, request, route, path or context",
                });
            }
        };
        if below.is_empty() {
            Ok(expression)
        } else {
            Err(syntax())
        }
    }

    /// Whether the expression reads something that only a proven caller has.
    pub const fn needs_principal(&self) -> bool {
        matches!(
            self,
            Self::Principal(_) | Self::Claim(_) | Self::ConsumerName | Self::ConsumerMetadata(_)
        )
    }
}

fn below_object(
    below: Vec<String>,
    make: impl Fn(Vec<String>) -> Expression,
    whole: impl Fn() -> BadExpression,
) -> Result<Expression, BadExpression> {
    if below.is_empty() {
        Err(whole())
    } else {
        Ok(make(below))
    }
}

fn unknown(root: &'static str, name: &str, known: &'static str) -> BadExpression {
    BadExpression::Field {
        root,
        name: name.to_owned(),
        known,
    }
}

fn principal_field(name: &str) -> Result<PrincipalField, BadExpression> {
    Ok(match name {
        "id" => PrincipalField::Id,
        "subject" => PrincipalField::Subject,
        "kind" => PrincipalField::Kind,
        "authenticator" => PrincipalField::Authenticator,
        "scopes" => PrincipalField::Scopes,
        "credential_id" => PrincipalField::CredentialId,
        "environment" => PrincipalField::Environment,
        "expires_at" => PrincipalField::ExpiresAt,
        _ => {
            return Err(unknown(
                "principal",
                name,
                "id, subject, kind, authenticator, scopes, claims, credential_id, environment and expires_at",
            ));
        }
    })
}

fn request_field(name: &str) -> Result<RequestField, BadExpression> {
    Ok(match name {
        "method" => RequestField::Method,
        "scheme" => RequestField::Scheme,
        "host" => RequestField::Host,
        "path" => RequestField::Path,
        _ => return Err(unknown("request", name, "method, scheme, host and path")),
    })
}

/// The content of a string literal without escapes.
fn quoted(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| {
        let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inside.contains([quote, '\\'])).then_some(inside)
    })
}

/// Splits `a.b["c"]` into its names.
fn split(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end)?;
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        names.push(name.to_owned());
        rest = after;
        while let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            names.push(quoted(index.trim())?.to_owned());
            rest = after;
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Some(names),
            None => return None,
        }
    }
}

/// What an expression can read.
pub struct Facts<'a> {
    /// The request.
    pub request: &'a Request,
    /// The proven caller; none on a public route, and none who is anonymous.
    pub principal: Option<&'a Principal>,
    /// The route's policy.
    pub policy: &'a str,
    /// The route's path as written.
    pub path: &'a str,
    /// Position and name of each parameter in the route's path.
    pub parameters: &'a [(usize, Box<str>)],
}

/// An expression's value as text, for a header.
#[derive(Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// No such value: the header is removed.
    Absent,
    /// One text.
    One(Cow<'a, str>),
    /// A list, joined later by spaces.
    Many(Vec<Cow<'a, str>>),
    /// An object or a list of other things than texts, numbers and booleans.
    Structured,
}

impl Expression {
    /// The value under these facts.
    pub fn text<'a>(&'a self, facts: &Facts<'a>) -> Text<'a> {
        let one = |text: &'a str| Text::One(Cow::Borrowed(text));
        match self {
            Self::Literal(text) => one(text),
            Self::Principal(field) => facts.principal.map_or(Text::Absent, |p| field.text(p)),
            Self::Claim(path) => match facts.principal.map(Principal::claims) {
                Some(Cow::Borrowed(claims)) => json_text(below(claims, path)),
                _ => Text::Absent,
            },
            Self::ConsumerName => {
                consumer(facts).map_or(Text::Absent, |consumer| one(&consumer.name))
            }
            Self::ConsumerMetadata(path) => consumer(facts).map_or(Text::Absent, |consumer| {
                json_text(below(&consumer.metadata, path))
            }),
            Self::Request(field) => field.text(facts.request),
            Self::PathParameter(name) => facts
                .parameters
                .iter()
                .find(|(_, parameter)| **parameter == **name)
                .and_then(|(position, _)| facts.request.path().segments().nth(*position))
                .map_or(Text::Absent, one),
            Self::Context(name) => facts
                .request
                .raw()
                .context_extensions
                .iter()
                .rfind(|(key, _)| key.as_ref() == name.as_bytes())
                .and_then(|(_, value)| std::str::from_utf8(value).ok())
                .map_or(Text::Absent, one),
            Self::RoutePolicy => one(facts.policy),
            Self::RoutePath => one(facts.path),
        }
    }
}

fn consumer<'a>(facts: &Facts<'a>) -> Option<&'a crate::consumer::Consumer> {
    facts.principal?.consumer().map(AsRef::as_ref)
}

fn below<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |at, name| at.get(name))
}

impl PrincipalField {
    fn text(self, principal: &Principal) -> Text<'_> {
        let one = |text| Text::One(Cow::Borrowed(text));
        match self {
            Self::Id => one(principal.id()),
            Self::Subject => one(principal.subject()),
            Self::Kind => one(principal.kind()),
            Self::Authenticator => one(principal.authenticator()),
            Self::Scopes => Text::One(Cow::Owned(principal.scopes().joined())),
            Self::CredentialId => principal.credential_id().map_or(Text::Absent, one),
            Self::Environment => principal.environment().map_or(Text::Absent, one),
            Self::ExpiresAt => principal.expires_at().map_or(Text::Absent, |at| {
                Text::One(Cow::Owned(at.seconds().to_string()))
            }),
        }
    }
}

impl RequestField {
    fn text(self, request: &Request) -> Text<'_> {
        Text::One(Cow::Borrowed(match self {
            Self::Method => request.method().as_str(),
            Self::Scheme => match request.raw().scheme.as_ref() {
                b"https" => "https",
                b"http" => "http",
                _ => return Text::Absent,
            },
            Self::Host => request.host().as_str(),
            Self::Path => request.path().as_str(),
        }))
    }
}

fn json_text(value: Option<&Value>) -> Text<'_> {
    match value {
        None | Some(Value::Null) => Text::Absent,
        Some(Value::Array(items)) => {
            let texts: Option<Vec<Cow<'_, str>>> = items.iter().map(scalar_text).collect();
            texts.map_or(Text::Structured, Text::Many)
        }
        Some(value) => scalar_text(value).map_or(Text::Structured, Text::One),
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
mod tests {
    use super::{BadExpression, Expression, PrincipalField, split};

    #[test]
    fn splits_names_and_indexes() {
        for (text, names) in [
            ("a.b.c", Some(vec!["a", "b", "c"])),
            ("a[\"b.c d\"].e", Some(vec!["a", "b.c d", "e"])),
            ("a['b']", Some(vec!["a", "b"])),
            ("a.", None),
            (".a", None),
            ("a..b", None),
            ("a[b]", None),
            ("a[\"b\"", None),
            ("a b", None),
            ("a + b", None),
            ("1a", None),
            ("", None),
        ] {
            let split = split(text);
            let split: Option<Vec<&str>> = split
                .as_ref()
                .map(|names| names.iter().map(String::as_str).collect());
            assert_eq!(split, names, "{text}");
        }
    }

    #[test]
    fn j10_reads_claims_whose_names_hold_dots_and_spaces() {
        let parsed =
            Expression::parse("principal.claims[\"https://example.com/org id\"].name", &[]);
        let path = vec!["https://example.com/org id".to_owned(), "name".to_owned()];
        assert_eq!(parsed, Ok(Expression::Claim(path)));
    }

    #[test]
    fn knows_its_fields() {
        assert_eq!(
            Expression::parse("principal.id", &[]),
            Ok(Expression::Principal(PrincipalField::Id))
        );
        assert_eq!(
            Expression::parse("\"fixed\"", &[]),
            Ok(Expression::Literal("fixed".into()))
        );
        assert!(Expression::parse("path.order_id", &["order_id"]).is_ok());
        for bad in [
            "principal",
            "principal.claims",
            "consumer.metadata",
            "context",
        ] {
            assert!(
                matches!(Expression::parse(bad, &[]), Err(BadExpression::Whole(_))),
                "{bad}"
            );
        }
        for bad in [
            "principal.nmae",
            "consumer.id",
            "request.body",
            "route.x",
            "path.order_id",
        ] {
            assert!(
                matches!(
                    Expression::parse(bad, &[]),
                    Err(BadExpression::Field { .. })
                ),
                "{bad}"
            );
        }
        assert!(matches!(
            Expression::parse("user.id", &[]),
            Err(BadExpression::Root { .. })
        ));
        for bad in ["principal.id + 1", "principal.id.x", "f(x)", ""] {
            assert!(
                matches!(Expression::parse(bad, &[]), Err(BadExpression::Syntax(_))),
                "{bad}"
            );
        }
    }
}
