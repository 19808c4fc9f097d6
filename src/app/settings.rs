//! How the process itself runs. What it decides stands in the policies.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::app::tls::TlsSettings;
use crate::app::unix::UnixSettings;
use crate::request::peer::sources::PeerSources;

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The policy directory.
    pub policies: PathBuf,
    /// Another policy directory, judged beside the first and deciding nothing.
    pub candidate_policies: Option<PathBuf>,
    /// Where the check service listens over TCP.
    pub listen_tcp: Option<SocketAddr>,
    /// The certificates of that listener; without them it has no TLS.
    pub tls: Option<TlsSettings>,
    /// Where the check service listens on a Unix domain socket.
    pub listen_unix: Option<UnixSettings>,
    /// Where the admin listener listens.
    pub admin_listen: Option<SocketAddr>,
    /// How many threads judge requests.
    pub workers: usize,
    /// How long a check may take, from its arrival to Envoy having the answer.
    pub check_timeout: Duration,
    /// How many checks may be in flight in the whole process.
    pub max_in_flight: usize,
    /// The longest check message, in bytes.
    pub max_check_bytes: usize,
    /// How much memory verified tokens may take, in bytes.
    pub token_cache_bytes: u64,
    /// How long requests are still accepted after the process was told to stop.
    pub drain_delay: Duration,
    /// When connections are closed at the latest, counted from the same moment.
    pub drain_timeout: Duration,
    /// Whether requests without TLS are refused.
    pub require_tls: bool,
    /// Which places count that tell of a client's certificate.
    pub peer: PeerSources,
    /// Whether decisions are written to standard output.
    pub audit: bool,
    /// Where telemetry is sent over OTLP.
    pub otlp_endpoint: Option<String>,
    /// The share of traces beginning here that is sampled, from 0 to 1.
    pub trace_ratio: f64,
}
