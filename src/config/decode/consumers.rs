//! `consumers`.

use std::path::Path;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::config::decode::levels::allow_ips;
use crate::config::decode::policies::environment;
use crate::config::decode::{located, mtls, named, signed, texts};
use crate::config::language::{CONSUMER, CREDENTIAL, PEER_FORMS};
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::signed::SignerSource;
use crate::policy::source::{ConsumerSource, CredentialKind, CredentialSource, Located, Named};
use crate::secret::Digest;

pub(super) fn section(
    node: &Node,
    directory: &Path,
    consumers: &mut Vec<Named<ConsumerSource>>,
    out: &mut Diagnostics,
) {
    consumers.extend(named(node, "`consumers`", out, |node, out| {
        one(node, directory, out)
    }));
}

fn one(node: &Node, directory: &Path, out: &mut Diagnostics) -> ConsumerSource {
    let mut source = ConsumerSource {
        environment: None,
        scopes: None,
        roles: Vec::new(),
        allow_ips: None,
        expires: None,
        metadata: Value::Object(serde_json::Map::new()),
        credentials: Vec::new(),
    };
    if matches!(node.value, yaml::Value::Null) {
        return source;
    }
    let Some(fields) = Fields::new(node, &CONSUMER, out) else {
        return source;
    };
    source.environment = fields
        .get("environment")
        .and_then(|node| environment(node, out));
    source.scopes = fields.get("scopes").and_then(|node| granted(node, out));
    source.roles = fields
        .get("roles")
        .and_then(|node| texts(node, "`roles`", out))
        .unwrap_or_default();
    source.allow_ips = fields
        .get("allow_ips")
        .and_then(|node| allow_ips(node, out))
        .map(|located| located.value);
    source.expires = expires(&fields, out);
    if let Some(node) = fields.get("metadata")
        && yaml::mapping(node, "`metadata`", out).is_some()
    {
        source.metadata = yaml::to_json(node);
    }
    if let Some(node) = fields.get("credentials") {
        source.credentials = named(node, "`credentials`", out, |node, out| {
            credentials(node, directory, out)
        });
    }
    source
}

/// Scopes that are granted: here an empty list means "none", and nobody can read it as "anyone".
fn granted(node: &Node, out: &mut Diagnostics) -> Option<Vec<Located<String>>> {
    match &node.value {
        yaml::Value::Sequence(items) if items.is_empty() => Some(Vec::new()),
        _ => texts(node, "`scopes`", out),
    }
}

/// A moment that has come and gone is no mistake: it is how an operator ends a credential.
fn expires(fields: &Fields<'_>, out: &mut Diagnostics) -> Option<Timestamp> {
    let node = fields.get("expires")?;
    yaml::instant(node, "`expires`", out).map(Timestamp::from_seconds)
}

fn credentials(node: &Node, directory: &Path, out: &mut Diagnostics) -> Vec<CredentialSource> {
    let Some(items) = yaml::sequence(node, "a consumer's credentials", EmptyList::Allowed, out)
    else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| credential(item, directory, out))
        .collect()
}

/// What names a key that signs requests.
const SIGNER_NAMES: [&str; 3] = ["key_id", "access_key_id", "consumer_key"];

/// How the forms are told of that are no names of certificates.
const OTHER_FORMS: [&str; 5] = [
    "`{claim, value}`",
    "`{key_id, …}`",
    "`{access_key_id, secret}`",
    "`{consumer_key, …}`",
    "`{id, hash}`",
];

/// The keys of each form, its names first.
const FORMS: [(&str, &[&str]); 16] = [
    ("`{spiffe_id}`", &["spiffe_id"]),
    ("`{subject}`", &["subject"]),
    ("`{dns}`", &["dns"]),
    ("`{email}`", &["email"]),
    ("`{uri}`", &["uri"]),
    ("`{ip}`", &["ip"]),
    ("`{fingerprint}`", &["fingerprint"]),
    ("`{key_fingerprint}`", &["key_fingerprint"]),
    ("`{serial, issuer}`", &["serial", "issuer"]),
    ("`{attribute, value}`", &["attribute", "value"]),
    ("`{extension, value}`", &["extension", "value"]),
    ("`{claim, value}`", &["claim", "value"]),
    (
        "`{key_id, …}`",
        &[
            "key_id",
            "algorithm",
            "secret",
            "public_key",
            "expires",
            "scopes",
        ],
    ),
    (
        "`{access_key_id, secret}`",
        &["access_key_id", "secret", "expires", "scopes"],
    ),
    (
        "`{consumer_key, …}`",
        &[
            "consumer_key",
            "secret",
            "public_key",
            "tokens",
            "expires",
            "scopes",
        ],
    ),
    ("`{id, hash}`", &["id", "hash", "expires", "scopes"]),
];

fn credential(node: &Node, directory: &Path, out: &mut Diagnostics) -> Option<CredentialSource> {
    let fields = Fields::new(node, &CREDENTIAL, out)?;
    let place = fields.place().clone();
    let holds = |key: &str| fields.get(key).is_some();
    let form = FORMS.iter().find(|(_, keys)| match keys {
        ["claim", ..] => holds("claim") || holds("value"),
        [name, ..] => holds(name),
        [] => false,
    });
    let (written, keys) = form.or(FORMS.last())?;
    for entry in fields.entries() {
        let other = CREDENTIAL.key(&entry.key).is_some() && !keys.contains(&entry.key.as_str());
        if other {
            if matches!(entry.key.as_str(), "secret" | "public_key" | "tokens") {
                entry.value.conceal();
            }
            // Of the names that certificates have, two will do.
            let names = FORMS.iter().map(|(written, _)| *written);
            let names: Vec<&str> = names.take(2).chain(OTHER_FORMS).collect();
            let message = format!("`{}` does not go with {written}", entry.key);
            out.push(
                Diagnostic::error("bad-credential", &entry.key_place, message)
                    .with_help(format!("a credential is one of {}", names.join(", "))),
            );
        }
    }
    let kind = match keys.first() {
        Some(&"claim") => CredentialKind::Claim {
            claim: fields
                .require("claim", out)
                .and_then(|node| located(node, "`claim`", out))?,
            value: fields
                .require("value", out)
                .and_then(|node| located(node, "`value`", out))?,
        },
        Some(name) if PEER_FORMS.iter().any(|(peer, _)| peer == name) => {
            CredentialKind::Peer(mtls::named(&fields, out)?)
        }
        Some(name) if SIGNER_NAMES.contains(name) => signer(name, &fields, directory, out)?,
        _ => {
            let id = id(&fields, "id", out);
            let hash = fields.require("hash", out).and_then(|node| hash(node, out));
            let expires = expires(&fields, out);
            // `expires` or `scopes` that cannot be read must not leave a key behind that never ends or may
            // do everything; the load fails as a whole, since a diagnostic was pushed.
            let scopes = fields.get("scopes").and_then(|node| granted(node, out));
            CredentialKind::Key {
                id: id?,
                hash: hash?,
                expires,
                scopes,
            }
        }
    };
    Some(CredentialSource { place, kind })
}

/// What audit, revocations and signatures call a key.
fn id(fields: &Fields<'_>, key: &str, out: &mut Diagnostics) -> Option<Located<String>> {
    let id = fields
        .require(key, out)
        .and_then(|node| located(node, &format!("`{key}`"), out))?;
    if id.value.is_empty() || id.value.len() > 128 || id.value.chars().any(char::is_control) {
        let message = "an id is 1 to 128 characters without control characters";
        out.push(Diagnostic::error("bad-id", &id.place, message));
    }
    Some(id)
}

/// A key that signs requests. What does not fit its authenticator is judged when that is known.
fn signer(
    named_by: &'static str,
    fields: &Fields<'_>,
    directory: &Path,
    out: &mut Diagnostics,
) -> Option<CredentialKind> {
    let id = id(fields, named_by, out);
    let secret = fields
        .get("secret")
        .map(|node| signed::secret(node, directory, out));
    let public_key = fields
        .get("public_key")
        .map(|node| signed::public_key(node, directory, out));
    let algorithm = fields
        .get("algorithm")
        .map(|node| located(node, "`algorithm`", out));
    let tokens = fields
        .get("tokens")
        .map(|node| signed::tokens(node, directory, out));
    let expires = expires(fields, out);
    let scopes = fields.get("scopes").and_then(|node| granted(node, out));
    Some(CredentialKind::Signer(Box::new(SignerSource {
        named_by,
        id: id?,
        secret: match secret {
            Some(secret) => Some(secret?),
            None => None,
        },
        public_key: match public_key {
            Some(key) => Some(key?),
            None => None,
        },
        algorithm: match algorithm {
            Some(algorithm) => Some(algorithm?),
            None => None,
        },
        tokens: tokens.unwrap_or_default(),
        expires,
        scopes,
    })))
}

fn hash(node: &Node, out: &mut Diagnostics) -> Option<Located<Digest>> {
    let text = yaml::text(node, "`hash`", out)?;
    let digest = text.strip_prefix("sha256:").and_then(Digest::from_hex);
    if digest.is_none() {
        // The text is not repeated: somebody may have pasted the key itself.
        out.push(
            Diagnostic::error("bad-hash", &node.place, "this is no SHA-256 digest of a key")
                .hide_snippet()
                .with_help("write `hash: \"sha256:…\"` with the 64 hexadecimal digits that `printf %s KEY | sha256sum` prints"),
        );
    }
    Some(Located {
        value: digest?,
        place: node.place.clone(),
    })
}
