//! What a policy asks of a signature.

use crate::authn::http_signature::components::{Component, Derived, Form, Kind};
use crate::authn::http_signature::key::Algorithm;
use crate::authn::http_signature::structured;
use crate::authn::signature::Freshness;
use crate::headers::{Headers, is_header_name};
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// Headers that describe a body. Where one of them is required, it is demanded of requests that may have a
/// body, and of those that carry the header.
const ABOUT_CONTENT: [&str; 8] = [
    "content-digest",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "repr-digest",
];

/// What a signature must be like.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What it must cover. A signature that covers nothing is refused even where this is empty.
    pub require: Vec<Required>,
    /// The algorithms that are accepted; an empty list accepts none.
    pub algorithms: Vec<Algorithm>,
    /// How long it holds. `created` is always required.
    pub freshness: Freshness,
    /// Whether it must have a nonce.
    pub nonce: Nonce,
    /// The `tag` that it must have, if any. Without this rule a tag does not matter.
    pub tag: Option<Box<str>>,
    /// The label under which it must stand, if any.
    pub label: Option<Box<str>>,
}

/// Whether a nonce is demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nonce {
    /// A signature without one is refused.
    Required,
    /// A signature without one is remembered as a whole, on all methods but the safe ones. Then two equal
    /// requests within one second count as one request that was sent twice.
    #[default]
    Optional,
}

/// A component that must be covered.
///
/// What covers what: `@target-uri` covers `@scheme`, `@authority`, `@path` and `@query`, and these four
/// together cover it; `@request-target` covers `@path` and `@query`, and these two together cover it. `host`
/// and `@authority` are the same. `@query-param` is covered by itself and by whatever covers `@query`, and
/// never covers `@query`. A header is covered plain, with `sf` and with `bs`; not with `key`, which leaves
/// out the other members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Required {
    /// A part of the request.
    Derived(Derived),
    /// One parameter of the query, by its percent-encoded name.
    QueryParameter(Box<str>),
    /// A header.
    Field(Box<str>),
}

impl Required {
    /// Reads an entry of `require`: `@method`, `content-digest`, `"@query-param";name="id"`.
    ///
    /// # Errors
    /// What is wrong, and the way out.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "host" => return Ok(Self::Derived(Derived::Authority)),
            "signature" | "signature-input" => return Err("a signature cannot cover itself"),
            "@status" => return Err("`@status` belongs to responses"),
            "@signature-params" => return Err("`@signature-params` is always signed"),
            "@query-param" => {
                return Err(
                    "name the parameter: `\"@query-param\";name=\"id\"`, or ask for all by `@query`",
                );
            }
            _ => {}
        }
        if let Some(derived) = Derived::from_name(text) {
            return Ok(Self::Derived(derived));
        }
        if is_header_name(text) {
            return Ok(Self::Field(text.into()));
        }
        if text.starts_with('@') {
            return Err(
                "one of `@method`, `@target-uri`, `@authority`, `@scheme`, `@request-target`, `@path`, `@query`",
            );
        }
        let item = structured::item(text.as_bytes());
        match item.as_ref().map(Component::read) {
            Some(Ok(Component {
                kind: Kind::QueryParameter(name),
                ..
            })) => Ok(Self::QueryParameter(name)),
            Some(Ok(Component {
                kind: Kind::Field(..),
                ..
            })) => Err(
                "write the header's name alone; a signer may cover it plain, with `sf` or with `bs`",
            ),
            _ => Err("a header's name in lower case, or a component such as `@path`"),
        }
    }

    /// What requests ought to prove where a policy does not say: method, authority, path, query and body.
    pub fn defaults() -> Vec<Self> {
        vec![
            Self::Derived(Derived::Method),
            Self::Derived(Derived::Authority),
            Self::Derived(Derived::Path),
            Self::Derived(Derived::Query),
            Self::Field("content-digest".into()),
        ]
    }

    /// As it stands in `require`, and as a signer lists it.
    pub fn identifier(&self) -> String {
        match self {
            Self::Derived(derived) => format!("\"{}\"", derived.name()),
            Self::QueryParameter(name) => {
                format!(
                    "\"@query-param\";name=\"{}\"",
                    name.replace('\\', "\\\\").replace('"', "\\\"")
                )
            }
            Self::Field(name) => format!("\"{name}\""),
        }
    }

    /// Whether it describes a body; then only some requests need it.
    pub fn is_about_content(&self) -> bool {
        matches!(self, Self::Field(name) if ABOUT_CONTENT.contains(&name.as_ref()))
    }

    /// Whether a request needs it at all.
    fn applies(&self, headers: &Headers, body: &Body) -> bool {
        match self {
            Self::Field(name) if self.is_about_content() => {
                may_have_content(body) || headers.all(name).next().is_some()
            }
            _ => true,
        }
    }

    /// Whether these components cover it.
    fn is_covered(&self, components: &[Component]) -> bool {
        match self {
            Self::Derived(derived) => covers(components, *derived),
            Self::QueryParameter(name) => covers(components, Derived::Query)
                || components.iter().any(
                    |component| matches!(&component.kind, Kind::QueryParameter(own) if own == name),
                ),
            Self::Field(name) => components.iter().any(|component| match &component.kind {
                Kind::Field(own, Form::Joined | Form::Structured | Form::Wrapped) => own == name,
                _ => false,
            }),
        }
    }
}

/// Whether components cover a part of the request, alone or together.
pub fn covers(components: &[Component], part: Derived) -> bool {
    let lists = |part: Derived| {
        components.iter().any(|component| match &component.kind {
            Kind::Derived(own) => *own == part,
            Kind::Field(name, Form::Joined | Form::Wrapped) => {
                part == Derived::Authority && name.as_ref() == "host"
            }
            _ => false,
        })
    };
    lists(part)
        || match part {
            Derived::Method => false,
            Derived::Scheme | Derived::Authority => lists(Derived::TargetUri),
            Derived::Path | Derived::Query => {
                lists(Derived::RequestTarget) || lists(Derived::TargetUri)
            }
            Derived::RequestTarget => {
                covers(components, Derived::Path) && covers(components, Derived::Query)
            }
            Derived::TargetUri => [
                Derived::Scheme,
                Derived::Authority,
                Derived::Path,
                Derived::Query,
            ]
            .into_iter()
            .all(|part| covers(components, part)),
        }
}

/// Whether a request may have content, as far as Envoy lets it be known.
fn may_have_content(body: &Body) -> bool {
    !matches!(body, Body::Whole(bytes) if bytes.is_empty())
}

impl Rules {
    /// Checks that a signature covers what it must.
    ///
    /// # Errors
    /// `signature_incomplete`, with the first component that is missing.
    pub fn check_coverage(
        &self,
        components: &[Component],
        message: &AsSigned<'_>,
    ) -> Result<(), Refusal> {
        if components.is_empty() {
            return Err(incomplete(
                "the signature covers nothing of the request".into(),
            ));
        }
        let missing = self.require.iter().find(|required| {
            required.applies(message.headers, &message.body) && !required.is_covered(components)
        });
        let Some(missing) = missing else {
            return Ok(());
        };
        let mut detail = format!("the signature does not cover {}", missing.identifier());
        if missing.is_about_content() && matches!(message.body, Body::Withheld) {
            detail.push_str(
                ", which is demanded because the request may have a body that Envoy did not hand over; a request without one says `Content-Length: 0`",
            );
        }
        Err(incomplete(detail))
    }
}

fn incomplete(detail: String) -> Refusal {
    Refusal::new(Reason::SignatureIncomplete, detail)
}

#[cfg(test)]
mod tests;
