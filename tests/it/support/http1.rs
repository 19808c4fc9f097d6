//! HTTP/1.1 messages read without judging them, for both ends of a test. A stricter reader on the upstream's side would
//! answer 400 to a request that did get through, and the test would take it for one that did not.

use std::borrow::Cow;
use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::header_lines::HeaderLines;

/// The start line and header lines of a request or response.
#[derive(Debug)]
pub struct Head {
    pub start: String,
    pub headers: HeaderLines,
}

/// How far a message body goes.
#[derive(Debug, Clone, Copy)]
pub enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Which end of the exchange is being read: without any framing header a request has no body, a response runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Request,
    Response,
}

impl Head {
    /// The head, or `None` where the peer closed before its first byte.
    pub async fn read(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let Some(start) = read_line(reader).await? else {
            return Ok(None);
        };
        let headers = read_lines(reader).await?;
        let start = String::from_utf8_lossy(&start).into_owned();
        Ok(Some(Self { start, headers }))
    }

    pub fn framing(&self, side: Side) -> io::Result<Framing> {
        let chunked = |value: &str| value.to_ascii_lowercase().contains("chunked");
        if self
            .values("transfer-encoding")
            .any(|value| chunked(&value))
        {
            return Ok(Framing::Chunked);
        }
        match self.values("content-length").next() {
            Some(length) => Ok(Framing::Length(length.parse().map_err(io::Error::other)?)),
            None if side == Side::Request => Ok(Framing::Length(0)),
            None => Ok(Framing::UntilClose),
        }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.headers
            .iter()
            .filter(move |(line, _)| line.eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value))
    }
}

/// The body and, after a chunked one, its trailers.
pub async fn read_body(
    reader: &mut (impl AsyncBufRead + Unpin),
    framing: Framing,
) -> io::Result<(Vec<u8>, HeaderLines)> {
    let mut body = Vec::new();
    match framing {
        Framing::Length(length) => read_exactly(reader, length, &mut body).await?,
        Framing::UntilClose => {
            reader.read_to_end(&mut body).await?;
        }
        Framing::Chunked => {
            loop {
                let size = read_chunk_size(reader).await?;
                if size == 0 {
                    break;
                }
                read_exactly(reader, size, &mut body).await?;
                read_line(reader).await?;
            }
            return Ok((body, read_lines(reader).await?));
        }
    }
    Ok((body, HeaderLines::new()))
}

async fn read_exactly(
    reader: &mut (impl AsyncBufRead + Unpin),
    length: u64,
    into: &mut Vec<u8>,
) -> io::Result<()> {
    let read = (&mut *reader).take(length).read_to_end(into).await?;
    if read as u64 == length {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

async fn read_chunk_size(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<u64> {
    let line = read_line(reader)
        .await?
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let line = String::from_utf8_lossy(&line);
    let size = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(size, 16).map_err(io::Error::other)
}

/// Header lines up to and including the empty one. A line without a colon is kept, as a name.
async fn read_lines(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<HeaderLines> {
    let mut lines = HeaderLines::new();
    loop {
        let line = read_line(reader)
            .await?
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(lines);
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        lines.push((
            String::from_utf8_lossy(name).into_owned(),
            value.trim_ascii().to_vec(),
        ));
    }
}

/// One line without its end, or `None` where there is nothing more.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(line))
}
