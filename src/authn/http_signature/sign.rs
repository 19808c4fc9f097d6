//! Signing a request: for the command line and for the callers that policy tests stand in for.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::{BareItem, InnerList, Item, Key};

use crate::authn::http_signature::key::pem::{PssKey, read_pem};
use crate::authn::http_signature::key::{Algorithm, BadKey};
use crate::authn::http_signature::{SIGNATURE, SIGNATURE_INPUT, base, chosen, structured};
use crate::request::signed::AsSigned;
use crate::verdict::Refusal;

/// A key that signs with one algorithm.
pub struct SigningKey {
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    Secret(Box<hmac::Key>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl std::fmt::Debug for SigningKey {
    /// The algorithm only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.algorithm.name())
    }
}

impl SigningKey {
    /// A shared secret for `hmac-sha256`.
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

    /// A private key in PEM, without a passphrase: PKCS #8, or the older `EC PRIVATE KEY` (RFC 5915) and
    /// `RSA PRIVATE KEY` (RFC 8017).
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, BadKey> {
        let (label, der) = read_pem(pem)?;
        let unfit = |_| BadKey::Unfit(algorithm);
        let ecdsa = |scheme: &'static EcdsaSigningAlgorithm| match label {
            "PRIVATE KEY" => EcdsaKeyPair::from_pkcs8(scheme, &der).map_err(unfit),
            "EC PRIVATE KEY" => EcdsaKeyPair::from_private_key_der(scheme, &der).map_err(unfit),
            _ => Err(BadKey::Unfit(algorithm)),
        };
        let rsa = || match label {
            "PRIVATE KEY" => match PssKey::of_private(&der) {
                PssKey::Not => RsaKeyPair::from_pkcs8(&der),
                PssKey::Plain(pkcs1) if algorithm == Algorithm::RsaPssSha512 => {
                    RsaKeyPair::from_der(pkcs1)
                }
                PssKey::Plain(_) | PssKey::Other => return Err(BadKey::Unfit(algorithm)),
            }
            .map_err(unfit),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).map_err(unfit),
            _ => Err(BadKey::Unfit(algorithm)),
        };
        let material = match algorithm {
            Algorithm::HmacSha256 => return Err(BadKey::SecretWanted),
            Algorithm::EcdsaP256Sha256 => Material::Ecdsa(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
            Algorithm::EcdsaP384Sha384 => Material::Ecdsa(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)?),
            Algorithm::Ed25519 if label == "PRIVATE KEY" => {
                Material::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(unfit)?)
            }
            Algorithm::Ed25519 => return Err(BadKey::Unfit(algorithm)),
            Algorithm::RsaPssSha512 => Material::Rsa(rsa()?, &RSA_PSS_SHA512),
            Algorithm::RsaV15Sha256 => Material::Rsa(rsa()?, &RSA_PKCS1_SHA256),
        };
        Ok(Self {
            algorithm,
            material,
        })
    }

    /// The algorithm that the key is bound to.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `HTTP_SIGN` of RFC 9421 section 3.3; `None` where the library has no answer.
    fn sign(&self, base: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        Some(match &self.material {
            Material::Secret(key) => hmac::sign(key, base).as_ref().to_vec(),
            Material::Ecdsa(key) => key.sign(&random, base).ok()?.as_ref().to_vec(),
            Material::Ed25519(key) => key.sign(base).as_ref().to_vec(),
            Material::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, base, &mut signature).ok()?;
                signature
            }
        })
    }
}

/// What to sign, and what the signature says of itself.
#[derive(Clone, Debug)]
pub struct ToSign<'a> {
    /// The label; it is not signed.
    pub label: &'a str,
    /// The components in order: `@method`, `content-digest`, or a whole identifier with its parameters such
    /// as `"@query-param";name="id"`.
    pub components: &'a [&'a str],
    /// Seconds since the epoch.
    pub created: i64,
    /// Seconds since the epoch.
    pub expires: Option<i64>,
    /// `keyid`.
    pub key_id: &'a str,
    /// Whether to state the algorithm.
    pub alg: bool,
    /// `nonce`.
    pub nonce: Option<&'a str>,
    /// `tag`.
    pub tag: Option<&'a str>,
}

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum CannotSign {
    /// The label is no key of a dictionary.
    #[error("a label is letters in lower case, digits and `_-.*`, and begins with a letter")]
    Label,
    /// Text that is no printable ASCII, or a number out of range.
    #[error(
        "`{0}` cannot be written: texts are printable ASCII, times whole seconds of at most 15 digits"
    )]
    Parameter(&'static str),
    /// A component that cannot be read.
    #[error(
        "`{0}` is no component; one is `@method`, `content-digest` or `\"@query-param\";name=\"id\"`"
    )]
    Component(String),
    /// A component that the request does not have.
    #[error("{}", .0.detail)]
    Refused(Refusal),
    /// The cryptographic library failed.
    #[error("the key could not sign")]
    Key,
}

/// Signs a request; answers with the two headers to add. `Content-Digest`, where it is covered, has to be
/// among the request's headers already.
///
/// # Errors
/// [`CannotSign`].
pub fn sign(
    message: &AsSigned<'_>,
    what: &ToSign<'_>,
    key: &SigningKey,
) -> Result<[(&'static str, String); 2], CannotSign> {
    let label = Key::from_string(what.label.to_owned()).map_err(|_| CannotSign::Label)?;
    let mut input = InnerList::default();
    for component in what.components {
        let item = match sfv::StringRef::from_str(component) {
            Ok(name) if !component.starts_with('"') => Some(Item::new(name)),
            _ => structured::item(component.as_bytes()),
        };
        input
            .items
            .push(item.ok_or_else(|| CannotSign::Component((*component).to_owned()))?);
    }
    let mut say = |name: &'static str, value: Option<BareItem>| match value {
        Some(value) => {
            input.params.insert(sfv::key_ref(name).to_owned(), value);
            Ok(())
        }
        None => Err(CannotSign::Parameter(name)),
    };
    say("created", integer(what.created))?;
    if let Some(expires) = what.expires {
        say("expires", integer(expires))?;
    }
    say("keyid", string(what.key_id))?;
    if what.alg {
        say("alg", string(key.algorithm.name()))?;
    }
    if let Some(nonce) = what.nonce {
        say("nonce", string(nonce))?;
    }
    if let Some(tag) = what.tag {
        say("tag", string(tag))?;
    }
    let covered = chosen::components(&input).map_err(CannotSign::Refused)?;
    let parameters = structured::member(&input.into());
    let base = base::base(&covered, &parameters, message).map_err(CannotSign::Refused)?;
    let signature = key.sign(&base).ok_or(CannotSign::Key)?;
    Ok([
        (SIGNATURE_INPUT, format!("{label}={parameters}")),
        (
            SIGNATURE,
            format!("{label}=:{}:", STANDARD.encode(signature)),
        ),
    ])
}

fn integer(seconds: i64) -> Option<BareItem> {
    sfv::Integer::try_from(seconds).ok().map(BareItem::Integer)
}

fn string(text: &str) -> Option<BareItem> {
    sfv::StringRef::from_str(text).ok().map(BareItem::from)
}

#[cfg(test)]
mod tests;
