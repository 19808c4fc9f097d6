//! Origins as policies list them and as browsers send them.
//!
//! A browser sends an origin in one form only (HTML Standard, "ASCII serialization of an origin"): lower
//! case, without a default port, without a path. So what a list admits is compared byte for byte.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use bytes::Bytes;

use crate::request::host::Host;

/// The longest host name (RFC 1035 section 3.1), in bytes.
const MAX_HOST_BYTES: usize = 253;

/// One entry of a list of origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// `*`: every origin, `null` too.
    Any,
    /// One origin, as a browser sends it.
    Exact(Box<str>),
    /// `https://*.example.com`: every host with one label or more before the rest.
    Below {
        /// The scheme and `://`.
        before: Box<str>,
        /// The host from its dot on, and the port where it is none of the scheme's own.
        after: Box<str>,
    },
}

impl OriginPattern {
    /// Reads an entry; letter case and a default port are brought into the browser's form.
    ///
    /// # Errors
    /// What is wrong, and the way out.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "*" => return Ok(Self::Any),
            "null" => {
                return Err(
                    "anybody's sandboxed frames and local files send `null`; it names nobody",
                );
            }
            _ => {}
        }
        let lower = text.to_ascii_lowercase();
        let Some((scheme, rest)) = lower.split_once("://") else {
            return Err("an origin is a scheme and a host: `https://app.example.com`");
        };
        check_scheme(scheme)?;
        if rest.contains(['/', '?', '#']) {
            return Err("an origin has no path, and no slash at its end");
        }
        if !rest.is_ascii() {
            return Err("browsers send such hosts in their ASCII form: `xn--…`");
        }
        let name = rest.strip_prefix("*.").unwrap_or(rest);
        if name.contains('*') {
            return Err("a `*` stands alone or as the whole first label: `https://*.example.com`");
        }
        let (host, port) = host_and_port(scheme, name)?;
        if name.len() == rest.len() {
            return Ok(Self::Exact(format!("{scheme}://{host}{port}").into()));
        }
        if host.starts_with('[') || (!host.contains('.') && host != "localhost") {
            return Err("the part after `*.` is a domain of your own: `https://*.example.com`");
        }
        Ok(Self::Below {
            before: format!("{scheme}://").into(),
            after: format!(".{host}{port}").into(),
        })
    }
}

fn check_scheme(scheme: &str) -> Result<(), &'static str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme == "file" {
        return Err("local files send the origin `null`, which names nobody");
    }
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(word) {
        return Err("an origin is a scheme and a host: `https://app.example.com`");
    }
    Ok(())
}

/// The host in its canonical form, and `:port` unless that is the scheme's own.
fn host_and_port(scheme: &str, name: &str) -> Result<(String, String), &'static str> {
    const NO_HOST: &str = "this is no host; write it as in `https://app.example.com:8443`";
    let raw = Bytes::copy_from_slice(name.as_bytes());
    let host = Host::parse(&raw).map_err(|_| NO_HOST)?;
    let host = host.as_str();
    let port = match name.strip_prefix(host) {
        Some("") => return Ok((canonical(host), String::new())),
        Some(rest) => rest.strip_prefix(':').ok_or(NO_HOST)?,
        None => return Err(NO_HOST),
    };
    let port: u16 = port.parse().map_err(|_| NO_HOST)?;
    let own = matches!((scheme, port), ("https", 443) | ("http", 80));
    let port = if own {
        String::new()
    } else {
        format!(":{port}")
    };
    Ok((canonical(host), port))
}

/// An IPv6 literal in its shortest form (RFC 5952); a name as it is.
fn canonical(host: &str) -> String {
    let inside = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inside.map(str::parse::<Ipv6Addr>) {
        Some(Ok(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    }
}

/// A list of origins.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    any: bool,
    exact: HashSet<Box<str>>,
    below: Vec<(Box<str>, Box<str>)>,
}

impl Origins {
    /// A list of these.
    pub fn new(patterns: impl IntoIterator<Item = OriginPattern>) -> Self {
        let mut origins = Self::default();
        for pattern in patterns {
            match pattern {
                OriginPattern::Any => origins.any = true,
                OriginPattern::Exact(origin) => {
                    origins.exact.insert(origin);
                }
                OriginPattern::Below { before, after } => origins.below.push((before, after)),
            }
        }
        origins
    }

    /// Whether the list is `*`.
    pub const fn is_any(&self) -> bool {
        self.any
    }

    /// Whether a page of this origin is admitted.
    pub fn admit(&self, origin: &[u8]) -> bool {
        if self.any {
            return true;
        }
        let Ok(origin) = std::str::from_utf8(origin) else {
            return false;
        };
        let below = |(before, after): &(Box<str>, Box<str>)| {
            let rest = origin.strip_prefix(before.as_ref());
            rest.and_then(|rest| rest.strip_suffix(after.as_ref()))
                .is_some_and(|labels| {
                    is_labels(labels) && labels.len() + after.len() <= MAX_HOST_BYTES
                })
        };
        self.exact.contains(origin) || self.below.iter().any(below)
    }
}

/// Whether this is one label or more of a host name: what stands before a suffix must not hold a port,
/// user information or another host.
fn is_labels(text: &str) -> bool {
    let good =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    text.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(good))
}

#[cfg(test)]
mod tests;
