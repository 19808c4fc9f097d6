//! The same messages as `prost` reads them: the reader is held to it.

use bytes::Bytes;
use prost::Message;

use crate::envoy::decode::Undecodable;
use crate::headers::Headers;
use crate::request::raw::{RawCheck, RawPeer};

#[derive(Clone, PartialEq, Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<AttributeContext>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    source: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    request: Option<AttributeRequest>,
    #[prost(message, repeated, tag = "10")]
    context_extensions: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Peer {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
    #[prost(bytes = "bytes", tag = "4")]
    principal: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    certificate: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, Message)]
struct SocketAddress {
    #[prost(bytes = "bytes", tag = "2")]
    address: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeRequest {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRequest {
    #[prost(bytes = "bytes", tag = "2")]
    method: Bytes,
    #[prost(message, repeated, tag = "3")]
    headers: Vec<Entry>,
    #[prost(bytes = "bytes", tag = "4")]
    path: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    host: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    scheme: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    query: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    fragment: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    protocol: Bytes,
    #[prost(bytes = "bytes", tag = "11")]
    body: Bytes,
    #[prost(bytes = "bytes", tag = "12")]
    raw_body: Bytes,
    #[prost(message, optional, tag = "13")]
    header_map: Option<HeaderMap>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<HeaderValue>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderValue {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    raw_value: Bytes,
}

/// `Err(None)`: the message cannot be read.
pub(super) fn check(buffer: &[u8]) -> Result<RawCheck, Option<Undecodable>> {
    let message = CheckRequest::decode(buffer).map_err(|_| None)?;
    let attributes = message.attributes.ok_or(Some(Undecodable::NoRequest))?;
    let http = attributes
        .request
        .and_then(|request| request.http)
        .ok_or(Some(Undecodable::NoRequest))?;
    let pairs = |entries: Vec<Entry>| -> Vec<(Bytes, Bytes)> {
        entries.into_iter().map(|e| (e.key, e.value)).collect()
    };
    let headers: Vec<(Bytes, Bytes)> = match http.header_map {
        None => pairs(http.headers),
        Some(map) if http.headers.is_empty() => map.headers.into_iter().map(line).collect(),
        Some(_) => return Err(Some(Undecodable::TwoHeaderSets)),
    };
    let source = attributes.source.unwrap_or_default();
    let address = source.address.and_then(|address| address.socket_address);
    Ok(RawCheck {
        method: http.method,
        path: http.path,
        host: http.host,
        scheme: http.scheme,
        protocol: http.protocol,
        headers: Headers::new(headers),
        query: http.query,
        fragment: http.fragment,
        body_is_text: http.raw_body.is_empty() && !http.body.is_empty(),
        body: if http.raw_body.is_empty() {
            http.body
        } else {
            http.raw_body
        },
        source: RawPeer {
            address: address.map(|address| address.address).unwrap_or_default(),
            principal: source.principal,
            certificate: source.certificate,
        },
        context_extensions: pairs(attributes.context_extensions),
    })
}

/// A header line of `header_map`: Envoy fills `raw_value`, others may fill `value`.
fn line(header: HeaderValue) -> (Bytes, Bytes) {
    let value = if header.raw_value.is_empty() {
        header.value
    } else {
        header.raw_value
    };
    (header.key, value)
}
