//! Signs requests: for trying out, and for callers in tests.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::authn::oauth1::base_string::{SIGNATURE, base_string};
use crate::authn::oauth1::encoding::encode_onto;
use crate::authn::oauth1::key::{BadKey, pem_block};
use crate::authn::oauth1::method::SignatureMethod;
use crate::authn::oauth1::parameters::{Pair, Unsigned};
use crate::authn::oauth1::proof::shared_key;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::Refusal;

/// What a consumer signs with.
pub enum SigningKey {
    /// The shared secret.
    Shared(Secret),
    /// The private key.
    Rsa(KeyPair),
}

impl SigningKey {
    /// Reads a private RSA key: `-----BEGIN PRIVATE KEY-----` (RFC 7468 section 10) or
    /// `-----BEGIN RSA PRIVATE KEY-----` (RFC 8017 appendix A.1.2).
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn rsa(pem: &[u8]) -> Result<Self, BadKey> {
        let (label, der) = pem_block(pem)?;
        let pair = match label {
            "PRIVATE KEY" => KeyPair::from_pkcs8(&der),
            "RSA PRIVATE KEY" => KeyPair::from_der(&der),
            _ => return Err(BadKey::Label),
        };
        pair.map(Self::Rsa).map_err(|_| BadKey::NoRsa)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// Who signs, and how.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// `oauth_consumer_key`.
    pub consumer_key: &'a str,
    /// Its key.
    pub key: &'a SigningKey,
    /// `oauth_token` and its secret, to sign on behalf of somebody.
    pub token: Option<(&'a str, &'a Secret)>,
    /// The method.
    pub method: SignatureMethod,
    /// `realm`.
    pub realm: Option<&'a str>,
    /// Whether to send `oauth_body_hash` with a body that is no form.
    pub body_hash: bool,
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum CannotSign {
    /// The request has parameters of the protocol already.
    #[error("the request has OAuth parameters already")]
    Signed,
    /// The key's kind is not the method's.
    #[error("{} needs {}", .0.name(), needs(*.0))]
    WrongKey(SignatureMethod),
    /// New signatures with SHA-1 and RSA are not made.
    #[error("RSA-SHA1 signatures are verified and not made; use RSA-SHA256")]
    RsaSha1,
    /// The body is not at hand.
    #[error("the body to be signed is not whole")]
    Body,
    /// The realm can't stand in a header.
    #[error("the realm holds a control character")]
    Realm,
    /// The request can't be read.
    #[error("{}", .0.detail)]
    Unreadable(Box<Refusal>),
    /// The library that signs reported a fault.
    #[error("signing failed")]
    Failed,
}

const fn needs(method: SignatureMethod) -> &'static str {
    match method {
        SignatureMethod::RsaSha1 | SignatureMethod::RsaSha256 => "a private RSA key",
        SignatureMethod::HmacSha1 | SignatureMethod::HmacSha256 | SignatureMethod::Plaintext => {
            "a shared secret"
        }
    }
}

/// Signs a request. `timestamp` is in seconds since the epoch, `nonce` new for each request of one second.
/// Answers with the headers to add.
///
/// # Errors
/// [`CannotSign`].
pub fn sign(
    message: &AsSigned<'_>,
    signer: &Signer<'_>,
    timestamp: i64,
    nonce: &str,
) -> Result<Vec<(&'static str, String)>, CannotSign> {
    let unreadable = |refusal| CannotSign::Unreadable(Box::new(refusal));
    let request = Unsigned::collect(message)
        .map_err(unreadable)?
        .ok_or(CannotSign::Signed)?;
    let mut own = own_parameters(signer, timestamp, nonce);
    if signer.body_hash && !request.form {
        own.extend(body_hash(message, signer.method)?);
    }
    let all = [own.as_slice(), &request.all].concat();
    let base_string = base_string(message, &all).map_err(unreadable)?;
    own.push((SIGNATURE.to_vec(), signature(&base_string, signer)?));
    Ok(vec![("authorization", authorization(&own, signer.realm)?)])
}

fn own_parameters(signer: &Signer<'_>, timestamp: i64, nonce: &str) -> Vec<Pair> {
    let mut own = vec![
        pair("oauth_consumer_key", signer.consumer_key),
        pair("oauth_signature_method", signer.method.name()),
        pair("oauth_timestamp", &timestamp.to_string()),
        pair("oauth_nonce", nonce),
        pair("oauth_version", "1.0"),
    ];
    own.extend(signer.token.map(|(token, _)| pair("oauth_token", token)));
    own
}

fn pair(name: &str, value: &str) -> Pair {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

/// `None` for an empty body, which needs none.
fn body_hash(message: &AsSigned<'_>, method: SignatureMethod) -> Result<Option<Pair>, CannotSign> {
    let Body::Whole(body) = &message.body else {
        return Err(CannotSign::Body);
    };
    let hash = || STANDARD.encode(digest::digest(method.body_hash(), body));
    Ok((!body.is_empty()).then(|| pair("oauth_body_hash", &hash())))
}

fn signature(base_string: &[u8], signer: &Signer<'_>) -> Result<Vec<u8>, CannotSign> {
    let secret_of_token = signer.token.map(|(_, secret)| secret);
    let bytes = match (signer.method, signer.key) {
        (SignatureMethod::Plaintext, SigningKey::Shared(secret)) => {
            return Ok(shared_key(secret, secret_of_token).to_vec());
        }
        (SignatureMethod::RsaSha256, SigningKey::Rsa(pair)) => {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                base_string,
                &mut signature,
            )
            .map_err(|_| CannotSign::Failed)?;
            signature
        }
        (SignatureMethod::RsaSha1, SigningKey::Rsa(_)) => return Err(CannotSign::RsaSha1),
        (method, SigningKey::Shared(secret)) => {
            let algorithm = method.hmac().ok_or(CannotSign::WrongKey(method))?;
            let key = hmac::Key::new(algorithm, &shared_key(secret, secret_of_token));
            hmac::sign(&key, base_string).as_ref().to_vec()
        }
        (method, SigningKey::Rsa(_)) => return Err(CannotSign::WrongKey(method)),
    };
    Ok(STANDARD.encode(bytes).into_bytes())
}

/// RFC 5849 section 3.5.1; the realm is a quoted string.
fn authorization(own: &[Pair], realm: Option<&str>) -> Result<String, CannotSign> {
    let mut parts = Vec::with_capacity(own.len() + 1);
    if let Some(realm) = realm {
        if realm.contains(char::is_control) {
            return Err(CannotSign::Realm);
        }
        let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
        parts.push(format!("realm=\"{quoted}\""));
    }
    for (name, value) in own {
        let mut part = Vec::new();
        encode_onto(&mut part, name);
        part.extend(b"=\"");
        encode_onto(&mut part, value);
        part.push(b'"');
        // What was encoded is ASCII.
        parts.push(String::from_utf8_lossy(&part).into_owned());
    }
    Ok(format!("OAuth {}", parts.join(", ")))
}

#[cfg(test)]
mod tests;
