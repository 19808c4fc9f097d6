//! The host a request is for, in the one form that policies are matched against.

use std::fmt;

use bytes::Bytes;

/// A host name or address literal: lower-case ASCII, no port, no trailing dot, no user info.
///
/// Source: RFC 9110 section 4.2.3 (case and port), RFC 3986 section 3.2.2 (literals). At most 253
/// bytes, which is what DNS can name (RFC 1035 section 3.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Host(Text);

#[derive(Clone, PartialEq, Eq)]
enum Text {
    /// The raw bytes were in canonical form but for what was cut off; checked to be ASCII.
    Shared(Bytes),
    Owned(Box<str>),
}

/// Why a `Host` or `:authority` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// No host at all.
    #[error("the request names no host")]
    Missing,
    /// More than 253 bytes.
    #[error("the host is longer than 253 bytes")]
    TooLong,
    /// `user@host` (RFC 9110 section 4.2.4).
    #[error("the host carries user information (an @)")]
    UserInfo,
    /// Two `Host` lines reach a check joined by a comma.
    #[error("more than one host was sent")]
    Several,
    /// A port that is no number up to 65535.
    #[error("the host's port is not a number up to 65535")]
    Port,
    /// A byte that no host name or address literal holds, or an empty label.
    #[error("the host holds a character or an empty label that no host name has")]
    Character,
}

impl Host {
    /// Reads the raw value of `:authority`.
    ///
    /// # Errors
    /// [`BadHost`] says what about it can be read in two ways, or in none.
    pub fn parse(raw: &Bytes) -> Result<Self, BadHost> {
        let all: &[u8] = raw;
        if all.is_empty() {
            return Err(BadHost::Missing);
        }
        if all.len() > 260 {
            return Err(BadHost::TooLong);
        }
        if all.contains(&b'@') {
            return Err(BadHost::UserInfo);
        }
        if all.contains(&b',') {
            return Err(BadHost::Several);
        }
        let end = if all.first() == Some(&b'[') {
            literal_end(all)?
        } else {
            name_end(all)?
        };
        let name = all.get(..end).unwrap_or_default();
        if name.is_empty() {
            return Err(BadHost::Missing);
        }
        if name.len() > 253 {
            return Err(BadHost::TooLong);
        }
        if name.iter().any(u8::is_ascii_uppercase) {
            let text = std::str::from_utf8(name).map_err(|_| BadHost::Character)?;
            return Ok(Self(Text::Owned(text.to_ascii_lowercase().into())));
        }
        Ok(Self(Text::Shared(raw.slice(..end))))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // Every byte was checked to be ASCII, so this never falls back.
            Text::Shared(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Text::Owned(text) => text,
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a host name ends, its port and one trailing dot left out.
fn name_end(all: &[u8]) -> Result<usize, BadHost> {
    let end = match all.iter().position(|&byte| byte == b':') {
        Some(colon) => {
            check_port(all.get(colon + 1..).unwrap_or_default())?;
            colon
        }
        None => all.len(),
    };
    let end = match all.get(..end) {
        Some([name @ .., b'.']) => name.len(),
        _ => end,
    };
    let mut label_empty = true;
    for &byte in all.get(..end).unwrap_or_default() {
        match byte {
            b'.' if label_empty => return Err(BadHost::Character),
            b'.' => label_empty = true,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => label_empty = false,
            _ => return Err(BadHost::Character),
        }
    }
    if label_empty && end > 0 {
        return Err(BadHost::Character);
    }
    Ok(end)
}

/// Where an IPv6 literal ends, its brackets included.
fn literal_end(all: &[u8]) -> Result<usize, BadHost> {
    let close = all
        .iter()
        .position(|&byte| byte == b']')
        .ok_or(BadHost::Character)?;
    match all.get(close + 1..).unwrap_or_default() {
        [] => {}
        [b':', port @ ..] => check_port(port)?,
        _ => return Err(BadHost::Character),
    }
    let inside = all
        .get(1..close)
        .and_then(|inside| std::str::from_utf8(inside).ok());
    match inside.map(str::parse::<std::net::Ipv6Addr>) {
        Some(Ok(_)) => Ok(close + 1),
        _ => Err(BadHost::Character),
    }
}

fn check_port(port: &[u8]) -> Result<(), BadHost> {
    let text = std::str::from_utf8(port).map_err(|_| BadHost::Port)?;
    // RFC 3986 section 3.2.3 allows an empty port: `host:`.
    if text.is_empty() || (text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok())
    {
        Ok(())
    } else {
        Err(BadHost::Port)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadHost, Host};
    use bytes::Bytes;

    fn parse(text: &'static str) -> Result<String, BadHost> {
        Host::parse(&Bytes::from_static(text.as_bytes())).map(|host| host.as_str().to_owned())
    }

    #[test]
    fn o1_o2_canonicalises() {
        for (raw, host) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.COM", "api.example.com"),
            ("api.example.com:443", "api.example.com"),
            ("api.example.com:", "api.example.com"),
            ("api.example.com.", "api.example.com"),
            ("api.example.com.:8443", "api.example.com"),
            ("localhost", "localhost"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:DB8::1]:8080", "[2001:db8::1]"),
            ("under_score.example", "under_score.example"),
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(host), "{raw}");
        }
    }

    #[test]
    fn o2_refuses_what_reads_in_two_ways() {
        for (raw, why) in [
            ("", BadHost::Missing),
            (":80", BadHost::Missing),
            (".", BadHost::Missing),
            ("user@api.example.com", BadHost::UserInfo),
            ("a.example,b.example", BadHost::Several),
            ("api.example.com..", BadHost::Character),
            (".example.com", BadHost::Character),
            ("a..example.com", BadHost::Character),
            ("api.example.com:80:80", BadHost::Port),
            ("api.example.com:99999", BadHost::Port),
            ("api.example.com:+80", BadHost::Port),
            ("api example.com", BadHost::Character),
            ("api.example.com/x", BadHost::Character),
            ("api.example.com#x", BadHost::Character),
            ("ex%61mple.com", BadHost::Character),
            ("bücher.example", BadHost::Character),
            ("*.example.com", BadHost::Character),
            ("[::1", BadHost::Character),
            ("[::1]x", BadHost::Character),
            ("[example]", BadHost::Character),
            ("::1", BadHost::Port),
        ] {
            assert_eq!(parse(raw), Err(why), "{raw}");
        }
        let long = Bytes::from("a.".repeat(127) + "example");
        assert_eq!(Host::parse(&long).err(), Some(BadHost::TooLong));
    }
}
