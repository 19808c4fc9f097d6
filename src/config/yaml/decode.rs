//! Readers for single values and lists.
//!
//! Each takes a node and a noun phrase for it (`what`, such as "`max_age`" or "a scope"), reports what does not fit
//! and returns `None` then.

use std::ops::RangeInclusive;

use crate::diagnostic::{Diagnostic, Diagnostics, excerpt};

use super::scalar::{mistakable, quoted};
use super::tree::{Entry, Node, Scalar, ScalarKind, Value};

/// Whether a list may have no items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyList {
    /// It may.
    Allowed,
    /// It may not: where a list narrows who may pass, an empty one could be read as "anyone".
    Refused,
}

/// Reads text; it may be empty if it is in quotes.
///
/// # Errors
/// Reports `quote-it` for a scalar without quotes that YAML 1.1 or 1.2 reads as a boolean, a number or null, and
/// `wrong-type` for anything else that is no text; then returns `None`.
pub fn text<'a>(node: &'a Node, what: &str, out: &mut Diagnostics) -> Option<&'a str> {
    if is_written_null(node) {
        out.push(quote_it(node, what, node.place.text(), "null"));
        return None;
    }
    let scalar = scalar(node, what, "text", out)?;
    if scalar.style == ScalarKind::Plain
        && let Some(other) = mistakable(&scalar.text)
    {
        out.push(quote_it(node, what, &scalar.text, other));
        return None;
    }
    Some(&scalar.text)
}

/// Reads text like [`text()`], but conceals it in its file and never repeats it in a message.
///
/// # Errors
/// As [`text()`].
pub fn secret_text<'a>(node: &'a Node, what: &str, out: &mut Diagnostics) -> Option<&'a str> {
    node.conceal();
    let scalar = scalar(node, what, "text", out)?;
    if scalar.style == ScalarKind::Plain
        && let Some(other) = mistakable(&scalar.text)
    {
        let message = format!("{what} is text, and YAML can read what stands here as {other}");
        out.push(
            Diagnostic::error("quote-it", &node.place, message)
                .with_help("put it in double quotes"),
        );
        return None;
    }
    Some(&scalar.text)
}

/// Reads `true` or `false`, exactly so and without quotes.
///
/// # Errors
/// Reports `wrong-type` and returns `None`.
pub fn boolean(node: &Node, what: &str, out: &mut Diagnostics) -> Option<bool> {
    let scalar = scalar(node, what, "`true` or `false`", out)?;
    let meant = match scalar.text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    };
    if let (Some(value), ScalarKind::Plain, "true" | "false") =
        (meant, scalar.style, scalar.text.as_str())
    {
        return Some(value);
    }
    let message = format!(
        "{what} must be `true` or `false`, and `{}` is neither",
        excerpt(&scalar.text)
    );
    let help = match meant {
        Some(value) => format!("write `{value}`, without quotes"),
        None => "write `true` or `false`, without quotes".to_owned(),
    };
    out.push(Diagnostic::error("wrong-type", &node.place, message).with_help(help));
    None
}

/// Reads a whole number in decimal digits within `range`, without quotes, leading zeros or separators.
///
/// # Errors
/// Reports `wrong-type` or `out-of-range` and returns `None`.
pub fn integer(
    node: &Node,
    what: &str,
    range: RangeInclusive<i64>,
    out: &mut Diagnostics,
) -> Option<i64> {
    let scalar = scalar(node, what, "a whole number", out)?;
    let digits = scalar.text.strip_prefix('-').unwrap_or(&scalar.text);
    let plain = scalar.style == ScalarKind::Plain;
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let shown = excerpt(&scalar.text);
    let (code, message, help) = if !decimal || (digits.len() > 1 && digits.starts_with('0')) {
        (
            "wrong-type",
            format!("{what} must be a whole number, and `{shown}` is none"),
            "write decimal digits only, without leading zeros or separators".to_owned(),
        )
    } else if !plain {
        let message = format!("{what} must be a whole number, and quotes make `{shown}` text");
        (
            "wrong-type",
            message,
            format!("write `{shown}` without quotes"),
        )
    } else {
        if let Some(number) = scalar
            .text
            .parse()
            .ok()
            .filter(|number| range.contains(number))
        {
            return Some(number);
        }
        let (least, most) = (range.start(), range.end());
        let message = format!("{what} must be from {least} to {most}, and `{shown}` is not");
        (
            "out-of-range",
            message,
            format!("write a number from {least} to {most}"),
        )
    };
    out.push(Diagnostic::error(code, &node.place, message).with_help(help));
    None
}

/// Reads a list.
///
/// # Errors
/// Reports `wrong-type`, or `empty-list` where that is refused, and returns `None`.
pub fn sequence<'a>(
    node: &'a Node,
    what: &str,
    empty: EmptyList,
    out: &mut Diagnostics,
) -> Option<&'a [Node]> {
    match &node.value {
        Value::Sequence(items) if items.is_empty() && empty == EmptyList::Refused => {
            let message = format!("{what} is an empty list, which could be read as \"anyone\"");
            let help = "list at least one item, or leave the key out";
            out.push(Diagnostic::error("empty-list", &node.place, message).with_help(help));
            None
        }
        Value::Sequence(items) => Some(items),
        _ => {
            out.push(
                wrong_type(node, what, "a list")
                    .with_help("write `[…]`, or one item per line behind `- `"),
            );
            None
        }
    }
}

/// Reads a list, or a single value or mapping that stands for a list of one.
///
/// # Errors
/// As [`sequence`]; a key without a value is `wrong-type`.
pub fn one_or_many<'a>(
    node: &'a Node,
    what: &str,
    empty: EmptyList,
    out: &mut Diagnostics,
) -> Option<Vec<&'a Node>> {
    match &node.value {
        Value::Sequence(_) => sequence(node, what, empty, out).map(|items| items.iter().collect()),
        Value::Scalar(_) | Value::Mapping(_) => Some(vec![node]),
        Value::Null => {
            out.push(wrong_type(node, what, "one item or a list of them"));
            None
        }
    }
}

/// Reads a mapping whose keys are names of the user's choice; see [`super::Fields`] for fixed keys. It may be empty.
///
/// # Errors
/// Reports `wrong-type` and returns `None`.
pub fn mapping<'a>(node: &'a Node, what: &str, out: &mut Diagnostics) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Mapping(entries) => Some(entries),
        _ => {
            out.push(
                wrong_type(node, what, "a mapping")
                    .with_help("write `{key: value}`, or one `key: value` per line"),
            );
            None
        }
    }
}

/// The scalar in a node, whatever it means.
pub(super) fn scalar<'a>(
    node: &'a Node,
    what: &str,
    expected: &str,
    out: &mut Diagnostics,
) -> Option<&'a Scalar> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar),
        _ => {
            out.push(wrong_type(node, what, expected));
            None
        }
    }
}

pub(super) fn wrong_type(node: &Node, what: &str, expected: &str) -> Diagnostic {
    let message = match &node.value {
        Value::Null => format!("{what} has no value, and must be {expected}"),
        _ => format!("{what} must be {expected}, not {}", node.kind()),
    };
    Diagnostic::error("wrong-type", &node.place, message)
}

fn quote_it(node: &Node, what: &str, written: &str, other: &str) -> Diagnostic {
    let shown = excerpt(written);
    let message = format!("{what} is text, and YAML can read `{shown}` as {other}");
    let help = format!("quote it: `{}`", quoted(&shown));
    Diagnostic::error("quote-it", &node.place, message).with_help(help)
}

/// Whether a null was spelt out, rather than left out: its place then holds the word, not the key.
fn is_written_null(node: &Node) -> bool {
    matches!(node.value, Value::Null) && matches!(node.place.text(), "~" | "null" | "Null" | "NULL")
}
