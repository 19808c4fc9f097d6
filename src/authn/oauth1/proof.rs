//! Whether a signature is the one that its key makes (RFC 5849 sections 3.4.2 to 3.4.4).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::authn::oauth1::encoding::encode_onto;
use crate::authn::oauth1::key::ConsumerKey;
use crate::authn::oauth1::method::SignatureMethod;
use crate::authn::oauth1::{Keys, Unverified, key_unknown, malformed};
use crate::authn::signature::mismatch;
use crate::secret::Secret;
use crate::verdict::{Reason, Refusal};

impl Unverified {
    /// # Errors
    /// `signature_key_unknown`, `signature_algorithm_refused`, `signature_malformed`, `signature_mismatch`.
    pub(super) fn judge_signature(&self, keys: &Keys<'_>) -> Result<(), Refusal> {
        // A token without its secret would let a consumer speak for whomever it likes.
        match (self.token(), keys.token) {
            (Some(_), Some(_)) | (None, None) => {}
            (Some(_), None) => return Err(key_unknown("the consumer has no such `oauth_token`")),
            (None, Some(_)) => {
                return Err(key_unknown(
                    "the request names no token, and was given a secret of one",
                ));
            }
        }
        let method = self.protocol.method;
        match (method, keys.consumer) {
            (SignatureMethod::Plaintext, ConsumerKey::Shared(secret)) => {
                let right = shared_key(secret.secret(), keys.token);
                if right.as_slice().ct_eq(&self.protocol.signature).into() {
                    Ok(())
                } else {
                    Err(mismatch(
                        "`oauth_signature` is not the two secrets, each encoded, with `&` between",
                    ))
                }
            }
            (
                SignatureMethod::HmacSha1 | SignatureMethod::HmacSha256,
                ConsumerKey::Shared(secret),
            ) => self.judge_hmac(&shared_key(secret.secret(), keys.token)),
            (SignatureMethod::RsaSha1 | SignatureMethod::RsaSha256, ConsumerKey::Rsa(key)) => {
                let signature = self.signature_bytes()?;
                if key.verifies(method, &self.base_string, &signature) {
                    Ok(())
                } else {
                    Err(mismatch(MISMATCH))
                }
            }
            (_, ConsumerKey::Shared(_)) => Err(wrong_kind(method, "a shared secret")),
            (_, ConsumerKey::Rsa(_)) => Err(wrong_kind(method, "an RSA key")),
        }
    }

    fn judge_hmac(&self, key: &[u8]) -> Result<(), Refusal> {
        let Some(algorithm) = self.protocol.method.hmac() else {
            return Err(mismatch(MISMATCH));
        };
        let signature = self.signature_bytes()?;
        let key = hmac::Key::new(algorithm, key);
        hmac::verify(&key, &self.base_string, &signature).map_err(|_| mismatch(MISMATCH))
    }

    fn signature_bytes(&self) -> Result<Vec<u8>, Refusal> {
        STANDARD
            .decode(&self.protocol.signature)
            .map_err(|_| malformed("`oauth_signature` is not base64 with its padding"))
    }
}

const MISMATCH: &str =
    "the signature is not that of the request's base string with this consumer's and token's key";

/// Both secrets, each encoded, with `&` between (section 3.4.2), which stands there without a token too.
pub(super) fn shared_key(consumer: &Secret, token: Option<&Secret>) -> Zeroizing<Vec<u8>> {
    let token = token.map_or(&[][..], Secret::expose);
    // Room for all of it: a vector that grows leaves its old memory behind as it was.
    let room = 3 * (consumer.expose().len() + token.len()) + 1;
    let mut key = Zeroizing::new(Vec::with_capacity(room));
    encode_onto(&mut key, consumer.expose());
    key.push(b'&');
    encode_onto(&mut key, token);
    key
}

fn wrong_kind(method: SignatureMethod, has: &str) -> Refusal {
    Refusal::new(
        Reason::SignatureAlgorithmRefused,
        format!(
            "the signature is {}, and the consumer has {has}",
            method.name()
        ),
    )
}
