//! What is refused, and for which reason.

use super::{NOW, Sent, keys, reason, rules};
use crate::authn::http_signature::key::Algorithm;
use crate::verdict::Reason;

fn with(input: &str, signature: &str) -> Sent {
    Sent::example()
        .with("signature-input", input)
        .with("signature", signature)
}

#[test]
fn refuses_headers_that_cannot_be_read() {
    let long = format!("a=(\"@path\");keyid=\"key\";x=\"{}\"", "y".repeat(17_000));
    let many: Vec<String> = (0..9)
        .map(|label| format!("s{label}=(\"@path\");keyid=\"key\""))
        .collect();
    let many_values: Vec<String> = (0..9).map(|label| format!("s{label}=:AAAA:")).collect();
    let wide: Vec<String> = (0..65).map(|name| format!("\"h{name}\"")).collect();
    let wide = format!("a=({});keyid=\"key\"", wide.join(" "));
    let talkative: Vec<String> = (0..16).map(|name| format!("p{name}=1")).collect();
    let talkative = format!("a=(\"@path\");keyid=\"key\";{}", talkative.join(";"));
    let long_id = format!("a=(\"@path\");keyid=\"key{}\"", "y".repeat(520));
    let long_signature = format!("a=:{}:", "A".repeat(1400));
    let good = "a=(\"@path\");keyid=\"key\"";
    for (input, signature) in [
        ("", ""),
        ("", "a=:AAAA:"),
        (good, ""),
        (good, "b=:AAAA:"),
        (good, "a=:AAAA:, b=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\", b=(\"@path\")", "a=:AAAA:"),
        (
            "a=(\"@path\");keyid=\"key\", a=(\"@path\");keyid=\"key\"",
            "a=:AAAA:",
        ),
        (good, "a=:AAAA:, a=:AAAA:"),
        ("a", "a=:AAAA:"),
        ("a=\"@path\";keyid=\"key\"", "a=:AAAA:"),
        ("A=(\"@path\");keyid=\"key\"", "A=:AAAA:"),
        ("a=(\"@path\";keyid=\"key\"", "a=:AAAA:"),
        ("a=(\"@path\")keyid=\"key\"", "a=:AAAA:"),
        ("a=(\"@path\"\"@method\");keyid=\"key\"", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\",", "a=:AAAA:"),
        ("(\"@path\");keyid=\"key\"", "a=:AAAA:"),
        ("a=(\"@p\u{e4}th\");keyid=\"key\"", "a=:AAAA:"),
        (good, "a=AAAA"),
        (good, "a=\"AAAA\""),
        (good, "a"),
        (good, "a=(:AAAA:)"),
        (good, "a=:AAAA:;b"),
        (good, "a=::"),
        (good, "a=:AA-_:"),
        (good, "a=:AAAA"),
        (good, "keyId=\"a\",signature=\"b\""),
        ("a=(\"@path\");keyid=key", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"\"", "a=:AAAA:"),
        ("a=(\"@path\");keyid", "a=:AAAA:"),
        ("a=(\"@path\")", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";keyid=\"key\"", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";created=\"1\"", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";created=1.5", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";created=-1", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";created=@1", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";created", "a=:AAAA:"),
        (
            "a=(\"@path\");keyid=\"key\";created=1234567890123456",
            "a=:AAAA:",
        ),
        ("a=(\"@path\");keyid=\"key\";expires=?1", "a=:AAAA:"),
        (
            "a=(\"@path\");keyid=\"key\";created=2;expires=1",
            "a=:AAAA:",
        ),
        ("a=(\"@path\");keyid=\"key\";nonce=1", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";nonce=\"\"", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";tag=:AAAA:", "a=:AAAA:"),
        ("a=(\"@path\");keyid=\"key\";alg=ed25519", "a=:AAAA:"),
        (&long, "a=:AAAA:"),
        (&long_id, "a=:AAAA:"),
        (good, &long_signature),
        (&wide, "a=:AAAA:"),
        (&talkative, "a=:AAAA:"),
        (&many.join(", "), &many_values.join(", ")),
    ] {
        assert_eq!(
            reason(with(input, signature).choose(&rules(&[]))),
            Some(Reason::SignatureMalformed),
            "{input} {signature}"
        );
    }
    let only_input = Sent::example().with("signature-input", good);
    assert_eq!(
        reason(only_input.choose(&rules(&[]))),
        Some(Reason::SignatureMalformed)
    );
}

#[test]
fn unknown_parameters_are_signed_as_they_were_sent() {
    let input = "(\"@method\" \"@path\");created=1;x;y=?0;z=1.50;keyid=\"key\";t=a/b;b=:AQ:";
    let sent = with(&format!("s={input}"), "s=:AAAA:");
    let base = sent.base().unwrap();
    assert!(
        base.ends_with(
            "\"@signature-params\": (\"@method\" \"@path\");created=1;x;y=?0;z=1.5;keyid=\"key\";t=a/b;b=:AQ==:"
        ),
        "{base}"
    );
    // White space is not signed, and the label neither.
    let spaced = with(
        "  other=(  \"@method\"   \"@path\" ); created=1; x;  y=?0;z=1.50;keyid=\"key\";t=a/b;b=:AQ==:",
        "other=:AAAA:",
    );
    assert_eq!(spaced.base().unwrap(), base);
}

#[test]
fn refuses_signatures_that_leave_out_what_is_required() {
    let (private, public) = keys(Algorithm::Ed25519);
    let covered = |components: &[&str], require: &str| {
        let sent = Sent::example().signed(&private, |what| what.components = components);
        sent.verify(&public, &rules(&[require]), NOW)
            .map_err(|refusal| (refusal.reason, refusal.detail))
    };
    let alone: &[&[&str]] = &[
        &["@method"],
        &["@authority"],
        &["@scheme"],
        &["@path"],
        &["@query"],
        &["@request-target"],
        &["@target-uri"],
        &["host"],
        &["\"host\";bs"],
        &["@path", "@query"],
        &["@scheme", "@authority", "@request-target"],
        &["@scheme", "host", "@path", "@query"],
        &["\"@query-param\";name=\"Pet\""],
        &["date"],
        &["\"content-digest\";key=\"sha-512\""],
        &["\"content-digest\";sf"],
        &["\"content-digest\";bs"],
        &["content-digest"],
    ];
    // For each requirement, which of the lists above meet it.
    for (require, met) in [
        ("@method", &[0][..]),
        ("@authority", &[1, 6, 7, 8, 10, 11]),
        ("host", &[1, 6, 7, 8, 10, 11]),
        ("@scheme", &[2, 6, 10, 11]),
        ("@path", &[3, 5, 6, 9, 10, 11]),
        ("@query", &[4, 5, 6, 9, 10, 11]),
        ("@request-target", &[5, 6, 9, 10, 11]),
        ("@target-uri", &[6, 10, 11]),
        ("\"@query-param\";name=\"Pet\"", &[4, 5, 6, 9, 10, 11, 12]),
        ("\"@query-param\";name=\"param\"", &[4, 5, 6, 9, 10, 11]),
        ("date", &[13]),
        ("content-digest", &[15, 16, 17]),
        ("content-type", &[]),
        ("x-absent", &[]),
    ] {
        for (position, components) in alone.iter().enumerate() {
            let outcome = covered(components, require);
            if met.contains(&position) {
                assert!(outcome.is_ok(), "{require} by {components:?}: {outcome:?}");
            } else {
                let (reason, detail) = outcome.unwrap_err();
                assert_eq!(
                    reason,
                    Reason::SignatureIncomplete,
                    "{require} by {components:?}"
                );
                assert!(
                    detail.starts_with("the signature does not cover \""),
                    "{detail}"
                );
            }
        }
    }
    // A signature over nothing is none, whatever is required.
    let empty = Sent::example().signed(&private, |what| what.components = &[]);
    assert_eq!(
        reason(empty.verify(&public, &rules(&[]), NOW)),
        Some(Reason::SignatureIncomplete)
    );
}

#[test]
fn refuses_what_is_old_early_or_timeless() {
    let (private, public) = keys(Algorithm::Ed25519);
    let at = |expires: Option<i64>, now: i64| {
        let sent = Sent::example().signed(&private, |what| what.expires = expires);
        reason(sent.verify(&public, &rules(&[]), now))
    };
    assert_eq!(at(None, NOW + 300), None);
    assert_eq!(at(None, NOW + 301), Some(Reason::SignatureExpired));
    assert_eq!(at(None, NOW - 30), None);
    assert_eq!(at(None, NOW - 31), Some(Reason::SignatureNotYetValid));
    assert_eq!(at(Some(NOW + 10), NOW + 10), None);
    assert_eq!(at(Some(NOW + 10), NOW + 11), Some(Reason::SignatureExpired));
    assert_eq!(
        at(Some(NOW + 900), NOW + 301),
        Some(Reason::SignatureExpired)
    );
    let timeless = with("s=(\"@path\");keyid=\"key\"", "s=:AAAA:");
    assert_eq!(
        reason(timeless.verify(&public, &rules(&[]), NOW)),
        Some(Reason::SignatureIncomplete)
    );
}

#[test]
fn the_key_decides_the_algorithm() {
    for of_key in Algorithm::ALL {
        let (private, public) = keys(of_key);
        let sent = Sent::example().signed(&private, |what| what.alg = true);
        let mut only = rules(&[]);
        only.algorithms = vec![of_key];
        assert!(sent.verify(&public, &only, NOW).is_ok());
        only.algorithms = Algorithm::ALL
            .into_iter()
            .filter(|&other| other != of_key)
            .collect();
        assert_eq!(
            reason(sent.verify(&public, &only, NOW)),
            Some(Reason::SignatureAlgorithmRefused)
        );
        only.algorithms = vec![];
        assert_eq!(
            reason(sent.verify(&public, &only, NOW)),
            Some(Reason::SignatureAlgorithmRefused)
        );
        // What the signature says may only agree.
        for said in [
            "hmac-sha256",
            "ed25519",
            "rsa-v1_5-sha256",
            "RSA-PSS-SHA512",
            "none",
            "PS512",
        ] {
            if said != of_key.name() {
                let mut lied = sent.clone();
                let (_, input) = lied
                    .headers
                    .iter_mut()
                    .find(|(name, _)| name == "signature-input")
                    .unwrap();
                *input = String::from_utf8_lossy(input)
                    .replace(of_key.name(), said)
                    .into_bytes();
                let outcome = lied.verify(&public, &rules(&[]), NOW);
                assert_eq!(
                    reason(outcome),
                    Some(Reason::SignatureAlgorithmRefused),
                    "{said}"
                );
            }
        }
        // Another key, of the same kind of signature or not, verifies nothing.
        for other in Algorithm::ALL {
            if other != of_key {
                let sent = Sent::example().signed(&private, |_| ());
                let (_, other) = keys(other);
                assert_eq!(
                    reason(sent.verify(&other, &rules(&[]), NOW)),
                    Some(Reason::SignatureMismatch)
                );
            }
        }
    }
}

/// The classic: a public key taken for a shared secret.
#[test]
fn a_public_key_is_no_secret() {
    use super::RSA_PUBLIC;
    use crate::authn::http_signature::sign::SigningKey;
    let forger = SigningKey::from_secret(RSA_PUBLIC.as_bytes()).unwrap();
    let (_, public) = keys(Algorithm::RsaV15Sha256);
    for alg in [false, true] {
        let sent = Sent::example().signed(&forger, |what| what.alg = alg);
        assert!(sent.verify(&public, &rules(&[]), NOW).is_err());
    }
}

#[test]
fn a_mismatch_names_what_most_often_causes_it() {
    let (private, public) = keys(Algorithm::EcdsaP256Sha256);
    let detail = |sent: Sent| {
        let refusal = sent.verify(&public, &rules(&[]), NOW).unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureMismatch);
        refusal.detail.into_owned()
    };
    let der = format!("sig1=:MEUC{}:", "A".repeat(92));
    let sent = Sent::example().signed(&private, |what| what.components = &["@path"]);
    let text = detail(sent.without("signature").with("signature", &der));
    assert!(
        text.contains("64 bytes") && text.contains("not DER"),
        "{text}"
    );
    assert!(
        !text.contains("external_url") && !text.contains("encode_raw_headers"),
        "{text}"
    );
    let mut moved = Sent::example().signed(&private, |_| ());
    moved.authority = "inner.example".into();
    assert!(detail(moved.without("host")).contains("external_url"));
    let joined = Sent::example()
        .with("x-a", "1")
        .with("x-a", "2")
        .signed(&private, |what| what.components = &["x-a"])
        .without("x-a")
        .with("x-a", "1,2");
    let text = detail(joined);
    assert!(
        text.contains("`x-a`") && text.contains("encode_raw_headers"),
        "{text}"
    );
}
