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
