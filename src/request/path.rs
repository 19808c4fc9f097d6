//! The path a request is for, in the one form that routes are matched against, or a refusal.
//!
//! A path is judged only if every reader behind Envoy would read it alike. What a proxy, a framework
//! or a file system might fold, split or decode differently is refused, not repaired: Portcullis never
//! rewrites the path that it only inspects.

mod relaxed;

use std::fmt;

use bytes::Bytes;

use crate::request::path::relaxed::Relaxed;

use crate::secret::hex_value;

/// A path whose segments, percent-decoded once, can be read in one way only.
///
/// Starts with `/`; holds no dot segment, no empty segment but a last one (`/orders/`), no control,
/// no backslash, no `;` and no `#`; is UTF-8. At most [`MAX_PATH_BYTES`] undecoded.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalPath(Text);

/// The longest path that is judged, in undecoded bytes without the query. Envoy's own bound on all
/// headers together is 60 KiB by default.
pub const MAX_PATH_BYTES: usize = 16 * 1024;

/// The most segments a path may have.
pub const MAX_PATH_SEGMENTS: usize = 256;

#[derive(Clone, PartialEq, Eq)]
enum Text {
    /// Nothing was encoded: the raw bytes, checked to be ASCII.
    Shared(Bytes),
    Owned(Box<str>),
    /// Some point was relaxed, and this path makes use of it.
    Relaxed(Box<Relaxed>),
}

/// What an operator knows the upstream to read in one way only, each point by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four points that have nothing to do with each other"
)]
pub struct Relaxations {
    /// `//` is read as `/`; still refused where a reader who keeps it would come to another route.
    pub empty_segments: bool,
    /// Everything from a bare `;` to the end of its segment is not part of the segment.
    pub matrix_parameters: bool,
    /// `%2F` is a character within its segment.
    pub encoded_slashes: bool,
    /// A slash at the end is not part of the path.
    pub trailing_slash: bool,
}

/// Why a path was refused as ambiguous. The pitfall each variant answers is in the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not `/`-led: an absolute-form target, `*`, or nothing.
    #[error("the path does not start with a slash")]
    NotAbsolute,
    /// Longer than [`MAX_PATH_BYTES`] or of more than [`MAX_PATH_SEGMENTS`] segments.
    #[error("the path is longer than 16 KiB or has more than 256 segments")]
    TooLong,
    /// `.` or `..`, in any encoding.
    #[error("the path holds a dot segment (. or ..)")]
    DotSegment,
    /// `//`.
    #[error("the path holds an empty segment (//)")]
    EmptySegment,
    /// `%2F` or `%5C`, in either case.
    #[error("the path holds an encoded slash or backslash")]
    EncodedSlash,
    /// A bare `\`.
    #[error("the path holds a backslash")]
    Backslash,
    /// NUL or another control character, bare or encoded.
    #[error("the path holds a control character")]
    Control,
    /// `;`, bare or encoded: path parameters, which some servers cut off.
    #[error("the path holds a semicolon (path parameters)")]
    Parameters,
    /// `#`, bare.
    #[error("the path holds a fragment (#)")]
    Fragment,
    /// `%` without two hexadecimal digits.
    #[error("the path holds a percent sign without two hexadecimal digits")]
    BadEscape,
    /// `%25` before two hexadecimal digits: encoded twice.
    #[error("the path is percent-encoded twice")]
    DoubleEncoding,
    /// Not UTF-8 once decoded, or non-ASCII bytes sent bare.
    #[error("the path is not UTF-8, or holds bytes that must be percent-encoded")]
    NotUtf8,
}

impl CanonicalPath {
    /// Reads the part of a request target before its `?`.
    ///
    /// # Errors
    /// [`BadPath`] says what could be read in more than one way.
    pub fn parse(raw: &Bytes, relaxations: Relaxations) -> Result<Self, BadPath> {
        if relaxations != Relaxations::default()
            && let Some(relaxed) = Relaxed::parse(raw, relaxations)?
        {
            return Ok(Self(Text::Relaxed(Box::new(relaxed))));
        }
        let bytes: &[u8] = raw;
        if bytes.first() != Some(&b'/') {
            return Err(BadPath::NotAbsolute);
        }
        if bytes.len() > MAX_PATH_BYTES {
            return Err(BadPath::TooLong);
        }
        let mut encoded = false;
        for &byte in bytes {
            match byte {
                b'%' => encoded = true,
                b'\\' => return Err(BadPath::Backslash),
                b';' => return Err(BadPath::Parameters),
                b'#' => return Err(BadPath::Fragment),
                0..=0x1f | 0x7f => return Err(BadPath::Control),
                b' ' | 0x80.. => return Err(BadPath::NotUtf8),
                _ => {}
            }
        }
        let text = if encoded {
            Text::Owned(decoded_text(bytes, false)?.into())
        } else {
            Text::Shared(raw.clone())
        };
        let path = Self(text);
        path.check_segments()?;
        Ok(path)
    }

    /// The path, percent-decoded once.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // Checked to be ASCII, so this never falls back.
            Text::Shared(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Text::Owned(text) => text,
            Text::Relaxed(relaxed) => relaxed.text(),
        }
    }

    /// The decoded segments; a trailing slash shows as a last, empty one, and `/` as that alone.
    pub fn segments(&self) -> Segments<'_> {
        match &self.0 {
            Text::Relaxed(relaxed) => Segments::Listed(relaxed.segments()),
            Text::Shared(_) | Text::Owned(_) => Segments::Split(self.as_str().split('/').skip(1)),
        }
    }

    /// The segments as a reader sees them who keeps empty ones, where that differs.
    pub fn with_empty_segments(&self) -> Option<Segments<'_>> {
        match &self.0 {
            Text::Relaxed(relaxed) => relaxed.with_empty().map(Segments::Listed),
            Text::Shared(_) | Text::Owned(_) => None,
        }
    }

    fn check_segments(&self) -> Result<(), BadPath> {
        let mut segments = self.segments().peekable();
        let mut count = 0;
        while let Some(segment) = segments.next() {
            count += 1;
            match segment {
                "." | ".." => return Err(BadPath::DotSegment),
                "" if segments.peek().is_some() => return Err(BadPath::EmptySegment),
                _ => {}
            }
        }
        if count > MAX_PATH_SEGMENTS {
            Err(BadPath::TooLong)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The segments of a path.
#[derive(Clone)]
pub enum Segments<'a> {
    /// Parts of one text.
    Split(std::iter::Skip<std::str::Split<'a, char>>),
    /// Texts of their own, as one of them may hold a slash.
    Listed(std::slice::Iter<'a, Box<str>>),
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match self {
            Self::Split(parts) => parts.next(),
            Self::Listed(texts) => texts.next().map(AsRef::as_ref),
        }
    }
}

/// A text percent-decoded once.
fn decoded_text(raw: &[u8], slashes: bool) -> Result<String, BadPath> {
    let text = String::from_utf8(decode(raw, slashes)?).map_err(|_| BadPath::NotUtf8)?;
    if text.contains(char::is_control) {
        return Err(BadPath::Control);
    }
    Ok(text)
}

/// Decodes `%XX` once, refusing every escape whose meaning depends on who decodes it; but `%2F` where
/// `slashes` are known to be kept apart.
fn decode(raw: &[u8], slashes: bool) -> Result<Vec<u8>, BadPath> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            out.push(*first);
            rest = tail;
            continue;
        }
        let (byte, after) = escape(tail).ok_or(BadPath::BadEscape)?;
        match byte {
            b'/' if slashes => out.push(byte),
            b'/' | b'\\' => return Err(BadPath::EncodedSlash),
            0..=0x1f | 0x7f => return Err(BadPath::Control),
            b';' => return Err(BadPath::Parameters),
            b'%' if escape(after).is_some() => return Err(BadPath::DoubleEncoding),
            // `%25%32%65` is `%2e` once decoded: the digits themselves may be encoded.
            b'%' if decodes_to_escape(after) => return Err(BadPath::DoubleEncoding),
            _ => out.push(byte),
        }
        rest = after;
    }
    Ok(out)
}

/// The byte that two hexadecimal digits at the front stand for, and what follows them.
fn escape(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = after_percent else {
        return None;
    };
    Some((hex_value(*high)? << 4 | hex_value(*low)?, rest))
}

/// Whether the next two characters, each bare or encoded, are hexadecimal digits once decoded.
fn decodes_to_escape(rest: &[u8]) -> bool {
    let Some((first, rest)) = next_decoded(rest) else {
        return false;
    };
    let Some((second, _)) = next_decoded(rest) else {
        return false;
    };
    hex_value(first).is_some() && hex_value(second).is_some()
}

fn next_decoded(rest: &[u8]) -> Option<(u8, &[u8])> {
    match rest {
        [b'%', tail @ ..] => escape(tail),
        [byte, tail @ ..] => Some((*byte, tail)),
        [] => None,
    }
}

#[cfg(test)]
mod tests;
