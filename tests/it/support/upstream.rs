//! The service behind Envoy: answers everything with an echo and remembers what reached it.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::header_lines::{self, HeaderLines};
use super::http1::{Head, Side, read_body};

/// A request as it reached the upstream.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    /// Path and query as sent; bytes outside UTF-8 show as U+FFFD.
    pub target: String,
    /// Over HTTP/2 with `:authority` as `host`.
    pub headers: HeaderLines,
    /// Empty also where the body broke off: what had a head has reached the upstream.
    pub body: Vec<u8>,
}

impl Recorded {
    /// The value of a header; panics where it is there more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        header_lines::single(&self.headers, name)
    }

    pub fn headers_all(&self, name: &str) -> Vec<&str> {
        header_lines::all(&self.headers, name)
    }

    fn echo(&self) -> Vec<u8> {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(value)))
            .collect();
        serde_json::json!({
            "method": self.method,
            "target": self.target,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
        })
        .to_string()
        .into_bytes()
    }
}

/// Speaks HTTP/1.1 and, with prior knowledge, HTTP/2. Ends with the value.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    requests: Vec<Recorded>,
    response_headers: Vec<(String, String)>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self {
            address,
            shared,
            accepting,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Headers on every response from now on, beside `content-type` and `content-length`.
    pub fn set_response_headers(&self, headers: &[(&str, &str)]) {
        lock(&self.shared).response_headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    }

    /// Takes out what has come since the last call.
    pub fn take_requests(&self) -> Vec<Recorded> {
        std::mem::take(&mut lock(&self.shared).requests)
    }

    /// How many have come since the last [`Self::take_requests`].
    pub fn request_count(&self) -> usize {
        lock(&self.shared).requests.len()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("the upstream accepts");
        connections.spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    // A connection broken by the peer is the peer's business: what it had sent is recorded.
    let _ = match starts_as_h2(&stream).await {
        Ok(true) => serve_h2(stream, shared).await,
        Ok(false) => serve_h1(stream, shared).await,
        Err(error) => Err(error),
    };
}

/// No HTTP/1.1 method starts with the first bytes of the HTTP/2 preface (RFC 9113 section 3.4).
async fn starts_as_h2(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; 4];
    loop {
        let seen = stream.peek(&mut start).await?;
        if seen == 0 || seen == start.len() || !b"PRI ".starts_with(&start[..seen]) {
            return Ok(start == *b"PRI ");
        }
        tokio::task::yield_now().await;
    }
}

async fn serve_h1(stream: TcpStream, shared: Arc<Mutex<Shared>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(head) = Head::read(&mut stream).await? {
        let body = match head.framing(Side::Request) {
            Ok(framing) => read_body(&mut stream, framing).await,
            Err(error) => Err(error),
        };
        let (body, failure) = match body {
            Ok((body, _)) => (body, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let (method, rest) = head.start.split_once(' ').unwrap_or((&head.start, ""));
        let recorded = Recorded {
            method: method.to_owned(),
            target: rest
                .rsplit_once(' ')
                .map_or(rest, |(target, _)| target)
                .to_owned(),
            headers: head.headers,
            body,
        };
        let (echo, headers) = record(&shared, recorded);
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            echo.len()
        );
        for (name, value) in headers {
            response.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut response = format!("{response}\r\n").into_bytes();
        if !head.start.starts_with("HEAD ") {
            response.extend_from_slice(&echo);
        }
        stream.write_all(&response).await?;
    }
    Ok(())
}

async fn serve_h2(stream: TcpStream, shared: Arc<Mutex<Shared>>) -> io::Result<()> {
    let answer = service_fn(|request| answer_h2(request, Arc::clone(&shared)));
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), answer)
        .await
        .map_err(io::Error::other)
}

async fn answer_h2(
    request: http::Request<Incoming>,
    shared: Arc<Mutex<Shared>>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut headers = header_lines::from_map(&head.headers);
    if let Some(authority) = head.uri.authority() {
        headers.insert(0, ("host".to_owned(), authority.as_str().into()));
    }
    let recorded = Recorded {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str())
            .to_owned(),
        headers,
        body: body
            .collect()
            .await
            .map(|body| body.to_bytes().to_vec())
            .unwrap_or_default(),
    };
    let (echo, headers) = record(&shared, recorded);
    let mut response = http::Response::builder().header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response
        .body(Full::from(echo))
        .expect("the response headers of the test are headers"))
}

/// The echo, and the headers to send with it.
fn record(shared: &Mutex<Shared>, recorded: Recorded) -> (Vec<u8>, Vec<(String, String)>) {
    let echo = recorded.echo();
    let mut shared = lock(shared);
    shared.requests.push(recorded);
    (echo, shared.response_headers.clone())
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
