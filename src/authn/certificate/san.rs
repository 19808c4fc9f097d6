//! The subject alternative names (RFC 5280 section 4.2.1.6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::authn::certificate::der::{Elements, SEQUENCE, only};

/// The most names of all kinds.
const MAX_NAMES: usize = 128;

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 2048;

/// The names that can be an identity; the kinds that no policy can name (other names, directory names and
/// the rest) are left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AlternativeNames {
    pub(crate) uris: Vec<Box<str>>,
    pub(crate) dns_names: Vec<Box<str>>,
    pub(crate) emails: Vec<Box<str>>,
    pub(crate) ips: Vec<IpAddr>,
}

/// Reads the extension's value.
///
/// # Errors
/// What about it is odd. A NUL is no end of a name here, nor is it part of one: it refuses the certificate.
pub(crate) fn read(value: &[u8]) -> Result<AlternativeNames, &'static str> {
    const BROKEN: &str = "the subject alternative names are no sequence of names";
    let mut names = AlternativeNames::default();
    let mut elements = Elements(only(value, SEQUENCE).ok_or(BROKEN)?);
    if elements.is_empty() {
        return Err("the subject alternative names are empty");
    }
    let mut count = 0;
    while !elements.is_empty() {
        let element = elements.next().ok_or(BROKEN)?;
        count += 1;
        if count > MAX_NAMES || element.content.len() > MAX_NAME_BYTES {
            return Err(
                "there are more than 128 alternative names, or one is longer than 2,048 bytes",
            );
        }
        match element.tag {
            0x81 => names.emails.push(email(element.content)?.into()),
            0x82 => names.dns_names.push(dns(element.content)?.into()),
            0x86 => names.uris.push(uri(element.content)?.into()),
            0x87 => names.ips.push(ip(element.content)?),
            // otherName, x400Address, directoryName, ediPartyName, registeredID
            0xa0 | 0xa3 | 0xa4 | 0xa5 | 0x88 => {}
            _ => return Err(BROKEN),
        }
    }
    Ok(names)
}

/// Visible ASCII.
fn visible(content: &[u8]) -> Option<&str> {
    let good = !content.is_empty() && content.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(content).ok().filter(|_| good)
}

fn uri(content: &[u8]) -> Result<&str, &'static str> {
    visible(content)
        .ok_or("a URI name is empty, or holds a NUL, a control character, a space or non-ASCII")
}

fn email(content: &[u8]) -> Result<&str, &'static str> {
    visible(content)
        .filter(|text| {
            text.split_once('@')
                .is_some_and(|(local, host)| !local.is_empty() && is_host(host, false))
        })
        .ok_or("an email name is no address of one `@` with a host name after it")
}

fn dns(content: &[u8]) -> Result<&str, &'static str> {
    visible(content)
        .filter(|text| is_host(text, true))
        .ok_or("a DNS name holds a NUL or a character that no host name has, or an empty label")
}

/// Labels of letters, digits, `-` and `_`; the first may be a `*`.
fn is_host(text: &str, star: bool) -> bool {
    let rest = text.strip_prefix("*.").filter(|_| star).unwrap_or(text);
    rest.len() <= 253
        && rest.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
}

fn ip(content: &[u8]) -> Result<IpAddr, &'static str> {
    if let Ok(octets) = <[u8; 4]>::try_from(content) {
        return Ok(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(content)
        .map(|octets| Ipv6Addr::from(octets).into())
        .map_err(|_| "an IP name has neither 4 nor 16 bytes")
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::authn::certificate::der::wrap;

    fn names(list: &[(u8, &[u8])]) -> Vec<u8> {
        let all = list
            .iter()
            .flat_map(|(tag, name)| wrap(*tag, name).unwrap());
        wrap(0x30, &all.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn reads_every_kind() {
        let read = read(&names(&[
            (0x86, b"spiffe://td/a"),
            (0x82, b"*.example.com"),
            (0x82, b"A-1_b.example"),
            (0x81, b"me@example.com"),
            (0x87, &[10, 0, 0, 1]),
            (0x87, &[0; 16]),
            (0xa0, &[6, 1, 42]),
        ]))
        .unwrap();
        assert_eq!(read.uris[..], ["spiffe://td/a".into()]);
        assert_eq!(read.dns_names.len(), 2);
        assert_eq!(read.emails[..], ["me@example.com".into()]);
        assert_eq!(
            read.ips,
            [
                "10.0.0.1".parse::<std::net::IpAddr>().unwrap(),
                "::".parse().unwrap()
            ]
        );
    }

    #[test]
    fn c1_refuses_nul_and_control_bytes_and_odd_names() {
        for (tag, name) in [
            (0x86, &b"spiffe://td/a\0.evil"[..]),
            (0x86, b"spiffe://td/a\n"),
            (0x86, b"spiffe://td/a b"),
            (0x86, b"spiffe://td/\xc3\xa9"),
            (0x86, b""),
            (0x82, b"good.example\0.evil.example"),
            (0x82, b"good.example\x01"),
            (0x82, b""),
            (0x82, b"a..b"),
            (0x82, b"a.b."),
            (0x82, b".a"),
            (0x82, b"a.*.b"),
            (0x82, b"a*.b"),
            (0x82, b"*"),
            (0x82, b"spiffe://td/admin"),
            (0x82, b"a,b"),
            (0x82, b"b\xfccher.example"),
            (0x81, b"me"),
            (0x81, b"@x"),
            (0x81, b"me@"),
            (0x81, b"me@a@b"),
            (0x81, b"me@x\0.y"),
            (0x87, &[1, 2, 3]),
            (0x87, &[0; 8]),
            (0x89, b"x"),
            (0xa6, b"spiffe://td/a"),
            (0x16, b"a"),
            (0x86, &[b'a'; 2049]),
        ] {
            assert!(read(&names(&[(tag, name)])).is_err(), "{tag:x} {name:?}");
        }
        assert!(read(&names(&[])).is_err());
        assert!(read(&names(&[(0x82, &b"a"[..]); 129])).is_err());
        let mut trailing = names(&[(0x82, b"a")]);
        trailing.push(0);
        assert!(read(&trailing).is_err());
    }
}
