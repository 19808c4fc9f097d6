//! A closed-loop load of checks for `scripts/bench.py`: so many calls are always in flight, and the
//! next starts when one is answered. Tells how long they took, and how much processor time the server
//! spent on each.
//!
//! A bench target for the reason that `noop` gives. Started by cargo without arguments it does nothing.
#![expect(
    clippy::expect_used,
    reason = "a load that fails has nothing to measure"
)]

mod support;

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use clap::{Parser, ValueEnum};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::LocalSet;

use support::Fixture;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
enum Options {
    /// Write policies, and a check for each way to meet them, into a directory
    Prepare { directory: PathBuf },
    /// Send checks and print what they took, as one JSON object
    Run(Run),
}

#[derive(clap::Args)]
struct Run {
    /// The server's Unix domain socket
    #[arg(long, required_unless_present = "tcp")]
    unix: Option<PathBuf>,
    /// The server's address
    #[arg(long)]
    tcp: Option<SocketAddr>,
    /// The server's process id
    #[arg(long)]
    pid: u32,
    /// The check to send: a file that `prepare` wrote
    #[arg(long)]
    check: PathBuf,
    /// What every answer has to be
    #[arg(long, value_enum)]
    expect: Answer,
    /// How many answers are measured
    #[arg(long, default_value_t = 150_000)]
    checks: usize,
    /// How many are awaited before
    #[arg(long, default_value_t = 4_000)]
    warm_up: usize,
    /// HTTP/2 connections; Envoy opens one per thread of its own
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Calls in flight on each connection
    #[arg(long, default_value_t = 16)]
    streams: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Answer {
    Allow,
    Deny,
}

fn main() {
    let command = std::env::args().nth(1).unwrap_or_default();
    if !matches!(command.as_str(), "prepare" | "run") {
        eprintln!("load drives a server; scripts/bench.py starts it");
        return;
    }
    match Options::parse() {
        Options::Prepare { directory } => prepare(&directory).expect("can be written"),
        Options::Run(run) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            LocalSet::new().block_on(&runtime, run.measure());
        }
    }
}

fn prepare(directory: &Path) -> std::io::Result<()> {
    let fixture = Fixture::new();
    let policies = directory.join("policies");
    std::fs::create_dir_all(&policies)?;
    fixture.write_policies(&policies)?;
    for (name, check) in [
        ("api-key", &fixture.api_key),
        ("jwt-es256", &fixture.es256),
        ("jwt-rs256", &fixture.rs256),
        ("no-credential", &fixture.nothing),
    ] {
        std::fs::write(directory.join(name), check)?;
    }
    Ok(())
}

impl Run {
    async fn measure(self) {
        let frame = frame(&std::fs::read(&self.check).expect("the check can be read"));
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(self.connect().await);
        }
        self.answers(&connections, &frame, self.warm_up).await;
        let (before, started) = (processor_time(self.pid), now());
        let mut latencies = self.answers(&connections, &frame, self.checks).await;
        let (spent, took) = (processor_time(self.pid) - before, started.elapsed());
        latencies.sort_unstable();
        let count = latencies.len();
        let percentile = |part: f64| {
            let index = (count as f64 * part) as usize;
            let latency = latencies.get(index.min(count - 1));
            latency.map_or(0.0, |latency| micros(*latency))
        };
        let told = json!({
            "checks": count,
            "seconds": took.as_secs_f64(),
            "per_second": count as f64 / took.as_secs_f64(),
            "cpu_us_per_check": micros(spent) / count as f64,
            "p50_us": percentile(0.5), "p99_us": percentile(0.99), "p999_us": percentile(0.999),
        });
        writeln!(std::io::stdout(), "{told}").expect("somebody reads");
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let executor = TokioExecutor::new();
        match (&self.unix, self.tcp) {
            (Some(path), _) => {
                let stream = UnixStream::connect(path).await.expect("it listens");
                let io = TokioIo::new(stream);
                let (sender, connection) = http2::handshake(executor, io).await.expect("HTTP/2");
                tokio::spawn(connection);
                sender
            }
            (None, address) => {
                let stream = TcpStream::connect(address.expect("clap asks for one")).await;
                let stream = stream.expect("it listens");
                stream.set_nodelay(true).expect("a socket takes options");
                let io = TokioIo::new(stream);
                let (sender, connection) = http2::handshake(executor, io).await.expect("HTTP/2");
                tokio::spawn(connection);
                sender
            }
        }
    }

    /// Sends that many checks and answers with how long each took.
    async fn answers(
        &self,
        connections: &[SendRequest<Full<Bytes>>],
        frame: &Bytes,
        count: usize,
    ) -> Vec<Duration> {
        let left = Rc::new(Cell::new(count));
        let latencies = Rc::new(RefCell::new(Vec::with_capacity(count)));
        let mut calls = Vec::new();
        for connection in connections {
            for _ in 0..self.streams {
                let (left, latencies) = (Rc::clone(&left), Rc::clone(&latencies));
                let (mut connection, frame) = (connection.clone(), frame.clone());
                let expected = self.expect;
                calls.push(tokio::task::spawn_local(async move {
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        let started = now();
                        let answer = call(&mut connection, &frame).await;
                        assert!(answer == expected, "the other answer was expected");
                        latencies.borrow_mut().push(started.elapsed());
                    }
                }));
            }
        }
        for call in calls {
            call.await.expect("every check is answered");
        }
        latencies.take()
    }
}

/// One check, its headers those that Envoy sends.
async fn call(connection: &mut SendRequest<Full<Bytes>>, frame: &Bytes) -> Answer {
    let mut request = Request::new(Full::new(frame.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() =
        http::Uri::from_static("http://portcullis/envoy.service.auth.v3.Authorization/Check");
    let headers = request.headers_mut();
    for (name, value) in [
        ("te", "trailers"),
        ("grpc-timeout", "1900m"),
        ("content-type", "application/grpc"),
        ("x-envoy-internal", "true"),
        ("x-forwarded-for", "10.20.30.40"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    connection.ready().await.expect("the connection lives");
    let response = connection.send_request(request).await;
    let body = response.expect("a response").into_body().collect().await;
    let body = body.expect("a whole response");
    let status = body
        .trailers()
        .and_then(|trailers| trailers.get("grpc-status"));
    assert!(
        status.is_some_and(|status| status == "0"),
        "a check failed as a gRPC call"
    );
    // After the frame's head comes `CheckResponse.status`: empty where the request may pass.
    match body.to_bytes().get(5..7) {
        Some([0x0a, 0]) => Answer::Allow,
        _ => Answer::Deny,
    }
}

/// A message as gRPC frames it.
fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("it is short"));
    frame.put_slice(message);
    frame.freeze()
}

/// The processor time of all threads of a process (proc_pid_stat(5): `utime` and `stime`, fields 14 and
/// 15, in hundredths of a second on Linux).
fn processor_time(pid: u32) -> Duration {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server runs on Linux");
    let (_, after_name) = stat.rsplit_once(')').expect("a name in parentheses");
    let times = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.filter_map(|time| time.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark's time is the real one"
)]
fn now() -> Instant {
    Instant::now()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
