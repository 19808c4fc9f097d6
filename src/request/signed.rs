//! A request as its signer saw it.

use std::borrow::Cow;

use bytes::Bytes;

use crate::headers::Headers;
use crate::request::Request;
use crate::request::body::Body;
use crate::request::host::Host;

/// The address that clients call, where it is another than Envoy sees: `external_url` of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalUrl {
    /// `https` or `http`.
    pub scheme: Box<str>,
    /// The host in lower case, with its port where that is not the scheme's own.
    pub authority: Box<str>,
    /// What clients put before the path that Envoy sees; empty, or with a leading and without a trailing
    /// slash.
    pub prefix: Box<str>,
}

impl ExternalUrl {
    /// Reads `https://api.example.com/v1`: a scheme, an authority, and what stands before all paths.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
        let default_port = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => return Err("is neither `https://` nor `http://`"),
        };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at).ok_or("cannot be read")?;
        if authority.contains('@') {
            return Err("holds a user name");
        }
        let host = Host::parse(&Bytes::copy_from_slice(authority.as_bytes()));
        if host.is_err() {
            return Err("has no readable host");
        }
        if path.contains(['?', '#']) {
            return Err("holds a query or a fragment");
        }
        let prefix = path.trim_end_matches('/');
        let good = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>^`{|}".contains(&byte);
        if !prefix.bytes().all(good) {
            return Err("has a path with characters that belong percent-encoded");
        }
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
        Ok(Self {
            scheme: scheme.into(),
            authority: authority.into(),
            prefix: prefix.into(),
        })
    }
}

/// The parts of a request that signatures cover, as they were sent: nothing is decoded, nothing put in
/// order.
pub struct AsSigned<'a> {
    /// The method.
    pub method: &'a str,
    /// `https` or `http`, in lower case.
    pub scheme: Cow<'a, str>,
    /// Host and port as sent, in whatever case; or those of `external_url`.
    pub authority: Cow<'a, str>,
    /// The path, undecoded.
    pub path: Cow<'a, [u8]>,
    /// The query, undecoded, without its `?`. `Some` and empty where nothing follows the `?`.
    pub query: Option<&'a [u8]>,
    /// The headers. Envoy joins lines of one name by a comma without a space, unless it has
    /// `encode_raw_headers`.
    pub headers: &'a Headers,
    /// The body.
    pub body: Body,
}

impl<'a> AsSigned<'a> {
    /// How `request` looked to who signed it.
    pub fn of(request: &'a Request, external: Option<&'a ExternalUrl>) -> Self {
        let raw = request.raw();
        let path: &Bytes = request.target().path();
        let (scheme, authority, path) = match external {
            Some(external) => (
                Cow::Borrowed(external.scheme.as_ref()),
                Cow::Borrowed(external.authority.as_ref()),
                match external.prefix.as_bytes() {
                    [] => Cow::Borrowed(path.as_ref()),
                    prefix => Cow::Owned([prefix, path.as_ref()].concat()),
                },
            ),
            None => (
                Cow::Owned(String::from_utf8_lossy(&raw.scheme).to_ascii_lowercase()),
                // `Request::read` took it for a host, so it is ASCII.
                String::from_utf8_lossy(&raw.host),
                Cow::Borrowed(path.as_ref()),
            ),
        };
        Self {
            method: request.method().as_str(),
            scheme,
            authority,
            path,
            query: request.target().query().map(AsRef::as_ref),
            headers: request.headers(),
            body: request.body(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AsSigned, ExternalUrl};
    use crate::request::raw::RawCheck;
    use crate::request::{Reading, Request};
    use bytes::Bytes;

    #[test]
    fn reads_the_address_that_clients_call() {
        for (text, expected) in [
            (
                "https://api.example.com",
                Ok(("https", "api.example.com", "")),
            ),
            (
                "https://API.example.com:443/",
                Ok(("https", "api.example.com", "")),
            ),
            (
                "http://api.example.com:80/v1/",
                Ok(("http", "api.example.com", "/v1")),
            ),
            (
                "https://api.example.com:8443/a/b",
                Ok(("https", "api.example.com:8443", "/a/b")),
            ),
            ("api.example.com", Err("has no scheme")),
            (
                "ftp://api.example.com",
                Err("is neither `https://` nor `http://`"),
            ),
            (
                "HTTPS://api.example.com",
                Err("is neither `https://` nor `http://`"),
            ),
            ("https://me@api.example.com", Err("holds a user name")),
            ("https://", Err("has no readable host")),
            ("https:///v1", Err("has no readable host")),
            ("https://a,b", Err("has no readable host")),
            ("https://a/v1?x", Err("holds a query or a fragment")),
            ("https://a?x", Err("holds a query or a fragment")),
            (
                "https://a/v 1",
                Err("has a path with characters that belong percent-encoded"),
            ),
        ] {
            let read = ExternalUrl::parse(text);
            let read = read
                .as_ref()
                .map(|url| (&*url.scheme, &*url.authority, &*url.prefix));
            assert_eq!(read, expected.as_ref().map(|url| *url), "{text}");
        }
    }

    #[test]
    fn a_request_looks_as_its_signer_saw_it() {
        let raw = RawCheck {
            method: Bytes::from_static(b"GET"),
            scheme: Bytes::from_static(b"HTTP"),
            host: Bytes::from_static(b"In.side:8080"),
            path: Bytes::from_static(b"/orders%20x?a=b"),
            ..RawCheck::default()
        };
        let request = Request::read(raw, &Reading::default()).unwrap();
        let plain = AsSigned::of(&request, None);
        let seen = (&*plain.scheme, &*plain.authority, &*plain.path, plain.query);
        assert_eq!(
            seen,
            (
                "http",
                "In.side:8080",
                &b"/orders%20x"[..],
                Some(&b"a=b"[..])
            )
        );
        let external = ExternalUrl::parse("https://api.example.com/v1").unwrap();
        let public = AsSigned::of(&request, Some(&external));
        let seen = (
            &*public.scheme,
            &*public.authority,
            &*public.path,
            public.query,
        );
        assert_eq!(
            seen,
            (
                "https",
                "api.example.com",
                &b"/v1/orders%20x"[..],
                Some(&b"a=b"[..])
            )
        );
    }
}
