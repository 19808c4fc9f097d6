//! What passes, what is refused, and with which text: credential, time, and what has to be signed.

use std::time::Duration;

use super::sample::{FRESHNESS, NOW, Sample, rules, secret, signing};
use crate::authn::sigv4::{Required, Rules, Signing, SigningKey, read};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::verdict::Reason;

fn post() -> Sample {
    Sample::new("POST", "/orders?a=1", b"{}")
        .with("content-type", "application/json")
        .signed()
}

#[test]
fn says_what_it_read_before_it_is_proven() {
    post().ask(|message| {
        let unverified = read(message).unwrap().unwrap();
        assert_eq!(unverified.access_key_id(), "AKIDACME");
        assert_eq!(unverified.scope().day.as_ref(), "20261201");
        assert!(!unverified.is_presigned());
        let shown = format!("{unverified:?}");
        assert!(
            shown.contains("AKIDACME") && !shown.contains("ignature"),
            "{shown}"
        );
        let texts = unverified.texts(message, &rules()).unwrap();
        assert!(
            texts
                .string_to_sign
                .starts_with(b"AWS4-HMAC-SHA256\n20261201T120000Z\n")
        );
        assert_eq!(format!("{texts:?}"), "Texts(redacted)");
    });
    let presigned = Sample::new("GET", "/", b"").presigned(60);
    assert!(presigned.ask(|message| read(message).unwrap().unwrap().is_presigned()));
    let plain = Sample::new("GET", "/?a=1", b"").with("authorization", "Bearer x");
    assert!(plain.ask(|message| read(message).unwrap().is_none()));
}

#[test]
fn takes_the_secret_or_what_was_derived_from_it() {
    let now = Timestamp::from_seconds(NOW);
    post().ask(|message| {
        let unverified = read(message).unwrap().unwrap();
        let key = |day| SigningKey::derive(&secret(), day, "eu-central-1", "orders").unwrap();
        let verify = |key: &SigningKey| unverified.verify(message, key, &rules(), now);
        assert!(verify(&key("20261201")).is_ok());
        let other = verify(&key("20261202")).unwrap_err();
        assert_eq!(other.reason, Reason::SignatureMismatch);
        for bytes in [vec![], vec![b'x'; 8], vec![b'x'; 40]] {
            let refusal = unverified.verify(message, &Secret::new(bytes), &rules(), now);
            assert_eq!(refusal.unwrap_err().reason, Reason::SignatureMismatch);
        }
    });
}

#[test]
fn remembers_signatures_on_unsafe_methods_only() {
    for (method, remembered) in [
        ("GET", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("TRACE", false),
        ("POST", true),
        ("PUT", true),
        ("PATCH", true),
        ("DELETE", true),
        ("get", true),
        ("QUERY", true),
    ] {
        let accepted = Sample::new(method, "/", b"").signed().passes();
        assert_eq!(accepted.once.is_some(), remembered, "{method}");
        assert_eq!(accepted.created, Some(Timestamp::from_seconds(NOW)));
        let until = Timestamp::from_seconds(NOW + 300);
        assert_eq!(accepted.until, Some(until));
        if let Some(once) = accepted.once {
            assert_eq!((once.value.len(), once.until), (32, until));
        }
    }
    let presigned = Sample::new("PUT", "/", b"").presigned(60).passes();
    assert_eq!(
        presigned.once.unwrap().until,
        Timestamp::from_seconds(NOW + 60)
    );
}

#[test]
fn a_signature_holds_for_max_age_and_no_second_longer() {
    let signed = post();
    for (now, wanted) in [
        (NOW - 31, Some(Reason::SignatureNotYetValid)),
        (NOW - 30, None),
        (NOW + 300, None),
        (NOW + 301, Some(Reason::SignatureExpired)),
        (0, Some(Reason::SignatureNotYetValid)),
        (i64::MAX, Some(Reason::SignatureExpired)),
    ] {
        let reason = signed
            .verify_at(&rules(), now)
            .err()
            .map(|refusal| refusal.reason);
        assert_eq!(reason, wanted, "{now}");
    }
}

#[test]
fn a_presigned_url_holds_as_long_as_it_says_and_no_longer_than_max_expires() {
    let ends = |expires: u32, max_expires: Option<u64>| {
        let presigned = Sample::new("GET", "/", b"").presigned(expires);
        let rules = Rules {
            max_expires: max_expires.map(Duration::from_secs),
            ..rules()
        };
        let end = presigned.verify(&rules).unwrap().until.unwrap().seconds();
        assert!(presigned.verify_at(&rules, end).is_ok());
        let late = presigned.verify_at(&rules, end + 1).unwrap_err();
        assert_eq!(late.reason, Reason::SignatureExpired);
        let early = presigned.verify_at(&rules, NOW - 31).unwrap_err();
        assert_eq!(early.reason, Reason::SignatureNotYetValid);
        end - NOW
    };
    assert_eq!(ends(60, Some(3_600)), 60);
    assert_eq!(ends(604_800, Some(3_600)), 3_600);
    // Unless said, no longer than any other signature.
    assert_eq!(rules().max_expires, Some(FRESHNESS.max_age));
    assert_eq!(ends(3_600, Some(300)), 300);
}

#[test]
fn refuses_presigned_urls_where_none_are_admitted() {
    let rules = Rules {
        max_expires: None,
        ..rules()
    };
    let presigned = Sample::new("GET", "/", b"").presigned(60);
    presigned.refused_by(&rules, Reason::CredentialsUnrecognised, "a presigned URL");
    assert!(Sample::new("GET", "/", b"").signed().verify(&rules).is_ok());
}

#[test]
fn refuses_other_services_and_regions() {
    for (service, region) in [
        ("billing", "eu-central-1"),
        ("orders", "us-east-1"),
        ("Orders", "eu-central-1"),
    ] {
        let signing = Signing {
            service,
            region,
            ..signing()
        };
        let signed = Sample::new("GET", "/", b"").signed_as(&signing);
        signed.refused(
            Reason::SignatureScopeMismatch,
            &format!("`{service}` in region `{region}`"),
        );
        let presigned = Sample::new("GET", "/", b"").presigned_as(&signing, 60);
        presigned.refused(
            Reason::SignatureScopeMismatch,
            "where `orders` in `eu-central-1`",
        );
    }
}

#[test]
fn refuses_a_day_that_is_not_the_times_own() {
    post()
        .edit_header("authorization", "/20261201/", "/20261130/")
        .refused(Reason::SignatureMalformed, "not the day");
    Sample::new("GET", "/", b"")
        .presigned(60)
        .edit_query("%2F20261201%2F", "%2F20261202%2F")
        .refused(Reason::SignatureMalformed, "not the day");
}

#[test]
fn refuses_two_signatures() {
    let both = Sample::new("GET", "/", b"").signed();
    let presigned = Sample::new("GET", "/", b"").presigned(60);
    let mut both = both;
    both.query = presigned.query;
    both.refused(Reason::CredentialsAmbiguous, "in the query");
}

#[test]
fn reads_the_time_from_x_amz_date_else_from_date() {
    let signed = post();
    signed
        .clone()
        .without("x-amz-date")
        .refused(Reason::SignatureMalformed, "neither");
    signed
        .clone()
        .with("x-amz-date", "20261201T120000Z")
        .refused(Reason::SignatureMalformed, "more than one `x-amz-date`");
    signed
        .clone()
        .set("x-amz-date", "20261201T120000Z,20261201T120000Z")
        .refused(Reason::SignatureMalformed, "of the form");
    signed
        .clone()
        .set("x-amz-date", "2026-12-01T12:00:00Z")
        .refused(Reason::SignatureMalformed, "of the form");
    // Beside it, `date` is any other header.
    assert!(
        signed
            .clone()
            .with("date", "yesterday")
            .verify(&rules())
            .is_ok()
    );
    let dated = signed
        .without("x-amz-date")
        .with("date", "Tue, 01 Dec 2026 12:00:00 GMT");
    dated.refused(Reason::SignatureIncomplete, "`date`");
    dated
        .clone()
        .with("date", "Tue, 01 Dec 2026 12:00:00 GMT")
        .refused(Reason::SignatureMalformed, "more than one `date`");
    dated
        .set("date", "Tue, 01 Dec 2026 12:00:00 CET")
        .refused(Reason::SignatureMalformed, "neither of the form");
}

#[test]
fn refuses_signatures_that_leave_something_out() {
    let signed = post();
    let list = "SignedHeaders=content-type;host;x-amz-date";
    for (shorter, word) in [
        ("SignedHeaders=content-type;x-amz-date", "`host`"),
        ("SignedHeaders=content-type;host", "`x-amz-date`"),
        ("SignedHeaders=x-amz-date", "`host`"),
    ] {
        signed
            .clone()
            .edit_header("authorization", list, shorter)
            .refused(Reason::SignatureIncomplete, word);
    }
    for name in [
        "x-amz-target",
        "x-amz-acl",
        "x_amz_target",
        "x-amz-",
        "x.amz-meta",
    ] {
        let added = signed.clone().with(name, "v");
        added.refused(Reason::SignatureIncomplete, name);
        let presigned = Sample::new("GET", "/", b"").presigned(60).with(name, "v");
        presigned.refused(Reason::SignatureIncomplete, name);
    }
    for name in ["x-amzn-trace-id", "x-am", "x-amz"] {
        assert!(
            signed.clone().with(name, "v").verify(&rules()).is_ok(),
            "{name}"
        );
    }
    let long = format!("x-amz-{}", "a".repeat(5_000));
    let refusal = signed.with(&long, "v").verify(&rules()).unwrap_err();
    assert!(refusal.detail.len() < 256);
}

#[test]
fn refuses_signatures_that_leave_out_what_the_rules_name() {
    let rules = Rules {
        require: [Required::Always, Required::Header("x-tenant".into())].into(),
        ..rules()
    };
    let with = Sample::new("GET", "/", b"").with("x-tenant", "a");
    let word = "`x-tenant`, which `require` names";
    with.clone()
        .signed()
        .refused_by(&rules, Reason::SignatureIncomplete, word);
    let signing = Signing {
        signed_headers: &["x-tenant"],
        ..signing()
    };
    let signed = with.clone().signed_as(&signing);
    assert!(signed.verify(&rules).is_ok());
    signed
        .without("x-tenant")
        .refused(Reason::SignatureComponentRefused, "`x-tenant`");
    let presigned = with.presigned(60);
    presigned.refused_by(&rules, Reason::SignatureIncomplete, word);
}

#[test]
fn refuses_session_tokens() {
    for name in [
        "x-amz-security-token",
        "x-amz-s3session-token",
        "x_amz_security_token",
    ] {
        let sample = Sample::new("GET", "/", b"").with(name, "FwoG");
        sample
            .clone()
            .signed()
            .refused(Reason::CredentialsUnrecognised, "session token");
        sample
            .clone()
            .presigned(60)
            .refused(Reason::CredentialsUnrecognised, "session token");
        // Empty or unsigned, it is one all the same.
        Sample::new("GET", "/", b"")
            .signed()
            .with(name, "")
            .refused(Reason::CredentialsUnrecognised, "session token");
    }
    for target in ["/?X-Amz-Security-Token=x", "/?x-amz-security-token=x"] {
        let sample = Sample::new("GET", target, b"");
        sample
            .clone()
            .signed()
            .refused(Reason::CredentialsUnrecognised, "session token");
        sample
            .presigned(60)
            .refused(Reason::CredentialsUnrecognised, "session token");
    }
}

#[test]
fn a_signature_in_the_header_does_not_move_into_the_query() {
    let signed = Sample::new("GET", "/", b"").signed();
    let signature = signed
        .header("authorization")
        .rsplit('=')
        .next()
        .unwrap()
        .to_owned();
    let mut moved = Sample::new("GET", "/", b"").with("x-amz-date", "20261201T120000Z");
    moved.query = Some(
        format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDACME%2F20261201%2Feu-central-1%2Forders%2Faws4_request&X-Amz-Date=20261201T120000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host%3Bx-amz-date&X-Amz-Signature={signature}")
            .into_bytes(),
    );
    moved.refused(Reason::SignatureMismatch, "does not match");
}
