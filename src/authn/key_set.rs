//! The public keys of one issuer: an immutable set, and the cell in which the newest one is found.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use crate::authn::http_signature::key::VerifyKey;
use crate::clock::Clock;
use crate::secret::Digest;

/// The most keys that one set may hold.
pub const MAX_KEYS: usize = 256;

/// What a key can verify, and so which algorithms it may be used with (RFC 8725 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// RSA of at least 2048 bits.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// A shared secret of at least 32 bytes.
    Octets,
}

impl KeyType {
    /// Whether a key of this type verifies signatures of `algorithm`.
    pub const fn fits(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => matches!(
                algorithm,
                Algorithm::RS256
                    | Algorithm::RS384
                    | Algorithm::RS512
                    | Algorithm::PS256
                    | Algorithm::PS384
                    | Algorithm::PS512
            ),
            Self::P256 => matches!(algorithm, Algorithm::ES256),
            Self::P384 => matches!(algorithm, Algorithm::ES384),
            Self::Ed25519 => matches!(algorithm, Algorithm::EdDSA),
            Self::Octets => {
                matches!(
                    algorithm,
                    Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512
                )
            }
        }
    }
}

/// One key that verifies signatures.
pub struct VerificationKey {
    id: Option<Box<str>>,
    key_type: KeyType,
    /// The only algorithm it may be used with, where its JWK says so.
    algorithm: Option<Box<str>>,
    key: DecodingKey,
    /// The same key for HTTP message signatures, if it is for one of their algorithms and says which.
    signing: Option<VerifyKey>,
}

impl VerificationKey {
    /// Whether this key may verify a signature of `algorithm`.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.key_type.fits(algorithm)
            && self
                .algorithm
                .as_deref()
                .is_none_or(|only| only == algorithm_name(algorithm))
    }

    /// The key itself.
    pub const fn key(&self) -> &DecodingKey {
        &self.key
    }

    /// The key for HTTP message signatures.
    pub const fn signing(&self) -> Option<&VerifyKey> {
        self.signing.as_ref()
    }
}

/// An immutable set of keys, indexed by `kid`.
pub struct KeySet {
    generation: u64,
    content: Digest,
    keys: Vec<VerificationKey>,
    by_id: HashMap<Box<str>, Vec<usize>>,
    ignored: Vec<String>,
}

/// Why a document is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// Not JSON, or JSON that names a member twice.
    #[error("not a JSON document: {0}")]
    Json(String),
    /// No `keys` array (RFC 7517 section 5).
    #[error("no `keys` array at the top")]
    Shape,
    /// More than [`MAX_KEYS`].
    #[error("more than 256 keys")]
    TooMany,
    /// Not one key that can verify a signature. The text says why each was ignored.
    #[error("no key that can verify a signature{}", listed(.0))]
    Useless(Vec<String>),
}

fn listed(ignored: &[String]) -> String {
    if ignored.is_empty() {
        String::new()
    } else {
        format!(" ({})", ignored.join("; "))
    }
}

impl KeySet {
    /// Reads a JWK Set. Keys for encryption, of unknown types or too weak are left out and listed
    /// under [`KeySet::ignored`]; private parts of a key are not read.
    ///
    /// # Errors
    /// [`BadKeySet`] if the document is no key set, or none of its keys can be used.
    pub fn parse(document: &[u8]) -> Result<Self, BadKeySet> {
        let value =
            crate::authn::json::parse(document).map_err(|e| BadKeySet::Json(e.to_string()))?;
        let jwks = value
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(BadKeySet::Shape)?;
        if jwks.len() > MAX_KEYS {
            return Err(BadKeySet::TooMany);
        }
        let (mut keys, mut ignored) = (Vec::new(), Vec::new());
        for (position, jwk) in jwks.iter().enumerate() {
            match read_key(jwk) {
                Ok(key) => keys.push(key),
                Err(why) => {
                    let name = jwk.get("kid").and_then(Value::as_str);
                    let name = name
                        .map_or_else(|| format!("key {position}"), |kid| format!("key `{kid}`"));
                    ignored.push(format!("{name}: {why}"));
                }
            }
        }
        if keys.is_empty() {
            return Err(BadKeySet::Useless(ignored));
        }
        let mut by_id: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, key) in keys.iter().enumerate() {
            if let Some(id) = &key.id {
                by_id.entry(id.clone()).or_default().push(index);
            }
        }
        Ok(Self {
            generation: 0,
            content: Digest::of(document),
            keys,
            by_id,
            ignored,
        })
    }

    /// Different for every set that was ever published in this process; part of every cache key.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether this set was read from exactly this document.
    pub fn is_of(&self, document: &[u8]) -> bool {
        self.content == Digest::of(document)
    }

    /// Keys that were left out, and why.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none. Never true: such a document is refused.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys called `kid`.
    pub fn named(&self, kid: &str) -> impl Iterator<Item = &VerificationKey> {
        let indexes = self.by_id.get(kid).map(Vec::as_slice).unwrap_or_default();
        indexes.iter().filter_map(|&index| self.keys.get(index))
    }

    /// All keys, for a token that names none.
    pub fn all(&self) -> impl Iterator<Item = &VerificationKey> {
        self.keys.iter()
    }
}

/// The registered name of an algorithm (RFC 7518 section 3.1, RFC 8037).
pub const fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HS256 => "HS256",
        Algorithm::HS384 => "HS384",
        Algorithm::HS512 => "HS512",
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::RS512 => "RS512",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        Algorithm::EdDSA => "EdDSA",
        _ => "",
    }
}

fn read_key(jwk: &Value) -> Result<VerificationKey, &'static str> {
    let text = |member: &str| match jwk.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err("a member that must be a string is not"),
    };
    if text("use")?.is_some_and(|usage| usage != "sig") {
        return Err("not for signatures (`use`)");
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations = operations.as_array().ok_or("`key_ops` is not an array")?;
        if !operations.iter().any(|operation| operation == "verify") {
            return Err("not for verifying (`key_ops`)");
        }
    }
    let (key_type, key) = match (text("kty")?, text("crv")?) {
        (Some("RSA"), _) => (KeyType::Rsa, rsa(text("n")?, text("e")?)?),
        (Some("EC"), Some("P-256")) => (KeyType::P256, curve_point(text("x")?, text("y")?, 32)?),
        (Some("EC"), Some("P-384")) => (KeyType::P384, curve_point(text("x")?, text("y")?, 48)?),
        (Some("OKP"), Some("Ed25519")) => {
            let x = bytes(text("x")?)?;
            if x.len() != 32 {
                return Err("`x` is not 32 bytes long");
            }
            (KeyType::Ed25519, DecodingKey::from_ed_der(&x))
        }
        (Some("oct"), _) => {
            let secret = bytes(text("k")?)?;
            if secret.len() < 32 {
                return Err("the secret is shorter than 32 bytes");
            }
            (KeyType::Octets, DecodingKey::from_secret(&secret))
        }
        _ => return Err("type or curve is not supported (`kty`, `crv`)"),
    };
    let algorithm = match text("alg")? {
        // RFC 9864 section 2.2: the same algorithm, named with its curve.
        Some("Ed25519") => Some("EdDSA".into()),
        other => other.map(Into::into),
    };
    Ok(VerificationKey {
        id: text("kid")?.map(Into::into),
        key_type,
        algorithm,
        key,
        signing: VerifyKey::from_jwk(jwk, None).ok(),
    })
}

fn bytes(member: Option<&str>) -> Result<Vec<u8>, &'static str> {
    let text = member.ok_or("a member of the key is missing")?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "a member of the key is not base64url")
}

fn rsa(n: Option<&str>, e: Option<&str>) -> Result<DecodingKey, &'static str> {
    let (n, e) = (bytes(n)?, bytes(e)?);
    let significant = n.iter().skip_while(|&&byte| byte == 0).count();
    if significant < 256 {
        return Err("the RSA key is shorter than 2048 bits");
    }
    if significant > 1024 {
        return Err("the RSA key is longer than 8192 bits");
    }
    let odd = e.last().is_some_and(|last| last % 2 == 1);
    if e.is_empty() || e.len() > 4 || !odd || e == [1] {
        return Err("the RSA exponent is not an odd number between 3 and 2^32");
    }
    Ok(DecodingKey::from_rsa_raw_components(&n, &e))
}

fn curve_point(
    x: Option<&str>,
    y: Option<&str>,
    width: usize,
) -> Result<DecodingKey, &'static str> {
    let (x, y) = (bytes(x)?, bytes(y)?);
    if x.len() != width || y.len() != width {
        return Err("the coordinates do not have the length of the curve");
    }
    let point: Vec<u8> = [&[0x04][..], &x, &y].concat();
    Ok(DecodingKey::from_ec_der(&point))
}

/// Where the newest key set of one issuer is found, and how a request asks for a newer one.
///
/// One task per issuer publishes; requests read without a lock, and only wait when there is no set
/// yet or a token names a key that the set does not hold.
pub struct KeySetCell {
    current: ArcSwapOption<KeySet>,
    /// Counts finished fetches, so that a waiter sees that one ended whatever came of it.
    attempts: watch::Sender<u64>,
    wanted: Notify,
    fetching: AtomicBool,
    last_failed: AtomicBool,
    /// Monotonic microseconds before which a request may not cause another fetch.
    forced_after: AtomicI64,
    /// Whether a newer set can come at all: not for a set written into the policy.
    refreshable: bool,
}

/// Counted for the whole process and not for each issuer, so that no set can ever be taken for another
/// in a cache that outlives it.
static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);

/// The least time between two fetches that requests cause.
pub const FORCED_FETCH_INTERVAL: Duration = Duration::from_secs(10);

/// What became of asking for a newer key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// A fetch ended well while we waited, or shortly before: what is there now is the newest.
    Newest,
    /// The issuer could not be reached.
    Unavailable,
}

impl KeySetCell {
    /// A cell that a task will fill.
    pub fn empty() -> Arc<Self> {
        Arc::new(Self::with(None, true))
    }

    /// A cell that holds its only set.
    pub fn fixed(set: KeySet) -> Arc<Self> {
        let cell = Self::with(None, false);
        cell.publish(set);
        Arc::new(cell)
    }

    fn with(set: Option<Arc<KeySet>>, refreshable: bool) -> Self {
        Self {
            current: ArcSwapOption::new(set),
            attempts: watch::Sender::new(0),
            wanted: Notify::new(),
            fetching: AtomicBool::new(false),
            last_failed: AtomicBool::new(false),
            forced_after: AtomicI64::new(i64::MIN),
            refreshable,
        }
    }

    /// The newest set, if one was ever published.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// The newest set, waiting for the first one. `None` if there is none and the issuer cannot be
    /// reached: then a fetch is asked for, at most once per [`FORCED_FETCH_INTERVAL`], and not waited
    /// for. Cancel-safe; never cancels a fetch.
    pub async fn loaded(&self, clock: &dyn Clock) -> Option<Arc<KeySet>> {
        let mut attempts = self.attempts.subscribe();
        loop {
            if let Some(set) = self.current() {
                return Some(set);
            }
            if self.outcome() == Refreshed::Unavailable {
                self.ask(clock);
                return None;
            }
            if attempts.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Publishes a set. One whose content is what is there already changes nothing, so that caches
    /// keyed by its generation live on; returns whether it changed anything.
    pub fn publish(&self, mut set: KeySet) -> bool {
        let changed = self
            .current()
            .is_none_or(|current| current.content != set.content);
        if changed {
            set.generation = NEXT_GENERATION.fetch_add(1, Ordering::SeqCst);
            self.current.store(Some(Arc::new(set)));
        }
        self.finished(false);
        changed
    }

    /// Says that a fetch failed; the set that is there stays.
    pub fn failed(&self) {
        self.finished(true);
    }

    fn finished(&self, failed: bool) {
        self.last_failed.store(failed, Ordering::SeqCst);
        self.fetching.store(false, Ordering::SeqCst);
        self.attempts.send_modify(|count| *count += 1);
    }

    /// Says that a fetch begins.
    pub fn fetching(&self, clock: &dyn Clock) {
        self.fetching.store(true, Ordering::SeqCst);
        self.forced_after
            .store(after_interval(clock), Ordering::SeqCst);
    }

    /// Waits until a request wants a newer set than there is.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Asks for a newer set because a token names a key that this one does not hold, and waits for
    /// the fetch. At most one fetch per [`FORCED_FETCH_INTERVAL`] is caused this way: a flood of
    /// invented key ids costs the issuer nothing.
    pub async fn refresh(&self, clock: &dyn Clock) -> Refreshed {
        if !self.refreshable {
            return Refreshed::Newest;
        }
        let mut attempts = self.attempts.subscribe();
        if !self.ask(clock) {
            return self.outcome();
        }
        if attempts.changed().await.is_err() {
            return Refreshed::Unavailable;
        }
        self.outcome()
    }

    /// Asks the task for a fetch, unless the last one is too recent. Whether one is under way now.
    fn ask(&self, clock: &dyn Clock) -> bool {
        if self.fetching.load(Ordering::SeqCst) {
            return true;
        }
        let due = self.forced_after.load(Ordering::SeqCst);
        let next = after_interval(clock);
        let claimed = micros(clock.monotonic()) >= due
            && self
                .forced_after
                .compare_exchange(due, next, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
        if claimed {
            // Said here and not only by the task, which takes a moment to wake: whoever asks in between
            // waits for this fetch as well.
            self.fetching.store(true, Ordering::SeqCst);
            self.wanted.notify_one();
        }
        claimed
    }

    fn outcome(&self) -> Refreshed {
        if self.last_failed.load(Ordering::SeqCst) {
            Refreshed::Unavailable
        } else {
            Refreshed::Newest
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn after_interval(clock: &dyn Clock) -> i64 {
    micros(clock.monotonic() + FORCED_FETCH_INTERVAL)
}

#[cfg(test)]
mod tests;
