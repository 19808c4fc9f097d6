//! What can be wrong with a certificate or with what Envoy says of it.

use crate::authn::spiffe::BadSpiffeId;
use crate::clock::Timestamp;
use crate::request::peer::BadPeer;
use crate::verdict::{Reason, Refusal};

/// Why a peer's certificate proves nothing. The text is the operator's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Only names came, and they are not enough.
    #[error(
        "only names of the client certificate came, and this authenticator judges the certificate itself: let `certificate` be among `--peer-sources`, and set `include_peer_certificate` in Envoy"
    )]
    Missing,
    /// An attribute or header that can't be read.
    #[error(transparent)]
    Source(BadPeer),
    /// Two sources tell of different peers.
    #[error("{0}")]
    SourcesDisagree(&'static str),
    /// No certificate of RFC 5280, or one that two readers would read apart.
    #[error("the certificate can't be read: {0}")]
    Malformed(&'static str),
    /// `notAfter` has passed.
    #[error("the certificate expired at {}", .0.to_rfc3339())]
    Expired(Timestamp),
    /// `notBefore` lies ahead.
    #[error("the certificate is not valid before {}", .0.to_rfc3339())]
    NotYetValid(Timestamp),
    /// No chain to a trust anchor.
    #[error("the certificate does not chain to a trusted authority: {0}")]
    Untrusted(&'static str),
    /// Not among the certificates or keys that are pinned.
    #[error("neither the certificate's fingerprint nor its public key is pinned")]
    NotPinned,
    /// A rule of X.509-SVID that it breaks.
    #[error("the certificate is no X.509-SVID: {0}")]
    NotSvid(SvidRule),
    /// Its URI SAN, or `source.principal`, is no SPIFFE ID.
    #[error(transparent)]
    SpiffeIdMalformed(#[from] BadSpiffeId),
    /// The trust domain is not admitted, or has no bundle.
    #[error("no bundle is configured for the trust domain `{0}`")]
    TrustDomainRefused(Box<str>),
    /// On a CRL.
    #[error("the certificate, or one that it chains to, is revoked")]
    Revoked,
    /// No current CRL speaks of it.
    #[error("the certificate's revocation status is unknown: {0}")]
    RevocationUnknown(&'static str),
    /// A CA's certificate as a leaf.
    #[error("a CA's certificate is used as a client's own")]
    CaAsLeaf,
    /// A key that is too short, or of a kind that is not trusted.
    #[error("the certificate's public key is not accepted: {0}")]
    KeyWeak(&'static str),
    /// Not meant for clients of TLS.
    #[error("the certificate is not meant for TLS clients: {0}")]
    PurposeRefused(&'static str),
    /// Name constraints of a CA that it chains to.
    #[error("a CA's name constraints do not admit the certificate: {0}")]
    NameConstraints(&'static str),
    /// What identifies the caller is missing from it, or stands there more than once.
    #[error("the certificate has no single {0}, which is what identifies its holder")]
    NoIdentity(&'static str),
}

/// A rule of "The X.509 SPIFFE Verifiable Identity Document".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SvidRule {
    /// Section 2.
    #[error("it has no URI SAN")]
    NoUri,
    /// Section 2 and 5.2.
    #[error("it has more than one URI SAN")]
    SeveralUris,
    /// Section 3.1.
    #[error("its SPIFFE ID has no path, so that it names a trust domain and no workload")]
    NoPath,
    /// Section 4.3.
    #[error("its key may sign certificates (keyCertSign)")]
    KeyCertSign,
    /// Section 4.3.
    #[error("its key may sign revocation lists (cRLSign)")]
    CrlSign,
    /// Section 4.3.
    #[error("its key may not sign (no digitalSignature)")]
    NoDigitalSignature,
    /// Section 4.4.
    #[error("its extended key usage lacks clientAuth")]
    NoClientAuth,
}

impl CertificateFault {
    /// The reason that it is refused for.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Missing => Reason::CertificateMissing,
            Self::Source(_) => Reason::PeerSourceMalformed,
            Self::SourcesDisagree(_) => Reason::PeerSourcesDisagree,
            Self::Malformed(_) => Reason::CertificateMalformed,
            Self::Expired(_) => Reason::CertificateExpired,
            Self::NotYetValid(_) => Reason::CertificateNotYetValid,
            Self::Untrusted(_) => Reason::CertificateUntrusted,
            Self::NotPinned => Reason::CertificateNotPinned,
            Self::NotSvid(_) => Reason::CertificateNotSvid,
            Self::SpiffeIdMalformed(_) => Reason::SpiffeIdMalformed,
            Self::TrustDomainRefused(_) => Reason::TrustDomainRefused,
            Self::Revoked => Reason::CertificateRevoked,
            Self::RevocationUnknown(_) => Reason::CertificateRevocationUnknown,
            Self::CaAsLeaf => Reason::CertificateCaAsLeaf,
            Self::KeyWeak(_) => Reason::CertificateKeyWeak,
            Self::PurposeRefused(_) => Reason::CertificatePurposeRefused,
            Self::NameConstraints(_) => Reason::CertificateNameConstrained,
            Self::NoIdentity(_) => Reason::CertificateIdentityMissing,
        }
    }

    /// The reason's name, in snake case.
    pub const fn as_str(&self) -> &'static str {
        self.reason().as_str()
    }
}

impl From<CertificateFault> for Refusal {
    fn from(fault: CertificateFault) -> Self {
        Self::new(fault.reason(), fault.to_string())
    }
}

impl From<BadPeer> for CertificateFault {
    fn from(bad: BadPeer) -> Self {
        match bad {
            BadPeer::Disagree(text) => Self::SourcesDisagree(text),
            bad => Self::Source(bad),
        }
    }
}
