//! Requests signed as somebody would sign them who has a key.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::authn::http_signature::digest::{CONTENT_DIGEST, content_digest};
use crate::authn::http_signature::rules::Required as Component;
use crate::authn::oauth1::SignatureMethod;
use crate::authn::oauth1::sign::SigningKey as OAuthKey;
use crate::authn::signature::whole_body;
use crate::authn::{hmac, http_signature, oauth1, sigv4, webhook};
use crate::clock::Timestamp;
use crate::diagnostic::Diagnostics;
use crate::headers::{Headers, Single};
use crate::policy::compile::webhook_scheme;
use crate::policy::source::signed::{SecretSource, SignedKindSource, SignedSource, SignerSource};
use crate::policy::source::{CredentialKind, CredentialSource, JwksSource, Located};
use crate::request::Request;
use crate::request::signed::{AsSigned, ExternalUrl};
use crate::secret::Secret;
use crate::standin::{CannotStandIn, random_text};

/// What signing adds to a request.
#[derive(Debug)]
pub struct Signed {
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The query to send in place of the one there was.
    pub query: Option<Vec<u8>>,
}

/// The keys that stand in for those of signers.
#[derive(Default)]
pub(super) struct Signers {
    kinds: HashMap<String, Kind>,
    keys: HashMap<(String, String), Key>,
}

struct Key {
    secret: Secret,
    /// The first token of OAuth 1.0a, with its secret.
    token: Option<(String, Secret)>,
}

enum Kind {
    HttpSignature {
        components: Vec<String>,
        tag: Option<String>,
        label: String,
    },
    Hmac {
        dialect: hmac::Dialect,
        headers: Vec<String>,
    },
    Webhook(webhook::Scheme, Secret),
    Sigv4 {
        service: String,
        region: String,
        headers: Vec<String>,
    },
    Oauth1 {
        method: SignatureMethod,
        realm: Option<String>,
    },
}

impl Signers {
    /// Takes over an authenticator's settings, and replaces the secrets of webhooks.
    pub(super) fn install(
        &mut self,
        name: &Located<String>,
        source: &mut SignedSource,
    ) -> Result<(), CannotStandIn> {
        let required: Vec<String> = source
            .require
            .iter()
            .flatten()
            .map(|word| word.value.to_ascii_lowercase())
            .collect();
        let headers: Vec<String> = required
            .iter()
            .filter(|word| {
                !word.starts_with('@')
                    && !matches!(word.as_str(), "host" | "content-digest" | "digest")
            })
            .cloned()
            .collect();
        let place = source.place.clone();
        let kind = match &mut source.kind {
            SignedKindSource::HttpSignature(http) => {
                // Keys that stand in are shared ones.
                if !http.algorithms.is_empty() {
                    http.algorithms.push(Located {
                        value: "hmac-sha256".to_owned(),
                        place,
                    });
                }
                // None of its keys signs here, and none is fetched.
                if let Some(jwks) = &mut http.jwks {
                    jwks.value = nobodys_keys(name)?;
                }
                let text = |text: &Option<Located<String>>| text.as_ref().map(|t| t.value.clone());
                let components = if source.require.is_some() {
                    let words = required
                        .iter()
                        .filter_map(|word| Component::parse(word).ok());
                    words.map(|component| component.identifier()).collect()
                } else {
                    let usual = Component::defaults().into_iter();
                    usual.map(|component| component.identifier()).collect()
                };
                Kind::HttpSignature {
                    components,
                    tag: text(&http.tag),
                    label: text(&http.label).unwrap_or_else(|| "sig1".to_owned()),
                }
            }
            SignedKindSource::Hmac { dialects } => Kind::Hmac {
                dialect: dialects
                    .first()
                    .and_then(|dialect| hmac::Dialect::from_name(&dialect.value))
                    .unwrap_or(hmac::Dialect::Own),
                headers,
            },
            SignedKindSource::Webhook(hook) => {
                let random = random_text()?;
                let Some(scheme) = webhook_scheme(hook, &mut Diagnostics::default()) else {
                    return Ok(());
                };
                let text = match &scheme {
                    webhook::Scheme::Standard(_) => {
                        format!("whsec_{}", STANDARD.encode(random.as_bytes()))
                    }
                    _ => random,
                };
                let secret = Secret::new(text.into_bytes());
                hook.secrets = vec![Located {
                    value: SecretSource::Literal(secret.clone()),
                    place,
                }];
                Kind::Webhook(scheme, secret)
            }
            SignedKindSource::Sigv4(aws) => Kind::Sigv4 {
                service: aws
                    .service
                    .as_ref()
                    .map_or(String::new(), |s| s.value.clone()),
                region: aws
                    .region
                    .as_ref()
                    .map_or(String::new(), |r| r.value.clone()),
                headers,
            },
            SignedKindSource::Oauth1(oauth) => {
                let named = |name: &str| oauth.methods.iter().any(|method| method.value == name);
                let method = if oauth.methods.is_empty() || named("HMAC-SHA256") {
                    SignatureMethod::HmacSha256
                } else if named("HMAC-SHA1") {
                    SignatureMethod::HmacSha1
                } else {
                    oauth.methods.push(Located {
                        value: "HMAC-SHA256".to_owned(),
                        place,
                    });
                    SignatureMethod::HmacSha256
                };
                Kind::Oauth1 {
                    method,
                    realm: oauth.realm.as_ref().map(|realm| realm.value.clone()),
                }
            }
        };
        self.kinds.insert(name.value.clone(), kind);
        Ok(())
    }

    /// Replaces the key of a consumer by one that is known here.
    pub(super) fn replace(
        &mut self,
        authenticator: &str,
        credential: &mut CredentialSource,
    ) -> Result<(), CannotStandIn> {
        let place = credential.place.clone();
        let CredentialKind::Signer(signer) = &mut credential.kind else {
            return Ok(());
        };
        let fresh = || -> Result<(Secret, Located<SecretSource>), CannotStandIn> {
            let secret = Secret::new(random_text()?.into_bytes());
            let source = Located {
                value: SecretSource::Literal(secret.clone()),
                place: place.clone(),
            };
            Ok((secret, source))
        };
        let (secret, source) = fresh()?;
        let SignerSource {
            id,
            secret: own,
            public_key,
            algorithm,
            tokens,
            ..
        } = &mut **signer;
        (*own, *public_key, *algorithm) = (Some(source), None, None);
        let mut first = None;
        for token in tokens {
            let (secret, source) = fresh()?;
            token.secret = source;
            first.get_or_insert_with(|| (token.token.value.clone(), secret));
        }
        let key = Key {
            secret,
            token: first,
        };
        self.keys
            .insert((authenticator.to_owned(), id.value.clone()), key);
        Ok(())
    }

    /// Whether requests are signed for this authenticator.
    pub(super) fn knows(&self, authenticator: &str) -> bool {
        self.kinds.contains_key(authenticator)
    }

    /// The headers that sign a request with the key of this id.
    pub(super) fn sign(
        &self,
        (authenticator, id): (&str, &str),
        request: &Request,
        external: Option<&ExternalUrl>,
        now: Timestamp,
    ) -> Result<Signed, String> {
        let kind = self
            .kinds
            .get(authenticator)
            .ok_or("it signs no requests")?;
        let message = AsSigned::of(request, external);
        let created = now.seconds();
        let nonce = random_text().map_err(|error| error.to_string())?;
        if let Kind::Webhook(scheme, secret) = kind {
            return hook(&message, scheme, secret, now, &nonce);
        }
        let key = self.keys.get(&(authenticator.to_owned(), id.to_owned()));
        let key = key.ok_or("no consumer has this key")?;
        let words = |words: &'_ [String]| -> Vec<String> { words.to_vec() };
        let headers = match kind {
            Kind::HttpSignature {
                components,
                tag,
                label,
            } => http(
                &message,
                components,
                (label, tag.as_deref()),
                (id, key),
                created,
                &nonce,
            ),
            Kind::Hmac { dialect, headers } => {
                let headers = words(headers);
                let names: Vec<&str> = headers.iter().map(String::as_str).collect();
                let signing = hmac::Signing {
                    key_id: id,
                    signed_headers: &names,
                    created,
                    nonce: &nonce,
                };
                let made = hmac::Key::new(&key.secret).map_err(|error| error.to_string())?;
                hmac::sign(*dialect, &message, &made, &signing).map_err(|error| error.to_string())
            }
            Kind::Sigv4 {
                service,
                region,
                headers,
            } => {
                let headers = words(headers);
                let names: Vec<&str> = headers.iter().map(String::as_str).collect();
                let signing = sigv4::Signing {
                    access_key_id: id,
                    service,
                    region,
                    dialect: sigv4::Dialect::of_service(service),
                    signed_headers: &names,
                    unsigned_payload: false,
                    created,
                };
                sigv4::sign(&message, &key.secret, &signing).map_err(|error| error.to_string())
            }
            Kind::Oauth1 { method, realm } => {
                let shared = OAuthKey::Shared(key.secret.clone());
                let token = key.token.as_ref();
                let signer = oauth1::sign::Signer {
                    consumer_key: id,
                    key: &shared,
                    token: token.map(|(token, secret)| (token.as_str(), secret)),
                    method: *method,
                    realm: realm.as_deref(),
                    body_hash: true,
                };
                let signed = oauth1::sign::sign(&message, &signer, created, &nonce);
                let named = |(name, value): (&str, String)| (name.to_owned(), value);
                signed
                    .map(|headers| headers.into_iter().map(named).collect())
                    .map_err(|error| error.to_string())
            }
            Kind::Webhook(..) => Err("webhooks have no keys of consumers".to_owned()),
        }?;
        Ok(Signed {
            headers,
            query: None,
        })
    }
}

/// A webhook as its sender sends it. What the request already says of its id is kept.
fn hook(
    message: &AsSigned<'_>,
    scheme: &webhook::Scheme,
    secret: &Secret,
    now: Timestamp,
    nonce: &str,
) -> Result<Signed, String> {
    let ids = scheme
        .headers()
        .into_iter()
        .filter(|name| name.ends_with("id"));
    let mut said = ids.filter_map(|name| match message.headers.single(name) {
        Single::One(value) => std::str::from_utf8(value).ok(),
        Single::Absent | Single::Several => None,
    });
    let id = said.next().unwrap_or(nonce);
    let signed = webhook::sign::sign(message, scheme, secret, now, id);
    let mut signed = signed.map_err(|error| error.to_string())?;
    let there = |name: &str| message.headers.single(name) != Single::Absent;
    signed.headers.retain(|(name, _)| !there(name));
    Ok(Signed {
        headers: signed.headers,
        query: signed.query,
    })
}

fn http(
    message: &AsSigned<'_>,
    components: &[String],
    (label, tag): (&str, Option<&str>),
    (id, key): (&str, &Key),
    created: i64,
    nonce: &str,
) -> Result<Vec<(String, String)>, String> {
    let key = http_signature::sign::SigningKey::from_secret(key.secret.expose())
        .map_err(|error| error.to_string())?;
    let mut added = Vec::new();
    let quoted = format!("\"{CONTENT_DIGEST}\"");
    let body = whole_body(message).map_err(|refusal| refusal.detail.into_owned())?;
    let there = message.headers.single(CONTENT_DIGEST) != Single::Absent;
    if !body.is_empty() && !there && components.contains(&quoted) {
        added.push((CONTENT_DIGEST.to_owned(), content_digest(body)));
    }
    let carries = |identifier: &String| {
        let Some(name) = identifier
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        else {
            return true;
        };
        name.starts_with('@')
            || message.headers.single(name) != Single::Absent
            || added.iter().any(|(added, _)| added == name)
    };
    let components: Vec<&str> = components
        .iter()
        .filter(|identifier| carries(identifier))
        .map(String::as_str)
        .collect();
    let headers = added
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let headers = Headers::new(message.headers.iter().chain(headers));
    let message = AsSigned {
        method: message.method,
        scheme: message.scheme.clone(),
        authority: message.authority.clone(),
        path: message.path.clone(),
        query: message.query,
        headers: &headers,
        body: message.body.clone(),
    };
    let what = http_signature::sign::ToSign {
        label,
        components: &components,
        created,
        expires: None,
        key_id: id,
        alg: false,
        nonce: Some(nonce),
        tag,
    };
    let signed = http_signature::sign::sign(&message, &what, &key);
    let signed = signed.map_err(|error| error.to_string())?;
    added.extend(signed.map(|(name, value)| (name.to_owned(), value)));
    Ok(added)
}

/// Leaves no published keys to be fetched. Answers whether there were any.
pub(super) fn offline(
    name: &Located<String>,
    source: &mut SignedSource,
) -> Result<bool, CannotStandIn> {
    let SignedKindSource::HttpSignature(http) = &mut source.kind else {
        return Ok(false);
    };
    match &mut http.jwks {
        Some(jwks) if matches!(jwks.value, JwksSource::Url { .. }) => {
            jwks.value = nobodys_keys(name)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn nobodys_keys(name: &Located<String>) -> Result<JwksSource, CannotStandIn> {
    let cannot = || CannotStandIn::Signer(name.value.clone());
    let signer = super::signer::Signer::generate(super::signer::Algorithm::EdDsa);
    let jwk = signer.and_then(|signer| signer.jwk()).ok_or_else(cannot)?;
    Ok(JwksSource::Inline(serde_json::json!({"keys": [jwk]})))
}
