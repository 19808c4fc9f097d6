//! Nodes as they are collected: a flat list, in which an alias is only the index of what it stands for.
//!
//! What an alias costs is known when it is met, so nothing is copied before the whole text is known to fit the limits.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::{Place, SourceFile};

use super::tree::{Entry, Node, Scalar, Value};

/// A node before aliases are expanded.
pub(super) struct Raw {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) content: Content,
    pub(super) cost: Cost,
}

pub(super) enum Content {
    Null,
    Scalar(Scalar),
    Sequence(Vec<usize>),
    Mapping(Vec<RawEntry>),
}

pub(super) struct RawEntry {
    pub(super) key: Key,
    pub(super) value: usize,
}

pub(super) struct Key {
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a node amounts to with everything in it, after aliases are expanded.
#[derive(Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) nodes: usize,
    pub(super) bytes: usize,
    pub(super) height: usize,
}

impl Cost {
    /// Adds what a collection holds.
    pub(super) fn add(&mut self, child: Self) {
        self.nodes = self.nodes.saturating_add(child.nodes);
        self.bytes = self.bytes.saturating_add(child.bytes);
        self.height = self.height.max(child.height);
    }
}

/// A list or mapping whose end has not been read.
pub(super) struct Open {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) anchor: usize,
    pub(super) cost: Cost,
    pub(super) content: OpenContent,
}

pub(super) enum OpenContent {
    Sequence(Vec<usize>),
    Mapping {
        entries: Vec<RawEntry>,
        seen: HashMap<String, (usize, usize)>,
        next: Next,
    },
}

pub(super) enum Next {
    Key,
    ValueOf(Key),
    /// The value of a key that is no text: it is read and left out.
    ValueToDrop,
}

/// Builds the tree below a node, with aliases expanded. Recursion and size were bounded while reading.
pub(super) fn build(file: &Arc<SourceFile>, nodes: &[Raw], index: usize) -> Option<Node> {
    let raw = nodes.get(index)?;
    let value = match &raw.content {
        Content::Null => Value::Null,
        Content::Scalar(scalar) => Value::Scalar(scalar.clone()),
        Content::Sequence(items) => Value::Sequence(
            items
                .iter()
                .filter_map(|item| build(file, nodes, *item))
                .collect(),
        ),
        Content::Mapping(entries) => Value::Mapping(
            entries
                .iter()
                .filter_map(|entry| build_entry(file, nodes, entry))
                .collect(),
        ),
    };
    Some(Node {
        place: Place::new(file, raw.start, raw.end),
        value,
    })
}

fn build_entry(file: &Arc<SourceFile>, nodes: &[Raw], entry: &RawEntry) -> Option<Entry> {
    let key_place = Place::new(file, entry.key.start, entry.key.end);
    let mut value = build(file, nodes, entry.value)?;
    if matches!(value.value, Value::Null) && value.place.start == value.place.end {
        value.place = key_place.clone();
    }
    Some(Entry {
        key: entry.key.text.clone(),
        key_place,
        value,
    })
}
