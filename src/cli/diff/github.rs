//! Differences as annotations of a GitHub workflow.

use crate::diagnostic::Place;
use crate::policy::diff::{Diff, Difference, Effect};

/// One line for each difference: a warning for what may open, else a notice.
pub(super) fn annotations(diff: &Diff) -> Vec<String> {
    let routes = diff.routes.iter().flat_map(|change| {
        let judge = change.new.as_ref().or(change.old.as_ref());
        let place = judge.and_then(|judge| judge.place.as_ref());
        let what = format!(
            "{} {} on {}",
            change.methods,
            change.paths.join(", "),
            change.hosts.join(", ")
        );
        let differences = change.differences.iter();
        differences.map(move |one| annotation(one, &what, place))
    });
    let named = diff.named.iter().flat_map(|change| {
        let place = change.new.as_ref().or(change.old.as_ref());
        let what = format!("{} {}", change.what, change.name);
        let differences = change.differences.iter();
        differences.map(move |one| annotation(one, what.trim_end(), place))
    });
    routes.chain(named).collect()
}

fn annotation(one: &Difference, what: &str, place: Option<&Place>) -> String {
    let level = match one.effect {
        Effect::Opened | Effect::Changed => "warning",
        Effect::Closed | Effect::Headers | Effect::Answers => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = place {
        let (line, _) = place.file.line_column(place.start);
        properties.push(format!("file={}", property(place.file.name())));
        properties.push(format!("line={line}"));
    }
    properties.push(format!(
        "title={}",
        property(&format!("policy {}", one.effect.as_str()))
    ));
    let message = data(&format!("{what}: {}", one.text));
    format!("::{level} {}::{message}", properties.join(","))
}

/// A message: what would end the line is encoded.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property: what would end it, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{data, property};

    #[test]
    fn what_would_end_an_annotation_is_encoded() {
        assert_eq!(data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(property("a:b,c%"), "a%3Ab%2Cc%25");
    }
}
