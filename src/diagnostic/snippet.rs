//! Source lines with carets, safe to print on a terminal.

use std::fmt::Write as _;

use super::source::Place;

/// How many characters of a long line are shown, and how many of them stand before the caret.
const WINDOW: usize = 160;
const LEAD: usize = 60;
/// How many characters of a user's text a message repeats.
const EXCERPT: usize = 60;
const MASK: &str = "[hidden]";

/// Text in which every character that could move a cursor, start an escape sequence or reorder what is read is
/// written as `\u{…}`; a tab becomes a space.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        push_printable(&mut out, character);
    }
    out
}

/// The printable beginning of a user's text, at most 60 characters and an ellipsis, for use inside a message.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => printable(text.get(..end).unwrap_or_default()) + "…",
        None => printable(text),
    }
}

/// Adds the printable form and says how many characters it has.
fn push_printable(out: &mut String, character: char) -> usize {
    let invisible = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    if character == '\t' {
        out.push(' ');
        1
    } else if character.is_control() || invisible {
        let escaped = character.escape_unicode();
        let width = escaped.len();
        out.extend(escaped);
        width
    } else {
        out.push(character);
        1
    }
}

/// The line that names a place: `  --> file:line:column`.
pub(super) fn location(out: &mut String, gutter: usize, arrow: &str, place: &Place) {
    let (line, column) = place.file.line_column(place.start);
    let name = printable(place.file.name());
    let _ = writeln!(out, "{:gutter$}{arrow} {name}:{line}:{column}", "");
}

/// The source line of a place with the range underlined, and a label after the underline.
pub(super) fn source_line(
    out: &mut String,
    gutter: usize,
    underline: char,
    place: &Place,
    label: &str,
) {
    let (line, _) = place.file.line_column(place.start);
    let drawn = Drawn::new(place);
    let _ = writeln!(out, "{:gutter$} |", "");
    let _ = writeln!(out, "{line:>gutter$} | {}", drawn.text.trim_end());
    let marks: String = std::iter::repeat_n(underline, drawn.width).collect();
    let under = format!(
        "{:gutter$} | {:lead$}{marks} {label}",
        "",
        "",
        lead = drawn.lead
    );
    let _ = writeln!(out, "{}", under.trim_end());
}

/// What of a line is shown, and where the underline stands in it, in characters.
struct Drawn {
    text: String,
    lead: usize,
    width: usize,
}

impl Drawn {
    fn new(place: &Place) -> Self {
        let source = place.file.text();
        let (line_start, line_end) = place.file.line_range(place.start);
        let (from, to) = window(source, line_start, line_end, place.start);
        let concealed = place.file.concealed_within(from, to);
        let (mut start, mut end) = (place.start.clamp(from, to), place.end.clamp(from, to));
        for (first, last) in &concealed {
            // A caret inside a mask would tell how long the secret's parts are, so it covers the whole mask.
            if *first <= start && start < *last {
                start = (*first).max(from);
                end = end.max((*last).min(to));
            }
        }

        let mut text = String::new();
        let (mut column, mut lead, mut width) = (0, 0, 0);
        if from > line_start {
            text.push('…');
            column += 1;
            lead += 1;
        }
        let mut masking = false;
        let shown = source.get(from..to).unwrap_or_default();
        for (offset, character) in shown
            .char_indices()
            .map(|(offset, character)| (from + offset, character))
        {
            let mask = concealed
                .iter()
                .any(|(first, last)| *first <= offset && offset < *last);
            if !mask {
                column += push_printable(&mut text, character);
            } else if !masking {
                text.push_str(MASK);
                column += MASK.len();
            }
            masking = mask;
            if offset < start {
                lead = column;
            } else if offset < end {
                width = column.saturating_sub(lead);
            }
        }
        if to < line_end {
            text.push('…');
        }
        Self {
            text,
            lead,
            width: width.max(1),
        }
    }
}

/// The part of a line to show: all of it, or [`WINDOW`] characters around the caret.
fn window(source: &str, line_start: usize, line_end: usize, caret: usize) -> (usize, usize) {
    let caret = source
        .floor_char_boundary(caret)
        .clamp(line_start, line_end);
    let line = source.get(line_start..line_end).unwrap_or_default();
    if line.char_indices().nth(WINDOW).is_none() {
        return (line_start, line_end);
    }
    let before = source.get(line_start..caret).unwrap_or_default();
    let from = before
        .char_indices()
        .rev()
        .nth(LEAD - 1)
        .map_or(line_start, |(offset, _)| line_start + offset);
    let after = source.get(from..line_end).unwrap_or_default();
    let to = after
        .char_indices()
        .nth(WINDOW)
        .map_or(line_end, |(offset, _)| from + offset);
    (from, to)
}
