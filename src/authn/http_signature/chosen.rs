//! The one signature that counts, judged.

use std::fmt;

use sfv::InnerList;

use crate::authn::http_signature::base;
use crate::authn::http_signature::components::{self, Component, Derived, Form, Kind};
use crate::authn::http_signature::digest;
use crate::authn::http_signature::key::{Algorithm, VerifyKey};
use crate::authn::http_signature::rules::{self, Nonce, Rules};
use crate::authn::http_signature::{Labelled, Says, malformed, structured};
use crate::authn::signature::{Accepted, Once, whole_body};
use crate::clock::Timestamp;
use crate::request::signed::AsSigned;
use crate::secret::Digest;
use crate::verdict::{Reason, Refusal};

/// The one signature that is judged.
pub struct Chosen {
    label: Box<str>,
    components: Vec<Component>,
    parameters: String,
    pub(super) signature: Vec<u8>,
    key_id: Box<str>,
    says: Says,
}

impl fmt::Debug for Chosen {
    /// Label and key id; never the signature, which may still be good for one use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chosen({} by {})", self.label, self.key_id)
    }
}

impl Chosen {
    pub(super) fn new(signature: Labelled) -> Result<Self, Refusal> {
        let components = components(&signature.input)?;
        let parameters = structured::member(&signature.input.into());
        let key_id = signature.says.key_id.clone().unwrap_or_default();
        Ok(Self {
            label: signature.label,
            components,
            parameters,
            signature: signature.signature,
            key_id,
            says: signature.says,
        })
    }

    /// The label it stands under. It is not signed.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The key that it says it was made with.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The headers that it covers, whole or in part, in lower case.
    pub fn signed_headers(&self) -> impl Iterator<Item = &str> {
        self.components
            .iter()
            .filter_map(|component| match &component.kind {
                Kind::Field(name, _) => Some(name.as_ref()),
                _ => None,
            })
    }

    /// The exact bytes that must have been signed (section 2.5), for verification and for an operator.
    ///
    /// # Errors
    /// `signature_component_refused`: the request lacks something that is covered, or has it in a form that
    /// cannot be signed.
    pub fn base(&self, message: &AsSigned<'_>) -> Result<Vec<u8>, Refusal> {
        base::base(&self.components, &self.parameters, message)
    }

    /// Judges the signature with the key of [`Chosen::key_id`].
    ///
    /// What has to be remembered is the nonce, or else the signed bytes: never the signature itself, as
    /// whoever has an ECDSA signature can make a second one out of it. Without a nonce nothing is remembered
    /// of a safe method (RFC 9110 section 9.2.1), if the method is signed.
    ///
    /// # Errors
    /// `signature_algorithm_refused`, `signature_incomplete`, `signature_expired`,
    /// `signature_not_yet_valid`, `signature_component_refused`, `signature_mismatch`, and for a covered
    /// `Content-Digest` `body_digest_mismatch` and `body_unavailable`.
    pub fn verify(
        &self,
        message: &AsSigned<'_>,
        key: &VerifyKey,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Accepted, Refusal> {
        self.check_algorithm(key.algorithm(), rules)?;
        rules.check_coverage(&self.components, message)?;
        if rules.nonce == Nonce::Required && self.says.nonce.is_none() {
            return Err(Refusal::new(
                Reason::SignatureIncomplete,
                "the signature has no `nonce`",
            ));
        }
        let created = self.says.created.ok_or_else(|| {
            Refusal::new(
                Reason::SignatureIncomplete,
                "the signature has no `created`",
            )
        })?;
        let until = rules.freshness.judge(created, self.says.expires, now)?;
        let base = self.base(message)?;
        if !key.verifies(&base, &self.signature) {
            return Err(self.mismatch(message, key.algorithm()));
        }
        if self.covers_field(digest::CONTENT_DIGEST) {
            digest::verify(message.headers, whole_body(message)?)?;
        }
        Ok(Accepted {
            once: self.once(message, &base).map(|value| Once { value, until }),
            created: Some(Timestamp::from_seconds(created)),
            until: Some(until),
        })
    }

    fn check_algorithm(&self, of_key: Algorithm, rules: &Rules) -> Result<(), Refusal> {
        let refused = |detail: String| Err(Refusal::new(Reason::SignatureAlgorithmRefused, detail));
        if !rules.algorithms.contains(&of_key) {
            return refused(format!(
                "the key is for `{}`, which is not among `algorithms`",
                of_key.name()
            ));
        }
        match self.says.alg.as_deref() {
            None => Ok(()),
            Some(said) if said == of_key.name() => Ok(()),
            Some(said) => match Algorithm::from_name(said) {
                Some(said) => refused(format!(
                    "the signature says `{}`, and its key is for `{}`",
                    said.name(),
                    of_key.name()
                )),
                None => refused(format!(
                    "the signature says an algorithm that is not known here, and its key is for `{}`",
                    of_key.name()
                )),
            },
        }
    }

    /// Whether a header is covered, or a part of it.
    fn covers_field(&self, name: &str) -> bool {
        self.components
            .iter()
            .any(|component| matches!(&component.kind, Kind::Field(own, _) if own.as_ref() == name))
    }

    fn once(&self, message: &AsSigned<'_>, base: &[u8]) -> Option<Vec<u8>> {
        if let Some(nonce) = &self.says.nonce {
            return Some([b"nonce:", nonce.as_bytes()].concat());
        }
        let safe = matches!(message.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        if safe && rules::covers(&self.components, Derived::Method) {
            return None;
        }
        Some([&b"base:"[..], Digest::of(base).bytes()].concat())
    }

    /// A mismatch, with what most often causes one.
    fn mismatch(&self, message: &AsSigned<'_>, algorithm: Algorithm) -> Refusal {
        let mut detail =
            String::from("the signature does not match the signature base that this request has");
        let der = self.signature.first() == Some(&0x30);
        match algorithm.signature_bytes() {
            Some(length) if length != self.signature.len() => {
                detail.push_str(&format!(
                    "; one of `{}` has {length} bytes, this one has {}",
                    algorithm.name(),
                    self.signature.len()
                ));
                if der
                    && matches!(
                        algorithm,
                        Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384
                    )
                {
                    detail.push_str(" (r and s side by side, not DER)");
                }
            }
            _ => {}
        }
        if rules::covers(&self.components, Derived::Authority)
            || rules::covers(&self.components, Derived::Scheme)
        {
            detail
                .push_str("; if clients call another address than Envoy sees, set `external_url`");
        }
        if let Some(name) = self.joined_by_envoy(message) {
            detail.push_str(&format!(
                "; `{name}` holds a comma without a space after it, as Envoy joins repeated lines: set `encode_raw_headers: true`"
            ));
        }
        Refusal::new(Reason::SignatureMismatch, detail)
    }

    /// A covered header that may have been several lines.
    fn joined_by_envoy(&self, message: &AsSigned<'_>) -> Option<&str> {
        let tight = |line: &[u8]| {
            line.windows(2)
                .any(|pair| matches!(pair, [b',', after] if *after != b' '))
        };
        self.components
            .iter()
            .find_map(|component| match &component.kind {
                Kind::Field(name, Form::Joined | Form::Wrapped) => message
                    .headers
                    .all(name)
                    .any(tight)
                    .then_some(name.as_ref()),
                _ => None,
            })
    }
}

/// The covered components, in order and each but once.
pub(super) fn components(input: &InnerList) -> Result<Vec<Component>, Refusal> {
    let mut components: Vec<Component> = Vec::with_capacity(input.items.len());
    for item in &input.items {
        let component = Component::read(item)?;
        if components
            .iter()
            .any(|other| components::same(other, &component))
        {
            return Err(malformed("the signature covers one component twice"));
        }
        components.push(component);
    }
    Ok(components)
}
