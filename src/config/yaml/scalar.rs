//! What a scalar without quotes is to other readers of YAML.

use serde_json::{Map, Number, Value as Json};

use super::tree::{Node, Scalar, ScalarKind, Value};

/// A plain scalar by the core schema of YAML 1.2 (section 10.3.2).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Core {
    Null,
    Boolean(bool),
    /// The number, if JSON can hold it without loss.
    Integer(Option<Number>),
    Float(Option<Number>),
    Text,
}

/// Resolves a plain scalar by the core schema.
pub(super) fn core(text: &str) -> Core {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Core::Null,
        "true" | "True" | "TRUE" => return Core::Boolean(true),
        "false" | "False" | "FALSE" => return Core::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => return Core::Float(None),
        _ => {}
    }
    let (negative, unsigned) = unsigned(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Core::Float(None);
    }
    if all(unsigned, |byte| byte.is_ascii_digit()) {
        return Core::Integer(exact(negative, unsigned, 10));
    }
    if let Some(digits) = text
        .strip_prefix("0o")
        .filter(|it| all(it, |byte| matches!(byte, b'0'..=b'7')))
    {
        return Core::Integer(exact(false, digits, 8));
    }
    if let Some(digits) = text
        .strip_prefix("0x")
        .filter(|it| all(it, |byte| byte.is_ascii_hexdigit()))
    {
        return Core::Integer(exact(false, digits, 16));
    }
    if is_decimal(unsigned) {
        return Core::Float(text.parse().ok().and_then(Number::from_f64));
    }
    Core::Text
}

/// What some YAML reader, of version 1.1 or 1.2, would take a plain scalar for instead of text.
pub(super) fn mistakable(text: &str) -> Option<&'static str> {
    match core(text) {
        Core::Null => return Some("null"),
        Core::Boolean(_) => return Some("a boolean"),
        Core::Integer(_) | Core::Float(_) => return Some("a number"),
        Core::Text => {}
    }
    let lower = text.to_ascii_lowercase();
    if matches!(
        lower.as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false"
    ) {
        return Some("a boolean");
    }
    let (_, unsigned) = unsigned(&lower);
    let based = |prefix: &str, digit: fn(u8) -> bool| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|digits| all(digits, |byte| byte == b'_' || digit(byte)))
    };
    let grouped = |part: &str| {
        part.starts_with(|it: char| it.is_ascii_digit()) && is_decimal(&part.replace('_', ""))
    };
    let number = based("0x", |byte| byte.is_ascii_hexdigit())
        || based("0b", |byte| matches!(byte, b'0' | b'1'))
        || based("0o", |byte| matches!(byte, b'0'..=b'7'))
        || grouped(unsigned)
        || matches!(unsigned, ".inf" | ".nan");
    match () {
        () if number => Some("a number"),
        () if is_sexagesimal(unsigned) => Some("a number in base 60"),
        () => None,
    }
}

/// A text in double quotes, such that YAML reads it back as the same text.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            _ if character.is_control() => {
                out.push_str(&format!("\\x{:02x}", u32::from(character)))
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

/// A node as JSON, for data that Portcullis carries without knowing its shape.
///
/// Scalars without quotes follow the core schema of YAML 1.2: `true`, `12`, `0x1f`, `1.5` and `~` are what they look
/// like, `yes` is text. A number that JSON cannot hold exactly (an integer beyond 64 bits, infinity) stays text.
/// Recursion is bounded by the depth that [`super::parse`] allowed.
pub fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => scalar_to_json(scalar),
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(entries) => {
            let members = entries
                .iter()
                .map(|entry| (entry.key.clone(), to_json(&entry.value)));
            Json::Object(members.collect::<Map<String, Json>>())
        }
    }
}

fn scalar_to_json(scalar: &Scalar) -> Json {
    let resolved = match scalar.style {
        ScalarKind::Plain => core(&scalar.text),
        ScalarKind::Quoted => Core::Text,
    };
    match resolved {
        Core::Null => Json::Null,
        Core::Boolean(value) => Json::Bool(value),
        Core::Integer(Some(number)) | Core::Float(Some(number)) => Json::Number(number),
        Core::Integer(None) | Core::Float(None) | Core::Text => Json::String(scalar.text.clone()),
    }
}

fn unsigned(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Whether a text has bytes and all of them are of one class.
fn all(text: &str, class: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(class)
}

fn exact(negative: bool, digits: &str, radix: u32) -> Option<Number> {
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        0_i64.checked_sub_unsigned(magnitude).map(Number::from)
    } else {
        Some(magnitude.into())
    }
}

/// Digits with at most one point among or around them and an optional exponent.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| all(unsigned(exponent).1, |byte| byte.is_ascii_digit()))
}

/// YAML 1.1's `190:20:30`: digits, then parts of at most 59.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let mut rest = parts
        .map(|part| part.split_once('.').map_or(part, |(whole, _)| whole))
        .peekable();
    let digits = |part: &str| all(part, |byte| byte == b'_' || byte.is_ascii_digit());
    first.starts_with(|it: char| it.is_ascii_digit())
        && digits(first)
        && rest.peek().is_some()
        && rest.all(|part| {
            part.len() <= 2 && digits(part) && part.parse::<u8>().is_ok_and(|value| value < 60)
        })
}
