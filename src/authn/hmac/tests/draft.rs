use super::{NOW, Sent, rules};
use crate::authn::hmac::Dialect;
use crate::authn::hmac::key::Hash;
use crate::verdict::Reason;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const DATE: &str = "Tue, 01 Dec 2026 12:00:00 GMT";
const DIGEST: &str = "SHA-256=1OfRt3Cy2dIshvkrn9QgDytpa1P2kjLao38coAx0+ns=";

/// Signs over exactly these lines, as a client would that chooses for itself.
fn by_hand(mut sent: Sent, scheme: &str, parameters: &str, lines: &[&str]) -> Sent {
    let tag = super::key().sign(Hash::Sha256, lines.join("\n").as_bytes());
    let signature = STANDARD.encode(tag.as_ref());
    let credentials = format!("{scheme} {parameters},signature=\"{signature}\"");
    sent.set("authorization", &credentials);
    sent
}

fn post() -> Sent {
    let mut sent = Sent::example();
    sent.set("date", DATE);
    sent.set("digest", DIGEST);
    sent
}

fn get() -> Sent {
    Sent::new(
        "GET",
        "https://api.example.com/x?a=1",
        &[("date", DATE)],
        "",
    )
}

const POST_TARGET: &str = "(request-target): post /orders/7%2F8?b=2&a=%20&a=";
const GET_TARGET: &str = "(request-target): get /x?a=1";
const HOST: &str = "host: api.example.com";
const DATE_LINE: &str = "date: Tue, 01 Dec 2026 12:00:00 GMT";
const DIGEST_LINE: &str = "digest: SHA-256=1OfRt3Cy2dIshvkrn9QgDytpa1P2kjLao38coAx0+ns=";

#[test]
fn cavage_has_to_cover_target_host_time_and_body() {
    for (headers, lines, wanted) in [
        (
            "(request-target) host date digest",
            [POST_TARGET, HOST, DATE_LINE, DIGEST_LINE].as_slice(),
            None,
        ),
        ("date", &[DATE_LINE], Some(Reason::SignatureIncomplete)),
        (
            "host date digest",
            &[HOST, DATE_LINE, DIGEST_LINE],
            Some(Reason::SignatureIncomplete),
        ),
        (
            "(request-target) date digest",
            &[POST_TARGET, DATE_LINE, DIGEST_LINE],
            Some(Reason::SignatureIncomplete),
        ),
        (
            "(request-target) host digest",
            &[POST_TARGET, HOST, DIGEST_LINE],
            Some(Reason::SignatureIncomplete),
        ),
        (
            "(request-target) host date",
            &[POST_TARGET, HOST, DATE_LINE],
            Some(Reason::SignatureIncomplete),
        ),
    ] {
        let parameters =
            format!("keyId=\"acme-1\",algorithm=\"hmac-sha256\",headers=\"{headers}\"");
        let sent = by_hand(post(), "Signature", &parameters, lines);
        assert_eq!(sent.reason(&rules()), wanted, "{headers}");
    }
    let without_headers = by_hand(
        post(),
        "Signature",
        "keyId=\"acme-1\",algorithm=\"hmac-sha256\"",
        &[DATE_LINE],
    );
    assert_eq!(
        without_headers.reason(&rules()),
        Some(Reason::SignatureIncomplete)
    );
}

#[test]
fn kong_has_to_cover_the_first_line_host_time_and_body() {
    const LINE: &str = "POST /orders/7%2F8?b=2&a=%20&a= HTTP/1.1";
    for (headers, lines, wanted) in [
        (
            "date host request-line digest",
            [DATE_LINE, HOST, LINE, DIGEST_LINE].as_slice(),
            None,
        ),
        // In capitals, as they are listed.
        (
            "Date Host request-line Digest",
            &[
                "Date: Tue, 01 Dec 2026 12:00:00 GMT",
                "Host: api.example.com",
                LINE,
                &DIGEST_LINE.replace("digest:", "Digest:"),
            ],
            None,
        ),
        (
            "@request-target host date digest",
            &[
                "@request-target: post /orders/7%2F8?b=2&a=%20&a=",
                HOST,
                DATE_LINE,
                DIGEST_LINE,
            ],
            None,
        ),
        // A client that speaks HTTP/2 says so.
        (
            "host date digest request-line",
            &[HOST, DATE_LINE, DIGEST_LINE, &LINE.replace("1.1", "2.0")],
            None,
        ),
        (
            "host date digest request-line",
            &[
                HOST,
                DATE_LINE,
                DIGEST_LINE,
                &LINE.replace("HTTP/1.1", "SPDY/3"),
            ],
            Some(Reason::SignatureMismatch),
        ),
        // What Kong once took instead: the path alone.
        (
            "host date digest request-line",
            &[HOST, DATE_LINE, DIGEST_LINE, "POST /orders/7%2F8 HTTP/1.1"],
            Some(Reason::SignatureMismatch),
        ),
        (
            "date request-line digest",
            &[DATE_LINE, LINE, DIGEST_LINE],
            Some(Reason::SignatureIncomplete),
        ),
        (
            "date host digest",
            &[DATE_LINE, HOST, DIGEST_LINE],
            Some(Reason::SignatureIncomplete),
        ),
        (
            "host request-line digest",
            &[HOST, LINE, DIGEST_LINE],
            Some(Reason::SignatureIncomplete),
        ),
        (
            "date host request-line",
            &[DATE_LINE, HOST, LINE],
            Some(Reason::SignatureIncomplete),
        ),
        (
            "date host request-line digest (request-target)",
            &[DATE_LINE, HOST, LINE, DIGEST_LINE, POST_TARGET],
            Some(Reason::SignatureComponentRefused),
        ),
        // A header that is not there: Kong signs its bare name.
        (
            "date host request-line digest x-none",
            &[DATE_LINE, HOST, LINE, DIGEST_LINE, "x-none:"],
            Some(Reason::SignatureComponentRefused),
        ),
    ] {
        let parameters =
            format!("username=\"acme-1\", algorithm=\"hmac-sha256\", headers=\"{headers}\"");
        let sent = by_hand(post(), "hmac", &parameters, lines);
        assert_eq!(sent.reason(&rules()), wanted, "{headers}");
    }
}

/// A client's header named like a derived line must not take its place.
#[test]
fn kongs_request_line_is_never_a_header() {
    let mut sent = by_hand(
        get(),
        "hmac",
        "username=\"acme-1\", algorithm=\"hmac-sha256\", headers=\"date host request-line\"",
        &[DATE_LINE, HOST, "request-line: x"],
    );
    sent.set("request-line", "x");
    assert_eq!(sent.reason(&rules()), Some(Reason::SignatureMismatch));
}

#[test]
fn algorithms_are_hmac_with_sha_2_and_the_length_tells_hs2019() {
    let lines = [GET_TARGET, HOST, DATE_LINE].join("\n");
    let sign = |hash| STANDARD.encode(super::key().sign(hash, lines.as_bytes()).as_ref());
    for (algorithm, hash, wanted) in [
        ("algorithm=\"hmac-sha256\",", Hash::Sha256, None),
        ("algorithm=\"HMAC-SHA256\",", Hash::Sha256, None),
        ("algorithm=\"hmac-sha384\",", Hash::Sha384, None),
        ("algorithm=\"hmac-sha512\",", Hash::Sha512, None),
        ("algorithm=\"hs2019\",", Hash::Sha512, None),
        ("algorithm=\"hs2019\",", Hash::Sha256, None),
        ("", Hash::Sha512, None),
        (
            "algorithm=\"hmac-sha512\",",
            Hash::Sha256,
            Some(Reason::SignatureMalformed),
        ),
        (
            "algorithm=\"hmac-sha256\",",
            Hash::Sha512,
            Some(Reason::SignatureMalformed),
        ),
        (
            "algorithm=\"hmac-sha1\",",
            Hash::Sha256,
            Some(Reason::SignatureAlgorithmRefused),
        ),
        (
            "algorithm=\"rsa-sha256\",",
            Hash::Sha256,
            Some(Reason::SignatureAlgorithmRefused),
        ),
        (
            "algorithm=\"ed25519\",",
            Hash::Sha512,
            Some(Reason::SignatureAlgorithmRefused),
        ),
        (
            "algorithm=\"none\",",
            Hash::Sha256,
            Some(Reason::SignatureAlgorithmRefused),
        ),
    ] {
        let mut sent = get();
        let signature = sign(hash);
        sent.set(
            "authorization",
            &format!("Signature keyId=\"acme-1\",{algorithm}headers=\"(request-target) host date\",signature=\"{signature}\""),
        );
        assert_eq!(sent.reason(&rules()), wanted, "{algorithm} {hash:?}");
    }
    let mut sent = get();
    sent.set(
        "authorization",
        "hmac username=\"acme-1\",algorithm=\"hs2019\",headers=\"host\",signature=\"AAAA\"",
    );
    assert_eq!(sent.reason(&rules()), Some(Reason::SignatureMalformed));
}

#[test]
fn created_and_expires_are_judged_and_a_stated_end_shortens() {
    const END: &str = "(expires): 1796126410";
    for (parameters, headers, lines, later, wanted) in [
        (
            "created=1796126400",
            "(created) host (request-target)",
            ["(created): 1796126400", HOST, GET_TARGET].as_slice(),
            300,
            None,
        ),
        (
            "created=1796126400",
            "(created) host (request-target)",
            &["(created): 1796126400", HOST, GET_TARGET],
            301,
            Some(Reason::SignatureExpired),
        ),
        (
            "created=\"1796126400\"",
            "(created) host (request-target)",
            &["(created): 1796126400", HOST, GET_TARGET],
            0,
            None,
        ),
        (
            "created=1796126431",
            "(created) host (request-target)",
            &["(created): 1796126431", HOST, GET_TARGET],
            0,
            Some(Reason::SignatureNotYetValid),
        ),
        (
            "created=1796126401",
            "(created) host (request-target)",
            &["(created): 1796126400", HOST, GET_TARGET],
            0,
            Some(Reason::SignatureMismatch),
        ),
        (
            "expires=1796126410",
            "date host (request-target) (expires)",
            &[DATE_LINE, HOST, GET_TARGET, END],
            10,
            None,
        ),
        (
            "expires=1796126410",
            "date host (request-target) (expires)",
            &[DATE_LINE, HOST, GET_TARGET, END],
            11,
            Some(Reason::SignatureExpired),
        ),
        (
            "expires=1796126410.75",
            "date host (request-target) (expires)",
            &[DATE_LINE, HOST, GET_TARGET, "(expires): 1796126410.75"],
            10,
            None,
        ),
        (
            "expires=1796126410.75",
            "date host (request-target) (expires)",
            &[DATE_LINE, HOST, GET_TARGET, "(expires): 1796126410.75"],
            11,
            Some(Reason::SignatureExpired),
        ),
        // Stated, not signed: it may shorten, and can't lengthen.
        (
            "expires=1796126410",
            "date host (request-target)",
            &[DATE_LINE, HOST, GET_TARGET],
            11,
            Some(Reason::SignatureExpired),
        ),
        (
            "expires=1796999999",
            "date host (request-target)",
            &[DATE_LINE, HOST, GET_TARGET],
            301,
            Some(Reason::SignatureExpired),
        ),
        // A `created` that is not signed renews nothing.
        (
            "created=1796126700",
            "date host (request-target)",
            &[DATE_LINE, HOST, GET_TARGET],
            301,
            Some(Reason::SignatureExpired),
        ),
        (
            "created=1796126400",
            "host (request-target)",
            &[HOST, GET_TARGET],
            0,
            Some(Reason::SignatureIncomplete),
        ),
        // Two signed times: both have to hold.
        (
            "created=1796126700",
            "date (created) host (request-target)",
            &[DATE_LINE, "(created): 1796126700", HOST, GET_TARGET],
            301,
            Some(Reason::SignatureExpired),
        ),
        // Signed and not stated.
        (
            "algorithm=\"hs2019\"",
            "(created) host (request-target)",
            &["(created): ", HOST, GET_TARGET],
            0,
            Some(Reason::SignatureMalformed),
        ),
        (
            "algorithm=\"hs2019\"",
            "date (expires) host (request-target)",
            &[DATE_LINE, "(expires): ", HOST, GET_TARGET],
            0,
            Some(Reason::SignatureMalformed),
        ),
        (
            "created=1.5",
            "(created) host (request-target)",
            &["(created): 1.5", HOST, GET_TARGET],
            0,
            Some(Reason::SignatureMalformed),
        ),
        (
            "expires=1.",
            "date host (request-target)",
            &[DATE_LINE, HOST, GET_TARGET],
            0,
            Some(Reason::SignatureMalformed),
        ),
        (
            "expires=1.1.1",
            "date host (request-target)",
            &[DATE_LINE, HOST, GET_TARGET],
            0,
            Some(Reason::SignatureMalformed),
        ),
    ] {
        let parameters = format!("keyId=\"acme-1\",{parameters},headers=\"{headers}\"");
        let sent = by_hand(get(), "Signature", &parameters, lines);
        let reason = sent
            .verify(&rules(), NOW + later)
            .err()
            .map(|refusal| refusal.reason);
        assert_eq!(reason, wanted, "{parameters} {later}");
    }
}

#[test]
fn refuses_dates_that_have_another_form() {
    for date in [
        "Tuesday, 01-Dec-26 12:00:00 GMT",
        "1796126400",
        "",
        "Tue, 01 Dec 2026 12:00:00 GMT,Tue, 01 Dec 2026 12:00:00 GMT",
    ] {
        let mut sent = get();
        sent.set("date", date);
        let sent = by_hand(
            sent,
            "Signature",
            "keyId=\"acme-1\",headers=\"date host (request-target)\"",
            &[&format!("date: {date}"), HOST, GET_TARGET],
        );
        assert_eq!(
            sent.reason(&rules()),
            Some(Reason::SignatureComponentRefused),
            "{date}"
        );
    }
}

#[test]
fn a_time_that_is_not_signed_is_not_believed() {
    let mut sent = by_hand(
        get(),
        "hmac",
        "username=\"acme-1\",algorithm=\"hmac-sha256\",headers=\"date host request-line\"",
        &[DATE_LINE, HOST, "GET /x?a=1 HTTP/1.1"],
    );
    // Kong believes any fresh `x-date`.
    sent.set("x-date", "Tue, 01 Dec 2026 13:00:00 GMT");
    let refusal = sent.verify(&rules(), NOW + 3600).unwrap_err();
    assert_eq!(refusal.reason, Reason::SignatureExpired);
}

#[test]
fn the_signature_itself_is_used_once_on_unsafe_methods() {
    for dialect in [Dialect::Cavage, Dialect::Kong] {
        for (method, remembered) in [
            ("GET", false),
            ("HEAD", false),
            ("OPTIONS", false),
            ("TRACE", false),
            ("POST", true),
            ("PUT", true),
            ("PATCH", true),
            ("DELETE", true),
            ("PURGE", true),
        ] {
            let sent = Sent::new(method, "https://a.example/", &[], "").sign(dialect, &[]);
            let once = sent.verify(&rules(), NOW).unwrap().once;
            assert_eq!(once.is_some(), remembered, "{method}");
            if let Some(once) = once {
                assert!(once.value.starts_with(b"signature:"));
                assert_eq!(once.value.len(), "signature:".len() + 32);
            }
        }
    }
}

#[test]
fn refuses_malformed_credentials() {
    let of = |scheme: &str, credentials: &str| {
        let mut sent = get();
        sent.set("authorization", &format!("{scheme} {credentials}"));
        sent.read(&rules()).err().map(|refusal| refusal.reason)
    };
    let zero = STANDARD.encode([0; 32]);
    let signature = format!("signature=\"{zero}\"");
    let good = format!("keyId=\"a\",algorithm=\"hmac-sha256\",headers=\"host\",{signature}");
    assert_eq!(of("Signature", &good), None);
    let many: Vec<String> = (0..33).map(|number| format!("x-{number}")).collect();
    for (bad, wanted) in [
        (good.replace("keyId=\"a\",", ""), Reason::SignatureMalformed),
        (good.replace("\"a\"", "a"), Reason::SignatureMalformed),
        (
            good.replace("\"a\"", &format!("\"{}\"", "a".repeat(129))),
            Reason::SignatureMalformed,
        ),
        (
            good.replace(&format!(",{signature}"), ""),
            Reason::SignatureMalformed,
        ),
        (good.replace(&zero, "AAAA"), Reason::SignatureMalformed),
        (
            good.replace(&zero, zero.trim_end_matches('=')),
            Reason::SignatureMalformed,
        ),
        (
            good.replace(&zero, &zero.replace("A=", "B=")),
            Reason::SignatureMalformed,
        ),
        (good.replace(&zero, "!"), Reason::SignatureMalformed),
        (format!("{good},{signature}"), Reason::SignatureMalformed),
        (format!("{good},keyId=\"a\""), Reason::SignatureMalformed),
        (format!("{good},opaque=\"a\""), Reason::SignatureMalformed),
        (
            format!("{good},created=1,created=1"),
            Reason::SignatureMalformed,
        ),
        (good.replace("\"host\"", "\"\""), Reason::SignatureMalformed),
        (
            good.replace("\"host\"", "\"host  date\""),
            Reason::SignatureMalformed,
        ),
        (
            good.replace("\"host\"", "\"host \""),
            Reason::SignatureMalformed,
        ),
        (
            good.replace("\"host\"", "\"host Host\""),
            Reason::SignatureMalformed,
        ),
        (
            good.replace("\"host\"", "\"(request-target) (request-target)\""),
            Reason::SignatureMalformed,
        ),
        (
            good.replace("\"host\"", &format!("\"{}\"", many.join(" "))),
            Reason::SignatureMalformed,
        ),
        (
            good.replace("\"host\"", "\"(keyid)\""),
            Reason::SignatureComponentRefused,
        ),
        (
            good.replace("\"host\"", "\"request-line:\""),
            Reason::SignatureComponentRefused,
        ),
        (
            good.replace("\"host\"", "\":path\""),
            Reason::SignatureComponentRefused,
        ),
        (
            good.replace("\"host\"", "\"authorization\""),
            Reason::SignatureComponentRefused,
        ),
        (
            good.replace("\"host\"", "\"Signature\""),
            Reason::SignatureComponentRefused,
        ),
    ] {
        assert_eq!(of("Signature", &bad), Some(wanted), "{bad}");
    }
    let good = good.replace("keyId", "username");
    assert_eq!(of("hmac", &good), None);
    for bad in [
        good.replace("username", "keyId"),
        good.replace("algorithm=\"hmac-sha256\",", ""),
        good.replace("headers=\"host\",", ""),
        good.replace("\"hmac-sha256\"", "hmac-sha256"),
        format!("{good},created=1"),
        format!("{good},username=\"a\""),
    ] {
        assert_eq!(of("hmac", &bad), Some(Reason::SignatureMalformed), "{bad}");
    }
}
