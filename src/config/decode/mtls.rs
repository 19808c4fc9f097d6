//! `mtls`, and what names a peer.

use std::path::{Path, PathBuf};

use crate::config::decode::{choice, located, texts};
use crate::config::language::{CERTIFICATE_FILE, IDENTITY, MTLS, PEER, PEER_FORMS, PIN};
use crate::config::shape::{Shape, Type};
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::mtls::{IdentitySource, MtlsSource, PeerSource};
use crate::policy::source::{KindSource, Located};

pub(super) fn mtls(node: &Node, directory: &Path, out: &mut Diagnostics) -> Option<KindSource> {
    let fields = Fields::new(node, &MTLS, out)?;
    let boolean = |key: &str, out: &mut Diagnostics| {
        let node = fields.get(key)?;
        yaml::boolean(node, &format!("`{key}`"), out)
    };
    let said = |key: &str| fields.get(key).is_some();
    if said("trust_domains") == said("identity") {
        let message = "an `mtls` authenticator says exactly one of `trust_domains` and `identity`";
        out.push(
            Diagnostic::error("bad-mtls", fields.place(), message).with_help(
                "`trust_domains` for workloads with SPIFFE IDs, `identity` for other client certificates",
            ),
        );
    }
    let (others, form): (&[&str], _) = if said("identity") {
        (&["any_workload", "bundles"], "identity")
    } else {
        (&["any_certificate", "ca", "pins"], "trust_domains")
    };
    for entry in fields.entries() {
        if others.contains(&entry.key.as_str()) {
            let message = format!("`{}` does not go with `{form}`", entry.key);
            out.push(Diagnostic::error("bad-mtls", &entry.key_place, message));
        }
    }
    let bundles = fields.get("bundles").map(|node| {
        let entries = yaml::mapping(node, "`bundles`", out).unwrap_or_default();
        if entries.is_empty() && matches!(node.value, yaml::Value::Mapping(_)) {
            let message = "`bundles` names no trust domain";
            out.push(Diagnostic::error("empty-list", &node.place, message));
        }
        let bundle = |entry: &yaml::Entry, out: &mut Diagnostics| {
            let name = Located {
                value: entry.key.clone(),
                place: entry.key_place.clone(),
            };
            Some((name, file(&entry.value, directory, out)?))
        };
        entries
            .iter()
            .filter_map(|entry| bundle(entry, out))
            .collect()
    });
    let verified_by = fields
        .get("verified_by")
        .and_then(|node| located(node, "`verified_by`", out));
    let verified_by = verified_by.filter(|word| is_word(&fields, "verified_by", word, out));
    let crls = fields
        .get("crls")
        .and_then(|node| yaml::one_or_many(node, "`crls`", EmptyList::Refused, out));
    let unknown = fields.get("unknown_revocation");
    let pins = fields.get("pins").map(|node| {
        let items = yaml::sequence(node, "`pins`", EmptyList::Refused, out).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| peer(item, &PIN, out))
            .collect()
    });
    let allow = fields.get("allow").map(|node| Located {
        value: peers(node, "`allow`", out),
        place: node.place.clone(),
    });
    Some(KindSource::Mtls(Box::new(MtlsSource {
        trust_domains: fields
            .get("trust_domains")
            .map(|node| texts(node, "`trust_domains`", out).unwrap_or_default()),
        identity: fields
            .get("identity")
            .and_then(|node| identity(node, &fields, out)),
        allow,
        except: fields
            .get("except")
            .map(|node| peers(node, "`except`", out))
            .unwrap_or_default(),
        any_workload: boolean("any_workload", out).unwrap_or(false),
        any_certificate: boolean("any_certificate", out).unwrap_or(false),
        bundles,
        ca: fields.get("ca").and_then(|node| file(node, directory, out)),
        crls: crls
            .unwrap_or_default()
            .into_iter()
            .filter_map(|node| file(node, directory, out))
            .collect(),
        unknown_revocation_accept: unknown
            .and_then(|node| choice(node, "`unknown_revocation`", ["refuse", "accept"], out)),
        pins,
        verified_by_envoy: verified_by.is_some(),
        place: fields.place().clone(),
    })))
}

fn file(node: &Node, directory: &Path, out: &mut Diagnostics) -> Option<Located<PathBuf>> {
    let fields = Fields::new(node, &CERTIFICATE_FILE, out)?;
    let file = fields.require("file", out)?;
    let path = yaml::text(file, "`file`", out)?;
    Some(Located {
        value: directory.join(path),
        place: file.place.clone(),
    })
}

fn identity(
    node: &Node,
    of: &Fields<'_>,
    out: &mut Diagnostics,
) -> Option<Located<IdentitySource>> {
    let value = if let yaml::Value::Mapping(_) = &node.value {
        let fields = Fields::new(node, &IDENTITY, out)?;
        match (fields.get("attribute"), fields.get("extension")) {
            (Some(oid), None) => {
                IdentitySource::Attribute(yaml::text(oid, "`attribute`", out)?.to_owned())
            }
            (None, Some(oid)) => {
                IdentitySource::Extension(yaml::text(oid, "`extension`", out)?.to_owned())
            }
            _ => {
                let message = "`identity` names exactly one of `attribute` and `extension`";
                out.push(Diagnostic::error("bad-mtls", fields.place(), message));
                return None;
            }
        }
    } else {
        let word = located(node, "`identity`", out)?;
        if !is_word(of, "identity", &word, out) {
            return None;
        }
        IdentitySource::Word(word.value)
    };
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

fn is_word(fields: &Fields<'_>, key: &str, word: &Located<String>, out: &mut Diagnostics) -> bool {
    let known: &[&str] = match fields.shape().key(key).and_then(|key| key.value) {
        Some(Type::Word(words) | Type::Either([Type::Word(words), ..])) => words,
        _ => &[],
    };
    let good = known.contains(&word.value.as_str());
    if !good {
        let listed: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
        let message = format!("`{}` is not a value of `{key}`", word.value);
        out.push(
            Diagnostic::error("bad-value", &word.place, message)
                .with_help(format!("write one of {}", listed.join(", "))),
        );
    }
    good
}

fn peers(node: &Node, what: &str, out: &mut Diagnostics) -> Vec<PeerSource> {
    let items = yaml::sequence(node, what, EmptyList::Refused, out).unwrap_or_default();
    let items = items.iter();
    items.filter_map(|item| peer(item, &PEER, out)).collect()
}

/// One entry that names a peer, in a mapping of this shape.
fn peer(node: &Node, shape: &'static Shape, out: &mut Diagnostics) -> Option<PeerSource> {
    let fields = Fields::new(node, shape, out)?;
    named(&fields, out)
}

/// What a mapping names, by one of the keys that name peers.
pub(super) fn named(fields: &Fields<'_>, out: &mut Diagnostics) -> Option<PeerSource> {
    let get = |key: &str| fields.shape().key(key).and_then(|_| fields.get(key));
    let mut forms = PEER_FORMS.iter().filter(|(key, _)| get(key).is_some());
    let found = forms.next();
    let wrong = |message: String, out: &mut Diagnostics| {
        let known = PEER_FORMS.iter().map(|(key, _)| *key);
        let known = known.filter(|key| fields.shape().key(key).is_some());
        let known: Vec<String> = known.map(|key| format!("`{key}`")).collect();
        out.push(
            Diagnostic::error("bad-peer", fields.place(), message).with_help(format!(
                "it is named by exactly one of {}",
                known.join(", ")
            )),
        );
    };
    let Some((key, beside)) = found else {
        wrong("this names nobody".to_owned(), out);
        return None;
    };
    if let Some((other, _)) = forms.next() {
        wrong(format!("`{other}` does not go with `{key}`"), out);
        return None;
    }
    for entry in fields.entries() {
        let name = entry.key.as_str();
        let goes = beside.is_some_and(|(beside, _)| beside == name)
            || (*key == "namespace" && name == "trust_domain");
        let of_peers = ["service_account", "trust_domain", "issuer", "value"].contains(&name);
        if of_peers && !goes && fields.shape().key(name).is_some() {
            let message = format!("`{name}` does not go with `{key}`");
            out.push(Diagnostic::error("bad-peer", &entry.key_place, message));
        }
    }
    let name = text(fields, key, out);
    let with = match beside {
        Some((beside, true)) => Some(
            fields
                .require(beside, out)
                .and_then(|_| text(fields, beside, out))?,
        ),
        Some((beside, false)) => match get(beside) {
            Some(_) => Some(text(fields, beside, out)?),
            None => None,
        },
        None => None,
    };
    let trust_domain = match get("trust_domain") {
        Some(_) => Some(text(fields, "trust_domain", out)?),
        None => None,
    };
    Some(PeerSource {
        named_by: key,
        name: name?,
        with,
        trust_domain,
        place: fields.place().clone(),
    })
}

/// A text that is not empty.
fn text(fields: &Fields<'_>, key: &str, out: &mut Diagnostics) -> Option<Located<String>> {
    let text = located(fields.get(key)?, &format!("`{key}`"), out)?;
    if text.value.is_empty() {
        let message = format!("`{key}` is empty");
        out.push(Diagnostic::error("empty-value", &text.place, message));
        return None;
    }
    Some(text)
}
