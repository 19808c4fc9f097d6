//! `oauth_body_hash` (OAuth Request Body Hash 1.0): what signs a body that is no form.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use subtle::ConstantTimeEq as _;

use crate::authn::oauth1::{Rules, Unverified, malformed};
use crate::authn::signature::whole_body;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// Whether bodies that are no forms need a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BodyHash {
    /// A body that is neither empty nor a form is refused without one. So is a body that Envoy did not hand
    /// over, and an upgrade, after which anything may follow.
    #[default]
    Required,
    /// It is verified where it is sent. Without it the body is not signed: RFC 5849 leaves it out.
    Optional,
}

/// What the body is to a signature.
pub(super) enum Content {
    /// A form, which is part of the base string.
    Form,
    /// Anything else, or why it can't be told.
    Other(Result<Bytes, Refusal>),
}

impl Content {
    pub(super) fn of(message: &AsSigned<'_>, form: bool) -> Self {
        match &message.body {
            _ if form => Self::Form,
            Body::Whole(bytes) => Self::Other(Ok(bytes.clone())),
            _ => Self::Other(whole_body(message).map(Bytes::copy_from_slice)),
        }
    }
}

impl Unverified {
    /// Judges what can be told before the signature is verified.
    ///
    /// # Errors
    /// `signature_malformed` for a hash beside a form, which is signed already (section 4.1.1 of the
    /// extension); `signature_incomplete`, `body_unavailable` where one is required and missing.
    pub(super) fn judge_presence_of_body_hash(&self, rules: &Rules) -> Result<(), Refusal> {
        match (&self.content, &self.protocol.body_hash, rules.body_hash) {
            (Content::Form, Some(_), _) => Err(malformed(
                "`oauth_body_hash` stands beside a form, which is signed by itself",
            )),
            (Content::Other(Err(refusal)), None, BodyHash::Required) => Err(refusal.clone()),
            (Content::Other(Ok(body)), None, BodyHash::Required) if !body.is_empty() => {
                Err(Refusal::new(
                    Reason::SignatureIncomplete,
                    "the body is no form, so that only `oauth_body_hash` could sign it, and that is missing",
                ))
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// `body_unavailable`, `signature_malformed`, `body_digest_mismatch`.
    pub(super) fn judge_body_hash(&self, rules: &Rules) -> Result<(), Refusal> {
        let (Content::Other(body), Some(written)) = (&self.content, &self.protocol.body_hash)
        else {
            return Ok(());
        };
        let body = body.as_ref().map_err(Refusal::clone)?;
        let sent = STANDARD
            .decode(written)
            .map_err(|_| malformed("`oauth_body_hash` is not base64 with its padding"))?;
        let algorithm = self.hash_of_length(sent.len(), rules)?;
        let right = digest::digest(algorithm, body);
        if right.as_ref().ct_eq(&sent).into() {
            Ok(())
        } else {
            Err(Refusal::new(
                Reason::BodyDigestMismatch,
                "`oauth_body_hash` is not the hash of the body",
            ))
        }
    }

    fn hash_of_length(
        &self,
        length: usize,
        rules: &Rules,
    ) -> Result<&'static digest::Algorithm, Refusal> {
        let own = self.protocol.method.body_hash();
        let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        if length == own.output_len() {
            Ok(own)
        } else if length == sha1.output_len() && rules.sha1_body_hash {
            Ok(sha1)
        } else if length == sha1.output_len() {
            Err(malformed(format!(
                "`oauth_body_hash` is SHA-1, and the method {}: `sha1_body_hash: true` would accept it",
                self.protocol.method.name()
            )))
        } else {
            Err(malformed(format!(
                "`oauth_body_hash` is not {} bytes long, as the hash of {} is",
                own.output_len(),
                self.protocol.method.name()
            )))
        }
    }
}
