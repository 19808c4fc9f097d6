//! Stripe, Slack, GitHub and Shopify.

use super::{Call, NOW, OTHER_SECRET, SECRET, rules};
use crate::authn::webhook::Scheme;
use crate::verdict::Reason;

fn stripe_with(change: impl Fn(&str, &str) -> String) -> Call {
    let call = Call::post("{}").signed(&Scheme::Stripe, SECRET);
    let value = call.value("stripe-signature");
    let (time, tag) = value.split_once(",v1=").unwrap();
    let value = change(time, tag);
    call.set("stripe-signature", value)
}

#[test]
fn stripe_takes_one_of_several_signatures_and_ignores_other_versions() {
    let rules = rules(Scheme::Stripe, &[SECRET]);
    let zeros = "0".repeat(64);
    for good in [
        |t: &str, tag: &str, _: &str| format!("{t},v1={tag}"),
        |t: &str, tag: &str, zeros: &str| format!("{t},v1={zeros},v1={tag}"),
        |t: &str, tag: &str, zeros: &str| format!("{t},v1={tag},v1={zeros}"),
        |t: &str, tag: &str, zeros: &str| format!("{t},v1={tag},v0={zeros}"),
        |t: &str, tag: &str, _: &str| format!("{t},v0=anything,v1={tag},v2="),
        |t: &str, tag: &str, _: &str| format!("v1={tag},{t}"),
        |t: &str, tag: &str, _: &str| format!("{t},v1={}", tag.to_uppercase()),
    ] {
        let call = stripe_with(|t, tag| good(t, tag, &zeros));
        assert!(
            call.verify(&rules).is_ok(),
            "{}",
            call.value("stripe-signature")
        );
    }
}

#[test]
fn stripe_refuses_what_has_two_readings() {
    let rules = rules(Scheme::Stripe, &[SECRET]);
    let zeros = "0".repeat(64);
    let tags = |count| format!(",v1={zeros}").repeat(count);
    for (bad, reason) in [
        (
            stripe_with(|t, tag| format!("{t},{t},v1={tag}")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("t=1,{t},v1={tag}")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|_, tag| format!("v1={tag}")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, _| t.to_owned()),
            Reason::SignatureAlgorithmRefused,
        ),
        (
            stripe_with(|t, tag| format!("{t},v0={tag}")),
            Reason::SignatureAlgorithmRefused,
        ),
        (
            stripe_with(|t, tag| format!("{t}, v1={tag}")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("{t},V1={tag}")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("{t},v={tag}")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("{t},v1={tag},")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("{t},v1={tag},u=1")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("{t},v1={tag},v1=")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("{t},v1={tag},v1={tag}00")),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("{t},v1={tag}{}", tags(8))),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, tag| format!("{t},v1={tag}{}", ",v0=".repeat(8))),
            Reason::SignatureMalformed,
        ),
        (
            stripe_with(|t, _| format!("{t},v1={zeros}")),
            Reason::SignatureMismatch,
        ),
    ] {
        assert_eq!(
            bad.reason(&rules),
            Some(reason),
            "{}",
            bad.value("stripe-signature")
        );
    }
    let eight = stripe_with(|t, tag| format!("{t}{},v1={tag}", tags(7)));
    assert!(eight.verify(&rules).is_ok());
}

#[test]
fn a_time_has_one_spelling() {
    let rules = rules(Scheme::Stripe, &[SECRET]);
    for bad in [
        "",
        "+1796126400",
        "-1",
        "01796126400",
        "1796126400.0",
        "1_796_126_400",
        "1796126400 ",
        "99999999999999999999",
        "179612640000",
        "٣",
        "0x6B",
        "1e9",
        "!",
    ] {
        let call = stripe_with(|_, tag| format!("t={bad},v1={tag}"));
        assert_eq!(
            call.reason(&rules),
            Some(Reason::SignatureMalformed),
            "{bad}"
        );
        let rules = super::rules(Scheme::Slack, &[SECRET]);
        let call = Call::post("{}").signed(&Scheme::Slack, SECRET);
        let call = call.set("x-slack-request-timestamp", bad);
        assert_eq!(
            call.reason(&rules),
            Some(Reason::SignatureMalformed),
            "{bad}"
        );
    }
    let epoch = stripe_with(|_, tag| format!("t=0,v1={tag}"));
    assert_eq!(epoch.reason(&rules), Some(Reason::SignatureMismatch));
}

#[test]
fn a_message_with_two_valid_signatures_is_one_message() {
    let rules = rules(Scheme::Stripe, &[SECRET, OTHER_SECRET]);
    let first = Call::post("{}").signed(&Scheme::Stripe, SECRET);
    let second = Call::post("{}").signed(&Scheme::Stripe, OTHER_SECRET);
    let a = first.value("stripe-signature");
    let b = second.value("stripe-signature");
    let b = b.split_once(',').unwrap().1;
    let reordered = a.replacen(',', &format!(",{b},"), 1);
    let once = |call: &Call| call.verify(&rules).unwrap().once.unwrap().value;
    let both = once(&first.clone().set("stripe-signature", format!("{a},{b}")));
    assert_eq!(
        once(&first.clone().set("stripe-signature", reordered)),
        both
    );
    assert_eq!(once(&first), both);
    assert_eq!(once(&second), both);
    let upper = a.to_uppercase().replace("T=", "t=").replace("V1=", "v1=");
    assert_eq!(once(&first.set("stripe-signature", upper)), both);
}

#[test]
fn slack_signs_its_published_example() {
    // From "Verifying requests from Slack".
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let rules = rules(Scheme::Slack, &["8f742231b10e8888abcd99yyyzzz85a5"]);
    let call = Call::post(body)
        .with("x-slack-request-timestamp", "1531420618")
        .with(
            "x-slack-signature",
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        );
    assert!(call.verify_at(&rules, 1_531_420_618).is_ok());
    let reason = call.verify_at(&rules, NOW).err().map(|r| r.reason);
    assert_eq!(reason, Some(Reason::SignatureExpired));
}

#[test]
fn slack_needs_its_time() {
    let rules = rules(Scheme::Slack, &[SECRET]);
    let call = Call::post("{}").signed(&Scheme::Slack, SECRET);
    let name = "x-slack-request-timestamp";
    assert_eq!(
        call.clone().without(name).reason(&rules),
        Some(Reason::SignatureIncomplete)
    );
    let twice = call.clone().with(name, NOW.to_string());
    assert_eq!(twice.reason(&rules), Some(Reason::SignatureMalformed));
    let later = call.clone().set(name, (NOW + 1).to_string());
    assert_eq!(later.reason(&rules), Some(Reason::SignatureMismatch));
    for prefix in ["v1=", "V0=", "v0:", ""] {
        let value = call.value("x-slack-signature").replacen("v0=", prefix, 1);
        let bad = call.clone().set("x-slack-signature", value);
        assert_eq!(
            bad.reason(&rules),
            Some(Reason::SignatureMalformed),
            "{prefix}"
        );
    }
}

#[test]
fn github_signs_its_published_example() {
    // From "Validating webhook deliveries".
    let rules = rules(Scheme::GitHub, &["It's a Secret to Everybody"]);
    let call = Call::post("Hello, World!").with(
        "x-hub-signature-256",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    );
    let accepted = call.verify(&rules).unwrap();
    assert!(accepted.once.is_none() && accepted.until.is_none() && accepted.created.is_none());
}

#[test]
fn github_never_reads_sha1() {
    let rules = rules(Scheme::GitHub, &["It's a Secret to Everybody"]);
    let sha1 = "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59";
    let call = Call::post("Hello, World!").with("x-hub-signature", sha1);
    assert_eq!(call.reason(&rules), Some(Reason::SignatureAlgorithmRefused));
    let call = call.with("x-hub-signature-256", sha1);
    assert_eq!(call.reason(&rules), Some(Reason::SignatureMalformed));
}

#[test]
fn github_signs_a_request_without_a_body_too() {
    let rules = rules(Scheme::GitHub, &[SECRET]);
    let call = Call::post("").signed(&Scheme::GitHub, SECRET);
    assert!(call.verify(&rules).is_ok());
    assert_eq!(
        call.body("x").reason(&rules),
        Some(Reason::SignatureMismatch)
    );
}

#[test]
fn shopify_takes_either_name_and_never_both() {
    let rules = rules(Scheme::Shopify, &[SECRET]);
    let call = Call::post("{}").signed(&Scheme::Shopify, SECRET);
    let value = call.value("x-shopify-hmac-sha256");
    let events = Call::post("{}").with("shopify-hmac-sha256", value.clone());
    assert!(events.verify(&rules).is_ok());
    let both = call.with("shopify-hmac-sha256", value.clone());
    assert_eq!(both.reason(&rules), Some(Reason::CredentialsAmbiguous));
    for bad in [
        value.trim_end_matches('=').to_owned(),
        value.replace('=', ""),
        format!("{value}="),
        value.replace('=', "%3D"),
        "AAAA".to_owned(),
    ] {
        let call = Call::post("{}").with("x-shopify-hmac-sha256", bad);
        assert_eq!(call.reason(&rules), Some(Reason::SignatureMalformed));
    }
}

#[test]
fn base64_has_one_spelling() {
    let rules = rules(Scheme::Shopify, &[SECRET]);
    let call = Call::post("{}").signed(&Scheme::Shopify, SECRET);
    let value = call.value("x-shopify-hmac-sha256");
    let last = value.as_bytes()[42];
    for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
        let mut text = value.clone().into_bytes();
        text[42] = *other;
        let call = call.clone().set("x-shopify-hmac-sha256", text);
        assert_eq!(call.verify(&rules).is_ok(), *other == last);
    }
}
