//! Keys: the secret that both sides hold, and what is derived from it for one day, region and service.

use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::scope::Scope;

/// The longest secret, in bytes.
pub const MAX_SECRET_BYTES: usize = 1024;

/// Why a secret is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// No bytes: everybody could sign.
    #[error("the secret is empty")]
    Empty,
    /// More than [`MAX_SECRET_BYTES`].
    #[error("the secret has more than 1,024 bytes; this is something else")]
    TooLong,
}

/// The key that signs requests of one day to one service in one region. A cache of these has to name the
/// access key, its generation and the whole [`Scope`] in its own key.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Derives it; `day` is of eight digits.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn derive(
        secret: &Secret,
        day: &str,
        region: &str,
        service: &str,
    ) -> Result<Self, BadSecret> {
        let bytes = secret.expose();
        if bytes.is_empty() {
            return Err(BadSecret::Empty);
        }
        if bytes.len() > MAX_SECRET_BYTES {
            return Err(BadSecret::TooLong);
        }
        let mut first = Zeroizing::new(Vec::with_capacity(4 + bytes.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(bytes);
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
        for part in [day, region, service, "aws4_request"] {
            let next = hmac::sign(&key, part.as_bytes());
            key = hmac::Key::new(hmac::HMAC_SHA256, next.as_ref());
        }
        Ok(Self(key))
    }

    /// The signature of `text`.
    pub(super) fn sign(&self, text: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, text)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// What a signature is verified with.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// The secret itself: four HMACs more.
    Secret(&'a Secret),
    /// What was derived from it for the signature's scope. One for another scope matches nothing.
    Derived(&'a SigningKey),
}

impl Key<'_> {
    /// Whether `signature` is that of `text`, in constant time.
    pub(super) fn matches(
        self,
        scope: &Scope,
        text: &[u8],
        signature: &[u8],
    ) -> Result<bool, BadSecret> {
        let derived;
        let key = match self {
            Self::Derived(key) => key,
            Self::Secret(secret) => {
                derived = SigningKey::derive(secret, &scope.day, &scope.region, &scope.service)?;
                &derived
            }
        };
        Ok(hmac::verify(&key.0, text, signature).is_ok())
    }
}

impl<'a> From<&'a Secret> for Key<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self::Secret(secret)
    }
}

impl<'a> From<&'a SigningKey> for Key<'a> {
    fn from(key: &'a SigningKey) -> Self {
        Self::Derived(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadSecret, Key, SigningKey};
    use crate::secret::Secret;

    #[test]
    fn refuses_secrets_that_are_empty_or_too_long() {
        for (bytes, wanted) in [
            (0, Some(BadSecret::Empty)),
            (1, None),
            (1024, None),
            (1025, Some(BadSecret::TooLong)),
        ] {
            let secret = Secret::new(vec![b'x'; bytes]);
            let derived = SigningKey::derive(&secret, "20260131", "r", "s");
            assert_eq!(derived.err(), wanted);
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new(vec![b'x'; 32]);
        let key = SigningKey::derive(&secret, "20260131", "r", "s").unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(redacted)");
        assert!(!format!("{:?}", Key::from(&secret)).contains("xx"));
    }
}
