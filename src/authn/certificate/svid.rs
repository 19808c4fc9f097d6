//! The rules of the X.509-SVID: which certificates are the identity document of a workload.
//!
//! Source: "The X.509 SPIFFE Verifiable Identity Document", sections 2 to 5.

use crate::authn::certificate::PeerCertificate;
use crate::authn::certificate::fault::{CertificateFault, SvidRule};
use crate::authn::spiffe::SpiffeId;

impl PeerCertificate {
    /// The SPIFFE ID of a leaf that keeps all rules for one. Who signed it is another question.
    ///
    /// An extended key usage may be absent; one that is there has clientAuth, since the workload is a client
    /// here (section 4.4 asks issuers for both, and a server alone has no use for serverAuth in a client). A
    /// key usage may be absent too, as in go-spiffe; one that is there is kept to.
    ///
    /// # Errors
    /// `certificate_ca_as_leaf`, `certificate_not_svid` with the rule, `spiffe_id_malformed`.
    pub fn svid(&self) -> Result<SpiffeId, CertificateFault> {
        let uri = match &self.uris[..] {
            [] => return Err(CertificateFault::NotSvid(SvidRule::NoUri)),
            [uri] => uri,
            _ => return Err(CertificateFault::NotSvid(SvidRule::SeveralUris)),
        };
        if self.is_ca {
            return Err(CertificateFault::CaAsLeaf);
        }
        let broken = match self.key_usage {
            Some(usage) if usage.key_cert_sign() => Some(SvidRule::KeyCertSign),
            Some(usage) if usage.crl_sign() => Some(SvidRule::CrlSign),
            Some(usage) if !usage.digital_signature() => Some(SvidRule::NoDigitalSignature),
            _ if !self.is_for_clients() => Some(SvidRule::NoClientAuth),
            _ => None,
        };
        if let Some(rule) = broken {
            return Err(CertificateFault::NotSvid(rule));
        }
        let id = SpiffeId::parse(uri.as_bytes())?;
        if id.is_root() {
            return Err(CertificateFault::NotSvid(SvidRule::NoPath));
        }
        Ok(id)
    }
}
