//! Paths in which the operator has relaxed a point.

use crate::request::path::{BadPath, MAX_PATH_BYTES, MAX_PATH_SEGMENTS, Relaxations, decoded_text};

/// A path that makes use of a relaxed point, segment by segment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Relaxed {
    text: Box<str>,
    segments: Box<[Box<str>]>,
    with_empty: Option<Box<[Box<str>]>>,
}

impl Relaxed {
    /// Reads a path; `None` if it makes use of nothing that is relaxed, and is judged as any other.
    pub(super) fn parse(raw: &[u8], relaxations: Relaxations) -> Result<Option<Self>, BadPath> {
        if raw.len() > MAX_PATH_BYTES {
            return Err(BadPath::TooLong);
        }
        let Some(rest) = raw.strip_prefix(b"/") else {
            return Err(BadPath::NotAbsolute);
        };
        let mut segments = Vec::new();
        for segment in rest.split(|&byte| byte == b'/') {
            if segments.len() == MAX_PATH_SEGMENTS {
                return Err(BadPath::TooLong);
            }
            segments.push(read_segment(segment, relaxations)?);
        }
        let kept_apart = segments.iter().any(|segment| segment.contains('/'));
        let cut = rest.contains(&b';');
        let (last, inner) = segments.split_last().ok_or(BadPath::NotAbsolute)?;
        let doubled = inner.iter().any(|segment| segment.is_empty());
        if doubled && !relaxations.empty_segments {
            return Err(BadPath::EmptySegment);
        }
        let trailing = relaxations.trailing_slash && last.is_empty() && !inner.is_empty();
        if !(kept_apart || cut || doubled || trailing) {
            return Ok(None);
        }
        let trimmed = |mut segments: Vec<Box<str>>| {
            if trailing && segments.len() > 1 {
                segments.pop();
            }
            segments.into_boxed_slice()
        };
        let mut merged = segments.clone();
        let end = merged.len().saturating_sub(1);
        let mut position = 0;
        merged.retain(|segment| {
            position += 1;
            !segment.is_empty() || position > end
        });
        let merged = trimmed(merged);
        Ok(Some(Self {
            text: format!("/{}", merged.join("/")).into(),
            segments: merged,
            with_empty: doubled.then(|| trimmed(segments)),
        }))
    }

    pub(super) const fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn segments(&self) -> std::slice::Iter<'_, Box<str>> {
        self.segments.iter()
    }

    pub(super) fn with_empty(&self) -> Option<std::slice::Iter<'_, Box<str>>> {
        self.with_empty.as_deref().map(<[_]>::iter)
    }
}

fn read_segment(raw: &[u8], relaxations: Relaxations) -> Result<Box<str>, BadPath> {
    for &byte in raw {
        match byte {
            b'\\' => return Err(BadPath::Backslash),
            b'#' => return Err(BadPath::Fragment),
            b';' if !relaxations.matrix_parameters => return Err(BadPath::Parameters),
            0..=0x1f | 0x7f => return Err(BadPath::Control),
            b' ' | 0x80.. => return Err(BadPath::NotUtf8),
            _ => {}
        }
    }
    // All of it has to be readable, what is cut off too.
    let mut parts = raw.splitn(2, |&byte| byte == b';');
    let name = decoded_text(
        parts.next().unwrap_or_default(),
        relaxations.encoded_slashes,
    )?;
    let parameters = parts.next();
    if let Some(parameters) = parameters {
        let parameters = decoded_text(parameters, relaxations.encoded_slashes)?;
        // A reader who decodes before it cuts would find segments in here.
        if parameters.contains('/') {
            return Err(BadPath::EncodedSlash);
        }
    }
    if name.is_empty() && parameters.is_some() {
        return Err(BadPath::EmptySegment);
    }
    for part in name.split('/') {
        match part {
            "." | ".." => return Err(BadPath::DotSegment),
            "" if name.contains('/') => return Err(BadPath::EmptySegment),
            _ => {}
        }
    }
    Ok(name.into())
}
