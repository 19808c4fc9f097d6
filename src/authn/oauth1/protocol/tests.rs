use super::Protocol;
use crate::authn::oauth1::SignatureMethod;
use crate::authn::oauth1::parameters::Pair;
use crate::verdict::Reason;

const GOOD: [(&str, &str); 6] = [
    ("oauth_consumer_key", "k"),
    ("oauth_token", "t"),
    ("oauth_signature_method", "HMAC-SHA1"),
    ("oauth_signature", "s"),
    ("oauth_timestamp", "1191242096"),
    ("oauth_nonce", "n"),
];

fn pairs(change: &[(&str, Option<&[u8]>)]) -> Vec<Pair> {
    let kept = GOOD
        .iter()
        .filter(|(name, _)| !change.iter().any(|(changed, _)| changed == name))
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let added = change
        .iter()
        .filter_map(|(name, value)| Some((name.as_bytes().to_vec(), (*value)?.to_vec())));
    kept.chain(added).collect()
}

fn refused(pairs: &[Pair]) -> (Reason, String) {
    match Protocol::read(pairs) {
        Ok(_) => panic!("accepted"),
        Err(refusal) => (refusal.reason, refusal.detail.into_owned()),
    }
}

#[test]
fn reads_them() {
    let read = Protocol::read(&pairs(&[
        ("oauth_callback", Some(b"about:blank")),
        ("a", Some(b"1")),
    ]))
    .unwrap();
    assert_eq!(
        (&*read.consumer_key, read.token.as_deref()),
        ("k", Some("t"))
    );
    assert_eq!(read.method, SignatureMethod::HmacSha1);
    assert_eq!(read.signature, b"s");
    let stamp = read.stamp.unwrap();
    assert_eq!((stamp.timestamp, &*stamp.nonce), (1_191_242_096, "n"));
    let read = Protocol::read(&pairs(&[
        ("oauth_token", Some(b"")),
        ("oauth_version", Some(b"1.0")),
        ("oauth_timestamp", None),
        ("oauth_nonce", None),
        ("oauth_consumer_key", Some("☃ é".as_bytes())),
    ]))
    .unwrap();
    assert!(read.token.is_none() && read.stamp.is_none());
    assert_eq!(&*read.consumer_key, "☃ é");
}

#[test]
fn refuses_each_that_is_missing_empty_or_bad() {
    let long = vec![b'x'; 4_097];
    let malformed: &[(&str, Option<&[u8]>)] = &[
        ("oauth_consumer_key", None),
        ("oauth_consumer_key", Some(b"")),
        ("oauth_consumer_key", Some(b"a\nb")),
        ("oauth_consumer_key", Some(b"\xff")),
        ("oauth_consumer_key", Some(&long)),
        ("oauth_token", Some(b"a\0")),
        ("oauth_token", Some("a\u{85}".as_bytes())),
        ("oauth_token", Some(b"\xc3")),
        ("oauth_signature_method", None),
        ("oauth_signature_method", Some(b"")),
        ("oauth_signature", None),
        ("oauth_signature", Some(b"")),
        ("oauth_signature", Some(&long)),
        ("oauth_timestamp", Some(b"")),
        ("oauth_timestamp", Some(b"0")),
        ("oauth_timestamp", Some(b"01191242096")),
        ("oauth_timestamp", Some(b"-1")),
        ("oauth_timestamp", Some(b"+1")),
        ("oauth_timestamp", Some(b"1.5")),
        ("oauth_timestamp", Some(b" 1")),
        ("oauth_timestamp", Some(b"1e9")),
        ("oauth_timestamp", Some(b"1234567890123")),
        ("oauth_timestamp", Some("١".as_bytes())),
        ("oauth_nonce", Some(b"")),
        ("oauth_nonce", Some(b"a b")),
        ("oauth_nonce", Some(b"a\nb")),
        ("oauth_nonce", Some("é".as_bytes())),
        ("oauth_nonce", Some(&long[..256])),
        ("oauth_version", Some(b"")),
        ("oauth_version", Some(b"1.0a")),
        ("oauth_version", Some(b"2.0")),
        ("oauth_body_hash", Some(b"")),
        ("oauth_unknown", Some(b"1")),
        ("oauth_", Some(b"1")),
        ("oauth_Token", Some(b"1")),
        ("oauth_token ", Some(b"1")),
        ("oauth_problem", Some(b"1")),
    ];
    for &change in malformed {
        let (reason, detail) = refused(&pairs(&[change]));
        assert_eq!(reason, Reason::SignatureMalformed, "{change:?}");
        assert!(detail.contains("oauth_") && detail.len() < 300, "{detail}");
    }
    for bad in ["hmac-sha1", "HMAC-SHA512", "none", "RSA"] {
        let change = ("oauth_signature_method", Some(bad.as_bytes()));
        assert_eq!(
            refused(&pairs(&[change])).0,
            Reason::SignatureAlgorithmRefused
        );
    }
    for alone in ["oauth_timestamp", "oauth_nonce"] {
        assert_eq!(
            refused(&pairs(&[(alone, None)])).0,
            Reason::SignatureIncomplete
        );
    }
}

#[test]
fn refuses_each_that_stands_twice_even_if_it_says_the_same() {
    for name in super::NAMES {
        let value = GOOD.iter().find(|(known, _)| *known == name);
        let value = value.map_or("1.0", |(_, value)| value).as_bytes();
        let twice = pairs(&[(name, Some(value)), (name, Some(value))]);
        let (reason, detail) = refused(&twice);
        assert_eq!(reason, Reason::SignatureMalformed);
        assert_eq!(detail, format!("`{name}` stands twice"));
        let empty_first = pairs(&[(name, Some(b"")), (name, Some(value))]);
        assert_eq!(refused(&empty_first).0, Reason::SignatureMalformed);
    }
}
