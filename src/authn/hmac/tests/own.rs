use super::{NONCE, NOW, Sent, key, rules};
use crate::authn::hmac::{CannotSign, Dialect, Signing, own, sign};
use crate::authn::signature::Once;
use crate::clock::Timestamp;
use crate::verdict::Reason;

/// The texts and signatures in `docs/hmac-scheme.md`, computed by another program.
#[test]
fn signs_as_the_specification_says() {
    let first = "portcullis-hmac-sha256-v1\nPOST\napi.example.com\n/orders/7%2F8\n?b=2&a=%20&a=\n1796126400\nb4b0d4a0c1e94a6f8f0d2f7b6a5c4e3d\nacme-1\ncontent-type;x-tenant\ncontent-type:application/json\nx-tenant:acme\nd4e7d1b770b2d9d22c86f92b9fd4200f2b696b53f69232daa37f1ca00c74fa7b";
    let second = "portcullis-hmac-sha256-v1\nGET\napi.example.com:8443\n/\n\n1796126400\nb4b0d4a0c1e94a6f8f0d2f7b6a5c4e3d\nacme-1\n\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (sent, headers, text, signature) in [
        (
            Sent::example(),
            ["x-tenant", "content-type"].as_slice(),
            first,
            "b8acff7b55d4c5ec6dfbd93b39a38fb0a6705850a97730dae41d617390f0f7b7",
        ),
        (
            Sent::new("GET", "https://API.example.com:8443", &[], ""),
            &[],
            second,
            "26a614579a7a28810417249e48df8c418be8385b1bd663e19eb90b3e367202d9",
        ),
    ] {
        let sent = sent.sign(Dialect::Own, headers);
        let header = String::from_utf8(sent.header("authorization").unwrap().to_vec()).unwrap();
        assert!(
            header.ends_with(&format!("Signature={signature}")),
            "{header}"
        );
        let unverified = sent.read(&rules()).unwrap();
        let signed = sent
            .with(|message| unverified.signed_text(message))
            .unwrap();
        assert_eq!(String::from_utf8(signed).unwrap(), text);
        assert_eq!(sent.reason(&rules()), None);
    }
}

#[test]
fn the_nonce_is_used_once_until_the_signature_ends() {
    let sent = Sent::new("GET", "https://a.example/", &[], "").sign(Dialect::Own, &[]);
    assert_eq!(
        sent.verify(&rules(), NOW).unwrap().once,
        Some(Once {
            value: format!("nonce:{NONCE}").into_bytes(),
            until: Timestamp::from_seconds(NOW + 300),
        })
    );
}

#[test]
fn the_host_is_compared_without_case_and_without_the_schemes_own_port() {
    for (signed, sent, good) in [
        ("https://a.example/", "https://A.Example/", true),
        ("https://a.example/", "https://a.example:443/", true),
        ("https://a.example:443/", "https://a.example/", true),
        ("http://a.example/", "http://a.example:80/", true),
        ("https://a.example/", "https://a.example:80/", false),
        ("https://a.example/", "http://a.example:443/", false),
        ("https://a.example/", "https://a.example./", false),
        ("https://[2001:DB8::1]/", "https://[2001:db8::1]:443/", true),
        // The scheme itself is not signed.
        ("https://a.example/", "http://a.example/", true),
    ] {
        let request = Sent::new("GET", signed, &[], "").sign(Dialect::Own, &[]);
        let other = Sent::new("GET", sent, &[], "");
        let mut arrived = request.clone();
        arrived.scheme = other.scheme;
        arrived.authority = other.authority;
        assert_eq!(arrived.reason(&rules()).is_none(), good, "{signed} {sent}");
    }
}

#[test]
fn takes_parameters_in_any_order_and_with_any_spacing() {
    let sent = Sent::example().sign(Dialect::Own, &["x-tenant"]);
    let header = String::from_utf8(sent.header("authorization").unwrap().to_vec()).unwrap();
    let (_, list) = header.split_once(' ').unwrap();
    let mut parts: Vec<&str> = list.split(", ").collect();
    parts.reverse();
    for spaced in [parts.join(","), parts.join(" ,\t "), format!("  {list}  ")] {
        let mut sent = sent.clone();
        sent.set("authorization", &format!("HMAC-SHA256 {spaced}"));
        assert_eq!(sent.reason(&rules()), None, "{spaced}");
    }
}

#[test]
fn refuses_malformed_credentials() {
    let good = [
        ("KeyId", "acme-1"),
        ("SignedHeaders", "content-type;x-tenant"),
        ("Timestamp", "1796126400"),
        ("Nonce", NONCE),
        ("Signature", &"0".repeat(64)),
    ];
    let written = |parameters: &[(&str, &str)]| {
        let parts = parameters
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        parts.collect::<Vec<_>>().join(", ")
    };
    let malformed = |credentials: &str| {
        let mut sent = Sent::example();
        sent.set("authorization", &format!("HMAC-SHA256 {credentials}"));
        let reason = sent.read(&rules()).err().map(|refusal| refusal.reason);
        reason == Some(Reason::SignatureMalformed)
    };
    assert!(!malformed(&written(&good)));
    for left_out in ["KeyId", "Timestamp", "Nonce", "Signature"] {
        let rest: Vec<_> = good
            .into_iter()
            .filter(|(name, _)| *name != left_out)
            .collect();
        assert!(malformed(&written(&rest)), "without {left_out}");
    }
    for twice in good {
        let mut all = good.to_vec();
        all.push(twice);
        assert!(malformed(&written(&all)), "{} twice", twice.0);
    }
    let many: Vec<String> = (0..33).map(|number| format!("x-{number:02}")).collect();
    for (name, value) in [
        ("Extra", "1"),
        ("keyid", "acme-1"),
        ("KeyId", ""),
        ("KeyId", "\"acme-1\""),
        ("KeyId", "a b"),
        ("KeyId", "acme;1"),
        ("KeyId", &"a".repeat(129)),
        ("SignedHeaders", ""),
        ("SignedHeaders", ";"),
        ("SignedHeaders", "x-tenant;"),
        ("SignedHeaders", "x-tenant;content-type"),
        ("SignedHeaders", "x-tenant;x-tenant"),
        ("SignedHeaders", "X-Tenant"),
        ("SignedHeaders", "content-type x-tenant"),
        ("SignedHeaders", ":path"),
        ("SignedHeaders", "@method"),
        ("SignedHeaders", "host"),
        ("SignedHeaders", "authorization"),
        ("SignedHeaders", "proxy-authorization"),
        ("SignedHeaders", &many.join(";")),
        ("Timestamp", "1796126400.0"),
        ("Timestamp", "-1796126400"),
        ("Timestamp", "01796126400"),
        ("Timestamp", "1796126400000"),
        ("Timestamp", "2026-12-01T12:00:00Z"),
        ("Nonce", "fifteen-charact"),
        ("Nonce", &"n".repeat(129)),
        ("Nonce", "sixteen{character}"),
        ("Signature", &"0".repeat(63)),
        ("Signature", &"0".repeat(65)),
        ("Signature", &"A".repeat(64)),
        ("Signature", &"g".repeat(64)),
        ("Signature", "4fzDl2p7nUnXZa+0kPE4nnA0ycQ3v9Kq3AtVn3Qnqbs="),
    ] {
        let mut all: Vec<_> = good
            .into_iter()
            .filter(|(other, _)| *other != name)
            .collect();
        all.push((name, value));
        assert!(malformed(&written(&all)), "{name}={value}");
    }
}

#[test]
fn signs_nothing_that_it_would_refuse() {
    let signing = Signing {
        key_id: "acme-1",
        signed_headers: &[],
        created: NOW,
        nonce: NONCE,
    };
    let refused = |dialect, signing: &Signing<'_>| {
        Sent::example()
            .with(|message| sign(dialect, message, &key(), signing))
            .err()
    };
    assert_eq!(refused(Dialect::Own, &signing), None);
    for signing in [
        Signing {
            nonce: "short",
            ..signing
        },
        Signing {
            key_id: "a, Nonce=1",
            ..signing
        },
        Signing {
            key_id: "",
            ..signing
        },
        Signing {
            created: -1,
            ..signing
        },
        Signing {
            signed_headers: &["x-none"],
            ..signing
        },
        Signing {
            signed_headers: &["host"],
            ..signing
        },
        Signing {
            signed_headers: &["x-tenant", "x-tenant"],
            ..signing
        },
    ] {
        assert!(refused(Dialect::Own, &signing).is_some(), "{signing:?}");
    }
    for dialect in [Dialect::Cavage, Dialect::Kong] {
        for signing in [
            Signing {
                key_id: "a\",keyId=\"b\",username=\"b",
                ..signing
            },
            Signing {
                signed_headers: &["x-none"],
                ..signing
            },
            Signing {
                signed_headers: &["authorization"],
                ..signing
            },
        ] {
            assert!(refused(dialect, &signing).is_some(), "{signing:?}");
        }
        let ever = Signing {
            created: i64::MAX,
            ..signing
        };
        assert_eq!(refused(dialect, &ever), Some(CannotSign::Time));
    }
}

#[test]
fn knows_ids_and_nonces() {
    for (text, id, nonce) in [
        ("acme-1", true, false),
        ("partner:acme@example.com/2026", true, false),
        ("", false, false),
        ("a,b", false, false),
        ("a b", false, false),
        ("550e8400-e29b-41d4-a716-446655440000", true, true),
        ("oTJqGvGB7wYvx+fB/6vYZA==", true, true),
        ("0123456789abcde:", true, false),
        ("é23456789abcdef0", false, false),
    ] {
        assert_eq!(own::is_key_id(text), id, "{text}");
        assert_eq!(own::is_nonce(text), nonce, "{text}");
    }
}
