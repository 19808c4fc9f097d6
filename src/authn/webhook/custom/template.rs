//! The text that a custom scheme signs: `v0:{timestamp}:{body}`.
//!
//! What stands between two placeholders is the mark that keeps them apart. A value that holds the mark
//! after it is refused, except for the body, which is read from both ends: so the text reads in one way,
//! and no part of it can be moved from one placeholder to the next. Where there is no mark, a note says so.

use std::borrow::Cow;

use crate::authn::webhook::custom::{Filling, component};
use crate::authn::webhook::read::SignedText;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// The longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 1_024;

const PLACEHOLDERS: &str =
    "`{body}`, `{timestamp}`, `{id}`, `{method}`, `{path}`, `{query}`, `{url}` and `{header:NAME}`";

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// Too long.
    #[error("is longer than {MAX_TEMPLATE_BYTES} bytes")]
    TooLong,
    /// `{` without `}`.
    #[error("has a `{{` that is never closed; a brace that is signed as such is written twice")]
    Unclosed,
    /// `}` without `{`.
    #[error("has a `}}` that closes nothing; a brace that is signed as such is written twice")]
    Stray,
    /// No such placeholder.
    #[error("has `{{{0}}}`, which stands for nothing; there are {PLACEHOLDERS}")]
    Unknown(String),
    /// Nothing of the body.
    #[error(
        "has no `{{body}}`, so the signature would hold for any body; put it where the service signs it"
    )]
    NoBody,
    /// The body twice.
    #[error("has `{{body}}` more than once")]
    SeveralBodies,
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Body,
    Timestamp,
    Id,
    Method,
    Path,
    Query,
    Url,
    Header(Box<str>),
}

impl Value {
    fn parse(name: &str) -> Result<Self, BadTemplate> {
        Ok(match name {
            "body" => Self::Body,
            "timestamp" => Self::Timestamp,
            "id" => Self::Id,
            "method" => Self::Method,
            "path" => Self::Path,
            "query" => Self::Query,
            "url" => Self::Url,
            _ => match name.strip_prefix("header:") {
                Some(header) => Self::Header(header.to_ascii_lowercase().into()),
                None => return Err(BadTemplate::Unknown(name.chars().take(64).collect())),
            },
        })
    }

    /// As it is written.
    fn written(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Body => "{body}",
            Self::Timestamp => "{timestamp}",
            Self::Id => "{id}",
            Self::Method => "{method}",
            Self::Path => "{path}",
            Self::Query => "{query}",
            Self::Url => "{url}",
            Self::Header(name) => return Cow::Owned(format!("{{header:{name}}}")),
        })
    }

    fn of<'a>(
        &self,
        message: &'a AsSigned<'_>,
        filling: &Filling<'a>,
    ) -> Result<Cow<'a, [u8]>, Refusal> {
        Ok(match self {
            Self::Body => Cow::Borrowed(filling.body),
            Self::Timestamp => Cow::Borrowed(filling.timestamp),
            Self::Id => Cow::Borrowed(filling.id),
            Self::Method => Cow::Borrowed(message.method.as_bytes()),
            Self::Path => Cow::Borrowed(message.path.as_ref()),
            Self::Query => Cow::Borrowed(message.query.unwrap_or_default()),
            Self::Url => Cow::Owned(url(message)),
            Self::Header(name) => component(message, name)?,
        })
    }
}

fn url(message: &AsSigned<'_>) -> Vec<u8> {
    let mark: &[u8] = if message.query.is_some() { b"?" } else { b"" };
    [
        message.scheme.as_bytes(),
        b"://",
        message.authority.as_bytes(),
        &message.path,
        mark,
        message.query.unwrap_or_default(),
    ]
    .concat()
}

/// A placeholder with what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    value: Value,
    /// The text between this placeholder and the next one, or the end.
    after: Box<[u8]>,
}

/// A template that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    before: Box<[u8]>,
    slots: Vec<Slot>,
}

impl Template {
    /// Reads a template. `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// [`BadTemplate`].
    pub(super) fn parse(text: &str) -> Result<Self, BadTemplate> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(BadTemplate::TooLong);
        }
        let mut before = Vec::new();
        let mut slots: Vec<(Value, Vec<u8>)> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (literal, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
            let place = slots.last_mut().map_or(&mut before, |(_, after)| after);
            place.extend_from_slice(literal.as_bytes());
            if let Some(tail) = tail.strip_prefix("{{") {
                place.push(b'{');
                rest = tail;
            } else if let Some(tail) = tail.strip_prefix("}}") {
                place.push(b'}');
                rest = tail;
            } else if let Some(tail) = tail.strip_prefix('{') {
                let (name, tail) = tail.split_once('}').ok_or(BadTemplate::Unclosed)?;
                slots.push((Value::parse(name)?, Vec::new()));
                rest = tail;
            } else {
                return Err(BadTemplate::Stray);
            }
        }
        let place = slots.last_mut().map_or(&mut before, |(_, after)| after);
        place.extend_from_slice(rest.as_bytes());
        let bodies = slots.iter().filter(|(value, _)| *value == Value::Body);
        match bodies.count() {
            0 => return Err(BadTemplate::NoBody),
            1 => {}
            _ => return Err(BadTemplate::SeveralBodies),
        }
        let slot = |(value, after): (Value, Vec<u8>)| Slot {
            value,
            after: after.into(),
        };
        Ok(Self {
            before: before.into(),
            slots: slots.into_iter().map(slot).collect(),
        })
    }

    /// The headers it names.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().filter_map(|slot| match &slot.value {
            Value::Header(name) => Some(name.as_ref()),
            _ => None,
        })
    }

    pub(super) fn has_timestamp(&self) -> bool {
        self.slots.iter().any(|slot| slot.value == Value::Timestamp)
    }

    pub(super) fn has_id(&self) -> bool {
        self.slots.iter().any(|slot| slot.value == Value::Id)
    }

    /// One note for each two placeholders without a mark between.
    pub(super) fn notes(&self) -> Vec<String> {
        let pairs = self.slots.iter().zip(self.slots.iter().skip(1));
        let bare = pairs.filter(|(slot, _)| slot.after.is_empty());
        bare.map(|(one, next)| {
            format!(
                "nothing stands between `{}` and `{}` in `template`: who has seen a signed request can move the border between them, and the signature still holds",
                one.value.written(),
                next.value.written()
            )
        })
        .collect()
    }

    /// The text for one request.
    ///
    /// # Errors
    /// `signature_component_refused` for a header that is not there once, and for a value that holds the
    /// mark which ends it.
    pub(super) fn fill<'a>(
        &'a self,
        message: &'a AsSigned<'_>,
        filling: &Filling<'a>,
    ) -> Result<SignedText<'a>, Refusal> {
        let mut text = vec![Cow::Borrowed(self.before.as_ref())];
        let mut mark_before: &[u8] = &[];
        let mut body_seen = false;
        for slot in &self.slots {
            let value = slot.value.of(message, filling)?;
            let free = free_part(&slot.value, message, &value);
            let apart = match (slot.value == Value::Body, body_seen) {
                (true, _) => true,
                (false, false) => ends_before(free, &slot.after),
                (false, true) => begins_after(mark_before, free),
            };
            body_seen |= slot.value == Value::Body;
            if !apart {
                return Err(Refusal::new(
                    Reason::SignatureComponentRefused,
                    format!(
                        "`{}` holds the text that keeps it apart from the next part of `template`, which would then read in two ways",
                        slot.value.written()
                    ),
                ));
            }
            mark_before = &slot.after;
            text.extend([value, Cow::Borrowed(slot.after.as_ref())]);
        }
        Ok(SignedText(text))
    }
}

/// The part of a value that can hold a mark unnoticed. What stands before the path of an address is told
/// from the rest by its form.
fn free_part<'v>(value: &Value, message: &AsSigned<'_>, text: &'v [u8]) -> &'v [u8] {
    if *value != Value::Url {
        return text;
    }
    let fixed = message.scheme.len() + b"://".len() + message.authority.len();
    text.get(fixed..).unwrap_or(text)
}

/// Whether `mark`, looked for from the left, is first found right after `value`.
fn ends_before(value: &[u8], mark: &[u8]) -> bool {
    if mark.is_empty() {
        return true;
    }
    let joined = [value, mark].concat();
    joined.windows(mark.len()).position(|at| at == mark) == Some(value.len())
}

/// Whether `mark`, looked for from the right, is first found right before `value`.
fn begins_after(mark: &[u8], value: &[u8]) -> bool {
    if mark.is_empty() {
        return true;
    }
    let joined = [mark, value].concat();
    joined.windows(mark.len()).rposition(|at| at == mark) == Some(0)
}
