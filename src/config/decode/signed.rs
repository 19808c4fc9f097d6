//! Kinds of `authenticators` that prove the request itself, and secrets.

use std::path::Path;
use std::time::Duration;

use crate::config::decode::authenticators::{forward, jwks, places};
use crate::config::decode::{located, texts};
use crate::config::language::{
    CUSTOM_TIMESTAMP, CUSTOM_WEBHOOK, HMAC, HTTP_SIGNATURE, OAUTH1, SECRET, SIGV4, TOKEN, WEBHOOK,
};
use crate::config::shape::{Shape, Type};
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::signed::{
    CustomSource, HttpSignatureSource, Oauth1Source, SecretSource, SignedKindSource, SignedSource,
    Sigv4Source, TokenSource, WebhookSource,
};
use crate::policy::source::{AuthenticatorSource, KindSource, Located};
use crate::secret::Secret;

/// The longest `max_age`.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// The longest `clock_skew`.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);
/// The longest life of a presigned URL, as AWS has it.
const MAX_EXPIRES: Duration = Duration::from_secs(7 * 24 * 3600);

/// The kind of this name.
pub(super) fn kind(
    kind: &str,
    node: &Node,
    directory: &Path,
    source: &mut AuthenticatorSource,
    out: &mut Diagnostics,
) -> Option<KindSource> {
    let shape: &'static Shape = match kind {
        "http_signature" => &HTTP_SIGNATURE,
        "hmac" => &HMAC,
        "webhook" => &WEBHOOK,
        "sigv4" => &SIGV4,
        _ => &OAUTH1,
    };
    let fields = Fields::new(node, shape, out)?;
    source.forward = forward(&fields, out);
    let kind = match kind {
        "http_signature" => http_signature(&fields, directory, out),
        "hmac" => hmac(&fields, source, out),
        "webhook" => webhook(&fields, directory, out),
        "sigv4" => sigv4(&fields, out),
        _ => oauth1(&fields, out),
    };
    let require = shape.key("require").and_then(|_| fields.get("require"));
    Some(KindSource::Signed(Box::new(SignedSource {
        kind,
        require: require.map(|node| texts(node, "`require`", out).unwrap_or_default()),
        max_age: seconds(&fields, "max_age", MAX_AGE, "24h", out),
        clock_skew: seconds(&fields, "clock_skew", MAX_CLOCK_SKEW, "15m", out),
        place: fields.place().clone(),
    })))
}

fn http_signature(
    fields: &Fields<'_>,
    directory: &Path,
    out: &mut Diagnostics,
) -> SignedKindSource {
    let algorithms = fields.get("algorithms");
    SignedKindSource::HttpSignature(HttpSignatureSource {
        algorithms: algorithms
            .and_then(|node| texts(node, "`algorithms`", out))
            .unwrap_or_default(),
        tag: text(fields, "tag", out),
        label: text(fields, "label", out),
        nonce_required: word(fields, "nonce", out).is_some_and(|word| word.value == "required"),
        jwks: fields
            .get("jwks")
            .and_then(|node| jwks(node, directory, out)),
    })
}

fn hmac(
    fields: &Fields<'_>,
    source: &mut AuthenticatorSource,
    out: &mut Diagnostics,
) -> SignedKindSource {
    source.from = places(fields, out);
    SignedKindSource::Hmac {
        dialects: words(fields, "dialects", out),
    }
}

fn webhook(fields: &Fields<'_>, directory: &Path, out: &mut Diagnostics) -> SignedKindSource {
    let scheme = word(fields, "scheme", out);
    let custom = fields.get("custom").and_then(|node| custom(node, out));
    if fields.get("scheme").is_some() == fields.get("custom").is_some() {
        let message = "a webhook names exactly one of `scheme` and `custom`";
        out.push(
            Diagnostic::error("bad-webhook", fields.place(), message)
                .with_help("write `scheme: stripe`, or describe the signature under `custom`"),
        );
    }
    let listed = fields
        .require("secrets", out)
        .and_then(|node| yaml::one_or_many(node, "`secrets`", EmptyList::Refused, out));
    let secrets = listed.unwrap_or_default().into_iter();
    SignedKindSource::Webhook(Box::new(WebhookSource {
        headers: word(fields, "headers", out),
        scheme,
        custom,
        secrets: secrets
            .filter_map(|node| secret(node, directory, out))
            .collect(),
    }))
}

fn custom(node: &Node, out: &mut Diagnostics) -> Option<CustomSource> {
    let fields = Fields::new(node, &CUSTOM_WEBHOOK, out)?;
    let header = fields
        .require("header", out)
        .and_then(|node| located(node, "`header`", out));
    let timestamp = fields
        .get("timestamp")
        .and_then(|node| Fields::new(node, &CUSTOM_TIMESTAMP, out));
    let timestamp_header = timestamp.and_then(|timestamp| text(&timestamp, "header", out));
    let timestamp_element = timestamp.and_then(|timestamp| text(&timestamp, "element", out));
    if let Some(timestamp) = &timestamp
        && timestamp.get("header").is_some() == timestamp.get("element").is_some()
    {
        let message = "`timestamp` names exactly one of `header` and `element`";
        out.push(Diagnostic::error("bad-webhook", timestamp.place(), message));
    }
    Some(CustomSource {
        place: fields.place().clone(),
        prefix: text(&fields, "prefix", out),
        element: text(&fields, "element", out),
        separator: text(&fields, "separator", out),
        encoding: word(&fields, "encoding", out),
        algorithm: word(&fields, "algorithm", out),
        template: text(&fields, "template", out),
        timestamp: timestamp_header,
        timestamp_element,
        timestamp_format: timestamp.and_then(|timestamp| word(&timestamp, "format", out)),
        id: text(&fields, "id", out),
        header: header?,
    })
}

fn sigv4(fields: &Fields<'_>, out: &mut Diagnostics) -> SignedKindSource {
    let mut needed = |key: &str| {
        fields
            .require(key, out)
            .and_then(|node| located(node, &format!("`{key}`"), out))
    };
    let (service, region) = (needed("service"), needed("region"));
    let unsigned = fields.get("unsigned_payload");
    SignedKindSource::Sigv4(Sigv4Source {
        service,
        region,
        unsigned_payload: unsigned
            .and_then(|node| yaml::boolean(node, "`unsigned_payload`", out))
            .unwrap_or(false),
        max_expires: seconds(fields, "max_expires", MAX_EXPIRES, "7d", out),
    })
}

fn oauth1(fields: &Fields<'_>, out: &mut Diagnostics) -> SignedKindSource {
    let boolean = |key: &str, out: &mut Diagnostics| {
        let node = fields.get(key)?;
        yaml::boolean(node, &format!("`{key}`"), out)
    };
    SignedKindSource::Oauth1(Oauth1Source {
        methods: words(fields, "methods", out),
        realm: text(fields, "realm", out),
        body_hash_optional: word(fields, "body_hash", out)
            .is_some_and(|word| word.value == "optional"),
        sha1_body_hash: boolean("sha1_body_hash", out).unwrap_or(true),
        plaintext_without_nonce: boolean("plaintext_without_nonce", out).unwrap_or(false),
    })
}

/// A text that is not empty.
fn text(fields: &Fields<'_>, key: &str, out: &mut Diagnostics) -> Option<Located<String>> {
    let text = located(fields.get(key)?, &format!("`{key}`"), out)?;
    if text.value.is_empty() {
        let message = format!("`{key}` is empty");
        out.push(Diagnostic::error("empty-value", &text.place, message));
    }
    Some(text)
}

/// One of the words that a key takes.
fn word(fields: &Fields<'_>, key: &str, out: &mut Diagnostics) -> Option<Located<String>> {
    let word = located(fields.get(key)?, &format!("`{key}`"), out)?;
    is_word(fields, key, &word, out).then_some(word)
}

/// A list of them, or one.
fn words(fields: &Fields<'_>, key: &str, out: &mut Diagnostics) -> Vec<Located<String>> {
    let listed = fields
        .get(key)
        .and_then(|node| texts(node, &format!("`{key}`"), out));
    let mut words = listed.unwrap_or_default();
    words.retain(|word| is_word(fields, key, word, out));
    words
}

fn is_word(fields: &Fields<'_>, key: &str, word: &Located<String>, out: &mut Diagnostics) -> bool {
    let known: &[&str] = match fields.shape().key(key).and_then(|key| key.value) {
        Some(Type::Word(words) | Type::Many(Type::Word(words))) => words,
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

/// A time in whole seconds, of at least one.
fn seconds(
    fields: &Fields<'_>,
    key: &str,
    most: Duration,
    most_written: &str,
    out: &mut Diagnostics,
) -> Option<Located<u64>> {
    fields.shape().key(key)?;
    let node = fields.get(key)?;
    let written = yaml::duration(node, &format!("`{key}`"), out)?;
    if written.subsec_nanos() > 0 {
        let message =
            format!("`{key}` is counted in whole seconds, as the times in signatures are");
        out.push(Diagnostic::error("out-of-range", &node.place, message));
    }
    // No skew is a wish that can be had; a signature that holds for no time at all cannot.
    if written > most || (written.is_zero() && key != "clock_skew") {
        let (what, help) = if written.is_zero() {
            ("is no time at all", "write at least `1s`".to_owned())
        } else {
            ("is too long", format!("write at most `{most_written}`"))
        };
        out.push(
            Diagnostic::error("out-of-range", &node.place, format!("`{key}` {what}"))
                .with_help(help),
        );
    }
    Some(Located {
        value: written.as_secs(),
        place: node.place.clone(),
    })
}

/// A secret: referred to, and not written.
pub(super) fn secret(
    node: &Node,
    directory: &Path,
    out: &mut Diagnostics,
) -> Option<Located<SecretSource>> {
    // Somebody may have written the secret itself here: no diagnostic shows what stands in this place.
    if matches!(node.value, yaml::Value::Scalar(_)) {
        node.conceal();
        out.push(
            Diagnostic::error("secret-written", &node.place, "secrets are referred to, not written")
                .hide_snippet()
                .with_help("write `{file: PATH}` or `{env: NAME}`; to try something out, `{insecure_literal: \"…\"}`"),
        );
        return None;
    }
    let fields = Fields::new(node, &SECRET, out)?;
    let literal = fields.get("insecure_literal");
    let value = match (fields.get("file"), fields.get("env"), literal) {
        (Some(file), None, None) => {
            let path = yaml::text(file, "`file`", out)?;
            SecretSource::File(directory.join(path))
        }
        (None, Some(name), None) => {
            SecretSource::Environment(yaml::text(name, "`env`", out)?.to_owned())
        }
        (None, None, Some(literal)) => {
            let text = yaml::secret_text(literal, "`insecure_literal`", out)?;
            SecretSource::Literal(Secret::new(text.as_bytes().to_vec()))
        }
        _ => {
            if let Some(literal) = literal {
                literal.conceal();
            }
            let message = "a secret names exactly one of `file`, `env` and `insecure_literal`";
            out.push(Diagnostic::error("bad-secret", fields.place(), message));
            return None;
        }
    };
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

/// A public key: its PEM text as it stands, or where that is.
pub(super) fn public_key(
    node: &Node,
    directory: &Path,
    out: &mut Diagnostics,
) -> Option<Located<SecretSource>> {
    if !matches!(node.value, yaml::Value::Scalar(_)) {
        return secret(node, directory, out);
    }
    // Whoever pastes the wrong half should not find it in a log.
    let text = yaml::secret_text(node, "`public_key`", out)?;
    Some(Located {
        value: SecretSource::Literal(Secret::new(text.as_bytes().to_vec())),
        place: node.place.clone(),
    })
}

/// `tokens` of OAuth 1.0a.
pub(super) fn tokens(node: &Node, directory: &Path, out: &mut Diagnostics) -> Vec<TokenSource> {
    let items = yaml::sequence(node, "`tokens`", EmptyList::Refused, out);
    let items = items.unwrap_or_default().iter();
    items
        .filter_map(|node| {
            let fields = Fields::new(node, &TOKEN, out)?;
            let mut needed = |key: &str| {
                let node = fields.require(key, out)?;
                let text = located(node, &format!("`{key}`"), out)?;
                if text.value.is_empty()
                    || text.value.len() > 256
                    || text.value.chars().any(char::is_control)
                {
                    let message =
                        format!("`{key}` is 1 to 256 characters without control characters");
                    out.push(Diagnostic::error("bad-id", &text.place, message));
                }
                Some(text)
            };
            let (token, subject) = (needed("token"), needed("subject"));
            let node = fields.require("secret", out)?;
            Some(TokenSource {
                secret: secret(node, directory, out)?,
                token: token?,
                subject: subject?,
            })
        })
        .collect()
}
