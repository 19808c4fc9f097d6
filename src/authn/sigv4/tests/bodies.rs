//! Bodies: signed, stated, unsigned, in chunks.

use bytes::Bytes;

use super::sample::{Sample, rules, signing};
use crate::authn::sigv4::{Dialect, Rules, Signing};
use crate::request::body::Body;
use crate::verdict::Reason;

fn post() -> Sample {
    Sample::new("POST", "/orders?a=1", b"{}")
        .with("content-type", "application/json")
        .signed()
}

fn body(bytes: &'static [u8]) -> Body {
    Body::Whole(Bytes::from_static(bytes))
}

#[test]
fn signs_the_body_that_is_there() {
    let signed = post();
    for (body, reason, word) in [
        (body(b"{}x"), Reason::SignatureMismatch, "does not match"),
        (body(b""), Reason::SignatureMismatch, "does not match"),
        (Body::Partial, Reason::BodyUnavailable, "max_request_bytes"),
        (Body::Withheld, Reason::BodyUnavailable, "with_request_body"),
        (Body::Stream, Reason::BodyUnavailable, "upgrade"),
    ] {
        let mut altered = signed.clone();
        altered.body = body;
        altered.refused(reason, word);
    }
}

#[test]
fn a_stated_digest_is_that_of_the_body() {
    const DIGEST: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let signed = Sample::new("POST", "/", b"{}")
        .with("x-amz-content-sha256", DIGEST)
        .signed();
    signed.passes();
    let mut altered = signed.clone();
    altered.body = body(b"{ }");
    altered.refused(Reason::BodyDigestMismatch, "SHA-256");
    altered.body = Body::Partial;
    altered.refused(Reason::BodyUnavailable, "max_request_bytes");
    // Whoever cannot sign learns nothing of the body.
    altered
        .edit_header("x-amz-content-sha256", "44", "45")
        .refused(Reason::SignatureMismatch, "does not match");
    signed
        .clone()
        .with("x-amz-content-sha256", DIGEST)
        .refused(Reason::SignatureMalformed, "more than one");
    let joined = format!("{DIGEST},{DIGEST}");
    let upper = DIGEST.to_uppercase();
    let shorter = DIGEST.replacen('4', "", 1);
    for value in [
        "",
        "x",
        &shorter,
        &upper,
        &joined,
        "unsigned-payload",
        "UNSIGNED-PAYLOAD-",
    ] {
        signed
            .clone()
            .set("x-amz-content-sha256", value)
            .refused(Reason::SignatureMalformed, "64 lower-case");
    }
}

#[test]
fn an_unsigned_body_passes_only_by_choice() {
    let signing = Signing {
        unsigned_payload: true,
        ..signing()
    };
    let by_choice = Rules {
        unsigned_payload: true,
        ..rules()
    };
    let sample = Sample::new("PUT", "/", b"anything");
    for signed in [
        sample.clone().signed_as(&signing),
        sample.clone().presigned_as(&signing, 60),
    ] {
        signed.refused(Reason::SignatureIncomplete, "unsigned_payload: true");
        for body in [body(b"else"), Body::Partial, Body::Withheld, Body::Stream] {
            let mut other = signed.clone();
            other.body = body;
            assert!(other.verify(&by_choice).is_ok());
        }
    }
    // The choice lets nobody turn a signed body into an unsigned one.
    let mut signed = sample.signed();
    signed.body = body(b"else");
    signed.refused_by(&by_choice, Reason::SignatureMismatch, "");
    signed
        .with("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        .refused_by(
            &by_choice,
            Reason::SignatureIncomplete,
            "x-amz-content-sha256",
        );
}

#[test]
fn refuses_bodies_that_are_signed_in_chunks() {
    for value in [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ] {
        let rules = Rules {
            unsigned_payload: true,
            ..rules()
        };
        let signed = post()
            .edit_header("authorization", "host;", "host;x-amz-content-sha256;")
            .with("x-amz-content-sha256", value);
        signed.refused_by(&rules, Reason::BodyUnavailable, "chunk by chunk");
    }
}

#[test]
fn a_presigned_url_of_s3_leaves_the_body_unsigned_unless_it_states_a_digest() {
    let s3 = Rules {
        dialect: Dialect::S3,
        ..rules()
    };
    let by_choice = Rules {
        unsigned_payload: true,
        ..s3.clone()
    };
    let signing = Signing {
        dialect: Dialect::S3,
        unsigned_payload: true,
        ..signing()
    };
    let sample = Sample::new("PUT", "/a%20b", b"{}");
    let presigned = sample.clone().presigned_as(&signing, 60);
    presigned.refused_by(&s3, Reason::SignatureIncomplete, "unsigned_payload");
    assert!(presigned.verify(&by_choice).is_ok());
    let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let in_query = format!("/?X-Amz-Content-Sha256={digest}");
    for stated in [
        sample.with("x-amz-content-sha256", digest),
        Sample::new("PUT", &in_query, b"{}"),
    ] {
        let mut stated = stated.presigned_as(&signing, 60);
        assert!(stated.verify(&s3).is_ok());
        stated.body = body(b"else");
        stated.refused_by(&s3, Reason::BodyDigestMismatch, "SHA-256");
    }
    let both = presigned
        .edit_query("X-Amz-Algorithm", "x-amz-content-sha256=x&X-Amz-Algorithm")
        .edit_query(
            "SignedHeaders=host",
            "SignedHeaders=host%3Bx-amz-content-sha256",
        )
        .with("x-amz-content-sha256", digest);
    both.refused_by(
        &by_choice,
        Reason::SignatureMalformed,
        "in a header and in the query",
    );
    // In the query of a request that is signed in its header, it is a parameter as any other.
    let header = Sample::new("PUT", "/?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD", b"{}").signed();
    header.passes();
}
