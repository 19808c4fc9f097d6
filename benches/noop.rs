//! A server of the same RPC that allows everything: what gRPC itself costs, for `scripts/bench.py` to
//! compare with. It is made of the generated types and tonic's own service, as a plain server would be.
//!
//! A bench target and no example, so that one `cargo bench --no-run` builds it with the profile and the
//! dependencies of everything it is compared with. Started by cargo without arguments it does nothing.
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc;
use portcullis::app::io::{Accepted, Io, OpenConnections};
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// The same allocator as the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A gRPC server that allows everything.
#[derive(Parser)]
struct Options {
    /// How requests are spread over threads
    #[arg(long, value_enum)]
    shape: Shape,
    /// Listen on this Unix domain socket
    #[arg(long, required_unless_present = "tcp")]
    unix: Option<PathBuf>,
    /// Listen on this address
    #[arg(long)]
    tcp: Option<std::net::SocketAddr>,
    /// Threads that serve
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// One single-threaded runtime per worker, fed by an acceptor on another thread: Portcullis's
    Workers,
    /// Tokio's multi-threaded runtime, as `#[tokio::main]` makes it
    WorkStealing,
}

fn main() {
    if !std::env::args().any(|argument| argument.starts_with("--shape")) {
        eprintln!("noop is a server to compare with; scripts/bench.py starts it");
        return;
    }
    let options = Options::parse();
    let acceptor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(match options.shape {
            Shape::Workers => 1,
            Shape::WorkStealing => options.workers,
        })
        .enable_all()
        .build()
        .expect("a runtime can be made");
    acceptor.block_on(async {
        match options.shape {
            Shape::Workers => {
                let lanes: Vec<_> = (0..options.workers).map(|_| start_worker()).collect();
                let mut next = lanes.iter().cycle();
                accept(&options, |accepted| {
                    let lane = next.next().expect("there is a worker");
                    lane.send(accepted).expect("the worker lives");
                })
                .await;
            }
            Shape::WorkStealing => {
                let (lane, incoming) = mpsc::unbounded_channel();
                tokio::spawn(serve(incoming));
                accept(&options, |accepted| {
                    lane.send(accepted).expect("the server lives");
                })
                .await;
            }
        }
    });
}

fn start_worker() -> mpsc::UnboundedSender<Accepted> {
    let (lane, incoming) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime
            .expect("a runtime can be made")
            .block_on(serve(incoming));
    });
    lane
}

async fn serve(incoming: mpsc::UnboundedReceiver<Accepted>) {
    let open = Arc::new(OpenConnections::default());
    let incoming =
        UnboundedReceiverStream::new(incoming).map(|accepted| Io::adopt(accepted, open.open()));
    Server::builder()
        .add_service(AuthorizationServer::new(AllowAll))
        .serve_with_incoming(incoming)
        .await
        .expect("it serves until it is killed");
}

async fn accept(options: &Options, mut give: impl FnMut(Accepted)) {
    if let Some(address) = options.tcp {
        let listener = TcpListener::bind(address).await.expect("can listen");
        loop {
            let (stream, _) = listener.accept().await.expect("can accept");
            stream.set_nodelay(true).expect("a socket takes options");
            give(Accepted::Tcp(
                stream.into_std().expect("can be handed over"),
            ));
        }
    }
    if let Some(path) = &options.unix {
        let listener = UnixListener::bind(path).expect("can listen");
        loop {
            let (stream, _) = listener.accept().await.expect("can accept");
            give(Accepted::Unix(
                stream.into_std().expect("can be handed over"),
            ));
        }
    }
}

struct AllowAll;

#[tonic::async_trait]
impl Authorization for AllowAll {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let header = HeaderValueOption {
            header: Some(HeaderValue {
                key: "x-auth-principal".to_owned(),
                value: "anonymous".to_owned(),
                ..HeaderValue::default()
            }),
            ..HeaderValueOption::default()
        };
        Ok(Response::new(CheckResponse {
            status: Some(rpc::Status::default()),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
                headers: vec![header],
                ..OkHttpResponse::default()
            })),
            ..CheckResponse::default()
        }))
    }
}
