//! The vectors of RFC 9421, as far as they are requests: appendix B, sections 2.5, 3.2 and 4.3; and the
//! request of RFC 9635 section 7.3.1.

use super::{
    ED25519, ED25519_PUBLIC, P256_PUBLIC, RSA_PSS_PUBLIC, RSA_PUBLIC, Sent, rules, shared_secret,
};
use crate::authn::http_signature::key::{Algorithm, VerifyKey};
use crate::authn::http_signature::sign::{SigningKey, ToSign, sign};
use crate::verdict::Reason;

const CREATED: i64 = 1_618_884_473;

const B21: &str = "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==";
const B22: &str = "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==";
const B23: &str = "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==";
const B25: &str = "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=";
const B26: &str =
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
const SECTION_3_2: &str = "HIbjHC5rS0BYaa9v4QfD4193TORw7u9edguPh0AW3dMq9WImrlFrCGUDih47vAxi4L2YRZ3XMJc1uOKk/J0ZmZ+wcta4nKIgBkKq0rM9hs3CQyxXGxHLMCy8uqK488o+9jrptQ+xFPHK7a9sRL1IXNaagCNN3ZxJsYapFj+JXbmaI5rtAdSfSvzPuBCh+ARHBmWuNo1UzVVdHXrl8ePL4cccqlazIJdC4QEjrF+Sn4IxBQzTZsL9y9TP5FsZYzHvDqbInkTNigBcE9cKOYNFCn4D/WM7F6TNuZO9EgtzepLWcjTymlHzK7aXq6Am6sfOrpIC49yXjj3ae6HRalVc/g==";

const DIGEST: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

fn pss() -> VerifyKey {
    VerifyKey::from_pem(Algorithm::RsaPssSha512, RSA_PSS_PUBLIC).unwrap()
}

fn p256() -> VerifyKey {
    VerifyKey::from_pem(Algorithm::EcdsaP256Sha256, P256_PUBLIC).unwrap()
}

fn ed25519() -> VerifyKey {
    VerifyKey::from_pem(Algorithm::Ed25519, ED25519_PUBLIC).unwrap()
}

fn hmac() -> VerifyKey {
    VerifyKey::from_secret(&shared_secret()).unwrap()
}

fn example(label: &str, input: &str, signature: &str) -> Sent {
    Sent::example()
        .with("signature-input", &format!("{label}={input}"))
        .with("signature", &format!("{label}=:{signature}:"))
}

#[test]
fn appendix_b2_has_the_printed_bases_and_verifies() {
    let digest = format!("\"content-digest\": {DIGEST}");
    let date = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT";
    let cases: [(&str, &str, &str, VerifyKey, Vec<&str>); 5] = [
        (
            "sig-b22",
            "(\"@authority\" \"content-digest\" \"@query-param\";name=\"Pet\");created=1618884473;keyid=\"test-key-rsa-pss\";tag=\"header-example\"",
            B22,
            pss(),
            vec![
                "\"@authority\": example.com",
                &digest,
                "\"@query-param\";name=\"Pet\": dog",
            ],
        ),
        (
            "sig-b23",
            "(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-rsa-pss\"",
            B23,
            pss(),
            vec![
                date,
                "\"@method\": POST",
                "\"@path\": /foo",
                "\"@query\": ?param=Value&Pet=dog",
                "\"@authority\": example.com",
                "\"content-type\": application/json",
                &digest,
                "\"content-length\": 18",
            ],
        ),
        (
            "sig-b25",
            "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
            B25,
            hmac(),
            vec![
                date,
                "\"@authority\": example.com",
                "\"content-type\": application/json",
            ],
        ),
        (
            "sig-b26",
            "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
            B26,
            ed25519(),
            vec![
                date,
                "\"@method\": POST",
                "\"@path\": /foo",
                "\"@authority\": example.com",
                "\"content-type\": application/json",
                "\"content-length\": 18",
            ],
        ),
        // Sections 2.5 and 3.2.
        (
            "sig1",
            "(\"@method\" \"@authority\" \"@path\" \"content-digest\" \"content-length\" \"content-type\");created=1618884473;keyid=\"test-key-rsa-pss\"",
            SECTION_3_2,
            pss(),
            vec![
                "\"@method\": POST",
                "\"@authority\": example.com",
                "\"@path\": /foo",
                &digest,
                "\"content-length\": 18",
                "\"content-type\": application/json",
            ],
        ),
    ];
    for (label, input, signature, key, lines) in cases {
        let sent = example(label, input, signature);
        let parameters = format!("\"@signature-params\": {input}");
        let base = [lines, vec![&*parameters]].concat().join("\n");
        assert_eq!(sent.base().unwrap(), base, "{label}");
        let accepted = sent.verify(&key, &rules(&["@authority"]), CREATED + 10);
        assert!(accepted.is_ok(), "{label}: {accepted:?}");
    }
}

#[test]
fn appendix_b21_verifies_and_is_refused_as_it_covers_nothing() {
    let input = "();created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\"";
    let sent = example("sig-b21", input, B21);
    let base = sent.base().unwrap();
    assert_eq!(base, format!("\"@signature-params\": {input}"));
    let signature = sent.choose(&rules(&[])).unwrap().signature;
    assert!(pss().verifies(base.as_bytes(), &signature));
    let refusal = sent.verify(&pss(), &rules(&[]), CREATED).unwrap_err();
    assert_eq!(refusal.reason, Reason::SignatureIncomplete);
}

#[test]
fn signing_makes_the_printed_signatures_where_they_do_not_depend_on_chance() {
    let cases: [(SigningKey, &str, &[&str], &str, &str); 2] = [
        (
            SigningKey::from_secret(&shared_secret()).unwrap(),
            "sig-b25",
            &["date", "@authority", "content-type"],
            "test-shared-secret",
            B25,
        ),
        (
            SigningKey::from_pem(Algorithm::Ed25519, ED25519).unwrap(),
            "sig-b26",
            &[
                "date",
                "@method",
                "@path",
                "@authority",
                "content-type",
                "content-length",
            ],
            "test-key-ed25519",
            B26,
        ),
    ];
    for (key, label, components, key_id, signature) in cases {
        let what = ToSign {
            label,
            components,
            created: CREATED,
            expires: None,
            key_id,
            alg: false,
            nonce: None,
            tag: None,
        };
        let [_, (_, value)] = Sent::example()
            .ask(|message| sign(message, &what, &key))
            .unwrap();
        assert_eq!(value, format!("{label}=:{signature}:"));
    }
}

/// Section 4.3: a proxy changes the host, and signs beside the client.
#[test]
fn a_proxy_signs_beside_the_client() {
    let mut sent = Sent::new(
        "POST",
        "https://origin.host.internal.example/foo?param=Value&Pet=dog",
        &[
            ("host", "origin.host.internal.example"),
            ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
            ("content-type", "application/json"),
            ("content-length", "18"),
            ("forwarded", "for=192.0.2.123;host=example.com;proto=https"),
            ("content-digest", DIGEST),
            (
                "signature-input",
                "sig1=(\"@method\" \"@authority\" \"@path\" \"content-digest\" \"content-type\" \"content-length\");created=1618884475;keyid=\"test-key-ecc-p256\", proxy_sig=(\"@method\" \"@authority\" \"@path\" \"content-digest\" \"content-type\" \"content-length\" \"forwarded\");created=1618884480;keyid=\"test-key-rsa\";alg=\"rsa-v1_5-sha256\";expires=1618884540",
            ),
            (
                "signature",
                "sig1=:X5spyd6CFnAG5QnDyHfqoSNICd+BUP4LYMz2Q0JXlb//4Ijpzp+kve2w4NIyqeAuM7jTDX+sNalzA8ESSaHD3A==:, proxy_sig=:S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==:",
            ),
        ],
        "{\"hello\": \"world\"}",
    );
    let rsa = VerifyKey::from_pem(Algorithm::RsaV15Sha256, RSA_PUBLIC).unwrap();
    let mut of_proxy = rules(&["@authority", "forwarded"]);
    assert_eq!(
        sent.choose(&of_proxy).unwrap_err().reason,
        Reason::CredentialsAmbiguous
    );
    of_proxy.label = Some("proxy_sig".into());
    assert!(sent.verify(&rsa, &of_proxy, 1_618_884_540).is_ok());
    let late = sent.verify(&rsa, &of_proxy, 1_618_884_541).unwrap_err();
    assert_eq!(late.reason, Reason::SignatureExpired);

    // The client's own holds for the host that the client called: what `external_url` is for.
    let mut of_client = rules(&["@authority", "@path"]);
    of_client.label = Some("sig1".into());
    let refusal = sent.verify(&p256(), &of_client, 1_618_884_500).unwrap_err();
    assert_eq!(refusal.reason, Reason::SignatureMismatch);
    assert!(
        refusal.detail.contains("external_url"),
        "{}",
        refusal.detail
    );
    sent.authority = "example.com".into();
    assert!(sent.verify(&p256(), &of_client, 1_618_884_500).is_ok());
}

/// Appendix B.3: a proxy that ends TLS signs what it says of the client's certificate.
#[test]
fn appendix_b3_verifies() {
    let certificate = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:";
    let input = "(\"@path\" \"@query\" \"@method\" \"@authority\" \"client-cert\");created=1618884473;keyid=\"test-key-ecc-p256\"";
    let signature = "ttrp=:xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==:";
    let sent = Sent::new(
        "POST",
        "https://service.internal.example/foo?param=Value&Pet=dog",
        &[
            ("client-cert", certificate),
            ("signature-input", &format!("ttrp={input}")),
            ("signature", signature),
        ],
        "{\"hello\": \"world\"}",
    );
    let rules = rules(&["@request-target", "@method", "@authority", "client-cert"]);
    assert!(sent.verify(&p256(), &rules, CREATED).is_ok());
    // The structured form of the same certificate is the same text, but another component was signed.
    let other = sent.without("signature-input").with(
        "signature-input",
        &format!("ttrp={}", input.replace("-cert\"", "-cert\";sf")),
    );
    let refusal = other.verify(&p256(), &rules, CREATED).unwrap_err();
    assert_eq!(refusal.reason, Reason::SignatureMismatch);
}

/// Appendix B.4: what a proxy may do to a request, and what it may not.
#[test]
fn appendix_b4_tells_harmless_changes_from_others() {
    let with = |method: &str, url: &str, headers: &[(&str, &str)]| {
        Sent::new(method, url, headers, "")
            .with(
                "signature-input",
                "transform=(\"@method\" \"@path\" \"@authority\" \"accept\");created=1618884473;keyid=\"test-key-ed25519\"",
            )
            .with(
                "signature",
                "transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==:",
            )
    };
    let url = "https://example.org/demo?name1=Value1&Name2=value2";
    let two = [("accept", "application/json"), ("accept", "*/*")];
    let good = [
        with("GET", url, &two),
        with(
            "GET",
            "https://example.org/demo?param=added",
            &[two[0], two[1], ("accept-language", "en")],
        ),
        with(
            "GET",
            url,
            &[
                ("accept", "application/json, */*"),
                ("referer", "https://a.example/"),
            ],
        ),
    ];
    for sent in good {
        assert!(
            sent.verify(&ed25519(), &rules(&["accept"]), CREATED)
                .is_ok()
        );
    }
    let bad = [
        with(
            "POST",
            "https://example.com/demo?name1=Value1&Name2=value2",
            &two,
        ),
        with("GET", url, &[two[1], two[0]]),
        // As Envoy joins them in its default mode.
        with("GET", url, &[("accept", "application/json,*/*")]),
    ];
    for sent in &bad {
        let refusal = sent
            .verify(&ed25519(), &rules(&["accept"]), CREATED)
            .unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureMismatch);
    }
    let joined = bad[2].verify(&ed25519(), &rules(&[]), CREATED).unwrap_err();
    assert!(
        joined.detail.contains("encode_raw_headers"),
        "{}",
        joined.detail
    );
}

/// RFC 9635 section 7.3.1: a key of a JWK Set, and a body that the RFC prints elsewhere.
#[test]
fn the_request_of_rfc_9635_verifies_with_its_jwk() {
    let jwk = serde_json::json!({
        "kid": "gnap-rsa", "kty": "RSA", "e": "AQAB", "alg": "PS512",
        "n": "hYOJ-XOKISdMMShn_G4W9m20mT0VWtQBsmBBkI2cmRt4Ai8BfYdHsFzAtYKOjpBR1RpKpJmVKxIGNy0g6Z3ad2XYsh8KowlyVy8IkZ8NMwSrcUIBZGYXjHpwjzvfGvXH_5KJlnR3_uRUp4Z4Ujk2bCaKegDn11V2vxE41hqaPUnhRZxe0jRETddzsE3mu1SK8dTCROjwUl14mUNo8iTrTm4n0qDadz8BkPo-uv4BC0bunS0K3bA_3UgVp7zBlQFoFnLTO2uWp_muLEWGl67gBq9MO3brKXfGhi3kOzywzwPTuq-cVQDyEN7aL0SxCb3Hc4IdqDaMg8qHUyObpPitDQ",
    });
    let key = VerifyKey::from_jwk(&jwk, None).unwrap();
    let sent = Sent::new(
        "POST",
        "https://server.example.com/gnap",
        &[
            ("content-type", "application/json"),
            ("content-length", "988"),
            (
                "content-digest",
                "sha-256=:q2XBmzRDCREcS2nWo/6LYwYyjrlN1bRfv+HKLbeGAGg=:",
            ),
            (
                "signature-input",
                "sig1=(\"@method\" \"@target-uri\" \"content-digest\" \"content-length\" \"content-type\");created=1618884473;keyid=\"key-gnap-rsa\";nonce=\"NAOEJF12ER2\";tag=\"gnap\"",
            ),
            (
                "signature",
                "sig1=:c2uwTa6ok3iHZsaRKl1ediKlgd5cCAYztbym68XgX8gSOgK0Bt+zLJ19oGjSAHDjJxX2gXP2iR6lh9bLMTfPzbFVn4Eh+5UlceP+0Z5mES7v0R1+eHeOqBl0YlYKaSQ11YT7n+cwPnCSdv/6+62m5zwXEEftnBeA1ECorfTuPtau/yrTYEvD9A/JqR2h9VzAE17kSlSSsDHYA6ohsFqcRJavX29duPZDfYgkZa76u7hJ23yVxoUpu2J+7VUdedN/72N3u3/z2dC8vQXbzCPTOiLru12lb6vnBZoDbUGsRR/zHPauxhj9T+218o5+tgwYXw17othJSxIIOZ9PkIgz4g==:",
            ),
        ],
        "",
    );
    let chosen = sent.choose(&rules(&[])).unwrap();
    let base = sent.base().unwrap().replace("key-gnap-rsa", "gnap-rsa");
    assert!(key.verifies(base.as_bytes(), &chosen.signature));
}
