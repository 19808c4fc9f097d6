use super::{Handed, PeerSources};
use crate::headers::Headers;
use crate::request::peer::xfcc::Trust;
use crate::request::raw::RawPeer;
use proptest::prelude::{Strategy, any, proptest};

fn all() -> PeerSources {
    PeerSources {
        certificate: true,
        principal: true,
        xfcc: Some(Trust::SanitizeSet),
        client_cert: true,
    }
}

#[test]
fn two_ways_to_hand_over_never_have_one_digest() {
    let peer = |certificate: &str, principal: &str| RawPeer {
        certificate: certificate.to_owned().into(),
        principal: principal.to_owned().into(),
        ..RawPeer::default()
    };
    let (xfcc, leaf, chain) = (
        "x-forwarded-client-cert",
        "client-cert",
        "client-cert-chain",
    );
    let mut digests = Vec::new();
    for (source, lines) in [
        (peer("", ""), vec![]),
        (peer("a", ""), vec![]),
        (peer("", "a"), vec![]),
        (peer("", ""), vec![(xfcc, "a")]),
        (peer("", ""), vec![(xfcc, "a"), (xfcc, "a")]),
        (peer("", ""), vec![(xfcc, "-")]),
        (peer("", ""), vec![(xfcc, "")]),
        (peer("", ""), vec![(leaf, "a")]),
        (peer("", ""), vec![(chain, "a")]),
        (peer("", ""), vec![(leaf, "a"), (chain, "a")]),
        (peer("", ""), vec![(xfcc, "a"), (leaf, "a")]),
        (peer("", ""), vec![(xfcc, "client-cert")]),
    ] {
        let headers = Headers::new(lines.clone());
        let digest = Handed::new(&source, &headers, all()).digest().to_hex();
        assert!(!digests.contains(&digest), "{lines:?}");
        digests.push(digest);
    }
}

#[test]
fn what_does_not_count_is_not_seen() {
    let source = RawPeer {
        principal: "spiffe://td/a".into(),
        ..RawPeer::default()
    };
    let headers = Headers::new([
        ("x-forwarded-client-cert", "URI=spiffe://td/a"),
        ("client-cert", ":AAEC:"),
    ]);
    let handed = Handed::new(&source, &headers, PeerSources::default());
    assert!(handed.is_empty());
    assert!(handed.is_told_elsewhere());
    assert!(handed.read().unwrap().is_none());
}

/// Beside a proxy that tells of its callers, the connection's certificate is that proxy's own.
#[test]
fn a_proxy_that_tells_of_nobody_is_not_its_caller() {
    let source = RawPeer {
        certificate: "-----BEGIN CERTIFICATE-----%0AAAEC%0A-----END CERTIFICATE-----%0A".into(),
        principal: "spiffe://td/proxy".into(),
        ..RawPeer::default()
    };
    let headers = Headers::new([("host", "a")]);
    let sources = PeerSources {
        xfcc: None,
        ..all()
    };
    let told = |sources| Handed::new(&source, &headers, sources).read().unwrap();
    assert!(told(sources).is_none());
    for client_cert in [false, true] {
        let sources = PeerSources {
            client_cert,
            ..sources
        };
        assert_eq!(told(sources).is_some(), !client_cert);
    }
}

#[test]
fn no_spelling_of_a_header_that_tells_of_a_peer_passes() {
    let nobody = PeerSources::default();
    for (name, forged_where_nobody, forged_where_all) in [
        // Taken out by name already.
        ("x-forwarded-client-cert", false, false),
        ("x_forwarded_client_cert", false, true),
        ("x-forwarded_client-cert", true, true),
        ("x.forwarded.client.cert", true, true),
        ("client-cert", false, false),
        ("client_cert", false, true),
        ("client.cert", true, true),
        ("client-cert_chain", true, true),
        ("client-cert-chain", false, false),
        ("client-certs", false, false),
        ("x-client-cert", false, false),
    ] {
        let forged = nobody.is_forged(name.as_bytes());
        assert_eq!(forged, forged_where_nobody, "{name}");
        let removed = forged || nobody.untrusted_headers().any(|told| told == name);
        let ours = name.replace(['_', '.'], "-");
        let tells = [
            "x-forwarded-client-cert",
            "client-cert",
            "client-cert-chain",
        ];
        assert_eq!(removed, tells.contains(&ours.as_str()), "{name}");
        assert_eq!(all().is_forged(name.as_bytes()), forged_where_all, "{name}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(
        certificate in proptest::collection::vec(any::<u8>(), 0..60),
        principal in proptest::collection::vec(any::<u8>(), 0..30),
        header in "[A-Za-z=;,:\"\\[{} %-]{0,60}",
        hops in (1u8..4).prop_map(|hops| std::num::NonZeroU8::new(hops).unwrap()),
    ) {
        let source = RawPeer {
            certificate: certificate.into(),
            principal: principal.into(),
            ..RawPeer::default()
        };
        let headers = Headers::new([
            ("x-forwarded-client-cert", header.as_bytes()),
            ("client-cert", header.as_bytes()),
        ]);
        let sources = PeerSources { xfcc: Some(Trust::Hops(hops)), ..all() };
        let _ = Handed::new(&source, &headers, sources).read();
    }
}
