use std::sync::Arc;
use std::time::Duration;

use super::Bundles;
use super::bundle::{BadBundle, SpiffeBundle, TrustBundle};
use super::revocation::{BadRevocationList, Revocation, UnknownStatus};
use crate::authn::certificate::PeerCertificate;
use crate::authn::certificate::fault::CertificateFault;
use crate::authn::spiffe::TrustDomain;
use crate::clock::Timestamp;
use crate::request::peer::pem;
use proptest::prelude::proptest;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/certs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The certificates of a file: the leaf, and its chain.
fn chain(name: &str) -> (PeerCertificate, Vec<Vec<u8>>) {
    let mut all = pem::certificates(&file(&format!("{name}.pem"))).unwrap();
    let leaf = PeerCertificate::parse(&all.remove(0)).unwrap();
    (leaf, all)
}

fn bundle(names: &[&str]) -> TrustBundle {
    let all: Vec<u8> = names
        .iter()
        .flat_map(|name| file(&format!("{name}.pem")))
        .collect();
    TrustBundle::from_pem(&all).unwrap()
}

fn verify(bundle: &TrustBundle, name: &str) -> Result<(), CertificateFault> {
    let (leaf, intermediates) = chain(name);
    bundle.verify(&leaf, &intermediates, None, NOW)
}

fn lists(files: &[&str], unknown: UnknownStatus) -> Revocation {
    let mut revocation = Revocation::new(unknown);
    for name in files {
        revocation.add(&file(name)).unwrap();
    }
    revocation
}

#[test]
fn verifies_chains_to_an_authority() {
    let root = bundle(&["root"]);
    for name in [
        "svid",
        "svid_rsa",
        "svid_ed25519",
        "svid_p384",
        "svid_no_usages",
        "svid_dns",
    ] {
        assert_eq!(verify(&root, name), Ok(()), "{name}");
    }
    let (leaf, _) = chain("svid_by_inter");
    let inter = pem::certificates(&file("inter.pem")).unwrap();
    let junk = pem::certificates(&file("other_root.pem")).unwrap();
    assert_eq!(root.verify(&leaf, &inter, None, NOW), Ok(()));
    assert_eq!(
        root.verify(&leaf, &[junk.clone(), inter.clone()].concat(), None, NOW),
        Ok(())
    );
    assert_eq!(bundle(&["inter"]).verify(&leaf, &[], None, NOW), Ok(()));
    assert_eq!(verify(&bundle(&["other_root", "root"]), "svid"), Ok(()));
    let missing = root.verify(&leaf, &junk, None, NOW);
    assert_eq!(missing.unwrap_err().as_str(), "certificate_untrusted");
    let many = vec![inter[0].clone(); 8];
    assert!(matches!(
        root.verify(&leaf, &many, None, NOW),
        Err(CertificateFault::Malformed(_))
    ));
}

#[test]
fn refuses_what_no_authority_vouches_for() {
    let root = bundle(&["root"]);
    for (name, fault, word) in [
        ("other_svid", "certificate_untrusted", "no authority"),
        ("self_signed", "certificate_untrusted", "no authority"),
        ("svid_expired", "certificate_expired", "2026-06-01"),
        (
            "svid_not_yet_valid",
            "certificate_not_yet_valid",
            "2040-01-01",
        ),
        ("svid_ca", "certificate_ca_as_leaf", "CA"),
        ("root", "certificate_ca_as_leaf", "CA"),
        ("svid_rsa_1024", "certificate_key_weak", "2,048"),
        (
            "svid_server_only",
            "certificate_purpose_refused",
            "clientAuth",
        ),
        ("by_no_sign", "certificate_untrusted", "keyCertSign"),
        ("by_old_inter", "certificate_untrusted", "expired"),
        ("by_leaf", "certificate_untrusted", "no authority's"),
        ("by_too_long", "certificate_untrusted", "longer"),
        ("by_server_ca", "certificate_untrusted", "clients"),
        ("by_weak_inter", "certificate_untrusted", "too weak"),
    ] {
        let refused = verify(&root, name).unwrap_err();
        assert_eq!(refused.as_str(), fault, "{name}: {refused}");
        assert!(refused.to_string().contains(word), "{name}: {refused}");
    }
    let tampered = PeerCertificate::parse(&file("tampered.der")).unwrap();
    let refused = root.verify(&tampered, &[], None, NOW).unwrap_err();
    assert!(refused.to_string().contains("signature"), "{refused}");
    let nobody = TrustBundle::from_der([]).unwrap();
    assert!(matches!(
        verify(&nobody, "svid"),
        Err(CertificateFault::Untrusted(_))
    ));
}

#[test]
fn an_authority_vouches_while_it_is_in_time() {
    let refused = verify(&bundle(&["old_root"]), "by_old_root").unwrap_err();
    assert!(refused.to_string().contains("has expired"), "{refused}");
    assert_eq!(
        verify(&bundle(&["old_root", "old_root_renewed"]), "by_old_root"),
        Ok(())
    );
    assert_eq!(
        verify(&bundle(&["old_root_renewed", "old_root"]), "by_old_root"),
        Ok(())
    );
    let (leaf, _) = chain("by_old_root");
    let then = Timestamp::from_seconds(1_770_000_000);
    assert_eq!(bundle(&["old_root"]).verify(&leaf, &[], None, then), Ok(()));
}

#[test]
fn c3_a_bundle_vouches_for_its_own_trust_domain_alone() {
    let domain = |name: &str| TrustDomain::parse(name.as_bytes()).unwrap();
    let bundles = Bundles::new([
        (domain("td"), Arc::new(bundle(&["root"]))),
        (domain("partner"), Arc::new(bundle(&["other_root"]))),
    ]);
    let svid = |name: &str| {
        let (leaf, intermediates) = chain(name);
        bundles.verify_svid(&leaf, &intermediates, None, NOW)
    };
    assert_eq!(svid("svid").unwrap().trust_domain(), "td");
    assert_eq!(svid("partner_svid").unwrap().trust_domain(), "partner");
    // The partner's authority issues an ID of ours.
    assert_eq!(
        svid("other_svid").unwrap_err().as_str(),
        "certificate_untrusted"
    );
    assert_eq!(
        svid("svid_two_uris").unwrap_err().as_str(),
        "certificate_not_svid"
    );
    assert_eq!(
        svid("svid_expired").unwrap_err().as_str(),
        "certificate_expired"
    );
    let ours = Bundles::new([(domain("td"), Arc::new(bundle(&["root", "other_root"])))]);
    let (leaf, _) = chain("partner_svid");
    assert_eq!(
        ours.verify_svid(&leaf, &[], None, NOW),
        Err(CertificateFault::TrustDomainRefused("partner".into()))
    );
}

#[test]
fn judges_uri_name_constraints_of_an_authority() {
    let td = bundle(&["constrained_root"]);
    let excluding = bundle(&["excluding_root"]);
    for (bundle, name, good) in [
        (&td, "constrained_good", true),
        (&td, "constrained_bad", false),
        (&td, "constrained_dns_bad", false),
        (&td, "constrained_by_inter", true),
        (&td, "constrained_by_stray_inter", false),
        (&excluding, "excluding_good", true),
        (&excluding, "excluding_bad", false),
    ] {
        let verified = verify(bundle, name);
        assert_eq!(verified.is_ok(), good, "{name}: {verified:?}");
        if let Err(refused) = verified {
            assert_eq!(
                refused.as_str(),
                "certificate_name_constrained",
                "{name}: {refused}"
            );
        }
    }
}

#[test]
fn refuses_uri_name_constraints_of_an_intermediate_with_a_text_of_its_own() {
    let refused = verify(&bundle(&["root"]), "by_constrained_inter").unwrap_err();
    assert_eq!(refused.as_str(), "certificate_name_constrained");
    assert!(
        refused.to_string().contains("put it into the bundle"),
        "{refused}"
    );
    // Which is the way out.
    let (leaf, intermediates) = chain("by_constrained_inter");
    let own = TrustBundle::from_der(intermediates.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(own.verify(&leaf, &[], None, NOW), Ok(()));
}

#[test]
fn judges_revocation() {
    use UnknownStatus::{Accept, Refuse};
    let root = bundle(&["root"]);
    let (svid, _) = chain("svid");
    let (dns, _) = chain("svid_dns");
    let (by_inter, _) = chain("svid_by_inter");
    let inter = pem::certificates(&file("inter.pem")).unwrap();
    for (leaf, intermediates, files, unknown, fault) in [
        (
            &svid,
            &vec![],
            vec!["root_revokes_none.crl.pem"],
            Refuse,
            None,
        ),
        (
            &svid,
            &vec![],
            vec!["root_revokes_svid.crl.pem"],
            Refuse,
            Some("certificate_revoked"),
        ),
        (
            &svid,
            &vec![],
            vec!["root_revokes_svid.crl.der"],
            Accept,
            Some("certificate_revoked"),
        ),
        (
            &dns,
            &vec![],
            vec!["root_revokes_svid.crl.pem"],
            Refuse,
            None,
        ),
        (
            &svid,
            &vec![],
            vec!["root_expired.crl.pem"],
            Refuse,
            Some("certificate_revocation_unknown"),
        ),
        (
            &svid,
            &vec![],
            vec!["root_expired.crl.pem"],
            Accept,
            Some("certificate_revocation_unknown"),
        ),
        (
            &svid,
            &vec![],
            vec!["root_forged.crl.pem"],
            Accept,
            Some("certificate_revocation_unknown"),
        ),
        (
            &svid,
            &vec![],
            vec!["inter_revokes_none.crl.pem"],
            Refuse,
            Some("certificate_revocation_unknown"),
        ),
        (
            &svid,
            &vec![],
            vec!["inter_revokes_none.crl.pem"],
            Accept,
            None,
        ),
        (
            &by_inter,
            &inter,
            vec!["inter_revokes_none.crl.pem"],
            Refuse,
            Some("certificate_revocation_unknown"),
        ),
        (
            &by_inter,
            &inter,
            vec!["inter_revokes_none.crl.pem", "root_revokes_none.crl.pem"],
            Refuse,
            None,
        ),
        (
            &by_inter,
            &inter,
            vec!["inter_revokes_none.crl.pem", "root_revokes_inter.crl.pem"],
            Refuse,
            Some("certificate_revoked"),
        ),
        (
            &svid,
            &vec![],
            vec![],
            Refuse,
            Some("certificate_revocation_unknown"),
        ),
    ] {
        let revocation = lists(&files, unknown);
        let verified = root.verify(leaf, intermediates, Some(&revocation), NOW);
        let found = verified.as_ref().err().map(CertificateFault::as_str);
        assert_eq!(found, fault, "{files:?} {unknown:?} {verified:?}");
    }
}

#[test]
fn refuses_files_that_are_no_revocation_lists() {
    for bad in [&b""[..], b"text", b"\x30\x00", &file("root.pem")] {
        let added = Revocation::new(UnknownStatus::Refuse).add(bad);
        assert_eq!(added, Err(BadRevocationList::Unreadable));
    }
}

#[test]
fn reads_authorities_and_nothing_else() {
    assert_eq!(bundle(&["root", "inter", "root"]).len(), 2);
    let explained = [
        b"# the root\nsubject=CN = root\n".to_vec(),
        file("root.pem"),
    ]
    .concat();
    assert_eq!(TrustBundle::from_pem(&explained).unwrap().len(), 1);
    let of = |names: &[&str]| {
        let all: Vec<u8> = names
            .iter()
            .flat_map(|name| file(&format!("{name}.pem")))
            .collect();
        TrustBundle::from_pem(&all).unwrap_err()
    };
    assert_eq!(of(&["root", "svid"]), BadBundle::NoAuthority(2));
    assert_eq!(of(&["self_signed"]), BadBundle::NoAuthority(1));
    assert!(matches!(
        of(&["weak_root"]),
        BadBundle::Certificate(1, CertificateFault::KeyWeak(_))
    ));
    assert!(matches!(
        of(&["whole_uri_root"]),
        BadBundle::Constraints(1, _)
    ));
    assert_eq!(TrustBundle::from_pem(b"").unwrap_err(), BadBundle::Empty);
    assert_eq!(
        TrustBundle::from_pem(b"text").unwrap_err(),
        BadBundle::Empty
    );
    let cut = file("root.pem");
    assert_eq!(
        TrustBundle::from_pem(&cut[..cut.len() - 30]).unwrap_err(),
        BadBundle::Pem
    );
    let big = vec![b' '; 5 * 1024 * 1024];
    assert_eq!(
        TrustBundle::from_pem(&big).unwrap_err(),
        BadBundle::TooLarge
    );
}

#[test]
fn reads_a_spiffe_bundle() {
    let bundle = SpiffeBundle::from_json(&file("bundle.json")).unwrap();
    assert_eq!((bundle.x509.len(), bundle.jwt_keys.len()), (1, 1));
    assert_eq!(bundle.sequence, Some(7));
    assert_eq!(bundle.refresh_hint, Some(Duration::from_secs(300)));
    assert_eq!(verify(&bundle.x509, "svid"), Ok(()));
    let empty = SpiffeBundle::from_json(br#"{"keys": [], "other": 1}"#).unwrap();
    assert!(empty.x509.is_empty());
    assert!(verify(&empty.x509, "svid").is_err());
}

#[test]
fn refuses_what_is_no_spiffe_bundle() {
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"keys": {}}"#,
        r#"{"keys": [1]}"#,
        r#"{"keys": [{}]}"#,
        r#"{"keys": [], "keys": []}"#,
        r#"{"keys": [], "spiffe_sequence": -1}"#,
        r#"{"keys": [], "spiffe_sequence": "7"}"#,
        r#"{"keys": [], "spiffe_refresh_hint": 1.5}"#,
        r#"{"keys": [{"use": "x509-svid", "kty": "EC"}]}"#,
        r#"{"keys": [{"use": "x509-svid", "kty": "EC", "x5c": []}]}"#,
        r#"{"keys": [{"use": "x509-svid", "kty": "EC", "x5c": ["AA==", "AA=="]}]}"#,
        r#"{"keys": [{"use": "x509-svid", "kty": "EC", "x5c": [1]}]}"#,
        r#"{"keys": [{"use": "x509-svid", "kty": "EC", "x5c": ["*"]}]}"#,
        r#"{"keys": [{"use": "x509-svid", "kty": "EC", "x5c": ["AA=="]}]}"#,
        r#"{"keys": [{"use": "jwt-svid", "kty": "EC"}]}"#,
        r#"{"keys": [{"use": "jwt-svid", "kty": "EC", "kid": ""}]}"#,
        r#"{"keys": [{"use": "jwt-svid", "kty": "EC", "kid": "a"}, {"use": "jwt-svid", "kty": "EC", "kid": "a"}]}"#,
    ] {
        assert!(SpiffeBundle::from_json(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn an_independent_library_makes_chains_that_verify() {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        KeyUsagePurpose, SanType,
    };
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_cert = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::URI("spiffe://td/ns/a/sa/b".try_into().unwrap())];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    let bundle = TrustBundle::from_der([authority_cert.der().as_ref()]).unwrap();
    let leaf = PeerCertificate::parse(leaf.der()).unwrap();
    assert_eq!(leaf.svid().unwrap().as_str(), "spiffe://td/ns/a/sa/b");
    assert_eq!(bundle.verify(&leaf, &[], None, NOW), Ok(()));
}

proptest! {
    /// Whatever byte of a leaf is changed, its chain does not verify.
    #[test]
    fn a_change_of_any_byte_never_verifies(at in 0usize..2000, by in 1u8..=255) {
        let mut changed = pem::certificates(&file("svid.pem")).unwrap().remove(0);
        let at = at % changed.len();
        changed[at] = changed[at].wrapping_add(by);
        if let Ok(leaf) = PeerCertificate::parse(&changed) {
            assert!(bundle(&["root"]).verify(&leaf, &[], None, NOW).is_err());
        }
    }
}
