use super::{Algorithm, BadCustom, BadTemplate, Custom, Encoding, TimeFormat, TimePlace, Written};
use crate::authn::signature::Freshness;
use crate::authn::webhook::sign::sign;
use crate::authn::webhook::{Rules, Scheme, verify};
use crate::clock::Timestamp;
use crate::headers::Headers;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::Reason;

const NOW: i64 = 1_796_126_400;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn written(change: impl FnOnce(&mut Written)) -> Written {
    let mut written = Written::over_body("x-signature");
    change(&mut written);
    written
}

fn custom(change: impl FnOnce(&mut Written)) -> Custom {
    Custom::new(written(change)).unwrap()
}

fn rules(custom: &Custom) -> Rules {
    let freshness = Freshness {
        max_age: std::time::Duration::from_secs(300),
        clock_skew: std::time::Duration::from_secs(30),
    };
    let scheme = Scheme::Custom(Box::new(custom.clone()));
    Rules::new(scheme, &[Secret::new(SECRET.into())], freshness).unwrap()
}

fn with_message<T>(
    headers: &[(&str, &str)],
    body: &str,
    then: impl FnOnce(&AsSigned<'_>) -> T,
) -> T {
    let headers = Headers::new(headers.iter().copied());
    then(&AsSigned {
        method: "POST",
        scheme: "https".into(),
        authority: "api.example.com".into(),
        path: b"/hooks".as_slice().into(),
        query: Some(b"a=b"),
        headers: &headers,
        body: Body::Whole(bytes::Bytes::copy_from_slice(body.as_bytes())),
    })
}

fn judge(custom: &Custom, headers: &[(&str, &str)], body: &str) -> Option<Reason> {
    let rules = rules(custom);
    let now = Timestamp::from_seconds(NOW);
    let result = with_message(headers, body, |message| verify(message, &rules, now));
    result.err().map(|refusal| refusal.reason)
}

fn signed(custom: &Custom, headers: &[(&str, &str)], body: &str) -> Vec<(String, String)> {
    let scheme = Scheme::Custom(Box::new(custom.clone()));
    let secret = Secret::new(SECRET.into());
    // Half a second later, which no format may take for the next second.
    let now = Timestamp::from_micros(NOW * 1_000_000 + 500_000);
    let signed = with_message(headers, body, |message| {
        sign(message, &scheme, &secret, now, "msg_1")
    });
    let own = headers.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    own.chain(signed.unwrap().headers).collect()
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[test]
fn describes_what_services_really_send() {
    let time = |name: &str, format| Some((TimePlace::Header(name.into()), format));
    let descriptions = [
        // Slack's, as Zoom has it under names of its own.
        custom(|w| {
            w.prefix = "v0=".into();
            w.template = "v0:{timestamp}:{body}".into();
            w.timestamp = time("x-zm-request-timestamp", TimeFormat::Seconds);
        }),
        // Paddle.
        custom(|w| {
            w.element = Some("h1".into());
            w.separator = ';';
            w.template = "{timestamp}:{body}".into();
            w.timestamp = Some((TimePlace::Element("ts".into()), TimeFormat::Seconds));
        }),
        // HubSpot, third version.
        custom(|w| {
            w.encoding = Encoding::Base64;
            w.template = "{method}{url}{body}{timestamp}".into();
            w.timestamp = time("x-hubspot-request-timestamp", TimeFormat::Milliseconds);
        }),
        // Square.
        custom(|w| {
            w.encoding = Encoding::Base64;
            w.template = "{url}{body}".into();
        }),
        custom(|w| {
            w.algorithm = Algorithm::HmacSha512;
            w.template = "{id}\n{timestamp}\n{header:x-event}\n{path}\n{query}\n{body}".into();
            w.id = Some("x-id".into());
            w.timestamp = time("x-time", TimeFormat::Rfc3339);
        }),
        custom(|w| w.algorithm = Algorithm::HmacSha384),
        custom(|w| {
            w.algorithm = Algorithm::HmacSha1;
            w.prefix = "sha1=".into();
        }),
    ];
    for custom in descriptions {
        let headers = signed(&custom, &[("x-event", "paid")], "{\"a\": 1}");
        let headers = borrowed(&headers);
        assert_eq!(judge(&custom, &headers, "{\"a\": 1}"), None, "{headers:?}");
        assert_eq!(
            judge(&custom, &headers, "{\"a\": 2}"),
            Some(Reason::SignatureMismatch)
        );
    }
}

#[test]
fn agrees_with_the_service_it_describes() {
    // Made by the packages of Stripe and Slack for Python, and sent under other names.
    let stripe = custom(|w| {
        w.element = Some("v1".into());
        w.template = "{timestamp}.{body}".into();
        w.timestamp = Some((TimePlace::Element("t".into()), TimeFormat::Seconds));
    });
    let slack = custom(|w| {
        w.prefix = "v0=".into();
        w.template = "v0:{timestamp}:{body}".into();
        w.timestamp = Some((TimePlace::Header("x-time".into()), TimeFormat::Seconds));
    });
    let signature = STRIPE_PACKAGE;
    assert_eq!(judge(&stripe, &[("x-signature", signature)], "{}"), None);
    let headers = [("x-signature", SLACK_PACKAGE), ("x-time", "1796126400")];
    assert_eq!(judge(&slack, &headers, "{}"), None);
}

const STRIPE_PACKAGE: &str =
    "t=1796126400,v1=af3ecb6ed095d7ba9d9629295ade739ffaaca9709d3aa15498495e3f88f5ff45";
const SLACK_PACKAGE: &str = "v0=726e06ca2bc9a5572d44df215bfd0fc8432efaf5b10137c61d96f1cbe52f0ac3";

#[test]
fn reads_elements_strictly() {
    let custom = custom(|w| {
        w.element = Some("v1".into());
        w.template = "{timestamp}.{body}".into();
        w.timestamp = Some((TimePlace::Element("t".into()), TimeFormat::Seconds));
    });
    let headers = signed(&custom, &[], "{}");
    let value = &headers[0].1;
    let (time, tag) = value.split_once(',').unwrap();
    let zeros = format!("v1={}", "0".repeat(64));
    let many = format!(",{zeros}").repeat(8);
    for (value, reason) in [
        (format!("{time},{tag}"), None),
        (format!("{time}, {tag}"), None),
        (format!("{tag},{time},other=1"), None),
        (format!("{time},{zeros},{tag}"), None),
        (
            format!("{time},{tag}{many}"),
            Some(Reason::SignatureMalformed),
        ),
        (
            format!("{time},{time},{tag}"),
            Some(Reason::SignatureMalformed),
        ),
        (tag.to_owned(), Some(Reason::SignatureMalformed)),
        (time.to_owned(), Some(Reason::SignatureMalformed)),
        (format!("t=,{tag}"), Some(Reason::SignatureMalformed)),
        (format!("{time},{tag},"), Some(Reason::SignatureMalformed)),
        (format!("{time},{tag},v1"), Some(Reason::SignatureMalformed)),
        (format!("{time};{tag}"), Some(Reason::SignatureMalformed)),
        (format!("{time},{zeros}"), Some(Reason::SignatureMismatch)),
    ] {
        assert_eq!(
            judge(&custom, &[("x-signature", &value)], "{}"),
            reason,
            "{value}"
        );
    }
}

#[test]
fn reads_times_in_their_one_format() {
    for (format, good, bad) in [
        (
            TimeFormat::Seconds,
            vec!["1796126400"],
            vec!["1796126400000", "2026-12-01T12:00:00Z", "x", "-1"],
        ),
        (
            TimeFormat::Milliseconds,
            vec!["1796126400000", "1796126400999"],
            vec!["01796126400000", "2026-12-01T12:00:00Z", "1796126400.0"],
        ),
        (
            TimeFormat::Rfc3339,
            vec![
                "2026-12-01T12:00:00Z",
                "2026-12-01T12:00:00.123456789Z",
                "2026-12-01T14:00:00+02:00",
            ],
            vec![
                "1796126400",
                "2026-12-01",
                "2026-12-01 12:00:00Z",
                "2026-12-01T12:00:00",
                "2026-13-01T12:00:00Z",
                "2026-12-01T12:00:00.0000000000000000000000Z",
                "",
            ],
        ),
    ] {
        let custom = custom(|w| {
            w.template = "{timestamp}.{body}".into();
            w.timestamp = Some((TimePlace::Header("x-time".into()), format));
        });
        let tag = "0".repeat(64);
        let judge = |time| judge(&custom, &[("x-signature", &tag), ("x-time", time)], "{}");
        for time in good {
            let reason = judge(time);
            // Dots end a time here.
            let dotted = time
                .contains('.')
                .then_some(Reason::SignatureComponentRefused);
            assert_eq!(reason, dotted.or(Some(Reason::SignatureMismatch)), "{time}");
        }
        for time in bad {
            assert_eq!(judge(time), Some(Reason::SignatureMalformed), "{time}");
        }
    }
}

#[test]
fn refuses_a_value_that_holds_the_mark_after_it() {
    let custom = custom(|w| {
        w.template = "{id}.{header:x-event}.{body}.{header:x-last}".into();
        w.id = Some("x-id".into());
    });
    let tag = "0".repeat(64);
    for (id, event, last, reason) in [
        ("a", "b", "c", Reason::SignatureMismatch),
        ("a", "", "c", Reason::SignatureMismatch),
        ("a.b", "c", "d", Reason::SignatureComponentRefused),
        ("a", "b.c", "d", Reason::SignatureComponentRefused),
        ("a", "b", "c.d", Reason::SignatureComponentRefused),
        ("a", "b.", "c", Reason::SignatureComponentRefused),
        ("a", "b", ".c", Reason::SignatureComponentRefused),
    ] {
        let headers = [
            ("x-signature", tag.as_str()),
            ("x-id", id),
            ("x-event", event),
            ("x-last", last),
        ];
        assert_eq!(judge(&custom, &headers, "..{}.."), Some(reason));
    }
    let headers = [
        ("x-signature", tag.as_str()),
        ("x-id", "a"),
        ("x-event", "b"),
    ];
    assert_eq!(
        judge(&custom, &headers, "{}"),
        Some(Reason::SignatureComponentRefused)
    );
    let twice = [&headers[..], &[("x-last", "c"), ("x-last", "c")]].concat();
    assert_eq!(
        judge(&custom, &twice, "{}"),
        Some(Reason::SignatureComponentRefused)
    );
}

#[test]
fn an_address_may_hold_a_mark_before_its_path() {
    for template in ["{url}:{body}", "{body}:{url}"] {
        let custom = custom(|w| w.template = template.into());
        let headers = signed(&custom, &[], "{}");
        assert_eq!(judge(&custom, &borrowed(&headers), "{}"), None);
    }
    let custom = custom(|w| w.template = "{url}/{body}".into());
    assert_eq!(
        judge(&custom, &[("x-signature", &"0".repeat(64))], "{}"),
        Some(Reason::SignatureComponentRefused)
    );
}

#[test]
fn notes_where_a_border_can_be_moved() {
    assert!(custom(|_| {}).notes().is_empty());
    assert!(
        custom(|w| w.template = "{url}\n{body}".into())
            .notes()
            .is_empty()
    );
    let notes = custom(|w| w.template = "{method}{url}{body}".into()).notes();
    assert_eq!(notes.len(), 2);
    assert!(notes[1].contains("`{url}` and `{body}`"), "{notes:?}");
}

#[test]
fn refuses_descriptions_that_make_no_sense() {
    let time = |name: &str| Some((TimePlace::Header(name.into()), TimeFormat::Seconds));
    let element = |name: &str| Some((TimePlace::Element(name.into()), TimeFormat::Seconds));
    type Change<'a> = Box<dyn FnOnce(&mut Written) + 'a>;
    let cases: Vec<(Change<'_>, &str)> = vec![
        (
            Box::new(|w| w.header = String::new()),
            "not the name of a header",
        ),
        (Box::new(|w| w.header = "X-Signature".into()), "lower case"),
        (
            Box::new(|w| w.header = ":path".into()),
            "not the name of a header",
        ),
        (Box::new(|w| w.header = "host".into()), "{url}"),
        (
            Box::new(|w| w.template = "{header:host}{body}".into()),
            "{url}",
        ),
        (
            Box::new(|w| w.template = "{header:}{body}".into()),
            "not the name of a header",
        ),
        (
            Box::new(|w| w.template = "{header:X-Signature}{body}".into()),
            "can't hold the signature and be signed by it",
        ),
        (
            Box::new(|w| w.template = "{timestamp}{body}".into()),
            "add `timestamp",
        ),
        (
            Box::new(|w| w.timestamp = time("x-time")),
            "put in the time of day",
        ),
        (Box::new(|w| w.template = "{id}{body}".into()), "add `id"),
        (
            Box::new(|w| w.id = Some("x-id".into())),
            "anybody could change it",
        ),
        (
            Box::new(|w| {
                w.template = "{timestamp}{body}".into();
                w.timestamp = time("x-signature");
            }),
            "can't hold the signature",
        ),
        (
            Box::new(|w| {
                w.template = "{timestamp}{body}".into();
                w.timestamp = element("t");
            }),
            "say `element",
        ),
        (
            Box::new(|w| {
                w.template = "{timestamp}{body}".into();
                w.timestamp = element("t");
                w.element = Some("t".into());
            }),
            "the key of the signature and of the timestamp",
        ),
        (
            Box::new(|w| w.element = Some("v1=".into())),
            "write what stands before",
        ),
        (
            Box::new(|w| w.element = Some(String::new())),
            "write what stands before",
        ),
        (Box::new(|w| w.prefix = "a b".into()), "white space"),
        (Box::new(|w| w.prefix = "a,b".into()), "separator"),
        (Box::new(|w| w.prefix = "a".repeat(65)), "64 bytes"),
        (
            Box::new(|w| {
                w.element = Some("v1".into());
                w.separator = 'x';
            }),
            "not by `x`",
        ),
        (Box::new(|w| w.template = String::new()), "no `{body}`"),
        (
            Box::new(|w| w.template = "{timestamp}".into()),
            "no `{body}`",
        ),
        (Box::new(|w| w.template = "{{body}}".into()), "no `{body}`"),
        (
            Box::new(|w| w.template = "{body}{body}".into()),
            "more than once",
        ),
        (
            Box::new(|w| w.template = "{Body}".into()),
            "stands for nothing; there are",
        ),
        (
            Box::new(|w| w.template = "{}{body}".into()),
            "stands for nothing",
        ),
        (Box::new(|w| w.template = "{body".into()), "never closed"),
        (Box::new(|w| w.template = "body}".into()), "closes nothing"),
        (
            Box::new(|w| w.template = "x".repeat(1_025)),
            "longer than 1024",
        ),
    ];
    for (change, text) in cases {
        let error = Custom::new(written(change)).unwrap_err().to_string();
        assert!(error.contains(text), "{error}: {text}");
    }
}

#[test]
fn an_unknown_placeholder_is_named() {
    let error = Custom::new(written(|w| w.template = "{boddy}".into())).unwrap_err();
    assert_eq!(
        error,
        BadCustom::Template(BadTemplate::Unknown("boddy".into()))
    );
    assert!(error.to_string().contains("`template` has `{boddy}`"));
}

#[test]
fn knows_its_algorithms_by_name() {
    for name in Algorithm::NAMES {
        assert!(Algorithm::from_name(name).is_some(), "{name}");
    }
    for bad in ["", "sha256", "HMAC-SHA256", "hmac-md5", "none"] {
        assert!(Algorithm::from_name(bad).is_none(), "{bad}");
    }
}
