//! JSON Web Tokens as access tokens (RFC 7519, RFC 8725, RFC 9068).
//!
//! `jsonwebtoken` judges the signature and nothing else: which algorithms, keys, types and claims are
//! accepted, and what time it is, is decided here.

pub mod claims;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use moka::sync::Cache;
use serde_json::Value;

use crate::authn::jwt::claims::{ClaimRules, UnverifiedClaims};
use crate::authn::key_set::{KeySet, KeySetCell, Refreshed, VerificationKey, algorithm_name};
use crate::clock::{Clock, Timestamp};
use crate::policy::observe::event::TokenOutline;
use crate::policy::scope::ScopeSet;
use crate::secret::Digest;
use crate::verdict::{Reason, Refusal};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// How many keys are tried for a token that names none.
const MAX_KEYS_TRIED: usize = 8;

/// The algorithms that are accepted unless the configuration says otherwise: the asymmetric ones.
pub const DEFAULT_ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Every algorithm that a configuration may name.
pub const KNOWN_ALGORITHMS: [Algorithm; 12] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
];

/// The algorithm of this registered name.
pub fn algorithm_named(name: &str) -> Option<Algorithm> {
    KNOWN_ALGORITHMS
        .into_iter()
        .find(|&algorithm| algorithm_name(algorithm) == name)
}

/// A token whose signature and claims were judged. Its times are judged again on each use.
#[derive(Debug)]
pub struct VerifiedToken {
    /// `authenticator:sub`.
    pub principal_id: Arc<str>,
    /// `sub`.
    pub subject: Box<str>,
    /// `scope` or `scp`.
    pub scopes: ScopeSet,
    /// The roles that its claims stand for, by the configured map.
    pub roles: Box<[Arc<str>]>,
    /// `exp`, in seconds since the epoch.
    pub expires_at: i64,
    /// The later of `nbf` and `iat`, less the clock skew.
    pub not_before: i64,
    /// `jti`.
    pub token_id: Option<Box<str>>,
    /// All claims: an object.
    pub claims: Value,
    /// How many bytes the token had, for the cache's bound.
    weight: u32,
}

/// Verified tokens by token digest, configuration and key set. Losing an entry costs time, never a
/// verdict.
pub type TokenCache = Cache<CacheKey, Arc<VerifiedToken>>;

/// Everything that feeds the verification of a token but the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    token: Digest,
    configuration: u64,
    generation: u64,
}

/// A cache that holds about `bytes` bytes of tokens and claims.
pub fn token_cache(bytes: u64) -> TokenCache {
    Cache::builder()
        .max_capacity(bytes)
        // Claims are held parsed beside their texts: about four times the token, and the entry.
        .weigher(|_, token: &Arc<VerifiedToken>| token.weight.saturating_mul(4).saturating_add(512))
        .build()
}

/// One configured issuer.
pub struct JwtVerifier {
    rules: ClaimRules,
    algorithms: Vec<Algorithm>,
    keys: Arc<KeySetCell>,
    cache: TokenCache,
    /// Told apart from every other configuration that shares the cache.
    configuration: u64,
}

/// A token that looks like a JWS in compact form, and who it says issued it. Nothing is proven.
pub struct UnverifiedToken<'a> {
    text: &'a str,
    digest: Digest,
}

impl<'a> UnverifiedToken<'a> {
    /// Takes a credential that has the shape of a JWS in compact serialization (RFC 7515 section 7.1):
    /// three parts, of which the first two are base64url.
    pub fn of_shape(credential: &'a [u8]) -> Option<Self> {
        // Every byte is looked at, without a way out of the loop: so the compiler judges many at once.
        let of_token = |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_' | b'.');
        let good = credential
            .iter()
            .fold(true, |good, &byte| good & of_token(byte));
        let text = std::str::from_utf8(credential).ok().filter(|_| good)?;
        let mut parts = text.split('.');
        let (header, payload) = (parts.next()?, parts.next()?);
        let three = parts.next().is_some() && parts.next().is_none();
        (three && !header.is_empty() && !payload.is_empty()).then(|| Self {
            text,
            digest: Digest::of(credential),
        })
    }

    /// Who it says issued it; `None` if that cannot be read.
    pub fn issuer(&self) -> Option<String> {
        if self.text.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let payload = self.text.split('.').nth(1)?;
        let claims = crate::authn::json::parse(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        claims.get("iss").and_then(Value::as_str).map(str::to_owned)
    }
}

impl UnverifiedToken<'_> {
    /// What it says of itself, for who wants to know why it was refused.
    pub fn outline(&self) -> TokenOutline {
        if self.text.len() > MAX_TOKEN_BYTES {
            return TokenOutline::default();
        }
        let mut parts = self.text.split('.').map(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            crate::authn::json::parse(&bytes).ok()
        });
        let header = parts.next().flatten().unwrap_or_default();
        let claims = parts.next().flatten().unwrap_or_default();
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let aud = match claims.get("aud") {
            Some(Value::Array(several)) => {
                several.iter().filter_map(|one| text(Some(one))).collect()
            }
            one => text(one).into_iter().collect(),
        };
        TokenOutline {
            alg: text(header.get("alg")),
            kid: text(header.get("kid")),
            iss: text(claims.get("iss")),
            aud,
            exp: claims.get("exp").and_then(Value::as_i64),
        }
    }
}

impl JwtVerifier {
    /// A verifier of tokens that `rules` accept, signed by `keys` with one of `algorithms`.
    /// `configuration` must differ between verifiers that differ.
    pub fn new(
        rules: ClaimRules,
        algorithms: Vec<Algorithm>,
        keys: Arc<KeySetCell>,
        cache: TokenCache,
        configuration: u64,
    ) -> Self {
        Self {
            rules,
            algorithms,
            keys,
            cache,
            configuration,
        }
    }

    /// The issuer whose tokens belong here.
    pub fn issuer(&self) -> &str {
        &self.rules.issuer
    }

    /// Where its keys are.
    pub const fn keys(&self) -> &Arc<KeySetCell> {
        &self.keys
    }

    /// A token that was verified before under this configuration and these keys, its times not judged.
    pub fn cached(&self, token: &UnverifiedToken<'_>) -> Option<Arc<VerifiedToken>> {
        let set = self.keys.current()?;
        self.cache.get(&self.cache_key(token, &set))
    }

    fn cache_key(&self, token: &UnverifiedToken<'_>, set: &KeySet) -> CacheKey {
        CacheKey {
            token: token.digest,
            configuration: self.configuration,
            generation: set.generation(),
        }
    }

    /// Judges the times of a token that was verified, now or before.
    ///
    /// # Errors
    /// `token_expired` from `exp` on (RFC 7519 section 4.1.4, without leeway: the clock is ours and
    /// nothing is gained by honouring a token longer than its issuer does); `token_not_yet_valid`.
    pub fn judge_times(token: &VerifiedToken, now: Timestamp) -> Result<(), Refusal> {
        if now.seconds() >= token.expires_at {
            let since = now.seconds().saturating_sub(token.expires_at);
            return Err(Refusal::new(
                Reason::TokenExpired,
                format!("`exp` passed {since} s ago"),
            ));
        }
        if now.seconds() < token.not_before {
            return Err(Refusal::new(
                Reason::TokenNotYetValid,
                "`nbf` or `iat` lies ahead",
            ));
        }
        Ok(())
    }

    /// Verifies a token, waiting for keys if there are none yet or the token names an unknown one. The
    /// caller bounds the wait.
    ///
    /// # Errors
    /// A reason of the `token_` family, or `dependency_unavailable` when the issuer's keys cannot be
    /// had.
    pub async fn verify(
        &self,
        token: &UnverifiedToken<'_>,
        clock: &dyn Clock,
    ) -> Result<Arc<VerifiedToken>, Refusal> {
        let set = match self.keys.current() {
            Some(set) => set,
            None => self.keys.loaded(clock).await.ok_or_else(|| {
                Refusal::new(
                    Reason::DependencyUnavailable,
                    "the issuer's keys were never loaded and cannot be fetched",
                )
            })?,
        };
        if let Some(verified) = self.cache.get(&self.cache_key(token, &set)) {
            Self::judge_times(&verified, clock.now())?;
            return Ok(verified);
        }
        let parts = Parts::read(token.text, &self.algorithms)?;
        // Claims are judged before the signature: they are cheap, and a token for another audience
        // need not cost a fetch of keys.
        let claims = UnverifiedClaims::read(parts.payload)?;
        let verified = self.rules.judge(claims, token.text.len())?;
        Self::judge_times(&verified, clock.now())?;
        let set = self.check_signature(&parts, set, clock).await?;
        let verified = Arc::new(verified);
        self.cache
            .insert(self.cache_key(token, &set), Arc::clone(&verified));
        Ok(verified)
    }

    /// Checks the signature, with newer keys if these do not hold the one that is named. Answers with
    /// the set that proved it.
    async fn check_signature(
        &self,
        parts: &Parts<'_>,
        set: Arc<KeySet>,
        clock: &dyn Clock,
    ) -> Result<Arc<KeySet>, Refusal> {
        match parts.check(&set) {
            Ok(()) => return Ok(set),
            Err(NotProven::Refused(refusal)) => return Err(refusal),
            Err(NotProven::KeyUnknown | NotProven::NoKeyFits(_)) => {}
        }
        let refreshed = self.keys.refresh(clock).await;
        let newest = self.keys.current().unwrap_or(set);
        match (parts.check(&newest), refreshed) {
            (Ok(()), _) => Ok(newest),
            (Err(NotProven::Refused(refusal) | NotProven::NoKeyFits(refusal)), _) => Err(refusal),
            (Err(NotProven::KeyUnknown), Refreshed::Newest) => Err(Refusal::new(
                Reason::TokenKeyUnknown,
                "the issuer has no key of the token's `kid`",
            )),
            (Err(NotProven::KeyUnknown), Refreshed::Unavailable) => Err(Refusal::new(
                Reason::DependencyUnavailable,
                "the token names a key that is not known, and the issuer's keys cannot be fetched",
            )),
        }
    }
}

enum NotProven {
    /// The token names a key that the set does not hold.
    KeyUnknown,
    /// The token names no key, and none of the set proves it: the key may be newer than the set.
    NoKeyFits(Refusal),
    Refused(Refusal),
}

/// The parts of a compact JWS whose header was judged.
struct Parts<'a> {
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str, algorithms: &[Algorithm]) -> Result<Self, Refusal> {
        let malformed = |what: &'static str| Refusal::new(Reason::TokenMalformed, what);
        if text.len() > MAX_TOKEN_BYTES {
            return Err(malformed("the token is longer than 16 KiB"));
        }
        let (signed, signature) = text
            .rsplit_once('.')
            .ok_or_else(|| malformed("the token has fewer than three parts"))?;
        let (header, payload) = signed
            .split_once('.')
            .ok_or_else(|| malformed("the token has fewer than three parts"))?;
        let header = URL_SAFE_NO_PAD
            .decode(header)
            .ok()
            .and_then(|bytes| crate::authn::json::parse(&bytes).ok())
            .ok_or_else(|| malformed("the token's header is not base64url of JSON"))?;
        let Value::Object(header) = header else {
            return Err(malformed("the token's header is not an object"));
        };
        let algorithm = judge_header(&header, algorithms)?;
        if signature.is_empty() {
            return Err(Refusal::new(
                Reason::TokenSignatureInvalid,
                "the token is not signed",
            ));
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(malformed("`kid` is not a string")),
        };
        Ok(Self {
            signed,
            payload,
            signature,
            algorithm,
            key_id,
        })
    }

    /// Checks the signature with the key that the token names, or with each that fits if it names none.
    fn check(&self, set: &KeySet) -> Result<(), NotProven> {
        let mut named = false;
        let mut tried = false;
        let candidates: Box<dyn Iterator<Item = &VerificationKey>> = match &self.key_id {
            Some(kid) => Box::new(set.named(kid)),
            None => Box::new(set.all()),
        };
        let mut left = MAX_KEYS_TRIED;
        for key in candidates {
            named = true;
            if !key.fits(self.algorithm) {
                continue;
            }
            if left == 0 {
                break;
            }
            left -= 1;
            tried = true;
            let proven = jsonwebtoken::crypto::verify(
                self.signature,
                self.signed.as_bytes(),
                key.key(),
                self.algorithm,
            );
            if matches!(proven, Ok(true)) {
                return Ok(());
            }
        }
        if tried {
            let mismatch = Refusal::new(
                Reason::TokenSignatureInvalid,
                "the signature does not match",
            );
            Err(match self.key_id {
                Some(_) => NotProven::Refused(mismatch),
                None => NotProven::NoKeyFits(mismatch),
            })
        } else if named {
            Err(NotProven::Refused(Refusal::new(
                Reason::TokenAlgorithmRefused,
                "the key that the token names is not for its algorithm",
            )))
        } else {
            Err(NotProven::KeyUnknown)
        }
    }
}

/// Judges the JOSE header: the algorithm comes from the configuration, and nothing in the header may
/// bring keys along or ask for processing that is not done here. Addresses of keys (`jku`, `x5u`), which
/// some issuers put into every token, are not looked at.
fn judge_header(
    header: &serde_json::Map<String, Value>,
    algorithms: &[Algorithm],
) -> Result<Algorithm, Refusal> {
    for (member, why) in [
        (
            "crit",
            "the token's header has `crit`, and no extension is supported",
        ),
        ("b64", "the token's header has `b64` (RFC 7797)"),
        ("zip", "the token's header has `zip`"),
        ("jwk", "the token brings its own key (`jwk`)"),
        ("x5c", "the token brings its own certificate (`x5c`)"),
    ] {
        if header.contains_key(member) {
            return Err(Refusal::new(Reason::TokenHeaderRefused, why));
        }
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(media)) if is_access_token_type(media) => {}
        Some(_) => {
            return Err(Refusal::new(
                Reason::TokenTypeRefused,
                "`typ` is neither JWT nor at+jwt",
            ));
        }
    }
    let named = match header.get("alg") {
        Some(Value::String(name)) => algorithm_named(name),
        _ => None,
    };
    named
        .filter(|algorithm| algorithms.contains(algorithm))
        .ok_or_else(|| {
            Refusal::new(
                Reason::TokenAlgorithmRefused,
                "`alg` is not among the configured algorithms",
            )
        })
}

/// `JWT` (RFC 7519 section 5.1) or `at+jwt` (RFC 9068 section 2.1), with or without `application/`:
/// tokens made for something else (logout, DPoP proofs, events) say so here and are refused.
fn is_access_token_type(media: &str) -> bool {
    let lower = media.to_ascii_lowercase();
    matches!(
        lower.strip_prefix("application/").unwrap_or(&lower),
        "jwt" | "at+jwt"
    )
}

#[cfg(test)]
mod tests;
