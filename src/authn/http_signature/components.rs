//! What a signature covers: component identifiers (RFC 9421 section 2), read but not yet looked up.

use sfv::{BareItem, FieldType as _, Item, Parameters};

use crate::headers::is_header_name;
use crate::verdict::{Reason, Refusal};

/// The most parameters of one component. The standard knows five.
const MAX_PARAMETERS: usize = 5;

/// A component that is derived from the request and is no header (RFC 9421 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Derived {
    /// `@method`.
    Method,
    /// `@target-uri`: scheme, authority, path and query.
    TargetUri,
    /// `@authority`.
    Authority,
    /// `@scheme`.
    Scheme,
    /// `@request-target`: path and query.
    RequestTarget,
    /// `@path`.
    Path,
    /// `@query`: the whole query, with its `?`.
    Query,
}

impl Derived {
    const ALL: [Self; 7] = [
        Self::Method,
        Self::TargetUri,
        Self::Authority,
        Self::Scheme,
        Self::RequestTarget,
        Self::Path,
        Self::Query,
    ];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Method => "@method",
            Self::TargetUri => "@target-uri",
            Self::Authority => "@authority",
            Self::Scheme => "@scheme",
            Self::RequestTarget => "@request-target",
            Self::Path => "@path",
            Self::Query => "@query",
        }
    }

    /// The component of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|derived| derived.name() == name)
    }
}

/// One covered component.
#[derive(Clone, Debug)]
pub struct Component {
    /// As it stands in the signature base: name in quotes, parameters in the signer's order.
    pub identifier: String,
    /// What it is.
    pub kind: Kind,
}

/// What a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of the request.
    Derived(Derived),
    /// `@query-param` with its `name`, which is percent-encoded.
    QueryParameter(Box<str>),
    /// A header field, by its name in lower case.
    Field(Box<str>, Form),
}

/// In which form a field's value is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines trimmed and joined (section 2.1).
    Joined,
    /// `sf`: the one form of a structured field (section 2.1.1).
    Structured,
    /// `key`: one member of a dictionary (section 2.1.2).
    Member(Box<str>),
    /// `bs`: each line as a byte sequence (section 2.1.3).
    Wrapped,
}

impl Component {
    /// Reads one item of the list of covered components.
    ///
    /// # Errors
    /// `signature_malformed` for what is no component, `signature_component_refused` for one that a request
    /// does not have or that never reaches a check.
    pub fn read(item: &Item) -> Result<Self, Refusal> {
        let Some(name) = item.bare_item.as_string() else {
            return Err(malformed("a covered component is not a string in quotes"));
        };
        let name = name.as_str();
        if item.params.len() > MAX_PARAMETERS {
            return Err(malformed("a covered component has more than 5 parameters"));
        }
        let kind = if name.starts_with('@') {
            derived(name, &item.params)?
        } else if is_header_name(name) {
            let form = form(name, &item.params)?;
            Kind::Field(name.into(), form)
        } else {
            return Err(malformed(
                "a covered component is neither a header's name in lower case nor begins with `@`",
            ));
        };
        Ok(Self {
            identifier: item.serialize(),
            kind,
        })
    }
}

fn derived(name: &str, parameters: &Parameters) -> Result<Kind, Refusal> {
    for parameter in parameters.keys() {
        match parameter.as_str() {
            "req" => return Err(no_request()),
            "tr" => return Err(trailer()),
            "name" if name == "@query-param" => {}
            _ => {
                return Err(refused(format!(
                    "`{}` has a parameter that it does not take",
                    known(name)
                )));
            }
        }
    }
    if let Some(derived) = Derived::from_name(name) {
        return Ok(Kind::Derived(derived));
    }
    match name {
        "@query-param" => match parameters.get("name").map(BareItem::as_string) {
            Some(Some(name)) => Ok(Kind::QueryParameter(name.as_str().into())),
            Some(None) => Err(malformed(
                "`name` of `@query-param` is not a string in quotes",
            )),
            None => Err(malformed("`@query-param` names no parameter (`name`)")),
        },
        "@status" => Err(refused(
            "`@status` belongs to responses; a request has none".into(),
        )),
        "@signature-params" => Err(refused(
            "`@signature-params` is always signed and must not be listed".into(),
        )),
        _ => Err(refused(
            "the signature covers an `@…` component that is not known here".into(),
        )),
    }
}

fn form(name: &str, parameters: &Parameters) -> Result<Form, Refusal> {
    let (mut structured, mut wrapped, mut member) = (false, false, None);
    for (parameter, value) in parameters {
        match (parameter.as_str(), value) {
            ("sf", BareItem::Boolean(true)) => structured = true,
            ("bs", BareItem::Boolean(true)) => wrapped = true,
            ("key", BareItem::String(key)) => member = Some(key.as_str()),
            ("req", _) => return Err(no_request()),
            ("tr", _) => return Err(trailer()),
            ("sf" | "bs" | "key", _) => {
                return Err(malformed(
                    "a parameter of a covered header (`sf`, `bs`, `key`) has the wrong type",
                ));
            }
            _ => {
                return Err(refused(format!(
                    "`{name}` has a parameter that is not known here"
                )));
            }
        }
    }
    match (structured, wrapped, member) {
        (false, false, None) => Ok(Form::Joined),
        (true, false, None) => Ok(Form::Structured),
        // `key` implies what `sf` asks for.
        (_, false, Some(key)) => Ok(Form::Member(key.into())),
        (false, true, None) => Ok(Form::Wrapped),
        (true, true, _) | (_, true, Some(_)) => Err(refused(format!(
            "`{name}` is covered with `bs` and with `sf` or `key`, which exclude each other"
        ))),
    }
}

/// Whether two components are the same one: name and parameters, in whatever order (RFC 9421 section 2).
/// What `sf` adds to `key` changes no value, so both are the same here too.
pub fn same(a: &Component, b: &Component) -> bool {
    a.kind == b.kind
}

/// A name as far as it may be repeated to an operator.
fn known(name: &str) -> &'static str {
    match (Derived::from_name(name), name) {
        (Some(derived), _) => derived.name(),
        (None, "@query-param") => "@query-param",
        (None, "@status") => "@status",
        _ => "@…",
    }
}

fn trailer() -> Refusal {
    refused("the signature covers a trailer (`tr`); trailers come after the decision and are never seen here".into())
}

fn no_request() -> Refusal {
    refused("the parameter `req` belongs to signatures of responses; this is a request".into())
}

fn malformed(detail: &'static str) -> Refusal {
    Refusal::new(Reason::SignatureMalformed, detail)
}

fn refused(detail: String) -> Refusal {
    Refusal::new(Reason::SignatureComponentRefused, detail)
}
