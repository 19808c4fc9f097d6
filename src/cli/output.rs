//! Standard output and standard error of commands.

use std::io::Write;

/// Where commands print. A reader that went away (`| head`) ends the printing, not the program.
pub(super) struct Output;

impl Output {
    /// Prints a line of the answer.
    pub(super) fn line(text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// Prints the answer as one JSON document.
    pub(super) fn json(value: &serde_json::Value) {
        Self::line(&format!("{value:#}"));
    }

    /// Prints the answer as it is.
    pub(super) fn bytes(bytes: &[u8]) {
        let _ = std::io::stdout().lock().write_all(bytes);
    }

    /// Prints what people should know beside the answer.
    pub(super) fn note(text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Shows on a terminal how far a long work has come, in place of what was shown before.
    pub(super) fn progress(text: &str) {
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{text}");
    }

    /// Prints what went wrong.
    pub(super) fn error(text: &str) {
        Self::note(&format!("error: {text}"));
    }
}
