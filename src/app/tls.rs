//! TLS on the TCP listener, and who may ask for checks through it.
//!
//! The certificate of such a connection is Envoy's. It says whether checks are answered, and never who the
//! caller of a request is.

mod failure;
mod follow;
mod material;
mod name;
#[cfg(test)]
mod test_certificates;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::failure::Failure;
pub(super) use self::follow::follow;
use self::material::{ALPN, Contents, Terms};
pub use self::material::{TlsFiles, Unusable};
pub use self::name::ClientName;
use crate::app::seldom::Seldom;
use crate::clock::{Clock, Timestamp};
use crate::secret::Digest;
use crate::telemetry::metrics::{Labelled, Metrics};

/// How long a handshake may take: it is two round trips.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most handshakes under way in the whole process. Envoys connect a few times each; more at once are
/// refused without reading a byte.
const MAX_HANDSHAKES: usize = 256;

/// The most of them from one address: who connects and says nothing keeps out itself first. A restarted Envoy
/// connects once per worker.
const MAX_HANDSHAKES_PER_ADDRESS: usize = 64;

/// The longest that a connection is left alone before its certificate is judged again: the wall clock may
/// be set while it waits.
const LOOK_AGAIN: Duration = Duration::from_secs(60 * 60);

/// What the settings say of TLS.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Certificates and keys.
    pub files: TlsFiles,
    /// Which certificates of the client CA may ask; empty: all.
    pub client_names: Arc<[ClientName]>,
}

/// Ends TLS: makes the handshakes, by the newest certificates that are good.
pub struct Terminator {
    settings: TlsSettings,
    terms: watch::Sender<Arc<Terms>>,
    clock: Arc<dyn Clock>,
    handshake_timeout: Duration,
    max_handshakes: usize,
    under_way: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    failed: [(AtomicU64, Seldom); Failure::ALL.len()],
    crowded_out: (AtomicU64, Seldom),
    withdrawn: AtomicU64,
    state: FilesState,
}

/// How the files on disk compare with what is in use.
#[derive(Debug, Default)]
struct FilesState {
    stale: AtomicBool,
    loaded: AtomicU64,
    failed: AtomicU64,
}

/// A client certificate that was good when its connection began.
pub struct Peer(Vec<CertificateDer<'static>>);

/// One handshake under way.
struct Slot<'a> {
    of: &'a Terminator,
    /// Where it was counted as one of an address.
    address: Option<IpAddr>,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.of.under_way.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else {
            return;
        };
        let mut all = lock(&self.of.by_address);
        if let Some(of_it) = all.get_mut(&address) {
            *of_it -= 1;
            if *of_it == 0 {
                all.remove(&address);
            }
        }
    }
}

fn lock(all: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of the certificates in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When the first certificate of the listener's own chain expires.
    pub not_after: Timestamp,
    /// When the last of the client CAs expires.
    pub client_ca_not_after: Option<Timestamp>,
    /// Whether the files on disk cannot be used, and older ones serve.
    pub stale: bool,
}

impl Terminator {
    /// Reads the files for the first time. Blocks.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn load(settings: &TlsSettings, clock: &Arc<dyn Clock>) -> Result<Loaded, Unusable> {
        let contents = Contents::read(&settings.files)?;
        let terms = Terms::of(&settings.files, &contents, &settings.client_names, clock)?;
        let terminator = Self {
            settings: settings.clone(),
            terms: watch::Sender::new(Arc::new(terms)),
            clock: Arc::clone(clock),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            max_handshakes: MAX_HANDSHAKES,
            under_way: AtomicUsize::new(0),
            by_address: Mutex::default(),
            failed: Default::default(),
            crowded_out: Default::default(),
            withdrawn: AtomicU64::new(0),
            state: FilesState::default(),
        };
        terminator.warn_if_expired();
        Ok(Loaded {
            terminator: Arc::new(terminator),
            digest: contents.digest(),
        })
    }

    /// Makes the handshake, within its time. `None` where it failed, which is counted and told already.
    pub async fn handshake(
        &self,
        stream: TcpStream,
    ) -> Option<(TlsStream<TcpStream>, Option<Peer>)> {
        let from = stream.peer_addr();
        let address = from.as_ref().ok().map(SocketAddr::ip);
        let Some(_slot) = self.slot(address) else {
            self.crowded_out.0.fetch_add(1, Ordering::Relaxed);
            if let Some(more) = self.crowded_out.1.due(Instant::now()) {
                let from = from.as_ref().map(ToString::to_string).unwrap_or_default();
                let (in_all, of_one) = (self.max_handshakes, MAX_HANDSHAKES_PER_ADDRESS);
                tracing::warn!(
                    from,
                    more,
                    "over {in_all} TLS handshakes at once, or over {of_one} from this address; a connection was closed"
                );
            }
            return None;
        };
        let terms = Arc::clone(&self.terms.borrow());
        let accepting = TlsAcceptor::from(Arc::clone(&terms.config)).accept(stream);
        let stream = match timeout(self.handshake_timeout, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.failed(Failure::of(&error), &from, &error.to_string());
                return None;
            }
            Err(_) => {
                self.failed(Failure::Timeout, &from, "it took too long");
                return None;
            }
        };
        let (_, connection) = stream.get_ref();
        if connection.alpn_protocol() != Some(ALPN) {
            let told = "the client does not offer h2 by ALPN";
            self.failed(Failure::Alpn, &from, told);
            return None;
        }
        let mut peer = None;
        if terms.callers.is_some() {
            // The library asked for one and verified it; without it nobody gets here.
            let Some(chain) = connection.peer_certificates() else {
                let told = "the client showed no certificate";
                self.failed(Failure::NoCertificate, &from, told);
                return None;
            };
            peer = Some(Peer(
                chain.iter().map(|one| one.clone().into_owned()).collect(),
            ));
        }
        Some((stream, peer))
    }

    /// Ends when a client certificate is no longer good: it has expired, or its CA was taken away. Says how.
    pub async fn withdrawn(&self, peer: Peer) -> &'static str {
        // Before the first look, so that no change is missed.
        let mut terms = self.terms.subscribe();
        let end = peer.0.first().and_then(|leaf| material::not_after(leaf));
        loop {
            let now = self.clock.now();
            let callers = terms.borrow_and_update().callers.clone();
            if let Some(failure) = callers.and_then(|callers| {
                let (leaf, others) = peer.0.split_first()?;
                let judged = callers.verify_client_cert(leaf, others, material::unix_time(now));
                judged.err().map(|error| Failure::of_tls(&error))
            }) {
                self.withdrawn.fetch_add(1, Ordering::Relaxed);
                return failure.as_str();
            }
            // It is good to the end of its last second.
            let left = end.map_or(0, |end| end.seconds() - now.seconds() + 1);
            let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
            let pause = left.clamp(Duration::from_secs(1), LOOK_AGAIN);
            tokio::select! {
                () = sleep(pause) => {}
                changed = terms.changed() => if changed.is_err() {
                    // Nothing will change any more; the process ends.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// What is known of the certificates in use.
    pub fn shown(&self) -> Shown {
        let terms = self.terms.borrow();
        Shown {
            not_after: terms.not_after,
            client_ca_not_after: terms.client_ca_not_after,
            stale: self.state.stale.load(Ordering::Relaxed),
        }
    }

    /// What the settings say.
    pub const fn settings(&self) -> &TlsSettings {
        &self.settings
    }

    /// Shows in metrics what fails and what expires when.
    pub(super) fn watch(self: &Arc<Self>, metrics: &Metrics) {
        let counted = Arc::clone(self);
        metrics.labelled_counter(
            "portcullis.tls.handshakes.failed",
            "TLS handshakes that failed, by reason",
            move || counted.failures(),
        );
        let counted = Arc::clone(self);
        metrics.counter(
            "portcullis.tls.connections.withdrawn",
            "Connections that were told to go away since their certificate is no longer good",
            move || counted.withdrawn.load(Ordering::Relaxed),
        );
        let state = Arc::clone(self);
        metrics.labelled_counter(
            "portcullis.tls.reloads",
            "Attempts to take over changed certificates, by outcome",
            move || {
                let of = |count: &AtomicU64, outcome| {
                    (count.load(Ordering::Relaxed), vec![("outcome", outcome)])
                };
                vec![
                    of(&state.state.loaded, "loaded"),
                    of(&state.state.failed, "failed"),
                ]
            },
        );
        let state = Arc::clone(self);
        metrics.gauge(
            "portcullis.tls.stale",
            "1 while the certificates that are there cannot be used and older ones serve",
            move || u64::from(state.shown().stale),
        );
        let state = Arc::clone(self);
        metrics.labelled_gauge(
            "portcullis.tls.certificate.expiry.timestamp",
            "s",
            "When certificates in use expire, in seconds since the epoch",
            move || {
                let shown = state.shown();
                let of = |at: Timestamp, which| {
                    let seconds = u64::try_from(at.seconds()).unwrap_or(0);
                    (seconds, vec![("certificate", which)])
                };
                let client_ca = shown.client_ca_not_after.map(|at| of(at, "client_ca"));
                [Some(of(shown.not_after, "listener")), client_ca]
                    .into_iter()
                    .flatten()
                    .collect()
            },
        );
    }

    /// Connections that were closed since too many handshakes were under way.
    pub(super) fn crowded_out(&self) -> u64 {
        self.crowded_out.0.load(Ordering::Relaxed)
    }

    fn slot(&self, address: Option<IpAddr>) -> Option<Slot<'_>> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let mut slot = Slot {
            of: self,
            address: None,
        };
        if before >= self.max_handshakes {
            return None;
        }
        if let Some(address) = address {
            let mut all = lock(&self.by_address);
            let of_it = all.entry(address).or_insert(0);
            if *of_it >= MAX_HANDSHAKES_PER_ADDRESS {
                drop(all);
                return None;
            }
            *of_it += 1;
            slot.address = Some(address);
        }
        Some(slot)
    }

    fn failed(&self, failure: Failure, from: &io::Result<SocketAddr>, error: &str) {
        let Some((count, seldom)) = self.failed.get(failure as usize) else {
            return;
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(more) = seldom.due(Instant::now()) {
            let from = from.as_ref().map(ToString::to_string).unwrap_or_default();
            let reason = failure.as_str();
            tracing::warn!(reason, from, error, more, "a TLS handshake failed");
        }
    }

    fn failures(&self) -> Vec<Labelled> {
        let of = |(failure, (count, _)): (Failure, &(AtomicU64, Seldom))| {
            let labels = vec![("reason", failure.as_str())];
            (count.load(Ordering::Relaxed), labels)
        };
        Failure::ALL.into_iter().zip(&self.failed).map(of).collect()
    }

    /// A certificate that has expired is used all the same: refusing to run helps nobody who does not look
    /// at it, and those who do refuse it themselves.
    fn warn_if_expired(&self) {
        let shown = self.shown();
        let now = self.clock.now();
        let ends = [
            (Some(shown.not_after), "--tls-cert"),
            (shown.client_ca_not_after, "--tls-client-ca"),
        ];
        for (end, setting) in ends {
            if let Some(end) = end.filter(|end| *end < now) {
                let at = end.to_rfc3339();
                tracing::error!(setting, expired_at = at, "a certificate has expired");
            }
        }
    }
}

/// What was read at the start.
pub struct Loaded {
    /// Uses it.
    pub terminator: Arc<Terminator>,
    /// Of what was read.
    digest: Digest,
}

#[cfg(test)]
mod tests;
