//! From bytes to text that shows what it says.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place, SourceFile};

use super::syntax::may_show_secret;

/// How many forbidden characters of one text are reported.
const MAX_REPORTED: usize = 10;

/// Takes the bytes of a file as UTF-8, without a byte-order mark at its start. Line breaks may be LF or CRLF.
///
/// # Errors
/// One diagnostic that names the encoding, or the offset of the first byte that is no UTF-8.
#[expect(
    clippy::result_large_err,
    reason = "once per file, and the diagnostic is moved into a list at once"
)]
pub fn decode_utf8(name: &str, bytes: &[u8]) -> Result<Arc<SourceFile>, Diagnostic> {
    if let Some(encoding) = wide_encoding(bytes) {
        let message = format!("the file is in {encoding}, not in UTF-8");
        return Err(refusal(name, message));
    }
    let content = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(content) {
        Ok(text) => Ok(SourceFile::new(name, text)),
        Err(error) => {
            let offset = bytes.len() - content.len() + error.valid_up_to();
            let line = bytes
                .iter()
                .take(offset)
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            let message = match bytes.get(offset) {
                Some(byte) => format!(
                    "the file is not UTF-8: byte 0x{byte:02x} at offset {offset}, in line {line}"
                ),
                None => format!("the file is not UTF-8 at offset {offset}, in line {line}"),
            };
            Err(refusal(name, message))
        }
    }
}

fn refusal(name: &str, message: String) -> Diagnostic {
    Diagnostic::global_error("not-utf8", message)
        .in_file(name)
        .with_help("save the file as UTF-8")
}

/// UTF-16 and UTF-32, told by a byte-order mark or by the zeros beside the first ASCII character (YAML 1.2.2,
/// section 5.2).
fn wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0, 0, 0xfe, 0xff, ..]
        | [0xff, 0xfe, 0, 0, ..]
        | [0, 0, 0, 1..=255, ..]
        | [1..=255, 0, 0, 0, ..] => Some("UTF-32"),
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, 1..=255, ..] | [1..=255, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// Reports characters that YAML does not allow in a text (a parser may stop at NUL and drop the rest), and those that
/// make a text look different from what it is: byte-order marks and bidirectional controls.
pub(super) fn forbidden_characters(file: &Arc<SourceFile>) -> Vec<Diagnostic> {
    let found = file
        .text()
        .char_indices()
        .filter(|(_, character)| is_forbidden(*character));
    found
        .take(MAX_REPORTED)
        .map(|(offset, character)| {
            let place = Place::new(file, offset, offset + character.len_utf8());
            let number = u32::from(character);
            let message =
                format!("the character U+{number:04X} is not allowed in the text of a file");
            let escape = match number {
                0..=0xff => format!("\\x{number:02x}"),
                0x100..=0xffff => format!("\\u{number:04x}"),
                _ => format!("\\U{number:08x}"),
            };
            let help = format!("remove it, or write it as `{escape}` within double quotes");
            let problem = Diagnostic::error("forbidden-character", &place, message).with_help(help);
            if may_show_secret(file, offset) {
                problem.hide_snippet()
            } else {
                problem
            }
        })
        .collect()
}

fn is_forbidden(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fffe}'
        | '\u{ffff}' => true,
        _ => character.is_control(),
    }
}
