//! Algorithms (RFC 9421 section 3.3) and the keys that verify with them.
//!
//! A key is bound to one algorithm when it is read. What a signature says of its algorithm never chooses one:
//! it can only disagree.

mod jwk;
pub(super) mod pem;

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{self, PublicEncryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA512, RsaParameters, VerificationAlgorithm,
};

use crate::authn::http_signature::key::pem::{PssKey, read_pem};

/// How a SubjectPublicKeyInfo of Ed25519 begins (RFC 8410 section 4): the key's 32 bytes follow.
const ED25519_INFO: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The shortest and the longest RSA modulus, in bits.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The longest text that is read as a key, in bytes: an RSA key of 8,192 bits takes a tenth of it.
pub const MAX_KEY_TEXT_BYTES: usize = 16 * 1024;

/// An algorithm of the registry "HTTP Signature Algorithms".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256 (section 3.3.3).
    HmacSha256,
    /// ECDSA on P-256 with SHA-256 (section 3.3.4).
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384 (section 3.3.5).
    EcdsaP384Sha384,
    /// Ed25519 (section 3.3.6).
    Ed25519,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes (section 3.3.1).
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (section 3.3.2).
    RsaV15Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::HmacSha256,
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::Ed25519,
        Self::RsaPssSha512,
        Self::RsaV15Sha256,
    ];

    /// The registered name, as in `alg` and in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::Ed25519 => "ed25519",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
        }
    }

    /// The algorithm of this name, letter for letter.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The one length that signatures have, in bytes, where the key does not matter.
    pub const fn signature_bytes(self) -> Option<usize> {
        match self {
            Self::HmacSha256 => Some(32),
            Self::EcdsaP256Sha256 | Self::Ed25519 => Some(64),
            Self::EcdsaP384Sha384 => Some(96),
            Self::RsaPssSha512 | Self::RsaV15Sha256 => None,
        }
    }

    /// What its keys are called.
    const fn key_kind(self) -> &'static str {
        match self {
            Self::HmacSha256 => "a shared secret",
            Self::EcdsaP256Sha256 => "an ECDSA key on P-256",
            Self::EcdsaP384Sha384 => "an ECDSA key on P-384",
            Self::Ed25519 => "an Ed25519 key",
            Self::RsaPssSha512 | Self::RsaV15Sha256 => "an RSA key of 2,048 to 8,192 bits",
        }
    }
}

/// Why something is no key. Nothing of the key itself is in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Longer than [`MAX_KEY_TEXT_BYTES`].
    #[error("the key is longer than 16 KiB")]
    TooLong,
    /// No PEM at all.
    #[error("no PEM: a public key begins with `-----BEGIN PUBLIC KEY-----`")]
    NoPem,
    /// More than one PEM block, or text around it.
    #[error("more than one key, or text before or after it: give exactly one PEM block")]
    Several,
    /// Not base64 between the lines.
    #[error("the PEM block holds something other than base64")]
    Base64,
    /// A private key where a public one belongs.
    #[error("this is a private key; give the public one: `openssl pkey -in key.pem -pubout`")]
    Private,
    /// A certificate.
    #[error(
        "this is a certificate; give its public key: `openssl x509 -in cert.pem -pubkey -noout`"
    )]
    Certificate,
    /// Some other PEM block.
    #[error("this PEM block is no public key; one begins with `-----BEGIN PUBLIC KEY-----`")]
    OtherPem,
    /// Not the kind of key that the algorithm takes, or damaged.
    #[error("the key does not fit `{}`, which takes {}", .0.name(), .0.key_kind())]
    Unfit(Algorithm),
    /// RSA below [`RSA_BITS`], or above.
    #[error("an RSA key has 2,048 to 8,192 bits; this one has another size")]
    RsaSize,
    /// No bytes: everybody could sign.
    #[error("the secret is empty")]
    EmptySecret,
    /// `hmac-sha256` with a public key.
    #[error("`hmac-sha256` takes a `secret`, not a public key")]
    SecretWanted,
    /// Not the members that a JWK of its type has.
    #[error("not a JWK whose members can be read: {0}")]
    Jwk(&'static str),
    /// `oct` in a public key set.
    #[error("a shared secret (`kty: oct`) does not belong into a public key set")]
    SymmetricJwk,
    /// `d` and its kin in a public key set.
    #[error("the JWK holds a private key (`d`), which does not belong into a public key set")]
    PrivateJwk,
    /// A JWK of another use.
    #[error("the JWK is not meant for verifying signatures (`use`, `key_ops`)")]
    JwkUse,
    /// No algorithm for this type of key.
    #[error("no algorithm takes a JWK of this `kty`, `crv` and `alg`")]
    JwkType,
    /// RSA without `alg`.
    #[error(
        "an RSA key serves `rsa-pss-sha512` and `rsa-v1_5-sha256`: say which (`alg: PS512` or `RS256`)"
    )]
    JwkAmbiguous,
    /// `alg` says something else than the configuration.
    #[error("the JWK's type or `alg` does not fit `{}`", .0.name())]
    JwkAlgorithm(Algorithm),
}

/// A key that verifies signatures of one algorithm.
pub struct VerifyKey {
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl fmt::Debug for VerifyKey {
    /// The algorithm only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyKey({})", self.algorithm.name())
    }
}

impl VerifyKey {
    /// A shared secret for `hmac-sha256`: the bytes themselves, not their base64.
    ///
    /// # Errors
    /// [`BadKey::EmptySecret`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, BadKey> {
        if secret.is_empty() {
            return Err(BadKey::EmptySecret);
        }
        Ok(Self {
            algorithm: Algorithm::HmacSha256,
            material: Material::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))),
        })
    }

    /// A public key in PEM: SubjectPublicKeyInfo (RFC 7468 section 13), or for RSA also PKCS #1 (RFC 8017
    /// appendix A.1.1).
    ///
    /// # Errors
    /// [`BadKey`]: not exactly one public key, or one that `algorithm` does not take.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, BadKey> {
        let (label, der) = read_pem(pem)?;
        match label {
            "PUBLIC KEY" => {}
            "RSA PUBLIC KEY" if rsa_parameters(algorithm).is_some() => {}
            "RSA PUBLIC KEY" => return Err(BadKey::Unfit(algorithm)),
            "CERTIFICATE" => return Err(BadKey::Certificate),
            label if label.ends_with("PRIVATE KEY") => return Err(BadKey::Private),
            _ => return Err(BadKey::OtherPem),
        }
        Self::from_der(algorithm, &der)
    }

    fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, BadKey> {
        let der = match PssKey::of_public(der) {
            PssKey::Not => der,
            PssKey::Plain(key) if algorithm == Algorithm::RsaPssSha512 => key,
            PssKey::Plain(_) | PssKey::Other => return Err(BadKey::Unfit(algorithm)),
        };
        // The library takes the bare 32 bytes as well, which are no PEM's content.
        if algorithm == Algorithm::Ed25519 && !der.starts_with(&ED25519_INFO) {
            return Err(BadKey::Unfit(algorithm));
        }
        let unfit = |_| BadKey::Unfit(algorithm);
        let verification = verification(algorithm).ok_or(BadKey::SecretWanted)?;
        if rsa_parameters(algorithm).is_some() {
            let key = rsa::PublicKey::from_der(der).map_err(unfit)?;
            let info = key.as_der().map_err(|_| BadKey::Unfit(algorithm))?;
            // A key for encryption is the same key; only this type looks at the size of the modulus.
            PublicEncryptingKey::from_der(info.as_ref()).map_err(|_| BadKey::RsaSize)?;
        }
        let key = ParsedPublicKey::new(verification, der).map_err(unfit)?;
        Ok(Self {
            algorithm,
            material: Material::Public(key),
        })
    }

    /// The algorithm that the key is bound to.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's over `base` (`HTTP_VERIFY` of RFC 9421 section 3.3). A secret is
    /// compared in constant time.
    pub fn verifies(&self, base: &[u8], signature: &[u8]) -> bool {
        if self
            .algorithm
            .signature_bytes()
            .is_some_and(|length| length != signature.len())
        {
            return false;
        }
        match &self.material {
            Material::Secret(key) => hmac::verify(key, base, signature).is_ok(),
            Material::Public(key) => key.verify_sig(base, signature).is_ok(),
        }
    }
}

fn verification(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::HmacSha256 => return None,
        Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::Ed25519 => &ED25519,
        Algorithm::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::RsaV15Sha256 => &RSA_PKCS1_2048_8192_SHA256,
    })
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RsaPssSha512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::RsaV15Sha256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
