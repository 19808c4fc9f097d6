//! Host and path patterns as policies write them, read so that they cannot hold a bad value.

/// A host pattern: exact, `*.` before a suffix (one or more labels), or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// One host, lower-case.
    Exact(Box<str>),
    /// Every host with at least one label before this suffix, which has no leading dot.
    Below(Box<str>),
    /// Every host.
    Any,
}

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong, and the way out.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.contains("://") || text.contains('/') {
            return Err("a host has no scheme and no path; write it as in `api.example.com`");
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        if name.contains('*') {
            return Err("a `*` stands alone or as the whole first label: `*`, `*.example.com`");
        }
        let raw = bytes::Bytes::copy_from_slice(name.as_bytes());
        let host = crate::request::host::Host::parse(&raw).map_err(
            |_| "this is no host name; write it as in `api.example.com` or `*.example.com`",
        )?;
        if host.as_str().len() < name.len() {
            return Err("hosts are matched without port and trailing dot; leave them out");
        }
        let host = host.as_str().into();
        Ok(if name.len() < text.len() {
            Self::Below(host)
        } else {
            Self::Exact(host)
        })
    }

    /// Whether every host that `other` covers is covered by this pattern, too.
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) | (Self::Exact(_), Self::Below(_)) => false,
            (_, Self::Exact(host)) => self.covers(host),
            (Self::Below(ours), Self::Below(theirs)) => ours == theirs || self.covers(theirs),
        }
    }

    /// Whether some host is covered by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        // Patterns are suffixes: of two that share a host, one contains the other.
        self.contains(other) || other.contains(self)
    }

    /// Whether this pattern covers a canonical host.
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *host,
            Self::Below(suffix) => host
                .strip_suffix(suffix.as_ref())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Self::Any => true,
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// One segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text, percent-decoded.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Parameter(Box<str>),
}

/// A path pattern: literals, `{parameters}`, and `/**` at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// The segments before a `/**`; a trailing slash is a last, empty literal.
    pub segments: Vec<Segment>,
    /// Whether everything below is covered, and the path itself.
    pub below: bool,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong, and the way out.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("a path starts with `/`");
        };
        if text.len() > 2048 {
            return Err("a path pattern is at most 2,048 bytes long");
        }
        let (rest, below) = match rest.strip_suffix("**") {
            Some("") => ("", true),
            Some(before) => match before.strip_suffix('/') {
                Some(before) => (before, true),
                None => return Err("`**` is the whole last segment: `/files/**`"),
            },
            None => (rest, false),
        };
        let mut pattern = Self {
            segments: Vec::new(),
            below,
        };
        if below && rest.is_empty() {
            return if text == "/**" {
                Ok(pattern)
            } else {
                Err("a path has no empty segments (`//`)")
            };
        }
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            pattern
                .segments
                .push(read_segment(segment, last && !below)?);
        }
        if pattern.segments.len() > crate::request::path::MAX_PATH_SEGMENTS {
            return Err("a path pattern has at most 256 segments");
        }
        let names: Vec<&str> = pattern.parameter_names().collect();
        if names
            .iter()
            .enumerate()
            .any(|(i, name)| names.iter().skip(i + 1).any(|other| other == name))
        {
            return Err("a parameter is named twice; give each its own name");
        }
        Ok(pattern)
    }

    /// Whether this pattern covers a path of these segments.
    pub fn covers<'s>(&self, mut path: impl Iterator<Item = &'s str>) -> bool {
        let fits = |segment: &Segment, text: &str| match segment {
            Segment::Literal(literal) => **literal == *text,
            Segment::Parameter(_) => !text.is_empty(),
        };
        let mut own = self.segments.iter();
        let all = own.all(|segment| path.next().is_some_and(|text| fits(segment, text)));
        all && (self.below || path.next().is_none())
    }

    /// Whether every path that `other` covers is covered by this pattern, too.
    pub fn contains(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.segments.len(), other.segments.len());
        let reaches = if self.below {
            theirs >= ours
        } else {
            theirs == ours && !other.below
        };
        let within = |(ours, theirs): (&Segment, &Segment)| match (ours, theirs) {
            (Segment::Literal(ours), Segment::Literal(theirs)) => ours == theirs,
            (Segment::Literal(_), Segment::Parameter(_)) => false,
            (Segment::Parameter(_), Segment::Literal(text)) => !text.is_empty(),
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
        };
        reaches && self.segments.iter().zip(&other.segments).all(within)
    }

    /// Whether some path is covered by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.segments.len(), other.segments.len());
        let reaches =
            ours == theirs || (self.below && theirs > ours) || (other.below && ours > theirs);
        let shared = |(ours, theirs): (&Segment, &Segment)| match (ours, theirs) {
            (Segment::Literal(ours), Segment::Literal(theirs)) => ours == theirs,
            (Segment::Literal(text), Segment::Parameter(_))
            | (Segment::Parameter(_), Segment::Literal(text)) => !text.is_empty(),
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
        };
        reaches && self.segments.iter().zip(&other.segments).all(shared)
    }

    /// The parameters' names, in order.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_ref()),
            Segment::Literal(_) => None,
        })
    }
}

fn read_segment(segment: &str, may_be_empty: bool) -> Result<Segment, &'static str> {
    if let Some(name) = segment.strip_prefix('{') {
        let name = name
            .strip_suffix('}')
            .ok_or("a parameter is a whole segment: `/orders/{order_id}`")?;
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.bytes().all(word)
        {
            return Err(
                "a parameter's name is letters, digits and underscores, and starts with no digit",
            );
        }
        return Ok(Segment::Parameter(name.into()));
    }
    if segment.starts_with(':') {
        return Err("a parameter is written in braces: `/orders/{order_id}`");
    }
    if segment.contains(['{', '}']) {
        return Err("a parameter is a whole segment: `/orders/{order_id}`");
    }
    if segment.contains('*') {
        return Err(
            "`*` has no meaning within a path; use `{name}` for one segment or `/**` at the end",
        );
    }
    if segment.contains(['?', '#', ';', '\\']) || segment.chars().any(char::is_control) {
        return Err("a path pattern holds no query, fragment, `;`, backslash or control character");
    }
    if segment.contains('%') {
        return Err("paths are matched percent-decoded; write the decoded text");
    }
    if matches!(segment, "." | "..") {
        return Err(
            "no request with a dot segment is let through; a route for one would never match",
        );
    }
    if segment.is_empty() && !may_be_empty {
        return Err("a path has no empty segments (`//`)");
    }
    Ok(Segment::Literal(segment.into()))
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, PathPattern, Segment};
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn reads_host_patterns() {
        for (text, good) in [
            ("api.example.com", true),
            ("API.example.com", true),
            ("*.example.com", true),
            ("*", true),
            ("[::1]", true),
            ("10.0.0.1", true),
            ("localhost", true),
            ("api.example.com:443", false),
            ("api.example.com.", false),
            ("https://api.example.com", false),
            ("a.*.example.com", false),
            ("api*.example.com", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(HostPattern::parse(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn o2_a_wildcard_covers_one_or_more_labels() {
        let pattern = HostPattern::parse("*.example.com").unwrap();
        for (host, covered) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            ("aexample.com", false),
            (".example.com", false),
            ("a.example.com.evil.org", false),
        ] {
            assert_eq!(pattern.covers(host), covered, "{host}");
        }
    }

    #[test]
    fn reads_path_patterns() {
        for (text, good) in [
            ("/", true),
            ("/**", true),
            ("/orders", true),
            ("/orders/", true),
            ("/orders/{order_id}", true),
            ("/orders/{order_id}/items/**", true),
            ("/café", true),
            ("orders", false),
            ("", false),
            ("//**", false),
            ("/a//b", false),
            ("/a//", false),
            ("/**/a", false),
            ("/a**", false),
            ("/a*", false),
            ("/{a}{b}", false),
            ("/{a", false),
            ("/x{a}", false),
            ("/{}", false),
            ("/{1}", false),
            ("/{a}/{a}", false),
            ("/a?b", false),
            ("/a#b", false),
            ("/a;b", false),
            ("/a%20b", false),
            ("/../a", false),
        ] {
            assert_eq!(PathPattern::parse(text).is_ok(), good, "{text}");
        }
    }

    /// Whether a pattern covers a path, said in the plainest way.
    fn covers(pattern: &PathPattern, path: &str) -> bool {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let prefix = segments.get(..pattern.segments.len());
        let fits = |(segment, text): (&Segment, &&str)| match segment {
            Segment::Literal(literal) => **literal == **text,
            Segment::Parameter(_) => !text.is_empty(),
        };
        (pattern.below || segments.len() == pattern.segments.len())
            && prefix.is_some_and(|prefix| pattern.segments.iter().zip(prefix).all(fits))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_contains_a_path_pattern_covers_all_that_it_covers(
            outer in "(/(a|b|\\{p\\})){0,3}(/\\*\\*|/)?",
            inner in "(/(a|b|\\{q\\})){0,3}(/\\*\\*|/)?",
            path in "(/(a|b|c)){0,4}/?",
        ) {
            let unique = |text: &str| {
                let mut count = 0;
                let parts = text.split('/').map(|part| {
                    count += 1;
                    if part.starts_with('{') { format!("{{p{count}}}") } else { part.to_owned() }
                });
                parts.collect::<Vec<_>>().join("/")
            };
            let (Ok(outer), Ok(inner)) =
                (PathPattern::parse(&unique(&outer)), PathPattern::parse(&unique(&inner)))
            else {
                return Ok(());
            };
            let (by_outer, by_inner) = (covers(&outer, &path), covers(&inner, &path));
            prop_assert_eq!(outer.covers(path.split('/').skip(1)), by_outer);
            if outer.contains(&inner) {
                prop_assert!(by_outer || !by_inner, "{outer:?} {inner:?} {path}");
                prop_assert!(outer.overlaps(&inner));
            }
            if by_outer && by_inner {
                prop_assert!(outer.overlaps(&inner) && inner.overlaps(&outer));
            }
        }
    }

    #[test]
    fn patterns_contain_each_other() {
        for (outer, inner, contains, overlaps) in [
            ("/a/**", "/a", true, true),
            ("/a/**", "/a/{id}/b", true, true),
            ("/a/**", "/a/b/**", true, true),
            ("/a/**", "/**", false, true),
            ("/a/**", "/{x}/b", false, true),
            ("/a/**", "/b/**", false, false),
            ("/a/{id}", "/a/b", true, true),
            ("/a/{id}", "/a/", false, false),
            ("/a/{id}", "/a/{other}", true, true),
            ("/a/b", "/a/{id}", false, true),
            ("/a", "/a/**", false, true),
            ("/a/b/**", "/a", false, false),
        ] {
            let [a, b] = [outer, inner].map(|text| PathPattern::parse(text).unwrap());
            assert_eq!(a.contains(&b), contains, "{outer} {inner}");
            assert_eq!(a.overlaps(&b), overlaps, "{outer} {inner}");
        }
        for (outer, inner, contains, overlaps) in [
            ("*", "a.example.com", true, true),
            ("*.example.com", "a.example.com", true, true),
            ("*.example.com", "*.a.example.com", true, true),
            ("*.example.com", "*.example.com", true, true),
            ("*.example.com", "example.com", false, false),
            ("a.example.com", "*.example.com", false, true),
            ("*.example.com", "*", false, true),
            ("*.a.example", "*.b.example", false, false),
            ("*.ample.com", "*.example.com", false, false),
        ] {
            let [a, b] = [outer, inner].map(|text| HostPattern::parse(text).unwrap());
            assert_eq!(a.contains(&b), contains, "{outer} {inner}");
            assert_eq!(a.overlaps(&b), overlaps, "{outer} {inner}");
        }
    }
}
