use bytes::Bytes;
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

use super::{BadPath, CanonicalPath, MAX_PATH_BYTES};

fn parse(raw: &str) -> Result<String, BadPath> {
    CanonicalPath::parse(&Bytes::copy_from_slice(raw.as_bytes())).map(|path| path.as_str().into())
}

#[test]
fn reads_what_has_one_meaning() {
    for (raw, path) in [
        ("/", "/"),
        ("/orders", "/orders"),
        ("/orders/", "/orders/"),
        ("/orders/42", "/orders/42"),
        ("/a%20b", "/a b"),
        ("/caf%C3%A9", "/café"),
        ("/100%25", "/100%"),
        ("/100%25x1", "/100%x1"),
        ("/%41dmin", "/Admin"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a..b/...", "/a..b/..."),
        ("/a+b", "/a+b"),
        ("/a:b@c,d=e&f", "/a:b@c,d=e&f"),
        ("/a%3Fb", "/a?b"),
        ("/a%23b", "/a#b"),
    ] {
        assert_eq!(parse(raw).as_deref(), Ok(path), "{raw}");
    }
}

#[test]
fn refuses_what_two_readers_read_apart() {
    use BadPath::{
        Backslash, BadEscape, Control, DotSegment, DoubleEncoding, EmptySegment, EncodedSlash,
        Fragment, NotAbsolute, NotUtf8, Parameters,
    };
    for (pitfall, raw, why) in [
        ("P1", "//admin/x", EmptySegment),
        ("P1", "//", EmptySegment),
        ("P3", "/public/../admin", DotSegment),
        ("P3", "/..", DotSegment),
        ("P3", "/./admin", DotSegment),
        ("P3", "/admin/.", DotSegment),
        ("P4", "/public/%2e%2e/admin", DotSegment),
        ("P4", "/public/.%2e/admin", DotSegment),
        ("P4", "/public/%2E./admin", DotSegment),
        ("P5", "/a%2fb", EncodedSlash),
        ("P5", "/a%2Fb", EncodedSlash),
        ("P6", "/a\\b", Backslash),
        ("P6", "/a%5cb", EncodedSlash),
        ("P6", "/a%5Cb", EncodedSlash),
        ("P7", "/a//b", EmptySegment),
        ("P7", "/a//", EmptySegment),
        ("P8", "/admin;x=y", Parameters),
        ("P8", "/..;/admin", Parameters),
        ("P8", "/admin%3Bx", Parameters),
        ("P9", "/a#b", Fragment),
        ("P11", "/%252e%252e/admin", DoubleEncoding),
        ("P11", "/%25%32%65/admin", DoubleEncoding),
        ("P11", "/%252%65", DoubleEncoding),
        ("P11", "/%zz", BadEscape),
        ("P11", "/%", BadEscape),
        ("P11", "/%4", BadEscape),
        ("P11", "/%00", Control),
        ("P11", "/%0a", Control),
        ("P11", "/%7f", Control),
        ("P11", "/a\u{1}", Control),
        ("P11", "/%c0%af", NotUtf8),
        ("P11", "/%ff", NotUtf8),
        ("P11", "/%ed%a0%80", NotUtf8),
        ("P11", "/café", NotUtf8),
        ("P11", "/a b", NotUtf8),
        ("P13", "orders.v1.OrderService/Get", NotAbsolute),
        ("P14", "", NotAbsolute),
        ("P15", "*", NotAbsolute),
        ("P15", "http://api.example.com/orders", NotAbsolute),
    ] {
        assert_eq!(parse(raw), Err(why), "{pitfall} {raw:?}");
    }
    assert_eq!(
        parse(&format!("/{}", "a".repeat(MAX_PATH_BYTES))),
        Err(BadPath::TooLong)
    );
    assert_eq!(parse(&"/a".repeat(257)), Err(BadPath::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is accepted, decoding it again or resolving dots in it changes nothing a matcher sees.
    #[test]
    fn an_accepted_path_has_no_second_reading(raw in "/[a-c./%2eEfF5;\\\\#]{0,24}") {
        if let Ok(path) = parse(&raw) {
            for segment in path.split('/').skip(1) {
                prop_assert!(segment != "." && segment != "..");
                prop_assert!(!segment.contains(['\\', ';']));
            }
            prop_assert!(!path.contains("//"));
            // A second decoding finds no escape.
            let again = path.as_bytes().windows(3).any(|w| {
                w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit()
            });
            prop_assert!(!again, "{raw} decodes to {path}");
        }
    }

    #[test]
    fn never_panics(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = CanonicalPath::parse(&Bytes::from(raw));
    }
}
