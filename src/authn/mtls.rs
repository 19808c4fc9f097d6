//! Callers who are proven by the certificate of their connection: workloads by their SPIFFE IDs, others by what an
//! operator says identifies them.
//!
//! A certificate goes with the connection, not with the request. So it may be outside of what an
//! authenticator means, and is then nobody's: the ingress gateway has one, too. One that an authenticator
//! does mean is judged whole, and refused if anything about it is wrong.

pub mod known;
pub mod rules;

use std::collections::HashMap;
use std::sync::Arc;

use crate::authn::certificate::identity::CertificateSelector;
use crate::authn::mtls::known::{Entry, PeerCache, PeerKey};
use crate::authn::mtls::rules::Rules;
use crate::authn::spiffe::SpiffeId;
use crate::clock::Timestamp;
use crate::consumer::Consumer;
use crate::request::peer::sources::Handed;
use crate::secret::Digest;
use crate::verdict::{Reason, Refusal};

/// One configured authenticator of this kind.
pub struct Mtls {
    /// What it means and trusts.
    rules: Rules,
    consumers: PeerConsumers,
    authenticator: Arc<str>,
    cache: PeerCache,
    /// Told apart from every other configuration that shares the cache.
    configuration: u64,
}

/// A peer that was proven. Only [`Mtls::judge`] makes one.
#[derive(Debug)]
pub struct ProvenPeer {
    /// `authenticator:subject`.
    pub principal_id: Box<str>,
    /// Its SPIFFE ID, or what identifies the certificate's holder.
    pub subject: Box<str>,
    /// Its SPIFFE ID.
    pub spiffe_id: Option<SpiffeId>,
    /// DNS SANs, as far as they are known.
    pub dns_names: Vec<Box<str>>,
    /// The certificate's subject (RFC 4514), if it has one and it is known.
    pub certificate_subject: Option<Box<str>>,
    /// SHA-256 of the certificate, in hexadecimal digits; none where only names came.
    pub fingerprint: Option<Box<str>>,
    /// The first moment of the certificate's validity.
    pub issued: Option<Timestamp>,
    /// The first moment after it.
    pub expires: Option<Timestamp>,
    /// What consumers may be bound to.
    pub(in crate::authn) selectors: Vec<CertificateSelector>,
}

/// What an authenticator makes of the peer.
#[derive(Clone, Debug)]
pub enum Judged {
    /// It does not mean this one: why, if nothing else is left.
    Outside(Arc<Refusal>),
    /// It is proven.
    Proven(Arc<ProvenPeer>),
}

/// The consumers that certificates of one authenticator belong to.
#[derive(Debug, Default)]
pub struct PeerConsumers {
    /// Workloads.
    pub by_id: HashMap<SpiffeId, Arc<Consumer>>,
    /// Others.
    pub by_selector: HashMap<CertificateSelector, Arc<Consumer>>,
}

impl PeerConsumers {
    /// The consumer of a peer.
    ///
    /// # Errors
    /// `consumer_ambiguous` if the certificate fits two.
    fn of(&self, peer: &ProvenPeer) -> Result<Option<Arc<Consumer>>, Refusal> {
        if let Some(id) = &peer.spiffe_id {
            return Ok(self.by_id.get(id).cloned());
        }
        if self.by_selector.is_empty() {
            return Ok(None);
        }
        let mut found: Option<&Arc<Consumer>> = None;
        for selector in &peer.selectors {
            let Some(consumer) = self.by_selector.get(selector) else {
                continue;
            };
            match found {
                Some(other) if !Arc::ptr_eq(other, consumer) => {
                    return Err(Refusal::new(
                        Reason::ConsumerAmbiguous,
                        format!(
                            "the certificate fits the consumers `{}` and `{}`",
                            other.name, consumer.name
                        ),
                    ));
                }
                _ => found = Some(consumer),
            }
        }
        Ok(found.cloned())
    }
}

impl Mtls {
    /// An authenticator called `authenticator`. `configuration` must differ between those whose `rules` differ.
    pub const fn new(
        authenticator: Arc<str>,
        rules: Rules,
        consumers: PeerConsumers,
        cache: PeerCache,
        configuration: u64,
    ) -> Self {
        Self {
            rules,
            consumers,
            authenticator,
            cache,
            configuration,
        }
    }

    /// What it means and trusts.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Judges what was handed over at `now`; `None` if that tells of nobody. `digest` is [`Handed::digest`].
    ///
    /// # Errors
    /// A reason of the `certificate_` family, `spiffe_id_malformed`, `peer_source_malformed`,
    /// `peer_sources_disagree`: a certificate that is meant, and proves nothing.
    pub fn judge(
        &self,
        handed: &Handed<'_>,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Option<Judged>, Refusal> {
        let key = PeerKey {
            peer: digest,
            configuration: self.configuration,
            generation: self.rules.generation(),
        };
        if let Some(known) = self.cache.get(&key)
            && known.holds_at(now)
        {
            return Ok(Some(known.judged.clone()));
        }
        let told = handed.read().map_err(rules::unreadable)?;
        let Some(told) = told else { return Ok(None) };
        let (judged, until) =
            self.rules
                .judge(&told, handed.principal(), &self.authenticator, now)?;
        let entry = Entry {
            judged: judged.clone(),
            from: now,
            until,
        };
        self.cache.insert(key, Arc::new(entry));
        Ok(Some(judged))
    }

    /// The consumer of a peer that this authenticator has proven.
    ///
    /// # Errors
    /// `consumer_ambiguous`.
    pub fn consumer(&self, peer: &ProvenPeer) -> Result<Option<Arc<Consumer>>, Refusal> {
        self.consumers.of(peer)
    }
}

#[cfg(test)]
mod tests;
