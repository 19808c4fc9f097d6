//! Certificates that were judged before: parsed and verified once, for as long as nothing that it hangs on changes.

use std::sync::Arc;

use moka::sync::Cache;

use crate::authn::mtls::Judged;
use crate::clock::Timestamp;
use crate::secret::Digest;

/// How many bytes of certificates are kept.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Judged peers by what was handed over, configuration and bundles. Losing an entry costs time, never a verdict.
pub type PeerCache = Cache<PeerKey, Arc<Entry>>;

/// Everything that feeds the judgement of a peer but the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerKey {
    pub(super) peer: Digest,
    pub(super) configuration: u64,
    pub(super) generation: u64,
}

/// What was made of a peer, and when that holds.
#[derive(Debug)]
pub struct Entry {
    pub(super) judged: Judged,
    /// When it was judged.
    pub(super) from: Timestamp,
    /// From then on it is judged anew: a certificate, an authority or a revocation list ends or begins. `None`:
    /// never.
    pub(super) until: Option<Timestamp>,
}

impl Entry {
    /// Whether judging it anew at `now` would come to the same. A clock that was set back is no reason to
    /// believe so.
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }

    fn weight(&self) -> u32 {
        let Judged::Proven(peer) = &self.judged else {
            return 512;
        };
        let names = peer.dns_names.iter().map(|name| name.len()).sum::<usize>();
        let texts = peer.principal_id.len() + peer.subject.len() + 2 * names;
        let selectors = 128 * peer.selectors.len();
        u32::try_from(1024 + 2 * texts + selectors).unwrap_or(u32::MAX)
    }
}

/// An empty cache.
pub fn peer_cache() -> PeerCache {
    Cache::builder()
        .max_capacity(MAX_BYTES)
        .weigher(|_, entry: &Arc<Entry>| entry.weight())
        .build()
}
