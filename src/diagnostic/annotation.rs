//! Diagnostics as workflow commands of GitHub Actions, which shows them beside the lines of a change.

use std::fmt::Write as _;

use super::{Diagnostic, printable};

impl Diagnostic {
    /// One line such as `::error file=policies/orders.yaml,line=6,col=41,…::…`. The help follows the
    /// message on lines of its own, and related places are named by file and line. File names are
    /// given as they were read, so run it from the repository's root.
    pub fn to_annotation(&self) -> String {
        let mut properties = Vec::new();
        if let Some(place) = &self.place {
            let (line, column) = place.file.line_column(place.start);
            let (end_line, end_column) = place.file.line_column(place.end.max(place.start));
            properties.push(("file", printable(place.file.name())));
            properties.push(("line", line.to_string()));
            properties.push(("endLine", end_line.to_string()));
            // Columns are shown within one line only, and both of them are counted in.
            if line == end_line {
                properties.push(("col", column.to_string()));
                let last = end_column.saturating_sub(1).max(column);
                properties.push(("endColumn", last.to_string()));
            }
        } else if let Some(file) = &self.file {
            properties.push(("file", printable(file)));
        }
        properties.push(("title", self.code.to_owned()));
        let properties: Vec<String> = properties
            .into_iter()
            .map(|(name, value)| format!("{name}={}", property(&value)))
            .collect();
        let mut message = printable(&self.message);
        for (place, text) in &self.related {
            let _ = write!(message, "\n{place}: {}", printable(text));
        }
        for line in self.help.iter().flat_map(|help| help.lines()) {
            let _ = write!(message, "\n{}", printable(line));
        }
        let severity = self.severity.as_str();
        format!("::{severity} {}::{}", properties.join(","), data(&message))
    }
}

/// A message: `%` and line breaks stand for something else in workflow commands.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property, which ends at `,` and `:` as well.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
