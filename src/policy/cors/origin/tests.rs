//! Which origins a list admits.

use super::{OriginPattern, Origins};

const APP: &str = "https://app.example.com";

#[test]
fn an_origin_is_read_into_the_form_that_browsers_send() {
    for (written, sent) in [
        (APP, APP),
        ("HTTPS://App.Example.com", APP),
        ("https://app.example.com:443", APP),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://localhost:80", "https://localhost:80"),
        ("https://a.example:08443", "https://a.example:8443"),
        ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("capacitor://localhost", "capacitor://localhost"),
    ] {
        let pattern = OriginPattern::parse(written);
        assert_eq!(pattern, Ok(OriginPattern::Exact(sent.into())), "{written}");
    }
    assert_eq!(OriginPattern::parse("*"), Ok(OriginPattern::Any));
    assert_eq!(
        OriginPattern::parse("https://*.Example.com:8443"),
        Ok(OriginPattern::Below {
            before: "https://".into(),
            after: ".example.com:8443".into(),
        })
    );
}

#[test]
fn what_no_browser_sends_or_anybody_can_send_is_no_origin() {
    for written in [
        "",
        "null",
        "file://",
        "file://localhost",
        "app.example.com",
        "://app.example.com",
        "ht tp://a",
        "1http://a",
        "https:/app.example.com",
        "https://",
        "https://app.example.com/",
        "https://app.example.com/x",
        "https://app.example.com?x",
        "https://user@app.example.com",
        "https://app.example.com.",
        "https://app..example.com",
        "https://app.example.com:",
        "https://app.example.com:x",
        "https://app.example.com:70000",
        "https://app.example.com, https://b.example.com",
        "https://b\u{fc}cher.example",
        "https://*",
        "https://*.com",
        "https://*.[::1]",
        "https://a.*.example.com",
        "https://a*.example.com",
        "*://app.example.com",
        "*.example.com",
    ] {
        assert!(OriginPattern::parse(written).is_err(), "{written}");
    }
}

fn origins(written: &[&str]) -> Origins {
    Origins::new(
        written
            .iter()
            .map(|text| OriginPattern::parse(text).unwrap()),
    )
}

#[test]
fn o5_a_list_admits_what_it_says_and_nothing_like_it() {
    let list = origins(&[APP, "https://*.shop.example:8443", "http://localhost:3000"]);
    for (origin, admitted) in [
        (APP, true),
        ("https://a.shop.example:8443", true),
        ("https://a.b-2.shop.example:8443", true),
        ("http://localhost:3000", true),
        ("", false),
        ("null", false),
        ("*", false),
        ("none", false),
        ("https://APP.example.com", false),
        ("http://app.example.com", false),
        ("https://app.example.com:443", false),
        ("https://app.example.com/", false),
        ("https://app.example.com.evil.example", false),
        ("https://evilapp.example.com", false),
        ("https://app.example.com,https://evil.example", false),
        (" https://app.example.com", false),
        ("https://shop.example:8443", false),
        ("https://.shop.example:8443", false),
        ("https://a..shop.example:8443", false),
        ("https://A.shop.example:8443", false),
        ("https://a.shop.example", false),
        ("https://evil.example/.shop.example:8443", false),
        ("https://evil.example:1.shop.example:8443", false),
        ("https://evil@a.shop.example:8443", false),
        ("https://evil.example#.shop.example:8443", false),
        ("http://a.shop.example:8443", false),
        ("https://.a.shop.example:8443", false),
        ("http://localhost", false),
    ] {
        assert_eq!(list.admit(origin.as_bytes()), admitted, "{origin}");
    }
    assert!(!list.admit(b"https://\xff.shop.example:8443"));
    let long = format!("https://{}a.shop.example:8443", "a.".repeat(125));
    assert!(!list.admit(long.as_bytes()), "no name is so long");
    for origin in [APP, "null", "anything"] {
        assert!(origins(&["*"]).admit(origin.as_bytes()));
    }
}
