//! No altered request passes, and nothing that is sent ends in a panic.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq, prop_assume};

use super::sample::{NOW, Sample, rules, secret, signing};
use crate::authn::sigv4::encoding::decoded;
use crate::authn::sigv4::query::parameters;
use crate::authn::sigv4::{Signing, read};
use crate::clock::Timestamp;
use crate::request::body::Body;

fn sample() -> impl Strategy<Value = Sample> {
    let method = prop_oneof![Just("GET"), Just("POST"), Just("DELETE")];
    let header = "[ -~]{0,12}";
    let inputs = (
        method,
        "/[a-zA-Z0-9~%!+/.-]{0,20}",
        "([a-c~+;]|%2[0-9a-f]|[=&]){0,20}",
        header,
        vec(any::<u8>(), 0..20),
    );
    inputs.prop_map(|(method, path, query, header, body)| {
        Sample::new(method, &format!("{path}?{query}"), &body).with("x-tenant", &header)
    })
}

fn signing_tenant() -> Signing<'static> {
    Signing {
        signed_headers: &["x-tenant"],
        ..signing()
    }
}

/// What a reader of the query sees who splits first and decodes then, in an order that does not matter.
fn read_query(query: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    // Told from their encoded forms, as readers do not agree on them.
    let bare = |text: &[u8]| {
        let text = String::from_utf8_lossy(text)
            .replace('+', "\u{1}")
            .replace(';', "\u{2}");
        decoded(text.as_bytes()).ok()
    };
    let mut pairs = Vec::new();
    if !query.is_empty() {
        for (name, value) in parameters(query) {
            pairs.push((bare(name)?, bare(value)?));
        }
    }
    pairs.sort();
    Some(pairs)
}

proptest! {
    #[test]
    fn what_we_sign_verifies(sample in sample()) {
        sample.clone().signed_as(&signing_tenant()).passes();
        sample.presigned_as(&signing_tenant(), 60).passes();
    }

    #[test]
    fn no_altered_byte_passes(
        sample in sample(), part in 0..6, at in any::<proptest::sample::Index>(), byte in any::<u8>(),
        presigned in any::<bool>(),
    ) {
        let signed = if presigned {
            sample.presigned_as(&signing_tenant(), 60)
        } else {
            sample.signed_as(&signing_tenant())
        };
        let mut altered = signed.clone();
        let replace = |bytes: &mut Vec<u8>| {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        };
        match part {
            0 => altered.method = "PUT".to_owned(),
            1 => altered.authority = format!("{}.example", altered.authority),
            2 => replace(&mut altered.path),
            3 => replace(altered.query.get_or_insert_default()),
            4 => {
                let Body::Whole(body) = &signed.body else { unreachable!() };
                let mut body = body.to_vec();
                replace(&mut body);
                altered.body = Body::Whole(Bytes::from(body));
            }
            _ => {
                let at = at.index(altered.headers.len());
                replace(&mut altered.headers[at].1);
            }
        }
        let before = signed.verify(&rules());
        prop_assert!(before.is_ok());
        let same = altered.method == signed.method
            && altered.authority == signed.authority
            && altered.path == signed.path
            && altered.body == signed.body
            && read_query(altered.query.as_deref().unwrap_or_default())
                == read_query(signed.query.as_deref().unwrap_or_default())
            && altered.headers.iter().zip(&signed.headers).all(|((name, a), (_, b))| {
                let words = |value: &[u8]| {
                    let text = String::from_utf8_lossy(value).into_owned();
                    text.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
                };
                match name.as_str() {
                    // Its scheme's case does not matter, nor which white space there is.
                    "authorization" => a == b || words(&a.to_ascii_lowercase()) == words(&b.to_ascii_lowercase()),
                    _ => words(a) == words(b),
                }
            });
        prop_assume!(!same);
        let outcome = altered.ask(|message| match read(message) {
            Ok(Some(unverified)) => unverified
                .verify(message, &secret(), &rules(), Timestamp::from_seconds(NOW))
                .is_ok(),
            _ => false,
        });
        prop_assert!(!outcome);
    }

    #[test]
    fn two_queries_that_sign_alike_read_alike(
        one in "([ab~+;]|%2[05bB]|%3[bB]|%61|%7[eE]|[=&]){0,10}",
        other in "([ab~+;]|%2[05bB]|%3[bB]|%61|%7[eE]|[=&]){0,10}",
    ) {
        let text = |query: &str| {
            Sample::new("GET", &format!("/?{query}"), b"").signed().ask(|message| {
                let unverified = read(message).unwrap().unwrap();
                unverified.texts(message, &rules()).unwrap().canonical_request
            })
        };
        let alike = text(&one) == text(&other);
        let read_alike = read_query(one.as_bytes()) == read_query(other.as_bytes());
        prop_assert_eq!(alike, read_alike);
    }

    #[test]
    fn random_bytes_end_in_no_panic(
        path in vec(any::<u8>(), 0..40), query in vec(any::<u8>(), 0..80),
        authorization in vec(any::<u8>(), 0..80), value in vec(any::<u8>(), 0..40),
        tail in "[ -~]{0,60}", date in "[0-9TZ]{14,17}",
    ) {
        let mut sample = Sample::new("POST", "/", b"x");
        sample.path = path;
        sample.query = Some(query);
        for start in ["AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 Credential=a/20261201/r/s/aws4_request,"] {
            for line in [authorization.as_slice(), tail.as_bytes()] {
                let mut sample = sample.clone().with("x-amz-date", &date);
                sample.headers.push(("authorization".into(), [start.as_bytes(), line].concat()));
                sample.headers.push(("x-amz-content-sha256".into(), value.clone()));
                let read = sample.ask(|message| read(message).map(|read| read.is_some()));
                prop_assert!(!matches!(read, Ok(false)));
            }
        }
        for target in ["/?X-Amz-Signature=", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="] {
            let mut presigned = Sample::new("GET", target, b"");
            presigned.query.get_or_insert_default().extend_from_slice(&value);
            prop_assert!(presigned.ask(|message| read(message).is_err()));
        }
        // A good signature over whatever stands there.
        sample.headers.push(("x-tenant".into(), value));
        let _ = sample.ask(|message| crate::authn::sigv4::sign(message, &secret(), &signing_tenant()));
    }
}
