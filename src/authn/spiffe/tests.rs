use super::{BadSpiffeId, SpiffeId, TrustDomain, TrustDomains};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

fn parse(text: &str) -> Result<SpiffeId, BadSpiffeId> {
    SpiffeId::parse(text.as_bytes())
}

#[test]
fn reads_what_the_standard_allows() {
    let long_domain = format!("spiffe://{}", "a".repeat(255));
    let long_id = format!("spiffe://td/{}", "a".repeat(2048 - 12));
    for (text, domain, path) in [
        ("spiffe://td", "td", ""),
        ("spiffe://a.b-c_d.9/x", "a.b-c_d.9", "/x"),
        ("spiffe://td/ns/a/sa/b", "td", "/ns/a/sa/b"),
        ("spiffe://td/A.b-c_9", "td", "/A.b-c_9"),
        ("spiffe://td/...", "td", "/..."),
        ("spiffe://10.0.0.1/a", "10.0.0.1", "/a"),
        (&long_domain, &"a".repeat(255), ""),
        (&long_id, "td", long_id.get(11..).unwrap()),
    ] {
        let id = parse(text).unwrap();
        assert_eq!(
            (id.as_str(), id.trust_domain(), id.path()),
            (text, domain, path)
        );
        assert_eq!(id.is_root(), path.is_empty());
    }
}

#[test]
fn c3_refuses_what_no_spiffe_id_has() {
    for (text, why) in [
        ("", BadSpiffeId::Empty),
        ("spiffe:/td/a", BadSpiffeId::Scheme),
        ("SPIFFE://td/a", BadSpiffeId::Scheme),
        ("Spiffe://td/a", BadSpiffeId::Scheme),
        ("https://td/a", BadSpiffeId::Scheme),
        (" spiffe://td/a", BadSpiffeId::Scheme),
        ("//td/a", BadSpiffeId::Scheme),
        ("spiffe://", BadSpiffeId::NoTrustDomain),
        ("spiffe:///a", BadSpiffeId::NoTrustDomain),
        ("spiffe://TD/a", BadSpiffeId::UpperCase),
        ("spiffe://user@td/a", BadSpiffeId::UserInfo),
        ("spiffe://user:pw@td/a", BadSpiffeId::Port),
        ("spiffe://td:443/a", BadSpiffeId::Port),
        ("spiffe://td:/a", BadSpiffeId::Port),
        ("spiffe://[::1]/a", BadSpiffeId::TrustDomainCharacter),
        ("spiffe://t d/a", BadSpiffeId::TrustDomainCharacter),
        ("spiffe://td\0/a", BadSpiffeId::TrustDomainCharacter),
        ("spiffe://тд/a", BadSpiffeId::TrustDomainCharacter),
        ("spiffe://t%64/a", BadSpiffeId::PercentEncoding),
        ("spiffe://td?x", BadSpiffeId::QueryOrFragment),
        ("spiffe://td#x", BadSpiffeId::QueryOrFragment),
        ("spiffe://td/a?x", BadSpiffeId::QueryOrFragment),
        ("spiffe://td/a#x", BadSpiffeId::QueryOrFragment),
        ("spiffe://td/a%2fb", BadSpiffeId::PercentEncoding),
        ("spiffe://td/", BadSpiffeId::TrailingSlash),
        ("spiffe://td/a/", BadSpiffeId::TrailingSlash),
        ("spiffe://td//", BadSpiffeId::TrailingSlash),
        ("spiffe://td//a", BadSpiffeId::EmptySegment),
        ("spiffe://td/a//b", BadSpiffeId::EmptySegment),
        ("spiffe://td/./a", BadSpiffeId::DotSegment),
        ("spiffe://td/a/..", BadSpiffeId::DotSegment),
        ("spiffe://td/a/../b", BadSpiffeId::DotSegment),
        ("spiffe://td/a b", BadSpiffeId::PathCharacter),
        ("spiffe://td/a\0b", BadSpiffeId::PathCharacter),
        ("spiffe://td/a\n", BadSpiffeId::PathCharacter),
        ("spiffe://td/a,b", BadSpiffeId::PathCharacter),
        (
            "spiffe://td/x;URI=spiffe://td/admin",
            BadSpiffeId::PathCharacter,
        ),
        ("spiffe://td/a*", BadSpiffeId::PathCharacter),
        ("spiffe://td/ä", BadSpiffeId::PathCharacter),
        ("spiffe://td/a!", BadSpiffeId::PathCharacter),
        ("spiffe://td\\a", BadSpiffeId::TrustDomainCharacter),
    ] {
        assert_eq!(parse(text), Err(why), "{text}");
    }
    assert_eq!(
        parse(&format!("spiffe://{}", "a".repeat(256))),
        Err(BadSpiffeId::TrustDomainTooLong)
    );
    assert_eq!(
        parse(&format!("spiffe://td/{}", "a".repeat(2048 - 11))),
        Err(BadSpiffeId::TooLong)
    );
    assert_eq!(
        SpiffeId::parse(b"spiffe://td/\xff"),
        Err(BadSpiffeId::PathCharacter)
    );
}

#[test]
fn a_trust_domain_is_a_name_alone() {
    assert!(TrustDomain::parse(b"prod.example.com").is_ok());
    for bad in ["", "spiffe://td", "td/a", "TD", "td:1", "*.td", "td "] {
        assert!(TrustDomain::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn admits_by_whole_trust_domain() {
    let domains = TrustDomains::new([
        TrustDomain::parse(b"td").unwrap(),
        TrustDomain::parse(b"b.example").unwrap(),
    ]);
    for (text, admitted) in [
        ("spiffe://td/a", true),
        ("spiffe://b.example/a", true),
        ("spiffe://a.b.example/a", false),
        ("spiffe://tdx/a", false),
        ("spiffe://t/d/a", false),
    ] {
        assert_eq!(domains.admit(&parse(text).unwrap()), admitted, "{text}");
    }
    assert!(!TrustDomains::default().admit(&parse("spiffe://td/a").unwrap()));
}

/// Texts near enough to IDs to get past the first checks.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"spiffe://".to_vec()),
        Just(b"/".to_vec()),
        Just(b"..".to_vec()),
        Just(b"td".to_vec()),
        Just(b"ns/a/sa/b".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..3),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// An ID that was read is made of its parts alone, and of allowed characters alone.
    #[test]
    fn whatever_is_read_is_canonical(text in near()) {
        if let Ok(id) = SpiffeId::parse(&text) {
            assert_eq!(id.as_str().as_bytes(), &text[..]);
            assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), id.as_str());
            assert!(id.segments().all(|segment| !matches!(segment, "" | "." | "..")));
            assert!(id.as_str().bytes().skip(9).all(|b| b.is_ascii_alphanumeric() || b"./-_".contains(&b)));
        }
    }
}
