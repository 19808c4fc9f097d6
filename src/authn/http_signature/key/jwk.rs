//! Keys of a public JWK Set.

use aws_lc_rs::signature::{ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::authn::http_signature::key::{
    Algorithm, BadKey, MAX_KEY_TEXT_BYTES, Material, RSA_BITS, VerifyKey, rsa_parameters,
    verification,
};

/// The longest public exponent of an RSA key, in bytes. Nearly all have three.
const MAX_EXPONENT_BYTES: usize = 4;

impl VerifyKey {
    /// A key of a public JWK Set (RFC 7517, RFC 7518 section 6, RFC 8037). `algorithm` is what the
    /// configuration says, if it says anything; the JWK's own `alg` and type must agree. An RSA key fits two
    /// algorithms, so one of the two has to say which.
    ///
    /// # Errors
    /// [`BadKey`]: private and symmetric keys too.
    pub fn from_jwk(jwk: &Value, algorithm: Option<Algorithm>) -> Result<Self, BadKey> {
        let text = |name: &'static str| match jwk.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= MAX_KEY_TEXT_BYTES => {
                Ok(Some(text.as_str()))
            }
            Some(_) => Err(BadKey::Jwk(name)),
        };
        let kind = text("kty")?.ok_or(BadKey::Jwk("kty"))?;
        if kind == "oct" || jwk.get("k").is_some() {
            return Err(BadKey::SymmetricJwk);
        }
        if ["d", "p", "q", "dp", "dq", "qi", "oth"]
            .iter()
            .any(|name| jwk.get(name).is_some())
        {
            return Err(BadKey::PrivateJwk);
        }
        check_use(jwk)?;
        let own = match (kind, text("crv")?, text("alg")?) {
            ("EC", Some("P-256"), None | Some("ES256")) => Some(Algorithm::EcdsaP256Sha256),
            ("EC", Some("P-384"), None | Some("ES384")) => Some(Algorithm::EcdsaP384Sha384),
            ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => Some(Algorithm::Ed25519),
            ("RSA", None, Some("PS512")) => Some(Algorithm::RsaPssSha512),
            ("RSA", None, Some("RS256")) => Some(Algorithm::RsaV15Sha256),
            ("RSA", None, None) => None,
            _ => return Err(BadKey::JwkType),
        };
        let algorithm = match (own, algorithm) {
            (Some(own), Some(said)) if own != said => return Err(BadKey::JwkAlgorithm(said)),
            (None, Some(said)) if rsa_parameters(said).is_none() => {
                return Err(BadKey::JwkAlgorithm(said));
            }
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => return Err(BadKey::JwkAmbiguous),
        };
        let bytes = |name: &'static str| {
            let text = text(name)?.ok_or(BadKey::Jwk(name))?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| BadKey::Jwk(name))
        };
        let key = if let Some(parameters) = rsa_parameters(algorithm) {
            rsa_key(parameters, algorithm, &bytes("n")?, &bytes("e")?)?
        } else {
            let verification = verification(algorithm).ok_or(BadKey::SecretWanted)?;
            let point = match algorithm {
                Algorithm::Ed25519 => coordinate(bytes("x")?, 32, "x")?,
                Algorithm::EcdsaP256Sha256 => uncompressed(bytes("x")?, bytes("y")?, 32)?,
                _ => uncompressed(bytes("x")?, bytes("y")?, 48)?,
            };
            ParsedPublicKey::new(verification, point).map_err(|_| BadKey::Unfit(algorithm))?
        };
        Ok(Self {
            algorithm,
            material: Material::Public(key),
        })
    }
}

/// What a JWK says it is for (RFC 7517 sections 4.2 and 4.3).
fn check_use(jwk: &Value) -> Result<(), BadKey> {
    match jwk.get("use").map(Value::as_str) {
        None | Some(Some("sig")) => {}
        Some(_) => return Err(BadKey::JwkUse),
    }
    match jwk.get("key_ops").map(Value::as_array) {
        None => Ok(()),
        Some(Some(operations)) if operations.iter().any(|operation| operation == "verify") => {
            Ok(())
        }
        Some(_) => Err(BadKey::JwkUse),
    }
}

fn rsa_key(
    parameters: &'static RsaParameters,
    algorithm: Algorithm,
    modulus: &[u8],
    exponent: &[u8],
) -> Result<ParsedPublicKey, BadKey> {
    let modulus = without_leading_zeros(modulus);
    let bits = match modulus.first() {
        Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    };
    if !RSA_BITS.contains(&bits) {
        return Err(BadKey::RsaSize);
    }
    let exponent = without_leading_zeros(exponent);
    // With an exponent of 1 everybody can sign; the library does not look at it here.
    let odd = exponent.last().is_some_and(|last| last & 1 == 1);
    if !odd || exponent == [1] || exponent.len() > MAX_EXPONENT_BYTES {
        return Err(BadKey::Unfit(algorithm));
    }
    let components = RsaPublicKeyComponents {
        n: modulus,
        e: exponent,
    };
    components
        .to_parsed_public_key(parameters)
        .map_err(|_| BadKey::Unfit(algorithm))
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// A coordinate has the length of its field, leading zeros included (RFC 7518 section 6.2.1.2).
fn coordinate(bytes: Vec<u8>, length: usize, name: &'static str) -> Result<Vec<u8>, BadKey> {
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(BadKey::Jwk(name))
    }
}

/// A point in SEC 1's uncompressed form (section 2.3.3).
fn uncompressed(x: Vec<u8>, y: Vec<u8>, length: usize) -> Result<Vec<u8>, BadKey> {
    let (x, y) = (coordinate(x, length, "x")?, coordinate(y, length, "y")?);
    Ok([&[4], x.as_slice(), y.as_slice()].concat())
}
