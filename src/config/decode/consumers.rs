//! `consumers`.

use serde_json::Value;

use crate::clock::Timestamp;
use crate::config::decode::levels::allow_ips;
use crate::config::decode::policies::environment;
use crate::config::decode::{located, named, texts};
use crate::config::language::{CONSUMER, CREDENTIAL};
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::{ConsumerSource, CredentialKind, CredentialSource, Located, Named};
use crate::secret::Digest;

pub(super) fn section(
    node: &Node,
    consumers: &mut Vec<Named<ConsumerSource>>,
    out: &mut Diagnostics,
) {
    consumers.extend(named(node, "`consumers`", out, one));
}

fn one(node: &Node, out: &mut Diagnostics) -> ConsumerSource {
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
        source.credentials = named(node, "`credentials`", out, credentials);
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

fn credentials(node: &Node, out: &mut Diagnostics) -> Vec<CredentialSource> {
    let Some(items) = yaml::sequence(node, "a consumer's credentials", EmptyList::Allowed, out)
    else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| credential(item, out))
        .collect()
}

fn credential(node: &Node, out: &mut Diagnostics) -> Option<CredentialSource> {
    let fields = Fields::new(node, &CREDENTIAL, out)?;
    let place = fields.place().clone();
    let claim = fields.get("claim").is_some() || fields.get("value").is_some();
    let kind = if claim {
        for key in ["id", "hash", "expires", "scopes"] {
            if let Some(entry) = fields.entry(key) {
                let message = format!("`{key}` does not go with `claim`");
                out.push(
                    Diagnostic::error("bad-credential", &entry.key_place, message).with_help(
                        "an API key is `{id, hash}`, a token's consumer is `{claim, value}`",
                    ),
                );
            }
        }
        CredentialKind::Claim {
            claim: fields
                .require("claim", out)
                .and_then(|node| located(node, "`claim`", out))?,
            value: fields
                .require("value", out)
                .and_then(|node| located(node, "`value`", out))?,
        }
    } else {
        let id = fields
            .require("id", out)
            .and_then(|node| located(node, "`id`", out));
        let hash = fields.require("hash", out).and_then(|node| hash(node, out));
        let expires = expires(&fields, out);
        // `expires` or `scopes` that cannot be read must not leave a key behind that never ends or may
        // do everything; the load fails as a whole, since a diagnostic was pushed.
        let scopes = fields.get("scopes").and_then(|node| granted(node, out));
        let id = id?;
        if id.value.is_empty() || id.value.len() > 128 || id.value.chars().any(char::is_control) {
            let message = "an id is 1 to 128 characters without control characters";
            out.push(Diagnostic::error("bad-id", &id.place, message));
        }
        CredentialKind::Key {
            id,
            hash: hash?,
            expires,
            scopes,
        }
    };
    Some(CredentialSource { place, kind })
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
