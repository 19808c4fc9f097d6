use bytes::Bytes;
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

use super::{BadPath, CanonicalPath, MAX_PATH_BYTES, Relaxations};

fn parse(raw: &str) -> Result<String, BadPath> {
    parse_relaxed(raw, Relaxations::default())
}

fn parse_relaxed(raw: &str, relaxations: Relaxations) -> Result<String, BadPath> {
    CanonicalPath::parse(&Bytes::copy_from_slice(raw.as_bytes()), relaxations)
        .map(|path| path.as_str().into())
}

const ALL_RELAXED: Relaxations = Relaxations {
    empty_segments: true,
    matrix_parameters: true,
    encoded_slashes: true,
    trailing_slash: true,
};

#[test]
fn reads_what_an_operator_relaxed() {
    let strict = Relaxations::default();
    let empty = Relaxations {
        empty_segments: true,
        ..strict
    };
    let matrix = Relaxations {
        matrix_parameters: true,
        ..strict
    };
    let encoded = Relaxations {
        encoded_slashes: true,
        ..strict
    };
    let trailing = Relaxations {
        trailing_slash: true,
        ..strict
    };
    for (relaxations, raw, path, segments) in [
        (empty, "//a///b", "/a/b", vec!["a", "b"]),
        (empty, "/a//", "/a/", vec!["a", ""]),
        (empty, "//", "/", vec![""]),
        (matrix, "/a;x=1/b;y", "/a/b", vec!["a", "b"]),
        (matrix, "/a%20b;x=%C3%A9", "/a b", vec!["a b"]),
        (encoded, "/a%2Fb/c", "/a/b/c", vec!["a/b", "c"]),
        (encoded, "/a%2fb", "/a/b", vec!["a/b"]),
        (trailing, "/a/", "/a", vec!["a"]),
        (trailing, "/", "/", vec![""]),
        (ALL_RELAXED, "//a;x%2Fy//", "", vec![]),
        (ALL_RELAXED, "//a%2Fb;x//", "/a/b", vec!["a/b"]),
    ] {
        let raw_bytes = Bytes::copy_from_slice(raw.as_bytes());
        let read = CanonicalPath::parse(&raw_bytes, relaxations);
        if segments.is_empty() {
            assert_eq!(read.err(), Some(BadPath::EncodedSlash), "{raw}");
            continue;
        }
        let read = read.unwrap();
        assert_eq!(read.as_str(), path, "{raw}");
        assert_eq!(read.segments().collect::<Vec<_>>(), segments, "{raw}");
        assert!(parse(raw).is_err() || relaxations == trailing, "{raw}");
    }
}

#[test]
fn p3_p4_p5_relaxed_paths_hide_no_dot_segments() {
    use BadPath::{
        Backslash, Control, DotSegment, DoubleEncoding, EmptySegment, EncodedSlash, NotAbsolute,
        Parameters,
    };
    let only = |matrix_parameters, encoded_slashes| Relaxations {
        matrix_parameters,
        encoded_slashes,
        ..Relaxations::default()
    };
    for (relaxations, raw, why) in [
        (ALL_RELAXED, "/public/../admin", DotSegment),
        (ALL_RELAXED, "/public/%2e%2e;x/admin", DotSegment),
        (ALL_RELAXED, "/public/..;x=1/admin", DotSegment),
        (ALL_RELAXED, "/public/..%2Fadmin", DotSegment),
        (ALL_RELAXED, "/public/a%2F..%2Fadmin", DotSegment),
        (ALL_RELAXED, "/public%2F%2Fadmin", EmptySegment),
        (ALL_RELAXED, "/%2Fadmin", EmptySegment),
        (ALL_RELAXED, "/;x/admin", EmptySegment),
        (ALL_RELAXED, "/a%3Bx/admin", Parameters),
        (ALL_RELAXED, "/a%5Cb", EncodedSlash),
        (ALL_RELAXED, "/a\\b", Backslash),
        (ALL_RELAXED, "/a%252Fb", DoubleEncoding),
        (ALL_RELAXED, "/a;x=%00", Control),
        (ALL_RELAXED, "a/b", NotAbsolute),
        (only(true, false), "/a//b", EmptySegment),
        (only(true, false), "/a;x%2Fy", EncodedSlash),
        (only(false, true), "/a;x", Parameters),
        (only(false, true), "/a//b", EmptySegment),
    ] {
        assert_eq!(parse_relaxed(raw, relaxations), Err(why), "{raw}");
    }
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

    /// What is relaxed changes nothing about a path that makes no use of it.
    #[test]
    fn relaxed_points_change_no_other_path(raw in "/[a-c/%.;25eEfF]{0,12}") {
        if let Ok(strict) = parse(&raw)
            && !raw.ends_with('/')
        {
            assert_eq!(parse_relaxed(&raw, ALL_RELAXED).as_deref(), Ok(strict.as_str()), "{raw}");
        }
        if let Ok(relaxed) = parse_relaxed(&raw, ALL_RELAXED) {
            let dots = relaxed.split('/').any(|segment| matches!(segment, "." | ".."));
            prop_assert!(!dots, "{raw}");
        }
    }

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
        let _ = CanonicalPath::parse(&Bytes::from(raw), Relaxations::default());
    }
}
