//! Readers for mappings with fixed keys.

use crate::config::shape::Shape;
use crate::diagnostic::{Diagnostic, Diagnostics, MAX_KEPT, Place, excerpt, nearest};

use super::decode::{mapping, wrong_type};
use super::tree::{Entry, Node, Value};

/// How many known keys a help lists.
const LISTED: usize = 40;

/// The fields of a mapping whose keys are fixed.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    node: &'a Node,
    entries: &'a [Entry],
    shape: &'static Shape,
}

impl<'a> Fields<'a> {
    /// Opens a mapping and reports each key that its shape does not have, or has and does not honour.
    ///
    /// # Errors
    /// Reports `unknown-key` or `not-available` for each such key and goes on without it; reports `wrong-type` and
    /// returns `None` for anything but a mapping.
    pub fn new(node: &'a Node, shape: &'static Shape, out: &mut Diagnostics) -> Option<Self> {
        let what = shape.what;
        let entries = mapping(node, what, out)?;
        for entry in entries {
            match shape.key(&entry.key) {
                Some(key) if key.value.is_some() => {}
                Some(key) => out.push(
                    Diagnostic::error(
                        "not-available",
                        &entry.key_place,
                        format!("`{}` of {what} is not available in this version", key.name),
                    )
                    .with_help("remove it; nothing that it says would be enforced"),
                ),
                None => {
                    let available = shape.all().filter(|key| key.value.is_some());
                    let known: Vec<&str> = available.map(|key| key.name).collect();
                    report_unknown(entry, "unknown-key", what, &known, out);
                }
            }
        }
        Some(Self {
            node,
            entries,
            shape,
        })
    }

    /// The value of a key, if the key is there; a key without a value has a [`Value::Null`].
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key with its place and its value, if the key is there.
    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        debug_assert!(
            self.shape.key(key).is_some(),
            "the shape `{}` has no key `{key}`",
            self.shape.name
        );
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    /// Reports `missing-key` at the mapping and returns `None`.
    pub fn require(&self, key: &str, out: &mut Diagnostics) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("{} needs the key `{key}`", self.shape.what);
            out.push(
                Diagnostic::error("missing-key", self.place(), message)
                    .with_help(format!("add `{key}: …`")),
            );
        }
        found
    }

    /// Whether a key is there that this version does not honour; it was reported.
    pub fn holds_unavailable(&self) -> bool {
        let unavailable = |key: &str| self.shape.key(key).is_some_and(|key| key.value.is_none());
        self.entries.iter().any(|entry| unavailable(&entry.key))
    }

    /// What the mapping may hold.
    pub const fn shape(&self) -> &'static Shape {
        self.shape
    }

    /// Where the mapping is.
    pub fn place(&self) -> &'a Place {
        &self.node.place
    }

    /// All entries in the order they are written, unknown keys included.
    pub fn entries(&self) -> &'a [Entry] {
        self.entries
    }
}

/// Reads an externally tagged choice: a mapping with exactly one key, which names the kind and is one of `kinds`.
/// `what` is a noun phrase such as "an authenticator". Returns the kind, the place of its key and its value.
///
/// # Errors
/// Reports `unknown-kind`, `missing-kind`, `several-kinds` or `wrong-type` and returns `None`.
pub fn external_tag<'a>(
    node: &'a Node,
    what: &str,
    kinds: &[&'static str],
    out: &mut Diagnostics,
) -> Option<(&'a str, &'a Place, &'a Node)> {
    let Value::Mapping(entries) = &node.value else {
        let expected = "a mapping with one key that names its kind";
        out.push(wrong_type(node, what, expected).with_help(listed("kind", kinds)));
        return None;
    };
    let mut known = true;
    for entry in entries
        .iter()
        .filter(|entry| !kinds.contains(&entry.key.as_str()))
    {
        report_unknown(entry, "unknown-kind", what, kinds, out);
        known = false;
    }
    match entries.as_slice() {
        [entry] => known.then_some((&entry.key, &entry.key_place, &entry.value)),
        [] => {
            let message = format!("{what} needs one key that names its kind");
            out.push(
                Diagnostic::error("missing-kind", &node.place, message)
                    .with_help(listed("kind", kinds)),
            );
            None
        }
        [first, second, ..] => {
            if known {
                let message = format!(
                    "{what} has exactly one kind, and `{}` is a second one",
                    excerpt(&second.key)
                );
                let problem = Diagnostic::error("several-kinds", &second.key_place, message)
                    .with_related(&first.key_place, "the first one")
                    .with_help("keep one of them, or define both under names of their own");
                out.push(problem);
            }
            None
        }
    }
}

fn report_unknown(
    entry: &Entry,
    code: &'static str,
    what: &str,
    known: &[&str],
    out: &mut Diagnostics,
) {
    let noun = if code == "unknown-kind" {
        "kind"
    } else {
        "key"
    };
    let message = format!("`{}` is not a {noun} of {what}", excerpt(&entry.key));
    let mut problem = Diagnostic::error(code, &entry.key_place, message);
    // What will not be shown needs no search for the nearest word: a file can hold a million unknown keys.
    if out.error_count() < MAX_KEPT {
        problem = problem.with_help(match nearest(&entry.key, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => listed(noun, known),
        });
    }
    out.push(problem);
}

fn listed(noun: &str, known: &[&str]) -> String {
    let words: Vec<String> = known
        .iter()
        .take(LISTED)
        .map(|word| format!("`{word}`"))
        .collect();
    let more = if known.len() > LISTED { ", …" } else { "" };
    format!("known {noun}s: {}{more}", words.join(", "))
}
