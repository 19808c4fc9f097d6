//! The types that are known of a value before it is there, and the functions by their types.

use std::fmt;

/// What is known at load about the value of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Nothing: claims, metadata, and what is made of them.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Timestamp,
    Duration,
    List(Box<Self>),
    /// By texts.
    Map(Box<Self>),
    /// `request.headers`: by name; a name that is repeated has no value.
    Headers,
    /// `auth`: asked only who is in it.
    Authenticators,
}

impl Type {
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    pub(super) fn map(of: Self) -> Self {
        Self::Map(Box::new(of))
    }

    /// What is known of a value that is one or the other.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::List(a), Self::List(b)) => Self::list(a.or(*b)),
            (Self::Map(a), Self::Map(b)) => Self::map(a.or(*b)),
            _ => Self::Dyn,
        }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether values of both can be equal.
    pub(super) fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) | (Self::Map(a), Self::Map(b)) => a.comparable(b),
            (a, b) => a == b || (a.is_number() && b.is_number()),
        }
    }

    /// Whether one of both can be less than the other.
    pub(super) fn ordered(&self, other: &Self) -> bool {
        let alone = |kind: &Self| {
            matches!(
                kind,
                Self::Dyn | Self::Bool | Self::Text | Self::Timestamp | Self::Duration
            ) || kind.is_number()
        };
        alone(self) && alone(other) && self.comparable(other)
    }

    /// Whether this is one of `kinds`, as far as is known.
    pub(super) fn is_one_of(&self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| match (self, kind) {
            (Self::Headers | Self::Authenticators, _) => false,
            (Self::Dyn, _)
            | (Self::Text, Kind::Text)
            | (Self::Int, Kind::Int)
            | (Self::Uint, Kind::Uint)
            | (Self::Double, Kind::Double)
            | (Self::Bool, Kind::Bool)
            | (Self::Timestamp, Kind::Timestamp)
            | (Self::Duration, Kind::Duration)
            | (Self::List(_), Kind::List)
            | (Self::Map(_), Kind::Map) => true,
            _ => false,
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(of) => write!(f, "map(string, {of})"),
            Self::Headers => f.write_str("all headers"),
            Self::Authenticators => f.write_str("all authenticators"),
        }
    }
}

/// What a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Timestamp,
    Duration,
    List,
    Map,
}

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) name: &'static str,
    /// What stands before the dot, for functions that are called so.
    pub(super) on: Option<&'static [Kind]>,
    pub(super) takes: &'static [&'static [Kind]],
    pub(super) gives: Type,
}

const TEXT: &[Kind] = &[Kind::Text];
const MOMENT: &[Kind] = &[Kind::Timestamp];
const TIME: &[Kind] = &[Kind::Timestamp, Kind::Duration];
const SIZED: &[Kind] = &[Kind::Text, Kind::List, Kind::Map];

const fn on(
    kinds: &'static [Kind],
    name: &'static str,
    takes: &'static [&'static [Kind]],
    gives: Type,
) -> Signature {
    Signature {
        name,
        on: Some(kinds),
        takes,
        gives,
    }
}

const fn plain(name: &'static str, takes: &'static [&'static [Kind]], gives: Type) -> Signature {
    Signature {
        name,
        on: None,
        takes,
        gives,
    }
}

/// `matches` and `in_cidr` also want their last argument to be a literal, see `check`.
pub(super) const FUNCTIONS: &[Signature] = &[
    plain("size", &[SIZED], Type::Int),
    on(SIZED, "size", &[], Type::Int),
    on(TEXT, "startsWith", &[TEXT], Type::Bool),
    on(TEXT, "endsWith", &[TEXT], Type::Bool),
    on(TEXT, "contains", &[TEXT], Type::Bool),
    on(TEXT, "matches", &[TEXT], Type::Bool),
    plain("matches", &[TEXT, TEXT], Type::Bool),
    on(TEXT, "lowerAscii", &[], Type::Text),
    plain("in_cidr", &[TEXT, TEXT], Type::Bool),
    plain(
        "string",
        &[&[
            Kind::Text,
            Kind::Bool,
            Kind::Int,
            Kind::Uint,
            Kind::Double,
            Kind::Timestamp,
            Kind::Duration,
        ]],
        Type::Text,
    ),
    plain(
        "int",
        &[&[
            Kind::Int,
            Kind::Uint,
            Kind::Double,
            Kind::Text,
            Kind::Timestamp,
        ]],
        Type::Int,
    ),
    plain(
        "uint",
        &[&[Kind::Int, Kind::Uint, Kind::Double, Kind::Text]],
        Type::Uint,
    ),
    plain(
        "double",
        &[&[Kind::Int, Kind::Uint, Kind::Double, Kind::Text]],
        Type::Double,
    ),
    plain(
        "timestamp",
        &[&[Kind::Text, Kind::Int, Kind::Timestamp]],
        Type::Timestamp,
    ),
    plain("duration", &[&[Kind::Text, Kind::Duration]], Type::Duration),
    on(MOMENT, "getFullYear", &[], Type::Int),
    on(MOMENT, "getFullYear", &[TEXT], Type::Int),
    on(MOMENT, "getMonth", &[], Type::Int),
    on(MOMENT, "getMonth", &[TEXT], Type::Int),
    on(MOMENT, "getDate", &[], Type::Int),
    on(MOMENT, "getDate", &[TEXT], Type::Int),
    on(MOMENT, "getDayOfMonth", &[], Type::Int),
    on(MOMENT, "getDayOfMonth", &[TEXT], Type::Int),
    on(MOMENT, "getDayOfWeek", &[], Type::Int),
    on(MOMENT, "getDayOfWeek", &[TEXT], Type::Int),
    on(MOMENT, "getDayOfYear", &[], Type::Int),
    on(MOMENT, "getDayOfYear", &[TEXT], Type::Int),
    on(TIME, "getHours", &[], Type::Int),
    on(MOMENT, "getHours", &[TEXT], Type::Int),
    on(TIME, "getMinutes", &[], Type::Int),
    on(MOMENT, "getMinutes", &[TEXT], Type::Int),
    on(TIME, "getSeconds", &[], Type::Int),
    on(MOMENT, "getSeconds", &[TEXT], Type::Int),
    on(TIME, "getMilliseconds", &[], Type::Int),
    on(MOMENT, "getMilliseconds", &[TEXT], Type::Int),
];

/// The macros that walk a list or a map, with the words for them in messages.
pub(super) const MACROS: &[&str] = &["has", "all", "exists", "exists_one", "map", "filter"];
