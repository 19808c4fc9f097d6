//! Key sets of issuers: read at load from files and policies, fetched and kept fresh from URLs.
//!
//! One task per issuer publishes; requests never fetch, and a request that is cancelled cancels no
//! fetch. While an issuer is away its last good keys serve on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use crate::authn::key_set::{KeySet, KeySetCell};
use crate::clock::Clock;
use crate::config::inputs::{ReferredFiles, referred_file};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::http_client::{CannotFetch, HttpClient};
use crate::policy::source::{JwksSource, KindSource, Located, PolicySet};
use crate::secret::Digest;

/// How long a fetched set is kept before it is fetched again, unless its server says otherwise.
const REFRESH: Duration = Duration::from_secs(300);
/// The bounds of what its server may say.
const REFRESH_LEAST: Duration = Duration::from_secs(60);
const REFRESH_MOST: Duration = Duration::from_secs(3600);
/// How often a file is read again.
const REREAD: Duration = Duration::from_secs(10);
/// The first and the longest pause after a failed fetch; it doubles in between.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);

/// A key set that somebody has to keep fresh.
#[derive(Clone)]
pub struct Fetch {
    /// The authenticators that need it, for the log.
    pub authenticator: String,
    /// Where it is published.
    pub cell: Arc<KeySetCell>,
    /// Where it comes from.
    pub source: Source,
}

/// Where a key set is fetched from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A JWK Set.
    Url(Url),
    /// An issuer's OpenID Connect discovery document, which names the JWK Set.
    Discovery {
        /// The issuer that the document must name.
        issuer: String,
        /// The document.
        document: Url,
    },
    /// A file that may change.
    File(PathBuf),
}

impl Source {
    /// Whether fetching it needs an HTTP client.
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Url(_) | Self::Discovery { .. })
    }
}

/// The key sets of one policy set by where they come from: equal origins share one set, within a policy set
/// and from one to the next.
#[derive(Clone, Default)]
pub struct KeySets(HashMap<Origin, Arc<KeySetCell>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Origin {
    Kept(Source),
    /// The digest of a set that stands in the policy.
    Inline(Digest),
}

impl KeySets {
    /// These and those.
    pub fn extend(&mut self, others: &Self) {
        let others = others.0.iter();
        self.0
            .extend(others.map(|(origin, cell)| (origin.clone(), Arc::clone(cell))));
    }
}

/// What [`prepare`] made.
#[derive(Default)]
pub struct Prepared {
    /// The key set of each authenticator that has one.
    pub by_authenticator: HashMap<String, Arc<KeySetCell>>,
    /// Those that have to be kept fresh, each once.
    pub fetches: Vec<Fetch>,
    /// All of them, for the next policy set.
    pub key_sets: KeySets,
}

/// Makes the key sets of all authenticators that have one: those in files and policies are read now, and a bad
/// one is a mistake of the policy; the others are empty and listed for [`keep_fresh`]. What `previous`
/// holds from the same origin lives on, with the keys that it has.
pub fn prepare(
    set: &PolicySet,
    files: &ReferredFiles,
    previous: &KeySets,
    out: &mut Diagnostics,
) -> Prepared {
    let mut made = Prepared::default();
    for authenticator in &set.authenticators {
        let (jwks, issuer) = match &authenticator.value.kind {
            Some(KindSource::Jwt(jwt)) => (jwt.jwks.as_ref(), jwt.issuer.as_ref()),
            Some(KindSource::Signed(signed)) if signed.jwks().is_some() => (signed.jwks(), None),
            _ => continue,
        };
        let name = &authenticator.name.value;
        let known = [&made.key_sets, previous];
        let Some((origin, cell)) = prepare_one(jwks, issuer, files, known, out) else {
            continue;
        };
        if let Origin::Kept(source) = &origin {
            match made
                .fetches
                .iter_mut()
                .find(|fetch| Arc::ptr_eq(&fetch.cell, &cell))
            {
                Some(fetch) => fetch.authenticator.push_str(&format!(", {name}")),
                None => made.fetches.push(Fetch {
                    authenticator: name.clone(),
                    cell: Arc::clone(&cell),
                    source: source.clone(),
                }),
            }
        }
        made.key_sets.0.insert(origin, Arc::clone(&cell));
        made.by_authenticator.insert(name.clone(), cell);
    }
    made
}

fn prepare_one(
    jwks: Option<&Located<JwksSource>>,
    issuer: Option<&Located<String>>,
    files: &ReferredFiles,
    known: [&KeySets; 2],
    out: &mut Diagnostics,
) -> Option<(Origin, Arc<KeySetCell>)> {
    let find = |origin: &Origin| known.iter().find_map(|sets| sets.0.get(origin)).cloned();
    let fetched = |source: Source| {
        let origin = Origin::Kept(source);
        let cell = find(&origin).unwrap_or_else(KeySetCell::empty);
        Some((origin, cell))
    };
    match jwks {
        None => {
            // An empty one was told of as that.
            let issuer = issuer.filter(|issuer| !issuer.value.is_empty())?;
            let address = format!(
                "{}/.well-known/openid-configuration",
                issuer.value.trim_end_matches('/')
            );
            let document = safe_url(&address, false, &issuer.place, out)?;
            fetched(Source::Discovery {
                issuer: issuer.value.clone(),
                document,
            })
        }
        Some(located) => match &located.value {
            JwksSource::Url { url, allow_http } => {
                let url = safe_url(url, *allow_http, &located.place, out)?;
                fetched(Source::Url(url))
            }
            JwksSource::Inline(value) => {
                if has_secret(value) {
                    out.push(
                        Diagnostic::error(
                            "literal-secret",
                            &located.place,
                            "this key set holds a shared or a private key",
                        )
                        .hide_snippet()
                        .with_help("secrets are referred to, not written: use `jwks: {file: …}`, and only public keys where there are any"),
                    );
                    return None;
                }
                let document = value.to_string();
                let origin = Origin::Inline(Digest::of(document.as_bytes()));
                let cell = match find(&origin) {
                    Some(cell) => cell,
                    None => KeySetCell::fixed(parsed(document.as_bytes(), &located.place, out)?),
                };
                Some((origin, cell))
            }
            JwksSource::File(path) => {
                let origin = Origin::Kept(Source::File(path.clone()));
                let bytes = match files.get(path) {
                    Ok(bytes) => bytes,
                    // Nobody refers to it any more but policies that served before.
                    Err(_) if files.is_unread(path) && find(&origin).is_some() => {
                        let cell = find(&origin)?;
                        return Some((origin, cell));
                    }
                    Err(error) => {
                        out.push(
                            Diagnostic::error(
                                "unreadable-file",
                                &located.place,
                                format!("cannot read the key set {}: {error}", path.display()),
                            )
                            .with_help("relative paths start at the directory of the policy file"),
                        );
                        return None;
                    }
                };
                let set = parsed(bytes, &located.place, out)?;
                // Other content is another set: so it comes and goes with the policies it was read with.
                let same =
                    |cell: &Arc<KeySetCell>| cell.current().is_some_and(|set| set.is_of(bytes));
                let cell = find(&origin).filter(same).unwrap_or_else(|| {
                    let cell = KeySetCell::empty();
                    cell.publish(set);
                    cell
                });
                Some((origin, cell))
            }
        },
    }
}

/// Whether a key set written into a policy holds what must not be read by everybody who reads that.
fn has_secret(set: &Value) -> bool {
    let keys = set.get("keys").and_then(Value::as_array);
    keys.into_iter()
        .flatten()
        .any(|key| key.get("k").is_some() || key.get("d").is_some())
}

fn parsed(document: &[u8], place: &Place, out: &mut Diagnostics) -> Option<KeySet> {
    match KeySet::parse(document) {
        Ok(set) => Some(set),
        Err(error) => {
            out.push(
                Diagnostic::error("bad-key-set", place, format!("this is no JWK Set: {error}"))
                    .with_help(
                        "a JWK Set reads `{\"keys\": [{\"kty\": \"EC\", …}]}` (RFC 7517 section 5)",
                    ),
            );
            None
        }
    }
}

/// A URL whose answer can be trusted: https, or http where nobody can stand in between or the operator
/// says so.
fn safe_url(text: &str, allow_http: bool, place: &Place, out: &mut Diagnostics) -> Option<Url> {
    // A URL may hold a password or a token: then it is not shown.
    let secretive = text.contains(['@', '?']);
    let told = |error: Diagnostic| {
        if secretive {
            error.hide_snippet()
        } else {
            error
        }
    };
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            out.push(told(
                Diagnostic::error("bad-url", place, format!("this is no URL: {error}"))
                    .with_help("write it whole, as in `https://login.example.com/jwks.json`"),
            ));
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        out.push(told(
            Diagnostic::error(
                "secret-in-url",
                place,
                "the URL holds a user name or a password",
            )
            .with_help("keys are public: serve them without credentials, or use `jwks: {file: …}`"),
        ));
        return None;
    }
    match url.scheme() {
        "https" => Some(url),
        "http" if allow_http || is_loopback(&url) => Some(url),
        scheme => {
            let message = format!(
                "keys fetched over `{scheme}` can be replaced on their way: who does that makes valid tokens"
            );
            out.push(told(Diagnostic::error("insecure-url", place, message).with_help(
                "use https; or name the address with `jwks: {url: …, allow_http: true}` if the network in between is trusted",
            )));
            None
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || bare
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

/// A URL as it may be logged: without what stands behind its path, and without user information.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Why a key set could not be had.
#[derive(Debug, thiserror::Error)]
enum NotFresh {
    #[error("{url}: {1}", url = shown(.0))]
    Fetch(Url, CannotFetch),
    #[error("{0}: {1}")]
    File(String, String),
    #[error("{0}: not a key set: {1}")]
    KeySet(String, crate::authn::key_set::BadKeySet),
    #[error("{url}: {1}", url = shown(.0))]
    Discovery(Url, String),
    #[error("there is no HTTP client")]
    NoClient,
}

/// Keeps one key set fresh until the task is dropped.
pub async fn keep_fresh(fetch: Fetch, http: Option<HttpClient>, clock: Arc<dyn Clock>) {
    let mut retry = RETRY_FIRST;
    loop {
        fetch.cell.fetching(clock.as_ref());
        let pause = match fresh(&fetch.source, http.as_ref()).await {
            Ok((set, pause)) => {
                retry = RETRY_FIRST;
                for ignored in set.ignored() {
                    tracing::debug!(authenticator = fetch.authenticator, ignored, "key left out");
                }
                let keys = set.len();
                if fetch.cell.publish(set) {
                    tracing::info!(authenticator = fetch.authenticator, keys, "key set loaded");
                }
                pause
            }
            Err(error) => {
                let have_keys = fetch.cell.current().is_some();
                fetch.cell.failed();
                let pause = retry;
                retry = (retry * 2).min(RETRY_MOST);
                tracing::warn!(
                    authenticator = fetch.authenticator,
                    %error,
                    have_keys,
                    retry_in_seconds = pause.as_secs(),
                    "cannot fetch the key set; {}",
                    if have_keys { "the last good keys serve on" } else { "its tokens are refused until it is there" },
                );
                pause
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = fetch.cell.wanted() => {}
        }
    }
}

async fn fresh(source: &Source, http: Option<&HttpClient>) -> Result<(KeySet, Duration), NotFresh> {
    match source {
        Source::File(path) => {
            let name = || path.display().to_string();
            let file = path.clone();
            let read = tokio::task::spawn_blocking(move || referred_file(&file)).await;
            let bytes = read
                .unwrap_or_else(|error| Err(error.to_string()))
                .map_err(|error| NotFresh::File(name(), error))?;
            let set =
                KeySet::parse(bytes.expose()).map_err(|error| NotFresh::KeySet(name(), error))?;
            Ok((set, REREAD))
        }
        Source::Url(url) => jwk_set(url, http.ok_or(NotFresh::NoClient)?).await,
        Source::Discovery { issuer, document } => {
            let http = http.ok_or(NotFresh::NoClient)?;
            let url = discover(issuer, document, http).await?;
            jwk_set(&url, http).await
        }
    }
}

async fn jwk_set(url: &Url, http: &HttpClient) -> Result<(KeySet, Duration), NotFresh> {
    let document = http
        .get_json(url)
        .await
        .map_err(|error| NotFresh::Fetch(url.clone(), error))?;
    let set = KeySet::parse(&document.bytes).map_err(|e| NotFresh::KeySet(shown(url), e))?;
    let pause = document
        .max_age
        .unwrap_or(REFRESH)
        .clamp(REFRESH_LEAST, REFRESH_MOST);
    // Before its time is up, so that a set is never used past it while its server answers.
    Ok((set, pause.mul_f32(0.9)))
}

/// The address of an issuer's key set (OpenID Connect Discovery 1.0, sections 4.2 and 4.3).
async fn discover(issuer: &str, document: &Url, http: &HttpClient) -> Result<Url, NotFresh> {
    let wrong = |what: String| NotFresh::Discovery(document.clone(), what);
    let fetched = http
        .get_json(document)
        .await
        .map_err(|e| NotFresh::Fetch(document.clone(), e))?;
    let configuration: Value = serde_json::from_slice(&fetched.bytes)
        .map_err(|error| wrong(format!("not JSON: {error}")))?;
    let named = configuration
        .get("issuer")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if named != issuer {
        return Err(wrong(format!(
            "the document is of the issuer `{named}`, not of `{issuer}`"
        )));
    }
    let uri = configuration
        .get("jwks_uri")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let url = Url::parse(uri).map_err(|error| wrong(format!("`jwks_uri` is no URL: {error}")))?;
    if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) {
        Ok(url)
    } else {
        Err(wrong("`jwks_uri` is not https".to_owned()))
    }
}

#[cfg(test)]
mod tests;
