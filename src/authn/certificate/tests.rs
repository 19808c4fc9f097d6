use super::fault::{CertificateFault, SvidRule};
use super::identity::{CertificateSelector, IdentityField, Pins};
use super::{PeerCertificate, PublicKey};
use crate::authn::spiffe::BadSpiffeId;
use crate::clock::Timestamp;
use crate::request::peer::{pem, xfcc};
use crate::secret::Digest;
use proptest::prelude::{any, proptest};

/// 2027-01-15: after all that has expired, before all that is not yet valid.
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/certs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn der(name: &str) -> Vec<u8> {
    if name.ends_with(".der") {
        return file(name);
    }
    pem::certificates(&file(&format!("{name}.pem")))
        .unwrap()
        .remove(0)
}

fn certificate(name: &str) -> PeerCertificate {
    PeerCertificate::parse(&der(name)).unwrap()
}

#[test]
fn reads_all_that_policies_ask_for() {
    let read = certificate("ordinary");
    assert_eq!(
        read.subject.as_ref(),
        r#"UID=u1,CN=client é,O=A\, \"q\"\; b=c\\d,C=US"#
    );
    assert_eq!(read.issuer.as_ref(), "CN=inter,O=Example");
    assert_eq!(read.serial.as_ref(), "0a1b2c");
    assert_eq!(read.dns_names, ["Client.Example".into()]);
    assert_eq!(read.emails, ["Me@Example.com".into()]);
    assert_eq!(read.uris, ["https://example.com/me".into()]);
    assert_eq!(read.ips, ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(read.not_before.to_rfc3339(), "2026-01-01T00:00:00.000Z");
    assert_eq!(read.not_after.to_rfc3339(), "2056-01-01T00:00:00.000Z");
    assert_eq!((read.key, read.is_ca), (PublicKey::Ec, false));
    assert!(read.fingerprint == Digest::of(&der("ordinary")));
    assert_eq!(read.text_extensions.len(), 1);
    assert!(read.judge_client(NOW).is_ok());
    assert_eq!(certificate("svid_rsa").key, PublicKey::Rsa(2048));
    assert_eq!(certificate("svid_rsa_1024").key, PublicKey::Rsa(1024));
    assert_eq!(certificate("svid_ed25519").key, PublicKey::Ed25519);
    assert_eq!(certificate("svid_secp256k1").key, PublicKey::Other);
}

#[test]
fn c1_refuses_what_readers_could_read_apart() {
    for name in [
        "nul_in_uri",
        "nul_in_dns",
        "control_in_uri",
        "uri_not_ascii",
        "uri_in_latin1",
        "san_empty",
        "unknown_critical",
        "nul_in_subject.der",
        "newline_in_subject.der",
        "teletex_subject.der",
        "bmp_subject.der",
        "version_1.der",
        "san_twice.der",
        "trailing.der",
        "cut_off.der",
        "ber_length.der",
    ] {
        let refused = PeerCertificate::parse(&der(name));
        assert!(
            matches!(refused, Err(CertificateFault::Malformed(_))),
            "{name}: {refused:?}"
        );
    }
    for bytes in [&b""[..], &[0x30, 0], &vec![0x30; 20_000]] {
        assert!(PeerCertificate::parse(bytes).is_err());
    }
}

#[test]
fn c3_an_svid_keeps_the_rules_or_is_refused() {
    for name in [
        "svid",
        "svid_by_inter",
        "svid_dns",
        "svid_rsa",
        "svid_ed25519",
        "svid_p384",
        "svid_no_usages",
        "svid_no_basic_constraints",
    ] {
        let id = certificate(name).svid().unwrap();
        assert_eq!(id.kubernetes(), Some(("billing", "worker")), "{name}");
        assert_eq!(certificate(name).judge_client(NOW), Ok(()), "{name}");
    }
    use CertificateFault::{CaAsLeaf, NotSvid, SpiffeIdMalformed};
    for (name, fault) in [
        ("svid_ca", CaAsLeaf),
        ("svid_key_cert_sign", NotSvid(SvidRule::KeyCertSign)),
        ("svid_crl_sign", NotSvid(SvidRule::CrlSign)),
        (
            "svid_no_digital_signature",
            NotSvid(SvidRule::NoDigitalSignature),
        ),
        ("svid_server_only", NotSvid(SvidRule::NoClientAuth)),
        ("svid_any_eku", NotSvid(SvidRule::NoClientAuth)),
        ("svid_two_uris", NotSvid(SvidRule::SeveralUris)),
        ("svid_no_uri", NotSvid(SvidRule::NoUri)),
        ("svid_no_path", NotSvid(SvidRule::NoPath)),
        ("svid_not_spiffe", SpiffeIdMalformed(BadSpiffeId::Scheme)),
        ("svid_upper_case", SpiffeIdMalformed(BadSpiffeId::UpperCase)),
        (
            "svid_dot_segments",
            SpiffeIdMalformed(BadSpiffeId::DotSegment),
        ),
        (
            "svid_injection",
            SpiffeIdMalformed(BadSpiffeId::PathCharacter),
        ),
        ("svid_comma", SpiffeIdMalformed(BadSpiffeId::PathCharacter)),
        ("root", NotSvid(SvidRule::NoUri)),
    ] {
        assert_eq!(certificate(name).svid(), Err(fault), "{name}");
    }
}

#[test]
fn judges_a_client_without_its_issuer() {
    let judge = |name: &str, at| {
        certificate(name)
            .judge_client(at)
            .err()
            .map(|fault| fault.as_str())
    };
    for (name, fault) in [
        ("svid_expired", "certificate_expired"),
        ("svid_not_yet_valid", "certificate_not_yet_valid"),
        ("svid_ca", "certificate_ca_as_leaf"),
        ("root", "certificate_ca_as_leaf"),
        ("svid_rsa_1024", "certificate_key_weak"),
        ("svid_secp256k1", "certificate_key_weak"),
        ("svid_no_digital_signature", "certificate_purpose_refused"),
        ("svid_server_only", "certificate_purpose_refused"),
        ("svid_any_eku", "certificate_purpose_refused"),
    ] {
        assert_eq!(judge(name, NOW), Some(fault), "{name}");
    }
    let svid = certificate("svid");
    let at = |seconds| judge("svid", Timestamp::from_seconds(seconds));
    let (first, last) = (svid.not_before.seconds(), svid.not_after.seconds());
    assert_eq!(at(first - 1), Some("certificate_not_yet_valid"));
    assert_eq!((at(first), at(last)), (None, None));
    assert_eq!(at(last + 1), Some("certificate_expired"));
}

#[test]
fn selects_ordinary_certificates_by_whole_values() {
    let read = certificate("ordinary");
    let other = certificate("svid");
    type Made = Result<CertificateSelector, &'static str>;
    let yes: Vec<Made> = vec![
        Ok(CertificateSelector::Fingerprint(read.fingerprint)),
        Ok(CertificateSelector::PublicKey(read.spki)),
        CertificateSelector::subject(r#"uid=u1, CN=client \C3\A9, O=A\, \"q\"\; b=c\\d, C=US"#),
        CertificateSelector::dns("client.EXAMPLE"),
        CertificateSelector::email("Me@example.com"),
        Ok(CertificateSelector::Uri("https://example.com/me".into())),
        Ok(CertificateSelector::Ip("192.0.2.7".parse().unwrap())),
        CertificateSelector::serial("0A:1B:2C", "CN=inter, O=Example"),
        CertificateSelector::serial("a1b2c", "CN=inter,O=Example"),
        CertificateSelector::attribute("0.9.2342.19200300.100.1.1", "u1"),
        CertificateSelector::extension("1.3.6.1.4.1.99999.1", "tenant-7"),
    ];
    for selector in yes {
        let selector = selector.unwrap();
        assert!(selector.admits(&read), "{selector:?}");
        assert!(!selector.admits(&other), "{selector:?}");
    }
    let no: Vec<Made> = vec![
        CertificateSelector::subject("CN=client é"),
        CertificateSelector::subject("C=US,CN=client é"),
        CertificateSelector::dns("example"),
        CertificateSelector::dns("*.example"),
        CertificateSelector::email("me@example.com"),
        Ok(CertificateSelector::Uri("https://example.com/".into())),
        CertificateSelector::serial("0a1b2c", "CN=root"),
        CertificateSelector::serial("0a1b2c00", "CN=inter,O=Example"),
        CertificateSelector::attribute("1.3.6.1.4.1.99999.1", "tenant-7"),
        CertificateSelector::extension("1.3.6.1.4.1.99999.1", "tenant-77"),
        CertificateSelector::extension("0.9.2342.19200300.100.1.1", "u1"),
    ];
    for selector in no {
        assert!(!selector.as_ref().unwrap().admits(&read), "{selector:?}");
    }
    let bad: Vec<Made> = vec![
        CertificateSelector::dns(""),
        CertificateSelector::dns("a b"),
        CertificateSelector::email("me"),
        CertificateSelector::serial("", "CN=a"),
        CertificateSelector::serial("xyz", "CN=a"),
        CertificateSelector::serial("0a", ""),
        CertificateSelector::attribute("CN", "a"),
        CertificateSelector::attribute("2.5.04.3", "a"),
        CertificateSelector::attribute("2.5.4.3", ""),
        CertificateSelector::extension("7", "a"),
    ];
    assert!(bad.iter().all(Result::is_err));
}

#[test]
fn names_a_holder_by_one_value_or_not_at_all() {
    let read = certificate("ordinary");
    let name = |field: IdentityField| field.of(&read).map(std::borrow::Cow::into_owned);
    for (field, expected) in [
        (IdentityField::Dns, "client.example"),
        (IdentityField::Email, "Me@example.com"),
        (IdentityField::Uri, "https://example.com/me"),
        (IdentityField::Ip, "192.0.2.7"),
        (IdentityField::Serial, "CN=inter,O=Example#0a1b2c"),
        (
            IdentityField::Attribute("0.9.2342.19200300.100.1.1".into()),
            "u1",
        ),
        (
            IdentityField::Extension("1.3.6.1.4.1.99999.1".into()),
            "tenant-7",
        ),
        (IdentityField::Subject, &read.subject.clone()),
        (IdentityField::Fingerprint, &read.fingerprint.to_hex()),
    ] {
        assert_eq!(name(field).as_deref(), Ok(expected));
    }
    let (two, none) = (certificate("svid_two_uris"), certificate("svid"));
    for (certificate, field) in [
        (&two, IdentityField::Uri),
        (&none, IdentityField::Subject),
        (&none, IdentityField::Dns),
        (&none, IdentityField::Email),
        (&none, IdentityField::Ip),
        (&none, IdentityField::Attribute("2.5.4.3".into())),
        (&none, IdentityField::Extension("2.5.29.17".into())),
    ] {
        assert!(matches!(
            field.of(certificate),
            Err(CertificateFault::NoIdentity(_))
        ));
    }
}

#[test]
fn a_self_signed_certificate_counts_by_its_pin_alone() {
    let (leaf, ca) = (certificate("self_signed"), certificate("self_signed_ca"));
    let by_certificate = |certificate: &PeerCertificate| Pins {
        certificates: vec![certificate.fingerprint],
        ..Pins::default()
    };
    let by_key = Pins {
        public_keys: vec![leaf.spki],
        ..Pins::default()
    };
    assert_eq!(by_certificate(&leaf).judge(&leaf, NOW), Ok(()));
    assert_eq!(by_certificate(&ca).judge(&ca, NOW), Ok(()));
    assert_eq!(
        by_certificate(&leaf).judge(&ca, NOW),
        Err(CertificateFault::NotPinned)
    );
    assert_eq!(by_key.judge(&leaf, NOW), Ok(()));
    // Whoever holds a pinned key that is also a CA's could sign anything with it.
    assert_eq!(by_key.judge(&ca, NOW), Err(CertificateFault::CaAsLeaf));
    assert_eq!(
        Pins::default().judge(&leaf, NOW),
        Err(CertificateFault::NotPinned)
    );
    for (name, fault) in [
        ("svid_expired", "certificate_expired"),
        ("svid_rsa_1024", "certificate_key_weak"),
    ] {
        let certificate = certificate(name);
        let judged = by_certificate(&certificate).judge(&certificate, NOW);
        assert_eq!(judged.unwrap_err().as_str(), fault);
    }
}

#[test]
fn holds_a_certificate_against_the_other_sources() {
    let agrees = |name: &str, principal: &str| {
        certificate(name)
            .agree_with_principal(principal.as_bytes())
            .is_ok()
    };
    for (name, principal, expected) in [
        ("svid", "spiffe://td/ns/billing/sa/worker", true),
        ("svid", "", true),
        ("svid", "spiffe://td/ns/billing/sa/admin", false),
        ("svid_two_uris", "spiffe://td/ns/billing/sa/worker", true),
        ("svid_two_uris", "spiffe://td/ns/web/sa/admin", false),
        ("svid_no_uri", "worker", true),
        ("svid_dns", "worker.billing.svc", false),
        ("self_signed", "CN=alone", true),
        ("self_signed", "CN=other", false),
    ] {
        assert_eq!(agrees(name, principal), expected, "{name} {principal}");
    }
    // The subject as a real Envoy wrote it, in an element with the same certificate.
    let line = file("xfcc_json2.txt");
    let line = std::str::from_utf8(&line).unwrap().lines().nth(1).unwrap();
    let headers = crate::headers::Headers::new([(xfcc::NAME, line)]);
    let element = xfcc::read(&headers, xfcc::Trust::SanitizeSet)
        .unwrap()
        .unwrap()
        .remove(0);
    let chain = element.certificates().unwrap().unwrap();
    let read = PeerCertificate::parse(&chain.leaf).unwrap();
    let subject = element.subject.clone().unwrap();
    assert!(read.agree_with_principal(subject.as_bytes()).is_ok());
    assert!(read.agree_with_element(&element).is_ok());
    let mut forged = element.clone();
    forged.uris = vec!["spiffe://td/admin".into()];
    assert!(read.agree_with_element(&forged).is_err());
    let mut forged = element;
    forged.hash = Some(Digest::of(b"other"));
    assert!(read.agree_with_element(&forged).is_err());
}

#[test]
fn names_every_fault_and_says_it_in_words() {
    let faults = [
        CertificateFault::Missing,
        CertificateFault::Expired(NOW),
        CertificateFault::NotSvid(SvidRule::SeveralUris),
        CertificateFault::TrustDomainRefused("td".into()),
    ];
    let texts = faults.map(|fault| format!("{}: {fault}", fault.as_str()));
    assert_eq!(
        texts,
        [
            "certificate_missing: only names of the client certificate came, and this authenticator judges the certificate itself: let `certificate` be among `--peer-sources`, and set `include_peer_certificate` in Envoy",
            "certificate_expired: the certificate expired at 2027-01-15T08:00:00.000Z",
            "certificate_not_svid: the certificate is no X.509-SVID: it has more than one URI SAN",
            "trust_domain_refused: no bundle is configured for the trust domain `td`",
        ]
    );
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = PeerCertificate::parse(&bytes);
    }

    /// A changed byte is refused, or makes another certificate: never the same fingerprint.
    #[test]
    fn a_changed_byte_never_goes_unseen(at in 0usize..2000, by in 1u8..=255) {
        let mut changed = der("ordinary");
        let at = at % changed.len();
        changed[at] = changed[at].wrapping_add(by);
        if let Ok(read) = PeerCertificate::parse(&changed) {
            assert!(read.fingerprint != certificate("ordinary").fingerprint);
        }
    }
}
