//! What our own signer makes.

use super::sample::{NOW, Sample, rules, secret, signing};
use crate::authn::sigv4::{
    CannotSign, Dialect, MAX_EXPIRES_SECONDS, Rules, Signing, presign, sign,
};
use crate::request::body::Body;
use crate::secret::Secret;

#[test]
fn verifies_what_we_sign() {
    let plain = Sample::new("POST", "/a%20b?c=d&c=%7e", b"{}").with("content-type", "text/plain");
    for unsigned_payload in [false, true] {
        for dialect in [Dialect::General, Dialect::S3] {
            let signing = Signing {
                dialect,
                unsigned_payload,
                ..signing()
            };
            let rules = Rules {
                dialect,
                unsigned_payload,
                ..rules()
            };
            let signed = plain.clone().signed_as(&signing);
            assert!(signed.verify(&rules).is_ok());
            assert!(
                signed
                    .header("authorization")
                    .contains("=content-type;host;")
            );
            let presigned = Signing {
                unsigned_payload: unsigned_payload || dialect == Dialect::S3,
                ..signing
            };
            let rules = Rules {
                unsigned_payload: presigned.unsigned_payload,
                ..rules
            };
            let presigned = plain.clone().presigned_as(&presigned, 60);
            presigned.verify(&rules).unwrap();
        }
    }
}

#[test]
fn signs_what_it_is_asked_to() {
    let signing = Signing {
        signed_headers: &["x-tenant", "accept", "x-tenant"],
        ..signing()
    };
    let sample = Sample::new("GET", "/", b"")
        .with("x-tenant", "a")
        .with("accept", "*/*")
        .with("x-amz-target", "t")
        .with("user-agent", "u");
    let signed = sample.clone().signed_as(&signing);
    let list = "SignedHeaders=accept;host;x-amz-date;x-amz-target;x-tenant,";
    assert!(signed.header("authorization").contains(list));
    signed.passes();
    let presigned = sample.presigned_as(&signing, 60);
    let query = String::from_utf8(presigned.query.clone().unwrap()).unwrap();
    assert!(query.contains("=accept%3Bhost%3Bx-amz-target%3Bx-tenant&"));
    presigned.passes();
}

#[test]
fn keeps_the_query_of_a_presigned_url() {
    let presigned = Sample::new("GET", "/?b=2&a=%20", b"").presigned(60);
    let query = String::from_utf8(presigned.query.unwrap()).unwrap();
    assert!(query.starts_with(
        "b=2&a=%20&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDACME%2F20261201%2F"
    ));
    let empty = Sample::new("GET", "/?", b"").presigned(60);
    assert!(empty.query.unwrap().starts_with(b"X-Amz-Algorithm="));
}

#[test]
fn says_why_it_cannot_sign() {
    let plain = Sample::new("POST", "/", b"x");
    let with = |sample: &Sample, signing: &Signing<'_>| {
        sample
            .ask(|message| sign(message, &secret(), signing))
            .unwrap_err()
            .to_string()
    };
    let mut withheld = plain.clone();
    withheld.body = Body::Withheld;
    for (error, word) in [
        (with(&plain.clone().signed(), &signing()), "already"),
        (
            with(&plain.clone().with("x-amz-date", "x"), &signing()),
            "already",
        ),
        (with(&withheld, &signing()), "with_request_body"),
        (
            with(
                &plain,
                &Signing {
                    created: i64::MAX,
                    ..signing()
                },
            ),
            "years 0 to 9999",
        ),
        (
            with(
                &plain,
                &Signing {
                    access_key_id: "a/b",
                    ..signing()
                },
            ),
            "is not of the form",
        ),
        (
            with(
                &plain,
                &Signing {
                    region: "",
                    ..signing()
                },
            ),
            "region or service",
        ),
        (
            with(
                &plain,
                &Signing {
                    signed_headers: &["x-none"],
                    ..signing()
                },
            ),
            "which the request does not have",
        ),
        (
            with(
                &plain,
                &Signing {
                    signed_headers: &["X-Upper"],
                    ..signing()
                },
            ),
            "lower-case names",
        ),
        (
            with(&plain.clone().presigned(60), &signing()),
            "parameters of one in the query",
        ),
    ] {
        assert!(error.contains(word), "{error}");
    }
    let empty = plain.ask(|message| sign(message, &Secret::new(Vec::new()), &signing()));
    assert!(matches!(empty, Err(CannotSign::Secret(_))));
    for expires in [0, MAX_EXPIRES_SECONDS + 1] {
        let error = plain.ask(|message| presign(message, &secret(), &signing(), expires));
        assert!(error.unwrap_err().to_string().contains("X-Amz-Expires"));
    }
    assert!(
        plain
            .presigned(MAX_EXPIRES_SECONDS)
            .verify_at(&rules(), NOW)
            .is_ok()
    );
}
