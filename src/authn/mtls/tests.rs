//! Stories of certificates through the whole pipeline. The certificates are made by `tests/certs/make.py`.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::Recorder;
use crate::authn::certificate::PeerCertificate;
use crate::authn::mtls::Judged;
use crate::authn::mtls::known::Entry;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::diagnostic::Diagnostics;
use crate::pipeline::Pipeline;
use crate::request::peer::pem;
use crate::request::peer::sources::PeerSources;
use crate::request::peer::xfcc::Trust;
use crate::request::raw::{RawCheck, RawPeer};
use crate::respond::Allow;
use crate::test_support::{self, World, key_entry, mistakes, raw};
use crate::verdict::{Reason, Verdict};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certs");

/// What Envoy hands over of a client with the first certificate of a file.
pub(super) fn peer(name: &str) -> RawPeer {
    let file = std::fs::read(format!("{DIRECTORY}/{name}.pem")).unwrap();
    let der = pem::certificates(&file).unwrap().remove(0);
    let principal = match PeerCertificate::parse(&der) {
        Ok(certificate) => certificate.principal(),
        Err(_) => "unreadable".to_owned(),
    };
    RawPeer {
        certificate: encoded(&file).into(),
        principal: principal.into(),
        ..RawPeer::default()
    }
}

/// The first certificate of a PEM file as Envoy writes it.
pub(super) fn encoded(file: &[u8]) -> String {
    let text = std::str::from_utf8(file).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let (first, _) = text.split_once(end).unwrap();
    let first = format!("{first}{end}");
    let escaped = |c: char| match c {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '-' => c.to_string(),
        _ => format!("%{:02X}", u32::from(c)),
    };
    first.chars().map(escaped).collect()
}

fn with(target: &str, headers: &[(&str, &str)], source: RawPeer) -> RawCheck {
    RawCheck {
        source,
        ..raw("GET", target, headers)
    }
}

fn policy(authenticators: &str, consumers: &str, routes: &str) -> String {
    let authenticators = authenticators.replace("DIR", DIRECTORY);
    format!(
        "authenticators:\n  key: {{api_key: {{}}}}\n{authenticators}\nconsumers:\n  acme: {{scopes: [read], credentials: {{key: [{}]}}}}\n{consumers}\npolicies:\n  api:\n    hosts: [api.example.com]\n    inject: {{x-auth-principal: principal.id, x-auth-peer: peer.spiffe_id, x-auth-fingerprint: peer.fingerprint, x-auth-consumer: consumer.name, x-auth-kind: principal.kind}}\n    routes:\n{routes}\n",
        key_entry("k1", "secret-key")
    )
}

const MESH: &str = "  mesh: {mtls: {trust_domains: [td], any_workload: true}}";

fn allowed(verdict: &Verdict) -> &Allow {
    match verdict {
        Verdict::Allow(allow) => allow,
        other => panic!("{:?}", other.reason()),
    }
}

fn header(allow: &Allow, name: &str) -> Option<String> {
    let mut set = allow.set().iter();
    let (_, value) = set.find(|(set, _)| set.as_ref() == name)?;
    Some(value.clone())
}

/// How a check of the one route ends.
fn ends(world: &World, name: &str) -> Reason {
    world.judge(with("/a", &[], peer(name))).reason()
}

#[test]
fn a_workload_is_known_by_its_spiffe_id() {
    let world = World::new(&policy(MESH, "", "      - {path: /a, authenticate: mesh}"));
    let verdict = world.judge(with("/a", &[], peer("svid")));
    let allow = allowed(&verdict);
    let id = "spiffe://td/ns/billing/sa/worker";
    for (name, value) in [
        ("x-auth-principal", format!("mesh:{id}")),
        ("x-auth-peer", id.to_owned()),
        ("x-auth-kind", "mtls".to_owned()),
    ] {
        assert_eq!(header(allow, name), Some(value), "{name}");
    }
    let fingerprint = header(allow, "x-auth-fingerprint").unwrap();
    assert_eq!(fingerprint.len(), 64);
    let line = world.records.last().line;
    assert!(
        line.contains(&format!("\"principal\":\"mesh:{id}\"")),
        "{line}"
    );
    assert!(line.contains(&fingerprint), "{line}");
}

#[test]
fn refuses_what_is_no_svid_each_with_its_own_reason() {
    let route = "      - {path: /a, authenticate: mesh}";
    let bundled = "  mesh: {mtls: {trust_domains: [td], any_workload: true, bundles: {td: {file: DIR/root.pem}}}}";
    let json = "  mesh: {mtls: {trust_domains: [td], any_workload: true, bundles: {td: {file: DIR/bundle.json}}}}";
    for mesh in [MESH, bundled, json] {
        let world = World::new(&policy(mesh, "", route));
        for (name, reason) in [
            ("svid", Reason::Allowed),
            ("svid_dns", Reason::Allowed),
            ("svid_rsa", Reason::Allowed),
            ("svid_p384", Reason::Allowed),
            ("svid_no_usages", Reason::Allowed),
            ("partner_svid", Reason::TrustDomainRefused),
            ("svid_expired", Reason::CertificateExpired),
            ("svid_not_yet_valid", Reason::CertificateNotYetValid),
            ("svid_ca", Reason::CertificateCaAsLeaf),
            ("svid_key_cert_sign", Reason::CertificateNotSvid),
            ("svid_crl_sign", Reason::CertificateNotSvid),
            ("svid_no_digital_signature", Reason::CertificateNotSvid),
            ("svid_server_only", Reason::CertificateNotSvid),
            ("svid_any_eku", Reason::CertificateNotSvid),
            ("svid_two_uris", Reason::CertificateNotSvid),
            ("svid_no_uri", Reason::CertificateNotSvid),
            ("svid_not_spiffe", Reason::CertificateNotSvid),
            ("svid_no_path", Reason::CertificateNotSvid),
            ("svid_upper_case", Reason::SpiffeIdMalformed),
            ("svid_dot_segments", Reason::SpiffeIdMalformed),
            ("svid_injection", Reason::SpiffeIdMalformed),
            ("svid_comma", Reason::SpiffeIdMalformed),
            ("svid_rsa_1024", Reason::CertificateKeyWeak),
            ("svid_secp256k1", Reason::CertificateKeyWeak),
            ("ordinary", Reason::CertificateNotSvid),
            ("unknown_critical", Reason::CertificateMalformed),
            ("san_empty", Reason::CertificateMalformed),
            ("nul_in_uri", Reason::CertificateMalformed),
            ("nul_in_dns", Reason::CertificateMalformed),
            ("control_in_uri", Reason::CertificateMalformed),
            ("uri_not_ascii", Reason::CertificateMalformed),
        ] {
            assert_eq!(ends(&world, name), reason, "{name} with {mesh}");
        }
    }
}

#[test]
fn each_trust_domain_has_its_own_authorities() {
    let both = "  mesh: {mtls: {trust_domains: [td, partner], any_workload: true, bundles: {td: {file: DIR/root.pem}, partner: {file: DIR/other_root.pem}}}}";
    let world = World::new(&policy(both, "", "      - {path: /a, authenticate: mesh}"));
    for (name, reason) in [
        ("svid", Reason::Allowed),
        ("partner_svid", Reason::Allowed),
        // The partner's authority issues an ID of ours.
        ("other_svid", Reason::CertificateUntrusted),
        // Its intermediate authority did not come along.
        ("svid_by_inter", Reason::CertificateUntrusted),
    ] {
        assert_eq!(ends(&world, name), reason, "{name}");
    }
}

#[test]
fn revocation_lists_are_judged_and_end() {
    let mesh = |crl: &str, unknown: &str| {
        let text = format!(
            "  mesh: {{mtls: {{trust_domains: [td], any_workload: true, bundles: {{td: {{file: DIR/root.pem}}}}, crls: [{{file: DIR/{crl}}}]{unknown}}}}}"
        );
        World::new(&policy(&text, "", "      - {path: /a, authenticate: mesh}"))
    };
    for (crl, unknown, reason) in [
        ("root_revokes_none.crl.pem", "", Reason::Allowed),
        ("root_revokes_svid.crl.pem", "", Reason::CertificateRevoked),
        ("root_revokes_svid.crl.der", "", Reason::CertificateRevoked),
        (
            "root_expired.crl.pem",
            "",
            Reason::CertificateRevocationUnknown,
        ),
        (
            "root_forged.crl.pem",
            "",
            Reason::CertificateRevocationUnknown,
        ),
        (
            "inter_revokes_none.crl.pem",
            "",
            Reason::CertificateRevocationUnknown,
        ),
        (
            "inter_revokes_none.crl.pem",
            ", unknown_revocation: accept",
            Reason::Allowed,
        ),
    ] {
        let world = mesh(crl, unknown);
        for _ in 0..2 {
            assert_eq!(ends(&world, "svid"), reason, "{crl}{unknown}");
        }
    }
}

#[test]
fn what_was_judged_before_is_judged_anew_when_time_has_passed() {
    let mesh = "  mesh: {mtls: {trust_domains: [td], any_workload: true, bundles: {td: {file: DIR/root.pem}}, crls: [{file: DIR/root_expired.crl.pem}]}}";
    let world = World::new(&policy(mesh, "", "      - {path: /a, authenticate: mesh}"));
    // 2026-05-31, a day before the list ends.
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_780_185_600)));
    let ticking: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let recorder: Arc<dyn Recorder> = Arc::<test_support::Records>::clone(&world.records);
    let pipeline = Pipeline::new(world.pipeline.snapshot(), ticking, recorder, false);
    let world = World {
        pipeline,
        clock,
        ..world
    };
    assert_eq!(ends(&world, "svid"), Reason::Allowed);
    assert_eq!(ends(&world, "svid_expired"), Reason::Allowed);
    world.clock.advance(Duration::from_secs(86_401));
    assert_eq!(ends(&world, "svid"), Reason::CertificateRevocationUnknown);
    assert_eq!(ends(&world, "svid_expired"), Reason::CertificateExpired);
}

#[test]
fn what_was_judged_holds_from_then_until_something_ends() {
    let at = Timestamp::from_seconds;
    let refusal = crate::verdict::Refusal::new(Reason::CertificateRefused, "");
    let mut entry = Entry {
        judged: Judged::Outside(Arc::new(refusal)),
        from: at(100),
        until: Some(at(200)),
    };
    for (now, holds) in [(99, false), (100, true), (199, true), (200, false)] {
        assert_eq!(entry.holds_at(at(now)), holds, "{now}");
    }
    entry.until = None;
    assert!(entry.holds_at(at(1_000_000)));
}

#[test]
fn c3_selectors_mean_whole_segments() {
    let cases = [
        ("allow: [{namespace: billing}]", Reason::Allowed),
        (
            "allow: [{namespace: billing, service_account: worker}]",
            Reason::Allowed,
        ),
        (
            "allow: [{namespace: billing, service_account: work}]",
            Reason::CertificateRefused,
        ),
        ("allow: [{namespace: bill}]", Reason::CertificateRefused),
        (
            "allow: [{spiffe_id: \"spiffe://td/ns/billing/sa/*\"}]",
            Reason::Allowed,
        ),
        (
            "allow: [{spiffe_id: \"spiffe://td/ns/*/sa/worker\"}]",
            Reason::Allowed,
        ),
        (
            "allow: [{spiffe_id: \"spiffe://td/ns/billing/*\"}]",
            Reason::CertificateRefused,
        ),
        (
            "any_workload: true, except: [{namespace: billing, service_account: worker}]",
            Reason::CertificateRefused,
        ),
        (
            "any_workload: true, except: [{namespace: billing}]",
            Reason::CertificateRefused,
        ),
        (
            "any_workload: true, except: [{namespace: bill}]",
            Reason::Allowed,
        ),
        (
            "allow: [{namespace: billing}], except: [{spiffe_id: \"spiffe://td/ns/billing/sa/worker\"}]",
            Reason::CertificateRefused,
        ),
    ];
    for (said, reason) in cases {
        let mesh = format!("  mesh: {{mtls: {{trust_domains: [td], {said}}}}}");
        let world = World::new(&policy(&mesh, "", "      - {path: /a, authenticate: mesh}"));
        assert_eq!(ends(&world, "svid"), reason, "{said}");
    }
}

/// Outside of what is meant, a certificate is nobody's where there is another way.
#[test]
fn a_certificate_that_is_not_meant_is_absent_in_any_of_and_refused_in_all_of() {
    let mesh = "  mesh: {mtls: {trust_domains: [td], allow: [{namespace: web}]}}";
    let routes = "      - {path: /any, authenticate: [mesh, key]}\n      - {path: /all, authenticate: {all: [key, mesh]}}\n      - {path: /optional, authenticate: mesh, optional: true}\n      - {path: /tree, authenticate: {any: [{all: [mesh, key]}, key]}}";
    let world = World::new(&policy(mesh, "", routes));
    let key: &[(&str, &str)] = &[("x-api-key", "secret-key")];
    for (path, headers, reason) in [
        ("/any", &[][..], Reason::CredentialsMissing),
        ("/any", key, Reason::Allowed),
        ("/all", &[], Reason::CredentialsMissing),
        ("/all", key, Reason::CertificateRefused),
        ("/optional", &[], Reason::Allowed),
        ("/tree", key, Reason::Allowed),
    ] {
        let verdict = world.judge(with(path, headers, peer("svid")));
        assert_eq!(verdict.reason(), reason, "{path} {headers:?}");
    }
    let anonymous = world.judge(with("/optional", &[], peer("svid")));
    assert_eq!(header(allowed(&anonymous), "x-auth-principal"), None);
    assert_eq!(header(allowed(&anonymous), "x-auth-peer"), None);
    world.judge(with("/any", &[], peer("svid")));
    let line = world.records.last().line;
    assert!(line.contains("none of those under `allow`"), "{line}");
    // Under `optional` too, one that is meant and wrong is refused.
    let world = World::new(&policy(MESH, "", routes));
    for path in ["/any", "/optional"] {
        let verdict = world.judge(with(path, &[], peer("svid_two_uris")));
        assert_eq!(verdict.reason(), Reason::CertificateNotSvid, "{path}");
    }
}

#[test]
fn what_is_sent_goes_before_what_the_connection_shows() {
    let routes = "      - {path: /list, authenticate: [mesh, key]}\n      - {path: /tree, authenticate: {any: [mesh, {all: [key, mesh]}]}}";
    let world = World::new(&policy(MESH, "", routes));
    let key = [("x-api-key", "secret-key")];
    for (path, headers, kind) in [
        ("/list", &key[..], "api_key"),
        ("/list", &[], "mtls"),
        ("/tree", &key, "api_key"),
        ("/tree", &[], "mtls"),
    ] {
        let verdict = world.judge(with(path, headers, peer("svid")));
        let found = header(allowed(&verdict), "x-auth-kind");
        assert_eq!(found.as_deref(), Some(kind), "{path} {headers:?}");
    }
    // A key that is wrong is not passed over for a certificate that is good.
    let verdict = world.judge(with("/list", &[("x-api-key", "wrong")], peer("svid")));
    assert_eq!(verdict.reason(), Reason::KeyUnknown);
}

#[test]
fn a_workload_and_a_caller_at_once() {
    let routes = "      - {path: /both, authenticate: {all: [key, mesh]}, callers: [{namespace: billing, service_account: worker}]}\n      - {path: /others, authenticate: {all: [key, mesh]}, callers: [{namespace: web}]}\n      - {path: /id, authenticate: mesh, callers: [{consumer: acme}, {spiffe_id: \"spiffe://td/ns/billing/sa/*\"}]}\n      - {path: /when, authenticate: {all: [key, mesh]}, when: 'peer.spiffe_id.startsWith(\"spiffe://td/ns/billing/\") && auth[\"mesh\"].subject == peer.spiffe_id'}\n      - {path: /key, authenticate: [key], callers: [{namespace: billing}]}";
    let world = World::new(&policy(MESH, "", routes));
    let key = [("x-api-key", "secret-key")];
    for (path, reason) in [
        ("/both", Reason::Allowed),
        ("/others", Reason::CallerRefused),
        ("/id", Reason::Allowed),
        ("/when", Reason::Allowed),
        // Its certificate was asked for by nobody, and proves nothing.
        ("/key", Reason::CallerRefused),
    ] {
        let headers = if path == "/id" { &[][..] } else { &key };
        let verdict = world.judge(with(path, headers, peer("svid")));
        assert_eq!(verdict.reason(), reason, "{path}");
    }
}

#[test]
fn a_workload_may_be_a_consumer_and_may_be_revoked() {
    let consumers = "  worker: {scopes: [read, write], credentials: {mesh: [{spiffe_id: \"spiffe://td/ns/billing/sa/worker\"}]}}";
    let routes = "      - {path: /a, authenticate: mesh, scopes: [write]}";
    let text = policy(MESH, consumers, routes);
    let world = World::new(&text);
    let verdict = world.judge(with("/a", &[], peer("svid")));
    let consumer = header(allowed(&verdict), "x-auth-consumer");
    assert_eq!(consumer.as_deref(), Some("worker"));
    let fingerprint = header(allowed(&verdict), "x-auth-fingerprint").unwrap();
    for revoked in [
        "{subject: \"mesh:spiffe://td/ns/billing/sa/worker\"}".to_owned(),
        format!("{{credential: \"{fingerprint}\"}}"),
        "{consumer: worker}".to_owned(),
    ] {
        let world = World::new(&format!("{text}revocations: [{revoked}]\n"));
        assert_eq!(
            ends(&world, "svid"),
            Reason::CredentialsRevoked,
            "{revoked}"
        );
    }
    // Without a consumer it holds no scope.
    let world = World::new(&policy(MESH, "", routes));
    assert_eq!(ends(&world, "svid"), Reason::ScopeInsufficient);
}

#[test]
fn an_ordinary_certificate_is_known_by_what_identity_says() {
    const SUBJECT: &str = r#"UID=u1,CN=client é,O=A\, \"q\"\; b=c\\d,C=US"#;
    const OID: &str = "1.3.6.1.4.1.99999.1";
    for (identity, subject) in [
        ("subject".to_owned(), SUBJECT),
        ("dns".to_owned(), "client.example"),
        ("email".to_owned(), "Me@example.com"),
        ("uri".to_owned(), "https://example.com/me"),
        ("ip".to_owned(), "192.0.2.7"),
        ("serial".to_owned(), "CN=inter,O=Example#0a1b2c"),
        (format!("{{extension: {OID}}}"), "tenant-7"),
        ("{attribute: 0.9.2342.19200300.100.1.1}".to_owned(), "u1"),
    ] {
        let partners = format!(
            "  partners: {{mtls: {{identity: {identity}, any_certificate: true, ca: {{file: DIR/inter.pem}}}}}}"
        );
        let world = World::new(&policy(
            &partners,
            "",
            "      - {path: /a, authenticate: partners}",
        ));
        let verdict = world.judge(with("/a", &[], peer("ordinary")));
        allowed(&verdict);
        let line = world.records.last().line;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            line["principal"],
            format!("partners:{subject}"),
            "{identity}"
        );
    }
}

#[test]
fn ordinary_certificates_are_vouched_for_by_authorities_pins_or_envoy() {
    let fingerprint = "3B:CE:2E:88:5C:E9:3B:D1:60:64:78:C9:5A:FF:07:0D:50:60:F2:04:3F:91:5B:D5:8A:A6:DE:45:EC:6B:C6:4D";
    let pins = format!("pins: [{{fingerprint: \"{fingerprint}\"}}]");
    for (trust, name, reason) in [
        ("ca: {file: DIR/root.pem}", "svid", Reason::Allowed),
        (
            "ca: {file: DIR/other_root.pem}",
            "svid",
            Reason::CertificateUntrusted,
        ),
        (
            "ca: {file: DIR/root.pem}",
            "svid_expired",
            Reason::CertificateExpired,
        ),
        ("verified_by: envoy", "svid", Reason::Allowed),
        ("verified_by: envoy", "svid_ca", Reason::CertificateCaAsLeaf),
        (
            "verified_by: envoy",
            "svid_server_only",
            Reason::CertificatePurposeRefused,
        ),
        (
            "verified_by: envoy",
            "svid_rsa_1024",
            Reason::CertificateKeyWeak,
        ),
        (
            "verified_by: envoy",
            "svid_expired",
            Reason::CertificateExpired,
        ),
        (
            "verified_by: envoy",
            "svid_two_uris",
            Reason::CertificateIdentityMissing,
        ),
        (pins.as_str(), "svid", Reason::Allowed),
        (pins.as_str(), "svid_rsa", Reason::CertificateNotPinned),
        (
            "verified_by: envoy, except: [{issuer: CN=root, serial: 62B0917CCF4D325A15FA2581FC670F2D6BFF8CFD}]",
            "svid",
            Reason::CertificateRefused,
        ),
    ] {
        let any =
            format!("  partners: {{mtls: {{identity: uri, any_certificate: true, {trust}}}}}");
        let world = World::new(&policy(
            &any,
            "",
            "      - {path: /a, authenticate: partners}",
        ));
        assert_eq!(ends(&world, name), reason, "{name} {trust}");
    }
}

#[test]
fn a_certificate_that_fits_two_consumers_is_refused() {
    let partners = "  partners: {mtls: {identity: dns, any_certificate: true, verified_by: envoy}}";
    let consumers = "  one: {credentials: {partners: [{dns: CLIENT.example}]}}\n  two: {credentials: {partners: [{ip: 192.0.2.7}]}}";
    let route = "      - {path: /a, authenticate: partners}";
    let world = World::new(&policy(partners, consumers, route));
    assert_eq!(ends(&world, "ordinary"), Reason::ConsumerAmbiguous);
    let consumers = "  one: {credentials: {partners: [{dns: CLIENT.example}, {email: me@example.com}, {attribute: 0.9.2342.19200300.100.1.1, value: u1}]}}";
    let world = World::new(&policy(partners, consumers, route));
    let verdict = world.judge(with("/a", &[], peer("ordinary")));
    let consumer = header(allowed(&verdict), "x-auth-consumer");
    assert_eq!(consumer.as_deref(), Some("one"));
}

/// Which settings believe what; everything else is nobody's word.
#[test]
fn c2_headers_and_names_count_only_where_the_deployment_says_so() {
    let id = "spiffe://td/ns/billing/sa/worker";
    let principal = RawPeer {
        principal: id.into(),
        ..RawPeer::default()
    };
    let svid = std::fs::read(format!("{DIRECTORY}/svid.pem")).unwrap();
    let forged = format!("Cert=\"{}\";URI={id}", encoded(&svid));
    let text = policy(MESH, "", "      - {path: /a, authenticate: mesh}");
    let hops = |count: u8| Some(Trust::Hops(std::num::NonZeroU8::new(count).unwrap()));
    let xfcc = |trust| PeerSources {
        xfcc: trust,
        ..PeerSources::default()
    };
    let by_name = PeerSources {
        principal: true,
        ..PeerSources::default()
    };
    let judged = |sources: PeerSources, header: Option<&str>, source: RawPeer| {
        let world = World::new(&text);
        let pipeline = world.pipeline.believing(sources);
        let world = World { pipeline, ..world };
        let headers: Vec<(&str, &str)> = header
            .map(|value| ("x-forwarded-client-cert", value))
            .into_iter()
            .collect();
        world.judge(with("/a", &headers, source)).reason()
    };
    let none = RawPeer::default();
    let own = peer("svid");
    let two = format!("{forged},{forged}");
    let three = format!("{forged},{two}");
    for (what, sources, header, source, reason) in [
        (
            "a forged header",
            PeerSources::default(),
            Some(forged.as_str()),
            none.clone(),
            Reason::CredentialsMissing,
        ),
        (
            "a name alone",
            PeerSources::default(),
            None,
            principal.clone(),
            Reason::CredentialsMissing,
        ),
        (
            "a name that is believed",
            by_name,
            None,
            principal.clone(),
            Reason::Allowed,
        ),
        (
            "Envoy's element",
            xfcc(Some(Trust::SanitizeSet)),
            Some(&forged),
            principal,
            Reason::Allowed,
        ),
        (
            "Envoy's element and the certificate",
            xfcc(Some(Trust::SanitizeSet)),
            Some(&forged),
            own.clone(),
            Reason::Allowed,
        ),
        (
            "an element of another",
            xfcc(Some(Trust::SanitizeSet)),
            Some(&forged),
            peer("partner_svid"),
            Reason::PeerSourcesDisagree,
        ),
        (
            "two elements where Envoy writes one",
            xfcc(Some(Trust::SanitizeSet)),
            Some(&two),
            own.clone(),
            Reason::PeerSourceMalformed,
        ),
        (
            "the last of two",
            xfcc(hops(1)),
            Some(&two),
            own.clone(),
            Reason::Allowed,
        ),
        (
            "a name without a principal",
            xfcc(hops(1)),
            Some("URI=spiffe://td/ns/a/sa/b"),
            none,
            Reason::PeerSourcesDisagree,
        ),
        (
            "no header, and the certificate",
            xfcc(hops(1)),
            None,
            own.clone(),
            Reason::Allowed,
        ),
        (
            "one element where two proxies stand",
            xfcc(hops(2)),
            Some(&forged),
            own.clone(),
            Reason::CredentialsMissing,
        ),
        (
            "two elements, two proxies",
            xfcc(hops(2)),
            Some(&two),
            own.clone(),
            Reason::Allowed,
        ),
        (
            "three elements, two proxies",
            xfcc(hops(2)),
            Some(&three),
            own.clone(),
            Reason::PeerSourceMalformed,
        ),
    ] {
        assert_eq!(judged(sources, header, source), reason, "{what}");
    }
    // A name of another proxy's element, that nothing can be compared with.
    let names = format!("URI={id},{forged}");
    assert_eq!(
        judged(xfcc(hops(2)), Some(&names), own),
        Reason::PeerSourceMalformed
    );
}

#[test]
fn headers_that_are_nobodys_word_never_reach_the_upstream() {
    let text = policy(
        MESH,
        "",
        "      - {path: /a, authenticate: mesh}\n      - {path: /public, public: true}",
    );
    let world = World::new(&text);
    for path in ["/a", "/public"] {
        let verdict = world.judge(with(path, &[], peer("svid")));
        let removed: Vec<&[u8]> = allowed(&verdict).removed().collect();
        for name in [
            "x-forwarded-client-cert",
            "x_forwarded_client_cert",
            "client-cert",
            "client-cert-chain",
        ] {
            assert!(removed.contains(&name.as_bytes()), "{path} {name}");
        }
    }
    let pipeline = world.pipeline.believing(PeerSources {
        xfcc: Some(Trust::SanitizeSet),
        ..PeerSources::default()
    });
    let world = World { pipeline, ..world };
    let verdict = world.judge(with("/a", &[], peer("svid")));
    let removed: Vec<&[u8]> = allowed(&verdict).removed().collect();
    assert!(!removed.contains(&&b"x-forwarded-client-cert"[..]));
    assert!(removed.contains(&&b"client-cert"[..]));
}

#[test]
fn names_alone_are_not_enough_where_chains_are_verified() {
    let bundled = "  mesh: {mtls: {trust_domains: [td], any_workload: true, bundles: {td: {file: DIR/root.pem}}}}";
    let world = World::new(&policy(
        bundled,
        "",
        "      - {path: /a, authenticate: mesh}",
    ));
    let pipeline = world.pipeline.believing(PeerSources {
        principal: true,
        ..PeerSources::default()
    });
    let world = World { pipeline, ..world };
    let source = RawPeer {
        principal: "spiffe://td/ns/billing/sa/worker".into(),
        ..RawPeer::default()
    };
    let verdict = world.judge(with("/a", &[], source));
    assert_eq!(verdict.reason(), Reason::CertificateMissing);
}

#[test]
fn a_certificate_and_a_principal_that_differ_are_refused() {
    let world = World::new(&policy(MESH, "", "      - {path: /a, authenticate: mesh}"));
    let source = RawPeer {
        principal: "spiffe://td/ns/web/sa/admin".into(),
        ..peer("svid")
    };
    let verdict = world.judge(with("/a", &[], source));
    assert_eq!(verdict.reason(), Reason::PeerSourcesDisagree);
    for broken in ["%", "-----BEGIN", "%00", "x"] {
        let source = RawPeer {
            certificate: broken.into(),
            ..peer("svid")
        };
        let verdict = world.judge(with("/a", &[], source));
        assert_eq!(verdict.reason(), Reason::PeerSourceMalformed, "{broken}");
    }
}

#[test]
fn mistakes_are_found_when_policies_are_loaded() {
    for (mtls, code) in [
        ("{}", "bad-mtls"),
        (
            "{trust_domains: [td], identity: dns, any_workload: true}",
            "bad-mtls",
        ),
        ("{trust_domains: [td]}", "selection-missing"),
        ("{identity: dns, verified_by: envoy}", "selection-missing"),
        (
            "{trust_domains: [td], any_workload: false}",
            "selection-missing",
        ),
        (
            "{trust_domains: [td], any_workload: true, allow: [{namespace: a}]}",
            "contradiction",
        ),
        (
            "{trust_domains: [TD], any_workload: true}",
            "bad-trust-domain",
        ),
        (
            "{trust_domains: [spiffe://td], any_workload: true}",
            "bad-trust-domain",
        ),
        (
            "{trust_domains: [td, td], any_workload: true}",
            "duplicate-name",
        ),
        (
            "{trust_domains: [td], allow: [{spiffe_id: \"spiffe://other/a\"}]}",
            "bad-peer",
        ),
        (
            "{trust_domains: [td], allow: [{spiffe_id: \"spiffe://td/a*\"}]}",
            "bad-peer",
        ),
        ("{trust_domains: [td], allow: [{namespace: A}]}", "bad-peer"),
        (
            "{trust_domains: [td], allow: [{dns: a.example}]}",
            "bad-peer",
        ),
        (
            "{trust_domains: [td], allow: [{namespace: a, dns: b}]}",
            "bad-peer",
        ),
        (
            "{trust_domains: [td], allow: [{service_account: a}]}",
            "bad-peer",
        ),
        ("{trust_domains: [td], allow: []}", "empty-list"),
        (
            "{trust_domains: [a, b], allow: [{namespace: x}]}",
            "trust-domain-missing",
        ),
        (
            "{trust_domains: [td], any_workload: true, bundles: {other: {file: DIR/root.pem}}}",
            "bad-trust-domain",
        ),
        (
            "{trust_domains: [a, b], any_workload: true, bundles: {a: {file: DIR/root.pem}}}",
            "bundle-missing",
        ),
        (
            "{trust_domains: [td], any_workload: true, bundles: {td: {file: DIR/svid.pem}}}",
            "bad-certificates",
        ),
        (
            "{trust_domains: [td], any_workload: true, bundles: {td: {file: DIR/nothing.pem}}}",
            "unreadable-file",
        ),
        (
            "{trust_domains: [td], any_workload: true, crls: [{file: DIR/root_revokes_none.crl.pem}]}",
            "bad-mtls",
        ),
        (
            "{trust_domains: [td], any_workload: true, unknown_revocation: accept}",
            "bad-mtls",
        ),
        (
            "{trust_domains: [td], any_workload: true, ca: {file: DIR/root.pem}}",
            "bad-mtls",
        ),
        ("{identity: dns, any_certificate: true}", "trust-missing"),
        (
            "{identity: dns, any_certificate: true, verified_by: envoy, ca: {file: DIR/root.pem}}",
            "trust-missing",
        ),
        (
            "{identity: cn, any_certificate: true, verified_by: envoy}",
            "bad-value",
        ),
        (
            "{identity: {attribute: cn}, any_certificate: true, verified_by: envoy}",
            "bad-value",
        ),
        (
            "{identity: dns, any_certificate: true, pins: [{fingerprint: 0a}]}",
            "bad-peer",
        ),
        (
            "{identity: dns, allow: [{ip: 300.1.1.1}], verified_by: envoy}",
            "bad-peer",
        ),
        (
            "{identity: dns, allow: [{serial: 0a}], verified_by: envoy}",
            "missing-key",
        ),
    ] {
        let text = policy(
            &format!("  m: {{mtls: {mtls}}}"),
            "",
            "      - {path: /a, authenticate: m}",
        );
        let (table, out) = test_support::compile(&[("policy.yaml", &text)]);
        assert!(table.is_none(), "{mtls}");
        let codes: Vec<&str> = mistakes(&out).into_iter().map(|(code, _)| code).collect();
        assert!(codes.contains(&code), "{mtls}: {}", out.render());
    }
    let twins = "  one: {credentials: {mesh: [{spiffe_id: spiffe://td/a}]}}\n  two: {credentials: {mesh: [{spiffe_id: spiffe://td/a}]}}";
    for (consumers, code) in [
        (twins, "duplicate-credential"),
        (
            "  one: {credentials: {mesh: [{spiffe_id: spiffe://other/a}]}}",
            "bad-peer",
        ),
        (
            "  one: {credentials: {mesh: [{spiffe_id: \"spiffe://td/*\"}]}}",
            "bad-peer",
        ),
        (
            "  one: {credentials: {mesh: [{dns: a.example}]}}",
            "wrong-credential",
        ),
        (
            "  one: {credentials: {key: [{spiffe_id: spiffe://td/a}]}}",
            "wrong-credential",
        ),
    ] {
        let text = policy(MESH, consumers, "      - {path: /a, authenticate: mesh}");
        let (table, out) = test_support::compile(&[("policy.yaml", &text)]);
        assert!(table.is_none(), "{consumers}");
        let codes: Vec<&str> = mistakes(&out).into_iter().map(|(code, _)| code).collect();
        assert!(codes.contains(&code), "{consumers}: {}", out.render());
    }
    let callers = "      - {path: /a, authenticate: m, callers: [{namespace: a}]}";
    let several = "  m: {mtls: {trust_domains: [a, b], any_workload: true}}";
    let text = policy(several, "", callers);
    let (table, out) = test_support::compile(&[("policy.yaml", &text)]);
    assert!(table.is_none());
    let found: &Diagnostics = &out;
    assert!(found.iter().any(|one| one.code == "trust-domain-missing"));
    assert!(found.iter().any(|one| one.code == "pooled-authorities"));
}
