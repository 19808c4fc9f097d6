//! `authenticate`: a name, a list, `{any: …}` or `{all: …}`, nested.

use crate::authn::demand::MAX_DEPTH;
use crate::config::decode::located;
use crate::config::language::DEMAND;
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::{AuthenticateSource, Located};

const WHAT: &str = "`authenticate`";

/// Reads what a level says of who may call. Reports empty lists, an `all` of one, mappings that are
/// neither or both, lists within lists, and what is nested deeper than [`MAX_DEPTH`].
pub(super) fn authenticate(
    node: &Node,
    out: &mut Diagnostics,
) -> Option<Located<AuthenticateSource>> {
    let value = match &node.value {
        yaml::Value::Sequence(_) => AuthenticateSource::Any(items(node, "a list", 1, out)?),
        _ => return item(node, 1, out),
    };
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

/// A name, or a mapping on this level of nesting.
fn item(node: &Node, depth: usize, out: &mut Diagnostics) -> Option<Located<AuthenticateSource>> {
    let value = match &node.value {
        yaml::Value::Mapping(_) => mapping(node, depth, out)?,
        yaml::Value::Sequence(_) => {
            let message = "a list within `authenticate` does not say whether any or all is meant";
            out.push(
                Diagnostic::error("bad-authenticate", &node.place, message)
                    .with_help("write `{any: […]}` or `{all: […]}`"),
            );
            return None;
        }
        _ => AuthenticateSource::Name(located(node, WHAT, out)?.value),
    };
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

fn mapping(node: &Node, depth: usize, out: &mut Diagnostics) -> Option<AuthenticateSource> {
    let bad = |message: String| Diagnostic::error("bad-authenticate", &node.place, message);
    if depth > MAX_DEPTH {
        let message = format!("`any` and `all` stand within one another at most {MAX_DEPTH} deep");
        out.push(bad(message).with_help("say the same with fewer levels"));
        return None;
    }
    let is_unknown = |entry: &yaml::Entry| DEMAND.key(&entry.key).is_none();
    let fields = Fields::new(node, &DEMAND, out)?;
    match (fields.get("any"), fields.get("all")) {
        (Some(any), None) => {
            if let Some(entry) = fields.entry("principal") {
                out.push(
                    Diagnostic::error(
                        "bad-authenticate",
                        &entry.key_place,
                        "`principal` goes with `all`: of `any` there is only one",
                    )
                    .with_help("remove it"),
                );
            }
            items(any, "`any`", depth, out).map(AuthenticateSource::Any)
        }
        (None, Some(all)) => {
            let members = items(all, "`all`", depth, out)?;
            // Counted as written: an item that could not be read was reported as that.
            if matches!(&all.value, yaml::Value::Sequence(items) if items.len() == 1) {
                let message = "`all` of one asks no more than that one".to_owned();
                out.push(bad(message).with_help("name it alone, or add the other one"));
            }
            let principal = fields.get("principal");
            let principal = principal.and_then(|node| located(node, "`principal`", out));
            Some(AuthenticateSource::All { members, principal })
        }
        // A word that is none was reported as that.
        (None, None) if fields.entries().iter().any(is_unknown) => None,
        _ => {
            let message = "`authenticate` says exactly one of `any` and `all`".to_owned();
            out.push(bad(message).with_help("to have both, put one within the other"));
            None
        }
    }
}

fn items(
    node: &Node,
    what: &str,
    depth: usize,
    out: &mut Diagnostics,
) -> Option<Vec<Located<AuthenticateSource>>> {
    let items = yaml::sequence(node, what, EmptyList::Refused, out)?;
    let read = items.iter().filter_map(|node| item(node, depth + 1, out));
    Some(read.collect())
}
