//! The headers that a route injects, and the values that may be sent in them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use crate::headers::plan::Managed;
use crate::policy::expression::Expression;
use crate::policy::field::{Facts, Text};
use crate::policy::observe::Observe;
use crate::policy::observe::event::{Event, HeaderSet, HeadersPlanned};
use crate::policy::observe::shown::{Shown, WHY_HIDDEN};
use crate::verdict::{Reason, Refusal};

/// The longest value that is injected, in bytes: Envoy's `HeaderValue` holds 16,384.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 - 1;

/// The most bytes that all injected headers of one request may have: below Envoy's default bound of
/// 60 KiB on a request's headers, so that an injected value never makes a request fail there.
pub const MAX_INJECTED_BYTES: usize = 32 * 1024;

/// One header that a route sets.
#[derive(Debug)]
pub struct InjectHeader {
    /// Its name, lower-case.
    pub name: Arc<str>,
    /// Its value.
    pub expression: Expression,
    /// Whether the request is denied if there is no value.
    pub required: bool,
}

/// All headers that a route sets, and those it removes whatever the request shows.
#[derive(Debug)]
pub struct InjectPlan {
    headers: Vec<InjectHeader>,
    removed: Arc<[Arc<str>]>,
}

/// The headers that one party's policies own.
#[derive(Debug)]
pub struct Owned {
    /// Which they are.
    pub managed: Managed,
    /// Sets nothing and removes all of them.
    pub nothing: Arc<InjectPlan>,
}

impl Owned {
    /// Of these headers.
    pub fn new(managed: Managed) -> Self {
        let nothing = Arc::new(InjectPlan::new(Vec::new(), &managed));
        Self { managed, nothing }
    }
}

/// A header's name and value, ready to be sent.
pub type HeaderLine = (Arc<str>, String);

impl InjectPlan {
    /// A plan that sets `headers` and removes every other managed header.
    pub fn new(headers: Vec<InjectHeader>, managed: &Managed) -> Self {
        let set: HashSet<&str> = headers.iter().map(|header| header.name.as_ref()).collect();
        let removed = managed.always_removed(&set).into();
        Self { headers, removed }
    }

    /// The headers to set.
    pub fn headers(&self) -> &[InjectHeader] {
        &self.headers
    }

    /// The names that are removed whatever the request shows.
    pub const fn removed(&self) -> &Arc<[Arc<str>]> {
        &self.removed
    }

    /// Whether this plan may set a header of this very name.
    pub fn names(&self, name: &[u8]) -> bool {
        self.headers
            .iter()
            .any(|header| header.name.as_bytes() == name)
    }

    /// The headers to set, and the names of those that have no value and are to be removed.
    ///
    /// # Errors
    /// `inject_refused`: a required value is absent, an expression ends in an error, a value is an
    /// object, holds a control character or is too long.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Result<(Vec<HeaderLine>, Vec<Arc<str>>), Refusal> {
        let mut set = Vec::with_capacity(self.headers.len());
        let mut absent = Vec::new();
        let mut bytes = 0;
        for header in &self.headers {
            let refused = |why: &str| {
                Refusal::new(
                    Reason::InjectRefused,
                    format!("the value of `{}` {why}", header.name),
                )
            };
            let value = match header.expression.text(facts) {
                Text::Absent => String::new(),
                Text::One(text) => encoded(&text, false),
                Text::Many(texts) => joined(&texts),
                Text::Structured => return Err(refused("is an object or a nested list")),
                Text::Failed(why) => return Err(refused(&format!("can't be told: {why}"))),
            };
            if value.bytes().any(|byte| byte.is_ascii_control()) {
                return Err(refused("holds a control character"));
            }
            if value.len() > MAX_VALUE_BYTES {
                return Err(refused("is longer than 16 KiB"));
            }
            bytes += header.name.len() + value.len();
            if bytes > MAX_INJECTED_BYTES {
                return Err(refused("makes the injected headers longer than 32 KiB"));
            }
            match (value.is_empty(), header.required) {
                (true, true) => return Err(refused("is required and absent")),
                // Envoy drops an empty header, and then the caller's own would live on: remove it.
                (true, false) => absent.push(Arc::clone(&header.name)),
                (false, _) => set.push((Arc::clone(&header.name), value)),
            }
        }
        Ok((set, absent))
    }
}

impl InjectPlan {
    /// What an observer is told of the headers, given what [`InjectPlan::evaluate`] made of them.
    pub fn observed(
        &self,
        facts: &Facts<'_>,
        planned: Result<&(Vec<HeaderLine>, Vec<Arc<str>>), &Refusal>,
        observer: impl Observe,
    ) -> Event {
        let headers = self.headers.iter().map(|header| {
            let hidden = header
                .expression
                .fields()
                .any(|field| observer.hides(field));
            let sent = planned.ok().and_then(|(set, _)| {
                let line = set.iter().find(|(name, _)| *name == header.name);
                line.map(|(_, value)| value.as_str())
            });
            let value = match (sent, header.expression.text(facts)) {
                (Some(_), _) if hidden => Shown::Hidden(WHY_HIDDEN),
                (Some(value), _) => Shown::text(Some(value)),
                (None, Text::Failed(why)) => Shown::Error(why),
                (None, Text::Structured) => Shown::Error("an object or a nested list".to_owned()),
                (None, Text::Absent) => Shown::text(None),
                (None, _) if hidden => Shown::Hidden(WHY_HIDDEN),
                (None, Text::One(text)) => Shown::text(Some(&text)),
                (None, Text::Many(texts)) => Shown::text(Some(&joined(&texts))),
            };
            HeaderSet {
                name: header.name.to_string(),
                expression: header.expression.written().to_owned(),
                required: header.required,
                value,
            }
        });
        Event::Headers(HeadersPlanned {
            injected: headers.collect(),
            refused: planned.err().map(|refusal| refusal.detail.to_string()),
        })
    }
}

fn joined(texts: &[Cow<'_, str>]) -> String {
    let words: Vec<String> = texts
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| encoded(text, true))
        .collect();
    words.join(" ")
}

/// A value as it is sent: printable ASCII as it is, but `%`, which is percent-encoded like all that is
/// not ASCII (RFC 3986 section 2.1), and so are spaces at either end, which the next hop would trim, and
/// spaces within one element of a list. So no two values look alike to the upstream.
fn encoded(text: &str, element: bool) -> String {
    let plain = |byte: u8| byte.is_ascii() && byte != b'%' && !(element && byte == b' ');
    if text.bytes().all(plain) && !text.starts_with(' ') && !text.ends_with(' ') {
        return text.to_owned();
    }
    let (first, last) = (
        text.len() - text.trim_start_matches(' ').len(),
        text.trim_end_matches(' ').len(),
    );
    let mut out = String::with_capacity(text.len() + 16);
    for (position, byte) in text.bytes().enumerate() {
        let outer_space = byte == b' ' && (position < first || position >= last);
        if plain(byte) && !outer_space {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{encoded, joined};
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    #[test]
    fn h9_values_are_ascii_and_told_apart() {
        for (text, sent) in [
            ("alice", "alice"),
            ("José", "Jos%C3%A9"),
            ("Jos%C3%A9", "Jos%25C3%25A9"),
            (" alice", "%20alice"),
            ("alice  ", "alice%20%20"),
            ("Alice Smith", "Alice Smith"),
            ("  ", "%20%20"),
            ("", ""),
        ] {
            assert_eq!(encoded(text, false), sent, "{text}");
        }
        assert_eq!(joined(&["a b".into(), "c".into()]), "a%20b c");
        assert_eq!(joined(&["".into(), "".into()]), "");
    }

    proptest! {
        #[test]
        fn no_two_values_are_sent_alike(a in "[a%2 é]{0,6}", b in "[a%2 é]{0,6}") {
            prop_assert_eq!(encoded(&a, false) == encoded(&b, false), a == b);
        }

        #[test]
        fn what_is_sent_is_ascii_and_survives_trimming(text in "\\PC{0,40}") {
            let sent = encoded(&text, false);
            prop_assert!(sent.is_ascii());
            prop_assert_eq!(sent.trim_ascii(), &sent);
        }
    }
}
