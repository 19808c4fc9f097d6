//! The threads that judge requests: each a single-threaded runtime that batches its writes.

use std::convert::Infallible;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Frame;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::app::io::{Accepted, Io, OpenConnections, OpenGuard};
use crate::app::tls::Terminator;
use crate::envoy::frame::OneMessage;
use crate::envoy::service::{Authorization, CHECK, Engine};

/// The descriptors of the services that reflection tells of.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The most streams that Envoy may have reset before they were looked at.
const MAX_RESET_STREAMS: usize = 1 << 20;

/// The most bytes of gRPC metadata: Envoy's own bound on a request's headers is 60 KiB by default.
const MAX_METADATA_BYTES: u32 = 1 << 20;

/// The stack of a worker: conditions are evaluated by recursion, whose depth is bounded at load, and which
/// without optimisation takes half of the usual two MiB. It costs memory only as far as it is used.
const STACK_BYTES: usize = 4 << 20;

/// How long a connection whose certificate is no longer good may take to go: longer than a check has by
/// default, many times over.
const WITHDRAWN_GRACE: Duration = Duration::from_secs(5);

/// One worker as the acceptor sees it.
#[derive(Clone)]
struct Lane {
    connections: mpsc::UnboundedSender<Given>,
    open: Arc<OpenConnections>,
}

/// A connection on its way to a worker.
enum Given {
    /// To be served as it is.
    Plain(Accepted, OpenGuard),
    /// To be served after a handshake, if that goes well.
    ToSecure(std::net::TcpStream, Arc<Terminator>, OpenGuard),
}

/// Hands connections to workers.
#[derive(Clone)]
pub struct WorkerHandle {
    lanes: Vec<Lane>,
}

/// Counts the open connections of all workers.
pub struct ConnectionCounter(Vec<Arc<OpenConnections>>);

impl ConnectionCounter {
    /// How many are open.
    pub fn open(&self) -> usize {
        self.0.iter().map(|open| open.count()).sum()
    }
}

impl WorkerHandle {
    /// Gives a connection to the worker with the fewest open ones.
    pub fn give(&self, accepted: Accepted) {
        self.give_as(|open| Given::Plain(accepted, open));
    }

    /// The same for one that begins with a TLS handshake, which the worker makes.
    pub fn give_to_secure(&self, stream: std::net::TcpStream, tls: Arc<Terminator>) {
        self.give_as(|open| Given::ToSecure(stream, tls, open));
    }

    fn give_as(&self, given: impl FnOnce(OpenGuard) -> Given) {
        let Some(lane) = self.lanes.iter().min_by_key(|lane| lane.open.count()) else {
            return;
        };
        // A worker that is gone ends the process; the connection is closed by dropping it.
        let _ = lane.connections.send(given(lane.open.open()));
    }
}

/// All workers.
pub struct Workers {
    lanes: Vec<Lane>,
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    ended: mpsc::UnboundedReceiver<Result<(), String>>,
    health: tonic_health::server::HealthReporter,
}

impl Workers {
    /// Starts `count` threads that serve checks with `service`, health and reflection.
    ///
    /// # Errors
    /// When the operating system gives no thread or the runtime cannot be made.
    pub fn start<E: Engine>(count: usize, service: &Authorization<E>) -> anyhow::Result<Self> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let (stop, _) = watch::channel(false);
        let (ending, ended) = mpsc::unbounded_channel();
        let (mut lanes, mut threads) = (Vec::new(), Vec::new());
        for index in 0..count.max(1) {
            let (connections, incoming) = mpsc::unbounded_channel();
            lanes.push(Lane {
                connections,
                open: Arc::default(),
            });
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let worker = Worker {
                service: service.clone(),
                health: health_service.clone(),
                incoming,
                stop: stop.subscribe(),
            };
            let ending = ending.clone();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    let told = Told(Some(ending));
                    let outcome = runtime.block_on(worker.serve());
                    told.tell(outcome);
                })?;
            threads.push(thread);
        }
        Ok(Self {
            lanes,
            threads,
            stop,
            ended,
            health,
        })
    }

    /// Where connections are handed over.
    pub fn handle(&self) -> WorkerHandle {
        WorkerHandle {
            lanes: self.lanes.clone(),
        }
    }

    /// Counts open connections.
    pub fn counter(&self) -> ConnectionCounter {
        ConnectionCounter(
            self.lanes
                .iter()
                .map(|lane| Arc::clone(&lane.open))
                .collect(),
        )
    }

    /// Tells gRPC health whether requests should be sent here.
    pub async fn set_serving(&self, serving: bool) {
        use tonic_health::ServingStatus::{NotServing, Serving};
        let status = if serving { Serving } else { NotServing };
        self.health.set_service_status("", status).await;
        self.health
            .set_service_status("envoy.service.auth.v3.Authorization", status)
            .await;
    }

    /// Waits for a worker to end, which before [`Workers::stop`] none should.
    pub async fn ended(&mut self) -> Result<(), String> {
        self.ended
            .recv()
            .await
            .unwrap_or_else(|| Err("all workers are gone".to_owned()))
    }

    /// Sends GOAWAY on every connection; what is in flight is still answered.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        // With the acceptor's own handles gone, the streams of connections end.
        self.lanes.clear();
    }

    /// How many threads there are.
    pub const fn count(&self) -> usize {
        self.threads.len()
    }
}

/// Says how a worker ended, if it was by a panic too.
struct Told(Option<mpsc::UnboundedSender<Result<(), String>>>);

impl Told {
    fn tell(mut self, outcome: Result<(), String>) {
        if let Some(ending) = self.0.take() {
            let _ = ending.send(outcome);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(ending) = self.0.take() {
            let _ = ending.send(Err("a worker panicked".to_owned()));
        }
    }
}

struct Worker<E, H: Health> {
    service: Authorization<E>,
    health: HealthServer<H>,
    incoming: mpsc::UnboundedReceiver<Given>,
    stop: watch::Receiver<bool>,
}

impl<E: Engine, H: Health> Worker<E, H> {
    /// Serves connections until the acceptor is gone or all are told to go away, then until the last of
    /// them has ended.
    async fn serve(self) -> Result<(), String> {
        let Self {
            service,
            health,
            mut incoming,
            mut stop,
        } = self;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(|error| error.to_string())?;
        let services = Services {
            others: Routes::new(health).add_service(reflection),
            checks: service,
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                given = incoming.recv() => match given {
                    Some(Given::Plain(accepted, open)) => match Io::adopt(accepted, open) {
                        Ok(io) => {
                            let good = pending();
                            connections.spawn(connection(io, services.clone(), stop.clone(), good));
                        }
                        Err(error) => not_taken_over(&error),
                    },
                    Some(Given::ToSecure(stream, tls, open)) => {
                        // A task of its own: nothing waits for a slow handshake.
                        connections.spawn(secured(stream, tls, open, services.clone(), stop.clone()));
                    }
                    None => break,
                },
                () = told_to_stop(&mut stop) => break,
                Some(ended) = connections.join_next() => told_of_panic(ended),
            }
        }
        while let Some(ended) = connections.join_next().await {
            told_of_panic(ended);
        }
        Ok(())
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // The sender lives as long as the process; if it is gone, it is time to stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn told_of_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended badly");
    }
}

fn not_taken_over(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be taken over");
}

/// Makes a handshake and serves the connection for as long as its certificate is good.
async fn secured<E: Engine>(
    stream: std::net::TcpStream,
    tls: Arc<Terminator>,
    open: OpenGuard,
    services: Services<E>,
    mut stop: watch::Receiver<bool>,
) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return not_taken_over(&error),
    };
    let made = tokio::select! {
        made = Box::pin(tls.handshake(stream)) => made,
        () = told_to_stop(&mut stop) => None,
    };
    let Some((stream, peer)) = made else { return };
    let io = Io::secured(stream, open);
    match peer {
        None => Box::pin(connection(io, services, stop, pending())).await,
        Some(peer) => Box::pin(connection(io, services, stop, tls.withdrawn(peer))).await,
    }
}

/// Serves one connection until it ends; when it is told to stop, or is no longer good, sends GOAWAY and
/// answers what is in flight.
async fn connection<E: Engine>(
    io: Io,
    services: Services<E>,
    mut stop: watch::Receiver<bool>,
    withdrawn: impl Future<Output = &'static str>,
) {
    // hyper's bounds against hostile clients would let one caller behind Envoy end the connection that
    // all callers' checks share: Envoy turns each request that is given up into a reset stream, and may
    // pass a caller's trace headers on. Envoy is trusted with as many resets, and with as much metadata,
    // as it may itself receive. How many checks there may be at once is judged by `InFlight`, with an answer.
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(None)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_RESET_STREAMS)
        .max_header_list_size(MAX_METADATA_BYTES);
    let mut served = pin!(builder.serve_connection(TokioIo::new(io), services));
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = told_to_stop(&mut stop) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
        reason = withdrawn => {
            tracing::info!(reason, "the certificate of a connection is no longer good; it is told to go away");
            served.as_mut().graceful_shutdown();
            // Whoever does not go by itself has no say in it.
            tokio::time::timeout(WITHDRAWN_GRACE, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

/// What a connection's calls go to: checks by the shortest way, everything else through tonic's router.
struct Services<E> {
    checks: Authorization<E>,
    others: Routes,
}

impl<E> Clone for Services<E> {
    fn clone(&self) -> Self {
        Self {
            checks: self.checks.clone(),
            others: self.others.clone(),
        }
    }
}

impl<E: Engine> hyper::service::Service<http::Request<Incoming>> for Services<E> {
    type Response = http::Response<Said>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        if request.uri().path() == CHECK {
            let checks = self.checks.clone();
            return Box::pin(
                checks
                    .check(request)
                    .map(|answer| Ok(answer.map(Said::Check))),
            );
        }
        let mut others = self.others.clone();
        Box::pin(async move {
            let answer = others.call(request.map(Body::new)).await?;
            Ok(answer.map(Said::Other))
        })
    }
}

/// The body of an answer.
enum Said {
    Check(OneMessage),
    Other(Body),
}

impl http_body::Body for Said {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        match self.get_mut() {
            Self::Check(message) => {
                let polled = Pin::new(message).poll_frame(context);
                polled.map(|frame| {
                    let Ok(frame) = frame?;
                    Some(Ok(frame))
                })
            }
            Self::Other(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Check(message) => message.is_end_stream(),
            Self::Other(body) => body.is_end_stream(),
        }
    }
}
