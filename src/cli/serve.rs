//! `portcullis serve`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::app::account::Account;
use crate::app::settings::Settings;
use crate::app::tls::{ClientName, TlsFiles, TlsSettings};
use crate::app::unix::UnixSettings;
use crate::app::{self, Failure};
use crate::cli::output::Output;
use crate::cli::{CONFIGURATION, FAILED, OK, USAGE};
use crate::request::peer::sources::PeerSources;
use crate::request::peer::xfcc::Trust;
use crate::telemetry::logs::{self, LogFormat};

/// The most proxies that may stand in front of one another.
const MAX_HOPS: u8 = 16;

/// Answers Envoy's checks by the policies of a directory.
///
/// Every setting can be given as a flag, as an environment variable (PORTCULLIS_ and the flag's name
/// in capitals) or in a settings file (the flag's name with `_`); the first of these that says
/// something counts.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES, args_override_self = true)]
pub(super) struct ServeArgs {
    /// A YAML file with settings, `listen_tcp: 127.0.0.1:9001` and the like
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_SETTINGS")]
    settings: Option<PathBuf>,

    /// The policy directory
    #[arg(
        long,
        value_name = "DIR",
        env = "PORTCULLIS_POLICIES",
        default_value = "/etc/portcullis/policies"
    )]
    policies: PathBuf,

    /// Another policy directory: every request is judged by it as well, and where that ends differently
    /// the audit record and the metrics say so. It decides nothing
    #[arg(long, value_name = "DIR", env = "PORTCULLIS_CANDIDATE_POLICIES")]
    candidate_policies: Option<PathBuf>,

    /// Where to listen for checks over TCP, or `none`
    #[arg(
        long,
        value_name = "ADDR",
        env = "PORTCULLIS_LISTEN_TCP",
        default_value = "127.0.0.1:9001"
    )]
    listen_tcp: MaybeAddr,

    /// TLS on that listener: a PEM file with its certificate and the intermediate ones. Read again when it
    /// changes, as are the key and the client CAs
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// A PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// A PEM file with the CAs that sign the certificates of Envoys: whoever asks for checks must show one.
    /// It says who may ask, and never who the caller of a request is
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_TLS_CLIENT_CA")]
    tls_client_ca: Option<PathBuf>,

    /// Which of these certificates may ask: those with this DNS name or SPIFFE ID, compared whole; without
    /// any, all. Can be given several times; in the environment, names are separated by commas
    #[arg(
        long,
        value_name = "NAME",
        env = "PORTCULLIS_TLS_CLIENT_NAME",
        value_delimiter = ','
    )]
    tls_client_name: Vec<ClientName>,

    /// Whether TLS clients must show a certificate. `none` lets whoever reaches the listener ask for checks
    #[arg(long, env = "PORTCULLIS_TLS_CLIENT_AUTH", value_enum, default_value_t = ClientAuth::Required)]
    tls_client_auth: ClientAuth,

    /// The Unix domain socket to listen on for checks, or `none`. A stale one is replaced
    #[arg(
        long,
        value_name = "PATH",
        env = "PORTCULLIS_LISTEN_UNIX",
        default_value = "none"
    )]
    listen_unix: String,

    /// The socket's permissions, in octal: who may connect is who may write
    #[arg(long, value_name = "MODE", env = "PORTCULLIS_UNIX_MODE", default_value = "0660", value_parser = octal)]
    unix_mode: u32,

    /// The user that the socket is given to, by number or name, if not the process's own
    #[arg(long, value_name = "USER", env = "PORTCULLIS_UNIX_OWNER")]
    unix_owner: Option<Account>,

    /// The group that the socket is given to, by number or name, if not the process's own
    #[arg(long, value_name = "GROUP", env = "PORTCULLIS_UNIX_GROUP")]
    unix_group: Option<Account>,

    /// A user, by number or name, whose processes may connect to the socket. Can be given several times;
    /// separated by commas in the environment. Where neither users nor groups are given, the socket's
    /// permissions alone count
    #[arg(
        long,
        value_name = "USER",
        env = "PORTCULLIS_UNIX_ALLOW_UID",
        value_delimiter = ','
    )]
    unix_allow_uid: Vec<Account>,

    /// A group, by number or name: processes that have it as their primary one may connect to the socket,
    /// too
    #[arg(
        long,
        value_name = "GROUP",
        env = "PORTCULLIS_UNIX_ALLOW_GID",
        value_delimiter = ','
    )]
    unix_allow_gid: Vec<Account>,

    /// Where to serve /metrics, /livez, /readyz and /config, or `none`
    #[arg(
        long,
        value_name = "ADDR",
        env = "PORTCULLIS_ADMIN_LISTEN",
        default_value = "127.0.0.1:9002"
    )]
    admin_listen: MaybeAddr,

    /// Threads that judge requests [default: one per processor, at most 4]
    #[arg(long, value_name = "N", env = "PORTCULLIS_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,

    /// How long a check may take in all; a shorter deadline of Envoy's counts. Keep it below the
    /// timeout in Envoy's filter (200 ms if unset), so that Envoy gets this answer and not none
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_CHECK_TIMEOUT", default_value = "150ms", value_parser = duration)]
    check_timeout: Duration,

    /// Checks in flight in the whole process; one more is answered 503 at once
    #[arg(long, value_name = "N", env = "PORTCULLIS_MAX_IN_FLIGHT", default_value_t = 1024, value_parser = positive)]
    max_in_flight: usize,

    /// The longest check message, in bytes: headers and whatever of the body Envoy sends along
    #[arg(long, value_name = "BYTES", env = "PORTCULLIS_MAX_CHECK_BYTES", default_value_t = 1024 * 1024, value_parser = positive)]
    max_check_bytes: usize,

    /// Memory for verified tokens, in bytes
    #[arg(long, value_name = "BYTES", env = "PORTCULLIS_TOKEN_CACHE_BYTES", default_value_t = 16 * 1024 * 1024)]
    token_cache_bytes: u64,

    /// After SIGTERM: how long connections are still accepted, while peers learn of it
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_DRAIN_DELAY", default_value = "5s", value_parser = duration)]
    drain_delay: Duration,

    /// After SIGTERM: when connections are closed at the latest
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_DRAIN_TIMEOUT", default_value = "25s", value_parser = duration)]
    drain_timeout: Duration,

    /// Refuse requests that came without TLS before reading their credentials. What the scheme was is
    /// Envoy's word: an Envoy at the edge needs `use_remote_address: true`, or clients can claim https
    #[arg(long, env = "PORTCULLIS_REQUIRE_TLS", default_value = "false", default_missing_value = "true", num_args = 0..=1, value_name = "BOOL")]
    require_tls: bool,

    /// Which places count that tell of a client's certificate, with commas between: certificate, principal,
    /// xfcc, client_cert. Headers that do not count are taken out of requests
    #[arg(long, value_name = "LIST", env = "PORTCULLIS_PEER_SOURCES", default_value = "certificate", value_parser = peer_sources)]
    peer_sources: PeerSources,

    /// How x-forwarded-client-cert is read, where it counts: `ignore`; `sanitize_set`, where Envoy
    /// replaces the header; or `hops=N`, where Envoy adds to it and the Nth element from the right is
    /// the caller's
    #[arg(long, value_name = "HOW", env = "PORTCULLIS_PEER_XFCC", default_value = "ignore", value_parser = peer_xfcc)]
    peer_xfcc: PeerXfcc,

    /// Where decisions are written, one line of JSON each
    #[arg(long, env = "PORTCULLIS_AUDIT", value_enum, default_value_t = Audit::Stdout)]
    audit: Audit,

    /// How the log on standard error looks [default: text on a terminal, else json]
    #[arg(long, env = "PORTCULLIS_LOG_FORMAT", value_enum)]
    log_format: Option<Format>,

    /// What is logged: error, warn, info, debug, trace, or `target=level` pairs
    #[arg(
        long,
        value_name = "FILTER",
        env = "PORTCULLIS_LOG_LEVEL",
        default_value = "info"
    )]
    log_level: String,

    /// Send metrics and traces to this OTLP endpoint (gRPC), as in http://127.0.0.1:4317
    #[arg(long, value_name = "URL", env = "PORTCULLIS_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,

    /// The share of traces that begin here to sample, 0 to 1; a caller's own decision is followed
    #[arg(long, value_name = "RATIO", env = "PORTCULLIS_TRACE_RATIO", default_value = "1", value_parser = ratio)]
    trace_ratio: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Audit {
    /// Standard output
    Stdout,
    /// Nowhere
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClientAuth {
    /// A certificate that a client CA has signed
    Required,
    /// Nothing
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// An address, or `none`.
#[derive(Clone, Copy, Debug)]
struct MaybeAddr(Option<SocketAddr>);

impl std::str::FromStr for MaybeAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let address = text.parse().map_err(|_| {
            "write an IP address and a port, as in 127.0.0.1:9001, or `none`".to_owned()
        })?;
        Ok(Self(Some(address)))
    }
}

/// What `--peer-xfcc` says.
#[derive(Clone, Copy, Debug)]
struct PeerXfcc(Option<Trust>);

/// The places of `--peer-sources`. How XFCC is read is said apart, and put in later.
fn peer_sources(text: &str) -> Result<PeerSources, String> {
    let mut sources = PeerSources {
        certificate: false,
        principal: false,
        xfcc: None,
        client_cert: false,
    };
    let mut seen = Vec::new();
    for word in text.split(',').map(str::trim) {
        match word {
            "certificate" => sources.certificate = true,
            "principal" => sources.principal = true,
            "xfcc" => sources.xfcc = Some(Trust::SanitizeSet),
            "client_cert" => sources.client_cert = true,
            _ => {
                return Err(
                    "write some of certificate, principal, xfcc and client_cert, with commas between"
                        .to_owned(),
                );
            }
        }
        if seen.contains(&word) {
            return Err(format!("{word} is listed twice"));
        }
        seen.push(word);
    }
    Ok(sources)
}

fn peer_xfcc(text: &str) -> Result<PeerXfcc, String> {
    let hops = || text.strip_prefix("hops=")?.parse::<u8>().ok();
    Ok(PeerXfcc(match text {
        "ignore" => None,
        "sanitize_set" => Some(Trust::SanitizeSet),
        _ => match hops()
            .filter(|hops| *hops <= MAX_HOPS)
            .and_then(NonZeroU8::new)
        {
            Some(hops) => Some(Trust::Hops(hops)),
            None => {
                return Err(format!(
                    "write ignore, sanitize_set, or hops= and a number from 1 to {MAX_HOPS}"
                ));
            }
        },
    }))
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("write up to three octal digits, as in 0660".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "write a number and a unit, as in 150ms, 5s or 2m".to_owned())
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("write a whole number above 0".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("write a number from 0 to 1".to_owned()),
    }
}

impl ServeArgs {
    /// Half of a protection is an error, and not none at all.
    fn tls(&self) -> Result<Option<TlsSettings>, String> {
        let client_ca = self.tls_client_ca.clone();
        let (certificate, key) = match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => {
                let more = [
                    (client_ca.is_some(), "--tls-client-ca"),
                    (!self.tls_client_name.is_empty(), "--tls-client-name"),
                    (
                        self.tls_client_auth == ClientAuth::None,
                        "--tls-client-auth",
                    ),
                ];
                return match more.iter().find(|(given, _)| *given) {
                    None => Ok(None),
                    Some((_, flag)) => Err(format!(
                        "{flag} does nothing without TLS: give --tls-cert and --tls-key"
                    )),
                };
            }
            _ => {
                return Err("--tls-cert and --tls-key go together: give both or neither".to_owned());
            }
        };
        if self.listen_tcp.0.is_none() {
            return Err("--tls-cert is for the TCP listener, and --listen-tcp is none".to_owned());
        }
        match (self.tls_client_auth, &client_ca) {
            (ClientAuth::Required, None) => {
                return Err("--tls-cert needs --tls-client-ca, by which Envoys are told from others; if whoever reaches the listener may ask for checks, say --tls-client-auth none".to_owned());
            }
            (ClientAuth::None, Some(_)) => {
                return Err("--tls-client-auth none contradicts --tls-client-ca".to_owned());
            }
            (ClientAuth::None, None) if !self.tls_client_name.is_empty() => {
                return Err("--tls-client-auth none contradicts --tls-client-name".to_owned());
            }
            _ => {}
        }
        Ok(Some(TlsSettings {
            files: TlsFiles {
                certificate,
                key,
                client_ca,
            },
            client_names: self.tls_client_name.clone().into(),
        }))
    }

    fn unix(&self) -> Result<Option<UnixSettings>, String> {
        let (owner, group) = (self.unix_owner.clone(), self.unix_group.clone());
        let path = match self.listen_unix.as_str() {
            "none" | "" => {
                let more = [
                    (owner.is_some(), "--unix-owner"),
                    (group.is_some(), "--unix-group"),
                    (!self.unix_allow_uid.is_empty(), "--unix-allow-uid"),
                    (!self.unix_allow_gid.is_empty(), "--unix-allow-gid"),
                ];
                return match more.iter().find(|(given, _)| *given) {
                    None => Ok(None),
                    Some((_, flag)) => Err(format!("{flag} does nothing without --listen-unix")),
                };
            }
            path => PathBuf::from(path),
        };
        Ok(Some(UnixSettings {
            path,
            mode: self.unix_mode,
            owner,
            group,
            allow_uids: self.unix_allow_uid.clone(),
            allow_gids: self.unix_allow_gid.clone(),
        }))
    }

    fn settings(self) -> Result<Settings, String> {
        if self.drain_timeout < self.drain_delay {
            return Err("--drain-timeout must not be shorter than --drain-delay".to_owned());
        }
        if self.check_timeout.is_zero() {
            return Err("--check-timeout must be longer than nothing".to_owned());
        }
        let tls = self.tls()?;
        let listen_unix = self.unix()?;
        if self.listen_tcp.0.is_none() && listen_unix.is_none() {
            return Err("nothing to listen on: give --listen-tcp or --listen-unix".to_owned());
        }
        let mut peer = self.peer_sources;
        match (peer.xfcc, self.peer_xfcc.0) {
            (None, None) => {}
            (Some(_), Some(trust)) => peer.xfcc = Some(trust),
            (Some(_), None) => {
                return Err(
                    "--peer-sources names xfcc: --peer-xfcc has to say how it is read".to_owned(),
                );
            }
            (None, Some(_)) => {
                return Err("--peer-xfcc counts only where --peer-sources names xfcc".to_owned());
            }
        }
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Settings {
            policies: self.policies,
            candidate_policies: self
                .candidate_policies
                .filter(|directory| !directory.as_os_str().is_empty()),
            listen_tcp: self.listen_tcp.0,
            tls,
            listen_unix,
            admin_listen: self.admin_listen.0,
            workers: self.workers.map_or(processors.min(4), usize::from),
            check_timeout: self.check_timeout,
            max_in_flight: self.max_in_flight,
            max_check_bytes: self.max_check_bytes,
            token_cache_bytes: self.token_cache_bytes,
            drain_delay: self.drain_delay,
            drain_timeout: self.drain_timeout,
            require_tls: self.require_tls,
            peer,
            audit: self.audit == Audit::Stdout,
            otlp_endpoint: self.otlp_endpoint.filter(|endpoint| !endpoint.is_empty()),
            trace_ratio: self.trace_ratio,
        })
    }
}

pub(super) fn run(arguments: ServeArgs) -> u8 {
    let terminal = std::io::stderr().is_terminal();
    let format = match arguments.log_format {
        Some(Format::Text) => LogFormat::Text,
        Some(Format::Json) => LogFormat::Json,
        None if terminal => LogFormat::Text,
        None => LogFormat::Json,
    };
    if let Err(error) = logs::install(format, &arguments.log_level, terminal) {
        Output::error(&format!("--log-level: {error}"));
        return USAGE;
    }
    let settings = match arguments.settings() {
        Ok(settings) => settings,
        Err(error) => {
            Output::error(&error);
            return USAGE;
        }
    };
    match app::serve(&settings) {
        Ok(()) => OK,
        Err(Failure::Policies(mut diagnostics)) => {
            diagnostics.sort();
            Output::note(&diagnostics.render());
            tracing::error!(
                errors = diagnostics.error_count(),
                policies = %settings.policies.display(),
                "the policies have mistakes; nothing is served"
            );
            CONFIGURATION
        }
        Err(Failure::Configuration(error)) => {
            tracing::error!("{error}");
            CONFIGURATION
        }
        Err(Failure::Other(error)) => {
            tracing::error!("{error:#}");
            FAILED
        }
    }
}
