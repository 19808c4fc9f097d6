use crate::authn::http_signature::key::{Algorithm, BadKey};
use crate::authn::http_signature::sign::{CannotSign, SigningKey, ToSign, sign};
use crate::authn::http_signature::tests::{
    ED25519, ED25519_PUBLIC, NOW, P256, P384, RSA, RSA_PSS, Sent, keys, rules,
};

fn what<'a>(components: &'a [&'a str]) -> ToSign<'a> {
    ToSign {
        label: "sig1",
        components,
        created: NOW,
        expires: None,
        key_id: "key-1",
        alg: true,
        nonce: None,
        tag: None,
    }
}

#[test]
fn every_algorithm_verifies_what_it_signs() {
    for algorithm in Algorithm::ALL {
        let (private, public) = keys(algorithm);
        let sent = Sent::example().signed(&private, |what| {
            what.alg = true;
            what.nonce = Some("n \"1\" \\");
            what.tag = Some("app");
            what.expires = Some(NOW + 60);
            what.components = &[
                "@method",
                "@target-uri",
                "\"@query-param\";name=\"Pet\"",
                "\"content-digest\";key=\"sha-512\"",
                "content-digest",
                "\"date\";bs",
            ];
        });
        assert!(
            sent.verify(&public, &rules(&["@target-uri", "content-digest"]), NOW)
                .is_ok(),
            "{algorithm:?}"
        );
    }
}

#[test]
fn reads_the_private_keys_of_rfc_9421() {
    for (algorithm, pem) in [
        (Algorithm::EcdsaP256Sha256, P256),
        (Algorithm::EcdsaP384Sha384, P384),
        (Algorithm::Ed25519, ED25519),
        (Algorithm::RsaPssSha512, RSA_PSS),
        (Algorithm::RsaPssSha512, RSA),
        (Algorithm::RsaV15Sha256, RSA),
    ] {
        assert!(
            SigningKey::from_pem(algorithm, pem).is_ok(),
            "{algorithm:?}"
        );
    }
}

#[test]
fn refuses_private_keys_of_another_kind() {
    for (algorithm, pem) in [
        (Algorithm::EcdsaP256Sha256, P384),
        (Algorithm::EcdsaP384Sha384, P256),
        (Algorithm::Ed25519, P256),
        (Algorithm::RsaPssSha512, ED25519),
        (Algorithm::RsaV15Sha256, P384),
        (Algorithm::Ed25519, ED25519_PUBLIC),
    ] {
        assert_eq!(
            SigningKey::from_pem(algorithm, pem).err(),
            Some(BadKey::Unfit(algorithm)),
            "{algorithm:?}"
        );
    }
    assert_eq!(
        SigningKey::from_pem(Algorithm::HmacSha256, ED25519).err(),
        Some(BadKey::SecretWanted)
    );
    assert_eq!(
        SigningKey::from_secret(b"").err(),
        Some(BadKey::EmptySecret)
    );
}

#[test]
fn says_what_cannot_be_signed() {
    let key = SigningKey::from_secret(&[7; 32]).unwrap();
    let error = |what: &ToSign<'_>| {
        Sent::example()
            .ask(|message| sign(message, what, &key))
            .unwrap_err()
    };
    assert!(matches!(
        error(&ToSign {
            label: "Sig",
            ..what(&["@method"])
        }),
        CannotSign::Label
    ));
    assert!(matches!(
        error(&ToSign {
            key_id: "ключ",
            ..what(&["@method"])
        }),
        CannotSign::Parameter("keyid")
    ));
    assert!(matches!(
        error(&ToSign {
            nonce: Some("a\nb"),
            ..what(&["@method"])
        }),
        CannotSign::Parameter("nonce")
    ));
    assert!(matches!(
        error(&ToSign {
            created: i64::MAX,
            ..what(&["@method"])
        }),
        CannotSign::Parameter("created")
    ));
    assert!(matches!(
        error(&what(&["\"@query-param"])),
        CannotSign::Component(_)
    ));
    assert!(matches!(error(&what(&["é"])), CannotSign::Component(_)));
    for components in [
        &["@status"][..],
        &["x-none"],
        &["@method", "@method"],
        &["Date"],
        &["@query-param"],
    ] {
        assert!(
            matches!(error(&what(components)), CannotSign::Refused(_)),
            "{components:?}"
        );
    }
}

#[test]
fn debug_shows_nothing_of_the_key() {
    let (private, public) = keys(Algorithm::HmacSha256);
    assert_eq!(
        format!("{private:?} {public:?}"),
        "SigningKey(hmac-sha256) VerifyKey(hmac-sha256)"
    );
    let chosen = Sent::example().signed(&private, |_| ()).choose(&rules(&[]));
    assert_eq!(format!("{:?}", chosen.unwrap()), "Chosen(sig1 by key-1)");
}
