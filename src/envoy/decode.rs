//! Reads a `CheckRequest` from the wire.
//!
//! The message is `envoy.service.auth.v3`'s, less the fields that nothing here reads, and with bytes
//! where Envoy has strings: what a client sent that is not UTF-8 must become a refusal that says so,
//! not an undecodable message. A map is read as the list of entries that it is on the wire, without
//! hashing, and nothing is copied: a check is made of ranges of its message.

mod wire;

use std::ops::Range;

use bytes::{Buf, Bytes};

use crate::envoy::decode::wire::{Field, Fields, Malformed};
use crate::headers::{Headers, Line};
use crate::request::raw::{RawCheck, RawPeer};

/// How many header lines are made room for at first: a browser's request has some thirty.
const USUAL_LINES: usize = 40;

/// Why a message is no check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Not protobuf, or not this message.
    #[error("the check is not a readable CheckRequest: {0}")]
    Message(#[from] Malformed),
    /// No HTTP request in it.
    #[error("the check holds no HTTP request")]
    NoRequest,
    /// Both ways to carry headers at once, of which Envoy uses one.
    #[error("the check holds both `headers` and `header_map`")]
    TwoHeaderSets,
}

/// Where the fields stand that are read. A message that comes twice is merged as Protocol Buffers
/// says: of a text the last one counts, lists are joined.
#[derive(Default)]
struct Found {
    http: bool,
    header_map: bool,
    headers: Vec<Line>,
    mapped_headers: Vec<Line>,
    extensions: Vec<Line>,
    method: Range<usize>,
    path: Range<usize>,
    host: Range<usize>,
    scheme: Range<usize>,
    query: Range<usize>,
    fragment: Range<usize>,
    protocol: Range<usize>,
    body: Range<usize>,
    raw_body: Range<usize>,
    address: Range<usize>,
    principal: Range<usize>,
    certificate: Range<usize>,
}

/// Reads one message. The check shares it, where `buffer` allows.
///
/// # Errors
/// [`Undecodable`].
pub fn check(mut buffer: impl Buf) -> Result<RawCheck, Undecodable> {
    let message = buffer.copy_to_bytes(buffer.remaining());
    let mut found = Found::default();
    found.check_request(Fields::of(&message))?;
    if !found.http {
        return Err(Undecodable::NoRequest);
    }
    if found.header_map && !found.headers.is_empty() {
        return Err(Undecodable::TwoHeaderSets);
    }
    let lines = if found.header_map {
        found.mapped_headers
    } else {
        found.headers
    };
    let part = |range: Range<usize>| {
        if range.is_empty() {
            Bytes::new()
        } else {
            message.slice(range)
        }
    };
    let body_is_text = found.raw_body.is_empty() && !found.body.is_empty();
    Ok(RawCheck {
        method: part(found.method),
        path: part(found.path),
        host: part(found.host),
        scheme: part(found.scheme),
        protocol: part(found.protocol),
        query: part(found.query),
        fragment: part(found.fragment),
        body: if found.raw_body.is_empty() {
            part(found.body)
        } else {
            part(found.raw_body)
        },
        source: RawPeer {
            address: part(found.address),
            principal: part(found.principal),
            certificate: part(found.certificate),
        },
        context_extensions: found
            .extensions
            .into_iter()
            .map(|entry| (part(entry.name), part(entry.value)))
            .collect(),
        body_is_text,
        headers: if found.header_map {
            Headers::within(message.clone(), lines)
        } else {
            Headers::within(message.clone(), lines).shown_as_text()
        },
    })
}

/// Each method reads one message; the numbers are those of `envoy.service.auth.v3` and
/// `envoy.config.core.v3`.
impl Found {
    fn check_request(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        while let Some((number, field)) = fields.next()? {
            if number == 1 {
                self.attribute_context(field.message()?)?;
            }
        }
        Ok(())
    }

    fn attribute_context(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => self.source(field.message()?)?,
                4 => self.request(field.message()?)?,
                10 => self.extensions.push(entry(field)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn source(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => self.address(field.message()?)?,
                4 => self.principal = field.bytes()?,
                5 => self.certificate = field.bytes()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn address(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        while let Some((number, field)) = fields.next()? {
            if number == 1 {
                let mut socket = field.message()?;
                while let Some((number, field)) = socket.next()? {
                    if number == 2 {
                        self.address = field.bytes()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn request(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        while let Some((number, field)) = fields.next()? {
            if number == 2 {
                self.http = true;
                self.http_request(field.message()?)?;
            }
        }
        Ok(())
    }

    fn http_request(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        while let Some((number, field)) = fields.next()? {
            match number {
                2 => self.method = field.bytes()?,
                3 => {
                    if self.headers.capacity() == 0 {
                        self.headers.reserve(USUAL_LINES);
                    }
                    self.headers.push(entry(field)?);
                }
                4 => self.path = field.bytes()?,
                5 => self.host = field.bytes()?,
                6 => self.scheme = field.bytes()?,
                7 => self.query = field.bytes()?,
                8 => self.fragment = field.bytes()?,
                10 => self.protocol = field.bytes()?,
                11 => self.body = field.bytes()?,
                12 => self.raw_body = field.bytes()?,
                13 => {
                    self.header_map = true;
                    self.header_map(field.message()?)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn header_map(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        while let Some((number, field)) = fields.next()? {
            if number == 1 {
                self.mapped_headers.push(header_value(field)?);
            }
        }
        Ok(())
    }
}

/// An entry of a map of texts.
fn entry(field: Field<'_>) -> Result<Line, Malformed> {
    let mut fields = field.message()?;
    let mut line = Line::default();
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => line.name = field.bytes()?,
            2 => line.value = field.bytes()?,
            _ => {}
        }
    }
    Ok(line)
}

/// A line of `header_map`: Envoy fills `raw_value`, others may fill `value`.
fn header_value(field: Field<'_>) -> Result<Line, Malformed> {
    let mut fields = field.message()?;
    let mut line = Line::default();
    let mut raw_value = 0..0;
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => line.name = field.bytes()?,
            2 => line.value = field.bytes()?,
            3 => raw_value = field.bytes()?,
            _ => {}
        }
    }
    if !raw_value.is_empty() {
        line.value = raw_value;
    }
    Ok(line)
}

#[cfg(test)]
mod tests;
