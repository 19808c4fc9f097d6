//! Listens for Envoy, over TCP and on a Unix domain socket at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::admin::{Listening, Protection, Tls};
use crate::app::io::Accepted;
use crate::app::settings::Settings;
use crate::app::tls::Terminator;
use crate::app::unix::{self, UnixAcceptor, UnixTerms};
use crate::app::workers::WorkerHandle;
use crate::telemetry::metrics::{Labelled, Metrics};

/// The pause after a failed accept: without it, a process that is out of file descriptors would spin.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Everything that is listened on.
pub struct Listeners {
    tcp: Option<(TcpListener, Option<Arc<Terminator>>)>,
    unix: Option<UnixAcceptor>,
    told: Vec<Told>,
}

/// A listener as it is told of, but for what changes while it listens.
#[derive(Clone)]
struct Told {
    transport: &'static str,
    address: String,
    guard: Guard,
}

#[derive(Clone)]
enum Guard {
    Nobody,
    Tls(Arc<Terminator>),
    Socket(Box<UnixTerms>),
}

impl Listeners {
    /// Binds what the settings name, over TCP with TLS if there is a terminator.
    ///
    /// # Errors
    /// What cannot be bound, and what to do about it.
    pub async fn bind(
        settings: &Settings,
        tls: Option<Arc<Terminator>>,
        unix: Option<UnixTerms>,
    ) -> anyhow::Result<Self> {
        let mut told = Vec::new();
        let tcp = match settings.listen_tcp {
            None => None,
            Some(address) => {
                let listener = TcpListener::bind(address).await.with_context(|| {
                    format!("cannot listen on {address} for checks (--listen-tcp)")
                })?;
                let address = listener.local_addr()?;
                tracing::info!(transport = "tcp", %address, tls = tls.is_some(), "check service listening");
                if tls.is_none() && unix.as_ref().is_some_and(|unix| unix.peers.is_some()) {
                    tracing::warn!(
                        %address,
                        "the Unix socket asks who connects, and the TCP listener asks nobody: set --listen-tcp none, or give it --tls-cert and --tls-client-ca"
                    );
                }
                told.push(Told {
                    transport: "tcp",
                    address: address.to_string(),
                    guard: tls.clone().map_or(Guard::Nobody, Guard::Tls),
                });
                Some((listener, tls))
            }
        };
        let unix = match unix {
            None => None,
            Some(terms) => {
                let bound = unix::bind(&terms).await?;
                let address = terms.path.display().to_string();
                tracing::info!(transport = "unix", address, "check service listening");
                told.push(Told {
                    transport: "unix",
                    address,
                    guard: Guard::Socket(Box::new(terms)),
                });
                Some(bound)
            }
        };
        if tcp.is_none() && unix.is_none() {
            bail!("nothing to listen on: set --listen-tcp or --listen-unix");
        }
        Ok(Self { tcp, unix, told })
    }

    /// Tells of each listener and what protects it, as it is at that moment.
    pub fn told(&self) -> impl Fn() -> Vec<Listening> + Send + Sync + 'static {
        let told = self.told.clone();
        move || told.iter().map(Told::now).collect()
    }

    /// Shows in metrics which connections are closed before a byte is read, where any are.
    pub fn watch(&self, metrics: &Metrics) {
        let tls = self.tcp.as_ref().and_then(|(_, tls)| tls.clone());
        let peers = self.unix.as_ref().and_then(UnixAcceptor::refused);
        if tls.is_none() && peers.is_none() {
            return;
        }
        metrics.labelled_counter(
            "portcullis.connections.refused",
            "Connections that were closed before a byte was read, by listener and reason",
            move || -> Vec<Labelled> {
                let of = |count, listener, reason| {
                    (count, vec![("listener", listener), ("reason", reason)])
                };
                let peers = peers
                    .as_ref()
                    .map(|peers| of(peers.load(Ordering::Relaxed), "unix", "peer"));
                let tls = tls
                    .as_ref()
                    .map(|tls| of(tls.crowded_out(), "tcp", "too_many_handshakes"));
                peers.into_iter().chain(tls).collect()
            },
        );
    }

    /// Accepts connections and hands them to workers until the answer is dropped.
    pub fn accept_into(self, workers: WorkerHandle) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some((listener, tls)) = self.tcp {
            let workers = workers.clone();
            tasks.spawn(async move {
                loop {
                    match (accept_tcp(&listener).await, &tls) {
                        (Ok(stream), None) => workers.give(Accepted::Tcp(stream)),
                        (Ok(stream), Some(tls)) => workers.give_to_secure(stream, Arc::clone(tls)),
                        (Err(error), _) => back_off(&error).await,
                    }
                }
            });
        }
        if let Some(acceptor) = self.unix {
            tasks.spawn(async move {
                loop {
                    match acceptor.accept().await {
                        Ok(Some(stream)) => workers.give(Accepted::Unix(stream)),
                        Ok(None) => {}
                        Err(error) => back_off(&error).await,
                    }
                }
            });
        }
        tasks
    }
}

impl Told {
    fn now(&self) -> Listening {
        let protection = match &self.guard {
            Guard::Nobody => Protection::Nobody,
            Guard::Tls(terminator) => {
                let (settings, shown) = (terminator.settings(), terminator.shown());
                let names = settings.client_names.iter().map(ToString::to_string);
                Protection::Tls(Tls {
                    client_certificate: settings.files.client_ca.is_some(),
                    client_names: names.collect(),
                    not_after: shown.not_after,
                    client_ca_not_after: shown.client_ca_not_after,
                    stale: shown.stale,
                })
            }
            Guard::Socket(terms) => Protection::Socket {
                mode: terms.mode,
                owner: terms.owner,
                group: terms.group,
                allowed: terms
                    .peers
                    .as_ref()
                    .map(|peers| (peers.uids.clone(), peers.gids.clone())),
            },
        };
        Listening {
            transport: self.transport,
            address: self.address.clone(),
            protection,
        }
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<std::net::TcpStream> {
    let (stream, _) = listener.accept().await?;
    // An answer is one small write: without this it would wait for the peer's delayed acknowledgement.
    stream.set_nodelay(true)?;
    stream.into_std()
}

async fn back_off(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection; trying again shortly");
    tokio::time::sleep(BACK_OFF).await;
}
