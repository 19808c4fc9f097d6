//! Where a request came from: the connection's own address, or what trusted proxies say of it.

use std::net::{IpAddr, SocketAddr};

use crate::request::raw::RawCheck;

/// The most elements of `X-Forwarded-For` that are looked at, from the right.
const MAX_ELEMENTS: usize = 32;

/// The client's address, in its shortest form (an IPv4 address mapped into IPv6 is an IPv4 address).
///
/// With no trusted hops it is the address of the connection that Envoy accepted, and `X-Forwarded-For`
/// is not looked at. With `trusted_hops` proxies in front of Envoy it is the element of
/// `X-Forwarded-For` that the outermost of them added: as many from the right, not counting a last one
/// that is the connection's own address, which Envoy adds itself where `use_remote_address` is on. Where
/// there are fewer elements, the request did not come through those proxies, and the connection's own
/// address counts, as in Envoy (`xff_num_trusted_hops`).
///
/// `None` where that element, or the connection's address, is no IP address.
pub fn of(raw: &RawCheck, trusted_hops: usize) -> Option<IpAddr> {
    let connection = read(&raw.source.address);
    if trusted_hops == 0 {
        return connection;
    }
    let lines: Vec<&[u8]> = raw.headers.all("x-forwarded-for").collect();
    let mut elements = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
        .take(MAX_ELEMENTS)
        .peekable();
    let own = |element: &&[u8]| connection.is_some() && read(element) == connection;
    elements.next_if(own);
    match elements.nth(trusted_hops - 1) {
        Some(element) => read(element),
        None => connection,
    }
}

/// An address, with or without a port, an IPv6 address with or without brackets.
fn read(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::test_support::raw;
    use bytes::Bytes;

    #[test]
    fn takes_the_element_that_the_outermost_trusted_proxy_added() {
        for (connection, forwarded, hops, client) in [
            ("198.51.100.9", None, 0, Some("198.51.100.9")),
            ("198.51.100.9", Some("203.0.113.7"), 0, Some("198.51.100.9")),
            ("10.0.0.1", Some("203.0.113.7"), 1, Some("203.0.113.7")),
            // What the client itself wrote stands further left.
            (
                "10.0.0.1",
                Some("1.2.3.4, 203.0.113.7"),
                1,
                Some("203.0.113.7"),
            ),
            (
                "10.0.0.1",
                Some("1.2.3.4, 203.0.113.7,10.0.0.2"),
                2,
                Some("203.0.113.7"),
            ),
            // Envoy adds the connection's own address where it is told to.
            (
                "10.0.0.1",
                Some("203.0.113.7, 10.0.0.1"),
                1,
                Some("203.0.113.7"),
            ),
            (
                "::ffff:10.0.0.1",
                Some("203.0.113.7, 10.0.0.1"),
                1,
                Some("203.0.113.7"),
            ),
            // Fewer than expected: the request did not come that way.
            ("198.51.100.9", None, 1, Some("198.51.100.9")),
            ("198.51.100.9", Some("203.0.113.7"), 2, Some("198.51.100.9")),
            (
                "198.51.100.9",
                Some("198.51.100.9"),
                1,
                Some("198.51.100.9"),
            ),
            // Ports and brackets, and what is no address at all.
            ("10.0.0.1", Some("203.0.113.7:4711"), 1, Some("203.0.113.7")),
            (
                "10.0.0.1",
                Some("[2001:db8::7]:4711"),
                1,
                Some("2001:db8::7"),
            ),
            ("10.0.0.1", Some("[2001:db8::7]"), 1, Some("2001:db8::7")),
            (
                "10.0.0.1",
                Some("::ffff:203.0.113.7"),
                1,
                Some("203.0.113.7"),
            ),
            ("10.0.0.1", Some("203.0.113.7, unknown"), 1, None),
            ("", None, 0, None),
            ("", Some("203.0.113.7"), 1, Some("203.0.113.7")),
            ("@pipe", Some("203.0.113.7"), 0, None),
        ] {
            let headers: Vec<(&str, &str)> = forwarded
                .iter()
                .map(|value| ("x-forwarded-for", *value))
                .collect();
            let mut check = raw("GET", "/", &headers);
            check.source.address = Bytes::copy_from_slice(connection.as_bytes());
            let client = client.map(|client| client.parse().unwrap());
            assert_eq!(
                of(&check, hops),
                client,
                "{connection} {forwarded:?} {hops}"
            );
        }
    }

    #[test]
    fn lines_of_one_name_are_one_list() {
        let lines = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "203.0.113.7"),
        ];
        let mut check = raw("GET", "/", &lines);
        check.source.address = Bytes::from_static(b"10.0.0.1");
        assert_eq!(of(&check, 1), "203.0.113.7".parse().ok());
        assert_eq!(of(&check, 2), "1.2.3.4".parse().ok());
    }
}
