//! The secret that both sides hold, made ready.

use std::fmt;

use aws_lc_rs::hmac;

use crate::secret::Secret;

/// The longest secret, in bytes.
pub const MAX_SECRET_BYTES: usize = 1024;

/// Why a secret is refused at load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// No bytes: everybody could sign.
    #[error("the secret is empty")]
    Empty,
    /// More than [`MAX_SECRET_BYTES`].
    #[error("the secret has more than 1,024 bytes; this is something else")]
    TooLong,
}

/// A function that HMAC is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The one whose output has so many bytes.
    pub(super) const fn of_length(bytes: usize) -> Option<Self> {
        match bytes {
            32 => Some(Self::Sha256),
            48 => Some(Self::Sha384),
            64 => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// A secret, with the part of HMAC done that is the same for all messages. Its bytes are the key as they
/// stand: nothing is decoded.
pub struct Key {
    sha256: hmac::Key,
    sha384: hmac::Key,
    sha512: hmac::Key,
}

impl Key {
    /// Makes a secret ready.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn new(secret: &Secret) -> Result<Self, BadSecret> {
        let bytes = secret.expose();
        if bytes.is_empty() {
            return Err(BadSecret::Empty);
        }
        if bytes.len() > MAX_SECRET_BYTES {
            return Err(BadSecret::TooLong);
        }
        Ok(Self {
            sha256: hmac::Key::new(hmac::HMAC_SHA256, bytes),
            sha384: hmac::Key::new(hmac::HMAC_SHA384, bytes),
            sha512: hmac::Key::new(hmac::HMAC_SHA512, bytes),
        })
    }

    fn with(&self, hash: Hash) -> &hmac::Key {
        match hash {
            Hash::Sha256 => &self.sha256,
            Hash::Sha384 => &self.sha384,
            Hash::Sha512 => &self.sha512,
        }
    }

    /// Whether `signature` is that of `text`, in constant time.
    pub(super) fn matches(&self, hash: Hash, text: &[u8], signature: &[u8]) -> bool {
        hmac::verify(self.with(hash), text, signature).is_ok()
    }

    /// The signature of `text`.
    pub(super) fn sign(&self, hash: Hash, text: &[u8]) -> hmac::Tag {
        hmac::sign(self.with(hash), text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::{BadSecret, Key};
    use crate::secret::Secret;

    #[test]
    fn refuses_secrets_that_are_empty_or_too_long() {
        for (bytes, wanted) in [
            (0, Some(BadSecret::Empty)),
            (1, None),
            (1024, None),
            (1025, Some(BadSecret::TooLong)),
        ] {
            assert_eq!(Key::new(&Secret::new(vec![b'x'; bytes])).err(), wanted);
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let key = Key::new(&Secret::new(vec![b'x'; 32])).unwrap();
        assert_eq!(format!("{key:?}"), "Key(redacted)");
    }
}
