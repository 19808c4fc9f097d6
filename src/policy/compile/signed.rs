//! Authenticators that prove the request itself, with the keys that consumers have with them.

mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::webhooks::webhook_scheme;
use crate::authn::credential::Container;
use crate::authn::http_signature::key::{Algorithm, VerifyKey};
use crate::authn::http_signature::rules::{Nonce, Required as Component, Rules as HttpRules};
use crate::authn::oauth1::SignatureMethod;
use crate::authn::oauth1::key::ConsumerKey;
use crate::authn::places::Part;
use crate::authn::signature::Freshness;
use crate::authn::signed::{Keyed, Keys, OAuthKey, Published, Signed, Signer};
use crate::authn::{From, hmac, http_signature, oauth1, sigv4};
use crate::consumer::Consumer;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::policy::compile::Ports;
use crate::policy::compile::consumers::granted;
use crate::policy::source::signed::{
    HttpSignatureSource, Oauth1Source, SecretSource, SignedKindSource, SignedSource, SignerSource,
    Sigv4Source,
};
use crate::policy::source::{CredentialKind, CredentialSource, Located};
use crate::secret::Secret;

/// How old signatures may be where nothing is said.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);
/// How far ahead their time may lie where nothing is said.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(30);
/// A shorter secret can be guessed by who has seen one signed request and has time.
const SHORT_SECRET_BYTES: usize = 16;

/// What the compiler knows of an authenticator beside its own words.
pub(super) struct Context<'a> {
    /// Its name as written, and as no other party has it.
    pub name: (&'a str, &'a Arc<str>),
    /// The credentials that consumers have with it, each with its consumer.
    pub credentials: Vec<(Arc<Consumer>, &'a CredentialSource)>,
    /// What comes from outside.
    pub ports: &'a Ports,
}

/// Compiles one. Mistakes are pushed to `out`.
pub(super) fn compile(
    source: &SignedSource,
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Signed> {
    let seconds = |said: &Option<Located<u64>>, usual| {
        said.as_ref()
            .map_or(usual, |said| Duration::from_secs(said.value))
    };
    let freshness = Freshness {
        max_age: seconds(&source.max_age, DEFAULT_MAX_AGE),
        clock_skew: seconds(&source.clock_skew, DEFAULT_CLOCK_SKEW),
    };
    match &source.kind {
        SignedKindSource::HttpSignature(http) => {
            http_signature(source, http, freshness, context, out)
        }
        SignedKindSource::Hmac { dialects } => hmac(source, dialects, freshness, context, out),
        SignedKindSource::Webhook(webhook) => {
            webhooks::rules(source, webhook, freshness, context, out)
        }
        SignedKindSource::Sigv4(aws) => sigv4(source, aws, freshness, context, out),
        SignedKindSource::Oauth1(oauth) => oauth1(oauth, freshness, context, out),
    }
}

/// Where an authenticator of this kind reads: its usual places, and what else its credentials are made of.
pub(super) fn places(signed: &Signed) -> (Vec<From>, Vec<Part>) {
    let header = |name: &str| Container::Header(name.into());
    let scheme = |scheme: &str| From {
        container: header("authorization"),
        scheme: Some(scheme.into()),
    };
    let query = |name: &str| Container::Query(name.into());
    match signed {
        Signed::HttpSignature(..) => (
            Vec::new(),
            vec![
                Part::counting(header(http_signature::SIGNATURE_INPUT)),
                Part::counting(header(http_signature::SIGNATURE)),
            ],
        ),
        Signed::Hmac(rules, _) => {
            let mut from: Vec<From> = rules.dialects.iter().map(|d| scheme(d.scheme())).collect();
            if rules.dialects.contains(&hmac::Dialect::Kong) {
                from.push(From {
                    container: header("proxy-authorization"),
                    scheme: Some(hmac::Dialect::Kong.scheme().into()),
                });
            }
            let cavage = rules.dialects.contains(&hmac::Dialect::Cavage);
            let parts = cavage.then(|| Part::counting(header(hmac::SIGNATURE_HEADER)));
            (from, parts.into_iter().collect())
        }
        Signed::Webhook(rules, _) => {
            let names = rules.scheme().signature_headers().into_iter();
            (
                Vec::new(),
                names.map(|name| Part::counting(header(name))).collect(),
            )
        }
        Signed::Sigv4(..) => {
            let names = sigv4::CREDENTIAL_PARAMETERS.iter();
            let mut parts: Vec<Part> = names.map(|name| Part::counting(query(name))).collect();
            parts.push(Part::beside(header("x-amz-security-token")));
            (vec![scheme(sigv4::ALGORITHM)], parts)
        }
        Signed::Oauth1(..) => {
            let names = oauth1::NAMES.iter();
            let parts = names.flat_map(|name| {
                [query(name), Container::Form((*name).into())].map(Part::counting)
            });
            (vec![scheme("OAuth")], parts.collect())
        }
    }
}

fn http_signature(
    source: &SignedSource,
    http: &HttpSignatureSource,
    freshness: Freshness,
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Signed> {
    let require = match &source.require {
        None => Component::defaults(),
        Some(words) => parsed(words, Component::parse, out),
    };
    let named = |name: &Located<String>, out: &mut Diagnostics| {
        let found = Algorithm::from_name(&name.value);
        if found.is_none() {
            let known = Algorithm::ALL.map(|one| format!("`{}`", one.name()));
            let message = format!("`{}` is no algorithm of HTTP signatures", name.value);
            out.push(
                Diagnostic::error("bad-algorithm", &name.place, message)
                    .with_help(format!("write one of {}", known.join(", "))),
            );
        }
        found
    };
    let algorithms: Vec<Algorithm> = match http.algorithms.as_slice() {
        [] => Algorithm::ALL.to_vec(),
        names => names.iter().filter_map(|name| named(name, out)).collect(),
    };
    let text =
        |said: &Option<Located<String>>| said.as_ref().map(|said| said.value.as_str().into());
    let rules = HttpRules {
        require,
        algorithms,
        freshness,
        nonce: if http.nonce_required {
            Nonce::Required
        } else {
            Nonce::Optional
        },
        tag: text(&http.tag),
        label: text(&http.label),
    };
    let keys = keys(context, ["http_signature", "key_id"], out, |signer, out| {
        let algorithm = match &signer.algorithm {
            Some(name) => Some(named(name, out)?),
            None => None,
        };
        let made = match (secret(&signer.secret, context), &signer.public_key) {
            (Some(secret), None) => {
                warn_short(&secret, signer.secret.as_ref(), out);
                VerifyKey::from_secret(secret.expose())
                    .map_err(|error| error.to_string())
                    .and_then(|key| match algorithm {
                        None | Some(Algorithm::HmacSha256) => Ok(key),
                        Some(_) => {
                            Err("its algorithm takes a `public_key`, not a `secret`".to_owned())
                        }
                    })
            }
            (None, Some(public)) => {
                let pem = context.ports.secrets.get(&public.value)?;
                let pem = String::from_utf8_lossy(pem.expose());
                match algorithm {
                    Some(algorithm) => {
                        VerifyKey::from_pem(algorithm, &pem).map_err(|error| error.to_string())
                    }
                    None => Err("a `public_key` goes with its `algorithm`".to_owned()),
                }
            }
            // Its key stands in the published set.
            (None, None) if signer.secret.is_none() && http.jwks.is_some() => return Some(None),
            (None, None) if signer.secret.is_none() => Err(
                "there is nothing to verify with: write `public_key` with `algorithm`, or `secret`"
                    .to_owned(),
            ),
            // What is wrong with the secret was told.
            (None, None) => return None,
            (Some(_), Some(_)) => Err("`secret` and `public_key` do not go together".to_owned()),
        };
        match made {
            Ok(key) => Some(Some(key)),
            Err(why) => {
                bad_key(signer, &why, out);
                None
            }
        }
    });
    let (name, unique) = context.name;
    let published = http.jwks.as_ref().map(|_| Published {
        keys: context
            .ports
            .key_sets
            .get(name)
            .cloned()
            .unwrap_or_else(crate::authn::key_set::KeySetCell::empty),
        authenticator: Arc::clone(unique),
        memory: context.ports.replays.of(&format!("{unique}\n")),
        consumers: context
            .credentials
            .iter()
            .map(|(consumer, _)| Arc::clone(&consumer.name))
            .collect(),
    });
    Some(Signed::HttpSignature(rules, keys, published))
}

fn hmac(
    source: &SignedSource,
    dialects: &[Located<String>],
    freshness: Freshness,
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Signed> {
    let mut rules = hmac::Rules::own(freshness);
    if !dialects.is_empty() {
        let names = dialects.iter();
        let known = names.filter_map(|name| hmac::Dialect::from_name(&name.value));
        rules.dialects = known.collect();
    }
    let words = source.require.iter().flatten();
    let words: Vec<Located<String>> = words.cloned().collect();
    rules.require = parsed(&words, hmac::Required::parse, out).into();
    let own = rules.dialects.contains(&hmac::Dialect::Own);
    let keys = keys(context, ["hmac", "key_id"], out, |signer, out| {
        shared_only(signer, "hmac", out)?;
        if own && !hmac::own::is_key_id(&signer.id.value) {
            bad_id(signer, "1 to 128 letters, digits and `-._~:@/+=`", out);
        }
        let secret = secret(&signer.secret, context)?;
        warn_short(&secret, signer.secret.as_ref(), out);
        match hmac::Key::new(&secret) {
            Ok(key) => Some(key),
            Err(error) => {
                bad_key(signer, &error.to_string(), out);
                None
            }
        }
    });
    Some(Signed::Hmac(rules, keys))
}

fn sigv4(
    source: &SignedSource,
    aws: &Sigv4Source,
    freshness: Freshness,
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Signed> {
    let (service, region) = (aws.service.as_ref()?, aws.region.as_ref()?);
    for word in [service, region] {
        if !sigv4::is_scope_word(&word.value) {
            let message = format!("`{}` cannot stand in a credential scope", word.value);
            out.push(
                Diagnostic::error("bad-value", &word.place, message).with_help(
                    "letters, digits, `-`, `_` and `.`, as in `execute-api` and `eu-west-1`",
                ),
            );
        }
    }
    let mut rules = sigv4::Rules::new(&service.value, &region.value, freshness);
    rules.unsigned_payload = aws.unsigned_payload;
    if let Some(max) = &aws.max_expires {
        rules.max_expires = Some(Duration::from_secs(max.value));
    }
    let words: Vec<Located<String>> = source.require.iter().flatten().cloned().collect();
    rules.require = parsed(&words, sigv4::Required::parse, out).into();
    let keys = keys(context, ["sigv4", "access_key_id"], out, |signer, out| {
        shared_only(signer, "sigv4", out)?;
        if !sigv4::is_access_key_id(&signer.id.value) {
            bad_id(signer, "letters, digits and `-_.:@`", out);
        }
        let secret = secret(&signer.secret, context)?;
        warn_short(&secret, signer.secret.as_ref(), out);
        let derived = sigv4::SigningKey::derive(&secret, "20260101", "region", "service");
        if let Err(error) = derived {
            bad_key(signer, &error.to_string(), out);
            return None;
        }
        Some(secret)
    });
    Some(Signed::Sigv4(rules, keys))
}

fn oauth1(
    oauth: &Oauth1Source,
    freshness: Freshness,
    context: &Context<'_>,
    out: &mut Diagnostics,
) -> Option<Signed> {
    let methods = match oauth.methods.as_slice() {
        [] => vec![
            SignatureMethod::HmacSha256,
            SignatureMethod::RsaSha256,
            SignatureMethod::HmacSha1,
        ],
        names => names
            .iter()
            .filter_map(|name| SignatureMethod::from_name(name.value.as_bytes()))
            .collect(),
    };
    let rules = oauth1::Rules {
        methods,
        freshness,
        realm: oauth
            .realm
            .as_ref()
            .map(|realm| realm.value.as_str().into()),
        body_hash: if oauth.body_hash_optional {
            oauth1::BodyHash::Optional
        } else {
            oauth1::BodyHash::Required
        },
        sha1_body_hash: oauth.sha1_body_hash,
        plaintext_without_nonce: oauth.plaintext_without_nonce,
    };
    let (_, unique) = context.name;
    let mut all_tokens: HashMap<String, Place> = HashMap::new();
    let keys = keys(context, ["oauth1", "consumer_key"], out, |signer, out| {
        let consumer = match (&signer.secret, &signer.public_key) {
            (Some(source), None) => {
                let shared = context.ports.secrets.get(&source.value)?;
                warn_short(shared, Some(source), out);
                ConsumerKey::shared(shared.clone())
            }
            (None, Some(public)) => {
                ConsumerKey::rsa(context.ports.secrets.get(&public.value)?.expose())
            }
            _ => {
                bad_key(signer, "write one of `secret` and `public_key`", out);
                return None;
            }
        };
        let consumer = match consumer {
            Ok(consumer) => consumer,
            Err(error) => {
                bad_key(signer, &error.to_string(), out);
                return None;
            }
        };
        let (owner, _) = context.credentials.iter().find(|(_, credential)| {
            matches!(&credential.kind, CredentialKind::Signer(other) if std::ptr::eq(&**other, signer))
        })?;
        let mut tokens = HashMap::new();
        for token in &signer.tokens {
            let known = all_tokens.insert(token.token.value.clone(), token.token.place.clone());
            if let Some(first) = known {
                out.push(
                    Diagnostic::error(
                        "duplicate-id",
                        &token.token.place,
                        "this token is listed twice",
                    )
                    .with_related(&first, "first listed here"),
                );
            }
            let secret = context.ports.secrets.get(&token.secret.value)?.clone();
            let subject = token.subject.value.as_str();
            let stands_for = Signer {
                principal_id: format!("{unique}:{subject}").into(),
                subject: subject.into(),
                ..self::signer("oauth1", unique, signer, owner, &mut Diagnostics::default())
            };
            tokens.insert(
                token.token.value.as_str().into(),
                (secret, Arc::new(stands_for)),
            );
        }
        Some(OAuthKey { consumer, tokens })
    });
    Some(Signed::Oauth1(rules, keys))
}

/// The keys of one authenticator by their names.
fn keys<K>(
    context: &Context<'_>,
    [kind, named_by]: [&'static str; 2],
    out: &mut Diagnostics,
    mut make: impl FnMut(&SignerSource, &mut Diagnostics) -> Option<K>,
) -> Keys<K> {
    let (name, unique) = context.name;
    let mut keys: Keys<K> = HashMap::new();
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    for (consumer, credential) in &context.credentials {
        let signer = match &credential.kind {
            CredentialKind::Signer(signer) if signer.named_by == named_by => signer,
            _ => {
                let message = format!("credentials of `{name}` are named by `{named_by}`");
                out.push(
                    Diagnostic::error("wrong-credential", &credential.place, message)
                        .hide_snippet()
                        .with_help(format!("write `{{{named_by}: …, secret: {{file: …}}}}`")),
                );
                continue;
            }
        };
        let id = &signer.id;
        if let Some(first) = seen.insert(&id.value, &id.place) {
            let message = format!("the key `{}` is listed twice with `{name}`", id.value);
            out.push(
                Diagnostic::error("duplicate-id", &id.place, message)
                    .with_related(first, "first listed here")
                    .with_help("give each key a name of its own: signatures, revocations and audit name keys by it"),
            );
        }
        if named_by != "consumer_key" && !signer.tokens.is_empty() {
            out.push(Diagnostic::error(
                "bad-credential",
                &credential.place,
                "`tokens` belong to `oauth1`",
            ));
        }
        let whom = self::signer(kind, unique, signer, consumer, out);
        let Some(key) = make(signer, out) else {
            continue;
        };
        let memory = context.ports.replays.of(&format!("{unique}\n{}", id.value));
        keys.insert(
            id.value.as_str().into(),
            Keyed {
                signer: Arc::new(whom),
                memory,
                key,
            },
        );
    }
    keys
}

fn signer(
    kind: &'static str,
    authenticator: &str,
    source: &SignerSource,
    consumer: &Arc<Consumer>,
    out: &mut Diagnostics,
) -> Signer {
    let own = source.scopes.as_deref().map(|scopes| granted(scopes, out));
    Signer {
        kind,
        id: source.id.value.as_str().into(),
        principal_id: format!("{authenticator}:{}", consumer.name).into(),
        subject: consumer.name.as_ref().into(),
        scopes: consumer.scopes_of_key(own),
        consumer: Some(Arc::clone(consumer)),
        expires: source.expires,
    }
}

fn secret(source: &Option<Located<SecretSource>>, context: &Context<'_>) -> Option<Secret> {
    let source = source.as_ref()?;
    context.ports.secrets.get(&source.value).cloned()
}

/// A kind whose keys are shared secrets and nothing else.
fn shared_only(signer: &SignerSource, kind: &str, out: &mut Diagnostics) -> Option<()> {
    if let Some(public) = &signer.public_key {
        let message = format!("`{kind}` signs with a shared secret");
        out.push(
            Diagnostic::error("wrong-credential", &public.place, message)
                .hide_snippet()
                .with_help("write `secret: {file: …}`; `http_signature` takes public keys"),
        );
        return None;
    }
    if let Some(algorithm) = &signer.algorithm {
        let message = format!("`{kind}` leaves no choice of algorithm to a key");
        out.push(Diagnostic::error(
            "wrong-credential",
            &algorithm.place,
            message,
        ));
        return None;
    }
    if signer.secret.is_none() {
        bad_key(
            signer,
            "there is nothing to verify with: write `secret: {file: …}`",
            out,
        );
        return None;
    }
    Some(())
}

fn bad_id(signer: &SignerSource, form: &str, out: &mut Diagnostics) {
    let message = format!(
        "no signature can name the key `{}`: its name is {form}",
        signer.id.value.escape_default()
    );
    out.push(Diagnostic::error("bad-id", &signer.id.place, message));
}

fn bad_key(signer: &SignerSource, why: &str, out: &mut Diagnostics) {
    let message = format!("the key `{}`: {why}", signer.id.value);
    out.push(Diagnostic::error("bad-key", &signer.id.place, message));
}

fn warn_short(secret: &Secret, source: Option<&Located<SecretSource>>, out: &mut Diagnostics) {
    let Some(source) = source else { return };
    if secret.expose().len() < SHORT_SECRET_BYTES {
        out.push(
            Diagnostic::warning(
                "short-secret",
                &source.place,
                format!("this secret is shorter than {SHORT_SECRET_BYTES} bytes: who has seen one signed request can try to guess it"),
            )
            .hide_snippet()
            .with_help("have 32 random bytes made: `openssl rand -base64 32`"),
        );
    }
}

fn parsed<T>(
    words: &[Located<String>],
    parse: impl Fn(&str) -> Result<T, &'static str>,
    out: &mut Diagnostics,
) -> Vec<T> {
    let mut all = Vec::new();
    for word in words {
        // Names are compared in lower case; the parameter in `"@query-param";name="…"` is not.
        let written = if word.value.contains('"') {
            word.value.clone()
        } else {
            word.value.to_ascii_lowercase()
        };
        match parse(&written) {
            Ok(component) => all.push(component),
            Err(why) => {
                let message = format!("`{}` cannot be required", word.value);
                out.push(Diagnostic::error("bad-component", &word.place, message).with_help(why));
            }
        }
    }
    all
}
