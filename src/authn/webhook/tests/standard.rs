//! Standard Webhooks.

use super::{Call, NOW, OTHER_STANDARD_SECRET, SECRET, STANDARD_SECRET as SECRET_1, custom, rules};
use crate::authn::webhook::sign::{CannotSign, sign};
use crate::authn::webhook::standard::HeaderNames;
use crate::authn::webhook::{Rules, Scheme};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::verdict::Reason;

const WEBHOOK: Scheme = Scheme::Standard(HeaderNames::Webhook);

/// From the tests of the specification's library for Go; the public key is the one OpenSSL gives for it.
const PRIVATE: &str = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
const PUBLIC: &str = "whpk_ZlN4eg7dSSqi0moX9hQUk3orrOouK3QVQSlJa248c/g=";

fn published(signature: &str) -> Call {
    Call::post(r#"{"test": 2432232314}"#)
        .with("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
        .with("webhook-timestamp", "1614265330")
        .with("webhook-signature", signature)
}

fn verify(call: &Call, rules: &Rules) -> Option<Reason> {
    let result = call.verify_at(rules, 1_614_265_330);
    result.err().map(|refusal| refusal.reason)
}

#[test]
fn verifies_the_published_examples() {
    let v1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let v1a = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";
    let shared = rules(WEBHOOK, &[SECRET_1]);
    let public = rules(WEBHOOK, &[PUBLIC]);
    let both = rules(WEBHOOK, &[PUBLIC, SECRET_1]);
    for (signature, rules) in [
        (v1.to_owned(), &shared),
        (v1a.to_owned(), &public),
        (v1.to_owned(), &both),
        (v1a.to_owned(), &both),
        (format!("{v1} {v1a}"), &shared),
        (format!("{v1a} {v1}"), &public),
        (format!("v2,anything v3x,= {v1}"), &shared),
    ] {
        assert_eq!(verify(&published(&signature), rules), None, "{signature}");
    }
    for (signature, rules) in [(v1, &public), (v1a, &shared)] {
        assert_eq!(
            verify(&published(signature), rules),
            Some(Reason::SignatureAlgorithmRefused)
        );
    }
    for (signature, rules) in [(v1, &shared), (v1a, &public)] {
        let call = published(signature).body(r#"{"test": 2432232315}"#);
        assert_eq!(verify(&call, rules), Some(Reason::SignatureMismatch));
        let call = published(signature).set("webhook-id", "msg_other");
        assert_eq!(verify(&call, rules), Some(Reason::SignatureMismatch));
    }
}

#[test]
fn our_signer_makes_ed25519_signatures_too() {
    let call = Call::post("{}").signed(&WEBHOOK, PRIVATE);
    assert!(call.value("webhook-signature").starts_with("v1a,"));
    assert!(call.verify(&rules(WEBHOOK, &[PUBLIC])).is_ok());
}

#[test]
fn refuses_what_has_two_readings() {
    let rules = rules(WEBHOOK, &[SECRET_1]);
    let v1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let eight = format!(" {v1}").repeat(8);
    for (bad, reason) in [
        ("v1", Reason::SignatureMalformed),
        ("v1,", Reason::SignatureMalformed),
        ("v1,AAAA", Reason::SignatureMalformed),
        (v1.trim_end_matches('='), Reason::SignatureMalformed),
        (&format!("{v1},{v1}"), Reason::SignatureMalformed),
        (&format!("{v1}, {v1}"), Reason::SignatureMalformed),
        (&format!("{v1}  {v1}"), Reason::SignatureMalformed),
        (&format!("{v1}\t{v1}"), Reason::SignatureMalformed),
        (&format!("{v1} "), Reason::SignatureMalformed),
        (&format!("{v1} x,y"), Reason::SignatureMalformed),
        (&format!("{v1} v1a,AAAA"), Reason::SignatureMalformed),
        (&format!("{v1}{eight}"), Reason::SignatureMalformed),
        (&v1.replace("v1,", "V1,"), Reason::SignatureMalformed),
        (&v1.replace("v1,", "v1="), Reason::SignatureMalformed),
        (&v1.replace("v1,", "v2,"), Reason::SignatureAlgorithmRefused),
    ] {
        assert_eq!(verify(&published(bad), &rules), Some(reason), "{bad}");
    }
    assert_eq!(verify(&published(eight.trim_start()), &rules), None);
    for (name, bad, reason) in [
        ("webhook-id", "", Reason::SignatureMalformed),
        ("webhook-id", "a.b", Reason::SignatureMalformed),
        ("webhook-id", "a b", Reason::SignatureMalformed),
        ("webhook-id", "caf\u{e9}", Reason::SignatureMalformed),
        ("webhook-id", &"a".repeat(257), Reason::SignatureMalformed),
        ("webhook-timestamp", "", Reason::SignatureMalformed),
        (
            "webhook-timestamp",
            "1614265330.0",
            Reason::SignatureMalformed,
        ),
        ("webhook-timestamp", "1614265331", Reason::SignatureMismatch),
    ] {
        let call = published(v1).set(name, bad);
        assert_eq!(verify(&call, &rules), Some(reason), "{name}: {bad}");
    }
    for name in ["webhook-id", "webhook-timestamp"] {
        let call = published(v1).without(name);
        assert_eq!(verify(&call, &rules), Some(Reason::SignatureIncomplete));
        let call = published(v1).with(name, "1614265330");
        assert_eq!(verify(&call, &rules), Some(Reason::SignatureMalformed));
    }
    let call = published(v1).without("webhook-signature");
    assert_eq!(verify(&call, &rules), Some(Reason::CredentialsMissing));
}

#[test]
fn a_part_cannot_move_from_the_body_into_the_time() {
    let call = Call::post("1796126400.x").signed(&WEBHOOK, SECRET_1);
    let rules = rules(WEBHOOK, &[SECRET_1]);
    assert!(call.verify(&rules).is_ok());
    // The same signed text: `msg_1.1796126400.1796126400.x`.
    let moved = call.set("webhook-id", format!("msg_1.{NOW}")).body("x");
    assert_eq!(moved.reason(&rules), Some(Reason::SignatureMalformed));
}

#[test]
fn names_come_by_the_rule_and_are_never_mixed() {
    let svix = Scheme::Standard(HeaderNames::Svix);
    let either = rules(Scheme::Standard(HeaderNames::Either), &[SECRET_1]);
    let only_webhook = rules(WEBHOOK, &[SECRET_1]);
    let only_svix = rules(svix.clone(), &[SECRET_1]);
    let by_webhook = Call::post("{}").signed(&WEBHOOK, SECRET_1);
    let by_svix = Call::post("{}").signed(&svix, SECRET_1);
    assert!(by_webhook.verify(&either).is_ok());
    assert!(by_svix.verify(&either).is_ok());
    assert!(by_svix.verify(&only_svix).is_ok());
    assert_eq!(
        by_webhook.reason(&only_svix),
        Some(Reason::CredentialsMissing)
    );
    assert_eq!(
        by_svix.reason(&only_webhook),
        Some(Reason::CredentialsMissing)
    );
    // The message is the same under either name.
    let once = |call: &Call| call.verify(&either).unwrap().once.unwrap().value;
    assert_eq!(once(&by_webhook), once(&by_svix));
    for name in ["svix-id", "svix-timestamp", "svix-signature"] {
        let mixed = by_webhook.clone().with(name, by_svix.value(name));
        assert_eq!(mixed.reason(&either), Some(Reason::CredentialsAmbiguous));
        assert!(mixed.verify(&only_webhook).is_ok());
        let moved = by_webhook
            .clone()
            .without(&name.replace("svix", "webhook"))
            .with(name, by_svix.value(name));
        assert_eq!(moved.reason(&either), Some(Reason::CredentialsAmbiguous));
    }
}

#[test]
fn signs_only_with_what_fits() {
    let tries = |scheme: &Scheme, secret: &str, id: &str| {
        Call::post("{}").judge(|message| {
            let secret = Secret::new(secret.into());
            sign(message, scheme, &secret, Timestamp::from_seconds(NOW), id)
        })
    };
    let with_id = custom(|written| {
        written.template = "{id}.{body}".into();
        written.id = Some("x-id".into());
    });
    assert!(matches!(
        tries(&WEBHOOK, SECRET_1, "a.b"),
        Err(CannotSign::Id)
    ));
    assert!(matches!(tries(&with_id, SECRET, ""), Err(CannotSign::Id)));
    for bad in [SECRET, PUBLIC, "whsec_!", "whsk_AAAA", ""] {
        let error = tries(&WEBHOOK, bad, "a").unwrap_err();
        assert!(matches!(error, CannotSign::Secret(_)), "{bad}");
    }
    assert!(tries(&WEBHOOK, OTHER_STANDARD_SECRET, "a").is_ok());
}
