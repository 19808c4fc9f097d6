//! Values as they may be told.

use serde::Serialize;
use serde_json::Value;

use crate::headers::fold;
use crate::policy::field::{Facts, Field, FieldPath, RequestField};

/// A value that may be told, or why it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// The value; `null`: there is none.
    Value(Value),
    /// There is one, and a credential may stand in it.
    Hidden(&'static str),
    /// There is one, and it can't be read.
    Error(String),
}

impl Shown {
    /// A text, or its absence.
    pub fn text(text: Option<&str>) -> Self {
        Self::Value(text.map_or(Value::Null, Value::from))
    }

    /// The value of a field.
    pub fn of(field: &FieldPath, facts: &Facts<'_>, hidden: bool) -> Self {
        match field.read(facts) {
            Field::Absent => Self::Value(Value::Null),
            Field::Refused(why) => Self::Error(format!("`{field}` {why}")),
            Field::Headers(_) | Field::HeaderValues(_) => Self::Hidden(WHY_HIDDEN),
            _ if hidden => Self::Hidden(WHY_HIDDEN),
            Field::Text(text) => Self::Value(Value::from(text.as_ref())),
            Field::Texts(texts) => Self::Value(texts.iter().map(AsRef::as_ref).collect()),
            Field::Scopes(scopes) => Self::Value(scopes.iter().collect()),
            Field::Integer(number) => Self::Value(Value::from(number)),
            Field::Moment(at) => Self::Value(Value::from(at.to_rfc3339())),
            Field::Json(value) => Self::Value(value.clone()),
            Field::Entries(entries) => Self::Value(Value::Object(
                entries
                    .into_iter()
                    .map(|(name, value)| (name.into_owned(), Value::from(value.as_ref())))
                    .collect(),
            )),
        }
    }
}

/// What stands in place of a value that is not told.
pub const WHY_HIDDEN: &str = "not shown, as a credential may stand there";

/// Whether a credential may stand in a field: the query, and headers that an authenticator `reads` or whose
/// names say so.
pub fn is_private(field: &FieldPath, reads: impl Fn(&str) -> bool) -> bool {
    match field {
        FieldPath::Request(RequestField::Query)
        | FieldPath::AllHeaders
        | FieldPath::AllHeaderValues => true,
        FieldPath::Header(name) | FieldPath::HeaderValues(name) => {
            reads(name) || names_a_secret(name)
        }
        _ => false,
    }
}

/// Whether a header's name says that a secret stands in it, whatever its spelling.
pub fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 14] = [
        "apikey",
        "assertion",
        "auth",
        "cookie",
        "credential",
        "cert",
        "jwt",
        "key",
        "passw",
        "secret",
        "session",
        "sig",
        "token",
        "otp",
    ];
    let letters: String = name
        .bytes()
        .map(|byte| char::from(fold(byte)))
        .filter(|letter| *letter != '-')
        .collect();
    WORDS.iter().any(|word| letters.contains(word)) || letters.ends_with("pin")
}
