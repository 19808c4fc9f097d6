//! The tree that a YAML text becomes.

use std::fmt;

use crate::diagnostic::Place;

/// What a text may cost. All limits are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of the text in bytes, and of all text that aliases repeat.
    pub max_bytes: usize,
    /// Keys, values, lists and mappings together, counted after aliases are expanded.
    pub max_nodes: usize,
    /// Lists and mappings inside each other, counted after aliases are expanded. At most 200, whatever is asked for.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 4 * 1024 * 1024,
            max_nodes: 1_000_000,
            max_depth: 64,
        }
    }
}

/// A value and where it is written. A node that an alias stands for has the place of what the anchor names.
#[derive(Clone, Debug)]
pub struct Node {
    /// The range of the value; for one that was left out, its key.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing at all, or one of `~`, `null`, `Null` and `NULL` without quotes.
    Null,
    /// Text, or what may be a number or a boolean.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping in the order it is written; its keys differ from each other.
    Mapping(Vec<Entry>),
}

/// A single value as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, with escapes and line folding resolved.
    pub text: String,
    /// Whether it may be anything else than text.
    pub style: ScalarKind,
}

impl fmt::Debug for Scalar {
    /// Leaves the text out, as it may be a secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Scalar({:?}, {} bytes)", self.style, self.text.len())
    }
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// Without quotes: text, a number or a boolean.
    Plain,
    /// In quotes, as a block (`|`, `>`) or with the tag `!!str`: always text.
    Quoted,
}

/// One key of a mapping with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key, always as text.
    pub key: String,
    /// Where the key is written.
    pub key_place: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The noun for what this is, for use in messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// Masks this node, and whatever is in it, in every snippet of its file. For values of secret fields, before
    /// anything is reported about them. See [`Place::conceal`].
    pub fn conceal(&self) {
        match &self.value {
            Value::Null => {}
            Value::Scalar(_) => self.place.conceal(),
            Value::Sequence(items) => {
                self.place.conceal();
                items.iter().for_each(Self::conceal);
            }
            Value::Mapping(entries) => {
                self.place.conceal();
                entries.iter().for_each(|entry| entry.value.conceal());
            }
        }
    }
}
