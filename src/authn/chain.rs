//! Chains: whether authorities that are trusted for it vouch for a client's certificate.
//!
//! rustls-webpki builds and verifies the chain, with our time. What it leaves open is judged here: that the
//! anchor itself is in time, that an intermediate authority's key may sign certificates, and URI name
//! constraints of anchors, which webpki refuses in every form. An authority vouches for the trust domain
//! whose bundle it stands in, and for no other: one pooled file of authorities would let a federated
//! partner's issue our own workloads' IDs.

pub mod bundle;
mod constraints;
pub mod revocation;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

use crate::authn::certificate::fault::CertificateFault;
use crate::authn::certificate::{Extensions, PeerCertificate, PublicKey, structure};
use crate::authn::chain::bundle::{Authority, TrustBundle};
use crate::authn::chain::revocation::Revocation;
use crate::authn::spiffe::{SpiffeId, TrustDomain};
use crate::clock::Timestamp;
use crate::request::peer::MAX_CHAIN;

/// The bundle of each trust domain that is known.
#[derive(Clone, Debug, Default)]
pub struct Bundles(HashMap<TrustDomain, Arc<TrustBundle>>);

impl Bundles {
    /// Bundles by trust domain.
    pub fn new(bundles: impl IntoIterator<Item = (TrustDomain, Arc<TrustBundle>)>) -> Self {
        Self(bundles.into_iter().collect())
    }

    /// The bundle of an ID's own trust domain.
    ///
    /// # Errors
    /// `trust_domain_refused`.
    pub fn of(&self, id: &SpiffeId) -> Result<&TrustBundle, CertificateFault> {
        self.0
            .get(id.trust_domain())
            .map(Arc::as_ref)
            .ok_or_else(|| CertificateFault::TrustDomainRefused(id.trust_domain().into()))
    }

    /// Verifies a workload's certificate whole: the rules of the X.509-SVID, its time and key, and its chain
    /// to the bundle of its own trust domain.
    ///
    /// # Errors
    /// [`CertificateFault`].
    pub fn verify_svid(
        &self,
        leaf: &PeerCertificate,
        intermediates: &[Vec<u8>],
        revocation: Option<&Revocation>,
        now: Timestamp,
    ) -> Result<SpiffeId, CertificateFault> {
        let id = leaf.svid()?;
        self.of(&id)?.verify(leaf, intermediates, revocation, now)?;
        Ok(id)
    }
}

/// The first moment after `now` at which one of these certificates (DER) begins or ceases to be valid.
pub fn next_change_of(certificates: &[Vec<u8>], now: Timestamp) -> Option<Timestamp> {
    let ends = certificates.iter().filter_map(|der| {
        let certificate = structure(der).ok()?;
        let validity = &certificate.tbs_certificate.validity;
        let begins = Timestamp::from_seconds(validity.not_before.timestamp());
        let ends = Timestamp::from_seconds(validity.not_after.timestamp());
        [begins, bundle::after(ends)]
            .into_iter()
            .filter(|end| *end > now)
            .min()
    });
    ends.min()
}

impl TrustBundle {
    /// Verifies that a client's certificate chains to one of the bundle's authorities at `now`, by way of
    /// `intermediates` (in DER, in any order, at most [`MAX_CHAIN`] less the leaf).
    ///
    /// # Errors
    /// [`CertificateFault`].
    pub fn verify(
        &self,
        leaf: &PeerCertificate,
        intermediates: &[Vec<u8>],
        revocation: Option<&Revocation>,
        now: Timestamp,
    ) -> Result<(), CertificateFault> {
        leaf.judge_client(now)?;
        if intermediates.len() >= MAX_CHAIN {
            return Err(CertificateFault::Malformed(
                "its chain has more than 8 certificates",
            ));
        }
        let der = CertificateDer::from(leaf.der());
        let end_entity = EndEntityCert::try_from(&der)
            .map_err(|_| CertificateFault::Malformed("its structure is not that of RFC 5280"))?;
        let intermediates: Vec<CertificateDer<'_>> = intermediates
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let lists = revocation.map(Revocation::lists).unwrap_or_default();
        let options = revocation
            .map(|revocation| revocation.options(&lists))
            .transpose()?;
        // What was wrong with a path that webpki found good; a later path may be better.
        let fault = RefCell::new(None);
        let judge = |path: &VerifiedPath<'_>| {
            self.judge_path(path, leaf, now).map_err(|found| {
                fault.replace(Some(found));
                Error::UnknownIssuer
            })
        };
        let verified = end_entity.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            self.anchors(),
            &intermediates,
            unix_time(now),
            KeyUsage::client_auth(),
            options,
            Some(&judge),
        );
        match (verified, fault.take()) {
            (Ok(_), _) => Ok(()),
            // webpki reports a path's error before ours where one is more telling than the other.
            (Err(Error::UnknownIssuer), Some(found)) => Err(found),
            (Err(error), _) => Err(self.explain(&error, leaf, &intermediates)),
        }
    }

    /// Judges what webpki does not.
    fn judge_path(
        &self,
        path: &VerifiedPath<'_>,
        leaf: &PeerCertificate,
        now: Timestamp,
    ) -> Result<(), CertificateFault> {
        let mut uris = leaf.uris.clone();
        for intermediate in path.intermediate_certificates() {
            let der = intermediate.der();
            let certificate = structure(&der)?;
            let extensions = Extensions::read(&certificate)?;
            if extensions
                .key_usage
                .is_some_and(|usage| !usage.key_cert_sign())
            {
                return Err(CertificateFault::Untrusted(
                    "an intermediate authority's key may not sign certificates (no keyCertSign)",
                ));
            }
            uris.extend_from_slice(extensions.uris());
        }
        let mut judged = Err(CertificateFault::Untrusted(
            "the chain ends in an authority of another bundle",
        ));
        for authority in self.authorities(path.anchor()) {
            judged = authority.judge(&uris, now);
            if judged.is_ok() {
                break;
            }
        }
        judged
    }

    /// Our word for what webpki found.
    fn explain(
        &self,
        error: &Error,
        leaf: &PeerCertificate,
        intermediates: &[CertificateDer<'_>],
    ) -> CertificateFault {
        use CertificateFault::{Malformed, NameConstraints, RevocationUnknown, Untrusted};
        match error {
            Error::UnknownIssuer if self.anchors().is_empty() => {
                Untrusted("the bundle holds no authority")
            }
            Error::UnknownIssuer => {
                Untrusted("no authority of the bundle issued it, or its chain is incomplete")
            }
            // A key that is too short makes no signature match.
            Error::InvalidSignatureForPublicKey if intermediates.iter().any(has_weak_key) => {
                Untrusted(
                    "an authority in its chain has a key that is too weak, or of a kind that is not trusted",
                )
            }
            Error::InvalidSignatureForPublicKey => {
                Untrusted("a signature in its chain does not match")
            }
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } => {
                Untrusted("an intermediate authority has expired, or is not yet valid")
            }
            Error::PathLenConstraintViolated
            | Error::MaximumPathDepthExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumSignatureChecksExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => {
                Untrusted("its chain is longer or has more branches than is allowed")
            }
            Error::EndEntityUsedAsCa => Untrusted("a certificate in its chain is no authority's"),
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                Untrusted("an authority in its chain may not issue clients' certificates")
            }
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | Error::SignatureAlgorithmMismatch => Untrusted(
                "its chain holds a signature of a kind that is not trusted (RSA of less than 2,048 bits, SHA-1, …)",
            ),
            Error::NameConstraintViolation
                if !leaf.uris.is_empty() && constraints::any_of_uris(intermediates) =>
            {
                NameConstraints(
                    "an intermediate authority has URI name constraints, which can't be judged there; put it into the bundle as an authority",
                )
            }
            Error::NameConstraintViolation
            | Error::MalformedNameConstraint
            | Error::InvalidNetworkMaskConstraint => NameConstraints(
                "a name of it is outside of what an authority in its chain may issue",
            ),
            Error::CertRevoked => CertificateFault::Revoked,
            Error::UnknownRevocationStatus => RevocationUnknown("no list of its issuer is at hand"),
            Error::CrlExpired { .. } => RevocationUnknown("its issuer's list has expired"),
            Error::InvalidCrlSignatureForPublicKey
            | Error::IssuerNotCrlSigner
            | Error::UnsupportedCrlSignatureAlgorithmContext(_)
            | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
                RevocationUnknown("its issuer did not sign the list that is in its name")
            }
            _ => Malformed("a certificate in its chain can't be read"),
        }
    }
}

impl Authority {
    /// Judges time and what it may name.
    fn judge(&self, uris: &[Box<str>], now: Timestamp) -> Result<(), CertificateFault> {
        if now < self.not_before || now.seconds() > self.not_after.seconds() {
            return Err(CertificateFault::Untrusted(
                "the authority that it chains to has expired, or is not yet valid",
            ));
        }
        self.uri_constraints.admit(uris)
    }
}

/// Whether a certificate's key is one that is refused in a leaf too.
fn has_weak_key(der: &CertificateDer<'_>) -> bool {
    structure(der).is_ok_and(|certificate| {
        let key = PublicKey::read(&certificate.tbs_certificate.subject_pki);
        key.judge().is_err()
    })
}

fn unix_time(now: Timestamp) -> UnixTime {
    let seconds = u64::try_from(now.seconds()).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// Whether two references are to one anchor.
fn is_same(a: &TrustAnchor<'_>, b: &TrustAnchor<'_>) -> bool {
    a.subject.as_ref() == b.subject.as_ref()
        && a.subject_public_key_info.as_ref() == b.subject_public_key_info.as_ref()
        && a.name_constraints == b.name_constraints
}

#[cfg(test)]
mod tests;
