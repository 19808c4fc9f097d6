//! Secrets that are of no use.

use super::{FRESHNESS, SECRET};
use crate::authn::webhook::standard::HeaderNames;
use crate::authn::webhook::{BadSecrets, Rules, Scheme, WrongSecret};
use crate::secret::Secret;

fn error(scheme: Scheme, secrets: &[&str]) -> Option<BadSecrets> {
    let secrets: Vec<_> = secrets
        .iter()
        .map(|secret| Secret::new(secret.as_bytes().to_vec()))
        .collect();
    Rules::new(scheme, &secrets, FRESHNESS).err()
}

#[test]
fn refuses_secrets_that_could_not_work() {
    let standard = Scheme::Standard(HeaderNames::Webhook);
    let line_end = format!("{SECRET}\n");
    for (scheme, secret, text) in [
        (Scheme::GitHub, "", "secret 1 is empty"),
        (Scheme::GitHub, line_end.as_str(), "white space"),
        (Scheme::Slack, " 0123456789abcdef", "white space"),
        (Scheme::Stripe, "sk_live_0123456789abcdef", "whsec_"),
        (Scheme::Slack, "xoxb-0123456789abcdef", "signing secret"),
        (Scheme::GitHub, "ghp_0123456789abcdef", "access token"),
        (Scheme::Shopify, "shpat_0123456789abcdef", "client secret"),
        (standard.clone(), SECRET, "put `whsec_` before it"),
        (standard.clone(), "whsec_", "is empty"),
        (standard.clone(), "whsec_not base64", "not base64"),
        (standard.clone(), "whsec_AB__", "not base64"),
        (standard.clone(), "whpk_AAAA", "Ed25519"),
        (standard.clone(), "whpk_!", "not base64"),
        (standard, "whsk_AAAA", "private key"),
    ] {
        let text_of = error(scheme, &[secret]).unwrap().to_string();
        assert!(text_of.contains(text), "{text_of}");
        assert!(secret.len() < 8 || !text_of.contains(secret), "{text_of}");
    }
}

#[test]
fn refuses_none_too_many_and_the_same_twice() {
    assert_eq!(error(Scheme::GitHub, &[]), Some(BadSecrets::None));
    let many: Vec<_> = (0..9).map(|n| format!("{SECRET}{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(error(Scheme::GitHub, &many), Some(BadSecrets::TooMany));
    assert_eq!(error(Scheme::GitHub, &many[..8]), None);
    assert_eq!(
        error(Scheme::GitHub, &[SECRET, SECRET]),
        Some(BadSecrets::One {
            position: 2,
            wrong: WrongSecret::Twice
        })
    );
}

#[test]
fn takes_standard_secrets_with_and_without_padding() {
    let standard = Scheme::Standard(HeaderNames::Webhook);
    let long = "A".repeat(34);
    for secret in [format!("whsec_{long}=="), format!("whsec_{long}")] {
        assert_eq!(error(standard.clone(), &[&secret]), None);
    }
}
