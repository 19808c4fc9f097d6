//! Problems found in what a user wrote: where they are, what is wrong, and the way out.
//!
//! A [`Diagnostic`] is built next to the mistake, collected in [`Diagnostics`] and shown once, either as text with
//! the source line and a caret or as JSON. Nothing here reads a file or knows what language the text is in. Whatever
//! is shown has its control characters escaped, and ranges that were concealed in their [`SourceFile`] are masked.

mod annotation;
mod nearest;
mod snippet;
mod source;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

pub use self::nearest::nearest;
pub use self::snippet::{excerpt, printable};
pub use self::source::{Place, SourceFile};

/// How many diagnostics a [`Diagnostics`] keeps; the rest are only counted.
pub const MAX_KEPT: usize = 1_000;

/// Whether a problem stops the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but probably not as meant.
    Warning,
}

impl Severity {
    /// The word that opens the rendered diagnostic and stands in its JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem, ready to be shown to whoever wrote the text.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Whether it stops the load.
    pub severity: Severity,
    /// A stable, kebab-case word for this kind of problem, such as `unknown-key`.
    pub code: &'static str,
    /// One sentence saying what is wrong, without a final full stop.
    pub message: String,
    /// Where it is, if it is inside a text that was read.
    pub place: Option<Place>,
    /// The file it concerns when there is no place in it, such as a file that could not be read.
    pub file: Option<String>,
    /// What to write instead; may have several lines.
    pub help: Option<String>,
    /// Other places that explain the problem, each with its own words.
    pub related: Vec<(Place, String)>,
    hidden: bool,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, Some(place.clone()), message.into())
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, Some(place.clone()), message.into())
    }

    /// Warns of a file as a whole.
    pub fn warning_in(code: &'static str, file: &str, message: impl Into<String>) -> Self {
        let mut warning = Self::global_error(code, message).in_file(file);
        warning.severity = Severity::Warning;
        warning
    }

    /// An error that belongs to no place, such as an empty directory. See [`Diagnostic::in_file`].
    pub fn global_error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, None, message.into())
    }

    fn new(severity: Severity, code: &'static str, place: Option<Place>, message: String) -> Self {
        Self {
            severity,
            code,
            message,
            place,
            file: None,
            help: None,
            related: Vec::new(),
            hidden: false,
        }
    }

    /// Names the file of a diagnostic that has no place in it.
    #[must_use]
    pub fn in_file(mut self, name: impl Into<String>) -> Self {
        self.file = Some(name.into());
        self
    }

    /// Adds the way out; a later call replaces an earlier one.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds another place that explains the problem, such as the first of two definitions.
    #[must_use]
    pub fn with_related(mut self, place: &Place, text: impl Into<String>) -> Self {
        self.related.push((place.clone(), text.into()));
        self
    }

    /// Shows the location but no source line, neither here nor for the related places: the line may hold a secret.
    #[must_use]
    pub fn hide_snippet(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// The diagnostic as plain text in the manner of rustc, ending with a line break.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{}[{}]: {}",
            self.severity.as_str(),
            self.code,
            printable(&self.message)
        );
        let gutter = self.gutter();
        match (&self.place, &self.file) {
            (Some(place), _) => {
                snippet::location(&mut out, gutter, "-->", place);
                if !self.hidden {
                    snippet::source_line(&mut out, gutter, '^', place, "");
                }
            }
            (None, Some(file)) => {
                let _ = writeln!(out, "{:gutter$}--> {}", "", printable(file));
            }
            (None, None) => {}
        }
        for (place, text) in &self.related {
            snippet::location(&mut out, gutter, ":::", place);
            if self.hidden {
                let _ = writeln!(out, "{:gutter$} = note: {}", "", printable(text));
            } else {
                snippet::source_line(&mut out, gutter, '-', place, &printable(text));
            }
        }
        if let Some(help) = &self.help {
            let mut label = "= help:";
            for line in help.lines() {
                let _ = writeln!(out, "{:gutter$} {label} {}", "", printable(line));
                label = "       ";
            }
        }
        out
    }

    /// The diagnostic as JSON: `severity`, `code`, `message`, `help`, `related`, and `file` with 1-based `line`,
    /// `column`, `end_line` and `end_column` where known. It never holds source text.
    pub fn to_json(&self) -> Value {
        let mut object = match &self.place {
            Some(place) => place_json(place),
            None => Map::new(),
        };
        if let (None, Some(file)) = (&self.place, &self.file) {
            object.insert("file".to_owned(), json!(printable(file)));
        }
        object.insert("severity".to_owned(), json!(self.severity.as_str()));
        object.insert("code".to_owned(), json!(self.code));
        object.insert("message".to_owned(), json!(printable(&self.message)));
        if let Some(help) = &self.help {
            let lines: Vec<String> = help.lines().map(printable).collect();
            object.insert("help".to_owned(), json!(lines.join("\n")));
        }
        if !self.related.is_empty() {
            let related = self.related.iter().map(|(place, text)| {
                let mut object = place_json(place);
                object.insert("message".to_owned(), json!(printable(text)));
                Value::Object(object)
            });
            object.insert("related".to_owned(), related.collect());
        }
        Value::Object(object)
    }

    /// The width of the widest line number shown, so that all bars of one diagnostic stand below each other.
    fn gutter(&self) -> usize {
        let places = self
            .place
            .iter()
            .chain(self.related.iter().map(|(place, _)| place));
        let line = places
            .map(|place| place.file.line_column(place.start).0)
            .max();
        line.map_or(1, |line| line.to_string().len())
    }

    fn file_name(&self) -> Option<&str> {
        self.place
            .as_ref()
            .map_or(self.file.as_deref(), |place| Some(place.file.name()))
    }

    /// No file first, then by file; within a file what has no place first, then by position.
    fn compare(&self, other: &Self) -> Ordering {
        let position = |one: &Self| one.place.as_ref().map(|place| (place.start, place.end));
        self.file_name()
            .cmp(&other.file_name())
            .then_with(|| position(self).cmp(&position(other)))
    }
}

fn place_json(place: &Place) -> Map<String, Value> {
    let (line, column) = place.file.line_column(place.start);
    let (end_line, end_column) = place.file.line_column(place.end.max(place.start));
    let mut object = Map::new();
    object.insert("file".to_owned(), json!(printable(place.file.name())));
    object.insert("line".to_owned(), json!(line));
    object.insert("column".to_owned(), json!(column));
    object.insert("end_line".to_owned(), json!(end_line));
    object.insert("end_column".to_owned(), json!(end_column));
    object
}

/// Every problem of one load.
///
/// At most [`MAX_KEPT`] are kept; further ones are counted, and a further error takes the place of a kept warning, so
/// that a load with errors always shows one.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    /// Adds one diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        self.keep(diagnostic);
    }

    /// Adds several diagnostics. See [`Diagnostics::append`] to join two collections.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }

    /// Adds all of another collection, with what it only counted.
    pub fn append(&mut self, other: Self) {
        self.errors += other.errors;
        self.warnings += other.warnings;
        for diagnostic in other.kept {
            self.keep(diagnostic);
        }
    }

    fn keep(&mut self, diagnostic: Diagnostic) {
        if self.kept.len() < MAX_KEPT {
            self.kept.push(diagnostic);
        } else if diagnostic.severity == Severity::Error {
            let warning = self
                .kept
                .iter_mut()
                .rev()
                .find(|kept| kept.severity == Severity::Warning);
            if let Some(warning) = warning {
                *warning = diagnostic;
            }
        }
    }

    /// The errors alone.
    #[must_use]
    pub fn errors_only(mut self) -> Self {
        self.kept.retain(|kept| kept.severity == Severity::Error);
        self.warnings = 0;
        self
    }

    /// Whether anything stops the load.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The number of errors, those not kept included.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// The number of warnings, those not kept included.
    pub fn warning_count(&self) -> usize {
        self.warnings
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The kept diagnostics in their present order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.kept.iter()
    }

    /// Orders by file and position; what belongs to no file comes first. Ties keep the order of arrival.
    pub fn sort(&mut self) {
        self.kept.sort_by(Diagnostic::compare);
    }

    /// All kept diagnostics as plain text, separated by blank lines, and a closing count such as
    /// `3 errors, 1 warning`. Empty when there are none.
    pub fn render(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut out = String::new();
        for diagnostic in &self.kept {
            out.push_str(&diagnostic.render());
            out.push('\n');
        }
        let unseen = (self.errors + self.warnings).saturating_sub(self.kept.len());
        if unseen > 0 {
            let _ = writeln!(out, "{unseen} more not shown");
        }
        let counts = [
            counted(self.errors, "error"),
            counted(self.warnings, "warning"),
        ];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        let _ = writeln!(out, "{}", counts.join(", "));
        out
    }

    /// An object with the counts `errors` and `warnings` and the list `diagnostics` of the kept ones.
    pub fn to_json(&self) -> Value {
        let list: Vec<Value> = self.kept.iter().map(Diagnostic::to_json).collect();
        json!({"errors": self.errors, "warnings": self.warnings, "diagnostics": list})
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn counted(count: usize, noun: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{count} {noun}s")),
    }
}
