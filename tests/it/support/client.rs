//! Clients that send what they are told to: exact bytes, doubled headers, odd targets.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::header_lines::{self, HeaderLines};
use super::http1::{Framing, Head, Side, read_body};
use super::wait::DEADLINE;

/// What came back, over either protocol.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderLines,
    pub body: Vec<u8>,
    pub trailers: HeaderLines,
}

impl Response {
    /// The value of a header; panics where it is there more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        header_lines::single(&self.headers, name)
    }

    pub fn headers_all(&self, name: &str) -> Vec<&str> {
        header_lines::all(&self.headers, name)
    }

    pub fn trailer(&self, name: &str) -> Option<&str> {
        header_lines::single(&self.trailers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON, {error}: {}", self.text()))
    }
}

/// Why no response came: refused, reset, closed, or nothing the http crate can carry.
pub type NoResponse = Box<dyn Error + Send + Sync>;

/// A request to be sent over either protocol, headers in the order given.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: Vec<u8>,
    authority: String,
    headers: HeaderLines,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            authority: "example.test".to_owned(),
            headers: HeaderLines::new(),
            body: Vec::new(),
        }
    }

    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// `Host` or `:authority`, `example.test` if not said.
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.to_owned();
        self
    }

    /// One more header line, also where the name is there already.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub async fn send_h1(&self, addr: SocketAddr) -> Response {
        self.try_send_h1(addr)
            .await
            .unwrap_or_else(|error| panic!("no response over HTTP/1.1 to {self:?}: {error}"))
    }

    /// With prior knowledge. Header names are lower-cased, and lines of one name sent together.
    pub async fn send_h2(&self, addr: SocketAddr) -> Response {
        self.try_send_h2(addr)
            .await
            .unwrap_or_else(|error| panic!("no response over HTTP/2 to {self:?}: {error}"))
    }

    pub async fn try_send_h1(&self, addr: SocketAddr) -> Result<Response, NoResponse> {
        try_h1_raw(addr, &self.h1_bytes()).await
    }

    pub async fn try_send_h2(&self, addr: SocketAddr) -> Result<Response, NoResponse> {
        let request = self.h2_request()?;
        timeout(DEADLINE, exchange_h2(addr, request)).await?
    }

    pub(super) fn h1_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(format!(" HTTP/1.1\r\nhost: {}\r\n", self.authority).as_bytes());
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn h2_request(&self) -> Result<http::Request<Full<Bytes>>, NoResponse> {
        let uri = http::Uri::builder()
            .scheme("http")
            .authority(self.authority.as_str())
            .path_and_query(self.target.as_slice())
            .build()?;
        // The http crate drops a fragment without a word; a test for it must not pass by that.
        let carried = uri.path_and_query().map_or("", |target| target.as_str());
        if carried.as_bytes() != self.target {
            return Err(format!("the http crate made {carried:?} of the target").into());
        }
        let mut request = http::Request::builder()
            .method(self.method.as_str())
            .uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        Ok(request.body(Full::from(self.body.clone()))?)
    }
}

/// Writes exactly these bytes and reads the one response.
pub async fn h1_raw(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    let bytes = bytes.as_ref();
    try_h1_raw(addr, bytes)
        .await
        .unwrap_or_else(|error| panic!("no response to {}: {error}", bytes.escape_ascii()))
}

pub async fn try_h1_raw(addr: SocketAddr, bytes: &[u8]) -> Result<Response, NoResponse> {
    let exchange = async { exchange_h1(TcpStream::connect(addr).await?, bytes).await };
    Ok(timeout(DEADLINE, exchange).await??)
}

/// Reads while it writes, as an early answer to a large body may come with the connection's end.
pub(super) async fn exchange_h1(
    stream: impl AsyncRead + AsyncWrite,
    bytes: &[u8],
) -> io::Result<Response> {
    let (read_half, mut write_half) = tokio::io::split(stream);
    let mut reader = BufReader::new(read_half);
    let write_then_wait = async {
        // A failed write shows in what is read.
        let _ = write_half.write_all(bytes).await;
        std::future::pending().await
    };
    tokio::select! {
        response = read_response(&mut reader, bytes) => response,
        response = write_then_wait => response,
    }
}

async fn read_response(
    reader: &mut BufReader<impl AsyncRead + Unpin>,
    request: &[u8],
) -> io::Result<Response> {
    loop {
        let head = Head::read(reader)
            .await?
            .ok_or_else(|| io::Error::other("closed without an answer"))?;
        let status = status_of(&head)?;
        let framing = match status {
            100 | 102..200 => continue,
            101 | 204 | 304 => Framing::Length(0),
            _ if request.starts_with(b"HEAD ") => Framing::Length(0),
            _ => head.framing(Side::Response)?,
        };
        let (body, trailers) = read_body(reader, framing).await?;
        return Ok(Response {
            status,
            headers: head.headers,
            body,
            trailers,
        });
    }
}

fn status_of(head: &Head) -> io::Result<u16> {
    head.start
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| io::Error::other(format!("not a status line: {:?}", head.start)))
}

async fn exchange_h2(
    addr: SocketAddr,
    request: http::Request<Full<Bytes>>,
) -> Result<Response, NoResponse> {
    let stream = TokioIo::new(TcpStream::connect(addr).await?);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?;
    connection.abort();
    Ok(Response {
        status: head.status.as_u16(),
        headers: header_lines::from_map(&head.headers),
        trailers: body
            .trailers()
            .map(header_lines::from_map)
            .unwrap_or_default(),
        body: body.to_bytes().to_vec(),
    })
}
