//! A signing key that lives as long as the process, and the tokens that it signs.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The `kid` of its tokens.
const KEY_ID: &str = "stand-in";

/// How tokens can be signed (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    EdDsa,
    Es256,
    Es384,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
}

/// The quick ones to make a key for come first.
const ALL: [Algorithm; 9] = [
    Algorithm::EdDsa,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

impl Algorithm {
    /// One of these names; any will do if there are none. `None` if there is none that can sign.
    pub(super) fn among(names: &[&str]) -> Option<Self> {
        let accepted = |algorithm: &Self| names.is_empty() || names.contains(&algorithm.name());
        ALL.into_iter().find(accepted)
    }

    /// Its registered name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    fn rsa(self) -> Option<&'static dyn RsaEncoding> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Rs384 => &RSA_PKCS1_SHA384,
            Self::Rs512 => &RSA_PKCS1_SHA512,
            Self::Ps256 => &RSA_PSS_SHA256,
            Self::Ps384 => &RSA_PSS_SHA384,
            Self::Ps512 => &RSA_PSS_SHA512,
            Self::EdDsa | Self::Es256 | Self::Es384 => return None,
        })
    }
}

/// A private key with its algorithm.
pub(super) struct Signer {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// A new key; `None` if the operating system gives no random bytes.
    pub(super) fn generate(algorithm: Algorithm) -> Option<Self> {
        let ecdsa = |kind| EcdsaKeyPair::generate(kind).ok().map(Pair::Ecdsa);
        let pair = match algorithm {
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate().ok()?),
            Algorithm::Es256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
            Algorithm::Es384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)?,
            _ => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).ok()?),
        };
        Some(Self { algorithm, pair })
    }

    /// Its public half as a JWK (RFC 7517 section 4).
    pub(super) fn jwk(&self) -> Option<Value> {
        Some(match &self.pair {
            Pair::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": KEY_ID, "x": x})
            }
            Pair::Ecdsa(pair) => {
                // A point that is not compressed: 0x04, then both coordinates (SEC 1 section 2.3.3).
                let point = pair.public_key().as_ref().get(1..)?;
                let (x, y) = point.split_at_checked(point.len() / 2)?;
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                let curve = match self.algorithm {
                    Algorithm::Es384 => "P-384",
                    _ => "P-256",
                };
                json!({"kty": "EC", "crv": curve, "kid": KEY_ID, "x": x, "y": y})
            }
            Pair::Rsa(pair) => {
                // RSAPublicKey (RFC 8017 appendix A.1.1) of 2,048 bits with the usual exponent: the modulus
                // stands behind nine bytes, the heads of a sequence and of a number that begins with a zero.
                let der = pair.public_key().as_ref();
                let n = URL_SAFE_NO_PAD.encode(der.get(9..265)?);
                json!({"kty": "RSA", "kid": KEY_ID, "n": n, "e": "AQAB"})
            }
        })
    }

    /// A token of these claims (RFC 7515 section 7.1, RFC 9068 section 2.1).
    pub(super) fn token(&self, claims: &Value) -> Option<String> {
        let header = json!({"alg": self.algorithm.name(), "kid": KEY_ID, "typ": "at+jwt"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.sign(signed.as_bytes())?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&random, message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(self.algorithm.rsa()?, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
        }
    }
}
