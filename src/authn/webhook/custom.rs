//! A scheme that an operator describes: where the signature stands, how it is written, and over which text
//! it was made.
//!
//! What this can't describe (several algorithms, values decoded before they are signed, signatures over a
//! digest) needs a scheme of its own.

mod template;
mod written;

use std::borrow::Cow;

use aws_lc_rs::hmac;
use chrono::DateTime;

use crate::authn::signature::whole_body;
use crate::authn::webhook::custom::template::Template;
use crate::authn::webhook::read::{
    MAX_HEADER_BYTES, Presented, SignedText, base64, count, covered, hex, lone_signature,
    malformed, number, seconds, signature, split_once,
};
use crate::headers::Single;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

pub use crate::authn::webhook::custom::template::{BadTemplate, MAX_TEMPLATE_BYTES};
pub use crate::authn::webhook::custom::written::{
    Algorithm, BadCustom, Encoding, TimeFormat, TimePlace, Written,
};

/// The digits of a time in milliseconds: enough until the year 5138.
const MAX_MILLISECONDS_DIGITS: usize = 14;
/// The longest time of RFC 3339 that is read, in bytes: nanoseconds and an offset.
const MAX_RFC3339_BYTES: usize = 35;

/// A description that makes sense.
#[derive(Clone, Debug)]
pub struct Custom {
    written: Written,
    template: Template,
}

/// What the placeholders stand for, as far as it is not the request's own line and body.
pub(super) struct Filling<'a> {
    pub timestamp: &'a [u8],
    pub id: &'a [u8],
    pub body: &'a [u8],
}

/// What the header with the signature holds.
struct Elements<'a> {
    tags: Vec<Vec<u8>>,
    /// The time, where it stands there too.
    time: Option<&'a [u8]>,
}

impl Custom {
    /// Checks what an operator wrote.
    ///
    /// # Errors
    /// [`BadCustom`], with the way out.
    pub fn new(written: Written) -> Result<Self, BadCustom> {
        let template = Template::parse(&written.template)?;
        written.check(&template)?;
        Ok(Self { written, template })
    }

    /// What an operator should know of the template: where a border can be moved.
    pub fn notes(&self) -> Vec<String> {
        self.template.notes()
    }

    /// Whether a time is signed.
    pub const fn signs_time(&self) -> bool {
        self.written.timestamp.is_some()
    }

    /// The header with the signature.
    pub fn header(&self) -> &str {
        &self.written.header
    }

    /// The headers of time and id.
    pub(super) fn other_headers(&self) -> impl Iterator<Item = &str> {
        let timestamp = match &self.written.timestamp {
            Some((TimePlace::Header(name), _)) => Some(name.as_str()),
            _ => None,
        };
        self.written.id.as_deref().into_iter().chain(timestamp)
    }

    pub(super) const fn algorithm(&self) -> hmac::Algorithm {
        self.written.algorithm.hmac()
    }

    pub(super) const fn written(&self) -> &Written {
        &self.written
    }

    /// The text that is signed.
    pub(super) fn text<'a>(
        &'a self,
        message: &'a AsSigned<'_>,
        filling: &Filling<'a>,
    ) -> Result<SignedText<'a>, Refusal> {
        self.template.fill(message, filling)
    }

    pub(super) fn read<'a>(&'a self, message: &'a AsSigned<'_>) -> Result<Presented<'a>, Refusal> {
        let elements = self.elements(message)?;
        let time = match &self.written.timestamp {
            Some((TimePlace::Header(name), format)) => {
                let text = covered(message.headers, name)?;
                Some((text, read_time(text, *format, name)?))
            }
            Some((TimePlace::Element(_), format)) => {
                let text = elements.time.unwrap_or_default();
                Some((text, read_time(text, *format, &self.written.header)?))
            }
            None => None,
        };
        let id = match &self.written.id {
            Some(name) => covered(message.headers, name)?,
            None => &[],
        };
        let filling = Filling {
            timestamp: time.map_or(&[], |(text, _)| text),
            id,
            body: whole_body(message)?,
        };
        let mut presented = Presented::new(elements.tags, self.text(message, &filling)?);
        presented.algorithm = self.algorithm();
        presented.created = time.map(|(_, created)| created);
        Ok(presented)
    }

    fn elements<'a>(&self, message: &'a AsSigned<'_>) -> Result<Elements<'a>, Refusal> {
        let Written {
            header, separator, ..
        } = &self.written;
        let Some(key) = &self.written.element else {
            let value = lone_signature(message.headers, header)?;
            return Ok(Elements {
                tags: vec![self.decode(value)?],
                time: None,
            });
        };
        let time_key = match &self.written.timestamp {
            Some((TimePlace::Element(key), _)) => Some(key.as_bytes()),
            _ => None,
        };
        let value = signature(message.headers, header)?;
        let (mut tags, mut time, mut signatures) = (Vec::new(), None, 0);
        for element in value.split(|&byte| char::from(byte) == *separator) {
            let Some((found, text)) = split_once(element.trim_ascii(), b'=') else {
                return Err(malformed(format!(
                    "`{header}` holds an element without `=`"
                )));
            };
            if found == key.as_bytes() {
                count(&mut signatures, header)?;
                tags.push(self.decode(text)?);
            } else if Some(found) == time_key && time.replace(text).is_some() {
                return Err(malformed(format!("`{header}` holds several timestamps")));
            }
        }
        if tags.is_empty() {
            return Err(malformed(format!("`{header}` holds no element `{key}`")));
        }
        if time_key.is_some() && time.is_none() {
            return Err(malformed(format!("`{header}` holds no timestamp")));
        }
        Ok(Elements { tags, time })
    }

    fn decode(&self, text: &[u8]) -> Result<Vec<u8>, Refusal> {
        let Written { header, prefix, .. } = &self.written;
        let Some(text) = text.strip_prefix(prefix.as_bytes()) else {
            return Err(malformed(format!(
                "the signature in `{header}` does not begin with `{prefix}`"
            )));
        };
        let length = self.algorithm().digest_algorithm().output_len();
        match self.written.encoding {
            Encoding::Hex => hex(text, length, header),
            Encoding::Base64 => base64(text, length, header),
        }
    }
}

/// Reads a time, in whole seconds since the epoch, rounded down.
fn read_time(text: &[u8], format: TimeFormat, header: &str) -> Result<i64, Refusal> {
    match format {
        TimeFormat::Seconds => seconds(text, header),
        TimeFormat::Milliseconds => number(text, MAX_MILLISECONDS_DIGITS)
            .map(|millis| millis.div_euclid(1_000))
            .ok_or_else(|| {
                malformed(format!(
                    "the time in `{header}` is not a number of milliseconds since 1970"
                ))
            }),
        TimeFormat::Rfc3339 => rfc3339(text)
            .ok_or_else(|| malformed(format!("the time in `{header}` is not one of RFC 3339"))),
    }
}

fn rfc3339(text: &[u8]) -> Option<i64> {
    if text.len() > MAX_RFC3339_BYTES || text.get(10) != Some(&b'T') {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp())
}

/// A header that the template names.
fn component<'a>(message: &'a AsSigned<'_>, name: &str) -> Result<Cow<'a, [u8]>, Refusal> {
    let refused = |detail| Err(Refusal::new(Reason::SignatureComponentRefused, detail));
    match message.headers.single(name) {
        Single::Absent => refused(format!(
            "`template` names `{name}`, and the request has none"
        )),
        Single::Several => refused(format!(
            "`template` names `{name}`, and the request has several"
        )),
        Single::One(value) if value.len() > MAX_HEADER_BYTES => refused(format!(
            "`{name}`, which `template` names, is longer than {MAX_HEADER_BYTES} bytes"
        )),
        Single::One(value) => Ok(Cow::Borrowed(value)),
    }
}

#[cfg(test)]
mod tests;
