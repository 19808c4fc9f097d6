//! A text with a name, and ranges of it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A text that was read, with the name the user knows it by.
pub struct SourceFile {
    name: String,
    text: Arc<str>,
    line_starts: Vec<usize>,
    concealed: Mutex<Vec<(usize, usize)>>,
}

impl SourceFile {
    /// Takes a text and finds its lines once. The name is shown as it is given: a path, or a word such as `<stdin>`.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Arc<Self> {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(breaks.map(|(offset, _)| offset + 1))
            .collect();
        Arc::new(Self {
            name: name.into(),
            text,
            line_starts,
            concealed: Mutex::default(),
        })
    }

    /// The name as shown to the user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The 1-based line and the 1-based column, in characters, of a byte offset. An offset past the end is the end;
    /// one within a character is that character's start.
    pub fn line_column(&self, byte_offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(byte_offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_start(line);
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The byte range of the line around an offset, without its line break.
    pub(super) fn line_range(&self, byte_offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(byte_offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_start(line);
        let rest = self.text.get(start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        (start, start + line.len())
    }

    /// A line by its 1-based number, without its line break; empty if there is none.
    pub fn line(&self, number: usize) -> &str {
        if number == 0 || number > self.line_starts.len() {
            return "";
        }
        let (start, end) = self.line_range(self.line_start(number));
        self.text.get(start..end).unwrap_or_default()
    }

    fn line_start(&self, line: usize) -> usize {
        self.line_starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// Whether a concealed range touches `start..end`. See [`Place::conceal`].
    pub fn conceals_within(&self, start: usize, end: usize) -> bool {
        !self.concealed_within(start, end).is_empty()
    }

    /// The concealed ranges that touch `start..end`.
    pub(super) fn concealed_within(&self, start: usize, end: usize) -> Vec<(usize, usize)> {
        let concealed = self
            .concealed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        concealed
            .iter()
            .copied()
            .filter(|(from, to)| *from < end && start < *to)
            .collect()
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "SourceFile({:?}, {} bytes)",
            self.name,
            self.text.len()
        )
    }
}

/// A byte range of a [`SourceFile`]; cheap to clone.
#[derive(Clone)]
pub struct Place {
    /// The file it is in.
    pub file: Arc<SourceFile>,
    /// The first byte.
    pub start: usize,
    /// The byte after the last one; equal to `start` for a point.
    pub end: usize,
}

impl Place {
    /// A place that lies inside the file and on character boundaries, whatever the numbers.
    pub fn new(file: &Arc<SourceFile>, start: usize, end: usize) -> Self {
        let start = file.text.floor_char_boundary(start);
        let end = file.text.floor_char_boundary(end).max(start);
        Self {
            file: Arc::clone(file),
            start,
            end,
        }
    }

    /// The text of the range, empty if the range is not one of the file's.
    pub fn text(&self) -> &str {
        self.file
            .text()
            .get(self.start..self.end)
            .unwrap_or_default()
    }

    /// Masks this range in every snippet of its file from now on, also in those of diagnostics made before: a secret
    /// on the same line as another mistake is not shown either.
    pub fn conceal(&self) {
        if self.start < self.end {
            let mut concealed = self
                .file
                .concealed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if concealed.last() != Some(&(self.start, self.end)) {
                concealed.push((self.start, self.end));
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.file.line_column(self.start);
        write!(out, "{}:{line}:{column}", self.file.name())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
