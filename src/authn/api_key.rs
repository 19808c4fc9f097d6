//! API keys: minted with at least 128 random bits, stored as digests, found in constant time.
//!
//! Our own keys read `pk_live_<id>_<secret>`: a prefix that secret scanners know, the environment, a
//! public id, and a secret whose last six characters are a checksum, so that a typing error is told
//! from an unknown key without a look-up. Keys of any other format work by their SHA-256.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::fast::RandomState;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::consumer::Consumer;
use crate::policy::scope::ScopeSet;
use crate::secret::{Digest, Secret};
use crate::verdict::{Reason, Refusal};

/// The prefix of keys that `portcullis keys new` mints unless told otherwise.
pub const DEFAULT_PREFIX: &str = "pk_";

/// The longest credential that is hashed, in bytes.
pub const MAX_KEY_BYTES: usize = 4096;

const SECRET_CHARACTERS: usize = 32;
const CHECKSUM_CHARACTERS: usize = 6;
const ID_CHARACTERS: usize = 8;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key as an operator registered it.
#[derive(Debug)]
pub struct KeyRecord {
    /// What audit and revocation call it.
    pub id: Arc<str>,
    /// Who it belongs to.
    pub consumer: Arc<Consumer>,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// Its own scopes cut to the consumer's ceiling, or the ceiling.
    pub scopes: ScopeSet,
    /// `authenticator:consumer`.
    pub principal_id: Arc<str>,
    digest: Digest,
}

impl KeyRecord {
    /// A key by its digest. `own` are its own scopes, if it has any.
    pub fn new(
        authenticator: &str,
        id: &str,
        digest: Digest,
        expires: Option<Timestamp>,
        own: Option<ScopeSet>,
        consumer: Arc<Consumer>,
    ) -> Self {
        let scopes = consumer.scopes_of_key(own);
        let principal_id = format!("{authenticator}:{}", consumer.name).into();
        Self {
            id: id.into(),
            consumer,
            expires,
            scopes,
            principal_id,
            digest,
        }
    }
}

/// All keys of one authenticator, found by digest whatever their number.
#[derive(Debug, Default)]
pub struct ApiKeys {
    /// What its keys begin with, where said.
    pub prefix: Option<Box<str>>,
    by_digest: HashMap<Digest, Arc<KeyRecord>, RandomState>,
}

impl ApiKeys {
    /// An authenticator without keys.
    pub fn new(prefix: Option<&str>) -> Self {
        Self {
            prefix: prefix.map(Into::into),
            by_digest: HashMap::default(),
        }
    }

    /// Registers a key.
    ///
    /// # Errors
    /// The record that has the same digest already.
    pub fn insert(&mut self, record: KeyRecord) -> Result<(), Arc<KeyRecord>> {
        match self.by_digest.entry(record.digest) {
            Entry::Occupied(twin) => Err(Arc::clone(twin.get())),
            Entry::Vacant(free) => {
                free.insert(Arc::new(record));
                Ok(())
            }
        }
    }

    /// Whether a bearer credential of this text belongs here: it has the authenticator's prefix.
    pub fn owns_bearer(&self, credential: &[u8]) -> bool {
        credential.starts_with(self.prefix.as_deref().unwrap_or(DEFAULT_PREFIX).as_bytes())
    }

    /// Finds the key that was presented. Its expiry is judged with `now`, its environment against the
    /// route's; the consumer is judged by the caller.
    ///
    /// # Errors
    /// `key_unknown`, `key_malformed`, `key_expired`, and `environment_mismatch` for a key of our own
    /// format that names another environment.
    pub fn verify(
        &self,
        presented: &[u8],
        environment: &str,
        now: Timestamp,
    ) -> Result<Arc<KeyRecord>, Refusal> {
        if presented.len() > MAX_KEY_BYTES || !presented.iter().all(u8::is_ascii_graphic) {
            return Err(Refusal::new(
                Reason::KeyUnknown,
                "the key holds characters that no key has, or is longer than 4,096 bytes",
            ));
        }
        let Some(record) = self.by_digest.get(&Digest::of(presented)) else {
            return Err(self.not_found(presented, environment));
        };
        if record.expires.is_some_and(|expires| now >= expires) {
            return Err(Refusal::new(
                Reason::KeyExpired,
                format!("key `{}` has expired", record.id),
            ));
        }
        Ok(Arc::clone(record))
    }

    fn not_found(&self, presented: &[u8], environment: &str) -> Refusal {
        let prefix = self.prefix.as_deref().unwrap_or(DEFAULT_PREFIX);
        let text = std::str::from_utf8(presented).unwrap_or_default();
        match OwnKey::parse(text, prefix) {
            OwnFormat::Whole(key) if key.environment != environment => Refusal::new(
                Reason::EnvironmentMismatch,
                format!(
                    "a key for `{}` on a route in `{environment}`",
                    key.environment
                ),
            ),
            OwnFormat::Whole(key) => Refusal::new(
                Reason::KeyUnknown,
                format!("no key has the id `{}` and this digest", key.id),
            ),
            OwnFormat::Damaged => Refusal::new(
                Reason::KeyMalformed,
                "the key has our format but a wrong checksum: cut off or mistyped",
            ),
            OwnFormat::Foreign => Refusal::new(Reason::KeyUnknown, "no key has this digest"),
        }
    }
}

/// The public parts of a key of our own format.
struct OwnKey<'a> {
    environment: &'a str,
    id: &'a str,
}

enum OwnFormat<'a> {
    Whole(OwnKey<'a>),
    Damaged,
    Foreign,
}

impl<'a> OwnKey<'a> {
    fn parse(text: &'a str, prefix: &str) -> OwnFormat<'a> {
        let Some(rest) = text.strip_prefix(prefix) else {
            return OwnFormat::Foreign;
        };
        let mut parts = rest.rsplitn(3, '_');
        let (Some(secret), Some(id), Some(environment)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return OwnFormat::Foreign;
        };
        let Some((body, sum)) =
            text.split_at_checked(text.len().saturating_sub(CHECKSUM_CHARACTERS))
        else {
            return OwnFormat::Foreign;
        };
        if secret.len() == SECRET_CHARACTERS + CHECKSUM_CHARACTERS && checksum(body) == sum {
            OwnFormat::Whole(OwnKey { environment, id })
        } else {
            OwnFormat::Damaged
        }
    }
}

/// Six base-62 characters out of the CRC-32 (ISO 3309) of the text before them.
fn checksum(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    let mut rest = !crc;
    let mut digits = [b'0'; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = base62(rest % 62);
        rest /= 62;
    }
    digits.iter().map(|&digit| char::from(digit)).collect()
}

fn base62(value: u32) -> u8 {
    usize::try_from(value)
        .ok()
        .and_then(|index| BASE62.get(index))
        .copied()
        .unwrap_or(b'0')
}

/// A key that was just minted. The plain text is shown once and stored nowhere.
#[derive(Debug)]
pub struct NewKey {
    /// The whole key.
    pub plain: Secret,
    /// Its public id.
    pub id: String,
    /// What the policy file holds.
    pub digest: Digest,
}

/// Why a key could not be minted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotMint {
    /// Environment, id or prefix hold characters that would make the key ambiguous.
    #[error("{0} may hold letters, digits and hyphens only, and is at most 64 characters long")]
    Characters(&'static str),
    /// A prefix must end in `_`, so that the key's parts can be told apart.
    #[error("the prefix must end in an underscore, as in `pk_`, and be at most 32 characters long")]
    Prefix,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// Mints a key: 32 base-62 characters of secret, which are 190 random bits.
///
/// # Errors
/// [`CannotMint`].
pub fn mint(prefix: &str, environment: &str, id: Option<&str>) -> Result<NewKey, CannotMint> {
    let word = |text: &str| {
        !text.is_empty()
            && text.len() <= 64
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let prefix_good = prefix.len() <= 32
        && prefix.ends_with('_')
        && prefix
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !prefix_good {
        return Err(CannotMint::Prefix);
    }
    if !word(environment) {
        return Err(CannotMint::Characters("the environment"));
    }
    let id = match id {
        Some(id) if word(id) => id.to_owned(),
        Some(_) => return Err(CannotMint::Characters("the id")),
        None => random_text(ID_CHARACTERS)?,
    };
    let secret = Zeroizing::new(random_text(SECRET_CHARACTERS)?);
    let body = Zeroizing::new(format!("{prefix}{environment}_{id}_{}", *secret));
    let plain = format!("{}{}", *body, checksum(&body));
    let digest = Digest::of(plain.as_bytes());
    Ok(NewKey {
        plain: Secret::new(plain.into_bytes()),
        id,
        digest,
    })
}

/// Base-62 characters, each equally likely: bytes that would favour some are thrown away.
fn random_text(length: usize) -> Result<String, CannotMint> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0u8; 64];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CannotMint::NoRandomness)?;
        for byte in bytes
            .iter()
            .filter(|&&byte| byte < 248)
            .take(length - text.len())
        {
            text.push(char::from(base62(u32::from(byte % 62))));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
