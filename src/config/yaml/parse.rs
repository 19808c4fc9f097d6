//! From text to a tree, within limits.
//!
//! The parser's events are counted as they come and collected as [`super::raw`] nodes; the tree is built at the end.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_yaml::granit_parser::{
    ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag, options,
};

use crate::diagnostic::{Diagnostic, Place, SourceFile, excerpt, nearest};

use super::LITERAL_SECRET_KEY;
use super::encoding::forbidden_characters;
use super::raw::{Content, Cost, Key, Next, Open, OpenContent, Raw, RawEntry, build};
use super::scalar::{Core, core};
use super::syntax::{error_place, syntax_error, unknown_anchor};
use super::tree::{Limits, Node, Scalar, ScalarKind, Value};

/// How many problems of one text are reported; reading stops at the last of them.
const MAX_PROBLEMS: usize = 100;
/// What [`Limits::max_depth`] is cut to: trees are walked and dropped by recursion.
const DEEPEST: usize = 200;

/// Reads one YAML document. An empty text, or one of comments only, is a [`Value::Null`] at its start.
///
/// # Errors
/// Every problem found, at least one: text beyond the limits, anything but exactly one document, keys that are
/// doubled, empty or no text, merge keys, tags outside the core schema, aliases without an anchor or inside what they
/// name, directives, forbidden characters. The first error of syntax ends the reading.
pub fn parse(file: &Arc<SourceFile>, limits: &Limits) -> Result<Node, Vec<Diagnostic>> {
    if file.text().len() > limits.max_bytes {
        let message = format!(
            "the text has {} bytes, and the limit is {}",
            file.text().len(),
            limits.max_bytes
        );
        let problem = Diagnostic::error("too-large", &Place::new(file, 0, 0), message);
        return Err(vec![
            problem
                .hide_snippet()
                .with_help("split it into several files"),
        ]);
    }
    let forbidden = forbidden_characters(file);
    if !forbidden.is_empty() {
        return Err(forbidden);
    }
    let options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        disallow_directives: true,
    };
    let mut reader = Reader::new(file, limits);
    for step in Parser::new_from_str_with_options(file.text(), options) {
        let flow = match step {
            Ok((event, span)) => reader.read(event, &span),
            Err(error) => reader.syntax(&error),
        };
        if flow.is_break() || reader.problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    reader.finish()
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    limits: Limits,
    nodes: Vec<Raw>,
    open: Vec<Open>,
    anchors: HashMap<usize, usize>,
    root: Option<usize>,
    documents: usize,
    /// Nodes after expansion, and bytes of text that aliases repeat.
    expanded: usize,
    repeated: usize,
    aliased: bool,
    problems: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a Arc<SourceFile>, limits: &Limits) -> Self {
        Self {
            file,
            limits: Limits {
                max_depth: limits.max_depth.min(DEEPEST),
                ..*limits
            },
            nodes: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            documents: 0,
            expanded: 0,
            repeated: 0,
            aliased: false,
            problems: Vec::new(),
        }
    }

    fn finish(self) -> Result<Node, Vec<Diagnostic>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let tree = self
            .root
            .and_then(|root| build(self.file, &self.nodes, root));
        Ok(tree.unwrap_or_else(|| Node {
            place: Place::new(self.file, 0, 0),
            value: Value::Null,
        }))
    }

    fn read(&mut self, event: Event<'_>, span: &Span) -> ControlFlow<()> {
        let (start, end) = self.range(span);
        match event {
            Event::DocumentStart(..) => self.document(start, end),
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, 0, start, end)?;
                let content = self.scalar(&text, style, tag.as_deref(), span);
                let end = self.trimmed(start, end);
                self.add(start, end, content, anchor);
                ControlFlow::Continue(())
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", span);
                self.open(start, end, anchor, OpenContent::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", span);
                let content = OpenContent::Mapping {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    next: Next::Key,
                };
                self.open(start, end, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(start, end);
                ControlFlow::Continue(())
            }
            Event::Alias(anchor) => self.alias(anchor, start, end),
            Event::UnresolvedAlias(name) => {
                self.count(1, 0, start, end)?;
                self.problems
                    .push(unknown_anchor(&self.place(start, end), &name));
                self.add(start, end, Content::Null, 0);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn document(&mut self, start: usize, end: usize) -> ControlFlow<()> {
        self.documents += 1;
        if self.documents == 1 {
            return ControlFlow::Continue(());
        }
        let problem = Diagnostic::error(
            "second-document",
            &self.place(start, end),
            "a second document begins here",
        );
        self.stop(problem.with_help("a file holds one document: remove the `---`, or move what follows to a file of its own"))
    }

    fn stop(&mut self, problem: Diagnostic) -> ControlFlow<()> {
        self.problems.push(problem);
        ControlFlow::Break(())
    }

    /// Counts what is about to be read, and stops above a limit.
    fn count(
        &mut self,
        nodes: usize,
        repeated: usize,
        start: usize,
        end: usize,
    ) -> ControlFlow<()> {
        self.expanded = self.expanded.saturating_add(nodes);
        self.repeated = self.repeated.saturating_add(repeated);
        let limit = if self.expanded > self.limits.max_nodes {
            format!("{} keys and values", self.limits.max_nodes)
        } else if self.repeated > self.limits.max_bytes {
            format!("{} bytes of repeated text", self.limits.max_bytes)
        } else {
            return ControlFlow::Continue(());
        };
        let place = self.place(start, end);
        self.stop(if self.aliased {
            Diagnostic::error(
                "alias-bomb",
                &place,
                format!("expanding aliases exceeds the limit of {limit}"),
            )
            .with_help("write out what the aliases repeat, or repeat less")
        } else {
            Diagnostic::error(
                "too-many-nodes",
                &place,
                format!("the text exceeds the limit of {limit}"),
            )
            .with_help("split it into several files")
        })
    }

    fn check_depth(&mut self, height: usize, start: usize, end: usize) -> ControlFlow<()> {
        if self.open.len().saturating_add(height) <= self.limits.max_depth {
            return ControlFlow::Continue(());
        }
        let problem = self.too_deep(&self.place(start, end));
        self.stop(problem)
    }

    fn too_deep(&self, place: &Place) -> Diagnostic {
        let depth = self.limits.max_depth;
        let message =
            format!("more than {depth} lists and mappings are nested here, which is the limit");
        Diagnostic::error("too-deep", place, message).with_help("flatten what is nested")
    }

    fn syntax(&mut self, error: &ScanError) -> ControlFlow<()> {
        // The parser looks ahead, so its own and larger limit may be met before ours.
        let problem = match error.kind() {
            ErrorKind::RecursionLimitExceeded => self.too_deep(&error_place(self.file, error)),
            _ => syntax_error(self.file, error),
        };
        self.stop(problem)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Span,
    ) -> Content {
        let plain = style == ScalarStyle::Plain;
        let left_out = plain && span.start == span.end;
        let resolved = if left_out { Core::Null } else { core(text) };
        let of_kind = |style| {
            Content::Scalar(Scalar {
                text: text.to_owned(),
                style,
            })
        };
        let fits = match tag.map(Tag::core_suffix) {
            None if plain && resolved == Core::Null => return Content::Null,
            None => {
                return of_kind(if plain {
                    ScalarKind::Plain
                } else {
                    ScalarKind::Quoted
                });
            }
            Some(Some("str")) => return of_kind(ScalarKind::Quoted),
            Some(Some("null")) if resolved == Core::Null => return Content::Null,
            Some(Some("bool")) => matches!(resolved, Core::Boolean(_)),
            Some(Some("int")) => matches!(resolved, Core::Integer(_)),
            Some(Some("float")) => matches!(resolved, Core::Integer(_) | Core::Float(_)),
            Some(_) => false,
        };
        if !fits && let Some(tag) = tag {
            self.refuse_tag(tag, span);
        }
        of_kind(ScalarKind::Plain)
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, expected: &str, span: &Span) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(expected)
        {
            self.refuse_tag(tag, span);
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, span: &Span) {
        let (start, end) = self.range(&span.tag_span().unwrap_or(*span));
        let place = self.place(start, end);
        let written = excerpt(&tag.original());
        self.problems.push(if tag.core_suffix().is_some() {
            Diagnostic::error(
                "tag-mismatch",
                &place,
                format!("the value is not what the tag `{written}` says"),
            )
            .with_help("remove the tag")
        } else {
            Diagnostic::error(
                "unsupported-tag",
                &place,
                format!("`{written}` is a YAML tag, which is not supported"),
            )
            .with_help("a value that begins with `!` must be quoted")
        });
    }

    /// Adds a scalar or nothing, which is complete at once.
    fn add(&mut self, start: usize, end: usize, content: Content, anchor: usize) {
        let bytes = match &content {
            Content::Scalar(scalar) => scalar.text.len(),
            _ => 0,
        };
        let cost = Cost {
            nodes: 1,
            bytes,
            height: 0,
        };
        self.complete(
            Raw {
                start,
                end,
                content,
                cost,
            },
            anchor,
        );
    }

    fn complete(&mut self, raw: Raw, anchor: usize) {
        let index = self.nodes.len();
        let end = raw.end;
        self.nodes.push(raw);
        if anchor != 0 {
            self.anchors.insert(anchor, index);
        }
        self.attach(index, end);
    }

    fn open(
        &mut self,
        start: usize,
        end: usize,
        anchor: usize,
        content: OpenContent,
    ) -> ControlFlow<()> {
        self.count(1, 0, start, end)?;
        self.check_depth(1, start, end)?;
        self.open.push(Open {
            start,
            end,
            anchor,
            cost: Cost::default(),
            content,
        });
        ControlFlow::Continue(())
    }

    fn close(&mut self, start: usize, end: usize) {
        let Some(open) = self.open.pop() else { return };
        // Only a bracket ends a collection by itself; without one it ends with the last thing in it.
        let end = if start < end { end } else { open.end };
        let cost = Cost {
            nodes: open.cost.nodes.saturating_add(1),
            bytes: open.cost.bytes,
            height: open.cost.height + 1,
        };
        let content = match open.content {
            OpenContent::Sequence(items) => Content::Sequence(items),
            OpenContent::Mapping { entries, .. } => Content::Mapping(entries),
        };
        let raw = Raw {
            start: open.start,
            end: end.max(open.start),
            content,
            cost,
        };
        self.complete(raw, open.anchor);
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> ControlFlow<()> {
        self.aliased = true;
        let Some(&index) = self.anchors.get(&anchor) else {
            let problem = Diagnostic::error(
                "recursive-alias",
                &self.place(start, end),
                "the alias is inside what it names",
            );
            self.problems
                .push(problem.with_help("write out what is meant here"));
            self.add(start, end, Content::Null, 0);
            return ControlFlow::Continue(());
        };
        let cost = self
            .nodes
            .get(index)
            .map(|raw| raw.cost)
            .unwrap_or_default();
        self.count(cost.nodes, cost.bytes, start, end)?;
        self.check_depth(cost.height, start, end)?;
        self.attach(index, end);
        ControlFlow::Continue(())
    }

    /// Gives a complete node to the list or mapping it stands in.
    fn attach(&mut self, index: usize, end: usize) {
        let Some(mut open) = self.open.pop() else {
            self.root = Some(index);
            return;
        };
        open.end = open.end.max(end);
        open.cost.add(
            self.nodes
                .get(index)
                .map(|raw| raw.cost)
                .unwrap_or_default(),
        );
        match &mut open.content {
            OpenContent::Sequence(items) => items.push(index),
            OpenContent::Mapping {
                entries,
                seen,
                next,
            } => match std::mem::replace(next, Next::Key) {
                Next::Key => *next = self.key(index, seen),
                Next::ValueOf(key) => {
                    if is_secret(&key.text)
                        && let Some(raw) = self.nodes.get(index)
                    {
                        self.place(raw.start, raw.end).conceal();
                    }
                    entries.push(RawEntry { key, value: index });
                }
                Next::ValueToDrop => {}
            },
        }
        self.open.push(open);
    }

    /// Takes a node as a key, or reports why it cannot be one.
    fn key(&mut self, index: usize, seen: &mut HashMap<String, (usize, usize)>) -> Next {
        let Some(raw) = self.nodes.get(index) else {
            return Next::ValueToDrop;
        };
        let (start, end) = (raw.start, raw.end);
        let place = self.place(start, end);
        let (text, plain) = match &raw.content {
            Content::Scalar(scalar) => (scalar.text.clone(), scalar.style == ScalarKind::Plain),
            Content::Null => (place.text().to_owned(), true),
            Content::Sequence(_) | Content::Mapping(_) => {
                let problem = Diagnostic::error("key-not-text", &place, "a key must be text");
                self.problems
                    .push(problem.with_help("quote a key that begins with `{` or `[`"));
                return Next::ValueToDrop;
            }
        };
        let problem = if text.is_empty() && plain {
            Diagnostic::error("empty-key", &place, "a key is missing before the colon")
                .with_help("write `key: value`")
        } else if text == "<<" && plain {
            Diagnostic::error(
                "merge-key",
                &place,
                "merge keys are not supported: repeat the keys",
            )
            .with_help("write out the keys that `<<` would merge")
        } else if let Some((first_start, first_end)) = seen.get(&text) {
            let message = format!("the key `{}` stands twice in one mapping", excerpt(&text));
            Diagnostic::error("duplicate-key", &place, message)
                .with_related(&self.place(*first_start, *first_end), "first written here")
                .with_help("keep one of them, or rename one")
        } else {
            seen.insert(text.clone(), (start, end));
            return Next::ValueOf(Key { text, start, end });
        };
        // The tree is lost by now, but what stands under the key may still have to be concealed.
        self.problems.push(problem);
        Next::ValueOf(Key { text, start, end })
    }

    fn place(&self, start: usize, end: usize) -> Place {
        Place::new(self.file, start, end)
    }

    fn range(&self, span: &Span) -> (usize, usize) {
        let end_of_text = self.file.text().len();
        let offset = |marker: Marker| marker.byte_offset().unwrap_or(end_of_text).min(end_of_text);
        let start = offset(span.start);
        (start, offset(span.end).max(start))
    }

    /// The end of a scalar without the line breaks and indentation that a block scalar's range takes along.
    fn trimmed(&self, start: usize, end: usize) -> usize {
        let written = self.file.text().get(start..end).unwrap_or_default();
        start + written.trim_end().len()
    }
}

/// Whether what stands under a key is, or was meant to be, a secret in the open.
fn is_secret(key: &str) -> bool {
    key.len().abs_diff(LITERAL_SECRET_KEY.len()) <= 4
        && nearest(key, [LITERAL_SECRET_KEY]).is_some()
}
