use bytes::Bytes;

use crate::authn::oauth1::tests::sample::{CONSUMER, FORM, NOW, SECRET, Sample, rules};
use crate::authn::oauth1::tests::stories::{URL, plaintext, reason, signed};
use crate::authn::oauth1::{BodyHash, Rules, SignatureMethod};
use crate::request::body::Body;
use crate::verdict::Reason;

#[test]
fn a_body_that_is_no_form_needs_its_hash() {
    let post = || Sample::new("POST", URL).body("application/json", "{\"amount\":1}");
    let optional = Rules {
        body_hash: BodyHash::Optional,
        ..rules()
    };
    let hashed = post().signed(SignatureMethod::HmacSha256, true);
    hashed.verify(&rules()).unwrap();
    hashed.verify(&optional).unwrap();
    let mut altered = hashed.clone();
    altered.body = Body::Whole(Bytes::from_static(b"{\"amount\":9}"));
    assert_eq!(reason(altered.verify(&rules())), Reason::BodyDigestMismatch);
    assert_eq!(
        reason(altered.verify(&optional)),
        Reason::BodyDigestMismatch
    );
    // Added to a request that was signed without any.
    let mut added = signed();
    added.body = Body::Whole(Bytes::from_static(b"x"));
    assert_eq!(reason(added.verify(&rules())), Reason::SignatureIncomplete);
    added.verify(&optional).unwrap();
    for body in [Body::Partial, Body::Withheld, Body::Stream] {
        let mut sample = hashed.clone();
        sample.body = body.clone();
        assert_eq!(reason(sample.verify(&rules())), Reason::BodyUnavailable);
        assert_eq!(reason(sample.verify(&optional)), Reason::BodyUnavailable);
        let mut sample = signed();
        sample.body = body;
        assert_eq!(reason(sample.verify(&rules())), Reason::BodyUnavailable);
        sample.verify(&optional).unwrap();
    }
}

#[test]
fn refuses_hashes_of_the_wrong_kind() {
    // SHA-1 of nothing, SHA-256 of nothing (the extension hashes a missing body as an empty one).
    let (sha1, sha256) = (
        "2jmj7l5rSw0yVb%2FvlWAYkK%2FYBwk%3D",
        "47DEQpj8HBSa%2B%2FTImW%2B5JCeuQeRkm5NMpJWZG3hSuFU%3D",
    );
    let send = |hash: &str| {
        plaintext(
            "https://api.example.com/",
            &format!("&oauth_timestamp={NOW}&oauth_nonce=n&oauth_body_hash={hash}"),
        )
    };
    send(sha1).verify(&rules()).unwrap();
    for bad in [
        sha256,
        "",
        "AAAA",
        "2jmj7l5rSw0yVb%2FvlWAYkK%2FYBwk",
        "%00",
        "2jmj7l5rSw0yVb_vlWAYkK_YBwk%3D",
    ] {
        assert_eq!(
            reason(send(bad).verify(&rules())),
            Reason::SignatureMalformed,
            "{bad}"
        );
    }
    let other = "Lve95gjOVATpfV8EL5X4nxwjKHE%3D";
    assert_eq!(
        reason(send(other).verify(&rules())),
        Reason::BodyDigestMismatch
    );
}

#[test]
fn refuses_a_hash_beside_a_form() {
    let own = format!(
        "https://api.example.com/?oauth_consumer_key={CONSUMER}&oauth_signature_method=PLAINTEXT&oauth_signature={SECRET}%26&oauth_timestamp={NOW}&oauth_nonce=n&oauth_body_hash=2jmj7l5rSw0yVb%2FvlWAYkK%2FYBwk%3D"
    );
    let sample = Sample::new("POST", &own).body(FORM, "");
    assert_eq!(reason(sample.verify(&rules())), Reason::SignatureMalformed);
}

#[test]
fn a_form_is_always_signed_whole() {
    let form = Sample::new("POST", URL).body(
        "Application/X-WWW-Form-urlencoded; charset=UTF-8",
        "a=1&b=2",
    );
    let form = form.signed(SignatureMethod::HmacSha1, true);
    form.verify(&rules()).unwrap();
    for (body, expected) in [
        (
            Body::Whole(Bytes::from_static(b"a=1&b=3")),
            Reason::SignatureMismatch,
        ),
        (
            Body::Whole(Bytes::from_static(b"a=1")),
            Reason::SignatureMismatch,
        ),
        (
            Body::Whole(Bytes::from_static(b"a=1&b=%")),
            Reason::SignatureMalformed,
        ),
        (Body::Partial, Reason::BodyUnavailable),
        (Body::Withheld, Reason::BodyUnavailable),
        (Body::Stream, Reason::BodyUnavailable),
    ] {
        let mut other = form.clone();
        other.body = body;
        assert_eq!(reason(other.verify(&rules())), expected);
    }
    // A form that is called something else is still a form to whoever guesses.
    for kind in ["text/plain", "multipart/form-data", ""] {
        let mut other = form.clone();
        other.headers[0].1 = kind.as_bytes().to_vec();
        assert!(other.verify(&rules()).is_err(), "{kind}");
    }
    for kind in [
        "application/x-www-form-urlencoded, text/plain",
        "text/plain,application/x-www-form-urlencoded",
        "text/x-www-form-urlencoded",
        "x; application/x-www-form-urlencoded",
    ] {
        let mut other = form.clone();
        other.headers[0].1 = kind.as_bytes().to_vec();
        assert_eq!(
            reason(other.verify(&rules())),
            Reason::SignatureMalformed,
            "{kind}"
        );
    }
}

#[test]
fn what_the_standard_leaves_out_of_the_signature() {
    // Stated in the module's documentation: order within and between names, `a` and `a=`, the place.
    let sample = Sample::new("POST", "https://api.example.com/?b=2&a=2&a=1&c").body(FORM, "d=4");
    let sample = sample.signed(SignatureMethod::HmacSha256, true);
    for (query, body) in [
        ("a=1&a=2&b=2&c=", "d=4"),
        ("&b=2&&a=2&a=1&c&", "d=%34"),
        ("c&a=1&a=2", "d=4&b=2"),
    ] {
        let mut other = sample.clone();
        other.query = Some(query.as_bytes().to_vec());
        other.body = Body::Whole(Bytes::copy_from_slice(body.as_bytes()));
        other.verify(&rules()).unwrap();
    }
}
