//! Credentials that stand in for real ones: for tests of policies, and for judging again what was recorded.
//!
//! Nobody has the key behind a digest, or the private key of an issuer. So the policies are changed before
//! they are compiled: each registered digest becomes that of a key made just now, and each key set one whose
//! private half was made just now. From there on the same code judges them as when serving; there is no door
//! in it to leave open. Nothing that serves may name this module: `tests/it/architecture.rs` holds it to that.

pub mod peers;
mod requests;
mod signer;

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::authn::api_key::{self, CannotMint};
use crate::clock::Timestamp;
use crate::headers::Headers;
use crate::policy::source::{
    CredentialKind, FromSource, JwksSource, JwtSource, KindSource, Located, PolicySet,
};
use crate::request::Request;
use crate::request::raw::RawCheck;
use crate::request::signed::ExternalUrl;
use crate::secret::Digest;
use crate::standin::peers::Peers;
use crate::standin::requests::Signers;

pub use crate::standin::requests::Signed;
use crate::standin::signer::Signer;

/// How long a token lives unless its claims say otherwise, in seconds.
const TOKEN_LIFE: i64 = 300;

/// The `sub` of a token unless its claims say otherwise.
pub const DEFAULT_SUBJECT: &str = "test-subject";

/// The credentials that one policy set was changed to accept.
pub struct StandIns {
    keys: HashMap<(String, String), String>,
    issuers: HashMap<String, Issuer>,
    places: HashMap<String, Vec<FromSource>>,
    signers: Signers,
    peers: Peers,
}

/// An issuer of tokens.
struct Issuer {
    signer: Signer,
    issuer: Option<String>,
    audience: Option<String>,
}

/// A request to put credentials into.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its path and query.
    pub target: String,
    /// Its header lines; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The rest of it.
    pub rest: RawCheck,
}

/// Why there can be no stand-ins.
#[derive(Debug, thiserror::Error)]
pub enum CannotStandIn {
    /// No API key can be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] CannotMint),
    /// No signing key can be made.
    #[error("cannot make a signing key for the authenticator `{0}`")]
    Signer(String),
}

/// Leaves no key set to be fetched: one behind a URL becomes a set whose private half nobody has. Its tokens
/// are then refused instead of waited for.
///
/// Answers whether anything was changed.
///
/// # Errors
/// [`CannotStandIn::Signer`].
pub fn offline(set: &mut PolicySet) -> Result<bool, CannotStandIn> {
    let mut changed = false;
    for authenticator in &mut set.authenticators {
        let name = &authenticator.name;
        let jwt = match &mut authenticator.value.kind {
            Some(KindSource::Jwt(jwt)) => jwt,
            Some(KindSource::Signed(signed)) => {
                changed |= requests::offline(name, signed)?;
                continue;
            }
            _ => continue,
        };
        let source = jwt.jwks.as_ref().map(|jwks| &jwks.value);
        if matches!(source, None | Some(JwksSource::Url { .. })) {
            replace_keys(jwt, name)?;
            changed = true;
        }
    }
    Ok(changed)
}

impl StandIns {
    /// Changes every API key and every key set of policies that are not compiled yet, so that real
    /// credentials open them no longer and those that [`StandIns::key`] and [`StandIns::token`] give do.
    /// What else the policies say of a credential (its scopes, expiry, consumer) stays.
    ///
    /// # Errors
    /// [`CannotStandIn`].
    pub fn install(set: &mut PolicySet) -> Result<Self, CannotStandIn> {
        let mut made = Self {
            keys: HashMap::new(),
            issuers: HashMap::new(),
            places: HashMap::new(),
            signers: Signers::default(),
            peers: Peers::default(),
        };
        let mut prefixes: HashMap<String, Option<String>> = HashMap::new();
        for authenticator in &mut set.authenticators {
            let name = &authenticator.name;
            let said = authenticator.value.from.iter();
            let mut places: Vec<FromSource> = said.map(|from| from.value.clone()).collect();
            let usual = match &mut authenticator.value.kind {
                Some(KindSource::ApiKey { prefix }) => {
                    let prefix = prefix.as_ref().map(|prefix| prefix.value.clone());
                    prefixes.insert(name.value.clone(), prefix);
                    FromSource::Header("x-api-key".to_owned())
                }
                Some(KindSource::Jwt(jwt)) => {
                    let issuer = Issuer {
                        signer: replace_keys(jwt, name)?,
                        issuer: jwt.issuer.as_ref().map(|issuer| issuer.value.clone()),
                        audience: jwt
                            .audiences
                            .iter()
                            .flatten()
                            .next()
                            .map(|audience| audience.value.clone()),
                    };
                    made.issuers.insert(name.value.clone(), issuer);
                    FromSource::Scheme {
                        header: "authorization".to_owned(),
                        scheme: "Bearer".to_owned(),
                    }
                }
                Some(KindSource::Signed(signed)) => {
                    made.signers.install(name, signed)?;
                    continue;
                }
                Some(KindSource::Mtls(mtls)) => {
                    made.peers.install(name, mtls);
                    continue;
                }
                None => continue,
            };
            if places.is_empty() {
                places.push(usual);
            }
            made.places.insert(name.value.clone(), places);
        }
        for consumer in &mut set.consumers {
            let environment = consumer.value.environment.as_ref();
            let environment = environment.map_or("live", |environment| environment.value.as_str());
            for list in &mut consumer.value.credentials {
                for credential in &mut list.value {
                    made.signers.replace(&list.name.value, credential)?;
                }
                let Some(prefix) = prefixes.get(&list.name.value) else {
                    continue;
                };
                for credential in &mut list.value {
                    if let CredentialKind::Key { id, hash, .. } = &mut credential.kind {
                        let key = new_key(prefix.as_deref(), environment)?;
                        hash.value = Digest::of(key.as_bytes());
                        made.keys
                            .insert((list.name.value.clone(), id.value.clone()), key);
                    }
                }
            }
        }
        Ok(made)
    }

    /// The key that now has this id with an `api_key` authenticator.
    pub fn key(&self, authenticator: &str, id: &str) -> Option<&str> {
        let key = (authenticator.to_owned(), id.to_owned());
        self.keys.get(&key).map(String::as_str)
    }

    /// A token that a `jwt` authenticator accepts at `now`, with these claims over what it needs: its
    /// issuer, its first audience, a subject, `iat` now and `exp` five minutes later. A claim that is null is
    /// left out. `None` if there is no such authenticator.
    pub fn token(
        &self,
        authenticator: &str,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Option<String> {
        let issuer = self.issuers.get(authenticator)?;
        let mut all = Map::new();
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        let usual = [
            ("iss", text(&issuer.issuer)),
            ("aud", text(&issuer.audience)),
            ("sub", Some(json!(DEFAULT_SUBJECT))),
            ("iat", Some(json!(now.seconds()))),
            ("exp", Some(json!(now.seconds().saturating_add(TOKEN_LIFE)))),
        ];
        for (name, value) in usual {
            all.extend(value.map(|value| (name.to_owned(), value)));
        }
        for (name, value) in claims {
            if value.is_null() {
                all.remove(name);
            } else {
                all.insert(name.clone(), value.clone());
            }
        }
        issuer.signer.token(&Value::Object(all))
    }

    /// Whether requests are signed for this authenticator, and no credential is put into them.
    pub fn signs(&self, authenticator: &str) -> bool {
        self.signers.knows(authenticator)
    }

    /// Signs a request for an authenticator with the key of this id; webhooks have none. To be done last:
    /// whatever is changed afterwards was not signed. `external` is the address that the client calls.
    ///
    /// # Errors
    /// Why it cannot be signed.
    pub fn sign(
        &self,
        key: (&str, &str),
        request: &Request,
        external: Option<&ExternalUrl>,
        now: Timestamp,
    ) -> Result<Signed, String> {
        self.signers.sign(key, request, external, now)
    }

    /// Whether callers are shown to this authenticator by the certificate of their connection.
    pub fn shows(&self, authenticator: &str) -> bool {
        self.peers.knows(authenticator)
    }

    /// Makes a request come over a connection whose client certificate has this name.
    ///
    /// # Errors
    /// Why that can't be shown.
    pub fn show(&self, authenticator: &str, name: &str, draft: &mut Draft) -> Result<(), String> {
        self.peers.show(authenticator, name, draft)
    }

    /// Puts a credential where an authenticator reads: into the first of its places that the request leaves
    /// free. Answers whether there is one.
    pub fn present(&self, authenticator: &str, credential: &str, draft: &mut Draft) -> bool {
        let places = self.places.get(authenticator).into_iter().flatten();
        for place in places {
            if draft.put(place, credential) {
                return true;
            }
        }
        false
    }
}

impl Draft {
    /// The check that Envoy would make of it.
    pub fn check(&self) -> RawCheck {
        let lines = self.headers.iter();
        RawCheck {
            path: Bytes::copy_from_slice(self.target.as_bytes()),
            headers: Headers::new(lines.map(|(name, value)| (name.as_str(), value.as_slice()))),
            ..self.rest.clone()
        }
    }

    /// Takes over what signing adds.
    pub fn add(&mut self, signed: Signed) {
        for (name, value) in signed.headers {
            let name = name.to_ascii_lowercase();
            self.headers.push((name, value.into_bytes()));
        }
        if let Some(query) = signed.query {
            let path = self.target.split('?').next().unwrap_or_default();
            self.target = format!("{path}?{}", String::from_utf8_lossy(&query));
        }
    }

    /// What signs a request without a body says so, where nothing else does.
    pub fn say_that_there_is_no_body(&mut self) {
        if self.rest.body.is_empty() {
            self.put_header("content-length", "0".to_owned());
        }
    }

    /// Whether a credential could be put here, because nothing stood here before.
    fn put(&mut self, place: &FromSource, credential: &str) -> bool {
        match place {
            FromSource::Header(name) => self.put_header(name, credential.to_owned()),
            FromSource::Scheme { header, scheme } => {
                self.put_header(header, format!("{scheme} {credential}"))
            }
            FromSource::Query(name) => {
                let query = self.target.split_once('?').map(|(_, query)| query);
                let mut sent = query.into_iter().flat_map(|query| query.split('&'));
                if sent.any(|pair| pair.split('=').next() == Some(name)) {
                    return false;
                }
                let before = if query.is_some() { '&' } else { '?' };
                self.target = format!("{}{before}{name}={credential}", self.target);
                true
            }
            FromSource::Cookie(name) => {
                let mut cookies = self.headers.iter_mut().filter(|(name, _)| name == "cookie");
                let Some((_, cookies)) = cookies.next() else {
                    return self.put_header("cookie", format!("{name}={credential}"));
                };
                let begins = format!("{name}=");
                let mut sent = cookies.split(|&byte| byte == b';');
                if sent.any(|pair| pair.trim_ascii().starts_with(begins.as_bytes())) {
                    return false;
                }
                cookies.extend_from_slice(format!("; {name}={credential}").as_bytes());
                true
            }
        }
    }

    fn put_header(&mut self, name: &str, value: String) -> bool {
        let free = !self.headers.iter().any(|(other, _)| other == name);
        if free {
            self.headers.push((name.to_owned(), value.into_bytes()));
        }
        free
    }
}

/// Enough random characters for a secret or a nonce.
fn random_text() -> Result<String, CannotMint> {
    let minted = api_key::mint("x_", "test", None)?;
    let text = String::from_utf8_lossy(minted.plain.expose());
    Ok(text.rsplit('_').next().unwrap_or_default().to_owned())
}

/// A key of Portcullis's own format where the authenticator's prefix can begin one, else any text behind the
/// prefix: keys of other formats are found by their digests alike.
fn new_key(prefix: Option<&str>, environment: &str) -> Result<String, CannotMint> {
    let own = prefix.unwrap_or(api_key::DEFAULT_PREFIX);
    let (minted, before) = match api_key::mint(own, environment, None) {
        Ok(minted) => (minted, ""),
        Err(CannotMint::NoRandomness) => return Err(CannotMint::NoRandomness),
        Err(_) => (api_key::mint("x_", "test", None)?, own),
    };
    let text = String::from_utf8_lossy(minted.plain.expose());
    Ok(format!("{before}{text}"))
}

/// Gives a `jwt` a key set of one key made just now. Its algorithms stay, unless all of them need a secret
/// that both sides have.
fn replace_keys(jwt: &mut JwtSource, name: &Located<String>) -> Result<Signer, CannotStandIn> {
    let accepted: Vec<&str> = jwt.algorithms.iter().map(|a| a.value.as_str()).collect();
    let cannot = || CannotStandIn::Signer(name.value.clone());
    let algorithm = match signer::Algorithm::among(&accepted) {
        Some(algorithm) => algorithm,
        None => {
            let algorithm = signer::Algorithm::EdDsa;
            jwt.algorithms = vec![Located {
                value: algorithm.name().to_owned(),
                place: name.place.clone(),
            }];
            algorithm
        }
    };
    let signer = Signer::generate(algorithm).ok_or_else(cannot)?;
    let place = match &jwt.jwks {
        Some(jwks) => jwks.place.clone(),
        None => name.place.clone(),
    };
    jwt.jwks = Some(Located {
        value: JwksSource::Inline(json!({"keys": [signer.jwk().ok_or_else(cannot)?]})),
        place,
    });
    Ok(signer)
}

#[cfg(test)]
mod tests;
