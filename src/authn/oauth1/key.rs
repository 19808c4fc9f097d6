//! The keys that consumers sign with.

use std::fmt;
use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::authn::oauth1::method::SignatureMethod;
use crate::secret::Secret;

/// The shortest RSA modulus, in bits.
pub const MIN_RSA_BITS: usize = 2_048;

/// The longest RSA modulus, in bits: verifying with a longer one costs whoever asks too little.
pub const MAX_RSA_BITS: usize = 8_192;

/// The longest file of a key, in bytes.
pub const MAX_KEY_FILE_BYTES: usize = 64 * 1_024;

/// What a consumer's signatures are verified with. It is one or the other: a public key is never taken for
/// a shared secret.
pub enum ConsumerKey {
    /// The shared secret, for HMAC and PLAINTEXT. Never empty.
    Shared(SharedSecret),
    /// The public key, for RSA.
    Rsa(RsaPublicKey),
}

impl ConsumerKey {
    /// A shared secret.
    ///
    /// # Errors
    /// It is empty: everybody could sign with it.
    pub fn shared(secret: Secret) -> Result<Self, BadKey> {
        if secret.expose().is_empty() {
            return Err(BadKey::Empty);
        }
        Ok(Self::Shared(SharedSecret(secret)))
    }

    /// A public key in PEM; see [`RsaPublicKey::from_pem`].
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn rsa(pem: &[u8]) -> Result<Self, BadKey> {
        RsaPublicKey::from_pem(pem).map(Self::Rsa)
    }
}

impl fmt::Debug for ConsumerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared(_) => "ConsumerKey(shared, redacted)",
            Self::Rsa(_) => "ConsumerKey(RSA)",
        })
    }
}

/// A secret that is not empty.
#[derive(Clone, Debug)]
pub struct SharedSecret(Secret);

impl SharedSecret {
    pub(super) const fn secret(&self) -> &Secret {
        &self.0
    }
}

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// An empty secret.
    #[error("the secret is empty")]
    Empty,
    /// Not one block of PEM (RFC 7468).
    #[error(
        "this is not one block of PEM: `-----BEGIN PUBLIC KEY-----`, base64, `-----END PUBLIC KEY-----`"
    )]
    NoPem,
    /// The private half where the public one belongs.
    #[error(
        "this is a private key, which the consumer alone should have; give its public key: `openssl pkey -in FILE -pubout`"
    )]
    Private,
    /// A certificate.
    #[error("this is a certificate; give its public key: `openssl x509 -in FILE -noout -pubkey`")]
    Certificate,
    /// A PEM block of another kind.
    #[error("the PEM block is of another kind than was asked for")]
    Label,
    /// Not an RSA key.
    #[error("the PEM block holds no RSA key")]
    NoRsa,
    /// The modulus is too short or too long.
    #[error("the RSA key has fewer than 2,048 bits or more than 8,192")]
    Size,
}

/// An RSA public key of 2,048 to 8,192 bits.
pub struct RsaPublicKey {
    sha1: ParsedPublicKey,
    sha256: ParsedPublicKey,
}

impl RsaPublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----` (RFC 7468 section 13) or `-----BEGIN RSA PUBLIC KEY-----` (RFC 8017
    /// appendix A.1.1).
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_pem(text: &[u8]) -> Result<Self, BadKey> {
        let (label, der) = pem_block(text)?;
        match label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::from_der(&der),
            "CERTIFICATE" => Err(BadKey::Certificate),
            label if label.ends_with("PRIVATE KEY") => Err(BadKey::Private),
            _ => Err(BadKey::Label),
        }
    }

    /// Reads a `SubjectPublicKeyInfo` or an `RSAPublicKey` in DER.
    ///
    /// # Errors
    /// `NoRsa`, `Size`.
    pub fn from_der(der: &[u8]) -> Result<Self, BadKey> {
        let sha256 =
            ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(|_| BadKey::NoRsa)?;
        let sha1 = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, der)
            .map_err(|_| BadKey::NoRsa)?;
        let spki: PublicKeyX509Der<'_> = sha256.as_der().map_err(|_| BadKey::NoRsa)?;
        // The one encoding of the key ends in that of its two numbers. Anything else has bytes after its end, or
        // another encoding than DER.
        if !spki.as_ref().ends_with(der) {
            return Err(BadKey::NoRsa);
        }
        // The library refuses others too. A key of which it says nothing more is a key of the wrong size.
        let bits = PublicEncryptingKey::from_der(spki.as_ref())
            .map_err(|_| BadKey::Size)?
            .key_size_bits();
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(BadKey::Size);
        }
        Ok(Self { sha1, sha256 })
    }

    /// Whether `signature` is that of `message`; never for a method that is not RSA.
    pub(super) fn verifies(
        &self,
        method: SignatureMethod,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = match method {
            SignatureMethod::RsaSha1 => &self.sha1,
            SignatureMethod::RsaSha256 => &self.sha256,
            SignatureMethod::HmacSha1
            | SignatureMethod::HmacSha256
            | SignatureMethod::Plaintext => return false,
        };
        key.verify_sig(message, signature).is_ok()
    }
}

/// The one block of a PEM file, with its label. Text around it is left out, as openssl writes it; a second
/// block is refused, since nobody could say which one counts.
pub(super) fn pem_block(text: &[u8]) -> Result<(&str, Zeroizing<Vec<u8>>), BadKey> {
    if text.len() > MAX_KEY_FILE_BYTES {
        return Err(BadKey::NoPem);
    }
    let text = std::str::from_utf8(text).map_err(|_| BadKey::NoPem)?;
    let (_, from_label) = text.split_once("-----BEGIN ").ok_or(BadKey::NoPem)?;
    let (label, from_base64) = from_label.split_once("-----").ok_or(BadKey::NoPem)?;
    let (base64, from_end) = from_base64.split_once("-----END ").ok_or(BadKey::NoPem)?;
    let after = from_end
        .strip_prefix(label)
        .and_then(|rest| rest.strip_prefix("-----"))
        .ok_or(BadKey::NoPem)?;
    if after.contains("-----BEGIN ") {
        return Err(BadKey::NoPem);
    }
    let packed: Zeroizing<Vec<u8>> = Zeroizing::new(
        base64
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    // A key that is locked with a password has header lines, whose colons are no base64.
    let der = STANDARD
        .decode(packed.as_slice())
        .map_err(|_| BadKey::NoPem)?;
    Ok((label, Zeroizing::new(der)))
}

/// Keys that belong to nobody: what an unknown consumer's signature is tried against, so that it takes as
/// long as a known one's. Nobody can tell who has the shared one, so a match with it counts for nothing.
pub(super) struct NobodysKeys {
    pub(super) shared: ConsumerKey,
    /// There is one always; an `Option` since reading a key may fail.
    pub(super) rsa: Option<ConsumerKey>,
    pub(super) token: Secret,
}

pub(super) static NOBODYS_KEYS: LazyLock<NobodysKeys> = LazyLock::new(|| {
    // An RSAPublicKey with a modulus of 2,048 ones. It is odd, which is all that the arithmetic asks for.
    const HEAD: [u8; 9] = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
    const EXPONENT: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];
    let der = [&HEAD[..], &[0xff; 256], &EXPONENT].concat();
    NobodysKeys {
        shared: ConsumerKey::Shared(SharedSecret(Secret::new(vec![b'x'; 40]))),
        rsa: RsaPublicKey::from_der(&der).ok().map(ConsumerKey::Rsa),
        token: Secret::new(vec![b'x'; 40]),
    }
});

#[cfg(test)]
mod tests;
