//! What a YAML parser's complaint means to whoever wrote the text, and what to do about it.

use std::sync::Arc;

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::{Diagnostic, Place, SourceFile, excerpt};

use super::LITERAL_SECRET_KEY;
use super::scalar::quoted;

/// The one diagnostic for a text that is not YAML. The snippet is left out where it might show a secret.
pub(super) fn syntax_error(file: &Arc<SourceFile>, error: &ScanError) -> Diagnostic {
    let offset = byte_offset(file, error);
    let place = error_place(file, error);
    let (message, help) = explain(error.kind());
    let mut diagnostic = Diagnostic::error("syntax", &place, message);
    if let Some(help) = tab_indentation(file, offset).or(help) {
        diagnostic = diagnostic.with_help(help);
    }
    if may_show_secret(file, place.start) {
        diagnostic.hide_snippet()
    } else {
        diagnostic
    }
}

/// An alias without an anchor: most often a wildcard that nobody quoted.
pub(super) fn unknown_anchor(place: &Place, name: &str) -> Diagnostic {
    let written = excerpt(&format!("*{name}"));
    let message = format!("`{written}` refers to an anchor that is not defined before it");
    let help = format!(
        "a value that begins with `*` must be quoted: `{}`",
        quoted(&written)
    );
    Diagnostic::error("unknown-anchor", place, message).with_help(help)
}

fn byte_offset(file: &SourceFile, error: &ScanError) -> usize {
    let marker = error.marker();
    let counted = || {
        file.text()
            .char_indices()
            .nth(marker.index())
            .map(|(offset, _)| offset)
    };
    let offset = marker.byte_offset().or_else(counted);
    let offset = offset.unwrap_or(file.text().len());
    file.text().floor_char_boundary(offset)
}

/// The character an error is at; at the end of the text, the last thing written before.
pub(super) fn error_place(file: &Arc<SourceFile>, error: &ScanError) -> Place {
    let text = file.text();
    let offset = byte_offset(file, error);
    let after = text.get(offset..).unwrap_or_default();
    let here = after
        .chars()
        .next()
        .filter(|character| !character.is_whitespace());
    if let Some(character) = here {
        return Place::new(file, offset, offset + character.len_utf8());
    }
    let before = text.get(..offset).unwrap_or_default().trim_end();
    match before.char_indices().next_back() {
        Some((start, _)) if after.is_empty() => Place::new(file, start, before.len()),
        _ => Place::new(file, offset, offset),
    }
}

fn tab_indentation(file: &SourceFile, offset: usize) -> Option<String> {
    let before = line_before(file, offset);
    let indentation = before
        .split(|character: char| !character.is_whitespace())
        .next()?;
    indentation
        .contains('\t')
        .then(|| "the line begins with a tab: indent with spaces".to_owned())
}

fn line_before(file: &SourceFile, offset: usize) -> &str {
    let before = file.text().get(..offset).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default()
}

/// Whether the line at an offset may hold a secret written in the open that is not masked.
///
/// That is so if the last key of such a secret is on the line, or above it with a value that is not read yet, reaches
/// into the line, or would reach into it by the indentation.
pub(super) fn may_show_secret(file: &SourceFile, offset: usize) -> bool {
    let (before, after) = file.text().split_at_checked(offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line_end = after.find('\n').map_or(file.text().len(), |at| offset + at);
    let shown = file.text().get(..line_end).unwrap_or_default();
    let Some(key) = shown.rfind(LITERAL_SECRET_KEY) else {
        return false;
    };
    key >= line_start
        || !file.conceals_within(key, line_start)
        || file.conceals_within(line_start, line_end)
        || is_indented_below(shown, key)
}

/// Whether all lines after the one at `offset` are indented deeper than it, blank ones aside.
fn is_indented_below(text: &str, offset: usize) -> bool {
    let (before, after) = text.split_at_checked(offset).unwrap_or_default();
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let above = indentation(before.rsplit('\n').next().unwrap_or_default());
    let mut below = after
        .split('\n')
        .skip(1)
        .filter(|line| !line.trim().is_empty());
    below.all(|line| indentation(line) > above)
}

fn explain(kind: &ErrorKind) -> (String, Option<String>) {
    let (message, help) = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => ("a tab cannot stand here", "indent with spaces"),
        ErrorKind::MissingAnchorOrAliasName => (
            "a value cannot begin with `*` or `&`",
            "quote it, such as `\"*\"`",
        ),
        ErrorKind::UnexpectedCharacter { character } => {
            let message = format!("a value cannot begin with `{character}`");
            return (message, Some("put the value in quotes".to_owned()));
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar
        | ErrorKind::InvalidTrailingSingleQuotedScalar => (
            "the value goes on after its closing quote",
            "put the whole value in quotes of the other kind: `'\"a\" == b'`",
        ),
        ErrorKind::UnclosedQuotedScalar => (
            "the quote that opens here is never closed",
            "add the closing quote; in single quotes, write `''` for an apostrophe",
        ),
        ErrorKind::UnclosedFlowCollection { open } => {
            let message = format!("the `{open}` that opens here is never closed");
            return (message, Some("add the closing bracket".to_owned()));
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            let message = format!("`{close}` does not close the `{open}` that was opened");
            return (message, Some("make the brackets match".to_owned()));
        }
        ErrorKind::MisplacedFlowCollectionEnd => (
            "this bracket closes nothing",
            "remove it, or quote the value that contains it",
        ),
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => (
            "a `,` or a closing bracket is expected here",
            "within `{…}` and `[…]`, quote values that contain `{`, `}`, `[`, `]` or `,`: `path: \"/orders/{id}\"`",
        ),
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed => (
            "a `key: value` cannot stand here",
            "check the indentation; quote a value that itself contains `: `",
        ),
        ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::ExpectedBlockMappingKey => (
            "a `key: value` is expected here",
            "check the indentation, and the `:` with a space behind the key",
        ),
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::BlockSequenceEntryNotAllowed => (
            "the items of a list and the keys of a mapping are mixed here",
            "check the indentation: each item of a list begins with `- ` in the same column",
        ),
        ErrorKind::InvalidIndentation
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidFlowScalarIndent => (
            "the indentation does not fit the lines above",
            "indent with spaces, and lines that belong together alike",
        ),
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape => (
            "this is no escape of a double-quoted value",
            "write `\\\\` for a backslash, or use single quotes, where it needs no escape",
        ),
        ErrorKind::DirectiveDisallowed => (
            "a line that begins with `%` is a YAML directive, which is not supported",
            "remove the line; the text is read as YAML 1.2",
        ),
        other => return (format!("this is not valid YAML: {other}"), None),
    };
    (message.to_owned(), Some(help.to_owned()))
}
