//! Certificate revocation lists (RFC 5280 section 5).

use std::fmt;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use x509_parser::prelude::FromDer as _;

use crate::authn::certificate::fault::CertificateFault;
use crate::clock::Timestamp;

/// The most lists.
const MAX_LISTS: usize = 1_000;

/// What happens to a certificate of which no list speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownStatus {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes: for deployments that have lists for some of their authorities only.
    Accept,
}

/// Why a list can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRevocationList {
    /// Neither PEM (`X509 CRL`) nor DER.
    #[error("this is no revocation list, neither in PEM (`X509 CRL`) nor in DER")]
    Unreadable,
    /// A delta list, an indirect one, or one of some reasons only.
    #[error(
        "revocation lists that are deltas, indirect, or for some reasons only are not supported: {0}"
    )]
    Unsupported(String),
    /// More than `MAX_LISTS`.
    #[error("there are more than 1,000 revocation lists")]
    TooMany,
}

/// The lists that are at hand. They are judged at each verification: their issuer's signature, and that their
/// `nextUpdate` has not passed, since a list that nobody renews hides what was revoked after it.
pub struct Revocation {
    lists: Vec<CertRevocationList<'static>>,
    /// `nextUpdate` of each: from then on it tells of nothing.
    ends: Vec<Timestamp>,
    unknown: UnknownStatus,
}

impl Revocation {
    /// Lists of none yet.
    pub const fn new(unknown: UnknownStatus) -> Self {
        Self {
            lists: Vec::new(),
            ends: Vec::new(),
            unknown,
        }
    }

    /// Adds the lists of a file: PEM with one or more, or DER with one.
    ///
    /// # Errors
    /// [`BadRevocationList`]: one bad list refuses the file.
    pub fn add(&mut self, file: &[u8]) -> Result<(), BadRevocationList> {
        let der = match file.first() {
            Some(0x30) => vec![CertificateRevocationListDer::from(file.to_vec())],
            _ => CertificateRevocationListDer::pem_slice_iter(file)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| BadRevocationList::Unreadable)?,
        };
        if der.is_empty() {
            return Err(BadRevocationList::Unreadable);
        }
        for der in der {
            if self.lists.len() == MAX_LISTS {
                return Err(BadRevocationList::TooMany);
            }
            let list = OwnedCertRevocationList::from_der(&der).map_err(|error| match error {
                webpki::Error::UnsupportedDeltaCrl
                | webpki::Error::UnsupportedIndirectCrl
                | webpki::Error::UnsupportedCrlVersion
                | webpki::Error::UnsupportedCriticalExtension
                | webpki::Error::UnsupportedCrlIssuingDistributionPoint
                | webpki::Error::UnsupportedRevocationReasonsPartitioning => {
                    BadRevocationList::Unsupported(error.to_string())
                }
                _ => BadRevocationList::Unreadable,
            })?;
            let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(&der)
                .map_err(|_| BadRevocationList::Unreadable)?;
            self.ends.extend(
                read.next_update()
                    .map(|end| Timestamp::from_seconds(end.timestamp())),
            );
            self.lists.push(list.into());
        }
        Ok(())
    }

    /// The first moment after `now` at which one of the lists ends.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.ends.iter().copied().filter(|end| *end > now).min()
    }

    /// How many lists there are.
    pub const fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    pub(super) fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().collect()
    }

    /// How webpki is to judge: the whole chain below the anchor.
    ///
    /// # Errors
    /// `certificate_revocation_unknown` where there is no list and that refuses.
    pub(super) fn options<'a>(
        &self,
        lists: &'a [&'a CertRevocationList<'a>],
    ) -> Result<RevocationOptions<'a>, CertificateFault> {
        let builder = RevocationOptionsBuilder::new(lists)
            .map_err(|_| CertificateFault::RevocationUnknown("no list is at hand"))?;
        let unknown = match self.unknown {
            UnknownStatus::Refuse => UnknownStatusPolicy::Deny,
            UnknownStatus::Accept => UnknownStatusPolicy::Allow,
        };
        Ok(builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(unknown)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build())
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation")
            .field("lists", &self.lists.len())
            .field("unknown", &self.unknown)
            .finish()
    }
}
