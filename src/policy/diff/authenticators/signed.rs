//! Authenticators that prove the request itself: what their rules ask more, or less.

use std::collections::BTreeSet;

use crate::policy::diff::{Difference, Effect};
use crate::policy::source::signed::{
    CustomSource, HttpSignatureSource, Oauth1Source, SecretSource, SignedKindSource, SignedSource,
    Sigv4Source, WebhookSource,
};
use crate::policy::source::{JwksSource, Located};
use crate::secret::Digest;

/// What a signature's age is bounded by where nothing is said, in seconds.
const DEFAULT_MAX_AGE: u64 = 300;
const DEFAULT_CLOCK_SKEW: u64 = 30;

pub(super) fn compare(was: &SignedSource, is: &SignedSource, out: &mut Vec<Difference>) {
    let SignedSource {
        kind,
        require,
        max_age,
        clock_skew,
        place: _,
    } = is;
    match (&was.kind, kind) {
        (SignedKindSource::HttpSignature(was), SignedKindSource::HttpSignature(is)) => {
            http_signature(was, is, out);
        }
        (SignedKindSource::Hmac { dialects: was }, SignedKindSource::Hmac { dialects: is }) => {
            accepted(
                "the dialect",
                &defaulted(was, &["own"]),
                &defaulted(is, &["own"]),
                out,
            );
        }
        (SignedKindSource::Webhook(was), SignedKindSource::Webhook(is)) => webhook(was, is, out),
        (SignedKindSource::Sigv4(was), SignedKindSource::Sigv4(is)) => sigv4(was, is, out),
        (SignedKindSource::Oauth1(was), SignedKindSource::Oauth1(is)) => oauth1(was, is, out),
        _ => {
            let text = "proves callers in another way";
            out.push(Difference::new(Effect::Changed, text));
            return;
        }
    }
    required(was.require.as_deref(), require.as_deref(), out);
    let or = |said: &Option<Located<u64>>, usual| said.as_ref().map_or(usual, |said| said.value);
    let ages = [&was.max_age, max_age].map(|said| or(said, DEFAULT_MAX_AGE));
    longer("signatures hold for", ages, out);
    let skews = [&was.clock_skew, clock_skew].map(|said| or(said, DEFAULT_CLOCK_SKEW));
    longer("signatures may lie ahead by", skews, out);
}

fn longer(what: &str, [was, is]: [u64; 2], out: &mut Vec<Difference>) {
    let effect = match is.cmp(&was) {
        std::cmp::Ordering::Greater => Effect::Opened,
        std::cmp::Ordering::Less => Effect::Closed,
        std::cmp::Ordering::Equal => return,
    };
    let text = format!("{what} {is} s, where it was {was} s");
    out.push(Difference::new(effect, text));
}

/// Without `require` the usual components are asked for, which is more than an empty demand and other than most.
fn required(
    was: Option<&[Located<String>]>,
    is: Option<&[Located<String>]>,
    out: &mut Vec<Difference>,
) {
    let (Some(was), Some(is)) = (was, is) else {
        if was.is_some() != is.is_some() {
            let text = "signatures have to cover other parts of the request";
            out.push(Difference::new(Effect::Changed, text));
        }
        return;
    };
    let set = |words: &[Located<String>]| -> BTreeSet<String> {
        words
            .iter()
            .map(|word| word.value.to_ascii_lowercase())
            .collect()
    };
    let (was, is) = (set(was), set(is));
    for word in is.difference(&was) {
        let text = format!("signatures have to cover `{word}`");
        out.push(Difference::new(Effect::Closed, text));
    }
    for word in was.difference(&is) {
        let text = format!("signatures need not cover `{word}` any more");
        out.push(Difference::new(Effect::Opened, text));
    }
}

fn defaulted<'a>(said: &'a [Located<String>], usual: &[&'a str]) -> BTreeSet<&'a str> {
    if said.is_empty() {
        usual.iter().copied().collect()
    } else {
        said.iter().map(|word| word.value.as_str()).collect()
    }
}

fn accepted(what: &str, was: &BTreeSet<&str>, is: &BTreeSet<&str>, out: &mut Vec<Difference>) {
    for word in is.difference(was) {
        let text = format!("{what} `{word}` is accepted");
        out.push(Difference::new(Effect::Opened, text));
    }
    for word in was.difference(is) {
        let text = format!("{what} `{word}` is not accepted any more");
        out.push(Difference::new(Effect::Closed, text));
    }
}

fn said(text: &Option<Located<String>>) -> Option<&str> {
    text.as_ref().map(|text| text.value.as_str())
}

/// A word that only some signatures fit: asking for one closes, asking for none opens.
fn only(what: &str, [was, is]: [Option<&str>; 2], out: &mut Vec<Difference>) {
    let (effect, text) = match (was, is) {
        (was, is) if was == is => return,
        (None, Some(is)) => (Effect::Closed, format!("{what} has to be `{is}`")),
        (Some(was), None) => (
            Effect::Opened,
            format!("{what} need not be `{was}` any more"),
        ),
        (was, is) => (
            Effect::Changed,
            format!(
                "{what} is `{}`, where it was `{}`",
                is.unwrap_or_default(),
                was.unwrap_or_default()
            ),
        ),
    };
    out.push(Difference::new(effect, text));
}

/// Something that is let pass.
fn lax(what: &str, [was, is]: [bool; 2], out: &mut Vec<Difference>) {
    if was != is {
        let (effect, word) = if is {
            (Effect::Opened, "accepted")
        } else {
            (Effect::Closed, "refused")
        };
        out.push(Difference::new(effect, format!("{what} is {word}")));
    }
}

fn http_signature(was: &HttpSignatureSource, is: &HttpSignatureSource, out: &mut Vec<Difference>) {
    let HttpSignatureSource {
        algorithms,
        tag,
        label,
        nonce_required,
        jwks,
    } = is;
    let all: Vec<&str> = crate::authn::http_signature::key::Algorithm::ALL
        .iter()
        .map(|one| one.name())
        .collect();
    accepted(
        "the algorithm",
        &defaulted(&was.algorithms, &all),
        &defaulted(algorithms, &all),
        out,
    );
    only("the tag", [said(&was.tag), said(tag)], out);
    only("the label", [said(&was.label), said(label)], out);
    lax(
        "a signature without a nonce",
        [!was.nonce_required, !nonce_required],
        out,
    );
    let source = |jwks: &Option<Located<JwksSource>>| jwks.as_ref().map(|jwks| jwks.value.clone());
    match (source(&was.jwks), source(jwks)) {
        (was, is) if was == is => {}
        (None, Some(_)) => out.push(Difference::new(
            Effect::Opened,
            "published keys are accepted",
        )),
        (Some(_), None) => {
            out.push(Difference::new(
                Effect::Closed,
                "published keys are not accepted any more",
            ));
        }
        _ => out.push(Difference::new(
            Effect::Changed,
            "published keys come from elsewhere",
        )),
    }
}

fn webhook(was: &WebhookSource, is: &WebhookSource, out: &mut Vec<Difference>) {
    let WebhookSource {
        scheme,
        headers,
        custom,
        secrets,
    } = is;
    if said(&was.scheme) != said(scheme)
        || said(&was.headers) != said(headers)
        || was.custom.as_ref().map(described) != custom.as_ref().map(described)
    {
        let text = "webhooks are signed in another way";
        out.push(Difference::new(Effect::Changed, text));
    }
    let set = |secrets: &[Located<SecretSource>]| -> BTreeSet<String> {
        let name = |source: &Located<SecretSource>| match &source.value {
            SecretSource::File(path) => format!("file {}", path.display()),
            SecretSource::Environment(name) => format!("variable {name}"),
            SecretSource::Literal(secret) => Digest::of(secret.expose()).to_hex(),
        };
        secrets.iter().map(name).collect()
    };
    let (was, is) = (set(&was.secrets), set(secrets));
    if is.difference(&was).next().is_some() {
        out.push(Difference::new(
            Effect::Opened,
            "a further secret is accepted",
        ));
    }
    if was.difference(&is).next().is_some() {
        out.push(Difference::new(
            Effect::Closed,
            "a secret is not accepted any more",
        ));
    }
}

fn described(custom: &CustomSource) -> [Option<&str>; 11] {
    let CustomSource {
        place: _,
        header,
        prefix,
        element,
        separator,
        encoding,
        algorithm,
        template,
        timestamp,
        timestamp_element,
        timestamp_format,
        id,
    } = custom;
    [
        Some(header.value.as_str()),
        said(prefix),
        said(element),
        said(separator),
        said(encoding),
        said(algorithm),
        said(template),
        said(timestamp),
        said(timestamp_element),
        said(timestamp_format),
        said(id),
    ]
}

fn sigv4(was: &Sigv4Source, is: &Sigv4Source, out: &mut Vec<Difference>) {
    let Sigv4Source {
        service,
        region,
        unsigned_payload,
        max_expires,
    } = is;
    only("the service", [said(&was.service), said(service)], out);
    only("the region", [said(&was.region), said(region)], out);
    lax(
        "an unsigned body",
        [was.unsigned_payload, *unsigned_payload],
        out,
    );
    let lives = [&was.max_expires, max_expires].map(|said| said.as_ref().map(|said| said.value));
    if let [Some(was), Some(is)] = lives {
        longer("presigned URLs hold for", [was, is], out);
    } else if matches!(lives, [Some(_), None] | [None, Some(_)]) {
        let text = "presigned URLs hold for another time";
        out.push(Difference::new(Effect::Changed, text));
    }
}

fn oauth1(was: &Oauth1Source, is: &Oauth1Source, out: &mut Vec<Difference>) {
    let Oauth1Source {
        methods,
        realm,
        body_hash_optional,
        sha1_body_hash,
        plaintext_without_nonce,
    } = is;
    let usual = ["HMAC-SHA256", "RSA-SHA256", "HMAC-SHA1"];
    accepted(
        "the method",
        &defaulted(&was.methods, &usual),
        &defaulted(methods, &usual),
        out,
    );
    only("the realm", [said(&was.realm), said(realm)], out);
    lax(
        "a body without a hash",
        [was.body_hash_optional, *body_hash_optional],
        out,
    );
    lax(
        "a hash of SHA-1 beside SHA-256",
        [was.sha1_body_hash, *sha1_body_hash],
        out,
    );
    lax(
        "PLAINTEXT without a time and a nonce",
        [was.plaintext_without_nonce, *plaintext_without_nonce],
        out,
    );
}

#[cfg(test)]
mod tests {
    use crate::policy::diff::tests::effects_of;

    #[test]
    fn says_what_opens_and_what_closes() {
        for (was, is, effects) in [
            ("hmac: {}", "hmac: {max_age: 10m}", &["opened"][..]),
            (
                "hmac: {}",
                "hmac: {max_age: 1m, clock_skew: 1m}",
                &["opened", "closed"],
            ),
            ("hmac: {}", "hmac: {dialects: [own, kong]}", &["opened"; 3]),
            (
                "hmac: {require: [x-a]}",
                "hmac: {require: [x-b]}",
                &["opened", "closed"],
            ),
            (
                "http_signature: {}",
                "http_signature: {tag: a}",
                &["closed"],
            ),
            (
                "http_signature: {}",
                "http_signature: {nonce: required}",
                &["closed"],
            ),
            (
                "http_signature: {}",
                "http_signature: {algorithms: [ed25519]}",
                &["closed"; 5],
            ),
            ("oauth1: {}", "oauth1: {body_hash: optional}", &["opened"]),
            (
                "oauth1: {}",
                "oauth1: {methods: [HMAC-SHA256, PLAINTEXT]}",
                &["opened", "closed", "closed"],
            ),
            (
                "sigv4: {service: a, region: b}",
                "sigv4: {service: a, region: c, unsigned_payload: true}",
                &["opened", "changed"],
            ),
            (
                "webhook: {scheme: stripe, secrets: [{insecure_literal: aaaaaaaaaaaaaaaa}]}",
                "webhook: {scheme: stripe, secrets: [{insecure_literal: bbbbbbbbbbbbbbbb}]}",
                &["opened", "closed"],
            ),
            ("hmac: {}", "oauth1: {}", &["opened", "changed", "closed"]),
            ("oauth1: {}", "oauth1: {}", &[]),
        ] {
            assert_eq!(effects_of(was, is), effects, "{was} -> {is}");
        }
    }
}
