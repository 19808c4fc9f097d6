use super::{BadKey, ConsumerKey, NOBODYS_KEYS, RsaPublicKey, pem_block};
use crate::authn::oauth1::sign::SigningKey;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PUBLIC: &str = include_str!("../tests/public.pem");

/// A value in DER; lengths have one form only, the shortest (X.690 section 10.1).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match (high, low) {
        (0, 0..=127) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}

/// An RSAPublicKey (RFC 8017 appendix A.1.1) with a modulus of ones, of this many bytes.
fn pkcs1(modulus: usize, exponent: &[u8]) -> Vec<u8> {
    let modulus = [&[0][..], &vec![0xff; modulus]].concat();
    der(0x30, &[der(2, &modulus), der(2, exponent)].concat())
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

#[test]
fn reads_both_forms_of_a_public_key() {
    RsaPublicKey::from_pem(PUBLIC.as_bytes()).unwrap();
    RsaPublicKey::from_pem(
        format!("text before\r\n{}text after", PUBLIC.replace('\n', "\r\n")).as_bytes(),
    )
    .unwrap();
    for bytes in [256, 384, 512, 1024] {
        let text = pem("RSA PUBLIC KEY", &pkcs1(bytes, &[1, 0, 1]));
        RsaPublicKey::from_pem(text.as_bytes()).unwrap();
    }
}

#[test]
fn refuses_keys_that_are_too_short_or_too_long() {
    for bytes in [255, 192, 128, 64, 1_025] {
        let read = RsaPublicKey::from_der(&pkcs1(bytes, &[1, 0, 1])).err();
        assert_eq!(read, Some(BadKey::Size), "{bytes}");
    }
}

#[test]
fn refuses_exponents_that_make_no_key() {
    for exponent in [&[1][..], &[0], &[2], &[4]] {
        assert!(
            RsaPublicKey::from_der(&pkcs1(256, exponent)).is_err(),
            "{exponent:?}"
        );
    }
}

#[test]
fn refuses_what_is_no_public_rsa_key() {
    let ec = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";
    let base64 = PUBLIC.replace("BEGIN", "x").replace("END", "x");
    let cut: String = PUBLIC
        .lines()
        .enumerate()
        .filter(|(i, _)| *i != 2)
        .map(|(_, l)| format!("{l}\n"))
        .collect();
    for (text, why) in [
        (String::new(), BadKey::NoPem),
        ("not PEM".to_owned(), BadKey::NoPem),
        (base64, BadKey::NoPem),
        (format!("{PUBLIC}{PUBLIC}"), BadKey::NoPem),
        (
            PUBLIC.replace("END PUBLIC", "END RSA PUBLIC"),
            BadKey::NoPem,
        ),
        (PUBLIC.replace('A', "*"), BadKey::NoPem),
        (PUBLIC.lines().take(3).collect(), BadKey::NoPem),
        (cut, BadKey::NoRsa),
        (pem("PUBLIC KEY", b""), BadKey::NoRsa),
        (
            pem("PUBLIC KEY", &STANDARD.decode(ec).unwrap()),
            BadKey::NoRsa,
        ),
        (pem("PUBLIC KEY", &[0x30; 40]), BadKey::NoRsa),
        (pem("CERTIFICATE", b"x"), BadKey::Certificate),
        (pem("PRIVATE KEY", b"x"), BadKey::Private),
        (pem("RSA PRIVATE KEY", b"x"), BadKey::Private),
        (pem("ENCRYPTED PRIVATE KEY", b"x"), BadKey::Private),
        (pem("EC PARAMETERS", b"x"), BadKey::Label),
    ] {
        assert_eq!(
            RsaPublicKey::from_pem(text.as_bytes()).err(),
            Some(why),
            "{text}"
        );
    }
    assert_eq!(RsaPublicKey::from_pem(b"\xff").err(), Some(BadKey::NoPem));
    let long = format!("{}{PUBLIC}", " ".repeat(64 * 1_024));
    assert_eq!(
        RsaPublicKey::from_pem(long.as_bytes()).err(),
        Some(BadKey::NoPem)
    );
    let mut trailing = pem_block(PUBLIC.as_bytes()).unwrap().1.to_vec();
    trailing.push(0);
    assert_eq!(RsaPublicKey::from_der(&trailing).err(), Some(BadKey::NoRsa));
}

#[test]
fn refuses_what_is_no_private_key_to_sign_with() {
    assert_eq!(
        SigningKey::rsa(PUBLIC.as_bytes()).err(),
        Some(BadKey::Label)
    );
    assert_eq!(
        SigningKey::rsa(pem("PRIVATE KEY", b"x").as_bytes()).err(),
        Some(BadKey::NoRsa)
    );
    assert_eq!(
        SigningKey::rsa(pem("RSA PRIVATE KEY", b"x").as_bytes()).err(),
        Some(BadKey::NoRsa)
    );
    let locked = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(
        SigningKey::rsa(locked.as_bytes()).err(),
        Some(BadKey::NoPem)
    );
}

#[test]
fn refuses_an_empty_secret() {
    assert_eq!(
        ConsumerKey::shared(Secret::new(Vec::new())).err(),
        Some(BadKey::Empty)
    );
}

#[test]
fn nobodys_keys_are_whole() {
    assert!(NOBODYS_KEYS.rsa.is_some());
}

#[test]
fn debug_shows_no_key() {
    let shared = ConsumerKey::shared(Secret::new(b"hunter2".to_vec())).unwrap();
    assert_eq!(format!("{shared:?}"), "ConsumerKey(shared, redacted)");
}
