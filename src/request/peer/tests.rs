use super::pem::BadPem;
use super::{BadPeer, Principal, certificate};
use proptest::prelude::{any, proptest};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAEC+/8=\n-----END CERTIFICATE-----\n";
const SOURCE: &str = "source.certificate";

/// As Envoy does it.
fn encoded(pem: &str) -> String {
    pem.replace('\n', "%0A")
        .replace(' ', "%20")
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

#[test]
fn reads_the_certificate_as_envoy_encodes_it() {
    let der = vec![0, 1, 2, 0xfb, 0xff];
    assert_eq!(certificate(b""), Ok(None));
    assert_eq!(certificate(encoded(PEM).as_bytes()), Ok(Some(der.clone())));
    assert_eq!(
        certificate(encoded(PEM).to_lowercase().as_bytes()).ok(),
        None
    );
    assert_eq!(certificate(PEM.as_bytes()), Ok(Some(der)));
}

#[test]
fn refuses_a_broken_certificate() {
    for (text, why) in [
        (encoded(PEM).replace("%0A", "%0"), BadPeer::Percent(SOURCE)),
        (format!("{}%", encoded(PEM)), BadPeer::Percent(SOURCE)),
        (format!("{}%4", encoded(PEM)), BadPeer::Percent(SOURCE)),
        (format!("{}%zz", encoded(PEM)), BadPeer::Percent(SOURCE)),
        (
            encoded(PEM).replace("%0A", "%250A"),
            BadPeer::Pem(SOURCE, BadPem::Outside),
        ),
        (
            encoded(PEM).replace("%2B", "+%00"),
            BadPeer::Pem(SOURCE, BadPem::Base64),
        ),
        (
            encoded(&PEM.repeat(2)),
            BadPeer::SeveralCertificates(SOURCE),
        ),
        ("AAEC".to_owned(), BadPeer::Pem(SOURCE, BadPem::Outside)),
        ("%".repeat(70_000), BadPeer::TooLong(SOURCE)),
    ] {
        let shown = text.get(..60).unwrap_or(&text).to_owned();
        assert_eq!(certificate(text.as_bytes()), Err(why), "{shown}");
    }
}

#[test]
fn tells_principals_apart_by_form() {
    for (text, principal) in [
        (
            "spiffe://td/ns/a/sa/b",
            Principal::Uri("spiffe://td/ns/a/sa/b"),
        ),
        ("urn:uuid:1", Principal::Uri("urn:uuid:1")),
        ("https://x/?a=b", Principal::Uri("https://x/?a=b")),
        ("worker.example.com", Principal::Dns("worker.example.com")),
        ("*.example.com", Principal::Dns("*.example.com")),
        ("localhost", Principal::Dns("localhost")),
        (
            "CN=worker,O=Example",
            Principal::Subject("CN=worker,O=Example"),
        ),
        ("CN=spiffe://td/a", Principal::Subject("CN=spiffe://td/a")),
        ("1.2.3=#0C01", Principal::Subject("1.2.3=#0C01")),
        (
            r"CN=client \C3\A9,O=A\, B",
            Principal::Subject(r"CN=client \C3\A9,O=A\, B"),
        ),
        (r"OU=a:b,CN=c", Principal::Subject(r"OU=a:b,CN=c")),
    ] {
        assert_eq!(Principal::read(text.as_bytes()), Ok(Some(principal)));
    }
    assert_eq!(Principal::read(b""), Ok(None));
}

#[test]
fn refuses_a_principal_of_no_form() {
    const BAD: BadPeer = BadPeer::Characters("source.principal");
    for (text, why) in [
        (&b"spiffe://td/a\0b"[..], BAD),
        (b"spiffe://td/a\n", BAD),
        (b"\xff", BAD),
        (b"CN=a\x7f", BAD),
        (b"two words", BadPeer::Principal),
        (b"urn:two words", BadPeer::Principal),
        (b"=a", BadPeer::Principal),
        (b":a", BadPeer::Principal),
        (b"a:", BadPeer::Principal),
        (b"me@example.com", BadPeer::Principal),
        (&vec![b'a'; 70_000], BadPeer::TooLong("source.principal")),
    ] {
        assert_eq!(Principal::read(text), Err(why));
    }
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = certificate(&bytes);
        let _ = Principal::read(&bytes);
        let _ = super::pem::certificates(&bytes);
    }
}
