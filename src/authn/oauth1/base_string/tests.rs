use super::{normalized, uri};
use crate::authn::oauth1::SignatureMethod;
use crate::authn::oauth1::tests::sample::{Sample, rules};
use crate::verdict::Reason;

#[test]
fn writes_the_uri_as_rfc_5849_section_3_4_1_2_says() {
    for (url, expected) in [
        (
            "http://EXAMPLE.COM:80/r%20v/X?id=123",
            "http://example.com/r%20v/X",
        ),
        (
            "https://www.example.net:8080/?q=1",
            "https://www.example.net:8080/",
        ),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("http://example.com:/x", "http://example.com/x"),
        ("HTTP://example.com:80", "http://example.com/"),
        ("https://[2001:DB8::80]/x", "https://[2001:db8::80]/x"),
        ("http://[2001:db8::1]:80/x", "http://[2001:db8::1]/x"),
        ("http://[::80]/", "http://[::80]/"),
        (
            "https://example.com/a%2fb/%C3%A9/~x;y=1//z/../",
            "https://example.com/a%2fb/%C3%A9/~x;y=1//z/../",
        ),
    ] {
        let written = Sample::new("GET", url).with(uri);
        assert_eq!(String::from_utf8(written).unwrap(), expected, "{url}");
    }
}

#[test]
fn orders_encoded_names_and_then_values() {
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        String::from_utf8(normalized(&pairs)).unwrap()
    };
    // RFC 5849 section 3.4.1.3.2.
    let written = pairs(&[
        ("b5", "=%3D"),
        ("a3", "a"),
        ("c@", ""),
        ("a2", "r b"),
        ("oauth_signature", "never"),
        ("c2", ""),
        ("a3", "2 q"),
    ]);
    assert_eq!(written, "a2=r%20b&a3=2%20q&a3=a&b5=%3D%253D&c%40=&c2=");
    // A name that is the beginning of another comes first, whatever follows it: the order is by name.
    assert_eq!(
        pairs(&[("a-", "1"), ("a", "2"), ("a%", "3")]),
        "a=2&a%25=3&a-=1"
    );
    assert_eq!(pairs(&[("", "x"), ("", "")]), "=&=x");
    assert_eq!(
        pairs(&[("x", "\u{e9}"), ("x", "~"), ("x", "A"), ("x", "a")]),
        "x=%C3%A9&x=A&x=a&x=~"
    );
    assert_eq!(pairs(&[]), "");
}

#[test]
fn refuses_a_method_in_lower_case() {
    let good =
        Sample::new("PATCH", "https://api.example.com/").signed(SignatureMethod::HmacSha1, false);
    good.verify(&rules()).unwrap();
    for method in ["patch", "Patch", "PATCh"] {
        let mut other = good.clone();
        other.method = method.to_owned();
        let refusal = other.read().unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureComponentRefused);
    }
}
