use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;
use proptest::{option, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Sent, rules};
use crate::authn::hmac::{Dialect, read};
use crate::request::body::Body;
use crate::verdict::Reason;

fn dialect() -> impl Strategy<Value = Dialect> {
    select(Dialect::ALL)
}

fn request() -> impl Strategy<Value = Sent> {
    let query = option::of("[a-z0-9=&%+~!?]{0,12}");
    let body = vec(any::<u8>(), 0..40);
    (
        "GET|POST|PUT|DELETE|PATCH",
        "[a-z]{1,8}\\.example(:[1-9][0-9]{3})?",
        "/[a-zA-Z0-9/%.;!~]{0,16}",
        query,
        "[ -~é]{0,12}",
        body,
    )
        .prop_map(|(method, host, path, query, value, body)| {
            let mut sent = Sent::new(&method, &format!("https://{host}{path}"), &[], "");
            sent.query = query.map(String::into_bytes);
            sent.set("x-value", &value);
            sent.body = Body::Whole(Bytes::from(body));
            sent
        })
}

/// One byte changed, taken away or added.
fn altered(bytes: &[u8], at: usize, byte: u8, how: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at % (bytes.len() + 1);
    match how % 3 {
        0 => bytes.insert(at, byte),
        1 if at < bytes.len() => bytes[at] ^= byte.max(1),
        _ if at < bytes.len() => drop(bytes.remove(at)),
        _ => bytes.push(byte),
    }
    bytes
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_no_change_of_it_does(
        sent in request(),
        dialect in dialect(),
        part in 0..6_usize,
        at in any::<usize>(),
        byte in any::<u8>(),
        how in any::<u8>(),
    ) {
        let signed = sent.sign(dialect, &["x-value"]);
        prop_assert!(signed.reason(&rules()).is_none());
        let mut changed = signed.clone();
        let text = |bytes: &[u8]| String::from_utf8_lossy(&altered(bytes, at, byte, how)).into_owned();
        match part {
            0 => changed.method = text(signed.method.as_bytes()),
            1 => changed.authority = text(signed.authority.as_bytes()),
            2 => changed.path = altered(&signed.path, at, byte, how),
            3 => changed.query = signed.query.as_ref().map_or(Some(vec![byte]), |query| {
                Some(altered(query, at, byte, how))
            }),
            4 => {
                let value = altered(signed.header("x-value").unwrap(), at, byte, how);
                changed.headers.retain(|(name, _)| name != "x-value");
                changed.headers.push(("x-value".into(), value));
            }
            _ => {
                let Body::Whole(body) = &signed.body else { unreachable!() };
                changed.body = Body::Whole(altered(body, at, byte, how).into());
            }
        }
        let value = |sent: &Sent| trimmed(sent.header("x-value").unwrap()).to_vec();
        let same = changed.method == signed.method
            && changed.authority.eq_ignore_ascii_case(&signed.authority)
            && changed.path == signed.path
            && changed.query == signed.query
            && value(&changed) == value(&signed)
            && changed.body == signed.body;
        if !same {
            prop_assert!(changed.reason(&rules()).is_some());
        }
    }

    #[test]
    fn no_change_of_the_credentials_verifies_as_something_else(
        dialect in dialect(),
        at in any::<usize>(),
        byte in b' '..=b'~',
        how in any::<u8>(),
    ) {
        let signed = Sent::example().sign(dialect, &["x-tenant"]);
        let wanted = signed.verify(&rules(), super::NOW).unwrap();
        let value = signed.header("authorization").unwrap();
        let space = value.iter().position(|&byte| byte == b' ').unwrap();
        let (scheme, credentials) = (&value[..space], &value[space + 1..]);
        let changed = altered(credentials, at, byte, how);
        if let Ok(unverified) = read(scheme, &changed, &rules())
            && unverified.key_id() == "acme-1"
        {
            let now = crate::clock::Timestamp::from_seconds(super::NOW);
            let answer = signed.with(|message| unverified.verify(message, &super::key(), &rules(), now));
            // Spaces between parameters, and letter case of names: nothing else.
            if let Ok(accepted) = answer {
                prop_assert_eq!(accepted, wanted);
            }
        }
    }

    #[test]
    fn no_two_requests_have_one_text(one in request(), other in request()) {
        let text = |sent: &Sent| {
            let sent = sent.clone().sign(Dialect::Own, &["x-value"]);
            let unverified = sent.read(&rules()).unwrap();
            sent.with(|message| unverified.signed_text(message)).unwrap()
        };
        let value = |sent: &Sent| trimmed(sent.header("x-value").unwrap()).to_vec();
        let same = one.method == other.method
            && one.authority == other.authority
            && one.path == other.path
            && one.query == other.query
            && value(&one) == value(&other)
            && one.body == other.body;
        prop_assert_eq!(text(&one) == text(&other), same);
    }

    #[test]
    fn any_bytes_are_an_answer_and_never_a_panic(
        scheme in select(&["hmac-sha256", "signature", "hmac", ""][..]),
        credentials in prop_oneof![
            vec(any::<u8>(), 0..300),
            "((KeyId|SignedHeaders|Timestamp|Nonce|Signature|keyId|username|headers|algorithm|signature|created|expires)=(\"?[ -~]{0,40}\"?),? ?){0,8}"
                .prop_map(String::into_bytes),
        ],
        header in vec(any::<u8>(), 0..60),
    ) {
        let mut sent = Sent::example();
        for name in ["date", "digest", "content-digest", "x-tenant"] {
            sent.headers.retain(|(other, _)| other != name);
            sent.headers.push((name.into(), header.clone()));
        }
        match read(scheme.as_bytes(), &credentials, &rules()) {
            Ok(unverified) => {
                let now = crate::clock::Timestamp::from_seconds(super::NOW);
                let answer = sent.with(|message| unverified.verify(message, &super::key(), &rules(), now));
                prop_assert!(answer.is_err());
            }
            Err(refusal) => prop_assert!(refusal.detail.len() < 300),
        }
    }

    #[test]
    fn any_header_is_a_digest_or_an_error(value in vec(any::<u8>(), 0..80)) {
        for name in ["digest", "content-digest"] {
            let refusal = crate::authn::hmac::digest::check(name, &value, b"body").unwrap_err();
            prop_assert!(matches!(refusal.reason, Reason::SignatureComponentRefused | Reason::BodyDigestMismatch));
        }
    }
}
