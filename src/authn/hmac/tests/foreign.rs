//! Signatures made by other people's programs: the packages httpsig, http-signature, http-message-signatures
//! (its reading of the draft) and httpie-kong-hmac.

use super::{NOW, Sent, rules};
use crate::verdict::Reason;

pub(super) fn vectors(text: &str) -> Vec<(String, Sent, serde_json::Value)> {
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let vectors = file["vectors"].as_array().unwrap().iter().map(|vector| {
        let of = |name: &str| vector[name].as_str().unwrap();
        let headers: Vec<(&str, &str)> = vector["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let sent = Sent::new(of("method"), of("url"), &headers, of("body"));
        (of("name").to_owned(), sent, vector.clone())
    });
    vectors.collect()
}

#[test]
fn accepts_what_other_programs_sign() {
    let vectors = vectors(include_str!("vectors.json"));
    assert_eq!(vectors.len(), 13);
    for (name, sent, _) in vectors {
        let accepted = sent.verify(&rules(), NOW);
        assert!(accepted.is_ok(), "{name}: {accepted:?}");
        let mut altered = sent.clone();
        altered.path.push(b'x');
        assert_eq!(
            altered.reason(&rules()),
            Some(Reason::SignatureMismatch),
            "{name}"
        );
    }
}

/// The example of Kong's documentation, whose secret is shorter than we take and which signs no host.
#[test]
fn makes_the_text_of_kongs_documentation() {
    let mut sent = Sent::new(
        "GET",
        "http://hmac.com/requests",
        &[("Date", "Thu, 22 Jun 2017 17:15:21 GMT")],
        "",
    );
    sent.set(
        "authorization",
        "hmac username=\"alice123\", algorithm=\"hmac-sha256\", headers=\"date request-line\", signature=\"ujWCGHeec9Xd6UD2zlyxiNMCiXnDOWeVFMu5VeRUxtw=\"",
    );
    let unverified = sent.read(&rules()).unwrap();
    assert_eq!(unverified.key_id(), "alice123");
    let text = sent
        .with(|message| unverified.signed_text(message))
        .unwrap();
    assert_eq!(
        text,
        b"date: Thu, 22 Jun 2017 17:15:21 GMT\nGET /requests HTTP/1.1"
    );
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"secret");
    let signature = [
        0xba, 0x35, 0x82, 0x18, 0x77, 0x9e, 0x73, 0xd5, 0xdd, 0xe9, 0x40, 0xf6, 0xce, 0x5c, 0xb1,
        0x88, 0xd3, 0x02, 0x89, 0x79, 0xc3, 0x39, 0x67, 0x95, 0x14, 0xcb, 0xb9, 0x55, 0xe4, 0x54,
        0xc6, 0xdc,
    ];
    assert!(aws_lc_rs::hmac::verify(&secret, &text, &signature).is_ok());
}
