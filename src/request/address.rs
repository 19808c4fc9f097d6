//! Where a request came from: the connection's own address, or what trusted proxies say of it.

use std::net::{IpAddr, SocketAddr};

use crate::request::raw::RawCheck;

/// The most elements of `X-Forwarded-For` that are looked at, from the right.
const MAX_ELEMENTS: usize = 32;

/// Whose word counts on where requests come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrustedHops {
    /// How many proxies in front of Envoy are believed.
    pub count: usize,
    /// Whether Envoy appends the address of its connection to `X-Forwarded-For` before it asks, as it does
    /// with `use_remote_address` and without `skip_xff_append`. A check does not say. `None`: a last element that
    /// is the connection's own address is taken for Envoy's.
    pub envoy_appends: Option<bool>,
}

/// The client's address, in its shortest form (an IPv4 address mapped into IPv6 is an IPv4 address).
///
/// With no trusted hops it is the address of the connection that Envoy accepted, and `X-Forwarded-For`
/// is not looked at. With proxies in front of Envoy it is the element of `X-Forwarded-For` that the
/// outermost of them added: as many from the right, not counting the one that Envoy itself appends. Where
/// there are fewer elements, the request did not come through those proxies, and the connection's own
/// address counts, as in Envoy (`xff_num_trusted_hops`).
///
/// `None` where that element, or the connection's address, is no IP address; and where the last element
/// contradicts what is said of Envoy: one further to the left would be the client's own word, one further to the
/// right a proxy's address for every client.
pub fn of(raw: &RawCheck, trusted: TrustedHops) -> Option<IpAddr> {
    let connection = read(&raw.source.address);
    let Some(before_outermost) = trusted.count.checked_sub(1) else {
        return connection;
    };
    let lines: Vec<&[u8]> = raw.headers.all("x-forwarded-for").collect();
    let mut elements = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
        .take(MAX_ELEMENTS)
        .peekable();
    // Of a pipe Envoy appends nothing, and of a loopback connection an address of its own machine.
    let own = |element: &&[u8]| connection.is_some() && read(element) == connection;
    match (connection, trusted.envoy_appends) {
        (Some(_), None) => drop(elements.next_if(own)),
        (Some(address), Some(appends)) if !address.is_loopback() => {
            if elements.peek().is_some_and(own) != appends {
                return None;
            }
            elements.next_if(|_| appends);
        }
        (Some(_), Some(true)) => drop(elements.next()?),
        (Some(_), Some(false)) | (None, _) => {}
    }
    match elements.nth(before_outermost) {
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
    use super::{TrustedHops, of};
    use crate::test_support::raw;
    use bytes::Bytes;
    use std::net::IpAddr;

    /// The client's address by a connection's and an `X-Forwarded-For`.
    fn client(connection: &str, forwarded: Option<&str>, trusted: TrustedHops) -> Option<IpAddr> {
        let lines: Vec<(&str, &str)> = forwarded
            .iter()
            .map(|value| ("x-forwarded-for", *value))
            .collect();
        let mut check = raw("GET", "/", &lines);
        check.source.address = Bytes::copy_from_slice(connection.as_bytes());
        of(&check, trusted)
    }

    #[test]
    fn takes_the_element_that_the_outermost_trusted_proxy_added() {
        for (connection, forwarded, count, expected) in [
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
            // Fewer than expected: the request did not come that way.
            ("198.51.100.9", None, 1, Some("198.51.100.9")),
            ("198.51.100.9", Some("203.0.113.7"), 2, Some("198.51.100.9")),
            // Two proxies and Envoy on one machine.
            (
                "127.0.0.1",
                Some("1.2.3.4, 203.0.113.7, 127.0.0.1"),
                2,
                Some("203.0.113.7"),
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
            let trusted = TrustedHops {
                count,
                envoy_appends: Some(false),
            };
            let expected = expected.map(|client| client.parse().unwrap());
            let client = client(connection, forwarded, trusted);
            assert_eq!(client, expected, "{connection} {forwarded:?} {count}");
        }
    }

    #[test]
    fn what_envoy_appends_itself_is_not_counted() {
        for (connection, forwarded, count, expected) in [
            (
                "10.0.0.1",
                Some("1.2.3.4, 203.0.113.7, 10.0.0.1"),
                1,
                Some("203.0.113.7"),
            ),
            (
                "::ffff:10.0.0.1",
                Some("203.0.113.7, 10.0.0.1"),
                1,
                Some("203.0.113.7"),
            ),
            // The proxy saw its caller under its own address, and the caller wrote the rest.
            (
                "10.0.0.1",
                Some("1.2.3.4, 10.0.0.1, 10.0.0.1"),
                1,
                Some("10.0.0.1"),
            ),
            ("10.0.0.1", Some("10.0.0.1"), 1, Some("10.0.0.1")),
            (
                "10.0.0.1",
                Some("203.0.113.7, 10.0.0.1"),
                2,
                Some("10.0.0.1"),
            ),
            // Of a loopback connection it appends the address of its own machine.
            (
                "127.0.0.1",
                Some("1.2.3.4, 203.0.113.7, 192.0.2.2"),
                1,
                Some("203.0.113.7"),
            ),
            ("::1", Some("192.0.2.2"), 1, Some("::1")),
            // Of a pipe nothing.
            ("", Some("1.2.3.4, 203.0.113.7"), 1, Some("203.0.113.7")),
            // With no trusted hops it makes no difference.
            ("10.0.0.1", Some("1.2.3.4"), 0, Some("10.0.0.1")),
        ] {
            let trusted = TrustedHops {
                count,
                envoy_appends: Some(true),
            };
            let expected = expected.map(|client| client.parse().unwrap());
            let client = client(connection, forwarded, trusted);
            assert_eq!(client, expected, "{connection} {forwarded:?} {count}");
        }
    }

    /// Else the client's own word would count, or a proxy's address for every client.
    #[test]
    fn nothing_is_known_where_envoy_does_otherwise_than_is_said() {
        for (connection, forwarded, envoy_appends) in [
            ("10.0.0.1", Some("1.2.3.4, 203.0.113.7"), true),
            ("10.0.0.1", None, true),
            ("127.0.0.1", None, true),
            ("10.0.0.1", Some("203.0.113.7, 10.0.0.1"), false),
            // Either the proxy saw its caller under its own address, or Envoy appends.
            ("10.0.0.1", Some("1.2.3.4, 10.0.0.1"), false),
            ("10.0.0.1", Some("10.0.0.1"), false),
            ("10.0.0.1", Some("1.2.3.4, 10.0.0.1:4711, "), false),
        ] {
            for count in 1..3 {
                let trusted = TrustedHops {
                    count,
                    envoy_appends: Some(envoy_appends),
                };
                let client = client(connection, forwarded, trusted);
                assert_eq!(client, None, "{connection} {forwarded:?} {trusted:?}");
            }
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
        let trusted = |count| TrustedHops {
            count,
            envoy_appends: Some(false),
        };
        assert_eq!(of(&check, trusted(1)), "203.0.113.7".parse().ok());
        assert_eq!(of(&check, trusted(2)), "1.2.3.4".parse().ok());
    }

    #[test]
    fn where_nothing_is_said_the_connections_own_address_at_the_end_is_envoys() {
        let trusted = TrustedHops {
            count: 1,
            envoy_appends: None,
        };
        for (connection, forwarded, expected) in [
            ("10.0.0.1", "203.0.113.7, 10.0.0.1", "203.0.113.7"),
            ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),
            ("127.0.0.1", "203.0.113.7, 127.0.0.1", "203.0.113.7"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ] {
            let client = client(connection, Some(forwarded), trusted);
            assert_eq!(client, expected.parse().ok(), "{connection} {forwarded}");
        }
    }
}
